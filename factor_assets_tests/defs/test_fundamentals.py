"""Facts and fundamentals in the real graph, from documents that were fetched before."""

import gzip
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pytest

from factor_assets.defs import fundamentals
from factor_assets.defs.automation import stage_selections
from factor_assets.defs.fundamentals import FACTS, FUNDAMENTALS, fundamental_assets
from factor_assets.defs.sec import FILINGS, SEC_DOCUMENTS
from factor_assets.storage.rows import checksum
from factor_assets.storage.slice import EVERYTHING, Slice
from factor_assets.workspace import Workspace
from factor_assets_tests.market import Graph, small_settings
from factor_assets_tests.panel.company_facts import Told, answer

CONTACT = "Ada Lovelace ada@example.com"
ASSETS, REVENUE = "us-gaap:Assets", "us-gaap:Revenues"
SHARES = "dei:EntityCommonStockSharesOutstanding"

TOLD = (
    Told(ASSETS, 500.0, "2022-09-30", filed="2022-11-01", form="10-Q"),
    Told(SHARES, 10.0, "2022-10-20", filed="2022-11-01", form="10-Q", unit="shares"),
    Told(ASSETS, 600.0, "2022-12-31", filed="2023-02-15"),
    Told(REVENUE, 90.0, "2022-12-31", "2022-01-01", "2023-02-15"),
    Told(SHARES, 11.0, "2023-01-20", filed="2023-02-15", unit="shares"),
    Told(ASSETS, 610.0, "2022-12-31", filed="2023-03-31", form="10-K/A"),
)


def settings_of(home: Path, **changes: Any) -> Any:
    return small_settings(home, sec={"contact": CONTACT, "max_age_days": 120}, **changes)


def give(workspace: Workspace, ticker: str, content: bytes, *, day: str = "2023-04-01") -> None:
    workspace.documents.put(f"sec/companyfacts/{ticker}/{day}.json.gz", gzip.compress(content))


def fetched(graph: Graph) -> Graph:
    """Let the graph believe that the documents and the list of filings were made: no number here needs the list."""
    for key in (SEC_DOCUMENTS, FILINGS):
        event = dg.AssetMaterialization(key, partition=graph.workspace.wanted_tickers()[0])
        graph.instance.report_runless_asset_event(event)
    return graph


def check(graph: Graph, asset: dg.AssetKey, name: str) -> dg.AssetCheckEvaluation:
    (record,) = graph.instance.event_log_storage.get_asset_check_execution_history(
        dg.AssetCheckKey(asset, name), limit=1
    )
    assert record.event is not None
    assert record.event.dagster_event is not None
    return record.event.dagster_event.asset_check_evaluation_data


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Graph]:
    """A market with books of ten of its twelve companies."""
    graph = Graph(settings_of(tmp_path_factory.mktemp("made")))
    graph.run("market_data")
    for ticker in graph.workspace.wanted_tickers()[:10]:
        give(graph.workspace, ticker, b"{}", day="2023-03-01")
        give(graph.workspace, ticker, answer(TOLD))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fundamentals, "_BATCH", 3)
        fetched(graph).run("facts")
    graph.run("fundamentals")
    yield graph
    graph.instance.dispose()


class TestAgainstDocuments:
    def test_every_number_of_the_newest_document_is_a_fact(self, made: Graph) -> None:
        rows = made.workspace.store.read("facts").to_pylist()
        tickers = made.workspace.wanted_tickers()[:10]
        assert [row["ticker"] for row in rows] == sorted(tickers * len(TOLD))
        known = sorted({row["known_from"] for row in rows})
        assert known == [date(2022, 11, 2), date(2023, 2, 16), date(2023, 4, 3)]

    def test_sessions_have_what_was_known_on_them(self, made: Graph) -> None:
        ticker = made.workspace.wanted_tickers()[0]
        rows = made.workspace.store.read("fundamentals", Slice(tickers=frozenset({ticker}))).to_pylist()
        seen = {str(row["date"]): (row["assets"], row["revenue_ttm"], row["shares_filed"]) for row in rows}
        assert len(seen) == len(made.workspace.sessions(EVERYTHING))
        # The number of shares of October is of a day before the first price, so that splits since are not known.
        assert seen["2023-01-03"] == (500.0, None, None)
        assert seen["2023-02-15"] == (None, None, None)
        assert seen["2023-02-16"] == (600.0, 90.0, 11.0)
        assert seen["2023-03-31"] == (600.0, 90.0, 11.0)
        assert seen["2023-04-03"] == (610.0, 90.0, 11.0)

    def test_the_checks_tell_what_was_read_and_covered(self, made: Graph) -> None:
        assert check(made, FACTS, "every_document_reads").passed
        covered = check(made, FUNDAMENTALS, "companies_have_books")
        assert covered.passed
        last = made.workspace.sessions(EVERYTHING)[-1].item()
        prices = made.workspace.store.read("prices", Slice(start=last))["ticker"].to_pylist()
        missing = set(prices) - set(made.workspace.wanted_tickers()[:10])
        assert covered.metadata["n_missing"].value == len(missing) > 0
        assert covered.metadata["n_tickers"].value == len(prices)


