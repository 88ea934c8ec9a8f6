"""`MemoryStore`: the contract in plain Python, for tests and notebooks; gone with the process.

What does not belong here: anything about files. It is also the reference that the other stores are tested against.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from threading import Lock

import pyarrow as pa
import pyarrow.compute as pc

from factor_assets.storage.rows import conform, sort_rows, widened
from factor_assets.storage.slice import EVERYTHING, Slice, require_inside
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
from factor_assets.tables import table as declared_table


class MemoryStore:
    """Every version of every table, as Arrow tables in memory; see `Store` for the contract."""

    def __init__(self) -> None:
        self._commits: dict[str, list[tuple[Version, pa.Table]]] = {}
        self._lock = Lock()

    def write(self, table: str, part: Slice, rows: pa.Table, *, provenance: Provenance) -> Version:
        """Replace the rows of `part`; see `Store.write`."""
        declared = declared_table(table).holding(rows.column_names)
        rows = conform(declared, rows)
        require_inside(declared, part, rows)
        with self._lock:
            commits = self._commits.setdefault(table, [])
            stored = commits[-1][1] if commits else declared.schema.empty_table()
            declared = declared.holding(stored.column_names)
            stored, rows = widened(declared, stored), widened(declared, rows)
            if commits:
                require_same_source(table, commits[0][0].provenance.source, provenance.source)
            mask = part.mask(stored)
            before = stored if mask is None else stored.filter(mask)
            latest = newest_write([version for version, _ in reversed(commits)], part)
            if latest is not None and before.equals(rows):
                return latest
            kept = stored.slice(0, 0) if mask is None else stored.filter(pc.invert(mask))
            version = _version(table, commits, "write", part, n_rows=rows.num_rows, provenance=provenance)
            commits.append((version, sort_rows(pa.concat_tables([kept, rows]), declared.key)))
            return version

    def append(self, table: str, rows: pa.Table, *, provenance: Provenance, after: str | None = None) -> Version:
        """Add rows to those that are there; see `Store.append`."""
        declared = declared_table(table).holding(rows.column_names)
        rows = conform(declared, rows)
        with self._lock:
            commits = self._commits.setdefault(table, [])
            require_newest(table, commits[-1][0].id if commits else "", after)
            stored = commits[-1][1] if commits else declared.schema.empty_table()
            declared = declared.holding(stored.column_names)
            if commits:
                require_same_source(table, commits[0][0].provenance.source, provenance.source)
            version = _version(table, commits, "append", EVERYTHING, n_rows=rows.num_rows, provenance=provenance)
            together = pa.concat_tables([widened(declared, stored), widened(declared, rows)])
            commits.append((version, sort_rows(together, declared.key)))
            return version

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
        rows = self._rows_as_of(table, as_of)
        if rows is None:
            rows = declared.holding(columns or ()).schema.empty_table()
        names = require_columns(table, declared.holding(rows.column_names).column_names, columns)
        require_inside(declared, part, rows.slice(0, 0))
        mask = part.mask(rows)
        return (rows if mask is None else rows.filter(mask)).select(names)

    def tables(self) -> list[str]:
        """Names of the tables that have been written, sorted."""
        return sorted(name for name, commits in self._commits.items() if commits)

    def versions(self, table: str) -> list[Version]:
        """Commits, newest first."""
        declared_table(table)
        return [version for version, _ in reversed(self._commits.get(table, []))]

    def latest_version(self, table: str, part: Slice = EVERYTHING) -> Version | None:
        """Return the newest write whose slice overlaps `part`; None if there is none."""
        return newest_write(self.versions(table), part)

    def location(self, table: str) -> str:
        """Say where a table is: nowhere that lasts."""
        return f"memory/{table}"

    def maintain(self, *, keep: timedelta = timedelta(days=30)) -> list[Maintenance]:  # noqa: ARG002 contract
        """Do nothing: there are no files."""
        return []

    def _rows_as_of(self, table: str, as_of: datetime | str | None) -> pa.Table | None:
        commits = self._commits.get(table, [])
        if as_of is None:
            return commits[-1][1] if commits else None
        version = version_as_of(table, self.versions(table), as_of)
        return None if version is None else commits[int(version.id)][1]


def _version(
    table: str, commits: Sequence[object], operation: str, part: Slice, *, n_rows: int, provenance: Provenance
) -> Version:
    return Version(
        table=table,
        id=str(len(commits)),
        committed_at=datetime.now(UTC),
        operation=operation,
        slice=part,
        n_rows=n_rows,
        provenance=provenance,
    )
