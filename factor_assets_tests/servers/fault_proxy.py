"""A proxy on loopback in front of any HTTP server, which fails on demand: S3 and ClickHouse on their bad days.

`fail` gives a script: what happens to the next requests, one entry a request. `chaos` draws faults from a seed instead.
Both leave alone what `only` does not choose. `pretend` changes what is said: for a server that lacks something,
refuses, or has another clock.

It runs in a process of its own, `python -m factor_assets_tests.servers.fault_proxy <url>`: a library that waits for an
answer without letting other threads of its process run would wait for ever.
"""

import json
import random
import re
import subprocess
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import format_datetime, parsedate_to_datetime
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

FaultKind = Literal["500", "503", "drop before", "drop after", "truncate", "delay"]
FAULTS: tuple[FaultKind, ...] = ("500", "503", "drop before", "drop after", "truncate", "delay")
"""An error before the server sees the request; a connection dropped before or after it does; half of its answer; and
its answer `delay_s` later."""

REPOSITORY = Path(__file__).resolve().parents[2]
_OF_ONE_CONNECTION = {"connection", "keep-alive", "transfer-encoding", "content-length"}


class FaultProxy:
    """The running proxy, as a test sees it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._lock = threading.Lock()
        self.url: str = self._say({})["url"]

    def fail(self, *faults: FaultKind | None, only: str = "") -> None:
        """Let the next requests meet these faults, in order; None lets one through.

        Parameters
        ----------
        only
            Pattern that is searched in "METHOD /path?query"; requests without it count for nothing.
        """
        self._say({"faults": faults, "only": only, "share": 0.0})

    def chaos(self, *, seed: int, share: float, kinds: Sequence[FaultKind] = FAULTS, only: str = "") -> None:
        """Let a share of the requests from now on meet a fault, drawn from a seed; a share of 0 ends it."""
        self._say({"seed": seed, "share": share, "kinds": list(kinds), "only": only, "faults": []})

    def pretend(
        self, *, without: Sequence[str] = (), ahead_s: float = 0.0, answers: Mapping[str, tuple[int, str]] | None = None
    ) -> None:
        """Change what is said from now on.

        Parameters
        ----------
        without
            Request headers that the server does not get to see, in lower case.
        ahead_s
            How far the server's clock is ahead in its answers, in seconds.
        answers
            Pattern, as in `fail` -> status and body that are given in the server's stead.
        """
        self._say({"without": list(without), "ahead_s": ahead_s, "answers": dict(answers or {})})

    @property
    def delay_s(self) -> float:
        """Seconds of the fault "delay"."""
        return float(self._say({})["delay_s"])

    @delay_s.setter
    def delay_s(self, seconds: float) -> None:
        self._say({"delay_s": seconds})

    @property
    def seen(self) -> list[str]:
        """ "METHOD /path?query" of every request so far, in order."""
        return [*self._say({"seen": None})["seen"]]

    @property
    def happened(self) -> Counter[str]:
        """How often each fault happened so far."""
        return Counter(self._say({})["happened"])

    def _say(self, change: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._lock:
            self._process.stdin.write(json.dumps(change) + "\n")
            self._process.stdin.flush()
            answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer


@contextmanager
def fault_proxy(server: str) -> Iterator[FaultProxy]:
    """Stand on a free port before `server`, a URL; `url` is where."""
    process = subprocess.Popen(
        [sys.executable, "-m", "factor_assets_tests.servers.fault_proxy", server],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield FaultProxy(process)
    finally:
        process.communicate()


@dataclass
class _Message:
    """A request, or an answer with `status`."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    status: int = 200


