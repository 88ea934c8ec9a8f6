r"""Standard errors that allow for autocorrelation and changing variance (Newey and West 1987).

For scores :math:`h_t` (the deviation from the mean; regressors times residual), the long-run covariance is

.. math::

    S = \Gamma_0 + \sum_{j=1}^{L} \Big(1 - \frac{j}{L + 1}\Big) (\Gamma_j + \Gamma_j'), \qquad
    \Gamma_j = \frac{1}{n} \sum_{t=j+1}^{n} h_t h_{t-j}'

and the covariance of the coefficients, with the small-sample factor :math:`n / (n - k)` of k coefficients (that of
Stata's `newey`), is :math:`\frac{n}{n - k} \, n \, (X'X)^{-1} S (X'X)^{-1}`; t has n - k degrees of freedom.

A missing session is left out and the neighbours of the gap become neighbours ("equal spacing" in Datta and Du 2012).
What does not belong here: which regression is run (`regressions.py`, `spanning.py`, `fama_macbeth.py`).

References
----------
Newey and West (1987), Econometrica 55(3), doi 10.2307/1913610. Newey and West (1994), Automatic lag selection
in covariance matrix estimation, Review of Economic Studies 61(4). Datta and Du (2012), Nonparametric HAC estimation for
time series data with missing observations, Federal Reserve International Finance Discussion Paper 1060.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from numba import float64, int64, njit, types

from factor_assets.errors import EvaluationError, MisalignedError, did_you_mean
from factor_assets.evaluation.ranking import Counts
from factor_assets.panel.panel import Array

LagRule = Literal["fixed", "newey_west_1994"]
Lags = int | LagRule

_FIXED, _NEWEY_WEST_1994 = -1, -2  # how a kernel is told the rule; a number of lags is itself
_RULES: dict[str, int] = {"fixed": _FIXED, "newey_west_1994": _NEWEY_WEST_1994}

_SERIES, _READ = types.Array(float64, 1, "A", readonly=True), types.Array(float64, 2, "C", readonly=True)
_COLUMNS = 16  # tickers whose columns are copied next to each other
_GAMMA = 1.1447  # of the Bartlett kernel: Newey and West (1994)


@dataclass(frozen=True, eq=False)
class Estimate:
    """Estimated numbers and what is known about them; all of one shape, which may be ().

    Parameters
    ----------
    value
        The estimate, in its own unit.
    standard_error
        In the same unit; 0 where nothing is left to explain.
    tstat, pvalue
        Of value = 0, two-sided. NaN where the standard error is 0 or missing.
    conf_int_lower, conf_int_upper
        95%.
    """

    value: Array
    standard_error: Array
    tstat: Array
    pvalue: Array
    conf_int_lower: Array
    conf_int_upper: Array


@dataclass(frozen=True, eq=False)
class Mean:
    """Means of series with Newey-West errors; everything has the shape of one row of the values.

    Parameters
    ----------
    estimate
        NaN without values; its errors are NaN with fewer than two, where all are the same, or where there are not
        more values than lags.
    n_observations, lags
        Values present; lags used.
    """

    estimate: Estimate
    n_observations: Counts
    lags: Counts


def infer(value: npt.ArrayLike, standard_error: npt.ArrayLike, *, freedom: npt.ArrayLike) -> Estimate:
    """Student's t, two-sided p-value and 95% interval of estimates.

    Parameters
    ----------
    value, standard_error, freedom
        Shapes that broadcast. A standard error that is NaN gives NaN.
    """
    from scipy.special import stdtr, stdtrit

    shape = np.broadcast_shapes(np.shape(value), np.shape(standard_error), np.shape(freedom))
    b, error, n = (np.array(np.broadcast_to(np.asarray(a, float), shape)) for a in (value, standard_error, freedom))
    n = np.maximum(n, 1.0)
    tstat = np.divide(b, error, out=np.full_like(b, np.nan), where=error > 0)
    half_width = stdtrit(n, 0.975) * error
    return Estimate(
        value=b,
        standard_error=error,
        tstat=tstat,
        pvalue=np.asarray(2.0 * stdtr(n, -np.abs(tstat))),
        conf_int_lower=np.asarray(b - half_width),
        conf_int_upper=np.asarray(b + half_width),
    )


def rule_code(lags: Lags) -> int:
    """Return what tells a kernel the lags: their number, or a negative code of the rule.

    Raises
    ------
    EvaluationError
        If `lags` is neither a number of lags nor the name of a rule.
    """
    if isinstance(lags, str):
        if lags not in _RULES:
            raise EvaluationError(
                f"Newey-West lags want a number or a rule, got {lags!r}; {did_you_mean(lags, _RULES)}"
            )
        return _RULES[lags]
    if isinstance(lags, bool) or not isinstance(lags, int | np.integer) or lags < 0:
        raise EvaluationError(f"Newey-West lags want a whole number of at least 0 or a rule, got {lags!r}.")
    return int(lags)


@njit(int64(int64), cache=True, nogil=True, error_model="numpy")
def fixed_lags(n_observations):  # type: ignore[no-untyped-def]
    """Floor of 4 (n / 100) ** (2 / 9): the rule "fixed".

    The pilot lags of Newey and West (1994), used as the lags themselves, as econometric packages do.
    """
    return int64(np.floor(4.0 * (n_observations / 100.0) ** (2.0 / 9.0)))


@njit(int64(_SERIES), cache=True, nogil=True, error_model="numpy")
def newey_west_1994_lags(scores):  # type: ignore[no-untyped-def]
    """Lags that the data choose: Newey and West (1994), Bartlett kernel, without prewhitening.

    With pilot lags m = floor(4 (n / 100) ** (2 / 9)) and autocovariances c_j of the scores, s0 = c_0 + 2 sum c_j and
    s1 = 2 sum j c_j over j = 1..m, it is floor(1.1447 ((s1 / s0) ** 2 n) ** (1 / 3)), at most n - 1.

    Parameters
    ----------
    scores
        Shape (n_observations,): the scores added up over the regressors other than the constant, or the deviations
        from a mean.
    """
    n = len(scores)
    pilot = min(fixed_lags(n), n - 1)
    s0, s1 = 0.0, 0.0
    for t in range(n):
        s0 += scores[t] * scores[t]
    for j in range(1, pilot + 1):
        covariance = 0.0
        for t in range(j, n):
            covariance += scores[t] * scores[t - j]
        s0 += 2.0 * covariance
        s1 += 2.0 * j * covariance
    if s0 == 0.0:
        return int64(0)
    return int64(min(np.floor(_GAMMA * ((s1 / s0) ** 2 * n) ** (1.0 / 3.0)), n - 1.0))


@njit(int64(int64, _SERIES), cache=True, nogil=True, error_model="numpy")
def lags_by_code(code, scores):  # type: ignore[no-untyped-def]
    """Return the number of lags for scores as in `newey_west_1994_lags`; `code` is that of `rule_code`."""
    if code == _FIXED:
        return fixed_lags(len(scores))
    if code == _NEWEY_WEST_1994:
        return newey_west_1994_lags(scores)
    return code


@njit((_SERIES, _SERIES, int64), cache=True, nogil=True, error_model="numpy")
def long_run_sums(a, b, lags):  # type: ignore[no-untyped-def]
    """Elements 11, 12 and 22 of n S of two scores of shape (n_observations,).

    With Bartlett weights, n S is the sum of the squares of all sums of lags + 1 neighbouring scores (with zeros before
    the first and after the last), divided by lags + 1. No autocovariance is formed, the lags cost nothing, and no
    variance comes out negative. NaN with as many lags as observations or more.
    """
    n = len(a)
    span = lags + 1
    if span > n:
        return np.nan, np.nan, np.nan
    sum_a, sum_b, s11, s12, s22 = 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(n + span - 1):
        if i < n:
            sum_a += a[i]
            sum_b += b[i]
        if i >= span:
            sum_a -= a[i - span]
            sum_b -= b[i - span]
        s11 += sum_a * sum_a
        s12 += sum_a * sum_b
        s22 += sum_b * sum_b
    return s11 / span, s12 / span, s22 / span


@njit((_READ, _READ, float64[:, :, ::1], int64[:, ::1], int64), cache=True, nogil=True, error_model="numpy")
def regression_sums(returns, factor_returns, fit, counts, rule):  # type: ignore[no-untyped-def]
    """Elements 11, 12 and 22 of n S of the scores (e, e (x - mean of x)) of each ticker's regression on each factor.

    Parameters
    ----------
    returns, factor_returns
        Shapes (n_dates, n_tickers) and (n_factors, n_dates).
    fit, counts
        Of `regressions.py`, shapes (n_factors, n_tickers, 7) and (n_factors, n_tickers): on the last axis, at 1 beta,
        at 5 and 6 the means of x and y; observations.
    rule
        Of `rule_code`.

    Returns
    -------
    Shape (n_factors, n_tickers, 3), NaN where beta is, and the lags, -1 there. It is here and not beside its caller
    because a compiled function kept on disk does not notice that one of another file has changed.
    """
    n_dates, n_tickers = returns.shape
    n_factors = len(factor_returns)
    sums = np.full((n_factors, n_tickers, 3), np.nan)
    used = np.full((n_factors, n_tickers), -1, np.int64)
    columns = np.empty((_COLUMNS, n_dates))
    a, b, chosen = np.empty(n_dates), np.empty(n_dates), np.empty(n_dates)
    for left in range(0, n_tickers, _COLUMNS):
        w = min(_COLUMNS, n_tickers - left)
        for t in range(n_dates):
            for j in range(w):
                columns[j, t] = returns[t, left + j]
        for f in range(n_factors):
            for j in range(w):
                beta, x_mean, y_mean = fit[f, left + j, 1], fit[f, left + j, 5], fit[f, left + j, 6]
                n = counts[f, left + j]
                if np.isnan(beta):
                    continue
                i = 0
                for t in range(n_dates):
                    x, y = factor_returns[f, t], columns[j, t]
                    if np.isfinite(x) and np.isfinite(y):
                        dx = x - x_mean
                        residual = (y - y_mean) - beta * dx
                        a[i], b[i], chosen[i] = residual, residual * dx, residual * x
                        i += 1
                lags = lags_by_code(rule, chosen[:n])
                used[f, left + j] = lags
                sums[f, left + j] = long_run_sums(a[:n], b[:n], lags)
    return sums, used


def long_run_covariance(scores: Array, *, lags: int) -> Array:
    """S of the module's formula.

    Parameters
    ----------
    scores
        float64 of shape (n_observations, n_scores), without NaN. Their means are not taken off.
    lags
        L. Autocovariances beyond n_observations - 1 are 0.

    Returns
    -------
    Shape (n_scores, n_scores), symmetric, never negative definite.
    """
    n = len(scores)
    total: Array = scores.T @ scores
    for j in range(1, min(lags, n - 1) + 1):
        gamma = scores[j:].T @ scores[:-j]
        total = total + (1.0 - j / (lags + 1.0)) * (gamma + gamma.T)
    return total / n


def coefficient_covariance(regressors: Array, residuals: Array, *, lags: int) -> Array:
    """Newey-West covariance of least-squares coefficients.

    Parameters
    ----------
    regressors
        float64 of shape (n_observations, n_coefficients), with the constant if there is one; of full rank, no NaN.
    residuals
        float64 of shape (n_observations,).

    Returns
    -------
    Shape (n_coefficients, n_coefficients), with the factor n / (n - k). With 0 lags it is White's HC1.

    Raises
    ------
    MisalignedError
        If the numbers of observations differ.
    EvaluationError
        If there are not more observations than coefficients.
    """
    if regressors.ndim != 2 or residuals.shape != regressors.shape[:1]:
        raise MisalignedError(
            "Newey-West wants regressors of shape (n_observations, n_coefficients) and residuals of shape"
            f" (n_observations,); got {regressors.shape} and {residuals.shape}."
        )
    n, k = regressors.shape
    if n <= k:
        raise EvaluationError(f"Newey-West wants more observations than the {k} coefficients, got {n}.")
    # X = QR: (X'X)^-1 X' diag(e) = R^-1 Q' diag(e), without forming X'X
    q, r = np.linalg.qr(regressors)
    middle = long_run_covariance(q * residuals[:, None], lags=lags) * n
    half = np.linalg.solve(r, middle)
    covariance: Array = n / (n - k) * np.linalg.solve(r, half.T)
    return (covariance + covariance.T) / 2.0


def newey_west_mean(values: Array, *, lags: Lags = "fixed", overlap: int = 0) -> Mean:
    """Mean of each series with a Newey-West standard error.

    Parameters
    ----------
    values
        float64 of shape (n_dates,) or (n_dates, n_series). NaN and infinite are missing.
    lags
        A number of lags; "fixed" is floor(4 (n / 100) ** (2 / 9)); "newey_west_1994" lets each series choose.
    overlap
        Sessions that neighbouring values share: horizon - 1 for a rank IC or a return over several sessions. A rule
        never gives fewer lags (Hansen and Hodrick 1980, Journal of Political Economy 88(5): such values are
        autocorrelated up to that lag); a number of lags is taken as it is.

    Returns
    -------
    Shapes () or (n_series,). The standard error has the factor n / (n - 1): with 0 lags it is s / sqrt(n).

    Raises
    ------
    EvaluationError
        If the values have another number of dimensions, or the lags or the overlap are not valid.
    """
    if values.ndim not in {1, 2}:
        raise EvaluationError(f"A mean wants values of shape (n_dates,) or (n_dates, n_series), got {values.shape}.")
    if overlap < 0:
        raise EvaluationError(f"The overlap wants at least 0 sessions, got {overlap}.")
    code = rule_code(lags)
    series = np.atleast_2d(values.T)  # (n_series, n_dates)
    mean, error = np.full(len(series), np.nan), np.full(len(series), np.nan)
    n_observations, used = np.zeros(len(series), np.int64), np.zeros(len(series), np.int64)
    for i, one in enumerate(series):
        present = one[np.isfinite(one)]
        n = n_observations[i] = len(present)
        if n == 0:
            continue
        mean[i] = present.mean()
        deviation = present - mean[i]
        used[i] = max(lags_by_code(code, deviation), overlap if code < 0 else 0)
        if used[i] < n and n > 1 and present.min() < present.max():
            variance = long_run_covariance(deviation[:, None], lags=int(used[i])).item()
            error[i] = np.sqrt(variance / (n - 1))
    shape = values.shape[1:]
    estimate = infer(mean.reshape(shape), error.reshape(shape), freedom=n_observations.reshape(shape) - 1)
    return Mean(estimate=estimate, n_observations=n_observations.reshape(shape), lags=used.reshape(shape))
