"""Four ways in which a researcher would compute the same expressions without this engine; none of ours is used.

Every peer computes a part that several factors share once, keeps what it has computed, and is given the fastest form
that its library has for an operator: lagged comparisons instead of `rolling.apply`, moments by sums.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from factor_assets.expressions import Call, Constant, Expression, Field
from factor_assets.expressions.expression import walk
from factor_assets.panel.panel import Panel


class Peer:
    """An interpreter of expressions over one library's containers."""

    name: str

    def __init__(self, panel: Panel) -> None:
        self.members = panel.in_universe
        self.shape = panel.shape

    def run(self, expressions: Mapping[str, Expression]) -> dict[str, Any]:
        """Return name -> values in the library's own container."""
        known: dict[Expression, Any] = {}
        for expression in expressions.values():
            for node in walk(expression):
                if node not in known:
                    known[node] = self._value(node, known)
        return {name: known[expression] for name, expression in expressions.items()}

    def _value(self, node: Expression, known: Mapping[Expression, Any]) -> Any:
        if isinstance(node, Constant):
            return node.value
        if isinstance(node, Field):
            return self.field(node.name)
        assert isinstance(node, Call)
        operands = [known[a] for a in node.args]
        if node.operator in ELEMENTWISE:
            return ELEMENTWISE[node.operator](*operands)
        return getattr(self, node.operator)(*operands, **dict(node.params))

    def field(self, name: str) -> Any:
        raise NotImplementedError

    def wide(self, values: Any) -> np.ndarray:
        """Return values as an array of shape (n_dates, n_tickers)."""
        raise NotImplementedError

    # Statistics that the libraries lack, from those they have.

    def delta(self, x: Any, n: int) -> Any:
        return x - self.delay(x, n)

    def pct_change(self, x: Any, n: int) -> Any:
        return x / self.delay(x, n) - 1

    def ts_zscore(self, x: Any, n: int, min_periods: int) -> Any:
        return (x - self.mean(x, n, min_periods)) / self.std(x, n, min_periods)

    def cov(self, y: Any, x: Any, n: int, min_periods: int) -> Any:
        both = self.where_both(x, y)
        x, y = both
        m = self.count(x, n)
        product = self.mean(x * y, n, min_periods) - self.mean(x, n, min_periods) * self.mean(y, n, min_periods)
        return product * m / (m - 1)

    def corr(self, y: Any, x: Any, n: int, min_periods: int) -> Any:
        x, y = self.where_both(x, y)
        return self.cov(y, x, n, min_periods) / (self.std(x, n, min_periods) * self.std(y, n, min_periods))

    def beta(self, y: Any, x: Any, n: int, min_periods: int) -> Any:
        x, y = self.where_both(x, y)
        return self.cov(y, x, n, min_periods) / self.std(x, n, min_periods) ** 2

    def decay_linear(self, x: Any, n: int, min_periods: int) -> Any:
        lags = [x * n] + [self.delay(x, k) * (n - k) for k in range(1, n)]
        return sum(lags[1:], lags[0]) / (n * (n + 1) / 2)

    def argmax(self, x: Any, n: int, min_periods: int) -> Any:
        best, place = self.delay(x, n - 1), None
        for k in range(n - 2, -1, -1):
            now = self.delay(x, k) if k else x
            larger = now > best
            place = self.choose(larger, float(n - k), 1.0 if place is None else place)
            best = self.choose(larger, now, best)
        return place + 0.0 * self.mean(x, n, n)

    def where(self, condition: Any, x: Any, y: Any) -> Any:
        return self.choose(condition > 0, x, y) + 0.0 * condition


def _is_polars(x: Any) -> bool:
    return hasattr(x, "over")


def _abs(x: Any) -> Any:
    return x.abs() if _is_polars(x) else np.abs(x)


def _sign(x: Any) -> Any:
    return x.sign() if _is_polars(x) else np.sign(x)


def _less(x: Any, y: Any) -> Any:
    return (x < y).cast(float) if _is_polars(x) else (x < y) * 1.0 + 0.0 * x


def _maximum(x: Any, y: Any) -> Any:
    return x.clip(lower_bound=y) if _is_polars(x) else np.maximum(x, y)


ELEMENTWISE: Mapping[str, Callable[..., Any]] = {
    "add": lambda x, y: x + y,
    "subtract": lambda x, y: x - y,
    "multiply": lambda x, y: x * y,
    "divide": lambda x, y: x / y,
    "negate": lambda x: -x,
    "abs": _abs,
    "sign": _sign,
    "log": lambda x: x.log() if _is_polars(x) else np.log(x),
    "signed_power": lambda x, a: _sign(x) * _abs(x) ** a,
    "less": _less,
    "maximum": _maximum,
}
