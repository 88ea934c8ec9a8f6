"""The expression tree: what a formula is, how it is built by Python operators, and how it prints.

What does not belong here: which operators exist (`operators.py`), reading text (`parser.py`), computing anything
(`engine.py`).
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from factor_assets.errors import ExpressionError, did_you_mean
from factor_assets.expressions.declaration import OPERATORS, Operator, checked_params, default_of, number_text
from factor_assets.panel.fields import FIELDS, LABELS

MAX_DEPTH = 100
MAX_NODES = 5_000

# Fields that are themselves made from earlier sessions: how many.
FIELD_LOOKBACK: Mapping[str, int] = {"returns": 1}

_registered_fields: dict[str, str] = {}


class Expression:
    """A formula over panel fields: `Field`, `Constant` or `Call`.

    Immutable and hashable; two expressions are equal when they are the same tree. `str` is the formula in the text
    grammar, and `parse(str(e)) == e`. Python operators build larger expressions: `+ - * / **`, unary `-`, comparisons
    `< <= > >=`, and `& | ~` for conditions. `==` compares trees; the element-wise comparison is `equal(x, y)`.
    """

    __slots__ = ()
    __array_ufunc__ = None  # numpy must not spread an expression over an array's elements

    depth: int
    n_nodes: int

    def __add__(self, other: "Expression | float") -> "Expression":
        return Call("add", (self, lift(other)))

    def __radd__(self, other: float) -> "Expression":
        return Call("add", (lift(other), self))

    def __sub__(self, other: "Expression | float") -> "Expression":
        return Call("subtract", (self, lift(other)))

    def __rsub__(self, other: float) -> "Expression":
        return Call("subtract", (lift(other), self))

    def __mul__(self, other: "Expression | float") -> "Expression":
        return Call("multiply", (self, lift(other)))

    def __rmul__(self, other: float) -> "Expression":
        return Call("multiply", (lift(other), self))

    def __truediv__(self, other: "Expression | float") -> "Expression":
        return Call("divide", (self, lift(other)))

    def __rtruediv__(self, other: float) -> "Expression":
        return Call("divide", (lift(other), self))

    def __pow__(self, other: "Expression | float") -> "Expression":
        return Call("power", (self, lift(other)))

    def __rpow__(self, other: float) -> "Expression":
        return Call("power", (lift(other), self))

    def __neg__(self) -> "Expression":
        return Call("negate", (self,))

    def __lt__(self, other: "Expression | float") -> "Expression":
        return Call("less", (self, lift(other)))

    def __le__(self, other: "Expression | float") -> "Expression":
        return Call("less_equal", (self, lift(other)))

    def __gt__(self, other: "Expression | float") -> "Expression":
        return Call("greater", (self, lift(other)))

    def __ge__(self, other: "Expression | float") -> "Expression":
        return Call("greater_equal", (self, lift(other)))

    def __and__(self, other: "Expression | float") -> "Expression":
        return Call("both", (self, lift(other)))

    def __rand__(self, other: float) -> "Expression":
        return Call("both", (lift(other), self))

    def __or__(self, other: "Expression | float") -> "Expression":
        return Call("either", (self, lift(other)))

    def __ror__(self, other: float) -> "Expression":
        return Call("either", (lift(other), self))

    def __invert__(self) -> "Expression":
        return Call("negation", (self,))

    def __bool__(self) -> bool:
        raise ExpressionError(
            f"{self} has no truth value of its own: it has one for each date and ticker. Use & | ~ and where(condition,"
            " x, y) instead of and, or, not, if, and two comparisons joined by & instead of a < b < c."
        )

    def __repr__(self) -> str:
        return f"parse({str(self)!r})"


@dataclass(frozen=True, repr=False, slots=True)
class Field(Expression):
    """One field of the panel.

    Raises
    ------
    ExpressionError
        If no panel has a field of that name.
    """

    name: str
    depth: int = field(default=1, init=False, compare=False)
    n_nodes: int = field(default=1, init=False, compare=False)

    def __post_init__(self) -> None:
        known = known_fields()
        if self.name not in known:
            raise ExpressionError(f"Unknown field {self.name!r}; {did_you_mean(self.name, known)}")

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, repr=False, slots=True)
class Constant(Expression):
    """A finite number, the same for every date and ticker.

    Raises
    ------
    ExpressionError
        If the number is not finite.
    """

    value: float
    depth: int = field(default=1, init=False, compare=False)
    n_nodes: int = field(default=1, init=False, compare=False)

    def __post_init__(self) -> None:
        try:
            value = float(self.value)
        except OverflowError:
            value = math.inf
        if not math.isfinite(value):
            raise ExpressionError(f"A constant wants a finite number; got {value}.")
        object.__setattr__(self, "value", value + 0.0)  # -0.0 becomes 0.0: it would print and hash like it

    def __str__(self) -> str:
        return number_text(self.value)


@dataclass(frozen=True, repr=False, slots=True)
class Call(Expression):
    """An operator applied to expressions.

    Parameters
    ----------
    operator
        Name in `OPERATORS`.
    args
        Operands.
    params
        Pairs of name and number. Those left out take the operator's default, so that equal formulas are equal trees.

    Raises
    ------
    ExpressionError
        If the operator is unknown, operands or params do not fit it, a window would look ahead, or the tree is too
        large.
    """

    operator: str
    args: tuple[Expression, ...]
    params: tuple[tuple[str, float], ...] = ()
    depth: int = field(init=False, compare=False)
    n_nodes: int = field(init=False, compare=False)
    _hash: int = field(init=False, compare=False)

    def __post_init__(self) -> None:
        spec = OPERATORS.get(self.operator)
        if spec is None:
            raise ExpressionError(f"Unknown operator {self.operator!r}; {did_you_mean(self.operator, OPERATORS)}")
        n_wanted = len(spec.args)
        fits = len(self.args) >= n_wanted if spec.variadic else len(self.args) == n_wanted
        if not fits or not all(isinstance(a, Expression) for a in self.args):
            least = "at least " if spec.variadic else ""
            raise ExpressionError(f"{spec.signature} wants {least}{n_wanted} operands; got {len(self.args)}.")
        for place, arg in enumerate(self.args):
            _check_label(spec, place, arg)
        object.__setattr__(self, "params", tuple(checked_params(spec, dict(self.params)).items()))
        object.__setattr__(self, "depth", 1 + max(a.depth for a in self.args))
        object.__setattr__(self, "n_nodes", 1 + sum(a.n_nodes for a in self.args))
        if self.depth > MAX_DEPTH:
            raise ExpressionError(f"An expression may nest {MAX_DEPTH} deep; this one nests {self.depth} deep.")
        if self.n_nodes > MAX_NODES:
            raise ExpressionError(f"An expression may have {MAX_NODES} parts; this one has {self.n_nodes}.")
        # kept, because the engine looks every node up and a tree's hash is as long as the tree
        object.__setattr__(self, "_hash", hash((self.operator, self.args, self.params)))

    def __hash__(self) -> int:
        return self._hash

    def __reduce__(self) -> tuple[Any, ...]:
        return Call, (self.operator, self.args, self.params)

    def __str__(self) -> str:
        spec = OPERATORS[self.operator]
        if not spec.symbol:
            shown = [str(a) for a in self.args]
            for name, value in self.params:
                if name not in spec.defaults:
                    shown.append(number_text(value))
                elif value != default_of(spec, name, dict(self.params)):
                    shown.append(f"{name}={number_text(value)}")
            return f"{spec.name}({', '.join(shown)})"
        if len(self.args) == 1:
            operand = self.args[0]
            # "-2" is the constant, so the negation of the constant 2 is "-(2)"
            literal = isinstance(operand, Constant) and operand.value >= 0
            return spec.symbol + _within(operand, 99 if literal else spec.precedence)
        if self.operator == "power":  # binds tighter than a sign on its left, looser on its right
            left, right = spec.precedence + 1, spec.precedence - 1
        elif spec.precedence == 1:  # comparisons do not chain
            left = right = 2
        else:
            left, right = spec.precedence, spec.precedence + 1
        return f"{_within(self.args[0], left)} {spec.symbol} {_within(self.args[1], right)}"


def lift(value: "Expression | float") -> Expression:
    """Return an expression: itself, or a number as a `Constant`.

    Raises
    ------
    ExpressionError
        If it is neither.
    """
    if isinstance(value, Expression):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return Constant(value)
    raise ExpressionError(
        f"An operand wants an expression or a number; got {type(value).__name__} {value!r}. A formula in text is"
        " read by parse()."
    )


def known_fields() -> Mapping[str, str]:
    """Name -> meaning of every field that an expression may use."""
    return {**FIELDS, **LABELS, **_registered_fields}


def register_field(name: str, meaning: str) -> Field:
    """Let expressions use a field that a panel was given beside `FIELDS`.

    Raises
    ------
    ExpressionError
        If the name is no identifier, is an operator's, or already means something else.
    """
    if not (name.isascii() and name.isidentifier()):
        raise ExpressionError(f"A field wants a name of letters, digits and _; got {name!r}.")
    if name in OPERATORS:
        raise ExpressionError(f"A field cannot be called {name!r}: that is an operator.")
    if known_fields().get(name, meaning) != meaning:
        raise ExpressionError(f"Field {name!r} is already registered as: {known_fields()[name]}.")
    _registered_fields[name] = meaning
    return Field(name)


def walk(expression: Expression) -> Iterator[Expression]:
    """Yield every distinct node once, operands before the calls that use them."""
    seen: set[Expression] = set()
    stack = [(expression, False)]
    while stack:
        node, ready = stack.pop()
        if node in seen:
            continue
        if ready or not isinstance(node, Call):
            seen.add(node)
            yield node
        else:
            stack.append((node, True))
            stack.extend((a, False) for a in reversed(node.args))


def _check_label(spec: Operator, place: int, arg: Expression) -> None:
    """Refuse a label where a number is wanted: its codes are names, and arithmetic on them is made up."""
    name = spec.args[min(place, len(spec.args) - 1)]
    if isinstance(arg, Field) and arg.name in LABELS and name not in spec.labels:
        raise ExpressionError(
            f"{arg.name} names groups and has no value of its own, so it cannot be {name} of {spec.signature}. It goes"
            " into the group of operators such as group_rank(x, group), and into residualize()."
        )


def _within(node: Expression, precedence: int) -> str:
    """Return the node's text, in parentheses where it binds looser than its place wants."""
    if isinstance(node, Call):
        own = OPERATORS[node.operator].precedence or 9
    else:
        own = 6 if isinstance(node, Constant) and node.value < 0 else 9
    return f"({node})" if own < precedence else str(node)
