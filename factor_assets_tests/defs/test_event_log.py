"""The batching event log holds what Dagster's own would hold, all of a batch or none of it, for many processes."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.storage.event_log import SqliteEventLogStorage

from factor_assets.defs.event_log import BatchingSqliteEventLogStorage
from factor_assets.defs.instance import open_instance
from factor_assets_tests.market import small_settings

DATES = dg.DailyPartitionsDefinition("2024-01-01", end_date="2024-01-11")
RANGE = {"dagster/asset_partition_range_start": "2024-01-01", "dagster/asset_partition_range_end": "2024-01-10"}


@dg.multi_asset(
    specs=[dg.AssetSpec(name, partitions_def=DATES, code_version="1", skippable=True) for name in ("a", "b")],
    check_specs=[dg.AssetCheckSpec("sound", asset="a")],
    backfill_policy=dg.BackfillPolicy.single_run(),
)
def two_assets(context: dg.AssetExecutionContext) -> Any:
    for name in ("a", "b"):
        yield dg.MaterializeResult(asset_key=name, metadata={"rows": 3}, data_version=dg.DataVersion("v"))
    yield dg.AssetCheckResult(check_name="sound", asset_key="a", passed=True)


def plain_instance(folder: Path) -> dg.DagsterInstance:
    folder.mkdir()
    (folder / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    return dg.DagsterInstance.from_config(str(folder))


def rows(folder: Path, run_id: str) -> dict[str, list[tuple[Any, ...]]]:
    """Return what the two databases hold of a run, less times, ids and texts that name them."""
    found: dict[str, list[tuple[Any, ...]]] = {}
    (index,) = folder.rglob("index.db")
    for name, file in (("index", index), ("run", index.with_name(f"{run_id}.db"))):
        with closing(sqlite3.connect(file)) as connection:
            found[name] = connection.execute(
                "SELECT dagster_event_type, step_key, asset_key, partition FROM event_logs"
                " WHERE dagster_event_type NOT LIKE 'LOGS_CAPTURED' ORDER BY id"
            ).fetchall()
    with closing(sqlite3.connect(index)) as connection:
        found["tags"] = connection.execute(
            "SELECT asset_key, key, value FROM asset_event_tags ORDER BY event_id, key"
        ).fetchall()
        found["keys"] = connection.execute("SELECT asset_key, last_run_id FROM asset_keys ORDER BY id").fetchall()
        found["checks"] = connection.execute(
            "SELECT asset_key, check_name, execution_status FROM asset_check_executions ORDER BY id"
        ).fetchall()
    return found


def materialize(instance: dg.DagsterInstance, run_id: str) -> None:
    definitions = dg.Definitions(assets=[two_assets], jobs=[dg.define_asset_job("both")])
    result = definitions.resolve_job_def("both").execute_in_process(instance=instance, run_id=run_id, tags=RANGE)
    assert result.success


@pytest.fixture
def instance(tmp_path: Path) -> Any:
    with open_instance(small_settings(tmp_path)) as opened:
        assert isinstance(storage_of(opened), BatchingSqliteEventLogStorage)
        yield opened


def storage_of(instance: dg.DagsterInstance) -> BatchingSqliteEventLogStorage:
    storage = instance.event_log_storage
    assert isinstance(storage, SqliteEventLogStorage)
    return storage  # type: ignore[return-value]


def event(run_id: str, partition: str) -> dg.EventLogEntry:
    """A materialization as a run reports it."""
    from dagster._core.events import DagsterEvent, StepMaterializationData

    made = DagsterEvent(
        event_type_value=dg.DagsterEventType.ASSET_MATERIALIZATION.value,
        job_name="job",
        event_specific_data=StepMaterializationData(dg.AssetMaterialization("a", partition=partition)),
    )
    return dg.EventLogEntry(
        error_info=None, level=20, user_message="", run_id=run_id, timestamp=1.0, job_name="job", dagster_event=made
    )


class TestAgainstDagster:
    def test_a_run_leaves_the_same_rows(self, instance: dg.DagsterInstance, tmp_path: Path) -> None:
        run_id = "11111111-2222-3333-4444-555555555555"
        materialize(instance, run_id)
        with plain_instance(tmp_path / "plain") as plain:
            materialize(plain, run_id)
        ours, theirs = rows(tmp_path / "dagster", run_id), rows(tmp_path / "plain", run_id)
        assert len(theirs["index"]) >= 40
        # Dagster also plans the check for each partition of the run, and never ends those
        planned = [row for row in theirs["checks"] if row[2] == "PLANNED"]
        assert len(planned) >= 10
        assert ours == {**theirs, "checks": [row for row in theirs["checks"] if row not in planned]}

    def test_partitions_and_latest_events_are_the_same(self, instance: dg.DagsterInstance, tmp_path: Path) -> None:
        with plain_instance(tmp_path / "plain") as plain:
            for each in (instance, plain):
                materialize(each, "11111111-2222-3333-4444-555555555555")
            for key in (dg.AssetKey("a"), dg.AssetKey("b")):
                assert instance.get_materialized_partitions(key) == plain.get_materialized_partitions(key)
                assert instance.get_latest_data_version_record(key).partition_key == "2024-01-10"  # type: ignore[union-attr]


class TestProperties:
    def test_a_failed_batch_leaves_nothing(self, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
        storage, store = storage_of(instance), SqliteEventLogStorage.store_event

        def fail_at_the_third(self: Any, entry: dg.EventLogEntry) -> None:
            if entry.asset_materialization.partition == "3":  # type: ignore[union-attr]
                raise OSError("disk full")
            store(self, entry)

        monkeypatch.setattr(SqliteEventLogStorage, "store_event", fail_at_the_third)
        with pytest.raises(OSError, match="disk full"):
            storage.store_event_batch([event("r", partition) for partition in "1234"])
        assert instance.get_materialized_partitions(dg.AssetKey("a")) == set()
        assert storage.get_logs_for_run("r") == []
        storage.store_event_batch([event("r", partition) for partition in "124"])
        assert instance.get_materialized_partitions(dg.AssetKey("a")) == {"1", "2", "4"}

    def test_a_transaction_inside_another_belongs_to_it(self, instance: dg.DagsterInstance) -> None:
        storage = storage_of(instance)

        def interrupted() -> None:
            with storage.one_transaction("r"):
                storage.store_event(event("r", "1"))
                storage.store_event_batch([event("r", "2"), event("other", "3")])
                storage.store_event(event("r", "4"))
                raise KeyError("interrupted")

        with pytest.raises(KeyError, match="interrupted"):
            interrupted()
        assert instance.get_materialized_partitions(dg.AssetKey("a")) == set()
        with storage.one_transaction("r"):
            storage.store_event_batch([event("r", "1"), event("r", "2")])
            storage.store_event(event("r", "3"))
        assert instance.get_materialized_partitions(dg.AssetKey("a")) == {"1", "2", "3"}
        assert len(storage.get_logs_for_run("r")) == 3

    def test_two_processes_at_once_lose_nothing(self, instance: dg.DagsterInstance, tmp_path: Path) -> None:
        code = (
            "import sys, warnings; from pathlib import Path\n"
            "from factor_assets.defs.instance import open_instance\n"
            "from factor_assets_tests.defs.test_event_log import event, storage_of\n"
            "from factor_assets_tests.market import small_settings\n"
            "with open_instance(small_settings(Path(sys.argv[1]))) as instance:\n"
            "    for batch in range(10):\n"
            "        entries = [event(sys.argv[2], f'{sys.argv[2]}-{batch}-{i}') for i in range(20)]\n"
            "        storage_of(instance).store_event_batch(entries)\n"
        )
        writers = [
            subprocess.Popen([sys.executable, "-c", code, str(tmp_path), name], stderr=subprocess.PIPE, text=True)
            for name in ("x", "y")
        ]
        for writer in writers:
            _, errors = writer.communicate(timeout=100)
            assert writer.returncode == 0, errors
        wanted = {f"{name}-{batch}-{i}" for name in "xy" for batch in range(10) for i in range(20)}
        assert instance.get_materialized_partitions(dg.AssetKey("a")) == wanted
        assert len(storage_of(instance).get_logs_for_run("x", limit=1000)) == 200
