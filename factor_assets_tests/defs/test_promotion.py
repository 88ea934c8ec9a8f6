"""The assets of the gate on a small market: the ledger that counts, the decision, a check a gate."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pyarrow.compute as pc
import pytest

from factor_assets.defs.promotion import PROMOTED
from factor_assets.evaluation.promotion import GATES
from factor_assets.evaluation.trials import family_size
from factor_assets.trial import evaluate_factor
from factor_assets_tests.market import Graph, small_settings


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Graph]:
    """Everything made once."""
    graph = Graph(small_settings(tmp_path_factory.mktemp("home")))
    with graph.instance:
        graph.run()
        yield graph


def checks(graph: Graph) -> dict[str, dg.AssetCheckEvaluation]:
    keys = [dg.AssetCheckKey(PROMOTED, f"gate_{gate}") for gate in GATES]
    records = graph.instance.event_log_storage.get_latest_asset_check_execution_by_key(keys)
    found = {}
    for key in keys:
        event = records[key].event
        assert event is not None
        assert event.dagster_event is not None
        found[key.name.removeprefix("gate_")] = event.dagster_event.asset_check_evaluation_data
    return found


class TestProperties:
    def test_every_factor_is_decided_and_every_refusal_has_its_reason(self, graph: Graph) -> None:
        rows = graph.workspace.store.read("promoted_factors").to_pylist()
        assert {(row["factor_type"], row["factor_name"]) for row in rows} == {
            (factor.family, factor.name) for factor in graph.workspace.factors.values()
        }
        assert all(bool(row["reasons"]) is not row["promoted"] for row in rows)
        assert not any(row["promoted"] for row in rows), "four months of twelve companies show nothing"
        # ret_12_1 looks back further than the data go.
        (without,) = (row for row in rows if row["factor_name"] == "ret_12_1")
        assert "holm_pvalue unknown: " in without["reasons"]

    def test_a_check_a_gate_says_how_many_it_refused_and_which(self, graph: Graph) -> None:
        rows = graph.workspace.store.read("promoted_factors").to_pylist()
        found = checks(graph)
        assert list(found) == list(GATES)
        for check in found.values():
            refused = check.metadata["refused"].value
            assert check.passed is not bool(refused)
            assert check.metadata["n_refused"].value == len(refused)
            assert check.severity == dg.AssetCheckSeverity.WARN
            assert f"{len(refused) or 'none'} of {len(rows)} factors refused" in (check.description or "")
        named = {name for check in found.values() for name in check.metadata["refused"].value}
        assert named == {f"{row['factor_type']}/{row['factor_name']}" for row in rows if not row["promoted"]}

    def test_the_family_is_counted_from_the_ledger(self, graph: Graph) -> None:
        store, n = graph.workspace.store, len(graph.workspace.factors)
        assert family_size(store.read("trials"), universe="all") == n
        assert set(store.read("promoted_factors")["n_trials"].to_pylist()) == {n}
        before = store.read("factor_evidence", columns=["holm_pvalue"])["holm_pvalue"].drop_null()
        for days in (2, 3, 4):
            evaluate_factor(f"delta(close, {days})", workspace=graph.workspace)
        graph.run("factor_evidence", "promoted_factors")
        assert store.read("trials").num_rows == n + 3, "what the ledger has is not recorded again"
        assert set(store.read("promoted_factors")["n_trials"].to_pylist()) == {n + 3}
        after = store.read("factor_evidence", columns=["holm_pvalue"])["holm_pvalue"].drop_null()
        assert pc.all(pc.greater_equal(after, before)).as_py()
        assert pc.any(pc.greater(after, before)).as_py(), "every further trial makes every find harder"

    def test_made_again_it_is_the_same_version(self, graph: Graph, tmp_path: Path) -> None:
        version = graph.workspace.store.latest_version("promoted_factors")
        graph.run("promoted_factors")
        assert graph.workspace.store.latest_version("promoted_factors") == version
