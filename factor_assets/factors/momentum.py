"""Momentum: past winners against past losers over months."""

from factor_assets.expressions import close, delay
from factor_assets.factors.factor import Factor

ret_12_1 = Factor(
    expression=delay(close, 21) / delay(close, 252) - 1,
    sign=+1,
    cite="Jegadeesh and Titman (1993, Journal of Finance 48(1), Table I)",
    doi="10.1111/j.1540-6261.1993.tb04702.x",
    unit="fraction",
    description=(
        "Total return over the eleven months that end one month ago, in sessions. The publication forms portfolios on"
        " 3 to 12 months and skips a week; skipping a month is the later convention."
    ),
)
