"""Six years of a small market, long enough for every classic factor."""

from functools import cache

import numpy as np

from factor_assets.panel.panel import Panel, derived_fields

N_DATES, N_TICKERS = 1420, 8


@cache
def panel() -> Panel:
    """Six years of eight tickers: two sectors, splits, dividends, no trading, sessions without prices, a listing."""
    rng = np.random.default_rng(7)
    shape = (N_DATES, N_TICKERS)
    market = 0.01 * rng.standard_t(5, (N_DATES, 1))
    own = 0.015 * rng.standard_t(5, shape)
    value = 30 * np.exp(np.cumsum(np.linspace(0.4, 1.6, N_TICKERS) * market + own, axis=0))
    split = np.cumprod(np.where(rng.random(shape) < 0.001, 2.0, 1.0), axis=0)
    close = value / split
    close[1310:1312, 3] = close[1309, 3]
    high, low = close * np.exp(rng.exponential(0.008, shape)), close * np.exp(-rng.exponential(0.008, shape))
    raw = {
        "open": low + (high - low) * rng.random(shape),
        "high": high,
        "low": low,
        "close": close,
        "volume": np.round(rng.lognormal(12, 1, shape)) * split,
        "total_return_factor": split * np.cumprod(np.where(rng.random(shape) < 0.004, 1.01, 1.0), axis=0),
        "split_factor": split,
        "shares_outstanding": 1e7 * split * np.cumprod(np.where(rng.random(shape) < 0.01, 1.02, 1.0), axis=0),
    }
    raw["volume"][rng.random(shape) < 0.01] = 0
    unpriced = rng.integers(1000, 1290, 9)
    for values in raw.values():
        values[:400, 6] = np.nan
        values[1340:1347, 5] = np.nan
        values[unpriced, 4] = np.nan
    fields = derived_fields(raw)
    fields["sector"] = np.broadcast_to(np.arange(N_TICKERS) % 2.0, shape).copy()
    inside = np.ones(shape, dtype=bool)
    inside[:, 7] = False
    return Panel(
        dates=np.arange(N_DATES).astype("datetime64[D]"),
        tickers=tuple("ABCDEFGH"),
        fields=fields,
        in_universe=inside,
        first_row=77,
    )


@cache
def market_return() -> np.ndarray:
    inside = np.where(panel().in_universe, panel()["returns"], np.nan)
    return np.concatenate([[np.nan], np.nanmean(inside[1:], axis=1)])
