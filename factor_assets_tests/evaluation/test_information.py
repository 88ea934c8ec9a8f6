"""IC of one session: Pearson's correlation. Rank IC and quantile returns are tested in `test_ranking.py`."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from factor_assets.errors import EvaluationError, MisalignedError
from factor_assets.evaluation.forward_returns import completed_return
from factor_assets.evaluation.information import ic, rank_ic
from factor_assets.evaluation.ranking import rank
from factor_assets_tests.evaluation.sorts import ALPHALENS, alphalens_data, random_market, wide


class TestAgainstNumpyAndAlphalens:
    @pytest.mark.parametrize("delay", [1, 4])
    def test_equals_numpy(self, delay: int) -> None:
        market = random_market(0)
        got = ic(rank(market.factor), rank(market.returns), delay=delay)
        assert np.isnan(got[:delay]).all()
        for d in range(delay, len(got)):
            x, y = market.factor[d - delay], market.returns[d]
            both = np.isfinite(x) & np.isfinite(y)
            expected = np.corrcoef(x[both], y[both])[0, 1] if both.sum() >= 10 else np.nan
            np.testing.assert_allclose(got[d], expected, atol=1e-12)

    @ALPHALENS
    @pytest.mark.parametrize("seed", [0, 1])  # 1 has ties
    def test_rank_ic_equals_alphalens(self, seed: int) -> None:
        from alphalens.performance import factor_information_coefficient

        values, close = random_market(seed).factor, random_market(0, dirt=0.0).close
        theirs = factor_information_coefficient(alphalens_data(values, close, n_quantiles=2, horizons=(1, 5)))
        for column, horizon in (("1D", 1), ("5D", 5)):
            got = rank_ic(rank(values), rank(completed_return(close, horizon=horizon)), delay=horizon)
            n = len(values) - 5  # alphalens leaves out the sessions on which any horizon is incomplete
            expected = wide(theirs[column], n_dates=n)
            assert np.isfinite(expected).all()
            np.testing.assert_allclose(got[horizon : n + horizon], expected, atol=1e-10)


class TestProperties:
    def test_rank_ic_is_the_ic_of_ranks(self) -> None:
        from scipy.stats import rankdata

        market = random_market(1, dirt=0.0)
        ranks, forward = rankdata(market.factor, axis=1), rankdata(market.returns, axis=1)
        np.testing.assert_allclose(
            ic(rank(ranks), rank(forward), delay=2)[3:],
            rank_ic(rank(market.factor), rank(market.returns), delay=2)[3:],
            atol=1e-13,
        )

    @pytest.mark.parametrize("scale", [1e-300, 1.0, 1e300])
    def test_scale_and_shift_do_not_matter(self, scale: float) -> None:
        market = random_market(0, dirt=0.0)
        expected = ic(rank(market.factor), rank(market.returns), delay=1)
        got = ic(rank(scale * (market.factor + 2.0)), rank(-market.returns), delay=1)
        np.testing.assert_allclose(got, -expected, atol=1e-10)

    def test_constants_and_too_few_names(self) -> None:
        x = np.tile(np.arange(12.0), (2, 1))
        tenth = np.full((2, 12), 0.1)  # its mean is not 0.1 but for rounding
        assert ic(rank(x), rank(x), delay=1)[1] == 1.0
        for one, other in ((x, tenth), (tenth, x), (np.full((2, 12), np.nan), x)):
            assert np.isnan(ic(rank(one), rank(other), delay=1)).all()
        assert np.isnan(ic(rank(x), rank(x), delay=1, min_tickers=13)).all()
        assert np.isnan(ic(rank(x[:1]), rank(x[:1]), delay=1)).all()
        assert np.isnan(ic(rank(x[:, :1]), rank(x[:, :1]), delay=1, min_tickers=1)).all()

    @hypothesis_settings(max_examples=20, deadline=None)
    @given(seed=st.integers(0, 10_000), stop=st.integers(1, 30))
    def test_later_dates_and_the_order_of_tickers_change_nothing(self, seed: int, stop: int) -> None:
        market = random_market(seed, n_dates=30)
        whole = ic(rank(market.factor), rank(market.returns), delay=2)
        cut = ic(rank(market.factor[:stop]), rank(market.returns[:stop]), delay=2)
        np.testing.assert_array_equal(cut, whole[:stop])
        order = np.random.default_rng(seed).permutation(market.factor.shape[1])
        moved = ic(rank(market.factor[:, order]), rank(market.returns[:, order]), delay=2)
        np.testing.assert_allclose(moved, whole, atol=1e-12)


class TestErrors:
    def test_messages(self) -> None:
        with pytest.raises(MisalignedError, match=r"one shape \(n_dates, n_tickers\); got \(3, 2\) and \(3, 3\)"):
            ic(rank(np.ones((3, 2))), rank(np.ones((3, 3))), delay=1)
        with pytest.raises(EvaluationError, match="at least 1 session after the factor, got delay 0"):
            ic(rank(np.ones((3, 2))), rank(np.ones((3, 2))), delay=0)
