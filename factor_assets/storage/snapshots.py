"""What a Delta snapshot holds: source, columns, files, and its rows as a lazy frame.

What does not belong here: writing, which snapshot is wanted, retries (`lake.py`), history (`commits.py`).
"""

from collections.abc import Mapping

import polars as pl
import pyarrow as pa
from deltalake import DeltaTable

from factor_assets.errors import SchemaMismatchError, StoreError
from factor_assets.storage.buckets import polars_options
from factor_assets.storage.layout import HIDDEN, Parts
from factor_assets.tables import Table

_SOURCE = " Source: "
_TYPES: Mapping[pa.DataType, str] = {
    pa.date32(): "date",
    pa.string(): "string",
    pa.float64(): "double",
    pa.int64(): "long",
    pa.bool_(): "boolean",
    pa.timestamp("us", tz="UTC"): "timestamp",
}


def description_of(declared: Table, source: str) -> str:
    """Return what a table says of itself to any Delta reader: its meaning and its source."""
    return f"{declared.meaning.replace(_SOURCE, ' From: ')}{_SOURCE}{source}"


def source_of(snapshot: DeltaTable) -> str:
    """Label of the source, from the table's description."""
    return (snapshot.metadata().description or "").partition(_SOURCE)[2]


def columns_of(snapshot: DeltaTable) -> list[str]:
    """Names of the stored columns."""
    return [field.name for field in snapshot.schema().fields if field.name != HIDDEN]


def file_sizes(snapshot: DeltaTable) -> list[int]:
    """Size in bytes of each live file."""
    sizes: list[int] = pa.table(snapshot.get_add_actions())["size_bytes"].to_pylist()
    return sizes


def nullable(rows: pa.Table) -> pa.Table:
    """Return rows whose schema allows nulls: Delta could not add a column later that does not."""
    return rows.cast(pa.schema([field.with_nullable(True) for field in rows.schema]))


def scan_parts(
    declared: Table, snapshot: DeltaTable, parts: Parts, *, location: str, options: Mapping[str, str]
) -> pl.LazyFrame:
    """Return the rows of the parts with the declared columns, in the order of the parts.

    Raises
    ------
    SchemaMismatchError
        If a column is stored with another type than the declared one.
    StoreError
        If another program changed the table to a Delta version that is not read here.
    """
    _require_types(declared, snapshot, location)
    empty = pl.DataFrame(declared.schema.empty_table())
    files = _files(declared, snapshot, parts, location=location)
    if not files:
        return empty.lazy()
    # Our own list of files, not scan_delta: half the time, and in the order of the parts. Not a pyarrow dataset of
    # the Delta table: its Python file system aborts one interpreter in six on exit.
    return pl.scan_parquet(
        files,
        schema=empty.schema,
        glob=False,
        hive_partitioning=False,
        missing_columns="insert",
        extra_columns="ignore",
        storage_options=polars_options(options),
        # The environment and the machine's role, as for everything else; by default boto3 where it is installed.
        credential_provider=None,
    )


def _files(declared: Table, snapshot: DeltaTable, parts: Parts, *, location: str) -> list[str]:
    """Paths of the files of the parts, in the order of the parts, so that a table by date comes out sorted."""
    if snapshot.protocol().min_reader_version > 1:
        raise StoreError(
            f"Table {declared.name!r} at {location} was changed by another program to a Delta"
            " version that is not read here; delete it and materialise again."
        )
    added = pa.table(snapshot.get_add_actions(flatten=True))
    paths = added["path"].to_pylist()
    values = [0] * len(paths) if declared.slices == "whole" else added[f"partition.{HIDDEN}"].to_pylist()
    return [f"{location}/{path}" for value, path in sorted(zip(values, paths, strict=True)) if value in parts]


def _require_types(declared: Table, snapshot: DeltaTable, location: str) -> None:
    held = {field.name: getattr(field.type, "type", str(field.type)) for field in snapshot.schema().fields}
    for column in declared.columns:
        wanted = _TYPES[column.type]
        if held.get(column.name, wanted) != wanted:
            raise SchemaMismatchError(
                f"Table {declared.name!r}: column {column.name!r} is stored as {held[column.name]} at {location}, but"
                f" is declared as {wanted}. Move the old table away and materialise again."
            )
