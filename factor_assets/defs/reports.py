"""Assets of reports: what was read of each PDF, and its ratings. One partition a document.

A partition is a report, a table is sliced by ticker. So a run keeps what it made in the documents, one a report, and
then writes the whole of the ticker from the documents of all its reports. The rows are a function of the documents
alone: a report that is made twice, or in another order, gives the same rows.

Two runs of one ticker at once both end up in the table. The one that writes last may have listed the documents before
the other put its own there; so each run lists them again after its write, and starts over where they have changed.
Whoever writes last has therefore seen every document that was put before. A run that is killed between the two is a
failed run, and makes it good when it is run again.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any

import dagster as dg
import numpy as np
import pyarrow as pa

from factor_assets.defs.automation import STAGE_TAG
from factor_assets.defs.materialization import null_counts, table_asset, version_metadata
from factor_assets.document_columns import SCORES
from factor_assets.errors import StoreError, WriteConflictError
from factor_assets.panel.publication import usable_after_day
from factor_assets.settings import version_of
from factor_assets.storage.slice import Slice
from factor_assets.storage.store import Provenance, Version
from factor_assets.tables import TABLES
from factor_assets.text.language_model import Tally, ask_all
from factor_assets.text.lexicon import model_name
from factor_assets.text.report_ratings import (
    RATINGS,
    load_rating,
    not_rated,
    rated,
    rating_rows,
    report_question,
    store_rating,
)
from factor_assets.text.reports import (
    SOURCE,
    TEXTS,
    WANTED,
    ReportKey,
    list_reports,
    load_text,
    open_reports,
    read_key,
    report_rows,
    store_text,
    stored_keys,
)
from factor_assets.workspace import Workspace

REPORTS, REPORT_RATINGS = dg.AssetKey("reports"), dg.AssetKey("report_ratings")
REPORT_PARTITIONS = dg.DynamicPartitionsDefinition(name="reports")
GROUP = "text"
STAGE = "reports"
"""Name of the job, too."""

_ATTEMPTS = 60
_PAUSE_S = 0.05


def report_document_assets(workspace: Workspace) -> list[dg.AssetsDefinition]:
    """Return the assets of this file: none without a place to look for reports (setting reports.path)."""
    if not workspace.settings.reports.path:
        return []
    return [_reports(workspace), _report_ratings(workspace)]


def _reports(workspace: Workspace) -> dg.AssetsDefinition:
    settings = workspace.settings
    code_version = version_of(code="1")

    @dg.multi_asset(
        # Not `reports`: so the job is called, and Dagster wants other names for ops.
        name="read_reports",
        specs=[
            table_asset(
                TABLES["reports"],
                group=GROUP,
                code_version=code_version,
                partitions=REPORT_PARTITIONS,
                tags={STAGE_TAG: STAGE},
                description=f"{TABLES['reports'].meaning} They lie at {WANTED}; the name says the day.",
            )
        ],
        check_specs=[
            dg.AssetCheckSpec("report_is_readable", asset=REPORTS, description="Text can be read from every report.")
        ],
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def reports(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
        place = open_reports(settings)
        keys = _keys(context)
        unreadable: dict[str, str] = {}
        for key in keys:
            text = store_text(key, reports=place, documents=workspace.documents)
            if text.error is not None:
                unreadable[key.name] = text.error
                context.log.warning(f"{key.pdf}: {text.error}")
            context.add_asset_metadata(
                {
                    "dagster/partition_row_count": 1,
                    "etag": text.etag,
                    "pages": len(text.pages),
                    "words": text.n_words or 0,
                    "sections": text.n_sections or 0,
                    "error": text.error or "",
                },
                asset_key=REPORTS,
                partition_key=key.name,
            )
        version, rows = _write_tickers(
            context,
            workspace,
            "reports",
            folder=TEXTS,
            keys=keys,
            code_version=code_version,
            rows=lambda found: report_rows(
                {key: load_text(key, documents=workspace.documents) for key in found}, _known_from(workspace, found)
            ),
        )
        misnamed = [name for ticker in {key.ticker for key in keys} for name in list_reports(place, ticker).misnamed]
        context.add_asset_metadata(
            {
                **version_metadata(workspace, version, null_counts("reports", rows)),
                "source": SOURCE,
                "misnamed_files": sorted(misnamed)[:20],
            },
            asset_key=REPORTS,
            partition_key=keys[-1].name,
        )
        yield dg.MaterializeResult(asset_key=REPORTS, data_version=dg.DataVersion(version.id))
        yield dg.AssetCheckResult(
            check_name="report_is_readable",
            asset_key=REPORTS,
            passed=not unreadable,
            severity=dg.AssetCheckSeverity.ERROR,
            description=_first(unreadable, len(keys)),
            metadata={"n_reports": len(keys), "n_unreadable": len(unreadable)},
        )

    return reports


def _report_ratings(workspace: Workspace) -> dg.AssetsDefinition:
    settings = workspace.settings
    model = settings.language_model
    code_version = version_of(code=f"1-{model.provider}-{model.model}")

    @dg.multi_asset(
        name="report_ratings",
        specs=[
            table_asset(
                TABLES["report_ratings"],
                group=GROUP,
                code_version=code_version,
                partitions=REPORT_PARTITIONS,
                deps=[dg.AssetDep(REPORTS)],
                tags={STAGE_TAG: STAGE},
                description=f"{TABLES['report_ratings'].meaning} By: {model.model or model_name()}.",
            )
        ],
        check_specs=[
            dg.AssetCheckSpec(
                "reports_are_rated",
                asset=REPORT_RATINGS,
                description="The share of reports without ratings is below language_model.max_failed_share.",
            )
        ],
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def report_ratings(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
        keys = _keys(context)
        failed, tally = _rate(workspace, keys)
        version, rows = _write_tickers(
            context,
            workspace,
            "report_ratings",
            folder=RATINGS,
            keys=keys,
            code_version=code_version,
            rows=lambda found: rating_rows(
                {key: load_rating(key, documents=workspace.documents) for key in found}, _known_from(workspace, found)
            ),
        )
        for key in keys:
            context.add_asset_metadata(
                {"dagster/partition_row_count": len(SCORES), "error": failed.get(key.name, "")},
                asset_key=REPORT_RATINGS,
                partition_key=key.name,
            )
        context.add_asset_metadata(
            {
                **version_metadata(workspace, version, null_counts("report_ratings", rows)),
                "source": SOURCE,
                "questions": tally.counts(),
                "cost": tally.cost,
            },
            asset_key=REPORT_RATINGS,
            partition_key=keys[-1].name,
        )
        yield dg.MaterializeResult(asset_key=REPORT_RATINGS, data_version=dg.DataVersion(version.id))
        share = len(failed) / len(keys)
        yield dg.AssetCheckResult(
            check_name="reports_are_rated",
            asset_key=REPORT_RATINGS,
            passed=share <= model.max_failed_share,
            severity=dg.AssetCheckSeverity.ERROR,
            description=_first(failed, len(keys)),
            metadata={"n_reports": len(keys), "n_failed": len(failed), "failed_share": share},
        )

    return report_ratings


def _rate(workspace: Workspace, keys: Sequence[ReportKey]) -> tuple[dict[str, str], Tally]:
    """Ask about the reports and keep each answer as it comes; return what failed, with the reason, and the counts.

    A report whose text another run replaces meanwhile is rated again, so that the rating that is kept in the end is of
    the text that is kept in the end.
    """
    tickers = {key.ticker for key in keys}
    failed: dict[str, str] = {}
    tally = Tally()
    pending = list(keys)
    while pending:
        before = stored_keys(workspace.documents, TEXTS, tickers)
        for key, error in _rate_once(workspace, pending, tally):
            failed.pop(key.name, None)
            if error is not None:
                failed[key.name] = error
        after = stored_keys(workspace.documents, TEXTS, tickers)
        pending = [key for key in pending if after.get(key) != before.get(key)]
    return failed, tally


def _rate_once(workspace: Workspace, keys: Sequence[ReportKey], tally: Tally) -> Iterator[tuple[ReportKey, str | None]]:
    """Yield each report as soon as its rating is kept, with the reason where it has none."""
    settings, documents = workspace.settings, workspace.documents
    place = open_reports(settings)
    questions = []
    for key in keys:
        text = load_text(key, documents=documents)
        question = report_question(key, text)
        if question is not None:
            questions.append(question)
            continue
        rating = not_rated(text, model=settings.language_model.model or model_name())
        store_rating(key, rating, reports=place, documents=documents)
        yield key, rating.error
    for answered in ask_all(questions, settings=settings.language_model, documents=documents):
        key = ReportKey(answered.question.ticker, answered.question.day)
        tally.add(answered)
        store_rating(key, rated(answered), reports=place, documents=documents)
        yield key, answered.error


def _write_tickers(
    context: dg.AssetExecutionContext,
    workspace: Workspace,
    table: str,
    *,
    folder: str,
    keys: Sequence[ReportKey],
    code_version: str,
    rows: Callable[[Sequence[ReportKey]], pa.Table],
) -> tuple[Version, pa.Table]:
    """Write the tickers of the reports from all their documents, until none came or changed meanwhile.

    Raises
    ------
    WriteConflictError
        If other runs kept putting documents.
    """
    tickers = frozenset(key.ticker for key in keys)
    provenance = Provenance(source=SOURCE, run_id=context.run.run_id, code_version=code_version)
    before = stored_keys(workspace.documents, folder, tickers)
    for _ in range(_ATTEMPTS):
        made = rows(list(before))
        version = workspace.store.write(table, Slice(tickers=tickers), made, provenance=provenance)
        after = stored_keys(workspace.documents, folder, tickers)
        if after == before:
            return version, made
        before = after
        time.sleep(_PAUSE_S)
    raise WriteConflictError(
        f"Other runs kept adding reports of {', '.join(sorted(tickers)[:3])} during {_ATTEMPTS} attempts. Run again"
        " when fewer are at work."
    )


def _keys(context: dg.AssetExecutionContext) -> list[ReportKey]:
    """Return the reports of the run, in the order of its partitions.

    Raises
    ------
    StoreError
        If there is none, or a partition that is no report's name.
    """
    keys = []
    for name in context.partition_keys:
        key = read_key(name)
        if key is None:
            raise StoreError(f"The partition {name!r} is no report: a report is named {WANTED}. Delete the partition.")
        keys.append(key)
    if not keys:
        raise StoreError("The run asks for no report: the range of partitions is empty or reversed.")
    return keys


def _known_from(workspace: Workspace, keys: Sequence[ReportKey]) -> Mapping[date, date | None]:
    days = sorted({key.day for key in keys})
    known = usable_after_day(workspace.settings.data.calendar, np.array(days, "datetime64[D]"))
    return dict(zip(days, known.tolist(), strict=True))


def _first(failed: Mapping[str, str], n: int) -> str | None:
    if not failed:
        return None
    told = "; ".join(f"{name}: {why}" for name, why in list(failed.items())[:3])
    return f"{len(failed)} of {n} reports: {told}{'; ...' if len(failed) > 3 else ''}"
