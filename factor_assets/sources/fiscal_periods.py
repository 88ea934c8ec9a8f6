"""Fiscal year and quarter of a period, from the company's own year ends.

What does not belong here: `fy` and `fp` of a filing, which tell the filing and not the period, and what was known when
(`panel/`).
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Days = npt.NDArray[np.int64]

ANNUAL_FORMS = ("10-K", "20-F", "40-F")
"""Beginnings of the names of annual reports, so that amendments and transition reports are among them."""

NO_START = np.iinfo(np.int64).min
"""Stands for the start of a balance, which has none."""

_LENGTHS = {"quarter": (75, 120), "half": (160, 200), "nine_months": (245, 290), "year": (350, 380)}
# Twelve to seventeen weeks are quarters: retailers have 12, 12, 12 and 16 or 17, or 16, 12, 12 and 12.

_VOTES = 0.2
# A 10-K has hundreds of numbers of its own years, and a few of other spans that are as long, such as a plan's year.

_QUARTER = 365.25 / 4
_SAME_END = 10
# Days within which two year ends are one, written differently.

_NAMED_BY = 10
# A 52-week year that ends on 3 January is the old year's.


class FiscalPeriods(NamedTuple):
    """Arrays of shape (n,); a year of 0 and a quarter of 0 mean unknown."""

    duration: npt.NDArray[np.str_]
    year: npt.NDArray[np.int64]
    quarter: npt.NDArray[np.int64]


def fiscal_periods(starts: Days, ends: Days, forms: Sequence[str | None], accessions: Sequence[str]) -> FiscalPeriods:
    """Return length, fiscal year and fiscal quarter of every period of one company.

    1. A year of the company is a span of 350 to 380 days, 52 and 53 weeks included, in an annual report, with at least
       a fifth of the numbers of that report's most frequent such span. It gives two year ends: its last day, and the
       day before its first, so that a change of the year end shows.
    2. Year ends within ten days of each other are one, the more frequent. Before the first and after the last they
       repeat every 365.25 days.
    3. A period lies in the year of the first year end that is not before its end; its quarter is the nearest to the
       days since the year end before, in quarters of 91.3 days. A year that is cut short has fewer quarters, and its
       last day ends quarter 4 as any year end does.
    4. A fiscal year is named by the calendar year of the day ten days before its end.

    The label is for people and may change when a later report shows another year end; what was known on a session
    never follows from it.

    Parameters
    ----------
    starts, ends
        First and last day as days since 1970, int64 of shape (n,); `NO_START` for a balance.
    forms, accessions
        Form and accession number of the filing, of length n.
    """
    length = np.where(starts == NO_START, 0, ends - np.where(starts == NO_START, ends, starts) + 1)
    duration = np.full(len(ends), "other", dtype="<U11")
    duration[starts == NO_START] = "balance"
    for name, (shortest, longest) in _LENGTHS.items():
        duration[(starts != NO_START) & (length >= shortest) & (length <= longest)] = name
    year_ends = _year_ends(starts, ends, duration == "year", forms, accessions)
    if not len(year_ends) or not len(ends):
        unknown = np.zeros(len(ends), np.int64)
        return FiscalPeriods(duration, unknown, unknown.copy())
    known = _repeated(year_ends, int(ends.min()), int(ends.max()))
    before = np.searchsorted(known, ends, side="right") - 1
    quarter = np.rint((ends - known[before]) / _QUARTER).astype(np.int64)
    of_year = np.where(quarter == 0, before, before + 1)
    quarter = np.where(quarter == 0, 4, np.minimum(quarter, 4))
    named = (known - _NAMED_BY).astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64) + 1970
    return FiscalPeriods(duration, named[of_year], quarter)


def _year_ends(
    starts: Days, ends: Days, annual: npt.NDArray[np.bool_], forms: Sequence[str | None], accessions: Sequence[str]
) -> Days:
    spans: defaultdict[str, Counter[tuple[int, int]]] = defaultdict(Counter)
    for i in np.flatnonzero(annual).tolist():
        if (forms[i] or "").startswith(ANNUAL_FORMS):
            spans[accessions[i]][int(starts[i]), int(ends[i])] += 1
    votes: Counter[int] = Counter()
    for counts in spans.values():
        enough = _VOTES * max(counts.values())
        for (start, end), n in counts.items():
            if n >= enough:
                votes[end] += n
                votes[start - 1] += n
    kept: list[int] = []
    for end in sorted(votes, key=lambda day: (-votes[day], day)):
        if all(abs(end - other) > _SAME_END for other in kept):
            kept.append(end)
    return np.array(sorted(kept), np.int64)


def _repeated(year_ends: Days, first: int, last: int) -> Days:
    """Year ends that reach from a year before `first` to a year after `last`."""
    n_before = max(int((year_ends[0] - first) / 365.25) + 2, 1)
    n_after = max(int((last - year_ends[-1]) / 365.25) + 2, 1)
    before = year_ends[0] - np.rint(365.25 * np.arange(n_before, 0, -1)).astype(np.int64)
    after = year_ends[-1] + np.rint(365.25 * np.arange(1, n_after + 1)).astype(np.int64)
    return np.concatenate([before, year_ends, after])
