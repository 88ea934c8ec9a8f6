"""The SEC's answer `companyfacts` -> one row a number, as it was filed.

Every restatement stays: the same period in a later filing is another row. What does not belong here: fetching the
answer (`edgar.py`), from which session on a number was known (`panel/facts.py`), which concept is which item
(`panel/fundamental_tags.py`).
"""

import gzip
import json
import zlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import repeat
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from factor_assets.errors import MalformedDataError
from factor_assets.sources.fiscal_periods import NO_START, fiscal_periods

TAXONOMIES = ("us-gaap", "ifrs-full", "dei")


@dataclass(frozen=True, kw_only=True, slots=True)
class DeliveredFacts:
    """Rows of one company.

    Parameters
    ----------
    rows
        Columns of the table `facts` without `accepted_at` and `known_from`, sorted by its key.
    dropped
        Reason -> numbers that are not rows: `repeated` (all the same again), `conflicting` (the same filing tells
        another number of the period; the last one stays), `not_a_number`, `without_date`, `other_taxonomy`.
    """

    rows: pa.Table
    dropped: Mapping[str, int]


def facts_from_companyfacts(raw: bytes, *, ticker: str, source: str) -> DeliveredFacts:
    """Return every number of the taxonomies us-gaap, ifrs-full and dei.

    Parameters
    ----------
    raw
        The answer as delivered, as JSON or compressed by gzip.
    ticker
        Of the company; a company with several share classes has the same facts under each.
    source
        Label of the source of the prices that the facts are stored beside.

    Raises
    ------
    MalformedDataError
        If it is not JSON, or not of the form of a companyfacts answer.

    References
    ----------
    SEC, EDGAR Application Programming Interfaces, https://www.sec.gov/search-filings/edgar-application-programming-
    interfaces: `fy` and `fp` are those of the filing, and `end` alone is a balance.
    """
    answer = _parsed(raw, ticker)
    concepts: list[str] = []
    units: list[str] = []
    numbers: list[Mapping[str, Any]] = []
    dropped: Counter[str] = Counter()
    try:
        cik = f"{int(answer['cik']):010d}"
        for taxonomy, described in answer["facts"].items():
            for concept, content in described.items():
                for unit, found in content["units"].items():
                    if taxonomy not in TAXONOMIES:
                        dropped["other_taxonomy"] += len(found)
                        continue
                    concepts.extend(repeat(f"{taxonomy}:{concept}", len(found)))
                    units.extend(repeat(unit, len(found)))
                    numbers.extend(found)
        return _rows(concepts, units, numbers, told={"ticker": ticker, "cik": cik, "source": source}, dropped=dropped)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise MalformedDataError(
            f"The company facts of {ticker} are JSON but not of the SEC's form (cik, facts, taxonomy, concept, units,"
            f" numbers with end, filed and accn): {type(error).__name__} {error}. Fetch them again."
        ) from error


def _parsed(raw: bytes, ticker: str) -> Mapping[str, Any]:
    try:
        text = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
        answer = json.loads(text)
    except (ValueError, EOFError, OSError, zlib.error) as error:
        raise MalformedDataError(
            f"The company facts of {ticker} are not JSON: {len(raw)} bytes that begin with {raw[:40]!r} ({error})."
            " Fetch them again."
        ) from error
    if not isinstance(answer, dict):
        raise MalformedDataError(
            f"The company facts of {ticker} want a JSON object with cik and facts; got {type(answer).__name__}."
            " Fetch them again."
        )
    return answer


