"""What runs when: the schedules' answers, how a session is handed on, and when an asset counts as late."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import polars as pl
import pytest

from factor_assets import calendar
from factor_assets.defs.automation import PARTITION, RANGE_END, RANGE_START, SESSION_TAG, STAGES, is_on_demand
from factor_assets.defs.graph import build_definitions
from factor_assets.defs.instance import open_instance
from factor_assets.settings import Settings
from factor_assets.workspace import Workspace
from factor_assets_tests.market import run, small_settings

NEW_YORK = ZoneInfo("America/New_York")
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    with open_instance(small_settings(tmp_path_factory.mktemp("instance"))) as instance:
        yield instance


@pytest.fixture
def instance(opened: dg.DagsterInstance) -> Iterator[dg.DagsterInstance]:
    yield opened
    for ticker in opened.get_dynamic_partitions("tickers"):
        opened.delete_dynamic_partition("tickers", ticker)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with prices up to 2024-02-29."""
    home = tmp_path_factory.mktemp("stored")
    run(
        small_settings(home, data={"source": "sample", "start": date(2024, 1, 2), "end": date(2024, 2, 29)}),
        names=["price_history", "prices"],
    )
    return home


def open_ended(folder: Path, *, tickers: Sequence[str] = ("BBB", "AAA"), **changes: Any) -> Settings:
    """Settings of a file source without an end, over two months of flat prices of the tickers."""
    days = calendar.sessions("XNYS", date(2024, 1, 2), date(2024, 2, 29)).tolist()
    rows = [
        {"ticker": t, "date": d, **dict.fromkeys(("open", "high", "low", "close"), 10.0)} for t in tickers for d in days
    ]
    schema = ["ticker", "date", "open", "high", "low", "close"]
    frame = pl.DataFrame(rows, schema=None if rows else schema).with_columns(
        volume=pl.lit(1e6), dividend=pl.lit(0.0), split=pl.lit(1.0)
    )
    frame.write_csv(folder / "prices.csv")
    sections: dict[str, Any] = {
        "home": folder / "home",
        "data": {"source": "files", "start": date(2024, 1, 2)},
        "files": {"path": str(folder / "prices.csv")},
        "universe": {"name": "all"},
        **changes,
    }
    return Settings.model_validate(sections)


def tick(settings: Settings, instance: dg.DagsterInstance, when: datetime) -> Any:
    """What the daily schedule answers at a moment."""
    schedule = build_definitions(settings).resolve_schedule_def("daily_after_close")
    return schedule(dg.build_schedule_context(instance=instance, scheduled_execution_time=when))


def follow(settings: Settings, instance: dg.DagsterInstance, stage: str, tags: dict[str, str]) -> Any:
    """What the sensor behind a stage answers to a successful run with these tags."""
    definitions = build_definitions(settings)

    @dg.op
    def nothing() -> None: ...

    @dg.job(name=stage)
    def stand_in() -> None:
        nothing()

    done = stand_in.execute_in_process(instance=instance, tags=tags, run_config=QUIET)
    context = dg.build_run_status_sensor_context(
        sensor_name="follower",
        dagster_instance=instance,
        dagster_run=done.dagster_run,
        dagster_event=next(e for e in done.all_events if e.event_type == dg.DagsterEventType.PIPELINE_SUCCESS),
    )
    after = STAGES[STAGES.index(stage) + 1]
    return definitions.resolve_sensor_def(f"{after}_after_{stage}")(context)


