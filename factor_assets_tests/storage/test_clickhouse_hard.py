"""ClickHouse where it was found wrong once: many hidden parts, forks, late commits, profiles, names, columns."""

import os
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from factor_assets.errors import SchemaMismatchError, StoreError
from factor_assets.storage import clickhouse, clickhouse_where
from factor_assets.storage.clickhouse import ClickHouseStore
from factor_assets.storage.clickhouse_commits import SCHEMA
from factor_assets.storage.clickhouse_ddl import quoted
from factor_assets.storage.memory import MemoryStore
from factor_assets.storage.rows import checksum
from factor_assets.storage.slice import EVERYTHING, Slice
from factor_assets.tables import LIBRARY_PREFIX, TABLES
from factor_assets_tests.servers.clickhouse import BRIEF, BRIEF_PASSWORD, URL_VARIABLE, ClickHouseAt, new_store
from factor_assets_tests.storage.market_rows import (
    FACTOR,
    PROVENANCE,
    SOURCE,
    as_dict,
    block,
    factor_rows,
    history_rows,
    span,
    trial_rows,
)

JANUARY = date(2020, 1, 1)
MINE = f"{LIBRARY_PREFIX}mine"
WRITES = st.lists(
    st.tuples(st.integers(0, 30), st.sampled_from([1, 2, 40, None]), st.sets(st.sampled_from("ABC"), max_size=2)),
    min_size=1,
    max_size=9,
)


@pytest.fixture
def store() -> ClickHouseStore:
    return new_store()


def mine(**columns: float) -> pa.Table:
    """One row of a library."""
    return pa.table({"date": [JANUARY], "ticker": ["A"], **{k: [v] for k, v in columns.items()}, "source": [SOURCE]})


class TestAgainstMemory:
    @pytest.mark.parametrize("few", [1, 30])
    def test_any_hidden_parts(self, monkeypatch: pytest.MonkeyPatch, few: int) -> None:
        monkeypatch.setattr(clickhouse_where, "FEW_PARTS", few)
        monkeypatch.setattr(clickhouse_where, "FEW_BATCHES", few)
        quick = settings(deadline=None, max_examples=12, suppress_health_check=[HealthCheck.too_slow])
        quick(given(writes=WRITES)(self.check))()

    @staticmethod
    def check(writes: list) -> None:
        store, model = new_store(), MemoryStore()
        for n, (first, days, tickers) in enumerate(writes):
            start = None if days is None else JANUARY + timedelta(days=first)
            part = Slice(start=start, end=start and start + timedelta(days=days), tickers=frozenset(tickers) or None)
            rows = block(start or JANUARY, days or 40, sorted(tickers or "ABC"), value=float(n))
            for each in (store, model):
                each.write(FACTOR, part, factor_rows(rows), provenance=PROVENANCE)
            for asked in (EVERYTHING, span(JANUARY + timedelta(days=5), 9), Slice(tickers=frozenset("B"))):
                assert as_dict(store.read(FACTOR, asked)) == as_dict(model.read(FACTOR, asked))
        view = (
            f"SELECT date, ticker, value, source FROM {quoted(store.database, 'factor_values')} ORDER BY date, ticker"
        )
        assert checksum(store.query(view)) == checksum(model.read(FACTOR))

    def test_a_day_of_every_second_week_for_years(self, store: ClickHouseStore) -> None:
        days = block(JANUARY, 2000, ["A"], value=0.0)
        store.write(FACTOR, EVERYTHING, factor_rows(days), provenance=PROVENANCE)
        # 400 parts that do not adjoin: more than a query has room for.
        for n in range(0, 2000, 5):
            part = span(JANUARY + timedelta(days=n), 1)
            store.write(FACTOR, part, factor_rows({(part.start, "A"): 1.0}), provenance=PROVENANCE)
            days[part.start, "A"] = 1.0
        assert len(store.log.history(FACTOR).state.hidden) == 400
        assert as_dict(store.read(FACTOR)) == days
        assert as_dict(store.read(FACTOR, span(JANUARY, 6))) == dict(list(days.items())[:6])
        (done,) = store.maintain()
        assert done.table == "factor_values"
        assert store.log.history(FACTOR).state.hidden == ()
        assert as_dict(store.read(FACTOR)) == days

    def test_rows_with_one_key_stay_in_the_order_of_their_appends(self, store: ClickHouseStore) -> None:
        rows = [factor_rows({(JANUARY, "A"): float(n)}) for n in range(5)]
        for n, each in enumerate(rows):
            (store if n % 2 else new_store(database=store.database)).append(FACTOR, each, provenance=PROVENANCE)
        assert store.read(FACTOR)["value"].to_pylist() == [0, 1, 2, 3, 4]

    def test_columns_that_are_none_or_twice(self, store: ClickHouseStore) -> None:
        model = MemoryStore()
        for each in (store, model):
            each.append("trials", trial_rows(1, 2), provenance=PROVENANCE)
        for columns in ([], ["formula", "trial_id", "formula"]):
            ours, theirs = store.read("trials", columns=columns), model.read("trials", columns=columns)
            assert (ours.num_rows, ours.column_names) == (theirs.num_rows, theirs.column_names)

    def test_a_slice_of_more_tickers_than_a_value_holds(self, store: ClickHouseStore) -> None:
        tickers = [f"TICKER{n:06d}" for n in range(20_000)]
        part = span(JANUARY, 1, *tickers)
        store.write(FACTOR, part, factor_rows(block(JANUARY, 1, tickers, value=1.0)), provenance=PROVENANCE)
        assert store.read(FACTOR, part).num_rows == 20_000
        store.write(FACTOR, part, factor_rows({}), provenance=PROVENANCE)
        assert store.read(FACTOR).num_rows == 0


