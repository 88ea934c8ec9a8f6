r"""Regression of each ticker's return on each factor's return: the table `factor_details`.

.. math:: r_{i,t} = a_i + b_i F_t + e_{i,t}

What does not belong here: how the factor's return is made (`portfolios.py`), means over tickers (`summary.py`).
"""

from dataclasses import dataclass

import numba as nb
import numpy as np
import pyarrow as pa

from factor_assets.columns import table
from factor_assets.errors import MisalignedError
from factor_assets.evaluation.ranking import Counts
from factor_assets.evaluation.timeseries import rows_by_factor
from factor_assets.panel.panel import Array, Panel
from factor_assets.settings import EvaluationSettings

_READ = nb.types.Array(nb.float64, 2, "C", readonly=True)


@dataclass(frozen=True, eq=False)
class Regressions:
    """Ordinary least squares by factor and ticker, each of shape (n_factors, n_tickers); NaN where there is none.

    Parameters
    ----------
    alpha
        Fraction per session.
    tstat, pvalue, conf_int_lower, conf_int_upper
        Of beta: ordinary standard error, Student t with n - 2 degrees of freedom, two-sided, 95%.
    n_observations
        Sessions with both returns.
    """

    alpha: Array
    beta: Array
    tstat: Array
    pvalue: Array
    rsquared: Array
    conf_int_lower: Array
    conf_int_upper: Array
    n_observations: Counts


def regress(returns: Array, factor_returns: Array, *, min_observations: int = 30) -> Regressions:
    """Regress every ticker on every factor, one at a time, over the sessions on which both have a return.

    Parameters
    ----------
    returns
        float64 of shape (n_dates, n_tickers): total returns of the same session. NaN and infinite are missing.
    factor_returns
        float64 of shape (n_factors, n_dates). NaN and infinite are missing.
    min_observations
        With fewer sessions there is no regression.

    Returns
    -------
    No regression (NaN) with too few sessions, or where either return is constant over them. A perfect fit has no
    standard error: its t-statistic and p-value are NaN.

    Raises
    ------
    MisalignedError
        If the numbers of dates differ.

    Notes
    -----
    Moments are centred in a second pass and residuals summed in a third, in date order, each ticker on its own: the
    result of a ticker does not depend on which others are there.
    """
    from scipy.special import stdtr, stdtrit

    if factor_returns.ndim != 2 or factor_returns.shape[1] != len(returns):
        raise MisalignedError(
            f"A regression wants factor returns of shape (n_factors, {len(returns)}) beside returns of shape"
            f" {returns.shape}; got {factor_returns.shape}."
        )
    fit, n_observations = _least_squares(
        np.ascontiguousarray(returns.T), np.ascontiguousarray(factor_returns), max(min_observations, 3)
    )
    alpha, beta, sxx, syy, ssr = np.moveaxis(fit, 2, 0)
    freedom = np.maximum(n_observations - 2, 1).astype(np.float64)
    error = np.sqrt(ssr / freedom / sxx)
    tstat = np.divide(beta, error, out=np.full_like(beta, np.nan), where=error > 0)
    half_width = stdtrit(freedom, 0.975) * error
    return Regressions(
        alpha=alpha,
        beta=beta,
        tstat=tstat,
        pvalue=2.0 * stdtr(freedom, -np.abs(tstat)),
        rsquared=1.0 - ssr / syy,
        conf_int_lower=beta - half_width,
        conf_int_upper=beta + half_width,
        n_observations=n_observations,
    )


