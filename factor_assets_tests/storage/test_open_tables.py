"""Tables whose columns are those that were ever written: libraries of factors, on every store."""

from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from factor_assets.errors import SchemaMismatchError, StoreError, UnknownTableError
from factor_assets.storage.lake import LakeStore
from factor_assets.storage.query import query
from factor_assets.storage.slice import EVERYTHING, Slice
from factor_assets.storage.store import Store
from factor_assets.tables import table
from factor_assets_tests.storage.market_rows import PROVENANCE, SOURCE
from factor_assets_tests.storage.test_every_store import STORES, open_store

NAME = "libraries/mine"
JANUARY, FEBRUARY = date(2020, 1, 15), date(2020, 2, 14)


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return open_store(request.param, tmp_path, request)


def rows(day: date, **values: float | None) -> pa.Table:
    """One row with a column a value."""
    numbers = {name: pa.array([value], pa.float64()) for name, value in values.items()}
    return pa.table({"date": [day], "ticker": ["A"], **numbers, "source": [SOURCE]})


def month(day: date) -> Slice:
    return Slice(start=day.replace(day=1), end=day.replace(month=day.month + 1, day=1))


def write(store: Store, day: date, **values: float | None) -> str:
    return store.write(NAME, month(day), rows(day, **values), provenance=PROVENANCE).id


class TestAgainstWhatWasWritten:
    def test_columns_come_with_the_rows(self, store: Store) -> None:
        write(store, JANUARY, first=1.0, second=float("nan"))
        found = store.read(NAME)
        assert found.column_names == ["date", "ticker", "first", "second", "source"]
        assert found.to_pylist() == rows(JANUARY, first=1.0, second=None).to_pylist()
        assert store.read(NAME, columns=["second", "first"]).to_pylist() == [{"second": None, "first": 1.0}]
        assert store.tables() == [NAME]

    def test_a_column_that_comes_later_is_null_before(self, store: Store) -> None:
        before = write(store, JANUARY, first=1.0)
        write(store, FEBRUARY, first=2.0, second=3.0)
        assert store.read(NAME, columns=["date", "first", "second"]).to_pylist() == [
            {"date": JANUARY, "first": 1.0, "second": None},
            {"date": FEBRUARY, "first": 2.0, "second": 3.0},
        ]
        assert store.read(NAME, as_of=before).column_names == ["date", "ticker", "first", "source"]

    def test_rows_that_are_added_bring_columns_and_may_lack_some(self, store: Store) -> None:
        write(store, JANUARY, first=1.0)
        store.append(NAME, rows(FEBRUARY, second=3.0), provenance=PROVENANCE)
        assert store.read(NAME, columns=["first", "second"]).to_pylist() == [
            {"first": 1.0, "second": None},
            {"first": None, "second": 3.0},
        ]

    def test_a_column_that_goes_is_null_where_it_went(self, store: Store) -> None:
        write(store, JANUARY, first=1.0, second=5.0)
        write(store, FEBRUARY, first=2.0)
        write(store, JANUARY, second=6.0)
        assert store.read(NAME, columns=["first", "second"]).to_pylist() == [
            {"first": None, "second": 6.0},
            {"first": 2.0, "second": None},
        ]

    def test_sql_has_a_view(self, tmp_path: Path) -> None:
        store = LakeStore(tmp_path)
        write(store, JANUARY, first=1.0)
        assert query(store, "SELECT first FROM libraries.mine").to_pylist() == [{"first": 1.0}]


class TestProperties:
    def test_the_same_rows_make_no_new_version(self, store: Store) -> None:
        first = write(store, JANUARY, first=1.0, second=None)
        assert write(store, JANUARY, first=1.0, second=None) == first
        second = write(store, FEBRUARY, first=2.0)
        assert write(store, FEBRUARY, first=2.0) == second
        assert write(store, JANUARY, first=1.0, second=None) == first

    def test_what_was_never_written_is_empty(self, store: Store) -> None:
        assert store.read(NAME).column_names == ["date", "ticker", "source"]
        assert store.read(NAME, columns=["anything"]).num_rows == 0

    def test_numbers_are_stored_compressed_without_a_dictionary(self, tmp_path: Path) -> None:
        import pyarrow.parquet as pq

        store = LakeStore(tmp_path)
        write(store, JANUARY, first=1.0)
        (file,) = DeltaTable(store.location(NAME)).file_uris()
        group = pq.ParquetFile(file).metadata.row_group(0)
        found = {group.column(i).path_in_schema: group.column(i) for i in range(group.num_columns)}
        assert {column.compression for column in found.values()} == {"SNAPPY"}
        assert "RLE_DICTIONARY" in found["ticker"].encodings
        assert "RLE_DICTIONARY" not in found["first"].encodings


class TestErrors:
    def test_a_column_that_nobody_wrote(self, store: Store) -> None:
        write(store, JANUARY, first=1.0)
        with pytest.raises(StoreError, match="Table 'libraries/mine' has no column 'fist'; did you mean 'first'"):
            store.read(NAME, columns=["fist"])

    def test_a_column_of_text(self, store: Store) -> None:
        wrong = rows(JANUARY).append_column("first", pa.array(["x"]))
        with pytest.raises(SchemaMismatchError, match="column 'first' is stored as double, got string"):
            store.write(NAME, EVERYTHING, wrong, provenance=PROVENANCE)

    def test_names_that_are_no_table(self) -> None:
        for name in ("libraries/", "libraries/a/b", "library/a"):
            with pytest.raises(UnknownTableError):
                table(name)

    def test_other_tables_stay_closed(self, store: Store) -> None:
        extra = rows(JANUARY, value=1.0, more=2.0)
        with pytest.raises(SchemaMismatchError, match="not declared: more"):
            store.write("factors/momentum/ret_12_1", EVERYTHING, extra, provenance=PROVENANCE)
