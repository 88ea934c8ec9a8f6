"""Kernels of the rolling order statistics: ranks, quantiles, places of extremes, and the mean absolute deviation.

A value depends on the window's values alone, so that it has the same bits however the panel was cut:

- `ts_rank` counts how many of the window are below and how many equal. Counts are whole numbers.
- `quantile` and `median` keep the window sorted: a session's value goes in and the one n sessions before goes out, by
  exchanging neighbours from the smallest up. Equal values have equal bits, since -0 becomes 0.
- `argmax` and `argmin` carry the place of the extreme through the block aggregates of `rolling.py`.
- `mad` adds up its window anew, oldest session first, twice: for the mean and for the distances from it.

All but the third do n steps a cell. A step is one pass over neighbouring tickers without a branch, which is faster
than a sorted window per ticker with binary search, even over 2,000 sessions.
"""

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
from numba import float64, int64, njit, types, void

Array = npt.NDArray[np.float64]

_SOURCE = types.Array(float64, 2, "C", readonly=True)
_RESULT = types.Array(float64, 2, "C")

_WIDTH = 128  # tickers that go by together, so that what is kept of their windows stays in cache


@njit(void(_SOURCE, int64, float64, int64, _RESULT), cache=True, nogil=True, error_model="numpy")
def _ranks(x: Array, n: int, min_periods: float, width: int, out: Array) -> None:
    """Average rank of the value at t among its window, over the count."""
    n_dates, n_tickers = x.shape
    count, twice = np.empty(width), np.empty(width)
    for left in range(0, n_tickers, width):
        right = min(left + width, n_tickers)
        count[:] = 0.0
        for i in range(n_dates):
            row, gone, result = x[i, left:right], x[max(i - n, 0), left:right], out[i, left:right]
            for j in range(right - left):
                leaves = i >= n and not np.isnan(gone[j])
                count[j] += (0.0 if np.isnan(row[j]) else 1.0) - (1.0 if leaves else 0.0)
            twice[:] = 1.0  # twice the rank is 1 + twice those below + those equal, itself among them
            for k in range(max(i - n + 1, 0), i + 1):
                other = x[k, left:right]
                for j in range(right - left):
                    twice[j] += (1.0 if other[j] < row[j] else 0.0) + (1.0 if other[j] <= row[j] else 0.0)
            for j in range(right - left):
                v = twice[j] / (2.0 * count[j])
                result[j] = v if count[j] >= min_periods and not np.isnan(row[j]) else np.nan


@njit(void(_SOURCE, int64, float64, int64, float64, _RESULT), cache=True, nogil=True, error_model="numpy")
def _quantiles(x: Array, n: int, min_periods: float, width: int, q: float, out: Array) -> None:
    """Rolling quantile: the window sorted, missing ones at its end as infinity."""
    n_dates, n_tickers = x.shape
    ordered = np.empty((n + 1, width))
    count, comes, goes = np.empty(width), np.empty(width), np.empty(width)
    for left in range(0, n_tickers, width):
        right = min(left + width, n_tickers)
        ordered[:], count[:] = np.inf, 0.0
        for i in range(n_dates):
            row, gone, result = x[i, left:right], x[max(i - n, 0), left:right], out[i, left:right]
            for j in range(right - left):
                comes[j] = row[j] + 0.0 if abs(row[j]) < np.inf else np.inf
                goes[j] = gone[j] + 0.0 if i >= n and abs(gone[j]) < np.inf else np.inf
                count[j] += (1.0 if comes[j] < np.inf else 0.0) - (1.0 if goes[j] < np.inf else 0.0)
            for k in range(min(n, i + 1)):
                here, after = ordered[k], ordered[k + 1]
                for j in range(right - left):
                    kept = here[j] if here[j] < goes[j] else after[j]
                    v = comes[j]
                    here[j] = kept if kept < v else v
                    comes[j] = v if kept < v else kept
            for j in range(right - left):
                # numpy's operations in numpy's order, so that both have the same bits
                at = max(count[j] - 1.0, 0.0) * q
                k = int(at)
                share = at - k
                low = ordered[k, j]
                gap = ordered[k + 1, j] - low if share > 0.0 else 0.0
                v = low + gap * share if share < 0.5 else ordered[k + 1, j] - gap * (1.0 - share)
                result[j] = v if count[j] >= min_periods and abs(v) < np.inf else np.nan


