"""Trying a factor outside the graph: by name or formula, on the lake or on the sample market.

Every trial goes through `evaluate_factor`, which adds it to the ledger, the table `trials` of the lake; the graph adds
what it evaluates in `defs/trials.py`. What does not belong here: the statistics (`evaluation/quick_look.py`), what
counts as a trial (`evaluation/trials.py`), printing (`terminal.py`).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from time import perf_counter

import numpy as np
import pyarrow as pa

from factor_assets import calendar
from factor_assets.errors import EvaluationError, ExpressionError, StoreError, UnknownFactorError
from factor_assets.evaluation.quick_look import QuickLook, quick_look
from factor_assets.evaluation.tear_sheet import TearSheetContext
from factor_assets.evaluation.trials import LEDGER, looks_at_holdout, trial
from factor_assets.expressions import Expression, fields, lookback, parse
from factor_assets.expressions.engine import evaluate
from factor_assets.factors.factor import Factor
from factor_assets.factors.registry import RegisteredFactor, all_factors, all_libraries, find_factor
from factor_assets.panel.fields import DOCUMENT_FIELDS, LABELS, PRICE_FIELDS
from factor_assets.panel.panel import Array, Panel
from factor_assets.panel.prices import clean_prices
from factor_assets.panel.universe import Membership, members
from factor_assets.settings import EvaluationSettings, Settings
from factor_assets.settings_file import load_settings
from factor_assets.sources.sample import SampleSource
from factor_assets.storage.slice import Slice
from factor_assets.storage.store import Provenance
from factor_assets.workspace import Workspace

_NAME = re.compile(r"\w+(/\w+)?")


@dataclass(frozen=True, kw_only=True, eq=False)
class Market:
    """Prices that a factor is tried on.

    Parameters
    ----------
    panel
        The sessions to look at, and before them those that the factor reads.
    membership
        How the universe knew its members.
    notes
        What whoever reads the numbers must know of the prices.
    """

    panel: Panel
    source: str
    synthetic: bool
    universe: str
    membership: Membership
    notes: tuple[str, ...] = ()


def evaluate_factor(
    factor: str | Expression | Factor | RegisteredFactor,
    *,
    start: date | None = None,
    end: date | None = None,
    horizon: int | None = None,
    include_holdout: bool = False,
    workspace: Workspace | None = None,
    tried_by: str = "notebook",
) -> QuickLook:
    """Compute a factor, measure what it says about later returns, and add the trial to the ledger.

    Parameters
    ----------
    factor
        A formula as text, the name of a declared factor (`ret_12_1`) or of a library's column (`alpha158/KMID`), an
        expression, or a declaration.
    start, end
        First and last session to look at, by default all. Sessions before the first that has the factor's lookback
        behind it are left out; earlier prices are read, later ones never.
    horizon
        Sessions of the forward return; by default the settings'.
    include_holdout
        Look at the sessions from `evaluation.holdout_start` on as well; by default the look, forward returns included,
        ends before them. The ledger and the notes of the result say that it was done.
    workspace
        By default that of the settings in this folder. Without stored prices the synthetic sample market is built in
        memory, and the result says so.
    tried_by
        What the ledger says made the trial.

    Returns
    -------
    What was found. Where the ledger cannot be written, its notes say so.

    Raises
    ------
    ExpressionSyntaxError
        If a text is no formula.
    UnknownFactorError
        If a text looks like a name, but nothing has it.
    EvaluationError
        If no session is left to look at, the range asked for begins in the holdout, or there is no such field here.
    """
    if workspace is None:
        workspace = Workspace(load_settings())
    tried = find_or_parse(factor, workspace) if isinstance(factor, str) else _as_registered(factor)
    settings = workspace.settings.evaluation
    if horizon is not None:
        settings = settings.model_copy(update={"horizon": horizon})
    if not include_holdout:
        end = _before_holdout(settings, start=start, end=end)
    market = open_market(workspace, start=start, end=end, history=tried.lookback, fields=tried.inputs)
    if len(market.panel.dates) and (absent := sorted(set(tried.inputs) - set(market.panel.fields))):
        raise EvaluationError(
            f"The factor reads {', '.join(absent)}, which {market.source} does not give. Fields of filings, reports and"
            " news want sec.contact, reports.path or news.source, and their assets made."
        )
    begun = perf_counter()
    panel, values = _computed(tried, market, start=start)
    last_date = panel.dates[-1].item()
    look = quick_look(
        values,
        panel,
        name=tried.name,
        family=tried.family,
        formula=str(tried.expression),
        lookback=tried.lookback,
        settings=settings.model_copy(update={"holdout_start": None}),  # the range is cut already
        context=TearSheetContext(
            source=market.source,
            synthetic=market.synthetic,
            universe=market.universe,
            membership=market.membership,
            first_date=panel.dates[0].item(),
            last_date=last_date,
            notes=(*market.notes, *_holdout_notes(settings, last_date=last_date, left_out=not include_holdout)),
            settings=settings.model_dump(),
        ),
    )
    look = replace(look, seconds=perf_counter() - begun)
    row = trial(
        factor_name=look.name,
        factor_type=look.family,
        formula=look.formula,
        code_version=tried.code_version,
        settings=settings,
        universe=market.universe,
        source=market.source,
        start_date=look.context.first_date,
        end_date=last_date,
        statistic=look.rank_ic.tstat,
        tried_at=datetime.now(UTC),
        tried_by=tried_by,
    )
    try:
        record(workspace, row)
    except (StoreError, OSError) as error:
        unrecorded = f"NOT RECORDED: this trial is missing from the ledger, so that it will not be counted. {error}"
        return replace(look, context=replace(look.context, notes=(*look.context.notes, unrecorded)))
    return look


def record(workspace: Workspace, rows: pa.Table, *, run_id: str = "") -> None:
    """Add trials to the ledger; of those that several processes record at the same time none is lost.

    Parameters
    ----------
    rows
        As `evaluation.trials.trial` makes them; none is no commit.

    Raises
    ------
    StoreError
        If the lake cannot be written.
    """
    if rows.num_rows:
        workspace.store.append("trials", rows, provenance=Provenance(source=LEDGER, run_id=run_id))


def find_or_parse(text: str, workspace: Workspace) -> RegisteredFactor:
    """Return the factor of a name, or else the one whose formula the text is.

    Raises
    ------
    UnknownFactorError
        If the text is one name that neither a factor, a library's column nor a field has.
    ExpressionSyntaxError
        If the text is no formula.
    """
    name = text.strip()
    if not _NAME.fullmatch(name):
        return _as_registered(parse(text))
    try:
        return find_factor(name, {**all_factors(), **workspace.factors}, all_libraries())
    except UnknownFactorError:
        try:
            return _as_registered(parse(text))
        except ExpressionError:
            pass
        raise


def open_market(
    workspace: Workspace, *, start: date | None, end: date | None, history: int, fields: Iterable[str] = ()
) -> Market:
    """Return the stored prices of a range of dates, or the sample market where none are stored.

    Parameters
    ----------
    start, end
        First and last date wanted; the sample market is always whole up to the end.
    history
        Sessions wanted before the first.
    fields
        Wanted beside those of prices; the sample market has no others.
    """
    settings = workspace.settings
    part = Slice(start=start, end=None if end is None else end + timedelta(days=1))
    if workspace.store.latest_version("prices") is not None and workspace.store.latest_version("universe") is not None:
        return Market(
            panel=workspace.panel(part, history=history, fields={*PRICE_FIELDS, *LABELS, *fields}),
            source=workspace.source.label,
            synthetic=workspace.source.synthetic,
            universe=settings.universe_name,
            membership=workspace.membership(),
        )
    sample = settings if settings.data.source == "sample" else Settings(home=settings.home)
    panel = sample_panel(sample)
    stop = len(panel.dates) if end is None else int(np.searchsorted(panel.dates, np.datetime64(end, "D"), side="right"))
    return Market(
        panel=panel.rows(0, stop),
        source=SampleSource.label,
        synthetic=True,
        universe=sample.universe_name,
        membership="dated" if sample.universe_name == "file" else "as_delivered",
        notes=("No prices are stored here, so that the sample market was built in memory.",),
    )


def sample_panel(settings: Settings | None = None) -> Panel:
    """Build the panel of the synthetic sample market in memory; nothing is stored.

    Parameters
    ----------
    settings
        Those of the sample, its dates and the universe; by default the defaults.
    """
    return _sample_panel((settings or Settings()).model_dump_json())


@lru_cache(maxsize=2)
def _sample_panel(settings_json: str) -> Panel:
    settings = Settings.model_validate_json(settings_json)
    source = SampleSource(settings)
    sessions = calendar.sessions(settings.data.calendar, settings.start, settings.last_date)
    deliveries = source.fetch(source.tickers(), start=settings.start, end=settings.end, stored=lambda _: pa.table({}))
    history = pa.concat_tables([delivery.rows for delivery in deliveries if delivery.rows is not None])
    return Panel.from_tables(
        prices=clean_prices(history, sessions=sessions, has_events=source.has_events).prices,
        universe=members(settings, sessions=sessions, history=history, source=source),
        sessions=sessions,
        first_row=calendar.session_ordinal(settings.data.calendar, sessions[0].item()),
    )


def check_factor(factor: str | Expression | Factor | RegisteredFactor, *, panel: Panel | None = None) -> None:
    """Raise unless a factor has values, and none of them depends on what happens later; for the test of your own.

    1. Compute it on the panel: the last session must have a value, and none may be infinite.
    2. Replace everything after a session by random numbers: the values up to it must keep their bits.

    Parameters
    ----------
    panel
        By default the sample market; fields of filings, reports and news, which it does not have, are random there.

    Raises
    ------
    EvaluationError
        If a check fails; the message says where.
    """
    expression = parse(factor) if isinstance(factor, str) else _as_registered(factor).expression
    market = _with_documents(sample_panel(), fields(expression)) if panel is None else panel
    values = _values(expression, market)
    if np.isinf(values).any():
        raise EvaluationError(
            f"{expression} has {int(np.isinf(values).sum())} infinite values; divide by what is not 0."
        )
    if not len(values) or not np.isfinite(values[-1]).any():
        raise EvaluationError(
            f"{expression} has no value on the last of {len(values)} sessions; it looks back {lookback(expression)}."
        )
    random = np.random.default_rng(0)
    for t in sorted({len(values) // 2, len(values) - 2} - {-1}):
        garbled = _values(expression, _garbled_after(market, t, random))
        changed = values[: t + 1].view(np.int64) != garbled[: t + 1].view(np.int64)
        if changed.any():
            row = int(np.flatnonzero(changed.any(axis=1))[0])
            raise EvaluationError(
                f"{expression} looks ahead: its value on {market.dates[row]} depends on prices after {market.dates[t]}."
            )


def _before_holdout(settings: EvaluationSettings, *, start: date | None, end: date | None) -> date | None:
    """Return the last date to look at where the holdout is left out."""
    holdout = settings.holdout_start
    if holdout is None:
        return end
    if start is not None and start >= holdout:
        raise EvaluationError(
            f"The range asked for begins on {start}, in the holdout, which begins on {holdout}"
            " (evaluation.holdout_start). Ask for earlier dates, or for the holdout by name: include_holdout=True,"
            " --include-holdout."
        )
    last = holdout - timedelta(days=1)
    return last if end is None else min(end, last)


def _holdout_notes(settings: EvaluationSettings, *, last_date: date, left_out: bool) -> Iterable[str]:
    if looks_at_holdout(settings, last_date):
        yield f"HOLDOUT INCLUDED: sessions from {settings.holdout_start} on were looked at, which the ledger records."
    elif settings.holdout_start is not None and left_out:
        yield f"The holdout, from {settings.holdout_start} on, is left out."


def _as_registered(factor: Expression | Factor | RegisteredFactor) -> RegisteredFactor:
    if isinstance(factor, RegisteredFactor):
        return factor
    declared = factor if isinstance(factor, Factor) else Factor(expression=factor, sign=0, cite="Not declared")
    return RegisteredFactor(name="formula", family="tried", factor=declared, place="")


def _computed(factor: RegisteredFactor, market: Market, *, start: date | None) -> tuple[Panel, Array]:
    """Return the sessions to look at and the factor's values on them."""
    panel = market.panel
    wanted = 0 if start is None else int(np.searchsorted(panel.dates, np.datetime64(start, "D")))
    first = max(wanted, factor.lookback)
    if first >= len(panel.dates):
        raise EvaluationError(
            f"No session is left to look at: the factor looks back {factor.lookback} sessions, and"
            f" {len(panel.dates) - wanted} of {len(panel.dates)} lie in the range asked for. Ask for other dates, or"
            " make more prices."
        )
    values = dict(evaluate({factor.name: factor.expression}, panel, start=first))[factor.name]
    return panel.rows(first, len(panel.dates)), values


def _values(expression: Expression, panel: Panel) -> Array:
    return np.ascontiguousarray(dict(evaluate({"checked": expression}, panel))["checked"])


def _with_documents(panel: Panel, wanted: Iterable[str]) -> Panel:
    """Return the panel with positive random numbers for those fields of documents that are wanted."""
    random = np.random.default_rng(1)
    known = {name for names in DOCUMENT_FIELDS.values() for name in names}
    added = {name: random.lognormal(size=panel.shape) for name in sorted(known.intersection(wanted))}
    return replace(panel, fields={**panel.fields, **added})


def _garbled_after(panel: Panel, t: int, random: np.random.Generator) -> Panel:
    def garbled(values: Array) -> Array:
        return np.concatenate([values[: t + 1], random.normal(9.0, 9.0, values[t + 1 :].shape)])

    return Panel(
        dates=panel.dates,
        tickers=panel.tickers,
        fields={name: garbled(values) for name, values in panel.fields.items()},
        in_universe=np.concatenate([panel.in_universe[: t + 1], random.random(panel.in_universe[t + 1 :].shape) < 0.5]),
        first_row=panel.first_row,
    )
