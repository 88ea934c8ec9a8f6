"""One database of ClickHouse: its tables are made and widened here, and what the server did not answer is asked again.

What does not belong here: commits (`clickhouse_log.py`), what the statements say (`clickhouse_ddl.py`), and what a
failure means (`clickhouse_client.py`).
"""

import random
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import pyarrow as pa

from factor_assets.errors import SchemaMismatchError
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

    def new_batch(self) -> int:
        """Return a number that the server gave to nobody else; it grows with time."""
        if not self._ids or time.monotonic() - self._ids_at > _IDS_AGE_S:
            sql = "SELECT generateSnowflakeID() AS id FROM numbers({n:UInt64})"
            self._ids = self.query(sql, {"n": _IDS})["id"].to_pylist()
            self._ids_at = time.monotonic()
        return int(self._ids.pop())

    def make(self, declared: Table) -> None:
        """See that the table of rows and its view are there, with all declared columns."""
        place = stored(declared)
        there = self._seen.get(place.rows, {})
        if all(c.name in there for c in place.columns):
            return
        there = self.columns_of(place, again=True)
        if not there:
            statements = [
                create_database(self.name, cluster=self.cluster),
                *create_commits(self.name, cluster=self.cluster),
                *create_rows(place, self.name, cluster=self.cluster),
            ]
            for statement in statements:
                self.persist(lambda statement=statement: self.connection.command(statement))  # type: ignore[misc]
            there = self.columns_of(place, again=True)
        missing = [c.name for c in place.columns if c.name not in there]
        for statement in add_columns(place, missing, self.name, cluster=self.cluster) if missing else []:
            self.persist(lambda statement=statement: self.connection.command(statement))  # type: ignore[misc]
        there = self.columns_of(place, again=True)
        for column in place.columns:
            if there[column.name] != type_of(place, column):
                raise SchemaMismatchError(
                    f"Table {declared.name!r}: column {column.name!r} is stored as {there[column.name]} at"
                    f" {self.connection.place}/{self.name}.{place.name}, but is declared as"
                    f" {type_of(place, column)}. Rename the old table in ClickHouse and materialise again."
                )
        names = [name for name in there if name not in (BATCH, ROW)]
        view = create_view(place, names, self.name, cluster=self.cluster)
        self.persist(lambda: self.connection.command(view))

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
