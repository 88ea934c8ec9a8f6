"""Two writers of one table at the same moment, on every store: what is left is what the versions say, in order."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from threading import Barrier

import pytest

from factor_assets.storage.copying import copy_tables
from factor_assets.storage.memory import MemoryStore
from factor_assets.storage.slice import EVERYTHING, Slice
from factor_assets.storage.store import Store
from factor_assets_tests.storage.market_rows import PROVENANCE, as_dict, block, factor_rows, span, trial_rows
from factor_assets_tests.storage.test_every_store import STORES, open_store

JANUARY = date(2020, 1, 1)
LATE = JANUARY + timedelta(days=200)
ROUNDS = 6


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return open_store(request.param, tmp_path, request)


class TestAgainstDictionary:
    @pytest.mark.parametrize(
        "parts",
        [
            (EVERYTHING, EVERYTHING),
            (EVERYTHING, span(LATE, 3)),
            (Slice(tickers=frozenset("A")), Slice(start=LATE)),
            (span(JANUARY, 50), span(JANUARY, 20)),
        ],
    )
    @pytest.mark.parametrize("held", [False, True])
    def test_two_writers_at_once(self, store: Store, parts: tuple[Slice, Slice], held: bool) -> None:
        days = block(JANUARY, 250, ["A"], value=0.0)
        for n in range(ROUNDS):
            table, at_once = f"factors/race/f{n}", Barrier(2)
            # The table is there; where it is empty, there is no file that both of them replace.
            model = days if held else {}
            store.write(table, EVERYTHING, factor_rows(model), provenance=PROVENANCE)

            def write(value: int, table: str = table, at_once: Barrier = at_once) -> None:
                rows = factor_rows(dict.fromkeys(inside(days, parts[value]), float(value)))
                at_once.wait()
                store.write(table, parts[value], rows, provenance=replace(PROVENANCE, run_id=str(value)))

            with ThreadPoolExecutor(2) as pool:
                list(pool.map(write, (0, 1)))
            for version in store.versions(table)[-2::-1]:
                value = int(version.provenance.run_id)
                written = inside(days, parts[value])
                model = {key: v for key, v in model.items() if key not in written} | dict.fromkeys(
                    written, float(value)
                )
            assert as_dict(store.read(table)) == model

    def test_two_copies_of_a_ledger_at_once(self, store: Store) -> None:
        source = MemoryStore()
        source.append("trials", trial_rows(1, 2, 3), provenance=PROVENANCE)
        store.append("trials", trial_rows(7), provenance=PROVENANCE)
        at_once = Barrier(2)

        def copy(_: int) -> str:
            at_once.wait()
            return next(copy_tables(source, store)).outcome

        with ThreadPoolExecutor(2) as pool:
            assert set(pool.map(copy, range(2))) <= {"copied", "same"}
        assert sorted(store.read("trials")["trial_id"].to_pylist()) == ["1", "2", "3", "7"]


def inside(days: dict, part: Slice) -> set:
    return {
        key for key in days if (part.start is None or part.start <= key[0]) and (part.end is None or key[0] < part.end)
    }
