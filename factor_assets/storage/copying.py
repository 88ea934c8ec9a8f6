"""`copy_tables`: bring the tables of one store into another, of whatever kind the two are.

What does not belong here: which stores the settings name (`opening.py`), what a store does with the rows.

One table, in steps:

1. Pin the newest version of the source: what is written there from now on is not copied.
2. Cut the table into slices of a bounded number of values, along its own axis. Together they cover everything, so that
   rows which only the target has are replaced too.
3. A slice that has the same checksum on both sides is left. This is all that resuming takes: run the copy again.
4. Any other slice is written, which the target does atomically, read back, and compared by count and checksum.

A ledger, which rows are only ever appended to, is not replaced: the rows that the target lacks are appended in one
commit, and those that only the target has stay.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from factor_assets.errors import FactorAssetsError, StoreError, UnknownTableError, WriteConflictError, did_you_mean
from factor_assets.storage.layout import parts_of
from factor_assets.storage.rows import checksum, widened
from factor_assets.storage.slice import EVERYTHING, Slice
from factor_assets.storage.store import Provenance, Store, Version, newest_write
from factor_assets.tables import Table
from factor_assets.tables import table as declared_table

LEDGERS = frozenset({"trials"})
"""Tables that rows are only ever appended to."""

# Values of a slice, 80 MB of numbers; a single quarter or bucket that holds more is one slice all the same.
_VALUES = 10_000_000
_RACES = 60

Progressed = Callable[[str, int, int], None]
"""Called with the table, the slices that are done and how many there are."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Copied:
    """What became of one table.

    Parameters
    ----------
    outcome
        "copied" where something was written, "same" where nothing had to be, "failed", or "only there" for a table
        that the source does not have, which is left alone.
    n_rows
        Rows of the table that are the same on both sides now.
    n_slices, n_written
        How many slices were compared, and how many of them were written.
    version
        Version of the source that was copied; "" where there was none.
    reason
        Why it failed.
    """

    table: str
    outcome: Literal["copied", "same", "failed", "only there"]
    n_rows: int = 0
    n_slices: int = 0
    n_written: int = 0
    version: str = ""
    seconds: float = 0.0
    reason: str = ""


def copy_tables(
    source: Store,
    target: Store,
    *,
    tables: Sequence[str] | None = None,
    on_progress: Progressed = lambda _table, _done, _total: None,
) -> Iterator[Copied]:
    """Copy tables one by one and yield what became of each; an error of one does not stop the others.

    The rows keep the label of their source, and code version and inputs of the newest write of the slice; the run is
    "copied from" the place and version. Rows that were equal on both sides keep the provenance that they had.

    Parameters
    ----------
    tables
        Those to copy; by default all that the source has. Tables that only the target has are then reported last.
    on_progress
        Called after each slice.

    Raises
    ------
    UnknownTableError
        If a table is asked for that the source does not have; before anything is copied.
    """
    held = source.tables()
    for name in tables or ():
        if name not in held:
            raise UnknownTableError(f"The store to copy from has no table {name!r}; {did_you_mean(name, held)}")
    wanted = held if tables is None else list(dict.fromkeys(tables))
    for name in wanted:
        began = time.monotonic()
        try:
            copy = _append_missing if name in LEDGERS else _copy
            account = copy(source, target, declared_table(name), on_progress)
        except (FactorAssetsError, OSError) as error:
            account = Copied(table=name, outcome="failed", reason=str(error))
        yield replace(account, seconds=time.monotonic() - began)
    if tables is None:
        try:
            others = [name for name in target.tables() if name not in held]
        except StoreError as error:
            # The accounts of the tables say so already.
            yield Copied(table="all others", outcome="failed", reason=str(error))
        else:
            yield from (Copied(table=name, outcome="only there") for name in others)


def _copy(source: Store, target: Store, declared: Table, on_progress: Progressed) -> Copied:
    """Make the target's table equal to the source's, slice by slice."""
    name, versions = declared.name, source.versions(declared.name)
    pinned = versions[0].id
    exists = target.latest_version(name) is not None
    slices = _slices(source, target, declared, pinned)
    n_rows = n_written = 0
    on_progress(name, 0, len(slices))
    for done, part in enumerate(slices, start=1):
        rows = source.read(name, part, as_of=pinned)
        if not exists or _difference(declared, rows, target.read(name, part)):
            target.write(name, part, rows, provenance=_provenance(source, versions, part))
            if told := _difference(declared, rows, target.read(name, part)):
                raise StoreError(
                    f"Table {name!r}, {part}: what was written is not what is there: {told}. If another writer is at"
                    " work on the table, copy again when it has ended."
                )
            exists = True
            n_written += 1
        n_rows += rows.num_rows
        on_progress(name, done, len(slices))
    return Copied(
        table=name,
        outcome="copied" if n_written else "same",
        n_rows=n_rows,
        n_slices=len(slices),
        n_written=n_written,
        version=pinned,
    )


