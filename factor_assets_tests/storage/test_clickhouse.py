"""The ClickHouse store beyond the contract: views, upkeep, new columns, and what its failures say."""

import random
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

import factor_assets.storage.clickhouse as module
from factor_assets.errors import SchemaMismatchError, StoreError
from factor_assets.storage import clickhouse_upkeep, clickhouse_where
from factor_assets.storage.clickhouse import ClickHouseStore
from factor_assets.storage.clickhouse_commits import State, digest_of, replaced
from factor_assets.storage.clickhouse_ddl import BATCH, quoted
from factor_assets.storage.rows import checksum, conform
from factor_assets.storage.slice import EVERYTHING, Slice
from factor_assets.tables import TABLES, table
from factor_assets_tests.servers.clickhouse import READER, READER_PASSWORD, URL_VARIABLE, ClickHouseAt, new_store
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
    trial_rows,
)

JANUARY = date(2020, 1, 1)
MINE = "libraries/mine"


@pytest.fixture
def store(clickhouse: ClickHouseAt) -> ClickHouseStore:
    return new_store()


def viewed(store: ClickHouseStore, view: str, columns: str) -> list[dict]:
    order = columns.split(",", maxsplit=1)[0] + ", ticker"
    return store.query(f"SELECT {columns} FROM {quoted(store.database, view)} ORDER BY {order}").to_pylist()


class TestAgainstNaive:
    def test_random_writes_leave_the_state_that_a_row_by_row_model_has(self) -> None:
        random_numbers = random.Random(0)
        for _ in range(300):
            state, slices, owner = State(), {}, {}
            for batch in range(1, random_numbers.randint(2, 9)):
                first, days = random_numbers.randrange(12), random_numbers.choice([1, 2, 5, 20])
                tickers = random_numbers.choice([(), (), ("A",), ("B",), ("A", "B")])
                part = (
                    EVERYTHING
                    if random_numbers.random() < 0.1
                    else span(JANUARY + timedelta(days=first), days, *tickers)
                )
                state = replaced(state, part, batch, slices)
                slices[batch] = part
                for day in range(20):
                    for ticker in "AB":
                        if part.overlaps(span(JANUARY + timedelta(days=day), 1, ticker)):
                            owner[day, ticker] = batch
                for (day, ticker), last in owner.items():
                    number = (JANUARY + timedelta(days=day)).toordinal() - date(1970, 1, 1).toordinal()
                    seen = [
                        b
                        for b in state.live
                        if slices[b].overlaps(span(JANUARY + timedelta(days=day), 1, ticker))
                        and not any(
                            h.batch == b and h.start <= number < h.end and (h.tickers is None or ticker in h.tickers)
                            for h in state.hidden
                        )
                    ]
                    assert seen == [last]
                assert set(owner.values()) <= set(state.live)

    def test_views_show_what_the_store_reads(self, store: ClickHouseStore) -> None:
        tickers = ["AAA", *ODD_TICKERS]
        store.write(FACTOR, EVERYTHING, factor_rows(block(JANUARY, 20, tickers, value=1)), provenance=PROVENANCE)
        store.write(
            FACTOR, span(JANUARY, 3), factor_rows(block(JANUARY, 2, tickers[:4], value=2)), provenance=PROVENANCE
        )
        part = span(date(2020, 1, 10), 5, *ODD_TICKERS[:3])
        rows = factor_rows(block(date(2020, 1, 10), 5, list(ODD_TICKERS[:3]), value=3))
        made = store.write(FACTOR, part, rows, provenance=PROVENANCE)
        other = "factors/value/be_me"
        store.write(other, EVERYTHING, factor_rows(block(JANUARY, 2, ["A"], value=9)), provenance=PROVENANCE)
        found = viewed(store, "factor_values", "date, ticker, value, factor_type, factor_name, update_time")
        momentum = [row for row in found if row["factor_name"] == "ret_12_1"]
        assert {(r["date"], r["ticker"]): r["value"] for r in momentum} == as_dict(store.read(FACTOR))
        assert len(momentum) == store.read(FACTOR).num_rows
        assert max(row["update_time"] for row in momentum) == made.committed_at
        assert [row["value"] for row in found if row["factor_type"] == "value"] == [9, 9]

    def test_a_view_of_a_table_without_dates_and_one_of_a_library(self, store: ClickHouseStore) -> None:
        store.write("price_history", EVERYTHING, history_rows(["A", "B"], 3), provenance=PROVENANCE)
        store.write(
            "price_history", Slice(tickers=frozenset("A")), history_rows(["A"], 1, seed=1), provenance=PROVENANCE
        )
        assert [r["ticker"] for r in viewed(store, "price_history", "ticker, date")] == ["A", "B", "B", "B"]
        rows = pa.table({"date": [JANUARY], "ticker": ["A"], "fi`rst'\\": [1.0], "source": [SOURCE]})
        store.write(MINE, EVERYTHING, rows, provenance=PROVENANCE)
        assert store.read(MINE)["fi`rst'\\"].to_pylist() == [1.0]
        assert viewed(store, "library_mine", "date, ticker, `fi\\`rst'\\\\` AS x")[0]["x"] == 1.0


