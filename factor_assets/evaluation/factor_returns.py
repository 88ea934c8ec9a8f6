"""Rows of `factor_timeseries` -> the return of each factor as an array on given sessions.

What does not belong here: how the returns are made (`portfolios.py`), what is done with them (`regressions.py`,
`rolling_betas.py`, `spanning_evidence.py`).
"""

import numpy as np
import pyarrow as pa

from factor_assets.calendar import Dates, session_positions
from factor_assets.evaluation.timeseries import rows_by_factor
from factor_assets.panel.panel import Array


def factor_returns(timeseries: pa.Table, sessions: Dates) -> dict[tuple[str, str], Array]:
    """Return (family, name) -> the factor's return on each session, in the order of their names.

    Parameters
    ----------
    timeseries
        Rows of `factor_timeseries` in any order; those on other dates take no part.
    sessions
        datetime64[D] of shape (n_dates,), increasing.

    Returns
    -------
    Arrays of shape (n_dates,), fraction per session. NaN where the factor has no row, or a null in it.
    """
    series = {}
    for family, name, rows in rows_by_factor(timeseries.select(["factor_type", "factor_name", "date", "factor_value"])):
        position = session_positions(rows["date"].to_numpy().astype("datetime64[D]"), sessions)
        known = position >= 0
        values = np.full(len(sessions), np.nan)
        values[position[known]] = rows["factor_value"].to_numpy()[known]
        series[family, name] = values
    return series
