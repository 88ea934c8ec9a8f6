"""Factors as assets: which there are, what their checks find and say, and what that costs."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pytest

from factor_assets.defs.graph import build_definitions
from factor_assets.evaluation.value_quality import CHECKS
from factor_assets.expressions import engine
from factor_assets.factors.registry import all_factors
from factor_assets.panel.panel import Array, Panel
from factor_assets.settings import Settings
from factor_assets_tests.market import FEW_FACTORS, Graph, small_settings

SIZE, LOCATION = dg.AssetKey(["factors", "size", "size"]), dg.AssetKey(["factors", "technical", "close_location"])
APRIL, DAY = date(2023, 4, 1), np.datetime64("2023-04-12")


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Graph]:
    """A market of 40 companies with prices and a universe; no factor is made."""
    factors = {"families": ["size/size", "technical/close_location"]}
    graph = Graph(small_settings(tmp_path_factory.mktemp("made"), sample={"tickers": 40}, factors=factors))
    graph.run("market_data")
    yield graph
    graph.instance.dispose()


def factor_keys(settings: Settings) -> set[str]:
    graph = build_definitions(settings).resolve_asset_graph()
    return {"/".join(key.path[1:]) for key in graph.get_all_asset_keys() if key.path[0] == "factors"}


def found(graph: Graph, key: dg.AssetKey) -> dict[str, dg.AssetCheckEvaluation]:
    """Check -> what it found when it last ran."""
    evaluations = {}
    for check in CHECKS:
        record = graph.instance.get_latest_asset_check_evaluation_record(dg.AssetCheckKey(key, check))
        assert record is not None
        evaluations[check] = record.event.dagster_event.asset_check_evaluation_data
    return evaluations


def failed(graph: Graph, key: dg.AssetKey) -> set[str]:
    return {check for check, evaluation in found(graph, key).items() if not evaluation.passed}


def damage(monkeypatch: pytest.MonkeyPatch, change: Callable[[Array], None]) -> None:
    """Let the engine give wrong values: `change` gets the rows from `DAY` on."""

    def evaluate(expressions: Mapping[str, Any], panel: Panel, **options: Any) -> Iterator[tuple[str, Array]]:
        for name, values in engine.evaluate(expressions, panel, **options):
            wrong = values.copy()
            change(wrong[np.searchsorted(panel.dates, DAY) :])
            yield name, wrong

    monkeypatch.setattr("factor_assets.defs.factors.evaluate", evaluate)


class TestAgainstTheSettings:
    def test_chosen_factors_are_assets(self, tmp_path: Path) -> None:
        assert factor_keys(small_settings(tmp_path)) == set(FEW_FACTORS)

    def test_all_of_the_package(self, tmp_path: Path) -> None:
        of_prices = [factor for factor in all_factors().values() if not factor.document_tables]
        wanted = {f"{factor.family}/{factor.name}" for factor in of_prices}
        assert factor_keys(small_settings(tmp_path, factors={"families": ["all"]})) == wanted

    def test_a_user_s_own_factor_is_made_and_evaluated(self, tmp_path: Path) -> None:
        file = tmp_path / "mine.txt"
        file.write_text("jump = abs(returns)  # Size of the move.\n", encoding="utf-8")
        chosen = {"families": ["technical/close_location"], "paths": [str(file)]}
        graph = Graph(small_settings(tmp_path / "home", factors=chosen))
        graph.run("market_data", "close_location", "jump", "factor_timeseries", end=date(2023, 1, 31))
        rows = graph.workspace.store.read("factors/mine/jump")
        assert 0 < rows["value"].null_count < rows.num_rows
        evidence = graph.workspace.store.read("factor_timeseries")
        assert set(evidence["factor_name"].to_pylist()) == {"close_location", "jump"}
        graph.instance.dispose()


class TestProperties:
    def test_values_as_they_should_be_pass_every_check(self, graph: Graph) -> None:
        graph.run("factors/size/size", "close_location", start=APRIL)
        for key in (SIZE, LOCATION):
            assert not failed(graph, key)
        stable = found(graph, SIZE)["rank_stability"]
        assert stable.metadata["median_correlation"].value > 0.98
        assert "the median rank correlation is" in str(stable.description)
        assert found(graph, LOCATION)["coverage"].metadata["n_sessions"].value == 19

    def test_checks_are_recorded_once_a_run_and_not_a_partition(self, graph: Graph) -> None:
        graph.run("size")
        (record,) = graph.instance.get_run_records(limit=1)
        events = Counter(
            entry.dagster_event.event_type_value
            for entry in graph.instance.all_logs(record.dagster_run.run_id)
            if entry.dagster_event
        )
        assert events["ASSET_MATERIALIZATION"] == 4
        assert events["ASSET_CHECK_EVALUATION"] == len(CHECKS)

    @pytest.mark.parametrize("start", [date(2023, 4, 1), date(2023, 1, 3)])
    def test_a_fault_is_found_in_a_month_and_in_the_whole(
        self, graph: Graph, monkeypatch: pytest.MonkeyPatch, start: date
    ) -> None:
        def fewer(rows: Array) -> None:
            rows[0, 15:] = np.nan

        damage(monkeypatch, fewer)
        graph.run("size", start=start)
        assert failed(graph, SIZE) == {"coverage"}
        assert found(graph, SIZE)["coverage"].metadata["worst_session"].value == str(DAY)


class TestErrors:
    """What a fault of one day makes each check say."""

    @pytest.mark.parametrize(
        ("change", "check", "severity", "text"),
        [
            (
                lambda rows: rows[0, 15:].fill(np.nan),
                "coverage",
                "WARN",
                "1 of 19 sessions fall short: ",
            ),
            (
                lambda rows: rows[0, 2:3].fill(np.inf),
                "sane_values",
                "ERROR",
                "1 values are infinite, the first on 2023-04-12",
            ),
            (
                lambda rows: rows[:, :3].fill(1e15),
                "sane_values",
                "WARN",
                "are absurd, most of them on 2023-04-12",
            ),
            (
                lambda rows: rows[0, 4:].fill(np.nan),
                "cross_section",
                "WARN",
                "1 of 19 sessions have fewer than 10 names: ",
            ),
            (
                lambda rows: np.random.default_rng(2).shuffle(rows[0]),
                "rank_stability",
                "WARN",
                "on 2023-04-12 the ranks correlate ",
            ),
            (
                lambda rows: rows[0].fill(1.0),
                "rank_stability",
                "WARN",
                "2 of 19 sessions fail: all names have one value on 2023-04-12 or before it",
            ),
        ],
        ids=["fewer", "infinite", "absurd", "few", "scrambled", "constant"],
    )
    def test_is_found_and_told(
        self,
        graph: Graph,
        monkeypatch: pytest.MonkeyPatch,
        change: Callable[[Array], None],
        check: str,
        severity: str,
        text: str,
    ) -> None:
        damage(monkeypatch, change)
        (account,) = graph.run("size", start=APRIL)
        evaluation = found(graph, SIZE)[check]
        assert (evaluation.passed, evaluation.severity.name) == (False, severity)
        assert text in str(evaluation.description)
        assert account.failed_checks[f"factors/size/size: {check}"] == evaluation.description
        assert evaluation.metadata["n_failed" if check != "sane_values" else "n_values"].value > 0
