"""RSI 14 to summary on 500 tickers x 1,305 sessions: system A's way beside ours, in one run.

System A's way is written from its definition: pandas for the factor, a loop over dates with `.loc` for the portfolios,
statsmodels for each ticker, no store. Ours computes the same and rank IC, quantile returns, coverage and turnover too.
Both start from the same prices in memory; the results are compared before the times are printed. Its filling of gaps
with 0 is left out of the comparison of results: the data has no gaps, and its sessions before the first factor value
are taken as missing.

Run: python factor_assets_tests/benchmarks/bench_system_a.py
"""

import sys
from statistics import median
from time import perf_counter

import numpy as np
import pandas as pd
import statsmodels.api as sm

from factor_assets.evaluation.regressions import factor_details
from factor_assets.evaluation.summary import factor_summary
from factor_assets.evaluation.timeseries import evaluate_factors
from factor_assets.expressions.engine import evaluate
from factor_assets.factors.registry import factor
from factor_assets.panel.panel import Panel, derived_fields
from factor_assets.settings import EvaluationSettings

N_DATES, N_TICKERS, SHARES = 1_305, 500, 5e9
GOAL = 50.0
ROUNDS, OURS_A_ROUND = 3, 7
CHOICE = EvaluationSettings(weighting="cap")
NAMES = {"universe": "benchmark", "source": "random"}


def random_prices() -> pd.DataFrame:
    """Adjusted closes without gaps; a seeded random walk with a common part."""
    random = np.random.default_rng(0)
    steps = random.normal(0.0003, 0.01, (N_DATES, 1)) + random.normal(0.0, 0.02, (N_DATES, N_TICKERS))
    dates = pd.bdate_range("2020-01-01", periods=N_DATES)
    return pd.DataFrame(50.0 * np.exp(steps.cumsum(axis=0)), dates, [f"T{i:03d}" for i in range(N_TICKERS)])


def system_a(close: pd.DataFrame) -> dict[str, object]:
    """RSI 14, portfolios, regressions and summary as system A defines them."""
    change = close.diff()
    gain, loss = change.clip(lower=0.0).rolling(14).mean(), (-change.clip(upper=0.0)).rolling(14).mean()
    rsi = (100.0 - 100.0 / (1.0 + gain / loss)).dropna(how="all")
    returns = close.pct_change().fillna(0.0)
    result = pd.DataFrame(index=returns.index, columns=["high", "low", "factor"], dtype=float)
    for date in returns.index[1:]:
        earlier = rsi.index[rsi.index < date]
        if len(earlier) == 0:
            continue
        previous = earlier[-1]
        values = rsi.loc[previous].dropna()
        if len(values) < 3:
            continue
        k = max(1, len(values) // 3)
        ranked = values.sort_values()
        for side, names in (("high", ranked.index[-k:]), ("low", ranked.index[:k])):
            size = close.loc[previous, names] * SHARES
            weights = size / size.sum()
            result.loc[date, side] = (weights * returns.loc[date, names]).sum()
        result.loc[date, "factor"] = result.loc[date, "high"] - result.loc[date, "low"]
    series = result["factor"].dropna()
    fits = {}
    for ticker in returns.columns:
        pairs = pd.concat([returns[ticker], series], axis=1, join="inner").dropna()
        if len(pairs) < 30:
            continue
        fit = sm.OLS(pairs[ticker], sm.add_constant(pairs["factor"])).fit()
        interval = fit.conf_int().loc["factor"]
        fits[ticker] = {
            "beta": fit.params["factor"],
            "tstat": fit.tvalues["factor"],
            "pvalue": fit.pvalues["factor"],
            "rsquared": fit.rsquared,
            "conf_int_lower": interval[0],
            "conf_int_upper": interval[1],
        }
    details = pd.DataFrame(fits).T
    wealth = (1.0 + series).cumprod()
    annual = wealth.iloc[-1] ** (252 / len(series)) - 1.0
    volatility = series.std() * np.sqrt(252)
    return {
        "avg_beta": details["beta"].mean(),
        "avg_tstat": details["tstat"].mean(),
        "avg_rsquared": details["rsquared"].mean(),
        "significant_stocks": int((details["tstat"].abs() > 1.96).sum()),
        "total_stocks": len(details),
        "annualized_return": annual,
        "annualized_volatility": volatility,
        "sharpe_ratio": (annual - 0.02) / volatility,
        "max_drawdown": (wealth / wealth.cummax() - 1.0).min(),
    }


def ours(close: pd.DataFrame) -> dict[str, object]:
    """Compute the same from the same prices: panel, factor, evidence, regressions, summary."""
    prices = close.to_numpy()
    ones = np.ones_like(prices)
    raw = dict.fromkeys(("open", "high", "low", "close"), prices) | dict.fromkeys(
        ("volume", "total_return_factor", "split_factor"), ones
    )
    panel = Panel(
        dates=close.index.to_numpy().astype("datetime64[D]"),
        tickers=tuple(close.columns),
        fields=derived_fields({**raw, "shares_outstanding": SHARES * ones}),
        in_universe=np.ones(prices.shape, dtype=bool),
    )
    rsi = factor("rsi_14")
    values = ((rsi.family, name, array) for name, array in evaluate({rsi.name: rsi.expression}, panel))
    timeseries, _ = evaluate_factors(values, panel, settings=CHOICE, **NAMES)
    details = factor_details(timeseries, panel, settings=CHOICE, **NAMES)
    summary = factor_summary(timeseries, details, descriptions={}, settings=CHOICE, membership="dated", **NAMES)
    return summary.to_pylist()[0]


def main() -> None:
    """Compare results, then print medians and their ratio."""
    close = random_prices()
    times: dict[str, list[float]] = {"system A": [], "ours": []}
    got = ours(close)  # kernels are loaded once a process
    expected: dict[str, object] = {}
    for _ in range(ROUNDS):  # in turns, so that a busy machine slows both
        start = perf_counter()
        expected = system_a(close)
        times["system A"].append(perf_counter() - start)
        for _ in range(OURS_A_ROUND):
            start = perf_counter()
            got = ours(close)
            times["ours"].append(perf_counter() - start)
    for key, value in expected.items():
        if not np.isclose(got[key], value, rtol=1e-9, atol=1e-12):
            sys.exit(f"{key} differs: system A's way gives {value}, ours {got[key]}.")
    slow, fast = (median(times[name]) for name in ("system A", "ours"))
    print(f"RSI 14 to summary, {N_TICKERS} tickers x {N_DATES:,} sessions, all of the summary equal to 1e-9:")
    print(f"  system A's way   {slow:8.3f} s   (median of {ROUNDS})")
    print(f"  factor_assets    {fast:8.3f} s   (median of {ROUNDS * OURS_A_ROUND})")
    print(f"  ratio            {slow / fast:8.0f} x   (goal: at least {GOAL:.0f} x)")


if __name__ == "__main__":
    main()
