"""Cells as a source delivered them -> rows of `price_history`: dates placed, numbers read, unreadable cells explained.

What does not belong here: where the cells came from (`files.py`, `yahoo.py`), and judging readable values; a negative
price is readable and stays.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from factor_assets.sources.price_source import IN_THE_FUTURE, OUTSIDE_RANGE
from factor_assets.tables import TABLES

SCHEMA = TABLES["price_history"].schema
NUMBERS = tuple(f.name for f in SCHEMA if f.type == pa.float64())
MISSING_MARKS = ("", "-", "na", "n/a", "#n/a", "nan", "null", "none")
_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"


@dataclass(frozen=True, kw_only=True)
class Zones:
    """Time zones in which timestamps are read.

    Parameters
    ----------
    exchange
        Zone whose calendar date a row gets.
    naive
        Zone of timestamps that name none.
    """

    exchange: ZoneInfo
    naive: ZoneInfo


def place_dates(values: pa.ChunkedArray, *, zones: Zones) -> pa.ChunkedArray:
    """Read dates from a column of dates, timestamps, ISO text or YYYYMMDD; unreadable ones become null.

    A timestamp becomes the date it has on the exchange. One at exactly midnight in its own zone is taken as the label
    of a day, as most vendors mean it, and keeps its date. Text is read row by row, so zones may differ between rows.
    """
    kind = values.type
    if pa.types.is_date(kind):
        return values.cast(pa.date32())
    if pa.types.is_timestamp(kind):
        own = (
            values
            if kind.tz
            else pc.assume_timezone(values, str(zones.naive), ambiguous="earliest", nonexistent="latest")
        )
        local = pc.local_timestamp(own)
        there = pc.local_timestamp(own.cast(pa.timestamp(kind.unit, tz=str(zones.exchange))))
        midnight = pc.equal(local, pc.floor_temporal(local, unit="day"))
        return pc.floor_temporal(pc.if_else(midnight, local, there), unit="day").cast(pa.date32())
    # Few distinct texts: each is read once.
    coded = values.cast(pa.string()).combine_chunks().dictionary_encode()
    coded = coded if isinstance(coded, pa.DictionaryArray) else coded.combine_chunks()
    read = pa.array([_read_date(text, zones) for text in coded.dictionary.to_pylist()], pa.date32())
    return pa.chunked_array([read.take(coded.indices)])


def _read_date(text: str, zones: Zones) -> date | None:
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    if moment.time() == datetime.min.time():
        return moment.date()
    return moment.replace(tzinfo=moment.tzinfo or zones.naive).astimezone(zones.exchange).date()


def read_numbers(values: pa.ChunkedArray) -> tuple[pa.ChunkedArray, pa.ChunkedArray]:
    """Read a column as float64.

    Returns
    -------
    The numbers, and a column of the same length: the text of each cell that is neither a finite number nor a mark for
    missing (`MISSING_MARKS`, whatever their case), with what is wrong with it; null elsewhere.
    """
    if pa.types.is_null(values.type):
        return values.cast(pa.float64()), values.cast(pa.string())
    if pa.types.is_integer(values.type) or pa.types.is_floating(values.type) or pa.types.is_decimal(values.type):
        numbers = values.cast(pa.float64(), safe=False)
        finite = pc.is_finite(numbers)
        infinite = pc.and_(pc.invert(finite), pc.invert(pc.is_nan(numbers)))
        return _where(finite, numbers), _said(infinite, numbers, "{} is not finite")
    text = pc.utf8_trim_whitespace(values.cast(pa.string()))
    numbers = _where(pc.match_substring_regex(text, _NUMBER), text).cast(pa.float64())
    finite = pc.is_finite(numbers)  # 1e999 reads as infinity
    missing = pc.is_in(pc.utf8_lower(text), value_set=pa.array(MISSING_MARKS))
    unreadable = pc.and_(pc.invert(pc.fill_null(finite, False)), pc.invert(pc.fill_null(missing, True)))
    return _where(finite, numbers), _said(unreadable, text, "'{}' is not a number")


def _said(wrong: pa.ChunkedArray, values: pa.ChunkedArray, words: str) -> pa.ChunkedArray:
    """Return what is wrong with each value where it is wrong, null elsewhere; `{}` in the words is the value."""
    if not pc.any(wrong).as_py():  # nearly always, and text costs more than all the rest
        return pa.chunked_array([pa.nulls(len(values), pa.string())])
    before, _, after = words.partition("{}")
    return pc.binary_join_element_wise(before, _where(wrong, values).cast(pa.string()), after, "")


def _where(condition: pa.ChunkedArray, values: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.if_else(condition, values, pa.scalar(None, values.type))


def place_rows(
    cells: pa.Table, *, zones: Zones, label: str, fetched_at: pa.Scalar, zero_is_no_split: bool = False
) -> tuple[pa.Table, dict[str, int]]:
    """Return cells as rows of `price_history`, sorted by ticker and date, in delivered order within them.

    Parameters
    ----------
    cells
        Columns named as ours, of any type that `place_dates` and `read_numbers` take; at least `ticker`, without
        nulls, and `date`. A column that is not there is null in every row.
    zones
        How timestamps are read.
    fetched_at
        When the cells were delivered.
    zero_is_no_split
        Whether a split of 0 marks a row without one, as Yahoo writes it.

    Returns
    -------
    The rows, and ticker -> the number of its cells' rows without a readable date, which are left out.
    """
    dates = place_dates(cells["date"], zones=zones)
    undated: dict[str, int] = {}
    if dates.null_count:
        lost = pc.value_counts(cells["ticker"].filter(dates.is_null())).to_pylist()
        undated = {entry["values"]: entry["counts"] for entry in lost}
        cells, dates = cells.filter(dates.is_valid()), dates.drop_null()
    n = cells.num_rows
    out: dict[str, pa.ChunkedArray | pa.Array] = {
        "ticker": cells["ticker"],
        "date": dates,
        "source": pa.repeat(pa.scalar(label), n),
        "fetched_at": pa.repeat(fetched_at, n),
    }
    problems: dict[str, pa.ChunkedArray] = {}
    for name in NUMBERS:
        if name in cells.column_names:
            out[name], problems[name] = read_numbers(cells[name])
    if "sector" in cells.column_names:
        out["sector"] = cells["sector"].cast(pa.string())
    if "dividend" in out:
        out["dividend"], problems["dividend"] = _event(out["dividend"], problems["dividend"], none=0.0)
    if "split" in out:
        split = _where(pc.not_equal(out["split"], 0.0), out["split"]) if zero_is_no_split else out["split"]
        out["split"], problems["split"] = _event(split, problems["split"], none=1.0)
    out["issue"] = _issues(problems, n)
    rows = pa.table([out.get(f.name, pa.nulls(n, f.type)) for f in SCHEMA], schema=SCHEMA)
    return sort_rows(rows), undated


def sort_rows(rows: pa.Table) -> pa.Table:
    """Sort by ticker and date; rows that share both keep their order."""
    return rows.take(pc.sort_indices(rows, sort_keys=[("ticker", "ascending"), ("date", "ascending")]))


def _event(
    values: pa.ChunkedArray, problems: pa.ChunkedArray, *, none: float
) -> tuple[pa.ChunkedArray, pa.ChunkedArray]:
    """Null the value that means no event, and those that cannot be one, which are explained.

    A dividend (`none` 0) must not be negative; a split (`none` 1) must be above 0.
    """
    wrong = pc.less(values, 0.0) if none == 0.0 else pc.less_equal(values, 0.0)
    wanted = "0 or more" if none == 0.0 else "above 0"
    event = pc.and_(pc.invert(wrong), pc.not_equal(values, none))
    return _where(event, values), pc.coalesce(problems, _said(wrong, values, f"{{}} is not {wanted}"))


def _issues(problems: Mapping[str, pa.ChunkedArray], n: int) -> pa.Array:
    """Join what is wrong with each row's cells: "close: 'abc' is not a number; split: 0 is not above 0"."""
    said: dict[int, list[str]] = {}
    for name, problem in problems.items():
        if problem.null_count < n:
            for position in pc.indices_nonzero(problem.is_valid()).to_pylist():
                said.setdefault(position, []).append(f"{name}: {problem[position].as_py()}")
    if not said:
        return pa.nulls(n, pa.string())
    return pa.array(["; ".join(said[i]) if i in said else None for i in range(n)], pa.string())


