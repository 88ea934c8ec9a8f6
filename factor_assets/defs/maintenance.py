"""Upkeep of the tables, wherever they are: the asset lake_maintenance."""

from typing import Any

import dagster as dg

from factor_assets.defs.materialization import TABLE_KIND
from factor_assets.workspace import Workspace

LAKE_MAINTENANCE = dg.AssetKey("lake_maintenance")


def maintenance_assets(workspace: Workspace) -> list[dg.AssetsDefinition]:
    """Return the assets of this file."""

    @dg.asset(
        name="lake_maintenance",
        description="Joins what many small writes left, and deletes what no version of the last 30 days needs: files of"
        " a lake, rows in ClickHouse. Changes no live row.",
        group_name="maintenance",
        kinds={TABLE_KIND},
    )
    def lake_maintenance() -> dg.MaterializeResult[Any]:
        done = workspace.store.maintain()
        lines = ["| table | files | MB | deleted |", "|---|---|---|---|"]
        lines += [
            f"| {m.table} | {m.files_before} -> {m.files_after}"
            f" | {m.bytes_before / 1e6:.1f} -> {m.bytes_after / 1e6:.1f} | {m.files_deleted} |"
            for m in done
        ]
        return dg.MaterializeResult(
            metadata={
                "tables": dg.MetadataValue.md("\n".join(lines)),
                "files_deleted": sum(m.files_deleted for m in done),
                "bytes_after": sum(m.bytes_after for m in done),
            }
        )

    return [lake_maintenance]
