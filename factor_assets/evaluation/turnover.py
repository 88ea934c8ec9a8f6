"""How fast portfolios change: new names, traded weights, and the rank autocorrelation of the factor itself.

What does not belong here: what trading costs, how much can be traded (`capacity.py`).
"""

import numba as nb
import numpy as np

from factor_assets.errors import EvaluationError, MisalignedError
from factor_assets.evaluation.information import rank_ic
from factor_assets.evaluation.quantiles import Quantiles
from factor_assets.evaluation.ranking import Ranking
from factor_assets.panel.panel import Array

_READ_INT16 = nb.types.Array(nb.int16, 2, "C", readonly=True)


def name_turnover(quantiles: Quantiles, *, period: int = 1) -> Array:
    """Share of the names of each quantile that were not in it `period` sessions before.

    This is the quantile turnover of alphalens: it counts names, whatever their weight.

    Parameters
    ----------
    quantiles
        Of shape (n_dates, n_tickers).
    period
        In sessions.

    Returns
    -------
    float64 of shape (n_dates, n_quantiles), in [0, 1]. NaN where the quantile has no name on either session.

    Raises
    ------
    EvaluationError
        If the period is below one session.
    """
    _require_period(period)
    result: Array = _name_turnover(quantiles.number, period, quantiles.n_quantiles)
    return result


def weight_turnover(weights: Array, *, returns: Array | None = None, period: int = 1) -> Array:
    r"""One-sided turnover: half the sum of absolute changes of weights.

    .. math:: \tau_d = \frac{1}{2} \sum_j \left| w_{j,d} - w_{j,d-p} \right|

    With returns, the weights that are traded away are those that the portfolio has drifted to, for a period of one
    session:

    .. math:: \tau_d = \frac{1}{2} \sum_j \left| w_{j,d} - w_{j,d-1}
        \frac{1 + r_{j,d}}{1 + \sum_k w_{k,d-1} r_{k,d}} \right|

    Parameters
    ----------
    weights
        float64 of shape (n_dates, n_tickers): target weights after the sort on the session, such as `leg_weights` of
        one leg, which add up to 1, or the difference of two legs, whose turnover is then that of both together. A row
        with a NaN, or of nothing but 0, has no target.
    returns
        float64 of shape (n_dates, n_tickers): return on the session (fraction). A name without a finite return keeps
        its value.
    period
        In sessions.

    Returns
    -------
    float64 of shape (n_dates,). NaN where either session has no target, or where the portfolio has lost everything.

    Raises
    ------
    EvaluationError
        If the period is below one session, or above one with returns.
    MisalignedError
        If the shapes differ.
    """
    _require_period(period)
    result = np.full(len(weights), np.nan)
    before, after = weights[:-period], weights[period:]
    if returns is not None:
        if returns.shape != weights.shape:
            raise MisalignedError(f"Turnover wants returns of the weights' shape {weights.shape}, got {returns.shape}.")
        if period != 1:
            raise EvaluationError(f"Turnover after drift wants a period of 1 session, got {period}.")
        grown = before * (1.0 + np.where(np.isfinite(returns[1:]), returns[1:], 0.0))
        value = 1.0 + (grown - before).sum(axis=1, keepdims=True)
        before = np.divide(grown, value, out=np.full_like(grown, np.nan), where=value > 0.0)
    result[period:] = 0.5 * np.abs(after - before).sum(axis=1)
    has_target = (weights != 0.0).any(axis=1)
    result[period:][~(has_target[:-period] & has_target[period:])] = np.nan
    return result


def rank_autocorrelation(factor: Ranking, *, period: int = 1, min_tickers: int = 10) -> Array:
    """Spearman correlation of the factor with itself `period` sessions before.

    Ranks are among the names that have a value on both sessions. alphalens ranks all names of each session first, and
    gives the same where the same names are there.

    Parameters
    ----------
    factor
        Ranking of shape (n_dates, n_tickers).
    period
        In sessions.
    min_tickers
        A session with fewer names on both gives NaN.

    Returns
    -------
    float64 of shape (n_dates,), in [-1, 1], on the later session. NaN where one of the two is constant.

    Raises
    ------
    EvaluationError
        If the period is below one session.
    """
    _require_period(period)
    return rank_ic(factor, factor, delay=period, min_tickers=min_tickers)


def _require_period(period: int) -> None:
    if period < 1:
        raise EvaluationError(f"Turnover wants a period of at least 1 session, got {period}.")


@nb.njit((_READ_INT16, nb.int64, nb.int64), cache=True, nogil=True, error_model="numpy")
def _name_turnover(number, period, n_quantiles):  # type: ignore[no-untyped-def]
    n_dates, n_tickers = number.shape
    result = np.full((n_dates, n_quantiles), np.nan)
    n_now, n_before = np.empty(n_quantiles + 1, np.int64), np.empty(n_quantiles + 1, np.int64)
    n_stayed = np.empty(n_quantiles + 1, np.int64)
    for d in range(period, n_dates):
        n_now[:], n_before[:], n_stayed[:] = 0, 0, 0
        for j in range(n_tickers):
            now, before = number[d, j], number[d - period, j]
            n_now[now] += 1
            n_before[before] += 1
            n_stayed[now] += now == before
        for q in range(1, n_quantiles + 1):
            if n_now[q] > 0 and n_before[q] > 0:
                result[d, q - 1] = (n_now[q] - n_stayed[q]) / n_now[q]
    return result
