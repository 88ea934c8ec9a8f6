"""Small answers of the shape of companyfacts, and a second implementation of the as-of view: plain loops over rows."""

import json
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from factor_assets.document_columns import BALANCES, FLOWS
from factor_assets.panel.facts import known_facts
from factor_assets.panel.fundamental_tags import BALANCE_TAGS, FLOW_TAGS
from factor_assets.panel.fundamentals import fundamentals
from factor_assets.sources.edgar_facts import facts_from_companyfacts

Row = Mapping[str, Any]
Periods = dict[tuple[date | None, date], float]


MAX_AGE = 550

ASSETS, EQUITY, REVENUE = "us-gaap:Assets", "us-gaap:StockholdersEquity", "us-gaap:Revenues"
SALES, CONTRACTS = "us-gaap:SalesRevenueNet", "us-gaap:RevenueFromContractWithCustomerExcludingAssessedTax"
SHARES = "dei:EntityCommonStockSharesOutstanding"


class Told(NamedTuple):
    """One number as a filing tells it; `start` is None for a balance."""

    concept: str
    value: float
    end: str
    start: str | None = None
    filed: str = "2020-02-20"
    form: str = "10-K"
    accession: str = ""
    unit: str = "USD"
    fy: int = 1999
    fp: str = "FY"


def answer(told: Iterable[Told], *, cik: int = 1) -> bytes:
    """The JSON that the SEC would answer; `fy` and `fp` lie unless given."""
    facts: dict[str, dict[str, Any]] = {}
    for t in told:
        taxonomy, _, name = t.concept.partition(":")
        units = facts.setdefault(taxonomy, {}).setdefault(name, {"label": name, "description": "", "units": {}})
        number: dict[str, Any] = {} if t.start is None else {"start": t.start}
        number |= {
            "end": t.end,
            "val": t.value,
            "accn": t.accession or f"0000000001-{t.filed[2:4]}-{t.filed[5:7]}{t.filed[8:]}00",
            "fy": t.fy,
            "fp": t.fp,
            "form": t.form,
            "filed": t.filed,
        }
        units["units"].setdefault(t.unit, []).append(number)
    return json.dumps({"cik": cik, "entityName": "Test", "facts": facts}).encode()


def facts(told: Iterable[Told], *, ticker: str = "A") -> pa.Table:
    """Rows of the table `facts`."""
    rows = facts_from_companyfacts(answer(told), ticker=ticker, source="test").rows
    return known_facts(rows, calendar="XNYS")


QUARTERS = {
    "2018-03-31": ("2018-01-01", 10.0),
    "2018-06-30": ("2018-04-01", 11.0),
    "2018-09-30": ("2018-07-01", 12.0),
    "2018-12-31": ("2018-10-01", 14.0),
    "2019-03-31": ("2019-01-01", 15.0),
    "2019-06-30": ("2019-04-01", 17.0),
}
"""End of a quarter -> its first day and its revenue."""

FILED = {end: f"{int(end[:4]) + (end[5:7] == '12')}-{(int(end[5:7]) + 1) % 12 + 1:02d}-15" for end in QUARTERS}


def on(rows: pa.Table, *days: str, **options: Any) -> list[dict[str, Any]]:
    """The fundamentals of one company on some sessions, null rows for those before anything was known."""
    wanted = np.array(days, dtype="datetime64[D]")
    made = fundamentals(rows, sessions=wanted, **{"max_age_days": MAX_AGE, **options}).rows.to_pylist()
    by_day = {str(row["date"]): row for row in made}
    return [by_day.get(day, {}) for day in days]


def quarterly(concept: str = REVENUE, *, skip: tuple[str, ...] = ()) -> list[Told]:
    """Quarters with their balance, filed two months later; no fourth quarter, but the year and nine months."""
    told = []
    for end, (start, value) in QUARTERS.items():
        if end in skip:
            continue
        form = "10-K" if end.endswith("12-31") else "10-Q"
        told.append(Told(ASSETS, 100 + value, end, filed=FILED[end], form=form))
        if form == "10-Q":
            told.append(Told(concept, value, end, start, FILED[end], form))
    told.append(Told(concept, 33.0, "2018-09-30", "2018-01-01", FILED["2018-09-30"], "10-Q"))
    told.append(Told(concept, 47.0, "2018-12-31", "2018-01-01", FILED["2018-12-31"], "10-K"))
    return told


