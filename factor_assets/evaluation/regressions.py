r"""Regression of each ticker's return on each factor's return: the table `factor_details`.

.. math:: r_{i,t} = a_i + b_i F_t + e_{i,t}

with ordinary standard errors (`regress`, the table's columns) and with Newey-West ones beside them
(`regress_newey_west`). What does not belong here: how the factor's return is made (`portfolios.py`), means over tickers
(`summary.py`), several factors at once (`spanning.py`), windows (`rolling_regressions.py`).
"""

from dataclasses import dataclass

import numba as nb
import numpy as np
import pyarrow as pa

from factor_assets.errors import MisalignedError
from factor_assets.evaluation.factor_returns import factor_returns
from factor_assets.evaluation.holdout import before_holdout, no_session_left
from factor_assets.evaluation.newey_west import Estimate, Lags, infer, regression_sums, rule_code
from factor_assets.evaluation.ranking import Counts
from factor_assets.panel.panel import Array, Panel
from factor_assets.settings import EvaluationSettings
from factor_assets.tables import table

_READ = nb.types.Array(nb.float64, 2, "C", readonly=True)

_GROUP = 64  # tickers that go by together: their sums stay in cache
_ROUNDING = 8.0 * np.finfo(np.float64).eps


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


@dataclass(frozen=True, eq=False)
class NeweyWestRegressions:
    """Least squares by factor and ticker with both kinds of errors; all of shape (n_factors, n_tickers).

    Parameters
    ----------
    alpha, beta
        Newey-West errors; alpha is a fraction per session.
    alpha_ols, beta_ols
        The same coefficients with ordinary errors, as in `Regressions`.
    rsquared
        Fraction.
    n_observations
        Sessions with both returns, also where there is no regression.
    lags
        Used in the Newey-West errors; -1 where there is no regression.
    """

    alpha: Estimate
    beta: Estimate
    alpha_ols: Estimate
    beta_ols: Estimate
    rsquared: Array
    n_observations: Counts
    lags: Counts


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
    return _ordinary(*_fit(returns, factor_returns, min_observations=min_observations))


def regress_newey_west(
    returns: Array, factor_returns: Array, *, lags: Lags = "fixed", min_observations: int = 30
) -> NeweyWestRegressions:
    """Regress every ticker on every factor, one at a time, with ordinary and with Newey-West errors.

    Parameters
    ----------
    returns, factor_returns, min_observations
        As in `regress`.
    lags
        A number of lags, or a rule of `newey_west.py` applied to each regression's own number of observations
        ("fixed") or scores ("newey_west_1994").

    Returns
    -------
    Coefficients are those of `regress` to the bit. Missing sessions are left out, and the neighbours of a gap count as
    neighbours. Newey-West errors are NaN with as many lags as observations or more. Where residuals are no more than
    rounding, the standard errors are 0, and t-statistics and p-values NaN.

    Raises
    ------
    MisalignedError
        If the numbers of dates differ.
    EvaluationError
        If the lags are neither a number of lags nor the name of a rule.
    """
    rule = rule_code(lags)
    return _newey_west(returns, factor_returns, *_fit(returns, factor_returns, min_observations=min_observations), rule)


