"""The registry of sources, and what a delivery must be."""

from dataclasses import replace

import pytest

from factor_assets.errors import SourceError
from factor_assets.settings import Settings
from factor_assets.sources.price_source import Delivery, PriceSource, open_source, price_source, source_names
from factor_assets.sources.sample import SampleSource, open_sample
from factor_assets.tables import TABLES


class TestProperties:
    def test_sources_are_found_by_scanning_the_folder(self) -> None:
        assert source_names() == ["files", "sample", "yahoo"]

    def test_the_settings_choose(self) -> None:
        assert isinstance(open_source(Settings()), SampleSource)

    def test_registering_the_same_file_again_is_harmless(self) -> None:
        assert price_source("sample")(open_sample) is open_sample


class TestErrors:
    def test_unknown_source(self) -> None:
        settings = Settings.model_validate({"data": {"source": "yaho", "end": "2020-01-01"}})
        with pytest.raises(SourceError) as caught:
            open_source(settings)
        assert str(caught.value) == "data.source is 'yaho', which is not a price source; did you mean 'yahoo'?"

    def test_two_files_cannot_share_a_name(self) -> None:
        def other(settings: Settings) -> PriceSource:
            raise AssertionError

        with pytest.raises(
            SourceError, match=r"Two price sources are named 'sample': factor_assets.sources.sample and"
        ):
            price_source("sample")(other)

    def test_a_delivery_says_what_it_is(self) -> None:
        rows = TABLES["price_history"].schema.empty_table()
        with pytest.raises(SourceError, match="A delivery has rows exactly when it is loaded; A is 'unchanged'"):
            Delivery(ticker="A", outcome="unchanged", rows=rows)
        with pytest.raises(SourceError, match="A delivery has rows exactly when it is loaded; A is 'loaded'"):
            replace(Delivery(ticker="A", outcome="unchanged"), outcome="loaded")
        with pytest.raises(SourceError, match="A failed delivery wants a reason; A has none"):
            Delivery(ticker="A", outcome="failed")
