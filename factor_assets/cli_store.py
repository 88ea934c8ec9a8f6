"""The commands `factor-assets store ...`: ask the tables, copy them to another store, look at and restore versions."""

import os
import shlex
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from factor_assets.errors import SettingsError, StoreError, did_you_mean
from factor_assets.settings_file import ENVIRONMENT_PREFIX, load_settings
from factor_assets.store_settings import require_place
from factor_assets.terminal import notes, print_rows, print_table, progress_bars, say, textual

if TYPE_CHECKING:
    from factor_assets.storage.copying import Copied
    from factor_assets.storage.slice import Slice
    from factor_assets.storage.store import Store

app = typer.Typer(help="Ask, copy and restore the stored tables.", no_args_is_help=True)

_KINDS = ("lake", "clickhouse")
_PLACE = "lake, clickhouse, a folder, or s3://bucket/prefix"
_SHORT = 12

TableName = Annotated[str, typer.Argument(help="Such as prices or factors/momentum/ret_12_1.")]


@app.command()
def sql(
    statement: Annotated[str, typer.Argument(help="A SELECT over the tables; by default they are listed.")] = "",
    *,
    limit: Annotated[int, typer.Option(min=1, help="Rows of a result to print.")] = 50,
    csv: Annotated[Path | None, typer.Option(help="Write the whole result to this file instead.")] = None,
) -> None:
    """Query the tables: the lake with DuckDB, ClickHouse with its own SQL; without a statement, list the tables."""
    from factor_assets.storage.sql import query
    from factor_assets.workspace import Workspace

    workspace = Workspace(load_settings())
    rows = query(workspace.store, statement)
    if csv is not None:
        _write_csv(rows, csv)
    else:
        printed = limit if statement else rows.num_rows
        print_table(rows.slice(0, printed))
        if rows.num_rows > printed:
            notes.print(f"{printed} of {rows.num_rows} rows; --limit shows more, --csv writes all.")
    if workspace.source.synthetic:
        notes.print(f"Source: {workspace.source.label}; no row is of a real market.", style="yellow")


@app.command()
def tables() -> None:
    """List the tables that were written: how many versions, when the newest was written, by what, from which source."""
    store = _store("")
    rows = []
    for name in store.tables():
        versions = store.versions(name)
        newest = store.latest_version(name)
        rows.append(
            {
                "table": name,
                "versions": len(versions),
                "written (UTC)": "" if newest is None else f"{newest.committed_at:%Y-%m-%d %H:%M:%S}",
                "run": "" if newest is None else newest.provenance.run_id[:_SHORT],
                "source": "" if newest is None else newest.provenance.source,
            }
        )
    if rows:
        print_rows(rows, list(rows[0]))
    else:
        say("Nothing was written yet; run `factor-assets demo` or `factor-assets backfill` first.")


@app.command()
def versions(
    table: TableName,
    *,
    last: Annotated[int, typer.Option(min=1, help="How many, the newest first.")] = 20,
) -> None:
    """List the versions of a table, the newest first: what each replaced, and who wrote it."""
    store = _store("")
    held = store.versions(table)
    if not held:
        say(f"The table {table} was never written.")
        return
    rows = [
        {
            "version": version.id,
            "committed (UTC)": f"{version.committed_at:%Y-%m-%d %H:%M:%S.%f}",
            "operation": version.operation,
            "replaced": str(version.slice) if version.operation == "write" else "",
            "rows": version.n_rows,
            "run": version.provenance.run_id,
            "code": version.provenance.code_version,
            "source": version.provenance.source,
        }
        for version in held[:last]
    ]
    print_rows(rows, list(rows[0]))
    if len(held) > last:
        say(f"and {len(held) - last:,} earlier ones; `--last {len(held)}` lists all.", style="dim")


