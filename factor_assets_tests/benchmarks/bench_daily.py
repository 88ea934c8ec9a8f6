"""2,500 daily commits to one factor of 500 tickers, upkeep after them, and a panel beside reading its columns.

Run: python -m factor_assets_tests.benchmarks.bench_daily [days]
"""

import sys
import time
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.compute as pc

from factor_assets.panel.fields import PRICE_FIELDS, price_columns_of
from factor_assets.settings import Settings
from factor_assets.storage.lake import LakeStore
from factor_assets.storage.rows import checksum
from factor_assets.storage.slice import EVERYTHING, Slice
from factor_assets.storage.store import Store
from factor_assets.workspace import Workspace
from factor_assets_tests.benchmarks.bench_clickhouse import FIRST, rows_of
from factor_assets_tests.benchmarks.bench_lake import market
from factor_assets_tests.servers.clickhouse import new_store
from factor_assets_tests.storage.market_rows import PROVENANCE

LAST = date(2019, 12, 31)
NAME, TICKERS, SAMPLE = "factors/bench/daily", 500, 50


def timed(act: Callable[[], object], repeats: int = 5) -> float:
    """Median milliseconds."""
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        act()
        times.append(1000 * (time.perf_counter() - began))
    return median(times)


def say(label: str, milliseconds: float) -> None:
    sys.stdout.write(f"  {label:<56}{milliseconds:10.1f} ms\n")
    sys.stdout.flush()


def daily(store: Store, days: int) -> None:
    """Commit day after day, then look at what that did to reads and what upkeep does about it."""
    times = []
    for day in range(days):
        part = Slice(FIRST + timedelta(days=day), FIRST + timedelta(days=day + 1))
        rows = rows_of(1, TICKERS, day, day)
        began = time.perf_counter()
        store.write(NAME, part, rows, provenance=PROVENANCE)
        times.append(1000 * (time.perf_counter() - began))
    say(f"a day, median of the first {SAMPLE}", median(times[:SAMPLE]))
    say(f"a day, median of the last {SAMPLE}", median(times[-SAMPLE:]))
    say(f"a day, the slowest of {days}", max(times))
    last = Slice(FIRST + timedelta(days=days - 1))

    def look(when: str) -> str:
        say(f"read every date, {when}", timed(lambda: store.read(NAME)))
        say(f"read one day, {when}", timed(lambda: store.read(NAME, last)))
        return checksum(store.read(NAME))

    before = look("before upkeep")
    done = []
    say("upkeep", timed(lambda: done.extend(store.maintain()), repeats=1))
    assert look("after upkeep") == before
    say("latest_version", timed(lambda: store.latest_version(NAME, last)))
    sys.stdout.write(f"  {done[0].files_before} files before upkeep, {done[0].files_after} after\n")


def panel(home: Path) -> None:
    """Lake to aligned panel, with all fields that are made of prices, beside only reading the columns."""
    workspace = Workspace(Settings.model_validate({"home": home, "data": {"start": FIRST, "end": LAST}}))
    store, sessions = workspace.store, workspace.sessions(EVERYTHING)
    for name in ("prices", "universe"):
        rows = market(name, seed=0)
        is_session = pc.is_in(rows["date"], value_set=pa.array(sessions).cast(pa.date32()))
        store.write(name, EVERYTHING, rows.filter(is_session), provenance=PROVENANCE)

    def read(*columns: str, labels: Sequence[str] = ()) -> tuple[object, object]:
        return (
            store.read("prices", columns=["date", "ticker", *columns]),
            store.read("universe", columns=["date", "ticker", *labels]),
        )

    all_columns = price_columns_of(PRICE_FIELDS)

    ways: dict[str, Callable[[], object]] = {
        "read all columns of prices and universe": lambda: read(*all_columns, labels=("sector",)),
        "read and align them, 16 fields": workspace.panel,
        "read the columns of close": lambda: read("close", "total_return_factor"),
        "read and align them, as a factor of close does": lambda: workspace.panel(fields=["close"]),
    }
    times: dict[str, list[float]] = {label: [] for label in ways}
    for _ in range(7):
        for label, way in ways.items():
            times[label].append(timed(way, 1))
    for label, found in times.items():
        say(label, median(found))


def main() -> None:
    days = int(sys.argv[1]) if len(sys.argv) > 1 else 2500
    with TemporaryDirectory() as folder:
        sys.stdout.write(f"lake, {days} daily commits of {TICKERS} rows\n")
        daily(LakeStore(Path(folder) / "daily"), days)
        sys.stdout.write("lake, prices of 2,500 sessions x 500 tickers\n")
        panel(Path(folder) / "panel")
    sys.stdout.write(f"ClickHouse, {days} daily commits of {TICKERS} rows\n")
    daily(new_store(), days)


if __name__ == "__main__":
    main()
