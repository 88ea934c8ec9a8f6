"""Rows and slices that the storage tests share."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa

from factor_assets.storage.slice import Slice
from factor_assets.storage.store import Provenance
from factor_assets.tables import TABLES

FACTOR = "factors/momentum/ret_12_1"
PROVENANCE = Provenance(source="sample (synthetic)", run_id="run-1", code_version="v1", inputs={"prices": "3"})
SOURCE = "sample (synthetic)"

# Spellings that break quoting, paths or patterns somewhere.
ODD_TICKERS = ("O'NEIL", "A\\B", "BRK/B", "50%", "x' OR '1'='1", 'Q"Q', "ÅÉ 東京", "a*b?[c]", "..", " ")


def factor_rows(values: dict[tuple[date, str], float | None]) -> pa.Table:
    """Rows of a factor table: (date, ticker) -> value."""
    return pa.table(
        {
            "date": pa.array([day for day, _ in values], pa.date32()),
            "ticker": pa.array([ticker for _, ticker in values], pa.string()),
            "value": pa.array(list(values.values()), pa.float64()),
            "source": pa.array([SOURCE] * len(values), pa.string()),
        }
    )


def as_dict(rows: pa.Table) -> dict[tuple[date, str], float | None]:
    """Return the opposite of `factor_rows`; refuses repeated keys."""
    keys = list(zip(rows["date"].to_pylist(), rows["ticker"].to_pylist(), strict=True))
    assert len(set(keys)) == len(keys)
    return dict(zip(keys, rows["value"].to_pylist(), strict=True))


def block(start: date, days: int, tickers: list[str], *, value: float) -> dict[tuple[date, str], float | None]:
    """Every day and ticker with one value."""
    return {(start + timedelta(days=n), ticker): value for n in range(days) for ticker in tickers}


def span(start: date, days: int, *tickers: str) -> Slice:
    """Return the slice of some days, of some tickers if any are given."""
    return Slice(start=start, end=start + timedelta(days=days), tickers=frozenset(tickers) or None)


def history_rows(tickers: list[str], days: int, *, seed: int = 0) -> pa.Table:
    """Rows of price_history."""
    random = np.random.default_rng(seed)
    n = len(tickers) * days
    dates = np.datetime64("2020-01-01") + np.tile(np.arange(days), len(tickers))
    price = pa.array(random.uniform(1, 100, n))
    missing = pa.nulls(n, pa.float64())
    return pa.table(
        {
            "ticker": pa.array(np.repeat(np.array(tickers, dtype=object), days), pa.string()),
            "date": pa.array(dates),
            **dict.fromkeys(("open", "high", "low", "close", "volume"), price),
            **dict.fromkeys(("dividend", "split", "adjusted_close", "shares_outstanding"), missing),
            "sector": pa.nulls(n, pa.string()),
            "issue": pa.nulls(n, pa.string()),
            "fetched_at": pa.array(np.full(n, np.datetime64("2024-01-01T00:00:00", "us"))).cast(
                pa.timestamp("us", tz="UTC")
            ),
            "source": pa.array([SOURCE] * n),
        }
    )


def trial_rows(*numbers: int) -> pa.Table:
    """Rows of trials with the numbers as ids."""
    now = datetime(2022, 1, 3, tzinfo=UTC)
    schema = TABLES["trials"].schema
    rows = [
        dict.fromkeys(schema.names)
        | {"trial_id": f"{n}", "tried_at": now, "factor_name": "f", "factor_type": "own", "universe": "all"}
        | {"horizon": 1, "has_holdout": False, "source": SOURCE}
        for n in numbers
    ]
    return pa.Table.from_pylist(rows, schema=schema)
