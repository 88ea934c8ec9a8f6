"""Assets of regressions on factor returns: factor_rolling_betas by ticker, factor_spanning over all sessions.

What does not belong here: factor_details (`evaluation.py`), the regressions (`evaluation/rolling_betas.py`,
`evaluation/spanning_evidence.py`).
"""

from collections.abc import Iterator
from datetime import date
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from factor_assets import calendar
from factor_assets.defs.evaluation import GROUP, TIMESERIES, evaluated_factors, evaluated_version
from factor_assets.defs.markdown import markdown_table
from factor_assets.defs.materialization import on_all, replace_parts, replace_slice, table_asset
from factor_assets.defs.partitions import TICKERS, slice_of
from factor_assets.errors import CalendarError
from factor_assets.evaluation.rolling_betas import RollingBetas, factor_rolling_betas, window_observations
from factor_assets.evaluation.spanning_evidence import factor_spanning
from factor_assets.settings import version_of
from factor_assets.sources.known_factors import KnownFactors, known_factors_version, read_known_factors
from factor_assets.storage.slice import EVERYTHING, Slice
from factor_assets.tables import TABLES
from factor_assets.workspace import Workspace

BETAS, SPANNING = dg.AssetKey("factor_rolling_betas"), dg.AssetKey("factor_spanning")
BETAS_CHECK, SPANNING_CHECK = "betas_are_known", "factors_are_regressed"

BETAS_AT_ONCE = 1_000_000
"""Rows of rolling betas that are in memory, and written, together."""

WITHOUT_BETA = 0.05
"""Share of the betas that may be missing although factor and ticker have returns enough."""

_TOLD = 3
"""Factors without a regression that the check's sentence names; its metadata has all."""


def regression_assets(workspace: Workspace) -> list[dg.AssetsDefinition]:
    """Return the assets of this file."""
    return [_betas(workspace), _spanning(workspace)]


