r"""Sharpe ratios as estimates: standard error, probability to be real, the price of many trials, years needed.

The ratio here is arithmetic, mean over standard deviation, as this theory wants it; the ratio of the compound return
is in `performance.py`. What does not belong here: how many trials there were (the trials ledger says).
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from factor_assets.errors import EvaluationError
from factor_assets.evaluation.performance import SESSIONS_PER_YEAR
from factor_assets.panel.panel import Array

_EULER_MASCHERONI = 0.5772156649015329
_NORMAL = NormalDist()


@dataclass(frozen=True, kw_only=True, slots=True)
class SharpeRatio:
    """A Sharpe ratio and what its precision depends on; NaN where there are too few sessions to say.

    Parameters
    ----------
    per_session, standard_error
        Mean over standard deviation of the returns per session, and its standard error.
    annualized, annualized_standard_error
        Both times the root of the sessions per year: right for returns without autocorrelation.
    skewness, kurtosis
        Standardised third and fourth moments; a normal distribution has 0 and 3.
    n_observations
        Sessions with a return.
    """

    per_session: float
    standard_error: float
    annualized: float
    annualized_standard_error: float
    skewness: float
    kurtosis: float
    n_observations: int


def sharpe_ratio(excess_returns: Array, *, sessions_per_year: float = SESSIONS_PER_YEAR) -> SharpeRatio:
    r"""Estimate the Sharpe ratio of a series of returns, and how precise it is.

    .. math::
        S = \bar{r} / s(r), \quad
        \sigma(S) = \sqrt{\frac{1 - \gamma_3 S + \frac{\gamma_4 - 1}{4} S^2}{n - 1}}

    Parameters
    ----------
    excess_returns
        float64 of shape (n_dates,), fraction per session, over the risk-free rate or of a portfolio that finances
        itself (long minus short). NaN sessions are left out, they are not 0.
    sessions_per_year
        Sessions in a year, for the annualised numbers alone.

    Returns
    -------
    s has n - 1 degrees of freedom; the skewness and kurtosis divide by n. All NaN with fewer than two returns, or where
    they are all the same.

    Raises
    ------
    EvaluationError
        If a return is infinite, or the array has another shape.

    References
    ----------
    Lo (2002), Financial Analysts Journal 58(4), for independent normal returns; Mertens (2002), Comments on variance of
    the IID estimator in Lo (2002), for skewness and kurtosis; n - 1 as in Bailey and Lopez de Prado (2012), Journal of
    Risk 15(2).
    """
    returns = np.asarray(excess_returns, dtype=np.float64)
    if returns.ndim != 1:
        raise EvaluationError(f"A Sharpe ratio wants returns of shape (n_dates,), got {returns.shape}.")
    present = returns[~np.isnan(returns)]
    n = len(present)
    n_infinite = int(np.isinf(present).sum())
    if n_infinite:
        raise EvaluationError(
            f"A Sharpe ratio wants finite returns; {n_infinite} of {n} are infinite. Drop or mend them."
        )
    per_session = error = skewness = kurtosis = math.nan
    if n >= 2 and present.min() != present.max():
        mean = float(present.mean())
        deviation = present - mean
        scaled = deviation / np.abs(deviation).max()  # powers of tiny returns must not underflow
        variance = float(np.mean(scaled**2))
        skewness = float(np.mean(scaled**3)) / variance**1.5
        kurtosis = float(np.mean(scaled**4)) / variance**2
        per_session = mean / float(present.std(ddof=1))
        error = math.sqrt(_variance(per_session, skewness=skewness, kurtosis=kurtosis) / (n - 1))
    root = math.sqrt(sessions_per_year)
    return SharpeRatio(
        per_session=per_session,
        standard_error=error,
        annualized=per_session * root,
        annualized_standard_error=error * root,
        skewness=skewness,
        kurtosis=kurtosis,
        n_observations=n,
    )


def probabilistic_sharpe_ratio(
    sharpe_ratio: float, *, n_observations: int, skewness: float, kurtosis: float, benchmark: float = 0.0
) -> float:
    r"""Probability that the true Sharpe ratio is above a benchmark.

    .. math::
        PSR(S^*) = \Phi \left(
            \frac{(S - S^*) \sqrt{n - 1}}{\sqrt{1 - \gamma_3 S + \frac{\gamma_4 - 1}{4} S^2}}
        \right)

    Parameters
    ----------
    sharpe_ratio, benchmark
        S and S*, both per session, not annualised.
    n_observations
        n: sessions with a return.
    skewness, kurtosis
        Standardised third and fourth moments of the returns (normal: 0 and 3, the kurtosis is not the excess).

    Returns
    -------
    In [0, 1]. NaN if a number is NaN, or if the returns leave no uncertainty (two values alone, with a mean that makes
    the standard error 0).

    Raises
    ------
    EvaluationError
        If there are fewer than two observations, a number is infinite, or no distribution has such a skewness and
        kurtosis.

    References
    ----------
    Bailey and Lopez de Prado (2012), The Sharpe Ratio Efficient Frontier, Journal of Risk 15(2).
    """
    if n_observations < 2:
        raise EvaluationError(f"A probabilistic Sharpe ratio wants at least 2 observations, got {n_observations}.")
    _require_finite(sharpe_ratio=sharpe_ratio, benchmark=benchmark, skewness=skewness, kurtosis=kurtosis)
    variance = _variance(sharpe_ratio, skewness=skewness, kurtosis=kurtosis)
    if math.isnan(variance + benchmark) or variance == 0.0:
        return math.nan
    return _NORMAL.cdf((sharpe_ratio - benchmark) * math.sqrt((n_observations - 1) / variance))


def expected_maximum_sharpe_ratio(*, n_trials: float, trials_variance: float) -> float:
    r"""Sharpe ratio that the best of many trials without merit is expected to show.

    .. math::
        \sqrt{V} \left( (1 - \gamma) \, \Phi^{-1} \left( 1 - \tfrac{1}{N} \right)
        + \gamma \, \Phi^{-1} \left( 1 - \tfrac{1}{N e} \right) \right)

    Parameters
    ----------
    n_trials
        N: independent trials made, from the trials ledger; need not be whole where correlated trials were counted as
        fewer.
    trials_variance
        V: variance of the Sharpe ratios of all trials, per session (an annualised variance over the sessions per year).

    Returns
    -------
    Per session, at least 0. 0 for one trial, whatever the variance: nothing was chosen. NaN if the variance is NaN.

    Raises
    ------
    EvaluationError
        If there is less than one trial, or the variance is negative or infinite.

    References
    ----------
    Bailey and Lopez de Prado (2014), The Deflated Sharpe Ratio, Journal of Portfolio Management 40(5), equation 1;
    :math:`\gamma` is the Euler-Mascheroni constant.
    """
    if not 1.0 <= n_trials < math.inf:
        raise EvaluationError(
            f"An expected maximum wants at least 1 trial, got {n_trials}. Count them from the ledger."
        )
    if trials_variance < 0.0 or math.isinf(trials_variance):
        raise EvaluationError(
            f"The variance of the trials' Sharpe ratios wants to be 0 or more, got {trials_variance}."
        )
    if n_trials == 1.0:
        return 0.0
    gamma = _EULER_MASCHERONI
    # by symmetry -quantile(1/N) is quantile(1 - 1/N), without rounding 1 - 1/N to 1
    standard = -(1.0 - gamma) * _NORMAL.inv_cdf(1.0 / n_trials) - gamma * _NORMAL.inv_cdf(1.0 / (n_trials * math.e))
    return math.sqrt(trials_variance) * max(standard, 0.0)


def deflated_sharpe_ratio(
    sharpe_ratio: float,
    *,
    n_observations: int,
    skewness: float,
    kurtosis: float,
    n_trials: float,
    trials_variance: float,
) -> float:
    """Probability that the true Sharpe ratio is above 0, once it is known to be the best of many trials.

    The probabilistic Sharpe ratio whose benchmark is the expected maximum of trials without merit.

    Parameters
    ----------
    sharpe_ratio, n_observations, skewness, kurtosis
        As in `probabilistic_sharpe_ratio`.
    n_trials, trials_variance
        As in `expected_maximum_sharpe_ratio`.

    Returns
    -------
    In [0, 1]; with one trial the probabilistic Sharpe ratio. NaN as there.

    Raises
    ------
    EvaluationError
        As in those two.

    References
    ----------
    Bailey and Lopez de Prado (2014), The Deflated Sharpe Ratio, Journal of Portfolio Management 40(5), equation 2.
    """
    return probabilistic_sharpe_ratio(
        sharpe_ratio,
        n_observations=n_observations,
        skewness=skewness,
        kurtosis=kurtosis,
        benchmark=expected_maximum_sharpe_ratio(n_trials=n_trials, trials_variance=trials_variance),
    )


def min_track_record_length(
    sharpe_ratio: float, *, skewness: float, kurtosis: float, benchmark: float = 0.0, confidence: float = 0.95
) -> float:
    r"""Sessions needed before the Sharpe ratio is above a benchmark with the wanted confidence.

    .. math::
        1 + \left( 1 - \gamma_3 S + \frac{\gamma_4 - 1}{4} S^2 \right)
        \left( \frac{\Phi^{-1}(c)}{S - S^*} \right)^2

    Parameters
    ----------
    sharpe_ratio, skewness, kurtosis, benchmark
        As in `probabilistic_sharpe_ratio`, all per session.
    confidence
        c, above 0.5 and below 1.

    Returns
    -------
    Sessions, not rounded up: with so many the probabilistic Sharpe ratio is c. Infinite where the ratio is not above
    the benchmark: no record of it is long enough. NaN if a number is NaN.

    Raises
    ------
    EvaluationError
        If the confidence is outside its range, a number is infinite, or no distribution has such a skewness and
        kurtosis.

    References
    ----------
    Bailey and Lopez de Prado (2012), The Sharpe Ratio Efficient Frontier, Journal of Risk 15(2).
    """
    if not 0.5 < confidence < 1.0:
        raise EvaluationError(
            f"A track record wants a confidence above 0.5 and below 1, such as 0.95; got {confidence}."
        )
    _require_finite(sharpe_ratio=sharpe_ratio, benchmark=benchmark, skewness=skewness, kurtosis=kurtosis)
    variance = _variance(sharpe_ratio, skewness=skewness, kurtosis=kurtosis)
    if math.isnan(variance + benchmark):
        return math.nan
    if sharpe_ratio <= benchmark:
        return math.inf
    ratio = _NORMAL.inv_cdf(confidence) / (sharpe_ratio - benchmark)
    return 1.0 + variance * ratio * ratio


def _variance(sharpe_ratio: float, *, skewness: float, kurtosis: float) -> float:
    """Variance of the estimated Sharpe ratio, times the observations."""
    if kurtosis < (1.0 + skewness * skewness) * (1.0 - 1e-9):
        raise EvaluationError(
            f"No distribution has skewness {skewness:g} and kurtosis {kurtosis:g}: the kurtosis is at least 1 +"
            " skewness squared. Pass the kurtosis itself (3 for a normal distribution), not the excess over 3."
        )
    return max(1.0 - skewness * sharpe_ratio + 0.25 * (kurtosis - 1.0) * sharpe_ratio * sharpe_ratio, 0.0)


def _require_finite(**numbers: float) -> None:
    for name, number in numbers.items():
        if math.isinf(number):
            raise EvaluationError(f"A Sharpe ratio wants a finite {name}, got {number}.")
