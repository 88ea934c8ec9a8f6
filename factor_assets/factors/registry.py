"""Every declared factor and library, found by scanning this folder: a new one is a new file, listed nowhere.

The user's own factors are in `user.py`.
"""

import pkgutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib import import_module
from types import MappingProxyType, ModuleType

from factor_assets import factors
from factor_assets.errors import ExpressionError, SettingsError, UnknownFactorError, did_you_mean
from factor_assets.expressions import Expression, code_version, is_cross_sectional, lookback
from factor_assets.expressions import fields as inputs_of
from factor_assets.factors import libraries
from factor_assets.factors.factor import Factor
from factor_assets.factors.library import Library
from factor_assets.panel.fields import DOCUMENT_FIELDS

_NO_FAMILIES = ("factor", "library", "registry", "user")


@dataclass(frozen=True, kw_only=True, slots=True)
class RegisteredFactor:
    """A factor with its name (the variable's) and family (the module's), and where it is declared."""

    name: str
    family: str
    factor: Factor
    place: str

    @property
    def expression(self) -> Expression:
        """The formula."""
        return self.factor.expression

    @property
    def inputs(self) -> tuple[str, ...]:
        """Panel fields that it reads."""
        return inputs_of(self.expression)

    @property
    def document_tables(self) -> tuple[str, ...]:
        """Tables of filings, reports and news that it reads fields of."""
        read = set(self.inputs)
        return tuple(table for table, fields in DOCUMENT_FIELDS.items() if read.intersection(fields))

    @property
    def lookback(self) -> int:
        """Sessions before t that its value at t may read."""
        return lookback(self.expression)

    @property
    def is_cross_sectional(self) -> bool:
        """Whether a ticker's value depends on other tickers."""
        return is_cross_sectional(self.expression)

    @property
    def code_version(self) -> str:
        """Changes when its values could change."""
        return code_version(self.expression)


@dataclass(frozen=True, kw_only=True, slots=True)
class RegisteredLibrary:
    """A library with its name (the module's); its factors' family is that name."""

    name: str
    library: Library
    factors: Mapping[str, RegisteredFactor]

    @property
    def inputs(self) -> tuple[str, ...]:
        """Panel fields that any of its factors reads."""
        return tuple(sorted({name for factor in self.factors.values() for name in factor.inputs}))

    @property
    def lookback(self) -> int:
        """Sessions before t that any of its values at t may read."""
        return max(factor.lookback for factor in self.factors.values())

    @property
    def code_version(self) -> str:
        """Changes when a column comes, goes or moves, or its values could change."""
        versions = "\n".join(f"{name} {factor.code_version}" for name, factor in self.factors.items())
        return sha256(versions.encode()).hexdigest()[:12]


@cache
def all_factors() -> Mapping[str, RegisteredFactor]:
    """Return name -> factor of the package, by family and then in the order of declaration; libraries left out.

    Raises
    ------
    ExpressionError
        If two families declare the same name.
    """
    modules = [module for module in _modules_of(factors) if module.__name__.rpartition(".")[2] not in _NO_FAMILIES]
    return MappingProxyType(collect(modules))


@cache
def all_libraries() -> Mapping[str, RegisteredLibrary]:
    """Return name -> library of the package.

    Raises
    ------
    ExpressionError
        If a library has a family's name, or no factors.
    """
    return MappingProxyType(
        collect_libraries(_modules_of(libraries), families={f.family for f in all_factors().values()})
    )


def factor(name: str) -> RegisteredFactor:
    """Return one factor.

    Raises
    ------
    UnknownFactorError
        If no family declares it; the message names the nearest.
    """
    return find_factor(name, all_factors(), {})


