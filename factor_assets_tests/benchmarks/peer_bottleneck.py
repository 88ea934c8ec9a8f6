"""The way of Bottleneck's moving windows."""

from typing import Any

import bottleneck as bn
import numpy as np

from factor_assets.panel.panel import Panel
from factor_assets_tests.benchmarks.peer import Peer


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
