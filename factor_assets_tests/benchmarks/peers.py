"""Four ways in which a researcher would compute the same expressions without this engine; none of ours is used.

Every peer computes a part that several factors share once, keeps what it has computed, and is given the fastest form
that its library has for an operator: lagged comparisons instead of `rolling.apply`, moments by sums.
"""

from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

import bottleneck as bn
import numpy as np
import pandas as pd
import polars as pl

from factor_assets.expressions import Call, Constant, Expression, Field
from factor_assets.expressions.expression import walk
from factor_assets.panel.panel import Panel

LN2 = np.log(2.0)


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


def _finite_log(x: Any) -> Any:
    return x.log() if isinstance(x, pl.Expr) else np.log(x)


def _sign(x: Any) -> Any:
    return x.sign() if isinstance(x, pl.Expr) else np.sign(x)


ELEMENTWISE: Mapping[str, Callable[..., Any]] = {
    "add": lambda x, y: x + y,
    "subtract": lambda x, y: x - y,
    "multiply": lambda x, y: x * y,
    "divide": lambda x, y: x / y,
    "power": lambda x, y: x**y,
    "negate": lambda x: -x,
    "abs": lambda x: x.abs() if isinstance(x, pl.Expr) else np.abs(x),
    "log": _finite_log,
    "sign": _sign,
    "signed_power": lambda x, a: _sign(x) * (x.abs() if isinstance(x, pl.Expr) else np.abs(x)) ** a,
    "less": lambda x, y: (x < y).cast(pl.Float64) if isinstance(x, pl.Expr) else (x < y) * 1.0 + 0.0 * x,
    "maximum": lambda x, y: pl.max_horizontal(x, y) + 0.0 * x if isinstance(x, pl.Expr) else np.maximum(x, y),
    "minimum": lambda x, y: pl.min_horizontal(x, y) + 0.0 * x if isinstance(x, pl.Expr) else np.minimum(x, y),
}


class PandasWide(Peer):
    """One DataFrame a field, dates down and tickers across."""

    name = "pandas_wide"

    def __init__(self, panel: Panel) -> None:
        super().__init__(panel)
        self._frames = {name: pd.DataFrame(values.copy()) for name, values in panel.fields.items()}

    def field(self, name: str) -> pd.DataFrame:
        return self._frames[name]

    def wide(self, values: pd.DataFrame) -> np.ndarray:
        return values.to_numpy()

    def rolling(self, x: Any, n: int, min_periods: int) -> Any:
        return x.rolling(n, min_periods=min_periods)

    def delay(self, x: Any, n: int) -> Any:
        return x.shift(n)

    def where_both(self, x: Any, y: Any) -> tuple[Any, Any]:
        both = x.notna() & y.notna()
        return x.where(both), y.where(both)

    def choose(self, condition: Any, x: Any, y: Any) -> Any:
        index = condition.index
        return pd.DataFrame(np.where(condition, x, y), index=index, columns=condition.columns)

    def mean(self, x: Any, n: int, min_periods: int) -> Any:
        return self.rolling(x, n, min_periods).mean()

    def sum(self, x: Any, n: int, min_periods: int) -> Any:
        return self.rolling(x, n, min_periods).sum()

    def std(self, x: Any, n: int, min_periods: int) -> Any:
        return self.rolling(x, n, min_periods).std()

    def skew(self, x: Any, n: int, min_periods: int) -> Any:
        return self.rolling(x, n, min_periods).skew()

    def max(self, x: Any, n: int, min_periods: int) -> Any:
        return self.rolling(x, n, min_periods).max()

    def count(self, x: Any, n: int) -> Any:
        return self.rolling(x, n, 0).count()

    def ts_rank(self, x: Any, n: int, min_periods: int) -> Any:
        return self.rolling(x, n, min_periods).rank(pct=True)

    def ema_span(self, x: Any, span: float, min_periods: int) -> Any:
        return x.ewm(span=span, min_periods=min_periods).mean()

    def rank(self, x: Any) -> Any:
        return x.where(self.members).rank(axis=1, pct=True)

    def cross_mean(self, x: Any) -> Any:
        mean = x.where(self.members).mean(axis=1).to_numpy()
        return pd.DataFrame(np.broadcast_to(mean[:, None], self.shape), index=x.index, columns=x.columns)


