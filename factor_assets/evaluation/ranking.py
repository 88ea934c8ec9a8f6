"""`Ranking`: the names of each session in the order of their factor, the one sort that every piece of evidence shares.

What does not belong here: anything that looks at a return (`portfolios.py`, `information.py`).
"""

from dataclasses import dataclass

import numba as nb
import numpy as np
import numpy.typing as npt

from factor_assets.errors import MisalignedError
from factor_assets.panel.panel import Array

Counts = npt.NDArray[np.int64]

_READ = nb.types.Array(nb.float64, 2, "C", readonly=True)
_LAST = np.iinfo(np.int64).max


@dataclass(frozen=True, eq=False)
class Ranking:
    """Names of each session, sorted by value.

    Parameters
    ----------
    values
        float64 of shape (n_dates, n_tickers); NaN where the name is not ranked.
    order
        int64 of shape (n_dates, n_tickers): columns of `values`, lowest value first; equal values stand in the order
        of the columns, which is alphabetic by ticker. Only the first `n_ranked[t]` entries of row t mean something.
    n_ranked
        int64 of shape (n_dates,).
    """

    values: Array
    order: Counts
    n_ranked: Counts

    @property
    def is_constant(self) -> npt.NDArray[np.bool_]:
        """Whether all ranked names have one value, so that a rank would be made up; shape (n_dates,)."""
        if not self.values.shape[1]:
            return np.zeros(len(self.values), dtype=bool)
        rows = np.arange(len(self.order))
        lowest = self.values[rows, self.order[:, 0]]
        highest = self.values[rows, self.order[rows, np.maximum(self.n_ranked - 1, 0)]]
        constant: npt.NDArray[np.bool_] = lowest == highest
        return constant


def rank(values: Array, *, among: npt.NDArray[np.bool_] | None = None) -> Ranking:
    """Sort the names of each session by value, ties by ticker.

    Parameters
    ----------
    values
        float64 of shape (n_dates, n_tickers), columns in ticker order. NaN is missing; so is an infinite value, which
        no order can place in a meaningful distance to the others. Missing names are not ranked, so that
        `Ranking.n_ranked` counts them by their absence.
    among
        bool of the same shape: the names that take part, by default all.

    Raises
    ------
    MisalignedError
        If the shapes differ.
    """
    ranked = np.isfinite(values)
    if among is not None:
        if among.shape != values.shape:
            raise MisalignedError(
                f"A ranking wants values and membership of one shape (n_dates, n_tickers); got {values.shape} and"
                f" {among.shape}."
            )
        ranked &= among
    present = np.ascontiguousarray(np.where(ranked, values, np.nan), dtype=np.float64)
    present += 0.0  # -0.0 and 0.0 are one value, so that they are one key too
    return Ranking(
        values=present, order=_sorted_columns(present), n_ranked=np.count_nonzero(ranked, axis=1).astype(np.int64)
    )


def _sorted_columns(values: Array) -> Counts:
    """Sort the columns of each row by (value, column); those of missing values come last, in no order.

    1. Turn a value into an integer that sorts as it does, and put its column in place of the lowest bits.
    2. Sort the integers, which is several times faster than an indirect sort of the values.
    3. Read the columns off, and put in order those whose values differ in the replaced bits only.
    """
    low_bits = (1 << max(1, (values.shape[1] - 1).bit_length())) - 1
    keys = _keys(values, values.view(np.int64), low_bits)
    keys.sort(axis=1)
    _columns_of_keys(values, low_bits, keys)
    return keys


@nb.njit((_READ, nb.types.Array(nb.int64, 2, "C", readonly=True), nb.int64), cache=True, error_model="numpy")
def _keys(values: Array, bits: Counts, low_bits: int) -> Counts:
    keys = np.empty(values.shape, np.int64)
    for t in range(values.shape[0]):
        for j in range(values.shape[1]):
            # the bits of negative numbers run backwards
            ordered = bits[t, j] ^ ((bits[t, j] >> 63) & np.int64(0x7FFFFFFFFFFFFFFF))
            keys[t, j] = _LAST - low_bits if np.isnan(values[t, j]) else ordered & ~low_bits
            keys[t, j] |= j
    return keys


@nb.njit((_READ, nb.int64, nb.int64[:, ::1]), cache=True, error_model="numpy")
def _columns_of_keys(values: Array, low_bits: int, keys: Counts) -> None:
    """Replace sorted keys by their columns."""
    for t in range(keys.shape[0]):
        for i in range(keys.shape[1]):
            column = keys[t, i] & low_bits
            k = i
            while k > 0 and values[t, keys[t, k - 1]] > values[t, column]:
                keys[t, k] = keys[t, k - 1]
                k -= 1
            keys[t, k] = column
