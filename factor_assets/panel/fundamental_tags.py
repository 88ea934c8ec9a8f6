r"""Which concept of a filing an item is read from, and which items follow from others.

An item that is not filed under its own name is derived where the books say how:

- `gross_profit` = revenue - cost of revenue.
- `liabilities` = assets - equity with minority interest - temporary equity, the balance sheet's identity.
- `book_equity` = equity of the parent's shareholders - preferred stock, as in Davis, Fama and French (2000, Journal of
  Finance 55(1), 389-406, p. 393), without deferred taxes, which filings since 2009 do not tell in one place. They
  deduct the redemption, liquidation or par value, in this order; here it is the carrying amount, which is what equity
  holds. Where only equity with minority interest is filed, minority interest is deducted.
- `short_term_debt` = borrowings of less than a year + the part of long-term debt that is due within one.
- `long_term_debt` = all long-term debt - the part that is due within a year.
- `net_income` = profit - the part of minority interest.
- `selling_general_administrative` = selling + general and administrative expense, `depreciation` = depreciation +
  amortisation of intangible assets, where they are filed apart.

A deduction that is not filed (minority interest, preferred stock, temporary equity, the part of debt that is due) does
not exist: companies file no zeros. The item itself is never taken as zero: without its main part it is missing.

What does not belong here: which filing of a number is used on a session (`fundamentals.py`).
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from factor_assets.document_columns import BALANCES, FLOWS

Array = npt.NDArray[np.float64]


def _tags(us: str, ifrs: str = "") -> tuple[str, ...]:
    return (*(f"us-gaap:{name}" for name in us.split()), *(f"ifrs-full:{name}" for name in ifrs.split()))


_PRETAX = "IncomeLossFromContinuingOperationsBeforeIncomeTaxes"

BALANCE_TAGS: Mapping[str, tuple[str, ...]] = {
    "assets": _tags("Assets LiabilitiesAndStockholdersEquity", "Assets EquityAndLiabilities"),
    "current_assets": _tags("AssetsCurrent", "CurrentAssets"),
    "cash": _tags(
        "CashAndCashEquivalentsAtCarryingValue CashCashEquivalentsRestrictedCashAndRestrictedCashEquivalents"
        " CashAndDueFromBanks Cash",
        "CashAndCashEquivalents",
    ),
    "receivables": _tags(
        "AccountsReceivableNetCurrent ReceivablesNetCurrent AccountsNotesAndLoansReceivableNetCurrent"
        " AccountsReceivableNet",
        "CurrentTradeReceivables TradeAndOtherCurrentReceivables",
    ),
    "inventory": _tags("InventoryNet InventoryNetOfAllowancesCustomerAdvancesAndProgressBillings", "Inventories"),
    "property_plant_equipment": _tags(
        "PropertyPlantAndEquipmentNet"
        " PropertyPlantAndEquipmentAndFinanceLeaseRightOfUseAssetAfterAccumulatedDepreciationAndAmortization",
        "PropertyPlantAndEquipment PropertyPlantAndEquipmentIncludingRightofuseAssets",
    ),
    "liabilities": _tags("Liabilities", "Liabilities"),
    "current_liabilities": _tags("LiabilitiesCurrent", "CurrentLiabilities"),
    "short_term_debt": _tags("DebtCurrent", "CurrentBorrowingsAndCurrentPortionOfNoncurrentBorrowings"),
    "long_term_debt": _tags("LongTermDebtNoncurrent LongTermDebtAndCapitalLeaseObligations", "LongtermBorrowings"),
    "retained_earnings": _tags("RetainedEarningsAccumulatedDeficit", "RetainedEarnings"),
    # parts of derived items
    "equity_of_parent": _tags("StockholdersEquity", "EquityAttributableToOwnersOfParent"),
    "equity_with_minority": _tags("StockholdersEquityIncludingPortionAttributableToNoncontrollingInterest", "Equity"),
    "minority_interest": _tags("MinorityInterest", "NoncontrollingInterests"),
    "temporary_equity": _tags(
        "TemporaryEquityCarryingAmountIncludingPortionAttributableToNoncontrollingInterests"
        " TemporaryEquityCarryingAmountAttributableToParent RedeemableNoncontrollingInterestEquityCarryingAmount"
    ),
    "preferred_stock": _tags(
        "PreferredStockIncludingAdditionalPaidInCapitalNetOfDiscount PreferredStockIncludingAdditionalPaidInCapital"
        " PreferredStockValueOutstanding PreferredStockValue"
    ),
    "borrowings": _tags("ShortTermBorrowings CommercialPaper OtherShortTermBorrowings", "ShorttermBorrowings"),
    "debt_due": _tags(
        "LongTermDebtCurrent LongTermDebtAndCapitalLeaseObligationsCurrent ConvertibleDebtCurrent"
        " ConvertibleNotesPayableCurrent",
        "CurrentPortionOfLongtermBorrowings",
    ),
    "all_long_term_debt": _tags("LongTermDebt LongTermDebtAndCapitalLeaseObligationsIncludingCurrentMaturities"),
}
"""Balance -> concepts, the first that is filed of a day counts."""

FLOW_TAGS: Mapping[str, tuple[str, ...]] = {
    # Revenues comes first: it is the total where revenue from contracts is a part of it.
    "revenue": _tags(
        "Revenues RevenueFromContractWithCustomerExcludingAssessedTax SalesRevenueNet"
        " RevenueFromContractWithCustomerIncludingAssessedTax RevenuesNetOfInterestExpense SalesRevenueGoodsNet"
        " SalesRevenueServicesNet",
        "Revenue RevenueFromContractsWithCustomers",
    ),
    "cost_of_revenue": _tags(
        "CostOfRevenue CostOfGoodsAndServicesSold CostOfGoodsSold CostOfServices"
        " CostOfGoodsAndServiceExcludingDepreciationDepletionAndAmortization",
        "CostOfSales",
    ),
    "gross_profit": _tags("GrossProfit", "GrossProfit"),
    "operating_income": _tags("OperatingIncomeLoss", "ProfitLossFromOperatingActivities"),
    "interest_expense": _tags(
        "InterestExpense InterestExpenseNonoperating InterestAndDebtExpense InterestExpenseDebt",
        "InterestExpense FinanceCosts",
    ),
    "pretax_income": _tags(
        f"{_PRETAX}ExtraordinaryItemsNoncontrollingInterest"
        f" {_PRETAX}MinorityInterestAndIncomeLossFromEquityMethodInvestments {_PRETAX}",
        "ProfitLossBeforeTax",
    ),
    "income_tax": _tags("IncomeTaxExpenseBenefit", "IncomeTaxExpenseContinuingOperations"),
    "net_income": _tags("NetIncomeLoss", "ProfitLossAttributableToOwnersOfParent"),
    "operating_cash_flow": _tags(
        "NetCashProvidedByUsedInOperatingActivities NetCashProvidedByUsedInOperatingActivitiesContinuingOperations",
        "CashFlowsFromUsedInOperatingActivities",
    ),
    "capital_expenditure": _tags(
        "PaymentsToAcquirePropertyPlantAndEquipment PaymentsToAcquireProductiveAssets PaymentsForCapitalImprovements",
        "PurchaseOfPropertyPlantAndEquipmentClassifiedAsInvestingActivities",
    ),
    "depreciation": _tags(
        # The first is of the cash flow statement alone; the others may be those of property and equipment.
        "DepreciationAmortizationAndAccretionNet DepreciationDepletionAndAmortization DepreciationAndAmortization",
        "DepreciationAndAmortisationExpense AdjustmentsForDepreciationAndAmortisationExpense",
    ),
    "research_development": _tags(
        "ResearchAndDevelopmentExpense ResearchAndDevelopmentExpenseExcludingAcquiredInProcessCost",
        "ResearchAndDevelopmentExpense",
    ),
    "selling_general_administrative": _tags(
        "SellingGeneralAndAdministrativeExpense", "SellingGeneralAndAdministrativeExpense"
    ),
    "dividends_paid": _tags(
        "PaymentsOfDividends PaymentsOfDividendsCommonStock",
        "DividendsPaidClassifiedAsFinancingActivities"
        " DividendsPaidToEquityHoldersOfParentClassifiedAsFinancingActivities",
    ),
    "stock_issued": _tags(
        "ProceedsFromIssuanceOfCommonStock"
        " ProceedsFromIssuanceOfSharesUnderIncentiveAndShareBasedCompensationPlansIncludingStockOptions"
        " ProceedsFromStockPlans ProceedsFromIssuanceOrSaleOfEquity ProceedsFromStockOptionsExercised",
        "ProceedsFromIssuingShares",
    ),
    "stock_repurchased": _tags(
        "PaymentsForRepurchaseOfCommonStock PaymentsForRepurchaseOfEquity", "PaymentsToAcquireOrRedeemEntitysShares"
    ),
    # parts of derived items
    "profit": _tags("ProfitLoss", "ProfitLoss"),
    "profit_of_minority": _tags(
        "NetIncomeLossAttributableToNoncontrollingInterest", "ProfitLossAttributableToNoncontrollingInterests"
    ),
    "selling": _tags("SellingAndMarketingExpense SellingExpense", "SellingExpense DistributionCosts"),
    "general_administrative": _tags("GeneralAndAdministrativeExpense", "AdministrativeExpense"),
    "depreciation_alone": _tags("Depreciation", "DepreciationExpense"),
    "amortisation": _tags("AmortizationOfIntangibleAssets", "AmortisationExpense"),
}
"""Flow -> concepts, the first that is filed of a period counts."""

COVER_SHARES, BALANCE_SHARES = "dei:EntityCommonStockSharesOutstanding", "us-gaap:CommonStockSharesOutstanding"

CONCEPTS = frozenset(
    [COVER_SHARES, BALANCE_SHARES, *(c for tags in (BALANCE_TAGS, FLOW_TAGS) for some in tags.values() for c in some)]
)
"""Every concept that fundamentals are made of."""


def derived(balances: Mapping[str, Array], flows: Mapping[str, Array]) -> dict[str, Array]:
    """Return every item of `BALANCES` and `FLOWS` from what was filed, in their order.

    Parameters
    ----------
    balances, flows
        Name in `BALANCE_TAGS` and `FLOW_TAGS` -> array of shape (n,); NaN is not filed.

    Returns
    -------
    Item -> array of shape (n,); NaN where neither the item nor what it follows from was filed.
    """
    b, f = balances, flows
    items = {name: b[name] for name in BALANCES if name in b} | {name: f[name] for name in FLOWS}

    parent = _else(b["equity_of_parent"], b["equity_with_minority"] - _or_none(b["minority_interest"]))
    with_minority = _else(b["equity_with_minority"], b["equity_of_parent"] + _or_none(b["minority_interest"]))
    items["book_equity"] = parent - _or_none(b["preferred_stock"])
    items["liabilities"] = _else(b["liabilities"], b["assets"] - with_minority - _or_none(b["temporary_equity"]))
    any_due = np.where(np.isnan(b["borrowings"]), b["debt_due"], b["borrowings"] + _or_none(b["debt_due"]))
    items["short_term_debt"] = _else(b["short_term_debt"], any_due)
    items["long_term_debt"] = _else(b["long_term_debt"], b["all_long_term_debt"] - _or_none(b["debt_due"]))

    items["gross_profit"] = _else(f["gross_profit"], f["revenue"] - f["cost_of_revenue"])
    items["net_income"] = _else(f["net_income"], f["profit"] - _or_none(f["profit_of_minority"]))
    items["selling_general_administrative"] = _else(
        f["selling_general_administrative"], f["selling"] + f["general_administrative"]
    )
    items["depreciation"] = _else(f["depreciation"], f["depreciation_alone"] + _or_none(f["amortisation"]))
    return {name: items[name] for name in (*BALANCES, *FLOWS)}


def _else(filed: Array, otherwise: Array) -> Array:
    return np.where(np.isnan(filed), otherwise, filed)


def _or_none(part: Array) -> Array:
    """A part that is not filed does not exist."""
    return np.where(np.isnan(part), 0.0, part)
