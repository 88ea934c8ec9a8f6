"""A small market with everything that happens to prices, as delivered rows and as a panel."""

from datetime import UTC, date, datetime

import numpy as np
import pyarrow as pa

from factor_assets.calendar import Dates, sessions
from factor_assets.panel.fields import DOCUMENT_FIELDS
from factor_assets.panel.panel import Panel
from factor_assets.panel.prices import clean_prices
from factor_assets.tables import TABLES

SESSIONS = sessions("XNYS", date(2018, 1, 2), date(2019, 6, 28))
LONG = sessions("XNYS", date(2013, 1, 2), date(2019, 6, 28))  # for lookbacks of five years
N_TICKERS = 14
FIRST_ROW = 1234


FUNDAMENTALS = tuple(name for name in DOCUMENT_FIELDS["fundamentals"] if name != "shares_filed")
DOCUMENTS = tuple(name for names in DOCUMENT_FIELDS.values() for name in names)


def raw_market(seed: int = 0, *, days: Dates = SESSIONS) -> dict[str, np.ndarray]:
    """Prices as traded, shape (n_dates, n_tickers): gaps, late listings, a delisting, dividends, splits, no trading."""
    rng = np.random.default_rng(seed)
    shape = (len(days), N_TICKERS)
    market = rng.normal(0.0003, 0.01, (shape[0], 1))
    value = 40 * np.exp(np.cumsum(rng.uniform(0.5, 1.5, N_TICKERS) * market + rng.normal(0, 0.015, shape), axis=0))
    split = np.where(rng.random(shape) < 0.002, 2.0, np.nan)
    dividend = np.where(rng.random(shape) < 0.01, 0.3, np.nan)
    close = value / np.cumprod(np.where(np.isnan(split), 1.0, split), axis=0)
    close[100:140, 5] = close[100, 5]
    low, high = close * np.exp(-rng.exponential(0.01, shape)), close * np.exp(rng.exponential(0.01, shape))
    low[120:122, 5] = high[120:122, 5] = close[120:122, 5]
    rows = {
        "open": low + (high - low) * rng.random(shape),
        "high": high,
        "low": low,
        "close": close,
        "volume": np.round(rng.lognormal(12, 1, shape)),
        "dividend": dividend,
        "split": split,
        "shares_outstanding": np.where(np.arange(N_TICKERS) < 9, 1e7, np.nan) * np.ones(shape),
    }
    rows["volume"][200:203, 3] = 0
    rows |= _raw_documents(np.random.default_rng(seed + 1), shape)
    for values in rows.values():
        values[:90, 1] = np.nan
        values[300:, 2] = np.nan
        values[150:155, 4] = np.nan
        values[rng.integers(shape[0]), 6] = np.nan
    return rows


def _raw_documents(rng: np.random.Generator, shape: tuple[int, int]) -> dict[str, np.ndarray]:
    """What filings, reports and news say: numbers that stay for a quarter, some negative, some missing."""
    quarter = np.arange(shape[0]) // 63
    found = {}
    for name in DOCUMENTS:
        each = rng.lognormal(19, 0.5, (quarter[-1] + 1, shape[1])) * (rng.random((quarter[-1] + 1, shape[1])) > 0.1)
        if name.startswith(("net_income", "operating_income", "book_equity")):
            each -= 4e7
        each[:, rng.integers(shape[1])] = np.nan
        found[name] = each[quarter]
    for name in DOCUMENT_FIELDS["document_scores"]:
        found[name] = np.where(rng.random(shape) < 0.3, rng.uniform(-1, 1, shape), np.nan)
    found["filing_length"] = np.where(np.isnan(found["filing_length"]), np.nan, 1e4 * (2 + found["filing_length"]))
    found["shares_filed"] = np.full(shape, 1.2e7)
    return found


def members(days: Dates = SESSIONS) -> np.ndarray:
    """Membership that changes, shape (n_dates, n_tickers)."""
    inside = np.ones((len(days), N_TICKERS), dtype=bool)
    inside[:200, 7] = inside[250:, 8] = False
    return inside


SECTORS = np.array(["Energy", "Health", "Energy", "Tech", None, "Tech", "Health"] * 2, dtype=object)


def panel_of(raw: dict[str, np.ndarray], *, start: int = 0, stop: int | None = None, days: Dates = SESSIONS) -> Panel:
    """The panel of sessions `start` to `stop`, made as the platform makes it: clean, store by date, read, adjust."""
    stop = len(days) if stop is None else stop
    names = np.array([f"T{j:02d}" for j in range(raw["close"].shape[1])])
    there = np.isfinite(raw["close"])
    row, column = np.nonzero(there)
    history = pa.table(
        {
            "ticker": names[column],
            "date": pa.array(days[row]).cast(pa.date32()),
            **{n: pa.array(v[row, column], from_pandas=True) for n, v in raw.items() if n not in DOCUMENTS},
            "adjusted_close": pa.nulls(len(row), pa.float64()),
            "sector": pa.nulls(len(row), pa.string()),
            "issue": pa.nulls(len(row), pa.string()),
            "fetched_at": pa.array([datetime(2020, 1, 1, tzinfo=UTC)] * len(row), pa.timestamp("us", tz="UTC")),
            "source": ["test"] * len(row),
        }
    )
    history = history.select(TABLES["price_history"].column_names).cast(TABLES["price_history"].schema)
    prices = clean_prices(history, sessions=days).prices
    dates = prices["date"].to_numpy().astype("datetime64[D]")
    prices = prices.filter(pa.array((dates >= days[start]) & (dates <= days[stop - 1])))
    row, column = np.nonzero(members(days)[start:stop])
    universe = pa.table({"date": pa.array(days[start:stop][row]).cast(pa.date32()), "ticker": names[column]})
    universe = universe.append_column("sector", pa.array(SECTORS[column], pa.string()))
    row, column = np.nonzero(there[start:stop])
    others = pa.table(
        {
            "date": pa.array(days[start:stop][row]).cast(pa.date32()),
            "ticker": names[column],
            **{n: pa.array(raw[n][start:stop][row, column], from_pandas=True) for n in DOCUMENTS if n in raw},
        }
    )
    return Panel.from_tables(
        prices=prices,
        universe=universe,
        sessions=days[start:stop],
        first_row=FIRST_ROW + start,
        tickers=list(names),
        others=[others],
    )
