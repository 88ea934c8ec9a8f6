"""Newey-West errors of means and regressions against statsmodels, Stata and the formula."""

import math

import numpy as np
import pytest
import statsmodels.api as sm

from factor_assets.errors import EvaluationError, MisalignedError
from factor_assets.evaluation.newey_west import (
    Mean,
    coefficient_covariance,
    fixed_lags,
    infer,
    long_run_covariance,
    long_run_sums,
    newey_west_1994_lags,
    newey_west_mean,
)

EXACT = {"rtol": 1e-10, "atol": 1e-14}
FIELDS = ("value", "standard_error", "tstat", "pvalue", "conf_int_lower", "conf_int_upper")


def autocorrelated(seed: int, n: int = 400, k: int = 3) -> np.ndarray:
    """Moving averages of order 3."""
    noise = np.random.default_rng(seed).normal(size=(n + 3, k))
    return 0.1 + noise[3:] + 0.6 * noise[2:-1] + 0.4 * noise[1:-2] + 0.2 * noise[:-3]


class TestAgainstStatsmodels:
    @pytest.mark.parametrize("lags", [0, 1, 4, 12])
    def test_means(self, lags: int) -> None:
        values = autocorrelated(0)
        values[::7, 1] = np.nan
        values[3, 2] = -np.inf
        got = newey_west_mean(values, lags=lags).estimate
        for i, series in enumerate(values.T):
            present = series[np.isfinite(series)]
            expected = sm.OLS(present, np.ones(len(present))).fit(
                cov_type="HAC", cov_kwds={"maxlags": lags, "use_correction": True}, use_t=True
            )
            lower, upper = expected.conf_int()[0]
            wanted = (*expected.params, *expected.bse, *expected.tvalues, *expected.pvalues, lower, upper)
            np.testing.assert_allclose([getattr(got, name)[i] for name in FIELDS], wanted, **EXACT)

    @pytest.mark.parametrize("lags", [0, 1, 4, 12])
    def test_regressions(self, lags: int) -> None:
        x = sm.add_constant(autocorrelated(1))
        y = x @ [0.1, 1.0, -0.5, 0.0] + autocorrelated(2)[:, 0] * (1 + x[:, 1] ** 2)
        expected = sm.OLS(y, x).fit(cov_type="HAC", cov_kwds={"maxlags": lags, "use_correction": True})
        got = coefficient_covariance(x, np.asarray(expected.resid), lags=lags)
        np.testing.assert_allclose(got, expected.cov_params(), rtol=1e-10, atol=1e-14)

    def test_stata(self) -> None:
        # newey g_realinv g_realgdp L.realint, lag(4), on statsmodels' macrodata: output of Stata 12, as in the tests
        # of statsmodels (regression/tests/results/results_macro_ols_robust.py)
        data = sm.datasets.macrodata.load_pandas().data
        growth = {name: 400 * np.diff(np.log(data[name].to_numpy())) for name in ("realinv", "realgdp")}
        x = np.column_stack([growth["realgdp"], data["realint"].to_numpy()[:-1], np.ones(202)])
        coefficients, *_ = np.linalg.lstsq(x, growth["realinv"], rcond=None)
        covariance = coefficient_covariance(x, growth["realinv"] - x @ coefficients, lags=4)
        got = infer(coefficients, np.sqrt(np.diag(covariance)), freedom=199)
        np.testing.assert_allclose(got.value, [4.3742216647032, -0.61399696947899, -9.4816727746549], rtol=1e-10)
        np.testing.assert_allclose(
            got.standard_error, [0.33125644884286, 0.29582347593197, 1.1859338087713], rtol=1e-10
        )
        np.testing.assert_allclose(got.tstat, [13.204940401864, -2.0755518727668, -7.9951112823729], rtol=1e-10)
        np.testing.assert_allclose(got.pvalue, [5.282334606e-29, 0.03922090940364, 1.036821797e-13], rtol=1e-9)
        np.testing.assert_allclose(
            got.conf_int_lower, [3.7209983425819, -1.1973480087863, -11.820282709911], rtol=1e-10
        )
        np.testing.assert_allclose(
            got.conf_int_upper, [5.0274449868245, -0.03064593017165, -7.1430628393989], rtol=1e-10
        )
        np.testing.assert_allclose(covariance[0], [0.10973083489998, 0.0003953117603, -0.31803287070833], rtol=1e-8)

    def test_lags_that_the_data_choose_equal_linearmodels(self) -> None:
        from linearmodels.iv.covariance import kernel_optimal_bandwidth

        chosen = set()
        for seed in range(20):
            # with 100 observations the pilot is 4 lags, however it is rounded; linearmodels rounds the result up
            deviation = autocorrelated(seed, n=100)[:, 0]
            deviation = deviation - deviation.mean()
            chosen.add(lags := newey_west_1994_lags(deviation))
            assert lags == kernel_optimal_bandwidth(deviation, "bartlett") - 1
        assert len(chosen) > 1


