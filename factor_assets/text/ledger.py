"""`Ledger`: every answer that was paid, by the hash of everything that was asked; what is in it is never asked again.

1. `call_id` is the SHA-256 of document id, prompt version, provider, model, parameters and the words of the question.
2. An answer is stored as `language_model/<call_id>.json` at once, before anybody uses it, and never changed.
3. An answer that is none (refused, cut off, out of range) was paid as well: it is kept with its error, and its question
   is not asked again unless that is wished (`retry_invalid`). Then the next one goes to `<call_id>-2.json`; so does the
   answer of another process that asked the same at the same time. The first valid answer counts.
4. What did not come (refused connection, 429, timeout) is not stored: the next run asks again.

What does not belong here: asking (`language_model.py`), documents' texts, which the ledger never holds.
"""

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, ValidationError

from factor_assets.errors import DocumentNotFoundError, LanguageModelError, MalformedDataError
from factor_assets.storage.documents import Documents
from factor_assets.tables import TABLES
from factor_assets.text.answers import Answer, read_answer
from factor_assets.text.question import Purpose

FOLDER = "language_model"


class Call(BaseModel):
    """What identifies a call, without the words of the question, which `call_id` covers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    call_id: str
    purpose: Purpose
    document_id: str
    prompt_version: str
    provider: str
    model: str
    parameters: dict[str, Any]


class Entry(BaseModel):
    """One paid answer.

    Parameters
    ----------
    text
        The answer as it came.
    input_tokens, output_tokens
        As the provider counted them.
    cost
        US dollars by the settings of the run that paid.
    latency
        Seconds from sending to the last byte; None in a batch.
    error
        Why the answer is none, as judged when it came; None where it is one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    call: Call
    called_at: datetime
    message_id: str | None
    batch_id: str | None
    stop_reason: str | None
    text: str
    input_tokens: int
    output_tokens: int
    cost: float | None
    latency: float | None
    error: str | None

    def read(self) -> Answer:
        """Return the validated answer.

        Raises
        ------
        LanguageModelError
            If it is none.
        """
        return read_answer(self.call.purpose, self.text, stop_reason=self.stop_reason)


def call_id(*parts: str | Mapping[str, Any]) -> str:
    """Return the SHA-256 of everything that is asked."""
    return sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Ledger:
    """The answers below `language_model/` of a document store."""

    documents: Documents

    def find(self, call_id: str) -> Entry | None:
        """Return the first valid answer, else the last that is none, else None.

        Raises
        ------
        MalformedDataError
            If what is stored is no entry.
        DocumentError
            If the store cannot be read.
        """
        found, number = None, 1
        while True:
            try:
                content = self.documents.get(_key(call_id, number))
            except DocumentNotFoundError:
                return found
            found = _entry(content, _key(call_id, number))
            if found.error is None:
                return found
            number += 1

    def keep(self, entry: Entry) -> None:
        """Store an answer that was paid, beside those that are there; the same message twice is one.

        Raises
        ------
        DocumentError
            If the store cannot be written.
        """
        content = entry.model_dump_json(indent=1).encode()
        number = 1
        while not self.documents.put(key := _key(entry.call.call_id, number), content):
            if entry.message_id and entry.message_id == _entry(self.documents.get(key), key).message_id:
                return
            number += 1

    def entries(self) -> Iterator[Entry]:
        """Yield every paid answer, in no promised order."""
        keys = [info.key for info in self.documents.list(FOLDER) if info.key.count("/") == FOLDER.count("/") + 1]
        with ThreadPoolExecutor(8) as pool:  # of a bucket, the time is waiting
            yield from pool.map(lambda key: _entry(self.documents.get(key), key), keys)


def judged(call: Call, *, text: str, stop_reason: str | None) -> str | None:
    """Return why an answer is none, or None where it is one."""
    try:
        read_answer(call.purpose, text, stop_reason=stop_reason)
    except LanguageModelError as error:
        return str(error)
    return None


def ledger_rows(documents: Documents) -> pa.Table:
    """Return the rows of table `language_model_calls`: every answer that was paid, sorted by time and call."""
    schema = TABLES["language_model_calls"].schema
    rows = [
        {
            **entry.call.model_dump(exclude={"provider", "parameters"}),
            **entry.model_dump(include={"input_tokens", "output_tokens", "cost", "latency", "error"}),
            "called_at": entry.called_at.astimezone(UTC),
            "parameters": json.dumps(entry.call.parameters, sort_keys=True),
            "source": entry.call.provider,
        }
        for entry in Ledger(documents).entries()
    ]
    rows.sort(key=lambda row: (row["called_at"], row["call_id"]))
    return pa.Table.from_pylist(rows, schema=schema)


def _key(call_id: str, number: int) -> str:
    return f"{FOLDER}/{call_id}.json" if number == 1 else f"{FOLDER}/{call_id}-{number}.json"


def _entry(content: bytes, key: str) -> Entry:
    try:
        return Entry.model_validate_json(content)
    except ValidationError as error:
        raise MalformedDataError(
            f"{key} is no entry of the ledger ({error.error_count()} faults). It was changed by hand or by another"
            " version: restore it, or move it away to ask and pay again."
        ) from None
