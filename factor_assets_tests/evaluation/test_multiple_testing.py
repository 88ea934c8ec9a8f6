"""Corrected p-values against statsmodels."""

from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factor_assets.errors import EvaluationError
from factor_assets.evaluation.multiple_testing import CORRECTIONS, Correction, adjusted_pvalues

STATSMODELS = {
    "bonferroni": "bonferroni",
    "holm": "holm",
    "benjamini_hochberg": "fdr_bh",
    "benjamini_yekutieli": "fdr_by",
}

families = st.lists(st.floats(0.0, 1.0) | st.sampled_from([0.0, 0.01, 0.05, 1.0]), max_size=30).map(np.array)
every_correction = pytest.mark.parametrize("method", CORRECTIONS)


@every_correction
class TestAgainstStatsmodels:
    @pytest.mark.parametrize("n", [1, 2, 17, 500])
    def test_equal(self, method: Correction, n: int) -> None:
        from statsmodels.stats.multitest import multipletests

        p = np.random.default_rng(n).uniform(size=n) ** 4
        p[: n // 5] = p[0]  # ties
        expected = multipletests(p, method=STATSMODELS[method])[1]
        np.testing.assert_allclose(adjusted_pvalues(p, method=method), expected, rtol=1e-12, atol=1e-15)

    @pytest.mark.parametrize("family_size", [40, 41, 1_000])
    def test_trials_not_at_hand_take_part_as_one(self, method: Correction, family_size: int) -> None:
        from statsmodels.stats.multitest import multipletests

        p = np.random.default_rng(0).uniform(size=40) ** 6
        everyone = np.append(p, np.ones(family_size - 40))
        expected = multipletests(everyone, method=STATSMODELS[method])[1][:40]
        ours = adjusted_pvalues(p, method=method, family_size=family_size)
        np.testing.assert_allclose(ours, expected, rtol=1e-12, atol=1e-15)


class TestAgainstByHand:
    P = np.array([0.04, 0.01, 0.03, 0.005])

    @pytest.mark.parametrize(
        ("method", "expected"),
        [
            ("bonferroni", [0.16, 0.04, 0.12, 0.02]),
            ("holm", [0.06, 0.03, 0.06, 0.02]),
            ("benjamini_hochberg", [0.04, 0.02, 0.04, 0.02]),
            ("benjamini_yekutieli", [0.04 * 25 / 12, 0.02 * 25 / 12, 0.04 * 25 / 12, 0.02 * 25 / 12]),
        ],
    )
    def test_four_trials(self, method: Correction, expected: list[float]) -> None:
        np.testing.assert_allclose(adjusted_pvalues(self.P, method=method), expected, rtol=1e-14)

    @pytest.mark.parametrize(
        ("method", "expected"),
        [
            ("bonferroni", [0.4, 0.1, 0.3, 0.05]),
            ("holm", [0.28, 0.09, 0.24, 0.05]),
            ("benjamini_hochberg", [0.1, 0.05, 0.1, 0.05]),
            ("benjamini_yekutieli", [0.1 * 7381 / 2520, 0.05 * 7381 / 2520, 0.1 * 7381 / 2520, 0.05 * 7381 / 2520]),
        ],
    )
    def test_four_known_of_ten(self, method: Correction, expected: list[float]) -> None:
        np.testing.assert_allclose(adjusted_pvalues(self.P, method=method, family_size=10), expected, rtol=1e-14)


@every_correction
class TestProperties:
    @settings(deadline=None, max_examples=50)
    @given(p=families, extra=st.integers(0, 50), seed=st.integers(0, 100))
    def test_bounds_order_and_permutation(self, method: Correction, p: np.ndarray, extra: int, seed: int) -> None:
        size = len(p) + extra
        adjusted = adjusted_pvalues(p, method=method, family_size=size)
        assert ((adjusted >= p) & (adjusted <= 1.0)).all()
        order = np.argsort(p, kind="stable")
        assert (np.diff(adjusted[order]) >= 0.0).all()
        assert (adjusted[order][1:][np.diff(p[order]) == 0.0] == adjusted[order][:-1][np.diff(p[order]) == 0.0]).all()
        shuffle = np.random.default_rng(seed).permutation(len(p))
        np.testing.assert_array_equal(adjusted_pvalues(p[shuffle], method=method, family_size=size), adjusted[shuffle])
        larger = adjusted_pvalues(p, method=method, family_size=size + 1)
        assert (larger >= adjusted).all()

    @settings(deadline=None, max_examples=50)
    @given(p=families, n_missing=st.integers(0, 5), seed=st.integers(0, 100))
    def test_nan_stays_and_does_not_count(self, method: Correction, p: np.ndarray, n_missing: int, seed: int) -> None:
        with_nan = np.append(p, np.full(n_missing, np.nan))
        shuffle = np.random.default_rng(seed).permutation(len(with_nan))
        expected = np.append(adjusted_pvalues(p, method=method), np.full(n_missing, np.nan))
        np.testing.assert_array_equal(adjusted_pvalues(with_nan[shuffle], method=method), expected[shuffle])

    def test_nan_counts_where_the_ledger_counted_it(self, method: Correction) -> None:
        p = np.array([0.01, np.nan, 0.002])
        counted = adjusted_pvalues(p, method=method, family_size=3)
        as_one = adjusted_pvalues(np.array([0.01, 1.0, 0.002]), method=method)
        np.testing.assert_array_equal(counted[[0, 2]], as_one[[0, 2]])
        assert np.isnan(counted[1])
        assert (counted[[0, 2]] > adjusted_pvalues(p, method=method)[[0, 2]]).all()

    def test_no_trial_and_no_known_trial(self, method: Correction) -> None:
        assert adjusted_pvalues(np.array([]), method=method).shape == (0,)
        assert np.isnan(adjusted_pvalues(np.array([np.nan]), method=method, family_size=7)).all()

    def test_noise_is_found_at_most_at_the_nominal_rate(self, method: Correction) -> None:
        random = np.random.default_rng(5)
        n_families = 400
        found = sum((adjusted_pvalues(p, method=method) <= 0.05).any() for p in random.uniform(size=(n_families, 50)))
        assert found <= 35  # 99.9% of Binomial(400, 0.05)
        if method != "benjamini_yekutieli":
            assert found >= 8  # 0.1%: not needlessly strict when independent


class TestMethods:
    def test_each_method_gives_another_number(self) -> None:
        p = np.array([0.001, 0.01, 0.02, 0.3])
        seen = {tuple(adjusted_pvalues(p, method=method)) for method in CORRECTIONS}
        assert len(seen) == len(get_args(Correction)) == 4

    @settings(deadline=None, max_examples=50)
    @given(p=families)
    def test_strictness(self, p: np.ndarray) -> None:
        bonferroni, holm, hochberg, yekutieli = (adjusted_pvalues(p, method=method) for method in CORRECTIONS)
        slack = 1.0 - 1e-14
        assert (bonferroni >= holm * slack).all()
        assert (holm >= hochberg * slack).all()
        assert (yekutieli >= hochberg).all()


class TestErrors:
    @pytest.mark.parametrize("bad", [-0.01, 1.01, np.inf, -np.inf])
    def test_not_a_probability(self, bad: float) -> None:
        with pytest.raises(EvaluationError, match=r"in \[0, 1\]; 1 of 3 are not"):
            adjusted_pvalues(np.array([0.1, bad, np.nan]), method="holm")

    def test_family_smaller_than_what_is_known(self) -> None:
        with pytest.raises(EvaluationError, match=r"family_size 1 for 2\. Take the number of trials from the ledger"):
            adjusted_pvalues(np.array([0.1, np.nan, 0.2]), method="holm", family_size=1)

    def test_unknown_method(self) -> None:
        with pytest.raises(EvaluationError, match=r"'bonferoni': did you mean 'bonferroni'\?"):
            adjusted_pvalues(np.array([0.1]), method="bonferoni")  # type: ignore[arg-type]

    def test_shape(self) -> None:
        with pytest.raises(EvaluationError, match=r"\(n_trials,\), got \(1, 2\)"):
            adjusted_pvalues(np.array([[0.1, 0.2]]), method="holm")
