"""A report's text cut into sections, and the sections that each topic is rated on.

What does not belong here: where the text comes from (`pdf.py`), how a model is asked (`language_model.py`).

Cutting, in steps:

1. Headings are the items of a 10-K ("Item 1A. Risk Factors"); of other reports lines in capitals and what letters begin
   with ("Dear shareholders"). What runs along the pages is no heading.
2. An item with a page number behind it, or that ends before it has a few lines, is an entry of the table of contents or
   says nothing: it joins what comes before.
3. Where there are next to no headings, every page is a section.
4. A section above the limit is cut at a line's end into parts of like length. No word is lost anywhere.

Choosing: a section scores by the words of the topic in it, with weight for those in its title, saturating in their
count and relative to its length (BM25; Robertson and Zaragoza 2009, Foundations and Trends in Information Retrieval
3(4), equation 3.15, without the weight of rare words, doi:10.1561/1500000019). The best sections are taken while they
fit. Everything is deterministic.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from factor_assets.document_columns import SCORES
from factor_assets.text.topics import topic_patterns

MOST_CHARACTERS = 12_000
"""A section holds at most so much: about 3,000 tokens."""

CHARACTERS_A_TOKEN = 4
"""Rule of thumb for English."""

MAX_TOKENS = 40_000
"""What one report may cost, over all topics."""


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a report.

    Parameters
    ----------
    title
        Its heading, or the pages it is on.
    first_page
        Page on which it begins, counted from one.
    """

    title: str
    text: str
    first_page: int

    @property
    def n_tokens(self) -> int:
        """How many tokens a model will count, about; never too few for plain English."""
        return (len(self.title) + len(self.text)) // CHARACTERS_A_TOKEN + 1


_ITEM = re.compile(r"^\s*item\s+\d{1,2}\s?[a-c]?\s?[.:)\u2013\u2014-]\s*\S*[a-z]", re.IGNORECASE)
_REFERENCE = re.compile(r"^\s*item\s+\d{1,2}[a-c]?\s*[,;(]|\bof (this|the|our|part)\b", re.IGNORECASE)
_ENTRY = re.compile(r"(\s|\.)\d{1,3}\s*$")
_LETTER = re.compile(
    r"^\s*(dear|to our|fellow) (valued )?(share|stock)(holders|owners)\b"
    r"|^\s*(letter|message|statement) (to|from) (the|our)\b"
    r"|^\s*(chief executive|chair\w*)(['\u2019]s)? (statement|review|letter)\b",
    re.IGNORECASE,
)
_SHORTEST_ITEM = 200
_FEWEST_HEADINGS = 3
_LONGEST_HEADING = 100
_RUNNING = 3
_K1, _B, _TITLE_WEIGHT, _LEAST_SCORE = 1.5, 0.75, 5, 1.0


def cut_sections(pages: Sequence[str], *, most_characters: int = MOST_CHARACTERS) -> tuple[Section, ...]:
    """Cut a text into sections, in its order; every word of it is in exactly one section's text.

    Parameters
    ----------
    pages
        Text of each page; empty pages are left out.
    most_characters
        Longest text of a section. A single line above it is cut between words.
    """
    lines = [(number, line) for number, page in enumerate(pages, start=1) for line in page.split("\n") if line.strip()]
    starts = _item_starts(lines) or _heading_starts(lines)
    if len(starts) < _FEWEST_HEADINGS:
        starts = [i for i, (number, _) in enumerate(lines) if i == 0 or lines[i - 1][0] != number]
        titles = [f"page {lines[start][0]}" for start in starts]
    else:
        titles = [lines[start][1].strip()[:_LONGEST_HEADING] for start in starts]
    if starts and starts[0] > 0:
        starts, titles = [0, *starts], ["beginning", *titles]
    sections: list[Section] = []
    for title, (start, stop) in zip(titles, pairwise([*starts, len(lines)]), strict=True):
        sections += _parts(title, lines[start:stop], most_characters)
    return tuple(sections)


def choose_sections(sections: Sequence[Section], topic: str, *, max_tokens: int) -> tuple[Section, ...]:
    """Return the sections that say most of a topic, in the report's order; none where none speaks of it.

    Parameters
    ----------
    topic
        One of `document_columns.SCORES`.
    max_tokens
        What they may hold together. A section that does not fit is left out, and a smaller one may take its place.
    """
    scores = _scores(sections, topic)
    chosen: list[int] = []
    left = max_tokens
    for place in sorted(range(len(sections)), key=lambda place: (-scores[place], place)):
        if scores[place] < _LEAST_SCORE:
            break
        if sections[place].n_tokens <= left:
            chosen.append(place)
            left -= sections[place].n_tokens
    return tuple(sections[place] for place in sorted(chosen))


