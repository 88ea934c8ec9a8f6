"""Information and trading of factors by session: the tables `factor_information` and `factor_trading`.

A row of date d uses nothing later than d, and the history before the wanted rows is bounded (`history_sessions`), so
that any cut of the dates gives the same bits. What does not belong here: the definitions (`information.py`,
`turnover.py`, `capacity.py`), the portfolios of `factor_timeseries` (`timeseries.py`), evidence over all sessions
(`evidence.py`).
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from factor_assets.calendar import Dates
from factor_assets.errors import EvaluationError, MisalignedError
from factor_assets.evaluation.capacity import capacity
from factor_assets.evaluation.ic_decay import forward_rankings
from factor_assets.evaluation.information import ic, rank_ic
from factor_assets.evaluation.quantile_weights import quantile_weights
from factor_assets.evaluation.quantiles import Quantiles, assign_quantiles
from factor_assets.evaluation.ranking import Counts, Ranking, rank
from factor_assets.evaluation.turnover import rank_autocorrelation
from factor_assets.panel.panel import Array, Panel
from factor_assets.settings import EvaluationSettings
from factor_assets.tables import Table, table

DOLLAR_VOLUME_SESSIONS = 20
"""Sessions, the current one among them, over which the traded value of a name is averaged for the capacity."""

# Weights are shares 1/n: a share of exactly 5% is common, and the rounding of a sum must not decide about it.
_MAX_MISSING = 0.05 + 1e-9


class EvidenceByDate(NamedTuple):
    """Rows of two tables, sorted by their keys."""

    information: pa.Table
    trading: pa.Table


class _Evidence(NamedTuple):
    ic: Array  # (n_dates, n_horizons)
    rank_ic: Array  # (n_dates, n_horizons)
    n_pairs: Counts  # (n_dates, n_horizons), -1 where no session of the data is so far back
    rank_autocorrelation: Array  # (n_dates,)
    turnover: Array  # (n_dates,)
    capacity: Array  # (n_dates,)


def horizons_of(settings: EvaluationSettings) -> tuple[int, ...]:
    """Return the horizons of `factor_information`, increasing: `settings.horizons` and `settings.horizon`."""
    return tuple(sorted({*settings.horizons, settings.horizon}))


def history_sessions(settings: EvaluationSettings) -> int:
    """Count the sessions before the first wanted row that the evidence reads: factor, prices and membership.

    Execution lag and longest horizon for the forward returns; the sessions of the mean traded value for the capacity;
    one for turnover and rank autocorrelation.
    """
    return max(1, settings.execution_lag + max(horizons_of(settings)), DOLLAR_VOLUME_SESSIONS - 1)


def evidence_by_date(
    factors: Iterable[tuple[str, str, Array]],
    panel: Panel,
    *,
    settings: EvaluationSettings,
    universe: str,
    source: str,
    start_row: int = 0,
) -> EvidenceByDate:
    r"""Evaluate the information and the trading of factors session by session, one factor in memory at once.

    1. Sort the names of each session once a factor: members of the universe with a finite value.
    2. IC and rank IC of date d and horizon h pair the values of d - lag - h with the returns from d - h to d, where lag
       is `settings.execution_lag`; `n_pairs` counts the names that have both. Each horizon is on its own: a return
       that is missing at one changes nothing at another.
    3. Trading of date d is about the values of d: their rank correlation with those of d - 1; the turnover of the
       target weights, equal in the highest and in the lowest of `settings.n_quantiles`, from d - 1 to d; the capital
       of which every such weight is at most `settings.participation_rate` of the name's dollar volume, its mean over
       the last 20 sessions. A portfolio whose names without any dollar volume weigh more than 5% has no capacity.
    4. Keep the rows from `start_row` on.

    The turnover is the mean over the two portfolios, as in `factor_timeseries`. With :math:`n` and :math:`n'` names of
    a portfolio on d and d - 1, k of them on both, half the sum of the absolute changes of equal weights is
    :math:`1 - k / \max(n, n')`, which needs no sum of rounded numbers.

    Parameters
    ----------
    factors
        (family, name, values); values float64 of shape (n_dates, n_tickers), aligned with the panel. NaN and infinite
        are missing.
    panel
        Fields `close` and `dollar_volume`.
    start_row
        First row wanted. The rows before it are history; give `history_sessions(settings)` of them, or all there are,
        and the result has the same bits as evaluating everything at once.

    Returns
    -------
    Rows of `factor_information` (one a session, factor and horizon of `horizons_of(settings)`) and `factor_trading`
    (one a session and factor). What cannot be computed is null: `n_pairs` before the first return is complete, IC and
    rank IC with fewer than 10 pairs or where one side is constant, trading without the two outer quantiles.

    Raises
    ------
    MisalignedError
        If a factor's shape is not the panel's, or `start_row` is outside the panel.
    EvaluationError
        If a factor is given twice, a horizon is below one session, or the participation rate is not in (0, 1].
    """
    if not 0 <= start_row <= len(panel.dates):
        raise MisalignedError(
            f"start_row wants a row of the panel's {len(panel.dates)} (or their number), got {start_row}."
        )
    first = max(0, start_row - history_sessions(settings))
    read = panel.rows(first, len(panel.dates))
    horizons = horizons_of(settings)
    forward = forward_rankings(read["close"], horizons=horizons)
    has_return = {h: np.isfinite(forward[h].values) for h in horizons}
    dollar_volume = _recent_mean(read["dollar_volume"])
    evidence: dict[tuple[str, str], _Evidence] = {}
    for family, name, values in factors:
        if values.shape != panel.shape:
            raise MisalignedError(
                f"Factor {name!r} has shape {values.shape}, the panel has {panel.shape[0]} dates x"
                f" {panel.shape[1]} tickers."
            )
        if (family, name) in evidence:
            raise EvaluationError(f"Factor {name!r} of family {family!r} is given twice; give each factor once.")
        ranking = rank(values[first:], among=read.in_universe)
        delays = {h: settings.execution_lag + h for h in horizons}
        quantiles = assign_quantiles(ranking, n_quantiles=settings.n_quantiles)
        evidence[family, name] = _Evidence(
            ic=np.column_stack([ic(ranking, forward[h], delay=delays[h]) for h in horizons]),
            rank_ic=np.column_stack([rank_ic(ranking, forward[h], delay=delays[h]) for h in horizons]),
            n_pairs=np.column_stack([_pairs(ranking, has_return[h], delay=delays[h]) for h in horizons]),
            rank_autocorrelation=rank_autocorrelation(ranking),
            turnover=_outer_turnover(quantiles),
            capacity=capacity(
                _outer_weights(quantiles),
                dollar_volume,
                participation=settings.participation_rate,
                max_missing=_MAX_MISSING,
            ).capital,
        )
    names = {"universe": universe, "source": source}
    kept = slice(start_row - first, None)
    dates = read.dates[kept]
    return EvidenceByDate(
        information=_rows(
            table("factor_information"), evidence, dates=dates, kept=kept, names=names, horizons=horizons
        ),
        trading=_rows(table("factor_trading"), evidence, dates=dates, kept=kept, names=names),
    )


def _pairs(factor: Ranking, has_return: np.ndarray[Any, np.dtype[np.bool_]], *, delay: int) -> Counts:
    """Count the names with a value and the return that is complete `delay` sessions later."""
    counts = np.full(len(has_return), -1, dtype=np.int64)
    if delay < len(counts):
        counts[delay:] = np.count_nonzero(np.isfinite(factor.values[:-delay]) & has_return[delay:], axis=1)
    return counts


def _outer_weights(quantiles: Quantiles) -> Array:
    """Equal weights of the highest quantile less those of the lowest; all 0 without quantiles."""
    number = quantiles.number
    sides = (number == quantiles.n_quantiles).astype(np.float64) - (number == 1)
    weights: Array = sides * quantile_weights(quantiles).weight
    return weights


def _outer_turnover(quantiles: Quantiles) -> Array:
    """Mean turnover of the equal weights of the highest and of the lowest quantile, shape (n_dates,)."""
    total = np.zeros(len(quantiles.number))
    for number in (1, quantiles.n_quantiles):
        inside = quantiles.number == number
        n_names = quantiles.n_names[:, number - 1]
        n_stayed = np.count_nonzero(inside[1:] & inside[:-1], axis=1)
        largest = np.maximum(n_names[1:], n_names[:-1])
        is_formed = np.minimum(n_names[1:], n_names[:-1]) > 0
        stayed = np.divide(n_stayed, largest, out=np.full(len(largest), np.nan), where=is_formed)
        total[1:] += 1.0 - stayed
    total[:1] = np.nan
    return total / 2.0


def _recent_mean(values: Array) -> Array:
    """Mean over the last sessions that have a value, added up in one order whatever the cut of the dates."""
    total, count = np.zeros(values.shape), np.zeros(values.shape)
    is_known = np.isfinite(values) & (values >= 0.0)
    known = np.where(is_known, values, 0.0)
    for back in reversed(range(min(DOLLAR_VOLUME_SESSIONS, len(values)))):
        total[back:] += known[: len(values) - back]
        count[back:] += is_known[: len(values) - back]
    mean: Array = np.divide(total, count, out=np.full(values.shape, np.nan), where=count > 0.0)
    return mean


def _rows(
    declared: Table,
    evidence: Mapping[tuple[str, str], _Evidence],
    *,
    dates: Dates,
    kept: slice,
    names: Mapping[str, str],
    horizons: tuple[int, ...] = (),
) -> pa.Table:
    """Interleave the factors to the order of the keys: date, factor, horizon."""
    if not evidence:
        return declared.schema.empty_table()
    labels = sorted(evidence)
    repeat = max(1, len(horizons))
    which = pa.array(np.tile(np.repeat(np.arange(len(labels)), repeat), len(dates)))
    given: dict[str, pa.Array] = {
        "date": pa.array(np.repeat(dates, len(labels) * repeat), pa.date32()),
        "factor_type": pa.array([family for family, _ in labels], pa.string()).take(which),
        "factor_name": pa.array([name for _, name in labels], pa.string()).take(which),
    }
    if horizons:
        given["horizon"] = pa.array(np.tile(np.asarray(horizons, dtype=np.int64), len(dates) * len(labels)))
    for column in sorted({*declared.column_names} & {*_Evidence._fields}):
        flat = np.stack([getattr(evidence[label], column)[kept] for label in labels], axis=1).reshape(-1)
        is_count = flat.dtype == np.int64
        given[column] = pa.array(flat, mask=flat < 0 if is_count else np.isnan(flat))
    for column, value in names.items():
        given[column] = pa.repeat(pa.scalar(value, pa.string()), len(which))
    return pa.table([given[column] for column in declared.column_names], schema=declared.schema)
