"""`QuickLook`: one factor seen at once: coverage, rank IC and how it decays, quantiles, turnover.

Nothing is measured differently than in the assets: returns, rank IC, coverage, quantiles and turnover are those of
`timeseries.py` and `summary.py`. What does not belong here: where the prices come from, and counting how often one
looked (`trial.py`); how it looks in a terminal (`terminal.py`).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import pyarrow as pa

from factor_assets.errors import EvaluationError
from factor_assets.evaluation.evidence_tables import EvidenceTables, split
from factor_assets.evaluation.factor_page import factor_page
from factor_assets.evaluation.forward_returns import completed_return
from factor_assets.evaluation.information import rank_ic
from factor_assets.evaluation.ranking import rank
from factor_assets.evaluation.regressions import factor_details
from factor_assets.evaluation.significance import mean_tstat
from factor_assets.evaluation.summary import factor_summary
from factor_assets.evaluation.tear_sheet import SYNTHETIC_LABEL, TearSheetContext
from factor_assets.evaluation.timeseries import FactorEvidence, evaluate_factors
from factor_assets.panel.panel import Array, Panel
from factor_assets.settings import EvaluationSettings
from factor_assets.tables import table

HORIZONS = (1, 3, 5, 10, 20)


@dataclass(frozen=True, kw_only=True, slots=True)
class HorizonIc:
    """Rank IC with the return over some sessions; NaN where there is none.

    Parameters
    ----------
    horizon
        h, sessions of the forward return.
    mean
        Over all sessions.
    tstat
        Of the mean over every h-th session: these returns do not overlap.
    icir
        Mean over standard deviation, per session, all sessions; not scaled to a year.
    n_sessions
        Sessions with a rank IC.
    """

    horizon: int
    mean: float
    tstat: float
    icir: float
    n_sessions: int


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class QuickLook:
    """What one factor says about later returns on one market; NaN is missing.

    Parameters
    ----------
    name, family, formula, lookback
        What was looked at.
    context
        The market, and whether it is made up.
    settings
        Lag, horizon, groups and quantiles.
    coverage
        Mean share of the universe members that have a value.
    rank_ic
        At the settings' horizon.
    decay
        Rank IC by horizon, increasing; the settings' horizon is among them.
    quantile_returns
        Mean forward return of each quantile over the horizon (fraction), lowest values first.
    spread, spread_tstat
        Highest quantile less the lowest; t of every h-th session.
    annualized_return, sharpe_ratio, return_tstat
        Of the factor's return: highest group less the lowest, rebalanced every session, before costs.
    turnover
        Mean share of a portfolio that changes per session.
    rank_autocorrelation
        Mean Spearman correlation of the values with those of the session before.
    values, panel
        What was measured: float64 of shape (n_dates, n_tickers), and the sessions that it is on.
    evidence
        Rows as in `factor_timeseries` and `factor_quantiles`.
    seconds
        That the values and these numbers took.
    """

    name: str
    family: str
    formula: str
    lookback: int
    context: TearSheetContext
    settings: EvaluationSettings
    coverage: float
    rank_ic: HorizonIc
    decay: tuple[HorizonIc, ...]
    quantile_returns: tuple[float, ...]
    spread: float
    spread_tstat: float
    annualized_return: float
    sharpe_ratio: float
    return_tstat: float
    turnover: float
    rank_autocorrelation: float
    values: Array
    panel: Panel
    evidence: FactorEvidence
    seconds: float = math.nan

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences that whoever reads the numbers must know."""
        said = list(self.context.notes)
        if self.context.synthetic:
            said.insert(0, f"{SYNTHETIC_LABEL}: every price is made up; this is no evidence about real stocks.")
        if self.context.membership != "dated" and not self.context.synthetic:
            said.append("The members are not those of each date: companies that failed may be missing.")
        if not self.rank_ic.n_sessions:
            said.append("No session has 10 members with a value and a later return, so that there is no rank IC.")
        if self.settings.horizon > 1:
            said.append(f"t is over sessions {self.settings.horizon} apart, for nearer returns overlap.")
        return tuple(said)

    @property
    def facts(self) -> dict[str, str]:
        """The numbers in words, by name."""
        lag, horizon = self.settings.execution_lag, self.settings.horizon
        ic = self.rank_ic
        return {
            "market": f"{self.context.source}, universe {self.context.universe}, {len(self.panel.tickers):,} tickers",
            "sessions": f"{len(self.panel.dates):,}, {self.context.first_date} to {self.context.last_date}",
            "lookback": _sessions(self.lookback),
            "coverage": f"{shown(self.coverage, '.1%')} of the members",
            "rank IC": f"{shown(ic.mean, '+.4f')}, t {shown(ic.tstat, '+.2f')}, ICIR {shown(ic.icir, '+.3f')}; return"
            f" over {_sessions(horizon)} from {_sessions(lag)} later",
            "spread": f"{shown(self.spread, '+.3%')}, t {shown(self.spread_tstat, '+.2f')}; quantile"
            f" {len(self.quantile_returns)} less 1",
            "high less low": f"{shown(self.annualized_return, '+.1%')} a year, t {shown(self.return_tstat, '+.2f')},"
            f" Sharpe {shown(self.sharpe_ratio, '.2f')}; before costs",
            "turnover": f"{shown(self.turnover, '.1%')} a session, rank autocorrelation"
            f" {shown(self.rank_autocorrelation, '.3f')}",
            "computed in": f"{shown(self.seconds, '.2f')} s",
        }

    def tear_sheet(self) -> str:
        """Make the page that the asset `tear_sheet` makes of a factor, linked to no other: HTML text."""
        timeseries, quantiles = self.evidence
        names = {"universe": self.context.universe, "source": self.context.source}
        details = factor_details(timeseries, self.panel, settings=self.settings, **names)
        summary = factor_summary(
            timeseries,
            details,
            descriptions={(self.family, self.name): self.formula},
            settings=self.settings,
            membership=self.context.membership,
            **names,
        )
        tables = EvidenceTables(
            summary=summary,
            timeseries=timeseries,
            quantiles=quantiles,
            details=details,
            evidence=self._decay_rows(names),
        )
        (rows,) = split(tables, universe=self.context.universe)
        return factor_page(rows, context=self.context, horizon=self.settings.horizon, above=None)

    def _decay_rows(self, names: Mapping[str, str]) -> pa.Table:
        """The decay as rows of `factor_evidence`; what a look does not test is null."""
        days = [day.item() for day in self.panel.dates.astype("datetime64[D]")]
        own = {"factor_name": self.name, "factor_type": self.family, "has_holdout": False, **names}
        span = {"test_date": days[-1], "start_date": days[0], "end_date": days[-1]}
        rows = [
            own
            | span
            | {
                "horizon": ic.horizon,
                "n_sessions": ic.n_sessions,
                "mean_rank_ic": _null(ic.mean),
                "mean_rank_ic_tstat": _null(ic.tstat),
                "icir": _null(ic.icir),
                "mean_turnover": _null(self.turnover),
                "mean_coverage": _null(self.coverage),
                "mean_rank_autocorrelation": _null(self.rank_autocorrelation),
                "reason": "a look tests nothing against the trials",
            }
            for ic in self.decay
        ]
        return pa.Table.from_pylist(rows, schema=table("factor_evidence").schema)

    def __repr__(self) -> str:
        widest = max(map(len, self.facts))
        decay = "  ".join(f"{ic.horizon}: {shown(ic.mean, '+.4f')}" for ic in self.decay)
        quantiles = "  ".join(f"{q}: {shown(r, '+.3%')}" for q, r in enumerate(self.quantile_returns, start=1))
        rows = {**self.facts, "IC by horizon": decay, "quantiles": quantiles}
        lines = [f"  {label:<{max(widest, 13)}}  {told}" for label, told in rows.items()]
        return "\n".join([f"{self.name}: {self.formula}", *lines, *(f"  {note}" for note in self.notes)])

    def _repr_html_(self) -> str:
        facts = "".join(
            f"<tr><th style='text-align:left'>{escape(label)}</th><td style='text-align:left'>{escape(told)}</td></tr>"
            for label, told in self.facts.items()
        )
        decay = _html_row("horizon", [str(ic.horizon) for ic in self.decay]) + "".join(
            _html_row(label, [shown(getattr(ic, name), form) for ic in self.decay])
            for label, name, form in (("rank IC", "mean", "+.4f"), ("t", "tstat", "+.2f"), ("ICIR", "icir", "+.3f"))
        )
        quantiles = _html_row("quantile", [str(q) for q in range(1, len(self.quantile_returns) + 1)]) + _html_row(
            "return", [shown(value, "+.3%") for value in self.quantile_returns]
        )
        notes = "".join(f"<p>{escape(note)}</p>" for note in self.notes)
        return (
            f"<p><b>{escape(self.name)}</b> <code>{escape(self.formula)}</code></p>{notes}<table>{facts}</table>"
            f"<table>{decay}</table><table>{quantiles}</table>"
        )


