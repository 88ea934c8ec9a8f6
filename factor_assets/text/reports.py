"""Reports where they are dropped: `TICKER/YYYY/YYYYMMDD.pdf` below a folder or bucket, and what was read of each.

What does not belong here: how a PDF is read (`pdf.py`), ratings (`report_ratings.py`), who looks for new ones
(`defs/`).

The name is trusted: it says whose report it is and on which day it became public. Nothing else tells: the time at which
a file was put there is that of a copy, and a report of ten years ago that is dropped today was known ten years ago. A
name that is earlier than the publication makes factors look ahead.

What was read is kept in the documents at `reports/TICKER/YYYY/YYYYMMDD.json`; the table `reports` is a function of
these alone.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa

from factor_assets.errors import DocumentNotFoundError, UnreadableDocumentError
from factor_assets.settings import Settings
from factor_assets.storage.documents import DocumentInfo, Documents
from factor_assets.storage.opening import s3_options
from factor_assets.tables import TABLES
from factor_assets.text.pdf import read_pdf
from factor_assets.text.sections import cut_sections

SOURCE = "reports (PDF)"
WANTED = "TICKER/YYYY/YYYYMMDD.pdf"
TEXTS = "reports"
"""Where texts are in the documents."""

_NAME = re.compile(r"([A-Z0-9][A-Z0-9.\-]{0,19})/(\d{4})/(\2\d{4})\.(pdf|json)", re.ASCII)
_SETTLING_ATTEMPTS = 20


@dataclass(frozen=True, order=True, slots=True)
class ReportKey:
    """Whose report of which day.

    Parameters
    ----------
    day
        When it became public, as its name says.
    """

    ticker: str
    day: date

    @property
    def name(self) -> str:
        """Key without the ending: TICKER/YYYY/YYYYMMDD."""
        return f"{self.ticker}/{self.day.year:04d}/{self.day.year:04d}{self.day:%m%d}"

    @property
    def pdf(self) -> str:
        """Key of the document."""
        return f"{self.name}.pdf"

    @property
    def json(self) -> str:
        """Key of what is kept of it, here and beside the document."""
        return f"{self.name}.json"


@dataclass(frozen=True, slots=True)
class Listing:
    """Documents that lie at the place of reports.

    Parameters
    ----------
    reports
        Report -> what the listing says of its PDF.
    misnamed
        Keys that are neither a report nor what we keep beside one, sorted.
    """

    reports: Mapping[ReportKey, DocumentInfo]
    misnamed: tuple[str, ...]

    @property
    def complaint(self) -> str:
        """What is misnamed, in a sentence; "" where nothing is."""
        if not self.misnamed:
            return ""
        named = ", ".join(repr(key[:80]) for key in self.misnamed[:5])
        return f"{len(self.misnamed)} files are not named {WANTED} and are left out, such as {named}"


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportText:
    """What was read of a report.

    Parameters
    ----------
    etag
        Version of the PDF, from the listing before it was read.
    document_id
        SHA-256 of its bytes.
    pages
        Text of each page; none where it cannot be read.
    error
        Why it cannot be read; None where it can.
    """

    etag: str
    document_id: str
    pages: tuple[str, ...] = ()
    n_words: int | None = None
    n_sections: int | None = None
    error: str | None = None


def open_reports(settings: Settings) -> Documents:
    """Open the folder or bucket of the reports; a bucket is reached as that of the lake and of the documents."""
    path = settings.reports.path
    if "://" in path:
        return Documents(path, options=s3_options(settings.s3))
    return Documents(str(Path(path).expanduser().absolute()))


def read_key(key: str) -> ReportKey | None:
    """Return the report of a key, ending included or not; None if it is not named as wanted.

    Examples
    --------
    >>> read_key("AMZN/2025/20250501.pdf")
    ReportKey(ticker='AMZN', day=datetime.date(2025, 5, 1))
    """
    found = _NAME.fullmatch(key if key.endswith((".pdf", ".json")) else f"{key}.pdf")
    if found is None:
        return None
    try:
        return ReportKey(found[1], datetime.strptime(found[3], "%Y%m%d").date())  # noqa: DTZ007 a day has no zone
    except ValueError:
        return None


def list_reports(documents: Documents, ticker: str = "") -> Listing:
    """List the reports, of one ticker or all.

    Raises
    ------
    DocumentError
        If the folder or bucket cannot be listed.
    """
    reports, misnamed = {}, []
    for info in documents.list(ticker):
        key = read_key(info.key)
        if key is None:
            misnamed.append(info.key)
        elif info.key == key.pdf:
            reports[key] = info
    return Listing(reports=reports, misnamed=tuple(sorted(misnamed)))


def store_text(key: ReportKey, *, reports: Documents, documents: Documents) -> ReportText:
    """Read a report and keep what was read; return it.

    A report that is replaced while it is read is read again: the text that is kept in the end is of the last version,
    whichever of several readers was the slowest.

    Raises
    ------
    DocumentNotFoundError
        If there is no such report.
    DocumentError
        If it cannot be fetched, or keeps changing.
    """
    info = _find(key, reports)
    for _ in range(_SETTLING_ATTEMPTS):
        text = _read(info, reports)
        documents.put(f"{TEXTS}/{key.json}", json.dumps(asdict(text)).encode(), replace=True)
        newest = _find(key, reports)
        if newest.etag == info.etag:
            return text
        info = newest
    raise DocumentNotFoundError(f"The report {key.pdf} changes faster than it can be read; run again when it rests.")


def load_text(key: ReportKey, *, documents: Documents) -> ReportText:
    """Return what was read of a report.

    Raises
    ------
    DocumentNotFoundError
        If it was never read.
    """
    kept = json.loads(documents.get(f"{TEXTS}/{key.json}"))
    return ReportText(**{**kept, "pages": tuple(kept["pages"])})


def stored_keys(documents: Documents, folder: str, tickers: Iterable[str]) -> dict[ReportKey, str]:
    """Return report -> version of what is kept of it in a folder of the documents, of some tickers, sorted."""
    found: dict[ReportKey, str] = {}
    for ticker in sorted(tickers):
        for info in documents.list(f"{folder}/{ticker}"):
            key = read_key(info.key.removeprefix(f"{folder}/"))
            if key is not None:
                found[key] = info.etag
    return dict(sorted(found.items()))


def report_rows(texts: Mapping[ReportKey, ReportText], known_from: Mapping[date, date | None]) -> pa.Table:
    """Return the rows of the table `reports`.

    Parameters
    ----------
    known_from
        Day of a report -> first session on which it is used; None where the calendar ends before.
    """
    rows: list[dict[str, Any]] = [
        {
            "ticker": key.ticker,
            "report_date": key.day,
            "document_key": key.pdf,
            "etag": text.etag,
            "document_id": text.document_id,
            "n_pages": len(text.pages) if text.error is None else None,
            "n_words": text.n_words,
            "n_sections": text.n_sections,
            "known_from": known_from[key.day],
            "error": text.error,
            "source": SOURCE,
        }
        for key, text in texts.items()
    ]
    return pa.Table.from_pylist(rows, schema=TABLES["reports"].schema)


def _find(key: ReportKey, reports: Documents) -> DocumentInfo:
    found = list_reports(reports, key.ticker).reports.get(key)
    if found is None:
        raise DocumentNotFoundError(
            f"There is no report {key.pdf} in {reports.root}. Was it removed? Upload it again, or delete its partition."
        )
    return found


def _read(info: DocumentInfo, reports: Documents) -> ReportText:
    content = reports.get(info.key)
    identity = sha256(content).hexdigest()
    try:
        text = read_pdf(content)
    except UnreadableDocumentError as error:
        return ReportText(etag=info.etag, document_id=identity, error=str(error))
    return ReportText(
        etag=info.etag,
        document_id=identity,
        pages=text.pages,
        n_words=text.n_words,
        n_sections=len(cut_sections(text.pages)),
    )
