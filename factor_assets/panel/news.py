"""Articles -> rows of the table `news`: on which session each is used, and each once a ticker and session.

1. An article with a time is used on the first session that closes after it; one of which only the day is known on the
   first session after the day.
2. One that a service gave for a day is left out where its date puts it on a session that had closed before that day,
   or later than the session after it: the rows of a session would depend on when other days were asked for.
3. Texts that are alike but for case, space and width of characters are one article (syndication): of each ticker and
   session the first published is kept. On another session it is news again, for what was said before is not looked up:
   a session's rows depend on no other session.

What does not belong here: where articles come from (`sources/`), and what they say (`text/sentiment.py`).
"""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from factor_assets import calendar as exchange
from factor_assets.calendar import Dates, session_positions
from factor_assets.panel.publication import usable_after_day, usable_from_moment
from factor_assets.tables import TABLES

REPEATED, OTHER_DAY, OTHER_TICKER = "repeated on the session", "of another day than asked for", "of another ticker"


@dataclass(frozen=True, slots=True)
class News:
    """Rows of the table `news`, and reason -> articles left out of the sessions asked for."""

    rows: pa.Table
    dropped: Mapping[str, int]


def article_id(title: str | None, content: str | None) -> str:
    """Return the SHA-256 of an article's text without what tells two prints of it apart."""
    parts = (unicodedata.normalize("NFKC", part or "").casefold().split() for part in (title, content))
    return sha256("\n".join(" ".join(words) for words in parts).encode("utf-8", "surrogatepass")).hexdigest()


def days_of_news(calendar: str, sessions: Dates) -> Dates:
    """Return the days of publication whose news are used on the sessions: from the session before to the last one.

    Parameters
    ----------
    sessions
        datetime64[D] of shape (n,): neighbours, increasing. Without any there are no days.
    """
    if not len(sessions):
        return np.array([], "datetime64[D]")
    first: date = sessions[0].item()
    before = exchange.previous_session(calendar, first)
    return np.arange(np.datetime64(before, "D"), sessions[-1] + np.timedelta64(1, "D"))


def news_rows(articles: pa.Table, *, calendar: str, sessions: Dates, tickers: Iterable[str], source: str) -> News:
    """Return the news of the sessions.

    Parameters
    ----------
    articles
        With the columns `sources.articles.ARTICLES`, in any order.
    sessions
        datetime64[D] of shape (n,), increasing.
    tickers
        Those wanted; articles of others are left out and counted.
    source
        For the column `source`.
    """
    at = articles["published_at"].to_numpy().astype("datetime64[us]")
    on = articles["published_on"].to_numpy().astype("datetime64[D]")
    used = np.where(np.isnat(at), usable_after_day(calendar, on), usable_from_moment(calendar, at))
    inside = session_positions(np.where(np.isnat(used), np.datetime64("1700-01-01"), used), sessions) >= 0
    rows = articles.append_column("date", pa.array(used, pa.date32())).filter(pa.array(inside))
    dropped: Counter[str] = Counter()
    rows = _only(rows, _asked_in_time(rows, calendar), OTHER_DAY, dropped)
    known = pa.array(sorted(set(tickers)), pa.string())
    rows = _only(rows, pc.is_in(rows["ticker"], value_set=known).to_numpy(), OTHER_TICKER, dropped)
    titles, contents = rows["title"].to_pylist(), rows["content"].to_pylist()
    identity = [article_id(title, content) for title, content in zip(titles, contents, strict=True)]
    rows = rows.append_column("document_id", pa.array(identity, pa.string()))
    zone = str(ZoneInfo(exchange.time_zone(calendar)))
    local = pc.local_timestamp(rows["published_at"].cast(pa.timestamp("us", tz=zone)))
    day = pc.coalesce(rows["published_on"], pc.floor_temporal(local, unit="day").cast(pa.date32()))
    rows = rows.set_column(rows.column_names.index("published_on"), "published_on", day)
    # The last keys decide between articles of one moment, so that the order of the source makes no difference.
    order = ("date", "ticker", "document_id", "published_on", "published_at", "url", "title", "content")
    rows = rows.sort_by([(name, "ascending") for name in order])
    rows = _only(rows, _is_first(rows, ("date", "ticker", "document_id")), REPEATED, dropped)
    rows = rows.append_column("source", pa.repeat(pa.scalar(source), rows.num_rows))
    return News(rows.select(TABLES["news"].column_names), dropped)


def _asked_in_time(rows: pa.Table, calendar: str) -> np.ndarray:
    """Whether the session of each article was still open on the day that was asked for; bool of shape (n_rows,)."""
    asked = rows["asked_on"].to_numpy().astype("datetime64[D]")
    session = rows["date"].to_numpy().astype("datetime64[D]")
    # The day belongs to two sessions: that of the day or the next, before its close, and the one after.
    same = usable_after_day(calendar, asked - np.timedelta64(1, "D"))
    found: np.ndarray = np.isnat(asked) | (session == same) | (session == usable_after_day(calendar, asked))
    return found


def _is_first(rows: pa.Table, key: Iterable[str]) -> np.ndarray:
    """Whether each sorted row differs from the one before in any column of the key; bool of shape (n_rows,)."""
    first = np.zeros(rows.num_rows, dtype=bool)
    first[:1] = True
    for name in key:
        values = rows[name].combine_chunks()
        first[1:] |= pc.not_equal(values[1:], values[:-1]).to_numpy(zero_copy_only=False)
    return first


def _only(rows: pa.Table, kept: np.ndarray, reason: str, dropped: Counter[str]) -> pa.Table:
    if not kept.all():
        dropped[reason] += int((~kept).sum())
    return rows.filter(pa.array(kept))
