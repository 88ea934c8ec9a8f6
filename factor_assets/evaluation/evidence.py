"""One row a factor and horizon: is it real, is it luck, is it new, what does it cost. The table `factor_evidence`.

What does not belong here: the evidence by session that it summarises (`timeseries.py`, `evidence_by_date.py`), the
tests themselves (`newey_west.py`, `multiple_testing.py`, `sharpe.py`, `monotonicity.py`, `premia.py`,
`random_benchmark.py`, `marginal_evidence.py`), and what passes (`promotion.py`).
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from factor_assets.errors import EvaluationError
from factor_assets.evaluation import sharpe
from factor_assets.evaluation.evidence_by_date import horizons_of
from factor_assets.evaluation.factor_correlations import closest_factors
from factor_assets.evaluation.hit_rate import hit_rate
from factor_assets.evaluation.holdout import before_holdout
from factor_assets.evaluation.marginal_evidence import MarginalEvidence
from factor_assets.evaluation.monotonicity import monotonicity
from factor_assets.evaluation.multiple_testing import Correction, adjusted_pvalues
from factor_assets.evaluation.newey_west import Mean, newey_west_mean
from factor_assets.evaluation.premia import Premium
from factor_assets.evaluation.random_benchmark import RandomComparison
from factor_assets.evaluation.stored_rows import require_distinct, require_market
from factor_assets.evaluation.timeseries import rows_by_factor
from factor_assets.panel.panel import Array
from factor_assets.settings import EvaluationSettings
from factor_assets.tables import table

_Name = tuple[str, str]  # (family, name)

_CORRECTED: Mapping[str, Correction] = {
    "bonferroni_pvalue": "bonferroni",
    "holm_pvalue": "holm",
    "fdr_pvalue": "benjamini_hochberg",
    "fdr_any_pvalue": "benjamini_yekutieli",
}


_READ: Mapping[str, tuple[str, ...]] = {
    "factor_timeseries": ("date", "factor_value", "coverage"),
    "factor_information": ("date", "horizon", "ic", "rank_ic"),
    "factor_trading": ("date", "rank_autocorrelation", "turnover", "capacity"),
    "factor_quantiles": ("date", "quantile", "quantile_return"),
}


@dataclass(frozen=True, kw_only=True, eq=False)
class _Sessions:
    """What the rows of one factor say, on the sessions that are looked at."""

    timeseries: pa.Table
    information: Mapping[int, pa.Table]  # by horizon
    trading: pa.Table
    quantile_returns: Array  # (n_dates, n_quantiles)


def factor_evidence(
    timeseries: pa.Table,
    information: pa.Table,
    trading: pa.Table,
    quantiles: pa.Table,
    *,
    settings: EvaluationSettings,
    universe: str,
    source: str,
    n_trials: int | None = None,
    correlations: pa.Table | None = None,
    premia: Mapping[tuple[str, str, int], Premium] | None = None,
    random: Mapping[_Name, RandomComparison] | None = None,
    marginal: Mapping[tuple[str, str, int], MarginalEvidence] | None = None,
    include_holdout: bool = False,
) -> pa.Table:
    """Judge every factor of `factor_timeseries` at every horizon of `horizons_of(settings)`.

    1. Leave out the sessions from `settings.holdout_start` on, unless the holdout is included. A forward return is
       stored on the session that completes it, so that none of those left reaches into the holdout.
    2. Test the mean rank IC of each horizon h with Newey-West errors; values of neighbours share h - 1 sessions.
    3. Correct the p-values over the factors at the same horizon. The size of the family is `n_trials`, and at least
       the number of factors.
    4. Deflate the Sharpe ratio of the factor return by the same number; the variance of the trials' Sharpe ratios is
       that of the factors here.

    Parameters
    ----------
    timeseries, information, trading, quantiles
        Rows of `factor_timeseries`, `factor_information`, `factor_trading` and `factor_quantiles`.
    n_trials
        Of the trials ledger; by default the number of factors.
    correlations
        Rows of `factor_correlations`, for the closest factor.
    premia
        Of `fama_macbeth_premia`, from the same sessions.
    random
        (family, name) -> of `compare_factor_with_random`, from the same sessions.
    marginal
        (family, name, horizon) -> of `marginal_evidence`, from the same sessions.
    include_holdout
        Look at the holdout too; `has_holdout` then says so, where it has sessions.

    Returns
    -------
    Rows of `factor_evidence`, sorted by its key. Coverage and the numbers of the factor return, of random portfolios,
    of turnover and of capacity are the same at every horizon; the monotonicity is of the quantile returns, at
    `settings.horizon` alone, and null elsewhere. What cannot be computed is null and `reason` says why; so is a track
    record that no length makes long enough. Columns of what was not given are null without a reason.

    Raises
    ------
    EvaluationError
        If rows of another universe or source than asked for are among the evidence, a row is there twice, or no session
        is left of a factor.
    """
    given = {
        "factor_timeseries": timeseries,
        "factor_information": information,
        "factor_trading": trading,
        "factor_quantiles": quantiles,
    }
    for kind, rows in given.items():
        require_market(kind, rows, universe=universe, source=source)
        require_distinct(kind, rows)
    declared = table("factor_evidence")
    by_factor = {
        kind: {
            (family, name): part
            for family, name, part in rows_by_factor(
                before_holdout(given[kind], settings, include_holdout=include_holdout).select(
                    ["factor_type", "factor_name", *columns]
                )
            )
        }
        for kind, columns in _READ.items()
    }
    names = sorted(by_factor["factor_timeseries"])
    every = {(family, name) for family, name, _ in rows_by_factor(timeseries)}
    if len(names) < len(every):
        raise EvaluationError(
            f"Evidence of {len(every) - len(names)} of {len(every)} factors wants sessions before the holdout, which"
            f" starts on {settings.holdout_start}; there is none. Set evaluation.holdout_start later, or include it."
        )
    if not names:
        return declared.schema.empty_table()
    ratios = {
        name: sharpe.sharpe_ratio(_numbers(by_factor["factor_timeseries"][name], "factor_value")) for name in names
    }
    family_size = max(n_trials or 0, len(names))
    variance = _variance([ratio.per_session for ratio in ratios.values()])
    closest = _closest_columns(correlations)
    rows = []
    for name in names:
        sessions = _sessions_of(name, by_factor, settings)
        fixed, reasons = _of_sessions(sessions, settings)
        fixed |= _of_returns(ratios[name], reasons, n_trials=family_size, trials_variance=variance)
        if random is not None:
            fixed |= _of_random(random.get(name), reasons)
        fixed |= {"factor_type": name[0], "factor_name": name[1], "universe": universe, "source": source}
        fixed |= {"n_trials": family_size, **closest.get(name, {})}
        for horizon in horizons_of(settings):
            row, also = _of_horizon(sessions, horizon, settings)
            if premia is not None:
                row |= _of_premium(premia.get((*name, horizon)), also)
            if marginal is not None:
                row |= _of_marginal(marginal.get((*name, horizon)), also)
            rows.append(fixed | row | {"reason": "; ".join([*also, *reasons]) or None})
    _correct(rows, horizons_of(settings), family_size)
    return pa.Table.from_pylist([{key: _null(value) for key, value in row.items()} for row in rows], declared.schema)


def rank_ic_tstats(
    information: pa.Table, *, settings: EvaluationSettings, include_holdout: bool = False
) -> dict[_Name, float]:
    """Return the t-statistic of each factor's mean rank IC at `settings.horizon`, which the ledger of trials records.

    Parameters
    ----------
    information, include_holdout
        As in `factor_evidence`, whose `mean_rank_ic_tstat` it is.

    Returns
    -------
    (family, name) -> t; NaN where it cannot be computed.
    """
    horizon = settings.horizon
    rows = before_holdout(information, settings, include_holdout=include_holdout).filter(pc.field("horizon") == horizon)
    return {
        (family, name): float(_tested(part.sort_by("date"), horizon).estimate.tstat)
        for family, name, part in rows_by_factor(rows)
    }


def _sessions_of(
    name: _Name, by_factor: Mapping[str, Mapping[_Name, pa.Table]], settings: EvaluationSettings
) -> _Sessions:
    def rows(kind: str) -> pa.Table:
        return by_factor[kind][name] if name in by_factor[kind] else table(kind).schema.empty_table()

    information, quantiles = (
        rows("factor_information"),
        rows("factor_quantiles").sort_by([("date", "ascending"), ("quantile", "ascending")]),
    )
    n = settings.n_quantiles
    numbers = quantiles["quantile"].to_numpy()
    if len(numbers) % n or (numbers.reshape(-1, n) != np.arange(1, n + 1)).any():
        raise EvaluationError(
            f"Evidence wants the quantiles 1 to {n} on every session of {'/'.join(name)}, but factor_quantiles has"
            " others; materialise factor_quantiles again."
        )
    return _Sessions(
        timeseries=by_factor["factor_timeseries"][name].sort_by("date"),
        information={h: information.filter(pc.field("horizon") == h).sort_by("date") for h in horizons_of(settings)},
        trading=rows("factor_trading").sort_by("date"),
        quantile_returns=_numbers(quantiles, "quantile_return").reshape(-1, n),
    )


def _of_sessions(sessions: _Sessions, settings: EvaluationSettings) -> tuple[dict[str, Any], list[str]]:
    """Dates, coverage and trading of a factor, and what is missing of them."""
    rows, trading = sessions.timeseries, sessions.trading
    dates = rows["date"].to_numpy().astype("datetime64[D]")
    present = np.flatnonzero(np.isfinite(_numbers(rows, "factor_value")))
    numbers = {
        "mean_coverage": _mean(_numbers(rows, "coverage")),
        "mean_rank_autocorrelation": _mean(_numbers(trading, "rank_autocorrelation")),
        "mean_turnover": _mean(_numbers(trading, "turnover")),
        "median_capacity": _median(_numbers(trading, "capacity")),
    }
    reasons = [
        f"no session has a {column.partition('_')[2].replace('_', ' ')}"
        for column, number in numbers.items()
        if math.isnan(number)
    ]
    holdout = settings.holdout_start
    return {
        "test_date": dates[-1].item(),
        "start_date": dates[present[0]].item() if len(present) else None,
        "end_date": dates[present[-1]].item() if len(present) else None,
        "has_holdout": holdout is not None and bool(dates[-1] >= np.datetime64(holdout, "D")),
        "n_sessions": len(present),
        **numbers,
    }, reasons


def _of_returns(
    ratio: sharpe.SharpeRatio, reasons: list[str], *, n_trials: int, trials_variance: float
) -> dict[str, Any]:
    """Sharpe ratio of the factor return and what is left of it; adds what is missing to the reasons."""
    if math.isnan(ratio.per_session):
        reasons.append(f"the factor return has no Sharpe ratio: {ratio.n_observations} sessions, or all the same")
        return {}
    shape = {"skewness": ratio.skewness, "kurtosis": ratio.kurtosis}
    record = sharpe.min_track_record_length(ratio.per_session, **shape)
    if math.isinf(record):
        reasons.append("no track record is long enough: the Sharpe ratio is not above 0")
    if math.isnan(trials_variance) and n_trials > 1:
        reasons.append("the Sharpe ratio of a single factor has no variance to deflate it by")
    n = ratio.n_observations
    return {
        "session_sharpe_ratio": ratio.per_session,
        "probabilistic_sharpe_ratio": sharpe.probabilistic_sharpe_ratio(ratio.per_session, n_observations=n, **shape),
        "deflated_sharpe_ratio": sharpe.deflated_sharpe_ratio(
            ratio.per_session, n_observations=n, n_trials=n_trials, trials_variance=trials_variance, **shape
        ),
        "min_track_record": record,
    }


def _of_horizon(sessions: _Sessions, horizon: int, settings: EvaluationSettings) -> tuple[dict[str, Any], list[str]]:
    """IC of one horizon, and the monotonicity at the horizon of the quantiles; and what is missing of them."""
    rank_ic = _numbers(sessions.information[horizon], "rank_ic")
    tested = _tested(sessions.information[horizon], horizon)
    n = int(tested.n_observations)
    mean, tstat = float(tested.estimate.value), float(tested.estimate.tstat)
    present = rank_ic[np.isfinite(rank_ic)]
    deviation = float(present.std(ddof=1)) if n > 1 and present.min() < present.max() else math.nan
    reasons = []
    if not n:
        reasons.append("no session has a rank IC")
    elif math.isnan(tstat):
        reasons.append(f"{n} sessions have a rank IC, with {int(tested.lags)} lags: too few, or all the same")
    row = {
        "horizon": horizon,
        "mean_ic": _mean(_numbers(sessions.information[horizon], "ic")),
        "mean_rank_ic": mean,
        "icir": mean / deviation,
        "mean_rank_ic_tstat": tstat,
        "rank_ic_pvalue": float(tested.estimate.pvalue),
        "hit_rate": hit_rate(rank_ic).rate,
    }
    if horizon == settings.horizon:
        try:
            row["monotonicity_pvalue"] = monotonicity(sessions.quantile_returns).pvalue
        except EvaluationError as error:
            reasons.append(str(error).removesuffix("."))
    return row, reasons


def _tested(information: pa.Table, horizon: int) -> Mean:
    return newey_west_mean(_numbers(information, "rank_ic"), overlap=horizon - 1)


def _of_premium(found: Premium | None, reasons: list[str]) -> dict[str, Any]:
    if found is None or math.isnan(found.premium):
        reasons.append("no session has a Fama-MacBeth premium")
        return {}
    return {"fama_macbeth_premium": found.premium, "fama_macbeth_tstat": found.tstat}


def _of_random(found: RandomComparison | None, reasons: list[str]) -> dict[str, Any]:
    if found is None or math.isnan(found.pvalue):
        reasons.append(f"no random portfolio to compare with: {found.reason if found else 'none was drawn'}")
        return {}
    return {"random_portfolio_pvalue": found.pvalue}


def _of_marginal(found: MarginalEvidence | None, reasons: list[str]) -> dict[str, Any]:
    if found is None or found.reason:
        reasons.append(f"no marginal rank IC: {found.reason if found else 'it was not computed'}")
    if found is None:
        return {}
    return {
        "neutralised_on": found.neutralised_on or None,
        "marginal_rank_ic": found.rank_ic,
        "marginal_rank_ic_tstat": found.tstat,
    }


def _correct(rows: Sequence[dict[str, Any]], horizons: Iterable[int], family_size: int) -> None:
    """Add the corrected p-values, over the factors of each horizon."""
    for horizon in horizons:
        family = [row for row in rows if row["horizon"] == horizon]
        pvalues = np.array([row["rank_ic_pvalue"] for row in family])
        for column, method in _CORRECTED.items():
            for row, corrected in zip(
                family, adjusted_pvalues(pvalues, method=method, family_size=family_size).tolist(), strict=True
            ):
                row[column] = corrected


def _closest_columns(correlations: pa.Table | None) -> dict[_Name, dict[str, Any]]:
    if correlations is None:
        return {}
    return {
        name: {"closest_factor": f"{near[0]}/{near[1]}", "closest_correlation": near[2]}
        for name, near in closest_factors(correlations).items()
    }


def _numbers(rows: pa.Table, column: str) -> Array:
    values: Array = rows[column].to_numpy()
    return values


def _mean(values: Array) -> float:
    present = values[np.isfinite(values)]
    return float(present.mean()) if len(present) else math.nan


def _median(values: Array) -> float:
    present = values[np.isfinite(values)]
    return float(np.median(present)) if len(present) else math.nan


def _variance(values: Sequence[float]) -> float:
    present = [value for value in values if math.isfinite(value)]
    return float(np.var(present, ddof=1)) if len(present) > 1 else math.nan


def _null(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
