"""Likeness of word counts against vectors written out in numpy."""

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factor_assets.text.similarity import cosine_similarity, jaccard_similarity, word_counts, words

counts = st.dictionaries(st.text("abc", min_size=2, max_size=3), st.integers(1, 10**6), min_size=1, max_size=12)


def naive_cosine(a: Mapping[str, int], b: Mapping[str, int]) -> float:
    vocabulary = sorted(a.keys() | b.keys())
    x, y = (np.array([side.get(word, 0) for word in vocabulary], dtype=float) for side in (a, b))
    return float(x @ y / (np.linalg.norm(x) * np.linalg.norm(y)))


def naive_jaccard(a: Mapping[str, int], b: Mapping[str, int]) -> float:
    return len([word for word in a if word in b]) / len({*a, *b})


class TestAgainstNumpy:
    @given(counts, counts)
    def test_cosine_is_that_of_the_vectors(self, a: dict[str, int], b: dict[str, int]) -> None:
        assert cosine_similarity(a, b) == pytest.approx(naive_cosine(a, b), rel=1e-12, abs=1e-300)

    @given(counts, counts)
    def test_jaccard_is_that_of_the_sets(self, a: dict[str, int], b: dict[str, int]) -> None:
        assert jaccard_similarity(a, b) == naive_jaccard(a, b)

    def test_the_example_of_the_publication(self) -> None:
        """The three sentences of Cohen, Malloy and Nguyen; they print 0.91 and 0.40, 0.83 and 0.25."""
        a = word_counts(words("We expect demand to increase."))
        b = word_counts(words("We expect worldwide demand to increase."))
        c = word_counts(words("We expect weakness in sales."))
        assert cosine_similarity(a, b) == pytest.approx(5 / np.sqrt(5 * 6))
        assert jaccard_similarity(a, b) == 5 / 6
        assert cosine_similarity(a, c) == pytest.approx(2 / 5)
        assert jaccard_similarity(a, c) == 2 / 8


class TestProperties:
    @given(counts, st.integers(1, 1000))
    def test_the_same_words_are_one_exactly(self, a: dict[str, int], times: int) -> None:
        assert cosine_similarity(a, a) == 1.0
        assert jaccard_similarity(a, a) == 1.0
        longer = {word: n * times for word, n in a.items()}
        assert cosine_similarity(a, longer) == pytest.approx(1.0, abs=1e-15)

    @given(counts)
    def test_no_word_in_common_is_zero(self, a: dict[str, int]) -> None:
        other = {word.upper(): n for word, n in a.items()}
        assert cosine_similarity(a, other) == 0.0
        assert jaccard_similarity(a, other) == 0.0

    @given(counts, counts)
    def test_both_are_symmetric_in_bits_and_within_bounds(self, a: dict[str, int], b: dict[str, int]) -> None:
        turned = dict(reversed(list(a.items())))
        for measure in (cosine_similarity, jaccard_similarity):
            found = measure(a, b)
            assert found == measure(b, a) == measure(turned, b)
            assert found is not None
            assert 0.0 <= found <= 1.0

    def test_words_are_runs_of_two_or_more_letters(self) -> None:
        assert words("I sold 3 iPhones in Q4-2024; don't re-use É-tés, ÉTÉ x9y snake_case") == [
            *("sold", "iphones", "in", "don", "re", "use", "tés", "été", "snake", "case")
        ]
        assert words("") == []
        assert word_counts(["to", "be", "or", "not", "to", "be"]) == {"to": 2, "be": 2, "or": 1, "not": 1}


class TestErrors:
    def test_nothing_is_like_nothing(self) -> None:
        for a, b in (({}, {"we": 1}), ({"we": 1}, {}), ({}, {})):
            assert cosine_similarity(a, b) is None
            assert jaccard_similarity(a, b) is None
