"""Forward returns, stored on the session on which they are complete.

A return that starts after the factor is known is a fact of the session on which it ends: a row of date d then never
uses anything later than d, and truncating the data changes no row before the cut. What does not belong here: what is
made of forward returns (`information.py`).
"""

import numpy as np

from factor_assets.errors import EvaluationError
from factor_assets.panel.panel import Array


def completed_return(close: Array, *, horizon: int = 1) -> Array:
    r"""Return of holding for `horizon` sessions, on the session on which it is complete.

    .. math:: r_{d} = \frac{P_{d}}{P_{d-h}} - 1

    Parameters
    ----------
    close
        float64 of shape (n_dates, n_tickers): adjusted close, so that the ratio is a total return.
    horizon
        h, in sessions.

    Returns
    -------
    float64 of the same shape (fraction). NaN in the first `horizon` rows and where either close is missing or
    infinite; a session without a close inside the span does not matter.

    Raises
    ------
    EvaluationError
        If the horizon is below one session.
    """
    if horizon < 1:
        raise EvaluationError(f"A forward return wants a horizon of at least 1 session, got {horizon}.")
    result = np.full(close.shape, np.nan)
    then, now = close[:-horizon], close[horizon:]
    np.divide(now, then, out=result[horizon:], where=np.isfinite(then) & np.isfinite(now))
    result[horizon:] -= 1.0
    return result
