"""Kernels of the time-series operators: one pass, O(1) a cell, and bits that do not depend on where a slice starts.

Every rolling statistic is an aggregate that two neighbouring spans can be merged by (a sum, an extreme, or the
moments of Chan, Golub and LeVeque 1979), so nothing is ever subtracted from a running value and nothing drifts. For a
window of n sessions (van Herk 1992, Gil and Werman 1993):

1. Sessions are cut into blocks of n at absolute ordinals: session a is at place a % n of block a // n.
2. At the end of a block its suffix aggregates are made, from its last session back to its first.
3. The prefix aggregate of the block in progress grows by one session a step.
4. The window that ends at place p is the older block's suffix from place p + 1 and the newer block's prefix up to p;
   they are merged in that order.

A value therefore comes from the same operations in the same order wherever the evaluation began, as long as its n
sessions are there. Sessions before the first row count as missing. Tickers go by in groups, so that the suffixes of
a group stay in cache and the inner loop runs over neighbouring tickers.

References
----------
Chan, Golub and LeVeque (1979), Updating formulae and a pairwise algorithm for computing sample variances, Stanford
STAN-CS-79-773. van Herk (1992), Pattern Recognition Letters 13(7). Gil and Werman (1993), IEEE PAMI 15(5).
"""

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
from numba import float64, int64, njit, types, void

from factor_assets.expressions import elementwise

Array = npt.NDArray[np.float64]

_SOURCE = types.Array(float64, 2, "C", readonly=True)
_RESULT = types.Array(float64, 2, "C")

_STATE_BYTES = 512 * 1024
_MAX_WIDTH, _MIN_WIDTH = 128, 16


@njit(void(_SOURCE, int64, int64, float64, int64, int64, _RESULT), cache=True, nogil=True, error_model="numpy")
def _sums(x: Array, n: int, first_row: int, min_periods: float, width: int, statistic: int, out: Array) -> None:
    """Rolling sum (statistic 0), mean (1) or count (2)."""
    n_dates, n_tickers = x.shape
    total, count = np.empty(width), np.empty(width)
    totals, counts = np.empty((n + 1, width)), np.empty((n + 1, width))
    for left in range(0, n_tickers, width):
        w = min(width, n_tickers - left)
        total[:], count[:], totals[:], counts[:] = 0.0, 0.0, 0.0, 0.0
        for i in range(n_dates):
            p = (first_row + i) % n
            row, result = x[i, left : left + w], out[i, left : left + w]
            older, n_older = totals[p + 1], counts[p + 1]
            if p == 0:
                total[:], count[:] = 0.0, 0.0
            for j in range(w):
                v = row[j]
                here = not np.isnan(v)
                total[j] += v if here else 0.0
                count[j] += 1.0 if here else 0.0
            if statistic == 0:
                for j in range(w):
                    v = older[j] + total[j]
                    result[j] = v if n_older[j] + count[j] >= min_periods and abs(v) < np.inf else np.nan
            elif statistic == 1:
                for j in range(w):
                    m = n_older[j] + count[j]
                    v = (older[j] + total[j]) / m
                    result[j] = v if m >= min_periods and abs(v) < np.inf else np.nan
            else:
                for j in range(w):
                    result[j] = n_older[j] + count[j]
            if p == n - 1:
                for q in range(n - 1, 0, -1):
                    known, k = i - (n - 1 - q) >= 0, max(i - (n - 1 - q), 0)
                    row = x[k, left : left + w]
                    for j in range(w):
                        v = row[j]
                        here = known and not np.isnan(v)
                        totals[q, j] = (v if here else 0.0) + totals[q + 1, j]
                        counts[q, j] = counts[q + 1, j] + (1.0 if here else 0.0)


