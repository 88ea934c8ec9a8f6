"""Momentum: past winners against past losers over months. A month is 21 sessions, a year 252."""

from functools import reduce
from operator import add

from factor_assets.expressions import (
    Expression,
    argmax,
    close,
    delay,
    group_mean,
    max,  # noqa: A004
    mean,
    pct_change,
    returns,
    sector,
    sign,
    split_close,
    std,
)
from factor_assets.factors.factor import Factor
from factor_assets.factors.market_model import residual_reward


def share_of_rising_months(months: int, skipped: int) -> Expression:
    """Return the share of the last `months` months, without the last `skipped`, in which the price rose."""
    rose = pct_change(close, 21) > 0
    return reduce(add, [delay(rose, 21 * month) for month in range(skipped, months)]) / (months - skipped)


def moving_average_ratio(n: int) -> Expression:
    """Return the mean close of n sessions over the close."""
    return mean(close, n, min_periods=3 * n // 4) / close


ret_12_1 = Factor(
    expression=delay(close, 21) / delay(close, 252) - 1,
    sign=+1,
    cite="Jegadeesh and Titman (1993, Journal of Finance 48(1), Table I)",
    doi="10.1111/j.1540-6261.1993.tb04702.x",
    unit="fraction",
    description=(
        "Total return over the eleven months that end one month ago, in sessions. The publication forms portfolios on"
        " 3 to 12 months and skips a week; skipping a month is the later convention."
    ),
)

ret_9_1 = Factor(
    expression=delay(close, 21) / delay(close, 189) - 1,
    sign=+1,
    cite="Jegadeesh and Titman (1993, Journal of Finance 48(1), Table I)",
    doi="10.1111/j.1540-6261.1993.tb04702.x",
    unit="fraction",
    description="As `ret_12_1`, from nine months to one month ago.",
)

ret_6_1 = Factor(
    expression=delay(close, 21) / delay(close, 126) - 1,
    sign=+1,
    cite="Jegadeesh and Titman (1993, Journal of Finance 48(1), Table I)",
    doi="10.1111/j.1540-6261.1993.tb04702.x",
    unit="fraction",
    description="As `ret_12_1`, from six months to one month ago.",
)

ret_3_1 = Factor(
    expression=delay(close, 21) / delay(close, 63) - 1,
    sign=+1,
    cite="Jegadeesh and Titman (1993, Journal of Finance 48(1), Table I)",
    doi="10.1111/j.1540-6261.1993.tb04702.x",
    unit="fraction",
    description="As `ret_12_1`, from three months to one month ago.",
)

ret_12_7 = Factor(
    expression=delay(close, 126) / delay(close, 252) - 1,
    sign=+1,
    cite="Novy-Marx (2012, Journal of Financial Economics 103(3), 429-453)",
    doi="10.1016/j.jfineco.2011.05.003",
    unit="fraction",
    description="Intermediate momentum: total return from twelve to six months ago, in months of 21 sessions.",
)

momentum_change = Factor(
    expression=pct_change(close, 126) - delay(pct_change(close, 126), 126),
    sign=+1,
    cite="Gettleman and Marks (2006, working paper Acceleration Strategies)",
    unit="fraction",
    description="Total return of the last six months less that of the six months before, in months of 21 sessions.",
)

sharpe_momentum_12_1 = Factor(
    expression=delay(mean(returns, 231, min_periods=180) / std(returns, 231, min_periods=180), 21),
    sign=+1,
    cite="Rachev, Jasic, Stoyanov and Fabozzi (2007, Journal of Banking and Finance 31(8), 2325-2346)",
    unit="per session",
    description=(
        "Mean over standard deviation of daily total returns in the 231 sessions that end 21 ago, at least 180. The"
        " publication subtracts the riskless rate and ranks on windows of 3 to 12 months up to now."
    ),
)

residual_momentum_12_1 = Factor(
    expression=residual_reward(231, 21, window=756),
    sign=+1,
    cite="Blitz, Huij and Martens (2011, Journal of Empirical Finance 18(3), 506-521)",
    doi="10.1016/j.jempfin.2011.01.003",
    unit="per session",
    description=(
        "Mean over standard deviation of the residuals of the 231 sessions that end 21 ago, from the market model"
        " (equal-weighted universe) of the last 756 sessions, at least 504. The publication regresses monthly returns"
        " of 36 months on the three factors of Fama and French."
    ),
)

information_discreteness = Factor(
    expression=-sign(delay(close, 21) / delay(close, 252) - 1) * delay(mean(sign(returns), 231, min_periods=180), 21),
    sign=0,
    cite="Da, Gurun and Warachka (2014, Review of Financial Studies 27(7), equation 1)",
    doi="10.1093/rfs/hhu003",
    unit="fraction",
    description=(
        "Frog in the pan: sign of `ret_12_1` times (share of falling less share of rising sessions) of its 231"
        " sessions. Low values are continuous information, after which momentum is stronger; alone nothing is claimed."
    ),
)

momentum_consistency = Factor(
    expression=share_of_rising_months(12, 1),
    sign=+1,
    cite="Grinblatt and Moskowitz (2004, Journal of Financial Economics 71(3), 541-579)",
    doi="10.1016/S0304-405X(03)00176-4",
    unit="fraction",
    description=(
        "Share of rising months among those 12 to 2 months ago, in months of 21 sessions. The publication marks winners"
        " that rose, and losers that fell, in at least 8 of 12 months."
    ),
)

industry_momentum_6m = Factor(
    expression=group_mean(pct_change(close, 126), sector),
    sign=+1,
    cite="Moskowitz and Grinblatt (1999, Journal of Finance 54(4), 1249-1290)",
    doi="10.1111/0022-1082.00146",
    unit="fraction",
    description=(
        "Mean total return over 126 sessions of the members in a ticker's sector. The publication weights by value and"
        " has 20 industries."
    ),
)

time_series_momentum_12m = Factor(
    expression=sign(pct_change(close, 252)) * 0.4 / (std(returns, 63, min_periods=42) * 252**0.5),
    sign=+1,
    cite="Moskowitz, Ooi and Pedersen (2012, Journal of Financial Economics 104(2), equation 5)",
    doi="10.1016/j.jfineco.2011.11.003",
    description=(
        "Position that has 40% volatility a year, long after a rise over 252 sessions and short after a fall. The"
        " publication trades futures, on excess returns, and weights squared returns exponentially (centre of mass 60"
        " sessions); here it is the standard deviation of 63 sessions."
    ),
)

high_52w = Factor(
    expression=split_close / max(split_close, 252, min_periods=200),
    sign=+1,
    cite="George and Hwang (2004, Journal of Finance 59(5), 2145-2176)",
    doi="10.1111/j.1540-6261.2004.00695.x",
    unit="fraction",
    description=(
        "Close over the highest close of 252 sessions, at least 200, adjusted for splits and not for dividends. The"
        " publication takes the highest price of the twelve months."
    ),
)

days_since_high_52w = Factor(
    expression=252 - argmax(split_close, 252, min_periods=200),
    sign=-1,
    cite="Bhootra and Hur (2013, Journal of Banking and Finance 37(10), 3773-3782)",
    doi="10.1016/j.jbankfin.2013.05.025",
    unit="sessions",
    description=(
        "Sessions since the highest close of 252, the oldest of equal ones. The publication takes one less the calendar"
        " days over 364, so that its sign is the opposite."
    ),
)

moving_average_20d = Factor(
    expression=moving_average_ratio(20),
    sign=0,
    cite="Han, Zhou and Zhu (2016, Journal of Financial Economics 122(2), equations 1 and 2)",
    doi="10.1016/j.jfineco.2016.01.029",
    description=(
        "Mean close of 20 sessions over the close, both with dividends. One of the signals whose premia the publication"
        " estimates each month, so that no direction is claimed."
    ),
)

moving_average_50d = Factor(
    expression=moving_average_ratio(50),
    sign=0,
    cite="Han, Zhou and Zhu (2016, Journal of Financial Economics 122(2), equations 1 and 2)",
    doi="10.1016/j.jfineco.2016.01.029",
    description="As `moving_average_20d`, over 50 sessions.",
)

moving_average_200d = Factor(
    expression=moving_average_ratio(200),
    sign=0,
    cite="Han, Zhou and Zhu (2016, Journal of Financial Economics 122(2), equations 1 and 2)",
    doi="10.1016/j.jfineco.2016.01.029",
    description="As `moving_average_20d`, over 200 sessions.",
)

moving_average_distance_21_200 = Factor(
    expression=mean(close, 21, min_periods=15) / mean(close, 200, min_periods=150),
    sign=+1,
    cite="Avramov, Kaplanski and Subrahmanyam (2021, Review of Financial Economics 39(2), 127-145)",
    doi="10.1002/rfe.1118",
    description="Mean close of 21 sessions over that of 200, both with dividends.",
)
