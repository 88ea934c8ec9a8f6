"""Twelve factors on 2,520 sessions x 500 tickers: this engine beside pandas on wide frames, in one run.

    python -m factor_assets_tests.benchmarks.bench_factors [--tickers 500] [--repeats 7]

Both sides start from arrays in memory, compute the same twelve factors and hold one result at a time; their values are
compared before anything is timed. Repeats alternate, so that a busy machine slows both.
"""

import argparse
import json
import sys
from statistics import median
from time import perf_counter

import numpy as np
import pandas as pd

from factor_assets.expressions.engine import evaluate, warm_up
from factor_assets.factors.registry import factor
from factor_assets.panel.panel import Panel, derived_fields
from factor_assets_tests.expressions.pandas_wide import pandas_wide

FACTORS = (
    "ret_12_1",
    "reversal_5d",
    "volatility_20d",
    "beta_252d",
    "max_return_20d",
    "dollar_volume_20d",
    "amihud_20d",
    "turnover_20d",
    "rsi_14",
    "rsi_28",
    "roc_20",
    "size",
)


def market(n_dates: int, n_tickers: int) -> Panel:
    """Random walks with 1% of the closes missing."""
    rng = np.random.default_rng(0)
    shape = (n_dates, n_tickers)
    close = 50 * np.exp(np.cumsum(rng.normal(0, 0.02, shape), axis=0))
    close[rng.random(shape) < 0.01] = np.nan
    raw = {
        "open": close,
        "high": close * 1.01,
        "low": close * 0.99,
        "close": close,
        "volume": rng.lognormal(12, 1, shape),
        "total_return_factor": np.ones(shape),
        "split_factor": np.ones(shape),
        "shares_outstanding": np.full(shape, 1e8),
    }
    return Panel(
        dates=np.arange(n_dates).astype("datetime64[D]"),
        tickers=tuple(f"T{j:05d}" for j in range(n_tickers)),
        fields=derived_fields(raw),
        in_universe=np.ones(shape, dtype=bool),
    )


def main() -> None:
    """Print the medians and their ratio."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--dates", type=int, default=2520)
    arguments.add_argument("--tickers", type=int, default=500)
    arguments.add_argument("--repeats", type=int, default=7)
    given = arguments.parse_args()

    panel = market(given.dates, given.tickers)
    expressions = {name: factor(name).expression for name in FACTORS}
    frames = {name: pd.DataFrame(values.copy()) for name, values in panel.fields.items()}
    members = pd.DataFrame(panel.in_universe)
    warm_up()
    for name, values in evaluate(expressions, panel):
        theirs = pandas_wide(expressions[name], frames, members).to_numpy()
        np.testing.assert_allclose(values, theirs, rtol=1e-6, atol=1e-12, err_msg=name)

    ours, pandas = [], []
    for _ in range(given.repeats):
        begin = perf_counter()
        for _name, values in evaluate(expressions, panel):
            del values
        ours.append(perf_counter() - begin)
        begin = perf_counter()
        for expression in expressions.values():
            pandas_wide(expression, frames, members)
        pandas.append(perf_counter() - begin)
    result = {
        "dates": given.dates,
        "tickers": given.tickers,
        "factors": len(FACTORS),
        "ours_s": round(median(ours), 4),
        "pandas_wide_s": round(median(pandas), 4),
        "ratio": round(median(pandas) / median(ours), 1),
    }
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