@njit(void(_SOURCE, int64, int64, float64, int64, float64, _RESULT), cache=True, nogil=True, error_model="numpy")
def _extremes(x: Array, n: int, first_row: int, min_periods: float, width: int, sign: float, out: Array) -> None:
    """Rolling maximum (sign 1) or minimum (sign -1)."""
    n_dates, n_tickers = x.shape
    best, count = np.empty(width), np.empty(width)
    bests, counts = np.empty((n + 1, width)), np.empty((n + 1, width))
    for left in range(0, n_tickers, width):
        w = min(width, n_tickers - left)
        best[:], count[:], bests[:], counts[:] = -np.inf, 0.0, -np.inf, 0.0
        for i in range(n_dates):
            p = (first_row + i) % n
            row, result = x[i, left : left + w], out[i, left : left + w]
            older, n_older = bests[p + 1], counts[p + 1]
            if p == 0:
                best[:], count[:] = -np.inf, 0.0
            for j in range(w):
                v = sign * row[j]
                best[j] = v if v > best[j] else best[j]
                count[j] += 0.0 if np.isnan(v) else 1.0
            for j in range(w):
                m = n_older[j] + count[j]
                v = best[j] if best[j] > older[j] else older[j]
                result[j] = sign * v if m >= min_periods and abs(v) < np.inf else np.nan
            if p == n - 1:
                for q in range(n - 1, 0, -1):
                    known, k = i - (n - 1 - q) >= 0, max(i - (n - 1 - q), 0)
                    row = x[k, left : left + w]
                    for j in range(w):
                        v = sign * row[j] if known else np.nan
                        bests[q, j] = v if v > bests[q + 1, j] else bests[q + 1, j]
                        counts[q, j] = counts[q + 1, j] + (0.0 if np.isnan(v) else 1.0)


@njit(void(_SOURCE, int64, int64, float64, int64, _RESULT), cache=True, nogil=True, error_model="numpy")
def _products(x: Array, n: int, first_row: int, min_periods: float, width: int, out: Array) -> None:
    """Rolling product."""
    n_dates, n_tickers = x.shape
    total, count = np.empty(width), np.empty(width)
    totals, counts = np.empty((n + 1, width)), np.empty((n + 1, width))
    for left in range(0, n_tickers, width):
        w = min(width, n_tickers - left)
        total[:], count[:], totals[:], counts[:] = 1.0, 0.0, 1.0, 0.0
        for i in range(n_dates):
            p = (first_row + i) % n
            row, result = x[i, left : left + w], out[i, left : left + w]
            older, n_older = totals[p + 1], counts[p + 1]
            if p == 0:
                total[:], count[:] = 1.0, 0.0
            for j in range(w):
                v = row[j]
                here = not np.isnan(v)
                total[j] *= v if here else 1.0
                count[j] += 1.0 if here else 0.0
            for j in range(w):
                m = n_older[j] + count[j]
                v = older[j] * total[j]
                result[j] = v if m >= min_periods and abs(v) < np.inf else np.nan
            if p == n - 1:
                for q in range(n - 1, 0, -1):
                    known, k = i - (n - 1 - q) >= 0, max(i - (n - 1 - q), 0)
                    row = x[k, left : left + w]
                    for j in range(w):
                        v = row[j]
                        here = known and not np.isnan(v)
                        totals[q, j] = (v if here else 1.0) * totals[q + 1, j]
                        counts[q, j] = counts[q + 1, j] + (1.0 if here else 0.0)


