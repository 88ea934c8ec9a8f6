"""Ratings of reports: from sections to the question, from the answer to rows.

What does not belong here: who answers (`language_model.py`), which sections speak of a topic (`sections.py`).

What a report was rated is kept in the documents at `report_ratings/TICKER/YYYY/YYYYMMDD.json`, and the same beside the
PDF for people. The table `report_ratings` is a function of the former alone: two homes with other models that watch one
bucket never mix their ratings.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import pyarrow as pa

from factor_assets.document_columns import SCORES
from factor_assets.storage.documents import Documents
from factor_assets.tables import TABLES
from factor_assets.text.language_model import Answered, Question, Ratings, document_hash
from factor_assets.text.reports import SOURCE, ReportKey, ReportText
from factor_assets.text.sections import MAX_TOKENS, Section, cut_sections, sections_by_topic

RATINGS = "report_ratings"
"""Where ratings are in the documents."""

NO_SECTION = "no section of the report speaks of the topic"


@dataclass(frozen=True, kw_only=True, slots=True)
class RatedReport:
    """What a report was rated, or why it was not.

    Parameters
    ----------
    document_id
        SHA-256 of what was sent: where the ledger has the answer.
    model, prompt_version, call_id
        Who rated, as `Answered` has them.
    topics
        Each topic -> rating, justification, key_figures, year_over_year, confidence, error; empty where `error` is set.
    error
        Why there is no rating at all.
    """

    document_id: str
    model: str
    prompt_version: str | None = None
    call_id: str | None = None
    topics: Mapping[str, Mapping[str, Any]]
    error: str | None = None


def report_question(key: ReportKey, text: ReportText, *, max_tokens: int = MAX_TOKENS) -> Question | None:
    """Return what a model is asked about a report; None where it cannot be read or no section speaks of any topic.

    Parameters
    ----------
    max_tokens
        What the sections may hold together, about; the topics share it, and a section that two of them want is sent
        once.
    """
    sections = cut_sections(text.pages)
    wanted = {section for found in sections_by_topic(sections, max_tokens=max_tokens).values() for section in found}
    texts = tuple(_sent(section) for section in sections if section in wanted)
    if not texts:
        return None
    return Question(document_id=document_hash(*texts), purpose="ratings", ticker=key.ticker, day=key.day, texts=texts)


def rated(answered: Answered) -> RatedReport:
    """Return what became of a report's question."""
    topics: dict[str, Mapping[str, Any]] = {}
    if isinstance(answered.answer, Ratings):
        for topic, found in answered.answer.topics.items():
            topics[topic] = {**found.model_dump(mode="json"), "error": found.error}
    return RatedReport(
        document_id=answered.question.document_id,
        model=answered.model,
        prompt_version=answered.prompt_version,
        call_id=answered.call_id,
        topics=topics,
        error=answered.error,
    )


def not_rated(text: ReportText, *, model: str) -> RatedReport:
    """Return why nobody was asked about a report.

    Parameters
    ----------
    model
        Who would have been asked.
    """
    error = NO_SECTION if text.error is None else f"the report cannot be read: {text.error}"
    return RatedReport(document_id=text.document_id, model=model, topics={}, error=error)


def store_rating(key: ReportKey, rating: RatedReport, *, reports: Documents, documents: Documents) -> None:
    """Keep what a report was rated, in the documents and beside the PDF."""
    content = json.dumps(asdict(rating), indent=1, sort_keys=True).encode()
    documents.put(f"{RATINGS}/{key.json}", content, replace=True)
    reports.put(key.json, content, replace=True)


def load_rating(key: ReportKey, *, documents: Documents) -> RatedReport:
    """Return what a report was rated.

    Raises
    ------
    DocumentNotFoundError
        If it was never rated.
    """
    return RatedReport(**json.loads(documents.get(f"{RATINGS}/{key.json}")))


def rating_rows(ratings: Mapping[ReportKey, RatedReport], known_from: Mapping[date, date | None]) -> pa.Table:
    """Return the rows of the table `report_ratings`: one a topic, also where there is no rating, with the reason.

    Parameters
    ----------
    known_from
        Day of a report -> first session on which it is used; None where the calendar ends before.
    """
    rows = []
    for key, rating in ratings.items():
        for topic in SCORES:
            found = rating.topics.get(topic, {})
            figures = found.get("key_figures")
            rows.append(
                {
                    "ticker": key.ticker,
                    "report_date": key.day,
                    "topic": topic,
                    "rating": found.get("rating"),
                    "justification": found.get("justification"),
                    "key_figures": json.dumps(figures) if figures else None,
                    "year_over_year": found.get("year_over_year"),
                    "confidence": found.get("confidence"),
                    "error": rating.error or found.get("error"),
                    "model": rating.model,
                    "prompt_version": rating.prompt_version,
                    "call_id": rating.call_id,
                    "document_key": key.pdf,
                    "document_id": rating.document_id,
                    "known_from": known_from[key.day],
                    "source": SOURCE,
                }
            )
    return pa.Table.from_pylist(rows, schema=TABLES["report_ratings"].schema)


def _sent(section: Section) -> str:
    return f"{section.title} (page {section.first_page})\n{section.text}"
