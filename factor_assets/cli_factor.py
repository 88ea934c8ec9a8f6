"""The commands `factor-assets factor ...`: list and show what is declared, try a formula, list trials, begin anew."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from factor_assets.errors import SettingsError, UnknownFactorError, did_you_mean
from factor_assets.settings_file import load_settings
from factor_assets.terminal import print_factors, print_facts, print_libraries, print_look, print_rows, say

app = typer.Typer(help="List, show, try and declare factors.", no_args_is_help=True)

_TRIAL = ("tried", "by", "factor", "horizon", "sessions", "holdout", "t(IC)", "universe", "formula")
_CLAIMS = {1: "+, high values earned more", -1: "-, high values earned less", 0: "none claimed"}


@app.command("list")
def list_factors(
    *,
    family: Annotated[str, typer.Option(help="Only this family.")] = "",
    library: Annotated[str, typer.Option(help="The columns of this library.")] = "",
) -> None:
    """List the factors: formula, lookback, source in the literature; and the libraries."""
    from factor_assets.factors.registry import all_factors, all_libraries
    from factor_assets.workspace import Workspace

    workspace, libraries = Workspace(load_settings()), all_libraries()
    factors = {**all_factors(), **workspace.factors}
    if library:
        factors = dict(_chosen(library, libraries, "library").factors)
    elif family:
        families = {f.family: [g for g in factors.values() if g.family == f.family] for f in factors.values()}
        factors = {factor.name: factor for factor in _chosen(family, families, "family")}
    print_factors(list(factors.values()) if library else sorted(factors.values(), key=lambda f: (f.family, f.name)))
    if library:
        say(libraries[library].library.description)
    if library or family:
        return
    if libraries:
        print_libraries(list(libraries.values()))
    left_out = len(factors) - len(workspace.factors)
    if left_out:
        say(
            f'{left_out} of {len(factors)} factors are no assets here; factors.families chooses which are ("all").'
            " Those that read filings, reports or news want sec.contact, reports.path or news.source."
        )


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="Such as ret_12_1, momentum/ret_12_1 or alpha158/KMID.")],
) -> None:
    """Show all that is known of one factor, and its last evaluation."""
    from factor_assets.factors.registry import all_factors, all_libraries, find_factor
    from factor_assets.workspace import Workspace

    workspace = Workspace(load_settings())
    factor = find_factor(name, {**all_factors(), **workspace.factors}, all_libraries())
    declared = factor.factor
    say(f"{factor.family}/{factor.name}", style="bold")
    print_facts(
        {
            "formula": str(factor.expression),
            "description": declared.description,
            "inputs": ", ".join(factor.inputs),
            "lookback": f"{factor.lookback} sessions" if factor.lookback else "none",
            "compares": "the tickers of a date" if factor.is_cross_sectional else "each ticker with itself",
            "unit": declared.unit or "none",
            "sign": _CLAIMS[declared.sign],
            "citation": declared.cite,
            "doi": f"https://doi.org/{declared.doi}" if declared.doi else "",
            "declared in": factor.place,
            "code version": factor.code_version,
        }
    )
    rows = workspace.store.read("factor_summary").to_pylist()
    found = [row for row in rows if (row["factor_type"], row["factor_name"]) == (factor.family, factor.name)]
    if not found:
        say(f"Not evaluated yet; `factor-assets factor eval {factor.family}/{factor.name}` does at once.", style="dim")
    for row in found:
        print_facts(_last_evaluation(row))


@app.command("eval")
def evaluate(
    formula: Annotated[str, typer.Argument(help='A formula, such as "rank(-delta(close, 5))", or a factor\'s name.')],
    *,
    start: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="First session to look at.")] = None,
    end: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Last session to look at.")] = None,
    horizon: Annotated[
        int | None, typer.Option(min=1, max=252, help="Sessions of the forward return; default evaluation.horizon.")
    ] = None,
    include_holdout: Annotated[
        bool, typer.Option("--include-holdout", help="Look at the holdout as well; the ledger records that.")
    ] = False,
    html: Annotated[Path | None, typer.Option(help="Write the tear sheet to this file.")] = None,
) -> None:
    """Try a formula on the stored prices, or on the sample market where none are stored; the ledger counts it."""
    from factor_assets.trial import evaluate_factor
    from factor_assets.workspace import Workspace

    look = evaluate_factor(
        formula,
        start=start.date() if start else None,
        end=end.date() if end else None,
        horizon=horizon,
        include_holdout=include_holdout,
        workspace=Workspace(load_settings()),
        tried_by="command line",
    )
    print_look(look)
    if html is not None:
        _write(html, look.tear_sheet())
        say(f"The page: {html.absolute()}")


@app.command()
def trials(
    *,
    last: Annotated[int, typer.Option(min=1, help="How many, the newest first.")] = 20,
) -> None:
    """List the ledger: every evaluation of a factor, and how many different ones each universe has seen."""
    from factor_assets.evaluation.trials import family_size
    from factor_assets.workspace import Workspace

    ledger = Workspace(load_settings()).store.read("trials")
    if not ledger.num_rows:
        say("Nothing was tried yet; `factor-assets factor eval` adds the first trial.")
        return
    print_rows([_trial(row) for row in reversed(ledger.to_pylist()[-last:])], _TRIAL)
    if ledger.num_rows > last:
        say(f"and {ledger.num_rows - last:,} earlier ones; `--last {ledger.num_rows}` lists all.", style="dim")
    markets = sorted(set(zip(ledger["universe"].to_pylist(), ledger["source"].to_pylist(), strict=True)))
    for universe, source in markets:
        counted = family_size(ledger, universe=universe, source=source)
        say(f"{counted:,} different trials on universe {universe}, {source}.")
    n_holdout = sum(ledger["has_holdout"].to_pylist())
    if n_holdout:
        say(f"{n_holdout:,} of {ledger.num_rows:,} evaluations looked at the holdout.", style="yellow")


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="The factor's name: letters, digits and _.")],
    *,
    family: Annotated[str, typer.Option(help="The family, which is the file's name.")] = "own",
    formula: Annotated[str, typer.Option(help="The formula.")] = "rank(-delta(close, 5))",
) -> None:
    """Write the declaration of a new factor, and a test that runs it."""
    from factor_assets.expressions import parse
    from factor_assets.factors.user import declare

    settings = load_settings()
    paths = settings.factors.paths
    file, test = declare(name, parse(formula), family=family, paths=paths)
    say(f"Declared in {file}, tested by {test}.")
    if not paths:
        say(f'So that it is an asset, put this into your settings file:\n\n[factors]\npaths = ["{file.parent}"]\n')
    say(f"Try it: factor-assets factor eval {name}. Make it: factor-assets backfill {name}+. Test it: pytest {test}")


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"{file} cannot be written: {error.strerror}. Choose another file.") from error


def _chosen(name: str, known: Mapping[str, Any], kind: str) -> Any:
    if name not in known:
        raise UnknownFactorError(f"No {kind} is called {name!r}; {did_you_mean(name, known)}")
    return known[name]


def _trial(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "tried": row["tried_at"].strftime("%Y-%m-%d %H:%M UTC"),
        "by": row["tried_by"].split(",")[0],
        "factor": f"{row['factor_type']}/{row['factor_name']}",
        "horizon": row["horizon"],
        "sessions": f"{row['start_date']} to {row['end_date']}",
        "holdout": "yes" if row["has_holdout"] else "",
        "t(IC)": "-" if row["statistic"] is None else format(row["statistic"], "+.2f"),
        "universe": row["universe"],
        "formula": row["formula"],
    }


def _last_evaluation(row: Mapping[str, Any]) -> dict[str, str]:
    def number(column: str, form: str) -> str:
        return "-" if row[column] is None else format(row[column], form)

    return {
        "evaluated": f"{row['start_date']} to {row['end_date']}, {row['n_sessions']:,} sessions, {row['universe']},"
        f" {row['source']}",
        "rank IC": f"{number('mean_rank_ic', '+.4f')}, t {number('rank_ic_tstat', '+.2f')}",
        "high less low": f"{number('annualized_return', '+.1%')} a year, t {number('factor_return_tstat', '+.2f')},"
        f" Sharpe {number('sharpe_ratio', '.2f')}",
        "coverage": f"{number('mean_coverage', '.1%')}, turnover {number('mean_turnover', '.1%')} a session",
    }
