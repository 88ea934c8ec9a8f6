"""The engine: many expressions, one panel, one value each per date and ticker.

1. `schedule.py` makes one graph of all expressions, in which equal parts are one node, and cuts it into steps.
2. A step along time runs for a block of tickers at a time: the fields' columns are copied next to each other, every
   node of the step is computed on them while they are in cache, and what is wanted later is copied out.
3. A step across tickers runs for a chunk of dates at a time, in place where nothing else wants its operand.
4. Blocks and chunks go to as many threads as there are cores. No cell depends on how they were cut.
5. Memory of what no later step reads is used again. Results are handed out in the order given.

What an operator does with values is in the kernel modules that `kernels.py` lists.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from threading import local
from typing import cast

import numpy as np
import numpy.typing as npt

from factor_assets.errors import ExpressionError, UnknownFieldError, did_you_mean
from factor_assets.expressions import kernels
from factor_assets.expressions.declaration import OPERATORS
from factor_assets.expressions.derived import lookback
from factor_assets.expressions.expression import Call, Constant, Expression, Field, walk
from factor_assets.expressions.schedule import ColumnStep, ResultStep, schedule
from factor_assets.panel.fields import LABELS
from factor_assets.panel.panel import Panel

Array = npt.NDArray[np.float64]

_BLOCK_BYTES = 2_000_000  # one node of a block of tickers: several of them stay in a core's cache
_MIN_WIDTH, _MAX_WIDTH = 16, 128
_BATCH_BYTES = 120_000_000
_CHUNK_CELLS = 32_768
_SMALL = 100_000  # cells; below, threads cost more than they give


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
    check(expressions, panel, start=start)
    return _Evaluation(expressions, panel).results(start)


def check(expressions: Mapping[str, Expression], panel: Panel, *, start: int) -> None:
    """Refuse what `evaluate` refuses, before anything is computed."""
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


def warm_up() -> None:
    """Compile every kernel, or load it from the compile cache.

    Kernels have explicit signatures, so that importing them compiles them; the cache lies beside the package, or in
    the user's cache folder where the package cannot be written. Run it once after installing.
    """
    shape = (4, 3)
    panel = Panel(
        dates=np.arange(4).astype("datetime64[D]"),
        tickers=("A", "B", "C"),
        fields={"close": np.arange(12.0).reshape(shape)},
        in_universe=np.ones(shape, dtype=bool),
    )
    smallest: dict[str, float] = {"n": 4, "q": 0.5, "halflife": 1, "span": 2, "periods": 2}
    for spec in OPERATORS.values():
        params = tuple((k, smallest[k]) for k in spec.params if k not in spec.defaults)
        for _ in evaluate({"warm": Call(spec.name, (Field("close"),) * len(spec.args), params)}, panel):
            pass


class _Evaluation:
    """The steps of some expressions on one panel."""

    def __init__(self, expressions: Mapping[str, Expression], panel: Panel) -> None:
        self._panel = panel
        n_dates, n_tickers = panel.shape
        size = max(1, 8 * n_dates * n_tickers)
        self._schedule = schedule(expressions, batch_size=max(1, _BATCH_BYTES // size))
        self._stored: dict[Expression, Array] = {}
        self._spare: list[Array] = []
        self._outputs = set(expressions.values())
        width = _BLOCK_BYTES // max(1, 8 * n_dates) // 8 * 8
        width = max(_MIN_WIDTH, min(_MAX_WIDTH, width))
        # of equal blocks none is left with the remainder
        n_blocks = -(-n_tickers // width)
        self._width = max(1, -(-n_tickers // max(1, n_blocks)))
        self._own = local()
        self._n_threads = 1 if size // 8 < _SMALL else len(os.sched_getaffinity(0))
        self._pool: ThreadPoolExecutor | None = None

    def results(self, start: int) -> Iterator[tuple[str, Array]]:
        try:
            for i, step in enumerate(self._schedule.steps):
                if isinstance(step, ResultStep):
                    values = self._whole(step.node)[start:]
                    values.flags.writeable = False
                    self._forget(i)
                    yield step.name, values
                    del values
                    continue
                if isinstance(step, ColumnStep):
                    self._along(step)
                else:
                    self._across(step.node, reuse=self._schedule.last_use[step.node.args[0]] == i)
                self._forget(i)
        finally:
            if self._pool is not None:
                self._pool.shutdown()

    def _along(self, step: ColumnStep) -> None:
        for node in step.stored:
            self._stored[node] = self._spare.pop() if self._spare else np.empty(self._panel.shape)
        uses = Counter(a for node in step.nodes for a in set(node.args))
        n_tickers = self._panel.shape[1]
        blocks = [(left, min(left + self._width, n_tickers)) for left in range(0, n_tickers, self._width)]
        self._share(lambda block: _Block(self, step, uses, *block).run(), blocks)

    def _across(self, node: Call, *, reuse: bool) -> None:
        spec = OPERATORS[node.operator]
        operands = [np.ascontiguousarray(self._whole(a)) for a in node.args]
        members = self._panel.in_universe
        params: dict[str, object] = dict(node.params)
        if spec.variadic:
            params["label_flags"] = tuple(isinstance(a, Field) and a.name in LABELS for a in node.args[1:])
        first = node.args[0]
        if reuse and first in self._stored and first not in self._outputs:
            out = self._stored.pop(first)
        else:
            out = self._spare.pop() if self._spare else np.empty(self._panel.shape)
        compute = kernels.CROSS_SECTION[node.operator]

        def run(rows: tuple[int, int]) -> None:
            part = slice(*rows)
            with np.errstate(all="ignore"):
                compute(out[part], members[part], *(x[part] for x in operands), **params)

        n_dates, n_tickers = self._panel.shape
        rows = max(1, _CHUNK_CELLS // max(1, n_tickers))
        self._share(run, [(top, min(top + rows, n_dates)) for top in range(0, n_dates, rows)])
        self._stored[node] = out

    def _share(self, run: Callable[[tuple[int, int]], None], parts: list[tuple[int, int]]) -> None:
        if self._n_threads == 1 or len(parts) < 2:
            for part in parts:
                run(part)
            return
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._n_threads, thread_name_prefix="evaluate")
        for _ in self._pool.map(run, parts):
            pass

    def _forget(self, step: int) -> None:
        """Let go what no later step reads; its memory is used again, unless it was handed out."""
        last_use = self._schedule.last_use
        for node in [n for n in self._stored if last_use.get(n, -1) <= step]:
            values = self._stored.pop(node)
            if node not in self._outputs:
                self._spare.append(values)

    def _whole(self, node: Expression) -> Array:
        if isinstance(node, Field):
            return self._panel[node.name].view()
        if isinstance(node, Constant):
            return np.full(self._panel.shape, node.value)
        return self._stored[node]

    def columns(self, node: Expression, left: int, right: int) -> Array:
        """Return some tickers of a field or of a stored value."""
        values = self._panel[node.name] if isinstance(node, Field) else self._stored[node]
        return values[:, left:right]

    @property
    def buffers(self) -> list[Array]:
        """Flat memory of one block each, the calling thread's own."""
        if not hasattr(self._own, "buffers"):
            self._own.buffers = []
        return cast("list[Array]", self._own.buffers)

    @property
    def n_dates(self) -> int:
        return self._panel.shape[0]

    @property
    def first_row(self) -> int:
        return self._panel.first_row

    @property
    def width(self) -> int:
        return self._width

    def store(self, node: Expression, left: int, right: int, values: Array) -> None:
        """Copy a block of tickers to where all of them are."""
        self._stored[node][:, left:right] = values


