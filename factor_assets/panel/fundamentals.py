"""What was known of a company's books on each session: balances, flows of four quarters, and both a year earlier.

What does not belong here: ratios of them and prices (`factors/`), when a filing was known (`publication.py`), which
concept is which item (`fundamental_tags.py`).
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from factor_assets.calendar import Dates
from factor_assets.document_columns import FLOWS, TRAILING, YEAR_AGO
from factor_assets.panel.filed_periods import NAN
from factor_assets.panel.fundamental_tags import BALANCE_TAGS, CONCEPTS, FLOW_TAGS, derived
from factor_assets.panel.known_books import FACT_COLUMNS, NO_DAY, Company, Days, Shares, companies
from factor_assets.tables import table

SplitFactors = Mapping[str, tuple[Dates, npt.NDArray[np.float64]]]
"""Ticker -> dates and split factors of its prices, both of shape (n_rows,), by date."""

_NO_PRICES = (np.array([], "datetime64[D]"), np.array([], np.float64))


@dataclass(frozen=True, kw_only=True, slots=True)
class Fundamentals:
    """Rows of the table `fundamentals`, and what was left out of the facts for them.

    Parameters
    ----------
    dropped
        Reason -> numbers: `never_known` (no session from which they are known), `not_ended` (of a period that ends
        after the filing), `other_unit` (neither a currency nor shares), `other_currency` (than the company's on the
        last session), `superseded` (repeated, or older than a number that was known before).
    """

    rows: pa.Table
    dropped: Mapping[str, int]


def used_facts(facts: pa.Table) -> pa.Table:
    """Return the facts that fundamentals can be made of, with the columns that they need; the others only cost memory.

    Parameters
    ----------
    facts
        Rows of the table `facts` with `FACT_COLUMNS` at least.
    """
    wanted = pc.is_in(facts["concept"], value_set=pa.array(sorted(CONCEPTS)))
    return facts.select(list(FACT_COLUMNS)).filter(wanted)


def fundamentals(
    facts: pa.Table,
    *,
    sessions: Dates,
    split_factor: SplitFactors | None = None,
    max_age_days: int,
) -> Fundamentals:
    """Return one row a session and ticker, from the first session on which anything of it was known.

    1. On a session the facts with `known_from` up to it are known. Of the same concept, unit and period the number
       filed last counts, of one day the one with the higher accession number.
    2. The company's period is the last one of whose end total assets are known; its currency is the one with most
       balances known of that day, and of equals with most balances at all. Numbers in others are left out.
    3. Balances are those of the period's end, flows those of the four quarters to it (`FiledPeriods.trailing`), both
       also for the period that ends a year (350 to 380 days) before, restated or not as known on the session.
    4. Items that are not filed are derived where `fundamental_tags` says how. What is missing is null.
    5. More than `max_age_days` after the period's end its numbers are null; the period stays, and says why.
    6. Shares are those of the cover page of the last filing, or of the last balance sheet where that is of a later day.
       They are multiplied by the splits since: after the day they are told for; of a balance sheet after the day it was
       filed, as it restates for splits up to then (SEC, Staff Accounting Bulletin Topic 4.C).

    A row follows from the facts known on its session alone: later facts, other sessions and the order of rows change
    nothing in it.

    Parameters
    ----------
    facts
        Rows of the table `facts`, in any order.
    sessions
        datetime64[D] of shape (n_sessions,), increasing: for which rows are wanted.
    split_factor
        By ticker; the number of shares is null for a ticker that has none, and before its first price. Without the
        mapping shares are as filed.
    max_age_days
        Also of the number of shares, from the day they are told for.
    """
    rows = used_facts(facts)
    dropped: Counter[str] = Counter()
    parts = [
        _expanded(company, sessions, split_factor, max_age_days)
        for company in companies(rows, sessions=sessions, dropped=dropped)
    ]
    return Fundamentals(rows=_table([part for part in parts if part is not None]), dropped=_counted(dropped))


def split_factors(prices: pa.Table) -> dict[str, tuple[Dates, npt.NDArray[np.float64]]]:
    """Return the split factors of every ticker, by date.

    Parameters
    ----------
    prices
        Rows of the table `prices` with date, ticker and split_factor, in any order.
    """
    rows = prices.sort_by([("ticker", "ascending"), ("date", "ascending")])
    dates, factor = rows["date"].to_numpy().astype("datetime64[D]"), rows["split_factor"].to_numpy()
    counts = rows["ticker"].value_counts().to_pylist()
    stops = np.cumsum([entry["counts"] for entry in counts]).tolist()
    return {
        entry["values"]: (dates[stop - entry["counts"] : stop], factor[stop - entry["counts"] : stop])
        for entry, stop in zip(counts, stops, strict=True)
    }


def without_books(rows: pa.Table, prices: pa.Table) -> tuple[list[str], int]:
    """Return the tickers without total assets on the last session that has prices, and how many have a price then.

    Parameters
    ----------
    rows
        Rows of the table `fundamentals`, with date, ticker and assets at least.
    prices
        Rows of the table `prices` with date and ticker at least.
    """
    last = pc.max(prices["date"])
    priced = prices.filter(pc.equal(prices["date"], last))["ticker"].to_pylist()
    has_assets = pc.and_(pc.equal(rows["date"], last), rows["assets"].is_valid())
    return sorted(set(priced) - set(rows.filter(has_assets)["ticker"].to_pylist())), len(priced)


def _expanded(
    company: Company, sessions: Dates, split_factor: SplitFactors | None, max_age_days: int
) -> dict[str, Any] | None:
    """Return the columns of one company's rows, from the states that hold on the sessions."""
    days = sessions.astype(np.int64)
    place = np.searchsorted([state.session for state in company.states], days, side="right") - 1
    days, place = days[place >= 0], place[place >= 0]
    if not len(days):
        return None

    def of_states(name: str) -> npt.NDArray[Any]:
        return np.array([getattr(state, name) for state in company.states])

    end = of_states("period_end")[place]
    is_old = days - end > max_age_days
    columns: dict[str, Any] = {
        "date": days,
        "ticker": company.ticker,
        "source": company.source,
        "fundamentals_period_end": end,
        "fundamentals_known_from": of_states("known_from")[place],
        "reporting_currency": [company.states[i].currency for i in place.tolist()],
        "shares_filed": _shares(
            [company.states[i].shares for i in place.tolist()],
            days=days,
            factors=None if split_factor is None else split_factor.get(company.ticker, _NO_PRICES),
            max_age_days=max_age_days,
        ),
    }
    for suffix, balances, flows in (
        ("", of_states("balances"), of_states("flows")),
        (YEAR_AGO, of_states("balances_year_ago"), of_states("flows_year_ago")),
    ):
        items = derived(dict(zip(BALANCE_TAGS, balances.T, strict=True)), dict(zip(FLOW_TAGS, flows.T, strict=True)))
        for name, numbers in items.items():
            column = f"{name}{TRAILING if name in FLOWS else ''}{suffix}"
            columns[column] = np.where(is_old, NAN, numbers[place])
    return columns


