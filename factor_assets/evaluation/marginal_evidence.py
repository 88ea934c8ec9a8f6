"""What each factor tells at each horizon beside chosen others: the marginal rank IC and what it is neutralised on.

What does not belong here: the regression of ranks (`marginal_ic.py`), the table that the numbers are columns of
(`evidence.py`).
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pyarrow as pa

from factor_assets.errors import MisalignedError
from factor_assets.evaluation.factor_correlations import Label, closest_factors
from factor_assets.evaluation.holdout import before_holdout
from factor_assets.evaluation.information import rank_ic
from factor_assets.evaluation.marginal_ic import neutral_ranks
from factor_assets.evaluation.named_factors import resolve_factors
from factor_assets.evaluation.newey_west import newey_west_mean
from factor_assets.evaluation.ranking import Ranking, rank
from factor_assets.panel.panel import Array, Panel
from factor_assets.settings import EvaluationSettings


class MarginalEvidence(NamedTuple):
    """Marginal rank IC of one factor at one horizon.

    Parameters
    ----------
    neutralised_on
        The others as family/name, by comma; empty where there is none.
    rank_ic, tstat
        Mean and Newey-West t; NaN where it cannot be computed.
    reason
        Why it cannot; empty where it can.
    """

    neutralised_on: str
    rank_ic: float
    tstat: float
    reason: str = ""


def neutralising_factors(
    labels: Sequence[Label], correlations: pa.Table, *, settings: EvaluationSettings
) -> dict[Label, tuple[Label, ...]]:
    """Return the factors that each factor is neutralised on: those of the settings, or else the closest one.

    Parameters
    ----------
    labels
        (family, name) of all factors.
    correlations
        Rows of `factor_correlations`, for the closest.

    Returns
    -------
    (family, name) -> others, never itself. None where it is the only one chosen, or no closest one is known.

    Raises
    ------
    EvaluationError
        As `chosen_factors`.
    """
    if settings.neutralised_on:
        chosen = tuple(resolve_factors(settings.neutralised_on, labels))
        return {label: tuple(other for other in chosen if other != label) for label in labels}
    known = set(labels)
    closest = {label: (near.family, near.name) for label, near in closest_factors(correlations).items()}
    return {label: (closest[label],) if closest.get(label) in known else () for label in labels}


def marginal_evidence(
    values: Array,
    others: Mapping[Label, Array],
    forward_returns: Mapping[int, Ranking],
    panel: Panel,
    *,
    settings: EvaluationSettings,
    include_holdout: bool = False,
) -> dict[int, MarginalEvidence]:
    """Return the marginal rank IC of one factor at each horizon.

    The ranks are neutralised once (`neutral_ranks`), among the members of the universe; what is left is paired with
    each horizon's return like the rank IC of `factor_information`, with an overlap of h - 1 sessions.

    Parameters
    ----------
    values
        float64 of shape (n_dates, n_tickers), aligned with the panel. NaN and infinite are missing.
    others
        (family, name) -> values of the same shape.
    forward_returns
        Of `forward_rankings`, horizon -> returns that are complete on the session, of the panel's shape.
    include_holdout
        As in `factor_evidence`.

    Returns
    -------
    horizon -> marginal rank IC; NaN with the reason where there is no other, or no session has one.

    Raises
    ------
    MisalignedError
        If a shape is not the panel's.
    """
    for array in (values, *others.values(), *(ranking.values for ranking in forward_returns.values())):
        if array.shape != panel.shape:
            raise MisalignedError(
                f"Marginal evidence wants values and returns of the panel's shape {panel.shape}, got {array.shape}."
            )
    if not others:
        return dict.fromkeys(
            forward_returns, MarginalEvidence("", math.nan, math.nan, "no other factor to neutralise on")
        )
    read = before_holdout(panel, settings, include_holdout=include_holdout)
    n_dates = len(read.dates)
    residuals, _ = neutral_ranks(
        values[:n_dates], [other[:n_dates] for other in others.values()], among=read.in_universe
    )
    left = rank(residuals)
    names = ",".join("/".join(label) for label in others)
    found = {}
    for horizon, returns in forward_returns.items():
        own = Ranking(
            values=returns.values[:n_dates], order=returns.order[:n_dates], n_ranked=returns.n_ranked[:n_dates]
        )
        series = rank_ic(left, own, delay=settings.execution_lag + horizon)
        mean = newey_west_mean(series, overlap=horizon - 1)
        value, tstat, n = float(mean.estimate.value), float(mean.estimate.tstat), int(mean.n_observations)
        reason = "" if math.isfinite(tstat) else f"{n} sessions have a marginal rank IC: too few, or all the same"
        found[horizon] = MarginalEvidence(names, value, tstat, reason)
    return found
