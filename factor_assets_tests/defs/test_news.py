"""News in the graph: from a file and from a service to the sentiment factors, and what a failure stops."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pytest

from factor_assets import calendar
from factor_assets.defs.document_schedules import NEWS_CRON
from factor_assets.defs.graph import build_definitions
from factor_assets.defs.runs import run_stages
from factor_assets.settings import Settings
from factor_assets.storage.rows import checksum
from factor_assets.text.lexicon import compound
from factor_assets_tests.market import Graph, run, small_settings
from factor_assets_tests.servers.tavily import KEY, FakeTavily, fake_tavily

FEW = ["technical/close_location", "sentiment/newsent", "sentiment/avgsent14"]
GOOD, BAD = "Great profit and a record win", "Terrible loss, fraud and a lawsuit"
NEWS, SENTIMENTS = dg.AssetKey("news"), dg.AssetKey("news_sentiments")


def headlines(path: Path, tickers: list[str]) -> Path:
    """Two companies with news, one of them syndicated, and lines that cannot be used."""
    a, b = tickers[:2]
    lines = [
        "ticker,published,title",
        f"{a},2023-02-01,{GOOD}",  # used on February 2
        f'{a},2023-02-01,"{BAD}"',
        f"{a},2023-02-01 11:00:00,{GOOD}",  # used on February 1
        f"{a},2023-02-01 12:00:00,{GOOD.upper()}",  # the same, printed again
        f'{b},2023-02-03 16:00:00,"{BAD}"',  # at the close of Friday: used on Monday
        f"{b},3 HOURS AGO,{GOOD}",
        f"NOBODY,2023-02-01,{GOOD}",
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def settings_of(home: Path, **changes: Any) -> Settings:
    given: dict[str, Any] = {
        "news": {"source": "files", "path": str(home.parent / "headlines.csv")},
        "factors": {"families": FEW},
        **changes,
    }
    return small_settings(home, **given)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Graph]:
    """The whole market with a file of headlines."""
    folder = tmp_path_factory.mktemp("files")
    graph = Graph(settings_of(folder / "home"))
    headlines(folder / "headlines.csv", graph.workspace.wanted_tickers())
    graph.run()
    yield graph
    graph.instance.dispose()


@pytest.fixture
def tavily(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeTavily]:
    monkeypatch.setenv("TAVILY_API_KEY", KEY)
    with fake_tavily() as server:
        yield server


def tavily_settings(server: FakeTavily, home: Path, **changes: Any) -> Settings:
    given: dict[str, Any] = {
        "sample": {"tickers": 10},
        "data": {"source": "sample", "start": date(2023, 1, 3), "end": date(2023, 2, 28)},
        "universe": {"name": "list", "tickers": ("SYN001", "SYN002")},
        "news": {"source": "tavily", "url": server.url, "requests_per_second": 50, "retries": 0, "timeout": 0.5},
        **changes,
    }
    return settings_of(home, **given)


def last_check(graph: Graph, key: dg.AssetKey, name: str) -> Any:
    record = graph.instance.get_latest_asset_check_evaluation_record(dg.AssetCheckKey(key, name))
    assert record is not None
    return record.event.dagster_event.asset_check_evaluation_data


def told(graph: Graph, key: dg.AssetKey) -> dict[str, Any]:
    """Metadata of the last partition of the last run."""
    records = graph.instance.fetch_materializations(key, limit=12).records
    for record in records:
        metadata = record.asset_materialization.metadata
        if "store_version" in metadata:
            return {name: entry.value for name, entry in metadata.items()}
    raise AssertionError(f"nothing is told of {key}")


def assert_told_nothing(graph: Graph, *secrets: str) -> None:
    """No event of any run, with its metadata and tracebacks, holds a key or the text of an article."""
    entries = [str(e) for run in graph.instance.get_runs() for e in graph.instance.all_logs(run.run_id)]
    assert len(entries) > 50
    assert not [entry for entry in entries if any(secret in entry for secret in secrets)]


def factor(graph: Graph, name: str, ticker: str) -> dict[date, float | None]:
    rows = graph.workspace.store.read(f"factors/sentiment/{name}").to_pylist()
    return {row["date"]: row["value"] for row in rows if row["ticker"] == ticker}


class TestAgainstTheLexicon:
    def test_sentiments_of_the_sessions(self, made: Graph) -> None:
        a, b = made.workspace.wanted_tickers()[:2]
        rows = made.workspace.store.read("news_sentiments").to_pylist()
        found = {(row["date"], row["ticker"]): (row["n_articles"], row["sentiment"]) for row in rows}
        good, bad = compound(GOOD), compound(BAD)
        assert found == {
            (date(2023, 2, 1), a): (1, pytest.approx(good)),
            (date(2023, 2, 2), a): (2, pytest.approx((good + bad) / 2)),
            (date(2023, 2, 6), b): (1, pytest.approx(bad)),
        }
        assert {row["model"].split()[0] for row in rows} == {"vaderSentiment"}

    def test_the_factors_have_the_sentiment_and_its_mean_over_14_sessions(self, made: Graph) -> None:
        a, b = made.workspace.wanted_tickers()[:2]
        good, both, bad = compound(GOOD), (compound(GOOD) + compound(BAD)) / 2, compound(BAD)
        newsent, mean = factor(made, "newsent", a), factor(made, "avgsent14", a)
        assert {day: v for day, v in newsent.items() if v is not None} == {
            date(2023, 2, 1): pytest.approx(good),
            date(2023, 2, 2): pytest.approx(both),
        }
        sessions = calendar.sessions("XNYS", date(2023, 2, 1), date(2023, 4, 28)).tolist()
        expected = {sessions[0]: good, **dict.fromkeys(sessions[1:14], (good + both) / 2), sessions[14]: both}
        assert {day: v for day, v in mean.items() if v is not None} == {
            day: pytest.approx(v) for day, v in expected.items()
        }
        assert factor(made, "avgsent14", b)[date(2023, 2, 6)] == pytest.approx(bad)
        assert factor(made, "newsent", b)[date(2023, 2, 3)] is None


class TestProperties:
    def test_what_was_left_out_is_told(self, made: Graph) -> None:
        metadata = told(made, NEWS)
        assert metadata["unusable_in_file"] == {"a relative date": 1}
        assert metadata["left_out"] == {"repeated on the session": 1, "of another ticker": 1}
        assert told(made, SENTIMENTS)["questions"]["answered"] == 3
        assert told(made, SENTIMENTS)["cost"] == 0.0
        for key, check in ((NEWS, "every_day_answered"), (SENTIMENTS, "news_are_read"), (SENTIMENTS, "one_reader")):
            assert last_check(made, key, check).passed

    def test_months_and_sessions_give_the_same_bits(self, made: Graph, tmp_path: Path) -> None:
        path = headlines(tmp_path / "headlines.csv", made.workspace.wanted_tickers())
        graph = Graph(
            settings_of(tmp_path / "home", news={"source": "files", "path": str(path)}, partitions={"grain": "day"})
        )
        graph.run("news", "news_sentiments", "document_scores", start=date(2023, 2, 1), end=date(2023, 2, 8))
        for name in ("news", "news_sentiments", "document_scores"):
            assert checksum(graph.workspace.store.read(name)) == checksum(made.workspace.store.read(name)), name
        graph.instance.dispose()

    def test_without_a_source_there_are_no_such_assets(self, tmp_path: Path) -> None:
        graph = build_definitions(small_settings(tmp_path)).resolve_asset_graph()
        assert not {NEWS, SENTIMENTS, dg.AssetKey("document_scores")} & set(graph.get_all_asset_keys())

    def test_scores_need_only_what_the_settings_ask_for(self, tmp_path: Path) -> None:
        def parents(**sections: Any) -> set[str]:
            graph = build_definitions(small_settings(tmp_path, **sections)).resolve_asset_graph()
            return {key.to_user_string() for key in graph.get(dg.AssetKey("document_scores")).parent_keys}

        news = {"source": "files", "path": "headlines.csv"}
        sec = {"contact": "A B a@example.com", "filing_texts": True}
        assert parents(news=news) == {"news_sentiments"}
        assert parents(reports={"path": str(tmp_path)}) == {"report_ratings"}
        assert parents(news=news, sec=sec) == {"news_sentiments", "filing_texts"}

    def test_calls_are_an_asset_where_somebody_may_be_asked(self, tmp_path: Path) -> None:
        model = {"provider": "anthropic", "model": "m", "input_price": 1, "output_price": 1}
        news = {"source": "files", "path": "headlines.csv"}
        key = dg.AssetKey("language_model_calls")
        for sections, there in (
            ({"language_model": model, "news": news}, True),
            ({"language_model": model}, False),
            ({"news": news}, False),
        ):
            graph = build_definitions(small_settings(tmp_path, **sections)).resolve_asset_graph()
            assert (key in graph.get_all_asset_keys()) is there

    def test_a_service_is_paid_once(self, tavily: FakeTavily, tmp_path: Path) -> None:
        graph = Graph(tavily_settings(tavily, tmp_path / "home"))
        moment = datetime(2023, 2, 1, 15, tzinfo=UTC)
        tavily.add("SYN001", date(2023, 2, 1), GOOD, published=moment)
        tavily.add("SYN002", date(2023, 2, 4), BAD)
        graph.run("news", "news_sentiments", "document_scores", start=date(2023, 2, 1))
        # From the last session of January to the last of February, for both.
        assert len(tavily.asked) == len(set(tavily.pairs)) == 2 * 29
        scores = graph.workspace.store.read("document_scores").select(["date", "ticker", "news_sentiment"])
        assert scores.to_pylist() == [
            {"date": date(2023, 2, 1), "ticker": "SYN001", "news_sentiment": pytest.approx(compound(GOOD))},
            {"date": date(2023, 2, 6), "ticker": "SYN002", "news_sentiment": pytest.approx(compound(BAD))},
        ]
        before = graph.checksums()
        graph.run("news", "news_sentiments", "document_scores", start=date(2023, 2, 1))
        assert len(tavily.asked) == 2 * 29
        assert graph.checksums() == before
        assert told(graph, NEWS)["requests"] == {"asked": 0, "kept": 58, "failed": 0, "waiting": 0}
        graph.instance.dispose()

    def test_the_job_and_its_schedule(self, tmp_path: Path) -> None:
        open_end = {"source": "sample", "start": date(2023, 1, 3), "end": date(2024, 12, 31)}
        definitions = build_definitions(settings_of(tmp_path, data=open_end))
        job = definitions.resolve_job_def("news")
        assert {key.path[-1] for key in job.asset_layer.executable_asset_keys} == {
            "news",
            "news_sentiments",
            "document_scores",
        }
        schedule = definitions.resolve_schedule_def("news_daily")
        assert (schedule.cron_schedule, schedule.execution_timezone) == (NEWS_CRON, "UTC")

        def at(*moment: int) -> dg.RunRequest | dg.SkipReason:
            context = dg.build_schedule_context(
                scheduled_execution_time=datetime(*moment, tzinfo=UTC),  # type: ignore[misc]
                repository_def=definitions.get_repository_def(),
            )
            result = schedule.evaluate_tick(context)
            return result.run_requests[0] if result.run_requests else dg.SkipReason(result.skip_message)

        tuesday = at(2023, 3, 14)
        assert isinstance(tuesday, dg.RunRequest)
        assert (tuesday.run_key, tuesday.tags["dagster/partition"]) == ("2023-03-13", "2023-03")
        early = at(2023, 3, 3)
        assert isinstance(early, dg.RunRequest)
        assert early.tags["dagster/asset_partition_range_start"] == "2023-02"
        assert "closed in the last 24 hours" in at(2023, 3, 12).skip_message
        assert "the data run from" in at(2025, 3, 14).skip_message


class TestErrors:
    def test_a_failing_service_stops_nothing_that_follows_from_prices(self, tavily: FakeTavily, tmp_path: Path) -> None:
        graph = Graph(tavily_settings(tavily, tmp_path / "home"))
        tavily.add("SYN001", date(2023, 1, 10), GOOD)
        january = date(2023, 1, 31)
        graph.run("news", end=january)
        tavily.always = 500
        (_, daily, *_) = graph.run("market_data", "news", "news_sentiments", "document_scores", "close_location")
        check = last_check(graph, NEWS, "every_day_answered")
        assert (check.passed, check.severity.name) == (False, "ERROR")
        assert "Tavily is in trouble (HTTP 500)" in check.description
        assert "news: every_day_answered" in daily.failed_checks
        assert_told_nothing(graph, KEY, GOOD)
        store = graph.workspace.store
        assert store.read("news")["date"].to_pylist() == [date(2023, 1, 11)]
        values = store.read("factors/technical/close_location")["value"].to_numpy()
        assert np.isfinite(values).mean() > 0.9
        tavily.always = None
        asked = len(tavily.asked)
        graph.run("news")
        assert last_check(graph, NEWS, "every_day_answered").passed
        assert len(tavily.asked) - asked == 2 * 28  # February alone: January is kept
        graph.instance.dispose()

    def test_a_run_makes_no_more_requests_than_it_may_and_the_next_makes_the_rest(
        self, tavily: FakeTavily, tmp_path: Path
    ) -> None:
        settings = tavily_settings(tavily, tmp_path / "home")
        graph = Graph(settings.model_copy(update={"news": settings.news.model_copy(update={"max_requests": 50})}))
        graph.run("news", start=date(2023, 2, 1))
        assert len(tavily.asked) == 50
        assert told(graph, NEWS)["requests"] == {"asked": 50, "kept": 0, "failed": 0, "waiting": 8}
        check = last_check(graph, NEWS, "every_day_answered")
        assert (check.passed, check.severity.name) == (False, "WARN")
        assert "the 50 requests of news.max_requests" in check.description
        graph.run("news", start=date(2023, 2, 1))
        assert len(tavily.asked) == len(set(tavily.pairs)) == 58
        assert last_check(graph, NEWS, "every_day_answered").passed
        graph.instance.dispose()

    def test_news_of_another_source_are_not_mixed_in(self, tavily: FakeTavily, tmp_path: Path) -> None:
        graph = Graph(tavily_settings(tavily, tmp_path / "home"))
        graph.run("news", end=date(2023, 1, 31))
        headlines(tmp_path / "headlines.csv", ["SYN001", "SYN002"])
        files = {"source": "files", "path": str(tmp_path / "headlines.csv")}
        changed = tavily_settings(tavily, tmp_path / "home", news=files)
        (account,) = run(changed, names=["news"])
        assert "sources are never mixed" in account.failures["read_news"]
        graph.instance.dispose()

    def test_an_unreadable_file_fails_the_news_and_not_the_prices(self, tmp_path: Path) -> None:
        graph = Graph(settings_of(tmp_path / "home", news={"source": "files", "path": str(tmp_path / "no.csv")}))
        names = ("market_data", "news", "news_sentiments", "document_scores", *(n.split("/")[1] for n in FEW))
        with graph.instance as instance:
            accounts = {a.stage: a for a in run_stages(graph.definitions, graph.workspace, instance, names=names)}
        daily = accounts["daily"]
        assert "which is no file; set it to your headlines" in daily.failures["read_news"]
        without = {key.path[-1] for key in daily.without}
        assert without == {"news", "news_sentiments", "document_scores", "newsent", "avgsent14"}

    def test_texts_without_a_number_fail_the_check_and_are_null_with_the_reason(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
        model = {
            "provider": "anthropic",
            "model": "m",
            "url": "http://127.0.0.1:9",
            "input_price": 1,
            "output_price": 1,
            "budget": 0,
        }
        graph = Graph(settings_of(tmp_path / "home", language_model=model))
        headlines(tmp_path / "headlines.csv", graph.workspace.wanted_tickers())
        monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-test")
        graph.run("news", "news_sentiments", "document_scores", "language_model_calls", start=date(2023, 2, 1))
        rows = graph.workspace.store.read("news_sentiments").to_pylist()
        assert [row["sentiment"] for row in rows] == [None] * 3
        assert all("budget" in row["error"] for row in rows)
        check = last_check(graph, SENTIMENTS, "news_are_read")
        assert (check.passed, check.severity.name) == (False, "ERROR")
        assert "3 of 3 have no number: 3 times: " in check.description
        assert graph.workspace.store.read("document_scores").num_rows == 0
        assert graph.workspace.store.read("language_model_calls").num_rows == 0
        graph.instance.dispose()

    def test_two_readers_in_one_table_are_told(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        graph = Graph(settings_of(tmp_path / "home"))
        path = headlines(tmp_path / "headlines.csv", graph.workspace.wanted_tickers())
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{graph.workspace.wanted_tickers()[0]},2023-03-01,{GOOD}\n")
        graph.run("news", "news_sentiments")
        monkeypatch.setattr("factor_assets.text.language_model.model_name", lambda: "another list")
        graph.run("news_sentiments", start=date(2023, 3, 1), end=date(2023, 3, 31))
        check = last_check(graph, SENTIMENTS, "one_reader")
        assert (check.passed, check.severity.name) == (False, "WARN")
        assert "2 readers: vaderSentiment" in check.description
        assert "another list (1). Make the other dates again with the present one." in check.description
        graph.instance.dispose()
