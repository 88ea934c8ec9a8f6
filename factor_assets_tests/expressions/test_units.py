"""Units against a table of what is what, and the claim to be free of scale against a market in another scale."""

from functools import cache

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from factor_assets.expressions import Call, Constant, Expression, Field, parse, register_field
from factor_assets.expressions.declaration import OPERATORS
from factor_assets.expressions.engine import evaluate
from factor_assets.expressions.units import _PURE_WHATEVER, _RULES, FIELD_POWERS, is_scale_free, unit
from factor_assets.panel.fields import FIELDS, LABELS
from factor_assets.panel.panel import Panel
from factor_assets_tests.factors.market import FUNDAMENTALS, SESSIONS, panel_of, raw_market

UNITS = {
    "close": "currency per start share",
    "raw_close": "currency per share",
    "volume": "start shares",
    "raw_volume": "shares",
    "market_cap": "currency",
    "returns": "",
    "3.5": "",
    "raw_close * raw_volume": "currency",
    "raw_close * raw_close": "currency^2 per share^2",
    "raw_volume * dollar_volume": "currency x shares",
    "dollar_volume / volume": "currency per start share",
    "abs(returns) / dollar_volume": "per currency",
    "close / delay(close, 5) - 1": "",
    "-close - open": "currency per start share",
    "close + 1": None,
    "close + volume": None,
    "close + raw_close": None,
    "close - 0": "currency per start share",
    "maximum(0, high - low)": "currency per start share",
    "maximum(1, high - low)": None,
    "clip(close, low, high)": "currency per start share",
    "clip(close, low, 9)": None,
    "where(returns > 0, volume, 0)": "start shares",
    "where(returns > 0, volume, close)": None,
    "where(close + 1, volume, 0)": "start shares",
    "fill(market_cap, dollar_volume)": "currency",
    "close > 10": "",
    "(close > open) & (volume > 0)": "",
    "sign(close + 1)": "",
    "is_missing(close + 1)": "",
    "log(close)": None,
    "log(close / open)": "",
    "log(close) - log(open)": "",
    "2 * log(close) - log(open) / 0.5": "",
    "log(close) + log(open)": None,
    "log(close) * close": None,
    "log(log(close))": None,
    "delta(log(market_cap), 5)": "",
    "delta(market_cap, 5)": "currency",
    "mean(log(market_cap), 5)": None,
    "exp(mean(log(market_cap), 5))": "currency",
    "exp(close)": None,
    "exp(returns)": "",
    "sqrt(market_cap)": "currency^0.5",
    "close ** 2": "currency^2 per start share^2",
    "close ** -(1)": "start shares per currency",
    "close ** (1 + 1)": "currency^2 per start share^2",
    "(close / open) ** returns": "",
    "close ** returns": None,
    "returns ** close": None,
    "signed_power(returns, 2)": "",
    "signed_power(market_cap, 2)": "currency^2",
    "close ** 1e300": None,
    "sum(log(close), 5)": None,
    "sum(volume, 5)": "start shares",
    "product(volume, 2)": "start shares^2",
    "product(volume, 2, min_periods=1)": None,
    "product(1 + returns, 2, min_periods=1)": "",
    "var(market_cap, 5)": "currency^2",
    "var(log(market_cap), 5)": "",
    "std(market_cap, 5)": "currency",
    "cov(market_cap, returns, 5)": "currency",
    "beta(returns, market_cap, 5)": "per currency",
    "beta(market_cap, dollar_volume, 5)": "",
    "residual(market_cap, volume, 5)": "currency",
    "corr(close + 1, volume, 5)": "",
    "slope(returns, 5)": "per session",
    "slope(close, 5)": "currency per start share per session",
    "slope(log(close), 5)": "per session",
    "trend_residual(close, 5)": "currency per start share",
    "quantile(close, 5, 0.5)": "currency per start share",
    "argmax(close, 5)": "",
    "ts_zscore(log(close), 5)": "",
    "days_since(close > open, 5)": "sessions",
    "sum_since(dollar_volume, close > open, 5)": "currency",
    "sum(volume, 5) / days_since(close > open, 5)": "start shares per session",
    "pct_change(volume, 5)": "",
    "pct_change(log(volume), 5)": None,
    "rank(close + 1)": "",
    "zscore(log(market_cap))": "",
    "demean(log(market_cap))": "",
    "neutralize(market_cap, sector)": "currency",
    "group_mean(market_cap, close + 1)": "currency",
    "residualize(returns, log(market_cap), sector)": "",
    "winsorize(market_cap)": "currency",
    "scale(market_cap)": "",
    "count(close + 1, 5)": "",
    "sector": None,
}

