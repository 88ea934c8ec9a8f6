"""The torch backend beside the engine, on the CPU."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factor_assets.errors import ExpressionError, UnknownFieldError
from factor_assets.expressions import Field, close, mean, rank
from factor_assets.expressions.declaration import OPERATORS
from factor_assets.expressions.engine import evaluate
from factor_assets.factors.registry import all_factors
from factor_assets.panel.panel import Panel
from factor_assets_tests.expressions.strategies import panels, random_panel
from factor_assets_tests.expressions.test_operators import applied
from factor_assets_tests.test_every_factor import days_for, panel

torch = pytest.importorskip("torch", reason="the extra `torch` is not installed")

from factor_assets.expressions import torch_backend  # noqa: E402


def on_torch(expression, market: Panel, **options) -> np.ndarray:
    return dict(torch_backend.evaluate({"e": expression}, market, **options))["e"]


def on_numba(expression, market: Panel) -> np.ndarray:
    return dict(evaluate({"e": expression}, market))["e"]


def size_of(market: Panel) -> float:
    return max((float(np.nanmax(np.abs(v), initial=1.0)) for v in market.fields.values()), default=1.0)


class TestAgainstEngine:
    @pytest.mark.parametrize("name", sorted(OPERATORS))
    @given(market=panels, n=st.integers(1, 12), min_periods=st.none() | st.integers(1, 12))
    @settings(max_examples=12, deadline=None)
    def test_operators_in_float64(self, name, market, n, min_periods):
        expression = applied(name, n=n, min_periods=min_periods)
        ours, theirs = on_numba(expression, market), on_torch(expression, market)
        scale = size_of(market) ** 2 if name in ("var", "cov") else size_of(market)
        np.testing.assert_allclose(theirs, ours, rtol=1e-10, atol=1e-12 * scale)

    @pytest.mark.parametrize("name", sorted(OPERATORS))
    def test_operators_in_float32(self, name):
        """Of operands that float32 holds exactly, and away from where an operator magnifies a rounding."""
        rng = np.random.default_rng(5)
        shape = (60, 9)
        rounded = {f: rng.normal(3.0, 1.0, shape).astype(np.float32).astype(float) for f in ("close", "open", "volume")}
        market = Panel(
            dates=np.arange(shape[0]).astype("datetime64[D]"),
            tickers=tuple(f"T{j}" for j in range(shape[1])),
            fields={**rounded, "sector": rng.choice([0.0, 1.0], shape)},
            in_universe=rng.random(shape) < 0.9,
        )
        expression = applied(name, n=10, min_periods=None)
        ours, theirs = on_numba(expression, market), on_torch(expression, market, dtype=torch.float32)
        np.testing.assert_allclose(theirs, ours, rtol=1e-6, atol=1e-6)

    @pytest.mark.parametrize("factor", all_factors().values(), ids=list(all_factors()))
    def test_factors(self, factor):
        market = panel("plain", len(days_for(factor)))
        part = market.rows(max(0, len(market.dates) - factor.lookback - 10), len(market.dates))
        ours = on_numba(factor.expression, part)[-10:]
        theirs = on_torch(factor.expression, part)[-10:]
        np.testing.assert_allclose(theirs, ours, rtol=1e-8, atol=1e-10 * (1 + np.nanmax(np.abs(ours))))


class TestProperties:
    def test_many_at_once_are_each_alone(self):
        market = random_panel(4, n_dates=40, n_tickers=5)
        wanted = {"a": mean(close, 5), "b": rank(mean(close, 5)), "c": close, "d": rank(close) + 1}
        together = dict(torch_backend.evaluate(wanted, market, start=10))
        assert list(together) == list(wanted)
        for name, expression in wanted.items():
            np.testing.assert_array_equal(together[name], on_torch(expression, market)[10:])

    def test_windows_in_parts_are_the_same(self, monkeypatch):
        market = random_panel(4, n_dates=40, n_tickers=5)
        whole = on_torch(mean(close, 7), market)
        monkeypatch.setattr(torch_backend.torch_windows, "_CELLS", 100)
        np.testing.assert_array_equal(on_torch(mean(close, 7), market), whole)


class TestErrors:
    def test_the_same_refusals_as_the_engine(self):
        market = random_panel(0, n_dates=5, n_tickers=2)
        with pytest.raises(UnknownFieldError, match="reads the field 'low'"):
            torch_backend.evaluate({"b": Field("low")}, market)
        with pytest.raises(ExpressionError, match="looks back 4 sessions"):
            torch_backend.evaluate({"a": mean(close, 5)}, market, start=2)
