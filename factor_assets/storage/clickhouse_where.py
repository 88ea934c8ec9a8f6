"""Which rows of a table in ClickHouse are live in a slice, as the condition of a query with its values bound.

What does not belong here: what is live after a commit (`clickhouse_commits.py`), and asking the server
(`clickhouse.py`).

A server takes about a thousand values of 128 kB each with a query. So a few batches and hidden parts are bound, and
many are looked up in the commit, as constants that every shard of a cluster is given.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from factor_assets.storage.clickhouse_commits import Hidden, State
from factor_assets.storage.clickhouse_ddl import BATCH, quoted, stored
from factor_assets.storage.slice import Slice
from factor_assets.tables import Table

FIRST, END = date(1900, 1, 1), date(2300, 1, 1)
"""Dates that ClickHouse holds, the last one exclusive."""

FEW_BATCHES, FEW_PARTS = 200, 30
_MOST_CHARACTERS = 50_000


@dataclass
class Query:
    """A query under construction.

    Parameters
    ----------
    constants
        Names that its WITH clause gives to values.
    parameters
        Bound values.
    """

    constants: list[str] = field(default_factory=list)
    parameters: dict[str, Any] = field(default_factory=dict)

    def bound(self, value: Any, kind: str) -> str:
        """Bind a value and return its place in the text."""
        name = f"p{len(self.parameters)}"
        self.parameters[name] = value
        return f"{{{name}:{kind}}}"

    def constant(self, name: str, sql: str) -> str:
        """Name the value of a subquery, which is asked once for all shards."""
        text = f"({sql}) AS {name}"
        if text not in self.constants:
            self.constants.append(text)
        return name

    @property
    def head(self) -> str:
        """The WITH clause; empty where nothing is named."""
        return f"WITH {', '.join(self.constants)} " if self.constants else ""


def live_rows(query: Query, declared: Table, state: State, live: Sequence[int], part: Slice, *, commit: str) -> str:
    """Return the condition for the live rows of a slice.

    Parameters
    ----------
    live
        Live batches that the slice touches; at least one.
    commit
        SQL of table and condition of the commit after which the state is this one.
    """
    conditions = [f"{quoted(n)} = {query.bound(value, 'String')}" for n, value in stored(declared).fixed.items()]
    conditions += _inside(query, _bound(part.start), _bound(part.end), part.tickers)
    if len(live) <= FEW_BATCHES:
        conditions.append(f"{BATCH} IN {query.bound(list(live), 'Array(UInt64)')}")
    else:
        batches = query.constant("_live", f"SELECT live FROM {commit}")  # noqa: S608 names and numbers only
        conditions.append(f"{BATCH} IN (SELECT arrayJoin({batches}))")
    touched = set(live)
    hidden = [h for h in state.hidden if h.batch in touched and _touches(h, part)]
    conditions += _not_hidden(query, hidden) if len(hidden) <= FEW_PARTS else _not_hidden_of(query, hidden, commit)
    return " AND ".join(conditions)


def day_of(day: date) -> int:
    """Days since 1970, within what ClickHouse holds."""
    return max(FIRST, min(day, END)).toordinal() - date(1970, 1, 1).toordinal()


def _bound(day: date | None) -> int | None:
    return None if day is None else day_of(day)


def _touches(h: Hidden, part: Slice) -> bool:
    before = part.end is not None and day_of(part.end) <= h.start
    after = part.start is not None and h.end <= day_of(part.start)
    apart = h.tickers is not None and part.tickers is not None and not h.tickers & part.tickers
    return not (before or after or apart)


def _inside(query: Query, start: int | None, end: int | None, tickers: frozenset[str] | None) -> list[str]:
    found = [] if start is None else [f"`date` >= toDate32({query.bound(start, 'Int32')})"]
    found += [] if end is None else [f"`date` < toDate32({query.bound(end, 'Int32')})"]
    if tickers is not None:
        lists = [f"`ticker` IN {query.bound(some, 'Array(String)')}" for some in _pieces(sorted(tickers))]
        found.append(f"({' OR '.join(lists)})")
    return found


def _pieces(tickers: list[str]) -> Iterator[list[str]]:
    """Cut names into lists that fit into a value."""
    piece: list[str] = []
    size = 0
    for ticker in tickers:
        if piece and size + len(ticker) > _MOST_CHARACTERS:
            yield piece
            piece, size = [], 0
        piece.append(ticker)
        size += 4 * len(ticker) + 4  # as it is written at worst
    yield piece


def _not_hidden(query: Query, hidden: Sequence[Hidden]) -> list[str]:
    conditions = []
    for h in hidden:
        start = h.start if h.start > day_of(FIRST) else None
        end = h.end if h.end < day_of(END) else None
        inside = [f"{BATCH} = {query.bound(h.batch, 'UInt64')}", *_inside(query, start, end, h.tickers)]
        conditions.append(f"NOT ({' AND '.join(inside)})")
    return conditions


def _not_hidden_of(query: Query, hidden: Sequence[Hidden], commit: str) -> list[str]:
    """Return the conditions with all hidden parts of the commit: by sets where a part is of whole days or tickers."""
    first, end = day_of(FIRST), day_of(END)
    parts = "arrayZip(hidden_batches, hidden_starts, hidden_ends, hidden_tickers)"
    zipped = query.constant("_hidden", f"SELECT {parts} FROM {commit}")  # noqa: S608 names and numbers only
    always = f"_h.2 <= {first} AND _h.3 >= {end}"
    conditions = []
    if any(h.tickers is None for h in hidden):
        days = f"SELECT _h.1, arrayJoin(range(greatest(_h.2, {first}), least(_h.3, {end})))"
        one = f"SELECT arrayJoin({zipped}) AS _h"
        if any(h.tickers is None and (h.start > first or h.end < end) for h in hidden):
            conditions.append(f"({BATCH}, toInt32(`date`)) NOT IN ({days} FROM ({one}) WHERE empty(_h.4))")
        else:
            conditions.append(f"{BATCH} NOT IN (SELECT _h.1 FROM ({one}) WHERE empty(_h.4))")  # noqa: S608 names and numbers only
    if any(h.tickers is not None for h in hidden):
        pairs = f"SELECT _h.1, arrayJoin(_h.4) FROM (SELECT arrayJoin({zipped}) AS _h) WHERE {always}"  # noqa: S608 names and numbers only
        conditions.append(f"({BATCH}, `ticker`) NOT IN ({pairs})")
    if any(h.tickers is not None and (h.start > first or h.end < end) for h in hidden):
        inside = f"_h.1 = {BATCH} AND toInt32(`date`) >= _h.2 AND toInt32(`date`) < _h.3 AND has(_h.4, `ticker`)"
        conditions.append(f"NOT arrayExists(_h -> {inside}, arrayFilter(_h -> notEmpty(_h.4), {zipped}))")
    return conditions
