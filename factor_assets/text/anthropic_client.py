"""One attempt to reach Anthropic's Messages API, directly or through Bedrock, by the SDK's own clients.

Every attempt ends as a `Reply`, which was paid, or as a `Failure`, which says whether another attempt may help. The
SDK's own retries are off: it would sleep as long as a Retry-After says, apart from the pace and the budget of the run.
Exceptions of the SDK hold the request, with key and document, and so does its log: no exception leaves this file, and
its loggers are kept at WARNING.
What does not belong here: trying again (`attempts.py`), whether a reply is an answer (`answers.py`).
"""

import json
import logging
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from factor_assets.errors import SettingsError
from factor_assets.settings import LanguageModelSettings

if TYPE_CHECKING:
    from anthropic import Anthropic, AnthropicBedrock

KEY = "ANTHROPIC_API_KEY"
CONNECT_SECONDS = 10.0
LOGGERS = ("anthropic", "httpx", "httpx2", "httpcore", "httpcore2", "boto3", "botocore")


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """What a model said, valid or not. It was paid."""

    text: str = field(repr=False)
    stop_reason: str | None
    input_tokens: int
    output_tokens: int
    message_id: str | None
    latency: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """Why there is no reply.

    Parameters
    ----------
    message
        Which service, what came, what to do; nothing of request or answer.
    again
        Whether another attempt may help.
    for_all
        Whether every other call of the run fails likewise.
    may_be_billed
        Whether the provider may have answered, and so billed, what did not arrive.
    retry_after
        Seconds that the service asks to wait.
    """

    message: str
    again: bool = False
    for_all: bool = False
    may_be_billed: bool = False
    retry_after: float | None = None


