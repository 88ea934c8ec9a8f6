"""Leverage, liquidity of the balance sheet and efficiency. Amounts are as known on the session."""

from factor_assets.expressions import market_cap
from factor_assets.expressions.document_names import (
    assets,
    book_equity,
    cash,
    cost_of_revenue_ttm,
    current_assets,
    current_liabilities,
    interest_expense_ttm,
    inventory,
    inventory_year_ago,
    liabilities,
    long_term_debt,
    operating_income_ttm,
    receivables,
    retained_earnings,
    revenue_ttm,
    short_term_debt,
)
from factor_assets.factors.factor import Factor
from factor_assets.factors.market_model import only_where

_OU_PENMAN = "Ou and Penman (1989, Journal of Accounting and Economics 11(4), 295-329)"
_OU_PENMAN_DOI = "10.1016/0165-4101(89)90017-7"
_EQUITY = only_where(book_equity > 0, book_equity)
_DUE_SOON = only_where(current_liabilities > 0, current_liabilities)
_DEBT = long_term_debt + short_term_debt

current_ratio = Factor(
    expression=current_assets / _DUE_SOON,
    sign=0,
    cite=_OU_PENMAN,
    doi=_OU_PENMAN_DOI,
    description="Current assets over current liabilities.",
)

quick_ratio = Factor(
    expression=(current_assets - inventory) / _DUE_SOON,
    sign=0,
    cite=_OU_PENMAN,
    doi=_OU_PENMAN_DOI,
    description="Current assets without inventories over current liabilities.",
)

cash_ratio = Factor(
    expression=cash / _DUE_SOON,
    sign=0,
    cite=_OU_PENMAN,
    doi=_OU_PENMAN_DOI,
    description="Cash over current liabilities.",
)

cash_at = Factor(
    expression=cash / assets,
    sign=+1,
    cite="Palazzo (2012, Journal of Financial Economics 104(1), 162-185)",
    doi="10.1016/j.jfineco.2011.12.009",
    description="Cash over total assets.",
)

debt_to_equity = Factor(
    expression=_DEBT / _EQUITY,
    sign=0,
    cite=_OU_PENMAN,
    doi=_OU_PENMAN_DOI,
    description="Debt over equity; missing where equity is not positive or a kind of debt is not filed.",
)

liabilities_to_equity = Factor(
    expression=liabilities / _EQUITY,
    sign=0,
    cite=_OU_PENMAN,
    doi=_OU_PENMAN_DOI,
    description="Total liabilities over equity; missing where equity is not positive.",
)

current_liabilities_to_equity = Factor(
    expression=current_liabilities / _EQUITY,
    sign=0,
    cite=_OU_PENMAN,
    doi=_OU_PENMAN_DOI,
    description="Current liabilities over equity; missing where equity is not positive.",
)

debt_me = Factor(
    expression=_DEBT / market_cap,
    sign=+1,
    cite="Bhandari (1988, Journal of Finance 43(2), 507-528)",
    doi="10.1111/j.1540-6261.1988.tb03952.x",
    description="Debt over market capitalisation. The publication takes all liabilities.",
)

at_be = Factor(
    expression=assets / _EQUITY,
    sign=0,
    cite="Fama and French (1992, Journal of Finance 47(2), 427-465)",
    doi="10.1111/j.1540-6261.1992.tb04398.x",
    description="Book leverage: assets over equity; missing where equity is not positive.",
)

interest_coverage = Factor(
    expression=operating_income_ttm / only_where(interest_expense_ttm > 0, interest_expense_ttm),
    sign=0,
    cite=_OU_PENMAN,
    doi=_OU_PENMAN_DOI,
    description="Operating income over interest expense, of four quarters; missing without interest.",
)

inventory_turnover = Factor(
    expression=cost_of_revenue_ttm
    / only_where(inventory + inventory_year_ago > 0, (inventory + inventory_year_ago) / 2),
    sign=0,
    cite=_OU_PENMAN,
    doi=_OU_PENMAN_DOI,
    description="Cost of revenue of four quarters over the mean of inventories now and a year before.",
)

receivables_turnover = Factor(
    expression=revenue_ttm / only_where(receivables > 0, receivables),
    sign=0,
    cite=_OU_PENMAN,
    doi=_OU_PENMAN_DOI,
    description="Revenue of four quarters over receivables.",
)

altman_z = Factor(
    expression=1.2 * ((current_assets - current_liabilities) / assets)
    + 1.4 * (retained_earnings / assets)
    + 3.3 * (operating_income_ttm / assets)
    + 0.6 * (market_cap / only_where(liabilities > 0, liabilities))
    + 1.0 * (revenue_ttm / assets),
    sign=+1,
    cite="Altman (1968, Journal of Finance 23(4), 589-609)",
    doi="10.1111/j.1540-6261.1968.tb00843.x",
    description=(
        "Z score of distance from bankruptcy. The sign is that of Dichev (1998, Journal of Finance 53(3)): distressed"
        " companies earned less."
    ),
)
