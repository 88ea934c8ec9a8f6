"""What the outer quantiles did before and after the sort, over all sorts of a factor: table `factor_event_curves`.

What does not belong here: the curve of each sort (`event_study.py`).
"""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from factor_assets.errors import EvaluationError, MisalignedError
from factor_assets.evaluation.event_study import event_study
from factor_assets.evaluation.holdout import before_holdout
from factor_assets.evaluation.quantiles import assign_quantiles
from factor_assets.evaluation.ranking import rank
from factor_assets.panel.panel import Array, Panel
from factor_assets.settings import EvaluationSettings
from factor_assets.tables import table


def factor_event_curves(
    factors: Iterable[tuple[str, str, Array]],
    panel: Panel,
    *,
    settings: EvaluationSettings,
    universe: str,
    source: str,
    k: int = 20,
) -> pa.Table:
    """Average the curves of every sort of each factor, one factor in memory at once.

    Every session before the holdout is a sort of the members of the universe into `settings.n_quantiles`. A sort whose
    curve is not complete before the holdout, or the end of the data, is left out.

    Parameters
    ----------
    factors
        (family, name, values); values float64 of shape (n_dates, n_tickers), aligned with the panel. NaN and infinite
        are missing.
    panel
        Field `close`.
    k
        Sessions before and after the sort.

    Returns
    -------
    Rows of `factor_event_curves`, sorted by its key: 2 k + 1 a factor. A mean over no sort is null, with n_sorts 0.

    Raises
    ------
    MisalignedError
        If a factor's shape is not the panel's.
    EvaluationError
        If a factor is given twice, or k is below 1.
    """
    read = before_holdout(panel, settings)
    close = read["close"]
    rows: dict[tuple[str, str], pa.Table] = {}
    declared = table("factor_event_curves")
    for family, name, values in factors:
        if values.shape != panel.shape:
            raise MisalignedError(
                f"Factor {name!r} has shape {values.shape}, the panel has {panel.shape[0]} dates x"
                f" {panel.shape[1]} tickers."
            )
        if (family, name) in rows:
            raise EvaluationError(f"Factor {name!r} of family {family!r} is given twice; give each factor once.")
        ranking = rank(values[: len(read.dates)], among=read.in_universe)
        study = event_study(assign_quantiles(ranking, n_quantiles=settings.n_quantiles), close, k=k)
        columns = {
            "offset": pa.array(study.offsets, pa.int64()),
            "top_curve": pa.array(study.mean_top, pa.float64(), from_pandas=True),
            "bottom_curve": pa.array(study.mean_bottom, pa.float64(), from_pandas=True),
            "n_sorts": pa.array(np.count_nonzero(~np.isnan(study.top), axis=0), pa.int64()),
        }
        texts = {"factor_name": name, "factor_type": family, "universe": universe, "source": source}
        columns |= {column: pa.repeat(pa.scalar(text, pa.string()), 2 * k + 1) for column, text in texts.items()}
        rows[family, name] = pa.table([columns[c] for c in declared.column_names], schema=declared.schema)
    return pa.concat_tables([rows[label] for label in sorted(rows)]) if rows else declared.schema.empty_table()
