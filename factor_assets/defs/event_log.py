"""Dagster's SQLite event log with real batches: a range of partitions is recorded in one transaction, not in thousands.

Dagster can collect the events of a range, but its SQLite storage then writes them one by one, each over a new
connection and two commits: about 16 ms an asset partition. Nothing else changes: the same files, the same rows. A
process killed inside a batch loses the whole batch, and its partitions are made again.
"""

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import sqlalchemy as db
from dagster import AssetExecutionContext, EventLogEntry
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluationPlanned
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME
from dagster._serdes import ConfigurableClassData
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.pool import NullPool

BATCH_VARIABLE, BATCH_SIZE = "DAGSTER_EVENT_BATCH_SIZE", 1000
_BUSY_TIMEOUT_S = 120


class BatchingSqliteEventLogStorage(SqliteEventLogStorage):
    """As `SqliteEventLogStorage`, with one transaction a batch and one engine a file."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engines: dict[str, Engine] = {}
        self._held: dict[str, Connection] = {}
        self._asset_key_columns: set[str] = set()
        super().__init__(base_dir, inst_data)
        # dagster.yaml has no place for it, and every process of a run, however it was started, opens this storage.
        os.environ.setdefault(BATCH_VARIABLE, str(BATCH_SIZE))
        # A batch opens its connections and then stores events, which ask for the same ones.
        self._db_lock = threading.RLock()  # type: ignore[assignment]

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Any
    ) -> "BatchingSqliteEventLogStorage":
        """Build the storage from its block in dagster.yaml."""
        return cls(inst_data=inst_data, **config_value)

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store the events in order, in one transaction a file."""
        with self.one_transaction(*(event.run_id for event in events)):
            for event in events:
                self.store_event(event)

    def _store_asset_check_evaluation_planned(self, event: EventLogEntry, event_id: int | None) -> None:
        # A check here is of the whole run. Dagster would plan one for each of the run's partitions, which the
        # evaluation then never ends: 46,000 rows and 72 MB for 115 factors of eight years.
        planned = event.dagster_event
        if planned is not None and isinstance(planned.event_specific_data, AssetCheckEvaluationPlanned):
            whole = AssetCheckEvaluationPlanned(
                asset_key=planned.event_specific_data.asset_key, check_name=planned.event_specific_data.check_name
            )
            event = event._replace(dagster_event=planned._replace(event_specific_data=whole))
        super()._store_asset_check_evaluation_planned(event, event_id)

    @contextmanager
    def one_transaction(self, *run_ids: str) -> Iterator[None]:
        """Store what is stored inside in one transaction a file; keep it short, for it keeps other writers waiting."""
        with self._db_lock, ExitStack() as stack:
            # Inside another one, what that holds stays with it.
            opened = sorted({*run_ids, INDEX_SHARD_NAME} - self._held.keys())
            try:
                for shard in opened:
                    self._held[shard] = stack.enter_context(self._connect(shard))
                yield
            finally:
                for shard in opened:
                    self._held.pop(shard, None)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        with self._db_lock:
            if shard in self._held:
                yield self._held[shard]
                return
            engine = self._engine(shard)
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            with engine.begin() as connection:
                yield connection

    def _engine(self, shard: str) -> Engine:
        # One engine a file keeps the compiled statements; connections themselves are not kept.
        if shard not in self._engines:
            self._engines[shard] = db.create_engine(
                self.conn_string_for_shard(shard), poolclass=NullPool, connect_args={"timeout": _BUSY_TIMEOUT_S}
            )
        return self._engines[shard]

    def _has_asset_key_col_on_connection(self, conn: Connection, column_name: str) -> bool:
        # The answer never changes from yes to no, and asking costs three queries an event.
        if column_name not in self._asset_key_columns and super()._has_asset_key_col_on_connection(conn, column_name):
            self._asset_key_columns.add(column_name)
        return column_name in self._asset_key_columns


@contextmanager
def recorded_together(context: AssetExecutionContext) -> Iterator[None]:
    """Record the events that are logged inside in one transaction where the instance's storage can."""
    storage = context.instance.event_log_storage
    if isinstance(storage, BatchingSqliteEventLogStorage):
        with storage.one_transaction(context.run.run_id):
            yield
    else:
        yield
