"""A report dropped in a folder or bucket becomes rows, by the daemon alone: sensor, run, ratings; killed, replaced."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from factor_assets.defs.graph import build_definitions
from factor_assets.defs.instance import open_instance
from factor_assets.settings import Settings
from factor_assets.storage.documents import Documents
from factor_assets.text.reports import open_reports
from factor_assets.workspace import Workspace
from factor_assets_tests.market import run, small_settings
from factor_assets_tests.servers.anthropic import HANG, fake_anthropic
from factor_assets_tests.text.asking import KEY
from factor_assets_tests.text.pdfs import REPORT, text_pdf

FIRST, SECOND, HELD = "SYN000/2023/20230210", "SYN000/2023/20230310", "SYN000/2023/20230324"

LOCATION = """
from pathlib import Path
from factor_assets.defs import report_sensor, score_sensor
from factor_assets.defs.graph import build_definitions
from factor_assets.settings import Settings

report_sensor.LOOK_EVERY_S = score_sensor.LOOK_EVERY_S = 1
defs = build_definitions(Settings.model_validate_json((Path(__file__).parent / "settings.json").read_text()))
"""
"""The code location as it is, but for the pause between ticks."""


class Daemon:
    """The daemon and the code location of a home, as processes of their own."""

    def __init__(self, settings: Settings, environment: dict[str, str]) -> None:
        self.settings = settings
        self.environment = environment
        self.home = settings.home
        self.home.mkdir(parents=True, exist_ok=True)
        (self.home / "settings.json").write_text(settings.model_dump_json())
        (self.home / "location.py").write_text(LOCATION)
        self.workspace = Workspace(settings)
        self.place: Documents = open_reports(settings)
        open_instance(settings).dispose()

    @contextmanager
    def running(self) -> Iterator[None]:
        with (self.home / "daemon.log").open("a") as log:
            process = subprocess.Popen(
                [str(Path(sys.executable).with_name("dagster-daemon")), "run", "-f", str(self.home / "location.py")],
                env={**os.environ, **self.environment, "DAGSTER_HOME": str(self.settings.dagster_home)},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                yield
            finally:
                # The daemon, the code location and its runs: the group that we started, and nothing else.
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def drop(self, name: str, text: str = REPORT) -> None:
        self.place.put(f"{name}.pdf", text_pdf([text]), replace=True)

    def rows(self, table: str) -> list[dict[str, Any]]:
        return self.workspace.store.read(table).to_pylist()

    def rated(self) -> list[str]:
        return [row["document_key"].removesuffix(".pdf") for row in self.rows("report_ratings")]

    def wait(self, reached: Callable[[], bool], *, seconds: float = 120) -> None:
        until = time.monotonic() + seconds
        while not reached():
            assert time.monotonic() < until, (self.home / "daemon.log").read_text()[-6000:]
            time.sleep(0.2)

    def n_runs(self) -> int:
        with dg.DagsterInstance.from_config(str(self.settings.dagster_home)) as instance:
            return instance.get_runs_count()


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """A bucket on a server that speaks S3, and the environment that leads there."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    environment = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ALLOW_HTTP": "true",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    import boto3

    boto3.client("s3", endpoint_url=environment["AWS_ENDPOINT_URL"], region_name="us-east-1").create_bucket(
        Bucket="drop"
    )
    yield environment
    server.stop()


def dropped_and_replaced(daemon: Daemon) -> None:
    """Drop, replace, and drop with an older name; look at the tables only."""
    with daemon.running():
        daemon.drop(FIRST)
        daemon.wait(lambda: daemon.rated() == [FIRST] * 5)
        before = daemon.rows("report_ratings")
        assert all(row["error"] is None and 0 <= row["rating"] <= 10 for row in before)
        daemon.drop(FIRST, REPORT.replace("excellent", "catastrophic, terrible, awful"))
        daemon.wait(lambda: daemon.rows("report_ratings") != before)
        after = daemon.rows("report_ratings")
        assert [row["topic"] for row in after] == [row["topic"] for row in before]
        assert after[0]["rating"] < before[0]["rating"]
        assert daemon.place.has(f"{FIRST}.json")
        # The tick that follows sees that all is done, and asks for nothing more.
        time.sleep(3)
        assert daemon.n_runs() == 2


@pytest.mark.slow
class TestDaemon:
    def test_a_report_in_a_bucket_is_rated_and_replaced(self, tmp_path: Path, bucket: dict[str, str]) -> None:
        settings = small_settings(tmp_path / "home", reports={"path": "s3://drop/annual/reports"})
        dropped_and_replaced(Daemon(settings, bucket))

    def test_a_report_in_a_folder_reaches_the_factor_tables(self, tmp_path: Path) -> None:
        factors = {"families": ["technical/close_location", "documents/ceos", "documents/risk"]}
        settings = small_settings(tmp_path / "home", factors=factors, reports={"path": str(tmp_path / "drop")})
        run(settings)
        daemon = Daemon(settings, {})
        assert all(row["value"] is None for row in daemon.rows("factors/documents/ceos"))

        def known() -> list[tuple[Any, ...]]:
            rows = daemon.rows("factors/documents/ceos")
            return [(r["ticker"], r["date"], r["value"]) for r in rows if r["value"] is not None]

        with daemon.running():
            daemon.drop(FIRST.replace("SYN000", "SYN001"))
            daemon.wait(lambda: bool(known()))
        ratings = {row["topic"]: row["rating"] for row in daemon.rows("report_ratings")}
        days = [day for _, day, _ in known()]
        assert {(ticker, value) for ticker, _, value in known()} == {("SYN001", ratings["ceo_statement"])}
        # The report of Friday the 10th is used from Monday on, on every session that the stock traded.
        assert days[0] == date(2023, 2, 13)
        assert days[-1] == date(2023, 4, 28)

    def test_killed_midway_loses_and_doubles_nothing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
        with fake_anthropic() as api:
            model = {"provider": "anthropic", "model": "stub", "url": api.address, "input_price": 3, "output_price": 15}
            reports = {"path": str(tmp_path / "drop")}
            daemon = Daemon(small_settings(tmp_path / "home", reports=reports, language_model=model), {})
            daemon.drop(FIRST)
            with daemon.running():
                daemon.wait(lambda: daemon.rated() == [FIRST] * 5)
                api.replies.append(HANG)
                daemon.drop(HELD, REPORT + "Held.")
                daemon.wait(lambda: len(api.requests) == 2)
            # The text is read, the model is asked and has not answered: everything was killed in between.
            assert [row["document_key"] for row in daemon.rows("reports")] == [f"{FIRST}.pdf", f"{HELD}.pdf"]
            daemon.drop(SECOND, REPORT + "Second.")
            with daemon.running():
                daemon.wait(lambda: len(daemon.rated()) == 10)
            assert daemon.rated() == [FIRST] * 5 + [SECOND] * 5
            with dg.DagsterInstance.from_config(str(daemon.settings.dagster_home)) as instance:
                job = build_definitions(daemon.settings).resolve_job_def("reports")
                for name in (HELD, FIRST):
                    assert job.execute_in_process(instance=instance, partition_key=name).success
            # The first was answered before: making it again asks nobody.
            assert len(api.delivered) == 3
        rows = daemon.rows("report_ratings")
        assert daemon.rated() == [FIRST] * 5 + [SECOND] * 5 + [HELD] * 5
        assert {(row["model"], row["rating"], row["error"]) for row in rows} == {("stub", 6.5, None)}
        assert len(daemon.rows("reports")) == 3
        assert KEY not in (daemon.home / "daemon.log").read_text()
