"""Medians of writes and reads of the lake: 500 tickers x 2,500 sessions, 12 factor tables.

Run: python -m factor_assets_tests.benchmarks.bench_lake [folder]
"""

import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from factor_assets.storage.lake import LakeStore
from factor_assets.storage.query import connect, query
from factor_assets.storage.rows import checksum
from factor_assets.storage.slice import EVERYTHING, Slice
from factor_assets.storage.store import Provenance
from factor_assets.tables import TABLES, table

N_TICKERS, N_SESSIONS, N_FACTORS, REPEATS = 500, 2_500, 12, 5
PROVENANCE = Provenance(source="sample (synthetic)", run_id="bench")
DAY = Slice(start=date(2015, 6, 10), end=date(2015, 6, 11))
MONTH = Slice(start=date(2015, 6, 1), end=date(2015, 7, 1))
YEAR = Slice(start=date(2015, 1, 1), end=date(2016, 1, 1))
TICKERS = [f"T{n:03d}" for n in range(N_TICKERS)]


def market(name: str, *, seed: int) -> pa.Table:
    """Random rows of a table, sorted as the platform makes them."""
    random = np.random.default_rng(seed)
    days = np.arange(np.datetime64("2010-01-01"), np.datetime64("2020-01-01"))
    sessions = days[np.is_busday(days)][:N_SESSIONS]
    by_date = table(name).key[0] == "date"
    dates = np.repeat(sessions, N_TICKERS) if by_date else np.tile(sessions, N_TICKERS)
    tickers = np.tile(TICKERS, N_SESSIONS) if by_date else np.repeat(TICKERS, N_SESSIONS)
    n = len(dates)
    columns = {}
    for column in table(name).columns:
        if pa.types.is_floating(column.type):
            columns[column.name] = pa.array(random.normal(size=n))
        elif column.name in ("date", "ticker"):
            columns[column.name] = pa.array(dates if column.name == "date" else tickers)
        elif column.name == "source":
            columns[column.name] = pa.array(["sample (synthetic)"] * n)
        elif pa.types.is_string(column.type):
            columns[column.name] = pa.array(["one"] * n)
        else:
            columns[column.name] = pa.nulls(n, column.type)
    return pa.table(columns)


def measure(label: str, act: Callable[[int], object], *, repeats: int = REPEATS) -> None:
    """Print the median time of an act, which gets the number of the repeat."""
    times = []
    for n in range(repeats):
        start = time.perf_counter()
        act(n)
        times.append(time.perf_counter() - start)
    sys.stdout.write(f"{label:<58}{1e3 * median(times):9.1f} ms\n")


def changed(rows: pa.Table, part: Slice, column: str, by: int) -> pa.Table:
    """Rows of the slice with one column changed, so that the write is not skipped."""
    mask = part.mask(rows)
    inside = rows if mask is None else rows.filter(mask)
    return inside.set_column(inside.column_names.index(column), column, pc.add(inside[column], by + 1.0))


def main(root: Path) -> None:
    store = LakeStore(root)
    for name, column in (("factors/bench/f00", "value"), ("prices", "close")):
        rows = market(name, seed=0)

        def write(part: Slice, n: int, name: str = name, column: str = column, rows: pa.Table = rows) -> None:
            store.write(name, part, changed(rows, part, column, n), provenance=PROVENANCE)

        sys.stdout.write(f"{name}: {rows.num_rows:,} rows x {rows.num_columns} columns\n")
        measure("  first full write", lambda n: write(EVERYTHING, n), repeats=1)
        measure("  rewrite everything", lambda n: write(EVERYTHING, n + 50), repeats=3)
        for label, part in (("day", DAY), ("month", MONTH), ("year", YEAR)):
            measure(f"  rewrite one {label}", lambda n: write(part, n + 100))  # noqa: B023
            measure(f"  same rows of one {label} again", lambda n: write(part, REPEATS + 99))  # noqa: B023
        measure("  read every date, all columns", lambda n: store.read(name))  # noqa: B023
        measure("  read every date, date ticker value", lambda n: store.read(name, columns=["date", "ticker", column]))  # noqa: B023
        measure("  read one day", lambda n: store.read(name, DAY))  # noqa: B023
        measure("  read one ticker", lambda n: store.read(name, Slice(tickers=frozenset({"T007"}))))  # noqa: B023
        whole = store.read(name)
        measure("  checksum of the table", lambda n: checksum(whole))  # noqa: B023
        measure("  latest_version", lambda n: store.latest_version(name, DAY))  # noqa: B023
    history = market("price_history", seed=1)
    sys.stdout.write(f"price_history: {history.num_rows:,} rows x {history.num_columns} columns\n")
    measure(
        "  first full write",
        lambda n: store.write("price_history", EVERYTHING, history, provenance=PROVENANCE),
        repeats=1,
    )
    one = Slice(tickers=frozenset({"T007"}))
    measure(
        "  rewrite one ticker",
        lambda n: store.write("price_history", one, changed(history, one, "close", n), provenance=PROVENANCE),
    )
    measure("  read one ticker", lambda n: store.read("price_history", one))
    measure("  read every ticker", lambda n: store.read("price_history"))
    names = [f"factors/bench/f{n:02d}" for n in range(N_FACTORS)]
    for n, name in enumerate(names[1:]):
        store.write(name, EVERYTHING, market(name, seed=n + 2), provenance=PROVENANCE)
    sys.stdout.write(f"{N_FACTORS} factor tables\n")
    measure("  read one day of each", lambda n: [store.read(name, DAY) for name in names])
    measure("  read every date of each", lambda n: [store.read(name) for name in names], repeats=3)
    measure("  connect SQL", lambda n: connect(store).close())
    long = "SELECT factor_name, avg(value) FROM factor_values GROUP BY 1"
    measure("  SQL mean of every factor", lambda n: query(store, long), repeats=3)
    measure(
        "  SQL one day of every factor", lambda n: query(store, "FROM factor_values WHERE date = DATE '2015-06-10'")
    )
    measure("  maintain", lambda n: store.maintain(), repeats=3)
    sys.stdout.write(f"tables: {', '.join(t for t in store.tables() if t in TABLES)}; {len(store.tables())} in all\n")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with TemporaryDirectory() as folder:
            main(Path(folder))
