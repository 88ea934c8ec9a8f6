"""The asset factor_correlations on a small market: its rows, its check, its picture, its cuts."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from factor_assets.defs import novelty
from factor_assets.defs.automation import stage_selections
from factor_assets.defs.novelty import CHECK, CORRELATIONS
from factor_assets.evaluation.factor_correlations import block_sessions
from factor_assets.storage.rows import checksum
from factor_assets.storage.slice import EVERYTHING
from factor_assets_tests.market import Graph, small_settings

FACTORS = ("technical/roc_20", "reversal/ret_1_0", "technical/close_location", "size/size", "momentum/ret_12_1")
FACTORS_MADE = [name.split("/")[1] for name in FACTORS]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with what the correlations need, and them."""
    home = tmp_path_factory.mktemp("made")
    graph = Graph(settings(home))
    graph.run("market_data", *FACTORS_MADE, "factor_timeseries", "factor_correlations")
    graph.instance.dispose()
    return home


def settings(home: Path, **changes: object) -> object:
    return small_settings(home, factors={"families": FACTORS}, **changes)


@pytest.fixture
def graph(home: Path) -> Iterator[Graph]:
    graph = Graph(settings(home))
    yield graph
    graph.instance.dispose()


def check(graph: Graph) -> dg.AssetCheckEvaluation:
    record = graph.instance.get_latest_asset_check_evaluation_record(dg.AssetCheckKey(CORRELATIONS, CHECK))
    return record.event.dagster_event.asset_check_evaluation_data


def made(graph: Graph) -> dg.AssetMaterialization:
    return graph.instance.get_latest_materialization_event(CORRELATIONS).asset_materialization


class TestAgainstPandas:
    def test_every_pair(self, graph: Graph) -> None:
        rows = graph.workspace.store.read("factor_correlations")
        assert rows.num_rows == len(FACTORS) * (len(FACTORS) - 1)
        panel = graph.workspace.panel(EVERYTHING)
        timeseries = graph.workspace.store.read("factor_timeseries").to_pandas()
        returns = timeseries.pivot_table(
            index="date", columns=["factor_type", "factor_name"], values="factor_value", dropna=False
        )
        for row in rows.to_pylist():
            pair = [(row["factor_type"], row["factor_name"]), (row["other_type"], row["other_name"])]
            if ("momentum", "ret_12_1") in pair:  # its lookback is longer than the data
                assert row["rank_correlation"] is row["return_correlation"] is None
                continue
            first, second = (
                pd.DataFrame(np.where(panel.in_universe, graph.workspace.factor_values(*one, panel), np.nan)).rank(
                    axis=1
                )
                for one in pair
            )
            enough = (first.notna() & second.notna()).sum(axis=1) >= 10
            each = first.corrwith(second, axis=1)[enough]
            if len(each) < 30:
                assert row["rank_correlation"] is None
            else:
                assert row["rank_correlation"] == pytest.approx(each.mean(), abs=1e-12)
            wanted = returns[pair[0]].astype(float).corr(returns[pair[1]].astype(float), min_periods=30)
            assert row["return_correlation"] == pytest.approx(wanted, abs=1e-12)


class TestProperties:
    def test_is_a_part_of_the_report(self, graph: Graph) -> None:
        stages = stage_selections([a for a in graph.definitions.assets or [] if isinstance(a, dg.AssetsDefinition)])
        assert CORRELATIONS in stages["report"]
        parents = graph.definitions.resolve_asset_graph().get(CORRELATIONS).parent_keys
        assert dg.AssetKey("factor_timeseries") in parents
        assert {dg.AssetKey(["factors", *name.split("/")]) for name in FACTORS} <= parents

    def test_says_what_it_is(self, graph: Graph) -> None:
        metadata = made(graph).metadata
        n_clusters = len(graph.workspace.store.read("factor_correlations")["cluster"].unique())
        assert metadata["n_clusters"].value == n_clusters
        assert metadata["n_factors"].value == len(FACTORS)
        assert metadata["n_sessions"].value == len(graph.workspace.sessions(EVERYTHING))
        assert metadata["every_kth_session"].value == 1
        assert metadata["plot"].value.startswith("![plot](data:image/png;base64,")

    def test_the_check_names_factors_that_are_nearly_the_same(
        self, graph: Graph, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(novelty, "DUPLICATE", 0.9)
        graph.run("factor_correlations")
        found = check(graph)
        assert not found.passed
        assert found.severity is dg.AssetCheckSeverity.WARN
        assert "reversal/ret_1_0 and technical/roc_20 (+0.9" in found.description
        assert found.metadata["n_pairs"].value == 10
        assert found.metadata["n_unknown"].value == 4
        monkeypatch.setattr(novelty, "DUPLICATE", 0.9999)
        graph.run("factor_correlations")
        assert check(graph).passed

    def test_small_blocks_give_the_same_bits(self, graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
        before = checksum(graph.workspace.store.read("factor_correlations"))
        assert block_sessions(len(FACTORS), 12) > 1000
        monkeypatch.setattr(novelty, "block_sessions", lambda n_factors, n_tickers: 7)
        graph.run("factor_correlations")
        assert checksum(graph.workspace.store.read("factor_correlations")) == before

    def test_a_sample_of_sessions_is_the_same_however_it_is_cut(
        self, graph: Graph, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = checksum(graph.workspace.store.read("factor_correlations"))
        monkeypatch.setattr(novelty, "sampling_step", lambda n_factors, n_sessions: 2)
        sampled = set()
        for size in (3, 1000):
            monkeypatch.setattr(novelty, "block_sessions", lambda n_factors, n_tickers, size=size: size)
            graph.run("factor_correlations")
            sampled.add(checksum(graph.workspace.store.read("factor_correlations")))
        assert len(sampled) == 1
        assert sampled != {before}
        assert made(graph).metadata["every_kth_session"].value == 2

    def test_the_holdout_is_not_looked_at(self, graph: Graph, home: Path) -> None:
        graph.run("factor_correlations")
        before = graph.workspace.store.read("factor_correlations")
        first = date(2023, 4, 3)
        held = Graph(settings(home, evaluation={"holdout_start": first}))
        held.run("factor_correlations")
        rows = held.workspace.store.read("factor_correlations")
        sessions = graph.workspace.sessions(EVERYTHING)
        assert made(held).metadata["n_sessions"].value == np.count_nonzero(sessions < np.datetime64(first))
        for column in ("rank_correlation", "return_correlation"):
            assert rows[column].to_pylist() != before[column].to_pylist()
        held.instance.dispose()


class TestErrors:
    def test_one_factor_has_no_pair(self, tmp_path: Path) -> None:
        graph = Graph(small_settings(tmp_path, factors={"families": FACTORS[2:3]}))
        graph.run("market_data", "technical", "factor_timeseries", "factor_correlations")
        assert graph.workspace.store.read("factor_correlations").num_rows == 0
        assert check(graph).passed
        assert made(graph).metadata["n_clusters"].value == 0
        graph.instance.dispose()
