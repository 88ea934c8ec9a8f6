"""IC over several horizons."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from factor_assets.errors import EvaluationError, MisalignedError
from factor_assets.evaluation.forward_returns import completed_return
from factor_assets.evaluation.ic_decay import IcDecay, forward_rankings, ic_decay
from factor_assets.evaluation.information import ic, rank_ic
from factor_assets.evaluation.ranking import rank
from factor_assets_tests.evaluation.sorts import Market, random_market


def decay(market: Market, *, horizons: tuple[int, ...] = (1, 5), **choice: object) -> IcDecay:
    return ic_decay(rank(market.factor), forward_rankings(market.close, horizons=horizons), **choice)


class TestAgainstStatsmodels:
    @pytest.mark.parametrize("lags", [0, 3, 9])
    def test_tstat_equals_a_regression_on_a_constant(self, lags: int) -> None:
        import statsmodels.api as sm

        got = decay(random_market(0, n_dates=120), lags=lags)
        for i in range(2):
            series = got.ic[:, i][~np.isnan(got.ic[:, i])]
            fit = sm.OLS(series, np.ones_like(series)).fit(
                cov_type="HAC", cov_kwds={"maxlags": lags, "use_correction": True}, use_t=True
            )
            np.testing.assert_allclose(got.mean[i], fit.params[0], atol=1e-12)
            np.testing.assert_allclose(got.tstat[i], fit.tvalues[0], rtol=1e-10)
            np.testing.assert_allclose(got.pvalue[i], fit.pvalues[0], rtol=1e-8)
            np.testing.assert_allclose(got.std[i], series.std(ddof=1), rtol=1e-12)
            np.testing.assert_allclose(got.icir[i], series.mean() / series.std(ddof=1), rtol=1e-12)
            assert got.n_dates[i] == len(series)
            assert got.lags[i] == lags

    @pytest.mark.parametrize("kind", ["rank", "pearson"])
    @pytest.mark.parametrize("lag", [0, 2])
    def test_columns_are_the_ic_of_one_horizon(self, kind: str, lag: int) -> None:
        market = random_market(1)
        got = decay(market, kind=kind, execution_lag=lag, min_tickers=25)
        correlate = rank_ic if kind == "rank" else ic
        for i, h in enumerate(got.horizons):
            forward = rank(completed_return(market.close, horizon=h))
            expected = correlate(rank(market.factor), forward, delay=lag + h, min_tickers=25)
            np.testing.assert_array_equal(got.ic[:, i], expected)


class TestProperties:
    def test_overlap_sets_the_least_lags(self) -> None:
        got = decay(random_market(0, n_dates=120), horizons=(1, 10, 21))
        assert got.lags.tolist() == [4, 9, 20]

    def test_a_horizon_changes_no_other(self) -> None:
        market = random_market(0, n_dates=60, dirt=0.3)
        alone, together = decay(market, horizons=(1,)), decay(market, horizons=(30, 1, 5))
        assert together.horizons == (1, 5, 30)
        np.testing.assert_array_equal(together.ic[:, :1], alone.ic)
        for name in ("mean", "std", "icir", "tstat", "pvalue", "n_dates", "lags"):
            np.testing.assert_array_equal(getattr(together, name)[:1], getattr(alone, name))

    def test_foresight_has_an_ic_of_one(self) -> None:
        market = random_market(0, dirt=0.0)
        seen = np.full_like(market.close, np.nan)
        seen[:-3] = market.close[3:] / market.close[1:-2] - 1  # horizon 2 after a lag of 1
        got = decay(market._replace(factor=seen), horizons=(1, 2, 4))
        np.testing.assert_allclose(got.mean[1], 1.0)
        assert got.std[1] == 0.0
        assert np.isnan(got.icir[1])
        assert np.isnan(got.tstat[1])
        assert got.mean[0] < 1
        assert got.mean[2] < 1

    @pytest.mark.parametrize("shape", [(1, 12), (30, 1), (2, 12)])
    def test_too_little_to_say(self, shape: tuple[int, int]) -> None:
        values = np.random.default_rng(0).normal(size=shape)
        got = ic_decay(rank(values), forward_rankings(np.exp(values), horizons=(1, 40)))
        for numbers in (got.mean, got.std, got.icir, got.tstat, got.pvalue):
            assert np.isnan(numbers).all()
        assert got.n_dates.tolist() == [0, 0]

    @hypothesis_settings(max_examples=15, deadline=None)
    @given(seed=st.integers(0, 10_000), stop=st.integers(2, 40))
    def test_later_dates_and_increasing_functions_change_nothing(self, seed: int, stop: int) -> None:
        market = random_market(seed)
        whole = decay(market)
        cut = decay(Market(*(a[:stop] for a in market)))
        np.testing.assert_array_equal(cut.ic, whole.ic[:stop])
        np.testing.assert_array_equal(decay(market._replace(factor=market.factor**3)).ic, whole.ic)


class TestErrors:
    def test_messages(self) -> None:
        ranking = rank(np.ones((3, 4)))
        with pytest.raises(EvaluationError, match="at least one horizon, got none"):
            ic_decay(ranking, {})
        with pytest.raises(EvaluationError, match="Unknown kind 'spearman' of IC; did you mean 'pearson' or 'rank'"):
            ic_decay(ranking, {1: ranking}, kind="spearman")  # type: ignore[arg-type]
        with pytest.raises(EvaluationError, match="at least 0 sessions, got -1"):
            ic_decay(ranking, {1: ranking}, execution_lag=-1)
        with pytest.raises(MisalignedError, match="one shape"):
            ic_decay(ranking, {1: rank(np.ones((3, 5)))})
        with pytest.raises(EvaluationError, match=r"different horizons, at least one; got \(1, 1\)"):
            forward_rankings(np.ones((3, 4)), horizons=(1, 1))
        with pytest.raises(EvaluationError, match=r"at least one; got \(\)"):
            forward_rankings(np.ones((3, 4)), horizons=())
        with pytest.raises(EvaluationError, match="horizon of at least 1 session, got 0"):
            forward_rankings(np.ones((3, 4)), horizons=(0,))
