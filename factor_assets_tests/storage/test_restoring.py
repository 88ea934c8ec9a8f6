"""Rows of an earlier version, brought back."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from factor_assets.errors import OutsideSliceError, StoreError
from factor_assets.storage.lake import LakeStore
from factor_assets.storage.memory import MemoryStore
from factor_assets.storage.restoring import difference, moment, restore
from factor_assets.storage.rows import checksum
from factor_assets.storage.slice import EVERYTHING, Slice
from factor_assets.storage.store import Provenance, Store
from factor_assets_tests.servers.clickhouse import new_store
from factor_assets_tests.storage.market_rows import FACTOR, PROVENANCE, SOURCE, as_dict, block, factor_rows, trial_rows

JANUARY = date(2020, 1, 1)
LATER = Provenance(source=SOURCE, run_id="run-2", code_version="v2", inputs={"prices": "4"})


@pytest.fixture(params=["memory", "lake", "clickhouse"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """A table with two versions: every value 1.0, then 2.0 for A and no B on the first day."""
    store: Store = MemoryStore() if request.param == "memory" else LakeStore(tmp_path / "lake")
    store = new_store() if request.param == "clickhouse" else store
    store.write(FACTOR, EVERYTHING, factor_rows(block(JANUARY, 10, ["A", "B"], value=1.0)), provenance=PROVENANCE)
    rows = block(JANUARY, 10, ["A"], value=2.0) | block(JANUARY + timedelta(days=1), 9, ["B"], value=1.0)
    store.write(FACTOR, EVERYTHING, factor_rows(rows), provenance=LATER)
    return store


class TestAgainstOldRows:
    def test_all_rows_are_as_they_were_and_the_restore_can_be_undone(self, store: Store) -> None:
        new, old = store.versions(FACTOR)
        sums = {version.id: checksum(store.read(FACTOR, as_of=version.id)) for version in (new, old)}
        made = restore(store, FACTOR, old.id)
        assert checksum(store.read(FACTOR)) == sums[old.id]
        assert (made.id, made.operation) == (store.versions(FACTOR)[0].id, "write")
        restore(store, FACTOR, new.committed_at)
        assert checksum(store.read(FACTOR)) == sums[new.id]
        assert len(store.versions(FACTOR)) == 4

    def test_only_the_part_is_restored(self, store: Store) -> None:
        part = Slice(start=JANUARY, end=JANUARY + timedelta(days=3), tickers=frozenset({"A"}))
        restore(store, FACTOR, store.versions(FACTOR)[-1].id, part)
        found = as_dict(store.read(FACTOR))
        assert [found[JANUARY + timedelta(days=n), "A"] for n in range(10)] == [1.0] * 3 + [2.0] * 7
        assert (JANUARY, "B") not in found

    @settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(data=st.data())
    def test_the_difference_is_that_of_two_dictionaries(self, data: Any) -> None:
        store, model = MemoryStore(), []
        values = st.dictionaries(
            st.tuples(st.dates(JANUARY, JANUARY + timedelta(days=4)), st.sampled_from("AB")),
            st.sampled_from([None, 1.0, 2.0, float("inf")]),
        )
        for rows in (data.draw(values), data.draw(values)):
            store.write(FACTOR, EVERYTHING, factor_rows(rows), provenance=PROVENANCE)
            model.append(set(rows.items()))
        found = difference(store, FACTOR, store.versions(FACTOR)[-1].id)
        then, now = model
        assert (found.n_then, found.n_now) == (len(then), len(now))
        assert (found.n_only_then, found.n_only_now) == (len(then - now), len(now - then))


class TestProperties:
    def test_a_dry_run_counts_and_writes_nothing(self, store: Store) -> None:
        versions = store.versions(FACTOR)
        found = difference(store, FACTOR, versions[-1].id)
        assert found.version == versions[-1]
        assert (found.n_then, found.n_now, found.n_only_then, found.n_only_now) == (20, 19, 11, 10)
        part = Slice(start=JANUARY, end=JANUARY + timedelta(days=1))
        found = difference(store, FACTOR, versions[-1].id, part)
        assert (found.n_then, found.n_now, found.n_only_then, found.n_only_now) == (2, 1, 2, 1)
        assert store.versions(FACTOR) == versions

    def test_nothing_to_restore_makes_no_version(self, store: Store) -> None:
        newest = store.versions(FACTOR)[0]
        assert restore(store, FACTOR, newest.id) == newest
        assert restore(store, FACTOR, datetime.now(UTC)) == newest
        assert difference(store, FACTOR, newest.id).n_only_then == 0

    def test_the_new_version_says_whose_rows_it_has(self, store: Store) -> None:
        made = restore(store, FACTOR, store.versions(FACTOR)[-1].id)
        old = store.versions(FACTOR)[-1]
        assert made.provenance == Provenance(
            source=SOURCE,
            run_id=f"restored from version {old.id}",
            code_version=PROVENANCE.code_version,
            inputs=PROVENANCE.inputs,
        )

    def test_a_version_that_only_compacted_knows_the_writer_before_it(self, tmp_path: Path) -> None:
        store = LakeStore(tmp_path)
        for n in range(3):
            day = JANUARY + timedelta(days=n)
            part = Slice(start=day, end=day + timedelta(days=1))
            store.write(FACTOR, part, factor_rows({(day, "A"): 1.0}), provenance=LATER)
        store.maintain()
        compacted = store.versions(FACTOR)[0]
        store.write(FACTOR, EVERYTHING, factor_rows({}), provenance=PROVENANCE)
        assert restore(store, FACTOR, compacted.id).provenance.code_version == "v2"
        assert store.read(FACTOR).num_rows == 3

    def test_a_column_that_came_later_is_null_again(self, store: Store) -> None:
        name, rows = "libraries/own", factor_rows(block(JANUARY, 2, ["A"], value=1.0))
        store.write(name, EVERYTHING, rows.rename_columns(["date", "ticker", "alpha", "source"]), provenance=PROVENANCE)
        store.write(name, EVERYTHING, rows.rename_columns(["date", "ticker", "beta", "source"]), provenance=PROVENANCE)
        assert difference(store, name, store.versions(name)[-1].id).n_only_then == 2
        restore(store, name, store.versions(name)[-1].id)
        assert store.read(name)["alpha"].to_pylist() == [1.0, 1.0]
        assert store.read(name)["beta"].to_pylist() == [None, None]

    def test_what_a_user_types(self, store: Store) -> None:
        versions = store.versions(FACTOR)
        assert moment(versions[0].id, versions) == versions[0].id
        assert moment("2024-01-31", versions) == datetime(2024, 1, 31, tzinfo=UTC)
        assert moment("2024-01-31 18:00", versions) == datetime(2024, 1, 31, 18, tzinfo=UTC)
        assert moment("2024-01-31T18:00-05:00", versions) == datetime(2024, 1, 31, 23, tzinfo=UTC)


class TestErrors:
    def test_before_the_table_was_there(self, store: Store) -> None:
        for ask in (restore, difference):
            with pytest.raises(StoreError, match=r"did not exist at 2000.*its oldest version is of 20\d\d-"):
                ask(store, FACTOR, datetime(2000, 1, 1, tzinfo=UTC))
            with pytest.raises(StoreError, match="it was never written"):
                ask(store, "prices", datetime(2000, 1, 1, tzinfo=UTC))
        assert store.read(FACTOR).num_rows == 19

    def test_an_unknown_version_and_a_time_without_zone(self, store: Store) -> None:
        with pytest.raises(StoreError, match=r"no version '99'; the newest are"):
            restore(store, FACTOR, "99")
        with pytest.raises(StoreError, match="wants a time zone"):
            restore(store, FACTOR, datetime(2000, 1, 1))  # noqa: DTZ001
        for text in ("99", "yesterday", "", "2024-13-01", "'; DROP TABLE prices; --"):
            with pytest.raises(StoreError, match="is neither a version of the table nor a time such as 2024-01-31"):
                moment(text, store.versions(FACTOR))
        with pytest.raises(StoreError, match="none, since it was never written"):
            moment("1", [])

    def test_a_ledger_is_never_restored(self, store: Store) -> None:
        store.append("trials", trial_rows(1), provenance=PROVENANCE)
        store.append("trials", trial_rows(2), provenance=PROVENANCE)
        for ask in (restore, difference):
            with pytest.raises(StoreError, match="'trials' is a ledger: rows are added to it and nothing replaces"):
                ask(store, "trials", store.versions("trials")[-1].id)
        assert store.read("trials").num_rows == 2

    def test_a_part_that_the_table_is_not_cut_by(self, store: Store) -> None:
        rows = store.read("factor_summary")
        store.write("factor_summary", EVERYTHING, rows, provenance=PROVENANCE)
        with pytest.raises((StoreError, OutsideSliceError), match="has no dates to slice by"):
            restore(store, "factor_summary", store.versions("factor_summary")[0].id, Slice(start=JANUARY))
