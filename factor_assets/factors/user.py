"""The user's own factors, read from the files that the setting `factors.paths` names.

A file of Python declares factors as the families of the package do. A file of text has one `name = formula` a line;
what follows a `#` is the description. The family is the file's name. What does not belong here: which of the package's
factors are wanted (`registry.py`).
"""

import re
import sys
from collections.abc import Iterable, Mapping
from hashlib import sha256
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from keyword import iskeyword
from pathlib import Path
from traceback import extract_tb
from types import CodeType, ModuleType

from factor_assets.errors import ExpressionError, UserFactorError
from factor_assets.expressions import Expression, parse
from factor_assets.factors.factor import Factor
from factor_assets.factors.registry import RegisteredFactor, all_factors, all_libraries
from factor_assets.storage.atomic import replace_file

PYTHON = ".py"
NEW_FOLDER = "factors"
_LINE = re.compile(r"\s*(?P<name>[^=\s]+)\s*=(?P<formula>[^#]*)(?:#(?P<description>.*))?")


def user_factors(
    paths: Iterable[str | Path], *, known: Mapping[str, RegisteredFactor] | None = None
) -> dict[str, RegisteredFactor]:
    """Read the user's own factors.

    Parameters
    ----------
    paths
        Each a folder of Python files (those named `test_*` or `_*` are left out), one Python file, or one text file.
    known
        Name -> factor that is there already; by default those of the package.

    Raises
    ------
    UserFactorError
        If a path or a declaration cannot be read, a name is not one, or it is declared twice; the message has the file
        and the line.
    """
    found: dict[str, RegisteredFactor] = {}
    taken = dict(all_factors() if known is None else known)
    for file in (file for path in paths for file in _files_of(Path(path).expanduser())):
        _require_family(file)
        declared = _from_python(file, taken) if file.suffix == PYTHON else _from_text(file)
        for factor in declared:
            if factor.name in taken:
                raise UserFactorError(
                    f"{factor.place}: the factor {factor.name!r} is already declared in {taken[factor.name].place};"
                    " rename one of them."
                )
            found[factor.name] = taken[factor.name] = factor
    return found


def _require_family(file: Path) -> None:
    if not file.stem.isidentifier() or file.stem in all_libraries():
        wanted = "is a library" if file.stem.isidentifier() else "wants letters, digits and _ alone"
        raise UserFactorError(
            f"{file}: a file of factors is named after its family, and {file.stem!r} {wanted}; rename it."
        )


def _files_of(path: Path) -> list[Path]:
    if path.is_dir():
        return [file for file in sorted(path.glob(f"*{PYTHON}")) if not file.name.startswith(("_", "test_"))]
    if not path.exists():
        raise UserFactorError(
            f"{path}: this entry of factors.paths does not exist (from {Path.cwd()}); wanted a folder of Python files,"
            " a Python file or a text file. `factor-assets factor new` writes one."
        )
    return [path]


class _FreshLoader(SourceFileLoader):
    """Compiles at every load: a cached compilation is told from a newer file by the second, and is litter."""

    def get_code(self, fullname: str) -> CodeType:
        """Return the code of the file as it is now."""
        path = self.get_filename(fullname)
        code: CodeType = self.source_to_code(self.get_data(path), path)
        return code


def _from_python(file: Path, known: Mapping[str, RegisteredFactor]) -> list[RegisteredFactor]:
    module = _load(file)
    imported = {id(factor.factor) for factor in known.values()}
    declared = [
        RegisteredFactor(name=name, family=file.stem, factor=value, place=str(file))
        for name, value in vars(module).items()
        if isinstance(value, Factor) and id(value) not in imported
    ]
    if not declared:
        raise UserFactorError(f"{file}: no factor is declared here; wanted a variable such as `name = Factor(...)`.")
    return declared


def _load(file: Path) -> ModuleType:
    # Any module name that nobody imports: the user's `signal.py` must not stand for another.
    name = f"_factor_assets_user_{sha256(str(file.absolute()).encode()).hexdigest()[:12]}_{file.stem}"
    loader = _FreshLoader(name, str(file))
    spec = spec_from_file_location(name, file, loader=loader)
    assert spec is not None  # noqa: S101 - a loader was given
    module = module_from_spec(spec)
    # Dataclasses of the file look their module up.
    sys.modules[name] = module
    try:
        loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        place = f"{file}, line {_line_of(error, file)}"
        kind = "" if isinstance(error, ExpressionError) else f"{type(error).__name__}: "
        told = error.msg if isinstance(error, SyntaxError) else str(error)
        raise UserFactorError(f"{place}: {kind}{told}") from error
    return module


