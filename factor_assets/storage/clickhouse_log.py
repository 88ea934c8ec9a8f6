"""The commits of tables in ClickHouse: looked at, and made one after the other, whoever makes them.

What does not belong here: what a commit says (`clickhouse_commits.py`), and rows (`clickhouse.py`).

The number of a commit is its insert's deduplication token, which the server takes once. Of several writers with the
same number one wins; sent again after a lost connection, a commit changes nothing.
"""

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa

from factor_assets.errors import StoreError
from factor_assets.storage.clickhouse_client import NoSuchTable, Unreachable
from factor_assets.storage.clickhouse_commits import DESCRIPTION, SCHEMA, Commit, State, commit_of, state_of
from factor_assets.storage.clickhouse_database import Database
from factor_assets.storage.clickhouse_ddl import COMMITS, quoted
from factor_assets.storage.slice import Slice
from factor_assets.storage.store import Version, version_as_of

# A number that is taken but has no commit was lost with a server that was killed between the two.
_NUMBER_LOST_S = 2.0


class NumberLost(Exception):  # noqa: N818
    """The number of a commit is taken, but there is no commit: it went down with the server."""


class History:
    """The commits of a table, oldest first, and the state after the newest.

    Attributes
    ----------
    slices
        What the commit of each batch was about.
    """

    __slots__ = ("commits", "seen_at", "slices", "state")

    def __init__(self, commits: Sequence[Commit], state: State, slices: Mapping[int, Slice] | None = None) -> None:
        self.seen_at = time.monotonic()
        self.commits = commits
        self.state = state
        self.slices = {c.batch: c.version.slice for c in commits} if slices is None else slices

    @property
    def versions(self) -> list[Version]:
        """Newest first."""
        return [c.version for c in reversed(self.commits)]

    @property
    def columns(self) -> list[str]:
        """Columns that an open table holds, in the order in which they came."""
        return list(dict.fromkeys(name for c in self.commits for name in c.columns))


class CommitLog:
    """The commits of every table of a database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[str, History] = {}

    def history(self, table: str) -> History:
        """Return what is known of a table by its newest commit."""
        known = self._known.get(table)
        try:
            if known is None:
                known = self._load(table)
            else:
                last = known.commits[-1]
                since = "number >= {number:UInt64}"
                seen = self._commit_rows(table, since, columns=("number", "batch"), number=last.number)
                if not seen or (seen[0]["number"], seen[0]["batch"]) != (last.number, last.batch):
                    known = self._load(table)  # the database is another one by now
                elif len(seen) == 1:
                    known = History(known.commits, known.state, known.slices)
                else:
                    rows = self._commit_rows(table, since, number=last.number)
                    known = History([*known.commits, *map(commit_of, rows[1:])], state_of(rows[-1]))
        except NoSuchTable:
            self._require_no_rows()
            known = History([], State())
        if known.commits:
            self._known[table] = known
        else:
            self._known.pop(table, None)
        return known

    def known(self, table: str, *, for_s: float) -> History | None:
        """Return the history that was seen in the last seconds; None if there is none."""
        known = self._known.get(table)
        return known if known is not None and time.monotonic() - known.seen_at <= for_s else None

    def remember(self, table: str, history: History) -> None:
        """Take a history as the newest that was seen."""
        self._known[table] = history

    def forget(self) -> None:
        """Forget what was seen."""
        self._known.clear()

    def add(self, row: pa.Table) -> Commit | None:
        """Insert a commit; None if another writer's has its number. Returns when one of the two is certain."""
        table, number, batch = (row[name][0].as_py() for name in ("table_name", "number", "batch"))
        lost_at = None

        def winner() -> list[dict[str, Any]]:
            columns = ("batch", "committed_at")
            return self._commit_rows(table, "number = {number:UInt64}", columns=columns, number=number)

        def settle() -> Commit | None:
            nonlocal lost_at
            # The newest commits know the token: the second insert of a number is dropped.
            self._database.connection.insert_arrow(self._database.commits, row, token=f"{table}:{number}")
            found = winner()
            while not found:
                lost_at = lost_at or time.monotonic()
                if time.monotonic() - lost_at > _NUMBER_LOST_S:
                    if self._database.cluster:  # token and commit are one there: this replica is behind
                        raise Unreachable(f"ClickHouse at {self._database.connection.place} is behind its replicas.")
                    return None
                time.sleep(0.05)
                found = winner()
            return commit_of(row.to_pylist()[0] | found[0]) if found[0]["batch"] == batch else None

        made = self._database.persist(settle)
        if made is None and lost_at is not None:
            raise NumberLost
        return made

    def as_of(self, table: str, history: History, as_of: datetime | str) -> History:
        """Return the history as it was at a time or a version."""
        version = version_as_of(table, history.versions, as_of)
        if version is None:
            return History([], State())
        commits = [c for c in history.commits if c.number <= int(version.id)]
        state = state_of(self._commit_rows(table, "number = {number:UInt64}", number=int(version.id))[0])
        gone = {batch for c in history.commits for batch in c.deleted}
        if gone.intersection(state.live):
            raise StoreError(
                f"Version {version.id!r} of table {table!r} at {self._database.connection.place} cannot be read:"
                " maintenance deleted its rows. Read a newer one, and keep versions for longer."
            )
        return History(commits, state)

    def deleted(self, table: str, after: int) -> set[int]:
        """Batches whose rows maintenance gave up after a commit."""
        condition = "number > {number:UInt64} AND operation = 'maintain'"
        rows = self._commit_rows(table, condition, columns=("deleted",), number=after)
        return {batch for row in rows for batch in row["deleted"]}

    def _require_no_rows(self) -> None:
        """Refuse a database that has rows but no commits: somebody dropped them."""
        sql = (
            "SELECT countIf(startsWith(name, 'rows_')) AS rows, countIf(name = {c:String}) AS commits"
            " FROM system.tables WHERE database = {d:String}"
        )
        there = self._database.query(sql, {"c": COMMITS, "d": self._database.name}).to_pylist()[0]
        # Another writer may have made both by now, the commits first.
        if there["rows"] and not there["commits"]:
            raise StoreError(
                f"The database {self._database.name!r} at {self._database.connection.place} has rows, but its table"
                f" {COMMITS!r} is gone, without which nobody knows which of them are live. Restore it from a backup, or"
                " drop the database and materialise again."
            )

    def _load(self, table: str) -> History:
        """Return the history of a table of which nothing is known yet."""
        rows = self._commit_rows(table, "1", columns=DESCRIPTION)
        if not rows:
            return History([], State())
        newest = self._commit_rows(table, "number = {number:UInt64}", number=rows[-1]["number"])
        return History([commit_of(row) for row in rows], state_of(newest[0]))

    def _commit_rows(
        self, table: str, condition: str, *, columns: Sequence[str] = (*SCHEMA.names, "committed_at"), **values: int
    ) -> list[dict[str, Any]]:
        names = ", ".join(quoted(name) for name in columns)
        where = f"table_name = {{table:String}} AND {condition}"
        # One thread: to start others takes longer than to read a few rows.
        sql = (
            f"SELECT {names} FROM {self._database.commits} WHERE {where} ORDER BY number"  # noqa: S608 quoted and bound
            " SETTINGS max_threads = 1"
        )
        return self._database.query(sql, {"table": table, **values}).to_pylist()  # type: ignore[no-any-return]
