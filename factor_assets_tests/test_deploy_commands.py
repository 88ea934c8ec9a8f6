"""Every command of docker-compose.yml runs here without an engine: its services start, are well, work and stop.

Addresses and folders are those of the test; everything else is as the file says. Dagster's storage is a real Postgres
where its server is installed, and SQLite where it is not. What does not belong here: what the files say
(`test_deploy.py`).
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from factor_assets_tests.servers.postgres import binaries, free_port, postgres
from factor_assets_tests.test_deploy import DEPLOY, OURS, SERVICES

PROGRAMS = Path(sys.executable).parent
KEYS = {"AWS_ACCESS_KEY_ID": "made-access", "AWS_SECRET_ACCESS_KEY": "made-secret"}
LONGEST_START_S = 90
MARKET = {
    "FACTOR_ASSETS_PROFILE": "local",
    "FACTOR_ASSETS_DATA__START": "2023-01-03",
    "FACTOR_ASSETS_DATA__END": "2023-04-28",
    "FACTOR_ASSETS_SAMPLE__TICKERS": "12",
    "FACTOR_ASSETS_FACTORS__FAMILIES": '["technical/close_location"]',
}


class Server:
    """The compose file's services as processes of this machine."""

    def __init__(self, folder: Path, *, object_store: int, storage: dict[str, str] | None) -> None:
        self.home = folder / "home"
        (self.home / "dagster").mkdir(parents=True)
        self.ports = {"3000": free_port(), "4000": free_port()}
        self.workspace = folder / "workspace.yaml"
        location = (DEPLOY / "workspace.yaml").read_text(encoding="utf-8")
        self.workspace.write_text(self._here(location).replace("host: code", "host: 127.0.0.1"), encoding="utf-8")
        instance = yaml.safe_load((DEPLOY / "dagster.yaml").read_text(encoding="utf-8"))
        if storage is None:
            del instance["storage"]
        (self.home / "dagster" / "dagster.yaml").write_text(yaml.safe_dump(instance), encoding="utf-8")
        self.changes = {
            **MARKET,
            **KEYS,
            **(storage or {}),
            "DAGSTER_HOME": str(self.home / "dagster"),
            "FACTOR_ASSETS_HOME": str(self.home),
            "FACTOR_ASSETS_S3__ENDPOINT": f"http://127.0.0.1:{object_store}",
        }

    def _here(self, text: str) -> str:
        for theirs, ours in self.ports.items():
            text = re.sub(rf"\b{theirs}\b", str(ours), text)
        return text.replace("0.0.0.0", "127.0.0.1")

    def command(self, given: Sequence[str]) -> list[str]:
        """Return a command of the compose file with the addresses and paths of this machine."""
        here = [self._here(part) for part in given]
        here = [part.replace("/app/workspace.yaml", str(self.workspace)) for part in here]
        return [re.sub(r"/app/(\w+\.py)", rf"{DEPLOY}/\1", part) for part in here]

    def environment(self, service: str) -> dict[str, str]:
        """Return the service's variables, those that name a place changed to this machine's."""
        wanted = SERVICES[service]["environment"]
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("FACTOR_ASSETS_", "AWS_"))}
        changed = {name: self.changes.get(name, value) for name, value in wanted.items()}
        market = MARKET if "FACTOR_ASSETS_HOME" in wanted else {}
        return {**kept, **changed, **market, "PATH": f"{PROGRAMS}:{os.environ['PATH']}"}

    def run(self, service: str, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Run a command of a service to its end."""
        return subprocess.run(
            self.command(command),
            cwd=self.home,
            env=self.environment(service),
            capture_output=True,
            text=True,
            timeout=LONGEST_START_S,
            check=False,
        )

    def is_well(self, service: str) -> bool:
        """Whether the service's own health check says so."""
        return self.run(service, SERVICES[service]["healthcheck"]["test"][1:]).returncode == 0

    @contextmanager
    def started(self, service: str) -> Iterator[subprocess.Popen[str]]:
        """Start a service and wait until it is well; leave no process of it behind."""
        log = self.home / f"{service}.log"
        with log.open("w", encoding="utf-8") as output:
            process = subprocess.Popen(
                self.command(SERVICES[service]["command"]),
                cwd=self.home,
                env=self.environment(service),
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
            try:
                ready = wait_for(lambda: process.poll() is not None or self.is_well(service))
                assert ready, f"{service} is not well:\n{log.read_text(encoding='utf-8')[-3000:]}"
                assert process.poll() is None, log.read_text(encoding="utf-8")[-3000:]
                yield process
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """Ask the webserver's GraphQL."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.ports['3000']}/graphql",
            data=json.dumps({"query": query, "variables": variables}).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            found: dict[str, Any] = json.load(answer)
        assert "errors" not in found, found
        return dict(found["data"])


def wait_for(condition: Callable[[], Any], *, pause: float = 0.5) -> Any:
    """Return the first true value, or the last one when the time is over."""
    end = time.monotonic() + LONGEST_START_S
    while not (found := condition()) and time.monotonic() < end:
        time.sleep(pause)
    return found


@contextmanager
def moto() -> Iterator[int]:
    """A store that speaks S3, in a process of its own."""
    port = free_port()
    process = subprocess.Popen(
        [str(PROGRAMS / "moto_server"), "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def listens() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    try:
        assert wait_for(listens)
        yield port
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server with its init job done."""
    with ExitStack() as stack:
        storage = None
        if binaries():
            database = stack.enter_context(postgres())
            storage = {
                "DAGSTER_POSTGRES_HOST": "127.0.0.1",
                "DAGSTER_POSTGRES_PORT": str(database.port),
                "DAGSTER_POSTGRES_USER": database.user,
                "DAGSTER_POSTGRES_DB": database.database,
                "DAGSTER_POSTGRES_PASSWORD": database.password,
            }
        found = Server(tmp_path_factory.mktemp("server"), object_store=stack.enter_context(moto()), storage=storage)
        done = found.run("init", SERVICES["init"]["command"])
        assert done.returncode == 0, done.stdout + done.stderr
        assert "bucket factor-assets: created" in done.stdout
        assert "All is well." in done.stdout
        yield found


REPOSITORY = {"repositoryName": "__repository__", "repositoryLocationName": "factor_assets.definitions"}
LOCATIONS = """
{ workspaceOrError { ... on Workspace { locationEntries { locationOrLoadError { __typename } } } } }
"""
LAUNCH = """
mutation ($parameters: ExecutionParams!) {
  launchPipelineExecution(executionParams: $parameters) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
  }
}
"""
ADD = """
mutation ($repository: RepositorySelector!, $name: String!, $key: String!) {
  addDynamicPartition(repositorySelector: $repository, partitionsDefName: $name, partitionKey: $key) { __typename }
}
"""
RUN = """
query ($run: ID!) { runOrError(runId: $run) { ... on Run {
  status
  assetMaterializations { assetKey { path } partition }
} } }
"""


def is_loaded(server: Server) -> bool:
    """Whether the webserver has the graph from the code location."""
    (location,) = server.ask(LOCATIONS)["workspaceOrError"]["locationEntries"]
    return bool(location["locationOrLoadError"]["__typename"] == "RepositoryLocation")


def launch(server: Server, asset: str, **tags: str) -> str:
    """Queue a run of one asset from the webserver and return its id."""
    answer = server.ask(
        LAUNCH,
        parameters={
            "selector": {
                **REPOSITORY,
                "pipelineName": "__ASSET_JOB",
                "assetSelection": [{"path": [asset]}],
            },
            "executionMetadata": {"tags": [{"key": f"dagster/{key}", "value": value} for key, value in tags.items()]},
            "mode": "default",
        },
    )["launchPipelineExecution"]
    assert answer["__typename"] == "LaunchRunSuccess", answer
    return str(answer["run"]["runId"])


def status(server: Server, run: str) -> str:
    """Return the status of a run."""
    return str(server.ask(RUN, run=run)["runOrError"]["status"])


def ended(server: Server, run: str) -> dict[str, Any]:
    """Wait for the end of a run."""
    found: dict[str, Any] = {}

    def is_over() -> bool:
        found.update(server.ask(RUN, run=run)["runOrError"])
        return found["status"] in {"SUCCESS", "FAILURE", "CANCELED"}

    assert wait_for(is_over), found
    return found


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
            history = ended(server, launch(server, "price_history", partition="SYN001"))
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
            run = launch(server, "price_history", partition="SYN002")
            assert wait_for(lambda: status(server, run) == "STARTED", pause=0.02)
            os.killpg(code.pid, signal.SIGKILL)
            code.wait()
            assert status(server, run) == "STARTED", "it ended before it was killed"
            with server.started("code"):
                assert status(server, run) == "FAILURE"
                assert wait_for(lambda: is_loaded(server))
                again = launch(server, "price_history", partition="SYN002")
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
        assert not [value for value in KEYS.values() if value in done.stderr]

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
