"""The same dates made in any way give the same bits: one range, partition by partition, any order, grain, executor."""

import random
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow.compute as pc
import pytest

from factor_assets.defs.graph import build_definitions
from factor_assets.defs.automation import add_tickers, stage_selections
from factor_assets.defs.instance import open_instance
from factor_assets.defs.partitions import dates
from factor_assets.settings import Settings
from factor_assets.storage.rows import checksum
from factor_assets.workspace import Workspace
from factor_assets_tests.market import checksums, run, small_settings


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    settings = small_settings(tmp_path_factory.mktemp("once"))
    accounts = run(settings)
    assert [account.failed for account in accounts] == [0, 0, 0, 0], [account.failures for account in accounts]
    return checksums(settings)


class TestAgainstOneRange:
    def test_every_table_has_rows(self, undisturbed: dict[str, str]) -> None:
        assert len(undisturbed) >= 20

    def test_twice(self, undisturbed: dict[str, str], tmp_path: Path) -> None:
        settings = small_settings(tmp_path)
        run(settings)
        store = Workspace(settings).store
        before = {name: store.versions(name) for name in store.tables()}
        run(settings)
        assert checksums(settings) == undisturbed
        # The same rows again make no new version, so nothing downstream looks stale.
        assert {name: store.versions(name) for name in store.tables()} == before

    @pytest.mark.parametrize("grain", ["month", "day"])
    @pytest.mark.slow
    def test_partition_by_partition_in_random_order(
        self, undisturbed: dict[str, str], tmp_path: Path, grain: str
    ) -> None:
        span: dict[str, Any] = {"source": "sample", "start": date(2023, 1, 3), "end": date(2023, 4, 28)}
        settings = small_settings(tmp_path, data=span, partitions={"grain": grain})
        run(settings, names=["price_history"])
        order = random.Random(5)
        one_by_one(settings, ["prices", "corporate_actions", "universe"], order)
        workspace = Workspace(settings)
        keys = stage_selections(
            [a for a in build_definitions(settings).assets or [] if isinstance(a, dg.AssetsDefinition)]
        )["daily"]
        factors = [key.path[-1] for key in keys if key.path[0] == "factors"]
        one_by_one(settings, factors, order)
        one_by_one(settings, ["factor_timeseries", "factor_quantiles"], order)
        run(settings, names=["factor_details"])
        run(settings, names=["factor_summary", "tear_sheet"])
        assert checksums(settings) == undisturbed
        assert workspace.tear_sheet_path.exists()


def one_by_one(settings: Settings, names: list[str], order: random.Random) -> None:
    """Make the assets one date partition at a time, in random order."""
    definition = dates(settings)
    keys = list(definition.get_partition_keys())
    order.shuffle(keys)
    for key in keys:
        day = definition.time_window_for_partition_key(key).start.date()
        accounts = run(settings, names=names, start=max(day, settings.start), end=max(day, settings.start))
        assert all(account.failed == 0 for account in accounts)


class TestProperties:
    def test_truncating_the_source_leaves_everything_before_it(self, tmp_path: Path) -> None:
        whole = small_settings(tmp_path / "whole")
        cut = small_settings(
            tmp_path / "cut", data={"source": "sample", "start": date(2023, 1, 3), "end": date(2023, 3, 15)}
        )
        run(whole)
        run(cut)
        full, short = Workspace(whole).store, Workspace(cut).store
        for name in short.tables():
            rows = short.read(name)
            if "date" not in rows.column_names:
                continue
            before = full.read(name)
            before = before.filter(pc.less_equal(before["date"], date(2023, 3, 15)))
            assert checksum(rows) == checksum(before), name

    @pytest.mark.slow
    def test_the_multiprocess_executor_gives_the_same(
        self, undisturbed: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings = small_settings(tmp_path, run={"executor": "multiprocess"})
        for name, value in {
            "HOME": str(settings.home),
            "DATA__START": "2023-01-03",
            "DATA__END": "2023-04-28",
            "SAMPLE__TICKERS": "12",
            "RUN__EXECUTOR": "multiprocess",
        }.items():
            monkeypatch.setenv(f"FACTOR_ASSETS_{name}", value)
        with open_instance(settings) as instance:
            tickers = add_tickers(instance, Workspace(settings))
            for stage, span in (
                ("load_prices", (tickers[0], tickers[-1])),
                ("daily", ("2023-01", "2023-04")),
                ("details", (tickers[0], tickers[-1])),
                ("report", None),
            ):
                job = dg.reconstructable(JOBS[stage])
                tags = (
                    {}
                    if span is None
                    else {
                        "dagster/asset_partition_range_start": span[0],
                        "dagster/asset_partition_range_end": span[1],
                    }
                )
                with dg.execute_job(job, instance=instance, tags=tags) as result:
                    assert result.success, stage
        assert checksums(settings) == undisturbed


def _load_prices() -> Any:
    from factor_assets.definitions import defs

    return defs.resolve_job_def("load_prices")


def _daily() -> Any:
    from factor_assets.definitions import defs

    return defs.resolve_job_def("daily")


def _details() -> Any:
    from factor_assets.definitions import defs

    return defs.resolve_job_def("details")


def _report() -> Any:
    from factor_assets.definitions import defs

    return defs.resolve_job_def("report")


JOBS = {"load_prices": _load_prices, "daily": _daily, "details": _details, "report": _report}
