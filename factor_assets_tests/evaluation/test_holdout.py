"""The holdout of rows, panels and sessions."""

from datetime import date

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factor_assets.evaluation.holdout import before_holdout, no_session_left
from factor_assets.settings import EvaluationSettings
from factor_assets_tests.evaluation.markets import random_market

FIRST = date(2020, 1, 1)


class TestProperties:
    @given(days=st.integers(-3, 130))
    def test_rows_panels_and_sessions_end_at_the_same_session(self, days: int) -> None:
        panel, _ = random_market(0)
        start = np.datetime64(FIRST) + days
        settings = EvaluationSettings(holdout_start=start.item())
        kept = panel.dates[panel.dates < start]
        rows = pa.table({"date": pa.array(panel.dates[::-1], pa.date32())})
        np.testing.assert_array_equal(before_holdout(panel.dates, settings), kept)
        cut = before_holdout(panel, settings)
        np.testing.assert_array_equal(cut.dates, kept)
        assert cut.first_row == panel.first_row
        assert before_holdout(rows, settings)["date"].to_pylist() == kept[::-1].tolist()

    @pytest.mark.parametrize("settings", [EvaluationSettings(), EvaluationSettings(holdout_start=FIRST)])
    def test_everything_where_there_is_none_or_it_is_included(self, settings: EvaluationSettings) -> None:
        panel, _ = random_market(0)
        assert before_holdout(panel, settings, include_holdout=True) is panel
        assert (before_holdout(panel, settings) is panel) == (settings.holdout_start is None)


class TestErrors:
    def test_the_message_says_what_to_set(self) -> None:
        error = no_session_left("The table", EvaluationSettings(holdout_start=FIRST))
        assert str(error) == (
            "The table wants sessions before the holdout, which starts on 2020-01-01; there is none."
            " Set evaluation.holdout_start later."
        )
