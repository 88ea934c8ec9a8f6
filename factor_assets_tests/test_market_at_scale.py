"""The whole graph with its tables in ClickHouse and its documents in a bucket gives what it gives in folders.

The runs are queued at the webserver and launched by the daemon, as the server's services of docker-compose.yml do it;
each step of them is a process of its own.
"""

from pathlib import Path

import pytest

from factor_assets.defs.automation import RANGE_END, RANGE_START
from factor_assets.defs.partitions import dates
from factor_assets_tests.market import Graph, small_settings
from factor_assets_tests.servers.clickhouse import ClickHouseAt
from factor_assets_tests.servers.composed import ADD, REPOSITORY, composed, ended, is_loaded, launch, wait_for
from factor_assets_tests.servers.s3 import REGION

LONGEST_RUN_S = 300


class TestAgainstTheFolder:
    @pytest.mark.slow
    def test_every_table_has_the_same_checksum_and_a_second_run_changes_nothing(
        self, tmp_path: Path, clickhouse: ClickHouseAt, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = Graph(small_settings(tmp_path / "folder"))
        folder.run()
        tickers = sorted(folder.instance.get_dynamic_partitions("tickers"))
        months = dates(folder.settings).get_partition_keys()
        by_ticker = {RANGE_START: tickers[0], RANGE_END: tickers[-1]}
        with composed(tmp_path, clickhouse) as (server, _):
            with server.started("code"), server.started("webserver"), server.started("daemon"):
                assert wait_for(lambda: is_loaded(server))
                for ticker in tickers:
                    server.ask(ADD, repository=REPOSITORY, name="tickers", key=ticker)
                for job, tags in (
                    ("load_prices", by_ticker),
                    ("daily", {RANGE_START: months[0], RANGE_END: months[-1]}),
                    ("details", by_ticker),
                    ("report", {}),
                ):
                    run = ended(server, launch(server, tags, job=job), longest_s=LONGEST_RUN_S)
                    assert run["status"] == "SUCCESS", job
            for name in ("CLICKHOUSE_PASSWORD", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
                monkeypatch.setenv(name, server.changes[name])
            scale = Graph(
                small_settings(
                    tmp_path / "scale",
                    profile="scale",
                    clickhouse={
                        "host": clickhouse.host,
                        "port": clickhouse.port,
                        "user": clickhouse.user,
                        "database": server.changes["FACTOR_ASSETS_CLICKHOUSE__DATABASE"],
                    },
                    documents={"path": "s3://factor-assets/documents"},
                    s3={"endpoint": server.changes["FACTOR_ASSETS_S3__ENDPOINT"], "region": REGION},
                )
            )
            found = scale.checksums()
            assert found == folder.checksums()
            assert len(found) > 20
            store = scale.workspace.store
            versions = {table: store.versions(table)[0].id for table in found}
            scale.run()
            assert scale.checksums() == found
            assert {table: store.versions(table)[0].id for table in found} == versions
            for home in (server.home, tmp_path / "scale"):
                assert not (home / "lake").exists()
        for graph in (folder, scale):
            graph.instance.dispose()
