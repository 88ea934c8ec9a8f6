"""Kernels of the rolling regression on time.

Scheme, references and the shape of the kernels are those of `moments.py`. Time is the session's place, counted from
the boundary between the two blocks: its sums are whole numbers, exact in float64 for every window that the language
allows, and need no moving. Both series of the regression are those of the sessions on which x has a value.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numba import float64, int64, njit, void

from factor_assets.expressions.rolling import GROUP, RESULT, SOURCE, STRIDE, Array

_SLOPE, _RESIDUAL, _RSQUARE = range(3)


def _kernel(statistic: int) -> Callable[..., Any]:
    n_sums = 6 if statistic == _RSQUARE else 5

    @njit(void(SOURCE, int64, int64, float64, RESULT), cache=True, nogil=True, error_model="numpy")
    def trends(x: Array, n: int, first_row: int, min_periods: float, out: Array) -> None:
        n_dates, n_tickers = x.shape
        newer, newer_reference, older_reference = np.empty((n_sums, STRIDE)), np.empty(STRIDE), np.empty(STRIDE)
        suffixes = np.empty((min(n, n_dates + 1), n_sums, STRIDE))
        for left in range(0, n_tickers, GROUP):
            w = min(GROUP, n_tickers - left)
            newer[:], newer_reference[:], suffixes[0], older_reference[:] = 0.0, np.nan, 0.0, np.nan
            n_known = 0
            for i in range(n_dates):
                p = (first_row + i) % n
                if p == 0:
                    newer[:], newer_reference[:] = 0.0, np.nan
                row, result = x[i, left : left + w], out[i, left : left + w]
                older = suffixes[min(n - 1 - p, n_known)]
                time = float(p)
                for j in range(w):
                    v = row[j]
                    here = not np.isnan(v)
                    ref = v if here and newer[0, j] == 0.0 else newer_reference[j]
                    distance = v - ref
                    u, t = distance if here else 0.0, time if here else 0.0
                    c = newer[0, j] + (1.0 if here else 0.0)
                    st, stt, sx, stx = newer[1, j] + t, newer[2, j] + t * t, newer[3, j] + u, newer[4, j] + t * u
                    newer[0, j], newer[1, j], newer[2, j], newer[3, j], newer[4, j] = c, st, stt, sx, stx
                    newer_reference[j] = ref
                    o = older[0, j]
                    d = older_reference[j] - ref if o > 0.0 and c > 0.0 else 0.0
                    m = o + c
                    moved = older[3, j] + o * d
                    stx += older[4, j] + older[1, j] * d
                    if statistic == _RSQUARE:
                        sxx = newer[5, j] + u * u
                        newer[5, j] = sxx
                        sxx += older[5, j] + (older[3, j] + moved) * d
                    st += older[1, j]
                    stt += older[2, j]
                    sx += moved
                    tt = m * stt - st * st
                    tx = m * stx - st * sx
                    if statistic == _SLOPE:
                        value = tx / tt
                    elif statistic == _RESIDUAL:
                        value = ((m * distance - sx) * tt - tx * (m * time - st)) / (m * tt)
                    else:
                        xx = m * sxx - sx * sx
                        value = (tx / xx) * (tx / tt) if xx > 0.0 else np.nan
                        value = 1.0 if value > 1.0 else value
                    result[j] = value if m >= min_periods and abs(value) < np.inf else np.nan
                if p == n - 1:
                    n_known = min(n - 1, i + 1)
                    older_reference[:] = np.nan
                    for q in range(n_known):
                        row, later, now = x[i - q, left : left + w], suffixes[q], suffixes[q + 1]
                        time = -1.0 - q
                        for j in range(w):
                            v = row[j]
                            here = not np.isnan(v)
                            ref = v if here and later[0, j] == 0.0 else older_reference[j]
                            u, t = v - ref if here else 0.0, time if here else 0.0
                            now[0, j] = later[0, j] + (1.0 if here else 0.0)
                            now[1, j], now[2, j] = later[1, j] + t, later[2, j] + t * t
                            now[3, j], now[4, j] = later[3, j] + u, later[4, j] + t * u
                            if statistic == _RSQUARE:
                                now[5, j] = later[5, j] + u * u
                            older_reference[j] = ref

    return trends


def _compute(statistic: int, *, smallest: int = 2) -> Callable[..., None]:
    kernel = _kernel(statistic)

    def compute(out: Array, x: Array, *, first_row: int, n: int, min_periods: int) -> None:
        kernel(x, n, first_row, float(max(min_periods, smallest)), out)

    return compute


COMPUTE: Mapping[str, Callable[..., None]] = {
    "slope": _compute(_SLOPE),
    "trend_residual": _compute(_RESIDUAL),
    "trend_rsquare": _compute(_RSQUARE, smallest=3),
}
