"""What a run from the command line makes, leaves and reports."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import dagster as dg
import pytest

from factor_assets.defs import evaluation
from factor_assets.defs.graph import build_definitions
from factor_assets.defs.runs import resolve
from factor_assets.errors import SettingsError, UniverseError
from factor_assets.expressions import close, delay
from factor_assets.factors.registry import RegisteredFactor
from factor_assets.settings import Settings
from factor_assets.sources.price_source import Delivery
from factor_assets.sources.sample import SampleSource
from factor_assets.storage.lake import LakeStore
from factor_assets.storage.slice import Slice
from factor_assets.workspace import Workspace
from factor_assets_tests.market import FEW_FACTORS, run, small_settings

DEFINITIONS = build_definitions(small_settings(Path("unused")))
EVIDENCE = {"factor_timeseries", "factor_quantiles", "factor_information", "factor_trading", "factor_variants"}
DETAILS = {"factor_details", "factor_rolling_betas"}
REPORT = {
    *("factor_summary", "factor_correlations", "factor_evidence", "variant_evidence", "factor_spanning"),
    *("factor_selection", "factor_event_curves", "promoted_factors", "tear_sheet"),
}
N_DAILY = 3 + len(EVIDENCE) + len(FEW_FACTORS)
"""Prices, corporate_actions, universe, the evidence by date and the factors."""

N_FOLLOW = 1 + len(EVIDENCE)
"""An edited factor and what follows from it by date."""

N_MONTHS, N_TICKERS = 4, 11
"""The twelfth ticker was delisted before these months."""

N_DETAILS = N_TICKERS * len(DETAILS)


def names(found: set[dg.AssetKey]) -> set[str]:
    return {key.path[-1] for key in found}


def account_of(settings: Settings, **options: Any) -> dict[str, tuple[int, int, int]]:
    """Run and return stage -> made, skipped, failed."""
    return {a.stage: (a.made, a.skipped, a.failed) for a in run(settings, **options)}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home in which everything is made; each test leaves it so."""
    settings = small_settings(tmp_path_factory.mktemp("made"))
    assert account_of(settings) == {
        "load_prices": (N_TICKERS, 0, 0),
        "daily": (N_MONTHS * N_DAILY, 0, 0),
        "details": (N_DETAILS, 0, 0),
        "report": (len(REPORT), 0, 0),
    }
    return settings


