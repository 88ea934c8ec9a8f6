"""Reversal: past losers against past winners, over days, a month or years. A month is 21 sessions, a year 252."""

from factor_assets.expressions import (
    close,
    delay,
    log,
    neutralize,
    open,  # noqa: A004
    pct_change,
    raw_close,
    raw_open,
    sector,
    sum,  # noqa: A004
)
from factor_assets.factors.factor import Factor
from factor_assets.factors.market_model import residual_reward

reversal_5d = Factor(
    expression=close / delay(close, 5) - 1,
    sign=-1,
    cite="Lehmann (1990, Quarterly Journal of Economics 105(1), 1-28)",
    doi="10.2307/2937816",
    unit="fraction",
    description="Total return over the last five sessions; the sign says that low values earned more afterwards.",
)

ret_1_0 = Factor(
    expression=pct_change(close, 21),
    sign=-1,
    cite="Jegadeesh (1990, Journal of Finance 45(3), 881-898)",
    doi="10.1111/j.1540-6261.1990.tb05110.x",
    unit="fraction",
    description="Total return over the last 21 sessions; the publication takes the calendar month.",
)

industry_adjusted_reversal_21d = Factor(
    expression=neutralize(pct_change(close, 21), sector),
    sign=-1,
    cite="Hameed and Mian (2015, Journal of Financial and Quantitative Analysis 50(1-2), 89-117)",
    doi="10.1017/S0022109014000404",
    unit="fraction",
    description=(
        "Total return over 21 sessions less the mean of the sector's members. The publication has 48 industries and"
        " calendar months."
    ),
)

residual_reversal_21d = Factor(
    expression=residual_reward(21, 0, window=756),
    sign=-1,
    cite="Blitz, Huij, Lansdorp and Verbeek (2013, Journal of Financial Markets 16(3), 477-504)",
    doi="10.1016/j.finmar.2012.10.005",
    unit="per session",
    description=(
        "Mean over standard deviation of the residuals of the last 21 sessions, from the market model (equal-weighted"
        " universe) of 756 sessions, at least 504. The publication divides the last month's residual of a three-factor"
        " model of 36 months by the standard deviation of all 36."
    ),
)

ret_36_13 = Factor(
    expression=delay(close, 252) / delay(close, 756) - 1,
    sign=-1,
    cite="De Bondt and Thaler (1985, Journal of Finance 40(3), 793-805)",
    doi="10.1111/j.1540-6261.1985.tb05004.x",
    unit="fraction",
    description=(
        "Total return from three years to one year ago. The publication takes market-adjusted returns of 36 months; the"
        " last year is left out because momentum works the other way."
    ),
)

ret_60_13 = Factor(
    expression=delay(close, 252) / delay(close, 1260) - 1,
    sign=-1,
    cite="De Bondt and Thaler (1985, Journal of Finance 40(3), 793-805)",
    doi="10.1111/j.1540-6261.1985.tb05004.x",
    unit="fraction",
    description=(
        "Total return from five years to one year ago. The publication takes market-adjusted returns of up to 60"
        " months; the last year is left out because momentum works the other way."
    ),
)

overnight_return_21d = Factor(
    expression=sum(log(open / delay(close, 1)), 21, min_periods=15),
    sign=0,
    cite="Lou, Polk and Skouras (2019, Journal of Financial Economics 134(1), 192-213)",
    doi="10.1016/j.jfineco.2019.03.011",
    unit="log fraction",
    description=(
        "Sum of logarithmic returns from close to open over 21 sessions, dividends included. The publication finds that"
        " high values earn more overnight and less during the day, so that no direction is claimed."
    ),
)

intraday_return_21d = Factor(
    expression=sum(log(raw_close / raw_open), 21, min_periods=15),
    sign=0,
    cite="Lou, Polk and Skouras (2019, Journal of Financial Economics 134(1), 192-213)",
    doi="10.1016/j.jfineco.2019.03.011",
    unit="log fraction",
    description=(
        "Sum of logarithmic returns from open to close over 21 sessions. The publication finds that high values earn"
        " more during the day and less overnight, so that no direction is claimed."
    ),
)

intraday_return = Factor(
    expression=raw_close / raw_open - 1,
    sign=0,
    cite="Lou, Polk and Skouras (2019, Journal of Financial Economics 134(1), 192-213)",
    doi="10.1016/j.jfineco.2019.03.011",
    unit="fraction",
    description="Return from open to close of the session. The publication cumulates it over a month.",
)
