"""Regressions of 500 tickers over 2,520 sessions beside statsmodels, pandas and linearmodels, in one run.

    python -m factor_assets_tests.benchmarks.bench_regressions [--tickers 500] [--repeats 3] [--peers all]

- ols, hac: every ticker on one factor: alpha, beta, their t, p and interval, R2. Peer: one statsmodels OLS a ticker.
  Newey-West errors have 8 lags.
- rolling: alpha, beta, t and R2 over 252 sessions, at least 126 with both. Peers: RollingOLS on `--rolling-tickers`
  tickers, scaled up linearly (500 take minutes), and pandas' rolling moments on all of them.
- fama_macbeth: three regressors, Newey-West with 8 lags. Peer: linearmodels on a long frame that is ready.

All start from their own containers in memory; values are compared before anything is timed, and repeats alternate, so
that a busy machine slows all. `--memory` measures Fama-MacBeth alone, with five regressors, in a process of its own.
"""

import argparse
import json
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from factor_assets.evaluation.fama_macbeth import fama_macbeth
from factor_assets.evaluation.regressions import regress, regress_newey_west
from factor_assets.evaluation.rolling_regressions import rolling_regressions

LAGS, WINDOW, MIN_OBSERVATIONS = 8, 252, 126

Numbers = list[np.ndarray]


