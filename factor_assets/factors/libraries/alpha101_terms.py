"""What the formulas of the 101 Formulaic Alphas are written with: the publication's input data, in our fields.

The formulas are in `alpha101_1_to_57.py` and `alpha101_58_to_101.py`, the library in `alpha101.py`.
"""

from typing import NamedTuple

from factor_assets.expressions import Expression, close, dollar_volume, high, low, mean, sector

CURRENCY = "currency"
MIXED = "a ratio, in which currency amounts are compared with numbers"
MIXED_SHARES = "a ratio, in which shares are compared with currency amounts"

# Daily data have no volume-weighted average price. Typical price.
VWAP = (high + low + close) / 3
MIDPOINT = (high + low) / 2

# Only sectors are known here; the publication says that any industry classification will do.
INDUSTRY = SUBINDUSTRY = sector


class Alpha(NamedTuple):
    """One row of the publication's list: its number, the formula, what it measures and its unit."""

    number: int
    expression: Expression
    description: str
    unit: str = ""


def adv(n: int) -> Expression:
    """Average daily dollar volume over n sessions."""
    return mean(dollar_volume, n)


def blend(x: Expression, y: Expression, weight: float) -> Expression:
    """Weighted mean of two prices; `weight` is that of x."""
    return x * weight + y * (1 - weight)
