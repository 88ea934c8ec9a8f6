"""`Slice`: which part of a table a read or a write is about.

Any partitioning (date, ticker, both, none, a range of them) maps onto a half-open date range and a set of tickers.
What does not belong here: how a store lays rows out.
"""

from dataclasses import dataclass
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from factor_assets.errors import OutsideSliceError, StoreError
from factor_assets.tables import Table


@dataclass(frozen=True, slots=True)
class Slice:
    """Half-open date range x set of tickers; None leaves that side open.

    Parameters
    ----------
    start, end
        Sessions from `start` inclusive to `end` exclusive.
    tickers
        The only tickers meant. An empty set is refused: it is nearly always a bug in the caller.

    Examples
    --------
    >>> Slice(start=date(2020, 1, 1), end=date(2020, 2, 1))
    Slice(start=datetime.date(2020, 1, 1), end=datetime.date(2020, 2, 1), tickers=None)
    """

    start: date | None = None
    end: date | None = None
    tickers: frozenset[str] | None = None

    def __post_init__(self) -> None:
        if self.start is not None and self.end is not None and self.start >= self.end:
            raise StoreError(f"A slice wants start before end; got start {self.start} and end {self.end} (exclusive).")
        if self.tickers is not None and not self.tickers:
            raise StoreError("A slice wants at least one ticker, or None for all; got an empty set.")

    @property
    def is_everything(self) -> bool:
        """Whether no side is bounded."""
        return self.start is None and self.end is None and self.tickers is None

    def overlaps(self, other: "Slice") -> bool:
        """Whether a row could belong to both."""
        if self.start is not None and other.end is not None and other.end <= self.start:
            return False
        if self.end is not None and other.start is not None and self.end <= other.start:
            return False
        return self.tickers is None or other.tickers is None or not self.tickers.isdisjoint(other.tickers)

    def mask(self, rows: pa.Table) -> pa.ChunkedArray | None:
        """Boolean per row: does it belong; None when every row does."""
        parts = []
        if self.start is not None:
            parts.append(pc.greater_equal(rows["date"], pa.scalar(self.start, pa.date32())))
        if self.end is not None:
            parts.append(pc.less(rows["date"], pa.scalar(self.end, pa.date32())))
        if self.tickers is not None:
            parts.append(pc.is_in(rows["ticker"], value_set=pa.array(sorted(self.tickers), pa.string())))
        if not parts:
            return None
        result = parts[0]
        for part in parts[1:]:
            result = pc.and_(result, part)
        return result

    def __str__(self) -> str:
        dates = f"{self.start or 'the beginning'} to {self.end or 'the end'}"
        if self.tickers is None:
            return dates
        names = sorted(self.tickers)
        return f"{dates}, {', '.join(names[:3])}{f' and {len(names) - 3} more' if len(names) > 3 else ''}"


EVERYTHING = Slice()


def require_inside(table: Table, part: Slice, rows: pa.Table) -> None:
    """Refuse a slice that the table cannot be cut by, and rows outside the slice.

    Raises
    ------
    OutsideSliceError
        If any row is outside; the message has the count and an example.
    StoreError
        If the slice bounds a column that the table is not sliced by.
    """
    names = table.column_names
    if (part.start is not None or part.end is not None) and "date" not in names:
        raise StoreError(f"Table {table.name!r} has no dates to slice by; got {part}.")
    if part.tickers is not None and "ticker" not in names:
        raise StoreError(f"Table {table.name!r} has no tickers to slice by; got {part}.")
    mask = part.mask(rows)
    if mask is None:
        return
    outside = rows.filter(pc.invert(mask))
    if outside.num_rows:
        example = {k: str(v) for k, v in outside.slice(0, 1).to_pylist()[0].items() if k in ("date", "ticker")}
        raise OutsideSliceError(
            f"A write to {table.name!r} replaces {part}, but {outside.num_rows} of {rows.num_rows} rows are outside"
            f" it, such as {example}. Widen the slice or filter the rows."
        )
