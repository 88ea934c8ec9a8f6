"""The SEC's assets, schedule and sensor in the real graph, against a server on loopback."""

import gzip
import json
import logging
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from factor_assets.defs import sec_sensor
from factor_assets.defs.automation import STAGES, stage_selections
from factor_assets.defs.graph import build_definitions
from factor_assets.defs.partitions import TICKERS
from factor_assets.defs.runs import run_stages
from factor_assets.defs.sec import ACCESSION_TAG, FILINGS, SEC_DOCUMENTS
from factor_assets.errors import DocumentError
from factor_assets.storage.documents import Documents
from factor_assets_tests.market import Graph, small_settings
from factor_assets_tests.servers.edgar import (
    CONTACT,
    FakeEdgar,
    company_facts,
    facts_path,
    fake_edgar,
    filing,
    submissions_path,
)

BASELINE = "2024-05-03T10:00:46"


def number(cik: int, n: int) -> str:
    return f"{cik:010d}-24-{n:06d}"


class World:
    """A small market with a contact, its graph, and the server that knows its companies."""

    def __init__(self, edgar: FakeEdgar, home: Path, **sec: Any) -> None:
        self.edgar = edgar
        settings = {
            "contact": CONTACT,
            "data_url": edgar.url,
            "archives_url": edgar.url,
            "requests_per_second": 9,
            "retries": 0,
            "timeout": 2,
            **sec,
        }
        self.graph = Graph(small_settings(home, sec=settings, sample={"tickers": 10}))
        self.instance = self.graph.instance
        self.tickers = self.graph.workspace.wanted_tickers()
        self.ciks = {ticker: 1000 + i for i, ticker in enumerate(self.tickers)}
        edgar.list_companies(self.ciks)
        for cik in self.ciks.values():
            edgar.hold(facts_path(cik), company_facts(cik))
            self.file(cik, (number(cik, 1), BASELINE))

    def file(self, cik: int, *filings: tuple[str, str], form: str = "10-Q") -> None:
        self.edgar.list_filings(cik, *(filing(accession, moment, form=form) for accession, moment in filings))

    def tick(self, cursor: str | None) -> dg.SensorResult:
        definitions = self.graph.definitions
        context = dg.build_sensor_context(
            instance=self.instance, cursor=cursor, repository_def=definitions.get_repository_def()
        )
        result = definitions.resolve_sensor_def("new_filings")(context)
        assert isinstance(result, dg.SensorResult)
        return result

    def baseline(self) -> str:
        result = self.tick(None)
        assert not result.run_requests
        return str(result.cursor)

    def table(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.graph.workspace.store.read("filings").to_pylist()
        return found


@pytest.fixture
def edgar() -> Iterator[FakeEdgar]:
    with fake_edgar() as server:
        yield server


@pytest.fixture
def world(edgar: FakeEdgar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    # The rate is tested where it is kept; here its waits would be most of the test.
    monkeypatch.setattr("factor_assets.sources.service.SharedPace.take", lambda *_: 0.0)
    world = World(edgar, tmp_path)
    with world.instance:
        yield world


def keys(result: dg.SensorResult) -> list[str]:
    return [str(request.run_key) for request in result.run_requests or []]


def run_key(cik: int, n: int, ticker: str) -> str:
    return f"{number(cik, n)}-{ticker}"


class TestAgainstServedDocuments:
    def test_documents_and_filings_are_made_by_name(self, world: World) -> None:
        (account,) = world.graph.run("sec_documents", "filings")
        assert account.stage == "sec"
        assert account.made == 2 * len(world.tickers)
        assert not account.failed_checks
        rows = world.table()
        assert {row["ticker"] for row in rows} == set(world.tickers)
        assert {row["known_from"] for row in rows} == {date(2024, 5, 6)}
        requests = len(world.edgar.asked)
        (account,) = world.graph.run("filings")
        assert account.made == len(world.tickers)
        assert len(world.edgar.asked) == requests

    def test_one_companys_trouble_fails_a_check_and_nothing_else(self, world: World) -> None:
        first, second, third = world.tickers[:3]
        world.edgar.reply_with(facts_path(world.ciks[first]), 500)
        del world.edgar.documents[facts_path(world.ciks[second])]
        world.edgar.list_companies({t: cik for t, cik in world.ciks.items() if t != third})
        graph = world.graph.definitions, world.graph.workspace, world.instance
        (account,) = run_stages(*graph, names=["sec_documents", "filings"])
        found = account.failed_checks["sec_documents: every_company_answered"]
        assert found.startswith(f"{2 * len(world.tickers) - 4} fetched, 0 unchanged, 3 absent, 1 failed: ")
        assert f"{first} companyfacts: SEC EDGAR is in trouble (HTTP 500). " in found
        # What was tried in vain counts as not made, and is made where only what is missing is.
        assert account.failed == 1
        assert {row["ticker"] for row in world.table()} == set(world.tickers) - {third}
        (account,) = run_stages(*graph, names=["sec_documents"], missing_only=True)
        assert (account.made, account.skipped, account.failed) == (1, len(world.tickers) - 1, 0)
        assert not account.failed_checks

    def test_a_list_that_does_not_read_keeps_what_is_stored(self, world: World) -> None:
        world.graph.run("sec_documents", "filings")
        ticker = world.tickers[0]
        key = f"sec/submissions/{ticker}/2199-01-01.json.gz"
        world.graph.workspace.documents.put(key, gzip.compress(b"{}"))
        (account,) = world.graph.run("filings")
        assert f"submissions of {ticker} are not what they were" in account.failed_checks["filings: every_list_reads"]
        assert {row["ticker"] for row in world.table()} == set(world.tickers)


class TestStage:
    def test_the_stage_exists_with_a_contact_alone(self, tmp_path: Path) -> None:
        for contact, stages in (("", ()), ("Ada a@b.example", ("sec",))):
            definitions = build_definitions(small_settings(tmp_path, sec={"contact": contact}))
            assets = [a for a in definitions.assets or [] if isinstance(a, dg.AssetsDefinition)]
            found = stage_selections(assets)
            assert [stage for stage in found if stage not in (*STAGES, "libraries")] == list(stages)
            names = {schedule.name for schedule in definitions.schedules or []}
            assert ("sec_daily" in names) == bool(contact)
            sensors = {sensor.name for sensor in definitions.sensors or []}
            assert ("new_filings" in sensors) == bool(contact)
            if contact:
                assert {key.to_user_string() for key in found["sec"]} >= {"sec_documents", "filings"}
                assert definitions.resolve_job_def("sec").partitions_def == TICKERS

    def test_the_schedule_covers_every_ticker_in_one_run_a_day(self, world: World) -> None:
        schedule = world.graph.definitions.resolve_schedule_def("sec_daily")
        assert (schedule.cron_schedule, schedule.execution_timezone) == ("0 1 * * *", "UTC")
        moment = datetime(2024, 5, 6, 1, 0, tzinfo=UTC)
        context = dg.build_schedule_context(instance=world.instance, scheduled_execution_time=moment)
        (request,) = schedule.evaluate_tick(context).run_requests or []
        assert request.run_key == "2024-05-06"
        ends = [request.tags[f"dagster/asset_partition_range_{end}"] for end in ("start", "end")]
        known = world.instance.get_dynamic_partitions("tickers")
        assert ends == [known[0], known[-1]]
        assert sorted(known) == world.tickers


class TestSensor:
    def test_history_is_not_requested(self, world: World) -> None:
        result = world.tick(None)
        assert not result.run_requests
        assert set(json.loads(str(result.cursor))["seen"]) == set(world.tickers)
        again = world.tick(str(result.cursor))
        assert not again.run_requests
        assert len(world.edgar.asked) == 1 + 2 * len(world.tickers)

    def test_each_new_filing_is_one_run_of_its_ticker(self, world: World) -> None:
        cursor = world.baseline()
        ticker, other = world.tickers[2], world.tickers[5]
        cik = world.ciks[ticker]
        new = [(number(cik, 3), "2024-08-02T20:00:00"), (number(cik, 2), "2024-08-02T10:00:00")]
        world.file(cik, *new, (number(cik, 1), BASELINE))
        world.file(world.ciks[other], (number(1, 9), "2024-08-02T20:00:00"), form="8-K")
        result = world.tick(cursor)
        assert keys(result) == [run_key(cik, 2, ticker), run_key(cik, 3, ticker)]
        assert {request.partition_key for request in result.run_requests or []} == {ticker}
        (added,) = result.dynamic_partitions_requests or []
        assert (added.partitions_def_name, list(added.partition_keys)) == ("tickers", [ticker])
        assert keys(world.tick(str(result.cursor))) == []
        # A tick whose answer was lost says the same again, under the same run keys.
        assert keys(world.tick(cursor)) == keys(result)

    def test_the_daemon_can_start_the_runs_of_a_ticker_without_partition(self, world: World) -> None:
        cursor = world.baseline()
        ticker = world.tickers[2]
        cik = world.ciks[ticker]
        world.file(cik, (number(cik, 2), "2024-08-02T10:00:00"), (number(cik, 1), BASELINE))
        assert not world.instance.get_dynamic_partitions("tickers")
        # As the code server evaluates it: the partition is checked against those that the tick adds.
        with dg.SensorEvaluationContext(
            instance_ref=world.instance.get_ref(),
            last_tick_completion_time=None,
            last_run_key=None,
            cursor=cursor,
            repository_name=None,
            repository_def=world.graph.definitions.get_repository_def(),
        ) as context:
            tick = world.graph.definitions.resolve_sensor_def("new_filings").evaluate_tick(context)
        (request,) = tick.run_requests or []
        assert request.tags["dagster/partition"] == ticker

    def test_the_run_asks_again_on_the_same_day(self, world: World) -> None:
        world.graph.run("sec_documents", "filings")
        ticker = world.tickers[0]
        cik = world.ciks[ticker]
        cursor = world.baseline()
        world.file(cik, (number(cik, 2), "2024-08-02T10:00:00"), (number(cik, 1), BASELINE))
        (request,) = world.tick(cursor).run_requests or []
        assert request.tags[ACCESSION_TAG] == number(cik, 2)
        job = world.graph.definitions.resolve_job_def("sec")
        result = job.execute_in_process(
            instance=world.instance,
            partition_key=request.partition_key,
            tags=dict(request.tags),
            asset_selection=[SEC_DOCUMENTS, FILINGS],
        )
        assert result.success
        assert [row["accession"] for row in world.table() if row["ticker"] == ticker] == [
            number(cik, 1),
            number(cik, 2),
        ]
        assert len(world.table()) == len(world.tickers) + 1

    def test_a_company_that_keeps_failing_holds_up_nothing_of_the_others(self, world: World) -> None:
        graph, ticker = world.graph, world.tickers[3]
        world.edgar.reply_with(submissions_path(world.ciks[ticker]), *[500] * 3)
        names = ("sec_documents", "filings")
        for _ in range(2):
            (account,) = run_stages(graph.definitions, graph.workspace, world.instance, names=names, missing_only=True)
            assert (account.failed, account.held_up) == (1, set())
        assert FILINGS in account.made_of
        assert {row["ticker"] for row in world.table()} == set(world.tickers) - {ticker}

    def test_late_and_corrected_times_skip_and_repeat_nothing(self, world: World) -> None:
        ticker = world.tickers[0]
        cik = world.ciks[ticker]
        world.file(cik, (number(cik, 1), "2024-05-03T16:42:19"))
        cursor = world.baseline()
        # The newest is corrected by the offset of New York, and one that was accepted before it turns up.
        late = [(number(cik, 1), "2024-05-03T20:42:19"), (number(cik, 2), "2024-04-30T10:00:00")]
        world.file(cik, *late)
        result = world.tick(cursor)
        assert keys(result) == [run_key(cik, 2, ticker)]
        world.file(cik, *late[::-1])
        assert keys(world.tick(str(result.cursor))) == []

    def test_a_failure_midway_skips_and_repeats_nothing(self, world: World) -> None:
        cursor = world.baseline()
        for cik in world.ciks.values():
            world.file(cik, (number(cik, 2), "2024-08-02T10:00:00"), (number(cik, 1), BASELINE))
        spoiled = [world.tickers[i] for i in (1, 4, 6)]
        for ticker, trouble in zip(spoiled, (500, "hang up", b'{"filings": {}}'), strict=True):
            world.edgar.reply_with(submissions_path(world.ciks[ticker]), trouble)
        first = world.tick(cursor)
        assert len(keys(first)) == len(world.tickers) - 3
        second = world.tick(str(first.cursor))
        wanted = sorted(run_key(cik, 2, ticker) for ticker, cik in world.ciks.items())
        assert sorted(keys(first) + keys(second)) == wanted
        assert sorted(request.partition_key or "" for request in second.run_requests or []) == spoiled
        assert keys(world.tick(str(second.cursor))) == []

    def test_a_tick_that_is_cut_short_moves_nothing(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        cursor = world.baseline()
        for cik in world.ciks.values():
            world.file(cik, (number(cik, 2), "2024-08-02T10:00:00"), (number(cik, 1), BASELINE))
        look = sec_sensor._look

        def killed(client: Any, ticker: str, before: Any) -> Any:
            if ticker == world.tickers[6]:
                raise DocumentError("the folder is gone")
            return look(client, ticker, before)

        with monkeypatch.context() as patch:
            patch.setattr(sec_sensor, "_look", killed)
            with pytest.raises(DocumentError):
                world.tick(cursor)
        assert len(keys(world.tick(cursor))) == len(world.tickers)

    def test_a_service_that_is_down_ends_the_tick_and_the_next_goes_on(self, world: World) -> None:
        cursor = world.baseline()
        for cik in world.ciks.values():
            world.edgar.reply_with(submissions_path(cik), 503)
        result = world.tick(cursor)
        assert "SEC EDGAR is in trouble (HTTP 503)" in str(result.skip_reason)
        assert json.loads(str(result.cursor))["after"] == world.tickers[2]
        assert json.loads(str(result.cursor))["seen"] == json.loads(cursor)["seen"]

    def test_tickers_have_their_turn_and_ticks_end(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sec_sensor, "TICKERS_A_TICK", 4)
        cursor: str | None = None
        for _ in range(3):
            cursor = str(world.tick(cursor).cursor)
        asked = [path for _, path, _ in world.edgar.asked if path.startswith("/submissions")]
        order = [*world.tickers, *world.tickers][:12]
        assert asked == [submissions_path(world.ciks[ticker]) for ticker in order]
        monkeypatch.setattr(sec_sensor, "LONGEST_TICK_S", -1.0)
        assert world.tick(cursor).cursor == cursor

    def test_two_share_classes_have_a_run_each(self, world: World) -> None:
        first, second = world.tickers[:2]
        cik = world.ciks[first]
        world.edgar.list_companies({**world.ciks, second: cik})
        cursor = world.baseline()
        world.file(cik, (number(cik, 2), "2024-08-02T10:00:00"), (number(cik, 1), BASELINE))
        assert keys(world.tick(cursor)) == [run_key(cik, 2, first), run_key(cik, 2, second)]

    def test_an_unknown_ticker_that_is_listed_later_brings_no_history(self, world: World) -> None:
        ticker = world.tickers[0]
        cik = world.ciks[ticker]
        del world.edgar.documents[submissions_path(cik)]
        cursor = world.baseline()
        world.file(cik, *((number(cik, n), f"2024-0{n}-02T10:00:00") for n in range(1, 9)))
        assert keys(world.tick(cursor)) == []


class TestErrors:
    def test_the_contact_is_in_no_log_metadata_or_traceback(
        self, world: World, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
    ) -> None:
        caplog.set_level(logging.DEBUG)
        world.edgar.reply_with(facts_path(world.ciks[world.tickers[0]]), 403)
        world.edgar.reply_with(facts_path(world.ciks[world.tickers[1]]), "hang up")
        definitions, workspace, instance = world.graph.definitions, world.graph.workspace, world.instance
        list(run_stages(definitions, workspace, instance, names=["sec_documents", "filings"]))
        for path in [*world.edgar.documents]:
            world.edgar.reply_with(path, *["hang up"] * 9)
        for key in [info.key for info in workspace.documents.list("sec") if info.key.endswith("state.json")]:
            (Path(workspace.documents.root) / key).unlink()
        accounts = list(run_stages(definitions, workspace, instance, names=["sec_documents"]))
        assert f"None of {2 * len(world.tickers)} documents could be had" in str(accounts[0].failures)
        tick = world.tick(None)
        assert "SEC EDGAR could not be reached" in str(tick.skip_reason)
        events = [
            entry.to_json() if hasattr(entry, "to_json") else str(entry)
            for run in instance.get_runs()
            for entry in instance.all_logs(run.run_id)
        ]
        captured = capfd.readouterr()
        told = "\n".join([*events, *map(str, instance.get_runs()), caplog.text, captured.out, captured.err, str(tick)])
        assert "sec_documents" in told
        assert all(info.key for info in Documents(workspace.documents.root).list())
        stored = [path.read_bytes() for path in workspace.settings.home.rglob("*") if path.is_file()]
        for secret in (CONTACT, "ada.lovelace", "Lovelace"):
            assert secret not in told
            assert not any(secret.encode() in content for content in stored)
