"""How the lake cuts a table into files, one per value of a hidden column, and how a file is encoded.

Tables sliced by date are cut by calendar quarter, tables sliced by ticker by a stable hash of the ticker, whole tables
not at all. What does not belong here: reading and writing the files (`lake.py`).

Why quarters: measured on 2 cores for 500 tickers x 2,500 days, as month / quarter / year. One factor: rewrite a day
33 / 27 / 45 ms, read every date 56 / 31 / 31 ms, one day 12 / 11 / 13 ms. A table of 11 columns: rewrite a day
25 / 45 / 138 ms, read every date 125 / 62 / 62 ms. Months cost as much time in opening files as in reading them, years
make the daily write rewrite 250 days; a quarter is near the better of both everywhere.

Why 32 buckets of tickers: 500 tickers x 2,500 days x 11 columns in 16 / 32 / 64 / 128 buckets: replace one ticker
77 / 40 / 28 / 20 ms, read every ticker 43 / 40 / 54 / 74 ms, one ticker 7 ms under all.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, timedelta
from zlib import crc32

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from deltalake import ColumnProperties, WriterProperties

from factor_assets.storage.slice import Slice
from factor_assets.tables import Table

HIDDEN = "_part"
N_BUCKETS = 32


@dataclass(frozen=True, slots=True)
class Parts:
    """Values of the hidden column that a slice can touch: a range, or the ones listed.

    Parameters
    ----------
    lowest, highest
        Both inclusive; None leaves that side open.
    listed
        The only values meant; None for all of the range.
    """

    lowest: int | None = None
    highest: int | None = None
    listed: Collection[int] | None = None

    def __contains__(self, value: int) -> bool:
        """Whether a file with this value of the hidden column may hold rows of the slice."""
        return (
            (self.lowest is None or value >= self.lowest)
            and (self.highest is None or value <= self.highest)
            and (self.listed is None or value in self.listed)
        )

    @property
    def predicate(self) -> str | None:
        """The same as SQL over the hidden column; None for everything.

        It is made of integers only: no ticker ever enters SQL, whatever its spelling.
        """
        bounds = []
        if self.lowest is not None:
            bounds.append(f"{HIDDEN} >= {self.lowest}")
        if self.highest is not None:
            bounds.append(f"{HIDDEN} <= {self.highest}")
        if self.listed is not None:
            bounds.append(f"{HIDDEN} IN ({', '.join(str(value) for value in sorted(self.listed))})")
        return " AND ".join(bounds) or None


def parts_of(table: Table, part: Slice) -> Parts:
    """Return the values of the hidden column that rows of the slice can have."""
    if table.slices == "date":
        return Parts(
            lowest=None if part.start is None else _quarter(part.start),
            highest=None if part.end is None else _quarter(part.end - timedelta(days=1)),
        )
    if table.slices == "ticker" and part.tickers is not None:
        return Parts(listed=frozenset(_bucket(ticker) for ticker in part.tickers))
    return Parts()


def cut(table: Table, rows: pa.Table) -> pa.Table:
    """Return rows with the hidden column, one record batch per value of it, in increasing order of the values.

    The order inside a part is kept. One batch a part matters: a writer that gets a part in several may interleave them.
    """
    if table.slices == "whole":
        return rows
    values = _quarters(rows["date"]) if table.slices == "date" else _buckets(rows["ticker"])
    rows = rows.append_column(HIDDEN, pa.array(values))
    if (values[1:] < values[:-1]).any():
        order = np.argsort(values, kind="stable")
        rows, values = rows.take(pa.array(order)), values[order]
    rows = rows.combine_chunks()
    starts = np.flatnonzero(np.append(True, values[1:] != values[:-1])) if len(values) else np.array([], np.int64)
    stops = np.append(starts[1:], len(values))
    batches = [b for a, z in zip(starts, stops, strict=False) for b in rows.slice(a, z - a).to_batches()]
    return pa.Table.from_batches(batches, schema=rows.schema)


def encoding(declared: Table) -> WriterProperties:
    """Leave the numbers of an open table without a dictionary: hardly one occurs twice.

    With it, 360 columns took three times as long to write and a quarter more room.
    """
    few = {name: ColumnProperties(dictionary_enabled=True) for name in (*declared.key, "source")}
    return WriterProperties(
        compression="SNAPPY",
        default_column_properties=ColumnProperties(dictionary_enabled=not declared.open),
        column_properties=few if declared.open else None,
    )


def _quarter(day: date) -> int:
    return day.year * 10 + (day.month + 2) // 3


def _quarters(dates: pa.ChunkedArray) -> npt.NDArray[np.int32]:
    months = dates.to_numpy().astype("datetime64[M]").astype(np.int64) + 1970 * 12
    quarters: npt.NDArray[np.int32] = (months // 12 * 10 + months % 12 // 3 + 1).astype(np.int32)
    return quarters


def _bucket(ticker: str) -> int:
    return crc32(ticker.encode()) % N_BUCKETS


def _buckets(tickers: pa.ChunkedArray) -> npt.NDArray[np.int32]:
    encoded = tickers.combine_chunks().dictionary_encode()
    of_distinct = np.array([_bucket(ticker) for ticker in encoded.dictionary.to_pylist()], np.int32)
    buckets: npt.NDArray[np.int32] = of_distinct[encoded.indices.to_numpy()]
    return buckets
