"""Kernels of rolling skewness and kurtosis.

Scheme, references and the shape of the kernels are those of `moments.py`. With u the distance of a value to the
reference, the sums about the mean times m ** (order - 1) are

    a2 = m sum(u^2) - sum(u)^2
    a3 = m^2 sum(u^3) - 3 m sum(u) sum(u^2) + 2 sum(u)^3
    a4 = m^3 sum(u^4) - 4 m^2 sum(u) sum(u^3) + 6 m sum(u)^2 sum(u^2) - 3 sum(u)^4

and (Joanes and Gill 1998)

    G1 = sqrt(m (m - 1)) / (m - 2) a3 / a2^(3/2)
    G2 = (m - 1) / ((m - 2) (m - 3)) ((m + 1) a4 / a2^2 - 3 (m - 1))

References
----------
Joanes and Gill (1998), Comparing measures of sample skewness and kurtosis, The Statistician 47(1).
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numba import float64, int64, njit, void

from factor_assets.expressions.rolling import GROUP, RESULT, SOURCE, STRIDE, Array

_SKEW, _KURT = 3, 4


def _kernel(order: int) -> Callable[..., Any]:
    n_sums = order + 1

    @njit(void(SOURCE, int64, int64, float64, RESULT), cache=True, nogil=True, error_model="numpy")
    def higher_moments(x: Array, n: int, first_row: int, min_periods: float, out: Array) -> None:
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
                for j in range(w):
                    v = row[j]
                    here = not np.isnan(v)
                    ref = v if here and newer[0, j] == 0.0 else newer_reference[j]
                    u = v - ref if here else 0.0
                    uu = u * u
                    c = newer[0, j] + (1.0 if here else 0.0)
                    s1, s2, s3 = newer[1, j] + u, newer[2, j] + uu, newer[3, j] + uu * u
                    newer[0, j], newer[1, j], newer[2, j], newer[3, j], newer_reference[j] = c, s1, s2, s3, ref
                    o, t1, t2, t3 = older[0, j], older[1, j], older[2, j], older[3, j]
                    d = older_reference[j] - ref if o > 0.0 and c > 0.0 else 0.0
                    m = o + c
                    od = o * d
                    if order == _KURT:
                        s4 = newer[4, j] + uu * uu
                        newer[4, j] = s4
                        s4 += older[4, j] + d * (4.0 * t3 + d * (6.0 * t2 + d * (4.0 * t1 + od)))
                    s1 += t1 + od
                    s2 += t2 + d * (2.0 * t1 + od)
                    s3 += t3 + d * (3.0 * t2 + d * (3.0 * t1 + od))
                    s11, m2 = s1 * s1, m * s2
                    a2 = m2 - s11
                    if order == _SKEW:
                        a3 = m * (m * s3 - 3.0 * (s1 * s2)) + 2.0 * (s1 * s11)
                        value = a3 * np.sqrt(m * (m - 1.0) * a2) / ((m - 2.0) * a2 * a2)
                    else:
                        a4 = m * m * (m * s4 - 4.0 * (s1 * s3)) + 3.0 * s11 * (2.0 * m2 - s11)
                        aa = a2 * a2
                        value = (m - 1.0) * ((m + 1.0) * a4 - 3.0 * (m - 1.0) * aa) / ((m - 2.0) * (m - 3.0) * aa)
                    result[j] = value if m >= min_periods and abs(value) < np.inf else np.nan
                if p == n - 1:
                    n_known = min(n - 1, i + 1)
                    older_reference[:] = np.nan
                    for q in range(n_known):
                        row, later, now = x[i - q, left : left + w], suffixes[q], suffixes[q + 1]
                        for j in range(w):
                            v = row[j]
                            here = not np.isnan(v)
                            ref = v if here and later[0, j] == 0.0 else older_reference[j]
                            u = v - ref if here else 0.0
                            uu = u * u
                            now[0, j], now[1, j] = later[0, j] + (1.0 if here else 0.0), later[1, j] + u
                            now[2, j], now[3, j] = later[2, j] + uu, later[3, j] + uu * u
                            if order == _KURT:
                                now[4, j] = later[4, j] + uu * uu
                            older_reference[j] = ref

    return higher_moments


def _compute(order: int) -> Callable[..., None]:
    kernel = _kernel(order)

    def compute(out: Array, x: Array, *, first_row: int, n: int, min_periods: int) -> None:
        kernel(x, n, first_row, float(max(min_periods, order)), out)

    return compute


COMPUTE: Mapping[str, Callable[..., None]] = {"skew": _compute(_SKEW), "kurt": _compute(_KURT)}
