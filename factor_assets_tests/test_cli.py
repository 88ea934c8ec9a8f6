"""The command line as a user meets it: what is printed, where, how wide, and the exit status."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import pytest

from factor_assets.cli import main
from factor_assets_tests.market import FEW_FACTORS

PROGRAM = str(Path(sys.executable).with_name("factor-assets"))
NOISE = re.compile(r"Traceback|Warning|dagster -|\bDEBUG\b|\bINFO\b", flags=re.IGNORECASE)


def plain(text: str) -> str:
    """Return what a terminal was sent without its colours and movements."""
    return re.sub(r"\x1b\[[\d;?]*\w", "", text)


class Done(NamedTuple):
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


class Home:
    """A folder to work in, and the command line with its settings."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings = {
            "HOME": str(folder / "home"),
            "DATA__START": "2023-01-03",
            "DATA__END": "2023-03-31",
            "SAMPLE__TICKERS": "12",
            "FACTORS__FAMILIES": json.dumps(FEW_FACTORS),
        }

    def environment(self, **settings: str) -> dict[str, str]:
        kept = {name: text for name, text in os.environ.items() if not name.startswith(("FACTOR_ASSETS_", "COLUMNS"))}
        return kept | {f"FACTOR_ASSETS_{name}": text for name, text in {**self.settings, **settings}.items()}

    def __call__(self, *arguments: str, **settings: str) -> Done:
        """Run a command here and now; starting a process for each would take a second more."""
        status: int | str | None = 0
        with (
            chdir(self.folder),
            patch.dict(os.environ, self.environment(**settings), clear=True),
            patch.object(sys, "argv", [PROGRAM, *arguments]),
            redirect_stdout(StringIO()) as output,
            redirect_stderr(StringIO()) as errors,
        ):
            try:
                main()
            except SystemExit as ended:
                status = ended.code
        return Done(int(status or 0), output.getvalue(), errors.getvalue())

    def process(self, *command: str) -> Done:
        """Run a command in a process of its own."""
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={**self.environment(), "TERM": "xterm", "NO_COLOR": "1"},
            capture_output=True,
            check=False,
            text=True,
            timeout=200,
        )
        return Done(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, Done]:
    home = Home(tmp_path_factory.mktemp("demo"))
    return home, home.process(PROGRAM, "demo")


@pytest.fixture
def home(demo: tuple[Home, Done]) -> Home:
    return demo[0]


class TestDemo:
    def test_ends_with_the_result_in_words_and_the_page(self, demo: tuple[Home, Done]) -> None:
        home, done = demo
        assert done.returncode == 0, done.stderr
        assert not NOISE.search(done.stdout + done.stderr)
        assert "The sample market is synthetic" in done.stdout
        assert "factors tried earned a mean return" in done.stdout
        assert "plants a premium on close_location and none on any other factor" in done.stdout
        (page,) = re.findall(r"^The page: (.*)$", done.stdout, flags=re.MULTILINE)
        assert Path(page) == home.folder / "home" / "reports" / "tear_sheet.html"
        assert Path(page).exists()

    def test_tells_each_stage_where_there_is_no_terminal(self, demo: tuple[Home, Done]) -> None:
        stages = re.findall(
            r"^(\w+): (\d+) made, 0 skipped, 0 failed in .* s, sample \(synthetic\)$", demo[1].stderr, re.MULTILINE
        )
        assert [stage for stage, _ in stages] == ["load_prices", "daily", "details", "report"]

    def test_is_for_the_sample_market_only(self, home: Home) -> None:
        done = home("demo", DATA__SOURCE="yahoo")
        assert (done.returncode, done.stdout) == (1, "")
        assert "demo is for the sample market, but data.source is 'yahoo'" in done.stderr


