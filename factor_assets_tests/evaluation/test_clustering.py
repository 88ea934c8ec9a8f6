"""Clusters of factors: against a plain loop over cluster pairs, their properties, their errors."""

from itertools import combinations

import numpy as np
import pytest

from factor_assets.errors import EvaluationError
from factor_assets.evaluation.clustering import HEIGHT, cluster_factors
from factor_assets.panel.panel import Array


def plain(correlation: Array, height: float) -> set[frozenset[int]]:
    """Join the two closest clusters until the closest are further than the height."""
    clusters = [frozenset([i]) for i in range(len(correlation))]

    def distance(a: frozenset[int], b: frozenset[int]) -> float:
        pairs = [correlation[i, j] for i in a for j in b]
        return float(np.mean([1.0 if np.isnan(c) else 1 - abs(c) for c in pairs]))

    while len(clusters) > 1:
        a, b = min(combinations(clusters, 2), key=lambda pair: distance(*pair))
        if distance(a, b) > height:
            break
        clusters = [c for c in clusters if c not in (a, b)] + [a | b]
    return set(clusters)


def correlations(n: int, seed: int, *, unknown: float = 0.0) -> Array:
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(4, 60))
    rows = common[rng.integers(0, 4, n)] * rng.choice([-1, 1], n)[:, None] + rng.normal(size=(n, 60)) * rng.random(
        (n, 1)
    )
    found = np.corrcoef(rows)
    found = (found + found.T) / 2
    hidden = np.triu(rng.random((n, n)) < unknown, 1)
    found[hidden | hidden.T] = np.nan
    return np.clip(found, -1, 1)


def groups(number: Array) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(number == k).tolist()) for k in np.unique(number)}


class TestAgainstAPlainLoop:
    @pytest.mark.parametrize("height", [0.0, 0.2, HEIGHT, 0.9])
    @pytest.mark.parametrize("unknown", [0.0, 0.3])
    def test_same_groups(self, height: float, unknown: float) -> None:
        for seed in range(6):
            correlation = correlations(14, seed, unknown=unknown)
            assert groups(cluster_factors(correlation, height=height).number) == plain(correlation, height)


class TestProperties:
    def test_a_factor_and_its_negative_are_one_cluster(self) -> None:
        found = cluster_factors(np.array([[1.0, 0.0, -0.9], [0.0, 1.0, 0.0], [-0.9, 0.0, 1.0]]))
        assert found.number[0] == found.number[2] != found.number[1]
        assert abs(found.place[0] - found.place[2]) == 1

    def test_numbers_follow_the_places_and_clusters_are_neighbours(self) -> None:
        for seed in range(5):
            found = cluster_factors(correlations(30, seed))
            assert sorted(found.place) == list(range(1, 31))
            by_place = found.number[np.argsort(found.place)]
            assert by_place[0] == 1
            assert set(np.diff(by_place)) <= {0, 1}

    def test_an_unknown_factor_is_a_cluster_of_its_own(self) -> None:
        correlation = np.full((4, 4), 0.99)
        correlation[2] = correlation[:, 2] = np.nan
        found = cluster_factors(correlation, height=0.999)
        assert groups(found.number) == {frozenset([2]), frozenset([0, 1, 3])}
        assert len(groups(cluster_factors(np.full((5, 5), np.nan)).number)) == 5

    def test_repeats(self) -> None:
        correlation = np.round(correlations(20, 3), 1)
        first, second = cluster_factors(correlation), cluster_factors(correlation.copy())
        np.testing.assert_array_equal(first.number, second.number)
        np.testing.assert_array_equal(first.place, second.place)

    def test_few_factors(self) -> None:
        assert cluster_factors(np.empty((0, 0))).number.shape == (0,)
        one = cluster_factors(np.array([[np.nan]]))
        assert (one.number.tolist(), one.place.tolist()) == ([1], [1])


class TestErrors:
    def test_matrix(self) -> None:
        with pytest.raises(EvaluationError, match=r"shape \(n_factors, n_factors\), got \(2, 3\)"):
            cluster_factors(np.ones((2, 3)))
        with pytest.raises(EvaluationError, match="symmetric"):
            cluster_factors(np.array([[1.0, 0.2], [0.3, 1.0]]))
        with pytest.raises(EvaluationError, match=r"from -1 to 1, got one of size 1\.5"):
            cluster_factors(np.array([[1.0, -1.5], [-1.5, 1.0]]))

    def test_height(self) -> None:
        for height in (-0.1, 1.0, np.nan):
            with pytest.raises(EvaluationError, match="height from 0 to below 1"):
                cluster_factors(np.eye(2), height=height)
