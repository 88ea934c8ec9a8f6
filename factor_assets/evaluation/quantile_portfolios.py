"""Returns of quantile portfolios, held for one session or several in overlapping cohorts.

A return stands on the session on which it is earned; the sorts are older. What does not belong here: the sort
(`quantiles.py`), the weights (`quantile_weights.py`), the portfolios of the table `factor_timeseries`
(`portfolios.py`).
"""

from dataclasses import dataclass

import numba as nb
import numpy as np
import numpy.typing as npt

from factor_assets.errors import EvaluationError, MisalignedError
from factor_assets.evaluation import quantiles as sort
from factor_assets.evaluation.quantile_weights import QuantileWeights
from factor_assets.evaluation.quantiles import Quantiles
from factor_assets.evaluation.ranking import Counts
from factor_assets.panel.panel import Array

COMPUTED = 0
FIRST_SESSIONS, NO_WEIGHT, NO_RETURN = range(6, 9)  # after the reasons of `quantiles.py`

_READ = nb.types.Array(nb.float64, 2, "C", readonly=True)
_READ_INT16 = nb.types.Array(nb.int16, 2, "C", readonly=True)
_READ_INT8 = nb.types.Array(nb.int8, 1, "C", readonly=True)


def reason_texts(n_quantiles: int) -> tuple[str | None, ...]:
    """Say why a session has no return; position is the code in `QuantilePortfolios.reason`."""
    return (
        *sort.reason_texts(n_quantiles),
        "no session that the sort could be on",
        "no weight in the highest or lowest quantile",
        "no return in the highest or lowest quantile",
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class QuantilePortfolios:
    """Returns and counts by session.

    Parameters
    ----------
    returns
        float64 of shape (n_dates, n_quantiles), fraction per session, lowest quantile first. NaN where fewer than
        `min_cohorts` cohorts have a return.
    universe
        float64 of shape (n_dates,): return of all sorted names, weighted as the portfolios are but without a cap.
    n_names, n_missing_returns
        int64 of shape (n_dates, n_quantiles): names with a weight and a return, and with a weight and none, whose
        weight goes to the others. A name counts once in each cohort that holds it. -1 where no cohort was formed.
    n_cohorts
        int64 of shape (n_dates,): cohorts with a return in the highest and in the lowest quantile.
    reason
        int8 of shape (n_dates,), see `reason_texts`: why the newest cohort that is missing is missing, where fewer
        than `min_cohorts` are there; 0 where the return of highest minus lowest is computed.
    """

    returns: Array
    universe: Array
    n_names: Counts
    n_missing_returns: Counts
    n_cohorts: Counts
    reason: npt.NDArray[np.int8]

    @property
    def long(self) -> Array:
        """Return of the highest quantile, shape (n_dates,): long-only, not in excess of anything."""
        return self.returns[:, -1]

    @property
    def short(self) -> Array:
        """Return of the lowest quantile, shape (n_dates,): what a short position in it pays."""
        return self.returns[:, 0]

    @property
    def long_short(self) -> Array:
        """Highest minus lowest, shape (n_dates,); NaN where `reason` says why."""
        difference: Array = np.where(self.reason == COMPUTED, self.long - self.short, np.nan)
        return difference

    @property
    def long_only_excess(self) -> Array:
        """Highest minus the universe, shape (n_dates,): what the factor is worth to who cannot sell short."""
        difference: Array = self.long - self.universe
        return difference


def quantile_portfolios(
    quantiles: Quantiles,
    weights: QuantileWeights,
    returns: Array,
    *,
    delay: int,
    holding: int = 1,
    min_cohorts: int | None = None,
) -> QuantilePortfolios:
    r"""Hold each quantile for `holding` sessions, with a new cohort every session.

    .. math:: R_{q,d} = \frac{1}{h} \sum_{c=0}^{h-1} \sum_j w_{q,j,d-\ell-c} \, r_{j,d}

    1. The cohorts of session d were sorted on d - delay, d - delay - 1, ..., d - delay - holding + 1.
    2. The return of a cohort is the mean, weighted as on its sort, of the returns on d of the names that have one:
       a cohort is brought back to its weights every session.
    3. The return of a quantile is the plain mean of its cohorts' returns.

    Parameters
    ----------
    quantiles, weights
        Of shape (n_dates, n_tickers); row s is known at the close of session s.
    returns
        float64 of the same shape: return that is complete on the session (fraction), of one session unless `holding`
        is 1. NaN and infinite are missing.
    delay
        Sessions from the sort to the completion of the first return: execution lag + 1, or execution lag + the
        horizon of `returns`.
    holding
        h, in sessions.
    min_cohorts
        A quantile with fewer cohorts has no return; by default all h must be there.

    Raises
    ------
    EvaluationError
        If `delay` or `holding` is below 1, or `min_cohorts` is not in 1 to `holding`.
    MisalignedError
        If the shapes differ.

    References
    ----------
    Jegadeesh and Titman (1993), Journal of Finance 48(1), section I.A, doi:10.1111/j.1540-6261.1993.tb04702.x, for
    overlapping cohorts.
    """
    needed = holding if min_cohorts is None else min_cohorts
    if delay < 1:
        raise EvaluationError(f"A return is complete at least 1 session after the sort, got delay {delay}.")
    if holding < 1 or not 1 <= needed <= holding:
        raise EvaluationError(
            f"Cohorts want a holding of at least 1 session and 1 to holding cohorts, got {holding} and {needed}."
        )
    for name, values in (("weights", weights.weight), ("returns", returns)):
        if values.shape != quantiles.number.shape:
            raise MisalignedError(
                f"Quantile portfolios want {name} of the sort's shape {quantiles.number.shape}, got {values.shape}."
            )
    means, universe, n_names, n_missing, n_cohorts, reason = _hold(
        quantiles.number,
        quantiles.reason,
        weights.weight,
        weights.quantile_share,
        np.ascontiguousarray(returns, dtype=np.float64),
        delay,
        holding,
        needed,
    )
    return QuantilePortfolios(
        returns=means,
        universe=universe,
        n_names=n_names,
        n_missing_returns=n_missing,
        n_cohorts=n_cohorts,
        reason=reason,
    )


def leg_weights(quantiles: Quantiles, weights: QuantileWeights, *, quantile: int, holding: int = 1) -> Array:
    """Average the weights of one quantile over the cohorts sorted on the session and on those before it.

    Parameters
    ----------
    quantiles, weights
        Of shape (n_dates, n_tickers).
    quantile
        1 for the lowest up to n_quantiles.
    holding
        Cohorts, one a session.

    Returns
    -------
    float64 of shape (n_dates, n_tickers): row d is what is to be held after the sort on d. Rows add up to 1; a row
    is NaN where one of its cohorts has no weight in the quantile or lies before the first session.

    Raises
    ------
    EvaluationError
        If there is no such quantile, or `holding` is below 1.
    """
    if not 1 <= quantile <= quantiles.n_quantiles:
        raise EvaluationError(f"A leg wants a quantile of 1 to {quantiles.n_quantiles}, got {quantile}.")
    if holding < 1:
        raise EvaluationError(f"Cohorts want a holding of at least 1 session, got {holding}.")
    cohort = np.where(quantiles.number == quantile, weights.weight, 0.0)
    cohort[weights.n_names[:, quantile - 1] == 0] = np.nan
    if holding == 1:
        return cohort
    result = np.full(cohort.shape, np.nan)
    n = len(cohort) - holding + 1
    if n > 0:
        result[holding - 1 :] = sum(cohort[c : c + n] for c in range(holding))
        result /= holding
    return result


@nb.njit(
    (_READ_INT16, _READ_INT8, _READ, _READ, _READ, nb.int64, nb.int64, nb.int64),
    cache=True,
    nogil=True,
    error_model="numpy",
)
def _hold(number, sort_reason, weight, quantile_share, returns, delay, holding, needed):  # type: ignore[no-untyped-def]  # noqa: C901, PLR0912, PLR0915, PLR0917 (one pass a session; Numba has no keyword-only arguments)
    """Average over the cohorts of each session; names are added in ticker order."""
    n_dates, n_tickers = number.shape
    n_quantiles = quantile_share.shape[1]
    means = np.full((n_dates, n_quantiles), np.nan)
    universe = np.full(n_dates, np.nan)
    n_names = np.full((n_dates, n_quantiles), -1, np.int64)
    n_missing = np.full((n_dates, n_quantiles), -1, np.int64)
    n_cohorts = np.zeros(n_dates, np.int64)
    reason = np.zeros(n_dates, np.int8)
    earned, invested = np.empty(n_quantiles), np.empty(n_quantiles)
    sums, n_sums = np.empty(n_quantiles), np.empty(n_quantiles, np.int64)
    n, n_gone = np.empty(n_quantiles, np.int64), np.empty(n_quantiles, np.int64)
    for d in range(n_dates):
        sums[:], n_sums[:] = 0.0, 0
        of_universe, n_universe, why = 0.0, 0, COMPUTED
        for c in range(holding):
            s = d - delay - c
            missing = FIRST_SESSIONS
            if s >= 0:
                missing = sort_reason[s]
            if missing != COMPUTED:
                why = missing if why == COMPUTED else why
                continue
            if n_names[d, 0] < 0:
                n_names[d], n_missing[d] = 0, 0
            earned[:], invested[:], n[:], n_gone[:] = 0.0, 0.0, 0, 0
            for j in range(n_tickers):
                if weight[s, j] > 0.0:
                    q = number[s, j] - 1
                    if np.isfinite(returns[d, j]):
                        invested[q] += weight[s, j]
                        earned[q] += weight[s, j] * returns[d, j]
                        n[q] += 1
                    else:
                        n_gone[q] += 1
            share, of_all = 0.0, 0.0
            for q in range(n_quantiles):
                n_names[d, q] += n[q]
                n_missing[d, q] += n_gone[q]
                if n[q] > 0:
                    mean = earned[q] / invested[q]
                    sums[q] += mean
                    n_sums[q] += 1
                    share += quantile_share[s, q]
                    of_all += quantile_share[s, q] * mean
            if share > 0.0:
                of_universe += of_all / share
                n_universe += 1
            if n[0] > 0 and n[-1] > 0:
                n_cohorts[d] += 1
            elif why == COMPUTED:
                why = NO_WEIGHT if n[0] + n_gone[0] == 0 or n[-1] + n_gone[-1] == 0 else NO_RETURN
        for q in range(n_quantiles):
            if n_sums[q] >= needed:
                means[d, q] = sums[q] / n_sums[q]
        if n_universe >= needed:
            universe[d] = of_universe / n_universe
        if n_cohorts[d] < needed:
            reason[d] = why
    return means, universe, n_names, n_missing, n_cohorts, reason