class TestCommands:
    def test_backfill_missing_leaves_all(self, home: Home) -> None:
        done = home("backfill", "--missing")
        assert done.returncode == 0
        assert re.findall(r"^ *(\w+) +(\d+) +\d+ +(\d+) +\d+\.\d", done.stdout, flags=re.MULTILINE) == [
            (stage, "0", "0") for stage in ("load_prices", "daily", "details", "report")
        ]

    def test_materialize_makes_the_newest_month(self, home: Home) -> None:
        done = home("materialize", "ret_12_1", "rsi_14")
        assert "daily: 2 made" in done.stderr
        done = home("materialize", "rsi_14", "--start", "2023-02-01", "--end", "2023-03-01")
        assert "daily: 2 made" in done.stderr

    def test_status(self, home: Home) -> None:
        done = home("status")
        assert re.search(r"^momentum +ret_12_1 +3 of 3 +20\d\d-", done.stdout, flags=re.MULTILINE)
        assert "sample (synthetic)" in done.stdout

    def test_status_counts_what_older_code_made(self, home: Home) -> None:
        done = home("status", EVALUATION__HORIZON="5")
        assert re.search(r"^evaluation +factor_timeseries +0 of 3 +3 ", done.stdout, flags=re.MULTILINE)

    def test_report(self, home: Home) -> None:
        done = home("report")
        assert done.returncode == 0
        assert "The page: " in done.stdout

    def test_sql_lists_the_tables(self, home: Home) -> None:
        done = home("sql")
        assert re.search(r"^prices +date, ticker, open", done.stdout, flags=re.MULTILINE)
        assert re.search(r"^factors\.momentum__ret_12_1 +date, ticker, value, source", done.stdout, flags=re.MULTILINE)
        assert "scan_" not in done.stdout
        assert home("sql", "SHOW ALL TABLES").returncode == 0

    def test_sql_prints_every_column_whole_and_says_what_is_synthetic(self, home: Home) -> None:
        done = home("sql", "SELECT * FROM factor_summary", "--limit", "2")
        assert "sample (synthetic)" in done.stdout
        assert "n_null_sessions" in done.stdout
        assert "…" not in done.stdout
        assert "2 of " in done.stderr
        assert "no row is of a real market" in done.stderr

    def test_sql_writes_csv(self, home: Home) -> None:
        done = home("sql", "SELECT factor_name, source FROM factor_summary", "--csv", "out.csv")
        assert "rows written to out.csv" in done.stderr
        with (home.folder / "out.csv").open() as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == len(FEW_FACTORS)
        assert {row["source"] for row in rows} == {"sample (synthetic)"}

    def test_doctor(self, home: Home) -> None:
        done = home("doctor")
        assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "All is well.")
        done = home("doctor", UNIVERSE__NAME="sp501")
        assert done.returncode == 1
        assert "did you mean 'sp500'" in done.stdout

    def test_maintain_deletes_what_is_older_and_counts_as_the_upkeep(self, home: Home) -> None:
        assert re.search(r"^maintenance +lake_maintenance .* never", home("status").stdout, flags=re.MULTILINE)
        done = home("maintain", "--keep", "0")
        assert done.returncode == 0, done.stderr
        assert re.search(r"^prices +\d+ +\d+ -> \d+ ", done.stdout, flags=re.MULTILINE)
        assert "versions of the last 0 days can still be read" in done.stdout
        assert re.search(r"^maintenance +lake_maintenance +1 of 1 +20\d\d-", home("status").stdout, flags=re.MULTILINE)
        assert "0 files deleted" in home("maintain", "--keep", "0").stdout

    def test_backfill_makes_the_upkeep_when_it_is_named(self, home: Home) -> None:
        done = home("backfill", "lake_maintenance")
        assert done.returncode == 0
        assert "maintenance: 1 made, 0 skipped, 0 failed" in done.stderr

    def test_warm_up(self, home: Home) -> None:
        assert home("warm-up").stdout.strip() == "The numeric kernels are compiled."


@pytest.mark.skipif(shutil.which("script") is None, reason="needs the program `script` for a terminal")
class TestTerminal:
    @pytest.mark.parametrize(
        ("command", "columns"), [("report", 80), ("report", 100), ("status", 80), ("factor list", 80)]
    )
    def test_nothing_is_cut(self, home: Home, command: str, columns: int) -> None:
        shell = f"stty cols {columns}; exec {PROGRAM} {command}"
        done = home.process("script", "-qec", f"sh -c '{shell}'", "/dev/null")
        assert done.returncode == 0
        lines = plain(done.stdout).splitlines()
        assert max(map(len, lines)) <= columns
        assert "…" not in done.stdout
        if command == "report":
            assert any(re.match(r"(technical +)?close_location +[+-]\d", line) for line in lines)

    def test_a_bar_shows_how_far_it_is(self, home: Home) -> None:
        shell = f"stty cols 80; exec {PROGRAM} backfill rsi_14"
        done = home.process("script", "-qec", f"sh -c '{shell}'", "/dev/null")
        assert re.search(r"daily +[━ ]+3/3 +\d+/s +0:00:\d\d", plain(done.stdout))


