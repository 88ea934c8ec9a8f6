"""Marginal rank IC: what a factor tells about later returns that chosen other factors do not.

What does not belong here: which factors are alike (`factor_correlations.py`), the same question about factor returns
(`spanning.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from factor_assets.errors import EvaluationError, MisalignedError
from factor_assets.evaluation.factor_correlations import centred_ranks
from factor_assets.evaluation.information import rank_ic
from factor_assets.evaluation.newey_west import Lags, Mean, newey_west_mean
from factor_assets.evaluation.ranking import Ranking, rank
from factor_assets.panel.panel import Array

_EXPLAINED = 1e-10  # of the squares: what is left is rounding
_DEPENDENT = 1e-12  # of the largest eigenvalue: what is smaller is rounding
_DECIMALS = 8  # of a rank: names that are alike in every factor tie in the residual, too


@dataclass(frozen=True, kw_only=True, eq=False)
class MarginalIc:
    """Rank IC of what is left of a factor.

    Parameters
    ----------
    rank_ic
        float64 of shape (n_dates,), on the session on which the forward return is complete.
    mean
        Its mean with Newey-West t and p; shapes ().
    explained
        float64 of shape (n_dates,): R2 of the regression of the factor's ranks, on the session of the factor.
    """

    rank_ic: Array
    mean: Mean
    explained: Array


def marginal_rank_ic(
    factor: Array,
    others: Sequence[Array],
    forward_return: Ranking,
    *,
    delay: int,
    horizon: int = 1,
    among: npt.NDArray[np.bool_] | None = None,
    min_tickers: int = 10,
    lags: Lags = "fixed",
) -> MarginalIc:
    r"""Correlate the part of a factor's ranks that the ranks of others do not explain with the forward return.

    1. On each session, take the names that have the factor and every other one, and rank them by each.
    2. Regress the ranks of the factor on those of the others, with a constant:

       .. math:: r_i = a + \sum_j b_j r_{ij} + e_i

    3. The marginal rank IC is the rank IC of the residuals e (`rank_ic`), the t-statistic that of its mean.

    The regression knows nothing of the forward return, so a missing one never changes another name's residual. Without
    others it is the rank IC.

    The regression is linear in the ranks. A factor that is another one plus noise is not quite linear in its ranks, so
    that up to a tenth of the other's rank IC remains (measured with normal values): read the size beside the t.

    Parameters
    ----------
    factor
        float64 of shape (n_dates, n_tickers). NaN and infinite are missing.
    others
        Factors of the same shape; about 10 at most, for a name that lacks one takes no part. Others that explain each
        other are no problem.
    forward_return, delay
        As in `rank_ic`.
    horizon
        Sessions of the forward return: neighbouring ICs share horizon - 1, which the Newey-West lags allow for.
    among
        bool of the same shape: the names that take part, such as members of the universe; by default all.
    min_tickers
        A session with fewer names, less one for each other factor, gives NaN; so does one with fewer pairs.
    lags
        As in `newey_west_mean`.

    Returns
    -------
    NaN also where the factor is constant, or where the others explain it wholly, so that what is left is rounding.

    Raises
    ------
    MisalignedError
        If the shapes differ.
    EvaluationError
        If the delay or the horizon is below one session.

    References
    ----------
    Grinold and Kahn (2000), Active Portfolio Management, 2nd ed., ch. 6, for the IC. Frisch and Waugh (1933),
    Econometrica 1(4), for the residual as the part that others do not explain. Newey and West (1987),
    Econometrica 55(3).
    """
    if horizon < 1:
        raise EvaluationError(f"A marginal rank IC wants a horizon of at least 1 session, got {horizon}.")
    residuals, explained = neutral_ranks(factor, others, among=among, min_tickers=min_tickers)
    series = rank_ic(rank(residuals), forward_return, delay=delay, min_tickers=min_tickers)
    return MarginalIc(rank_ic=series, mean=newey_west_mean(series, lags=lags, overlap=horizon - 1), explained=explained)


def neutral_ranks(
    factor: Array, others: Sequence[Array], *, among: npt.NDArray[np.bool_] | None = None, min_tickers: int = 10
) -> tuple[Array, Array]:
    """Return what the ranks of others leave of a factor's ranks: the first two steps of `marginal_rank_ic`.

    Parameters
    ----------
    factor, others, among, min_tickers
        As there.

    Returns
    -------
    residuals
        float64 of shape (n_dates, n_tickers). NaN where a name lacks a factor, and on sessions with too few names or
        nothing left.
    explained
        float64 of shape (n_dates,): R2.

    Raises
    ------
    MisalignedError
        If the shapes differ.
    """
    for i, other in enumerate(others):
        if other.shape != factor.shape:
            raise MisalignedError(
                f"A marginal rank IC wants factors of one shape (n_dates, n_tickers); the factor has {factor.shape},"
                f" other {i} has {other.shape}."
            )
    common = np.isfinite(factor) if among is None else np.isfinite(factor) & among
    for other in others:
        common = common & np.isfinite(other)
    y = np.where(common, centred_ranks(rank(factor, among=common)), 0.0)
    left = y
    if others:
        # the constant is in it: centred ranks have the mean 0 over the same names
        x = np.stack([centred_ranks(rank(other, among=common)) for other in others], axis=-1)
        x[~common] = 0.0
        transposed = x.swapaxes(1, 2)  # (n_dates, n_others, n_tickers)
        # sums of products of half-integers are exact, so that no rounding hides others that explain each other
        inverse = np.linalg.pinv(transposed @ x, rcond=_DEPENDENT, hermitian=True)
        left = y - (x @ (inverse @ (transposed @ y[:, :, None])))[:, :, 0]
    total, squares = (y * y).sum(axis=1), (left * left).sum(axis=1)
    is_known = (common.sum(axis=1) - len(others) >= max(min_tickers, 2)) & (total > 0.0)
    explained = np.full(len(factor), np.nan)
    explained[is_known] = np.maximum(0.0, 1.0 - squares[is_known] / total[is_known])
    is_left = is_known & (squares > _EXPLAINED * total)
    residuals: Array = np.where(common & is_left[:, None], np.round(left, _DECIMALS), np.nan)
    return residuals, explained
