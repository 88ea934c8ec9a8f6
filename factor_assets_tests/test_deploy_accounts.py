"""The account `bi` of deploy/clickhouse_users.xml on a real server: it reads the views of one database, and no more.

What does not belong here: what the compose file says (`test_deploy.py`).
"""

import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from factor_assets.errors import StoreError
from factor_assets.storage.clickhouse import ClickHouseStore
from factor_assets.storage.slice import EVERYTHING
from factor_assets_tests.servers.clickhouse import ClickHouseServer
from factor_assets_tests.servers.composed import DEPLOY, SERVICES
from factor_assets_tests.storage.market_rows import PROVENANCE, factor_rows

FACTOR = "factors/momentum/ret_12_1"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseServer]:
    """A server with the file and the variables of the compose file, and a table in its database and in another."""
    pytest.importorskip("chdb", reason="chdb is not installed, whose engine serves as the ClickHouse server")
    folder = tmp_path_factory.mktemp("accounts")
    (folder / "users.d").mkdir()
    shutil.copy(DEPLOY / "clickhouse_users.xml", folder / "users.d" / "bi.xml")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SERVICES["clickhouse"]["environment"].items():
            patch.setenv(name, value)
        with ClickHouseServer(folder) as started:
            for database in ("factor_assets", "others"):
                store = opened(started, database=database)
                store.write(FACTOR, EVERYTHING, factor_rows({(date(2024, 1, 2), "A"): 1.0}), provenance=PROVENANCE)
                store.close()
            yield started


def opened(server: ClickHouseServer, *, user: str = "", password: str = "", database: str) -> ClickHouseStore:
    return ClickHouseStore(
        server.settings(database, user=user or server.user), password=password or server.password, chdb_path=Path()
    )


@pytest.fixture
def bi(server: ClickHouseServer) -> Iterator[ClickHouseStore]:
    password = SERVICES["clickhouse"]["environment"]["CLICKHOUSE_BI_PASSWORD"]
    store = opened(server, user="bi", password=password, database="factor_assets")
    yield store
    store.close()


class TestAgainstClickHouse:
    def test_it_reads_a_view(self, bi: ClickHouseStore) -> None:
        found = bi.query("SELECT factor_name, count() AS n FROM factor_assets.factor_values GROUP BY factor_name")
        assert found["factor_name"].to_pylist() == ["ret_12_1"]
        assert found["n"][0].as_py() > 0


class TestErrors:
    @pytest.mark.parametrize(
        "statement",
        [
            "DROP TABLE factor_assets.rows_factor_values",
            "ALTER TABLE factor_assets.rows_factor_values DELETE WHERE 1",
            "INSERT INTO factor_assets.commits (table_name) VALUES ('x')",
            "CREATE TABLE factor_assets.mine (a Int64) ENGINE = Memory",
            "CREATE USER another",
        ],
    )
    def test_it_changes_nothing(self, bi: ClickHouseStore, statement: str) -> None:
        with pytest.raises(StoreError, match=r"may only read|privileges|readonly"):
            bi.connection.command(statement)

    def test_it_reads_no_other_database(self, bi: ClickHouseStore) -> None:
        with pytest.raises(StoreError, match=r"privileges|may not|refused"):
            bi.query("SELECT * FROM others.factor_values")

    def test_a_wrong_password_is_refused(self, server: ClickHouseServer) -> None:
        store = opened(server, user="bi", password="guessed", database="factor_assets")
        with pytest.raises(StoreError, match="CLICKHOUSE_PASSWORD"):
            store.query("SELECT 1")
