"""From long rows to aligned arrays: which cell of (n_dates, n_tickers) each row of a table is, and its values there.

What does not belong here: what the values mean (`panel.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from factor_assets.calendar import Dates, session_positions
from factor_assets.errors import PanelError


@dataclass(frozen=True, eq=False)
class Numbered:
    """Names as numbers.

    Parameters
    ----------
    codes
        int32 of shape (n_rows,): position of each row's name in `names`, -1 where it is missing.
    names
        Distinct, in the order in which the rows bring them.
    """

    codes: npt.NDArray[np.int32]
    names: list[str]


def numbered(column: pa.ChunkedArray) -> Numbered:
    """Return the names of a column as numbers."""
    encoded = column.combine_chunks().dictionary_encode()
    indices = encoded.indices.fill_null(-1) if encoded.indices.null_count else encoded.indices
    return Numbered(indices.to_numpy(), encoded.dictionary.to_pylist())


def cells_of(rows: pa.Table, *, sessions: Dates, tickers: Sequence[str]) -> "Cells":
    """Return the cells of rows with the columns date and ticker."""
    return Cells(rows["date"], numbered(rows["ticker"]), sessions=sessions, tickers=tickers)


class Cells:
    """The cells of the rows of one table; rows of other tickers have none.

    Parameters
    ----------
    dates, keys
        Date and ticker of each row.
    sessions, tickers
        Of the array's rows and columns.

    Raises
    ------
    PanelError
        If a row's date is not one of the sessions, or a (date, ticker) repeats.
    """

    def __init__(self, dates: pa.ChunkedArray, keys: Numbered, *, sessions: Dates, tickers: Sequence[str]) -> None:
        self._shape = len(sessions), len(tickers)
        column_of = {name: n for n, name in enumerate(tickers)}
        # One more at the end stands for a missing name.
        columns = np.array([*(column_of.get(name, -1) for name in keys.names), -1])
        column = columns.take(keys.codes)
        days = dates.to_numpy().astype("datetime64[D]", copy=False)
        position = session_positions(days, sessions)
        if (unknown := position < 0).any():
            raise PanelError(
                f"{unknown.sum()} rows are on dates that are not sessions of the panel, such as {days[unknown][0]}. Ask"
                " for the same range, or clean the rows first."
            )
        position *= len(tickers)
        position += column
        n = self._n_rows = len(position)
        kept = column >= 0 if (columns[:-1] < 0).any() or (keys.codes < 0).any() else None
        if kept is not None:
            position = position[kept]
        # Rows in the order of the cells, as the store gives them, repeat none.
        in_order = bool((position[1:] > position[:-1]).all())
        if not in_order and (counts := np.bincount(position)).max(initial=0) > 1:
            twice = int(counts.argmax())
            raise PanelError(
                f"{tickers[twice % len(tickers)]} has more than one row on {sessions[twice // len(tickers)]}; a panel"
                " wants one row a ticker and date."
            )
        self._row: npt.NDArray[np.int64] | None = None
        if kept is not None or not in_order or n < len(sessions) * len(tickers):
            # The row of each cell; one more row at the end stands for none.
            self._row = np.full(len(sessions) * len(tickers), n)
            self._row[position] = np.arange(n) if kept is None else np.flatnonzero(kept)

    def values(self, column: pa.ChunkedArray) -> npt.NDArray[np.float64]:
        """Return numbers in their cells, NaN where there is none; of shape (n_dates, n_tickers)."""
        return self._placed(column.to_numpy())

    def codes(self, column: Numbered) -> npt.NDArray[np.float64]:
        """Place names as numbers: their order in the alphabet among those that the rows hold."""
        number = np.full(len(column.names) + 1, np.nan)
        number[sorted(range(len(column.names)), key=column.names.__getitem__)] = np.arange(len(column.names))
        return self._placed(number.take(column.codes))

    def flags(self) -> npt.NDArray[np.bool_]:
        """Whether a cell has a row."""
        if self._row is None:
            return np.ones(self._shape, dtype=bool)
        return (self._row < self._n_rows).reshape(self._shape)

    def _placed(self, given: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        if self._row is None:
            return given.astype(np.float64, copy=False).reshape(self._shape)
        with_none = np.empty(self._n_rows + 1)
        with_none[:-1] = given
        with_none[-1] = np.nan
        return with_none.take(self._row).reshape(self._shape)
