"""Seasonality: returns of the same season in earlier years, and of the other seasons.

Factors see sessions, not calendars: a year is 252 sessions, a month 21, a week 5, and the season is that of the
sessions to come. The season of one year ago is thus the 21 sessions that began 252 ago.
"""

from functools import reduce
from operator import add

from factor_assets.expressions import Expression, close, delay, log, pct_change, returns
from factor_assets.factors.factor import Factor


def same_season(x: Expression, *, period: int, ahead: int, cycles: range) -> Expression:
    """Return the mean over the cycles of x as it was `ahead` sessions after the day so many periods ago."""
    seasons = [delay(x, period * cycle - ahead) for cycle in cycles]
    return reduce(add, seasons) / len(seasons) if len(seasons) > 1 else seasons[0]


def other_months(years: range) -> Expression:
    """Return the mean logarithmic return of a month over the years, without the month that is to come."""
    end = delay(close, 252 * (years[0] - 1)) if years[0] > 1 else close
    same = same_season(log(close / delay(close, 21)), period=252, ahead=21, cycles=years)
    return log(end / delay(close, 252 * years[-1])) / (11 * len(years)) - same / 11


season_1y = Factor(
    expression=same_season(pct_change(close, 21), period=252, ahead=21, cycles=range(1, 2)),
    sign=+1,
    cite="Heston and Sadka (2008, Journal of Financial Economics 87(2), 418-445)",
    doi="10.1016/j.jfineco.2007.02.003",
    unit="fraction",
    description=(
        "Total return, one year ago, of the 21 sessions that are to come. The publication takes the calendar month."
    ),
)

season_2_5y = Factor(
    expression=same_season(pct_change(close, 21), period=252, ahead=21, cycles=range(2, 6)),
    sign=+1,
    cite="Heston and Sadka (2008, Journal of Financial Economics 87(2), 418-445)",
    doi="10.1016/j.jfineco.2007.02.003",
    unit="fraction",
    description="As `season_1y`, the mean of two to five years ago; missing where one of the four is.",
)

season_1_5y = Factor(
    expression=same_season(pct_change(close, 21), period=252, ahead=21, cycles=range(1, 6)),
    sign=+1,
    cite="Heston and Sadka (2008, Journal of Financial Economics 87(2), 418-445)",
    doi="10.1016/j.jfineco.2007.02.003",
    unit="fraction",
    description="As `season_1y`, the mean of one to five years ago; missing where one of the five is.",
)

off_season_1y = Factor(
    expression=other_months(range(1, 2)),
    sign=+1,
    cite="Heston and Sadka (2008, Journal of Financial Economics 87(2), 418-445)",
    doi="10.1016/j.jfineco.2007.02.003",
    unit="log fraction per month",
    description=(
        "Mean logarithmic return of a month over the last 231 sessions: the year without the month of `season_1y`. It"
        " is momentum; the publication averages monthly returns."
    ),
)

off_season_2_5y = Factor(
    expression=other_months(range(2, 6)),
    sign=-1,
    cite="Heston and Sadka (2008, Journal of Financial Economics 87(2), 418-445)",
    doi="10.1016/j.jfineco.2007.02.003",
    unit="log fraction per month",
    description=(
        "Mean logarithmic return of a month two to five years ago, without the months of `season_2_5y`. The publication"
        " averages monthly returns."
    ),
)

same_weekday_12w = Factor(
    expression=same_season(returns, period=5, ahead=1, cycles=range(1, 13)),
    sign=+1,
    cite="Keloharju, Linnainmaa and Nyberg (2016, Journal of Finance 71(4), 1557-1590)",
    doi="10.1111/jofi.12398",
    unit="fraction per session",
    description=(
        "Mean total return of the next session's weekday over 12 weeks. A week is five sessions, so that a holiday"
        " shifts what lies before it; the publication looks further back."
    ),
)
