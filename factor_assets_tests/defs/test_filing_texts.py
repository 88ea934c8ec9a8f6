"""Texts of filings in the real graph, against a server on loopback."""

import logging
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from factor_assets.defs.automation import stage_selections
from factor_assets.defs.filing_texts import CHECK, FILING_TEXTS, filing_text_assets
from factor_assets.defs.graph import build_definitions
from factor_assets.defs.runs import StageAccount, run_stages
from factor_assets.defs.sec import FILINGS, SEC
from factor_assets.workspace import Workspace
from factor_assets_tests.market import Graph, small_settings
from factor_assets_tests.servers.edgar import CONTACT, FakeEdgar, company_facts, facts_path, fake_edgar, filing

SECRET = "zyzzyva"
TEXT = f"We gain nothing {SECRET} by a long story that is told again and again each year, but for a loss in one word"

REPORTS = (
    # number, form, end of the period, day of filing, last word
    (1, "10-K", "2020-12-31", "2021-02-10", "alpha"),
    (2, "10-K", "2021-12-31", "2022-02-10", "alpha"),
    (3, "10-Q", "2022-03-31", "2022-05-10", "beta"),
    (4, "8-K", "2022-06-30", "2022-07-10", "gamma"),
    (5, "10-K", "2022-12-31", "2023-02-10", "delta"),
    (6, "10-K/A", "2022-12-31", "2023-03-10", "epsilon"),
    (7, "10-Q", "2023-03-31", "2023-05-10", "zeta"),
)


def accession(cik: int, n: int) -> str:
    return f"{cik:010d}-23-{n:06d}"


def path_of(cik: int, n: int) -> str:
    return f"/Archives/edgar/data/{cik}/{accession(cik, n).replace('-', '')}/{accession(cik, n)}.htm"


class World:
    """A small market whose companies all filed the same, and the server that has it."""

    def __init__(self, edgar: FakeEdgar, home: Path, *, word_list: str = "", **changes: Any) -> None:
        self.edgar = edgar
        settings = {
            "contact": CONTACT,
            "data_url": edgar.url,
            "archives_url": edgar.url,
            "requests_per_second": 9,
            "retries": 0,
            "timeout": 2,
            "filing_texts": True,
        }
        self.settings = small_settings(
            home, sec=settings, sample={"tickers": 10}, reports={"word_list": word_list}, **changes
        )
        self.graph = Graph(self.settings)
        self.tickers = self.graph.workspace.wanted_tickers()
        self.ciks = {ticker: 1000 + i for i, ticker in enumerate(self.tickers)}
        edgar.list_companies(self.ciks)
        for cik in self.ciks.values():
            edgar.hold(facts_path(cik), company_facts(cik))
            edgar.list_filings(
                cik,
                *(
                    filing(accession(cik, n), f"{filed}T10:00:00", form=form, reportDate=end)
                    for n, form, end, filed, _ in REPORTS
                ),
            )
            for n, *_, word in REPORTS:
                edgar.hold(path_of(cik, n), f"<html><body><p>{TEXT} {word}</p></body></html>".encode())

    def run(self, *names: str) -> StageAccount:
        graph = self.graph
        (account,) = run_stages(graph.definitions, graph.workspace, graph.instance, names=names)
        return account

    def rows(self, ticker: str) -> dict[int, dict[str, Any]]:
        """Number of a filing -> its row."""
        found = self.graph.workspace.store.read("filing_texts").to_pylist()
        return {int(row["accession"][-6:]): row for row in found if row["ticker"] == ticker}

    def asked_for(self) -> list[str]:
        return [path for path in self.edgar.count().elements() if path.startswith("/Archives/")]


@pytest.fixture
def edgar() -> Iterator[FakeEdgar]:
    with fake_edgar() as server:
        yield server


