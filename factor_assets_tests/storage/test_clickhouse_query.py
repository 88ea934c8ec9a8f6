"""SQL over ClickHouse."""

import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from factor_assets.errors import StoreError
from factor_assets.storage.clickhouse import ClickHouseStore
from factor_assets.storage.memory import MemoryStore
from factor_assets.storage.slice import EVERYTHING
from factor_assets.storage.sql import query
from factor_assets.tables import TABLES
from factor_assets_tests.servers.clickhouse import READER, READER_PASSWORD, ClickHouseAt, new_store, shared_server
from factor_assets_tests.storage.market_rows import FACTOR, ODD_TICKERS, PROVENANCE, block, factor_rows, span

DAY = date(2020, 1, 1)


@pytest.fixture(scope="module")
def server() -> ClickHouseAt:
    return shared_server()


@pytest.fixture(scope="module")
def store() -> ClickHouseStore:
    store = new_store()
    for table, value in ((FACTOR, 1.0), ("factors/value/be_me", 2.0)):
        store.write(
            table, EVERYTHING, factor_rows(block(DAY, 100, ["A", *ODD_TICKERS], value=value)), provenance=PROVENANCE
        )
    store.write(FACTOR, span(DAY, 1), factor_rows({}), provenance=PROVENANCE)
    store.write("prices", EVERYTHING, TABLES["prices"].schema.empty_table(), provenance=PROVENANCE)
    return store


class TestAgainstRead:
    def test_a_view_has_the_live_rows(self, store: ClickHouseStore) -> None:
        sql = "SELECT date, ticker, value, source FROM factor_values WHERE factor_name = 'ret_12_1' ORDER BY 1, 2"
        rows = query(store, sql)
        assert rows.cast(store.read(FACTOR).schema).equals(store.read(FACTOR))

    def test_without_a_statement_the_tables_are_listed(self, store: ClickHouseStore) -> None:
        found = {row["table"]: row["columns"] for row in query(store).to_pylist()}
        assert {"factor_values", "prices"} <= found.keys()
        assert found["prices"].startswith("date, ticker, open, high")
        assert not any(name.startswith("rows_") for name in found)

    @pytest.mark.parametrize("ticker", ODD_TICKERS)
    def test_filters_on_odd_tickers(self, store: ClickHouseStore, ticker: str) -> None:
        quoted = ticker.replace("\\", "\\\\").replace("'", "\\'")
        sql = f"SELECT count() AS n FROM factor_values WHERE ticker = '{quoted}' AND date < '2020-01-11'"
        assert query(store, sql)["n"].to_pylist() == [19]

    @pytest.mark.parametrize(
        "sql",
        [
            "DESCRIBE prices",
            "SHOW TABLES",
            "EXPLAIN SELECT 1",
            "EXISTS prices",
            "with 1 AS x SELECT x",
            "(SELECT 1)",
            "-- first\n /* then */ SELECT 1;",
            "SELECT currentDatabase() -- last",
        ],
    )
    def test_statements_that_ask(self, store: ClickHouseStore, sql: str) -> None:
        assert query(store, sql).num_rows > 0