class PandasGroupby(PandasWide):
    """One long frame, tickers one after the other, and `groupby(ticker).rolling`: what most notebooks do."""

    name = "pandas_groupby"

    def __init__(self, panel: Panel) -> None:
        super().__init__(panel)
        self._frames = {name: pd.Series(values.T.reshape(-1)) for name, values in panel.fields.items()}
        n_dates, n_tickers = panel.shape
        self._ticker = np.repeat(np.arange(n_tickers), n_dates)
        self._date = np.tile(np.arange(n_dates), n_tickers)
        self._inside = panel.in_universe.T.reshape(-1)

    def wide(self, values: pd.Series) -> np.ndarray:
        return values.to_numpy().reshape(self.shape[::-1]).T

    def rolling(self, x: Any, n: int, min_periods: int) -> Any:
        return _Aligned(x.groupby(self._ticker, sort=False).rolling(n, min_periods=min_periods))

    def delay(self, x: Any, n: int) -> Any:
        return x.groupby(self._ticker, sort=False).shift(n)

    def choose(self, condition: Any, x: Any, y: Any) -> Any:
        return pd.Series(np.where(condition, x, y))

    def ema_span(self, x: Any, span: float, min_periods: int) -> Any:
        grouped = x.groupby(self._ticker, sort=False).ewm(span=span, min_periods=min_periods)
        return pd.Series(grouped.mean().to_numpy())

    def rank(self, x: Any) -> Any:
        return x.where(self._inside).groupby(self._date).rank(pct=True)

    def cross_mean(self, x: Any) -> Any:
        return x.where(self._inside).groupby(self._date).transform("mean")


class _Aligned:
    """A grouped rolling window whose results have the plain index again; the rows are sorted by group already."""

    def __init__(self, rolling: Any) -> None:
        self._rolling = rolling

    def __getattr__(self, name: str) -> Callable[..., pd.Series]:
        return lambda **options: pd.Series(getattr(self._rolling, name)(**options).to_numpy())


