"""From which session on a filed number is known."""

from datetime import UTC, date, datetime

import pyarrow as pa
import pytest

from factor_assets.panel.facts import known_facts
from factor_assets.sources.edgar_facts import facts_from_companyfacts
from factor_assets.tables import table
from factor_assets_tests.panel.company_facts import Told, answer


def known(filed: str, *, accepted: datetime | None = None, calendar: str = "XNYS") -> tuple[object, object]:
    told = [Told("us-gaap:Assets", 5.0, "2015-12-31", filed=filed, accession="x")]
    rows = facts_from_companyfacts(answer(told), ticker="A", source="s").rows
    filings = None
    if accepted is not None:
        filings = pa.table(
            {"accession": ["y", "x"], "accepted_at": pa.array([None, accepted], pa.timestamp("us", tz="UTC"))}
        )
    made = known_facts(rows, calendar=calendar, filings=filings)
    assert made.schema.names == list(table("facts").column_names)
    row = made.to_pylist()[0]
    return row["accepted_at"], row["known_from"]


class TestAgainstCalendars:
    @pytest.mark.parametrize(
        ("filed", "calendar", "session"),
        [
            ("2016-02-18", "XNYS", date(2016, 2, 19)),
            ("2016-02-19", "XNYS", date(2016, 2, 22)),
            ("2016-03-24", "XNYS", date(2016, 3, 28)),
            ("2016-03-24", "XLON", date(2016, 3, 29)),
            ("2016-02-20", "XNYS", date(2016, 2, 22)),
        ],
    )
    def test_a_number_is_used_from_the_session_after_its_filing(self, filed: str, calendar: str, session: date) -> None:
        assert known(filed, calendar=calendar) == (None, session)

    @pytest.mark.parametrize(
        ("accepted", "session"),
        [
            (datetime(2016, 2, 18, 22, 0, tzinfo=UTC), date(2016, 2, 19)),
            (datetime(2016, 2, 19, 3, 0, tzinfo=UTC), date(2016, 2, 19)),
            (datetime(2016, 2, 19, 15, 0, tzinfo=UTC), date(2016, 2, 22)),
            (datetime(2016, 2, 1, 15, 0, tzinfo=UTC), date(2016, 2, 19)),
        ],
    )
    def test_the_later_of_filing_and_acceptance_counts_in_the_exchanges_zone(
        self, accepted: datetime, session: date
    ) -> None:
        assert known("2016-02-18", accepted=accepted) == (accepted, session)


class TestProperties:
    def test_a_filing_that_is_not_listed_counts_from_its_day(self) -> None:
        told = [Told("us-gaap:Assets", 5.0, "2015-12-31", filed="2016-02-18", accession="z")]
        rows = facts_from_companyfacts(answer(told), ticker="A", source="s").rows
        listed = pa.table({"accession": ["x"], "accepted_at": pa.array([None], pa.timestamp("us", tz="UTC"))})
        for filings in (listed, listed.slice(0, 0), None):
            made = known_facts(rows, calendar="XNYS", filings=filings)
            assert made["known_from"].to_pylist() == [date(2016, 2, 19)]
            assert made["accepted_at"].to_pylist() == [None]

    def test_no_rows_stay_no_rows(self) -> None:
        rows = facts_from_companyfacts(answer([]), ticker="A", source="s").rows
        assert known_facts(rows, calendar="XNYS").num_rows == 0


class TestErrors:
    def test_a_day_beyond_the_calendar_has_no_session(self) -> None:
        assert known("2300-01-02") == (None, None)