@njit(void(_SOURCE, int64, int64, float64, int64, int64, _RESULT), cache=True, nogil=True, error_model="numpy")
def _moments(x: Array, n: int, first_row: int, min_periods: float, width: int, statistic: int, out: Array) -> None:
    """Rolling sample variance (statistic 0) or standard deviation (1): count, mean and sum of squares about it."""
    n_dates, n_tickers = x.shape
    count, mean, squares = np.empty(width), np.empty(width), np.empty(width)
    counts, means, squaress = np.empty((n + 1, width)), np.empty((n + 1, width)), np.empty((n + 1, width))
    for left in range(0, n_tickers, width):
        w = min(width, n_tickers - left)
        counts[:], means[:], squaress[:] = 0.0, 0.0, 0.0
        count[:], mean[:], squares[:] = 0.0, 0.0, 0.0
        for i in range(n_dates):
            p = (first_row + i) % n
            row, result = x[i, left : left + w], out[i, left : left + w]
            n_older, mean_older, squares_older = counts[p + 1], means[p + 1], squaress[p + 1]
            if p == 0:
                count[:], mean[:], squares[:] = 0.0, 0.0, 0.0
            for j in range(w):
                v = row[j]
                here = not np.isnan(v)
                m = count[j] + (1.0 if here else 0.0)
                d = v - mean[j] if here else 0.0
                mean[j] += d / max(m, 1.0)
                squares[j] += d * (v - mean[j]) if here else 0.0
                count[j] = m
            for j in range(w):
                m = n_older[j] + count[j]
                d = mean[j] - mean_older[j]
                both = n_older[j] * count[j] / max(m, 1.0)
                v = (squares_older[j] + squares[j] + d * d * both) / max(m - 1.0, 1.0)
                v = np.sqrt(v) if statistic == 1 else v
                result[j] = v if m >= min_periods and abs(v) < np.inf else np.nan
            if p == n - 1:
                for q in range(n - 1, 0, -1):
                    known, k = i - (n - 1 - q) >= 0, max(i - (n - 1 - q), 0)
                    row = x[k, left : left + w]
                    for j in range(w):
                        v = row[j]
                        here = known and not np.isnan(v)
                        m = counts[q + 1, j] + (1.0 if here else 0.0)
                        d = v - means[q + 1, j] if here else 0.0
                        mean_ = means[q + 1, j] + d / max(m, 1.0)
                        squaress[q, j] = squaress[q + 1, j] + (d * (v - mean_) if here else 0.0)
                        means[q, j] = mean_
                        counts[q, j] = m


@njit(void(_SOURCE, _SOURCE, int64, int64, float64, int64, int64, _RESULT), cache=True, nogil=True, error_model="numpy")
def _comoments(
    y: Array, x: Array, n: int, first_row: int, min_periods: float, width: int, statistic: int, out: Array
) -> None:
    """Rolling covariance (statistic 0), correlation (1) or slope of y on x (2), of the sessions that have both."""
    n_dates, n_tickers = x.shape
    state, states = np.empty((6, width)), np.empty((6, n + 1, width))
    count, mean_x, mean_y, xx, yy, xy = state[0], state[1], state[2], state[3], state[4], state[5]
    for left in range(0, n_tickers, width):
        w = min(width, n_tickers - left)
        state[:], states[:] = 0.0, 0.0
        for i in range(n_dates):
            p = (first_row + i) % n
            row_x, row_y, result = x[i, left : left + w], y[i, left : left + w], out[i, left : left + w]
            if p == 0:
                state[:] = 0.0
            for j in range(w):
                a, b = row_x[j], row_y[j]
                here = not (np.isnan(a) or np.isnan(b))
                m = count[j] + (1.0 if here else 0.0)
                share = (1.0 if here else 0.0) / max(m, 1.0)
                da, db = (a - mean_x[j] if here else 0.0), (b - mean_y[j] if here else 0.0)
                keep = 1.0 - share
                mean_x[j] += da * share
                mean_y[j] += db * share
                xx[j] += da * da * keep
                yy[j] += db * db * keep
                xy[j] += da * db * keep
                count[j] = m
            n_o, mean_x_o, mean_y_o = states[0, p + 1], states[1, p + 1], states[2, p + 1]
            xx_o, yy_o, xy_o = states[3, p + 1], states[4, p + 1], states[5, p + 1]
            for j in range(w):
                m = n_o[j] + count[j]
                da, db = mean_x[j] - mean_x_o[j], mean_y[j] - mean_y_o[j]
                both = n_o[j] * count[j] / max(m, 1.0)
                sxy = xy_o[j] + xy[j] + da * db * both
                if statistic == 0:
                    v = sxy / max(m - 1.0, 1.0)
                else:
                    sxx = xx_o[j] + xx[j] + da * da * both
                    if statistic == 1:
                        syy = yy_o[j] + yy[j] + db * db * both
                        scale = np.sqrt(sxx) * np.sqrt(syy)
                        v = sxy / scale if scale > 0.0 else np.nan
                        v = 1.0 if v > 1.0 else (-1.0 if v < -1.0 else v)
                    else:
                        v = sxy / sxx if sxx > 0.0 else np.nan
                result[j] = v if m >= min_periods and abs(v) < np.inf else np.nan
            if p == n - 1:
                for q in range(n - 1, 0, -1):
                    known, k = i - (n - 1 - q) >= 0, max(i - (n - 1 - q), 0)
                    row_x, row_y = x[k, left : left + w], y[k, left : left + w]
                    later, now = states[:, q + 1], states[:, q]
                    for j in range(w):
                        a, b = row_x[j], row_y[j]
                        here = known and not (np.isnan(a) or np.isnan(b))
                        m = later[0, j] + (1.0 if here else 0.0)
                        share = (1.0 if here else 0.0) / max(m, 1.0)
                        da, db = (a - later[1, j] if here else 0.0), (b - later[2, j] if here else 0.0)
                        keep = 1.0 - share
                        now[0, j] = m
                        now[1, j] = later[1, j] + da * share
                        now[2, j] = later[2, j] + db * share
                        now[3, j] = later[3, j] + da * da * keep
                        now[4, j] = later[4, j] + db * db * keep
                        now[5, j] = later[5, j] + da * db * keep


