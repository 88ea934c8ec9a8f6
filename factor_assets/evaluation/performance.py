"""Performance of a series of returns: compound return, volatility, Sharpe ratio and drawdown.

What does not belong here: tests of significance (`significance.py`).
"""

from dataclasses import dataclass

import numpy as np

from factor_assets.panel.panel import Array

SESSIONS_PER_YEAR = 252


@dataclass(frozen=True, kw_only=True, slots=True)
class Performance:
    """What a series of returns earned and risked; NaN where there are too few sessions to say.

    Parameters
    ----------
    annualized_return, annualized_volatility
        Fraction per year.
    sharpe_ratio
        NaN, not 0, where the volatility is 0.
    max_drawdown
        Fraction, at most 0.
    n_sessions
        Sessions with a return.
    """

    annualized_return: float
    annualized_volatility: float
    sharpe_ratio: float
    max_drawdown: float
    n_sessions: int


def performance(returns: Array, *, risk_free_rate: float = 0.02) -> Performance:
    r"""Measure a series of returns per session.

    .. math::
        C_t = \prod_{s \le t} (1 + r_s), \quad
        R = C_n^{252 / n} - 1, \quad
        \sigma = s(r) \sqrt{252}, \quad
        S = \frac{R - r_f}{\sigma}, \quad
        D = \min_t \left( \frac{C_t}{\max_{s \le t} C_s} - 1 \right)

    Parameters
    ----------
    returns
        float64 of shape (n_dates,), fraction per session. NaN sessions are left out, they are not 0.
    risk_free_rate
        r_f, fraction per year.

    Returns
    -------
    R is -1 where C_n is not positive, and NaN where a few sessions compound to more than a number can hold. s has
    n - 1 degrees of freedom, so that volatility and Sharpe ratio want two sessions. The running maximum starts at the
    first session's C, not at 1: a loss on the first session alone is no drawdown. D is -1 where nothing was ever left.
    """
    present = returns[~np.isnan(returns)]
    n = len(present)
    if n == 0:
        return Performance(
            annualized_return=np.nan,
            annualized_volatility=np.nan,
            sharpe_ratio=np.nan,
            max_drawdown=np.nan,
            n_sessions=0,
        )
    wealth = np.cumprod(1.0 + present)
    annualized = _annualized(float(wealth[-1]), n)
    if n < 2:
        volatility = np.nan
    elif present.min() == present.max():
        volatility = 0.0  # the rounding of the mean must not make up a volatility
    else:
        volatility = float(present.std(ddof=1)) * SESSIONS_PER_YEAR**0.5
    peak = np.maximum.accumulate(wealth)
    drawdown = np.divide(wealth, peak, out=np.zeros(n), where=peak > 0) - 1.0
    return Performance(
        annualized_return=annualized,
        annualized_volatility=volatility,
        sharpe_ratio=(annualized - risk_free_rate) / volatility if volatility > 0 else np.nan,
        max_drawdown=float(drawdown.min()),
        n_sessions=n,
    )


def _annualized(wealth: float, n_sessions: int) -> float:
    if wealth <= 0:
        return -1.0
    try:
        return float(wealth ** (SESSIONS_PER_YEAR / n_sessions)) - 1.0
    except OverflowError:
        return np.nan