class _Block:
    """One step along time for some neighbouring tickers, in the memory of one thread."""

    def __init__(self, whole: _Evaluation, step: ColumnStep, uses: Counter[Expression], left: int, right: int) -> None:
        self._whole = whole
        self._step = step
        self._left, self._right = left, right
        self._left_uses = Counter(uses)
        self._values: dict[Expression, Array] = {}
        self._memory: dict[Expression, Array] = {}

    def run(self) -> None:
        with np.errstate(all="ignore"):
            for node in self._step.nodes:
                self._values[node] = self._compute(node)
                for operand in set(node.args):
                    self._left_uses[operand] -= 1
                    self._free(operand)
                if node in self._step.stored:
                    self._whole.store(node, self._left, self._right, self._values[node])
                    self._free(node)

    def _compute(self, node: Call) -> Array:
        elementwise = OPERATORS[node.operator].kind == "elementwise"
        # an element-wise kernel takes a number as it is
        operands = [a.value if elementwise and isinstance(a, Constant) else self._operand(a) for a in node.args]
        out = self._buffer(node)
        if elementwise:
            kernels.ELEMENTWISE[node.operator](*operands, out=out)
        else:
            compute = kernels.TIME_SERIES[node.operator]
            compute(out, *operands, first_row=self._whole.first_row, **dict(node.params))
        return out

    def _operand(self, node: Expression) -> Array:
        if node not in self._values:
            if isinstance(node, Constant):
                return np.full(self._shape, node.value)
            values = self._whole.columns(node, self._left, self._right)
            if not values.flags.c_contiguous:
                copy = self._buffer(node)
                copy[...] = values
                values = copy
            self._values[node] = values
        return self._values[node]

    @property
    def _shape(self) -> tuple[int, int]:
        return self._whole.n_dates, self._right - self._left

    def _buffer(self, node: Expression) -> Array:
        spare = self._whole.buffers
        flat = spare.pop() if spare else np.empty(self._whole.n_dates * self._whole.width)
        self._memory[node] = flat
        return flat[: self._shape[0] * self._shape[1]].reshape(self._shape)

    def _free(self, node: Expression) -> None:
        """Use a value's memory again once nothing in the step reads it."""
        if not self._left_uses[node]:
            self._values.pop(node, None)
            if node in self._memory:
                self._whole.buffers.append(self._memory.pop(node))