@app.command()
def restore(
    table: TableName,
    *,
    as_of: Annotated[
        str, typer.Option(help="A version, or a time such as 2024-01-31T18:00; UTC where it says no zone.")
    ],
    start: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Only from this date on.")] = None,
    end: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Only up to this date.")] = None,
    ticker: Annotated[list[str] | None, typer.Option(help="Only this ticker; may be given several times.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
) -> None:
    """Bring the rows of an earlier version back, as a new version: restore again to undo it."""
    from factor_assets.storage.restoring import difference, moment
    from factor_assets.storage.restoring import restore as restore_table

    store = _store("")
    wanted, part = moment(as_of, store.versions(table)), _part(start, end, ticker)
    found = difference(store, table, wanted, part)
    if not part.is_everything and not found.n_then + found.n_now:
        raise StoreError(
            f"{table} has no row of {part}, neither in version {found.version.id} nor now; ask for another --as-of,"
            " --start, --end or --ticker."
        )
    of = f"{table} of version {found.version.id}, {found.version.committed_at:%Y-%m-%d %H:%M:%S} UTC"
    say(
        f"{of}: {found.n_then:,} rows then, {found.n_now:,} now; {found.n_only_then:,} come back and"
        f" {found.n_only_now:,} go, a changed row counting as both."
    )
    if dry_run:
        say("Nothing was written; leave --dry-run out to restore.", style="dim")
    elif not found.n_only_then + found.n_only_now:
        say("Nothing differs, so that nothing was written.")
    else:
        before = store.versions(table)[0].id
        made = restore_table(store, table, found.version.id, part)
        undo = shlex.join([table, "--as-of", before, *_arguments(start, end, ticker)])
        say(f"Restored as version {made.id}; `factor-assets store restore {undo}` undoes it.")
        say(
            f"What was made from {table} is as it was: make it again where it is to follow. The next backfill that"
            f" makes {table} replaces what was restored."
        )


@app.command()
def copy(
    names: Annotated[list[str] | None, typer.Argument(help="Tables; by default all.", metavar="TABLES")] = None,
    *,
    to: Annotated[str, typer.Option(help=f"Where to: {_PLACE}.")],
    origin: Annotated[
        str, typer.Option("--from", help="Where from, likewise; default the store of the settings.")
    ] = "",
) -> None:
    """Copy tables to another store and compare them there; run it again to go on, or to copy what is new.

    lake and clickhouse are those of the settings. A table of the other store becomes equal to the copied one, as a new
    version; ledgers are merged; tables that only the other store has are left alone.
    """
    from factor_assets.storage.copying import copy_tables

    source, target = _store(origin), _store(to)
    if source.location("prices") == target.location("prices"):
        raise SettingsError(f"The tables are at {_where(source)} already; --to wants another place: {_PLACE}.")
    held = names or source.tables()
    if not held:
        raise StoreError(f"There is no table to copy at {_where(source)}; --from names where the tables are: {_PLACE}.")
    accounts: list[Copied] = []
    with progress_bars() as advance:
        for account in copy_tables(
            source, target, tables=names or None, on_progress=lambda _, done, total: advance("slices", done, total)
        ):
            accounts.append(account)
            advance("tables", min(len(accounts), len(held)), len(held))
            if not notes.is_terminal:
                notes.print(f"{account.table}: {account.outcome}, {account.n_rows} rows in {account.seconds:.1f} s")
    _print_copied(accounts, place=_where(target))
    if any(account.outcome == "failed" for account in accounts):
        raise typer.Exit(1)


def _print_copied(accounts: Sequence["Copied"], *, place: str) -> None:
    rows: list[dict[str, Any]] = [
        {
            "table": account.table,
            "outcome": account.outcome,
            "rows": account.n_rows,
            "slices": account.n_slices,
            "written": account.n_written,
            "seconds": f"{account.seconds:.1f}",
        }
        for account in accounts
    ]
    print_rows(rows, list(rows[0]))
    outcomes = [row["outcome"] for row in rows]
    counted = ", ".join(f"{outcomes.count(outcome)} {outcome}" for outcome in dict.fromkeys(outcomes))
    say(f"{counted}; {sum(row['rows'] for row in rows):,} rows are the same at {place}.")
    for account in accounts:
        if account.outcome == "failed":
            say(f"{account.table} failed: {account.reason}", style="red")


def _store(place: str) -> "Store":
    """Open the store of the settings, or the one at a place that a user named."""
    from factor_assets.storage.opening import open_store

    return open_store(load_settings(environment={**os.environ, **_named(place)}))


def _where(store: "Store") -> str:
    """Where a store is: its folder, URI, or server and database."""
    return store.location("prices").removesuffix("prices").rstrip("/.")


def _named(place: str) -> Mapping[str, str]:
    """Return the variables that make a place the store of the settings."""
    kind, path = f"{ENVIRONMENT_PREFIX}STORE__KIND", f"{ENVIRONMENT_PREFIX}STORE__PATH"
    if not place:
        return {}
    if place in _KINDS:
        return {kind: place}
    try:
        require_place(place)
    except ValueError:
        raise SettingsError(f"A store is {_PLACE}; got {place!r}.") from None
    if "/" not in place and not Path(place).is_dir():
        raise SettingsError(
            f"A store is {_PLACE}; got {place!r}; {did_you_mean(place, _KINDS)} For a new folder write ./{place}"
        )
    return {kind: "lake", path: place}


def _part(start: datetime | None, end: datetime | None, tickers: list[str] | None) -> "Slice":
    from factor_assets.storage.slice import Slice

    return Slice(
        start=start.date() if start else None,
        # no date comes after the last one
        end=end.date() + timedelta(days=1) if end and end.date() < date.max else None,
        tickers=frozenset(tickers) if tickers else None,
    )


def _arguments(start: datetime | None, end: datetime | None, tickers: list[str] | None) -> list[str]:
    """Return how the part was asked for, to ask for it again."""
    dates = [f"{name}={day:%Y-%m-%d}" for name, day in (("--start", start), ("--end", end)) if day]
    # Joined by =, since a ticker may begin with a hyphen.
    return [*dates, *(f"--ticker={ticker}" for ticker in tickers or ())]


def _write_csv(rows: Any, file: Path) -> None:
    import pyarrow as pa
    import pyarrow.csv

    try:
        pyarrow.csv.write_csv(textual(rows), file)
    except OSError as error:
        raise SettingsError(f"{file} cannot be written: {error}. Choose another file.") from error
    except pa.ArrowException as error:
        raise StoreError(f"The result is no CSV file: {error}. Cast that column to a text or a number.") from error
    say(f"{rows.num_rows} rows written to {file}", to=notes)
