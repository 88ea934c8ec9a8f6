"""`LakeStore`: the contract on Delta Lake tables, one table a folder, under one root.

What does not belong here: how a table is cut into files (`layout.py`), which folders or prefixes are tables
(`folders.py`, `buckets.py`), what a commit says (`commits.py`), what a failure says (`failures.py`) and which are tried
again (`attempts.py`), what a snapshot says of itself (`snapshots.py`), SQL (`query.py`).

A write, in steps:

1. Give the rows their stored form and refuse those outside the slice.
2. Open the newest snapshot; refuse another source; read the parts that the slice can touch.
3. If the slice already holds these rows, return the version that wrote them: nothing is committed.
4. Write the touched parts anew, rows outside the slice included, and commit on top of the snapshot of step 2.
5. If another writer committed to one of those parts since, Delta refuses the commit: start again from step 2.

Rows that are appended read and replace nothing: after a lost race they are appended behind the winner's.

A bucket may take a commit and lose the answer. So after a failed commit we look whether it is there, by the mark that
every commit bears, before anything is tried again.

New files are visible only through the commit, one small file that appears whole or not at all; a writer killed at any
moment leaves at most files that no commit names, which `maintain` deletes (and in a bucket parts of an upload, for
which buckets have a lifecycle rule). The log is kept for ever, since the newest
write of an old slice must stay known; it grows by some kB a commit.
"""

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

