"""What only the lake does: files, layout, Delta's log, folders that cannot be used."""

import os
import time
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError

from factor_assets.columns import COLUMNS
from factor_assets.errors import SchemaMismatchError, StoreError, WriteConflictError
from factor_assets.storage import attempts, lake
from factor_assets.storage.lake import LakeStore
from factor_assets.storage.layout import HIDDEN, N_BUCKETS, cut, parts_of
from factor_assets.storage.slice import EVERYTHING, Slice
from factor_assets.storage.store import Provenance
from factor_assets.tables import TABLES, Table
from factor_assets_tests.storage.market_rows import (
    FACTOR,
    ODD_TICKERS,
    PROVENANCE,
    SOURCE,
    as_dict,
    block,
    factor_rows,
    history_rows,
    span,
)

DAY = date(2020, 1, 1)


@pytest.fixture
def store(tmp_path: Path) -> LakeStore:
    return LakeStore(tmp_path / "lake")


def live_files(store: LakeStore, table: str) -> set[str]:
    return set(DeltaTable(store.location(table)).file_uris())


class TestAgainstDelta:
    def test_a_plain_delta_reader_sees_the_same_rows(self, store: LakeStore) -> None:
        rows = factor_rows(block(DAY, 200, ["B", *ODD_TICKERS], value=0.5))
        store.write(FACTOR, EVERYTHING, rows, provenance=PROVENANCE)
        plain = pl.scan_delta(store.location(FACTOR)).drop(HIDDEN).sort("date", "ticker").collect()
        assert pl.DataFrame(store.read(FACTOR)).equals(plain)

    def test_description_says_meaning_and_source(self, store: LakeStore) -> None:
        store.write("prices", EVERYTHING, TABLES["prices"].schema.empty_table(), provenance=PROVENANCE)
        metadata = DeltaTable(store.location("prices")).metadata()
        assert metadata.description == f"{TABLES['prices'].meaning} Source: sample (synthetic)"

    def test_a_source_that_reads_like_a_description(self, store: LakeStore) -> None:
        odd = Provenance(source="Prices. Source: vendor", run_id="1")
        for n in (1.0, 2.0):
            store.write(FACTOR, EVERYTHING, factor_rows({(DAY, "A"): n}), provenance=odd)
        assert as_dict(store.read(FACTOR)) == {(DAY, "A"): 2.0}

    def test_a_commit_of_another_program_counts_as_a_write(self, store: LakeStore) -> None:
        ours = store.write(FACTOR, span(DAY, 1), factor_rows(block(DAY, 1, ["A"], value=1.0)), provenance=PROVENANCE)
        foreign = factor_rows(block(DAY, 1, ["B"], value=2.0)).append_column(HIDDEN, pa.array([20201], pa.int32()))
        write_deltalake(store.location(FACTOR), foreign, mode="append")
        latest = store.latest_version(FACTOR, span(date(2023, 1, 1), 1))
        assert latest is not None
        assert latest.id == str(int(ours.id) + 1)
        assert as_dict(store.read(FACTOR)) == {(DAY, "A"): 1.0, (DAY, "B"): 2.0}


