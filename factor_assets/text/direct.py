"""Questions asked one by one, several at the same time.

1. Threads, at most `max_concurrent`, take questions as they come; twice as many are held in memory.
2. Each looks into the ledger; what is there costs nothing and waits for nothing.
3. Otherwise it is asked (`attempts.py`), and the answer is in the ledger before anything else happens to it.
4. The same question twice in a run waits for the first.
5. What an earlier run asked in a batch that has not been fetched is not asked again: it would be paid twice.
6. Where the service refuses all of us (a wrong key, an unknown model), the rest is not asked.

A run that is stopped lets the calls in flight end, and keeps their answers.
What does not belong here: the batch interface (`batches.py`).
"""

import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from datetime import UTC, datetime

from factor_assets.settings import LanguageModelSettings
from factor_assets.storage.documents import Documents
from factor_assets.text.answered import Answered, by_budget, by_entry, by_failure
from factor_assets.text.anthropic_client import AnthropicClient, Failure
from factor_assets.text.attempts import attempt
from factor_assets.text.batches import open_calls
from factor_assets.text.budget import Budget, Pace
from factor_assets.text.calls import Prepared, paid, prepare
from factor_assets.text.ledger import Entry, Ledger
from factor_assets.text.question import Question

IN_BATCH = Failure(
    message="Not asked: an earlier run asked it in a batch, whose answers were not fetched. Fetch them by a run with"
    " language_model.batch = true."
)


def ask_directly(
    questions: Iterable[Question], *, settings: LanguageModelSettings, documents: Documents, retry_invalid: bool
) -> Iterator[Answered]:
    """Yield every question with what became of it, in the order in which they are there; see `ask_all`."""
    run = _Run(settings, Ledger(documents), retry_invalid=retry_invalid)
    waiting: dict[Future[Answered], list[Prepared]] = {}
    with ThreadPoolExecutor(settings.max_concurrent, thread_name_prefix="language_model") as pool:
        try:
            for question in questions:
                prepared = prepare(question, settings)
                same = [held for held in waiting.values() if held[0].call.call_id == prepared.call.call_id]
                if same:
                    same[0].append(prepared)
                else:
                    waiting[pool.submit(run.answer, prepared)] = [prepared]
                while len(waiting) >= 2 * settings.max_concurrent:
                    yield from _done(waiting)
            while waiting:
                yield from _done(waiting)
        finally:
            run.stopping.set()
            for future in waiting:
                future.cancel()
            wait(waiting)
            run.close()


def _done(waiting: dict[Future[Answered], list[Prepared]]) -> Iterator[Answered]:
    for future in wait(waiting, return_when=FIRST_COMPLETED).done:
        _, *others = waiting.pop(future)
        answered = future.result()
        yield answered
        for prepared in others:
            yield replace(answered, question=prepared.question, from_ledger=answered.answer is not None, cost=None)


class _Run:
    """What the threads of one run share."""

    def __init__(self, settings: LanguageModelSettings, ledger: Ledger, *, retry_invalid: bool) -> None:
        self.stopping = threading.Event()
        self._settings = settings
        self._ledger = ledger
        self._retry_invalid = retry_invalid
        self._budget = Budget(settings.budget)
        self._pace = Pace(settings.requests_per_minute, at_once=settings.max_concurrent, stopping=self.stopping)
        self._in_batches = open_calls(ledger.documents)
        self._refused: Failure | None = None
        self._client: AnthropicClient | None = None
        self._opening = threading.Lock()

    def answer(self, prepared: Prepared) -> Answered:
        """Answer from the ledger, or ask."""
        kept = self._ledger.find(prepared.call.call_id)
        if kept is not None and (kept.error is None or not self._retry_invalid):
            return by_entry(prepared, kept, from_ledger=True)
        found = self._refused or (IN_BATCH if prepared.call.call_id in self._in_batches else self._ask(prepared))
        if found is None:
            return by_budget(prepared, limit=self._budget.limit)
        if isinstance(found, Failure):
            if found.for_all:
                self._refused = found
            return by_failure(prepared, found)
        return by_entry(prepared, found, from_ledger=False)

    def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            self._client.close()

    def _ask(self, prepared: Prepared) -> Entry | Failure | None:
        with self._opening:  # a run whose answers are all there needs no key
            self._client = client = self._client or AnthropicClient(self._settings)

        def send() -> Entry | Failure:
            if self._refused is not None:
                return self._refused
            called_at = datetime.now(UTC)
            reply = client.ask(prepared.parameters)
            if isinstance(reply, Failure):
                return reply
            entry = paid(prepared.call, reply, settings=self._settings, called_at=called_at)
            self._ledger.keep(entry)
            return entry

        return attempt(
            send,
            pace=self._pace,
            retries=self._settings.retries,
            budget=self._budget,
            most=prepared.most,
            cost=lambda entry: entry.cost or 0.0,
        )
