"""The gate: the asset promoted_factors, with a check a gate.

What does not belong here: the decision (`evaluation/promotion.py`), and counting trials (`defs/trials.py`).
"""

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg

from factor_assets.defs.evaluation import GROUP, evaluated_factors
from factor_assets.defs.evidence import EVIDENCE
from factor_assets.defs.materialization import replace_slice, table_asset
from factor_assets.defs.novelty import CORRELATIONS
from factor_assets.evaluation.promotion import GATES, promote
from factor_assets.settings import version_of
from factor_assets.storage.slice import EVERYTHING
from factor_assets.tables import TABLES
from factor_assets.workspace import Workspace

PROMOTED = dg.AssetKey("promoted_factors")

_TOLD = 3
"""Refused factors that a check's sentence names; its metadata has all."""


def promotion_assets(workspace: Workspace) -> list[dg.AssetsDefinition]:
    """Return the assets of this file."""
    settings = workspace.settings
    code_version = version_of(settings.promotion, settings.evaluation)

    @dg.multi_asset(
        name="promoted_factors",
        specs=[
            table_asset(
                TABLES["promoted_factors"],
                group=GROUP,
                code_version=code_version,
                deps=[dg.AssetDep(EVIDENCE), dg.AssetDep(CORRELATIONS)],
            )
        ],
        check_specs=[
            dg.AssetCheckSpec(f"gate_{gate}", asset=PROMOTED, description=meaning) for gate, meaning in GATES.items()
        ],
    )
    def promoted_factors(
        context: dg.AssetExecutionContext,
    ) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
        evidence = workspace.store.read("factor_evidence")
        decided = promote(
            evidence,
            workspace.store.read("factor_correlations"),
            {(factor.family, factor.name): factor.factor.sign for factor in evaluated_factors(workspace)},
            settings=settings.promotion,
            horizon=settings.evaluation.horizon,
        )
        names = decided.rows.filter(decided.rows["promoted"])
        yield replace_slice(
            context,
            workspace,
            "promoted_factors",
            EVERYTHING,
            decided.rows,
            asset_key=PROMOTED,
            code_version=code_version,
            inputs=("factor_evidence", "factor_correlations"),
            metadata={
                "n_promoted": names.num_rows,
                "n_refused": decided.rows.num_rows - names.num_rows,
                "n_trials": max(decided.rows["n_trials"].drop_null().to_pylist(), default=0),
                "has_holdout": any(evidence["has_holdout"].to_pylist()),
                "decisions": dg.MetadataValue.md(_markdown(decided.rows.to_pylist())),
            },
        )
        for gate, refused in decided.refused.items():
            yield _check(gate, refused, n_factors=decided.rows.num_rows)

    return [promoted_factors]


def _check(gate: str, refused: Mapping[str, str], *, n_factors: int) -> dg.AssetCheckResult:
    told = "; ".join(f"{name}: {reason}" for name, reason in list(refused.items())[:_TOLD])
    return dg.AssetCheckResult(
        check_name=f"gate_{gate}",
        asset_key=PROMOTED,
        passed=not refused,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{len(refused)} of {n_factors} factors refused: {told}{'; ...' if len(refused) > _TOLD else ''}"
        if refused
        else f"none of {n_factors} factors refused",
        metadata={"n_refused": len(refused), "n_factors": n_factors, "refused": dict(refused)},
    )


def _markdown(rows: list[dict[str, Any]]) -> str:
    lines = ["| factor | promoted | reasons |", "|---|---|---|"]
    for row in rows:
        reasons = row["reasons"].replace("|", "\\|")
        lines.append(
            f"| {row['factor_type']}/{row['factor_name']} | {'yes' if row['promoted'] else 'no'} | {reasons} |"
        )
    return "\n".join(lines)