class TestProperties:
    def test_a_write_leaves_the_files_of_other_quarters_alone(self, store: LakeStore) -> None:
        store.write(FACTOR, EVERYTHING, factor_rows(block(DAY, 366, ["A", "B"], value=1.0)), provenance=PROVENANCE)
        before = live_files(store, FACTOR)
        assert len(before) == 4
        part = span(date(2020, 5, 4), 1)
        store.write(FACTOR, part, factor_rows(block(part.start, 1, ["A", "B"], value=2.0)), provenance=PROVENANCE)
        after = live_files(store, FACTOR)
        assert len(after) == 4
        assert len(before & after) == 3

    def test_one_company_s_write_touches_one_bucket(self, store: LakeStore) -> None:
        tickers = [f"T{n}" for n in range(300)]
        store.write("price_history", EVERYTHING, history_rows(tickers, 2), provenance=PROVENANCE)
        before = live_files(store, "price_history")
        assert len(before) == N_BUCKETS
        store.write("price_history", Slice(tickers=frozenset({"T7"})), history_rows(["T7"], 5), provenance=PROVENANCE)
        assert len(before & live_files(store, "price_history")) == N_BUCKETS - 1

    def test_quarters_of_a_slice(self) -> None:
        prices = TABLES["prices"]
        assert parts_of(prices, Slice(start=date(2020, 3, 31), end=date(2020, 4, 1))).predicate == (
            f"{HIDDEN} >= 20201 AND {HIDDEN} <= 20201"
        )
        assert parts_of(prices, Slice(end=date(2020, 4, 2))).predicate == f"{HIDDEN} <= 20202"
        assert parts_of(prices, Slice(tickers=frozenset("A"))).predicate is None
        days = block(date(1969, 12, 31), 2, ["A"], value=1.0) | block(date(2020, 12, 31), 2, ["A"], value=1.0)
        assert cut(TABLES["prices"], factor_rows(days))[HIDDEN].to_pylist() == [19694, 19701, 20204, 20211]

    def test_buckets_do_not_depend_on_the_process(self) -> None:
        part = Slice(tickers=frozenset({"AAPL"}))
        assert parts_of(TABLES["price_history"], part).predicate == f"{HIDDEN} IN (28)"

    def test_a_column_declared_later(self, store: LakeStore, monkeypatch: pytest.MonkeyPatch) -> None:
        rows = {(DAY, "A"): 1.0, (date(2020, 9, 1), "A"): 2.0}
        name = "factor_values_test"
        old = Table(
            name=name,
            columns=tuple(COLUMNS[c] for c in ("date", "ticker", "value", "source")),
            key=("date", "ticker"),
            slices="date",
            meaning="A table.",
        )
        new = Table(
            name=name, columns=(*old.columns, COLUMNS["sector"]), key=old.key, slices="date", meaning="A table."
        )
        monkeypatch.setitem(TABLES, name, old)
        store.write(name, EVERYTHING, factor_rows(rows), provenance=PROVENANCE)
        monkeypatch.setitem(TABLES, name, new)
        assert store.read(name)["sector"].to_pylist() == [None, None]
        more = factor_rows({(DAY, "A"): 3.0}).append_column("sector", pa.array(["Energy"]))
        store.write(name, span(DAY, 1), more, provenance=PROVENANCE)
        assert store.read(name, columns=["value", "sector"]).to_pydict() == {
            "value": [3.0, 2.0],
            "sector": ["Energy", None],
        }
        monkeypatch.setitem(TABLES, name, old)
        store.write(name, span(DAY, 1), factor_rows({(DAY, "A"): 4.0}), provenance=PROVENANCE)
        assert as_dict(store.read(name)) == rows | {(DAY, "A"): 4.0}

    def test_maintenance_deletes_what_no_kept_version_needs(self, store: LakeStore) -> None:
        for value in (1.0, 2.0):
            rows = factor_rows(block(DAY, 3, ["A"], value=value))
            store.write(FACTOR, EVERYTHING, rows, provenance=PROVENANCE)
        folder = Path(store.location(FACTOR)) / f"{HIDDEN}=20201"
        orphan, at_work = folder / "part-orphan.parquet", folder / "part-at-work.parquet"
        for path in (orphan, at_work):
            path.write_bytes(b"x")
        os.utime(orphan, (time.time() - 90_000,) * 2)
        assert store.maintain()[0].files_deleted == 0
        assert store.maintain(keep=timedelta(days=1))[0].files_deleted == 1
        assert not orphan.exists()
        assert at_work.exists()
        assert as_dict(store.read(FACTOR, as_of="0"))[DAY, "A"] == 1.0
        done = store.maintain(keep=timedelta(0))[0]
        assert (done.table, done.files_before, done.files_after, done.files_deleted) == (FACTOR, 1, 1, 1)
        assert as_dict(store.read(FACTOR))[DAY, "A"] == 2.0
        with pytest.raises(StoreError, match=r"cannot be read: .* Maintenance deletes the files of old versions"):
            store.read(FACTOR, as_of="0")

    def test_old_versions_stay_known_after_checkpoints(self, store: LakeStore) -> None:
        parts = [span(DAY + timedelta(days=n), 1) for n in range(45)]
        made = [
            store.write(FACTOR, p, factor_rows(block(p.start, 1, ["A"], value=1.0)), provenance=PROVENANCE)
            for p in parts
        ]
        store.maintain()
        fresh = LakeStore(store.root)
        assert [fresh.latest_version(FACTOR, part) for part in parts] == made
        assert fresh.versions(FACTOR) == store.versions(FACTOR)

    def test_versions_follow_a_lake_that_was_deleted_and_made_again(self, store: LakeStore) -> None:
        from shutil import rmtree

        store.write(FACTOR, EVERYTHING, factor_rows(block(DAY, 1, ["A"], value=1.0)), provenance=PROVENANCE)
        assert len(store.versions(FACTOR)) == 1
        rmtree(store.root)
        assert store.versions(FACTOR) == []
        part = span(DAY, 1)
        store.write(FACTOR, part, factor_rows(block(DAY, 1, ["A"], value=2.0)), provenance=PROVENANCE)
        assert [v.slice for v in store.versions(FACTOR)] == [part]

    def test_a_folder_with_spaces_and_accents(self, tmp_path: Path) -> None:
        store = LakeStore(tmp_path / "my läke {1} *")
        store.write(FACTOR, EVERYTHING, factor_rows(block(DAY, 1, ["A"], value=1.0)), provenance=PROVENANCE)
        assert as_dict(store.read(FACTOR)) == {(DAY, "A"): 1.0}
        assert store.tables() == [FACTOR]
        assert len(store.maintain()) == 1

    def test_reading_makes_nothing(self, store: LakeStore) -> None:
        store.read(FACTOR)
        store.tables()
        store.versions(FACTOR)
        assert not Path(store.root).exists()


