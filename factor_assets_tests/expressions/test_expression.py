"""The tree: Python and text build the same one, and everything else is derived from it."""

import ast
import pickle
from dataclasses import replace

import pytest
from hypothesis import given, settings

from factor_assets import expressions
from factor_assets.errors import ExpressionError
from factor_assets.expressions import (
    Call,
    Constant,
    Expression,
    Field,
    beta,
    close,
    code_version,
    cross_mean,
    delay,
    delta,
    document_names,
    equal,
    fields,
    is_cross_sectional,
    lookback,
    mean,
    parse,
    rank,
    register_field,
    returns,
    volume,
    where,
)
from factor_assets.expressions import expression as tree
from factor_assets.panel.fields import FIELDS, LABELS, PRICE_FIELDS
from factor_assets_tests.expressions.strategies import expressions as random_expressions

NAMES = {name: getattr(expressions, name) for name in expressions.__all__}


class TestAgainstPython:
    @given(random_expressions)
    @settings(max_examples=500, deadline=None)
    def test_the_formula_means_the_same_in_python(self, expression):
        code = _OperandsAsConstants().visit(ast.parse(str(expression), mode="eval"))
        built = eval(compile(ast.fix_missing_locations(code), "", "eval"), {"__builtins__": {}}, NAMES)
        assert _signs_apart(built) == _signs_apart(expression)

    def test_every_python_operator(self):
        x, y = close, volume
        for built, text in (
            (x + 1, "close + 1"),
            (1 + x, "1 + close"),
            (x - y, "close - volume"),
            (1 - x, "1 - close"),
            (x * 2.5, "close * 2.5"),
            (2 * x, "2 * close"),
            (x / y, "close / volume"),
            (1 / x, "1 / close"),
            (x**2, "close ** 2"),
            (2**x, "2 ** close"),
            (-x, "-close"),
            (~(x < y), "~(close < volume)"),
            (x <= y, "close <= volume"),
            (x > 1, "close > 1"),
            (x >= 1, "close >= 1"),
            ((x > 1) & (y < 2), "(close > 1) & (volume < 2)"),
            ((x > 1) | (y < 2), "(close > 1) | (volume < 2)"),
            (1 & x, "1 & close"),
            (0 | x, "0 | close"),
            ((x - y) - 1, "close - volume - 1"),
            (x - (y - 1), "close - (volume - 1)"),
            ((-x) ** 2, "(-close) ** 2"),
            (-(x**2), "-close ** 2"),
            ((x**y) ** 2, "(close ** volume) ** 2"),
            (where(equal(x, y), 1, -0.5), "where(equal(close, volume), 1, -0.5)"),
            (mean(x, 20), "mean(close, 20)"),
            (mean(x, 20, min_periods=20), "mean(close, 20)"),
            (mean(x, 20, min_periods=5), "mean(close, 20, min_periods=5)"),
        ):
            assert str(built) == text
            assert parse(text) == built


