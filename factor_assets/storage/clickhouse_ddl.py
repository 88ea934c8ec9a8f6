"""ClickHouse's tables and views for the declared tables, as SQL text that is made of declared names only.

Each declared table `x` is two things in the database. `rows_x` holds the rows of every write, dead ones and those of
unfinished writes included, each with the number of its batch. `x` is a view of the rows that are live by the newest
commit, with `update_time`: this is what dashboards and BI tools read, under the names that they always had. All factors
share `rows_factor_values` and the view `factor_values`; `libraries/<name>` is `library_<name>`.

What does not belong here: values, which are bound as parameters and never enter SQL (`clickhouse.py`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from factor_assets.column import TEXT, Column, column
from factor_assets.tables import FACTOR_PREFIX, LIBRARY_PREFIX, Table

BATCH, ROW = "_batch", "_row"
COMMITS = "commits"
FACTOR_VALUES = "factor_values"

_TYPES: Mapping[pa.DataType, str] = {
    pa.date32(): "Date32",
    pa.string(): "String",
    pa.float64(): "Float64",
    pa.int64(): "Int64",
    pa.bool_(): "Bool",
    pa.timestamp("us", tz="UTC"): "DateTime64(6, 'UTC')",
}
# A commit that is sent again finds its number taken for as long as this many commits are remembered.
_REMEMBERED_COMMITS, _REMEMBERED_INSERTS = 100_000, 100
_COMMITS = """(
    table_name LowCardinality(String),
    number UInt64 CODEC(Delta, ZSTD(1)),
    batch UInt64 CODEC(Delta, ZSTD(1)),
    operation LowCardinality(String),
    slice_start Nullable(String),
    slice_end Nullable(String),
    slice_tickers Array(String) CODEC(ZSTD(1)),
    n_rows UInt64,
    digest String,
    source LowCardinality(String),
    provenance String CODEC(ZSTD(1)),
    column_names Array(String) CODEC(ZSTD(1)),
    live Array(UInt64) CODEC(ZSTD(1)),
    hidden_batches Array(UInt64) CODEC(ZSTD(1)),
    hidden_starts Array(Int32) CODEC(ZSTD(1)),
    hidden_ends Array(Int32) CODEC(ZSTD(1)),
    hidden_tickers Array(Array(String)) CODEC(ZSTD(1)),
    deleted Array(UInt64) CODEC(ZSTD(1)),
    previous_at DateTime64(6, 'UTC'),
    committed_at DateTime64(6, 'UTC') DEFAULT greatest(now64(6, 'UTC'), previous_at + toIntervalMicrosecond(1))
)
ENGINE = {engine}
ORDER BY (table_name, number)
SETTINGS {window}"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stored:
    """Where the rows of a declared table are.

    Parameters
    ----------
    name
        The view; `rows` is the table behind it.
    columns
        Stored columns: those declared, after those that tell this table's rows from others in the same place.
    key
        Stored columns that identify a row.
    fixed
        Value of each column that tells this table's rows from others.
    """

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    by_date: bool
    meaning: str
    fixed: Mapping[str, str] = field(default_factory=dict)

    @property
    def rows(self) -> str:
        """Name of the table with the rows of every write."""
        return f"rows_{self.name}"

    @property
    def local(self) -> str:
        """Name of the table of one shard's rows, on a cluster."""
        return f"local_{self.rows}"


def stored(table: Table) -> Stored:
    """Return where the rows of a declared table are."""
    if table.name.startswith(FACTOR_PREFIX):
        _, family, factor = table.name.split("/")
        fixed = {"factor_type": family, "factor_name": factor}
        told_by = tuple(column(name, TEXT, "", f"The {name[7:]} of the factor.", nullable=False) for name in fixed)
        return Stored(
            name=FACTOR_VALUES,
            columns=(*told_by, *table.columns),
            key=(*fixed, *table.key),
            by_date=True,
            meaning="Values of all factors.",
            fixed=fixed,
        )
    name = table.name
    if name.startswith(LIBRARY_PREFIX):
        name = f"library_{name.removeprefix(LIBRARY_PREFIX)}"
    return Stored(
        name=name, columns=table.columns, key=table.key, by_date=table.slices == "date", meaning=table.meaning
    )


