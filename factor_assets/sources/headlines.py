"""The news source `files`: headlines or articles that the user has, in one Parquet or CSV file.

Wanted are the columns ticker, published, title, url and content, under these names or as `news.columns` maps them; url
is not necessary, and one of title and content is enough. `published` is a day, or a time; a time without a zone is in
the exchange's zone, and midnight stands for a day. Lines of CSV that do not have as many cells as the header, and
articles without ticker, date or text, are left out and counted.
"""

from collections import Counter
from hashlib import sha256
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from factor_assets.calendar import time_zone
from factor_assets.errors import SourceError, did_you_mean
from factor_assets.settings import NewsSettings
from factor_assets.sources.articles import ARTICLES, Articles, place_publications
from factor_assets.sources.price_files import (
    CSV_SUFFIXES,
    PARQUET_SUFFIXES,
    PriceFile,
    csv_header,
    explained,
)

PROVIDER = "files"
NO_TICKER, NO_TEXT, BAD_LINE = "no ticker", "no text", "wrong number of cells"
COLUMNS = ("ticker", "published", "title", "url", "content")


def read_headlines(settings: NewsSettings, *, calendar: str) -> Articles:
    """Read the file.

    Parameters
    ----------
    calendar
        Exchange, for times without a zone.

    Raises
    ------
    SourceError
        If there is no such file, or a column is missing.
    MalformedDataError
        If the file cannot be read.
    """
    file = _open(settings)
    cells, refused = file.read(COLUMNS)
    dropped: Counter[str] = Counter({BAD_LINE: refused} if refused else {})
    columns = {name: cells[name] if name in cells.column_names else _nulls(cells) for name in COLUMNS}
    at, on, undated = place_publications(columns.pop("published"), naive=ZoneInfo(time_zone(calendar)))
    dropped.update(undated)
    texts = {name: _text(values) for name, values in columns.items()}
    rows = pa.table(
        {
            "ticker": texts["ticker"],
            "asked_on": pa.nulls(cells.num_rows, pa.date32()),
            "published_at": at,
            "published_on": on,
            "title": texts["title"],
            "url": texts["url"],
            "content": texts["content"],
            "provider": pa.repeat(pa.scalar(PROVIDER), cells.num_rows),
        }
    )
    rows = rows.filter(pc.or_(at.is_valid(), on.is_valid()))
    for reason, given in ((NO_TICKER, ("ticker",)), (NO_TEXT, ("title", "content"))):
        kept = rows.filter(pc.coalesce(*(rows[name] for name in given)).is_valid())
        if kept.num_rows < rows.num_rows:
            dropped[reason] += rows.num_rows - kept.num_rows
        rows = kept
    return Articles(rows.cast(ARTICLES), dropped)


def headlines_version(settings: NewsSettings) -> str:
    """Return the hash of the file's size and time of change; it is another one where there is no file."""
    try:
        found = Path(settings.path).expanduser().stat()
    except OSError:
        return "absent"
    return sha256(repr((found.st_size, found.st_mtime_ns)).encode()).hexdigest()[:16]


def _open(settings: NewsSettings) -> PriceFile:
    path = Path(settings.path).expanduser()
    known = (*PARQUET_SUFFIXES, *CSV_SUFFIXES)
    if not path.is_file():
        raise SourceError(f"news.path is {path}, which is no file; set it to your headlines.")
    if not path.name.lower().endswith(known):
        raise SourceError(f"news.path is {path}; the name of a file of headlines ends in {', '.join(known)}.")
    for ours in settings.columns:
        if ours not in COLUMNS:
            raise SourceError(f"news.columns names {ours!r}, which is not ours; {did_you_mean(ours, COLUMNS)}")
    with explained(path):
        if path.name.lower().endswith(PARQUET_SUFFIXES):
            with pq.ParquetFile(path) as opened:
                header, separator = list(opened.schema_arrow.names), ","
        else:
            header, separator = csv_header(path)
    columns = {ours: settings.columns.get(ours, ours) for ours in COLUMNS}
    for ours, theirs in columns.items():
        if theirs not in header and (ours in settings.columns or ours in ("ticker", "published")):
            raise SourceError(
                f"{path} has no column {theirs!r} for {ours}; {did_you_mean(theirs, header)}"
                f" Set news.columns.{ours} to the right one."
            )
    found = {ours: theirs for ours, theirs in columns.items() if theirs in header}
    if not {"title", "content"} & set(found):
        raise SourceError(
            f"{path} has no column for title or content; it has {', '.join(header)}. Set news.columns.title."
        )
    return PriceFile(path=path, columns=found, separator=separator)


def _nulls(cells: pa.Table) -> pa.ChunkedArray:
    return pa.chunked_array([pa.nulls(cells.num_rows, pa.string())])


def _text(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the column as text without space around it; nothing but space is null."""
    trimmed = pc.utf8_trim_whitespace(values.cast(pa.string()))
    return pc.if_else(pc.equal(trimmed, ""), pa.scalar(None, pa.string()), trimmed)
