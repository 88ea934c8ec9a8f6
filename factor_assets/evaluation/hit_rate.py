"""Hit rate: how often the sign is right, over sessions or over names, and how precisely that is known.

What does not belong here: how large the gain is (`ic_decay.py`, `quantile_portfolios.py`).
"""

from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal, get_args

import numba as nb
import numpy as np

from factor_assets.errors import EvaluationError, MisalignedError, did_you_mean
from factor_assets.evaluation.ranking import Counts, Ranking
from factor_assets.panel.panel import Array

Interval = Literal["wilson", "clopper_pearson"]

_READ = nb.types.Array(nb.float64, 2, "C", readonly=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class HitRate:
    """A share of right signs and its precision.

    Parameters
    ----------
    rate
        n_right / n; NaN with n = 0, as are all that follow.
    lower, upper
        Binomial interval of the rate.
    pvalue
        Exact, two-sided, of a rate of one half.
    n_right, n
        Right signs; signs.
    n_zero
        Values of exactly 0, which have no sign and are left out.
    """

    rate: float
    lower: float
    upper: float
    pvalue: float
    n_right: int
    n: int
    n_zero: int


def hit_rate(
    values: Array,
    *,
    sign: Literal[1, -1] = 1,
    every: int = 1,
    confidence: float = 0.95,
    interval: Interval = "wilson",
) -> HitRate:
    """Share of sessions on which a series has the right sign.

    Parameters
    ----------
    values
        float64 of shape (n_dates,): rank IC, or return of highest minus lowest. NaN and infinite are left out.
    sign
        The sign that is right.
    every
        Takes every so many sessions, the newest first, after those without a value are left out. Values over a
        horizon of h sessions share all but one of them with their neighbour, and the interval, which takes them as
        independent, would be too narrow: pass h.
    confidence
        Of the interval.
    interval
        ``wilson`` for the score interval, right on average; ``clopper_pearson`` for the exact one, never too narrow.

    Raises
    ------
    EvaluationError
        If the sign is not 1 or -1, `every` is below 1, the confidence is not in (0, 1), or the interval is unknown.

    References
    ----------
    Wilson (1927), Journal of the American Statistical Association 22(158). Clopper and Pearson (1934), Biometrika
    26(4). Brown, Cai and DasGupta (2001), Interval estimation for a binomial proportion, Statistical Science 16(2).
    """
    if sign not in {1, -1}:
        raise EvaluationError(f"A hit rate wants sign 1 or -1, got {sign}.")
    if every < 1:
        raise EvaluationError(f"A hit rate wants every session or every so many of them, got every {every}.")
    present = values[np.isfinite(values)][::-1][::every]
    n_zero = int(np.count_nonzero(present == 0.0))
    n_right = int(np.count_nonzero(sign * present > 0.0))
    n = len(present) - n_zero
    lower, upper = binomial_interval(n_right, n, confidence=confidence, interval=interval)
    return HitRate(
        rate=n_right / n if n else np.nan,
        lower=lower,
        upper=upper,
        pvalue=_pvalue(n_right, n),
        n_right=n_right,
        n=n,
        n_zero=n_zero,
    )


def name_hits(factor: Ranking, forward_return: Ranking, *, delay: int) -> tuple[Counts, Counts]:
    """Count the names of each session whose factor and forward return are on the same side of their medians.

    Parameters
    ----------
    factor, forward_return
        Rankings of shape (n_dates, n_tickers). Row d of `forward_return` has the returns that are complete on d.
    delay
        Sessions from the factor to the completion of its forward return: execution lag + horizon.

    Returns
    -------
    n_right
        int64 of shape (n_dates,).
    n
        int64 of shape (n_dates,): names with both values and neither at its median, which is taken over the names with
        both. 0 where there are none, so that n_right / n is missing.

    Names of one session move together, so that an interval which takes them as independent is too narrow: put
    n_right / n - 1 / 2 into `hit_rate`, one value a session.

    Raises
    ------
    MisalignedError
        If the shapes differ.
    EvaluationError
        If the delay is below one session.
    """
    if factor.values.shape != forward_return.values.shape:
        raise MisalignedError(
            "Factor and forward return want one shape (n_dates, n_tickers); got"
            f" {factor.values.shape} and {forward_return.values.shape}."
        )
    if delay < 1:
        raise EvaluationError(f"A forward return is complete at least 1 session after the factor, got delay {delay}.")
    n_right, n = _name_hits(
        factor.values,
        factor.order,
        factor.n_ranked,
        forward_return.values,
        forward_return.order,
        forward_return.n_ranked,
        delay,
    )
    return n_right, n


def binomial_interval(
    n_right: int, n: int, *, confidence: float = 0.95, interval: Interval = "wilson"
) -> tuple[float, float]:
    """Lower and upper end of the interval of a rate n_right / n; NaN with n = 0.

    Parameters
    ----------
    n_right, n, confidence, interval
        As in `hit_rate`.

    Raises
    ------
    EvaluationError
        If n_right is not in 0 to n, the confidence is not in (0, 1), or the interval is unknown.
    """
    if interval not in get_args(Interval):
        raise EvaluationError(f"Unknown interval {interval!r} of a rate; {did_you_mean(interval, get_args(Interval))}")
    if not 0.0 < confidence < 1.0:
        raise EvaluationError(f"An interval wants a confidence in (0, 1), got {confidence}.")
    if not 0 <= n_right <= n:
        raise EvaluationError(f"A rate wants n_right in 0 to n, got {n_right} and {n}.")
    if n == 0:
        return np.nan, np.nan
    if interval == "clopper_pearson":
        from scipy.special import betaincinv

        tail = (1.0 - confidence) / 2.0
        lower = float(betaincinv(n_right, n - n_right + 1, tail)) if n_right > 0 else 0.0
        upper = float(betaincinv(n_right + 1, n - n_right, 1.0 - tail)) if n_right < n else 1.0
        return lower, upper
    z = NormalDist().inv_cdf(0.5 + confidence / 2.0)
    rate = n_right / n
    centre = (rate + z * z / (2 * n)) / (1.0 + z * z / n)
    half = z / (1.0 + z * z / n) * (rate * (1.0 - rate) / n + z * z / (4.0 * n * n)) ** 0.5
    return max(0.0, centre - half), min(1.0, centre + half)


def _pvalue(n_right: int, n: int) -> float:
    from scipy.special import bdtr

    if n == 0:
        return np.nan
    return min(1.0, 2.0 * float(bdtr(min(n_right, n - n_right), n, 0.5)))


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _median_of_both(order, n_ordered, values, other, inside):  # type: ignore[no-untyped-def]
    """Return the median of the values of the names that `other` has too, and how many they are."""
    n = 0
    for i in range(n_ordered):
        if np.isfinite(other[order[i]]):
            inside[n] = values[order[i]]
            n += 1
    if n == 0:
        return np.nan, n
    low, high = inside[(n - 1) // 2], inside[n // 2]
    return (low if low == high else 0.5 * low + 0.5 * high), n


@nb.njit(
    (_READ, nb.int64[:, ::1], nb.int64[::1], _READ, nb.int64[:, ::1], nb.int64[::1], nb.int64),
    cache=True,
    nogil=True,
    error_model="numpy",
)
def _name_hits(factor, factor_order, n_factor, forward, forward_order, n_forward, delay):  # type: ignore[no-untyped-def]  # noqa: PLR0917 (Numba has no keyword-only arguments)
    n_dates, n_tickers = factor.shape
    n_right, n = np.zeros(n_dates, np.int64), np.zeros(n_dates, np.int64)
    inside = np.empty(n_tickers)
    for d in range(delay, n_dates):
        s = d - delay
        x, n_both = _median_of_both(factor_order[s], n_factor[s], factor[s], forward[d], inside)
        if n_both == 0:
            continue
        y, _ = _median_of_both(forward_order[d], n_forward[d], forward[d], factor[s], inside)
        for j in range(n_tickers):
            a, b = factor[s, j], forward[d, j]
            if np.isfinite(a) and np.isfinite(b) and a != x and b != y:
                n[d] += 1
                n_right[d] += (a > x) == (b > y)
    return n_right, n
