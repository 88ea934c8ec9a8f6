"""Beta of each ticker on each factor's return at the end of each month: the table `factor_rolling_betas`.

What does not belong here: the regressions (`rolling_regressions.py`), one over all sessions (`regressions.py`).
"""

from datetime import date
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from factor_assets.calendar import Dates
from factor_assets.errors import MisalignedError
from factor_assets.evaluation.factor_returns import factor_returns
from factor_assets.evaluation.holdout import before_holdout, no_session_left
from factor_assets.evaluation.ranking import Counts
from factor_assets.evaluation.rolling_regressions import rolling_regressions
from factor_assets.panel.panel import Array, Panel
from factor_assets.settings import EvaluationSettings
from factor_assets.tables import table


class RollingBetas(NamedTuple):
    """Rows of `factor_rolling_betas` and what has none.

    Parameters
    ----------
    rows
        Sorted by the table's key.
    n_too_short
        Betas (a factor, ticker and month each) without a row, because the factor or the ticker has too few returns.
    n_without
        Further betas without a row: too few sessions have both returns, or one of them is constant.
    """

    rows: pa.Table
    n_too_short: int
    n_without: int


def factor_rolling_betas(
    timeseries: pa.Table,
    panel: Panel,
    *,
    settings: EvaluationSettings,
    universe: str,
    source: str,
    next_session: date | None,
) -> RollingBetas:
    """Regress each ticker of the panel on each factor over the `settings.beta_window` sessions to each month's last.

    1. Keep the sessions before the holdout.
    2. Regress over every window, one factor in memory at once, where at least `window_observations(settings)` sessions
       have both returns.
    3. Keep the last session of each month that is complete, up to the last session of `factor_timeseries`. The current
       month has no row before its last session, so that a row, once made, never changes as sessions are added.

    Parameters
    ----------
    timeseries
        Rows of `factor_timeseries`; those on dates that the panel does not have take no part.
    panel
        Field `returns`; membership plays no part. Its tickers are those that get rows, and a subset of them gives the
        same bits as the whole. Windows that reach back before its first session hold the sessions that are there.
    next_session
        First session of the exchange after the panel's last, which tells whether that one ends its month; None where
        it is not known, and the last month not complete.

    Returns
    -------
    A ticker without a regression at a date has no row, so that the table has no null but the t-statistic of a perfect
    fit; those left out are counted.

    Raises
    ------
    MisalignedError
        If the panel has no session.
    EvaluationError
        If it has none before the holdout.
    """
    if not len(panel.dates):
        raise MisalignedError("factor_rolling_betas wants a panel with at least one session, got none.")
    ends = month_ends(panel.dates, next_session=next_session)
    panel = before_holdout(panel, settings)
    if not len(panel.dates):
        raise no_session_left("factor_rolling_betas", settings)
    if not timeseries.num_rows:
        return RollingBetas(table("factor_rolling_betas").schema.empty_table(), n_too_short=0, n_without=0)
    last = np.datetime64(pc.max(timeseries["date"]).as_py(), "D")
    ends = ends[ends < np.searchsorted(panel.dates, last, side="right")]
    window, wanted = settings.beta_window, window_observations(settings)
    returns = panel["returns"]
    enough = _present(returns, ends, window) >= wanted  # (n_months, n_tickers)
    n_too_short = n_without = 0
    parts: list[dict[str, npt.NDArray[Any]]] = []
    series = factor_returns(timeseries, panel.dates)
    for i, values in enumerate(series.values()):
        fit = rolling_regressions(returns, values, window=window, min_observations=wanted, first_row=panel.first_row)
        beta = fit.beta[ends]
        long_enough = enough & (_present(values[:, None], ends, window) >= wanted)
        found = np.isfinite(beta)
        n_too_short += int(np.count_nonzero(~long_enough))
        n_without += int(np.count_nonzero(long_enough & ~found))
        month, ticker = np.nonzero(found)
        parts.append(
            {
                "factor": np.full(len(month), i, np.int32),
                "ticker": ticker.astype(np.int32),
                "row": ends[month].astype(np.int32),
                "beta": beta[found],
                "tstat": fit.tstat[ends][found],
                "rsquared": fit.rsquared[ends][found],
                "n_observations": fit.n_observations[ends][found].astype(np.int64),
            }
        )
    rows = _rows(parts, list(series), panel, names={"universe": universe, "source": source})
    return RollingBetas(rows=rows, n_too_short=n_too_short, n_without=n_without)


def window_observations(settings: EvaluationSettings) -> int:
    """Count the sessions of a window that must have both returns: half of it, or `min_observations` where more."""
    return min(settings.beta_window, max(settings.min_observations, settings.beta_window // 2))


def month_ends(sessions: Dates, *, next_session: date | None) -> Counts:
    """Return the rows of the sessions that are the last of their calendar month.

    Parameters
    ----------
    sessions
        datetime64[D] of shape (n_dates,), every session of the exchange from the first on.
    next_session
        The one after them; None where it is not known, and the last month not complete.

    Returns
    -------
    Increasing row numbers, shape (n_months,).
    """
    after = np.array([] if next_session is None else [next_session], "datetime64[D]")
    month = np.concatenate([sessions, after]).astype("datetime64[M]")
    return np.flatnonzero(month[1:] != month[:-1]).astype(np.int64)


def _present(values: Array, ends: Counts, window: int) -> Counts:
    """Count the values of shape (n_dates, n) in the window to each end: shape (n_months, n)."""
    total = np.zeros((len(values) + 1, values.shape[1]), np.int64)
    np.cumsum(np.isfinite(values), axis=0, out=total[1:])
    return total[ends + 1] - total[np.maximum(ends + 1 - window, 0)]


def _rows(
    parts: list[dict[str, npt.NDArray[Any]]], labels: list[tuple[str, str]], panel: Panel, *, names: dict[str, str]
) -> pa.Table:
    declared = table("factor_rolling_betas")
    # Factors and months are in the order of the key already: a stable sort puts tickers first.
    order = np.argsort(np.concatenate([part["ticker"] for part in parts]), kind="stable")
    found = {name: np.concatenate([part[name] for part in parts])[order] for name in parts[0]}
    which = pa.array(found["factor"])
    columns = {
        "factor_type": pa.array([family for family, _ in labels], pa.string()).take(which),
        "factor_name": pa.array([name for _, name in labels], pa.string()).take(which),
        "ticker": pa.array(panel.tickers, pa.string()).take(pa.array(found["ticker"])),
        "date": pa.array(panel.dates[found["row"]], pa.date32()),
        "rolling_beta": pa.array(found["beta"]),
        "rolling_beta_tstat": pa.array(found["tstat"], from_pandas=True),
        "rolling_rsquared": pa.array(found["rsquared"]),
        "n_observations": pa.array(found["n_observations"]),
    } | {name: pa.repeat(pa.scalar(value, pa.string()), len(order)) for name, value in names.items()}
    return pa.table([columns[name] for name in declared.column_names], schema=declared.schema)
