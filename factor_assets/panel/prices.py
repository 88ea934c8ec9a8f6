"""Clean prices and forward adjustment factors: delivered rows -> the tables `prices` and `corporate_actions`.

What does not belong here: judging the rows (`quality.py` reports, this module only decides what is kept), adjusted
prices (`panel.py` makes them at read), fetching.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from factor_assets.calendar import Dates, session_positions
from factor_assets.storage.slice import EVERYTHING, Slice
from factor_assets.tables import TABLES

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

PRICES = ("open", "high", "low", "close")
VALUES = (*PRICES, "volume", "dividend", "split", "adjusted_close", "shares_outstanding")


@dataclass(frozen=True, kw_only=True)
class CleanPrices:
    """The result of `clean_prices`.

    Parameters
    ----------
    prices, corporate_actions
        Rows of the tables of the same name in the slice asked for, sorted by date and ticker.
    dropped
        Reason -> delivered rows of the slice that are in neither table because of it.
    treated
        Reason -> values of the slice that were made null, and events that were moved.
    rows
        What the tables were made of, of every date: the returns into the slice need the rows before it.
    """

    prices: pa.Table
    corporate_actions: pa.Table
    dropped: Mapping[str, int]
    treated: Mapping[str, int]
    rows: "CleanRows"


@dataclass(frozen=True, kw_only=True, eq=False)
class CleanRows:
    """One row a ticker and session, sorted by both, as aligned arrays of shape (n_rows,).

    Parameters
    ----------
    tickers
        Sorted names; `code` points into them.
    row
        Position of each row in the delivered table.
    values
        `VALUES` as float64; NaN means missing. A dividend or split is NaN where there is none.
    implied_adjustment
        As the column of that name; NaN where there is none.
    total_return_factor, split_factor
        As the columns of that name.
    first
        Whether the row is its ticker's first.
    sessions
        datetime64[D] of shape (n_sessions,): the sessions that rows may be on.
    dropped, treated
        Reason -> positions in the delivered table.
    """

    tickers: list[str]
    code: npt.NDArray[np.int64]
    date: Dates
    row: Indices
    values: Mapping[str, Array]
    implied_adjustment: Array
    total_return_factor: Array
    split_factor: Array
    first: npt.NDArray[np.bool_]
    sessions: Dates
    dropped: Mapping[str, Indices]
    treated: Mapping[str, Indices]


def clean_prices(
    history: pa.Table, *, sessions: Dates, part: Slice = EVERYTHING, has_events: bool | None = None
) -> CleanPrices:
    r"""Keep one row a ticker and session, and accumulate corporate actions forwards.

    1. Rows on a day that is not a session are dropped (`off_session`). An event on such a row moves to the ticker's
       next row, unless that row has the same kind of event itself (`moved_event`).
    2. Of the rows with one ticker and date, the one fetched last stays, and of one delivery the last row. The others
       are dropped. Of an older delivery: `refetched` where all numbers agree, else `revised`. Of the same delivery:
       `repeated` where all numbers agree, else `conflicting`.
    3. Impossible values become null; nothing is repaired and the row stays, also without a close: prices that are not
       positive and finite (`invalid_price`), negative volume (`invalid_volume`), splits that are not positive and
       finite (`invalid_split`), negative dividends (`invalid_dividend`).
    4. Events: a dividend above 0, a split other than 1. Where the source has no events but an adjusted close
       :math:`a`, the event is :math:`g_t = (a_t / a_s) / (p_t / p_s)` if it differs from 1 by more than 1e-9, with
       :math:`s` the ticker's previous row that has both prices. Two rows of different deliveries are of different
       vintages and imply nothing (`vintage_break`).
    5. :math:`g_t = (p_t \, split_t + dividend_t) / p_t` is the growth of a holding whose dividend is reinvested at the
       close :math:`p_t`. A dividend on a row without close is reinvested at the next close (`carried_dividend`).
    6. `total_return_factor` is the running product of :math:`g` from 1 on the ticker's first row, `split_factor` that
       of the splits. So a later row changes no earlier one, to the last bit.

    Parameters
    ----------
    history
        Rows of the table `price_history`, in any order. A ticker's factors start at its first row here, so give every
        row up to the last date wanted; later ones change nothing.
    sessions
        datetime64[D] of shape (n_sessions,), increasing: every session from the first row to the last.
    part
        Which rows to return.
    has_events
        Whether the source delivers dividends and splits; None: whether any row has a non-null one (0 and 1 count).

    References
    ----------
    CRSP US Stock and Indexes Databases, Data Descriptions Guide, "Returns": the holding-period return
    (p_t f_t + d_t) / p_s - 1, with the dividend reinvested on its ex-date.
    """
    rows = clean_rows(history, sessions=sessions, has_events=has_events)
    wanted = inside(history, part)
    kept = np.flatnonzero(wanted[rows.row])
    order = kept[np.lexsort((rows.code[kept], rows.date[kept]))]
    dividend, split = rows.values["dividend"], rows.values["split"]
    columns = {
        **rows.values,
        "implied_adjustment": rows.implied_adjustment,
        "total_return_factor": rows.total_return_factor,
        "split_factor": rows.split_factor,
    }
    event = ~(np.isnan(dividend) & np.isnan(split) & np.isnan(rows.implied_adjustment))[order]
    return CleanPrices(
        prices=_table("prices", rows, columns, history=history, order=order),
        corporate_actions=_table("corporate_actions", rows, columns, history=history, order=order[event]),
        dropped={reason: int(wanted[found].sum()) for reason, found in rows.dropped.items()},
        treated={reason: int(wanted[found].sum()) for reason, found in rows.treated.items()},
        rows=rows,
    )


def inside(history: pa.Table, part: Slice) -> npt.NDArray[np.bool_]:
    """Return whether each delivered row belongs to the slice."""
    mask = part.mask(history)
    return np.ones(history.num_rows, dtype=bool) if mask is None else mask.to_numpy()


def first_difference(stored: pa.Table, fresh: pa.Table) -> date | None:
    """Return the first date on which two tables `prices`, both sorted by their key, differ; None if they do not.

    A row that only one of them has is a difference.
    """
    n = min(stored.num_rows, fresh.num_rows)
    differs = np.zeros(n, dtype=bool)
    for name in stored.column_names:
        one, other = stored[name].slice(0, n), fresh[name].slice(0, n)
        differs |= pc.not_equal(one.is_null(), other.is_null()).to_numpy()
        differs |= pc.fill_null(pc.not_equal(one, other), False).to_numpy()
    first = int(differs.argmax()) if differs.any() else n
    dates = [rows["date"][first].as_py() for rows in (stored, fresh) if first < rows.num_rows]
    return min(dates, default=None)


def revised_tickers(stored: pa.Table, fresh: pa.Table) -> list[str]:
    """Return the tickers, sorted, whose adjustment factors differ between rows of one date of two tables `prices`."""
    factors = ["total_return_factor", "split_factor"]
    was, now = (
        {row["ticker"]: [row[name] for name in factors] for row in rows.select(["ticker", *factors]).to_pylist()}
        for rows in (stored, fresh)
    )
    return sorted(ticker for ticker in was.keys() & now.keys() if was[ticker] != now[ticker])


def clean_rows(history: pa.Table, *, sessions: Dates, has_events: bool | None = None) -> CleanRows:
    """Do the steps of `clean_prices` and return the arrays; parameters as there."""
    tickers, code = ticker_codes(history)
    date: Dates = history["date"].to_numpy().astype("datetime64[D]")
    fetched = history["fetched_at"].to_numpy().astype(np.int64)  # NaT, the smallest number, sorts first
    raw = {name: history[name].to_numpy().astype(np.float64, copy=False) for name in VALUES}
    if has_events is None:
        has_events = not (np.isnan(raw["dividend"]).all() and np.isnan(raw["split"]).all())

    on_session = session_positions(date, sessions) >= 0
    day = date.astype(np.int64) - (date.min().astype(np.int64) if len(date) else 0)
    key = code * (int(day.max(initial=0)) + 1) + day
    row, dropped = _one_row_each(key, fetched, raw, on_session)

    treated: dict[str, Indices] = {}
    values: dict[str, Array] = {name: column[row] for name, column in raw.items()}
    _clear(values, PRICES, treated, row, "invalid_price", lowest=np.nextafter(0.0, 1.0))
    _clear(values, ("volume",), treated, row, "invalid_volume", lowest=0.0)
    _clear(values, ("split",), treated, row, "invalid_split", lowest=np.nextafter(0.0, 1.0))
    _clear(values, ("dividend",), treated, row, "invalid_dividend", lowest=0.0)
    dividend, split = values["dividend"], values["split"]
    dividend[dividend == 0.0] = np.nan
    split[split == 1.0] = np.nan
    treated["moved_event"] = _move_events(
        values, raw, row=row, key=key, code=code, fetched=fetched, off=dropped["off_session"]
    )

    code = code[row]
    first = np.ones(len(row), dtype=bool)
    first[1:] = code[1:] != code[:-1]
    close, implied = values["close"], np.full(len(row), np.nan)
    splits = np.where(np.isnan(split), 1.0, split)
    if has_events:
        paid = np.where(np.isnan(dividend) | np.isnan(close), 0.0, dividend)
        gross = np.where(paid > 0, (close * splits + paid) / close, splits)
        carried = _carry_dividends(gross, dividend, splits, close, first=first)
        breaks = np.zeros(0, dtype=np.int64)
    else:
        breaks = _imply(implied, close, values["adjusted_close"], fetched[row], code=code)
        gross, carried = np.where(np.isnan(implied), 1.0, implied), np.zeros(0, dtype=np.int64)
    treated["carried_dividend"], treated["vintage_break"] = row[carried], row[breaks]
    gross[first] = splits[first] = 1.0
    return CleanRows(
        tickers=tickers,
        code=code,
        date=date[row],
        row=row,
        values=values,
        implied_adjustment=implied,
        total_return_factor=_running_product(gross, first),
        split_factor=_running_product(splits, first),
        first=first,
        sessions=sessions,
        dropped=dropped,
        treated=treated,
    )


def ticker_codes(rows: pa.Table) -> tuple[list[str], Indices]:
    """Return the sorted tickers and, for each row, the position of its ticker among them."""
    encoded = rows["ticker"].combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):  # a column of many chunks stays chunked in some versions of pyarrow
        encoded = encoded.unify_dictionaries().combine_chunks()
    names = encoded.dictionary.to_pylist()
    order = sorted(range(len(names)), key=names.__getitem__)
    rank = np.empty(len(names), dtype=np.int64)
    rank[order] = np.arange(len(names))
    code: Indices = rank[encoded.indices.to_numpy()] if rows.num_rows else np.zeros(0, dtype=np.int64)
    return [names[i] for i in order], code


def _one_row_each(
    key: Indices, fetched: Indices, raw: Mapping[str, Array], on_session: npt.NDArray[np.bool_]
) -> tuple[Indices, dict[str, Indices]]:
    """Steps 1 and 2: positions of the rows that stay, sorted by key, and of those dropped, by reason."""
    row = np.flatnonzero(on_session)
    kept_key = key[row]
    if not (kept_key[1:] > kept_key[:-1]).all():
        row = row[np.lexsort((fetched[row], kept_key))]
        kept_key = key[row]
    last = np.ones(len(row), dtype=bool)
    last[:-1] = kept_key[1:] != kept_key[:-1]
    winner = row[last]
    loser = row[~last]
    beaten_by = winner[(np.cumsum(last) - last)[~last]]
    same = np.ones(len(loser), dtype=bool)
    for column in raw.values():
        ours, theirs = column[loser], column[beaten_by]
        same &= (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
    older = fetched[loser] < fetched[beaten_by]
    return winner, {
        "off_session": np.flatnonzero(~on_session),
        "refetched": loser[same & older],
        "repeated": loser[same & ~older],
        "revised": loser[~same & older],
        "conflicting": loser[~same & ~older],
    }


def _clear(
    values: dict[str, Array],
    names: tuple[str, ...],
    treated: dict[str, Indices],
    row: Indices,
    reason: str,
    *,
    lowest: float,
) -> None:
    """Step 3: make values below `lowest` or infinite NaN, in place."""
    found = []
    for name in names:
        column = values[name]
        bad = np.flatnonzero((column < lowest) | np.isinf(column))
        column[bad] = np.nan
        found.append(row[bad])
    treated[reason] = np.concatenate(found)


def _move_events(
    values: Mapping[str, Array],
    raw: Mapping[str, Array],
    *,
    row: Indices,
    key: Indices,
    code: Indices,
    fetched: Indices,
    off: Indices,
) -> Indices:
    """Step 1: give the events of off-session rows to the ticker's next row; return the rows that gave one.

    Of several off-session rows before one row the last gives, by date and delivery.
    """
    off = off[np.lexsort((fetched[off], key[off]))]
    target = np.searchsorted(key[row], key[off], side="right")
    target[target == len(row)] = -1
    has_next = (target >= 0) & (code[row[target]] == code[off]) if len(row) else np.zeros(len(off), dtype=bool)
    off, target = off[has_next], target[has_next]
    moved = []
    for name, nothing in (("dividend", 0.0), ("split", 1.0)):
        given = raw[name][off]
        event = np.flatnonzero((given > 0) & np.isfinite(given) & (given != nothing) & np.isnan(values[name][target]))
        last = event[::-1][np.unique(target[event][::-1], return_index=True)[1]]
        values[name][target[last]] = given[last]
        moved.append(off[last])
    return np.concatenate(moved)


def _carry_dividends(
    gross: Array, dividend: Array, splits: Array, close: Array, *, first: npt.NDArray[np.bool_]
) -> Indices:
    """Step 5: reinvest dividends of rows without close at the next close, in place; return those rows.

    The dividend is per share before that row's split, so it shrinks by every split until it is reinvested.
    """
    carried = np.flatnonzero(~np.isnan(dividend) & np.isnan(close) & ~first)
    for start in carried:
        amount, at = dividend[start] / splits[start], start + 1
        while at < len(close) and not first[at] and np.isnan(close[at]):
            amount, at = amount / splits[at], at + 1
        if at < len(close) and not first[at]:
            gross[at] += amount / close[at]
    return carried


def _imply(implied: Array, close: Array, adjusted: Array, fetched: Indices, *, code: Indices) -> Indices:
    """Step 4: fill `implied` in place; return the rows where two vintages meet."""
    usable = np.flatnonzero(~np.isnan(close) & (adjusted > 0) & np.isfinite(adjusted))
    now, before = usable[1:], usable[:-1]
    one_ticker, one_vintage = code[now] == code[before], fetched[now] == fetched[before]
    ratio = (adjusted[now] / adjusted[before]) / (close[now] / close[before])
    event = one_ticker & one_vintage & (np.abs(ratio - 1.0) > 1e-9)
    implied[now[event]] = ratio[event]
    breaks: Indices = now[one_ticker & ~one_vintage]
    return breaks


def _running_product(growth: Array, first: npt.NDArray[np.bool_]) -> Array:
    """Step 6: product from each ticker's first row on, multiplied strictly in order of time."""
    product = np.ones_like(growth)
    edges = np.append(np.flatnonzero(first), len(growth))
    # A product over all rows, divided by its value at the ticker's start, would depend on the other tickers' bits.
    for position in np.unique(np.searchsorted(edges, np.flatnonzero(growth != 1.0), side="right") - 1):
        start, stop = edges[position], edges[position + 1]
        np.multiply.accumulate(growth[start:stop], out=product[start:stop])
    return product


def _table(name: str, rows: CleanRows, columns: Mapping[str, Array], *, history: pa.Table, order: Indices) -> pa.Table:
    schema = TABLES[name].schema
    tickers = pa.DictionaryArray.from_arrays(
        pa.array(rows.code[order], pa.int32()), pa.array(rows.tickers, pa.string())
    )
    arrays = {
        "date": pa.array(rows.date[order], pa.date32()),
        "ticker": tickers.cast(pa.string()),
        "source": history["source"].take(pa.array(rows.row[order])),
    }
    for column, numbers in columns.items():
        if column in schema.names:
            arrays[column] = pa.array(numbers[order], pa.float64(), from_pandas=True)
    return pa.table([arrays[column] for column in schema.names], schema=schema)
