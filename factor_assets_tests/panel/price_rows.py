"""Small hand-made rows of `price_history`, and real files mapped to it."""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from factor_assets.tables import TABLES

SCHEMA = TABLES["price_history"].schema
FETCHED = datetime(2024, 2, 1, tzinfo=UTC)

# Ten sessions from Tuesday 2024-01-02 on; the weekends of the 6th and the 13th are not among them.
DAYS = [date(2024, 1, 2) + timedelta(days=i) for i in range(14) if (date(2024, 1, 2) + timedelta(days=i)).weekday() < 5]
SESSIONS = np.array(DAYS, dtype="datetime64[D]")


def history(rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Rows of `price_history`; what a row does not say is null, except source and time of delivery."""
    given = [{"source": "test", "fetched_at": FETCHED, **row} for row in rows]
    return pa.Table.from_pylist(given, schema=SCHEMA)


def series(ticker: str, closes: Iterable[float | None], **events: Mapping[int, Any]) -> list[dict[str, Any]]:
    """One row a session from `DAYS[0]` on; `events` name a column and give its value by position."""
    rows = []
    for i, close in enumerate(closes):
        row = {"ticker": ticker, "date": DAYS[i], "close": close, "open": close, "high": close, "low": close}
        row |= {"volume": 1000.0} | {name: values[i] for name, values in events.items() if i in values}
        rows.append(row)
    return rows


def real_history(path: Path) -> pa.Table:
    """A file of the shared price folder, its columns mapped to ours; null where it has none."""
    file = pq.read_table(path)
    columns = {}
    for field in SCHEMA:
        name = {"adjusted_close": "adj_close"}.get(field.name, field.name)
        if name in file.column_names:
            columns[field.name] = file[name].cast(field.type)
        else:
            value = {"source": "files", "fetched_at": FETCHED}.get(field.name)
            columns[field.name] = pa.repeat(pa.scalar(value, field.type), file.num_rows)
    return pa.table(columns, schema=SCHEMA)
