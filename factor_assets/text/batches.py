"""Questions asked through the batch interface: cheaper, and later; for backfills.

1. `language_model/batches/<name>.json` says which calls a batch is made of, before it is made; `<name>.id` its id at
   the provider, once it has one; `<name>.done` that its answers are in the ledger. A run that was killed leaves the
   last or the last two missing, and the next run goes on there.
2. Where the id is missing, the batch may have been made: the provider's list is searched for one with the same calls
   before another is made, so that none is paid twice.
3. A batch is filled until it is full or the budget would not bear it; where only that batch stands in the way, it is
   waited for, since it mostly costs less than was put aside.

language_model.input_price and output_price are then those of the batch interface.
What does not belong here: the interface itself (`anthropic_client.py`).
"""

import json
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TypeVar

from pydantic import BaseModel

from factor_assets.errors import DocumentNotFoundError, ServiceError
from factor_assets.settings import LanguageModelSettings
from factor_assets.storage.documents import Documents
from factor_assets.text.answered import Answered, by_budget, by_entry, by_failure
from factor_assets.text.anthropic_client import AnthropicClient, Failure, Reply
from factor_assets.text.attempts import STOPPED, attempt
from factor_assets.text.budget import Budget, Pace
from factor_assets.text.calls import Prepared, paid, prepare
from factor_assets.text.ledger import FOLDER, Call, Entry, Ledger
from factor_assets.text.question import Question

BATCHES = f"{FOLDER}/batches"
MOST_CALLS, MOST_BYTES = 10_000, 100_000_000  # the interface takes 100,000 and 256 MB
CLOCKS_DIFFER = timedelta(minutes=10)

T = TypeVar("T")


class Batch(BaseModel):
    """What a batch is made of, as stored before it is made."""

    made_at: datetime
    calls: dict[str, Call]

    @property
    def name(self) -> str:
        """Key of the batch below `language_model/batches`."""
        return sha256(f"{self.made_at.isoformat()} {sorted(self.calls)}".encode()).hexdigest()[:32]


def ask_in_batches(
    questions: Iterable[Question],
    *,
    settings: LanguageModelSettings,
    documents: Documents,
    retry_invalid: bool,
    poll_seconds: float,
) -> Iterator[Answered]:
    """Yield every question with what became of it; see `ask_all`."""
    desk = _Desk(settings, documents, poll_seconds=poll_seconds)
    try:
        desk.finish_open_batches()
        yield from _ask(questions, desk, settings=settings, retry_invalid=retry_invalid)
    finally:
        desk.close()


def open_calls(documents: Documents) -> frozenset[str]:
    """Return the calls of batches whose answers are not in the ledger yet."""
    return frozenset(name for batch in _open_batches(documents) for name in batch.calls)


def _open_batches(documents: Documents) -> list[Batch]:
    keys = {info.key for info in documents.list(BATCHES)}
    names = sorted(key.removesuffix(".json") for key in keys if key.endswith(".json"))
    return [Batch.model_validate_json(documents.get(f"{n}.json")) for n in names if f"{n}.done" not in keys]


def _ask(
    questions: Iterable[Question], desk: "_Desk", *, settings: LanguageModelSettings, retry_invalid: bool
) -> Iterator[Answered]:
    load, left, exhausted = _Load(), settings.budget, False
    for question in questions:
        prepared = prepare(question, settings)
        kept = desk.ledger.find(prepared.call.call_id)
        if kept is not None and (kept.error is None or not retry_invalid):
            yield by_entry(prepared, kept, from_ledger=True)
        elif not load.joins(prepared):
            if load.calls and not load.has_room(prepared, left=left):
                left -= yield from desk.answer(load)
                load = _Load()
            exhausted = exhausted or not load.has_room(prepared, left=left)
            if exhausted:
                yield by_budget(prepared, limit=settings.budget)
            else:
                load.add(prepared)
    yield from desk.answer(load)


class _Load:
    """The calls of a batch that is being filled; those of the same question are one."""

    def __init__(self) -> None:
        self.calls: dict[str, list[Prepared]] = {}
        self._most = 0.0
        self._size = 0

    def joins(self, prepared: Prepared) -> bool:
        same = self.calls.get(prepared.call.call_id)
        if same is not None:
            same.append(prepared)
        return same is not None

    def has_room(self, prepared: Prepared, *, left: float) -> bool:
        return self._most + prepared.most <= left and len(self.calls) < MOST_CALLS and self._size < MOST_BYTES

    def add(self, prepared: Prepared) -> None:
        self.calls[prepared.call.call_id] = [prepared]
        self._most += prepared.most
        self._size += len(json.dumps(prepared.parameters))


