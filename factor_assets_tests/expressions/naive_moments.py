"""Definitions of moments, regressions and weighted means of one window, exact as far as they are rational.

Operands are windows oldest first, with NaN where missing.
"""

import math
from collections.abc import Callable, Mapping
from fractions import Fraction

NAN = math.nan


def _sessions(*windows: list[float]) -> list[tuple[int, ...]]:
    """Place and values, as whole multiples of one tiny unit, of the sessions that have all of them."""
    kept = [(i, *values) for i, values in enumerate(zip(*windows, strict=True)) if not any(map(math.isnan, values))]
    return [(i, *(int(Fraction(v) / _UNIT) for v in values)) for i, *values in kept]


_UNIT = Fraction(1, 2**1074)  # every float64 is a whole multiple of it


def _distances(values: list[int]) -> list[int]:
    """len(values) times the distance from the mean."""
    total, m = sum(values), len(values)
    return [m * v - total for v in values]


def _sum_of_products(x: list[int], y: list[int]) -> int:
    return sum(a * b for a, b in zip(x, y, strict=True))


def _root(square: Fraction, sign: Fraction | int) -> float:
    return math.sqrt(square) * ((sign > 0) - (sign < 0))


def _ts_zscore(x: list[float], n: int, min_periods: int) -> float:
    values = [v for _, v in _sessions(x)]
    if math.isnan(x[-1]) or len(values) < max(min_periods, 2) or len(set(values)) == 1:
        return NAN
    d = _distances(values)
    return _root(Fraction(d[-1] ** 2 * (len(d) - 1), _sum_of_products(d, d)), d[-1])


def _skew(x: list[float], n: int, min_periods: int) -> float:
    values = [v for _, v in _sessions(x)]
    m = len(values)
    if m < max(min_periods, 3) or len(set(values)) == 1:
        return NAN
    d = _distances(values)
    m2, m3 = (Fraction(sum(v**k for v in d), m) for k in (2, 3))
    return math.sqrt(m * (m - 1)) / (m - 2) * _root(m3**2 / m2**3, m3)


def _kurt(x: list[float], n: int, min_periods: int) -> float:
    values = [v for _, v in _sessions(x)]
    m = len(values)
    if m < max(min_periods, 4) or len(set(values)) == 1:
        return NAN
    d = _distances(values)
    m2, m4 = (Fraction(sum(v**k for v in d), m) for k in (2, 4))
    return float(Fraction(m - 1, (m - 2) * (m - 3)) * ((m + 1) * (m4 / m2**2 - 3) + 6))


def _line(sessions: list[tuple[int, ...]], smallest: int, statistic: str, *, known: bool = True) -> float:
    """Of the least-squares line of the last on the first number of each session."""
    x, y = ([session[k] for session in sessions] for k in (0, -1))
    if len(sessions) < smallest or len(set(x)) == 1:
        return NAN
    dx, dy = _distances(x), _distances(y)
    slope = Fraction(_sum_of_products(dx, dy), _sum_of_products(dx, dx))
    if statistic == "slope":
        return float(slope * _UNIT)
    if statistic == "residual":
        return float((dy[-1] - slope * dx[-1]) / len(dx) * _UNIT) if known else NAN
    return NAN if len(set(y)) == 1 else float(slope**2 * _sum_of_products(dx, dx) / _sum_of_products(dy, dy))


def _on_time(statistic: str, smallest: int) -> Callable[..., float]:
    def value(x: list[float], n: int, min_periods: int) -> float:
        return _line(_sessions(x), max(min_periods, smallest), statistic, known=not math.isnan(x[-1]))

    return value


def _on_other(statistic: str, smallest: int) -> Callable[..., float]:
    def value(y: list[float], x: list[float], n: int, min_periods: int) -> float:
        both = [session[1:] for session in _sessions(x, y)]
        known = not (math.isnan(x[-1]) or math.isnan(y[-1]))
        return _line(both, max(min_periods, smallest), statistic, known=known)

    return value


def _decay_linear(x: list[float], n: int, min_periods: int) -> float:
    kept = [(i + 1, v) for i, v in _sessions(x)]
    if len(kept) < min_periods:
        return NAN
    return float(Fraction(sum(i * v for i, v in kept), sum(i for i, _ in kept)) * _UNIT)


def _decaying(decay: Callable[[float], float], name: str) -> Callable[..., float]:
    def value(x: list[float], min_periods: int, **params: float) -> float:
        factor = decay(params[name])
        kept = [(Fraction(factor**age), Fraction(v)) for age, v in enumerate(reversed(x)) if not math.isnan(v)]
        if len(kept) < min_periods:
            return NAN
        return float(sum(weight * v for weight, v in kept) / sum(weight for weight, _ in kept))

    return value


def _pct_change(x: list[float], n: int) -> float:
    return x[-1] / x[0] - 1 if x[0] else NAN


WINDOWS: Mapping[str, Callable[..., float]] = {
    "pct_change": _pct_change,
    "ts_zscore": _ts_zscore,
    "skew": _skew,
    "kurt": _kurt,
    "slope": _on_time("slope", 2),
    "trend_residual": _on_time("residual", 2),
    "trend_rsquare": _on_time("rsquare", 3),
    "rsquare": _on_other("rsquare", 3),
    "residual": _on_other("residual", 2),
    "decay_linear": _decay_linear,
    "ema": _decaying(lambda halflife: math.exp(-math.log(2) / halflife), "halflife"),
    "ema_span": _decaying(lambda span: (span - 1) / (span + 1), "span"),
    "wilder": _decaying(lambda periods: (periods - 1) / periods, "periods"),
}