def as_of(rows: Iterable[Row], session: date) -> dict[str, Any]:  # noqa: C901 - plain from top to bottom
    """What was known of one company on a session, by plain loops: no splits, no age, no restating of the algorithm."""
    known = [
        r for r in rows if r["known_from"] is not None and r["known_from"] <= session and r["period_end"] <= r["filed"]
    ]
    newest: dict[tuple[Any, ...], Row] = {}
    for r in known:
        key = (r["concept"], r["fact_unit"], r["period_start"], r["period_end"])
        if key not in newest or (newest[key]["filed"], newest[key]["accession"]) < (r["filed"], r["accession"]):
            newest[key] = r
    told: dict[str, Periods] = {}
    ends = {k[3] for k in newest if k[0] in BALANCE_TAGS["assets"] and k[2] is None and len(k[1]) == 3}
    if not ends:
        return {}
    end = max(ends)
    balance_tags = {c for tags in BALANCE_TAGS.values() for c in tags}
    flow_tags = {c for tags in FLOW_TAGS.values() for c in tags}

    def counts(unit: str) -> tuple[int, int]:
        of_unit = [k for k in newest if k[0] in balance_tags and k[1] == unit and k[2] is None]
        return sum(k[3] == end for k in of_unit), len(of_unit)

    currency = max(sorted({k[1] for k in newest if len(k[1]) == 3}), key=counts)
    votes: dict[date, int] = {}
    for (concept, unit, start, last), r in newest.items():
        if unit == currency and concept in (balance_tags if start is None else flow_tags):
            told.setdefault(concept, {})[start, last] = r["fact_value"]
            votes[last] = votes.get(last, 0) + 1

    def before(last: date, low: int, high: int, usual: int) -> date | None:
        found = [d for d in votes if low <= (last - d).days <= high]
        return max(found, key=lambda d: (votes[d], -abs((last - d).days - usual), d), default=None)

    def period(periods: Periods, start: date, last: date) -> float | None:
        near = [
            (abs((s - start).days), s, v)
            for (s, e), v in periods.items()
            if s is not None and e == last and abs((s - start).days) <= 4
        ]
        return min(near)[2] if near else None

    def quarter(periods: Periods, start: date, last: date) -> float | None:
        filed = period(periods, start, last)
        if filed is not None:
            return filed
        longer = sorted(((s, v) for (s, e), v in periods.items() if s is not None and e == last), reverse=True)
        for s, v in longer:
            if (start - s).days > 4 and (last - s).days < 380:
                shorter = period(periods, s, start - timedelta(days=1))
                if shorter is not None:
                    return v - shorter
        return None

    def year(periods: Periods, last: date) -> tuple[date, float] | None:
        years = [
            (abs((last - s).days - 364), s, v)
            for (s, e), v in periods.items()
            if s is not None and e == last and 350 <= (last - s).days + 1 <= 380
        ]
        return min(years)[1:] if years else None

    def trailing(concepts: list[Periods], last: date | None) -> float | None:  # noqa: C901 - as above
        if last is None:
            return None
        for periods in concepts:
            found = year(periods, last)
            if found:
                return found[1]
        ago = before(last, 350, 380, 365)
        stops: list[date] = [last]
        while len(stops) < 4:
            stop = before(stops[-1], 75, 120, 91)
            if stop is None:
                break
            stops.append(stop)
        if len(stops) == 4 and ago is not None and 75 <= (stops[3] - ago).days <= 120:
            total, complete = 0.0, True
            for e, s in zip(stops, [*stops[1:], ago], strict=True):
                values = [quarter(periods, s + timedelta(days=1), e) for periods in concepts]
                value = next((v for v in values if v is not None), None)
                complete &= value is not None
                total += value or 0.0
            if complete:
                return total
        if ago is None:
            return None
        for periods in concepts:
            for s, v in sorted(((s, v) for (s, e), v in periods.items() if s and e == last)):
                past = year(periods, s - timedelta(days=1))
                same = None if past is None else period(periods, past[0], ago)
                if past is not None and same is not None:
                    return past[1] + v - same
        return None

    def agreeing(concepts: list[Periods]) -> list[Periods]:
        groups: list[Periods] = []
        for periods in concepts:
            for group in groups:
                both = [p for p in periods if p in group]
                if both and all(periods[p] == group[p] for p in both):
                    group.update(periods)
                    break
            else:
                groups.append(dict(periods))
        return groups

    ago = before(end, 350, 380, 365)
    found: dict[str, Any] = {"fundamentals_period_end": end, "reporting_currency": currency}
    for name in BALANCES:
        for suffix, day in (("", end), ("_year_ago", ago)):
            values = [told.get(c, {}).get((None, day)) for c in BALANCE_TAGS.get(name, ())] if day else []
            found[name + suffix] = next((v for v in values if v is not None), None)
    for name in FLOWS:
        for suffix, day in (("", end), ("_year_ago", ago)):
            concepts = [told[concept] for concept in FLOW_TAGS[name] if concept in told]
            value = trailing(concepts, day)
            found[f"{name}_ttm{suffix}"] = trailing(agreeing(concepts), day) if value is None else value
    return found