FREE = [
    "close / delay(close, 5) - 1",
    "rank(-delta(close, 5))",
    "corr(rank(open), rank(volume), 10)",
    "ts_zscore(log(close), 20)",
    "raw_high / raw_low",
    "log(raw_high) - log(raw_low)",
    "raw_close * raw_volume / mean(dollar_volume, 5)",
    "residualize(returns, log(market_cap), sector)",
    "group_rank(market_cap, sector)",
    "volume / mean(volume, 5)",
    "(raw_close > raw_open) * returns",
    "where(raw_close, returns, 0)",
    "days_since(raw_volume, 10)",
    "count(raw_close, 10)",
    "market_cap * 0",
    "exp(slope(log(close), 20))",
    "beta(returns, cross_mean(returns), 20)",
    "is_missing(market_cap)",
    "product(close, 3) / close ** 3",
]

NOT_FREE = [
    "close",
    "raw_close",
    "raw_volume",
    "dollar_volume",
    "log(market_cap)",
    "close > 40",
    "close + 1",
    "exp(log(close))",
    "raw_close / delay(raw_close, 1)",
    "rank(raw_close)",
    "mean(raw_volume, 5) / raw_volume",
    "mean(log(raw_volume), 5) - log(raw_volume)",
    "shares_outstanding / volume",
    "beta(returns, dollar_volume, 20)",
    "log(close) * log(close)",
    "sum(log(close), 5, min_periods=1)",
    "scale(log(market_cap))",
    "neutralize(returns, raw_close > 40)",
]


@cache
def market(kind: str) -> Panel:
    """The last sessions of the market, or of the same market in another scale."""
    raw, event = raw_market(), len(SESSIONS) - 40
    if kind in ("no split", "split"):
        raw["dividend"][event, 0] = raw["split"][event, 0] = np.nan
    for name in ("open", "high", "low", "close", "dividend"):
        if kind == "other currency":
            raw[name] = raw[name] * 8.0  # powers of two, so that nothing rounds otherwise
        if kind == "split":
            raw[name][event:, 0] /= 4.0
    if kind == "other currency":
        for name in FUNDAMENTALS:
            raw[name] = raw[name] * 8.0
    if kind == "split":
        raw["split"][event, 0] = 4.0
        for name in ("volume", "shares_outstanding", "shares_filed"):
            raw[name][event:, 0] *= 4.0
    return panel_of(raw).rows(len(SESSIONS) - 100, len(SESSIONS))


def nudged(panel: Panel, *, seed: int) -> Panel:
    """The panel with values moved by far more than a rounding, each on its own."""
    rng = np.random.default_rng(seed)
    fields = {
        name: values if name in LABELS else values * (1.0 + 1e-11 * rng.normal(0, 1, values.shape))
        for name, values in panel.fields.items()
    }
    return Panel(panel.dates, panel.tickers, fields, panel.in_universe.copy(), panel.first_row)


def value(expression: Expression, panel: Panel) -> np.ndarray:
    return dict(evaluate({"e": expression}, panel))["e"]


def changed(expression: Expression) -> int:
    """How many values are others in another currency or after a split, of those that roundings do not change."""
    n_changed = 0
    for before, after in (("plain", "other currency"), ("no split", "split")):
        ours, theirs = value(expression, market(before)), value(expression, market(after))
        solid = np.ones(ours.shape, dtype=bool)
        for kind in (before, after):
            here = value(expression, market(kind))
            for seed in range(2):
                other = value(expression, nudged(market(kind), seed=seed))
                solid &= np.isclose(here, other, rtol=1e-6, atol=0.0, equal_nan=True)
        n_changed += int((solid & ~np.isclose(ours, theirs, rtol=1e-5, atol=0.0, equal_nan=True)).sum())
    return n_changed


