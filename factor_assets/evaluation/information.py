"""Information of a factor about later returns: IC, rank IC and the returns of its quantiles.

All are stored on the session on which the forward return is complete (`forward_returns.py`). What does not belong
here: tests of their mean (`significance.py`), several horizons (`ic_decay.py`).
"""

import numba as nb
import numpy as np

from factor_assets.errors import EvaluationError, MisalignedError
from factor_assets.evaluation.ranking import Counts, Ranking
from factor_assets.panel.panel import Array

_READ = nb.types.Array(nb.float64, 2, "C", readonly=True)
_READ_BOOL = nb.types.Array(nb.boolean, 1, "C", readonly=True)


def rank_ic(factor: Ranking, forward_return: Ranking, *, delay: int, min_tickers: int = 10) -> Array:
    """Spearman correlation of factor and forward return, per session.

    Parameters
    ----------
    factor, forward_return
        Rankings of shape (n_dates, n_tickers), aligned. Row d of `forward_return` ranks the returns that are complete
        on d (`completed_return`).
    delay
        Sessions from the factor to the completion of its forward return: execution lag + horizon.
    min_tickers
        A session with fewer pairs gives NaN.

    Returns
    -------
    float64 of shape (n_dates,), in [-1, 1]. Ties take average ranks among the names that have both. NaN where there
    are too few pairs or where one side is constant.

    Raises
    ------
    MisalignedError
        If the shapes differ.
    EvaluationError
        If the delay is below one session.

    References
    ----------
    Grinold and Kahn (2000), Active Portfolio Management, 2nd ed., ch. 6.
    """
    _require_aligned(factor, forward_return, delay=delay)
    result: Array = _rank_ic(
        factor.values,
        factor.order,
        factor.n_ranked,
        forward_return.values,
        forward_return.order,
        forward_return.n_ranked,
        delay,
        max(min_tickers, 2),
    )
    return result


def ic(factor: Ranking, forward_return: Ranking, *, delay: int, min_tickers: int = 10) -> Array:
    """Pearson correlation of factor and forward return, per session.

    Parameters
    ----------
    factor, forward_return, delay, min_tickers
        As in `rank_ic`; the values count, not their ranks.

    Returns
    -------
    float64 of shape (n_dates,), in [-1, 1]. NaN where there are too few pairs or where one side is constant.

    Raises
    ------
    MisalignedError
        If the shapes differ.
    EvaluationError
        If the delay is below one session.

    References
    ----------
    Grinold and Kahn (2000), Active Portfolio Management, 2nd ed., ch. 6.
    """
    _require_aligned(factor, forward_return, delay=delay)
    result: Array = _ic(factor.values, forward_return.values, delay, max(min_tickers, 2))
    return result


def quantile_returns(
    factor: Ranking, forward_return: Ranking, *, delay: int, n_quantiles: int = 5
) -> tuple[Array, Counts]:
    """Return the equal-weighted forward return of each quantile of the factor, and how many names it averages.

    The name at position i (from 0) of n in the order (value, ticker) is in quantile floor(i * n_quantiles / n) + 1.
    The factor alone decides, so that a missing return never moves another name to another quantile.

    Parameters
    ----------
    factor, forward_return, delay
        As in `rank_ic`.

    Returns
    -------
    returns
        float64 of shape (n_dates, n_quantiles), lowest quantile first. NaN where no name has a forward return, fewer
        than `n_quantiles` names were ranked, or all have one value.
    n_tickers
        int64 of the same shape: names with a forward return; -1 where no quantiles could be formed.

    Raises
    ------
    MisalignedError
        If the shapes differ.
    EvaluationError
        If the delay is below one session or there are fewer than 2 quantiles.
    """
    _require_aligned(factor, forward_return, delay=delay)
    if n_quantiles < 2:
        raise EvaluationError(f"Quantile returns want at least 2 quantiles, got {n_quantiles}.")
    returns, n_tickers = _quantile_returns(
        factor.order, factor.n_ranked, factor.is_constant, forward_return.values, delay, n_quantiles
    )
    return returns, n_tickers


def _require_aligned(factor: Ranking, forward_return: Ranking, *, delay: int) -> None:
    if factor.values.shape != forward_return.values.shape:
        raise MisalignedError(
            "Factor and forward return want one shape (n_dates, n_tickers); got"
            f" {factor.values.shape} and {forward_return.values.shape}."
        )
    if delay < 1:
        raise EvaluationError(f"A forward return is complete at least 1 session after the factor, got delay {delay}.")


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _standardize(values):  # type: ignore[no-untyped-def]
    """Replace values by their deviations from the mean over the largest of these; return False if they are constant."""
    lowest, highest = values[0], values[0]
    for value in values:
        lowest, highest = min(lowest, value), max(highest, value)
    if lowest == highest:
        return False
    size = max(abs(lowest), abs(highest))
    mean = 0.0
    for i in range(len(values)):
        values[i] /= size
        mean += values[i]
    mean /= len(values)
    largest = 0.0
    for i in range(len(values)):
        values[i] -= mean
        largest = max(largest, abs(values[i]))
    if not largest > 0.0:
        return False
    for i in range(len(values)):
        values[i] /= largest
    return True


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _average_ranks(order, n_ordered, values, other, both, ranks):  # type: ignore[no-untyped-def]  # noqa: PLR0917 (Numba has no keyword-only arguments)
    """Write average ranks (from 1) of the names that `other` has too into `ranks` and their columns into `both`."""
    n = 0
    for i in range(n_ordered):
        if np.isfinite(other[order[i]]):
            both[n] = order[i]
            n += 1
    first = 0
    while first < n:
        last = first
        while last + 1 < n and values[both[last + 1]] == values[both[first]]:
            last += 1
        for i in range(first, last + 1):
            ranks[both[i]] = 0.5 * (first + last) + 1.0
        first = last + 1
    return n


