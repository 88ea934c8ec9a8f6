"""Expressions as pandas would compute them on wide frames: the second implementation of the factors, and the rival."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from factor_assets.expressions import Call, Constant, Expression, Field

if TYPE_CHECKING:
    import pandas as pd


def pandas_wide(
    expression: Expression, frames: Mapping[str, "pd.DataFrame"], members: "pd.DataFrame"
) -> "pd.DataFrame | float":
    """Values of an expression; nothing is shared between calls."""
    if isinstance(expression, Field):
        return frames[expression.name]
    if isinstance(expression, Constant):
        return expression.value
    assert isinstance(expression, Call)
    x, *others = [pandas_wide(a, frames, members) for a in expression.args]
    params = dict(expression.params)
    n, least = params.get("n"), params.get("min_periods")
    if expression.operator == "cross_mean":
        mean = x.where(members).mean(axis=1).to_numpy()
        return type(x)(np.broadcast_to(mean[:, None], x.shape), index=x.index, columns=x.columns)
    if expression.operator == "rank":
        return x.where(members).rank(axis=1, pct=True)
    if expression.operator == "beta":
        y, x = x.where(others[0].notna()), others[0].where(x.notna())
        return y.rolling(n, min_periods=least).cov(x, pairwise=False) / x.rolling(n, min_periods=least).var()
    if expression.operator == "delay":
        return x.shift(n)
    if expression.operator == "delta":
        return x.diff(n)
    if expression.operator in ("mean", "sum", "std", "var", "min", "max"):
        return getattr(x.rolling(n, min_periods=least), expression.operator)()
    return _ELEMENTWISE[expression.operator](x, *others)


def _finite(frame: "pd.DataFrame") -> "pd.DataFrame":
    return frame.replace([np.inf, -np.inf], np.nan)


_ELEMENTWISE: Mapping[str, Callable[..., "pd.DataFrame"]] = {
    "add": lambda x, y: x + y,
    "subtract": lambda x, y: x - y,
    "multiply": lambda x, y: x * y,
    "divide": lambda x, y: _finite(x / y),
    "power": lambda x, y: x**y,
    "negate": lambda x: -x,
    "abs": lambda x: x.abs(),
    "log": lambda x: _finite(np.log(x.where(x > 0))),
    "maximum": np.maximum,
}
