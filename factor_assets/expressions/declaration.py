"""What an operator is: its operands, its numbers and their limits, and how far it looks back.

What does not belong here: which operators exist (`operators.py`) and the tree that they make (`expression.py`).
"""

import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from factor_assets.errors import ExpressionError, did_you_mean

MAX_WINDOW = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """What one operator is; made by the decorators of `operators.py`.

    Parameters
    ----------
    args
        Names of the operands, which are expressions.
    params
        Names of the numbers that follow them, with their types.
    defaults
        Values of the params that may be left out. A text names the param whose value, rounded up, is taken.
    smallest
        Smallest window `n` that has a value.
    lookback
        Sessions before t that the value at t may read, from the params.
    version
        Raised when the operator's values change; part of every `code_version` that uses it.
    limits
        Param -> smallest and largest value, for those that are not windows.
    labels
        Operands that may be names of groups, such as `sector`.
    variadic
        Whether the last operand may be given several times.
    """

    name: str
    kind: Literal["elementwise", "time_series", "cross_section"]
    args: tuple[str, ...]
    params: Mapping[str, type]
    defaults: Mapping[str, float | str]
    smallest: int
    lookback: Callable[..., int]
    version: int
    limits: Mapping[str, tuple[float, float]] = field(default_factory=lambda: MappingProxyType({}))
    labels: frozenset[str] = frozenset()
    variadic: bool = False
    symbol: str = ""
    precedence: int = 0

    @property
    def signature(self) -> str:
        """The call as one writes it, such as `mean(x, n, min_periods=n)`."""
        operands = [*self.args[:-1], f"*{self.args[-1]}"] if self.variadic else list(self.args)
        required = [name for name in self.params if name not in self.defaults]
        optional = [f"{k}={v if isinstance(v, str) else number_text(v)}" for k, v in self.defaults.items()]
        return f"{self.name}({', '.join([*operands, *required, *optional])})"


OPERATORS: dict[str, Operator] = {}


def checked_params(spec: Operator, given: Mapping[str, float]) -> dict[str, float]:
    """Return every param of a call with its default, in the order of the declaration.

    Raises
    ------
    ExpressionError
        If a param is unknown, missing, of the wrong type or outside its limits, or a window would look ahead.
    """
    unknown = [name for name in given if name not in spec.params]
    if unknown:
        choices = did_you_mean(unknown[0], spec.params) if spec.params else "it has none."
        raise ExpressionError(f"{spec.signature} has no parameter {unknown[0]!r}; {choices}")
    checked: dict[str, float] = {}
    for name, kind in spec.params.items():
        if name not in given and name not in spec.defaults:
            raise ExpressionError(f"{spec.signature} wants {name}.")
        value = given.get(name)
        if value is None:
            value = default_of(spec, name, checked)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= sys.float_info.max:
            raise ExpressionError(f"{spec.signature} wants a finite number for {name}; got {value!r}.")
        if kind is int:
            if value != int(value):
                raise ExpressionError(f"{spec.signature} wants a whole number for {name}; got {value!r}.")
            value = int(value)
        else:
            value = float(value) + 0.0
        _check_limits(spec, name, value, checked)
        checked[name] = value
    return checked


def _check_limits(spec: Operator, name: str, value: float, before: Mapping[str, float]) -> None:
    if name == "n":
        _check_window(spec, int(value))
    elif name == "min_periods":
        window = spec.lookback(**before, min_periods=value) + 1
        if not 1 <= value <= window:
            raise ExpressionError(
                f"{spec.signature} wants min_periods between 1 and its window of {window} sessions; got {value}."
            )
    elif name in spec.limits:
        low, high = spec.limits[name]
        if not low <= value <= high:
            raise ExpressionError(
                f"{spec.signature} wants {name} between {number_text(low)} and {number_text(high)}; got {value}."
            )


def _check_window(spec: Operator, n: int) -> None:
    if n < 0:
        raise ExpressionError(
            f"{spec.signature} with n = {n} would look ahead: windows and lags count sessions into the past, so n"
            f" wants at least {spec.smallest}."
        )
    if n < spec.smallest:
        raise ExpressionError(f"{spec.signature} wants n of at least {spec.smallest}; got {n}.")
    if n > MAX_WINDOW:
        raise ExpressionError(f"{spec.signature} wants n of at most {MAX_WINDOW} sessions; got {n}.")


def default_of(spec: Operator, name: str, params: Mapping[str, float]) -> float:
    """Return the value that a param has when it is left out."""
    value = spec.defaults[name]
    return math.ceil(params[value]) if isinstance(value, str) else value


def number_text(value: float) -> str:
    """Return a number as formulas print it: whole ones without a point, others so that they read back exactly."""
    if isinstance(value, int) or (value.is_integer() and abs(value) < 1e15):
        return str(int(value))
    return repr(value)
