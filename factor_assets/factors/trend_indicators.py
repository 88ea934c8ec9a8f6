"""Trend indicators: whether a price goes somewhere, and how straight. Nothing is claimed about their direction."""

from factor_assets.expressions import (
    Expression,
    abs,  # noqa: A004
    argmax,
    argmin,
    close,
    delta,
    ema_span,
    exp,
    high,
    log,
    low,
    maximum,
    pct_change,
    slope,
    trend_rsquare,
    wilder,
)
from factor_assets.factors.factor import Factor


def directional_movement(periods: int) -> tuple[Expression, Expression]:
    """Return the smoothed movements up and down: by how much the high rose or the low fell, the larger of both only."""
    up, down = delta(high, 1), -delta(low, 1)
    plus, minus = maximum(up, 0) * (up > down), maximum(down, 0) * (down > up)
    return wilder(plus, periods), wilder(minus, periods)


def directional_index(periods: int) -> Expression:
    """Return 100 |plus - minus| / (plus + minus); the true range that both are divided by cancels."""
    plus, minus = directional_movement(periods)
    return 100 * abs(plus - minus) / (plus + minus)


def directional_balance(periods: int) -> Expression:
    """Return 100 (plus - minus) / (plus + minus): the directional index with its direction."""
    plus, minus = directional_movement(periods)
    return 100 * (plus - minus) / (plus + minus)


macd_12_26_9 = Factor(
    expression=((ema_span(close, 12) - ema_span(close, 26)) - ema_span(ema_span(close, 12) - ema_span(close, 26), 9))
    / close,
    sign=0,
    cite="Appel (2005, Technical Analysis: Power Tools for Active Investors)",
    unit="fraction",
    description=(
        "Histogram of the moving average convergence divergence: its line (spans 12 and 26) less its signal (span 9),"
        " over the close. The publication does not divide."
    ),
)

ppo_12_26 = Factor(
    expression=100 * (ema_span(close, 12) / ema_span(close, 26) - 1),
    sign=0,
    cite="Appel (2005, Technical Analysis: Power Tools for Active Investors)",
    unit="percent",
    description=(
        "Percentage price oscillator: the line of `macd_12_26_9` over the longer mean. The publication does not divide."
    ),
)

trix_15 = Factor(
    expression=100 * pct_change(ema_span(ema_span(ema_span(close, 15), 15), 15), 1),
    sign=0,
    cite="Hutson (1983, Technical Analysis of Stocks and Commodities)",
    unit="percent per session",
    description=(
        "Change of the close smoothed three times exponentially (span 15). The publication smooths its logarithm."
    ),
)

adx_14 = Factor(
    expression=wilder(directional_index(14), 14),
    sign=0,
    cite="Wilder (1978, New Concepts in Technical Trading Systems)",
    unit="index points",
    description="Average directional index: how one-sided movement is, up or down, in 0 to 100.",
)

directional_balance_14 = Factor(
    expression=directional_balance(14),
    sign=0,
    cite="Wilder (1978, New Concepts in Technical Trading Systems)",
    unit="index points",
    description=(
        "Difference of the plus and minus directional indicators over their sum, from -100 to 100. The publication"
        " takes its absolute value, the directional index."
    ),
)

aroon_oscillator_25 = Factor(
    expression=100 * (argmax(high, 26) - argmin(low, 26)) / 25,
    sign=0,
    cite="Chande (1995, Technical Analysis of Stocks and Commodities)",
    unit="index points",
    description=(
        "Aroon up less Aroon down: by how much the highest high is more recent than the lowest low of 25 sessions and"
        " today, from -100 to 100; the oldest of equal ones."
    ),
)

trend_slope_90d = Factor(
    expression=(exp(252 * slope(log(close), 90)) - 1) * trend_rsquare(log(close), 90),
    sign=0,
    cite="Clenow (2015, Stocks on the Move)",
    unit="fraction per year",
    description=(
        "Exponential trend of the close over 90 sessions, as growth in 252 sessions, times the share of variance that"
        " the trend explains."
    ),
)
