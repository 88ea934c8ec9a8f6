"""Text in, the same tree or a clear error out."""

import random

import pytest
from hypothesis import given, settings

from factor_assets.errors import ExpressionError, ExpressionSyntaxError
from factor_assets.expressions import Call, Constant, close, mean, parse, where
from factor_assets.expressions.declaration import OPERATORS
from factor_assets.factors.registry import all_factors
from factor_assets_tests.expressions.strategies import expressions as random_expressions


class TestAgainstPrinter:
    @given(random_expressions)
    @settings(max_examples=1000, deadline=None)
    def test_round_trip(self, expression):
        assert parse(str(expression)) == expression

    @pytest.mark.parametrize("name", sorted(all_factors()))
    def test_every_factor(self, name):
        expression = all_factors()[name].expression
        assert parse(str(expression)) == expression

    def test_every_operator_from_its_signature(self):
        for spec in OPERATORS.values():
            if not spec.symbol:
                args = ", ".join(
                    ["close"] * len(spec.args)
                    + ["1" if p == "q" else "4" for p in spec.params if p not in spec.defaults]
                )
                assert parse(f"{spec.name}({args})").operator == spec.name


class TestProperties:
    def test_spaces_names_and_parentheses_do_not_matter(self):
        wanted = where(close > 1, mean(close, 5, min_periods=2), -1)
        for text in (
            "where(close>1,mean(close,5,min_periods=2),-1)",
            " where ( ( close ) > 1 ,\n mean(n = 5, x = close, min_periods = 2) ,\t-1.0 ) ",
            "where(y=-1e0, x=mean(close, min_periods=2, n=5), condition=close > 1)",
        ):
            assert parse(text) == wanted

    def test_signs(self):
        assert parse("-2") == Constant(-2)
        assert parse("-(2)") == -Constant(2)
        assert parse("-2 ** 2") == -(Constant(2) ** 2)
        assert parse("2 - -2") == Call("subtract", (Constant(2), Constant(-2)))
        assert parse("-0") == Constant(0)

    def test_fuzz(self):
        """5,000 mutations of real formulas: a value or an error of ours, at once."""
        rng = random.Random(20240711)
        seeds = [str(f.expression) for f in all_factors().values()] + ["where(close < 1e3, rank(x=close), ~(-2 ** .5))"]
        pieces = [
            *"()+-*/<>=&|~,. \n^%[]{}'\"\\:;@!?é0123456789eE_",
            "**",
            "close",
            "mean(",
            "1e999",
            "n=",
            "\x00",
            "\N{SUPERSCRIPT TWO}",
        ]
        values = 0
        for _ in range(5000):
            text = rng.choice(seeds)
            for _ in range(rng.randint(1, 4)):
                at = rng.randint(0, len(text))
                action = rng.randint(0, 3)
                if action == 0:
                    text = text[:at] + rng.choice(pieces) + text[at:]
                elif action == 1:
                    text = text[:at] + text[at + rng.randint(1, 4) :]
                elif action == 2:
                    text = text[:at] + rng.choice(seeds)[rng.randint(0, 9) :] + text[at:]
                else:
                    text = text[at:] + text[:at]
            try:
                expression = parse(text)
            except ExpressionError:
                continue
            else:
                values += 1
                assert parse(str(expression)) == expression
        assert values > 50

    def test_hostile_sizes_are_refused_at_once(self):
        for text in (
            "(" * 19_000,
            "-" * 19_000 + "1",
            "close" + "+close" * 3_000,
            "2" + "**2" * 5_000,
            "abs(" * 4_000,
            "9" * 19_000,
            "close" * 10_000,
        ):
            with pytest.raises(ExpressionError):
                parse(text)


class TestErrors:
    @pytest.mark.parametrize(
        ("text", "position", "message"),
        [
            ("clse", 0, "unknown field 'clse': did you mean 'close'"),
            ("1 + men(close, 3)", 4, "unknown operator 'men': did you mean 'mean'"),
            ("mean", 0, "'mean' is an operator: expected mean(x, n, min_periods=n)"),
            ("close(3)", 0, "'close' is a field and takes no arguments"),
            ("", 0, "expected a number, a field, an operator's name or '(', got the end"),
            ("close +", 7, "got the end"),
            ("(close", 6, "expected an operator or ')', got the end"),
            ("close)", 5, "expected an operator or the end, got ')'"),
            ("close close", 6, "expected an operator or the end, got 'close'"),
            ("close == 1", 6, "equality is equal(x, y)"),
            ("1 < close < 2", 10, "join two by (a < b) & (b < c)"),
            ("close ^ 2", 6, "unexpected character '^' (use **)"),
            ("clo$e", 3, "unexpected character '$'"),
            ("1e999", 0, "wants a finite number"),
            ("mean(close)", 0, "mean(x, n, min_periods=n) wants n"),
            ("mean(n=3)", 0, "expected x in mean(x, n, min_periods=n)"),
            ("mean()", 5, "expected mean(x, n, min_periods=n), got ')'"),
            ("mean(close, close)", 12, "expected a number for n"),
            ("mean(close, 3, 2)", 15, "expected at most 2 arguments without a name"),
            ("mean(close, 3, m=2)", 15, "has no argument 'm'"),
            ("mean(close, 3, x=2)", 15, "expected x once"),
            ("mean(close 3)", 11, "expected ',' or ')'"),
            ("1 + delay(close, -1)", 4, "would look ahead"),
        ],
    )
    def test_position_and_message(self, text, position, message):
        with pytest.raises(ExpressionSyntaxError) as caught:
            parse(text)
        assert caught.value.position == position
        assert message in str(caught.value)
        assert f"at position {position}" in str(caught.value)

    def test_not_text_and_too_long(self):
        with pytest.raises(ExpressionError, match="wants a formula as text; got int"):
            parse(3)
        with pytest.raises(ExpressionError, match="may have 20000 characters; this one has 30000"):
            parse("1" * 30_000)
