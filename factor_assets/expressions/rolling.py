"""The scheme of all rolling kernels (one pass, O(1) a cell, the same bits wherever a slice starts), and the plain ones.

Every rolling statistic is an aggregate that two neighbouring spans can be merged by (here a sum, a product or an
extreme), so nothing is ever subtracted from a running value and nothing drifts. For a window of n sessions (van Herk
1992, Gil and Werman 1993):

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
van Herk (1992), Pattern Recognition Letters 13(7). Gil and Werman (1993), IEEE PAMI 15(5).
"""

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
from numba import float64, int64, njit, types, void

from factor_assets.expressions import elementwise

Array = npt.NDArray[np.float64]

SOURCE = types.Array(float64, 2, "C", readonly=True)
RESULT = types.Array(float64, 2, "C")

# how many tickers go by together, and the distance of their rows in memory, which is not a multiple of 4096 bytes
GROUP, STRIDE = 128, 136

_STATE_BYTES = 512 * 1024
_MAX_WIDTH, _MIN_WIDTH = 128, 16


@njit(void(SOURCE, int64, int64, float64, int64, int64, RESULT), cache=True, nogil=True, error_model="numpy")
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


@njit(void(SOURCE, int64, int64, float64, int64, float64, RESULT), cache=True, nogil=True, error_model="numpy")
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


@njit(void(SOURCE, int64, int64, float64, int64, RESULT), cache=True, nogil=True, error_model="numpy")
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


def _product(out: Array, x: Array, *, first_row: int, n: int, min_periods: int) -> None:
    _products(x, n, first_row, float(min_periods), _width(n, 2), out)


def _delay(out: Array, x: Array, *, first_row: int, n: int) -> None:  # noqa: ARG001
    out[:n] = np.nan
    out[n:] = x[:-n]


def _delta(out: Array, x: Array, *, first_row: int, n: int) -> None:  # noqa: ARG001
    out[:n] = np.nan
    elementwise.COMPUTE["subtract"](x[n:], x[:-n], out=out[n:])


def _pct_change(out: Array, x: Array, *, first_row: int, n: int) -> None:  # noqa: ARG001
    out[:n] = np.nan
    elementwise.COMPUTE["divide"](x[n:], x[:-n], out=out[n:])
    out[n:] -= 1.0


COMPUTE: Mapping[str, Callable[..., None]] = {
    "delay": _delay,
    "delta": _delta,
    "pct_change": _pct_change,
    "sum": _sum_of(0),
    "mean": _sum_of(1),
    "count": _sum_of(2),
    "product": _product,
    "min": _extreme_of(-1.0),
    "max": _extreme_of(1.0),
}
