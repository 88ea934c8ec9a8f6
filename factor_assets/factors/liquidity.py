"""Liquidity: how much is traded, and how far trading moves the price. A year is 252 sessions."""

import math

from factor_assets.expressions import (
    Expression,
    abs,  # noqa: A004
    close,
    cov,
    delay,
    dollar_volume,
    equal,
    exp,
    high,
    log,
    low,
    maximum,
    mean,
    minimum,
    raw_volume,
    returns,
    shares_outstanding,
    sign,
    slope,
    sqrt,
    std,
    ts_rank,
)
from factor_assets.expressions import volume as split_volume
from factor_assets.factors.factor import Factor
from factor_assets.factors.market_model import MARKET, plane


def corwin_schultz_spread() -> Expression:
    """Return the spread of two neighbouring sessions from their highs and lows, not below 0.

    1. Move the second session's range by the gap that the close before lies outside it.
    2. beta is the sum of both squared log ranges, gamma the squared log range of the two sessions together.
    3. alpha is (sqrt(2) - 1) sqrt(beta) / k - sqrt(gamma / k) with k = 3 - 2 sqrt(2).
    4. The spread is 2 (exp(alpha) - 1) / (1 + exp(alpha)).
    """
    before = delay(close, 1)
    gap = maximum(low - before, 0) + minimum(high - before, 0)
    top, bottom = high - gap, low - gap
    squares = log(top / bottom) ** 2 + log(delay(high, 1) / delay(low, 1)) ** 2
    both = log(maximum(top, delay(high, 1)) / minimum(bottom, delay(low, 1)))
    k = 3 - 2 * math.sqrt(2)
    alpha = (math.sqrt(2) - 1) / k * sqrt(squares) - both / math.sqrt(k)
    return maximum(2 * (exp(alpha) - 1) / (1 + exp(alpha)), 0)


def abdi_ranaldo_spread(n: int, *, min_periods: int) -> Expression:
    """Return 2 sqrt(mean((c - m) (c - next m))), c the log close and m the middle of the log range, not below 0.

    As c - m is log(close**2 / (high low)) / 2, the halves cancel the 2.
    """
    before = delay(close, 1) ** 2
    product = log(before / delay(high * low, 1)) * log(before / (high * low))
    return sqrt(maximum(mean(product, n, min_periods=min_periods), 0))


def return_reversal(n: int, *, min_periods: int) -> Expression:
    """Return gamma of the regression of excess returns on yesterday's return and signed value traded."""
    excess = returns - MARKET
    signed = sign(excess) * dollar_volume / 1e6
    return plane(excess, delay(returns, 1), delay(signed, 1), n, min_periods=min_periods).second


volume = Factor(
    expression=raw_volume,
    sign=0,
    cite="Lo and Wang (2000, Review of Financial Studies 13(2), 257-300)",
    doi="10.1093/rfs/13.2.257",
    unit="shares",
    description="Shares traded in the session, as traded.",
)

dollar_volume_20d = Factor(
    expression=mean(dollar_volume, 20),
    sign=-1,
    cite="Brennan, Chordia and Subrahmanyam (1998, Journal of Financial Economics 49(3), 345-373)",
    doi="10.1016/S0304-405X(98)00028-2",
    unit="currency per session",
    description="Mean value traded over 20 sessions. The publication uses the logarithm of the monthly value.",
)

amihud_20d = Factor(
    expression=mean(abs(returns) / dollar_volume, 20, min_periods=10) * 1e6,
    sign=+1,
    cite="Amihud (2002, Journal of Financial Markets 5(1), 31-56)",
    doi="10.1016/S1386-4181(01)00024-6",
    unit="fraction per million currency",
    description=(
        "Mean of absolute return over value traded, over the sessions of the last 20 with trading, at least 10. The"
        " publication averages over a year."
    ),
)

turnover_20d = Factor(
    expression=mean(raw_volume / shares_outstanding, 20),
    sign=-1,
    cite="Datar, Naik and Radcliffe (1998, Journal of Financial Markets 1(2), 203-219)",
    doi="10.1016/S1386-4181(97)00004-9",
    unit="fraction per session",
    description="Mean share of the company traded per session; missing where shares outstanding are unknown.",
)

amihud_252d = Factor(
    expression=mean(abs(returns) / dollar_volume, 252, min_periods=200) * 1e6,
    sign=+1,
    cite="Amihud (2002, Journal of Financial Markets 5(1), 31-56)",
    doi="10.1016/S1386-4181(01)00024-6",
    unit="fraction per million currency",
    description="As `amihud_20d` over 252 sessions, at least 200. The publication takes the calendar year.",
)

zero_return_days_252d = Factor(
    expression=mean(equal(returns, 0), 252, min_periods=200),
    sign=0,
    cite="Lesmond, Ogden and Trzcinka (1999, Review of Financial Studies 12(5), 1113-1141)",
    doi="10.1093/rfs/12.5.1113",
    unit="fraction",
    description="Share of sessions without any return over 252, at least 200. It measures costs of trading.",
)

