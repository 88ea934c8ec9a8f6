"""Assets and sensor of reports, in one process: rows, re-uploads, bad files, runs at once, the cursor."""

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from factor_assets.defs.graph import build_definitions
from factor_assets.defs.report_sensor import MOST_REQUESTS, not_done, read_cursor, report_sensors, write_cursor
from factor_assets.defs.reports import report_document_assets
from factor_assets.document_columns import SCORES
from factor_assets.errors import DocumentError
from factor_assets.settings import Settings
from factor_assets.storage.documents import DocumentInfo
from factor_assets.storage.rows import checksum
from factor_assets.text.reports import ReportKey
from factor_assets.workspace import Workspace
from factor_assets_tests.market import Graph, small_settings
from factor_assets_tests.text.pdfs import REPORT, picture_pdf, text_pdf

FIRST, SECOND = "SYN000/2023/20230210", "SYN000/2023/20230310"


class Home:
    """A home that watches a folder, its instance, and the sensor's cursor."""

    def __init__(self, folder: Path, instance: dg.DagsterInstance) -> None:
        self.settings: Settings = small_settings(folder / "home", reports={"path": str(folder / "drop")})
        self.folder = folder / "drop"
        self.workspace = Workspace(self.settings)
        self.instance = instance
        self.job = build_definitions(self.settings).resolve_job_def("reports")
        self.cursor: str | None = None

    def drop(self, name: str, content: bytes | None = None, *, age_s: float = 0) -> None:
        file = self.folder / f"{name}.pdf"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text_pdf([REPORT]) if content is None else content)
        if age_s:
            os.utime(file, (file.stat().st_mtime - age_s,) * 2)

    def tick(self) -> dg.SensorResult:
        (sensor,) = report_sensors(Workspace(self.settings))
        with dg.build_sensor_context(instance=self.instance, cursor=self.cursor) as context:
            answer: Any = sensor(context)
        self.cursor = answer.cursor
        for request in answer.dynamic_partitions_requests or []:
            self.instance.add_dynamic_partitions(request.partitions_def_name, request.partition_keys)
        return answer

    def run(self, *names: str, **options: Any) -> dg.ExecuteInProcessResult:
        known = self.instance.get_dynamic_partitions("reports")
        self.instance.add_dynamic_partitions("reports", [name for name in names if name not in known])
        tags = (
            {}
            if len(names) == 1
            else {
                "dagster/asset_partition_range_start": names[0],
                "dagster/asset_partition_range_end": names[-1],
            }
        )
        key = names[0] if len(names) == 1 else None
        return self.job.execute_in_process(instance=self.instance, partition_key=key, tags=tags, **options)

    def serve(self) -> list[str]:
        """One tick, and every run that it requests; return the partitions."""
        names = [str(request.partition_key) for request in self.tick().run_requests or []]
        for name in names:
            assert self.run(name).success
        return names

    def rows(self, table: str) -> list[dict[str, Any]]:
        return self.workspace.store.read(table).to_pylist()

    def checksums(self) -> list[str]:
        return [
            checksum(self.workspace.store.read(table).drop_columns(["etag"] if table == "reports" else []))
            for table in ("reports", "report_ratings")
        ]


@pytest.fixture
def make_home() -> Iterator[Callable[[Path], Home]]:
    with ExitStack() as instances:
        yield lambda folder: Home(folder, instances.enter_context(dg.DagsterInstance.ephemeral()))


@pytest.fixture
def home(tmp_path: Path, make_home: Callable[[Path], Home]) -> Home:
    return make_home(tmp_path)


