"""Kernels of the cross-sectional operators: each date on its own, over the universe's members that have a value.

Sums run over tickers in stored order, so that names outside the universe do not change a bit of the result.
"""

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
from numba import boolean, float64, int64, njit, types, void

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]

_SOURCE = types.Array(float64, 2, "C", readonly=True)
_MEMBERS = types.Array(boolean, 2, "C", readonly=True)
_BITS = types.Array(int64, 2, "C", readonly=True)
_RESULT = types.Array(float64, 2, "C")
_KEYS = types.Array(int64, 2, "C")

_ABSENT = np.iinfo(np.int64).max


@njit(void(_SOURCE, _MEMBERS, int64, _RESULT), cache=True, nogil=True, error_model="numpy")
def _standardize(x: Array, members: Mask, statistic: int, out: Array) -> None:
    """Mean for all tickers (statistic 0), distance from it (1), or that distance in standard deviations (2)."""
    n_dates, n_tickers = x.shape
    for i in range(n_dates):
        count, total = 0, 0.0
        for j in range(n_tickers):
            if members[i, j] and not np.isnan(x[i, j]):
                count += 1
                total += x[i, j]
        mean = total / count if count else np.nan
        if statistic == 0:
            out[i, :] = mean
            continue
        squares = 0.0
        constant = True
        first = np.nan
        for j in range(n_tickers):
            if members[i, j] and not np.isnan(x[i, j]):
                if np.isnan(first):
                    first = x[i, j]
                constant = constant and x[i, j] == first
                squares += (x[i, j] - mean) * (x[i, j] - mean)
        if constant:  # the mean of equal values may be off by a rounding
            mean, squares = first, 0.0
        scale = 1.0
        if statistic == 2:
            scale = np.sqrt(squares / (count - 1)) if count > 1 and squares > 0.0 else np.nan
        for j in range(n_tickers):
            out[i, j] = (x[i, j] - mean) / scale if members[i, j] else np.nan


@njit(void(_SOURCE, _BITS, _MEMBERS, int64, _KEYS), cache=True, nogil=True, error_model="numpy")
def _pack(x: Array, bits: Integers, members: Mask, low: int, keys: Integers) -> None:
    """Keys that sort as the values do, their lowest bits replaced by the ticker's position."""
    n_dates, n_tickers = x.shape
    for i in range(n_dates):
        for j in range(n_tickers):
            b = bits[i, j]
            ordered = b ^ ((b >> 63) & np.int64(0x7FFFFFFFFFFFFFFF))
            here = members[i, j] and not np.isnan(x[i, j])
            keys[i, j] = ((ordered & ~low) | j) if here else _ABSENT


@njit(void(_SOURCE, _KEYS, int64, _RESULT), cache=True, nogil=True, error_model="numpy")
def _ranks(x: Array, keys: Integers, low: int, out: Array) -> None:
    """Average ranks over the count, from sorted keys."""
    n_dates, n_tickers = x.shape
    order, value = np.empty(n_tickers, np.int64), np.empty(n_tickers)
    for i in range(n_dates):
        out[i, :] = np.nan
        count = 0
        while count < n_tickers and keys[i, count] != _ABSENT:
            ticker = keys[i, count] & low
            v = x[i, ticker]
            # values that differ only in the replaced bits are still to be put in order
            k = count
            while k > 0 and value[k - 1] > v:
                value[k], order[k] = value[k - 1], order[k - 1]
                k -= 1
            value[k], order[k] = v, ticker
            count += 1
        start = 0
        while start < count:
            stop = start + 1
            while stop < count and value[stop] == value[start]:
                stop += 1
            rank = 0.5 * (start + 1 + stop) / count
            for k in range(start, stop):
                out[i, order[k]] = rank
            start = stop


def _rank(out: Array, x: Array, members: Mask) -> None:
    low = (1 << max(1, (x.shape[1] - 1).bit_length())) - 1
    keys = np.empty(x.shape, np.int64)
    _pack(x, x.view(np.int64), members, low, keys)
    keys.sort(axis=1)
    _ranks(x, keys, low, out)


def _standardized(statistic: int) -> Callable[[Array, Array, Mask], None]:
    def compute(out: Array, x: Array, members: Mask) -> None:
        _standardize(x, members, statistic, out)

    return compute


COMPUTE: Mapping[str, Callable[[Array, Array, Mask], None]] = {
    "cross_mean": _standardized(0),
    "demean": _standardized(1),
    "zscore": _standardized(2),
    "rank": _rank,
}
