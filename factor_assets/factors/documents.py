"""Ratings of company reports, and what the text of filings says without a model."""

from factor_assets.expressions import log
from factor_assets.expressions.document_names import (
    filing_length,
    filing_similarity,
    filing_tone,
    rating_ceo_statement,
    rating_esg_initiatives,
    rating_market_trends,
    rating_risk_factors,
    rating_strategic_priorities,
)
from factor_assets.factors.factor import Factor

_READ = "Own definition (2026, topics of the last report as a language model rates them)"
_WHO = "0 to 10, by the model or lexicon that column `model` of report_ratings names. No published return is claimed."

ceos = Factor(
    expression=rating_ceo_statement,
    sign=0,
    cite=_READ,
    description=f"Statement of the chief executive: {_WHO}",
)

esgi = Factor(
    expression=rating_esg_initiatives,
    sign=0,
    cite=_READ,
    description=f"Environmental, social and governance initiatives: {_WHO}",
)

mtci = Factor(
    expression=rating_market_trends,
    sign=0,
    cite=_READ,
    description=f"Market trends and competition: {_WHO}",
)

risk = Factor(
    expression=rating_risk_factors,
    sign=0,
    cite=_READ,
    description=f"Risk factors: {_WHO}",
)

sttg = Factor(
    expression=rating_strategic_priorities,
    sign=0,
    cite=_READ,
    description=f"Strategic priorities: {_WHO}",
)

lazy_prices = Factor(
    expression=filing_similarity,
    sign=+1,
    cite="Cohen, Malloy and Nguyen (2020, Journal of Finance 75(3), 1371-1415)",
    doi="10.1111/jofi.12885",
    description="Cosine similarity of the last annual or quarterly filing with that of a year before.",
)

filing_log_length = Factor(
    expression=log(filing_length),
    sign=-1,
    cite="Loughran and McDonald (2014, Journal of Finance 69(4), 1643-1671)",
    doi="10.1111/jofi.12162",
    description="Logarithm of the words of the last annual or quarterly filing. The publication takes the file's size.",
)

filing_net_tone = Factor(
    expression=filing_tone,
    sign=+1,
    cite="Loughran and McDonald (2011, Journal of Finance 66(1), 35-65)",
    doi="10.1111/j.1540-6261.2010.01625.x",
    description=(
        "Positive less negative words of that filing over their sum, by the user's word list; missing without one. The"
        " publication takes the share of negative words."
    ),
)
