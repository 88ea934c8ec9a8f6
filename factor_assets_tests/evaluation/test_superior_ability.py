"""Superior ability against a plain loop, against arch where arch studentizes nothing, and under the null."""

from collections.abc import Iterator
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factor_assets.errors import EvaluationError
from factor_assets.evaluation import superior_ability as module
from factor_assets.evaluation.superior_ability import long_run_variance, stationary_bootstrap, superior_ability

KINDS = ("lower", "consistent", "upper")


def some_gains(seed: int, n_dates: int = 200, n_models: int = 6) -> np.ndarray:
    """Autocorrelated gains of models with other volatilities and means, some much worse than the benchmark."""
    random = np.random.default_rng(seed)
    shocks = random.normal(size=(n_dates + 1, n_models))
    gains = (shocks[1:] + 0.4 * shocks[:-1]) * np.geomspace(0.5, 4.0, n_models)
    return gains + np.linspace(0.15, -1.5, n_models)


def pvalues(result: module.SuperiorAbility) -> list[float]:
    return [result.pvalue_lower, result.pvalue_consistent, result.pvalue_upper]


def plain_variance(x: np.ndarray, block_length: float) -> float:
    n, q, centred = len(x), 1 / block_length, x - x.mean()
    total = centred @ centred / n
    for i in range(1, n):
        kernel = (n - i) / n * (1 - q) ** i + i / n * (1 - q) ** (n - i)
        total += 2 * kernel * (centred[: n - i] @ centred[i:]) / n
    return float(total)


def plain_test(gains: np.ndarray, samples: list[np.ndarray], block_length: float, *, studentize: bool) -> list[float]:
    """Steps of the paper, a model and a sample at a time."""
    n, n_models = gains.shape
    root = n**0.5
    deviation = [plain_variance(gains[:, k], block_length) ** 0.5 for k in range(n_models)]
    means = [float(gains[:, k].mean()) for k in range(n_models)]
    divisor = deviation if studentize else [1.0] * n_models
    statistic = max(0.0, *(root * m / w for m, w in zip(means, divisor, strict=True)))
    beyond = dict.fromkeys(KINDS, 0)
    for sample in samples:
        largest = dict.fromkeys(KINDS, 0.0)
        for k in range(n_models):
            threshold = -((deviation[k] ** 2 / n * 2 * np.log(np.log(n))) ** 0.5)
            recentred = {
                "lower": max(0.0, means[k]),
                "consistent": means[k] if means[k] >= threshold else 0.0,
                "upper": means[k],
            }
            for kind in KINDS:
                score = root * (gains[sample, k].mean() - recentred[kind]) / divisor[k]
                largest[kind] = max(largest[kind], score)
        for kind in KINDS:
            beyond[kind] += largest[kind] >= statistic
    return [(1 + beyond[kind]) / (1 + len(samples)) for kind in KINDS]


class TestAgainstPlainLoop:
    @pytest.mark.parametrize("studentize", [True, False])
    @pytest.mark.parametrize("seed", range(3))
    def test_equal(self, studentize: bool, seed: int) -> None:
        gains = some_gains(seed, 80)
        samples = list(islice(stationary_bootstrap(80, block_length=4.0, seed=seed), 300))
        got = superior_ability(gains, block_length=4.0, n_bootstrap=300, seed=seed, studentize=studentize)
        assert pvalues(got) == plain_test(gains, samples, 4.0, studentize=studentize)

    @pytest.mark.parametrize("block_length", [1.0, 3.5, 50.0])
    def test_variance(self, block_length: float) -> None:
        gains = some_gains(0, 101)
        expected = [plain_variance(gains[:, k], block_length) for k in range(gains.shape[1])]
        np.testing.assert_allclose(long_run_variance(gains, block_length=block_length), expected, rtol=1e-10)


