"""Other ways to weigh, sort and hold the names of a factor, by session: the table `factor_variants`.

A row of date d uses nothing later than d, and the history before the wanted rows is bounded (`history_sessions`), so
that any cut of the dates gives the same bits. What does not belong here: the sort (`quantiles.py`), the weights
(`quantile_weights.py`), the cohorts (`quantile_portfolios.py`), evidence over all sessions (`variant_evidence.py`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

import numba as nb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from factor_assets.calendar import Dates
from factor_assets.errors import EvaluationError, MisalignedError
from factor_assets.evaluation import quantile_portfolios as held
from factor_assets.evaluation import quantiles as sort
from factor_assets.evaluation.quantile_portfolios import quantile_portfolios
from factor_assets.evaluation.quantile_weights import QuantileWeights, quantile_weights
from factor_assets.evaluation.quantiles import Quantiles, assign_quantiles
from factor_assets.evaluation.ranking import Ranking, rank
from factor_assets.panel.panel import Array, Panel
from factor_assets.settings import EvaluationSettings
from factor_assets.tables import table

CAPPED_AT = 0.8
"""Quantile of the universe's market capitalisations above which the variant `capped_value` counts no more of them."""

CAP_UNKNOWN, SECTOR_UNKNOWN = "market capitalisation unknown", "sector unknown"

_NO_CAP, _NO_SECTOR, _NO_CAP_OUTSIDE, _NOT_HALVED, _HALF_TOO_SMALL, _SECTORS_TOO_SMALL = range(9, 15)

_MEANINGS: Mapping[str, str] = {
    "equal": "equal weights, highest minus lowest quantile",
    "value": "weights by market capitalisation",
    "capped_value": "weights by market capitalisation, cut off at the 80th percentile of the universe",
    "large_breakpoints": "weights by market capitalisation, breakpoints of the larger half of the universe",
    "sector_neutral": "equal weights, sorted within each sector, every sector as much long as short",
    "size_neutral": "equal weights, sorted within each half by market capitalisation, both halves alike",
    "long_only": "equal weights, highest quantile minus the mean of all sorted names",
}

_READ = nb.types.Array(nb.float64, 2, "C", readonly=True)
_READ_INT16 = nb.types.Array(nb.int16, 2, "C", readonly=True)
_READ_BOOL = nb.types.Array(nb.boolean, 1, "C", readonly=True)


class _Market(NamedTuple):
    """What all factors share; float64 of shape (n_dates, n_tickers), NaN where unknown."""

    returns: Array
    market_cap: Array
    capped: Array  # market capitalisation, at most that of the quantile CAPPED_AT
    half: Array  # 1 in the smaller half of the universe, 2 in the larger
    sector: Array


class _Variant(NamedTuple):
    """One variant of one factor; all of shape (n_dates,)."""

    returns: Array
    turnover: Array
    reason: npt.NDArray[np.int8]  # position in `_reason_texts`


def variants_of(settings: EvaluationSettings) -> dict[str, str]:
    """Return variant -> meaning, in the order of the names.

    One `held_H` for each of `settings.horizons` above one session.
    """
    holdings = {
        f"held_{h}": f"equal weights, each sort held for {h} sessions in overlapping cohorts"
        for h in settings.horizons
        if h > 1
    }
    return dict(sorted({**_MEANINGS, **holdings}.items()))


def history_sessions(settings: EvaluationSettings) -> int:
    """Count the sessions before the first wanted row that the variants read: factor, returns, membership, sizes.

    The oldest cohort of the longest holding was sorted execution lag + holding sessions before it; the one that its
    turnover leaves, no earlier.
    """
    return settings.execution_lag + max((1, *settings.horizons))


