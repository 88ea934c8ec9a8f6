"""A home that ran with more tickers and then with fewer holds what a new home with the fewer would."""

from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import pyarrow.compute as pc
import pytest

from factor_assets.defs.automation import RANGE_END, RANGE_START, add_tickers
from factor_assets.defs.runs import run_stages
from factor_assets.storage.rows import checksum
from factor_assets.storage.slice import Slice
from factor_assets_tests.market import Graph, small_settings

SIX = ("SYN001", "SYN002", "SYN003", "SYN004", "SYN005", "SYN006")
FIVE = (*SIX[:2], *SIX[3:])
RETIRED = SIX[2]
FACTORS = {"families": ("technical/close_location", "technical/rsi_14", "liquidity/amihud_20d")}


def graph_of(home: Path, **changes: Any) -> Graph:
    return Graph(small_settings(home, **{"factors": FACTORS, **changes}))


def of_list(home: Path, tickers: tuple[str, ...]) -> Graph:
    return graph_of(home, universe={"name": "list", "tickers": tickers})


def of_file(home: Path, path: Path, *lines: str) -> Graph:
    path.write_text("\n".join(["ticker,start_date,end_date", *lines]), encoding="utf-8")
    return graph_of(home, universe={"name": "file", "path": str(path)})


def used_checksums(graph: Graph) -> dict[str, str]:
    """Table -> checksum, of `price_history` only the rows that are used."""
    found = graph.checksums()
    found["price_history"] = checksum(
        graph.workspace.store.read("price_history", Slice(tickers=frozenset(graph.workspace.wanted_tickers())))
    )
    return found


def closed(*graphs: Graph) -> None:
    for graph in graphs:
        graph.instance.dispose()


