"""What choosing the best of the factors is worth, among all and in each family. The table `factor_selection`.

What does not belong here: the tests (`overfitting.py`, `superior_ability.py`, `spanning.py`), and what passes
(`promotion.py`).
"""

import math
from collections.abc import Iterator, Mapping
from datetime import date
from textwrap import shorten
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from factor_assets.errors import EvaluationError
from factor_assets.evaluation.factor_correlations import Label
from factor_assets.evaluation.factor_returns import factor_returns
from factor_assets.evaluation.holdout import before_holdout, no_session_left
from factor_assets.evaluation.overfitting import probability_of_overfitting
from factor_assets.evaluation.sharpe import sharpe_ratio
from factor_assets.evaluation.spanning import grs_test
from factor_assets.evaluation.stored_rows import require_distinct, require_market
from factor_assets.evaluation.superior_ability import superior_ability
from factor_assets.panel.panel import Array
from factor_assets.settings import EvaluationSettings
from factor_assets.tables import table

ALL = "all"
"""Scope of all factors together."""

_BLOCKS, _FEWEST_BLOCKS = 16, 4
_BLOCK_SESSIONS = 10
"""Sessions of a block below which the cross-validation takes fewer blocks: a Sharpe ratio of less says nothing."""

_TOLD = 3
_LONGEST = 300
"""Factors that a reason names; characters of what a test says."""


class _Returns(NamedTuple):
    """Returns of the factors of a scope on common sessions."""

    labels: list[Label]
    dates: Array  # datetime64[D], (n_dates,)
    values: Array  # (n_dates, n_factors), no NaN
    left_out: list[Label]


def factor_selection(
    timeseries: pa.Table,
    market_return: Mapping[date, float],
    signs: Mapping[Label, int],
    *,
    settings: EvaluationSettings,
    universe: str,
    source: str,
    n_trials: int | None = None,
) -> pa.Table:
    """Test what the best factor is worth after the choice, among all factors and in each family of at least two.

    1. Leave out the sessions from `settings.holdout_start` on. Turn round the return of a factor whose published sign
       is -1.
    2. Leave out the factors that have a return on fewer than half of the sessions, and then the sessions on which one
       of the others has none, scope by scope: a family may have more sessions than all factors together.
    3. Cross-validate the choice (`probability_of_overfitting`) on 16 blocks; on fewer where one would have fewer than
       10 sessions.
    4. Test whether any factor has a mean above 0 (`superior_ability`, studentized).
    5. Test whether all alphas on the market are 0 (`grs_test`).

    Parameters
    ----------
    timeseries
        Rows of `factor_timeseries`.
    market_return
        Session -> return of the market, fraction. NaN and missing sessions are left out of the last test alone.
    signs
        (family, name) -> +1, -1, or 0 where none is claimed. A factor that is missing is taken as it is.
    n_trials
        Of the trials ledger; at least the number of factors.

    Returns
    -------
    Rows of `factor_selection`, sorted by its key. What cannot be computed is null, and `reason` says why; it also says
    how many factors were left out, and where there were fewer blocks.

    Raises
    ------
    EvaluationError
        If rows of another universe or source than asked for are among the returns, no session is left before the
        holdout, or a family has the name of the scope of all.
    """
    require_market("factor_timeseries", timeseries, universe=universe, source=source)
    require_distinct("factor_timeseries", timeseries)
    declared = table("factor_selection")
    rows = before_holdout(timeseries, settings)
    if not rows.num_rows:
        if timeseries.num_rows:
            raise no_session_left("The choice among factors", settings)
        return declared.schema.empty_table()
    labels, dates, returns = _matrix(rows, signs)
    market = np.array([market_return.get(day, math.nan) for day in dates.tolist()], dtype=np.float64)
    fixed = {"n_trials": max(n_trials or 0, len(labels)), "universe": universe, "source": source}
    found = []
    for scope, columns in _scopes(labels):
        common = _common([labels[j] for j in columns], dates, returns[:, columns])
        inside = market[np.searchsorted(dates, common.dates)]
        found.append({"scope": scope, **fixed, **_of_scope(common, inside, settings)})
    found.sort(key=lambda row: row["scope"])
    return pa.Table.from_pylist([{key: _null(value) for key, value in row.items()} for row in found], declared.schema)


def _matrix(rows: pa.Table, signs: Mapping[Label, int]) -> tuple[list[Label], Array, Array]:
    """Return labels, sessions and returns of shape (n_dates, n_factors); infinite and missing are NaN."""
    dates = np.unique(rows["date"].to_numpy().astype("datetime64[D]"))
    series = factor_returns(rows, dates)
    returns = np.column_stack([-one if signs.get(label) == -1 else one for label, one in series.items()])
    returns[~np.isfinite(returns)] = np.nan
    return list(series), dates, returns


