"""The command line `factor-assets`: thin; a command calls one function of the layers below and prints the answer."""

import os
import sys
import webbrowser
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from factor_assets.cli_factor import app as factor_app
from factor_assets.cli_store import app as store_app
from factor_assets.cli_store import sql
from factor_assets.errors import FactorAssetsError, SettingsError
from factor_assets.settings import Settings
from factor_assets.settings_file import load_settings
from factor_assets.terminal import (
    console,
    notes,
    plain_table,
    print_accounts,
    print_result,
    print_rows,
    progress_bars,
    say,
)

app = typer.Typer(
    help="Equity factors as partitioned Dagster assets: prices in, evidence out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

app.add_typer(factor_app, name="factor")
app.add_typer(store_app, name="store")

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
        say(str(error), style="red", to=notes)
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
    say("The sample market is synthetic: it shows how the platform works, not what markets do.", style="yellow")
    if _run(settings, names=(), start=None, end=None, missing_only=False):
        raise typer.Exit(1)
    _print_result(settings)
    say(
        "The sample market plants a premium on close_location and none on any other factor, so close_location should"
        " stand out and open_location should not."
    )
    say("Open the page with `factor-assets report --open`, the graph with `make ui`.")


@app.command()
def materialize(names: Names = None, *, start: Start = None, end: End = None) -> None:
    """Make what is due: from the first session that is missing or was revised to the last; or the dates given."""
    settings = load_settings()
    first, last = start.date() if start else None, end.date() if end else None
    failed = False
    if first is None and last is None:
        from factor_assets.workspace import Workspace

        workspace = Workspace(settings)
        last = workspace.last_session
        if not names:
            # Loaded first, since what must be made follows from it: a revised history reaches back.
            failed = _run(settings, names=("price_history",), start=None, end=None, missing_only=False)
            names = ["corporate_actions", "universe+", "prices+"]
        first = min(workspace.first_date_to_make() or last, last)
    if _run(settings, names=tuple(names or ()), start=first, end=last, missing_only=False) or failed:
        raise typer.Exit(1)


@app.command()
def backfill(
    names: Names = None,
    *,
    start: Start = None,
    end: End = None,
    missing: Annotated[bool, typer.Option("--missing", help="Leave what is made by today's code.")] = False,
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
    from factor_assets.defs.place import require_place
    from factor_assets.defs.status import asset_statuses
    from factor_assets.workspace import Workspace

    settings = load_settings()
    workspace, table = Workspace(settings), plain_table()
    for name in ("group", "asset", "made", "older code", "last made (UTC)", "failed checks"):
        table.add_column(name, justify="right" if name in {"made", "older code"} else "left", overflow="fold")
    console.print(_title(settings), style="italic")
    with open_instance(settings) as instance:
        require_place(instance, workspace)
        for row in asset_statuses(_definitions(settings), instance):
            done = "green" if row.made == row.wanted else "yellow" if row.made or row.old else "red"
            table.add_row(
                row.group,
                row.key.rpartition("/")[2],
                f"[{done}]{row.made} of {row.wanted}[/]",
                str(row.old or ""),
                f"{row.last_made:%Y-%m-%d %H:%M}" if row.last_made else "never",
                Text(", ".join(row.failed_checks), style="yellow"),
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
    _print_result(settings)
    if open_page:
        webbrowser.open(page.as_uri())


app.command()(sql)


@app.command()
def doctor() -> None:
    """Check the settings, the folders and the source, and print what to do about what is wrong."""
    from factor_assets.defs.instance import examine_compute_logs
    from factor_assets.defs.place import examine_place
    from factor_assets.defs.status import examine_instance
    from factor_assets.doctor import examine

    settings = load_settings()
    table = plain_table()
    table.add_column("")
    table.add_column("check", no_wrap=True)
    table.add_column("found, and what to do", overflow="fold", ratio=1)
    findings = [
        *examine(settings),
        *examine_instance(settings),
        *examine_compute_logs(settings),
        *examine_place(settings),
    ]
    for finding in findings:
        found = f"{finding.found}. {finding.advice}" if finding.advice else finding.found
        table.add_row(
            Text("ok", style="green") if finding.ok else Text("wrong", style="red"),
            Text(finding.check),
            Text(found, style="" if finding.ok else "red"),
        )
    console.print(table)
    wrong = sum(not finding.ok for finding in findings)
    console.print(f"{wrong} of {len(findings)} checks found something wrong." if wrong else "All is well.")
    if wrong:
        raise typer.Exit(1)


@app.command()
def maintain(
    *,
    keep: Annotated[int, typer.Option(min=0, help="Age in days up to which earlier versions stay readable.")] = 30,
) -> None:
    """Join what many small writes left, and delete what no version of the last days needs; changes no live row."""
    from factor_assets.defs.instance import open_instance
    from factor_assets.defs.maintenance import maintain as do_upkeep
    from factor_assets.defs.place import require_place
    from factor_assets.workspace import Workspace

    settings = load_settings()
    workspace = Workspace(settings)
    with open_instance(settings) as instance:
        require_place(instance, workspace)
        done = do_upkeep(instance, workspace, keep_days=keep)
    if not done:
        say("There is no table yet.")
        return
    rows = [
        {
            "table": m.table,
            "deleted": m.files_deleted,
            "files": f"{m.files_before} -> {m.files_after}",
            "MB": f"{m.bytes_before / 1e6:.1f} -> {m.bytes_after / 1e6:.1f}",
        }
        for m in done
    ]
    print_rows(rows, list(rows[0]))
    what = "files" if settings.store_kind == "lake" else "batches of rows"
    n_deleted = sum(m.files_deleted for m in done)
    say(f"{n_deleted:,} {what} deleted; versions of the last {keep} days can still be read.")


@app.command("accept-place")
def accept_place() -> None:
    """Say that the tables were copied to where the settings have them, so that what was made counts there."""
    from factor_assets.defs.instance import open_instance
    from factor_assets.defs.place import accept_place as accept
    from factor_assets.workspace import Workspace

    settings = load_settings()
    with open_instance(settings) as instance:
        say(f"What is recorded as made is in {accept(instance, Workspace(settings))} from now on.")


@app.command()
def ui(*, port: Annotated[int, typer.Option(help="Port of the Dagster UI.")] = 3000) -> None:
    """Open the Dagster UI, with its daemon, on the same instance."""
    from factor_assets.defs.instance import open_instance
    from factor_assets.defs.place import require_place
    from factor_assets.workspace import Workspace

    settings = load_settings()
    with open_instance(settings) as instance:
        require_place(instance, Workspace(settings))
    os.environ["DAGSTER_HOME"] = str(settings.dagster_home)
    # Dagster recommends `dg dev`, which is another package and does no more here.
    os.environ["PYTHONWARNINGS"] = "ignore:Function `dev_command`:FutureWarning"
    console.print(f"The Dagster UI is at http://localhost:{port} in a few seconds; Ctrl-C ends it.")
    program = str(Path(sys.executable).with_name("dagster"))
    options = ["-m", "factor_assets.definitions", "-p", str(port), "--log-level", "warning"]
    os.execv(program, [program, "dev", *options])  # noqa: S606


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

    definitions, workspace = _definitions(settings), Workspace(settings)
    accounts = []
    with open_instance(settings) as instance, progress_bars() as advance:
        for account in run_stages(
            definitions,
            workspace,
            instance,
            names=names,
            start=start,
            end=end,
            missing_only=missing_only,
            progress=advance,
        ):
            accounts.append(account)
            if not notes.is_terminal:
                done = f"{account.made} made, {account.skipped} skipped, {account.failed} failed"
                notes.print(f"{account.stage}: {done} in {account.seconds:.1f} s, {workspace.source.label}")
    print_accounts(accounts, title=_title(settings))
    return any(account.failed for account in accounts)


def _definitions(settings: Settings) -> Any:
    from factor_assets.defs.graph import build_definitions

    return build_definitions(settings)


def _page(settings: Settings) -> Path:
    from factor_assets.workspace import Workspace

    return Workspace(settings).tear_sheet_path


def _print_result(settings: Settings) -> None:
    from factor_assets.workspace import Workspace

    workspace = Workspace(settings)
    print_result(workspace.store.read("factor_summary"), title=_title(settings), page=workspace.tear_sheet_path)


def _title(settings: Settings) -> str:
    from factor_assets.workspace import Workspace

    return f"source: {Workspace(settings).source.label}, universe: {settings.universe_name}"


if __name__ == "__main__":
    main()
