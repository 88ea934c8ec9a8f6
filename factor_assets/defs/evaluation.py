"""Assets of evidence: factor_timeseries and factor_quantiles by date, factor_details by ticker, factor_summary."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from factor_assets.columns import TABLES
from factor_assets.defs.factors import factor_key
from factor_assets.defs.materialization import replace_slice, table_metadata
from factor_assets.defs.partitions import TICKERS, dates, earlier, slice_of
from factor_assets.evaluation.regressions import factor_details as regress_tickers
from factor_assets.evaluation.summary import factor_summary as summarise
from factor_assets.evaluation.timeseries import evaluate_factors, history_sessions
from factor_assets.factors.registry import RegisteredFactor, all_factors
from factor_assets.settings import version_of
from factor_assets.storage.slice import EVERYTHING
from factor_assets.workspace import Workspace

TIMESERIES, QUANTILES = dg.AssetKey("factor_timeseries"), dg.AssetKey("factor_quantiles")
DETAILS, SUMMARY = dg.AssetKey("factor_details"), dg.AssetKey("factor_summary")
GROUP = "evaluation"


def evaluation_assets(workspace: Workspace) -> list[dg.AssetsDefinition]:
    """Return the assets of this file."""
    return [_by_date(workspace), _by_ticker(workspace), _summary(workspace)]


def _by_date(workspace: Workspace) -> dg.AssetsDefinition:
    settings = workspace.settings
    code_version = version_of(settings.evaluation)
    history = history_sessions(settings.evaluation)
    reaches_back = earlier(settings, history)
    factors = sorted(all_factors().values(), key=lambda factor: (factor.family, factor.name))

    upstreams = [*(factor_key(factor) for factor in factors), dg.AssetKey("prices"), dg.AssetKey("universe")]

    @dg.multi_asset(
        name="factor_returns",
        specs=[
            dg.AssetSpec(
                key,
                description=TABLES[key.to_user_string()].meaning,
                metadata=table_metadata(TABLES[key.to_user_string()]),
                group_name=GROUP,
                code_version=code_version,
                kinds={"delta"},
                skippable=True,
                partitions_def=dates(settings),
                deps=[dg.AssetDep(upstream, partition_mapping=reaches_back) for upstream in upstreams],
            )
            for key in (TIMESERIES, QUANTILES)
        ],
        check_specs=[
            dg.AssetCheckSpec(
                "sessions_computed",
                asset=TIMESERIES,
                description="Every factor has a return on every session; null sessions are counted with their reason.",
            )
        ],
        can_subset=True,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def factor_returns(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
        part = slice_of(context)
        panel = workspace.panel(part, history=history)
        evidence = evaluate_factors(
            ((f.family, f.name, workspace.factor_values(f.family, f.name, panel)) for f in factors),
            panel,
            settings=settings.evaluation,
            universe=settings.universe_name,
            source=workspace.source.label,
            start_row=len(panel.dates) - len(workspace.sessions(part)),
        )
        for key, rows in ((TIMESERIES, evidence.timeseries), (QUANTILES, evidence.quantiles)):
            if key in context.selected_asset_keys:
                yield replace_slice(
                    context,
                    workspace,
                    key.to_user_string(),
                    part,
                    rows,
                    asset_key=key,
                    code_version=code_version,
                    inputs=("prices", "universe", *(_table_of(factor) for factor in factors)),
                )
        if TIMESERIES in context.selected_asset_keys:
            reasons = evidence.timeseries["reason"].drop_null().value_counts().to_pylist()
            counts = {entry["values"]: entry["counts"] for entry in reasons}
            n_null = sum(counts.values())
            yield dg.AssetCheckResult(
                check_name="sessions_computed",
                asset_key=TIMESERIES,
                passed=n_null == 0,
                severity=dg.AssetCheckSeverity.WARN,
                description=f"{n_null} of {evidence.timeseries.num_rows} factor sessions are null",
                metadata={"n_null": n_null, "n_rows": evidence.timeseries.num_rows, "reasons": counts},
            )

    return factor_returns


def _by_ticker(workspace: Workspace) -> dg.AssetsDefinition:
    settings = workspace.settings
    code_version = version_of(settings.evaluation)

    @dg.asset(
        name="factor_details",
        description=TABLES["factor_details"].meaning,
        metadata=table_metadata(TABLES["factor_details"]),
        group_name=GROUP,
        code_version=code_version,
        kinds={"delta"},
        partitions_def=TICKERS,
        deps=[dg.AssetDep(key, partition_mapping=dg.AllPartitionMapping()) for key in (TIMESERIES, "prices")],
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def factor_details(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        part = slice_of(context)
        rows = regress_tickers(
            workspace.store.read("factor_timeseries"),
            workspace.panel(part),
            settings=settings.evaluation,
            universe=settings.universe_name,
            source=workspace.source.label,
        )
        return replace_slice(
            context,
            workspace,
            "factor_details",
            part,
            rows,
            asset_key=DETAILS,
            code_version=code_version,
            inputs=("prices", "factor_timeseries"),
            metadata={"without_regression": rows["beta"].null_count},
        )

    return factor_details


def _summary(workspace: Workspace) -> dg.AssetsDefinition:
    settings = workspace.settings
    code_version = version_of(settings.evaluation)

    @dg.asset(
        name="factor_summary",
        description=TABLES["factor_summary"].meaning,
        metadata=table_metadata(TABLES["factor_summary"]),
        group_name=GROUP,
        code_version=code_version,
        kinds={"delta"},
        deps=[dg.AssetDep(key, partition_mapping=dg.AllPartitionMapping()) for key in (TIMESERIES, DETAILS)],
    )
    def factor_summary(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        rows = summarise(
            workspace.store.read("factor_timeseries"),
            workspace.store.read("factor_details"),
            descriptions={(f.family, f.name): _described(f) for f in all_factors().values()},
            settings=settings.evaluation,
            universe=settings.universe_name,
            membership=workspace.membership(),
            source=workspace.source.label,
        )
        return replace_slice(
            context,
            workspace,
            "factor_summary",
            EVERYTHING,
            rows,
            asset_key=SUMMARY,
            code_version=code_version,
            inputs=("factor_timeseries", "factor_details"),
            metadata={"summary": dg.MetadataValue.md(_markdown(rows.to_pylist()))},
        )

    return factor_summary


def _table_of(factor: RegisteredFactor) -> str:
    return f"factors/{factor.family}/{factor.name}"


def _described(factor: RegisteredFactor) -> str:
    return f"{factor.expression}\n{factor.factor.cite}"


def _markdown(rows: list[dict[str, Any]]) -> str:
    shown = {
        "factor_type": "type",
        "factor_name": "factor",
        "annualized_return": "ann. return",
        "sharpe_ratio": "Sharpe",
        "factor_return_tstat": "t (return)",
        "mean_rank_ic": "rank IC",
        "rank_ic_tstat": "t (IC)",
        "avg_tstat": "avg t",
        "avg_rsquared": "avg R2",
    }
    lines = ["| " + " | ".join(shown.values()) + " |", "|" + "---|" * len(shown)]
    for row in rows:
        cells = [row[name] for name in shown]
        lines.append(
            "| "
            + " | ".join("-" if c is None else f"{c:.3f}" if isinstance(c, float) else str(c) for c in cells)
            + " |"
        )
    return "\n".join(lines)
