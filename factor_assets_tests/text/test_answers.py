"""What counts as an answer, and what is an error with its reason."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factor_assets.document_columns import SCORES
from factor_assets.errors import LanguageModelError
from factor_assets.text.answers import KeyFigure, Ratings, Sentiment, TopicRating, read_answer
from factor_assets.text.prompt import prompt_of
from factor_assets_tests.servers.anthropic import RATINGS, SENTIMENT, TOPIC

SECRET = "the text of the document"


def sentiment(**changes: Any) -> str:
    return json.dumps(SENTIMENT | changes)


def ratings(**changes: Any) -> str:
    return json.dumps(RATINGS | changes)


class TestAgainstTheSchema:
    def test_the_schema_that_is_sent_has_the_fields_that_are_read(self) -> None:
        schema = prompt_of("sentiment").schema
        assert set(schema["properties"]) == set(schema["required"]) == set(Sentiment.model_fields)
        schema = prompt_of("ratings").schema
        assert list(schema["properties"]) == schema["required"] == list(SCORES)
        topic = schema["$defs"]["topic"]
        assert set(topic["properties"]) == set(topic["required"]) == set(TopicRating.model_fields)
        figure = topic["properties"]["key_figures"]["items"]
        assert set(figure["properties"]) == set(figure["required"]) == set(KeyFigure.model_fields)


class TestProperties:
    @given(st.floats(-1, 1), st.floats(0, 1))
    def test_a_sentiment_is_what_was_said(self, value: float, confidence: float) -> None:
        answer = read_answer("sentiment", sentiment(sentiment=value, confidence=confidence), stop_reason="end_turn")
        assert answer == Sentiment(sentiment=value, confidence=confidence, reason="orders rose")

    def test_ratings_come_in_the_order_of_the_topics(self) -> None:
        text = json.dumps({topic: TOPIC | {"rating": n} for n, topic in enumerate(reversed(SCORES))})
        answer = read_answer("ratings", text, stop_reason="end_turn")
        assert isinstance(answer, Ratings)
        assert list(answer.topics) == list(SCORES)
        assert [rating.rating for rating in answer.topics.values()] == [4, 3, 2, 1, 0]
        assert answer.topics["risk_factors"].key_figures == [KeyFigure(name="revenue", value="$ 12 million in 2023")]
        assert answer.topics["risk_factors"].error is None

    def test_a_topic_that_the_report_lacks_has_no_rating_and_says_so(self) -> None:
        text = ratings(esg_initiatives=TOPIC | {"rating": None, "justification": "not a word of it"})
        answer = read_answer("ratings", text, stop_reason="end_turn")
        assert isinstance(answer, Ratings)
        assert answer.topics["esg_initiatives"].rating is None
        assert answer.topics["esg_initiatives"].error == "no rating: not a word of it"


class TestErrors:
    @pytest.mark.parametrize(
        ("stop_reason", "says"),
        [
            ("refusal", "the model refused to answer"),
            ("max_tokens", "raise language_model.max_tokens"),
            ("model_context_window_exceeded", "longer than the model reads"),
            ("pause_turn", "stopped for reason 'pause_turn'"),
            (None, "stopped for reason None"),
        ],
    )
    def test_an_answer_that_did_not_end_is_none_even_if_it_looks_like_one(
        self, stop_reason: str | None, says: str
    ) -> None:
        with pytest.raises(LanguageModelError, match=says):
            read_answer("sentiment", sentiment(), stop_reason=stop_reason)

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("", "it is not whole JSON"),
            ('{"sentiment": 0.5, "conf', "it is not whole JSON"),
            ("null", "Input should be an object"),
            ("[0.5]", "Input should be an object"),
            (sentiment(sentiment=1.01), "sentiment: Input should be less than or equal to 1"),
            (sentiment(sentiment=-1.01), "sentiment: Input should be greater than or equal to -1"),
            (sentiment(sentiment=float("nan")), "sentiment"),
            (sentiment(sentiment=None), "sentiment"),
            (sentiment(sentiment="0.5"), "sentiment"),
            (sentiment(sentiment=True), "sentiment"),
            (sentiment(confidence=1.5), "confidence"),
            (sentiment(confidence=None), "confidence is null"),
            (sentiment(reason=""), "reason"),
            (json.dumps({"sentiment": 0.5, "confidence": 1}), "reason: Field required"),
            (sentiment(**{SECRET: 1}), "Extra inputs are not permitted"),
        ],
    )
    def test_a_sentiment_that_is_none(self, text: str, says: str) -> None:
        with pytest.raises(LanguageModelError, match="The answer is not as asked") as caught:
            read_answer("sentiment", text, stop_reason="end_turn")
        assert says in str(caught.value)
        assert SECRET not in str(caught.value)

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            (json.dumps({k: v for k, v in RATINGS.items() if k != "risk_factors"}), "it has no risk_factors"),
            (ratings(weather=TOPIC), "it has 1 unknown topics"),
            (ratings(risk_factors=TOPIC | {"rating": 10.5}), "risk_factors.rating"),
            (ratings(risk_factors=TOPIC | {"rating": -1}), "risk_factors.rating"),
            (ratings(risk_factors=TOPIC | {"confidence": None}), "risk_factors: confidence is null"),
            (ratings(risk_factors=TOPIC | {"key_figures": [{"name": "x"}]}), "key_figures.0.value"),
            (ratings(risk_factors=SECRET), "risk_factors"),
            (json.dumps({topic: {} for topic in SCORES}), "and 22 more"),
        ],
    )
    def test_ratings_that_are_none(self, text: str, says: str) -> None:
        with pytest.raises(LanguageModelError) as caught:
            read_answer("ratings", text, stop_reason="end_turn")
        assert says in str(caught.value)
        assert SECRET not in str(caught.value)
