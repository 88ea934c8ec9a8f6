"""Alpha158: Qlib's 158 features of bars, prices and volume, as its data loader declares them.

Columns have Qlib's names and order. What does not belong here: Qlib's labels and the processors that fill and scale
its features.
"""

from collections.abc import Callable, Iterator, Mapping

from factor_assets.expressions import (
    Expression,
    abs,  # noqa: A004
    argmax,
    argmin,
    close,
    corr,
    delay,
    delta,
    high,
    log,
    low,
    max,  # noqa: A004
    maximum,
    mean,
    min,  # noqa: A004
    minimum,
    open,  # noqa: A004
    quantile,
    slope,
    std,
    sum,  # noqa: A004
    trend_residual,
    trend_rsquare,
    ts_rank,
    volume,
)
from factor_assets.factors.factor import Factor
from factor_assets.factors.library import Library

CITE = (
    "Yang, Liu, Zhou, Bian and Liu (2020, Qlib: An AI-oriented Quantitative Investment Platform, arXiv 2009.11189;"
    " Alpha158DL in qlib/contrib/data/loader.py)"
)
DOI = "10.48550/arXiv.2009.11189"
WINDOWS = (5, 10, 20, 30, 60)

typical_price = (high + low + close) / 3

_gain = close / delay(close, 1)
_rise, _fall, _move = maximum(delta(close, 1), 0), maximum(-delta(close, 1), 0), abs(delta(close, 1))
_more, _less, _change = maximum(delta(volume, 1), 0), maximum(-delta(volume, 1), 0), abs(delta(volume, 1))
_weighted_move = abs(_gain - 1) * volume

# name -> expression, and what it is
_BARS: Mapping[str, tuple[Expression, str]] = {
    "KMID": ((close - open) / open, "Change from open to close, over the open."),
    "KLEN": ((high - low) / open, "Range of the session, over the open."),
    "KMID2": ((close - open) / (high - low), "Change from open to close, over the session's range."),
    "KUP": ((high - maximum(open, close)) / open, "Upper shadow of the session's bar, over the open."),
    "KUP2": ((high - maximum(open, close)) / (high - low), "Upper shadow of the session's bar, over its range."),
    "KLOW": ((minimum(open, close) - low) / open, "Lower shadow of the session's bar, over the open."),
    "KLOW2": ((minimum(open, close) - low) / (high - low), "Lower shadow of the session's bar, over its range."),
    "KSFT": ((2 * close - high - low) / open, "Twice the distance of the close from mid-range, over the open."),
    "KSFT2": (
        (2 * close - high - low) / (high - low),
        "Twice the distance of the close from mid-range, over the range.",
    ),
    "OPEN0": (open / close, "Open over the close."),
    "HIGH0": (high / close, "High over the close."),
    "LOW0": (low / close, "Low over the close."),
    "VWAP0": (
        typical_price / close,
        "Typical price (high + low + close) / 3, which stands for the volume-weighted price, over the close.",
    ),
}

