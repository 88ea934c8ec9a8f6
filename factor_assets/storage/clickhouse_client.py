"""The one connection to ClickHouse: a server over HTTP or the embedded engine, and what their failures mean.

What does not belong here: any SQL (`clickhouse.py`, `clickhouse_ddl.py`).
"""

import logging
import os
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from factor_assets.errors import StoreError
from factor_assets.store_settings import ClickHouseSettings

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

# What a statement may be given beside its values; each is needed for a promise of the store.
_SETTINGS: Mapping[str, Any] = {
    "async_insert": 0,  # an insert that was answered is in the table
    "date_time_overflow_behavior": "throw",
    "input_format_null_as_default": 0,
    "max_partitions_per_insert_block": 1000,  # a table by date may hold all years that there are
    "output_format_arrow_low_cardinality_as_dictionary": 1,
    "output_format_arrow_compression_method": "none",  # the transport compresses
    # An answer is whole or refused, whatever the user's profile says.
    "limit": 0,
    "offset": 0,
    "result_overflow_mode": "throw",
    "read_overflow_mode": "throw",
    "sort_overflow_mode": "throw",
    "timeout_overflow_mode": "throw",
    "use_query_cache": 0,
}
# On a cluster: an insert that was answered is on its shards and most of their replicas, and a query sees all of those.
_CLUSTER_SETTINGS: Mapping[str, Any] = {
    "distributed_foreground_insert": 1,
    "insert_quorum": "auto",
    "insert_quorum_parallel": 0,
    "select_sequential_consistency": 1,
    "skip_unavailable_shards": 0,
}
_UNKNOWN_TABLE = {60, 81}
_ADVICE = {
    516: "it refused user {user!r}: check clickhouse.user and the variable CLICKHOUSE_PASSWORD.",
    192: "it knows no user {user!r}: check clickhouse.user.",
    193: "it refused user {user!r}: check clickhouse.user and the variable CLICKHOUSE_PASSWORD.",
    194: "user {user!r} wants a password: set the variable CLICKHOUSE_PASSWORD.",
    164: "user {user!r} may only read: grant it writing, or set clickhouse.user to one that may.",
    497: "user {user!r} lacks a permission: grant SELECT, INSERT, CREATE, ALTER and DROP on database {database!r}, or"
    " set clickhouse.user to one that has them.",
    243: "its disk is full: free space there, or delete old versions with `factor-assets maintain --keep 7`.",
    159: "it took longer than it may: raise clickhouse.timeout, or write less at once.",
    241: "it lacks memory for this: write or read less at once, or raise its max_memory_usage.",
    252: "it has too many small parts to merge: write larger slices, or wait.",
}


class Unreachable(StoreError):  # noqa: N818 the condition, as the store's retries name it
    """The server did not answer, or the connection was lost before its answer: whether it acted is not known."""


class NoSuchTable(StoreError):  # noqa: N818
    """The database or the table is not there yet."""


