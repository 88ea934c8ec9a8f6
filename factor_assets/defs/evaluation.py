"""Assets of evidence: factor_timeseries and factor_quantiles by date, factor_details by ticker, factor_summary."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from hashlib import sha256
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from factor_assets.defs.factors import factor_key
from factor_assets.defs.libraries import library_key
from factor_assets.defs.materialization import on_all, replace_selected, replace_slice, table_asset
from factor_assets.defs.partitions import TICKERS, dates, earlier, slice_of, with_retired
from factor_assets.evaluation.regressions import factor_details as regress_tickers
from factor_assets.evaluation.summary import factor_summary as summarise
from factor_assets.evaluation.timeseries import evaluate_factors, history_sessions, past_warm_up
from factor_assets.factors.registry import RegisteredFactor
from factor_assets.panel.panel import Array, Panel
from factor_assets.settings import version_of
from factor_assets.storage.slice import EVERYTHING, Slice
from factor_assets.tables import TABLES
from factor_assets.workspace import Workspace

TIMESERIES, QUANTILES = dg.AssetKey("factor_timeseries"), dg.AssetKey("factor_quantiles")
DETAILS, SUMMARY = dg.AssetKey("factor_details"), dg.AssetKey("factor_summary")
GROUP = "evaluation"

COLUMNS_A_READ = 16
"""Columns of a library that are read together: few enough for the memory, enough to spare most of the reads."""


def evaluation_assets(workspace: Workspace) -> list[dg.AssetsDefinition]:
    """Return the assets of this file."""
    return [_by_date(workspace), _by_ticker(workspace), _summary(workspace)]


def _by_date(workspace: Workspace) -> dg.AssetsDefinition:
    settings = workspace.settings
    factors = evaluated_factors(workspace)
    code_version = evaluated_version(workspace)
    history = history_sessions(settings.evaluation)
    reaches_back = earlier(settings, history)

    tables = value_tables(workspace)
    upstreams = [dg.AssetKey(name.split("/")) for name in (*tables, *workspace.panel_tables())]

    @dg.multi_asset(
        name="factor_returns",
        specs=[
            table_asset(
                TABLES[name],
                group=GROUP,
                code_version=code_version,
                partitions=dates(settings),
                deps=[dg.AssetDep(upstream, partition_mapping=reaches_back) for upstream in upstreams],
                skippable=True,
            )
            for name in ("factor_timeseries", "factor_quantiles")
        ],
        check_specs=[
            dg.AssetCheckSpec(
                "sessions_computed",
                asset=TIMESERIES,
                description="Every factor has a return on every session once its lookback has passed.",
            )
        ],
        can_subset=True,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def factor_returns(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
        part = slice_of(context)
        panel = workspace.panel(part, history=history)
        evidence = evaluate_factors(
            stored_values(workspace, panel),
            panel,
            settings=settings.evaluation,
            universe=settings.universe_name,
            source=workspace.source.label,
            start_row=len(panel.dates) - len(workspace.sessions(part)),
        )
        yield from replace_selected(
            context,
            workspace,
            part,
            {TIMESERIES: evidence.timeseries, QUANTILES: evidence.quantiles},
            code_version=code_version,
            inputs=(*workspace.panel_tables(), *tables),
        )
        if TIMESERIES in context.selected_asset_keys:
            yield _sessions_check(evidence.timeseries, workspace, factors)

    return factor_returns


def _sessions_check(
    timeseries: pa.Table, workspace: Workspace, factors: Sequence[RegisteredFactor]
) -> dg.AssetCheckResult:
    lookbacks = {(factor.family, factor.name): factor.lookback for factor in factors}
    expected = past_warm_up(timeseries, sessions=workspace.sessions(EVERYTHING), lookbacks=lookbacks)
    missing = timeseries.filter(pa.array(expected)).filter(pc.field("reason").is_valid())
    counts = {entry["values"]: entry["counts"] for entry in missing["reason"].value_counts().to_pylist()}
    names = sorted(set(missing["factor_name"].to_pylist()))
    return dg.AssetCheckResult(
        check_name="sessions_computed",
        asset_key=TIMESERIES,
        passed=not missing.num_rows,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{missing.num_rows} of {int(expected.sum())} factor sessions past the lookback are null:"
        f" {', '.join(names)}"
        if missing.num_rows
        else None,
        metadata={
            "n_null": missing.num_rows,
            "n_expected": int(expected.sum()),
            "n_before_lookback": timeseries.num_rows - int(expected.sum()),
            "reasons": counts,
        },
    )


def _by_ticker(workspace: Workspace) -> dg.AssetsDefinition:
    settings = workspace.settings
    code_version = version_of(settings.evaluation, code="2")

    spec = table_asset(
        TABLES["factor_details"],
        group=GROUP,
        code_version=code_version,
        partitions=TICKERS,
        deps=on_all(TIMESERIES, dg.AssetKey("prices")),
    )

    @dg.multi_asset(name="factor_details", specs=[spec], backfill_policy=dg.BackfillPolicy.single_run())
    def factor_details(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        part = slice_of(context)
        rows = regress_tickers(
            workspace.evidence("factor_timeseries"),
            workspace.panel(part),
            settings=settings.evaluation,
            universe=settings.universe_name,
            source=workspace.source.label,
        )
        return replace_slice(
            context,
            workspace,
            "factor_details",
            with_retired(part, workspace.unused_tickers("factor_details")),
            rows,
            asset_key=DETAILS,
            code_version=code_version,
            inputs=("prices", "factor_timeseries"),
            metadata={"without_regression": rows["beta"].null_count},
        )

    return factor_details


def _summary(workspace: Workspace) -> dg.AssetsDefinition:
    settings = workspace.settings
    code_version = version_of(settings.evaluation, code="2")

    spec = table_asset(
        TABLES["factor_summary"], group=GROUP, code_version=code_version, deps=on_all(TIMESERIES, DETAILS)
    )

    @dg.multi_asset(name="factor_summary", specs=[spec])
    def factor_summary(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        rows = summarise(
            workspace.evidence("factor_timeseries"),
            workspace.store.read("factor_details"),
            descriptions={(f.family, f.name): _described(f) for f in evaluated_factors(workspace)},
            settings=settings.evaluation,
            universe=settings.universe_name,
            membership=workspace.membership(),
            source=workspace.source.label,
        )
        return replace_slice(
            context,
            workspace,
            "factor_summary",
            EVERYTHING,
            rows,
            asset_key=SUMMARY,
            code_version=code_version,
            inputs=("factor_timeseries", "factor_details"),
            metadata={"summary": dg.MetadataValue.md(_markdown(rows.to_pylist()))},
        )

    return factor_summary


def evaluated_factors(workspace: Workspace) -> list[RegisteredFactor]:
    """Return the factors, and the columns of the libraries, that are evaluated, by family and name."""
    columns = (factor for library in workspace.libraries.values() for factor in library.factors.values())
    return sorted((*workspace.factors.values(), *columns), key=lambda factor: (factor.family, factor.name))


def value_tables(workspace: Workspace) -> list[str]:
    """Return the tables that hold the values of what is evaluated."""
    keys = [*map(factor_key, workspace.factors.values()), *map(library_key, workspace.libraries)]
    return sorted("/".join(key.path) for key in keys)


def stored_values(workspace: Workspace, panel: Panel) -> Iterator[tuple[str, str, Array]]:
    """Yield family, name and values of what is evaluated, a few columns in memory at once."""
    for factor in workspace.factors.values():
        yield factor.family, factor.name, workspace.factor_values(factor.family, factor.name, panel)
    if not len(panel.dates):
        return
    part = Slice(start=panel.dates[0].item(), end=panel.dates[-1].item() + timedelta(days=1))
    for library in workspace.libraries.values():
        names = list(library.factors)
        for i in range(0, len(names), COLUMNS_A_READ):
            some = names[i : i + COLUMNS_A_READ]
            rows = workspace.store.read(f"libraries/{library.name}", part, columns=["date", "ticker", *some])
            for name in some:
                yield library.name, name, panel.scatter(rows, name)


def evaluated_version(workspace: Workspace) -> str:
    """Return the code version of a table over everything that is evaluated.

    It changes with the names: a factor that is no longer chosen leaves rows behind until they are made again.
    """
    names = "\n".join(f"{factor.family}/{factor.name}" for factor in evaluated_factors(workspace))
    return version_of(workspace.settings.evaluation, code=f"1-{sha256(names.encode()).hexdigest()[:8]}")


def _described(factor: RegisteredFactor) -> str:
    return f"{factor.expression}\n{factor.factor.cite}"


def _markdown(rows: list[dict[str, Any]]) -> str:
    shown = {
        "factor_type": "type",
        "factor_name": "factor",
        "annualized_return": "ann. return",
        "sharpe_ratio": "Sharpe",
        "factor_return_tstat": "t (return)",
        "mean_rank_ic": "rank IC",
        "rank_ic_tstat": "t (IC)",
        "avg_tstat": "avg t",
        "avg_rsquared": "avg R2",
    }
    lines = ["| " + " | ".join(shown.values()) + " |", "|" + "---|" * len(shown)]
    for row in rows:
        cells = [row[name] for name in shown]
        lines.append(
            "| "
            + " | ".join("-" if c is None else f"{c:.3f}" if isinstance(c, float) else str(c) for c in cells)
            + " |"
        )
    return "\n".join(lines)
