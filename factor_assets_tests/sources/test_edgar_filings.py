"""Submissions as rows of the table `filings`, against the SEC's own files."""

import gzip
import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from factor_assets.errors import MalformedDataError
from factor_assets.sources.edgar_filings import fact_filings, read_filings
from factor_assets.tables import TABLES
from factor_assets_tests.servers.edgar import columns, filing, submissions


def encoded(content: Any) -> bytes:
    return json.dumps(content).encode()


def real(shared_data: Path, cik: int) -> bytes:
    return gzip.decompress((shared_data / "edgar" / "submissions" / f"CIK{cik:010d}.json.gz").read_bytes())


class TestAgainstTheSec:
    def test_a_filing_reads_as_its_own_header_says(self, shared_data: Path) -> None:
        rows = read_filings(real(shared_data, 320193), ticker="AAPL", source="s").to_pylist()
        assert len(rows) == 1005
        found = {row["accession"]: row for row in rows}
        # The full submission text of this 8-K says <ACCEPTANCE-DATETIME>20191115060224, New York's time.
        row = found["0001193125-19-292676"]
        assert row["form"] == "8-K"
        assert row["filed"] == date(2019, 11, 15)
        assert row["accepted_at"].astimezone(ZoneInfo("America/New_York")) == datetime(
            2019, 11, 15, 6, 2, 24, tzinfo=ZoneInfo("America/New_York")
        )
        annual = found["0000320193-25-000079"]
        assert annual == {
            "ticker": "AAPL",
            "cik": "0000320193",
            "accession": "0000320193-25-000079",
            "form": "10-K",
            "filed": date(2025, 10, 31),
            "accepted_at": datetime(2025, 10, 31, 10, 1, 26, tzinfo=UTC),
            "report_date": date(2025, 9, 27),
            "primary_document": "aapl-20250927.htm",
            "known_from": None,
            "source": "s",
        }

    @pytest.mark.parametrize("cik", [320193, 789019, 1045810, 1318605])
    def test_real_times_of_acceptance_lie_in_the_hours_of_edgar(self, shared_data: Path, cik: int) -> None:
        rows = read_filings(real(shared_data, cik), ticker="T", source="s")
        hours = [moment.astimezone(ZoneInfo("America/New_York")).hour for moment in rows["accepted_at"].to_pylist()]
        assert sum(6 <= hour < 22 for hour in hours) / len(hours) > 0.996

    def test_a_company_without_filings_has_no_rows(self, shared_data: Path) -> None:
        content = real(shared_data, 350001)
        assert read_filings(content, ticker="T", source="s").num_rows == 0
        assert fact_filings(content, ticker="T") == []

    def test_the_filings_of_tesla_that_carry_facts(self, shared_data: Path) -> None:
        found = fact_filings(real(shared_data, 1318605), ticker="TSLA")
        assert ("2025-04-30T21:08:56.000Z", "0001104659-25-042659") in found  # a 10-K/A
        assert found[-1] == ("2026-01-28T20:55:03.000Z", "0001628280-26-003952")


class TestProperties:
    def test_older_files_add_filings_and_the_submissions_win(self) -> None:
        recent = [filing("0000000001-24-000002", "2024-05-03T10:00:46", form="10-Q")]
        older = [
            filing("0000000001-24-000002", "2024-05-03T10:00:46", form="stale"),
            filing("0000000001-01-000001", "2001-05-03T10:00:46", form="10-K"),
        ]
        rows = read_filings(
            encoded(submissions(1, recent)), [encoded(columns(older))], ticker="T", source="s"
        ).to_pylist()
        assert [(row["accession"], row["form"]) for row in rows] == [
            ("0000000001-01-000001", "10-K"),
            ("0000000001-24-000002", "10-Q"),
        ]

    def test_what_is_empty_is_null(self) -> None:
        entry = filing(
            "0000000001-24-000002", "2024-05-03T10:00:46", reportDate="", primaryDocument="", acceptanceDateTime=""
        )
        (row,) = read_filings(encoded(submissions(1, [entry])), ticker="T", source="s").to_pylist()
        assert (row["report_date"], row["primary_document"], row["accepted_at"]) == (None, None, None)
        assert row["filed"] == date(2024, 5, 3)

    def test_rows_are_as_declared_whatever_the_ticker_and_source(self) -> None:
        content = encoded(submissions(1, [filing("0000000001-24-000002", "2024-05-03T10:00:46")]))
        rows = read_filings(content, ticker="BRK.B", source="somewhere")
        assert rows.schema == TABLES["filings"].schema
        assert rows.select(["ticker", "source"]).to_pylist() == [{"ticker": "BRK.B", "source": "somewhere"}]

    @pytest.mark.parametrize(
        ("form", "has_xbrl", "carries"),
        [
            ("10-K", 1, True),
            ("10-K/A", 0, True),
            ("10-QT", 1, True),
            ("20-F", 1, True),
            ("40-F/A", 1, True),
            ("6-K", 1, True),
            ("6-K", 0, False),
            ("8-K", 1, False),
            ("NT 10-K", 0, False),
            ("4", 0, False),
        ],
    )
    def test_forms_that_carry_facts(self, form: str, has_xbrl: int, carries: bool) -> None:
        entry = filing("0000000001-24-000002", "2024-05-03T10:00:46", form=form, isXBRL=has_xbrl)
        assert bool(fact_filings(encoded(submissions(1, [entry])), ticker="T")) == carries

    def test_filings_come_in_order_of_acceptance(self) -> None:
        entries = [
            filing(f"0000000001-24-00000{i}", moment)
            for i, moment in enumerate(("2024-08-02T10:00:00", "2024-05-03T10:00:00", "2024-08-02T09:00:00"))
        ]
        found = fact_filings(encoded(submissions(1, entries)), ticker="T")
        assert [accession[-1] for _, accession in found] == ["1", "2", "0"]


class TestErrors:
    @pytest.mark.parametrize(
        "spoil",
        [
            lambda whole: whole.pop("cik"),
            lambda whole: whole.pop("filings"),
            lambda whole: whole["filings"]["recent"].pop("filingDate"),
            lambda whole: whole["filings"]["recent"]["form"].append("10-K"),
            lambda whole: whole["filings"]["recent"]["filingDate"].__setitem__(0, ""),
            lambda whole: whole["filings"]["recent"]["filingDate"].__setitem__(0, "3 May"),
            lambda whole: whole["filings"]["recent"]["acceptanceDateTime"].__setitem__(0, "3 May"),
            lambda whole: whole["filings"]["recent"]["form"].__setitem__(0, 7),
        ],
    )
    def test_other_lists_are_refused(self, spoil: Any) -> None:
        whole = submissions(1, [filing("0000000001-24-000002", "2024-05-03T10:00:46")])
        spoil(whole)
        with pytest.raises(MalformedDataError, match=r"submissions of T are not what they were .* wanted cik"):
            read_filings(encoded(whole), ticker="T", source="s")

    def test_facts_want_their_lists(self) -> None:
        whole = submissions(1, [filing("0000000001-24-000002", "2024-05-03T10:00:46")])
        del whole["filings"]["recent"]["isXBRL"]
        with pytest.raises(MalformedDataError, match="acceptanceDateTime, accessionNumber, form and isXBRL"):
            fact_filings(encoded(whole), ticker="T")
