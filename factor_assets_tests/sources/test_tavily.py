"""Tavily: what is asked and kept, what is never asked twice, and what a service that misbehaves costs."""

import json
import logging
import multiprocessing
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from factor_assets.settings import NewsSettings
from factor_assets.sources.articles import Articles
from factor_assets.sources.tavily import GIVE_UP_AFTER, TavilyNews, kept_answers, read_answers
from factor_assets.storage.documents import Documents
from factor_assets_tests.servers.tavily import KEY, FakeTavily, fake_tavily

DAY, NEXT = date(2024, 3, 5), date(2024, 3, 6)
NOW = datetime(2024, 3, 20, 12, tzinfo=UTC)
CLOSE = datetime(2024, 3, 19, 20, tzinfo=UTC)


@pytest.fixture
def tavily(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeTavily]:
    monkeypatch.setenv("TAVILY_API_KEY", KEY)
    with fake_tavily() as server:
        yield server


def settings(server: FakeTavily, **changes: Any) -> NewsSettings:
    return NewsSettings(
        **{"source": "tavily", "url": server.url, "requests_per_second": 50, "timeout": 0.5, "retries": 2, **changes}
    )


def fetch(
    server: FakeTavily,
    home: Path,
    tickers: list[str],
    days: list[date],
    *,
    now: datetime = NOW,
    close: datetime = CLOSE,
    **changes: Any,
) -> dict[tuple[str, date], tuple[str, str]]:
    client = TavilyNews(settings(server, **changes), documents(home), home=home, clock=lambda: now, backoff=0.01)
    return {
        (found.ticker, found.day): (found.outcome, found.reason)
        for found in client.fetch(
            tickers,
            days,
            last_close=close,
            kept=kept_answers(documents(home), tickers, first=days[0], last=days[-1]),
        )
    }


def read(home: Path, tickers: list[str], days: list[date]) -> Articles:
    kept = kept_answers(documents(home), tickers, first=days[0], last=days[-1])
    return read_answers(documents(home), tickers, days, kept=kept)


def documents(home: Path) -> Documents:
    return Documents(str(home / "documents"))


def keys(home: Path) -> list[str]:
    return sorted(info.key for info in documents(home).list("news"))


class TestAgainstTheService:
    def test_a_day_is_asked_as_the_service_wants_it(self, tavily: FakeTavily, tmp_path: Path) -> None:
        fetch(tavily, tmp_path, ["AAPL"], [DAY], max_results=7)
        (asked,) = tavily.asked
        assert asked.pop("at")
        assert asked == {
            "query": "AAPL stock news",
            "topic": "finance",
            "search_depth": "advanced",
            "max_results": 7,
            "include_answer": True,
            "include_raw_content": True,
            "start_date": "2024-03-05",
            "end_date": "2024-03-05",
        }
        assert tavily.keys == {f"Bearer {KEY}"}

    def test_the_answer_is_kept_byte_for_byte(self, tavily: FakeTavily, tmp_path: Path) -> None:
        delivered = b'{ "results" : [],\n "odd": 1.50 }'
        tavily.replies.append(delivered)
        fetch(tavily, tmp_path, ["BRK/B"], [DAY])
        assert keys(tmp_path) == ["news/tavily/BRK%2FB/2024-03-05.json"]
        assert documents(tmp_path).get(keys(tmp_path)[0]) == delivered

    def test_articles_are_read_with_their_moment_or_the_day_that_was_asked(
        self, tavily: FakeTavily, tmp_path: Path
    ) -> None:
        moment = datetime(2024, 3, 5, 14, 30, tzinfo=UTC)
        tavily.add("AAPL", DAY, "Apple rises", "It rose.", published=moment, raw_content="menu It rose. menu")
        tavily.add("AAPL", DAY, "Apple falls", "", raw_content="It fell.")
        tavily.add("AAPL", DAY, "", "")
        fetch(tavily, tmp_path, ["AAPL"], [DAY])
        found = read(tmp_path, ["AAPL"], [DAY])
        assert found.rows.select(["title", "content", "published_at", "published_on", "asked_on"]).to_pylist() == [
            {
                "title": "Apple rises",
                "content": "It rose.",
                "published_at": moment,
                "published_on": None,
                "asked_on": DAY,
            },
            {
                "title": "Apple falls",
                "content": "It fell.",
                "published_at": None,
                "published_on": DAY,
                "asked_on": DAY,
            },
        ]
        assert found.dropped == {"no text": 1}