class AnthropicClient:
    """The API as the settings name it.

    Raises
    ------
    SettingsError
        If there is no key or region, or Bedrock's part of the SDK is not installed.
    """

    def __init__(self, settings: LanguageModelSettings) -> None:
        import anthropic
        import httpx2

        for name in LOGGERS:
            logging.getLogger(name).setLevel(logging.WARNING)
        self._seconds = settings.timeout
        arguments: dict[str, Any] = {
            "timeout": httpx2.Timeout(settings.timeout, connect=min(CONNECT_SECONDS, settings.timeout)),
            "max_retries": 0,
            "base_url": settings.url or None,
            "open_telemetry": False,  # spans can carry contents
            # A redirect would carry the key to another host.
            "http_client": anthropic.DefaultHttpxClient(follow_redirects=False),
        }
        self._client: Anthropic | AnthropicBedrock
        if settings.provider == "bedrock":
            self._remedy = "the AWS credentials and the model's access in Bedrock"
            self._client = _open_bedrock(settings.region, arguments)
        else:
            key = os.environ.get(KEY, "").strip()
            if not key:
                raise SettingsError(
                    f"language_model.provider is 'anthropic' but the variable {KEY} is empty; set it, or choose the"
                    " provider 'lexicon', which needs no key."
                )
            self._remedy = f"the variable {KEY}"
            self._client = anthropic.Anthropic(api_key=key, **arguments)
        host = urlsplit(str(self._client.base_url)).netloc.rpartition("@")[2]
        self.service = f"{'Bedrock' if settings.provider == 'bedrock' else 'Anthropic'} at {host}"

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def ask(self, parameters: Mapping[str, Any]) -> Reply | Failure:
        """Make one attempt at a message; `parameters` are those of the Messages API."""
        begun = time.monotonic()
        found = self._request(lambda raw: raw.messages.with_streaming_response.create(**parameters), paid=True)
        if isinstance(found, Failure):
            return found
        reply = _reply(_object(found), latency=time.monotonic() - begun)
        return self._malformed("message", may_be_billed=True) if reply is None else reply

    def create_batch(self, requests: Sequence[Mapping[str, Any]]) -> str | Failure:
        """Send requests, each custom_id and params, as one batch; return its id."""
        found = self._request(
            lambda raw: raw.messages.batches.with_streaming_response.create(requests=list(requests)), paid=True
        )
        if isinstance(found, Failure):
            return found
        batch = _object(found)
        if not isinstance(batch, dict) or not isinstance(batch.get("id"), str):
            return self._malformed("batch", may_be_billed=True)
        return str(batch["id"])

    def recent_batches(self, since: datetime) -> dict[str, int] | Failure:
        """Return the id of each batch made since then, newest first, with its number of requests."""
        batches: dict[str, int] = {}
        after: dict[str, str] = {}
        while True:
            cursor = dict(after)
            found = self._request(
                lambda raw, cursor=cursor: raw.messages.batches.with_streaming_response.list(limit=100, **cursor)
            )
            if isinstance(found, Failure):
                return found
            try:
                page = json.loads(found)
                for batch in page["data"]:
                    if datetime.fromisoformat(batch["created_at"]) < since:
                        return batches
                    batches[batch["id"]] = sum(batch["request_counts"].values())
                if not page.get("has_more"):
                    return batches
                after = {"after_id": page["last_id"]}
            except (KeyError, TypeError, ValueError):
                return self._malformed("list of batches")

    def has_ended(self, batch_id: str) -> bool | Failure:
        """Whether every request of a batch has its result."""
        found = self._request(lambda raw: raw.messages.batches.with_streaming_response.retrieve(batch_id))
        if isinstance(found, Failure):
            return found
        batch = _object(found)
        if not isinstance(batch, dict) or "processing_status" not in batch:
            return self._malformed("batch")
        return bool(batch["processing_status"] == "ended")

    def batch_results(self, batch_id: str) -> dict[str, Reply | Failure] | Failure:
        """Return each custom_id of a batch that has ended with what became of it."""
        found = self._request(lambda raw: raw.messages.batches.with_streaming_response.results(batch_id), whole=False)
        if isinstance(found, Failure):
            return found
        results: dict[str, Reply | Failure] = {}
        for line in found.splitlines():
            if not line.strip():
                continue
            row = _object(line)
            if not isinstance(row, dict) or "custom_id" not in row:
                return self._malformed("list of results")
            results[str(row["custom_id"])] = self._batch_result(row.get("result") or {})
        return results

    def _batch_result(self, result: Mapping[str, Any]) -> Reply | Failure:
        reply = _reply(result.get("message")) if result.get("type") == "succeeded" else None
        if reply is not None:
            return reply
        kind = ((result.get("error") or {}).get("error") or {}).get("type")
        return Failure(
            message=f"{self.service} did not answer in the batch: {_word(result.get('type'))}"
            f"{f' ({_word(kind)})' if kind else ''}. Run again: only what is missing is asked."
        )

    def _request(self, send: Any, *, paid: bool = False, whole: bool = True) -> bytes | Failure:
        """Return the body of one exchange. A body that drips is cut off when the time is over."""
        end = time.monotonic() + self._seconds
        try:
            with send(self._client) as response:
                body = bytearray()
                for chunk in response.iter_bytes():
                    body += chunk
                    if whole and time.monotonic() > end:
                        return self._too_late(may_be_billed=paid)
                return bytes(body)
        except Exception as error:  # noqa: BLE001 - any of the SDK, httpx2 and boto may hold the request
            return self._explained(error, paid=paid)

    def _explained(self, error: Exception, *, paid: bool) -> Failure:
        import anthropic
        import httpx2

        cause = error.__cause__ or error
        sent = not isinstance(cause, httpx2.ConnectTimeout | httpx2.ConnectError)
        match error:
            case anthropic.APIStatusError():
                return self._refused(error.status_code, error.type, error.response.headers)
            case anthropic.APITimeoutError() | httpx2.TimeoutException():
                return self._too_late(may_be_billed=paid and sent)
            case anthropic.APIConnectionError() | httpx2.HTTPError():
                return Failure(
                    message=f"The connection to {self.service} {'was cut' if sent else 'failed'}. Check the network"
                    " and language_model.url, then run again: only what is missing is asked.",
                    again=True,
                    may_be_billed=paid and sent,
                )
            case json.JSONDecodeError() | AttributeError() | anthropic.AnthropicError():
                # Where the SDK reads one answer on the way to another, it trusts its shape.
                return self._malformed("answer", may_be_billed=paid)
        return Failure(
            message=f"The request to {self.service} could not be made: {type(error).__name__}. Check"
            f" {self._remedy}, language_model.model and language_model.url.",
            for_all=True,
        )

    def _refused(self, status: int, kind: str | None, headers: Mapping[str, str]) -> Failure:
        named = " ".join(_word(x) for x in (kind, headers.get("request-id")) if x)
        what = f"{self.service} answered {status}{f' ({named})' if named else ''}."
        if status in (401, 403):
            return Failure(message=f"{what} Check {self._remedy}.", for_all=True)
        if status == 402:
            return Failure(message=f"{what} Check the account's credit.", for_all=True)
        if status == 404 or status in range(300, 400):
            return Failure(message=f"{what} Check language_model.model and language_model.url.", for_all=True)
        if status == 429:
            return Failure(
                message=f"{what} Lower language_model.requests_per_minute or max_concurrent, then run again: only what"
                " is missing is asked.",
                again=True,
                retry_after=_retry_after(headers),
            )
        if status in (408, 409) or status >= 500:
            return Failure(
                message=f"{what} It is overloaded or has a fault: run again later, only what is missing is asked.",
                again=True,
                retry_after=_retry_after(headers),
            )
        return Failure(
            message=f"{what} It does not take this request: check that the model answers by JSON schema, that"
            " language_model.max_tokens is not above its limit, that the text is not too long and that the account"
            " has credit; the provider's console shows the request by its id."
        )

    def _too_late(self, *, may_be_billed: bool) -> Failure:
        return Failure(
            message=f"{self.service} gave no whole answer within {self._seconds:g} seconds. Raise"
            " language_model.timeout, or run again later: only what is missing is asked.",
            again=True,
            may_be_billed=may_be_billed,
        )

    def _malformed(self, what: str, *, may_be_billed: bool = False) -> Failure:
        return Failure(
            message=f"{self.service} answered what is no {what} of the Messages API. Check language_model.url, then run"
            " again: only what is missing is asked.",
            again=True,
            may_be_billed=may_be_billed,
        )


