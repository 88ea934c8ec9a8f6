"""Kernels of what happened since a condition was last true.

A condition is true where it is neither 0 nor missing. Counts and sums begin anew on every such session, so that a
value comes from the sessions since then alone and has the same bits however the panel was cut.
"""

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
from numba import float64, int64, njit, types, void

Array = npt.NDArray[np.float64]

_SOURCE = types.Array(float64, 2, "C", readonly=True)
_RESULT = types.Array(float64, 2, "C")


@njit(void(_SOURCE, int64, _RESULT), cache=True, nogil=True, error_model="numpy")
def _days(condition: Array, n: int, out: Array) -> None:
    """Sessions since the condition was true, below n."""
    n_dates, n_tickers = condition.shape
    days = np.full(n_tickers, np.inf)
    for i in range(n_dates):
        row, result = condition[i], out[i]
        for j in range(n_tickers):
            days[j] = 0.0 if abs(row[j]) > 0.0 else days[j] + 1.0
            result[j] = days[j] if days[j] < n else np.nan


@njit(void(_SOURCE, _SOURCE, int64, _RESULT), cache=True, nogil=True, error_model="numpy")
def _sums(x: Array, condition: Array, n: int, out: Array) -> None:
    """Sum of x from the session on which the condition was true; a missing x makes it missing until the next."""
    n_dates, n_tickers = x.shape
    days, total = np.full(n_tickers, np.inf), np.zeros(n_tickers)
    for i in range(n_dates):
        row, row_x, result = condition[i], x[i], out[i]
        for j in range(n_tickers):
            true = abs(row[j]) > 0.0
            days[j] = 0.0 if true else days[j] + 1.0
            total[j] = (0.0 if true else total[j]) + row_x[j]
            result[j] = total[j] if days[j] < n and abs(total[j]) < np.inf else np.nan


def _days_since(out: Array, condition: Array, *, first_row: int, n: int) -> None:  # noqa: ARG001
    _days(condition, n, out)


def _sum_since(out: Array, x: Array, condition: Array, *, first_row: int, n: int) -> None:  # noqa: ARG001
    _sums(x, condition, n, out)


COMPUTE: Mapping[str, Callable[..., None]] = {"days_since": _days_since, "sum_since": _sum_since}
