"""The Dagster instance in the home folder, so that the command line and the UI see the same runs."""

import json
import os
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import dagster as dg
from sqlalchemy.exc import DatabaseError

from factor_assets.errors import FactorAssetsError, SettingsError, StoreError
from factor_assets.examined import Examined
from factor_assets.settings import Settings
from factor_assets.storage.atomic import replace_file

_LONGEST_WAIT_S = 60
_UPLOAD_EVERY_S = 30
_LOGS_PREFIX = "dagster"
HOST_TAG, PROCESS_TAG = "factor_assets/host", "factor_assets/process"

INSTANCE_SETTINGS = """\
# Written once by factor-assets; yours to change.
telemetry:
  enabled: false
nux:
  enabled: false
python_logs:
  python_log_level: INFO
run_coordinator:
  module: dagster.core.run_coordinator
  class: QueuedRunCoordinator
  config:
    max_concurrent_runs: 2
event_log_storage:
  module: factor_assets.defs.event_log
  class: BatchingSqliteEventLogStorage
  config:
    base_dir: {history}
"""


def open_instance(settings: Settings) -> dg.DagsterInstance:
    """Open the instance, making its folder and settings on first use, and end the runs whose process was killed.

    Raises
    ------
    StoreError
        If the folder cannot be written.
    SettingsError
        If what runs print is to go to a bucket, and the library for it is missing.
    """
    folder = settings.dagster_home
    file = folder / "dagster.yaml"
    try:
        present = file.exists()
    except OSError as error:
        raise StoreError(f"{folder} cannot be read: {error.strerror}. Choose another `home`.") from error
    if not present:
        text = INSTANCE_SETTINGS.format(history=json.dumps(str(folder / "history")))
        replace_file(file, (text + _compute_logs(settings)).encode())
    with _one_at_a_time(folder):
        instance = dg.DagsterInstance.from_config(str(folder))
        _end_dead_runs(instance)
    return instance


def _compute_logs(settings: Settings) -> str:
    """Return the instance's settings that send what runs print to a bucket; "" without one.

    Raises
    ------
    SettingsError
        If the library that does it is not installed.
    """
    place, s3 = settings.s3.compute_logs, settings.s3
    if not place:
        return ""
    if find_spec("dagster_aws") is None:
        raise SettingsError("s3.compute_logs wants dagster-aws: install factor-assets[aws], or leave it empty.")
    bucket, _, prefix = place.removeprefix("s3://").strip("/").partition("/")
    encryption = {"ServerSideEncryption": s3.encryption, "SSEKMSKeyId": s3.kms_key}
    config = {
        "bucket": bucket,
        "prefix": prefix or _LOGS_PREFIX,
        "endpoint_url": s3.endpoint,
        "region": s3.region,
        "upload_extra_args": {name: value for name, value in encryption.items() if value},
        "upload_interval": _UPLOAD_EVERY_S,
        "skip_empty_files": True,
    }
    chosen = {name: value for name, value in config.items() if value}
    # JSON is YAML.
    manager = {"module": "dagster_aws.s3", "class": "S3ComputeLogManager", "config": chosen}
    return f"compute_logs: {json.dumps(manager)}\n"


def examine_compute_logs(settings: Settings) -> Iterator[Examined]:
    """Look whether the instance sends what runs print where `s3.compute_logs` wants it; nothing where neither says.

    The setting is read when dagster.yaml is written, on first use; one that is there, such as the server's, rules.
    """
    file, wanted = settings.dagster_home / "dagster.yaml", settings.s3.compute_logs.rstrip("/")
    try:
        with open_instance(settings) as instance:
            said = instance.get_ref().compute_logs_data
    except (FactorAssetsError, OSError, dg.DagsterError, DatabaseError):
        return  # which `examine_instance` has said
    config = said.config_dict
    bucket, prefix = (_value(config.get(name, "")) for name in ("bucket", "prefix"))
    found = f"s3://{bucket}/{prefix}".rstrip("/") if bucket else ""
    if not found and not wanted:
        return
    ok = not wanted or found in {wanted, f"{wanted}/{_LOGS_PREFIX}"}
    yield Examined(
        check="compute logs",
        ok=ok,
        found=f"{file} sends what runs print to {found or 'the home folder'}"
        + ("" if ok else f", but s3.compute_logs is {wanted}"),
        advice="" if ok else "write it into that file, which rules once it is there, or unset s3.compute_logs",
    )


def _value(said: Any) -> str:
    """Return a value of dagster.yaml, which may be that of a variable."""
    return os.environ.get(said["env"], "") if isinstance(said, dict) else str(said)


def process_tags() -> dict[str, str]:
    """Tags by which a later process can tell whether the run's process still lives."""
    return {HOST_TAG: socket.gethostname(), PROCESS_TAG: str(os.getpid())}


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Let one process in: two that make Dagster's tables at once get in each other's way. The killed let go, too."""
    with closing(sqlite3.connect(folder / "opening.db", timeout=_LONGEST_WAIT_S, isolation_level=None)) as lock:
        lock.execute("BEGIN EXCLUSIVE")
        yield


def _end_dead_runs(instance: dg.DagsterInstance) -> None:
    """Record the runs as failed that this host started and whose process is gone.

    Dagster would show them as running for ever, and its daemon would count them among those allowed at once.
    """
    unfinished = [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED]
    for run in instance.get_runs(dg.RunsFilter(statuses=unfinished, tags={HOST_TAG: socket.gethostname()})):
        if not _is_alive(int(run.tags[PROCESS_TAG])):
            instance.report_run_failed(run, f"The process {run.tags[PROCESS_TAG]} of this run was killed.")


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
