"""Every operator of the language, declared once: signature, kind, lookback, missing-value contract and meaning.

A declaration is a Python function without a body: its signature is the operator's, in Python and in text, and calling
it builds the tree. What does not belong here: how an operator is computed (`elementwise.py`, `rolling.py`,
`cross_section.py`).

Missing values, for all of them: NaN is missing and nothing is ever infinite; a result that does not exist as a finite
number is NaN. Element-wise operators give NaN where an operand is NaN. Rolling operators skip NaN and give NaN where
fewer than `min_periods` values are left in the window; by default a value needs its whole window. Operators of two
series use the sessions on which both have a value. Cross-sectional operators use the members of the universe on the
date that have a value.
"""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Literal, ParamSpec, TypeAlias

from factor_assets.expressions.expression import OPERATORS, Call, Expression, Operator, lift

Operand: TypeAlias = Expression | float
P = ParamSpec("P")
Declare: TypeAlias = Callable[[Callable[P, Expression]], Callable[P, Expression]]


def _declare(
    declared: Callable[P, Expression],
    *,
    kind: Literal["elementwise", "time_series", "cross_section"],
    lookback: Callable[..., int],
    smallest: int = 1,
    version: int = 1,
) -> Callable[P, Expression]:
    signature = inspect.signature(declared)
    params = {k: v for k, v in signature.parameters.items() if v.annotation != Operand}
    args = tuple(k for k in signature.parameters if k not in params)
    spec = Operator(
        name=declared.__name__,
        kind=kind,
        args=args,
        params={k: float if v.annotation is float else int for k, v in params.items()},
        defaults={k: v.default for k, v in params.items() if v.default is not inspect.Parameter.empty},
        smallest=smallest,
        lookback=lookback,
        version=version,
    )
    OPERATORS[spec.name] = spec

    @wraps(declared)
    def build(*given: P.args, **named: P.kwargs) -> Expression:
        bound = signature.bind(*given, **named).arguments
        operands = tuple(lift(bound[name]) for name in args)
        return Call(spec.name, operands, tuple((k, v) for k, v in bound.items() if k in params and v is not None))

    return build


def _elementwise(declared: Callable[P, Expression]) -> Callable[P, Expression]:
    return _declare(declared, kind="elementwise", lookback=lambda: 0)


def _cross_section(declared: Callable[P, Expression]) -> Callable[P, Expression]:
    return _declare(declared, kind="cross_section", lookback=lambda: 0)


def _lagged(declared: Callable[P, Expression]) -> Callable[P, Expression]:
    return _declare(declared, kind="time_series", lookback=lambda n: n)


def _rolling(declared: Callable[P, Expression]) -> Callable[P, Expression]:
    return _declare(declared, kind="time_series", lookback=lambda n, **_: n - 1)


def _rolling_pair(declared: Callable[P, Expression]) -> Callable[P, Expression]:
    """Statistics that need two observations."""
    return _declare(declared, kind="time_series", lookback=lambda n, **_: n - 1, smallest=2)


# Infix: (name, operands, symbol, precedence). Precedence is Python's, so that a formula means the same in both.
for _name, _args, _symbol, _precedence in (
    ("less", ("x", "y"), "<", 1),
    ("less_equal", ("x", "y"), "<=", 1),
    ("greater", ("x", "y"), ">", 1),
    ("greater_equal", ("x", "y"), ">=", 1),
    ("either", ("x", "y"), "|", 2),
    ("both", ("x", "y"), "&", 3),
    ("add", ("x", "y"), "+", 4),
    ("subtract", ("x", "y"), "-", 4),
    ("multiply", ("x", "y"), "*", 5),
    ("divide", ("x", "y"), "/", 5),
    ("negate", ("x",), "-", 6),
    ("negation", ("x",), "~", 6),
    ("power", ("x", "y"), "**", 7),
):
    OPERATORS[_name] = Operator(
        name=_name,
        kind="elementwise",
        args=_args,
        params={},
        defaults={},
        smallest=1,
        lookback=lambda: 0,
        version=1,
        symbol=_symbol,
        precedence=_precedence,
    )


