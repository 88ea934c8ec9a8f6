"""A server on loopback that answers as Tavily's search does, and misbehaves when told to."""

import json
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "tvly-secret-0123456789abcdef"


@dataclass
class Result:
    """One article that the service knows.

    Parameters
    ----------
    published
        A moment with a zone, or None: topic finance does not always say.
    found_for
        Day for which it is found.
    """

    ticker: str
    found_for: date
    title: str
    content: str
    published: datetime | None = None
    raw_content: str | None = None


class FakeTavily:
    """What the server knows, and what was asked of it.

    Attributes
    ----------
    replies
        Replies to give before the true one, in order: a status; (status, headers); bytes with status 200; "hang up",
        "silence" or "drip".
    asked
        The body of every request, with `at`: when it came.
    """

    def __init__(self) -> None:
        self.url = ""
        self.results: list[Result] = []
        self.replies: deque[Any] = deque()
        self.always: Any = None
        self.asked: list[dict[str, Any]] = []
        self.keys: set[str] = set()
        self.lock = threading.Lock()

    def add(self, ticker: str, found_for: date, title: str, content: str = "", **others: Any) -> None:
        self.results.append(Result(ticker, found_for, title, content, **others))

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """(ticker, day) of every request, sorted."""
        return sorted((entry["query"].split()[0], entry["start_date"]) for entry in self.asked)

    def answer(self, question: dict[str, Any]) -> dict[str, Any]:
        first, last = date.fromisoformat(question["start_date"]), date.fromisoformat(question["end_date"])
        ticker = question["query"].split()[0]
        found = [r for r in self.results if r.ticker == ticker and first <= r.found_for <= last]
        results = []
        for number, result in enumerate(found[: question["max_results"]]):
            entry = {
                "url": f"https://example.com/{ticker}/{number}",
                "title": result.title,
                "content": result.content,
                "score": round(0.9 - number / 100, 4),
                "raw_content": result.raw_content if question["include_raw_content"] else None,
            }
            if result.published:
                entry["published_date"] = format_datetime(result.published)
            results.append(entry)
        return {
            "query": question["query"],
            "follow_up_questions": None,
            "answer": f"News of {ticker}." if question["include_answer"] else None,
            "images": [],
            "results": results,
            "response_time": 1.21,
            "request_id": "123e4567-e89b-12d3-a456-426614174111",
        }


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, tavily: FakeTavily) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.tavily = tavily


class _Handler(BaseHTTPRequestHandler):
    wbufsize = -1  # one packet an answer: two would wait for each other's acknowledgement
    server: "_Server"
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments: Any) -> None:
        pass

    def do_POST(self) -> None:
        tavily = self.server.tavily
        question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with tavily.lock:
            tavily.asked.append({**question, "at": time.time()})
            tavily.keys.add(self.headers["Authorization"])
            reply = tavily.replies.popleft() if tavily.replies else tavily.always
        status, headers = (reply if isinstance(reply, tuple) else (reply, {})) if reply else (200, {})
        if reply == "hang up":
            self._start(200, {"Content-Length": "1000"})
            self.wfile.write(b'{"query":')
            self.close_connection = True
        elif reply == "silence":
            time.sleep(1.0)
            self.close_connection = True
        elif reply == "drip":
            self._start(200, {"Content-Length": "1000"})
            try:
                for _ in range(100):
                    self.wfile.write(b" ")
                    self.wfile.flush()
                    time.sleep(0.05)
            except OSError:
                pass  # the client hung up, as it should
            self.close_connection = True
        elif isinstance(reply, bytes):
            self._send(200, reply)
        elif status != 200:
            # As Tavily words it; the key is in no answer, but a proxy in between may repeat the header.
            self._send(status, json.dumps({"detail": {"error": f"refused {KEY}"}}).encode(), headers)
        else:
            self._send(200, json.dumps(tavily.answer(question)).encode())

    def _start(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        for name, text in headers.items():
            self.send_header(name, text)
        self.end_headers()

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self._start(status, {"Content-Length": str(len(body)), **(headers or {})})
        self.wfile.write(body)


@contextmanager
def fake_tavily() -> Iterator[FakeTavily]:
    """Serve on a free port; `url` is where."""
    tavily = FakeTavily()
    server = _Server(tavily)
    tavily.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield tavily
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
