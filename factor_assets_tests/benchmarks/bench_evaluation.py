"""Quantile sort, rank IC and turnover on 2,520 sessions x 500 tickers: this package, alphalens and polars, in one run.

    python -m factor_assets_tests.benchmarks.bench_evaluation [--tickers 500] [--repeats 3] [--peers all]

Each starts from factor and closes in its own container in memory (wide arrays, wide pandas and a factor by date and
asset, long polars by date and ticker) and returns, for five quantiles and a horizon of one session, the mean forward
return of each quantile, the rank IC and the turnover of each quantile, all by session. The values are compared before
anything is timed; repeats alternate, so that a busy machine slows all. 1% of the factor is missing, and no closes are.

Then the 158 columns of Alpha158 are evaluated at five horizons in one process: rank IC with Newey-West t, returns of
the quantiles, turnover and rank autocorrelation. The time to compute the columns is apart.
"""

import argparse
import contextlib
import io
import json
import sys
import warnings
from collections.abc import Callable
from statistics import median
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import polars as pl

from factor_assets.evaluation.forward_returns import completed_return
from factor_assets.evaluation.ic_decay import HORIZONS, forward_rankings, ic_decay
from factor_assets.evaluation.information import quantile_returns, rank_ic
from factor_assets.evaluation.quantile_portfolios import quantile_portfolios
from factor_assets.evaluation.quantile_weights import quantile_weights
from factor_assets.evaluation.quantiles import assign_quantiles
from factor_assets.evaluation.ranking import rank
from factor_assets.evaluation.turnover import name_turnover, rank_autocorrelation
from factor_assets.expressions.engine import evaluate, warm_up
from factor_assets.factors.libraries.alpha158 import LIBRARY
from factor_assets_tests.benchmarks import bench_alpha158

N_QUANTILES = 5


class Evidence(NamedTuple):
    """Wide results, on the session of the factor; the last session has no forward return."""

    quantile_return: np.ndarray  # (n_dates - 1, n_quantiles)
    rank_ic: np.ndarray  # (n_dates - 1,)
    turnover: np.ndarray  # (n_dates - 1, n_quantiles)


