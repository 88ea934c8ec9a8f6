"""What the charts and the stock tables of the tear sheet show, as plain lists.

Running products, monthly means and interval widths are computed here, so that the page's script only draws. The page
itself is made in `tear_sheet`.
"""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_MAX_POINTS = 50_000  # of one series over all factors: a page of 3 MB
STOCK_NUMBERS = ("alpha", "beta", "tstat", "pvalue", "rsquared", "conf_int_lower", "conf_int_upper")


def chart_data(*, summary: pa.Table, timeseries: pa.Table, quantiles: pa.Table, details: pa.Table) -> dict[str, Any]:
    """Gather everything that the page's script draws.

    Parameters
    ----------
    summary
        Rows of `factor_summary`; their order is the order of the factors.
    timeseries, quantiles, details
        Rows of `factor_timeseries`, `factor_quantiles` and `factor_details`, in any order. Rows of factors that the
        summary lacks are left out and named under `unknown`.

    Returns
    -------
    Strings, lists and numbers, ready for JSON: `dates`, which are the sessions drawn: `every` k-th, the last among
    them, so that a page of many factors stays small; `months`; `types`; `factors`, one entry a row of the summary,
    whose series have a value for each of the dates, made of all sessions. Numbers carry 6 significant digits; a
    missing or infinite number is None, and a session without a return leaves a gap in the running product, which goes
    on from its last level.
    """
    keys = list(zip(summary["factor_type"].to_pylist(), summary["factor_name"].to_pylist(), strict=True))
    series, unknown_series = _rows_by_factor(timeseries, keys)
    quantile_rows, unknown_quantiles = _rows_by_factor(quantiles, keys)
    stock_rows, unknown_stocks = _rows_by_factor(details, keys)
    days, months = _axes(timeseries)
    month_of_day = np.searchsorted(months, days.astype("datetime64[M]"))
    every = max(1, -(-len(days) * len(keys) // _MAX_POINTS))
    drawn = np.arange(len(days) - 1, -1, -every)[::-1]
    factors = []
    for i, (family, name) in enumerate(keys):
        rows = timeseries.take(series[i])
        factors.append(
            {
                "name": name,
                "type": family,
                "description": summary["description"][i].as_py(),
                **{column: _rounded(_numbers(summary, column)[i : i + 1])[0] for column in _BUBBLE},
                **_series(rows, days=days, month_of_day=month_of_day, n_months=len(months), drawn=drawn),
                "quantiles": _quantile_means(quantiles.take(quantile_rows[i])),
                "stocks": _stocks(details.take(stock_rows[i])),
                "remarks": _remarks(rows),
            }
        )
    return {
        "dates": days[drawn].astype(str).tolist(),
        "every": every,
        "months": months.astype(str).tolist(),
        "types": sorted({family for family, _ in keys}),
        "factors": factors,
        "unknown": sorted(unknown_series | unknown_quantiles | unknown_stocks),
    }


_BUBBLE = ("avg_beta", "avg_tstat", "avg_rsquared")


def null_reasons(timeseries: pa.Table, keys: Sequence[tuple[str, str]]) -> list[list[tuple[str, int]]]:
    """Count, for each factor, why its sessions have no return: most frequent first, then by text."""
    rows, _ = _rows_by_factor(timeseries, keys)
    return [_reasons(timeseries.take(own)) for own in rows]


def _rows_by_factor(table: pa.Table, keys: Sequence[tuple[str, str]]) -> tuple[list[Integers], set[str]]:
    """Row numbers of each factor, in table order, and the names of factors outside `keys`."""
    joined = pc.binary_join_element_wise(table["factor_type"], table["factor_name"], "\x1f")
    encoded = joined.combine_chunks().dictionary_encode()
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    names = [tuple(text.split("\x1f")) for text in encoded.dictionary.to_pylist()]
    positions = {name: code for code, name in enumerate(names)}
    rows = [np.flatnonzero(codes == positions[key]) if key in positions else np.empty(0, np.int64) for key in keys]
    return rows, {name[1] for name in set(names) - set(keys)}


def _axes(timeseries: pa.Table) -> tuple[npt.NDArray[np.datetime64], npt.NDArray[np.datetime64]]:
    days = np.unique(_dates(timeseries))
    return days, np.unique(days.astype("datetime64[M]"))


def _dates(table: pa.Table) -> npt.NDArray[np.datetime64]:
    return np.asarray(table["date"].to_numpy(), dtype="datetime64[D]")


def _numbers(table: pa.Table, column: str) -> Floats:
    """Column as float64 of shape (n_rows,), NaN where null."""
    return np.asarray(table[column].cast(pa.float64()).to_numpy(), dtype=np.float64)


def _rounded(values: Floats) -> list[float | None]:
    return [float(f"{v:.6g}") if math.isfinite(v) else None for v in values.tolist()]


def _running_product(returns: Floats) -> Floats:
    """Growth of 1; NaN where the return is NaN, and it goes on from its last level."""
    missing = np.isnan(returns)
    return np.where(missing, np.nan, np.cumprod(1 + np.where(missing, 0, returns)))


def _running_sum(values: Floats) -> Floats:
    missing = np.isnan(values)
    return np.where(missing, np.nan, np.cumsum(np.where(missing, 0, values)))


def _series(
    rows: pa.Table,
    *,
    days: npt.NDArray[np.datetime64],
    month_of_day: npt.NDArray[np.intp],
    n_months: int,
    drawn: Integers,
) -> dict[str, list[float | None]]:
    place = np.searchsorted(days, _dates(rows))

    def aligned(column: str) -> Floats:
        out = np.full(len(days), np.nan)
        out[place] = _numbers(rows, column)
        return out

    rank_ic = aligned("rank_ic")
    known = ~np.isnan(rank_ic)
    in_month = np.bincount(month_of_day[known], minlength=n_months)
    total = np.bincount(month_of_day[known], weights=rank_ic[known], minlength=n_months)
    monthly = np.divide(total, in_month, out=np.full(n_months, np.nan), where=in_month > 0)
    return {
        "high": _rounded(_running_product(aligned("high_portfolio_return"))[drawn]),
        "low": _rounded(_running_product(aligned("low_portfolio_return"))[drawn]),
        "spread": _rounded(_running_product(aligned("factor_value"))[drawn]),
        "ic_sum": _rounded(_running_sum(rank_ic)[drawn]),
        "ic_month": _rounded(monthly),
    }


def _quantile_means(rows: pa.Table) -> dict[str, list[Any]]:
    """Mean of each quantile in basis points a session, half its 95% interval, and its sessions."""
    labels, returns = _numbers(rows, "quantile"), _numbers(rows, "quantile_return") * 1e4
    means, errors, counts, levels = [], [], [], np.unique(labels)
    for label in levels:
        own = returns[(labels == label) & ~np.isnan(returns)]
        means.append(own.mean() if len(own) else np.nan)
        errors.append(1.96 * own.std(ddof=1) / math.sqrt(len(own)) if len(own) > 1 else np.nan)
        counts.append(len(own))
    return {
        "quantile": levels.astype(int).tolist(),
        "mean_bps": _rounded(np.array(means)),
        "error_bps": _rounded(np.array(errors)),
        "n": counts,
    }


def _stocks(rows: pa.Table) -> dict[str, list[Any]]:
    rows = rows.sort_by("ticker")
    return {
        "ticker": rows["ticker"].to_pylist(),
        **{column: _rounded(_numbers(rows, column)) for column in STOCK_NUMBERS},
        "n_observations": rows["n_observations"].to_pylist(),
    }


def _reasons(rows: pa.Table) -> list[tuple[str, int]]:
    without = rows.filter(pc.is_null(rows["factor_value"]))
    counted = Counter(reason or "no reason stored" for reason in without["reason"].to_pylist())
    return sorted(counted.items(), key=lambda item: (-item[1], item[0]))


def _remarks(rows: pa.Table) -> list[str]:
    """Say what one factor lost, in sentences."""
    remarks = []
    reasons = _reasons(rows)
    if reasons:
        total = sum(n for _, n in reasons)
        told = "; ".join(f"{reason} ({n:,})" for reason, n in reasons)
        remarks.append(f"Sessions without a return: {total:,} of {rows.num_rows:,}: {told}.")
    missing = pc.sum(rows["n_missing_returns"]).as_py()
    if missing:
        remarks.append(f"Portfolio names without a return on the day, whose weight went to the others: {missing:,}.")
    return remarks
