"""The commands `factor-assets factor ...` as a user meets them."""

import re
from datetime import date
from pathlib import Path

import pytest

from factor_assets.evaluation.summary import factor_summary
from factor_assets.factors.registry import all_factors, all_libraries
from factor_assets.storage.slice import EVERYTHING
from factor_assets.storage.store import Provenance
from factor_assets.tables import table
from factor_assets.trial import evaluate_factor
from factor_assets.workspace import Workspace
from factor_assets_tests.market import run, small_settings
from factor_assets_tests.test_cli import NOISE, Home

FACTOR = next(factor for factor in all_factors().values() if 0 < factor.lookback < 40 and factor.factor.doi)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A folder whose lake has prices, and one factor's evaluation."""
    home = Home(tmp_path_factory.mktemp("lake"))
    settings = small_settings(home.folder / "home")
    run(settings, names=["price_history", "universe", "prices"])
    home.settings["DATA__END"] = str(settings.end)
    workspace = Workspace(settings)
    look = evaluate_factor(FACTOR, workspace=workspace)
    rows = factor_summary(
        look.evidence.timeseries,
        table("factor_details").schema.empty_table(),
        descriptions={},
        settings=look.settings,
        universe=look.context.universe,
        membership=look.context.membership,
        source=look.context.source,
    )
    provenance = Provenance(run_id="test", code_version="test", source=look.context.source)
    workspace.store.write("factor_summary", EVERYTHING, rows, provenance=provenance)
    return home


@pytest.fixture
def nowhere(tmp_path: Path) -> Home:
    """A folder where nothing was made."""
    return Home(tmp_path)


class TestAgainstTheDeclaration:
    def test_list_has_every_factor_and_library(self, home: Home) -> None:
        done = home("factor", "list", FACTORS__FAMILIES='["all"]')
        assert done.returncode == 0
        line = r"^momentum +ret_12_1 +252 +\+ +delay\(close, 21\) / delay\(close, 252\) - 1"
        assert re.search(line, done.stdout, flags=re.MULTILINE)
        for factor in all_factors().values():
            assert re.search(rf"^{factor.family} +{factor.name} +{factor.lookback} ", done.stdout, flags=re.MULTILINE)
        for library in all_libraries().values():
            assert re.search(rf"^{library.name} +{len(library.factors)} +", done.stdout, flags=re.MULTILINE)
        of_documents = sum(bool(factor.document_tables) for factor in all_factors().values())
        assert f"{of_documents} of {len(all_factors())} factors are no assets here" in done.stdout

    def test_list_of_a_family_and_of_a_library(self, home: Home) -> None:
        listed = home("factor", "list", "--family", "momentum").stdout
        assert "ret_12_1" in listed
        assert set(re.findall(r"^(\w+) +\w+ +\d+ ", listed, flags=re.MULTILINE)) == {"momentum"}
        library = next(iter(all_libraries().values()))
        listed = home("factor", "list", "--library", library.name).stdout
        found = re.findall(rf"^{library.name} +(\w+) +\d+ ", listed, flags=re.MULTILINE)
        assert found == list(library.factors)
        assert library.library.description.split(".")[0] in listed

    def test_show_has_all_that_is_declared(self, home: Home) -> None:
        shown = " ".join(home("factor", "show", FACTOR.name).stdout.split())
        for told in (
            f"{FACTOR.family}/{FACTOR.name}",
            str(FACTOR.expression),
            FACTOR.factor.description,
            FACTOR.factor.cite,
            f"https://doi.org/{FACTOR.factor.doi}",
            FACTOR.code_version,
            f"{FACTOR.lookback} sessions",
            ", ".join(FACTOR.inputs),
        ):
            assert " ".join(told.split()) in shown

    def test_show_has_the_last_evaluation(self, home: Home) -> None:
        shown = home("factor", "show", f"{FACTOR.family}/{FACTOR.name}").stdout
        assert re.search(r"^evaluated +2023-\d\d-\d\d to 2023-04-28, \d+ sessions, all, sample", shown, re.MULTILINE)
        assert re.search(r"^rank IC +[+-]\d\.\d{4}, t [+-]\d", shown, flags=re.MULTILINE)
        assert "Not evaluated yet; `factor-assets factor eval momentum/ret_12_1`" in home(
            "factor", "show", "ret_12_1"
        ).stdout.replace("\n", " ")

    def test_show_of_a_library_s_column(self, home: Home) -> None:
        columns = [factor for library in all_libraries().values() for factor in library.factors.values()]
        once = next(f for f in columns if [c.name for c in columns].count(f.name) == 1)
        by_name, in_full = home("factor", "show", once.name), home("factor", "show", f"{once.family}/{once.name}")
        assert by_name == in_full
        assert by_name.stdout.startswith(f"{once.family}/{once.name}\n")


