"""The engine: many expressions, one panel, one value each per date and ticker.

1. All expressions are one graph: equal sub-expressions are one node, however often and wherever they occur.
2. Expressions are computed in the order given, each node when it is first needed, its operands before it.
3. An intermediate result is let go, and its memory used again, when the last node that wants it is done.
4. Each expression's rows from `start` on are handed out as soon as they are there.

What an operator does with values is in `elementwise.py`, `rolling.py` and `cross_section.py`.
"""

from collections import Counter
from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from factor_assets.errors import ExpressionError, UnknownFieldError, did_you_mean
from factor_assets.expressions import cross_section, elementwise, rolling
from factor_assets.expressions.derived import lookback
from factor_assets.expressions.expression import OPERATORS, Call, Constant, Expression, Field, walk
from factor_assets.panel.panel import Panel

Array = npt.NDArray[np.float64]


def evaluate(expressions: Mapping[str, Expression], panel: Panel, *, start: int = 0) -> Iterator[tuple[str, Array]]:
    """Compute expressions on a panel, one after the other.

    Parameters
    ----------
    expressions
        Name -> expression.
    panel
        Sessions wanted, and before them as many as `lookback` says. The result for a session is then the same to the
        bit however the panel was cut; rolling windows that reach back before the panel's first row hold only the
        sessions that are there.
    start
        Rows before it serve as lookback and are not returned. 0 means that the panel begins where history does.

    Yields
    ------
    (name, values)
        In the order given. Read-only float64 of shape (n_dates - start, n_tickers); NaN is missing, nothing is
        infinite.

    Raises
    ------
    UnknownFieldError
        If the panel lacks a field, before anything is computed.
    ExpressionError
        If `start` is outside the panel, or positive and smaller than a lookback: values would silently be wrong.
    """
    if not 0 <= start <= panel.shape[0]:
        raise ExpressionError(f"start wants a row of the panel, 0 to {panel.shape[0]}; got {start}.")
    for name, expression in expressions.items():
        wanted = lookback(expression)
        if 0 < start < wanted:
            raise ExpressionError(
                f"{name!r} looks back {wanted} sessions, but only {start} rows come before start. Load the panel from"
                f" {wanted - start} sessions earlier."
            )
        for node in walk(expression):
            if isinstance(node, Field) and node.name not in panel.fields:
                raise UnknownFieldError(
                    f"{name!r} reads the field {node.name!r}, which the panel does not hold;"
                    f" {did_you_mean(node.name, panel.fields)}"
                )
    return _Evaluation(expressions, panel).results(start)


def warm_up() -> None:
    """Compile every kernel, or load it from the compile cache.

    Kernels have explicit signatures, so that importing them compiles them; the cache lies beside the package, or in
    the user's cache folder where the package cannot be written. Run it once after installing.
    """
    shape = (4, 3)
    values = np.arange(12.0).reshape(shape)
    panel = Panel(
        dates=np.arange(4).astype("datetime64[D]"),
        tickers=("A", "B", "C"),
        fields={"close": values},
        in_universe=np.ones(shape, dtype=bool),
    )
    close = Field("close")
    for spec in OPERATORS.values():
        params = {"n": 2} if "n" in spec.params else {}
        for _ in evaluate({"warm": Call(spec.name, (close,) * len(spec.args), tuple(params.items()))}, panel):
            pass


class _Evaluation:
    """One pass over the graph of some expressions."""

    def __init__(self, expressions: Mapping[str, Expression], panel: Panel) -> None:
        self._expressions = expressions
        self._panel = panel
        self._values: dict[Expression, Array | float] = {}
        self._spare: list[Array] = []
        self._outputs = set(expressions.values())
        nodes = {node for expression in expressions.values() for node in walk(expression)}
        self._consumers = Counter(a for node in nodes if isinstance(node, Call) for a in set(node.args))
        self._consumers.update(expressions.values())

    def results(self, start: int) -> Iterator[tuple[str, Array]]:
        for name, expression in self._expressions.items():
            for node in walk(expression):
                if node not in self._values and self._consumers[node]:
                    self._values[node] = self._compute(node)
            values = self._as_array(self._values[expression])[start:]
            values.flags.writeable = False
            self._release(expression)
            yield name, values

    def _compute(self, node: Expression) -> Array | float:
        if isinstance(node, Call):
            return self._apply(node)
        if isinstance(node, Constant):
            return node.value
        return np.ascontiguousarray(self._panel[str(node)])

    def _apply(self, node: Call) -> Array:
        spec = OPERATORS[node.operator]
        operands = [self._values[a] for a in node.args]
        out = self._spare.pop() if self._spare else np.empty(self._panel.shape)
        if spec.kind == "elementwise":
            with np.errstate(all="ignore"):
                elementwise.COMPUTE[spec.name](*operands, out=out)
        elif spec.kind == "time_series":
            arrays = [self._as_array(o) for o in operands]
            rolling.COMPUTE[spec.name](out, *arrays, first_row=self._panel.first_row, **dict(node.params))
        else:
            cross_section.COMPUTE[spec.name](out, self._as_array(operands[0]), self._panel.in_universe)
        for operand in set(node.args):
            self._release(operand)
        return out

    def _release(self, node: Expression) -> None:
        self._consumers[node] -= 1
        if not self._consumers[node]:
            values = self._values.pop(node)
            if isinstance(node, Call) and node not in self._outputs and isinstance(values, np.ndarray):
                self._spare.append(values)

    def _as_array(self, values: Array | float) -> Array:
        return values if isinstance(values, np.ndarray) else np.full(self._panel.shape, values)