def factor_details(
    timeseries: pa.Table,
    panel: Panel,
    *,
    settings: EvaluationSettings,
    universe: str,
    source: str,
) -> pa.Table:
    """Regress each ticker of the panel on each factor of `factor_timeseries`.

    Parameters
    ----------
    timeseries
        Rows of `factor_timeseries`; those on dates that the panel does not have take no part.
    panel
        Field `returns`; its sessions are the window of the test, its tickers those that get rows. Membership plays no
        part: a ticker is tested on all its returns.
    settings
        Sessions from `holdout_start` on are not looked at: the date of the test is the last one before.

    Returns
    -------
    Rows of `factor_details`, one a ticker and factor, sorted by its key. A ticker without a regression has nulls and
    its number of observations. A subset of tickers gives the same bits as the whole. t and p-values of Newey and West
    stand beside the ordinary ones, of the same coefficients, with the lags of the rule "fixed".

    Raises
    ------
    MisalignedError
        If the panel has no session, so that there is no date of the test.
    EvaluationError
        If it has none before the holdout.
    """
    declared = table("factor_details")
    if not len(panel.dates):
        raise MisalignedError("factor_details wants a panel with at least one session, got none.")
    panel = before_holdout(panel, settings)
    if not len(panel.dates):
        raise no_session_left("factor_details", settings)
    series = factor_returns(timeseries, panel.dates)
    labels = list(series)
    if not labels or not panel.tickers:
        return declared.schema.empty_table()
    returns, factors = panel["returns"], np.stack(list(series.values()))  # (n_factors, n_dates)
    least_squares, n_observations = _fit(returns, factors, min_observations=settings.min_observations)
    fit = _ordinary(least_squares, n_observations)
    robust = _newey_west(returns, factors, least_squares, n_observations, rule_code("fixed"))
    numbers = {
        name: getattr(fit, name)
        for name in ("alpha", "beta", "tstat", "pvalue", "rsquared", "conf_int_lower", "conf_int_upper")
    } | {
        "alpha_tstat": robust.alpha.tstat,
        "newey_west_tstat": robust.beta.tstat,
        "newey_west_pvalue": robust.beta.pvalue,
    }
    n_factors, n_tickers = fit.beta.shape
    which = pa.array(np.tile(np.arange(n_factors), n_tickers), pa.int64())
    spans = [_span(row, panel) for row in factors]
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
    } | {name: pa.array(values.T.reshape(-1), pa.float64(), from_pandas=True) for name, values in numbers.items()}
    return pa.table([columns[name] for name in declared.column_names], schema=declared.schema)


def _span(factor_return: Array, panel: Panel) -> tuple[object, object]:
    present = np.flatnonzero(np.isfinite(factor_return))
    if not len(present):
        return None, None
    return panel.dates[present[0]].item(), panel.dates[present[-1]].item()


def _constant(value: pa.Scalar, n_rows: int) -> pa.Array:
    return pa.repeat(value, n_rows)


def _fit(returns: Array, factor_returns: Array, *, min_observations: int) -> tuple[Array, Counts]:
    if returns.ndim != 2 or factor_returns.ndim != 2 or factor_returns.shape[1] != len(returns):
        raise MisalignedError(
            f"A regression wants factor returns of shape (n_factors, {len(returns)}) beside returns of shape"
            f" {returns.shape}; got {factor_returns.shape}."
        )
    fit, n_observations = _least_squares(
        np.ascontiguousarray(returns, np.float64),
        np.ascontiguousarray(factor_returns, np.float64),
        max(min_observations, 3),
    )
    return fit, n_observations


def _ordinary(fit: Array, n_observations: Counts) -> Regressions:
    from scipy.special import stdtr, stdtrit

    alpha, beta, sxx, syy, ssr = np.moveaxis(fit, 2, 0)[:5]
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


def _newey_west(returns: Array, factor_returns: Array, fit: Array, n: Counts, rule: int) -> NeweyWestRegressions:
    sums, used = regression_sums(
        np.ascontiguousarray(returns, np.float64), np.ascontiguousarray(factor_returns, np.float64), fit, n, rule
    )
    alpha, beta, sxx, syy, ssr, x_mean, y_mean = np.moveaxis(fit, 2, 0)
    perfect = ssr <= _ROUNDING**2 * (syy + n * y_mean**2 + beta**2 * (sxx + n * x_mean**2))
    ssr = np.where(perfect, 0.0, ssr)
    # coefficients of the constant and of the centred factor; alpha = the first - x_mean * the second
    s11, s12, s22 = np.moveaxis(np.where(perfect[:, :, None], 0.0, sums), 2, 0)
    freedom, n_fitted = np.maximum(n - 2, 1).astype(np.float64), np.maximum(n, 1).astype(np.float64)
    factor = n_fitted / freedom
    beta_variance = factor * s22 / sxx**2
    alpha_variance = factor * (s11 / n_fitted**2 - 2 * x_mean * s12 / (n_fitted * sxx) + x_mean**2 * s22 / sxx**2)
    return NeweyWestRegressions(
        alpha=infer(alpha, np.sqrt(np.maximum(alpha_variance, 0.0)), freedom=freedom),
        beta=infer(beta, np.sqrt(beta_variance), freedom=freedom),
        alpha_ols=infer(alpha, np.sqrt(ssr / freedom * (1.0 / n_fitted + x_mean**2 / sxx)), freedom=freedom),
        beta_ols=infer(beta, np.sqrt(ssr / freedom / sxx), freedom=freedom),
        rsquared=1.0 - ssr / syy,
        n_observations=n,
        lags=used,
    )


