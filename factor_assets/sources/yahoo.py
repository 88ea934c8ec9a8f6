"""The source `yahoo`: Yahoo Finance through yfinance, ticker by ticker, only what is new where that is enough.

yfinance supplies the session: browser-like connection, cookies, crumb, recognised rate limits. Its `Ticker.history` is
not used, because it cuts off the splits after the range (which are needed to undo Yahoo's adjustment), drops rows
without a close, and hides why a request failed; the same request is made here and read by `yahoo_chart.py`.
"""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from factor_assets.calendar import time_zone
from factor_assets.errors import MalformedDataError, SourceError
from factor_assets.settings import Settings
from factor_assets.sources.delivered_rows import NUMBERS, SCHEMA, clip_dates, issue_remarks, sort_rows
from factor_assets.sources.price_source import Delivery, price_source
from factor_assets.sources.yahoo_chart import LABEL, Chart, read_chart

CHART_URL = "https://query2.finance.yahoo.com/v8/finance/chart/"
# Yahoo's prices are single precision; a split undone costs about one more bit.
TOLERANCE = 1e-5
MOST_GONE = 0.05  # fraction of the stored sessions that may be missing from an answer before it is not believed
LONGEST_CLOSURE = timedelta(days=14)


class YahooSource:
    """Yahoo Finance as a source.

    1. Without stored rows, or when the range now starts earlier, fetch everything from `start`.
    2. Otherwise fetch from `overlap_sessions` before the last stored session. If those sessions differ from what is
       stored, or there is a split that is not stored, fetch everything: Yahoo revised the past.
    3. A row that is as it was keeps its earlier `fetched_at`. If all do and none is new, the ticker is unchanged.
    4. An answer that lacks more than `MOST_GONE` of the stored sessions is not believed; what is stored stays.

    Parameters
    ----------
    now, sleep, clock
        Time of day (zone required), waiting, and a clock in seconds for the rate limit.
    """

    label = LABEL
    synthetic = False
    has_events = True

    def __init__(
        self,
        settings: Settings,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings.yahoo
        self._zone = ZoneInfo(time_zone(settings.data.calendar))
        self._now, self._sleep = now, sleep
        self._pace = RequestPace(settings.yahoo.requests_per_second, sleep=sleep, clock=clock)

    @property
    def batch_size(self) -> int:
        """Tickers that are committed together."""
        return self._settings.batch_size

    def tickers(self) -> None:
        """Return None: any ticker may be asked for."""
        return

    def version(self) -> str:
        """Return "": only asking tells whether Yahoo has something new."""
        return ""

    def fetch(
        self, tickers: Sequence[str], *, start: date, end: date | None, stored: Callable[[str], pa.Table]
    ) -> Iterator[Delivery]:
        """Deliver the tickers' rows from `start` to `end`."""
        for ticker in tickers:
            try:
                yield self._deliver(ticker, start=start, end=end, stored=stored(ticker))
            except SourceError as error:
                yield Delivery(ticker=ticker, outcome="failed", reason=str(error))

    def _deliver(self, ticker: str, *, start: date, end: date | None, stored: pa.Table) -> Delivery:
        today = self._now().astimezone(self._zone).date()
        before, _ = clip_dates(sort_rows(stored.select(SCHEMA.names).cast(SCHEMA)), start=start, end=end, today=today)
        chart, rows = self._newest(ticker, start=start, stored=before)
        rows, dropped = clip_dates(rows, start=start, end=end, today=today)
        dropped = {**chart.dropped, **dropped}
        if not rows.num_rows:
            raise SourceError("Yahoo has no prices in the date range")
        if rows.equals(before) and before.num_rows == stored.num_rows:
            return Delivery(ticker=ticker, outcome="unchanged", dropped=dropped)
        gone = before.num_rows - int(_position(before, rows)[1].sum())
        if gone > MOST_GONE * before.num_rows:
            raise SourceError(
                f"Yahoo's answer lacks {gone} of {before.num_rows} stored sessions; what is stored stays."
                " Fetch again later; if the ticker now means another company, delete its stored history."
            )
        remarks = [f"{n} of {rows.num_rows} sessions have no close"] if (n := rows["close"].null_count) else []
        remarks += issue_remarks(rows)
        remarks += [f"{gone} stored sessions are gone"] if gone else []
        return Delivery(ticker=ticker, outcome="loaded", reason="; ".join(remarks), rows=rows, dropped=dropped)

    def _newest(self, ticker: str, *, start: date, stored: pa.Table) -> tuple[Chart, pa.Table]:
        """Return the last answer, and the whole history: stored rows where nothing changed, new ones elsewhere."""
        if stored.num_rows:
            since = stored["date"][max(0, stored.num_rows - self._settings.overlap_sessions)].as_py()
            chart = self._chart(ticker, since=since)
            recent = stored.filter(pc.greater_equal(stored["date"], pa.scalar(since, pa.date32())))
            fresh = chart.rows.filter(pc.greater_equal(chart.rows["date"], pa.scalar(since, pa.date32())))
            first_wanted = max(start, chart.first_trade or start)
            reaches_back = stored["date"][0].as_py() - first_wanted <= LONGEST_CLOSURE
            kept, added = _merge(recent, fresh)
            if reaches_back and kept.num_rows == recent.num_rows and added["split"].null_count == added.num_rows:
                earlier = stored.slice(0, stored.num_rows - recent.num_rows)
                return chart, sort_rows(pa.concat_tables([earlier, kept, added]))
        chart = self._chart(ticker, since=start)
        return chart, sort_rows(pa.concat_tables(_merge(stored, chart.rows)))

    def _chart(self, ticker: str, *, since: date) -> Chart:
        now = self._now()
        # A day before: east of Greenwich a session opens on the day before in UTC. A day after: today is wanted.
        first = datetime(since.year, since.month, since.day, tzinfo=UTC) - timedelta(days=1)
        params = {
            "period1": int(first.timestamp()),
            "period2": int((now + timedelta(days=1)).timestamp()),
            "interval": "1d",
            "includePrePost": "false",
            "events": "div,splits",
        }
        return read_chart(
            self._ask(CHART_URL + quote(yahoo_symbol(ticker), safe="^=-."), params), ticker=ticker, now=now
        )

    def _ask(self, url: str, params: dict[str, Any]) -> Any:
        """Return the JSON of an answer; wait and ask again after a rate limit, a server error or a lost connection."""
        from yfinance.data import YfData
        from yfinance.exceptions import YFException, YFRateLimitError

        problem = ""
        for attempt in range(self._settings.retries + 1):
            if attempt:
                self._sleep(min(60.0, 2.0**attempt))
            self._pace.take()
            try:
                response = YfData().get(url=url, params=params, timeout=30)
            except YFRateLimitError:
                problem = "Yahoo's rate limit (HTTP 429)"
            except YFException as error:
                raise SourceError(f"yfinance refused: {error}") from error
            except OSError as error:  # the connection errors of both of yfinance's HTTP libraries
                problem = f"no connection to Yahoo ({type(error).__name__}: {str(error).splitlines()[0]})"
            else:
                if response.status_code < 500 and response.status_code != 429:
                    return _json(response)
                problem = f"Yahoo answered HTTP {response.status_code}"
        raise SourceError(f"{problem}, {self._settings.retries + 1} times; try again later")


class RequestPace:
    """Lets one request pass every 1 / rate seconds, and none sooner.

    Parameters
    ----------
    rate
        Requests per second.
    """

    def __init__(self, rate: float, *, sleep: Callable[[float], None], clock: Callable[[], float]) -> None:
        self._interval = 1.0 / rate
        self._sleep, self._clock = sleep, clock
        self._next = clock()

    def take(self) -> None:
        """Wait until a request may pass."""
        wait = self._next - self._clock()
        if wait > 0:
            self._sleep(wait)
        self._next = max(self._next, self._clock()) + self._interval


def yahoo_symbol(ticker: str) -> str:
    """Spell a ticker as Yahoo does: share classes after a hyphen, BRK.B and BRK/B as BRK-B.

    Only the letters A to C are taken as classes; others after a dot are exchanges there, such as VOD.L in London.
    """
    return re.sub(r"[./]([A-C])$", r"-\1", ticker.strip().upper()).replace("/", "-")


def _json(response: Any) -> Any:
    try:
        return response.json()
    except ValueError as error:
        start = " ".join(response.text[:60].split())
        raise MalformedDataError(
            f"Yahoo's answer is not JSON (HTTP {response.status_code}, it begins {start!r})"
        ) from error


def _position(rows: pa.Table, among: pa.Table) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Position of each row's date among the dates of another table, and whether it is there at all."""
    dates, others = rows["date"].to_numpy(), among["date"].to_numpy()
    if not len(others):
        return np.zeros(len(dates), np.int64), np.zeros(len(dates), np.bool_)
    position = np.minimum(np.searchsorted(others, dates), len(others) - 1)
    return position, others[position] == dates


def _merge(stored: pa.Table, fresh: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Return the stored rows that the answer confirms, and the answer's rows that are new or differ."""
    position, there = _position(fresh, stored)
    same = there.copy()
    if there.any():
        counterpart = stored.take(position)
        for name in NUMBERS:
            old, new = (t[name].to_numpy() for t in (counterpart, fresh))
            close = np.abs(old - new) <= TOLERANCE * np.maximum(np.abs(old), np.abs(new))
            same &= close | (np.isnan(old) & np.isnan(new))
    return stored.take(position[same]), fresh.filter(pa.array(~same))


@price_source("yahoo")
def open_yahoo(settings: Settings) -> YahooSource:
    """Open Yahoo Finance."""
    return YahooSource(settings)
