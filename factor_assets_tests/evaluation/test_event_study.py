"""Event-study curves."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from factor_assets.errors import EvaluationError, MisalignedError
from factor_assets.evaluation.event_study import EventStudy, event_study
from factor_assets.evaluation.quantiles import assign_quantiles
from factor_assets.evaluation.ranking import rank
from factor_assets.panel.panel import Array
from factor_assets_tests.evaluation.sorts import random_market


def study(values: Array, close: Array, **choice: object) -> EventStudy:
    return event_study(assign_quantiles(rank(values), n_quantiles=3), close, **choice)


class TestAgainstLoops:
    @pytest.mark.parametrize("demean", [True, False])
    def test_equals_loops(self, demean: bool) -> None:
        market = random_market(0)
        numbers = assign_quantiles(rank(market.factor), n_quantiles=3).number
        got = study(market.factor, market.close, k=4, demean=demean)
        assert got.offsets.tolist() == list(range(-4, 5))
        for d in range(len(market.factor)):
            s = d - 4
            for i, o in enumerate(range(-4, 5)):
                if s + o < 0 or s < 0:
                    assert np.isnan(got.top[d, i])
                    continue
                path = market.close[s + o] / market.close[s] - 1
                usable = ~np.isnan(path) & (numbers[s] > 0)
                base = path[usable].mean() if demean else 0.0
                for q, curve, n in ((3, got.top, got.n_top), (1, got.bottom, got.n_bottom)):
                    inside = usable & (numbers[s] == q)
                    np.testing.assert_allclose(curve[d, i], path[inside].mean() - base, atol=1e-13)
                    assert n[d, i] == inside.sum()
        present = got.top[4:]
        np.testing.assert_allclose(got.mean_top, np.nanmean(present, axis=0), atol=1e-14)
        np.testing.assert_allclose(got.mean_bottom, np.nanmean(got.bottom[4:], axis=0), atol=1e-14)


class TestProperties:
    def test_momentum_rose_before_and_foresight_rises_after(self) -> None:
        market = random_market(0, dirt=0.0, n_dates=80)
        past, future = np.full((2, *market.close.shape), np.nan)
        past[5:] = market.close[5:] / market.close[:-5]
        future[:-5] = market.close[5:] / market.close[:-5]
        for values, side in ((past, 0), (future, -1)):
            got = study(values, market.close, k=5)
            towards = 1.0 if side == -1 else -1.0
            assert towards * got.mean_top[side] > 0.01
            assert towards * got.mean_bottom[side] < -0.01
            assert got.mean_top[5] == 0.0
            assert abs(got.mean_top[-1 - side]) < 0.01

    def test_demeaned_curves_of_all_names_cancel(self) -> None:
        market = random_market(0, dirt=0.0, n_tickers=36)
        got = event_study(assign_quantiles(rank(market.factor), n_quantiles=2), market.close, k=3)
        np.testing.assert_allclose(got.top + got.bottom, 0.0 * got.top, atol=1e-13)

    def test_a_missing_close_changes_one_offset(self) -> None:
        market = random_market(0, dirt=0.0)
        broken = market.close.copy()
        broken[12, 3] = np.inf
        before, after = study(market.factor, market.close, k=5), study(market.factor, broken, k=5)
        changed = (before.n_top + before.n_bottom != after.n_top + after.n_bottom) | (before.top != after.top)
        assert changed[10:].any()
        s, i = np.nonzero(changed[10:])  # sorts from session 5 on, so that no offset is before the data
        assert {(a + 5) + (b - 5) for a, b in zip(s.tolist(), i.tolist(), strict=True) if a + 5 != 12} <= {12}

    def test_no_quantiles(self) -> None:
        for values in (np.full((9, 6), np.nan), np.ones((9, 6)), np.ones((9, 1)), np.arange(6.0)[None]):
            got = study(values, np.ones_like(values), k=2)
            assert np.isnan(got.top).all()
            assert np.isnan(got.mean_bottom).all()
            assert (got.n_top == -1).all()

    @hypothesis_settings(max_examples=15, deadline=None)
    @given(seed=st.integers(0, 10_000), stop=st.integers(1, 40))
    def test_later_dates_change_nothing(self, seed: int, stop: int) -> None:
        market = random_market(seed)
        whole = study(market.factor, market.close, k=3)
        cut = study(market.factor[:stop], market.close[:stop], k=3)
        np.testing.assert_array_equal(cut.top, whole.top[:stop])
        np.testing.assert_array_equal(cut.n_bottom, whole.n_bottom[:stop])


class TestErrors:
    def test_messages(self) -> None:
        with pytest.raises(EvaluationError, match="at least 1 session before and after, got k 0"):
            study(np.ones((3, 4)), np.ones((3, 4)), k=0)
        with pytest.raises(MisalignedError, match=r"close of the sort's shape \(3, 4\), got \(4, 4\)"):
            study(np.ones((3, 4)), np.ones((4, 4)))
