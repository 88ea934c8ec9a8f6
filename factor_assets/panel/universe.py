"""Universes: which companies are members on which session, and whether that was known at the time.

What does not belong here: which of them have a price or a factor value (`panel.py`, `evaluation/`), fetching.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from factor_assets.calendar import Dates, session_positions
from factor_assets.errors import UniverseError, did_you_mean
from factor_assets.panel.prices import Indices, ticker_codes
from factor_assets.settings import Settings
from factor_assets.sources.price_source import PriceSource
from factor_assets.tables import TABLES

Membership = Literal["dated", "today_only", "as_delivered"]
MEMBERSHIPS: tuple[Membership, ...] = ("dated", "today_only", "as_delivered")


@dataclass(frozen=True, kw_only=True, slots=True)
class Universe:
    """A universe that `universe.name` may choose.

    Parameters
    ----------
    index
        Name of the index in pytickersymbols, where the members are today's members of an index.
    """

    name: str
    meaning: str
    index: str | None = None


UNIVERSES: Mapping[str, Universe] = {
    u.name: u
    for u in (
        Universe(name="djia30", index="DOW JONES", meaning="Today's 30 companies of the Dow Jones Industrial Average."),
        Universe(name="sp100", index="S&P 100", meaning="Today's companies of the S&P 100."),
        Universe(name="sp500", index="S&P 500", meaning="Today's companies of the S&P 500."),
        Universe(name="nasdaq100", index="NASDAQ 100", meaning="Today's companies of the Nasdaq-100."),
        Universe(name="all", meaning="Every ticker of the source with a close on the session itself."),
        Universe(name="list", meaning="The tickers of universe.tickers, on every session."),
        Universe(name="file", meaning="Membership intervals from the file universe.path."),
    )
}

INTERVAL_COLUMNS = ("ticker", "start_date", "end_date")


@dataclass(frozen=True, slots=True, order=True)
class Interval:
    """Membership of one ticker: from `start` inclusive to `end`, the first day out; date.max while it is in."""

    ticker: str
    start: date
    end: date


def members(settings: Settings, *, sessions: Dates, history: pa.Table, source: PriceSource) -> pa.Table:
    """Return the members of the universe on each session, as rows of the table `universe`.

    A member without a price stays a member, so that coverage counts it. Tickers are spelled as the source spells them:
    where it has no row of exactly that name, the name that differs only in case or in the separator of a share class
    (BRK.B, BRK-B, BRK/B, BRKB) is taken, from its first row on; of several such names the one that came first. A name
    that is a member itself is never taken for another.

    Parameters
    ----------
    sessions
        datetime64[D] of shape (n_sessions,), increasing.
    history
        Rows of the table `price_history` up to the last session or later, with at least date, ticker, sector, close.
        A sector is that of the ticker's newest row at or before the session that has one.

    Raises
    ------
    UniverseError
        If the universe is unknown or names no ticker, or its file cannot be read.
    """
    universe = _universe(settings)
    tickers, code = ticker_codes(history)
    day: Dates = history["date"].to_numpy().astype("datetime64[D]")
    if universe.name == "all":
        date_, member = _priced(history, day=day, code=code, sessions=sessions)
    else:
        first = _first_days(day, code, n=len(tickers))
        spelled = _as_spelled(_intervals(settings, universe), first=dict(zip(tickers, first.tolist(), strict=True)))
        tickers, date_, member = _expand(spelled, sessions=sessions, priced=tickers)
    sectors = _sectors(history, day=day, code=code, date_=date_, member=member)
    n = len(member)
    names = pa.array(tickers, pa.string())
    columns = {
        "date": pa.array(date_, pa.date32()),
        "ticker": names.take(pa.array(member)),
        "sector": sectors,
        "universe": pa.repeat(pa.scalar(universe.name), n),
        "membership": pa.repeat(pa.scalar(_membership(universe, source)), n),
        "source": pa.repeat(pa.scalar(source.label), n),
    }
    schema = TABLES["universe"].schema
    return pa.table([columns[name] for name in schema.names], schema=schema)


def universe_tickers(settings: Settings) -> list[str] | None:
    """Return every ticker that is a member on any day of the settings' range, sorted; None: all that the source holds.

    Raises
    ------
    UniverseError
        As `members`; also if no ticker is a member in the range.
    """
    universe = _universe(settings)
    if universe.name == "all":
        return None
    intervals = _intervals(settings, universe)
    names = sorted({i.ticker for i in intervals if i.end > settings.start and i.start <= settings.last_date})
    if not names:
        raise UniverseError(
            f"{settings.universe.path} has members from {min(i.start for i in intervals)} on, none of them from"
            f" {settings.start} to {settings.end or 'today'}. Change data.start and data.end, or the file."
        )
    return names


def universe_version(settings: Settings) -> str:
    """Return a text that changes when the members that the settings name change: the list's, or the file's content.

    Raises
    ------
    UniverseError
        As `members`.
    """
    universe = _universe(settings)
    if universe.name == "all":
        return ""
    return sha256(repr(_intervals(settings, universe)).encode()).hexdigest()[:8]


def match_spelling(named: Sequence[str], held: Sequence[str]) -> list[str]:
    """Return the tickers of the source that the names mean, sorted; names that it does not hold are left out.

    A name is taken exactly, else as `members` matches spellings.
    """
    exact = set(held)
    alike: dict[str, list[str]] = {}
    for ticker in held:
        alike.setdefault(_matching_key(ticker), []).append(ticker)
    found: set[str] = set()
    for name in named:
        found.update([name] if name in exact else alike.get(_matching_key(name), ()))
    return sorted(found)


def missing_tickers(universe: pa.Table, history: pa.Table) -> list[str]:
    """Return the members that have no row at all in the history, sorted.

    Raises
    ------
    UniverseError
        If no member has any, though both have rows: the names cannot be right.
    """
    wanted = set(universe["ticker"].unique().to_pylist())
    held = set(history["ticker"].unique().to_pylist())
    missing = sorted(wanted - held)
    if wanted and held and len(missing) == len(wanted):
        raise UniverseError(
            f"None of the {len(wanted)} tickers of universe {universe['universe'][0].as_py()!r} has a price, such as"
            f" {missing[0]!r}; {did_you_mean(missing[0], held)} Set universe.name, or load prices of its members."
        )
    return missing


def survivorship_note(universe: pa.Table) -> str | None:
    """Return what to know about results on these members; None if membership is that of the date."""
    kinds = set(universe["membership"].unique().to_pylist())
    if "today_only" in kinds:
        return (
            "Today's members are used for all of the past: companies that failed or left the universe are missing, so"
            " returns look better than an investor could have had."
        )
    if "as_delivered" in kinds:
        return (
            "The members are the companies that the price source holds: if it holds today's only, those that failed"
            " are missing, and returns look better than an investor could have had."
        )
    return None


def read_intervals(path: Path) -> list[Interval]:
    """Read membership intervals from a CSV file, sorted, with overlapping and touching ones of a ticker merged.

    Parameters
    ----------
    path
        A file with the columns ticker, start_date (first day in) and end_date (first day out; empty while in). Other
        columns are ignored; a ticker may have several lines.

    Raises
    ------
    UniverseError
        If the file cannot be read or a line makes no sense; the message names file, line and cell.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _merge(_parse_intervals(csv.DictReader(file), path))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
        raise UniverseError(
            f"The membership file {path} cannot be read: {reason}. Set universe.path to a CSV file with the columns"
            f" {', '.join(INTERVAL_COLUMNS)}."
        ) from error


