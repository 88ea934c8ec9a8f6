"""Factor returns on sessions against pandas."""

import numpy as np
import pandas as pd

from factor_assets.evaluation.factor_returns import factor_returns
from factor_assets.evaluation.timeseries import evaluate_factors
from factor_assets.settings import EvaluationSettings
from factor_assets_tests.evaluation.markets import random_market


class TestAgainstPandas:
    def test_any_order_of_rows_on_any_sessions(self) -> None:
        panel, factors = random_market(0)
        rows = evaluate_factors(factors, panel, settings=EvaluationSettings(), universe="u", source="s").timeseries
        shuffled = rows.take(np.random.default_rng(0).permutation(rows.num_rows))
        frame = rows.to_pandas().pivot_table(
            index="date", columns=["factor_type", "factor_name"], values="factor_value", dropna=False
        )
        for sessions in (panel.dates, panel.dates[40:70], panel.dates[::3], panel.dates[-1:] + np.arange(1, 9)):
            got = factor_returns(shuffled, sessions)
            assert list(got) == [("other", "sparse"), ("style", "smooth"), ("style", "tied")]
            wanted = frame.reindex(pd.Index(sessions.astype(object)))
            for name, values in got.items():
                np.testing.assert_array_equal(values, wanted[name].to_numpy(float))


class TestProperties:
    def test_no_session_and_no_row(self) -> None:
        panel, factors = random_market(0)
        rows = evaluate_factors(factors, panel, settings=EvaluationSettings(), universe="u", source="s").timeseries
        assert {values.shape for values in factor_returns(rows, panel.dates[:0]).values()} == {(0,)}
        assert factor_returns(rows.slice(0, 0), panel.dates) == {}
