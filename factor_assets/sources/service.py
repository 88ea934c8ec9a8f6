"""`Service`: one polite HTTP client for the services that answer with JSON.

1. Wait for the turn that all processes of a home share (`SharedPace`).
2. Ask, with what is known of the last answer, so that an unchanged one costs nothing.
3. After 429, 5xx, a timeout, a cut connection or a body that is no JSON, wait longer each time and ask again.

What does not belong here: what a service's answers mean (`edgar.py`), and where they are kept (`storage/documents.py`).
"""

import json
import random
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from filelock import FileLock

from factor_assets.errors import ServiceError

if TYPE_CHECKING:
    import httpx

LONGEST_PAUSE_S = 120.0
"""Longest pause that is waited for, if the caller says nothing else; a longer one is a refusal."""

LONGEST_BACKOFF_S = 60.0
SLOWEST = 4
"""Times the timeout that a whole answer may take: a service that drips is as good as one that is silent."""

_SLACK = 1.05
"""Requests leave a little further apart than the rate says: some take longer to arrive than others."""

_STALE_S = 3600.0
_VALIDATORS = {"etag": "If-None-Match", "last-modified": "If-Modified-Since"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a service said.

    Parameters
    ----------
    outcome
        `unchanged` where the validators still hold, `absent` where there is nothing at the address.
    content
        The body, whole; empty unless `new`.
    validators
        Headers by which the next request can ask whether it changed.
    """

    outcome: Literal["new", "unchanged", "absent"]
    content: bytes = b""
    validators: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Trouble:
    """Why there is no answer: what happened, what to do, the wait that was asked for, whether asking again may help."""

    what: str
    remedy: str
    wait: float | None = None
    again: bool = True


class SharedPace:
    """Lets the processes of a home send at most `rate` requests in any second, together.

    The file holds the moment before which none may go. Whoever waits for it holds the lock, so that one that wakes
    late moves all that follow; a process that is killed lets go.

    Parameters
    ----------
    path
        The file; its folder is made.
    rate
        Requests per second.
    """

    def __init__(self, path: Path, rate: float) -> None:
        self._path, self._interval = path, _SLACK / rate

    def take(self, patience: float = LONGEST_PAUSE_S) -> float:
        """Wait until a request may go; return 0, or the seconds of a pause that is longer than the patience."""
        while True:
            with self._locked():
                wait = self._wait()
                if wait <= self._interval:
                    time.sleep(wait)
                    self._path.write_text(repr(time.time() + self._interval), encoding="ascii")
                    return 0.0
            # A pause that the service asked for: without the lock, for others may have less patience.
            if wait > patience:
                return wait
            time.sleep(wait)

    def pause(self, seconds: float) -> None:
        """Let no process ask before the seconds have passed."""
        with self._locked():
            self._path.write_text(repr(time.time() + max(seconds, self._wait())), encoding="ascii")

    def _locked(self) -> FileLock:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # A new lock each time: one object would let the threads of a process in together.
        return FileLock(f"{self._path}.lock", poll_interval=0.005)

    def _wait(self) -> float:
        try:
            wait = float(self._path.read_text(encoding="ascii")) - time.time()
        except (FileNotFoundError, ValueError):
            return 0.0  # the first request, or a writer that was killed
        # A clock that was set back must not stop everything.
        return max(0.0, wait) if wait < _STALE_S else 0.0


class Service:
    """One service, asked politely. Use one object a thread.

    Parameters
    ----------
    name
        As messages call it.
    section
        Section of the settings that holds its limits, for the remedies in messages.
    home
        Folder whose processes share the rate limit.
    headers
        Sent with each request and never shown: contact or key.
    refused
        What to do when the service answers 401 or 403.
    requests_per_second, retries, timeout
        As in the settings.
    backoff
        Seconds before the first further attempt; they double.
    patience
        Longest pause in seconds that is waited for when the service asks for one.
    wants_json
        Whether an answer that is no JSON is asked for again.
    """

    def __init__(
        self,
        name: str,
        *,
        section: str,
        home: Path,
        headers: Mapping[str, str],
        refused: str,
        requests_per_second: float,
        retries: int,
        timeout: float,
        backoff: float = 1.0,
        patience: float = LONGEST_PAUSE_S,
        wants_json: bool = True,
    ) -> None:
        # 0.1 s: whoever asks nobody does not pay.
        import httpx

        self.name = name
        self._section, self._refused, self._wants_json = section, refused, wants_json
        self._retries, self._timeout, self._backoff, self._patience = retries, timeout, backoff, patience
        self._pace = SharedPace(home / "pace" / name.lower().replace(" ", "_"), requests_per_second)
        # As bytes on one line: what the user wrote must not end up in an encoding error.
        safe = {key.encode(): " ".join(text.split()).encode() for key, text in headers.items()}
        self._client = httpx.Client(
            headers=safe, timeout=httpx.Timeout(timeout), limits=httpx.Limits(max_connections=1)
        )
        self._socket: socket.socket | None = None

    def get(self, url: str, *, validators: Mapping[str, str] | None = None) -> Answer:
        """Ask for a document.

        Parameters
        ----------
        url
            Without keys: it appears in logs.
        validators
            Those of the answer that is kept, if any.

        Raises
        ------
        ServiceError
            If the service refuses or does not answer in spite of retries; what to do is in the message.
        """
        conditions = {_VALIDATORS[name]: text for name, text in (validators or {}).items() if name in _VALIDATORS}
        attempts = 0
        while True:
            paused = self._pace.take(self._patience)
            if paused:
                raise ServiceError(f"{self.name} asked for a pause; {round(paused)} s of it are left. Ask again then.")
            found = self._once(url, conditions)
            attempts += 1
            if isinstance(found, Answer):
                return found
            if found.wait is not None:
                self._pace.pause(found.wait)
            if not found.again or attempts > self._retries:
                times = f", {attempts} times" if attempts > 1 else ""
                raise ServiceError(f"{self.name} {found.what}{times}. {found.remedy}")
            if found.wait is None:
                back_off(attempts, first=self._backoff)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _once(self, url: str, conditions: Mapping[str, str]) -> Answer | _Trouble:
        """Ask once. What httpx raises holds the request with its headers, so that none of it leaves this function."""
        import httpx

        late = threading.Event()
        timer = threading.Timer(SLOWEST * self._timeout, self._hang_up, [late])
        timer.daemon = True
        timer.start()
        try:
            request = self._client.build_request("GET", url, headers=conditions, extensions={"trace": self._trace})
            response = self._client.send(request)
        except httpx.TimeoutException:
            return self._too_slow()
        except httpx.InvalidURL:
            return _Trouble(
                "has an address that is none", f"Correct the addresses in the settings {self._section}.", again=False
            )
        except httpx.RequestError as error:
            if late.is_set():
                return self._too_slow()
            return _Trouble(
                f"could not be reached, or hung up ({type(error).__name__})",
                f"Check the network and the addresses in the settings {self._section}, or ask again later.",
            )
        finally:
            timer.cancel()
        return self._understood(response)

    def _understood(self, response: "httpx.Response") -> Answer | _Trouble:
        status = response.status_code
        if status == HTTPStatus.NOT_MODIFIED:
            return Answer("unchanged")
        if status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
            return Answer("absent")
        if status != HTTPStatus.OK:
            return self._refusal(response)
        content = response.content
        if self._wants_json and not _is_json(content):
            return _Trouble(
                "answered with something that is not JSON",
                "Ask again later; if it stays so, the service has changed or something in between answers for it.",
            )
        return Answer(
            "new", content, {name: response.headers[name] for name in _VALIDATORS if name in response.headers}
        )

    def _refusal(self, response: "httpx.Response") -> _Trouble:
        status = response.status_code
        wait = retry_after(response.headers)
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            what, remedy = "has had too many requests (HTTP 429)", f"Lower {self._section}.requests_per_second"
        elif status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            what, remedy = f"is in trouble (HTTP {status})", "What was stored is still there"
        else:
            remedy = self._refused if status in (401, 403) else f"Check the addresses in the settings {self._section}."
            return _Trouble(f"refused (HTTP {status})", remedy, again=False)
        too_long = wait is not None and wait > self._patience
        if wait is not None and too_long:
            what += f" and wants a pause of {round(wait)} s"
        return _Trouble(what, f"{remedy}; ask again later.", wait=wait, again=not too_long)

    def _too_slow(self) -> _Trouble:
        return _Trouble(
            f"did not answer in time ({self._timeout:g} s of silence, {SLOWEST * self._timeout:g} s in all)",
            f"Raise {self._section}.timeout, or ask again later.",
        )

    def _trace(self, event: str, told: Mapping[str, Any]) -> None:
        """Remember the socket of a new connection."""
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            self._socket = told["return_value"].get_extra_info("socket")

    def _hang_up(self, late: threading.Event) -> None:
        """End a request that drips: httpx limits each read, never the whole."""
        late.set()
        if self._socket is not None:
            try:
                self._socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                return  # it ended in this moment


def back_off(attempts: int, *, first: float) -> None:
    """Wait before a further attempt, twice as long each time.

    Parameters
    ----------
    attempts
        Made so far, at least 1.
    first
        Seconds before the second attempt.
    """
    longest = min(LONGEST_BACKOFF_S, first * 2.0 ** (attempts - 1))
    # Jitter: threads and processes that failed together must not come back together.
    time.sleep(longest * random.uniform(0.5, 1.0))  # noqa: S311 - no secret hangs on it


def _is_json(content: bytes) -> bool:
    try:
        json.loads(content)
    except ValueError:
        return False
    return True


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a service asks to wait: a number, or a date; None where it does not say.

    Parameters
    ----------
    headers
        Of the answer; names without regard to case, as HTTP libraries keep them.
    """
    text = headers.get("retry-after", "").strip()
    if text.isdigit():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return None
