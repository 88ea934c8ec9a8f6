"""`ClickHouseStore`: the contract on ClickHouse, a server or the embedded engine: versioned rows plus commits.

What does not belong here: tables and views (`clickhouse_ddl.py`), what a commit says and which rows are live after it
(`clickhouse_commits.py`), making commits (`clickhouse_log.py`), the database and the connection to it
(`clickhouse_database.py`, `clickhouse_client.py`), deleting what nobody needs (`clickhouse_upkeep.py`).

A write, in steps:

1. Give the rows their stored form and refuse those outside the slice.
2. Look at the newest commit of the table; refuse another source; if the slice already holds these rows, return the
   version that wrote them.
3. Insert the rows with the number of a new batch. No reader looks at them yet. If the connection is lost, whatever
   arrived stays unseen for ever, and the insert is tried again with another batch.
4. See that the server counted as many rows as were sent.
5. Insert one row into `commits` with the next number, and the state of the table after it. The server takes a number of
   a table once (it is the insert's deduplication token): of several writers one wins, the others look at its commit
   and take the next number; their rows are there already. Sent again after a lost connection, it changes nothing.

So commits have one order, the writers of overlapping slices end as if one had written after the other, and the last
replaces the slice wholly. A reader takes the newest commit and the rows that it names: all of a write or nothing.
"""

import math
import random
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from factor_assets.errors import StoreError, WriteConflictError
from factor_assets.storage.clickhouse_client import Connection, NoSuchTable, Unreachable
from factor_assets.storage.clickhouse_commits import (
    State,
    added,
    commit_row,
    digest_of,
    replaced,
    state_of,
)
from factor_assets.storage.clickhouse_database import Database
from factor_assets.storage.clickhouse_ddl import (
    BATCH,
    ROW,
    quoted,
    stored,
    type_of,
)
from factor_assets.storage.clickhouse_log import CommitLog, History, NumberLost
from factor_assets.storage.clickhouse_upkeep import NOTICE_S, maintained
from factor_assets.storage.clickhouse_where import END, FIRST, Query, live_rows
from factor_assets.storage.rows import conform, widened
from factor_assets.storage.slice import EVERYTHING, Slice, require_inside
from factor_assets.storage.store import (
    Maintenance,
    Provenance,
    Version,
    newest_write,
    require_columns,
    require_newest,
    require_same_source,
)
from factor_assets.store_settings import ClickHouseSettings
from factor_assets.tables import Table, is_declared
from factor_assets.tables import table as declared_table

_RACES = 500
# Far less than the time in which others could make as many commits as the server remembers the numbers of.
_SEEN_S = 10.0
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


