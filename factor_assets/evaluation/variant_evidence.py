"""One row a factor and variant: does it survive other weights, neutral sorts, slower trading. Table `variant_evidence`.

What does not belong here: the variants by session (`variants.py`), the definitions (`newey_west.py`, `sharpe.py`,
`performance.py`), the judgement of the factor itself (`evidence.py`).
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from factor_assets.calendar import Dates
from factor_assets.evaluation.holdout import before_holdout, no_session_left
from factor_assets.evaluation.newey_west import newey_west_mean
from factor_assets.evaluation.performance import performance
from factor_assets.evaluation.sharpe import sharpe_ratio
from factor_assets.evaluation.stored_rows import require_distinct, require_market
from factor_assets.panel.panel import Array
from factor_assets.settings import EvaluationSettings
from factor_assets.tables import table

_KEY = ("factor_type", "factor_name", "variant")
_READ = ("date", "variant_return", "variant_turnover", "reason")


def variant_evidence(rows: pa.Table, *, settings: EvaluationSettings, universe: str, source: str) -> pa.Table:
    """Summarise every factor and variant of `factor_variants` over its sessions.

    1. Leave out the holdout (`before_holdout`). A return stands on the session that earns it, so that
       none of those left reaches into the holdout.
    2. Test the mean return with Newey-West errors, lags by the rule "fixed". Returns are of one session, those of
       overlapping cohorts too, so that no two of them share a session.
    3. Standard deviation with n - 1 degrees of freedom, Sharpe ratio a session (`sharpe_ratio`), drawdown of the
       compound return (`performance`), mean turnover.

    Parameters
    ----------
    rows
        Rows of `factor_variants`, in any order.

    Returns
    -------
    Rows of `variant_evidence`, sorted by its key; `n_sessions` counts the returns, from `start_date` to `end_date`.
    What cannot be computed is null and `reason` says why.

    Raises
    ------
    EvaluationError
        If rows of another universe or source than asked for are among them, a session is there twice, or none is left
        before the holdout.
    """
    require_market("factor_variants", rows, universe=universe, source=source)
    require_distinct("factor_variants", rows)
    made = []
    for label, part in _by_variant(rows):
        looked_at = before_holdout(part, settings)
        if not looked_at.num_rows:
            raise no_session_left(f"Evidence of the variants of {label[0]}/{label[1]}", settings)
        row = dict(zip(_KEY, label, strict=True)) | _summary(looked_at) | {"universe": universe, "source": source}
        made.append({key: _null(value) for key, value in row.items()})
    return pa.Table.from_pylist(made, table("variant_evidence").schema)


def _by_variant(rows: pa.Table) -> Iterator[tuple[tuple[str, str, str], pa.Table]]:
    """Yield (family, name, variant) and the rows by date; one sort of numbers, for there are millions of rows."""
    if not rows.num_rows:
        return
    rows = rows.select([*_KEY, *_READ]).combine_chunks()
    code = np.zeros(rows.num_rows, dtype=np.int64)
    for column in _KEY:
        encoded = rows[column].combine_chunks().dictionary_encode()
        place = np.argsort(np.argsort(np.array(encoded.dictionary.to_pylist(), dtype=object)))
        code = code * len(place) + place[encoded.indices.to_numpy()]
    dates: Dates = rows["date"].to_numpy().astype("datetime64[D]")
    order = np.lexsort((dates, code))
    is_next = code[order][1:] != code[order][:-1]
    for places in np.split(order, np.flatnonzero(is_next) + 1):
        part = rows.take(pa.array(places))
        family, name, variant = (part[column][0].as_py() for column in _KEY)
        yield (family, name, variant), part


def _summary(rows: pa.Table) -> dict[str, Any]:
    """Numbers of one variant, and why some are missing."""
    returns: Array = rows["variant_return"].to_numpy()
    turnover: Array = rows["variant_turnover"].to_numpy()
    dates: Dates = rows["date"].to_numpy().astype("datetime64[D]")
    present = np.flatnonzero(np.isfinite(returns))
    n = len(present)
    tested = newey_west_mean(returns).estimate
    ratio = sharpe_ratio(returns)
    reasons = []
    if not n:
        why = rows["reason"].drop_null().value_counts().to_pylist()
        most = max(why, key=lambda entry: entry["counts"], default={"values": "no reason is told"})
        reasons.append(f"no session has a return: {most['values']}")
    elif math.isnan(float(tested.tstat)) or math.isnan(ratio.per_session):
        reasons.append(f"{n} sessions have a return: too few, or all the same")
    if not np.isfinite(turnover).any():
        reasons.append("no session has a turnover")
    return {
        "start_date": dates[present[0]].item() if n else None,
        "end_date": dates[present[-1]].item() if n else None,
        "n_sessions": n,
        "mean_variant_return": float(tested.value),
        "variant_return_tstat": float(tested.tstat),
        "variant_volatility": _deviation(returns[present]),
        "variant_sharpe_ratio": ratio.per_session,
        "variant_max_drawdown": performance(returns).max_drawdown,
        "mean_variant_turnover": float(np.nanmean(turnover)) if np.isfinite(turnover).any() else math.nan,
        "reason": "; ".join(reasons) or None,
    }


def _deviation(present: Array) -> float:
    if len(present) < 2:
        return math.nan
    # the rounding of the mean must not make up a volatility
    return float(present.std(ddof=1)) if present.min() < present.max() else 0.0


def _null(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
