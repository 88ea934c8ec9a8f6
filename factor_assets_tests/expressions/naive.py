"""The second implementation: every operator cell by cell, from its definition, in plain Python."""

import math
from collections.abc import Callable, Mapping

import numpy as np

from factor_assets.expressions import Call, Constant, Expression, Field
from factor_assets.expressions.declaration import OPERATORS
from factor_assets_tests.expressions import naive_cross, naive_moments, naive_order

NAN = math.nan


def naive(expression: Expression, fields: Mapping[str, np.ndarray], members: np.ndarray) -> np.ndarray:
    """Values of an expression, shape of the members."""
    if isinstance(expression, Field):
        return fields[expression.name]
    if isinstance(expression, Constant):
        return np.full(members.shape, expression.value)
    assert isinstance(expression, Call)
    operands = [naive(a, fields, members) for a in expression.args]
    params = dict(expression.params)
    kind = OPERATORS[expression.operator].kind
    out = np.full(members.shape, NAN)
    n_dates, n_tickers = members.shape
    length = OPERATORS[expression.operator].lookback(**params) + 1
    for t in range(n_dates):
        if kind == "cross_section":
            out[t] = _row(expression.operator, [x[t] for x in operands], members[t], params)
            continue
        for j in range(n_tickers):
            if kind == "elementwise":
                out[t, j] = _cell(expression.operator, *(float(x[t, j]) for x in operands))
                continue
            window = [[float(v) for v in x[max(0, t - length + 1) : t + 1, j]] for x in operands]
            if expression.operator in WINDOWS:
                padded = [[NAN] * (length - len(values)) + values for values in window]
                value = WINDOWS[expression.operator](*padded, **params)
                out[t, j] = value if math.isfinite(value) else NAN
                continue
            kept = [cells for cells in zip(*window, strict=True) if not any(map(math.isnan, cells))]
            if len(kept) >= params.get("min_periods", 0):
                out[t, j] = _ROLLING[expression.operator](*zip(*kept, strict=True)) if kept else 0.0
    return out


def _row(operator: str, rows: list[np.ndarray], members: np.ndarray, params: Mapping[str, float]) -> np.ndarray:
    if operator in ROWS:
        out = np.full(members.shape, NAN)
        out[members] = ROWS[operator](*([float(v) for v in row[members]] for row in rows), **params)
        return out
    return _cross(operator, rows[0], [j for j in np.flatnonzero(members) if not math.isnan(rows[0][j])])


def _cell(operator: str, *v: float) -> float:
    if operator == "is_missing":
        return float(math.isnan(v[0]))
    if operator == "fill":
        return v[1] if math.isnan(v[0]) else v[0]
    if operator == "where":
        return NAN if math.isnan(v[0]) else v[1] if v[0] != 0 else v[2]
    if any(map(math.isnan, v)):
        return NAN
    try:
        value = _CELL[operator](*v)
    except (ZeroDivisionError, ValueError, OverflowError):
        return NAN
    return float(value) if not isinstance(value, complex) and math.isfinite(value) else NAN


_CELL: Mapping[str, Callable[..., float]] = {
    "add": lambda x, y: x + y,
    "subtract": lambda x, y: x - y,
    "multiply": lambda x, y: x * y,
    "divide": lambda x, y: x / y,
    "power": lambda x, y: x**y,
    "signed_power": lambda x, y: math.copysign(abs(x) ** y, x) if x else 0.0 * abs(x) ** y,
    "negate": lambda x: -x,
    "less": lambda x, y: x < y,
    "less_equal": lambda x, y: x <= y,
    "greater": lambda x, y: x > y,
    "greater_equal": lambda x, y: x >= y,
    "equal": lambda x, y: x == y,
    "both": lambda x, y: x != 0 and y != 0,
    "either": lambda x, y: x != 0 or y != 0,
    "negation": lambda x: x == 0,
    "abs": abs,
    "sign": lambda x: (x > 0) - (x < 0),
    "log": math.log,
    "exp": math.exp,
    "sqrt": math.sqrt,
    "maximum": max,
    "minimum": min,
    "clip": lambda x, lower, upper: min(max(x, lower), upper),
}


def _mean(x: tuple[float, ...]) -> float:
    return math.fsum(x) / len(x)


def _cov(x: tuple[float, ...], y: tuple[float, ...]) -> float:
    if len(x) < 2:
        return NAN
    if len(set(x)) == 1 or len(set(y)) == 1:
        return 0.0
    mx, my = _mean(x), _mean(y)
    return math.fsum((a - mx) * (b - my) for a, b in zip(x, y, strict=True)) / (len(x) - 1)


def _corr(x: tuple[float, ...], y: tuple[float, ...]) -> float:
    if len(x) < 2 or len(set(x)) == 1 or len(set(y)) == 1:
        return NAN
    return _cov(x, y) / math.sqrt(_cov(x, x) * _cov(y, y))


def _lagged(difference: Callable[[float, float], float]) -> Callable[..., float]:
    return lambda x, n: difference(x[-1], x[0])


# Of the values of the window with NaN where missing, oldest first, at full length; and of one date's members.
WINDOWS: Mapping[str, Callable[..., float]] = {
    **naive_moments.WINDOWS,
    **naive_order.WINDOWS,
    "delay": _lagged(lambda now, before: before),
    "delta": _lagged(lambda now, before: now - before),
}
ROWS: Mapping[str, Callable[..., list[float]]] = {**naive_cross.ROWS}

# Of the values that are there.
_ROLLING: Mapping[str, Callable[..., float]] = {
    "sum": math.fsum,
    "mean": _mean,
    "count": len,
    "product": math.prod,
    "min": min,
    "max": max,
    "var": lambda x: _cov(x, x),
    "std": lambda x: math.sqrt(_cov(x, x)),
    "cov": _cov,
    "corr": _corr,
    "beta": lambda y, x: NAN if len(set(x)) == 1 else _cov(y, x) / _cov(x, x),
}


def _cross(operator: str, row: np.ndarray, inside: list[int]) -> np.ndarray:
    out = np.full(row.shape, NAN)
    if not inside:
        return out
    values = tuple(float(row[j]) for j in inside)
    mean = values[0] if len(set(values)) == 1 else _mean(values)
    if operator == "cross_mean":
        out[:] = mean
    for j, v in zip(inside, values, strict=True):
        if operator == "rank":
            below, ties = sum(u < v for u in values), sum(u == v for u in values)
            out[j] = (below + (ties + 1) / 2) / len(values)
        elif operator == "demean":
            out[j] = v - mean
        elif operator == "zscore":
            deviation = math.sqrt(_cov(values, values)) if len(values) > 1 else 0.0
            out[j] = (v - mean) / deviation if deviation > 0 else NAN
    return out
