"""ClickHouse under several processes, killed writers, a killed server, and connections that break."""

from pathlib import Path
from uuid import uuid4

import pytest

from factor_assets.storage.clickhouse_ddl import BATCH, quoted
from factor_assets.storage.slice import EVERYTHING
from factor_assets_tests.benchmarks.kill_clickhouse import opened, run, start_writer
from factor_assets_tests.servers.clickhouse import ClickHouseAt, new_store
from factor_assets_tests.servers.fault_proxy import FaultKind, FaultProxy
from factor_assets_tests.storage.lake_writer import MONTH, TICKERS
from factor_assets_tests.storage.market_rows import FACTOR, PROVENANCE, as_dict, block, factor_rows, trial_rows


class TestConcurrentWriters:
    def test_neighbouring_dates_of_one_month_and_the_same_date(self, clickhouse: ClickHouseAt) -> None:
        # The first writers race for the creation of the tables, too.
        database = f"test_{uuid4().hex}"
        writers = [start_writer(clickhouse, database, "day", 1 + 3 * n, 3) for n in range(8)]
        for writer in writers:
            writer.communicate()
        assert [writer.returncode for writer in writers] == [0] * 8
        store = opened(clickhouse, database)
        rows = as_dict(store.read(FACTOR))
        assert len(rows) == 25 * len(TICKERS)
        for day in range(1, 25):
            assert {rows[MONTH.replace(day=1 + day), ticker] for ticker in TICKERS} == {float(day)}
        assert len({rows[MONTH, ticker] for ticker in TICKERS}) == 1
        versions = store.versions(FACTOR)
        assert sorted(int(v.id) for v in versions) == list(range(32))
        times = [v.committed_at for v in versions]
        assert times == sorted(times, reverse=True)
        assert len(set(times)) == 32

    def test_no_trial_is_lost_when_four_processes_record_ten_each(self, clickhouse: ClickHouseAt) -> None:
        database = f"test_{uuid4().hex}"
        writers = [start_writer(clickhouse, database, "append", 10 * n, 10) for n in range(4)]
        for writer in writers:
            writer.communicate()
        assert [writer.returncode for writer in writers] == [0] * 4
        store = opened(clickhouse, database)
        assert sorted(map(int, store.read("trials")["trial_id"].to_pylist())) == list(range(40))


class TestBrokenConnections:
    @pytest.mark.parametrize("fault", ["drop before", "drop after", "truncate", "500", "503"])
    @pytest.mark.parametrize("statement", ["rows_", "commits"])
    def test_nothing_is_doubled_when_an_insert_loses_its_answer(
        self, clickhouse_proxy: FaultProxy, fault: FaultKind, statement: str
    ) -> None:
        store = new_store(proxy=clickhouse_proxy)
        store.append("trials", trial_rows(1), provenance=PROVENANCE)
        clickhouse_proxy.fail(fault, fault, only=f"INSERT.INTO.*{statement}")
        store.append("trials", trial_rows(2), provenance=PROVENANCE)
        # The answer to an insert has no body, so that nothing of it is lost by cutting it.
        assert clickhouse_proxy.happened[fault] == (1 if fault == "truncate" else 2)
        assert store.read("trials")["trial_id"].to_pylist() == ["1", "2"]
        assert len(store.versions("trials")) == 2

    def test_what_a_lost_insert_left_is_never_seen(self, clickhouse_proxy: FaultProxy) -> None:
        store = new_store(proxy=clickhouse_proxy)
        rows = factor_rows(block(MONTH, 5, TICKERS, value=1.0))
        store.write(FACTOR, EVERYTHING, rows, provenance=PROVENANCE)
        clickhouse_proxy.fail("drop after", only="INSERT.INTO.*rows_")
        store.write(FACTOR, EVERYTHING, factor_rows(block(MONTH, 5, TICKERS, value=2.0)), provenance=PROVENANCE)
        there = quoted(store.database, "rows_factor_values")
        n = store.query(f"SELECT count() AS n, uniq({BATCH}) AS b FROM {there}").to_pylist()[0]
        assert n == {"n": 300, "b": 3}, "the lost batch is there"
        assert set(as_dict(store.read(FACTOR)).values()) == {2.0}
        view = quoted(store.database, "factor_values")
        assert store.query(f"SELECT value FROM {view}")["value"].to_pylist() == [2.0] * 100


class TestKills:
    @pytest.mark.parametrize("kills", [3, pytest.param(25, marks=pytest.mark.slow)])
    def test_readers_see_all_or_nothing_and_the_next_run_repairs(self, tmp_path: Path, kills: int) -> None:
        pytest.importorskip("chdb")
        counts = run(tmp_path, kills=kills)
        assert not counts.wrong
        assert (counts.writer_kills, counts.server_kills) == (kills, kills)
        assert counts.reads > 10 * kills
        assert len(counts.generations) > kills / 3
