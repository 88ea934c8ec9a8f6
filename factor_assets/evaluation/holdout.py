"""Leaves out the holdout: the sessions from `evaluation.holdout_start` on, which evidence does not look at.

What does not belong here: asking for the holdout by name (`trial.py`, `defs/evidence.py`), and what the ledger says of
it (`trials.py`).
"""

from datetime import date
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from factor_assets.calendar import Dates
from factor_assets.errors import EvaluationError
from factor_assets.panel.panel import Panel
from factor_assets.settings import EvaluationSettings

_Given = TypeVar("_Given", pa.Table, Panel, Dates)


def before_holdout(given: _Given, settings: EvaluationSettings, *, include_holdout: bool = False) -> _Given:
    """Return what is on sessions before the holdout; everything where there is none, or it is included.

    Parameters
    ----------
    given
        Rows with a column `date`, a panel, or sessions: datetime64[D] of shape (n_dates,), increasing.
    """
    start = settings.holdout_start
    if start is None or include_holdout:
        return given
    if isinstance(given, Panel):
        return given.rows(0, _rows_before(given.dates, start))
    if isinstance(given, np.ndarray):
        return given[: _rows_before(given, start)]
    return given.filter(pc.field("date") < pa.scalar(start, pa.date32()))


def no_session_left(what: str, settings: EvaluationSettings) -> EvaluationError:
    """Return the error of evidence that has sessions, but none before the holdout.

    Parameters
    ----------
    what
        What wants them: the subject of the sentence.
    """
    return EvaluationError(
        f"{what} wants sessions before the holdout, which starts on {settings.holdout_start}; there is none."
        " Set evaluation.holdout_start later."
    )


def _rows_before(dates: Dates, start: date) -> int:
    return int(np.searchsorted(dates, np.datetime64(start, "D")))
