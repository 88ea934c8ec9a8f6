"""What was known of each company's books from which session on: one state for every session that changed it.

What does not belong here: the periods of one company (`filed_periods.py`), rows by session (`fundamentals.py`).
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from factor_assets.calendar import Dates
from factor_assets.panel.filed_periods import NAN, FiledPeriods
from factor_assets.panel.fundamental_tags import BALANCE_SHARES, BALANCE_TAGS, COVER_SHARES, FLOW_TAGS

Days = npt.NDArray[np.int64]

FACT_COLUMNS = (
    "ticker",
    "concept",
    "period_start",
    "period_end",
    "fact_value",
    "fact_unit",
    "accession",
    "filed",
    "known_from",
    "source",
)
"""Columns of the table `facts` that fundamentals are made of."""

_ASSETS = frozenset(BALANCE_TAGS["assets"])
_BALANCE_CONCEPTS = frozenset(concept for tags in BALANCE_TAGS.values() for concept in tags)
_FLOW_CONCEPTS = frozenset(concept for tags in FLOW_TAGS.values() for concept in tags)

NO_DAY = np.iinfo(np.int64).min
"""Stands for a day that there is not."""


class _Told(NamedTuple):
    """Facts of one company by the session from which they are known, of length n; days since 1970."""

    known_from: Days
    concept: list[str]
    unit: list[str]
    start: list[int]
    end: list[int]
    filed: list[int]
    value: list[float]


class Shares(NamedTuple):
    """Shares outstanding, the day they are told for, and the day after which splits count."""

    value: float = NAN
    day: int = NO_DAY
    split_from: int = NO_DAY


class KnownState(NamedTuple):
    """What was known from a session on, until the next state."""

    session: int
    period_end: int
    known_from: int
    currency: str | None
    balances: list[float]
    balances_year_ago: list[float]
    flows: list[float]
    flows_year_ago: list[float]
    shares: Shares


class Company(NamedTuple):
    """States of one company, by session."""

    ticker: str
    source: str
    states: list[KnownState]


class _Facts(NamedTuple):
    """Columns of the facts as arrays of shape (n,): places among the sorted `names`, days since 1970, numbers."""

    names: Mapping[str, list[str]]
    ticker: Days
    concept: Days
    fact_unit: Days
    accession: Days
    period_start: Days
    period_end: Days
    filed: Days
    known_from: Days
    value: npt.NDArray[np.float64]


def companies(rows: pa.Table, *, sessions: Dates, dropped: Counter[str]) -> Iterator[Company]:
    """Yield the states of every company that hold on any of the sessions, in the order of tickers.

    Parameters
    ----------
    rows
        Facts with `FACT_COLUMNS`, in any order.
    sessions
        datetime64[D] of shape (n_sessions,), increasing.
    dropped
        Is added to: reason -> facts that were left out.
    """
    if not len(sessions) or not rows.num_rows:
        return
    facts = _facts(rows)
    usable = _usable(facts, dropped) & (facts.known_from <= int(sessions[-1].astype(np.int64)))
    order = _not_superseded(facts, np.flatnonzero(usable), dropped)
    order = order[np.lexsort((facts.known_from[order], facts.ticker[order]))]
    cuts = np.searchsorted(facts.ticker[order], np.arange(len(facts.names["ticker"]) + 1))
    first = int(sessions[0].astype(np.int64))
    for number, ticker in enumerate(facts.names["ticker"]):
        own = order[cuts[number] : cuts[number + 1]]
        if not len(own):
            continue
        told = _Told(
            known_from=facts.known_from[own],
            concept=[facts.names["concept"][i] for i in facts.concept[own].tolist()],
            unit=[facts.names["fact_unit"][i] for i in facts.fact_unit[own].tolist()],
            start=facts.period_start[own].tolist(),
            end=facts.period_end[own].tolist(),
            filed=facts.filed[own].tolist(),
            value=facts.value[own].tolist(),
        )
        yield Company(ticker, rows["source"][int(own[0])].as_py(), list(_states(told, first, dropped)))


def _facts(rows: pa.Table) -> _Facts:
    days = {
        name: rows[name].combine_chunks().cast(pa.int32()).cast(pa.int64()).fill_null(NO_DAY).to_numpy()
        for name in ("period_start", "period_end", "filed", "known_from")
    }
    coded = {name: _coded(rows[name]) for name in ("ticker", "concept", "fact_unit", "accession")}
    return _Facts(
        names={name: texts for name, (texts, _) in coded.items()},
        value=rows["fact_value"].to_numpy(),
        **{name: places for name, (_, places) in coded.items()},
        **days,
    )


def _coded(column: pa.ChunkedArray) -> tuple[list[str], Days]:
    """Return the distinct texts sorted, and the place of each row's among them, int64 of shape (n,)."""
    encoded = column.combine_chunks().dictionary_encode()
    by_text = pc.sort_indices(encoded.dictionary).to_numpy()
    rank = np.empty(len(by_text), np.int64)
    rank[by_text] = np.arange(len(by_text))
    return encoded.dictionary.take(pa.array(by_text)).to_pylist(), rank[encoded.indices.to_numpy()]


