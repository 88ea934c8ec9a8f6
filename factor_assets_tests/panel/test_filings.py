"""From which session filings are used."""

import gzip
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from factor_assets.panel.filings import known_filings
from factor_assets.sources.edgar_filings import read_filings
from factor_assets.tables import TABLES


def row(filed: date, accepted: datetime | None) -> pa.Table:
    values = {
        "ticker": "T",
        "cik": "0000000001",
        "accession": "a",
        "form": "10-K",
        "filed": filed,
        "accepted_at": accepted,
        "source": "s",
    }
    return pa.Table.from_pylist([values], schema=TABLES["filings"].schema)


def known(filed: date, accepted: datetime | None, *, calendar: str = "XNYS") -> date:
    found: date = known_filings(row(filed, accepted), calendar)["known_from"][0].as_py()
    return found


class TestAgainstTheCalendar:
    @pytest.mark.parametrize(
        ("filed", "accepted", "session"),
        [
            # 6:01 in New York, before the open: still the session after.
            (date(2025, 10, 31), datetime(2025, 10, 31, 10, 1, tzinfo=UTC), date(2025, 11, 3)),
            # 20:55 in New York: dated the next day by EDGAR.
            (date(2026, 1, 29), datetime(2026, 1, 29, 1, 55, tzinfo=UTC), date(2026, 1, 30)),
            # A letter that was published months after its date.
            (date(2024, 3, 1), datetime(2024, 6, 21, 14, 0, tzinfo=UTC), date(2024, 6, 24)),
            # 21:30 in New York is tomorrow in UTC, and not later than the day of filing.
            (date(2024, 5, 1), datetime(2024, 5, 2, 1, 30, tzinfo=UTC), date(2024, 5, 2)),
            (date(2024, 5, 1), None, date(2024, 5, 2)),
        ],
    )
    def test_the_session_after_it_became_public(self, filed: date, accepted: datetime | None, session: date) -> None:
        assert known(filed, accepted) == session

    def test_the_day_is_that_of_the_exchange(self) -> None:
        accepted = datetime(2024, 5, 1, 20, 0, tzinfo=UTC)
        assert known(date(2024, 5, 1), accepted) == date(2024, 5, 2)
        # In Tokyo it is the 2nd; the 3rd to the 6th are holidays and a weekend.
        assert known(date(2024, 5, 1), accepted, calendar="XTKS") == date(2024, 5, 7)


class TestProperties:
    def test_no_real_filing_is_used_on_or_before_its_day(self, shared_data: Path) -> None:
        for cik in (320193, 1318605):
            raw = gzip.decompress((shared_data / "edgar" / "submissions" / f"CIK{cik:010d}.json.gz").read_bytes())
            rows = known_filings(read_filings(raw, ticker="T", source="s"), "XNYS")
            assert rows["known_from"].null_count == 0
            assert pc.all(pc.greater(rows["known_from"], rows["filed"])).as_py()
            # The time of acceptance counts for letters, which are dated back, and for nothing else.
            alone = known_filings(
                rows.set_column(5, "accepted_at", pa.nulls(rows.num_rows, rows["accepted_at"].type)), "XNYS"
            )
            later = pc.sum(pc.not_equal(rows["known_from"], alone["known_from"])).as_py()
            assert later <= 10

    def test_no_rows_stay_none(self) -> None:
        assert known_filings(TABLES["filings"].schema.empty_table(), "XNYS").num_rows == 0
        assert known_filings(row(date(2024, 5, 1), None), "XNYS").schema == TABLES["filings"].schema


class TestErrors:
    def test_a_day_beyond_the_calendar_is_not_known(self) -> None:
        assert known_filings(row(date(2199, 5, 1), None), "XNYS")["known_from"].null_count == 1
