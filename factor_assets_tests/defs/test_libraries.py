"""Libraries as assets: one table with documented columns, the same bits however it was cut, made when asked for."""

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import dagster as dg
import numpy as np
import pytest

from factor_assets.defs import libraries
from factor_assets.defs.automation import is_on_demand
from factor_assets.defs.graph import build_definitions
from factor_assets.defs.partitions import whole_partitions
from factor_assets.defs.runs import resolve
from factor_assets.defs.status import asset_statuses
from factor_assets.evaluation.value_quality import CHECKS
from factor_assets.expressions import Expression, close, delay, engine, mean, rank, returns
from factor_assets.factors.factor import Factor
from factor_assets.factors.library import Library
from factor_assets.factors.registry import RegisteredFactor, RegisteredLibrary, all_libraries
from factor_assets.panel.panel import Array, Panel
from factor_assets.storage.rows import checksum
from factor_assets.storage.slice import EVERYTHING, Slice
from factor_assets.workspace import Workspace
from factor_assets_tests.market import Graph, small_settings

TABLE, KEY = "libraries/small", dg.AssetKey(["libraries", "small"])
EVIDENCE = ("factor_timeseries", "factor_quantiles", "factor_details", "factor_summary")
COLUMNS: dict[str, Expression] = {
    "move": returns,
    "trend": close / delay(close, 5) - 1,
    "place": rank(mean(returns, 20)),
    "flat": close / close,
}


def library(columns: Mapping[str, Expression] = COLUMNS) -> Mapping[str, RegisteredLibrary]:
    """One library of the columns, as the registry gives it."""
    factors = {
        name: Factor(
            expression=formula, sign=0, cite="Nobody (2020)", unit="fraction", description=f"What {name} tells."
        )
        for name, formula in columns.items()
    }
    registered = {
        name: RegisteredFactor(name=name, family="small", factor=factor, place="here")
        for name, factor in factors.items()
    }
    declared = Library(factors=factors, cite="Nobody (2020)", description="A small library.")
    return MappingProxyType({"small": RegisteredLibrary(name="small", library=declared, factors=registered)})


@pytest.fixture(autouse=True)
def small_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the small library in place of the package's, and cut its runs into many parts."""
    use(monkeypatch, library())
    monkeypatch.setattr(libraries, "MAX_VALUES", 30 * len(COLUMNS) * 11)


