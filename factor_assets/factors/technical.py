"""Technical indicators: where a price stands in its own recent path. Nothing is claimed about their direction.

Prices are adjusted for splits and dividends where two sessions meet. Trends are in `trend_indicators.py`, volume is in
`volume_indicators.py`.
"""

from factor_assets.expressions import (
    Expression,
    close,
    delay,
    delta,
    ema_span,
    high,
    low,
    mad,
    max,  # noqa: A004
    maximum,
    mean,
    min,  # noqa: A004
    minimum,
    raw_close,
    raw_high,
    raw_low,
    raw_open,
    sqrt,
    std,
    sum,  # noqa: A004
    ts_zscore,
    wilder,
)
from factor_assets.factors.factor import Factor

TRUE_HIGH = maximum(high, delay(close, 1))
TRUE_LOW = minimum(low, delay(close, 1))
TRUE_RANGE = TRUE_HIGH - TRUE_LOW  # the largest of high - low and the distances of both from the close before
TYPICAL_PRICE = (high + low + close) / 3


def relative_strength_index(price: Expression, n: int) -> Expression:
    """Return 100 - 100 / (1 + up / down), written as 100 up / (up + down), which has no special case.

    up and down are the simple means of rises and falls over n sessions. No fall gives 100, no rise 0, and a price
    that does not move at all has no value.
    """
    up = mean(maximum(delta(price, 1), 0), n)
    down = mean(maximum(-delta(price, 1), 0), n)
    return 100 * up / (up + down)


def stochastic(n: int) -> Expression:
    """Return where the close lies between the lowest low (0) and the highest high (100) of n sessions."""
    return 100 * (close - min(low, n)) / (max(high, n) - min(low, n))


def buying_pressure(n: int) -> Expression:
    """Return the part of the true ranges of n sessions that lies below the closes."""
    return sum(close - TRUE_LOW, n) / sum(TRUE_RANGE, n)


_RSI = (
    "Relative strength index of the adjusted close with simple means, in 0 to 100; the publication smooths"
    " exponentially."
)

rsi_14 = Factor(
    expression=relative_strength_index(close, 14),
    sign=0,
    cite="Wilder (1978, New Concepts in Technical Trading Systems)",
    unit="index points",
    description=_RSI,
)

rsi_28 = Factor(
    expression=relative_strength_index(close, 28),
    sign=0,
    cite="Wilder (1978, New Concepts in Technical Trading Systems)",
    unit="index points",
    description=_RSI,
)

roc_20 = Factor(
    expression=close / delay(close, 20) - 1,
    sign=0,
    cite="Murphy (1999, Technical Analysis of the Financial Markets)",
    unit="fraction",
    description="Rate of change: total return over the last 20 sessions.",
)

close_location = Factor(
    expression=(raw_close - raw_low) / (raw_high - raw_low),
    sign=0,
    cite="Williams (1973, How I Made One Million Dollars Last Year Trading Commodities)",
    unit="fraction",
    description=(
        "Where the close lies between the session's low (0) and high (1); missing where they are equal. It is"
        " Williams' %R of one session, from 0 to 1. The sample market plants its premium on it."
    ),
)

open_location = Factor(
    expression=(raw_open - raw_low) / (raw_high - raw_low),
    sign=0,
    cite="After Williams (1973, How I Made One Million Dollars Last Year Trading Commodities)",
    unit="fraction",
    description=(
        "Where the open lies between the session's low (0) and high (1); missing where they are equal. The sample"
        " market plants no premium on it."
    ),
)

rsi_wilder_14 = Factor(
    expression=100
    * wilder(maximum(delta(close, 1), 0), 14)
    / (wilder(maximum(delta(close, 1), 0), 14) + wilder(maximum(-delta(close, 1), 0), 14)),
    sign=0,
    cite="Wilder (1978, New Concepts in Technical Trading Systems)",
    unit="index points",
    description="Relative strength index of the adjusted close with the publication's smoothing, in 0 to 100.",
)

