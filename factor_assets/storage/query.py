"""SQL over the lake: DuckDB views of every written table, read only.

| view | what |
|---|---|
| `prices`, `universe`, ... | each written table, under its name |
| `factors.<family>__<name>` | each factor: date, ticker, value, source |
| `libraries.<name>` | each library: date, ticker, a column a factor, source |
| `factor_values` | all factors in one long view: factor_type, factor_name, ticker, date, value, source |

Two factors whose views would have one name, such as `a__b/c` and `a/b__c`, have none; `factor_values` has both.

A view is a snapshot of the moment of `connect`; its columns and rows are read when a query asks for them, with its
filters. What does not belong here: writing, and files that are no table of the lake.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from factor_assets.errors import StoreError, did_you_mean
from factor_assets.storage.lake import LakeStore
from factor_assets.tables import FACTOR_PREFIX, LIBRARY_PREFIX

if TYPE_CHECKING:
    import duckdb

FACTOR_VALUES = "factor_values"
LIST_TABLES = """
    FROM (
        SELECT CASE table_schema WHEN 'main' THEN '' ELSE table_schema || '.' END || table_name AS "table",
               string_agg(column_name, ', ' ORDER BY ordinal_position) AS columns
        FROM information_schema.columns
        WHERE table_schema <> 'main' OR table_name NOT LIKE 'scan\\_%' ESCAPE '\\' GROUP BY ALL
    ) ORDER BY contains("table", '.'), "table"
"""
_NOTHING = "The lake has no table yet; materialise assets first, such as by `factor-assets demo`."


def view_name(table: str) -> str:
    """Return the name of a table's view: `factors/momentum/ret_12_1` is `factors.momentum__ret_12_1`."""
    if table.startswith(FACTOR_PREFIX):
        return "factors." + table.removeprefix(FACTOR_PREFIX).replace("/", "__")
    if table.startswith(LIBRARY_PREFIX):
        return "libraries." + table.removeprefix(LIBRARY_PREFIX)
    return table


def _shared_views(tables: Sequence[str]) -> Mapping[str, Sequence[str]]:
    """Return the tables of each view name that several have; to DuckDB capital and small letters are the same."""
    found: dict[str, list[str]] = {}
    for table in tables:
        found.setdefault(view_name(table).lower(), []).append(table)
    return {view: sharing for view, sharing in found.items() if len(sharing) > 1}


def connect(store: LakeStore) -> "duckdb.DuckDBPyConnection":
    """Return a DuckDB connection with a view of every written table that has a view name of its own.

    Files, extensions and Python variables are out of its reach, and the tables are views, which take no rows: nothing
    that runs on it can change the lake. DuckDB's own errors come through; `query` explains them.
    """
    import duckdb

    connection = duckdb.connect()
    connection.execute("CREATE SCHEMA factors; CREATE SCHEMA libraries")
    long_rows = []
    tables = store.tables()
    shared = _shared_views(tables)
    for number, table in enumerate(tables):
        scan = f"scan_{number}"
        connection.register(scan, store.scan(table))
        if view_name(table).lower() not in shared:
            connection.execute(f"CREATE VIEW {_quoted(view_name(table))} AS SELECT * FROM {scan}")  # noqa: S608 quoted
        if table.startswith(FACTOR_PREFIX):
            _, family, name = table.split("/")
            long_rows.append(
                f"SELECT {_text(family)} AS factor_type, {_text(name)} AS factor_name, ticker, date, value, source"  # noqa: S608 quoted
                f" FROM {scan}"
            )
    if long_rows:
        connection.execute(f"CREATE VIEW {FACTOR_VALUES} AS {' UNION ALL '.join(long_rows)}")
    connection.execute(
        "SET enable_external_access = false; SET python_enable_replacements = false; SET lock_configuration = true"
    )
    return connection


def query(store: LakeStore, sql: str) -> pa.Table:
    """Run one SELECT (or DESCRIBE, SHOW, SUMMARIZE, EXPLAIN) over the lake.

    Raises
    ------
    StoreError
        If the statement would write, is not one statement, or does not run; names the views there are.
    """
    import duckdb

    with connect(store) as connection:
        tables = store.tables()
        shared = _shared_views(tables)
        views = [name for name in map(view_name, tables) if name.lower() not in shared]
        views += [FACTOR_VALUES] if any(table.startswith(FACTOR_PREFIX) for table in tables) else []
        try:
            statements = connection.extract_statements(sql)
            if len(statements) != 1:
                raise StoreError(f"Give one SQL statement; got {len(statements)}.")
            if statements[0].type not in (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN):
                raise StoreError(
                    f"The lake is only read by SQL; got {statements[0].type.name}. Ask with SELECT; rows are written by"
                    " materialising assets."
                )
            return connection.sql(statements[0]).to_arrow_table()
        except duckdb.CatalogException as error:
            asked = str(error).split("with name ")[-1].split(" ")[0]
            for view, sharing in shared.items():
                if asked.lower().rpartition(".")[2] == view.rpartition(".")[2]:
                    raise StoreError(_told_shared(view, sharing)) from error
            near = f"Of the tables in the lake, {did_you_mean(asked, views)}" if views else _NOTHING
            raise StoreError(f"{_first_line(error)} {near}") from error
        except duckdb.Error as error:
            near = f"Tables in the lake: {', '.join(views)}." if views else _NOTHING
            raise StoreError(f"{error} {near}") from error


def _told_shared(view: str, sharing: Sequence[str]) -> str:
    advice = "Rename one."
    if view.startswith("factors."):
        advice = f"Ask {FACTOR_VALUES} WHERE factor_type = '...' AND factor_name = '...' for one, or rename one."
    return f"The tables {' and '.join(sharing)} would all be the view {view}, so that none is. {advice}"


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]


def _quoted(name: str) -> str:
    return ".".join('"' + part.replace('"', '""') + '"' for part in name.split("."))


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