class TestAgainstArch:
    """arch 8.0 compares means that are never studentized, whatever its flag says: an oracle for that case alone."""

    @pytest.mark.parametrize("seed", range(3))
    def test_unstudentized_on_the_same_samples(self, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
        from arch.bootstrap import SPA, StationaryBootstrap

        gains = some_gains(seed)
        arch = SPA(np.zeros(200), -gains, block_size=5, reps=400, seed=seed)
        arch.compute()

        def samples(n_dates: int, *, block_length: float, seed: int) -> Iterator[np.ndarray]:
            positions = StationaryBootstrap(int(block_length), np.arange(n_dates), seed=seed)
            return (drawn[0][0] for drawn in positions.bootstrap(400))

        monkeypatch.setattr(module, "stationary_bootstrap", samples)
        got = superior_ability(gains, block_length=5.0, n_bootstrap=400, seed=seed, studentize=False)
        n_beyond = np.array([arch.pvalues[kind] for kind in KINDS]) * 400
        np.testing.assert_allclose(pvalues(got), (1 + n_beyond) / 401, rtol=1e-12)
        studentized = superior_ability(gains, block_length=5.0, n_bootstrap=400, seed=seed)
        assert pvalues(studentized) != pvalues(got)

    def test_variance(self) -> None:
        from arch.bootstrap import SPA

        gains = some_gains(1)
        arch = SPA(np.zeros(200), -gains, block_size=8, reps=1, seed=0)
        arch.compute()
        np.testing.assert_allclose(long_run_variance(gains, block_length=8.0), arch._loss_diff_var, rtol=1e-10)


class TestAgainstSimulation:
    def test_variance_is_that_of_the_bootstrap(self) -> None:
        gains = some_gains(2, 60)
        means = np.array(
            [gains[s].mean(axis=0) for s in islice(stationary_bootstrap(60, block_length=6, seed=0), 4000)]
        )
        np.testing.assert_allclose(60 * means.var(axis=0), long_run_variance(gains, block_length=6), rtol=0.1)

    def test_blocks_have_the_mean_length_and_dates_the_same_chance(self) -> None:
        samples = np.array(list(islice(stationary_bootstrap(50, block_length=8, seed=1), 4000)))
        assert samples.min() == 0
        assert samples.max() == 49
        goes_on = (np.diff(samples, axis=1) % 50 == 1).mean()
        assert goes_on == pytest.approx(1 - 1 / 8 + 1 / 8 / 50, abs=0.005)
        np.testing.assert_allclose(np.bincount(samples.ravel()) / samples.size, 0.02, rtol=0.1)

    def test_size_where_all_models_are_as_good_as_the_benchmark(self) -> None:
        random = np.random.default_rng(0)
        got = [
            superior_ability(random.normal(size=(150, 5)), block_length=1.0, n_bootstrap=99).pvalue_consistent
            for _ in range(300)
        ]
        for level in (0.1, 0.5):
            assert np.mean(np.array(got) <= level) == pytest.approx(level, abs=3.3 * (level * (1 - level) / 300) ** 0.5)

    def test_poor_models_do_not_hide_a_good_one(self) -> None:
        gains = np.random.default_rng(4).normal(size=(400, 40)) * np.append(0.2, np.full(39, 3.0))
        gains += np.append(0.03, np.full(39, -1.0))
        hansen = superior_ability(gains, block_length=2.0)
        white = superior_ability(gains, block_length=2.0, studentize=False)
        assert hansen.best == white.best == 0
        assert hansen.pvalue_consistent < 0.05
        assert white.pvalue_upper > 0.5


class TestProperties:
    @settings(deadline=None, max_examples=25)
    @given(seed=st.integers(0, 1000), n_models=st.integers(1, 8), studentize=st.booleans())
    def test_order_bounds_and_permutation(self, seed: int, n_models: int, studentize: bool) -> None:
        gains = some_gains(seed, 60, n_models)
        got = superior_ability(gains, n_bootstrap=50, studentize=studentize)
        assert 1 / 51 <= got.pvalue_lower <= got.pvalue_consistent <= got.pvalue_upper <= 1.0
        assert got.statistic >= 0.0
        shuffle = np.random.default_rng(seed).permutation(n_models)
        other = superior_ability(gains[:, shuffle], n_bootstrap=50, studentize=studentize)
        assert shuffle[other.best] == got.best
        assert pvalues(other) == pvalues(got)

    def test_units_do_not_matter(self) -> None:
        gains = some_gains(0)
        assert pvalues(superior_ability(gains * 1e-4)) == pvalues(superior_ability(gains))
        each = gains * np.geomspace(1e-3, 1e3, gains.shape[1])
        assert pvalues(superior_ability(each)) == pvalues(superior_ability(gains))
        unstudentized = superior_ability(each, studentize=False)
        assert pvalues(unstudentized) != pvalues(superior_ability(gains, studentize=False))

    def test_every_parameter_changes_a_number(self) -> None:
        gains = some_gains(1) - 0.1
        first = superior_ability(gains)
        assert superior_ability(gains) == first
        for change in ({"block_length": 2.0}, {"seed": 1}, {"studentize": False}, {"n_bootstrap": 500}):
            assert pvalues(superior_ability(gains, **change)) != pvalues(first)

    def test_no_model_with_a_positive_mean(self) -> None:
        gains = some_gains(5)
        got = superior_ability(gains - gains.mean(axis=0) - 0.01)
        assert got.statistic == 0.0
        assert pvalues(got) == [1.0, 1.0, 1.0]

    def test_more_samples_keep_the_first_ones(self) -> None:
        few, many = (list(islice(stationary_bootstrap(30, block_length=3, seed=9), n)) for n in (5, 12))
        np.testing.assert_array_equal(few, many[:5])
        whole = superior_ability(some_gains(0), n_bootstrap=600)  # more than one chunk
        samples = list(islice(stationary_bootstrap(200, block_length=10.0, seed=0), 600))
        assert pvalues(whole) == plain_test(some_gains(0), samples, 10.0, studentize=True)


class TestErrors:
    @pytest.mark.parametrize("bad", [np.nan, -np.inf])
    def test_missing(self, bad: float) -> None:
        gains = some_gains(0)
        gains[4, 1] = bad
        with pytest.raises(EvaluationError, match="got 1 that are NaN or infinite, on 1 dates of 1 models"):
            superior_ability(gains)

    def test_benchmark_among_the_models(self) -> None:
        gains = some_gains(0)
        gains[:, 2] = 0.0
        with pytest.raises(EvaluationError, match=r"1 models \(first: column 2\) .* the benchmark itself is no model"):
            superior_ability(gains)

    @pytest.mark.parametrize("shape", [(100,), (100, 0)])
    def test_shape(self, shape: tuple[int, ...]) -> None:
        with pytest.raises(EvaluationError, match=r"shape \(n_dates, n_models\)"):
            superior_ability(np.ones(shape))

    def test_dates(self) -> None:
        with pytest.raises(EvaluationError, match="at least 10 dates, got 9"):
            superior_ability(some_gains(0, 9))

    @pytest.mark.parametrize("block_length", [0.5, 201.0, np.nan])
    def test_block_length(self, block_length: float) -> None:
        with pytest.raises(EvaluationError, match="from 1 to the number of dates, 200; got"):
            superior_ability(some_gains(0), block_length=block_length)
        with pytest.raises(EvaluationError, match="from 1 to the number of dates, 200; got"):
            stationary_bootstrap(200, block_length=block_length, seed=0)

    def test_samples(self) -> None:
        with pytest.raises(EvaluationError, match="at least 1 sample, got n_bootstrap 0"):
            superior_ability(some_gains(0), n_bootstrap=0)