def sections_by_topic(
    sections: Sequence[Section], *, max_tokens: int = MAX_TOKENS
) -> Mapping[str, tuple[Section, ...]]:
    """Return topic -> its sections; the topics share the tokens evenly.

    Parameters
    ----------
    max_tokens
        What all topics may hold together, about.
    """
    return {topic: choose_sections(sections, topic, max_tokens=max_tokens // len(SCORES)) for topic in SCORES}


def _scores(sections: Sequence[Section], topic: str) -> list[float]:
    """BM25 of each section for the words of the topic, words of the title counted several times."""
    mean = sum(len(section.text) for section in sections) / max(len(sections), 1)
    found = []
    for section in sections:
        dampened = _K1 * (1 - _B + _B * len(section.text) / max(mean, 1))
        score = 0.0
        for pattern in topic_patterns(topic):
            count = sum(1 for _ in pattern.finditer(section.text))
            count += _TITLE_WEIGHT * sum(1 for _ in pattern.finditer(section.title))
            score += count * (_K1 + 1) / (count + dampened) if count else 0.0
        found.append(score)
    return found


def _item_starts(lines: Sequence[tuple[int, str]]) -> list[int]:
    """Lines that begin an item of a 10-K, without those of the table of contents."""
    found = [
        i
        for i, (_, line) in enumerate(lines)
        if len(line) < 2 * _LONGEST_HEADING
        and _ITEM.match(line)
        and not _REFERENCE.search(line)
        and not _ENTRY.search(line)
    ]
    long_enough = []
    for start, stop in pairwise([*found, len(lines)]):
        if sum(len(line) for _, line in lines[start:stop]) >= _SHORTEST_ITEM:
            long_enough.append(start)
    return long_enough if len(long_enough) >= _FEWEST_HEADINGS else []


def _heading_starts(lines: Sequence[tuple[int, str]]) -> list[int]:
    """Lines in capitals and the beginnings of letters, without what runs along the pages."""
    found = [i for i, (_, line) in enumerate(lines) if _LETTER.match(line) or _is_in_capitals(line)]
    times: dict[str, int] = {}
    for i in found:
        times[lines[i][1].strip()] = times.get(lines[i][1].strip(), 0) + 1
    once = [i for i in found if times[lines[i][1].strip()] < _RUNNING]
    # A heading of two lines is one heading.
    return [i for i in once if i - 1 not in once]


def _is_in_capitals(line: str) -> bool:
    words = [word for word in line.split() if any(sign.isalpha() for sign in word)]
    letters = sum(sign.isalpha() for sign in line)
    return (
        2 <= len(words) <= 12
        and len(line) <= _LONGEST_HEADING
        and line.strip() == line.strip().upper()
        and letters >= 0.6 * len(line.replace(" ", ""))
    )


def _parts(title: str, lines: Sequence[tuple[int, str]], most: int) -> list[Section]:
    """Cut a section's lines into parts of like length, none above the limit."""
    pieces = [(number, piece) for number, line in lines for piece in _short(line, most)]
    length = sum(len(piece) + 1 for _, piece in pieces)
    wanted = length / -(-length // most)
    groups: list[list[tuple[int, str]]] = [[]]
    held = 0
    for number, piece in pieces:
        if groups[-1] and (held + len(piece) > most or held >= wanted):
            groups.append([])
            held = 0
        groups[-1].append((number, piece))
        held += len(piece) + 1
    named = [title] if len(groups) == 1 else [f"{title} (part {n} of {len(groups)})" for n in range(1, len(groups) + 1)]
    return [
        Section(title=name, text="\n".join(piece for _, piece in group), first_page=group[0][0])
        for name, group in zip(named, groups, strict=True)
    ]


def _short(line: str, most: int) -> list[str]:
    """Cut a line between words where it is above the limit; a word above it stays whole."""
    if len(line) <= most:
        return [line]
    pieces: list[str] = []
    for word in line.split():
        if pieces and len(pieces[-1]) + 1 + len(word) <= most:
            pieces[-1] += " " + word
        else:
            pieces.append(word)
    return pieces
