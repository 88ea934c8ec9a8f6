"""`Answered`: what became of a question, and the counts of a run.

What does not belong here: asking (`language_model.py`).
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

from factor_assets.errors import BudgetError, LanguageModelError, ServiceError
from factor_assets.text.answers import Answer
from factor_assets.text.anthropic_client import Failure
from factor_assets.text.calls import Prepared
from factor_assets.text.ledger import Entry
from factor_assets.text.question import Question

Outcome = Literal["answered", "invalid", "failed", "over_budget"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Answered:
    """What became of one question.

    Parameters
    ----------
    outcome
        answered: there is an answer. invalid: what came is none, and was paid. failed: nothing came.
        over_budget: it was not asked, because it could have cost more than was left.
    from_ledger
        Whether it was answered earlier, so that no call was made.
    cost
        US dollars of the call; None where there was none or the settings name no price.
    """

    question: Question
    outcome: Outcome
    answer: Answer | None
    failure: LanguageModelError | ServiceError | None
    model: str
    prompt_version: str
    call_id: str | None
    from_ledger: bool = False
    cost: float | None = None

    @property
    def error(self) -> str | None:
        """Why there is no answer; None where there is one."""
        return None if self.failure is None else str(self.failure)


@dataclass
class Tally:
    """Counts of a run."""

    outcomes: Counter[str] = field(default_factory=Counter)
    from_ledger: int = 0
    cost: float = 0.0

    def add(self, answered: Answered) -> None:
        """Count one."""
        self.outcomes[answered.outcome] += 1
        self.from_ledger += answered.from_ledger
        if not answered.from_ledger:
            self.cost += answered.cost or 0.0

    def counts(self) -> dict[str, int]:
        """Return each outcome, also those that did not occur, and how many answers were there before."""
        kinds: tuple[Outcome, ...] = ("answered", "invalid", "failed", "over_budget")
        return {kind: self.outcomes[kind] for kind in kinds} | {"from_ledger": self.from_ledger}

    @property
    def failed_share(self) -> float:
        """Questions without an answer over all; 0 where nothing was asked."""
        total = self.outcomes.total()
        return (total - self.outcomes["answered"]) / total if total else 0.0


def by_entry(prepared: Prepared, entry: Entry, *, from_ledger: bool) -> Answered:
    """Return what a paid answer says."""
    answer, failure = None, None
    try:
        answer = entry.read()
    except LanguageModelError as error:
        failure = LanguageModelError(str(error))  # without the traceback, whose frames hold the answer
    return _of(
        prepared,
        outcome="answered" if failure is None else "invalid",
        answer=answer,
        failure=failure,
        from_ledger=from_ledger,
        cost=entry.cost,
    )


def by_failure(prepared: Prepared, failure: Failure) -> Answered:
    """Return that no answer came."""
    return _of(prepared, outcome="failed", failure=ServiceError(failure.message))


def by_budget(prepared: Prepared, *, limit: float) -> Answered:
    """Return that it was not asked."""
    return _of(
        prepared,
        outcome="over_budget",
        failure=BudgetError(
            f"Not asked: with it the run could have spent more than language_model.budget, {limit:g} US dollars. Raise"
            " it, or run again: only what is missing is asked."
        ),
    )


def _of(
    prepared: Prepared,
    *,
    outcome: Outcome,
    failure: LanguageModelError | ServiceError | None,
    answer: Answer | None = None,
    from_ledger: bool = False,
    cost: float | None = None,
) -> Answered:
    return Answered(
        question=prepared.question,
        outcome=outcome,
        answer=answer,
        failure=failure,
        model=prepared.call.model,
        prompt_version=prepared.call.prompt_version,
        call_id=prepared.call.call_id,
        from_ledger=from_ledger,
        cost=cost,
    )
