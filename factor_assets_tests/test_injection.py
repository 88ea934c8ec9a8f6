"""Text that breaks quoting somewhere, through every public entry that takes text: right or refused, nothing else."""

from contextlib import suppress
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

from factor_assets.errors import FactorAssetsError, StoreError
from factor_assets.expressions import parse
from factor_assets.factors.registry import all_factors, all_libraries, find_factor
from factor_assets.storage.copying import copy_tables
from factor_assets.storage.lake import LakeStore
from factor_assets.storage.memory import MemoryStore
from factor_assets.storage.restoring import moment, restore
from factor_assets.storage.rows import checksum
from factor_assets.storage.slice import EVERYTHING, Slice
from factor_assets.storage.sql import query
from factor_assets.storage.store import Provenance, Store
from factor_assets_tests.servers.clickhouse import new_store
from factor_assets_tests.storage.market_rows import (
    FACTOR,
    PROVENANCE,
    SOURCE,
    as_dict,
    block,
    factor_rows,
    history_rows,
)
from factor_assets_tests.test_cli import NOISE, Home

DAY = date(2020, 1, 1)
CORPUS = (
    *(
        "'",
        '"',
        "`",
        "\\",
        "\\'",
        '\\"',
        "\\\\'",
        "''",
        "';--",
        "' --",
        "'#",
        "*/",
        "/*",
        "--",
        ";",
        "'||'",
        "$$",
        "$1",
        "?",
    ),
    *("'; DROP TABLE prices; --", "x'; DROP TABLE rows_prices; SELECT '", "1; DROP TABLE prices", "') OR ('1'='1"),
    *("' OR '1'='1", "1 OR 1=1", "' UNION ALL SELECT * FROM commits --", "`; DROP TABLE commits; --", "\x00", "a\x00b"),
    *("{x:String}", "{x:Identifier}", "{p0:String}", "{{}}", "{0}", "%s", "%(x)s", "%", "%27", "_", ":x", "${HOME}"),
    *(
        "\n",
        "\r\n",
        "\t",
        " ",
        "a b",
        "NULL",
        "\\N",
        "\\x27",
        "\u2019",
        "\u02bc",
        "\uff07",
        "\u202e'",
        "\U0001d4b3'",
        "é",
        "e\u0301",
    ),
    *("..", "../..", "/etc/passwd", "*", "[x]", "^", "|", "#", "x" * 300),
)
NAMES = [f"{n}-{text[:12]!r}" for n, text in enumerate(CORPUS)]
STORES = ("memory", "lake", "clickhouse")


def filled(kind: str, folder: Path) -> Store:
    """A store with two tables whose tickers and label are the corpus."""
    store = {"memory": MemoryStore, "lake": lambda: LakeStore(folder), "clickhouse": new_store}[kind]()
    rows = factor_rows(block(DAY, 2, ["PLAIN", *CORPUS], value=1.0))
    store.write(FACTOR, EVERYTHING, rows, provenance=PROVENANCE)
    store.write("price_history", EVERYTHING, history_rows(["PLAIN", *CORPUS], 2), provenance=PROVENANCE)
    return store


@pytest.fixture(scope="module", params=STORES)
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Store:
    return filled(request.param, tmp_path_factory.mktemp("lake"))


@pytest.fixture(scope="class")
def untouched(store: Store) -> object:
    """After the tests of the class both tables are as they were."""
    before = {name: checksum(store.read(name)) for name in (FACTOR, "price_history")}
    yield
    assert {name: checksum(store.read(name)) for name in before} == before
    assert store.tables() == sorted(before)


class TestAgainstMemory:
    def test_the_corpus_is_stored_as_it_is(self, store: Store) -> None:
        assert checksum(store.read(FACTOR)) == checksum(filled("memory", Path()).read(FACTOR))
        assert set(store.read(FACTOR)["ticker"].to_pylist()) == {"PLAIN", *CORPUS}

    @pytest.mark.parametrize("text", CORPUS, ids=NAMES)
    def test_a_ticker_is_read_and_replaced_alone(self, store: Store, text: str) -> None:
        part = Slice(tickers=frozenset({text}))
        for name in (FACTOR, "price_history"):
            rows = store.read(name, part)
            assert rows.num_rows == 2
            assert set(rows["ticker"].to_pylist()) == {text}
        before = as_dict(store.read(FACTOR))
        part = Slice(start=DAY, tickers=frozenset({text}))
        store.write(FACTOR, part, factor_rows(block(DAY, 2, [text], value=7.0)), provenance=PROVENANCE)
        wanted = {key: 7.0 if key[1] == text else value for key, value in before.items()}
        assert as_dict(store.read(FACTOR)) == wanted
        store.write(FACTOR, part, factor_rows(block(DAY, 2, [text], value=1.0)), provenance=PROVENANCE)

    @pytest.mark.parametrize("kind", STORES)
    def test_provenance_is_told_as_it_was_given(self, kind: str, tmp_path: Path) -> None:
        store = filled(kind, tmp_path)
        label = " ".join(CORPUS[:20])
        for text in CORPUS:
            given = Provenance(source=SOURCE, run_id=text, code_version=text, inputs={text: text})
            part = Slice(tickers=frozenset({text}))
            rows = factor_rows(block(DAY, 1, [text], value=2.0))
            assert store.write(FACTOR, part, rows, provenance=given).provenance == given
            assert store.versions(FACTOR)[0].provenance == given
            assert store.versions(FACTOR)[0].slice == part
        store.write("factors/own/labelled", EVERYTHING, factor_rows({}), provenance=Provenance(source=label))
        assert store.versions("factors/own/labelled")[0].provenance.source == label

    def test_a_copy_of_the_corpus(self, store: Store, tmp_path: Path) -> None:
        target = LakeStore(tmp_path)
        assert {account.outcome for account in copy_tables(store, target)} == {"copied"}
        assert checksum(target.read("price_history")) == checksum(store.read("price_history"))


