"""`Panel`: aligned arrays of what was known on each session, the only input of expressions and evaluation.

What does not belong here: cleaning (`prices.py`), membership (`universe.py`), anything that computes a factor.
"""

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from factor_assets.calendar import Dates
from factor_assets.errors import MisalignedError, UnknownFieldError, did_you_mean
from factor_assets.panel.cells import Cells, cells_of, numbered
from factor_assets.panel.fields import MADE_OF

Array = npt.NDArray[np.float64]
_PRICES = frozenset(column for columns in MADE_OF.values() for column in columns)


@dataclass(frozen=True, eq=False)
class Panel:
    """Aligned, read-only arrays, one row a session and one column a ticker.

    Parameters
    ----------
    dates
        datetime64[D] of shape (n_dates,): every session of the exchange in the range, increasing.
    tickers
        Sorted names, n_tickers of them.
    fields
        Name -> float64 of shape (n_dates, n_tickers). NaN means missing, always. `fields.py` lists those that
        `Panel.from_tables` makes.
    in_universe
        bool of shape (n_dates, n_tickers): membership as known on the date.
    first_row
        Ordinal of `dates[0]` among all sessions of the calendar, so that an evaluation can align its blocks to the
        calendar instead of to the start of the slice.

    Raises
    ------
    MisalignedError
        If a shape differs, or dates or tickers are not strictly increasing.
    """

    dates: Dates
    tickers: tuple[str, ...]
    fields: Mapping[str, Array]
    in_universe: npt.NDArray[np.bool_]
    first_row: int = 0

    def __post_init__(self) -> None:
        shape = self.shape
        if self.dates.dtype != np.dtype("datetime64[D]") or (
            shape[0] > 1 and not (np.diff(self.dates) > np.timedelta64(0, "D")).all()
        ):
            raise MisalignedError("A panel wants strictly increasing dates of type datetime64[D].")
        if list(self.tickers) != sorted(set(self.tickers)):
            raise MisalignedError("A panel wants sorted, distinct tickers.")
        for name, values in {**self.fields, "in_universe": self.in_universe}.items():
            if values.shape != shape:
                raise MisalignedError(
                    f"Field {name!r} has shape {values.shape}, the panel has {shape[0]} dates x {shape[1]} tickers."
                )
            values.flags.writeable = False

    @property
    def shape(self) -> tuple[int, int]:
        """(n_dates, n_tickers)."""
        return len(self.dates), len(self.tickers)

    def __getitem__(self, name: str) -> Array:
        """Return one field.

        Raises
        ------
        UnknownFieldError
            If the panel does not hold it.
        """
        try:
            return self.fields[name]
        except KeyError:
            raise UnknownFieldError(f"The panel has no field {name!r}; {did_you_mean(name, self.fields)}") from None

    def rows(self, start: int, stop: int) -> "Panel":
        """Return the sessions `start` to `stop` (exclusive, positions) as a panel that shares memory."""
        return Panel(
            dates=self.dates[start:stop],
            tickers=self.tickers,
            fields={name: values[start:stop] for name, values in self.fields.items()},
            in_universe=self.in_universe[start:stop],
            first_row=self.first_row + start,
        )

    def scatter(self, rows: pa.Table, column: str) -> Array:
        """Place one column of long rows on the panel's dates and tickers; what has no row is NaN.

        Rows of other tickers are left out; dates must be the panel's.
        """
        return cells_of(rows, sessions=self.dates, tickers=self.tickers).values(rows[column])

    def gather(self, values: Array, *, start: int = 0) -> pa.Table:
        """Return long rows (date, ticker, value) of the priced cells from row `start` on; NaN and infinite are null.

        Parameters
        ----------
        values
            float64 of shape (n_dates - start, n_tickers): the rows from `start` on.
        """
        row, column = np.nonzero(~np.isnan(self["raw_close"][start:]))
        kept = values[row, column]
        return pa.table(
            {
                "date": pa.array(self.dates[start:][row], pa.date32()),
                "ticker": pa.array(self.tickers, pa.string()).take(pa.array(column)),
                "value": pa.array(kept, mask=~np.isfinite(kept)),
            }
        )

    @classmethod
    def from_tables(
        cls,
        *,
        prices: pa.Table,
        universe: pa.Table,
        sessions: Dates,
        first_row: int = 0,
        tickers: Iterable[str] | None = None,
        others: Iterable[pa.Table] = (),
    ) -> "Panel":
        """Build the panel from the tables `prices` and `universe`, and from others by date and ticker.

        Parameters
        ----------
        prices, universe
            Rows of the tables of the same name; dates outside `sessions` are refused. Without some columns the panel
            lacks the fields that are made of them; `close` is always wanted.
        sessions
            datetime64[D] of shape (n_dates,): every session wanted.
        tickers
            Columns wanted; by default all of either table. A member without any price is a column of NaN, a priced
            ticker that is no member is outside the universe on every date.
        others
            Rows with date, ticker and a column a field. Of those, `shares_filed` takes the place of shares outstanding
            that the prices do not know.

        Raises
        ------
        PanelError
            If a row's date is not one of the sessions, or a (date, ticker) repeats.
        """
        texts = [prices["ticker"], universe["ticker"]]
        texts += [universe["sector"]] if "sector" in universe.column_names else []
        # Arrow and NumPy let others work while they do.
        with ThreadPoolExecutor() as pool:
            priced, listed, *sectors = pool.map(numbered, texts)
            if tickers is None:
                # Also members without any price: how many members a date has must not depend on the range asked for.
                tickers = {*priced.names, *listed.names}
            names = tuple(sorted(set(tickers)))
            placing = pool.submit(Cells, universe["date"], listed, sessions=sessions, tickers=names)
            cells = Cells(prices["date"], priced, sessions=sessions, tickers=names)
            given = [name for name in prices.column_names if name in _PRICES]
            raw = dict(zip(given, pool.map(cells.values, (prices[name] for name in given)), strict=True))
            members = placing.result()
        placed = dict(_fields_of(others, sessions=sessions, tickers=names))
        if "shares_filed" in placed and "shares_outstanding" in raw:
            known = raw["shares_outstanding"]
            raw["shares_outstanding"] = np.where(np.isnan(known), placed["shares_filed"], known)
        fields = {**derived_fields(raw), **placed}
        if sectors:
            fields["sector"] = members.codes(sectors[0])
        return cls(
            dates=sessions,
            tickers=names,
            fields=fields,
            in_universe=members.flags(),
            first_row=first_row,
        )


