"""How often names drawn at random earn what a factor's portfolios earned: one p-value a factor.

What does not belong here: drawing the portfolios (`random_portfolios.py`), the table that the p-value is a column of
(`evidence.py`).
"""

import math
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from factor_assets.errors import EvaluationError, MisalignedError
from factor_assets.evaluation.holdout import before_holdout
from factor_assets.evaluation.random_portfolios import compare_with_random, random_portfolios
from factor_assets.panel.panel import Array, Panel
from factor_assets.settings import EvaluationSettings


class RandomComparison(NamedTuple):
    """The factor among random portfolios.

    Parameters
    ----------
    pvalue
        Two-sided, of the mean return; NaN where there is nothing to compare.
    reason
        Why there is none; empty where there is one.
    """

    pvalue: float
    reason: str = ""


def compare_factor_with_random(
    values: Array,
    timeseries: pa.Table,
    panel: Panel,
    *,
    settings: EvaluationSettings,
    include_holdout: bool = False,
    seed: int = 0,
) -> RandomComparison:
    """Compare a factor's return with `settings.random_portfolios` portfolios of names that it could have chosen.

    1. On each session that the factor has a return on, as many names go long and short as `n_high` and `n_low` of
       `factor_timeseries` say. They are drawn anew from the members of the universe that had a value of the factor at
       the close before, and that have a return.
    2. They are weighed as `settings.weighting` says.
    3. The mean return of the factor is placed among theirs (`compare_with_random`, two-sided).

    Parameters
    ----------
    values
        float64 of shape (n_dates, n_tickers), aligned with the panel. NaN and infinite are missing.
    timeseries
        Rows of `factor_timeseries` of this factor, each session once; those outside the panel's sessions are left out.
    panel
        Fields `returns`, and `market_cap` when weights are by capitalisation.
    include_holdout
        As in `factor_evidence`.
    seed
        The same seed gives the same p-value.

    Returns
    -------
    No p-value, with the reason, where no session has a factor return, or where sizes and values do not fit: the
    timeseries was then made from other values.

    Raises
    ------
    MisalignedError
        If the shape of the values is not the panel's.
    EvaluationError
        If the settings ask for no random portfolio.
    """
    if values.shape != panel.shape:
        raise MisalignedError(
            f"A random benchmark wants values of the panel's shape {panel.shape}, got {values.shape}."
        )
    if not settings.random_portfolios:
        raise EvaluationError(
            "A random benchmark wants at least 1 random portfolio, got evaluation.random_portfolios 0."
        )
    read = before_holdout(panel, settings, include_holdout=include_holdout)
    factor_return, n_high, n_low = (
        _by_session(timeseries, column, read) for column in ("factor_value", "n_high", "n_low")
    )
    has_return = np.isfinite(factor_return)
    if not has_return.any():
        return RandomComparison(math.nan, "no session has a factor return")
    n_long, n_short = (np.where(has_return, n, -1.0).astype(np.int64) for n in (n_high, n_low))
    try:
        simulated = random_portfolios(
            read["returns"],
            read.in_universe & np.isfinite(values[: len(read.dates)]),
            n_long=n_long,
            n_short=n_short,
            market_cap=read["market_cap"] if settings.weighting == "cap" else None,
            n_simulations=settings.random_portfolios,
            seed=seed,
        )
        return RandomComparison(compare_with_random(np.where(has_return, factor_return, np.nan), simulated).pvalue_mean)
    except EvaluationError as error:
        return RandomComparison(math.nan, str(error).removesuffix("."))


def _by_session(timeseries: pa.Table, column: str, panel: Panel) -> Array:
    """Return a column on the panel's sessions; NaN where it is null, or has no row."""
    days = timeseries["date"].to_numpy().astype("datetime64[D]")
    inside = np.isin(days, panel.dates)
    numbers = np.full(len(panel.dates), np.nan)
    numbers[np.searchsorted(panel.dates, days[inside])] = timeseries[column].to_numpy()[inside].astype(np.float64)
    return numbers
