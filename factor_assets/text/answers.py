"""The answers that are wanted of a language model, and the one place that decides whether an answer is one.

A refusal, a cut-off answer, a number out of its range or a missing topic is an error with its reason, never a zero.
What does not belong here: what is asked (`prompt.py`), who is asked (`anthropic_client.py`, `lexicon.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from factor_assets.document_columns import SCORES
from factor_assets.errors import LanguageModelError
from factor_assets.text.question import Purpose

Confidence = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


class Sentiment(_Answer):
    """How good the news of a day are for the share.

    Parameters
    ----------
    sentiment
        From -1 (bad) to 1 (good).
    confidence
        How sure the model said it is, 0 to 1; None of a lexicon, which does not say.
    """

    sentiment: float = Field(ge=-1, le=1, allow_inf_nan=False)
    confidence: Confidence | None
    reason: str = Field(min_length=1)


class KeyFigure(_Answer):
    """A figure of the report that a rating rests on, as the report writes it."""

    name: str
    value: str


class TopicRating(_Answer):
    """Rating of one topic of a report.

    Parameters
    ----------
    rating
        From 0 to 10; None where the report does not speak of the topic, and `error` says so.
    year_over_year
        What changed since the year before; None where the report does not say.
    confidence
        0 to 1; None of a lexicon, which does not say.
    """

    rating: float | None = Field(ge=0, le=10, allow_inf_nan=False)
    justification: str = Field(min_length=1)
    key_figures: list[KeyFigure]
    year_over_year: str | None
    confidence: Confidence | None

    @property
    def error(self) -> str | None:
        """Why there is no rating; None where there is one."""
        return None if self.rating is not None else f"no rating: {self.justification}"


@dataclass(frozen=True, slots=True)
class Ratings:
    """Ratings of a report.

    Parameters
    ----------
    topics
        Each topic of `document_columns.SCORES` -> its rating, in that order.
    """

    topics: Mapping[str, TopicRating]


Answer = Sentiment | Ratings

_TOPICS = TypeAdapter(dict[str, TopicRating])
_STOPPED = {
    "refusal": "the model refused to answer; leave it without a number, or try another model",
    "max_tokens": "the answer is cut off; raise language_model.max_tokens",
    "model_context_window_exceeded": "the text is longer than the model reads; choose a model that reads more",
}


def read_answer(purpose: Purpose, text: str, *, stop_reason: str | None) -> Answer:
    """Return the validated answer.

    Parameters
    ----------
    text
        The answer as it came: one JSON object.
    stop_reason
        Why the model stopped, in the words of Anthropic's Messages API.

    Raises
    ------
    LanguageModelError
        If it is no answer. The message has nothing of the text.
    """
    if stop_reason != "end_turn":
        raise LanguageModelError(
            f"No answer: {_STOPPED.get(stop_reason or '', f'the model stopped for reason {stop_reason!r}')}."
        )
    try:
        if purpose == "sentiment":
            sentiment = Sentiment.model_validate_json(text)
            _require_confidence({"the answer": sentiment.confidence})
            return sentiment
        topics = _TOPICS.validate_json(text, strict=True)
    except ValidationError as error:
        # The input of the error is the model's text, and with it the document's.
        raise LanguageModelError(f"The answer is not as asked: {_explained(error)}.") from None
    missing = [topic for topic in SCORES if topic not in topics]
    if missing:
        raise LanguageModelError(f"The answer is not as asked: it has no {' and no '.join(missing)}.")
    if len(topics) > len(SCORES):
        raise LanguageModelError(f"The answer is not as asked: it has {len(topics) - len(SCORES)} unknown topics.")
    _require_confidence({topic: rating.confidence for topic, rating in topics.items()})
    return Ratings({topic: topics[topic] for topic in SCORES})


def _require_confidence(found: Mapping[str, float | None]) -> None:
    missing = [name for name, confidence in found.items() if confidence is None]
    if missing:
        raise LanguageModelError(f"The answer is not as asked: {', '.join(missing)}: confidence is null.")


def _explained(error: ValidationError) -> str:
    known = {*Sentiment.model_fields, *TopicRating.model_fields, *KeyFigure.model_fields, *SCORES}
    found = []
    for problem in error.errors(include_url=False, include_context=False, include_input=False)[:3]:
        place = ".".join(str(part) for part in problem["loc"] if isinstance(part, int) or part in known)
        what = "it is not whole JSON" if problem["type"] == "json_invalid" else problem["msg"]
        found.append(f"{place}: {what}" if place else what)
    more = error.error_count() - len(found)
    return "; ".join(found) + (f" and {more} more" if more > 0 else "")
