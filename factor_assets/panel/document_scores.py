"""Numbers from news, reports and filings by session: rows of the table `document_scores`.

1. Sentiment is that of the session's own news; a session without news has none.
2. Of the reports of a ticker that are known on the session (`known_from`) the one of the latest date counts; ratings
   that it lacks are null, they are not taken from an earlier one. It counts until it is `max_age_days` old.
3. Of the filings likewise, by the end of their period, then by the session from which they were known.
4. A ticker and session without any number has no row.

A row depends on nothing that became known later. What does not belong here: how the numbers came about (`text/`).
"""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from factor_assets.calendar import Dates, session_positions
from factor_assets.document_columns import SCORES
from factor_assets.tables import TABLES

FILING_NUMBERS: Mapping[str, str] = {
    "filing_similarity": "similarity_cosine",
    "filing_length": "n_words",
    "filing_tone": "tone",
}
"""Column of `document_scores` -> column of `filing_texts`."""

NUMBERS = tuple(n for n in TABLES["document_scores"].column_names if n not in {"date", "ticker", "source"})

_Array = npt.NDArray[np.float64]
_Rows = npt.NDArray[np.int64]


def document_scores(
    *,
    sessions: Dates,
    tickers: Iterable[str],
    sentiments: pa.Table,
    ratings: pa.Table,
    filings: pa.Table,
    max_age_days: int,
    source: str,
) -> pa.Table:
    """Return the rows of the sessions and tickers that have at least one number.

    Parameters
    ----------
    sessions
        datetime64[D] of shape (n_sessions,), increasing.
    sentiments
        Rows of `news_sentiments`; those of other sessions and tickers are left out.
    ratings, filings
        Rows of `report_ratings` and `filing_texts`, all of them: older ones count until they are too old.
    max_age_days
        Days from the date of a report, or from the end of the period of a filing, to the session.
    source
        For the column `source`.
    """
    names = tuple(sorted(set(tickers)))
    shape = (len(sessions), len(names))
    numbers = {name: np.full(shape, np.nan) for name in NUMBERS}
    place_of = {ticker: column for column, ticker in enumerate(names)}
    _place_sentiments(numbers["news_sentiment"], sentiments, sessions, place_of)
    for topic in SCORES:
        found = ratings.filter(pc.equal(ratings["topic"], topic))
        for column, rows in _last_known(found, "document_key", sessions, place_of, max_age_days=max_age_days):
            numbers[f"rating_{topic}"][:, column] = _taken(found, "rating", rows)
    for column, rows in _last_known(filings, "accession", sessions, place_of, max_age_days=max_age_days):
        for name, of_filing in FILING_NUMBERS.items():
            numbers[name][:, column] = _taken(filings, of_filing, rows)
    present = np.zeros(shape, dtype=bool)
    for values in numbers.values():
        present |= ~np.isnan(values)
    row, at_column = np.nonzero(present)
    return pa.table(
        {
            "date": pa.array(sessions[row], pa.date32()),
            "ticker": pa.array(names, pa.string()).take(pa.array(at_column)),
            **{name: pa.array(values[row, at_column], from_pandas=True) for name, values in numbers.items()},
            "source": pa.repeat(pa.scalar(source), len(row)),
        },
        schema=TABLES["document_scores"].schema,
    )


def _place_sentiments(into: _Array, rows: pa.Table, sessions: Dates, place_of: Mapping[str, int]) -> None:
    """Put the session's own sentiment into float64 of shape (n_sessions, n_tickers)."""
    row = session_positions(rows["date"].to_numpy().astype("datetime64[D]"), sessions)
    column = np.array([place_of.get(ticker, -1) for ticker in rows["ticker"].to_pylist()], dtype=np.int64)
    inside = (row >= 0) & (column >= 0)
    into[row[inside], column[inside]] = _numbers(rows, "sentiment")[inside]


def _last_known(
    rows: pa.Table, name: str, sessions: Dates, place_of: Mapping[str, int], *, max_age_days: int
) -> Iterator[tuple[int, _Rows]]:
    """Yield each ticker's column and the row that counts on each session, -1 for none, int64 of shape (n_sessions,).

    Parameters
    ----------
    name
        Column that decides between documents of one date that became known together.
    """
    known = rows["known_from"].to_numpy().astype("datetime64[D]")
    dated = rows["report_date"].to_numpy().astype("datetime64[D]")
    in_order = np.lexsort((np.array(rows[name].to_pylist(), dtype=str), known, dated))
    rank = np.empty(rows.num_rows, dtype=np.int64)
    rank[in_order] = np.arange(rows.num_rows)
    usable = ~np.isnat(known) & ~np.isnat(dated)
    rows_of: dict[str, list[int]] = {}
    for number, ticker in enumerate(rows["ticker"].to_pylist()):
        if ticker in place_of and usable[number]:
            rows_of.setdefault(ticker, []).append(number)
    for ticker, numbers in rows_of.items():
        its = np.array(numbers, dtype=np.int64)
        its = its[np.argsort(known[its], kind="stable")]
        best = in_order[np.maximum.accumulate(rank[its])]
        position = np.searchsorted(known[its], sessions, side="right") - 1
        found = np.where(position >= 0, best[position], -1)
        found[(sessions - dated[found]) > np.timedelta64(max_age_days, "D")] = -1
        yield place_of[ticker], found


def _taken(rows: pa.Table, name: str, found: _Rows) -> _Array:
    """Return one number of the rows that count, NaN where none does; float64 of shape (n_sessions,)."""
    values = np.append(_numbers(rows, name), np.nan)
    return values[found]


def _numbers(rows: pa.Table, name: str) -> _Array:
    values: _Array = rows[name].cast(pa.float64()).to_numpy().astype(np.float64)
    return values
