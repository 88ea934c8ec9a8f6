"""The assets factor_rolling_betas and factor_spanning on a small market: rows, checks, cuts and versions."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import dagster as dg
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from factor_assets.defs import regressions
from factor_assets.defs.automation import stage_selections
from factor_assets.defs.partitions import TICKERS
from factor_assets.defs.regressions import BETAS, BETAS_CHECK, SPANNING, SPANNING_CHECK
from factor_assets.evaluation.spanning_evidence import KNOWN, MARKET, WITH_CHOSEN
from factor_assets.storage.rows import checksum
from factor_assets_tests.market import Graph, small_settings

FACTORS = ("technical/close_location", "technical/open_location", "momentum/ret_12_1")
FACTORS_MADE = [name.split("/")[1] for name in FACTORS]
CHOICE = {"beta_window": 40, "neutralised_on": ("close_location",)}


def settings(home: Path, **changes: object) -> object:
    return small_settings(home, factors={"families": FACTORS}, evaluation={**CHOICE, **changes})


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with what the regressions need, and them."""
    home = tmp_path_factory.mktemp("made")
    sessions = np.array(["2023-01-03", "2023-04-28"], "datetime64[D]")
    days = np.arange(sessions[0], sessions[1] + 1)
    returns = 0.01 * np.random.default_rng(0).normal(size=len(days))
    lines = [f"{day},{value}" for day, value in zip(days, returns, strict=True)]
    (home / "known.csv").write_text("date,smb\n" + "\n".join(lines) + "\n", encoding="utf-8")
    graph = Graph(settings(home, known_factors=str(home / "known.csv")))
    graph.run("market_data", *FACTORS_MADE, "factor_timeseries", "factor_rolling_betas", "factor_spanning")
    graph.instance.dispose()
    return home


@pytest.fixture
def graph(home: Path) -> Iterator[Graph]:
    graph = Graph(settings(home, known_factors=str(home / "known.csv")))
    yield graph
    graph.instance.dispose()


def check(graph: Graph, asset: dg.AssetKey, name: str) -> dg.AssetCheckEvaluation:
    record = graph.instance.get_latest_asset_check_evaluation_record(dg.AssetCheckKey(asset, name))
    return record.event.dagster_event.asset_check_evaluation_data


def code_versions(graph: Graph) -> dict[str, str]:
    return {
        spec.key.to_user_string(): spec.code_version
        for definition in graph.definitions.assets or []
        if isinstance(definition, dg.AssetsDefinition)
        for spec in definition.specs
    }


class TestProperties:
    def test_stages_and_parents(self, graph: Graph) -> None:
        stages = stage_selections([a for a in graph.definitions.assets or [] if isinstance(a, dg.AssetsDefinition)])
        assert BETAS in stages["details"]
        assert SPANNING in stages["report"]
        nodes = graph.definitions.resolve_asset_graph()
        assert nodes.get(BETAS).partitions_def == TICKERS
        assert nodes.get(BETAS).parent_keys == {dg.AssetKey("factor_timeseries"), dg.AssetKey("prices")}
        assert dg.AssetKey("factor_timeseries") in nodes.get(SPANNING).parent_keys

    def test_betas(self, graph: Graph) -> None:
        rows = graph.workspace.store.read("factor_rolling_betas")
        assert set(rows["date"].to_pylist()) == {date(2023, 2, 28), date(2023, 3, 31), date(2023, 4, 28)}
        priced = graph.workspace.store.read("prices", columns=["ticker"])["ticker"].unique()
        assert set(rows["ticker"].to_pylist()) <= set(priced.to_pylist())
        assert len(rows["ticker"].unique()) > 10
        found = check(graph, BETAS, BETAS_CHECK)
        assert found.passed
        assert found.metadata["n_betas"].value == rows.num_rows
        assert found.metadata["n_without"].value == 0
        assert found.metadata["n_before_window"].value == 3 * len(priced) * 4 - rows.num_rows

    def test_small_parts_and_single_tickers_give_the_same_bits(
        self, graph: Graph, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = checksum(graph.workspace.store.read("factor_rolling_betas"))
        monkeypatch.setattr(regressions, "BETAS_AT_ONCE", 50)
        graph.run("factor_rolling_betas")
        assert checksum(graph.workspace.store.read("factor_rolling_betas")) == before

    def test_spanning(self, graph: Graph) -> None:
        rows = graph.workspace.store.read("factor_spanning")
        assert set(rows["benchmark"].to_pylist()) == {MARKET, WITH_CHOSEN, KNOWN}
        alphas = rows.filter((pc.field("coefficient") == "alpha") & pc.field("loading").is_valid())
        assert set(alphas["factor_name"].to_pylist()) == {"close_location", "open_location"}
        made = graph.instance.get_latest_materialization_event(SPANNING).asset_materialization.metadata
        assert made["n_factors"].value == 3
        assert made["without_regression"].value == 3  # the lookback of ret_12_1 is longer than the data
        assert "| technical | open_location | known factors |" in made["alphas"].value
        found = check(graph, SPANNING, SPANNING_CHECK)
        assert found.passed
        assert (found.metadata["n_regressions"].value, found.metadata["n_too_short"].value) == (6, 3)

    def test_the_check_names_what_is_missing(self) -> None:
        rows = pa.table(
            {
                "factor_type": ["a", "a"],
                "factor_name": ["x", "y"],
                "benchmark": [MARKET, MARKET],
                "loading": pa.array([None, 0.1]),
                "n_sessions": [50, 50],
                "reason": ["constant", None],
            }
        )
        found = regressions._spanning_check(rows, least=30)
        assert not found.passed
        assert found.description == "1 of 2 regressions are missing: a/x on market"
        assert regressions._spanning_check(rows, least=51).passed
        betas = regressions._betas_check(rows=80, too_short=0, without=20)
        assert not betas.passed
        assert betas.description == (
            "20 of 100 betas are missing: too few sessions have both returns, or one is constant."
        )

    @pytest.mark.parametrize(
        "change", [{"beta_window": 60}, {"neutralised_on": ("open_location",)}, {"known_factors": "other.csv"}]
    )
    def test_a_setting_changes_the_code_version(self, tmp_path: Path, change: dict[str, object]) -> None:
        usual = code_versions(Graph(settings(tmp_path)))
        other = code_versions(Graph(settings(tmp_path, **change)))
        for name in ("factor_rolling_betas", "factor_spanning"):
            assert usual[name] != other[name]

    def test_another_content_of_the_file_changes_the_code_version(self, tmp_path: Path) -> None:
        path = tmp_path / "known.csv"
        versions = set()
        for value in (0.01, 0.02):
            path.write_text(f"date,smb\n2023-01-03,{value}\n", encoding="utf-8")
            versions.add(code_versions(Graph(settings(tmp_path, known_factors=str(path))))["factor_spanning"])
        assert len(versions) == 2

    def test_the_holdout_is_not_looked_at(self, graph: Graph, home: Path) -> None:
        held = Graph(settings(home, holdout_start=date(2023, 4, 3)))
        held.run("factor_rolling_betas", "factor_spanning", "factor_details", "factor_summary")
        store = held.workspace.store
        assert pc.max(store.read("factor_rolling_betas")["date"]).as_py() == date(2023, 3, 31)
        assert pc.max(store.read("factor_spanning")["end_date"]).as_py() == date(2023, 3, 31)
        for name in ("factor_details", "factor_summary"):
            assert set(store.read(name)["test_date"].to_pylist()) == {date(2023, 3, 31)}
        held.instance.dispose()
        graph.run("factor_rolling_betas", "factor_spanning")
