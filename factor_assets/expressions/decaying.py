"""Kernels of the means with linearly or exponentially falling weights.

Scheme, references and the shape of the kernels are those of `moments.py`. Linear weights are made of the sums and the
sums weighted with a session's place, counted from the boundary between the two blocks. For exponential weights a block
holds the sum weighted relative to its own end; the older block's counts decay ** (p + 1) times as much when the newer
one has p + 1 sessions.
"""

from collections.abc import Callable, Mapping

import numpy as np
from numba import float64, int64, njit, types, void

from factor_assets.expressions.decays import DECAYS, decay_window
from factor_assets.expressions.rolling import GROUP, RESULT, SOURCE, STRIDE, Array


@njit(void(SOURCE, int64, int64, float64, RESULT), cache=True, nogil=True, error_model="numpy")
def _linear(x: Array, n: int, first_row: int, min_periods: float, out: Array) -> None:
    n_dates, n_tickers = x.shape
    newer, newer_reference, older_reference = np.empty((4, STRIDE)), np.empty(STRIDE), np.empty(STRIDE)
    suffixes = np.empty((min(n, n_dates + 1), 4, STRIDE))
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
            time, weight_at_0 = float(p), float(n - p)
            for j in range(w):
                v = row[j]
                here = not np.isnan(v)
                ref = v if here and newer[0, j] == 0.0 else newer_reference[j]
                u, t = v - ref if here else 0.0, time if here else 0.0
                c, st = newer[0, j] + (1.0 if here else 0.0), newer[1, j] + t
                sx, stx = newer[2, j] + u, newer[3, j] + t * u
                newer[0, j], newer[1, j], newer[2, j], newer[3, j], newer_reference[j] = c, st, sx, stx, ref
                o = older[0, j]
                d = older_reference[j] - ref if o > 0.0 and c > 0.0 else 0.0
                m = o + c
                sx += older[2, j] + o * d
                stx += older[3, j] + older[1, j] * d
                weights = weight_at_0 * m + (st + older[1, j])
                value = (ref if c > 0.0 else older_reference[j]) + (weight_at_0 * sx + stx) / weights
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
                        now[0, j], now[1, j] = later[0, j] + (1.0 if here else 0.0), later[1, j] + t
                        now[2, j], now[3, j] = later[2, j] + u, later[3, j] + t * u
                        older_reference[j] = ref


_POWERS = types.Array(float64, 1, "C", readonly=True)


@njit(void(SOURCE, _POWERS, int64, float64, RESULT), cache=True, nogil=True, error_model="numpy")
def _exponential(x: Array, powers: Array, first_row: int, min_periods: float, out: Array) -> None:
    """Powers 0 to n of the decay give the window too."""
    n = powers.size - 1
    n_dates, n_tickers = x.shape
    newer, newer_reference, older_reference = np.empty((3, STRIDE)), np.empty(STRIDE), np.empty(STRIDE)
    suffixes = np.empty((min(n, n_dates + 1), 3, STRIDE))
    decay = powers[1]
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
            faded = powers[p + 1]
            for j in range(w):
                v = row[j]
                here = not np.isnan(v)
                ref = v if here and newer[0, j] == 0.0 else newer_reference[j]
                u, one = v - ref if here else 0.0, 1.0 if here else 0.0
                c, weights, sx = newer[0, j] + one, decay * newer[1, j] + one, decay * newer[2, j] + u
                newer[0, j], newer[1, j], newer[2, j], newer_reference[j] = c, weights, sx, ref
                o = older[0, j]
                d = older_reference[j] - ref if o > 0.0 and c > 0.0 else 0.0
                m = o + c
                sx += faded * (older[2, j] + older[1, j] * d)
                weights += faded * older[1, j]
                value = (ref if c > 0.0 else older_reference[j]) + sx / weights
                result[j] = value if m >= min_periods and abs(value) < np.inf else np.nan
            if p == n - 1:
                n_known = min(n - 1, i + 1)
                older_reference[:] = np.nan
                for q in range(n_known):
                    row, later, now = x[i - q, left : left + w], suffixes[q], suffixes[q + 1]
                    weight = powers[q]
                    for j in range(w):
                        v = row[j]
                        here = not np.isnan(v)
                        ref = v if here and later[0, j] == 0.0 else older_reference[j]
                        now[0, j] = later[0, j] + (1.0 if here else 0.0)
                        now[1, j] = later[1, j] + (weight if here else 0.0)
                        now[2, j] = later[2, j] + (weight * (v - ref) if here else 0.0)
                        older_reference[j] = ref


def _decay_linear(out: Array, x: Array, *, first_row: int, n: int, min_periods: int) -> None:
    _linear(x, n, first_row, float(min_periods), out)


def _mean_of(name: str) -> Callable[..., None]:
    def compute(out: Array, x: Array, *, first_row: int, min_periods: int, **params: float) -> None:
        decay = DECAYS[name](params[name])
        _exponential(x, decay ** np.arange(decay_window(decay) + 1.0), first_row, float(min_periods), out)

    return compute


COMPUTE: Mapping[str, Callable[..., None]] = {
    "decay_linear": _decay_linear,
    "ema": _mean_of("halflife"),
    "ema_span": _mean_of("span"),
    "wilder": _mean_of("periods"),
}