def market(n_dates: int, n_tickers: int, n_regressors: int) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Returns with 1% missing, one factor, characteristics."""
    rng = np.random.default_rng(0)
    factor = rng.normal(0.0004, 0.01, n_dates)
    returns = rng.normal(0.0, 0.02, (n_dates, n_tickers))
    returns += factor[:, None] * rng.normal(1.0, 0.4, n_tickers)
    returns[rng.random(returns.shape) < 0.01] = np.nan
    return returns, factor, {f"x{j}": rng.normal(size=returns.shape) for j in range(n_regressors)}


@dataclass(frozen=True)
class Run:
    """One side of a comparison: `scale` times the seconds of `work`, whose numbers are of the first `width` tickers."""

    work: Callable[[], Numbers]
    width: int | None = None
    scale: float = 1.0


def of_statsmodels(returns: np.ndarray, factor: np.ndarray, **fit: Any) -> Numbers:
    """Alpha and beta with everything about them, one OLS a ticker; rows are numbers, columns tickers."""
    import statsmodels.api as sm

    columns = []
    for y in returns.T:
        present = np.isfinite(y)
        result = sm.OLS(y[present], sm.add_constant(factor[present])).fit(**fit)
        interval = result.conf_int()
        columns.append(
            [*result.params, *result.tvalues, *result.pvalues, *interval[:, 0], *interval[:, 1], result.rsquared]
        )
    return list(np.array(columns).T)


def of_rolling_ols(returns: np.ndarray, factor: np.ndarray) -> Numbers:
    """Alpha, beta, t and R2 by RollingOLS, one ticker at a time."""
    import statsmodels.api as sm
    from statsmodels.regression.rolling import RollingOLS

    columns = []
    for y in returns.T:
        result = RollingOLS(y, sm.add_constant(factor), window=WINDOW, min_nobs=MIN_OBSERVATIONS, expanding=True).fit()
        columns.append([result.params[:, 0], result.params[:, 1], result.tvalues[:, 1], result.rsquared])
    return list(np.array(columns).transpose(1, 2, 0))


def of_pandas(y: Any, x: Any) -> Numbers:
    """Alpha, beta, t and R2 from pandas' rolling moments of two frames; the factor's has the gaps of the returns."""
    ys, xs = (frame.rolling(WINDOW, min_periods=MIN_OBSERVATIONS) for frame in (y, x))
    covariance, variance_x, variance_y, n = ys.cov(x, pairwise=False), xs.var(), ys.var(), ys.count()
    slope = covariance / variance_x
    constant = ys.mean() - slope * xs.mean()
    rsquared = slope * covariance / variance_y
    tstat = slope * ((n - 2) * variance_x / (variance_y * (1 - rsquared))) ** 0.5
    return [frame.to_numpy() for frame in (constant, slope, tstat, rsquared)]


def comparisons(given: argparse.Namespace) -> dict[str, dict[str, Run]]:
    """Everything that is timed, by comparison and side."""
    import pandas as pd

    returns, factor, regressors = market(given.dates, given.tickers, 3)

    def ols() -> Numbers:
        # regress knows beta alone; alpha's errors come with the Newey-West ones
        fit = regress(returns, factor[None])
        return [fit.alpha[0], fit.beta[0], fit.tstat[0], fit.pvalue[0], fit.rsquared[0]]

    def hac() -> Numbers:
        fit = regress_newey_west(returns, factor[None], lags=LAGS)
        names = ("value", "tstat", "pvalue", "conf_int_lower", "conf_int_upper")
        both = [getattr(coefficient, name)[0] for name in names for coefficient in (fit.alpha, fit.beta)]
        return [*both, fit.rsquared[0]]

    def rolling() -> Numbers:
        fit = rolling_regressions(returns, factor, window=WINDOW, min_observations=MIN_OBSERVATIONS)
        return [fit.alpha, fit.beta, fit.tstat, fit.rsquared]

    def premia() -> Numbers:
        fit = fama_macbeth(returns, regressors, lags=LAGS).newey_west
        return [fit.value, fit.standard_error, fit.tstat, fit.pvalue]

    runs = {"ols": {"ours": Run(ols)}, "hac": {"ours": Run(hac)}, "rolling": {"ours": Run(rolling)}}
    runs["fama_macbeth"] = {"ours": Run(premia)}
    if given.peers == "none":
        return runs

    from linearmodels.panel import FamaMacBeth

    def statsmodels_ols() -> Numbers:
        # alpha, beta, t and p of beta, R2 are what ours is compared on; all of them are made
        numbers = of_statsmodels(returns, factor)
        return [numbers[k] for k in (0, 1, 3, 5, 10)]

    def statsmodels_hac() -> Numbers:
        errors = {"maxlags": LAGS, "use_correction": True}
        return of_statsmodels(returns, factor, cov_type="HAC", cov_kwds=errors, use_t=True)

    some = returns[:, : given.rolling_tickers].copy()
    wide = pd.DataFrame(returns)
    masked = pd.DataFrame(np.where(np.isfinite(returns), factor[:, None], np.nan))
    index = pd.MultiIndex.from_product(
        [range(given.tickers), pd.date_range("2010-01-01", periods=given.dates)], names=["ticker", "date"]
    )
    columns = {"constant": 1.0} | {name: values.T.reshape(-1) for name, values in regressors.items()}
    long = pd.DataFrame(columns | {"returns": returns.T.reshape(-1)}, index=index).dropna()
    dependent, exogenous = long.pop("returns"), long

    def linearmodels_premia() -> Numbers:
        fit = FamaMacBeth(dependent, exogenous).fit(cov_type="kernel", kernel="bartlett", bandwidth=LAGS)
        return [series.to_numpy() for series in (fit.params, fit.std_errors, fit.tstats, fit.pvalues)]

    runs["ols"]["statsmodels"] = Run(statsmodels_ols)
    runs["hac"]["statsmodels"] = Run(statsmodels_hac)
    runs["rolling"]["statsmodels"] = Run(
        lambda: of_rolling_ols(some, factor), width=some.shape[1], scale=given.tickers / some.shape[1]
    )
    runs["rolling"]["pandas"] = Run(lambda: of_pandas(wide, masked))
    runs["fama_macbeth"]["linearmodels"] = Run(linearmodels_premia)
    return runs


def compare(name: str, sides: dict[str, Run]) -> None:
    """Stop where a peer's values are not ours; rounding of pandas' running sums is allowed for."""
    ours = sides["ours"].work()
    for peer, run in sides.items():
        for k, (mine, theirs) in enumerate(zip(ours, run.work(), strict=True)):
            mine_there = mine[..., : run.width] if run.width else mine
            assert np.allclose(mine_there, theirs, rtol=1e-6, atol=1e-9, equal_nan=True), (name, peer, k)


def peak_memory(n_dates: int, n_tickers: int) -> dict[str, float]:
    """Peak of Fama-MacBeth with five regressors, in MB: of the whole process, and beyond what was there. Linux only."""
    returns, _, regressors = market(n_dates, n_tickers, 5)
    fama_macbeth(returns[:2], {name: values[:2] for name, values in regressors.items()})
    before = _status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak starts anew
    begin = perf_counter()
    held = fama_macbeth(returns, regressors)
    seconds = perf_counter() - begin
    return {
        "dates": n_dates,
        "tickers": n_tickers,
        "regressors": len(regressors),
        "dates_used": held.n_dates_used,
        "seconds": round(seconds, 3),
        "inputs_mb": round((returns.nbytes + sum(values.nbytes for values in regressors.values())) / 1e6),
        "beyond_inputs_mb": round(_status("VmHWM") - before),
        "process_mb": round(_status("VmHWM")),
    }


def _status(name: str) -> float:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024 / 1e6
    raise LookupError(name)


def main() -> None:
    """Print the medians and their ratios."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--dates", type=int, default=2520)
    arguments.add_argument("--tickers", type=int, default=500)
    arguments.add_argument("--repeats", type=int, default=3)
    arguments.add_argument("--rolling-tickers", type=int, default=20, help="tickers that RollingOLS is run on")
    arguments.add_argument("--peers", choices=("all", "none"), default="all")
    arguments.add_argument("--memory", action="store_true", help="measure peak memory alone")
    given = arguments.parse_args()
    if given.memory:
        sys.stdout.write(json.dumps(peak_memory(given.dates, given.tickers)) + "\n")
        return

    warnings.simplefilter("ignore")
    runs = comparisons(given)
    seconds: dict[str, dict[str, list[float]]] = {name: {side: [] for side in sides} for name, sides in runs.items()}
    for name, sides in runs.items():
        compare(name, sides)
        for _ in range(given.repeats):
            for side, run in sides.items():
                begin = perf_counter()
                held = run.work()
                seconds[name][side].append((perf_counter() - begin) * run.scale)
                del held
    medians = {
        name: {side: round(median(times), 4) for side, times in sides.items()} for name, sides in seconds.items()
    }
    result = {
        "dates": given.dates,
        "tickers": given.tickers,
        "rolling_ols_tickers_scaled_up": given.rolling_tickers,
        "seconds": medians,
        "ratios": {
            name: {side: round(s / sides["ours"], 1) for side, s in sides.items() if side != "ours"}
            for name, sides in medians.items()
        },
    }
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
