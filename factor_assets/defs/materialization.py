"""How an asset's rows reach the store, and what the event says about them."""

from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from factor_assets.defs.place import noted_place
from factor_assets.storage.slice import Slice
from factor_assets.storage.store import Provenance, Version
from factor_assets.tables import Table
from factor_assets.tables import table as declared
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


TABLE_KIND = "table"
"""Kind of an asset that is a table, until `with_places` says where it is."""


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
    tags: Mapping[str, str] = MappingProxyType({}),
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
        kinds={TABLE_KIND},
        partitions_def=partitions,
        deps=deps,
        tags=tags,
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
    source: str = "",
) -> dg.MaterializeResult[Any]:
    """Replace the slice in the store and describe it, with a plot on the last partition of the run.

    The data version is the store's version of the slice: making the same rows again keeps it, so that Dagster shows
    nothing downstream as stale.

    Parameters
    ----------
    source
        Where the rows come from, if not from the prices.
    """
    return replace_parts(
        context,
        workspace,
        table,
        part,
        [(part, rows)],
        asset_key=asset_key,
        code_version=code_version,
        inputs=inputs,
        metadata=metadata,
        plot=plot,
        source=source,
    )


def replace_parts(
    context: dg.AssetExecutionContext,
    workspace: Workspace,
    table: str,
    part: Slice,
    parts: Iterable[tuple[Slice, pa.Table]],
    *,
    asset_key: dg.AssetKey,
    code_version: str,
    inputs: tuple[str, ...] = (),
    metadata: Mapping[str, Any] | None = None,
    plot: Callable[[], bytes] | None = None,
    source: str = "",
) -> dg.MaterializeResult[Any]:
    """Replace a slice part by part, as the rows come, so that they are never in memory together.

    Each part is one commit. Give whole partitions: then none is ever half made, also where a later part fails.
    """
    definition = context.assets_def.specs_by_key[asset_key].partitions_def
    nulls: Counter[str] = Counter()
    counted: Counter[str] = Counter()
    versions = []
    n_rows = 0
    for piece, rows in parts:
        versions.append(
            write(context, workspace, table, piece, rows, code_version=code_version, inputs=inputs, source=source)
        )
        n_rows += rows.num_rows
        nulls.update(null_counts(table, rows))
        if definition is not None:
            counted.update(_rows_per_partition(definition, rows))
        del rows  # before the next are made
    # Where nothing changed, the store answers with older versions; the newest of them stands for all.
    version = max(versions, key=lambda made: made.committed_at)
    # What is said of the run is said once, on its last partition: a range has hundreds of events, and Dagster takes
    # most of its time to write what is in them.
    told = {
        "dagster/row_count": workspace.store.read(table, columns=declared(table).key[:1]).num_rows,
        "rows": n_rows,
        **version_metadata(workspace, version, nulls),
        "source": source or workspace.source.label,
        "slice": str(part),
        **(metadata or {}),
    }
    if definition is not None:
        for key in context.partition_keys:
            told_of_each: dict[str, Any] = {"dagster/partition_row_count": counted[key]}
            if key != context.partition_keys[-1]:
                told_of_each["source"] = source or workspace.source.label
            context.add_asset_metadata(told_of_each, asset_key=asset_key, partition_key=key)
        if plot is not None:
            told["plot"] = picture(plot())
        context.add_asset_metadata(told, asset_key=asset_key, partition_key=context.partition_keys[-1])
        told = {}
    return dg.MaterializeResult(asset_key=asset_key, data_version=dg.DataVersion(version.id), metadata=told)


def replace_selected(
    context: dg.AssetExecutionContext,
    workspace: Workspace,
    part: Slice,
    rows_of: Mapping[dg.AssetKey, pa.Table],
    *,
    code_version: str,
    inputs: tuple[str, ...],
) -> Iterator[dg.MaterializeResult[Any]]:
    """Replace the slice of those of an op's tables that the run asks for."""
    for key, rows in rows_of.items():
        if key in context.selected_asset_keys:
            yield replace_slice(
                context,
                workspace,
                key.to_user_string(),
                part,
                rows,
                asset_key=key,
                code_version=code_version,
                inputs=inputs,
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
    source: str = "",
) -> Version:
    """Replace the slice in the store, with the run and the inputs' versions in the commit."""
    if workspace.source.synthetic and not source:
        context.log.warning(f"{table}: the rows are of the {workspace.source.label} market; they are not real data.")
    if elsewhere := noted_place(context.instance, workspace):
        context.log.warning(elsewhere)
    newest = {name: workspace.store.latest_version(name) for name in inputs}
    return workspace.store.write(
        table,
        part,
        rows,
        provenance=Provenance(
            source=source or workspace.source.label,
            run_id=context.run.run_id,
            code_version=code_version,
            inputs={name: version.id for name, version in newest.items() if version is not None},
        ),
    )


def null_counts(table: str, rows: pa.Table) -> dict[str, int]:
    """Return column -> nulls, of the columns that have any; of an open table its declared columns only."""
    return {name: rows[name].null_count for name in declared(table).column_names if rows[name].null_count}


def version_metadata(workspace: Workspace, version: Version, nulls: Mapping[str, int]) -> dict[str, Any]:
    """Return what every materialization says: nulls, store version, slice, source, place."""
    return {
        "nulls": dict(nulls),
        "store_version": version.id,
        "slice": str(version.slice),
        "source": workspace.source.label,
        "table": dg.MetadataValue.path(workspace.location(version.table)),
    }


def picture(png: bytes) -> dg.MarkdownMetadataValue:
    """Return a PNG as metadata that the UI shows inline."""
    return dg.MetadataValue.md(f"![plot](data:image/png;base64,{b64encode(png).decode()})")


def _rows_per_partition(definition: dg.PartitionsDefinition[Any], rows: pa.Table) -> dict[str, int]:
    if isinstance(definition, dg.TimeWindowPartitionsDefinition):
        keys = pc.strftime(rows["date"], format=definition.fmt)
    else:
        keys = rows["ticker"]
    return {entry["values"]: entry["counts"] for entry in pc.value_counts(keys).to_pylist()}
