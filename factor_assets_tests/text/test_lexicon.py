"""The offline default: what it counts, and how good that is on financial news."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factor_assets.document_columns import SCORES
from factor_assets.settings import LanguageModelSettings
from factor_assets.storage.documents import Documents
from factor_assets.text.answers import Ratings, Sentiment
from factor_assets.text.language_model import Question, ask_all
from factor_assets.text.lexicon import LIMIT, compound, count_words, lexicon_version, split_sentences
from factor_assets_tests.benchmarks.bench_sentiment import measure

NEWS = Question(
    document_id="d",
    purpose="sentiment",
    ticker="AAPL",
    day=date(2024, 1, 2),
    texts=("Profit is great\nIt rose. Sales are excellent.", "A terrible loss", "The company is in Ohio"),
)
REPORT = replace(
    NEWS,
    purpose="ratings",
    texts=("Our CEO is proud of a great success. Competition is terrible.", "Emissions fell. The weather is bad."),
)


def ratings(question: Question) -> Ratings:
    answer = count_words(question)
    assert isinstance(answer, Ratings)
    return answer


class TestAgainstPhraseBank:
    def test_it_is_worse_than_the_commonest_class_and_knows_little_of_losses(self, shared_data: Path) -> None:
        path = shared_data / "sentiment" / "financial_phrasebank.parquet"
        if not path.is_file():
            pytest.skip("Financial PhraseBank is not in ../shared/data/sentiment")
        found = measure(path)
        assert found.n == 2264
        assert found.majority == pytest.approx(1391 / 2264)
        # As measured: worse than the commonest class, so that nobody takes the default for a finance model.
        assert found.accuracy == pytest.approx(0.571, abs=0.002)
        assert found.accuracy < found.majority
        recalls = [found.recall(label) for label in ("negative", "neutral", "positive")]
        assert recalls == pytest.approx([0.224, 0.579, 0.737], abs=0.002)


class TestProperties:
    def test_sentiment_is_the_mean_over_texts_of_the_mean_over_sentences(self) -> None:
        answer = count_words(NEWS)
        assert isinstance(answer, Sentiment)
        first = sum(map(compound, ("Profit is great", "It rose.", "Sales are excellent."))) / 3
        others = sum(map(compound, NEWS.texts[1:]))
        assert answer.sentiment == pytest.approx((first + others) / 3, abs=1e-15)
        assert answer.confidence is None
        assert answer.reason == f"Mean over 3 texts with 5 sentences. {LIMIT}"
        assert compound("Profit is great") > 0 > compound("A terrible loss")

    def test_a_long_text_is_not_driven_to_an_end_of_the_scale(self) -> None:
        mixed = "Sales are good. The company is in Ohio. A loss is bad. " * 50
        answer = count_words(replace(NEWS, texts=(mixed,)))
        assert isinstance(answer, Sentiment)
        assert abs(compound(mixed)) > 0.9
        assert abs(answer.sentiment) < 0.2

    def test_a_rating_is_the_mean_over_the_sentences_of_its_topic(self) -> None:
        topics = ratings(REPORT).topics
        assert list(topics) == list(SCORES)
        assert topics["ceo_statement"].rating == (1 + compound("Our CEO is proud of a great success.")) * 5
        assert topics["market_trends"].rating == (1 + compound("Competition is terrible.")) * 5
        assert topics["esg_initiatives"].rating == 5
        assert topics["ceo_statement"].justification == (
            f"Mean over 1 of 4 sentences that hold a word of the topic. {LIMIT}"
        )

    def test_a_topic_without_a_sentence_has_no_rating(self) -> None:
        topic = ratings(REPORT).topics["risk_factors"]
        assert topic.rating is None
        assert topic.error == f"no rating: none of 4 sentences holds a word of the topic. {LIMIT}"

    @given(st.lists(st.text(max_size=80), min_size=1, max_size=4))
    def test_any_text_gives_the_same_bits_again(self, texts: list[str]) -> None:
        question = replace(REPORT, texts=tuple(texts))
        assert count_words(question) == count_words(question)
        for topic in ratings(question).topics.values():
            assert topic.rating is None or 0 <= topic.rating <= 10

    def test_sentences_end_where_a_reader_ends_them(self) -> None:
        text = "Sales were 3.5 million. They rose by\n5 percent! Why?\n\nRisk factors\n\nThe U.S. market fell."
        assert split_sentences(text) == [
            "Sales were 3.5 million.", "They rose by 5 percent!", "Why?", "Risk factors", "The U.S. market fell.",
        ]  # fmt: skip

    def test_every_row_has_the_name_of_the_list(self, tmp_path: Path) -> None:
        settings = LanguageModelSettings()
        (found,) = ask_all([NEWS], settings=settings, documents=Documents(str(tmp_path)))
        assert (found.model, found.prompt_version, found.call_id) == ("vaderSentiment 3.3.2", lexicon_version(), None)
        assert found.outcome == "answered"
        assert found.cost is None
        assert not list(tmp_path.iterdir())


class TestErrors:
    def test_nothing_to_read_is_no_zero(self, tmp_path: Path) -> None:
        for texts in ((), ("", " \n")):
            question = replace(NEWS, texts=texts)
            (found,) = ask_all([question], settings=LanguageModelSettings(), documents=Documents(str(tmp_path)))
            assert found.answer is None
            assert found.error == "There is no text to read."
