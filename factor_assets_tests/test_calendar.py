"""Sessions against exchange_calendars, known holidays and fixed ordinals."""

from datetime import UTC, date, datetime, timedelta, timezone

import exchange_calendars
import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factor_assets.calendar import (
    calendar_range,
    close_time,
    last_completed_session,
    next_session,
    previous_session,
    session_ordinal,
    session_positions,
    sessions,
    time_zone,
)
from factor_assets.errors import CalendarError

DAYS = st.dates(date(1990, 1, 1), date(2025, 12, 31))


class TestAgainstExchangeCalendars:
    @pytest.mark.filterwarnings("ignore::DeprecationWarning")
    @pytest.mark.parametrize("calendar", ["XNYS", "XLON", "XTKS", "XHKG", "XBOM", "24/7"])
    def test_sessions_equal_the_library(self, calendar):
        start, end = date(2015, 1, 1), date(2024, 12, 31)
        oracle = exchange_calendars.get_calendar(calendar).sessions_in_range(str(start), str(end))
        ours = sessions(calendar, start, end)
        assert ours.dtype == np.dtype("datetime64[D]")
        assert (ours == oracle.to_numpy().astype("datetime64[D]")).all()

    def test_real_trading_days(self, shared_data):
        days = np.unique(
            pq.read_table(shared_data / "prices" / "us_large_daily_2010_2021.parquet", columns=["date"])["date"]
            .to_numpy()
            .astype("datetime64[D]")
        )
        assert (sessions("XNYS", date(2010, 1, 1), date(2021, 4, 21)) == days).all()

    def test_the_days_of_french_since_1980(self, shared_data):
        days = pq.read_table(shared_data / "factors" / "ff3_daily.parquet")["date"].to_numpy().astype("datetime64[D]")
        ours = sessions("XNYS", date(1980, 1, 1), date(2024, 7, 31))
        assert (ours == days[days >= np.datetime64("1980-01-01")]).all()

    def test_1990s_are_known(self):
        assert len(sessions("XNYS", date(1996, 1, 1), date(1996, 12, 31))) == 254

    def test_closes_and_early_closes(self):
        assert close_time("XNYS", date(2024, 7, 2)) == datetime(2024, 7, 2, 20, 0, tzinfo=UTC)
        assert close_time("XNYS", date(2024, 7, 3)) == datetime(2024, 7, 3, 17, 0, tzinfo=UTC)
        assert close_time("XNYS", date(2024, 1, 3)) == datetime(2024, 1, 3, 21, 0, tzinfo=UTC)

    def test_holidays_of_a_year(self):
        open_days = set(sessions("XNYS", date(2024, 1, 1), date(2024, 12, 31)).tolist())
        weekdays = [d for d in (date(2024, 1, 1) + timedelta(days=i) for i in range(366)) if d.weekday() < 5]
        assert [str(d) for d in weekdays if d not in open_days] == [
            "2024-01-01", "2024-01-15", "2024-02-19", "2024-03-29", "2024-05-27", "2024-06-19", "2024-07-04",
            "2024-09-02", "2024-11-28", "2024-12-25",
        ]  # fmt: skip


