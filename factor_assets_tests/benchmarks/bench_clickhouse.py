"""ClickHouse: the store beside a bare insert_arrow, a plain SELECT and other ways to replace a slice, in one run.

`python -m factor_assets_tests.benchmarks.bench_clickhouse [days [factors [tickers]]]`: 2,500 days, 10 factors and 500
tickers by default. The ways are timed in turn, round after round, so that a busy machine is equally busy for all.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from datetime import date, timedelta

import numpy as np
import pyarrow as pa

from factor_assets.storage.clickhouse_ddl import create_rows, quoted, stored
from factor_assets.storage.slice import Slice
from factor_assets.tables import table
from factor_assets_tests.servers.clickhouse import new_store
from factor_assets_tests.storage.market_rows import PROVENANCE, SOURCE

FIRST = date(2010, 1, 4)
ROUNDS = 9


def rows_of(days: int, tickers: int, seed: int, first: int = 0) -> pa.Table:
    """Rows of one factor; each round has values of its own, so that no write finds its rows there."""
    dates = np.datetime64(FIRST) + first + np.arange(days)
    names = np.array([f"T{n:04d}" for n in range(tickers)], object)
    return pa.table(
        {
            "date": pa.array(np.repeat(dates, tickers)),
            "ticker": pa.array(np.tile(names, days), pa.string()),
            "value": pa.array(np.random.default_rng(seed).standard_normal(days * tickers)),
            "source": pa.array([SOURCE] * (days * tickers), pa.string()),
        }
    )


def bare(rows: pa.Table, name: str, batch: int = 1) -> pa.Table:
    """Rows as they are inserted without a store."""
    n = rows.num_rows
    told = {"factor_type": "bench", "factor_name": name}
    return pa.table(
        {k: pa.array([v] * n, pa.string()).dictionary_encode() for k, v in told.items()}
        | {k: rows[k] for k in rows.column_names}
        | {"_batch": pa.array(np.full(n, batch, np.uint64)), "_row": pa.array(np.arange(n, dtype=np.uint32))}
    )


def timed(ways: Mapping[str, Callable[[int], object]], rounds: int = ROUNDS) -> dict[str, float]:
    """Median milliseconds of each way."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    for n in range(rounds + 1):
        for name, way in ways.items():
            began = time.perf_counter()
            way(n)
            if n:  # the first round warms up
                found[name].append(1000 * (time.perf_counter() - began))
    return {name: round(statistics.median(times), 1) for name, times in found.items()}


