"""The services of docker-compose.yml as processes of this machine: their own commands, checks and environment.

Addresses and folders are those of the test; everything else is as the file says. Dagster's storage is a real Postgres
where its server is installed, and SQLite where it is not; ClickHouse and S3 are the tests' servers.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import yaml

from factor_assets_tests.market import FEW_FACTORS
from factor_assets_tests.servers.clickhouse import ClickHouseAt
from factor_assets_tests.servers.postgres import binaries, free_port, postgres
from factor_assets_tests.servers.s3 import s3_server

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE_FILE = ROOT / "docker-compose.yml"
VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?:(?P<kind>:?[-?])(?P<text>[^}]*))?\}")
SECRETS = {
    name: f"made-{name.lower()}"
    for name in (
        *("POSTGRES_PASSWORD", "CLICKHOUSE_PASSWORD", "CLICKHOUSE_BI_PASSWORD"),
        *("S3_ACCESS_KEY", "S3_SECRET_KEY"),
    )
}

# Of `small_settings`, as the environment of the code location.
MARKET = {
    "FACTOR_ASSETS_DATA__START": "2023-01-03",
    "FACTOR_ASSETS_DATA__END": "2023-04-28",
    "FACTOR_ASSETS_SAMPLE__TICKERS": "12",
    "FACTOR_ASSETS_FACTORS__FAMILIES": json.dumps(FEW_FACTORS),
    "FACTOR_ASSETS_EVALUATION__BETA_WINDOW": "40",
    "FACTOR_ASSETS_RUN__EXECUTOR": "multiprocess",
}
OURS, THEIRS = {"init", "code", "webserver", "daemon"}, {"postgres", "clickhouse", "object-store"}
PROGRAMS = Path(sys.executable).parent
LONGEST_START_S = 90


def compose(variables: Mapping[str, str] = SECRETS) -> dict[str, Any]:
    """Return the compose file as Compose reads it with these variables: a wanted one that is missing is an error."""

    def value(match: re.Match[str]) -> str:
        found = variables.get(match["name"], "")
        if not found and match["kind"] == ":?":
            raise ValueError(f"{match['name']}: {match['text']}")
        if match["kind"] == "-" and match["name"] in variables:
            return found
        return found or match["text"] or ""

    text = COMPOSE_FILE.read_text(encoding="utf-8")
    code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    loaded: dict[str, Any] = yaml.safe_load(VARIABLE.sub(value, code))
    return loaded


SERVICES: dict[str, dict[str, Any]] = compose()["services"]


class Server:
    """The compose file's services as processes of this machine."""

    def __init__(self, folder: Path, *, places: Mapping[str, str], has_postgres: bool) -> None:
        self.home = folder / "home"
        (self.home / "dagster").mkdir(parents=True)
        self.ports = {"3000": free_port(), "4000": free_port()}
        self.workspace = folder / "workspace.yaml"
        location = (DEPLOY / "workspace.yaml").read_text(encoding="utf-8")
        self.workspace.write_text(self._here(location).replace("host: code", "host: 127.0.0.1"), encoding="utf-8")
        instance = yaml.safe_load((DEPLOY / "dagster.yaml").read_text(encoding="utf-8"))
        if not has_postgres:
            del instance["storage"]
        (self.home / "dagster" / "dagster.yaml").write_text(yaml.safe_dump(instance), encoding="utf-8")
        self.changes = {
            **places,
            "DAGSTER_HOME": str(self.home / "dagster"),
            "FACTOR_ASSETS_HOME": str(self.home),
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


def wait_for(condition: Callable[[], Any], *, pause: float = 0.5, longest_s: float = LONGEST_START_S) -> Any:
    """Return the first true value, or the last one when the time is over."""
    end = time.monotonic() + longest_s
    while not (found := condition()) and time.monotonic() < end:
        time.sleep(pause)
    return found


@contextmanager
def composed(folder: Path, clickhouse: ClickHouseAt) -> Iterator[tuple[Server, str]]:
    """Start what the services need, run the init job, and yield the services and what it said.

    The tables are in a database of their own; they end with the server, as the bucket does.
    """
    with ExitStack() as stack:
        objects = stack.enter_context(s3_server())
        places = {
            **objects.environment,
            "FACTOR_ASSETS_S3__ENDPOINT": objects.url,
            "FACTOR_ASSETS_CLICKHOUSE__HOST": clickhouse.host,
            "FACTOR_ASSETS_CLICKHOUSE__PORT": str(clickhouse.port),
            "FACTOR_ASSETS_CLICKHOUSE__USER": clickhouse.user,
            "FACTOR_ASSETS_CLICKHOUSE__DATABASE": f"composed_{uuid4().hex[:8]}",
            "CLICKHOUSE_PASSWORD": clickhouse.password,
        }
        if binaries():
            database = stack.enter_context(postgres())
            places |= {
                "DAGSTER_POSTGRES_HOST": "127.0.0.1",
                "DAGSTER_POSTGRES_PORT": str(database.port),
                "DAGSTER_POSTGRES_USER": database.user,
                "DAGSTER_POSTGRES_DB": database.database,
                "DAGSTER_POSTGRES_PASSWORD": database.password,
            }
        found = Server(folder, places=places, has_postgres=bool(binaries()))
        done = found.run("init", SERVICES["init"]["command"])
        assert done.returncode == 0, done.stdout + done.stderr
        yield found, done.stdout


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


def launch(server: Server, tags: Mapping[str, str], *assets: str, job: str = "__ASSET_JOB") -> str:
    """Queue a run of some assets, or of a whole job, from the webserver and return its id."""
    answer = server.ask(
        LAUNCH,
        parameters={
            "selector": {
                **REPOSITORY,
                "pipelineName": job,
                "assetSelection": [{"path": [asset]} for asset in assets] or None,
            },
            "executionMetadata": {"tags": [{"key": key, "value": value} for key, value in tags.items()]},
            "mode": "default",
        },
    )["launchPipelineExecution"]
    assert answer["__typename"] == "LaunchRunSuccess", answer
    return str(answer["run"]["runId"])


def status(server: Server, run: str) -> str:
    """Return the status of a run."""
    return str(server.ask(RUN, run=run)["runOrError"]["status"])


def ended(server: Server, run: str, *, longest_s: float = LONGEST_START_S) -> dict[str, Any]:
    """Wait for the end of a run."""
    found: dict[str, Any] = {}

    def is_over() -> bool:
        found.update(server.ask(RUN, run=run)["runOrError"])
        return found["status"] in {"SUCCESS", "FAILURE", "CANCELED"}

    assert wait_for(is_over, longest_s=longest_s), found
    return found
