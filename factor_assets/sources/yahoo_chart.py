"""One answer of Yahoo's chart API (v8/finance/chart) -> a ticker's rows as traded. How it was fetched is `yahoo.py`'s.

Yahoo adjusts prices, dividends and volumes for every split up to the moment of the answer. An answer that reaches up
to now has all of them, so they are undone here (`as_traded.py`) and a later split changes no row. Yahoo's own adjusted
close is not taken: its level changes with every later dividend, and the dividends are stored.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa

from factor_assets.errors import MalformedDataError, SourceError
from factor_assets.sources.as_traded import undo_splits
from factor_assets.sources.delivered_rows import Zones, place_rows

LABEL = "yahoo"
UNFINISHED = "session not finished"
REPEATED = "repeated session"
QUOTES = ("open", "high", "low", "close", "volume")


@dataclass(frozen=True, kw_only=True)
class Chart:
    """What one answer holds.

    Parameters
    ----------
    rows
        Rows of `price_history`, as traded, one a session, sorted by date.
    dropped
        Reason -> number of rows left out: the session that is still running, and repeats of one.
    first_trade
        Day of the ticker's first trade that Yahoo knows of.
    """

    rows: pa.Table
    dropped: dict[str, int]
    first_trade: date | None


def read_chart(answer: Any, *, ticker: str, now: datetime) -> Chart:
    """Read an answer that reaches up to `now`.

    A dividend or split on a day without a row goes to the next row.

    Raises
    ------
    MalformedDataError
        If the answer is not a chart.
    SourceError
        If it says that there are no prices.
    """
    try:
        chart = answer["chart"]
        error, result = chart.get("error"), chart.get("result")
        if error:
            raise SourceError(f"Yahoo has no prices: {error.get('description') or error.get('code')}")
        if not result or not result[0].get("timestamp"):
            raise SourceError("Yahoo has no prices in the date range")
        return _read(result[0], ticker=ticker, now=now)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError, OSError) as error:
        raise MalformedDataError(f"Yahoo's answer is not a chart: {type(error).__name__} {error}") from error


def _read(result: dict[str, Any], *, ticker: str, now: datetime) -> Chart:
    meta = result["meta"]
    zone = ZoneInfo(meta["exchangeTimezoneName"])
    quote = result["indicators"]["quote"][0]
    dates, picked = _sessions(result["timestamp"], zone)
    dropped = {REPEATED: len(result["timestamp"]) - len(dates)}
    columns: dict[str, list[Any]] = {}
    for name in QUOTES:
        values = quote.get(name) or [None] * len(result["timestamp"])
        if len(values) != len(result["timestamp"]):
            raise MalformedDataError(
                f"Yahoo's answer is not a chart: {len(result['timestamp'])} sessions, {len(values)} values of {name}"
            )
        columns[name] = [values[position] for position in picked]
    still_ahead = _add_events(result.get("events") or {}, dates=dates, columns=columns, zone=zone)

    cells = pa.table(
        {
            "ticker": pa.array([ticker] * len(dates), pa.string()),
            "date": pa.array(dates, pa.date32()),
            **{name: _cells(values) for name, values in columns.items()},
        }
    )
    rows, _ = place_rows(
        cells,
        zones=Zones(exchange=zone, naive=zone),
        label=LABEL,
        fetched_at=pa.scalar(now.astimezone(UTC), pa.timestamp("us", tz="UTC")),
    )
    rows = undo_splits(rows)
    regular = meta.get("currentTradingPeriod", {}).get("regular")
    # Both may hold: during a session, an event of the next one.
    traded = dates[:-1] if still_ahead else dates
    running = (
        regular is not None and now.timestamp() < regular["end"] and _session(regular["start"], zone) <= traded[-1]
    )
    dropped[UNFINISHED] = running + still_ahead
    rows = rows.slice(0, rows.num_rows - dropped[UNFINISHED])
    first = meta.get("firstTradeDate")
    return Chart(
        rows=rows,
        dropped={reason: n for reason, n in dropped.items() if n},
        first_trade=None if first is None else _session(first, zone),
    )


def _sessions(timestamps: Sequence[float], zone: ZoneInfo) -> tuple[list[date], list[int]]:
    """Return the sessions, and where each stands; the running one may come twice, then as its latest price."""
    dates: list[date] = []
    picked: list[int] = []
    for position, seconds in enumerate(timestamps):
        session = _session(seconds, zone)
        if not dates or session > dates[-1]:
            dates.append(session)
            picked.append(position)
        elif session < dates[-1]:
            raise MalformedDataError(f"Yahoo's answer is not a chart: {session} comes after {dates[-1]}")
    return dates, picked


def _add_events(events: dict[str, Any], *, dates: list[date], columns: dict[str, list[Any]], zone: ZoneInfo) -> bool:
    """Add the columns dividend and split; return whether an event is after the last session, which then gets a row.

    That is an event of today before its first trade: Yahoo's prices are adjusted for it already.
    """
    dividends = [(_session(e["date"], zone), e["amount"]) for e in (events.get("dividends") or {}).values()]
    splits = [
        (_session(e["date"], zone), e["numerator"] / e["denominator"] if e["denominator"] else 0.0)
        for e in (events.get("splits") or {}).values()
    ]
    last = max((session for session, _ in (*dividends, *splits)), default=dates[-1])
    still_ahead = last > dates[-1]
    if still_ahead:
        dates.append(last)
        for values in columns.values():
            values.append(None)
    columns["dividend"], columns["split"] = [None] * len(dates), [None] * len(dates)
    for session, amount in dividends:
        row = bisect_left(dates, session)
        columns["dividend"][row] = (columns["dividend"][row] or 0.0) + amount
    for session, ratio in splits:
        row = bisect_left(dates, session)
        columns["split"][row] = (1.0 if columns["split"][row] is None else columns["split"][row]) * ratio
    return still_ahead


def _session(seconds: float, zone: ZoneInfo) -> date:
    return datetime.fromtimestamp(seconds, zone).date()


def _cells(values: Sequence[Any]) -> pa.Array:
    """Return numbers as numbers; a column with anything else in it as text, so that the rest can still be read."""
    if all(value is None or isinstance(value, int | float) for value in values):
        return pa.array(values, pa.float64())
    return pa.array([None if value is None else str(value) for value in values], pa.string())
