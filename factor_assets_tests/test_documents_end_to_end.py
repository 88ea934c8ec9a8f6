"""Filings, news and reports through the whole graph: to factors and evidence, twice, cut short, and in trouble."""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from datetime import date, timedelta
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from factor_assets.defs.runs import run_stages
from factor_assets.settings import Settings
from factor_assets.storage.rows import checksum
from factor_assets.storage.slice import EVERYTHING, Slice
from factor_assets_tests.market import Graph, small_settings
from factor_assets_tests.panel.company_facts import ASSETS, EQUITY, SHARES, Told, answer
from factor_assets_tests.servers.anthropic import SENTIMENT, TOPIC, FakeAnthropic, fake_anthropic
from factor_assets_tests.servers.edgar import CONTACT, FakeEdgar, facts_path, fake_edgar, filing
from factor_assets_tests.servers.tavily import KEY, FakeTavily, fake_tavily
from factor_assets_tests.text.pdfs import REPORT, text_pdf

pytestmark = pytest.mark.slow

TICKERS = ("SYN001", "SYN002", "SYN003", "SYN004")
START, CUT, END = date(2023, 2, 1), date(2023, 3, 15), date(2023, 3, 31)
MODEL_KEY = "sk-ant-secret-9876543210"
IN_ARTICLE, IN_REPORT, IN_FILING = "Quokkasong", "Projectbluebird", "zyzzyva"
SECRETS = (KEY, MODEL_KEY, CONTACT, CONTACT.rpartition(" ")[2], IN_ARTICLE, IN_REPORT, IN_FILING)
FACTORS = ["technical/close_location", "value/be_me", "sentiment/newsent", "documents/ceos", "documents/lazy_prices"]

KNOWN_BY_DATE = ("prices", "universe", "fundamentals", "news", "news_sentiments", "document_scores")
FILED = (("2021-12-31", "2022-02-10", "alpha"), ("2022-12-31", "2023-02-15", "omega"))
"""End of a year, day on which its 10-K was filed, and its last word."""


class Services(NamedTuple):
    """The servers on loopback."""

    edgar: FakeEdgar
    tavily: FakeTavily
    anthropic: FakeAnthropic

    def asked(self) -> tuple[int, int, int]:
        """Requests to each."""
        return len(self.edgar.asked), len(self.tavily.asked), len(self.anthropic.asked)


class Made(NamedTuple):
    """The whole graph, made twice, then until an earlier end, then with services that refuse."""

    graph: Graph
    first: dict[str, str]
    second: dict[str, str]
    asked: list[tuple[int, int, int]]
    cut: Graph
    failures: str
    told: str
    folder: Path


def fill(services: Services, reports: Path) -> None:
    """Give the services and the folder what they hold; companies differ in their equity."""
    edgar, tavily, _ = services
    edgar.list_companies({ticker: 1000 + i for i, ticker in enumerate(TICKERS)})
    for i, ticker in enumerate(TICKERS):
        cik = 1000 + i
        told = [
            entry
            for end, filed, _ in FILED
            for entry in (
                Told(ASSETS, 9e8 + i, end, filed=filed),
                Told(EQUITY, equity(ticker, filed), end, filed=filed),
                Told(SHARES, 1e7, filed, filed=filed, unit="shares"),
            )
        ]
        edgar.hold(facts_path(cik), answer(told, cik=cik))
        numbers = [f"{cik:010d}-{filed[2:4]}-000001" for _, filed, _ in FILED]
        edgar.list_filings(
            cik,
            *(
                filing(number, f"{filed}T22:00:00", form="10-K", reportDate=end)
                for number, (end, filed, _) in zip(numbers, FILED, strict=True)
            ),
        )
        for number, (_, _, word) in zip(numbers, FILED, strict=True):
            text = (
                f"We gain nothing {IN_FILING} by a long story that is told again and again but for one word {word} " * 3
            )
            path = f"/Archives/edgar/data/{cik}/{number.replace('-', '')}/{number}.htm"
            edgar.hold(path, f"<html><body><p>{text}</p></body></html>".encode())
    tavily.add("SYN001", date(2023, 2, 8), "Great profit", f"{IN_ARTICLE} rose.")
    tavily.add("SYN002", date(2023, 3, 28), "A lawsuit", f"{IN_ARTICLE} fell.")
    for name in ("SYN001/2023/20230210", "SYN003/2023/20230320"):
        file = reports / f"{name}.pdf"
        file.parent.mkdir(parents=True)
        file.write_bytes(text_pdf([REPORT.replace("excellent", IN_REPORT)]))