def _usable(facts: _Facts, dropped: Counter[str]) -> npt.NDArray[np.bool_]:
    """Whether each fact has a session, ended before it was filed, and is in currency or, for shares, in shares."""
    of_shares = np.array([concept in (COVER_SHARES, BALANCE_SHARES) for concept in facts.names["concept"]])
    in_shares = np.array([unit == "shares" for unit in facts.names["fact_unit"]])
    in_money = np.array([len(unit) == 3 and unit.isalpha() and unit.isupper() for unit in facts.names["fact_unit"]])
    fits = np.where(of_shares[facts.concept], in_shares[facts.fact_unit], in_money[facts.fact_unit])
    usable = np.ones(len(facts.value), dtype=bool)
    for reason, bad in (
        ("never_known", (facts.known_from == NO_DAY) | np.isnan(facts.value)),
        ("not_ended", facts.period_end > facts.filed),
        ("other_unit", ~fits),
    ):
        dropped[reason] += int((usable & bad).sum())
        usable &= ~bad
    return usable


def _not_superseded(facts: _Facts, places: Days, dropped: Counter[str]) -> Days:
    """Leave out what changes nothing when it becomes known: numbers filed before a known one, and the same again.

    Returns
    -------
    Those of the places that stay, sorted by ticker, concept, unit and period, then by the session of their being known.
    """
    if not len(places):
        return places
    keys = [c[places] for c in (facts.ticker, facts.concept, facts.fact_unit, facts.period_end, facts.period_start)]
    later = (facts.known_from, facts.filed, facts.accession, facts.value)
    by_key = np.lexsort([c[places] for c in later[::-1]] + keys[::-1])
    order = places[by_key]
    group = np.cumsum(np.append(True, np.any([key[by_key][1:] != key[by_key][:-1] for key in keys], axis=0)))
    filing = (facts.filed[order] - facts.filed[order].min()) * len(facts.names["accession"]) + facts.accession[order]
    place = group * (len(order) + 1) + np.unique(filing, return_inverse=True)[1]
    newest = place == np.maximum.accumulate(place)
    left, group = order[newest], group[newest]
    again = np.append(False, (group[1:] == group[:-1]) & (facts.value[left][1:] == facts.value[left][:-1]))
    dropped["superseded"] += len(order) - len(left) + int(again.sum())
    kept: Days = left[~again]
    return kept


def _states(told: _Told, first: int, dropped: Counter[str]) -> Iterator[KnownState]:
    """Yield what is known on the first session, and from each later session on which something became known."""
    books: defaultdict[str, FiledPeriods] = defaultdict(FiledPeriods)
    n_told: Counter[str] = Counter()
    first_known: dict[int, int] = {}
    cover = balance = Shares()
    currency: str | None = None
    cuts = np.flatnonzero(np.diff(told.known_from)) + 1
    stops = [*cuts.tolist(), len(told.known_from)]
    at = 0
    for stop in stops:
        session = int(told.known_from[at])
        for i in range(at, stop):
            concept, start, end, value = told.concept[i], told.start[i], told.end[i], told.value[i]
            if concept == COVER_SHARES:
                cover = Shares(value, end, end) if end >= cover.day else cover
            elif concept == BALANCE_SHARES:
                balance = Shares(value, end, told.filed[i]) if end >= balance.day else balance
            elif start != NO_DAY and concept in _FLOW_CONCEPTS:
                n_told[told.unit[i]] += 1
                books[told.unit[i]].tell_flow(concept, start, end, value)
            elif start == NO_DAY and concept in _BALANCE_CONCEPTS:
                n_told[told.unit[i]] += 1
                books[told.unit[i]].tell_balance(concept, end, value)
                if concept in _ASSETS:
                    first_known.setdefault(end, session)
        at = stop
        following = int(told.known_from[stop]) if stop < len(told.known_from) else None
        if following is not None and following <= first:
            continue
        state = _state(max(session, first), books, first_known, cover if cover.day >= balance.day else balance)
        currency = state.currency
        yield state
    dropped["other_currency"] += sum(n for unit, n in n_told.items() if unit != currency)


def _state(
    session: int, books: Mapping[str, FiledPeriods], first_known: Mapping[int, int], shares: Shares
) -> KnownState:
    end = max(first_known, default=None)
    if end is None:
        book, currency = FiledPeriods(), None
    else:
        currency = max(sorted(books), key=lambda unit: (books[unit].balances_at[end], books[unit].n_balances))
        book = books[currency]
    quarters = book.four_quarters(end)
    year_ago = None if quarters is None else quarters.year_ago
    return KnownState(
        session=session,
        period_end=NO_DAY if end is None else end,
        known_from=NO_DAY if end is None else first_known[end],
        currency=currency,
        balances=book.balances(end),
        balances_year_ago=book.balances(year_ago),
        flows=book.trailing(quarters),
        flows_year_ago=book.trailing(book.four_quarters(year_ago)),
        shares=shares,
    )
