"""`FiledPeriods`: the numbers of one company in one currency that were known at a time, by period.

It answers two questions: what was a balance at a day, and what was a flow in the four quarters to a day. What does not
belong here: which numbers were known when (`fundamentals.py`), which concept is which item (`fundamental_tags.py`).
"""

from bisect import bisect_left, bisect_right, insort
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from factor_assets.panel.fundamental_tags import BALANCE_TAGS, FLOW_TAGS

NAN = float("nan")

YEAR, QUARTER = (350, 380), (75, 120)
"""Shortest and longest in days: 52 and 53 weeks; 12 to 17 weeks."""

_SLACK = 4
# Days by which filings write the same first day of a period differently, such as the last day of the period before.

Spans = dict[int, dict[int, float]]
"""Last day of a period -> day before its first -> number. Days are counted since 1970."""


class FourQuarters(NamedTuple):
    """Ends of fiscal quarters, newest first: the end, those of the three quarters before, and that of a year ago.

    A quarter whose end is not known ends the tuple `quarters`; `year_ago` is None where it is not known.
    """

    quarters: tuple[int, ...]
    year_ago: int | None

    @property
    def complete(self) -> bool:
        """Whether four quarters lie between the end and a year ago."""
        if len(self.quarters) != 4 or self.year_ago is None:
            return False
        return QUARTER[0] <= self.quarters[3] - self.year_ago <= QUARTER[1]


class FiledPeriods:
    """Numbers by concept and period; a later number of the same period replaces the earlier."""

    def __init__(self) -> None:
        self._balances: dict[str, dict[int, float]] = {}
        self._spans: dict[str, Spans] = {}
        self._balance_parts: list[list[dict[int, float]]] = [[] for _ in BALANCE_TAGS]
        self._flow_parts: list[list[Spans]] = [[] for _ in FLOW_TAGS]
        self._ends: list[int] = []
        self._n_told: Counter[int] = Counter()
        self.balances_at: Counter[int] = Counter()
        """Day -> how many balances are known of it."""
        self.n_balances = 0

    def tell_balance(self, concept: str, end: int, value: float) -> None:
        """Take in the balance of a day."""
        if concept not in self._balances:
            self._balances[concept] = {}
            self._balance_parts = [
                [self._balances[tag] for tag in tags if tag in self._balances] for tags in BALANCE_TAGS.values()
            ]
        known = self._balances[concept]
        if end not in known:
            self._count(end)
            self.balances_at[end] += 1
            self.n_balances += 1
        known[end] = value

    def tell_flow(self, concept: str, start: int, end: int, value: float) -> None:
        """Take in the flow from the first to the last day of a period."""
        if concept not in self._spans:
            self._spans[concept] = {}
            self._flow_parts = [[self._spans[tag] for tag in tags if tag in self._spans] for tags in FLOW_TAGS.values()]
        known = self._spans[concept].setdefault(end, {})
        if start - 1 not in known:
            self._count(end)
        known[start - 1] = value

    def balances(self, day: int | None) -> list[float]:
        """Return each entry of `BALANCE_TAGS` at the day: the first concept that is known; NaN where none is."""
        if day is None:
            return [NAN] * len(self._balance_parts)
        return [next((known[day] for known in concepts if day in known), NAN) for concepts in self._balance_parts]

    def trailing(self, ends: FourQuarters | None) -> list[float]:
        """Return each entry of `FLOW_TAGS` in the year to the end; NaN where it is not known.

        1. The number of a fiscal year that ends there, of the first concept that has one.
        2. Else the sum of four quarters. A quarter is the number filed for it, or else that of a longer period to its
           end less that of the shorter one with the same start, both of one concept: year less nine months, nine months
           less half, half less quarter. Of several concepts, the first that gives the quarter counts, so that a year
           may be summed over a change of concepts.
        3. Else the last fiscal year, plus the part of the new one, less the same part of the last one, all of one
           concept: for those who report by halves, and where a quarter is missing in between.
        4. Else the same with concepts of the item taken for one, those that tell the same number wherever they tell of
           the same period, and do so at least once: a company that changed its concept tells the last year again.
        """
        if ends is None:
            return [NAN] * len(self._flow_parts)
        return [self._flow(concepts, ends) for concepts in self._flow_parts]

    def _flow(self, concepts: list[Spans], ends: FourQuarters) -> float:
        found = _trailing(concepts, ends)
        if found is None and len(concepts) > 1:
            groups = _agreeing(concepts)
            if len(groups) < len(concepts):
                found = _trailing(groups, ends)
        return NAN if found is None else found

    def four_quarters(self, end: int | None) -> FourQuarters | None:
        """Return the fiscal quarters before a period's end, of the days of which numbers are known."""
        if end is None:
            return None
        quarters = [end]
        while len(quarters) < 4:
            before = self._before(quarters[-1], QUARTER, 91)
            if before is None:
                break
            quarters.append(before)
        return FourQuarters(tuple(quarters), self._before(end, YEAR, 365))

    def _before(self, end: int, days: tuple[int, int], usual: int) -> int | None:
        """Return the day so many days before on which most of the known periods end; of equals, the most usual."""
        shortest, longest = days
        low, high = bisect_left(self._ends, end - longest), bisect_right(self._ends, end - shortest)
        return max(
            self._ends[low:high], key=lambda day: (self._n_told[day], -abs(end - day - usual), day), default=None
        )

    def _count(self, end: int) -> None:
        if end not in self._n_told:
            insort(self._ends, end)
        self._n_told[end] += 1


