"""The contract of `Store`, on every store. A new store joins by a name in `STORES` and a line in `open_store`."""

import math
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from factor_assets.errors import (
    OutsideSliceError,
    SchemaMismatchError,
    SourceMixedError,
    StoreError,
    UnknownTableError,
)
from factor_assets.storage.clickhouse import ClickHouseStore
from factor_assets.storage.lake import LakeStore
from factor_assets.storage.memory import MemoryStore
from factor_assets.storage.rows import checksum
from factor_assets.storage.slice import EVERYTHING, Slice
from factor_assets.storage.store import Provenance, Store
from factor_assets.tables import TABLES
from factor_assets_tests.servers.clickhouse import new_store
from factor_assets_tests.servers.fault_proxy import FaultProxy
from factor_assets_tests.servers.s3 import S3Server, options_of
from factor_assets_tests.storage.market_rows import (
    FACTOR,
    ODD_TICKERS,
    PROVENANCE,
    as_dict,
    block,
    factor_rows,
    history_rows,
    span,
    trial_rows,
)

STORES = (
    "memory",
    "lake",
    "s3",
    "chdb",
    "clickhouse",
    *(pytest.param(f"{kind} with faults", marks=pytest.mark.slow) for kind in ("s3", "clickhouse")),
)
JANUARY = date(2020, 1, 1)


def open_store(kind: str, folder: Path, request: pytest.FixtureRequest) -> Store:
    if kind.startswith("s3"):
        server: S3Server = request.getfixturevalue("s3")
        root = f"s3://{server.new_bucket()}/lake"
        if kind == "s3":
            return LakeStore(root, storage_options=server.options)
        proxy: FaultProxy = request.getfixturevalue("s3_proxy")
        proxy.delay_s = 0.02
        proxy.chaos(seed=1, share=0.03)
        return LakeStore(root, storage_options={**options_of(proxy.url), "max_retries": "10"})
    if kind == "clickhouse with faults":
        clickhouse_proxy: FaultProxy = request.getfixturevalue("clickhouse_proxy")
        clickhouse_proxy.delay_s = 0.02
        clickhouse_proxy.chaos(seed=1, share=0.05)
        return new_store(proxy=clickhouse_proxy)
    if kind in ("chdb", "clickhouse"):
        return new_store("chdb" if kind == "chdb" else "http")
    return MemoryStore() if kind == "memory" else LakeStore(folder / "lake")


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return open_store(request.param, tmp_path, request)


# One write: days from a start, a few tickers or all of them, and the value that all its rows get.
DAYS, TICKERS = 200, ["A", "B", "x' OR '1'='1"]
WRITES = st.lists(
    st.tuples(
        st.integers(0, DAYS - 1),
        st.sampled_from([1, 31, 92, DAYS]),
        st.sets(st.sampled_from(TICKERS), max_size=2),
        st.one_of(st.none(), st.floats(width=32, allow_subnormal=False)),
        st.booleans(),
    ),
    min_size=1,
    max_size=6,
)


class TestAgainstDictionary:
    @pytest.mark.parametrize("kind", STORES)
    def test_random_writes_end_as_in_a_dictionary(self, kind: str, request: pytest.FixtureRequest) -> None:
        quick = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
        n_examples = 25 if kind in ("memory", "lake") else 6
        settings(quick, max_examples=n_examples)(given(writes=WRITES)(self.check))(kind=kind, request=request)

    @staticmethod
    def check(kind: str, request: pytest.FixtureRequest, writes: list) -> None:
        model: dict = {}
        with TemporaryDirectory() as folder:
            store = open_store(kind, Path(folder), request)
            for first, days, tickers, value, empty in writes:
                part = span(JANUARY + timedelta(days=first), days, *tickers)
                rows = {} if empty else block(part.start, days, sorted(tickers or TICKERS), value=value)
                store.write(FACTOR, part, factor_rows(rows), provenance=PROVENANCE)
                model = {
                    (day, ticker): old
                    for (day, ticker), old in model.items()
                    if not (part.start <= day < part.end and (part.tickers is None or ticker in part.tickers))
                }
                model |= {k: None if v is None or math.isnan(v) else v for k, v in rows.items()}
                for asked in (EVERYTHING, part, span(JANUARY + timedelta(days=60), 40, "A", "missing")):
                    rows_there = store.read(FACTOR, asked)
                    assert as_dict(rows_there) == {
                        (day, ticker): v
                        for (day, ticker), v in sorted(model.items())
                        if (asked.start is None or asked.start <= day < asked.end)
                        and (asked.tickers is None or ticker in asked.tickers)
                    }
                    assert list(as_dict(rows_there)) == sorted(as_dict(rows_there))


