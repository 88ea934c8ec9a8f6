"""Sections: nothing lost, nothing above the limit, the right ones for each topic."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factor_assets.document_columns import SCORES
from factor_assets.text.pdf import read_pdf
from factor_assets.text.sections import (
    MAX_TOKENS,
    MOST_CHARACTERS,
    Section,
    choose_sections,
    cut_sections,
    sections_by_topic,
)
from factor_assets.text.topics import TOPIC_WORDS, topic_patterns

FILLER = "The weather in the valley was mild and the trees were green all year long.\n" * 5
FILING = (
    "TABLE OF CONTENTS\nItem 1. Business 3\nItem 1A. Risk Factors 6\nItem 7. Discussion and Analysis 9\n",
    f"Item 1. Business\n{FILLER}As Item 7 of this report says, our strategy is to expand.\nOur strategic priorities.\n",
    f"Item 1A. Risk Factors\n{FILLER}Risks could harm us. Litigation is a risk. Adverse uncertainties.\n",
    f"Item 1B. Comments\nNone.\nItem 7. Discussion and Analysis\n{FILLER}Sales grew.\n",
)
LETTER = (
    f"GREAT COMPANY\nDear shareholders,\n{FILLER}I am the chief executive officer.\n",
    f"GREAT COMPANY\nOUR MARKETS\n{FILLER}Competition grew, competitors cut prices.\n",
    f"GREAT COMPANY\nSUSTAINABILITY AND CLIMATE\n{FILLER}Carbon emissions fell.\n",
)
FILINGS = ("AMAZON_2019_10K", "APPLE_2018_10K", "MICROSOFT_2016_10K", "NETFLIX_2017_10K")
PIECES = ["a", "B", " ", "\n", ".", "1", "Item 1. Business\n", "OUR MARKETS\n", "word ", "our strategy is risk. "]
pages = st.lists(st.lists(st.sampled_from(PIECES), max_size=80).map("".join))


def words(texts: object) -> list[str]:
    return " ".join(texts).split()  # type: ignore[call-overload]


class TestAgainstRealFilings:
    @pytest.mark.parametrize("name", FILINGS)
    def test_a_filing_is_cut_at_its_items_and_loses_no_word(self, shared_data: Path, name: str) -> None:
        text = read_pdf((shared_data / "pdf" / f"{name}.pdf").read_bytes())
        sections = cut_sections(text.pages)
        assert words(section.text for section in sections) == words(text.pages)
        assert max(len(section.text) for section in sections) <= MOST_CHARACTERS
        items = [section.title.upper().split(" (PART")[0] for section in sections]
        assert {"ITEM 1. BUSINESS", "ITEM 1A. RISK FACTORS"} <= set(items)
        assert not any(item[-1].isdigit() for item in items if item.startswith("ITEM"))
        chosen = sections_by_topic(sections)
        assert sum(section.n_tokens for found in chosen.values() for section in found) <= MAX_TOKENS
        assert all(chosen.values())
        assert any("risk factors" in section.title.lower() for section in chosen["risk_factors"])


class TestProperties:
    @given(pages, st.integers(10, 300))
    def test_no_word_is_lost_and_no_section_is_above_the_limit(self, pages: list[str], most: int) -> None:
        sections = cut_sections(pages, most_characters=most)
        assert words(section.text for section in sections) == words(pages)
        longest = max((len(word) for word in words(pages)), default=0)
        assert all(len(section.text) <= max(most, longest) for section in sections)
        assert [section.first_page for section in sections] == sorted(section.first_page for section in sections)

    @given(pages, st.sampled_from(list(SCORES)), st.integers(0, 200))
    def test_what_is_chosen_fits_and_keeps_its_order(self, pages: list[str], topic: str, most: int) -> None:
        sections = cut_sections([*pages, *FILING])
        chosen = choose_sections(sections, topic, max_tokens=most)
        assert sum(section.n_tokens for section in chosen) <= most
        assert [sections.index(section) for section in chosen] == sorted(sections.index(section) for section in chosen)
        assert chosen == choose_sections(sections, topic, max_tokens=most)

    def test_items_are_sections_and_the_table_of_contents_is_not(self) -> None:
        titles = [section.title for section in cut_sections(FILING)]
        assert titles == ["beginning", "Item 1. Business", "Item 1A. Risk Factors", "Item 7. Discussion and Analysis"]

    def test_capitals_and_letters_are_headings_where_there_are_no_items(self) -> None:
        titles = [section.title for section in cut_sections(LETTER)]
        assert titles == ["beginning", "Dear shareholders,", "OUR MARKETS", "SUSTAINABILITY AND CLIMATE"]

    def test_without_headings_a_page_is_a_section(self) -> None:
        found = cut_sections([FILLER, "", FILLER])
        assert [(section.title, section.first_page) for section in found] == [("page 1", 1), ("page 3", 3)]

    def test_a_long_section_is_cut_into_parts_of_like_length(self) -> None:
        parts = cut_sections([FILLER * 10], most_characters=1000)
        assert [part.title for part in parts][:2] == ["page 1 (part 1 of 4)", "page 1 (part 2 of 4)"]
        assert min(len(part.text) for part in parts) > 0.7 * max(len(part.text) for part in parts)

    @pytest.mark.parametrize(
        ("topic", "title"),
        [
            ("ceo_statement", "Dear shareholders,"),
            ("market_trends", "OUR MARKETS"),
            ("esg_initiatives", "SUSTAINABILITY AND CLIMATE"),
        ],
    )
    def test_each_topic_gets_the_section_that_speaks_of_it(self, topic: str, title: str) -> None:
        assert [s.title for s in choose_sections(cut_sections(LETTER), topic, max_tokens=10_000)] == [title]

    def test_a_title_weighs_more_than_a_mention(self) -> None:
        about = Section(title="Our strategy", text=FILLER, first_page=1)
        mention = Section(title="Notes", text=FILLER + "Our strategy.", first_page=2)
        assert choose_sections([mention, about], "strategic_priorities", max_tokens=about.n_tokens) == (about,)

    def test_a_smaller_budget_sends_less(self) -> None:
        sections = cut_sections(FILING)
        counts = [
            sum(len(found) for found in sections_by_topic(sections, max_tokens=most).values())
            for most in (0, 900, MAX_TOKENS)
        ]
        assert counts == sorted(counts)
        assert counts[0] == 0 < counts[-1]

    def test_nothing_is_sent_of_a_report_that_speaks_of_nothing(self) -> None:
        assert choose_sections(cut_sections([FILLER]), "risk_factors", max_tokens=10_000) == ()

    def test_every_topic_has_words(self) -> None:
        assert list(TOPIC_WORDS) == list(SCORES)
        assert all(topic_patterns(topic) for topic in SCORES)

    def test_words_are_whole(self) -> None:
        risks = topic_patterns("risk_factors")
        assert any(pattern.search("RISKS") for pattern in risks)
        assert not any(pattern.search("a brisk trade with asterisks") for pattern in risks)


class TestErrors:
    def test_no_page_is_no_section(self) -> None:
        assert cut_sections([]) == cut_sections(["", " \n"]) == ()

    def test_a_word_above_the_limit_stays_whole(self) -> None:
        assert [section.text for section in cut_sections(["a " + "b" * 50], most_characters=10)] == ["a", "b" * 50]
