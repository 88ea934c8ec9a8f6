"""`LakeStore`: the contract on Delta Lake tables, one table a folder, under one root.

What does not belong here: how a table is cut into files (`layout.py`), which folders are tables (`folders.py`), what a
commit says (`commits.py`), what a failure says (`failures.py`), SQL (`query.py`).

A write, in steps:

1. Give the rows their stored form and refuse those outside the slice.
2. Open the newest snapshot; refuse another source; read the parts that the slice can touch.
3. If the slice already holds these rows, return the version that wrote them: nothing is committed.
4. Write the touched parts anew, rows outside the slice included, and commit on top of the snapshot of step 2.
5. If another writer committed to one of those parts since, Delta refuses the commit: start again from step 2.

Rows that are appended read and replace nothing, so that Delta puts the commits of several writers one behind another;
only the creation of the table can be lost to another writer, and is tried again as an append.

New files are visible only through the commit, one small file that appears whole or not at all; a writer killed at any
moment leaves at most files that no commit names, which `maintain` deletes. The log is kept for ever, since the newest
write of an old slice must stay known; it grows by some kB a commit.
"""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Literal, TypeVar

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError, TableNotFoundError

from factor_assets.errors import StoreError, WriteConflictError
from factor_assets.storage.commits import COMMIT_KEY, commit_metadata, version_of
from factor_assets.storage.failures import explained
from factor_assets.storage.folders import require_usable, written_tables
from factor_assets.storage.layout import HIDDEN, Parts, cut, encoding, parts_of
from factor_assets.storage.rows import conform, sort_rows, widened
from factor_assets.storage.slice import EVERYTHING, Slice, require_inside
from factor_assets.storage.store import (
    Maintenance,
    Provenance,
    Version,
    newest_write,
    require_columns,
    require_same_source,
    version_as_of,
)
from factor_assets.tables import Table
from factor_assets.tables import table as declared_table

_Result = TypeVar("_Result")
_FOREVER = "interval 36500 days"
_CONFIGURATION = {
    # Opening a table reads the commits since the checkpoint: 4 ms with 20, 15-25 ms with the default of 100.
    "delta.checkpointInterval": "20",
    "delta.logRetentionDuration": _FOREVER,
    "delta.enableExpiredLogCleanup": "false",
    # What vacuum may delete is decided by `maintain(keep=)`; until then a checkpoint must not forget replaced files.
    "delta.deletedFileRetentionDuration": _FOREVER,
}
_ATTEMPTS = 60
_LONGEST_PAUSE_S = 0.5
# A file that no commit names may belong to a writer at work; after a day it cannot.
_ORPHAN_AGE = timedelta(days=1)


