"""Kill writers and the server of ClickHouse at random moments, read all the while, and count what was ever wrong.

`python -m factor_assets_tests.benchmarks.kill_clickhouse [kills of each]`, 100 by default.
"""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from factor_assets.errors import StoreError
from factor_assets.storage.clickhouse import ClickHouseStore
from factor_assets.storage.clickhouse_ddl import BATCH, quoted, stored
from factor_assets.storage.memory import MemoryStore
from factor_assets.storage.rows import checksum
from factor_assets.storage.slice import EVERYTHING
from factor_assets.tables import table
from factor_assets_tests.servers.clickhouse import ClickHouseAt, ClickHouseServer
from factor_assets_tests.storage.lake_writer import DAYS, TICKERS, generation
from factor_assets_tests.storage.market_rows import FACTOR, PROVENANCE

WRITER = "factor_assets_tests.storage.clickhouse_writer"
REPOSITORY = Path(__file__).resolve().parents[2]
ROWS = {FACTOR: DAYS * len(TICKERS), "price_history": 30 * len(TICKERS)}
VALUE = {FACTOR: "value", "price_history": "close"}


@dataclass
class Counts:
    """What was done and what was seen.

    Parameters
    ----------
    reads, reads_refused
        Reads that saw a whole table; and those to which a dead server did not answer.
    generations
        Different contents that readers saw.
    wrong
        Reads that saw anything else, and what the last look over all tables found wrong.
    """

    writer_kills: int = 0
    server_kills: int = 0
    reads: int = 0
    reads_refused: int = 0
    commits: int = 0
    maintained: int = 0
    unfinished_batches: int = 0
    generations: set[float] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)


def start_writer(at: ClickHouseAt, database: str, *arguments: object) -> subprocess.Popen[str]:
    what, *numbers = map(str, arguments)
    return subprocess.Popen(
        [sys.executable, "-m", WRITER, what, at.host, str(at.port), at.user, database, *numbers],
        cwd=REPOSITORY,
        env=os.environ | {"CLICKHOUSE_PASSWORD": at.password},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def opened(at: ClickHouseAt, database: str) -> ClickHouseStore:
    return ClickHouseStore(at.settings(database), password=at.password, chdb_path=Path("unused"))


def check_whole(store: ClickHouseStore, counts: Counts) -> None:
    """See that each table is empty or wholly of one generation."""
    for name, column in VALUE.items():
        values = store.read(name, columns=[column])[column]
        distinct = values.unique().to_pylist()
        if len(distinct) > 1 or len(values) not in (0, ROWS[name]):
            counts.wrong.append(f"{name}: {len(values)} rows of the generations {distinct}")
        counts.generations.update(distinct)
        counts.reads += 1


def check_batches(store: ClickHouseStore, counts: Counts) -> None:
    """See that numbers of commits are all different, and that each live batch has as many rows as its commit says."""
    for name in VALUE:
        history = store.log.history(name)
        numbers = [c.number for c in history.commits]
        counts.commits += len(numbers)
        if len(set(numbers)) != len(numbers):
            counts.wrong.append(f"{name}: a number twice")
        rows = quoted(store.database, stored(table(name)).rows)
        found = store.query(f"SELECT {BATCH} AS batch, count() AS n FROM {rows} GROUP BY batch")
        held = dict(zip(found["batch"].to_pylist(), found["n"].to_pylist(), strict=True))
        gone = {batch for c in history.commits for batch in c.deleted}
        counts.maintained += sum(c.version.operation == "maintain" for c in history.commits)
        counts.unfinished_batches += len(held.keys() - {c.batch for c in history.commits})
        n_rows = {c.batch: c.version.n_rows for c in history.commits if c.version.n_rows and c.batch not in gone}
        counts.wrong += [f"{name}: batch {b} has {held.get(b)} rows" for b, n in n_rows.items() if held.get(b) != n]


def run(folder: Path, *, kills: int, seed: int = 1) -> Counts:
    """Kill `kills` writers, then the server `kills` times under a writer that goes on."""
    counts, moments, database = Counts(), random.Random(seed), "killed"
    done = threading.Event()
    with ClickHouseServer(folder) as server:

        def read_on() -> None:
            store = opened(server, database)
            while not done.is_set():
                try:
                    check_whole(store, counts)
                except StoreError as error:
                    counts.reads_refused += 1
                    if "does not answer" not in str(error):
                        counts.wrong.append(str(error))
                except BaseException as error:  # noqa: BLE001 a reader must see rows or a StoreError
                    counts.wrong.append(repr(error))

        reading = threading.Thread(target=read_on)
        reading.start()
        try:
            _kill_writers(server, database, kills, moments, counts)
            _kill_server(server, database, kills, moments, counts)
        finally:
            done.set()
            reading.join()
        finisher = start_writer(server, database, "endless", 10_000_000, 1)
        finisher.communicate()
        store = opened(server, database)
        undisturbed = MemoryStore()
        for name, rows in generation(10_000_000).items():
            undisturbed.write(name, EVERYTHING, rows, provenance=PROVENANCE)
            if checksum(store.read(name)) != checksum(undisturbed.read(name)):
                counts.wrong.append(f"{name}: not as an undisturbed run leaves it")
        check_whole(store, counts)
        check_batches(store, counts)
    return counts


def _kill_writers(server: ClickHouseServer, database: str, kills: int, moments: random.Random, counts: Counts) -> None:
    forks = start_writer(server, database, "forks", 0, 0)
    assert forks.stdin is not None
    assert forks.stdout is not None
    for n in range(kills):
        forks.stdin.write(f"{1000 * n} 1000\n")
        forks.stdin.flush()
        child = int(forks.stdout.readline())
        # Connecting takes some 60 ms, a round of both tables as long.
        time.sleep(moments.uniform(0, 0.6))
        os.kill(child, signal.SIGKILL)
        assert forks.stdout.readline() == "gone\n"
        counts.writer_kills += 1
    forks.communicate()


def _kill_server(server: ClickHouseServer, database: str, kills: int, moments: random.Random, counts: Counts) -> None:
    writer = start_writer(server, database, "endless", 1_000_000, 1_000_000)
    assert writer.stdout is not None
    assert writer.stdout.readline() == "ready\n"
    try:
        for _ in range(kills):
            time.sleep(moments.uniform(0.1, 1.2))
            server.end(signal.SIGKILL)
            counts.server_kills += 1
            server.start()
    finally:
        writer.kill()
        writer.communicate()


def main() -> None:
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        began = time.monotonic()
        counts = run(Path(folder), kills=kills)
        found = asdict(counts) | {"generations": len(counts.generations), "seconds": round(time.monotonic() - began)}
        with suppress(BrokenPipeError):
            print(json.dumps(found, indent=2))
    sys.exit(1 if counts.wrong else 0)


if __name__ == "__main__":
    main()
