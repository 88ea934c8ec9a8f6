"""Record as failed what ran in the code location's container when that was killed.

A run is a process of that container, so that none lives when the container starts. Dagster itself would show the dead
ones as running, and keep their places in the queue, until `max_runtime_seconds` of dagster.yaml. What does not belong
here: runs of the command line, which know their process (`factor_assets/defs/instance.py`).
"""

import sys

import dagster as dg
from dagster._core.storage.tags import GRPC_INFO_TAG

_UNFINISHED = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]


def end_dead_runs(instance: dg.DagsterInstance) -> list[str]:
    """Record the unfinished runs of the code location as failed, and return their ids."""
    ended = []
    for run in instance.get_runs(dg.RunsFilter(statuses=_UNFINISHED)):
        if GRPC_INFO_TAG in run.tags:  # which the daemon sets when it gives a run to the code location
            instance.report_run_failed(run, "The code location's container was stopped during this run.")
            ended.append(run.run_id)
    return ended


if __name__ == "__main__":
    with dg.DagsterInstance.get() as found:
        for run_id in end_dead_runs(found):
            sys.stdout.write(f"run {run_id}: recorded as failed\n")
