"""Assets over all documents: `document_scores`, the fields of the panel, and `language_model_calls`, what was paid.

What does not belong here: news (`news.py`), reports (`reports.py`), the text of filings (`filing_texts.py`).
"""

from collections.abc import Collection, Iterator
from typing import Any

import dagster as dg
import pyarrow as pa

from factor_assets.defs.filing_texts import FILING_TEXTS
from factor_assets.defs.materialization import on_all, replace_slice, table_asset
from factor_assets.defs.news import NEWS_SENTIMENTS
from factor_assets.defs.partitions import dates, slice_of
from factor_assets.defs.reports import REPORT_RATINGS
from factor_assets.panel.document_scores import NUMBERS, document_scores
from factor_assets.panel.fields import SCORES
from factor_assets.settings import Settings, version_of
from factor_assets.storage.slice import EVERYTHING, Slice
from factor_assets.tables import TABLES
from factor_assets.text.ledger import ledger_rows
from factor_assets.workspace import Workspace

DOCUMENT_SCORES, LANGUAGE_MODEL_CALLS = dg.AssetKey(SCORES), dg.AssetKey("language_model_calls")
GROUP = "text"
SOURCE = "news, reports and filings"


def document_score_assets(workspace: Workspace) -> list[dg.AssetsDefinition]:
    """Return the assets of this file that the settings ask for."""
    found = []
    if SCORES in workspace.document_tables:
        found.append(_document_scores(workspace))
    if workspace.settings.language_model.provider != "lexicon" and _who_asks(workspace.settings):
        found.append(_language_model_calls(workspace))
    return found


def _who_asks(settings: Settings) -> list[dg.AssetKey]:
    """Assets that ask a language model."""
    given = {NEWS_SENTIMENTS: settings.news.source, REPORT_RATINGS: settings.reports.path}
    return [key for key, setting in given.items() if setting]


def _document_scores(workspace: Workspace) -> dg.AssetsDefinition:
    settings = workspace.settings
    code_version = version_of(code=f"1-{settings.reports.max_age_days}")
    by_ticker = [REPORT_RATINGS] if settings.reports.path else []
    if settings.sec.contact and settings.sec.filing_texts:
        by_ticker.append(FILING_TEXTS)
    by_date = [dg.AssetDep(NEWS_SENTIMENTS)] if settings.news.source else []
    inputs = tuple(key.to_user_string() for key in (*(dep.asset_key for dep in by_date), *by_ticker))

    @dg.multi_asset(
        name=SCORES,
        specs=[
            table_asset(
                TABLES[SCORES],
                group=GROUP,
                code_version=code_version,
                partitions=dates(settings),
                deps=[*by_date, *on_all(*by_ticker)],
            )
        ],
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def scores(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any]]:
        part = slice_of(context)
        rows = document_scores(
            sessions=workspace.sessions(part),
            tickers=workspace.wanted_tickers(),
            sentiments=_read(workspace, NEWS_SENTIMENTS, inputs, part),
            ratings=_read(workspace, REPORT_RATINGS, inputs),
            filings=_read(workspace, FILING_TEXTS, inputs),
            max_age_days=settings.reports.max_age_days,
            source=SOURCE,
        )
        yield replace_slice(
            context,
            workspace,
            SCORES,
            part,
            rows,
            asset_key=DOCUMENT_SCORES,
            code_version=code_version,
            inputs=inputs,
            metadata={"values": {name: rows.num_rows - rows[name].null_count for name in NUMBERS}},
            source=SOURCE,
        )

    return scores


def _read(workspace: Workspace, key: dg.AssetKey, inputs: Collection[str], part: Slice = EVERYTHING) -> pa.Table:
    """Read a table that the settings ask for; what another one left in the store does not count."""
    name = key.to_user_string()
    return workspace.store.read(name, part) if name in inputs else TABLES[name].schema.empty_table()


def _language_model_calls(workspace: Workspace) -> dg.AssetsDefinition:
    code_version = version_of()

    @dg.multi_asset(
        name="language_model_calls",
        specs=[
            table_asset(
                TABLES["language_model_calls"],
                group=GROUP,
                code_version=code_version,
                deps=on_all(*_who_asks(workspace.settings)),
            )
        ],
    )
    def language_model_calls(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any]]:
        rows = ledger_rows(workspace.documents)
        known = [cost for cost in rows["cost"].to_pylist() if cost is not None]
        yield replace_slice(
            context,
            workspace,
            "language_model_calls",
            EVERYTHING,
            rows,
            asset_key=LANGUAGE_MODEL_CALLS,
            code_version=code_version,
            metadata={"cost": sum(known), "n_invalid": rows.num_rows - rows["error"].null_count},
            source="language model",
        )

    return language_model_calls
