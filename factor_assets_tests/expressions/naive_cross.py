"""Cross-sectional operators from their definitions, over one date's members; NaN is missing."""

import math
from collections.abc import Callable, Mapping
from fractions import Fraction

import numpy as np

NAN = math.nan


def _mean(x: list[float]) -> Fraction:
    return sum(map(Fraction, x), Fraction(0)) / len(x)


def _ranks(x: list[float]) -> list[Fraction | float]:
    """Average rank over the count, exactly."""
    there = [v for v in x if not math.isnan(v)]
    return [
        NAN if math.isnan(v) else (sum(u < v for u in there) + Fraction(sum(u == v for u in there) + 1, 2)) / len(there)
        for v in x
    ]


def rank(x: list[float]) -> list[float]:
    return [float(r) for r in _ranks(x)]


def bucket(x: list[float], *, n_buckets: int) -> list[float]:
    return [NAN if isinstance(r, float) else float(math.ceil(r * n_buckets)) for r in _ranks(x)]


def winsorize(x: list[float], *, limit: float) -> list[float]:
    there = [v for v in x if not math.isnan(v)]
    if not there:
        return x
    lower, upper = np.quantile(there, [limit, 1 - limit])
    return [v if math.isnan(v) else min(max(v, lower), upper) for v in x]


def scale(x: list[float], *, to: float) -> list[float]:
    total = math.fsum(abs(v) for v in x if not math.isnan(v))
    return [v / total * to if total else NAN for v in x]


def demean(x: list[float]) -> list[float]:
    there = [v for v in x if not math.isnan(v)]
    return [NAN if math.isnan(v) else float(Fraction(v) - _mean(there)) for v in x]


def zscore(x: list[float]) -> list[float]:
    there = [v for v in x if not math.isnan(v)]
    if len(set(there)) < 2:
        return [NAN] * len(x)
    mean = _mean(there)
    deviation = math.sqrt(sum((Fraction(v) - mean) ** 2 for v in there) / (len(there) - 1))
    return [NAN if math.isnan(v) or not deviation else float(Fraction(v) - mean) / deviation for v in x]


def _by_group(of_group: Callable[[list[float]], list[float]]) -> Callable[..., list[float]]:
    def row(x: list[float], group: list[float]) -> list[float]:
        out = [NAN] * len(x)
        for code in {g for g in group if not math.isnan(g)}:
            inside = [j for j, g in enumerate(group) if g == code]
            for j, value in zip(inside, of_group([x[j] for j in inside]), strict=True):
                out[j] = value
        return out

    return row


def _mean_for_all(x: list[float]) -> list[float]:
    there = [v for v in x if not math.isnan(v)]
    return [float(_mean(there)) if there else NAN] * len(x)


def residualize(x: list[float], *on: list[float], label_flags: tuple[bool, ...] | None = None) -> list[float]:
    """Least squares on the whole design: a constant, the regressors and every dummy of every label."""
    flags = label_flags or (False,) * len(on)
    there = [j for j, cells in enumerate(zip(x, *on, strict=True)) if not any(map(math.isnan, cells))]
    out = [NAN] * len(x)
    if not there:
        return out
    columns = [np.ones(len(there))]
    for values, is_label in zip(on, flags, strict=True):
        column = np.array([values[j] for j in there])
        if is_label:
            columns += [(column == code).astype(float) for code in set(column)]
        else:
            centred = np.array(demean(list(column)))
            if np.abs(centred).max() > 1e-10 * np.abs(column).max():  # else it varies by rounding only
                columns.append(centred / np.abs(centred).max())
    design = np.stack(columns, axis=1)
    y = np.array(demean([x[j] for j in there]))
    coefficients, _, n_parameters, _ = np.linalg.lstsq(design, y, rcond=1e-10)
    if len(there) > n_parameters:
        for j, value in zip(there, y - design @ coefficients, strict=True):
            out[j] = float(value)
    return out


ROWS: Mapping[str, Callable[..., list[float]]] = {
    "winsorize": winsorize,
    "scale": scale,
    "bucket": bucket,
    "group_mean": _by_group(_mean_for_all),
    "neutralize": _by_group(demean),
    "group_zscore": _by_group(zscore),
    "group_rank": _by_group(rank),
    "residualize": residualize,
}

# of the operators that naive.py defines itself
ALL_ROWS: Mapping[str, Callable[..., list[float]]] = {**ROWS, "rank": rank, "demean": demean, "zscore": zscore}