@dataclass
class _Orders:
    """What the proxy does, and what it has seen."""

    server: str
    url: str = ""
    faults: deque[FaultKind | None] = field(default_factory=deque)
    only: str = ""
    share: float = 0.0
    kinds: Sequence[FaultKind] = FAULTS
    draw: random.Random = field(default_factory=lambda: random.Random(0))
    delay_s: float = 0.3
    without: Sequence[str] = ()
    ahead_s: float = 0.0
    answers: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)
    happened: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def obey(self, change: dict[str, Any]) -> dict[str, Any]:
        with self.lock:
            if "seed" in change:
                self.draw = random.Random(change.pop("seed"))
            if "faults" in change:
                self.faults = deque(change.pop("faults"))
            answer: dict[str, Any] = {"seen": self.seen} if "seen" in change else {}
            change.pop("seen", None)
            for name, value in change.items():
                setattr(self, name, value)
            return {**answer, "url": self.url, "delay_s": self.delay_s, "happened": self.happened}

    def next_fault(self, request: str) -> FaultKind | None:
        with self.lock:
            self.seen.append(request)
            if not re.search(self.only, request):
                return None
            if self.faults:
                fault = self.faults.popleft()
            else:
                fault = self.draw.choice(self.kinds) if self.draw.random() < self.share else None
            if fault is not None:
                self.happened[fault] += 1
            return fault

    def answer_itself(self, request: str) -> _Message | None:
        for pattern, (status, body) in self.answers.items():
            if re.search(pattern, request):
                return _Message("", "", {"Content-Type": "application/xml"}, body.encode(), status=status)
        return None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, orders: _Orders) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.orders = orders


class _Handler(BaseHTTPRequestHandler):
    wbufsize = -1  # one packet an answer: two would wait for each other's acknowledgement
    disable_nagle_algorithm = True
    server: "_Server"
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments: Any) -> None:
        pass

    def _forward(self) -> None:
        orders = self.server.orders
        name = f"{self.command} {self.path}"
        try:
            request = _Message(self.command, self.path, dict(self.headers.items()), self._read_body())
            fault = orders.next_fault(name)
            if fault == "drop before":
                self.close_connection = True
            elif fault in ("500", "503"):
                body = b"<Error><Code>InternalError</Code><Message>out of order</Message></Error>"
                self._send(_Message(self.command, self.path, {}, body, status=int(fault)))
            else:
                answer = orders.answer_itself(name) or self._ask(request)
                if fault == "delay":
                    time.sleep(orders.delay_s)
                if fault == "drop after":
                    self.close_connection = True
                else:
                    if orders.ahead_s and "Date" in answer.headers:
                        moved = parsedate_to_datetime(answer.headers["Date"]) + timedelta(seconds=orders.ahead_s)
                        answer.headers["Date"] = format_datetime(moved, usegmt=True)
                    self._send(answer, truncated=fault == "truncate")
        except (OSError, HTTPException):
            # Either side is gone: the other one is told by a closed connection.
            self.close_connection = True

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_OPTIONS = _forward  # noqa: N815 the library's names

    def _read_body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        chunks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(chunks)

    def _ask(self, request: _Message) -> _Message:
        place = urlsplit(self.server.orders.server)
        connection = HTTPConnection(place.hostname or "", place.port, timeout=600)
        try:
            headers = {
                k: v
                for k, v in request.headers.items()
                if k.lower() not in {*_OF_ONE_CONNECTION, *self.server.orders.without}
            }
            if request.body or request.method in ("PUT", "POST"):
                headers["Content-Length"] = str(len(request.body))
            connection.putrequest(request.method, request.path, skip_host=True, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name, value)
            connection.endheaders(request.body or None)
            answer = connection.getresponse()
            kept = {k: v for k, v in answer.getheaders() if k.lower() not in _OF_ONE_CONNECTION}
            if request.method == "HEAD" and answer.getheader("Content-Length"):
                kept["Content-Length"] = answer.getheader("Content-Length", "")
            return _Message(request.method, request.path, kept, answer.read(), status=answer.status)
        finally:
            connection.close()

    def _send(self, answer: _Message, *, truncated: bool = False) -> None:
        self.send_response_only(answer.status)
        if self.command != "HEAD" and answer.status not in (204, 304):
            answer.headers["Content-Length"] = str(len(answer.body))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body[: len(answer.body) // 2] if truncated else answer.body)
        self.wfile.flush()
        if truncated:
            self.close_connection = True


def main() -> None:
    orders = _Orders(sys.argv[1])
    server = _Server(orders)
    orders.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for line in sys.stdin:
        sys.stdout.write(json.dumps(orders.obey(json.loads(line))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
