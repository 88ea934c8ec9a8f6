"""The two ways assets are cut, and the one function that turns a run's partitions into a `Slice`."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from itertools import pairwise

import dagster as dg
import numpy as np
import numpy.typing as npt

from factor_assets import calendar
from factor_assets.calendar import Dates
from factor_assets.errors import StoreError
from factor_assets.settings import Settings
from factor_assets.storage.slice import EVERYTHING, Slice

TICKERS = dg.DynamicPartitionsDefinition(name="tickers")


def dates(settings: Settings) -> dg.TimeWindowPartitionsDefinition:
    """Return the one date definition that the whole daily chain shares.

    `month` gives a partition a calendar month; `day` one an exchange session (weekdays without the exchange's
    holidays). The current month or session counts as a partition, so that it can be made right after its close.
    """
    zone = calendar.time_zone(settings.data.calendar)
    if settings.partitions.grain == "month":
        first = settings.start.replace(day=1)
        return dg.TimeWindowPartitionsDefinition(
            cron_schedule="0 0 1 * *",
            fmt="%Y-%m",
            start=f"{first:%Y-%m}",
            end=f"{_next_month(settings.end):%Y-%m}" if settings.end else None,
            timezone=zone,
            end_offset=0 if settings.end else 1,
        )
    # A partition ends where the next session's begins, so the last one needs the session after it.
    after_end = calendar.next_session(settings.data.calendar, settings.end) if settings.end else None
    last = after_end or calendar.calendar_range(settings.data.calendar)[1]
    sessions = calendar.sessions(settings.data.calendar, settings.start, last)
    every_day = np.arange(np.datetime64(settings.start, "D"), np.datetime64(last, "D") + 1)
    traded = np.isin(_weekday(every_day), _weekday(sessions))
    closed: list[date] = every_day[traded & ~np.isin(every_day, sessions)].tolist()
    return dg.TimeWindowPartitionsDefinition(
        cron_schedule=f"0 0 * * {','.join(str(day) for day in np.unique(_weekday(sessions)))}",
        fmt="%Y-%m-%d",
        start=f"{settings.start:%Y-%m-%d}",
        end=f"{after_end:%Y-%m-%d}" if after_end else None,
        timezone=zone,
        end_offset=0 if settings.end else 1,
        exclusions=[
            datetime(day.year, day.month, day.day)  # noqa: DTZ001 - Dagster reads it in the definition's zone
            for day in closed
        ],
    )


def partitions_back(settings: Settings, sessions: int) -> int:
    """Count the partitions that surely hold this many sessions before a partition's first.

    One month may be short (September 2001 had 15 sessions in New York), several together have 19 each and more.
    """
    return sessions if settings.partitions.grain == "day" else sessions // 19 + 1


def earlier(settings: Settings, sessions: int) -> dg.TimeWindowPartitionMapping:
    """Map a date partition to itself and to the partitions that its lookback reaches into."""
    return dg.TimeWindowPartitionMapping(
        start_offset=-partitions_back(settings, sessions), allow_nonexistent_upstream_partitions=True
    )


def slice_of(context: dg.AssetExecutionContext) -> Slice:
    """Return the slice of the run's partitions: a date range, a set of tickers, or everything.

    Raises
    ------
    StoreError
        If a run over tickers has no key: a reversed range over dynamic partitions silently means none.
    """
    if not context.has_partition_key and not context.has_partition_key_range:
        return EVERYTHING
    definition = context.assets_def.partitions_def
    if isinstance(definition, dg.TimeWindowPartitionsDefinition):
        window = context.partition_time_window
        return Slice(start=window.start.date(), end=window.end.date())
    keys = context.partition_keys
    if not keys:
        raise StoreError(
            "The run asks for no ticker: the range of partitions is empty or reversed. Give the first key as they are"
            " listed in the instance, then the last."
        )
    return Slice(tickers=frozenset(keys))


def with_retired(part: Slice, retired: Sequence[str]) -> Slice:
    """Return a slice of tickers that also holds retired ones, so that a write of it leaves no row of theirs.

    For tables that follow from the whole universe: rows of an earlier one would be counted with today's.
    """
    return part if part.tickers is None else Slice(tickers=part.tickers.union(retired))


def whole_partitions(settings: Settings, part: Slice, sessions: Dates, *, at_most: int) -> list[Slice]:
    """Cut a slice of dates into slices of whole partitions that follow each other.

    Parameters
    ----------
    sessions
        datetime64[D] of shape (n_sessions,): those of the slice.
    at_most
        Sessions that a slice may hold; it holds more only where one partition does.
    """
    period = sessions.astype("datetime64[M]" if settings.partitions.grain == "month" else "datetime64[D]")
    rows = np.flatnonzero(period[1:] != period[:-1]) + 1
    cuts = [0]
    for row, after in pairwise([*rows.tolist(), len(sessions)]):
        if after - cuts[-1] > at_most:
            cuts.append(row)
    days: list[date] = sessions[cuts[1:]].tolist()
    return [Slice(start=start, end=end) for start, end in pairwise([part.start, *days, part.end])]


def partition_of(settings: Settings, day: date) -> str:
    """Return the key of the date partition that holds a day."""
    return f"{day:%Y-%m}" if settings.partitions.grain == "month" else f"{day:%Y-%m-%d}"


def _weekday(days: Dates) -> npt.NDArray[np.int64]:
    """Day of the week as cron counts it: 0 is Sunday. 1970-01-01 was a Thursday."""
    return (days.astype(np.int64) + 4) % 7


def _next_month(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)
