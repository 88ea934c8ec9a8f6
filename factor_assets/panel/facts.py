"""From which session on a filed number was known.

What does not belong here: the lag itself (`publication.py`), what was filed (`sources/edgar_facts.py`), and which
number stands for an item on a session (`fundamentals.py`).
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from factor_assets.calendar import time_zone
from factor_assets.panel.publication import usable_after_day
from factor_assets.tables import table


def known_facts(rows: pa.Table, *, calendar: str, filings: pa.Table | None = None) -> pa.Table:
    """Return rows of the table `facts`: with the time of acceptance and the first session on which each was known.

    A number is used from the session after it became public: the day on which it was filed, or the day on which the
    SEC accepted it in the exchange's zone, whichever is later. A day after which the calendar knows no session gives
    null.

    Parameters
    ----------
    rows
        As `facts_from_companyfacts` makes them.
    calendar
        Name of the exchange.
    filings
        Rows of the table `filings`, whose time of acceptance is taken by accession number; without it only the day of
        filing counts.
    """
    accepted = pa.nulls(rows.num_rows, pa.timestamp("us", tz="UTC"))
    if filings is not None and filings.num_rows:
        place = pc.index_in(rows["accession"], value_set=filings["accession"].combine_chunks())
        accepted = filings["accepted_at"].combine_chunks().take(place.combine_chunks())
    filed = rows["filed"].to_numpy().astype("datetime64[D]")
    local = pc.local_timestamp(accepted.cast(pa.timestamp("us", tz=time_zone(calendar))))
    accepted_day = local.to_numpy(zero_copy_only=False).astype("datetime64[D]")
    public = np.where(np.isnat(accepted_day), filed, np.maximum(filed, accepted_day))
    complete = rows.append_column("accepted_at", accepted).append_column(
        "known_from", pa.array(usable_after_day(calendar, public), pa.date32())
    )
    declared = table("facts")
    return complete.select(list(declared.column_names)).cast(declared.schema)
