"""Returns of quantile portfolios."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from factor_assets.errors import EvaluationError, MisalignedError
from factor_assets.evaluation.forward_returns import completed_return
from factor_assets.evaluation.portfolios import sort_portfolios
from factor_assets.evaluation.quantile_portfolios import (
    FIRST_SESSIONS,
    NO_RETURN,
    NO_WEIGHT,
    QuantilePortfolios,
    leg_weights,
    quantile_portfolios,
    reason_texts,
)
from factor_assets.evaluation.quantile_weights import quantile_weights
from factor_assets.evaluation.quantiles import ONE_VALUE, TOO_FEW, assign_quantiles
from factor_assets.evaluation.ranking import rank
from factor_assets.panel.panel import Array
from factor_assets_tests.evaluation.sorts import ALPHALENS, Market, alphalens_data, random_market, wide


def hold(market: Market, *, n: int = 3, delay: int = 1, scheme: str = "value", **choice: object) -> QuantilePortfolios:
    quantiles = assign_quantiles(rank(market.factor), n_quantiles=n)
    weights = quantile_weights(quantiles, scheme=scheme, market_cap=market.market_cap)
    return quantile_portfolios(quantiles, weights, market.returns, delay=delay, **choice)


class TestAgainstLoopsAndAlphalens:
    @pytest.mark.parametrize("seed", range(3))
    @pytest.mark.parametrize("holding", [1, 4])
    @pytest.mark.parametrize("delay", [1, 3])
    @pytest.mark.parametrize("least", [None, 1])
    def test_equal_loops(self, seed: int, holding: int, delay: int, least: int | None) -> None:
        market = random_market(seed, n_tickers=12, dirt=0.4)
        quantiles = assign_quantiles(rank(market.factor), n_quantiles=3)
        weights = quantile_weights(quantiles, scheme="value", market_cap=market.market_cap)
        got = quantile_portfolios(quantiles, weights, market.returns, delay=delay, holding=holding, min_cohorts=least)
        needed = least or holding
        for d in range(len(market.factor)):
            cohorts, n_names = [], np.zeros(3)
            everyone = []
            for s in range(d - delay, d - delay - holding, -1):
                if s < 0 or quantiles.reason[s]:
                    continue
                means, total, size = [], 0.0, 0.0
                for q in (1, 2, 3):
                    held = (quantiles.number[s] == q) & (weights.weight[s] > 0) & np.isfinite(market.returns[d])
                    n_names[q - 1] += held.sum()
                    cap = market.market_cap[s, (quantiles.number[s] == q) & (weights.weight[s] > 0)].sum()
                    if not held.any():
                        means.append(np.nan)
                        continue
                    means.append(np.average(market.returns[d, held], weights=weights.weight[s, held]))
                    total, size = total + cap * means[-1], size + cap
                cohorts.append(means)
                everyone.append(total / size if size else np.nan)
            for q in range(3):
                present = [means[q] for means in cohorts if not np.isnan(means[q])]
                expected = np.mean(present) if len(present) >= needed else np.nan
                np.testing.assert_allclose(got.returns[d, q], expected, atol=1e-14)
            both = sum(not np.isnan(means[0] + means[2]) for means in cohorts)
            assert got.n_cohorts[d] == both
            assert (got.reason[d] == 0) == (both >= needed)
            assert np.isnan(got.long_short[d]) == (both < needed)
            present = [r for r in everyone if not np.isnan(r)]
            expected = np.mean(present) if len(present) >= needed else np.nan
            np.testing.assert_allclose(got.universe[d], expected, atol=1e-14)
            assert got.n_names[d].tolist() == (n_names.tolist() if cohorts else [-1] * 3)

    @ALPHALENS
    @pytest.mark.parametrize("horizon", [1, 5])
    def test_quantile_means_equal_alphalens(self, horizon: int) -> None:
        from alphalens.performance import mean_return_by_quantile

        market = random_market(0, dirt=0.0)
        values = random_market(2).factor
        theirs, _ = mean_return_by_quantile(
            alphalens_data(values, market.close, n_quantiles=5, horizons=(horizon,)), by_date=True, demeaned=False
        )
        quantiles = assign_quantiles(rank(values), method="breakpoint")
        got = quantile_portfolios(
            quantiles, quantile_weights(quantiles), completed_return(market.close, horizon=horizon), delay=horizon
        )
        for q in range(5):
            expected = wide(theirs.loc[q + 1].iloc[:, 0], n_dates=len(values))[:-horizon]
            np.testing.assert_allclose(got.returns[horizon:, q], expected, atol=1e-10)
            assert np.isfinite(expected).all()

    def test_extremes_equal_the_portfolios_of_the_table(self) -> None:
        market = random_market(0, n_tickers=36, dirt=0.0)  # 3 x 12: the table's groups and quantiles are the same
        theirs = sort_portfolios(rank(market.factor), market.returns, weighting="cap", market_cap=market.market_cap)
        got = hold(market)
        np.testing.assert_allclose(got.long, theirs.high, atol=1e-14)
        np.testing.assert_allclose(got.short, theirs.low, atol=1e-14)
        np.testing.assert_allclose(got.long_short, theirs.factor, atol=1e-14)


class TestProperties:
    def test_cohorts_are_a_moving_average_of_sorts(self) -> None:
        market = random_market(0, dirt=0.0)
        one = [hold(market, delay=1 + c).returns for c in range(4)]
        together = hold(market, holding=4)
        np.testing.assert_allclose(together.returns[4:], np.mean(one, axis=0)[4:], atol=1e-15)
        assert np.isnan(together.returns[:4]).all()
        assert (together.reason[:4] == FIRST_SESSIONS).all()
        early = hold(market, holding=4, min_cohorts=1)
        np.testing.assert_array_equal(early.returns[1], one[0][1])

    def test_legs_earn_the_returns_of_the_portfolios(self) -> None:
        market = random_market(0, dirt=0.0)
        quantiles = assign_quantiles(rank(market.factor), n_quantiles=3)
        weights = quantile_weights(quantiles)
        portfolios = quantile_portfolios(quantiles, weights, market.returns, delay=1, holding=4)
        leg = leg_weights(quantiles, weights, quantile=3, holding=4)
        np.testing.assert_allclose(leg[3:].sum(axis=1), 1.0)
        assert np.isnan(leg[:3]).all()
        np.testing.assert_allclose((leg[3:-1] * market.returns[4:]).sum(axis=1), portfolios.long[4:], atol=1e-15)

    def test_a_leg_with_a_missing_cohort_is_missing(self) -> None:
        values = np.tile(np.arange(6.0), (5, 1))
        values[2] = np.nan
        quantiles = assign_quantiles(rank(values), n_quantiles=2)
        leg = leg_weights(quantiles, quantile_weights(quantiles), quantile=1, holding=2)
        assert np.isnan(leg).all(axis=1).tolist() == [True, False, True, True, False]
        assert np.isnan(leg_weights(quantiles, quantile_weights(quantiles), quantile=1, holding=9)).all()

    def test_universe_and_long_only_excess(self) -> None:
        market = random_market(0, dirt=0.0)
        got = hold(market)
        cap, returns = market.market_cap[:-1], market.returns[1:]
        np.testing.assert_allclose(got.universe[1:], (cap * returns).sum(axis=1) / cap.sum(axis=1), atol=1e-14)
        np.testing.assert_allclose(got.long_only_excess[1:], (got.long - got.universe)[1:])

    def test_reasons(self) -> None:
        values = np.tile(np.arange(6.0), (7, 1))
        values[1, 2:] = np.nan
        values[2] = 1.0
        returns, cap = np.zeros_like(values), np.ones_like(values)
        cap[3, 4:] = 0.0
        returns[5, :2] = np.nan
        market = Market(values, values, returns, cap, values, values > 0)
        got = hold(market)
        assert got.reason.tolist() == [FIRST_SESSIONS, 0, TOO_FEW, ONE_VALUE, NO_WEIGHT, NO_RETURN, 0]
        assert np.isnan(got.long_short).tolist() == [True, False, True, True, True, True, False]
        assert got.n_missing_returns[5].tolist() == [2, 0, 0]
        assert got.n_names[2].tolist() == [-1, -1, -1]
        assert len(reason_texts(3)) == NO_RETURN + 1
        assert reason_texts(3)[NO_WEIGHT] == "no weight in the highest or lowest quantile"
        # the newest missing cohort gives the reason
        assert hold(market, holding=2).reason.tolist() == [6, 6, TOO_FEW, ONE_VALUE, NO_WEIGHT, NO_RETURN, 0]

    @hypothesis_settings(max_examples=20, deadline=None)
    @given(seed=st.integers(0, 10_000), stop=st.integers(1, 30), holding=st.integers(1, 5))
    def test_later_dates_and_the_order_of_tickers_change_nothing(self, seed: int, stop: int, holding: int) -> None:
        market = random_market(seed * 2, n_dates=30, n_tickers=20)  # no ties
        whole = hold(market, holding=holding)
        cut = hold(Market(*(a[:stop] for a in market)), holding=holding)
        np.testing.assert_array_equal(cut.returns, whole.returns[:stop])
        np.testing.assert_array_equal(cut.reason, whole.reason[:stop])
        np.testing.assert_array_equal(cut.universe, whole.universe[:stop])
        order = np.random.default_rng(seed).permutation(20)
        moved = hold(Market(*(np.ascontiguousarray(a[:, order]) for a in market)), holding=holding)
        np.testing.assert_allclose(moved.returns, whole.returns, atol=1e-13)

    def test_one_date_and_one_ticker(self) -> None:
        for shape in ((1, 6), (6, 1)):
            values = np.arange(6.0).reshape(shape)
            got = hold(Market(values, values, values, values, values, values > 0))
            assert np.isnan(got.returns).all()
            assert (got.reason > 0).all()

    def test_duplicated_tickers_change_no_mean(self) -> None:
        market = random_market(0, dirt=0.0, n_tickers=30)
        once: Array = hold(market, scheme="equal").returns
        twice = hold(Market(*(np.repeat(a, 2, axis=1) for a in market)), scheme="equal").returns
        np.testing.assert_allclose(twice, once, atol=1e-14)


class TestErrors:
    def test_messages(self) -> None:
        quantiles = assign_quantiles(rank(np.ones((3, 4))))
        weights = quantile_weights(quantiles)
        with pytest.raises(EvaluationError, match="at least 1 session after the sort, got delay 0"):
            quantile_portfolios(quantiles, weights, np.ones((3, 4)), delay=0)
        with pytest.raises(
            EvaluationError, match="holding of at least 1 session and 1 to holding cohorts, got 2 and 3"
        ):
            quantile_portfolios(quantiles, weights, np.ones((3, 4)), delay=1, holding=2, min_cohorts=3)
        with pytest.raises(MisalignedError, match=r"returns of the sort's shape \(3, 4\), got \(2, 4\)"):
            quantile_portfolios(quantiles, weights, np.ones((2, 4)), delay=1)
        with pytest.raises(EvaluationError, match="a quantile of 1 to 5, got 6"):
            leg_weights(quantiles, weights, quantile=6)
        with pytest.raises(EvaluationError, match="a holding of at least 1 session, got 0"):
            leg_weights(quantiles, weights, quantile=5, holding=0)
