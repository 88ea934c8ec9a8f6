"""Cross-sectional operators of the torch backend: all dates at once, float64 of shape (n_dates, n_tickers)."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor

_COLLINEAR = 1e-10


def _inside(members: Tensor, x: Tensor) -> Tensor:
    return torch.where(members, x, torch.nan)


def _mean(x: Tensor) -> Tensor:
    """Mean of each row, shape (n_dates, 1); of equal values it is that value."""
    low = torch.nan_to_num(x, nan=torch.inf).amin(dim=1, keepdim=True)
    high = torch.nan_to_num(x, nan=-torch.inf).amax(dim=1, keepdim=True)
    return torch.where(low == high, low, torch.nanmean(x, dim=1, keepdim=True))


def _deviation(x: Tensor) -> Tensor:
    count = (~torch.isnan(x)).sum(dim=1, keepdim=True)
    squares = torch.nansum((x - _mean(x)) ** 2, dim=1, keepdim=True)
    return torch.where((count > 1) & (squares > 0), torch.sqrt(squares / (count - 1)), torch.nan)


def _rank(x: Tensor) -> Tensor:
    ordered = torch.nan_to_num(x, nan=torch.inf).sort(dim=1).values
    wanted = torch.nan_to_num(x, nan=torch.inf).contiguous()
    below = torch.searchsorted(ordered, wanted, right=False)
    upto = torch.searchsorted(ordered, wanted, right=True)
    count = (~torch.isnan(x)).sum(dim=1, keepdim=True).to(x.dtype)
    return torch.where(torch.isnan(x), torch.nan, (below + upto + 1).to(x.dtype) / 2 / count)


def _quantile(x: Tensor, q: float) -> Tensor:
    ordered = torch.nan_to_num(x, nan=torch.inf).sort(dim=1).values
    last = torch.clamp((~torch.isnan(x)).sum(dim=1, keepdim=True) - 1, min=0).to(x.dtype)
    at = q * last
    below = torch.floor(at)
    low = ordered.gather(1, below.long())
    high = ordered.gather(1, torch.minimum(below + 1, last).long())
    return low + (high - low) * (at - below)


def _whole(
    statistic: Callable[..., Tensor],
) -> Callable[..., Tensor]:
    """Return an operator over all members from a statistic of one operand."""
    return lambda members, operands, _labels, **params: statistic(_inside(members, operands[0]), **params)


def _cross_mean(x: Tensor) -> Tensor:
    return _mean(x).expand_as(x)


def _demean(x: Tensor) -> Tensor:
    return x - _mean(x)


def _zscore(x: Tensor) -> Tensor:
    return _demean(x) / _deviation(x)


def _winsorize(x: Tensor, limit: float) -> Tensor:
    limited = torch.minimum(torch.maximum(x, _quantile(x, limit)), _quantile(x, 1.0 - limit))
    return torch.where(torch.isnan(x), torch.nan, limited)


def _scale(x: Tensor, to: float) -> Tensor:
    return x / torch.nansum(torch.abs(x), dim=1, keepdim=True) * to


def _bucket(x: Tensor, n_buckets: int) -> Tensor:
    count = (~torch.isnan(x)).sum(dim=1, keepdim=True)
    # twice the rank is a whole number, so that no rounding moves a name to the next bucket
    doubled = torch.round(_rank(x) * count * 2)
    return torch.ceil(doubled * n_buckets / (2 * count))


def _by_group(
    statistic: Callable[[Tensor], Tensor], members: Tensor, operands: Sequence[Tensor], labels: Sequence[bool]
) -> Tensor:
    del labels
    x, group = _inside(members, operands[0]), _inside(members, operands[1])
    out = torch.full_like(x, torch.nan)
    for code in torch.unique(group[~torch.isnan(group)]):
        part = group == code
        value = statistic(torch.where(part, x, torch.nan))
        out = torch.where(part, value, out)
    return out


def _residualize(members: Tensor, operands: Sequence[Tensor], labels: Sequence[bool]) -> Tensor:
    inside = members & ~torch.stack([torch.isnan(x) for x in operands]).any(dim=0)
    y = torch.where(inside, operands[0], 0.0)
    columns = [inside.to(y.dtype)]
    for x, label in zip(operands[1:], labels[1:], strict=True):
        if label:
            columns += [(inside & (x == code)).to(y.dtype) for code in torch.unique(x[~torch.isnan(x)])]
        else:
            centred = torch.where(inside, x - _mean(torch.where(inside, x, torch.nan)), 0.0)
            size = torch.linalg.vector_norm(centred, dim=1, keepdim=True)
            columns.append(torch.where(size > 0, centred / size, 0.0))
    design = torch.stack(columns, dim=2)
    left, values, _ = torch.linalg.svd(design, full_matrices=False)
    kept = values > _COLLINEAR * values[:, :1]
    left = left * kept[:, None, :]
    fitted = (left @ (left.transpose(1, 2) @ y[:, :, None]))[:, :, 0]
    enough = inside.sum(dim=1) > kept.sum(dim=1)
    return torch.where(inside & enough[:, None], y - fitted, torch.nan)


ROWS: Mapping[str, Callable[..., Tensor]] = {
    "cross_mean": _whole(_cross_mean),
    "demean": _whole(_demean),
    "zscore": _whole(_zscore),
    "rank": _whole(_rank),
    "winsorize": _whole(_winsorize),
    "scale": _whole(_scale),
    "bucket": _whole(_bucket),
    "group_mean": partial(_by_group, _cross_mean),
    "neutralize": partial(_by_group, _demean),
    "group_zscore": partial(_by_group, _zscore),
    "group_rank": partial(_by_group, _rank),
    "residualize": _residualize,
}
