"""The factor test as its definition reads: pandas and statsmodels, one date and one ticker at a time.

Written from the definition of system A's factor test, without its filling of gaps with zeros. Slow on purpose; it is
the oracle of `evaluation/`.
"""

import numpy as np
import pandas as pd
import statsmodels.api as sm


def timeseries(
    factor: pd.DataFrame,
    returns: pd.DataFrame,
    close: pd.DataFrame,
    members: pd.DataFrame,
    *,
    n_groups: int = 3,
    market_cap: pd.DataFrame | None = None,
    lag: int = 1,
    horizon: int = 1,
    min_tickers: int = 10,
) -> pd.DataFrame:
    """One row a date: high, low, factor, counts, coverage, turnover, rank IC."""
    rows = []
    dates = list(factor.index)
    targets: dict[object, tuple[pd.Series, pd.Series]] = {}
    for t, date in enumerate(dates):
        row: dict[str, object] = {"date": date}
        rows.append(row)
        if t >= lag + horizon:
            s = dates[t - lag - horizon]
            forward = close.loc[date] / close.loc[dates[t - horizon]] - 1
            row["rank_ic"] = rank_ic(factor.loc[s][members.loc[s]], forward, min_tickers=min_tickers)
        if t == 0:
            continue
        before = dates[t - 1]
        inside = members.loc[before]
        values = factor.loc[before][inside].dropna()
        row["n_ranked"] = len(values)
        row["coverage"] = len(values) / inside.sum() if inside.any() else np.nan
        if len(values) < n_groups or values.min() == values.max():
            continue
        values = values.sort_index().sort_values(kind="stable")
        k = max(1, len(values) // n_groups)
        weights = []
        for names in (values.index[-k:], values.index[:k]):
            size = pd.Series(1.0, index=names) if market_cap is None else market_cap.loc[before, names].dropna()
            weights.append(size / size.sum())
        if any(w.empty for w in weights):
            continue
        targets[date] = (weights[0], weights[1])
        results = []
        for w in weights:
            r = returns.loc[date, w.index].dropna()
            results.append((w[r.index] / w[r.index].sum() * r).sum() if len(r) else np.nan)
        if not np.isnan(results).any():
            row["high"], row["low"] = results
            row["factor"] = results[0] - results[1]
        if before in targets:
            changes = [
                a.sub(b, fill_value=0.0).abs().sum() / 2 for a, b in zip(targets[date], targets[before], strict=True)
            ]
            row["turnover"] = sum(changes) / 2
    columns = ["date", "high", "low", "factor", "n_ranked", "coverage", "turnover", "rank_ic"]
    return pd.DataFrame(rows, columns=columns).set_index("date")


def rank_ic(factor: pd.Series, forward: pd.Series, *, min_tickers: int) -> float:
    """Spearman correlation of the names that have both."""
    pairs = pd.DataFrame({"f": factor, "r": forward}).dropna().rank()
    if len(pairs) < min_tickers or (pairs.min() == pairs.max()).any():
        return np.nan
    return float(np.corrcoef(pairs["f"], pairs["r"])[0, 1])


def details(factor_return: pd.Series, returns: pd.DataFrame, *, min_observations: int = 30) -> pd.DataFrame:
    """One row a ticker: statsmodels OLS of its return on the factor's."""
    rows = {}
    for ticker in returns:
        pairs = pd.DataFrame({"f": factor_return, "r": returns[ticker]}).dropna()
        row = {"n_observations": len(pairs)}
        if len(pairs) >= min_observations:
            fit = sm.OLS(pairs["r"], sm.add_constant(pairs["f"])).fit()
            low, high = fit.conf_int().loc["f"]
            row |= {
                "alpha": fit.params["const"],
                "beta": fit.params["f"],
                "tstat": fit.tvalues["f"],
                "pvalue": fit.pvalues["f"],
                "rsquared": fit.rsquared,
                "conf_int_lower": low,
                "conf_int_upper": high,
            }
        rows[ticker] = row
    columns = ["alpha", "beta", "tstat", "pvalue", "rsquared", "conf_int_lower", "conf_int_upper", "n_observations"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)


def summary(series: pd.DataFrame, tests: pd.DataFrame, *, risk_free_rate: float = 0.02) -> dict[str, object]:
    """Summarise one factor from its `timeseries` and `details`."""
    returns = series["factor"].dropna()
    n = len(returns)
    wealth = (1 + returns).cumprod()
    annual = wealth.iloc[-1] ** (252 / n) - 1 if wealth.iloc[-1] > 0 else -1.0
    volatility = returns.std(ddof=1) * np.sqrt(252)
    ic = series["rank_ic"].dropna()
    tested = tests.dropna(subset=["beta"])
    return {
        "start_date": returns.index[0],
        "end_date": returns.index[-1],
        "avg_beta": tested["beta"].mean(),
        "avg_tstat": tested["tstat"].mean(),
        "avg_rsquared": tested["rsquared"].mean(),
        "significant_stocks": int((tested["tstat"].abs() > 1.96).sum()),
        "total_stocks": len(tested),
        "annualized_return": annual,
        "annualized_volatility": volatility,
        "sharpe_ratio": (annual - risk_free_rate) / volatility,
        "max_drawdown": (wealth / wealth.cummax() - 1).min(),
        "mean_factor_return": returns.mean(),
        "factor_return_tstat": returns.mean() / (returns.std(ddof=1) / np.sqrt(n)),
        "mean_rank_ic": ic.mean(),
        "rank_ic_tstat": ic.mean() / (ic.std(ddof=1) / np.sqrt(len(ic))),
        "mean_coverage": series["coverage"].mean(),
        "mean_turnover": series["turnover"].mean(),
        "n_sessions": n,
        "n_null_sessions": len(series) - n,
    }