class TestProperties:
    def test_they_exist_with_a_contact_and_belong_to_their_stages(self, tmp_path: Path) -> None:
        assert fundamental_assets(Workspace(small_settings(tmp_path))) == []
        graph = Graph(settings_of(tmp_path))
        stages = stage_selections(list(graph.definitions.assets or []))
        assert FACTS in stages["sec"]
        assert FUNDAMENTALS in stages["daily"]

    def test_days_give_the_same_bits_as_months(self, made: Graph, tmp_path: Path) -> None:
        daily = Graph(settings_of(tmp_path, partitions={"grain": "day"}))
        daily.run("market_data")
        for ticker in daily.workspace.wanted_tickers()[:10]:
            give(daily.workspace, ticker, answer(TOLD))
        fetched(daily).run("facts")
        daily.run("fundamentals", start=date(2023, 2, 10), end=date(2023, 2, 17))
        part = Slice(start=date(2023, 2, 10), end=date(2023, 2, 18))
        ours, theirs = (checksum(g.workspace.store.read("fundamentals", part)) for g in (daily, made))
        assert ours == theirs
        daily.instance.dispose()

    def test_books_in_another_currency_are_stored_and_counted_and_not_mixed_with_prices(self, tmp_path: Path) -> None:
        graph = Graph(settings_of(tmp_path))
        graph.run("market_data")
        tickers = graph.workspace.wanted_tickers()
        foreign = [told._replace(unit="EUR") if told.unit == "USD" else told for told in TOLD]
        give(graph.workspace, tickers[0], answer(foreign))
        give(graph.workspace, tickers[1], answer(TOLD))
        fetched(graph).run("facts")
        graph.run("fundamentals")
        rows = graph.workspace.store.read("fundamentals", Slice(start=date(2023, 3, 1))).to_pylist()
        assert {(row["ticker"], row["reporting_currency"]) for row in rows} == {
            (tickers[0], "EUR"),
            (tickers[1], "USD"),
        }
        events = graph.instance.fetch_materializations(FUNDAMENTALS, limit=10).records
        told = [e.asset_materialization.metadata for e in events if e.asset_materialization]
        (currencies,) = [entry["currencies"].value for entry in told if "currencies" in entry]
        assert currencies == {"EUR": 1, "USD": 1}
        panel = graph.workspace.panel(Slice(start=date(2023, 3, 1)), fields=["assets", "shares_filed"])
        seen = {t: set(panel.fields["assets"][:, panel.tickers.index(t)].tolist()) for t in tickers[:2]}
        assert seen[tickers[1]] == {600.0, 610.0}
        assert np.isnan(list(seen[tickers[0]])).all()
        shares = panel.fields["shares_filed"]
        assert np.isnan(shares[:, panel.tickers.index(tickers[0])]).all()
        assert np.isfinite(shares[:, panel.tickers.index(tickers[1])]).all()
        graph.instance.dispose()


class TestErrors:
    def test_an_answer_that_cannot_be_read_keeps_what_is_stored_and_fails_the_check(self, tmp_path: Path) -> None:
        graph = Graph(settings_of(tmp_path))
        graph.run("price_history")
        ticker, other = graph.workspace.wanted_tickers()[:2]
        give(graph.workspace, ticker, answer(TOLD))
        fetched(graph).run("facts")
        before = checksum(graph.workspace.store.read("facts"))
        give(graph.workspace, ticker, b"<html>", day="2023-04-02")
        give(graph.workspace, other, answer(TOLD[:1]), day="2023-04-02")
        graph.run("facts")
        store = graph.workspace.store
        assert checksum(store.read("facts", Slice(tickers=frozenset({ticker})))) == before
        assert store.read("facts", Slice(tickers=frozenset({other}))).num_rows == 1
        found = check(graph, FACTS, "every_document_reads")
        assert not found.passed
        assert f"facts of {ticker} are not JSON" in str(found.description)
        graph.instance.dispose()
