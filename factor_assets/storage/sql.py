"""SQL over whatever store there is: the one function that chooses the engine.

What does not belong here: the engines (`query.py` for the lake, `clickhouse_query.py`).
"""

import pyarrow as pa

from factor_assets.errors import StoreError
from factor_assets.storage.store import Store


def query(store: Store, sql: str = "") -> pa.Table:
    """Run one SELECT over the tables of a store; without one, list them with their columns.

    Raises
    ------
    StoreError
        If the statement would write, is not one statement, or does not run; or the store has no SQL.
    """
    from factor_assets.storage.lake import LakeStore

    if isinstance(store, LakeStore):
        from factor_assets.storage.query import LIST_TABLES as LIST_LAKE
        from factor_assets.storage.query import query as query_lake

        return query_lake(store, sql.strip() or LIST_LAKE)
    from factor_assets.storage.clickhouse import ClickHouseStore

    if isinstance(store, ClickHouseStore):
        from factor_assets.storage.clickhouse_query import LIST_TABLES as LIST_CLICKHOUSE
        from factor_assets.storage.clickhouse_query import query as query_clickhouse

        return query_clickhouse(store, sql.strip() or LIST_CLICKHOUSE)
    raise StoreError(f"SQL is for the lake and for ClickHouse; a {type(store).__name__} has none. Use its `read`.")