def quoted(*names: str) -> str:
    """Return an identifier, or several joined by dots, as SQL: the only way by which a name enters SQL."""
    return ".".join("`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`" for name in names)


def create_database(database: str, *, cluster: str = "") -> str:
    """Return the statement that makes the database where there is none."""
    return f"CREATE DATABASE IF NOT EXISTS {quoted(database)}{_on(cluster)}"


def create_commits(database: str, *, cluster: str = "") -> list[str]:
    """Return the statements that make the table of commits: one copy, on every server of a cluster."""
    # Every server has all commits, whatever shard the rows are on: one path for all of them. Shards often give their
    # replicas the same names.
    path = f"'/clickhouse/tables/{{database}}/{COMMITS}', '{{shard}}-{{replica}}'"
    window = f"{'' if cluster else 'non_'}replicated_deduplication_window = {_REMEMBERED_COMMITS}"
    if cluster:
        window += f", replicated_deduplication_window_seconds = {7 * 86_400}"
    engine = f"ReplicatedMergeTree({path})" if cluster else "MergeTree"
    body = _COMMITS.format(engine=engine, window=window)
    return [f"CREATE TABLE IF NOT EXISTS {quoted(database, COMMITS)}{_on(cluster)}\n{body}"]


def create_rows(place: Stored, database: str, *, cluster: str = "") -> list[str]:
    """Return the statements that make the table of a declared table's rows.

    On a cluster these are the replicated table of each shard, and the table over all shards; a ticker's rows are on one
    shard. On one server the second is not there.
    """
    hidden = [
        f"    {BATCH} UInt64 CODEC(Delta, ZSTD(1))",
        f"    {ROW} UInt32 CODEC(Delta, ZSTD(1))",
    ]
    columns = ",\n".join([f"    {_definition(place, c)}" for c in place.columns] + hidden)
    key = ", ".join(quoted(name) for name in place.key)
    partition = "\nPARTITION BY toYear(`date`)" if place.by_date else ""
    settings = [f"{'' if cluster else 'non_'}replicated_deduplication_window = {_REMEMBERED_INSERTS}"]
    if any(c.nullable for c in place.columns if c.name in place.key):
        settings.append("allow_nullable_key = 1")
    local = place.local if cluster else place.rows
    path = "'/clickhouse/tables/{shard}/{database}/{table}', '{replica}'"
    statement = (
        f"CREATE TABLE IF NOT EXISTS {quoted(database, local)}{_on(cluster)}\n(\n{columns}\n)\n"
        f"ENGINE = {f'ReplicatedMergeTree({path})' if cluster else 'MergeTree'}{partition}\n"
        # Rows with the same key come out in the order in which they were written.
        f"PRIMARY KEY ({key})\nORDER BY ({key}, {BATCH}, {ROW})\nSETTINGS {', '.join(settings)}"
    )
    statements = [statement]
    if cluster:
        by = "cityHash64(`ticker`)" if any(c.name == "ticker" for c in place.columns) else "0"
        over = ", ".join([quoted(cluster), quoted(database), quoted(local), by])
        statements.append(
            f"CREATE TABLE IF NOT EXISTS {quoted(database, place.rows)}{_on(cluster)} AS {quoted(database, local)}\n"
            f"ENGINE = Distributed({over})"
        )
    return statements


def add_columns(place: Stored, names: Sequence[str], database: str, *, cluster: str = "") -> list[str]:
    """Return the statements that add columns, null in every row that is there; readers and writers go on meanwhile."""
    added = {c.name: c for c in place.columns}
    actions = ", ".join(f"ADD COLUMN IF NOT EXISTS {_definition(place, added[name])}" for name in names)
    targets = [place.local, place.rows] if cluster else [place.rows]
    return [f"ALTER TABLE {quoted(database, target)}{_on(cluster)} {actions}" for target in targets]