def main() -> None:  # noqa: C901 one run
    days, factors, tickers = (*map(int, sys.argv[1:]), *(2500, 10, 500)[len(sys.argv) - 1 :])
    store = new_store()
    began = time.perf_counter()
    for n in range(factors):
        for first in range(0, days, 250):  # as a backfill by year leaves it
            part = Slice(FIRST + timedelta(days=first), FIRST + timedelta(days=min(first + 250, days)))
            rows = rows_of(min(250, days - first), tickers, n, first)
            store.write(f"factors/bench/f{n}", part, rows, provenance=PROVENANCE)
    found: dict[str, object] = {"rows": factors * days * tickers, "load_s": round(time.perf_counter() - began, 1)}

    place = stored(table("factors/bench/f0"))
    connection, database = store.connection, store.database
    others = {}
    for name, engine in (("plain", "MergeTree"), ("staged", "MergeTree"), ("replacing", "ReplacingMergeTree(_batch)")):
        (statement,) = create_rows(place, database)
        others[name] = quoted(database, name)
        statement = statement.replace(quoted(database, place.rows), others[name]).replace("MergeTree", engine, 1)
        key = statement[statement.index("PRIMARY KEY (") + 13 : statement.index(")\nORDER BY")]
        if name == "replacing":
            statement = statement.replace(f"ORDER BY ({key}, _batch, _row)", f"ORDER BY ({key})")
        connection.command(statement)
    for name in ("plain", "replacing"):
        connection.command(f"INSERT INTO {others[name]} SELECT * FROM {quoted(database, place.rows)}")

    def wrote(span_days: int, at: int, columns: int = 1) -> dict[str, Callable[[int], object]]:
        start = FIRST + timedelta(days=at)
        part = Slice(start, start + timedelta(days=span_days))
        bounds = {"a": start.isoformat(), "b": part.end.isoformat() if part.end else ""}
        inside = "factor_name = 'f1' AND date >= toDate32({a:String}) AND date < toDate32({b:String})"

        def rows(n: int, way: int) -> pa.Table:
            return rows_of(span_days, tickers, 1000 * way + n, at)

        def replace_partition(n: int) -> None:
            # The years that the slice touches are rebuilt beside the table, then put in its place.
            years = range(start.year, (start + timedelta(days=span_days - 1)).year + 1)
            for year in years:
                connection.command(f"ALTER TABLE {others['staged']} DROP PARTITION {year}")
                connection.command(
                    f"INSERT INTO {others['staged']} SELECT * FROM {others['plain']} WHERE toYear(date) = {year}"
                    f" AND NOT ({inside})",
                    bounds,
                )
            connection.insert_arrow(others["staged"], bare(rows(n, 4), "f1"))
            for year in years:
                connection.command(f"ALTER TABLE {others['plain']} REPLACE PARTITION {year} FROM {others['staged']}")

        def delete_and_insert(n: int) -> None:
            connection.command(f"DELETE FROM {others['plain']} WHERE {inside}", bounds)
            connection.insert_arrow(others["plain"], bare(rows(n, 3), "f1"))

        return {
            "bare insert_arrow": lambda n: connection.insert_arrow(others["plain"], bare(rows(n, 1), "new")),
            "store": lambda n: store.write("factors/bench/f1", part, rows(n, 2), provenance=PROVENANCE),
            "ReplacingMergeTree": lambda n: connection.insert_arrow(others["replacing"], bare(rows(n, 5), "f1", n + 2)),
            "delete and insert": delete_and_insert,
            "REPLACE PARTITION": replace_partition,
        }

    found["write_500_rows_ms"] = timed(wrote(1, days // 2))
    found["write_5000_rows_ms"] = timed(wrote(10, days // 2))
    found["write_year_ms"] = timed(wrote(min(250, days), 0), 5)
    names = "date, ticker, value, source"
    where = "factor_type = 'bench' AND factor_name = 'f2'"
    day = FIRST + timedelta(days=days // 3)
    one = Slice(day, day + timedelta(days=1))
    of_day = f"{where} AND date = toDate32('{day}')"
    plain, replacing = others["plain"], others["replacing"]
    order = "ORDER BY date, ticker"
    found["read_factor_ms"] = timed(
        {
            "plain SELECT": lambda _: store.query(f"SELECT {names} FROM {plain} WHERE {where}"),
            "plain SELECT, sorted": lambda _: store.query(f"SELECT {names} FROM {plain} WHERE {where} {order}"),
            "store": lambda _: store.read("factors/bench/f2"),
            "view": lambda _: store.query(f"SELECT {names} FROM {quoted(database, place.name)} WHERE {where}"),
            "ReplacingMergeTree FINAL": lambda _: store.query(f"SELECT {names} FROM {replacing} FINAL WHERE {where}"),
        }
    )
    found["read_day_ms"] = timed(
        {
            "plain SELECT": lambda _: store.query(f"SELECT {names} FROM {plain} WHERE {of_day}"),
            "store": lambda _: store.read("factors/bench/f2", one),
        }
    )
    sizes = store.query(
        "SELECT table, sum(rows) AS n, sum(bytes_on_disk) AS bytes FROM system.parts WHERE active"
        " AND database = {d:String} GROUP BY table ORDER BY table",
        {"d": database},
    )
    found["bytes_a_row"] = {r["table"]: round(r["bytes"] / max(1, r["n"]), 2) for r in sizes.to_pylist()}
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
