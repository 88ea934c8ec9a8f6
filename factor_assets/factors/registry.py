"""Every declared factor, found by scanning this folder: a new family is a new file, listed nowhere."""

import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from types import MappingProxyType, ModuleType

from factor_assets import factors
from factor_assets.errors import ExpressionError, UnknownFactorError, did_you_mean
from factor_assets.expressions import Expression, code_version, is_cross_sectional, lookback
from factor_assets.expressions import fields as inputs_of
from factor_assets.factors.factor import Factor


@dataclass(frozen=True, kw_only=True, slots=True)
class RegisteredFactor:
    """A factor with its name (the variable's) and family (the module's)."""

    name: str
    family: str
    factor: Factor

    @property
    def expression(self) -> Expression:
        """The formula."""
        return self.factor.expression

    @property
    def inputs(self) -> tuple[str, ...]:
        """Panel fields that it reads."""
        return inputs_of(self.expression)

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


@cache
def all_factors() -> Mapping[str, RegisteredFactor]:
    """Return name -> factor, by family and then in the order of declaration.

    Raises
    ------
    ExpressionError
        If two families declare the same name.
    """
    modules = [
        import_module(f"{factors.__name__}.{module.name}")
        for module in sorted(pkgutil.iter_modules(factors.__path__), key=lambda m: m.name)
        if module.name not in ("factor", "registry")
    ]
    return MappingProxyType(collect(modules))


def factor(name: str) -> RegisteredFactor:
    """Return one factor.

    Raises
    ------
    UnknownFactorError
        If no family declares it; the message names the nearest.
    """
    known = all_factors()
    if name not in known:
        raise UnknownFactorError(f"No factor is called {name!r}; {did_you_mean(name, known)}")
    return known[name]


def collect(modules: list[ModuleType]) -> dict[str, RegisteredFactor]:
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
            found[name] = RegisteredFactor(name=name, family=family, factor=value)
    return found
