"""Sessions of an exchange: which days it trades, their ordinal, and when they close.

What does not belong here: partitions (`defs/partitions.py`), and what a source delivered on those days (`quality.py`).
"""

import warnings
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from factor_assets.errors import CalendarError, did_you_mean

Dates = npt.NDArray[np.datetime64]

ANCHOR = date(1980, 1, 1)
"""First day of every calendar here (later only where the exchange's holidays are recorded later), so that a session's
ordinal depends neither on the machine nor on the day it is asked for."""


@dataclass(frozen=True, eq=False, slots=True)
class _Calendar:
    """Sessions and their closes, both of shape (n_sessions,); closes are UTC in nanoseconds."""

    name: str
    zone: str
    sessions: Dates
    closes: Dates


@lru_cache(maxsize=16)
def _calendar(name: str) -> _Calendar:
    # The import costs 0.66 s in a fresh process (it brings pandas): only those who ask for sessions pay.
    import exchange_calendars as xc

    try:
        with warnings.catch_warnings():
            # exchange_calendars 4.13 uses what pandas 3.1 deprecates; its sessions are right (tests).
            warnings.simplefilter("ignore", DeprecationWarning)
            built = _build(name)
    except xc.errors.InvalidCalendarName:
        raise CalendarError(
            f"data.calendar is {name!r}, which is not an exchange; {did_you_mean(name, xc.get_calendar_names())}"
        ) from None
    except (ValueError, NotImplementedError) as error:
        raise CalendarError(
            f"exchange_calendars {xc.__version__} cannot build its calendar {name!r}: {str(error)[:160]}."
            " Set data.calendar to another exchange."
        ) from error
    sessions = built.sessions.to_numpy().astype("datetime64[D]")
    closes = built.closes.dt.tz_localize(None).to_numpy().astype("datetime64[ns]")
    sessions.flags.writeable = closes.flags.writeable = False
    return _Calendar(name=name, zone=str(built.tz), sessions=sessions, closes=closes)


def _build(name: str) -> Any:
    import exchange_calendars as xc

    # The library's default start is 20 years before today, which would move every ordinal with the clock.
    try:
        return xc.get_calendar(name, start=ANCHOR)
    except ValueError:
        # Some exchanges' holidays are recorded only from a later day on, which the class tells.
        return xc.get_calendar(name, start=type(xc.get_calendar(name)).bound_min())


def sessions(calendar: str, start: date, end: date) -> Dates:
    """Return the sessions from `start` to `end`, both inclusive.

    Returns
    -------
    datetime64[D] of shape (n_sessions,), increasing, read-only; empty where no day of the range trades.

    Raises
    ------
    CalendarError
        If the calendar is unknown, start is after end, or the range leaves the days that the calendar knows.
    """
    known = _calendar(calendar)
    if start > end:
        raise CalendarError(f"Sessions want start <= end; got {start} to {end}.")
    _require_known(known, start, end)
    first, stop = np.searchsorted(known.sessions, [np.datetime64(start, "D"), np.datetime64(end, "D") + 1])
    return known.sessions[first:stop]


def calendar_range(calendar: str) -> tuple[date, date]:
    """Return the first and the last session that the calendar knows; the last is about a year ahead."""
    known = _calendar(calendar)
    return known.sessions[0].item(), known.sessions[-1].item()


def session_positions(dates: Dates, sessions: Dates) -> npt.NDArray[np.int64]:
    """Return the position of each date among the sessions, -1 where it is none.

    A table of days: 1.4 million dates take 6 ms, `np.searchsorted` 20, `np.isin` 150.

    Parameters
    ----------
    dates
        datetime64[D] of shape (n,), in any order.
    sessions
        datetime64[D] of shape (n_sessions,), increasing.
    """
    if not len(sessions):
        return np.full(len(dates), -1)
    n_days = int((sessions[-1] - sessions[0]).astype(np.int64)) + 1
    # One more day at the end stands for every date outside.
    table = np.full(n_days + 1, -1)
    table[(sessions - sessions[0]).astype(np.int64)] = np.arange(len(sessions))
    day = (dates - sessions[0]).astype(np.int64)
    day[(day < 0) | (day > n_days)] = n_days
    positions: npt.NDArray[np.int64] = table[day]
    return positions


def time_zone(calendar: str) -> str:
    """Return the exchange's time zone, such as "America/New_York"."""
    return _calendar(calendar).zone


def session_ordinal(calendar: str, day: date) -> int:
    """Return how many sessions came before the session `day`, counted from 1980.

    The count starts at `ANCHOR`, or at the exchange's first recorded session where that is later; it is the same on
    every machine and in every year, so blocks of rows aligned to it never move.

    Raises
    ------
    CalendarError
        If `day` is not a session.
    """
    known = _calendar(calendar)
    return _position(known, day)


