"""Overfitting against a plain loop over the splits, and on strategies with and without merit."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factor_assets.errors import EvaluationError
from factor_assets.evaluation.overfitting import Statistic, probability_of_overfitting


def noise(seed: int, n_dates: int = 120, n_strategies: int = 7) -> np.ndarray:
    return 0.01 * np.random.default_rng(seed).standard_t(5, size=(n_dates, n_strategies))


def plain(returns: np.ndarray, n_blocks: int, statistic: Statistic) -> dict[str, np.ndarray]:
    """The definition, one split at a time, from the returns themselves."""
    from scipy.stats import rankdata

    def measure(rows: np.ndarray) -> np.ndarray:
        return rows.mean(axis=0) / (rows.std(axis=0, ddof=1) if statistic == "sharpe_ratio" else 1.0)

    blocks = np.split(returns[len(returns) % n_blocks :], n_blocks)
    rows = []
    for inside in combinations(range(n_blocks), n_blocks // 2):
        train = measure(np.concatenate([blocks[b] for b in inside]))
        test = measure(np.concatenate([blocks[b] for b in range(n_blocks) if b not in inside]))
        best = int(train.argmax())
        relative = rankdata(test)[best] / (returns.shape[1] + 1)
        rows.append((best, train[best], test[best], np.log(relative / (1 - relative))))
    names = ("chosen", "in_sample", "out_of_sample", "logits")
    return {name: np.array([row[i] for row in rows]) for i, name in enumerate(names)}


class TestAgainstPlainLoop:
    @pytest.mark.parametrize("statistic", ["sharpe_ratio", "mean"])
    @pytest.mark.parametrize(("n_blocks", "n_dates", "n_strategies"), [(4, 8, 2), (6, 100, 5), (8, 123, 11)])
    def test_equal(self, statistic: Statistic, n_blocks: int, n_dates: int, n_strategies: int) -> None:
        returns = noise(n_blocks, n_dates, n_strategies) + 0.002
        got = probability_of_overfitting(returns, n_blocks=n_blocks, statistic=statistic)
        expected = plain(returns, n_blocks, statistic)
        np.testing.assert_array_equal(got.chosen, expected["chosen"])
        for name in ("in_sample", "out_of_sample", "logits"):
            np.testing.assert_allclose(getattr(got, name), expected[name], rtol=1e-10, atol=1e-12)
        assert got.probability == np.mean(expected["logits"] <= 1e-12)
        assert got.probability_of_loss == np.mean(expected["out_of_sample"] < 0)
        slope, intercept = np.polyfit(expected["in_sample"], expected["out_of_sample"], 1)
        assert got.degradation_slope == pytest.approx(slope, rel=1e-8)
        assert got.degradation_intercept == pytest.approx(intercept, rel=1e-8)
        assert got.n_left_out == n_dates % n_blocks

    def test_large_means_do_not_cancel(self) -> None:
        returns = noise(0) + 1e4
        got = probability_of_overfitting(returns, n_blocks=6)
        np.testing.assert_allclose(got.in_sample, plain(returns, 6, "sharpe_ratio")["in_sample"], rtol=1e-8)


class TestAgainstSimulation:
    def test_noise_is_a_coin_toss(self) -> None:
        random = np.random.default_rng(0)
        pbo = [probability_of_overfitting(random.normal(size=(160, 20)), n_blocks=8).probability for _ in range(300)]
        assert np.mean(pbo) == pytest.approx(0.5, abs=0.06)

    def test_a_real_strategy_among_noise_is_not_overfitted(self) -> None:
        returns = noise(1, 1000, 50)
        returns[:, 17] += 0.005
        got = probability_of_overfitting(returns, n_blocks=10)
        assert got.probability < 0.01
        assert got.probability_of_loss < 0.01
        assert (got.chosen == 17).all()

    def test_what_wins_on_one_half_alone_is_overfitted(self) -> None:
        returns = noise(2, 800, 20)
        for column in range(20):  # each strategy shines on some 100 dates and pays it back elsewhere
            block = column % 8
            returns[100 * block : 100 * (block + 1), column] += 0.05
            returns[:, column] -= returns[:, column].mean()
        got = probability_of_overfitting(returns, n_blocks=8)
        assert got.probability > 0.95
        assert got.probability_of_loss > 0.95
        assert got.degradation_slope < 0


class TestProperties:
    @settings(deadline=None, max_examples=25)
    @given(seed=st.integers(0, 1000), n_blocks=st.sampled_from([4, 6, 8]), n_strategies=st.integers(2, 9))
    def test_bounds_and_permutation(self, seed: int, n_blocks: int, n_strategies: int) -> None:
        returns = noise(seed, 50, n_strategies)
        got = probability_of_overfitting(returns, n_blocks=n_blocks)
        assert 0.0 <= got.probability <= 1.0
        assert 0.0 <= got.probability_of_loss <= 1.0
        assert np.isfinite(got.logits).all()
        shuffle = np.random.default_rng(seed).permutation(n_strategies)
        other = probability_of_overfitting(returns[:, shuffle], n_blocks=n_blocks)
        np.testing.assert_array_equal(shuffle[other.chosen], got.chosen)
        for name in ("in_sample", "out_of_sample", "logits"):
            np.testing.assert_array_equal(getattr(other, name), getattr(got, name))

    def test_scale_of_a_strategy_matters_to_the_mean_alone(self) -> None:
        returns = noise(3)
        scaled = returns * np.array([1, 1, 64.0, 1, 1, 1, 1])
        for statistic, is_same in (("sharpe_ratio", True), ("mean", False)):
            one = probability_of_overfitting(returns, n_blocks=6, statistic=statistic)
            other = probability_of_overfitting(scaled, n_blocks=6, statistic=statistic)
            assert np.array_equal(one.logits, other.logits) == is_same

    def test_blocks_change_the_number(self) -> None:
        returns = noise(5)
        got = [probability_of_overfitting(returns, n_blocks=n_blocks) for n_blocks in (4, 8, 12)]
        assert [len(o.logits) for o in got] == [6, 70, 924]
        assert len({o.probability for o in got}) == 3

    def test_oldest_dates_are_left_out(self) -> None:
        returns = noise(5, 123)
        got, later = (probability_of_overfitting(rows, n_blocks=8) for rows in (returns, returns[3:]))
        np.testing.assert_array_equal(got.logits, later.logits)
        assert (got.n_left_out, later.n_left_out) == (3, 0)

    def test_copies_of_one_strategy_share_the_median(self) -> None:
        got = probability_of_overfitting(np.repeat(noise(6, n_strategies=1), 5, axis=1), n_blocks=6)
        assert (got.logits == 0.0).all()
        assert got.probability == 1.0

    def test_a_mean_that_never_varies_has_no_slope(self) -> None:
        returns = np.zeros((40, 2))
        got = probability_of_overfitting(returns, n_blocks=4, statistic="mean")
        assert np.isnan(got.degradation_slope)
        assert np.isnan(got.degradation_intercept)
        assert got.probability_of_loss == 0.0

    def test_same_bits_again(self) -> None:
        for again in (noise(7), np.asfortranarray(noise(7))):
            one, other = (probability_of_overfitting(rows, n_blocks=8) for rows in (noise(7), again))
            np.testing.assert_array_equal(one.out_of_sample, other.out_of_sample)


class TestErrors:
    @pytest.mark.parametrize("n_blocks", [0, 2, 5, 22, -4])
    def test_blocks(self, n_blocks: int) -> None:
        with pytest.raises(EvaluationError, match=f"even number of blocks from 4 to 20, got {n_blocks}"):
            probability_of_overfitting(noise(0), n_blocks=n_blocks)

    @pytest.mark.parametrize("shape", [(120,), (120, 1), (120, 0), (2, 3, 4)])
    def test_shape(self, shape: tuple[int, ...]) -> None:
        with pytest.raises(EvaluationError, match="at least 2 strategies, all that were tried"):
            probability_of_overfitting(np.ones(shape))

    def test_dates(self) -> None:
        with pytest.raises(EvaluationError, match="16 blocks want at least 32 dates, got 31"):
            probability_of_overfitting(noise(0, 31))

    @pytest.mark.parametrize("bad", [np.nan, np.inf])
    def test_missing(self, bad: float) -> None:
        returns = noise(0)
        returns[3, 1] = returns[3, 2] = returns[5, 2] = bad
        with pytest.raises(EvaluationError, match="got 3 that are NaN or infinite, on 2 dates of 2 strategies"):
            probability_of_overfitting(returns)

    def test_constant_on_half_of_the_blocks(self) -> None:
        returns = noise(0)
        returns[:60, 4] = 0.0
        with pytest.raises(EvaluationError, match=r"1 strategies \(first: column 4\) .* at least 3 of 6 blocks"):
            probability_of_overfitting(returns, n_blocks=6)
        assert probability_of_overfitting(returns, n_blocks=6, statistic="mean").probability >= 0.0
        returns[:20, 4] = 0.001  # two values on these blocks: every half varies
        assert np.isfinite(probability_of_overfitting(returns, n_blocks=6).in_sample).all()

    def test_statistic(self) -> None:
        with pytest.raises(EvaluationError, match=r"'sharpe': did you mean 'sharpe_ratio'\?"):
            probability_of_overfitting(noise(0), statistic="sharpe")  # type: ignore[arg-type]
