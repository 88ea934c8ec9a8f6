"""Every command of docker-compose.yml runs here without an engine: its services start, are well, work and stop.

What does not belong here: what the files say (`test_deploy.py`), and the whole graph (`test_market_at_scale.py`).
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from factor_assets_tests.servers.clickhouse import ClickHouseAt
from factor_assets_tests.servers.composed import (
    ADD,
    DEPLOY,
    OURS,
    PROGRAMS,
    REPOSITORY,
    SERVICES,
    Server,
    composed,
    ended,
    is_loaded,
    launch,
    status,
    wait_for,
)
from factor_assets_tests.servers.postgres import free_port
from factor_assets_tests.servers.s3 import ACCESS_KEY, SECRET_KEY


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, clickhouse: ClickHouseAt) -> Iterator[Server]:
    """The services with their init job done."""
    with composed(tmp_path_factory.mktemp("server"), clickhouse) as (found, said):
        assert "bucket factor-assets: created" in said
        assert "All is well." in said
        yield found


COUNT = """
import dagster as dg
with dg.DagsterInstance.get() as instance:
    print(len(instance.get_materialized_partitions(dg.AssetKey("price_history"))))
"""


@pytest.mark.slow
class TestAgainstDagster:
    def test_a_run_goes_from_the_webserver_over_the_daemon_to_the_code_location(self, server: Server) -> None:
        with (
            server.started("code") as code,
            server.started("webserver") as webserver,
            server.started("daemon") as daemon,
        ):
            assert wait_for(lambda: is_loaded(server))
            server.ask(ADD, repository=REPOSITORY, name="tickers", key="SYN001")
            history = ended(server, launch(server, {"dagster/partition": "SYN001"}, "price_history"))
            assert history["status"] == "SUCCESS"
            assert history["assetMaterializations"] == [
                {"assetKey": {"path": ["price_history"]}, "partition": "SYN001"}
            ]
            assert server.is_well("code")
            assert server.is_well("webserver")
            for process in (daemon, webserver, code):
                process.send_signal(signal.SIGTERM)
                process.wait(timeout=60)

    def test_a_run_that_dies_with_its_container_has_failed_and_leaves_its_place(self, server: Server) -> None:
        with server.started("code") as code, server.started("webserver"), server.started("daemon"):
            assert wait_for(lambda: is_loaded(server))
            server.ask(ADD, repository=REPOSITORY, name="tickers", key="SYN002")
            run = launch(server, {"dagster/partition": "SYN002"}, "price_history")
            assert wait_for(lambda: status(server, run) == "STARTED", pause=0.02)
            os.killpg(code.pid, signal.SIGKILL)
            code.wait()
            assert status(server, run) == "STARTED", "it ended before it was killed"
            with server.started("code"):
                assert status(server, run) == "FAILURE"
                assert wait_for(lambda: is_loaded(server))
                again = launch(server, {"dagster/partition": "SYN002"}, "price_history")
                assert ended(server, again)["status"] == "SUCCESS"

    def test_what_is_not_there_is_not_well(self, server: Server) -> None:
        for name in ("code", "webserver"):  # a daemon is well until its last heartbeat is old
            assert not server.is_well(name)


class TestProperties:
    def test_every_command_is_of_a_program_that_is_installed(self, server: Server) -> None:
        for name in OURS:
            service = SERVICES[name]
            for command in (service["command"], service["healthcheck"].get("test", ["CMD", "sh"])[1:]):
                assert command[0] == "sh" or (PROGRAMS / command[0]).exists(), command

    def test_the_init_job_may_run_again(self, server: Server) -> None:
        done = server.run("init", SERVICES["init"]["command"])
        assert done.returncode == 0, done.stdout + done.stderr
        assert "bucket factor-assets: there" in done.stdout

    def test_the_command_line_and_the_server_share_one_instance(self, server: Server) -> None:
        made = server.run("code", ["factor-assets", "backfill", "price_history"])
        assert "11 made" in made.stderr, made.stdout + made.stderr
        done = server.run("webserver", [sys.executable, "-c", COUNT])
        assert int(done.stdout) == 11, done.stderr
        assert "event_log_storage" not in (server.home / "dagster" / "dagster.yaml").read_text(encoding="utf-8")


class TestErrors:
    def test_the_init_job_says_what_it_cannot_reach_and_stops(self, server: Server) -> None:
        changed = {**server.changes, "FACTOR_ASSETS_S3__ENDPOINT": f"http://127.0.0.1:{free_port()}"}
        environment = {**server.environment("init"), **changed, "AWS_MAX_ATTEMPTS": "1"}
        done = subprocess.run(
            [sys.executable, str(DEPLOY / "create_bucket.py")],
            env=environment,
            cwd=server.home,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        assert "Could not connect" in done.stderr
        assert "Check s3.endpoint" in done.stderr
        assert not [value for value in [ACCESS_KEY, SECRET_KEY] if value in done.stderr]

    def test_the_init_job_says_which_setting_is_wrong(self, server: Server) -> None:
        environment = {**server.environment("init"), "FACTOR_ASSETS_S3__ENDPOINTS": "x"}
        done = subprocess.run(
            [sys.executable, str(DEPLOY / "create_bucket.py")],
            env=environment,
            cwd=server.home,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        assert "did you mean 'endpoint'" in done.stderr
