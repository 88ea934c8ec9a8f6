"""Reads the formulas in the notation of the publication and computes them on wide frames: a second implementation.

1. The text becomes Python's syntax: `^` is `**`, `||` is `|`, and `(c ? a : b)` is `(a if c else b)`.
2. Python's own parser makes a tree of it, which is computed with pandas and NumPy, one whole frame a node.
3. Ranks of values that are equal but for their last bit hang on that bit (correlations over 3 sessions often are).
   So every statistic is compared with the engine's on the same operands, to 1e-9, and the engine's bits go on.
"""

import ast
import re

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view

from factor_assets.expressions import Call, Field
from factor_assets.expressions.engine import evaluate
from factor_assets.panel.panel import Panel


def as_python(formula: str) -> str:
    """The formula in Python's syntax."""
    return _conditional(formula.replace("^", "**").replace("||", "|"))


def _conditional(text: str) -> str:
    """Rewrite `c ? a : b`; a question mark belongs to the innermost parentheses around it."""
    parts, depth, start = [], 0, 0
    for i, letter in enumerate(text):
        if letter == "(":
            if depth == 0:
                parts.append(text[start : i + 1])
                start = i + 1
            depth += 1
        elif letter == ")":
            depth -= 1
            if depth == 0:
                parts.append(_conditional(text[start:i]))
                start = i
    parts.append(text[start:])
    outside = "".join(part if i % 2 == 0 else f"\0{i}\0" for i, part in enumerate(parts))
    if "?" in outside:
        condition, chosen = outside.split("?")
        yes, no = chosen.split(":")
        outside = f"{yes.strip()} if {condition.strip()} else {no.strip()}"
    return re.sub("\0(\\d+)\0", lambda found: parts[int(found[1])], outside)