class TestAgainstTheCalendar:
    def test_the_schedules_are_two_hours_after_the_close_and_off(self, tmp_path: Path) -> None:
        for code, cron in {"XNYS": "0 18 * * *", "XLON": "30 18 * * *", "XTKS": "30 17 * * *"}.items():
            definitions = build_definitions(small_settings(tmp_path, data={"source": "sample", "calendar": code}))
            daily = definitions.resolve_schedule_def("daily_after_close")
            weekly = definitions.resolve_schedule_def("weekly_maintenance")
            assert (daily.cron_schedule, daily.execution_timezone) == (cron, calendar.time_zone(code))
            assert (weekly.cron_schedule, weekly.execution_timezone) == ("0 6 * * 0", calendar.time_zone(code))
            assert {daily.default_status, weekly.default_status} == {dg.DefaultScheduleStatus.STOPPED}

    def test_every_evening_of_a_winter_asks_for_its_session_or_none(
        self, tmp_path: Path, instance: dg.DagsterInstance
    ) -> None:
        # Two early closes, the end of summer time, and a day of mourning among the holidays.
        first, last = date(2024, 11, 1), date(2025, 1, 15)
        data = {"source": "sample", "start": first, "end": last}
        settings = small_settings(tmp_path, data=data)
        schedule = build_definitions(settings).resolve_schedule_def("daily_after_close")
        asked = []
        day = first - timedelta(days=3)
        while day < last + timedelta(days=3):
            when = datetime(day.year, day.month, day.day, 18, tzinfo=NEW_YORK)
            answer = schedule(dg.build_schedule_context(instance=instance, scheduled_execution_time=when))
            if isinstance(answer, dg.RunRequest):
                assert answer.run_key == answer.tags[SESSION_TAG] == f"{day}"
                asked.append(day)
            day += timedelta(days=1)
        assert asked == calendar.sessions("XNYS", first, last).tolist()

    @pytest.mark.parametrize(
        "when",
        [
            datetime(2024, 3, 8, 18, tzinfo=NEW_YORK),  # the last evening of winter time
            datetime(2024, 3, 11, 18, tzinfo=NEW_YORK),  # the first of summer time
            datetime(2024, 11, 4, 23, tzinfo=ZoneInfo("UTC")),  # 18:00 in New York, given in UTC
            datetime(2024, 11, 29, 18, tzinfo=NEW_YORK),  # the close was at 13:00
        ],
    )
    def test_a_session_is_a_day_of_the_exchange(
        self, tmp_path: Path, instance: dg.DagsterInstance, when: datetime
    ) -> None:
        answer = tick(open_ended(tmp_path), instance, when)
        assert answer.tags[SESSION_TAG] == f"{when.astimezone(NEW_YORK).date()}"

    @pytest.mark.parametrize(("code", "days"), [("XNYS", 4), ("XSHG", 11)])
    def test_an_asset_is_late_after_more_than_the_longest_holiday(self, tmp_path: Path, code: str, days: int) -> None:
        settings = open_ended(
            tmp_path,
            data={"source": "files", "calendar": code, "start": date(2024, 1, 2)},
            reports={"path": str(tmp_path / "drop")},
        )
        graph = build_definitions(settings).resolve_asset_graph()
        assert dg.AssetKey("report_ratings") in graph.get_all_asset_keys()
        for key in graph.get_all_asset_keys():
            policy = graph.get(key).freshness_policy
            if is_on_demand(graph.get(key)) or key.path[-1] in ("reports", "report_ratings"):
                assert policy is None
                continue
            expected = timedelta(days=8 if key.path == ["lake_maintenance"] else days + 1)
            assert policy is not None
            assert policy.fail_window.to_timedelta() == expected


class TestProperties:
    def test_the_range_covers_every_ticker_however_they_were_added(
        self, tmp_path: Path, instance: dg.DagsterInstance
    ) -> None:
        monday, tuesday = (datetime(2024, 2, day, 18, tzinfo=NEW_YORK) for day in (5, 6))
        first = tick(open_ended(tmp_path), instance, monday)
        assert (first.tags[RANGE_START], first.tags[RANGE_END]) == ("AAA", "BBB")
        # A company listed later comes last in the instance, although its name does not.
        second = tick(open_ended(tmp_path, tickers=["BBB", "AAA", "AAB"]), instance, tuesday)
        assert instance.get_dynamic_partitions("tickers") == ["AAA", "BBB", "AAB"]
        assert (second.tags[RANGE_START], second.tags[RANGE_END]) == ("AAA", "AAB")

    @pytest.mark.parametrize(
        ("session", "grain", "expected"),
        [
            (date(2024, 2, 29), "month", {PARTITION: "2024-02"}),
            (date(2024, 3, 1), "month", {PARTITION: "2024-03"}),
            (date(2024, 3, 1), "day", {PARTITION: "2024-03-01"}),
            (date(2024, 2, 29), "day", {PARTITION: "2024-02-29"}),
            # Evenings were missed: what they would have made is made now.
            (date(2024, 4, 1), "month", {RANGE_START: "2024-03", RANGE_END: "2024-04"}),
            (date(2024, 3, 5), "day", {RANGE_START: "2024-03-01", RANGE_END: "2024-03-05"}),
        ],
    )
    def test_the_dates_from_the_first_that_is_not_stored(
        self, stored: Path, instance: dg.DagsterInstance, session: date, grain: str, expected: dict[str, str]
    ) -> None:
        settings = small_settings(
            stored,
            data={"source": "sample", "start": date(2024, 1, 2), "end": date(2024, 12, 31)},
            partitions={"grain": grain},
        )
        answer = follow(settings, instance, "load_prices", {SESSION_TAG: f"{session}"})
        assert answer.tags == {SESSION_TAG: f"{session}", **expected}

    def test_a_new_home_makes_everything(self, tmp_path: Path, instance: dg.DagsterInstance) -> None:
        answer = follow(open_ended(tmp_path), instance, "load_prices", {SESSION_TAG: "2024-03-04"})
        assert answer.tags == {SESSION_TAG: "2024-03-04", RANGE_START: "2024-01", RANGE_END: "2024-03"}

    def test_details_cover_every_ticker_and_the_report_has_no_partition(
        self, tmp_path: Path, instance: dg.DagsterInstance
    ) -> None:
        settings = open_ended(tmp_path)
        instance.add_dynamic_partitions("tickers", ["AAA", "BBB"])
        session = {SESSION_TAG: "2024-02-29"}
        assert follow(settings, instance, "daily", session).tags == {**session, RANGE_START: "AAA", RANGE_END: "BBB"}
        assert follow(settings, instance, "details", session).tags == session

    def test_two_runs_of_a_session_are_followed_each(self, tmp_path: Path, instance: dg.DagsterInstance) -> None:
        keys = {follow(open_ended(tmp_path), instance, "details", {SESSION_TAG: "2024-02-29"}).run_key for _ in "12"}
        assert len(keys) == 2

    def test_a_session_goes_through_all_stages(self, tmp_path: Path, instance: dg.DagsterInstance) -> None:
        settings = open_ended(tmp_path, tickers=[f"T{i:02d}" for i in range(12)])
        definitions = build_definitions(settings)
        answer = tick(settings, instance, datetime(2024, 2, 29, 18, tzinfo=NEW_YORK))
        tags: dict[str, str] = {}
        for stage in STAGES:
            tags = {k: v for k, v in answer.tags.items() if not k.startswith((".dagster", "dagster/schedule"))}
            job = definitions.resolve_job_def(stage)
            key = tags.get(PARTITION)
            done = job.execute_in_process(instance=instance, tags=tags, partition_key=key, run_config=QUIET)
            assert done.success
            if stage != STAGES[-1]:
                answer = follow(settings, instance, stage, {SESSION_TAG: tags[SESSION_TAG]})
        assert tags == {SESSION_TAG: "2024-02-29"}
        store = Workspace(settings).store
        assert store.read("factor_timeseries", columns=["date"])["date"].to_pylist()[-1] == date(2024, 2, 29)
        assert Workspace(settings).tear_sheet_path.exists()


