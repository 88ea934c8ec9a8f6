"""Yahoo through yfinance, against a server on loopback that answers as Yahoo does."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from factor_assets.calendar import sessions as exchange_sessions
from factor_assets.settings import Settings
from factor_assets.sources.price_source import IN_THE_FUTURE, OUTSIDE_RANGE, Delivery
from factor_assets.sources.yahoo import RequestPace, YahooSource, yahoo_symbol
from factor_assets.sources.yahoo_chart import REPEATED, UNFINISHED, read_chart
from factor_assets.tables import TABLES
from factor_assets_tests.servers.yahoo import NEW_YORK, Company, FakeYahoo, at, fake_yahoo

START = date(2024, 1, 2)
SESSIONS: list[date] = exchange_sessions("XNYS", START, date(2024, 12, 31)).tolist()
EMPTY = TABLES["price_history"].schema.empty_table()


def company(n: int, **events: Any) -> Company:
    """Prices that are exact in single precision, so that only the code can blur them."""
    bars = {d: (100.0 + i, 102.0 + i, 99.5 + i, 101.25 + i, 1e6 + 40 * i) for i, d in enumerate(SESSIONS[:n])}
    return Company(bars=bars, **events)


def close_of(session: date) -> float:
    return 101.25 + SESSIONS.index(session)


class Client:
    """The source under test, with the server, a store of what was loaded, and time that passes only in waits."""

    def __init__(self, yahoo: FakeYahoo, **settings: Any) -> None:
        self.yahoo = yahoo
        self.stored: dict[str, pa.Table] = {}
        self.waits: list[float] = []
        self.seconds = 0.0
        self.settings = Settings.model_validate(
            {"data": {"source": "yahoo"}, "yahoo": {"requests_per_second": 20, "retries": 2, **settings}}
        )

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.seconds += seconds

    def fetch(self, *tickers: str, start: date = START, end: date | None = None) -> list[Delivery]:
        source = YahooSource(
            self.settings, now=lambda: self.yahoo.now.astimezone(UTC), sleep=self.sleep, clock=lambda: self.seconds
        )
        deliveries = list(source.fetch(tickers, start=start, end=end, stored=lambda t: self.stored.get(t, EMPTY)))
        for delivery in deliveries:
            if delivery.rows is not None:
                self.stored[delivery.ticker] = delivery.rows
        return deliveries

    def at_close_of(self, session: date) -> "Client":
        self.yahoo.now = datetime(session.year, session.month, session.day, 20, tzinfo=NEW_YORK)
        return self


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with fake_yahoo(tmp_path) as yahoo:
        yield Client(yahoo).at_close_of(SESSIONS[99])


class TestAgainstServedPrices:
    def test_prices_as_traded_come_back_from_split_adjusted_ones(self, client: Client) -> None:
        served = company(100, dividends={SESSIONS[20]: 0.5, SESSIONS[70]: 0.25}, splits={SESSIONS[50]: 4.0})
        client.yahoo.companies["AAA"] = served
        (delivery,) = client.fetch("AAA")
        assert delivery.outcome == "loaded"
        assert delivery.reason == ""
        rows = delivery.rows
        assert rows is not None
        assert rows.schema == TABLES["price_history"].schema
        assert rows["date"].to_pylist() == SESSIONS[:100]
        for i, name in enumerate(("open", "high", "low", "close", "volume")):
            assert rows[name].to_pylist() == pytest.approx([bar[i] for bar in served.bars.values()], rel=1e-12)
        events = {r["date"]: (r["dividend"], r["split"]) for r in rows.to_pylist() if r["dividend"] or r["split"]}
        assert events == {SESSIONS[20]: (0.5, None), SESSIONS[50]: (None, 4.0), SESSIONS[70]: (0.25, None)}
        assert set(rows["fetched_at"].to_pylist()) == {client.yahoo.now.astimezone(UTC)}
        assert rows["adjusted_close"].null_count == 100

    def test_a_later_split_changes_no_stored_row(self, client: Client) -> None:
        client.yahoo.companies["AAA"] = company(120, splits={SESSIONS[110]: 3.0, SESSIONS[115]: 0.1})
        (before,) = client.fetch("AAA")
        (after,) = client.at_close_of(SESSIONS[119]).fetch("AAA")
        assert before.rows is not None
        assert after.rows is not None
        assert after.rows.slice(0, 100).equals(before.rows)
        assert after.rows["close"].to_pylist() == pytest.approx([close_of(d) for d in SESSIONS[:120]], rel=1e-9)

    def test_a_split_before_today_s_first_trade_is_undone(self, client: Client) -> None:
        client.yahoo.companies["AAA"] = company(100, splits={SESSIONS[100]: 2.0})
        client.yahoo.now = datetime(SESSIONS[100].year, SESSIONS[100].month, SESSIONS[100].day, 8, tzinfo=NEW_YORK)
        (delivery,) = client.fetch("AAA")
        assert delivery.rows is not None
        assert delivery.rows["close"].to_pylist() == [close_of(d) for d in SESSIONS[:100]]
        assert delivery.dropped == {UNFINISHED: 1}

    def test_an_event_of_tomorrow_does_not_save_the_running_session(self, client: Client) -> None:
        def announce(result: dict[str, Any]) -> None:
            result["events"] = {"dividends": {"next": {"amount": 0.5, "date": at(SESSIONS[100])}}}

        client.yahoo.companies["AAA"] = company(100)
        client.yahoo.reply_with("AAA", announce)
        client.yahoo.now = client.yahoo.now.replace(hour=12)
        (delivery,) = client.fetch("AAA")
        assert delivery.rows is not None
        assert delivery.rows["date"].to_pylist() == SESSIONS[:99]
        assert delivery.dropped == {UNFINISHED: 2}

    def test_cookie_and_crumb_come_from_the_server_too(self, client: Client) -> None:
        client.yahoo.companies["AAA"] = company(5)
        client.fetch("AAA")
        hosts = [address.split("/")[0] for address in client.yahoo.visited]
        assert set(hosts) == {"fc.yahoo.com", "query1.finance.yahoo.com", "query2.finance.yahoo.com"}


class TestProperties:
    def test_second_fetch_is_unchanged_and_asks_for_the_overlap_only(self, client: Client) -> None:
        client.yahoo.companies["AAA"] = company(100, splits={SESSIONS[50]: 2.0})
        client.fetch("AAA")
        (again,) = client.fetch("AAA")
        assert (again.outcome, again.rows) == ("unchanged", None)
        (_, first, _), (_, second, _) = client.yahoo.asked
        day = timedelta(days=1)
        assert datetime.fromtimestamp(first, UTC).date() == START - day
        assert datetime.fromtimestamp(second, UTC).date() == SESSIONS[95] - day

    def test_overlap_is_a_setting(self, tmp_path: Path) -> None:
        with fake_yahoo(tmp_path) as yahoo:
            client = Client(yahoo, overlap_sessions=20).at_close_of(SESSIONS[99])
            yahoo.companies["AAA"] = company(100)
            client.fetch("AAA")
            client.fetch("AAA")
            assert datetime.fromtimestamp(yahoo.asked[-1][1], UTC).date() == SESSIONS[80] - timedelta(days=1)

    def test_new_sessions_are_appended_and_old_rows_keep_their_time(self, client: Client) -> None:
        client.yahoo.companies["AAA"] = company(120)
        client.fetch("AAA")
        loaded_at = client.yahoo.now.astimezone(UTC)
        (delivery,) = client.at_close_of(SESSIONS[104]).fetch("AAA")
        assert delivery.outcome == "loaded"
        assert delivery.rows is not None
        assert delivery.rows.num_rows == 105
        times = delivery.rows["fetched_at"].to_pylist()
        assert times == [loaded_at] * 100 + [client.yahoo.now.astimezone(UTC)] * 5
        assert len(client.yahoo.asked) == 2

    def test_a_revision_in_the_overlap_heals_the_whole_history(self, client: Client) -> None:
        served = company(100)
        client.yahoo.companies["AAA"] = served
        client.fetch("AAA")
        loaded_at = client.yahoo.now.astimezone(UTC)
        revised = (1.0, 2.0, 0.5, 1.5, 10.0)
        served.bars[SESSIONS[10]] = served.bars[SESSIONS[98]] = revised
        client.yahoo.now += timedelta(minutes=5)
        (delivery,) = client.fetch("AAA")
        assert delivery.rows is not None
        changed = [r["date"] for r in delivery.rows.to_pylist() if r["fetched_at"] != loaded_at]
        assert changed == [SESSIONS[10], SESSIONS[98]]
        assert delivery.rows["close"][10].as_py() == 1.5
        assert len(client.yahoo.asked) == 3  # the first load, the overlap, everything

    def test_noise_of_single_precision_is_no_revision(self, client: Client) -> None:
        served = company(100)
        client.yahoo.companies["AAA"] = served
        client.fetch("AAA")
        served.bars[SESSIONS[99]] = tuple(v * (1 + 1e-7) if v else v for v in served.bars[SESSIONS[99]])  # type: ignore[assignment]
        assert client.fetch("AAA")[0].outcome == "unchanged"

    def test_an_earlier_start_fetches_what_is_missing(self, client: Client) -> None:
        client.yahoo.companies["AAA"] = company(100)
        client.fetch("AAA", start=SESSIONS[60])
        (delivery,) = client.fetch("AAA", start=START)
        assert delivery.rows is not None
        assert delivery.rows["date"][0].as_py() == START

    def test_rows_after_the_end_are_counted(self, client: Client) -> None:
        client.yahoo.companies["AAA"] = company(100, splits={SESSIONS[80]: 2.0})
        (delivery,) = client.fetch("AAA", end=SESSIONS[49])
        assert delivery.rows is not None
        assert delivery.rows["close"].to_pylist() == [close_of(d) for d in SESSIONS[:50]]
        assert delivery.dropped == {OUTSIDE_RANGE: 50}
        assert IN_THE_FUTURE not in delivery.dropped

    def test_the_running_session_is_left_out(self, client: Client) -> None:
        client.yahoo.companies["AAA"] = company(100)
        client.yahoo.now = datetime(SESSIONS[99].year, SESSIONS[99].month, SESSIONS[99].day, 12, tzinfo=NEW_YORK)
        (delivery,) = client.fetch("AAA")
        assert delivery.rows is not None
        assert delivery.rows["date"][-1].as_py() == SESSIONS[98]
        assert delivery.dropped == {UNFINISHED: 1}

    def test_a_null_row_stays_and_is_counted(self, client: Client) -> None:
        served = company(100)
        served.bars[SESSIONS[40]] = (None,) * 5
        client.yahoo.companies["AAA"] = served
        (delivery,) = client.fetch("AAA")
        assert delivery.reason == "1 of 100 sessions have no close"
        assert delivery.rows is not None
        assert delivery.rows["close"][40].as_py() is None
        assert client.fetch("AAA")[0].outcome == "unchanged"

    def test_text_in_a_price_is_null_and_explained(self, client: Client) -> None:
        def spoil(result: dict[str, Any]) -> None:
            result["indicators"]["quote"][0]["close"][3] = "abc"

        client.yahoo.companies["AAA"] = company(100)
        client.yahoo.reply_with("AAA", spoil)
        (delivery,) = client.fetch("AAA")
        assert delivery.rows is not None
        assert delivery.rows["close"][3].as_py() is None
        assert delivery.rows["issue"][3].as_py() == "close: 'abc' is not a number"
        assert delivery.rows["close"][4].as_py() == close_of(SESSIONS[4])
        assert delivery.rows["issue"].null_count == 99
        assert delivery.reason.split("; ")[1].startswith(
            "cells of 1 of 100 rows could not be read, such as on 2024-01-05"
        )

    def test_a_repeated_session_is_counted(self) -> None:
        yahoo = FakeYahoo()
        yahoo.companies["AAA"] = company(3)
        answer = yahoo.chart("AAA", 0, at(SESSIONS[50]))
        result = answer["chart"]["result"][0]
        result["timestamp"].append(result["timestamp"][-1] + 3600)
        for values in result["indicators"]["quote"][0].values():
            values.append(1.0)
        chart = read_chart(answer, ticker="AAA", now=yahoo.now.astimezone(UTC))
        assert chart.dropped == {REPEATED: 1}
        assert chart.rows["close"].to_pylist() == [close_of(d) for d in SESSIONS[:3]]

    def test_one_row_ticker(self, client: Client) -> None:
        client.yahoo.companies["ONE"] = company(1)
        (delivery,) = client.fetch("ONE")
        assert delivery.rows is not None
        assert delivery.rows.num_rows == 1

    @pytest.mark.parametrize(
        ("ticker", "symbol"),
        [
            ("BRK.B", "BRK-B"),
            ("BRK/B", "BRK-B"),
            ("bf.b", "BF-B"),
            ("VOD.L", "VOD.L"),
            ("7203.T", "7203.T"),
            ("^GSPC", "^GSPC"),
        ],
    )
    def test_spelling(self, ticker: str, symbol: str) -> None:
        assert yahoo_symbol(ticker) == symbol

    def test_rows_are_named_as_asked(self, client: Client) -> None:
        client.yahoo.companies["BRK-B"] = company(10)
        (delivery,) = client.fetch("BRK.B")
        assert delivery.rows is not None
        assert set(delivery.rows["ticker"].to_pylist()) == {"BRK.B"}
        assert client.yahoo.asked[0][0] == "BRK-B"

    @pytest.mark.parametrize("bad", [(429, 429), (500, 500), ("hang up",)])
    def test_a_passing_failure_is_retried(self, client: Client, bad: tuple[Any, ...]) -> None:
        client.yahoo.companies["AAA"] = company(10)
        client.yahoo.reply_with("AAA", *bad)  # yfinance itself asks a second time after a status above 400
        assert client.fetch("AAA")[0].outcome == "loaded"
        assert 2.0 in client.waits

    def test_requests_keep_their_pace(self) -> None:
        waits: list[float] = []
        clock = [0.0]

        def sleep(seconds: float) -> None:
            waits.append(seconds)
            clock[0] += seconds

        pace = RequestPace(2.0, sleep=sleep, clock=lambda: clock[0])
        for _ in range(4):
            pace.take()
        clock[0] += 10.0
        pace.take()
        pace.take()
        assert waits == [0.5, 0.5, 0.5, 0.5]


class TestErrors:
    def test_one_bad_ticker_never_stops_the_rest(self, client: Client) -> None:
        for name in ("AAA", "LIMIT", "TEXT", "ZZZ"):
            client.yahoo.companies[name] = company(10)
        client.yahoo.reply_with("LIMIT", *[429] * 6)
        client.yahoo.reply_with("TEXT", b"<html>Will be right back</html>")
        outcomes = {d.ticker: (d.outcome, d.reason) for d in client.fetch("AAA", "LIMIT", "TEXT", "GONE", "ZZZ")}
        assert outcomes == {
            "AAA": ("loaded", ""),
            "LIMIT": ("failed", "Yahoo's rate limit (HTTP 429), 3 times; try again later"),
            "TEXT": (
                "failed",
                "Yahoo's answer is not JSON (HTTP 200, it begins '<html>Will be right back</html>')",
            ),
            "GONE": ("failed", "Yahoo has no prices: No data found, symbol may be delisted"),
            "ZZZ": ("loaded", ""),
        }

    def test_a_server_error_that_stays(self, client: Client) -> None:
        client.yahoo.companies["AAA"] = company(10)
        client.yahoo.reply_with("AAA", *[500] * 6)
        assert client.fetch("AAA")[0].reason == "Yahoo answered HTTP 500, 3 times; try again later"

    def test_a_lost_connection_that_stays(self, client: Client) -> None:
        client.yahoo.companies["AAA"] = company(10)
        client.yahoo.reply_with("AAA", *["hang up"] * 3)
        reason = client.fetch("AAA")[0].reason
        assert reason.startswith("no connection to Yahoo (")
        assert reason.endswith("3 times; try again later")

    def test_an_empty_range(self, client: Client) -> None:
        client.yahoo.companies["AAA"] = Company(bars={date(1999, 1, 4): (1.0, 1.0, 1.0, 1.0, 1.0)})
        assert client.fetch("AAA")[0].reason == "Yahoo has no prices in the date range"

    @pytest.mark.parametrize(
        ("spoil", "said"),
        [
            (lambda r: r["indicators"]["quote"][0]["close"].pop(), "10 sessions, 9 values of close"),
            (lambda r: r.pop("meta"), "KeyError 'meta'"),
            (lambda r: r.update(timestamp=["x"] * 10), "TypeError"),
            (lambda r: r["timestamp"].reverse(), f"{SESSIONS[8]} comes after {SESSIONS[9]}"),
            (lambda r: r["indicators"].update(quote=[]), "IndexError"),
        ],
    )
    def test_malformed_charts(self, client: Client, spoil: Any, said: str) -> None:
        client.yahoo.companies["AAA"] = company(10)
        client.yahoo.reply_with("AAA", spoil)
        (delivery,) = client.fetch("AAA")
        assert delivery.outcome == "failed"
        assert "Yahoo's answer is not a chart" in delivery.reason
        assert said in delivery.reason

    def test_json_that_is_no_chart(self, client: Client) -> None:
        client.yahoo.reply_with("AAA", b"[1, 2]")
        assert client.fetch("AAA")[0].reason.startswith("Yahoo's answer is not a chart: TypeError")

    def test_an_answer_that_lost_most_sessions_is_not_believed(self, client: Client) -> None:
        served = company(100)
        client.yahoo.companies["AAA"] = served
        client.fetch("AAA")
        for session in SESSIONS[50:99]:
            del served.bars[session]
        (delivery,) = client.fetch("AAA")
        assert delivery.outcome == "failed"
        assert delivery.reason == (
            "Yahoo's answer lacks 49 of 100 stored sessions; what is stored stays."
            " Fetch again later; if the ticker now means another company, delete its stored history."
        )

    def test_a_split_of_zero_is_explained(self, client: Client) -> None:
        def spoil(result: dict[str, Any]) -> None:
            when = at(SESSIONS[5])
            result["events"] = {"splits": {str(when): {"date": when, "numerator": 1, "denominator": 0}}}

        client.yahoo.companies["AAA"] = company(10)
        client.yahoo.reply_with("AAA", spoil)
        (delivery,) = client.fetch("AAA")
        assert delivery.rows is not None
        assert delivery.rows["split"].null_count == 10
        assert delivery.rows["issue"][5].as_py() == "split: 0 is not above 0"
