"""Two ways of pandas: wide frames, and `groupby(ticker).rolling`."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from factor_assets.panel.panel import Panel
from factor_assets_tests.benchmarks.peer import Peer


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
