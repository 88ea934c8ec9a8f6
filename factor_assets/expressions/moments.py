"""Kernels of rolling variance, standard deviation and z-score, and the reference that sums of powers are taken about.

The scheme is that of `rolling.py`. What a block adds up are powers of the distance to a reference, and the reference
is a value of the window: the first that the newer block has, the last that the older block has. The older block's sums
are moved to the newer one's reference when the two are merged. Then

- a constant window has sums that are exactly 0, and no other window has;
- the mean is no more than sqrt(m) standard deviations from the reference, whatever the m values are, so cancellation
  costs at most log10(m) of the sixteen digits, and in all but contrived windows none (Chan, Golub and LeVeque 1983,
  on shifted data);
- no session costs a division.

Statistics are made of m times the sums about the mean, m * sum(u * u) - sum(u) ** 2, for the same reason. Each has a
kernel of its own, compiled from one text with `statistic` as a constant. The loop over neighbouring tickers has no
branch and reads rows whose distance the compiler knows, so that it is vectorised.

References
----------
Chan, Golub and LeVeque (1983), Algorithms for computing the sample variance: analysis and recommendations, The
American Statistician 37(3).
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numba import float64, int64, njit, void

from factor_assets.expressions.rolling import GROUP, RESULT, SOURCE, STRIDE, Array

_VAR, _STD, _ZSCORE = range(3)


def _kernel(statistic: int) -> Callable[..., Any]:
    @njit(void(SOURCE, int64, int64, float64, RESULT), cache=True, nogil=True, error_model="numpy")
    def moments(x: Array, n: int, first_row: int, min_periods: float, out: Array) -> None:
        n_dates, n_tickers = x.shape
        newer, older_reference = np.empty((4, STRIDE)), np.empty(STRIDE)
        suffixes = np.empty((min(n, n_dates + 1), 3, STRIDE))
        for left in range(0, n_tickers, GROUP):
            w = min(GROUP, n_tickers - left)
            newer[:3], newer[3], suffixes[0], older_reference[:] = 0.0, np.nan, 0.0, np.nan
            n_known = 0
            for i in range(n_dates):
                p = (first_row + i) % n
                if p == 0:
                    newer[:3], newer[3] = 0.0, np.nan
                row, result = x[i, left : left + w], out[i, left : left + w]
                count, s1, s2, reference = newer[0], newer[1], newer[2], newer[3]
                older = suffixes[min(n - 1 - p, n_known)]
                older_count, older_s1, older_s2 = older[0], older[1], older[2]
                for j in range(w):
                    v = row[j]
                    here = not np.isnan(v)
                    ref = v if here and count[j] == 0.0 else reference[j]
                    distance = v - ref
                    u = distance if here else 0.0
                    c, a, b = count[j] + (1.0 if here else 0.0), s1[j] + u, s2[j] + u * u
                    count[j], s1[j], s2[j], reference[j] = c, a, b, ref
                    o = older_count[j]
                    d = older_reference[j] - ref if o > 0.0 and c > 0.0 else 0.0
                    moved = older_s1[j] + o * d
                    m = o + c
                    a += moved
                    squares = m * (b + (older_s2[j] + (older_s1[j] + moved) * d)) - a * a
                    if statistic == _ZSCORE:
                        value = (m * distance - a) * np.sqrt((m - 1.0) / (m * squares))
                    else:
                        value = squares / (m * (m - 1.0))
                        if statistic == _STD:
                            value = np.sqrt(value)
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
                            now[0, j] = later[0, j] + (1.0 if here else 0.0)
                            now[1, j] = later[1, j] + u
                            now[2, j] = later[2, j] + u * u
                            older_reference[j] = ref

    return moments


def _compute(statistic: int) -> Callable[..., None]:
    kernel = _kernel(statistic)

    def compute(out: Array, x: Array, *, first_row: int, n: int, min_periods: int) -> None:
        kernel(x, n, first_row, float(max(min_periods, 2)), out)

    return compute


COMPUTE: Mapping[str, Callable[..., None]] = {
    "var": _compute(_VAR),
    "std": _compute(_STD),
    "ts_zscore": _compute(_ZSCORE),
}
