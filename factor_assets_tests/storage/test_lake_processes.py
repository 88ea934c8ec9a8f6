"""The lake under several processes: concurrent writers, and writers killed at random moments.

Processes are started fresh, never forked: a fork after the libraries have started their threads hangs.
"""

import random
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest

from factor_assets.storage.lake import LakeStore
from factor_assets.storage.memory import MemoryStore
from factor_assets.storage.rows import checksum
from factor_assets.storage.slice import EVERYTHING
from factor_assets_tests.storage.lake_writer import DAYS, MONTH, TICKERS, generation
from factor_assets_tests.storage.market_rows import FACTOR, PROVENANCE, as_dict, trial_rows

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


class TestConcurrentWriters:
    def test_neighbouring_dates_of_one_month_and_the_same_date(self, tmp_path: Path) -> None:
        # The first writers race for the creation of the table, too.
        writers = [start_writer("day", tmp_path / "lake", 1 + 3 * n, 3) for n in range(8)]
        for writer in writers:
            writer.communicate()
        assert [writer.returncode for writer in writers] == [0] * 8
        store = LakeStore(tmp_path / "lake")
        rows = as_dict(store.read(FACTOR))
        assert len(rows) == 25 * len(TICKERS)
        for day in range(1, 25):
            assert {rows[MONTH + timedelta(days=day), ticker] for ticker in TICKERS} == {float(day)}
        last = {rows[MONTH, ticker] for ticker in TICKERS}
        assert len(last) == 1
        versions = store.versions(FACTOR)
        assert sum(v.operation == "write" for v in versions) == 32
        assert sorted(int(v.id) for v in versions) == list(range(32))

    def test_a_table_that_another_writer_creates_meanwhile(self, tmp_path: Path) -> None:
        # Delta itself would add the second writer's rows to the first one's.
        first, second = LakeStore(tmp_path), LakeStore(tmp_path)
        rows = generation(1)[FACTOR]
        look = second._open

        def look_and_lose(table: str) -> object:
            seen = look(table)
            if seen is None:
                first.write(FACTOR, EVERYTHING, rows, provenance=PROVENANCE)
            return seen

        second._open = look_and_lose
        second.write(FACTOR, EVERYTHING, rows, provenance=PROVENANCE)
        assert checksum(first.read(FACTOR)) == checksum(rows)
        assert len(first.versions(FACTOR)) == 1


class TestConcurrentAppends:
    def test_no_trial_is_lost_when_four_processes_record_twenty_five_each(self, tmp_path: Path) -> None:
        # All of them race for the creation of the table; one compacts it meanwhile.
        writers = [start_writer("append", tmp_path / "lake", 25 * n, 25) for n in range(4)]
        store = LakeStore(tmp_path / "lake")
        while any(writer.poll() is None for writer in writers):
            store.maintain()
        for writer in writers:
            writer.communicate()
        assert [writer.returncode for writer in writers] == [0] * 4
        assert sorted(map(int, store.read("trials")["trial_id"].to_pylist())) == list(range(100))
        assert sum(v.operation == "append" for v in store.versions("trials")) == 100
        store.maintain(keep=timedelta(0))
        assert store.read("trials").num_rows == 100

    def test_a_table_that_another_writer_creates_meanwhile(self, tmp_path: Path) -> None:
        first, second = LakeStore(tmp_path), LakeStore(tmp_path)
        look = second._open

        def look_and_lose(table: str) -> object:
            seen = look(table)
            if seen is None:
                first.append(table, trial_rows(1), provenance=PROVENANCE)
            return seen

        second._open = look_and_lose
        second.append("trials", trial_rows(2), provenance=PROVENANCE)
        assert first.read("trials")["trial_id"].to_pylist() == ["1", "2"]

    def test_what_is_added_while_everything_is_replaced_stays(self, tmp_path: Path) -> None:
        # As if it had been added just after.
        first, second = LakeStore(tmp_path), LakeStore(tmp_path)
        first.append("trials", trial_rows(1), provenance=PROVENANCE)
        look = second._open

        def look_and_lose(table: str) -> object:
            snapshot = look(table)
            first.append(table, trial_rows(2), provenance=PROVENANCE)
            second._open = look
            return snapshot

        second._open = look_and_lose
        second.write("trials", EVERYTHING, trial_rows(3), provenance=PROVENANCE)
        assert first.read("trials")["trial_id"].to_pylist() == ["2", "3"]


class TestKilledWriters:
    @pytest.mark.parametrize("kills", [4, pytest.param(50, marks=pytest.mark.slow)])
    def test_a_reader_sees_all_or_nothing_and_the_next_run_repairs(self, tmp_path: Path, kills: int) -> None:
        store = LakeStore(tmp_path / "lake")
        done = threading.Event()
        broken: list[BaseException] = []
        reads = [0]

        def read_on() -> None:
            reader = LakeStore(tmp_path / "lake")
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
        for n in range(kills):
            writer = start_writer("endless", tmp_path / "lake", 1000 * n, 1000)
            assert writer.stdout is not None
            assert writer.stdout.readline() == "ready\n"
            # One round of both tables takes some 60 ms; the first one creates them.
            time.sleep(moments.uniform(0, 0.2))
            writer.kill()
            writer.communicate()
            assert writer.returncode == -9
        done.set()
        reading.join()
        assert not broken, broken[0]
        assert reads[0] > kills
        check_whole(store)
        # Restarted, the end state equals the undisturbed one; and what the dead left behind goes away.
        finisher = start_writer("endless", tmp_path / "lake", 1_000_000, 1)
        finisher.communicate()
        assert finisher.returncode == 0
        undisturbed = MemoryStore()
        for table, rows in generation(1_000_000).items():
            undisturbed.write(table, EVERYTHING, rows, provenance=PROVENANCE)
            assert checksum(store.read(table)) == checksum(undisturbed.read(table))
        store.maintain(keep=timedelta(0))
        for table in generation(0):
            assert checksum(store.read(table)) == checksum(undisturbed.read(table))