class TestProperties:
    def test_forks_of_one_store_lose_nothing(self, store: ClickHouseStore) -> None:
        store.write("price_history", EVERYTHING, history_rows(["A"], 1), provenance=PROVENANCE)
        children = []
        for n in range(4):
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    for day in range(3):
                        part = span(JANUARY + timedelta(days=10 * n + day), 1)
                        store.write(FACTOR, part, factor_rows({(part.start, "A"): float(n)}), provenance=PROVENANCE)
                    code = 0
                finally:
                    os._exit(code)
            children.append(child)
        assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
        assert len(store.versions(FACTOR)) == 12
        assert len({c.batch for c in store.log.history(FACTOR).commits}) == 12
        assert sorted(as_dict(store.read(FACTOR)).values()) == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]

    def test_rows_that_took_long_are_committed_on_top_of_what_came_meanwhile(
        self, store: ClickHouseStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(clickhouse, "_SEEN_S", 0.2)
        other, insert = new_store(database=store.database), store.insert
        store.write(FACTOR, span(JANUARY, 1), factor_rows({(JANUARY, "A"): 0.0}), provenance=PROVENANCE)

        def slow(*arguments: object, **options: object) -> int:
            day = JANUARY + timedelta(days=1)
            other.write(FACTOR, span(day, 1), factor_rows({(day, "A"): 1.0}), provenance=PROVENANCE)
            clickhouse.time.sleep(0.3)
            return insert(*arguments, **options)  # type: ignore[arg-type]

        monkeypatch.setattr(store, "insert", slow)
        day = JANUARY + timedelta(days=2)
        made = store.write(FACTOR, span(day, 1), factor_rows({(day, "A"): 2.0}), provenance=PROVENANCE)
        assert made.id == "2"
        assert list(as_dict(store.read(FACTOR)).values()) == [0, 1, 2]

    def test_maintenance_goes_on_behind_a_number_that_was_lost(self, store: ClickHouseStore) -> None:
        for n in (1.0, 2.0):
            store.write(FACTOR, span(JANUARY, 1), factor_rows({(JANUARY, "A"): n}), provenance=PROVENANCE)
        commits = store.tables_of_rows.commits
        row = store.query(f"SELECT {', '.join(SCHEMA.names)} FROM {commits} WHERE number = 1").cast(SCHEMA)
        # As a server leaves it that is killed between remembering the number and storing the commit.
        lost = row.set_column(SCHEMA.get_field_index("number"), "number", pa.array([2], pa.uint64()))
        store.connection.insert_arrow(commits, lost, token=f"{FACTOR}:2")
        store.connection.command(f"ALTER TABLE {commits} DELETE WHERE number = 2 SETTINGS mutations_sync = 2")
        (done,) = new_store(database=store.database).maintain(keep=timedelta(0))
        assert done.files_deleted == 1
        assert as_dict(store.read(FACTOR)) == {(JANUARY, "A"): 2.0}

    def test_a_view_of_a_library_has_the_columns_of_all_its_writers(self, store: ClickHouseStore) -> None:
        store.write(MINE, EVERYTHING, mine(a=1.0, b=2.0), provenance=PROVENANCE)
        new_store(database=store.database).write(MINE, EVERYTHING, mine(a=3.0), provenance=PROVENANCE)
        new_store(database=store.database).write(MINE, EVERYTHING, mine(c=4.0), provenance=PROVENANCE)
        view = f"SELECT * FROM {quoted(store.database, 'library_mine')}"
        assert {"a", "b", "c", "update_time"} <= set(store.query(view).column_names)

    def test_a_profile_that_cuts_answers_short_does_not(self, clickhouse: ClickHouseAt, store: ClickHouseStore) -> None:
        if clickhouse.user != "writer":
            pytest.skip(f"the server of {URL_VARIABLE} has no such user")
        store.write(FACTOR, EVERYTHING, factor_rows(block(JANUARY, 8, ["A"], value=1.0)), provenance=PROVENANCE)
        at = clickhouse.settings(store.database, user=BRIEF)
        brief = ClickHouseStore(at, password=BRIEF_PASSWORD, chdb_path=Path("unused"))
        assert brief.read(FACTOR).num_rows == 8
        store.write(FACTOR, EVERYTHING, factor_rows(block(JANUARY, 30, ["A"], value=1.0)), provenance=PROVENANCE)
        with pytest.raises(StoreError, match="Limit for result exceeded"):
            brief.read(FACTOR)


class TestErrors:
    def test_a_new_column_that_allows_no_null(self, store: ClickHouseStore, monkeypatch: pytest.MonkeyPatch) -> None:
        whole = TABLES["corporate_actions"]
        narrow = type(whole)(
            name=whole.name,
            columns=tuple(c for c in whole.columns if c.name != "source"),
            key=whole.key,
            slices=whole.slices,
            meaning=whole.meaning,
        )
        rows = pa.table({"date": [JANUARY], "ticker": ["A"], "dividend": [1.0], "split": [2.0]})
        rows = rows.append_column("implied_adjustment", pa.nulls(1, pa.float64()))
        with monkeypatch.context() as patch:
            patch.setattr(clickhouse, "declared_table", lambda name: narrow)
            new_store(database=store.database).write("corporate_actions", EVERYTHING, rows, provenance=PROVENANCE)
        with pytest.raises(
            SchemaMismatchError, match=r"'source' is declared without nulls, but the rows at .* have none"
        ):
            store.write(
                "corporate_actions", EVERYTHING, rows.append_column("source", [[SOURCE]]), provenance=PROVENANCE
            )

    @pytest.mark.parametrize("name", ["_batch", "_row", "_state", "update_time"])
    def test_a_column_with_a_name_of_the_store(self, store: ClickHouseStore, name: str) -> None:
        for _ in range(2):
            with pytest.raises(StoreError, match=f"ClickHouse cannot have the column {name!r}"):
                store.write(MINE, EVERYTHING, mine(**{name: 1.0}), provenance=PROVENANCE)
        store.write(MINE, EVERYTHING, mine(hidden=1.0), provenance=PROVENANCE)
        assert store.query(f"SELECT hidden FROM {quoted(store.database, 'library_mine')}")["hidden"].to_pylist() == [1]

    def test_commits_that_are_gone(self, store: ClickHouseStore) -> None:
        store.append("trials", trial_rows(1), provenance=PROVENANCE)
        store.connection.command(f"DROP TABLE {store.tables_of_rows.commits} SYNC")
        with pytest.raises(StoreError, match="has rows, but its table 'commits' is gone"):
            new_store(database=store.database).read("trials")