def equity(ticker: str, filed: str) -> float:
    return 1e8 * (1 + TICKERS.index(ticker)) * (1.0 if filed < "2023" else 1.5)


def settings_of(services: Services, folder: Path, home: str, **changes: Any) -> Settings:
    sections: dict[str, Any] = {
        "sample": {"tickers": 10},
        "data": {"source": "sample", "start": START, "end": END},
        "universe": {"name": "list", "tickers": TICKERS},
        "factors": {"families": FACTORS},
        "evaluation": {"beta_window": 20, "random_portfolios": 10, "min_observations": 10},
        "documents": {"path": str(folder / "documents")},
        "sec": {
            "contact": CONTACT,
            "data_url": services.edgar.url,
            "archives_url": services.edgar.url,
            "retries": 0,
            "timeout": 2,
            "filing_texts": True,
        },
        "news": {"source": "tavily", "url": services.tavily.url, "requests_per_second": 50, "retries": 0},
        "reports": {"path": str(folder / "reports")},
        "language_model": {
            "provider": "anthropic",
            "model": "claude-of-the-test",
            "url": services.anthropic.address,
            "input_price": 3.0,
            "output_price": 15.0,
            "retries": 0,
        },
        **changes,
    }
    return small_settings(folder / home, **sections)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    folder = tmp_path_factory.mktemp("documents")
    log = StringIO()
    handler = logging.StreamHandler(log)
    root = logging.getLogger()
    level = root.level
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setenv("TAVILY_API_KEY", KEY)
        patch.setenv("ANTHROPIC_API_KEY", MODEL_KEY)
        # Rates are tested where they are kept; here their waits would be most of the test.
        patch.setattr("factor_assets.sources.service.SharedPace.take", lambda *_: 0.0)
        services = Services(*(stack.enter_context(of()) for of in (fake_edgar, fake_tavily, fake_anthropic)))
        fill(services, folder / "reports")
        root.addHandler(handler)
        root.setLevel(logging.DEBUG)
        stack.callback(root.removeHandler, handler)
        stack.callback(root.setLevel, level)
        stack.enter_context(redirect_stdout(log))
        stack.enter_context(redirect_stderr(log))
        graph = Graph(settings_of(services, folder, "home"))
        asked = []
        sums = []
        for _ in range(2):
            graph.run()
            asked.append(services.asked())
            sums.append(graph.checksums())
        cut = Graph(settings_of(services, folder, "cut", data={"source": "sample", "start": START, "end": CUT}))
        cut.run("market_data", "sec", "fundamentals", "text", *(f"factors/{factor}" for factor in FACTORS))
        asked.append(services.asked())
        failures = refused(services, folder)
        yield Made(graph, sums[0], sums[1], asked, cut, failures, log.getvalue(), folder)
        graph.instance.dispose()
        cut.instance.dispose()


def refused(services: Services, folder: Path) -> str:
    """Run with fresh documents while every service refuses; return what the accounts tell."""
    services.tavily.always = 401
    services.anthropic.replies.extend([401] * 20)
    for path in services.edgar.documents:
        services.edgar.reply_with(path, 403)
    graph = Graph(settings_of(services, folder, "refused", documents={"path": str(folder / "refused documents")}))
    with graph.instance as instance:
        return repr(list(run_stages(graph.definitions, graph.workspace, instance)))


