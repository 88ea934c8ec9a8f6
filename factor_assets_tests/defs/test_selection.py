"""The assets factor_selection and factor_event_curves on a small market: rows, checks, the ledger, the holdout."""

from collections.abc import Iterator
from datetime import date

import dagster as dg
import pyarrow.compute as pc
import pytest

from factor_assets.defs import selection
from factor_assets.defs.automation import stage_selections
from factor_assets.defs.selection import EVENT_CURVES, SELECTION
from factor_assets.evaluation.event_curves import factor_event_curves
from factor_assets.evaluation.market_return import market_return
from factor_assets.evaluation.selection_evidence import factor_selection
from factor_assets_tests.market import FEW_FACTORS, Graph, small_settings

HOLDOUT = date(2023, 4, 3)


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Graph]:
    """Everything made once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("factor_assets.defs.factors.value_band_png", lambda *_args, **_options: b"")
        graph = Graph(small_settings(tmp_path_factory.mktemp("home")))
        graph.run()
    yield graph
    graph.instance.dispose()


def check(graph: Graph, key: dg.AssetKey, name: str) -> dg.AssetCheckEvaluation:
    record = graph.instance.get_latest_asset_check_evaluation_record(dg.AssetCheckKey(key, name))
    assert record is not None
    assert record.event is not None
    assert record.event.dagster_event is not None
    return record.event.dagster_event.asset_check_evaluation_data


def told(graph: Graph, key: dg.AssetKey) -> dict[str, dg.MetadataValue]:
    event = graph.instance.get_latest_materialization_event(key)
    assert event is not None
    assert event.asset_materialization is not None
    return dict(event.asset_materialization.metadata)


class TestAgainstTheFunctions:
    def test_the_selection_is_of_what_is_stored(self, graph: Graph) -> None:
        store, panel = graph.workspace.store, graph.workspace.panel()
        wanted = factor_selection(
            store.read("factor_timeseries"),
            dict(zip(panel.dates.tolist(), market_return(panel).tolist(), strict=True)),
            {(factor.family, factor.name): factor.factor.sign for factor in graph.workspace.factors.values()},
            settings=graph.settings.evaluation,
            universe=graph.settings.universe_name,
            source=graph.workspace.source.label,
            n_trials=len(FEW_FACTORS),
        )
        rows = store.read("factor_selection")
        assert rows.equals(wanted)
        assert rows["scope"].to_pylist() == ["all", "technical"]
        assert rows["overfitting_probability"].null_count == rows["grs_pvalue"].null_count == 0

    def test_the_curves_are_of_what_is_stored(self, graph: Graph) -> None:
        panel = graph.workspace.panel()
        wanted = factor_event_curves(
            (
                (factor.family, factor.name, graph.workspace.factor_values(factor.family, factor.name, panel))
                for factor in graph.workspace.factors.values()
            ),
            panel,
            settings=graph.settings.evaluation,
            universe=graph.settings.universe_name,
            source=graph.workspace.source.label,
        )
        assert graph.workspace.store.read("factor_event_curves").equals(wanted)


class TestProperties:
    def test_they_are_a_part_of_the_report_after_the_evidence(self, graph: Graph) -> None:
        stages = stage_selections([a for a in graph.definitions.assets or [] if isinstance(a, dg.AssetsDefinition)])
        assert {SELECTION, EVENT_CURVES} <= set(stages["report"])
        assert dg.AssetKey("factor_evidence") in graph.definitions.resolve_asset_graph().get(SELECTION).parent_keys

    def test_the_checks_tell_luck_from_merit(self, graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
        (row,) = (r for r in graph.workspace.store.read("factor_selection").to_pylist() if r["scope"] == "all")
        columns = {
            "overfitting_is_unlikely": ("overfitting_probability", "MAX_OVERFITTING"),
            "best_is_superior": ("superior_ability_pvalue", "MAX_PVALUE"),
        }
        for name, (column, largest) in columns.items():
            found = check(graph, SELECTION, name)
            assert found.severity is dg.AssetCheckSeverity.WARN
            assert found.passed is (row[column] <= getattr(selection, largest))
            assert found.description == f"{column} {row[column]:.3g} of 5 factors on {row['n_sessions']} sessions"
            monkeypatch.setattr(selection, largest, 1.0 if not found.passed else -1.0)
            graph.run("factor_selection")
            assert check(graph, SELECTION, name).passed is not found.passed

    def test_a_factor_without_a_curve_is_named(self, graph: Graph) -> None:
        found = check(graph, EVENT_CURVES, "curves_are_known")
        assert not found.passed
        assert found.severity is dg.AssetCheckSeverity.WARN
        assert found.description == "1 of 6 factors have no complete sort: momentum/ret_12_1"

    def test_the_runs_say_what_they_found(self, graph: Graph) -> None:
        shown = told(graph, SELECTION)["selection"].value.splitlines()
        assert [line.split(" | ")[0] for line in shown[2:]] == ["| all", "| technical"]
        curves = told(graph, EVENT_CURVES)["curves"].value.splitlines()
        assert len(curves) == 2 + len(FEW_FACTORS)
        assert curves[-1].startswith("| momentum/ret_12_1 | - | - | 0 |")

    def test_no_trial_is_added_and_again_is_the_same_version(self, graph: Graph) -> None:
        store = graph.workspace.store
        names = ("trials", "factor_selection", "factor_event_curves")
        before = {name: store.versions(name) for name in names}
        graph.run(*names[1:])
        assert {name: store.versions(name) for name in names} == before

    def test_the_holdout_is_left_out(self, graph: Graph) -> None:
        store = graph.workspace.store
        whole = store.read("factor_event_curves")
        held = Graph(small_settings(graph.settings.home, evaluation={"holdout_start": HOLDOUT}))
        held.run("factor_selection", "factor_event_curves")
        assert pc.max(store.read("factor_selection")["end_date"]).as_py() < HOLDOUT
        assert pc.sum(store.read("factor_event_curves")["n_sorts"]).as_py() < pc.sum(whole["n_sorts"]).as_py()
        graph.run("factor_selection", "factor_event_curves")
