"""Every operator of the language, declared once: signature, kind, lookback, missing-value contract and meaning.

A declaration is a Python function without a body: its signature is the operator's, in Python and in text, and calling
it builds the tree. What does not belong here: how an operator is computed (the kernel modules that `kernels.py` lists).

Missing values, for all of them: NaN is missing and nothing is ever infinite; a result that does not exist as a finite
number is NaN. Element-wise operators give NaN where an operand is NaN. Rolling operators skip NaN and give NaN where
fewer than `min_periods` values are left in the window; by default a value needs its whole window. Operators of two
series use the sessions on which both have a value. Cross-sectional operators use the members of the universe on the
date that have a value, and give NaN for names outside; those by group leave out names without a group.
"""

from factor_assets.expressions.declaration import OPERATORS, Operator
from factor_assets.expressions.declaring import Group, Operand, cross_section, decaying, elementwise, lagged, rolling
from factor_assets.expressions.expression import Expression

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


@elementwise
def abs(x: Operand) -> Expression:  # noqa: A001
    """Absolute value."""


@elementwise
def sign(x: Operand) -> Expression:
    """-1, 0 or 1."""


@elementwise
def log(x: Operand) -> Expression:
    """Natural logarithm; NaN where x <= 0."""


@elementwise
def exp(x: Operand) -> Expression:
    """Exponential; NaN where it overflows."""


@elementwise
def sqrt(x: Operand) -> Expression:
    """Square root; NaN where x < 0."""


@elementwise
def maximum(x: Operand, y: Operand) -> Expression:
    """Larger of two values; NaN where either is."""


@elementwise
def minimum(x: Operand, y: Operand) -> Expression:
    """Smaller of two values; NaN where either is."""


@elementwise
def clip(x: Operand, lower: Operand, upper: Operand) -> Expression:
    """Limit x to [lower, upper]; NaN where any of the three is."""


@elementwise
def equal(x: Operand, y: Operand) -> Expression:
    """1 where the values are equal, else 0; NaN where either is."""


@elementwise
def where(condition: Operand, x: Operand, y: Operand) -> Expression:
    """Return x where the condition is not 0, else y; NaN where the condition is NaN. The value not taken may be NaN."""


@elementwise
def signed_power(x: Operand, y: Operand) -> Expression:
    """sign(x) abs(x) ** y: a power that keeps the sign."""


@elementwise
def is_missing(x: Operand) -> Expression:
    """1 where x is NaN, else 0."""


@elementwise
def fill(x: Operand, y: Operand) -> Expression:
    """Return x, and y where x is NaN: the only way a missing value is replaced."""


@lagged
def delay(x: Operand, n: int) -> Expression:
    """Value n sessions ago, n >= 1."""


@lagged
def delta(x: Operand, n: int) -> Expression:
    """Difference x - delay(x, n)."""


@lagged
def pct_change(x: Operand, n: int) -> Expression:
    """Relative change x / delay(x, n) - 1."""


@rolling()
def sum(x: Operand, n: int, *, min_periods: int | None = None) -> Expression:  # noqa: A001
    """Sum over the last n sessions, t included."""


@rolling()
def mean(x: Operand, n: int, *, min_periods: int | None = None) -> Expression:
    """Mean over the last n sessions."""


@rolling()
def product(x: Operand, n: int, *, min_periods: int | None = None) -> Expression:
    """Product over the last n sessions."""


@rolling()
def min(x: Operand, n: int, *, min_periods: int | None = None) -> Expression:  # noqa: A001
    """Smallest value of the last n sessions."""


@rolling()
def max(x: Operand, n: int, *, min_periods: int | None = None) -> Expression:  # noqa: A001
    """Largest value of the last n sessions."""


@rolling()
def count(x: Operand, n: int) -> Expression:
    """Number of the last n sessions that have a value; never NaN."""


@rolling(smallest=2)
def var(x: Operand, n: int, *, min_periods: int | None = None) -> Expression:
    """Sample variance (divisor count - 1) over the last n sessions; exactly 0 on a constant window."""


@rolling(smallest=2)
def std(x: Operand, n: int, *, min_periods: int | None = None) -> Expression:
    """Square root of `var`."""


@rolling(smallest=2)
def cov(x: Operand, y: Operand, n: int, *, min_periods: int | None = None) -> Expression:
    """Sample covariance (divisor count - 1) over the last n sessions."""


@rolling(smallest=2)
def corr(x: Operand, y: Operand, n: int, *, min_periods: int | None = None) -> Expression:
    """Pearson correlation over the last n sessions; NaN where either series is constant."""


@rolling(smallest=2)
def beta(y: Operand, x: Operand, n: int, *, min_periods: int | None = None) -> Expression:
    """Slope of the least-squares line of y on x over the last n sessions; NaN where x is constant."""


@rolling(smallest=3)
def rsquare(y: Operand, x: Operand, n: int, *, min_periods: int | None = None) -> Expression:
    """Share of the variance of y that the least-squares line on x explains; NaN where either is constant."""


@rolling(smallest=2)
def residual(y: Operand, x: Operand, n: int, *, min_periods: int | None = None) -> Expression:
    """Distance of y at t from its least-squares line on x; NaN where x is constant or either is missing at t."""


@rolling(smallest=2)
def slope(x: Operand, n: int, *, min_periods: int | None = None) -> Expression:
    """Slope of the least-squares line of x on time over the last n sessions, per session."""


@rolling(smallest=3)
def trend_rsquare(x: Operand, n: int, *, min_periods: int | None = None) -> Expression:
    """Share of the variance of x that its least-squares line on time explains; NaN where x is constant."""


