"""Runs from the command line: the stages in order, through Dagster's own executor, with progress and an account.

1. Refuse settings whose tables are elsewhere than what was made before (`place.py`).
2. Resolve what was asked for to asset keys, and those to stages (`automation.stage_selections`).
3. Per stage, find the partitions of the dates asked for; with `missing_only`, those that are outdated.
4. Execute one run for each unbroken range of partitions; a failed asset holds up only what needs it.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from time import monotonic
from uuid import uuid4

import dagster as dg
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph

from factor_assets.defs.automation import LIBRARIES, add_tickers, is_on_demand, range_tags, stage_selections
from factor_assets.defs.instance import process_tags
from factor_assets.defs.maintenance import LAKE_MAINTENANCE, MAINTENANCE
from factor_assets.defs.outdated import CODE_VERSION_TAG, IN_VAIN, UNPARTITIONED, outdated
from factor_assets.defs.partitions import TICKERS
from factor_assets.defs.place import record_place, require_place
from factor_assets.defs.prices import unused_note
from factor_assets.defs.report_sensor import add_reports
from factor_assets.defs.reports import REPORT_PARTITIONS
from factor_assets.defs.reports import STAGE as REPORT_STAGE
from factor_assets.errors import SettingsError, UniverseError, did_you_mean
from factor_assets.workspace import Workspace

Progress = Callable[[str, int, int], None]
"""Called with the stage, what is done and what there is to do, in asset partitions."""

_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}

_PLAN_SHARE = 0.1
"""Part of a run's time that goes into recording its plan."""


def _silent(stage: str, done: int, total: int) -> None:
    """A `Progress` that nobody watches."""


@dataclass(kw_only=True)
class StageAccount:
    """What one stage did.

    Parameters
    ----------
    made, skipped, failed
        Asset partitions made now, left because they are current, and wanted but not made.
    made_of
        Asset -> partitions made now.
    without
        Assets of which nothing was made, though something was wanted.
    failures
        Asset or step -> error.
    held_up
        Assets that were not run, or gave nothing, because what they need failed.
    failed_checks
        "asset: check" -> what it found, of this run.
    notes
        What to know beside.
    """

    stage: str
    made: int = 0
    skipped: int = 0
    failed: int = 0
    seconds: float = 0.0
    made_of: dict[dg.AssetKey, int] = field(default_factory=dict)
    without: set[dg.AssetKey] = field(default_factory=set)
    failures: dict[str, str] = field(default_factory=dict)
    held_up: set[dg.AssetKey] = field(default_factory=set)
    failed_checks: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def resolve(definitions: dg.Definitions, names: Sequence[str]) -> set[dg.AssetKey]:
    """Return the assets that the names mean; for no name all but the upkeep and what is made on demand.

    A name is an asset's key (`factors/momentum/ret_12_1`), the last part of one (`ret_12_1`), or a group (`momentum`);
    a `+` behind it adds everything downstream, but for what is made on demand.

    Raises
    ------
    SettingsError
        If a name means nothing; the message has the nearest.
    """
    graph = definitions.resolve_asset_graph()
    keys = graph.get_all_asset_keys()
    regular = {key for key in keys if not is_on_demand(graph.get(key))}
    if not names:
        return {key for key in regular if graph.get(key).group_name != MAINTENANCE}
    chosen: set[dg.AssetKey] = set()
    for name in names:
        plain = name.removesuffix("+")
        found = {key for key in keys if plain in (key.to_user_string(), key.path[-1], graph.get(key).group_name)}
        if not found:
            choices = {key.path[-1] for key in keys} | {graph.get(key).group_name for key in keys}
            raise SettingsError(f"No asset or group is called {plain!r}; {did_you_mean(plain, choices)}")
        if name.endswith("+"):
            found |= dg.AssetSelection.assets(*found).downstream().resolve(graph) & regular
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
    progress: Progress = _silent,
) -> Iterator[StageAccount]:
    """Make the named assets for the dates, stage by stage, yielding each stage's account.

    Parameters
    ----------
    names
        As `resolve` reads them.
    start, end
        First and last date, both inclusive; by default all.
    missing_only
        Leave partitions that are current, as `outdated` knows them.

    Raises
    ------
    SettingsError
        If a name means nothing, the dates lie outside the data, what the assets are made from was never made, or what
        was made before is in another place than the settings have the tables.
    UniverseError
        If there is no ticker to load.
    """
    if start and end and start > end:
        raise SettingsError(f"The first date {start} is after the last {end}; swap them.")
    require_place(instance, workspace)
    chosen = resolve(definitions, names)
    assets = [a for a in definitions.assets or [] if isinstance(a, dg.AssetsDefinition)]
    stages = {**stage_selections(assets), MAINTENANCE: [LAKE_MAINTENANCE]}
    dated = [key for key in (*stages["daily"], *stages[LIBRARIES]) if key in chosen]
    if dated:
        # Before anything is loaded, so that wrong dates cost nothing.
        _partitions(definitions, workspace, instance, dated[0], start=start, end=end)
    graph = definitions.resolve_asset_graph()
    if any(graph.get(key).partitions_def == TICKERS for key in chosen) and not add_tickers(instance, workspace):
        raise UniverseError(
            f"Universe {workspace.settings.universe_name!r} and {workspace.source.label} have no ticker in common;"
            " change universe.name or data.source."
        )
    of_reports = any(graph.get(key).partitions_def == REPORT_PARTITIONS for key in chosen)
    lying, unread = add_reports(instance, workspace) if of_reports else (set(), set())
    _require_inputs(definitions, instance, chosen)
    wanted = {stage: [key for key in keys if key in chosen] for stage, keys in stages.items()}
    # All of them before the first run, so that a mistake in the dates costs nothing.
    partitions_of = {
        stage: _partitions(definitions, workspace, instance, keys[0], start=start, end=end)
        for stage, keys in wanted.items()
        if keys
    }
    held_up: set[dg.AssetKey] = set()
    made_now: set[dg.AssetKey] = set()
    for stage, partitions in partitions_of.items():
        keys = wanted[stage]
        if missing_only:
            needed = outdated(definitions, instance, keys, partitions, made_now=made_now)
            if stage in {"daily", LIBRARIES}:
                needed = _with_revised(definitions, workspace, needed, partitions)
        else:
            needed = dict.fromkeys(keys, partitions)
        if stage == REPORT_STAGE:
            # One that was removed keeps what was read of it; one that was replaced is outdated.
            needed = {
                key: [name for name in partitions if name in lying and (name in names or name in unread)]
                for key, names in needed.items()
            }
        account = StageAccount(stage=stage, skipped=sum(len(partitions) - len(names) for names in needed.values()))
        if stage == "load_prices" and (unused := workspace.unused_tickers()):
            account.notes.append(unused_note(unused))
        began = monotonic()
        _run_stage(definitions, instance, account, needed, partitions, held_up=held_up, progress=progress)
        account.seconds = monotonic() - began
        if account.made:
            record_place(instance, workspace)
        made_now |= account.made_of.keys()
        yield account