@njit(void(_SOURCE, int64, int64, float64, int64, float64, _RESULT), cache=True, nogil=True, error_model="numpy")
def _places(x: Array, n: int, first_row: int, min_periods: float, width: int, sign: float, out: Array) -> None:
    """Place in the window of its largest (sign 1) or smallest (sign -1) value, the oldest of equal ones."""
    n_dates, n_tickers = x.shape
    best, place, count = np.empty(width), np.empty(width), np.empty(width)
    bests, places, counts = np.empty((n + 1, width)), np.empty((n + 1, width)), np.empty((n + 1, width))
    for left in range(0, n_tickers, width):
        w = min(width, n_tickers - left)
        best[:], place[:], count[:] = -np.inf, 0.0, 0.0
        bests[:], places[:], counts[:] = -np.inf, 0.0, 0.0
        for i in range(n_dates):
            p = (first_row + i) % n
            row, result = x[i, left : left + w], out[i, left : left + w]
            older, place_older, n_older = bests[p + 1], places[p + 1], counts[p + 1]
            if p == 0:
                best[:], place[:], count[:] = -np.inf, 0.0, 0.0
            for j in range(w):
                v = sign * row[j]
                place[j] = p if v > best[j] else place[j]
                best[j] = v if v > best[j] else best[j]
                count[j] += 0.0 if np.isnan(v) else 1.0
            for j in range(w):
                v = place[j] + n if best[j] > older[j] else place_older[j]
                result[j] = v - p if n_older[j] + count[j] >= min_periods else np.nan
            if p == n - 1:
                for q in range(n - 1, 0, -1):
                    known, k = i - (n - 1 - q) >= 0, max(i - (n - 1 - q), 0)
                    row = x[k, left : left + w]
                    for j in range(w):
                        v = sign * row[j] if known else np.nan
                        places[q, j] = q if v >= bests[q + 1, j] else places[q + 1, j]
                        bests[q, j] = v if v >= bests[q + 1, j] else bests[q + 1, j]
                        counts[q, j] = counts[q + 1, j] + (0.0 if np.isnan(v) else 1.0)


@njit(void(_SOURCE, int64, float64, int64, _RESULT), cache=True, nogil=True, error_model="numpy")
def _mean_deviations(x: Array, n: int, min_periods: float, width: int, out: Array) -> None:
    """Mean absolute deviation from the mean; the mean is taken from the latest value, so that a constant is exact."""
    n_dates, n_tickers = x.shape
    count, latest, mean, total = np.empty(width), np.empty(width), np.empty(width), np.empty(width)
    for left in range(0, n_tickers, width):
        right = min(left + width, n_tickers)
        count[:], latest[:] = 0.0, 0.0
        for i in range(n_dates):
            row, gone, result = x[i, left:right], x[max(i - n, 0), left:right], out[i, left:right]
            for j in range(right - left):
                leaves = i >= n and not np.isnan(gone[j])
                count[j] += (0.0 if np.isnan(row[j]) else 1.0) - (1.0 if leaves else 0.0)
                latest[j] = latest[j] if np.isnan(row[j]) else row[j]
            total[:] = 0.0
            for k in range(max(i - n + 1, 0), i + 1):
                other = x[k, left:right]
                for j in range(right - left):
                    v = other[j]
                    total[j] += 0.0 if np.isnan(v) else v - latest[j]
            for j in range(right - left):
                mean[j] = latest[j] + total[j] / count[j]
            total[:] = 0.0
            for k in range(max(i - n + 1, 0), i + 1):
                other = x[k, left:right]
                for j in range(right - left):
                    v = other[j]
                    total[j] += 0.0 if np.isnan(v) else abs(v - mean[j])
            for j in range(right - left):
                v = total[j] / count[j]
                result[j] = v if count[j] >= min_periods and v < np.inf else np.nan


def _rank(out: Array, x: Array, *, first_row: int, n: int, min_periods: int) -> None:  # noqa: ARG001
    _ranks(x, n, float(min_periods), _WIDTH, out)


def _quantile(out: Array, x: Array, *, first_row: int, n: int, q: float, min_periods: int) -> None:  # noqa: ARG001
    _quantiles(x, n, float(min_periods), _WIDTH, q, out)


def _median(out: Array, x: Array, *, first_row: int, n: int, min_periods: int) -> None:  # noqa: ARG001
    _quantiles(x, n, float(min_periods), _WIDTH, 0.5, out)


def _place_of(sign: float) -> Callable[..., None]:
    def compute(out: Array, x: Array, *, first_row: int, n: int, min_periods: int) -> None:
        _places(x, n, first_row, float(min_periods), _WIDTH, sign, out)

    return compute


def _mad(out: Array, x: Array, *, first_row: int, n: int, min_periods: int) -> None:  # noqa: ARG001
    _mean_deviations(x, n, float(min_periods), _WIDTH, out)


COMPUTE: Mapping[str, Callable[..., None]] = {
    "ts_rank": _rank,
    "argmax": _place_of(1.0),
    "argmin": _place_of(-1.0),
    "quantile": _quantile,
    "median": _median,
    "mad": _mad,
}
