"""The store on two shards: two real servers under real Distributed tables.

There is no Keeper here, so that replicated tables are plain ones and what is made ON CLUSTER is made on each server by
hand; the commits are then on the first server only, as if the second one were always behind.
"""

import re
import signal
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from factor_assets.errors import StoreError
from factor_assets.storage import clickhouse_database, clickhouse_where
from factor_assets.storage.clickhouse import ClickHouseStore
from factor_assets.storage.clickhouse_client import Connection
from factor_assets.storage.clickhouse_ddl import quoted
from factor_assets.storage.slice import EVERYTHING
from factor_assets_tests.servers.clickhouse import ClickHouseServer
from factor_assets_tests.servers.postgres import free_port
from factor_assets_tests.storage.market_rows import (
    FACTOR,
    PROVENANCE,
    SOURCE,
    as_dict,
    block,
    factor_rows,
    span,
    trial_rows,
)

JANUARY = date(2020, 1, 1)
TICKERS = [f"T{n:02d}" for n in range(40)]
REPLICATED = re.compile(r"ReplicatedMergeTree\([^)]*\)")


def alone(statement: str) -> str:
    """Return a statement of a cluster as one server without Keeper takes it."""
    plain = REPLICATED.sub("MergeTree", statement).replace(" ON CLUSTER `prod`", "")
    plain = re.sub(r", replicated_deduplication_window_seconds = \d+", "", plain)
    return plain.replace("SETTINGS replicated_dedup", "SETTINGS non_replicated_dedup")


@pytest.fixture
def shards(tmp_path: Path) -> Iterator[list[ClickHouseServer]]:
    pytest.importorskip("chdb", reason="chdb is not installed, whose engine serves as the ClickHouse server")
    ports = [free_port(), free_port()]
    hosts = "".join(f"<shard><replica><host>127.0.0.1</host><port>{port}</port></replica></shard>" for port in ports)
    servers = []
    for n, port in enumerate(ports):
        server = ClickHouseServer(tmp_path / f"shard{n}")
        config = server.folder / "config.xml"
        text = re.sub(r"<tcp_port>\d+</tcp_port>", f"<tcp_port>{port}</tcp_port>", config.read_text())
        cluster = f"<remote_servers><prod>{hosts}</prod></remote_servers></clickhouse>"
        config.write_text(text.replace("</clickhouse>", cluster))
        server.start()
        servers.append(server)
    yield servers
    for server in servers:
        server.end(signal.SIGKILL)


@pytest.fixture
def store(shards: list[ClickHouseServer], monkeypatch: pytest.MonkeyPatch) -> ClickHouseStore:
    def opened(server: ClickHouseServer) -> ClickHouseStore:
        settings = server.settings("d", cluster="prod")
        return ClickHouseStore(settings, password=server.password, chdb_path=Path("unused"))

    first, second = map(opened, shards)
    command = Connection.command

    def on_both(self: Connection, sql: str, parameters: dict | None = None) -> None:
        command(self, alone(sql), parameters)
        if sql.startswith(("CREATE", "ALTER", "DROP")):
            command(second.connection, alone(sql), parameters)

    monkeypatch.setattr(Connection, "command", on_both)
    monkeypatch.setattr(clickhouse_database, "_PATIENCE_S", 1.0)
    return first


def viewed(store: ClickHouseStore) -> dict:
    view = quoted(store.database, "factor_values")
    return as_dict(store.query(f"SELECT date, ticker, value FROM {view} ORDER BY date, ticker"))


class TestAgainstDictionary:
    @pytest.mark.parametrize("few", [0, 30])
    def test_rows_on_two_shards(self, store: ClickHouseStore, monkeypatch: pytest.MonkeyPatch, few: int) -> None:
        monkeypatch.setattr(clickhouse_where, "FEW_PARTS", few)
        monkeypatch.setattr(clickhouse_where, "FEW_BATCHES", few)
        model = block(JANUARY, 9, TICKERS, value=0.0)
        store.write(FACTOR, EVERYTHING, factor_rows(model), provenance=PROVENANCE)
        for n, tickers in ((1, ()), (4, TICKERS[:7]), (6, ())):
            part = span(JANUARY + timedelta(days=n), 2, *tickers)
            rows = block(part.start, 2, list(tickers or TICKERS), value=float(n))
            store.write(FACTOR, part, factor_rows(rows), provenance=PROVENANCE)
            model |= rows
            # At once, not when a server gets round to passing rows on.
            assert as_dict(store.read(FACTOR)) == model
            assert viewed(store) == model
        counts = [
            store.query(f"SELECT count() AS n FROM {table}")["n"][0].as_py()
            for table in ("d.rows_factor_values", "d.local_rows_factor_values")
        ]
        assert 0 < counts[1] < counts[0]


class TestProperties:
    def test_ledgers_libraries_and_maintenance(self, store: ClickHouseStore) -> None:
        store.append("trials", trial_rows(1, 2), provenance=PROVENANCE)
        store.append("trials", trial_rows(3), provenance=PROVENANCE)
        assert store.read("trials").num_rows == 3
        for name in ("mine", "mine_local"):
            rows = pa.table({"date": [JANUARY], "ticker": ["A"], name: [1.0], "source": [SOURCE]})
            store.write(f"libraries/{name}", EVERYTHING, rows, provenance=PROVENANCE)
        for value in (1.0, 2.0):
            rows = factor_rows(block(JANUARY, 2, TICKERS, value=value))
            store.write(FACTOR, EVERYTHING, rows, provenance=PROVENANCE)
        done = {each.table: each for each in store.maintain(keep=timedelta(0))}
        assert done["factor_values"].files_deleted == 1
        assert set(as_dict(store.read(FACTOR)).values()) == {2.0}
        for name in ("mine", "mine_local"):
            assert store.read(f"libraries/{name}")[name].to_pylist() == [1.0]


class TestErrors:
    def test_a_shard_that_is_down(self, store: ClickHouseStore, shards: list[ClickHouseServer]) -> None:
        old = block(JANUARY, 3, TICKERS, value=1.0)
        store.write(FACTOR, EVERYTHING, factor_rows(old), provenance=PROVENANCE)
        shards[1].end(signal.SIGKILL)
        new = factor_rows(block(JANUARY, 3, TICKERS, value=2.0))
        with pytest.raises(StoreError):
            store.write(FACTOR, EVERYTHING, new, provenance=PROVENANCE)
        with pytest.raises(StoreError):
            store.read(FACTOR)
        shards[1].start()
        assert as_dict(store.read(FACTOR)) == old
        store.write(FACTOR, EVERYTHING, new, provenance=PROVENANCE)
        assert set(as_dict(store.read(FACTOR)).values()) == {2.0}
