"""One row a factor: does it explain returns, and what did it earn. The table `factor_summary`.

What does not belong here: the evidence by session or by ticker that it summarises.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from factor_assets.errors import EvaluationError
from factor_assets.evaluation.holdout import before_holdout, no_session_left
from factor_assets.evaluation.performance import performance
from factor_assets.evaluation.significance import mean_tstat
from factor_assets.evaluation.stored_rows import require_distinct, require_market
from factor_assets.evaluation.timeseries import rows_by_factor
from factor_assets.panel.panel import Array
from factor_assets.settings import EvaluationSettings
from factor_assets.tables import table

SIGNIFICANT_TSTAT = 1.96


def factor_summary(
    timeseries: pa.Table,
    details: pa.Table,
    *,
    descriptions: Mapping[tuple[str, str], str],
    settings: EvaluationSettings,
    universe: str,
    membership: str,
    source: str,
) -> pa.Table:
    """Summarise every factor of `factor_timeseries`.

    Parameters
    ----------
    timeseries, details
        Rows of `factor_timeseries` and `factor_details`. Regressions of an older test date than the factor's latest
        take no part, so that a mean never mixes windows.
    descriptions
        (family, name) -> formula and source in the literature; a factor without one gets null.
    membership
        'dated', 'today_only' or 'as_delivered': whether the universe knew its members at the time.
    settings
        Sessions from `holdout_start` on are not looked at, nor are regressions that have looked at them.

    Returns
    -------
    Rows of `factor_summary`, sorted by its key. Means are plain and signed, over the tickers that have a regression
    or the sessions that have a value; nothing missing counts as 0. The test date of a factor without regressions is
    the last session of its series.

    Raises
    ------
    EvaluationError
        If rows of another universe or source than asked for are among the evidence, a row is there twice, or nothing is
        left of a factor or of all regressions before the holdout.
    """
    declared = table("factor_summary")
    for kind, rows in (("factor_timeseries", timeseries), ("factor_details", details)):
        require_market(kind, rows, universe=universe, source=source)
    require_distinct("factor_timeseries", timeseries)
    looked_at = before_holdout(timeseries, settings)
    n_factors, n_left = (len(list(rows_by_factor(rows))) for rows in (timeseries, looked_at))
    if n_left < n_factors:
        raise no_session_left(f"factor_summary of {n_factors - n_left} of {n_factors} factors", settings)
    details = _tested_before_holdout(details, settings)
    regressions = {(family, name): rows for family, name, rows in rows_by_factor(details)}
    summaries = []
    for family, name, sessions in rows_by_factor(looked_at):
        tests = regressions.get((family, name))
        summaries.append(
            {
                "factor_name": name,
                "factor_type": family,
                "description": descriptions.get((family, name)),
                "universe": universe,
                "membership": membership,
                "source": source,
            }
            | _over_sessions(sessions.sort_by("date"), settings=settings)
            | (_over_tickers(tests) if tests is not None else {"significant_stocks": 0, "total_stocks": 0})
        )
    rows = [{key: _null_if_nan(value) for key, value in summary.items()} for summary in summaries]
    return pa.Table.from_pylist(rows, schema=declared.schema)


def _tested_before_holdout(details: pa.Table, settings: EvaluationSettings) -> pa.Table:
    """Leave out regressions that have looked at the holdout, as those of a ticker that is no longer made may have."""
    if settings.holdout_start is None:
        return details
    kept = details.filter(pc.field("test_date") < pa.scalar(settings.holdout_start, pa.date32()))
    if details.num_rows and not kept.num_rows:
        raise EvaluationError(
            f"The summary wants regressions before the holdout, which starts on {settings.holdout_start}, but all of"
            " factor_details have looked at it; materialise factor_details again."
        )
    return kept


def _over_sessions(rows: pa.Table, *, settings: EvaluationSettings) -> dict[str, Any]:
    dates = rows["date"].to_numpy().astype("datetime64[D]")
    factor_return = _numbers(rows, "factor_value")
    present = np.flatnonzero(~np.isnan(factor_return))
    measured = performance(factor_return, risk_free_rate=settings.risk_free_rate)
    mean_return, return_tstat = mean_tstat(factor_return)
    mean_ic, ic_tstat = mean_tstat(_numbers(rows, "rank_ic"))
    return {
        "test_date": dates[-1].item(),
        "start_date": dates[present[0]].item() if len(present) else None,
        "end_date": dates[present[-1]].item() if len(present) else None,
        "annualized_return": measured.annualized_return,
        "annualized_volatility": measured.annualized_volatility,
        "sharpe_ratio": measured.sharpe_ratio,
        "max_drawdown": measured.max_drawdown,
        "mean_factor_return": mean_return,
        "factor_return_tstat": return_tstat,
        "mean_rank_ic": mean_ic,
        "rank_ic_tstat": ic_tstat,
        "mean_coverage": mean_tstat(_numbers(rows, "coverage"))[0],
        "mean_turnover": mean_tstat(_numbers(rows, "turnover"))[0],
        "n_sessions": len(present),
        "n_null_sessions": len(dates) - len(present),
    }


def _over_tickers(rows: pa.Table) -> dict[str, Any]:
    test_dates = rows["test_date"].to_numpy().astype("datetime64[D]")
    latest = rows.filter(pa.array(test_dates == test_dates.max())).sort_by("ticker")
    beta, tstat = _numbers(latest, "beta"), _numbers(latest, "tstat")
    return {
        "test_date": test_dates.max().item(),
        "avg_beta": mean_tstat(beta)[0],
        "avg_tstat": mean_tstat(tstat)[0],
        "avg_rsquared": mean_tstat(_numbers(latest, "rsquared"))[0],
        "significant_stocks": int(np.count_nonzero(np.abs(tstat) > SIGNIFICANT_TSTAT)),
        "total_stocks": int(np.count_nonzero(~np.isnan(beta))),
    }


def _numbers(rows: pa.Table, column: str) -> Array:
    values: Array = rows[column].to_numpy()
    return values


def _null_if_nan(value: Any) -> Any:
    return None if isinstance(value, float) and np.isnan(value) else value
