"""SQL over ClickHouse, in its own dialect, read only: the views that BI tools see, under their names.

| view | what |
|---|---|
| `prices`, `universe`, ... | each written table, under its name |
| `factor_values` | all factors: factor_type, factor_name, date, ticker, value, source |
| `library_<name>` | each library: date, ticker, a column a factor, source |

Each has `update_time` beside. What does not belong here: making the views (`clickhouse_ddl.py`), writing.
"""

import re

import pyarrow as pa

from factor_assets.errors import StoreError, did_you_mean
from factor_assets.storage.clickhouse import ClickHouseStore
from factor_assets.storage.clickhouse_client import NoSuchTable, Unreachable
from factor_assets.storage.clickhouse_ddl import FACTOR_VALUES

LIST_TABLES = """
    SELECT view AS table, arrayStringConcat(groupArray(name), ', ') AS columns
    FROM (
        SELECT table AS view, name, position FROM system.columns
        WHERE database = currentDatabase()
            AND table IN (SELECT name FROM system.tables WHERE database = currentDatabase() AND engine = 'View')
        ORDER BY view, position
    )
    GROUP BY view ORDER BY view
"""
_VIEWS = "SELECT name FROM system.tables WHERE database = {database:String} AND engine = 'View' ORDER BY name"
_BEGINS = re.compile(r"(?:\s|\(|--[^\n]*(?:\n|$)|/\*.*?\*/)*(\w*)", flags=re.DOTALL)
_ASKING = frozenset({"SELECT", "WITH", "SHOW", "DESCRIBE", "DESC", "EXPLAIN", "EXISTS"})


def query(store: ClickHouseStore, sql: str) -> pa.Table:
    """Run one SELECT (or WITH, SHOW, DESCRIBE, EXPLAIN, EXISTS) over the views.

    Raises
    ------
    StoreError
        If the statement would write, is not one statement, or does not run; names the views there are.
    """
    word = _BEGINS.match(sql)[1].upper()  # type: ignore[index] # it matches every text
    # The embedded engine writes files also where it may only read.
    if word not in _ASKING or re.search(r"\boutfile\b", sql, flags=re.IGNORECASE):
        raise StoreError(
            f"ClickHouse is only read by SQL; got {word or 'no statement'}. Ask with SELECT; rows are written by"
            " materialising assets."
        )
    reader = store.connection.for_reading()
    try:
        return _plain(reader.query_arrow(sql))
    except Unreachable:
        raise
    except NoSuchTable as error:
        views = _views(store)
        asked = re.search(r"identifier '(?:[^'.]*\.)?([^']*)'", str(error))
        if re.search(r"(identifier '|Database )factors\b", str(error)) and FACTOR_VALUES in views:
            raise StoreError(f"{_said(error)} In ClickHouse all factors are in {FACTOR_VALUES}.") from None
        near = f"Of the tables in ClickHouse, {did_you_mean(asked[1], views)}" if asked and views else _told(views)
        raise StoreError(f"{_said(error)} {near}") from None
    except StoreError as error:
        if "readonly mode" in str(error):
            raise StoreError(f"ClickHouse is only read by SQL, and of its own tables only: {_said(error)}") from None
        raise StoreError(f"{_said(error)} {_told(_views(store))}") from None
    finally:
        reader.close()


def _views(store: ClickHouseStore) -> list[str]:
    names: list[str] = store.query(_VIEWS, {"database": store.database})["name"].to_pylist()
    return names


def _told(views: list[str]) -> str:
    return f"Tables in ClickHouse: {', '.join(views) or 'none yet'}."


def _said(error: StoreError) -> str:
    """Return what the server said, without what the driver puts around it."""
    text = str(error).rpartition("DB::Exception: ")[2]
    return re.sub(r"\s*\(version [^)]*\).*$", "", text, flags=re.DOTALL)


def _plain(rows: pa.Table) -> pa.Table:
    """Return rows without dictionaries."""
    columns = [c.cast(c.type.value_type) if pa.types.is_dictionary(c.type) else c for c in rows.columns]
    return pa.table(columns, names=rows.column_names)
