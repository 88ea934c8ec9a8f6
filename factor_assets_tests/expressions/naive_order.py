"""The second implementation of the order statistics and of what happened since a condition, from their definitions."""

import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction

NAN = math.nan


def _present(x: Sequence[float]) -> list[float]:
    return [v for v in x if not math.isnan(v)]


def _ts_rank(x: Sequence[float], *, n: int, min_periods: int) -> float:
    values = _present(x)
    if math.isnan(x[-1]) or len(values) < min_periods:
        return NAN
    places = [place for place, v in enumerate(sorted(values), start=1) if v == x[-1]]
    return sum(places) / len(places) / len(values)


def _place(extreme: Callable[[list[float]], float]) -> Callable[..., float]:
    def place(x: Sequence[float], *, n: int, min_periods: int) -> float:
        values = _present(x)
        return list(x).index(extreme(values)) + 1 if len(values) >= min_periods else NAN

    return place


def _quantile(x: Sequence[float], *, n: int, q: float, min_periods: int) -> float:
    """Exact until the last rounding."""
    values = [Fraction(v) for v in sorted(_present(x))]
    if len(values) < min_periods:
        return NAN
    at = (len(values) - 1) * Fraction(q)
    below, above = values[math.floor(at)], values[math.ceil(at)]
    return float(below + (above - below) * (at - math.floor(at)))


def _mad(x: Sequence[float], *, n: int, min_periods: int) -> float:
    values = [Fraction(v) for v in _present(x)]
    if len(values) < min_periods:
        return NAN
    mean = sum(values) / len(values)
    return float(sum(abs(v - mean) for v in values) / len(values))


def _latest(condition: Sequence[float]) -> int | None:
    """Return how many sessions ago the condition was true, if it was."""
    true = [place for place, v in enumerate(condition) if v != 0 and not math.isnan(v)]
    return len(condition) - 1 - true[-1] if true else None


def _days_since(condition: Sequence[float], *, n: int) -> float:
    ago = _latest(condition)
    return NAN if ago is None else ago


def _sum_since(x: Sequence[float], condition: Sequence[float], *, n: int) -> float:
    ago = _latest(condition)
    return NAN if ago is None else math.fsum(x[len(x) - 1 - ago :])


WINDOWS: Mapping[str, Callable[..., float]] = {
    "ts_rank": _ts_rank,
    "argmax": _place(max),
    "argmin": _place(min),
    "quantile": _quantile,
    "median": lambda x, n, min_periods: _quantile(x, n=n, q=0.5, min_periods=min_periods),
    "mad": _mad,
    "days_since": _days_since,
    "sum_since": _sum_since,
}