def find_factor(
    name: str, known: Mapping[str, RegisteredFactor], in_libraries: Mapping[str, RegisteredLibrary]
) -> RegisteredFactor:
    """Return a factor by its name, by `family/name`, or a library's column by `library/name`.

    A library's column is found by its name alone where no factor and no other library has it.

    Raises
    ------
    UnknownFactorError
        If there is none, or several libraries have the column.
    """
    if name in known:
        return known[name]
    family, _, column = name.rpartition("/")
    if column in known and known[column].family == family:
        return known[column]
    if family in in_libraries and column in in_libraries[family].factors:
        return in_libraries[family].factors[column]
    found = [library.factors[name] for library in in_libraries.values() if name in library.factors]
    if len(found) > 1:
        raise UnknownFactorError(
            f"{name!r} is a column of several libraries; say {' or '.join(f'{f.family}/{name}' for f in found)}."
        )
    if found:
        return found[0]
    choices = [*known, *(column for library in in_libraries.values() for column in library.factors)]
    if family:
        choices = [f"{factor.family}/{factor.name}" for factor in known.values()]
        choices += [f"{library.name}/{column}" for library in in_libraries.values() for column in library.factors]
    raise UnknownFactorError(f"No factor is called {name!r}; {did_you_mean(name, choices)}")


def select_factors(
    known: Mapping[str, RegisteredFactor], wanted: Iterable[str], *, own: Mapping[str, RegisteredFactor]
) -> dict[str, RegisteredFactor]:
    """Return the factors that some families, `family/name`s or names choose, and then all of the user's own.

    Parameters
    ----------
    wanted
        None of them is all.

    Raises
    ------
    SettingsError
        If one chooses nothing; the message names the nearest.
    """
    names = set(wanted)
    if not names:
        return {**known, **own}
    spelled = {f.name: {f.name, f.family, f"{f.family}/{f.name}"} for f in (*known.values(), *own.values())}
    _refuse_unknown("factors.families", names, set().union(*spelled.values()))
    return {name: known[name] for name in known if spelled[name] & names} | dict(own)


def select_libraries(known: Mapping[str, RegisteredLibrary], wanted: Iterable[str]) -> dict[str, RegisteredLibrary]:
    """Return the named libraries, in the registry's order.

    Raises
    ------
    SettingsError
        If a name is no library's; the message names the nearest.
    """
    names = set(wanted)
    _refuse_unknown("factors.libraries", names, set(known))
    return {name: known[name] for name in known if name in names}


def collect(modules: Iterable[ModuleType]) -> dict[str, RegisteredFactor]:
    """Return name -> factor of the declarations in some modules.

    Raises
    ------
    ExpressionError
        If two modules declare the same name.
    """
    found: dict[str, RegisteredFactor] = {}
    for module in modules:
        family = module.__name__.rpartition(".")[2]
        for name, value in vars(module).items():
            if not isinstance(value, Factor):
                continue
            if name in found:
                raise ExpressionError(
                    f"Factor {name!r} is declared in {found[name].family!r} and in {family!r}; a name has one formula."
                )
            found[name] = RegisteredFactor(name=name, family=family, factor=value, place=module.__name__)
    return found


def collect_libraries(modules: Iterable[ModuleType], *, families: Iterable[str]) -> dict[str, RegisteredLibrary]:
    """Return name -> library of the modules that declare one in the variable LIBRARY.

    Raises
    ------
    ExpressionError
        If a library has the name of one of the families, or no factors.
    """
    found: dict[str, RegisteredLibrary] = {}
    for module in modules:
        library = vars(module).get("LIBRARY")
        if not isinstance(library, Library):
            continue
        name = module.__name__.rpartition(".")[2]
        if name in families:
            raise ExpressionError(f"Library {name!r} has the name of a family of factors; rename {module.__name__}.")
        if not library.factors:
            raise ExpressionError(f"Library {name!r} has no factors; fill LIBRARY in {module.__name__}.")
        members = {
            column: RegisteredFactor(name=column, family=name, factor=member, place=module.__name__)
            for column, member in library.factors.items()
        }
        found[name] = RegisteredLibrary(name=name, library=library, factors=MappingProxyType(members))
    return found


def _modules_of(package: ModuleType) -> list[ModuleType]:
    names = sorted(module.name for module in pkgutil.iter_modules(package.__path__) if not module.ispkg)
    return [import_module(f"{package.__name__}.{name}") for name in names]


def _refuse_unknown(setting: str, names: Iterable[str], known: Iterable[str]) -> None:
    choices = set(known)
    for name in sorted(set(names) - choices):
        raise SettingsError(f"{setting} names {name!r}, which is none; {did_you_mean(name, choices)}")
