"""Capacity: how much money a portfolio's names can take in one session at a share of what is traded in them.

What does not belong here: what trading costs, how often it is needed (`turnover.py`).
"""

from dataclasses import dataclass

import numpy as np

from factor_assets.errors import EvaluationError, MisalignedError
from factor_assets.evaluation.ranking import Counts
from factor_assets.panel.panel import Array


@dataclass(frozen=True, kw_only=True, eq=False)
class Capacity:
    """Value that can be traded, by session; in the currency of the dollar volume.

    Parameters
    ----------
    tradable_value
        float64 of shape (n_dates,): participation x dollar volume, added up over the names with a weight.
    capital
        float64 of shape (n_dates,): largest capital of which every weight can be traded within the participation.
    binding
        int64 of shape (n_dates,): column of the name that limits the capital; -1 where there is no capital.
    n_names, n_missing
        int64 of shape (n_dates,): names with a weight and a dollar volume; names with a weight and none.
    """

    tradable_value: Array
    capital: Array
    binding: Counts
    n_names: Counts
    n_missing: Counts

    @property
    def median_tradable_value(self) -> float:
        """Median over the sessions that have one."""
        return _median(self.tradable_value)

    @property
    def median_capital(self) -> float:
        """Median over the sessions that have one."""
        return _median(self.capital)


def capacity(
    weights: Array, dollar_volume: Array, *, participation: float = 0.1, max_missing: float = 0.05
) -> Capacity:
    r"""Value tradable in one session at a participation rate.

    .. math:: V_d = \rho \sum_{j : w_{j,d} \ne 0} v_{j,d}, \qquad
        K_d = \min_{j : w_{j,d} \ne 0} \frac{\rho \, v_{j,d}}{|w_{j,d}|}

    Parameters
    ----------
    weights
        float64 of shape (n_dates, n_tickers): target weights of a leg (`leg_weights`), the difference of two legs, or
        the change of weights on the session, for the capital that can be rebalanced rather than set up. Names with a
        weight of 0 do not take part; a row with a NaN, or of nothing but 0, has no portfolio.
    dollar_volume
        float64 of the same shape: value traded, known on the session (currency), such as its mean over 20 sessions.
        NaN, infinite and negative are missing; 0 is a name in which nothing can be traded.
    participation
        Rate of the traded value that may be ours, in (0, 1].
    max_missing
        A session on which names without a dollar volume have more than this share of the sum of absolute weights has
        no capacity; below it they are left out.

    Returns
    -------
    NaN where there is no portfolio, or too much of its dollar volume is missing.

    Raises
    ------
    EvaluationError
        If the participation is not in (0, 1], or `max_missing` not in [0, 1).
    MisalignedError
        If the shapes differ.
    """
    if not 0.0 < participation <= 1.0:
        raise EvaluationError(f"Capacity wants a participation in (0, 1], got {participation}.")
    if not 0.0 <= max_missing < 1.0:
        raise EvaluationError(f"Capacity wants max_missing in [0, 1), got {max_missing}.")
    if dollar_volume.shape != weights.shape:
        raise MisalignedError(
            f"Capacity wants dollar_volume of the weights' shape {weights.shape}, got {dollar_volume.shape}."
        )
    size = np.abs(weights)
    is_held = size > 0.0  # not where NaN
    is_known = is_held & np.isfinite(dollar_volume) & (dollar_volume >= 0.0)
    value = np.where(is_known, participation * dollar_volume, 0.0)
    held = size.sum(axis=1)  # NaN without a portfolio
    missing = np.where(is_held & ~is_known, size, 0.0).sum(axis=1)
    is_computed = (held > 0.0) & np.isfinite(held) & (missing <= max_missing * held)
    limit = np.divide(value, size, out=np.full(size.shape, np.inf), where=is_known)
    if not limit.shape[1]:
        limit = np.full((len(limit), 1), np.inf)
    binding = limit.argmin(axis=1)
    capital = limit[np.arange(len(limit)), binding]
    is_limited = is_computed & np.isfinite(capital)
    return Capacity(
        tradable_value=np.where(is_computed, value.sum(axis=1), np.nan),
        capital=np.where(is_limited, capital, np.nan),
        binding=np.where(is_limited, binding, -1),
        n_names=np.count_nonzero(is_known, axis=1),
        n_missing=np.count_nonzero(is_held & ~is_known, axis=1),
    )


def _median(values: Array) -> float:
    present = values[~np.isnan(values)]
    return float(np.median(present)) if len(present) else np.nan
