"""Rolling regressions against statsmodels' RollingOLS and one regression a window."""

import numpy as np
import pytest
import statsmodels.api as sm
from statsmodels.regression.rolling import RollingOLS

from factor_assets.errors import EvaluationError, MisalignedError
from factor_assets.evaluation.regressions import regress
from factor_assets.evaluation.rolling_regressions import RollingRegressions, rolling_regressions
from factor_assets.expressions import beta, close, rsquare, volume
from factor_assets.expressions.engine import evaluate
from factor_assets.panel.panel import Panel

FIELDS = ("alpha", "beta", "tstat", "rsquared", "n_observations")


def market(seed: int, n_dates: int = 400, n_tickers: int = 300) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    factor = 0.0005 + 0.01 * random.normal(size=n_dates)
    returns = factor[:, None] * random.normal(1, 0.5, n_tickers) + 0.02 * random.normal(size=(n_dates, n_tickers))
    returns[random.random(returns.shape) < 0.02] = np.nan
    returns[100:180, 1] = np.nan
    returns[7, 2] = np.inf
    factor[50:54] = np.nan
    return returns, factor


class TestAgainstRollingOLS:
    @pytest.mark.parametrize(("window", "min_observations"), [(252, 126), (60, 20), (20, None)])
    def test_every_number(self, window: int, min_observations: int | None) -> None:
        returns, factor = market(0)
        got = rolling_regressions(returns, factor, window=window, min_observations=min_observations)
        for i in (0, 1, 2, 127, 128, 299):
            y = np.where(np.isfinite(returns[:, i]), returns[:, i], np.nan)
            expected = RollingOLS(
                y, sm.add_constant(factor), window=window, min_nobs=min_observations or window, expanding=True
            ).fit()
            for mine, theirs in (
                (got.alpha, expected.params[:, 0]),
                (got.beta, expected.params[:, 1]),
                (got.tstat, expected.tvalues[:, 1]),
                (got.rsquared, expected.rsquared),
            ):
                np.testing.assert_allclose(mine[:, i], theirs, rtol=1e-10, atol=1e-12)


class TestAgainstOneRegressionAWindow:
    @pytest.mark.parametrize("window", [3, 7, 63, 500])
    def test_every_number(self, window: int) -> None:
        returns, factor = market(1, n_dates=150, n_tickers=6)
        got = rolling_regressions(returns, factor, window=window, min_observations=3)
        for t in range(0, 150, 5):
            rows = slice(max(t - window + 1, 0), t + 1)
            expected = regress(returns[rows], factor[None, rows], min_observations=3)
            for name in ("alpha", "beta", "tstat", "rsquared"):
                # three observations leave one degree of freedom, and t loses digits as R2 nears one
                np.testing.assert_allclose(
                    getattr(got, name)[t], getattr(expected, name)[0], rtol=1e-7 if window == 3 else 1e-10, atol=1e-12
                )
            assert got.n_observations[t].tolist() == expected.n_observations[0].tolist()

    def test_the_language_says_the_same(self) -> None:
        returns, factor = market(2, n_tickers=4)
        wide = np.repeat(factor[:, None], 4, axis=1)
        returns = np.where(np.isfinite(returns), returns, np.nan)
        panel = Panel(
            dates=np.arange(400).astype("datetime64[D]"),
            tickers=tuple("ABCD"),
            fields={"close": returns, "volume": wide},
            in_universe=np.ones(returns.shape, bool),
        )
        wanted = {
            "beta": beta(close, volume, 60, min_periods=30),
            "rsquared": rsquare(close, volume, 60, min_periods=30),
        }
        got = rolling_regressions(returns, factor, window=60, min_observations=30)
        for name, values in evaluate(wanted, panel):
            np.testing.assert_allclose(getattr(got, name), values, rtol=1e-12)


