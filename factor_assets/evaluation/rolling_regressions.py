r"""Regression of each ticker's return on one factor's return over a window of sessions that ends on each date.

.. math:: r_{i,s} = a_{i,t} + b_{i,t} F_s + e_{i,s}, \qquad s = t - n + 1, \dots, t

One pass gives all numbers of all windows. The scheme is that of the rolling kernels of the factor language (two
half-windows merged, nothing ever subtracted from a running sum: `expressions/rolling.py`), and the sums are powers of
the distance to a value of the window (`expressions/moments.py`). The result for a date is therefore the same to the
bit wherever a slice starts, and a constant window has no variance exactly. What does not belong here: one regression
over all sessions (`regressions.py`); a beta as a factor (`beta` of the language).
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from os import cpu_count

import numpy as np
from numba import float64, int64, njit, types, void

from factor_assets.errors import EvaluationError, MisalignedError
from factor_assets.expressions.rolling import GROUP, RESULT, SOURCE, STRIDE
from factor_assets.panel.panel import Array

_SERIES = types.Array(float64, 1, "C", readonly=True)
_SMALL = 100_000  # cells; below, threads cost more than they give
_ROUNDING = 1e-13  # share of the variance that the sums cannot tell from 0


@dataclass(frozen=True, eq=False)
class RollingRegressions:
    """Ordinary least squares over the window that ends on each date, each of shape (n_dates, n_tickers).

    Parameters
    ----------
    alpha
        Fraction per session.
    tstat
        Of beta: ordinary standard error. NaN where residuals are no more than rounding.
    rsquared
        Fraction in [0, 1].
    n_observations
        Sessions of the window with both returns; whole numbers, also where there is no regression.
    """

    alpha: Array
    beta: Array
    tstat: Array
    rsquared: Array
    n_observations: Array


def rolling_regressions(
    returns: Array,
    factor_return: Array,
    *,
    window: int = 252,
    min_observations: int | None = None,
    first_row: int = 0,
) -> RollingRegressions:
    """Regress every ticker on the factor over the last `window` sessions, for each date.

    Parameters
    ----------
    returns
        float64 of shape (n_dates, n_tickers). NaN and infinite are missing.
    factor_return
        float64 of shape (n_dates,), of the same sessions. NaN and infinite are missing.
    window
        Sessions, with the date itself.
    min_observations
        With fewer sessions that have both there is no regression; by default the whole window, as in the language. At
        least 3.
    first_row
        Ordinal of the first row among all sessions (`Panel.first_row`). A slice gives the same bits as the whole when
        it has its own `first_row` and window - 1 sessions of lookback before the first date wanted.

    Returns
    -------
    No regression (NaN) with too few observations, or where either return is constant over them. Windows that reach
    back before the first row hold only the sessions that are there.

    Raises
    ------
    MisalignedError
        If the factor's return does not have the dates of the returns.
    EvaluationError
        If the window has fewer than 3 sessions, or does not hold the observations wanted.

    Notes
    -----
    SSR is Syy - Sxy ** 2 / Sxx, so that t loses as many digits as 1 - R2 has zeros.
    """
    if returns.ndim != 2 or factor_return.shape != returns.shape[:1]:
        raise MisalignedError(
            "Rolling regressions want returns of shape (n_dates, n_tickers) and a factor return of shape (n_dates,);"
            f" got {returns.shape} and {factor_return.shape}."
        )
    wanted = window if min_observations is None else min_observations
    if window < 3 or wanted > window:
        raise EvaluationError(
            f"A rolling regression wants a window of at least 3 sessions that holds the {wanted} observations asked"
            f" for, got {window}."
        )
    y, x = np.ascontiguousarray(returns, np.float64), np.ascontiguousarray(factor_return, np.float64)
    results = [np.empty(y.shape) for _ in range(5)]
    n_tickers = y.shape[1]
    n_groups = -(-n_tickers // GROUP)
    n_threads = max(1, min(cpu_count() or 1, n_groups)) if y.size > _SMALL else 1
    edges = [min(GROUP * (n_groups * k // n_threads), n_tickers) for k in range(n_threads + 1)]

    def run(k: int) -> None:
        _roll(y, x, window, first_row, float(max(wanted, 3)), edges[k], edges[k + 1], *results)

    if n_threads == 1:
        run(0)
    else:
        with ThreadPoolExecutor(n_threads) as pool:
            list(pool.map(run, range(n_threads)))
    alpha, beta, tstat, rsquared, n_observations = results
    return RollingRegressions(alpha=alpha, beta=beta, tstat=tstat, rsquared=rsquared, n_observations=n_observations)


@njit(
    void(SOURCE, _SERIES, int64, int64, float64, int64, int64, RESULT, RESULT, RESULT, RESULT, RESULT),
    cache=True,
    nogil=True,
    error_model="numpy",
)
def _roll(y, x, n, first_row, wanted, begin, end, alphas, betas, tstats, rsquareds, counts):  # type: ignore[no-untyped-def]  # noqa: PLR0915, PLR0917 (one compiled pass; Numba has no keyword-only arguments)
    """Fill the results of tickers begin..end; rows of `newer` and `suffixes`: n, Sx, Sy, Sxx, Sxy, Syy."""
    n_dates = len(x)
    newer, newer_reference, older_reference = np.empty((6, STRIDE)), np.empty((2, STRIDE)), np.empty((2, STRIDE))
    suffixes = np.empty((min(n, n_dates + 1), 6, STRIDE))
    for left in range(begin, end, GROUP):
        w = min(GROUP, end - left)
        newer[:], newer_reference[:], suffixes[0], older_reference[:] = 0.0, 0.0, 0.0, 0.0
        n_known = 0
        for i in range(n_dates):
            p = (first_row + i) % n
            if p == 0:
                newer[:] = 0.0
            older = suffixes[min(n - 1 - p, n_known)]
            v, row = x[i], y[i, left : left + w]
            if abs(v) < np.inf:
                for j in range(w):
                    z = row[j]
                    here = abs(z) < np.inf
                    fresh = here and newer[0, j] == 0.0
                    ref_x = v if fresh else newer_reference[0, j]
                    ref_y = z if fresh else newer_reference[1, j]
                    a, b = v - ref_x if here else 0.0, z - ref_y if here else 0.0
                    newer_reference[0, j], newer_reference[1, j] = ref_x, ref_y
                    newer[0, j] += 1.0 if here else 0.0
                    newer[1, j] += a
                    newer[2, j] += b
                    newer[3, j] += a * a
                    newer[4, j] += a * b
                    newer[5, j] += b * b
            alpha, beta, tstat = alphas[i, left : left + w], betas[i, left : left + w], tstats[i, left : left + w]
            rsquared, count = rsquareds[i, left : left + w], counts[i, left : left + w]
            for j in range(w):
                c, o = newer[0, j], older[0, j]
                ref_x = newer_reference[0, j] if c > 0.0 else older_reference[0, j]
                ref_y = newer_reference[1, j] if c > 0.0 else older_reference[1, j]
                dx = older_reference[0, j] - ref_x if o > 0.0 else 0.0
                dy = older_reference[1, j] - ref_y if o > 0.0 else 0.0
                moved_x, moved_y = older[1, j] + o * dx, older[2, j] + o * dy
                m = o + c
                sx, sy = newer[1, j] + moved_x, newer[2, j] + moved_y
                xx = m * (newer[3, j] + (older[3, j] + (older[1, j] + moved_x) * dx)) - sx * sx
                xy = m * (newer[4, j] + (older[4, j] + (older[1, j] * dy + moved_y * dx))) - sx * sy
                yy = m * (newer[5, j] + (older[5, j] + (older[2, j] + moved_y) * dy)) - sy * sy
                slope = xy / xx
                fits = m >= wanted and xx > 0.0 and yy > 0.0 and abs(slope) < np.inf
                explained = slope * xy
                left_over = yy - explained
                count[j] = m
                beta[j] = slope if fits else np.nan
                alpha[j] = ref_y + (sy - slope * sx) / m - slope * ref_x if fits else np.nan
                share = explained / yy
                rsquared[j] = min(share, 1.0) if fits else np.nan
                value = slope * np.sqrt((m - 2.0) * xx / left_over)
                tstat[j] = value if fits and left_over > _ROUNDING * yy else np.nan
            if p == n - 1:
                n_known = min(n - 1, i + 1)
                for q in range(n_known):
                    v, row = x[i - q], y[i - q, left : left + w]
                    present = abs(v) < np.inf
                    later, now = suffixes[q], suffixes[q + 1]
                    for j in range(w):
                        z = row[j]
                        here = present and abs(z) < np.inf
                        fresh = here and later[0, j] == 0.0
                        ref_x = v if fresh else older_reference[0, j]
                        ref_y = z if fresh else older_reference[1, j]
                        a, b = v - ref_x if here else 0.0, z - ref_y if here else 0.0
                        older_reference[0, j], older_reference[1, j] = ref_x, ref_y
                        now[0, j] = later[0, j] + (1.0 if here else 0.0)
                        now[1, j], now[2, j] = later[1, j] + a, later[2, j] + b
                        now[3, j], now[4, j] = later[3, j] + a * a, later[4, j] + a * b
                        now[5, j] = later[5, j] + b * b
