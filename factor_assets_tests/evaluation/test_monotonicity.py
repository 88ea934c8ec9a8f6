"""Monotonic relations of mean returns."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from factor_assets.errors import EvaluationError
from factor_assets.evaluation.monotonicity import monotonicity
from factor_assets.evaluation.superior_ability import stationary_bootstrap
from factor_assets.panel.panel import Array


def returns(seed: int, *, step: float, n: int = 400, n_quantiles: int = 5) -> Array:
    random = np.random.default_rng(seed)
    common = random.normal(0.0, 0.01, (n, 1))
    return common + step * np.arange(n_quantiles) + random.normal(0.0, 0.01, (n, n_quantiles))


class TestAgainstLoops:
    @pytest.mark.parametrize("pairs", ["adjacent", "all"])
    @pytest.mark.parametrize("direction", ["increasing", "decreasing"])
    @pytest.mark.parametrize("studentize", [False, True])
    def test_equals_the_definition(self, pairs: str, direction: str, studentize: bool) -> None:
        data = returns(0, step=2e-4, n=150)
        got = monotonicity(
            data, direction=direction, pairs=pairs, studentize=studentize, block_length=4.0, n_bootstrap=60, seed=3
        )
        steps = [(i, j) for i in range(5) for j in range(i + 1, 5) if pairs == "all" or j == i + 1]
        if direction == "decreasing":
            steps = [(j, i) for i, j in steps]
        mean = data.mean(axis=0)
        samples = [data[next(draw)].mean(axis=0) for draw in [stationary_bootstrap(150, block_length=4.0, seed=3)] * 60]
        scale = dict.fromkeys(steps, 1.0)
        if studentize:
            for i, j in steps:
                scale[i, j] = politis_romano(data[:, j] - data[:, i], 4.0) ** 0.5
        observed = min((mean[j] - mean[i]) / scale[i, j] for i, j in steps)
        null = [min((s[j] - s[i] - mean[j] + mean[i]) / scale[i, j] for i, j in steps) for s in samples]
        assert got.smallest_difference == pytest.approx(observed, rel=1e-10)
        assert got.pvalue == pytest.approx((1 + sum(x >= observed for x in null)) / 61, abs=1e-12)
        for way, statistic, pvalue in ((1, got.up, got.up_pvalue), (-1, got.down, got.down_pvalue)):
            moves = sum(max(0.0, way * (mean[i + 1] - mean[i])) for i in range(4))
            null = [sum(max(0.0, way * (s[i + 1] - s[i] - mean[i + 1] + mean[i])) for i in range(4)) for s in samples]
            assert statistic == pytest.approx(moves, rel=1e-10)
            assert pvalue == pytest.approx((1 + sum(x >= moves for x in null)) / 61, abs=1e-12)
        assert got.spearman == pytest.approx(spearmanr(mean, range(5)).statistic)
        np.testing.assert_allclose(got.mean, mean)


def politis_romano(x: Array, block_length: float) -> float:
    """Variance of the mean of a stationary bootstrap sample, summed over pairs of positions."""
    n, stay = len(x), 1.0 - 1.0 / block_length
    d = x - x.mean()
    # two draws k apart are k apart on the circle with probability stay ** k, and independent otherwise
    circle = [float(d @ np.roll(d, -k)) / n for k in range(n)]
    return (n * circle[0] + 2.0 * sum((n - k) * stay**k * circle[k] for k in range(1, n))) / n**2


class TestProperties:
    def test_a_rising_relation_is_found_and_a_falling_one_is_not(self) -> None:
        rising = monotonicity(returns(0, step=3e-3))
        assert rising.pvalue < 0.01
        assert rising.up_pvalue < 0.01
        assert rising.down == 0.0
        assert rising.down_pvalue == 1.0
        assert rising.spearman == 1.0
        falling = monotonicity(returns(0, step=-3e-3))
        assert falling.pvalue > 0.99
        assert monotonicity(returns(0, step=-3e-3), direction="decreasing").pvalue < 0.01

    def test_a_hump_moves_and_is_not_monotonic(self) -> None:
        hump = returns(0, step=0.0) + 3e-3 * np.array([0, 1, 2, 1, 0])
        got = monotonicity(hump)
        assert got.pvalue > 0.9
        assert got.up_pvalue < 0.01
        assert got.down_pvalue < 0.01

    def test_size_is_nominal_where_all_means_are_equal(self) -> None:
        pvalues = [monotonicity(returns(s, step=0.0, n=120), n_bootstrap=99, block_length=1.0) for s in range(200)]
        for name in ("pvalue", "up_pvalue", "down_pvalue"):
            rate = np.mean([getattr(p, name) <= 0.1 for p in pvalues])
            assert 0.05 < rate < 0.16, name

    def test_every_choice_changes_the_result(self) -> None:
        data = returns(1, step=3e-4)
        base = monotonicity(data)
        for choice in (
            {"direction": "decreasing"},
            {"pairs": "all"},
            {"studentize": True},
            {"block_length": 2.0},
            {"n_bootstrap": 500},
            {"seed": 1},
        ):
            assert monotonicity(data, **choice).pvalue != base.pvalue, choice
        assert monotonicity(data).pvalue == base.pvalue

    def test_incomplete_sessions_are_left_out(self) -> None:
        data = returns(0, step=1e-3)
        dirty = np.vstack([data, np.full((3, 5), np.nan), np.full((2, 5), np.inf)])
        dirty[-1, 1:] = 0.0
        got, expected = monotonicity(dirty), monotonicity(data)
        assert (got.pvalue, got.n_dates, got.n_left_out) == (expected.pvalue, 400, 5)

    def test_equal_means_have_no_rank_correlation(self) -> None:
        there = np.random.default_rng(0).integers(-8, 9, (50, 3)) / 8.0
        got = monotonicity(np.vstack([there, -there]))
        assert np.isnan(got.spearman)
        assert got.smallest_difference == 0.0


class TestErrors:
    def test_messages(self) -> None:
        data = returns(0, step=0.0)
        with pytest.raises(EvaluationError, match=r"at least 2 quantiles, got \(400, 1\)"):
            monotonicity(data[:, :1])
        with pytest.raises(EvaluationError, match="at least 10 sessions with a return in every quantile, got 9 of 9"):
            monotonicity(data[:9])
        with pytest.raises(EvaluationError, match="got 0 of 400"):
            monotonicity(np.full_like(data, np.nan))
        with pytest.raises(EvaluationError, match="quantiles 2 and 1 is one number on all sessions"):
            monotonicity(np.tile(np.arange(5.0), (50, 1)))
        with pytest.raises(EvaluationError, match="Unknown direction 'up' of a monotonic relation; choose one of"):
            monotonicity(data, direction="up")  # type: ignore[arg-type]
        with pytest.raises(EvaluationError, match="Unknown pairs 'any'"):
            monotonicity(data, pairs="any")  # type: ignore[arg-type]
        with pytest.raises(EvaluationError, match="at least 1 sample, got n_bootstrap 0"):
            monotonicity(data, n_bootstrap=0)
        with pytest.raises(EvaluationError, match="mean block length from 1 to the number of dates"):
            monotonicity(data, block_length=0.5)
