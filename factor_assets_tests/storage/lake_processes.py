"""Processes that write to one lake, in a folder or a bucket: what must be true while and after they do, or are killed.

Processes are started fresh, never forked: a fork after the libraries have started their threads hangs.

`python -m factor_assets_tests.storage.lake_processes 100`: kill a hundred writers of a lake in a bucket.
"""

import os
import random
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

from factor_assets.storage.lake import LakeStore
from factor_assets.storage.memory import MemoryStore
from factor_assets.storage.rows import checksum
from factor_assets.storage.slice import EVERYTHING
from factor_assets_tests.servers.s3 import s3_server
from factor_assets_tests.storage.lake_writer import DAYS, MONTH, TICKERS, generation
from factor_assets_tests.storage.market_rows import FACTOR, PROVENANCE, as_dict

REPOSITORY = Path(__file__).resolve().parents[2]


def start_writer(*arguments: object) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "factor_assets_tests.storage.lake_writer", *map(str, arguments)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
    )


def check_whole(store: LakeStore) -> int:
    """Check that a reader sees one whole generation in each table; return the number of rows seen."""
    values = store.read(FACTOR, columns=["value"])["value"].unique().to_pylist()
    n_rows = store.read(FACTOR, columns=["value"]).num_rows
    assert len(values) <= 1, f"a reader saw rows of several generations: {values}"
    assert n_rows in (0, DAYS * len(TICKERS)), f"a reader saw a part of the rows: {n_rows}"
    prices = store.read("price_history", columns=["close"])["close"]
    assert len(prices.unique()) <= 1
    assert len(prices) in (0, 30 * len(TICKERS))
    return n_rows


def check_eight_writers(root: str) -> None:
    """Eight processes write neighbouring dates of one month, and all of them the same date."""
    # The first writers race for the creation of the table, too.
    writers = [start_writer("day", root, 1 + 3 * n, 3) for n in range(8)]
    for writer in writers:
        writer.communicate()
    assert [writer.returncode for writer in writers] == [0] * 8
    store = LakeStore(root)
    rows = as_dict(store.read(FACTOR))
    assert len(rows) == 25 * len(TICKERS)
    for day in range(1, 25):
        assert {rows[MONTH + timedelta(days=day), ticker] for ticker in TICKERS} == {float(day)}
    last = {rows[MONTH, ticker] for ticker in TICKERS}
    assert len(last) == 1
    versions = store.versions(FACTOR)
    assert sum(v.operation == "write" for v in versions) == 32
    assert sorted(int(v.id) for v in versions) == list(range(32))


def check_kills(root: str, kills: int, *, longest_s: float) -> int:
    """Kill writers at random moments while a reader looks on, and let the last one finish; return the reads.

    Parameters
    ----------
    longest_s
        How long a writer lives at most once it has begun.
    """
    store = LakeStore(root)
    done = threading.Event()
    broken: list[BaseException] = []
    reads = [0]

    def read_on() -> None:
        reader = LakeStore(root)
        while not done.is_set():
            try:
                check_whole(reader)
                reads[0] += 1
            except BaseException as error:  # noqa: BLE001 handed to the test
                broken.append(error)
                return

    moments = random.Random(1)
    reading = threading.Thread(target=read_on)
    reading.start()
    try:
        for n in range(kills):
            writer = start_writer("endless", root, 1000 * n, 1000)
            assert writer.stdout is not None
            assert writer.stdout.readline() == "ready\n"
            time.sleep(moments.uniform(0, longest_s))
            writer.kill()
            writer.communicate()
            assert writer.returncode == -9
    finally:
        done.set()
        reading.join()
    assert not broken, broken[0]
    check_whole(store)
    # Restarted, the end state equals the undisturbed one; and what the dead left behind goes away.
    finisher = start_writer("endless", root, 1_000_000, 1)
    finisher.communicate()
    assert finisher.returncode == 0
    undisturbed = MemoryStore()
    for table, rows in generation(1_000_000).items():
        undisturbed.write(table, EVERYTHING, rows, provenance=PROVENANCE)
        assert checksum(store.read(table)) == checksum(undisturbed.read(table))
    store.maintain(keep=timedelta(0))
    for table in generation(0):
        assert checksum(store.read(table)) == checksum(undisturbed.read(table))
    return reads[0]


def main() -> None:
    kills = int(sys.argv[1])
    with s3_server() as server:
        os.environ.update(server.environment, AWS_ENDPOINT_URL=server.url, AWS_ALLOW_HTTP="true")
        root = f"s3://{server.new_bucket()}/lake"
        began = time.monotonic()
        reads = check_kills(root, kills, longest_s=2.5)
        sys.stdout.write(
            f"{kills} kills, {reads} reads, {len(LakeStore(root).versions(FACTOR))} commits to one table,"
            f" {time.monotonic() - began:.0f} s: nothing lost, torn, doubled or mixed\n"
        )


if __name__ == "__main__":
    main()
