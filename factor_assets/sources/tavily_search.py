"""`Search`: one request to Tavily through its own client, and what came of it in words that hold neither key nor text.

What does not belong here: when to ask again, and where answers are kept (`tavily.py`).
"""

import io
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from http import HTTPStatus
from threading import local
from typing import TYPE_CHECKING, Any

from factor_assets.sources.service import SLOWEST, retry_after

if TYPE_CHECKING:
    import requests
    from tavily import TavilyClient  # type: ignore[import-untyped]

PLAN_LIMITS = (432, 433)
"""Tavily's own statuses: the plan's or the key's limit of credits is reached."""

LONGEST_TIMEOUT_S = 120.0
"""What the client allows at most."""

_PIECE = 65536


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, byte for byte."""

    content: bytes


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why there is no answer.

    Parameters
    ----------
    wait
        Seconds that Tavily asked to wait.
    again
        Whether asking again may help.
    is_final
        Whether every other request would fail like this one.
    """

    what: str
    remedy: str
    wait: float | None = None
    again: bool = True
    is_final: bool = False


class Search:
    """Tavily's search, topic finance and depth advanced. Threads may share it.

    Parameters
    ----------
    key
        Sent in a header, and nowhere else.
    timeout
        Seconds of silence after which a request has failed; the whole of it may take `SLOWEST` times as long.
    """

    def __init__(self, *, key: str, url: str, timeout: float) -> None:
        self._key, self._url = key, url.rstrip("/")
        self._timeout = min(timeout, LONGEST_TIMEOUT_S)
        self._threads = local()

    def prepare(self) -> None:
        """Make the thread's client, which takes a while, before the request has its turn."""
        self._client()

    def ask(self, query: str, *, day: date, max_results: int) -> Reply | Trouble:
        """Ask once for what was published on a day.

        What the client and its transport raise holds the request with its headers, so that none of it leaves this
        method.
        """
        import requests
        from tavily.errors import TimeoutError as ClientTimeoutError  # type: ignore[import-untyped]
        from urllib3.exceptions import TimeoutError as TransportTimeoutError

        client = self._client()
        self._threads.response, self._threads.began = None, time.monotonic()
        try:
            client.search(
                query,
                topic="finance",
                search_depth="advanced",
                max_results=max_results,
                include_answer=True,
                include_raw_content=True,
                start_date=day.isoformat(),
                end_date=day.isoformat(),
                timeout=self._timeout,
            )
        except (_TooSlowError, requests.Timeout, ClientTimeoutError, TransportTimeoutError):
            return self._too_slow()
        except Exception as error:  # noqa: BLE001 - the client's own classes, the transport's, and those of strange JSON
            # Where there is an answer, it says itself what is wrong with it.
            if self._threads.response is None:
                return Trouble(
                    f"could not be reached, or hung up ({type(error).__name__})",
                    "Check the network and news.url, or ask again later.",
                )
        return self._understood()

    def _client(self) -> "TavilyClient":
        if not hasattr(self._threads, "client"):
            import requests
            from tavily import TavilyClient

            session = requests.Session()
            session.hooks["response"].append(self._remember)
            self._threads.client = TavilyClient(self._key, api_base_url=self._url, session=session)
        client: TavilyClient = self._threads.client
        return client

    def _remember(self, response: "requests.Response", **_: Any) -> "requests.Response":
        """Read the body before the client does: byte for byte, and not longer than a whole answer may take."""
        pieces = []
        # The transport's own limit is for each read: a service that drips would hold the request for ever.
        while piece := response.raw.read1(_PIECE, decode_content=True):
            pieces.append(piece)
            if time.monotonic() - self._threads.began > SLOWEST * self._timeout:
                response.raw.close()
                raise _TooSlowError
        response.raw.release_conn()
        content = b"".join(pieces)
        response.raw = io.BytesIO(content)
        self._threads.response = (response.status_code, content, response.headers)
        return response

    def _understood(self) -> Reply | Trouble:
        status, content, headers = self._threads.response
        if status == HTTPStatus.OK:
            return _read(content)
        return _refusal(status, headers)

    def _too_slow(self) -> Trouble:
        return Trouble(
            f"did not answer in time ({self._timeout:g} s of silence, {SLOWEST * self._timeout:g} s in all)",
            "Raise news.timeout, or ask again later.",
        )


class _TooSlowError(Exception):
    """The answer drips."""


def _read(content: bytes) -> Reply | Trouble:
    try:
        answer = json.loads(content)
    except ValueError:
        return Trouble(
            "answered with something that is not JSON",
            "Ask again later; if it stays so, the service has changed or something in between answers for it.",
        )
    if not isinstance(answer, dict) or not isinstance(answer.get("results"), list):
        return Trouble(
            "answered without a list of results", "Ask again later; if it stays so, the service has changed."
        )
    return Reply(content)


def _refusal(status: int, headers: Mapping[str, str]) -> Trouble:
    wait = retry_after(headers)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return Trouble(
            "has had too many requests (HTTP 429)", "Lower news.requests_per_second, or ask again later.", wait=wait
        )
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Trouble(f"is in trouble (HTTP {status})", "What was stored is still there; ask again later.", wait=wait)
    if status in PLAN_LIMITS:
        remedy = "The plan's credits are used up: raise the limit at Tavily, or wait until it is renewed."
    elif status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        remedy = "Check the environment variable TAVILY_API_KEY, and what its plan allows."
    else:
        return Trouble(f"refused (HTTP {status})", "Check news.url and news.max_results.", again=False)
    return Trouble(f"refused (HTTP {status})", remedy, again=False, is_final=True)
