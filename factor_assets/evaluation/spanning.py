r"""Is a return new, or a mix of known factors: regressions on a set of factor returns, and the test of all alphas.

.. math:: r_{i,t} = \alpha_i + \sum_k \beta_{i,k} F_{k,t} + e_{i,t}

Returns and factor returns are arrays of the same dates, such as the files of Fama and French: excess returns, or
returns of zero-cost portfolios, as fractions. What does not belong here: one factor and many tickers
(`regressions.py`), premia across tickers (`fama_macbeth.py`).

References
----------
Gibbons, Ross and Shanken (1989), A test of the efficiency of a given portfolio, Econometrica 57(5), doi
10.2307/1913625. Fama and French (1993), Journal of Financial Economics 33(1), section 4.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from factor_assets.errors import EvaluationError, MisalignedError
from factor_assets.evaluation.newey_west import Estimate, Lags, coefficient_covariance, infer, lags_by_code, rule_code
from factor_assets.evaluation.ranking import Counts
from factor_assets.panel.panel import Array

OWN_VARIANCE = 1e-10  # a factor with a smaller share of variance of its own is collinear with the others
_ROUNDING = 1e-20  # residuals with a smaller share of the sum of squares are rounding


@dataclass(frozen=True, eq=False)
class SpanningRegressions:
    """One regression a test asset. Estimates have shape (n_assets, 1 + n_factors): alpha, then the betas.

    Parameters
    ----------
    assets, coefficients
        Names: of the rows; "alpha" and the factors.
    newey_west, ordinary
        Alpha is a fraction per session. Student t with n - 1 - n_factors degrees of freedom. NaN where there is no
        regression.
    rsquared, adjusted_rsquared
        Shape (n_assets,), fractions.
    residual_volatility
        Shape (n_assets,): standard deviation of the residuals, per session, with the degrees of freedom.
    n_observations, lags
        Shape (n_assets,): dates with everything; lags of the Newey-West errors, -1 where there is no regression.
    reason
        Why an asset has no regression; empty where it has one.
    """

    assets: tuple[str, ...]
    coefficients: tuple[str, ...]
    newey_west: Estimate
    ordinary: Estimate
    rsquared: Array
    adjusted_rsquared: Array
    residual_volatility: Array
    n_observations: Counts
    lags: Counts
    reason: tuple[str, ...]


@dataclass(frozen=True)
class GrsTest:
    """Are all alphas zero.

    Parameters
    ----------
    statistic, pvalue
        F with (n_assets, n_observations - n_assets - n_factors) degrees of freedom.
    mean_absolute_alpha
        Fraction per session.
    sharpe_factors, sharpe_all
        Highest Sharpe ratio per session in the sample of a portfolio of the factors, and of factors and assets: the
        distance between them is what the test measures.
    n_observations, n_assets, n_factors
        Dates on which every return is present; test assets; factors.
    """

    statistic: float
    pvalue: float
    mean_absolute_alpha: float
    sharpe_factors: float
    sharpe_all: float
    n_observations: int
    n_assets: int
    n_factors: int


def spanning_regressions(
    returns: Mapping[str, Array],
    factor_returns: Mapping[str, Array],
    *,
    lags: Lags = "fixed",
    min_observations: int = 30,
) -> SpanningRegressions:
    """Regress each return on all factor returns together.

    Parameters
    ----------
    returns
        Name of the test asset or factor -> float64 of shape (n_dates,). NaN and infinite are missing: an asset is
        regressed on the dates on which it and all factors are present, and the neighbours of a gap are neighbours.
    factor_returns
        Name -> float64 of shape (n_dates,). May be empty: alpha is then the mean.
    lags
        A number of lags, or a rule of `newey_west.py` for each asset: "newey_west_1994" reads the sum over the factors
        of factor times residual.
    min_observations
        With fewer there is no regression. At least two more than there are factors.

    Returns
    -------
    An asset without a regression is NaN, with the reason: too few observations, constant, collinear factors (within
    its dates). Where an asset is a mix of the factors, so that residuals are no more than rounding, standard errors
    are 0, and t-statistics and p-values NaN.

    Raises
    ------
    MisalignedError
        If the arrays do not have one shape (n_dates,).
    EvaluationError
        If there is no asset, or the lags are not valid.
    """
    y, x = _stacked(returns, factor_returns)
    code = rule_code(lags)
    n_assets, k = y.shape[1], 1 + x.shape[1]
    value, error, error_ordinary = (np.full((n_assets, k), np.nan) for _ in range(3))
    rsquared, adjusted, volatility = (np.full(n_assets, np.nan) for _ in range(3))
    n_observations, used = np.zeros(n_assets, np.int64), np.full(n_assets, -1, np.int64)
    reasons = [""] * n_assets
    with_factors = np.isfinite(x).all(axis=1)
    for i in range(n_assets):
        rows = with_factors & np.isfinite(y[:, i])
        one, factors = y[rows, i], x[rows]
        n = n_observations[i] = len(one)
        reasons[i] = _why_not(one, factors, max(min_observations, k + 1))
        if reasons[i]:
            continue
        regressors = np.column_stack([np.ones(n), factors])
        value[i], residuals = _least_squares(regressors, one)
        lags_used = used[i] = lags_by_code(code, factors.sum(axis=1) * residuals)
        deviation = one - one.mean()
        if residuals @ residuals <= _ROUNDING * (one @ one):
            residuals = np.zeros(n)
        ssr = residuals @ residuals
        variance = ssr / (n - k)
        triangle = np.linalg.qr(regressors, mode="r")
        inverse = np.linalg.solve(triangle, np.eye(k))
        error_ordinary[i] = np.sqrt(variance * (inverse * inverse).sum(axis=1))
        if lags_used < n:
            covariance = coefficient_covariance(regressors, residuals, lags=lags_used)
            error[i] = np.sqrt(np.maximum(np.diag(covariance), 0.0))
        rsquared[i] = 1.0 - ssr / (deviation @ deviation)
        adjusted[i] = 1.0 - (1.0 - rsquared[i]) * (n - 1) / (n - k)
        volatility[i] = np.sqrt(variance)
    freedom = (n_observations - k)[:, None]
    return SpanningRegressions(
        assets=tuple(returns),
        coefficients=("alpha", *factor_returns),
        newey_west=infer(value, error, freedom=freedom),
        ordinary=infer(value, error_ordinary, freedom=freedom),
        rsquared=rsquared,
        adjusted_rsquared=adjusted,
        residual_volatility=volatility,
        n_observations=n_observations,
        lags=used,
        reason=tuple(reasons),
    )


def grs_test(returns: Mapping[str, Array], factor_returns: Mapping[str, Array]) -> GrsTest:
    r"""Test of Gibbons, Ross and Shanken (1989): all alphas of the assets on the factors are zero.

    .. math::

        F = \frac{T - N - K}{N} \; \frac{\hat\alpha' \hat\Sigma^{-1} \hat\alpha}
            {1 + \bar{F}' \hat\Omega^{-1} \bar{F}} \;\sim\; F_{N, \, T - N - K}

    with :math:`\hat\Sigma` the covariance of the residuals of N assets and :math:`\hat\Omega` that of K factors, both
    divided by the T observations. Exact in any sample when residuals are normal, independent over time and of constant
    covariance.

    Parameters
    ----------
    returns, factor_returns
        As in `spanning_regressions`, excess returns; at least one of each. Only dates on which all are present count.

    Raises
    ------
    MisalignedError
        If the arrays do not have one shape (n_dates,).
    EvaluationError
        If there is no asset or no factor, there are not more dates than assets and factors together, or assets or
        factors are constant or collinear, so that the statistic does not exist.
    """
    y, x = _stacked(returns, factor_returns)
    if not factor_returns:
        raise EvaluationError("The GRS test wants at least one factor return, got none.")
    rows = np.isfinite(y).all(axis=1) & np.isfinite(x).all(axis=1)
    y, x = y[rows], x[rows]
    (n_dates, n_assets), n_factors = y.shape, x.shape[1]
    freedom = n_dates - n_assets - n_factors
    if freedom < 1:
        raise EvaluationError(
            f"The GRS test of {n_assets} assets on {n_factors} factors wants at least {n_assets + n_factors + 1} dates"
            f" on which all are present, got {n_dates}. Give fewer assets or more dates."
        )
    if is_collinear(x):
        raise EvaluationError(
            f"The GRS test wants factors that are neither constant nor collinear, got {sorted(factor_returns)}."
        )
    coefficients, residuals = _least_squares(np.column_stack([np.ones(n_dates), x]), y)
    alpha = coefficients[0]
    if (_squares(residuals) <= _ROUNDING * _squares(y)).any() or is_collinear(residuals):
        raise EvaluationError(
            "The GRS test wants assets that are neither a mix of the factors nor of each other; the residual covariance"
            f" of {sorted(returns)} on {sorted(factor_returns)} is singular."
        )
    from scipy.special import fdtrc

    of_alpha = _squared_sharpe(alpha, residuals)
    of_factors = _squared_sharpe(x.mean(axis=0), x - x.mean(axis=0))
    statistic = freedom / n_assets * of_alpha / (1.0 + of_factors)
    return GrsTest(
        statistic=float(statistic),
        pvalue=float(fdtrc(n_assets, freedom, statistic)),
        mean_absolute_alpha=float(np.abs(alpha).mean()),
        sharpe_factors=float(np.sqrt(of_factors)),
        sharpe_all=float(np.sqrt(of_factors + of_alpha)),
        n_observations=n_dates,
        n_assets=n_assets,
        n_factors=n_factors,
    )


def is_collinear(x: Array) -> bool:
    """Whether a column has (nearly) no variance that the constant and the others do not explain.

    Parameters
    ----------
    x
        float64 of shape (n_dates, n_columns), without NaN; more rows than columns + 1.
    """
    if (x.min(axis=0, initial=np.inf) == x.max(axis=0, initial=-np.inf)).any():
        return True
    centred = x - x.mean(axis=0)
    own = np.diag(np.linalg.qr(centred / np.sqrt(_squares(centred)), mode="r")) ** 2
    return bool((own < OWN_VARIANCE).any())


def _stacked(returns: Mapping[str, Array], factor_returns: Mapping[str, Array]) -> tuple[Array, Array]:
    """Shapes (n_dates, n_assets) and (n_dates, n_factors)."""
    if not returns:
        raise EvaluationError("A spanning regression wants at least one test asset, got none.")
    shape = next(iter(returns.values())).shape
    for name, values in [*returns.items(), *factor_returns.items()]:
        if values.ndim != 1 or values.shape != shape:
            raise MisalignedError(
                f"A spanning regression wants returns of one shape (n_dates,); the first has {shape} and {name!r} has"
                f" {values.shape}."
            )
    y = np.stack([np.asarray(values, np.float64) for values in returns.values()], axis=1)
    x = np.empty((len(y), len(factor_returns)))
    for j, values in enumerate(factor_returns.values()):
        x[:, j] = values
    return y, x


def _why_not(one: Array, factors: Array, wanted: int) -> str:
    if len(one) < wanted:
        return f"{len(one)} observations of at least {wanted}"
    if one.min() == one.max():
        return "constant"
    return "collinear factors" if is_collinear(factors) else ""


def _least_squares(regressors: Array, y: Array) -> tuple[Array, Array]:
    """Coefficients (n_coefficients, ...) and residuals (n_dates, ...) by QR."""
    q, r = np.linalg.qr(regressors)
    coefficients: Array = np.linalg.solve(r, q.T @ y)
    return coefficients, y - regressors @ coefficients


def _squares(x: Array) -> Array:
    total: Array = (x * x).sum(axis=0)
    return total


def _squared_sharpe(mean: Array, deviations: Array) -> float:
    """Return mean' S^-1 mean with S = deviations' deviations / n_dates."""
    half = np.linalg.solve(np.linalg.qr(deviations).R.T, mean)
    return float(len(deviations) * (half @ half))
