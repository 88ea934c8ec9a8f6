"""Each trap of filings: missing quarters, changes of tags, currency and year end, amendments, derived items, splits."""

from collections.abc import Mapping
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from factor_assets import calendar
from factor_assets.document_columns import BALANCES, FLOWS
from factor_assets.panel.fundamentals import fundamentals, split_factors, without_books
from factor_assets_tests.panel.company_facts import (
    ASSETS,
    CONTRACTS,
    EQUITY,
    FILED,
    MAX_AGE,
    REVENUE,
    SALES,
    SHARES,
    Told,
    facts,
    on,
    quarterly,
)


class TestAgainstTraps:
    def test_a_quarter_that_is_not_filed_is_the_year_less_nine_months(self) -> None:
        told = facts(quarterly())
        after = [str(calendar.next_session("XNYS", date.fromisoformat(day))) for day in FILED.values()]
        revenue = [row.get("revenue_ttm") for row in on(told, *after)]
        assert revenue == [None, None, None, 47.0, 15 + 47 - 10, 17 + 15 + 47 - 10 - 11]

    def test_a_trailing_year_is_summed_over_a_change_of_tags(self) -> None:
        old = [t for t in quarterly(SALES) if t.filed < "2019-05"]
        new = [t for t in quarterly(CONTRACTS) if t.filed > "2019-05" and t.concept == CONTRACTS]
        balances = [t for t in quarterly() if t.filed > "2019-05" and t.concept == ASSETS]
        assert on(facts([*old, *new, *balances]), "2019-08-30")[0]["revenue_ttm"] == 58.0

    def test_periods_of_two_tags_are_not_subtracted_unless_they_told_the_same(self) -> None:
        told = [t for t in quarterly(SALES) if t.end != "2018-12-31"]
        told += [Told(ASSETS, 1.0, "2018-12-31", filed="2019-02-15")]
        told += [Told(CONTRACTS, 50.0, "2018-12-31", "2018-01-01", "2019-02-15")]
        assert on(facts(told), "2019-05-20")[0]["revenue_ttm"] is None
        same = [Told(CONTRACTS, 10.0, "2018-03-31", "2018-01-01", "2019-05-15", "10-Q")]
        assert on(facts([*told, *same]), "2019-05-20")[0]["revenue_ttm"] == 15 + 50 - 10
        other = [Told(CONTRACTS, 10.5, "2018-03-31", "2018-01-01", "2019-05-15", "10-Q")]
        assert on(facts([*told, *other]), "2019-05-20")[0]["revenue_ttm"] is None

    def test_of_two_tags_of_one_period_the_first_in_order_counts(self) -> None:
        told = [Told(ASSETS, 9.0, "2018-12-31", filed="2019-02-15")]
        told += [Told(c, v, "2018-12-31", "2018-01-01", "2019-02-15") for c, v in ((SALES, 40.0), (REVENUE, 47.0))]
        assert on(facts(told), "2019-03-01")[0]["revenue_ttm"] == 47.0

    def test_those_who_report_by_halves_have_trailing_years_as_well(self) -> None:
        told = [
            Told("ifrs-full:Assets", 5.0, "2018-12-31", filed="2019-03-01", form="20-F"),
            Told("ifrs-full:Revenue", 30.0, "2018-12-31", "2018-01-01", "2019-03-01", "20-F"),
            Told("ifrs-full:Revenue", 18.0, "2019-06-30", "2019-01-01", "2019-08-01", "6-K"),
            Told("ifrs-full:Revenue", 13.0, "2018-06-30", "2018-01-01", "2019-08-01", "6-K"),
            Told("ifrs-full:Assets", 6.0, "2019-06-30", filed="2019-08-01", form="6-K"),
        ]
        year, half = on(facts(told), "2019-03-04", "2019-08-02")
        assert (year["assets"], year["revenue_ttm"]) == (5.0, 30.0)
        assert (half["assets"], half["revenue_ttm"]) == (6.0, 30 + 18 - 13)

    def test_an_amendment_counts_from_its_own_filing_on(self) -> None:
        told = [*quarterly(), Told(ASSETS, 90.0, "2018-12-31", filed="2019-04-01", form="10-K/A")]
        assert [row["assets"] for row in on(facts(told), "2019-04-01", "2019-04-02")] == [114.0, 90.0]

    def test_a_late_filing_of_an_older_period_does_not_move_the_period_back(self) -> None:
        told = [*quarterly(skip=("2018-09-30",)), Told(ASSETS, 1.0, "2018-09-30", filed="2019-09-02", form="10-Q")]
        before, after = on(facts(told), "2019-08-30", "2019-09-04")
        assert before["fundamentals_period_end"] == after["fundamentals_period_end"] == date(2019, 6, 30)
        assert after["assets"] == 117.0

    def test_a_number_filed_earlier_but_known_later_does_not_replace_the_later_one(self) -> None:
        rows = facts(
            [
                Told(ASSETS, 1.0, "2018-12-31", filed="2019-02-15", accession="a"),
                Told(ASSETS, 2.0, "2018-12-31", filed="2019-03-15", accession="b"),
            ]
        )
        late = pa.array([date(2019, 4, 1), date(2019, 3, 18)], pa.date32())
        rows = rows.set_column(rows.column_names.index("known_from"), "known_from", late)
        assert [row["assets"] for row in on(rows, "2019-03-18", "2019-04-01")] == [2.0, 2.0]

    def test_a_convenience_translation_is_left_out_and_counted(self) -> None:
        told = []
        for concept, value in (("ifrs-full:Assets", 700.0), ("ifrs-full:Equity", 300.0)):
            told += [Told(concept, value, "2018-12-31", filed="2019-03-01", form="20-F", unit="CNY")]
            told += [Told(concept, value / 7, "2018-12-31", filed="2019-03-01", form="20-F", unit="USD")]
            told += [Told(concept, value / 2, "2017-12-31", filed="2019-03-01", form="20-F", unit="CNY")]
        days = np.array(["2019-03-04"], dtype="datetime64[D]")
        made = fundamentals(facts(told), sessions=days, max_age_days=MAX_AGE)
        (row,) = made.rows.to_pylist()
        assert (row["reporting_currency"], row["assets"], row["assets_year_ago"]) == ("CNY", 700.0, 350.0)
        assert made.dropped == {"other_currency": 2}

    def test_a_company_that_changes_its_currency_is_in_the_new_one(self) -> None:
        told = [
            Told(ASSETS, 5.0, f"{year}-12-31", filed=f"{year + 1}-03-01", unit="EUR") for year in (2015, 2016, 2017)
        ]
        told += [Told(ASSETS, 8.0, "2018-12-31", filed="2019-03-01")]
        (row,) = on(facts(told), "2019-03-04")
        assert (row["reporting_currency"], row["assets"], row["assets_year_ago"]) == ("USD", 8.0, None)

    def test_a_year_of_53_weeks_is_a_year(self) -> None:
        told = [
            Told(ASSETS, 1.0, "2017-09-30", filed="2017-11-03"),
            Told(ASSETS, 2.0, "2016-09-24", filed="2016-11-03"),
            Told(REVENUE, 229.0, "2017-09-30", "2016-09-25", "2017-11-03"),
            Told(REVENUE, 215.0, "2016-09-24", "2015-09-27", "2016-11-03"),
        ]
        (row,) = on(facts(told), "2017-11-06")
        assert (row["revenue_ttm"], row["revenue_ttm_year_ago"], row["assets_year_ago"]) == (229.0, 215.0, 2.0)

    def test_quarters_are_summed_over_a_change_of_the_year_end(self) -> None:
        # The year ended in December 2018; then came a year of six months, which its report tells as one.
        told = [t for t in quarterly() if t.filed < "2019-08"]
        told += [Told(ASSETS, 9.0, "2019-06-30", filed="2019-08-15", form="10-KT")]
        told += [Told(REVENUE, 32.0, "2019-06-30", "2019-01-01", "2019-08-15", "10-KT")]
        assert on(facts(told), "2019-08-16")[0]["revenue_ttm"] == 32 + 47 - 21

    def test_a_missing_quarter_gives_null_and_never_a_sum_of_three(self) -> None:
        # Neither June of 2018 nor anything that it could follow from was filed.
        told = [t for t in quarterly(skip=("2018-06-30",)) if t.end != "2018-09-30"]
        told = [t for t in told if (t.end, t.start) != ("2018-03-31", "2018-01-01")]
        row = on(facts(told), "2019-05-20")[0]
        assert (row["assets"], row["revenue_ttm"]) == (115.0, None)

    def test_what_was_never_filed_is_null_and_not_zero(self) -> None:
        (row,) = on(facts([Told(ASSETS, 5.0, "2018-12-31", filed="2019-03-01")]), "2019-03-04")
        assert row["assets"] == 5.0
        numbers = [c for c in row if c.removesuffix("_year_ago").removesuffix("_ttm") in {*BALANCES, *FLOWS}]
        assert {row[name] for name in numbers if name != "assets"} == {None}

    @pytest.mark.parametrize(
        ("filed", "item", "value"),
        [
            ({EQUITY: 60.0, "us-gaap:PreferredStockValue": 4.0}, "book_equity", 56.0),
            (
                {
                    "us-gaap:StockholdersEquityIncludingPortionAttributableToNoncontrollingInterest": 60.0,
                    "us-gaap:MinorityInterest": 5.0,
                },
                "book_equity",
                55.0,
            ),
            ({EQUITY: 60.0}, "liabilities", 40.0),
            ({EQUITY: 60.0, "us-gaap:MinorityInterest": 5.0}, "liabilities", 35.0),
            ({"us-gaap:Liabilities": 39.0, EQUITY: 60.0}, "liabilities", 39.0),
            ({"us-gaap:CommercialPaper": 3.0, "us-gaap:LongTermDebtCurrent": 4.0}, "short_term_debt", 7.0),
            ({"us-gaap:DebtCurrent": 8.0, "us-gaap:LongTermDebtCurrent": 4.0}, "short_term_debt", 8.0),
            ({"us-gaap:LongTermDebt": 20.0, "us-gaap:LongTermDebtCurrent": 4.0}, "long_term_debt", 16.0),
            ({"us-gaap:LongTermDebtNoncurrent": 17.0}, "long_term_debt", 17.0),
        ],
    )
    def test_balances_that_are_not_filed_follow_from_others(
        self, filed: Mapping[str, float], item: str, value: float
    ) -> None:
        told = [Told(c, v, "2018-12-31", filed="2019-03-01") for c, v in {ASSETS: 100.0, **filed}.items()]
        assert on(facts(told), "2019-03-04")[0][item] == value

    @pytest.mark.parametrize(
        ("filed", "item", "value"),
        [
            ({REVENUE: 50.0, "us-gaap:CostOfRevenue": 30.0}, "gross_profit", 20.0),
            ({REVENUE: 50.0}, "gross_profit", None),
            (
                {"us-gaap:ProfitLoss": 9.0, "us-gaap:NetIncomeLossAttributableToNoncontrollingInterest": 2.0},
                "net_income",
                7.0,
            ),
            (
                {"us-gaap:SellingAndMarketingExpense": 3.0, "us-gaap:GeneralAndAdministrativeExpense": 4.0},
                "selling_general_administrative",
                7.0,
            ),
            ({"us-gaap:SellingAndMarketingExpense": 3.0}, "selling_general_administrative", None),
            ({"us-gaap:Depreciation": 3.0, "us-gaap:AmortizationOfIntangibleAssets": 1.0}, "depreciation", 4.0),
        ],
    )
    def test_flows_that_are_not_filed_follow_from_others(
        self, filed: Mapping[str, float], item: str, value: float | None
    ) -> None:
        told = [Told(c, v, "2018-12-31", "2018-01-01", "2019-03-01") for c, v in filed.items()]
        told += [Told(ASSETS, 100.0, "2018-12-31", filed="2019-03-01")]
        assert on(facts(told), "2019-03-04")[0][f"{item}_ttm"] == value


