"""The text of a PDF, page by page, and why there is none.

What does not belong here: where reports lie (`report_files.py`), how a text is cut into sections (`sections.py`).

The library is PDFium, through pypdfium2: it opens what readers open, encryption with an empty password included. PDFium
is not thread-safe, not even for different documents, so one lock lets one thread in at a time; processes are
independent. Measured: 73 to 121 pages in 0.1 to 0.25 s.
"""

import re
from dataclasses import dataclass
from itertools import groupby
from threading import Lock
from typing import Any

from factor_assets.errors import UnreadableDocumentError

FEWEST_WORDS = 20
"""A document with fewer words has no text: a scan with a stamp or a page number on it has a few."""

_PDFIUM = Lock()
_FEWEST_WORDS_A_PAGE = 3
_LONELY_LINES = 5
_HYPHEN_AT_LINE_END = "\ufffe"


@dataclass(frozen=True, slots=True)
class PdfText:
    """Text of a document.

    Parameters
    ----------
    pages
        Text of each page, in order, lines ended by a newline; "" for a page without text.
    n_unreadable
        Pages that are damaged; their text is "".
    """

    pages: tuple[str, ...]
    n_unreadable: int = 0

    @property
    def n_words(self) -> int:
        """How many words there are."""
        return sum(len(page.split()) for page in self.pages)


def read_pdf(content: bytes) -> PdfText:
    """Return the text of a PDF.

    Parameters
    ----------
    content
        The whole file.

    Raises
    ------
    UnreadableDocumentError
        If the file is empty, wants a password, is malformed, or has pictures of text only. The message says which, and
        what to do; nothing of the document is in it.
    """
    if not content:
        raise UnreadableDocumentError("The PDF is empty (0 bytes). Upload it again.")
    with _PDFIUM:
        pages, n_unreadable, has_pictures = _read(content)
    text = PdfText(pages=tuple(_tidy(page) for page in pages), n_unreadable=n_unreadable)
    if text.n_words >= max(FEWEST_WORDS, _FEWEST_WORDS_A_PAGE * len(pages)):
        return text
    found = f"{text.n_words} words on {len(pages)} pages"
    if n_unreadable == 0 and has_pictures == len(pages):
        raise UnreadableDocumentError(
            f"The PDF holds pictures instead of text ({found}), as a scan does. Run text recognition on it and upload"
            " the result."
        )
    raise UnreadableDocumentError(
        f"The PDF is malformed: it opens, but next to no text comes out ({found}, {n_unreadable} pages damaged)."
        " Export it again from its source, or run text recognition on it, and upload that."
    )


def _read(content: bytes) -> tuple[list[str], int, int]:
    """Return the raw text of each page, how many pages are damaged, and how many hold a picture."""
    import pypdfium2 as pdfium  # type: ignore[import-untyped]
    from pypdfium2 import raw

    try:
        document = pdfium.PdfDocument(content)
    except pdfium.PdfiumError as error:
        if getattr(error, "err_code", None) in (raw.FPDF_ERR_PASSWORD, raw.FPDF_ERR_SECURITY):
            raise UnreadableDocumentError(
                "The PDF is encrypted and wants a password. Save it without one and upload that."
            ) from None
        raise UnreadableDocumentError(
            f"The PDF is malformed: no reader can open its {len(content)} bytes. Was the upload cut off, or is it"
            " another kind of file? Upload it again."
        ) from None
    with document:
        pages, n_unreadable, n_pictures = [], 0, 0
        for number in range(len(document)):
            try:
                page = document[number]
                text_page = page.get_textpage()
            except pdfium.PdfiumError:
                pages.append("")
                n_unreadable += 1
                continue
            text = text_page.get_text_range()
            pages.append(text)
            if len(text.split()) < FEWEST_WORDS:
                n_pictures += _has_picture(page, raw.FPDF_PAGEOBJ_IMAGE, raw.FPDF_PAGEOBJ_TEXT)
            text_page.close()
            page.close()
    return pages, n_unreadable, n_pictures


def _has_picture(page: Any, picture: int, text: int) -> bool:
    """Whether the page has a picture, and no text objects: text that cannot be decoded is damage, not a scan."""
    kinds = {found.type for found in page.get_objects()}
    return picture in kinds and text not in kinds


def _tidy(text: str) -> str:
    """Return text with plain line ends, hyphens at the end of a line put back, and lonely words in one line.

    Where words are placed one by one, as in justified text, PDFium gives each a line of its own.
    """
    text = text.replace(_HYPHEN_AT_LINE_END, "-").replace("\x00", "")
    lines = [line.rstrip() for line in re.split(r"\r\n|\r|\n", text)]
    tidied: list[str] = []
    for is_lonely, run in groupby(lines, key=lambda line: len(line.split()) == 1):
        found = list(run)
        if is_lonely and len(found) >= _LONELY_LINES:
            found = [" ".join(word.strip() for word in found)]
        tidied += found
    return "\n".join(tidied)