def _trailing(concepts: Sequence[Spans], ends: FourQuarters) -> float | None:
    end, year_ago = ends.quarters[0], ends.year_ago
    for spans in concepts:
        year = _year(spans, end)
        if year is not None:
            return year[1]
    if ends.complete and year_ago is not None:
        total = 0.0
        for last, before in zip(ends.quarters, (*ends.quarters[1:], year_ago), strict=True):
            quarter = _first_quarter(concepts, before, last)
            if quarter is None:
                break
            total += quarter
        else:
            return total
    if year_ago is not None:
        for spans in concepts:
            for before, part in sorted(spans.get(end, {}).items()):
                year = _year(spans, before)
                same_part = None if year is None else _between(spans, year[0], year_ago)
                if year is not None and same_part is not None:
                    return year[1] + part - same_part
    return None


def _agreeing(concepts: Sequence[Spans]) -> list[Spans]:
    """Put concepts together that tell the same of every period that both tell of, and of one at least."""
    groups: list[dict[tuple[int, int], float]] = []
    for spans in concepts:
        told = {(end, before): value for end, known in spans.items() for before, value in known.items()}
        for group in groups:
            both = told.keys() & group.keys()
            if both and all(told[period] == group[period] for period in both):
                group.update(told)
                break
        else:
            groups.append(told)
    merged: list[Spans] = []
    for group in groups:
        merged.append({})
        for (end, before), value in group.items():
            merged[-1].setdefault(end, {})[before] = value
    return merged


def _year(spans: Spans, end: int) -> tuple[int, float] | None:
    """Return the day before the fiscal year that ends on the day, and its number."""
    years = [(before, value) for before, value in spans.get(end, {}).items() if YEAR[0] <= end - before <= YEAR[1]]
    return min(years, key=lambda year: (abs(end - year[0] - 365), year[0]), default=None)


def _first_quarter(concepts: Sequence[Spans], before: int, end: int) -> float | None:
    for spans in concepts:
        value = _quarter(spans, before, end)
        if value is not None:
            return value
    return None


def _quarter(spans: Spans, before: int, end: int) -> float | None:
    """Return the number from the day after `before` to `end`: as filed, or the difference of two periods."""
    filed = _between(spans, before, end)
    if filed is not None or end not in spans or before not in spans:
        return filed
    # The shortest first: it is the least that could have been restated in between.
    for start, longer in sorted(spans[end].items(), reverse=True):
        if start < before - _SLACK and end - start <= YEAR[1]:
            shorter = _between(spans, start, before)
            if shorter is not None:
                return longer - shorter
    return None


def _between(spans: Spans, before: int, end: int) -> float | None:
    known = spans.get(end)
    if known is None:
        return None
    if before in known:
        return known[before]
    near = [day for day in known if abs(day - before) <= _SLACK]
    return known[min(near, key=lambda day: (abs(day - before), day))] if near else None
