"""Turnover of names and of weights, and rank autocorrelation."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from factor_assets.errors import EvaluationError, MisalignedError
from factor_assets.evaluation.portfolios import sort_portfolios
from factor_assets.evaluation.quantile_portfolios import leg_weights
from factor_assets.evaluation.quantile_weights import quantile_weights
from factor_assets.evaluation.quantiles import Quantiles, assign_quantiles
from factor_assets.evaluation.ranking import rank
from factor_assets.evaluation.turnover import name_turnover, rank_autocorrelation, weight_turnover
from factor_assets.panel.panel import Array
from factor_assets_tests.evaluation.sorts import ALPHALENS, alphalens_data, random_market, wide


def quantiles_of(values: Array, *, n: int = 3) -> Quantiles:
    return assign_quantiles(rank(values), n_quantiles=n, method="breakpoint")


class TestAgainstAlphalensAndPandas:
    @ALPHALENS
    @pytest.mark.parametrize("period", [1, 3])
    def test_names_equal_alphalens(self, period: int) -> None:
        from alphalens.performance import quantile_turnover

        values, close = random_market(2).factor, random_market(0, dirt=0.0).close
        data = alphalens_data(values, close, n_quantiles=5, horizons=(1,))
        got = name_turnover(quantiles_of(values, n=5), period=period)
        n = len(values) - 1
        for q in range(5):
            expected = wide(quantile_turnover(data["factor_quantile"], q + 1, period), n_dates=n)
            np.testing.assert_allclose(got[:n, q], expected, atol=1e-10)
            assert np.isfinite(expected[period:]).all()

    @ALPHALENS
    @pytest.mark.parametrize("period", [1, 3])
    def test_rank_autocorrelation_equals_alphalens(self, period: int) -> None:
        from alphalens.performance import factor_rank_autocorrelation

        market = random_market(0, dirt=0.0)
        data = alphalens_data(market.factor, market.close, n_quantiles=5, horizons=(1,))
        got = rank_autocorrelation(rank(market.factor), period=period)
        n = len(got) - 1
        expected = wide(factor_rank_autocorrelation(data, period), n_dates=n)
        np.testing.assert_allclose(got[:n], expected, atol=1e-10)

    def test_rank_autocorrelation_with_gaps_equals_pandas(self) -> None:
        values = random_market(3).factor
        got = rank_autocorrelation(rank(values), period=2)
        for d in range(2, len(values)):
            pair = pd.DataFrame(values[[d, d - 2]].T).replace([np.inf, -np.inf], np.nan).dropna()
            np.testing.assert_allclose(got[d], pair[0].corr(pair[1], method="spearman"), atol=1e-12)

    @pytest.mark.parametrize("drift", [False, True])
    def test_weights_equal_loops(self, drift: bool) -> None:
        market = random_market(0)
        quantiles = quantiles_of(market.factor)
        leg = leg_weights(quantiles, quantile_weights(quantiles), quantile=3, holding=2)
        got = weight_turnover(leg, returns=market.returns if drift else None)
        for d in range(1, len(leg)):
            before = leg[d - 1].copy()
            if drift:
                for j in range(len(before)):
                    before[j] *= 1 + (market.returns[d, j] if np.isfinite(market.returns[d, j]) else 0)
                before /= before.sum()
            expected = sum(max(0.0, after - old) for after, old in zip(leg[d], before, strict=True))  # bought
            np.testing.assert_allclose(got[d], expected if d > 1 else np.nan, atol=1e-12)

    def test_mean_of_both_legs_is_the_turnover_of_the_table(self) -> None:
        market = random_market(0, n_tickers=36, dirt=0.0)
        table = sort_portfolios(rank(market.factor), market.returns).turnover
        quantiles = quantiles_of(market.factor)
        legs = [leg_weights(quantiles, quantile_weights(quantiles), quantile=q) for q in (1, 3)]
        got = np.mean([weight_turnover(leg) for leg in legs], axis=0)
        np.testing.assert_allclose(got[:-1], table[1:], atol=1e-14)
        together = weight_turnover(legs[1] - legs[0])
        np.testing.assert_allclose(together, 2 * got, atol=1e-14)


class TestProperties:
    def test_bounds(self) -> None:
        values = np.tile(np.arange(12.0), (3, 1))
        values[2] *= -1
        got = name_turnover(quantiles_of(values))
        assert np.isnan(got[0]).all()
        assert got[1:].tolist() == [[0.0, 0.0, 0.0], [1.0, 0.0, 1.0]]
        leg = leg_weights(quantiles_of(values), quantile_weights(quantiles_of(values)), quantile=3)
        np.testing.assert_allclose(weight_turnover(leg), [np.nan, 0.0, 1.0])
        np.testing.assert_allclose(rank_autocorrelation(rank(values)), [np.nan, 1.0, -1.0])
        np.testing.assert_allclose(rank_autocorrelation(rank(values), min_tickers=13), [np.nan] * 3)

    def test_overlapping_cohorts_trade_less(self) -> None:
        quantiles = quantiles_of(random_market(0, dirt=0.0).factor)
        weights = quantile_weights(quantiles)
        one, ten = (weight_turnover(leg_weights(quantiles, weights, quantile=3, holding=h)) for h in (1, 10))
        assert np.nanmax(ten) < 0.11 * 1.0
        assert np.nanmean(one) > 0.5

    def test_drift(self) -> None:
        weights = np.full((2, 2), 0.5)
        returns = np.array([[np.nan, np.nan], [1.0, np.nan]])
        np.testing.assert_allclose(weight_turnover(weights, returns=returns), [np.nan, 2 / 3 - 0.5])
        np.testing.assert_allclose(weight_turnover(weights), [np.nan, 0.0])
        assert np.isnan(weight_turnover(weights, returns=np.full((2, 2), -1.0))).all()

    def test_no_target(self) -> None:
        weights = np.array([[0.5, 0.5], [0.0, 0.0], [1.0, 0.0], [np.nan, np.nan], [1.0, 0.0], [0.0, 1.0]])
        np.testing.assert_allclose(weight_turnover(weights), [np.nan] * 5 + [1.0])
        np.testing.assert_allclose(weight_turnover(weights, period=2)[:5], [np.nan, np.nan, 0.5, np.nan, 0.0])
        values = np.arange(12.0).reshape(2, 6)
        values[1] = np.nan
        assert np.isnan(name_turnover(quantiles_of(values))).all()
        assert np.isnan(name_turnover(quantiles_of(values), period=9)).all()
        assert np.isnan(weight_turnover(weights, period=9)).all()

    @hypothesis_settings(max_examples=20, deadline=None)
    @given(seed=st.integers(0, 10_000), stop=st.integers(1, 30))
    def test_later_dates_and_the_order_of_tickers_change_nothing(self, seed: int, stop: int) -> None:
        market = random_market(2 * seed, n_dates=30)  # no ties
        order = np.random.default_rng(seed).permutation(market.factor.shape[1])

        def turnovers(values: Array, returns: Array) -> tuple[Array, ...]:
            quantiles = quantiles_of(values)
            leg = leg_weights(quantiles, quantile_weights(quantiles), quantile=3)
            return name_turnover(quantiles), weight_turnover(leg, returns=returns), rank_autocorrelation(rank(values))

        whole = turnovers(market.factor, market.returns)
        cut = turnovers(market.factor[:stop], market.returns[:stop])
        moved = turnovers(market.factor[:, order], market.returns[:, order])
        for a, b, c in zip(whole, cut, moved, strict=True):
            np.testing.assert_array_equal(b, a[:stop])
            np.testing.assert_allclose(c, a, atol=1e-13)


class TestErrors:
    def test_messages(self) -> None:
        values = np.ones((3, 4))
        with pytest.raises(EvaluationError, match="a period of at least 1 session, got 0"):
            name_turnover(quantiles_of(values), period=0)
        with pytest.raises(EvaluationError, match="a period of at least 1 session, got 0"):
            weight_turnover(values, period=0)
        with pytest.raises(EvaluationError, match="a period of at least 1 session, got 0"):
            rank_autocorrelation(rank(values), period=0)
        with pytest.raises(EvaluationError, match="after drift wants a period of 1 session, got 2"):
            weight_turnover(values, returns=values, period=2)
        with pytest.raises(MisalignedError, match=r"returns of the weights' shape \(3, 4\), got \(3, 3\)"):
            weight_turnover(values, returns=np.ones((3, 3)))
