"""`doctor`: is everything that the settings name there and usable, and what to do where it is not."""

import importlib.metadata
import json
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from factor_assets import calendar
from factor_assets.doctor_clickhouse import examine_clickhouse
from factor_assets.doctor_documents import document_looks
from factor_assets.doctor_stores import store_looks
from factor_assets.errors import FactorAssetsError
from factor_assets.examined import Examined
from factor_assets.settings import Settings
from factor_assets.storage.atomic import replace_file
from factor_assets.workspace import Workspace

_PACKAGES = ("dagster", "deltalake", "polars", "pyarrow", "duckdb", "numba", "exchange-calendars", "yfinance")
_LOW_DISK_BYTES = 2 * 10**9
_SERVER_CHECKS = frozenset({"clickhouse", "clickhouse permissions"})

_PERSONAL = frozenset({("sec", "contact")})
"""Settings whose value is not shown: what doctor prints is pasted into questions."""


def examine(settings: Settings) -> list[Examined]:
    """Look at every part that a run needs; one that fails never hides the others."""
    workspace = Workspace(settings)
    looks: dict[str, Callable[[], Iterator[Examined]]] = {
        "settings": lambda: _settings(settings),
        "packages": _packages,
        "home folder": lambda: _home(settings.home),
        "calendar": lambda: _calendar(workspace),
        "source": lambda: _source(workspace),
        "universe": lambda: _universe(workspace),
        "factors": lambda: _factors(workspace),
        "clickhouse": lambda: examine_clickhouse(settings),
        "store": lambda: _store(workspace),
        **store_looks(settings),
        **document_looks(workspace),
    }
    findings: list[Examined] = []
    for name, look in looks.items():
        if name == "store" and any(f.check in _SERVER_CHECKS and not f.ok for f in findings):
            continue  # it would say the same again
        try:
            findings.extend(look())
        except (FactorAssetsError, OSError) as error:
            findings.append(Examined(check=name, ok=False, found=str(error)))
    return findings


def _settings(settings: Settings) -> Iterator[Examined]:
    for name, value in settings.model_dump(mode="json").items():
        if isinstance(value, dict):
            told = {key: "..." if (name, key) in _PERSONAL else v for key, v in value.items() if v not in (None, "")}
            shown = ", ".join(f"{key} = {json.dumps(v)}" for key, v in told.items())
        else:
            shown = json.dumps(value)
        yield Examined(check=f"[{name}]" if isinstance(value, dict) else name, ok=True, found=shown or "defaults")


def _packages() -> Iterator[Examined]:
    found = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in _PACKAGES)
    yield Examined(check="packages", ok=True, found=found)


def _home(home: Path) -> Iterator[Examined]:
    probe = home / ".doctor"
    replace_file(probe, b"")
    probe.unlink()
    free = shutil.disk_usage(home).free
    yield Examined(
        check="home folder",
        ok=free > _LOW_DISK_BYTES,
        found=f"{home} is writable, {free / 1e9:.1f} GB free",
        advice="" if free > _LOW_DISK_BYTES else "free some disk space, or choose another `home`",
    )


def _calendar(workspace: Workspace) -> Iterator[Examined]:
    name = workspace.settings.data.calendar
    completed = calendar.last_completed_session(name, datetime.now(UTC))
    yield Examined(
        check="calendar",
        ok=True,
        found=f"{name}, last completed session {completed}; data {workspace.first_session} to {workspace.last_session}",
    )


def _source(workspace: Workspace) -> Iterator[Examined]:
    held = workspace.source.tickers()
    yield Examined(
        check="source",
        ok=held is None or bool(held),
        found=f"{workspace.source.label}: {'any ticker' if held is None else f'{len(held)} tickers'}",
        advice="" if held is None or held else "the source holds no ticker; check its settings",
    )


def _universe(workspace: Workspace) -> Iterator[Examined]:
    wanted = workspace.wanted_tickers()
    yield Examined(
        check="universe",
        ok=bool(wanted),
        found=f"{workspace.settings.universe_name}: {len(wanted)} tickers that the source can deliver",
        advice="" if wanted else "the universe and the source have no ticker in common; change one of them",
    )


def _factors(workspace: Workspace) -> Iterator[Examined]:
    yield Examined(check="factors", ok=True, found=f"{len(workspace.factors)} that are assets")


def _store(workspace: Workspace) -> Iterator[Examined]:
    tables = workspace.store.tables()
    place = workspace.location("prices").removesuffix("prices").rstrip("/.")
    yield Examined(check="store", ok=True, found=f"{place}: {len(tables)} tables")
