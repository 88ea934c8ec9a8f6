"""The third implementation: every operator on whole windows at once, in NumPy; fast enough for every factor.

A window is an axis of its own, `(n_dates, n_tickers, n)`, filled up with NaN before the first session; nothing is
carried from one window to the next.
"""

from collections.abc import Callable, Mapping

import numpy as np

from factor_assets.expressions import Call, Constant, Expression, Field
from factor_assets.expressions.declaration import OPERATORS

NAN = np.nan


def sliding(
    node: Expression, operands: Mapping[Expression, np.ndarray], fields: Mapping[str, np.ndarray], members: np.ndarray
) -> np.ndarray:
    """Values of one node from those of its operands, shape of the members."""
    with np.errstate(all="ignore"):
        return _value(node, operands, fields, members)


def _value(
    node: Expression, known: Mapping[Expression, np.ndarray], fields: Mapping[str, np.ndarray], members: np.ndarray
) -> np.ndarray:
    if isinstance(node, Field):
        return fields[node.name]
    if isinstance(node, Constant):
        return np.full(members.shape, node.value)
    assert isinstance(node, Call)
    operands = [_value(a, known, fields, members) if not isinstance(a, Call) else known[a] for a in node.args]
    params = dict(node.params)
    spec = OPERATORS[node.operator]
    if spec.kind == "elementwise":
        value = ELEMENTWISE[node.operator](*operands)
        if node.operator not in ("is_missing", "fill", "where"):
            value = np.where(sum(np.isnan(x) for x in operands) > 0, NAN, value)
    elif spec.kind == "time_series":
        windows = [windows_of(x, spec.lookback(**params) + 1) for x in operands]
        value = _time_series(node.operator, windows, params)
    else:
        value = np.full(members.shape, NAN)
        for t, inside in enumerate(members):
            rows = [x[t, inside] for x in operands]
            if node.operator == "cross_mean":
                value[t] = np.nanmean(rows[0]) if np.isfinite(rows[0]).any() else NAN
            else:
                labels = [isinstance(a, Field) and a.name == "sector" for a in node.args[1:]]
                value[t, inside] = _row(node.operator, rows, params, labels)
    return np.where(np.isfinite(value), value, NAN)


def windows_of(x: np.ndarray, n: int) -> np.ndarray:
    """Return the windows that end at each session, oldest first, shape (n_dates, n_tickers, n)."""
    padded = np.concatenate([np.full((n - 1, x.shape[1]), NAN), x])
    return np.lib.stride_tricks.sliding_window_view(padded, n, axis=0)


ELEMENTWISE: Mapping[str, Callable[..., np.ndarray]] = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": np.divide,
    "power": np.power,
    "signed_power": lambda x, a: np.sign(x) * np.abs(x) ** a,
    "negate": np.negative,
    "less": lambda x, y: 1.0 * (x < y),
    "less_equal": lambda x, y: 1.0 * (x <= y),
    "greater": lambda x, y: 1.0 * (x > y),
    "greater_equal": lambda x, y: 1.0 * (x >= y),
    "equal": lambda x, y: 1.0 * (x == y),
    "both": lambda x, y: 1.0 * ((x != 0) & (y != 0)),
    "either": lambda x, y: 1.0 * ((x != 0) | (y != 0)),
    "negation": lambda x: 1.0 * (x == 0),
    "abs": np.abs,
    "sign": np.sign,
    "log": np.log,
    "exp": np.exp,
    "sqrt": np.sqrt,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "clip": lambda x, low, high: np.minimum(np.maximum(x, low), high),
    "where": lambda c, x, y: np.where(np.isnan(c), NAN, np.where(c != 0, x, y)),
    "is_missing": lambda x: 1.0 * np.isnan(x),
    "fill": lambda x, y: np.where(np.isnan(x), y, x),
}


def _time_series(name: str, windows: list[np.ndarray], params: Mapping[str, float]) -> np.ndarray:
    if name in ("delay", "delta", "pct_change"):
        now, before = windows[0][..., -1], windows[0][..., 0]
        return {"delay": before, "delta": now - before, "pct_change": now / before - 1}[name]
    if name in ("days_since", "sum_since"):
        return _since(windows)
    together = ~sum(np.isnan(w) for w in windows).astype(bool)
    windows = [np.where(together, w, NAN) for w in windows]
    m = together.sum(axis=-1)
    value = TIME_SERIES[name](m, *windows, **{k: v for k, v in params.items() if k not in ("n", "min_periods")})
    return np.where(m >= params.get("min_periods", 0), value, NAN)


