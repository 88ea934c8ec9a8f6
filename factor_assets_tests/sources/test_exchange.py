"""Sessions and zones that sources use."""

from datetime import date

import pytest

from factor_assets.errors import CalendarError
from factor_assets.sources.exchange import exchange_sessions, exchange_zone


class TestAgainstTheExchange:
    def test_new_year_of_2020_in_new_york(self) -> None:
        sessions = exchange_sessions("XNYS", date(2019, 12, 31), date(2020, 1, 6)).tolist()
        assert sessions == [date(2019, 12, 31), date(2020, 1, 2), date(2020, 1, 3), date(2020, 1, 6)]

    @pytest.mark.parametrize(("calendar", "zone"), [("XNYS", "America/New_York"), ("XTKS", "Asia/Tokyo")])
    def test_zone(self, calendar: str, zone: str) -> None:
        assert str(exchange_zone(calendar)) == zone


class TestErrors:
    def test_unknown_exchange(self) -> None:
        with pytest.raises(CalendarError, match=r"data.calendar is 'XNYZ', which is not an exchange; did you mean"):
            exchange_zone("XNYZ")

    def test_no_session(self) -> None:
        with pytest.raises(
            CalendarError, match=r"XNYS has no sessions from 2017-01-07 to 2017-01-08: .*Change data.start"
        ):
            exchange_sessions("XNYS", date(2017, 1, 7), date(2017, 1, 8))
