"""The ledger of trials: what a row says, and what counts as another trial."""

import math
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from factor_assets.errors import EvaluationError
from factor_assets.evaluation.trials import COUNTED_SETTINGS, family_size, looks_at_holdout, not_yet_recorded, trial
from factor_assets.expressions import code_version, parse
from factor_assets.settings import EvaluationSettings
from factor_assets.storage.rows import conform
from factor_assets.tables import TABLES

TRIED: dict[str, Any] = {
    "factor_name": "fade",
    "factor_type": "own",
    "formula": "rank(-delta(close, 5))",
    "code_version": "abc",
    "settings": EvaluationSettings(),
    "universe": "djia30",
    "source": "files",
    "start_date": date(2020, 1, 2),
    "end_date": date(2021, 12, 31),
    "statistic": 2.5,
    "tried_at": datetime(2022, 1, 3, 12, tzinfo=UTC),
    "tried_by": "notebook",
}


def row(**changes: Any) -> pa.Table:
    return trial(**{**TRIED, **changes})


def counted(*rows: pa.Table, universe: str = "djia30", source: str | None = None) -> int:
    return family_size(pa.concat_tables(rows), universe=universe, source=source)


class TestAgainstASet:
    def test_a_family_is_the_set_of_what_was_tried(self) -> None:
        tried = [
            (f"formula {i % 7}", (1, 5)[i % 2], ("a", "b", "c")[i % 3], date(2020, 1, 2) + timedelta(days=i))
            for i in range(200)
        ]
        ledger = pa.concat_tables(
            row(code_version=code, settings=EvaluationSettings(horizon=horizon), universe=universe, start_date=start)
            for code, horizon, universe, start in tried
        )
        for universe in "abc":
            expected = {(code, horizon) for code, horizon, where, _ in tried if where == universe}
            assert family_size(ledger, universe=universe) == len(expected) == 14


class TestProperties:
    def test_a_row_is_one_of_the_table(self) -> None:
        told = row()
        assert conform(TABLES["trials"], told).equals(told)
        (only,) = told.to_pylist()
        given = {name: value for name, value in TRIED.items() if name != "settings"}
        assert {name: only[name] for name in given} == given
        assert (only["horizon"], only["has_holdout"]) == (1, False)

    def test_what_was_not_seen_is_null(self) -> None:
        assert (
            row(statistic=None)["statistic"].to_pylist() == row(statistic=math.nan)["statistic"].to_pylist() == [None]
        )

    @pytest.mark.parametrize(
        "again",
        [
            {"tried_at": datetime(2023, 1, 1, tzinfo=UTC)},
            {"tried_by": "command line"},
            {"factor_name": "formula", "factor_type": "tried"},
            {"formula": "rank(-(close - delay(close, 5)))"},
            {"statistic": None},
            {"start_date": date(2019, 1, 2)},
            {"end_date": date(2022, 1, 3)},
            {"settings": EvaluationSettings(risk_free_rate=0.05)},
            {"settings": EvaluationSettings(participation_rate=0.01)},
            {"settings": EvaluationSettings(min_observations=100)},
            {"settings": EvaluationSettings(horizons=(1, 2))},
            {"settings": EvaluationSettings(holdout_start=date(2021, 6, 1))},
        ],
        ids=str,
    )
    def test_the_same_again_or_on_other_dates_does_not_count_again(self, again: dict[str, Any]) -> None:
        assert counted(row(), row(**again), row(**again)) == 1

    @pytest.mark.parametrize(
        "other",
        [
            {"code_version": "abd"},
            {"settings": EvaluationSettings(horizon=5)},
            {"settings": EvaluationSettings(execution_lag=0)},
            {"settings": EvaluationSettings(n_groups=10)},
            {"settings": EvaluationSettings(n_quantiles=10)},
            {"settings": EvaluationSettings(weighting="cap")},
            {"source": "yahoo"},
        ],
        ids=str,
    )
    def test_another_formula_parameter_or_horizon_counts(self, other: dict[str, Any]) -> None:
        assert counted(row(), row(**other), row(**other)) == 2

    def test_every_counted_setting_is_one(self) -> None:
        assert set(COUNTED_SETTINGS) <= set(EvaluationSettings.model_fields)

    def test_parameters_are_other_formulas_and_spellings_are_not(self) -> None:
        spelled = ("rank(-delta(close, 5))", "rank( -delta(close,5) )", "rank(-delta(close, 6))")
        assert counted(*(row(code_version=code_version(parse(text)), formula=text) for text in spelled)) == 2

    def test_a_universe_and_a_source_count_on_their_own(self) -> None:
        rows = (row(), row(universe="sp500"), row(universe="sp500", source="sample (synthetic)"))
        assert (counted(*rows), counted(*rows, universe="sp500"), counted(*rows, universe="none")) == (1, 2, 0)
        assert counted(*rows, universe="sp500", source="files") == 1
        assert family_size(TABLES["trials"].schema.empty_table(), universe="djia30") == 0

    def test_an_id_changes_with_the_dates_too(self) -> None:
        ids = [row(**changes)["trial_id"][0].as_py() for changes in ({}, {}, {"end_date": date(2022, 1, 3)})]
        assert ids[0] == ids[1] != ids[2]

    def test_the_holdout_begins_on_its_first_session(self) -> None:
        held = EvaluationSettings(holdout_start=date(2021, 6, 1))
        assert [looks_at_holdout(held, date(2021, month, 1)) for month in (5, 6, 7)] == [False, True, True]
        assert not looks_at_holdout(EvaluationSettings(), date(2021, 7, 1))
        assert row(settings=held)["has_holdout"].to_pylist() == [True]

    def test_what_is_evaluated_every_evening_is_recorded_once(self) -> None:
        evenings = pa.concat_tables([row(end_date=date(2022, 1, day), code_version=c) for c in "ab" for day in (3, 4)])
        first = not_yet_recorded(evenings, TABLES["trials"].schema.empty_table())
        assert (first["code_version"].to_pylist(), set(first["end_date"].to_pylist())) == (
            ["a", "b"],
            {date(2022, 1, 3)},
        )
        assert not_yet_recorded(evenings, first).num_rows == 0
        held = EvaluationSettings(holdout_start=date(2021, 6, 1))
        seen = not_yet_recorded(row(code_version="a", settings=held), first)
        assert seen["has_holdout"].to_pylist() == [True], "a first look at the holdout is recorded"
        assert counted(first, seen) == 2, "but it is no new hypothesis"


class TestErrors:
    def test_a_time_without_zone(self) -> None:
        with pytest.raises(EvaluationError, match="wants a time with a zone, got 2022-01-03 00:00:00"):
            row(tried_at=datetime(2022, 1, 3))  # noqa: DTZ001 the point

    def test_dates_in_the_wrong_order(self) -> None:
        with pytest.raises(EvaluationError, match="first session before its last, got 2022-01-01 and 2021-12-31"):
            row(start_date=date(2022, 1, 1))
