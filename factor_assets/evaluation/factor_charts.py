"""What the charts and the table of tickers of a factor's page show, as plain lists.

Running products, monthly means and interval widths are computed here, so that the page's script only draws. The page
itself is made in `factor_page.py`.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from factor_assets.evaluation.evidence_tables import FactorRows

Floats = npt.NDArray[np.float64]
Months = npt.NDArray[np.datetime64]

STOCK_NUMBERS = ("alpha", "beta", "tstat", "pvalue", "rsquared", "conf_int_lower", "conf_int_upper")
_NORMAL_975 = 1.96


def factor_data(rows: FactorRows) -> dict[str, Any]:
    """Gather everything that the script of one factor's page draws.

    Returns
    -------
    Strings, lists and numbers, ready for JSON. `high`, `low`, `spread` and `ic_sum` have a value for each of `dates`,
    `ic_month`, `coverage`, `turnover`, `autocorrelation` and `capacity` a mean for each of `months`. Numbers carry 6
    significant digits; a missing or infinite number is None, and a session without a return leaves a gap in the
    running product, which goes on from its last level.
    """
    days = _dates(rows.timeseries)
    months: Months = np.unique(
        np.concatenate([days, _dates(rows.trading)]).astype("datetime64[M]"),
    )
    rank_ic = _numbers(rows.timeseries, "rank_ic")
    return {
        "dates": days.astype(str).tolist(),
        "months": months.astype(str).tolist(),
        "high": rounded(_running_product(_numbers(rows.timeseries, "high_portfolio_return"))),
        "low": rounded(_running_product(_numbers(rows.timeseries, "low_portfolio_return"))),
        "spread": rounded(_running_product(_numbers(rows.timeseries, "factor_value"))),
        "ic_sum": rounded(_running_sum(rank_ic)),
        "ic_month": _monthly(rows.timeseries, "rank_ic", months),
        "coverage": _monthly(rows.timeseries, "coverage", months),
        "turnover": _monthly(rows.timeseries, "turnover", months),
        "autocorrelation": _monthly(rows.trading, "rank_autocorrelation", months),
        "capacity": _monthly(rows.trading, "capacity", months),
        "quantiles": quantile_means(rows.quantiles),
        "decay": decay(rows.evidence),
        "event": event_curves(rows.event_curves),
        "stocks": _stocks(rows.details),
    }


def rounded(values: Floats) -> list[float | None]:
    """Six significant digits; None where not finite."""
    return [float(f"{v:.6g}") if math.isfinite(v) else None for v in values.tolist()]


def decay(evidence: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Mean rank IC by horizon, and half its 95% interval: 1.96 standard errors, that are mean over t."""
    means = np.array([_number(row["mean_rank_ic"]) for row in evidence], dtype=np.float64)
    tstats = np.array([_number(row["mean_rank_ic_tstat"]) for row in evidence], dtype=np.float64)
    error = np.divide(means, tstats, out=np.full(len(means), np.nan), where=tstats != 0)
    return {
        "horizon": [row["horizon"] for row in evidence],
        "mean": rounded(means),
        "error": rounded(_NORMAL_975 * np.abs(error)),
    }


def quantile_means(rows: pa.Table) -> dict[str, list[Any]]:
    """Mean of each quantile in basis points a session, half its 95% interval, and its sessions."""
    labels, returns = _numbers(rows, "quantile"), _numbers(rows, "quantile_return") * 1e4
    means, errors, counts, levels = [], [], [], np.unique(labels)
    for label in levels:
        own = returns[(labels == label) & np.isfinite(returns)]
        means.append(own.mean() if len(own) else np.nan)
        errors.append(_NORMAL_975 * own.std(ddof=1) / math.sqrt(len(own)) if len(own) > 1 else np.nan)
        counts.append(len(own))
    return {
        "quantile": levels.astype(int).tolist(),
        "mean_bps": rounded(np.array(means, dtype=np.float64)),
        "error_bps": rounded(np.array(errors, dtype=np.float64)),
        "n": counts,
    }


def event_curves(rows: pa.Table) -> dict[str, list[Any]]:
    """Percent by which the outer quantiles moved against all names, by session from the sort."""
    return {
        "offset": rows["offset"].to_pylist(),
        "top": rounded(_numbers(rows, "top_curve") * 100),
        "bottom": rounded(_numbers(rows, "bottom_curve") * 100),
    }