def factor_details(
    timeseries: pa.Table, panel: Panel, *, settings: EvaluationSettings, universe: str, source: str
) -> pa.Table:
    """Regress each ticker of the panel on each factor of `factor_timeseries`.

    Parameters
    ----------
    timeseries
        Rows of `factor_timeseries`; those on dates that the panel does not have take no part.
    panel
        Field `returns`; its sessions are the window of the test, its tickers those that get rows. Membership plays no
        part: a ticker is tested on all its returns.

    Returns
    -------
    Rows of `factor_details`, one a ticker and factor, sorted by its key. A ticker without a regression has nulls and
    its number of observations. A subset of tickers gives the same bits as the whole.

    Raises
    ------
    MisalignedError
        If the panel has no session, so that there is no date of the test.
    """
    declared = table("factor_details")
    if not len(panel.dates):
        raise MisalignedError("factor_details wants a panel with at least one session, got none.")
    labels, series = [], []
    for family, name, rows in rows_by_factor(timeseries):
        labels.append((family, name))
        series.append(_aligned(rows, panel))
    if not labels or not panel.tickers:
        return declared.schema.empty_table()
    factor_returns = np.stack(series)  # (n_factors, n_dates)
    fit = regress(panel["returns"], factor_returns, min_observations=settings.min_observations)
    n_factors, n_tickers = fit.beta.shape
    which = pa.array(np.tile(np.arange(n_factors), n_tickers), pa.int64())
    spans = [_span(row, panel) for row in factor_returns]
    columns = {
        "factor_type": pa.array([family for family, _ in labels], pa.string()).take(which),
        "factor_name": pa.array([name for _, name in labels], pa.string()).take(which),
        "ticker": pa.array(panel.tickers, pa.string()).take(
            pa.array(np.repeat(np.arange(n_tickers), n_factors), pa.int64())
        ),
        "test_date": _constant(pa.scalar(panel.dates[-1].item(), pa.date32()), len(which)),
        "start_date": pa.array([start for start, _ in spans], pa.date32()).take(which),
        "end_date": pa.array([end for _, end in spans], pa.date32()).take(which),
        "n_observations": pa.array(fit.n_observations.T.reshape(-1), pa.int64()),
        "universe": _constant(pa.scalar(universe, pa.string()), len(which)),
        "source": _constant(pa.scalar(source, pa.string()), len(which)),
    } | {
        name: pa.array(getattr(fit, name).T.reshape(-1), pa.float64(), from_pandas=True)
        for name in ("alpha", "beta", "tstat", "pvalue", "rsquared", "conf_int_lower", "conf_int_upper")
    }
    return pa.table([columns[name] for name in declared.column_names], schema=declared.schema)


def _aligned(rows: pa.Table, panel: Panel) -> Array:
    """Factor returns of one factor on the panel's sessions, shape (n_dates,)."""
    dates = rows["date"].to_numpy().astype("datetime64[D]")
    position = np.minimum(np.searchsorted(panel.dates, dates), len(panel.dates) - 1)
    known = panel.dates[position] == dates
    aligned = np.full(len(panel.dates), np.nan)
    aligned[position[known]] = rows["factor_value"].to_numpy()[known]
    return aligned


def _span(factor_return: Array, panel: Panel) -> tuple[object, object]:
    present = np.flatnonzero(np.isfinite(factor_return))
    if not len(present):
        return None, None
    return panel.dates[present[0]].item(), panel.dates[present[-1]].item()


def _constant(value: pa.Scalar, n_rows: int) -> pa.Array:
    return pa.repeat(value, n_rows)


@nb.njit((_READ, _READ, nb.int64), cache=True, error_model="numpy")
def _least_squares(returns, factor_returns, min_observations):  # type: ignore[no-untyped-def]
    """Fit each pair; `returns` is (n_tickers, n_dates). Last axis of the result: alpha, beta, Sxx, Syy, SSR."""
    n_tickers, n_dates = returns.shape
    n_factors = len(factor_returns)
    fit = np.full((n_factors, n_tickers, 5), np.nan)
    counts = np.zeros((n_factors, n_tickers), np.int64)
    x, y = np.empty(n_dates), np.empty(n_dates)
    for f in range(n_factors):
        for i in range(n_tickers):
            n = 0
            x_sum, y_sum = 0.0, 0.0
            x_varies, y_varies = False, False
            for t in range(n_dates):
                if np.isfinite(factor_returns[f, t]) and np.isfinite(returns[i, t]):
                    x[n], y[n] = factor_returns[f, t], returns[i, t]
                    x_sum += x[n]
                    y_sum += y[n]
                    x_varies |= x[n] != x[0]
                    y_varies |= y[n] != y[0]
                    n += 1
            counts[f, i] = n
            if n < min_observations or not x_varies or not y_varies:
                continue
            x_mean, y_mean = x_sum / n, y_sum / n
            sxx, sxy, syy = 0.0, 0.0, 0.0
            for t in range(n):
                dx, dy = x[t] - x_mean, y[t] - y_mean
                sxx += dx * dx
                sxy += dx * dy
                syy += dy * dy
            beta = sxy / sxx
            ssr = 0.0
            for t in range(n):
                residual = (y[t] - y_mean) - beta * (x[t] - x_mean)
                ssr += residual * residual
            fit[f, i] = (y_mean - beta * x_mean, beta, sxx, syy, ssr)
    return fit, counts
