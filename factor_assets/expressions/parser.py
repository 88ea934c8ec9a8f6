"""Text to expression: the grammar of formulas. Nothing is ever evaluated as code.

The grammar is Python's for the operators that both have, so that a formula means the same in both; comparisons do not
chain::

    expression := either [('<' | '<=' | '>' | '>=') either]
    either     := both ('|' both)*
    both       := sum ('&' sum)*
    sum        := product (('+' | '-') product)*
    product    := unary (('*' | '/') unary)*
    unary      := ('-' | '~') unary | power
    power      := atom ['**' unary]
    atom       := number | field | operator '(' argument (',' argument)* ')' | '(' expression ')'
    argument   := expression | name '=' expression

A minus sign directly before a number that no `**` follows makes a negative constant.
"""

import re
from dataclasses import dataclass
from typing import NoReturn

from factor_assets.errors import ExpressionError, ExpressionSyntaxError, did_you_mean
from factor_assets.expressions.declaration import OPERATORS, Operator
from factor_assets.expressions.expression import (
    MAX_DEPTH,
    Call,
    Constant,
    Expression,
    Field,
    known_fields,
)

MAX_LENGTH = 20_000

_TOKEN = re.compile(
    r"(?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<symbol>\*\*|<=|>=|[-+*/<>&|~(),=])"
    r"|(?P<space>\s+)"
    r"|(?P<wrong>.)",
    re.DOTALL,
)
_INFIX = {o.symbol: o for o in OPERATORS.values() if o.symbol and len(o.args) == 2}
_PREFIX = {o.symbol: o for o in OPERATORS.values() if o.symbol and len(o.args) == 1}
_UNARY = 6
# Nested parentheses make no node, so that the tree's own limit does not bound the parser's recursion. A node takes two
# levels at most: a call counts two, an operator's right operand one, and its parentheses one.
_MAX_NESTING = 2 * MAX_DEPTH + 1
_SHOWN = 60  # characters of a token that a message repeats
_MEANT = {"!": "where(), ~ or equal()", "^": "**", "%": "no remainder exists", "{": "(", "[": "("}


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    position: int

    def __str__(self) -> str:
        if not self.text:
            return "the end"
        return repr(self.text if len(self.text) <= _SHOWN else f"{self.text[:_SHOWN]}...")


def parse(text: str) -> Expression:
    """Read a formula.

    Parameters
    ----------
    text
        Such as `"rank(-delta(close, 5))"`.

    Raises
    ------
    ExpressionSyntaxError
        If the text is no formula; it has the position, what was expected and the nearest valid names.
    ExpressionError
        If the text is not a string or is too long.
    """
    if not isinstance(text, str):
        raise ExpressionError(f"parse wants a formula as text; got {type(text).__name__}.")
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"A formula may have {MAX_LENGTH} characters; this one has {len(text)}.")
    return _Parser(re.sub(r"\s", " ", text)).whole()


