"""IC over several horizons: how strong the information is, how steady, and how long it lasts.

What does not belong here: the IC of one session (`information.py`), the standard error of a mean (`newey_west.py`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from factor_assets.errors import EvaluationError, did_you_mean
from factor_assets.evaluation.forward_returns import completed_return
from factor_assets.evaluation.information import ic, rank_ic
from factor_assets.evaluation.newey_west import Lags, newey_west_mean
from factor_assets.evaluation.ranking import Counts, Ranking, rank
from factor_assets.panel.panel import Array

Kind = Literal["rank", "pearson"]

HORIZONS = (1, 5, 10, 21, 63)


@dataclass(frozen=True, kw_only=True, eq=False)
class IcDecay:
    """IC by session and horizon, and its summary by horizon.

    Parameters
    ----------
    horizons
        In sessions, increasing.
    ic
        float64 of shape (n_dates, n_horizons), on the session on which the forward return of the horizon is complete.
    mean, std, icir
        float64 of shape (n_horizons,): mean, standard deviation (n - 1) and their ratio, per session, not annualised.
        The deviation and the ratio are NaN with fewer than two sessions, the ratio also where the IC does not vary.
    tstat, pvalue
        float64 of shape (n_horizons,): Newey-West test of a mean of 0; the IC of a horizon h overlaps over h - 1
        sessions, and a rule never gives fewer lags than that.
    n_dates, lags
        int64 of shape (n_horizons,): sessions with an IC; lags used.
    """

    horizons: tuple[int, ...]
    ic: Array
    mean: Array
    std: Array
    icir: Array
    tstat: Array
    pvalue: Array
    n_dates: Counts
    lags: Counts


def forward_rankings(close: Array, *, horizons: Sequence[int] = HORIZONS) -> dict[int, Ranking]:
    """Sort the completed returns of each horizon once, for any number of factors.

    Parameters
    ----------
    close
        float64 of shape (n_dates, n_tickers): adjusted close.
    horizons
        In sessions.

    Returns
    -------
    horizon -> ranking of shape (n_dates, n_tickers), in the order of the horizons.

    Raises
    ------
    EvaluationError
        If there is no horizon, one is below one session, or one is given twice.
    """
    if not horizons or len(set(horizons)) != len(horizons):
        raise EvaluationError(f"Forward returns want different horizons, at least one; got {tuple(horizons)}.")
    return {horizon: rank(completed_return(close, horizon=horizon)) for horizon in sorted(horizons)}


def ic_decay(
    factor: Ranking,
    forward: Mapping[int, Ranking],
    *,
    execution_lag: int = 1,
    kind: Kind = "rank",
    min_tickers: int = 10,
    lags: Lags = "fixed",
) -> IcDecay:
    """Correlate a factor with the forward returns of each horizon.

    Each horizon is on its own: a forward return that is missing at one changes nothing at another.

    Parameters
    ----------
    factor
        Ranking of shape (n_dates, n_tickers).
    forward
        horizon -> ranking of the same shape, `forward_rankings`.
    execution_lag
        Sessions from the factor to the start of the forward return.
    kind
        ``rank`` for Spearman's correlation, ``pearson`` for Pearson's.
    min_tickers
        A session with fewer pairs has no IC.
    lags
        Of the Newey-West test, as in `newey_west_mean`.

    Raises
    ------
    EvaluationError
        If there is no horizon, the kind is unknown, or the execution lag is negative.
    MisalignedError
        If the shapes differ.

    References
    ----------
    Grinold and Kahn (2000), Active Portfolio Management, 2nd ed., ch. 6, for IC and its ratio. Newey and West (1987),
    Econometrica 55(3).
    """
    if not forward:
        raise EvaluationError("An IC wants the forward returns of at least one horizon, got none.")
    if kind not in get_args(Kind):
        raise EvaluationError(f"Unknown kind {kind!r} of IC; {did_you_mean(kind, get_args(Kind))}")
    if execution_lag < 0:
        raise EvaluationError(f"The execution lag wants at least 0 sessions, got {execution_lag}.")
    horizons = tuple(sorted(forward))
    correlate = rank_ic if kind == "rank" else ic
    series = np.column_stack(
        [correlate(factor, forward[h], delay=execution_lag + h, min_tickers=min_tickers) for h in horizons]
    )
    means = [newey_west_mean(series[:, i], lags=lags, overlap=h - 1) for i, h in enumerate(horizons)]
    mean = np.array([float(one.estimate.value) for one in means])
    std = np.array([_deviation(one) for one in series.T])
    return IcDecay(
        horizons=horizons,
        ic=series,
        mean=mean,
        std=std,
        icir=np.divide(mean, std, out=np.full_like(mean, np.nan), where=std > 0.0),
        tstat=np.array([float(one.estimate.tstat) for one in means]),
        pvalue=np.array([float(one.estimate.pvalue) for one in means]),
        n_dates=np.array([int(one.n_observations) for one in means], dtype=np.int64),
        lags=np.array([int(one.lags) for one in means], dtype=np.int64),
    )


def _deviation(series: Array) -> float:
    present = series[~np.isnan(series)]
    if len(present) < 2:
        return np.nan
    return 0.0 if present.min() == present.max() else float(present.std(ddof=1))
