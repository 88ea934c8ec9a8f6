"""Jobs, schedules and sensors: what runs after the close, in which order, and the weekly upkeep.

A run can only hold one partitions definition, so a day is four runs, each started by the success of the one before:
load_prices (by ticker) -> daily (by date) -> details (by ticker) -> report. What is made on demand is in the job
`libraries` alone, which nothing starts.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import dagster as dg
import numpy as np
import pyarrow.compute as pc
from dagster._core.definitions.assets.graph.base_asset_graph import BaseAssetNode
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition as Job
from sqlalchemy.exc import IntegrityError

from factor_assets import calendar
from factor_assets.defs.maintenance import LAKE_MAINTENANCE
from factor_assets.defs.partitions import TICKERS, partition_of
from factor_assets.settings import Settings
from factor_assets.workspace import Workspace

STAGES = ("load_prices", "daily", "details", "report")
LIBRARIES = "libraries"
"""The stage of what is by date and made on demand: it follows `daily`, and nothing needs it."""

ON_DEMAND = {"factor_assets/on_demand": "true"}
"""Tag of the assets that are made when they are named, and never with the rest."""

SESSION_TAG = "factor_assets/session"
PARTITION = "dagster/partition"
RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"

STAGE_TAG = "factor_assets/stage"
"""Tag of the assets that belong to one of `DOCUMENT_STAGES`."""

DOCUMENT_STAGES: Mapping[str, str] = {
    "sec": "Fetch facts and filings from the SEC and make their tables, one partition a ticker.",
    "reports": "Read and rate reports, one partition a document.",
}
"""Stage of documents -> description of its job. Their own schedules and sensors start them, not the day's; where
everything is made at once, they come after the prices and before what is by date."""

ON_ARRIVAL = frozenset({"reports"})
"""Stages of documents of which a day may bring none."""

FOLLOW_EVERY_S = 10
FRESHNESS_YEARS = 5


def stage_selections(assets: list[dg.AssetsDefinition]) -> dict[str, list[dg.AssetKey]]:
    """Split the assets into the stages by how they are partitioned; upstream assets come first.

    The stages are in the order in which they are made: those of a day, those of documents that have assets after the
    prices, and `LIBRARIES` after the one by date.
    """
    stages: dict[str, list[dg.AssetKey]] = {
        stage: [] for stage in ("load_prices", *DOCUMENT_STAGES, "daily", LIBRARIES, "details", "report")
    }
    for definition in assets:
        for spec in definition.specs:
            if spec.key == LAKE_MAINTENANCE:
                continue
            if STAGE_TAG in spec.tags:
                stages[spec.tags[STAGE_TAG]].append(spec.key)
            elif is_on_demand(spec):
                stages[LIBRARIES].append(spec.key)
            elif isinstance(spec.partitions_def, dg.TimeWindowPartitionsDefinition):
                stages["daily"].append(spec.key)
            elif spec.partitions_def is None:
                stages["report"].append(spec.key)
            else:
                stages["details" if list(spec.deps) else "load_prices"].append(spec.key)
    return {stage: keys for stage, keys in stages.items() if keys or stage not in DOCUMENT_STAGES}


def is_on_demand(asset: dg.AssetSpec | BaseAssetNode) -> bool:
    """Whether the asset is left out unless it is named."""
    return ON_DEMAND.items() <= asset.tags.items()


def stage_jobs(assets: list[dg.AssetsDefinition]) -> dict[str, Job]:
    """Return one job a stage that has assets, in order."""
    described = {
        "load_prices": "Fetch price history, one partition a ticker.",
        **DOCUMENT_STAGES,
        "daily": "Universe, clean prices, factors and their returns, one partition a date.",
        LIBRARIES: "Libraries of factors that are not part of the daily run, one partition a date.",
        "details": "Regress each ticker on each factor's return.",
        "report": "Summary and page.",
    }
    return {
        stage: dg.define_asset_job(stage, dg.AssetSelection.assets(*keys), description=described[stage])
        for stage, keys in stage_selections(assets).items()
        if keys
    }


def maintenance_job() -> Job:
    """Return the upkeep's job."""
    return dg.define_asset_job(
        "maintenance", dg.AssetSelection.assets(LAKE_MAINTENANCE), description="Upkeep of the lake."
    )


