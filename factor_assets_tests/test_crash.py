"""The command killed with SIGKILL at random moments: no reader ever sees a part of a write, and a restart repairs all.

Two homes are worked on side by side, one for each core. Rounds alternate between two markets (two planted spreads), so
that kills hit first writes and re-writes with other values alike; whatever table a reader opens then holds all rows of
the one or all rows of the other market, as two undisturbed runs made them. The prices of a ticker are one write.

Importing takes as long as half a run, so the commands that are killed are forked from a process that has only imported
them, and they leave out the plots in the events, which take another half. The undisturbed runs are processes of their
own; those that end each home are the command as it is.
"""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from factor_assets.defs.graph import build_definitions
from factor_assets.defs.instance import open_instance
from factor_assets.defs.status import asset_statuses
from factor_assets.settings_file import load_settings
from factor_assets.storage.lake import LakeStore
from factor_assets.storage.rows import checksum
from factor_assets.storage.slice import Slice
from factor_assets_tests.market import FEW_FACTORS

pytestmark = pytest.mark.slow

KILLS = 24
HOMES_A_LANE = 2
SPREADS = ("0.0008", "0.01")
MARKET = {
    "FACTORS__FAMILIES": json.dumps(FEW_FACTORS),
    "DATA__START": "2023-01-03",
    "DATA__END": "2023-02-28",
    "SAMPLE__TICKERS": "10",
}
PROGRAM = "from factor_assets.cli import main; main()"
WITHOUT_PLOTS = "import factor_assets.defs.factors as f; f.value_band_png = lambda *_, **__: b''; "
PAGE_END = b"</html>"

FORK_SERVER = """
import os, sys
import exchange_calendars, matplotlib.backends.backend_agg, matplotlib.figure, plotly.graph_objects
import factor_assets.definitions, factor_assets.defs.runs, factor_assets.sources.sample
from factor_assets.cli import main

print("ready", flush=True)
for line in sys.stdin:
    home, spread = line.rstrip("\\n").split("\\t")
    child = os.fork()
    if child == 0:
        os.environ.update(FACTOR_ASSETS_HOME=home, FACTOR_ASSETS_SAMPLE__PLANTED_SPREAD=spread)
        nothing = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(nothing, descriptor)
        sys.argv = ["factor-assets", "backfill"]
        try:
            main()
        finally:
            os._exit(0)
    os.setpgid(child, child)
    print(child, flush=True)
    sys.stdin.readline()  # the child stays a zombie until it was signalled, so that its number is not given away
    print(os.waitpid(child, 0)[1], flush=True)
"""

Generation = dict[str, str]
"""Table, or "price_history of <ticker>" -> checksum of all rows."""


@dataclass
class Lane:
    """One home after another, and what a reader found in them."""

    home: Path
    kills: int = 0
    reads: int = 0
    seen: set[tuple[str, ...]] = field(default_factory=set)
    broken: list[BaseException] = field(default_factory=list)


def environment(home: Path, spread: str = SPREADS[0]) -> dict[str, str]:
    chosen = {**MARKET, "HOME": str(home), "SAMPLE__PLANTED_SPREAD": spread}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FACTOR_ASSETS_")}
    return {**kept, **{f"FACTOR_ASSETS_{name}": value for name, value in chosen.items()}}


def start(*arguments: str, home: Path, spread: str = SPREADS[0], before: str = "") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", before + PROGRAM, *arguments],
        env=environment(home, spread),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@contextmanager