def _line_of(error: Exception, file: Path) -> int | str:
    if isinstance(error, SyntaxError) and error.filename == str(file) and error.lineno is not None:
        return error.lineno
    lines = [frame.lineno for frame in extract_tb(error.__traceback__) if frame.filename == str(file)]
    return lines[-1] if lines and lines[-1] is not None else "unknown"


def _from_text(file: Path) -> list[RegisteredFactor]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserFactorError(f"{file}: cannot be read as text: {error}. Wanted lines of `name = formula`.") from error
    declared: dict[str, RegisteredFactor] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        place = f"{file}, line {number}"
        match = _LINE.fullmatch(line)
        if match is None or not match["name"].isidentifier():
            raise UserFactorError(f"{place}: wanted `name = formula  # description`, got {line.strip()!r}.")
        name = match["name"]
        if name in declared:
            raise UserFactorError(
                f"{place}: the factor {name!r} is already declared in {declared[name].place}; rename one of them."
            )
        try:
            expression = parse(match["formula"].strip())
        except ExpressionError as error:
            raise UserFactorError(f"{place}: {error}") from error
        factor = Factor(
            expression=expression,
            sign=0,
            cite=f"User's own ({file.name})",
            description=(match["description"] or "").strip(),
        )
        declared[name] = RegisteredFactor(name=name, family=file.stem, factor=factor, place=place)
    if not declared:
        raise UserFactorError(f"{file}: no factor is declared here; wanted lines of `name = formula`.")
    return list(declared.values())


def declare(name: str, formula: Expression, *, family: str, paths: Iterable[str | Path]) -> tuple[Path, Path]:
    """Write the declaration of a new factor and a test that runs it.

    Parameters
    ----------
    family
        The file's name, where the first path is a folder.
    paths
        As in `user_factors`; the declaration goes to the first, or to the folder `factors` here if there is none. What
        does not exist yet is made.

    Returns
    -------
    The file of the declaration, and that of the test.

    Raises
    ------
    UserFactorError
        If the name is none or taken, or the family is not the file's.
    """
    places = [Path(path).expanduser() for path in paths] or [Path(NEW_FOLDER)]
    known = dict(all_factors()) | user_factors(path for path in places if path.exists())
    if not name.isidentifier() or iskeyword(name):
        raise UserFactorError(f"A factor's name wants letters, digits and _ alone, got {name!r}; choose another.")
    if name in known:
        raise UserFactorError(f"The factor {name!r} is already declared in {known[name].place}; choose another name.")
    is_file = bool(places[0].suffix) and not places[0].is_dir()
    file = places[0] if is_file else places[0] / f"{family}{PYTHON}"
    _require_family(file)
    if file.stem != family:
        raise UserFactorError(
            f"factors.paths begins with the file {file}, whose family is {file.stem!r}, not {family!r}."
        )
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    if file.suffix == PYTHON:
        text = text.rstrip() + "\n\n\n" if text.strip() else f'"""My own factors: {family}."""\n\n'
        missing = [line for line in _IMPORTS if line not in text]
        text += "".join(missing) + ("\n" if missing else "") + _DECLARATION.format(name=name, formula=str(formula))
    else:
        text = (text.rstrip() + "\n" if text.strip() else "") + f"{name} = {formula}\n"
    test = file.with_name(f"test_{name}{PYTHON}")
    replace_file(file, text.encode())
    if not test.exists():
        replace_file(test, _TEST.format(name=name, file=file.name).encode())
    return file, test


_IMPORTS = (
    "from factor_assets.expressions import parse\n",
    "from factor_assets.factors.factor import Factor\n",
)
_DECLARATION = """{name} = Factor(
    expression=parse("{formula}"),
    sign=0,  # +1 if high values should earn more, -1 if less
    cite="My own",
    unit="",
    description="",
)
"""
_TEST = '''"""{name} has values, and none of them depends on what happens later."""

from pathlib import Path

from factor_assets import check_factor
from factor_assets.factors.user import user_factors


def test_{name}() -> None:
    check_factor(user_factors([Path(__file__).with_name("{file}")])["{name}"])
'''
