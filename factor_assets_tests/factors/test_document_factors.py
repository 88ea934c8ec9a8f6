"""The factors of filings, reports and news against their definitions, written out a second time in plain Python."""

import math
from collections.abc import Callable, Mapping
from functools import cache

import numpy as np
import pytest

from factor_assets.expressions.engine import evaluate
from factor_assets.factors.registry import all_factors
from factor_assets_tests.factors.market import panel_of, raw_market

OF_DOCUMENTS = {name: factor for name, factor in all_factors().items() if factor.document_tables}
Books = Mapping[str, float]


def positive(x: float) -> float:
    return x if x > 0 else math.nan


def f_score(b: Books) -> float:
    def ratio(x: str, y: str, when: str = "") -> float:
        return b[x + when] / b[y + when] if b[y + when] else math.nan

    before = "_year_ago"
    pairs = [
        (b["net_income_ttm"], 0),
        (b["operating_cash_flow_ttm"], 0),
        (ratio("net_income_ttm", "assets"), ratio("net_income_ttm", "assets", before)),
        (b["operating_cash_flow_ttm"], b["net_income_ttm"]),
        (ratio("long_term_debt", "assets", before), ratio("long_term_debt", "assets")),
        (
            ratio("current_assets", "current_liabilities"),
            ratio("current_assets", "current_liabilities", before),
        ),
        (0.5, b["stock_issued_ttm"]),
        (ratio("gross_profit_ttm", "revenue_ttm"), ratio("gross_profit_ttm", "revenue_ttm", before)),
        (ratio("revenue_ttm", "assets"), ratio("revenue_ttm", "assets", before)),
    ]
    if any(math.isnan(x) for pair in pairs for x in pair):
        return math.nan
    return float(sum(x > y for x, y in pairs))


DEFINITIONS: dict[str, Callable[[Books], float]] = {
    "be_me": lambda b: positive(b["book_equity"]) / b["market_cap"],
    "price_to_book": lambda b: b["market_cap"] / positive(b["book_equity"]),
    "ni_me": lambda b: b["net_income_ttm"] / b["market_cap"],
    "net_payout_me": lambda b: (
        (b["dividends_paid_ttm"] + b["stock_repurchased_ttm"] - b["stock_issued_ttm"]) / b["market_cap"]
    ),
    "ebit_ev": lambda b: (
        b["operating_income_ttm"] / (b["market_cap"] + b["long_term_debt"] + b["short_term_debt"] - b["cash"])
    ),
    "peg": lambda b: (
        b["market_cap"]
        / positive(b["net_income_ttm"])
        / positive(100 * (b["net_income_ttm"] / positive(b["net_income_ttm_year_ago"]) - 1))
    ),
    "gross_profitability": lambda b: b["gross_profit_ttm"] / positive(b["assets"]),
    "gross_margin": lambda b: b["gross_profit_ttm"] / positive(b["revenue_ttm"]),
    "ni_be": lambda b: b["net_income_ttm"] / positive(b["book_equity"]),
    "accruals": lambda b: (
        (b["net_income_ttm"] - b["operating_cash_flow_ttm"]) / positive((b["assets"] + b["assets_year_ago"]) / 2)
    ),
    "piotroski_f": f_score,
    "at_gr1": lambda b: b["assets"] / positive(b["assets_year_ago"]) - 1,
    "net_stock_issues": lambda b: (b["stock_issued_ttm"] - b["stock_repurchased_ttm"]) / positive(b["assets_year_ago"]),
    "current_ratio": lambda b: b["current_assets"] / positive(b["current_liabilities"]),
    "cash_ratio": lambda b: b["cash"] / positive(b["current_liabilities"]),
    "debt_to_equity": lambda b: (b["long_term_debt"] + b["short_term_debt"]) / positive(b["book_equity"]),
    "interest_coverage": lambda b: b["operating_income_ttm"] / positive(b["interest_expense_ttm"]),
    "inventory_turnover": lambda b: b["cost_of_revenue_ttm"] / positive((b["inventory"] + b["inventory_year_ago"]) / 2),
    "revenue_growth": lambda b: b["revenue_ttm"] / positive(b["revenue_ttm_year_ago"]) - 1,
}


@cache
def computed() -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    market = panel_of(raw_market())
    return dict(evaluate({n: f.expression for n, f in OF_DOCUMENTS.items()}, market)), dict(market.fields)


class TestAgainstDefinitions:
    @pytest.mark.parametrize("name", DEFINITIONS)
    def test_values(self, name: str) -> None:
        values, fields = computed()
        rows = range(100, len(values[name]), 40)
        expected = [
            [DEFINITIONS[name]({k: float(v[t, j]) for k, v in fields.items()}) for j in range(values[name].shape[1])]
            for t in rows
        ]
        np.testing.assert_allclose(values[name][list(rows)], expected, rtol=1e-12)
        assert np.isfinite(expected).sum() >= 10

    def test_mean_sentiment_is_over_the_sessions_with_news(self) -> None:
        values, fields = computed()
        news = fields["news_sentiment"][200:214]
        some = np.isfinite(news).any(axis=0)
        expected = [np.mean(column[np.isfinite(column)]) for column in news.T[some]]
        np.testing.assert_allclose(values["avgsent14"][213, some], expected, rtol=1e-12)
        np.testing.assert_array_equal(values["newsent"], fields["news_sentiment"])


class TestProperties:
    def test_every_factor_has_values_and_none_is_infinite(self) -> None:
        for name, values in computed()[0].items():
            assert np.isfinite(values).sum() >= 100, name
            assert not np.isinf(values).any(), name

    def test_signs_of_those_that_claim_one(self) -> None:
        negative = {"price_to_book", "peg", "accruals", "at_gr1", "capx_at", "net_stock_issues", "debt_issuance"}
        positive_ones = {"be_me", "ni_me", "div_me", "gross_profitability", "ni_be", "piotroski_f", "newsent"}
        for name, sign in {**dict.fromkeys(negative, -1), **dict.fromkeys(positive_ones, 1)}.items():
            assert OF_DOCUMENTS[name].factor.sign == sign, name
