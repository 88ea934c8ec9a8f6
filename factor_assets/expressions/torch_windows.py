"""Time-series operators of the torch backend: reductions over an axis of windows.

Shapes: a window tensor is `(n_sessions, n_tickers, n)`, oldest first, with NaN before the first session and wherever
one of the operands is missing; `m` of shape `(n_sessions, n_tickers)` counts what is there.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from factor_assets.expressions.decays import DECAYS

_CELLS = 20_000_000  # of a window tensor that is reduced at once


def reduce(name: str, operands: list[Tensor], n: int, params: Mapping[str, float]) -> Tensor:
    """Return a rolling statistic of the last n sessions, shape (n_dates, n_tickers), float64."""
    n_dates, n_tickers = operands[0].shape
    padded = [torch.cat([x.new_full((n - 1, n_tickers), torch.nan), x]).to(torch.float64) for x in operands]
    step = max(1, _CELLS // max(1, n * n_tickers))
    out = torch.full((n_dates, n_tickers), torch.nan, dtype=torch.float64, device=operands[0].device)
    own = {k: v for k, v in params.items() if k not in ("n", "min_periods")}
    for top in range(0, n_dates, step):
        stop = min(top + step, n_dates)
        windows = [x[top : stop + n - 1].unfold(0, n, 1) for x in padded]
        if name in _SINCE:
            out[top:stop] = _SINCE[name](*windows)
            continue
        missing = torch.stack([torch.isnan(w) for w in windows]).any(dim=0)
        windows = [torch.where(missing, torch.nan, w) for w in windows]
        m = (~missing).sum(dim=-1).to(torch.float64)
        value = _REDUCE[name](m, *windows, **own)
        out[top:stop] = torch.where(m >= params.get("min_periods", 0), value, torch.nan)
    return out


def _lowest(x: Tensor) -> Tensor:
    return torch.nan_to_num(x, nan=torch.inf).amin(dim=-1)


def _highest(x: Tensor) -> Tensor:
    return torch.nan_to_num(x, nan=-torch.inf).amax(dim=-1)


def _mean(m: Tensor, x: Tensor) -> Tensor:
    # the mean of equal values is that value, where their sum may be rounded
    low = _lowest(x)
    return torch.where(low == _highest(x), low, torch.nansum(x, dim=-1) / m)


def _from_mean(m: Tensor, x: Tensor) -> Tensor:
    return x - _mean(m, x)[..., None]


def _comoment(m: Tensor, x: Tensor, y: Tensor) -> Tensor:
    return torch.nansum(_from_mean(m, x) * _from_mean(m, y), dim=-1)


def _var(m: Tensor, x: Tensor) -> Tensor:
    return torch.where(m > 1, _comoment(m, x, x) / (m - 1), torch.nan)


def _cov(m: Tensor, y: Tensor, x: Tensor) -> Tensor:
    return torch.where(m > 1, _comoment(m, x, y) / (m - 1), torch.nan)


def _corr(m: Tensor, y: Tensor, x: Tensor) -> Tensor:
    scale = torch.sqrt(_comoment(m, x, x)) * torch.sqrt(_comoment(m, y, y))
    return torch.where(m > 1, torch.clamp(_comoment(m, x, y) / scale, -1.0, 1.0), torch.nan)


def _beta(m: Tensor, y: Tensor, x: Tensor) -> Tensor:
    return torch.where(m > 1, _comoment(m, x, y) / _comoment(m, x, x), torch.nan)


def _rsquare(m: Tensor, y: Tensor, x: Tensor) -> Tensor:
    return torch.where(m > 2, _corr(m, y, x) ** 2, torch.nan)


def _residual(m: Tensor, y: Tensor, x: Tensor) -> Tensor:
    return _from_mean(m, y)[..., -1] - _beta(m, y, x) * _from_mean(m, x)[..., -1]


def _time(x: Tensor) -> Tensor:
    session = torch.arange(x.shape[-1], dtype=x.dtype, device=x.device)
    return torch.where(torch.isnan(x), torch.nan, session)


def _skew(m: Tensor, x: Tensor) -> Tensor:
    d = _from_mean(m, x)
    second, third = torch.nansum(d**2, dim=-1) / m, torch.nansum(d**3, dim=-1) / m
    return torch.where(m > 2, torch.sqrt(m * (m - 1)) / (m - 2) * third / second**1.5, torch.nan)


def _kurt(m: Tensor, x: Tensor) -> Tensor:
    d = _from_mean(m, x)
    second, fourth = torch.nansum(d**2, dim=-1) / m, torch.nansum(d**4, dim=-1) / m
    excess = (m - 1) / ((m - 2) * (m - 3)) * ((m + 1) * (fourth / second**2 - 3) + 6)
    return torch.where(m > 3, excess, torch.nan)


def _ts_zscore(m: Tensor, x: Tensor) -> Tensor:
    return _from_mean(m, x)[..., -1] / torch.sqrt(_var(m, x))


def _ts_rank(m: Tensor, x: Tensor) -> Tensor:
    now = x[..., -1:]
    below, equal = (x < now).sum(dim=-1).to(x.dtype), (x == now).sum(dim=-1).to(x.dtype)
    return torch.where(torch.isnan(now[..., 0]), torch.nan, (below + (equal + 1) / 2) / m)


def _place(m: Tensor, x: Tensor, extreme: Tensor) -> Tensor:
    """Place of the oldest value that is the extreme one."""
    first = (x == extreme[..., None]).to(torch.int8).argmax(dim=-1)
    return torch.where(m > 0, first + 1.0, torch.nan)


def _quantile(m: Tensor, x: Tensor, q: float) -> Tensor:
    ordered = torch.nan_to_num(x, nan=torch.inf).sort(dim=-1).values
    last = torch.clamp(m - 1, min=0)
    at = q * last
    below = torch.floor(at)
    low = ordered.gather(-1, below.long()[..., None])[..., 0]
    high = ordered.gather(-1, torch.minimum(below + 1, last).long()[..., None])[..., 0]
    return torch.where(m > 0, low + (high - low) * (at - below), torch.nan)


def _mad(m: Tensor, x: Tensor) -> Tensor:
    return torch.nansum(torch.abs(_from_mean(m, x)), dim=-1) / m


def _weighted(x: Tensor, weights: Tensor) -> Tensor:
    there = torch.where(torch.isnan(x), 0.0, weights)
    return torch.nansum(x * weights, dim=-1) / there.sum(dim=-1)


def _decay_linear(m: Tensor, x: Tensor) -> Tensor:  # noqa: ARG001
    return _weighted(x, torch.arange(1, x.shape[-1] + 1, dtype=x.dtype, device=x.device))


def _decayed(m: Tensor, x: Tensor, **param: float) -> Tensor:  # noqa: ARG001
    ((name, value),) = param.items()
    age = torch.arange(x.shape[-1] - 1, -1, -1, dtype=x.dtype, device=x.device)
    return _weighted(x, DECAYS[name](value) ** age)


def _days_since(condition: Tensor) -> Tensor:
    true = (condition != 0) & ~torch.isnan(condition)
    age = true.flip(-1).to(torch.int8).argmax(dim=-1)
    return torch.where(true.any(dim=-1), age.to(condition.dtype), torch.nan)


def _sum_since(x: Tensor, condition: Tensor) -> Tensor:
    age = _days_since(condition)
    ages = torch.arange(x.shape[-1] - 1, -1, -1, dtype=x.dtype, device=x.device)
    total = torch.where(ages <= age[..., None], x, 0.0).sum(dim=-1)
    return torch.where(torch.isnan(age), torch.nan, total)


_SINCE: Mapping[str, Callable[..., Tensor]] = {"days_since": _days_since, "sum_since": _sum_since}

_REDUCE: Mapping[str, Callable[..., Tensor]] = {
    "sum": lambda m, x: torch.nansum(x, dim=-1),  # noqa: ARG005
    "mean": _mean,
    "count": lambda m, x: m,  # noqa: ARG005
    "product": lambda m, x: torch.nan_to_num(x, nan=1.0).prod(dim=-1),  # noqa: ARG005
    "min": lambda m, x: _lowest(x),  # noqa: ARG005
    "max": lambda m, x: _highest(x),  # noqa: ARG005
    "var": _var,
    "std": lambda m, x: torch.sqrt(_var(m, x)),
    "cov": _cov,
    "corr": _corr,
    "beta": _beta,
    "rsquare": _rsquare,
    "residual": _residual,
    "slope": lambda m, x: _beta(m, x, _time(x)),
    "trend_rsquare": lambda m, x: _rsquare(m, x, _time(x)),
    "trend_residual": lambda m, x: _residual(m, x, _time(x)),
    "skew": _skew,
    "kurt": _kurt,
    "ts_zscore": _ts_zscore,
    "ts_rank": _ts_rank,
    "argmax": lambda m, x: _place(m, x, _highest(x)),
    "argmin": lambda m, x: _place(m, x, _lowest(x)),
    "quantile": _quantile,
    "median": lambda m, x: _quantile(m, x, 0.5),
    "mad": _mad,
    "decay_linear": _decay_linear,
    "ema": _decayed,
    "ema_span": _decayed,
    "wilder": _decayed,
}
