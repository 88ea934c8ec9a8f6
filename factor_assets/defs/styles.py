"""The asset style_returns by date: MKT, SMB, HML, RMW and CMA. It exists where fundamentals do.

What does not belong here: how the portfolios are formed (`evaluation/style_portfolios.py`).
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from factor_assets.defs.evaluation import GROUP
from factor_assets.defs.materialization import replace_slice, table_asset
from factor_assets.defs.partitions import dates, earlier, slice_of
from factor_assets.evaluation.style_portfolios import FIELDS, HISTORY_SESSIONS, style_returns
from factor_assets.panel.fields import FUNDAMENTALS
from factor_assets.tables import TABLES
from factor_assets.workspace import Workspace

STYLES = dg.AssetKey("style_returns")
CHECK = "styles_are_known"
_FIVE = ("MKT", "SMB", "HML", "RMW", "CMA")


def style_assets(workspace: Workspace) -> list[dg.AssetsDefinition]:
    """Return the asset of this file; none without fundamentals."""
    if FUNDAMENTALS not in workspace.document_tables:
        return []
    settings = workspace.settings
    inputs = workspace.panel_tables(FIELDS)
    reaches_back = earlier(settings, HISTORY_SESSIONS)
    spec = table_asset(
        TABLES["style_returns"],
        group=GROUP,
        code_version="1",
        partitions=dates(settings),
        deps=[dg.AssetDep(name, partition_mapping=reaches_back) for name in inputs],
    )
    check = dg.AssetCheckSpec(
        CHECK, asset=STYLES, description="Each of the five has a return on every session after the first formation."
    )

    @dg.multi_asset(
        name="style_returns", specs=[spec], check_specs=[check], backfill_policy=dg.BackfillPolicy.single_run()
    )
    def styles(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
        part = slice_of(context)
        panel = workspace.panel(part, history=HISTORY_SESSIONS, fields=FIELDS)
        rows = style_returns(
            panel,
            universe=settings.universe_name,
            source=workspace.source.label,
            start_row=len(panel.dates) - len(workspace.sessions(part)),
        )
        yield replace_slice(
            context, workspace, "style_returns", part, rows, asset_key=STYLES, code_version="1", inputs=inputs
        )
        yield _check(rows)

    return [styles]


def _check(rows: pa.Table) -> dg.AssetCheckResult:
    five = rows.filter(pc.is_in(rows["portfolio"], value_set=pa.array(_FIVE)))
    missing = five.filter(five["portfolio_return"].is_null())
    counts = {entry["values"]: entry["counts"] for entry in missing["portfolio"].value_counts().to_pylist()}
    return dg.AssetCheckResult(
        check_name=CHECK,
        asset_key=STYLES,
        passed=not missing.num_rows,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{missing.num_rows} of {five.num_rows} returns of the five are null, such as before the first June"
        " with fundamentals, or where a portfolio has no name"
        if missing.num_rows
        else None,
        metadata={"n_null": missing.num_rows, "n_returns": five.num_rows, "null_by_portfolio": counts},
    )
