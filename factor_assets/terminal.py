"""How answers look in a terminal: tables that fit 80 columns, progress bars, the result of an evaluation.

What is answered is not decided here; `cli` has the commands.
"""

import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    import pyarrow as pa

    from factor_assets.defs.runs import StageAccount
    from factor_assets.evaluation.quick_look import QuickLook
    from factor_assets.factors.registry import RegisteredFactor, RegisteredLibrary

Progressed = Callable[[str, int, int], None]
"""Called with the stage, what is done and what there is to do."""

_PIPED_WIDTH = 120
_WIDE = 100
"""A terminal of this many columns has room for the less important ones."""
_SHOWN_CHECKS = 20

console = Console(highlight=False, width=None if sys.stdout.isatty() else _PIPED_WIDTH)
notes = Console(highlight=False, stderr=True)


def say(text: str, *, style: str = "", to: Console = console) -> None:
    """Print a sentence: folded between words in a terminal, on one line in a file."""
    to.print(Text(text, style=style), soft_wrap=not to.is_terminal)


def plain_table() -> Table:
    """Return an empty table without frame, so that 80 columns hold much."""
    return Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), pad_edge=False)


def print_accounts(accounts: Sequence["StageAccount"], *, title: str) -> None:
    """Print what each stage made, skipped and failed, with the reasons."""
    console.print(title, style="italic")
    table = plain_table()
    table.add_column("stage")
    for name in ("made", "skipped", "failed", "seconds"):
        table.add_column(name, justify="right")
    for account in accounts:
        failed = Text(str(account.failed), style="red" if account.failed else "")
        table.add_row(account.stage, str(account.made), str(account.skipped), failed, f"{account.seconds:.1f}")
    console.print(table)
    for account in accounts:
        for note in account.notes:
            say(f"{account.stage}: {note}")
        for name, message in account.failures.items():
            say(f"{account.stage}: {name} failed: {message}", style="red")
        if account.held_up:
            names = ", ".join(sorted(key.path[-1] for key in account.held_up))
            message = f"{account.stage}: not made, because what they need failed: {names}"
            say(message, style="red")
    checks = [item for account in accounts for item in account.failed_checks.items()]
    for name, message in checks[:_SHOWN_CHECKS]:
        say(f"check {name}" + (f": {message}" if message else ""), style="yellow")
    if len(checks) > _SHOWN_CHECKS:
        say(f"and {len(checks) - _SHOWN_CHECKS} more checks; `factor-assets status` has all.", style="yellow")


class _Rate(ProgressColumn):
    """Asset partitions a second since the stage began."""

    def render(self, task: Task) -> Text:
        seconds = task.finished_time or task.elapsed
        rate = task.completed / seconds if seconds else 0.0
        return Text(f"{rate:.0f}/s" if rate else "", style="dim")