class TestAgainstWhatWasFiled:
    def test_book_to_market_is_equity_over_price_and_shares_from_the_session_after_the_filing(self, made: Made) -> None:
        store = made.graph.workspace.store
        prices = {(r["date"], r["ticker"]): r for r in store.read("price_history").to_pylist()}
        values = {(r["date"], r["ticker"]): r["value"] for r in store.read("factors/value/be_me").to_pylist()}
        for ticker in TICKERS:
            for day in (date(2023, 2, 16), date(2023, 3, 31)):
                # The sample market tells shares itself; where a source does not, those of the filing stand in.
                price = prices[day, ticker]
                expected = equity(ticker, "2023-02-15") / (price["close"] * price["shares_outstanding"])
                assert values[day, ticker] == pytest.approx(expected, rel=1e-12)

    def test_news_ratings_and_filings_are_factors_from_the_session_on_which_they_are_known(self, made: Made) -> None:
        def first(name: str) -> dict[str, tuple[date, float]]:
            rows = made.graph.workspace.store.read(f"factors/{name}").to_pylist()
            with_value = [r for r in rows if r["value"] is not None]
            return {
                t: min((r["date"], r["value"]) for r in with_value if r["ticker"] == t)
                for t in TICKERS
                if any(r["ticker"] == t for r in with_value)
            }

        sentiment, rating = SENTIMENT["sentiment"], TOPIC["rating"]
        assert first("sentiment/newsent") == {
            "SYN001": (date(2023, 2, 9), sentiment),
            "SYN002": (date(2023, 3, 29), sentiment),
        }
        assert first("documents/ceos") == {
            "SYN001": (date(2023, 2, 13), rating),
            "SYN003": (date(2023, 3, 21), rating),
        }
        similar = first("documents/lazy_prices")
        assert {t: day for t, (day, _) in similar.items()} == dict.fromkeys(TICKERS, date(2023, 2, 16))
        assert all(0.9 < value < 1 for _, value in similar.values())

    def test_every_factor_has_evidence(self, made: Made) -> None:
        rows = made.graph.workspace.store.read("factor_evidence").to_pylist()
        assert {f"{row['factor_type']}/{row['factor_name']}" for row in rows} == set(FACTORS)
        assert made.graph.workspace.tear_sheet_path.exists()


class TestProperties:
    def test_again_gives_the_same_rows_and_no_second_paid_request(self, made: Made) -> None:
        assert {"fundamentals", "news_sentiments", "report_ratings", "document_scores", "factor_evidence"} <= set(
            made.first
        )
        assert made.first == made.second
        (edgar, tavily, anthropic), *later = made.asked
        n_days = (END - (START - timedelta(days=1))).days + 1
        assert edgar == 1 + len(TICKERS) * (2 + len(FILED))
        assert tavily == len(TICKERS) * n_days
        assert anthropic == 4  # two articles and two reports
        assert later == [(edgar, tavily, anthropic)] * 2

    def test_an_earlier_end_changes_nothing_that_was_known_before(self, made: Made) -> None:
        part = Slice(end=CUT + timedelta(days=1))
        for name in (*KNOWN_BY_DATE, *(f"factors/{factor}" for factor in FACTORS)):
            whole, cut = (graph.workspace.store.read(name, part) for graph in (made.graph, made.cut))
            assert whole.num_rows > 0
            assert checksum(cut) == checksum(whole), name
        assert made.cut.workspace.store.read("prices", EVERYTHING)["date"].to_pylist()[-1] == CUT

    def test_each_table_tells_where_its_rows_are_from(self, made: Made) -> None:
        store = made.graph.workspace.store
        sources = {name: set(store.read(name)["source"].to_pylist()) for name in KNOWN_BY_DATE}
        assert sources["document_scores"] == {"news, reports and filings"}
        assert sources["news"] == sources["news_sentiments"] == {"news (tavily)"}
        assert sources["fundamentals"] == {"SEC EDGAR"}
        assert sources["prices"] == {"sample (synthetic)"}


class TestErrors:
    def test_a_service_that_refuses_is_named_with_what_to_do(self, made: Made) -> None:
        for words in ("SEC EDGAR", "sec.contact", "Tavily", "TAVILY_API_KEY", "ANTHROPIC_API_KEY"):
            assert words in made.failures

    def test_no_key_contact_or_text_is_in_logs_events_or_tracebacks(self, made: Made) -> None:
        found = {"logs": made.told, "accounts": made.failures}
        for home in ("home", "cut", "refused"):
            kept = [file for file in (made.folder / home / "dagster").rglob("*") if file.is_file()]
            assert any(file.suffix == ".db" and file.stat().st_size > 100_000 for file in kept)
            found |= {str(file): file.read_bytes().decode("utf-8", "replace") for file in kept}
        assert len(made.told) > 1000
        for secret in SECRETS:
            assert [name for name, text in found.items() if secret in text] == []