class _Desk:
    """Makes batches, waits for them and keeps their answers."""

    def __init__(self, settings: LanguageModelSettings, documents: Documents, *, poll_seconds: float) -> None:
        self.ledger = Ledger(documents)
        self._settings = settings
        self._documents = documents
        self._poll_seconds = poll_seconds
        self._pace = Pace(settings.requests_per_minute, at_once=1)
        self._opened: AnthropicClient | None = None

    def close(self) -> None:
        """Close the connections."""
        if self._opened is not None:
            self._opened.close()

    def finish_open_batches(self) -> None:
        """Bring the answers of batches that an earlier run made into the ledger."""
        for batch in _open_batches(self._documents):
            made = self._made(batch)
            if made is None:
                self._put(batch, "done", b"was never made")
            else:
                self._finish(batch, made)

    def answer(self, load: _Load) -> Generator[Answered, None, float]:
        """Yield the answers of a batch; return what it did cost in US dollars."""
        results = self._ask([same[0] for same in load.calls.values()]) if load.calls else {}
        spent = 0.0
        for name, same in load.calls.items():
            result = results[name]
            if isinstance(result, Failure):
                yield from (by_failure(prepared, result) for prepared in same)
            else:
                spent += result.cost or 0.0
                yield from (by_entry(prepared, result, from_ledger=n > 0) for n, prepared in enumerate(same))
        return spent

    def _ask(self, prepared: list[Prepared]) -> dict[str, Entry | Failure]:
        batch = Batch(made_at=datetime.now(UTC), calls={p.call.call_id: p.call for p in prepared})
        self._put(batch, "json", batch.model_dump_json().encode())
        made = self._make(batch, [{"custom_id": p.call.call_id, "params": dict(p.parameters)} for p in prepared])
        if isinstance(made, Failure):
            if not made.may_be_billed:
                self._put(batch, "done", b"was never made")
            return dict.fromkeys(batch.calls, made)
        return self._finish(batch, made)

    def _make(self, batch: Batch, requests: list[dict[str, object]]) -> str | Failure:
        for _ in range(self._settings.retries + 1):
            # One that may have been made is searched for before another is.
            found = self._attempt(lambda: _not_blindly(self._client.create_batch(requests)))
            if isinstance(found, Failure) and found.may_be_billed:
                found = self._made(batch) or found
            if not isinstance(found, Failure) or not found.may_be_billed:
                break
        if isinstance(found, str):
            self._put(batch, "id", found.encode())
        return found

    def _made(self, batch: Batch) -> str | None:
        """Return the id of a batch at the provider, or None where it was never made."""
        try:
            return self._documents.get(f"{BATCHES}/{batch.name}.id").decode()
        except DocumentNotFoundError:
            pass
        known = {
            self._documents.get(info.key).decode() for info in self._documents.list(BATCHES) if info.key.endswith(".id")
        }
        recent = self._must(lambda: self._client.recent_batches(batch.made_at - CLOCKS_DIFFER))
        for candidate, n_calls in recent.items():
            if candidate not in known and n_calls == len(batch.calls):
                self._wait_for(candidate)
                results = self._must(lambda candidate=candidate: self._client.batch_results(candidate))  # type: ignore[misc]
                if set(results) == set(batch.calls):
                    self._put(batch, "id", candidate.encode())
                    return candidate
        return None

    def _finish(self, batch: Batch, made: str) -> dict[str, Entry | Failure]:
        self._wait_for(made)
        results = self._must(lambda: self._whole_results(batch, made))
        found: dict[str, Entry | Failure] = {}
        for name, call in batch.calls.items():
            result = results[name]
            if isinstance(result, Reply):
                entry = paid(call, result, settings=self._settings, called_at=batch.made_at, batch_id=made)
                self.ledger.keep(entry)
                found[name] = entry
            else:
                found[name] = result
        self._put(batch, "done", b"answers are in the ledger")
        return found

    def _whole_results(self, batch: Batch, made: str) -> dict[str, Reply | Failure] | Failure:
        results = self._client.batch_results(made)
        if isinstance(results, Failure) or set(batch.calls) <= set(results):
            return results
        # To take what is there would ask, and pay, the others again.
        return Failure(
            message=f"{self._client.service} gave {len(results)} of {len(batch.calls)} results of a batch.", again=True
        )

    def _wait_for(self, made: str) -> None:
        while not self._must(lambda: self._client.has_ended(made)):
            time.sleep(self._poll_seconds)

    @property
    def _client(self) -> AnthropicClient:
        self._opened = self._opened or AnthropicClient(self._settings)
        return self._opened

    def _attempt(self, send: Callable[[], T | Failure]) -> T | Failure:
        found = attempt(send, pace=self._pace, retries=self._settings.retries, budget=Budget(0.0))
        return STOPPED if found is None else found  # never None: a budget of nothing bears what costs nothing

    def _must(self, send: Callable[[], T | Failure]) -> T:
        found = self._attempt(send)
        if isinstance(found, Failure):
            raise ServiceError(f"{found.message} The batch goes on: another run gets its results.")
        return found

    def _put(self, batch: Batch, kind: str, content: bytes) -> None:
        self._documents.put(f"{BATCHES}/{batch.name}.{kind}", content)


def _not_blindly(found: str | Failure) -> str | Failure:
    return replace(found, again=False) if isinstance(found, Failure) and found.may_be_billed else found
