"""The way of polars: window expressions over a long frame."""

from collections.abc import Mapping
from functools import reduce
from typing import Any

import numpy as np
import polars as pl

from factor_assets.expressions import Call, Expression
from factor_assets.expressions.expression import walk
from factor_assets.panel.panel import Panel
from factor_assets_tests.benchmarks.peer import ELEMENTWISE, Peer


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
