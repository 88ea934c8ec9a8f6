"""Many expressions in one pass: shared work, released memory, rows after the lookback."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factor_assets.errors import ExpressionError, UnknownFieldError
from factor_assets.expressions import Field, close, delay, engine, mean, rank, rolling, std
from factor_assets.expressions.engine import evaluate
from factor_assets_tests.expressions.strategies import expressions as random_expressions
from factor_assets_tests.expressions.strategies import panels, random_panel, same_bits


class TestAgainstOneByOne:
    @given(panel=panels, wanted=st.lists(random_expressions, min_size=1, max_size=6))
    @settings(max_examples=100, deadline=None)
    def test_together_is_the_same_as_alone(self, panel, wanted):
        together = dict(evaluate({str(i): e for i, e in enumerate(wanted)}, panel))
        for i, e in enumerate(wanted):
            assert same_bits(together[str(i)], dict(evaluate({"e": e}, panel))["e"])


class TestProperties:
    def test_common_parts_are_computed_once(self, monkeypatch):
        calls = []
        monkeypatch.setattr(
            rolling,
            "COMPUTE",
            {k: (lambda *a, _f=f, _k=k, **p: (calls.append(_k), _f(*a, **p))) for k, f in rolling.COMPUTE.items()},
        )
        panel = random_panel(0, n_dates=30, n_tickers=3)
        shared = mean(delay(close, 1), 5)
        wanted = {"a": close / shared, "b": rank(shared) + shared, "c": shared, "d": std(shared, 3)}
        assert [name for name, _ in evaluate(wanted, panel)] == list("abcd")
        assert sorted(calls) == ["delay", "mean", "std"]

    def test_results_stay_what_they_were_while_later_ones_are_computed(self):
        panel = random_panel(1, n_dates=40, n_tickers=4)
        wanted = {f"f{n}": mean(delay(close, n), n + 1) - close * n for n in range(1, 12)}
        copies, kept = {}, {}
        for name, values in evaluate(wanted, panel):
            copies[name], kept[name] = values.copy(), values
        assert all(same_bits(copies[name], kept[name]) for name in wanted)
        assert not any(values.flags.writeable for values in kept.values())

    def test_intermediates_are_released(self, monkeypatch):
        panel = random_panel(1, n_dates=40, n_tickers=4)
        made = []
        empty = np.empty
        monkeypatch.setattr(engine.np, "empty", lambda *a, **k: (made.append(a), empty(*a, **k))[1])
        e = close
        for n in range(1, 30):
            e = delay(e, 1) + n
        (_,) = evaluate({"e": e}, panel)
        assert len(made) <= 3

    def test_start(self):
        panel = random_panel(2, n_dates=30, n_tickers=3)
        whole = dict(evaluate({"m": mean(close, 5), "c": close}, panel))
        part = dict(evaluate({"m": mean(close, 5), "c": close}, panel, start=10))
        assert all(same_bits(whole[k][10:], part[k]) for k in whole)

    def test_warm_up_runs_every_kernel(self):
        engine.warm_up()


class TestErrors:
    def test_missing_field_is_found_before_anything_is_computed(self):
        panel = random_panel(0, n_dates=5, n_tickers=2)
        with pytest.raises(UnknownFieldError, match="'b' reads the field 'low', which the panel does not hold"):
            evaluate({"a": close, "b": Field("low")}, panel)

    def test_start(self):
        panel = random_panel(0, n_dates=5, n_tickers=2)
        with pytest.raises(ExpressionError, match=r"looks back 4 sessions, but only 2 rows.*from 2 sessions earlier"):
            evaluate({"a": mean(close, 5)}, panel, start=2)
        with pytest.raises(ExpressionError, match="0 to 5; got 6"):
            evaluate({"a": close}, panel, start=6)