@nb.njit((_READ, _READ, nb.int64), cache=True, nogil=True, error_model="numpy")
def _least_squares(returns, factor_returns, min_observations):  # type: ignore[no-untyped-def]  # noqa: C901, PLR0912 (three passes over a group of tickers in cache)
    """Fit each pair. Last axis of the result: alpha, beta, Sxx, Syy, SSR, mean of x, mean of y.

    The inner loops go over a fixed number of tickers without a branch, so that they are vectorised. A ticker's own
    sums are in date order, and a missing session adds 0: no other ticker changes a bit of them.
    """
    n_dates, n_tickers = returns.shape
    n_factors = len(factor_returns)
    fit = np.full((n_factors, n_tickers, 7), np.nan)
    counts = np.zeros((n_factors, n_tickers), np.int64)
    block = np.full((n_dates, _GROUP), np.nan)
    # n, mean of x, mean of y; then the first x and y and how many differ from them; then Sxx, Sxy, Syy, beta
    s = np.empty((7, _GROUP))
    for left in range(0, n_tickers, _GROUP):
        w = min(_GROUP, n_tickers - left)
        for t in range(n_dates):
            for j in range(w):
                block[t, j] = returns[t, left + j]
        for f in range(n_factors):
            s[:] = 0.0
            for t in range(n_dates):
                x = factor_returns[f, t]
                if np.isfinite(x):
                    for j in range(_GROUP):
                        y = block[t, j]
                        here = abs(y) < np.inf
                        fresh = here and s[0, j] == 0.0
                        x_first, y_first = x if fresh else s[3, j], y if fresh else s[4, j]
                        s[3, j], s[4, j] = x_first, y_first
                        s[5, j] += 1.0 if here and x != x_first else 0.0
                        s[6, j] += 1.0 if here and y != y_first else 0.0
                        s[1, j] += x if here else 0.0
                        s[2, j] += y if here else 0.0
                        s[0, j] += 1.0 if here else 0.0
            for j in range(_GROUP):
                n = s[0, j]
                if j < w:
                    counts[f, left + j] = int(n)
                if n < min_observations or s[5, j] == 0.0 or s[6, j] == 0.0:
                    n = np.nan
                s[1, j] /= n
                s[2, j] /= n
            s[3:] = 0.0
            for t in range(n_dates):
                x = factor_returns[f, t]
                if np.isfinite(x):
                    for j in range(_GROUP):
                        y = block[t, j]
                        here = abs(y) < np.inf
                        dx, dy = x - s[1, j] if here else 0.0, y - s[2, j] if here else 0.0
                        s[3, j] += dx * dx
                        s[4, j] += dx * dy
                        s[5, j] += dy * dy
            for j in range(_GROUP):
                s[6, j] = s[4, j] / s[3, j]
                s[0, j] = 0.0  # from here on SSR
            for t in range(n_dates):
                x = factor_returns[f, t]
                if np.isfinite(x):
                    for j in range(_GROUP):
                        y = block[t, j]
                        residual = (y - s[2, j]) - s[6, j] * (x - s[1, j])
                        s[0, j] += residual * residual if abs(y) < np.inf else 0.0
            for j in range(w):
                if not np.isnan(s[1, j]):
                    alpha = s[2, j] - s[6, j] * s[1, j]
                    fit[f, left + j] = (alpha, s[6, j], s[3, j], s[5, j], s[0, j], s[1, j], s[2, j])
    return fit, counts