def add_tickers(instance: dg.DagsterInstance, workspace: Workspace) -> list[str]:
    """Make the partitions those of the wanted tickers, and return them in the instance's order.

    New keys are added sorted: a range over dynamic partitions follows the order in which they were added. Those of
    tickers that the settings no longer want, or that the source no longer has, are removed, so that nobody asks for
    them; what was recorded of them stays. If no ticker is wanted, all are left as they are: that is a mistake in the
    settings, or a source that is not there for the moment.
    """
    name = str(TICKERS.name)
    wanted = workspace.wanted_tickers()
    if not wanted:
        return []
    known = set(instance.get_dynamic_partitions(name))
    for ticker in sorted(known.difference(wanted)):
        instance.delete_dynamic_partition(name, ticker)
    new = [ticker for ticker in wanted if ticker not in known]
    if new:
        try:
            instance.add_dynamic_partitions(name, new)
        except IntegrityError:
            # Another run has just added some of them, in one transaction: now they are seen.
            instance.add_dynamic_partitions(name, new)
    return list(instance.get_dynamic_partitions(name))


def range_tags(first: str, last: str) -> dict[str, str]:
    """Tags that make one run cover the partitions from first to last."""
    return {RANGE_START: first, RANGE_END: last}


def schedules(workspace: Workspace) -> list[dg.ScheduleDefinition]:
    """Return the daily and the weekly schedule, both off until switched on in the UI."""
    settings = workspace.settings
    zone = calendar.time_zone(settings.data.calendar)
    start = _two_hours_after_close(settings.data.calendar)

    @dg.schedule(
        name="daily_after_close",
        job_name="load_prices",
        cron_schedule=f"{start.minute} {start.hour} * * *",
        execution_timezone=zone,
        description="Two hours after the close of each session: prices, then everything that follows from them.",
    )
    def daily_after_close(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        session, reason = _session_just_closed(settings, context.scheduled_execution_time)
        if session is None:
            return dg.SkipReason(reason)
        # The code server lives for weeks: a new workspace sees the tickers that the source holds today.
        tickers = add_tickers(context.instance, Workspace(settings))
        if not tickers:
            return dg.SkipReason(_no_ticker_reason(settings))
        return dg.RunRequest(
            run_key=f"{session}", tags={**range_tags(tickers[0], tickers[-1]), SESSION_TAG: f"{session}"}
        )

    weekly_maintenance = dg.ScheduleDefinition(
        name="weekly_maintenance",
        job_name="maintenance",
        cron_schedule="0 6 * * 0",
        execution_timezone=zone,
        description="Sunday morning: compact the lake and delete what no recent version needs.",
    )
    return [daily_after_close, weekly_maintenance]


def followers(workspace: Workspace, jobs: Mapping[str, Job]) -> list[dg.SensorDefinition]:
    """Return one sensor a stage, which starts the next stage of a scheduled session when it succeeds."""
    return [_follower(workspace.settings, jobs, stage, after) for stage, after in pairwise(STAGES)]


def _follower(settings: Settings, jobs: Mapping[str, Job], stage: str, after: str) -> dg.SensorDefinition:
    @dg.run_status_sensor(
        name=f"{after}_after_{stage}",
        run_status=dg.DagsterRunStatus.SUCCESS,
        monitored_jobs=[jobs[stage]],
        request_job=jobs[after],
        minimum_interval_seconds=FOLLOW_EVERY_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Starts {after} when the scheduled {stage} of a session has succeeded.",
    )
    def follower(context: dg.RunStatusSensorContext) -> dg.RunRequest | dg.SkipReason:
        session = context.dagster_run.tags.get(SESSION_TAG)
        if session is None:
            return dg.SkipReason("the run was not started by the daily schedule")
        tags: Mapping[str, str] = {}
        if after == "daily":
            tags = _dates_to_make(settings, date.fromisoformat(session))
        elif after == "details":
            tickers = context.instance.get_dynamic_partitions(str(TICKERS.name))
            if not tickers:
                return dg.SkipReason(_no_ticker_reason(settings))
            tags = range_tags(tickers[0], tickers[-1])
        return dg.RunRequest(
            run_key=f"{after}-{session}-{context.dagster_run.run_id}", tags={SESSION_TAG: session, **tags}
        )

    return follower


def with_freshness(assets: Sequence[dg.AssetsDefinition], settings: Settings) -> list[dg.AssetsDefinition]:
    """Give every asset a freshness policy, unless the data have an end: then nothing is due any more.

    An asset is late when it was not made for a day longer than the exchange's longest holiday, so that none sets off an
    alarm; the upkeep is late a day after its week. What is made on demand, or when a document arrives, is never late.
    """
    if settings.end is not None:
        return list(assets)
    daily = dg.FreshnessPolicy.time_window(fail_window=_longest_closure(settings.data.calendar) + timedelta(days=1))
    weekly = dg.FreshnessPolicy.time_window(fail_window=timedelta(days=8))

    def due(spec: dg.AssetSpec) -> dg.AssetSpec:
        if is_on_demand(spec) or spec.tags.get(STAGE_TAG) in ON_ARRIVAL:
            return spec
        return spec.replace_attributes(freshness_policy=weekly if spec.key == LAKE_MAINTENANCE else daily)

    return [definition.map_asset_specs(due) for definition in assets]


def _session_just_closed(settings: Settings, now: datetime) -> tuple[date | None, str]:
    """Return the session that closed in the day before now; None and the reason if there is none to load."""
    name = settings.data.calendar
    session = calendar.last_completed_session(name, now)
    if now - calendar.close_time(name, session) > timedelta(days=1):
        return None, f"no session of {name} closed in the last 24 hours; the last was {session}"
    if settings.end is not None and session > settings.end:
        return None, f"the data end on {settings.end} (setting data.end)"
    if session < settings.start:
        return None, f"the data start on {settings.start} (setting data.start)"
    return session, ""


def _no_ticker_reason(settings: Settings) -> str:
    # A range from nothing to nothing would run with no ticker and report success.
    return (
        f"universe {settings.universe_name!r} and source {settings.data.source!r} have no ticker in common;"
        " `factor-assets doctor` says more"
    )


def _dates_to_make(settings: Settings, session: date) -> dict[str, str]:
    """Tags of the date partitions from the first session that must be made to this one.

    An evening that was missed, perhaps the last of a month, is made up for by the next; so are a ticker that was late
    and a history that the vendor revised.
    """
    workspace = Workspace(settings)
    newest: date | None = pc.max(workspace.store.read("prices", columns=["date"])["date"]).as_py()
    due = settings.start if newest is None else calendar.next_session(settings.data.calendar, newest)
    first = partition_of(settings, min(due, workspace.first_date_to_make() or due, session))
    last = partition_of(settings, session)
    return {PARTITION: last} if first == last else range_tags(first, last)


def _longest_closure(name: str) -> timedelta:
    """Longest time from one session to the next in the last years that the calendar knows."""
    _, last = calendar.calendar_range(name)
    days = calendar.sessions(name, date(last.year - FRESHNESS_YEARS, 1, 1), last)
    return timedelta(days=int(np.diff(days).max().astype(int)))


def _two_hours_after_close(name: str) -> datetime:
    """A regular close in the exchange's zone plus two hours, not past midnight."""
    _, last = calendar.calendar_range(name)
    zone = ZoneInfo(calendar.time_zone(name))
    closes = [
        calendar.close_time(name, calendar.previous_session(name, last, back)).astimezone(zone) for back in range(1, 6)
    ]
    regular = max(closes, key=lambda close: close.time())
    later = regular + timedelta(hours=2)
    return later if later.date() == regular.date() else regular.replace(hour=23, minute=30)
