"""What `doctor` looks at of ClickHouse: does it answer, may its user do what a store does, its clock and its disk.

What does not belong here: the rest of `doctor`, and what a store keeps there (`storage/clickhouse.py`).
"""

import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pyarrow as pa

from factor_assets.errors import StoreError
from factor_assets.examined import Examined
from factor_assets.settings import Settings
from factor_assets.storage.clickhouse import ClickHouseStore
from factor_assets.storage.clickhouse_ddl import create_database, quoted
from factor_assets.storage.opening import open_store

# The first that has generateSnowflakeID, from which a store takes the numbers of its batches.
_OLDEST = (24, 6)
_MOST_SKEW = timedelta(seconds=5)
_LOW_DISK_BYTES = 2 * 10**9


def examine_clickhouse(settings: Settings) -> Iterator[Examined]:
    """Look at the server that the settings name; nothing where the tables are elsewhere.

    It makes a table in the database and drops it, and the database where there is none.
    """
    store = open_store(settings) if settings.store_kind == "clickhouse" else None
    if not isinstance(store, ClickHouseStore):
        return
    try:
        yield from _server(store)
    except StoreError as error:
        unset = "CLICKHOUSE_PASSWORD" in str(error) and not os.environ.get("CLICKHOUSE_PASSWORD")
        advice = "The variable CLICKHOUSE_PASSWORD is not set here" if unset else ""
        yield Examined(check="clickhouse", ok=False, found=str(error).rstrip("."), advice=advice)
        return
    for check, look in (("permissions", _permissions), ("disk", _disk), ("cluster", _cluster)):
        try:
            yield from look(store)
        except StoreError as error:
            yield Examined(check=f"clickhouse {check}", ok=False, found=str(error))


def _server(store: ClickHouseStore) -> Iterator[Examined]:
    sql = "SELECT version() AS version, now64(6, 'UTC') AS now"
    store.query(sql)  # connects
    began, sent = time.monotonic(), datetime.now(UTC)
    row = store.query(sql).to_pylist()[0]
    took = time.monotonic() - began
    ok = tuple(int(part) for part in row["version"].split(".")[:2]) >= _OLDEST
    yield Examined(
        check="clickhouse",
        ok=ok,
        found=f"{store.connection.place}: version {row['version']} answers in {took * 1000:.0f} ms",
        advice="" if ok else f"a store needs {_OLDEST[0]}.{_OLDEST[1]} or newer; upgrade the server",
    )
    skew = row["now"].astimezone(UTC) - sent - timedelta(seconds=took) / 2
    ok = abs(skew) <= _MOST_SKEW
    yield Examined(
        check="clickhouse clock",
        ok=ok,
        found=f"{abs(skew).total_seconds():.2f} s {'ahead of' if skew > timedelta(0) else 'behind'} this machine's",
        advice="" if ok else "commits carry the server's time, by which `--as-of` reads; let both machines keep time",
    )


def _permissions(store: ClickHouseStore) -> Iterator[Examined]:
    run, database = store.connection.command, store.database
    name = f"doctor_{uuid4().hex}"
    probe, view = quoted(database, name), quoted(database, f"{name}_view")
    found = store.query("SELECT 1 FROM system.databases WHERE name = {name:String}", {"name": database})
    steps: dict[str, Callable[[], object]] = {
        "create the database": lambda: run(create_database(database, cluster=store.cluster)),
        "create a table": lambda: run(f"CREATE TABLE {probe} (`a` Int64) ENGINE = MergeTree ORDER BY `a`"),
        "insert": lambda: store.connection.insert_arrow(probe, pa.table({"a": [1]})),
        "select": lambda: store.query(f"SELECT `a` FROM {probe}"),  # noqa: S608 quoted
        "add a column": lambda: run(f"ALTER TABLE {probe} ADD COLUMN `b` Int64"),
        "delete rows": lambda: run(f"ALTER TABLE {probe} DELETE WHERE `a` = 1 SETTINGS mutations_sync = 1"),
        # Twice, since a column that is added later makes the view anew.
        "create a view": lambda: run(f"CREATE OR REPLACE VIEW {view} AS SELECT `a` FROM {probe}"),  # noqa: S608 quoted
        "replace a view": lambda: run(f"CREATE OR REPLACE VIEW {view} AS SELECT `b` FROM {probe}"),  # noqa: S608 quoted
    }
    drops: dict[str, tuple[str, Callable[[], object]]] = {
        "create a view": ("drop a view", lambda: run(f"DROP VIEW IF EXISTS {view}")),
        "create a table": ("drop a table", lambda: run(f"DROP TABLE IF EXISTS {probe}")),
        "create the database": ("drop the database", lambda: _drop_empty(store)),
    }
    if found.num_rows:
        del steps["create the database"]
    failed, tried = "", set()
    try:
        for step, act in steps.items():
            tried.add(step)
            failed = _failure(database, step, act)
            if failed:
                break
    finally:
        # Also where a step fails: the server may have done it all the same.
        for made, (step, act) in drops.items():
            left = _failure(database, step, act) if made in tried else ""
            failed = failed or left
    yield Examined(
        check="clickhouse permissions",
        ok=not failed,
        found=failed
        or f"may create, insert, select, alter, delete and drop tables and views in {database!r}"
        + ("" if found.num_rows else ", which the first write will create"),
    )


def _failure(database: str, step: str, act: Callable[[], object]) -> str:
    """Take a step; return what to say if it fails, or ""."""
    try:
        act()
    except StoreError as error:
        return f"cannot {step} in {database!r}: {error}"
    return ""


def _drop_empty(store: ClickHouseStore) -> None:
    """Drop the database, unless a writer has come to it meanwhile."""
    held = "SELECT 1 FROM system.tables WHERE database = {name:String} LIMIT 1"
    if not store.query(held, {"name": store.database}).num_rows:
        store.connection.command(f"DROP DATABASE IF EXISTS {quoted(store.database)}")


def _disk(store: ClickHouseStore) -> Iterator[Examined]:
    disks = store.query("SELECT name, free_space, total_space FROM system.disks ORDER BY name").to_pylist()
    # A bucket says that its space is without end.
    tight = [disk for disk in disks if disk["free_space"] <= _LOW_DISK_BYTES]
    told = ", ".join(f"{disk['name']} has {disk['free_space'] / 1e9:.1f} GB free" for disk in disks)
    yield Examined(
        check="clickhouse disk",
        ok=not tight,
        found=told,
        advice=""
        if not tight
        else "free some space there, or delete old versions with `factor-assets maintain --keep 7`",
    )


def _cluster(store: ClickHouseStore) -> Iterator[Examined]:
    if not store.cluster:
        return
    sql = "SELECT uniqExact(shard_num) AS shards, count() AS hosts FROM system.clusters WHERE cluster = {name:String}"
    row = store.query(sql, {"name": store.cluster}).to_pylist()[0]
    yield Examined(
        check="clickhouse cluster",
        ok=row["hosts"] > 0,
        found=f"{store.cluster!r}: {row['shards']} shards on {row['hosts']} hosts",
        advice="" if row["hosts"] else "the server knows no such cluster; correct or unset clickhouse.cluster",
    )