def _rows(
    concepts: list[str],
    units: list[str],
    numbers: list[Mapping[str, Any]],
    *,
    told: Mapping[str, str],
    dropped: Counter[str],
) -> DeliveredFacts:
    values = [number.get("val") for number in numbers]
    # A day is ten characters, also where a time follows.
    days: list[tuple[Any, Any, Any]] = [(n.get("start"), n.get("end"), n.get("filed")) for n in numbers]
    accessions = [number.get("accn") for number in numbers]
    is_number = np.array([isinstance(v, int | float) and not isinstance(v, bool) for v in values], bool)
    dated = np.array(
        [bool(end and filed and accn) for (_, end, filed), accn in zip(days, accessions, strict=True)], bool
    )
    dropped["not_a_number"] += int((~is_number).sum())
    dropped["without_date"] += int((is_number & ~dated).sum())
    kept = np.flatnonzero(is_number & dated)
    places = kept.tolist()

    start = _as_days([days[i][0] or "NaT" for i in places])
    end = _as_days([days[i][1] for i in places])
    filed = _as_days([days[i][2] for i in places])
    accession = pa.array([accessions[i] for i in places], pa.string())
    value = np.array([values[i] for i in places], dtype=np.float64)
    concept = pa.array([concepts[i] for i in places], pa.string())
    unit = pa.array([units[i] for i in places], pa.string())

    # By the table's key, balances last as nulls are; a stable sort keeps the delivered order of equal keys.
    start_key = np.where(start == NO_START, np.iinfo(np.int64).max, start)
    columns = (_ranks(concept), _ranks(unit), end, start_key, filed, _ranks(accession))
    order = np.lexsort(columns[::-1])
    key = [column[order] for column in columns]
    last = _ends_of_groups(key, len(order))
    value_in_order = value[order]
    same = np.append(~last[:-1] & (value_in_order[1:] == value_in_order[:-1]), False) if len(order) else last
    dropped["repeated"] += int((~last & same).sum())
    dropped["conflicting"] += int((~last & ~same).sum())
    chosen = order[last]

    forms = [numbers[i].get("form") for i in kept[chosen].tolist()]
    start, end = start[chosen], end[chosen]
    accession = accession.take(pa.array(chosen))
    periods = fiscal_periods(start, end, forms, accession.to_pylist())
    n = len(chosen)
    rows = pa.table(
        {
            **{name: pa.array([text] * n, pa.string()) for name, text in told.items()},
            "concept": concept.take(pa.array(chosen)),
            "period_start": _dates(start),
            "period_end": _dates(end),
            "duration": pa.array(periods.duration, pa.string()),
            "fact_value": pa.array(value[chosen]),
            "fact_unit": unit.take(pa.array(chosen)),
            "fiscal_year": pa.array(periods.year, pa.int64(), mask=periods.year == 0),
            "fiscal_quarter": pa.array(periods.quarter, pa.int64(), mask=periods.quarter == 0),
            "form": pa.array(forms, pa.string()),
            "accession": accession,
            "filed": _dates(filed[chosen]),
        }
    )
    return DeliveredFacts(rows=rows, dropped={reason: count for reason, count in sorted(dropped.items()) if count})


def _as_days(texts: list[str]) -> npt.NDArray[np.int64]:
    """Days since 1970; NaT is `NO_START`, which is how NumPy writes it."""
    return np.array(texts, dtype="datetime64[D]").astype(np.int64)


def _dates(days: npt.NDArray[np.int64]) -> pa.Array:
    missing = days == NO_START
    return pa.array(np.where(missing, 0, days).astype(np.int32), pa.int32(), mask=missing).cast(pa.date32())


def _ranks(texts: pa.Array) -> npt.NDArray[np.int64]:
    """Return the rank of each text among the distinct ones, int64 of shape (n,): far faster to sort by than texts."""
    encoded = texts.dictionary_encode()
    rank = np.empty(len(encoded.dictionary), np.int64)
    rank[pc.sort_indices(encoded.dictionary).to_numpy()] = np.arange(len(rank))
    found: npt.NDArray[np.int64] = rank[encoded.indices.to_numpy()]
    return found


def _ends_of_groups(key: list[npt.NDArray[Any]], n: int) -> npt.NDArray[np.bool_]:
    """Whether a row is the last of those with its key, of shape (n,); rows are sorted by the key."""
    last = np.ones(n, dtype=bool)
    if n > 1:
        last[:-1] = np.any([column[1:] != column[:-1] for column in key], axis=0)
    return last