class TestRows:
    def test_five_ratings_dated_by_the_name_and_known_from_the_next_session(self, home: Home) -> None:
        home.drop(FIRST)
        assert home.serve() == [FIRST]
        (report,) = home.rows("reports")
        assert (report["ticker"], report["report_date"], report["n_pages"]) == ("SYN000", date(2023, 2, 10), 1)
        # A Friday: the next session is Monday.
        assert report["known_from"] == date(2023, 2, 13)
        rows = home.rows("report_ratings")
        assert [row["topic"] for row in rows] == sorted(SCORES)
        assert {row["known_from"] for row in rows} == {date(2023, 2, 13)}
        assert all(0 <= row["rating"] <= 10 and row["error"] is None for row in rows)
        assert len({row["rating"] for row in rows}) > 1

    def test_the_json_beside_the_pdf_has_the_ratings_and_is_no_new_report(self, home: Home) -> None:
        home.drop(FIRST)
        home.serve()
        beside = json.loads((home.folder / f"{FIRST}.json").read_text())
        assert {topic: found["rating"] for topic, found in beside["topics"].items()} == {
            row["topic"]: row["rating"] for row in home.rows("report_ratings")
        }
        answer = home.tick()
        assert not answer.run_requests
        assert str(answer.skip_reason.skip_message) == "no new report among 1"

    def test_order_and_repetition_make_no_difference(self, tmp_path: Path, make_home: Callable[[Path], Home]) -> None:
        sums = []
        for number, order in enumerate([(FIRST, SECOND), (SECOND, FIRST, FIRST)]):
            home = make_home(tmp_path / str(number))
            home.drop(FIRST)
            home.drop(SECOND, text_pdf([REPORT.replace("excellent", "terrible")]))
            for name in order:
                assert home.run(name).success
            sums.append(home.checksums())
        assert sums[0] == sums[1]

    def test_a_range_is_one_run_with_the_same_rows(self, tmp_path: Path, make_home: Callable[[Path], Home]) -> None:
        names = [FIRST, SECOND, "SYN001/2023/20230310"]
        homes = [make_home(tmp_path / "1"), make_home(tmp_path / "2")]
        for home in homes:
            for name in names:
                home.drop(name)
        assert homes[0].run(*names).success
        for name in names:
            homes[1].run(name)
        assert homes[0].checksums() == homes[1].checksums()
        made = homes[0].instance.get_materialized_partitions(dg.AssetKey("report_ratings"))
        assert made == set(names)

    def test_a_second_upload_replaces_the_rows_of_its_report_alone(self, home: Home) -> None:
        home.drop(FIRST)
        home.drop(SECOND)
        home.serve()
        before = home.rows("report_ratings")
        home.drop(SECOND, text_pdf([REPORT.replace("excellent", "catastrophic, terrible, awful")]))
        assert home.serve() == [SECOND]
        after = home.rows("report_ratings")
        assert len(after) == len(before) == 10
        assert after[:5] == before[:5]
        ratings = [{row["topic"]: row["rating"] for row in rows[5:]} for rows in (before, after)]
        assert ratings[1]["ceo_statement"] < ratings[0]["ceo_statement"]
        assert len(home.rows("reports")) == 2

    def test_two_runs_of_a_ticker_at_once_both_end_up_in_the_tables(self, home: Home) -> None:
        names = [f"SYN000/2023/202303{day:02d}" for day in range(1, 7)]
        for name in names:
            home.drop(name)
        done: list[bool] = []

        def make(name: str) -> None:
            job = build_definitions(home.settings).resolve_job_def("reports")
            with dg.DagsterInstance.ephemeral() as instance:
                instance.add_dynamic_partitions("reports", names)
                done.append(job.execute_in_process(partition_key=name, instance=instance).success)

        threads = [threading.Thread(target=make, args=(name,)) for name in names]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert done == [True] * len(names)
        assert [row["document_key"] for row in home.rows("reports")] == [f"{name}.pdf" for name in names]
        assert len(home.rows("report_ratings")) == 5 * len(names)

    def test_no_text_of_the_document_is_in_events_or_logs(self, home: Home) -> None:
        secret = "Projectbluebird"
        home.drop(FIRST, text_pdf([REPORT.replace("excellent", secret)]))
        result = home.run(FIRST)
        told = repr([entry.dagster_event for entry in home.instance.all_logs(result.run_id)])
        assert "SYN000" in told
        assert secret not in told


