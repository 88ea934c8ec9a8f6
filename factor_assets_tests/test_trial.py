"""Trying one factor outside the graph: market, sessions, factor, holdout and ledger; and the check for your own."""

from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pytest

from factor_assets.defs.trials import record_evaluated
from factor_assets.errors import EvaluationError, ExpressionSyntaxError, UnknownFactorError
from factor_assets.evaluation.quick_look import QuickLook
from factor_assets.evaluation.trials import family_size
from factor_assets.expressions import close, delay, parse
from factor_assets.expressions.engine import evaluate
from factor_assets.factors.registry import all_factors, all_libraries
from factor_assets.panel.panel import Panel
from factor_assets.settings import EvaluationSettings, Settings
from factor_assets.trial import check_factor, evaluate_factor, sample_panel
from factor_assets.workspace import Workspace
from factor_assets_tests.market import run, small_settings


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A lake of four months."""
    settings = small_settings(tmp_path_factory.mktemp("lake"))
    run(settings, names=["price_history", "universe", "prices"])
    return Workspace(settings)


def empty(home: Path, **sections: object) -> Workspace:
    """A workspace without prices: four months of twelve companies in memory."""
    return Workspace(small_settings(home, **sections))


def same(one: QuickLook, other: QuickLook) -> None:
    assert one.evidence.timeseries.equals(other.evidence.timeseries)
    np.testing.assert_array_equal(one.values, other.values)


class TestAgainstTheLake:
    def test_the_sample_market_in_memory_is_the_one_that_the_lake_stores(
        self, stored: Workspace, tmp_path: Path
    ) -> None:
        panel, built = stored.panel(), sample_panel(stored.settings)
        assert (panel.tickers, panel.first_row) == (built.tickers, built.first_row)
        for name, values in panel.fields.items():
            np.testing.assert_array_equal(values, built[name])
        np.testing.assert_array_equal(panel.in_universe, built.in_universe)
        on_disk = evaluate_factor("rank(-delta(close, 5))", workspace=stored)
        in_memory = evaluate_factor("rank(-delta(close, 5))", workspace=empty(tmp_path))
        same(on_disk, in_memory)
        assert "No prices are stored here" in " ".join(in_memory.notes)
        assert "No prices are stored here" not in " ".join(on_disk.notes)
        assert all("SYNTHETIC" in look.notes[0] for look in (on_disk, in_memory))

    def test_values_are_the_engine_s(self, stored: Workspace) -> None:
        found = evaluate_factor("close / delay(close, 5)", workspace=stored)
        panel = stored.panel()
        whole = dict(evaluate({"x": close / delay(close, 5)}, panel))["x"]
        np.testing.assert_array_equal(found.values, whole[5:])
        np.testing.assert_array_equal(found.panel.dates, panel.dates[5:])


class TestProperties:
    def test_a_factor_has_many_spellings(self, stored: Workspace) -> None:
        declared = next(f for f in all_factors().values() if 0 < f.lookback < 40)
        looks = [
            evaluate_factor(spelled, workspace=stored)
            for spelled in (declared.name, f"{declared.family}/{declared.name}", declared)
        ]
        assert {(look.family, look.name) for look in looks} == {(declared.family, declared.name)}
        unnamed = [
            evaluate_factor(spelled, workspace=stored)
            for spelled in (str(declared.expression), declared.expression, declared.factor)
        ]
        assert {(look.family, look.name) for look in unnamed} == {("tried", "formula")}
        for look in (*looks, *unnamed):
            np.testing.assert_array_equal(look.values, looks[0].values)

    def test_a_field_a_column_of_a_library_and_the_user_s_own(self, tmp_path: Path) -> None:
        (tmp_path / "mine.txt").write_text("fade = rank(-delta(close, 5))")
        workspace = empty(tmp_path, factors={"paths": [str(tmp_path / "mine.txt")]})
        assert evaluate_factor("close", workspace=workspace).formula == "close"
        assert evaluate_factor("mine/fade", workspace=workspace).formula == "rank(-delta(close, 5))"
        library = next(iter(all_libraries().values()))
        column = min(library.factors.values(), key=lambda factor: factor.lookback)
        found = evaluate_factor(f"{library.name}/{column.name}", workspace=workspace)
        assert (found.family, found.name) == (library.name, column.name)

    def test_sessions_before_the_first_value_are_left_out_and_those_asked_for_are_kept(self, stored: Workspace) -> None:
        whole = evaluate_factor("delta(close, 10)", workspace=stored)
        assert whole.context.first_date == stored.panel().dates[10].item()
        assert whole.coverage > 0.99
        start, end = date(2023, 2, 1), date(2023, 3, 31)
        for workspace in (stored, empty(stored.settings.home / "none")):
            part = evaluate_factor("delta(close, 10)", start=start, end=end, workspace=workspace)
            assert (part.context.first_date, part.context.last_date) == (start, end)
            inside = (whole.panel.dates >= np.datetime64(start)) & (whole.panel.dates <= np.datetime64(end))
            np.testing.assert_array_equal(part.values, whole.values[inside])

    def test_the_horizon(self, stored: Workspace) -> None:
        assert evaluate_factor("close", workspace=stored).settings.horizon == 1
        assert evaluate_factor("close", horizon=5, workspace=stored).rank_ic.horizon == 5

    def test_another_source_without_prices_is_tried_on_the_sample_market(self, tmp_path: Path) -> None:
        settings = Settings.model_validate({"home": tmp_path, "data": {"source": "yahoo"}})
        found = evaluate_factor("delta(close, 5)", workspace=Workspace(settings))
        assert found.context.source == "sample (synthetic)"
        assert found.notes[0].startswith("SYNTHETIC")
        assert [path.relative_to(tmp_path) for path in tmp_path.glob("*/*")] == [Path("lake/trials")]
        assert Workspace(settings).store.read("trials")["source"].to_pylist() == ["sample (synthetic)"]

    def test_it_takes_time(self, stored: Workspace) -> None:
        assert 0 < evaluate_factor("close", workspace=stored).seconds < 60

    def test_every_operator_s_look_back_passes_the_check(self) -> None:
        for formula in ("rank(-delta(close, 5))", close / delay(close, 21) - 1, next(iter(all_factors().values()))):
            check_factor(formula)


class TestLedger:
    def test_every_look_is_a_row_and_the_same_look_is_one_trial(self, tmp_path: Path) -> None:
        workspace = empty(tmp_path)
        before = datetime.now(UTC)
        looks = [
            evaluate_factor("rank(-delta(close, 5))", workspace=workspace),
            evaluate_factor("rank(-delta(close, 5))", workspace=workspace, tried_by="command line"),
            evaluate_factor("rank(-delta(close, 5))", horizon=5, workspace=workspace),
            evaluate_factor("close", start=date(2023, 2, 1), end=date(2023, 3, 31), workspace=workspace),
        ]
        rows = workspace.store.read("trials").to_pylist()
        assert len(rows) == 4
        for look, row in zip(looks, rows, strict=True):
            assert (row["formula"], row["horizon"]) == (look.formula, look.settings.horizon)
            assert (row["start_date"], row["end_date"]) == (look.context.first_date, look.context.last_date)
            assert row["statistic"] == look.rank_ic.tstat
            assert before <= row["tried_at"] <= datetime.now(UTC)
            assert (row["has_holdout"], row["universe"], row["source"]) == (False, "all", "sample (synthetic)")
        assert [row["tried_by"] for row in rows] == ["notebook", "command line", "notebook", "notebook"]
        assert rows[0]["trial_id"] == rows[1]["trial_id"]
        assert family_size(workspace.store.read("trials"), universe="all") == 3

    def test_a_look_without_rank_ic_is_a_trial_without_statistic(self, tmp_path: Path) -> None:
        workspace = empty(tmp_path)
        evaluate_factor("sign(close)", workspace=workspace)
        assert workspace.store.read("trials")["statistic"].to_pylist() == [None]

    def test_a_look_that_failed_is_none(self, tmp_path: Path) -> None:
        workspace = empty(tmp_path)
        with pytest.raises(ExpressionSyntaxError):
            evaluate_factor("rank(clos)", workspace=workspace)
        assert workspace.store.tables() == []

    def test_a_ledger_that_cannot_be_written_is_said_once_beside_the_numbers(
        self, stored: Workspace, tmp_path: Path
    ) -> None:
        log = tmp_path / "lake" / "trials" / "_delta_log"
        log.mkdir(parents=True)
        (log / f"{0:020}.json").write_text("no commit")
        look = evaluate_factor("close", workspace=empty(tmp_path))
        (said,) = (note for note in look.notes if note.startswith("NOT RECORDED"))
        assert "this trial is missing from the ledger, so that it will not be counted. Table 'trials' at" in said
        np.testing.assert_array_equal(look.values, evaluate_factor("close", workspace=stored).values)

    def test_what_the_graph_evaluates_is_recorded_once(self, tmp_path: Path) -> None:
        workspace = empty(tmp_path)
        factors = list(workspace.factors.values())

        def evening(day: int, **changes: object) -> int:
            return record_evaluated(
                Workspace(workspace.settings.model_copy(update={"evaluation": EvaluationSettings(**changes)})),
                factors,
                statistics={(factors[0].family, factors[0].name): 2.5},
                start_date=date(2023, 1, 3),
                end_date=date(2023, 4, day),
                tried_by="factor_evidence",
                run_id="abc",
            ).num_rows

        n = len(factors)
        assert [evening(3), evening(4), evening(5)] == [n, n, n]
        ledger = workspace.store.read("trials")
        assert set(ledger["tried_by"].to_pylist()) == {"factor_evidence, run abc"}
        assert ledger["statistic"].drop_null().to_pylist() == [2.5]
        assert family_size(ledger, universe="all", source="sample (synthetic)") == n
        assert workspace.store.versions("trials")[0].provenance.run_id == "abc"
        evaluate_factor(next(f for f in factors if not f.lookback), workspace=workspace)
        assert family_size(workspace.store.read("trials"), universe="all") == n, "a look at one of them is no new trial"
        assert evening(5, horizon=5) == 2 * n + 1
        assert family_size(workspace.store.read("trials"), universe="all") == 2 * n
        assert record_evaluated(
            workspace, [], statistics={}, start_date=date(2023, 1, 3), end_date=date(2023, 1, 3), tried_by="x"
        ).equals(workspace.store.read("trials"))


class TestHoldout:
    HOLDOUT = date(2023, 4, 3)

    @pytest.fixture
    def workspace(self, stored: Workspace) -> Workspace:
        evaluation = EvaluationSettings(holdout_start=self.HOLDOUT)
        return Workspace(stored.settings.model_copy(update={"evaluation": evaluation}))

    def test_a_look_ends_before_it_on_the_lake_and_in_memory(self, workspace: Workspace, tmp_path: Path) -> None:
        home = {"home": tmp_path, "evaluation": workspace.settings.evaluation}
        for market in (workspace, Workspace(workspace.settings.model_copy(update=home))):
            for end in (None, self.HOLDOUT, date(2023, 4, 28), date(2030, 1, 1)):
                look = evaluate_factor("delta(close, 5)", end=end, workspace=market)
                assert look.context.last_date == date(2023, 3, 31)
                assert look.notes[-1] == "The holdout, from 2023-04-03 on, is left out."
            assert not any(market.store.read("trials").filter(pc.field("formula") == "delta(close, 5)")["has_holdout"])
            early = evaluate_factor("delta(close, 5)", end=date(2023, 3, 1), workspace=market)
            assert early.context.last_date == date(2023, 3, 1)

    def test_nothing_in_it_changes_a_number(self, workspace: Workspace, stored: Workspace) -> None:
        without = evaluate_factor("delta(close, 5)", workspace=workspace)
        ended = evaluate_factor("delta(close, 5)", end=date(2023, 3, 31), workspace=stored)
        same(without, ended)
        assert without.decay == ended.decay

    def test_it_is_looked_at_by_name_and_the_ledger_and_the_notes_say_so(self, workspace: Workspace) -> None:
        look = evaluate_factor("delta(close, 7)", include_holdout=True, workspace=workspace)
        assert look.context.last_date == date(2023, 4, 28)
        assert look.notes[-1].startswith("HOLDOUT INCLUDED: sessions from 2023-04-03 on were looked at")
        assert "HOLDOUT INCLUDED" in look.tear_sheet()
        early = evaluate_factor("delta(close, 7)", end=date(2023, 3, 1), include_holdout=True, workspace=workspace)
        assert "HOLDOUT" not in " ".join(early.notes), "it was allowed, and not looked at"
        recorded = workspace.store.read("trials").filter(pc.field("formula") == "delta(close, 7)")
        assert recorded["has_holdout"].to_pylist() == [True, False]
        start = evaluate_factor("delta(close, 7)", start=self.HOLDOUT, include_holdout=True, workspace=workspace)
        assert start.context.first_date == self.HOLDOUT

    def test_without_one_nothing_is_said(self, stored: Workspace) -> None:
        assert "oldout" not in " ".join(evaluate_factor("close", workspace=stored).notes)

    def test_a_range_inside_it_is_refused(self, workspace: Workspace) -> None:
        message = r"begins on 2023-04-03, in the holdout, which begins on 2023-04-03 .*include_holdout=True"
        with pytest.raises(EvaluationError, match=message):
            evaluate_factor("close", start=self.HOLDOUT, workspace=workspace)


class TestErrors:
    def test_what_is_neither_a_name_nor_a_formula(self, stored: Workspace) -> None:
        with pytest.raises(UnknownFactorError, match=r"No factor is called 'ret_12_'; did you mean .*'ret_12_1'"):
            evaluate_factor("ret_12_", workspace=stored)
        with pytest.raises(ExpressionSyntaxError, match=r"unknown field 'clos'.*\n.*\n +\^"):
            evaluate_factor("rank(clos)", workspace=stored)

    def test_no_session_left(self, stored: Workspace) -> None:
        message = "No session is left to look at: the factor looks back 252 sessions"
        with pytest.raises(EvaluationError, match=message):
            evaluate_factor("ret_12_1", workspace=stored)
        with pytest.raises(EvaluationError, match=r"and 0 of .* lie in the range asked for"):
            evaluate_factor("close", start=date(2030, 1, 1), workspace=stored)
        with pytest.raises(EvaluationError, match="No session is left"):
            evaluate_factor("close", end=date(1999, 1, 1), workspace=stored)

    def test_a_factor_without_values(self) -> None:
        with pytest.raises(EvaluationError, match="has no value on the last of 2012 sessions; it looks back 5"):
            check_factor("log(-abs(delta(close, 5)) - 1)")

    def test_a_factor_that_looks_ahead(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from factor_assets import trial

        def ahead(expressions: dict, panel: Panel) -> list:
            return [(name, panel["close"][::-1].copy()) for name in expressions]

        monkeypatch.setattr(trial, "evaluate", ahead)
        with pytest.raises(
            EvaluationError, match=r"close looks ahead: its value on 2017-01-03 depends on prices after"
        ):
            check_factor(parse("close"))

    def test_a_factor_with_infinite_values(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from factor_assets import trial

        monkeypatch.setattr(trial, "evaluate", lambda _, panel: {"checked": np.full(panel.shape, np.inf)})
        with pytest.raises(EvaluationError, match="close has 120720 infinite values"):
            check_factor("close")
