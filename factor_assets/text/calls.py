"""A question -> the call that asks it: what identifies it, what is sent, and the most that it can cost.

What does not belong here: sending (`anthropic_client.py`), which of many calls to make (`language_model.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from factor_assets.errors import SettingsError
from factor_assets.settings import LanguageModelSettings
from factor_assets.text.anthropic_client import Reply
from factor_assets.text.ledger import Call, Entry, call_id, judged
from factor_assets.text.prompt import prompt_of, render
from factor_assets.text.question import Question

# The provider adds words of its own to a question with a schema.
UNSEEN_TOKENS = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """A question that is ready to be asked.

    Parameters
    ----------
    parameters
        Those of the Messages API. They hold the document, so they are not in `repr`.
    most
        US dollars that it can cost: a token of the question is at least one byte, and an answer ends at max_tokens.
    """

    question: Question
    call: Call
    parameters: Mapping[str, Any] = field(repr=False)
    most: float


def prepare(question: Question, settings: LanguageModelSettings) -> Prepared:
    """Return the call that asks a question.

    Raises
    ------
    SettingsError
        If the settings name no prices.
    """
    prompt = prompt_of(question.purpose)
    rendered = render(prompt, question)
    parameters = {"max_tokens": settings.max_tokens, "output": "json_schema"}
    identity = call_id(
        question.document_id,
        prompt.version,
        settings.provider,
        settings.model,
        parameters,
        rendered.system,
        rendered.user,
    )
    size = len(rendered.system.encode()) + len(rendered.user.encode()) + len(str(prompt.schema)) + UNSEEN_TOKENS
    return Prepared(
        question=question,
        call=Call(
            call_id=identity,
            purpose=question.purpose,
            document_id=question.document_id,
            prompt_version=prompt.version,
            provider=settings.provider,
            model=settings.model,
            parameters=parameters,
        ),
        parameters={
            "model": settings.model,
            "max_tokens": settings.max_tokens,
            "system": rendered.system,
            "messages": [{"role": "user", "content": rendered.user}],
            "output_config": {"format": {"type": "json_schema", "schema": dict(prompt.schema)}},
        },
        most=price(settings, input_tokens=size, output_tokens=settings.max_tokens),
    )


def price(settings: LanguageModelSettings, *, input_tokens: int, output_tokens: int) -> float:
    """Return the US dollars of a call.

    Raises
    ------
    SettingsError
        If the settings name no prices.
    """
    if settings.input_price is None or settings.output_price is None:
        raise SettingsError(
            "language_model.budget wants to know what a call costs: set language_model.input_price and"
            " language_model.output_price, in US dollars a million tokens."
        )
    return (input_tokens * settings.input_price + output_tokens * settings.output_price) / 1e6


def paid(
    call: Call, reply: Reply, *, settings: LanguageModelSettings, called_at: datetime, batch_id: str | None = None
) -> Entry:
    """Return the entry of the ledger for a reply."""
    return Entry(
        call=call,
        called_at=called_at,
        message_id=reply.message_id,
        batch_id=batch_id,
        stop_reason=reply.stop_reason,
        text=reply.text,
        input_tokens=reply.input_tokens,
        output_tokens=reply.output_tokens,
        cost=price(settings, input_tokens=reply.input_tokens, output_tokens=reply.output_tokens),
        latency=reply.latency,
        error=judged(call, text=reply.text, stop_reason=reply.stop_reason),
    )
