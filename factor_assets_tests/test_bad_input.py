"""What a user can get wrong, end to end through the command line: the message, that the rest goes on, nothing made up.

What does not belong here: the same mistakes in one layer alone, which the tests of that layer have.
"""

import contextlib
import csv
import io
import json
import os
import random
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from factor_assets.cli import main
from factor_assets.defs.instance import open_instance
from factor_assets.settings_file import load_settings
from factor_assets.storage.rows import checksum
from factor_assets.storage.store import Store
from factor_assets.workspace import Workspace

HEADER = ("date", "open", "high", "low", "close", "volume", "dividend", "split")
HOLIDAYS = {date(2023, 1, 16), date(2023, 2, 20)}
SPAN = {"DATA__START": "2023-01-03", "DATA__END": "2023-03-31"}
Row = list[str]


@dataclass
class Said:
    """Exit code of a command and everything it printed, as one line."""

    code: int
    text: str


def sessions() -> list[date]:
    days = [date(2023, 1, 3) + timedelta(days=n) for n in range(88)]
    return [day for day in days if day.weekday() < 5 and day not in HOLIDAYS]


def walk(seed: int) -> dict[date, Row]:
    """Session -> a clean row of a company whose price wanders."""
    draw, close, rows = random.Random(seed), 50.0, {}
    for day in sessions():
        start, close = close, close * (1 + draw.gauss(0, 0.01))
        high, low = max(start, close) + 0.2, min(start, close) - 0.2
        numbers = [f"{number:.4f}" for number in (start, high, low, close)]
        rows[day] = [day.isoformat(), *numbers, str(draw.randrange(10_000, 90_000)), "", ""]
    return rows


def write_csv(path: Path, rows: Sequence[Row], *, header: Sequence[str] = HEADER) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def with_cell(row: Row, name: str, text: str) -> Row:
    return [text if column == name else cell for column, cell in zip(HEADER, row, strict=True)]


def named(settings: Mapping[str, str]) -> dict[str, str]:
    return {f"FACTOR_ASSETS_{name}": value for name, value in settings.items()}


def store_of(settings: Mapping[str, str]) -> Store:
    return Workspace(load_settings(environment=named(settings))).store


def command(*arguments: str, **settings: str) -> Said:
    """Run the command line in this process, in which only our own errors are caught: any other fails the test."""
    printed, code = io.StringIO(), 0
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(printed),
    ):
        for name in [name for name in os.environ if name.startswith("FACTOR_ASSETS_")]:
            patch.delenv(name)
        for name, value in named(settings).items():
            patch.setenv(name, value)
        patch.setattr(sys, "argv", ["factor-assets", *arguments])
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0
    return Said(code, " ".join(printed.getvalue().split()))


@pytest.fixture(scope="module")
def dirty(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, str], Said]:
    """Settings of a folder in which most files are wrong in some way, and what a backfill said about them."""
    home = tmp_path_factory.mktemp("dirty")
    folder = home / "prices"
    for seed, name in enumerate(("GOOD", "O'NEIL", "BRK%2FB"), start=1):
        write_csv(folder / f"{name}.csv", list(walk(seed).values()))
    (folder / "EMPTY.csv").touch()
    write_csv(folder / "COLUMNS.csv", [["2023-01-03", "1"]], header=["when", "worth"])
    write_csv(folder / "ONE.csv", list(walk(4).values())[:1])
    write_csv(folder / "ZONES.csv", in_two_zones(walk(5)))
    write_csv(folder / "DIRTY.csv", spoilt(walk(6)))
    tickers = ["GOOD", "O'NEIL", "BRK/B", "EMPTY", "COLUMNS", "ONE", "ZONES", "DIRTY", "NOBODY"]
    settings = {
        **SPAN,
        "HOME": str(home / "home"),
        "DATA__SOURCE": "files",
        "FILES__PATH": str(folder),
        "UNIVERSE__NAME": "list",
        "UNIVERSE__TICKERS": json.dumps(tickers),
        "FACTORS__FAMILIES": '["momentum/ret_12_1", "reversal/reversal_5d", "technical/close_location"]',
    }
    return settings, command("backfill", **settings)


