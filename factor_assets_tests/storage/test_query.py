"""SQL over the lake."""

from datetime import date
from pathlib import Path

import pytest

from factor_assets.errors import StoreError
from factor_assets.storage.lake import LakeStore
from factor_assets.storage.query import LIST_TABLES, connect, query
from factor_assets.storage.slice import EVERYTHING
from factor_assets.tables import TABLES
from factor_assets_tests.storage.market_rows import FACTOR, ODD_TICKERS, PROVENANCE, block, factor_rows

DAY = date(2020, 1, 1)


@pytest.fixture
def store(tmp_path: Path) -> LakeStore:
    store = LakeStore(tmp_path / "lake")
    for table, value in ((FACTOR, 1.0), ("factors/value/be_me", 2.0)):
        store.write(
            table, EVERYTHING, factor_rows(block(DAY, 100, ["A", *ODD_TICKERS], value=value)), provenance=PROVENANCE
        )
    store.write("prices", EVERYTHING, TABLES["prices"].schema.empty_table(), provenance=PROVENANCE)
    return store


class TestAgainstRead:
    def test_a_view_has_the_declared_columns_and_the_rows(self, store: LakeStore) -> None:
        rows = query(store, "SELECT * FROM factors.momentum__ret_12_1 ORDER BY date, ticker")
        assert rows.cast(store.read(FACTOR).schema).equals(store.read(FACTOR))
        assert query(store, "SELECT * FROM prices").column_names == list(TABLES["prices"].column_names)

    def test_the_long_view_has_every_factor(self, store: LakeStore) -> None:
        sql = "SELECT factor_type, factor_name, count(*) AS n, sum(value) AS total FROM factor_values"
        sql += " GROUP BY ALL ORDER BY 1"
        n = 100 * (1 + len(ODD_TICKERS))
        assert query(store, sql).to_pylist() == [
            {"factor_type": "momentum", "factor_name": "ret_12_1", "n": n, "total": 1.0 * n},
            {"factor_type": "value", "factor_name": "be_me", "n": n, "total": 2.0 * n},
        ]
        assert query(store, "SELECT * FROM factor_values LIMIT 0").column_names == (
            ["factor_type", "factor_name", "ticker", "date", "value", "source"]
        )

    @pytest.mark.parametrize("ticker", ODD_TICKERS)
    def test_filters_on_odd_tickers(self, store: LakeStore, ticker: str) -> None:
        quoted = ticker.replace("'", "''")
        sql = f"SELECT count(*) AS n FROM factor_values WHERE ticker = '{quoted}' AND date < DATE '2020-01-11'"
        assert query(store, sql)["n"].to_pylist() == [20]

    @pytest.mark.parametrize(
        "sql", ["DESCRIBE prices", "SHOW ALL TABLES", "EXPLAIN SELECT 1", "SUMMARIZE factor_values"]
    )
    def test_statements_that_describe(self, store: LakeStore, sql: str) -> None:
        assert query(store, sql).num_rows > 0


class TestProperties:
    def test_an_empty_lake(self, tmp_path: Path) -> None:
        assert query(LakeStore(tmp_path), "SELECT 1 AS one")["one"].to_pylist() == [1]
        for sql in ("SELECT * FROM prices", "SELEC 1"):
            with pytest.raises(StoreError, match="The lake has no table yet; materialise assets first"):
                query(LakeStore(tmp_path), sql)

    def test_a_connection_is_ordinary_duckdb(self, store: LakeStore) -> None:
        with connect(store) as connection:
            assert connection.sql("SELECT max(date) FROM factors.value__be_me").fetchall() == [(date(2020, 4, 9),)]

    def test_a_stray_folder_is_no_table(self, store: LakeStore) -> None:
        held = store.tables()
        for name in ("factors/x/y.z", "libraries/a b"):
            log = Path(store.root) / name / "_delta_log"
            log.mkdir(parents=True)
            (log / f"{0:020}.json").write_text("{}")
        assert store.tables() == held
        assert query(store, "SELECT 1 AS one")["one"].to_pylist() == [1]

    def test_a_family_of_any_name_is_listed(self, store: LakeStore) -> None:
        store.write("factors/scan_5/x", EVERYTHING, factor_rows({}), provenance=PROVENANCE)
        assert "factors.scan_5__x" in query(store, LIST_TABLES)["table"].to_pylist()

    @pytest.mark.parametrize("names", [("a__b/c", "a/b__c"), ("a/up", "a/UP")])
    def test_two_factors_of_one_view_name_hide_nothing_else(self, store: LakeStore, names: tuple[str, str]) -> None:
        for value, name in enumerate(names):
            rows = factor_rows({(DAY, "A"): float(value)})
            store.write(f"factors/{name}", EVERYTHING, rows, provenance=PROVENANCE)
        assert query(store, "SELECT count(*) AS n FROM factors.value__be_me")["n"].to_pylist() == [1100]
        for value, name in enumerate(names):
            family, factor = name.split("/")
            sql = f"SELECT value FROM factor_values WHERE factor_type = '{family}' AND factor_name = '{factor}'"
            assert query(store, sql)["value"].to_pylist() == [value]
        view = f"factors.{names[0].replace('/', '__')}"
        with pytest.raises(
            StoreError, match=r"factors/.* and factors/.* would all be the view .*Ask factor_values WHERE"
        ):
            query(store, f"SELECT * FROM {view}")


class TestErrors:
    def test_an_unknown_table(self, store: LakeStore) -> None:
        with pytest.raises(StoreError, match=r"factor_vals does not exist! .*did you mean 'factor_values'"):
            query(store, "SELECT * FROM factor_vals")

    def test_bad_sql(self, store: LakeStore) -> None:
        with pytest.raises(
            StoreError, match=r"syntax error(.|\n)*Tables in the lake: factors.momentum__ret_12_1, .*prices"
        ):
            query(store, "SELEC 1")
        with pytest.raises(StoreError, match='"valu" not found'):
            query(store, "SELECT valu FROM factor_values")
        with pytest.raises(StoreError, match="Give one SQL statement; got 2"):
            query(store, "SELECT 1; SELECT 2")

    @pytest.mark.parametrize(
        "sql",
        [
            "INSERT INTO prices SELECT * FROM prices",
            "DROP VIEW prices",
            "CREATE TABLE t AS SELECT 1",
            "COPY prices TO 'out.csv'",
            "SET threads = 1",
            "ATTACH 'other.db'",
        ],
    )
    def test_statements_that_write(self, store: LakeStore, sql: str) -> None:
        with pytest.raises(StoreError, match=r"The lake is only read by SQL; got [A-Z_]+. Ask with SELECT"):
            query(store, sql)

    def test_files_and_variables_are_out_of_reach(self, store: LakeStore, tmp_path: Path) -> None:
        secret = tmp_path / "secret.csv"
        secret.write_text("a\n1\n")
        with pytest.raises(StoreError, match="disabled by configuration"):
            query(store, f"SELECT * FROM read_csv('{secret}')")
        with pytest.raises(StoreError, match="does not exist"):
            query(store, "SELECT * FROM store")
