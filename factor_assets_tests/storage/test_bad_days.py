"""Days on which the disk is full or a clock is wrong: a write is made or refused in words, and nothing is lost."""

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from factor_assets.errors import DocumentError, StoreError
from factor_assets.storage.clickhouse import ClickHouseStore
from factor_assets.storage.documents import Documents
from factor_assets.storage.lake import LakeStore
from factor_assets.storage.rows import checksum
from factor_assets.storage.slice import EVERYTHING
from factor_assets.storage.store import Store
from factor_assets_tests.servers.clickhouse import ClickHouseServer, new_store
from factor_assets_tests.servers.small_disk import SmallDisk, small_disk
from factor_assets_tests.storage.market_rows import FACTOR, PROVENANCE, SOURCE, as_dict, block, factor_rows, span

JANUARY = date(2020, 1, 1)
HOUR = timedelta(hours=1)


def many_rows(seed: int) -> pa.Table:
    """400,000 rows, which no encoding makes small: some 4 MB on disk."""
    days, tickers = 400, [f"T{n:04d}" for n in range(1000)]
    dates = np.datetime64(JANUARY) + np.repeat(np.arange(days), len(tickers))
    values = np.random.default_rng(seed).standard_normal(len(dates))
    return pa.table(
        {
            "date": pa.array(dates),
            "ticker": pa.array(tickers * days, pa.string()),
            "value": pa.array(values),
            "source": pa.array([SOURCE] * len(dates), pa.string()),
        }
    )


def fill_up(store: Store, disk: SmallDisk, sizes: list[int]) -> int:
    """Write with ever less space, and return how many writes were refused; each leaves all old or all new rows."""
    refused = []
    before = checksum(store.read(FACTOR))
    for n, left in enumerate(sizes):
        disk.fill(leave=left)
        try:
            store.write(FACTOR, EVERYTHING, many_rows(n + 1), provenance=PROVENANCE)
        except StoreError as error:
            refused.append(str(error))
            assert checksum(store.read(FACTOR)) == before
        else:
            before = checksum(store.read(FACTOR))
            assert before == checksum(many_rows(n + 1))
        disk.free()
    store.write(FACTOR, EVERYTHING, many_rows(99), provenance=PROVENANCE)
    assert checksum(store.read(FACTOR)) == checksum(many_rows(99))
    assert all("its disk is full" in message for message in refused), refused
    return len(refused)


class TestProperties:
    def test_a_folder_on_a_full_disk(self, tmp_path: Path) -> None:
        with small_disk(tmp_path / "disk", megabytes=64) as disk:
            store = LakeStore(disk.folder / "lake")
            store.write(FACTOR, EVERYTHING, many_rows(0), provenance=PROVENANCE)
            # Too little for the rows, for the commit behind them, and for nothing.
            assert 3 <= fill_up(store, disk, [2_000_000, 40_000, 4_096, 0, 12_000_000]) < 5

    def test_a_server_on_a_full_disk(self, tmp_path: Path) -> None:
        with small_disk(tmp_path / "disk", megabytes=128) as disk, ClickHouseServer(disk.folder / "server") as server:
            store = ClickHouseStore(server.settings("full"), password=server.password, chdb_path=tmp_path)
            store.write(FACTOR, EVERYTHING, many_rows(0), provenance=PROVENANCE)
            assert 3 <= fill_up(store, disk, [2_000_000, 40_000, 4_096, 0, 20_000_000]) < 5

    def test_a_server_whose_clock_was_an_hour_ahead(self) -> None:
        store = new_store()
        first = store.write(FACTOR, EVERYTHING, factor_rows(block(JANUARY, 3, ["A"], value=1)), provenance=PROVENANCE)
        # The clock went back since: as if it had been an hour ahead when the commit was made.
        store.connection.command(
            f"ALTER TABLE {store.tables_of_rows.commits} UPDATE committed_at = committed_at + toIntervalHour(1)"
            " WHERE 1 SETTINGS mutations_sync = 2"
        )
        again = new_store(database=store.database)
        second = again.write(
            FACTOR, span(JANUARY, 1), factor_rows(block(JANUARY, 1, ["A"], value=2)), provenance=PROVENANCE
        )
        assert [v.id for v in again.versions(FACTOR)] == [second.id, first.id]
        assert second.committed_at > again.versions(FACTOR)[1].committed_at > first.committed_at
        assert sorted(as_dict(again.read(FACTOR)).values()) == [1, 1, 2]
        assert sorted(as_dict(again.read(FACTOR, as_of=second.committed_at)).values()) == [1, 1, 2]
        assert set(as_dict(again.read(FACTOR, as_of=first.id)).values()) == {1}
        again.maintain(keep=timedelta(days=1))
        assert sorted(as_dict(again.read(FACTOR)).values()) == [1, 1, 2]

    @pytest.mark.parametrize("off", [HOUR, -HOUR])
    def test_a_writer_of_a_lake_whose_clock_is_an_hour_off(self, tmp_path: Path, off: timedelta) -> None:
        store = LakeStore(tmp_path)
        for n in (1, 2, 3):
            store.write(FACTOR, span(JANUARY, n), factor_rows(block(JANUARY, n, ["A"], value=n)), provenance=PROVENANCE)
        middle = tmp_path / FACTOR / "_delta_log" / f"{1:020d}.json"
        actions = [json.loads(line) for line in middle.read_text().splitlines()]
        for action in actions:
            for part in action.values():
                for name in ("timestamp", "deletionTimestamp", "modificationTime"):
                    if name in part:
                        part[name] += int(off.total_seconds() * 1000)
        middle.write_text("\n".join(map(json.dumps, actions)))
        again = LakeStore(tmp_path)
        assert [v.id for v in again.versions(FACTOR)] == ["2", "1", "0"]
        assert set(as_dict(again.read(FACTOR)).values()) == {3}
        assert set(as_dict(again.read(FACTOR, as_of=datetime.now(UTC))).values()) == {3}
        assert set(as_dict(again.read(FACTOR, as_of="1")).values()) == {2}
        made = again.write(
            FACTOR, span(JANUARY, 1), factor_rows(block(JANUARY, 1, ["A"], value=9)), provenance=PROVENANCE
        )
        assert again.latest_version(FACTOR) == made
        again.maintain(keep=timedelta(days=1))
        assert sorted(as_dict(again.read(FACTOR)).values()) == [3, 3, 9]


class TestErrors:
    def test_documents_on_a_full_disk(self, tmp_path: Path) -> None:
        with small_disk(tmp_path / "disk", megabytes=2) as disk:
            documents = Documents(str(disk.folder / "documents"))
            documents.put("kept", b"1")
            disk.fill(leave=100_000)
            with pytest.raises(DocumentError, match=r"Cannot write large in .*No space left on device"):
                documents.put("large", bytes(1_000_000))
            assert not documents.has("large")
            assert [info.key for info in documents.list()] == ["kept"]
            disk.free()
            assert documents.put("large", bytes(1_000_000))