def fork_server() -> Iterator[subprocess.Popen[str]]:
    server = subprocess.Popen(
        [sys.executable, "-c", WITHOUT_PLOTS + FORK_SERVER],
        env=environment(Path("unused")),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield server
    finally:
        server.communicate()


def say(server: subprocess.Popen[str], line: str) -> str:
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write(line + "\n")
    server.stdin.flush()
    return server.stdout.readline().strip()


def checksums(home: Path) -> Generation:
    store = LakeStore(home / "lake")
    found: Generation = {}
    for table in store.tables():
        if table == "trials":  # a ledger: when something was tried differs from run to run
            continue
        if table == "price_history":
            for ticker in store.read(table, columns=["ticker"])["ticker"].unique().to_pylist():
                rows = store.read(table, Slice(tickers=frozenset({ticker})))
                found[f"{table} of {ticker}"] = checksum(rows)
        else:
            rows = store.read(table)
            if rows.num_rows:
                found[table] = checksum(rows)
    return found


def check_whole(lane: Lane, generations: list[Generation]) -> None:
    """Read every table and the page of the lane's home, and note which generation each is of."""
    home = lane.home
    found = checksums(home)
    for name, digest in found.items():
        assert digest in [generation[name] for generation in generations], f"{home}: a reader saw a part of {name}"
    page = home / "reports" / "tear_sheet.html"
    if page.exists():
        assert page.read_bytes().rstrip().endswith(PAGE_END), f"{home}: a reader saw a part of the page"
    first = generations[0]
    lane.seen.add(tuple("-" if name not in found else "AB"[found[name] != first[name]] for name in first))
    lane.reads += 1


def read_on(lanes: list[Lane], generations: list[Generation], done: threading.Event) -> None:
    while not done.is_set():
        for lane in lanes:
            try:
                check_whole(lane, generations)
            except BaseException as error:  # noqa: BLE001 handed to the test
                lane.broken.append(error)
        time.sleep(0.2)


def kill_and_kill(lane: Lane, kills: int, *, duration: float, seed: int, folder: Path) -> None:
    """Start and kill until `kills` of the lane's runs were killed at work, on `HOMES_A_LANE` homes in turn."""
    moments = random.Random(seed)
    try:
        with fork_server() as server:
            assert server.stdout is not None
            assert server.stdout.readline() == "ready\n"
            rounds = 0
            while lane.kills < kills:
                lane.home = folder / f"home_{seed}_{lane.kills * HOMES_A_LANE // kills}"
                child = int(say(server, f"{lane.home}\t{SPREADS[rounds % 2]}"))
                rounds += 1
                time.sleep(moments.uniform(0, duration))
                os.killpg(child, signal.SIGKILL)
                lane.kills += int(say(server, "killed")) == signal.SIGKILL
    except BaseException as error:  # noqa: BLE001 handed to the test
        lane.broken.append(error)


class TestProperties:
    def test_killed_again_and_again(self, tmp_path: Path) -> None:
        # What is right, and how long it takes with both cores busy.
        began = time.monotonic()
        quiet = [
            start("backfill", home=tmp_path / f"quiet_{spread}", spread=spread, before=WITHOUT_PLOTS)
            for spread in SPREADS
        ]
        for process in quiet:
            output, _ = process.communicate(timeout=120)
            assert process.returncode == 0, output
        whole = time.monotonic() - began
        generations = [checksums(tmp_path / f"quiet_{spread}") for spread in SPREADS]
        differ = [name for name in generations[0] if generations[0][name] != generations[1][name]]
        assert {"prices", "factor_timeseries", "factor_details", "factor_summary"} <= set(differ)
        began = time.monotonic()
        imports = [
            subprocess.Popen([sys.executable, "-c", FORK_SERVER], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
            for _ in SPREADS
        ]
        assert [process.wait() for process in imports] == [0, 0]
        duration = whole - (time.monotonic() - began)

        lanes = [Lane(tmp_path / "home_1_0"), Lane(tmp_path / "home_2_0")]
        done = threading.Event()
        reader = threading.Thread(target=read_on, args=(lanes, generations, done))
        killers = [
            threading.Thread(
                target=kill_and_kill,
                args=(lane, KILLS // 2),
                kwargs={"duration": duration, "seed": seed, "folder": tmp_path},
            )
            for seed, lane in enumerate(lanes, start=1)
        ]
        for thread in (reader, *killers):
            thread.start()
        for thread in killers:
            thread.join()
        done.set()
        reader.join()
        for lane in lanes:
            assert not lane.broken, lane.broken[0]
            assert lane.kills == KILLS // 2
            assert lane.reads > 20
        # The kills came before, between and after the writes of the run.
        assert len(lanes[0].seen | lanes[1].seen) > 10

        homes = sorted(tmp_path.glob("home_*"))
        assert len(homes) == 2 * HOMES_A_LANE
        for pair in zip(homes[::2], homes[1::2], strict=True):
            processes = [start("backfill", home=home) for home in pair]
            for home, process in zip(pair, processes, strict=True):
                output, _ = process.communicate(timeout=120)
                assert process.returncode == 0, output
                assert checksums(home) == generations[0]
                assert (home / "reports" / "tear_sheet.html").read_bytes().rstrip().endswith(PAGE_END)
        for home in homes:
            check_status(home)
        process = start("status", home=homes[0])
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 0, output
        assert "factor_summary" in output
        assert "Traceback" not in output


def check_status(home: Path) -> None:
    """Check that everything counts as made, and no killed run as running."""
    settings = load_settings(environment=environment(home))
    with open_instance(settings) as instance:
        for row in asset_statuses(build_definitions(settings), instance):
            if row.group != "maintenance":
                assert (row.made, row.old) == (row.wanted, 0), row
        unfinished = [run.status for run in instance.get_runs() if not run.is_finished]
        assert not unfinished