def edit(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Change a factor's formula, as a user does in its file."""
    whole = Workspace.factors.func

    def edited(self: Workspace) -> MappingProxyType[str, RegisteredFactor]:
        known = dict(whole(self))
        declared = replace(known[name].factor, expression=close / delay(close, 3) - 1)
        return MappingProxyType(known | {name: replace(known[name], factor=declared)})

    monkeypatch.setattr(Workspace, "factors", property(edited))


class TestResolve:
    def test_no_name_is_all_but_the_upkeep(self) -> None:
        found = names(resolve(DEFINITIONS, ()))
        assert {"price_history", "prices", "ret_12_1", "factor_summary", "tear_sheet"} <= found
        assert "lake_maintenance" not in found

    @pytest.mark.parametrize(
        ("asked", "found"),
        [
            (["ret_12_1"], {"ret_12_1"}),
            (["factors/momentum/ret_12_1"], {"ret_12_1"}),
            (["prices"], {"prices"}),
            (["market_data"], {"price_history", "prices", "universe", "corporate_actions"}),
            (["libraries/alpha158"], {"alpha158"}),
            (["alpha158+"], {"alpha158"}),
            (["rsi_14", "size"], {"rsi_14", "size"}),
            (["factor_details+"], {"factor_details", "factor_summary", "tear_sheet"}),
            (["lake_maintenance"], {"lake_maintenance"}),
        ],
    )
    def test_a_name_is_an_asset_or_a_group(self, asked: list[str], found: set[str]) -> None:
        assert names(resolve(DEFINITIONS, asked)) == found

    def test_a_plus_adds_what_follows(self) -> None:
        assert names(resolve(DEFINITIONS, ["momentum+"])) == {"ret_12_1"} | DETAILS | EVIDENCE | REPORT


class TestMaintenance:
    def test_it_runs_when_it_is_named(self, made: Settings) -> None:
        assert account_of(made, names=["lake_maintenance"]) == {"maintenance": (1, 0, 0)}
        assert account_of(made, names=["maintenance"], missing_only=True) == {"maintenance": (0, 1, 0)}

    @pytest.mark.parametrize(("config", "days"), [({}, 30), ({"keep_days": 7}, 7)])
    def test_a_run_from_the_ui_may_say_how_many_days(
        self, made: Settings, monkeypatch: pytest.MonkeyPatch, config: dict[str, int], days: int
    ) -> None:
        kept: list[timedelta] = []
        monkeypatch.setattr(LakeStore, "maintain", lambda self, *, keep: kept.append(keep) or [])
        run_config = {"ops": {"lake_maintenance": {"config": config}}}
        with dg.DagsterInstance.ephemeral() as instance:
            job = build_definitions(made).resolve_job_def("maintenance")
            assert job.execute_in_process(instance=instance, run_config=run_config).success
        assert kept == [timedelta(days=days)]


class TestMissingOnly:
    def test_what_is_made_is_left(self, made: Settings) -> None:
        assert account_of(made, missing_only=True) == {
            "load_prices": (0, N_TICKERS, 0),
            "daily": (0, N_MONTHS * N_DAILY, 0),
            "details": (0, N_DETAILS, 0),
            "report": (0, len(REPORT), 0),
        }

    def test_an_edited_factor_and_what_follows_are_made_again(
        self, made: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = Workspace(made).store.read("factors/momentum/ret_12_1")
        with monkeypatch.context() as edited:
            edit(edited, "ret_12_1")
            assert account_of(made, missing_only=True) == {
                "load_prices": (0, N_TICKERS, 0),
                "daily": (N_MONTHS * N_FOLLOW, N_MONTHS * (N_DAILY - N_FOLLOW), 0),
                "details": (N_DETAILS, 0, 0),
                "report": (len(REPORT), 0, 0),
            }
            assert not Workspace(made).store.read("factors/momentum/ret_12_1").equals(before)
            assert account_of(made, missing_only=True)["daily"] == (0, N_MONTHS * N_DAILY, 0)
        assert account_of(made, missing_only=True)["daily"] == (N_MONTHS * N_FOLLOW, N_MONTHS * (N_DAILY - N_FOLLOW), 0)
        assert Workspace(made).store.read("factors/momentum/ret_12_1").equals(before)

    def test_what_is_older_than_its_input_is_made_again(self, made: Settings) -> None:
        assert account_of(made, names=["rsi_14"], start=date(2023, 3, 1)) == {"daily": (2, 0, 0)}
        # The two months of the evidence by date, then what is made from them.
        assert account_of(made, missing_only=True) == {
            "load_prices": (0, N_TICKERS, 0),
            "daily": (2 * len(EVIDENCE), N_MONTHS * N_DAILY - 2 * len(EVIDENCE), 0),
            "details": (N_DETAILS, 0, 0),
            "report": (len(REPORT), 0, 0),
        }

    def test_only_the_dates_asked_for_are_made(self, tmp_path: Path) -> None:
        settings = small_settings(tmp_path)
        first = account_of(settings, start=date(2023, 2, 1), end=date(2023, 2, 1))
        assert first["daily"] == (N_DAILY, 0, 0)
        assert Workspace(settings).store.read("prices")["date"].to_pylist()[0] == date(2023, 2, 1)
        # January was never made, and from the first date without prices on everything is made.
        again = account_of(settings, names=["universe"], missing_only=True)
        assert again == {"daily": (N_MONTHS, 0, 0)}


class TestFailures:
    def test_what_needs_a_failed_asset_is_not_made_and_is_reported(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(*args: Any, **options: Any) -> Any:
            raise ValueError("no such luck")

        monkeypatch.setattr(evaluation, "evaluate_factors", broken)
        accounts = {account.stage: account for account in run(small_settings(tmp_path))}
        assert accounts["load_prices"].failed == 0
        daily = accounts["daily"]
        assert (daily.made, daily.failed) == (N_MONTHS * (N_DAILY - 2), 2 * N_MONTHS)
        assert "no such luck" in daily.failures["factor_returns"]
        assert names(daily.without) == {"factor_timeseries", "factor_quantiles"}
        assert names(accounts["details"].held_up) == DETAILS
        assert (accounts["details"].made, accounts["details"].failed) == (0, N_DETAILS)
        assert names(accounts["report"].held_up) == REPORT - {"variant_evidence", "factor_event_curves"}

    def test_one_bad_ticker_does_not_stop_the_others(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        fetch = SampleSource.fetch
        bad = Workspace(small_settings(tmp_path)).wanted_tickers()[3]

        def one_fails(self: SampleSource, tickers: list[str], **options: Any) -> Iterator[Delivery]:
            for delivery in fetch(self, tickers, **options):
                if delivery.ticker == bad:
                    yield Delivery(ticker=bad, outcome="failed", reason="the line went dead")
                else:
                    yield delivery

        with monkeypatch.context() as failing:
            failing.setattr(SampleSource, "fetch", one_fails)
            accounts = {account.stage: account for account in run(small_settings(tmp_path))}
        load = accounts["load_prices"]
        assert (load.made, load.failed) == (N_TICKERS - 1, 1)
        assert f"{bad}: the line went dead" in load.failed_checks["price_history: every_ticker_delivered"]
        assert accounts["daily"].failed == accounts["report"].failed == 0
        # Its turn comes again, and with it all that is made from prices.
        again = account_of(small_settings(tmp_path), missing_only=True)
        assert again["load_prices"] == (1, N_TICKERS - 1, 0)
        assert again["daily"] == (N_MONTHS * N_DAILY, 0, 0)
        store = Workspace(small_settings(tmp_path)).store
        assert store.read("prices", Slice(tickers=frozenset({bad}))).num_rows > 0


class TestProgress:
    def test_counts_up_to_all_of_each_stage(self, made: Settings) -> None:
        heard: list[tuple[str, int, int]] = []
        run(made, names=["rsi_14+"], progress=lambda *told: heard.append(told))
        for stage, total in (("daily", N_FOLLOW * N_MONTHS), ("details", N_DETAILS), ("report", len(REPORT))):
            done = [n for name, n, of in heard if name == stage and of == total]
            assert done == sorted(done)
            assert done[-1] == total
            assert len(set(done)) > 1


class TestErrors:
    def test_an_unknown_name(self) -> None:
        with pytest.raises(SettingsError, match="No asset or group is called 'ret_12_2'; did you mean 'ret_12_1'"):
            resolve(DEFINITIONS, ["ret_12_2"])

    def test_dates_outside_the_data_before_anything_runs(self, made: Settings) -> None:
        before = Workspace(made).store.versions("price_history")
        with pytest.raises(
            SettingsError, match=r"No session of the data lies on or after 2030-01-01; they run from 2023-01 to"
        ):
            run(made, start=date(2030, 1, 1))
        with pytest.raises(SettingsError, match=r"first date 2023-03-01 is after the last 2023-02-01; swap them"):
            run(made, start=date(2023, 3, 1), end=date(2023, 2, 1))
        assert Workspace(made).store.versions("price_history") == before

    def test_nothing_is_made_from_nothing(self, tmp_path: Path) -> None:
        with pytest.raises(SettingsError, match=r"made from prices, universe, never made so far. Run `factor-assets"):
            run(small_settings(tmp_path), names=["size"])

    def test_no_ticker(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Workspace, "wanted_tickers", lambda self: [])
        with pytest.raises(UniverseError, match=r"Universe 'all' and sample \(synthetic\) have no ticker in common"):
            run(small_settings(tmp_path))


def test_rows_are_labelled_as_synthetic(made: Settings) -> None:
    store = Workspace(made).store
    for name in store.tables():
        assert set(store.read(name)["source"].to_pylist()) == {"sample (synthetic)"}, name
