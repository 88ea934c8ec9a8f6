"""Where the tables are that the Dagster instance calls made: recorded, compared with the settings, accepted when moved.

What was made into another place does not count: readers would find nothing, or other rows, at the place of the
settings. What does not belong here: opening the instance (`instance.py`), and copying tables (`storage/copying.py`).

1. The first write of a run records the place; a folder below the home without the home, so that both can move
   together. A run that writes elsewhere than recorded logs a warning.
2. Where nothing is recorded, the events say where each table was written.
"""

from collections.abc import Iterator

import dagster as dg
from sqlalchemy.exc import DatabaseError

from factor_assets.defs.instance import open_instance
from factor_assets.errors import FactorAssetsError, SettingsError
from factor_assets.examined import Examined
from factor_assets.settings import Settings
from factor_assets.workspace import Workspace

_RECORD = "factor_assets/place_of_tables"
_HOME = "{home}"
_SHOWN_TABLES = 5


def place_of(workspace: Workspace) -> str:
    """Return where the settings have the tables: a folder, a URI, or server and database."""
    return workspace.location("prices").removesuffix("prices").rstrip("/.")


def recorded_place(instance: dg.DagsterInstance, workspace: Workspace) -> str:
    """Return where the instance's tables are; "" where it made none."""
    recorded = instance.daemon_cursor_storage.get_cursor_values({_RECORD}).get(_RECORD)
    if recorded is not None:
        return recorded.replace(_HOME, str(workspace.settings.home))
    return next((_place(found, name) for name, found in _written(instance)), "")


def record_place(instance: dg.DagsterInstance, workspace: Workspace) -> None:
    """Record the place of the settings as that of the instance's tables."""
    place = place_of(workspace).replace(str(workspace.settings.home), _HOME)
    instance.daemon_cursor_storage.set_cursor_values({_RECORD: place})


def another_place(instance: dg.DagsterInstance, workspace: Workspace) -> str:
    """Return what to say where the settings have the tables elsewhere than what the instance calls made, or ""."""
    recorded, place = recorded_place(instance, workspace), place_of(workspace)
    if recorded in {"", place}:
        return ""
    return (
        f"What {workspace.settings.dagster_home} records as made is in {recorded}, but the settings have the tables in"
        f" {place}. Give the new place a `home` of its own, or set the old place again. To move the tables, copy them"
        " with `factor-assets store copy`, then run `factor-assets accept-place`."
    )


def noted_place(instance: dg.DagsterInstance, workspace: Workspace) -> str:
    """Record the place where none is recorded; otherwise as `another_place`. For runs that nobody can refuse."""
    found = another_place(instance, workspace)
    if not found and _RECORD not in instance.daemon_cursor_storage.get_cursor_values({_RECORD}):
        record_place(instance, workspace)
    return found


def require_place(instance: dg.DagsterInstance, workspace: Workspace) -> None:
    """Refuse settings whose tables are elsewhere than those that the instance calls made.

    Raises
    ------
    SettingsError
        If they are; the message has both places.
    """
    if found := another_place(instance, workspace):
        raise SettingsError(found)


def accept_place(instance: dg.DagsterInstance, workspace: Workspace) -> str:
    """Record that the tables were moved to the place of the settings, and return it.

    Raises
    ------
    SettingsError
        If a table that the instance calls made is not there.
    """
    place = place_of(workspace)
    if missing := missing_tables(instance, workspace):
        raise SettingsError(
            f"{place} lacks {_named(missing)}, which {workspace.settings.dagster_home} records as made. Copy all tables"
            " there with `factor-assets store copy` first."
        )
    record_place(instance, workspace)
    return place


def missing_tables(instance: dg.DagsterInstance, workspace: Workspace) -> list[str]:
    """Return the tables that the instance calls made and that the place of the settings does not hold, sorted."""
    return sorted({name for name, _ in _written(instance)}.difference(workspace.store.tables()))


def examine_place(settings: Settings) -> Iterator[Examined]:
    """Look at the place of the tables, as `doctor` looks at everything else."""
    workspace = Workspace(settings)
    try:
        with open_instance(settings) as instance:
            recorded, elsewhere = recorded_place(instance, workspace), another_place(instance, workspace)
            missing = missing_tables(instance, workspace) if not elsewhere else []
    except (FactorAssetsError, OSError, dg.DagsterError, DatabaseError):
        return  # of the store or the instance, which the other checks have said
    found, advice = f"what is recorded as made is in {recorded}", ""
    if elsewhere:
        found = elsewhere.rstrip(".")
    elif missing:
        found = f"{recorded} lacks {_named(missing)}, recorded as made"
        advice = "bring the tables back, or make them again with `factor-assets backfill`"
    elif not recorded:
        found = f"nothing was made yet; it will be in {place_of(workspace)}"
    yield Examined(check="place of tables", ok=not elsewhere and not missing, found=found, advice=advice)


def _written(instance: dg.DagsterInstance) -> Iterator[tuple[str, str]]:
    """Yield name and place of each table that the newest event of its asset names."""
    for key in instance.get_asset_keys():
        event = instance.get_latest_materialization_event(key)
        written = event.asset_materialization if event else None
        table = written.metadata.get("table") if written else None
        if isinstance(table, dg.PathMetadataValue) and table.path:
            yield key.to_user_string(), table.path


def _place(location: str, table: str) -> str:
    """Return the place in which a table is, of the table's."""
    shown = location.removesuffix(table)
    # In ClickHouse a factor is in a view of all of them, and a library's name has no slash.
    return (shown if shown != location else location.rpartition(".")[0]).rstrip("/.")


def _named(tables: list[str]) -> str:
    more = len(tables) - _SHOWN_TABLES
    return ", ".join(tables[:_SHOWN_TABLES]) + (f" and {more} more" if more > 0 else "")
