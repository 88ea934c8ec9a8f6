"""A small sample market for tests of the whole graph, and how to run and compare it."""

from datetime import date
from pathlib import Path
from typing import Any

from factor_assets.defs.graph import build_definitions
from factor_assets.defs.instance import open_instance
from factor_assets.defs.runs import StageAccount, run_stages
from factor_assets.settings import Settings
from factor_assets.storage.rows import checksum
from factor_assets.workspace import Workspace

UNKEPT = ("price_history",)


def small_settings(home: Path, **changes: Any) -> Settings:
    """Twelve companies and four months; `changes` replace whole sections."""
    sections: dict[str, Any] = {
        "home": home,
        "data": {"source": "sample", "start": date(2023, 1, 3), "end": date(2023, 4, 28)},
        "sample": {"tickers": 12},
        **changes,
    }
    return Settings.model_validate(sections)


def run(settings: Settings, **options: Any) -> list[StageAccount]:
    """Run the stages on the settings' own instance."""
    with open_instance(settings) as instance:
        return list(run_stages(build_definitions(settings), Workspace(settings), instance, **options))


def checksums(settings: Settings) -> dict[str, str]:
    """Return table -> checksum of all its rows."""
    store = Workspace(settings).store
    return {name: checksum(store.read(name)) for name in store.tables()}