@nb.njit(
    nb.float64[::1](_READ, nb.int64[:, ::1], nb.int64[::1], _READ, nb.int64[:, ::1], nb.int64[::1], nb.int64, nb.int64),
    cache=True,
    nogil=True,
    error_model="numpy",
)
def _rank_ic(factor, factor_order, n_factor, forward, forward_order, n_forward, delay, min_tickers):  # type: ignore[no-untyped-def]  # noqa: PLR0917 (Numba has no keyword-only arguments)
    """Merge two sorted lists per session into average ranks of the names in both, then correlate the ranks."""
    n_dates, n_tickers = factor.shape
    result = np.full(n_dates, np.nan)
    rank_x, rank_y = np.empty(n_tickers), np.empty(n_tickers)
    both = np.empty(n_tickers, np.int64)
    for d in range(delay, n_dates):
        s = d - delay
        n = _average_ranks(factor_order[s], n_factor[s], factor[s], forward[d], both, rank_x)
        if n < min_tickers:
            continue
        _average_ranks(forward_order[d], n_forward[d], forward[d], factor[s], both, rank_y)
        mean = (n + 1) / 2.0
        xy, xx, yy = 0.0, 0.0, 0.0  # sums of multiples of 1/4: exact in any order
        for i in range(n):
            x, y = rank_x[both[i]] - mean, rank_y[both[i]] - mean
            xy += x * y
            xx += x * x
            yy += y * y
        if xx > 0.0 and yy > 0.0:
            result[d] = max(-1.0, min(1.0, xy / np.sqrt(xx * yy)))
    return result


@nb.njit(nb.float64[::1](_READ, _READ, nb.int64, nb.int64), cache=True, nogil=True, error_model="numpy")
def _ic(factor, forward, delay, min_tickers):  # type: ignore[no-untyped-def]
    """Correlate the pairs of each session; deviations are scaled so that no square overflows or vanishes."""
    n_dates, n_tickers = factor.shape
    result = np.full(n_dates, np.nan)
    x, y = np.empty(n_tickers), np.empty(n_tickers)
    for d in range(delay, n_dates):
        n = 0
        for j in range(n_tickers):
            if np.isfinite(factor[d - delay, j]) and np.isfinite(forward[d, j]):
                x[n], y[n] = factor[d - delay, j], forward[d, j]
                n += 1
        if n < min_tickers:
            continue
        if not (_standardize(x[:n]) and _standardize(y[:n])):
            continue
        xy, xx, yy = 0.0, 0.0, 0.0
        for i in range(n):
            xy += x[i] * y[i]
            xx += x[i] * x[i]
            yy += y[i] * y[i]
        result[d] = max(-1.0, min(1.0, xy / (np.sqrt(xx) * np.sqrt(yy))))
    return result


@nb.njit(
    (nb.int64[:, ::1], nb.int64[::1], _READ_BOOL, _READ, nb.int64, nb.int64),
    cache=True,
    nogil=True,
    error_model="numpy",
)
def _quantile_returns(order, n_ranked, is_constant, forward, delay, n_quantiles):  # type: ignore[no-untyped-def]  # noqa: PLR0917 (Numba has no keyword-only arguments)
    """Average the forward returns of each quantile; names are added in ticker order."""
    n_dates, n_tickers = forward.shape
    means = np.full((n_dates, n_quantiles), np.nan)
    counts = np.full((n_dates, n_quantiles), -1, np.int64)
    quantile = np.empty(n_tickers, np.int64)
    sums = np.empty(n_quantiles)
    for d in range(delay, n_dates):
        n = n_ranked[d - delay]
        if n < n_quantiles or is_constant[d - delay]:
            continue
        quantile[:] = -1
        for q in range(n_quantiles):  # floor(i * n_quantiles / n) == q
            for i in range(-(-q * n // n_quantiles), -(-(q + 1) * n // n_quantiles)):
                quantile[order[d - delay, i]] = q
        sums[:] = 0.0
        counts[d] = 0
        for j in range(n_tickers):
            q = quantile[j]
            if q >= 0 and np.isfinite(forward[d, j]):
                sums[q] += forward[d, j]
                counts[d, q] += 1
        for q in range(n_quantiles):
            if counts[d, q] > 0:
                means[d, q] = sums[q] / counts[d, q]
    return means, counts
