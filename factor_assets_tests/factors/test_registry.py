"""Declarations are found by scanning the folder."""

from types import ModuleType

import numpy as np
import pytest

from factor_assets.errors import ExpressionError, UnknownFactorError
from factor_assets.expressions import close, delay, parse
from factor_assets.expressions.engine import evaluate
from factor_assets.factors import momentum
from factor_assets.factors.factor import Factor
from factor_assets.factors.registry import all_factors, collect, factor
from factor_assets.panel.panel import Panel


def _module(name: str, **declared: object) -> ModuleType:
    module = ModuleType(f"factor_assets.factors.{name}")
    vars(module).update(declared)
    return module


class TestAgainstDefinition:
    def test_rsi_is_its_definition(self):
        """100 - 100 / (1 + mean rise / mean fall), 100 where nothing falls, nothing where nothing moves."""
        prices = np.array([[10.0, 10, 10, 10], [11, 9, 11, 10], [10.5, 8, 12, 10], [12, 7, 13, 10]])
        panel = Panel(
            dates=np.arange(4).astype("datetime64[D]"),
            tickers=("A", "B", "C", "D"),
            fields={"close": prices},
            in_universe=np.ones((4, 4), dtype=bool),
        )
        from factor_assets.factors.technical import relative_strength_index

        last = dict(evaluate({"rsi": relative_strength_index(close, 3)}, panel))["rsi"][-1]
        up, down = (1 + 1.5) / 3, 0.5 / 3
        np.testing.assert_allclose(last, [100 - 100 / (1 + up / down), 0, 100, np.nan], rtol=1e-14)


class TestProperties:
    def test_names_and_families(self):
        found = all_factors()
        assert found["ret_12_1"].factor is momentum.ret_12_1
        assert found["ret_12_1"].family == "momentum"
        assert found["ret_12_1"].lookback == 252
        assert found["ret_12_1"].inputs == ("close",)
        assert found["beta_252d"].is_cross_sectional
        assert len({f.code_version for f in found.values()}) == len(found)
        assert {f.family for f in found.values()} == {
            "liquidity",
            "momentum",
            "reversal",
            "size",
            "technical",
            "volatility",
        }

    def test_the_formula_is_the_text(self):
        assert factor("ret_12_1").expression == parse("delay(close, 21) / delay(close, 252) - 1")


class TestErrors:
    def test_unknown(self):
        with pytest.raises(UnknownFactorError, match="No factor is called 'ret_12'; did you mean 'ret_12_1'"):
            factor("ret_12")

    def test_duplicate(self):
        one = Factor(expression=delay(close, 1), sign=0, cite="Test (2020, none)")
        with pytest.raises(ExpressionError, match="'x' is declared in 'a' and in 'b'"):
            collect([_module("a", x=one), _module("b", x=one)])

    def test_declaration(self):
        with pytest.raises(ExpressionError, match=r"wants an expression; got str.*parse\(\)"):
            Factor(expression="close", sign=0, cite="")
        with pytest.raises(ExpressionError, match="sign is -1, 0 or \\+1; got 2"):
            Factor(expression=close, sign=2, cite="")
