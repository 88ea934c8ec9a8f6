"""The columns of filings, fundamentals, news, reports and the language model.

What does not belong here: prices, factors and evidence (`columns.py`), which tag of a filing an item is read from
(`panel/fundamental_tags.py`).
"""

from collections.abc import Mapping

from factor_assets.column import COUNT, DATE, NUMBER, TEXT, TIME, Column, column

BALANCES: Mapping[str, str] = {
    "assets": "Total assets",
    "current_assets": "Current assets",
    "cash": "Cash and cash equivalents",
    "receivables": "Trade receivables, net",
    "inventory": "Inventories, net",
    "property_plant_equipment": "Property, plant and equipment, net",
    "liabilities": "Total liabilities",
    "current_liabilities": "Current liabilities",
    "short_term_debt": "Debt that is due within a year",
    "long_term_debt": "Debt that is due later",
    "book_equity": "Equity of the shareholders of the parent, less preferred stock",
    "retained_earnings": "Retained earnings",
}
"""Item at the end of a fiscal period -> meaning. In the reporting currency."""

FLOWS: Mapping[str, str] = {
    "revenue": "Revenue",
    "cost_of_revenue": "Cost of revenue",
    "gross_profit": "Gross profit, or revenue less its cost",
    "operating_income": "Operating income",
    "interest_expense": "Interest expense",
    "pretax_income": "Income before tax",
    "income_tax": "Income tax",
    "net_income": "Net income of the shareholders of the parent",
    "operating_cash_flow": "Cash flow from operations",
    "capital_expenditure": "Payments for property, plant and equipment",
    "depreciation": "Depreciation and amortisation",
    "research_development": "Research and development",
    "selling_general_administrative": "Selling, general and administrative expense",
    "dividends_paid": "Dividends paid to shareholders",
    "stock_issued": "Proceeds from issuing common stock",
    "stock_repurchased": "Payments for repurchasing common stock",
}
"""Item of a fiscal year or quarter -> meaning. In the reporting currency, positive as the meaning says."""

YEAR_AGO = "_year_ago"
TRAILING = "_ttm"


def _fundamentals() -> list[Column]:
    unit, before = "reporting currency", "as known on the session, for the fiscal period a year earlier"
    found = []
    for name, meaning in BALANCES.items():
        found += [
            column(name, NUMBER, unit, f"{meaning}, at the end of the last fiscal period known on the session."),
            column(name + YEAR_AGO, NUMBER, unit, f"{meaning}, {before}."),
        ]
    for name, meaning in FLOWS.items():
        found += [
            column(name + TRAILING, NUMBER, unit, f"{meaning}, of the last four fiscal quarters known on the session."),
            column(name + TRAILING + YEAR_AGO, NUMBER, unit, f"{meaning}, of four quarters, {before}."),
        ]
    return found


FUNDAMENTAL_COLUMNS = tuple(_fundamentals())

SCORES: Mapping[str, str] = {
    "ceo_statement": "the statement of the chief executive",
    "esg_initiatives": "environmental, social and governance initiatives",
    "market_trends": "market trends and competition",
    "risk_factors": "risk factors",
    "strategic_priorities": "strategic priorities",
}
"""Topic that a report is rated on -> meaning."""

RATING_COLUMNS = tuple(
    column(f"rating_{topic}", NUMBER, "0 to 10", f"Rating of {meaning} in the last report known on the session.")
    for topic, meaning in SCORES.items()
)

