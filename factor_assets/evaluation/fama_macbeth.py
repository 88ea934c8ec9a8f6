r"""Fama-MacBeth regressions: what one unit of a characteristic or of a beta earned, on average over dates.

1. On each date t, returns are regressed across tickers on a constant and the regressors known before:
   :math:`r_{i,t} = \gamma_{0,t} + \sum_k \gamma_{k,t} x_{k,i,t} + e_{i,t}`. A ticker counts where all are present.
2. The estimate of a premium is the mean of its :math:`\gamma_{k,t}`, and its error that of the mean of a series: the
   ordinary one, Newey-West's, and, where the regressors are estimated betas, Shanken's.

The regressors of row t go with the returns of row t: whoever calls lags them. What does not belong here: ranking,
winsorising or neutralising the regressors (the factor language), regressions over time (`regressions.py`).

References
----------
Fama and MacBeth (1973), Risk, return, and equilibrium: empirical tests, Journal of Political Economy 81(3). Shanken
(1992), On the estimation of beta-pricing models, Review of Financial Studies 5(1), doi 10.1093/rfs/5.1.1. Cochrane
(2005), Asset Pricing, revised ed., ch. 12. Bjorck (1987), Stability analysis of the method of seminormal equations for
linear least squares problems, Linear Algebra and its Applications 88/89.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from os import cpu_count

import numpy as np
import numpy.typing as npt
from numba import boolean, float64, int64, njit, types, void

from factor_assets.errors import EvaluationError, MisalignedError
from factor_assets.evaluation.newey_west import Estimate, Lags, infer, newey_west_mean
from factor_assets.evaluation.ranking import Counts
from factor_assets.evaluation.spanning import OWN_VARIANCE, is_collinear
from factor_assets.panel.panel import Array

_CHUNK_CELLS = 65_536  # cells of a chunk of dates, which is copied so that its regressors lie in one array

_USED, _FEW, _COLLINEAR = range(3)
_REASONS = np.array(["", "too few tickers", "collinear regressors"])


@dataclass(frozen=True, eq=False)
class FamaMacBeth:
    """Premia of the constant (first) and of the regressors, in the order given.

    Parameters
    ----------
    names
        "constant" and the regressors' names; everything of shape (n_premia,) is in this order.
    ordinary, newey_west
        Of shape (n_premia,): return per session and unit of the regressor. Student t with n_dates_used - 1 degrees of
        freedom.
    shanken
        With the correction for estimated betas; None where it was not asked for.
    lags
        In the Newey-West errors.
    premia
        Shape (n_dates, n_premia): each date's coefficients. NaN on a date that is not used.
    rsquared
        Shape (n_dates,); NaN on a date that is not used, or on which all returns are the same.
    n_tickers
        Shape (n_dates,): tickers with everything, also on dates that are not used.
    reason
        Shape (n_dates,): why a date is not used; empty where it is.
    mean_rsquared, mean_n_tickers
        Over the dates used.
    n_dates_used, n_dates_few, n_dates_collinear
        Dates used, left out for too few tickers, left out for collinear regressors (one without any variance on that
        date is collinear with the constant).
    """

    names: tuple[str, ...]
    ordinary: Estimate
    newey_west: Estimate
    shanken: Estimate | None
    lags: int
    premia: Array
    rsquared: Array
    n_tickers: Counts
    reason: npt.NDArray[np.str_]
    mean_rsquared: float
    mean_n_tickers: float
    n_dates_used: int
    n_dates_few: int
    n_dates_collinear: int


def fama_macbeth(
    returns: Array,
    regressors: Mapping[str, Array],
    *,
    min_tickers: int = 10,
    lags: Lags = "fixed",
    overlap: int = 0,
    factor_returns: Mapping[str, Array] | None = None,
) -> FamaMacBeth:
    r"""Regress returns across tickers date by date and average the coefficients.

    Parameters
    ----------
    returns
        float64 of shape (n_dates, n_tickers). NaN and infinite are missing.
    regressors
        Name -> float64 of the same shape, known before the returns of the same row begin. A ticker with any of them
        missing is left out on that date.
    min_tickers
        A date with fewer tickers is not used. At least two more than there are regressors, so that a residual is left.
    lags, overlap
        As in `newey_west_mean`. By rule "fixed", floor(4 (n / 100) ** (2 / 9)) of the n dates used: premia of single
        sessions are nearly uncorrelated, and the lags guard against what is left. Returns over h sessions overlap:
        give `overlap=h - 1`. A rule that reads the data gives every premium its own lags; the largest is used for all.
    factor_returns
        Name -> float64 of shape (n_dates,): the returns of the factors whose estimated betas the regressors are, one
        for each regressor. Asks for the Shanken correction; its errors are NaN where a factor is missing on a date
        used, constant or collinear.

    Returns
    -------
    All NaN, with the counts of dates, where no date can be used.

    Raises
    ------
    MisalignedError
        If the shapes differ.
    EvaluationError
        If there is no regressor or one named "constant", the factor returns are not those of the regressors, or the
        lags or the overlap are not valid.

    Notes
    -----
    Each date's normal equations are those of centred regressors of length one (their correlations), solved by Cholesky
    with one step of refinement on the residuals (Bjorck 1987): as accurate as QR until a regressor has less than 1e-10
    of its variance for itself, which counts as collinear. Memory beyond the inputs is the premia and one chunk of
    dates; no date depends on another.

    Shanken's (1992) covariance of the mean is :math:`(1 + c)(V - \Omega) + \Omega` with V the ordinary covariance of
    the mean, :math:`\Omega` that of the mean factor return (0 for the constant) and
    :math:`c = \gamma' \Sigma_F^{-1} \gamma`, as in Cochrane (2005), section 12.2. It holds for returns uncorrelated
    over time. Betas are taken as estimated once over the same dates. Where V is below :math:`\Omega` for a premium, by
    chance, its error is left as it is: the correction never makes it smaller.
    """
    names = tuple(regressors)
    _require_aligned(returns, regressors)
    if factor_returns is not None and set(factor_returns) != set(names):
        raise EvaluationError(
            "The Shanken correction wants one factor return for each regressor, the factor whose beta it is:"
            f" {sorted(names)}; got {sorted(factor_returns)}."
        )
    premia, rsquared, n_tickers, codes = _by_date(returns, regressors, max(min_tickers, len(names) + 2))
    used = codes == _USED
    ordinary = newey_west_mean(premia, lags=0)
    lags_used = newey_west_mean(premia, lags=lags, overlap=overlap).lags.max().item()
    shanken = None
    if factor_returns is not None:
        for name in names:
            if factor_returns[name].shape != returns.shape[:1]:
                raise MisalignedError(
                    f"The factor return {name!r} wants shape {returns.shape[:1]}, got {factor_returns[name].shape}."
                )
        shanken = _shanken(premia[used], np.stack([factor_returns[name] for name in names], axis=1)[used])
    with_rsquared = rsquared[np.isfinite(rsquared)]
    return FamaMacBeth(
        names=("constant", *names),
        ordinary=ordinary.estimate,
        newey_west=newey_west_mean(premia, lags=lags_used).estimate,
        shanken=shanken,
        lags=lags_used,
        premia=premia,
        rsquared=rsquared,
        n_tickers=n_tickers,
        reason=_REASONS[codes],
        mean_rsquared=float(with_rsquared.mean()) if len(with_rsquared) else np.nan,
        mean_n_tickers=float(n_tickers[used].mean()) if used.any() else np.nan,
        n_dates_used=int(used.sum()),
        n_dates_few=int((codes == _FEW).sum()),
        n_dates_collinear=int((codes == _COLLINEAR).sum()),
    )


def _require_aligned(returns: Array, regressors: Mapping[str, Array]) -> None:
    if not regressors or "constant" in regressors:
        raise EvaluationError(
            "Fama-MacBeth wants at least one regressor besides the constant, which it adds itself;"
            f" got {sorted(regressors)}."
        )
    if returns.ndim != 2:
        raise MisalignedError(f"Fama-MacBeth wants returns of shape (n_dates, n_tickers), got {returns.shape}.")
    for name, values in regressors.items():
        if values.shape != returns.shape:
            raise MisalignedError(
                f"The regressor {name!r} wants the shape of the returns, {returns.shape}; got {values.shape}."
            )


def _shanken(premia: Array, factors: Array) -> Estimate:
    """Correct the error of the mean premia, shape (n_dates_used, n_premia), for betas on factors (n_dates_used, k)."""
    n = len(premia)
    mean = premia.mean(axis=0) if n else np.full(premia.shape[1], np.nan)
    if n <= premia.shape[1] or not np.isfinite(factors).all() or is_collinear(factors):
        return infer(mean, np.nan, freedom=n - 1)
    covariance = np.atleast_2d(np.cov(factors, rowvar=False))  # (k, k)
    c = mean[1:] @ np.linalg.solve(covariance, mean[1:])
    variance = premia.var(axis=0, ddof=1) / n
    of_factors = np.concatenate([[0.0], np.diag(covariance) / n])
    return infer(mean, np.sqrt(variance + c * np.maximum(variance - of_factors, 0.0)), freedom=n - 1)


def _by_date(
    returns: Array, regressors: Mapping[str, Array], min_tickers: int
) -> tuple[Array, Array, Counts, npt.NDArray[np.int64]]:
    """Coefficients (n_dates, 1 + k), R2, tickers and code of each date; chunks of dates go to all cores."""
    n_dates, n_tickers = returns.shape
    premia, rsquared = np.empty((n_dates, 1 + len(regressors))), np.empty(n_dates)
    counts, codes = np.empty(n_dates, np.int64), np.empty(n_dates, np.int64)
    height = max(1, _CHUNK_CELLS // max(n_tickers, 1))

    def run(start: int) -> None:
        rows = slice(start, min(start + height, n_dates))
        chunk = np.empty((len(regressors), rows.stop - start, n_tickers))
        for values, into in zip(regressors.values(), chunk, strict=True):
            into[:] = values[rows]
        y = np.ascontiguousarray(returns[rows], np.float64)
        _regress_dates(y, chunk, min_tickers, premia[rows], rsquared[rows], counts[rows], codes[rows])

    starts = range(0, n_dates, height)
    if len(starts) < 2:
        for start in starts:
            run(start)
    else:
        with ThreadPoolExecutor(max(1, min(cpu_count() or 1, len(starts)))) as pool:
            list(pool.map(run, starts))
    return premia, rsquared, counts, codes


_VECTOR = float64[::1]


# regrouped additions fill the vector registers: the same bits on one kind of processor, and rounding on another
@njit(float64(_VECTOR, _VECTOR), cache=True, nogil=True, error_model="numpy", fastmath={"reassoc"})
def _dot(a, b):  # type: ignore[no-untyped-def]
    total = 0.0
    for i in range(len(a)):
        total += a[i] * b[i]
    return total


@njit((_VECTOR, _VECTOR, float64), cache=True, nogil=True, error_model="numpy")
def _centre(a, present, n):  # type: ignore[no-untyped-def]
    """Take the mean of the n present values off in place; what is missing is 0, before and after.

    Returns the mean and the length of what is left, which is 0 exactly where all are the same.
    """
    first = 0.0
    for i in range(len(a)):
        if present[i] > 0.0:
            first = a[i]
            break
    n_differ = 0
    for i in range(len(a)):
        n_differ += 1 if present[i] > 0.0 and a[i] != first else 0
    mean = _dot(a, present) / n if n_differ > 0 else first
    for i in range(len(a)):
        a[i] = a[i] - mean if present[i] > 0.0 else 0.0
    return mean, np.sqrt(_dot(a, a))


@njit(boolean(float64[:, ::1], float64), cache=True, nogil=True, error_model="numpy")
def _cholesky(a, smallest):  # type: ignore[no-untyped-def]
    """Factor a correlation matrix in place, lower; False where a pivot is below `smallest`."""
    for j in range(len(a)):
        for i in range(j, len(a)):
            for m in range(j):
                a[i, j] -= a[i, m] * a[j, m]
        if not a[j, j] >= smallest:
            return False
        a[j, j] = np.sqrt(a[j, j])
        for i in range(j + 1, len(a)):
            a[i, j] /= a[j, j]
    return True


@njit(void(float64[:, ::1], _VECTOR), cache=True, nogil=True, error_model="numpy")
def _solve(lower, b):  # type: ignore[no-untyped-def]
    """Solve L L' x = b in place."""
    k = len(b)
    for i in range(k):
        for m in range(i):
            b[i] -= lower[i, m] * b[m]
        b[i] /= lower[i, i]
    for i in range(k - 1, -1, -1):
        for m in range(i + 1, k):
            b[i] -= lower[m, i] * b[m]
        b[i] /= lower[i, i]