def _width(n: int, n_states: int) -> int:
    """Return how many tickers go by together: as many as keep their suffixes in cache."""
    fitting = _STATE_BYTES // (8 * n_states * (n + 1)) // 8 * 8
    return max(_MIN_WIDTH, min(_MAX_WIDTH, fitting))


def _sum_of(statistic: int) -> Callable[..., None]:
    def compute(out: Array, x: Array, *, first_row: int, n: int, min_periods: int = 0) -> None:
        _sums(x, n, first_row, float(min_periods), _width(n, 2), statistic, out)

    return compute


def _extreme_of(sign: float) -> Callable[..., None]:
    def compute(out: Array, x: Array, *, first_row: int, n: int, min_periods: int) -> None:
        _extremes(x, n, first_row, float(min_periods), _width(n, 2), sign, out)

    return compute


def _moment_of(statistic: int) -> Callable[..., None]:
    def compute(out: Array, x: Array, *, first_row: int, n: int, min_periods: int) -> None:
        _moments(x, n, first_row, float(max(min_periods, 2)), _width(n, 3), statistic, out)

    return compute


def _comoment_of(statistic: int) -> Callable[..., None]:
    def compute(out: Array, y: Array, x: Array, *, first_row: int, n: int, min_periods: int) -> None:
        _comoments(y, x, n, first_row, float(max(min_periods, 2)), _width(n, 6), statistic, out)

    return compute


def _product(out: Array, x: Array, *, first_row: int, n: int, min_periods: int) -> None:
    _products(x, n, first_row, float(min_periods), _width(n, 2), out)


def _delay(out: Array, x: Array, *, first_row: int, n: int) -> None:  # noqa: ARG001
    out[:n] = np.nan
    out[n:] = x[:-n]


def _delta(out: Array, x: Array, *, first_row: int, n: int) -> None:  # noqa: ARG001
    out[:n] = np.nan
    elementwise.COMPUTE["subtract"](x[n:], x[:-n], out=out[n:])


COMPUTE: Mapping[str, Callable[..., None]] = {
    "delay": _delay,
    "delta": _delta,
    "sum": _sum_of(0),
    "mean": _sum_of(1),
    "count": _sum_of(2),
    "product": _product,
    "min": _extreme_of(-1.0),
    "max": _extreme_of(1.0),
    "var": _moment_of(0),
    "std": _moment_of(1),
    "cov": _comoment_of(0),
    "corr": _comoment_of(1),
    "beta": _comoment_of(2),
}
