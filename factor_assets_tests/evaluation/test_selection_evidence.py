"""The worth of choosing: against the tests called by hand on pandas' common sessions, its properties, its errors."""

from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from factor_assets.errors import EvaluationError
from factor_assets.evaluation.overfitting import probability_of_overfitting
from factor_assets.evaluation.selection_evidence import factor_selection
from factor_assets.evaluation.spanning import grs_test
from factor_assets.evaluation.superior_ability import superior_ability
from factor_assets.settings import EvaluationSettings
from factor_assets.tables import table

CHOICE = EvaluationSettings()
DAYS = [date(2020, 1, 1) + timedelta(days=i) for i in range(400)]
SIGNS = {("a", "low"): -1, ("a", "high"): 1, ("b", "free"): 0}


def frame() -> pd.DataFrame:
    """Returns of five factors: two families of two and one alone; one too short to take part."""
    random = np.random.default_rng(2)
    returns = pd.DataFrame(
        random.normal(0.0, 0.01, (400, 6)),
        index=DAYS,
        columns=[("a", "high"), ("a", "low"), ("b", "free"), ("b", "late"), ("b", "short"), ("c", "alone")],
    )
    returns[("a", "low")] -= 0.002
    returns.iloc[:150, 3] = np.nan
    returns.iloc[:201, 4] = np.nan
    returns.iloc[7, 0] = np.nan
    return returns


RETURNS = frame()
MARKET = dict(zip(DAYS, np.random.default_rng(3).normal(0.0003, 0.01, 400).tolist(), strict=True)) | {DAYS[0]: np.nan}


def rows_of(returns: pd.DataFrame, **changes: Any) -> pa.Table:
    schema = table("factor_timeseries").schema
    fixed = dict.fromkeys(schema.names) | {"universe": "test", "source": "random"} | changes
    rows = [
        fixed
        | {"date": day, "factor_type": label[0], "factor_name": label[1]}
        | {"factor_value": None if np.isnan(value) else value}
        for day, row in zip(returns.index, returns.to_numpy().tolist(), strict=True)
        for label, value in zip(returns.columns, row, strict=True)
    ]
    return pa.Table.from_pylist(rows, schema=schema)


ROWS = rows_of(RETURNS)


def selected(rows: pa.Table = ROWS, *, choice: EvaluationSettings = CHOICE, **options: Any) -> pa.Table:
    market, signs = options.pop("market", MARKET), options.pop("signs", SIGNS)
    found = factor_selection(rows, market, signs, settings=choice, universe="test", source="random", **options)
    assert found.schema == table("factor_selection").schema
    return found


def by_scope(rows: pa.Table) -> dict[str, dict[str, Any]]:
    return {row["scope"]: row for row in rows.to_pylist()}


