"""The graph itself: every asset documented, every edge loadable, every stage one job."""

from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from factor_assets import calendar
from factor_assets.defs.automation import LIBRARIES, STAGES, stage_selections
from factor_assets.defs.graph import build_definitions
from factor_assets.defs.partitions import dates, partition_of, partitions_back
from factor_assets.factors.registry import all_libraries
from factor_assets_tests.market import small_settings

SETTINGS = small_settings(Path("unused"))
DEFINITIONS = build_definitions(SETTINGS)
GRAPH = DEFINITIONS.resolve_asset_graph()
KEYS = sorted(GRAPH.get_all_asset_keys())
EDGES = sorted((child, parent) for child in KEYS for parent in GRAPH.get(child).parent_keys)


def name(key: dg.AssetKey) -> str:
    return key.to_user_string()


class TestEveryAsset:
    @pytest.mark.parametrize("key", KEYS, ids=name)
    def test_is_described(self, key: dg.AssetKey) -> None:
        node = GRAPH.get(key)
        assert node.description
        assert node.group_name != "default"
        assert node.backfill_policy is None or node.backfill_policy.max_partitions_per_run is None
        if name(key) not in ("tear_sheet", "lake_maintenance"):
            schema = node.metadata["dagster/column_schema"]
            assert all(column.description for column in schema.columns)
            assert node.code_version

    @pytest.mark.parametrize(("child", "parent"), EDGES, ids=name)
    def test_edge_loads(self, child: dg.AssetKey, parent: dg.AssetKey) -> None:
        with dg.DagsterInstance.ephemeral() as instance:
            instance.add_dynamic_partitions("tickers", ["A", "B"])
            node, upstream = GRAPH.get(child), GRAPH.get(parent)
            if upstream.partitions_def is None or node.partitions_def is None:
                return
            mapping = GRAPH.get_partition_mapping(child, parent)
            for key in node.partitions_def.get_partition_keys(dynamic_partitions_store=instance):
                subset = node.partitions_def.subset_with_partition_keys([key])
                found = mapping.get_upstream_mapped_partitions_result_for_partitions(
                    subset, node.partitions_def, upstream.partitions_def, dynamic_partitions_store=instance
                )
                assert not found.required_but_nonexistent_subset
                assert len(found.partitions_subset) > 0

    @pytest.mark.parametrize(("child", "parent"), EDGES, ids=name)
    def test_no_edge_looks_ahead(self, child: dg.AssetKey, parent: dg.AssetKey) -> None:
        node, upstream = GRAPH.get(child), GRAPH.get(parent)
        if not (
            isinstance(node.partitions_def, dg.TimeWindowPartitionsDefinition)
            and isinstance(upstream.partitions_def, dg.TimeWindowPartitionsDefinition)
        ):
            return
        mapping = GRAPH.get_partition_mapping(child, parent)
        for key in node.partitions_def.get_partition_keys():
            subset = node.partitions_def.subset_with_partition_keys([key])
            found = mapping.get_upstream_mapped_partitions_result_for_partitions(
                subset, node.partitions_def, upstream.partitions_def
            )
            assert max(found.partitions_subset.get_partition_keys()) == key


class TestStages:
    def test_hold_every_asset_once_with_one_partitions_definition_each(self) -> None:
        stages = stage_selections([a for a in DEFINITIONS.assets or [] if isinstance(a, dg.AssetsDefinition)])
        assert [stage for stage in stages if stage != LIBRARIES] == list(STAGES)
        assert [name(key) for key in stages[LIBRARIES]] == [
            f"libraries/{library}" for library in sorted(all_libraries())
        ]
        listed = [key for keys in stages.values() for key in keys]
        assert sorted(listed) == [key for key in KEYS if name(key) != "lake_maintenance"]
        for keys in stages.values():
            assert len({GRAPH.get(key).partitions_def for key in keys}) == 1

    @pytest.mark.parametrize(
        ("places", "kinds"),
        [
            ({}, {"delta"}),
            ({"store": {"path": "s3://bucket/lake"}}, {"delta", "s3"}),
            ({"store": {"kind": "clickhouse"}, "clickhouse": {"host": "h"}}, {"clickhouse"}),
        ],
    )
    def test_every_table_says_where_it_is(self, tmp_path: Path, places: dict, kinds: set[str]) -> None:
        graph = build_definitions(small_settings(tmp_path, **places)).resolve_asset_graph()
        shown = {key: graph.get(key).kinds for key in graph.get_all_asset_keys()}
        assert shown[dg.AssetKey("prices")] == shown[dg.AssetKey("lake_maintenance")] == kinds
        assert all(found in (kinds, {"html"}) for found in shown.values())

    def test_every_job_resolves(self) -> None:
        for job in (*STAGES, LIBRARIES, "maintenance"):
            assert DEFINITIONS.resolve_job_def(job).name == job


class TestPartitions:
    def test_a_month_holds_every_day_of_it(self, tmp_path: Path) -> None:
        definition = dates(small_settings(tmp_path))
        assert definition.get_partition_keys() == ["2023-01", "2023-02", "2023-03", "2023-04"]
        window = definition.time_window_for_partition_key("2023-02")
        assert (window.start.date(), window.end.date()) == (date(2023, 2, 1), date(2023, 3, 1))

    @pytest.mark.parametrize("code", ["XNYS", "XLON", "XTKS", "XSAU"])
    def test_a_day_is_a_session_and_every_session_a_day(self, tmp_path: Path, code: str) -> None:
        data = {"source": "sample", "calendar": code, "start": date(2022, 1, 3), "end": date(2023, 4, 28)}
        definition = dates(small_settings(tmp_path, data=data, partitions={"grain": "day"}))
        sessions = calendar.sessions(code, date(2022, 1, 3), date(2023, 4, 28))
        assert definition.get_partition_keys() == [str(day) for day in sessions]
        for key in definition.get_partition_keys():
            window = definition.time_window_for_partition_key(key)
            inside = sessions[(sessions >= window.start.date()) & (sessions < window.end.date())]
            assert [str(day) for day in inside] == [key]

    @pytest.mark.parametrize("code", ["XNYS", "XSHG", "XTKS"])
    def test_months_back_hold_the_sessions_asked_for(self, tmp_path: Path, code: str) -> None:
        settings = small_settings(tmp_path)
        for sessions in (1, 19, 20, 21, 63, 252):
            for year in range(2000, 2025):
                for month in range(1, 13):
                    first = date(year, month, 1)
                    wanted = calendar.previous_session(code, first, sessions)
                    reached = first
                    for _ in range(partitions_back(settings, sessions)):
                        reached = (reached - timedelta(days=1)).replace(day=1)
                    assert reached <= wanted

    def test_an_open_end_has_today(self, tmp_path: Path) -> None:
        settings = small_settings(tmp_path, data={"source": "yahoo", "start": date(2024, 1, 2)})
        keys = dates(settings).get_partition_keys()
        today = datetime.now(ZoneInfo("America/New_York")).date()
        assert partition_of(settings, today) == keys[-1]