class TestProperties:
    def test_partitioning_and_order_of_writes_leave_no_trace(self, store: Store) -> None:
        tickers = ["AAA", *ODD_TICKERS]
        rows = block(JANUARY, 120, tickers, value=1.5)
        store.write(FACTOR, EVERYTHING, factor_rows(rows), provenance=PROVENANCE)
        whole = checksum(store.read(FACTOR))
        by_day, by_ticker, by_month = "factors/f/by_day", "factors/f/by_ticker", "factors/f/by_month"
        for n in (*range(119, 60, -7), *(n for n in range(120) if n <= 60 or (119 - n) % 7)):
            part = span(JANUARY + timedelta(days=n), 1)
            store.write(by_day, part, factor_rows(block(part.start, 1, tickers, value=1.5)), provenance=PROVENANCE)
        for ticker in reversed(tickers):
            part = Slice(tickers=frozenset({ticker}))
            store.write(by_ticker, part, factor_rows(block(JANUARY, 120, [ticker], value=1.5)), provenance=PROVENANCE)
        for first, days in ((90, 30), (0, 31), (60, 30), (31, 29)):
            part = span(JANUARY + timedelta(days=first), days)
            store.write(by_month, part, factor_rows(block(part.start, days, tickers, value=1.5)), provenance=PROVENANCE)
        assert {checksum(store.read(name)) for name in (by_day, by_ticker, by_month)} == {whole}

    def test_same_rows_again_make_no_version(self, store: Store) -> None:
        part, rows = span(JANUARY, 3), factor_rows(block(JANUARY, 3, ["B", "A"], value=2.0))
        first = store.write(FACTOR, part, rows, provenance=PROVENANCE)
        assert store.write(FACTOR, part, rows.take([5, 0, 3, 1, 2, 4]), provenance=PROVENANCE) == first
        assert store.versions(FACTOR) == [first]
        assert first.provenance == PROVENANCE
        assert first.slice == part
        assert (first.n_rows, first.operation, first.table) == (6, "write", FACTOR)

    def test_a_smaller_slice_of_the_same_rows_makes_no_version(self, store: Store) -> None:
        rows = block(JANUARY, 5, ["A"], value=2.0)
        first = store.write(FACTOR, span(JANUARY, 5), factor_rows(rows), provenance=PROVENANCE)
        part = span(JANUARY, 1)
        assert (
            store.write(FACTOR, part, factor_rows(block(JANUARY, 1, ["A"], value=2.0)), provenance=PROVENANCE) == first
        )

    def test_missing_has_one_form_and_infinity_stays(self, store: Store) -> None:
        rows = factor_rows(dict.fromkeys([(JANUARY, t) for t in "abcd"], 0.0))
        values = pa.array([math.nan, -0.0, math.inf, None], pa.float64())
        store.write(FACTOR, EVERYTHING, rows.set_column(2, "value", values), provenance=PROVENANCE)
        stored = store.read(FACTOR)["value"].to_pylist()
        assert stored == [None, 0.0, math.inf, None]
        assert math.copysign(1, stored[1]) == 1

    def test_quotes_and_backslashes_in_every_text(self, store: Store) -> None:
        nasty = "'; DROP TABLE commits; --\\' {p0:String} `\"\n\t\x00é"
        odd = Provenance(source=nasty, run_id=nasty, code_version=nasty, inputs={nasty: nasty})
        schema = TABLES["trials"].schema
        row = trial_rows(1).to_pylist()[0]
        rows = pa.Table.from_pylist(
            [row | {f.name: nasty for f in schema if pa.types.is_string(f.type)}], schema=schema
        )
        version = store.append("trials", rows, provenance=odd)
        assert store.read("trials").to_pylist() == rows.to_pylist()
        assert store.versions("trials") == [version]
        assert version.provenance == odd
        part = span(JANUARY, 1, nasty)
        store.write(FACTOR, part, factor_rows({(JANUARY, nasty): 1.0}), provenance=PROVENANCE)
        assert store.read(FACTOR, part)["value"].to_pylist() == [1.0]

    @pytest.mark.parametrize("day", [date.min, date(1900, 1, 1), date(1969, 12, 31), date(2299, 12, 31), date.max])
    def test_dates_at_both_ends_of_time(self, store: Store, day: date) -> None:
        kept = {(JANUARY, "A"): 1.0}
        store.write(FACTOR, span(JANUARY, 1), factor_rows(kept), provenance=PROVENANCE)
        part = Slice(start=day, end=None if day == date.max else day + timedelta(days=1))
        rows = factor_rows({(day, "A"): 2.0})
        if isinstance(store, ClickHouseStore) and not date(1900, 1, 1) <= day <= date(2299, 12, 31):
            with pytest.raises(StoreError, match=f"'date' has {day}, but ClickHouse holds the years 1900 to 2299"):
                store.write(FACTOR, part, rows, provenance=PROVENANCE)
        else:
            store.write(FACTOR, part, rows, provenance=PROVENANCE)
            kept |= {(day, "A"): 2.0}
        assert as_dict(store.read(FACTOR)) == kept
        assert as_dict(store.read(FACTOR, part)) == {k: v for k, v in kept.items() if k[0] == day}

    def test_an_empty_write_deletes_and_is_a_version(self, store: Store) -> None:
        store.write(FACTOR, span(JANUARY, 5), factor_rows(block(JANUARY, 5, ["A"], value=1.0)), provenance=PROVENANCE)
        emptied = store.write(FACTOR, span(JANUARY, 2), factor_rows({}), provenance=PROVENANCE)
        assert emptied.n_rows == 0
        assert min(store.read(FACTOR)["date"].to_pylist()) == JANUARY + timedelta(days=2)
        assert store.write(FACTOR, span(JANUARY, 2), factor_rows({}), provenance=PROVENANCE) == emptied
        store.write(FACTOR, EVERYTHING, factor_rows({}), provenance=PROVENANCE)
        assert store.read(FACTOR).num_rows == 0

    def test_a_first_write_without_rows_is_known(self, store: Store) -> None:
        version = store.write(FACTOR, span(JANUARY, 5), factor_rows({}), provenance=PROVENANCE)
        assert store.latest_version(FACTOR, span(JANUARY, 1)) == version
        assert store.write(FACTOR, span(JANUARY, 5), factor_rows({}), provenance=PROVENANCE) == version

    def test_latest_version_is_of_the_slice(self, store: Store) -> None:
        january, february = span(JANUARY, 31), span(date(2020, 2, 1), 29)
        assert store.latest_version(FACTOR) is None
        first = store.write(FACTOR, january, factor_rows(block(JANUARY, 1, ["A"], value=1)), provenance=PROVENANCE)
        second = store.write(
            FACTOR, february, factor_rows(block(date(2020, 2, 3), 1, ["A"], value=1)), provenance=PROVENANCE
        )
        assert store.latest_version(FACTOR, january) == first
        assert store.latest_version(FACTOR, february) == second
        assert store.latest_version(FACTOR) == second
        assert store.latest_version(FACTOR, span(date(2021, 1, 1), 1)) is None
        assert store.versions(FACTOR) == [second, first]

    def test_as_of_a_version_and_a_time(self, store: Store) -> None:
        before = datetime.now(UTC) - timedelta(seconds=1)
        versions = [
            store.write(FACTOR, EVERYTHING, factor_rows(block(JANUARY, 1, ["A"], value=n)), provenance=PROVENANCE)
            for n in (1.0, 2.0)
        ]
        assert [as_dict(store.read(FACTOR, as_of=v.id))[JANUARY, "A"] for v in versions] == [1.0, 2.0]
        assert as_dict(store.read(FACTOR, as_of=versions[1].committed_at))[JANUARY, "A"] == 2.0
        assert store.read(FACTOR, as_of=before).num_rows == 0

    def test_columns_come_as_asked_and_rows_stay_in_order(self, store: Store) -> None:
        rows = {(JANUARY + timedelta(days=n), t): float(n) for n in (100, 2, 0) for t in "ba"}
        store.write(FACTOR, EVERYTHING, factor_rows(rows), provenance=PROVENANCE)
        got = store.read(FACTOR, columns=["value", "ticker"])
        assert got.column_names == ["value", "ticker"]
        assert got["value"].to_pylist() == [0, 0, 2, 2, 100, 100]
        assert store.read(FACTOR, columns=["value"])["value"].to_pylist() == [0, 0, 2, 2, 100, 100]

    @pytest.mark.parametrize("name", sorted(TABLES))
    def test_a_table_never_written_is_empty_with_its_types(self, store: Store, name: str) -> None:
        assert store.read(name).schema == TABLES[name].schema
        assert store.versions(name) == []
        assert store.tables() == []

    def test_tables_by_ticker_replace_one_company(self, store: Store) -> None:
        tickers = ["AAA", *ODD_TICKERS]
        store.write("price_history", EVERYTHING, history_rows(tickers, 5), provenance=PROVENANCE)
        for ticker in tickers:
            part = Slice(tickers=frozenset({ticker}))
            store.write("price_history", part, history_rows([ticker], 3, seed=1), provenance=PROVENANCE)
            assert store.read("price_history", part).equals(
                history_rows([ticker], 3, seed=1).cast(TABLES["price_history"].schema)
            )
        assert store.read("price_history").num_rows == 3 * len(tickers)
        assert store.read("price_history", Slice(end=date(2020, 1, 2))).num_rows == len(tickers)
        assert store.tables() == ["price_history"]

    def test_repeated_keys_stay_in_the_order_they_came(self, store: Store) -> None:
        rows = pa.concat_tables([history_rows(["A"], 2, seed=seed) for seed in (3, 1, 2)])
        store.write("price_history", EVERYTHING, rows, provenance=PROVENANCE)
        first = [history_rows(["A"], 2, seed=seed)["close"][0].as_py() for seed in (3, 1, 2)]
        assert store.read("price_history")["close"].to_pylist()[:3] == first

    def test_a_slice_of_3000_tickers(self, store: Store) -> None:
        tickers = [f"T{n:04d}'" for n in range(3500)]
        store.write("price_history", EVERYTHING, history_rows(tickers, 2), provenance=PROVENANCE)
        part = Slice(tickers=frozenset(tickers[:3000]))
        version = store.write("price_history", part, history_rows(tickers[:3000], 1), provenance=PROVENANCE)
        assert store.read("price_history").num_rows == 3000 + 2 * 500
        assert store.read("price_history", part).num_rows == 3000
        assert store.latest_version("price_history", part) == version

    def test_maintenance_changes_no_row_and_is_no_write(self, store: Store) -> None:
        for n in range(3):
            latest = store.write(
                FACTOR, EVERYTHING, factor_rows(block(JANUARY, 9, ["A"], value=n)), provenance=PROVENANCE
            )
        before = checksum(store.read(FACTOR))
        for keep in (timedelta(days=30), timedelta(days=1), timedelta(0)):
            store.maintain(keep=keep)
            assert checksum(store.read(FACTOR)) == before
            assert store.latest_version(FACTOR) == latest

    def test_rows_are_added_to_those_that_are_there(self, store: Store) -> None:
        first = store.append("trials", trial_rows(2), provenance=PROVENANCE)
        second = store.append("trials", trial_rows(1, 3), provenance=PROVENANCE)
        third = store.append("trials", trial_rows(1), provenance=PROVENANCE)
        assert store.read("trials")["trial_id"].to_pylist() == ["1", "1", "2", "3"], "in the order of the key"
        assert store.read("trials", as_of=first.id).num_rows == 1
        assert [v.n_rows for v in store.versions("trials")] == [1, 2, 1]
        assert (second.operation, second.slice, second.provenance) == ("append", EVERYTHING, PROVENANCE)
        assert store.latest_version("trials") == third
        assert (store.tables(), store.read("trials").schema) == (["trials"], TABLES["trials"].schema)
        store.maintain(keep=timedelta(0))
        assert store.read("trials").num_rows == 4

    def test_rows_are_added_to_a_table_by_date_too_and_replaced_after(self, store: Store) -> None:
        store.write(FACTOR, span(JANUARY, 200), factor_rows(block(JANUARY, 200, ["A"], value=1)), provenance=PROVENANCE)
        store.append(FACTOR, factor_rows(block(JANUARY, 200, ["B"], value=2)), provenance=PROVENANCE)
        assert as_dict(store.read(FACTOR)) == block(JANUARY, 200, ["A"], value=1) | block(JANUARY, 200, ["B"], value=2)
        assert store.read(FACTOR)["ticker"].to_pylist()[:2] == ["A", "B"]
        part = span(JANUARY, 200)
        store.write(FACTOR, part, factor_rows(block(JANUARY, 1, ["C"], value=3)), provenance=PROVENANCE)
        assert as_dict(store.read(FACTOR)) == {(JANUARY, "C"): 3.0}


