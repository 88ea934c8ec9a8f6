"""Technical indicators: where a price stands in its own recent path. Nothing is claimed about their direction."""

from factor_assets.expressions import (
    Expression,
    close,
    delay,
    delta,
    maximum,
    mean,
    raw_close,
    raw_high,
    raw_low,
    raw_open,
)
from factor_assets.factors.factor import Factor


def relative_strength_index(price: Expression, n: int) -> Expression:
    """Return 100 - 100 / (1 + up / down), written as 100 up / (up + down), which has no special case.

    up and down are the simple means of rises and falls over n sessions. No fall gives 100, no rise 0, and a price
    that does not move at all has no value.
    """
    up = mean(maximum(delta(price, 1), 0), n)
    down = mean(maximum(-delta(price, 1), 0), n)
    return 100 * up / (up + down)


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
