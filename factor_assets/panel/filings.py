"""From which session filings are used.

What does not belong here: the lag itself (`publication.py`), what was filed (`sources/edgar_filings.py`).
"""

import pyarrow as pa
import pyarrow.compute as pc

from factor_assets.calendar import time_zone
from factor_assets.panel.publication import usable_after_day


def known_filings(rows: pa.Table, calendar: str) -> pa.Table:
    """Return the rows of table `filings` with `known_from`: the session after a filing became public.

    Public is a filing on the day on which it was filed, or on the day of its acceptance where that is later: letters
    are dated weeks before EDGAR publishes them. After 17:30 New York dates a filing on the next business day itself.

    Parameters
    ----------
    rows
        `accepted_at` may be null: then the day of filing counts alone.
    calendar
        Exchange, in whose zone the day of acceptance is. A day after which it knows no session gives null.
    """
    zone = time_zone(calendar)
    accepted = pc.local_timestamp(pc.cast(rows["accepted_at"], pa.timestamp("us", tz=zone))).cast(
        pa.date32(), safe=False
    )
    public = pc.max_element_wise(rows["filed"].cast(pa.date32()), accepted)
    days = public.to_numpy().astype("datetime64[D]")
    usable = usable_after_day(calendar, days)
    known = pa.array(usable.astype("datetime64[D]"), pa.date32(), from_pandas=True)
    return rows.set_column(rows.column_names.index("known_from"), rows.schema.field("known_from"), known)
