"""`doctor` finds what is wrong, names it, says what to do, and goes on to the rest."""

import os
from pathlib import Path

import pytest

from factor_assets.defs.status import examine_instance
from factor_assets.doctor import examine
from factor_assets.examined import Examined
from factor_assets.settings import Settings, StoreSettings
from factor_assets_tests.market import small_settings


def wrong(settings: Settings) -> dict[str, Examined]:
    findings = [*examine(settings), *examine_instance(settings)]
    assert len({finding.check for finding in findings}) >= 15
    return {finding.check: finding for finding in findings if not finding.ok}


class TestProperties:
    def test_a_fresh_home_is_well(self, tmp_path: Path) -> None:
        assert wrong(small_settings(tmp_path)) == {}

    def test_every_section_and_part_is_looked_at(self, tmp_path: Path) -> None:
        settings = small_settings(tmp_path)
        checks = {finding.check: finding for finding in [*examine(settings), *examine_instance(settings)]}
        assert {f"[{name}]" for name in Settings.model_fields if name not in {"home", "profile"}} <= checks.keys()
        parts = {"packages", "home folder", "calendar", "source", "universe", "store", "dagster instance"}
        assert parts <= checks.keys()
        assert checks["source"].found == "sample (synthetic): 11 tickers"
        assert 'source = "sample"' in checks["[data]"].found
        assert "0 tables" in checks["store"].found

    def test_it_leaves_nothing_behind(self, tmp_path: Path) -> None:
        list(examine(small_settings(tmp_path / "home")))
        assert not list((tmp_path / "home").iterdir())


class TestErrors:
    @pytest.mark.parametrize(
        ("section", "values", "check", "message"),
        [
            ("data", {"source": "yahooo"}, "source", "not a price source; did you mean 'yahoo'?"),
            ("data", {"source": "sample", "calendar": "XNYSE"}, "calendar", "did you mean 'XNYS'"),
            ("factors", {"families": ["momentun"]}, "factors", "did you mean 'momentum'"),
            ("universe", {"name": "sp501"}, "universe", "did you mean 'sp500'"),
            ("universe", {"name": "file", "path": "no.csv"}, "universe", "no.csv"),
            ("universe", {"name": "list", "tickers": ["NOSUCH"]}, "universe", "have no ticker in common; change one"),
        ],
    )
    def test_a_wrong_setting(
        self, tmp_path: Path, section: str, values: dict[str, object], check: str, message: str
    ) -> None:
        found = wrong(small_settings(tmp_path, **{section: values}))
        assert message in f"{found[check].found} {found[check].advice}"
        assert "packages" not in found
        assert "dagster instance" not in found

    def test_files_that_are_not_there(self, tmp_path: Path) -> None:
        settings = small_settings(tmp_path, data={"source": "files"}, files={"path": str(tmp_path / "no.csv")})
        assert "no.csv" in wrong(settings)["source"].found

    def test_a_home_that_is_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "home").write_text("")
        found = wrong(small_settings(tmp_path / "home"))
        assert "choose another `home`" in found["home folder"].found
        assert "dagster instance" in found

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
    def test_a_home_that_is_not_writable(self, tmp_path: Path) -> None:
        (tmp_path / "home").mkdir(mode=0o500)
        assert "home folder" in wrong(small_settings(tmp_path / "home"))

    def test_a_full_disk(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("shutil.disk_usage", lambda folder: type("Usage", (), {"free": 10**6}))
        found = wrong(small_settings(tmp_path))["home folder"]
        assert "0.0 GB free" in found.found
        assert "free some disk space" in found.advice

    def test_a_lake_that_is_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "lake").write_text("")
        settings = small_settings(tmp_path).model_copy(update={"store": StoreSettings(path=str(tmp_path / "lake"))})
        assert str(tmp_path / "lake") in wrong(settings)["store"].found

    def test_a_dagster_instance_that_does_not_open(self, tmp_path: Path) -> None:
        settings = small_settings(tmp_path)
        settings.dagster_home.mkdir()
        (settings.dagster_home / "dagster.yaml").write_text("telemetri:\n  enabled: 3\n")
        assert "dagster.yaml" in wrong(settings)["dagster instance"].advice
