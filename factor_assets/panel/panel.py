"""`Panel`: aligned arrays of what was known on each session, the only input of expressions and evaluation.

What does not belong here: cleaning (`prices.py`), membership (`universe.py`), anything that computes a factor.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from factor_assets.calendar import Dates, session_positions
from factor_assets.errors import MisalignedError, PanelError, UnknownFieldError, did_you_mean

Array = npt.NDArray[np.float64]


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
        return _Scatter(rows, sessions=self.dates, tickers=self.tickers).values(rows, column)

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
            Rows of the tables of the same name; dates outside `sessions` are refused. Without a column `sector` in
            `universe` the panel has no such field.
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
        if tickers is None:
            # Also members without any price: how many members a date has must not depend on the range asked for.
            tickers = {*prices["ticker"].unique().to_pylist(), *universe["ticker"].unique().to_pylist()}
        names = tuple(sorted(set(tickers)))
        index = _Scatter(prices, sessions=sessions, tickers=names)
        raw = {
            name: index.values(prices, name)
            for name in (
                "open",
                "high",
                "low",
                "close",
                "volume",
                "total_return_factor",
                "split_factor",
                "shares_outstanding",
            )
        }
        members = _Scatter(universe, sessions=sessions, tickers=names)
        placed = dict(_fields_of(others, sessions=sessions, tickers=names))
        if "shares_filed" in placed:
            known = raw["shares_outstanding"]
            raw["shares_outstanding"] = np.where(np.isnan(known), placed["shares_filed"], known)
        fields = {**derived_fields(raw), **placed}
        if "sector" in universe.column_names:
            fields["sector"] = members.codes(universe, "sector")
        return cls(
            dates=sessions,
            tickers=names,
            fields=fields,
            in_universe=members.flags(),
            first_row=first_row,
        )


def derived_fields(raw: Mapping[str, Array]) -> dict[str, Array]:
    """Adjust prices forwards, so that no later event changes a stored value.

    1. An adjusted price is the price as traded times the shares that one share bought at the ticker's first row has
       become: `total_return_factor` with dividends reinvested, `split_factor` without.
    2. A return is the ratio of adjusted closes of two neighbouring sessions; missing if either is missing or infinite.
    """
    growth = raw["total_return_factor"]
    close = raw["close"] * growth
    returns = np.full_like(close, np.nan)
    np.divide(close[1:], close[:-1], out=returns[1:], where=np.isfinite(close[1:]) & np.isfinite(close[:-1]))
    returns[1:] -= 1.0
    return {
        "open": raw["open"] * growth,
        "high": raw["high"] * growth,
        "low": raw["low"] * growth,
        "close": close,
        "volume": raw["volume"] / raw["split_factor"],
        "raw_open": raw["open"],
        "raw_high": raw["high"],
        "raw_low": raw["low"],
        "raw_close": raw["close"],
        "raw_volume": raw["volume"],
        "split_close": raw["close"] * raw["split_factor"],
        "dollar_volume": raw["close"] * raw["volume"],
        "returns": returns,
        "shares_outstanding": raw["shares_outstanding"],
        "market_cap": raw["close"] * raw["shares_outstanding"],
    }


def _fields_of(tables: Iterable[pa.Table], *, sessions: Dates, tickers: tuple[str, ...]) -> Iterator[tuple[str, Array]]:
    for rows in tables:
        index = _Scatter(rows, sessions=sessions, tickers=tickers)
        for name in rows.column_names:
            if name not in {"date", "ticker"}:
                yield name, index.values(rows, name)


class _Scatter:
    """Positions of long rows in a (n_dates, n_tickers) array."""

    def __init__(self, rows: pa.Table, *, sessions: Dates, tickers: tuple[str, ...]) -> None:
        self._shape = (len(sessions), len(tickers))
        dates = rows["date"].to_numpy().astype("datetime64[D]")
        row = session_positions(dates, sessions)
        known = row >= 0
        if not known.all():
            raise PanelError(
                f"{(~known).sum()} rows are on dates that are not sessions of the panel, such as {dates[~known][0]}."
                " Ask for the same range, or clean the rows first."
            )
        column = pc.index_in(rows["ticker"], value_set=pa.array(tickers, pa.string()))
        kept = column.is_valid().to_numpy()
        self._kept = kept if not kept.all() else slice(None)
        self._position = (row * self._shape[1])[self._kept] + column.drop_null().to_numpy()
        seen = np.bincount(self._position, minlength=1)
        if seen.max() > 1:
            position = int(seen.argmax())
            raise PanelError(
                f"{tickers[position % self._shape[1]]} has more than one row on"
                f" {sessions[position // self._shape[1]]}; a panel wants one row a ticker and date."
            )

    def values(self, rows: pa.Table, name: str) -> Array:
        out = np.full(self._shape, np.nan)
        given: Any = rows[name].to_numpy()
        out.reshape(-1)[self._position] = given[self._kept]
        return out

    def codes(self, rows: pa.Table, name: str) -> Array:
        """Place names as numbers: their order in the alphabet among those that the rows hold."""
        names = rows[name].combine_chunks()
        order = pc.sort_indices(names.unique().drop_null())
        code: Any = pc.index_in(names, value_set=names.unique().drop_null().take(order)).cast(pa.float64())
        return self.values(pa.table({name: code}), name)

    def flags(self) -> npt.NDArray[np.bool_]:
        out = np.zeros(self._shape, dtype=bool)
        out.reshape(-1)[self._position] = True
        return out
