"""Synthetic evidence tables for the tests of the pages and pictures: seeded, with nulls and hostile names."""

from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa

from factor_assets.tables import TABLES

HOSTILE_TICKER = '<b>O\'X/"Y"</b>'
HOSTILE_FACTOR = "</script><img src=x onerror=alert(1)>"
NULL_FACTOR = "size"
NULL_REASON = "shares outstanding are <unknown> & not made up"
FACTORS = (("ret_12_1", "Momentum"), ("reversal_5d", "Momentum"), (HOSTILE_FACTOR, "R&D <x>"), (NULL_FACTOR, "Size"))


def evidence(*, n_sessions: int = 300, n_tickers: int = 40, universe: str = "all") -> dict[str, pa.Table]:
    """Rows of the four evidence tables by the argument names of `tear_sheet`."""
    rng = np.random.default_rng(7)
    days = np.busday_offset("2020-01-02", np.arange(n_sessions), roll="forward").astype("datetime64[D]").astype(object)
    tickers = [HOSTILE_TICKER, *(f"T{i:03d}" for i in range(1, n_tickers))]
    rows: dict[str, list[dict[str, Any]]] = {"timeseries": [], "quantiles": [], "details": [], "summary": []}
    for i, (name, family) in enumerate(FACTORS):
        start = n_sessions if name == NULL_FACTOR else 10 * (i + 1)
        own = {"factor_name": name, "factor_type": family, "universe": universe, "source": "sample"}
        rows["timeseries"] += _timeseries(rng, own, days=days, start=start)
        rows["quantiles"] += _quantiles(rng, own, days=days, start=start)
        if name != NULL_FACTOR:
            rows["details"] += _details(rng, own, tickers=tickers, days=days)
        rows["summary"].append(
            _summary(own, days=days, start=start, tstat=(3.3, 0.4, -2.1, None)[i], n_tickers=n_tickers)
        )
    return {name: pa.Table.from_pylist(part, schema=TABLES[f"factor_{name}"].schema) for name, part in rows.items()}


def _timeseries(rng: np.random.Generator, own: dict[str, Any], *, days: Any, start: int) -> list[dict[str, Any]]:
    rows = []
    for d, day in enumerate(days):
        known = d >= start
        high, low, ic = rng.normal(0.0005, 0.01), rng.normal(0, 0.01), rng.normal(0.01, 0.1)
        null_reason = NULL_REASON if own["factor_name"] == NULL_FACTOR else "fewer than 3 names with a value"
        rows.append(
            own
            | {
                "date": day,
                "factor_value": high - low if known else None,
                "high_portfolio_return": high if known else None,
                "low_portfolio_return": low if known else None,
                "n_ranked": 30 if known else 0,
                "n_high": 10,
                "n_low": 10,
                "n_missing_returns": 1 if d == 100 else 0,
                "reason": None if known else null_reason,
                "rank_ic": ic if known else None,
                "coverage": 0.75,
                "turnover": 0.1 if known else None,
            }
        )
    return rows


def _quantiles(rng: np.random.Generator, own: dict[str, Any], *, days: Any, start: int) -> list[dict[str, Any]]:
    return [
        own
        | {
            "date": day,
            "quantile": q,
            "quantile_return": rng.normal(q * 1e-4, 0.01) if d >= start else None,
            "n_tickers": 8,
        }
        for d, day in enumerate(days)
        for q in range(1, 6)
    ]


def _details(rng: np.random.Generator, own: dict[str, Any], *, tickers: list[str], days: Any) -> list[dict[str, Any]]:
    rows = []
    for i, ticker in enumerate(tickers):
        beta = rng.normal(0.3, 0.5)
        known = i != 3
        numbers = {
            "alpha": 1e-4,
            "beta": beta,
            "tstat": 8 * beta,
            "pvalue": float(np.exp(-abs(8 * beta))),
            "rsquared": min(0.9, beta**2),
            "conf_int_lower": beta - 0.1,
            "conf_int_upper": beta + 0.1,
        }
        rows.append(
            own
            | {"ticker": ticker, "test_date": days[-1], "start_date": days[0], "end_date": days[-1]}
            | {column: value if known else None for column, value in numbers.items()}
            | {"n_observations": len(days)}
        )
    return rows


def _summary(own: dict[str, Any], *, days: Any, start: int, tstat: float | None, n_tickers: int) -> dict[str, Any]:
    known = tstat is not None
    numbers = {
        "avg_beta": 0.3,
        "avg_tstat": 2.4,
        "avg_rsquared": 0.2,
        "annualized_return": 0.123,
        "annualized_volatility": 0.1,
        "sharpe_ratio": 1.03,
        "max_drawdown": -0.2,
        "mean_factor_return": 0.0005,
        "factor_return_tstat": tstat,
        "mean_rank_ic": 0.01,
        "rank_ic_tstat": tstat,
        "mean_coverage": 0.75,
        "mean_turnover": 0.1,
    }
    return (
        own
        | {column: value if known else None for column, value in numbers.items()}
        | {
            "test_date": days[-1],
            "start_date": days[start] if known else None,
            "end_date": days[-1] if known else None,
            "significant_stocks": 20 if known else 0,
            "total_stocks": n_tickers if known else 0,
            "description": "delay(close, 21) / delay(close, 252) - 1\nAuthor & Author (1993)",
            "n_sessions": len(days) - start,
            "n_null_sessions": start,
            "membership": "dated",
        }
    )


FIRST_DATE, LAST_DATE = date(2020, 1, 2), date(2021, 2, 24)
