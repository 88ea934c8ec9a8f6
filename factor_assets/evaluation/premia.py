"""What one standard deviation of each factor earns at each horizon, by Fama and MacBeth.

What does not belong here: the regressions (`fama_macbeth.py`), the table that the premia are columns of
(`evidence.py`).
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from factor_assets.errors import MisalignedError
from factor_assets.evaluation.evidence_by_date import horizons_of
from factor_assets.evaluation.fama_macbeth import fama_macbeth
from factor_assets.evaluation.forward_returns import completed_return
from factor_assets.evaluation.holdout import before_holdout
from factor_assets.panel.panel import Array, Panel
from factor_assets.settings import EvaluationSettings


class Premium(NamedTuple):
    """Fama-MacBeth premium of one standard deviation of a factor, per session, and its Newey-West t."""

    premium: float
    tstat: float


def fama_macbeth_premia(
    factors: Iterable[tuple[str, str, Array]],
    panel: Panel,
    *,
    settings: EvaluationSettings,
    include_holdout: bool = False,
) -> dict[tuple[str, str, int], Premium]:
    """Return the premium of one standard deviation of each factor at each horizon, one factor in memory at once.

    The return from d - h to d, over h, is regressed on the values of d - lag - h, less their mean and over their
    standard deviation among the members of the universe; Newey-West errors with an overlap of h - 1 sessions.

    Parameters
    ----------
    factors
        (family, name, values); values float64 of shape (n_dates, n_tickers), aligned with the panel. NaN and infinite
        are missing.
    panel
        Field `close`.
    include_holdout
        As in `factor_evidence`.

    Returns
    -------
    (family, name, horizon) -> premium; NaN where no date has 10 tickers.

    Raises
    ------
    MisalignedError
        If a factor's shape is not the panel's.
    """
    n_dates = len(before_holdout(panel.dates, settings, include_holdout=include_holdout))
    forward = {h: completed_return(panel["close"][:n_dates], horizon=h) / h for h in horizons_of(settings)}
    premia = {}
    for family, name, values in factors:
        if values.shape != panel.shape:
            raise MisalignedError(
                f"Factor {name!r} has shape {values.shape}, the panel has {panel.shape[0]} dates x"
                f" {panel.shape[1]} tickers."
            )
        scores = _standard_scores(np.where(panel.in_universe[:n_dates], values[:n_dates], np.nan))
        for horizon, returns in forward.items():
            delay = settings.execution_lag + horizon
            found = fama_macbeth(returns[delay:], {name: scores[: max(0, n_dates - delay)]}, overlap=horizon - 1)
            newey_west = found.newey_west
            premia[family, name, horizon] = Premium(float(newey_west.value[1]), float(newey_west.tstat[1]))
    return premia


def _standard_scores(values: Array) -> Array:
    """Less the mean and over the standard deviation (n - 1) of each row; NaN where the row is constant."""
    present = np.isfinite(values)
    count = np.count_nonzero(present, axis=1, keepdims=True)
    mean = np.divide(np.where(present, values, 0.0).sum(axis=1, keepdims=True), np.maximum(count, 1))
    deviation = np.where(present, values - mean, 0.0)
    size = np.sqrt((deviation**2).sum(axis=1, keepdims=True) / np.maximum(count - 1, 1))
    scores: Array = np.divide(deviation, size, out=np.full(values.shape, np.nan), where=present & (size > 0.0))
    return scores
