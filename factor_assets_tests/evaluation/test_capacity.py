"""Capacity at a participation rate."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from factor_assets.errors import EvaluationError, MisalignedError
from factor_assets.evaluation.capacity import capacity
from factor_assets.panel.panel import Array


def portfolio(seed: int, *, n_dates: int = 20, n_tickers: int = 8) -> tuple[Array, Array]:
    random = np.random.default_rng(seed)
    weights = random.dirichlet(np.ones(n_tickers), n_dates) * random.choice([-1, 0, 1], (n_dates, n_tickers))
    volume = np.exp(random.normal(15, 2, (n_dates, n_tickers)))
    volume[random.random(volume.shape) < 0.1] = random.choice([np.nan, np.inf, -1.0])
    return weights, volume


class TestAgainstLoops:
    @pytest.mark.parametrize("participation", [0.01, 0.1])
    @pytest.mark.parametrize("max_missing", [0.0, 0.3])
    def test_equals_loops(self, participation: float, max_missing: float) -> None:
        weights, volume = portfolio(0, n_dates=200)
        got = capacity(weights, volume, participation=participation, max_missing=max_missing)
        values, capitals = [], []
        for d in range(len(weights)):
            held = [j for j in range(8) if weights[d, j] != 0]
            known = [j for j in held if np.isfinite(volume[d, j]) and volume[d, j] >= 0]
            missing = sum(abs(weights[d, j]) for j in held if j not in known)
            ok = held and missing <= max_missing * sum(abs(weights[d, j]) for j in held)
            values.append(sum(participation * volume[d, j] for j in known) if ok else np.nan)
            limits = {j: participation * volume[d, j] / abs(weights[d, j]) for j in known}
            capitals.append(min(limits.values()) if ok else np.nan)
            assert got.binding[d] == (min(limits, key=limits.get) if ok else -1)
            assert (got.n_names[d], got.n_missing[d]) == (len(known), len(held) - len(known))
        np.testing.assert_allclose(got.tradable_value, values, rtol=1e-12)
        np.testing.assert_allclose(got.capital, capitals, rtol=1e-12)
        assert got.median_capital == pytest.approx(np.nanmedian(capitals))
        assert got.median_tradable_value == pytest.approx(np.nanmedian(values))
        assert 0 < np.isnan(capitals).sum() < 200

    def test_by_hand(self) -> None:
        got = capacity(np.array([[0.75, 0.25, 0.0]]), np.array([[3e6, 5e5, 1.0]]), participation=0.1)
        assert got.tradable_value.tolist() == [pytest.approx(350_000)]
        assert got.capital.tolist() == [pytest.approx(200_000)]  # 10% of 500,000 is 25% of 200,000
        assert got.binding.tolist() == [1]


class TestProperties:
    def test_the_capital_can_be_traded_and_no_more(self) -> None:
        weights, volume = portfolio(1)
        got = capacity(weights, np.abs(np.nan_to_num(volume, nan=1e6, posinf=1e6)), participation=0.2)
        share = np.abs(weights) * got.capital[:, None] / np.abs(np.nan_to_num(volume, nan=1e6, posinf=1e6))
        held = ~np.isnan(got.capital)
        np.testing.assert_allclose(share[held].max(axis=1), 0.2)

    def test_no_volume_is_no_capacity_and_unknown_volume_is_unknown(self) -> None:
        weights = np.array([[0.5, 0.5]])
        assert capacity(weights, np.array([[0.0, 1e6]])).capital.tolist() == [0.0]
        assert np.isnan(capacity(weights, np.array([[np.nan, 1e6]])).capital).all()
        assert np.isfinite(capacity(weights, np.array([[np.nan, 1e6]]), max_missing=0.5).capital).all()

    @pytest.mark.parametrize("shape", [(2, 3), (2, 0), (0, 3)])
    def test_no_portfolio(self, shape: tuple[int, int]) -> None:
        for weights in (np.zeros(shape), np.full(shape, np.nan)):
            got = capacity(weights, np.ones(shape))
            assert np.isnan(got.capital).all()
            assert np.isnan(got.tradable_value).all()
            assert (got.binding == -1).all()
            assert np.isnan(got.median_capital)

    @hypothesis_settings(max_examples=25, deadline=None)
    @given(seed=st.integers(0, 10_000), stop=st.integers(1, 20))
    def test_later_dates_and_the_order_of_tickers_change_nothing(self, seed: int, stop: int) -> None:
        weights, volume = portfolio(seed)
        whole, cut = capacity(weights, volume), capacity(weights[:stop], volume[:stop])
        np.testing.assert_array_equal(cut.capital, whole.capital[:stop])
        order = np.random.default_rng(seed).permutation(8)
        moved = capacity(weights[:, order], volume[:, order])
        np.testing.assert_array_equal(moved.capital, whole.capital)
        np.testing.assert_allclose(moved.tradable_value, whole.tradable_value, rtol=1e-12)


class TestErrors:
    def test_messages(self) -> None:
        ones = np.ones((2, 3))
        with pytest.raises(EvaluationError, match=r"a participation in \(0, 1\], got 0"):
            capacity(ones, ones, participation=0)
        with pytest.raises(EvaluationError, match=r"max_missing in \[0, 1\), got 1"):
            capacity(ones, ones, max_missing=1)
        with pytest.raises(MisalignedError, match=r"dollar_volume of the weights' shape \(2, 3\), got \(3, 3\)"):
            capacity(ones, np.ones((3, 3)))
