"""The fields of a panel: what each means, and which table it is read from.

What does not belong here: their arrays (`panel.py`), their units in a formula (`expressions/units.py`).
"""

from collections.abc import Iterable, Mapping

from factor_assets.document_columns import FUNDAMENTAL_COLUMNS
from factor_assets.tables import TABLES

PRICE_FIELDS: Mapping[str, str] = {
    "open": "first price, adjusted forwards for dividends and splits (currency per share bought at the ticker's start)",
    "high": "highest price, adjusted like open",
    "low": "lowest price, adjusted like open",
    "close": "last price, adjusted like open: a ratio of two of them is a total return",
    "volume": "shares traded, in shares of the ticker's start (adjusted for splits only)",
    "raw_open": "first price as traded",
    "raw_high": "highest price as traded",
    "raw_low": "lowest price as traded",
    "raw_close": "last price as traded",
    "raw_volume": "shares traded, as traded",
    "split_close": "last price adjusted forwards for splits only",
    "dollar_volume": "close as traded x shares traded (currency)",
    "returns": "total return since the session before (fraction)",
    "shares_outstanding": "shares outstanding as known that day; missing where unknown",
    "market_cap": "close as traded x shares outstanding (currency); missing where shares are unknown",
}

MADE_OF: Mapping[str, tuple[str, ...]] = {
    **{name: (name, "total_return_factor") for name in ("open", "high", "low", "close")},
    **{f"raw_{name}": (name,) for name in ("open", "high", "low", "close", "volume")},
    "volume": ("volume", "split_factor"),
    "split_close": ("close", "split_factor"),
    "dollar_volume": ("close", "volume"),
    "returns": ("close", "total_return_factor"),
    "shares_outstanding": ("shares_outstanding",),
    "market_cap": ("close", "shares_outstanding"),
}
"""Field of prices -> columns of the table `prices` that it is made of."""

FUNDAMENTALS, SCORES = "fundamentals", "document_scores"

DOCUMENT_FIELDS: Mapping[str, tuple[str, ...]] = {
    FUNDAMENTALS: ("shares_filed", *(c.name for c in FUNDAMENTAL_COLUMNS)),
    SCORES: tuple(n for n in TABLES[SCORES].column_names if n not in {"date", "ticker", "source"}),
}
"""Table by date and ticker -> those of its columns that are fields."""

FIELDS: Mapping[str, str] = {
    **PRICE_FIELDS,
    **{
        c.name: f"{c.meaning[0].lower()}{c.meaning[1:].rstrip('.')} ({c.unit})"
        for table, names in DOCUMENT_FIELDS.items()
        for c in TABLES[table].columns
        if c.name in names
    },
}
"""Field -> meaning."""

_NEED_SHARES = frozenset({"shares_outstanding", "market_cap"})


# Fields that name groups. Their values are codes: equal codes are the same group, and nothing else is in them.
LABELS: Mapping[str, str] = {
    "sector": "sector of a member of the universe, as known that day; missing where unknown",
}


def tables_of(fields: Iterable[str] | None, *, held: Iterable[str]) -> tuple[str, ...]:
    """Return the tables that a panel with some fields is read from, beside `prices` and `universe`.

    Parameters
    ----------
    fields
        None for those of prices.
    held
        Tables of `DOCUMENT_FIELDS` that the settings ask for. Shares outstanding are looked for in `fundamentals` where
        those are; the fields of a table that is not held are not in the panel.
    """
    wanted = set(PRICE_FIELDS if fields is None else fields)
    return tuple(
        table
        for table, names in DOCUMENT_FIELDS.items()
        if table in set(held) and (wanted.intersection(names) or (table == FUNDAMENTALS and wanted & _NEED_SHARES))
    )


def columns_of(table: str, fields: Iterable[str] | None) -> list[str]:
    """Return the columns of such a table that the fields need."""
    wanted = set(PRICE_FIELDS if fields is None else fields)
    if table == FUNDAMENTALS and wanted & _NEED_SHARES:
        wanted.add("shares_filed")
    return [name for name in DOCUMENT_FIELDS[table] if name in wanted]


def price_columns_of(fields: Iterable[str]) -> list[str]:
    """Return the columns of `prices` that the fields need."""
    needed = {column for name in fields for column in MADE_OF.get(name, ())}
    return [name for name in TABLES["prices"].column_names if name in needed]