def _open_bedrock(region: str, arguments: dict[str, Any]) -> "AnthropicBedrock":
    from anthropic import AnthropicBedrock

    if find_spec("boto3") is None:  # the client signs by it, and would miss it only at the first call
        raise SettingsError(
            "language_model.provider is 'bedrock' but boto3 is not installed; run: pip install 'anthropic[bedrock]'"
        )
    try:
        return AnthropicBedrock(aws_region=region or None, **arguments)
    except ValueError:
        raise SettingsError(
            "language_model.provider is 'bedrock' but there is no region; set language_model.region or AWS_REGION."
        ) from None


def _object(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


def _reply(message: Any, *, latency: float | None = None) -> Reply | None:
    """Read a message of the API; None where it is none."""
    if not isinstance(message, dict) or message.get("type") != "message":
        return None
    try:
        usage = message["usage"]
        cached = (usage.get("cache_creation_input_tokens") or 0) + (usage.get("cache_read_input_tokens") or 0)
        return Reply(
            text="".join(block["text"] for block in message["content"] if block["type"] == "text"),
            stop_reason=cast("str | None", message.get("stop_reason")),
            input_tokens=int(usage["input_tokens"]) + cached,
            output_tokens=int(usage["output_tokens"]),
            message_id=message.get("id"),
            latency=latency,
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds of a Retry-After header, which is a number or a date."""
    value = headers.get("retry-after", "")
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        when = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (when - datetime.now(when.tzinfo)).total_seconds())


def _word(text: object) -> str:
    """Keep a name that a service gave to letters, digits and _-, and short: it goes to logs."""
    return "".join(c for c in str(text)[:60] if c.isalnum() or c in "_-")
