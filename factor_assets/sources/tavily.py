"""The news source `tavily`: what Tavily finds for a ticker and a day, asked once and kept as delivered.

1. A day is a day in UTC. One that is over is kept at `news/tavily/<ticker>/<day>.json` and never asked for again: every
   request is paid.
2. A day that is not over is kept at `news/tavily/<ticker>/<day>T<hhmmss>Z.json`, by the moment at which it was asked.
   It is asked for again once a session has closed since, and for the last time when it is over. The articles of a day
   are those of all these answers.
3. An article that names no date of its own was published on the day that was asked for; one that names another day
   keeps its date (`panel/news.py` leaves out those that are older than the session of the day).
4. `content`, the extract that fits the question, is the text; the page (`raw_content`) stands in only where there is no
   extract: it holds menus and the headlines of other articles.
5. After `news.max_requests` requests a client asks no more, further attempts included; what is left waits for the next
   run.

Tavily filters by the day of publication or of the last change, so that a backfill may find a page that was changed
later on the same day, and nothing that has left its index. What does not belong here: sessions (`panel/news.py`).
"""

import json
import math
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import Any, Literal, get_args
from urllib.parse import quote
from zoneinfo import ZoneInfo

import pyarrow as pa

from factor_assets.errors import ServiceError
from factor_assets.settings import NewsSettings
from factor_assets.sources.articles import ARTICLES, Articles, read_publication
from factor_assets.sources.headlines import NO_TEXT
from factor_assets.sources.service import LONGEST_PAUSE_S, SharedPace, back_off
from factor_assets.sources.tavily_search import Reply, Search
from factor_assets.storage.documents import Documents

PROVIDER = "tavily"
FOLDER = "news/tavily"
KEY_VARIABLE = "TAVILY_API_KEY"
AT_ONCE = 4
"""Requests under way together; an advanced search takes seconds, and the pace is shared anyway."""

GIVE_UP_AFTER = 3
"""Requests that failed in a row, each with all its retries, after which the run asks no more."""

_NAME = re.compile(r"\d{4}-[01]\d-[0-3]\d(T\d{6}Z)?", re.ASCII)

MALFORMED = "an answer that cannot be read"

AT_ONCE_READ = 8
"""Answers that are read together: of a bucket, the time is waiting."""