class TestAgainstTheFormula:
    @pytest.mark.parametrize("n", [7, 100, 999, 2520])
    def test_lags(self, n: int) -> None:
        scores = autocorrelated(3, n=n)[:, 0]
        pilot = math.floor(4 * (n / 100) ** (2 / 9))
        assert fixed_lags(n) == pilot
        c = [sum(scores[t] * scores[t - j] for t in range(j, n)) / n for j in range(pilot + 1)]
        s0 = c[0] + 2 * sum(c[1:])
        s1 = 2 * sum(j * c[j] for j in range(1, pilot + 1))
        assert newey_west_1994_lags(scores) == min(
            math.floor(1.1447 * ((s1 / s0) ** 2) ** (1 / 3) * n ** (1 / 3)), n - 1
        )

    def test_lags_of_common_samples(self) -> None:
        assert [fixed_lags(n) for n in (100, 252, 1000, 2520)] == [4, 4, 6, 8]

    @pytest.mark.parametrize("lags", [0, 1, 5, 59])
    def test_moving_sums_are_the_long_run_covariance(self, lags: int) -> None:
        a, b = autocorrelated(4, n=60, k=2).T
        got = long_run_sums(np.ascontiguousarray(a), np.ascontiguousarray(b), lags)
        expected = 60 * long_run_covariance(np.column_stack([a, b]), lags=lags)
        np.testing.assert_allclose(got, [expected[0, 0], expected[0, 1], expected[1, 1]], rtol=1e-11)

    def test_no_lags_is_the_ordinary_error(self) -> None:
        values = autocorrelated(5)[:, 0]
        assert newey_west_mean(values, lags=0).estimate.standard_error == pytest.approx(
            values.std(ddof=1) / len(values) ** 0.5, rel=1e-12
        )


class TestProperties:
    def test_one_series_is_a_column(self) -> None:
        values = autocorrelated(6)
        one, many = newey_west_mean(values[:, 1].copy()), newey_west_mean(values)
        assert one.estimate.tstat.shape == ()
        for name in FIELDS:
            assert getattr(one.estimate, name).item() == getattr(many.estimate, name)[1]

    def test_scaling(self) -> None:
        values = autocorrelated(7)
        one, two = newey_west_mean(values).estimate, newey_west_mean(-8.0 * values).estimate
        np.testing.assert_array_equal(two.standard_error, 8.0 * one.standard_error)
        np.testing.assert_array_equal(two.tstat, -one.tstat)
        np.testing.assert_array_equal(two.conf_int_lower, -8.0 * one.conf_int_upper)

    def test_time_reversed_is_the_same(self) -> None:
        values = autocorrelated(8)
        one, two = newey_west_mean(values).estimate, newey_west_mean(values[::-1]).estimate
        np.testing.assert_allclose(one.standard_error, two.standard_error, rtol=1e-12)

    def test_positive_autocorrelation_widens_the_interval(self) -> None:
        values = autocorrelated(9)
        assert (
            newey_west_mean(values).estimate.standard_error > newey_west_mean(values, lags=0).estimate.standard_error
        ).all()

    def test_overlap_raises_the_lags_of_a_rule_only(self) -> None:
        values = autocorrelated(10)
        assert newey_west_mean(values).lags.tolist() == [5, 5, 5]
        assert newey_west_mean(values, overlap=3).lags.tolist() == [5, 5, 5]
        assert newey_west_mean(values, overlap=20).lags.tolist() == [20, 20, 20]
        assert newey_west_mean(values, lags=2, overlap=20).lags.tolist() == [2, 2, 2]
        longer = newey_west_mean(values, overlap=20).estimate
        assert (longer.tstat != newey_west_mean(values).estimate.tstat).all()

    def test_the_rules_differ(self) -> None:
        values = np.cumsum(autocorrelated(11), axis=0)
        assert (newey_west_mean(values, lags="newey_west_1994").lags > newey_west_mean(values).lags).all()

    def test_bad_input_is_missing(self) -> None:
        values = np.full((50, 6), np.nan)
        values[10, 1] = 3.0
        values[:, 2] = 0.1
        values[:2, 3] = [1.0, 2.0]
        values[:, 4] = np.inf
        values[:40, 5] = np.arange(40)
        got: Mean = newey_west_mean(values)
        assert got.n_observations.tolist() == [0, 1, 50, 2, 0, 40]
        assert np.isfinite(got.estimate.value).tolist() == [False, True, True, True, False, True]
        for name in FIELDS[1:]:
            # two values have one lag by the rule
            assert np.isfinite(getattr(got.estimate, name)).tolist() == [False, False, False, True, False, True], name
        assert np.isnan(newey_west_mean(values, lags=40).estimate.tstat[5])
        assert np.isfinite(newey_west_mean(values, lags=39).estimate.standard_error[5])
        assert newey_west_mean(np.empty(0)).n_observations.item() == 0

    def test_a_zero_error_has_no_tstat(self) -> None:
        got = infer([1.0, 1.0], [0.0, np.nan], freedom=10)
        assert np.isnan(got.tstat).all()
        assert np.isnan(got.pvalue).all()
        assert got.conf_int_lower.tolist()[0] == got.conf_int_upper.tolist()[0] == 1.0
        assert np.isnan(got.conf_int_upper[1])


class TestErrors:
    def test_messages(self) -> None:
        with pytest.raises(
            EvaluationError,
            match="number or a rule, got 'newey_west'; did you mean 'newey_west_1994'",
        ):
            newey_west_mean(np.ones(5), lags="newey_west")  # type: ignore[arg-type]
        for lags in (-1, 2.5, True):
            with pytest.raises(EvaluationError, match=f"at least 0 or a rule, got {lags}"):
                newey_west_mean(np.ones(5), lags=lags)  # type: ignore[arg-type]
        with pytest.raises(EvaluationError, match="overlap wants at least 0 sessions, got -2"):
            newey_west_mean(np.ones(5), overlap=-2)
        with pytest.raises(EvaluationError, match=r"\(n_dates, n_series\), got \(2, 2, 2\)"):
            newey_west_mean(np.ones((2, 2, 2)))
        with pytest.raises(MisalignedError, match=r"got \(5, 2\) and \(4,\)"):
            coefficient_covariance(np.ones((5, 2)), np.ones(4), lags=1)
        with pytest.raises(EvaluationError, match="more observations than the 2 coefficients, got 2"):
            coefficient_covariance(np.ones((2, 2)), np.ones(2), lags=1)
