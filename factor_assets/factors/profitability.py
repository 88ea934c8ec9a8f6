"""Profitability and quality of earnings. Amounts are as known on the session."""

from factor_assets.expressions import Expression
from factor_assets.expressions.document_names import (
    assets,
    assets_year_ago,
    book_equity,
    cost_of_revenue_ttm,
    current_assets,
    current_assets_year_ago,
    current_liabilities,
    current_liabilities_year_ago,
    gross_profit_ttm,
    gross_profit_ttm_year_ago,
    interest_expense_ttm,
    long_term_debt,
    long_term_debt_year_ago,
    net_income_ttm,
    net_income_ttm_year_ago,
    operating_cash_flow_ttm,
    operating_income_ttm,
    revenue_ttm,
    revenue_ttm_year_ago,
    selling_general_administrative_ttm,
    stock_issued_ttm,
)
from factor_assets.factors.factor import Factor
from factor_assets.factors.market_model import only_where

_EQUITY = only_where(book_equity > 0, book_equity)
_SALES = only_where(revenue_ttm > 0, revenue_ttm)


def _improves(now: Expression, before: Expression) -> Expression:
    """1 where a number is above that of the year before, 0 where not, missing where either is."""
    return (now - before) > 0


gross_profitability = Factor(
    expression=gross_profit_ttm / assets,
    sign=+1,
    cite="Novy-Marx (2013, Journal of Financial Economics 108(1), 1-28)",
    doi="10.1016/j.jfineco.2013.01.003",
    description="Gross profit of four quarters over total assets.",
)

gross_margin = Factor(
    expression=gross_profit_ttm / _SALES,
    sign=+1,
    cite="Lev and Thiagarajan (1993, Journal of Accounting Research 31(2), 190-215)",
    doi="10.2307/2491270",
    description="Gross profit over revenue, of four quarters. The publication is about its change.",
)

operating_margin = Factor(
    expression=operating_income_ttm / _SALES,
    sign=+1,
    cite="Soliman (2008, The Accounting Review 83(3), 823-853)",
    doi="10.2308/accr.2008.83.3.823",
    description="Operating income over revenue, of four quarters.",
)

net_margin = Factor(
    expression=net_income_ttm / _SALES,
    sign=+1,
    cite="Soliman (2008, The Accounting Review 83(3), 823-853)",
    doi="10.2308/accr.2008.83.3.823",
    description="Net income over revenue, of four quarters.",
)

ni_be = Factor(
    expression=net_income_ttm / _EQUITY,
    sign=+1,
    cite="Hou, Xue and Zhang (2015, Review of Financial Studies 28(3), 650-705)",
    doi="10.1093/rfs/hhu068",
    description=(
        "Return on equity: net income of four quarters over equity; missing where equity is not positive. The"
        " publication takes one quarter's income and the equity of the quarter before."
    ),
)

ni_at = Factor(
    expression=net_income_ttm / assets,
    sign=+1,
    cite="Balakrishnan, Bartov and Faurel (2010, Journal of Accounting and Economics 50(1), 20-41)",
    doi="10.1016/j.jacceco.2010.04.002",
    description="Return on assets: net income of four quarters over total assets.",
)

operating_profitability = Factor(
    expression=(revenue_ttm - cost_of_revenue_ttm - selling_general_administrative_ttm - interest_expense_ttm)
    / _EQUITY,
    sign=+1,
    cite="Fama and French (2015, Journal of Financial Economics 116(1), 1-22)",
    doi="10.1016/j.jfineco.2014.10.010",
    description="Revenue less its cost, overhead and interest of four quarters, over equity; all of them filed.",
)

asset_turnover = Factor(
    expression=revenue_ttm / ((assets + assets_year_ago) / 2),
    sign=+1,
    cite="Soliman (2008, The Accounting Review 83(3), 823-853)",
    doi="10.2308/accr.2008.83.3.823",
    description="Revenue of four quarters over the mean of total assets now and a year before.",
)

accruals = Factor(
    expression=(net_income_ttm - operating_cash_flow_ttm) / ((assets + assets_year_ago) / 2),
    sign=-1,
    cite="Sloan (1996, The Accounting Review 71(3), 289-315)",
    description=(
        "Net income less cash flow from operations, over mean assets. The publication takes accruals from changes of"
        " the balance sheet; from the cash flow statement they are those of Hribar and Collins (2002)."
    ),
)

piotroski_f = Factor(
    expression=(
        (net_income_ttm > 0)
        + (operating_cash_flow_ttm > 0)
        + _improves(net_income_ttm / assets, net_income_ttm_year_ago / assets_year_ago)
        + (operating_cash_flow_ttm > net_income_ttm)
        + _improves(long_term_debt_year_ago / assets_year_ago, long_term_debt / assets)
        + _improves(current_assets / current_liabilities, current_assets_year_ago / current_liabilities_year_ago)
        + (stock_issued_ttm <= 0)
        + _improves(gross_profit_ttm / revenue_ttm, gross_profit_ttm_year_ago / revenue_ttm_year_ago)
        + _improves(revenue_ttm / assets, revenue_ttm_year_ago / assets_year_ago)
    ),
    sign=+1,
    cite="Piotroski (2000, Journal of Accounting Research 38, Supplement, 1-41)",
    doi="10.2307/2672906",
    description=(
        "F score: how many of nine signs of strength a company shows, 0 to 9; missing where any cannot be told. Ratios"
        " are to assets at the end of the period, where the publication takes those at its beginning."
    ),
)