class TestProperties:
    def test_a_new_column_comes_while_readers_and_writers_go_on(
        self, store: ClickHouseStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first = new_store(database=store.database)
        narrow = TABLES["corporate_actions"]
        before = type(narrow)(
            name=narrow.name,
            columns=tuple(c for c in narrow.columns if c.name != "split"),
            key=narrow.key,
            slices=narrow.slices,
            meaning=narrow.meaning,
        )
        rows = pa.table({"date": [JANUARY], "ticker": ["A"], "dividend": [1.0], "split": [2.0]})
        rows = rows.append_column("implied_adjustment", pa.nulls(1, pa.float64())).append_column("source", [[SOURCE]])
        with monkeypatch.context() as patch:
            patch.setattr(module, "declared_table", lambda name: before)
            first.write("corporate_actions", span(JANUARY, 1), rows.drop_columns(["split"]), provenance=PROVENANCE)
        assert store.read("corporate_actions")["split"].to_pylist() == [None]
        later = rows.set_column(0, "date", pa.array([date(2020, 1, 2)]))
        store.write("corporate_actions", span(date(2020, 1, 2), 1), later, provenance=PROVENANCE)
        assert first.read("corporate_actions")["split"].to_pylist() == [None, 2.0]
        assert [r["split"] for r in viewed(store, "corporate_actions", "date, ticker, split")] == [None, 2.0]

    def test_upkeep_deletes_what_no_version_needs_and_keeps_what_one_does(self, store: ClickHouseStore) -> None:
        versions = [
            store.write(FACTOR, span(JANUARY, 9), factor_rows(block(JANUARY, 9, ["A"], value=n)), provenance=PROVENANCE)
            for n in range(3)
        ]
        (done,) = store.maintain()
        assert (done.table, done.files_deleted) == ("factor_values", 0)
        assert as_dict(store.read(FACTOR, as_of="0"))[JANUARY, "A"] == 0.0
        (done,) = store.maintain(keep=timedelta(0))
        assert done.files_deleted == 2
        there = quoted(store.database, "rows_factor_values")
        assert store.query(f"SELECT count() AS n FROM {there}")["n"].to_pylist() == [9]
        assert store.latest_version(FACTOR) == versions[-1]
        for old in versions[:2]:
            with pytest.raises(StoreError, match="cannot be read: maintenance deleted its rows"):
                store.read(FACTOR, as_of=old.id)
        assert as_dict(store.read(FACTOR, as_of="2"))[JANUARY, "A"] == 2.0
        assert store.maintain(keep=timedelta(0))[0].files_deleted == 0

    def test_upkeep_joins_many_small_batches(self, store: ClickHouseStore, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(clickhouse_upkeep, "_MANY_BATCHES", 3)
        for n in range(5):
            store.append("trials", trial_rows(n), provenance=PROVENANCE)
        before, latest = checksum(store.read("trials")), store.latest_version("trials")
        store.maintain()
        assert len(store.log.history("trials").state.live) == 1
        assert (checksum(store.read("trials")), store.latest_version("trials")) == (before, latest)
        assert store.read("trials", as_of="1").num_rows == 2
        store.append("trials", trial_rows(9), provenance=PROVENANCE)
        assert store.read("trials").num_rows == 6
        store.maintain(keep=timedelta(0))
        assert store.read("trials").num_rows == 6

    def test_upkeep_leaves_the_rows_of_a_writer_at_work(
        self, store: ClickHouseStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store.append("trials", trial_rows(1), provenance=PROVENANCE)
        store.insert(table("trials"), conform(table("trials"), trial_rows(2)))
        store.maintain(keep=timedelta(days=1))
        there = f"SELECT uniq({BATCH}) AS n FROM {quoted(store.database, 'rows_trials')}"
        assert store.query(there)["n"].to_pylist() == [2]
        monkeypatch.setattr(clickhouse_upkeep, "_ORPHAN_AGE", timedelta(seconds=-5))
        store.maintain(keep=timedelta(days=1))
        assert store.query(there)["n"].to_pylist() == [1]
        assert store.read("trials").num_rows == 1

    def test_a_reader_whose_rows_are_deleted_meanwhile_reads_again(
        self, store: ClickHouseStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "NOTICE_S", 0.0)
        rows = [factor_rows(block(JANUARY, 9, ["A"], value=n)) for n in (1.0, 2.0)]
        store.write(FACTOR, EVERYTHING, rows[0], provenance=PROVENANCE)
        other, look = new_store(database=store.database), store.log.history

        def look_and_lose(name: str) -> object:
            seen = look(name)
            if len(seen.commits) == 1:
                other.write(FACTOR, EVERYTHING, rows[1], provenance=PROVENANCE)
                other.maintain(keep=timedelta(0))
            return seen

        monkeypatch.setattr(store.log, "history", look_and_lose)
        assert store.read(FACTOR)["value"].to_pylist() == [2.0] * 9

    def test_more_batches_than_a_query_names_and_many_hidden_parts(
        self, store: ClickHouseStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(clickhouse_where, "FEW_BATCHES", 3)
        store.write(
            FACTOR, span(JANUARY, 40), factor_rows(block(JANUARY, 40, ["A", "B"], value=0)), provenance=PROVENANCE
        )
        model = block(JANUARY, 40, ["A", "B"], value=0.0)
        for n in range(0, 40, 3):
            part = span(JANUARY + timedelta(days=n), 1, "A")
            store.write(FACTOR, part, factor_rows(block(part.start, 1, ["A"], value=float(n))), provenance=PROVENANCE)
            model |= block(part.start, 1, ["A"], value=float(n))
        assert as_dict(store.read(FACTOR)) == model

    def test_dates_at_both_ends_of_time(self, store: ClickHouseStore) -> None:
        ends = [date(1900, 1, 1), date(1969, 12, 31), date(2299, 12, 31)]
        rows = factor_rows({(day, "A"): 1.0 for day in ends})
        store.write(FACTOR, Slice(start=date.min, end=date.max), rows, provenance=PROVENANCE)
        assert store.read(FACTOR)["date"].to_pylist() == ends
        assert store.read(FACTOR, Slice(start=date.min, end=date(1900, 1, 2))).num_rows == 1
        assert store.read(FACTOR, Slice(start=date(2299, 12, 31), end=date.max)).num_rows == 1
        assert store.read(FACTOR, Slice(start=date(2400, 1, 1))).num_rows == 0

    def test_a_digest_tells_null_from_zero_and_column_from_column(self) -> None:
        declared = table(FACTOR)
        texts = set()
        for values in ([0.0, None], [None, 0.0], [0.0, 0.0], [None, None]):
            rows = factor_rows({(JANUARY, "A"): 1.0, (JANUARY, "B"): 1.0}).set_column(
                2, "value", pa.array(values, pa.float64())
            )
            texts.add(digest_of(declared, conform(declared, rows)))
        assert len(texts) == 4


class TestErrors:
    def test_a_date_that_cannot_be_stored(self, store: ClickHouseStore) -> None:
        for day in (date(1899, 12, 31), date(2300, 1, 1), date.max):
            with pytest.raises(
                StoreError, match=f"column 'date' has {day}, but ClickHouse holds the years 1900 to 2299"
            ):
                store.write(FACTOR, EVERYTHING, factor_rows({(day, "A"): 1.0}), provenance=PROVENANCE)
        rows = trial_rows(1).set_column(
            1, "tried_at", pa.array([datetime(1800, 1, 1, tzinfo=UTC)], pa.timestamp("us", "UTC"))
        )
        with pytest.raises(StoreError, match="column 'tried_at' has 1800"):
            store.append("trials", rows, provenance=PROVENANCE)
        assert store.tables() == []

    def test_a_wrong_password_is_not_repeated(self, clickhouse: ClickHouseAt) -> None:
        wrong = ClickHouseStore(clickhouse.settings("d"), password="hunter2", chdb_path=Path("unused"))
        with pytest.raises(
            StoreError, match=r"refused user 'writer': check clickhouse.user and .* CLICKHOUSE_PASSWORD"
        ) as e:
            wrong.read(FACTOR)
        assert "hunter2" not in str(e.value)

    @pytest.mark.parametrize(
        ("host", "message"),
        [
            ("no-such-host.invalid", "no host 'no-such-host.invalid' is known; check clickhouse.host"),
            ("127.0.0.1", "does not answer: check clickhouse.host, clickhouse.port"),
        ],
    )
    def test_a_server_that_is_not_there(self, clickhouse: ClickHouseAt, host: str, message: str) -> None:
        settings = clickhouse.settings("d", host=host, port=1)
        with pytest.raises(StoreError, match=message):
            ClickHouseStore(settings, password="", chdb_path=Path("unused")).tables()

    def test_a_user_who_may_only_read(self, clickhouse: ClickHouseAt, store: ClickHouseStore, monkeypatch) -> None:
        if clickhouse.user != "writer":
            pytest.skip(f"the server of {URL_VARIABLE} has no such user")
        store.append("trials", trial_rows(1), provenance=PROVENANCE)
        settings = clickhouse.settings(store.database, user=READER)
        reader = ClickHouseStore(settings, password=READER_PASSWORD, chdb_path=Path("unused"))
        assert reader.read("trials").num_rows == 1
        with pytest.raises(StoreError, match=r"user 'reader' may only read: grant it writing, or set clickhouse.user"):
            reader.append("trials", trial_rows(2), provenance=PROVENANCE)

    def test_a_column_of_another_type(self, store: ClickHouseStore) -> None:
        store.append("trials", trial_rows(1), provenance=PROVENANCE)
        rows = quoted(store.database, "rows_trials")
        store.connection.command(f"ALTER TABLE {rows} MODIFY COLUMN formula Nullable(FixedString(9))")
        with pytest.raises(SchemaMismatchError, match=r"'formula' is stored as Nullable\(FixedString\(9\)\) at http"):
            new_store(database=store.database).append("trials", trial_rows(2), provenance=PROVENANCE)

    def test_a_database_that_was_dropped_is_empty_again(self, store: ClickHouseStore) -> None:
        store.append("trials", trial_rows(1), provenance=PROVENANCE)
        store.connection.command(f"DROP DATABASE {quoted(store.database)} SYNC")
        assert store.read("trials").num_rows == 0
        assert store.tables() == []
        store.append("trials", trial_rows(2), provenance=PROVENANCE)
        assert store.read("trials")["trial_id"].to_pylist() == ["2"]

    def test_a_negative_age(self, store: ClickHouseStore) -> None:
        with pytest.raises(StoreError, match="at least 0; got -1 day"):
            store.maintain(keep=timedelta(days=-1))