stochastic_k_14 = Factor(
    expression=stochastic(14),
    sign=0,
    cite="Lane (1984, Technical Analysis of Stocks and Commodities)",
    unit="index points",
    description="Fast %K: where the close lies between the lowest low (0) and the highest high (100) of 14 sessions.",
)

stochastic_d_14_3 = Factor(
    expression=mean(stochastic(14), 3),
    sign=0,
    cite="Lane (1984, Technical Analysis of Stocks and Commodities)",
    unit="index points",
    description="Fast %D: mean of `stochastic_k_14` over 3 sessions.",
)

williams_r_14 = Factor(
    expression=-100 * (max(high, 14) - close) / (max(high, 14) - min(low, 14)),
    sign=0,
    cite="Williams (1973, How I Made One Million Dollars Last Year Trading Commodities)",
    unit="index points",
    description="Williams' %R over 14 sessions, from -100 at the lowest low to 0 at the highest high.",
)

cci_20 = Factor(
    expression=(TYPICAL_PRICE - mean(TYPICAL_PRICE, 20)) / (0.015 * mad(TYPICAL_PRICE, 20)),
    sign=0,
    cite="Lambert (1980, Commodities magazine, October)",
    unit="index points",
    description=(
        "Commodity channel index: distance of the typical price from its mean, in mean absolute deviations of 20"
        " sessions over 0.015."
    ),
)

ultimate_oscillator_7_14_28 = Factor(
    expression=100 * (4 * buying_pressure(7) + 2 * buying_pressure(14) + buying_pressure(28)) / 7,
    sign=0,
    cite="Williams (1985, Technical Analysis of Stocks and Commodities)",
    unit="index points",
    description="Buying pressure over true range of 7, 14 and 28 sessions with weights 4, 2 and 1, in 0 to 100.",
)

bollinger_z_20 = Factor(
    expression=ts_zscore(close, 20),
    sign=0,
    cite="Bollinger (2001, Bollinger on Bollinger Bands)",
    unit="standard deviations",
    description=(
        "Distance of the close from its mean of 20 sessions in sample standard deviations. The publication divides by"
        " the count."
    ),
)

bollinger_width_20 = Factor(
    expression=4 * std(close, 20) / mean(close, 20),
    sign=0,
    cite="Bollinger (2001, Bollinger on Bollinger Bands)",
    unit="fraction",
    description=(
        "Width of the bands, two sample standard deviations to either side, over the mean of 20 sessions. The"
        " publication divides by the count."
    ),
)

donchian_position_20 = Factor(
    expression=(close - delay(min(low, 20), 1)) / delay(max(high, 20) - min(low, 20), 1),
    sign=0,
    cite="Donchian (1960, Financial Analysts Journal 16(6), 133-142)",
    unit="fraction",
    description=(
        "Where the close lies between the lowest low (0) and the highest high (1) of the 20 sessions before: outside"
        " them it breaks out. The publication trades the break of four weeks."
    ),
)

keltner_position_20_10 = Factor(
    expression=(close - ema_span(close, 20)) / wilder(TRUE_RANGE, 10),
    sign=0,
    cite="After Keltner (1960, How to Make Money in Commodities)",
    unit="average true ranges",
    description=(
        "Distance of the close from its exponential mean (span 20) in average true ranges (Wilder, 10): the later form"
        " of the channel. The publication has simple means of ten sessions, of the typical price and of the range."
    ),
)

atr_ratio_14 = Factor(
    expression=wilder(TRUE_RANGE, 14) / close,
    sign=0,
    cite="Wilder (1978, New Concepts in Technical Trading Systems)",
    unit="fraction",
    description="Average true range (Wilder, 14) over the close. The publication does not divide.",
)

ulcer_index_14 = Factor(
    expression=100 * sqrt(mean((close / max(close, 14) - 1) ** 2, 14)),
    sign=0,
    cite="Martin and McCann (1989, The Investor's Guide to Fidelity Funds)",
    unit="percent",
    description=(
        "Root mean square over 14 sessions of the fall below the highest close of the 14 sessions up to each. The"
        " publication looks for the peak from a fixed start."
    ),
)