class TestErrors:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["backfill", "momentun"], "No asset or group is called 'momentun'; did you mean 'momentum'"),
            (["backfill", "--start", "2030-01-01"], "No session of the data lies on or after 2030-01-01"),
            (["backfill", "--start", "2023-03-01", "--end", "2023-02-01"], "swap them"),
            (["sql", "SELECT * FROM pricess"], "did you mean 'prices'"),
            (["sql", "DROP TABLE prices"], "The lake is only read by SQL"),
            (["sql", "SELECT 1", "--csv", "no/such/folder.csv"], "no/such/folder.csv cannot be written"),
        ],
    )
    def test_a_mistake_is_explained_in_a_sentence(self, home: Home, arguments: list[str], message: str) -> None:
        done = home(*arguments)
        assert done.returncode == 1
        assert message in done.stderr
        assert not NOISE.search(done.stdout + done.stderr)

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"DATA__SOURCE": "yahooo"}, "not a price source; did you mean 'yahoo'?"),
            ({"DATA__CALENDAR": "XNYSE"}, "did you mean 'XNYS'"),
            ({"EVALUATION__N_QUANTILES": "0"}, "evaluation.n_quantiles (from FACTOR_ASSETS_EVALUATION__N_QUANTILES)"),
        ],
    )
    def test_a_wrong_setting(self, home: Home, settings: dict[str, str], message: str) -> None:
        done = home("backfill", **settings)
        assert done.returncode == 1
        assert message in done.stderr
        assert not NOISE.search(done.stdout + done.stderr)

    @pytest.mark.parametrize("command", ["status", "backfill", "backfill --missing", "materialize", "maintain", "ui"])
    def test_another_place_of_the_tables(self, home: Home, command: str) -> None:
        done = home(*command.split(), STORE__PATH=str(home.folder / "other"))
        assert done.returncode == 1
        message = " ".join(done.stderr.split())
        assert f"is in {home.folder}/home/lake, but the settings have the tables in {home.folder}/other." in message
        assert not (home.folder / "other").exists()

    def test_a_place_without_the_tables_is_not_accepted(self, home: Home) -> None:
        elsewhere = {"STORE__PATH": str(home.folder / "other")}
        done = home("doctor", **elsewhere)
        assert done.returncode == 1
        assert "1 of " in done.stdout
        assert "place of tables" in done.stdout
        done = home("accept-place", **elsewhere)
        assert done.returncode == 1
        assert "Copy all tables there with `factor-assets store copy` first" in " ".join(done.stderr.split())

    def test_nothing_made_yet(self, tmp_path: Path) -> None:
        done = Home(tmp_path)("report")
        assert done.returncode == 1
        assert "run `factor-assets demo` or `factor-assets backfill` first" in done.stderr

    def test_what_failed_is_told_with_its_reason(self, tmp_path: Path) -> None:
        (tmp_path / "prices").mkdir()
        header = "date,open,high,low,close,volume\n"
        rows = "".join(f"2023-01-{day:02d},1,1,1,1,100\n" for day in range(3, 31))
        (tmp_path / "prices" / "GOOD.csv").write_text(header + rows)
        (tmp_path / "prices" / "BAD.csv").write_text("")
        mine = {"DATA__SOURCE": "files", "FILES__PATH": "prices", "UNIVERSE__NAME": "all"}
        done = Home(tmp_path)("backfill", "price_history", **mine)
        assert done.returncode == 1
        assert re.search(r"^ *load_prices +1 +0 +1 ", done.stdout, flags=re.MULTILINE)
        assert "BAD" in done.stdout
        assert not NOISE.search(done.stdout + done.stderr)