class Connection:
    """A lazily opened connection; threads may share it.

    Parameters
    ----------
    password
        Never part of a message.
    chdb_path
        Folder of the embedded engine, for interface chdb.
    reads_only
        The server refuses to change anything on it, and table functions, so that files and other hosts are out of
        reach; names of tables mean those of the database.
    """

    def __init__(
        self, settings: ClickHouseSettings, *, password: str, chdb_path: Path, reads_only: bool = False
    ) -> None:
        self._settings = settings
        self._password = password
        self._chdb_path = chdb_path
        self._reads_only = reads_only
        self._client: Client | None = None
        self._process = os.getpid()
        self.has_answered = False
        self._lock = threading.Lock()

    @property
    def place(self) -> str:
        """The server or the folder, for people."""
        if self._settings.interface == "chdb":
            return f"chdb:{self._chdb_path}"
        return f"{'https' if self._settings.secure else 'http'}://{self._settings.host}:{self._settings.port}"

    def for_reading(self) -> "Connection":
        """Return a connection of its own, on which nothing can be changed."""
        return Connection(self._settings, password=self._password, chdb_path=self._chdb_path, reads_only=True)

    def query_arrow(self, sql: str, parameters: Mapping[str, Any] | None = None) -> pa.Table:
        """Run a query; its values are bound by the server to `{name:Type}`."""
        with self._explained():
            client, values = self._open(), dict(parameters or {})
            if self._settings.interface == "chdb":
                return client.query_arrow(sql, parameters=values)
            try:
                # As it is made. The server writes an answer whose end is waited for to its disk first: a third slower,
                # and impossible where that is full.
                return client.query_arrow(sql, parameters=values, settings={"wait_end_of_query": 0})
            except Exception as error:
                if getattr(error, "code", None) is not None:
                    raise
                # Why an answer broke off is told only to who waits for its end.
                return client.query_arrow(sql, parameters=values)

    def command(self, sql: str, parameters: Mapping[str, Any] | None = None) -> None:
        """Run a statement that returns nothing."""
        with self._explained():
            self._open().command(sql, parameters=dict(parameters or {}))

    def insert_arrow(self, table: str, rows: pa.Table, *, token: str = "") -> int:
        """Insert rows and return how many the server says that it was given.

        Parameters
        ----------
        table
            Quoted.
        token
            The server takes rows with a token that it remembers for this table as taken, and says so to nobody.
        """
        with self._explained():
            settings = {"insert_deduplication_token": token} if token else None
            return int(self._open().insert_arrow(table, rows, settings=settings).written_rows)

    def close(self) -> None:
        """Close the connection; the next use opens it again."""
        with self._lock:
            if self._client is not None:
                self._client.close()
            self._client = None

    def _open(self) -> "Client":
        if self._process != os.getpid():  # a fork must not talk over its parent's connection
            self._client, self._lock, self._process = None, threading.Lock(), os.getpid()
        with self._lock:
            if self._client is None:
                client = self._connect()
                if self._reads_only:
                    self._restrict(client)
                self._client = client
                self.has_answered = True
            return self._client

    def _connect(self) -> "Client":
        import clickhouse_connect

        # It warns of every failure that it raises.
        logging.getLogger("clickhouse_connect").setLevel(logging.ERROR)
        chosen = self._settings
        pinned = {**_SETTINGS, **(_CLUSTER_SETTINGS if chosen.cluster else {})}
        if chosen.interface == "chdb":
            self._chdb_path.mkdir(parents=True, exist_ok=True)
            return clickhouse_connect.get_client(
                interface="chdb", path=str(self._chdb_path), settings=pinned, show_clickhouse_errors=True
            )
        try:
            socket.getaddrinfo(chosen.host, chosen.port)
        except OSError as error:
            raise StoreError(
                f"ClickHouse at {self.place} cannot be reached: no host {chosen.host!r} is known;"
                " check clickhouse.host."
            ) from error
        return clickhouse_connect.get_client(
            interface="https" if chosen.secure else "http",
            host=chosen.host,
            port=chosen.port,
            username=chosen.user,
            password=self._password,
            settings=pinned,
            send_receive_timeout=int(max(1, chosen.timeout)),
            connect_timeout=10,
            query_retries=0,
            autogenerate_session_id=False,
            compress="lz4",
            dedicated_pool=True,
            client_name="factor-assets",
        )

    def _restrict(self, client: "Client") -> None:
        if self._settings.interface == "chdb":
            client.command("USE {database:Identifier}", parameters={"database": self._settings.database})
        else:
            client.database = self._settings.database
        held = client.server_settings.get("readonly")
        # A user who may only read must not set it, and needs not.
        if str(client.get_client_setting("readonly") or "0") == "0" and (held is None or str(held.value) == "0"):
            client.set_client_setting("readonly", 1)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what the libraries raise into a StoreError that names the setting to change."""
        from clickhouse_connect.driver.exceptions import ClickHouseError, Error, NotSupportedError, ProgrammingError
        from urllib3.exceptions import HTTPError

        try:
            yield
        except StoreError:
            raise
        except (ClickHouseError, HTTPError, OSError, pa.ArrowException) as error:
            code = error.code if isinstance(error, Error) else None
            reason = self._masked(next((line for line in str(error).splitlines() if line.strip()), "no reason given"))
            if code in _UNKNOWN_TABLE:
                raise NoSuchTable(f"ClickHouse at {self.place}: {reason}") from None
            if code is not None or isinstance(error, (ProgrammingError, NotSupportedError)):
                full = "No space left" in reason or "errno: 28" in reason
                advice = _ADVICE.get(243 if full else code or 0, "see its log for more.")
                advice = advice.format(user=self._settings.user, database=self._settings.database)
                raise StoreError(f"ClickHouse at {self.place} refused: {advice} It said: {reason}") from None
            raise Unreachable(
                f"ClickHouse at {self.place} does not answer: check clickhouse.host, clickhouse.port and"
                f" clickhouse.secure, and that the server runs; with a slow answer raise clickhouse.timeout. {reason}"
            ) from None

    def _masked(self, text: str) -> str:
        return text.replace(self._password, "***") if self._password else text