class TestFromTheCommandLine:
    """`factor-assets backfill reports+`, without the daemon."""

    def test_dropped_reports_are_found_read_and_rated(self, tmp_path: Path) -> None:
        graph = Graph(small_settings(tmp_path / "home", reports={"path": str(tmp_path / "drop")}))
        with graph.instance as instance:
            home = Home(tmp_path, instance)
            (account,) = graph.run("reports", "report_ratings")
            assert (account.stage, account.made) == ("reports", 0)
            home.drop(SECOND)
            home.drop(FIRST)
            (account,) = graph.run("reports", "report_ratings")
            assert account.made == 4
            assert [row["document_key"] for row in home.rows("reports")] == [f"{FIRST}.pdf", f"{SECOND}.pdf"]
            (account,) = graph.run("reports", "report_ratings", missing_only=True)
            assert (account.made, account.skipped) == (0, 4)
            assert home.tick().run_requests == []

    def test_one_that_was_replaced_is_outdated_and_one_that_was_removed_is_left(self, tmp_path: Path) -> None:
        graph = Graph(small_settings(tmp_path / "home", reports={"path": str(tmp_path / "drop")}))
        names = [f"SYN000/2023/202303{day}" for day in (10, 13, 14)]
        with graph.instance as instance:
            home = Home(tmp_path, instance)
            for name in names:
                home.drop(name)
            graph.run("reports", "report_ratings")
            (home.folder / f"{names[1]}.pdf").unlink()
            home.drop(names[2], text_pdf([REPORT, REPORT]))
            (account,) = graph.run("reports", "report_ratings", missing_only=True)
            assert account.made == 2
            assert [row["n_pages"] for row in home.rows("reports")] == [1, 1, 2]
            (account,) = graph.run("reports", "report_ratings")
            assert account.made == 4
            assert len(home.rows("reports")) == 3


