"""One database of ClickHouse: its tables are made and widened here, and what the server did not answer is asked again.

What does not belong here: commits (`clickhouse_log.py`), what the statements say (`clickhouse_ddl.py`), and what a
failure means (`clickhouse_client.py`).
"""

import os
import random
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import pyarrow as pa

from factor_assets.errors import SchemaMismatchError, StoreError
from factor_assets.storage.clickhouse_client import Connection, Unreachable
from factor_assets.storage.clickhouse_ddl import (
    BATCH,
    COMMITS,
    ROW,
    Stored,
    add_columns,
    create_commits,
    create_database,
    create_rows,
    create_view,
    quoted,
    stored,
    type_of,
)
from factor_assets.tables import Table

_Result = TypeVar("_Result")
# A server that has answered before may be starting again; one that never has is more likely named wrongly.
_PATIENCE_S, _PATIENCE_AT_FIRST_S, _LONGEST_PAUSE_S = 20.0, 1.0, 0.5
_IDS, _IDS_AGE_S = 64, 300.0
_TAKEN = frozenset({"update_time"})


class Database:
    """A database, its tables, and the connection to it.

    Parameters
    ----------
    cluster
        Empty for one server.
    """

    def __init__(self, connection: Connection, name: str, *, cluster: str) -> None:
        self.connection = connection
        self.name = name
        self.cluster = cluster
        self.commits = quoted(name, COMMITS)
        self._seen: dict[str, dict[str, str]] = {}
        self._ids: list[int] = []
        self._ids_at = 0.0
        self._ids_of = 0  # the process: a fork must not use the same numbers
        self._lock = threading.Lock()

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> pa.Table:
        """Run a query with bound values, again if the server did not answer."""
        return self.persist(lambda: _plain(self.connection.query_arrow(sql, parameters)))

    def persist(self, attempt: Callable[[], _Result]) -> _Result:
        """Try again while the server does not answer."""
        began = time.monotonic()
        pause = 0.02
        while True:
            try:
                return attempt()
            except Unreachable:
                patience = _PATIENCE_S if self.connection.has_answered else _PATIENCE_AT_FIRST_S
                if time.monotonic() - began > patience:
                    raise
                time.sleep(random.uniform(pause / 2, pause))  # noqa: S311 no secret
                pause = min(_LONGEST_PAUSE_S, 2 * pause)

    def new_batch(self, *, newest: bool = False) -> int:
        """Return a number that the server gave to nobody else.

        Parameters
        ----------
        newest
            Greater than all that were given before; otherwise it may have been fetched in advance.
        """
        if newest:
            return self._fetched(1)[0]
        with self._lock:
            if not self._ids or self._ids_of != os.getpid() or time.monotonic() - self._ids_at > _IDS_AGE_S:
                self._ids = self._fetched(_IDS)
                self._ids_at, self._ids_of = time.monotonic(), os.getpid()
            return self._ids.pop(0)

    def _fetched(self, n: int) -> list[int]:
        sql = "SELECT generateSnowflakeID() AS id FROM numbers({n:UInt64}) ORDER BY id"
        ids: list[int] = self.query(sql, {"n": n})["id"].to_pylist()
        return ids

    def make(self, declared: Table) -> None:
        """See that the table of rows and its view are there, with all declared columns."""
        place = stored(declared)
        if all(c.name in self._seen.get(place.rows, {}) for c in place.columns):
            return
        self._require_names(declared, place)
        there = self.columns_of(place, again=True)
        if not there:
            self._run(create_database(self.name, cluster=self.cluster))
            for statement in create_commits(self.name, cluster=self.cluster):
                self._run(statement)
            for statement in create_rows(place, self.name, cluster=self.cluster):
                self._run(statement)
            there = self.columns_of(place, again=True)
        there = self._widened(declared, place, there)
        for column in place.columns:
            if there[column.name] != type_of(place, column):
                raise SchemaMismatchError(
                    f"Table {declared.name!r}: column {column.name!r} is stored as {there[column.name]} at"
                    f" {self.connection.place}/{self.name}.{place.name}, but is declared as"
                    f" {type_of(place, column)}. Rename the old table in ClickHouse and materialise again."
                )
        while True:
            self._run(create_view(place, [n for n in there if n not in (BATCH, ROW)], self.name, cluster=self.cluster))
            # Another writer may have added a column since, and made its view before ours.
            now = self.columns_of(place, again=True)
            if now == there:
                return
            there = now

    def _widened(self, declared: Table, place: Stored, there: dict[str, str]) -> dict[str, str]:
        """Add the columns that the table of rows lacks, and return those that it has then."""
        missing = [c for c in place.columns if c.name not in there]
        if wanting := [c.name for c in missing if not c.nullable]:
            raise SchemaMismatchError(
                f"Table {declared.name!r}: column {wanting[0]!r} is declared without nulls, but the rows at"
                f" {self.connection.place}/{self.name}.{place.name} have none. Rename the old table in ClickHouse and"
                " materialise again, or allow nulls."
            )
        if not missing:
            return there
        for statement in add_columns(place, [c.name for c in missing], self.name, cluster=self.cluster):
            self._run(statement)
        return self.columns_of(place, again=True)

    def _run(self, statement: str) -> None:
        self.persist(lambda: self.connection.command(statement))

    def _require_names(self, declared: Table, place: Stored) -> None:
        """Refuse names of columns that the store has for itself, before anything is made."""
        taken = sorted(
            {c.name for c in place.columns if not c.name or c.name.startswith("_")}
            | _TAKEN.intersection(c.name for c in place.columns)
        )
        if taken:
            raise StoreError(
                f"Table {declared.name!r}: ClickHouse cannot have the column {taken[0]!r}: update_time and names that"
                " begin with _ are the store's own. Rename it."
            )

    def columns_of(self, place: Stored, *, again: bool = False) -> dict[str, str]:
        """Columns that the table of rows has, with their types; none if it is not there."""
        if again or place.rows not in self._seen:
            sql = (
                "SELECT name, type FROM system.columns WHERE database = {d:String} AND table = {t:String}"
                " ORDER BY position"
            )
            found = self.query(sql, {"d": self.name, "t": place.rows})
            self._seen[place.rows] = (
                dict(zip(found["name"].to_pylist(), found["type"].to_pylist(), strict=True)) if found.num_rows else {}
            )
        return self._seen[place.rows]

    def forget(self) -> None:
        """Forget which tables are there."""
        self._seen.clear()


def _plain(rows: pa.Table) -> pa.Table:
    """Return rows without dictionaries."""
    fields = [
        pa.field(f.name, f.type.value_type if pa.types.is_dictionary(f.type) else f.type, nullable=True)
        for f in rows.schema
    ]
    return rows.cast(pa.schema(fields))
