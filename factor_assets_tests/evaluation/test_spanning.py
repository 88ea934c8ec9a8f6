"""Spanning regressions against statsmodels, the GRS test against its formula and against Wilks' lambda."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import statsmodels.api as sm
from scipy.stats import f as f_distribution
from statsmodels.multivariate.multivariate_ols import _MultivariateOLS

from factor_assets.errors import EvaluationError, MisalignedError
from factor_assets.evaluation.newey_west import newey_west_mean
from factor_assets.evaluation.spanning import GrsTest, SpanningRegressions, grs_test, spanning_regressions

EXACT = {"rtol": 1e-10, "atol": 1e-14}
FIELDS = ("value", "standard_error", "tstat", "pvalue", "conf_int_lower", "conf_int_upper")

Series = dict[str, np.ndarray]


def market(seed: int, n_dates: int = 240, n_assets: int = 5, k: int = 3) -> tuple[Series, Series]:
    random = np.random.default_rng(seed)
    factors = 0.002 + 0.02 * random.normal(size=(n_dates, k))
    noise = (
        0.03 * random.normal(size=(n_dates + 1, n_assets)) * (1 + 20 * np.abs(np.append(0.0, factors[:, 0])))[:, None]
    )
    assets = 0.001 + factors @ random.normal(size=(k, n_assets)) + noise[1:] + 0.4 * noise[:-1]
    return ({f"a{i}": assets[:, i] for i in range(n_assets)}, {f"f{j}": factors[:, j] for j in range(k)})


class TestAgainstStatsmodels:
    @pytest.mark.parametrize("lags", [0, 6, "fixed", "newey_west_1994"])
    def test_every_number(self, lags) -> None:
        returns, factors = market(0)
        returns["a1"][::9], factors["f2"][4], returns["a2"][8] = np.nan, np.nan, np.inf
        got = spanning_regressions(returns, factors, lags=lags)
        assert got.coefficients == ("alpha", "f0", "f1", "f2")
        assert got.assets == tuple(returns)
        for i, y in enumerate(returns.values()):
            x = sm.add_constant(np.column_stack(list(factors.values())))
            rows = np.isfinite(x).all(axis=1) & np.isfinite(y)
            model = sm.OLS(y[rows], x[rows])
            ordinary = model.fit()
            hac = {"maxlags": int(got.lags[i]), "use_correction": True}
            robust = model.fit(cov_type="HAC", cov_kwds=hac, use_t=True)
            for mine, fit in ((got.ordinary, ordinary), (got.newey_west, robust)):
                wanted = (fit.params, fit.bse, fit.tvalues, fit.pvalues, *fit.conf_int().T)
                for name, expected in zip(FIELDS, wanted, strict=True):
                    np.testing.assert_allclose(getattr(mine, name)[i], expected, **EXACT)
            assert got.rsquared[i] == pytest.approx(ordinary.rsquared, rel=1e-10)
            assert got.adjusted_rsquared[i] == pytest.approx(ordinary.rsquared_adj, rel=1e-10)
            assert got.residual_volatility[i] == pytest.approx(ordinary.mse_resid**0.5, rel=1e-10)
            assert got.n_observations[i] == rows.sum()
            assert got.reason[i] == ""

    def test_stata(self) -> None:
        # newey g_realinv g_realgdp L.realint, lag(4): output of Stata, as in `test_newey_west.py`
        data = sm.datasets.macrodata.load_pandas().data
        investment, product = (400 * np.diff(np.log(data[name].to_numpy())) for name in ("realinv", "realgdp"))
        rates = data["realint"].to_numpy()[:-1]
        got = spanning_regressions({"inv": investment}, {"gdp": product, "rate": rates}, lags=4)
        np.testing.assert_allclose(
            got.newey_west.standard_error[0], [1.1859338087713, 0.33125644884286, 0.29582347593197], rtol=1e-10
        )
        np.testing.assert_allclose(
            got.newey_west.tstat[0], [-7.9951112823729, 13.204940401864, -2.0755518727668], rtol=1e-10
        )

    def test_without_factors_alpha_is_the_mean(self) -> None:
        returns, _ = market(1)
        got, mean = spanning_regressions(returns, {}), newey_west_mean(np.column_stack(list(returns.values())))
        for name in FIELDS:
            np.testing.assert_allclose(getattr(got.newey_west, name)[:, 0], getattr(mean.estimate, name), rtol=1e-10)

    def test_grs_is_wilks_lambda_of_the_constants(self) -> None:
        for seed in range(3):
            returns, factors = market(seed)
            y = np.column_stack(list(returns.values()))
            x = sm.add_constant(np.column_stack(list(factors.values())))
            test = _MultivariateOLS(y, x).fit().mv_test([("alpha", np.eye(4)[:1])])
            wilks = test.results["alpha"]["stat"].loc["Wilks' lambda"]
            got = grs_test(returns, factors)
            assert got.statistic == pytest.approx(wilks["F Value"], rel=1e-10)
            assert got.pvalue == pytest.approx(wilks["Pr > F"], rel=1e-9)


class TestAgainstTheFormula:
    @pytest.mark.parametrize(("n_assets", "k"), [(1, 1), (5, 3), (25, 5)])
    def test_grs(self, n_assets: int, k: int) -> None:
        returns, factors = market(4, n_assets=n_assets, k=k)
        got = grs_test(returns, factors)
        y, x = np.column_stack(list(returns.values())), np.column_stack(list(factors.values()))
        t = len(y)
        coefficients, *_ = np.linalg.lstsq(np.column_stack([np.ones(t), x]), y, rcond=None)
        residuals = y - np.column_stack([np.ones(t), x]) @ coefficients
        alpha, sigma = coefficients[0], residuals.T @ residuals / t
        omega = np.atleast_2d(np.cov(x, rowvar=False, ddof=0))
        of_factors = x.mean(axis=0) @ np.linalg.inv(omega) @ x.mean(axis=0)
        of_alpha = alpha @ np.linalg.inv(sigma) @ alpha
        statistic = (t - n_assets - k) / n_assets * of_alpha / (1 + of_factors)
        assert got.statistic == pytest.approx(statistic, rel=1e-10)
        assert got.pvalue == pytest.approx(f_distribution.sf(statistic, n_assets, t - n_assets - k), rel=1e-9)
        assert got.mean_absolute_alpha == pytest.approx(np.abs(alpha).mean(), rel=1e-10)
        assert got.sharpe_factors == pytest.approx(of_factors**0.5, rel=1e-10)
        both = np.column_stack([y, x])
        of_all = both.mean(axis=0) @ np.linalg.inv(np.cov(both, rowvar=False, ddof=0)) @ both.mean(axis=0)
        assert got.sharpe_all == pytest.approx(of_all**0.5, rel=1e-9)
        assert (got.n_observations, got.n_assets, got.n_factors) == (t, n_assets, k)

    def test_one_asset_is_the_squared_t_of_alpha(self) -> None:
        returns, factors = market(5, n_assets=1)
        got = grs_test(returns, factors)
        ordinary = spanning_regressions(returns, factors).ordinary
        assert got.statistic == pytest.approx(ordinary.tstat[0, 0] ** 2, rel=1e-10)
        assert got.pvalue == pytest.approx(ordinary.pvalue[0, 0], rel=1e-9)


class TestAgainstRealFactors:
    def test_value_is_spanned_by_the_five_factors_of_fama_and_french(self, shared_data: Path) -> None:
        """HML is redundant in 1963-2013: Fama and French (2015, Journal of Financial Economics 116(1), table 6)."""
        rows = pq.read_table(shared_data / "factors" / "ff5_monthly.parquet").to_pandas()
        rows = rows[(rows["date"].astype(str) >= "1963-07") & (rows["date"].astype(str) < "2014-01")]
        names = ["mkt_rf", "smb", "hml", "rmw", "cma"]
        tstats = {}
        for name in names:
            others = {other: rows[other].to_numpy(float) for other in names if other != name}
            got = spanning_regressions({name: rows[name].to_numpy(float)}, others, lags=0)
            assert got.n_observations.item() == len(rows) == 606
            tstats[name] = got.ordinary.tstat[0, 0]
        assert abs(tstats["hml"]) < 1.0
        assert all(tstats[name] > 3.0 for name in ("mkt_rf", "smb", "rmw", "cma"))


class TestProperties:
    def test_scaling_and_order(self) -> None:
        returns, factors = market(6)
        one = spanning_regressions(returns, factors)
        two = spanning_regressions(
            {name: 2.0 * values for name, values in returns.items()},
            {name: -values for name, values in reversed(factors.items())},
        )
        np.testing.assert_allclose(
            two.newey_west.tstat[:, [0, 3, 2, 1]], one.newey_west.tstat * [1, -1, -1, -1], rtol=1e-9
        )
        np.testing.assert_allclose(two.newey_west.value[:, 0], 2.0 * one.newey_west.value[:, 0], rtol=1e-10)

    def test_grs_depends_on_the_span_alone(self) -> None:
        returns, factors = market(7)
        one = grs_test(returns, factors)
        mixed = {"m": factors["f0"] + factors["f1"], "n": factors["f1"], "o": 3.0 * factors["f2"] - factors["f0"]}
        assets = dict(reversed([(name, 5.0 * values) for name, values in returns.items()]))
        assets["a0"] = assets["a0"] - assets["a1"]
        two = grs_test(assets, mixed)
        assert two.statistic == pytest.approx(one.statistic, rel=1e-9)
        assert two.sharpe_all == pytest.approx(one.sharpe_all, rel=1e-9)

    def test_dates_with_a_gap_are_left_out(self) -> None:
        returns, factors = market(8)
        kept = np.arange(240) % 5 != 0
        whole = grs_test({n: np.where(kept, v, np.nan) if n == "a1" else v for n, v in returns.items()}, factors)
        part = grs_test({n: v[kept] for n, v in returns.items()}, {n: v[kept] for n, v in factors.items()})
        assert whole == part
        assert isinstance(part, GrsTest)
        assert part.n_observations == 192

    def test_grs_rejects_at_its_nominal_rate(self) -> None:
        random = np.random.default_rng(0)
        pvalues = []
        for _ in range(400):
            factors = {"f": 0.1 + random.normal(size=40)}
            returns = {f"a{i}": factors["f"] * i + random.normal(size=40) for i in range(8)}
            pvalues.append(grs_test(returns, factors).pvalue)
        assert 0.02 < np.mean(np.array(pvalues) < 0.05) < 0.08

    def test_no_regression_has_a_reason(self) -> None:
        returns, factors = market(9)
        returns["few"] = np.where(np.arange(240) < 20, returns["a0"], np.nan)
        returns["constant"] = np.full(240, 0.01)
        returns["none"] = np.full(240, np.inf)
        returns["short"] = np.where(np.arange(240) < 50, returns["a0"], np.nan)
        factors["f1"][:50] = 0.0
        got: SpanningRegressions = spanning_regressions(returns, factors)
        assert got.reason == (
            *([""] * 5),
            "20 observations of at least 30",
            "constant",
            "0 observations of at least 30",
            "collinear factors",
        )
        assert got.n_observations.tolist() == [240] * 5 + [20, 240, 0, 50]
        assert got.lags.tolist() == [4] * 5 + [-1] * 4
        for name in FIELDS:
            assert np.isnan(getattr(got.newey_west, name)[5:]).all()
            assert np.isfinite(getattr(got.newey_west, name)[:5]).all()
        assert np.isnan(got.rsquared[5:]).all()
        assert spanning_regressions(returns, factors, min_observations=10).reason[5] == "collinear factors"

    def test_a_mix_of_the_factors_has_no_tstat(self) -> None:
        _, factors = market(10)
        mix = 0.3 * factors["f0"] - 0.7 * factors["f2"] + 0.001
        got = spanning_regressions({"mix": mix}, factors)
        np.testing.assert_allclose(got.newey_west.value[0], [0.001, 0.3, 0.0, -0.7], rtol=1e-9, atol=1e-12)
        assert (got.newey_west.standard_error == 0.0).all()
        assert np.isnan(got.newey_west.tstat).all()
        assert got.rsquared.item() == 1.0

    def test_collinear_factors_of_large_level_are_seen(self) -> None:
        returns, factors = market(11)
        factors["f3"] = 1.0 + factors["f0"] + 2.0 * factors["f1"]
        assert set(spanning_regressions(returns, factors).reason) == {"collinear factors"}

    def test_as_many_lags_as_observations_have_no_error(self) -> None:
        returns, factors = market(12, n_dates=40)
        got = spanning_regressions(returns, factors, lags=40)
        assert np.isnan(got.newey_west.standard_error).all()
        assert np.isfinite(got.ordinary.standard_error).all()


class TestErrors:
    def test_messages(self) -> None:
        returns, factors = market(13, n_dates=60)
        with pytest.raises(EvaluationError, match="at least one test asset, got none"):
            spanning_regressions({}, factors)
        with pytest.raises(MisalignedError, match=r"first has \(60,\) and 'f0' has \(59,\)"):
            spanning_regressions(returns, {"f0": factors["f0"][1:]})
        with pytest.raises(MisalignedError, match=r"'f0' has \(60, 1\)"):
            spanning_regressions(returns, {"f0": factors["f0"][:, None]})
        with pytest.raises(EvaluationError, match="at least 0 or a rule, got -1"):
            spanning_regressions(returns, factors, lags=-1)
        with pytest.raises(EvaluationError, match="at least one factor return, got none"):
            grs_test(returns, {})
        short = {name: values[:8] for name, values in returns.items()}
        with pytest.raises(EvaluationError, match=r"5 assets on 3 factors wants at least 9 dates.*got 8"):
            grs_test(short, {name: values[:8] for name, values in factors.items()})
        with pytest.raises(EvaluationError, match=r"neither constant nor collinear.*'twice'"):
            grs_test(returns, factors | {"twice": 2.0 * factors["f0"]})
        with pytest.raises(EvaluationError, match="neither constant nor collinear"):
            grs_test(returns, {"f": np.full(60, 0.01)})
        for bad in (2.0 * factors["f1"], returns["a1"] - returns["a0"], np.full(60, 0.01)):
            with pytest.raises(EvaluationError, match="neither a mix of the factors nor of each other"):
                grs_test(returns | {"bad": bad}, factors)
        with pytest.raises(EvaluationError, match="got 0"):
            grs_test({"a": np.full(60, np.nan)}, factors)
