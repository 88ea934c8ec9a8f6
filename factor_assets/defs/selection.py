"""The assets factor_selection and factor_event_curves: what choosing the best is worth, and what came after the sorts.

What does not belong here: the tests (`evaluation/selection_evidence.py`), the curves (`evaluation/event_curves.py`).
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from factor_assets.defs.evaluation import (
    GROUP,
    TIMESERIES,
    evaluated_factors,
    evaluated_version,
    stored_values,
    value_tables,
)
from factor_assets.defs.evidence import EVIDENCE
from factor_assets.defs.markdown import markdown_cell, markdown_table
from factor_assets.defs.materialization import on_all, replace_slice, table_asset
from factor_assets.evaluation.event_curves import factor_event_curves
from factor_assets.evaluation.market_return import market_return
from factor_assets.evaluation.selection_evidence import ALL, factor_selection
from factor_assets.evaluation.trials import family_size
from factor_assets.storage.slice import EVERYTHING
from factor_assets.tables import TABLES
from factor_assets.workspace import Workspace

SELECTION, EVENT_CURVES = dg.AssetKey("factor_selection"), dg.AssetKey("factor_event_curves")

MAX_OVERFITTING = 0.5
"""Probability from which choosing the best is no better than choosing any."""

MAX_PVALUE = 0.05
"""Of superior ability, above which the best may be luck."""

_TOLD, _SHOWN = 3, 50


def selection_assets(workspace: Workspace) -> list[dg.AssetsDefinition]:
    """Return the assets of this file."""
    return [_selection(workspace), _event_curves(workspace)]


def _selection(workspace: Workspace) -> dg.AssetsDefinition:
    settings = workspace.settings
    code_version = evaluated_version(workspace)
    # After factor_evidence, which adds what it judges to the ledger of trials that is counted here.
    spec = table_asset(
        TABLES["factor_selection"],
        group=GROUP,
        code_version=code_version,
        deps=[*on_all(TIMESERIES, dg.AssetKey("prices"), dg.AssetKey("universe")), dg.AssetDep(EVIDENCE)],
    )
    checks = [
        dg.AssetCheckSpec(
            "overfitting_is_unlikely",
            asset=SELECTION,
            description=f"Choosing the best of all factors overfits with a probability of at most {MAX_OVERFITTING}.",
        ),
        dg.AssetCheckSpec(
            "best_is_superior",
            asset=SELECTION,
            description=f"That the best of all factors is luck has a p-value of at most {MAX_PVALUE}.",
        ),
    ]

    @dg.multi_asset(name="factor_selection", specs=[spec], check_specs=checks)
    def selection(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
        panel = workspace.panel()
        rows = factor_selection(
            workspace.evidence("factor_timeseries"),
            dict(zip(panel.dates.tolist(), market_return(panel).tolist(), strict=True)),
            {(factor.family, factor.name): factor.factor.sign for factor in evaluated_factors(workspace)},
            settings=settings.evaluation,
            universe=settings.universe_name,
            source=workspace.source.label,
            n_trials=family_size(
                workspace.store.read("trials"), universe=settings.universe_name, source=workspace.source.label
            ),
        )
        yield replace_slice(
            context,
            workspace,
            "factor_selection",
            EVERYTHING,
            rows,
            asset_key=SELECTION,
            code_version=code_version,
            inputs=("factor_timeseries", "prices", "universe"),
            metadata={"selection": dg.MetadataValue.md(markdown_table(rows.to_pylist(), _SELECTION_SHOWN))},
        )
        of_all: dict[str, Any] = next((row for row in rows.to_pylist() if row["scope"] == ALL), {})
        yield _selection_check("overfitting_is_unlikely", of_all, "overfitting_probability", MAX_OVERFITTING)
        yield _selection_check("best_is_superior", of_all, "superior_ability_pvalue", MAX_PVALUE)

    return selection


def _selection_check(name: str, of_all: dict[str, Any], column: str, largest: float) -> dg.AssetCheckResult:
    value = of_all.get(column)
    if value is None:
        told = f"{column} unknown: {of_all.get('reason') or 'there is no factor'}"
    else:
        told = f"{column} {value:.3g} of {of_all['n_factors']} factors on {of_all['n_sessions']} sessions"
    return dg.AssetCheckResult(
        check_name=name,
        asset_key=SELECTION,
        passed=value is not None and value <= largest,
        severity=dg.AssetCheckSeverity.WARN,
        description=told,
        metadata={"largest": largest, **({} if value is None else {column: value})},
    )


def _event_curves(workspace: Workspace) -> dg.AssetsDefinition:
    settings = workspace.settings
    code_version = evaluated_version(workspace)
    inputs = (*workspace.panel_tables(), *value_tables(workspace))
    spec = table_asset(
        TABLES["factor_event_curves"],
        group=GROUP,
        code_version=code_version,
        deps=on_all(*(dg.AssetKey(name.split("/")) for name in inputs)),
    )
    check = dg.AssetCheckSpec(
        "curves_are_known", asset=EVENT_CURVES, description="Every factor has a curve of at least one sort."
    )

    @dg.multi_asset(name="factor_event_curves", specs=[spec], check_specs=[check])
    def event_curves(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
        panel = workspace.panel()
        rows = factor_event_curves(
            stored_values(workspace, panel),
            panel,
            settings=settings.evaluation,
            universe=settings.universe_name,
            source=workspace.source.label,
        )
        yield replace_slice(
            context,
            workspace,
            "factor_event_curves",
            EVERYTHING,
            rows,
            asset_key=EVENT_CURVES,
            code_version=code_version,
            inputs=inputs,
            metadata={"curves": dg.MetadataValue.md(_curves_markdown(rows))},
        )
        yield _curves_check(rows)

    return event_curves


def _curves_check(rows: pa.Table) -> dg.AssetCheckResult:
    at_sort = rows.filter(pc.field("offset") == 0).to_pylist()
    missing = [f"{row['factor_type']}/{row['factor_name']}" for row in at_sort if not row["n_sorts"]]
    told = f"{', '.join(missing[:_TOLD])}{', ...' if missing[_TOLD:] else ''}"
    return dg.AssetCheckResult(
        check_name="curves_are_known",
        asset_key=EVENT_CURVES,
        passed=not missing,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{len(missing)} of {len(at_sort)} factors have no complete sort: {told}" if missing else None,
        metadata={"n_missing": len(missing), "n_factors": len(at_sort)},
    )


_SELECTION_SHOWN = {
    "scope": "scope",
    "n_factors": "factors",
    "n_sessions": "sessions",
    "best_factor": "best",
    "best_sharpe_ratio": "Sharpe a session",
    "overfitting_probability": "overfitting",
    "superior_ability_pvalue": "p (best is luck)",
    "grs_pvalue": "p (no alpha)",
    "reason": "notes",
}


def _curves_markdown(rows: pa.Table) -> str:
    """Return the two ends of the curves, of the factors whose outer quantiles drift apart most after the sort."""
    first, last = (rows.filter(pc.field("offset") == end) for end in _ends(rows))
    spread_before, spread_after = (
        pc.subtract(end["top_curve"], end["bottom_curve"]).to_pylist() for end in (first, last)
    )
    labels = zip(last["factor_type"].to_pylist(), last["factor_name"].to_pylist(), strict=True)
    told = sorted(
        zip(labels, spread_before, spread_after, last["n_sorts"].to_pylist(), strict=True),
        key=lambda row: (-abs(row[2] or 0.0), row[0]),
    )
    lines = ["| factor | top less bottom, before | after | sorts |", "|---|---|---|---|"]
    lines += [
        f"| {'/'.join(label)} | {markdown_cell(before)} | {markdown_cell(after)} | {n} |"
        for label, before, after, n in told[:_SHOWN]
    ]
    return "\n".join(lines)


def _ends(rows: pa.Table) -> tuple[int, int]:
    ends = pc.min_max(rows["offset"]).as_py()
    return ends["min"] or 0, ends["max"] or 0