def _call(operands: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    @st.composite
    def draw_call(draw: st.DrawFn) -> Expression:
        # ratios and differences of the same kind are what is free of scale
        spec = OPERATORS[draw(st.sampled_from([*sorted(OPERATORS), *["divide", "subtract", "log"] * 6]))]
        args = [draw(operands) for _ in spec.args]
        if spec.name in ("divide", "subtract", "less", "maximum") and draw(st.booleans()):
            args[1] = Call(draw(st.sampled_from(["mean", "delay", "max"])), (args[0],), (("n", 3),))
        if spec.labels and draw(st.booleans()):
            args[1] = Field("sector")
        params: dict[str, float] = {}
        for name, kind in spec.params.items():
            if name == "n":
                params[name] = draw(st.integers(spec.smallest, 6))
            elif name == "min_periods":
                params[name] = min(draw(st.integers(1, 6)), spec.lookback(**params, min_periods=1) + 1)
            else:
                low, high = spec.limits[name]
                params[name] = draw((st.integers if kind is int else st.floats)(low, min(high, 4)))
        return Call(spec.name, tuple(args), tuple(params.items()))

    return draw_call()


random_expressions = st.recursive(
    st.sampled_from([Field(name) for name in FIELDS]) | st.sampled_from([0, 1, 2, -1, 0.5, 40]).map(Constant),
    _call,
    max_leaves=6,
)


class TestAgainstTable:
    @pytest.mark.parametrize(("text", "expected"), UNITS.items(), ids=list(UNITS))
    def test_unit(self, text, expected):
        assert unit(parse(text)) == expected

    @pytest.mark.parametrize("text", FREE)
    def test_scale_free(self, text):
        assert is_scale_free(parse(text))
        assert changed(parse(text)) == 0

    @pytest.mark.parametrize("text", NOT_FREE)
    def test_not_scale_free(self, text):
        assert not is_scale_free(parse(text))
        assert changed(parse(text)) > 0


class TestProperties:
    @given(expression=random_expressions)
    @settings(max_examples=120, deadline=None)
    def test_what_is_called_scale_free_is(self, expression):
        assume(isinstance(expression, Call) and is_scale_free(expression))
        assert changed(expression) == 0, str(expression)

    @given(expression=random_expressions)
    @settings(max_examples=200, deadline=None)
    def test_every_expression_has_an_answer(self, expression):
        answer = unit(expression)
        assert answer is None or isinstance(answer, str)
        if answer == "currency":
            assert not is_scale_free(expression)
        if answer is not None:
            assert unit(expression / expression) == unit(expression > expression) == ""
            assert unit(expression - expression) == unit(expression + 0) == answer

    def test_every_operator_and_field_is_placed(self):
        assert {*_RULES, *_PURE_WHATEVER, "days_since"} == set(OPERATORS)
        assert not set(_RULES) & _PURE_WHATEVER
        assert set(FIELD_POWERS) == {*FIELDS, *LABELS}

    def test_powers_are_exact(self):
        almost_nothing = parse("log(close) * 1e-20 + log(close) - log(close)")
        assert not is_scale_free(almost_nothing)
        assert is_scale_free(parse("close ** 0.1 * close ** 0.2 / (close ** 0.2 * close ** 0.1)"))

    def test_a_deep_tree(self):
        e = parse("close")
        for _ in range(90):
            e = e**1e300
        assert unit(e) is None
        assert not is_scale_free(e)


class TestErrors:
    def test_fields_of_ones_own_are_unknown(self):
        own = register_field("sentiment_of_units", "a field without a unit")
        assert unit(own) is None
        assert unit(own + 1) is None
        assert not is_scale_free(own)
        assert unit(own > 1) == ""
        assert not is_scale_free(Call("rank", (own,)))
