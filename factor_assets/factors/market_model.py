"""The market model of a ticker's returns: the pieces that several families of factors build on; no factor is declared.

The market is the equal-weighted return of the universe's members. Publications use a value-weighted index or three
factors, which prices and volume alone do not give.
"""

from typing import NamedTuple

from factor_assets.expressions import Expression, beta, cov, cross_mean, delay, mean, returns, rsquare, sqrt, std, var

MARKET = cross_mean(returns)


def only_where(condition: Expression, x: Expression) -> Expression:
    """Return x where the condition holds and missing elsewhere: x over 1 or over 0, and nothing is infinite."""
    return x / condition


def idiosyncratic_volatility(n: int, *, min_periods: int) -> Expression:
    """Return the standard deviation of the market model's residuals over n sessions, divisor count - 1."""
    unexplained = 1 - rsquare(returns, MARKET, n, min_periods=min_periods)
    return std(returns, n, min_periods=min_periods) * sqrt(unexplained)


def residual_reward(n: int, lag: int, *, window: int) -> Expression:
    """Return mean over standard deviation of the residuals in the n sessions that end `lag` sessions ago.

    The model is estimated over the `window` sessions up to t, of which two thirds must be there; of the n sessions
    three quarters. With line a + b m the residuals' mean is mean(r) - a - b mean(m), their variance
    var(r) + b**2 var(m) - 2 b cov(r, m).
    """
    r, m = returns + 0 * MARKET, MARKET + 0 * returns  # the same sessions in both
    least, enough = 2 * window // 3, 3 * n // 4
    b = beta(r, m, window, min_periods=least)
    a = mean(r, window, min_periods=least) - b * mean(m, window, min_periods=least)

    def then(x: Expression) -> Expression:
        return delay(x, lag) if lag else x

    expected = a + b * then(mean(m, n, min_periods=enough))
    variance = (
        then(var(r, n, min_periods=enough))
        + b**2 * then(var(m, n, min_periods=enough))
        - 2 * b * then(cov(r, m, n, min_periods=enough))
    )
    return (then(mean(r, n, min_periods=enough)) - expected) / sqrt(variance)


class Plane(NamedTuple):
    """Slopes and explained share of variance of a least-squares plane; what is not used is not computed."""

    first: Expression
    second: Expression
    rsquare: Expression


def plane(y: Expression, x1: Expression, x2: Expression, n: int, *, min_periods: int) -> Plane:
    """Return the least-squares plane of y on a constant, x1 and x2 over n sessions, by Cramer's rule."""
    known = 0 * (y + x1 + x2)  # a session counts where all three have a value
    y, x1, x2 = y + known, x1 + known, x2 + known
    s11, s22 = var(x1, n, min_periods=min_periods), var(x2, n, min_periods=min_periods)
    s12 = cov(x1, x2, n, min_periods=min_periods)
    s1y, s2y = cov(x1, y, n, min_periods=min_periods), cov(x2, y, n, min_periods=min_periods)
    determinant = s11 * s22 - s12**2
    first, second = (s1y * s22 - s2y * s12) / determinant, (s2y * s11 - s1y * s12) / determinant
    return Plane(first, second, (first * s1y + second * s2y) / var(y, n, min_periods=min_periods))