def _parse_intervals(reader: "csv.DictReader[str]", path: Path) -> Iterator[Interval]:
    given = [name.strip() for name in reader.fieldnames or ()]
    reader.fieldnames = given
    for name in INTERVAL_COLUMNS:
        if name not in given:
            raise UniverseError(
                f"The membership file {path} has no column {name!r}, only {', '.join(given) or 'nothing'}; it wants"
                f" {', '.join(INTERVAL_COLUMNS)}."
            )
    empty = True
    for line in reader:
        empty = False
        where = f"{path}, line {reader.line_num}"
        ticker, start, end = ((line[name] or "").strip() for name in INTERVAL_COLUMNS)
        if not ticker:
            raise UniverseError(f"{where}: the ticker is empty. Fill it in or remove the line.")
        first, out = _day(start, "start_date", where), _day(end, "end_date", where) if end else date.max
        if first >= out:
            raise UniverseError(f"{where}: {ticker} wants start_date before end_date, got {first} and {out}.")
        yield Interval(ticker, first, out)
    if empty:
        raise UniverseError(f"The membership file {path} has no lines below its header; add at least one member.")


def _day(text: str, column: str, where: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UniverseError(f"{where}: {column} wants a date like 2020-01-31, got {text!r}.") from None


def _merge(intervals: Iterator[Interval]) -> list[Interval]:
    merged: list[Interval] = []
    for interval in sorted(intervals):
        last = merged[-1] if merged else None
        if last and last.ticker == interval.ticker and interval.start <= last.end:
            merged[-1] = Interval(last.ticker, last.start, max(last.end, interval.end))
        else:
            merged.append(interval)
    return merged


def _universe(settings: Settings) -> Universe:
    name = settings.universe_name
    if name not in UNIVERSES:
        raise UniverseError(f"universe.name is {name!r}, which is not a universe; {did_you_mean(name, UNIVERSES)}")
    return UNIVERSES[name]


def _membership(universe: Universe, source: PriceSource) -> Membership:
    if universe.name == "file":
        return "dated"
    if universe.name == "all":
        # The synthetic market lists and delists; what another source holds may be survivors only.
        return "dated" if source.synthetic else "as_delivered"
    return "today_only"


def _intervals(settings: Settings, universe: Universe) -> list[Interval]:
    if universe.name == "file":
        return read_intervals(Path(settings.universe.path).expanduser())
    names = _index_members(universe.index) if universe.index else [t.strip() for t in settings.universe.tickers]
    always = sorted({name for name in names if name})
    if not always:
        raise UniverseError(f"Universe {universe.name!r} has no ticker; name at least one in universe.tickers.")
    return [Interval(name, date.min, date.max) for name in always]


def _index_members(index: str) -> list[str]:
    from pytickersymbols import PyTickerSymbols

    return [str(stock["symbol"]) for stock in PyTickerSymbols().get_stocks_by_index(index)]


def _matching_key(ticker: str) -> str:
    """Spelling without case and share-class separator; for matching only, never stored."""
    return "".join(c for c in ticker.upper() if c not in ".-/ ")


def _first_days(day: Dates, code: Indices, *, n: int) -> Dates:
    first = np.full(n, np.datetime64(date.max, "D"))
    np.minimum.at(first, code, day)
    return first


def _as_spelled(intervals: Sequence[Interval], *, first: Mapping[str, date]) -> list[Interval]:
    """Cut each interval where the source's spelling of its ticker begins.

    `first` is the day of the first row of each of the source's tickers. Only names that already had a row count, so
    later rows never change how an earlier session is spelled.
    """
    members_themselves = {interval.ticker for interval in intervals}
    alike: dict[str, list[tuple[date, str]]] = {}
    for ticker, day in first.items():
        if ticker not in members_themselves:
            alike.setdefault(_matching_key(ticker), []).append((day, ticker))
    out = []
    for interval in intervals:
        begins, other = min(alike.get(_matching_key(interval.ticker), ()), default=(date.max, ""))
        exact = first.get(interval.ticker, date.max)
        for name, start, end in (
            (interval.ticker, date.min, min(begins, exact)),
            (other, begins, exact),
            # From its own first row on, the exact name is right.
            (interval.ticker, exact, date.max),
        ):
            part = Interval(name, max(start, interval.start), min(end, interval.end))
            if part.start < part.end:
                out.append(part)
    return _merge(iter(out))


def _expand(
    intervals: Sequence[Interval], *, sessions: Dates, priced: Sequence[str]
) -> tuple[list[str], Dates, Indices]:
    """Return names, and per member row its session and the position of its ticker among the names, by both.

    The names begin with `priced`, so that positions among those keep their meaning.
    """
    names = list(dict.fromkeys([*priced, *(i.ticker for i in intervals)]))
    position = {name: at for at, name in enumerate(names)}
    starts = np.searchsorted(sessions, np.array([i.start for i in intervals], dtype="datetime64[D]"))
    stops = np.searchsorted(sessions, np.array([i.end for i in intervals], dtype="datetime64[D]"))
    lengths = stops - starts
    member = np.repeat(np.array([position[i.ticker] for i in intervals], dtype=np.int64), lengths)
    row = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths - starts, lengths)
    rank = np.argsort(np.argsort(np.array(names, dtype=object))) if names else np.zeros(0, dtype=np.int64)
    order = np.lexsort((rank[member], row))
    return names, sessions[row[order]], member[order]


