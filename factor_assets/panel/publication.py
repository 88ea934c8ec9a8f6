"""From which session on something published may be used: the only publication lag of the platform.

What does not belong here: what was published (`sources/`, `text/`), and the lag between a factor and its forward return
(`evaluation.execution_lag`).
"""

import numpy as np
import numpy.typing as npt

from factor_assets.calendar import Dates, sessions_after, sessions_closing_after

Moments = npt.NDArray[np.datetime64]


def usable_after_day(calendar: str, days: Dates) -> Dates:
    """Return the session from which on what became public on each day is used: the first after the day.

    For filings, reports, and news without a time of day. A filing that was accepted before the open waits, too, for
    vendors and readers need the day.

    Parameters
    ----------
    days
        datetime64[D] of shape (n,), in the exchange's zone; NaT gives NaT.
    """
    return sessions_after(calendar, days)


def usable_from_moment(calendar: str, moments: Moments) -> Dates:
    """Return the session at whose close what was published at each moment is used: the first that closes later.

    For news with a time of day. What comes out at the very moment of the close belongs to the next session.

    Parameters
    ----------
    moments
        datetime64 in UTC of shape (n,); NaT gives NaT.
    """
    return sessions_closing_after(calendar, moments)
