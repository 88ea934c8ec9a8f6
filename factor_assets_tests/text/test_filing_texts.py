"""Which filings are compared, what is counted once, and the rows."""

import json
from datetime import date, timedelta
from gzip import compress, decompress
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factor_assets.storage.documents import Documents
from factor_assets.tables import TABLES
from factor_assets.text.filing_texts import (
    FORMS,
    Comparison,
    Filing,
    FilingWords,
    Unread,
    comparisons,
    count_words,
    filing_text_rows,
    read_words,
)
from factor_assets.text.similarity import cosine_similarity, jaccard_similarity
from factor_assets.text.tone import WordList

LIST = WordList(positive=frozenset({"gain"}), negative=frozenset({"loss", "weak"}))
TEXT = "We had a gain and no gain and a loss in a year that was as weak as any before it was over, we think."


def filing(n: int, report_date: date | None, *, form: str = "10-K", **changes: Any) -> Filing:
    filed = changes.pop("filed", (report_date or date(2020, 12, 31)) + timedelta(days=40))
    row: dict[str, Any] = {
        "ticker": "ABC",
        "cik": "0000000001",
        "accession": f"0000000001-00-{n:06d}",
        "form": form,
        "filed": filed,
        "report_date": report_date,
        "primary_document": "a.htm",
        "known_from": filed + timedelta(days=1),
        **changes,
    }
    return Filing(**row)


def table(*filings: Filing) -> pa.Table:
    rows = [
        {name: getattr(f, name) for name in Filing.__slots__} | {"accepted_at": None, "source": "test"} for f in filings
    ]
    return pa.Table.from_pylist(rows, schema=TABLES["filings"].schema)


def pairs(*filings: Filing, **options: Any) -> dict[int, int | None]:
    """Number of a filing -> of the one that it is compared with."""
    found = comparisons(table(*filings), **options)
    return {
        int(c.filing.accession[-6:]): int(c.previous.accession[-6:]) if c.previous is not None else None for c in found
    }


def content(text: str) -> bytes:
    return f"<html><body><p>{text}</p></body></html>".encode()


class TestAgainstHandCounts:
    def test_a_row_is_what_a_reader_counts(self) -> None:
        before, now = filing(1, date(2020, 12, 31)), filing(2, date(2021, 12, 31))
        old = count_words(content(TEXT.replace("gain", "loss")), LIST)
        new = count_words(content(TEXT), LIST)
        assert isinstance(old, FilingWords)
        assert isinstance(new, FilingWords)
        read = {before.accession: old, now.accession: new}
        (row,) = filing_text_rows([Comparison(now, before)], read, source="test").to_pylist()
        # "a" is one letter and no word; the second gain is negated.
        assert row["n_words"] == 22
        assert row["tone"] == (1 - 2) / (1 + 2)
        assert row["negative_share"] == 2 / 22
        assert row["similarity_cosine"] == cosine_similarity(new.counts, old.counts)
        assert row["similarity_jaccard"] == jaccard_similarity(new.counts, old.counts)
        assert row["document_id"] == sha256(content(TEXT)).hexdigest()
        assert row["previous_accession"] == before.accession
        assert (row["known_from"], row["filed"]) == (now.known_from, now.filed)
        assert row["error"] is None

    def test_the_same_text_a_year_later_is_one(self) -> None:
        before, now = filing(1, date(2020, 12, 31)), filing(2, date(2021, 12, 31))
        words = count_words(content(TEXT))
        rows = filing_text_rows(
            [Comparison(now, before)], {before.accession: words, now.accession: words}, source="test"
        ).to_pylist()
        assert (rows[0]["similarity_cosine"], rows[0]["similarity_jaccard"]) == (1.0, 1.0)
        assert (rows[0]["tone"], rows[0]["negative_share"], rows[0]["error"]) == (None, None, None)