class TestProperties:
    def test_a_slice_with_its_lookback_has_the_same_bits(self) -> None:
        returns, factor = market(3)
        for window, start in ((252, 20), (60, 137), (60, 240), (7, 391)):
            whole = rolling_regressions(returns, factor, window=window, min_observations=5, first_row=1000)
            part = rolling_regressions(
                returns[start:], factor[start:], window=window, min_observations=5, first_row=1000 + start
            )
            for name in FIELDS:
                np.testing.assert_array_equal(
                    getattr(part, name)[window - 1 :], getattr(whole, name)[start + window - 1 :]
                )

    def test_later_sessions_change_nothing(self) -> None:
        returns, factor = market(4)
        whole = rolling_regressions(returns, factor, window=60, min_observations=20)
        for end in (30, 120, 399):
            part = rolling_regressions(returns[:end], factor[:end], window=60, min_observations=20)
            for name in FIELDS:
                np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[:end])

    def test_tickers_do_not_depend_on_each_other(self) -> None:
        returns, factor = market(5, n_dates=600)
        whole = rolling_regressions(returns, factor, window=60, min_observations=20)
        order = np.random.default_rng(0).permutation(300)[:135]
        part = rolling_regressions(returns[:, order], factor, window=60, min_observations=20)
        for name in FIELDS:
            np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[:, order])

    def test_scaling(self) -> None:
        returns, factor = market(6, n_tickers=3)
        one = rolling_regressions(returns, factor, window=60, min_observations=20)
        two = rolling_regressions(2.0 * returns, -4.0 * factor, window=60, min_observations=20)
        np.testing.assert_array_equal(two.beta, -0.5 * one.beta)
        np.testing.assert_array_equal(two.alpha, 2.0 * one.alpha)
        np.testing.assert_array_equal(two.tstat, -one.tstat)
        np.testing.assert_array_equal(two.rsquared, one.rsquared)

    def test_large_values_before_the_window_leave_no_trace(self) -> None:
        returns, factor = market(7, n_tickers=3)
        returns, factor = np.nan_to_num(returns, posinf=0.0), np.nan_to_num(factor)
        wild, wild_factor = returns.copy(), factor.copy()
        wild[:100], wild_factor[:100] = wild[:100] * 1e9, wild_factor[:100] * 1e7
        one = rolling_regressions(returns, factor, window=60)
        two = rolling_regressions(wild, wild_factor, window=60)
        for name in FIELDS:
            np.testing.assert_array_equal(getattr(one, name)[159:], getattr(two, name)[159:])

    def test_min_observations(self) -> None:
        returns, factor = market(8, n_tickers=3)
        few = np.isfinite(rolling_regressions(returns, factor, window=60, min_observations=10).beta)
        many = np.isfinite(rolling_regressions(returns, factor, window=60, min_observations=55).beta)
        assert many.sum() < few.sum()
        got = rolling_regressions(returns, factor, window=60, min_observations=55)
        np.testing.assert_array_equal(many, got.n_observations >= 55)

    def test_constant_windows_and_missing_values_give_nothing(self) -> None:
        random = np.random.default_rng(0)
        factor = random.normal(size=100)
        returns = random.normal(size=(100, 4))
        returns[40:70, 0] = 0.3
        returns[:, 1] = np.nan
        returns[:, 2] = np.inf
        got: RollingRegressions = rolling_regressions(returns, factor, window=20, min_observations=10)
        assert np.isnan(got.beta[59:70, 0]).all()
        assert np.isfinite(got.beta[70:, 0]).all()
        for name in ("alpha", "beta", "tstat", "rsquared"):
            assert np.isnan(getattr(got, name)[:, 1:3]).all()
        assert (got.n_observations[:, 1:3] == 0).all()
        constant = rolling_regressions(returns, np.full(100, 0.1), window=20, min_observations=10)
        assert np.isnan(constant.beta).all()
        one = rolling_regressions(returns[:, 3:], factor, window=20, min_observations=10)
        np.testing.assert_array_equal(one.tstat[:, 0], got.tstat[:, 3])

    def test_a_perfect_fit_has_no_tstat(self) -> None:
        factor = np.random.default_rng(0).normal(size=100)
        got = rolling_regressions(0.3 * factor[:, None] + 0.7, factor, window=20)
        np.testing.assert_allclose(got.beta[19:], 0.3)
        np.testing.assert_allclose(got.rsquared[19:], 1.0)
        assert np.isnan(got.tstat).all()

    def test_empty(self) -> None:
        assert rolling_regressions(np.empty((0, 3)), np.empty(0), window=20).beta.shape == (0, 3)
        assert rolling_regressions(np.empty((30, 0)), np.ones(30), window=20).beta.shape == (30, 0)


class TestErrors:
    def test_messages(self) -> None:
        with pytest.raises(MisalignedError, match=r"got \(5, 2\) and \(4,\)"):
            rolling_regressions(np.ones((5, 2)), np.ones(4))
        with pytest.raises(MisalignedError, match=r"got \(5,\) and \(5,\)"):
            rolling_regressions(np.ones(5), np.ones(5))
        with pytest.raises(EvaluationError, match="at least 3 sessions that holds the 2 observations asked for, got 2"):
            rolling_regressions(np.ones((5, 2)), np.ones(5), window=2)
        with pytest.raises(EvaluationError, match="holds the 30 observations asked for, got 20"):
            rolling_regressions(np.ones((5, 2)), np.ones(5), window=20, min_observations=30)
