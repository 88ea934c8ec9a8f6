"""Runs from the command line: the stages in order, through Dagster's own executor, with progress and an account.

1. Resolve what was asked for to asset keys, and those to stages (`automation.STAGES`).
2. Per stage, find the partitions of the dates asked for; with `missing_only`, those not yet made.
3. Execute one run for each unbroken range of partitions; a failed asset holds up only what needs it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from time import monotonic
from uuid import uuid4

import dagster as dg

from factor_assets.defs.automation import STAGES, add_tickers, range_tags, stage_selections
from factor_assets.errors import SettingsError, did_you_mean
from factor_assets.workspace import Workspace

Progress = Callable[[str, int, int], None]
"""Called with the stage, what is done and what there is to do, in asset partitions."""

_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(kw_only=True)
class StageAccount:
    """What one stage did.

    Parameters
    ----------
    made, skipped, failed
        Asset partitions made now, left because they were made before, and wanted but not made.
    made_of
        Asset -> partitions made now.
    without
        Assets of which nothing was made, though something was wanted.
    failures
        Asset or step -> error.
    failed_checks
        "asset: check" -> what it found, of this run.
    """

    stage: str
    made: int = 0
    skipped: int = 0
    failed: int = 0
    seconds: float = 0.0
    made_of: dict[dg.AssetKey, int] = field(default_factory=dict)
    without: set[dg.AssetKey] = field(default_factory=set)
    failures: dict[str, str] = field(default_factory=dict)
    failed_checks: dict[str, str] = field(default_factory=dict)


def resolve(definitions: dg.Definitions, names: Sequence[str]) -> set[dg.AssetKey]:
    """Return the assets that the names mean; all of them for no name.

    A name is an asset's key (`factors/momentum/ret_12_1`), the last part of one (`ret_12_1`), or a group (`momentum`);
    a `+` behind it adds everything downstream.

    Raises
    ------
    SettingsError
        If a name means nothing; the message has the nearest.
    """
    graph = definitions.resolve_asset_graph()
    keys = graph.get_all_asset_keys()
    if not names:
        return {key for key in keys if graph.get(key).group_name != "maintenance"}
    chosen: set[dg.AssetKey] = set()
    for name in names:
        plain = name.removesuffix("+")
        found = {key for key in keys if plain in (key.to_user_string(), key.path[-1], graph.get(key).group_name)}
        if not found:
            choices = {key.path[-1] for key in keys} | {graph.get(key).group_name for key in keys}
            raise SettingsError(f"No asset or group is called {plain!r}; {did_you_mean(plain, choices)}")
        if name.endswith("+"):
            found = set(dg.AssetSelection.assets(*found).downstream().resolve(graph))
        chosen |= found
    return chosen


def run_stages(
    definitions: dg.Definitions,
    workspace: Workspace,
    instance: dg.DagsterInstance,
    *,
    names: Sequence[str] = (),
    start: date | None = None,
    end: date | None = None,
    missing_only: bool = False,
    progress: Progress = lambda stage, done, total: None,
) -> Iterator[StageAccount]:
    """Make the named assets for the dates, stage by stage, yielding each stage's account.

    Parameters
    ----------
    names
        As `resolve` reads them.
    start, end
        First and last date, both inclusive; by default all.
    missing_only
        Leave partitions that have been made before.

    Raises
    ------
    SettingsError
        If a name means nothing, or the dates lie outside the data.
    """
    chosen = resolve(definitions, names)
    assets = [a for a in definitions.assets or [] if isinstance(a, dg.AssetsDefinition)]
    stages = stage_selections(assets)
    if dg.AssetKey("price_history") in chosen or any(key in chosen for key in stages["details"]):
        add_tickers(instance, workspace)
    held_up: set[dg.AssetKey] = set()
    for stage in STAGES:
        keys = [key for key in stages[stage] if key in chosen and key not in held_up]
        waiting = [key for key in stages[stage] if key in chosen and key in held_up]
        if not keys:
            if waiting:
                yield _held_up(stage, waiting)
            continue
        account = _run_stage(
            definitions,
            instance,
            stage,
            keys,
            partitions=_partitions(definitions, workspace, instance, keys[0], start=start, end=end),
            missing_only=missing_only,
            progress=progress,
        )
        if waiting:
            account.failed += len(waiting)
            account.failures |= _held_up(stage, waiting).failures
        if account.without:
            graph = definitions.resolve_asset_graph()
            held_up |= set(dg.AssetSelection.assets(*account.without).downstream().resolve(graph))
        yield account


def _held_up(stage: str, keys: Sequence[dg.AssetKey]) -> StageAccount:
    """Account of assets that are not run because nothing was made of what they need."""
    failures = {key.to_user_string(): "not run, because what it needs failed" for key in keys}
    return StageAccount(stage=stage, failed=len(keys), without=set(keys), failures=failures)


def _run_stage(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    stage: str,
    keys: list[dg.AssetKey],
    *,
    partitions: list[str] | None,
    missing_only: bool,
    progress: Progress,
) -> StageAccount:
    account = StageAccount(stage=stage)
    began = monotonic()
    ranges: list[list[str]] = [partitions or []]
    if missing_only:
        made = [_made(instance, key) for key in keys]
        if partitions is None:
            account.skipped = sum(bool(m) for m in made)
            ranges = [[]] if account.skipped < len(keys) else []
        else:
            absent = [p for p in partitions if not all(p in m for m in made)]
            account.skipped = (len(partitions) - len(absent)) * len(keys)
            ranges = _unbroken(absent, partitions)
    per_range = [max(1, len(part)) * len(keys) for part in ranges]
    total, done = sum(per_range), 0
    for part, size in zip(ranges, per_range, strict=True):
        _execute(
            definitions, instance, account, keys, part, lambda n, base=done: progress(stage, base + n, total), size
        )
        done += size
        progress(stage, done, total)
    account.failed = total - account.made
    account.without = {key for key in keys if total and not account.made_of.get(key)}
    account.seconds = monotonic() - began
    return account


def _execute(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    account: StageAccount,
    keys: list[dg.AssetKey],
    part: list[str],
    advance: Callable[[int], None],
    size: int,
) -> None:
    """Execute one run and read its account from its events."""
    run_id = str(uuid4())
    seen = {"planned": 0, "made": 0}

    def listen(entry: dg.EventLogEntry) -> None:
        event = entry.dagster_event
        if event is None:
            return
        if event.event_type == dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED:
            seen["planned"] += 1
        elif event.event_type == dg.DagsterEventType.ASSET_MATERIALIZATION:
            seen["made"] += 1
            account.made += 1
            if event.asset_key is not None:
                account.made_of[event.asset_key] = account.made_of.get(event.asset_key, 0) + 1
        elif event.event_type == dg.DagsterEventType.STEP_FAILURE:
            error = event.step_failure_data.error
            while error is not None and error.cause is not None:
                error = error.cause
            account.failures[str(event.step_key)] = error.message.strip() if error else "unknown error"
        elif event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            check = event.asset_check_evaluation_data
            if not check.passed:
                account.failed_checks[f"{check.asset_key.to_user_string()}: {check.check_name}"] = (
                    check.description or ""
                )
        # Dagster writes one event that plans a partition and one that says it was made.
        advance(min(size, (seen["planned"] + seen["made"]) // 2))

    instance.add_event_listener(run_id, listen)
    definitions.resolve_job_def(account.stage).execute_in_process(
        instance=instance,
        run_id=run_id,
        asset_selection=keys,
        tags=range_tags(part[0], part[-1]) if part else None,
        run_config=_QUIET,
        raise_on_error=False,
    )


def _partitions(
    definitions: dg.Definitions,
    workspace: Workspace,
    instance: dg.DagsterInstance,
    key: dg.AssetKey,
    *,
    start: date | None,
    end: date | None,
) -> list[str] | None:
    """Return the partitions of the dates, in order; None for an unpartitioned asset."""
    definition = definitions.resolve_asset_graph().get(key).partitions_def
    if definition is None:
        return None
    every = list(definition.get_partition_keys(dynamic_partitions_store=instance))
    if not isinstance(definition, dg.TimeWindowPartitionsDefinition):
        return every
    first, last = start or workspace.settings.start, end or workspace.settings.last_date
    wanted = []
    for name in every:
        window = definition.time_window_for_partition_key(name)
        if window.end.date() > first and window.start.date() <= last:
            wanted.append(name)
    if not wanted:
        raise SettingsError(
            f"No partition lies between {first} and {last}; the data run from {workspace.settings.start} to"
            f" {workspace.settings.end or 'the last session'}. Change the dates, or data.start and data.end."
        )
    return wanted


def _made(instance: dg.DagsterInstance, key: dg.AssetKey) -> set[str]:
    """Partitions that were made; for an unpartitioned asset something that is true when it was."""
    if instance.get_latest_materialization_event(key) is None:
        return set()
    return set(instance.get_materialized_partitions(key)) or {""}


def _unbroken(chosen: Sequence[str], every: Sequence[str]) -> list[list[str]]:
    """Split the chosen partitions into runs of neighbours."""
    position = {name: i for i, name in enumerate(every)}
    ranges: list[list[str]] = []
    for name in chosen:
        if ranges and position[name] == position[ranges[-1][-1]] + 1:
            ranges[-1].append(name)
        else:
            ranges.append([name])
    return ranges