class TestProperties:
    def test_eval_prints_what_the_notebook_gives(self, home: Home) -> None:
        done = home("factor", "eval", "rank(-delta(close, 5))", "--horizon", "3", "--start", "2023-02-01")
        assert done.returncode == 0, done.stderr
        settings = small_settings(home.folder / "home")
        look = evaluate_factor(
            "rank(-delta(close, 5))", horizon=3, start=date(2023, 2, 1), workspace=Workspace(settings)
        )
        printed = " ".join(done.stdout.split())
        for name, told in look.facts.items():
            assert name == "computed in" or f"{name} {told}" in printed
        assert " ".join(f"{ic.mean:+.4f}" for ic in look.decay) in printed
        assert " ".join(f"{value:+.3%}" for value in look.quantile_returns) in printed
        assert printed.startswith("SYNTHETIC SAMPLE MARKET")
        assert not NOISE.search(done.stdout + done.stderr)

    def test_eval_without_prices_is_on_the_sample_market_and_writes_the_page(self, nowhere: Home) -> None:
        done = nowhere("factor", "eval", FACTOR.name, "--html", "look.html", "--end", "2023-03-01")
        assert done.returncode == 0, done.stderr
        assert "No prices are stored here, so that the sample market was built in memory." in done.stdout
        page = (nowhere.folder / "look.html").read_text()
        assert "SYNTHETIC SAMPLE MARKET" in page
        assert FACTOR.name in page
        assert f"The page: {nowhere.folder / 'look.html'}" in done.stdout
        assert sorted(path.name for path in nowhere.folder.iterdir()) == ["home", "look.html"]
        written = [path.relative_to(nowhere.folder) for path in nowhere.folder.glob("home/*/*")]
        assert written == [Path("home/lake/trials")], "nothing but the page and the ledger is written"

    def test_trials_lists_what_was_evaluated_the_newest_first(self, nowhere: Home) -> None:
        assert "Nothing was tried yet" in nowhere("factor", "trials").stdout
        for arguments in (["rank(-delta(close, 5))"], ["rank(-delta(close, 5))"], ["close", "--horizon", "5"]):
            nowhere("factor", "eval", *arguments)
        done = nowhere("factor", "trials")
        assert done.returncode == 0
        pattern = r"^\d{4}-\d\d-\d\d \d\d:\d\d UTC +command line +tried/formula +(\d) +[\d-]+ to 2023-03-31 .* (\S+) *$"
        assert re.findall(pattern, done.stdout, flags=re.MULTILINE) == [("5", "close"), ("1", "5))"), ("1", "5))")]
        assert "2 different trials on universe all, sample (synthetic)." in done.stdout
        assert "holdout." not in done.stdout
        one = nowhere("factor", "trials", "--last", "1").stdout
        assert len(re.findall("^2", one.partition("and 2 earlier")[0], flags=re.MULTILINE)) == 1
        assert "and 2 earlier ones; `--last 3` lists all." in one

    def test_the_holdout_is_left_out_unless_it_is_asked_for(self, nowhere: Home) -> None:
        held = {"EVALUATION__HOLDOUT_START": "2023-03-01"}
        done = nowhere("factor", "eval", "close", **held)
        assert "The holdout, from 2023-03-01 on, is left out." in done.stdout
        assert re.search("^sessions .* to 2023-02-28", done.stdout, flags=re.MULTILINE)
        done = nowhere("factor", "eval", "close", "--include-holdout", **held)
        assert "HOLDOUT INCLUDED: sessions from 2023-03-01 on were looked at" in done.stdout
        assert re.search("^sessions .* to 2023-03-31", done.stdout, flags=re.MULTILINE)
        assert "1 of 2 evaluations looked at the holdout." in nowhere("factor", "trials").stdout
        done = nowhere("factor", "eval", "close", "--start", "2023-03-02", **held)
        assert done.returncode == 1
        assert "in the holdout, which begins on 2023-03-01" in done.stderr

    def test_a_ledger_that_cannot_be_written_is_one_warning(self, nowhere: Home) -> None:
        log = nowhere.folder / "home" / "lake" / "trials" / "_delta_log"
        log.mkdir(parents=True)
        (log / f"{0:020}.json").write_text("no commit")
        done = nowhere("factor", "eval", "close")
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("NOT RECORDED: this trial is missing from the ledger") == 1
        assert re.search(r"^rank IC +[+-]\d", done.stdout, flags=re.MULTILINE)

    def test_a_new_factor_is_declared_listed_and_tried(self, nowhere: Home) -> None:
        done = nowhere("factor", "new", "fade", "--formula", "rank(-delta(close, 3))")
        assert "Declared in factors/own.py, tested by factors/test_fade.py." in done.stdout
        (setting,) = re.findall(r'^\[factors\]\npaths = \["factors"\]\n', done.stdout, flags=re.MULTILINE)
        (nowhere.folder / "factor_assets.toml").write_text(setting)
        listed = nowhere("factor", "list", "--family", "own").stdout
        assert re.search(r"^own +fade +3 +rank\(-delta\(close, 3\)\)", listed, flags=re.MULTILINE)
        assert "fade: rank(-delta(close, 3))" in nowhere("factor", "eval", "own/fade").stdout
        again = nowhere("factor", "new", "other", "--family", "mine")
        assert "[factors]" not in again.stdout
        assert (nowhere.folder / "factors" / "mine.py").exists()

    def test_what_the_settings_leave_out_is_listed_and_said(self, nowhere: Home) -> None:
        listed = nowhere("factor", "list", FACTORS__FAMILIES="['momentum']").stdout
        assert f"of {len(all_factors())} factors are no assets here" in listed
        assert re.search("^size +size", listed, flags=re.MULTILINE)


