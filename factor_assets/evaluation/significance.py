"""Is a mean different from zero, or did it come about by chance."""

import numpy as np

from factor_assets.panel.panel import Array


def mean_tstat(values: Array) -> tuple[float, float]:
    r"""Mean of a series and its t-statistic with the ordinary standard error.

    .. math:: t = \bar{x} \, / \, (s / \sqrt{n})

    Parameters
    ----------
    values
        float64 of shape (n_dates,). NaN is left out.

    Returns
    -------
    The mean is NaN without values; t is NaN with fewer than two, or where they are all the same. Autocorrelation is
    not corrected for: a rank IC over a horizon of several sessions overlaps itself, and its t is then too large.
    """
    present = values[~np.isnan(values)]
    if len(present) == 0:
        return np.nan, np.nan
    mean = float(present.mean())
    if len(present) < 2 or present.min() == present.max():
        return mean, np.nan
    return mean, mean / (float(present.std(ddof=1)) / len(present) ** 0.5)