DOCUMENT_COLUMNS: tuple[Column, ...] = (
    # filings
    column("cik", TEXT, "", "Company number of the SEC, ten digits.", nullable=False),
    column("accession", TEXT, "", "Accession number of the filing at the SEC.", nullable=False),
    column("form", TEXT, "", "Form of the filing, such as 10-K or 10-K/A."),
    column("filed", DATE, "day", "Day on which it was filed.", nullable=False),
    column("accepted_at", TIME, "UTC", "When the SEC accepted it; null where only the day is known."),
    column("report_date", DATE, "day", "End of the period that the document is about; a report's own date."),
    column("primary_document", TEXT, "", "File name of the main document of the filing."),
    column(
        "known_from",
        DATE,
        "exchange session",
        "First session on which it is used: the one after the day or the close before which it became public.",
    ),
    # facts
    column("concept", TEXT, "", "Name of the quantity, taxonomy first: us-gaap:Assets.", nullable=False),
    column("period_start", DATE, "day", "First day of the period; null for a balance."),
    column("period_end", DATE, "day", "Last day of the period, or the day of the balance.", nullable=False),
    column("duration", TEXT, "", "balance, quarter, half, nine_months, year or other: length of the period."),
    column("fact_value", NUMBER, "fact_unit", "The number as filed."),
    column("fact_unit", TEXT, "", "Currency, shares, or a ratio of them, as filed.", nullable=False),
    column("fiscal_year", COUNT, "year", "Fiscal year that the period lies in, by the company's year end."),
    column("fiscal_quarter", COUNT, "", "Fiscal quarter that the period ends with, 1 to 4."),
    # fundamentals by session
    column("fundamentals_period_end", DATE, "day", "End of the last fiscal period known on the session."),
    column("fundamentals_known_from", DATE, "exchange session", "Session from which that period was known."),
    column("shares_filed", NUMBER, "shares", "Shares outstanding as last filed, in shares of the session."),
    column("reporting_currency", TEXT, "", "Currency of the amounts."),
    *FUNDAMENTAL_COLUMNS,
    # style portfolios
    column(
        "portfolio", TEXT, "", "MKT, SMB, HML, RMW, CMA, or one of the portfolios they are made of.", nullable=False
    ),
    column(
        "portfolio_return", NUMBER, "fraction per session", "Return of the portfolio; MKT without the riskless rate."
    ),
    # documents
    column("document_id", TEXT, "", "SHA-256 of the document's text or bytes; null where there is none."),
    column("published_at", TIME, "UTC", "When it was published; null where no time of day is known."),
    column("published_on", DATE, "day", "Day on which it was published, in the exchange's zone."),
    column("title", TEXT, "", "Headline."),
    column("url", TEXT, "", "Where it was found."),
    column("content", TEXT, "", "Text of the article, or its extract."),
    column("provider", TEXT, "", "Who delivered it.", nullable=False),
    column("document_key", TEXT, "", "Place of the document in the bucket or folder.", nullable=False),
    column("etag", TEXT, "", "Version of the document there."),
    column("n_articles", COUNT, "articles", "Articles that the number is made of."),
    column("n_pages", COUNT, "pages", "Pages of the document."),
    column("n_words", COUNT, "words", "Words of the text."),
    column("n_sections", COUNT, "sections", "Sections that the text was cut into."),
    # numbers from text
    column("sentiment", NUMBER, "-1 to 1", "How good the news of the session are for the share; null without news."),
    column("confidence", NUMBER, "0 to 1", "How sure the model said it is."),
    column("justification", TEXT, "", "Why, in the model's words."),
    column("topic", TEXT, "", "What of the report is rated.", nullable=False),
    column("rating", NUMBER, "0 to 10", "Rating of the topic."),
    column("key_figures", TEXT, "JSON", "Figures that the rating rests on."),
    column("year_over_year", TEXT, "", "What changed since the year before, in the model's words."),
    column("error", TEXT, "", "Why there is no number; null where there is one."),
    column("model", TEXT, "", "Language model or lexicon, with its version.", nullable=False),
    column("prompt_version", TEXT, "", "Prompt file and its hash; of a lexicon, its version."),
    column("call_id", TEXT, "", "Hash of document, prompt, model and parameters: the answer's place in the ledger."),
    column("similarity_cosine", NUMBER, "0 to 1", "Of the word counts with those of the same form a year earlier."),
    column("similarity_jaccard", NUMBER, "0 to 1", "Shared words over all words of both."),
    column("tone", NUMBER, "-1 to 1", "Positive less negative words over their sum; null without a word list."),
    column("negative_share", NUMBER, "fraction", "Negative words of all words; null without a word list."),
    column("previous_accession", TEXT, "", "Filing that it was compared with."),
    column("news_sentiment", NUMBER, "-1 to 1", "Sentiment of the news that became usable on the session."),
    *RATING_COLUMNS,
    column("filing_similarity", NUMBER, "0 to 1", "similarity_cosine of the last annual or quarterly filing known."),
    column("filing_length", NUMBER, "words", "n_words of that filing."),
    column("filing_tone", NUMBER, "-1 to 1", "tone of that filing."),
    # the ledger of the language model
    column("called_at", TIME, "UTC", "When the model was asked.", nullable=False),
    column("purpose", TEXT, "", "What for: sentiment or ratings."),
    column("parameters", TEXT, "JSON", "Parameters of the call."),
    column("input_tokens", COUNT, "tokens", "Tokens of the question."),
    column("output_tokens", COUNT, "tokens", "Tokens of the answer."),
    column("cost", NUMBER, "US dollar", "Price of the call by the settings; null where they name none."),
    column("latency", NUMBER, "seconds", "Time until the answer was there."),
)
