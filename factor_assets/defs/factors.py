"""One asset per factor, one op per family: the panel is read once and sub-expressions are shared.

What does not belong here: libraries, which are one asset each (`libraries.py`).
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import dagster as dg
import numpy as np
import pyarrow as pa

from factor_assets.defs.checks import record_together, value_specs
from factor_assets.defs.materialization import replace_slice, table_asset
from factor_assets.defs.partitions import dates, earlier, slice_of
from factor_assets.evaluation.pictures import value_band_png
from factor_assets.evaluation.value_quality import HISTORY_SESSIONS, Judgement, judge, value_statistics
from factor_assets.expressions.engine import evaluate
from factor_assets.factors.registry import RegisteredFactor
from factor_assets.panel.panel import Array, Panel
from factor_assets.storage.slice import EVERYTHING
from factor_assets.tables import factor_table
from factor_assets.workspace import Workspace

_FEWEST_DRAWN = 40
JUDGED_BEFORE = HISTORY_SESSIONS + 1
"""Sessions before the first of a run that its checks compare with, and one that those are compared with."""


def factor_key(factor: RegisteredFactor) -> dg.AssetKey:
    """Return the asset key of a factor: factors / family / name."""
    return dg.AssetKey(["factors", factor.family, factor.name])


def factor_assets(workspace: Workspace) -> list[dg.AssetsDefinition]:
    """Return one multi-asset a family, with one asset a factor."""
    families: dict[str, list[RegisteredFactor]] = {}
    for factor in workspace.factors.values():
        families.setdefault(factor.family, []).append(factor)
    return [_family(workspace, family, factors) for family, factors in sorted(families.items())]


def _family(workspace: Workspace, family: str, factors: Sequence[RegisteredFactor]) -> dg.AssetsDefinition:
    settings = workspace.settings
    by_key = {factor_key(factor): factor for factor in factors}
    inputs = workspace.panel_tables(name for factor in factors for name in factor.inputs)
    # Dagster wants one mapping an op and upstream asset, so a family's edges reach as far as its longest lookback.
    reaches_back = earlier(settings, max(factor.lookback for factor in factors))

    @dg.multi_asset(
        name=f"{family}_factors",
        specs=[
            table_asset(
                factor_table(family, factor.name),
                group=family,
                code_version=factor.code_version,
                partitions=dates(settings),
                deps=[dg.AssetDep(name, partition_mapping=reaches_back) for name in inputs],
                description=f"{factor.factor.description}\n\n`{factor.expression}`\n\n{factor.factor.cite}",
                metadata=_declared(factor),
                units={"value": factor.factor.unit},
                skippable=True,
            )
            for factor in factors
        ],
        check_specs=[spec for key in by_key for spec in value_specs(key)],
        can_subset=True,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def family_factors(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any]]:
        part = slice_of(context)
        wanted = {key: by_key[key] for key in sorted(context.selected_asset_keys)}
        history = max(factor.lookback for factor in wanted.values())
        fields = {name for factor in wanted.values() for name in factor.inputs}
        panel = workspace.panel(part, history=history + JUDGED_BEFORE, fields=fields)
        start = len(panel.dates) - len(workspace.sessions(part))
        expressions = {factor.name: factor.expression for factor in wanted.values()}
        key_of = {factor.name: key for key, factor in wanted.items()}
        first = max(0, start - JUDGED_BEFORE)
        judged: dict[dg.AssetKey, list[Judgement]] = {}
        # The panel begins where the data do, or as far back as is needed: either way nothing is missing before it.
        for name, whole in evaluate(expressions, panel):
            values = whole[start:]
            factor = wanted[key_of[name]]
            rows = panel.gather(values, start=start)
            rows = rows.append_column("source", pa.repeat(workspace.source.label, rows.num_rows))
            title = f"{name}, {workspace.source.label}"
            yield replace_slice(
                context,
                workspace,
                f"factors/{family}/{name}",
                part,
                rows,
                asset_key=key_of[name],
                code_version=factor.code_version,
                inputs=inputs,
                metadata=_describe(values),
                # A month makes no picture of values over time, and would cost the daily run one a factor.
                plot=partial(value_band_png, rows, title=title) if len(values) >= _FEWEST_DRAWN else None,
            )
            statistics = value_statistics(whole[first:], panel.in_universe[first:], has_scale=has_scale(factor))
            warm = warm_rows(workspace, panel, factor) - first
            judged[key_of[name]] = judge(statistics, panel.dates[first:], start=start - first, warm=warm)
        record_together(context, judged)

    return family_factors


def _declared(factor: RegisteredFactor) -> dict[str, Any]:
    declaration = factor.factor
    return {
        "formula": str(factor.expression),
        "citation": declaration.cite,
        "unit": declaration.unit,
        "lookback_sessions": factor.lookback,
        "sign_as_published": declaration.sign,
        **({"doi": dg.MetadataValue.url(f"https://doi.org/{declaration.doi}")} if declaration.doi else {}),
    }


def _describe(values: Array) -> Mapping[str, Any]:
    finite = values[np.isfinite(values)]
    if not finite.size:
        return {"n_values": 0, "note": "no value could be computed in these partitions; see the check and the inputs"}
    low, median, high = np.quantile(finite, (0.05, 0.5, 0.95))
    return {
        "n_values": int(finite.size),
        "quantile_05": float(low),
        "median": float(median),
        "quantile_95": float(high),
        "n_infinite": int(np.isinf(values).sum()),
    }


def has_scale(factor: RegisteredFactor) -> bool:
    """Whether the factor's values count money or shares, so that a large one may be right."""
    return "currency" in factor.factor.unit or "shares" in factor.factor.unit


def warm_rows(workspace: Workspace, panel: Panel, factor: RegisteredFactor) -> int:
    """Rows at the panel's start whose lookback reaches before the data; nothing can be expected there."""
    before = np.searchsorted(workspace.sessions(EVERYTHING), panel.dates[:1])
    return max(0, factor.lookback - int(before[0])) if len(before) else 0
