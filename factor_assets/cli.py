"""The command line `factor-assets`: thin; every command calls one function of the layers below and prints the answer."""

import sys
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from factor_assets.errors import FactorAssetsError, SettingsError
from factor_assets.settings import Settings, load_settings

app = typer.Typer(
    help="Equity factors as partitioned Dagster assets: prices in, evidence out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
console = Console()

Names = Annotated[
    list[str] | None,
    typer.Argument(
        help="Assets or groups, such as ret_12_1, momentum or prices; a + behind one adds what follows from it."
    ),
]
Start = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="First date.")]
End = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Last date.")]


def main() -> None:
    """Run the command line; an error of ours ends it with its message and status 1."""
    try:
        app()
    except FactorAssetsError as error:
        Console(stderr=True).print(Text(str(error), style="red"))
        sys.exit(1)


@app.command()
def demo() -> None:
    """Run the whole graph on the synthetic sample market and show the result."""
    settings = load_settings()
    if settings.data.source != "sample":
        raise SettingsError(
            f"demo is for the sample market, but data.source is {settings.data.source!r}."
            " Run `factor-assets backfill`, or unset data.source."
        )
    console.print("[bold yellow]The sample market is synthetic: it shows how the platform works, not what markets do.")
    failed = _run(settings, names=(), start=None, end=None, missing_only=False)
    _print_summary(settings)
    console.print(f"The page: {_page(settings)}\nOpen it with `factor-assets report --open`; the graph with `make ui`.")
    if failed:
        raise typer.Exit(1)


@app.command()
def materialize(names: Names = None, *, start: Start = None, end: End = None) -> None:
    """Make assets for the newest date partition, or for the dates given."""
    settings = load_settings()
    first, last = start.date() if start else None, end.date() if end else None
    if first is None and last is None:
        from factor_assets.workspace import Workspace

        first = last = Workspace(settings).last_session
    if _run(settings, names=tuple(names or ()), start=first, end=last, missing_only=False):
        raise typer.Exit(1)


@app.command()
def backfill(
    names: Names = None,
    *,
    start: Start = None,
    end: End = None,
    missing: Annotated[bool, typer.Option("--missing", help="Leave partitions that have been made before.")] = False,
) -> None:
    """Make assets for a range of dates, by default all of them."""
    settings = load_settings()
    if _run(
        settings,
        names=tuple(names or ()),
        start=start.date() if start else None,
        end=end.date() if end else None,
        missing_only=missing,
    ):
        raise typer.Exit(1)


@app.command()
def status() -> None:
    """Show what is made, made by older code, and failing its checks."""
    from factor_assets.defs.instance import open_instance
    from factor_assets.defs.status import asset_statuses

    settings = load_settings()
    table = Table("asset", "group", "partitions", "last made (UTC)", "code", "failed checks", title=_title(settings))
    with open_instance(settings) as instance:
        for row in asset_statuses(_definitions(settings), instance):
            done = "green" if row.made == row.wanted else "yellow" if row.made else "red"
            table.add_row(
                row.key,
                row.group,
                f"[{done}]{row.made} of {row.wanted}[/]",
                f"{row.last_made:%Y-%m-%d %H:%M}" if row.last_made else "never",
                {None: "-", True: "current", False: "[yellow]changed[/]"}[row.current],
                ", ".join(row.failed_checks),
            )
    console.print(table)


@app.command()
def factors() -> None:
    """List the factors: formula, lookback, source in the literature."""
    from factor_assets.factors.registry import all_factors

    table = Table("family", "factor", "formula", "lookback", "sign", "unit", "source")
    for factor in sorted(all_factors().values(), key=lambda f: (f.family, f.name)):
        table.add_row(
            factor.family,
            factor.name,
            Text(str(factor.expression)),
            str(factor.lookback),
            {1: "+", -1: "-", 0: ""}[factor.factor.sign],
            factor.factor.unit,
            Text(factor.factor.cite),
        )
    console.print(table)


@app.command()
def report(*, open_page: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False) -> None:
    """Show the summary of all factors and where the page is."""
    settings = load_settings()
    page = _page(settings)
    if not page.exists():
        raise SettingsError(
            f"There is no page at {page} yet; run `factor-assets demo` or `factor-assets backfill` first."
        )
    _print_summary(settings)
    console.print(f"The page: {page}")
    if open_page:
        webbrowser.open(page.as_uri())


@app.command()
def sql(
    query: Annotated[str, typer.Argument(help="A SELECT over the tables; `SHOW ALL TABLES` lists them.")],
    *,
    limit: Annotated[int, typer.Option(help="Rows to print.")] = 50,
    csv: Annotated[Path | None, typer.Option(help="Write the whole result to this file instead.")] = None,
) -> None:
    """Query the lake with DuckDB."""
    from factor_assets.storage.query import connect, run_query
    from factor_assets.workspace import Workspace

    with connect(Workspace(load_settings()).store) as connection:
        rows = run_query(connection, query)
    if csv is not None:
        import pyarrow.csv

        pyarrow.csv.write_csv(rows, csv)
        console.print(f"{rows.num_rows} rows written to {csv}")
        return
    table = Table(*rows.column_names)
    for row in rows.slice(0, limit).to_pylist():
        table.add_row(*(_shown(value) for value in row.values()))
    console.print(table)
    if rows.num_rows > limit:
        console.print(f"{limit} of {rows.num_rows} rows; --limit shows more, --csv writes all")


