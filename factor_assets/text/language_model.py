"""The one way to ask about documents: `ask_all`.

    from factor_assets.text.language_model import Question, Tally, ask_all, document_hash

    questions = [Question(document_id=document_hash(*texts), purpose="sentiment", ticker="AAPL", day=day, texts=texts)]
    tally = Tally()
    for answered in ask_all(questions, settings=settings.language_model, documents=documents):
        tally.add(answered)
        answered.question        # which one: answers come in the order in which they are there
        answered.answer          # Sentiment or Ratings, validated; None where there is none
        answered.error           # why there is none, for the column `error`; else None
        answered.model           # for the column `model`; also where there is no answer
        answered.prompt_version, answered.call_id   # call_id is None of a lexicon, which has no ledger
    tally.counts()               # outcome -> number, for the run's metadata
    tally.failed_share           # to be compared with language_model.max_failed_share

`Sentiment` has sentiment, confidence, reason; `Ratings` has topics: topic -> `TopicRating` (rating or None, its own
error, justification, key_figures, year_over_year, confidence). `ledger_rows(documents)` of `ledger.py` is the table
`language_model_calls`.

What does not belong here: prompts, transport, validation; each has its file.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial

from factor_assets.errors import LanguageModelError, SettingsError
from factor_assets.settings import LanguageModelSettings
from factor_assets.storage.documents import Documents
from factor_assets.text.answered import Answered, Outcome, Tally
from factor_assets.text.answers import Answer, Ratings, Sentiment, TopicRating
from factor_assets.text.batches import ask_in_batches
from factor_assets.text.direct import ask_directly
from factor_assets.text.lexicon import count_words, lexicon_version, model_name
from factor_assets.text.prompt import prompt_of
from factor_assets.text.question import Purpose, Question, document_hash

__all__ = [
    "Answer",
    "Answered",
    "Outcome",
    "Purpose",
    "Question",
    "Ratings",
    "Sentiment",
    "Tally",
    "TopicRating",
    "ask_all",
    "document_hash",
]

POLL_SECONDS = 30.0


def ask_all(
    questions: Iterable[Question],
    *,
    settings: LanguageModelSettings,
    documents: Documents,
    retry_invalid: bool = False,
    poll_seconds: float = POLL_SECONDS,
) -> Iterator[Answered]:
    """Yield every question with what became of it, as soon as it is there.

    Parameters
    ----------
    questions
        Taken as they are needed: texts of questions that wait are not held.
    documents
        Where the ledger is.
    retry_invalid
        Ask again where the ledger has only answers that were none. They were paid; by default they stay so.
    poll_seconds
        How often a batch is looked at.

    Raises
    ------
    SettingsError
        If the settings lack a key, region or price that the provider wants, or want a batch that it does not have.
    ServiceError
        If a batch cannot be made or looked at. It goes on meanwhile: another run gets its results.
    DocumentError
        If the ledger cannot be read or written. Nothing more is asked then: it would be paid and lost.
    """
    if settings.batch and settings.provider == "bedrock":
        raise SettingsError(
            "language_model.batch wants the provider 'anthropic'; 'bedrock' has no batch interface here. Set"
            " language_model.batch to false."
        )
    empty: list[Question] = []
    asked = _with_text(questions, empty)
    if settings.provider == "lexicon":
        yield from (_by_lexicon(question, count_words(question)) for question in asked)
    else:
        ask = ask_directly if not settings.batch else partial(ask_in_batches, poll_seconds=poll_seconds)
        yield from ask(asked, settings=settings, documents=documents, retry_invalid=retry_invalid)
    for question in empty:
        nothing = _by_lexicon(question, None)
        if settings.provider == "lexicon":
            yield nothing
        else:
            yield replace(nothing, model=settings.model, prompt_version=prompt_of(question.purpose).version)


def _with_text(questions: Iterable[Question], empty: list[Question]) -> Iterator[Question]:
    for question in questions:
        if question.has_text:
            yield question
        else:
            empty.append(question)


def _by_lexicon(question: Question, answer: Answer | None) -> Answered:
    return Answered(
        question=question,
        outcome="failed" if answer is None else "answered",
        answer=answer,
        failure=LanguageModelError("There is no text to read.") if answer is None else None,
        model=model_name(),
        prompt_version=lexicon_version(),
        call_id=None,
    )