class TestErrors:
    def test_undeclared_table(self, store: Store) -> None:
        for act in (
            lambda: store.read("price"),
            lambda: store.versions("price"),
            lambda: store.latest_version("price"),
            lambda: store.write("price", EVERYTHING, factor_rows({}), provenance=PROVENANCE),
            lambda: store.append("price", factor_rows({}), provenance=PROVENANCE),
        ):
            with pytest.raises(UnknownTableError, match="No table 'price' is declared; did you mean 'prices'"):
                act()

    def test_rows_outside_the_slice(self, store: Store) -> None:
        rows = factor_rows(block(JANUARY, 3, ["A", "B"], value=1.0))
        with pytest.raises(OutsideSliceError, match=r"replaces 2020-01-01 to 2020-01-03, but 2 of 6 rows are outside"):
            store.write(FACTOR, span(JANUARY, 2), rows, provenance=PROVENANCE)
        with pytest.raises(OutsideSliceError, match=r"3 of 6 rows are outside it, such as .*'ticker': 'B'"):
            store.write(FACTOR, span(JANUARY, 3, "A"), rows, provenance=PROVENANCE)
        assert store.tables() == []

    def test_columns_that_are_not_declared(self, store: Store) -> None:
        rows = factor_rows(block(JANUARY, 1, ["A"], value=1.0)).rename_columns(["date", "ticker", "val", "source"])
        with pytest.raises(
            SchemaMismatchError, match=r"missing: value; not declared: val; given twice: none\. Declare"
        ):
            store.write(FACTOR, EVERYTHING, rows, provenance=PROVENANCE)

    def test_rows_that_cannot_be_added(self, store: Store) -> None:
        with pytest.raises(SchemaMismatchError, match="missing: date, ticker, value; not declared: "):
            store.append(FACTOR, trial_rows(1).drop_columns(["horizon"]), provenance=PROVENANCE)
        store.append("trials", trial_rows(1), provenance=PROVENANCE)
        with pytest.raises(SourceMixedError, match="holds rows of 'sample"):
            store.append("trials", trial_rows(2), provenance=Provenance(source="files"))
        assert store.read("trials").num_rows == 1

    def test_a_text_in_a_number(self, store: Store) -> None:
        rows = factor_rows(block(JANUARY, 1, ["A"], value=1.0)).set_column(2, "value", pa.array(["n/a"]))
        with pytest.raises(SchemaMismatchError, match="column 'value' is stored as double, got string"):
            store.write(FACTOR, EVERYTHING, rows, provenance=PROVENANCE)

    def test_a_null_in_the_key(self, store: Store) -> None:
        rows = factor_rows(block(JANUARY, 1, ["A"], value=1.0)).set_column(1, "ticker", pa.nulls(1, pa.string()))
        with pytest.raises(SchemaMismatchError, match="column 'ticker' allows no null, got 1"):
            store.write(FACTOR, EVERYTHING, rows, provenance=PROVENANCE)

    def test_another_source(self, store: Store) -> None:
        rows = factor_rows(block(JANUARY, 1, ["A"], value=1.0))
        store.write(FACTOR, EVERYTHING, rows, provenance=PROVENANCE)
        with pytest.raises(
            SourceMixedError, match=r"holds rows of 'sample \(synthetic\)', .* are of 'files'; .*Set `home` to another"
        ):
            store.write(FACTOR, EVERYTHING, rows, provenance=Provenance(source="files"))

    def test_versions_that_are_not_there(self, store: Store) -> None:
        store.write(FACTOR, EVERYTHING, factor_rows(block(JANUARY, 1, ["A"], value=1.0)), provenance=PROVENANCE)
        with pytest.raises(StoreError, match="has no version '7'; the newest are 0"):
            store.read(FACTOR, as_of="7")
        with pytest.raises(StoreError, match="wants a time zone"):
            store.read(FACTOR, as_of=datetime(2020, 1, 1))  # noqa: DTZ001 the error under test

    def test_columns_and_slices_that_are_not_there(self, store: Store) -> None:
        with pytest.raises(StoreError, match="has no column 'values'; did you mean 'value'"):
            store.read(FACTOR, columns=["values"])
        with pytest.raises(StoreError, match="'factor_summary' has no dates to slice by"):
            store.read("factor_summary", span(JANUARY, 1))
        with pytest.raises(StoreError, match="wants start before end"):
            Slice(start=JANUARY, end=JANUARY)
        with pytest.raises(StoreError, match="at least one ticker"):
            Slice(tickers=frozenset())