class TestProperties:
    def test_ordinals_never_move(self):
        # Golden: the panels that were aligned to them would move if a release of exchange_calendars changed history.
        assert session_ordinal("XNYS", date(1980, 1, 2)) == 0
        assert session_ordinal("XNYS", date(2010, 1, 4)) == 7571
        assert session_ordinal("XNYS", date(2024, 12, 31)) == 11344

    def test_ordinal_of_an_exchange_recorded_later(self):
        assert session_ordinal("XTKS", date(1997, 1, 6)) == 0

    def test_ordinals_count_sessions(self):
        days = sessions("XNYS", date(2023, 1, 1), date(2023, 3, 1)).tolist()
        first = session_ordinal("XNYS", days[0])
        assert [session_ordinal("XNYS", d) for d in days] == list(range(first, first + len(days)))

    @given(day=DAYS, n=st.integers(1, 300))
    def test_next_and_previous_are_inverse(self, day, n):
        later = next_session("XNYS", day, n)
        assert later > day
        assert previous_session("XNYS", later, n) <= day
        assert next_session("XNYS", previous_session("XNYS", day)) >= day

    @given(days=st.lists(st.dates(date(1900, 1, 1), date(2100, 1, 1)) | st.dates(date(2024, 1, 1), date(2024, 3, 1))))
    def test_positions_are_those_of_a_search(self, days):
        known = sessions("XNYS", date(2024, 1, 10), date(2024, 2, 20))
        listed = known.tolist()
        expected = [listed.index(d) if d in listed else -1 for d in days]
        assert session_positions(np.array(days, dtype="datetime64[D]"), known).tolist() == expected
        assert set(session_positions(np.array(days, dtype="datetime64[D]"), known[:0])) <= {-1}

    def test_time_zones(self):
        assert time_zone("XNYS") == "America/New_York"
        assert time_zone("XTKS") == "Asia/Tokyo"

    def test_last_completed_session_turns_at_the_close(self):
        close = close_time("XNYS", date(2024, 7, 3))
        assert last_completed_session("XNYS", close - timedelta(microseconds=1)) == date(2024, 7, 2)
        assert last_completed_session("XNYS", close) == date(2024, 7, 3)
        assert last_completed_session("XNYS", datetime(2024, 7, 7, 12, tzinfo=UTC)) == date(2024, 7, 5)

    def test_last_completed_session_in_any_zone(self):
        tokyo = timezone(timedelta(hours=9))
        assert last_completed_session("XNYS", datetime(2024, 7, 3, 4, 30, tzinfo=tokyo)) == date(2024, 7, 1)
        assert last_completed_session("XNYS", datetime(2024, 7, 3, 5, 0, tzinfo=tokyo)) == date(2024, 7, 2)

    def test_no_sessions_in_a_weekend(self):
        assert len(sessions("XNYS", date(2024, 7, 6), date(2024, 7, 7))) == 0
        assert len(sessions("24/7", date(2024, 7, 6), date(2024, 7, 7))) == 2

    def test_sessions_cannot_be_changed(self):
        with pytest.raises(ValueError, match="read-only"):
            sessions("XNYS", date(2024, 7, 1), date(2024, 7, 7))[0] = np.datetime64("2024-07-04")

    def test_the_year_ahead_is_known(self):
        assert calendar_range("XNYS")[0] == date(1980, 1, 2)
        assert calendar_range("XNYS")[1] > date.today() + timedelta(days=300)  # noqa: DTZ011


class TestErrors:
    def test_unknown_calendar(self):
        with pytest.raises(CalendarError, match=r"'XNYZ', which is not an exchange; did you mean .*'XNYS'"):
            sessions("XNYZ", date(2024, 1, 1), date(2024, 2, 1))

    def test_calendar_that_the_library_cannot_build(self, monkeypatch):
        def broken(name, start=None):
            raise NotImplementedError("implemented by subclasses")

        monkeypatch.setattr(exchange_calendars, "get_calendar", broken)
        with pytest.raises(CalendarError, match=r"cannot build its calendar 'XPRA': implemented by subclasses"):
            sessions("XPRA", date(2024, 1, 1), date(2024, 2, 1))

    def test_outside_the_calendar(self):
        with pytest.raises(CalendarError, match=r"knows the sessions 1980-01-02 to .*; 1970-01-01 is outside"):
            sessions("XNYS", date(1970, 1, 1), date(2024, 1, 1))
        with pytest.raises(CalendarError, match=r"2999-01-01 is outside. Change data.start or data.end"):
            sessions("XNYS", date(2024, 1, 1), date(2999, 1, 1))
        with pytest.raises(CalendarError, match=r"-1 sessions from 1980-01-02 is outside"):
            previous_session("XNYS", date(1980, 1, 2))
        with pytest.raises(CalendarError, match=r"\+900 sessions from .* is outside"):
            next_session("XNYS", date.today(), 900)  # noqa: DTZ011

    def test_no_distance(self):
        with pytest.raises(CalendarError, match="at least 1; got 0"):
            next_session("XNYS", date(2024, 1, 1), 0)

    def test_start_after_end(self):
        with pytest.raises(CalendarError, match="start <= end; got 2024-02-01 to 2024-01-01"):
            sessions("XNYS", date(2024, 2, 1), date(2024, 1, 1))

    def test_not_a_session(self):
        with pytest.raises(
            CalendarError, match=r"2024-07-04 is not a session of 'XNYS'; the nearest are 2024-07-03 and 2"
        ):
            session_ordinal("XNYS", date(2024, 7, 4))
        with pytest.raises(CalendarError, match="2024-07-06 is not a session"):
            close_time("XNYS", date(2024, 7, 6))

    def test_a_time_without_zone(self):
        with pytest.raises(CalendarError, match="wants a time with a zone"):
            last_completed_session("XNYS", datetime(2024, 7, 3, 12))  # noqa: DTZ001

    def test_a_time_outside(self):
        with pytest.raises(CalendarError, match="is outside"):
            last_completed_session("XNYS", datetime(1979, 7, 3, 12, tzinfo=UTC))
        with pytest.raises(CalendarError, match="is outside"):
            last_completed_session("XNYS", datetime(2999, 7, 3, 12, tzinfo=UTC))