def next_session(calendar: str, day: date, n: int = 1) -> date:
    """Return the `n`-th session strictly after `day`, which need not be a session.

    Raises
    ------
    CalendarError
        If the calendar ends before it.
    """
    known = _calendar(calendar)
    return _at(known, int(np.searchsorted(known.sessions, np.datetime64(day, "D"), side="right")) + n - 1, day, n)


def previous_session(calendar: str, day: date, n: int = 1) -> date:
    """Return the `n`-th session strictly before `day`, which need not be a session.

    Raises
    ------
    CalendarError
        If the calendar starts after it.
    """
    known = _calendar(calendar)
    return _at(known, int(np.searchsorted(known.sessions, np.datetime64(day, "D"), side="left")) - n, day, -n)


def close_time(calendar: str, session: date) -> datetime:
    """Return when the session closes, in UTC; early closes are in it.

    Raises
    ------
    CalendarError
        If `session` is not a session.
    """
    known = _calendar(calendar)
    return _utc(known.closes[_position(known, session)])


def last_completed_session(calendar: str, now: datetime) -> date:
    """Return the newest session whose close is not after `now`.

    Raises
    ------
    CalendarError
        If `now` has no zone, or lies outside the days that the calendar knows.
    """
    known = _calendar(calendar)
    if now.tzinfo is None:
        raise CalendarError(f"last_completed_session wants a time with a zone, got {now}; use datetime.now(UTC).")
    moment = np.datetime64(now.astimezone(UTC).replace(tzinfo=None), "ns")
    position = int(np.searchsorted(known.closes, moment, side="right")) - 1
    if position < 0 or moment > known.closes[-1] + np.timedelta64(7, "D"):
        first, last = calendar_range(calendar)
        raise CalendarError(f"The calendar {calendar!r} knows {first} to {last}; {now} is outside.")
    return known.sessions[position].item()  # type: ignore[no-any-return]


def sessions_after(calendar: str, days: Dates) -> Dates:
    """Return the first session strictly after each day.

    Parameters
    ----------
    days
        datetime64[D] of shape (n,), in any order; NaT stays NaT, and so does a day after which the calendar knows no
        session.
    """
    known = _calendar(calendar)
    return _from_position(known, np.searchsorted(known.sessions, days, side="right"), days)


def sessions_closing_after(calendar: str, moments: npt.NDArray[np.datetime64]) -> Dates:
    """Return the first session that closes strictly after each moment.

    Parameters
    ----------
    moments
        datetime64 in UTC of shape (n,), in any order; NaT stays NaT, as above.
    """
    known = _calendar(calendar)
    return _from_position(known, np.searchsorted(known.closes, moments, side="right"), moments)


def _from_position(known: _Calendar, position: npt.NDArray[np.int64], given: npt.NDArray[np.datetime64]) -> Dates:
    inside = (position < len(known.sessions)) & ~np.isnat(given)
    found = np.full(len(given), np.datetime64("NaT", "D"))
    found[inside] = known.sessions[position[inside]]
    return found


def _require_known(known: _Calendar, *days: date) -> None:
    first, last = known.sessions[0].item(), known.sessions[-1].item()
    # Slack of a week: ANCHOR itself and a year's last days are usually not sessions.
    slack = timedelta(days=7)
    for day in days:
        if not first - slack <= day <= last + slack:
            raise CalendarError(
                f"The calendar {known.name!r} knows the sessions {first} to {last}; {day} is outside."
                " Change data.start or data.end."
            )


def _position(known: _Calendar, day: date) -> int:
    _require_known(known, day)
    wanted = np.datetime64(day, "D")
    position = int(np.searchsorted(known.sessions, wanted))
    if position == len(known.sessions) or known.sessions[position] != wanted:
        near = known.sessions[max(position - 1, 0) : position + 1].tolist()
        raise CalendarError(
            f"{day} is not a session of {known.name!r}; the nearest are {' and '.join(str(d) for d in near)}."
        )
    return position


def _at(known: _Calendar, position: int, day: date, n: int) -> date:
    if n == 0 or not 0 <= position < len(known.sessions):
        first, last = known.sessions[0].item(), known.sessions[-1].item()
        raise CalendarError(
            f"The calendar {known.name!r} knows the sessions {first} to {last}; {n:+d} sessions from {day} is outside."
            if n
            else f"A distance in sessions is at least 1; got 0 from {day}."
        )
    return known.sessions[position].item()  # type: ignore[no-any-return]


def _utc(moment: np.datetime64) -> datetime:
    return datetime.fromtimestamp(int(moment.astype("datetime64[s]").astype(np.int64)), tz=UTC)
