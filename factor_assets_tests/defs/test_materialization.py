"""What an asset's event says of its rows, and that making the same rows again changes nothing downstream."""

from typing import Any

import dagster as dg
import pytest

from factor_assets.defs.instance import open_instance
from factor_assets.defs.materialization import column_schema
from factor_assets.settings import Settings
from factor_assets.tables import TABLES, factor_table
from factor_assets.workspace import Workspace
from factor_assets_tests.market import run, small_settings

MONTHS = ("2023-01", "2023-02", "2023-03", "2023-04")
FACTOR = dg.AssetKey(["factors", "technical", "rsi_14"])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = small_settings(tmp_path_factory.mktemp("made"))
    assert not any(account.failed for account in run(settings, names=["price_history+"]))
    return settings


def events(settings: Settings, key: dg.AssetKey) -> dict[str | None, dg.AssetMaterialization]:
    """Partition -> its newest materialization."""
    with open_instance(settings) as instance:
        records = instance.fetch_materializations(key, limit=1000).records
    newest: dict[str | None, dg.AssetMaterialization] = {}
    for record in records:
        if record.asset_materialization is not None:
            newest.setdefault(record.partition_key, record.asset_materialization)
    return newest


def value(event: dg.AssetMaterialization, name: str) -> Any:
    return event.metadata[name].value


def tag(event: dg.AssetMaterialization, name: str) -> str:
    return (event.tags or {})[name]


class TestAgainstTheStore:
    @pytest.mark.parametrize("name", ["prices", "factors/technical/rsi_14", "factor_timeseries"])
    def test_rows_are_counted_by_date(self, made: Settings, name: str) -> None:
        rows = Workspace(made).store.read(name)
        found = events(made, dg.AssetKey(name.split("/")))
        assert sorted(str(key) for key in found) == list(MONTHS)
        for month, event in found.items():
            wanted = sum(f"{day:%Y-%m}" == month for day in rows["date"].to_pylist())
            assert value(event, "dagster/partition_row_count") == wanted
            assert value(event, "source") == "sample (synthetic)"
        # what is said of the run is said on its last partition
        last = found[MONTHS[-1]]
        assert value(last, "dagster/row_count") == value(last, "rows") == rows.num_rows

    @pytest.mark.parametrize("name", ["price_history", "factor_details"])
    def test_rows_are_counted_by_ticker(self, made: Settings, name: str) -> None:
        tickers = Workspace(made).store.read(name, columns=["ticker"])["ticker"].to_pylist()
        counted = {key: value(e, "dagster/partition_row_count") for key, e in events(made, dg.AssetKey(name)).items()}
        assert counted == {ticker: tickers.count(ticker) for ticker in set(tickers)}

    def test_a_month_says_its_own_rows_and_those_of_the_table(self, made: Settings) -> None:
        run(made, names=["rsi_14"], start=made.start.replace(month=2, day=1), end=made.start.replace(month=2, day=1))
        event = events(made, FACTOR)["2023-02"]
        assert value(event, "rows") == value(event, "dagster/partition_row_count")
        assert value(event, "dagster/row_count") == Workspace(made).store.read("factors/technical/rsi_14").num_rows
        assert value(event, "slice") == "2023-02-01 to 2023-03-01"


class TestProperties:
    def test_the_same_rows_keep_their_data_version(self, made: Settings) -> None:
        before = events(made, FACTOR)
        run(made, names=["rsi_14"])
        after = events(made, FACTOR)
        for month in MONTHS:
            assert tag(after[month], "dagster/data_version") == tag(before[month], "dagster/data_version")
            assert tag(after[month], "dagster/code_version") == tag(before[month], "dagster/code_version")

    def test_a_range_has_one_plot(self, made: Settings) -> None:
        run(made, names=["rsi_14"])
        assert [month for month, event in sorted(events(made, FACTOR).items()) if "plot" in event.metadata] == [
            MONTHS[-1]
        ]

    def test_every_column_has_its_meaning_and_unit(self) -> None:
        for table in TABLES.values():
            for column, shown in zip(table.columns, column_schema(table).columns, strict=True):
                assert shown.description == column.meaning + (f" Unit: {column.unit}." if column.unit else "")
                assert shown.constraints.nullable == column.nullable

    def test_a_factor_has_its_own_unit(self) -> None:
        def shown(unit: str) -> str | None:
            return column_schema(factor_table("technical", "rsi_14"), units={"value": unit}).columns[2].description

        assert str(shown("points from 0 to 100")).endswith("Unit: points from 0 to 100.")
        assert "Unit" not in str(shown(""))
