"""Prices that a vendor adjusted for later splits -> prices as they were traded, so that a new split changes no old row.

What does not belong here: adjusting prices for use (`panel/`).
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

PER_SHARE = ("open", "high", "low", "close", "dividend")


def undo_splits(rows: pa.Table) -> pa.Table:
    r"""Return one ticker's rows as traded.

    With s_u the split on ex-date u, a price of session t was divided by f_t, and a volume multiplied by it:

    .. math:: f_t = \prod_{u > t} s_u

    `PER_SHARE` columns are multiplied by f_t and `volume` is divided by it; the split's own session trades after it.
    The vendor's `adjusted_close` stays as it is.

    Parameters
    ----------
    rows
        Rows of `price_history` of one ticker, sorted by date, with every split up to the vendor's adjustment.
    """
    if rows["split"].null_count == rows.num_rows:
        return rows
    dates = rows["date"].to_numpy()
    splits = rows["split"].fill_null(1.0).to_numpy()
    ex_dates, first = np.unique(dates, return_index=True)
    # A repeated row repeats its split; it happened once.
    daily = np.maximum.reduceat(splits, first) if len(first) else splits
    daily = np.where(daily == 1.0, np.minimum.reduceat(splits, first), daily)
    later = np.append(np.cumprod(daily[::-1])[::-1][1:], 1.0)
    factor = pa.array(later[np.searchsorted(ex_dates, dates)])
    for name in PER_SHARE:
        rows = rows.set_column(rows.column_names.index(name), rows.schema.field(name), pc.multiply(rows[name], factor))
    return rows.set_column(
        rows.column_names.index("volume"), rows.schema.field("volume"), pc.round(pc.divide(rows["volume"], factor))
    )