class Oracle:
    """The formulas on one panel.

    In the formulas of `sparse`, windows over a correlation of two Ts_Ranks need one value instead of all.
    """

    sparse = (96, 97)

    def __init__(self, panel: Panel) -> None:
        self.panel = panel
        self.inside = pd.DataFrame(panel.in_universe)
        price = {name: self._frame(panel[name]) for name in ("open", "high", "low", "close", "volume")}
        self.names = {
            **price,
            "returns": self._frame(panel["close"]) / self._frame(panel["close"]).shift(1) - 1,
            "vwap": (price["high"] + price["low"] + price["close"]) / 3,
            "cap": self._frame(panel["market_cap"]),
        }
        self.names["returns"] = self._agreed(self.names["returns"], panel["returns"], "returns")
        self.dollar_volume = self._frame(panel["dollar_volume"])
        self._done: dict[str, object] = {}

    def compute(self, number: int, formula: str) -> np.ndarray:
        self._some = number in self.sparse
        return self._value(ast.parse(as_python(formula), mode="eval").body).to_numpy()

    def _value(self, node: ast.expr):
        key = f"{ast.dump(node)} {self._some}"
        if key not in self._done:
            self._done[key] = self._compute(node)
        return self._done[key]

    def _compute(self, node: ast.expr):
        if isinstance(node, ast.Constant):
            return float(node.value)
        if isinstance(node, ast.Name):
            if node.id.startswith("adv"):
                return self._rolling("mean", int(node.id[3:]), self.dollar_volume)
            return self.names[node.id]
        if isinstance(node, ast.UnaryOp):
            assert isinstance(node.op, ast.USub)
            return -self._value(node.operand)
        if isinstance(node, ast.IfExp):
            condition, yes, no = (self._frame(self._value(part)) for part in (node.test, node.body, node.orelse))
            return yes.where(condition != 0, no).where(condition.notna())
        if isinstance(node, ast.Compare):
            x, y = self._value(node.left), self._value(node.comparators[0])
            (relation,) = node.ops
            holds = {ast.Lt: np.less, ast.Eq: np.equal}[type(relation)](x, y)
            return holds.astype(float).where(_known(x) & _known(y))
        if isinstance(node, ast.BinOp):
            return self._infix(node.op, self._value(node.left), self._value(node.right))
        assert isinstance(node, ast.Call)
        assert isinstance(node.func, ast.Name)
        return self._call(node.func.id.lower(), node.args)

    def _infix(self, operator: ast.operator, x, y):
        if isinstance(operator, ast.BitOr):
            return ((x != 0) | (y != 0)).astype(float).where(x.notna() & y.notna())
        if isinstance(operator, ast.Pow):
            with np.errstate(all="ignore"):
                value = np.power(x, y)
            return _finite(value.where(_known(x) & _known(y)))
        function = {ast.Add: np.add, ast.Sub: np.subtract, ast.Mult: np.multiply, ast.Div: np.divide}[type(operator)]
        with np.errstate(all="ignore"):
            value = function(x, y)
        return _finite(value) if isinstance(value, pd.DataFrame) else value

    def _call(self, name: str, args: list[ast.expr]):
        if name == "indneutralize":
            assert isinstance(args[1], ast.Attribute)  # IndClass.sector and the like
            return self._neutralized(self._value(args[0]))
        values = [self._value(arg) for arg in args]
        if name in ("min", "max"):
            if isinstance(values[1], float):
                name = "ts_" + name  # the publication: min(x, d) = ts_min(x, d)
            else:
                return (np.minimum if name == "min" else np.maximum)(*values).where(
                    _known(values[0]) & _known(values[1])
                )
        if name in ("abs", "sign", "log"):
            with np.errstate(all="ignore"):
                return _finite(getattr(np, name)(values[0]))
        if name == "signedpower":
            return np.sign(values[0]) * self._infix(ast.Pow(), values[0].abs(), values[1])
        if name == "rank":
            return values[0].where(self.inside).rank(axis=1, pct=True)
        if name == "scale":
            inside = values[0].where(self.inside)
            size = inside.abs().sum(axis=1).where(inside.abs().sum(axis=1) > 0)
            return self._agreed(inside.div(size, axis=0), self._engine("scale", [values[0]]), name)
        window = int(values[-1])  # of a positive number: rounded down
        if name == "delay":
            return values[0].shift(window)
        if name == "delta":
            return values[0] - values[0].shift(window)
        some = self._some and any(_is_correlation_of_standings(part) for part in ast.walk(args[0]))
        return self._rolling(_ENGINE_NAME[name], window, *values[:-1], some=some)

    def _neutralized(self, x: pd.DataFrame) -> pd.DataFrame:
        inside = x.where(self.inside)
        groups = pd.DataFrame(self.panel["sector"])
        out = pd.DataFrame(np.nan, index=x.index, columns=x.columns)
        for code in sorted(set(groups.to_numpy()[groups.notna()])):
            group = inside.where(groups == code)
            out = out.fillna(group.sub(group.mean(axis=1), axis=0))
        size = inside.abs().max(axis=1).to_numpy()[:, None]
        return self._agreed(out, self._engine("neutralize", [x], group=True), "neutralize", size=size)

    def _rolling(self, name: str, n: int, *frames: pd.DataFrame, some: bool = False) -> pd.DataFrame:
        windows = [_windows(frame.to_numpy(), n) for frame in frames]
        missing = np.logical_or.reduce([np.isnan(window) for window in windows])
        with np.errstate(all="ignore"):
            values = (_WITH_MISSING if some else _STATISTICS)[name](*windows)
        ours = self._frame(np.where(missing.all(axis=-1) if some else missing.any(axis=-1), np.nan, values))
        # sums of values that cancel are right to a share of the values, not of the sum
        size = np.prod([np.abs(window).max(axis=-1) for window in windows], axis=0) if name in _CANCELS else 0
        params = {"n": n, "min_periods": 1} if some else {"n": n}
        return self._agreed(ours, self._engine(name, list(frames), **params), f"{name} over {n}", size=size)

    def _engine(self, name: str, frames: list[pd.DataFrame], *, group: bool = False, **params: int) -> np.ndarray:
        stand_ins = ("open", "close")[: len(frames)]
        fields = {stand_in: frame.to_numpy().copy() for stand_in, frame in zip(stand_ins, frames, strict=True)}
        operands = tuple(Field(stand_in) for stand_in in stand_ins)
        if group:
            fields["sector"] = self.panel["sector"]
            operands += (Field("sector"),)
        panel = Panel(
            dates=self.panel.dates,
            tickers=self.panel.tickers,
            fields=fields,
            in_universe=self.panel.in_universe,
            first_row=self.panel.first_row,
        )
        return dict(evaluate({"x": Call(name, operands, tuple(params.items()))}, panel))["x"]

    def _agreed(self, ours: pd.DataFrame, engine: np.ndarray, name: str, *, size: np.ndarray | float = 0):
        wrong = ~np.isclose(engine, ours, rtol=1e-9, atol=1e-13, equal_nan=True) & ~(
            np.abs(engine - ours) <= 1e-9 * size
        )
        assert not wrong.to_numpy().any(), f"{name}: {engine[wrong][:5]} instead of {ours.to_numpy()[wrong][:5]}"
        return self._frame(engine)

    def _frame(self, values) -> pd.DataFrame:
        if isinstance(values, pd.DataFrame):
            return values
        return pd.DataFrame(np.broadcast_to(values, self.panel.shape).copy())


