"""The one sort that portfolios, quantiles and rank IC share."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import rankdata, spearmanr

from factor_assets.errors import EvaluationError, MisalignedError
from factor_assets.evaluation.forward_returns import completed_return
from factor_assets.evaluation.information import quantile_returns, rank_ic
from factor_assets.evaluation.portfolios import sort_portfolios
from factor_assets.evaluation.ranking import rank


class TestAgainstNumpyAndScipy:
    def test_order_is_by_value_then_ticker(self) -> None:
        ranking = rank(np.array([[2.0, np.nan, 1.0, 2.0, np.inf, -0.0, 0.0]]))
        assert ranking.n_ranked.tolist() == [5]
        assert ranking.order[0, :5].tolist() == [5, 6, 2, 0, 3]

    @pytest.mark.parametrize("n_tickers", [1, 2, 3, 16, 17, 504, 513])
    def test_order_equals_a_stable_sort(self, n_tickers: int) -> None:
        random = np.random.default_rng(n_tickers)
        shape = (20, n_tickers)
        near = 1.0 + 2.0**-52 * random.integers(0, 5, shape)  # differ in the last bits only
        wide = random.choice([-1.0, 1.0], shape) * 10.0 ** random.uniform(-320, 300, shape)
        for values in (random.normal(size=shape), random.integers(-2, 3, shape) * 0.1, near, -near, wide):
            values[random.random(shape) < 0.2] = np.nan
            values[random.random(shape) < 0.05] = -0.0
            ranking = rank(values)
            expected = np.argsort(values, axis=1, kind="stable")
            for t, n in enumerate(ranking.n_ranked):
                assert ranking.order[t, :n].tolist() == expected[t, :n].tolist()
                assert sorted(ranking.order[t]) == list(range(n_tickers))

    def test_rank_ic_of_two_panels(self) -> None:
        random = np.random.default_rng(0)
        x, y = random.normal(size=(2, 30, 40))
        x[random.random(x.shape) < 0.2] = np.nan
        y[random.random(x.shape) < 0.2] = np.nan
        y = np.round(y, 1)
        got = rank_ic(rank(x), rank(y), delay=3)
        assert np.isnan(got[:3]).all()
        for d in range(3, 30):
            pairs = ~np.isnan(x[d - 3]) & ~np.isnan(y[d])
            assert got[d] == pytest.approx(spearmanr(x[d - 3][pairs], y[d][pairs]).statistic, abs=1e-12)
            by_hand = np.corrcoef(rankdata(x[d - 3][pairs]), rankdata(y[d][pairs]))[0, 1]
            assert got[d] == pytest.approx(by_hand, abs=1e-12)

    def test_completed_return_compounds_one_session_returns(self) -> None:
        close = np.exp(np.cumsum(np.random.default_rng(0).normal(0, 0.01, (20, 3)), axis=0))
        one = pd.DataFrame(close).pct_change()
        expected = (1 + one).rolling(4).apply(np.prod, raw=True) - 1
        np.testing.assert_allclose(completed_return(close, horizon=4), expected, atol=1e-12)


class TestProperties:
    def test_a_gap_inside_the_horizon_does_not_matter(self) -> None:
        close = np.array([[1.0], [np.nan], [1.21]])
        np.testing.assert_allclose(completed_return(close, horizon=2)[2], 0.21)
        assert np.isnan(completed_return(close, horizon=1)).all()

    def test_horizon_beyond_the_data(self) -> None:
        assert np.isnan(completed_return(np.ones((3, 2)), horizon=10)).all()

    def test_too_few_pairs_and_constants_have_no_rank_ic(self) -> None:
        x = np.tile(np.arange(12.0), (2, 1))
        y = x.copy()
        assert rank_ic(rank(x), rank(y), delay=1)[1] == 1.0
        assert rank_ic(rank(x), rank(-y), delay=1)[1] == -1.0
        assert np.isnan(rank_ic(rank(x), rank(y), delay=1, min_tickers=13)[1])
        assert np.isnan(rank_ic(rank(np.ones((2, 12))), rank(y), delay=1)[1])
        assert np.isnan(rank_ic(rank(x), rank(np.ones((2, 12))), delay=1)[1])

    def test_membership_and_layout(self) -> None:
        values = np.asfortranarray(np.random.default_rng(0).normal(size=(4, 12)))
        among = np.ones((4, 12), dtype=bool)
        among[:, 0] = False
        ranking = rank(values, among=among)
        assert ranking.n_ranked.tolist() == [11] * 4
        assert not (ranking.order[:, :11] == 0).any()
        assert np.isfinite(rank_ic(ranking, ranking, delay=1)[1:]).all()


class TestErrors:
    def test_messages(self) -> None:
        ranking, other = rank(np.ones((3, 12))), rank(np.ones((3, 11)))
        with pytest.raises(MisalignedError, match="values and membership of one shape"):
            rank(np.ones((3, 2)), among=np.ones((3, 3), dtype=bool))
        with pytest.raises(MisalignedError, match=r"one shape \(n_dates, n_tickers\); got \(3, 12\) and \(3, 11\)"):
            rank_ic(ranking, other, delay=1)
        with pytest.raises(EvaluationError, match="at least 1 session after the factor, got delay 0"):
            rank_ic(ranking, ranking, delay=0)
        with pytest.raises(EvaluationError, match="at least 2 quantiles, got 1"):
            quantile_returns(ranking, ranking, delay=1, n_quantiles=1)
        with pytest.raises(EvaluationError, match="horizon of at least 1 session, got 0"):
            completed_return(np.ones((3, 2)), horizon=0)
        with pytest.raises(EvaluationError, match="at least 2 groups, got 1"):
            sort_portfolios(ranking, np.ones((3, 12)), n_groups=1)
        with pytest.raises(EvaluationError, match="Cap weighting wants market_cap"):
            sort_portfolios(ranking, np.ones((3, 12)), weighting="cap")
        with pytest.raises(MisalignedError, match=r"want returns of the ranking's shape \(3, 12\), got \(2, 12\)"):
            sort_portfolios(ranking, np.ones((2, 12)))
