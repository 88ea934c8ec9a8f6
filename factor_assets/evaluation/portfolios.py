"""Portfolios sorted on the previous session's factor, and the factor's return: high minus low.

What does not belong here: the order of the names (`ranking.py`), rank IC and quantiles (`information.py`).
"""

from dataclasses import dataclass
from typing import Literal

import numba as nb
import numpy as np
import numpy.typing as npt

from factor_assets.errors import EvaluationError, MisalignedError
from factor_assets.evaluation.ranking import Counts, Ranking
from factor_assets.panel.panel import Array

_READ = nb.types.Array(nb.float64, 2, "C", readonly=True)

COMPUTED, FIRST_SESSION, NO_MEMBERS, NO_VALUES, TOO_FEW, ONE_VALUE, NO_MARKET_CAP, NO_RETURN = range(8)


def reason_texts(n_groups: int) -> tuple[str | None, ...]:
    """Say why a session has no factor return; position is the code in `Portfolios.reason`."""
    return (
        None,
        "first session",
        "no universe member on the previous session",
        "no factor value on the previous session",
        f"fewer than {n_groups} names ranked",
        "all ranked names have the same factor value",
        "no market cap in a portfolio on the previous session",
        "no return in a portfolio",
    )


@dataclass(frozen=True, eq=False)
class Portfolios:
    """Returns and counts by session, each of shape (n_dates,).

    Parameters
    ----------
    high, low, factor
        Returns (fraction per session) of the highest names, of the lowest, and their difference. All three are NaN on
        a session that cannot be computed; `reason` says why.
    turnover
        Mean over both portfolios of half the sum of absolute changes of the target weights; NaN unless this session
        and the one before it have a target. The drift of the weights within a session is not counted.
    n_high, n_low
        Names with a weight and a return; -1 where no portfolio was formed.
    n_missing_returns
        Names with a weight and no return: their weight goes to the others. -1 where no portfolio was formed.
    n_missing_market_caps
        Names that cap weighting left out of the portfolios. -1 where none could be formed.
    reason
        int8 codes, see `reason_texts`; 0 where computed.
    """

    high: Array
    low: Array
    factor: Array
    turnover: Array
    n_high: Counts
    n_low: Counts
    n_missing_returns: Counts
    n_missing_market_caps: Counts
    reason: npt.NDArray[np.int8]


def sort_portfolios(
    ranking: Ranking,
    returns: Array,
    *,
    n_groups: int = 3,
    weighting: Literal["equal", "cap"] = "equal",
    market_cap: Array | None = None,
    n_members: Counts | None = None,
) -> Portfolios:
    """Go long the names with the highest values and short those with the lowest, rebalanced every session.

    For every session t but the first:

    1. n names are ranked on t-1; n >= `n_groups` is needed, and k = floor(n / n_groups).
    2. High is the k last names in the order (value, ticker), Low the k first. Names that all have one value make no
       portfolios: their order would be the alphabet's.
    3. Weights are equal, or proportional to the market capitalisation on t-1; a name without one gets none.
    4. The return of a portfolio is the weighted mean of the returns on t of the names that have one.
    5. The return of the factor is High minus Low. No cost is charged.

    Parameters
    ----------
    ranking
        Names by session; row t-1 makes the portfolios of row t.
    returns
        float64 of shape (n_dates, n_tickers): total return on the session (fraction). NaN is missing.
    market_cap
        float64 of shape (n_dates, n_tickers), wanted for cap weighting. NaN, infinite and non-positive are missing.
    n_members
        int64 of shape (n_dates,): universe members, to tell a session without members from one without values; by
        default all tickers.

    Raises
    ------
    EvaluationError
        If cap weighting has no market capitalisation, or there are fewer than 2 groups.
    MisalignedError
        If the shapes differ.

    References
    ----------
    Fama and French (1993), Journal of Financial Economics 33(1), section 2.1.2, doi:10.1016/0304-405X(93)90023-5, for
    portfolios sorted on a known characteristic; here the sort is daily and single.
    """
    if n_groups < 2:
        raise EvaluationError(f"Sorted portfolios want at least 2 groups, got {n_groups}.")
    if weighting == "cap":
        if market_cap is None:
            raise EvaluationError(
                "Cap weighting wants market_cap, got none; pass it, or set evaluation.weighting to 'equal'."
            )
        size = np.where(np.isfinite(market_cap) & (market_cap > 0), market_cap, 0.0)
    else:
        size = np.ones_like(ranking.values)
    for name, values in (("returns", returns), ("market_cap", size)):
        if values.shape != ranking.values.shape:
            raise MisalignedError(
                f"Sorted portfolios want {name} of the ranking's shape {ranking.values.shape}, got {values.shape}."
            )
    if n_members is None:
        n_members = np.full(len(returns), returns.shape[1], dtype=np.int64)
    reason = _reason_before(ranking, n_members=n_members, n_groups=n_groups)
    high, low, turnover, counts = _sort_portfolios(
        ranking.order,
        ranking.n_ranked,
        np.ascontiguousarray(returns, dtype=np.float64),
        np.ascontiguousarray(size, dtype=np.float64),
        n_groups,
        reason,
    )
    return Portfolios(
        high=high,
        low=low,
        factor=high - low,
        turnover=turnover,
        n_high=counts[:, 0],
        n_low=counts[:, 1],
        n_missing_returns=counts[:, 2],
        n_missing_market_caps=counts[:, 3],
        reason=reason,
    )