class TestErrors:
    def test_a_folder_under_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(StoreError, match=r"lake cannot be used: .*file is a file. Set `home` or `store.path`"):
            LakeStore(tmp_path / "file" / "lake")

    def test_a_table_that_cannot_be_written(self, store: LakeStore) -> None:
        Path(store.root).mkdir()
        (Path(store.root) / "factors").write_text("")
        rows = factor_rows(block(DAY, 1, ["A"], value=1.0))
        with pytest.raises(
            StoreError, match=r"'factors/momentum/ret_12_1' at .*/lake/factors/.* cannot be written: .*home"
        ):
            store.write(FACTOR, EVERYTHING, rows, provenance=PROVENANCE)

    @pytest.mark.parametrize("name", ["50% lake", "lake[1]", "a|b", "a^b", "a\\b", "a?b", "a#b"])
    def test_a_folder_that_delta_cannot_open(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(StoreError, match=r"has .* in its name, which the Delta library cannot open; set `home`"):
            LakeStore(tmp_path / name)

    def test_a_damaged_log(self, store: LakeStore) -> None:
        store.write(FACTOR, EVERYTHING, factor_rows(block(DAY, 1, ["A"], value=1.0)), provenance=PROVENANCE)
        (Path(store.location(FACTOR)) / "_delta_log" / f"{0:020}.json").write_text("no json{")
        with pytest.raises(StoreError, match=r"cannot be opened: .* Its log is damaged or not readable: delete"):
            store.read(FACTOR)

    def test_a_lost_file(self, store: LakeStore) -> None:
        store.write(FACTOR, EVERYTHING, factor_rows(block(DAY, 1, ["A"], value=1.0)), provenance=PROVENANCE)
        next(Path(store.root).rglob("*.parquet")).unlink()
        with pytest.raises(StoreError, match=r"cannot be read: .* files were lost: delete the folder"):
            store.read(FACTOR)

    def test_a_column_of_another_type(self, store: LakeStore, monkeypatch: pytest.MonkeyPatch) -> None:
        actions = TABLES["corporate_actions"]
        whole = tuple(replace(c, type=pa.int64()) if c.name == "split" else c for c in actions.columns)
        rows = pa.table({"date": [DAY], "ticker": ["A"], "dividend": [1.0], "split": [2.0]})
        rows = rows.append_column("implied_adjustment", pa.nulls(1, pa.float64())).append_column("source", [[SOURCE]])
        with monkeypatch.context() as patch:
            patch.setitem(TABLES, "corporate_actions", replace(actions, columns=whole))
            store.write("corporate_actions", EVERYTHING, rows, provenance=PROVENANCE)
        wanted = "column 'split' is stored as long at .*corporate_actions, but is declared as double. Move the old"
        with pytest.raises(SchemaMismatchError, match=wanted):
            store.read("corporate_actions")
        with pytest.raises(SchemaMismatchError, match=wanted):
            store.write("corporate_actions", EVERYTHING, rows, provenance=PROVENANCE)
        assert len(store.versions("corporate_actions")) == 1

    def test_writers_that_keep_losing(self, store: LakeStore, monkeypatch: pytest.MonkeyPatch) -> None:
        def lose(*args: object, **kwargs: object) -> None:
            raise CommitFailedError("a concurrent transaction")

        monkeypatch.setattr(lake, "write_deltalake", lose)
        monkeypatch.setattr(attempts, "LONGEST_PAUSE_S", 0.0)
        with pytest.raises(WriteConflictError, match=r"Other writers kept changing table .* during 60 attempts"):
            store.write(FACTOR, EVERYTHING, factor_rows(block(DAY, 1, ["A"], value=1.0)), provenance=PROVENANCE)

    def test_a_negative_age(self, store: LakeStore) -> None:
        with pytest.raises(StoreError, match="age of the versions to keep, at least 0"):
            store.maintain(keep=timedelta(days=-1))
