"""The lake in a folder under several processes: concurrent writers, and writers killed at random moments."""

from datetime import timedelta
from pathlib import Path

import pytest

from factor_assets.storage.lake import LakeStore
from factor_assets.storage.rows import checksum
from factor_assets.storage.slice import EVERYTHING
from factor_assets_tests.storage.lake_processes import check_eight_writers, check_kills, start_writer
from factor_assets_tests.storage.lake_writer import generation
from factor_assets_tests.storage.market_rows import FACTOR, PROVENANCE, trial_rows


class TestConcurrentWriters:
    def test_neighbouring_dates_of_one_month_and_the_same_date(self, tmp_path: Path) -> None:
        check_eight_writers(str(tmp_path / "lake"))

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

    def test_what_is_added_while_everything_is_replaced_is_replaced_too(self, tmp_path: Path) -> None:
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
        assert first.read("trials")["trial_id"].to_pylist() == ["3"]


class TestKilledWriters:
    @pytest.mark.parametrize("kills", [4, pytest.param(50, marks=pytest.mark.slow)])
    def test_a_reader_sees_all_or_nothing_and_the_next_run_repairs(self, tmp_path: Path, kills: int) -> None:
        # One round of both tables takes some 60 ms; the first one creates them.
        assert check_kills(str(tmp_path / "lake"), kills, longest_s=0.2) > kills