def use(monkeypatch: pytest.MonkeyPatch, known: Mapping[str, RegisteredLibrary]) -> None:
    monkeypatch.setattr(libraries, "all_libraries", lambda: known)
    chosen = property(lambda self: {name: known[name] for name in self.settings.factors.libraries})
    monkeypatch.setattr(Workspace, "libraries", chosen)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with prices and a universe."""
    home = tmp_path_factory.mktemp("made")
    graph = Graph(small_settings(home))
    graph.run("market_data")
    graph.instance.dispose()
    return home


@pytest.fixture
def graph(home: Path) -> Iterator[Graph]:
    graph = Graph(small_settings(home))
    yield graph
    graph.instance.dispose()


def evaluations(graph: Graph) -> dict[str, dg.AssetCheckEvaluation]:
    """Check -> what it found when it last ran."""
    records = {
        check: graph.instance.get_latest_asset_check_evaluation_record(dg.AssetCheckKey(KEY, check)) for check in CHECKS
    }
    return {check: record.event.dagster_event.asset_check_evaluation_data for check, record in records.items()}


class TestAgainstTheEngine:
    def test_a_column_holds_the_factor_s_values(self, graph: Graph) -> None:
        graph.run(TABLE)
        rows = graph.workspace.store.read(TABLE)
        assert rows.column_names == ["date", "ticker", *COLUMNS, "source"]
        panel = graph.workspace.panel(EVERYTHING)
        assert rows.num_rows == np.count_nonzero(~np.isnan(panel["raw_close"]))
        for name, values in engine.evaluate(COLUMNS, panel):
            np.testing.assert_array_equal(panel.scatter(rows, name), values)

    def test_day_by_day_gives_the_bits_of_a_range(self, graph: Graph, tmp_path: Path) -> None:
        graph.run(TABLE)
        whole = graph.workspace.store.read(TABLE)
        daily = Graph(small_settings(tmp_path, partitions={"grain": "day"}))
        daily.run("market_data")
        days = daily.workspace.sessions(EVERYTHING).tolist()
        daily.run(TABLE, start=days[0], end=days[-6])
        for day in (days[-2], days[-5], days[-1], days[-4], days[-3]):
            daily.run(TABLE, start=day, end=day)
        assert checksum(daily.workspace.store.read(TABLE)) == checksum(whole)
        daily.instance.dispose()

    def test_a_run_is_cut_into_whole_partitions(self, home: Path) -> None:
        for grain, at_most in (("month", 1), ("month", 40), ("month", 999), ("day", 1), ("day", 7)):
            workspace = Workspace(small_settings(home, partitions={"grain": grain}))
            for part in (EVERYTHING, Slice(start=date(2023, 2, 1), end=date(2023, 4, 1))):
                sessions = workspace.sessions(part)
                pieces = whole_partitions(workspace.settings, part, sessions, at_most=at_most)
                assert (pieces[0].start, pieces[-1].end) == (part.start, part.end)
                assert [piece.end for piece in pieces[:-1]] == [piece.start for piece in pieces[1:]]
                found = [workspace.sessions(piece).tolist() for piece in pieces]
                assert [day for days in found for day in days] == sessions.tolist()
                for days in found:
                    one_month = len({(day.year, day.month) for day in days}) == 1
                    assert len(days) <= at_most or (grain == "month" and one_month)
                if grain == "month":
                    months = [{(day.year, day.month) for day in days} for days in found]
                    assert sum(map(len, months)) == len(set.union(*months))


class TestProperties:
    def test_every_library_of_the_package_is_one_documented_asset(self, monkeypatch: pytest.MonkeyPatch) -> None:
        use(monkeypatch, all_libraries())
        graph = build_definitions(small_settings(Path("unused"))).resolve_asset_graph()
        keys = {key for key in graph.get_all_asset_keys() if key.path[0] == "libraries"}
        assert {key.path[1] for key in keys} == set(all_libraries())
        for key in keys:
            node, declared = graph.get(key), all_libraries()[key.path[1]]
            assert (node.group_name, node.code_version) == ("libraries", declared.code_version)
            assert is_on_demand(node)
            columns = {column.name: column for column in node.metadata["dagster/column_schema"].columns}
            assert list(columns) == ["date", "ticker", *declared.factors, "source"]
            for name, factor in declared.factors.items():
                assert factor.factor.description in columns[name].description
                assert f"`{factor.expression}`" in columns[name].description
                assert columns[name].type == "double"

    def test_again_makes_no_new_version_and_keeps_the_data_version(self, graph: Graph) -> None:
        def told() -> dict[str, str]:
            records = graph.instance.fetch_materializations(KEY, limit=4).records
            return {r.partition_key: r.asset_materialization.tags["dagster/data_version"] for r in records}

        graph.run(TABLE)
        versions, before = graph.workspace.store.versions(TABLE), told()
        graph.run(TABLE)
        assert graph.workspace.store.versions(TABLE) == versions
        assert told() == before
        assert len(before) == 4

    def test_a_month_made_again_replaces_its_rows_alone(self, graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
        graph.run(TABLE)
        before = graph.workspace.store.read(TABLE)
        part = Slice(start=date(2023, 2, 1), end=date(2023, 3, 1))
        use(monkeypatch, library({**COLUMNS, "trend": delay(returns, 1), "added": 2 * returns}))
        changed = Graph(graph.settings)
        changed.run(TABLE, start=part.start, end=part.start)
        after = changed.workspace.store.read(TABLE)
        inside, outside = after.filter(part.mask(after)), after.filter(~np.asarray(part.mask(after)))
        assert after.column_names == ["date", "ticker", *COLUMNS, "added", "source"]
        assert outside["added"].null_count == outside.num_rows
        assert checksum(outside.drop_columns("added")) == checksum(before.filter(~np.asarray(part.mask(before))))
        assert inside.num_rows == before.filter(part.mask(before)).num_rows
        assert inside["added"].null_count == 0
        assert not inside["trend"].equals(before.filter(part.mask(before))["trend"])
        changed.instance.dispose()
        use(monkeypatch, library())
        graph.run(TABLE)
        assert checksum(graph.workspace.store.read(TABLE).drop_columns("added")) == checksum(before)

    def test_only_on_demand_unless_the_settings_name_it(self, home: Path) -> None:
        for chosen in ([], ["small"]):
            settings = small_settings(home, factors={"families": ["technical/close_location"], "libraries": chosen})
            graph = Graph(settings)
            for names in ((), ("prices+",)):
                assert (KEY in resolve(graph.definitions, names)) == bool(chosen)
            for name in ("libraries", "small", TABLE, "small+"):
                assert KEY in resolve(graph.definitions, (name,))
            daily = graph.definitions.resolve_job_def("daily").asset_layer.selected_asset_keys
            assert (KEY in daily) == bool(chosen)
            listed = [status.key for status in asset_statuses(graph.definitions, graph.instance)]
            assert (TABLE in listed) == bool(chosen)
            graph.instance.dispose()

    def test_chosen_columns_are_evaluated_as_factors_of_their_library(self, tmp_path: Path) -> None:
        chosen = {"families": ["technical/close_location"], "libraries": ["small"]}
        graph = Graph(small_settings(tmp_path, factors=chosen))
        graph.run("market_data", "close_location", "libraries", *EVIDENCE)
        summary = graph.workspace.store.read("factor_summary").to_pylist()
        found = {(row["factor_type"], row["factor_name"]): row for row in summary}
        assert set(found) == {("technical", "close_location"), *(("small", name) for name in COLUMNS)}
        assert found["small", "trend"]["description"].startswith(f"{COLUMNS['trend']}\n")
        assert found["small", "trend"]["n_sessions"] > 60
        # A factor that is left out again is no longer part of the evidence.
        without = Graph(small_settings(tmp_path, factors={**chosen, "libraries": []}))
        account = {a.stage: a for a in without.run("factor_timeseries", missing_only=True)}
        assert account["daily"].made == 4
        without.instance.dispose()
        graph.instance.dispose()

    def test_a_name_of_the_store_is_declared_without_the_library(self, home: Path) -> None:
        store = Workspace(small_settings(home)).store
        assert store.read("libraries/nobody_wrote_it", columns=["date", "anything"]).num_rows == 0


class TestErrors:
    def test_checks_name_the_worst_columns(self, graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
        def evaluate(expressions: Mapping[str, Any], panel: Panel, **options: Any) -> Iterator[tuple[str, Array]]:
            for name, values in engine.evaluate(expressions, panel, **options):
                wrong = values.copy()
                row = np.searchsorted(panel.dates, np.datetime64("2023-04-12"))
                if name in {"move", "trend"} and row < len(wrong):
                    wrong[row, : 3 if name == "move" else 9] = np.nan
                if name == "move" and row < len(wrong):
                    wrong[row, 4] = np.inf
                yield name, wrong

        monkeypatch.setattr(libraries, "evaluate", evaluate)
        graph.run(TABLE)
        found = evaluations(graph)
        coverage, sane, stable = found["coverage"], found["sane_values"], found["rank_stability"]
        assert not coverage.passed
        assert str(coverage.description).startswith("2 of 4 columns fail: trend: 1 of 76 sessions fall short: 18.2%")
        assert (coverage.metadata["n_columns"].value, coverage.metadata["n_failed"].value) == (4, 2)
        assert "| column | n_sessions |" in coverage.metadata["worst_columns"].value
        assert (sane.passed, sane.severity) == (False, dg.AssetCheckSeverity.ERROR)
        assert sane.description == "1 of 4 columns fail: move: 1 values are infinite, the first on 2023-04-12"
        assert "flat: 80 of 80 sessions fail: all names have one value" in str(stable.description)
        rows = graph.workspace.store.read(TABLE, Slice(start=date(2023, 4, 12), end=date(2023, 4, 13)))
        assert rows["move"].null_count == 4

    def test_a_range_that_fails_half_way_has_made_whole_partitions(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        graph = Graph(small_settings(tmp_path))
        graph.run("market_data")

        def evaluate(expressions: Mapping[str, Any], panel: Panel, **options: Any) -> Iterator[tuple[str, Array]]:
            if panel.dates[-1] > np.datetime64("2023-03-31"):
                raise ValueError("no such luck")
            yield from engine.evaluate(expressions, panel, **options)

        monkeypatch.setattr(libraries, "evaluate", evaluate)
        with pytest.raises(AssertionError, match="no such luck"):
            graph.run(TABLE)
        stored = graph.workspace.store.read(TABLE)["date"].to_pylist()
        assert max(stored) == date(2023, 3, 31)
        assert sorted(set(stored)) == graph.workspace.sessions(Slice(end=max(stored) + timedelta(days=1))).tolist()
        monkeypatch.undo()
        graph.instance.dispose()