def issue_remarks(rows: pa.Table) -> list[str]:
    """Return what to say about rows with cells that could not be read: their number and the first; nothing if none."""
    n = rows.num_rows - rows["issue"].null_count
    if not n:
        return []
    first = rows.filter(rows["issue"].is_valid()).slice(0, 1).to_pylist()[0]
    return [f"cells of {n} of {rows.num_rows} rows could not be read, such as on {first['date']}: {first['issue']}"]


def clip_dates(rows: pa.Table, *, start: date, end: date | None, today: date) -> tuple[pa.Table, dict[str, int]]:
    """Return the rows from `start` to `end` that are not after `today`, and the number of others by reason."""
    future = pc.greater(rows["date"], pa.scalar(today, pa.date32()))
    before = pc.less(rows["date"], pa.scalar(start, pa.date32()))
    after = pc.greater(rows["date"], pa.scalar(end or date.max, pa.date32()))
    outside = pc.and_not(pc.or_(before, after), future)
    counts = {IN_THE_FUTURE: pc.sum(future).as_py() or 0, OUTSIDE_RANGE: pc.sum(outside).as_py() or 0}
    if any(counts.values()):
        rows = rows.filter(pc.invert(pc.or_(future, outside)))
    return rows, {reason: n for reason, n in counts.items() if n}
