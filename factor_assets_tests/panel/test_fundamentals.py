"""Balances and flows as they were known: real companies, a second implementation, each trap, and no look-ahead."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factor_assets import calendar
from factor_assets.document_columns import BALANCES, FLOWS
from factor_assets.panel.facts import known_facts
from factor_assets.panel.fundamental_tags import BALANCE_TAGS, CONCEPTS, FLOW_TAGS
from factor_assets.panel.fundamentals import fundamentals, used_facts
from factor_assets.sources.edgar_facts import facts_from_companyfacts
from factor_assets.storage.rows import checksum
from factor_assets.tables import table
from factor_assets_tests.panel.company_facts import (
    ASSETS,
    EQUITY,
    MAX_AGE,
    SALES,
    SHARES,
    Told,
    as_of,
    facts,
    on,
    quarterly,
)

MILLION = 1e6
COMPANIES = {"AAPL": "CIK0000320193", "NVDA": "CIK0001045810", "GOOGL": "CIK0001652044"}


@pytest.fixture(scope="module")
def real(shared_data: Path) -> pa.Table:
    """Facts of three companies."""
    found = []
    for ticker, name in COMPANIES.items():
        path = shared_data / "edgar" / "companyfacts" / f"{name}.json.gz"
        rows = facts_from_companyfacts(path.read_bytes(), ticker=ticker, source="SEC").rows
        found.append(known_facts(rows, calendar="XNYS"))
    return pa.concat_tables(found)


@pytest.fixture(scope="module")
def real_rows(real: pa.Table) -> list[dict[str, Any]]:
    """Their fundamentals on the sessions on which the books changed."""
    days = np.unique(used_facts(real)["known_from"].to_numpy().astype("datetime64[D]"))
    return fundamentals(real, sessions=days, max_age_days=MAX_AGE).rows.to_pylist()


def of(rows: list[dict[str, Any]], ticker: str) -> list[dict[str, Any]]:
    return [row for row in rows if row["ticker"] == ticker]


def filed(rows: pa.Table, theirs: Mapping[str, Any], tags: tuple[str, ...], duration: str, session: date) -> Any:
    """The number that was filed last of the period, under the first tag that has one."""
    of_period = rows.filter(
        (pc.field("ticker") == theirs["symbol"])
        & (pc.field("period_end") == theirs["end_date"])
        & (pc.field("duration") == duration)
        & (pc.field("known_from") <= session)
    ).to_pylist()
    found = [
        max((r["filed"], r["fact_value"]) for r in of_period if r["concept"] == c)[1]
        for c in tags
        if c in {r["concept"] for r in of_period}
    ]
    return found[0] if found else None


class TestAgainstRealCompanies:
    def test_assets_are_what_was_known_and_a_restatement_counts_from_its_filing_on(self, real: pa.Table) -> None:
        apple = real.filter(pc.field("ticker") == "AAPL")
        then, later = on(apple, "2015-12-31", "2016-12-30")
        assert then["fundamentals_period_end"] == date(2015, 9, 26)
        assert then["assets"] == 290_479 * MILLION
        assert later["assets_year_ago"] == 290_345 * MILLION

    def test_the_quarter_and_the_year_that_end_together_are_never_confused(self, real: pa.Table) -> None:
        rows = real.filter(
            (pc.field("ticker") == "AAPL")
            & (pc.field("concept") == SALES)
            & (pc.field("period_end") == date(2015, 9, 26))
        ).to_pylist()
        assert {(r["duration"], r["fact_value"]) for r in rows} == {
            ("quarter", 51_501 * MILLION),
            ("year", 233_715 * MILLION),
        }
        assert {(r["fiscal_year"], r["fiscal_quarter"]) for r in rows} == {(2015, 4)}
        assert on(real.filter(pc.field("ticker") == "AAPL"), "2015-12-31")[0]["revenue_ttm"] == 233_715 * MILLION

    def test_revenue_has_no_gap_and_no_jump_over_the_changes_of_tags(self, real_rows: list[dict[str, Any]]) -> None:
        for ticker, most in (("AAPL", 0.20), ("GOOGL", 0.15), ("NVDA", 0.40)):
            revenue = [row["revenue_ttm"] for row in of(real_rows, ticker) if row["date"] > date(2016, 2, 12)]
            assert None not in revenue
            change = np.diff(revenue) / np.array(revenue[:-1])
            assert np.abs(change).max() < most, ticker

    def test_apples_trailing_revenue_of_2018_and_2019_is_that_of_its_reports(
        self, real_rows: list[dict[str, Any]]
    ) -> None:
        # 10-Q and 10-K of 2018-02 to 2019-10: under SalesRevenueNet, Revenues and RevenueFromContract...
        told = {
            str(row["fundamentals_period_end"]): row["revenue_ttm"] / MILLION
            for row in of(real_rows, "AAPL")
            if row["revenue_ttm"] is not None
        }
        assert [told[end] for end in ("2017-12-30", "2018-06-30", "2018-09-29", "2018-12-29", "2019-09-28")] == [
            239_176,
            255_274,
            265_595,
            261_612,
            260_174,
        ]

    def test_shares_are_those_of_the_cover_page(self, real: pa.Table) -> None:
        (row,) = on(real.filter(pc.field("ticker") == "AAPL"), "2015-12-31")
        assert row["shares_filed"] == 5_575_331_000

    def test_balance_sheets_balance_and_profits_are_parts_of_revenue(self, real_rows: list[dict[str, Any]]) -> None:
        for row in real_rows:
            assert row["assets"] > row["liabilities"] > 0
            # NVIDIA's convertible notes of 2013 put up to 87M between liabilities and equity.
            between = row["assets"] - row["liabilities"] - row["book_equity"]
            assert between == 0 or (row["ticker"] == "NVDA" and 0 < between < 90 * MILLION)
            if row["revenue_ttm"] is not None:
                assert row["gross_profit_ttm"] == pytest.approx(row["revenue_ttm"] - row["cost_of_revenue_ttm"])
                assert row["operating_income_ttm"] < row["gross_profit_ttm"] < row["revenue_ttm"]
                if row["pretax_income_ttm"] is not None:
                    after_tax = row["pretax_income_ttm"] - row["income_tax_ttm"]
                    assert row["net_income_ttm"] == pytest.approx(after_tax, rel=1e-3)

    def test_plain_loops_agree_on_every_item_that_is_filed(
        self, real: pa.Table, real_rows: list[dict[str, Any]]
    ) -> None:
        derived = {"book_equity", "liabilities", "short_term_debt", "long_term_debt", "gross_profit", "net_income"}
        derived |= {"selling_general_administrative", "depreciation"}
        compared = 0
        for ticker in COMPANIES:
            facts_of = used_facts(real.filter(pc.field("ticker") == ticker)).to_pylist()
            for row in of(real_rows, ticker)[3::9]:
                plain = as_of(facts_of, row["date"])
                for name, value in plain.items():
                    item = name.removesuffix("_year_ago").removesuffix("_ttm")
                    if item in derived and value is None:
                        continue
                    assert row[name] == (pytest.approx(value, rel=1e-12) if isinstance(value, float) else value), name
                    compared += value is not None
        assert compared > 700

    def test_it_agrees_with_what_a_collector_saw_on_the_day(
        self, shared_data: Path, real: pa.Table, real_rows: list[dict[str, Any]]
    ) -> None:
        path = shared_data / "fundamentals" / "us_fundamentals_pit_2015_2017.parquet"
        seen = pq.read_table(path, filters=[("symbol", "in", list(COMPANIES))]).to_pylist()
        balances = {"assets": "assets", "current_assets": "cur_assets", "current_liabilities": "cur_liab"}
        balances |= {"cash": "cash", "book_equity": "equity"}
        flows = {"revenue": "revenues", "operating_income": "op_income", "net_income": "net_income"}
        n, differing = 0, []
        for theirs in seen:
            # What was seen in an evening may have the next day's date at the SEC, and is used a session later.
            session = calendar.next_session("XNYS", theirs["first_seen"], 2)
            (ours,) = on(real.filter(pc.field("ticker") == theirs["symbol"]), str(session))
            assert ours["fundamentals_period_end"] == theirs["end_date"]
            assert theirs["first_seen"] <= ours["fundamentals_known_from"] <= session
            pairs = {item: (ours[item], theirs[name]) for item, name in balances.items()}
            if theirs["period_focus"] == "FY":
                pairs |= {item: (ours[f"{item}_ttm"], theirs[name]) for item, name in flows.items()}
                pairs["operating_cash_flow"] = (ours["operating_cash_flow_ttm"], theirs["cash_flow_op"])
            else:
                pairs |= {
                    item: (filed(real, theirs, FLOW_TAGS[item], "quarter", session), theirs[name])
                    for item, name in flows.items()
                }
            for item, (our, their) in pairs.items():
                n += 1
                if our != their:
                    differing.append((theirs["symbol"], str(theirs["end_date"]), item, our, their))
        assert n == 124
        assert differing == []


class TestProperties:
    def test_rows_are_those_that_the_table_declares(self) -> None:
        made = fundamentals(facts(quarterly()), sessions=np.array(["2019-03-15"], "datetime64[D]"), max_age_days=9)
        assert made.rows.schema == table("fundamentals").schema

    def test_numbers_are_null_once_the_period_is_too_old_and_the_period_says_why(self) -> None:
        told = facts([*quarterly(), Told(SHARES, 5.0, "2019-07-31", filed="2019-08-15", unit="shares")])
        young, old = on(told, "2019-09-30", "2019-10-01", max_age_days=92)
        assert (young["assets"], young["revenue_ttm"]) == (117.0, 58.0)
        assert (old["assets"], old["revenue_ttm"], old["assets_year_ago"]) == (None, None, None)
        assert old["fundamentals_period_end"] == date(2019, 6, 30)
        assert old["shares_filed"] == 5.0
        assert on(told, "2019-11-01", max_age_days=92)[0]["shares_filed"] is None

    @settings(max_examples=25, deadline=None)
    @given(cut=st.integers(0, 900), length=st.integers(1, 60))
    def test_what_is_filed_later_changes_nothing_known_before(self, cut: int, length: int) -> None:
        rows = facts([*quarterly(), *quarterly(SALES), Told(ASSETS, 3.0, "2018-12-31", filed="2019-06-03")])
        day = np.datetime64("2018-04-01") + cut
        sessions = np.arange(day - length, day + 1)
        truncated = rows.filter(pc.less_equal(rows["known_from"], pa.scalar(day.item(), pa.date32())))
        whole, cut_off = (fundamentals(r, sessions=sessions, max_age_days=300).rows for r in (rows, truncated))
        assert checksum(whole) == checksum(cut_off)

    def test_truncating_real_facts_changes_nothing_known_before(self, real: pa.Table) -> None:
        sessions = calendar.sessions("XNYS", date(2010, 1, 4), date(2026, 7, 9))
        whole = fundamentals(real, sessions=sessions, max_age_days=MAX_AGE).rows
        for day in (date(2010, 1, 25), date(2014, 7, 24), date(2016, 10, 26), date(2018, 11, 5), date(2021, 10, 27)):
            known = real.filter(pc.less_equal(real["known_from"], pa.scalar(day, pa.date32())))
            before = sessions[sessions <= np.datetime64(day)]
            made = fundamentals(known, sessions=before, max_age_days=MAX_AGE).rows
            assert checksum(made) == checksum(whole.filter(pc.field("date") <= day))

    def test_truncating_the_answer_itself_changes_nothing_known_before(self, shared_data: Path) -> None:
        import gzip
        import json

        raw = gzip.decompress((shared_data / "edgar/companyfacts/CIK0000320193.json.gz").read_bytes())
        whole, cut = json.loads(raw), json.loads(raw)
        for taxonomy in cut["facts"].values():
            for concept in taxonomy.values():
                for unit, numbers in concept["units"].items():
                    concept["units"][unit] = [n for n in numbers if n["filed"] <= "2016-10-25"]
        sessions = calendar.sessions("XNYS", date(2016, 1, 4), date(2016, 10, 26))
        made = []
        for content in (whole, cut):
            rows = facts_from_companyfacts(json.dumps(content).encode(), ticker="AAPL", source="SEC").rows
            known = known_facts(rows, calendar="XNYS")
            made.append(checksum(fundamentals(known, sessions=sessions, max_age_days=MAX_AGE).rows))
        assert made[0] == made[1]

    def test_any_slice_of_sessions_and_any_order_of_rows_give_the_same_bits(self, real: pa.Table) -> None:
        sessions = calendar.sessions("XNYS", date(2015, 1, 2), date(2019, 12, 31))
        splits = {t: (sessions[::5], np.linspace(1, 2, len(sessions[::5]))) for t in ("AAPL", "NVDA", "GOOGL")}
        whole = fundamentals(real, sessions=sessions, split_factor=splits, max_age_days=MAX_AGE).rows
        shuffled = real.take(pa.array(np.random.default_rng(7).permutation(real.num_rows)))
        parts = [
            fundamentals(shuffled, sessions=some, split_factor=splits, max_age_days=MAX_AGE).rows
            for some in np.split(sessions, [1, 2, 250, 251, 900])
        ]
        assert checksum(pa.concat_tables(parts)) == checksum(whole)

    def test_only_the_facts_that_count_are_needed(self, real: pa.Table) -> None:
        few = used_facts(real)
        assert few.num_rows < real.num_rows / 4
        sessions = calendar.sessions("XNYS", date(2018, 1, 2), date(2018, 3, 1))
        made = [fundamentals(rows, sessions=sessions, max_age_days=MAX_AGE).rows for rows in (real, few)]
        assert checksum(made[0]) == checksum(made[1])

    def test_every_item_has_tags_or_is_derived_and_no_concept_stands_for_two(self) -> None:
        derived = {"book_equity"}
        assert {*BALANCES} - derived <= set(BALANCE_TAGS)
        assert set(FLOWS) <= set(FLOW_TAGS)
        listed = [c for tags in (*BALANCE_TAGS.values(), *FLOW_TAGS.values()) for c in tags]
        assert len(listed) == len(set(listed))
        assert set(listed) < CONCEPTS

    def test_us_tags_are_found_in_real_filings(self, shared_data: Path, real: pa.Table) -> None:
        num = pq.read_table(shared_data / "edgar/financial_statements_2010q1/num.parquet", columns=["tag"])
        found = {f"us-gaap:{tag}" for tag in num["tag"].unique().to_pylist()} | set(
            real["concept"].unique().to_pylist()
        )
        absent = {c for c in CONCEPTS if c.startswith("us-gaap:")} - found
        assert absent <= LATER_TAGS


LATER_TAGS = {
    "us-gaap:CostOfGoodsAndServiceExcludingDepreciationDepletionAndAmortization",
    "us-gaap:InventoryNetOfAllowancesCustomerAdvancesAndProgressBillings",
    "us-gaap:RedeemableNoncontrollingInterestEquityCarryingAmount",
    "us-gaap:RevenueFromContractWithCustomerIncludingAssessedTax",
    "us-gaap:RevenuesNetOfInterestExpense",
    "us-gaap:TemporaryEquityCarryingAmountAttributableToParent",
    "us-gaap:TemporaryEquityCarryingAmountIncludingPortionAttributableToNoncontrollingInterests",
}
"""Tags of the taxonomy that the filings of 2010 and the three companies do not use."""


class TestErrors:
    def test_no_facts_and_no_sessions_give_no_rows(self) -> None:
        days = np.array(["2019-03-15"], dtype="datetime64[D]")
        assert fundamentals(facts(quarterly()).slice(0, 0), sessions=days, max_age_days=9).rows.num_rows == 0
        assert fundamentals(facts(quarterly()), sessions=days[:0], max_age_days=9).rows.num_rows == 0

    def test_what_cannot_be_used_is_counted_by_reason(self) -> None:
        told = [
            *(t for t in quarterly() if t.filed < "2018-09"),
            Told(ASSETS, 110.0, "2018-03-31", filed="2018-06-15", form="10-Q"),
            Told(EQUITY, 5.0, "2105-12-31", filed="2018-05-15"),
            Told(EQUITY, 5.0, "2017-12-31", filed="2018-05-15", unit="USD/shares"),
            Told(EQUITY, 5.0, "2017-12-31", filed="2018-05-15", unit="EUR"),
            Told(SHARES, 5.0, "2018-04-30", filed="2018-05-15", unit="USD"),
            Told(EQUITY, 5.0, "2016-12-31", filed="2300-01-01"),
        ]
        days = np.array(["2018-08-31"], dtype="datetime64[D]")
        made = fundamentals(facts(told), sessions=days, max_age_days=MAX_AGE)
        assert made.dropped == {
            "never_known": 1,
            "not_ended": 1,
            "other_currency": 1,
            "other_unit": 2,
            "superseded": 1,
        }