Outcome = Literal["asked", "kept", "failed", "waiting"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
Kept = dict[tuple[str, date], list[str]]
"""Ticker and day -> names of the answers that are kept."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """What became of one ticker and day.

    Asked for now, or kept from before; failed, or waiting for the next run, with a reason.

    Parameters
    ----------
    name
        Under which an answer is kept that was asked for now.
    """

    ticker: str
    day: date
    outcome: Outcome
    reason: str = ""
    name: str = ""


class TavilyNews:
    """Tavily's news, asked politely; one object a run, for it counts the requests.

    Parameters
    ----------
    documents
        Where answers are kept.
    home
        Folder whose processes share the rate limit.
    clock
        The present moment, with a zone.
    """

    def __init__(
        self,
        settings: NewsSettings,
        documents: Documents,
        *,
        home: Path,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        backoff: float = 1.0,
    ) -> None:
        self._settings, self._documents = settings, documents
        self._pace = SharedPace(home / "pace" / "tavily", settings.requests_per_second)
        self._clock, self._backoff = clock, backoff
        self._lock = Lock()
        self._in_a_row = 0
        self._stopped = ""
        self._n_left = settings.max_requests

    def fetch(
        self, tickers: Sequence[str], days: Sequence[date], *, last_close: datetime, kept: Kept
    ) -> Iterator[Fetched]:
        """Ask for every ticker and day that is not kept, and keep the answers; the outcomes come as they are there.

        One that fails does not stop the others. After `GIVE_UP_AFTER` failures in a row, or when Tavily refuses the
        key, the rest fails without being asked for.

        Parameters
        ----------
        days
            Increasing; those that have not begun are left out.
        last_close
            When the last session closed: an answer for the day that is not over is good if it is later.
        kept
            As `kept_answers` found them; those that are kept now are added.

        Raises
        ------
        DocumentError
            If answers cannot be kept. Nothing more is asked then: it would be paid and lost.
        """
        now = self._clock()
        wanted: list[tuple[str, date]] = []
        for ticker in tickers:
            for day in (d for d in days if d <= now.date()):
                if _is_answered(kept.get((ticker, day), ()), day, over=day < now.date(), last_close=last_close):
                    yield Fetched(ticker, day, "kept")
                else:
                    wanted.append((ticker, day))
        if not wanted:
            return
        key = os.environ.get(KEY_VARIABLE, "").strip()
        if not key:
            reason = f"Tavily wants a key: set the environment variable {KEY_VARIABLE}."
            yield from (Fetched(ticker, day, "failed", reason) for ticker, day in wanted)
            return
        search = Search(key=key, url=self._settings.url, timeout=self._settings.timeout)
        pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="tavily")
        try:
            running = [pool.submit(self._fetch_one, search, ticker, day) for ticker, day in wanted]
            for done in as_completed(running):
                found = done.result()
                if found.name:
                    kept.setdefault((found.ticker, found.day), []).append(found.name)
                yield found
        finally:
            pool.shutdown(cancel_futures=True)

    def _fetch_one(self, search: Search, ticker: str, day: date) -> Fetched:
        if self._stopped:
            return Fetched(ticker, day, "failed", f"not asked for: {self._stopped}")
        if not self._spend():
            return Fetched(
                ticker,
                day,
                "waiting",
                f"the run has made the {self._settings.max_requests} requests of"
                " news.max_requests; the next run over these dates asks for the rest",
            )
        asked_at = self._clock()
        try:
            content = self._ask(search, ticker, day)
        except ServiceError as error:
            with self._lock:
                self._in_a_row += 1
                if self._in_a_row >= GIVE_UP_AFTER:
                    self._stopped = self._stopped or str(error)
            return Fetched(ticker, day, "failed", str(error))
        with self._lock:
            self._in_a_row = 0
        # By the moment of asking: an answer that came after midnight may lack the last minutes of the day.
        name = _name(day, asked_at)
        self._documents.put(_key(ticker, name), content)
        return Fetched(ticker, day, "asked", name=name)

    def _spend(self) -> bool:
        """Count one request; return whether it may be made. Those that failed count: who hung up may have been paid."""
        with self._lock:
            self._n_left -= 1
            return self._n_left >= 0

    def _ask(self, search: Search, ticker: str, day: date) -> bytes:
        """Return the answer as delivered; raise `ServiceError` where there is none in spite of retries."""
        search.prepare()
        attempts = 0
        while True:
            paused = self._pace.take()
            if paused:
                raise ServiceError(f"Tavily asked for a pause; {round(paused)} s of it are left. Ask again then.")
            found = search.ask(f"{ticker} stock news", day=day, max_results=self._settings.max_results)
            attempts += 1
            if isinstance(found, Reply):
                return found.content
            if found.is_final:
                self._stopped = self._stopped or f"Tavily {found.what}. {found.remedy}"
            too_long = found.wait is not None and found.wait > LONGEST_PAUSE_S
            if found.wait is not None:
                self._pace.pause(found.wait)
            if not found.again or too_long or attempts > self._settings.retries or not self._spend():
                times = f", {attempts} times" if attempts > 1 else ""
                asked = f" and wants a pause of {math.ceil(found.wait or 0)} s" if too_long else ""
                raise ServiceError(f"Tavily {found.what}{asked}{times}. {found.remedy}")
            if found.wait is None:
                back_off(attempts, first=self._backoff)


def kept_answers(documents: Documents, tickers: Sequence[str], *, first: date, last: date) -> Kept:
    """Return which answers are kept for the tickers and the days from first to last, both inclusive.

    Raises
    ------
    DocumentError
        If the answers cannot be listed.
    """
    kept: Kept = {}
    for ticker in tickers:
        # A listing can begin in the middle: the answers of years before are not listed for a day.
        before = f"{_folder(ticker)}/{first - timedelta(days=1)}U"
        for info in documents.list(_folder(ticker), after=before):
            name = info.key.rpartition("/")[2].removesuffix(".json")
            if (day := _day_of(name)) and first <= day <= last:
                kept.setdefault((ticker, day), []).append(name)
    return kept


def read_answers(documents: Documents, tickers: Sequence[str], days: Sequence[date], *, kept: Kept) -> Articles:
    """Return the articles of all answers that are kept for the tickers and days.

    Raises
    ------
    DocumentError
        If the answers cannot be read.
    """
    rows: list[dict[str, Any]] = []
    dropped: Counter[str] = Counter()
    wanted = [(ticker, day, name) for ticker in tickers for day in days for name in sorted(kept.get((ticker, day), ()))]
    with ThreadPoolExecutor(AT_ONCE_READ) as pool:
        contents = pool.map(lambda one: documents.get(_key(one[0], one[2])), wanted)
        for (ticker, day, _), content in zip(wanted, contents, strict=True):
            rows += _articles(content, ticker=ticker, day=day, dropped=dropped)
    return Articles(pa.Table.from_pylist(rows, schema=ARTICLES), dropped)


def _articles(content: bytes, *, ticker: str, day: date, dropped: Counter[str]) -> Iterator[dict[str, Any]]:
    try:
        results = json.loads(content)["results"]
        found = [result for result in results if isinstance(result, dict)]
    except (ValueError, KeyError, TypeError):
        dropped[MALFORMED] += 1
        return
    dropped.update({MALFORMED: len(results) - len(found)} if len(found) < len(results) else {})
    for result in found:
        title, text = _text(result.get("title")), _text(result.get("content")) or _text(result.get("raw_content"))
        if not title and not text:
            dropped[NO_TEXT] += 1
            continue
        published = read_publication(_text(result.get("published_date")) or day.isoformat(), naive=ZoneInfo("UTC"))
        if isinstance(published, str):
            published = day
        is_moment = isinstance(published, datetime)
        yield {
            "ticker": ticker,
            "asked_on": day,
            "published_at": published if is_moment else None,
            "published_on": None if is_moment else published,
            "title": title,
            "url": _text(result.get("url")),
            "content": text,
            "provider": PROVIDER,
        }


def _text(value: object) -> str | None:
    return (value.strip() or None) if isinstance(value, str) else None


def _folder(ticker: str) -> str:
    return f"{FOLDER}/{quote(ticker, safe='')}"


def _key(ticker: str, name: str) -> str:
    return f"{_folder(ticker)}/{name}.json"


def _name(day: date, asked_at: datetime) -> str:
    moment = asked_at.astimezone(UTC)
    return f"{day}T{moment:%H%M%S}Z" if moment.date() <= day else f"{day}"


def _day_of(name: str) -> date | None:
    return date.fromisoformat(name[:10]) if _NAME.fullmatch(name) else None


def _is_answered(names: Sequence[str], day: date, *, over: bool, last_close: datetime) -> bool:
    if over:
        return day.isoformat() in names
    moments = [datetime.strptime(name, "%Y-%m-%dT%H%M%SZ").replace(tzinfo=UTC) for name in names if "T" in name]
    return any(moment >= last_close for moment in moments)
