"""The text of a filing: from HTML, inline XBRL, plain text, or a full submission with several documents in it.

What does not belong here: fetching (`sources/edgar_archives.py`), words and what is counted of them (`similarity.py`,
`tone.py`).

1. Of a full submission take the main document: the first that is no exhibit.
2. Drop what no reader sees: the head, scripts, elements with `display:none`, the header of inline XBRL with its facts.
3. Drop a table where more than 15% of its letters and digits are digits; the innermost first, so that a table that only
   lays out a page is judged without the numbers of those in it. Other tables are text that was put into cells.
4. Elements of a line are joined as they stand, for small capitals cut words in two; blocks and cells end a word.

Cohen, Malloy and Nguyen (2020, Journal of Finance 75(3), 1371-1415, doi:10.1111/jofi.12885) remove tables above 15%,
tags, XBRL and exhibits. Loughran and McDonald's own files are of whole submissions, exhibits included; ours are not.

Measured: annual reports of 1.5 and 1.9 MB in 0.1 s each, 9.6 MB in 1.4 s.
"""

import html
import re
from typing import Any

from factor_assets.errors import UnreadableDocumentError

FEWEST_WORDS = 20
"""A document with fewer words is no annual or quarterly report, whatever it is."""

MAX_NUMERIC_SHARE = 0.15

_HEAD_BYTES = 50_000
_SUBMISSION = re.compile(
    rb"\s*(?:-----BEGIN PRIVACY-ENHANCED MESSAGE-----.*?)?<(?:SEC-DOCUMENT|IMS-DOCUMENT|DOCUMENT)>", re.DOTALL
)
_DOCUMENT = re.compile(rb"<DOCUMENT>(.*?)</DOCUMENT>", re.DOTALL)
_TYPE = re.compile(rb"<TYPE>\s*([^\s<]+)")
_TEXT = re.compile(rb"<TEXT>(.*?)</TEXT>", re.DOTALL)
_WRAPPER = re.compile(rb"\s*</?(?:XBRL|PDF)>\s*", re.IGNORECASE)
_MARKUP = re.compile(rb"<(?:html|body|div|font|p|br|span)\b", re.IGNORECASE)
_BINARY = re.compile(rb"\s*(?:%PDF-|begin \d{3} \S|\x89PNG|\xff\xd8\xff|PK\x03\x04|GIF8)")

_PLAIN_TABLE = re.compile(r"<TABLE>(.*?)</TABLE>", re.DOTALL | re.IGNORECASE)
_TAG = re.compile(r"</?[A-Za-z][^<>]{0,200}>")
_HIDDEN = re.compile(r"display\s*:\s*none", re.IGNORECASE)
_UNSEEN = ("head", "script", "style", "title", "noscript", "ix:header", "ix:hidden")
_CELLS = ("td", "th")
_BLOCKS = (
    *(
        "address",
        "article",
        "blockquote",
        "body",
        "br",
        "center",
        "dd",
        "div",
        "dl",
        "dt",
        "footer",
        "form",
        "h1",
        "h2",
    ),
    *("h3", "h4", "h5", "h6", "header", "hr", "li", "main", "nav", "ol", "p", "pre", "section", "table", "tr", "ul"),
)
_CHARACTERS = {ord("\xa0"): " ", **dict.fromkeys(map(ord, "\xad\u200b\u200c\u200d\u2060\ufeff"))}


