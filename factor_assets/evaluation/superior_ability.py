"""Is the best of many models better than the benchmark, or just the luckiest: Hansen's test and White's reality check.

What does not belong here: corrections of single p-values (`multiple_testing.py`).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from factor_assets.errors import EvaluationError
from factor_assets.evaluation.ranking import Counts
from factor_assets.panel.panel import Array

_CHUNK = 256  # bootstrap samples averaged at once: bounds the memory, changes no number


@dataclass(frozen=True, kw_only=True, slots=True)
class SuperiorAbility:
    """Result of the test; the null hypothesis is that no model is better than the benchmark.

    Parameters
    ----------
    statistic
        Largest (studentized) mean gain over the benchmark, times the root of the number of dates; at least 0.
    best
        Column of the model that reaches the maximum (also where the maximum is below 0).
    pvalue_lower, pvalue_consistent, pvalue_upper
        Liberal: models that did worse are taken as they are. Consistent: those that did much worse are left out, the
        p-value to use. Conservative: all models are taken to be as good as the benchmark.
    n_bootstrap
        Bootstrap samples that the p-values count.
    """

    statistic: float
    best: int
    pvalue_lower: float
    pvalue_consistent: float
    pvalue_upper: float
    n_bootstrap: int


def superior_ability(
    gains: Array, *, block_length: float = 10.0, n_bootstrap: int = 1000, seed: int = 0, studentize: bool = True
) -> SuperiorAbility:
    r"""Test whether any of many models beats the benchmark.

    1. :math:`\bar{d}_k` is the mean gain of model k, and :math:`\hat\omega_k^2` the variance of
       :math:`\sqrt{n} \bar{d}_k` under the stationary bootstrap (`long_run_variance`).
    2. The statistic is :math:`T = \max(0, \max_k \sqrt{n} \bar{d}_k / \hat\omega_k)`.
    3. For each bootstrap sample of the dates, :math:`T^* = \max(0, \max_k \sqrt{n} (\bar{d}^*_k - g(\bar{d}_k)) /
       \hat\omega_k)`, with three choices of g: lower :math:`\max(0, \bar{d}_k)`; consistent :math:`\bar{d}_k`, or 0
       where :math:`\bar{d}_k < -\sqrt{2 \log \log n} \, \hat\omega_k / \sqrt{n}`; upper :math:`\bar{d}_k`.
    4. The p-value is :math:`(1 + \#\{T^* \ge T\}) / (1 + B)`.

    Parameters
    ----------
    gains
        d, float64 of shape (n_dates, n_models): the benchmark's loss minus the model's, or the model's return minus
        the benchmark's. No NaN.
    block_length
        Mean length of the bootstrap's blocks in dates, at least 1: about as long as the gains remember. The default
        is that of Sullivan, Timmermann and White (1999), Journal of Finance 54(5), for daily returns.
    n_bootstrap
        B.
    seed
        Of the bootstrap. A larger B keeps the samples of a smaller one and adds to them.
    studentize
        Divide by :math:`\hat\omega_k`, so that a volatile model does not rule the maximum. Without, the upper p-value
        is White's reality check.

    Raises
    ------
    EvaluationError
        If the shape or a parameter is not as above, a gain is NaN or infinite, or a model's gain never varies.

    Notes
    -----
    The paper counts T* > T out of B. Counting the observed one too keeps the test valid for every B and never gives 0;
    "or equal" makes the p-value 1 where no model has a positive mean. White (2000) does not cut T at 0, which matters
    in that case alone.

    References
    ----------
    Hansen (2005), A Test for Superior Predictive Ability, Journal of Business and Economic Statistics 23(4). White
    (2000), A Reality Check for Data Snooping, Econometrica 68(5).
    """
    d = _checked(gains)
    if n_bootstrap < 1:
        raise EvaluationError(f"The bootstrap wants at least 1 sample, got n_bootstrap {n_bootstrap}.")
    n = len(d)
    mean = d.mean(axis=0)
    centred = d - mean
    deviation = np.sqrt(long_run_variance(d, block_length=block_length))  # of sqrt(n) times the mean
    scale = np.sqrt(n) / (deviation if studentize else np.ones_like(deviation))
    scores = scale * mean
    statistic = max(0.0, float(scores.max()))
    is_much_worse = mean < -np.sqrt(2.0 * np.log(np.log(n)) / n) * deviation
    # centred samples have mean zero; a model that is not recentred gets its own mean back
    shifts = (np.minimum(mean, 0.0), np.where(is_much_worse, mean, 0.0), np.zeros_like(mean))
    n_beyond = np.zeros(3, dtype=np.int64)
    for weights in _bootstrap_weights(n, block_length=block_length, seed=seed, n_bootstrap=n_bootstrap):
        resampled = weights @ centred  # (n_samples, n_models)
        for kind, shift in enumerate(shifts):
            largest = np.maximum((scale * (resampled + shift)).max(axis=1), 0.0)
            n_beyond[kind] += int(np.sum(largest >= statistic))
    lower, consistent, upper = ((1.0 + n_beyond) / (1.0 + n_bootstrap)).tolist()
    return SuperiorAbility(
        statistic=statistic,
        best=int(scores.argmax()),
        pvalue_lower=lower,
        pvalue_consistent=consistent,
        pvalue_upper=upper,
        n_bootstrap=n_bootstrap,
    )


def stationary_bootstrap(n_dates: int, *, block_length: float, seed: int) -> Iterator[Counts]:
    """Draw dates with replacement in blocks of random length, sample after sample, without end.

    Parameters
    ----------
    n_dates
        Dates in the series, and in every sample.
    block_length
        Mean length of a block, at least 1; lengths are geometric. A block that reaches the last date goes on at the
        first.
    seed
        The same seed gives the same samples.

    Yields
    ------
    int64 of shape (n_dates,): positions in the series.

    Raises
    ------
    EvaluationError
        If there is no date, or the block length is below 1 or above the number of dates.

    References
    ----------
    Politis and Romano (1994), The Stationary Bootstrap, Journal of the American Statistical Association 89(428).
    """
    _require_block_length(block_length, n_dates)
    return _stationary_bootstrap(n_dates, 1.0 / block_length, seed)


def long_run_variance(values: Array, *, block_length: float) -> Array:
    r"""Variance of the root of n times the mean of each column, exactly as the stationary bootstrap gives it.

    .. math::
        \hat\omega^2 = \hat\gamma_0 + 2 \sum_{i=1}^{n-1} \left[
            \tfrac{n - i}{n} (1 - q)^i + \tfrac{i}{n} (1 - q)^{n - i}
        \right] \hat\gamma_i

    Parameters
    ----------
    values
        float64 of shape (n_dates, n_columns), no NaN.
    block_length
        1 / q: mean length of a block.

    Returns
    -------
    float64 of shape (n_columns,).

    Raises
    ------
    EvaluationError
        If the block length is below 1 or above the number of dates.

    References
    ----------
    Politis and Romano (1994), lemma 1; Hansen (2005), where it studentizes the gains.
    """
    n = len(values)
    _require_block_length(block_length, n)
    i = np.arange(n)
    # autocovariances around the circle, gamma_i + gamma_(n-i), pair every weight with its mirror image
    weights = (1.0 - i / n) * (1.0 - 1.0 / block_length) ** i
    weights[1:] *= 2.0
    variance = np.empty(values.shape[1])
    for first in range(0, values.shape[1], _CHUNK):
        part = values[:, first : first + _CHUNK]
        spectrum = np.abs(np.fft.rfft(part - part.mean(axis=0), axis=0)) ** 2
        variance[first : first + _CHUNK] = weights @ np.fft.irfft(spectrum, n=n, axis=0) / n
    return variance


def _stationary_bootstrap(n_dates: int, restart: float, seed: int) -> Iterator[Counts]:
    random = np.random.default_rng(seed)
    positions = np.arange(n_dates)
    while True:
        starts = random.integers(n_dates, size=n_dates)
        is_start = random.random(n_dates) < restart
        is_start[0] = True
        last_start = np.maximum.accumulate(np.where(is_start, positions, 0))
        yield (starts[last_start] + positions - last_start) % n_dates


def _bootstrap_weights(n_dates: int, *, block_length: float, seed: int, n_bootstrap: int) -> Iterator[Array]:
    """Give the weight of every date in the mean of each sample, (at most _CHUNK, n_dates) at a time."""
    samples = stationary_bootstrap(n_dates, block_length=block_length, seed=seed)
    for first in range(0, n_bootstrap, _CHUNK):
        weights = np.empty((min(_CHUNK, n_bootstrap - first), n_dates))
        for row in range(len(weights)):
            weights[row] = np.bincount(next(samples), minlength=n_dates)
        weights /= n_dates
        yield weights


def _checked(gains: Array) -> Array:
    d = np.asarray(gains, dtype=np.float64)
    if d.ndim != 2 or d.shape[1] < 1:
        raise EvaluationError(f"Superior ability wants gains of shape (n_dates, n_models), got {d.shape}.")
    if len(d) < 10:
        raise EvaluationError(f"Superior ability wants at least 10 dates, got {len(d)}.")
    is_bad = ~np.isfinite(d)
    if is_bad.any():
        raise EvaluationError(
            f"Superior ability wants finite gains of all models on the same dates; got {int(is_bad.sum())} that are"
            f" NaN or infinite, on {int(is_bad.any(axis=1).sum())} dates of {int(is_bad.any(axis=0).sum())} models."
            " Keep the dates that all have, or leave the short models out."
        )
    constant = np.flatnonzero((d == d[0]).all(axis=0))
    if len(constant):
        raise EvaluationError(
            f"A gain over the benchmark wants to vary; that of {len(constant)} models (first: column {constant[0]}) is"
            " one number on all dates. Leave them out: the benchmark itself is no model."
        )
    return d


def _require_block_length(block_length: float, n_dates: int) -> None:
    if not 1.0 <= block_length <= n_dates:
        raise EvaluationError(
            f"The stationary bootstrap wants a mean block length from 1 to the number of dates, {n_dates}; got"
            f" {block_length}."
        )