def quick_look(
    values: Array,
    panel: Panel,
    *,
    name: str,
    family: str,
    formula: str,
    lookback: int,
    settings: EvaluationSettings,
    context: TearSheetContext,
    horizons: Sequence[int] = HORIZONS,
) -> QuickLook:
    """Measure one factor.

    1. Portfolios, rank IC, coverage, turnover and quantiles as the asset `factor_timeseries` has them.
    2. Rank IC for further horizons, each with the forward return that starts `settings.execution_lag` sessions later.
    3. Rank IC of the values with those of the next session instead of a return: the rank autocorrelation.

    Parameters
    ----------
    values
        float64 of shape (n_dates, n_tickers), aligned with the panel. NaN and infinite are missing.
    panel
        The sessions to look at, without those before the first value can be there: they would count as uncovered.
    context
        The market in words; its universe and source become those of the evidence.
    horizons
        Sessions of the forward returns of the decay.

    Raises
    ------
    EvaluationError
        If there is no session.
    MisalignedError
        If the shapes differ.
    """
    if not len(panel.dates):
        raise EvaluationError("A look at a factor wants at least one session, got none; widen the dates.")
    evidence = evaluate_factors(
        [(family, name, values)], panel, settings=settings, universe=context.universe, source=context.source
    )
    (summary,) = factor_summary(
        evidence.timeseries,
        table("factor_details").schema.empty_table(),
        descriptions={},
        settings=settings,
        universe=context.universe,
        membership=context.membership,
        source=context.source,
    ).to_pylist()
    ranking = rank(values, among=panel.in_universe)
    decay = []
    for horizon in sorted({*horizons, settings.horizon}):
        forward = rank(completed_return(panel["close"], horizon=horizon))
        ic = rank_ic(ranking, forward, delay=settings.execution_lag + horizon)
        decay.append(_horizon_ic(ic, horizon=horizon, first_row=panel.first_row))
    by_quantile: Array = evidence.quantiles["quantile_return"].to_numpy().reshape(-1, settings.n_quantiles)
    spread = by_quantile[:, -1] - by_quantile[:, 0]
    (at_horizon,) = (ic for ic in decay if ic.horizon == settings.horizon)
    return QuickLook(
        name=name,
        family=family,
        formula=formula,
        lookback=lookback,
        context=context,
        settings=settings,
        coverage=_number(summary["mean_coverage"]),
        rank_ic=at_horizon,
        decay=tuple(decay),
        quantile_returns=tuple(mean_tstat(returns)[0] for returns in by_quantile.T),
        spread=mean_tstat(spread)[0],
        spread_tstat=_tstat_apart(spread, horizon=settings.horizon, first_row=panel.first_row),
        annualized_return=_number(summary["annualized_return"]),
        sharpe_ratio=_number(summary["sharpe_ratio"]),
        return_tstat=_number(summary["factor_return_tstat"]),
        turnover=_number(summary["mean_turnover"]),
        rank_autocorrelation=mean_tstat(rank_ic(ranking, ranking, delay=1))[0],
        values=values,
        panel=panel,
        evidence=evidence,
    )


def shown(value: float, form: str) -> str:
    """Return a number in a format, or a dash where there is none."""
    return format(value, form) if math.isfinite(value) else "-"


def _horizon_ic(ic: Array, *, horizon: int, first_row: int) -> HorizonIc:
    n = int(np.count_nonzero(~np.isnan(ic)))
    mean, tstat = mean_tstat(ic)
    return HorizonIc(
        horizon=horizon,
        mean=mean,
        tstat=_tstat_apart(ic, horizon=horizon, first_row=first_row),
        icir=tstat / n**0.5 if n else math.nan,
        n_sessions=n,
    )


def _tstat_apart(values: Array, *, horizon: int, first_row: int) -> float:
    """Return the t-statistic of the sessions a horizon apart, counted from the calendar's first."""
    return mean_tstat(values[-first_row % horizon :: horizon])[1]


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _null(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _sessions(n: int) -> str:
    return f"{n:,} session" if n == 1 else f"{n:,} sessions"


def _html_row(label: str, cells: Sequence[str]) -> str:
    shown_cells = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
    return f"<tr><th style='text-align:left'>{escape(label)}</th>{shown_cells}</tr>"