def _with_revised(
    definitions: dg.Definitions,
    workspace: Workspace,
    needed: Mapping[dg.AssetKey, Sequence[str]],
    partitions: Sequence[str],
) -> dict[dg.AssetKey, list[str]]:
    """Add every date partition from the first on whose stored prices are not what the price history gives now."""
    due = workspace.first_date_to_make()
    definition = definitions.resolve_asset_graph().get(next(iter(needed))).partitions_def
    if due is None or not isinstance(definition, dg.TimeWindowPartitionsDefinition):
        return {key: list(names) for key, names in needed.items()}
    late = {name for name in partitions if definition.time_window_for_partition_key(name).end.date() > due}
    return {key: [name for name in partitions if name in late or name in names] for key, names in needed.items()}


def _require_inputs(definitions: dg.Definitions, instance: dg.DagsterInstance, chosen: set[dg.AssetKey]) -> None:
    """Refuse to make anything from nothing."""
    graph = definitions.resolve_asset_graph()
    parents = {parent for key in chosen for parent in graph.get(key).parent_keys} - chosen
    never = sorted(key.path[-1] for key in parents if instance.get_latest_materialization_event(key) is None)
    if never:
        raise SettingsError(
            f"What was asked for is made from {', '.join(never)}, never made so far. Run `factor-assets backfill` for"
            " everything first, or name them too."
        )


def _run_stage(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    account: StageAccount,
    needed: Mapping[dg.AssetKey, Sequence[str]],
    partitions: Sequence[str],
    *,
    held_up: set[dg.AssetKey],
    progress: Progress,
) -> None:
    """Run what is needed; what is held up, and what this stage holds up in turn, is left and added to `held_up`."""
    graph = definitions.resolve_asset_graph()
    wanted = {key: tuple(names) for key, names in needed.items() if names}
    total, done = sum(len(names) for names in wanted.values()), 0
    # Whatever is downstream needs at least the partitions of what is upstream, so fewer partitions come first.
    for names in sorted(set(wanted.values()), key=len):
        keys = [key for key, its in wanted.items() if its == names and key not in held_up]
        for part in _unbroken(names, partitions) if keys else []:
            advance = partial(_advance, progress, account.stage, start=done, size=len(part) * len(keys), total=total)
            _execute(definitions, instance, account, keys=keys, part=part, advance=advance)
            advance(1.0)
            done += len(part) * len(keys)
        failed = {
            key for key in keys if not account.made_of.get(key) and not _others_stand(graph, key, names, partitions)
        }
        if failed:
            held_up |= set(dg.AssetSelection.assets(*failed).downstream().resolve(graph))
    account.failed = total - account.made
    account.without = {key for key in wanted if not account.made_of.get(key)}
    ours = {key for key in account.without if not graph.get(key).parent_keys & held_up}
    account.held_up = account.without - ours


