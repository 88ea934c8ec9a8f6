"""The table of event curves: against a plain loop, its properties, its errors."""

from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from factor_assets.errors import EvaluationError, MisalignedError
from factor_assets.evaluation.event_curves import factor_event_curves
from factor_assets.panel.panel import Panel
from factor_assets.settings import EvaluationSettings
from factor_assets.tables import table
from factor_assets_tests.evaluation.markets import random_market

CHOICE = EvaluationSettings()
HOLDOUT = date(2020, 3, 20)
PANEL, FACTORS = random_market(6, n_dates=100)


def curves(
    factors: Any = FACTORS, panel: Panel = PANEL, choice: EvaluationSettings = CHOICE, **options: Any
) -> pa.Table:
    return factor_event_curves(factors, panel, settings=choice, universe="test", source="random", **options)


class TestAgainstAPlainLoop:
    def test_means_over_the_sorts(self) -> None:
        k = 3
        rows = curves(k=k).to_pandas()
        (_, _, values) = FACTORS[0]
        close = PANEL["close"]
        n_dates = len(PANEL.dates)
        each: dict[int, dict[str, list[float]]] = {o: {"top": [], "bottom": []} for o in range(-k, k + 1)}
        for s in range(n_dates - k):
            names = [j for j in range(PANEL.shape[1]) if PANEL.in_universe[s, j] and np.isfinite(values[s, j])]
            if len(names) < 5:
                continue
            names.sort(key=lambda j: (values[s, j], j))
            quantile = {j: i * 5 // len(names) + 1 for i, j in enumerate(names)}
            for o in range(max(-k, -s), k + 1):
                change = pd.Series({j: close[s + o, j] / close[s, j] - 1.0 for j in names}).dropna()
                for side, number in (("top", 5), ("bottom", 1)):
                    own = change[[j for j in change.index if quantile[j] == number]]
                    if len(own):
                        each[o][side].append(own.mean() - change.mean())
        own = rows[rows["factor_name"] == "smooth"].set_index("offset")
        for offset, sides in each.items():
            assert own.loc[offset, "top_curve"] == pytest.approx(np.mean(sides["top"]), abs=1e-12)
            assert own.loc[offset, "bottom_curve"] == pytest.approx(np.mean(sides["bottom"]), abs=1e-12)
            assert own.loc[offset, "n_sorts"] == len(sides["top"])


class TestProperties:
    def test_rows_are_the_table_s_in_any_order_of_the_factors(self) -> None:
        rows = curves()
        assert rows.schema == table("factor_event_curves").schema
        assert rows.num_rows == len(FACTORS) * 41
        assert rows.equals(rows.sort_by([(key, "ascending") for key in table("factor_event_curves").key]))
        assert curves(FACTORS[::-1]).equals(rows)

    def test_the_holdout_is_left_out(self) -> None:
        n = int(np.searchsorted(PANEL.dates, np.datetime64(HOLDOUT)))
        cut = curves([(family, name, values[:n]) for family, name, values in FACTORS], PANEL.rows(0, n))
        assert curves(choice=CHOICE.model_copy(update={"holdout_start": HOLDOUT})).equals(cut)
        assert not curves().equals(cut)

    def test_k_and_the_quantiles_change_the_numbers(self) -> None:
        assert curves(k=5).num_rows == len(FACTORS) * 11
        assert not curves(choice=CHOICE.model_copy(update={"n_quantiles": 3})).equals(curves())

    def test_a_factor_without_values_is_null_with_no_sort(self) -> None:
        rows = curves([("own", "void", np.full(PANEL.shape, np.nan))])
        assert rows["top_curve"].null_count == rows["bottom_curve"].null_count == 41
        assert set(rows["n_sorts"].to_pylist()) == {0}

    def test_no_factor_gives_no_row(self) -> None:
        assert curves([]).equals(table("factor_event_curves").schema.empty_table())


class TestErrors:
    def test_shapes_repeated_factors_and_k(self) -> None:
        family, name, values = FACTORS[0]
        with pytest.raises(MisalignedError, match="Factor 'smooth' has shape"):
            curves([(family, name, values[:, 1:])])
        with pytest.raises(EvaluationError, match="'smooth' of family 'style' is given twice"):
            curves([FACTORS[0], FACTORS[0]])
        with pytest.raises(EvaluationError, match="got k 0"):
            curves(k=0)