class TestProperties:
    def test_every_field_has_a_name(self):
        named = {n for n in expressions.__all__ if isinstance(getattr(expressions, n), Field)}
        assert named == {*PRICE_FIELDS, *LABELS}
        assert all(str(getattr(expressions, n)) == n for n in named)
        of_documents = {n: str(f) for n, f in vars(document_names).items() if isinstance(f, Field)}
        assert of_documents == {n: n for n in FIELDS if n not in PRICE_FIELDS}

    def test_fields_lookback_and_kind(self):
        e = rank(-delta(delay(close, 3), 5)) + mean(returns, 4)
        assert fields(e) == ("close", "returns")
        assert lookback(e) == 8
        assert lookback(returns) == 1
        assert lookback(mean(returns, 4)) == 4
        assert lookback(Constant(2)) == 0
        assert is_cross_sectional(e)
        assert is_cross_sectional(beta(returns, cross_mean(returns), 20))
        assert not is_cross_sectional(close / delay(close, 5))

    def test_code_version_follows_formula_operators_and_fields(self, monkeypatch):
        e = mean(close, 20) / close
        version = code_version(e)
        assert version == code_version(parse(str(e)))
        assert len(version) == 12
        assert version != code_version(mean(close, 21) / close)
        monkeypatch.setitem(tree.FIELDS, "close", "another adjustment")
        assert code_version(e) != version
        monkeypatch.undo()
        monkeypatch.setitem(tree.OPERATORS, "mean", replace(tree.OPERATORS["mean"], version=2))
        assert code_version(e) != version

    @given(random_expressions)
    @settings(max_examples=100, deadline=None)
    def test_hash_equality_and_pickle(self, expression):
        other = pickle.loads(pickle.dumps(expression))
        assert other == expression
        assert hash(other) == hash(expression)
        assert {expression: 1}[other] == 1

    def test_registered_fields(self, monkeypatch):
        monkeypatch.setattr(tree, "_registered_fields", {})
        field = register_field("short_interest", "shares sold short")
        assert parse("short_interest / 2") == field / 2
        with pytest.raises(ExpressionError, match="already registered as: shares sold short"):
            register_field("short_interest", "something else")
        with pytest.raises(ExpressionError, match="that is an operator"):
            register_field("mean", "an average")
        with pytest.raises(ExpressionError, match="letters, digits and _"):
            register_field("short interest", "shares sold short")


class TestErrors:
    def test_unknown_names(self):
        with pytest.raises(ExpressionError, match="Unknown field 'clsoe'; did you mean 'close'"):
            Field("clsoe")
        with pytest.raises(ExpressionError, match="Unknown operator 'meen'; did you mean 'mean'"):
            Call("meen", (close,))

    def test_operands(self):
        with pytest.raises(ExpressionError, match=r"wants an expression or a number; got str 'close'.*parse\(\)"):
            mean("close", 3)
        with pytest.raises(ExpressionError, match="got bool True"):
            close + True
        with pytest.raises(ExpressionError, match="wants 2 operands; got 1"):
            Call("add", (close,))
        with pytest.raises(ExpressionError, match=r"delay\(x, n\) has no parameter 'm'; choose one of 'n'."):
            Call("delay", (close,), (("m", 1),))
        with pytest.raises(ExpressionError, match=r"delay\(x, n\) wants n\."):
            Call("delay", (close,))
        for bad in (float("nan"), float("inf"), 10**400):
            with pytest.raises(ExpressionError, match="finite number"):
                Constant(bad)

    def test_truth_value(self):
        with pytest.raises(ExpressionError, match=r"Use & \| ~"):
            bool(close > 1)
        with pytest.raises(ExpressionError, match=r"instead of a < b < c"):
            1 < close < 2  # noqa: B015

    def test_limits(self):
        deep = close
        for _ in range(99):
            deep = -deep
        with pytest.raises(ExpressionError, match="nest 100 deep; this one nests 101 deep"):
            _ = -deep
        wide = close
        for _ in range(11):
            wide = wide + wide
        with pytest.raises(ExpressionError, match="may have 5000 parts; this one has 8191"):
            _ = wide + wide


class _OperandsAsConstants(ast.NodeTransformer):
    """Keeps Python from computing 1 + 2 itself."""

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        return ast.Call(ast.Name("Constant", ast.Load()), [node], [])

    def visit_Call(self, node: ast.Call) -> ast.AST:
        spec = tree.OPERATORS[node.func.id]
        n_operands = len(node.args) if spec.variadic else len(spec.args)
        node.args[:n_operands] = [self.visit(a) for a in node.args[:n_operands]]
        return node


def _signs_apart(node: Expression) -> Expression:
    """Python does not tell the constant -2 from the negation of 2."""
    if isinstance(node, Constant) and node.value < 0:
        return Call("negate", (Constant(-node.value),))
    if isinstance(node, Call):
        return Call(node.operator, tuple(_signs_apart(a) for a in node.args), node.params)
    return node