def factor_variants(
    factors: Iterable[tuple[str, str, Array]],
    panel: Panel,
    *,
    settings: EvaluationSettings,
    universe: str,
    source: str,
    start_row: int = 0,
) -> pa.Table:
    r"""Form the portfolios of factors in the ways of `variants_of(settings)`, one factor in memory at once.

    1. Sort the names of each session once a factor: members of the universe with a finite value.
    2. Divide them into `settings.n_quantiles`: by position (equal, value, capped_value, long_only, held_H), by the
       breakpoints of the larger half of the universe (large_breakpoints), within each sector (sector_neutral), within
       each half of the universe by market capitalisation (size_neutral). Weigh them with what is known on the session
       of the sort.
    3. The return of date d is that of the sort on d - lag - 1, lag being `settings.execution_lag`; of held_H the mean
       of the H sorts up to that one, which must all be there. Highest quantile minus lowest; of long_only minus the
       mean of all sorted names.
    4. The turnover of date d is that of the target weights from d - 1 to d, the mean of the highest and of the lowest
       quantile; of long_only that of the highest. The targets of held_H are means of H sorts, of which one leaves and
       one comes: :math:`\tau_d = \frac{1}{2 H} \sum_j | w_{j,d} - w_{j,d-H} |`.
    5. Keep the rows from `start_row` on.

    Parameters
    ----------
    factors
        (family, name, values); values float64 of shape (n_dates, n_tickers), aligned with the panel. NaN and infinite
        are missing.
    panel
        Field `returns`; `market_cap` and `sector`, where the panel has none, are unknown. A capitalisation that is not
        positive and finite is unknown too.
    start_row
        First row wanted. The rows before it are history; give `history_sessions(settings)` of them, or all there are,
        and the result has the same bits as evaluating everything at once.

    Returns
    -------
    Rows of `factor_variants`, one a session, factor and variant. A return that cannot be computed is null and `reason`
    says why; a name without the capitalisation or sector that its variant wants is left out of it. A turnover is null
    where one of the sorts that it compares has no weights.

    Raises
    ------
    MisalignedError
        If a factor's shape is not the panel's, or `start_row` is outside the panel.
    EvaluationError
        If a factor is given twice.

    References
    ----------
    Fama and French (1993), Journal of Financial Economics 33(1), section 2.1.2, doi:10.1016/0304-405X(93)90023-5, for
    large_breakpoints and for the mean over halves by size; theirs are of the names on the NYSE. Jensen, Kelly and
    Pedersen (2023), Journal of Finance 78(5), doi:10.1111/jofi.13249, for capped_value; theirs is cut off at the NYSE's
    percentile. Jegadeesh and Titman (1993), Journal of Finance 48(1), section I.A,
    doi:10.1111/j.1540-6261.1993.tb04702.x, for held_H.
    """
    if not 0 <= start_row <= len(panel.dates):
        raise MisalignedError(
            f"start_row wants a row of the panel's {len(panel.dates)} (or their number), got {start_row}."
        )
    first = max(0, start_row - history_sessions(settings))
    read = panel.rows(first, len(panel.dates))
    market = _market(read) if len(read.dates) else None
    evidence: dict[tuple[str, str], dict[str, _Variant]] = {}
    for family, name, values in factors:
        if values.shape != panel.shape:
            raise MisalignedError(
                f"Factor {name!r} has shape {values.shape}, the panel has {panel.shape[0]} dates x"
                f" {panel.shape[1]} tickers."
            )
        if (family, name) in evidence:
            raise EvaluationError(f"Factor {name!r} of family {family!r} is given twice; give each factor once.")
        if market is not None:
            evidence[family, name] = _variants(rank(values[first:], among=read.in_universe), market, settings)
    kept = slice(start_row - first, None)
    return _rows(evidence, dates=read.dates[kept], kept=kept, settings=settings, universe=universe, source=source)


def _market(panel: Panel) -> _Market:
    unknown = np.full(panel.shape, np.nan)
    given = panel.fields.get("market_cap", unknown)
    cap = np.where(np.isfinite(given) & (given > 0.0), given, np.nan)
    of_members = np.where(panel.in_universe, cap, np.nan)
    limit = np.full(len(cap), np.nan)
    is_known = np.isfinite(of_members).any(axis=1)
    if is_known.any():
        limit[is_known] = np.nanquantile(of_members[is_known], CAPPED_AT, axis=1)
    number = assign_quantiles(rank(of_members), n_quantiles=2).number
    return _Market(
        returns=np.ascontiguousarray(panel["returns"]),
        market_cap=cap,
        capped=np.minimum(cap, limit[:, None]),
        half=np.where(number > 0, number, np.nan),
        sector=panel.fields.get("sector", unknown),
    )