def create_view(place: Stored, names: Sequence[str], database: str, *, cluster: str = "") -> str:
    """Return the statement that makes, or makes anew, the view of the live rows.

    Parameters
    ----------
    names
        Columns that the table of rows has.
    """
    # Those that are declared first; an open table may have been given others since.
    declared = [c.name for c in place.columns if c.name in set(names)]
    columns = [*declared, *(name for name in names if name not in declared)]
    commits = quoted(database, COMMITS)
    if place.fixed:
        chosen = f"startsWith(table_name, '{FACTOR_PREFIX}')"
    else:
        chosen = f"table_name = {_text(_declared_name(place))}"
    newest = (
        f"(table_name, number) IN (SELECT table_name, max(number) FROM {commits} WHERE {chosen} GROUP BY table_name)"  # noqa: S608
    )
    hidden = ["_part.1 = rows._batch"]
    if "date" in columns:
        hidden.append("toInt32(rows.`date`) >= _part.2 AND toInt32(rows.`date`) < _part.3")
    if "ticker" in columns:
        hidden.append("(empty(_part.4) OR has(_part.4, rows.`ticker`))")
    parts = "arrayZip(hidden_batches, hidden_starts, hidden_ends, hidden_tickers)"
    join = "GLOBAL INNER JOIN" if cluster else "INNER JOIN"
    return (
        f"CREATE OR REPLACE VIEW {quoted(database, place.name)}{_on(cluster)} AS\n"  # noqa: S608 names only
        # One value, so that what is live and what of it is hidden are of the same commits, on every shard.
        f"WITH (SELECT (groupArrayArray(live), groupArrayArray({parts})) FROM {commits} WHERE {newest}) AS _state\n"
        f"SELECT {', '.join(f'rows.{quoted(name)} AS {quoted(name)}' for name in columns)},"
        " _made.committed_at AS update_time\n"
        f"FROM {quoted(database, place.rows)} AS rows\n"
        f"{join} (SELECT batch, max(committed_at) AS committed_at FROM {commits} WHERE {chosen} GROUP BY batch) AS"
        " _made ON _made.batch = rows._batch\n"
        "WHERE rows._batch IN (SELECT arrayJoin(_state.1))\n"
        "AND (rows._batch NOT IN (SELECT arrayJoin(arrayMap(_part -> _part.1, _state.2)))\n"
        f"OR NOT arrayExists(_part -> {' AND '.join(hidden)}, _state.2))"
    )


def type_of(place: Stored, wanted: Column) -> str:
    """Return ClickHouse's type of a column."""
    name = _TYPES[wanted.type]
    if wanted.type == pa.string() and (wanted.name in place.key or wanted.name == "source"):
        return f"LowCardinality({f'Nullable({name})' if wanted.nullable else name})"
    return f"Nullable({name})" if wanted.nullable else name


def _definition(place: Stored, wanted: Column) -> str:
    is_time = pa.types.is_date(wanted.type) or pa.types.is_timestamp(wanted.type)
    # Gorilla and FPC made numbers larger than ZSTD alone.
    codec = "Delta, ZSTD(1)" if is_time and not wanted.nullable else "ZSTD(1)"
    return f"{quoted(wanted.name)} {type_of(place, wanted)} CODEC({codec})"


def _on(cluster: str) -> str:
    return f" ON CLUSTER {quoted(cluster)}" if cluster else ""


def _declared_name(place: Stored) -> str:
    is_library = place.name.startswith("library_")
    return f"{LIBRARY_PREFIX}{place.name.removeprefix('library_')}" if is_library else place.name


def _text(name: str) -> str:
    """Return a declared table's name as a text of SQL, for a view, whose definition cannot have parameters."""
    return "'" + name.replace("\\", "\\\\").replace("'", "\\'") + "'"