def _append_missing(source: Store, target: Store, declared: Table, on_progress: Progressed) -> Copied:
    """Append the rows of a ledger whose keys the target lacks."""
    name, versions = declared.name, source.versions(declared.name)
    pinned, provenance = versions[0].id, _provenance(source, versions, EVERYTHING)
    on_progress(name, 0, 1)
    rows, written = source.read(name, as_of=pinned), False
    for n in range(1, _RACES + 1):
        newest = next((v.id for v in target.versions(name)), "")
        held = target.read(name)
        missing = _joined(rows, held, declared.key, how="anti")
        if newest and not missing.num_rows:
            break
        try:
            target.append(name, missing, provenance=provenance, after=newest)
            written = True
        except WriteConflictError:
            # Others add to it, maybe the same rows.
            if n == _RACES:
                raise
    if told := _difference(declared, rows, _joined(held, rows, declared.key, how="semi")):
        raise StoreError(
            f"The ledger {name!r} has other rows under the same keys in the two stores: {told}. Rows of a ledger are"
            " never replaced; find out which store is right."
        )
    on_progress(name, 1, 1)
    return Copied(
        table=name,
        outcome="copied" if written else "same",
        n_rows=rows.num_rows,
        n_slices=1,
        n_written=int(written),
        version=pinned,
    )


def _provenance(source: Store, versions: Sequence[Version], part: Slice) -> Provenance:
    """Return the provenance of rows of `part`; `versions` of the source is newest first."""
    table, label = versions[0].table, next((v.provenance.source for v in versions if v.provenance.source), "")
    newest = newest_write(versions, part) or versions[0]
    run_id = f"copied from {source.location(table)} version {versions[0].id}"
    return replace(newest.provenance, source=label, run_id=run_id)


def _difference(declared: Table, rows: pa.Table, held: pa.Table) -> str:
    """Say how the rows of the two sides differ; "" where they do not.

    A column of an open table that only one side has counts as null on the other.
    """
    if rows.num_rows != held.num_rows:
        return f"{rows.num_rows} rows in the source, {held.num_rows} in the target"
    whole = declared.holding(rows.column_names).holding(held.column_names)
    ours, theirs = checksum(widened(whole, rows)), checksum(widened(whole, held))
    return "" if ours == theirs else f"checksum {ours[:12]} in the source, {theirs[:12]} in the target"


def _joined(rows: pa.Table, others: pa.Table, key: Sequence[str], *, how: Literal["anti", "semi"]) -> pa.Table:
    """Return the rows whose key is not, or is, among those of the others, in their order."""
    keys = pl.DataFrame(rows.select(list(key))).with_row_index("_row")
    found = keys.join(pl.DataFrame(others.select(list(key))), on=list(key), how=how, nulls_equal=True)
    return rows.take(found["_row"].sort().to_arrow())


def _slices(source: Store, target: Store, declared: Table, pinned: str) -> list[Slice]:
    """Cut a table into slices that together hold all rows of both sides."""
    if declared.slices == "whole":
        return [EVERYTHING]
    name, axis = declared.name, declared.slices
    ours, theirs = source.read(name, columns=[axis], as_of=pinned), target.read(name, columns=[axis])
    values = pa.concat_tables([ours, theirs])[axis]
    # Hardly a row is of the year 1, but the answer has the columns that an open table holds.
    width = source.read(name, Slice(end=date(1, 1, 2))).num_columns if declared.open else len(declared.columns)
    most_rows = max(1, _VALUES // width)
    return by_dates(values, most_rows) if axis == "date" else by_tickers(declared, values, most_rows)


def by_dates(dates: pa.ChunkedArray, most_rows: int) -> list[Slice]:
    """Cut all time into whole quarters, put together as long as they hold few enough rows.

    Quarters are how tables by date are cut into files, so that no file is written twice.
    """
    quarters, counts = np.unique(dates.to_numpy().astype("datetime64[M]").astype(np.int64) // 3, return_counts=True)
    starts: list[date | None] = [None]
    n_rows = 0
    for quarter, count in zip(quarters.tolist(), counts.tolist(), strict=True):
        if n_rows and n_rows + count > most_rows:
            starts.append(np.datetime64(quarter * 3, "M").astype("datetime64[D]").item())
            n_rows = 0
        n_rows += count
    return [Slice(start=start, end=end) for start, end in zip(starts, [*starts[1:], None], strict=True)]


def by_tickers(declared: Table, tickers: pa.ChunkedArray, most_rows: int) -> list[Slice]:
    """Put the tickers of whole buckets together as long as they hold few enough rows.

    Buckets are how tables by ticker are cut into files, so that no file is written twice.
    """
    buckets: dict[tuple[int, ...], dict[str, int]] = {}
    for counted in pc.value_counts(tickers).to_pylist():
        ticker = counted["values"]
        bucket = tuple(parts_of(declared, Slice(tickers=frozenset({ticker}))).listed or ())
        buckets.setdefault(bucket, {})[ticker] = counted["counts"]
    groups: list[set[str]] = [set()]
    n_rows = 0
    for _, counts in sorted(buckets.items()):
        count = sum(counts.values())
        if n_rows and n_rows + count > most_rows:
            groups.append(set())
            n_rows = 0
        groups[-1] |= counts.keys()
        n_rows += count
    return [EVERYTHING] if len(groups) == 1 else [Slice(tickers=frozenset(group)) for group in groups]