def _reason_before(ranking: Ranking, *, n_members: Counts, n_groups: int) -> npt.NDArray[np.int8]:
    """Say which sessions cannot have portfolios, whatever the returns; row t looks at t-1."""
    n = ranking.n_ranked
    reason = np.select(
        [n_members == 0, n == 0, n < n_groups, ranking.is_constant],
        [NO_MEMBERS, NO_VALUES, TOO_FEW, ONE_VALUE],
        COMPUTED,
    ).astype(np.int8)
    reason[1:] = reason[:-1].copy()
    reason[:1] = FIRST_SESSION
    return reason


@nb.njit(cache=True, error_model="numpy")
def _target_weights(columns, size, weights):  # type: ignore[no-untyped-def]
    """Write weights proportional to size into `weights` (n_tickers,); return how many names have one."""
    weights[:] = 0.0
    n = 0
    for column in columns:
        weights[column] = size[column]
        n += size[column] > 0.0
    total = 0.0
    for j in range(len(weights)):  # in ticker order: the sum must not depend on the sort
        total += weights[j]
    if n > 0:
        for j in range(len(weights)):
            weights[j] /= total
    return n


@nb.njit(cache=True, error_model="numpy")
def _weighted_mean(weights, returns):  # type: ignore[no-untyped-def]
    """Average the returns of the names that have one; the weights of the others go to these in proportion."""
    invested, earned, n = 0.0, 0.0, 0
    for j in range(len(weights)):
        if np.isfinite(returns[j]):  # most weights are 0: adding nothing is faster than a branch
            invested += weights[j]
            earned += weights[j] * returns[j]
            n += weights[j] > 0.0
    return (earned / invested if n > 0 else np.nan), n


@nb.njit((nb.int64[:, ::1], nb.int64[::1], _READ, _READ, nb.int64, nb.int8[::1]), cache=True, error_model="numpy")
def _sort_portfolios(order, n_ranked, returns, size, n_groups, reason):  # type: ignore[no-untyped-def]  # noqa: PLR0917 (Numba has no keyword-only arguments)
    """Compute the sessions that `reason` allows, and add the reasons that sizes and returns give."""
    n_dates, n_tickers = returns.shape
    high, low, turnover = np.full(n_dates, np.nan), np.full(n_dates, np.nan), np.full(n_dates, np.nan)
    counts = np.full((n_dates, 4), -1, np.int64)
    weights = np.zeros((2, n_tickers))  # targets of High and Low
    previous = np.zeros((2, n_tickers))
    has_previous = False
    for t in range(n_dates):
        has_target = False
        if reason[t] == COMPUTED:
            n = n_ranked[t - 1]
            k = n // n_groups
            n_high = _target_weights(order[t - 1, n - k : n], size[t - 1], weights[0])
            n_low = _target_weights(order[t - 1, :k], size[t - 1], weights[1])
            counts[t, 3] = 2 * k - n_high - n_low
            has_target = n_high > 0 and n_low > 0
            if has_target:
                high_return, counts[t, 0] = _weighted_mean(weights[0], returns[t])
                low_return, counts[t, 1] = _weighted_mean(weights[1], returns[t])
                counts[t, 2] = n_high + n_low - counts[t, 0] - counts[t, 1]
                if counts[t, 0] > 0 and counts[t, 1] > 0:
                    high[t], low[t] = high_return, low_return
                else:
                    reason[t] = NO_RETURN
            else:
                reason[t] = NO_MARKET_CAP
        if has_target and has_previous:
            change = 0.0
            for side in range(2):
                for j in range(n_tickers):
                    change += abs(weights[side, j] - previous[side, j])
            turnover[t] = change / 4.0  # half of the change, mean of two portfolios
        weights, previous = previous, weights
        has_previous = has_target
    return high, low, turnover, counts