class TestErrors:
    @pytest.mark.parametrize(
        ("day", "last"),
        [(date(2024, 12, 25), "2024-12-24"), (date(2024, 3, 9), "2024-03-08"), (date(2024, 7, 4), "2024-07-03")],
    )
    def test_a_day_without_a_session_is_skipped(
        self, tmp_path: Path, instance: dg.DagsterInstance, day: date, last: str
    ) -> None:
        answer = tick(open_ended(tmp_path), instance, datetime(day.year, day.month, day.day, 18, tzinfo=NEW_YORK))
        assert isinstance(answer, dg.SkipReason)
        assert answer.skip_message == f"no session of XNYS closed in the last 24 hours; the last was {last}"

    def test_after_the_end_and_before_the_start_of_the_data_is_skipped(
        self, tmp_path: Path, instance: dg.DagsterInstance
    ) -> None:
        late = tick(small_settings(tmp_path), instance, datetime(2023, 5, 1, 18, tzinfo=NEW_YORK))
        assert late.skip_message == "the data end on 2023-04-28 (setting data.end)"
        early = tick(open_ended(tmp_path), instance, datetime(2023, 12, 28, 18, tzinfo=NEW_YORK))
        assert early.skip_message == "the data start on 2024-01-02 (setting data.start)"

    def test_no_ticker_is_skipped_never_run(self, tmp_path: Path, instance: dg.DagsterInstance) -> None:
        settings = open_ended(tmp_path, universe={"name": "list", "tickers": ["ZZZ"]})
        reason = "universe 'list' and source 'files' have no ticker in common; `factor-assets doctor` says more"
        assert tick(settings, instance, datetime(2024, 2, 5, 18, tzinfo=NEW_YORK)).skip_message == reason
        assert follow(settings, instance, "daily", {SESSION_TAG: "2024-02-05"}).skip_message == reason

    @pytest.mark.parametrize("stage", STAGES[:-1])
    def test_a_run_by_hand_is_not_followed(self, tmp_path: Path, instance: dg.DagsterInstance, stage: str) -> None:
        answer = follow(open_ended(tmp_path), instance, stage, {})
        assert answer.skip_message == "the run was not started by the daily schedule"

    def test_data_with_an_end_are_never_late(self, tmp_path: Path) -> None:
        graph = build_definitions(small_settings(tmp_path)).resolve_asset_graph()
        assert {graph.get(key).freshness_policy for key in graph.get_all_asset_keys()} == {None}
