"""Assets from the outside world to clean prices: price_history, universe, prices and corporate_actions."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, NamedTuple

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from factor_assets.defs.checks import finding_results, finding_specs
from factor_assets.defs.event_log import recorded_together
from factor_assets.defs.materialization import (
    null_counts,
    on_all,
    replace_slice,
    table_asset,
    version_metadata,
    write,
)
from factor_assets.defs.partitions import TICKERS, dates, slice_of
from factor_assets.errors import PanelError, SourceError
from factor_assets.panel.prices import clean_prices, revised_tickers
from factor_assets.panel.quality import CHECKS, inspect
from factor_assets.panel.universe import members, missing_tickers, survivorship_note, universe_version
from factor_assets.settings import version_of
from factor_assets.sources.price_source import Delivery
from factor_assets.storage.slice import Slice
from factor_assets.storage.store import Version
from factor_assets.tables import TABLES
from factor_assets.workspace import Workspace

PRICE_HISTORY, UNIVERSE = dg.AssetKey("price_history"), dg.AssetKey("universe")
GROUP = "market_data"
PRICES, CORPORATE_ACTIONS = dg.AssetKey("prices"), dg.AssetKey("corporate_actions")


class _Outcome(NamedTuple):
    """A delivery without its rows, which are not kept in memory."""

    ticker: str
    outcome: str
    reason: str
    dropped: Mapping[str, int]


def price_assets(workspace: Workspace) -> list[dg.AssetsDefinition]:
    """Return the assets of this file."""
    return [_price_history(workspace), _universe(workspace), _prices(workspace)]


def _price_history(workspace: Workspace) -> dg.AssetsDefinition:
    settings = workspace.settings
    code_version = version_of(settings.data, code=f"1-{workspace.source.version()}")

    @dg.multi_asset(
        name="price_history",
        specs=[
            table_asset(
                TABLES["price_history"],
                group=GROUP,
                code_version=code_version,
                partitions=TICKERS,
                description=f"{TABLES['price_history'].meaning} Source: {workspace.source.label}.",
                # A ticker that fails is not recorded as made, so it must be allowed to give nothing.
                skippable=True,
            )
        ],
        check_specs=[
            dg.AssetCheckSpec(
                "every_ticker_delivered", asset=PRICE_HISTORY, description="Every ticker asked for was delivered."
            )
        ],
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def price_history(context: dg.AssetExecutionContext) -> Iterator[dg.AssetCheckResult]:
        tickers = sorted(slice_of(context).tickers or ())
        outcomes: list[_Outcome] = []
        batch: list[Delivery] = []
        deliveries = workspace.source.fetch(
            tickers,
            start=settings.start,
            end=settings.end,
            stored=lambda ticker: workspace.store.read("price_history", Slice(tickers=frozenset({ticker}))),
        )
        for delivery in deliveries:
            outcomes.append(_Outcome(delivery.ticker, delivery.outcome, delivery.reason, delivery.dropped))
            batch.append(delivery)
            if len(batch) >= workspace.source.batch_size:
                _store_batch(context, workspace, batch, code_version=code_version)
                batch = []
        if batch:
            _store_batch(context, workspace, batch, code_version=code_version)
        yield _delivery_check(context, workspace, outcomes)

    return price_history


def _store_batch(
    context: dg.AssetExecutionContext, workspace: Workspace, batch: Sequence[Delivery], *, code_version: str
) -> None:
    """Commit the loaded tickers of a batch at once, then record each ticker that is stored as made."""
    loaded = {d.ticker: d.rows for d in batch if d.outcome == "loaded" and d.rows is not None}
    versions: dict[str, Version | None] = {
        d.ticker: workspace.store.latest_version("price_history", Slice(tickers=frozenset({d.ticker})))
        for d in batch
        if d.outcome == "unchanged"
    }
    if loaded:
        part, rows = Slice(tickers=frozenset(loaded)), pa.concat_tables(list(loaded.values()))
        version = write(context, workspace, "price_history", part, rows, code_version=code_version)
        versions |= dict.fromkeys(loaded, version)
    for delivery in batch:
        if delivery.outcome == "failed":
            context.log.warning(f"{delivery.ticker}: failed: {delivery.reason}")
    with recorded_together(context):
        for delivery in batch:
            stored = versions.get(delivery.ticker)
            if stored is not None:
                context.log_event(_made(workspace, delivery, stored, code_version=code_version))


def _made(workspace: Workspace, delivery: Delivery, version: Version, *, code_version: str) -> dg.AssetMaterialization:
    metadata: dict[str, Any] = {
        "outcome": delivery.outcome,
        "reason": delivery.reason,
        "dropped": dict(delivery.dropped),
    }
    if delivery.rows is not None:
        metadata |= {"dagster/partition_row_count": delivery.rows.num_rows}
        metadata |= version_metadata(workspace, version, null_counts("price_history", delivery.rows))
    return dg.AssetMaterialization(
        PRICE_HISTORY,
        partition=delivery.ticker,
        metadata=metadata,
        tags={"dagster/data_version": version.id, "dagster/code_version": code_version},
    )


def _delivery_check(
    context: dg.AssetExecutionContext, workspace: Workspace, outcomes: Sequence[_Outcome]
) -> dg.AssetCheckResult:
    counts = Counter(d.outcome for d in outcomes)
    dropped: Counter[str] = Counter()
    for delivery in outcomes:
        dropped.update(delivery.dropped)
    failed = [d for d in outcomes if d.outcome == "failed"]
    unused = workspace.unused_tickers()
    summary = f"{counts['loaded']} loaded, {counts['unchanged']} unchanged, {counts['failed']} failed"
    if failed:
        summary += (
            ": " + "; ".join(f"{d.ticker}: {d.reason}" for d in failed[:3]) + ("; ..." if len(failed) > 3 else "")
        )
    if unused:
        summary += f". {unused_note(unused)}"
    context.log.info(f"price_history: {summary}")
    if failed and len(failed) == len(outcomes):
        raise SourceError(
            f"None of the {len(outcomes)} tickers could be loaded from {workspace.source.label};"
            f" {failed[0].ticker}: {failed[0].reason}"
        )
    return dg.AssetCheckResult(
        check_name="every_ticker_delivered",
        asset_key=PRICE_HISTORY,
        passed=not failed,
        severity=dg.AssetCheckSeverity.WARN,
        description=summary,
        metadata={
            **{outcome: counts[outcome] for outcome in ("loaded", "unchanged", "failed")},
            "unused": len(unused),
            "rows_dropped": dict(dropped),
            "failures": dg.MetadataValue.md(
                "\n".join(["| ticker | reason |", "|---|---|", *(f"| {d.ticker} | {d.reason} |" for d in failed[:50])])
            ),
        },
    )


def unused_note(tickers: Sequence[str]) -> str:
    """Return what to know about stored tickers that the settings no longer want."""
    some = f"{', '.join(tickers[:3])}{', ...' if len(tickers) > 3 else ''}"
    return (
        f"{len(tickers)} tickers of earlier settings are kept and not used: {some}. The universe, or the source, no"
        " longer has them."
    )


def _universe(workspace: Workspace) -> dg.AssetsDefinition:
    settings = workspace.settings
    code_version = version_of(settings.universe, code=f"1-{universe_version(settings)}")

    @dg.multi_asset(
        name="universe",
        specs=[
            table_asset(
                TABLES["universe"],
                group=GROUP,
                code_version=code_version,
                partitions=dates(settings),
                deps=on_all(PRICE_HISTORY),
                description=f"{TABLES['universe'].meaning} Universe: {settings.universe_name}.",
            )
        ],
        check_specs=[
            dg.AssetCheckSpec(
                "every_member_has_prices", asset=UNIVERSE, description="Every member has prices in the source."
            ),
            dg.AssetCheckSpec(
                "membership_is_dated",
                asset=UNIVERSE,
                description="Members are those of the date, not today's survivors.",
            ),
        ],
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def universe(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
        part = slice_of(context)
        sessions = workspace.sessions(part)
        history = workspace.price_history(Slice(end=part.end), columns=["date", "ticker", "sector", "close", "source"])
        rows = members(settings, sessions=sessions, history=history, source=workspace.source)
        # Where no member has a row so far, all that is stored tells a wrong name from an early date.
        known = history if history.num_rows else workspace.store.read("price_history", columns=["ticker"])
        absent = missing_tickers(rows, known)
        note = survivorship_note(rows)
        yield replace_slice(
            context,
            workspace,
            "universe",
            part,
            rows,
            asset_key=UNIVERSE,
            code_version=code_version,
            inputs=("price_history",),
            metadata={"n_tickers": len(rows["ticker"].unique()), "survivorship": note or "members are dated"},
        )
        yield dg.AssetCheckResult(
            check_name="every_member_has_prices",
            asset_key=UNIVERSE,
            passed=not absent,
            severity=dg.AssetCheckSeverity.WARN,
            description=f"{len(absent)} members without any price, such as {', '.join(absent[:3])}" if absent else None,
            metadata={"n_missing": len(absent), "examples": absent[:50]},
        )
        yield dg.AssetCheckResult(
            check_name="membership_is_dated",
            asset_key=UNIVERSE,
            passed=note is None,
            severity=dg.AssetCheckSeverity.WARN,
            description=note,
        )

    return universe


def _prices(workspace: Workspace) -> dg.AssetsDefinition:
    settings = workspace.settings
    code_version = version_of()

    @dg.multi_asset(
        name="prices",
        specs=[
            table_asset(
                TABLES[name],
                group=GROUP,
                code_version=code_version,
                partitions=dates(settings),
                deps=on_all(PRICE_HISTORY),
                description=f"{TABLES[name].meaning} Source: {workspace.source.label}.",
                skippable=True,
            )
            for name in ("prices", "corporate_actions")
        ],
        check_specs=finding_specs(CHECKS, PRICES),
        can_subset=True,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def prices(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
        part = slice_of(context)
        # The adjustment factors of a date follow from every earlier row of the ticker, and from no later one.
        history = workspace.price_history(Slice(end=part.end))
        clean = clean_prices(
            history,
            sessions=workspace.sessions(Slice(end=part.end)),
            part=part,
            has_events=workspace.source.has_events,
        )
        _require_one_vintage(workspace, history, part)
        for key, rows in ((PRICES, clean.prices), (CORPORATE_ACTIONS, clean.corporate_actions)):
            if key in context.selected_asset_keys:
                yield replace_slice(
                    context,
                    workspace,
                    key.to_user_string(),
                    part,
                    rows,
                    asset_key=key,
                    code_version=code_version,
                    inputs=("price_history",),
                    metadata={"dropped": dict(clean.dropped), "treated": dict(clean.treated)}
                    if key == PRICES
                    else None,
                )
        if PRICES in context.selected_asset_keys:
            yield from finding_results(inspect(history, clean, part=part), PRICES)

    return prices


def _require_one_vintage(workspace: Workspace, history: pa.Table, part: Slice) -> None:
    """Refuse to put prices of a revised history behind stored ones that were made before the revision.

    Their adjustment factors would differ by the revised events, and the first return of the slice would be made up.

    Raises
    ------
    PanelError
        If the factors on the last stored session before the slice are not what the history gives now.
    """
    if part.start is None:
        return
    near = Slice(start=part.start - timedelta(days=40), end=part.start)
    stored = workspace.store.read("prices", near, columns=["date", "ticker", "total_return_factor", "split_factor"])
    last: date | None = pc.max(stored["date"]).as_py()
    if last is None:
        return
    session = Slice(start=last, end=last + timedelta(days=1))
    fresh = clean_prices(
        history,
        sessions=workspace.sessions(Slice(end=part.end)),
        part=session,
        has_events=workspace.source.has_events,
    ).prices
    revised = revised_tickers(stored.filter(session.mask(stored)), fresh)
    if revised:
        first = workspace.first_date_to_make() or last
        raise PanelError(
            f"The history of {len(revised)} tickers, such as {revised[0]}, was revised before {part.start}: the prices"
            f" stored for {last} have other adjustment factors than it gives now. Make everything from there on:"
            f" factor-assets backfill corporate_actions prices+ --start {first}"
        )
