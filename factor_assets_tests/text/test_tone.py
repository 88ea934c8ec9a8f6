"""Tone by a list of words, counted again word by word; and lists that cannot be used."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factor_assets.errors import SettingsError
from factor_assets.text.similarity import words
from factor_assets.text.tone import NEGATIONS, Tone, WordList, count_tone, read_word_list

LIST = WordList(positive=frozenset({"gain", "strong"}), negative=frozenset({"loss", "weak"}))
VOCABULARY = ["gain", "strong", "loss", "weak", "the", "of", *sorted(NEGATIONS)]


def naive(found: list[str]) -> tuple[int, int]:
    positive = negative = 0
    for i, word in enumerate(found):
        if word in ("loss", "weak"):
            negative += 1
        if word in ("gain", "strong"):
            before = [found[j] for j in (i - 1, i - 2, i - 3) if j >= 0]
            if not any(b in ("no", "not", "none", "neither", "never", "nobody") for b in before):
                positive += 1
    return positive, negative


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "words.csv"


class TestAgainstCountingAgain:
    @given(st.lists(st.sampled_from(VOCABULARY), max_size=40))
    def test_counts_are_those_of_a_loop(self, found: list[str]) -> None:
        tone = count_tone(found, LIST)
        assert (tone.n_positive, tone.n_negative) == naive(found)
        assert tone.n_words == len(found)

    def test_a_sentence_by_hand(self) -> None:
        tone = count_tone(words("Strong gain after a weak year; not a strong one. No loss."), LIST)
        assert tone == Tone(n_positive=2, n_negative=2, n_words=10)
        assert tone.tone == 0.0
        assert tone.negative_share == 0.2


class TestProperties:
    def test_only_three_words_before_negate(self) -> None:
        assert count_tone(["never", "was", "there", "gain"], LIST).n_positive == 0
        assert count_tone(["never", "was", "there", "any", "gain"], LIST).n_positive == 1
        assert count_tone(["never", "was", "there", "any", "gain"], LIST, reach=4).n_positive == 0
        assert count_tone(["gain", "not"], LIST).n_positive == 1

    def test_negative_words_count_negated_or_not(self) -> None:
        assert count_tone(["no", "loss"], LIST).n_negative == 1

    def test_tone_is_within_bounds_and_null_without_its_words(self) -> None:
        assert Tone(3, 0, 9).tone == 1.0
        assert Tone(0, 3, 9).tone == -1.0
        assert Tone(0, 0, 9).tone is None
        assert Tone(0, 0, 9).negative_share == 0.0
        assert Tone(0, 0, 0).negative_share is None

    def test_a_list_reads_with_capitals_other_columns_and_any_order(self, path: Path) -> None:
        path.write_text("\ufeffKind,Year,Word\nPositive,2009, GAIN \nnegative,2009,Loss\nnegative,2011,loss\n", "utf-8")
        found = read_word_list(str(path))
        assert found == WordList(frozenset({"gain"}), frozenset({"loss"}))
        assert found.version == WordList(frozenset({"gain"}), frozenset({"loss"})).version
        assert found.version != WordList(frozenset({"loss"}), frozenset({"gain"})).version


class TestErrors:
    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "has no column word and no column kind; it has none"),
            ("word\ngain\n", "has no column kind; it has word"),
            ("word,kind\n", "has no words"),
            ("word,kind\ngain,positve\n", "line 2 has the kind 'positve'; did you mean 'positive'"),
            ("word,kind\ngain\n", "line 2 has the kind ''"),
            ("word,kind\nrisk-free,positive\n", "line 2 has 'risk-free', which is not one word"),
            ("word,kind\na,positive\n", "line 2 has 'a', which is not one word of two or more letters"),
            ("word,kind\ngain,positive\nGain,negative\n", "line 3 has 'gain' as negative, an earlier one as positive"),
        ],
    )
    def test_a_list_that_cannot_be_used_says_where_and_what(self, path: Path, text: str, message: str) -> None:
        path.write_text(text, "utf-8")
        with pytest.raises(SettingsError) as caught:
            read_word_list(str(path))
        assert message in str(caught.value)
        assert str(caught.value).endswith("(positive or negative); without the setting the tone is null.")

    def test_a_file_that_cannot_be_read_says_so(self, path: Path) -> None:
        with pytest.raises(SettingsError, match=r"cannot be opened \(No such file or directory\)"):
            read_word_list(str(path))
        path.write_bytes(b"word,kind\ncaf\xe9,positive\n")
        with pytest.raises(SettingsError, match="is not CSV in UTF-8"):
            read_word_list(str(path))
