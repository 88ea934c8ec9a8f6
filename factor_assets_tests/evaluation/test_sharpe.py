"""Sharpe ratios against scipy, empyrical, published values and simulations."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factor_assets.errors import EvaluationError
from factor_assets.evaluation.sharpe import (
    deflated_sharpe_ratio,
    expected_maximum_sharpe_ratio,
    min_track_record_length,
    probabilistic_sharpe_ratio,
    sharpe_ratio,
)

NORMAL = {"skewness": 0.0, "kurtosis": 3.0}
EXAMPLE = {"n_observations": 1250, "skewness": -3.0, "kurtosis": 10.0, "n_trials": 100, "trials_variance": 0.5 / 250}
EXAMPLE_SHARPE = 2.5 / 250**0.5

ratios = st.floats(-1.0, 1.0)
skewnesses = st.floats(-4.0, 4.0)


class TestAgainstScipy:
    @pytest.mark.parametrize("seed", range(3))
    def test_moments(self, seed: int) -> None:
        from scipy import stats

        returns = 0.01 * np.random.default_rng(seed).standard_t(4, size=500) + 0.001
        got = sharpe_ratio(returns)
        skewness, kurtosis = stats.skew(returns), stats.kurtosis(returns, fisher=False)
        ratio = returns.mean() / returns.std(ddof=1)
        assert got.per_session == pytest.approx(ratio, rel=1e-12)
        assert got.skewness == pytest.approx(skewness, rel=1e-12)
        assert got.kurtosis == pytest.approx(kurtosis, rel=1e-12)
        variance = (1 + ratio**2 / 2 - ratio * skewness + (kurtosis - 3) / 4 * ratio**2) / 499  # as Mertens writes it
        assert got.standard_error == pytest.approx(variance**0.5, rel=1e-12)
        assert got.n_observations == 500

    def test_expected_maximum_is_near_the_exact_one(self) -> None:
        from scipy import integrate, stats

        for n in (10, 100, 1000):
            exact = integrate.quad(lambda x, n=n: x * n * stats.norm.cdf(x) ** (n - 1) * stats.norm.pdf(x), -8, 8)[0]
            assert expected_maximum_sharpe_ratio(n_trials=n, trials_variance=4.0) == pytest.approx(2 * exact, rel=0.03)


class TestAgainstEmpyrical:
    def test_annualized(self) -> None:
        import empyrical

        returns = 0.01 * np.random.default_rng(0).normal(size=300)
        assert sharpe_ratio(returns).annualized == pytest.approx(empyrical.sharpe_ratio(returns), rel=1e-12)
        monthly = empyrical.sharpe_ratio(returns, period="monthly")
        assert sharpe_ratio(returns, sessions_per_year=12).annualized == pytest.approx(monthly, rel=1e-12)


class TestAgainstPublished:
    """Bailey and Lopez de Prado, 2014 (deflated Sharpe ratio) and 2012 (the other two)."""

    def test_deflated_sharpe_ratio(self) -> None:
        assert deflated_sharpe_ratio(EXAMPLE_SHARPE, **EXAMPLE) == pytest.approx(0.9004, abs=5e-5)
        benchmark = expected_maximum_sharpe_ratio(n_trials=100, trials_variance=0.5 / 250)
        assert benchmark == pytest.approx(0.1132, abs=5e-5)

    def test_deflated_sharpe_ratio_at_the_edge_of_significance(self) -> None:
        assert deflated_sharpe_ratio(EXAMPLE_SHARPE, **EXAMPLE | {"n_trials": 46}) == pytest.approx(0.9505, abs=5e-5)
        normal = EXAMPLE | NORMAL | {"n_trials": 88}
        assert deflated_sharpe_ratio(EXAMPLE_SHARPE, **normal) == pytest.approx(0.9505, abs=5e-5)

    def test_probabilistic_sharpe_ratio(self) -> None:
        skewed = probabilistic_sharpe_ratio(0.458, n_observations=24, skewness=-2.448, kurtosis=10.164)
        assert skewed == pytest.approx(0.913, abs=5e-4)
        assert probabilistic_sharpe_ratio(0.458, n_observations=24, **NORMAL) == pytest.approx(0.982, abs=5e-4)

    @pytest.mark.parametrize(("periods", "years"), [(252, 2.73), (52, 2.83), (12, 3.24)])
    def test_min_track_record_length(self, periods: int, years: float) -> None:
        root = periods**0.5
        length = min_track_record_length(2 / root, benchmark=1 / root, **NORMAL)
        assert length / periods == pytest.approx(years, abs=5e-3)

    def test_min_track_record_length_of_hedge_funds(self) -> None:
        root = 12**0.5
        length = min_track_record_length(2 / root, benchmark=1 / root, skewness=-0.72, kurtosis=5.78)
        assert length / 12 == pytest.approx(4.99, abs=5e-3)


class TestAgainstSimulation:
    def test_standard_error_of_skewed_returns(self) -> None:
        draws = np.random.default_rng(1).gamma(2.0, size=(1000, 500)) - 1.0  # skewness 1.41, kurtosis 6
        estimates = [sharpe_ratio(row) for row in draws]
        spread = np.std([e.per_session for e in estimates])
        assert np.mean([e.standard_error for e in estimates]) == pytest.approx(spread, rel=0.08)
        normal_formula = ((1 + 0.5 * 0.5) / 499) ** 0.5  # Lo (2002) alone is a fifth too large here
        assert normal_formula > 1.15 * spread

    def test_probability_is_uniform_at_the_true_ratio(self) -> None:
        draws = np.random.default_rng(2).normal(0.1, 1.0, size=(1000, 250))
        got = np.array(
            [
                probabilistic_sharpe_ratio(
                    e.per_session,
                    n_observations=e.n_observations,
                    skewness=e.skewness,
                    kurtosis=e.kurtosis,
                    benchmark=0.1,
                )
                for e in map(sharpe_ratio, draws)
            ]
        )
        for level in (0.05, 0.5, 0.95):
            band = 3.3 * (level * (1 - level) / 1000) ** 0.5
            assert np.mean(got < level) == pytest.approx(level, abs=band)

    def test_the_best_of_many_noises_is_not_believed(self) -> None:
        draws = np.random.default_rng(3).normal(size=(100, 50, 250))  # 100 searches of 50 trials
        probable, deflated = [], []
        for trials in draws:
            estimates = [sharpe_ratio(row) for row in trials]
            variance = float(np.var([e.per_session for e in estimates], ddof=1))
            best = max(estimates, key=lambda e: e.per_session)
            moments = {"n_observations": 250, "skewness": best.skewness, "kurtosis": best.kurtosis}
            probable.append(probabilistic_sharpe_ratio(best.per_session, **moments))
            deflated.append(deflated_sharpe_ratio(best.per_session, **moments, n_trials=50, trials_variance=variance))
        assert np.mean(np.array(probable) > 0.95) > 0.8
        assert np.mean(np.array(deflated) > 0.95) <= 0.05
        assert np.mean(deflated) == pytest.approx(0.5, abs=0.1)


class TestProperties:
    def test_nan_sessions_are_left_out(self) -> None:
        returns = np.array([0.01, np.nan, -0.02, 0.03, np.nan, 0.01])
        assert sharpe_ratio(returns) == sharpe_ratio(returns[~np.isnan(returns)])

    @pytest.mark.parametrize("returns", [[], [0.01], [np.nan] * 5, [0.1, 0.1, 0.1], [np.nan, 0.02, 0.02]])
    def test_no_ratio(self, returns: list[float]) -> None:
        got = sharpe_ratio(np.array(returns))
        assert got.n_observations == np.sum(~np.isnan(returns))
        numbers = (got.per_session, got.annualized, got.standard_error, got.annualized_standard_error)
        assert all(math.isnan(number) for number in (*numbers, got.skewness, got.kurtosis))

    def test_annualized_by_the_root_of_the_sessions(self) -> None:
        returns = np.random.default_rng(0).normal(size=30)
        got = sharpe_ratio(returns, sessions_per_year=100)
        assert got.annualized == 10 * got.per_session
        assert got.annualized_standard_error == 10 * got.standard_error

    @settings(deadline=None, max_examples=50)
    @given(seed=st.integers(0, 1000), scale=st.sampled_from([1e-120, 1e-6, 3.0, 1e90]))
    def test_scale_and_sign(self, seed: int, scale: float) -> None:
        returns = np.random.default_rng(seed).standard_t(3, size=40)
        one, other = sharpe_ratio(returns), sharpe_ratio(-scale * returns)
        assert other.per_session == pytest.approx(-one.per_session, rel=1e-9)
        assert other.skewness == pytest.approx(-one.skewness, rel=1e-9, abs=1e-12)
        assert other.kurtosis == pytest.approx(one.kurtosis, rel=1e-9)
        assert other.standard_error == pytest.approx(one.standard_error, rel=1e-9)

    @settings(deadline=None, max_examples=100)
    @given(ratio=ratios, benchmark=ratios, skewness=skewnesses, excess=st.floats(0.1, 20), n=st.integers(2, 5000))
    def test_probability(self, ratio: float, benchmark: float, skewness: float, excess: float, n: int) -> None:
        moments = {"skewness": skewness, "kurtosis": 1 + skewness**2 + excess}
        got = probabilistic_sharpe_ratio(ratio, n_observations=n, benchmark=benchmark, **moments)
        assert 0.0 <= got <= 1.0
        assert (got >= 0.5) == (ratio >= benchmark) or got == 0.5
        higher = probabilistic_sharpe_ratio(ratio, n_observations=n, benchmark=benchmark + 0.01, **moments)
        assert higher <= got
        length = min_track_record_length(ratio, benchmark=benchmark, **moments)
        if ratio <= benchmark:
            assert length == math.inf
        else:
            assert (n >= length * (1 + 1e-9)) <= (got >= 0.95 - 1e-9)
            assert (n <= length * (1 - 1e-9)) <= (got <= 0.95 + 1e-9)

    @settings(deadline=None, max_examples=50)
    @given(n=st.floats(1.0, 1e9), variance=st.floats(0.0, 10.0))
    def test_more_trials_and_variance_deflate_more(self, n: float, variance: float) -> None:
        got = expected_maximum_sharpe_ratio(n_trials=n, trials_variance=variance)
        assert got >= 0.0
        assert expected_maximum_sharpe_ratio(n_trials=n + 1, trials_variance=variance) >= got
        assert expected_maximum_sharpe_ratio(n_trials=n, trials_variance=2 * variance) >= got

    def test_one_trial_is_not_deflated(self) -> None:
        moments = {"n_observations": 500, "skewness": -1.0, "kurtosis": 5.0}
        expected = probabilistic_sharpe_ratio(0.05, **moments)
        assert deflated_sharpe_ratio(0.05, **moments, n_trials=1, trials_variance=math.nan) == expected

    @pytest.mark.parametrize(
        "change",
        [
            {"n_observations": 900},
            {"skewness": -2.0},
            {"kurtosis": 12.0},
            {"n_trials": 10},
            {"trials_variance": 0.001},
        ],
    )
    def test_every_parameter_changes_the_deflated_ratio(self, change: dict[str, float]) -> None:
        assert deflated_sharpe_ratio(EXAMPLE_SHARPE, **EXAMPLE | change) != deflated_sharpe_ratio(
            EXAMPLE_SHARPE, **EXAMPLE
        )

    def test_confidence_changes_the_length(self) -> None:
        lengths = [min_track_record_length(0.1, confidence=c, **NORMAL) for c in (0.9, 0.95, 0.99)]
        assert lengths == sorted(lengths)
        assert len(set(lengths)) == 3

    def test_nan_in_nan_out(self) -> None:
        for bad in ({"skewness": math.nan}, {"kurtosis": math.nan}, {"benchmark": math.nan}):
            assert math.isnan(probabilistic_sharpe_ratio(0.1, n_observations=100, **NORMAL | bad))
            assert math.isnan(min_track_record_length(0.1, **NORMAL | bad))
        assert math.isnan(probabilistic_sharpe_ratio(math.nan, n_observations=100, **NORMAL))
        assert math.isnan(min_track_record_length(math.nan, **NORMAL))
        assert math.isnan(expected_maximum_sharpe_ratio(n_trials=5, trials_variance=math.nan))

    def test_no_uncertainty_gives_no_probability(self) -> None:
        assert math.isnan(probabilistic_sharpe_ratio(2.0, n_observations=10, skewness=1.0, kurtosis=2.0))


class TestErrors:
    def test_infinite_returns(self) -> None:
        with pytest.raises(EvaluationError, match=r"finite returns; 1 of 2 are infinite"):
            sharpe_ratio(np.array([0.1, np.inf, np.nan]))

    def test_shape(self) -> None:
        with pytest.raises(EvaluationError, match=r"shape \(n_dates,\), got \(2, 2\)"):
            sharpe_ratio(np.ones((2, 2)))

    def test_excess_kurtosis_is_noticed(self) -> None:
        with pytest.raises(EvaluationError, match=r"skewness 0 and kurtosis 0: .* not the excess over 3"):
            probabilistic_sharpe_ratio(0.1, n_observations=100, skewness=0.0, kurtosis=0.0)

    def test_too_few_observations(self) -> None:
        with pytest.raises(EvaluationError, match="at least 2 observations, got 1"):
            probabilistic_sharpe_ratio(0.1, n_observations=1, **NORMAL)

    def test_infinite_ratio(self) -> None:
        with pytest.raises(EvaluationError, match="finite sharpe_ratio, got inf"):
            min_track_record_length(math.inf, **NORMAL)

    @pytest.mark.parametrize("n_trials", [0, 0.5, -1, math.nan, math.inf])
    def test_trials(self, n_trials: float) -> None:
        with pytest.raises(EvaluationError, match=r"at least 1 trial, got .* from the ledger"):
            expected_maximum_sharpe_ratio(n_trials=n_trials, trials_variance=0.1)

    @pytest.mark.parametrize("variance", [-0.1, math.inf])
    def test_variance(self, variance: float) -> None:
        with pytest.raises(EvaluationError, match="wants to be 0 or more"):
            expected_maximum_sharpe_ratio(n_trials=10, trials_variance=variance)

    @pytest.mark.parametrize("confidence", [0.5, 1.0, 95, math.nan])
    def test_confidence(self, confidence: float) -> None:
        with pytest.raises(EvaluationError, match=r"above 0\.5 and below 1, such as 0\.95"):
            min_track_record_length(0.1, confidence=confidence, **NORMAL)