class TestAgainstTheTestsByHand:
    @pytest.mark.parametrize("scope", ["all", "a", "b"])
    def test_every_number_on_the_common_sessions(self, scope: str) -> None:
        row = by_scope(selected())[scope]
        own = RETURNS[[c for c in RETURNS.columns if scope in {"all", c[0]} and c != ("b", "short")]].copy()
        if ("a", "low") in own.columns:
            own[("a", "low")] *= -1
        own = own.dropna()
        ratios = own.mean() / own.std(ddof=1)
        assert (row["n_factors"], row["n_sessions"]) == (own.shape[1], len(own))
        assert (row["start_date"], row["end_date"]) == (own.index[0], own.index[-1])
        assert row["best_factor"] == "/".join(ratios.idxmax())
        assert row["best_sharpe_ratio"] == pytest.approx(ratios.max(), rel=1e-12)
        values = np.ascontiguousarray(own.to_numpy())
        n_blocks = min(16, len(own) // 20 * 2)
        overfitting = probability_of_overfitting(values, n_blocks=n_blocks)
        assert row["overfitting_probability"] == overfitting.probability
        assert row["degradation_slope"] == pytest.approx(overfitting.degradation_slope, rel=1e-9)
        assert row["loss_probability"] == overfitting.probability_of_loss
        superior = superior_ability(values)
        assert row["superior_ability_pvalue_lower"] == superior.pvalue_lower
        assert row["superior_ability_pvalue"] == superior.pvalue_consistent
        assert row["superior_ability_pvalue_upper"] == superior.pvalue_upper
        market = np.array([MARKET[day] for day in own.index])
        grs = grs_test({str(c): own[c].to_numpy() for c in own.columns}, {"market": market})
        assert row["grs_statistic"] == pytest.approx(grs.statistic, rel=1e-9)
        assert row["grs_pvalue"] == pytest.approx(grs.pvalue, rel=1e-9)


class TestProperties:
    def test_scopes_are_all_and_the_families_of_two(self) -> None:
        rows = selected()
        assert rows["scope"].to_pylist() == ["a", "all", "b"]
        left_out = "1 factors left out, with a return on fewer than half of the sessions: b/short"
        assert {row["scope"]: row["reason"] for row in rows.to_pylist()} == {
            "a": None,
            "all": left_out,
            "b": left_out,
        }

    def test_the_published_sign_turns_a_return_round(self) -> None:
        turned, as_is = (by_scope(selected(signs=signs))["a"] for signs in (SIGNS, {}))
        assert turned["best_factor"] == "a/low"
        assert turned["superior_ability_pvalue"] < 0.05 < as_is["superior_ability_pvalue"]
        assert as_is["grs_statistic"] == pytest.approx(turned["grs_statistic"], rel=1e-9)

    def test_any_order_and_any_time_give_the_same_bits(self) -> None:
        shuffled = ROWS.take(np.random.default_rng(0).permutation(ROWS.num_rows))
        assert selected(shuffled).equals(selected())

    def test_the_holdout_takes_no_part(self) -> None:
        choice = CHOICE.model_copy(update={"holdout_start": DAYS[330]})
        assert selected(choice=choice).equals(selected(rows_of(RETURNS.iloc[:330])))
        assert not selected(choice=choice).equals(selected())

    def test_trials_are_those_of_the_ledger_or_at_least_the_factors(self) -> None:
        assert set(selected()["n_trials"].to_pylist()) == {6}
        assert set(selected(n_trials=2)["n_trials"].to_pylist()) == {6}
        assert set(selected(n_trials=90)["n_trials"].to_pylist()) == {90}

    def test_fewer_sessions_take_fewer_blocks_and_then_none(self) -> None:
        few = by_scope(selected(rows_of(RETURNS.iloc[-120:])))["all"]
        assert few["overfitting_probability"] is not None
        assert few["reason"] == "cross-validated on 12 blocks instead of 16: 120 sessions"
        fewer = by_scope(selected(rows_of(RETURNS.iloc[-35:])))["all"]
        assert fewer["overfitting_probability"] is None
        assert fewer["superior_ability_pvalue"] is not None
        assert fewer["reason"] == "cross-validation wants 40 sessions at least, got 35"
        none = by_scope(selected(rows_of(RETURNS.iloc[-35:]), choice=EvaluationSettings(min_observations=36)))["all"]
        assert none["superior_ability_pvalue"] is none["grs_pvalue"] is none["best_factor"] is None
        assert none["reason"] == "35 sessions on which all 6 have a return, of at least 36"

    def test_what_a_test_refuses_is_null_with_what_it_says(self) -> None:
        same = RETURNS[[("a", "high")]].copy()
        same[("a", "low")] = same[("a", "high")]
        row = by_scope(selected(rows_of(same), signs={}))["all"]
        assert row["grs_statistic"] is row["grs_pvalue"] is None
        assert "residual covariance" in row["reason"]
        assert row["superior_ability_pvalue"] is not None
        still = same.copy()
        still[("a", "low")] = 0.0
        row = by_scope(selected(rows_of(still)))["all"]
        assert row["best_factor"] == "a/high"
        assert row["overfitting_probability"] is row["superior_ability_pvalue"] is row["grs_pvalue"] is None
        assert "earn one and the same return" in row["reason"]
        assert "wants to vary" in row["reason"]

    def test_without_a_market_only_the_last_test_is_missing(self) -> None:
        row = by_scope(selected(market={}))["all"]
        assert row["grs_statistic"] is None
        assert row["overfitting_probability"] is not None
        assert "The GRS test of 5 assets on 1 factors wants at least 7 dates" in row["reason"]

    def test_a_reason_is_short_even_where_a_test_names_every_factor(self) -> None:
        many = pd.DataFrame({("a", f"name_{i:03}"): RETURNS[("a", "low")] for i in range(60)})
        assert len(by_scope(selected(rows_of(many)))["all"]["reason"]) < 400

    def test_one_factor_and_none(self) -> None:
        (row,) = selected(rows_of(RETURNS[[("c", "alone")]])).to_pylist()
        assert row["superior_ability_pvalue"] is not None
        assert "at least 2 strategies" in row["reason"]
        assert selected(ROWS.slice(0, 0)).num_rows == 0

    def test_factors_that_are_never_there_leave_nothing(self) -> None:
        row = by_scope(selected(rows_of(RETURNS * np.nan)))["all"]
        assert (row["n_factors"], row["n_sessions"], row["best_factor"]) == (0, 0, None)
        assert "6 factors left out" in row["reason"]
        assert "a/high, a/low, b/free, ..." in row["reason"]


class TestErrors:
    def test_rows_of_another_market(self) -> None:
        with pytest.raises(EvaluationError, match="factor_timeseries also has"):
            selected(rows_of(RETURNS.iloc[:40], universe="other"))

    def test_no_session_before_the_holdout(self) -> None:
        with pytest.raises(EvaluationError, match="The choice among factors wants sessions before the holdout"):
            selected(choice=EvaluationSettings(holdout_start=DAYS[0]))

    def test_a_family_with_the_name_of_all(self) -> None:
        with pytest.raises(EvaluationError, match="family 'all' has the name that all factors together have; rename"):
            selected(rows_of(RETURNS.rename(columns=lambda c: c).set_axis([("all", c[1]) for c in RETURNS], axis=1)))
