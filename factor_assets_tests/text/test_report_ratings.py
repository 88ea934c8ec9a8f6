"""Ratings of reports: what is sent, what becomes of the answer, what stands in the rows."""

import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from factor_assets.document_columns import SCORES
from factor_assets.errors import DocumentNotFoundError, LanguageModelError
from factor_assets.settings import LanguageModelSettings
from factor_assets.storage.documents import Documents
from factor_assets.tables import TABLES
from factor_assets.text.answers import KeyFigure, Ratings, TopicRating
from factor_assets.text.language_model import Answered, ask_all
from factor_assets.text.pdf import read_pdf
from factor_assets.text.report_ratings import (
    NO_SECTION,
    load_rating,
    not_rated,
    rated,
    rating_rows,
    report_question,
    store_rating,
)
from factor_assets.text.reports import ReportKey, ReportText
from factor_assets.text.sections import CHARACTERS_A_TOKEN, MAX_TOKENS
from factor_assets_tests.text.pdfs import REPORT

KEY = ReportKey("AMZN", date(2025, 5, 1))
KNOWN = {KEY.day: date(2025, 5, 2)}
TEXT = ReportText(etag="1", document_id="f" * 64, pages=(REPORT,), n_words=80, n_sections=4)
FILLER = "The weather in the valley was mild and the trees were green all year long.\n" * 30


def answer(**changes: object) -> Answered:
    question = report_question(KEY, TEXT)
    assert question is not None
    topic = TopicRating(
        rating=7.5,
        justification="sound",
        key_figures=[KeyFigure(name="sales", value="$5 million")],
        year_over_year="better",
        confidence=0.9,
    )
    none = topic.model_copy(update={"rating": None, "justification": "not spoken of"})
    found = Answered(
        question=question,
        outcome="answered",
        answer=Ratings({**dict.fromkeys(SCORES, topic), "risk_factors": none}),
        failure=None,
        model="m-1",
        prompt_version="p-1",
        call_id="c-1",
    )
    return replace(found, **changes)


class TestAgainstRealFilings:
    def test_a_filing_is_rated_on_every_topic_it_speaks_of(self, shared_data: Path, tmp_path: Path) -> None:
        pages = read_pdf((shared_data / "pdf" / "AMAZON_2019_10K.pdf").read_bytes()).pages
        question = report_question(KEY, replace(TEXT, pages=pages))
        assert question is not None
        assert sum(len(text) for text in question.texts) <= CHARACTERS_A_TOKEN * MAX_TOKENS
        assert len(set(question.texts)) == len(question.texts)
        (answered,) = ask_all([question], settings=LanguageModelSettings(), documents=Documents(str(tmp_path)))
        rows = rating_rows({KEY: rated(answered)}, KNOWN).to_pylist()
        assert all(0 <= row["rating"] <= 10 for row in rows)


class TestProperties:
    def test_sections_are_sent_in_order_once_with_title_and_page(self) -> None:
        question = report_question(KEY, TEXT)
        assert question is not None
        assert [text.split("\n")[0] for text in question.texts] == [
            "Dear shareholders, (page 1)",
            "RISK FACTORS (page 1)",
            "MARKET AND COMPETITION (page 1)",
            "SUSTAINABILITY REPORT (page 1)",
        ]
        assert (question.ticker, question.day, question.purpose) == ("AMZN", KEY.day, "ratings")

    def test_a_smaller_budget_sends_less(self) -> None:
        text = replace(TEXT, pages=(REPORT, *[FILLER + "Our strategy is risk.\n"] * 20))
        sent = [report_question(KEY, text, max_tokens=most) for most in (10_000, 20_000)]
        assert [len(question.texts) for question in sent if question is not None] == sorted(
            len(question.texts) for question in sent if question is not None
        )
        assert sent[0] != sent[1]

    def test_the_same_text_is_the_same_question_and_other_text_another(self) -> None:
        same = report_question(KEY, replace(TEXT, etag="2", document_id="0" * 64))
        other = report_question(KEY, replace(TEXT, pages=(REPORT + "More risk.\n",)))
        assert same == report_question(KEY, TEXT)
        assert other is not None
        assert same is not None
        assert other.document_id != same.document_id

    def test_a_row_a_topic_with_the_answer_in_it(self) -> None:
        rows = rating_rows({KEY: rated(answer())}, KNOWN)
        assert rows.schema == TABLES["report_ratings"].schema
        found = {row["topic"]: row for row in rows.to_pylist()}
        assert list(found) == list(SCORES)
        row = found["ceo_statement"]
        assert (row["rating"], row["confidence"], row["error"]) == (7.5, 0.9, None)
        assert json.loads(row["key_figures"]) == [{"name": "sales", "value": "$5 million"}]
        assert (row["model"], row["prompt_version"], row["call_id"]) == ("m-1", "p-1", "c-1")
        assert (row["report_date"], row["known_from"]) == (KEY.day, date(2025, 5, 2))

    def test_a_topic_that_is_not_spoken_of_is_null_with_the_reason(self) -> None:
        rows = rating_rows({KEY: rated(answer())}, KNOWN).to_pylist()
        (row,) = [row for row in rows if row["topic"] == "risk_factors"]
        assert row["rating"] is None
        assert row["error"] == "no rating: not spoken of"

    def test_what_is_kept_comes_back_and_lies_beside_the_pdf(self, tmp_path: Path) -> None:
        reports, documents = Documents(str(tmp_path / "drop")), Documents(str(tmp_path / "documents"))
        store_rating(KEY, rated(answer()), reports=reports, documents=documents)
        assert load_rating(KEY, documents=documents) == rated(answer())
        assert json.loads(reports.get("AMZN/2025/20250501.json"))["topics"]["ceo_statement"]["rating"] == 7.5
        before = reports.get(KEY.json)
        store_rating(KEY, rated(answer()), reports=reports, documents=documents)
        assert reports.get(KEY.json) == before


class TestErrors:
    def test_a_question_without_an_answer_is_five_nulls_with_the_reason(self) -> None:
        failed = answer(outcome="invalid", answer=None, failure=LanguageModelError("it is no answer"))
        rows = rating_rows({KEY: rated(failed)}, KNOWN).to_pylist()
        assert [row["topic"] for row in rows] == list(SCORES)
        assert {(row["rating"], row["error"]) for row in rows} == {(None, "it is no answer")}

    def test_an_unreadable_report_asks_nobody(self) -> None:
        text = ReportText(etag="1", document_id="f" * 64, error="The PDF is empty (0 bytes).")
        assert report_question(KEY, text) is None
        rows = rating_rows({KEY: not_rated(text, model="m-1")}, KNOWN).to_pylist()
        assert {(row["error"], row["model"]) for row in rows} == {
            ("the report cannot be read: The PDF is empty (0 bytes).", "m-1")
        }

    def test_a_report_about_nothing_asks_nobody(self) -> None:
        text = replace(TEXT, pages=(FILLER,))
        assert report_question(KEY, text) is None
        assert not_rated(text, model="m-1").error == NO_SECTION

    def test_a_report_that_was_never_rated(self, tmp_path: Path) -> None:
        with pytest.raises(DocumentNotFoundError):
            load_rating(KEY, documents=Documents(str(tmp_path)))