class Bottleneck(Peer):
    """Bottleneck's moving windows on NumPy arrays; what it lacks by its sums, by lags or by a loop over sessions."""

    name = "bottleneck"

    def __init__(self, panel: Panel) -> None:
        super().__init__(panel)
        self._fields = panel.fields

    def field(self, name: str) -> np.ndarray:
        return self._fields[name]

    def wide(self, values: np.ndarray) -> np.ndarray:
        return values

    def delay(self, x: np.ndarray, n: int) -> np.ndarray:
        out = np.empty_like(x)
        out[:n], out[n:] = np.nan, x[:-n]
        return out

    def where_both(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        both = ~(np.isnan(x) | np.isnan(y))
        return np.where(both, x, np.nan), np.where(both, y, np.nan)

    def choose(self, condition: np.ndarray, x: Any, y: Any) -> np.ndarray:
        return np.where(condition, x, y)

    def mean(self, x: np.ndarray, n: int, min_periods: int) -> np.ndarray:
        return bn.move_mean(x, n, min_periods, axis=0)

    def sum(self, x: np.ndarray, n: int, min_periods: int) -> np.ndarray:
        return bn.move_sum(x, n, min_periods, axis=0)

    def std(self, x: np.ndarray, n: int, min_periods: int) -> np.ndarray:
        return bn.move_std(x, n, min_periods, axis=0, ddof=1)

    def max(self, x: np.ndarray, n: int, min_periods: int) -> np.ndarray:
        return bn.move_max(x, n, min_periods, axis=0)

    def count(self, x: np.ndarray, n: int) -> np.ndarray:
        return bn.move_sum((~np.isnan(x)).astype(float), n, 1, axis=0)

    def skew(self, x: np.ndarray, n: int, min_periods: int) -> np.ndarray:
        m = self.count(x, n)
        first = bn.move_mean(x, n, min_periods, axis=0)
        second = bn.move_mean(x * x, n, min_periods, axis=0) - first**2
        third = bn.move_mean(x * x * x, n, min_periods, axis=0) - 3 * first * second - first**3
        return np.sqrt(m * (m - 1)) / (m - 2) * third / second**1.5

    def ts_rank(self, x: np.ndarray, n: int, min_periods: int) -> np.ndarray:
        # move_rank is -1 at the bottom and 1 at the top
        m = self.count(x, n)
        return ((bn.move_rank(x, n, min_periods, axis=0) + 1) / 2 * (m - 1) + 1) / m

    def ema_span(self, x: np.ndarray, span: float, min_periods: int) -> np.ndarray:
        decay = 1 - 2 / (span + 1)
        out = np.empty_like(x)
        total, weight, count = (np.zeros(x.shape[1]) for _ in range(3))
        for i, row in enumerate(x):
            here = ~np.isnan(row)
            total = total * decay + np.where(here, row, 0.0)
            weight = weight * decay + here
            count += here
            out[i] = np.where(count >= min_periods, total / weight, np.nan)
        return out

    def rank(self, x: np.ndarray) -> np.ndarray:
        inside = np.where(self.members, x, np.nan)
        return bn.nanrankdata(inside, axis=1) / (~np.isnan(inside)).sum(axis=1, keepdims=True)

    def cross_mean(self, x: np.ndarray) -> np.ndarray:
        mean = bn.nanmean(np.where(self.members, x, np.nan), axis=1)
        return np.broadcast_to(mean[:, None], x.shape).copy()


class PolarsOver(Peer):
    """One long frame and `.over("ticker")` or `.over("date")`; columns of one depth are made together, in parallel."""

    name = "polars_over"

    def __init__(self, panel: Panel) -> None:
        super().__init__(panel)
        n_dates, n_tickers = panel.shape
        columns: dict[str, Any] = {
            "ticker": np.repeat(np.arange(n_tickers), n_dates),
            "date": np.tile(np.arange(n_dates), n_tickers),
            "inside": panel.in_universe.T.reshape(-1),
        }
        columns |= {name: values.T.reshape(-1) for name, values in panel.fields.items()}
        self._frame = pl.DataFrame(columns).with_columns(pl.col(name).fill_nan(None) for name in panel.fields)

    def run(self, expressions: Mapping[str, Expression]) -> dict[str, Any]:
        nodes = list(dict.fromkeys(n for e in expressions.values() for n in walk(e)))
        depth: dict[Expression, int] = {}
        for node in nodes:
            window = isinstance(node, Call) and node.operator not in {*ELEMENTWISE, "where"}
            depth[node] = max((depth[a] for a in getattr(node, "args", ())), default=0) + window
        known: dict[Expression, Any] = {}
        frame = self._frame
        for level in range(max(depth.values()) + 1):
            made = {}
            for i, node in enumerate(nodes):
                if depth[node] != level:
                    continue
                known[node] = self._value(node, known)
                if isinstance(node, Call) and node.operator not in {*ELEMENTWISE, "where"}:
                    made[f"node{i}"] = known[node]
                    known[node] = pl.col(f"node{i}")
            frame = frame.with_columns(**made)
        return {name: frame.select(known[e]).to_series() for name, e in expressions.items()}

    def field(self, name: str) -> pl.Expr:
        return pl.col(name)

    def wide(self, values: pl.Series) -> np.ndarray:
        return values.fill_null(np.nan).to_numpy().reshape(self.shape[::-1]).T

    def delay(self, x: pl.Expr, n: int) -> pl.Expr:
        return x.shift(n).over("ticker")

    def choose(self, condition: pl.Expr, x: Any, y: Any) -> pl.Expr:
        return pl.when(condition).then(x).otherwise(y)

    def mean(self, x: pl.Expr, n: int, min_periods: int) -> pl.Expr:
        return x.rolling_mean(n, min_samples=min_periods).over("ticker")

    def sum(self, x: pl.Expr, n: int, min_periods: int) -> pl.Expr:
        return x.rolling_sum(n, min_samples=min_periods).over("ticker")

    def std(self, x: pl.Expr, n: int, min_periods: int) -> pl.Expr:
        return x.rolling_std(n, min_samples=min_periods).over("ticker")

    def max(self, x: pl.Expr, n: int, min_periods: int) -> pl.Expr:
        return x.rolling_max(n, min_samples=min_periods).over("ticker")

    def skew(self, x: pl.Expr, n: int, min_periods: int) -> pl.Expr:
        return x.rolling_skew(n, bias=False, min_samples=min_periods).over("ticker")

    def ts_rank(self, x: pl.Expr, n: int, min_periods: int) -> pl.Expr:
        return (x.rolling_rank(n, method="average", min_samples=min_periods) / n).over("ticker")

    def corr(self, y: pl.Expr, x: pl.Expr, n: int, min_periods: int) -> pl.Expr:
        return pl.rolling_corr(y, x, window_size=n, min_samples=min_periods).over("ticker")

    def beta(self, y: pl.Expr, x: pl.Expr, n: int, min_periods: int) -> pl.Expr:
        both = x + 0.0 * y
        cov = pl.rolling_cov(y, x, window_size=n, min_samples=min_periods)
        return (cov / both.rolling_var(n, min_samples=min_periods)).over("ticker")

    def decay_linear(self, x: pl.Expr, n: int, min_periods: int) -> pl.Expr:
        lags = [x.shift(k) * (n - k) for k in range(n)]
        return (reduce(lambda a, b: a + b, lags) / (n * (n + 1) / 2)).over("ticker")

    def argmax(self, x: pl.Expr, n: int, min_periods: int) -> pl.Expr:
        lags = [x.shift(k) for k in range(n)]
        best = pl.max_horizontal(lags)
        place = pl.lit(float(n))
        for k in range(1, n):
            place = pl.when(lags[k] == best).then(float(n - k)).otherwise(place)
        return (place + 0.0 * reduce(lambda a, b: a + b, lags)).over("ticker")

    def ts_zscore(self, x: pl.Expr, n: int, min_periods: int) -> pl.Expr:
        mean = x.rolling_mean(n, min_samples=min_periods)
        return ((x - mean) / x.rolling_std(n, min_samples=min_periods)).over("ticker")

    def ema_span(self, x: pl.Expr, span: float, min_periods: int) -> pl.Expr:
        return x.ewm_mean(span=span, adjust=True, min_samples=min_periods, ignore_nulls=False).over("ticker")

    def delta(self, x: pl.Expr, n: int) -> pl.Expr:
        return x.diff(n).over("ticker")

    def pct_change(self, x: pl.Expr, n: int) -> pl.Expr:
        return (x / x.shift(n) - 1).over("ticker")

    def rank(self, x: pl.Expr) -> pl.Expr:
        inside = pl.when("inside").then(x)
        return (inside.rank("average") / inside.count()).over("date")

    def cross_mean(self, x: pl.Expr) -> pl.Expr:
        return pl.when("inside").then(x).mean().over("date")


PEERS = (PandasGroupby, PandasWide, PolarsOver, Bottleneck)
