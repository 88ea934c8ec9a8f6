"""Tone of a text by a list of positive and negative words that the user brings.

What does not belong here: what a word is (`similarity.words`), and any list: those that exist have licences.

Counting follows Loughran and McDonald (2011, "When Is a Liability Not a Liability?", Journal of Finance 66(1), 35-65,
doi:10.1111/j.1540-6261.2010.01625.x): every occurrence counts once, and a positive word does not count where no, not,
none, neither, never or nobody is among the three words before it. Negative words are seldom negated to make praise, and
count always. They report shares of all words; `tone` is the difference of both counts over their sum.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from factor_assets.errors import SettingsError, did_you_mean
from factor_assets.text.similarity import words

NEGATIONS = frozenset(("no", "not", "none", "neither", "never", "nobody"))
REACH = 3
"""Words before a positive one among which a negation undoes it."""

KINDS = ("positive", "negative")
_COLUMNS = ("word", "kind")


@dataclass(frozen=True, slots=True)
class WordList:
    """Words with a tone, in small letters; none is in both."""

    positive: frozenset[str]
    negative: frozenset[str]

    @property
    def version(self) -> str:
        """Hash of the words: another list has another one."""
        text = "\n".join(" ".join(sorted(side)) for side in (self.positive, self.negative))
        return sha256(text.encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Tone:
    """Words of a text that have a tone.

    Parameters
    ----------
    n_positive
        Without those that are negated.
    """

    n_positive: int
    n_negative: int
    n_words: int

    @property
    def tone(self) -> float | None:
        """Positive less negative words over their sum, in [-1, 1]; None if there are neither."""
        both = self.n_positive + self.n_negative
        return (self.n_positive - self.n_negative) / both if both else None

    @property
    def negative_share(self) -> float | None:
        """Negative words over all; None if there are no words."""
        return self.n_negative / self.n_words if self.n_words else None


def count_tone(found: Sequence[str], word_list: WordList, *, reach: int = REACH) -> Tone:
    """Count the words of a text that have a tone.

    Parameters
    ----------
    found
        Words in their order, as `similarity.words` returns them.
    reach
        How many words before a positive one are searched for a negation.

    Examples
    --------
    >>> count_tone(["no", "great", "gain", "after", "a", "loss"], WordList(frozenset({"gain"}), frozenset({"loss"})))
    Tone(n_positive=0, n_negative=1, n_words=6)
    """
    positive, negative = word_list.positive, word_list.negative
    n_positive = sum(
        word in positive and NEGATIONS.isdisjoint(found[max(0, place - reach) : place])
        for place, word in enumerate(found)
    )
    return Tone(n_positive, sum(word in negative for word in found), len(found))


def read_word_list(path: str) -> WordList:
    """Read the user's list: a CSV file with the columns word and kind, which is positive or negative.

    Other columns are not read. Letters may be capital. What could never be counted is an error, not passed over.

    Raises
    ------
    SettingsError
        If the file cannot be read, has not these columns, or has an entry that is not one word with one kind.
    """
    place = Path(path).expanduser()
    try:
        with place.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.DictReader(lines)
            names = {(name or "").strip().lower(): name for name in reader.fieldnames or ()}
            missing = [name for name in _COLUMNS if name not in names]
            if missing:
                raise _wrong(
                    place, f"has no column {' and no column '.join(missing)}; it has {', '.join(names) or 'none'}"
                )
            entries = [
                (
                    reader.line_num,
                    (row[names["word"]] or "").strip().lower(),
                    (row[names["kind"]] or "").strip().lower(),
                )
                for row in reader
            ]
    except OSError as error:
        raise _wrong(place, f"cannot be opened ({error.strerror or type(error).__name__})") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise _wrong(place, f"is not CSV in UTF-8 ({type(error).__name__})") from None
    kind_of: dict[str, str] = {}
    for line, word, kind in entries:
        if kind not in KINDS:
            raise _wrong(place, f"line {line} has the kind {kind!r}; {did_you_mean(kind, KINDS)}")
        if words(word) != [word]:
            raise _wrong(place, f"line {line} has {word!r}, which is not one word of two or more letters")
        if kind_of.setdefault(word, kind) != kind:
            raise _wrong(place, f"line {line} has {word!r} as {kind}, an earlier one as {kind_of[word]}")
    if not kind_of:
        raise _wrong(place, "has no words")
    sides = {side: frozenset(word for word, kind in kind_of.items() if kind == side) for side in KINDS}
    return WordList(positive=sides["positive"], negative=sides["negative"])


def _wrong(place: Path, what: str) -> SettingsError:
    return SettingsError(
        f"The word list {place} {what}. Setting reports.word_list wants a CSV file with the columns word and kind"
        " (positive or negative); without the setting the tone is null."
    )
