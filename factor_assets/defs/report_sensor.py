"""The sensor that finds new reports in a folder or bucket and requests their runs.

What does not belong here: how reports are named (`text/reports.py`), what a run does with them (`reports.py`).

A tick, in steps:

1. List the reports. Those whose key and etag the table `reports` has are done.
2. Of the others, the cursor holds which were requested: a digest of key and etag each.
3. Request the rest, oldest first and at most `MOST_REQUESTS`: partition and run in the same answer, run key = key and
   etag, so that a report that is replaced is a new run.
4. The new cursor is what was requested and is not done. It holds what is under way or has failed, and no more.

Times decide nothing but the order: a file that is moved into the folder keeps its old time, S3 dates a large upload by
its beginning, and its times have a resolution of one second. Nothing is skipped for arriving late, nothing requested
twice: the cursor and the requests are stored together by Dagster, which skips run keys that it has seen, should it die
in between. A report whose run fails stays in the cursor; run it again in the UI, or upload it again.

The sensor is on by default, for who names a place to be watched (setting reports.path) expects that it is.
"""

import base64
import json
from collections.abc import Mapping
from hashlib import blake2b

import dagster as dg
from sqlalchemy.exc import IntegrityError

from factor_assets.defs.reports import REPORT_PARTITIONS, STAGE
from factor_assets.storage.documents import DocumentInfo
from factor_assets.text.reports import ReportKey, list_reports, open_reports
from factor_assets.workspace import Workspace

MOST_REQUESTS = 50
"""A tick: Dagster makes each run before it looks again."""

LOOK_EVERY_S = 30
_DIGEST_BYTES = 9


def report_sensors(workspace: Workspace) -> list[dg.SensorDefinition]:
    """Return the sensor of new reports; none without a place to look for them."""
    if not workspace.settings.reports.path:
        return []

    @dg.sensor(
        name="new_reports",
        job_name=STAGE,
        minimum_interval_seconds=LOOK_EVERY_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Looks for new and replaced reports, and reads and rates them.",
    )
    def new_reports(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        listing = list_reports(open_reports(workspace.settings))
        wanted = not_done(listing.reports, _done(workspace))
        requested = read_cursor(context.cursor)
        new = sorted((info.modified, key, digest) for digest, (key, info) in wanted.items() if digest not in requested)[
            :MOST_REQUESTS
        ]
        if listing.complaint:
            context.log.warning(listing.complaint)
        cursor = write_cursor({*(requested & wanted.keys()), *(digest for _, _, digest in new)})
        if not new:
            reason = f"no new report among {len(listing.reports)}"
            return dg.SensorResult(
                skip_reason=f"{reason}; {listing.complaint}" if listing.complaint else reason, cursor=cursor
            )
        names = [key.name for _, key, _ in new]
        return dg.SensorResult(
            run_requests=[
                dg.RunRequest(run_key=f"{key.pdf} {listing.reports[key].etag}", partition_key=key.name)
                for _, key, _ in new
            ],
            dynamic_partitions_requests=[REPORT_PARTITIONS.build_add_request(names)],
            cursor=cursor,
        )

    return [new_reports]


def add_reports(instance: dg.DagsterInstance, workspace: Workspace) -> tuple[set[str], set[str]]:
    """Add a partition for every report that lies at its place and has none.

    Returns
    -------
    Names of the reports that lie there, and of those of them that the table does not have as they are now.
    """
    listed = list_reports(open_reports(workspace.settings)).reports
    lying = {key.name for key in listed}
    new = sorted(lying - set(instance.get_dynamic_partitions(str(REPORT_PARTITIONS.name))))
    if new:
        try:
            instance.add_dynamic_partitions(str(REPORT_PARTITIONS.name), new)
        except IntegrityError:
            # The sensor has just added some of them, in one transaction: now they are seen.
            instance.add_dynamic_partitions(str(REPORT_PARTITIONS.name), new)
    return lying, {key.name for key, _ in not_done(listed, _done(workspace)).values()}


def not_done(
    listed: Mapping[ReportKey, DocumentInfo], done: set[tuple[str, str]]
) -> dict[str, tuple[ReportKey, DocumentInfo]]:
    """Return digest -> report and what the listing says of it, of those that the table does not have.

    Parameters
    ----------
    done
        Key and etag of the reports in the table.
    """
    return {_digest(info): (key, info) for key, info in listed.items() if (info.key, info.etag) not in done}


def read_cursor(cursor: str | None) -> set[str]:
    """Return the digests of the reports that were requested."""
    return set(json.loads(cursor)["requested"]) if cursor else set()


def write_cursor(requested: set[str]) -> str:
    """Return the cursor; the same digests give the same text."""
    return json.dumps({"requested": sorted(requested)}, separators=(",", ":"))


def _done(workspace: Workspace) -> set[tuple[str, str]]:
    rows = workspace.store.read("reports", columns=["document_key", "etag"])
    return set(zip(rows["document_key"].to_pylist(), rows["etag"].to_pylist(), strict=True))


def _digest(info: DocumentInfo) -> str:
    """72 bits: among 100,000 reports two collide once in a trillion homes."""
    digest = blake2b(f"{info.key} {info.etag}".encode(), digest_size=_DIGEST_BYTES).digest()
    return base64.urlsafe_b64encode(digest).decode()
