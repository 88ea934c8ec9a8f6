"""The page: the asset tear_sheet."""

from typing import Any

import dagster as dg

from factor_assets.defs.evaluation import DETAILS, GROUP, QUANTILES, SUMMARY, TIMESERIES
from factor_assets.defs.materialization import on_all, picture
from factor_assets.evaluation.pictures import cumulative_spread_png
from factor_assets.evaluation.tear_sheet import TearSheetContext, tear_sheet
from factor_assets.panel.prices import clean_prices
from factor_assets.settings import version_of
from factor_assets.storage.atomic import replace_file
from factor_assets.storage.slice import EVERYTHING
from factor_assets.workspace import Workspace

TEAR_SHEET = dg.AssetKey("tear_sheet")


def report_assets(workspace: Workspace) -> list[dg.AssetsDefinition]:
    """Return the assets of this file."""
    settings = workspace.settings

    @dg.asset(
        name="tear_sheet",
        description="One self-contained HTML page: which factors explain returns, and how surely.",
        group_name=GROUP,
        code_version=version_of(settings.evaluation),
        kinds={"html"},
        deps=[
            SUMMARY,
            *on_all(TIMESERIES, QUANTILES, DETAILS),
        ],
    )
    def tear_sheet_page() -> dg.MaterializeResult[Any]:
        store = workspace.store
        timeseries, summary = store.read("factor_timeseries"), store.read("factor_summary")
        names = ("price_history", "universe", "prices", "factor_timeseries", "factor_details", "factor_summary")
        versions = {name: store.latest_version(name) for name in names}
        evaluation = settings.evaluation
        page = tear_sheet(
            summary=summary,
            timeseries=timeseries,
            quantiles=store.read("factor_quantiles"),
            details=store.read("factor_details"),
            context=TearSheetContext(
                source=workspace.source.label,
                synthetic=workspace.source.synthetic,
                universe=settings.universe_name,
                membership=workspace.membership(),
                first_date=workspace.first_session,
                last_date=workspace.last_session,
                notes=_notes(workspace),
                table_versions={name: version.id for name, version in versions.items() if version is not None},
                settings=evaluation.model_dump(),
            ),
        )
        path = workspace.tear_sheet_path
        replace_file(path, page.encode())
        return dg.MaterializeResult(
            metadata={
                "page": dg.MetadataValue.path(str(path)),
                "how_to_open": "Copy the path into the browser's address bar, or run `factor-assets report --open`.",
                "bytes": len(page.encode()),
                "plot": picture(cumulative_spread_png(timeseries, title=workspace.source.label)),
            }
        )

    return [tear_sheet_page]


def _notes(workspace: Workspace) -> list[str]:
    """What was delivered and not used as it came."""
    clean = clean_prices(
        workspace.store.read("price_history"),
        sessions=workspace.sessions(EVERYTHING),
        has_events=workspace.source.has_events,
    )
    notes = [f"{n:,} delivered rows dropped: {reason.replace('_', ' ')}." for reason, n in clean.dropped.items() if n]
    return notes + [f"{n:,} delivered rows changed: {why.replace('_', ' ')}." for why, n in clean.treated.items() if n]