@pytest.fixture(scope="module", autouse=True)
def without_plots() -> Iterator[None]:
    """Leave the plots out: they are in no table, and take half of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("factor_assets.defs.factors.value_band_png", lambda *_args, **_options: b"")
        yield


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Graph]:
    """A new home with five tickers."""
    graph = of_list(tmp_path_factory.mktemp("fresh"), FIVE)
    graph.run()
    yield graph
    closed(graph)


class TestAgainstANewHome:
    @pytest.mark.slow
    @pytest.mark.parametrize("missing_only", [False, True])
    def test_a_shorter_list(self, fresh: Graph, tmp_path: Path, *, missing_only: bool) -> None:
        before = of_list(tmp_path, SIX)
        before.run()
        after = of_list(tmp_path, FIVE)
        after.run(missing_only=missing_only)
        assert used_checksums(after) == used_checksums(fresh)
        summary = after.workspace.store.read("factor_summary")
        assert set(summary["total_stocks"].to_pylist()) == {5}
        # What was fetched stays: the ticker may come back, and its source may hold it no more.
        history = after.workspace.store.read("price_history", columns=["ticker"])
        assert sorted(history["ticker"].unique().to_pylist()) == sorted(SIX)
        closed(before, after)

    @pytest.mark.slow
    def test_another_universe(self, fresh: Graph, tmp_path: Path) -> None:
        # Regressions of the other universe would stand among today's, which `factor_summary` refuses.
        before = graph_of(tmp_path, universe={"name": "all"})
        before.run()
        after = of_list(tmp_path, FIVE)
        after.run(missing_only=True)
        assert used_checksums(after) == used_checksums(fresh)
        closed(before, after)

    @pytest.mark.slow
    def test_a_ticker_that_comes_back(self, tmp_path: Path) -> None:
        six = of_list(tmp_path / "home", SIX)
        six.run()
        first = six.checksums()
        five = of_list(tmp_path / "home", FIVE)
        five.run()
        again = of_list(tmp_path / "home", SIX)
        again.run(missing_only=True)
        assert again.checksums() == first
        closed(six, five, again)

    @pytest.mark.slow
    def test_fewer_companies_in_the_source(self, tmp_path: Path) -> None:
        many = graph_of(tmp_path / "home", sample={"tickers": 14})
        many.run()
        few = graph_of(tmp_path / "home", sample={"tickers": 12})
        # `run` refuses any failure: none of the two that are gone is asked for.
        (loaded, *_) = few.run(missing_only=True)
        assert loaded.made == len(few.workspace.wanted_tickers())
        new = graph_of(tmp_path / "new", sample={"tickers": 12})
        new.run()
        assert used_checksums(few) == used_checksums(new)
        closed(many, few, new)

    @pytest.mark.slow
    def test_a_dated_universe(self, tmp_path: Path) -> None:
        always = [f"{ticker},2020-01-01," for ticker in SIX[:4]]
        left = f"{SIX[4]},2020-01-01,2023-03-01"
        more = of_file(tmp_path / "home", tmp_path / "members.csv", *always, left, f"{SIX[5]},2020-01-01,2023-03-01")
        more.run()
        fewer = of_file(tmp_path / "home", tmp_path / "members.csv", *always, left)
        fewer.run(missing_only=True)
        new = of_file(tmp_path / "new", tmp_path / "members.csv", *always, left)
        new.run()
        assert used_checksums(fewer) == used_checksums(new)
        # A former member is wanted for good: it has prices until it leaves the exchange, not the universe.
        prices = fewer.workspace.store.read("prices", Slice(start=date(2023, 4, 1)), columns=["ticker"])
        assert set(prices["ticker"].to_pylist()) == set(SIX[:5])
        closed(more, fewer, new)


class TestProperties:
    def test_only_the_rows_of_wanted_tickers_are_used(self, tmp_path: Path) -> None:
        before = of_list(tmp_path, SIX)
        before.run("price_history", "prices")
        after = of_list(tmp_path, FIVE)
        used = after.workspace.price_history(Slice(end=date(2023, 2, 1)), columns=["date", "ticker"])
        assert used.column_names == ["date", "ticker"]
        assert sorted(used["ticker"].unique().to_pylist()) == sorted(FIVE)
        assert pc.max(used["date"]).as_py() == date(2023, 1, 31)
        assert after.workspace.unused_tickers() == [RETIRED]
        assert before.workspace.unused_tickers() == []
        # The stored prices hold the sixth from the first session on, so everything is made again from there.
        assert before.workspace.first_date_to_make() is None
        assert after.workspace.first_date_to_make() == date(2023, 1, 3)
        closed(before, after)

    def test_a_retired_ticker_has_no_partition_until_it_is_wanted_again(self, tmp_path: Path) -> None:
        settings = of_list(tmp_path, SIX)
        with settings.instance as instance:
            assert add_tickers(instance, of_list(tmp_path, SIX).workspace) == list(SIX)
            assert add_tickers(instance, of_list(tmp_path, FIVE).workspace) == list(FIVE)
            assert add_tickers(instance, of_list(tmp_path, FIVE).workspace) == list(FIVE)
            assert add_tickers(instance, of_list(tmp_path, SIX).workspace) == [*FIVE, RETIRED]

    def test_the_evening_asks_for_no_retired_ticker(self, tmp_path: Path) -> None:
        end = {"source": "sample", "start": date(2023, 1, 3), "end": date(2023, 4, 28)}
        many = graph_of(tmp_path, data=end, universe={"name": "list", "tickers": SIX[:3]})
        few = graph_of(tmp_path, data=end, universe={"name": "list", "tickers": SIX[1:2]})
        with many.instance as instance:
            add_tickers(instance, many.workspace)
            evening = datetime(2023, 4, 26, 18, tzinfo=ZoneInfo("America/New_York"))
            schedule = few.definitions.resolve_schedule_def("daily_after_close")
            asked = schedule(dg.build_schedule_context(instance=instance, scheduled_execution_time=evening))
        assert isinstance(asked, dg.RunRequest)
        assert (asked.tags[RANGE_START], asked.tags[RANGE_END]) == (SIX[1], SIX[1])

    def test_the_check_counts_what_is_kept_and_not_used(self, tmp_path: Path) -> None:
        before = of_list(tmp_path, SIX)
        before.run("price_history")
        after = of_list(tmp_path, FIVE)
        after.run("price_history")
        check = dg.AssetCheckKey(dg.AssetKey("price_history"), "every_ticker_delivered")
        record = after.instance.get_latest_asset_check_evaluation_record(check)
        assert record is not None
        assert record.event is not None
        found = record.event.dagster_event.asset_check_evaluation_data  # type: ignore[union-attr]
        assert found.passed
        assert "1 tickers of earlier settings are kept and not used: SYN003" in found.description
        assert found.metadata["unused"].value == 1
        closed(before, after)


class TestErrors:
    def test_a_universe_without_a_ticker_retires_none(self, tmp_path: Path) -> None:
        graph = of_list(tmp_path, SIX)
        with graph.instance as instance:
            add_tickers(instance, graph.workspace)
            # A mistake in the settings, which `run_stages` and the schedule report.
            assert add_tickers(instance, of_list(tmp_path, ("AAPL",)).workspace) == []
            assert instance.get_dynamic_partitions("tickers") == list(SIX)

    def test_names_that_cannot_be_right_are_refused(self, tmp_path: Path) -> None:
        before = of_list(tmp_path, SIX)
        before.run("price_history")
        wrong = of_list(tmp_path, ("SYN01", "SYN02"))
        (account,) = run_stages(wrong.definitions, wrong.workspace, wrong.instance, names=["universe"])
        assert "None of the 2 tickers of universe 'list' has a price, such as 'SYN01'" in account.failures["universe"]
        closed(before, wrong)