def derived_fields(raw: Mapping[str, Array]) -> dict[str, Array]:
    """Adjust prices forwards, so that no later event changes a stored value; `MADE_OF` says what is made of what.

    Columns that are not given are not wanted: the fields that need them are left out.

    1. An adjusted price is the price as traded times the shares that one share bought at the ticker's first row has
       become: `total_return_factor` with dividends reinvested, `split_factor` without.
    2. A return is the ratio of adjusted closes of two neighbouring sessions; missing if either is missing or infinite.
    """
    made: dict[str, Array] = {}
    for name, columns in MADE_OF.items():
        if not raw.keys() >= set(columns):
            continue
        first, *others = (raw[column] for column in columns)
        if name == "returns":
            made[name] = _returns(made["close"])
        elif name == "volume":
            made[name] = first / others[0]
        else:
            made[name] = first * others[0] if others else first
    return made


def _returns(close: Array) -> Array:
    returns = np.full_like(close, np.nan)
    known = np.isfinite(close)
    with np.errstate(invalid="ignore", divide="ignore"):
        np.divide(close[1:], close[:-1], out=returns[1:])
        returns[1:] -= 1.0
    returns[1:][~(known[1:] & known[:-1])] = np.nan
    return returns


def _fields_of(tables: Iterable[pa.Table], *, sessions: Dates, tickers: tuple[str, ...]) -> Iterator[tuple[str, Array]]:
    for rows in tables:
        cells = cells_of(rows, sessions=sessions, tickers=tickers)
        for name in rows.column_names:
            if name not in {"date", "ticker"}:
                yield name, cells.values(rows[name])
