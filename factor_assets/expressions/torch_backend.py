"""The same expressions on torch tensors, so that a GPU can be used where there is one.

Windows are an axis of their own, taken for some sessions at a time, and reduced in float64 also where values are kept
in float32: what the operators give agrees with the engine's to 1e-12 in float64, and to 1e-6 in float32 for operands
that float32 holds exactly. A part that several expressions share is computed once. Torch comes with the extra `torch`.

What does not belong here: the operators' contracts (`operators.py`), the engine that needs no torch (`engine.py`).
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from factor_assets.expressions import torch_rows, torch_windows
from factor_assets.expressions.declaration import OPERATORS
from factor_assets.expressions.engine import check
from factor_assets.expressions.expression import Call, Constant, Expression, Field, walk
from factor_assets.panel.fields import LABELS
from factor_assets.panel.panel import Panel

_LAGS = frozenset({"delay", "delta", "pct_change"})


def evaluate(
    expressions: Mapping[str, Expression],
    panel: Panel,
    *,
    start: int = 0,
    device: str = "cpu",
    dtype: torch.dtype = torch.float64,
) -> Iterator[tuple[str, npt.NDArray[np.float64]]]:
    """Compute expressions on a panel, one after the other, as `engine.evaluate` does.

    Parameters
    ----------
    expressions, panel, start
        As in `engine.evaluate`.
    device
        Where tensors live, such as "cpu" or "cuda".
    dtype
        `torch.float64` or `torch.float32`: what values are kept in between operators.

    Yields
    ------
    (name, values)
        In the order given. float64 of shape (n_dates - start, n_tickers); NaN is missing.

    Raises
    ------
    UnknownFieldError, ExpressionError
        As in `engine.evaluate`.
    """
    check(expressions, panel, start=start)
    return _results(expressions, panel, start, torch.device(device), dtype)


def _results(
    expressions: Mapping[str, Expression], panel: Panel, start: int, device: torch.device, dtype: torch.dtype
) -> Iterator[tuple[str, npt.NDArray[np.float64]]]:
    members = torch.as_tensor(np.array(panel.in_universe), device=device)
    uses = Counter(a for node in _nodes(expressions) if isinstance(node, Call) for a in set(node.args))
    uses.update(expressions.values())
    known: dict[Expression, Tensor | float] = {}
    for name, expression in expressions.items():
        for node in walk(expression):
            if node in known or not uses[node]:
                continue
            if isinstance(node, Constant):
                known[node] = node.value
            elif isinstance(node, Field):
                known[node] = torch.as_tensor(np.array(panel[node.name]), device=device).to(dtype)
            elif isinstance(node, Call):
                value = _apply(node, [known[a] for a in node.args], members, dtype)
                known[node] = torch.where(torch.isfinite(value), value, torch.nan)
                for a in set(node.args):
                    _release(a, uses, known)
        result = known[expression]
        whole = result if isinstance(result, Tensor) else torch.full(panel.shape, result)
        _release(expression, uses, known)
        yield name, whole[start:].to(torch.float64).cpu().numpy()


def _nodes(expressions: Mapping[str, Expression]) -> set[Expression]:
    return {node for expression in expressions.values() for node in walk(expression)}


def _release(node: Expression, uses: Counter[Expression], known: dict[Expression, Any]) -> None:
    uses[node] -= 1
    if not uses[node]:
        del known[node]


def _apply(node: Call, operands: list[Tensor | float], members: Tensor, dtype: torch.dtype) -> Tensor:
    spec = OPERATORS[node.operator]
    params = dict(node.params)
    like = members.to(dtype)
    tensors = [x if isinstance(x, Tensor) else torch.full_like(like, x) for x in operands]
    if spec.kind == "elementwise":
        value = ELEMENTWISE[node.operator](*tensors)
        if node.operator in ("is_missing", "fill", "where"):
            return value
        unknown = torch.stack([torch.isnan(x) for x in tensors]).any(dim=0)
        return torch.where(unknown, torch.nan, value)
    if spec.kind == "time_series":
        if node.operator in _LAGS:
            return _lagged(node.operator, tensors[0], int(params["n"]))
        length = spec.lookback(**params) + 1
        return torch_windows.reduce(node.operator, tensors, length, params).to(dtype)
    labels = [isinstance(a, Field) and a.name in LABELS for a in node.args]
    wide = [x.to(torch.float64) for x in tensors]
    return torch_rows.ROWS[node.operator](members, wide, labels, **params).to(dtype)


def _lagged(operator: str, x: Tensor, n: int) -> Tensor:
    before = torch.full_like(x, torch.nan)
    if n < x.shape[0]:
        before[n:] = x[:-n]
    if operator == "delay":
        return before
    return x - before if operator == "delta" else x / before - 1.0


def _truth(condition: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda x, y: condition(x, y).to(x.dtype)


ELEMENTWISE: Mapping[str, Callable[..., Tensor]] = {
    "add": torch.add,
    "subtract": torch.subtract,
    "multiply": torch.multiply,
    "divide": torch.divide,
    "power": torch.pow,
    "signed_power": lambda x, y: torch.sign(x) * torch.pow(torch.abs(x), y),
    "negate": torch.neg,
    "less": _truth(torch.lt),
    "less_equal": _truth(torch.le),
    "greater": _truth(torch.gt),
    "greater_equal": _truth(torch.ge),
    "equal": _truth(torch.eq),
    "both": _truth(lambda x, y: (x != 0) & (y != 0)),
    "either": _truth(lambda x, y: (x != 0) | (y != 0)),
    "negation": lambda x: (x == 0).to(x.dtype),
    "abs": torch.abs,
    "sign": torch.sign,
    "log": torch.log,
    "exp": torch.exp,
    "sqrt": torch.sqrt,
    "maximum": torch.maximum,
    "minimum": torch.minimum,
    "clip": lambda x, low, high: torch.minimum(torch.maximum(x, low), high),
    "where": lambda c, x, y: torch.where(torch.isnan(c), torch.nan, torch.where(c != 0, x, y)),
    "is_missing": lambda x: torch.isnan(x).to(x.dtype),
    "fill": lambda x, y: torch.where(torch.isnan(x), y, x),
}