@_elementwise
def abs(x: Operand) -> Expression:  # noqa: A001
    """Absolute value."""


@_elementwise
def sign(x: Operand) -> Expression:
    """-1, 0 or 1."""


@_elementwise
def log(x: Operand) -> Expression:
    """Natural logarithm; NaN where x <= 0."""


@_elementwise
def exp(x: Operand) -> Expression:
    """Exponential; NaN where it overflows."""


@_elementwise
def sqrt(x: Operand) -> Expression:
    """Square root; NaN where x < 0."""


@_elementwise
def maximum(x: Operand, y: Operand) -> Expression:
    """Larger of two values; NaN where either is."""


@_elementwise
def minimum(x: Operand, y: Operand) -> Expression:
    """Smaller of two values; NaN where either is."""


@_elementwise
def clip(x: Operand, lower: Operand, upper: Operand) -> Expression:
    """Limit x to [lower, upper]; NaN where any of the three is."""


@_elementwise
def equal(x: Operand, y: Operand) -> Expression:
    """1 where the values are equal, else 0; NaN where either is."""


@_elementwise
def where(condition: Operand, x: Operand, y: Operand) -> Expression:
    """Return x where the condition is not 0, else y; NaN where the condition is NaN. The value not taken may be NaN."""


@_elementwise
def is_missing(x: Operand) -> Expression:
    """1 where x is NaN, else 0."""


@_elementwise
def fill(x: Operand, y: Operand) -> Expression:
    """Return x, and y where x is NaN: the only way a missing value is replaced."""


@_lagged
def delay(x: Operand, n: int) -> Expression:
    """Value n sessions ago, n >= 1."""


@_lagged
def delta(x: Operand, n: int) -> Expression:
    """Difference x - delay(x, n)."""


@_rolling
def sum(x: Operand, n: int, *, min_periods: int | None = None) -> Expression:  # noqa: A001
    """Sum over the last n sessions, t included."""


@_rolling
def mean(x: Operand, n: int, *, min_periods: int | None = None) -> Expression:
    """Mean over the last n sessions."""


@_rolling
def product(x: Operand, n: int, *, min_periods: int | None = None) -> Expression:
    """Product over the last n sessions."""


@_rolling
def min(x: Operand, n: int, *, min_periods: int | None = None) -> Expression:  # noqa: A001
    """Smallest value of the last n sessions."""


@_rolling
def max(x: Operand, n: int, *, min_periods: int | None = None) -> Expression:  # noqa: A001
    """Largest value of the last n sessions."""


@_rolling
def count(x: Operand, n: int) -> Expression:
    """Number of the last n sessions that have a value; never NaN."""


@_rolling_pair
def var(x: Operand, n: int, *, min_periods: int | None = None) -> Expression:
    """Sample variance (divisor count - 1) over the last n sessions; exactly 0 on a constant window."""


@_rolling_pair
def std(x: Operand, n: int, *, min_periods: int | None = None) -> Expression:
    """Square root of `var`."""


@_rolling_pair
def cov(x: Operand, y: Operand, n: int, *, min_periods: int | None = None) -> Expression:
    """Sample covariance (divisor count - 1) over the last n sessions."""


@_rolling_pair
def corr(x: Operand, y: Operand, n: int, *, min_periods: int | None = None) -> Expression:
    """Pearson correlation over the last n sessions; NaN where either series is constant."""


@_rolling_pair
def beta(y: Operand, x: Operand, n: int, *, min_periods: int | None = None) -> Expression:
    """Slope of the least-squares line of y on x over the last n sessions; NaN where x is constant."""


@_cross_section
def rank(x: Operand) -> Expression:
    """Rank among the members, divided by how many have a value: in (0, 1], ties take the average; NaN elsewhere."""


@_cross_section
def demean(x: Operand) -> Expression:
    """Distance from the members' mean; NaN for names outside the universe."""


@_cross_section
def zscore(x: Operand) -> Expression:
    """Distance from the members' mean in sample standard deviations; NaN where those are 0 or the name is outside."""


@_cross_section
def cross_mean(x: Operand) -> Expression:
    """Mean over the members on the date, the same for every ticker, members or not."""
