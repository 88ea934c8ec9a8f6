"""Assets of the judgement: factor_information and factor_trading by date, and factor_evidence over all dates.

What does not belong here: the tests (`evaluation/evidence.py`), counting trials (`trials.py`), what passes
(`promotion.py`).
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from factor_assets.defs.evaluation import (
    GROUP,
    QUANTILES,
    TIMESERIES,
    evaluated_factors,
    evaluated_version,
    stored_values,
    value_tables,
)
from factor_assets.defs.markdown import markdown_table
from factor_assets.defs.materialization import on_all, replace_selected, replace_slice, table_asset
from factor_assets.defs.novelty import CORRELATIONS
from factor_assets.defs.partitions import dates, earlier, slice_of
from factor_assets.defs.trials import record_evaluated
from factor_assets.evaluation.evidence import factor_evidence, rank_ic_tstats
from factor_assets.evaluation.evidence_by_date import evidence_by_date, history_sessions, horizons_of
from factor_assets.evaluation.factor_correlations import Label
from factor_assets.evaluation.ic_decay import forward_rankings
from factor_assets.evaluation.marginal_evidence import MarginalEvidence, marginal_evidence, neutralising_factors
from factor_assets.evaluation.premia import Premium, fama_macbeth_premia
from factor_assets.evaluation.random_benchmark import RandomComparison, compare_factor_with_random
from factor_assets.evaluation.timeseries import rows_by_factor
from factor_assets.evaluation.trials import family_size
from factor_assets.panel.panel import Array, Panel
from factor_assets.storage.slice import EVERYTHING
from factor_assets.tables import TABLES
from factor_assets.workspace import Workspace

INFORMATION, TRADING = dg.AssetKey("factor_information"), dg.AssetKey("factor_trading")
EVIDENCE = dg.AssetKey("factor_evidence")

_TOLD = 3
"""Factors without evidence that the check's sentence names; its metadata has all."""


_OTHERS_HELD = 8
"""Factors that others are neutralised on, in memory at once."""


class _OfValues(NamedTuple):
    """What is computed from the values of the factors, as `factor_evidence` takes it."""

    premia: dict[tuple[str, str, int], Premium]
    random: dict[Label, RandomComparison]
    marginal: dict[tuple[str, str, int], MarginalEvidence]


class EvidenceConfig(dg.Config):
    """What a run of factor_evidence may ask for."""

    include_holdout: bool = False
    """Look at the sessions of the holdout too. The ledger of trials, the table and the page then say so."""


def evidence_assets(workspace: Workspace) -> list[dg.AssetsDefinition]:
    """Return the assets of this file."""
    return [_by_date(workspace), _evidence(workspace)]


def _by_date(workspace: Workspace) -> dg.AssetsDefinition:
    settings = workspace.settings
    code_version = evaluated_version(workspace)
    history = history_sessions(settings.evaluation)
    reaches_back = earlier(settings, history)
    inputs = (*workspace.panel_tables(), *value_tables(workspace))

    @dg.multi_asset(
        name="factor_information",
        specs=[
            table_asset(
                TABLES[key.to_user_string()],
                group=GROUP,
                code_version=code_version,
                partitions=dates(settings),
                deps=[dg.AssetDep(dg.AssetKey(name.split("/")), partition_mapping=reaches_back) for name in inputs],
                skippable=True,
            )
            for key in (INFORMATION, TRADING)
        ],
        can_subset=True,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def factor_information(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any]]:
        part = slice_of(context)
        panel = workspace.panel(part, history=history)
        evidence = evidence_by_date(
            stored_values(workspace, panel),
            panel,
            settings=settings.evaluation,
            universe=settings.universe_name,
            source=workspace.source.label,
            start_row=len(panel.dates) - len(workspace.sessions(part)),
        )
        yield from replace_selected(
            context,
            workspace,
            part,
            {INFORMATION: evidence.information, TRADING: evidence.trading},
            code_version=code_version,
            inputs=inputs,
        )

    return factor_information


def _evidence(workspace: Workspace) -> dg.AssetsDefinition:
    settings = workspace.settings
    code_version = evaluated_version(workspace)
    by_session = ("factor_timeseries", "factor_information", "factor_trading", "factor_quantiles")
    values = (*workspace.panel_tables(), *value_tables(workspace))

    spec = table_asset(
        TABLES["factor_evidence"],
        group=GROUP,
        code_version=code_version,
        deps=[
            *on_all(TIMESERIES, INFORMATION, TRADING, QUANTILES),
            *on_all(*(dg.AssetKey(name.split("/")) for name in values)),
            dg.AssetDep(CORRELATIONS),
        ],
    )
    check = dg.AssetCheckSpec(
        "evidence_is_complete",
        asset=EVIDENCE,
        description="Every factor has a tested rank IC at every horizon, and a Sharpe ratio.",
    )

    @dg.multi_asset(name="factor_evidence", specs=[spec], check_specs=[check])
    def evidence(
        context: dg.AssetExecutionContext, config: EvidenceConfig
    ) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
        tables = {name: workspace.evidence(name) for name in by_session}
        holdout = config.include_holdout
        if holdout and settings.evaluation.holdout_start is not None:
            context.log.warning(f"The holdout, from {settings.evaluation.holdout_start} on, is looked at.")
        correlations = workspace.store.read("factor_correlations")
        of_values = _of_values(workspace, tables["factor_timeseries"], correlations, include_holdout=holdout)
        rows = factor_evidence(
            *tables.values(),
            settings=settings.evaluation,
            universe=settings.universe_name,
            source=workspace.source.label,
            n_trials=_n_trials(context, workspace, tables["factor_information"], include_holdout=holdout),
            correlations=correlations,
            premia=of_values.premia,
            random=of_values.random if settings.evaluation.random_portfolios else None,
            marginal=of_values.marginal,
            include_holdout=holdout,
        )
        judged = rows.filter(pc.field("horizon") == settings.evaluation.horizon).to_pylist()
        yield replace_slice(
            context,
            workspace,
            "factor_evidence",
            EVERYTHING,
            rows,
            asset_key=EVIDENCE,
            code_version=code_version,
            inputs=(*by_session, "factor_correlations", *values),
            metadata={
                "n_trials": max(rows["n_trials"].to_pylist(), default=0),
                "has_holdout": any(rows["has_holdout"].to_pylist()),
                "evidence": dg.MetadataValue.md(markdown_table(judged, _SHOWN)),
            },
        )
        yield _complete_check(rows)

    return evidence