@app.command()
def doctor() -> None:
    """Check the settings, the folders and the source, and print what to do about what is wrong."""
    from factor_assets.doctor import examine

    settings = load_settings()
    table = Table("check", "found", "what to do", title=_title(settings))
    findings = examine(settings)
    for finding in findings:
        table.add_row(finding.check, Text(finding.found, style="" if finding.ok else "red"), finding.advice)
    console.print(table)
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)


@app.command()
def ui(*, port: Annotated[int, typer.Option(help="Port of the Dagster UI.")] = 3000) -> None:
    """Open the Dagster UI, with its daemon, on the same instance."""
    import os

    from factor_assets.defs.instance import open_instance

    settings = load_settings()
    with open_instance(settings):
        pass
    os.environ["DAGSTER_HOME"] = str(settings.dagster_home)
    console.print(f"The Dagster UI: http://localhost:{port}")
    program = str(Path(sys.executable).with_name("dagster"))
    os.execv(program, [program, "dev", "-m", "factor_assets.definitions", "-p", str(port)])  # noqa: S606


@app.command("warm-up")
def warm_up() -> None:
    """Compile the numeric kernels once, so that no run waits for it."""
    from factor_assets.warm_up import compile_kernels

    compile_kernels()
    console.print("The numeric kernels are compiled.")


def _run(settings: Settings, *, names: tuple[str, ...], start: Any, end: Any, missing_only: bool) -> bool:
    """Run the stages with a progress bar and print their accounts; whether anything failed."""
    from factor_assets.defs.instance import open_instance
    from factor_assets.defs.runs import run_stages
    from factor_assets.workspace import Workspace

    definitions = _definitions(settings)
    accounts = []
    with open_instance(settings) as instance, _progress() as advance:
        for account in run_stages(
            definitions,
            Workspace(settings),
            instance,
            names=names,
            start=start,
            end=end,
            missing_only=missing_only,
            progress=advance,
        ):
            accounts.append(account)
    table = Table("stage", "made", "skipped", "failed", "seconds", title=_title(settings))
    for account in accounts:
        failed = Text(str(account.failed), style="red" if account.failed else "")
        table.add_row(account.stage, str(account.made), str(account.skipped), failed, f"{account.seconds:.1f}")
    console.print(table)
    for account in accounts:
        for name, message in account.failures.items():
            console.print(Text(f"{account.stage}: {name} failed: {message}", style="red"))
        for name, message in account.failed_checks.items():
            console.print(Text(f"check {name}: {message}", style="yellow"))
    return any(account.failed for account in accounts)


class _Rate(ProgressColumn):
    """Asset partitions a second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.0f}/s" if task.speed else "", style="dim")


@contextmanager
def _progress() -> Iterator[Any]:
    columns = (
        TextColumn("{task.description:<12}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("partitions"),
        _Rate(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=not console.is_terminal) as progress:
        tasks: dict[str, Any] = {}

        def advance(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = progress.add_task(stage, total=total)
            progress.update(tasks[stage], completed=done, total=total)

        yield advance


def _definitions(settings: Settings) -> Any:
    from factor_assets.defs.graph import build_definitions

    return build_definitions(settings)


def _print_summary(settings: Settings) -> None:
    from factor_assets.workspace import Workspace

    rows = Workspace(settings).store.read("factor_summary").to_pylist()
    table = Table(title=f"Do factors explain returns? {_title(settings)}")
    for name in (
        "type",
        "factor",
        "return p.a.",
        "Sharpe",
        "t(return)",
        "rank IC",
        "t(IC)",
        "avg beta",
        "avg t",
        "avg R2",
    ):
        table.add_column(name, justify="left" if name in ("type", "factor") else "right")
    names = (
        "annualized_return sharpe_ratio factor_return_tstat mean_rank_ic rank_ic_tstat avg_beta avg_tstat avg_rsquared"
    )
    for row in sorted(rows, key=lambda r: -abs(r["factor_return_tstat"] or 0.0)):
        table.add_row(row["factor_type"], row["factor_name"], *(_shown(row[name]) for name in names.split()))
    console.print(table)


def _page(settings: Settings) -> Path:
    from factor_assets.workspace import Workspace

    return Workspace(settings).tear_sheet_path


def _title(settings: Settings) -> str:
    from factor_assets.workspace import Workspace

    return f"source: {Workspace(settings).source.label}, universe: {settings.universe_name}"


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