TEXT, NEGATIVE, ZERO, NO_SPLIT, TWICE = (sessions()[n] for n in (5, 8, 11, 14, 20))


def spoilt(rows: Mapping[date, Row]) -> list[Row]:
    """Rows with one mistake a day, in random order, one of them twice, others on a holiday, too late and too early."""
    changes = {TEXT: ("close", "abc"), NEGATIVE: ("close", "-50"), ZERO: ("close", "0"), NO_SPLIT: ("split", "0")}
    cells = [with_cell(row, *changes[day]) if day in changes else row for day, row in rows.items()]
    cells += [with_cell(rows[TWICE], "date", day) for day in (str(TWICE), "2023-01-16", "2099-01-05", "2022-12-30")]
    random.Random(1).shuffle(cells)
    return cells


def in_two_zones(rows: Mapping[date, Row]) -> list[Row]:
    """The close at 16:00 in New York (21:00 UTC), now in UTC, now in Tokyo, where it is the next day already."""
    told = [
        f"{day}T21:00:00+00:00" if n % 2 else f"{day + timedelta(days=1)}T06:00:00+09:00" for n, day in enumerate(rows)
    ]
    return [with_cell(row, "date", time) for time, row in zip(told, rows.values(), strict=True)]


def rows_of(settings: Mapping[str, str], table: str, ticker: str) -> list[dict[str, Any]]:
    return [row for row in store_of(settings).read(table).to_pylist() if row["ticker"] == ticker]


