"""Alpha360: Qlib's raw prices and volumes of 60 sessions over today's, as its data loader declares them.

Columns have Qlib's names and order: the oldest session first.
"""

from collections.abc import Iterator, Mapping

from factor_assets.expressions import (
    Expression,
    close,
    delay,
    high,
    low,
    open,  # noqa: A004
    volume,
)
from factor_assets.factors.factor import Factor
from factor_assets.factors.library import Library

CITE = (
    "Yang, Liu, Zhou, Bian and Liu (2020, Qlib: An AI-oriented Quantitative Investment Platform, arXiv 2009.11189;"
    " Alpha360DL in qlib/contrib/data/loader.py)"
)
DOI = "10.48550/arXiv.2009.11189"
N_SESSIONS = 60

_TYPICAL = "Typical price (high + low + close) / 3, which stands for the volume-weighted price,"

# name -> series, what it is over, and what it is
_SERIES: Mapping[str, tuple[Expression, Expression, str]] = {
    "CLOSE": (close, close, "Close"),
    "OPEN": (open, close, "Open"),
    "HIGH": (high, close, "High"),
    "LOW": (low, close, "Low"),
    "VWAP": ((high + low + close) / 3, close, _TYPICAL),
    "VOLUME": (volume, volume, "Volume"),
}


def _declared() -> Iterator[tuple[str, Expression, str]]:
    for name, (series, today, meaning) in _SERIES.items():
        for lag in reversed(range(N_SESSIONS)):
            past = delay(series, lag) if lag else series
            when = f"{lag} session{'s' if lag > 1 else ''} ago" if lag else "of the session"
            yield f"{name}{lag}", past / today, f"{meaning} {when} over today's {today}."


LIBRARY = Library(
    factors={
        name: Factor(expression=expression, sign=0, cite=CITE, doi=DOI, description=description)
        for name, expression, description in _declared()
    },
    cite=CITE,
    description=(
        "Qlib's Alpha360: close, open, high, low and volume-weighted price of the last 60 sessions over today's close,"
        " and their volume over today's. Lags count sessions of the exchange; prices are adjusted forwards, which"
        " leaves ratios the same. Departures: there is no volume-weighted price in daily data, and the typical price"
        " (high + low + close) / 3 stands for it; without volume today the 60 volumes have no value, where Qlib, which"
        " adds 1e-12 to the denominator, has 0 or more than 1e12."
    ),
)