class TestProperties:
    def test_a_second_run_asks_nothing(self, tavily: FakeTavily, tmp_path: Path) -> None:
        first = fetch(tavily, tmp_path, ["A", "B"], [DAY, NEXT])
        assert Counter(outcome for outcome, _ in first.values()) == {"asked": 4}
        assert tavily.pairs == [(t, str(d)) for t in "AB" for d in (DAY, NEXT)]
        second = fetch(tavily, tmp_path, ["A", "B"], [DAY, NEXT])
        assert Counter(outcome for outcome, _ in second.values()) == {"kept": 4}
        assert len(tavily.asked) == 4

    def test_a_day_that_is_not_over_is_asked_after_each_close_and_when_it_is_over(
        self, tavily: FakeTavily, tmp_path: Path
    ) -> None:
        def at(hour: int, *, close: int, day: date = DAY) -> str:
            moment = datetime(day.year, day.month, day.day, hour, tzinfo=UTC)
            closed = datetime(2024, 3, 4 + (close < hour or day > DAY), 21, tzinfo=UTC)
            tavily.add("A", DAY, f"known at {moment:%d %H}", "text")
            return fetch(tavily, tmp_path, ["A"], [DAY], now=moment, close=closed)["A", DAY][0]

        assert [at(12, close=21), at(13, close=21), at(22, close=21), at(23, close=21)] == [
            "asked",
            "kept",
            "asked",
            "kept",
        ]
        assert [at(0, close=21, day=NEXT), at(1, close=21, day=NEXT)] == ["asked", "kept"]
        assert keys(tmp_path) == [f"news/tavily/A/2024-03-05{stamp}.json" for stamp in ("", "T120000Z", "T220000Z")]
        titles = read(tmp_path, ["A"], [DAY]).rows["title"].to_pylist()
        assert set(titles) == {f"known at 05 {hour}" for hour in (12, 13, 22, 23)} | {"known at 06 00"}

    def test_days_that_have_not_begun_are_left(self, tavily: FakeTavily, tmp_path: Path) -> None:
        assert fetch(tavily, tmp_path, ["A"], [NEXT], now=datetime(2024, 3, 5, 9, tzinfo=UTC)) == {}
        assert not tavily.asked

    def test_answers_of_other_days_and_tickers_are_not_read(self, tavily: FakeTavily, tmp_path: Path) -> None:
        for ticker in ("A", "AA"):
            for day in (date(2024, 3, 4), DAY, NEXT):
                tavily.add(ticker, day, f"{ticker} {day}", "text")
        fetch(tavily, tmp_path, ["A", "AA"], [date(2024, 3, 4), DAY, NEXT])
        assert read(tmp_path, ["A"], [DAY]).rows["title"].to_pylist() == ["A 2024-03-05"]

    def test_the_rate_holds_over_processes(self, tavily: FakeTavily, tmp_path: Path) -> None:
        spawn = multiprocessing.get_context("spawn")
        workers = [
            spawn.Process(target=ask_from_a_process, args=(tavily.url, str(tmp_path), f"T{number}"))
            for number in range(4)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(120)
        moments = sorted(entry["at"] for entry in tavily.asked)
        assert len(moments) == 12
        assert len(keys(tmp_path)) == 12
        # 10 a second; on a busy machine the server sees a request a moment after it was sent.
        assert moments[-1] - moments[0] >= 11 * 0.1 - 0.1
        assert all(late - early >= 0.5 for early, late in zip(moments, moments[9:], strict=False))


def ask_from_a_process(url: str, home: str, ticker: str) -> None:
    import os

    os.environ["TAVILY_API_KEY"] = KEY
    chosen = NewsSettings(source="tavily", url=url, requests_per_second=10)
    client = TavilyNews(chosen, Documents(f"{home}/documents"), home=Path(home), clock=lambda: NOW)
    days = [date(2024, 3, 4), DAY, NEXT]
    assert [found.outcome for found in client.fetch([ticker], days, last_close=CLOSE, kept={})] == ["asked"] * 3


class TestErrors:
    def test_further_attempts_count_as_requests(self, tavily: FakeTavily, tmp_path: Path) -> None:
        tavily.always = 500
        found = fetch(tavily, tmp_path, ["AAPL", "MSFT"], [DAY], max_requests=2, retries=5)
        assert len(tavily.asked) == 2
        assert {outcome for outcome, _ in found.values()} <= {"failed", "waiting"}
        assert all("HTTP 500" in why or "news.max_requests" in why for _, why in found.values())

    @pytest.mark.parametrize(
        "reply",
        [429, (429, {"Retry-After": "1"}), 500, 503, "hang up", "silence", "drip", b"<html>", b"[1, 2]", b'{"a": 1}'],
        ids=str,
    )
    def test_what_passes_is_asked_again_and_nothing_is_lost_or_doubled(
        self, tavily: FakeTavily, tmp_path: Path, reply: Any
    ) -> None:
        for ticker in "AB":
            tavily.add(ticker, DAY, f"{ticker} rises", "text")
        tavily.replies.append(reply)
        began = time.monotonic()
        found = fetch(tavily, tmp_path, ["A", "B"], [DAY])
        assert {outcome for outcome, _ in found.values()} == {"asked"}
        assert len(tavily.asked) == 3
        assert sorted(read(tmp_path, ["A", "B"], [DAY]).rows["title"].to_pylist()) == [
            "A rises",
            "B rises",
        ]
        if isinstance(reply, tuple):
            assert time.monotonic() - began >= 1

    @pytest.mark.parametrize(
        ("reply", "text"),
        [
            (429, "Tavily has had too many requests (HTTP 429), 2 times. Lower news.requests_per_second"),
            (500, "Tavily is in trouble (HTTP 500), 2 times. What was stored is still there; ask again later."),
            ("hang up", "Tavily could not be reached, or hung up"),
            ("silence", "Tavily did not answer in time (0.2 s of silence, 0.8 s in all), 2 times. Raise news.timeout"),
            ("drip", "Tavily did not answer in time (0.2 s of silence, 0.8 s in all), 2 times. Raise news.timeout"),
            (b"{", "Tavily answered with something that is not JSON, 2 times. Ask again later"),
            (400, "Tavily refused (HTTP 400). Check news.url and news.max_results."),
            ((429, {"Retry-After": "900"}), "(HTTP 429) and wants a pause of 900 s. Lower news.requests_per_second"),
        ],
        ids=str,
    )
    def test_what_stays_names_service_and_remedy_and_stores_nothing(
        self, tavily: FakeTavily, tmp_path: Path, reply: Any, text: str
    ) -> None:
        tavily.always = reply
        outcome, reason = fetch(tavily, tmp_path, ["A"], [DAY], timeout=0.2, retries=1)["A", DAY]
        assert outcome == "failed"
        assert text in reason
        assert keys(tmp_path) == []

    def test_one_that_fails_does_not_stop_the_others(self, tavily: FakeTavily, tmp_path: Path) -> None:
        tavily.replies.append(400)
        found = fetch(tavily, tmp_path, ["A", "B", "C", "D"], [DAY, NEXT])
        assert Counter(outcome for outcome, _ in found.values()) == {"asked": 7, "failed": 1}
        again = fetch(tavily, tmp_path, ["A", "B", "C", "D"], [DAY, NEXT])
        assert Counter(outcome for outcome, _ in again.values()) == {"asked": 1, "kept": 7}

    def test_a_service_that_is_down_is_not_asked_for_everything(self, tavily: FakeTavily, tmp_path: Path) -> None:
        tavily.always = 500
        days = [date(2024, 3, day) for day in range(1, 20)]
        found = fetch(tavily, tmp_path, ["A", "B"], days, retries=0)
        assert {outcome for outcome, _ in found.values()} == {"failed"}
        assert GIVE_UP_AFTER <= len(tavily.asked) <= GIVE_UP_AFTER + 4
        assert sum(reason.startswith("not asked for: Tavily is in trouble") for _, reason in found.values()) >= 30

    @pytest.mark.parametrize(
        ("status", "remedy"),
        [(401, "TAVILY_API_KEY"), (403, "TAVILY_API_KEY"), (432, "credits are used up"), (433, "credits are used up")],
    )
    def test_a_refused_key_or_plan_ends_the_asking(
        self, tavily: FakeTavily, tmp_path: Path, status: int, remedy: str
    ) -> None:
        tavily.always = status
        days = [date(2024, 3, day) for day in range(1, 20)]
        found = fetch(tavily, tmp_path, ["A"], days)
        assert all(outcome == "failed" and remedy in reason for outcome, reason in found.values())
        assert len(tavily.asked) <= 4

    def test_without_a_key_nothing_is_asked_and_what_is_kept_still_counts(
        self, tavily: FakeTavily, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fetch(tavily, tmp_path, ["A"], [DAY])
        monkeypatch.delenv("TAVILY_API_KEY")
        found = fetch(tavily, tmp_path, ["A"], [DAY, NEXT])
        assert found["A", DAY] == ("kept", "")
        assert found["A", NEXT] == (
            "failed",
            "Tavily wants a key: set the environment variable TAVILY_API_KEY.",
        )
        assert len(tavily.asked) == 1

    @pytest.mark.parametrize("reply", [401, 429, 500, "hang up", "silence", b"<html>"], ids=str)
    def test_the_key_is_in_no_message_log_or_file(
        self, tavily: FakeTavily, tmp_path: Path, reply: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        tavily.always = reply
        found = fetch(tavily, tmp_path, ["A"], [DAY], timeout=0.2, retries=1)
        assert KEY not in repr(found)
        assert KEY not in caplog.text
        tavily.always = None
        fetch(tavily, tmp_path, ["A"], [DAY])
        assert not any(KEY.encode() in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())

    def test_a_kept_answer_that_cannot_be_read_is_counted(self, tmp_path: Path) -> None:
        kept = documents(tmp_path)
        kept.put("news/tavily/A/2024-03-05.json", b"{")
        kept.put("news/tavily/A/2024-03-06.json", json.dumps({"results": [3, {"title": "t"}]}).encode())
        kept.put("news/tavily/A/notes.json", b"{}")
        found = read(tmp_path, ["A"], [DAY, NEXT])
        assert found.rows["title"].to_pylist() == ["t"]
        assert found.dropped == {"an answer that cannot be read": 2}
