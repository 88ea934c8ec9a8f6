"""Do the mean returns of the quantiles rise from the lowest to the highest: Patton and Timmermann's tests.

What does not belong here: the returns of the quantiles (`quantile_portfolios.py`), the resampling
(`superior_ability.py`).
"""

from dataclasses import dataclass
from itertools import combinations
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from factor_assets.errors import EvaluationError, did_you_mean
from factor_assets.evaluation.superior_ability import long_run_variance, stationary_bootstrap
from factor_assets.panel.panel import Array

Direction = Literal["increasing", "decreasing"]
Pairs = Literal["adjacent", "all"]

MIN_DATES = 10


@dataclass(frozen=True, kw_only=True, eq=False)
class Monotonicity:
    """Results of the tests. Returns are per session.

    Parameters
    ----------
    mean
        float64 of shape (n_quantiles,): mean returns, lowest quantile first.
    spearman
        Rank correlation of the means with the number of the quantile; ties take average ranks. NaN where all are equal.
    smallest_difference, pvalue
        J of the test of a monotonic relation, in units of its standard error if studentized. The null hypothesis is
        that the relation is flat or not monotonic; a small p-value is evidence for a monotonic one.
    up, up_pvalue
        Sum of the positive differences of neighbours; the null hypothesis is that no mean differs from its neighbour,
        and a small p-value is evidence that some rise.
    down, down_pvalue
        The same for the sum of the sizes of the negative ones.
    n_dates, n_left_out
        Sessions used; sessions left out because a quantile has no return on them.
    """

    mean: Array
    spearman: float
    smallest_difference: float
    pvalue: float
    up: float
    up_pvalue: float
    down: float
    down_pvalue: float
    n_dates: int
    n_left_out: int