def _priced(history: pa.Table, *, day: Dates, code: Indices, sessions: Dates) -> tuple[Dates, Indices]:
    """Session and ticker's position of every usable close, each once, sorted by both."""
    close = history["close"].to_numpy()
    row = session_positions(day, sessions)
    usable = (row >= 0) & (close > 0) & np.isfinite(close)
    present = np.zeros((len(sessions), int(code.max(initial=0)) + 1), dtype=bool)
    present[row[usable], code[usable]] = True
    at, member = np.nonzero(present)
    return sessions[at], member


def _sectors(history: pa.Table, *, day: Dates, code: Indices, date_: Dates, member: Indices) -> pa.Array:
    """Sector of the newest row at or before the session that has one; null where there is none."""
    known = np.flatnonzero(history["sector"].is_valid().to_numpy())
    if not len(known) or not len(member):
        return pa.nulls(len(member), pa.string())

    def key(codes: Indices, days: Dates) -> npt.NDArray[np.int64]:
        return codes * (1 << 32) + days.astype(np.int64)

    known = known[np.argsort(key(code[known], day[known]), kind="stable")]
    newest = np.searchsorted(key(code[known], day[known]), key(member, date_), side="right") - 1
    at = known[np.maximum(newest, 0)]
    # A member that the history does not hold has a position beyond its tickers, hence another code.
    mask = (newest < 0) | (code[at] != member)
    encoded = history["sector"].combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.unify_dictionaries().combine_chunks()
    return encoded.dictionary.take(encoded.indices.take(pa.array(at, mask=mask)))
