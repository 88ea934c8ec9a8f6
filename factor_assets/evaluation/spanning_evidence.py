"""Is alpha left of each factor's return once it is regressed on returns that are there already: `factor_spanning`.

Three benchmarks: the market; the market and the factors that the settings choose; the user's file of known factors.
What does not belong here: the regressions (`spanning.py`), reading the file (`sources/known_factors.py`), the test of
all alphas together (`spanning.grs_test`).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from factor_assets.calendar import session_positions
from factor_assets.errors import EvaluationError, MisalignedError
from factor_assets.evaluation.factor_returns import factor_returns
from factor_assets.evaluation.holdout import before_holdout, no_session_left
from factor_assets.evaluation.market_return import market_return
from factor_assets.evaluation.named_factors import resolve_factors
from factor_assets.evaluation.spanning import spanning_regressions
from factor_assets.evaluation.stored_rows import require_distinct, require_market
from factor_assets.panel.panel import Array, Panel
from factor_assets.settings import EvaluationSettings
from factor_assets.sources.known_factors import KnownFactors
from factor_assets.tables import table

MARKET, WITH_CHOSEN, KNOWN = "market", "market and chosen factors", "known factors"

_Name = tuple[str, str]  # (family, name)


def factor_spanning(
    timeseries: pa.Table,
    panel: Panel,
    *,
    settings: EvaluationSettings,
    universe: str,
    source: str,
    known_factors: KnownFactors | None = None,
) -> pa.Table:
    """Regress the return of each factor of `factor_timeseries` on each benchmark, with Newey-West errors.

    - "market": the equal-weighted return of the universe (`market_return`).
    - "market and chosen factors": the market and the returns of `settings.neutralised_on`, where it names any. A chosen
      factor is regressed on the others.
    - "known factors": all columns of the user's file, where one is given, on the sessions that it has.

    Returns are as they are: a factor's is of a portfolio that costs nothing, and no riskless rate is taken off the
    market's.

    Parameters
    ----------
    timeseries
        Rows of `factor_timeseries`; those on dates that the panel does not have take no part.
    panel
        Field `returns`; its sessions before `settings.holdout_start` are looked at.

    Returns
    -------
    Rows of `factor_spanning`, one a coefficient, sorted by its key; the coefficient of a chosen factor is called
    family/name. What has no regression, or fits perfectly, so that there is no t, has nulls and the reason.

    Raises
    ------
    MisalignedError
        If the panel has no session.
    EvaluationError
        If it has none before the holdout, a chosen factor is not among the factors, a known one is called alpha, or
        rows are of another universe or source than asked for, or there twice.
    """
    declared = table("factor_spanning")
    require_market("factor_timeseries", timeseries, universe=universe, source=source)
    require_distinct("factor_timeseries", timeseries)
    if not len(panel.dates):
        raise MisalignedError("factor_spanning wants a panel with at least one session, got none.")
    panel = before_holdout(panel, settings)
    if not len(panel.dates):
        raise no_session_left("factor_spanning", settings)
    series = factor_returns(timeseries, panel.dates)
    if not series:
        return declared.schema.empty_table()
    market = {"market": market_return(panel)}
    chosen = resolve_factors(settings.neutralised_on, series)
    known = {} if known_factors is None else _on_sessions(known_factors, panel)
    rows: list[dict[str, Any]] = []
    for name, values in series.items():
        benchmarks = {MARKET: market}
        if chosen:
            benchmarks[WITH_CHOSEN] = market | {"/".join(one): series[one] for one in chosen if one != name}
        if known:
            benchmarks[KNOWN] = known
        fixed = {"factor_type": name[0], "factor_name": name[1], "universe": universe, "source": source}
        for benchmark, regressors in benchmarks.items():
            found = _regressed(values, regressors, panel, min_observations=settings.min_observations)
            rows += [fixed | {"benchmark": benchmark} | row for row in found]
    rows.sort(key=lambda row: [row[column] for column in declared.key])
    return pa.Table.from_pylist(rows, schema=declared.schema)


def _regressed(
    values: Array, regressors: Mapping[str, Array], panel: Panel, *, min_observations: int
) -> list[dict[str, Any]]:
    fit = spanning_regressions({"factor": values}, regressors, min_observations=min_observations)
    estimate = fit.newey_west
    present = np.flatnonzero(np.isfinite(values) & np.all([np.isfinite(one) for one in regressors.values()], axis=0))
    perfect = "" if fit.reason[0] or np.isfinite(estimate.tstat[0]).all() else "no residuals: the benchmark spans it"
    fixed = {
        "spanning_rsquared": _null(fit.rsquared[0]),
        "n_sessions": int(fit.n_observations[0]),
        "start_date": panel.dates[present[0]].item() if len(present) else None,
        "end_date": panel.dates[present[-1]].item() if len(present) else None,
        "reason": fit.reason[0] or perfect or None,
    }
    return [
        fixed
        | {
            "coefficient": coefficient,
            "loading": _null(estimate.value[0, i]),
            "loading_tstat": _null(estimate.tstat[0, i]),
            "loading_pvalue": _null(estimate.pvalue[0, i]),
        }
        for i, coefficient in enumerate(fit.coefficients)
    ]


def _on_sessions(known: KnownFactors, panel: Panel) -> dict[str, Array]:
    """Returns of the known factors on the panel's sessions, each of shape (n_dates,); NaN where the file has none."""
    if "alpha" in known.returns:
        raise EvaluationError(
            "The file of evaluation.known_factors has a column 'alpha', which is what the constant is called; give the"
            " column another name."
        )
    position = session_positions(known.dates, panel.dates)
    kept = position >= 0
    aligned = {}
    for name, values in known.returns.items():
        aligned[name] = np.full(len(panel.dates), np.nan)
        aligned[name][position[kept]] = values[kept]
    return aligned


def _null(value: Any) -> float | None:
    number = float(value)
    return number if np.isfinite(number) else None
