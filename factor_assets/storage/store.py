"""The contract that every store keeps, what travels with it, and what every store refuses alike.

Implementations: `lake.py`, `memory.py`. What does not belong here: the form of stored rows (`rows.py`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

import pyarrow as pa

from factor_assets.errors import SourceMixedError, StoreError, WriteConflictError, did_you_mean
from factor_assets.storage.slice import EVERYTHING, Slice


@dataclass(frozen=True, kw_only=True, slots=True)
class Provenance:
    """Where rows come from; kept in the commit, not repeated per row.

    Parameters
    ----------
    source
        Label of the price source, such as "sample (synthetic)". A table holds rows of one source only.
    run_id, code_version
        The run and the version of the code that made the rows; "" outside a run.
    inputs
        Version of each table that was read.
    """

    source: str
    run_id: str = ""
    code_version: str = ""
    inputs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Version:
    """One commit to a table.

    Parameters
    ----------
    id
        Unique within the table, such as "17".
    operation
        "write" for a replaced slice, "append" for added rows, "maintain" for commits that change no row.
    slice
        What the commit replaced; everything where rows were added.
    n_rows
        Rows written or added.
    """

    table: str
    id: str
    committed_at: datetime
    operation: str
    slice: Slice
    n_rows: int
    provenance: Provenance


@dataclass(frozen=True, kw_only=True, slots=True)
class Maintenance:
    """What `maintain` did to one table."""

    table: str
    files_before: int
    files_after: int
    bytes_before: int
    bytes_after: int
    files_deleted: int


class Store(Protocol):
    """Tables with atomic, idempotent replacement of slices, and rows that are only ever added.

    A write replaces exactly the rows of its slice, atomically: a reader sees all of the old rows or all of the new
    ones, also when the writer is killed. Writing the same rows again makes no new version.
    """

    def write(self, table: str, part: Slice, rows: pa.Table, *, provenance: Provenance) -> Version:
        """Replace the rows of `part` by `rows` and return the version that holds them.

        Raises
        ------
        UnknownTableError
            If the table is not declared in `columns`.
        SchemaMismatchError
            If a declared column is missing, an undeclared one is present, or a type cannot be cast without loss.
        OutsideSliceError
            If a row is outside `part`.
        SourceMixedError
            If the table holds rows of another source.
        WriteConflictError
            If other writers kept winning.
        """
        ...

    def append(self, table: str, rows: pa.Table, *, provenance: Provenance, after: str | None = None) -> Version:
        """Add `rows` to those that are there, atomically; what others add at the same time is kept.

        For a ledger, whose rows nothing replaces. It is not idempotent: rows that are added twice are there twice.

        Parameters
        ----------
        after
            Id of the newest version when the rows were chosen, "" for a table without any: nothing is added on top of
            a newer one.

        Raises
        ------
        UnknownTableError, SchemaMismatchError, SourceMixedError
            As in `write`.
        WriteConflictError
            As in `write`, or if there is a newer version than `after`.
        """
        ...

    def read(
        self,
        table: str,
        part: Slice = EVERYTHING,
        *,
        columns: Sequence[str] | None = None,
        as_of: datetime | str | None = None,
    ) -> pa.Table:
        """Return the rows of `part`, sorted by the table's key, with the declared types.

        Parameters
        ----------
        columns
            Columns wanted, in this order; all by default.
        as_of
            A time (zone required) or a version's id: rows as they were then.

        Raises
        ------
        UnknownTableError
            If the table is not declared. A declared table that was never written is empty.
        """
        ...

    def tables(self) -> list[str]:
        """Names of the tables that have been written, sorted."""
        ...

    def versions(self, table: str) -> list[Version]:
        """Commits that are still known, newest first."""
        ...

    def latest_version(self, table: str, part: Slice = EVERYTHING) -> Version | None:
        """Return the newest write or append whose slice overlaps `part`; None if there is none."""
        ...

    def location(self, table: str) -> str:
        """Where a table is: a folder, a URI, or server, database and table."""
        ...

    def maintain(self, *, keep: timedelta = timedelta(days=30)) -> list[Maintenance]:
        """Compact small files and delete those that no version younger than `keep` needs."""
        ...


def version_as_of(table: str, versions: Sequence[Version], as_of: datetime | str) -> Version | None:
    """Return the version that was current at a time, or that has the id; None if the time is before the first.

    Parameters
    ----------
    versions
        Newest first.

    Raises
    ------
    StoreError
        If the time has no zone or the id is not known.
    """
    if isinstance(as_of, datetime):
        if as_of.tzinfo is None:
            raise StoreError(f"A time to read {table!r} as of wants a time zone; got {as_of}. Add tzinfo=UTC.")
        return next((v for v in versions if v.committed_at <= as_of), None)
    for version in versions:
        if version.id == as_of:
            return version
    known = ", ".join(v.id for v in versions[:5]) or "none; it was never written"
    raise StoreError(f"Table {table!r} has no version {as_of!r}; the newest are {known}.")


def newest_write(versions: Sequence[Version], part: Slice) -> Version | None:
    """Return the newest write or append whose slice overlaps `part`; `versions` is newest first."""
    return next((v for v in versions if v.operation in ("write", "append") and v.slice.overlaps(part)), None)


def require_newest(table: str, newest: str, after: str | None) -> None:
    """Refuse to add rows that were chosen before another version was made.

    Raises
    ------
    WriteConflictError
        If `after` is neither None nor the newest version's id.
    """
    if after not in (None, newest):
        raise WriteConflictError(
            f"Table {table!r} has version {newest or 'none'!r} by now; the rows were chosen after {after or 'none'!r}."
            " Nothing was added; read the table again and choose anew."
        )


def require_same_source(table: str, held: str, given: str) -> None:
    """Refuse rows of another source than the table holds.

    Raises
    ------
    SourceMixedError
        Says how to keep both.
    """
    if held != given:
        raise SourceMixedError(
            f"Table {table!r} holds rows of {held!r}, but the rows to write are of {given!r}; sources are never mixed."
            " Set `home` to another folder, or delete the lake and materialise again."
        )


def require_columns(table: str, declared: Sequence[str], wanted: Sequence[str] | None) -> list[str]:
    """Return the columns wanted, all by default.

    Raises
    ------
    StoreError
        If one is not declared.
    """
    for name in wanted or ():
        if name not in declared:
            raise StoreError(f"Table {table!r} has no column {name!r}; {did_you_mean(name, declared)}")
    return list(declared if wanted is None else wanted)