def _since(windows: list[np.ndarray]) -> np.ndarray:
    condition = windows[-1]
    true = (condition != 0) & ~np.isnan(condition)
    length = condition.shape[-1]
    ever = true.any(axis=-1)
    age = np.where(ever, np.argmax(true[..., ::-1], axis=-1), length)
    if len(windows) == 1:
        return np.where(ever, age, NAN)
    since = np.arange(length)[::-1] <= age[..., None]
    return np.where(ever, np.where(since, windows[0], 0.0).sum(axis=-1), NAN)


def _mean(m: np.ndarray, x: np.ndarray) -> np.ndarray:
    # of equal values it is that value: a sum of them may round
    low, high = np.fmin.reduce(x, axis=-1), np.fmax.reduce(x, axis=-1)
    return np.where(low == high, low, np.nansum(x, axis=-1) / m)


def _comoment(m: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.nansum((x - _mean(m, x)[..., None]) * (y - _mean(m, y)[..., None]), axis=-1)


def _corr(m: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.clip(_comoment(m, x, y) / np.sqrt(_comoment(m, x, x)) / np.sqrt(_comoment(m, y, y)), -1, 1)


def _std(m: np.ndarray, x: np.ndarray) -> np.ndarray:
    return np.where(m > 1, np.sqrt(_comoment(m, x, x) / (m - 1)), NAN)


def _residual(m: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    slope = _comoment(m, x, y) / _comoment(m, x, x)
    return (y[..., -1] - _mean(m, y)) - slope * (x[..., -1] - _mean(m, x))


def _time(x: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(x), NAN, np.arange(x.shape[-1], dtype=float))


def _skew(m: np.ndarray, x: np.ndarray) -> np.ndarray:
    d = x - _mean(m, x)[..., None]
    second, third = np.nansum(d**2, axis=-1) / m, np.nansum(d**3, axis=-1) / m
    return np.where(m > 2, np.sqrt(m * (m - 1)) / (m - 2) * third / second**1.5, NAN)


def _kurt(m: np.ndarray, x: np.ndarray) -> np.ndarray:
    d = x - _mean(m, x)[..., None]
    second, fourth = np.nansum(d**2, axis=-1) / m, np.nansum(d**4, axis=-1) / m
    return np.where(m > 3, (m - 1) / ((m - 2) * (m - 3)) * ((m + 1) * (fourth / second**2 - 3) + 6), NAN)


def _ts_rank(m: np.ndarray, x: np.ndarray) -> np.ndarray:
    now = x[..., -1:]
    below, equal = (x < now).sum(axis=-1), (x == now).sum(axis=-1)
    return np.where(np.isnan(now[..., 0]), NAN, (below + (equal + 1) / 2) / m)


def _place(x: np.ndarray, fill: float, best: Callable[..., np.ndarray]) -> np.ndarray:
    return best(np.where(np.isnan(x), fill, x), axis=-1) + 1.0


def _quantile(m: np.ndarray, x: np.ndarray, q: float) -> np.ndarray:
    ordered = np.sort(x, axis=-1)
    at = q * np.maximum(m - 1, 0)
    below = np.floor(at).astype(int)
    above = np.minimum(below + 1, np.maximum(m - 1, 0))
    low = np.take_along_axis(ordered, below[..., None], axis=-1)[..., 0]
    high = np.take_along_axis(ordered, above[..., None], axis=-1)[..., 0]
    return low + (high - low) * (at - below)


def _weighted(x: np.ndarray, weights: np.ndarray) -> np.ndarray:
    there = np.where(np.isnan(x), 0.0, weights)
    return np.nansum(x * weights, axis=-1) / there.sum(axis=-1)


def _decayed(x: np.ndarray, decay: float) -> np.ndarray:
    return _weighted(x, decay ** np.arange(x.shape[-1])[::-1])


def _beta(m: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    return _comoment(m, x, y) / _comoment(m, x, x)


TIME_SERIES: Mapping[str, Callable[..., np.ndarray]] = {
    "sum": lambda m, x: np.nansum(x, axis=-1),
    "mean": _mean,
    "count": lambda m, x: m,
    "product": lambda m, x: np.nanprod(x, axis=-1),
    "min": lambda m, x: np.fmin.reduce(x, axis=-1),
    "max": lambda m, x: np.fmax.reduce(x, axis=-1),
    "var": lambda m, x: np.where(m > 1, _comoment(m, x, x) / (m - 1), NAN),
    "std": _std,
    "cov": lambda m, x, y: np.where(m > 1, _comoment(m, x, y) / (m - 1), NAN),
    "corr": _corr,
    "beta": lambda m, y, x: np.where(m > 1, _beta(m, y, x), NAN),
    "rsquare": lambda m, y, x: np.where(m > 2, _corr(m, y, x) ** 2, NAN),
    "residual": lambda m, y, x: np.where(m > 1, _residual(m, y, x), NAN),
    "slope": lambda m, x: np.where(m > 1, _beta(m, x, _time(x)), NAN),
    "trend_rsquare": lambda m, x: np.where(m > 2, _corr(m, x, _time(x)) ** 2, NAN),
    "trend_residual": lambda m, x: np.where(m > 1, _residual(m, x, _time(x)), NAN),
    "skew": _skew,
    "kurt": _kurt,
    "ts_zscore": lambda m, x: (x[..., -1] - _mean(m, x)) / _std(m, x),
    "ts_rank": _ts_rank,
    "argmax": lambda m, x: np.where(m > 0, _place(x, -np.inf, np.argmax), NAN),
    "argmin": lambda m, x: np.where(m > 0, _place(x, np.inf, np.argmin), NAN),
    "quantile": _quantile,
    "median": lambda m, x: _quantile(m, x, 0.5),
    "mad": lambda m, x: np.nansum(np.abs(x - _mean(m, x)[..., None]), axis=-1) / m,
    "decay_linear": lambda m, x: _weighted(x, np.arange(1.0, x.shape[-1] + 1)),
    "ema": lambda m, x, halflife: _decayed(x, 0.5 ** (1 / halflife)),
    "ema_span": lambda m, x, span: _decayed(x, 1 - 2 / (span + 1)),
    "wilder": lambda m, x, periods: _decayed(x, 1 - 1 / periods),
}


def _row(name: str, rows: list[np.ndarray], params: Mapping[str, float], labels: list[bool]) -> np.ndarray:
    """Values of the members of one date."""
    if name == "residualize":
        return _residualized(rows[0], rows[1:], labels)
    out = np.full(rows[0].shape, NAN)
    if len(rows) == 2:
        for group in np.unique(rows[1][~np.isnan(rows[1])]):
            inside = rows[1] == group
            out[inside] = _row(GROUPED[name], [rows[0][inside]], params, [])
        return out
    here = ~np.isnan(rows[0])
    x = rows[0][here]
    if x.size:
        value = np.broadcast_to(ROWS[name](x, **params), x.shape)
        out[here] = value
        if name == "mean_of":
            out[:] = value[0]
    return out


def _residualized(x: np.ndarray, on: list[np.ndarray], labels: list[bool]) -> np.ndarray:
    here = ~sum(np.isnan(v) for v in (x, *on)).astype(bool)
    columns = [np.ones(here.sum())]
    for values, label in zip(on, labels, strict=True):
        v = values[here]
        columns += [1.0 * (v == g) for g in np.unique(v)] if label else [(v - v.mean()) / (np.ptp(v) or 1.0)]
    design = np.stack(columns, axis=1)
    out = np.full(x.shape, NAN)
    if here.sum() > np.linalg.matrix_rank(design) if here.any() else False:
        fitted = design @ np.linalg.lstsq(design, x[here], rcond=1e-10)[0]
        out[here] = x[here] - fitted
    return out


def _rank(x: np.ndarray) -> np.ndarray:
    below, equal = (x[None] < x[:, None]).sum(axis=1), (x[None] == x[:, None]).sum(axis=1)
    return (below + (equal + 1) / 2) / x.size


def _demean(x: np.ndarray) -> np.ndarray:
    return np.zeros(x.shape) if np.ptp(x) == 0 else x - x.mean()


def _zscore(x: np.ndarray) -> np.ndarray:
    return np.full(x.shape, NAN) if np.ptp(x) == 0 else (x - x.mean()) / x.std(ddof=1)


GROUPED = {"group_mean": "mean_of", "neutralize": "demean", "group_zscore": "zscore", "group_rank": "rank"}
ROWS: Mapping[str, Callable[..., np.ndarray]] = {
    "mean_of": lambda x: x[0] if np.ptp(x) == 0 else x.mean(),
    "demean": _demean,
    "zscore": _zscore,
    "rank": _rank,
    "winsorize": lambda x, limit: np.clip(x, np.quantile(x, limit), np.quantile(x, 1 - limit)),
    "scale": lambda x, to: x / np.abs(x).sum() * to,
    "bucket": lambda x, n_buckets: np.ceil(np.round(_rank(x) * n_buckets, 9)),
}
