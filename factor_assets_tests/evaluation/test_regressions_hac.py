"""Regressions by ticker with Newey-West errors against statsmodels and on real prices."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import statsmodels.api as sm

from factor_assets.errors import EvaluationError, MisalignedError
from factor_assets.evaluation.newey_west import Estimate, fixed_lags, newey_west_1994_lags
from factor_assets.evaluation.regressions import NeweyWestRegressions, regress, regress_newey_west

EXACT = {"rtol": 1e-10, "atol": 1e-13}
ESTIMATES = ("alpha", "beta", "alpha_ols", "beta_ols")
FIELDS = ("value", "standard_error", "tstat", "pvalue", "conf_int_lower", "conf_int_upper")


def market(seed: int, n_dates: int = 300, n_tickers: int = 70) -> tuple[np.ndarray, np.ndarray]:
    """Returns with autocorrelated, heteroskedastic residuals and gaps; two factors, one with gaps."""
    random = np.random.default_rng(seed)
    factors = 0.0004 + 0.01 * random.normal(size=(2, n_dates))
    noise = 0.02 * random.normal(size=(n_dates + 1, n_tickers)) * (1 + 50 * np.abs(np.append(0.0, factors[0])))[:, None]
    returns = factors[0][:, None] * random.normal(1, 0.4, n_tickers) + noise[1:] + 0.5 * noise[:-1]
    returns[random.random(returns.shape) < 0.03] = np.nan
    returns[10, 0], returns[11, 1] = np.inf, -np.inf
    factors[1, random.random(n_dates) < 0.1] = np.nan
    return returns, factors


def numbers(estimate: Estimate, where: object) -> list[float]:
    return [getattr(estimate, name)[where] for name in FIELDS]


class TestAgainstStatsmodels:
    @pytest.mark.parametrize("lags", [0, 3, "fixed", "newey_west_1994"])
    def test_every_number(self, lags) -> None:
        returns, factors = market(0)
        got = regress_newey_west(returns, factors, lags=lags)
        seen = set()
        for f in range(2):
            for i in (0, 1, 2, 63, 64, 69):
                present = np.isfinite(returns[:, i]) & np.isfinite(factors[f])
                model = sm.OLS(returns[present, i], sm.add_constant(factors[f, present]))
                used = got.lags[f, i].item()
                seen.add(used)
                ordinary = model.fit()
                robust = model.fit(cov_type="HAC", cov_kwds={"maxlags": used, "use_correction": True}, use_t=True)
                for fit, names in ((ordinary, ("alpha_ols", "beta_ols")), (robust, ("alpha", "beta"))):
                    lower, upper = fit.conf_int().T
                    wanted = np.array([fit.params, fit.bse, fit.tvalues, fit.pvalues, lower, upper])
                    for k, name in enumerate(names):
                        np.testing.assert_allclose(numbers(getattr(got, name), (f, i)), wanted[:, k], **EXACT)
                assert got.rsquared[f, i] == pytest.approx(ordinary.rsquared, rel=1e-10)
                assert got.n_observations[f, i] == present.sum()
                assert used == (fixed_lags(present.sum()) if lags == "fixed" else used)
        assert (len(seen) > 1) == isinstance(lags, str)
        assert isinstance(lags, str) or seen == {lags}

    def test_lags_that_the_data_choose(self) -> None:
        returns, factors = market(1)
        got = regress_newey_west(returns, factors, lags="newey_west_1994")
        for i in range(returns.shape[1]):
            present = np.isfinite(returns[:, i])
            x = factors[0, present]
            residuals = sm.OLS(returns[present, i], sm.add_constant(x)).fit().resid
            assert got.lags[0, i] == newey_west_1994_lags(x * residuals)

    def test_large_means_do_not_cancel(self) -> None:
        random = np.random.default_rng(0)
        x = random.normal(size=500)
        y = 0.3 * x[:, None] + random.normal(size=(500, 2))
        shifted = regress_newey_west(1e4 + y, 1e4 + x[None], lags=4)
        expected = regress_newey_west(y, x[None], lags=4)
        for name in ("tstat", "standard_error", "pvalue"):
            np.testing.assert_allclose(getattr(shifted.beta, name), getattr(expected.beta, name), rtol=1e-9)


class TestAgainstRealPrices:
    def test_market_betas_of_large_names(self, shared_data: Path) -> None:
        """Defensive names below one, banks and semiconductors above; the market explains a quarter to two thirds."""
        names = ["AAPL", "BAC", "JNJ", "JPM", "KO", "MSFT", "NVDA", "PG", "XOM"]
        rows = pq.read_table(
            shared_data / "prices" / "us_large_daily_2010_2021.parquet",
            columns=["ticker", "date", "close", "dividend", "split"],
            filters=[("ticker", "in", names)],
        ).to_pandas()
        french = pq.read_table(shared_data / "factors" / "ff3_daily.parquet").to_pandas().set_index("date")
        wide = rows.pivot(index="date", columns="ticker", values=["close", "dividend", "split"])
        french = french.loc[wide.index]
        paid = wide["close"] * wide["split"] + wide["dividend"]
        excess = (paid / wide["close"].shift(1) - 1).sub(french["rf"], axis=0)
        got = regress_newey_west(excess.to_numpy(), french["mkt_rf"].to_numpy()[None])
        beta = dict(zip(excess.columns, got.beta.value[0], strict=True))
        assert (got.n_observations == len(wide) - 1).all() or (got.n_observations == len(wide)).all()
        assert all(0.45 < beta[name] < 0.75 for name in ("JNJ", "KO", "PG"))
        assert all(0.85 < beta[name] < 1.15 for name in ("AAPL", "MSFT", "XOM"))
        assert all(1.15 < beta[name] < 1.6 for name in ("BAC", "JPM", "NVDA"))
        assert ((got.rsquared > 0.25) & (got.rsquared < 0.66)).all()
        assert (got.beta.pvalue < 1e-20).all()
        assert (got.beta.standard_error > got.beta_ols.standard_error).all()
        # nobody earned another alpha than some percent a month
        assert (np.abs(got.alpha.value * 21) < 0.03).all()


class TestProperties:
    def test_coefficients_are_those_of_regress_to_the_bit(self) -> None:
        returns, factors = market(2)
        one, two = regress(returns, factors), regress_newey_west(returns, factors)
        np.testing.assert_array_equal(one.alpha, two.alpha.value)
        np.testing.assert_array_equal(one.beta, two.beta.value)
        np.testing.assert_array_equal(one.rsquared, two.rsquared)
        np.testing.assert_array_equal(one.n_observations, two.n_observations)
        for name in ("tstat", "pvalue", "conf_int_lower", "conf_int_upper"):
            np.testing.assert_array_equal(getattr(one, name), getattr(two.beta_ols, name))

    def test_a_subset_of_tickers_has_the_same_bits(self) -> None:
        returns, factors = market(3)
        whole = regress_newey_west(returns, factors, lags="newey_west_1994")
        for columns in ([0], [5, 17], list(range(0, 70, 3)), list(range(69))):
            part = regress_newey_west(returns[:, columns], factors, lags="newey_west_1994")
            for name in ESTIMATES:
                for field in FIELDS:
                    np.testing.assert_array_equal(
                        getattr(getattr(part, name), field), getattr(getattr(whole, name), field)[:, columns]
                    )
            np.testing.assert_array_equal(part.lags, whole.lags[:, columns])

    def test_scaling(self) -> None:
        returns, factors = market(4)
        one, two = regress_newey_west(returns, factors), regress_newey_west(2.0 * returns, -4.0 * factors)
        np.testing.assert_array_equal(two.beta.value, -0.5 * one.beta.value)
        np.testing.assert_array_equal(two.beta.standard_error, 0.5 * one.beta.standard_error)
        np.testing.assert_array_equal(two.beta.tstat, -one.beta.tstat)
        np.testing.assert_array_equal(two.alpha.tstat, one.alpha.tstat)

    def test_a_shift_of_the_return_moves_alpha_alone(self) -> None:
        returns, factors = market(5)
        one, two = regress_newey_west(returns, factors), regress_newey_west(returns + 0.01, factors)
        np.testing.assert_allclose(two.alpha.value, one.alpha.value + 0.01, rtol=1e-9)
        np.testing.assert_allclose(two.alpha.standard_error, one.alpha.standard_error, rtol=1e-9)
        np.testing.assert_allclose(two.beta.tstat, one.beta.tstat, rtol=1e-9)

    def test_no_regression_is_missing_and_keeps_its_count(self) -> None:
        random = np.random.default_rng(0)
        x, y = random.normal(size=(1, 40)), random.normal(size=(40, 5))
        y[5:, 1] = np.nan
        y[:, 2] = 0.01
        y[3, 3] = np.inf
        y[:, 4] = np.nan
        got = regress_newey_west(y, x)
        assert got.n_observations.tolist() == [[40, 5, 40, 39, 0]]
        assert got.lags.tolist() == [[3, -1, -1, 3, -1]]
        for name in ESTIMATES:
            for field in FIELDS:
                found = np.isfinite(getattr(getattr(got, name), field)).tolist()
                assert found == [[True, False, False, True, False]], (name, field)
        assert np.isnan(regress_newey_west(y, np.full((1, 40), 0.1)).alpha.value).all()
        assert np.isnan(regress_newey_west(y, np.full((1, 40), np.nan)).beta.tstat).all()
        one = regress_newey_west(y[:, :1], x)
        assert one.beta.tstat.item() == got.beta.tstat[0, 0]

    def test_min_observations(self) -> None:
        returns, factors = market(6)
        returns[50:, 3] = np.nan
        assert np.isnan(regress_newey_west(returns, factors, min_observations=60).beta.value[0, 3])
        assert np.isfinite(regress_newey_west(returns, factors, min_observations=20).beta.value[0, 3])

    def test_as_many_lags_as_observations_have_no_error(self) -> None:
        random = np.random.default_rng(0)
        x, y = random.normal(size=(1, 40)), random.normal(size=(40, 1))
        y[0] = np.nan
        some, none = regress_newey_west(y, x, lags=38), regress_newey_west(y, x, lags=39)
        assert np.isfinite(some.beta.standard_error.item())
        assert np.isnan(none.beta.standard_error.item())
        assert np.isnan(none.alpha.tstat.item())
        assert np.isfinite(none.beta_ols.tstat.item())

    def test_a_perfect_fit_has_no_tstat(self) -> None:
        x = np.random.default_rng(0).normal(0.001, 0.01, size=200)
        got: NeweyWestRegressions = regress_newey_west(np.stack([0.3 * x + 0.7, x, 2.0 * x], axis=1), x[None])
        for name in ESTIMATES:
            assert (getattr(got, name).standard_error == 0.0).all(), name
            assert np.isnan(getattr(got, name).tstat).all(), name
        np.testing.assert_allclose(got.rsquared, 1.0)

    def test_no_ticker_or_no_factor(self) -> None:
        assert regress_newey_west(np.ones((40, 0)), np.ones((1, 40))).beta.value.shape == (1, 0)
        assert regress_newey_west(np.ones((40, 2)), np.ones((0, 40))).beta.value.shape == (0, 2)


class TestErrors:
    def test_messages(self) -> None:
        with pytest.raises(MisalignedError, match=r"factor returns of shape \(n_factors, 5\).*got \(1, 4\)"):
            regress_newey_west(np.ones((5, 2)), np.ones((1, 4)))
        with pytest.raises(MisalignedError, match=r"returns of shape \(5,\)"):
            regress_newey_west(np.ones(5), np.ones((1, 5)))
        with pytest.raises(EvaluationError, match="at least 0 or a rule, got -1"):
            regress_newey_west(np.ones((5, 2)), np.ones((1, 5)), lags=-1)
        with pytest.raises(EvaluationError, match="got 'auto'"):
            regress_newey_west(np.ones((5, 2)), np.ones((1, 5)), lags="auto")  # type: ignore[arg-type]
