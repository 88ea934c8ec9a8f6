"""Where reports lie: keys, listings, and what is kept of each."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factor_assets.errors import DocumentError, DocumentNotFoundError
from factor_assets.settings import ReportSettings, Settings
from factor_assets.storage.documents import DocumentInfo, Documents
from factor_assets.tables import TABLES
from factor_assets.text.reports import (
    ReportKey,
    list_reports,
    load_text,
    open_reports,
    read_key,
    report_rows,
    store_text,
    stored_keys,
)
from factor_assets_tests.text.pdfs import REPORT, text_pdf

KEY = ReportKey("AMZN", date(2025, 5, 1))


@pytest.fixture
def drop(tmp_path: Path) -> Documents:
    return Documents(str(tmp_path / "drop"))


@pytest.fixture
def documents(tmp_path: Path) -> Documents:
    return Documents(str(tmp_path / "documents"))


class TestAgainstTheNaming:
    @pytest.mark.parametrize(
        "key", ["AMZN/2025/20250501.pdf", "BRK.B/2024/20240229.pdf", "BF-B/1999/19991231.pdf", "A/2000/20000101.pdf"]
    )
    def test_what_is_named_as_wanted_is_read(self, key: str) -> None:
        found = read_key(key)
        assert found is not None
        assert found.pdf == key
        assert found.json == key.replace(".pdf", ".json")
        assert read_key(found.name) == found

    @pytest.mark.parametrize(
        "key",
        [
            "",
            "AMZN/20250501.pdf",
            "reports/AMZN/2025/20250501.pdf",
            "amzn/2025/20250501.pdf",
            "AMZN/2024/20250501.pdf",
            "AMZN/2025/20250230.pdf",
            "AMZN/2025/20251301.pdf",
            "AMZN/2025/2025501.pdf",
            "AMZN/2025/20250501.PDF",
            "AMZN/2025/20250501.pdf.tmp",
            "AMZN/2025/20250501 (1).pdf",
            "AMZN/2025/20250501.pdf\n",
            "../2025/20250501.pdf",
            "AMZN/٢٠٢٥/٢٠٢٥٠٥٠١.pdf",
            "AMZN/0000/00000101.pdf",
        ],
    )
    def test_what_is_not_is_none(self, key: str) -> None:
        assert read_key(key) is None


class TestProperties:
    @given(st.from_regex(r"[A-Z0-9][A-Z0-9.\-]{0,19}", fullmatch=True), st.dates())
    def test_every_ticker_and_day_has_a_key(self, ticker: str, day: date) -> None:
        assert read_key(ReportKey(ticker, day).pdf) == ReportKey(ticker, day)

    @given(st.text(max_size=40))
    def test_no_name_is_an_accident(self, key: str) -> None:
        assert read_key(key) is None or read_key(key).name == key.removesuffix(".pdf").removesuffix(".json")  # type: ignore[union-attr]

    def test_a_listing_leaves_our_json_out_and_names_the_rest(self, drop: Documents) -> None:
        for key in (KEY.pdf, KEY.json, "AMZN/2025/20250501 (1).pdf", "notes.txt", "B/2025/20250501.pdf"):
            drop.put(key, b"x")
        found = list_reports(drop)
        assert set(found.reports) == {KEY, ReportKey("B", date(2025, 5, 1))}
        assert found.misnamed == ("AMZN/2025/20250501 (1).pdf", "notes.txt")
        assert found.complaint == (
            "2 files are not named TICKER/YYYY/YYYYMMDD.pdf and are left out, such as"
            " 'AMZN/2025/20250501 (1).pdf', 'notes.txt'"
        )
        assert set(list_reports(drop, "B").reports) == {ReportKey("B", date(2025, 5, 1))}
        assert list_reports(drop, "B").complaint == ""

    def test_what_was_read_comes_back(self, drop: Documents, documents: Documents) -> None:
        drop.put(KEY.pdf, text_pdf([REPORT, REPORT]))
        text = store_text(KEY, reports=drop, documents=documents)
        assert load_text(KEY, documents=documents) == text
        assert (text.n_words, len(text.pages), text.error) == (2 * len(REPORT.split()), 2, None)
        assert list(stored_keys(documents, "reports", ["AMZN", "B"])) == [KEY]

    def test_a_report_that_is_replaced_while_it_is_read_is_read_again(
        self, drop: Documents, documents: Documents
    ) -> None:
        drop.put(KEY.pdf, text_pdf(["old words only " * 20]))
        put, replaced = documents.put, []

        def put_late(key: str, content: bytes, *, replace: bool = False) -> bool:
            if not replaced:
                replaced.append(key)
                drop.put(KEY.pdf, text_pdf([REPORT]), replace=True)
            return put(key, content, replace=replace)

        documents.put = put_late  # type: ignore[method-assign]
        assert store_text(KEY, reports=drop, documents=documents).pages[0].startswith("Dear shareholders")
        assert load_text(KEY, documents=documents).pages[0].startswith("Dear shareholders")

    def test_rows_have_the_day_of_the_name_and_the_reason(self, drop: Documents, documents: Documents) -> None:
        drop.put(KEY.pdf, b"")
        text = store_text(KEY, reports=drop, documents=documents)
        rows = report_rows({KEY: text}, {KEY.day: None})
        assert rows.schema == TABLES["reports"].schema
        (row,) = rows.to_pylist()
        assert (row["report_date"], row["known_from"], row["n_pages"]) == (KEY.day, None, None)
        assert row["error"] == "The PDF is empty (0 bytes). Upload it again."

    def test_a_home_folder_is_found(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("HOME", str(tmp_path))
        assert open_reports(Settings(reports=ReportSettings(path="~/drop"))).root == str(tmp_path / "drop")
        assert open_reports(Settings(reports=ReportSettings(path="s3://drop/here"))).root == "s3://drop/here"


class TestErrors:
    def test_a_report_that_is_not_there(self, drop: Documents, documents: Documents) -> None:
        with pytest.raises(DocumentNotFoundError, match=r"no report AMZN/2025/20250501.pdf in .* Was it removed"):
            store_text(KEY, reports=drop, documents=documents)

    def test_a_report_that_never_rests(
        self, drop: Documents, documents: Documents, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        drop.put(KEY.pdf, text_pdf([REPORT]))
        found = list_reports(drop).reports[KEY]
        ticks = iter(range(1000))
        changing = lambda _: iter([replace(found, etag=str(next(ticks)))])  # noqa: E731
        monkeypatch.setattr(drop, "list", changing)
        with pytest.raises(DocumentError, match="changes faster than it can be read; run again when it rests"):
            store_text(KEY, reports=drop, documents=documents)

    def test_a_text_that_was_never_read(self, documents: Documents) -> None:
        with pytest.raises(DocumentNotFoundError):
            load_text(KEY, documents=documents)

    def test_infos_are_of_the_pdf(self, drop: Documents) -> None:
        drop.put(KEY.json, b"{}")
        assert list_reports(drop).reports == {}
        drop.put(KEY.pdf, b"xyz")
        info = list_reports(drop).reports[KEY]
        assert isinstance(info, DocumentInfo)
        assert (info.key, info.size) == (KEY.pdf, 3)