def rank_ic_by_year(rows: pa.Table) -> tuple[list[int], list[int], dict[tuple[int, int], float]]:
    """Mean rank IC of each year and horizon, of `factor_information`: years, horizons, and the means there are."""
    known = rows.filter(pc.is_finite(rows["rank_ic"]))
    if not known.num_rows:
        return [], [], {}
    keyed = known.select(["horizon", "rank_ic"]).append_column("year", pc.year(known["date"]))
    means = keyed.group_by(["year", "horizon"], use_threads=False).aggregate([("rank_ic", "mean")]).to_pylist()
    found = {(row["year"], row["horizon"]): row["rank_ic_mean"] for row in means}
    return sorted({year for year, _ in found}), sorted({horizon for _, horizon in found}), found


def null_reasons(timeseries: pa.Table) -> list[tuple[str, int]]:
    """Count why sessions have no return: most frequent first, then by text."""
    without = timeseries.filter(pc.is_null(timeseries["factor_value"]))
    counted = Counter(reason or "no reason stored" for reason in without["reason"].to_pylist())
    return sorted(counted.items(), key=lambda item: (-item[1], item[0]))


def dropped(rows: FactorRows) -> list[str]:
    """Say what one factor lost, and why, in sentences."""
    told = []
    reasons = null_reasons(rows.timeseries)
    if reasons:
        total = sum(n for _, n in reasons)
        why = "; ".join(f"{reason} ({n:,})" for reason, n in reasons)
        told.append(f"Sessions without a return: {total:,} of {rows.timeseries.num_rows:,}: {why}.")
    missing = pc.sum(rows.timeseries["n_missing_returns"]).as_py()
    if missing:
        told.append(f"Portfolio names without a return on the day, whose weight went to the others: {missing:,}.")
    capless = pc.sum(rows.timeseries["n_missing_market_caps"]).as_py()
    if capless:
        told.append(f"Portfolio names left out because their market capitalisation is unknown: {capless:,}.")
    without = rows.details["beta"].null_count
    if without:
        told.append(f"Tickers without a regression: {without:,} of {rows.details.num_rows:,}.")
    whys = dict.fromkeys(row["reason"].rstrip(".") for row in rows.evidence if row["reason"])
    horizons = {
        why: [str(row["horizon"]) for row in rows.evidence if (row["reason"] or "").rstrip(".") == why] for why in whys
    }
    return told + [f"Evidence over {', '.join(at)} sessions: {why}." for why, at in horizons.items()]


def _dates(rows: pa.Table) -> npt.NDArray[np.datetime64]:
    return np.asarray(rows["date"].to_numpy(), dtype="datetime64[D]")


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _numbers(rows: pa.Table, column: str) -> Floats:
    """Column as float64 of shape (n_rows,), NaN where null or infinite."""
    values = np.asarray(rows[column].cast(pa.float64()).to_numpy(), dtype=np.float64)
    return np.where(np.isfinite(values), values, np.nan)


def _running_product(returns: Floats) -> Floats:
    """Growth of 1; NaN where the return is NaN, and it goes on from its last level."""
    missing = np.isnan(returns)
    return np.where(missing, np.nan, np.cumprod(1 + np.where(missing, 0, returns)))


def _running_sum(values: Floats) -> Floats:
    missing = np.isnan(values)
    return np.where(missing, np.nan, np.cumsum(np.where(missing, 0, values)))


def _monthly(rows: pa.Table, column: str, months: Months) -> list[float | None]:
    values = _numbers(rows, column)
    known = ~np.isnan(values)
    month = np.searchsorted(months, _dates(rows)[known].astype("datetime64[M]"))
    n = np.bincount(month, minlength=len(months))
    total = np.bincount(month, weights=values[known], minlength=len(months))
    return rounded(np.divide(total, n, out=np.full(len(months), np.nan), where=n > 0))


def _stocks(rows: pa.Table) -> dict[str, list[Any]]:
    return {
        "ticker": rows["ticker"].to_pylist(),
        **{column: rounded(_numbers(rows, column)) for column in STOCK_NUMBERS},
        "n_observations": rows["n_observations"].to_pylist(),
    }
