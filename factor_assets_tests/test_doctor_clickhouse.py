"""What `doctor` finds of ClickHouse."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from factor_assets import doctor_clickhouse
from factor_assets.defs.place import examine_place
from factor_assets.doctor import examine
from factor_assets.doctor_clickhouse import examine_clickhouse
from factor_assets.errors import StoreError
from factor_assets.examined import Examined
from factor_assets.settings import Settings
from factor_assets.storage.clickhouse import ClickHouseStore
from factor_assets.storage.clickhouse_client import Connection
from factor_assets.storage.slice import EVERYTHING
from factor_assets.tables import TABLES
from factor_assets_tests.market import small_settings
from factor_assets_tests.servers.clickhouse import READER, READER_PASSWORD, new_store, shared_server
from factor_assets_tests.storage.market_rows import PROVENANCE


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> ClickHouseStore:
    monkeypatch.setenv("CLICKHOUSE_PASSWORD", shared_server().password)
    return new_store()


def settings_of(store: ClickHouseStore, home: Path, **changes: object) -> Settings:
    at = shared_server().settings(store.database, **changes)
    chosen = small_settings(home).model_dump() | {"store": {"kind": "clickhouse"}, "clickhouse": at.model_dump()}
    return Settings.model_validate(chosen)


def looked_at(store: ClickHouseStore, home: Path, **changes: object) -> dict[str, Examined]:
    return {finding.check: finding for finding in examine_clickhouse(settings_of(store, home, **changes))}


class TestProperties:
    def test_a_server_that_is_well(self, store: ClickHouseStore, tmp_path: Path) -> None:
        found = looked_at(store, tmp_path)
        assert list(found) == ["clickhouse", "clickhouse clock", "clickhouse permissions", "clickhouse disk"]
        assert all(finding.ok and not finding.advice for finding in found.values())
        assert "version 2" in found["clickhouse"].found
        assert "which the first write will create" in found["clickhouse permissions"].found

    def test_it_leaves_nothing_behind(self, store: ClickHouseStore, tmp_path: Path) -> None:
        databases = "SELECT count() AS n FROM system.databases WHERE name = {name:String}"
        tables = "SELECT name FROM system.tables WHERE database = {name:String} ORDER BY name"
        looked_at(store, tmp_path)
        assert store.query(databases, {"name": store.database})["n"].to_pylist() == [0]
        store.write("prices", EVERYTHING, TABLES["prices"].schema.empty_table(), provenance=PROVENANCE)
        before = store.query(tables, {"name": store.database})
        assert looked_at(store, tmp_path)["clickhouse permissions"].found.endswith(f"in {store.database!r}")
        assert store.query(tables, {"name": store.database}) == before
        assert store.tables() == ["prices"]

    @pytest.mark.parametrize("refused", ["ADD COLUMN", "DELETE WHERE", "CREATE OR REPLACE VIEW", "INSERT"])
    def test_a_step_that_is_refused_leaves_nothing_behind(
        self, store: ClickHouseStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: str
    ) -> None:
        told = {"ADD COLUMN": "add a column", "DELETE WHERE": "delete rows", "INSERT": "insert"}
        asked = Connection.command

        def refusing(self: Connection, sql: str, parameters: dict | None = None) -> None:
            if refused in sql:
                raise StoreError("not allowed")
            asked(self, sql, parameters)

        def no_insert(self: Connection, table: str, rows: pa.Table) -> int:
            raise StoreError("not allowed")

        store.write("prices", EVERYTHING, TABLES["prices"].schema.empty_table(), provenance=PROVENANCE)
        monkeypatch.setattr(Connection, "command", refusing)
        if refused == "INSERT":
            monkeypatch.setattr(Connection, "insert_arrow", no_insert)
        found = looked_at(store, tmp_path)["clickhouse permissions"]
        assert found.found == f"cannot {told.get(refused, 'create a view')} in {store.database!r}: not allowed"
        left = "SELECT name FROM system.tables WHERE database = {name:String} AND name LIKE 'doctor%'"
        assert store.query(left, {"name": store.database}).num_rows == 0

    def test_a_lake_is_none_of_its_business(self, tmp_path: Path) -> None:
        assert list(examine_clickhouse(small_settings(tmp_path))) == []


class TestErrors:
    def test_nobody_answers(self, store: ClickHouseStore, tmp_path: Path) -> None:
        (found,) = looked_at(store, tmp_path, host="no-such-host.invalid").values()
        assert not found.ok
        assert "no host 'no-such-host.invalid' is known; check clickhouse.host" in found.found

    def test_a_wrong_password(self, store: ClickHouseStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CLICKHOUSE_PASSWORD", "not this one")
        (found,) = looked_at(store, tmp_path).values()
        assert "check clickhouse.user and the variable CLICKHOUSE_PASSWORD" in found.found
        assert "not this one" not in found.found
        assert found.advice == ""

    def test_a_password_that_is_not_set(
        self, store: ClickHouseStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("CLICKHOUSE_PASSWORD")
        (found,) = looked_at(store, tmp_path).values()
        assert found.advice == "The variable CLICKHOUSE_PASSWORD is not set here"

    def test_a_fault_is_said_once(self, store: ClickHouseStore, tmp_path: Path) -> None:
        settings = settings_of(store, tmp_path, host="no-such-host.invalid")
        wrong = [finding.check for finding in [*examine(settings), *examine_place(settings)] if not finding.ok]
        assert wrong == ["clickhouse"]

    def test_a_user_who_may_only_read(
        self, store: ClickHouseStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if shared_server().user != "writer":
            pytest.skip("the server that the environment names has no such user")
        store.write("prices", EVERYTHING, TABLES["prices"].schema.empty_table(), provenance=PROVENANCE)
        monkeypatch.setenv("CLICKHOUSE_PASSWORD", READER_PASSWORD)
        found = looked_at(store, tmp_path, user=READER)
        assert [check for check, finding in found.items() if not finding.ok] == ["clickhouse permissions"]
        assert "cannot create a table in" in found["clickhouse permissions"].found
        assert "may only read" in found["clickhouse permissions"].found

    def test_an_old_server_and_a_clock_an_hour_off(
        self, store: ClickHouseStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(doctor_clickhouse, "_OLDEST", (99, 1))
        asked = ClickHouseStore.query

        def an_hour_later(self: ClickHouseStore, sql: str, parameters: dict | None = None) -> pa.Table:
            if "now64" not in sql:
                return asked(self, sql, parameters)
            return pa.table({"version": ["25.8.1.1"], "now": [datetime.now(UTC) + timedelta(hours=1)]})

        monkeypatch.setattr(ClickHouseStore, "query", an_hour_later)
        found = looked_at(store, tmp_path)
        assert "upgrade the server" in found["clickhouse"].advice
        assert found["clickhouse clock"].found.startswith("3600")
        assert "ahead of" in found["clickhouse clock"].found
        assert "let both machines keep time" in found["clickhouse clock"].advice

    def test_a_full_disk(self, store: ClickHouseStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(doctor_clickhouse, "_LOW_DISK_BYTES", 10**18)
        found = looked_at(store, tmp_path)["clickhouse disk"]
        assert not found.ok
        assert "free some space there" in found.advice

    def test_an_unknown_cluster(self, store: ClickHouseStore, tmp_path: Path) -> None:
        found = looked_at(store, tmp_path, cluster="no such")
        assert "correct or unset clickhouse.cluster" in found["clickhouse cluster"].advice
