"""Decorators that turn a function without a body into an operator: its signature is all that is needed.

What does not belong here: the operators (`operators.py`).
"""

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from types import MappingProxyType
from typing import Literal, ParamSpec, TypeAlias

from factor_assets.expressions.decays import DECAYS, decay_window
from factor_assets.expressions.declaration import OPERATORS, Operator
from factor_assets.expressions.expression import Call, Expression, lift

Operand: TypeAlias = Expression | float
Group: TypeAlias = Expression | None  # names groups: `sector`, or an expression whose equal values are a group
P = ParamSpec("P")
Declare: TypeAlias = Callable[[Callable[P, Expression]], Callable[P, Expression]]


def declare(
    declared: Callable[P, Expression],
    *,
    kind: Literal["elementwise", "time_series", "cross_section"],
    lookback: Callable[..., int],
    smallest: int = 1,
    limits: Mapping[str, tuple[float, float]] = MappingProxyType({}),
    version: int = 1,
) -> Callable[P, Expression]:
    """Register the operator that a function without a body declares, and return the function that builds its call."""
    signature = inspect.signature(declared)
    params = {k: v for k, v in signature.parameters.items() if v.annotation not in (Operand, Group)}
    args = tuple(k for k in signature.parameters if k not in params)
    variadic = any(v.kind is inspect.Parameter.VAR_POSITIONAL for v in signature.parameters.values())
    spec = Operator(
        name=declared.__name__,
        kind=kind,
        args=args,
        params={k: float if v.annotation is float else int for k, v in params.items()},
        defaults={
            k: _default(v.default, params) for k, v in params.items() if v.default is not inspect.Parameter.empty
        },
        smallest=smallest,
        lookback=lookback,
        limits=limits,
        labels=frozenset(k for k, v in signature.parameters.items() if v.annotation is Group),
        variadic=variadic,
        version=version,
    )
    OPERATORS[spec.name] = spec

    @wraps(declared)
    def build(*given: P.args, **named: P.kwargs) -> Expression:
        bound = signature.bind(*given, **named).arguments
        operands = [bound[name] for name in args[:-1]] + (
            list(bound.get(args[-1], ())) if variadic else [bound[args[-1]]]
        )
        numbers = tuple((k, v) for k, v in bound.items() if k in params and v is not None)
        return Call(spec.name, tuple(lift(operand) for operand in operands), numbers)

    return build


def _default(declared: float | None, params: Mapping[str, inspect.Parameter]) -> float | str:
    """Return a declared default; None means the whole window, which the first param gives."""
    return next(iter(params)) if declared is None else declared


def elementwise(declared: Callable[P, Expression]) -> Callable[P, Expression]:
    """Declare an operator on single values."""
    return declare(declared, kind="elementwise", lookback=lambda: 0)


def cross_section(
    **limits: tuple[float, float],
) -> Callable[[Callable[P, Expression]], Callable[P, Expression]]:
    """Declare an operator on the tickers of one date; `limits` are those of its params."""
    return lambda declared: declare(declared, kind="cross_section", lookback=lambda **_: 0, limits=limits)


def lagged(declared: Callable[P, Expression]) -> Callable[P, Expression]:
    """Declare an operator that reads the value n sessions ago."""
    return declare(declared, kind="time_series", lookback=lambda n: n)


def rolling(
    *, smallest: int = 1, **limits: tuple[float, float]
) -> Callable[[Callable[P, Expression]], Callable[P, Expression]]:
    """Statistics of the last n sessions; `smallest` is how many observations they need."""
    return lambda declared: declare(
        declared, kind="time_series", lookback=lambda n, **_: n - 1, smallest=smallest, limits=limits
    )


def decaying(
    **limits: tuple[float, float],
) -> Callable[[Callable[P, Expression]], Callable[P, Expression]]:
    """Exponentially weighted means; the param, one of `DECAYS`, gives the weights."""
    ((name, decay),) = ((k, DECAYS[k]) for k in limits)
    return lambda declared: declare(
        declared, kind="time_series", lookback=lambda **params: decay_window(decay(params[name])) - 1, limits=limits
    )