class TestSensor:
    def test_a_file_with_an_older_time_than_the_last_is_found(self, home: Home) -> None:
        home.drop(SECOND)
        home.serve()
        home.drop(FIRST, age_s=1e7)
        assert home.serve() == [FIRST]

    def test_oldest_first_and_no_more_than_a_tick_may_request(self, home: Home) -> None:
        names = [f"SYN{i:03d}/2023/20230310" for i in range(MOST_REQUESTS + 3)]
        for place, name in enumerate(names):
            home.drop(name, b"", age_s=1000 - place)
        first, second, third = home.tick(), home.tick(), home.tick()
        assert [request.partition_key for request in first.run_requests] == names[:MOST_REQUESTS]
        assert [request.partition_key for request in second.run_requests] == names[MOST_REQUESTS:]
        assert not third.run_requests

    def test_what_was_requested_and_is_not_done_is_not_requested_again(self, home: Home) -> None:
        home.drop(FIRST)
        assert home.tick().run_requests
        assert not home.tick().run_requests

    def test_a_tick_that_was_lost_is_repeated_with_the_same_run_keys(self, home: Home) -> None:
        home.drop(FIRST)
        first = home.tick()
        home.cursor = None  # Dagster stores the cursor with the requests, or neither
        assert home.tick().run_requests[0].run_key == first.run_requests[0].run_key

    def test_a_second_upload_has_another_run_key(self, home: Home) -> None:
        home.drop(FIRST)
        first = home.tick().run_requests[0].run_key
        home.drop(FIRST, text_pdf([REPORT, REPORT]))
        assert home.tick().run_requests[0].run_key != first

    def test_the_cursor_forgets_what_is_done(self, home: Home) -> None:
        home.drop(FIRST)
        home.serve()
        assert len(read_cursor(home.cursor)) == 1
        home.tick()
        assert read_cursor(home.cursor) == set()

    def test_a_lost_cursor_asks_for_nothing_that_is_done(self, home: Home) -> None:
        home.drop(FIRST)
        home.serve()
        home.cursor = None
        assert not home.tick().run_requests

    def test_a_hundred_thousand_reports_fit(self) -> None:
        modified = datetime(2026, 1, 1, tzinfo=UTC)
        listed = {}
        for number in range(100_000):
            key = ReportKey(f"T{number // 40:04d}", date(2010 + number % 40 // 4, 1 + number % 4 * 3, 1))
            listed[key] = DocumentInfo(key=key.pdf, size=1, etag=f"{number:032x}", modified=modified)
        assert len(listed) == 100_000
        wanted = not_done(listed, set())
        assert len(wanted) == 100_000
        assert len(write_cursor(set(wanted))) < 1_600_000
        assert not_done(listed, {(info.key, info.etag) for info in listed.values()}) == {}
        assert write_cursor(set()) == '{"requested":[]}'

    def test_the_code_location_loads(self, home: Home) -> None:
        build_definitions(home.settings).get_repository_def().load_all_definitions()

    def test_is_on_unless_switched_off(self, home: Home) -> None:
        (sensor,) = report_sensors(home.workspace)
        assert sensor.default_status == dg.DefaultSensorStatus.RUNNING


class TestErrors:
    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (b"", "empty (0 bytes)"),
            (b"no pdf at all", "malformed"),
            (picture_pdf(), "pictures instead of text"),
            (text_pdf([REPORT], password="secret"), "wants a password"),
        ],
        ids=["empty", "malformed", "pictures", "password"],
    )
    def test_an_unreadable_report_fails_the_checks_and_can_be_made_again(
        self, home: Home, content: bytes, reason: str
    ) -> None:
        home.drop(FIRST, content)
        home.tick()
        result = home.run(FIRST)
        assert result.success
        checks = {found.check_name: found for found in result.get_asset_check_evaluations()}
        assert not checks["report_is_readable"].passed
        assert not checks["reports_are_rated"].passed
        assert reason in str(checks["report_is_readable"].description)
        (report,) = home.rows("reports")
        assert reason in report["error"]
        assert report["n_words"] is None
        rows = home.rows("report_ratings")
        assert [row["rating"] for row in rows] == [None] * 5
        assert all(reason in row["error"] for row in rows)
        home.drop(FIRST)
        assert home.serve() == [FIRST]
        assert all(row["rating"] is not None for row in home.rows("report_ratings"))

    def test_misnamed_files_are_named_and_stop_nothing(self, home: Home) -> None:
        for name in ("syn000/2023/20230210", "SYN000/2022/20230210", "SYN000/2023/20231301", "notes"):
            home.drop(name)
        home.drop(FIRST)
        (home.folder / ".DS_Store").write_bytes(b"")
        assert home.serve() == [FIRST]
        reason = str(home.tick().skip_reason.skip_message)
        assert "5 files are not named TICKER/YYYY/YYYYMMDD.pdf and are left out, such as" in reason

    def test_a_report_that_vanished_fails_the_run_and_says_so(self, home: Home) -> None:
        result = home.run(FIRST, raise_on_error=False)
        assert not result.success
        (failure,) = [e for e in result.all_events if e.is_step_failure]
        assert "There is no report SYN000/2023/20230210.pdf" in str(failure.step_failure_data.error)

    def test_a_bucket_that_does_not_answer_fails_the_tick_with_the_remedy(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name, value in (("ENDPOINT_URL", "http://127.0.0.1:9"), ("ALLOW_HTTP", "true"), ("REGION", "us-east-1")):
            monkeypatch.setenv(f"AWS_{name}", value)
        for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
            monkeypatch.setenv(f"AWS_{name}", "the-secret")
        (sensor,) = report_sensors(Workspace(small_settings(tmp_path, reports={"path": "s3://drop"})))
        with (
            dg.DagsterInstance.ephemeral() as instance,
            dg.build_sensor_context(instance=instance) as context,
            pytest.raises(DocumentError, match=r"Cannot list documents in s3://drop: .*AWS_ENDPOINT_URL") as caught,
        ):
            sensor(context)
        assert "the-secret" not in str(caught.value)

    def test_no_place_means_no_asset_and_no_sensor(self, tmp_path: Path) -> None:
        workspace = Workspace(small_settings(tmp_path))
        assert report_document_assets(workspace) == []
        assert report_sensors(workspace) == []

    def test_a_folder_that_does_not_exist_yet_is_empty(self, home: Home) -> None:
        assert str(home.tick().skip_reason.skip_message) == "no new report among 0"