def _betas(workspace: Workspace) -> dg.AssetsDefinition:
    settings = workspace.settings
    code_version = version_of(settings.evaluation)

    spec = table_asset(
        TABLES["factor_rolling_betas"],
        group=GROUP,
        code_version=code_version,
        partitions=TICKERS,
        deps=on_all(TIMESERIES, dg.AssetKey("prices")),
    )
    check = dg.AssetCheckSpec(
        BETAS_CHECK,
        asset=BETAS,
        description=f"At most {WITHOUT_BETA:.0%} of the betas are missing where factor and ticker have returns enough.",
    )

    @dg.multi_asset(
        name="factor_rolling_betas",
        specs=[spec],
        check_specs=[check],
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def rolling_betas(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
        part = slice_of(context)
        counted = {"rows": 0, "too_short": 0, "without": 0}

        def parts() -> Iterator[tuple[Slice, pa.Table]]:
            if retired := workspace.unused_tickers("factor_rolling_betas"):
                # Betas on returns of an earlier universe.
                yield Slice(tickers=frozenset(retired)), TABLES["factor_rolling_betas"].schema.empty_table()
            for piece, found in _beta_parts(workspace, part):
                counted["rows"] += found.rows.num_rows
                counted["too_short"] += found.n_too_short
                counted["without"] += found.n_without
                yield piece, found.rows

        yield replace_parts(
            context,
            workspace,
            "factor_rolling_betas",
            part,
            parts(),
            asset_key=BETAS,
            code_version=code_version,
            inputs=("prices", "factor_timeseries"),
            metadata={
                "window_sessions": settings.evaluation.beta_window,
                "min_observations": window_observations(settings.evaluation),
            },
        )
        yield _betas_check(**counted)

    return rolling_betas


def _beta_parts(workspace: Workspace, part: Slice) -> Iterator[tuple[Slice, RollingBetas]]:
    """Yield the betas of so many tickers at once that the memory is bounded."""
    settings = workspace.settings
    timeseries = workspace.evidence("factor_timeseries", columns=["date", "factor_type", "factor_name", "factor_value"])
    sessions = workspace.sessions(EVERYTHING)
    n_factors = timeseries.group_by(["factor_type", "factor_name"]).aggregate([]).num_rows
    n_months = len(sessions) // 21 + 1
    tickers = sorted(part.tickers or ())
    size = max(1, BETAS_AT_ONCE // max(1, n_factors * n_months))
    for i in range(0, len(tickers), size):
        piece = Slice(tickers=frozenset(tickers[i : i + size]))
        yield (
            piece,
            factor_rolling_betas(
                timeseries,
                workspace.panel(piece),
                settings=settings.evaluation,
                universe=settings.universe_name,
                source=workspace.source.label,
                next_session=_session_after(settings.data.calendar, workspace.last_session),
            ),
        )


def _session_after(name: str, day: date) -> date | None:
    try:
        return calendar.next_session(name, day)
    except CalendarError:
        return None


def _betas_check(*, rows: int, too_short: int, without: int) -> dg.AssetCheckResult:
    share = without / (rows + without) if without else 0.0
    return dg.AssetCheckResult(
        check_name=BETAS_CHECK,
        asset_key=BETAS,
        passed=share <= WITHOUT_BETA,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{without} of {rows + without} betas are missing: too few sessions have both returns, or one is"
        " constant."
        if without
        else None,
        metadata={"n_betas": rows, "n_without": without, "share_without": share, "n_before_window": too_short},
    )


def _spanning(workspace: Workspace) -> dg.AssetsDefinition:
    settings = workspace.settings
    code_version = "-".join(
        filter(None, (evaluated_version(workspace), known_factors_version(settings.evaluation.known_factors)))
    )
    inputs = ("prices", "universe", "factor_timeseries")

    spec = table_asset(
        TABLES["factor_spanning"],
        group=GROUP,
        code_version=code_version,
        deps=on_all(*map(dg.AssetKey, inputs)),
    )
    check = dg.AssetCheckSpec(
        SPANNING_CHECK,
        asset=SPANNING,
        description="Every factor with returns enough is regressed on every benchmark.",
    )

    @dg.multi_asset(name="factor_spanning", specs=[spec], check_specs=[check])
    def spanning(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
        rows = factor_spanning(
            workspace.evidence("factor_timeseries"),
            workspace.panel(),
            settings=settings.evaluation,
            universe=settings.universe_name,
            source=workspace.source.label,
            known_factors=_known_factors(workspace),
        )
        alphas = rows.filter(pc.field("coefficient") == "alpha")
        yield replace_slice(
            context,
            workspace,
            "factor_spanning",
            EVERYTHING,
            rows,
            asset_key=SPANNING,
            code_version=code_version,
            inputs=inputs,
            metadata={
                "n_factors": len(evaluated_factors(workspace)),
                "benchmarks": sorted(set(rows["benchmark"].to_pylist())),
                "without_regression": alphas["loading"].null_count,
                "alphas": dg.MetadataValue.md(markdown_table(alphas.to_pylist(), _SHOWN)),
            },
        )
        yield _spanning_check(alphas, least=settings.evaluation.min_observations)

    return spanning


def _known_factors(workspace: Workspace) -> KnownFactors | None:
    path = workspace.settings.evaluation.known_factors
    return read_known_factors(path) if path else None


def _spanning_check(alphas: pa.Table, *, least: int) -> dg.AssetCheckResult:
    """Tell which regressions are missing; too few sessions before the first return are nobody's fault."""
    none = alphas.filter(pc.field("loading").is_null())
    missing = none.filter(pc.field("n_sessions") >= least).to_pylist()
    why = {f"{row['factor_type']}/{row['factor_name']} on {row['benchmark']}": row["reason"] for row in missing}
    told = f"{', '.join(list(why)[:_TOLD])}{', ...' if len(why) > _TOLD else ''}"
    return dg.AssetCheckResult(
        check_name=SPANNING_CHECK,
        asset_key=SPANNING,
        passed=not why,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{len(why)} of {alphas.num_rows} regressions are missing: {told}" if why else None,
        metadata={
            "n_regressions": alphas.num_rows - none.num_rows,
            "n_missing": len(why),
            "n_too_short": none.num_rows - len(missing),
            "reasons": why,
        },
    )


_SHOWN = {
    "factor_type": "type",
    "factor_name": "factor",
    "benchmark": "on",
    "loading": "alpha a session",
    "loading_tstat": "t",
    "loading_pvalue": "p",
    "spanning_rsquared": "R2",
    "n_sessions": "sessions",
    "reason": "missing",
}
