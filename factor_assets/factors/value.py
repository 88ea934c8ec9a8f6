"""Value: what the books say against what the market pays. Amounts are as known on the session."""

from factor_assets.expressions import market_cap
from factor_assets.expressions.document_names import (
    book_equity,
    cash,
    dividends_paid_ttm,
    long_term_debt,
    net_income_ttm,
    net_income_ttm_year_ago,
    operating_cash_flow_ttm,
    operating_income_ttm,
    revenue_ttm,
    short_term_debt,
    stock_issued_ttm,
    stock_repurchased_ttm,
)
from factor_assets.factors.factor import Factor
from factor_assets.factors.market_model import only_where

_EARNINGS_GROWTH = net_income_ttm / only_where(net_income_ttm_year_ago > 0, net_income_ttm_year_ago) - 1

be_me = Factor(
    expression=only_where(book_equity > 0, book_equity) / market_cap,
    sign=+1,
    cite="Fama and French (1992, Journal of Finance 47(2), 427-465)",
    doi="10.1111/j.1540-6261.1992.tb04398.x",
    description=(
        "Book to market: equity last known over market capitalisation of the session; missing where equity is not"
        " positive. The publication takes the fiscal year's end and the capitalisation of December."
    ),
)

price_to_book = Factor(
    expression=market_cap / only_where(book_equity > 0, book_equity),
    sign=-1,
    cite="Fama and French (1992, Journal of Finance 47(2), 427-465)",
    doi="10.1111/j.1540-6261.1992.tb04398.x",
    description="The reciprocal of `be_me`.",
)

ni_me = Factor(
    expression=net_income_ttm / market_cap,
    sign=+1,
    cite="Basu (1977, Journal of Finance 32(3), 663-682)",
    doi="10.1111/j.1540-6261.1977.tb01979.x",
    description="Earnings yield: net income of four quarters over market capitalisation.",
)

sale_me = Factor(
    expression=revenue_ttm / market_cap,
    sign=+1,
    cite="Barbee, Mukherji and Raines (1996, Financial Analysts Journal 52(2), 56-60)",
    description="Sales yield: revenue of four quarters over market capitalisation.",
)

ocf_me = Factor(
    expression=operating_cash_flow_ttm / market_cap,
    sign=+1,
    cite="Lakonishok, Shleifer and Vishny (1994, Journal of Finance 49(5), 1541-1578)",
    doi="10.1111/j.1540-6261.1994.tb04772.x",
    description=(
        "Cash flow yield: cash flow from operations of four quarters over market capitalisation. The publication adds"
        " depreciation to earnings instead."
    ),
)

div_me = Factor(
    expression=dividends_paid_ttm / market_cap,
    sign=+1,
    cite="Litzenberger and Ramaswamy (1979, Journal of Financial Economics 7(2), 163-195)",
    doi="10.1016/0304-405X(79)90012-6",
    description="Dividend yield: dividends paid in four quarters, as filed, over market capitalisation.",
)

net_payout_me = Factor(
    expression=(dividends_paid_ttm + stock_repurchased_ttm - stock_issued_ttm) / market_cap,
    sign=+1,
    cite="Boudoukh, Michaely, Richardson and Roberts (2007, Journal of Finance 62(2), 877-915)",
    doi="10.1111/j.1540-6261.2007.01226.x",
    description="Dividends and repurchases less issues of four quarters, over market capitalisation; all three filed.",
)

ebit_ev = Factor(
    expression=operating_income_ttm / (market_cap + long_term_debt + short_term_debt - cash),
    sign=+1,
    cite="Loughran and Wellman (2011, Journal of Financial and Quantitative Analysis 46(6), 1629-1650)",
    doi="10.1017/S0022109011000445",
    description=(
        "Operating income of four quarters over enterprise value: capitalisation and debt less cash. The publication"
        " takes income before depreciation, and adds preferred stock."
    ),
)

peg = Factor(
    expression=(market_cap / only_where(net_income_ttm > 0, net_income_ttm))
    / (100 * only_where(_EARNINGS_GROWTH > 0, _EARNINGS_GROWTH)),
    sign=-1,
    cite="Easton (2004, The Accounting Review 79(1), 73-95)",
    doi="10.2308/accr.2004.79.1.73",
    description=(
        "Price over earnings over the growth of earnings in percent; missing where earnings or their growth are not"
        " positive. Growth is that of the last year as filed, where the publication has analysts' forecasts."
    ),
)
