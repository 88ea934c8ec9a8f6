"""When documents are asked for: the one place to change it.

Each schedule starts a job that the UI also starts by hand: `sec`, and `news`, whose assets are part of the job `daily`,
too.
"""

from collections.abc import Mapping
from datetime import timedelta

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition as Job

from factor_assets import calendar
from factor_assets.defs.automation import PARTITION, add_tickers, range_tags
from factor_assets.defs.document_scores import DOCUMENT_SCORES
from factor_assets.defs.news import NEWS, NEWS_SENTIMENTS
from factor_assets.defs.partitions import partition_of
from factor_assets.defs.sec import SEC
from factor_assets.settings import Settings
from factor_assets.workspace import Workspace

SEC_CRON = "0 1 * * *"
NEWS_CRON = "0 0 * * *"
ZONE = "UTC"
NEWS_SESSIONS = 5
"""Sessions back to which the news are made again: what failed on one night is asked for on the next."""


def document_schedules(workspace: Workspace, jobs: Mapping[str, Job]) -> list[dg.ScheduleDefinition]:
    """Return the schedules of the stages that there are, off until switched on in the UI."""
    found = [_sec_daily(workspace.settings)] if SEC in jobs else []
    return [*found, _news_daily(workspace.settings)] if workspace.settings.news.source else found


def _sec_daily(settings: Settings) -> dg.ScheduleDefinition:
    @dg.schedule(
        name="sec_daily",
        job_name=SEC,
        cron_schedule=SEC_CRON,
        execution_timezone=ZONE,
        description="Facts and filings of every ticker, in one run.",
    )
    def sec_daily(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        # The code server lives for weeks: a new workspace sees the tickers that the source holds today.
        tickers = add_tickers(context.instance, Workspace(settings))
        if not tickers:
            return dg.SkipReason("there is no ticker to ask for; `factor-assets doctor` says more")
        return dg.RunRequest(
            run_key=f"{context.scheduled_execution_time:%Y-%m-%d}", tags=range_tags(tickers[0], tickers[-1])
        )

    return sec_daily


def _news_daily(settings: Settings) -> dg.ScheduleDefinition:
    job = dg.define_asset_job(
        "news",
        dg.AssetSelection.assets(NEWS, NEWS_SENTIMENTS, DOCUMENT_SCORES),
        description="Ask for news and read them, one partition a date.",
    )

    @dg.schedule(
        name="news_daily",
        job=job,
        cron_schedule=NEWS_CRON,
        execution_timezone=ZONE,
        description="News of the last sessions. The day that has just ended is complete then.",
    )
    def news_daily(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        name, now = settings.data.calendar, context.scheduled_execution_time
        session = calendar.last_completed_session(name, now)
        if now - calendar.close_time(name, session) > timedelta(days=1):
            return dg.SkipReason(f"no session of {name} closed in the last 24 hours; the last was {session}")
        if not settings.start <= session <= settings.last_date:
            return dg.SkipReason(f"the data run from {settings.start} to {settings.last_date}, without {session}")
        earliest = max(settings.start, calendar.previous_session(name, session, NEWS_SESSIONS - 1))
        first, last = partition_of(settings, earliest), partition_of(settings, session)
        return dg.RunRequest(run_key=f"{session}", tags={PARTITION: last} if first == last else range_tags(first, last))

    return news_daily
