"""Volatility and low risk: how much a price moves, alone and with the market (equal-weighted, see `market_model`)."""

import math

from factor_assets.expressions import (
    Expression,
    beta,
    close,
    corr,
    cross_mean,
    delay,
    log,
    max,  # noqa: A004
    mean,
    open,  # noqa: A004
    raw_close,
    raw_high,
    raw_low,
    raw_open,
    returns,
    rsquare,
    sqrt,
    std,
    sum,  # noqa: A004
    var,
)
from factor_assets.factors.factor import Factor
from factor_assets.factors.market_model import MARKET, idiosyncratic_volatility, only_where, plane


def rogers_satchell_variance() -> Expression:
    """Return the variance of one session, from open to close, that any drift leaves unchanged."""
    return log(raw_high / raw_close) * log(raw_high / raw_open) + log(raw_low / raw_close) * log(raw_low / raw_open)


def yang_zhang_variance(n: int, *, min_periods: int) -> Expression:
    """Return the variance over n sessions, overnight included: overnight + k open-to-close + (1 - k) within."""
    k = 0.34 / (1.34 + (n + 1) / (n - 1))
    overnight = var(log(open / delay(close, 1)), n, min_periods=min_periods)
    to_close = var(log(raw_close / raw_open), n, min_periods=min_periods)
    return overnight + k * to_close + (1 - k) * mean(rogers_satchell_variance(), n, min_periods=min_periods)


def dimson_beta(n: int, *, min_periods: int) -> Expression:
    """Return the sum of the slopes on today's and yesterday's market, estimated together."""
    both = plane(returns, MARKET, delay(MARKET, 1), n, min_periods=min_periods)
    return both.first + both.second


def price_delay(n: int, *, min_periods: int) -> Expression:
    """Return 1 - R2 of the market model over R2 with yesterday's market beside today's."""
    both = plane(returns, MARKET, delay(MARKET, 1), n, min_periods=min_periods)
    same_sessions = returns + 0 * (MARKET + delay(MARKET, 1))
    return 1 - rsquare(same_sessions, MARKET, n, min_periods=min_periods) / both.rsquare


volatility_20d = Factor(
    expression=std(returns, 20),
    sign=-1,
    cite="Ang, Hodrick, Xing and Zhang (2006, Journal of Finance 61(1), 259-299)",
    doi="10.1111/j.1540-6261.2006.00836.x",
    unit="fraction per session",
    description="Standard deviation of total returns over 20 sessions. The publication uses a calendar month.",
)

beta_252d = Factor(
    expression=beta(returns, cross_mean(returns), 252, min_periods=120),
    sign=-1,
    cite="Frazzini and Pedersen (2014, Journal of Financial Economics 111(1), 1-25)",
    doi="10.1016/j.jfineco.2013.10.005",
    description=(
        "Slope of a ticker's return on the equal-weighted return of the universe over 252 sessions, of which 120 must"
        " be there. The sign is that of risk-adjusted returns. The publication estimates correlation and volatility"
        " apart, shrinks beta towards 1 and uses a value-weighted market."
    ),
)

max_return_20d = Factor(
    expression=max(returns, 20),
    sign=-1,
    cite="Bali, Cakici and Whitelaw (2011, Journal of Financial Economics 99(2), Table 1)",
    doi="10.1016/j.jfineco.2010.08.014",
    unit="fraction per session",
    description="Largest return of the last 20 sessions. The publication uses a calendar month.",
)

volatility_252d = Factor(
    expression=std(returns, 252, min_periods=200),
    sign=-1,
    cite="Blitz and van Vliet (2007, Journal of Portfolio Management 34(1), 102-113)",
    doi="10.3905/jpm.2007.698039",
    unit="fraction per session",
    description="Standard deviation of total returns over 252 sessions. The publication takes weekly ones of 3 years.",
)

idio_vol_21d = Factor(
    expression=idiosyncratic_volatility(21, min_periods=15),
    sign=-1,
    cite="Ang, Hodrick, Xing and Zhang (2006, Journal of Finance 61(1), Table VI)",
    doi="10.1111/j.1540-6261.2006.00836.x",
    unit="fraction per session",
    description=(
        "Standard deviation of the market model's residuals over 21 sessions, at least 15. The publication uses three"
        " factors and the calendar month."
    ),
)

idio_vol_252d = Factor(
    expression=idiosyncratic_volatility(252, min_periods=200),
    sign=-1,
    cite="Ali, Hwang and Trombley (2003, Journal of Financial Economics 69(2), 355-373)",
    doi="10.1016/S0304-405X(03)00116-8",
    unit="fraction per session",
    description=(
        "As `idio_vol_21d`, over 252 sessions. The publication uses a value-weighted market; the sign is that of Ang,"
        " Hodrick, Xing and Zhang (2006), who also find it on residuals of twelve months."
    ),
)

downside_beta_252d = Factor(
    expression=beta(returns, only_where(MARKET < 0, MARKET), 252, min_periods=60),
    sign=+1,
    cite="Ang, Chen and Xing (2006, Review of Financial Studies 19(4), 1191-1239)",
    doi="10.1093/rfs/hhj035",
    description=(
        "Beta over those of the last 252 sessions on which the market fell, at least 60. The publication takes those"
        " below the market's mean, and finds the premium in the same year."
    ),
)

