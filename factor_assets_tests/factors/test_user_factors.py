"""The user's own factors: Python files and text files, read without any change to the package."""

import os
import sys
from pathlib import Path

import pytest

from factor_assets.errors import UserFactorError
from factor_assets.expressions import close, delay, parse
from factor_assets.factors.registry import all_factors, all_libraries
from factor_assets.factors.user import declare, user_factors
from factor_assets.settings import Settings
from factor_assets.workspace import Workspace

PYTHON = """\
from factor_assets.expressions import close, delay
from factor_assets.factors.factor import Factor
from factor_assets.factors.momentum import ret_12_1

month = Factor(
    expression=close / delay(close, 21) - 1,
    sign=+1,
    cite="My own",
)
twice = Factor(expression=ret_12_1.expression * 2, sign=0, cite="My own")
"""
TEXT = """\
# what I believe in

month = close / delay(close, 21) - 1   # one month # of sessions
fade=rank(-delta(close, 5))
"""


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def written(name: str, text: str) -> Path:
    file = Path(name)
    file.parent.mkdir(exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


class TestAgainstTheFile:
    def test_python(self) -> None:
        found = user_factors([written("mine.py", PYTHON)])
        assert list(found) == ["month", "twice"], "the package's ret_12_1 is not the user's"
        assert found["month"].expression == close / delay(close, 21) - 1
        assert (found["month"].family, found["month"].place) == ("mine", "mine.py")
        assert found["month"].factor.sign == 1

    def test_text(self) -> None:
        found = user_factors([written("mine.txt", TEXT)])
        assert {name: str(f.expression) for name, f in found.items()} == {
            "month": "close / delay(close, 21) - 1",
            "fade": "rank(-delta(close, 5))",
        }
        month = found["month"]
        assert (month.family, month.place, month.factor.sign) == ("mine", "mine.txt, line 3", 0)
        assert month.factor.cite == "User's own (mine.txt)"
        assert month.factor.description == "one month # of sessions"
        assert found["fade"].factor.description == ""

    def test_a_folder_is_its_python_files_but_for_tests_and_private_ones(self) -> None:
        written("all/mine.py", PYTHON)
        written("all/other.py", PYTHON.replace("month", "moon").replace("twice", "double"))
        for name in ("test_mine.py", "_terms.py", "notes.txt"):
            written(f"all/{name}", "nonsense (")
        found = user_factors(["all"])
        assert {name: f.family for name, f in found.items()} == {
            "month": "mine",
            "twice": "mine",
            "moon": "other",
            "double": "other",
        }


class TestProperties:
    def test_python_and_text_are_one_factor(self) -> None:
        by_python = user_factors([written("a.py", PYTHON)])["month"]
        by_text = user_factors([written("b.txt", TEXT)])["month"]
        assert by_python.code_version == by_text.code_version

    def test_a_workspace_has_them_after_those_of_the_package(self) -> None:
        written("mine.txt", TEXT)
        chosen = Settings.model_validate({"factors": {"families": ["size/size", "mine"], "paths": ["mine.txt"]}})
        assert list(Workspace(chosen).factors) == ["size", "month", "fade"]
        everything = Settings.model_validate({"factors": {"families": ["all"], "paths": ["mine.txt"]}})
        assert list(Workspace(everything).factors) == [
            *(name for name, factor in all_factors().items() if not factor.document_tables),
            *("month", "fade"),
        ]

    def test_an_edit_within_the_same_second_is_seen_and_leaves_nothing_behind(self) -> None:
        file = written("mine.py", PYTHON)
        then = file.stat().st_mtime
        assert user_factors([file])["month"].lookback == 21
        written("mine.py", PYTHON.replace("21", "42"))
        os.utime(file, (then, then))
        assert user_factors([file])["month"].lookback == 42
        assert list(Path().iterdir()) == [file]

    def test_a_file_never_stands_for_a_module_of_the_same_name(self) -> None:
        import json

        assert user_factors([written("json.py", PYTHON)])["month"].family == "json"
        assert sys.modules["json"] is json

    def test_nothing_named_is_nothing(self) -> None:
        assert user_factors([]) == {}
        Path("empty").mkdir()
        assert user_factors(["empty"]) == {}

    @pytest.mark.parametrize(
        ("paths", "file"),
        [((), "factors/own.py"), (("mine",), "mine/own.py"), (("own.py",), "own.py"), (("own.txt",), "own.txt")],
    )
    def test_a_declared_factor_is_found_and_its_test_runs(self, paths: tuple[str, ...], file: str) -> None:
        for name, formula in (("first", "close / open"), ("second", "rank(-delta(close, 5))")):
            declared, test = declare(name, parse(formula), family="own", paths=paths)
            assert (declared, test) == (Path(file), Path(file).with_name(f"test_{name}.py"))
            scope = {"__file__": str(test)}
            exec(test.read_text(), scope)
            scope[f"test_{name}"]()  # type: ignore[operator]
        found = user_factors(paths or ("factors",))
        assert {name: str(f.expression) for name, f in found.items()} == {
            "first": "close / open",
            "second": "rank(-delta(close, 5))",
        }
        assert {f.family for f in found.values()} == {"own"}

    def test_a_declaration_joins_a_file_of_any_style(self) -> None:
        written("own.py", PYTHON)
        declare("new", parse("close"), family="own", paths=["own.py"])
        assert list(user_factors(["own.py"])) == ["month", "twice", "new"]

    def test_a_test_that_is_there_stays(self) -> None:
        written("factors/test_new.py", "mine")
        declare("new", parse("close"), family="own", paths=())
        assert Path("factors/test_new.py").read_text() == "mine"


class TestErrors:
    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("a = close\nb = rank(clos)", r"mine.txt, line 2: unknown field 'clos'.*position 5:\n  rank\(clos\)\n +\^"),
            ("a = ", r"line 1: expected a number, .*, got the end"),
            ("\n\nclose / open", r"line 3: wanted `name = formula  # description`, got 'close / open'"),
            ("12_1 = close", r"line 1: wanted `name = formula"),
            ("a b = close", r"line 1: wanted `name = formula"),
            (
                "a = close\n\na = open",
                r"mine.txt, line 3: the factor 'a' is already declared in mine.txt, line 1; rename",
            ),
            (
                "size = close",
                r"line 1: the factor 'size' is already declared in factor_assets.factors.size; rename one",
            ),
            ("# nothing", r"mine.txt: no factor is declared here; wanted lines of `name = formula`"),
        ],
    )
    def test_text(self, text: str, message: str) -> None:
        with pytest.raises(UserFactorError, match=message):
            user_factors([written("mine.txt", text)])

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("x = (", r"mine.py, line 1: SyntaxError: '\(' was never closed"),
            ("\nfrom nowhere import x", r"mine.py, line 2: ModuleNotFoundError: No module named 'nowhere'"),
            ("\n\nx = 1 / 0", r"mine.py, line 3: ZeroDivisionError"),
            (
                "from factor_assets.expressions import parse\nx = parse('clos')",
                r"mine.py, line 2: unknown field 'clos': did you mean 'close'",
            ),
            (
                PYTHON.replace("sign=+1", "sign=3"),
                r"mine.py, line 5: A factor's sign is -1, 0 or \+1; got 3",
            ),
            (
                PYTHON.replace("month", "size"),
                r"mine.py: the factor 'size' is already declared in factor_assets.factors.size",
            ),
            ("x = 1", r"mine.py: no factor is declared here; wanted a variable such as `name = Factor"),
        ],
    )
    def test_python(self, text: str, message: str) -> None:
        with pytest.raises(UserFactorError, match=message):
            user_factors([written("mine.py", text)])

    def test_two_files_with_one_name(self) -> None:
        written("a.txt", TEXT)
        written("b.py", PYTHON)
        with pytest.raises(UserFactorError, match=r"b.py: the factor 'month' is already declared in a.txt, line 3"):
            user_factors(["a.txt", "b.py"])

    def test_paths(self) -> None:
        with pytest.raises(
            UserFactorError, match=r"nowhere: this entry of factors.paths does not exist \(from .*factor new"
        ):
            user_factors(["nowhere"])
        Path("bytes.txt").write_bytes(b"\xff\xfe")
        with pytest.raises(UserFactorError, match=r"bytes\.txt: cannot be read as text"):
            user_factors(["bytes.txt"])
        with pytest.raises(
            UserFactorError, match=r"my-own.txt: .* 'my-own' wants letters, digits and _ alone; rename it"
        ):
            user_factors([written("my-own.txt", TEXT)])
        library = next(iter(all_libraries()))
        with pytest.raises(UserFactorError, match=f"'{library}' is a library; rename it"):
            user_factors([written(f"{library}.txt", TEXT)])

    @pytest.mark.parametrize(
        ("name", "family", "message"),
        [
            ("12_1", "mine", "name wants letters, digits and _ alone, got '12_1'"),
            ("lambda", "mine", "got 'lambda'"),
            ("month", "mine", "'month' is already declared in mine.txt, line 3; choose another name"),
            ("ret_12_1", "mine", "'ret_12_1' is already declared in factor_assets.factors.momentum"),
            ("new", "own", r"begins with the file mine.txt, whose family is 'mine', not 'own'"),
        ],
    )
    def test_declare(self, name: str, family: str, message: str) -> None:
        file = written("mine.txt", TEXT)
        with pytest.raises(UserFactorError, match=message):
            declare(name, parse("close"), family=family, paths=[file])
        assert file.read_text() == TEXT
        assert list(Path().iterdir()) == [file]