def _scopes(labels: list[Label]) -> Iterator[tuple[str, list[int]]]:
    """Yield each scope and the positions of its factors."""
    yield ALL, list(range(len(labels)))
    for family in sorted({family for family, _ in labels}):
        if family == ALL:
            raise EvaluationError(f"The family {ALL!r} has the name that all factors together have; rename it.")
        columns = [j for j, label in enumerate(labels) if label[0] == family]
        if len(columns) > 1:
            yield family, columns


def _common(labels: list[Label], dates: Array, returns: Array) -> _Returns:
    present = ~np.isnan(returns)
    is_kept = 2 * present.sum(axis=0) >= len(dates)
    on_all = present[:, is_kept].all(axis=1) & is_kept.any()
    return _Returns(
        labels=[label for label, kept in zip(labels, is_kept.tolist(), strict=True) if kept],
        dates=dates[on_all],
        values=np.ascontiguousarray(returns[on_all][:, is_kept]),
        left_out=[label for label, kept in zip(labels, is_kept.tolist(), strict=True) if not kept],
    )


def _of_scope(common: _Returns, market: Array, settings: EvaluationSettings) -> dict[str, Any]:
    n, n_factors = common.values.shape
    reasons = []
    if common.left_out:
        told = ", ".join("/".join(label) for label in common.left_out[:_TOLD])
        more = ", ..." if common.left_out[_TOLD:] else ""
        reasons.append(
            f"{len(common.left_out)} factors left out, with a return on fewer than half of the sessions: {told}{more}"
        )
    row: dict[str, Any] = {"n_factors": n_factors, "n_sessions": n}
    if n:
        row |= {"start_date": common.dates[0].item(), "end_date": common.dates[-1].item()}
    if n < settings.min_observations:
        reasons.append(f"{n} sessions on which all {n_factors} have a return, of at least {settings.min_observations}")
        return row | {"reason": "; ".join(reasons)}
    row |= _best(common)
    for test in (_overfitting, _superior_ability):
        row |= test(common.values, reasons)
    row |= _grs(common, market, reasons)
    return row | {"reason": "; ".join(reasons) or None}


def _best(common: _Returns) -> dict[str, Any]:
    ratios = [sharpe_ratio(column).per_session for column in common.values.T]
    known = [j for j, ratio in enumerate(ratios) if not math.isnan(ratio)]
    if not known:
        return {}
    best = max(known, key=lambda j: ratios[j])
    return {"best_factor": "/".join(common.labels[best]), "best_sharpe_ratio": ratios[best]}


def _overfitting(returns: Array, reasons: list[str]) -> dict[str, Any]:
    n_blocks = min(_BLOCKS, 2 * (len(returns) // (2 * _BLOCK_SESSIONS)))
    if n_blocks < _FEWEST_BLOCKS:
        reasons.append(
            f"cross-validation wants {_FEWEST_BLOCKS * _BLOCK_SESSIONS} sessions at least, got {len(returns)}"
        )
        return {}
    try:
        found = probability_of_overfitting(returns, n_blocks=n_blocks)
    except EvaluationError as error:
        reasons.append(_told(error))
        return {}
    if n_blocks < _BLOCKS:
        reasons.append(f"cross-validated on {n_blocks} blocks instead of {_BLOCKS}: {len(returns)} sessions")
    return {
        "overfitting_probability": found.probability,
        "degradation_slope": found.degradation_slope,
        "loss_probability": found.probability_of_loss,
    }


def _superior_ability(returns: Array, reasons: list[str]) -> dict[str, Any]:
    try:
        found = superior_ability(returns)
    except EvaluationError as error:
        reasons.append(_told(error))
        return {}
    return {
        "superior_ability_pvalue": found.pvalue_consistent,
        "superior_ability_pvalue_lower": found.pvalue_lower,
        "superior_ability_pvalue_upper": found.pvalue_upper,
    }


def _grs(common: _Returns, market: Array, reasons: list[str]) -> dict[str, Any]:
    names = ["/".join(label) for label in common.labels]
    try:
        found = grs_test(dict(zip(names, common.values.T, strict=True)), {"the market": market})
    except EvaluationError as error:
        reasons.append(_told(error))
        return {}
    return {"grs_statistic": found.statistic, "grs_pvalue": found.pvalue}


def _told(error: EvaluationError) -> str:
    """Return what a test says, shortened: it may name every factor."""
    return shorten(str(error).removesuffix("."), width=_LONGEST, placeholder=" ...")


def _null(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