class ClickHouseStore:
    """Versioned rows plus commits in ClickHouse; see `Store` for the contract. Nothing is asked of the server yet.

    Parameters
    ----------
    password
        Never part of a message.
    chdb_path
        Folder of the embedded engine, for interface chdb.
    """

    def __init__(self, settings: ClickHouseSettings, *, password: str, chdb_path: Path) -> None:
        self.connection = Connection(settings, password=password, chdb_path=chdb_path)
        self.database = settings.database
        self.cluster = settings.cluster
        self.tables_of_rows = Database(self.connection, self.database, cluster=self.cluster)
        self.log = CommitLog(self.tables_of_rows)

    def write(self, table: str, part: Slice, rows: pa.Table, *, provenance: Provenance) -> Version:
        """Replace the rows of `part`; see `Store.write`."""
        declared = declared_table(table).holding(rows.column_names)
        rows = conform(declared, rows)
        require_inside(declared, part, rows)
        return self._put(declared, "write", part, rows, provenance=provenance)

    def append(self, table: str, rows: pa.Table, *, provenance: Provenance, after: str | None = None) -> Version:
        """Add rows to those that are there; see `Store.append`."""
        declared = declared_table(table).holding(rows.column_names)
        return self._put(declared, "append", EVERYTHING, conform(declared, rows), provenance=provenance, after=after)

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
        while True:
            began = time.monotonic()
            history = self.log.history(table)
            if as_of is not None:
                history = self.log.as_of(table, history, as_of)
            whole = declared.holding(history.columns or columns or ())
            names = require_columns(table, whole.column_names, columns)
            rows = self.rows_of(whole, history, part, names, began=began)
            if rows is not None:
                return rows

    def tables(self) -> list[str]:
        """Names of the declared tables that have been written, sorted."""
        try:
            found = self.query(f"SELECT DISTINCT table_name FROM {self.tables_of_rows.commits}")[  # noqa: S608 quoted and bound
                "table_name"
            ].to_pylist()
        except NoSuchTable:
            return []
        return sorted(name for name in found if is_declared(name))

    def versions(self, table: str) -> list[Version]:
        """Commits, newest first."""
        declared_table(table)
        return self.log.history(table).versions

    def latest_version(self, table: str, part: Slice = EVERYTHING) -> Version | None:
        """Return the newest write whose slice overlaps `part`; None if there is none."""
        return newest_write(self.versions(table), part)

    def location(self, table: str) -> str:
        """Return server, database and view of a table."""
        return f"{self.connection.place}/{self.database}.{stored(declared_table(table)).name}"

    def maintain(self, *, keep: timedelta = timedelta(days=30)) -> list[Maintenance]:
        """Delete the rows that no version younger than `keep` needs, and join what many small writes left.

        With a `keep` of a day or more, rows of writes that never ended are deleted as well.
        """
        return maintained(self, keep)

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> pa.Table:
        """Run a query with bound values, again if the server did not answer."""
        return self.tables_of_rows.query(sql, parameters)

    def close(self) -> None:
        """Close the connection; the next use opens it again."""
        self.connection.close()

    def rows_of(
        self, declared: Table, history: History, part: Slice, names: Sequence[str], *, began: float = -math.inf
    ) -> pa.Table | None:
        """Return the rows of the slice by a history, sorted by the key; None if maintenance took them meanwhile.

        Parameters
        ----------
        began
            Time of the monotonic clock before the history was asked for. Maintenance deletes only a while after it has
            said so, so that a quick reader need not look again.
        """
        place = stored(declared)
        live = [batch for batch in history.state.live if part.overlaps(history.slices[batch])]
        if not live:
            return declared.schema.empty_table().select(list(names))
        there = self.tables_of_rows.columns_of(place)
        # A query wants a column; what is asked for twice is read once.
        read = list(dict.fromkeys(names)) or [declared.key[0]]
        wanted = []
        for name in read:
            if name not in there:
                there = self.tables_of_rows.columns_of(place, again=True)
            column = next(c for c in declared.columns if c.name == name)
            if name not in there and not column.nullable:
                raise StoreError(f"Table {declared.name!r} at {self.location(declared.name)} lacks column {name!r}.")
            absent = f"CAST(NULL, '{type_of(place, column)}') AS {quoted(name)}"
            wanted.append(quoted(name) if name in there else absent)
        # Without what is the same in every row: sorting by it took twice the time of reading.
        order = ", ".join([*(quoted(name) for name in place.key if name not in place.fixed), BATCH, ROW])
        query = Query()
        table, number = query.bound(declared.name, "String"), query.bound(history.commits[-1].number, "UInt64")
        commit = f"{self.tables_of_rows.commits} WHERE table_name = {table} AND number = {number}"
        where = live_rows(query, declared, history.state, live, part, commit=commit)
        source = quoted(self.database, place.rows)
        sql = f"{query.head}SELECT {', '.join(wanted)} FROM {source} WHERE {where} ORDER BY {order}"  # noqa: S608 quoted and bound
        rows = self.tables_of_rows.persist(lambda: self.connection.query_arrow(sql, query.parameters))
        if time.monotonic() - began > NOTICE_S / 2:
            newest = history.commits[-1].number
            if self.log.deleted(declared.name, newest).intersection(live):
                return None
        schema = pa.schema([declared.schema.field(name) for name in read])
        whole = pa.table([rows[name].cast(schema.field(name).type) for name in read], schema=schema)
        return whole.select(list(names))

    def insert(self, declared: Table, rows: pa.Table, *, newest: bool = False) -> int:
        """Insert conformed rows as a new batch that no commit names yet, and return its number.

        Parameters
        ----------
        newest
            Whether the rows come after all others with the same keys.
        """
        place = stored(declared)
        self._require_storable(declared, rows)
        self.tables_of_rows.make(declared)
        n = rows.num_rows
        if n == 0:
            return self.tables_of_rows.new_batch()
        zeros = pa.array(np.zeros(n, np.int32))
        fixed = {name: pa.DictionaryArray.from_arrays(zeros, [value]) for name, value in place.fixed.items()}
        sent = _encoded(declared, rows)

        def insert() -> int:
            batch = self.tables_of_rows.new_batch(newest=newest)
            hidden = {BATCH: np.full(n, batch, np.uint64), ROW: np.arange(n, dtype=np.uint32)}
            given = pa.table({**fixed, **{c: sent[c] for c in sent.column_names}, **hidden})
            counted = self.connection.insert_arrow(quoted(self.database, place.rows), given)
            if self.cluster:  # which counts what it passes on to shards twice
                counted = self._count(place.rows, batch)
            if counted != n:
                raise Unreachable(
                    f"ClickHouse at {self.connection.place} counted {counted} rows of {n} that were sent."
                )
            return batch

        return self.tables_of_rows.persist(insert)

    def _inserted(self, declared: Table, rows: pa.Table, *, newest: bool, once_more: bool) -> int | None:
        """Insert rows; None if the database was dropped since it was looked at."""
        try:
            return self.insert(declared, rows, newest=newest)
        except NoSuchTable:
            if not once_more:
                raise
            self.tables_of_rows.forget()
            self.log.forget()
            return None

    def _count(self, rows: str, batch: int) -> int:
        sql = f"SELECT count() AS n FROM {quoted(self.database, rows)} WHERE {BATCH} = {{batch:UInt64}}"  # noqa: S608 quoted and bound
        return int(self.query(sql, {"batch": batch})["n"][0].as_py())

    def _put(
        self,
        declared: Table,
        operation: str,
        part: Slice,
        rows: pa.Table,
        *,
        provenance: Provenance,
        after: str | None = None,
    ) -> Version:
        table, batch, skipped = declared.name, None, 0
        encoded = _encoded(declared, rows)
        digest = digest_of(declared, encoded)
        # What was seen a moment ago will do, since a commit on top of an older one is refused.
        history: History | None = self.log.known(table, for_s=_SEEN_S)
        if history is None or (operation == "write" and self._same(declared, history, part, rows, digest)):
            history = self.log.history(table)
        for n in range(_RACES):
            commits = history.commits
            require_newest(table, commits[-1].version.id if commits else "", after)
            if commits:
                require_same_source(table, commits[0].version.provenance.source, provenance.source)
            same = self._same(declared, history, part, rows, digest) if operation == "write" else None
            if same is not None:
                return same
            if batch is None:
                batch = self._inserted(declared, encoded, newest=operation == "append", once_more=n == 0)
            if batch is None or time.monotonic() - history.seen_at > _SEEN_S:
                # Rows took so long that the server may have forgotten the numbers taken since.
                history = self.log.history(table)
                continue
            row = commit_row(
                table=table,
                number=max(commits[-1].number + 1 if commits else 0, skipped),
                batch=batch,
                operation=operation,
                part=part,
                n_rows=rows.num_rows,
                digest=digest,
                provenance=provenance,
                columns=_open_columns(declared, rows),
                state=_state_after(history, operation, part, batch if rows.num_rows else None),
                previous_at=commits[-1].version.committed_at if commits else _NEVER,
            )
            try:
                made = self.log.add(row)
            except NumberLost:
                made, skipped = None, row["number"][0].as_py() + 1
            if made is not None:
                self.log.remember(table, History([*commits, made], state_of(row.to_pylist()[0])))
                return made.version
            time.sleep(random.uniform(0, min(0.2, 0.002 * 2 ** min(n, 10))))  # noqa: S311 no secret
            history = self.log.history(table)
        raise WriteConflictError(
            f"Other writers kept committing to table {table!r} at {self.location(table)} during {_RACES} attempts."
            " Nothing was written; run again when fewer writers are at work."
        )

    def _same(self, declared: Table, history: History, part: Slice, rows: pa.Table, digest: str) -> Version | None:
        """Return the version that holds exactly these rows in the slice; None if they differ."""
        latest = newest_write(history.versions, part)
        if latest is None:
            return None
        commit = next(c for c in reversed(history.commits) if c.version is latest)
        if latest.operation == "write" and latest.slice == part:
            return latest if commit.digest == digest else None
        whole = declared.holding(history.columns)
        stored_rows = self.rows_of(whole, history, part, whole.column_names)
        return latest if stored_rows is not None and stored_rows.equals(widened(whole, rows)) else None

    def _require_storable(self, declared: Table, rows: pa.Table) -> None:
        """Refuse dates and times that ClickHouse's types cannot hold."""
        for column in declared.columns:
            is_time = pa.types.is_timestamp(column.type)
            if not (is_time or pa.types.is_date(column.type)):
                continue
            low, high = (
                (pa.scalar(datetime(d.year, 1, 1, tzinfo=UTC), column.type) for d in (FIRST, END))
                if is_time
                else (pa.scalar(d, column.type) for d in (FIRST, END))
            )
            outside = pc.or_(pc.less(rows[column.name], low), pc.greater_equal(rows[column.name], high))
            if pc.any(outside).as_py():
                example = rows[column.name].filter(outside)[0]
                raise StoreError(
                    f"Table {declared.name!r}: column {column.name!r} has {example}, but ClickHouse holds the years"
                    " 1900 to 2299. Correct or drop the rows."
                )


def _encoded(declared: Table, rows: pa.Table) -> pa.Table:
    """Return rows with names as numbers: less to send, and the server stores them so."""
    names = {c.name for c in declared.columns if type_of(stored(declared), c).startswith("LowCardinality(")}
    columns = [rows[c].combine_chunks().dictionary_encode() if c in names else rows[c] for c in rows.column_names]
    return pa.table(columns, names=rows.column_names)


def _state_after(history: History, operation: str, part: Slice, batch: int | None) -> State:
    """Return the state after a write or an append; `batch` is None if it has no rows."""
    if operation == "write":
        return replaced(history.state, part, batch, history.slices)
    return history.state if batch is None else added(history.state, batch)


def _open_columns(declared: Table, rows: pa.Table) -> list[str]:
    if not declared.open:
        return []
    fixed = set(declared_table(declared.name).column_names)
    return [name for name in rows.column_names if name not in fixed]
