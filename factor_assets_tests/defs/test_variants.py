"""The assets of the variants: the same bits by day, month and range; the stages, the check and what a run says."""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import pytest

from factor_assets.defs.automation import stage_selections
from factor_assets.defs.variants import VARIANT_EVIDENCE, VARIANTS
from factor_assets.evaluation.variants import history_sessions, variants_of
from factor_assets.settings import EvaluationSettings
from factor_assets.storage.rows import checksum
from factor_assets.storage.slice import EVERYTHING, Slice
from factor_assets.storage.store import Provenance
from factor_assets.tables import TABLES
from factor_assets_tests.market import Graph, small_settings

FACTORS = ("technical/close_location", "technical/rsi_14", "momentum/ret_12_1")
EVALUATION = {"n_quantiles": 2, "horizons": (1, 5)}
EMPTIED = Provenance(source="sample (synthetic)", run_id="", code_version="", inputs={})
MADE = ("universe", "price_history", "prices", *(f"factors/{name}" for name in FACTORS), "factor_variants")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Graph]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("factor_assets.defs.factors.value_band_png", lambda *_args, **_options: b"")
        home = tmp_path_factory.mktemp("made")
        graph = Graph(small_settings(home, factors={"families": FACTORS}, evaluation=EVALUATION))
        graph.run(*MADE, "variant_evidence")
    yield graph
    graph.instance.dispose()


def rows(graph: Graph) -> str:
    return checksum(graph.workspace.store.read("factor_variants"))


def empty(graph: Graph, part: Slice) -> None:
    graph.workspace.store.write(
        "factor_variants", part, TABLES["factor_variants"].schema.empty_table(), provenance=EMPTIED
    )


def latest_check(graph: Graph) -> dg.AssetCheckEvaluation:
    record = graph.instance.get_latest_asset_check_evaluation_record(dg.AssetCheckKey(VARIANTS, "variants_computed"))
    assert record is not None
    assert record.event is not None
    assert record.event.dagster_event is not None
    return record.event.dagster_event.asset_check_evaluation_data


class TestAgainstOneRange:
    def test_month_by_month(self, made: Graph) -> None:
        whole = rows(made)
        empty(made, EVERYTHING)
        assert rows(made) != whole
        for month in (3, 1, 4, 2):
            made.run("factor_variants", start=date(2023, month, 1), end=date(2023, month, 28))
        assert rows(made) == whole

    def test_day_by_day(self, made: Graph) -> None:
        daily = Graph(
            small_settings(
                made.settings.home,
                factors={"families": FACTORS},
                evaluation=EVALUATION,
                partitions={"grain": "day"},
            )
        )
        whole = rows(made)
        for day in (date(2023, 4, 28), date(2023, 1, 3)):
            empty(daily, Slice(start=day, end=day + timedelta(days=1)))
            assert rows(daily) != whole
            daily.run("factor_variants", start=day, end=day)
            assert rows(daily) == whole
        daily.instance.dispose()


class TestProperties:
    def test_every_factor_has_every_variant(self, made: Graph) -> None:
        store = made.workspace.store
        n_variants = len(variants_of(made.settings.evaluation))
        assert n_variants == 8
        evidence = store.read("variant_evidence")
        assert evidence.num_rows == len(FACTORS) * n_variants
        n_sessions = len(made.workspace.sessions(EVERYTHING))
        assert store.read("factor_variants").num_rows == n_sessions * evidence.num_rows
        assert store.read("factor_variants")["reason"].null_count > 0
        missing = {row["factor_name"] for row in evidence.to_pylist() if row["mean_variant_return"] is None}
        assert missing == {"ret_12_1"}  # the data are shorter than a year

    def test_the_stages_have_them(self, made: Graph) -> None:
        assets = [a for a in made.definitions.assets or [] if isinstance(a, dg.AssetsDefinition)]
        stages = stage_selections(assets)
        assert VARIANTS in stages["daily"]
        assert VARIANT_EVIDENCE in stages["report"]

    def test_a_partition_needs_what_its_lookback_reaches_into(self, tmp_path: Path) -> None:
        graph = Graph(small_settings(tmp_path, factors={"families": FACTORS}, partitions={"grain": "day"}))
        (definition,) = (
            a for a in graph.definitions.assets or [] if isinstance(a, dg.AssetsDefinition) and VARIANTS in a.keys
        )
        mappings = [dep.partition_mapping for dep in definition.specs_by_key[VARIANTS].deps]
        offsets = [m.start_offset for m in mappings if isinstance(m, dg.TimeWindowPartitionMapping)]
        assert offsets == [-history_sessions(EvaluationSettings())] * (2 + len(FACTORS))

    def test_the_check_expects_nothing_before_the_warm_up(self, made: Graph) -> None:
        made.run("factor_variants")
        found = latest_check(made)
        # 6 sessions of execution lag and longest holding; ret_12_1 is not expected in data that are shorter than a year
        n_sessions = len(made.workspace.sessions(EVERYTHING))
        lookbacks = [factor.lookback for factor in made.workspace.factors.values() if factor.name != "ret_12_1"]
        assert found.metadata["n_expected"].value == 8 * sum(n_sessions - 6 - lookback for lookback in lookbacks)
        assert found.passed
        assert found.metadata["n_null"].value == found.metadata["n_unknown"].value == 0

    def test_the_check_names_the_variants_that_want_more_names(self, made: Graph) -> None:
        finer = Graph(
            small_settings(
                made.settings.home, factors={"families": FACTORS}, evaluation={**EVALUATION, "n_quantiles": 5}
            )
        )
        finer.run("factor_variants")
        found = latest_check(finer)
        assert not found.passed
        assert found.severity == dg.AssetCheckSeverity.WARN
        assert found.description is not None
        assert found.description.endswith("past the warm-up are null: sector_neutral")
        reasons = found.metadata["reasons"].value
        assert sum(reasons.values()) == found.metadata["n_null"].value > 0
        assert set(reasons) == {"no sector with 5 names ranked and more than one value"}
        finer.instance.dispose()
        made.run("factor_variants")

    def test_the_run_says_what_it_found(self, made: Graph) -> None:
        event = made.instance.get_latest_materialization_event(VARIANT_EVIDENCE)
        assert event is not None
        assert event.asset_materialization is not None
        metadata = event.asset_materialization.metadata
        assert metadata["without_return"].value == 8
        shown = metadata["variants"].value.splitlines()
        assert len(shown) == 2 + 8 * len(FACTORS)
        assert "no factor value" in next(line for line in shown if "ret_12_1" in line)
