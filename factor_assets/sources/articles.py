"""`Articles`: news as a source delivered them, and how it is read when each was published.

What does not belong here: who delivered them (`headlines.py`, `tavily.py`), and on which session they are used
(`panel/news.py`).
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from email.utils import parsedate_to_datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

NO_PUBLICATION, RELATIVE, UNREADABLE = "no date", "a relative date", "a date that cannot be read"

ARTICLES = pa.schema(
    [
        pa.field("ticker", pa.string(), nullable=False),
        # the day for which a service was asked; null where nobody was asked
        pa.field("asked_on", pa.date32()),
        pa.field("published_at", pa.timestamp("us", tz="UTC")),
        pa.field("published_on", pa.date32()),
        pa.field("title", pa.string()),
        pa.field("url", pa.string()),
        pa.field("content", pa.string()),
        pa.field("provider", pa.string(), nullable=False),
    ]
)
"""Columns of `Articles.rows`. Of `published_at` and `published_on` one is there: the moment, or only the day."""


@dataclass(frozen=True, slots=True)
class Articles:
    """What a source delivered.

    Parameters
    ----------
    rows
        With the columns `ARTICLES`.
    dropped
        Reason -> articles that cannot be used.
    """

    rows: pa.Table
    dropped: Mapping[str, int]


@lru_cache(maxsize=100_000)
def read_publication(text: str, *, naive: ZoneInfo) -> datetime | date | str:
    """Read when something was published: a moment in UTC, a day, or the reason why neither can be known.

    ISO 8601, the dates of e-mail headers and "AUG 17, 2022" are read. "14 HOURS AGO" is a reason: nobody knows from
    when it counts.

    Parameters
    ----------
    naive
        Zone of a time that names none.
    """
    plain = text.strip()
    if not plain:
        return NO_PUBLICATION
    if plain.lower().endswith(" ago") or plain.lower() in {"today", "yesterday", "now", "just now"}:
        return RELATIVE
    try:
        moment = _parsed(plain)
    except (ValueError, OverflowError):
        return UNREADABLE
    # Midnight in its own zone is the label of a day, as most vendors mean it, and is used later, never earlier.
    if moment.timetz().replace(tzinfo=None) == time.min:
        return moment.date()
    return (moment if moment.tzinfo else moment.replace(tzinfo=naive)).astimezone(UTC)


def _parsed(text: str) -> datetime:
    for parse in (datetime.fromisoformat, _parsed_day):
        try:
            return parse(text)
        except ValueError:
            continue
    return parsedate_to_datetime(text)


def _parsed_day(text: str) -> datetime:
    return datetime.strptime(text, "%b %d, %Y")  # noqa: DTZ007 - a day has no zone


def place_publications(
    values: pa.ChunkedArray, *, naive: ZoneInfo
) -> tuple[pa.ChunkedArray, pa.ChunkedArray, Counter[str]]:
    """Return moment, day, and reason -> number of those of which neither is known, of a column of any type.

    Returns
    -------
    Moments in UTC and days, of shape (n_rows,); at most one of the two is there.
    """
    kind = values.type
    moments, days = pa.timestamp("us", tz="UTC"), pa.date32()
    if pa.types.is_date(kind):
        reasons = Counter({NO_PUBLICATION: values.null_count} if values.null_count else {})
        return pa.chunked_array([pa.nulls(len(values), moments)]), values.cast(days), reasons
    if pa.types.is_timestamp(kind):
        own = values if kind.tz else pc.assume_timezone(values, str(naive), ambiguous="latest", nonexistent="latest")
        local = pc.local_timestamp(own)
        is_day = pc.equal(local, pc.floor_temporal(local, unit="day"))
        # Seconds finer than a microsecond are cut: the moment of a close is not.
        at = pc.floor_temporal(own, unit="microsecond").cast(moments)
        day = pc.floor_temporal(local, unit="day").cast(days)
        reasons = Counter({NO_PUBLICATION: values.null_count} if values.null_count else {})
        return (
            pc.if_else(is_day, pa.scalar(None, moments), at),
            pc.if_else(is_day, day, pa.scalar(None, days)),
            reasons,
        )
    read = [read_publication(text or "", naive=naive) for text in values.cast(pa.string()).to_pylist()]
    return (
        pa.chunked_array([pa.array([r if isinstance(r, datetime) else None for r in read], moments)]),
        pa.chunked_array(
            [pa.array([r if isinstance(r, date) and not isinstance(r, datetime) else None for r in read], days)]
        ),
        Counter(r for r in read if isinstance(r, str)),
    )