@pytest.fixture
def world(edgar: FakeEdgar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    # The rate is tested where it is kept; here its waits would be most of the test.
    monkeypatch.setattr("factor_assets.sources.service.SharedPace.take", lambda *_: 0.0)
    words = tmp_path / "words.csv"
    words.write_text("word,kind\ngain,positive\nloss,negative\nzeta,negative\n", "utf-8")
    world = World(edgar, tmp_path / "home", word_list=str(words))
    with world.graph.instance:
        yield world


class TestAgainstServedDocuments:
    def test_texts_are_fetched_and_compared_from_the_list_of_filings(self, world: World) -> None:
        account = world.run("sec_documents", "filings", "filing_texts")
        assert account.failed == 0, account.failures
        assert account.made_of[FILING_TEXTS] == len(world.tickers)
        assert not account.failed_checks
        for ticker, cik in world.ciks.items():
            rows = world.rows(ticker)
            assert set(rows) == {2, 3, 5}, "of use to the data's sessions: not before their start, nor after their end"
            assert rows[5]["previous_accession"] == accession(cik, 2)
            # 22 words of two letters and more, one of them another; "again" comes twice.
            assert rows[5]["n_words"] == 22
            assert rows[5]["similarity_jaccard"] == 20 / 22
            assert rows[5]["similarity_cosine"] == pytest.approx(23 / 24)
            assert rows[5]["tone"] == 0.0
            assert rows[5]["negative_share"] == 1 / 22
            assert rows[5]["known_from"] == date(2023, 2, 13)
            assert rows[2]["similarity_cosine"] == pytest.approx(1.0)
            assert rows[3]["error"] == "not compared: there is no 10-Q of the year before"
        assert sorted(world.asked_for()) == sorted(path_of(cik, n) for cik in world.ciks.values() for n in (1, 2, 3, 5))

    def test_a_factor_changes_on_the_session_after_the_filing(self, world: World, tmp_path: Path) -> None:
        other = World(world.edgar, tmp_path / "other", factors={"families": ["documents/lazy_prices"]})
        with other.graph.instance:
            other.graph.run(
                *("price_history", "universe", "prices", "sec_documents", "filings", "filing_texts"),
                *("document_scores", "factors/documents/lazy_prices"),
            )
            rows = other.graph.workspace.store.read("factors/documents/lazy_prices").to_pylist()
        value = {row["date"]: row["value"] for row in rows if row["ticker"] == other.tickers[0]}
        assert value[date(2023, 2, 10)] is None, "the last known filing is a quarter's, with nothing to compare"
        assert value[date(2023, 2, 13)] == value[date(2023, 4, 28)] == pytest.approx(23 / 24)

    def test_made_again_nothing_is_asked_for_and_the_version_stays(self, world: World) -> None:
        world.run("sec_documents", "filings", "filing_texts")
        asked, version = len(world.edgar.asked), world.graph.workspace.store.latest_version("filing_texts")
        world.run("filing_texts")
        assert len(world.edgar.asked) == asked
        assert world.graph.workspace.store.latest_version("filing_texts") == version

    def test_trouble_with_one_filing_is_a_row_and_mends_itself(self, world: World) -> None:
        first, second = world.tickers[:2]
        lost, broken = path_of(world.ciks[first], 5), path_of(world.ciks[second], 2)
        body = world.edgar.documents.pop(lost)
        world.edgar.reply_with(broken, 500)
        account = world.run("sec_documents", "filings", "filing_texts")
        assert account.failed == 0
        assert not account.failed_checks, "two of thirty-six are below the limit"
        row = world.rows(first)[5]
        assert row["n_words"] is None
        assert row["error"] == f"SEC EDGAR has no document at {world.edgar.url}{lost}; the next run asks again."
        row = world.rows(second)[5]
        assert row["n_words"] == 22
        assert row["similarity_cosine"] is None
        assert row["error"].startswith("not compared: that of the year before: SEC EDGAR is in trouble (HTTP 500)")
        world.edgar.hold(lost, body)
        world.run("filing_texts")
        assert world.rows(first)[5]["similarity_cosine"] == world.rows(second)[5]["similarity_cosine"] is not None
        assert len(world.asked_for()) == 4 * len(world.tickers) + 2


class TestProperties:
    def test_the_asset_is_there_when_both_settings_ask_for_it(self, world: World, tmp_path: Path) -> None:
        for changes in ({"filing_texts": False}, {"contact": ""}):
            sec = world.settings.sec.model_copy(update=changes)
            assert not filing_text_assets(Workspace(world.settings.model_copy(update={"sec": sec})))
        definitions = build_definitions(world.settings)
        graph = definitions.resolve_asset_graph()
        assert graph.get(FILING_TEXTS).parent_keys == {FILINGS}
        assets = [asset for asset in definitions.assets or () if isinstance(asset, dg.AssetsDefinition)]
        stage = stage_selections(assets)[SEC]
        assert stage.index(FILINGS) < stage.index(FILING_TEXTS)
        job = definitions.resolve_job_def(SEC)
        assert FILING_TEXTS in job.asset_layer.executable_asset_keys, "what the sensor of new filings starts"

    def test_one_ticker_alone_gives_the_rows_it_has_with_the_rest(self, world: World, tmp_path: Path) -> None:
        world.run("sec_documents", "filings", "filing_texts")
        ticker = world.tickers[3]
        rows = world.rows(ticker)
        before = world.graph.workspace.store.read("filing_texts").num_rows
        result = world.graph.definitions.resolve_job_def(SEC).execute_in_process(
            instance=world.graph.instance, partition_key=ticker, asset_selection=[FILING_TEXTS]
        )
        assert result.success
        assert world.rows(ticker) == rows
        assert world.graph.workspace.store.read("filing_texts").num_rows == before

    def test_another_word_list_changes_the_tone_alone(self, world: World) -> None:
        world.run("sec_documents", "filings", "filing_texts")
        ticker, asked = world.tickers[0], len(world.edgar.asked)
        before = world.rows(ticker)[5]
        Path(world.settings.reports.word_list).write_text("word,kind\ngain,positive\n", "utf-8")
        world.run("filing_texts")
        after = world.rows(ticker)[5]
        assert (before.pop("tone"), before.pop("negative_share")) == (0.0, 1 / 22)
        assert (after.pop("tone"), after.pop("negative_share")) == (1.0, 0.0)
        assert after == before
        assert len(world.edgar.asked) == asked

    def test_neither_contact_nor_text_is_in_events_or_logs(
        self, world: World, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        world.edgar.hold(path_of(world.ciks[world.tickers[0]], 5), f"<html><body>{SECRET}</body></html>".encode())
        world.run("sec_documents", "filings", "filing_texts")
        instance = world.graph.instance
        told = caplog.text
        for run in instance.get_runs():
            told += "".join(str(record.event_log_entry) for record in instance.get_records_for_run(run.run_id).records)
        assert "Next to no text" in told
        assert SECRET not in told
        assert CONTACT not in told


class TestErrors:
    def test_a_check_fails_above_the_share_of_the_settings(self, world: World) -> None:
        for ticker in world.tickers[:5]:
            del world.edgar.documents[path_of(world.ciks[ticker], 3)]
        account = world.run("sec_documents", "filings", "filing_texts")
        assert account.failed == 0
        assert account.failed_checks[f"filing_texts: {CHECK}"] == (
            "5 of 36 filings have no text; 18 of 27 rows are compared with the year before"
        )

    def test_rows_stay_where_nothing_can_be_had(self, world: World) -> None:
        for cik in world.ciks.values():
            for n, *_ in REPORTS:
                world.edgar.reply_with(path_of(cik, n), *[503] * 2)
        account = world.run("sec_documents", "filings", "filing_texts")
        assert account.failed == len(world.tickers)
        (failure,) = account.failures.values()
        assert "None of 36 filings could be had; " in failure
        assert "is in trouble (HTTP 503)" in failure

    def test_a_word_list_that_cannot_be_used_stops_before_anything_is_asked(self, world: World) -> None:
        world.run("sec_documents", "filings")
        asked = len(world.edgar.asked)
        Path(world.settings.reports.word_list).write_text("word\n", "utf-8")
        account = world.run("filing_texts")
        (failure,) = account.failures.values()
        assert "has no column kind; it has word" in failure
        assert len(world.edgar.asked) == asked
