"""How alike two texts are by the words in them: cosine of the counts, and shared words over all.

What does not belong here: which texts are compared (`filing_texts.py`), words with a meaning (`tone.py`).

Both are among the four measures of Cohen, Malloy and Nguyen (2020, "Lazy Prices", Journal of Finance 75(3), 1371-1415,
doi:10.1111/jofi.12885). Frequent words are neither removed nor weighted, so that the cosine of two long reports is high
whatever they say (0.87 between those of two companies): ranks tell more than levels.
"""

import re
from collections import Counter
from collections.abc import Mapping
from math import sqrt

_WORD = re.compile(r"[^\W\d_]{2,}")


def words(text: str) -> list[str]:
    """Return the words of a text in their order, in small letters: runs of two or more letters.

    Two letters and more, as Loughran and McDonald (2011, Journal of Finance 66(1), 35-65) count. What is joined by a
    hyphen or an apostrophe is two words.

    Examples
    --------
    >>> words("A 10-K of Apple's: risk-free, $5.1 million.")
    ['of', 'apple', 'risk', 'free', 'million']
    """
    return _WORD.findall(text.lower())


def word_counts(found: list[str]) -> dict[str, int]:
    """Return word -> how often it occurs."""
    return dict(Counter(found))


def cosine_similarity(a: Mapping[str, int], b: Mapping[str, int]) -> float | None:
    """Return the cosine between two vectors of word counts.

    Returns
    -------
    In [0, 1]: 1 for the same words in the same proportions, 0 for none in common. None if either text has no words:
    nothing is known of the likeness of nothing.

    Examples
    --------
    >>> cosine_similarity({"we": 1, "win": 1}, {"we": 1, "lose": 1})
    0.5
    """
    if not a or not b:
        return None
    fewer, more = (a, b) if len(a) <= len(b) else (b, a)
    # Whole numbers until the last step: no rounding, and the order of the words does not matter.
    shared = sum(n * more[word] for word, n in fewer.items() if word in more)
    squares = sum(n * n for n in a.values()) * sum(n * n for n in b.values())
    return min(1.0, shared / sqrt(squares))


def jaccard_similarity(a: Mapping[str, int], b: Mapping[str, int]) -> float | None:
    """Return the different words that both have over those that either has.

    Returns
    -------
    In [0, 1]; None if either text has no words.

    Examples
    --------
    >>> jaccard_similarity({"we": 1, "win": 1}, {"we": 7, "lose": 1})
    0.3333333333333333
    """
    if not a or not b:
        return None
    shared = len(a.keys() & b.keys())
    return shared / (len(a) + len(b) - shared)
