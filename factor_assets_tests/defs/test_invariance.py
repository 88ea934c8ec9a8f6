"""The same dates made in any way give the same bits: one range, partition by partition, any order, grain, executor."""

import json
import random
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow.compute as pc
import pytest

from factor_assets.defs.automation import RANGE_END, RANGE_START, add_tickers, stage_selections
from factor_assets.defs.partitions import dates
from factor_assets.defs.runs import run_stages
from factor_assets.storage.rows import checksum
from factor_assets.storage.slice import Slice
from factor_assets_tests.market import FEW_FACTORS, Graph, small_settings

# More than 252 sessions, so that every lookback is filled before the last months.
SPAN: dict[str, Any] = {"source": "sample", "start": date(2022, 1, 3), "end": date(2023, 4, 28)}


@pytest.fixture(scope="module", autouse=True)
def without_plots() -> Iterator[None]:
    """Leave the plots out: they are not stored in tables, and drawing them would take half of these tests' time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("factor_assets.defs.factors.value_band_png", lambda *_args, **_options: b"")
        yield


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Graph]:
    graph = Graph(small_settings(tmp_path_factory.mktemp("once"), data=SPAN))
    graph.run()
    yield graph
    graph.instance.dispose()


def stage_names(graph: Graph, stage: str) -> list[str]:
    assets = [a for a in graph.definitions.assets or [] if isinstance(a, dg.AssetsDefinition)]
    return [key.to_user_string() for key in stage_selections(assets)[stage]]


def daily_names(graph: Graph) -> tuple[list[str], list[str], list[str]]:
    """Assets by date in the order in which they need each other: prices, factors, evidence."""
    names = stage_names(graph, "daily")
    first = ["universe", "prices", "corporate_actions"]
    last = ["factor_timeseries", "factor_quantiles", "factor_information", "factor_trading", "factor_variants"]
    factors = [name for name in names if name not in (*first, *last)]
    assert len(factors) == len(FEW_FACTORS)
    return first, factors, last


class TestAgainstOneRange:
    def test_every_factor_has_values(self, undisturbed: Graph) -> None:
        store = undisturbed.workspace.store
        assert len(store.tables()) == 20 + len(FEW_FACTORS)
        for name in store.tables():
            rows = store.read(name)
            assert rows.num_rows > 0, name
            if name.startswith("factors/"):
                assert rows["value"].null_count < rows.num_rows, name

    def test_twice_makes_no_new_version(self, undisturbed: Graph) -> None:
        store = undisturbed.workspace.store
        before, versions = undisturbed.checksums(), {name: store.versions(name) for name in store.tables()}
        undisturbed.run()
        assert undisturbed.checksums() == before
        # So nothing downstream looks stale.
        assert {name: store.versions(name) for name in store.tables()} == versions

    @pytest.mark.slow
    @pytest.mark.parametrize("grain", ["month", "day"])
    def test_partition_by_partition_in_random_order(self, undisturbed: Graph, tmp_path: Path, grain: str) -> None:
        graph = Graph(small_settings(tmp_path, data=SPAN, partitions={"grain": grain}))
        graph.run("price_history")
        definition = dates(graph.settings)
        keys = list(definition.get_partition_keys())
        # The year before is one range of months, so that lookbacks are filled; then partitions are made one by one.
        by_month = Graph(small_settings(tmp_path, data=SPAN))
        first = date(2023, 1, 1) if grain == "month" else date(2023, 4, 1)
        starts = [definition.time_window_for_partition_key(key).start.date() for key in keys]
        late = [day for day in starts if day >= first]
        together, alone = late[:-8], late[-8:]
        order = random.Random(5)
        for names in daily_names(graph):
            by_month.run(*names, end=first - timedelta(days=1))
            if together:
                graph.run(*names, start=together[0], end=together[-1])
            order.shuffle(alone)
            for day in alone:
                graph.run(*names, start=day, end=day)
        for stage in ("details", "report"):
            graph.run(*stage_names(graph, stage))
        assert graph.checksums() == undisturbed.checksums()
        pages = [g.workspace.tear_sheet_path.read_text(encoding="utf-8") for g in (graph, undisturbed)]
        assert len(pages[0]) > 1_000_000
        graph.instance.dispose()

    @pytest.mark.slow
    def test_by_the_multiprocess_executor(
        self, undisturbed: Graph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        graph = Graph(small_settings(tmp_path, data=SPAN, run={"executor": "multiprocess"}))
        # The steps' processes load the definitions anew, from the environment.
        for name, value in {
            "HOME": str(tmp_path),
            "DATA__START": str(SPAN["start"]),
            "DATA__END": str(SPAN["end"]),
            "SAMPLE__TICKERS": "12",
            "FACTORS__FAMILIES": json.dumps(FEW_FACTORS),
            "EVALUATION__BETA_WINDOW": str(graph.settings.evaluation.beta_window),
            "RUN__EXECUTOR": "multiprocess",
        }.items():
            monkeypatch.setenv(f"FACTOR_ASSETS_{name}", value)
        tickers = add_tickers(graph.instance, graph.workspace)
        months = dates(graph.settings).get_partition_keys()
        by_ticker = {RANGE_START: tickers[0], RANGE_END: tickers[-1]}
        for job, tags in (
            (load_prices_job, by_ticker),
            (daily_job, {RANGE_START: months[0], RANGE_END: months[-1]}),
            (details_job, by_ticker),
            (report_job, {}),
        ):
            with dg.execute_job(dg.reconstructable(job), instance=graph.instance, tags=tags) as result:
                assert result.success, job
        assert graph.checksums() == undisturbed.checksums()
        graph.instance.dispose()


class TestProperties:
    @pytest.mark.slow
    def test_truncating_the_source_leaves_everything_before_it(self, undisturbed: Graph, tmp_path: Path) -> None:
        cut = date(2023, 3, 15)
        graph = Graph(small_settings(tmp_path, data={**SPAN, "end": cut}))
        graph.run()
        before = Slice(end=cut + timedelta(days=1))
        whole, short = undisturbed.workspace.store, graph.workspace.store
        with_dates = [name for name in short.tables() if "date" in short.read(name).column_names]
        assert len(with_dates) == 10 + len(FEW_FACTORS)
        for name in with_dates:
            assert checksum(short.read(name)) == checksum(whole.read(name, before)), name
        graph.instance.dispose()

    @pytest.mark.slow
    def test_a_later_split_and_dividend_change_nothing_before_them(self, tmp_path: Path) -> None:
        rows = ["ticker,date,open,high,low,close,volume,dividend,split"]
        plain = Graph(small_settings(tmp_path / "plain", **files_of(tmp_path / "plain.csv", rows, event=False)))
        event = Graph(small_settings(tmp_path / "event", **files_of(tmp_path / "event.csv", rows, event=True)))
        plain.run()
        event.run()
        before = Slice(end=EVENT_DAY)
        for name in plain.workspace.store.tables():
            was, now = (g.workspace.store.read(name) for g in (plain, event))
            if name == "price_history" or "date" not in was.column_names:
                continue
            inside = [rows.filter(pc.less(rows["date"], before.end)) for rows in (was, now)]
            assert checksum(inside[0]) == checksum(inside[1]), name
        assert checksum(plain.workspace.store.read("prices")) != checksum(event.workspace.store.read("prices"))
        for graph in (plain, event):
            graph.instance.dispose()

    @pytest.mark.slow
    def test_a_revised_history_never_mixes_with_what_was_stored_before(self, tmp_path: Path) -> None:
        header = ["ticker,date,open,high,low,close,volume,dividend,split"]
        home = tmp_path / "home"
        before = Graph(small_settings(home, **files_of(tmp_path / "prices.csv", header, event=False)))
        before.run()
        assert before.workspace.first_date_to_make() is None
        # The vendor now tells of a split and a dividend that it had left out.
        revised = Graph(small_settings(home, **files_of(tmp_path / "prices.csv", header, event=True)))
        revised.run("price_history")
        assert revised.workspace.first_date_to_make() == EVENT_DAY
        revised.run(missing_only=True)
        assert revised.workspace.first_date_to_make() is None
        fresh = Graph(small_settings(tmp_path / "fresh", **files_of(tmp_path / "prices.csv", header, event=True)))
        fresh.run()
        ours, theirs = revised.checksums(), fresh.checksums()
        assert {name for name in ours if ours[name] != theirs[name]} <= {"price_history"}
        for graph in (before, revised, fresh):
            graph.instance.dispose()

    def test_prices_behind_a_revision_are_refused(self, tmp_path: Path) -> None:
        header = ["ticker,date,open,high,low,close,volume,dividend,split"]
        home = tmp_path / "home"
        before = Graph(small_settings(home, **files_of(tmp_path / "prices.csv", header, event=False)))
        before.run("price_history", "prices", end=date(2023, 4, 30))
        revised = Graph(small_settings(home, **files_of(tmp_path / "prices.csv", header, event=True, day=EARLY_DAY)))
        revised.run("price_history")
        accounts = list(
            run_stages(
                revised.definitions,
                revised.workspace,
                revised.instance,
                names=["prices"],
                start=date(2023, 4, 1),
                end=date(2023, 4, 28),
            )
        )
        assert "history of 2 tickers, such as B, was revised before 2023-04-01" in accounts[-1].failures["prices"]
        assert f"backfill corporate_actions prices+ --start {EARLY_DAY}" in accounts[-1].failures["prices"]
        revised.run("prices", start=EARLY_DAY)
        for graph in (before, revised):
            graph.instance.dispose()


EVENT_DAY, EARLY_DAY = date(2023, 4, 3), date(2023, 2, 15)


def files_of(path: Path, header: list[str], *, event: bool, day: date = date(2023, 4, 3)) -> dict[str, Any]:
    """Write a price file of five tickers, with or without a split and a dividend on the event day."""
    from factor_assets.calendar import sessions

    lines = list(header)
    for number, ticker in enumerate("ABCDE"):
        draws = random.Random(number)
        close = 50.0 + number
        for session in sessions("XNYS", date(2022, 3, 1), date(2023, 4, 28)).tolist():
            close = round(close * (1 + draws.gauss(0, 0.01)), 4)
            on_event = event and session >= day and ticker == "B"
            price = close / 2 if on_event else close
            split = 2 if on_event and session == day else 1
            dividend = 0.5 if event and session == day and ticker == "C" else 0
            lines.append(f"{ticker},{session},{price},{price * 1.01},{price * 0.99},{price},1000,{dividend},{split}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines), encoding="utf-8")
    return {
        "data": {"source": "files", "start": date(2022, 3, 1), "end": date(2023, 4, 28)},
        "files": {"path": str(path)},
        "universe": {"name": "all"},
    }


def load_prices_job() -> Any:
    from factor_assets.definitions import defs

    return defs.resolve_job_def("load_prices")


def daily_job() -> Any:
    from factor_assets.definitions import defs

    return defs.resolve_job_def("daily")


def details_job() -> Any:
    from factor_assets.definitions import defs

    return defs.resolve_job_def("details")


def report_job() -> Any:
    from factor_assets.definitions import defs

    return defs.resolve_job_def("report")
