"""Investment, growth and issuance of a company. Amounts are as known on the session."""

from factor_assets.expressions import market_cap
from factor_assets.expressions.document_names import (
    assets,
    assets_year_ago,
    book_equity,
    book_equity_year_ago,
    capital_expenditure_ttm,
    capital_expenditure_ttm_year_ago,
    cash,
    cash_year_ago,
    current_liabilities,
    current_liabilities_year_ago,
    inventory,
    inventory_year_ago,
    liabilities,
    liabilities_year_ago,
    long_term_debt,
    long_term_debt_year_ago,
    net_income_ttm,
    net_income_ttm_year_ago,
    property_plant_equipment,
    property_plant_equipment_year_ago,
    research_development_ttm,
    revenue_ttm,
    revenue_ttm_year_ago,
    short_term_debt,
    short_term_debt_year_ago,
    stock_issued_ttm,
    stock_repurchased_ttm,
)
from factor_assets.factors.factor import Factor
from factor_assets.factors.market_model import only_where

_SPENT_BEFORE = only_where(capital_expenditure_ttm_year_ago > 0, capital_expenditure_ttm_year_ago)

at_gr1 = Factor(
    expression=assets / assets_year_ago - 1,
    sign=-1,
    cite="Cooper, Gulen and Schill (2008, Journal of Finance 63(4), 1609-1651)",
    doi="10.1111/j.1540-6261.2008.01370.x",
    description="Growth of total assets over a year.",
)

capx_at = Factor(
    expression=capital_expenditure_ttm / assets,
    sign=-1,
    cite="Titman, Wei and Xie (2004, Journal of Financial and Quantitative Analysis 39(4), 677-700)",
    doi="10.1017/S0022109000003173",
    description="Capital expenditure of four quarters over total assets. The publication is about its growth.",
)

capx_gr1 = Factor(
    expression=capital_expenditure_ttm
    / only_where(capital_expenditure_ttm_year_ago > 0, capital_expenditure_ttm_year_ago)
    - 1,
    sign=-1,
    cite="Anderson and Garcia-Feijoo (2006, Journal of Finance 61(1), 171-194)",
    doi="10.1111/j.1540-6261.2006.00833.x",
    description="Growth of capital expenditure over a year.",
)

ppe_inventory_gr1 = Factor(
    expression=(property_plant_equipment - property_plant_equipment_year_ago + inventory - inventory_year_ago)
    / assets_year_ago,
    sign=-1,
    cite="Lyandres, Sun and Zhang (2008, Review of Financial Studies 21(6), 2825-2855)",
    doi="10.1093/rfs/hhm058",
    description=(
        "Change over a year of plant and inventories, over assets a year before. Plant is net of depreciation,"
        " where the publication takes it gross."
    ),
)

inventory_gr1 = Factor(
    expression=(inventory - inventory_year_ago) / assets_year_ago,
    sign=-1,
    cite="Thomas and Zhang (2002, Review of Accounting Studies 7(2), 163-187)",
    doi="10.1023/A:1020221918065",
    description="Change of inventories over a year, over assets a year before.",
)

noa_at = Factor(
    expression=((assets - cash) - (liabilities - short_term_debt - long_term_debt)) / assets_year_ago,
    sign=-1,
    cite="Hirshleifer, Hou, Teoh and Zhang (2004, Journal of Accounting and Economics 38, 297-331)",
    doi="10.1016/j.jacceco.2004.10.002",
    description="Net operating assets: assets without cash less liabilities without debt, over assets a year before.",
)

be_gr1 = Factor(
    expression=book_equity / only_where(book_equity_year_ago > 0, book_equity_year_ago) - 1,
    sign=-1,
    cite="Richardson, Sloan, Soliman and Tuna (2005, Journal of Accounting and Economics 39(3), 437-485)",
    doi="10.1016/j.jacceco.2005.04.005",
    description="Growth of equity over a year. The publication divides the change by assets.",
)

rd_me = Factor(
    expression=research_development_ttm / market_cap,
    sign=+1,
    cite="Chan, Lakonishok and Sougiannis (2001, Journal of Finance 56(6), 2431-2456)",
    doi="10.1111/0022-1082.00411",
    description="Research and development of four quarters over market capitalisation; missing where none is filed.",
)

revenue_growth = Factor(
    expression=revenue_ttm / only_where(revenue_ttm_year_ago > 0, revenue_ttm_year_ago) - 1,
    sign=-1,
    cite="Lakonishok, Shleifer and Vishny (1994, Journal of Finance 49(5), 1541-1578)",
    doi="10.1111/j.1540-6261.1994.tb04772.x",
    description="Growth of revenue of four quarters over a year. The publication ranks five years' growth.",
)

earnings_growth = Factor(
    expression=net_income_ttm / only_where(net_income_ttm_year_ago > 0, net_income_ttm_year_ago) - 1,
    sign=0,
    cite="Lakonishok, Shleifer and Vishny (1994, Journal of Finance 49(5), 1541-1578)",
    doi="10.1111/j.1540-6261.1994.tb04772.x",
    description="Growth of net income of four quarters over a year; missing where it was not positive before.",
)

earnings_change_at = Factor(
    expression=(net_income_ttm - net_income_ttm_year_ago) / assets_year_ago,
    sign=+1,
    cite="Ball and Brown (1968, Journal of Accounting Research 6(2), 159-178)",
    doi="10.2307/2490232",
    description="Change of net income of four quarters over a year, over assets a year before.",
)

net_stock_issues = Factor(
    expression=(stock_issued_ttm - stock_repurchased_ttm) / assets_year_ago,
    sign=-1,
    cite="Bradshaw, Richardson and Sloan (2006, Journal of Accounting and Economics 42, 53-85)",
    doi="10.1016/j.jacceco.2006.03.004",
    description="Stock issued less repurchased in four quarters, over assets a year before; both filed.",
)

debt_issuance = Factor(
    expression=(long_term_debt + short_term_debt - long_term_debt_year_ago - short_term_debt_year_ago)
    / assets_year_ago,
    sign=-1,
    cite="Bradshaw, Richardson and Sloan (2006, Journal of Accounting and Economics 42, 53-85)",
    doi="10.1016/j.jacceco.2006.03.004",
    description="Change of debt over a year, over assets a year before; from the balance sheet.",
)

cash_gr1 = Factor(
    expression=(cash - cash_year_ago) / assets_year_ago,
    sign=0,
    cite="Richardson, Sloan, Soliman and Tuna (2005, Journal of Accounting and Economics 39(3), 437-485)",
    doi="10.1016/j.jacceco.2005.04.005",
    description="Change of cash over a year, over assets a year before.",
)

current_liabilities_gr1 = Factor(
    expression=(current_liabilities - current_liabilities_year_ago) / assets_year_ago,
    sign=0,
    cite="Richardson, Sloan, Soliman and Tuna (2005, Journal of Accounting and Economics 39(3), 437-485)",
    doi="10.1016/j.jacceco.2005.04.005",
    description="Change of current liabilities over a year, over assets a year before.",
)

liabilities_gr1 = Factor(
    expression=(liabilities - liabilities_year_ago) / assets_year_ago,
    sign=0,
    cite="Richardson, Sloan, Soliman and Tuna (2005, Journal of Accounting and Economics 39(3), 437-485)",
    doi="10.1016/j.jacceco.2005.04.005",
    description="Change of total liabilities over a year, over assets a year before.",
)
