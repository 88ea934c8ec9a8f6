"""Which column of a file is which of ours."""

from pathlib import Path

import pytest

from factor_assets.errors import MalformedDataError
from factor_assets.sources.price_files import SYNONYMS, file_stem, map_columns
from factor_assets.tables import TABLES

FILE = Path("prices.csv")


class TestAgainstVendorsHeaders:
    @pytest.mark.parametrize(
        ("header", "theirs"),
        [
            ("Date,Open,High,Low,Close,Adj Close,Volume,Dividends,Stock Splits", "yfinance"),
            ("timestamp,open,high,low,close,adjusted_close,volume,dividend_amount,split_coefficient", "Alpha Vantage"),
            ("date,close,high,low,open,volume,adjClose,divCash,splitFactor", "Tiingo"),
        ],
    )
    def test_every_column_is_recognised(self, header: str, theirs: str) -> None:
        found = map_columns(header.split(","), mapping={}, path=FILE)
        assert sorted(found.values()) == sorted(header.split(",")), theirs
        assert found["adjusted_close"].lower().startswith("adj")


class TestProperties:
    def test_every_name_is_a_column_of_the_table(self) -> None:
        assert set(SYNONYMS) < set(TABLES["price_history"].column_names)
        names = [name for ours, others in SYNONYMS.items() for name in (ours, *others)]
        assert len(names) == len(set(names))

    def test_the_own_name_wins_over_a_synonym_and_the_settings_over_both(self) -> None:
        header = ["date", "time", "close", "last", "px"]
        assert map_columns(header, mapping={}, path=FILE) == {"date": "date", "close": "close"}
        assert map_columns(header, mapping={"close": "px"}, path=FILE)["close"] == "px"

    def test_a_mapped_column_serves_once(self) -> None:
        found = map_columns(["date", "close", "price"], mapping={"adjusted_close": "close"}, path=FILE)
        assert found == {"date": "date", "adjusted_close": "close", "close": "price"}

    @pytest.mark.parametrize(("name", "stem"), [("A.csv", "A"), ("BRK.B.csv.gz", "BRK.B"), ("X.PARQUET", "X")])
    def test_stem(self, name: str, stem: str) -> None:
        assert file_stem(Path(name)) == stem


class TestErrors:
    def test_a_missing_close(self) -> None:
        with pytest.raises(MalformedDataError) as caught:
            map_columns(["date", "closing"], mapping={}, path=FILE)
        assert str(caught.value) == (
            "prices.csv has no column for close; it has 'date', 'closing' (did you mean 'closing'?)."
            " Set files.columns.close to the right one."
        )
