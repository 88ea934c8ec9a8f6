"""Jobs, schedules and sensors: what runs after the close, in which order, and the weekly upkeep.

A run can only hold one partitions definition, so a day is four runs, each started by the success of the one before:
load_prices (by ticker) -> daily (by date) -> details (by ticker) -> report.
"""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition as Job

from factor_assets.defs.maintenance import LAKE_MAINTENANCE
from factor_assets.defs.partitions import TICKERS, partition_of
from factor_assets.panel import calendar
from factor_assets.workspace import Workspace

STAGES = ("load_prices", "daily", "details", "report")
SESSION_TAG = "factor_assets/session"
RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


def stage_selections(assets: list[dg.AssetsDefinition]) -> dict[str, list[dg.AssetKey]]:
    """Split the assets into the stages by how they are partitioned; upstream assets come first."""
    stages: dict[str, list[dg.AssetKey]] = {stage: [] for stage in STAGES}
    for definition in assets:
        for spec in definition.specs:
            if spec.key == LAKE_MAINTENANCE:
                continue
            if isinstance(spec.partitions_def, dg.TimeWindowPartitionsDefinition):
                stages["daily"].append(spec.key)
            elif spec.partitions_def is None:
                stages["report"].append(spec.key)
            else:
                stages["details" if list(spec.deps) else "load_prices"].append(spec.key)
    return stages


def stage_jobs(assets: list[dg.AssetsDefinition]) -> dict[str, Job]:
    """Return one job a stage, in order."""
    described = {
        "load_prices": "Fetch price history, one partition a ticker.",
        "daily": "Universe, clean prices, factors and their returns, one partition a date.",
        "details": "Regress each ticker on each factor's return.",
        "report": "Summary and page.",
    }
    return {
        stage: dg.define_asset_job(stage, dg.AssetSelection.assets(*keys), description=described[stage])
        for stage, keys in stage_selections(assets).items()
    }


def maintenance_job() -> Job:
    """Return the upkeep's job."""
    return dg.define_asset_job(
        "maintenance", dg.AssetSelection.assets(LAKE_MAINTENANCE), description="Upkeep of the lake."
    )


def add_tickers(instance: dg.DagsterInstance, workspace: Workspace) -> list[str]:
    """Add a partition for every wanted ticker that has none; return all, in the instance's order.

    New keys are added sorted. A range over dynamic partitions follows the order in which they were added.
    """
    name = str(TICKERS.name)
    known = set(instance.get_dynamic_partitions(name))
    new = [ticker for ticker in workspace.wanted_tickers() if ticker not in known]
    if new:
        instance.add_dynamic_partitions(name, new)
    return list(instance.get_dynamic_partitions(name))


def range_tags(first: str, last: str) -> dict[str, str]:
    """Tags that make one run cover the partitions from first to last."""
    return {RANGE_START: first, RANGE_END: last}


def schedules(workspace: Workspace) -> list[dg.ScheduleDefinition]:
    """Return the daily and the weekly schedule, both off until switched on in the UI."""
    settings = workspace.settings
    zone = calendar.time_zone(settings.data.calendar)
    start = _two_hours_after_close(workspace)

    @dg.schedule(
        name="daily_after_close",
        job_name="load_prices",
        cron_schedule=f"{start.minute} {start.hour} * * *",
        execution_timezone=zone,
        description="Two hours after the close of each session: prices, then everything that follows from them.",
    )
    def daily_after_close(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        today = context.scheduled_execution_time.astimezone(ZoneInfo(zone)).date()
        skip = _no_session_reason(workspace, today)
        if skip:
            return dg.SkipReason(skip)
        tickers = add_tickers(context.instance, workspace)
        return dg.RunRequest(
            run_key=f"{today}", tags={**range_tags(tickers[0], tickers[-1]), SESSION_TAG: today.isoformat()}
        )

    weekly = dg.ScheduleDefinition(
        name="weekly_maintenance", job_name="maintenance", cron_schedule="0 6 * * 0", execution_timezone=zone
    )
    return [daily_after_close, weekly]


def followers(workspace: Workspace, jobs: Mapping[str, Job]) -> list[dg.SensorDefinition]:
    """Return one sensor a stage, which starts the next stage of a scheduled session when it succeeds."""
    return [_follower(workspace, jobs, stage, after) for stage, after in pairwise(STAGES)]


def _follower(workspace: Workspace, jobs: Mapping[str, Job], stage: str, after: str) -> dg.SensorDefinition:
    @dg.run_status_sensor(
        name=f"{after}_after_{stage}",
        run_status=dg.DagsterRunStatus.SUCCESS,
        monitored_jobs=[jobs[stage]],
        request_job=jobs[after],
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Starts {after} when the scheduled {stage} of a session has succeeded.",
    )
    def follower(context: dg.RunStatusSensorContext) -> dg.RunRequest | dg.SkipReason:
        session = context.dagster_run.tags.get(SESSION_TAG)
        if session is None:
            return dg.SkipReason("the run was not started by the daily schedule")
        return dg.RunRequest(
            run_key=f"{after}-{session}-{context.dagster_run.run_id}",
            tags={SESSION_TAG: session, **_partition_tags(workspace, context.instance, after, session)},
        )

    return follower


def _partition_tags(workspace: Workspace, instance: dg.DagsterInstance, stage: str, session: str) -> Mapping[str, str]:
    if stage == "daily":
        key = partition_of(workspace.settings, date.fromisoformat(session))
        return {"dagster/partition": key}
    if stage == "details":
        tickers = instance.get_dynamic_partitions(str(TICKERS.name))
        return range_tags(tickers[0], tickers[-1])
    return {}


def _no_session_reason(workspace: Workspace, day: date) -> str | None:
    settings = workspace.settings
    if settings.end is not None and day > settings.end:
        return f"the data end on {settings.end} (setting data.end)"
    if len(calendar.sessions(settings.data.calendar, day, day)) == 0:
        return f"{day} is not a session of {settings.data.calendar}"
    return None


def _two_hours_after_close(workspace: Workspace) -> datetime:
    """A regular close in the exchange's zone plus two hours, not past midnight."""
    name = workspace.settings.data.calendar
    first, last = calendar.calendar_range(name)
    closes = [
        calendar.close_time(name, calendar.previous_session(name, last, back)).astimezone(
            ZoneInfo(calendar.time_zone(name))
        )
        for back in range(1, 6)
    ]
    regular = max(closes, key=lambda close: close.time())
    later = regular + timedelta(hours=2)
    return later if later.date() == regular.date() else regular.replace(hour=23, minute=30)
