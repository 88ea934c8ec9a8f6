"""How an asset's rows reach the store, and what the event says about them."""

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from factor_assets.columns import Table
from factor_assets.columns import table as declared
from factor_assets.storage.slice import Slice
from factor_assets.storage.store import Provenance, Version
from factor_assets.workspace import Workspace


def column_schema(table: Table, *, units: Mapping[str, str] = MappingProxyType({})) -> dg.TableSchema:
    """Return the declared columns, with unit and meaning, as the Dagster UI shows them.

    Parameters
    ----------
    units
        Column -> unit, where it is narrower than the declared one.
    """
    unit_of = {column.name: units.get(column.name, column.unit) for column in table.columns}
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=column.name,
                type=str(column.type),
                description=f"{column.meaning}{f' Unit: {unit_of[column.name]}.' if unit_of[column.name] else ''}",
                constraints=dg.TableColumnConstraints(nullable=column.nullable),
            )
            for column in table.columns
        ]
    )


def table_asset(
    table: Table,
    *,
    group: str,
    code_version: str,
    partitions: dg.PartitionsDefinition[Any] | None = None,
    deps: Sequence[dg.AssetDep] = (),
    description: str = "",
    metadata: Mapping[str, Any] = MappingProxyType({}),
    units: Mapping[str, str] = MappingProxyType({}),
    skippable: bool = False,
) -> dg.AssetSpec:
    """Return the asset of a table; its key is the table's name.

    Parameters
    ----------
    description
        By default the table's meaning.
    units
        As in `column_schema`.
    skippable
        Whether a run that names it may give nothing: one of several of an op, or one whose partitions may fail alone.
    """
    return dg.AssetSpec(
        dg.AssetKey(table.name.split("/")),
        description=description or table.meaning,
        metadata={
            "dagster/column_schema": column_schema(table, units=units),
            "dagster/table_name": table.name,
            **metadata,
        },
        group_name=group,
        code_version=code_version,
        kinds={"delta"},
        partitions_def=partitions,
        deps=deps,
        skippable=skippable,
    )


def on_all(*keys: dg.AssetKey) -> list[dg.AssetDep]:
    """Depend on every partition of the assets."""
    return [dg.AssetDep(key, partition_mapping=dg.AllPartitionMapping()) for key in keys]


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
    plot: Callable[[], bytes] | None = None,
) -> dg.MaterializeResult[Any]:
    """Replace the slice in the store and describe it, with a plot on the last partition of the run.

    The data version is the store's version of the slice: making the same rows again keeps it, so that Dagster shows
    nothing downstream as stale.
    """
    version = write(context, workspace, table, part, rows, code_version=code_version, inputs=inputs)
    definition = context.assets_def.specs_by_key[asset_key].partitions_def
    if definition is not None:
        _count_rows_per_partition(context, definition, rows, asset_key=asset_key)
        if plot is not None:
            # Once a run, not once a partition: a range has hundreds, and each event would hold the picture.
            last = context.partition_keys[-1]
            context.add_asset_metadata({"plot": picture(plot())}, asset_key=asset_key, partition_key=last)
    return dg.MaterializeResult(
        asset_key=asset_key,
        data_version=dg.DataVersion(version.id),
        metadata={
            "dagster/row_count": workspace.store.read(table, columns=declared(table).key[:1]).num_rows,
            "rows": rows.num_rows,
            **version_metadata(workspace, version, rows),
            "slice": str(part),
            **(metadata or {}),
        },
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
    """Return what every materialization says: nulls, store version, slice, source, place."""
    nulls = {name: rows[name].null_count for name in declared(version.table).column_names if rows[name].null_count}
    return {
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
    definition: dg.PartitionsDefinition[Any],
    rows: pa.Table,
    *,
    asset_key: dg.AssetKey,
) -> None:
    if isinstance(definition, dg.TimeWindowPartitionsDefinition):
        keys = pc.strftime(rows["date"], format=definition.fmt)
    else:
        keys = rows["ticker"]
    counted = pc.value_counts(keys)
    found = {entry["values"]: entry["counts"] for entry in counted.to_pylist()}
    for key in context.partition_keys:
        context.add_asset_metadata(
            {"dagster/partition_row_count": found.get(key, 0)}, asset_key=asset_key, partition_key=key
        )
