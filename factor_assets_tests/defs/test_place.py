"""What was made into one place of the tables does not count at another."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import dagster as dg
import pytest

from factor_assets.defs.instance import open_instance
from factor_assets.defs.place import (
    accept_place,
    another_place,
    examine_place,
    place_of,
    record_place,
    recorded_place,
    require_place,
)
from factor_assets.errors import SettingsError
from factor_assets.settings import Settings
from factor_assets.storage.copying import copy_tables
from factor_assets.workspace import Workspace
from factor_assets_tests.market import Graph, run, small_settings
from factor_assets_tests.servers.clickhouse import ClickHouseAt

LOADED = "price_history"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Graph]:
    """A home in which the price history was made, in the lake below it."""
    graph = Graph(small_settings(tmp_path / "home"))
    graph.run(LOADED)
    yield graph
    graph.instance.dispose()


def elsewhere(graph: Graph, folder: Path) -> Settings:
    return small_settings(graph.settings.home, store={"path": str(folder)})


class TestAgainstClickHouse:
    def test_another_database_is_another_place(
        self, tmp_path: Path, clickhouse: ClickHouseAt, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CLICKHOUSE_PASSWORD", clickhouse.password)
        first, second = (
            small_settings(
                tmp_path,
                store={"kind": "clickhouse"},
                clickhouse=clickhouse.settings(f"{name}_{uuid4().hex}").model_dump(),
            )
            for name in ("first", "second")
        )
        run(first, names=[LOADED])
        assert [a.skipped for a in run(first, names=[LOADED], missing_only=True)] == [11]
        with pytest.raises(SettingsError, match=rf"is in {database_of(first)}, but .* in {database_of(second)}\."):
            run(second, names=[LOADED], missing_only=True)
        # Without a record, as after runs from the UI, the events tell.
        with open_instance(first) as instance:
            forget(instance)
            assert recorded_place(instance, Workspace(first)) == database_of(first)
            assert another_place(instance, Workspace(second))


def database_of(settings: Settings) -> str:
    return f"http://{settings.clickhouse.host}:{settings.clickhouse.port}/{settings.clickhouse.database}"


def forget(instance: dg.DagsterInstance) -> None:
    """Leave the instance as runs from the UI alone would."""
    storage = instance.daemon_cursor_storage
    held = storage.get_cursor_values({"factor_assets/place_of_tables"})
    assert held
    with storage.connect() as connection:  # type: ignore[attr-defined]
        connection.exec_driver_sql("DELETE FROM kvs WHERE key = 'factor_assets/place_of_tables'")


class TestProperties:
    def test_nothing_is_recorded_before_something_is_made(self, tmp_path: Path) -> None:
        settings = small_settings(tmp_path)
        with open_instance(settings) as instance:
            assert recorded_place(instance, Workspace(settings)) == ""
            require_place(instance, Workspace(settings))

    def test_a_home_that_moves_with_its_lake_goes_on(self, home: Graph, tmp_path: Path) -> None:
        assert recorded_place(home.instance, home.workspace) == str(tmp_path / "home" / "lake")
        moved = Workspace(small_settings(tmp_path / "moved"))
        shutil.move(tmp_path / "home", tmp_path / "moved")
        with open_instance(moved.settings) as instance:
            assert recorded_place(instance, moved) == str(tmp_path / "moved" / "lake") == place_of(moved)
            require_place(instance, moved)

    def test_the_events_tell_where_nothing_is_recorded(self, home: Graph, tmp_path: Path) -> None:
        recorded = recorded_place(home.instance, home.workspace)
        forget(home.instance)
        assert recorded_place(home.instance, home.workspace) == recorded
        with pytest.raises(SettingsError, match=str(tmp_path / "other")):
            run(elsewhere(home, tmp_path / "other"), names=[LOADED], missing_only=True)

    def test_moved_tables_are_accepted_once_they_are_there(self, home: Graph, tmp_path: Path) -> None:
        settings = elsewhere(home, tmp_path / "other")
        there = Workspace(settings)
        with pytest.raises(SettingsError, match=r"other lacks price_history, which .* Copy all tables there"):
            accept_place(home.instance, there)
        list(copy_tables(home.workspace.store, there.store))
        assert accept_place(home.instance, there) == str(tmp_path / "other")
        assert [(a.made, a.skipped) for a in run(settings, names=[LOADED], missing_only=True)] == [(0, 11)]
        with pytest.raises(SettingsError, match="set the old place again"):
            require_place(home.instance, home.workspace)

    def test_a_place_that_is_recorded_may_be_recorded_again(self, home: Graph, tmp_path: Path) -> None:
        record_place(home.instance, Workspace(elsewhere(home, tmp_path / "other")))
        assert recorded_place(home.instance, home.workspace) == str(tmp_path / "other")

    def test_doctor_says_where_it_is(self, home: Graph, tmp_path: Path) -> None:
        (fresh,) = examine_place(small_settings(tmp_path / "fresh"))
        assert fresh.ok
        assert fresh.found == f"nothing was made yet; it will be in {tmp_path / 'fresh' / 'lake'}"
        (found,) = examine_place(home.settings)
        assert found.ok
        assert found.found == f"what is recorded as made is in {tmp_path / 'home' / 'lake'}"


class TestErrors:
    @pytest.mark.parametrize("missing_only", [False, True])
    def test_a_run_into_another_place_is_refused(self, home: Graph, tmp_path: Path, missing_only: bool) -> None:
        with pytest.raises(
            SettingsError,
            match=rf"dagster records as made is in {tmp_path}/home/lake, but the settings have the tables in"
            rf" {tmp_path}/other\. Give the new place a `home` of its own, .* `factor-assets accept-place`\.",
        ):
            run(elsewhere(home, tmp_path / "other"), names=[LOADED], missing_only=missing_only)
        assert not (tmp_path / "other").exists()

    def test_doctor_says_that_the_place_is_another(self, home: Graph, tmp_path: Path) -> None:
        (found,) = examine_place(elsewhere(home, tmp_path / "other"))
        assert not found.ok
        assert f"is in {tmp_path}/home/lake, but the settings have the tables in {tmp_path}/other" in found.found

    def test_doctor_says_that_tables_are_gone(self, home: Graph) -> None:
        shutil.rmtree(home.settings.lake_path)
        (found,) = examine_place(home.settings)
        assert not found.ok
        assert "lacks price_history, recorded as made" in found.found
        assert "factor-assets backfill" in found.advice
