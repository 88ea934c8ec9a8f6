"""Submissions of the SEC as rows of the table `filings`, and which of them carry facts.

Times of acceptance: EDGAR writes `2019-11-15T11:02:24.000Z`, and UTC it is: that filing's own header says 06:02:24 in
New York, and of 4,020 real entries all but 7 fall into EDGAR's hours (6:00 to 22:00 there) when read so. The entries
of the last days before a fetch are the exception: EDGAR first writes New York's time under the same Z (a 10-K accepted
at "20:55:03Z" was filed the day after, which only 20:55 in New York explains) and corrects it later. They are read as
UTC like the others, so that `accepted_at` of the newest filings may be four or five hours early until the next fetch;
the day in New York is the same under both readings, and what follows from it is by day.

What does not belong here: from which session a filing is used (`panel/filings.py`), its facts (`edgar_facts.py`).
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from factor_assets.errors import MalformedDataError
from factor_assets.sources.edgar import LABEL
from factor_assets.tables import TABLES

FACT_FORMS = frozenset({"10-K", "10-KT", "10-Q", "10-QT", "20-F", "40-F"})
"""Forms that always carry facts, as do their amendments (with /A). A 6-K does where the SEC says that it has XBRL. An
8-K has XBRL on its cover alone; the few with restated facts are found by the daily run."""

_COLUMNS: Mapping[str, str] = {
    "accession": "accessionNumber",
    "form": "form",
    "filed": "filingDate",
    "accepted_at": "acceptanceDateTime",
    "report_date": "reportDate",
    "primary_document": "primaryDocument",
}


def read_filings(submissions: bytes, older: Iterable[bytes] = (), *, ticker: str, source: str) -> pa.Table:
    """Return the filings of a company, each once, in order of accession number.

    Parameters
    ----------
    submissions
        The company's submissions, as delivered.
    older
        Its files of older filings. A filing that is in several is as the submissions have it.
    source
        Value of the column `source`.

    Returns
    -------
    Rows of table `filings`; `known_from` is null. What EDGAR leaves empty is null.

    Raises
    ------
    MalformedDataError
        If it is not what EDGAR delivers.
    """
    whole = _json(submissions)
    try:
        cik = int(whole["cik"])
        parts = [_part(whole["filings"]["recent"]), *(_part(_json(content)) for content in older)]
    except (KeyError, TypeError, ValueError, pa.ArrowInvalid) as error:
        raise MalformedDataError(
            f"{LABEL}'s submissions of {ticker} are not what they were ({type(error).__name__}); wanted cik and"
            f" filings.recent with the lists {', '.join(_COLUMNS.values())}, equally long."
        ) from None
    rows = pa.concat_tables(parts)
    first = {name: i for i, name in reversed(list(enumerate(rows["accession"].to_pylist())))}
    rows = rows.take(pa.array([first[name] for name in sorted(first)], pa.int64()))
    schema = TABLES["filings"].schema
    given = {
        "ticker": pa.repeat(ticker, rows.num_rows),
        "cik": pa.repeat(f"{cik:010d}", rows.num_rows),
        "known_from": pa.nulls(rows.num_rows, schema.field("known_from").type),
        "source": pa.repeat(source, rows.num_rows),
        **{name: rows[name] for name in _COLUMNS},
    }
    return pa.table([given[name] for name in schema.names], schema=schema)


def fact_filings(submissions: bytes, *, ticker: str) -> list[tuple[str, str]]:
    """Return acceptance time and accession number of the recent filings that carry facts, in order of acceptance.

    Parameters
    ----------
    submissions
        The company's submissions, as delivered.

    Raises
    ------
    MalformedDataError
        If it is not what EDGAR delivers.
    """
    try:
        recent = _json(submissions)["filings"]["recent"]
        lists = [recent[name] for name in ("acceptanceDateTime", "accessionNumber", "form", "isXBRL")]
        entries = [
            (str(accepted), str(accession))
            for accepted, accession, form, has_xbrl in zip(*lists, strict=True)
            if form.removesuffix("/A") in FACT_FORMS or (form.removesuffix("/A") == "6-K" and has_xbrl)
        ]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise MalformedDataError(
            f"{LABEL}'s submissions of {ticker} are not what they were ({type(error).__name__}); wanted filings.recent"
            " with acceptanceDateTime, accessionNumber, form and isXBRL, equally long."
        ) from None
    return sorted(entries)


def _json(content: bytes) -> Any:
    return json.loads(content)


def _part(lists: Mapping[str, Sequence[Any]]) -> pa.Table:
    schema = TABLES["filings"].schema
    texts = {name: pa.array(lists[theirs], pa.string()) for name, theirs in _COLUMNS.items()}
    columns = {name: pc.if_else(pc.equal(text, ""), None, text) for name, text in texts.items()}
    for name in ("filed", "report_date"):
        columns[name] = columns[name].cast(schema.field(name).type)
    # Without the zone, which is always written as Z and fractions that are always zero.
    moments = pc.strptime(pc.utf8_slice_codeunits(columns["accepted_at"], 0, 19), "%Y-%m-%dT%H:%M:%S", unit="us")
    columns["accepted_at"] = pc.assume_timezone(moments, "UTC")
    if columns["accession"].null_count or columns["filed"].null_count:
        raise ValueError("a filing without accession number or day")
    return pa.table(columns)