class TestErrors:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["show", "ret_12"], "No factor is called 'ret_12'; did you mean"),
            (["list", "--family", "momentun"], "No family is called 'momentun'; did you mean 'momentum'"),
            (["list", "--library", "alpha15"], "No library is called 'alpha15'; did you mean 'alpha158'"),
            (["eval", "rank(clos)"], "unknown field 'clos': did you mean"),
            (["eval", "rank(close; 5)"], "  rank(close; 5)\n            ^\n"),
            (["eval", "close", "--start", "2030-01-01"], "No session is left to look at"),
            (["eval", "close", "--html", "no/such/look.html"], "no/such/look.html cannot be written"),
            (["new", "size"], "The factor 'size' is already declared in factor_assets.factors.size"),
            (["new", "mine", "--formula", "rank("], "at position 5"),
        ],
    )
    def test_a_mistake_is_explained_in_a_sentence(self, home: Home, arguments: list[str], message: str) -> None:
        done = home("factor", *arguments)
        assert done.returncode == 1
        assert message in done.stderr
        assert not NOISE.search(done.stdout + done.stderr)

    def test_a_wrong_file_of_the_user_s_names_its_line(self, nowhere: Home) -> None:
        (nowhere.folder / "mine.txt").write_text("a = close\nb = rank(clos)\n")
        done = nowhere("factor", "list", FACTORS__PATHS="['mine.txt']")
        assert done.returncode == 1
        assert "mine.txt, line 2: unknown field 'clos'" in done.stderr

    def test_nothing_is_written_when_a_name_is_wrong(self, nowhere: Home) -> None:
        assert nowhere("factor", "new", "no name").returncode == 1
        assert not list(nowhere.folder.iterdir())
