"""What an expression is measured in, derived from its tree, and whether that says anything about the market at all.

1. Every field is measured in powers of four things: currency, shares as traded, shares of the ticker's start, sessions.
2. Operators act on powers as they do on numbers: a product adds them, a power multiplies them, a sum wants them equal.
   A rank, a correlation or a comparison has none whatever its operands have.
3. The logarithm of something with a unit has no unit, but a change of units only shifts it, by the same amount for
   every date and ticker: differences, deviations and ranks of it are pure numbers again.

The same steps, with shares as traded counted anew after every split, prove that a value is free of scale. What does
not belong here: the unit that a factor declares in words (`factors/factor.py`).
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import isfinite
from typing import TypeAlias

from factor_assets.expressions.declaration import OPERATORS, number_text
from factor_assets.expressions.expression import Call, Constant, Expression, Field, walk
from factor_assets.panel.fields import DOCUMENT_FIELDS, LABELS

# exact, since a power that is almost 0 is not 0
Powers: TypeAlias = tuple[Fraction, Fraction, Fraction, Fraction]

_NAMES = (("currency", "currency"), ("shares", "share"), ("start shares", "start share"), ("sessions", "session"))
_SHARES_AS_TRADED = 1
_LARGEST_POWER = 1000


def _powers(currency: int = 0, shares: int = 0, start_shares: int = 0, sessions: int = 0) -> Powers:
    return Fraction(currency), Fraction(shares), Fraction(start_shares), Fraction(sessions)


_PURE = _powers()
FIELD_POWERS: Mapping[str, Powers] = {
    **dict.fromkeys(("open", "high", "low", "close", "split_close"), _powers(currency=1, start_shares=-1)),
    **dict.fromkeys(("raw_open", "raw_high", "raw_low", "raw_close"), _powers(currency=1, shares=-1)),
    "volume": _powers(start_shares=1),
    **dict.fromkeys(("raw_volume", "shares_outstanding"), _powers(shares=1)),
    **dict.fromkeys(("dollar_volume", "market_cap"), _powers(currency=1)),
    **dict.fromkeys(("returns", *LABELS), _PURE),
    **dict.fromkeys(DOCUMENT_FIELDS["fundamentals"], _powers(currency=1)),
    "shares_filed": _powers(shares=1),
    **dict.fromkeys(DOCUMENT_FIELDS["document_scores"], _PURE),
}


def unit(expression: Expression) -> str | None:
    """Return what the value is measured in, such as "currency per share"; "" for a pure number.

    None where it cannot be known: labels and fields of one's own, sums of different units such as `close + 1`,
    logarithms of something with a unit. A plain number is pure; 0 is the same in every unit.
    """
    quantity = _quantity_of(expression, is_scale=False)
    if quantity is None or quantity.is_logarithm or (isinstance(expression, Field) and expression.name in LABELS):
        return None
    return None if any(abs(p) > _LARGEST_POWER for p in quantity.powers) else _text(quantity.powers)


def is_scale_free(expression: Expression) -> bool:
    """Whether the value provably stays what it is when all prices are given in another currency or a ticker splits.

    Up to rounding. False says that it changes, or that the tree does not prove that it stays.
    """
    quantity = _quantity_of(expression, is_scale=True)
    return quantity is not None and not quantity.is_logarithm and quantity.powers == _PURE


@dataclass(frozen=True, slots=True)
class _Quantity:
    """What is known of a value.

    Parameters
    ----------
    powers
        Of the things that it is measured in.
    is_logarithm
        Whether a change of units, instead of multiplying the value, adds that many times the logarithm of the change.
    value
        Of a number that is the same everywhere.
    """

    powers: Powers = _PURE
    is_logarithm: bool = False
    value: float | None = None


_NUMBER = _Quantity()
_Known: TypeAlias = _Quantity | None
_Rule: TypeAlias = Callable[..., _Known]


def _quantity_of(expression: Expression, *, is_scale: bool) -> _Known:
    """Go through the tree; for scale, only currency and shares as traded count, and every claim needs its proof."""
    known: dict[Expression, _Known] = {}
    for node in walk(expression):
        if isinstance(node, Constant):
            known[node] = _Quantity(value=node.value)
        elif isinstance(node, Field):
            powers = FIELD_POWERS.get(node.name)
            known[node] = None if powers is None else _Quantity(_scale_of(powers) if is_scale else powers)
        elif isinstance(node, Call):
            known[node] = _call(node, [known[a] for a in node.args], is_scale=is_scale)
    return known[expression]


def _call(node: Call, args: Sequence[_Known], *, is_scale: bool) -> _Known:
    name, params = node.operator, dict(node.params)
    if name in _PURE_WHATEVER:
        return _NUMBER if not is_scale or _stays(name, args) else None
    if name in _CONDITION_AT:
        place = _CONDITION_AT[name]
        if is_scale and not _truth_stays(args[place]):
            return None
        args = [a for i, a in enumerate(args) if i != place]
    if name == "days_since":
        return _NUMBER if is_scale else _Quantity(_powers(sessions=1))
    if OPERATORS[name].kind == "cross_section" and not is_scale:
        args = args[:1]  # what it is grouped by or regressed on may be anything
    if any(a is None for a in args):
        return None
    given = [a for a in args if a is not None]
    if is_scale and OPERATORS[name].kind != "elementwise" and _has_traded_shares(given):
        return None
    quantity = _RULES[name](*given, **params)
    return replace(quantity, powers=_scale_of(quantity.powers)) if quantity is not None and is_scale else quantity


def _scale_of(powers: Powers) -> Powers:
    """Keep what a change of scale changes: neither shares of the start nor sessions."""
    return powers[0], powers[1], Fraction(0), Fraction(0)


def _has_traded_shares(args: Sequence[_Quantity]) -> bool:
    """Whether the values of neighbouring cells may count different shares, so that they cannot be put together."""
    return any(a.powers[_SHARES_AS_TRADED] for a in args)


# A number without unit, whatever the operands are measured in.
_COMPARISONS = frozenset({"less", "less_equal", "greater", "greater_equal", "equal"})
_TRUTHS = frozenset({"both", "either", "negation", "sign"})
_PRESENCE = frozenset({"is_missing", "count"})
_PURE_WHATEVER = (
    _COMPARISONS
    | _TRUTHS
    | _PRESENCE
    | {"corr", "rsquare", "trend_rsquare", "skew", "kurt", "ts_zscore", "ts_rank", "argmax", "argmin"}
    | {"rank", "zscore", "bucket", "group_zscore", "group_rank"}
)
# The operand of which only matters whether it is 0.
_CONDITION_AT = {"where": 0, "days_since": 0, "sum_since": 1}


def _stays(name: str, args: Sequence[_Known]) -> bool:
    """Whether another scale leaves the result of one of `_PURE_WHATEVER` as it is."""
    if any(a is None for a in args):
        return False
    given = [a for a in args if a is not None]
    if name in _PRESENCE:
        return True
    if name in _TRUTHS:
        return all(map(_truth_stays, given))
    if name in _COMPARISONS:
        return _common(*given) is not None
    return not _has_traded_shares(given)


def _truth_stays(condition: _Known) -> bool:
    return condition is not None and not condition.is_logarithm


def _common(*args: _Quantity) -> _Known:
    """Return what operands have in common that stand in one place; a 0 of its own fits everything but a logarithm."""
    others = [a for a in args if a.value != 0.0]
    if not others:
        return args[0]
    first = others[0]
    if any(a.powers != first.powers or a.is_logarithm != first.is_logarithm for a in others):
        return None
    if first.is_logarithm and len(others) < len(args):
        return None
    return replace(first, value=None)


def _made(powers: Powers, *, is_logarithm: bool = False) -> _Quantity:
    return _Quantity(powers, is_logarithm=is_logarithm and powers != _PURE)


def _times(powers: Powers, factor: float) -> Powers:
    a, b, c, d = (p * Fraction(factor) for p in powers)
    return a, b, c, d


def _plus(x: Powers, y: Powers) -> Powers:
    a, b, c, d = map(operator.add, x, y)
    return a, b, c, d


def _constant(compute: Callable[[float, float], float], x: _Quantity, y: _Quantity) -> _Known:
    """Return what two constants make; what does not exist is missing everywhere, and that is pure too."""
    if x.value is None or y.value is None:
        return None
    try:
        value = compute(x.value, y.value)
    except (ArithmeticError, ValueError):
        return _NUMBER
    return _Quantity(value=value) if isinstance(value, float) and isfinite(value) else _NUMBER


def _add(x: _Quantity, y: _Quantity) -> _Known:
    if constant := _constant(operator.add, x, y):
        return constant
    if not (x.is_logarithm or y.is_logarithm):
        return _common(x, y)
    if all(q.is_logarithm or q.powers == _PURE for q in (x, y)):
        return _made(_plus(x.powers, y.powers), is_logarithm=True)
    return None


def _negate(x: _Quantity) -> _Quantity:
    if x.value is not None:
        return _Quantity(value=0.0 - x.value)
    return _made(_times(x.powers, -1.0), is_logarithm=True) if x.is_logarithm else x


def _multiply(x: _Quantity, y: _Quantity) -> _Known:
    if constant := _constant(operator.mul, x, y):
        return constant
    if x.value == 0.0 or y.value == 0.0:
        return _Quantity(value=0.0)
    if x.is_logarithm or y.is_logarithm:
        logarithm, factor = (x, y.value) if x.is_logarithm else (y, x.value)
        return None if factor is None else _made(_times(logarithm.powers, factor), is_logarithm=True)
    return _made(_plus(x.powers, y.powers))


def _divide(x: _Quantity, y: _Quantity) -> _Known:
    if constant := _constant(operator.truediv, x, y):
        return constant
    if y.is_logarithm:
        return None
    if y.value is not None:
        inverse = _constant(operator.truediv, _Quantity(value=1.0), y)
        return inverse and _multiply(x, inverse)
    return _multiply(x, _made(_times(y.powers, -1.0)))


def _power(x: _Quantity, y: _Quantity) -> _Known:
    if constant := _constant(operator.pow, x, y):
        return constant
    if x.is_logarithm or y.is_logarithm or y.powers != _PURE:
        return None
    if y.value is not None:
        return _made(_times(x.powers, y.value))
    return _NUMBER if x.powers == _PURE else None


def _exp(x: _Quantity) -> _Known:
    if x.is_logarithm:
        return _made(x.powers)
    return _NUMBER if x.powers == _PURE else None


def _log(x: _Quantity) -> _Known:
    return None if x.is_logarithm else _made(x.powers, is_logarithm=True)


def _kept(x: _Quantity, *_: _Quantity, **__: float) -> _Known:
    """Means, order statistics and values of another date: whatever moves or multiplies all values does so to them."""
    return replace(x, value=None)


def _difference(x: _Quantity, *_: _Quantity, **__: float) -> _Known:
    """Differences and deviations: what shifts all values is not in them."""
    return _NUMBER if x.is_logarithm else replace(x, value=None)


def _linear(x: _Quantity, *_: _Quantity, **__: float) -> _Known:
    return None if x.is_logarithm else replace(x, value=None)


def _ratio_to_itself(x: _Quantity, **_: float) -> _Known:
    return None if x.is_logarithm else _NUMBER


def _product(x: _Quantity, *, n: float, min_periods: float) -> _Known:
    if x.is_logarithm or (x.powers != _PURE and min_periods != n):
        return None
    return _made(_times(x.powers, n))


def _own(x: _Quantity) -> Powers:
    """Return the powers of a deviation of x."""
    return _PURE if x.is_logarithm else x.powers


_RULES: Mapping[str, _Rule] = {
    "add": _add,
    "subtract": lambda x, y: _add(x, _negate(y)),
    "negate": _negate,
    "multiply": _multiply,
    "divide": _divide,
    "power": _power,
    "signed_power": _power,
    "sqrt": lambda x: _power(x, _Quantity(value=0.5)),
    "abs": _linear,
    "log": _log,
    "exp": _exp,
    **dict.fromkeys(("maximum", "minimum", "clip", "where", "fill"), _common),
    **dict.fromkeys(("delay", "mean", "min", "max", "median", "quantile", "decay_linear"), _kept),
    **dict.fromkeys(("ema", "ema_span", "wilder", "cross_mean", "group_mean", "winsorize"), _kept),
    **dict.fromkeys(("delta", "std", "mad", "residual", "trend_residual"), _difference),
    **dict.fromkeys(("demean", "neutralize", "residualize"), _difference),
    **dict.fromkeys(("sum", "sum_since"), _linear),
    **dict.fromkeys(("pct_change", "scale"), _ratio_to_itself),
    "product": _product,
    "var": lambda x, **_: _made(_times(_own(x), 2.0)),
    "cov": lambda x, y, **_: _made(_plus(_own(x), _own(y))),
    "beta": lambda y, x, **_: _made(_plus(_own(y), _times(_own(x), -1.0))),
    "slope": lambda x, **_: _made(_plus(_own(x), _powers(sessions=-1))),
}


def _text(powers: Powers) -> str:
    above, below = [], []
    for (plural, singular), power in zip(_NAMES, powers, strict=True):
        exponent = "" if float(abs(power)) == 1.0 else f"^{number_text(float(abs(power)))}"
        if power > 0:
            above.append(plural + exponent)
        elif power < 0:
            below.append(f"per {singular}{exponent}")
    return " ".join([" x ".join(above), *below]).strip()
