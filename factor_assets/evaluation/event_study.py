"""Event study: what the names of the highest and the lowest quantile did before the sort, and did after it.

What does not belong here: portfolios that could be traded (`quantile_portfolios.py`): the curve starts at the close of
the sort.
"""

from dataclasses import dataclass

import numba as nb
import numpy as np

from factor_assets.errors import EvaluationError, MisalignedError
from factor_assets.evaluation.quantiles import Quantiles
from factor_assets.evaluation.ranking import Counts
from factor_assets.panel.panel import Array

_READ = nb.types.Array(nb.float64, 2, "C", readonly=True)
_READ_INT16 = nb.types.Array(nb.int16, 2, "C", readonly=True)


@dataclass(frozen=True, kw_only=True, eq=False)
class EventStudy:
    """Curves by session of completion, and their means.

    Parameters
    ----------
    offsets
        int64 of shape (2 k + 1,): sessions from the sort, -k to k.
    top, bottom
        float64 of shape (n_dates, 2 k + 1), fraction: row d is the curve of the sort on d - k, which is complete on d.
        NaN where no name has both closes, or no quantiles were formed.
    n_top, n_bottom
        int64 of the same shape: names averaged; -1 where no quantiles were formed.
    """

    offsets: Counts
    top: Array
    bottom: Array
    n_top: Counts
    n_bottom: Counts

    @property
    def mean_top(self) -> Array:
        """Mean of `top` over the sessions that have a value at the offset, shape (2 k + 1,)."""
        return _mean(self.top)

    @property
    def mean_bottom(self) -> Array:
        """Mean of `bottom` over the sessions that have a value at the offset, shape (2 k + 1,)."""
        return _mean(self.bottom)


def event_study(quantiles: Quantiles, close: Array, *, k: int = 20, demean: bool = True) -> EventStudy:
    r"""Average the price of the names of a quantile, relative to that at the sort, from k sessions before to k after.

    .. math:: C_{q,s}(o) = \frac{1}{n} \sum_{j \in q_s} \Big( \frac{P_{j,s+o}}{P_{j,s}} - 1 \Big)
        - \frac{1}{m} \sum_{j \in U_s} \Big( \frac{P_{j,s+o}}{P_{j,s}} - 1 \Big), \quad o = -k \ldots k

    U are all names with a quantile. Every mean is over the names with both closes, offset by offset: a close that is
    missing at one offset changes no other. At offset 0 the curve is 0. It falls towards the left of 0 where names rose
    before the sort.

    Parameters
    ----------
    quantiles
        Of shape (n_dates, n_tickers); their highest and lowest are followed.
    close
        float64 of the same shape: adjusted close. NaN, infinite and non-positive are missing.
    k
        Sessions before and after.
    demean
        Whether the mean of U is taken off.

    Raises
    ------
    EvaluationError
        If k is below 1.
    MisalignedError
        If the shapes differ.

    References
    ----------
    MacKinlay (1997), Event studies in economics and finance, Journal of Economic Literature 35(1), for curves around
    an event; here it is a sort, and the benchmark is the mean of the names sorted.
    """
    if k < 1:
        raise EvaluationError(f"An event study wants at least 1 session before and after, got k {k}.")
    if close.shape != quantiles.number.shape:
        raise MisalignedError(
            f"An event study wants close of the sort's shape {quantiles.number.shape}, got {close.shape}."
        )
    price = np.where(np.isfinite(close) & (close > 0.0), close, np.nan)
    curves, counts = _curves(quantiles.number, np.ascontiguousarray(price), k, quantiles.n_quantiles, demean)
    return EventStudy(
        offsets=np.arange(-k, k + 1),
        top=curves[1],
        bottom=curves[0],
        n_top=counts[1],
        n_bottom=counts[0],
    )


def _mean(curves: Array) -> Array:
    present = ~np.isnan(curves)
    n = np.count_nonzero(present, axis=0)
    total = np.where(present, curves, 0.0).sum(axis=0)
    mean: Array = np.divide(total, n, out=np.full(len(n), np.nan), where=n > 0)
    return mean


@nb.njit((_READ_INT16, _READ, nb.int64, nb.int64, nb.boolean), cache=True, nogil=True, error_model="numpy")
def _curves(number, price, k, n_quantiles, demean):  # type: ignore[no-untyped-def]  # noqa: C901 (one pass a session)
    """Curves of the lowest and the highest quantile; names are added in ticker order."""
    n_dates, n_tickers = number.shape
    curves = np.full((2, n_dates, 2 * k + 1), np.nan)
    counts = np.full((2, n_dates, 2 * k + 1), -1, np.int64)
    sums, n = np.empty(3), np.empty(3, np.int64)  # lowest, highest, all
    for d in range(k, n_dates):
        s = d - k
        n_sorted = 0
        for j in range(n_tickers):
            n_sorted += number[s, j] > 0
        if n_sorted == 0:
            continue
        for i in range(2 * k + 1):
            row = s - k + i
            sums[:], n[:] = 0.0, 0
            if row >= 0:
                for j in range(n_tickers):
                    q = number[s, j]
                    change = price[row, j] / price[s, j] - 1.0
                    if q > 0 and np.isfinite(change):
                        sums[2] += change
                        n[2] += 1
                        if q == 1:
                            sums[0] += change
                            n[0] += 1
                        if q == n_quantiles:
                            sums[1] += change
                            n[1] += 1
            for side in range(2):
                counts[side, d, i] = n[side]
                if n[side] > 0:
                    curves[side, d, i] = sums[side] / n[side] - (sums[2] / n[2] if demean else 0.0)
    return curves, counts
