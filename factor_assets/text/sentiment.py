"""Sentiment of news: from the articles of a ticker and session to one question, from its answer to one row.

What does not belong here: who answers (`language_model.py`), which articles a session has (`panel/news.py`).

Articles stand in the order of their publication, those of which only the day is known before those of the day with a
time; the same articles make the same question. They are taken whole while they fit into `MAX_CHARACTERS`; the first is
taken in any case.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import Any

import pyarrow as pa

from factor_assets.tables import TABLES
from factor_assets.text.language_model import Answered, Question, Sentiment, Tally, document_hash

MAX_CHARACTERS = 60_000
"""Of the articles of a question, some 15,000 tokens: ten extracts of Tavily have a quarter of it."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, and how many articles it holds and leaves out."""

    question: Question
    n_articles: int
    n_left_out: int


def sentiment_questions(news: pa.Table, *, max_characters: int = MAX_CHARACTERS) -> Iterator[Asked]:
    """Yield one question a ticker and session.

    Parameters
    ----------
    news
        Rows of the table `news`.
    max_characters
        Of all texts of a question together.
    """
    rows = news.sort_by([("date", "ascending"), ("ticker", "ascending")])
    for (day, ticker), group in groupby(rows.to_pylist(), key=lambda row: (row["date"], row["ticker"])):
        articles = sorted(
            group,
            key=lambda r: (r["published_on"], r["published_at"] is not None, r["published_at"] or 0, r["document_id"]),
        )
        texts = [f"{row['title'] or ''}\n{row['content'] or ''}".strip() for row in articles]
        taken = _that_fit(texts, max_characters)
        yield Asked(
            Question(
                document_id=document_hash(*taken), purpose="sentiment", ticker=ticker, day=day, texts=tuple(taken)
            ),
            n_articles=len(taken),
            n_left_out=len(texts) - len(taken),
        )


def sentiment_rows(
    answered: Iterable[Answered], n_articles: Mapping[tuple[date, str], int], tally: Tally, *, source: str
) -> pa.Table:
    """Return the rows of the table `news_sentiments`: also where there is no number, with the reason.

    Parameters
    ----------
    n_articles
        Session and ticker -> articles of the question. It may be filled while the answers come.
    tally
        Counts every answer.
    """
    rows: list[dict[str, Any]] = []
    for found in answered:
        tally.add(found)
        answer = found.answer if isinstance(found.answer, Sentiment) else None
        question = found.question
        rows.append(
            {
                "date": question.day,
                "ticker": question.ticker,
                "sentiment": answer.sentiment if answer else None,
                "confidence": answer.confidence if answer else None,
                "justification": answer.reason if answer else None,
                "n_articles": n_articles[question.day, question.ticker],
                "error": found.error,
                "model": found.model,
                "prompt_version": found.prompt_version,
                "call_id": found.call_id,
                "source": source,
            }
        )
    rows.sort(key=lambda row: (row["date"], row["ticker"]))
    return pa.Table.from_pylist(rows, schema=TABLES["news_sentiments"].schema)


def models_of(rows: pa.Table) -> Counter[str]:
    """Return model -> rows that it made."""
    return Counter({entry["values"]: entry["counts"] for entry in rows["model"].value_counts().to_pylist()})


def _that_fit(texts: list[str], max_characters: int) -> list[str]:
    taken: list[str] = []
    length = 0
    for text in texts:
        if taken and length + len(text) > max_characters:
            continue
        taken.append(text)
        length += len(text)
    return taken