class TestProperties:
    def test_a_user_who_may_only_read_asks_too(self, server: ClickHouseAt, store: ClickHouseStore) -> None:
        if server.user != "writer":
            pytest.skip("the server that the environment names has no such user")
        settings = server.settings(store.database, user=READER)
        reader = ClickHouseStore(settings, password=READER_PASSWORD, chdb_path=Path("unused"))
        assert query(reader, "SELECT count() AS n FROM factor_values")["n"].to_pylist() == [2189]
        with pytest.raises(StoreError, match="only read by SQL"):
            query(reader, "DROP VIEW prices")

    def test_the_store_can_write_after_a_question(self, store: ClickHouseStore) -> None:
        query(store, "SELECT 1")
        store.write("universe", EVERYTHING, TABLES["universe"].schema.empty_table(), provenance=PROVENANCE)
        assert "universe" in store.tables()

    def test_the_embedded_engine_answers_alike_and_can_be_written_to_after(self, tmp_path: Path) -> None:
        done = subprocess.run(
            [sys.executable, "-c", _EMBEDDED, str(tmp_path)], capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines() == ["[{'n': 3}]", "refused", "refused", "refused", "[{'n': 4}]"]
        assert not (tmp_path / "out.csv").exists()


_EMBEDDED = """
import sys
from datetime import date
from pathlib import Path
from factor_assets.errors import StoreError
from factor_assets.storage.clickhouse import ClickHouseStore
from factor_assets.storage.slice import EVERYTHING
from factor_assets.storage.sql import query
from factor_assets.store_settings import ClickHouseSettings
from factor_assets_tests.storage.market_rows import FACTOR, PROVENANCE, block, factor_rows
store = ClickHouseStore(ClickHouseSettings(interface="chdb"), password="", chdb_path=Path(sys.argv[1]) / "db")
for days in (3, 4):
    rows = factor_rows(block(date(2020, 1, 1), days, ["A"], value=1.0))
    store.write(FACTOR, EVERYTHING, rows, provenance=PROVENANCE)
    print(query(store, "SELECT count() AS n FROM factor_values").to_pylist())
    if days == 3:
        for sql in (
            "WITH 1 AS x INSERT INTO commits SELECT * FROM commits",
            f"SELECT * FROM factor_values INTO OUTFILE '{sys.argv[1]}/out.csv'",
            "SELECT * FROM file('/etc/hostname', 'LineAsString')",
        ):
            try:
                print(query(store, sql))
            except StoreError:
                print("refused")
"""


class TestErrors:
    def test_an_unknown_table(self, store: ClickHouseStore) -> None:
        with pytest.raises(StoreError, match=r"'factor_vals'(.|\n)*did you mean 'factor_values'"):
            query(store, "SELECT * FROM factor_vals")

    @pytest.mark.parametrize("name", ["factors.momentum__ret_12_1", "`factors/momentum/ret_12_1`"])
    def test_a_factor_by_the_name_that_it_has_elsewhere(self, store: ClickHouseStore, name: str) -> None:
        with pytest.raises(StoreError, match="In ClickHouse all factors are in factor_values"):
            query(store, f"SELECT * FROM {name}")

    def test_bad_sql(self, store: ClickHouseStore) -> None:
        with pytest.raises(StoreError, match=r"^Syntax error(.|\n)*Tables in ClickHouse: factor_values, prices"):
            query(store, "SELECT FROM WHERE")
        with pytest.raises(StoreError, match="Unknown expression identifier `valu`"):
            query(store, "SELECT valu FROM factor_values")
        with pytest.raises(StoreError, match="Multi-statements are not allowed"):
            query(store, "SELECT 1; SELECT 2")
        for empty in ("-- nothing", "/* nothing */", ";"):
            with pytest.raises(StoreError, match="got no statement"):
                query(store, empty)

    @pytest.mark.parametrize(
        "sql",
        [
            "INSERT INTO prices SELECT * FROM prices",
            "DROP VIEW prices",
            "TRUNCATE TABLE commits",
            "CREATE TABLE t (a Int8) ENGINE = Memory",
            "ALTER TABLE rows_prices DELETE WHERE 1",
            "KILL QUERY WHERE 1",
            "SYSTEM SHUTDOWN",
            "SET readonly = 0",
            "SELECT * FROM prices INTO OUTFILE 'out.csv'",
            "SELECT 1 SETTINGS readonly = 0",
            "SELECT * FROM file('/etc/passwd', 'LineAsString')",
            "SELECT * FROM url('http://127.0.0.1:1', 'LineAsString')",
            "/* SELECT */ DELETE FROM rows_prices WHERE 1",
        ],
    )
    def test_statements_that_write_or_reach_out(self, store: ClickHouseStore, sql: str) -> None:
        before = store.tables()
        with pytest.raises(StoreError, match="ClickHouse is only read by SQL"):
            query(store, sql)
        assert store.tables() == before

    def test_a_database_that_is_not_there(self) -> None:
        empty = new_store()
        with pytest.raises(StoreError, match=rf"{empty.database}(.|\n)*none yet"):
            query(empty, "SELECT 1")

    def test_a_server_that_is_not_there(self, server: ClickHouseAt) -> None:
        settings = server.settings("any", port=1, timeout=1.0)
        with pytest.raises(StoreError, match=r"does not answer: check clickhouse.host"):
            query(ClickHouseStore(settings, password="", chdb_path=Path("unused")), "SELECT 1")

    def test_a_store_without_sql(self) -> None:
        with pytest.raises(StoreError, match="a MemoryStore has none"):
            query(MemoryStore(), "SELECT 1")
