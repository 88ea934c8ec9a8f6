"""Which filings are compared, and the rows of the table `filing_texts`.

What does not belong here: fetching (`sources/edgar_archives.py`), text and its words (`filing_html.py`,
`similarity.py`, `tone.py`).

Compared are annual and quarterly reports with the same form for the period that ended 350 to 380 days earlier: for a
quarter the same quarter of the year before, also where fiscal years have 52 or 53 weeks. Amendments (10-K/A) repeat
parts of a report only: they have no row, and nothing is compared with them. What was filed later than the filing itself
is not compared with it either: nobody could, then. The main document of a 40-F is often a cover; the rest is in
exhibits, which are not read.

Words are counted once a filing and kept at `sec/filing_words/<TICKER>/<accession>.json.gz`. That is a cache: another
version of the extraction or another word list counts again, and deleting it changes nothing.
"""

import gzip
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from hashlib import sha256
from typing import Any

import pyarrow as pa

from factor_assets.errors import DocumentNotFoundError, UnreadableDocumentError
from factor_assets.storage.documents import Documents
from factor_assets.tables import TABLES
from factor_assets.text.filing_html import filing_text
from factor_assets.text.similarity import cosine_similarity, jaccard_similarity, word_counts, words
from factor_assets.text.tone import Tone, WordList, count_tone

FORMS = ("10-K", "10-Q", "20-F", "40-F")
EXTRACTION = 1
"""Version of the extraction and of what a word is: to be raised with either."""

_YEAR, _NEAREST, _FARTHEST = 365, 350, 380


@dataclass(frozen=True, kw_only=True, slots=True)
class Filing:
    """A filing as the table `filings` has it."""

    ticker: str
    cik: str
    accession: str
    form: str
    filed: date
    report_date: date | None
    primary_document: str | None
    known_from: date | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """A filing, and the one that it is compared with.

    Parameters
    ----------
    previous
        None where there is none.
    reason
        Why there is none; "" where there is one.
    """

    filing: Filing
    previous: Filing | None
    reason: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class FilingWords:
    """What was counted of a filing's text.

    Parameters
    ----------
    document_id
        SHA-256 of the bytes.
    counts
        Word -> how often it occurs.
    n_positive, n_negative
        By the word list; None without one.
    """

    document_id: str
    counts: Mapping[str, int]
    n_positive: int | None = None
    n_negative: int | None = None

    @property
    def n_words(self) -> int:
        """How many words there are."""
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True)
class Unread:
    """A filing without text.

    Parameters
    ----------
    reason
        Why.
    document_id
        SHA-256 of the bytes; "" where they could not be had.
    """

    reason: str
    document_id: str = ""


def comparisons(filings: pa.Table, *, first: date | None = None, last: date | None = None) -> list[Comparison]:
    """Return the annual and quarterly reports of one company, each with that of the year before, in order of filing.

    Parameters
    ----------
    filings
        Rows of table `filings` of one ticker.
    first
        Filings that were known before are left out, unless to compare with.
    last
        Filings of later days are left out.
    """
    names = list(Filing.__slots__)
    every = [Filing(**row) for row in filings.select(names).to_pylist() if row["form"] in FORMS]
    every.sort(key=lambda filing: (filing.filed, filing.accession))
    wanted = [
        filing
        for filing in every
        if (first is None or filing.known_from is None or filing.known_from >= first)
        and (last is None or filing.filed <= last)
    ]
    return [_compared(filing, every) for filing in wanted]


def _compared(filing: Filing, every: Sequence[Filing]) -> Comparison:
    if filing.report_date is None:
        return Comparison(filing, None, "the SEC does not say which period it is about")
    found = [
        other
        for other in every
        if other.form == filing.form
        and other.report_date is not None
        and _NEAREST <= (filing.report_date - other.report_date).days <= _FARTHEST
    ]
    earlier = [other for other in found if other.filed < filing.filed]
    if earlier:
        # The first of its kind: what was filed again for the same period is a correction.
        return Comparison(filing, min(earlier, key=lambda other: (_off_a_year(filing, other), other.filed)))
    if found:
        return Comparison(filing, None, f"the {filing.form} of the year before was not filed earlier")
    return Comparison(filing, None, f"there is no {filing.form} of the year before")


