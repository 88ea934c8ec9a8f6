"""Which factors pass every gate, and why the others do not.

1. A factor whose published sign is -1 earns by its low values: its deflated Sharpe ratio is turned round.
2. Each factor's evidence at one horizon is held against the thresholds, gate by gate in the order of `GATES`. A number
   that is missing refuses: what is not known was not shown.
3. Those that passed are taken by deflated Sharpe ratio, highest first (ties: lower corrected p-value, then name), and
   each is refused that is too much like one taken before it.

Evidence that looked at the holdout promotes nobody: what was chosen in sight of it has nothing left to be tried on.

What does not belong here: the statistics and their correction for trials (`multiple_testing.py`, `sharpe.py`, and the
ledger in `trials.py`), which arrive as numbers.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from statistics import NormalDist
from typing import Any, NamedTuple

import pyarrow as pa

from factor_assets.errors import EvaluationError
from factor_assets.settings import PromotionSettings
from factor_assets.tables import TABLES

GATES: Mapping[str, str] = {
    "holdout": "The evidence left the holdout alone.",
    "coverage": "Enough of the universe has a value.",
    "holm_pvalue": "The mean rank IC is no luck, after Holm's correction for all trials.",
    "deflated_sharpe_ratio": "The Sharpe ratio is above the best that so many trials show without merit.",
    "turnover": "The portfolios do not change too much.",
    "capacity": "One session's trading takes enough capital.",
    "sign": "The rank IC has the sign that was published.",
    "correlation": "It is not one of the factors promoted before it.",
}
"""Gate -> what passing it means, in the order in which they are told."""

_NORMAL = NormalDist()

_Name = tuple[str, str]
"""Family and name of a factor."""


class Promotion(NamedTuple):
    """What the gates decided.

    Parameters
    ----------
    rows
        As the table `promoted_factors`, one a factor, sorted by its key.
    refused
        Gate -> `family/name` -> reason, every gate in order.
    """

    rows: pa.Table
    refused: Mapping[str, Mapping[str, str]]


def promote(
    evidence: pa.Table,
    correlations: pa.Table,
    signs: Mapping[_Name, int],
    *,
    settings: PromotionSettings,
    horizon: int,
) -> Promotion:
    """Decide which factors are promoted.

    Parameters
    ----------
    evidence
        Rows of `factor_evidence`; only those of the horizon count.
    correlations
        Rows of `factor_correlations`; a pair may be there once or both ways.
    signs
        (family, name) -> sign published: +1, -1, or 0 where none is claimed. A factor that is missing is refused,
        unless the settings ask for no sign. Where none is claimed, high values must have earned more: to choose the
        direction afterwards would be another trial.
    settings
        The thresholds. A number exactly at its threshold passes.
    horizon
        Sessions of the forward return that the decision is about.

    Returns
    -------
    Promoted or not, with the numbers that decided and every gate's reason: the number and its threshold. Nulls and NaN
    refuse, as "... unknown: why". The correlation gate is only asked of factors that passed the others.

    Raises
    ------
    EvaluationError
        If there is evidence, but none at the horizon; or two rows of one factor.
    """
    rows = {
        name: row if signs.get(name) != -1 else {**row, "deflated_sharpe_ratio": _turned_round(row)}
        for name, row in _at_horizon(evidence, horizon).items()
    }
    reasons: dict[_Name, dict[str, str]] = {name: dict(_refusals(row, signs, settings)) for name, row in rows.items()}
    alike = _rank_correlations(correlations)
    taken: list[_Name] = []
    for name in sorted((n for n in rows if not reasons[n]), key=lambda n: _precedence(rows[n], n)):
        too_close = _too_close(name, taken, alike, settings.max_correlation)
        if too_close:
            reasons[name]["correlation"] = too_close
        else:
            taken.append(name)
    table = TABLES["promoted_factors"]
    told = [
        {column: row.get(column) for column in table.column_names}
        | {"promoted": not reasons[name], "reasons": "; ".join(reasons[name].values())}
        for name, row in sorted(rows.items())
    ]
    refused = {
        gate: {"/".join(name): why[gate] for name, why in sorted(reasons.items()) if gate in why} for gate in GATES
    }
    return Promotion(rows=pa.Table.from_pylist(told, schema=table.schema), refused=refused)


def _at_horizon(evidence: pa.Table, horizon: int) -> dict[_Name, dict[str, Any]]:
    every = evidence.to_pylist()
    found: dict[_Name, dict[str, Any]] = {}
    for row in every:
        if row["horizon"] != horizon:
            continue
        name = (row["factor_type"], row["factor_name"])
        if name in found:
            raise EvaluationError(
                f"The evidence has two rows of {'/'.join(name)} at a horizon of {horizon} sessions; wanted one."
            )
        found[name] = row
    if every and not found:
        horizons = ", ".join(str(h) for h in sorted({row["horizon"] for row in every}))
        raise EvaluationError(
            f"The evidence is of horizons {horizons}, but promotion is decided at {horizon} (evaluation.horizon)."
            " Add it to evaluation.horizons and make factor_evidence again."
        )
    return found


def _turned_round(row: Mapping[str, Any]) -> float | None:
    r"""Return the deflated Sharpe ratio of low minus high, from that of high minus low.

    With z the normal quantile of each, S* the expected maximum and k the inverse of the standard error, which is the
    same for both directions (skewness changes its sign with the mean): z(PSR) = S k and z(DSR) = (S - S*) k, so that

    .. math:: (-S - S^*) \, k = z_{DSR} - 2 \, z_{PSR}

    None where a number is missing, or so near to 0 that nothing is left of it.
    """
    above_zero, deflated = row["probabilistic_sharpe_ratio"], row["deflated_sharpe_ratio"]
    if _is_missing(above_zero) or _is_missing(deflated):
        return None
    if above_zero >= 1.0:
        return 0.0
    if above_zero <= 0.0 or deflated <= 0.0:
        return None
    return _NORMAL.cdf(_NORMAL.inv_cdf(deflated) - 2.0 * _NORMAL.inv_cdf(above_zero))


def _refusals(
    row: Mapping[str, Any], signs: Mapping[_Name, int], settings: PromotionSettings
) -> Iterator[tuple[str, str]]:
    """Yield gate and reason of each refusal by the row's own numbers, in the order of the gates."""
    bounds = (
        ("coverage", "mean_coverage", settings.min_coverage, "below"),
        ("holm_pvalue", "holm_pvalue", settings.max_pvalue, "above"),
        ("deflated_sharpe_ratio", "deflated_sharpe_ratio", settings.min_deflated_sharpe_ratio, "below"),
        ("turnover", "mean_turnover", settings.max_turnover, "above"),
        ("capacity", "median_capacity", settings.min_capacity, "below"),
    )
    if row["has_holdout"]:
        yield "holdout", "has_holdout: the evidence looked at it; make factor_evidence again without the holdout"
    unknown = f"unknown: {row['reason'] or 'the evidence has no such number'}"
    for gate, column, threshold, side in bounds:
        value = row[column]
        if _is_missing(value):
            yield gate, f"{column} {unknown}"
        elif value < threshold if side == "below" else value > threshold:
            yield gate, f"{column} {_beside(value, threshold)} {side} {threshold:g}"
    if not settings.sign_as_published:
        return
    sign, mean = signs.get((row["factor_type"], row["factor_name"])), row["mean_rank_ic"]
    if sign is None:
        yield "sign", "published sign unknown: the factor is not declared here"
    elif sign and _is_missing(mean):
        yield "sign", f"mean_rank_ic {unknown}"
    elif sign and mean * sign <= 0:
        yield "sign", f"mean_rank_ic {mean:+.3g} against the published sign {'+' if sign > 0 else '-'}"