zero_volume_days_252d = Factor(
    expression=252 * mean(equal(raw_volume, 0), 252, min_periods=200)
    + 1 / (252 * mean(raw_volume / shares_outstanding, 252, min_periods=200)) / 11000,
    sign=+1,
    cite="Liu (2006, Journal of Financial Economics 82(3), equation 1)",
    doi="10.1016/j.jfineco.2005.10.001",
    unit="sessions",
    description=(
        "LM12: sessions of 252 without trading, ties broken by the reciprocal of the year's turnover over 11,000."
        " With fewer sessions, at least 200, both are scaled to 252. Missing where shares outstanding are unknown."
    ),
)

roll_spread_21d = Factor(
    expression=2 * sqrt(maximum(-cov(returns, delay(returns, 1), 21, min_periods=15), 0)),
    sign=0,
    cite="Roll (1984, Journal of Finance 39(4), 1127-1139)",
    doi="10.1111/j.1540-6261.1984.tb03897.x",
    unit="fraction",
    description=(
        "Effective spread from the autocovariance of returns over 21 sessions, at least 15; 0 where that is positive,"
        " for which the publication has no value."
    ),
)

corwin_schultz_21d = Factor(
    expression=mean(corwin_schultz_spread(), 21, min_periods=12),
    sign=0,
    cite="Corwin and Schultz (2012, Journal of Finance 67(2), equations 14 and 18)",
    doi="10.1111/j.1540-6261.2012.01729.x",
    unit="fraction",
    description=(
        "Mean spread of 21 pairs of sessions, at least 12, from their highs and lows, adjusted for gaps overnight;"
        " negative ones count as 0. The publication takes the calendar month."
    ),
)

abdi_ranaldo_21d = Factor(
    expression=abdi_ranaldo_spread(21, min_periods=12),
    sign=0,
    cite="Abdi and Ranaldo (2017, Review of Financial Studies 30(12), 4437-4480)",
    doi="10.1093/rfs/hhx084",
    unit="fraction",
    description=(
        "Spread of 21 pairs of sessions, at least 12, from how far closes lie from the middle of their own and of the"
        " next session's range; 0 where the mean product is negative."
    ),
)

turnover_variation_252d = Factor(
    expression=std(raw_volume / shares_outstanding, 252, min_periods=200)
    / mean(raw_volume / shares_outstanding, 252, min_periods=200),
    sign=-1,
    cite="Chordia, Subrahmanyam and Anshuman (2001, Journal of Financial Economics 59(1), 3-32)",
    doi="10.1016/S0304-405X(00)00080-5",
    unit="fraction",
    description=(
        "Standard deviation over mean of daily turnover over 252 sessions, at least 200. The publication takes monthly"
        " turnover of 36 months."
    ),
)

dollar_volume_variation_252d = Factor(
    expression=std(dollar_volume, 252, min_periods=200) / mean(dollar_volume, 252, min_periods=200),
    sign=-1,
    cite="Chordia, Subrahmanyam and Anshuman (2001, Journal of Financial Economics 59(1), 3-32)",
    doi="10.1016/S0304-405X(00)00080-5",
    unit="fraction",
    description=(
        "Standard deviation over mean of the daily value traded over 252 sessions, at least 200. The publication takes"
        " monthly values of 36 months."
    ),
)

volume_trend_252d = Factor(
    expression=slope(split_volume, 252, min_periods=200) / mean(split_volume, 252, min_periods=200),
    sign=-1,
    cite="Haugen and Baker (1996, Journal of Financial Economics 41(3), 401-439)",
    doi="10.1016/0304-405X(95)00868-F",
    unit="fraction per session",
    description=(
        "Slope of shares traded on time over their mean, adjusted for splits, over 252 sessions, at least 200. The"
        " publication takes five years of months."
    ),
)

abnormal_volume_50d = Factor(
    expression=ts_rank(split_volume, 50, min_periods=40),
    sign=+1,
    cite="Gervais, Kaniel and Mingelgrin (2001, Journal of Finance 56(3), 877-919)",
    doi="10.1111/0022-1082.00349",
    unit="fraction",
    description=(
        "Rank of the session's shares traded, adjusted for splits, among the last 50, at least 40. The publication"
        " marks the highest and the lowest tenth."
    ),
)

pastor_stambaugh_21d = Factor(
    expression=return_reversal(21, min_periods=15),
    sign=0,
    cite="Pastor and Stambaugh (2003, Journal of Political Economy 111(3), equation 1)",
    doi="10.1086/374184",
    unit="fraction per million currency",
    description=(
        "Slope of market-adjusted returns on yesterday's value traded, signed by its market-adjusted return, beside"
        " yesterday's return; 21 sessions, at least 15. Negative where trading moves prices and they come back. The"
        " publication builds market-wide liquidity of it."
    ),
)