class _Parser:
    """Precedence climbing over the tokens of one text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(self._tokenize(text))
        self._next = 0
        self._nesting = 0

    def whole(self) -> Expression:
        expression = self._expression(1)
        token = self._token
        if token.kind != "end":
            expected = "an operator or the end" if token.text != "=" else "an operator; equality is equal(x, y)"
            self._fail(f"expected {expected}, got {token}", token)
        return expression

    def _tokenize(self, text: str) -> list[_Token]:
        tokens = []
        for match in _TOKEN.finditer(text):
            kind = match.lastgroup or "wrong"
            token = _Token(kind, match.group(), match.start())
            if kind == "wrong":
                hint = f" (use {_MEANT[token.text]})" if token.text in _MEANT else ""
                self._fail(f"unexpected character {token}{hint}", token)
            if kind != "space":
                tokens.append(token)
        return [*tokens, _Token("end", "", len(text))]

    @property
    def _token(self) -> _Token:
        return self._tokens[self._next]

    def _take(self) -> _Token:
        token = self._token
        self._next += token.kind != "end"
        return token

    def _fail(self, message: str, token: _Token) -> NoReturn:
        raise self._error(message, token)

    def _error(self, message: str, token: _Token) -> ExpressionSyntaxError:
        # half a surrogate pair cannot be printed, and control characters would move the cursor
        text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in self._text)
        return ExpressionSyntaxError(message, text=text, position=token.position)

    def _call(self, name: str, args: tuple[Expression, ...], params: tuple[tuple[str, float], ...], at: _Token) -> Call:
        try:
            return Call(name, args, params)
        except ExpressionError as error:
            raise self._error(str(error).rstrip("."), at) from error

    def _expression(self, loosest: int) -> Expression:
        self._nesting += 1
        if self._nesting > _MAX_NESTING:
            self._fail(f"expected at most {MAX_DEPTH} levels of nesting, got more", self._token)
        left = self._unary()
        while (infix := _INFIX.get(self._token.text)) is not None and infix.precedence >= loosest:
            if infix.name == "power":  # a sign's operand: `_unary` has already taken what binds to it
                break
            at = self._take()
            right = self._expression(infix.precedence + 1)
            left = self._call(infix.name, (left, right), (), at)
            if infix.precedence == 1 and (again := _INFIX.get(self._token.text)) and again.precedence == 1:
                self._fail("expected one comparison; join two by (a < b) & (b < c)", self._token)
        self._nesting -= 1
        return left

    def _unary(self) -> Expression:
        sign = _PREFIX.get(self._token.text)
        if sign is None:
            base = self._atom()
            if self._token.text != "**":
                return base
            at = self._take()
            return self._call("power", (base, self._expression(_UNARY + 1)), (), at)
        at = self._take()
        follower = self._tokens[min(self._next + 1, len(self._tokens) - 1)]
        if sign.name == "negate" and self._token.kind == "number" and follower.text != "**":
            return self._constant(self._take(), sign=-1.0)
        return self._call(sign.name, (self._expression(_UNARY + 1),), (), at)

    def _atom(self) -> Expression:
        token = self._take()
        if token.kind == "number":
            return self._constant(token)
        if token.kind == "name":
            return self._application(token) if self._token.text == "(" else self._field(token)
        if token.text == "(":
            inside = self._expression(1)
            self._expect(")", "an operator or ')'")
            return inside
        return self._fail(f"expected a number, a field, an operator's name or '(', got {token}", token)

    def _constant(self, token: _Token, *, sign: float = 1.0) -> Constant:
        try:
            return Constant(sign * float(token.text))
        except ExpressionError as error:
            raise self._error(str(error).rstrip("."), token) from error

    def _field(self, token: _Token) -> Field:
        known = known_fields()
        if token.text not in known:
            if token.text in _FUNCTIONS:
                self._fail(f"{token} is an operator: expected {_FUNCTIONS[token.text].signature}", token)
            self._fail(f"unknown field {token}: {did_you_mean(token.text, known).rstrip('.')}", token)
        return Field(token.text)

    def _application(self, name: _Token) -> Call:
        spec = _FUNCTIONS.get(name.text)
        if spec is None:
            if name.text in known_fields():
                self._fail(f"{name} is a field and takes no arguments", name)
            self._fail(f"unknown operator {name}: {did_you_mean(name.text, _FUNCTIONS).rstrip('.')}", name)
        self._expect("(", "'('")
        self._nesting += 1
        given: dict[str, Expression] = {}
        further: list[Expression] = []  # of a last operand that may be given several times
        while True:
            at = self._token
            slot = self._slot(spec, tuple(given))
            if slot in given:
                if not spec.variadic or slot != spec.args[-1]:
                    self._fail(f"expected {slot} once in {spec.signature}", at)
                further.append(self._expression(1))
                if self._token.text != ",":
                    break
                self._take()
                continue
            value = self._expression(1)
            if slot in spec.params and not isinstance(value, Constant):
                self._fail(f"expected a number for {slot} in {spec.signature}", at)
            given[slot] = value
            if self._token.text != ",":
                break
            self._take()
        self._nesting -= 1
        self._expect(")", f"',' or ')' in {spec.signature}")
        missing = [a for a in spec.args if a not in given]
        if missing:
            self._fail(f"expected {missing[0]} in {spec.signature}", name)
        params = tuple((k, v.value) for k, v in given.items() if k in spec.params and isinstance(v, Constant))
        return self._call(spec.name, (*(given[a] for a in spec.args), *further), params, name)

    def _slot(self, spec: Operator, given: tuple[str, ...]) -> str:
        """Return which argument comes next: by its name where one is written, else by its place."""
        token = self._token
        by_place = (*spec.args, *(name for name in spec.params if name not in spec.defaults))
        if token.kind == "name" and self._tokens[self._next + 1].text == "=":
            names = (*spec.args, *spec.params)
            if token.text not in names:
                near = did_you_mean(token.text, names).rstrip(".")
                self._fail(f"{spec.signature} has no argument {token}: {near}", token)
            self._take()
            self._take()
            return token.text
        if token.text == ")":
            self._fail(f"expected {spec.signature}, got {token}", token)
        if given != by_place[: len(given)]:
            self._fail(f"expected arguments without a name before those with one in {spec.signature}", token)
        if len(given) < len(by_place):
            return by_place[len(given)]
        if not spec.variadic:
            self._fail(f"expected at most {len(by_place)} arguments without a name in {spec.signature}", token)
        return spec.args[-1]

    def _expect(self, symbol: str, what: str) -> None:
        token = self._take()
        if token.text != symbol:
            hint = "; equality is equal(x, y)" if token.text == "=" else ""
            self._fail(f"expected {what}, got {token}{hint}", token)


_FUNCTIONS = {name: spec for name, spec in OPERATORS.items() if not spec.symbol}
