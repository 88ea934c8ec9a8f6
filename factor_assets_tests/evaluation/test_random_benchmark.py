"""The p-value against random portfolios: a plain loop, its properties, its errors."""

from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from factor_assets.errors import EvaluationError, MisalignedError
from factor_assets.evaluation.random_benchmark import RandomComparison, compare_factor_with_random
from factor_assets.evaluation.timeseries import evaluate_factors
from factor_assets.panel.panel import Array, Panel
from factor_assets.settings import EvaluationSettings
from factor_assets_tests.evaluation.markets import random_market

CHOICE = EvaluationSettings(random_portfolios=200)
HOLDOUT = date(2020, 3, 1)
PANEL, FACTORS = random_market(3, n_dates=90)
SMOOTH = FACTORS[0][2]


def knowing(strength: float) -> Array:
    """A factor that foretells the next session's return."""
    values = np.random.default_rng(5).normal(size=PANEL.shape)
    values[:-1] += strength * np.nan_to_num(PANEL["returns"][1:] / 0.02)
    return values


def rows_of(values: Array, choice: EvaluationSettings = CHOICE, panel: Panel = PANEL) -> pa.Table:
    found = evaluate_factors([("own", "it", values)], panel, settings=choice, universe="test", source="random")
    return found.timeseries


def compared(
    values: Array, choice: EvaluationSettings = CHOICE, panel: Panel = PANEL, **options: Any
) -> RandomComparison:
    rows = options.pop("rows", None) or rows_of(values, choice, panel)
    return compare_factor_with_random(values, rows, panel, settings=choice, **options)


class TestAgainstAPlainLoop:
    @pytest.mark.parametrize("weighting", ["equal", "cap"])
    def test_draws_of_numpy_give_the_same_p_value(self, weighting: str) -> None:
        choice = CHOICE.model_copy(update={"weighting": weighting, "random_portfolios": 1500})
        values = knowing(0.06)
        rows = rows_of(values, choice)
        found = compare_factor_with_random(values, rows, PANEL, settings=choice)
        random = np.random.default_rng(1)
        simulated = np.zeros((1500, 0))
        for t, row in enumerate(rows.to_pylist()):
            if row["factor_value"] is None:
                continue
            could = PANEL.in_universe[t - 1] & np.isfinite(values[t - 1]) & np.isfinite(PANEL["returns"][t])
            size = PANEL["market_cap"][t - 1] if weighting == "cap" else np.ones(PANEL.shape[1])
            names = np.flatnonzero(could & np.isfinite(size))
            drawn = names[np.argsort(random.random((1500, len(names))), axis=1)]
            high, low = drawn[:, : row["n_high"]], drawn[:, row["n_high"] : row["n_high"] + row["n_low"]]
            earned = [
                (size[side] * PANEL["returns"][t, side]).sum(axis=1) / size[side].sum(axis=1) for side in (high, low)
            ]
            simulated = np.column_stack([simulated, earned[0] - earned[1]])
        mean = pc.mean(rows["factor_value"]).as_py()
        above = np.mean(simulated.mean(axis=1) >= mean)
        assert 0.0 < above < 0.5
        assert found.pvalue == pytest.approx(2.0 * min(above, 1.0 - above), abs=0.05)


class TestProperties:
    def test_a_factor_that_knows_is_rare_and_noise_is_at_the_nominal_rate(self) -> None:
        assert compared(knowing(2.0)).pvalue == pytest.approx(2.0 / 201.0)
        assert compared(knowing(-2.0)).pvalue == pytest.approx(2.0 / 201.0)
        random = np.random.default_rng(0)
        noise = [compared(random.normal(size=PANEL.shape)).pvalue for _ in range(60)]
        assert np.mean(np.array(noise) < 0.05) <= 0.12, "nominal 0.05; seven of sixty are within chance"
        assert 0.35 < np.mean(noise) < 0.65

    def test_the_seed_and_the_settings_change_it_and_nothing_else_does(self) -> None:
        usual = compared(SMOOTH)
        assert compared(SMOOTH) == usual
        assert compared(SMOOTH, seed=1) != usual
        for changes in ({"random_portfolios": 100}, {"weighting": "cap"}, {"n_groups": 5}):
            assert compared(SMOOTH, CHOICE.model_copy(update=changes)) != usual
        shuffled = rows_of(SMOOTH).take(np.random.default_rng(0).permutation(len(PANEL.dates)))
        assert compared(SMOOTH, rows=shuffled) == usual

    def test_sessions_of_the_holdout_take_no_part_unless_asked_for(self) -> None:
        choice = CHOICE.model_copy(update={"holdout_start": HOLDOUT})
        n = int(np.searchsorted(PANEL.dates, np.datetime64(HOLDOUT)))
        cut = compared(SMOOTH[:n], panel=PANEL.rows(0, n))
        assert compared(SMOOTH, choice) == cut
        changed = np.where(np.arange(len(SMOOTH))[:, None] < n, SMOOTH, 1.0)
        assert compared(changed, choice, rows=rows_of(SMOOTH)) == cut
        assert compared(SMOOTH, choice, include_holdout=True) == compared(SMOOTH) != cut

    def test_names_without_a_value_are_not_drawn(self) -> None:
        values = SMOOTH.copy()
        values[:, 12:] = np.nan
        rows = rows_of(values)
        assert compare_factor_with_random(values, rows, PANEL, settings=CHOICE) != compare_factor_with_random(
            np.zeros(PANEL.shape), rows, PANEL, settings=CHOICE
        )


class TestErrors:
    def test_a_factor_without_returns_has_none_with_the_reason(self) -> None:
        found = compared(np.full(PANEL.shape, np.nan))
        assert np.isnan(found.pvalue)
        assert found.reason == "no session has a factor return"

    def test_sizes_of_other_values_have_none_with_the_reason(self) -> None:
        found = compared(np.full(PANEL.shape, np.nan), rows=rows_of(SMOOTH))
        assert np.isnan(found.pvalue)
        assert "fewer were in the universe" in found.reason

    def test_shapes_and_no_simulation(self) -> None:
        with pytest.raises(MisalignedError, match=r"values of the panel's shape \(90, 24\), got \(90, 23\)"):
            compared(SMOOTH[:, 1:], rows=rows_of(SMOOTH))
        with pytest.raises(EvaluationError, match=r"at least 1 random portfolio, got evaluation\.random_port"):
            compared(SMOOTH, CHOICE.model_copy(update={"random_portfolios": 0}))
