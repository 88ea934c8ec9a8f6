"""How an asset's rows reach the store, and what the event says about them."""

from base64 import b64encode
from collections.abc import Mapping
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from factor_assets.columns import Table
from factor_assets.columns import table as declared
from factor_assets.storage.slice import Slice
from factor_assets.storage.store import Provenance, Version
from factor_assets.workspace import Workspace

SYNTHETIC_TAG = "factor_assets/synthetic"


def column_schema(table: Table) -> dg.TableSchema:
    """Return the declared columns, with unit and meaning, as the Dagster UI shows them."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=column.name,
                type=str(column.type),
                description=f"{column.meaning}{f' Unit: {column.unit}.' if column.unit else ''}",
                constraints=dg.TableColumnConstraints(nullable=column.nullable),
            )
            for column in table.columns
        ]
    )


def table_metadata(table: Table) -> dict[str, Any]:
    """Return the metadata that an asset's definition carries."""
    return {"dagster/column_schema": column_schema(table), "dagster/table_name": table.name}


def replace_slice(
    context: dg.AssetExecutionContext,
    workspace: Workspace,
    table: str,
    part: Slice,
    rows: pa.Table,
    *,
    asset_key: dg.AssetKey,
    code_version: str,
    inputs: tuple[str, ...] = (),
    metadata: Mapping[str, Any] | None = None,
) -> dg.MaterializeResult[Any]:
    """Replace the slice in the store and describe it.

    The data version is the store's version of the slice: making the same rows again keeps it, so that Dagster shows
    nothing downstream as stale.
    """
    version = write(context, workspace, table, part, rows, code_version=code_version, inputs=inputs)
    definition = context.assets_def.specs_by_key[asset_key].partitions_def
    if isinstance(definition, dg.TimeWindowPartitionsDefinition) and "date" in rows.column_names:
        _count_rows_per_partition(context, definition, rows, asset_key=asset_key)
    return dg.MaterializeResult(
        asset_key=asset_key,
        data_version=dg.DataVersion(version.id),
        metadata={**version_metadata(workspace, version, rows), **(metadata or {})},
    )


def write(
    context: dg.AssetExecutionContext,
    workspace: Workspace,
    table: str,
    part: Slice,
    rows: pa.Table,
    *,
    code_version: str,
    inputs: tuple[str, ...] = (),
) -> Version:
    """Replace the slice in the store, with the run and the inputs' versions in the commit."""
    if workspace.source.synthetic:
        context.log.warning(f"{table}: the rows are of the {workspace.source.label} market; they are not real data.")
    newest = {name: workspace.store.latest_version(name) for name in inputs}
    return workspace.store.write(
        table,
        part,
        rows,
        provenance=Provenance(
            source=workspace.source.label,
            run_id=context.run.run_id,
            code_version=code_version,
            inputs={name: version.id for name, version in newest.items() if version is not None},
        ),
    )


def version_metadata(workspace: Workspace, version: Version, rows: pa.Table) -> dict[str, Any]:
    """Return what every materialization says: rows, nulls, store version, place, source."""
    nulls = {name: rows[name].null_count for name in declared(version.table).column_names if rows[name].null_count}
    return {
        "dagster/row_count": rows.num_rows,
        "nulls": nulls,
        "store_version": version.id,
        "slice": str(version.slice),
        "source": workspace.source.label,
        "table": dg.MetadataValue.path(str(workspace.settings.lake_path / version.table)),
    }


def picture(png: bytes) -> dg.MarkdownMetadataValue:
    """Return a PNG as metadata that the UI shows inline."""
    return dg.MetadataValue.md(f"![plot](data:image/png;base64,{b64encode(png).decode()})")


def _count_rows_per_partition(
    context: dg.AssetExecutionContext,
    definition: dg.TimeWindowPartitionsDefinition,
    rows: pa.Table,
    *,
    asset_key: dg.AssetKey,
) -> None:
    counted = pc.value_counts(pc.strftime(rows["date"], format=definition.fmt))
    found = {entry["values"]: entry["counts"] for entry in counted.to_pylist()}
    for key in context.partition_keys:
        context.add_asset_metadata(
            {"dagster/partition_row_count": found.get(key, 0)}, asset_key=asset_key, partition_key=key
        )