class LakeStore:
    """Delta Lake tables under one root; see `Store` for the contract.

    Parameters
    ----------
    root
        Folder of the lake, or the URI of a bucket and prefix.
    storage_options
        Credentials and endpoint for a URI, as object_store names them.

    Raises
    ------
    StoreError
        If the root lies under a file, or has a sign in its name that the Delta library cannot open.
    """

    def __init__(self, root: Path | str, *, storage_options: Mapping[str, str] | None = None) -> None:
        is_uri = "://" in str(root)
        self.root = str(root).rstrip("/") if is_uri else str(Path(root).absolute())
        self._options = dict(storage_options or {})
        self._history: dict[str, tuple[str, list[Version]]] = {}
        if not is_uri:
            require_usable(Path(self.root))

    def write(self, table: str, part: Slice, rows: pa.Table, *, provenance: Provenance) -> Version:
        """Replace the rows of `part`; see `Store.write`."""
        declared = declared_table(table).holding(rows.column_names)
        rows = conform(declared, rows)
        require_inside(declared, part, rows)
        return self._retry(table, lambda: self._write_once(declared, part, rows, provenance))

    def append(self, table: str, rows: pa.Table, *, provenance: Provenance) -> Version:
        """Add rows to those that are there; see `Store.append`."""
        declared = declared_table(table).holding(rows.column_names)
        rows = conform(declared, rows)
        return self._retry(table, lambda: self._append_once(declared, rows, provenance))

    def read(
        self,
        table: str,
        part: Slice = EVERYTHING,
        *,
        columns: Sequence[str] | None = None,
        as_of: datetime | str | None = None,
    ) -> pa.Table:
        """Return the rows of `part`; see `Store.read`."""
        declared = declared_table(table)
        require_inside(declared, part, declared.schema.empty_table())
        if as_of is None:
            snapshot = self._open(table)
        else:
            version = version_as_of(table, self.versions(table), as_of)
            snapshot = None if version is None else self._open(table, version=int(version.id))
        declared = declared.holding(columns or () if snapshot is None else _columns(snapshot))
        names = require_columns(table, declared.column_names, columns)
        if snapshot is None:
            return declared.schema.empty_table().select(names)
        return self._rows(declared, snapshot, part, names)

    def scan(self, table: str) -> pl.LazyFrame:
        """Return the table as a lazy frame with the declared columns, in no promised order; for SQL and notebooks.

        Raises
        ------
        UnknownTableError
            If the table is not declared.
        """
        declared = declared_table(table)
        snapshot = self._open(table)
        if snapshot is None:
            return self._scan(declared, [])
        declared = declared.holding(_columns(snapshot))
        return self._scan(declared, self._files(declared, snapshot, Parts()))

    def tables(self) -> list[str]:
        """Names of the declared tables that have been written, sorted."""
        return sorted(written_tables(Path(self.root)))

    def versions(self, table: str) -> list[Version]:
        """Commits, newest first."""
        declared_table(table)
        snapshot = self._open(table)
        return [] if snapshot is None else self._versions(table, snapshot)

    def latest_version(self, table: str, part: Slice = EVERYTHING) -> Version | None:
        """Return the newest write whose slice overlaps `part`; None if there is none."""
        return newest_write(self.versions(table), part)

    def maintain(self, *, keep: timedelta = timedelta(days=30)) -> list[Maintenance]:
        """Compact small files and delete those that no version younger than `keep` needs.

        With a `keep` of a day or more, files that killed writers left and no commit names are deleted as well. Hours
        are the finest unit of `keep`; less is rounded up.
        """
        if keep < timedelta(0):
            raise StoreError(f"maintain wants the age of the versions to keep, at least 0; got {keep}.")
        return [self._retry(name, lambda name=name: self._maintain(name, keep)) for name in self.tables()]  # type: ignore[misc]

    def location(self, table: str) -> str:
        """Return the folder or URI of a table."""
        return f"{self.root}/{table}"

    def _write_once(self, declared: Table, part: Slice, rows: pa.Table, provenance: Provenance) -> Version:
        table = declared.name
        snapshot = self._open(table)
        metadata = commit_metadata("write", part, rows.num_rows, provenance)
        if snapshot is None:
            return self._create(declared, rows, metadata, provenance)
        require_same_source(table, _source(snapshot), provenance.source)
        declared = declared.holding(_columns(snapshot))
        rows = widened(declared, rows)
        parts = parts_of(declared, part)
        frame = self._scan(declared, self._files(declared, snapshot, parts))
        stored = self._collect(declared, frame, declared.column_names)
        mask = part.mask(stored)
        if (stored if mask is None else stored.filter(mask)).equals(rows):
            latest = newest_write(self._versions(table, snapshot), part)
            if latest is not None:
                return latest
        if mask is not None:
            kept = stored.filter(pc.invert(mask))
            rows = sort_rows(pa.concat_tables([kept, rows]), declared.key)
        return self._commit(declared, rows, metadata, snapshot, mode="overwrite", predicate=parts.predicate)

    def _append_once(self, declared: Table, rows: pa.Table, provenance: Provenance) -> Version:
        snapshot = self._open(declared.name)
        metadata = commit_metadata("append", EVERYTHING, rows.num_rows, provenance)
        if snapshot is None:
            return self._create(declared, rows, metadata, provenance)
        require_same_source(declared.name, _source(snapshot), provenance.source)
        declared = declared.holding(_columns(snapshot))
        return self._commit(declared, widened(declared, rows), metadata, snapshot, mode="append")

    def _commit(
        self,
        declared: Table,
        rows: pa.Table,
        metadata: dict[str, str],
        snapshot: DeltaTable,
        *,
        mode: Literal["overwrite", "append"],
        predicate: str | None = None,
    ) -> Version:
        stored = cut(declared, _nullable(rows))
        with explained(declared.name, self.location(declared.name), "written"):
            write_deltalake(
                snapshot,
                stored,
                mode=mode,  # type: ignore[arg-type] # an overload for each mode
                predicate=predicate,
                writer_properties=encoding(declared),
                schema_mode=None if set(_columns(snapshot)) == set(stored.column_names) - {HIDDEN} else "merge",
                commit_properties=CommitProperties(custom_metadata=metadata),
            )
        return self._made(declared.name, metadata, snapshot)

    def _create(self, declared: Table, rows: pa.Table, metadata: dict[str, str], provenance: Provenance) -> Version:
        table = declared.name
        with explained(table, self.location(table), "written"):
            write_deltalake(
                self.location(table),
                cut(declared, _nullable(rows)),
                mode="error",
                partition_by=None if declared.slices == "whole" else [HIDDEN],
                name=table,
                description=f"{declared.meaning}{_SOURCE}{provenance.source}",
                configuration=_CONFIGURATION,
                storage_options=self._options or None,
                writer_properties=encoding(declared),
                # Delta would put a lost race behind the winner's commit, as rows to add; `_retry` replaces them.
                commit_properties=CommitProperties(custom_metadata=metadata, max_commit_retries=0),
            )
        return self._made(table, metadata, None)

    def _maintain(self, table: str, keep: timedelta) -> Maintenance:
        snapshot = self._open(table)
        if snapshot is None:
            raise StoreError(f"Table {table!r} vanished while it was maintained; was the lake deleted?")
        before = _sizes(snapshot)
        commit = CommitProperties(
            custom_metadata=commit_metadata("maintain", EVERYTHING, 0, Provenance(source=_source(snapshot)))
        )
        hours = -(-keep // timedelta(hours=1))
        with explained(table, self.location(table), "maintained"):
            snapshot.optimize.compact(commit_properties=commit)
            # Only a full vacuum sees files that no commit names; those younger than a day may be a writer's at work.
            vacuum = partial(
                snapshot.vacuum,
                retention_hours=hours,
                enforce_retention_duration=False,
                full=keep >= _ORPHAN_AGE,
                commit_properties=commit,
            )
            deleted = vacuum(dry_run=True)
            if deleted:
                vacuum(dry_run=False)
            snapshot.create_checkpoint()
        after = _sizes(snapshot)
        return Maintenance(
            table=table,
            files_before=len(before),
            files_after=len(after),
            bytes_before=sum(before),
            bytes_after=sum(after),
            files_deleted=len(deleted),
        )

    def _open(self, table: str, *, version: int | None = None) -> DeltaTable | None:
        """Return a snapshot; None if the table was never written."""
        with explained(table, self.location(table), "opened"):
            try:
                return DeltaTable(self.location(table), version=version, storage_options=self._options or None)
            except TableNotFoundError as error:
                if "denied" in str(error):
                    raise
                return None

    def _rows(self, declared: Table, snapshot: DeltaTable, part: Slice, names: Sequence[str]) -> pa.Table:
        """Rows of the slice with the columns named, sorted by the key."""
        frame = self._scan(declared, self._files(declared, snapshot, parts_of(declared, part)))
        if part.start is not None:
            frame = frame.filter(pl.col("date") >= part.start)
        if part.end is not None:
            frame = frame.filter(pl.col("date") < part.end)
        if part.tickers is not None:
            frame = frame.filter(pl.col("ticker").is_in(sorted(part.tickers)))
        # The key is read along, wanted or not, because only its values show whether the rows are in order.
        return self._collect(declared, frame, [*dict.fromkeys((*names, *declared.key))]).select(list(names))

    def _collect(self, declared: Table, frame: pl.LazyFrame, names: Sequence[str]) -> pa.Table:
        with explained(declared.name, self.location(declared.name), "read"):
            rows = frame.select(names).collect().to_arrow(compat_level=pl.CompatLevel.oldest())
        whole = declared.schema
        schema = pa.schema([whole.field(name) for name in names])
        return sort_rows(rows.cast(schema), declared.key)

    def _files(self, declared: Table, snapshot: DeltaTable, parts: Parts) -> list[str]:
        """Paths of the files of the parts, in the order of the parts, so that a table by date comes out sorted."""
        if snapshot.protocol().min_reader_version > 1:
            raise StoreError(
                f"Table {declared.name!r} at {self.location(declared.name)} was changed by another program to a Delta"
                " version that is not read here; delete it and materialise again."
            )
        added = pa.table(snapshot.get_add_actions(flatten=True))
        paths = added["path"].to_pylist()
        values = [0] * len(paths) if declared.slices == "whole" else added[f"partition.{HIDDEN}"].to_pylist()
        location = self.location(declared.name)
        return [f"{location}/{path}" for value, path in sorted(zip(values, paths, strict=True)) if value in parts]

    def _scan(self, declared: Table, files: list[str]) -> pl.LazyFrame:
        empty = pl.DataFrame(declared.schema.empty_table())
        if not files:
            return empty.lazy()
        # Our own list of files, not scan_delta: half the time, and in the order of the parts. Not a pyarrow dataset of
        # the Delta table: its Python file system aborts one interpreter in six on exit.
        return pl.scan_parquet(
            files,
            schema=empty.schema,
            glob=False,
            hive_partitioning=False,
            missing_columns="insert",
            extra_columns="ignore",
            storage_options=self._options or None,
        )

    def _versions(self, table: str, snapshot: DeltaTable) -> list[Version]:
        """History up to the snapshot, newest first; commits never change, so only new ones are read again."""
        identity = str(snapshot.metadata().id)
        held, known = self._history.get(table, ("", []))
        if held != identity:
            known = []
        wanted, have = snapshot.version() + 1, int(known[0].id) + 1 if known else 0
        if wanted > have:
            with explained(table, self.location(table), "read"):
                recent = snapshot.history(wanted - have)
            known = [version_of(table, commit) for commit in recent] + known
            self._history[table] = (identity, known)
        return known[len(known) - wanted :] if wanted < len(known) else list(known)

    def _made(self, table: str, metadata: Mapping[str, str], snapshot: DeltaTable | None) -> Version:
        """Version of the commit just made, by its metadata: other writers may have committed just before or after."""
        with explained(table, self.location(table), "read"):
            held = snapshot.history(1) if snapshot is not None else []
            if not any(commit.get(COMMIT_KEY) == metadata[COMMIT_KEY] for commit in held):
                newest = self._open(table)
                held = newest.history() if newest is not None else []
        for commit in held:
            if commit.get(COMMIT_KEY) == metadata[COMMIT_KEY]:
                return version_of(table, commit)
        raise StoreError(f"Table {table!r} at {self.location(table)} lost a commit just made; was the lake deleted?")

    def _retry(self, table: str, attempt: Callable[[], _Result]) -> _Result:
        for n in range(_ATTEMPTS):
            try:
                return attempt()
            except CommitFailedError:
                # Random pauses, so that writers that met once do not meet again.
                time.sleep(random.uniform(0, min(_LONGEST_PAUSE_S, 0.01 * 2**n)))  # noqa: S311 no secret
        raise WriteConflictError(
            f"Other writers kept changing table {table!r} at {self.location(table)} during {_ATTEMPTS} attempts."
            " Nothing was written; run again when fewer writers are at work."
        )


_SOURCE = " Source: "


def _source(snapshot: DeltaTable) -> str:
    """Label of the source, from the table's description."""
    return (snapshot.metadata().description or "").rpartition(_SOURCE)[2]


def _columns(snapshot: DeltaTable) -> list[str]:
    """Names of the stored columns."""
    return [field.name for field in snapshot.schema().fields if field.name != HIDDEN]


def _sizes(snapshot: DeltaTable) -> list[int]:
    """Size in bytes of each live file."""
    sizes: list[int] = pa.table(snapshot.get_add_actions())["size_bytes"].to_pylist()
    return sizes


def _nullable(rows: pa.Table) -> pa.Table:
    """Return rows whose schema allows nulls: Delta could not add a column later that does not."""
    return rows.cast(pa.schema([field.with_nullable(True) for field in rows.schema]))