class TestAgainstSplits:
    TOLD = (
        Told(ASSETS, 1.0, "2018-12-31", filed="2019-02-15"),
        Told(SHARES, 100.0, "2019-02-01", filed="2019-02-15", unit="shares"),
    )
    FACTORS: Mapping[str, Any] = {
        "A": (np.array(["2019-01-02", "2019-03-01", "2019-03-04"], dtype="datetime64[D]"), np.array([1.0, 1.0, 4.0]))
    }

    def test_shares_follow_the_splits_since_the_day_they_are_told_for(self) -> None:
        rows = on(facts(self.TOLD), "2019-02-19", "2019-03-01", "2019-03-04", split_factor=self.FACTORS)
        assert [row["shares_filed"] for row in rows] == [100.0, 100.0, 400.0]
        assert on(facts(self.TOLD), "2019-03-04")[0]["shares_filed"] == 100.0

    def test_shares_without_prices_on_their_day_are_null(self) -> None:
        late = {"A": (self.FACTORS["A"][0][1:], self.FACTORS["A"][1][1:])}
        assert on(facts(self.TOLD), "2019-03-04", split_factor=late)[0]["shares_filed"] is None
        assert on(facts(self.TOLD), "2019-03-04", split_factor={})[0]["shares_filed"] is None

    def test_shares_of_a_balance_sheet_are_restated_for_splits_before_it_was_filed(self) -> None:
        told = [
            Told(ASSETS, 1.0, "2019-02-28", filed="2019-03-05"),
            Told("us-gaap:CommonStockSharesOutstanding", 400.0, "2019-02-28", filed="2019-03-05", unit="shares"),
        ]
        assert on(facts(told), "2019-03-06", split_factor=self.FACTORS)[0]["shares_filed"] == 400.0

    def test_the_cover_page_counts_before_the_balance_sheet_unless_it_is_older(self) -> None:
        balance = "us-gaap:CommonStockSharesOutstanding"
        told = [*self.TOLD, Told(balance, 99.0, "2018-12-31", filed="2019-02-15", unit="shares")]
        newer = [*told, Told(balance, 98.0, "2019-03-31", filed="2019-05-15", unit="shares")]
        first, second = on(facts(newer), "2019-02-19", "2019-05-16")
        assert (first["shares_filed"], second["shares_filed"]) == (100.0, 98.0)

    def test_split_factors_are_read_from_prices_in_any_order(self) -> None:
        days = [date(2019, 1, 3), date(2019, 1, 2), date(2019, 1, 2)]
        prices = pa.table({"date": days, "ticker": ["A", "B", "A"], "split_factor": [2.0, 1.0, 1.0]})
        found = split_factors(prices)
        assert sorted(found) == ["A", "B"]
        assert found["A"][0].astype(str).tolist() == ["2019-01-02", "2019-01-03"]
        assert found["A"][1].tolist() == [1.0, 2.0]

    def test_tickers_with_a_price_and_no_books_are_named(self) -> None:
        days = np.array(["2019-02-19"], dtype="datetime64[D]")
        made = fundamentals(facts(self.TOLD), sessions=days, max_age_days=MAX_AGE)
        of_days = [date(2019, 2, 19), date(2019, 2, 19), date(2019, 2, 18)]
        prices = pa.table({"date": of_days, "ticker": ["A", "B", "gone"]})
        assert without_books(made.rows, prices) == (["B"], 2)
        assert without_books(made.rows.slice(0, 0), prices) == (["A", "B"], 2)
        assert without_books(made.rows, prices.slice(0, 0)) == ([], 0)