@contextmanager
def progress_bars() -> Iterator[Progressed]:
    """Show a bar a stage, with rate and remaining time, while a run goes on; nothing where stderr is no terminal."""
    columns = (
        TextColumn("{task.description:<11}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    # Dagster sends what a run prints to a file; the bar goes round that, to the terminal itself.
    with (
        open(os.dup(2), "w", encoding="utf-8") as terminal,  # noqa: PTH123 - a descriptor, not a path
        Progress(*columns, console=Console(file=terminal), disable=not terminal.isatty()) as progress,
    ):
        tasks: dict[str, TaskID] = {}

        def advance(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = progress.add_task(stage, total=total)
            progress.update(tasks[stage], completed=done, total=total)

        yield advance


def print_result(summary: "pa.Table", *, title: str, page: Path) -> None:
    """Print `factor_summary`, what it says in words, and where the page is."""
    from factor_assets.evaluation.verdict import verdict

    console.print(title, style="italic")
    table = plain_table()
    if console.width >= _WIDE:
        table.add_column("family")
    table.add_column("factor", overflow="fold")
    for name in ("return", "Sharpe", "t", "rank IC", "t(IC)", "beta", "t(beta)", "R2"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in sorted(summary.to_pylist(), key=lambda r: -abs(r["factor_return_tstat"] or 0.0)):
        table.add_row(
            *([row["factor_type"]] if console.width >= _WIDE else []),
            row["factor_name"],
            _number(row["annualized_return"], "+.1%"),
            _number(row["sharpe_ratio"], ".2f"),
            _number(row["factor_return_tstat"], ".2f"),
            _number(row["mean_rank_ic"], ".4f"),
            _number(row["rank_ic_tstat"], ".2f"),
            _number(row["avg_beta"], ".2f"),
            _number(row["avg_tstat"], ".2f"),
            _number(row["avg_rsquared"], ".3f"),
        )
    console.print(table)
    say(
        "return, Sharpe and t: of the factor's return, high minus low, a year; beta, t(beta) and R2: mean over tickers",
        style="dim",
    )
    found = verdict(summary)
    say(f"\n{found.headline}", style="bold")
    for sentence in found.reading:
        say(sentence)
    say(f"The page: {page}")


def print_factors(factors: Sequence["RegisteredFactor"]) -> None:
    """Print formula, lookback, sign, unit and source of each factor: a table, or a block each where there is no room.

    A source that all of them share is told once.
    """
    sources = {factor.factor.cite for factor in factors}
    shared = sources.pop() if len(factors) > 1 and len(sources) == 1 else ""
    table, wide = plain_table(), console.width >= _WIDE
    for name in ("family", "factor"):
        table.add_column(name, no_wrap=True)
    for name in ("sessions\nback", "sign"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("formula, unit and source", overflow="fold", ratio=1)
    for factor in factors:
        declared = factor.factor
        told = Text(str(factor.expression))
        unit_and_source = "; ".join(filter(None, (declared.unit, "" if shared else declared.cite)))
        told.append(f"\n{unit_and_source}" if unit_and_source else "", style="dim")
        sign = {1: "+", -1: "-", 0: ""}[declared.sign]
        if wide:
            table.add_row(factor.family, factor.name, str(factor.lookback), sign, told)
        else:
            looks_back = f"{factor.lookback} sessions back" + (f", sign {sign}" if sign else "")
            console.print(Text(f"{factor.family}/{factor.name}, {looks_back}", style="bold"))
            console.print(Padding(told, (0, 0, 0, 2)))
    if wide:
        console.print(table)
    if shared:
        say(f"All are of {shared}.", style="dim")


def print_libraries(libraries: Sequence["RegisteredLibrary"]) -> None:
    """Print how many factors each library has, and where they were published."""
    table = plain_table()
    table.add_column("library", no_wrap=True)
    for name in ("factors", "sessions\nback"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("source", overflow="fold", ratio=1)
    for library in libraries:
        table.add_row(library.name, str(len(library.factors)), str(library.lookback), Text(library.library.cite))
    console.print(table)


def print_look(look: "QuickLook") -> None:
    """Print what one look at a factor found, what must be known of it first."""
    from factor_assets.evaluation.quick_look import shown

    for note in look.notes:
        say(note, style="yellow")
    say(f"{look.name}: {look.formula}", style="bold")
    print_facts(look.facts)
    decay = plain_table()
    for name in ("IC over sessions", *(str(ic.horizon) for ic in look.decay)):
        decay.add_column(name, justify="left" if name.startswith("IC") else "right", no_wrap=True)
    decay.add_row("mean", *(shown(ic.mean, "+.4f") for ic in look.decay))
    decay.add_row("t", *(shown(ic.tstat, "+.2f") for ic in look.decay))
    decay.add_row("ICIR", *(shown(ic.icir, "+.3f") for ic in look.decay))
    console.print(decay)
    quantiles = plain_table()
    for name in ("quantile", *map(str, range(1, len(look.quantile_returns) + 1))):
        quantiles.add_column(name, justify="left" if name == "quantile" else "right", no_wrap=True)
    quantiles.add_row("return", *(shown(value, "+.3%") for value in look.quantile_returns))
    console.print(quantiles)


def print_facts(facts: Mapping[str, str]) -> None:
    """Print names and what there is to say of each, folded beside the name; empty ones are left out."""
    table = Table(box=None, show_header=False, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold", ratio=1)
    for name, told in facts.items():
        if told:
            table.add_row(name, Text(told))
    console.print(table)


def print_rows(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Print a table, or one block a row where the table is wider than the terminal."""
    _print_cells([list(row.values()) for row in rows], columns)


def print_table(rows: "pa.Table") -> None:
    """Print the answer to a query, likewise; names of columns may repeat."""
    # By position: a row as a dictionary would lose all but one of the columns of a name.
    cells = [column.to_pylist() for column in textual(rows).columns]
    _print_cells([list(row) for row in zip(*cells, strict=True)], rows.column_names)


def textual(rows: "pa.Table") -> "pa.Table":
    """Return rows with text for what neither Python nor a CSV file can hold.

    That is lists and other nested values, intervals, bytes, and columns with a time outside the years 1 to 9999. The
    text is DuckDB's.
    """
    import duckdb
    import pyarrow as pa

    columns = list(rows.columns)
    with duckdb.connect() as connection:
        for i, column in enumerate(columns):
            if _wants_text(column):
                connection.register("shown", pa.table({"value": column}))
                columns[i] = connection.sql("SELECT value::VARCHAR AS value FROM shown").to_arrow_table()["value"]
    return pa.table(columns, names=rows.column_names)


def _wants_text(column: "pa.ChunkedArray") -> bool:
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        try:
            pc.min_max(column).as_py()
        except (OverflowError, ValueError):
            return True
    unfit = (pa.types.is_nested, pa.types.is_interval, pa.types.is_duration)
    bytes_ = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary)
    return any(is_of(kind) for is_of in (*unfit, *bytes_))


def _print_cells(rows: Sequence[Sequence[Any]], columns: Sequence[str]) -> None:
    shown = [[_shown(value) for value in row] for row in rows]
    widths = [max(len(text) for text in (name, *cells)) for name, *cells in zip(columns, *shown, strict=True)]
    needed = sum(widths) + 2 * len(widths)
    if needed > console.width and console.is_terminal:
        longest = max(map(len, columns), default=0)
        for cells in shown:
            for name, text in zip(columns, cells, strict=True):
                console.print(Text(f"{name:>{longest}}  {text}"))
            console.print()
        return
    table = plain_table()
    for i, name in enumerate(columns):
        number = any(isinstance(row[i], int | float) for row in rows)
        table.add_column(name, justify="right" if number else "left", no_wrap=True)
    for cells in shown:
        table.add_row(*map(Text, cells))
    # A file has no width to keep to.
    (console if console.is_terminal else Console(highlight=False, width=max(needed, _PIPED_WIDTH))).print(table)


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _number(value: float | None, form: str) -> str:
    return "-" if value is None or not math.isfinite(value) else format(value, form)
