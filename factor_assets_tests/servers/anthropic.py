"""A server on loopback that answers as Anthropic's Messages API does, after a fixed time, and misbehaves on demand."""

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from factor_assets.document_columns import SCORES

KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}
HANG_UP, HANG, DRIP, CLOSE = "hang up", "hang", "drip", "close"

SENTIMENT = {"sentiment": 0.4, "confidence": 0.8, "reason": "orders rose"}
TOPIC = {
    "rating": 6.5,
    "justification": "as written on page 3",
    "key_figures": [{"name": "revenue", "value": "$ 12 million in 2023"}],
    "year_over_year": "revenue rose",
    "confidence": 0.7,
}
RATINGS = dict.fromkeys(SCORES, TOPIC)


def true_answer(parameters: dict[str, Any]) -> str:
    """Return a valid answer to what is asked."""
    is_sentiment = "sentiment" in parameters["output_config"]["format"]["schema"]["properties"]
    return json.dumps(SENTIMENT if is_sentiment else RATINGS)


@dataclass
class Batch:
    """A batch that was made."""

    id: str
    created_at: datetime
    requests: list[dict[str, Any]]
    looked_at: int = 0


@dataclass
class FakeAnthropic:
    """What the server does, and what was asked of it.

    Parameters
    ----------
    latency
        Seconds until an answer.
    answer
        Parameters of a request -> text of the answer.
    replies
        Replies before the true one, whatever is asked: a status, (status, headers), bytes to send with status 200, a
        dict of fields of the message to change, or HANG_UP (in mid body), CLOSE (before it), HANG (says nothing) and
        DRIP (a byte at a time).
    looks
        How often a batch is looked at before it has ended.
    results
        custom_id -> result of a batch, in place of a success.

    Attributes
    ----------
    asked
        Parameters of each request for a message, in batches too.
    billed
        Ids of messages that were made, whether or not they arrived.
    delivered
        Ids of messages whose last byte was written.
    """

    latency: float = 0.0
    answer: Callable[[dict[str, Any]], str] = true_answer
    replies: deque[Any] = field(default_factory=deque)
    looks: int = 1
    results: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[dict[str, Any]] = field(default_factory=list)
    requests: list[tuple[float, str, str]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    billed: list[str] = field(default_factory=list)
    delivered: list[str] = field(default_factory=list)
    batches: dict[str, Batch] = field(default_factory=dict)
    at_once: int = 0
    most_at_once: int = 0
    address: str = ""
    closing: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def message(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """Make a message, which is billed."""
        with self.lock:
            self.asked.append(parameters)
            name = f"msg_{len(self.billed):06d}"
            self.billed.append(name)
        text = self.answer(parameters)
        return {
            "id": name,
            "type": "message",
            "role": "assistant",
            "model": parameters.get("model", "of the path"),
            "content": [{"type": "text", "text": text}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "stop_details": None,
            "usage": {
                "input_tokens": len(json.dumps(parameters)) // 4,
                "output_tokens": len(text) // 4,
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 0,
                "service_tier": "standard",
            },
        }

    def shown(self, batch: Batch) -> dict[str, Any]:
        """Return a batch as the API shows it."""
        ended = batch.looked_at > self.looks
        counts = dict.fromkeys(("processing", "succeeded", "errored", "canceled", "expired"), 0)
        counts["succeeded" if ended else "processing"] = len(batch.requests)
        return {
            "id": batch.id,
            "type": "message_batch",
            "processing_status": "ended" if ended else "in_progress",
            "request_counts": counts,
            "created_at": batch.created_at.isoformat(),
            "expires_at": (batch.created_at + timedelta(days=1)).isoformat(),
            "ended_at": datetime.now(UTC).isoformat() if ended else None,
            "archived_at": None,
            "cancel_initiated_at": None,
            "results_url": f"{self.address}/v1/messages/batches/{batch.id}/results" if ended else None,
        }


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, api: FakeAnthropic) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.api = api

    def handle_error(self, *arguments: Any) -> None:
        pass  # a client that was killed or gave up


class _Handler(BaseHTTPRequestHandler):
    wbufsize = -1  # one packet an answer: two would wait for each other's acknowledgement
    server: "_Server"
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments: Any) -> None:
        pass

    def do_GET(self) -> None:
        api, parts = self.server.api, urlsplit(self.path)
        api.requests.append((time.monotonic(), "GET", parts.path))
        if self._misbehaved(dict):
            return
        names = parts.path.removeprefix("/v1/messages/batches").strip("/").split("/")
        if names == [""]:
            after = parse_qs(parts.query).get("after_id", [""])[0]
            batches = sorted(api.batches.values(), key=lambda b: b.id, reverse=True)
            batches = [b for b in batches if not after or b.id < after]
            page = [api.shown(b) for b in batches[:2]]
            self._send(
                200,
                {
                    "data": page,
                    "has_more": len(batches) > 2,
                    "first_id": page[0]["id"] if page else None,
                    "last_id": page[-1]["id"] if page else None,
                },
            )
        elif names[0] not in api.batches:
            self._error(404)
        elif names[1:] == ["results"]:
            lines = [self._result(request) for request in reversed(api.batches[names[0]].requests)]
            self._send(200, "".join(json.dumps(line) + "\n" for line in lines).encode(), kind="application/x-jsonl")
        else:
            api.batches[names[0]].looked_at += 1
            self._send(200, api.shown(api.batches[names[0]]))

    def do_POST(self) -> None:
        api = self.server.api
        path = urlsplit(self.path).path
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with api.lock:
            api.requests.append((time.monotonic(), "POST", path))
            api.headers.append({k.lower(): v for k, v in self.headers.items()})
            api.at_once += 1
            api.most_at_once = max(api.most_at_once, api.at_once)
        try:
            if path == "/v1/messages/batches":
                self._make_batch(body)
            elif path == "/v1/messages" or path.endswith("/invoke"):
                self._answer(body)
            else:
                self._error(404)
        finally:
            with api.lock:
                api.at_once -= 1

    def _answer(self, parameters: dict[str, Any]) -> None:
        api = self.server.api
        if self._misbehaved(lambda: api.message(parameters)):
            return
        api.closing.wait(api.latency)
        message = api.message(parameters)
        self._send(200, message)
        api.delivered.append(message["id"])

    def _make_batch(self, body: dict[str, Any]) -> None:
        api = self.server.api

        def make() -> dict[str, Any]:
            batch = Batch(f"msgbatch_{len(api.batches):04d}", datetime.now(UTC), body["requests"])
            api.batches[batch.id] = batch
            return api.shown(batch)

        if not self._misbehaved(make):
            self._send(200, make())

    def _result(self, request: dict[str, Any]) -> dict[str, Any]:
        api, name = self.server.api, request["custom_id"]
        result = api.results.get(name)
        if result is None:
            # The same message however often results are fetched.
            result = api.results[name] = {"type": "succeeded", "message": api.message(request["params"])}
        return {"custom_id": name, "result": result}

    def _misbehaved(self, make: Callable[[], dict[str, Any]]) -> bool:
        api = self.server.api
        with api.lock:
            reply = api.replies.popleft() if api.replies else None
        if reply is None:
            return False
        if isinstance(reply, int):
            self._error(reply)
        elif isinstance(reply, tuple):
            self._error(reply[0], reply[1])
        elif isinstance(reply, bytes):
            make()
            self._send(200, reply)
        elif isinstance(reply, dict):
            message = make() | reply
            self._send(200, message)
            api.delivered.append(message["id"])
        else:
            self._cut(reply, json.dumps(make()).encode())
        return True

    def _cut(self, how: str, body: bytes) -> None:
        self.close_connection = True
        if how == CLOSE:
            return
        if how == HANG:
            self.server.api.closing.wait(30)
            return
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body) + 50))
        self.end_headers()
        if how == HANG_UP:
            self.wfile.write(body[:20])
            return
        for byte in body:
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
            if self.server.api.closing.wait(0.05):
                return
        self.server.api.closing.wait(5)

    def _error(self, status: int, headers: dict[str, str] | None = None) -> None:
        # As a careless service would: the message repeats what was sent.
        echo = f"not taken: {self.headers.get('authorization')} SECRET-TEXT"
        error = {"type": KINDS.get(status, "api_error"), "message": echo, "details": None}
        body = {"type": "error", "error": error, "request_id": "req_011abc"}
        self._send(status, body, headers={"request-id": "req_011abc", **(headers or {})})

    def _send(
        self, status: int, body: Any, *, kind: str = "application/json", headers: dict[str, str] | None = None
    ) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()


@contextmanager
def fake_anthropic(*, latency: float = 0.0) -> Iterator[FakeAnthropic]:
    """Serve; `address` of what is yielded is language_model.url."""
    api = FakeAnthropic(latency=latency)
    server = _Server(api)
    api.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield api
    finally:
        api.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()


def main() -> None:
    """Serve until standard input ends; print the address, and a line of what was asked whenever a line comes in."""
    import sys

    with fake_anthropic(latency=float(sys.argv[1])) as api:
        sys.stdout.write(f"{api.address}\n")
        sys.stdout.flush()
        for _ in sys.stdin:
            sys.stdout.write(f"{len(api.asked)} {api.most_at_once}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