_READ_2D, _READ_3D = types.Array(float64, 2, "C", readonly=True), types.Array(float64, 3, "C", readonly=True)


@njit(
    void(_READ_2D, _READ_3D, int64, float64[:, ::1], _VECTOR, int64[::1], int64[::1]),
    cache=True,
    nogil=True,
    error_model="numpy",
)
def _regress_dates(returns, regressors, min_tickers, premia, rsquared, counts, codes):  # type: ignore[no-untyped-def]  # noqa: C901, PLR0912, PLR0917 (one compiled pass; Numba has no keyword-only arguments)
    """Fill one row of the results for each date; `regressors` is (k, n_dates, n_tickers)."""
    k, n_dates, n_tickers = regressors.shape
    y, x, present = np.empty(n_tickers), np.empty((k, n_tickers)), np.empty(n_tickers)
    lower, step, solution = np.empty((k, k)), np.empty(k), np.empty(k)
    means, lengths = np.empty(k), np.empty(k)
    for d in range(n_dates):
        premia[d], rsquared[d] = np.nan, np.nan
        for i in range(n_tickers):
            present[i] = 1.0 if abs(returns[d, i]) < np.inf else 0.0
        for j in range(k):
            for i in range(n_tickers):
                present[i] = present[i] if abs(regressors[j, d, i]) < np.inf else 0.0
        n = _dot(present, present)
        counts[d] = int(n)
        codes[d] = _FEW
        if n < min_tickers:
            continue
        codes[d] = _COLLINEAR
        for i in range(n_tickers):
            y[i] = returns[d, i] if present[i] > 0.0 else 0.0
        y_mean, y_length = _centre(y, present, n)
        varies = True
        for j in range(k):
            for i in range(n_tickers):
                x[j, i] = regressors[j, d, i] if present[i] > 0.0 else 0.0
            means[j], lengths[j] = _centre(x[j], present, n)
            varies &= lengths[j] > 0.0
            for i in range(n_tickers):
                x[j, i] /= lengths[j]
        if not varies:
            continue
        for j in range(k):
            for m in range(j + 1):
                lower[j, m] = _dot(x[j], x[m])
        if not _cholesky(lower, OWN_VARIANCE):
            continue
        codes[d] = _USED
        solution[:] = 0.0
        # the second round solves for what the residuals still hold
        for _ in range(2):
            for j in range(k):
                step[j] = _dot(x[j], y)
            _solve(lower, step)
            for j in range(k):
                solution[j] += step[j]
                for i in range(n_tickers):
                    y[i] -= step[j] * x[j, i]
        constant = y_mean
        for j in range(k):
            premia[d, 1 + j] = solution[j] / lengths[j]
            constant -= premia[d, 1 + j] * means[j]
        premia[d, 0] = constant
        if y_length > 0.0:
            rsquared[d] = 1.0 - _dot(y, y) / (y_length * y_length)
