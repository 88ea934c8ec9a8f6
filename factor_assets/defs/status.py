"""What is made, current and failing, read from the Dagster instance, and whether that can be opened."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import dagster as dg
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph
from sqlalchemy.exc import DatabaseError

from factor_assets.defs.automation import is_on_demand
from factor_assets.defs.instance import open_instance
from factor_assets.defs.outdated import UNPARTITIONED, is_current, newest
from factor_assets.errors import FactorAssetsError
from factor_assets.examined import Examined
from factor_assets.settings import Settings


@dataclass(frozen=True, kw_only=True, slots=True)
class AssetStatus:
    """Where one asset stands.

    Parameters
    ----------
    made, old, wanted
        Partitions made by today's code and settings, made by others, and partitions there are; 1 for an asset without
        partitions.
    last_made
        Time of the newest materialization, UTC; None if never.
    failed_checks
        Names of the checks that failed when they last ran.
    """

    key: str
    group: str
    made: int
    old: int
    wanted: int
    last_made: datetime | None
    failed_checks: tuple[str, ...]


def asset_statuses(definitions: dg.Definitions, instance: dg.DagsterInstance) -> list[AssetStatus]:
    """Return the status of every asset, upstream first; what is made on demand is left out."""
    graph = definitions.resolve_asset_graph()
    statuses = []
    for key in graph.toposorted_asset_keys:
        node = graph.get(key)
        if is_on_demand(node):
            continue
        partitions = (
            node.partitions_def.get_partition_keys(dynamic_partitions_store=instance)
            if node.partitions_def
            else [UNPARTITIONED]
        )
        made = newest(instance, key)
        current = [is_current(node, made[name]) for name in partitions if name in made]
        statuses.append(
            AssetStatus(
                key=key.to_user_string(),
                group=node.group_name,
                made=current.count(True),
                old=current.count(False),
                wanted=len(partitions),
                last_made=max((datetime.fromtimestamp(m.timestamp, UTC) for m in made.values()), default=None),
                failed_checks=_failed_checks(graph, instance, key),
            )
        )
    return statuses


def _failed_checks(graph: AssetGraph, instance: dg.DagsterInstance, key: dg.AssetKey) -> tuple[str, ...]:
    failed = []
    for check in sorted(graph.get_check_keys_for_assets({key})):
        record = instance.get_latest_asset_check_evaluation_record(check)
        event = record.event.dagster_event if record and record.event else None
        # of a step that failed the record says only that the check was planned
        evaluated = event is not None and event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION
        if event is not None and evaluated and not event.asset_check_evaluation_data.passed:
            failed.append(check.name)
    return tuple(failed)


def examine_instance(settings: Settings) -> Iterator[Examined]:
    """Look at the Dagster instance, as `doctor` looks at everything else."""
    try:
        with open_instance(settings) as instance:
            runs = instance.get_runs_count()
            going = instance.get_runs_count(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
    except FactorAssetsError as error:
        yield Examined(check="dagster instance", ok=False, found=str(error))
    except (OSError, dg.DagsterError, DatabaseError) as error:
        yield Examined(
            check="dagster instance",
            ok=False,
            found=str(error).splitlines()[0],
            advice=f"correct or remove {settings.dagster_home / 'dagster.yaml'}; it is written anew",
        )
    else:
        yield Examined(
            check="dagster instance", ok=True, found=f"{settings.dagster_home}: {runs} runs, {going} of them going on"
        )
