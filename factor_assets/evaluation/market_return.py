"""The equal-weighted return of the universe, session by session: the benchmark that needs no file.

What does not belong here: regressions on it (`spanning_evidence.py`), portfolios of a factor (`portfolios.py`).
"""

import numpy as np

from factor_assets.panel.panel import Array, Panel


def market_return(panel: Panel) -> Array:
    """Return the mean return of the names that were in the universe at the close of the session before.

    Who counts on a session was known before it began, as in the portfolios of a factor: a name that joins counts from
    the next session on, one that leaves still counts on its last.

    Parameters
    ----------
    panel
        Field `returns`. NaN and infinite are missing: such a name is left out of its session's mean.

    Returns
    -------
    Shape (n_dates,), fraction per session. NaN on the first session, before which nobody is known, and where no member
    has a return.
    """
    returns = panel["returns"]
    market = np.full(len(returns), np.nan)
    counted = panel.in_universe[:-1] & np.isfinite(returns[1:])
    n = np.count_nonzero(counted, axis=1)
    np.divide(np.where(counted, returns[1:], 0.0).sum(axis=1), n, out=market[1:], where=n > 0)
    return market
