"""The assets of the judgement: the same bits by day, month and range; the ledger, the holdout and the check."""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import numpy as np
import pyarrow.compute as pc
import pytest

from factor_assets.defs.automation import stage_selections
from factor_assets.defs.evidence import EVIDENCE, INFORMATION, TRADING
from factor_assets.defs.status import asset_statuses
from factor_assets.evaluation.evidence_by_date import history_sessions
from factor_assets.evaluation.ic_decay import forward_rankings
from factor_assets.evaluation.marginal_evidence import marginal_evidence
from factor_assets.evaluation.random_benchmark import compare_factor_with_random
from factor_assets.settings import EvaluationSettings
from factor_assets.storage.rows import checksum
from factor_assets.storage.slice import EVERYTHING, Slice
from factor_assets.storage.store import Provenance
from factor_assets.tables import TABLES
from factor_assets_tests.defs.test_libraries import library, use
from factor_assets_tests.market import FEW_FACTORS, Graph, small_settings

BY_DATE = ("factor_information", "factor_trading")
HOLDOUT = date(2023, 4, 3)
EMPTIED = Provenance(source="sample (synthetic)", run_id="", code_version="", inputs={})


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Graph]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("factor_assets.defs.factors.value_band_png", lambda *_args, **_options: b"")
        graph = Graph(small_settings(tmp_path_factory.mktemp("made")))
        graph.run()
    yield graph
    graph.instance.dispose()


@pytest.fixture
def with_holdout(made: Graph) -> Graph:
    """Open the same home with a holdout; every asset is made already."""
    return Graph(small_settings(made.settings.home, evaluation={"holdout_start": HOLDOUT}))


def by_date(graph: Graph) -> dict[str, str]:
    return {name: checksum(graph.workspace.store.read(name)) for name in BY_DATE}


def empty(graph: Graph, part: Slice) -> None:
    for name in BY_DATE:
        graph.workspace.store.write(name, part, TABLES[name].schema.empty_table(), provenance=EMPTIED)


class TestAgainstOneRange:
    def test_month_by_month(self, made: Graph) -> None:
        whole = by_date(made)
        empty(made, EVERYTHING)
        assert by_date(made) != whole
        for month in (3, 1, 4, 2):
            (account,) = made.run(*BY_DATE, start=date(2023, month, 1), end=date(2023, month, 28))
            assert account.made == len(BY_DATE)
        assert by_date(made) == whole

    def test_day_by_day(self, made: Graph) -> None:
        daily = Graph(small_settings(made.settings.home, partitions={"grain": "day"}))
        whole = by_date(made)
        for day in (date(2023, 4, 28), date(2023, 1, 3), date(2023, 2, 1)):
            empty(daily, Slice(start=day, end=day + timedelta(days=1)))
            assert by_date(daily) != whole
            (account,) = daily.run(*BY_DATE, start=day, end=day)
            assert account.made == len(BY_DATE)
            assert by_date(daily) == whole