def _variants(ranking: Ranking, market: _Market, settings: EvaluationSettings) -> dict[str, _Variant]:
    """Form the variants of one factor; those that have the same sort or weights share them."""
    n = settings.n_quantiles
    has_cap = np.asarray((np.isfinite(ranking.values) & np.isfinite(market.market_cap)).any(axis=1))

    def long_short(quantiles: Quantiles, weights: QuantileWeights, holding: int = 1) -> _Variant:
        portfolios = quantile_portfolios(
            quantiles, weights, market.returns, delay=settings.execution_lag + 1, holding=holding
        )
        turnover = (_leg_turnover(quantiles, weights, 1, holding) + _leg_turnover(quantiles, weights, n, holding)) / 2.0
        return _Variant(portfolios.long_short, turnover, portfolios.reason)

    def by_value(quantiles: Quantiles, size: Array) -> _Variant:
        made = long_short(quantiles, quantile_weights(quantiles, scheme="value", market_cap=size))
        return made._replace(reason=_recoded(made.reason, {held.NO_WEIGHT: _NO_CAP_OUTSIDE}))

    overall = assign_quantiles(ranking, n_quantiles=n)
    equal = quantile_weights(overall)
    sized = _with_cap(overall, has_cap)
    by_large = assign_quantiles(ranking, n_quantiles=n, method="breakpoint", breakpoints_from=market.half == 2.0)
    by_sector = assign_quantiles(ranking, n_quantiles=n, groups=market.sector)
    by_sector = replace(
        by_sector,
        reason=_recoded(
            by_sector.reason,
            {sort.NO_GROUP: _NO_SECTOR, sort.TOO_FEW: _SECTORS_TOO_SMALL, sort.ONE_VALUE: _SECTORS_TOO_SMALL},
        ),
    )
    by_half = _in_both_halves(assign_quantiles(ranking, n_quantiles=n, groups=market.half), market.half, has_cap)
    return {
        "equal": long_short(overall, equal),
        "value": by_value(sized, market.market_cap),
        "capped_value": by_value(sized, market.capped),
        "large_breakpoints": by_value(_with_cap(by_large, has_cap), market.market_cap),
        "sector_neutral": long_short(by_sector, quantile_weights(by_sector, groups=market.sector)),
        "size_neutral": long_short(by_half, quantile_weights(by_half, groups=market.half, group_share="equal")),
        "long_only": _long_only(overall, equal, market.returns, delay=settings.execution_lag + 1),
        **{f"held_{h}": long_short(overall, equal, h) for h in sorted({*settings.horizons}) if h > 1},
    }


def _long_only(quantiles: Quantiles, weights: QuantileWeights, returns: Array, *, delay: int) -> _Variant:
    """Highest quantile minus all sorted names; a lowest quantile without a return does not matter."""
    portfolios = quantile_portfolios(quantiles, weights, returns, delay=delay)
    excess = portfolios.long_only_excess
    return _Variant(
        returns=excess,
        turnover=_leg_turnover(quantiles, weights, quantiles.n_quantiles, 1),
        reason=np.where(np.isnan(excess), portfolios.reason, held.COMPUTED).astype(np.int8),
    )


def _with_cap(quantiles: Quantiles, has_cap: npt.NDArray[np.bool_]) -> Quantiles:
    """Say of a sort that wants market capitalisations, and has none, that this is the reason."""
    wants = np.isin(quantiles.reason, (sort.FORMED, sort.TOO_FEW_AT_BREAKPOINTS))
    return replace(quantiles, reason=np.where(wants & ~has_cap, _NO_CAP, quantiles.reason).astype(np.int8))


def _in_both_halves(quantiles: Quantiles, half: Array, has_cap: npt.NDArray[np.bool_]) -> Quantiles:
    """Refuse a sort of one half alone, which would be anything but neutral to size."""
    reason = _recoded(
        quantiles.reason,
        {sort.NO_GROUP: _NOT_HALVED, sort.TOO_FEW: _HALF_TOO_SMALL, sort.ONE_VALUE: _HALF_TOO_SMALL},
    )
    reason[(reason == _NOT_HALVED) & ~has_cap] = _NO_CAP
    is_sorted = quantiles.number > 0
    in_both = (is_sorted & (half == 1.0)).any(axis=1) & (is_sorted & (half == 2.0)).any(axis=1)
    reason[(reason == sort.FORMED) & ~in_both] = _HALF_TOO_SMALL
    return replace(quantiles, reason=reason)


