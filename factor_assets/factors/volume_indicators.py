"""Volume indicators: whether trading goes with the price. Nothing is claimed about their direction.

Shares traded are adjusted for splits where sessions meet, prices for splits and dividends. How liquid a ticker is
belongs to `liquidity.py`.
"""

from factor_assets.expressions import (
    Expression,
    close,
    corr,
    delta,
    dollar_volume,
    ema_span,
    high,
    log,
    low,
    mean,
    raw_close,
    raw_high,
    raw_low,
    raw_volume,
    returns,
    sign,
    sum,  # noqa: A004
    volume,
)
from factor_assets.factors.factor import Factor
from factor_assets.factors.technical import TYPICAL_PRICE

_RAW_TYPICAL_PRICE = (raw_high + raw_low + raw_close) / 3


def money_flow_index(n: int) -> Expression:
    """Return 100 x the share of the value traded in n sessions that came with a rise of the typical price.

    Sessions without a change of the typical price count for neither side.
    """
    flow, change = _RAW_TYPICAL_PRICE * raw_volume, delta(TYPICAL_PRICE, 1)
    up, down = sum(flow * (change > 0), n), sum(flow * (change < 0), n)
    return 100 * up / (up + down)


def chaikin_money_flow(n: int, *, min_periods: int) -> Expression:
    """Return the mean of where closes lie in their ranges, -1 the low and 1 the high, weighted by shares traded."""
    place = (2 * raw_close - raw_high - raw_low) / (raw_high - raw_low)
    weight = volume + 0 * place  # sessions without a range count for nothing
    return sum(place * volume, n, min_periods=min_periods) / sum(weight, n, min_periods=min_periods)


def ease_of_movement(n: int, *, min_periods: int) -> Expression:
    """Return the mean of the middle's move times the range, both over the close, per relative volume."""
    move, box = delta((high + low) / 2, 1) / close, (high - low) / close
    return mean(move * box / (volume / mean(volume, n, min_periods=min_periods)), n, min_periods=min_periods)


relative_volume_20d = Factor(
    expression=volume / mean(volume, 20),
    sign=0,
    cite="Murphy (1999, Technical Analysis of the Financial Markets)",
    description="Shares traded in the session over their mean of 20 sessions, this one included.",
)

typical_price_deviation = Factor(
    expression=raw_close / _RAW_TYPICAL_PRICE - 1,
    sign=0,
    cite="Berkowitz, Logue and Noser (1988, Journal of Finance 43(1), 97-112)",
    doi="10.1111/j.1540-6261.1988.tb02591.x",
    unit="fraction",
    description=(
        "Close over the session's average price, less 1. The publication's average weighs trades by volume; from daily"
        " prices it is the typical price, a third of high, low and close."
    ),
)

vwap_deviation_20d = Factor(
    expression=close * sum(volume, 20) / sum(TYPICAL_PRICE * volume, 20) - 1,
    sign=0,
    cite="Berkowitz, Logue and Noser (1988, Journal of Finance 43(1), 97-112)",
    doi="10.1111/j.1540-6261.1988.tb02591.x",
    unit="fraction",
    description=(
        "Close over the typical price of 20 sessions weighted by shares traded, less 1. The publication's average is of"
        " one session, and weighs trades."
    ),
)

on_balance_volume_20d = Factor(
    expression=sum(sign(delta(close, 1)) * volume, 20) / sum(volume, 20),
    sign=0,
    cite="Granville (1963, Granville's New Key to Stock Market Profits)",
    unit="fraction",
    description=(
        "Change of on-balance volume over 20 sessions over the shares traded in them. The publication cumulates from"
        " the first session, whose choice has no meaning."
    ),
)

chaikin_money_flow_20 = Factor(
    expression=chaikin_money_flow(20, min_periods=15),
    sign=0,
    cite="Chaikin, in Achelis (2000, Technical Analysis from A to Z)",
    unit="fraction",
    description=(
        "Where closes lie in their ranges, -1 the low and 1 the high, weighted by shares traded over 20 sessions, at"
        " least 15 with a range."
    ),
)

money_flow_index_14 = Factor(
    expression=money_flow_index(14),
    sign=0,
    cite="Quong and Soudack (1989, Technical Analysis of Stocks and Commodities)",
    unit="index points",
    description="Share of the value traded in 14 sessions that came with a rise of the typical price, in 0 to 100.",
)

force_index_13 = Factor(
    expression=ema_span(returns * dollar_volume, 13) / ema_span(dollar_volume + 0 * returns, 13),
    sign=0,
    cite="Elder (1993, Trading for a Living)",
    unit="fraction per session",
    description=(
        "Return weighted by value traded, exponentially (span 13). The publication smooths price change times shares"
        " traded, and does not divide."
    ),
)

ease_of_movement_14 = Factor(
    expression=ease_of_movement(14, min_periods=10),
    sign=0,
    cite="Arms, in Achelis (2000, Technical Analysis from A to Z)",
    unit="squared fraction per session",
    description=(
        "Move of the session's middle times its range, both over the close, per share of the mean volume, averaged over"
        " 14 sessions, at least 10 with trading. The publication has prices, and volume over a constant."
    ),
)

price_volume_correlation_20d = Factor(
    expression=corr(log(close), log(volume), 20, min_periods=15),
    sign=0,
    cite="After Karpoff (1987, Journal of Financial and Quantitative Analysis 22(1), 109-126)",
    doi="10.2307/2330874",
    description="Correlation of the logarithms of close and shares traded over 20 sessions, at least 15 with trading.",
)