class TestProperties:
    def test_a_quarter_is_compared_with_that_of_the_year_before(self) -> None:
        ends = [date(2020, 3, 31), date(2020, 6, 30), date(2020, 9, 30), date(2021, 3, 31), date(2021, 6, 30)]
        quarters = [filing(n, end, form="10-Q") for n, end in enumerate(ends)]
        assert pairs(*quarters) == {0: None, 1: None, 2: None, 3: 0, 4: 1}

    @pytest.mark.parametrize(
        ("days", "compared"), [(349, False), (350, True), (364, True), (371, True), (380, True), (381, False)]
    )
    def test_a_year_is_350_to_380_days(self, days: int, compared: bool) -> None:
        end = date(2021, 9, 25)
        before = filing(1, end - timedelta(days=days))
        assert pairs(before, filing(2, end))[2] == (1 if compared else None)

    def test_only_the_same_form_is_compared_and_amendments_have_no_row(self) -> None:
        end, before = date(2021, 12, 31), date(2020, 12, 31)
        others = [filing(n, before, form=form) for n, form in enumerate(["10-K/A", "10-Q", "8-K", "10-KT"])]
        assert pairs(*others, filing(9, end))[9] is None
        assert set(pairs(*others, filing(9, end))) == {1, 9}
        for form in FORMS:
            assert pairs(filing(1, before, form=form), filing(2, end, form=form)) == {1: None, 2: 1}

    def test_the_first_of_two_for_the_same_period_counts(self) -> None:
        first = filing(1, date(2020, 12, 31))
        again = filing(2, date(2020, 12, 31), filed=first.filed + timedelta(days=50))
        assert pairs(again, first, filing(3, date(2021, 12, 31)))[3] == 1

    def test_the_nearest_to_a_year_counts(self) -> None:
        near, nearer = filing(1, date(2020, 12, 20)), filing(2, date(2020, 12, 31))
        assert pairs(near, nearer, filing(3, date(2021, 12, 31)))[3] == 2

    @given(st.permutations(range(8)), st.dates(date(2019, 1, 1), date(2023, 1, 1)))
    def test_later_filings_change_nothing_known_before(self, order: list[int], cut: date) -> None:
        # Every second one is filed so late that the next year's comes first.
        every = [
            filing(n, date(2014 + n, 12, 31), filed=date(2015 + n, 2, 1) + timedelta(days=500 * (n % 2))) for n in order
        ]
        known = [f for f in every if f.filed <= cut]
        whole = pairs(*every)
        assert pairs(*known) == {int(f.accession[-6:]): whole[int(f.accession[-6:])] for f in known}

    def test_days_limit_the_rows_and_not_what_they_are_compared_with(self) -> None:
        every = [filing(n, date(2015 + n, 12, 31)) for n in range(5)]
        first = every[2].known_from
        assert pairs(*every, first=first) == {2: 1, 3: 2, 4: 3}
        assert pairs(*every, first=first, last=every[3].filed) == {2: 1, 3: 2}
        unknown = filing(9, date(2020, 12, 31), known_from=None)
        assert pairs(*every, unknown, first=date(2100, 1, 1)) == {9: 4}

    def test_words_are_counted_once_a_list(self, tmp_path: Path) -> None:
        documents, one, asked = Documents(str(tmp_path)), filing(1, date(2020, 12, 31)), []

        def deliver() -> bytes:
            asked.append(1)
            return content(TEXT)

        def read(word_list: WordList | None) -> FilingWords | Unread:
            return read_words(one, deliver, word_list=word_list, documents=documents)

        assert read(None) == read(None) == count_words(content(TEXT))
        assert len(asked) == 1
        assert read(LIST) == read(LIST) == count_words(content(TEXT), LIST)
        assert len(asked) == 2
        (key,) = (info.key for info in documents.list())
        for spoiled in (b"", b"{}", compress(b"[1]"), compress(b'{"made_by": 1'), documents.get(key)[:-9]):
            documents.put(key, spoiled, replace=True)
            assert read(LIST) == count_words(content(TEXT), LIST)
        assert len(asked) == 7
        assert list(json.loads(decompress(documents.get(key)))["counts"]) == sorted(
            set(TEXT.lower().translate({ord(","): None, ord("."): None}).split()) - {"a"}
        )


class TestErrors:
    def test_what_is_not_compared_says_why(self) -> None:
        words = count_words(content(TEXT), LIST)
        late = filing(1, date(2020, 12, 31), filed=date(2023, 1, 1))
        lonely, undated = filing(2, date(2021, 12, 31)), filing(3, None, form="20-F")
        found = comparisons(table(late, lonely, undated))
        read: dict[str, FilingWords | Unread] = {c.filing.accession: words for c in found}
        rows = {row["accession"]: row for row in filing_text_rows(found, read, source="test").to_pylist()}
        assert {number[-1]: row["error"] for number, row in rows.items()} == {
            "1": "not compared: there is no 10-K of the year before",
            "2": "not compared: the 10-K of the year before was not filed earlier",
            "3": "not compared: the SEC does not say which period it is about",
        }
        for row in rows.values():
            assert (row["similarity_cosine"], row["similarity_jaccard"], row["previous_accession"]) == (None,) * 3
            assert row["n_words"] == 22
            assert row["tone"] is not None

    def test_a_filing_without_text_has_no_number(self) -> None:
        before, now = filing(1, date(2020, 12, 31)), filing(2, date(2021, 12, 31))
        unread, words = count_words(b""), count_words(content(TEXT))
        assert isinstance(unread, Unread)
        numbers = ("n_words", "similarity_cosine", "similarity_jaccard", "tone", "negative_share")
        (row,) = filing_text_rows(
            [Comparison(now, before)], {before.accession: words, now.accession: unread}, source="test"
        ).to_pylist()
        assert [row[name] for name in numbers] == [None] * 5
        assert row["error"] == unread.reason
        assert row["document_id"] == sha256(b"").hexdigest()
        (row,) = filing_text_rows(
            [Comparison(now, before)], {before.accession: unread, now.accession: words}, source="test"
        ).to_pylist()
        assert row["n_words"] == 22
        assert row["similarity_cosine"] is None
        assert row["error"] == f"not compared: that of the year before: {unread.reason}"

    def test_a_text_without_words_of_the_list_has_a_reason(self) -> None:
        now = filing(1, date(2020, 12, 31))
        words = count_words(content("Nothing here is told with much of a feeling, " * 5), LIST)
        (row,) = filing_text_rows([Comparison(now, None, "x")], {now.accession: words}, source="test").to_pylist()
        assert row["tone"] is None
        assert row["negative_share"] == 0.0
        assert row["error"] == "no tone: the text has no word of the list; not compared: x"