def filing_text(content: bytes, *, max_numeric_share: float = MAX_NUMERIC_SHARE) -> str:
    """Return the text of a filing, a line for each block of it.

    Parameters
    ----------
    content
        The document as the SEC delivers it.
    max_numeric_share
        Digits over letters and digits of a table, above which it is left out.

    Raises
    ------
    UnreadableDocumentError
        If it is empty, no text format, a submission that was cut off, or has next to no words. Nothing of the document
        is in the message.
    """
    if not content.strip():
        raise UnreadableDocumentError(f"The filing is empty ({len(content)} bytes). {_AGAIN}")
    main = _main_document(content) if _SUBMISSION.match(content) else content
    if _BINARY.match(main) or b"\0" in main[:_HEAD_BYTES]:
        raise UnreadableDocumentError("The filing's main document is a PDF, picture or archive; wanted HTML or text.")
    source = _decoded(main)
    raw = (
        _html_text(source, max_numeric_share)
        if _MARKUP.search(main[:_HEAD_BYTES])
        else _plain_text(source, max_numeric_share)
    )
    text = _tidy(raw)
    n_words = len(text.split())
    if n_words < FEWEST_WORDS:
        raise UnreadableDocumentError(
            f"Next to no text comes out of the filing ({n_words} words of {len(content)} bytes). {_AGAIN}"
        )
    return text


_AGAIN = "Delete it from the documents, so that it is fetched again."


def _main_document(content: bytes) -> bytes:
    for found in _DOCUMENT.finditer(content):
        kind, text = _TYPE.search(found[1]), _TEXT.search(found[1])
        if text is not None and kind is not None and not kind[1].upper().startswith((b"EX-", b"GRAPHIC")):
            return _WRAPPER.sub(b"", text[1], count=1)
    raise UnreadableDocumentError(
        f"The full submission has no whole main document in its {len(content)} bytes; was it cut off? {_AGAIN}"
    )


def _decoded(content: bytes) -> str:
    """EDGAR takes ASCII, and old documents say nothing or the wrong thing: what is not UTF-8 is Windows-1252."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")


def _html_text(source: str, max_numeric_share: float) -> str:
    from lxml import etree  # type: ignore[import-untyped]
    from lxml.html import HTMLParser, document_fromstring  # type: ignore[import-untyped]

    parser = HTMLParser(encoding="utf-8", huge_tree=True, remove_comments=True, remove_pis=True)
    try:
        # A line's end in the source is a space; those of the text follow from its blocks.
        root = document_fromstring(re.sub(r"[\r\n]", " ", source).encode(), parser=parser)
    except etree.LxmlError:
        raise UnreadableDocumentError(
            f"The filing's HTML cannot be read ({len(source)} characters). {_AGAIN}"
        ) from None
    _drop_unseen(root)
    for tags, between in ((_BLOCKS, "\n"), (_CELLS, " ")):
        for element in root.iter(*tags):
            element.text = between + (element.text or "")
            element.tail = between + (element.tail or "")
    _drop_numeric_tables(root, max_numeric_share)
    return "".join(root.itertext())


def _drop_unseen(root: Any) -> None:
    hidden = [element for element in root.xpath("//*[@style]") if _HIDDEN.search(element.get("style"))]
    for element in [*root.iter(*_UNSEEN), *hidden]:
        if element is not root:
            element.drop_tree()


def _drop_numeric_tables(root: Any, max_numeric_share: float) -> None:
    # In reverse order of the document what is inside comes first.
    for table in reversed(list(root.iter("table"))):
        if _numeric_share("".join(table.itertext())) > max_numeric_share:
            table.drop_tree()


def _plain_text(source: str, max_numeric_share: float) -> str:
    """Filings before about 2001: text with a few tags of their own, such as <PAGE>, and tables marked as such."""
    without = _PLAIN_TABLE.sub(
        lambda table: "\n" if _numeric_share(_TAG.sub("", table[1])) > max_numeric_share else table[1], source
    )
    return html.unescape(_TAG.sub(" ", without))


def _numeric_share(text: str) -> float:
    """Digits over letters and digits; 0 where there are neither."""
    digits = sum(map(str.isdigit, text))
    both = digits + sum(map(str.isalpha, text))
    return digits / both if both else 0.0


def _tidy(text: str) -> str:
    """Return text with plain spaces, no space at the ends of lines and no empty line."""
    text = re.sub(r"[^\S\n]+", " ", text.translate(_CHARACTERS).replace("\r", "\n"))
    return re.sub(r" ?\n[\n ]*", "\n", text).strip()