def _of_values(
    workspace: Workspace, timeseries: pa.Table, correlations: pa.Table, *, include_holdout: bool
) -> _OfValues:
    """Read each factor's values once, for everything that needs them."""
    settings = workspace.settings.evaluation
    panel = workspace.panel()
    forward_returns = forward_rankings(panel["close"], horizons=horizons_of(settings))
    own_rows = {(family, name): rows for family, name, rows in rows_by_factor(timeseries)}
    labels = [(factor.family, factor.name) for factor in evaluated_factors(workspace)]
    others = neutralising_factors(labels, correlations, settings=settings)

    @lru_cache(maxsize=max(_OTHERS_HELD, len(settings.neutralised_on)))
    def values_of(label: Label) -> Array:
        return _stored_factor(workspace, label, panel)

    found = _OfValues({}, {}, {})
    for family, name, values in stored_values(workspace, panel):
        label = (family, name)
        found.premia.update(
            fama_macbeth_premia([(family, name, values)], panel, settings=settings, include_holdout=include_holdout)
        )
        if settings.random_portfolios and label in own_rows:
            found.random[label] = compare_factor_with_random(
                values, own_rows[label], panel, settings=settings, include_holdout=include_holdout
            )
        marginal = marginal_evidence(
            values,
            {other: values_of(other) for other in others[label]},
            forward_returns,
            panel,
            settings=settings,
            include_holdout=include_holdout,
        )
        found.marginal.update({(*label, horizon): one for horizon, one in marginal.items()})
    return found


def _stored_factor(workspace: Workspace, label: Label, panel: Panel) -> Array:
    """Read the values of one factor, or of one column of a library."""
    family, name = label
    if any((factor.family, factor.name) == label for factor in workspace.factors.values()):
        return workspace.factor_values(family, name, panel)
    rows = workspace.store.read(f"libraries/{family}", columns=["date", "ticker", name])
    return panel.scatter(rows, name)


def _n_trials(
    context: dg.AssetExecutionContext, workspace: Workspace, information: pa.Table, *, include_holdout: bool
) -> int:
    """Add what is about to be judged to the ledger of trials, and count it."""
    settings = workspace.settings
    start = settings.evaluation.holdout_start
    looked_at = information["date"]
    if start is not None and not include_holdout:
        looked_at = looked_at.filter(pc.less(looked_at, pa.scalar(start, pa.date32())))
    if not len(looked_at):
        return 0
    days = pc.min_max(looked_at).as_py()
    ledger = record_evaluated(
        workspace,
        evaluated_factors(workspace),
        statistics=rank_ic_tstats(information, settings=settings.evaluation, include_holdout=include_holdout),
        start_date=days["min"],
        end_date=days["max"],
        tried_by="factor_evidence",
        run_id=context.run.run_id,
    )
    return family_size(ledger, universe=settings.universe_name, source=workspace.source.label)


def _complete_check(rows: pa.Table) -> dg.AssetCheckResult:
    missing = [
        row for row in rows.to_pylist() if row["mean_rank_ic_tstat"] is None or row["session_sharpe_ratio"] is None
    ]
    why: dict[str, str] = {}
    for row in missing:
        why.setdefault(f"{row['factor_type']}/{row['factor_name']}", row["reason"])
    told = f"{', '.join(list(why)[:_TOLD])}{', ...' if len(why) > _TOLD else ''}"
    return dg.AssetCheckResult(
        check_name="evidence_is_complete",
        asset_key=EVIDENCE,
        passed=not missing,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{len(missing)} of {rows.num_rows} rows have no evidence: {told}" if missing else None,
        metadata={"n_missing": len(missing), "n_rows": rows.num_rows, "reasons": why},
    )


_SHOWN = {
    "factor_type": "type",
    "factor_name": "factor",
    "mean_rank_ic": "rank IC",
    "mean_rank_ic_tstat": "t",
    "holm_pvalue": "p (Holm)",
    "session_sharpe_ratio": "Sharpe a session",
    "deflated_sharpe_ratio": "deflated",
    "mean_turnover": "turnover",
    "median_capacity": "capacity",
    "closest_factor": "closest",
    "closest_correlation": "correlation",
    "reason": "missing",
}
