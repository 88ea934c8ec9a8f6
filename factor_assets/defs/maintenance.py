"""Upkeep of the tables, wherever they are: the asset lake_maintenance, and the same with an age of one's choice."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import dagster as dg
from pydantic import Field

from factor_assets.defs.materialization import TABLE_KIND
from factor_assets.storage.store import Maintenance
from factor_assets.workspace import Workspace

LAKE_MAINTENANCE = dg.AssetKey("lake_maintenance")
MAINTENANCE = "maintenance"
"""Group of the asset, and name of its job."""

KEEP_DAYS = 30


class Upkeep(dg.Config):
    """What a run of the upkeep may be told."""

    keep_days: int = Field(KEEP_DAYS, ge=0, description="Age in days up to which versions can be read; 0 keeps none.")


def maintenance_assets(workspace: Workspace) -> list[dg.AssetsDefinition]:
    """Return the assets of this file."""

    @dg.asset(
        name="lake_maintenance",
        description=f"Joins what many small writes left, and deletes what no version of the last {KEEP_DAYS} days"
        " needs, or of keep_days of its config: files of a lake, rows in ClickHouse. Changes no live row.",
        group_name=MAINTENANCE,
        kinds={TABLE_KIND},
    )
    def lake_maintenance(config: Upkeep) -> dg.MaterializeResult[Any]:
        return dg.MaterializeResult(metadata=_told(workspace.store.maintain(keep=timedelta(days=config.keep_days))))

    return [lake_maintenance]


def maintain(instance: dg.DagsterInstance, workspace: Workspace, *, keep_days: int) -> list[Maintenance]:
    """Do the upkeep here and now, and record it in the instance; return what was done to each table.

    Parameters
    ----------
    keep_days
        As in `Upkeep`.
    """
    done = workspace.store.maintain(keep=timedelta(days=keep_days))
    instance.report_runless_asset_event(dg.AssetMaterialization(LAKE_MAINTENANCE, metadata=_told(done)))
    return done


def _told(done: Sequence[Maintenance]) -> dict[str, Any]:
    lines = ["| table | files | MB | deleted |", "|---|---|---|---|"]
    lines += [
        f"| {m.table} | {m.files_before} -> {m.files_after}"
        f" | {m.bytes_before / 1e6:.1f} -> {m.bytes_after / 1e6:.1f} | {m.files_deleted} |"
        for m in done
    ]
    return {
        "tables": dg.MetadataValue.md("\n".join(lines)),
        "files_deleted": sum(m.files_deleted for m in done),
        "bytes_after": sum(m.bytes_after for m in done),
    }
