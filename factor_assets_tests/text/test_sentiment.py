"""From the news of a ticker and session to one question, and from its answer to one row."""

import random
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from factor_assets.errors import LanguageModelError
from factor_assets.settings import LanguageModelSettings
from factor_assets.storage.documents import Documents
from factor_assets.tables import TABLES
from factor_assets.text.language_model import Answered, Question, Sentiment, Tally, ask_all, document_hash
from factor_assets.text.lexicon import compound
from factor_assets.text.sentiment import models_of, sentiment_questions, sentiment_rows

DAY = date(2024, 3, 6)


def row(title: str, *, ticker: str = "AAPL", hour: int | None = None, on: int = 5, **others: Any) -> dict[str, Any]:
    return {
        "date": DAY,
        "ticker": ticker,
        "document_id": f"id of {title}",
        "published_at": None if hour is None else datetime(2024, 3, on, hour, tzinfo=UTC),
        "published_on": date(2024, 3, on),
        "title": title,
        "content": f"{title}.",
        "provider": "files",
        "source": "test",
        **others,
    }


def table(*rows: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=TABLES["news"].schema)


def texts(*rows: dict[str, Any], **options: Any) -> list[tuple[str, ...]]:
    return [asked.question.texts for asked in sentiment_questions(table(*rows), **options)]


class TestAgainstTheLexicon:
    def test_the_sentiment_is_the_mean_over_the_articles(self, tmp_path: Path) -> None:
        news = [row(title, content=None) for title in ("Great profit, a record win", "Terrible loss and fraud")]
        asked = list(sentiment_questions(table(*news)))
        assert len(asked) == 1
        answers = ask_all(
            [asked[0].question], settings=LanguageModelSettings(), documents=Documents(str(tmp_path / "documents"))
        )
        tally = Tally()
        rows = sentiment_rows(answers, {(DAY, "AAPL"): 2}, tally, source="test")
        (found,) = rows.to_pylist()
        expected = sum(compound(text) for text in asked[0].question.texts) / 2
        assert found["sentiment"] == pytest.approx(expected, abs=1e-12)
        assert found["n_articles"] == 2
        assert found["error"] is None
        assert found["model"].startswith("vaderSentiment")
        assert found["confidence"] is None
        assert tally.counts()["answered"] == 1
        assert models_of(rows) == {found["model"]: 1}


class TestProperties:
    def test_one_question_a_ticker_and_session(self) -> None:
        rows = [row("a"), row("b", ticker="MSFT"), row("c"), row("d", date=date(2024, 3, 7))]
        found = [(a.question.day, a.question.ticker, a.n_articles) for a in sentiment_questions(table(*rows))]
        assert found == [(DAY, "AAPL", 2), (DAY, "MSFT", 1), (date(2024, 3, 7), "AAPL", 1)]

    def test_articles_are_in_the_order_of_publication_whatever_the_order_of_the_rows(self) -> None:
        rows = [row("early", hour=9), row("late", hour=20), row("day", hour=None), row("older", hour=23, on=4)]
        wanted = [tuple(f"{title}\n{title}." for title in ("older", "day", "early", "late"))]
        for seed in range(5):
            shuffled = random.Random(seed).sample(rows, len(rows))
            assert texts(*shuffled) == wanted

    def test_the_same_articles_have_the_same_document(self) -> None:
        rows = [row("a"), row("b")]
        ids = {next(iter(sentiment_questions(table(*r)))).question.document_id for r in (rows, rows[::-1])}
        assert ids == {document_hash("a\na.", "b\nb.")}
        (other,) = sentiment_questions(table(row("a")))
        assert other.question.document_id not in ids

    def test_articles_are_taken_whole_while_they_fit(self) -> None:
        rows = [row("a", content="x" * 50), row("b", content="x" * 80), row("c", content="x" * 20)]
        (asked,) = sentiment_questions(table(*rows), max_characters=100)
        assert [len(text) for text in asked.question.texts] == [52, 22]
        assert (asked.n_articles, asked.n_left_out) == (2, 1)
        (alone,) = sentiment_questions(table(rows[1]), max_characters=10)
        assert (alone.n_articles, alone.n_left_out) == (1, 0)

    def test_a_missing_title_or_content_leaves_no_blank(self) -> None:
        assert texts(row("a", content=None), {**row("b"), "title": None}) == [("a", "b.")]

    def test_rows_are_sorted_whatever_the_order_of_the_answers(self) -> None:
        found = sentiment_rows([answered("B"), answered("A")], {(DAY, "A"): 1, (DAY, "B"): 1}, Tally(), source="test")
        assert found["ticker"].to_pylist() == ["A", "B"]


def answered(ticker: str, **others: Any) -> Answered:
    question = Question(document_id="d", purpose="sentiment", ticker=ticker, day=DAY, texts=("secret text",))
    given: dict[str, Any] = {
        "outcome": "answered",
        "answer": Sentiment(sentiment=0.25, confidence=0.5, reason="It rose."),
        "failure": None,
        **others,
    }
    return Answered(question=question, model="m", prompt_version="p", call_id="c", **given)


class TestErrors:
    def test_without_an_answer_the_row_is_null_with_the_reason(self) -> None:
        failure = LanguageModelError("No answer: the model refused to answer.")
        tally = Tally()
        rows = sentiment_rows(
            [answered("A", outcome="invalid", answer=None, failure=failure), answered("B")],
            {(DAY, "A"): 3, (DAY, "B"): 1},
            tally,
            source="test",
        )
        first, second = rows.to_pylist()
        assert (first["sentiment"], first["confidence"], first["justification"]) == (None, None, None)
        assert first["error"] == "No answer: the model refused to answer."
        assert (first["n_articles"], second["sentiment"], second["error"]) == (3, 0.25, None)
        assert tally.failed_share == 0.5
        assert "secret text" not in str(rows.to_pylist())
