"""The SEC's archives: the main document of a filing, kept as delivered.

Documents are `sec/filings/<TICKER>/<accession>.gz`, gzip of the exact bytes. A filing never changes, so what is kept is
never asked for again. Old filings whose main document has no name of its own come as the full submission.

What does not belong here: which filings are wanted (`text/filing_texts.py`), how to ask (`service.py`), the list of
filings (`edgar.py`).
"""

import gzip
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from factor_assets.errors import ServiceError
from factor_assets.settings import SecSettings
from factor_assets.sources.edgar import LABEL, MOST_FAILURES, open_service, spelled
from factor_assets.storage.documents import Documents

_ACCESSION = re.compile(r"\d{10}-\d{2}-\d{6}")
_DOCUMENT = re.compile(r"[\w.()+~-]+(?:/[\w.()+~-]+)*")


@dataclass(frozen=True, slots=True)
class Archived:
    """What became of one filing's document.

    Parameters
    ----------
    outcome
        `fetched` now, `kept` from before, or `failed`: not here, ask again.
    reason
        Why it failed.
    """

    outcome: Literal["fetched", "kept", "failed"]
    reason: str = ""


def filing_key(ticker: str, accession: str) -> str:
    """Return where the document of a filing is kept."""
    return f"sec/filings/{spelled(ticker)}/{accession}.gz"


def filing_document(documents: Documents, ticker: str, accession: str) -> bytes:
    """Return the kept document of a filing, as delivered.

    Raises
    ------
    DocumentNotFoundError
        If it was never fetched.
    """
    return gzip.decompress(documents.get(filing_key(ticker, accession)))


class EdgarArchives:
    """The archives over HTTP, within the rate limit that all requests to the SEC share.

    Parameters
    ----------
    settings
        Section `sec`, with a contact.
    home
        Folder whose processes share the rate limit.
    backoff
        As in `Service`.
    """

    def __init__(self, settings: SecSettings, documents: Documents, *, home: Path, backoff: float = 1.0) -> None:
        self._url, self._documents = settings.archives_url.rstrip("/"), documents
        self._in_a_row, self._trouble = 0, ""
        self._service = open_service(settings, home=home, backoff=backoff, wants_json=False)

    def fetch(self, *, ticker: str, cik: str, accession: str, primary_document: str | None) -> Archived:
        """See that the document of a filing is kept.

        After some failures in a row the service is not asked again by this object.

        Parameters
        ----------
        primary_document
            File name; None or empty for the full submission.

        Raises
        ------
        DocumentError
            If the documents cannot be read or written.
        """
        if complaint := _complaint(cik, accession, primary_document):
            return Archived("failed", f"{LABEL} lists it with {complaint}")
        key = filing_key(ticker, accession)
        if self._documents.has(key):
            return Archived("kept")
        if self._in_a_row >= MOST_FAILURES:
            return Archived("failed", f"not asked after {self._in_a_row} failures in a row; {self._trouble}")
        try:
            content = self._ask(self._address(cik, accession, primary_document))
        except ServiceError as error:
            return Archived("failed", str(error))
        self._documents.put(key, gzip.compress(content, mtime=0))
        return Archived("fetched")

    def close(self) -> None:
        """Close the connection."""
        self._service.close()

    def _ask(self, url: str) -> bytes:
        try:
            answer = self._service.get(url)
        except ServiceError as error:
            self._in_a_row, self._trouble = self._in_a_row + 1, str(error)
            raise
        self._in_a_row = 0
        if not answer.content.strip():
            what = "an empty document" if answer.outcome == "new" else "no document"
            raise ServiceError(f"{LABEL} has {what} at {url}; the next run asks again.")
        return answer.content

    def _address(self, cik: str, accession: str, primary_document: str | None) -> str:
        folder = f"{self._url}/Archives/edgar/data/{int(cik)}"
        if primary_document:
            return f"{folder}/{accession.replace('-', '')}/{quote(primary_document)}"
        return f"{folder}/{accession}.txt"


def _complaint(cik: str, accession: str, primary_document: str | None) -> str:
    """What is wrong with the names that make the address and the key; "" where nothing is."""
    if not cik.isdecimal():
        return f"company {cik[:80]!r}, which is no number"
    if not _ACCESSION.fullmatch(accession):
        return f"accession number {accession[:80]!r}, which is none"
    if primary_document and (not _DOCUMENT.fullmatch(primary_document) or ".." in primary_document):
        return f"file name {primary_document[:80]!r}, which is none"
    return ""
