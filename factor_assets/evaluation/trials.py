"""The ledger of trials: one row an evaluation of a factor, and how many different ones make up a family.

A trial's id is `<hypothesis>-<sample>`, two short hashes:

1. The hypothesis is what was tried: the formula's code version, the universe, the source of prices, and the settings
   that change a return or an IC (`COUNTED_SETTINGS`). Another formula, another parameter in it, another horizon,
   another weighting: each is another chance to be lucky, so that each counts.
2. The sample is what it was tried on: first and last session. It does not count: data grow by a session a day, and
   what is evaluated every evening is one trial, not 252 a year. That the holdout was looked at is recorded beside it.

The name does not count either: a formula under two names is one trial. What does not belong here: storing the rows
(`trial.py`), and the corrections that the family's size goes into (`multiple_testing.py`,
`sharpe.py`).
"""

import json
import math
from collections.abc import Iterable
from datetime import date, datetime
from hashlib import sha256

import pyarrow as pa
import pyarrow.compute as pc

from factor_assets.errors import EvaluationError
from factor_assets.settings import EvaluationSettings
from factor_assets.tables import TABLES

LEDGER = "ledger of trials"
"""What the ledger says its source is: it holds trials on every source, each row with its own."""

COUNTED_SETTINGS = ("n_groups", "n_quantiles", "weighting", "execution_lag", "horizon")
"""Of `EvaluationSettings`; the others change neither a portfolio's return nor an IC, or only the dates."""

_HASH_LENGTH = 12


def trial(
    *,
    factor_name: str,
    factor_type: str,
    formula: str,
    code_version: str,
    settings: EvaluationSettings,
    universe: str,
    source: str,
    start_date: date,
    end_date: date,
    statistic: float | None,
    tried_at: datetime,
    tried_by: str,
) -> pa.Table:
    """Return the row of one evaluation, with the columns of the table `trials`.

    Parameters
    ----------
    code_version
        Of the expression; two spellings of one formula have the same.
    settings
        As evaluated, the horizon included.
    source
        Label of the prices.
    start_date, end_date
        First and last session that was looked at.
    statistic
        t-statistic of the mean rank IC that was seen; None and NaN mean that there was none.
    tried_at
        With a time zone.

    Raises
    ------
    EvaluationError
        If the time has no zone, or the dates are in the wrong order.
    """
    if tried_at.tzinfo is None:
        raise EvaluationError(f"A trial wants a time with a zone, got {tried_at}. Add tzinfo=UTC.")
    if start_date > end_date:
        raise EvaluationError(f"A trial wants its first session before its last, got {start_date} and {end_date}.")
    tried = {name: getattr(settings, name) for name in COUNTED_SETTINGS}
    hypothesis = _hash(code_version, universe, source, json.dumps(tried, sort_keys=True))
    row = {
        "trial_id": f"{hypothesis}-{_hash(start_date.isoformat(), end_date.isoformat())}",
        "tried_at": tried_at,
        "tried_by": tried_by,
        "factor_name": factor_name,
        "factor_type": factor_type,
        "formula": formula,
        "code_version": code_version,
        "universe": universe,
        "horizon": settings.horizon,
        "start_date": start_date,
        "end_date": end_date,
        "has_holdout": looks_at_holdout(settings, end_date),
        "statistic": None if statistic is None or math.isnan(statistic) else statistic,
        "source": source,
    }
    return pa.Table.from_pylist([row], schema=TABLES["trials"].schema)


def looks_at_holdout(settings: EvaluationSettings, end_date: date) -> bool:
    """Whether a look that ends on a date saw sessions of the holdout."""
    return settings.holdout_start is not None and end_date >= settings.holdout_start


def family_size(trials: pa.Table, *, universe: str, source: str | None = None) -> int:
    """Return how many different trials were made: the m of every correction.

    Parameters
    ----------
    trials
        Rows of the table `trials`.
    universe
        Only trials on it count: each universe is a market of its own.
    source
        Only trials on these prices count; by default on any. What was tried on the synthetic market says nothing about
        luck on real prices.

    Returns
    -------
    Number of different hypotheses, see the module. The same evaluation again does not count again, nor does it on
    other dates; with another horizon it does. 0 where nothing was tried.
    """
    return len(set(_hypotheses(_of_market(trials, universe=universe, source=source))))


def not_yet_recorded(rows: pa.Table, trials: pa.Table) -> pa.Table:
    """Return the rows whose hypothesis is not in the ledger, each hypothesis once, in the order given.

    For what is evaluated again and again by itself: the ledger would gain a row a factor every evening. A hypothesis
    that is looked at in the holdout for the first time is a new row, though not a new hypothesis.
    """
    seen = set(zip(_hypotheses(trials), trials["has_holdout"].to_pylist(), strict=True))
    kept = []
    for i, look in enumerate(zip(_hypotheses(rows), rows["has_holdout"].to_pylist(), strict=True)):
        if look not in seen:
            seen.add(look)
            kept.append(i)
    return rows.take(pa.array(kept, pa.int64()))


def _of_market(trials: pa.Table, *, universe: str, source: str | None) -> pa.Table:
    wanted = pc.field("universe") == universe
    return trials.filter(wanted if source is None else wanted & (pc.field("source") == source))


def _hypotheses(trials: pa.Table) -> Iterable[str]:
    return [trial_id.partition("-")[0] for trial_id in trials["trial_id"].to_pylist()]


def _hash(*parts: str) -> str:
    return sha256("\n".join(parts).encode()).hexdigest()[:_HASH_LENGTH]