from factor_assets.errors import ConnectionLostError, StoreError
from factor_assets.storage.attempts import until_settled
from factor_assets.storage.buckets import (
    require_bucket,
    require_conditional_put,
    written_tables_of_bucket,
)
from factor_assets.storage.commits import COMMIT_KEY, commit_metadata, version_of
from factor_assets.storage.failures import explained
from factor_assets.storage.folders import require_usable, written_tables
from factor_assets.storage.lake_upkeep import maintained
from factor_assets.storage.layout import HIDDEN, Parts, cut, encoding, parts_of
from factor_assets.storage.rows import conform, sort_rows, widened
from factor_assets.storage.slice import EVERYTHING, Slice, require_inside
from factor_assets.storage.snapshots import columns_of, description_of, nullable, scan_parts, source_of
from factor_assets.storage.store import (
    Maintenance,
    Provenance,
    Version,
    newest_write,
    require_columns,
    require_newest,
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
_RETRIES = 5


class LakeStore:
    """Delta Lake tables under one root; see `Store` for the contract.

    Parameters
    ----------
    root
        Folder of the lake, or the URI of a bucket and prefix.
    storage_options
        Of `s3_options`; credentials, and what the options do not give, come from the AWS environment.

    Raises
    ------
    StoreError
        If the root lies under a file, or has a sign in its name that the Delta library cannot open.
    """

    def __init__(self, root: Path | str, *, storage_options: Mapping[str, str] | None = None) -> None:
        self._is_bucket = "://" in str(root)
        self.root = str(root).rstrip("/") if self._is_bucket else str(Path(root).absolute())
        self._options = dict(storage_options or {})
        self._history: dict[str, tuple[str, list[Version]]] = {}
        if self._is_bucket:
            require_bucket(self.root)
        else:
            require_usable(Path(self.root))

    def write(self, table: str, part: Slice, rows: pa.Table, *, provenance: Provenance) -> Version:
        """Replace the rows of `part`; see `Store.write`."""
        declared = declared_table(table).holding(rows.column_names)
        rows = conform(declared, rows)
        require_inside(declared, part, rows)
        return self._change(table, lambda: self._write_once(declared, part, rows, provenance))

    def append(self, table: str, rows: pa.Table, *, provenance: Provenance, after: str | None = None) -> Version:
        """Add rows to those that are there; see `Store.append`."""
        declared = declared_table(table).holding(rows.column_names)
        rows = conform(declared, rows)
        mark = commit_metadata("append", EVERYTHING, rows.num_rows, provenance)
        before: list[int] = []
        return self._change(table, lambda: self._append_once(declared, rows, provenance, mark, before, after=after))

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
        return self._retry(table, lambda: self._read_once(declared, part, columns, as_of))

    def _read_once(
        self, declared: Table, part: Slice, columns: Sequence[str] | None, as_of: datetime | str | None
    ) -> pa.Table:
        table = declared.name
        if as_of is None:
            snapshot = self._open(table)
        else:
            version = version_as_of(table, self._versions_once(table), as_of)
            snapshot = None if version is None else self._open(table, version=int(version.id))
        declared = declared.holding(columns or () if snapshot is None else columns_of(snapshot))
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
        snapshot = self._retry(table, lambda: self._open(table))
        if snapshot is None:
            return pl.DataFrame(declared.schema.empty_table()).lazy()
        declared = declared.holding(columns_of(snapshot))
        return self._scan(declared, snapshot, Parts())

    def tables(self) -> list[str]:
        """Names of the declared tables that have been written, sorted."""
        if self._is_bucket:
            return self._retry("", lambda: sorted(written_tables_of_bucket(self.root, self._options)))
        return sorted(written_tables(Path(self.root)))

    def versions(self, table: str) -> list[Version]:
        """Commits, newest first."""
        declared_table(table)
        return self._retry(table, lambda: self._versions_once(table))

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
        return [self._change(name, partial(self._maintain, name, keep)) for name in self.tables()]

    def location(self, table: str) -> str:
        """Return the folder or URI of a table."""
        return f"{self.root}/{table}"

    def _write_once(self, declared: Table, part: Slice, rows: pa.Table, provenance: Provenance) -> Version:
        table = declared.name
        snapshot = self._open(table)
        metadata = commit_metadata("write", part, rows.num_rows, provenance)
        if snapshot is None:
            return self._create(declared, rows, metadata, provenance)
        require_same_source(table, source_of(snapshot), provenance.source)
        declared = declared.holding(columns_of(snapshot))
        rows = widened(declared, rows)
        parts = parts_of(declared, part)
        frame = self._scan(declared, snapshot, parts)
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

    def _append_once(
        self,
        declared: Table,
        rows: pa.Table,
        provenance: Provenance,
        mark: dict[str, str],
        before: list[int],
        *,
        after: str | None,
    ) -> Version:
        """Append, unless an earlier attempt did; `before` is the version that the first of them found."""
        snapshot = self._open(declared.name)
        if not before:
            before.append(-1 if snapshot is None else snapshot.version())
        elif (made := self._marked(declared.name, mark, snapshot, before[0])) is not None:
            return made
        require_newest(declared.name, "" if snapshot is None else str(snapshot.version()), after)
        if snapshot is None:
            return self._create(declared, rows, mark, provenance)
        require_same_source(declared.name, source_of(snapshot), provenance.source)
        declared = declared.holding(columns_of(snapshot))
        rows = widened(declared, rows)
        return self._commit(declared, rows, mark, snapshot, mode="append", on_top=after is not None)

    def _commit(
        self,
        declared: Table,
        rows: pa.Table,
        metadata: dict[str, str],
        snapshot: DeltaTable,
        *,
        mode: Literal["overwrite", "append"],
        predicate: str | None = None,
        on_top: bool = False,
    ) -> Version:
        """Commit; with `on_top` only directly after the snapshot."""
        stored = cut(declared, nullable(rows))
        # Delta would put a commit to a bucket whose answer was lost behind itself, and one that replaces a whole table
        # behind rows that were added meanwhile, which would stay.
        alone = on_top or self._is_bucket or (mode == "overwrite" and predicate is None)
        commit = partial(
            write_deltalake,
            snapshot,
            stored,
            mode=mode,
            predicate=predicate,
            writer_properties=encoding(declared),
            schema_mode=None if set(columns_of(snapshot)) == set(stored.column_names) - {HIDDEN} else "merge",
            commit_properties=CommitProperties(custom_metadata=metadata, max_commit_retries=0 if alone else None),
        )
        return self._committed(declared.name, metadata, snapshot, commit)

    def _create(self, declared: Table, rows: pa.Table, metadata: dict[str, str], provenance: Provenance) -> Version:
        commit = partial(
            write_deltalake,
            self.location(declared.name),
            cut(declared, nullable(rows)),
            mode="error",
            partition_by=None if declared.slices == "whole" else [HIDDEN],
            name=declared.name,
            description=description_of(declared, provenance.source),
            configuration=_CONFIGURATION,
            storage_options=self._options or None,
            writer_properties=encoding(declared),
            # Delta would put a lost race behind the winner's commit, as rows to add; the next attempt replaces them.
            commit_properties=CommitProperties(custom_metadata=metadata, max_commit_retries=0),
        )
        return self._committed(declared.name, metadata, None, commit)

    def _committed(
        self, table: str, metadata: Mapping[str, str], snapshot: DeltaTable | None, commit: Callable[[], None]
    ) -> Version:
        """Commit, and return the version made, by its mark: others may have committed just before or after."""
        before = -1 if snapshot is None else snapshot.version()
        try:
            with explained(table, self.location(table), "written"):
                commit()
        except (CommitFailedError, ConnectionLostError):
            # In a bucket the commit may have arrived, and its answer not.
            made = self._marked(table, metadata, None, before) if self._is_bucket else None
            if made is None:
                raise
            return made
        made = self._marked(table, metadata, snapshot, before)
        if made is None:
            raise StoreError(
                f"Table {table!r} at {self.location(table)} lost a commit just made; was the lake deleted?"
            )
        return made

    def _marked(
        self, table: str, metadata: Mapping[str, str], snapshot: DeltaTable | None, before: int
    ) -> Version | None:
        """Return the commit after `before` that bears the mark, of a snapshot or else the newest; None without one."""

        def look(held: DeltaTable | None, after: int) -> Version | None:
            if held is None or held.version() <= after:
                return None
            with explained(table, self.location(table), "read"):
                recent = held.history(held.version() - after)
            return next((version_of(table, c) for c in recent if c.get(COMMIT_KEY) == metadata[COMMIT_KEY]), None)

        try:
            made = None if snapshot is None else self._retry(table, lambda: look(snapshot, snapshot.version() - 1))
            return made or self._retry(table, lambda: look(self._open(table), before))
        except ConnectionLostError as error:
            # Not to be tried again from the start: rows would be appended twice.
            raise StoreError(
                f"{error} Whether rows were written is not known; look at the table's versions."
            ) from error

    def _maintain(self, table: str, keep: timedelta) -> Maintenance:
        snapshot = self._open(table)
        if snapshot is None:
            raise StoreError(f"Table {table!r} vanished while it was maintained; was the lake deleted?")
        with explained(table, self.location(table), "maintained"):
            return maintained(table, snapshot, keep)

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
        frame = self._scan(declared, snapshot, parts_of(declared, part))
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

    def _scan(self, declared: Table, snapshot: DeltaTable, parts: Parts) -> pl.LazyFrame:
        return scan_parts(declared, snapshot, parts, location=self.location(declared.name), options=self._options)

    def _versions_once(self, table: str) -> list[Version]:
        snapshot = self._open(table)
        return [] if snapshot is None else self._versions(table, snapshot)

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

    def _retry(self, table: str, attempt: Callable[[], _Result]) -> _Result:
        retries = int(self._options.get("max_retries", _RETRIES)) if self._is_bucket else 0
        return until_settled(attempt, table=table, location=self.location(table), retries=retries)

    def _change(self, table: str, attempt: Callable[[], _Result]) -> _Result:
        if self._is_bucket:
            self._retry(table, lambda: require_conditional_put(self.root, self._options))
        return self._retry(table, attempt)