class TestProperties:
    def test_every_factor_is_judged_at_every_horizon(self, made: Graph) -> None:
        store = made.workspace.store
        rows = store.read("factor_evidence")
        assert rows.num_rows == len(FEW_FACTORS) * 4
        assert store.read("factor_information").num_rows == 4 * store.read("factor_trading").num_rows
        assert rows["fama_macbeth_premium"].null_count == rows["mean_rank_ic"].null_count == 4
        assert set(pc.unique(rows["closest_factor"].drop_null()).to_pylist()) > {"liquidity/amihud_20d"}

    def test_luck_and_novelty_are_judged_from_the_stored_values(self, made: Graph) -> None:
        rows = made.workspace.store.read("factor_evidence").to_pylist()
        panel = made.workspace.panel()
        timeseries = made.workspace.store.read("factor_timeseries")
        for row in rows:
            label = (row["factor_type"], row["factor_name"])
            if label == ("momentum", "ret_12_1"):
                assert row["random_portfolio_pvalue"] is row["marginal_rank_ic"] is None
                assert "no random portfolio to compare with: no session has a factor return" in row["reason"]
                continue
            own = timeseries.filter((pc.field("factor_type") == label[0]) & (pc.field("factor_name") == label[1]))
            values = made.workspace.factor_values(*label, panel)
            compared = compare_factor_with_random(values, own, panel, settings=made.settings.evaluation)
            assert row["random_portfolio_pvalue"] == compared.pvalue
            assert row["neutralised_on"] == row["closest_factor"]
            assert (row["marginal_rank_ic"] is None) is ("marginal rank IC" in (row["reason"] or ""))

    def test_settings_choose_the_random_portfolios_and_what_is_neutralised(self, made: Graph) -> None:
        chosen = {"random_portfolios": 0, "neutralised_on": ("rsi_14", "size/size")}
        other = Graph(small_settings(made.settings.home, evaluation=chosen))
        other.run("factor_evidence")
        rows = other.workspace.store.read("factor_evidence").to_pylist()
        assert all(row["random_portfolio_pvalue"] is None for row in rows)
        assert not any("random portfolio" in (row["reason"] or "") for row in rows)
        named = {row["factor_name"]: row["neutralised_on"] for row in rows}
        assert named["close_location"] == "technical/rsi_14,size/size"
        assert named["size"] == "technical/rsi_14"
        made.run("factor_evidence")

    def test_a_column_of_a_library_is_judged_and_neutralised_on_like_a_factor(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        use(monkeypatch, library())
        factors = {"families": ["technical/close_location"], "libraries": ["small"]}
        graph = Graph(small_settings(tmp_path, factors=factors, evaluation={"neutralised_on": ("small/trend", "move")}))
        judged = ("factor_timeseries", "factor_quantiles", *BY_DATE, "factor_correlations", "factor_evidence")
        graph.run("market_data", "close_location", "libraries", *judged)
        rows = {
            (row["factor_type"], row["factor_name"]): row
            for row in graph.workspace.store.read("factor_evidence").to_pylist()
            if row["horizon"] == 1
        }
        assert {name: row["neutralised_on"] for name, row in rows.items()} == {
            ("small", "flat"): "small/trend,small/move",
            ("small", "move"): "small/trend",
            ("small", "place"): "small/trend,small/move",
            ("small", "trend"): "small/move",
            ("technical", "close_location"): "small/trend,small/move",
        }
        panel = graph.workspace.panel()
        move, trend = panel["returns"], np.full(panel.shape, np.nan)
        trend[5:] = panel["close"][5:] / panel["close"][:-5] - 1
        found = marginal_evidence(
            move,
            {("small", "trend"): trend},
            forward_rankings(panel["close"], horizons=[1]),
            panel,
            settings=graph.settings.evaluation,
        )[1]
        assert rows["small", "move"]["marginal_rank_ic"] == pytest.approx(found.rank_ic, rel=1e-9)
        assert rows["small", "move"]["marginal_rank_ic_tstat"] == pytest.approx(found.tstat, rel=1e-9)
        assert rows["small", "flat"]["marginal_rank_ic"] is None
        graph.instance.dispose()

    def test_the_stages_have_them(self, made: Graph) -> None:
        assets = [a for a in made.definitions.assets or [] if isinstance(a, dg.AssetsDefinition)]
        stages = stage_selections(assets)
        assert {INFORMATION, TRADING} <= set(stages["daily"])
        assert EVIDENCE in stages["report"]
        status = {row.key: row for row in asset_statuses(made.definitions, made.instance)}
        assert [status[name].wanted for name in (*BY_DATE, "factor_evidence")] == [4, 4, 1]
        assert [status[name].made for name in (*BY_DATE, "factor_evidence")] == [4, 4, 1]

    def test_a_partition_needs_what_its_lookback_reaches_into(self, tmp_path: Path) -> None:
        graph = Graph(small_settings(tmp_path, partitions={"grain": "day"}))
        (definition,) = (
            a for a in graph.definitions.assets or [] if isinstance(a, dg.AssetsDefinition) and INFORMATION in a.keys
        )
        mappings = [dep.partition_mapping for dep in definition.specs_by_key[INFORMATION].deps]
        offsets = [m.start_offset for m in mappings if isinstance(m, dg.TimeWindowPartitionMapping)]
        assert offsets == [-history_sessions(EvaluationSettings())] * (2 + len(FEW_FACTORS))

    def test_the_check_names_what_has_no_evidence(self, made: Graph) -> None:
        key = dg.AssetCheckKey(EVIDENCE, "evidence_is_complete")
        record = made.instance.get_latest_asset_check_evaluation_record(key)
        assert record is not None
        assert record.event is not None
        assert record.event.dagster_event is not None
        found = record.event.dagster_event.asset_check_evaluation_data
        # the data are shorter than a year
        assert not found.passed
        assert found.description == "4 of 24 rows have no evidence: momentum/ret_12_1"
        assert found.metadata["n_missing"].value == 4

    def test_the_run_says_what_it_found(self, made: Graph) -> None:
        event = made.instance.get_latest_materialization_event(EVIDENCE)
        assert event is not None
        assert event.asset_materialization is not None
        metadata = event.asset_materialization.metadata
        assert metadata["n_trials"].value == len(FEW_FACTORS)
        assert metadata["has_holdout"].value is False
        shown = metadata["evidence"].value.splitlines()
        assert len(shown) == 2 + len(FEW_FACTORS)
        assert "no session has a rank IC" in next(line for line in shown if "ret_12_1" in line)

    def test_again_makes_no_new_trial_and_no_new_version(self, made: Graph) -> None:
        store = made.workspace.store
        versions = {name: store.versions(name) for name in ("trials", "factor_evidence")}
        made.run("factor_evidence")
        assert {name: store.versions(name) for name in versions} == versions
        assert store.read("trials").num_rows == len(FEW_FACTORS)

    def test_the_holdout_needs_to_be_asked_for(self, made: Graph, with_holdout: Graph) -> None:
        store = made.workspace.store
        whole = store.read("factor_evidence")
        with_holdout.run("factor_evidence")
        before = store.read("factor_evidence")
        assert not any(before["has_holdout"].to_pylist())
        assert pc.max(before["test_date"]).as_py() < HOLDOUT
        assert not any(store.read("trials")["has_holdout"].to_pylist())
        asked = with_holdout.definitions.resolve_job_def("report").execute_in_process(
            instance=with_holdout.instance,
            asset_selection=[EVIDENCE],
            run_config={
                "ops": {"factor_evidence": {"config": {"include_holdout": True}}},
                "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
            },
        )
        assert asked.success
        included = store.read("factor_evidence")
        assert all(included["has_holdout"].to_pylist())
        assert included.drop_columns("has_holdout").equals(whole.drop_columns("has_holdout"))
        # a look into the holdout is recorded, but it is no other hypothesis
        trials = store.read("trials")
        assert pc.sum(trials["has_holdout"]).as_py() == len(FEW_FACTORS)
        assert pc.max(included["n_trials"]).as_py() == len(FEW_FACTORS)
        made.run("factor_evidence")