def market(n_dates: int, n_tickers: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a factor that remembers and random walks, both of shape (n_dates, n_tickers)."""
    random = np.random.default_rng(0)
    shape = (n_dates, n_tickers)
    factor = random.normal(size=shape)
    for t in range(1, n_dates):
        factor[t] = 0.9 * factor[t - 1] + factor[t]
    factor[random.random(shape) < 0.01] = np.nan
    return factor, 50 * np.exp(np.cumsum(random.normal(0, 0.02, shape), axis=0))


def ours(factor: np.ndarray, close: np.ndarray) -> Evidence:
    """By the modules that the platform uses; breakpoints as in alphalens."""
    ranking, returns = rank(factor), completed_return(close)
    quantiles = assign_quantiles(ranking, n_quantiles=N_QUANTILES, method="breakpoint")
    portfolios = quantile_portfolios(quantiles, quantile_weights(quantiles), returns, delay=1)
    return Evidence(
        quantile_return=portfolios.returns[1:],
        rank_ic=rank_ic(ranking, rank(returns), delay=1)[1:],
        turnover=name_turnover(quantiles)[:-1],
    )


def alphalens(factor: pd.Series, close: pd.DataFrame) -> dict[str, Any]:
    """Return the same by alphalens-reloaded, without its tear sheet."""
    from alphalens import performance, utils

    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = utils.get_clean_factor_and_forward_returns(
            factor, close, quantiles=N_QUANTILES, periods=(1,), max_loss=1.0
        )
        return {
            "quantile_return": performance.mean_return_by_quantile(data, by_date=True, demeaned=False)[0],
            "rank_ic": performance.factor_information_coefficient(data),
            "turnover": [performance.quantile_turnover(data["factor_quantile"], q + 1) for q in range(N_QUANTILES)],
        }


def by_polars(long: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Return the same by polars, all cores; the names of a quantile by their position."""
    forward = (pl.col("close").shift(-1) / pl.col("close") - 1).over("ticker", order_by="date")
    sorted_ = (
        long.lazy()
        .with_columns(forward=forward)
        .drop_nulls("factor")
        .with_columns(
            quantile=((pl.col("factor").rank("ordinal").cast(pl.Int64) - 1) * N_QUANTILES // pl.len()).over("date")
        )
        .with_columns(
            before=pl.col("quantile").shift(1).over("ticker", order_by="date"),
            date_before=pl.col("date").shift(1).over("ticker", order_by="date"),
        )
    )
    stayed = (pl.col("quantile") == pl.col("before")) & (pl.col("date_before") == pl.col("date") - 1)
    by_quantile = sorted_.group_by("date", "quantile").agg(
        quantile_return=pl.col("forward").mean(), turnover=1 - stayed.fill_null(value=False).mean()
    )
    ic = (
        sorted_.drop_nulls("forward")
        .group_by("date")
        .agg(rank_ic=pl.corr(pl.col("factor").rank(), pl.col("forward").rank()))
    )
    first, second = pl.collect_all([by_quantile.sort("date", "quantile"), ic.sort("date")])
    return {"by_quantile": first, "rank_ic": second}


def compare(evidence: Evidence, theirs: dict[str, Any], polars_: dict[str, pl.DataFrame]) -> None:
    """Stop where a peer's values are not ours; polars divides by position, so that its quantiles are close to ours."""
    n = len(evidence.rank_ic)
    their_returns = theirs["quantile_return"].iloc[:, 0].to_numpy().reshape(N_QUANTILES, n).T
    their_turnover = np.column_stack([series.to_numpy(dtype=float) for series in theirs["turnover"]])
    np.testing.assert_allclose(evidence.rank_ic, theirs["rank_ic"].iloc[:, 0], atol=1e-10)
    for mine, other in ((evidence.quantile_return, their_returns), (evidence.turnover, their_turnover)):
        np.testing.assert_allclose(mine, other, atol=1e-10)
    np.testing.assert_allclose(evidence.rank_ic, polars_["rank_ic"]["rank_ic"], atol=1e-10)
    wide = polars_["by_quantile"]["quantile_return"].to_numpy().reshape(-1, N_QUANTILES)[:n]
    assert np.corrcoef(evidence.quantile_return.ravel(), wide.ravel())[0, 1] > 0.98
    wide = polars_["by_quantile"]["turnover"].to_numpy().reshape(-1, N_QUANTILES)[1:n]
    assert np.corrcoef(evidence.turnover[1:].ravel(), wide.ravel())[0, 1] > 0.9


def library(n_dates: int, n_tickers: int) -> dict[str, float | int]:
    """Evaluate Alpha158 at all horizons; seconds to compute the columns and to evaluate them."""
    panel = bench_alpha158.market(n_dates, n_tickers)
    expressions = {name: factor.expression for name, factor in LIBRARY.factors.items()}
    compute = spent = 0.0
    n = 0
    begin = perf_counter()
    forward = forward_rankings(panel["close"], horizons=HORIZONS)
    spent += perf_counter() - begin
    begin = perf_counter()
    for _, values in evaluate(expressions, panel):
        compute += perf_counter() - begin
        begin = perf_counter()
        ranking = rank(values, among=panel.in_universe)
        ic_decay(ranking, forward)
        for horizon, returns in forward.items():
            quantile_returns(ranking, returns, delay=1 + horizon, n_quantiles=N_QUANTILES)
        name_turnover(assign_quantiles(ranking, n_quantiles=N_QUANTILES))
        rank_autocorrelation(ranking)
        spent += perf_counter() - begin
        n += 1
        begin = perf_counter()
    return {
        "factors": n,
        "horizons": len(HORIZONS),
        "compute_s": round(compute, 2),
        "evaluate_s": round(spent, 2),
    }


def main() -> None:
    """Print medians, their ratios and the time of the library."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--dates", type=int, default=2520)
    arguments.add_argument("--tickers", type=int, default=500)
    arguments.add_argument("--repeats", type=int, default=3)
    arguments.add_argument("--peers", choices=("all", "none"), default="all")
    given = arguments.parse_args()

    warm_up()
    factor, close = market(given.dates, given.tickers)
    dates = pd.bdate_range("2010-01-01", periods=given.dates)
    tickers = [f"T{j:05d}" for j in range(given.tickers)]
    runs: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {"ours": (ours, (factor, close))}
    if given.peers == "all":
        series = pd.DataFrame(factor, dates, tickers).stack()  # noqa: PD013 (a series with one row a date and name)
        series.index.names = ["date", "asset"]
        long = pl.DataFrame(
            {
                "date": np.repeat(np.arange(given.dates), given.tickers),
                "ticker": np.tile(np.arange(given.tickers), given.dates),
                "factor": pl.Series(factor.ravel()).fill_nan(None),
                "close": close.ravel(),
            }
        )
        runs["alphalens"] = (alphalens, (series, pd.DataFrame(close, dates, tickers)))
        runs["polars"] = (by_polars, (long,))
        compare(ours(factor, close), alphalens(*runs["alphalens"][1]), by_polars(long))
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(given.repeats):
        for name, (run, inputs) in runs.items():
            for _ in range(1 if name == "alphalens" else 3):
                begin = perf_counter()
                held = run(*inputs)
                seconds[name].append(perf_counter() - begin)
                del held
    medians = {name: round(median(times), 4) for name, times in seconds.items()}
    result = {
        "dates": given.dates,
        "tickers": given.tickers,
        "seconds": medians,
        "ratios": {name: round(s / medians["ours"], 1) for name, s in medians.items() if name != "ours"},
        "library": library(given.dates, given.tickers),
    }
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
