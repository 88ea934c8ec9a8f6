"""Kernels of two series' rolling covariance, correlation and regression.

Scheme, references and the shape of the kernels are those of `moments.py`; a session counts where both series have a
value.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numba import float64, int64, njit, void

from factor_assets.expressions.rolling import GROUP, RESULT, SOURCE, STRIDE, Array

_COV, _BETA, _RESIDUAL, _CORR, _RSQUARE = range(5)


def _kernel(statistic: int) -> Callable[..., Any]:
    with_yy = statistic >= _CORR
    n_sums = 6 if with_yy else 5

    @njit(void(SOURCE, SOURCE, int64, int64, float64, RESULT), cache=True, nogil=True, error_model="numpy")
    def comoments(y: Array, x: Array, n: int, first_row: int, min_periods: float, out: Array) -> None:
        n_dates, n_tickers = x.shape
        newer, newer_reference, older_reference = (
            np.empty((n_sums, STRIDE)),
            np.empty((2, STRIDE)),
            np.empty((2, STRIDE)),
        )
        suffixes = np.empty((min(n, n_dates + 1), n_sums, STRIDE))
        for left in range(0, n_tickers, GROUP):
            w = min(GROUP, n_tickers - left)
            newer[:], newer_reference[:], suffixes[0], older_reference[:] = 0.0, np.nan, 0.0, np.nan
            n_known = 0
            for i in range(n_dates):
                p = (first_row + i) % n
                if p == 0:
                    newer[:], newer_reference[:] = 0.0, np.nan
                row_x, row_y, result = x[i, left : left + w], y[i, left : left + w], out[i, left : left + w]
                older = suffixes[min(n - 1 - p, n_known)]
                for j in range(w):
                    v, z = row_x[j], row_y[j]
                    here = not np.isnan(v + z)
                    fresh = here and newer[0, j] == 0.0
                    ref_x = v if fresh else newer_reference[0, j]
                    ref_y = z if fresh else newer_reference[1, j]
                    newer_reference[0, j], newer_reference[1, j] = ref_x, ref_y
                    distance_x, distance_y = v - ref_x, z - ref_y
                    a, b = distance_x if here else 0.0, distance_y if here else 0.0
                    c = newer[0, j] + (1.0 if here else 0.0)
                    sx, sy = newer[1, j] + a, newer[2, j] + b
                    sxx, sxy = newer[3, j] + a * a, newer[4, j] + a * b
                    newer[0, j], newer[1, j], newer[2, j], newer[3, j], newer[4, j] = c, sx, sy, sxx, sxy
                    o = older[0, j]
                    both = o > 0.0 and c > 0.0
                    dx = older_reference[0, j] - ref_x if both else 0.0
                    dy = older_reference[1, j] - ref_y if both else 0.0
                    moved_x, moved_y = older[1, j] + o * dx, older[2, j] + o * dy
                    m = o + c
                    sx += moved_x
                    sy += moved_y
                    xx = m * (sxx + (older[3, j] + (older[1, j] + moved_x) * dx)) - sx * sx
                    xy = m * (sxy + (older[4, j] + (older[1, j] * dy + moved_y * dx))) - sx * sy
                    if with_yy:
                        syy = newer[5, j] + b * b
                        newer[5, j] = syy
                        yy = m * (syy + (older[5, j] + (older[2, j] + moved_y) * dy)) - sy * sy
                    if statistic == _COV:
                        value = xy / (m * (m - 1.0))
                    elif statistic == _CORR:
                        scale = np.sqrt(xx) * np.sqrt(yy)
                        value = xy / scale if scale > 0.0 else np.nan
                        value = 1.0 if value > 1.0 else (-1.0 if value < -1.0 else value)
                    elif statistic == _BETA:
                        value = xy / xx
                    elif statistic == _RSQUARE:
                        value = (xy / xx) * (xy / yy) if xx > 0.0 and yy > 0.0 else np.nan
                        value = 1.0 if value > 1.0 else value
                    else:
                        value = ((m * distance_y - sy) * xx - xy * (m * distance_x - sx)) / (m * xx)
                    result[j] = value if m >= min_periods and abs(value) < np.inf else np.nan
                if p == n - 1:
                    n_known = min(n - 1, i + 1)
                    older_reference[:] = np.nan
                    for q in range(n_known):
                        row_x, row_y = x[i - q, left : left + w], y[i - q, left : left + w]
                        later, now = suffixes[q], suffixes[q + 1]
                        for j in range(w):
                            v, z = row_x[j], row_y[j]
                            here = not np.isnan(v + z)
                            fresh = here and later[0, j] == 0.0
                            ref_x = v if fresh else older_reference[0, j]
                            ref_y = z if fresh else older_reference[1, j]
                            a, b = v - ref_x if here else 0.0, z - ref_y if here else 0.0
                            now[0, j] = later[0, j] + (1.0 if here else 0.0)
                            now[1, j], now[2, j] = later[1, j] + a, later[2, j] + b
                            now[3, j], now[4, j] = later[3, j] + a * a, later[4, j] + a * b
                            if with_yy:
                                now[5, j] = later[5, j] + b * b
                            older_reference[0, j], older_reference[1, j] = ref_x, ref_y

    return comoments


def _compute(statistic: int, *, smallest: int = 2) -> Callable[..., None]:
    kernel = _kernel(statistic)

    def compute(out: Array, y: Array, x: Array, *, first_row: int, n: int, min_periods: int) -> None:
        kernel(y, x, n, first_row, float(max(min_periods, smallest)), out)

    return compute


COMPUTE: Mapping[str, Callable[..., None]] = {
    "cov": _compute(_COV),
    "corr": _compute(_CORR),
    "beta": _compute(_BETA),
    "rsquare": _compute(_RSQUARE, smallest=3),
    "residual": _compute(_RESIDUAL),
}