def _shares(
    told: list[Shares], *, days: Days, factors: tuple[Dates, npt.NDArray[np.float64]] | None, max_age_days: int
) -> npt.NDArray[np.float64]:
    """Return shares outstanding in shares of the session, of shape (n_sessions,)."""
    value, day, split_from = (np.array(column) for column in zip(*told, strict=True))
    shares = np.where((value > 0) & (days - day <= max_age_days), value, NAN)
    if factors is None:
        return shares
    dates, factor = factors
    # NaN before the first price: splits are not known there.
    known = np.append(NAN, factor)
    at = dates.astype("datetime64[D]").astype(np.int64)
    now, then = (known[np.searchsorted(at, of, side="right")] for of in (days, split_from))
    adjusted: npt.NDArray[np.float64] = shares * (now / then)
    return adjusted


def _table(parts: list[dict[str, Any]]) -> pa.Table:
    """Return the rows of all companies by date and ticker."""
    schema = table("fundamentals").schema
    if not parts:
        return schema.empty_table()
    lengths = [len(part["date"]) for part in parts]
    # Tickers are in order, so that a stable sort by date leaves them so.
    order = pa.array(np.argsort(np.concatenate([part["date"] for part in parts]), kind="stable"))
    arrays = []
    for field in schema:
        if pa.types.is_string(field.type) and field.name != "reporting_currency":
            array = pa.array(np.repeat([part[field.name] for part in parts], lengths), pa.string())
        elif field.name == "reporting_currency":
            array = pa.array([currency for part in parts for currency in part[field.name]], pa.string())
        else:
            numbers = np.concatenate([part[field.name] for part in parts])
            array = _days(numbers) if pa.types.is_date32(field.type) else pa.array(numbers, from_pandas=True)
        arrays.append(array.take(order))
    return pa.table(arrays, schema=schema)


def _days(days: Days) -> pa.Array:
    missing = days == NO_DAY
    return pa.array(np.where(missing, 0, days).astype(np.int32), pa.int32(), mask=missing).cast(pa.date32())


def _counted(dropped: Counter[str]) -> dict[str, int]:
    return {reason: n for reason, n in sorted(dropped.items()) if n}