def _precedence(row: Mapping[str, Any], name: _Name) -> tuple[float, float, _Name]:
    return -row["deflated_sharpe_ratio"], row["holm_pvalue"], name


def _rank_correlations(correlations: pa.Table) -> dict[frozenset[_Name], float | None]:
    wanted = correlations.select(["factor_type", "factor_name", "other_type", "other_name", "rank_correlation"])
    return {
        frozenset({(row["factor_type"], row["factor_name"]), (row["other_type"], row["other_name"])}): row[
            "rank_correlation"
        ]
        for row in wanted.to_pylist()
    }


def _too_close(
    name: _Name, taken: Sequence[_Name], alike: Mapping[frozenset[_Name], float | None], threshold: float
) -> str:
    """Return why the factor is too much like one already taken, the nearest of them; "" if it is not."""
    nearest, size = "", threshold
    for other in taken:
        value = alike.get(frozenset({name, other}))
        if value is None or math.isnan(value):
            return f"rank_correlation with {'/'.join(other)} unknown: factor_correlations has no such number"
        if abs(value) > size:
            size = abs(value)
            nearest = f"rank_correlation {_beside(value, threshold)} with {'/'.join(other)} above {threshold:g}"
    return nearest


def _is_missing(value: float | None) -> bool:
    return value is None or math.isnan(value)


def _beside(value: float, threshold: float) -> str:
    """Return the number with as many digits as show that it is not the threshold."""
    forms = (f"{value:.{digits}g}" for digits in range(3, 18))
    return next((form for form in forms if abs(float(form)) != threshold), repr(value))
