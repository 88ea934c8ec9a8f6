"""The offline default: words counted by VADER's general list. It needs no key and no network, and it does not read.

Its name stands in the column `model` of every row. What does not belong here: a list of finance words; none comes with
a licence to ship, the user's own is `reports.word_list`.

References
----------
Hutto and Gilbert (2014), VADER: A Parsimonious Rule-based Model for Sentiment Analysis of Social Media Text, ICWSM,
doi:10.1609/icwsm.v8i1.14550. Made for social media; it knows no finance.
"""

import re
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from math import fsum
from typing import TYPE_CHECKING

from factor_assets.document_columns import SCORES
from factor_assets.text.answers import Answer, Ratings, Sentiment, TopicRating
from factor_assets.text.question import Question
from factor_assets.text.topics import TOPIC_WORDS, topic_patterns

if TYPE_CHECKING:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

METHOD = 1
"""To be raised with every change of how words are counted, so that the column `prompt_version` tells."""

LIMIT = "This is a word count of a general list, not a finance model."
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[\"'(]?[A-Z0-9])|\n\s*\n")


def model_name() -> str:
    """Return the name and version of the list, for the column `model`."""
    return f"vaderSentiment {version('vaderSentiment')}"


@cache
def lexicon_version() -> str:
    """Return the version of the lexicon with our topic words, for the column `prompt_version`."""
    return f"lexicon-{sha256(repr((METHOD, model_name(), sorted(TOPIC_WORDS.items()))).encode()).hexdigest()[:12]}"


def count_words(question: Question) -> Answer:
    """Return what the words say; the same text gives the same bits.

    Sentiment is the mean over the texts of the mean of VADER's compound over their sentences, of which the first line,
    the title, is one: over many sentences at once the compound is soon -1 or 1. The rating of a topic is the mean over
    the sentences that hold one of its words, from [-1, 1] to 0 to 10; None where no sentence does.
    """
    if question.purpose == "ratings":
        sentences = [s for text in question.texts for s in split_sentences(text)]
        return Ratings({topic: _rating(topic, sentences) for topic in SCORES})
    means = []
    n_sentences = 0
    for text in question.texts:
        title, _, content = text.strip().partition("\n")
        sentences = [*split_sentences(title), *split_sentences(content)]
        if sentences:
            means.append(_mean_compound(sentences))
            n_sentences += len(sentences)
    return Sentiment(
        sentiment=fsum(means) / len(means),
        confidence=None,
        reason=f"Mean over {len(means)} texts with {n_sentences} sentences. {LIMIT}",
    )


def compound(text: str) -> float:
    """Return VADER's compound of a text, -1 to 1."""
    return float(_analyser().polarity_scores(text)["compound"])


def split_sentences(text: str) -> list[str]:
    """Split a text after full stops that a capital or digit follows, and at empty lines."""
    return [s for part in _SENTENCE_END.split(text) if (s := " ".join(part.split()))]


def _rating(topic: str, sentences: list[str]) -> TopicRating:
    patterns = topic_patterns(topic)
    about = [sentence for sentence in sentences if any(pattern.search(sentence) for pattern in patterns)]
    if not about:
        justification = f"none of {len(sentences)} sentences holds a word of the topic. {LIMIT}"
    else:
        justification = f"Mean over {len(about)} of {len(sentences)} sentences that hold a word of the topic. {LIMIT}"
    return TopicRating(
        rating=(1 + _mean_compound(about)) * 5 if about else None,
        justification=justification,
        key_figures=[],
        year_over_year=None,
        confidence=None,
    )


def _mean_compound(sentences: list[str]) -> float:
    return fsum(compound(sentence) for sentence in sentences) / len(sentences)


@cache
def _analyser() -> "SentimentIntensityAnalyzer":
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    return SentimentIntensityAnalyzer()