class TestProperties:
    """The rest goes on, and nothing is made up."""

    def test_everything_else_is_made(self, dirty: tuple[dict[str, str], Said]) -> None:
        settings, _ = dirty
        for ticker in ("GOOD", "O'NEIL", "BRK/B", "ZONES", "DIRTY"):
            assert [row["date"] for row in rows_of(settings, "prices", ticker)] == sessions(), ticker
            details = {row["factor_name"]: row for row in rows_of(settings, "factor_details", ticker)}
            assert details["reversal_5d"]["beta"] is not None, ticker
        assert Path(settings["HOME"], "reports", "tear_sheet.html").exists()

    def test_what_failed_has_no_rows(self, dirty: tuple[dict[str, str], Said]) -> None:
        settings, _ = dirty
        for ticker in ("EMPTY", "COLUMNS", "NOBODY"):
            assert rows_of(settings, "price_history", ticker) == []
            assert rows_of(settings, "prices", ticker) == []

    def test_bad_cells_are_null_and_their_neighbours_are_kept(self, dirty: tuple[dict[str, str], Said]) -> None:
        settings, _ = dirty
        rows = {row["date"]: row for row in rows_of(settings, "prices", "DIRTY")}
        assert [day for day, row in rows.items() if row["close"] is None] == [TEXT, NEGATIVE, ZERO]
        assert all(row["open"] is not None for row in rows.values())
        assert {row["split_factor"] for row in rows.values()} == {1.0}
        assert rows_of(settings, "corporate_actions", "DIRTY") == []
        for name, days in (("factors/technical/close_location", 0), ("factors/reversal/reversal_5d", 5)):
            valued = {row["date"] for row in rows_of(settings, name, "DIRTY") if row["value"] is not None}
            assert valued.isdisjoint({TEXT, NEGATIVE, ZERO}), name
            assert len(valued) >= len(rows) - 3 - 4 * days, name

    def test_one_row_gives_no_regression(self, dirty: tuple[dict[str, str], Said]) -> None:
        settings, _ = dirty
        assert len(rows_of(settings, "prices", "ONE")) == 1
        details = rows_of(settings, "factor_details", "ONE")
        assert {row["beta"] for row in details} <= {None}

    def test_odd_names_are_keys_of_partitions(self, dirty: tuple[dict[str, str], Said]) -> None:
        settings, _ = dirty
        with open_instance(load_settings(environment=named(settings))) as instance:
            made = instance.get_materialized_partitions(dg.AssetKey("price_history"))
        assert made == {"GOOD", "O'NEIL", "BRK/B", "ONE", "ZONES", "DIRTY"}
        said = command("sql", "SELECT count(*) AS n FROM prices WHERE ticker IN ('O''NEIL', 'BRK/B')", **settings)
        assert (said.code, said.text.split()[-1]) == (0, str(2 * len(sessions())))

    def test_two_runs_at_once(self, tmp_path: Path) -> None:
        settings = {**SPAN, "SAMPLE__TICKERS": "10", "HOME": str(tmp_path)}
        kept = {name: value for name, value in os.environ.items() if not name.startswith("FACTOR_ASSETS_")}
        runs = [
            subprocess.Popen(
                [sys.executable, "-c", "from factor_assets.cli import main; main()", "backfill", "market_data"],
                env={**kept, **named(settings)},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for _ in range(2)
        ]
        said = [process.communicate(timeout=120)[0] for process in runs]
        assert [process.returncode for process in runs] == [0, 0], "\n".join(said)
        alone = {**settings, "HOME": str(tmp_path / "alone")}
        assert command("backfill", "market_data", **alone).code == 0
        for table in ("price_history", "prices", "corporate_actions", "universe"):
            assert checksum(store_of(settings).read(table)) == checksum(store_of(alone).read(table)), table


class TestErrors:
    """What the user reads."""

    def test_the_backfill_names_what_is_wrong(self, dirty: tuple[dict[str, str], Said]) -> None:
        settings, said = dirty
        folder = settings["FILES__PATH"]
        assert said.code == 1
        for part in (
            "6 loaded, 0 unchanged, 2 failed",
            f"COLUMNS: {folder}/COLUMNS.csv has no column for date; it has 'when', 'worth'",
            "Set files.columns.date to the right one.",
            f"EMPTY: {folder}/EMPTY.csv is empty (0 bytes).",
            "check prices: duplicate_rows: 1 of 313 rows",
            "check prices: off_session_rows: 1 of 313 rows",
            "check prices: unreadable_cells: 2 of 313 rows",
            "check prices: invalid_prices: 2 of 313 rows",
            "every_member_has_prices: 3 members without any price, such as COLUMNS, EMPTY, NOBODY",
        ):
            assert part in said.text, said.text

    def test_status_and_metadata_keep_it(self, dirty: tuple[dict[str, str], Said]) -> None:
        settings, _ = dirty
        said = command("status", **settings)
        assert said.code == 0
        assert "price_history 6 of 8" in said.text
        assert "every_ticker_delivered" in said.text
        with open_instance(load_settings(environment=named(settings))) as instance:
            event = instance.fetch_materializations(
                dg.AssetRecordsFilter(dg.AssetKey("price_history"), asset_partitions=["DIRTY"]), limit=1
            ).records[0]
            metadata = event.asset_materialization.metadata
            assert metadata["dropped"].value == {"in the future": 1, "outside the date range": 1}
            assert "cells of 2 of 64 rows could not be read" in metadata["reason"].value
            prices = instance.get_latest_materialization_event(dg.AssetKey("prices")).asset_materialization.metadata
        assert prices["treated"].value["invalid_price"] == 2

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["backfill", "ret_12_2"], "No asset or group is called 'ret_12_2'; did you mean 'ret_12_1'?"),
            (
                ["backfill", "--start", "2030-01-01", "--end", "2030-02-01"],
                "No session of the data lies from 2030-01-01 to 2030-02-01; they run from 2023-01 to 2023-03. Change",
            ),
            (
                ["backfill", "--start", "2023-02-01", "--end", "2023-01-01"],
                "The first date 2023-02-01 is after the last 2023-01-01; swap them.",
            ),
            (["sql", "SELECT * FROM pricess"], "did you mean 'prices'"),
            (["demo"], "demo is for the sample market, but data.source is 'files'."),
        ],
    )
    def test_arguments(self, dirty: tuple[dict[str, str], Said], arguments: list[str], message: str) -> None:
        said = command(*arguments, **dirty[0])
        assert said.code == 1
        assert message in said.text
        assert "made" not in said.text, "nothing may be run before the arguments are checked"

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"FILES__PATH": "/nowhere/prices"}, "files.path is /nowhere/prices, which does not exist; set it"),
            ({"UNIVERSE__NAME": "sp600"}, "universe.name is 'sp600', which is not a universe; did you mean 'sp500'"),
            ({"UNIVERSE__TICKERS": '["NOBODY"]'}, "Universe 'list' and files have no ticker in common; change"),
            ({"DATA__CALENDAR": "XNYZ"}, "data.calendar is 'XNYZ', which is not an exchange; did you mean"),
            (
                {"DATA__START": "2099-01-01", "DATA__END": "2099-03-01"},
                "data.start is 2099-01-01, which no closed session follows; set an earlier.",
            ),
            (
                {"UNIVERSE__TICKERS": '["EMPTY", "COLUMNS"]'},
                "price_history failed: None of the 2 tickers could be loaded from files; COLUMNS:",
            ),
            (
                {"DATA__START": "2019-01-02", "DATA__END": "2019-02-28"},
                "BRK/B: no usable row: 62 outside the date range",
            ),
        ],
    )
    def test_settings_that_fit_nothing(
        self, dirty: tuple[dict[str, str], Said], tmp_path: Path, change: dict[str, str], message: str
    ) -> None:
        said = command("backfill", **{**dirty[0], **change, "HOME": str(tmp_path)})
        assert said.code == 1
        assert message in said.text
        assert not list(tmp_path.glob("lake/prices")), "nothing may be made of no price"

    def test_sources_are_never_mixed(self, dirty: tuple[dict[str, str], Said]) -> None:
        settings, _ = dirty
        before = rows_of(settings, "price_history", "GOOD")
        said = command("backfill", HOME=settings["HOME"], SAMPLE__TICKERS="10", **SPAN)
        assert said.code == 1
        assert (
            "price_history failed: Table 'price_history' holds rows of 'files', but the rows to write are of 'sample"
            " (synthetic)'; sources are never mixed. Set `home` to another folder, or delete the lake and materialise"
            " again." in said.text
        )
        assert rows_of(settings, "price_history", "GOOD") == before

    @pytest.mark.parametrize(
        "arguments", [["backfill"], ["materialize"], ["demo"], ["status"], ["report"], ["sql", "SELECT 1"], ["doctor"]]
    )
    def test_home_under_a_file(self, tmp_path: Path, arguments: list[str]) -> None:
        file = tmp_path / "file"
        file.touch()
        said = command(*arguments, HOME=str(file / "home"))
        assert said.code == 1
        assert str(file / "home") in said.text
        if arguments != ["report"]:
            assert "`home`" in said.text

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("[data\nsource = 1", "is not valid TOML: Expected ']' at the end of a table declaration (at line 1"),
            ('[data]\nsauce = "files"', "data.sauce (from {file}) is not a setting; did you mean 'source'?"),
            ('[data]\nstart = "soon"', "data.start (from {file}): Input should be a valid date"),
            (
                "[evaluation]\nn_groups = 1",
                "evaluation.n_groups (from {file}): Input should be greater than or equal to 2",
            ),
            ("data = 3", "data (from {file}): Input should be"),
        ],
    )
    def test_a_malformed_settings_file(self, tmp_path: Path, text: str, message: str) -> None:
        file = tmp_path / "mine.toml"
        file.write_text(text)
        said = command("status", SETTINGS=str(file), HOME=str(tmp_path))
        assert said.code == 1
        assert message.format(file=file) in said.text

    def test_an_unknown_setting_in_the_environment(self, tmp_path: Path) -> None:
        said = command("status", HOME=str(tmp_path), SAMPEL__TICKERS="10")
        assert said.code == 1
        assert "sampel (from FACTOR_ASSETS_SAMPEL__TICKERS) is not a setting; did you mean 'sample'?" in said.text