def _others_stand(graph: AssetGraph, key: dg.AssetKey, names: Sequence[str], partitions: Sequence[str]) -> bool:
    """Whether other tickers or documents of the asset are current: then those that failed again hold up nothing."""
    return isinstance(graph.get(key).partitions_def, dg.DynamicPartitionsDefinition) and len(names) < len(partitions)


def _advance(progress: Progress, stage: str, share: float, *, start: int, size: int, total: int) -> None:
    progress(stage, start + int(share * size), total)


def _execute(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    account: StageAccount,
    *,
    keys: list[dg.AssetKey],
    part: list[str],
    advance: Callable[[float], None],
) -> None:
    """Execute one run and read its account from its events; `advance` hears what share of it is done."""
    run_id = str(uuid4())
    seen = {"planned": 0, "made": 0}
    size = len(part) * len(keys)

    def listen(entry: dg.EventLogEntry) -> None:
        event = entry.dagster_event
        if event is None:
            return
        if event.event_type == dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED:
            seen["planned"] += 1
        elif event.event_type == dg.DagsterEventType.ASSET_MATERIALIZATION:
            seen["made"] += 1
            # A partition that was tried in vain has a second event that takes the first one back.
            tags = event.step_materialization_data.materialization.tags or {}
            made = -1 if tags.get(CODE_VERSION_TAG) == IN_VAIN else 1
            account.made += made
            if event.asset_key is not None:
                account.made_of[event.asset_key] = account.made_of.get(event.asset_key, 0) + made
        elif event.event_type == dg.DagsterEventType.STEP_FAILURE:
            error = event.step_failure_data.error
            while error is not None and error.cause is not None:
                error = error.cause
            account.failures[str(event.step_key)] = _plain(error.message) if error else "unknown error"
        elif event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            check = event.asset_check_evaluation_data
            if not check.passed:
                account.failed_checks[f"{check.asset_key.to_user_string()}: {check.check_name}"] = (
                    check.description or ""
                )
        else:
            return
        # Dagster writes one event that plans a partition and one that says it was made.
        advance(min(1.0, (_PLAN_SHARE * seen["planned"] + (1 - _PLAN_SHARE) * seen["made"]) / size))

    instance.add_event_listener(run_id, listen)
    definitions.resolve_job_def(account.stage).execute_in_process(
        instance=instance,
        run_id=run_id,
        asset_selection=keys,
        tags={**process_tags(), **(range_tags(part[0], part[-1]) if part != [UNPARTITIONED] else {})},
        run_config=_QUIET,
        raise_on_error=False,
    )


def _plain(message: str) -> str:
    """Return an error's message; of ours, which are written for the user, without the name of the class."""
    return re.sub(r"^factor_assets\.errors\.\w+: ", "", message.strip())


def _partitions(
    definitions: dg.Definitions,
    workspace: Workspace,
    instance: dg.DagsterInstance,
    key: dg.AssetKey,
    *,
    start: date | None,
    end: date | None,
) -> list[str]:
    """Return the partitions of the dates, in order; `UNPARTITIONED` for an unpartitioned asset."""
    definition = definitions.resolve_asset_graph().get(key).partitions_def
    if definition is None:
        return [UNPARTITIONED]
    every = list(definition.get_partition_keys(dynamic_partitions_store=instance))
    if not isinstance(definition, dg.TimeWindowPartitionsDefinition):
        return every
    first, last = start or workspace.settings.start, end or workspace.settings.last_date
    wanted = []
    for name in every:
        window = definition.time_window_for_partition_key(name)
        if window.end.date() > first and window.start.date() <= last:
            wanted.append(name)
    if not every:
        raise SettingsError(
            f"data.start is {workspace.settings.start}, which no closed session follows; set an earlier."
        )
    if not wanted:
        raise SettingsError(
            f"No session of the data lies {f'from {first} to {last}' if end else f'on or after {first}'}; they run from"
            f" {every[0]} to {every[-1]}. Change the dates asked for, or data.start and data.end."
        )
    return wanted


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
