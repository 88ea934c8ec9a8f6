"""`doctor` on filings, news, reports and the language model: what is looked at, and that no value is shown."""

from pathlib import Path
from typing import Any

import pytest

from factor_assets.doctor import examine
from factor_assets.examined import Examined
from factor_assets_tests.market import small_settings
from factor_assets_tests.text.pdfs import REPORT, text_pdf

CONTACT = "Ada Lovelace ada@analytical-engine.example"
PRICES = {"model": "some-model", "input_price": 3.0, "output_price": 15.0}
CHECKS = {"sec contact", "news key", "news file", "reports", "word list", "language model key", "documents"}


def found(home: Path, **changes: Any) -> dict[str, Examined]:
    findings = examine(small_settings(home / "home", factors={"families": ["size/size"]}, **changes))
    return {finding.check: finding for finding in findings if finding.check in CHECKS}


class TestProperties:
    def test_what_the_settings_do_not_ask_for_is_not_looked_at(self, tmp_path: Path) -> None:
        assert found(tmp_path) == {}

    def test_everything_there_is_well(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TAVILY_API_KEY", "tvly-secret")
        monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-secret")
        report = tmp_path / "drop" / "SYN000" / "2023" / "20230210.pdf"
        report.parent.mkdir(parents=True)
        report.write_bytes(text_pdf([REPORT]))
        (tmp_path / "words.csv").write_text("word,kind\ngain,positive\nloss,negative\n", "utf-8")
        told = found(
            tmp_path,
            sec={"contact": CONTACT},
            news={"source": "tavily"},
            reports={"path": str(tmp_path / "drop"), "word_list": str(tmp_path / "words.csv")},
            language_model={"provider": "anthropic", **PRICES},
        )
        assert set(told) == CHECKS - {"news file"}
        assert all(finding.ok for finding in told.values())
        assert told["reports"].found.endswith("drop: 1 reports")
        assert told["word list"].found.endswith("1 positive and 1 negative words")
        assert not (tmp_path / "home" / "documents").exists()

    def test_neither_key_nor_contact_is_shown(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TAVILY_API_KEY", "tvly-secret")
        settings = small_settings(tmp_path, sec={"contact": CONTACT}, news={"source": "tavily"})
        told = repr(examine(settings))
        assert "TAVILY_API_KEY is set" in told
        assert "tvly-secret" not in told
        assert "ada@" not in told


class TestErrors:
    @pytest.mark.parametrize(
        ("section", "values", "check", "message"),
        [
            ("sec", {"contact": "Ada Lovelace"}, "sec contact", "the SEC refuses who gives none"),
            ("news", {"source": "tavily"}, "news key", "TAVILY_API_KEY is not set"),
            ("news", {"source": "files", "path": "no.csv"}, "news file", "no.csv is no file"),
            ("language_model", {"provider": "anthropic", **PRICES}, "language model key", "set it to your key"),
            ("reports", {"path": "no folder"}, "reports", "put reports there as TICKER/YYYY/YYYYMMDD.pdf"),
            ("reports", {"word_list": "no.csv"}, "word list", "cannot be opened"),
        ],
    )
    def test_what_is_not_there(
        self,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        section: str,
        values: dict[str, Any],
        check: str,
        message: str,
    ) -> None:
        monkeypatch.delenv("TAVILY_API_KEY", raising=False)
        monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
        finding = found(tmp_path, **{section: values})[check]
        assert not finding.ok
        assert message in f"{finding.found} {finding.advice}"

    def test_reports_that_are_misnamed(self, tmp_path: Path) -> None:
        (tmp_path / "drop").mkdir()
        (tmp_path / "drop" / "letter.pdf").write_bytes(b"")
        finding = found(tmp_path, reports={"path": str(tmp_path / "drop")})["reports"]
        assert not finding.ok
        assert "letter.pdf" in finding.advice

    def test_documents_that_cannot_be_written(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        told = found(tmp_path, sec={"contact": CONTACT}, documents={"path": str(tmp_path / "file")})
        assert not told["documents"].ok
        assert "choose another documents.path" in told["documents"].advice
