"""The pages: the asset tear_sheet writes the comparison over all factors and a page for each."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg

from factor_assets.defs.evaluation import DETAILS, GROUP, QUANTILES, SUMMARY, TIMESERIES
from factor_assets.defs.materialization import on_all, picture
from factor_assets.evaluation.comparison_page import comparison_page
from factor_assets.evaluation.evidence_tables import STORED_AS, EvidenceTables, FactorRows, split
from factor_assets.evaluation.factor_page import factor_page
from factor_assets.evaluation.pictures import cumulative_spread_png
from factor_assets.evaluation.report_records import (
    as_json,
    comparison_markdown,
    comparison_record,
    factor_markdown,
    factor_record,
)
from factor_assets.evaluation.tear_sheet import TearSheetContext, page_path
from factor_assets.factors.factor import Factor
from factor_assets.panel.prices import clean_prices
from factor_assets.settings import version_of
from factor_assets.storage.atomic import replace_file
from factor_assets.storage.slice import EVERYTHING
from factor_assets.workspace import Workspace

TEAR_SHEET = dg.AssetKey("tear_sheet")

_BY_DATE = ("factor_information", "factor_trading")
_WHOLE = (
    *("factor_evidence", "factor_correlations", "promoted_factors", "variant_evidence", "factor_spanning"),
    *("factor_event_curves", "factor_selection"),
)
_SUFFIXES = (".html", ".md", ".json")


def report_assets(workspace: Workspace) -> list[dg.AssetsDefinition]:
    """Return the assets of this file."""
    settings = workspace.settings

    @dg.asset(
        name="tear_sheet",
        description="Self-contained HTML pages: a comparison of all factors, and one page a factor; also as Markdown"
        " and JSON.",
        group_name=GROUP,
        code_version=version_of(settings.evaluation),
        kinds={"html"},
        deps=[
            SUMMARY,
            *map(dg.AssetKey, _WHOLE),
            *on_all(TIMESERIES, QUANTILES, DETAILS, *map(dg.AssetKey, _BY_DATE)),
        ],
    )
    def tear_sheet_page() -> dg.MaterializeResult[Any]:
        stored = EvidenceTables(**{name: workspace.evidence(table) for name, table in STORED_AS.items()})
        tables = stored.before_holdout(settings.evaluation)
        context = _context(workspace, left_out=tables is not stored)
        factors = split(tables, universe=context.universe)
        path = workspace.tear_sheet_path
        written = {}
        for name, text in _texts(workspace, tables, factors, context):
            replace_file(path.parent / name, content := text.encode())
            written[path.parent / name] = len(content)
        _remove_gone(path.parent / "factors", keep=set(written))
        first = path.parent / f"{page_path(factors[0].family, factors[0].name)}.html" if factors else path
        return dg.MaterializeResult(
            metadata={
                "page": dg.MetadataValue.path(str(path)),
                "page_url": dg.MetadataValue.url(path.absolute().as_uri()),
                "factor_pages": dg.MetadataValue.path(str(path.parent / "factors")),
                "first_factor_page": dg.MetadataValue.url(first.absolute().as_uri()),
                "how_to_open": "Copy the path into the browser's address bar, or run `factor-assets report --open`.",
                "factors": len(factors),
                "bytes": written[path],
                "largest_page_bytes": max(written.values()),
                "plot": picture(cumulative_spread_png(tables.timeseries, title=workspace.source.label)),
            }
        )

    return [tear_sheet_page]


def _texts(
    workspace: Workspace, tables: EvidenceTables, factors: list[FactorRows], context: TearSheetContext
) -> Iterator[tuple[str, str]]:
    """Yield the name of each file below the report's folder, and its text; the page that links to all comes last."""
    horizon = workspace.settings.evaluation.horizon
    declared = _declarations(workspace)
    for rows in factors:
        name, own = page_path(rows.family, rows.name), declared.get((rows.family, rows.name))
        yield f"{name}.html", factor_page(rows, context=context, declaration=own, horizon=horizon)
        record = factor_record(rows, context=context, declaration=own, horizon=horizon)
        yield f"{name}.md", factor_markdown(record)
        yield f"{name}.json", as_json(record)
    record = comparison_record(tables, factors, context=context, horizon=horizon)
    yield "comparison.md", comparison_markdown(record)
    yield "comparison.json", as_json(record)
    yield workspace.tear_sheet_path.name, comparison_page(tables, context=context, horizon=horizon, factors=factors)


def _declarations(workspace: Workspace) -> dict[tuple[str, str], Factor]:
    columns = (factor for library in workspace.libraries.values() for factor in library.factors.values())
    return {(one.family, one.name): one.factor for one in (*workspace.factors.values(), *columns)}


def _remove_gone(folder: Path, *, keep: set[Path]) -> None:
    """Remove the pages of factors that are no more, and folders that held nothing else."""
    for file in sorted(folder.glob("*/*")):
        if file.suffix in _SUFFIXES and file not in keep:
            file.unlink(missing_ok=True)
    for family in sorted(folder.glob("*/")):
        if not any(family.iterdir()):
            family.rmdir()


def _context(workspace: Workspace, *, left_out: bool) -> TearSheetContext:
    store, settings = workspace.store, workspace.settings
    names = ("price_history", "universe", "prices", *STORED_AS.values())
    versions = {name: store.latest_version(name) for name in names}
    return TearSheetContext(
        source=workspace.source.label,
        synthetic=workspace.source.synthetic,
        universe=settings.universe_name,
        membership=workspace.membership(),
        first_date=workspace.first_session,
        last_date=workspace.last_session,
        notes=[*_holdout_notes(settings.evaluation.holdout_start, left_out=left_out), *_notes(workspace)],
        table_versions={name: version.id for name, version in versions.items() if version is not None},
        settings=settings.evaluation.model_dump(),
    )


def _holdout_notes(start: date | None, *, left_out: bool) -> list[str]:
    if start is None:
        return []
    if left_out:
        return [f"The holdout, from {start} on, is left out."]
    return [f"HOLDOUT INCLUDED: sessions from {start} on were looked at, which the ledger records."]


def _notes(workspace: Workspace) -> list[str]:
    """What was delivered and not used as it came."""
    clean = clean_prices(
        workspace.price_history(),
        sessions=workspace.sessions(EVERYTHING),
        has_events=workspace.source.has_events,
    )
    notes = [f"{n:,} delivered rows dropped: {reason.replace('_', ' ')}." for reason, n in clean.dropped.items() if n]
    return notes + [f"{n:,} delivered rows changed: {why.replace('_', ' ')}." for why, n in clean.treated.items() if n]
