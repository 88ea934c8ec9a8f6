"""Assets from the SEC: raw documents and the list of filings, one partition a ticker. They exist once a contact is set.

What does not belong here: the facts in the documents (`fundamentals.py`), and what notices a new filing
(`sec_sensor.py`).
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from hashlib import sha256
from itertools import groupby
from typing import Any, get_args

import dagster as dg
import pyarrow as pa

from factor_assets.defs.automation import STAGE_TAG
from factor_assets.defs.event_log import recorded_together
from factor_assets.defs.materialization import replace_slice, table_asset
from factor_assets.defs.outdated import CODE_VERSION_TAG, IN_VAIN
from factor_assets.defs.partitions import TICKERS, slice_of
from factor_assets.errors import DocumentNotFoundError, MalformedDataError, SourceError
from factor_assets.panel.filings import known_filings
from factor_assets.settings import version_of
from factor_assets.sources.edgar import (
    LABEL,
    EdgarClient,
    Fetched,
    Outcome,
    document_version,
    latest,
    older_submissions,
)
from factor_assets.sources.edgar_filings import read_filings
from factor_assets.storage.slice import Slice
from factor_assets.tables import TABLES
from factor_assets.workspace import Workspace

SEC = "sec"
"""The stage of these assets and of what is made of them by ticker, and its job."""

SEC_DOCUMENTS, FILINGS = dg.AssetKey("sec_documents"), dg.AssetKey("filings")
GROUP = "sec"
ACCESSION_TAG = "factor_assets/accession"
"""Tag of a run that a new filing started: it asks again for what was already asked for on the day."""

_SHOWN = 50


def sec_assets(workspace: Workspace) -> list[dg.AssetsDefinition]:
    """Return the assets of this file; none without a contact."""
    return [_sec_documents(workspace), _filings(workspace)] if workspace.settings.sec.contact else []


def _sec_documents(workspace: Workspace) -> dg.AssetsDefinition:
    settings = workspace.settings

    @dg.multi_asset(
        name="sec_documents",
        specs=[
            dg.AssetSpec(
                SEC_DOCUMENTS,
                description="Company facts and submissions as the SEC delivered them, kept by ticker and day of fetch."
                " What was asked for on the day (UTC) is not asked for again.",
                group_name=GROUP,
                code_version="1",
                kinds={"json"},
                partitions_def=TICKERS,
                tags={STAGE_TAG: SEC},
                metadata={"dagster/column_schema": dg.TableSchema(columns=[])},
            )
        ],
        check_specs=[
            dg.AssetCheckSpec(
                "every_company_answered",
                asset=SEC_DOCUMENTS,
                description="The SEC answered for every ticker asked for; that it has none is an answer.",
            )
        ],
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def sec_documents(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
        tickers = sorted(slice_of(context).tickers or ())
        outcomes: list[Fetched] = []
        with closing(EdgarClient(settings.sec, workspace.documents, home=settings.home)) as client:
            for found in client.fetch(tickers, again=ACCESSION_TAG in context.run.tags):
                outcomes.append(found)
                if found.outcome == "failed":
                    context.log.warning(f"{found.ticker}: {found.kind} failed: {found.reason}")
        check = _answer_check(context, outcomes)
        told = {
            ticker: {str(f.kind): f"{f.outcome}{f': {f.reason}' if f.reason else ''}" for f in its}
            for ticker, its in groupby(outcomes, key=lambda found: found.ticker)
        }
        for ticker in tickers:
            metadata: dict[str, Any] = {**told[ticker], "source": LABEL}
            context.add_asset_metadata(metadata, asset_key=SEC_DOCUMENTS, partition_key=ticker)
        # Also where a ticker failed: what follows would not run at all without this, and has its earlier documents.
        yield dg.MaterializeResult(asset_key=SEC_DOCUMENTS, data_version=dg.DataVersion(_version(workspace, tickers)))
        with recorded_together(context):
            for ticker in sorted({found.ticker for found in outcomes if found.outcome == "failed"}):
                context.log_event(
                    dg.AssetMaterialization(
                        SEC_DOCUMENTS,
                        partition=ticker,
                        metadata=dict(told[ticker]),
                        tags={CODE_VERSION_TAG: IN_VAIN},
                    )
                )
        yield check

    return sec_documents


def _version(workspace: Workspace, tickers: Iterable[str]) -> str:
    """Return a text that changes when, and only when, another document of the tickers is stored."""
    versions = "\n".join(f"{ticker} {document_version(workspace.documents, ticker)}" for ticker in tickers)
    return sha256(versions.encode()).hexdigest()[:16]


def _answer_check(context: dg.AssetExecutionContext, outcomes: Sequence[Fetched]) -> dg.AssetCheckResult:
    names = get_args(Outcome)
    counts = Counter[str](found.outcome for found in outcomes)
    failed = [found for found in outcomes if found.outcome == "failed"]
    summary = ", ".join(f"{counts[name]} {name}" for name in names)
    if failed:
        summary += ": " + "; ".join(f"{f.ticker} {f.kind}: {f.reason}" for f in failed[:3])
        summary += "; ..." if len(failed) > 3 else ""
    context.log.info(f"sec_documents: {summary}")
    if failed and len(failed) == len(outcomes):
        raise SourceError(f"None of {len(failed)} documents could be had; {failed[0].ticker}: {failed[0].reason}")
    silent = [found for found in outcomes if found.outcome in ("absent", "failed")]
    rows = [f"| {f.ticker} | {f.kind} | {f.outcome} | {f.reason} |" for f in silent[:_SHOWN]]
    return dg.AssetCheckResult(
        check_name="every_company_answered",
        asset_key=SEC_DOCUMENTS,
        passed=not failed,
        severity=dg.AssetCheckSeverity.WARN,
        description=summary,
        metadata={
            **{name: counts[name] for name in names},
            "reasons": dg.MetadataValue.md(
                "\n".join(["| ticker | document | outcome | reason |", "|---|---|---|---|", *rows])
            ),
        },
    )


def _filings(workspace: Workspace) -> dg.AssetsDefinition:
    settings = workspace.settings
    code_version = version_of(code=f"1-{settings.data.calendar}")

    @dg.multi_asset(
        name="filings",
        specs=[
            table_asset(
                TABLES["filings"],
                group=GROUP,
                code_version=code_version,
                partitions=TICKERS,
                deps=[dg.AssetDep(SEC_DOCUMENTS)],
                tags={STAGE_TAG: SEC},
            )
        ],
        check_specs=[
            dg.AssetCheckSpec("every_list_reads", asset=FILINGS, description="Every list of filings could be read.")
        ],
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def filings(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
        part = slice_of(context)
        rows = [TABLES["filings"].schema.empty_table()]
        without: list[str] = []
        unread: dict[str, str] = {}
        for ticker in sorted(part.tickers or ()):
            try:
                rows.append(_filings_of(workspace, ticker))
            except DocumentNotFoundError:
                without.append(ticker)
            except MalformedDataError as error:
                # What is stored of it stays: a list that cannot be read is no list without filings.
                unread[ticker] = str(error)
                rows.append(workspace.store.read("filings", Slice(tickers=frozenset({ticker}))))
                context.log.warning(f"{ticker}: {error}")
        yield replace_slice(
            context,
            workspace,
            "filings",
            part,
            pa.concat_tables(rows),
            asset_key=FILINGS,
            code_version=code_version,
            metadata={"without_submissions": without[:_SHOWN]},
            source=LABEL,
        )
        yield dg.AssetCheckResult(
            check_name="every_list_reads",
            asset_key=FILINGS,
            passed=not unread,
            severity=dg.AssetCheckSeverity.WARN,
            description="; ".join(list(unread.values())[:3]) or None,
            metadata={"n_unread": len(unread), "examples": sorted(unread)[:_SHOWN]},
        )

    return filings


def _filings_of(workspace: Workspace, ticker: str) -> pa.Table:
    rows = read_filings(
        latest(workspace.documents, "submissions", ticker),
        older_submissions(workspace.documents, ticker),
        ticker=ticker,
        source=LABEL,
    )
    return known_filings(rows, workspace.settings.data.calendar)
