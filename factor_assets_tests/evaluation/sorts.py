"""Dirty cross-sections, and the evidence of sorts as its definitions read: loops over dates and names, and alphalens.

Slow on purpose; these are the oracles of the tests of sorts.
"""

from fractions import Fraction
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

from factor_assets.panel.panel import Array

# its calls of pandas warn of what pandas 4 will no longer do
ALPHALENS = pytest.mark.filterwarnings("ignore:The inplace keyword")


class Market(NamedTuple):
    """Arrays of shape (n_dates, n_tickers)."""

    factor: Array
    close: Array
    returns: Array
    market_cap: Array
    sectors: Array
    is_listed: np.ndarray


def random_market(seed: int, *, n_dates: int = 40, n_tickers: int = 37, dirt: float = 0.1) -> Market:
    """Make a market; `dirt` is the share of values, closes, capitalisations and sectors that are missing."""
    random = np.random.default_rng(seed)
    shape = (n_dates, n_tickers)

    def missing(values: Array, *, marks: tuple[float, ...]) -> Array:
        return np.where(random.random(shape) < dirt, random.choice(marks, shape), values)

    close = 50.0 * np.exp(np.cumsum(random.normal(0.0, 0.02, shape), axis=0))
    close = missing(close, marks=(np.nan,))
    returns = np.full(shape, np.nan)
    returns[1:] = close[1:] / close[:-1] - 1.0
    return Market(
        factor=missing(np.round(random.normal(size=shape), 1 if seed % 2 else 6), marks=(np.nan, np.inf, -np.inf)),
        close=close,
        returns=returns,
        market_cap=missing(np.exp(random.normal(20.0, 1.5, shape)), marks=(np.nan, 0.0, -1.0, np.inf)),
        sectors=missing(random.integers(0, 4, shape) * 10.0, marks=(np.nan,)),
        is_listed=random.random(shape) < 0.6,
    )


def names_in_order(values: Array, t: int, *, sectors: Array | None = None) -> dict[float, list[int]]:
    """Group -> columns of session t, by (value, column)."""
    columns = [j for j in range(values.shape[1]) if np.isfinite(values[t, j])]
    groups: dict[float, list[int]] = {}
    for j in sorted(columns, key=lambda j: (values[t, j], j)):
        code = 0.0 if sectors is None else sectors[t, j]
        if np.isfinite(code):
            groups.setdefault(code, []).append(j)
    return groups


def quantile_numbers(
    values: Array, n: int, *, sectors: Array | None = None, listed: np.ndarray | None = None, by_value: bool = False
) -> np.ndarray:
    """Quantile of each name, 0 where it has none."""
    numbers = np.zeros(values.shape, dtype=int)
    for t in range(len(values)):
        for columns in names_in_order(values, t, sectors=sectors).values():
            row = values[t]
            if len(columns) < n or row[columns[0]] == row[columns[-1]]:
                continue
            if not by_value:
                for i, j in enumerate(columns):
                    numbers[t, j] = i * n // len(columns) + 1
                continue
            base = [Fraction(row[j]) for j in columns if listed is None or listed[t, j]]
            if len(base) < n or base[0] == base[-1]:
                continue
            cuts = []
            for k in range(1, n):
                position = Fraction(k * (len(base) - 1), n)
                below = int(position)
                cuts.append(base[below] + (position - below) * (base[min(below + 1, len(base) - 1)] - base[below]))
            for j in columns:
                numbers[t, j] = 1 + sum(Fraction(row[j]) > cut for cut in cuts)
    return numbers


def quantile_weights(
    numbers: np.ndarray,
    size: Array,
    *,
    cap: float = 1.0,
    sectors: Array | None = None,
    equal_shares: bool = False,
) -> Array:
    """Weight of each name in its quantile; `size` is 0 or below, NaN or infinite where a name has none."""
    weights = np.zeros(numbers.shape)
    n = numbers.max()
    for t in range(len(numbers)):
        cells: dict[tuple[float, int], list[int]] = {}
        for j in range(numbers.shape[1]):
            code = 0.0 if sectors is None else sectors[t, j]
            if numbers[t, j] > 0 and np.isfinite(code) and np.isfinite(size[t, j]) and size[t, j] > 0:
                cells.setdefault((code, numbers[t, j]), []).append(j)
        shares = {}
        for code in {code for code, _ in cells}:
            if sectors is None or all((code, q) in cells for q in range(1, n + 1)):
                everyone = [j for (c, _), columns in cells.items() if c == code for j in columns]
                shares[code] = 1.0 if equal_shares else size[t, everyone].sum()
        total = sum(shares.values())
        for (code, _), columns in cells.items():
            if code not in shares:
                continue
            share = 1.0 if sectors is None else shares[code] / total
            for j, w in zip(columns, capped(size[t, columns] / size[t, columns].sum(), cap), strict=True):
                weights[t, j] = w * share
    return weights


def capped(weights: Array, cap: float) -> Array:
    """Cap weights the long way: cut, hand out the excess in proportion, and again until nothing is above."""
    if cap * len(weights) <= 1.0:
        return np.full(len(weights), 1.0 / len(weights))
    result = weights.copy()
    is_capped = np.zeros(len(weights), dtype=bool)
    for _ in range(10 * len(weights)):
        above = result > cap
        if not above.any():
            break
        is_capped |= above
        result[is_capped] = cap
        result[~is_capped] = weights[~is_capped] / weights[~is_capped].sum() * (1.0 - cap * is_capped.sum())
    return result


def alphalens_data(values: Array, close: Array, *, n_quantiles: int, horizons: tuple[int, ...]) -> pd.DataFrame:
    """Clean factor data of alphalens; sessions are business days from 2020-01-01 on."""
    from alphalens.utils import get_clean_factor_and_forward_returns

    dates = pd.bdate_range("2020-01-01", periods=len(values))
    tickers = [f"T{j:03d}" for j in range(values.shape[1])]
    wide = pd.DataFrame(values, index=dates, columns=tickers)
    factor = wide.stack()  # noqa: PD013 (a series with one row a date and name)
    factor.index.names = ["date", "asset"]
    return get_clean_factor_and_forward_returns(
        factor[np.isfinite(factor)],
        pd.DataFrame(close, index=dates, columns=tickers),
        quantiles=n_quantiles,
        periods=horizons,
        max_loss=1.0,
    )


def wide(series: pd.Series, *, n_dates: int) -> Array:
    """Values by date of a series of alphalens, NaN on sessions that it has not, shape (n_dates,)."""
    return series.reindex(pd.bdate_range("2020-01-01", periods=n_dates)).to_numpy(dtype=float)
