"""What the charts of the comparison page show, as plain lists: numbers a factor, never a session.

Quartiles are computed here, so that a page of many factors and tickers stays small and its script only draws. The page
itself is made in `comparison_page.py`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from factor_assets.evaluation.evidence_tables import FactorRows
from factor_assets.evaluation.factor_charts import decay, rounded
from factor_assets.evaluation.page_parts import numbers_of

Floats = npt.NDArray[np.float64]

_OUTLIERS = 60  # of one type and chart, the most extreme
_BUBBLE = ("avg_beta", "avg_tstat", "avg_rsquared")


def comparison_data(factors: Sequence[FactorRows], *, correlations: pa.Table | None, horizon: int) -> dict[str, Any]:
    """Gather everything that the script of the comparison page draws.

    Parameters
    ----------
    factors
        In the order of the table's rows.
    correlations
        Rows of `factor_correlations`, in any order; None where it was not made.
    horizon
        Of the rank IC.

    Returns
    -------
    Strings, lists and numbers, ready for JSON: `types`; `factors`, one entry each; `boxes` of the t-statistic and R2
    of the tickers' regressions by type; `heat`, the rank correlations in hundredths with similar factors side by side.
    """
    types = sorted({rows.family for rows in factors})
    return {
        "types": types,
        "factors": [_factor(rows, horizon=horizon) for rows in factors],
        "boxes": {name: [_box(factors, family, name) for family in types] for name in ("tstat", "rsquared")},
        "heat": _heat(correlations, factors),
    }


def _factor(rows: FactorRows, *, horizon: int) -> dict[str, Any]:
    numbers = numbers_of(rows, horizon=horizon)
    of_mean = decay([_as_evidence(numbers, horizon)])
    return {
        "name": rows.name,
        "type": rows.family,
        **{column: rounded(np.array([_float(numbers[column])]))[0] for column in _BUBBLE},
        "ic": of_mean["mean"][0],
        "ic_error": of_mean["error"][0],
        "decay": decay(rows.evidence),
    }


def _as_evidence(numbers: Mapping[str, Any], horizon: int) -> dict[str, Any]:
    """Mean rank IC and its t, from the evidence where there is any and else from the summary."""
    name = "mean_rank_ic_tstat" if "mean_rank_ic_tstat" in numbers else "rank_ic_tstat"
    return {"horizon": horizon, "mean_rank_ic": numbers["mean_rank_ic"], "mean_rank_ic_tstat": numbers[name]}


def _float(value: float | None) -> float:
    return np.nan if value is None else float(value)


def _box(factors: Sequence[FactorRows], family: str, column: str) -> dict[str, Any]:
    """Median, quartiles, whiskers to the last value within 1.5 times the box, and the most extreme beyond them."""
    own = [rows for rows in factors if rows.family == family]
    parts = [np.asarray(rows.details[column].to_numpy(), dtype=np.float64) for rows in own]
    values: Floats = np.concatenate(parts) if parts else np.empty(0)
    place = np.repeat(np.arange(len(own)), [len(part) for part in parts])
    within = np.concatenate([np.arange(len(part)) for part in parts]) if parts else np.empty(0, np.int64)
    known = np.flatnonzero(np.isfinite(values))
    if not len(known):
        return {"n": 0}
    low, middle, high = np.percentile(values[known], (25, 50, 75))
    reach = 1.5 * (high - low)
    inside = values[known][(values[known] >= low - reach) & (values[known] <= high + reach)]
    beyond = known[(values[known] < low - reach) | (values[known] > high + reach)]
    beyond = beyond[np.argsort(-np.abs(values[beyond] - middle), kind="stable")][:_OUTLIERS]
    return {
        "n": len(known),
        "box": rounded(np.array([inside.min(), low, middle, high, inside.max()])),
        "y": rounded(values[beyond]),
        "text": [f"{own[place[i]].details['ticker'][int(within[i])].as_py()}, {own[place[i]].name}" for i in beyond],
    }


def _heat(correlations: pa.Table | None, factors: Sequence[FactorRows]) -> dict[str, Any] | None:
    """Rank correlations of every two factors in hundredths, in the order of `place`; None without any."""
    if correlations is None or not correlations.num_rows:
        return None
    known = {(rows.family, rows.name) for rows in factors}
    columns = {name: correlations[name].to_pylist() for name in correlations.column_names}
    pairs = list(
        zip(
            zip(columns["factor_type"], columns["factor_name"], strict=True),
            zip(columns["other_type"], columns["other_name"], strict=True),
            columns["rank_correlation"],
            strict=True,
        )
    )
    place = {pair[0]: at for pair, at in zip(pairs, columns["place"], strict=True) if pair[0] in known}
    cluster = {pair[0]: at for pair, at in zip(pairs, columns["cluster"], strict=True)}
    order = sorted(place, key=lambda key: (place[key] is None, place[key] or 0, key))
    row = {key: i for i, key in enumerate(order)}
    values = np.full((len(order), len(order)), np.nan)
    np.fill_diagonal(values, 1.0)
    for first, second, value in pairs:
        if first in row and second in row and value is not None:
            values[row[first], row[second]] = values[row[second], row[first]] = value
    hundredths = np.where(np.isfinite(values), np.round(100 * values), np.nan)
    return {
        "names": [name for _, name in order],
        "types": [family for family, _ in order],
        "clusters": [cluster[key] for key in order],
        "hundredths": [[None if np.isnan(v) else int(v) for v in line] for line in hundredths.tolist()],
    }
