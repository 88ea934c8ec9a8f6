"""The text of PDFs: figures of real filings, every way to have no text."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from factor_assets.errors import UnreadableDocumentError
from factor_assets.text.pdf import FEWEST_WORDS, PdfText, read_pdf
from factor_assets_tests.text.pdfs import REPORT, picture_pdf, text_pdf

EXPECTED = {
    "AMAZON_2019_10K": (83, "11,588"),
    "MICROSOFT_2016_10K": (121, "32,780"),
    "NETFLIX_2017_10K": (73, "5,466,312"),
}
"""Pages, and the figure of the FinanceBench question as the filing prints it."""


class TestAgainstRealFilings:
    @pytest.mark.parametrize("name", EXPECTED)
    def test_the_page_that_financebench_names_has_its_figure(self, shared_data: Path, name: str) -> None:
        questions = pq.read_table(shared_data / "pdf" / "financebench_qa_sample.parquet").to_pylist()
        (question,) = [q for q in questions if q["doc_name"] == name]
        text = read_pdf((shared_data / "pdf" / f"{name}.pdf").read_bytes())
        n_pages, figure = EXPECTED[name]
        assert len(text.pages) == n_pages
        assert text.n_unreadable == 0
        assert figure in text.pages[question["evidence_page_zero_based"][0]]
        assert figure.replace(",", "").startswith(question["answer"].strip("$").removesuffix(".00"))

    def test_every_number_of_the_evidence_is_in_our_text(self, shared_data: Path) -> None:
        for question in pq.read_table(shared_data / "pdf" / "financebench_qa_sample.parquet").to_pylist():
            text = read_pdf((shared_data / "pdf" / f"{question['doc_name']}.pdf").read_bytes())
            page = text.pages[question["evidence_page_zero_based"][0]]
            ours = {word.strip("$()%") for word in page.split()}
            numbers = {w.strip("$()%") for w in question["evidence_text"][0].split() if any(c.isdigit() for c in w)}
            assert numbers <= ours | {""}, question["doc_name"]

    def test_words_that_a_filing_places_one_by_one_are_in_lines(self, shared_data: Path) -> None:
        text = read_pdf((shared_data / "pdf" / "APPLE_2018_10K.pdf").read_bytes())
        assert "Forward-looking statements are not guarantees of future performance" in text.pages[3]
        assert "wholly-owned subsidiaries" in text.pages[3]

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("password-example", "encrypted and wants a password"),
            ("malformed-from-issue-932", "malformed: it opens, but next to no text"),
            ("empty", r"empty \(0 bytes\)"),
            ("imagemagick-CCITTFaxDecode", "pictures instead of text"),
        ],
    )
    def test_each_bad_one_says_what_it_is(self, shared_data: Path, name: str, message: str) -> None:
        with pytest.raises(UnreadableDocumentError, match=message):
            read_pdf((shared_data / "pdf" / "bad" / f"{name}.pdf").read_bytes())


class TestProperties:
    def test_pages_come_in_order_with_their_lines(self) -> None:
        text = read_pdf(text_pdf([REPORT, REPORT.replace("Dear", "Honoured")]))
        assert [page.split("\n")[0] for page in text.pages] == ["Dear shareholders,", "Honoured shareholders,"]
        assert text.n_words == 2 * len(REPORT.split())

    def test_an_empty_password_opens(self) -> None:
        assert read_pdf(text_pdf([REPORT], password="")) == read_pdf(text_pdf([REPORT]))

    def test_a_blank_page_is_no_error(self) -> None:
        assert read_pdf(text_pdf([REPORT, ""])).pages[1] == ""

    def test_words_are_counted(self) -> None:
        assert PdfText(pages=("one two", "", "three\nfour")).n_words == 4

    def test_threads_take_turns(self) -> None:
        content = text_pdf([REPORT] * 20)
        with ThreadPoolExecutor(8) as pool:
            assert len(set(pool.map(read_pdf, [content] * 40))) == 1


class TestErrors:
    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"", r"The PDF is empty \(0 bytes\). Upload it again."),
            (text_pdf([REPORT], password="secret"), "wants a password. Save it without one and upload that."),
            (picture_pdf(3), r"pictures instead of text \(0 words on 3 pages\), as a scan does. Run text recognition"),
            (b"<html>not found</html>", "no reader can open its 22 bytes. Was the upload cut off"),
            (text_pdf([REPORT])[:200], "no reader can open its 200 bytes"),
            (text_pdf(["few words"]), r"next to no text comes out \(2 words on 1 pages, 0 pages damaged\)"),
            (text_pdf([" ".join(["word"] * FEWEST_WORDS), *[""] * 30]), "next to no text comes out"),
        ],
        ids=["empty", "password", "pictures", "no pdf", "cut off", "few words", "few words a page"],
    )
    def test_each_says_what_it_is_and_what_to_do(self, content: bytes, message: str) -> None:
        with pytest.raises(UnreadableDocumentError, match=message):
            read_pdf(content)

    def test_nothing_of_the_document_is_in_the_message(self) -> None:
        with pytest.raises(UnreadableDocumentError) as caught:
            read_pdf(text_pdf(["Confidential merger"]))
        assert "merger" not in str(caught.value)
        assert caught.value.__cause__ is None

    def test_damage_in_the_middle_takes_no_time(self) -> None:
        content = bytearray(text_pdf([REPORT] * 50))
        for place in range(500, len(content), 997):
            content[place] ^= 0xFF
        began = time.monotonic()
        with suppress(UnreadableDocumentError):
            assert len(read_pdf(bytes(content)).pages) <= 50
        assert time.monotonic() - began < 5
