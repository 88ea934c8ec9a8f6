"""Random panels with the dirt of real ones: gaps, late listings, delistings, universe changes, ties."""

import numpy as np

from factor_assets.panel.panel import Array, Panel, derived_fields


def random_market(seed: int, *, n_dates: int = 120, n_tickers: int = 24) -> tuple[Panel, list[tuple[str, str, Array]]]:
    """Make a panel and three factors: a continuous one with runs of gaps, one with ties, one mostly missing."""
    random = np.random.default_rng(seed)
    shape = (n_dates, n_tickers)
    close = 50.0 * np.exp(np.cumsum(random.normal(0.0, 0.02, shape), axis=0))
    close[random.random(shape) < 0.02] = np.nan
    for column in random.choice(n_tickers, n_tickers // 6, replace=False):
        close[: random.integers(1, n_dates), column] = np.nan  # a late listing
    for column in random.choice(n_tickers, n_tickers // 6, replace=False):
        close[random.integers(1, n_dates) :, column] = np.nan  # a delisting
    members = np.ones(shape, dtype=bool)
    for column in random.choice(n_tickers, n_tickers // 3, replace=False):
        members[random.integers(0, n_dates) :, column] = False
    shares = np.exp(random.normal(15.0, 1.0, shape))
    shares[random.random(shape) < 0.1] = np.nan
    ones = np.ones(shape)
    raw = dict.fromkeys(("open", "high", "low", "close"), close)
    raw |= {
        "volume": 1e6 * ones,
        "total_return_factor": np.cumprod(1 + 1e-3 * (random.random(shape) < 0.02), axis=0),
        "split_factor": ones,
        "shares_outstanding": shares,
    }
    panel = Panel(
        dates=np.arange(np.datetime64("2020-01-01"), np.datetime64("2020-01-01") + n_dates),
        tickers=tuple(f"T{i:03d}" for i in range(n_tickers)),
        fields=derived_fields(raw),
        in_universe=members,
        first_row=7,
    )
    smooth = random.normal(size=shape)
    for column in range(n_tickers):
        start = random.integers(0, n_dates)
        smooth[start : start + random.integers(1, 20), column] = np.nan
    tied = random.integers(0, 4, shape).astype(float)
    sparse = np.where(random.random(shape) < 0.9, np.nan, random.normal(size=shape))
    return panel, [("style", "smooth", smooth), ("style", "tied", tied), ("other", "sparse", sparse)]