def _recoded(reason: npt.NDArray[np.int8], codes: Mapping[int, int]) -> npt.NDArray[np.int8]:
    result = reason.copy()
    for before, after in codes.items():
        result[reason == before] = after
    return result


def _leg_turnover(quantiles: Quantiles, weights: QuantileWeights, quantile: int, holding: int) -> Array:
    has_target = (quantiles.reason == sort.FORMED) & (weights.n_names[:, quantile - 1] > 0)
    result: Array = _turnover(quantiles.number, weights.weight, has_target, quantile, holding)
    return result


@nb.njit((_READ_INT16, _READ, _READ_BOOL, nb.int64, nb.int64), cache=True, nogil=True, error_model="numpy")
def _turnover(number, weight, has_target, quantile, holding):  # type: ignore[no-untyped-def]
    """Compare the cohort that comes with the one that leaves; shape (n_dates,), NaN where one of them is missing."""
    n_dates, n_tickers = number.shape
    result = np.full(n_dates, np.nan)
    n_cohorts = 0  # without a gap, this session's among them
    for d in range(n_dates):
        n_cohorts = n_cohorts + 1 if has_target[d] else 0
        if n_cohorts <= holding:
            continue
        total = 0.0
        for j in range(n_tickers):
            after = weight[d, j] if number[d, j] == quantile else 0.0
            before = weight[d - holding, j] if number[d - holding, j] == quantile else 0.0
            total += abs(after - before)
        result[d] = 0.5 * total / holding
    return result


def _reason_texts(n_quantiles: int) -> tuple[str | None, ...]:
    return (
        *held.reason_texts(n_quantiles),
        CAP_UNKNOWN,
        SECTOR_UNKNOWN,
        "market capitalisation unknown of every name of the highest or lowest quantile",
        "the universe cannot be halved by market capitalisation",
        f"fewer than {n_quantiles} names ranked, or one value, in a half by market capitalisation",
        f"no sector with {n_quantiles} names ranked and more than one value",
    )


def _rows(
    evidence: Mapping[tuple[str, str], Mapping[str, _Variant]],
    *,
    dates: Dates,
    kept: slice,
    settings: EvaluationSettings,
    universe: str,
    source: str,
) -> pa.Table:
    """Interleave factors and variants to the order of the keys: date, factor, variant."""
    declared = table("factor_variants")
    if not evidence:
        return declared.schema.empty_table()
    labels, variants = sorted(evidence), list(variants_of(settings))
    parts = [evidence[label][variant] for label in labels for variant in variants]
    n_rows = len(dates) * len(parts)

    def numbers(values: Iterable[Array]) -> pa.Array:
        return pa.array(_by_date(v[kept] for v in values), pa.float64(), from_pandas=True)

    which = pa.array(np.tile(np.repeat(np.arange(len(labels)), len(variants)), len(dates)))
    codes = pa.array(_by_date(part.reason[kept].astype(np.float64) for part in parts)).cast(pa.int64())
    given = {
        "factor_name": pa.array([name for _, name in labels], pa.string()).take(which),
        "factor_type": pa.array([family for family, _ in labels], pa.string()).take(which),
        "date": pa.array(np.repeat(dates, len(parts)), pa.date32()),
        "variant": pa.array(variants, pa.string()).take(
            pa.array(np.tile(np.arange(len(variants)), len(dates) * len(labels)))
        ),
        "variant_return": numbers(part.returns for part in parts),
        "variant_turnover": numbers(part.turnover for part in parts),
        "reason": pa.array(_reason_texts(settings.n_quantiles), pa.string()).take(codes),
        "universe": pa.repeat(pa.scalar(universe, pa.string()), n_rows),
        "source": pa.repeat(pa.scalar(source, pa.string()), n_rows),
    }
    return pa.table([given[column] for column in declared.column_names], schema=declared.schema)


def _by_date(columns: Iterable[Array]) -> Array:
    flat: Array = np.stack(list(columns), axis=1).reshape(-1)
    return flat
