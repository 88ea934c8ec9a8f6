"""Sentiment of the news, as a language model or a lexicon read it; which one is in the table of the scores."""

from factor_assets.expressions import mean
from factor_assets.expressions.document_names import news_sentiment
from factor_assets.factors.factor import Factor

newsent = Factor(
    expression=news_sentiment,
    sign=+1,
    cite="Tetlock, Saar-Tsechansky and Macskassy (2008, Journal of Finance 63(3), 1437-1467)",
    doi="10.1111/j.1540-6261.2008.01362.x",
    description=(
        "Sentiment of the news that became usable on the session, -1 to 1; missing without news. The publication counts"
        " negative words; who counted or read here is in column `model` of news_sentiments."
    ),
)

avgsent14 = Factor(
    expression=mean(news_sentiment, 14, min_periods=1),
    sign=+1,
    cite="Tetlock, Saar-Tsechansky and Macskassy (2008, Journal of Finance 63(3), 1437-1467)",
    doi="10.1111/j.1540-6261.2008.01362.x",
    description="Mean of `newsent` over the sessions with news of the last 14; missing where none had any.",
)
