"""Tables from one store to another, whatever kind the two are."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factor_assets.errors import StoreError, UnknownTableError, WriteConflictError
from factor_assets.storage import copying
from factor_assets.storage.copying import LEDGERS, Copied, by_dates, by_tickers, copy_tables
from factor_assets.storage.lake import LakeStore
from factor_assets.storage.memory import MemoryStore
from factor_assets.storage.rows import checksum
from factor_assets.storage.slice import EVERYTHING, Slice
from factor_assets.storage.store import Provenance, Store, Version
from factor_assets.tables import TABLES, table
from factor_assets_tests.servers.clickhouse import new_store
from factor_assets_tests.storage.market_rows import (
    FACTOR,
    ODD_TICKERS,
    PROVENANCE,
    SOURCE,
    block,
    factor_rows,
    history_rows,
    span,
    trial_rows,
)

JANUARY = date(2020, 1, 1)
LIBRARY = "libraries/own"
DIRECTIONS = ("memory to lake", "lake to memory", "lake to lake", "lake to clickhouse", "clickhouse to lake")


def opened(kind: str, folder: Path) -> Store:
    if kind == "clickhouse":
        return new_store()
    return MemoryStore() if kind == "memory" else LakeStore(folder)


@pytest.fixture(params=DIRECTIONS)
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Store, Store]:
    ours, theirs = request.param.split(" to ")
    return filled(opened(ours, tmp_path / "source")), opened(theirs, tmp_path / "target")


@pytest.fixture
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "_VALUES", 400)


def library_rows(start: date, days: int, **values: float) -> pa.Table:
    rows = factor_rows(block(start, days, ["A", "B"], value=1.0)).drop_columns(["value"])
    for name, value in values.items():
        rows = rows.append_column(name, pa.array([value] * rows.num_rows, pa.float64()))
    return rows


def filled(store: Store) -> Store:
    """A store with a table of each kind."""
    store.write(FACTOR, EVERYTHING, factor_rows(block(JANUARY, 500, ["A", "B"], value=1.0)), provenance=PROVENANCE)
    store.write(FACTOR, span(JANUARY, 3), factor_rows(block(JANUARY, 3, ["A"], value=float("inf"))), provenance=LATER)
    store.write("price_history", EVERYTHING, history_rows(["A", *ODD_TICKERS], 20), provenance=PROVENANCE)
    store.write(LIBRARY, span(JANUARY, 100), library_rows(JANUARY, 100, alpha=1.0), provenance=PROVENANCE)
    later = JANUARY + timedelta(days=100)
    store.write(LIBRARY, span(later, 100), library_rows(later, 100, alpha=1.0, beta=2.0), provenance=PROVENANCE)
    store.write("universe", EVERYTHING, TABLES["universe"].schema.empty_table(), provenance=PROVENANCE)
    store.append("trials", trial_rows(1, 2), provenance=PROVENANCE)
    store.append("trials", trial_rows(3), provenance=PROVENANCE)
    return store


LATER = Provenance(source=SOURCE, run_id="run-2", code_version="v2", inputs={"prices": "4"})
HELD = sorted([FACTOR, "price_history", LIBRARY, "universe", "trials"])


def sums(store: Store) -> dict[str, str]:
    return {name: checksum(store.read(name)) for name in store.tables()}


def copied(source: Store, target: Store, **arguments: object) -> dict[str, Copied]:
    return {account.table: account for account in copy_tables(source, target, **arguments)}


class TestAgainstSource:
    @pytest.mark.usefixtures("small_slices")
    def test_every_table_is_equal_after_a_copy_slice_by_slice(self, stores: tuple[Store, Store]) -> None:
        source, target = stores
        accounts = copied(source, target)
        assert sums(target) == sums(source)
        assert list(accounts) == HELD
        assert {account.outcome for account in accounts.values()} == {"copied"}
        assert {name: account.n_rows for name, account in accounts.items()} == (
            {name: source.read(name).num_rows for name in HELD}
        )
        # 500 days are six quarters and 1,000 rows, of which 100 are a slice; a quarter is never cut.
        assert (accounts[FACTOR].n_slices, accounts[FACTOR].n_written) == (6, 6)
        assert accounts["price_history"].n_slices > 3
        assert accounts["universe"].n_slices == 1

    def test_a_small_table_is_one_slice(self, stores: tuple[Store, Store]) -> None:
        assert {account.n_slices for account in copied(*stores).values()} == {1}

    @pytest.mark.usefixtures("small_slices")
    def test_there_and_back_and_again_writes_nothing(self, stores: tuple[Store, Store]) -> None:
        source, target = stores
        copied(source, target)
        before = {name: [*map(str, target.versions(name))] for name in HELD}
        for ours, theirs in ((source, target), (target, source)):
            accounts = copied(ours, theirs)
            assert {(account.outcome, account.n_written) for account in accounts.values()} == {("same", 0)}
        assert {name: [*map(str, target.versions(name))] for name in HELD} == before

    @given(
        days=st.lists(st.dates(date(1, 1, 1), date(9999, 12, 31)), max_size=60),
        most_rows=st.integers(1, 20),
    )
    def test_slices_by_date_hold_every_date_once(self, days: list[date], most_rows: int) -> None:
        slices = by_dates(pa.chunked_array([pa.array(days, pa.date32())]), most_rows)
        assert (slices[0].start, slices[-1].end) == (None, None)
        assert [part.end for part in slices[:-1]] == [part.start for part in slices[1:]]
        for part in slices:
            inside = {day for day in days if (part.start or day) <= day and (part.end is None or day < part.end)}
            quarters = {(day.year, (day.month - 1) // 3) for day in inside}
            n_rows = sum(day in inside for day in days)
            assert n_rows <= most_rows or len(quarters) == 1
            assert inside or not days

    @given(
        tickers=st.lists(st.text(max_size=3), max_size=60),
        most_rows=st.integers(1, 20),
    )
    def test_slices_by_ticker_hold_every_ticker_once(self, tickers: list[str], most_rows: int) -> None:
        slices = by_tickers(table("filings"), pa.chunked_array([pa.array(tickers, pa.string())]), most_rows)
        if slices == [EVERYTHING]:
            return
        named = [ticker for part in slices for ticker in part.tickers or ()]
        assert sorted(named) == sorted(set(tickers))


class TestProperties:
    def test_the_label_of_the_source_stays_and_the_run_says_what_was_copied(self, stores: tuple[Store, Store]) -> None:
        source, target = stores
        copied(source, target)
        (version,) = target.versions(FACTOR)
        assert version.provenance == Provenance(
            source=SOURCE,
            run_id=f"copied from {source.location(FACTOR)} version {source.versions(FACTOR)[0].id}",
            code_version=LATER.code_version,
            inputs=LATER.inputs,
        )

    @pytest.mark.usefixtures("small_slices")
    def test_only_what_changed_is_written(self, stores: tuple[Store, Store]) -> None:
        source, target = stores
        copied(source, target)
        day = JANUARY + timedelta(days=200)
        source.write(FACTOR, span(day, 1), factor_rows(block(day, 1, ["A", "C"], value=9.0)), provenance=PROVENANCE)
        source.write(
            "price_history",
            Slice(tickers=frozenset({"A"})),
            history_rows(["A"], 19, seed=4),
            provenance=PROVENANCE,
        )
        accounts = copied(source, target)
        assert sums(target) == sums(source)
        assert {name: account.n_written for name, account in accounts.items()} == (
            dict.fromkeys(HELD, 0) | {FACTOR: 1, "price_history": 1}
        )

    @pytest.mark.usefixtures("small_slices")
    def test_rows_that_only_the_target_has_are_replaced_and_can_be_had_back(self, stores: tuple[Store, Store]) -> None:
        source, target = stores
        old = JANUARY - timedelta(days=5000)
        target.write(FACTOR, span(old, 2), factor_rows(block(old, 2, ["Z"], value=3.0)), provenance=PROVENANCE)
        part = Slice(tickers=frozenset({"GONE"}))
        target.write("price_history", part, history_rows(["GONE"], 3), provenance=PROVENANCE)
        before = target.versions(FACTOR)[0]
        copied(source, target)
        assert sums(target) == sums(source)
        assert target.read(FACTOR, as_of=before.id).num_rows == 2

    def test_a_table_that_only_the_target_has_is_told_and_left(self, stores: tuple[Store, Store]) -> None:
        source, target = stores
        other = "factors/value/be_me"
        target.write(other, EVERYTHING, factor_rows(block(JANUARY, 2, ["Z"], value=3.0)), provenance=PROVENANCE)
        assert copied(source, target)[other].outcome == "only there"
        assert target.read(other).num_rows == 2
        assert list(copied(source, target, tables=[FACTOR])) == [FACTOR]

    def test_tables_chooses(self, stores: tuple[Store, Store]) -> None:
        source, target = stores
        assert list(copied(source, target, tables=["trials", FACTOR, "trials"])) == ["trials", FACTOR]
        assert target.tables() == sorted([FACTOR, "trials"])

    def test_a_ledger_is_merged_and_nothing_is_there_twice(self, stores: tuple[Store, Store]) -> None:
        source, target = stores
        target.append("trials", trial_rows(3, 4), provenance=PROVENANCE)
        for _ in range(2):
            copied(source, target)
            assert sorted(target.read("trials")["trial_id"].to_pylist()) == ["1", "2", "3", "4"]
        assert [version.operation for version in target.versions("trials")] == ["append", "append"]
        copied(target, source)
        assert checksum(target.read("trials")) == checksum(source.read("trials"))

    def test_every_ledger_is_a_whole_table(self) -> None:
        assert {TABLES[name].slices for name in LEDGERS} == {"whole"}

    def test_a_column_that_only_the_target_has_is_null_after_a_copy(self, stores: tuple[Store, Store]) -> None:
        source, target = stores
        target.write(LIBRARY, EVERYTHING, library_rows(JANUARY, 100, gamma=3.0), provenance=PROVENANCE)
        assert copied(source, target)[LIBRARY].outcome == "copied"
        rows = target.read(LIBRARY)
        assert rows["gamma"].null_count == rows.num_rows == 400
        assert checksum(rows.select(source.read(LIBRARY).column_names)) == checksum(source.read(LIBRARY))
        assert copied(source, target)[LIBRARY].outcome == "same"

    @pytest.mark.usefixtures("small_slices")
    def test_what_is_written_to_the_source_meanwhile_is_not_copied(self, stores: tuple[Store, Store]) -> None:
        source, target = stores
        before = checksum(source.read(FACTOR))
        rows = factor_rows(block(JANUARY, 500, ["A"], value=7.0))

        def revise(_table: str, done: int, _total: int) -> None:
            if done == 2:
                source.write(FACTOR, EVERYTHING, rows, provenance=PROVENANCE)

        (account,) = copy_tables(source, target, tables=[FACTOR], on_progress=revise)
        assert (account.outcome, account.version) == ("copied", source.versions(FACTOR)[1].id)
        assert checksum(target.read(FACTOR)) == before

    @pytest.mark.usefixtures("small_slices")
    def test_progress_counts_the_slices(self, stores: tuple[Store, Store]) -> None:
        told = []
        [*copy_tables(*stores, tables=[FACTOR], on_progress=lambda *told_now: told.append(told_now))]
        assert told == [(FACTOR, n, 6) for n in range(7)]

    def test_memory_is_bounded_by_the_slice(self, stores: tuple[Store, Store], monkeypatch: pytest.MonkeyPatch) -> None:
        source, target = stores
        monkeypatch.setattr(copying, "_VALUES", 1000)
        seen = []
        write = target.write

        def counted(name: str, part: Slice, rows: pa.Table, *, provenance: Provenance) -> Version:
            seen.append(rows.num_rows * rows.num_columns)
            return write(name, part, rows, provenance=provenance)

        monkeypatch.setattr(target, "write", counted)
        copied(source, target)
        assert max(seen) <= 1000


_KILLED = """
import sys
from factor_assets.storage import copying
from factor_assets.storage.lake import LakeStore
copying._VALUES = 400
source, target = LakeStore(sys.argv[1]), LakeStore(sys.argv[2])
print("ready", flush=True)
for account in copying.copy_tables(source, target):
    print(account.table, flush=True)