beta_dimson_252d = Factor(
    expression=dimson_beta(252, min_periods=120),
    sign=0,
    cite="Dimson (1979, Journal of Financial Economics 7(2), 197-226)",
    doi="10.1016/0304-405X(79)90013-8",
    description=(
        "Sum of the slopes on today's and yesterday's market, estimated together over 252 sessions, at least 120. The"
        " publication adds leads, and more lags."
    ),
)

beta_scholes_williams_252d = Factor(
    expression=(
        beta(returns, delay(MARKET, 1), 252, min_periods=120)
        + beta(returns, MARKET, 252, min_periods=120)
        + beta(delay(returns, 1), MARKET, 252, min_periods=120)
    )
    / (1 + 2 * corr(MARKET, delay(MARKET, 1), 252, min_periods=120)),
    sign=0,
    cite="Scholes and Williams (1977, Journal of Financial Economics 5(3), 309-327)",
    doi="10.1016/0304-405X(77)90041-1",
    description=(
        "Sum of the slopes on yesterday's, today's and tomorrow's market, each alone, over 1 + 2 x the market's"
        " autocorrelation; 252 sessions, at least 120. The pairs of tomorrow end today."
    ),
)

beta_frazzini_pedersen = Factor(
    expression=0.4
    + 0.6
    * corr(log(close / delay(close, 3)), sum(log(1 + MARKET), 3), 1260, min_periods=750)
    * std(log(1 + returns), 252, min_periods=120)
    / std(log(1 + MARKET), 252, min_periods=120),
    sign=-1,
    cite="Frazzini and Pedersen (2014, Journal of Financial Economics 111(1), equations 14 and 15)",
    doi="10.1016/j.jfineco.2013.10.005",
    description=(
        "Correlation of overlapping three-session returns over five years, at least 750 sessions, times the ratio of"
        " daily volatilities over one, at least 120, shrunk by 0.4 towards 1. The sign is that of risk-adjusted"
        " returns. The publication's market is value-weighted."
    ),
)

market_correlation_252d = Factor(
    expression=corr(returns, MARKET, 252, min_periods=120),
    sign=-1,
    cite="Asness, Frazzini, Gormsen and Pedersen (2020, Journal of Financial Economics 135(3), 629-652)",
    doi="10.1016/j.jfineco.2019.07.003",
    description=(
        "Correlation with the market over 252 sessions, at least 120. The sign is that of risk-adjusted returns. The"
        " publication takes three-day returns of five years, and sorts within volatility."
    ),
)

price_delay_252d = Factor(
    expression=price_delay(252, min_periods=120),
    sign=+1,
    cite="Hou and Moskowitz (2005, Review of Financial Studies 18(3), 981-1020)",
    doi="10.1093/rfs/hhi023",
    unit="fraction",
    description=(
        "Share of what today's and yesterday's market explain that today's alone does not, over 252 sessions, at least"
        " 120. The publication takes weekly returns and four lags."
    ),
)

parkinson_21d = Factor(
    expression=sqrt(mean(log(raw_high / raw_low) ** 2, 21, min_periods=15) / (4 * math.log(2))),
    sign=0,
    cite="Parkinson (1980, Journal of Business 53(1), 61-65)",
    doi="10.1086/296071",
    unit="log fraction per session",
    description="Volatility from open to close, from the session's range; 21 sessions, at least 15.",
)

garman_klass_21d = Factor(
    expression=sqrt(
        mean(
            0.5 * log(raw_high / raw_low) ** 2 - (2 * math.log(2) - 1) * log(raw_close / raw_open) ** 2,
            21,
            min_periods=15,
        )
    ),
    sign=0,
    cite="Garman and Klass (1980, Journal of Business 53(1), 67-78)",
    doi="10.1086/296072",
    unit="log fraction per session",
    description=(
        "Volatility from open to close, from the session's range and move: the publication's practical estimator,"
        " without its cross terms. 21 sessions, at least 15."
    ),
)

rogers_satchell_21d = Factor(
    expression=sqrt(mean(rogers_satchell_variance(), 21, min_periods=15)),
    sign=0,
    cite="Rogers and Satchell (1991, Annals of Applied Probability 1(4), 504-512)",
    doi="10.1214/aoap/1177005835",
    unit="log fraction per session",
    description="Volatility from open to close that a drift does not change; 21 sessions, at least 15.",
)

yang_zhang_21d = Factor(
    expression=sqrt(yang_zhang_variance(21, min_periods=15)),
    sign=0,
    cite="Yang and Zhang (2000, Journal of Business 73(3), 477-492)",
    doi="10.1086/209650",
    unit="log fraction per session",
    description=(
        "Volatility from close to close that neither a drift nor opening jumps change; 21 sessions, at least 15, the"
        " weight k for 21. Dividends count as return overnight."
    ),
)

vol_of_vol_252d = Factor(
    expression=std(std(returns, 21, min_periods=15), 252, min_periods=120)
    / mean(std(returns, 21, min_periods=15), 252, min_periods=120),
    sign=-1,
    cite="Baltussen, van Bekkum and van der Grient (2018, Journal of Financial and Quantitative Analysis 53(4),"
    " 1615-1651)",
    doi="10.1017/S0022109018000480",
    unit="fraction",
    description=(
        "Standard deviation over mean of the 21-session volatility, over 252 sessions. The publication takes the"
        " volatility implied by options over a month."
    ),
)
