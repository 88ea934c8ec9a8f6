"""The sensor that carries new ratings on to the factors: from a dropped report to factor tables without waiting a day.

A tick compares the table `report_ratings` with what it was at the tick before, and requests one run over the date
partitions from the first session on which a changed rating is used: the scores, and the factors that read them. What
does not belong here: finding reports (`report_sensor.py`), and evidence on these factors, which the daily run and
`factor-assets backfill --missing` make again.
"""

from datetime import date

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition as Job

from factor_assets.defs.automation import range_tags
from factor_assets.defs.document_scores import DOCUMENT_SCORES
from factor_assets.defs.factors import factor_key
from factor_assets.defs.partitions import partition_of
from factor_assets.panel.fields import SCORES
from factor_assets.workspace import Workspace

JOB = "scores"
LOOK_EVERY_S = 30
_RATINGS = "report_ratings"
_USED = ("ticker", "report_date", "topic", "rating", "known_from")


def score_jobs(workspace: Workspace) -> list[Job]:
    """Return the job of the scores and the factors that read them; none without reports."""
    if not workspace.settings.reports.path:
        return []
    readers = [factor_key(f) for f in workspace.factors.values() if SCORES in f.document_tables]
    return [
        dg.define_asset_job(
            JOB,
            dg.AssetSelection.assets(DOCUMENT_SCORES, *readers),
            description="Numbers from news, reports and filings by session, and the factors that read them.",
        )
    ]


def score_sensors(workspace: Workspace) -> list[dg.SensorDefinition]:
    """Return the sensor; none without reports."""
    if not workspace.settings.reports.path:
        return []

    @dg.sensor(
        name="scores_after_reports",
        job_name=JOB,
        minimum_interval_seconds=LOOK_EVERY_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Makes the scores and the factors that read them again when ratings of reports have changed.",
    )
    def scores_after_reports(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        store = workspace.store
        if store.latest_version("prices") is None:
            return dg.SensorResult(skip_reason="there are no prices yet; the factors follow with the first backfill")
        newest = store.latest_version(_RATINGS)
        if newest is None or newest.id == context.cursor:
            return dg.SensorResult(skip_reason="no rating has changed", cursor=context.cursor)
        first = _first_change(workspace, since=context.cursor)
        last = workspace.last_session
        if first is None or first > last:
            reason = "no rating that is used by now has changed"
            return dg.SensorResult(skip_reason=reason, cursor=newest.id)
        settings = workspace.settings
        tags = range_tags(partition_of(settings, max(first, settings.start)), partition_of(settings, last))
        return dg.SensorResult(run_requests=[dg.RunRequest(run_key=f"{JOB}-{newest.id}", tags=tags)], cursor=newest.id)

    return [scores_after_reports]


def _first_change(workspace: Workspace, *, since: str | None) -> date | None:
    """Return the first session on which a rating is used that was not there, or was another; None if there is none."""
    now = workspace.store.read(_RATINGS, columns=_USED)
    then = now.slice(0, 0) if since is None else workspace.store.read(_RATINGS, columns=_USED, as_of=since)
    both = pa.concat_tables([now, then]).group_by([*_USED]).aggregate([([], "count_all")])
    changed = both.filter(pc.equal(both["count_all"], 1))
    days: date | None = pc.min(changed["known_from"]).as_py()
    return days