def _is_correlation_of_standings(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and node.func.id == "correlation" and ast.dump(node).count("'Ts_Rank'") == 2


def _known(x):
    return x.notna() if isinstance(x, pd.DataFrame) else ~np.isnan(x)


def _finite(x: pd.DataFrame) -> pd.DataFrame:
    return x.where(np.isfinite(x))


def _windows(values: np.ndarray, n: int) -> np.ndarray:
    """The last n values of every cell, oldest first, shape (n_dates, n_tickers, n); NaN before the first."""
    before = np.full((n - 1, values.shape[1]), np.nan)
    return sliding_window_view(np.concatenate([before, values]), n, axis=0)


def _distances(x: np.ndarray) -> np.ndarray:
    from_first = x - x[..., :1]  # exact where the values nearly are the same, so that their mean is too
    return from_first - from_first.mean(axis=-1, keepdims=True)


def _cov(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (_distances(x) * _distances(y)).sum(axis=-1) / (x.shape[-1] - 1)


def _std(x: np.ndarray) -> np.ndarray:
    return np.sqrt(_cov(x, x))


def _corr(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    value = _cov(x, y) / (_std(x) * _std(y))
    return np.where(np.isfinite(value), value, np.nan)


def _ts_rank(x: np.ndarray) -> np.ndarray:
    below, equal = (x < x[..., -1:]).sum(axis=-1), (x == x[..., -1:]).sum(axis=-1)
    return (below + (equal + 1) / 2) / x.shape[-1]


def _place(extreme):
    return lambda x: (x == extreme(x, axis=-1, keepdims=True)).argmax(axis=-1) + 1.0


def _decay_linear(x: np.ndarray) -> np.ndarray:
    weights = np.arange(1, x.shape[-1] + 1)
    return x @ (weights / weights.sum())


_STATISTICS = {
    "mean": lambda x: x.mean(axis=-1),
    "sum": lambda x: x.sum(axis=-1),
    "product": lambda x: x.prod(axis=-1),
    "std": _std,
    "cov": _cov,
    "corr": _corr,
    "min": lambda x: x.min(axis=-1),
    "max": lambda x: x.max(axis=-1),
    "argmin": _place(np.min),
    "argmax": _place(np.max),
    "ts_rank": _ts_rank,
    "decay_linear": _decay_linear,
}
_WITH_MISSING = {
    "argmax": lambda x: (x == np.fmax.reduce(x, axis=-1, keepdims=True)).argmax(axis=-1) + 1.0,
    "ts_rank": lambda x: np.where(
        np.isnan(x[..., -1]), np.nan, _ts_rank(x) * x.shape[-1] / (~np.isnan(x)).sum(axis=-1)
    ),
    "decay_linear": lambda x: (
        np.nansum(x * np.arange(1, x.shape[-1] + 1), axis=-1)
        / (~np.isnan(x) * np.arange(1, x.shape[-1] + 1)).sum(axis=-1)
    ),
}
_CANCELS = ("mean", "sum", "std", "cov")
_ENGINE_NAME = {
    "sum": "sum",
    "product": "product",
    "stddev": "std",
    "covariance": "cov",
    "correlation": "corr",
    "ts_min": "min",
    "ts_max": "max",
    "ts_argmin": "argmin",
    "ts_argmax": "argmax",
    "ts_rank": "ts_rank",
    "decay_linear": "decay_linear",
}
