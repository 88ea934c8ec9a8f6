"""Assets of the variants: factor_variants by date and variant_evidence over all dates.

What does not belong here: the portfolios (`evaluation/variants.py`) and their summary
(`evaluation/variant_evidence.py`).
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import dagster as dg
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from factor_assets.defs.evaluation import GROUP, evaluated_factors, evaluated_version, stored_values, value_tables
from factor_assets.defs.markdown import markdown_table
from factor_assets.defs.materialization import on_all, replace_slice, table_asset
from factor_assets.defs.partitions import dates, earlier, slice_of
from factor_assets.evaluation.timeseries import past_warm_up
from factor_assets.evaluation.variant_evidence import variant_evidence as summarise
from factor_assets.evaluation.variants import CAP_UNKNOWN, SECTOR_UNKNOWN, factor_variants, history_sessions
from factor_assets.storage.slice import EVERYTHING
from factor_assets.tables import TABLES
from factor_assets.workspace import Workspace

VARIANTS, VARIANT_EVIDENCE = dg.AssetKey("factor_variants"), dg.AssetKey("variant_evidence")


def variant_assets(workspace: Workspace) -> list[dg.AssetsDefinition]:
    """Return the assets of this file."""
    return [_by_date(workspace), _evidence(workspace)]


def _by_date(workspace: Workspace) -> dg.AssetsDefinition:
    settings = workspace.settings
    code_version = evaluated_version(workspace)
    history = history_sessions(settings.evaluation)
    reaches_back = earlier(settings, history)
    inputs = (*workspace.panel_tables(), *value_tables(workspace))

    spec = table_asset(
        TABLES["factor_variants"],
        group=GROUP,
        code_version=code_version,
        partitions=dates(settings),
        deps=[dg.AssetDep(dg.AssetKey(name.split("/")), partition_mapping=reaches_back) for name in inputs],
    )
    check = dg.AssetCheckSpec(
        "variants_computed",
        asset=VARIANTS,
        description="Every variant whose capitalisations and sectors are known has a return once the lookback and the"
        " longest holding have passed.",
    )

    @dg.multi_asset(
        name="factor_variants", specs=[spec], check_specs=[check], backfill_policy=dg.BackfillPolicy.single_run()
    )
    def variants(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
        part = slice_of(context)
        panel = workspace.panel(part, history=history)
        rows = factor_variants(
            stored_values(workspace, panel),
            panel,
            settings=settings.evaluation,
            universe=settings.universe_name,
            source=workspace.source.label,
            start_row=len(panel.dates) - len(workspace.sessions(part)),
        )
        yield replace_slice(
            context,
            workspace,
            "factor_variants",
            part,
            rows,
            asset_key=VARIANTS,
            code_version=code_version,
            inputs=inputs,
        )
        yield _computed_check(rows, workspace, warm_up=history - 1)

    return variants


def _computed_check(rows: pa.Table, workspace: Workspace, *, warm_up: int) -> dg.AssetCheckResult:
    lookbacks = {(factor.family, factor.name): factor.lookback + warm_up for factor in evaluated_factors(workspace)}
    is_late = past_warm_up(rows, sessions=workspace.sessions(EVERYTHING), lookbacks=lookbacks)
    unknown: Any = pc.is_in(rows["reason"], value_set=pa.array([CAP_UNKNOWN, SECTOR_UNKNOWN])).to_numpy()
    expected = is_late & ~unknown
    missing = rows.filter(pa.array(expected & rows["variant_return"].is_null().to_numpy()))
    reasons = Counter(missing["reason"].to_pylist())
    of_variant = Counter(missing["variant"].to_pylist())
    return dg.AssetCheckResult(
        check_name="variants_computed",
        asset_key=VARIANTS,
        passed=not missing.num_rows,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{missing.num_rows} of {int(expected.sum())} returns of variants past the warm-up are null:"
        f" {', '.join(sorted(of_variant))}"
        if missing.num_rows
        else None,
        metadata={
            "n_null": missing.num_rows,
            "n_expected": int(expected.sum()),
            "n_unknown": int(np.count_nonzero(is_late & unknown)),
            "variants": dict(of_variant),
            "reasons": dict(reasons),
        },
    )


def _evidence(workspace: Workspace) -> dg.AssetsDefinition:
    settings = workspace.settings
    code_version = evaluated_version(workspace)
    spec = table_asset(TABLES["variant_evidence"], group=GROUP, code_version=code_version, deps=on_all(VARIANTS))

    @dg.multi_asset(name="variant_evidence", specs=[spec])
    def evidence(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        rows = summarise(
            workspace.evidence("factor_variants"),
            settings=settings.evaluation,
            universe=settings.universe_name,
            source=workspace.source.label,
        )
        return replace_slice(
            context,
            workspace,
            "variant_evidence",
            EVERYTHING,
            rows,
            asset_key=VARIANT_EVIDENCE,
            code_version=code_version,
            inputs=("factor_variants",),
            metadata={
                "without_return": rows["mean_variant_return"].null_count,
                "variants": dg.MetadataValue.md(markdown_table(rows.to_pylist(), _SHOWN)),
            },
        )

    return evidence


_SHOWN = {
    "factor_type": "type",
    "factor_name": "factor",
    "variant": "variant",
    "mean_variant_return": "return a session",
    "variant_return_tstat": "t",
    "variant_sharpe_ratio": "Sharpe a session",
    "variant_max_drawdown": "drawdown",
    "mean_variant_turnover": "turnover",
    "n_sessions": "sessions",
    "reason": "missing",
}
