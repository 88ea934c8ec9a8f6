"""The repository's own rules: names, sizes, and what must not be in it."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = sorted((ROOT / "factor_assets").rglob("*.py"))
TESTS = sorted((ROOT / "factor_assets_tests").rglob("*.py"))
VAGUE = {"utils", "util", "helpers", "helper", "common", "misc", "base", "tools"}


@pytest.mark.parametrize("file", PACKAGE, ids=lambda file: str(file.relative_to(ROOT)))
class TestEveryModule:
    def test_says_what_it_holds(self, file: Path) -> None:
        docstring = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")))
        assert docstring, f"{file} has no docstring"

    def test_is_one_concept_with_a_name(self, file: Path) -> None:
        assert file.stem not in VAGUE
        assert len(file.read_text(encoding="utf-8").splitlines()) <= 400

    def test_has_no_postponed_annotations(self, file: Path) -> None:
        # Dagster reads the hints of a definition's context at run time.
        assert "from __future__ import annotations" not in file.read_text(encoding="utf-8")


class TestRepository:
    def test_import_contracts_hold(self) -> None:
        done = subprocess.run(
            [str(Path(sys.executable).with_name("lint-imports"))], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout

    def test_names_no_machine(self) -> None:
        # The pattern is assembled so that this file does not match itself.
        pattern = re.compile("(^|[^A-Za-z0-9_.])/" + "(work|root|farm)/")
        for file in [*PACKAGE, *TESTS, ROOT / "README.md", ROOT / "Makefile"]:
            assert not pattern.search(file.read_text(encoding="utf-8")), file

    def test_draws_no_unseeded_numbers(self) -> None:
        pattern = re.compile(r"np\.random\.(rand|randn|uniform|normal|seed|choice)\b")
        for file in PACKAGE:
            assert not pattern.search(file.read_text(encoding="utf-8")), file