def _off_a_year(filing: Filing, other: Filing) -> int:
    if filing.report_date is None or other.report_date is None:
        return _FARTHEST
    return abs((filing.report_date - other.report_date).days - _YEAR)


def read_words(
    filing: Filing, content: Callable[[], bytes], *, word_list: WordList | None, documents: Documents
) -> FilingWords | Unread:
    """Return what is counted of a filing's text, from what is kept or from its bytes.

    Parameters
    ----------
    content
        Gives the bytes; called only where nothing is kept.
    word_list
        None for no tone.
    """
    key = f"sec/filing_words/{filing.ticker}/{filing.accession}.json.gz"
    made_by = f"{EXTRACTION}-{word_list.version if word_list else 'none'}"
    try:
        kept = json.loads(gzip.decompress(documents.get(key)))
        if kept.pop("made_by") == made_by:
            return FilingWords(**kept)
    except (DocumentNotFoundError, OSError, EOFError, ValueError, KeyError, TypeError, AttributeError):
        kept = None  # absent or spoiled: counted again
    document = content()
    found = count_words(document, word_list)
    if isinstance(found, FilingWords):
        packed = gzip.compress(json.dumps({"made_by": made_by, **asdict(found)}).encode(), compresslevel=6, mtime=0)
        documents.put(key, packed, replace=True)
    return found


def count_words(content: bytes, word_list: WordList | None = None) -> FilingWords | Unread:
    """Count the words of a filing, and those that have a tone."""
    identity = sha256(content).hexdigest()
    try:
        found = words(filing_text(content))
    except UnreadableDocumentError as error:
        return Unread(str(error), identity)
    tone = count_tone(found, word_list) if word_list else None
    return FilingWords(
        document_id=identity,
        counts=dict(sorted(word_counts(found).items())),
        n_positive=tone.n_positive if tone else None,
        n_negative=tone.n_negative if tone else None,
    )


def filing_text_rows(
    compared: Sequence[Comparison], read: Mapping[str, FilingWords | Unread], *, source: str
) -> pa.Table:
    """Return the rows of the table `filing_texts`.

    A filing without text has no number and an error. One that cannot be compared has length and tone, null for the
    likeness, and the reason as its error. The tone is null without a word list, or without any of its words.

    Parameters
    ----------
    read
        Accession number -> what was counted; of every filing compared and those compared with.
    """
    rows = [_row(comparison, read) | {"source": source} for comparison in compared]
    return pa.Table.from_pylist(rows, schema=TABLES["filing_texts"].schema)


def _row(comparison: Comparison, read: Mapping[str, FilingWords | Unread]) -> dict[str, Any]:
    filing, previous = comparison.filing, comparison.previous
    found = read[filing.accession]
    row: dict[str, Any] = {
        "ticker": filing.ticker,
        "accession": filing.accession,
        "form": filing.form,
        "report_date": filing.report_date,
        "filed": filing.filed,
        "known_from": filing.known_from,
        "document_id": found.document_id or None,
        "previous_accession": previous.accession if previous else None,
    }
    if isinstance(found, Unread):
        return row | {"error": found.reason}
    row["n_words"] = found.n_words
    reasons = []
    if found.n_positive is not None and found.n_negative is not None:
        tone = Tone(found.n_positive, found.n_negative, found.n_words)
        row |= {"tone": tone.tone, "negative_share": tone.negative_share}
        if tone.tone is None:
            reasons.append("no tone: the text has no word of the list")
    before = read[previous.accession] if previous else None
    if isinstance(before, FilingWords):
        row["similarity_cosine"] = cosine_similarity(found.counts, before.counts)
        row["similarity_jaccard"] = jaccard_similarity(found.counts, before.counts)
    else:
        why = f"that of the year before: {before.reason}" if before else comparison.reason
        reasons.append(f"not compared: {why}")
    return row | {"error": "; ".join(reasons) or None}