@rolling(smallest=2)
def trend_residual(x: Operand, n: int, *, min_periods: int | None = None) -> Expression:
    """Distance of x at t from its least-squares line on time over the last n sessions; NaN where x is missing at t."""


@rolling(smallest=3)
def skew(x: Operand, n: int, *, min_periods: int | None = None) -> Expression:
    """Sample skewness, the adjusted Fisher-Pearson G1 of Joanes and Gill (1998); NaN on a constant window."""


@rolling(smallest=4)
def kurt(x: Operand, n: int, *, min_periods: int | None = None) -> Expression:
    """Sample excess kurtosis, G2 of Joanes and Gill (1998); NaN on a constant window."""


@rolling(smallest=2)
def ts_zscore(x: Operand, n: int, *, min_periods: int | None = None) -> Expression:
    """Distance of x at t from its rolling mean in rolling standard deviations; NaN where those are 0."""


@rolling()
def ts_rank(x: Operand, n: int, *, min_periods: int | None = None) -> Expression:
    """Rank of the value at t among the last n sessions' over how many there are: in (0, 1], ties take the average."""


@rolling()
def argmax(x: Operand, n: int, *, min_periods: int | None = None) -> Expression:
    """Place of the largest of the last n sessions, 1 the oldest and n the session t; the oldest of equal ones."""


@rolling()
def argmin(x: Operand, n: int, *, min_periods: int | None = None) -> Expression:
    """Place of the smallest of the last n sessions, 1 the oldest and n the session t; the oldest of equal ones."""


@rolling(q=(0, 1))
def quantile(x: Operand, n: int, q: float, *, min_periods: int | None = None) -> Expression:
    """The q-quantile of the last n sessions, linear between order statistics (type 7 of Hyndman and Fan 1996)."""


@rolling()
def median(x: Operand, n: int, *, min_periods: int | None = None) -> Expression:
    """Median of the last n sessions."""


@rolling()
def mad(x: Operand, n: int, *, min_periods: int | None = None) -> Expression:
    """Mean absolute deviation from the mean of the last n sessions."""


@rolling()
def decay_linear(x: Operand, n: int, *, min_periods: int | None = None) -> Expression:
    """Mean with linear weights: n for the session t down to 1 for the oldest, over the weights of those present."""


@decaying(halflife=(0.1, 1000))
def ema(x: Operand, halflife: float, *, min_periods: int | None = None) -> Expression:
    """Mean with weights that halve every `halflife` sessions, over the weights of those present.

    It reads 36.6 half-lives back, where the weight left is below 1e-11 of all; see `decays.py`.
    """


@decaying(span=(1.1, 2000))
def ema_span(x: Operand, span: float, *, min_periods: int | None = None) -> Expression:
    """`ema` with the smoothing constant 2 / (span + 1) of charting packages."""


@decaying(periods=(1.1, 1000))
def wilder(x: Operand, periods: float, *, min_periods: int | None = None) -> Expression:
    """`ema` with the smoothing constant 1 / periods of Wilder (1978)."""


@rolling()
def days_since(condition: Operand, n: int) -> Expression:
    """Sessions since the condition last was true: 0 where it is at t, NaN where it was not in the last n sessions."""


@rolling()
def sum_since(x: Operand, condition: Operand, n: int) -> Expression:
    """Sum of x from the last session on which the condition was true, t included.

    NaN where the condition was not true in the last n sessions, or x is missing on a session since.
    """


@cross_section()
def rank(x: Operand) -> Expression:
    """Rank among the members, divided by how many have a value: in (0, 1], ties take the average; NaN elsewhere."""


@cross_section()
def demean(x: Operand) -> Expression:
    """Distance from the members' mean; NaN for names outside the universe."""


@cross_section()
def zscore(x: Operand) -> Expression:
    """Distance from the members' mean in sample standard deviations; NaN where those are 0 or the name is outside."""


@cross_section()
def cross_mean(x: Operand) -> Expression:
    """Mean over the members on the date, the same for every ticker, members or not."""


@cross_section(limit=(0, 0.5))
def winsorize(x: Operand, *, limit: float = 0.01) -> Expression:
    """Limit x to the members' quantiles `limit` and 1 - `limit`, linear between order statistics."""


@cross_section(to=(1e-9, 1e9))
def scale(x: Operand, *, to: float = 1.0) -> Expression:
    """Multiply so that the members' absolute values sum to `to`; NaN where they are all 0."""


@cross_section(n_buckets=(2, 1000))
def bucket(x: Operand, *, n_buckets: int = 5) -> Expression:
    """Quantile bucket among the members, 1 the lowest: rank(x) times n_buckets, rounded up, so that ties stay together.

    With fewer members than buckets some are empty.
    """


@cross_section()
def group_mean(x: Operand, group: Group) -> Expression:
    """Mean over the members of the same group."""


@cross_section()
def neutralize(x: Operand, group: Group) -> Expression:
    """Distance from the mean of the members of the same group."""


@cross_section()
def group_zscore(x: Operand, group: Group) -> Expression:
    """`zscore` within the members of the same group."""


@cross_section()
def group_rank(x: Operand, group: Group) -> Expression:
    """`rank` within the members of the same group."""


@cross_section()
def residualize(x: Operand, *on: Group) -> Expression:
    """Residual of the cross-sectional least-squares regression of x on a constant and `on`, among the members.

    A label such as `sector` enters as one dummy a group. NaN where a regressor is missing; collinear regressors are
    as good as one of them. With no more members than regressors every residual is NaN.
    """