@pytest.mark.usefixtures("untouched")
class TestRefused:
    @pytest.mark.parametrize("text", CORPUS, ids=NAMES)
    def test_names_of_tables_and_columns_and_times(self, store: Store, text: str) -> None:
        with pytest.raises(StoreError):
            store.read(text)
        with pytest.raises(StoreError):
            store.versions(text)
        with pytest.raises(StoreError):
            store.write(text, EVERYTHING, factor_rows({}), provenance=PROVENANCE)
        with pytest.raises(StoreError):
            store.append(text, factor_rows({}), provenance=PROVENANCE)
        with pytest.raises(StoreError):
            [*copy_tables(store, MemoryStore(), tables=[text])]
        with pytest.raises(StoreError):
            store.read(FACTOR, columns=["value", text])
        with pytest.raises(StoreError):
            store.read(FACTOR, as_of=text)
        with pytest.raises(StoreError):
            restore(store, FACTOR, text)
        with pytest.raises(StoreError):
            moment(text, store.versions(FACTOR))
        rows = factor_rows(block(DAY, 1, ["PLAIN"], value=2.0)).append_column(text, pa.array([1.0]))
        with pytest.raises(StoreError):
            store.write(FACTOR, EVERYTHING, rows, provenance=PROVENANCE)

    @pytest.mark.parametrize("text", CORPUS, ids=NAMES)
    def test_sql(self, store: Store, text: str) -> None:
        name = "factor_values"
        for sql in (text, f"SELECT * FROM {text}", f"SELECT count(*) FROM {name} WHERE ticker = {text}"):
            if not sql.strip():
                continue
            with suppress(StoreError):
                query(store, sql)

    @pytest.mark.parametrize("text", CORPUS, ids=NAMES)
    def test_names_of_factors_and_formulas(self, store: Store, text: str) -> None:
        with pytest.raises(FactorAssetsError):
            find_factor(text, all_factors(), all_libraries())
        with pytest.raises(FactorAssetsError):
            parse(f"close + {text}'")


class TestNamesOfTables:
    @pytest.mark.parametrize(
        "kind",
        ["memory", "lake"],
    )
    def test_a_factor_or_library_of_any_name_is_stored_under_it_or_refused(self, kind: str, tmp_path: Path) -> None:
        wrong = []
        for n, text in enumerate(CORPUS):
            for name in (f"factors/{text}/x", f"factors/x/{text}", f"libraries/{text}"):
                store = MemoryStore() if kind == "memory" else LakeStore(tmp_path / str(n) / "lake")
                try:
                    with suppress(FactorAssetsError):
                        store.write(name, EVERYTHING, factor_rows({}), provenance=PROVENANCE)
                        if name not in store.tables():
                            wrong.append(name)
                except BaseException as panic:  # noqa: BLE001 a panic of the Delta library is no Exception
                    wrong.append(f"{name}: {panic}")
        assert wrong == []


class TestCommandLine:
    def test_every_text_is_refused_in_a_sentence(self, tmp_path: Path) -> None:
        home = Home(tmp_path)
        store = filled("lake", tmp_path / "home" / "lake")
        before = {name: checksum(store.read(name)) for name in store.tables()}
        for text in CORPUS[::2]:
            given = text if not text.startswith("-") else f" {text}"
            for command in (
                ["store", "versions", given],
                ["store", "restore", FACTOR, "--as-of", given],
                ["store", "copy", given, "--to", "./other"],
                ["factor", "show", given],
            ):
                done = home(*command)
                assert done.returncode == 1, (command, done)
                assert done.stderr.strip(), command
                assert not NOISE.search(done.stdout + done.stderr), (command, done)
            done = home("store", "restore", FACTOR, "--as-of", "0", "--ticker", given, "--dry-run")
            assert done.returncode == 0, done
            assert not NOISE.search(home("store", "sql", given).stderr)
        assert {name: checksum(store.read(name)) for name in store.tables()} == before
