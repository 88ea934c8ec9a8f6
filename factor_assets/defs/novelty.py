"""The asset factor_correlations: which factors are new, and which say again what another says."""

from collections.abc import Iterator
from datetime import date, timedelta
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
from factor_assets.defs.materialization import on_all, picture, replace_slice, table_asset
from factor_assets.evaluation.factor_correlations import (
    FactorBlock,
    Label,
    block_sessions,
    correlation_matrix,
    factor_correlations,
    rank_correlations,
    return_correlations,
    sampling_step,
)
from factor_assets.evaluation.holdout import before_holdout
from factor_assets.evaluation.pictures import correlation_heat_map_png
from factor_assets.panel.panel import Panel
from factor_assets.storage.slice import EVERYTHING, Slice
from factor_assets.tables import TABLES
from factor_assets.workspace import Workspace

CORRELATIONS = dg.AssetKey("factor_correlations")
CHECK = "factors_are_distinct"

DUPLICATE = 0.95
"""Absolute rank correlation above which two factors are one with two names."""

_TOLD, _SHOWN = 5, 50
"""Pairs that the check's sentence and its table name."""


def novelty_assets(workspace: Workspace) -> list[dg.AssetsDefinition]:
    """Return the assets of this file."""
    labels = [(factor.family, factor.name) for factor in evaluated_factors(workspace)]
    code_version = evaluated_version(workspace)
    tables = ("universe", "factor_timeseries", *value_tables(workspace))

    spec = table_asset(
        TABLES["factor_correlations"],
        group=GROUP,
        code_version=code_version,
        deps=on_all(TIMESERIES, *(dg.AssetKey(name.split("/")) for name in tables if name != "factor_timeseries")),
    )
    check = dg.AssetCheckSpec(
        CHECK,
        asset=CORRELATIONS,
        description=f"No two factors have an absolute rank correlation above {DUPLICATE}.",
    )

    @dg.multi_asset(name="factor_correlations", specs=[spec], check_specs=[check])
    def correlations(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
        rows, how = _correlations(workspace, labels)
        ordered, matrix = correlation_matrix(rows)
        heat_map = correlation_heat_map_png(
            matrix,
            names=[name for _, name in ordered],
            title=f"Rank correlation of factors, {workspace.source.label}",
        )
        yield replace_slice(
            context,
            workspace,
            "factor_correlations",
            EVERYTHING,
            rows,
            asset_key=CORRELATIONS,
            code_version=code_version,
            inputs=tables,
            metadata={"n_clusters": len(rows["cluster"].unique()), **how, "plot": picture(heat_map)},
        )
        yield _distinct_check(rows)

    return [correlations]


def _correlations(workspace: Workspace, labels: list[Label]) -> tuple[pa.Table, dict[str, int]]:
    """Return the rows, and of which sessions they are."""
    settings = workspace.settings
    sessions = before_holdout(workspace.sessions(EVERYTHING), settings.evaluation)
    timeseries = workspace.evidence("factor_timeseries", columns=["date", "factor_type", "factor_name", "factor_value"])
    step = sampling_step(len(labels), len(sessions))
    least = settings.evaluation.min_observations
    rows = factor_correlations(
        labels,
        return_correlation=return_correlations(
            before_holdout(timeseries, settings.evaluation), labels=labels, min_sessions=least
        ),
        rank_correlation=rank_correlations(
            _blocks(workspace, sessions.tolist(), n_factors=len(labels), step=step), labels=labels, min_sessions=least
        ),
        universe=settings.universe_name,
        source=workspace.source.label,
    )
    return rows, {"n_factors": len(labels), "n_sessions": len(sessions[::step]), "every_kth_session": step}


def _blocks(workspace: Workspace, sessions: list[date], *, n_factors: int, step: int) -> Iterator[FactorBlock]:
    """Yield the values of so many sessions at once that the memory is bounded; of them every `step`-th."""
    members = workspace.store.read("universe", columns=["date", "ticker"])
    n_tickers = len(members["ticker"].unique())
    size = step * block_sessions(n_factors, n_tickers)
    for i in range(0, len(sessions), size):
        days = sessions[i : i + size]
        part = Slice(start=days[0], end=days[-1] + timedelta(days=1))
        # Ranks need no price, only names and membership.
        panel = Panel.from_tables(
            prices=TABLES["prices"].schema.empty_table(),
            universe=members.filter((pc.field("date") >= days[0]) & (pc.field("date") <= days[-1])),
            sessions=workspace.sessions(part),
        )
        values = stored_values(workspace, panel)
        yield FactorBlock(
            factors=((family, name, rows[::step]) for family, name, rows in values),
            in_universe=panel.in_universe[::step],
        )


def _distinct_check(rows: pa.Table) -> dg.AssetCheckResult:
    labels = pc.binary_join_element_wise(rows["factor_type"], rows["factor_name"], "/")
    others = pc.binary_join_element_wise(rows["other_type"], rows["other_name"], "/")
    size = pc.abs(rows["rank_correlation"])
    once = pa.table(
        {"factor": labels, "other": others, "rank_correlation": rows["rank_correlation"], "size": size}
    ).filter((pc.field("factor") < pc.field("other")) & (pc.field("size") > DUPLICATE))
    alike = once.sort_by([("size", "descending"), ("factor", "ascending"), ("other", "ascending")]).to_pylist()
    told = [f"{pair['factor']} and {pair['other']} ({pair['rank_correlation']:+.3f})" for pair in alike]
    sentence = f"{len(alike)} pairs are nearly the same: {'; '.join(told[:_TOLD])}{'; ...' if told[_TOLD:] else ''}"
    lines = ["| factor | other | rank correlation |", "|---|---|---|"]
    lines += [f"| {pair['factor']} | {pair['other']} | {pair['rank_correlation']:+.4f} |" for pair in alike[:_SHOWN]]
    return dg.AssetCheckResult(
        check_name=CHECK,
        asset_key=CORRELATIONS,
        passed=not alike,
        severity=dg.AssetCheckSeverity.WARN,
        description=sentence if alike else None,
        metadata={
            "n_pairs": rows.num_rows // 2,
            "n_alike": len(alike),
            "n_unknown": rows["rank_correlation"].null_count // 2,
            **({"pairs": dg.MetadataValue.md("\n".join(lines))} if alike else {}),
        },
    )