def monotonicity(
    quantile_returns: Array,
    *,
    direction: Direction = "increasing",
    pairs: Pairs = "adjacent",
    studentize: bool = False,
    block_length: float = 10.0,
    n_bootstrap: int = 1000,
    seed: int = 0,
) -> Monotonicity:
    r"""Test whether mean returns rise (or fall) over the quantiles, and whether they move at all.

    1. :math:`\hat\Delta_i` are the differences of the mean returns of two quantiles, upper minus lower, of neighbours
       or of all pairs; for ``decreasing``, lower minus upper.
    2. The statistic is :math:`J = \min_i \hat\Delta_i`, and in bootstrap sample b, which has the null hypothesis at
       its border, :math:`J^{(b)} = \min_i (\hat\Delta_i^{(b)} - \hat\Delta_i)`. Studentized, each difference is
       divided by its standard error under the bootstrap.
    3. The p-value is the share of samples with :math:`J^{(b)} \ge J`, the statistic itself counted as one sample.
    4. Up and down: :math:`J^+ = \sum_i |\hat\Delta_i| 1\{\hat\Delta_i > 0\}` and
       :math:`J^- = \sum_i |\hat\Delta_i| 1\{\hat\Delta_i < 0\}` over neighbours, upper minus lower whatever the
       direction, and the same of :math:`\hat\Delta_i^{(b)} - \hat\Delta_i`.

    Parameters
    ----------
    quantile_returns
        float64 of shape (n_dates, n_quantiles), lowest quantile first (fraction per session). A session on which one
        is NaN or infinite is left out of all.
    direction, pairs, studentize
        See the steps.
    block_length
        Mean length of the bootstrap's blocks, in sessions.
    n_bootstrap
        Samples. A larger number keeps the samples of a smaller one and adds to them.
    seed
        Of the bootstrap.

    Raises
    ------
    EvaluationError
        If there are fewer than 2 quantiles or than 10 complete sessions, a difference does not vary, or a choice is
        unknown.

    References
    ----------
    Patton and Timmermann (2010), Monotonicity in asset returns, Journal of Financial Economics 98(3), sections 2.2 to
    2.4, doi:10.1016/j.jfineco.2010.06.006; its p-value has no sample of its own. Politis and Romano (1994), Journal of
    the American Statistical Association 89(428), for the bootstrap.
    """
    for name, given, choices in (("direction", direction, get_args(Direction)), ("pairs", pairs, get_args(Pairs))):
        if given not in choices:
            raise EvaluationError(f"Unknown {name} {given!r} of a monotonic relation; {did_you_mean(given, choices)}")
    if n_bootstrap < 1:
        raise EvaluationError(f"The bootstrap wants at least 1 sample, got n_bootstrap {n_bootstrap}.")
    complete = _complete(quantile_returns)
    n, n_quantiles = complete.shape
    lower, upper = np.array(list(combinations(range(n_quantiles), 2))).T
    is_neighbour = upper == lower + 1
    differences = complete[:, upper] - complete[:, lower]
    _require_variation(differences, lower, upper)
    observed = differences.mean(axis=0)
    shifted = np.empty((n_bootstrap, len(observed)))
    samples = stationary_bootstrap(n, block_length=block_length, seed=seed)
    for b in range(n_bootstrap):
        shifted[b] = np.bincount(next(samples), minlength=n) @ differences / n - observed
    sign = 1.0 if direction == "increasing" else -1.0
    used = is_neighbour if pairs == "adjacent" else np.ones_like(is_neighbour)
    scale = (
        np.sqrt(long_run_variance(differences[:, used], block_length=block_length) / n)
        if studentize
        else np.ones(used.sum())
    )
    smallest = float((sign * observed[used] / scale).min())
    ups, downs = np.maximum(shifted[:, is_neighbour], 0.0), np.maximum(-shifted[:, is_neighbour], 0.0)
    up, down = (float(np.maximum(way * observed[is_neighbour], 0.0).sum()) for way in (1.0, -1.0))
    mean = complete.mean(axis=0)
    return Monotonicity(
        mean=mean,
        spearman=_spearman(mean),
        smallest_difference=smallest,
        pvalue=_pvalue((sign * shifted[:, used] / scale).min(axis=1), smallest),
        up=up,
        up_pvalue=_pvalue(ups.sum(axis=1), up),
        down=down,
        down_pvalue=_pvalue(downs.sum(axis=1), down),
        n_dates=n,
        n_left_out=len(quantile_returns) - n,
    )


def _complete(quantile_returns: Array) -> Array:
    if quantile_returns.ndim != 2 or quantile_returns.shape[1] < 2:
        raise EvaluationError(
            "A monotonic relation wants returns of shape (n_dates, n_quantiles) with at least 2 quantiles, got"
            f" {quantile_returns.shape}."
        )
    complete: Array = quantile_returns[np.isfinite(quantile_returns).all(axis=1)]
    if len(complete) < MIN_DATES:
        raise EvaluationError(
            f"A monotonic relation wants at least {MIN_DATES} sessions with a return in every quantile, got"
            f" {len(complete)} of {len(quantile_returns)}."
        )
    return complete


def _require_variation(differences: Array, lower: npt.NDArray[np.int64], upper: npt.NDArray[np.int64]) -> None:
    constant = np.flatnonzero((differences == differences[0]).all(axis=0))
    if len(constant):
        first = constant[0]
        raise EvaluationError(
            "A monotonic relation wants differences of returns that vary; that of quantiles"
            f" {upper[first] + 1} and {lower[first] + 1} is one number on all sessions."
        )


def _pvalue(samples: Array, statistic: float) -> float:
    return (1.0 + float(np.count_nonzero(samples >= statistic))) / (1.0 + len(samples))


def _spearman(mean: Array) -> float:
    from scipy.stats import rankdata

    ranks = rankdata(mean) - (len(mean) + 1.0) / 2.0
    numbers = np.arange(len(mean)) - (len(mean) - 1.0) / 2.0
    size = float(np.sqrt((ranks @ ranks) * (numbers @ numbers)))
    return float(ranks @ numbers) / size if size > 0.0 else np.nan
