"""In which order many expressions are computed: the graph of their parts, cut into steps.

1. Equal sub-expressions are one node, however often and wherever they occur.
2. Expressions are taken in the order given, so many together as results fit in memory at once (a batch).
3. Within a batch, nodes are sorted by how many cross-sectional operators lie below them. All other nodes of a level
   make one `ColumnStep`: the engine runs it for a few tickers at a time, from the first node to the last, so that
   what passes between them stays in cache. The cross-sectional nodes above it follow as one `RowStep` each, which
   needs all tickers of a date.
4. Only what a later step reads, or what was asked for, is stored for all tickers. What later batches share is stored
   where it is dear; what is cheap is computed again.

What does not belong here: computing anything (`engine.py`).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from factor_assets.expressions.declaration import OPERATORS
from factor_assets.expressions.expression import Call, Expression

_LAGS = frozenset({"delay", "delta", "pct_change"})


@dataclass(frozen=True, slots=True)
class ColumnStep:
    """Element-wise and time-series nodes, operands before the calls that use them.

    Parameters
    ----------
    nodes
        To be computed, in this order.
    stored
        Those of them that are kept for all tickers.
    """

    nodes: tuple[Call, ...]
    stored: frozenset[Call]


@dataclass(frozen=True, slots=True)
class RowStep:
    """One cross-sectional node; its operands are stored."""

    node: Call


@dataclass(frozen=True, slots=True)
class ResultStep:
    """Hand out one expression under its name."""

    name: str
    node: Expression


Step = ColumnStep | RowStep | ResultStep


@dataclass(frozen=True, slots=True)
class Schedule:
    """Steps, and after which of them a stored value is needed no more.

    Parameters
    ----------
    last_use
        Stored node -> index of the last step that reads it.
    """

    steps: tuple[Step, ...]
    last_use: Mapping[Expression, int]


def schedule(expressions: Mapping[str, Expression], *, batch_size: int) -> Schedule:
    """Return the steps that compute some expressions.

    Parameters
    ----------
    expressions
        Name -> expression; handed out in this order.
    batch_size
        How many results may be in memory before the first of them is handed out, at least 1.
    """
    names = list(expressions)
    steps: list[Step] = []
    stored: set[Expression] = set()
    for begin in range(0, len(names), batch_size):
        batch = names[begin : begin + batch_size]
        later = [expressions[name] for name in names[begin + batch_size :]]
        steps += _batch({name: expressions[name] for name in batch}, later, stored)
    last_use = {node: i for i, step in enumerate(steps) for node in _read(step)}
    return Schedule(tuple(steps), last_use)


def _batch(wanted: Mapping[str, Expression], later: Sequence[Expression], stored: set[Expression]) -> Iterator[Step]:
    """Yield the steps of one batch and add what they store to `stored`."""
    nodes = list(_missing(wanted.values(), stored))
    level = _levels(nodes)
    keep = {*wanted.values(), *_shared(nodes, later, stored)}
    for node in nodes:
        for a in node.args:
            if _kind(node) == "cross_section" or level.get(a, 0) != level[node]:
                keep.add(a)
    for depth in range(max(level.values(), default=0) + 1):
        across = [n for n in nodes if level[n] == depth and _kind(n) == "cross_section"]
        along = [n for n in nodes if level[n] == depth and _kind(n) != "cross_section"]
        yield from (RowStep(n) for n in across)
        if along:
            yield ColumnStep(tuple(along), frozenset(n for n in along if n in keep))
        stored.update(across)
        stored.update(n for n in along if n in keep)
    yield from (ResultStep(name, node) for name, node in wanted.items())


def _levels(nodes: Sequence[Call]) -> dict[Expression, int]:
    """Count the cross-sectional operators below each node; others wait as long as what reads them lets them.

    Waiting keeps a value in the step that uses it, instead of storing it for all tickers.
    """
    level: dict[Expression, int] = {}
    for node in nodes:
        level[node] = max(level.get(a, 0) for a in node.args) + (_kind(node) == "cross_section")
    latest: dict[Expression, int] = {}
    for node in reversed(nodes):
        if _kind(node) != "cross_section":
            level[node] = max(level[node], latest.get(node, 0))
        needed_at = level[node] - (_kind(node) == "cross_section")
        for a in node.args:
            latest[a] = min(latest.get(a, needed_at), needed_at)
    return level


def _missing(expressions: Iterable[Expression], stored: set[Expression]) -> Iterator[Call]:
    """Yield every call that the expressions need and that is not stored, operands first."""
    seen: set[Expression] = set()
    for expression in expressions:
        stack = [(expression, False)]
        while stack:
            node, ready = stack.pop()
            if node in seen or node in stored or not isinstance(node, Call):
                continue
            if ready:
                seen.add(node)
                yield node
            else:
                stack.append((node, True))
                stack.extend((a, False) for a in reversed(node.args))


def _shared(nodes: Sequence[Call], later: Sequence[Expression], stored: set[Expression]) -> set[Call]:
    """Return the dear nodes of this batch that later batches would otherwise compute again."""
    dear = {n for n in nodes if _kind(n) != "elementwise" and n.operator not in _LAGS}
    reached: set[Call] = set()
    seen: set[Expression] = set()
    stack = list(later)
    while stack:
        node = stack.pop()
        if node in seen or node in stored or not isinstance(node, Call):
            continue
        seen.add(node)
        if node in dear:
            reached.add(node)
        else:
            stack.extend(node.args)
    return reached


def _read(step: Step) -> Iterator[Expression]:
    """Yield what a step reads or makes that is stored; a node made and never read ends with its own step."""
    if isinstance(step, ResultStep):
        yield step.node
    elif isinstance(step, RowStep):
        yield step.node
        yield from step.node.args
    else:
        made = set(step.nodes)
        yield from step.stored
        yield from (a for node in step.nodes for a in node.args if a not in made)


def _kind(node: Call) -> str:
    return OPERATORS[node.operator].kind