# name -> expression of a window, and what it is
_ROLLING: Mapping[str, tuple[Callable[[int], Expression], str]] = {
    "ROC": (lambda n: delay(close, n) / close, "Close {n} sessions ago over today's."),
    "MA": (lambda n: mean(close, n, min_periods=1) / close, "Mean close of the last {n} sessions over today's."),
    "STD": (
        lambda n: std(close, n, min_periods=1) / close,
        "Standard deviation of the closes of the last {n} sessions over today's close.",
    ),
    "BETA": (
        lambda n: slope(close, n, min_periods=1) / close,
        "Slope, per session, of the line through the closes of the last {n} sessions over today's close.",
    ),
    "RSQR": (
        lambda n: trend_rsquare(close, n, min_periods=1),
        "Share of the variance of the closes of the last {n} sessions that a line in time explains; from 3 closes on.",
    ),
    "RESI": (
        lambda n: trend_residual(close, n, min_periods=1) / close,
        "Distance of today's close from the line through the closes of the last {n} sessions, over today's close.",
    ),
    "MAX": (lambda n: max(high, n, min_periods=1) / close, "Highest price of the last {n} sessions over the close."),
    "MIN": (lambda n: min(low, n, min_periods=1) / close, "Lowest price of the last {n} sessions over the close."),
    "QTLU": (
        lambda n: quantile(close, n, 0.8, min_periods=1) / close,
        "80% quantile of the closes of the last {n} sessions over today's.",
    ),
    "QTLD": (
        lambda n: quantile(close, n, 0.2, min_periods=1) / close,
        "20% quantile of the closes of the last {n} sessions over today's.",
    ),
    "RANK": (
        lambda n: ts_rank(close, n, min_periods=1),
        "Rank of today's close among those of the last {n} sessions, over how many there are.",
    ),
    "RSV": (
        lambda n: (close - min(low, n, min_periods=1)) / (max(high, n, min_periods=1) - min(low, n, min_periods=1)),
        "Where the close lies between the lowest (0) and highest (1) price of the last {n} sessions.",
    ),
    "IMAX": (
        lambda n: argmax(high, n, min_periods=1) / n,
        "Place of the highest price among the last {n} sessions, 1 the oldest and {n} today, over {n}.",
    ),
    "IMIN": (
        lambda n: argmin(low, n, min_periods=1) / n,
        "Place of the lowest price among the last {n} sessions, 1 the oldest and {n} today, over {n}.",
    ),
    "IMXD": (
        lambda n: (argmax(high, n, min_periods=1) - argmin(low, n, min_periods=1)) / n,
        "Sessions from the lowest to the highest price of the last {n}, over {n}; negative where the low is later.",
    ),
    "CORR": (
        lambda n: corr(close, log(volume + 1), n, min_periods=1),
        "Correlation of close and log volume over the last {n} sessions.",
    ),
    "CORD": (
        lambda n: corr(_gain, log(volume / delay(volume, 1) + 1), n, min_periods=1),
        "Correlation of the relative changes of close and (in logs) volume over the last {n} sessions.",
    ),
    "CNTP": (
        lambda n: mean(close > delay(close, 1), n, min_periods=1),
        "Share of the last {n} sessions on which the close rose.",
    ),
    "CNTN": (
        lambda n: mean(close < delay(close, 1), n, min_periods=1),
        "Share of the last {n} sessions on which the close fell.",
    ),
    "CNTD": (
        lambda n: mean(close > delay(close, 1), n, min_periods=1) - mean(close < delay(close, 1), n, min_periods=1),
        "Share of the last {n} sessions on which the close rose less the share on which it fell.",
    ),
    "SUMP": (
        lambda n: sum(_rise, n, min_periods=1) / sum(_move, n, min_periods=1),
        "Rises of the close over the last {n} sessions, over all its moves.",
    ),
    "SUMN": (
        lambda n: sum(_fall, n, min_periods=1) / sum(_move, n, min_periods=1),
        "Falls of the close over the last {n} sessions, over all its moves.",
    ),
    "SUMD": (
        lambda n: (sum(_rise, n, min_periods=1) - sum(_fall, n, min_periods=1)) / sum(_move, n, min_periods=1),
        "Rises less falls of the close over the last {n} sessions, over all its moves.",
    ),
    "VMA": (lambda n: mean(volume, n, min_periods=1) / volume, "Mean volume of the last {n} sessions over today's."),
    "VSTD": (
        lambda n: std(volume, n, min_periods=1) / volume,
        "Standard deviation of the volume of the last {n} sessions over today's volume.",
    ),
    "WVMA": (
        lambda n: std(_weighted_move, n, min_periods=1) / mean(_weighted_move, n, min_periods=1),
        "Standard deviation over mean of absolute return times volume, over the last {n} sessions.",
    ),
    "VSUMP": (
        lambda n: sum(_more, n, min_periods=1) / sum(_change, n, min_periods=1),
        "Increases of volume over the last {n} sessions, over all its changes.",
    ),
    "VSUMN": (
        lambda n: sum(_less, n, min_periods=1) / sum(_change, n, min_periods=1),
        "Decreases of volume over the last {n} sessions, over all its changes.",
    ),
    "VSUMD": (
        lambda n: (sum(_more, n, min_periods=1) - sum(_less, n, min_periods=1)) / sum(_change, n, min_periods=1),
        "Increases less decreases of volume over the last {n} sessions, over all its changes.",
    ),
}


def _declared() -> Iterator[tuple[str, Expression, str]]:
    for name, (expression, description) in _BARS.items():
        yield name, expression, description
    for name, (of, description) in _ROLLING.items():
        for n in WINDOWS:
            yield f"{name}{n}", of(n), description.format(n=n)


LIBRARY = Library(
    factors={
        name: Factor(expression=expression, sign=0, cite=CITE, doi=DOI, description=description)
        for name, expression, description in _declared()
    },
    cite=CITE,
    description=(
        "Qlib's Alpha158: 9 shapes of the session's bar, 4 prices, and 29 statistics over 5, 10, 20, 30 and 60"
        " sessions. As in Qlib a window needs one value, but those of two moments need 2 and RSQR, which is 1 by"
        " construction on two closes, 3. Windows count sessions of the exchange; prices are adjusted forwards, which"
        " leaves ratios the same. Departures: there is no volume-weighted price in daily data, and the typical price"
        " (high + low + close) / 3 stands for it. Qlib adds 1e-12 to denominators; here a ratio whose denominator is 0"
        " has no value, where Qlib has 0 (a session without range, closes or volume that do not change) or more than"
        " 1e12 (no volume). IMAX and IMIN leave missing prices out and count a ticker's first sessions like all"
        " others; Qlib takes the first missing price for the extreme and counts from the listing. CNTP, CNTN and CNTD"
        " leave out sessions whose change is unknown; Qlib counts them as no rise and no fall. RSQR, CORR and CORD have"
        " no value where a series is constant; Qlib already where its standard deviation is below 2e-5 in any unit."
    ),
)
