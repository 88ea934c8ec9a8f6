"""What is made, current and failing, read from the Dagster instance."""

from dataclasses import dataclass
from datetime import UTC, datetime

import dagster as dg
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph

_CODE_VERSION = "dagster/code_version"


@dataclass(frozen=True, kw_only=True, slots=True)
class AssetStatus:
    """Where one asset stands.

    Parameters
    ----------
    made, wanted
        Partitions made, and partitions there are; 1 for an asset without partitions.
    last_made
        Time of the newest materialization, UTC; None if never.
    current
        Whether the newest materialization was made by today's code and settings; None if never made.
    failed_checks
        Names of the checks that failed when they last ran.
    """

    key: str
    group: str
    made: int
    wanted: int
    last_made: datetime | None
    current: bool | None
    failed_checks: tuple[str, ...]


def asset_statuses(definitions: dg.Definitions, instance: dg.DagsterInstance) -> list[AssetStatus]:
    """Return the status of every asset, upstream first."""
    graph = definitions.resolve_asset_graph()
    statuses = []
    for key in graph.toposorted_asset_keys:
        node = graph.get(key)
        event = instance.get_latest_materialization_event(key)
        materialization = event.asset_materialization if event else None
        wanted = (
            len(node.partitions_def.get_partition_keys(dynamic_partitions_store=instance)) if node.partitions_def else 1
        )
        made = len(instance.get_materialized_partitions(key)) if node.partitions_def else int(event is not None)
        tags = materialization.tags or {} if materialization else {}
        statuses.append(
            AssetStatus(
                key=key.to_user_string(),
                group=node.group_name,
                made=made,
                wanted=wanted,
                last_made=datetime.fromtimestamp(event.timestamp, UTC) if event else None,
                current=None if event is None else tags.get(_CODE_VERSION, node.code_version) == node.code_version,
                failed_checks=_failed_checks(graph, instance, key),
            )
        )
    return statuses


def _failed_checks(graph: AssetGraph, instance: dg.DagsterInstance, key: dg.AssetKey) -> tuple[str, ...]:
    failed = []
    for check in sorted(graph.get_check_keys_for_assets({key})):
        record = instance.get_latest_asset_check_evaluation_record(check)
        event = record.event.dagster_event if record and record.event else None
        if event is not None and not event.asset_check_evaluation_data.passed:
            failed.append(check.name)
    return tuple(failed)
