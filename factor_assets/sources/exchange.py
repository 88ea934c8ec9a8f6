"""Sessions and time zone of an exchange, as far as sources need them; the panel's calendar is `panel/calendar.py`."""

import warnings
from datetime import date
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from factor_assets.errors import CalendarError, did_you_mean


@lru_cache(maxsize=8)
def exchange_sessions(calendar: str, start: date, end: date) -> npt.NDArray[np.datetime64]:
    """Return the sessions of an exchange from `start` to `end`, as datetime64[D]; read-only.

    Raises
    ------
    CalendarError
        If the exchange is unknown, or there is no session in the range.
    """
    sessions: npt.NDArray[np.datetime64] = _calendar(calendar, start, end).sessions.to_numpy().astype("datetime64[D]")
    sessions.flags.writeable = False
    return sessions


@lru_cache(maxsize=8)
def exchange_zone(calendar: str) -> ZoneInfo:
    """Return the time zone of an exchange.

    Raises
    ------
    CalendarError
        If the exchange is unknown.
    """
    return ZoneInfo(str(_calendar(calendar, date(2020, 1, 1), date(2020, 1, 31)).tz))


def _calendar(calendar: str, start: date, end: date) -> Any:
    import exchange_calendars

    try:
        with warnings.catch_warnings():
            # exchange_calendars 4.13 uses what pandas 3.1 deprecates.
            warnings.simplefilter("ignore", DeprecationWarning)
            return exchange_calendars.get_calendar(calendar, start=start.isoformat(), end=end.isoformat())
    except exchange_calendars.errors.InvalidCalendarName as error:
        names = exchange_calendars.get_calendar_names(include_aliases=False)
        raise CalendarError(
            f"data.calendar is {calendar!r}, which is not an exchange; {did_you_mean(calendar, names)}"
        ) from error
    except (exchange_calendars.errors.CalendarError, ValueError) as error:
        raise CalendarError(
            f"{calendar} has no sessions from {start} to {end}: {error} Change data.start or data.end."
        ) from error
