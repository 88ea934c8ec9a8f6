"""Tails and asymmetry: crashes, lotteries and jumps in daily returns, against themselves and the market."""

import math
from functools import reduce
from operator import add

from factor_assets.expressions import (
    Expression,
    abs,  # noqa: A004
    beta,
    close,
    cov,
    delay,
    kurt,
    log,
    max,  # noqa: A004
    mean,
    min,  # noqa: A004
    minimum,
    quantile,
    residual,
    returns,
    skew,
    sqrt,
    var,
)
from factor_assets.factors.factor import Factor
from factor_assets.factors.market_model import MARKET, idiosyncratic_volatility, only_where


def coskewness(n: int, *, min_periods: int) -> Expression:
    """Return E[e m**2] / (sqrt(E[e**2]) E[m**2]), e the market model's residual and m the market less its mean.

    E[e m**2] is cov(r, m**2) - beta cov(m, m**2), whatever mean m has.
    """
    m = MARKET + 0 * returns  # the sessions of the ticker
    slope = beta(returns, m, n, min_periods=min_periods)
    together = cov(returns, m**2, n, min_periods=min_periods) - slope * cov(m, m**2, n, min_periods=min_periods)
    return together / (idiosyncratic_volatility(n, min_periods=min_periods) * var(m, n, min_periods=min_periods))


def down_to_up_volatility(n: int, *, min_periods: int) -> Expression:
    """Return log of the mean squared market-adjusted return where it is negative, over that where it is positive."""
    excess = returns - MARKET
    down = mean(only_where(excess < 0, excess) ** 2, n, min_periods=min_periods)
    up = mean(only_where(excess > 0, excess) ** 2, n, min_periods=min_periods)
    return log(down / up)


def largest_of_21(x: Expression, k: int) -> Expression:
    """Return the mean of the k largest of 21 values: quantiles at (21 - place) / 20 are order statistics."""
    return reduce(add, [quantile(x, 21, (21 - place) / 20) for place in range(1, k + 1)]) / k


skew_60d = Factor(
    expression=skew(returns, 60, min_periods=45),
    sign=-1,
    cite="Amaya, Christoffersen, Jacobs and Vasquez (2015, Journal of Financial Economics 118(1), 135-167)",
    doi="10.1016/j.jfineco.2015.02.009",
    description=(
        "Skewness of total returns over 60 sessions, at least 45. The publication takes returns within the day, over a"
        " week."
    ),
)

kurt_60d = Factor(
    expression=kurt(returns, 60, min_periods=45),
    sign=0,
    cite="Amaya, Christoffersen, Jacobs and Vasquez (2015, Journal of Financial Economics 118(1), 135-167)",
    doi="10.1016/j.jfineco.2015.02.009",
    description=(
        "Excess kurtosis of total returns over 60 sessions, at least 45. The publication takes returns within the day,"
        " over a week, and finds a positive relation that is not robust."
    ),
)

idio_skew_252d = Factor(
    expression=skew(residual(returns, MARKET, 252, min_periods=120), 252, min_periods=120),
    sign=-1,
    cite="Boyer, Mitton and Vorkink (2010, Review of Financial Studies 23(1), 169-202)",
    doi="10.1093/rfs/hhp041",
    description=(
        "Skewness over 252 sessions of each session's residual from the market model of the 252 up to it, at least 120"
        " of either. The publication takes three factors, one regression, and sorts on the skewness it expects."
    ),
)

coskewness_252d = Factor(
    expression=coskewness(252, min_periods=120),
    sign=-1,
    cite="Harvey and Siddique (2000, Journal of Finance 55(3), equation 11)",
    doi="10.1111/0022-1082.00247",
    description=(
        "Standardised covariance of the market model's residual with the squared market, over 252 sessions, at least"
        " 120; moments have divisor count - 1. The publication takes 60 months."
    ),
)

max5_return_21d = Factor(
    expression=largest_of_21(returns, 5),
    sign=-1,
    cite="Bali, Cakici and Whitelaw (2011, Journal of Financial Economics 99(2), 427-446)",
    doi="10.1016/j.jfineco.2010.08.014",
    unit="fraction per session",
    description="Mean of the five largest returns of 21 sessions. The publication uses a calendar month.",
)

value_at_risk_252d = Factor(
    expression=-quantile(returns, 252, 0.01, min_periods=200),
    sign=-1,
    cite="Atilgan, Bali, Demirtas and Gunaydin (2020, Journal of Financial Economics 135(3), 725-753)",
    doi="10.1016/j.jfineco.2019.07.006",
    unit="fraction per session",
    description="Loss that one session in a hundred of the last 252 exceeds, at least 200 of them.",
)

downside_deviation_252d = Factor(
    expression=sqrt(mean(minimum(returns, 0) ** 2, 252, min_periods=200)),
    sign=0,
    cite="Sortino and Price (1994, Journal of Investing 3(3), 59-64)",
    doi="10.3905/joi.3.3.59",
    unit="fraction per session",
    description="Root mean square of total returns below 0, those above counted as 0; 252 sessions, at least 200.",
)

down_to_up_volatility_126d = Factor(
    expression=down_to_up_volatility(126, min_periods=30),
    sign=0,
    cite="Chen, Hong and Stein (2001, Journal of Financial Economics 61(3), 345-381)",
    doi="10.1016/S0304-405X(01)00066-6",
    unit="log ratio",
    description=(
        "DUVOL: logarithm of the mean squared market-adjusted return of falling over that of rising sessions, at least"
        " 30 of either in 126. The publication divides by the counts less 1, and splits sessions at the mean."
    ),
)

max_drawdown_252d = Factor(
    expression=-min(close / max(close, 252, min_periods=200) - 1, 252, min_periods=200),
    sign=0,
    cite="Magdon-Ismail and Atiya (2004, Risk 17(10), 99-102)",
    unit="fraction",
    description=(
        "Largest fall, within the last 252 sessions, below the highest close of the 252 sessions up to it. The"
        " publication's peaks lie within the period; these may lie up to 252 sessions before it."
    ),
)

jump_share_21d = Factor(
    expression=1
    - (math.pi / 2)
    * mean(abs(returns) * delay(abs(returns), 1), 21, min_periods=15)
    / mean(returns**2, 21, min_periods=15),
    sign=0,
    cite="Barndorff-Nielsen and Shephard (2004, Journal of Financial Econometrics 2(1), 1-37)",
    doi="10.1093/jjfinec/nbh001",
    unit="fraction",
    description=(
        "Part of the variance that bipower variation leaves to jumps, over 21 sessions, at least 15; it may be"
        " negative. The publication takes returns within the day."
    ),
)

jump_statistic_16d = Factor(
    expression=log(1 + returns) / sqrt(delay(mean(abs(log(1 + returns)) * delay(abs(log(1 + returns)), 1), 14), 1)),
    sign=0,
    cite="Lee and Mykland (2008, Review of Financial Studies 21(6), equations 7 and 8)",
    doi="10.1093/rfs/hhm056",
    unit="standard deviations",
    description=(
        "The session's logarithmic return over the bipower volatility of the 14 products before it: the window of 16"
        " that the publication advises for daily returns. Without a jump its standard deviation is that of a normal"
        " variable over 0.798."
    ),
)
