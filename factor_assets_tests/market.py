"""A small sample market for tests of the whole graph, and how to run and compare it."""

from collections.abc import Sequence
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

import dagster as dg

from factor_assets.defs.graph import build_definitions
from factor_assets.defs.instance import open_instance
from factor_assets.defs.runs import StageAccount, run_stages
from factor_assets.settings import Settings
from factor_assets.storage.rows import checksum
from factor_assets.storage.slice import EVERYTHING, Slice
from factor_assets.workspace import Workspace

FEW_FACTORS = (
    "technical/close_location",
    "technical/open_location",
    "technical/rsi_14",
    "momentum/ret_12_1",
    "liquidity/amihud_20d",
    "size/size",
)
"""One of each kind: without lookback, with a short and a long one, and one that needs shares outstanding."""


def small_settings(home: Path, **changes: Any) -> Settings:
    """Twelve companies, four months and a few factors, betas over 40 sessions; `changes` replace whole sections."""
    sections: dict[str, Any] = {
        "home": home,
        "data": {"source": "sample", "start": date(2023, 1, 3), "end": date(2023, 4, 28)},
        "sample": {"tickers": 12},
        "factors": {"families": FEW_FACTORS},
        "evaluation": {"beta_window": 40},
        **changes,
    }
    return Settings.model_validate(sections)


class Graph:
    """The definitions of some settings, opened once and run often."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.workspace = Workspace(settings)

    @cached_property
    def definitions(self) -> dg.Definitions:
        return build_definitions(self.settings)

    @cached_property
    def instance(self) -> dg.DagsterInstance:
        return open_instance(self.settings)

    def run(self, *names: str, **options: Any) -> list[StageAccount]:
        """Run the stages; anything that fails is an error of the test."""
        accounts = list(run_stages(self.definitions, self.workspace, self.instance, names=names, **options))
        assert all(account.failed == 0 for account in accounts), [account.failures for account in accounts]
        return accounts

    def checksums(self, part: Slice = EVERYTHING) -> dict[str, str]:
        """Return table -> checksum of its rows; of those with dates only the ones in the slice."""
        store = self.workspace.store
        found = {}
        for name in store.tables():
            if name == "trials":  # a ledger: when something was tried differs from run to run
                continue
            has_dates = "date" in store.read(name, columns=None).column_names
            found[name] = checksum(store.read(name, part if has_dates else EVERYTHING))
        return found


def run(settings: Settings, *, names: Sequence[str] = (), **options: Any) -> list[StageAccount]:
    """Run the stages on the settings' own instance; accounts may hold failures."""
    graph = Graph(settings)
    with graph.instance as instance:
        return list(run_stages(graph.definitions, graph.workspace, instance, names=names, **options))


def checksums(settings: Settings) -> dict[str, str]:
    """Return table -> checksum of all its rows."""
    return Graph(settings).checksums()
