"""The asset `filing_texts`: what the text of annual and quarterly filings says without a model, by ticker.

It exists once `sec.contact` and `sec.filing_texts` are set. What does not belong here: the list of filings (`sec.py`),
what is counted and compared (`text/filing_texts.py`).
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from factor_assets.defs.automation import STAGE_TAG
from factor_assets.defs.materialization import replace_slice, table_asset
from factor_assets.defs.partitions import TICKERS, slice_of
from factor_assets.defs.sec import FILINGS, GROUP, SEC
from factor_assets.errors import SourceError
from factor_assets.settings import Settings, version_of
from factor_assets.sources.edgar import LABEL
from factor_assets.sources.edgar_archives import EdgarArchives, filing_document
from factor_assets.tables import TABLES
from factor_assets.text.filing_texts import (
    EXTRACTION,
    Comparison,
    Filing,
    FilingWords,
    Unread,
    comparisons,
    filing_text_rows,
    read_words,
)
from factor_assets.text.tone import WordList, read_word_list
from factor_assets.workspace import Workspace

FILING_TEXTS = dg.AssetKey("filing_texts")
CHECK = "most_filings_have_text"
_SHOWN = 50


@dataclass(slots=True)
class _Account:
    """What became of the filings of a run.

    Parameters
    ----------
    outcomes
        Fetched, kept or failed -> documents.
    unread
        "TICKER accession" -> why there is no text.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    unread: dict[str, str] = field(default_factory=dict)
    n_compared: int = 0
    n_rows: int = 0


def filing_text_assets(workspace: Workspace) -> list[dg.AssetsDefinition]:
    """Return the asset of this file; none unless the settings ask for the texts."""
    sec = workspace.settings.sec
    return [_filing_texts(workspace)] if sec.contact and sec.filing_texts else []


def _filing_texts(workspace: Workspace) -> dg.AssetsDefinition:
    settings = workspace.settings
    code_version = version_of(code=f"{EXTRACTION}-{settings.reports.word_list or 'no_list'}")

    @dg.multi_asset(
        name="filing_texts",
        specs=[
            table_asset(
                TABLES["filing_texts"],
                group=GROUP,
                code_version=code_version,
                partitions=TICKERS,
                deps=[dg.AssetDep(FILINGS)],
                tags={STAGE_TAG: SEC},
            )
        ],
        check_specs=[
            dg.AssetCheckSpec(
                CHECK,
                asset=FILING_TEXTS,
                description="No more filings are without text than language_model.max_failed_share of them.",
            )
        ],
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def filing_texts(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
        part = slice_of(context)
        word_list = read_word_list(settings.reports.word_list) if settings.reports.word_list else None
        filings = workspace.store.read("filings", part)
        first, last = _reach(settings)
        rows, account = [TABLES["filing_texts"].schema.empty_table()], _Account()
        with closing(EdgarArchives(settings.sec, workspace.documents, home=settings.home)) as archives:
            for ticker in sorted(part.tickers or ()):
                compared = comparisons(filings.filter(pc.equal(filings["ticker"], ticker)), first=first, last=last)
                read = _read(workspace, archives, compared, word_list, account)
                rows.append(filing_text_rows(compared, read, source=LABEL))
                _count(account, rows[-1])
        _require_any(account)
        for name, reason in list(account.unread.items())[:_SHOWN]:
            context.log.warning(f"{name}: {reason}")
        yield replace_slice(
            context,
            workspace,
            "filing_texts",
            part,
            pa.concat_tables(rows),
            asset_key=FILING_TEXTS,
            code_version=code_version,
            inputs=("filings",),
            metadata={
                **{outcome: account.outcomes[outcome] for outcome in ("fetched", "kept", "failed")},
                "n_without_text": len(account.unread),
                "n_compared": account.n_compared,
                "word_list": word_list.version if word_list else "none: no tone",
            },
            source=LABEL,
        )
        yield _check(account, settings.language_model.max_failed_share)

    return filing_texts


def _reach(settings: Settings) -> tuple[date, date | None]:
    """Days between which filings are of use to a session of the data; texts are many, and the service is slow."""
    return settings.start - timedelta(days=settings.reports.max_age_days), settings.end


def _read(
    workspace: Workspace,
    archives: EdgarArchives,
    compared: list[Comparison],
    word_list: WordList | None,
    account: _Account,
) -> dict[str, FilingWords | Unread]:
    """Return accession number -> what was counted, of the filings of a ticker and those that they are compared with."""
    documents = workspace.documents
    wanted: dict[str, Filing] = {}
    for comparison in compared:
        for filing in (comparison.previous, comparison.filing):
            if filing is not None:
                wanted[filing.accession] = filing
    read: dict[str, FilingWords | Unread] = {}
    for filing in wanted.values():
        found = archives.fetch(
            ticker=filing.ticker,
            cik=filing.cik,
            accession=filing.accession,
            primary_document=filing.primary_document,
        )
        account.outcomes[found.outcome] += 1
        if found.outcome == "failed":
            read[filing.accession] = Unread(found.reason)
        else:
            read[filing.accession] = read_words(
                filing,
                lambda kept=filing: filing_document(documents, kept.ticker, kept.accession),  # type: ignore[misc]
                word_list=word_list,
                documents=documents,
            )
        unread = read[filing.accession]
        if isinstance(unread, Unread):
            account.unread[f"{filing.ticker} {filing.accession}"] = unread.reason
    return read


def _count(account: _Account, rows: pa.Table) -> None:
    account.n_rows += rows.num_rows
    account.n_compared += rows.num_rows - rows["similarity_cosine"].null_count


def _require_any(account: _Account) -> None:
    """Refuse to replace rows by errors alone, where the service is down from the first request on.

    Raises
    ------
    SourceError
        If no document could be had, and none is kept.
    """
    if account.outcomes["failed"] and account.outcomes["failed"] == account.outcomes.total():
        name, reason = next(iter(account.unread.items()))
        raise SourceError(f"None of {account.outcomes['failed']} filings could be had; {name}: {reason}")


def _check(account: _Account, max_failed_share: float) -> dg.AssetCheckResult:
    n_wanted, n_unread = account.outcomes.total(), len(account.unread)
    share = n_unread / n_wanted if n_wanted else 0.0
    lines = [f"| {name} | {reason} |" for name, reason in list(account.unread.items())[:_SHOWN]]
    return dg.AssetCheckResult(
        check_name=CHECK,
        asset_key=FILING_TEXTS,
        passed=share <= max_failed_share,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{n_unread} of {n_wanted} filings have no text; {account.n_compared} of {account.n_rows} rows"
        " are compared with the year before",
        metadata={
            "n_without_text": n_unread,
            "n_filings": n_wanted,
            "failed_share": share,
            "reasons": dg.MetadataValue.md("\n".join(["| filing | reason |", "|---|---|", *lines])),
        },
    )
