"""A server on loopback that answers as Yahoo Finance does, and a yfinance session that talks to it instead."""

import json
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import prod
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")
OPENING, CLOSING = timedelta(hours=9, minutes=30), timedelta(hours=16)


@dataclass
class Company:
    """A listed company; prices as traded: session -> (open, high, low, close, volume)."""

    bars: dict[date, tuple[float | None, float | None, float | None, float | None, float | None]]
    dividends: dict[date, float] = field(default_factory=dict)
    splits: dict[date, float] = field(default_factory=dict)


def at(session: date, clock: timedelta = OPENING) -> int:
    """Epoch second of a time of day in New York."""
    return int((datetime(session.year, session.month, session.day, tzinfo=NEW_YORK) + clock).timestamp())


class FakeYahoo:
    """What the server knows, and what was asked of it.

    Attributes
    ----------
    now
        The moment at which every answer is given; later bars and events are not known yet.
    replies
        Symbol -> replies to give before the true one: a status code, bytes to send with status 200, a function that
        spoils the true answer, or "hang up".
    asked
        (symbol, period1, period2) of each chart request.
    """

    def __init__(self) -> None:
        self.companies: dict[str, Company] = {}
        self.now = datetime(2024, 6, 28, 20, tzinfo=NEW_YORK)
        self.replies: dict[str, deque[Any]] = {}
        self.asked: list[tuple[str, int, int]] = []
        self.visited: list[str] = []

    def reply_with(self, symbol: str, *replies: Any) -> None:
        """Queue replies that come before the true one."""
        self.replies.setdefault(symbol, deque()).extend(replies)

    def chart(self, symbol: str, first: int, last: int) -> dict[str, Any]:
        """Return the true answer, adjusted for every split up to now, as Yahoo's is."""
        company = self.companies.get(symbol)
        if company is None:
            problem = {"code": "Not Found", "description": "No data found, symbol may be delisted"}
            return {"chart": {"result": None, "error": problem}}
        today = self.now.date()
        splits = {d: ratio for d, ratio in company.splits.items() if d <= today}
        sessions = [d for d in sorted(company.bars) if d <= today and first <= at(d) < last]
        columns = _adjusted(company, sessions, splits)
        events: dict[str, Any] = {}
        for d, amount in company.dividends.items():
            if d <= today and first <= at(d) < last:
                entry = {"amount": amount / _factor(splits, d), "date": at(d)}
                events.setdefault("dividends", {})[str(at(d))] = entry
        for d, ratio in splits.items():
            if first <= at(d) < last:
                up, down = (ratio, 1) if ratio >= 1 else (1, round(1 / ratio))
                entry = {"date": at(d), "numerator": up, "denominator": down, "splitRatio": f"{up}:{down}"}
                events.setdefault("splits", {})[str(at(d))] = entry
        regular = {"timezone": "EDT", "gmtoffset": -14400, "start": at(today), "end": at(today, CLOSING)}
        result = {
            "meta": {
                "currency": "USD",
                "symbol": symbol,
                "exchangeName": "NMS",
                "instrumentType": "EQUITY",
                "firstTradeDate": at(min(company.bars)),
                "gmtoffset": -14400,
                "timezone": "EDT",
                "exchangeTimezoneName": "America/New_York",
                "currentTradingPeriod": {"regular": regular},
                "dataGranularity": "1d",
                "validRanges": ["1d", "5d", "max"],
            },
            "timestamp": [at(d) for d in sessions],
            "indicators": {"quote": [columns], "adjclose": [{"adjclose": columns["close"]}]},
        }
        if events:
            result["events"] = events
        if not sessions:
            del result["timestamp"]
            result["indicators"] = {"quote": [{}], "adjclose": [{}]}
        return {"chart": {"result": [result], "error": None}}


def _factor(splits: dict[date, float], session: date) -> float:
    return prod(ratio for ex_date, ratio in splits.items() if ex_date > session)


def _adjusted(company: Company, sessions: list[date], splits: dict[date, float]) -> dict[str, list[float | None]]:
    columns: dict[str, list[float | None]] = {name: [] for name in ("open", "high", "low", "close", "volume")}
    for session in sessions:
        for name, value in zip(columns, company.bars[session], strict=True):
            by = _factor(splits, session) if name == "volume" else 1 / _factor(splits, session)
            columns[name].append(None if value is None else value * by)
    return columns


class _Server(ThreadingHTTPServer):
    def __init__(self, yahoo: FakeYahoo) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.yahoo = yahoo


class _Handler(BaseHTTPRequestHandler):
    wbufsize = -1  # one packet an answer: two would wait for each other's acknowledgement
    server: "_Server"
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments: Any) -> None:
        pass

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        host, _, path = parts.path.lstrip("/").partition("/")
        self.server.yahoo.visited.append(f"{host}/{path}")
        if path.startswith("v8/finance/chart/"):
            self._chart(unquote(path.rpartition("/")[2]), parse_qs(parts.query))
        elif path == "v1/test/getcrumb":
            self._send(200, b"crumb123", kind="text/plain")
        else:  # fc.yahoo.com sets the cookie with a 404; the consent pages hold no form here
            self._send(404 if host.startswith("fc.") else 200, b"<html></html>", kind="text/html")

    def _chart(self, symbol: str, query: dict[str, list[str]]) -> None:
        first, last = int(query["period1"][0]), int(query["period2"][0])
        self.server.yahoo.asked.append((symbol, first, last))
        answer = self.server.yahoo.chart(symbol, first, last)
        waiting = self.server.yahoo.replies.get(symbol)
        reply = waiting.popleft() if waiting else None
        if reply == "hang up":
            # In the middle of the body: a connection closed before it is silently opened again by curl.
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"{")
            self.close_connection = True
        elif isinstance(reply, int):
            self._send(reply, b"Too Many Requests\r\n" if reply == 429 else b"error", kind="text/plain")
        elif isinstance(reply, bytes):
            self._send(200, reply)
        else:
            if reply is not None:
                reply(answer["chart"]["result"][0])
            self._send(404 if answer["chart"]["error"] else 200, json.dumps(answer).encode())

    def _send(self, status: int, body: bytes, *, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if status == 404 and kind == "text/html":
            self.send_header("Set-Cookie", "A3=cookie; Path=/")
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def fake_yahoo(folder: Path) -> Iterator[FakeYahoo]:
    """Serve, and let yfinance talk to the server only; every host is the first part of the path there.

    Parameters
    ----------
    folder
        Where yfinance may keep its cookie cache.
    """
    import yfinance
    from curl_cffi import requests
    from yfinance.data import YfData

    yahoo = FakeYahoo()
    server = _Server(yahoo)
    address = f"http://127.0.0.1:{server.server_address[1]}"

    class LoopbackSession(requests.Session):
        def request(self, method: str, url: str, **arguments: Any) -> Any:
            parts = urlsplit(url)
            there = f"{address}/{parts.hostname}{quote(unquote(parts.path))}"
            return super().request(method, f"{there}?{parts.query}" if parts.query else there, **arguments)

    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yfinance.set_tz_cache_location(str(folder))
    data = YfData()
    usual = data._session
    session = LoopbackSession()
    try:
        data._set_session(session)
        data._cookie = data._crumb = None
        data._cookie_strategy = "basic"
        yield yahoo
    finally:
        data._set_session(usual)
        data._cookie = data._crumb = None
        session.close()
        server.shutdown()
        server.server_close()
        thread.join()
