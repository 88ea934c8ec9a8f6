"""A server on loopback that answers as the SEC does, and misbehaves on demand."""

import hashlib
import json
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

CONTACT = "Ada Lovelace ada.lovelace@analytical-engine.example"


def submissions(
    cik: int, filings: Sequence[Mapping[str, Any]], *, files: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """Return what `submissions/CIK##########.json` holds of these filings."""
    return {
        "cik": f"{cik:010d}",
        "entityType": "operating",
        "name": f"Company {cik}",
        "fiscalYearEnd": "1231",
        "filings": {"recent": columns(filings), "files": list(files)},
    }


def columns(filings: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Return filings as the SEC writes them: a list a field."""
    empty = filing("", "", form="")
    return {name: [entry[name] for entry in filings] for name in empty}


def filing(accession: str, accepted: str, *, form: str = "10-Q", filed: str = "", **fields: Any) -> dict[str, Any]:
    """Return a filing; `accepted` as 2024-05-03T10:00:46."""
    return {
        "accessionNumber": accession,
        "filingDate": filed or accepted[:10],
        "reportDate": "2024-03-31",
        "acceptanceDateTime": f"{accepted}.000Z",
        "act": "34",
        "form": form,
        "fileNumber": "001-00001",
        "items": "",
        "size": 1000,
        "isXBRL": 1,
        "isInlineXBRL": 1,
        "primaryDocument": f"{accession}.htm",
        "primaryDocDescription": form,
        **fields,
    }


def company_facts(cik: int, assets: float = 100.0) -> dict[str, Any]:
    """Return what `companyfacts/CIK##########.json` holds of one number."""
    fact = {
        "end": "2024-03-31",
        "val": assets,
        "accn": f"{cik:010d}-24-000001",
        "fy": 2024,
        "fp": "Q1",
        "form": "10-Q",
        "filed": "2024-05-03",
        "frame": "CY2024Q1I",
    }
    entry = {"label": "Assets", "description": "", "units": {"USD": [fact]}}
    return {"cik": cik, "entityName": f"Company {cik}", "facts": {"us-gaap": {"Assets": entry}}}


@dataclass
class FakeEdgar:
    """What the server holds, and what was asked of it.

    Attributes
    ----------
    url
        Where it is.
    documents
        Path -> body.
    replies
        Path -> replies to give before the true one: a status code, (status code, headers), bytes to send with status
        200, "hang up" in the middle of the body, "silence", "drip" a byte at a time, or "drip headers".
    asked
        Moment (monotonic), path and headers of each request.
    """

    url: str = ""
    documents: dict[str, bytes] = field(default_factory=dict)
    replies: dict[str, deque[Any]] = field(default_factory=dict)
    asked: list[tuple[float, str, dict[str, str]]] = field(default_factory=list)
    validates: bool = True
    delay: float = 0.0
    ended: threading.Event = field(default_factory=threading.Event)

    def hold(self, path: str, content: Any) -> None:
        """Answer with the content, as JSON unless bytes, from now on."""
        self.documents[path] = content if isinstance(content, bytes) else json.dumps(content).encode()

    def list_companies(self, ciks: Mapping[str, int]) -> None:
        """Hold the list of companies."""
        entries = [{"cik_str": cik, "ticker": ticker, "title": f"Company {cik}"} for ticker, cik in ciks.items()]
        self.hold(COMPANY_TICKERS, {str(i): entry for i, entry in enumerate(entries)})

    def list_filings(self, cik: int, *filings: Mapping[str, Any]) -> None:
        """Hold the submissions of a company."""
        self.hold(submissions_path(cik), submissions(cik, filings))

    def reply_with(self, path: str, *replies: Any) -> None:
        """Queue replies that come before the true one."""
        self.replies.setdefault(path, deque()).extend(replies)

    def count(self) -> Counter[str]:
        """Return path -> requests."""
        return Counter(path for _, path, _ in self.asked)


COMPANY_TICKERS = "/files/company_tickers.json"


def submissions_path(cik: int) -> str:
    """Where the submissions of a company are."""
    return f"/submissions/CIK{cik:010d}.json"


def facts_path(cik: int) -> str:
    """Where the facts of a company are."""
    return f"/api/xbrl/companyfacts/CIK{cik:010d}.json"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, edgar: FakeEdgar) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.edgar = edgar

    def handle_error(self, *arguments: Any) -> None:
        """Say nothing of clients that hang up."""


class _Handler(BaseHTTPRequestHandler):
    wbufsize = -1  # one packet an answer: two would wait for each other's acknowledgement
    server: "_Server"
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments: Any) -> None:
        pass

    def do_GET(self) -> None:
        edgar = self.server.edgar
        edgar.asked.append((time.monotonic(), self.path, {k.lower(): v for k, v in self.headers.items()}))
        time.sleep(edgar.delay)
        waiting = edgar.replies.get(self.path)
        reply = waiting.popleft() if waiting else None
        body = edgar.documents.get(self.path)
        if reply == "silence":
            edgar.ended.wait(30)
            self.close_connection = True
        elif reply == "hang up":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
            self.close_connection = True
        elif reply == "drip":
            self._drip(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b"{" + b" " * 999)
        elif reply == "drip headers":
            self._drip(b"HTTP/1.1 200 OK\r\n", b"X-Padding: " + b"x" * 1000)
        elif isinstance(reply, int):
            self._send(reply, b"<html>Request Rate Threshold Exceeded</html>")
        elif isinstance(reply, tuple):
            self._send(reply[0], b"", **reply[1])
        elif isinstance(reply, bytes):
            self._send(200, reply)
        elif body is None:
            self._send(404, b"<?xml version='1.0'?><Error><Code>NoSuchKey</Code></Error>")
        else:
            etag = f'"{hashlib.md5(body).hexdigest()}"'
            if edgar.validates and self.headers.get("If-None-Match") == etag:
                self._send(304, b"", ETag=etag)
            else:
                self._send(200, body, **({"ETag": etag} if edgar.validates else {}))

    def _drip(self, first: bytes, rest: bytes) -> None:
        self.close_connection = True
        self.wfile.write(first)
        for byte in rest:
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
            if self.server.edgar.ended.wait(0.05):
                return

    def _send(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, text in headers.items():
            self.send_header(name.replace("_", "-"), text)
        if status != 304:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def fake_edgar() -> Iterator[FakeEdgar]:
    """Serve until the end of the block."""
    edgar = FakeEdgar()
    server = _Server(edgar)
    edgar.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield edgar
    finally:
        edgar.ended.set()
        server.shutdown()
        server.server_close()
        thread.join()
