"""The commands `factor-assets store ...` as a user meets them."""

import csv
import re
import shlex
from datetime import UTC, date, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from factor_assets.storage.lake import LakeStore
from factor_assets.storage.rows import checksum
from factor_assets.storage.slice import EVERYTHING, Slice
from factor_assets.storage.store import Provenance
from factor_assets_tests.servers.clickhouse import shared_server
from factor_assets_tests.storage.market_rows import FACTOR, PROVENANCE, SOURCE, block, factor_rows, span, trial_rows
from factor_assets_tests.test_cli import NOISE, Home

JANUARY = date(2020, 1, 1)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A folder whose lake has a factor in two versions, and a ledger."""
    home = Home(tmp_path)
    store = lake(home)
    store.write(FACTOR, EVERYTHING, factor_rows(block(JANUARY, 10, ["A", "O'N"], value=1.0)), provenance=PROVENANCE)
    later = Provenance(source=SOURCE, run_id="run-2", code_version="v2")
    store.write(FACTOR, span(JANUARY, 2), factor_rows(block(JANUARY, 2, ["A"], value=2.0)), provenance=later)
    store.append("trials", trial_rows(1), provenance=PROVENANCE)
    return home


def lake(home: Home, name: str = "home/lake") -> LakeStore:
    return LakeStore(home.folder / name)


class TestAgainstTheStore:
    def test_tables(self, home: Home) -> None:
        done = home("store", "tables")
        assert done.returncode == 0
        assert re.search(rf"^{FACTOR} +2 +20\S+ \S+ +run-2 +sample \(synthetic\)$", done.stdout, re.MULTILINE)
        assert re.search(r"^trials +1 ", done.stdout, re.MULTILINE)

    def test_versions(self, home: Home) -> None:
        done = home("store", "versions", FACTOR)
        lines = done.stdout.splitlines()[2:]
        assert re.match(r" *1 +\S+ \S+ +write +2020-01-01 to 2020-01-03 +2 +run-2 +v2 +sample \(synthetic\)", lines[0])
        assert re.match(r" *0 +\S+ \S+ +write +the beginning to the end +20 +run-1 +v1 ", lines[1])
        done = home("store", "versions", FACTOR, "--last", "1")
        assert "and 1 earlier ones; `--last 2` lists all." in done.stdout
        assert "v1" not in done.stdout
        assert "append" in home("store", "versions", "trials").stdout
        assert "The table prices was never written." in home("store", "versions", "prices").stdout

    def test_sql_is_the_same_under_both_names(self, home: Home) -> None:
        for arguments in (["sql", f"SELECT * FROM factors.{FACTOR[8:].replace('/', '__')}"], ["sql"]):
            assert home("store", *arguments) == home(*arguments)
        done = home("store", "sql", "SELECT ticker, value FROM factor_values", "--csv", "out.csv")
        assert "18 rows written to out.csv" in done.stderr
        with (home.folder / "out.csv").open() as file:
            assert len([*csv.DictReader(file)]) == 18
        assert "3 of 18 rows" in home("store", "sql", "SELECT * FROM factor_values", "--limit", "3").stderr

    def test_restore_and_undo(self, home: Home) -> None:
        store = lake(home)
        new, old = (checksum(store.read(FACTOR, as_of=version.id)) for version in store.versions(FACTOR))
        done = home("store", "restore", FACTOR, "--as-of", "0", "--dry-run")
        assert "20 rows then, 18 now; 4 come back and 2 go" in done.stdout
        assert "Nothing was written" in done.stdout
        assert checksum(store.read(FACTOR)) == new
        done = home("store", "restore", FACTOR, "--as-of", "0")
        (undo,) = re.findall(r"Restored as version 2; `factor-assets (.*)` undoes it", done.stdout)
        assert f"What was made from {FACTOR} is as it was" in done.stdout
        assert f"The next backfill that makes {FACTOR} replaces what was restored." in done.stdout
        assert checksum(store.read(FACTOR)) == old
        assert home(*undo.split()).returncode == 0
        assert checksum(store.read(FACTOR)) == new
        now = datetime.now(UTC).isoformat()
        assert "Nothing differs" in home("store", "restore", FACTOR, "--as-of", now).stdout

    def test_restore_of_a_part(self, home: Home) -> None:
        part = ["--start", "2020-01-01", "--end", "2020-01-01", "--ticker", "O'N", "--ticker", "Z"]
        done = home("store", "restore", FACTOR, "--as-of", "0", *part)
        assert "1 rows then, 0 now; 1 come back and 0 go" in done.stdout
        assert lake(home).read(FACTOR, Slice(tickers=frozenset({"O'N"}))).num_rows == 9

    @pytest.mark.parametrize(
        "part",
        [
            ["--start", "2020-01-02", "--end", "2020-01-05"],
            ["--ticker", "O'N"],
            ["--end", "9999-12-31", "--ticker", "A"],
        ],
    )
    def test_the_undoing_of_a_part_is_of_that_part(self, home: Home, part: list[str]) -> None:
        store = lake(home)
        before = checksum(store.read(FACTOR))
        done = home("store", "restore", FACTOR, "--as-of", "0", *part)
        (undo,) = re.findall(r"`factor-assets (.*)` undoes it", done.stdout)
        assert checksum(store.read(FACTOR)) != before
        others = factor_rows(block(date(2021, 1, 1), 1, ["-B"], value=3.0))
        store.write(FACTOR, span(date(2021, 1, 1), 1, "-B"), others, provenance=PROVENANCE)
        assert home(*shlex.split(undo)).returncode == 0
        assert store.read(FACTOR).num_rows == 19, "what was written since, outside the part, stays"
        assert checksum(store.read(FACTOR, Slice(end=date(2021, 1, 1)))) == before

    def test_what_python_cannot_hold_is_printed_and_written_all_the_same(self, home: Home) -> None:
        done = home("sql", "SELECT 1 AS a, 2 AS a, date '20000-01-01' AS far, [1, NULL] AS l, INTERVAL 1 MONTH AS i")
        assert done.returncode == 0, done.stderr
        assert re.search(r"^a +a +far +l +i *\n.*\n1 +2 +20000-01-01 +\[1, NULL\] +1 month", done.stdout, re.MULTILINE)
        done = home(
            "sql", "SELECT [1, 2] AS l, INTERVAL 1 MONTH AS i, '\\xAA'::BLOB AS b, 3 AS a, 4 AS a", "--csv", "o.csv"
        )
        assert done.returncode == 0, done.stderr
        with (home.folder / "o.csv").open() as file:
            assert [*csv.reader(file)] == [["l", "i", "b", "a", "a"], ["[1, 2]", "1 month", "\\xAA", "3", "4"]]

    @pytest.mark.parametrize("place", ["other/lake", "./other"])
    def test_copy_to_a_folder_and_again(self, home: Home, place: str) -> None:
        done = home("store", "copy", "--to", place)
        assert done.returncode == 0, done.stderr
        assert not NOISE.search(done.stdout + done.stderr)
        assert re.search(rf"^{FACTOR} +copied +18 +1 +1 +\d+\.\d", done.stdout, re.MULTILINE)
        assert f"2 copied; 19 rows are the same at {(home.folder / place).absolute()}" in done.stdout
        assert f"{FACTOR}: copied, 18 rows" in done.stderr
        for name in (FACTOR, "trials"):
            assert checksum(lake(home, place).read(name)) == checksum(lake(home).read(name))
        assert "2 same; 19 rows" in home("store", "copy", "--to", place).stdout

    def test_copy_of_some_tables_there_and_back(self, home: Home) -> None:
        assert "1 copied" in home("store", "copy", FACTOR, "--to", "other/lake").stdout
        assert lake(home, "other/lake").tables() == [FACTOR]
        lake(home).write(FACTOR, EVERYTHING, factor_rows({}), provenance=PROVENANCE)
        done = home("store", "copy", "--from", "other/lake", "--to", "lake")
        assert "1 copied, 1 only there; 18 rows" in done.stdout
        assert lake(home).read(FACTOR).num_rows == 18
        assert lake(home).read("trials").num_rows == 1


class TestClickHouse:
    def test_copy_there_and_back_ask_and_restore(self, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
        server, database = shared_server(), f"cli_{uuid4().hex}"
        monkeypatch.setenv("CLICKHOUSE_PASSWORD", server.password)
        home.settings |= {
            "CLICKHOUSE__HOST": server.host,
            "CLICKHOUSE__PORT": str(server.port),
            "CLICKHOUSE__USER": server.user,
            "CLICKHOUSE__DATABASE": database,
        }
        done = home("store", "copy", "--to", "clickhouse")
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"2 copied; 19 rows are the same at {server.url}/{database}." in done.stdout
        assert "2 same; 19 rows" in home("store", "copy", "--from", "clickhouse", "--to", "lake").stdout
        home.settings["STORE__KIND"] = "clickhouse"
        assert re.search(r"^factor_values +factor_type, factor_name, ", home("sql").stdout, re.MULTILINE)
        assert re.search(r"^ *18$", home("sql", "SELECT count() AS n FROM factor_values").stdout, re.MULTILINE)
        assert "ClickHouse is only read by SQL; got DROP" in home("store", "sql", "DROP VIEW factor_values").stderr
        assert "copied from" in home("store", "versions", FACTOR).stdout
        lake(home).write(FACTOR, span(JANUARY, 2), factor_rows({}), provenance=PROVENANCE)
        assert "1 copied, 1 same" in home("store", "copy", "--from", "lake", "--to", "clickhouse").stdout
        (oldest,) = re.findall(r"^ *(\d+) .*\n*\Z", home("store", "versions", FACTOR).stdout, re.MULTILINE)
        assert "2 come back and 0 go" in home("store", "restore", FACTOR, "--as-of", oldest).stdout
        assert re.search(r"^ *18$", home("sql", "SELECT count() AS n FROM factor_values").stdout, re.MULTILINE)


class TestErrors:
    def test_a_table_that_fails_is_told_and_the_others_are_copied(self, home: Home) -> None:
        other = Provenance(source="other vendor")
        lake(home, "other/lake").write(FACTOR, EVERYTHING, factor_rows({}), provenance=other)
        done = home("store", "copy", "--to", "other/lake")
        assert done.returncode == 1
        assert "1 failed, 1 copied" in done.stdout
        assert f"{FACTOR} failed: Table '{FACTOR}' holds rows of 'other vendor'" in done.stdout

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["copy", "--to", "lake"], "The tables are at"),
            (["copy", "--to", "clickhose"], "got 'clickhose'; did you mean 'clickhouse'? For a new folder write ./"),
            (["copy", "--to", "gs://bucket/lake"], "clickhouse, a folder, or s3://bucket/prefix; got 'gs:"),
            (["copy", "--to", "s3:/bucket/lake"], "a folder, or s3://bucket/prefix; got 's3:/bucket/lake'"),
            (["copy", "--to", "s3://"], "a folder, or s3://bucket/prefix; got 's3://'"),
            (["copy", "--from", "s3:/bucket/lake", "--to", "./other"], "or s3://bucket/prefix; got 's3:/bucket/lake'"),
            (["copy", "--from", "./nothere", "--to", "./other"], "There is no table to copy at"),
            (
                ["restore", FACTOR, "--as-of", "0", "--ticker", "ZZZ"],
                "has no row of the beginning to the end, ZZZ, nei",
            ),
            (["restore", FACTOR, "--as-of", "0", "--start", "2031-01-01"], "neither in version 0 nor now"),
            (["copy", "--to", "clickhouse"], "clickhouse.host is empty; name the server"),
            (["copy", "pricess", "--to", "./other"], "has no table 'pricess'"),
            (["versions", "pricess"], "No table 'pricess' is declared; did you mean 'prices'"),
            (["restore", FACTOR, "--as-of", "7"], "'7' is neither a version of the table nor a time such as"),
            (["restore", FACTOR, "--as-of", "2001-01-01"], "did not exist at 2001-01-01"),
            (["restore", "trials", "--as-of", "0"], "'trials' is a ledger"),
            (["restore", FACTOR, "--as-of", "0", "--start", "2020-01-02", "--end", "2020-01-01"], "start before end"),
            (["sql", "DROP TABLE prices"], "The lake is only read by SQL"),
        ],
    )
    def test_a_mistake_is_explained_in_a_sentence(self, home: Home, arguments: list[str], message: str) -> None:
        done = home("store", *arguments)
        assert done.returncode == 1
        assert message in done.stderr
        assert not NOISE.search(done.stdout + done.stderr)

    def test_nothing_made_yet(self, tmp_path: Path) -> None:
        assert "Nothing was written yet" in Home(tmp_path)("store", "tables").stdout
        done = Home(tmp_path)("store", "copy", "--to", "./other")
        assert done.returncode == 1
        assert "There is no table to copy at" in done.stderr
