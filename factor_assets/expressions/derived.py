"""What follows from an expression and is therefore never declared: inputs, lookback, kind and code version."""

from hashlib import sha256

from factor_assets.expressions.declaration import OPERATORS
from factor_assets.expressions.expression import (
    FIELD_LOOKBACK,
    Call,
    Expression,
    Field,
    known_fields,
    walk,
)


def fields(expression: Expression) -> tuple[str, ...]:
    """Sorted names of the panel fields that the expression reads."""
    return tuple(sorted(node.name for node in walk(expression) if isinstance(node, Field)))


def lookback(expression: Expression) -> int:
    """Sessions before t that the value at t may read: with so many rows before it, a slice evaluates exactly.

    A field that is itself made from earlier sessions, such as `returns`, counts with its own.
    """
    known: dict[Expression, int] = {}
    for node in walk(expression):
        if isinstance(node, Call):
            own = OPERATORS[node.operator].lookback(**dict(node.params))
            known[node] = own + max(known[a] for a in node.args)
        else:
            known[node] = FIELD_LOOKBACK.get(node.name, 0) if isinstance(node, Field) else 0
    return known[expression]


def is_cross_sectional(expression: Expression) -> bool:
    """Whether a ticker's value depends on other tickers."""
    return any(isinstance(node, Call) and OPERATORS[node.operator].kind == "cross_section" for node in walk(expression))


def code_version(expression: Expression) -> str:
    """Twelve hexadecimal digits that change when the formula, an operator it uses or a field it reads changes."""
    nodes = list(walk(expression))
    operators = sorted({n.operator for n in nodes if isinstance(n, Call)})
    parts = [
        str(expression),
        *(f"{name} {OPERATORS[name].version}" for name in operators),
        *(f"{name}: {known_fields()[name]}" for name in fields(expression)),
    ]
    return sha256("\n".join(parts).encode()).hexdigest()[:12]
