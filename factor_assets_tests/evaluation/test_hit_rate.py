"""Hit rates over sessions and names."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from factor_assets.errors import EvaluationError, MisalignedError
from factor_assets.evaluation.hit_rate import binomial_interval, hit_rate, name_hits
from factor_assets.evaluation.ranking import rank
from factor_assets_tests.evaluation.sorts import random_market


class TestAgainstScipyAndLoops:
    @pytest.mark.parametrize(("n_right", "n"), [(0, 1), (1, 1), (0, 30), (30, 30), (7, 20), (1300, 2520), (5, 10)])
    @pytest.mark.parametrize("confidence", [0.5, 0.95, 0.99])
    def test_intervals_and_pvalues(self, n_right: int, n: int, confidence: float) -> None:
        test = binomtest(n_right, n)
        for ours, theirs in (("wilson", "wilson"), ("clopper_pearson", "exact")):
            expected = test.proportion_ci(confidence, method=theirs)
            got = binomial_interval(n_right, n, confidence=confidence, interval=ours)
            np.testing.assert_allclose(got, (expected.low, expected.high), atol=1e-12)
        signs = np.r_[np.ones(n_right), -np.ones(n - n_right)]
        got = hit_rate(signs, confidence=confidence)
        assert got.pvalue == pytest.approx(test.pvalue, abs=1e-12)
        assert got.rate == n_right / n
        assert (got.lower, got.upper) == binomial_interval(n_right, n, confidence=confidence)

    @pytest.mark.parametrize("seed", [0, 1])
    def test_names_equal_loops(self, seed: int) -> None:
        market = random_market(seed)
        n_right, n = name_hits(rank(market.factor), rank(market.returns), delay=2)
        for d in range(2, len(n)):
            x, y = market.factor[d - 2], market.returns[d]
            both = np.isfinite(x) & np.isfinite(y)
            if not both.any():
                assert n[d] == 0
                continue
            sides = np.sign(x[both] - np.median(x[both])) * np.sign(y[both] - np.median(y[both]))
            assert (n_right[d], n[d]) == ((sides > 0).sum(), (sides != 0).sum())


class TestProperties:
    def test_sign_zero_and_missing(self) -> None:
        values = np.array([1.0, 2.0, -1.0, 0.0, np.nan, np.inf])
        got, turned = hit_rate(values), hit_rate(values, sign=-1)
        assert (got.n_right, got.n, got.n_zero) == (2, 3, 1)
        assert turned.n_right == 1
        assert got.rate + turned.rate == 1.0

    def test_every_takes_the_newest_first(self) -> None:
        values = np.array([1.0, -1.0, 1.0, -1.0, 1.0])
        assert hit_rate(values, every=2).rate == 1.0
        assert hit_rate(values[:-1], every=2).rate == 0.0
        assert hit_rate(values, every=2).n == 3

    @pytest.mark.parametrize("values", [np.array([]), np.full(5, np.nan), np.zeros(4)])
    def test_nothing_to_count(self, values: np.ndarray) -> None:
        got = hit_rate(values)
        assert np.isnan([got.rate, got.lower, got.upper, got.pvalue]).all()
        assert got.n == 0

    def test_interval_covers_at_the_nominal_rate(self) -> None:
        rates = np.linspace(0.3, 0.7, 41)
        cover = {}
        for name in ("wilson", "clopper_pearson"):
            ends = np.array([binomial_interval(k, 100, interval=name) for k in range(101)])
            inside = (ends[:, :1] <= rates) & (rates <= ends[:, 1:])
            cover[name] = (binom.pmf(np.arange(101)[:, None], 100, rates) * inside).sum(axis=0)
        assert cover["wilson"].mean() == pytest.approx(0.95, abs=0.005)
        assert (cover["clopper_pearson"] >= 0.95).all()

    def test_names_of_a_perfect_factor_and_of_a_constant_one(self) -> None:
        x = np.tile(np.arange(12.0), (2, 1))
        assert [a.tolist() for a in name_hits(rank(x), rank(x), delay=1)] == [[0, 12], [0, 12]]
        assert [a.tolist() for a in name_hits(rank(x), rank(-x), delay=1)] == [[0, 0], [0, 12]]
        assert [a.tolist() for a in name_hits(rank(np.ones_like(x)), rank(x), delay=1)] == [[0, 0], [0, 0]]
        assert [a.tolist() for a in name_hits(rank(x[:, :1]), rank(x[:, :1]), delay=1)] == [[0, 0], [0, 0]]
        assert name_hits(rank(x), rank(x), delay=5)[1].tolist() == [0, 0]

    @hypothesis_settings(max_examples=20, deadline=None)
    @given(seed=st.integers(0, 10_000), stop=st.integers(1, 30))
    def test_later_dates_order_and_increasing_functions_change_nothing(self, seed: int, stop: int) -> None:
        market = random_market(seed, n_dates=30, n_tickers=21)  # the median of an odd number is a name's value
        market = market._replace(factor=np.where(np.isfinite(market.factor), market.factor, 0.0))
        returns = np.random.default_rng(seed).normal(size=market.factor.shape)
        whole = np.array(name_hits(rank(market.factor), rank(returns), delay=1))
        cut = np.array(name_hits(rank(market.factor[:stop]), rank(returns[:stop]), delay=1))
        np.testing.assert_array_equal(cut, whole[:, :stop])
        order = np.random.default_rng(seed).permutation(21)
        moved = np.array(name_hits(rank(np.exp(market.factor[:, order])), rank(returns[:, order] ** 3), delay=1))
        np.testing.assert_array_equal(moved, whole)


class TestErrors:
    def test_messages(self) -> None:
        ones = np.ones((3, 4))
        with pytest.raises(EvaluationError, match="sign 1 or -1, got 0"):
            hit_rate(ones[0], sign=0)  # type: ignore[arg-type]
        with pytest.raises(EvaluationError, match="got every 0"):
            hit_rate(ones[0], every=0)
        with pytest.raises(EvaluationError, match=r"a confidence in \(0, 1\), got 95"):
            hit_rate(ones[0], confidence=95)
        with pytest.raises(EvaluationError, match="Unknown interval 'wald' of a rate; "):
            hit_rate(ones[0], interval="wald")  # type: ignore[arg-type]
        with pytest.raises(EvaluationError, match="n_right in 0 to n, got 5 and 4"):
            binomial_interval(5, 4)
        with pytest.raises(MisalignedError, match="one shape"):
            name_hits(rank(ones), rank(np.ones((3, 5))), delay=1)
        with pytest.raises(EvaluationError, match="got delay 0"):
            name_hits(rank(ones), rank(ones), delay=0)
