"""Which partitions need making: never made, made by other code, or older than what they are made from.

1. An asset's newest materialization of each partition comes from the instance: its place in the log and its code
   version.
2. A partition is outdated if it has none, or one of another code version than today's.
3. So it is if the same partition of an upstream asset was made later; an asset by ticker or without partitions, if
   anything upstream was made later. Price history changes every day without changing the past, so a date only follows
   it when it was made in the same call.
4. Whatever is downstream of an outdated partition is outdated: from its first date on, since lookbacks reach back.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple

import dagster as dg
from dagster._core.definitions.assets.graph.base_asset_graph import BaseAssetNode

CODE_VERSION_TAG = "dagster/code_version"
IN_VAIN = "in vain"
"""Code version of a partition that a run tried and did not make, while others of the run were made: it is outdated."""

UNPARTITIONED = ""
"""Stands for the one partition of an asset that has none."""

_RECORDS_A_QUERY = 1000


class Made(NamedTuple):
    """The newest materialization of a partition."""

    storage_id: int
    code_version: str | None
    timestamp: float


def newest(instance: dg.DagsterInstance, key: dg.AssetKey) -> dict[str, Made]:
    """Return partition -> its newest materialization; `UNPARTITIONED` for an asset without partitions."""
    latest = instance.get_latest_storage_id_by_partition(key, dg.DagsterEventType.ASSET_MATERIALIZATION)
    ids = sorted(latest.values())
    if ids:
        records = [
            record
            for i in range(0, len(ids), _RECORDS_A_QUERY)
            for record in instance.fetch_materializations(
                dg.AssetRecordsFilter(asset_key=key, storage_ids=ids[i : i + _RECORDS_A_QUERY]), limit=_RECORDS_A_QUERY
            ).records
        ]
    else:
        records = list(instance.fetch_materializations(key, limit=1).records)
    made = {}
    for record in records:
        event = record.asset_materialization
        if event is not None:
            version = (event.tags or {}).get(CODE_VERSION_TAG)
            made[event.partition or UNPARTITIONED] = Made(record.storage_id, version, record.timestamp)
    return made


def is_current(node: BaseAssetNode, made: Made) -> bool:
    """Whether the materialization is of the asset's code version of today."""
    return node.code_version is None or made.code_version == node.code_version


def outdated(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    keys: Sequence[dg.AssetKey],
    partitions: Sequence[str],
    *,
    made_now: AbstractSet[dg.AssetKey],
) -> dict[dg.AssetKey, list[str]]:
    """Return asset -> its partitions that need making, in order.

    Parameters
    ----------
    keys
        Assets that share a partitions definition, upstream first.
    partitions
        Their partitions that are wanted, in order; `UNPARTITIONED` alone where they have none.
    made_now
        Assets of which something was made in this call.
    """
    graph = definitions.resolve_asset_graph()
    history: dict[dg.AssetKey, dict[str, Made]] = {}
    found: dict[dg.AssetKey, list[str]] = {}
    for key in keys:
        node = graph.get(key)
        for each in (key, *node.parent_keys):
            history.setdefault(each, newest(instance, each))
        first = min((partitions.index(found[p][0]) for p in node.parent_keys if found.get(p)), default=len(partitions))
        by_date = isinstance(node.partitions_def, dg.TimeWindowPartitionsDefinition)
        same = [history[p] for p in node.parent_keys if graph.get(p).partitions_def == node.partitions_def]
        other = {p: history[p] for p in node.parent_keys if graph.get(p).partitions_def != node.partitions_def}
        if by_date and made_now & other.keys():
            first = 0
        latest = -1 if by_date else max((m.storage_id for made in other.values() for m in made.values()), default=-1)
        mine = history[key]
        found[key] = [
            name
            for i, name in enumerate(partitions)
            if i >= first
            or name not in mine
            or not is_current(node, mine[name])
            or mine[name].storage_id < max(latest, _newest_of(same, name))
        ]
    return found


def _newest_of(histories: Sequence[Mapping[str, Made]], partition: str) -> int:
    return max((made[partition].storage_id for made in histories if partition in made), default=-1)
