"""What the graph adds to the ledger of trials.

The table `trials` is no asset: nothing makes it. Whoever evaluates a factor adds to it, the command line and a notebook
(`trial.py`) as well as the graph. What does not belong here: what counts as a trial (`evaluation/trials.py`).
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime

import pyarrow as pa

from factor_assets.evaluation.trials import not_yet_recorded, trial
from factor_assets.factors.registry import RegisteredFactor
from factor_assets.trial import record
from factor_assets.workspace import Workspace


def record_evaluated(
    workspace: Workspace,
    factors: Iterable[RegisteredFactor],
    *,
    statistics: Mapping[tuple[str, str], float | None],
    start_date: date,
    end_date: date,
    tried_by: str,
    run_id: str = "",
) -> pa.Table:
    """Add what the graph evaluated to the ledger, and return the whole ledger, for `family_size`.

    Call it before the correction, so that what is corrected is counted. A factor is one trial, at the settings'
    horizon: the one that promotion is decided at. Its other horizons are shown beside it, like those of a quick look.
    A factor that the ledger has under these settings adds no row, whatever the dates: see `evaluation.trials`.

    Parameters
    ----------
    factors
        Factors, and columns of libraries.
    statistics
        (family, name) -> t-statistic of the mean rank IC; null, NaN or missing where there is none.
    start_date, end_date
        First and last session of the evidence.
    tried_by, run_id
        The asset, and its run.

    Raises
    ------
    StoreError
        If the lake cannot be read or written.
    """
    settings, now = workspace.settings, datetime.now(UTC)
    rows = [
        trial(
            factor_name=factor.name,
            factor_type=factor.family,
            formula=str(factor.expression),
            code_version=factor.code_version,
            settings=settings.evaluation,
            universe=settings.universe_name,
            source=workspace.source.label,
            start_date=start_date,
            end_date=end_date,
            statistic=statistics.get((factor.family, factor.name)),
            tried_at=now,
            tried_by=f"{tried_by}, run {run_id}" if run_id else tried_by,
        )
        for factor in factors
    ]
    ledger = workspace.store.read("trials")
    if not rows:
        return ledger
    new = not_yet_recorded(pa.concat_tables(rows), ledger)
    record(workspace, new, run_id=run_id)
    return workspace.store.read("trials") if new.num_rows else ledger
