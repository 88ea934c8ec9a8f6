"""Numbers of companyfacts as rows: all of them, with fiscal year and quarter of the period, not of the filing."""

import gzip
import json
import time
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from factor_assets.errors import MalformedDataError
from factor_assets.sources.edgar_facts import TAXONOMIES, facts_from_companyfacts
from factor_assets.tables import table
from factor_assets_tests.panel.company_facts import Told, answer

ASSETS, REVENUE = "us-gaap:Assets", "us-gaap:Revenues"
COMPANIES = {"AAPL": "CIK0000320193", "NVDA": "CIK0001045810", "GOOGL": "CIK0001652044"}


def rows(told: list[Told]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = facts_from_companyfacts(answer(told), ticker="A", source="s").rows.to_pylist()
    return found


def labels(told: list[Told]) -> dict[tuple[str, str], tuple[int | None, int | None, str]]:
    """Start and end of a period -> fiscal year, quarter and length."""
    return {
        (str(row["period_start"] or ""), str(row["period_end"])): (
            row["fiscal_year"],
            row["fiscal_quarter"],
            row["duration"],
        )
        for row in rows(told)
    }


class TestAgainstRealCompanies:
    @pytest.mark.parametrize("ticker", COMPANIES)
    def test_every_number_is_a_row_and_plain_loops_find_the_same(self, shared_data: Path, ticker: str) -> None:
        raw = (shared_data / "edgar" / "companyfacts" / f"{COMPANIES[ticker]}.json.gz").read_bytes()
        found = facts_from_companyfacts(raw, ticker=ticker, source="SEC")
        plain: Counter[tuple[Any, ...]] = Counter()
        other = 0
        for taxonomy, concepts in json.loads(gzip.decompress(raw))["facts"].items():
            for concept, content in concepts.items():
                for unit, numbers in content["units"].items():
                    for n in numbers:
                        if taxonomy not in TAXONOMIES:
                            other += 1
                            continue
                        key = (f"{taxonomy}:{concept}", unit, n.get("start"), n["end"], float(n["val"]), n["accn"])
                        plain[(*key, n["filed"], n["form"])] += 1
        ours = Counter(
            (
                r["concept"],
                r["fact_unit"],
                None if r["period_start"] is None else str(r["period_start"]),
                str(r["period_end"]),
                r["fact_value"],
                r["accession"],
                str(r["filed"]),
                r["form"],
            )
            for r in found.rows.to_pylist()
        )
        assert ours == plain
        assert found.dropped == ({"other_taxonomy": other} if other else {})

    def test_a_large_company_is_read_well_within_a_second(self, shared_data: Path) -> None:
        raw = (shared_data / "edgar" / "companyfacts" / "CIK0000320193.json.gz").read_bytes()
        facts_from_companyfacts(raw, ticker="AAPL", source="SEC")
        started = time.process_time()
        assert facts_from_companyfacts(raw, ticker="AAPL", source="SEC").rows.num_rows == 24_579
        assert time.process_time() - started < 1

    @pytest.mark.parametrize(
        ("ticker", "end", "year", "quarter"),
        [
            ("AAPL", date(2015, 9, 26), 2015, 4),
            ("AAPL", date(2012, 12, 29), 2013, 1),
            ("AAPL", date(2016, 12, 31), 2017, 1),
            ("AAPL", date(2025, 12, 27), 2026, 1),
            ("NVDA", date(2016, 1, 31), 2016, 4),
            ("NVDA", date(2016, 10, 30), 2017, 3),
            ("NVDA", date(2026, 4, 26), 2027, 1),
            ("GOOGL", date(2015, 6, 30), 2015, 2),
        ],
    )
    def test_periods_have_the_companys_own_year_and_quarter(
        self, shared_data: Path, ticker: str, end: date, year: int, quarter: int
    ) -> None:
        raw = (shared_data / "edgar" / "companyfacts" / f"{COMPANIES[ticker]}.json.gz").read_bytes()
        found = facts_from_companyfacts(raw, ticker=ticker, source="SEC").rows.to_pylist()
        told = {(r["fiscal_year"], r["fiscal_quarter"]) for r in found if r["period_end"] == end}
        assert told == {(year, quarter)}


class TestAgainstTraps:
    def test_year_and_quarter_of_the_filing_are_not_those_of_the_period(self) -> None:
        told = [
            Told(REVENUE, 233.0, "2015-09-26", "2014-09-28", "2015-10-28", fy=2015, fp="FY"),
            Told(REVENUE, 51.0, "2015-09-26", "2015-06-28", "2015-10-28", fy=2015, fp="FY"),
            Told(REVENUE, 182.0, "2014-09-27", "2013-09-29", "2015-10-28", fy=2015, fp="FY"),
            Told(ASSETS, 9.0, "2014-12-27", filed="2015-01-28", form="10-Q", fy=2015, fp="Q1"),
        ]
        assert labels(told) == {
            ("2014-09-28", "2015-09-26"): (2015, 4, "year"),
            ("2015-06-28", "2015-09-26"): (2015, 4, "quarter"),
            ("2013-09-29", "2014-09-27"): (2014, 4, "year"),
            ("", "2014-12-27"): (2015, 1, "balance"),
        }

    def test_a_year_of_53_weeks_that_ends_in_january_is_the_old_years(self) -> None:
        told = [
            Told(REVENUE, 1.0, "2020-12-27", "2019-12-30", "2021-02-20"),
            Told(REVENUE, 1.0, "2022-01-02", "2020-12-28", "2022-02-20"),
            Told(REVENUE, 1.0, "2023-01-01", "2022-01-03", "2023-02-20"),
        ]
        assert [label for _, label in sorted(labels(told).items())] == [
            (2020, 4, "year"),
            (2021, 4, "year"),
            (2022, 4, "year"),
        ]

    def test_quarters_of_twelve_and_sixteen_weeks_are_quarters(self) -> None:
        told = [Told(REVENUE, 1.0, "2020-12-27", "2019-12-30", "2021-02-20")]
        told += [
            Told(REVENUE, 1.0, end, start, "2021-02-20")
            for start, end in (
                ("2019-12-30", "2020-03-22"),
                ("2020-03-23", "2020-06-14"),
                ("2020-06-15", "2020-09-06"),
                ("2020-09-07", "2020-12-27"),
            )
        ]
        found = [label for (start, _), label in sorted(labels(told).items(), key=lambda item: item[0][1])]
        assert [f for f in found if f[2] == "quarter"] == [(2020, q, "quarter") for q in (1, 2, 3, 4)]

    def test_halves_and_nine_months_are_told_from_other_spans(self) -> None:
        ends = {"half": "2020-06-30", "nine_months": "2020-09-30", "year": "2020-12-31", "other": "2022-12-31"}
        told = [Told(REVENUE, 1.0, end, "2020-01-01", "2023-02-20") for end in ends.values()]
        assert {label[2]: end for (_, end), label in labels(told).items()} == ends

    def test_a_changed_year_end_gives_a_short_year(self) -> None:
        told = [
            Told(REVENUE, 1.0, "2015-12-31", "2015-01-01", "2016-02-20"),
            Told(ASSETS, 1.0, "2016-03-31", filed="2016-05-01", form="10-Q"),
            Told(ASSETS, 1.0, "2016-06-30", filed="2016-08-01", form="10-KT"),
            Told(ASSETS, 1.0, "2016-09-30", filed="2016-11-01", form="10-Q"),
            Told(REVENUE, 1.0, "2017-06-30", "2016-07-01", "2017-08-20"),
        ]
        found = {end: label[:2] for (start, end), label in labels(told).items() if not start}
        assert found == {"2016-03-31": (2016, 1), "2016-06-30": (2016, 4), "2016-09-30": (2017, 1)}

    def test_a_span_of_a_year_that_is_not_the_companys_has_no_vote(self) -> None:
        told = [Told(f"us-gaap:C{i}", 1.0, "2015-12-31", "2015-01-01", "2016-02-20") for i in range(10)]
        told += [Told("us-gaap:Plan", 1.0, "2015-08-31", "2014-09-01", "2016-02-20")]
        told += [Told(ASSETS, 1.0, "2015-09-30", filed="2015-11-01", form="10-Q")]
        assert labels(told)["", "2015-09-30"] == (2015, 3, "balance")

    def test_without_an_annual_report_the_fiscal_year_is_null(self) -> None:
        told = [Told(REVENUE, 1.0, "2015-12-31", "2015-01-01", "2016-02-20", form="8-K")]
        assert labels(told) == {("2015-01-01", "2015-12-31"): (None, None, "year")}

    def test_restatements_amendments_and_units_are_rows_of_their_own(self) -> None:
        told = [
            Told(ASSETS, 5.0, "2015-12-31", filed="2016-02-20"),
            Told(ASSETS, 5.0, "2015-12-31", filed="2016-05-20", form="10-K/A"),
            Told(ASSETS, 4.0, "2015-12-31", filed="2017-02-20"),
            Told(ASSETS, 6.0, "2015-12-31", filed="2017-02-20", unit="EUR"),
            Told("ifrs-full:Assets", 7.0, "2015-12-31", filed="2017-02-20"),
        ]
        assert [(r["concept"], r["fact_unit"], r["fact_value"]) for r in rows(told)] == [
            ("ifrs-full:Assets", "USD", 7.0),
            (ASSETS, "EUR", 6.0),
            (ASSETS, "USD", 5.0),
            (ASSETS, "USD", 5.0),
            (ASSETS, "USD", 4.0),
        ]

    def test_repeated_and_conflicting_numbers_of_one_filing_are_counted(self) -> None:
        same = Told(ASSETS, 5.0, "2015-12-31", filed="2016-02-20")
        told = [same, same, same._replace(value=6.0), Told("invest:Thing", 1.0, "2015-12-31")]
        found = facts_from_companyfacts(answer(told), ticker="A", source="s")
        assert found.rows["fact_value"].to_pylist() == [6.0]
        assert found.dropped == {"conflicting": 1, "other_taxonomy": 1, "repeated": 1}

    def test_what_is_no_number_or_has_no_day_is_counted(self) -> None:
        content = json.loads(
            answer([Told(ASSETS, float(i), "2015-12-31", filed=f"2016-02-{10 + i}") for i in range(4)])
        )
        numbers = content["facts"]["us-gaap"]["Assets"]["units"]["USD"]
        numbers[0]["val"], numbers[1]["val"] = None, "12"
        del numbers[2]["filed"]
        found = facts_from_companyfacts(json.dumps(content).encode(), ticker="A", source="s")
        assert found.rows["fact_value"].to_pylist() == [3.0]
        assert found.dropped == {"not_a_number": 2, "without_date": 1}


class TestProperties:
    def test_rows_are_those_of_the_table_but_for_when_they_were_known(self) -> None:
        made = facts_from_companyfacts(
            answer([Told(ASSETS, 5.0, "2015-12-31")], cik=320193), ticker="A", source="s"
        ).rows
        declared = table("facts").schema
        assert set(declared.names) - set(made.column_names) == {"accepted_at", "known_from"}
        assert all(made.schema.field(name).type == declared.field(name).type for name in made.column_names)
        assert made.to_pylist()[0]["cik"] == "0000320193"
        assert made.to_pylist()[0]["source"] == "s"

    def test_gzip_makes_no_difference_and_a_company_may_have_no_facts(self) -> None:
        raw = answer([Told(ASSETS, 5.0, "2015-12-31")])
        plain, zipped = (facts_from_companyfacts(r, ticker="A", source="s").rows for r in (raw, gzip.compress(raw)))
        assert plain.equals(zipped)
        assert facts_from_companyfacts(answer([]), ticker="A", source="s").rows.num_rows == 0


class TestErrors:
    @pytest.mark.parametrize("raw", [b"", b"<html>Too many requests</html>", b'{"cik": 1, "fac', b"\x1f\x8b\x08cut"])
    def test_what_is_not_json_is_named(self, raw: bytes) -> None:
        with pytest.raises(
            MalformedDataError, match=r"facts of A are not JSON: \d+ bytes that begin with .* Fetch them"
        ):
            facts_from_companyfacts(raw, ticker="A", source="s")

    @pytest.mark.parametrize(
        ("raw", "told"),
        [
            (b"[]", "want a JSON object with cik and facts; got list"),
            (b"{}", "not of the SEC's form .* KeyError 'cik'"),
            (b'{"cik": 1, "facts": {"us-gaap": {"Assets": {}}}}', "not of the SEC's form .* KeyError 'units'"),
            (b'{"cik": 1, "facts": []}', "not of the SEC's form"),
            (
                b'{"cik":1,"facts":{"dei":{"C":{"units":{"USD":[{"end":"soon","val":1,"accn":"a","filed":"2016-01-01"}]}}}}}',
                "not of the SEC's form .* ValueError",
            ),
        ],
    )
    def test_json_of_another_form_is_named(self, raw: bytes, told: str) -> None:
        with pytest.raises(MalformedDataError, match=f"(?s)facts of A .*{told}"):
            facts_from_companyfacts(raw, ticker="A", source="s")