"""


class TestKilled:
    def test_a_copy_that_is_killed_goes_on_where_it_was(self, tmp_path: Path) -> None:
        source = filled(LakeStore(tmp_path / "source"))
        whole = sums(source)
        random = np.random.default_rng(0)
        for attempt in range(4):
            target = LakeStore(tmp_path / f"target-{attempt}")
            copier = subprocess.Popen(
                [sys.executable, "-c", _KILLED, str(tmp_path / "source"), target.root],
                stdout=subprocess.PIPE,
                text=True,
                env=os.environ,
            )
            assert copier.stdout is not None
            assert copier.stdout.readline() == "ready\n"
            time.sleep(random.uniform(0.0, 0.5))
            copier.send_signal(signal.SIGKILL)
            copier.communicate()
            rows = source.read(FACTOR)
            for part in by_dates(rows["date"], 100):
                there = target.read(FACTOR, part)
                assert there.num_rows == 0 or there.equals(source.read(FACTOR, part))
            copied(source, target)
            assert sums(target) == whole
            assert len(target.read("trials")) == 3


class TestErrors:
    def test_an_error_of_one_table_does_not_stop_the_others(self, stores: tuple[Store, Store]) -> None:
        source, target = stores
        other = Provenance(source="other vendor")
        target.write(FACTOR, EVERYTHING, factor_rows({(JANUARY, "A"): 1.0}), provenance=other)
        accounts = copied(source, target)
        assert accounts[FACTOR].outcome == "failed"
        assert "sources are never mixed" in accounts[FACTOR].reason
        assert {account.outcome for name, account in accounts.items() if name != FACTOR} == {"copied"}
        assert target.read(FACTOR).num_rows == 1

    @pytest.mark.parametrize(
        ("broken", "told"),
        [
            (lambda rows: rows.slice(1), r"7 rows in the source, 6 in the target"),
            (lambda rows: rows.take([0, 0, 2, 3, 4, 5, 6]), r"checksum \w{12} in the source, \w{12} in the target"),
        ],
    )
    def test_a_target_that_holds_something_else_is_found_out(
        self, broken: Callable[[pa.Table], pa.Table], told: str
    ) -> None:
        class Broken(MemoryStore):
            def read(self, name: str, part: Slice = EVERYTHING, **arguments: object) -> pa.Table:
                rows = super().read(name, part, **arguments)
                return broken(rows) if rows.num_rows and not arguments else rows

        source = MemoryStore()
        source.write(FACTOR, EVERYTHING, factor_rows(block(JANUARY, 7, ["A"], value=1.0)), provenance=PROVENANCE)
        (account,) = copy_tables(source, Broken())
        assert account.outcome == "failed"
        assert "what was written is not what is there" in account.reason
        assert re.search(told, account.reason)

    def test_a_ledger_with_another_row_under_the_same_key_is_refused(self, stores: tuple[Store, Store]) -> None:
        source, target = stores
        rows = trial_rows(1).to_pylist()
        changed = pa.Table.from_pylist([rows[0] | {"horizon": 99}], schema=TABLES["trials"].schema)
        target.append("trials", changed, provenance=PROVENANCE)
        account = copied(source, target, tables=["trials"])["trials"]
        assert account.outcome == "failed"
        assert "has other rows under the same keys" in account.reason

    def test_a_table_that_the_source_lacks(self, stores: tuple[Store, Store]) -> None:
        with pytest.raises(UnknownTableError, match=f"has no table 'factors/momentum/ret_12'; did you mean '{FACTOR}'"):
            copied(*stores, tables=["factors/momentum/ret_12"])
        assert stores[1].tables() == []

    @pytest.mark.parametrize("error", [StoreError("the server said no"), OSError(28, "No space left on device")])
    def test_a_store_that_fails(self, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
        source, target = filled(MemoryStore()), MemoryStore()

        def refuse(*_: object, **__: object) -> Version:
            raise error

        monkeypatch.setattr(target, "write", refuse)
        accounts = copied(source, target)
        assert accounts[FACTOR].reason == str(error)
        assert accounts["trials"].outcome == "copied"

    def test_a_lost_race_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        source, target = filled(MemoryStore()), MemoryStore()

        def lose(*_: object, **__: object) -> Version:
            raise WriteConflictError("other writers kept changing it")

        monkeypatch.setattr(target, "write", lose)
        assert copied(source, target, tables=[FACTOR])[FACTOR].reason == "other writers kept changing it"
