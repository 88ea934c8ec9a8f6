"""The parts of the report's pages that are text: tables, facts, lists and definitions, escaped.

What does not belong here: which parts a page has (`factor_page.py`, `comparison_page.py`), the file around them
(`tear_sheet.py`).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from factor_assets.columns import COLUMNS
from factor_assets.evaluation.evidence_tables import FactorRows
from factor_assets.evaluation.summary import SIGNIFICANT_TSTAT
from factor_assets.evaluation.tear_sheet import MEMBERSHIP, TearSheetContext

NONE = "\u2013"
_SMALLEST_PVALUE = 0.0001
HOW_TO_MAKE = "Make {table}: `factor-assets backfill {table}+`."


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """One number of a factor: the stored column, how it is headed, scaled and rounded."""

    column: str
    label: str
    unit: str = ""
    scale: float = 1
    digits: int = 2
    is_tstat: bool = False

    def text(self, row: Mapping[str, Any]) -> str:
        """The number in words; a dash where there is none."""
        value = row.get(self.column)
        if value is None:
            return NONE
        if isinstance(value, str):
            return value
        if self.column.endswith("_pvalue") and value < _SMALLEST_PVALUE:
            return f"<{_SMALLEST_PVALUE}"
        text = f"{value * self.scale:,.{self.digits}f}".replace("-", "\u2212")
        if self.column == "significant_stocks" and row.get("total_stocks") is not None:
            text = f"{text}/{row['total_stocks']:,}"
        return text

    @property
    def full(self) -> str:
        """Label and unit."""
        return f"{self.label}, {self.unit}" if self.unit else self.label


_MEAN_RANK_IC = Shown(column="mean_rank_ic", label="Rank IC", unit="mean", digits=4)
RETURNS = (
    Shown(column="annualized_return", label="Return", unit="% a year", scale=100, digits=1),
    Shown(column="annualized_volatility", label="Volatility", unit="% a year", scale=100, digits=1),
    Shown(column="sharpe_ratio", label="Sharpe"),
    Shown(column="max_drawdown", label="Drawdown", unit="max, %", scale=100, digits=1),
    Shown(column="factor_return_tstat", label="t", unit="mean return", is_tstat=True),
)
IC_OF_SUMMARY = (_MEAN_RANK_IC, Shown(column="rank_ic_tstat", label="t", unit="rank IC", is_tstat=True))
IC_OF_EVIDENCE = (
    _MEAN_RANK_IC,
    Shown(column="mean_rank_ic_tstat", label="t", unit="rank IC, NW", is_tstat=True),
    Shown(column="holm_pvalue", label="p", unit="Holm", digits=4),
    Shown(column="deflated_sharpe_ratio", label="DSR", unit="probability", digits=3),
    Shown(column="hit_rate", label="Hits", unit="%", scale=100, digits=1),
    Shown(column="median_capacity", label="Capacity", unit="millions", scale=1e-6, digits=1),
    Shown(column="random_portfolio_pvalue", label="p", unit="random", digits=4),
    Shown(column="closest_correlation", label="Closest", unit="correlation"),
)
EXPLAINED = (
    Shown(column="avg_beta", label="Beta", unit="average", digits=3),
    Shown(column="avg_tstat", label="t", unit="average"),
    Shown(column="avg_rsquared", label="R\u00b2", unit="average", digits=3),
    Shown(column="significant_stocks", label="Significant", unit="of stocks", digits=0),
)
COSTS = (
    Shown(column="mean_coverage", label="Coverage", unit="%", scale=100, digits=1),
    Shown(column="mean_turnover", label="Turnover", unit="% a session", scale=100, digits=1),
    Shown(column="n_sessions", label="Sessions", digits=0),
    Shown(column="n_null_sessions", label="Null", unit="sessions", digits=0),
)
BY_HORIZON = (
    Shown(column="horizon", label="Horizon", unit="sessions", digits=0),
    Shown(column="mean_rank_ic", label="Rank IC", digits=4),
    Shown(column="mean_rank_ic_tstat", label="t", unit="Newey-West", is_tstat=True),
    Shown(column="icir", label="ICIR", digits=3),
    Shown(column="hit_rate", label="Hits", unit="%", scale=100, digits=1),
    Shown(column="rank_ic_pvalue", label="p", digits=4),
    Shown(column="bonferroni_pvalue", label="p", unit="Bonferroni", digits=4),
    Shown(column="holm_pvalue", label="p", unit="Holm", digits=4),
    Shown(column="fdr_pvalue", label="p", unit="FDR", digits=4),
    Shown(column="fdr_any_pvalue", label="p", unit="FDR, any", digits=4),
    Shown(column="monotonicity_pvalue", label="p", unit="monotonicity", digits=4),
    Shown(column="fama_macbeth_premium", label="Premium", unit="bps a session", scale=1e4, digits=2),
    Shown(column="fama_macbeth_tstat", label="t", unit="premium", is_tstat=True),
    Shown(column="marginal_rank_ic", label="Rank IC", unit="marginal", digits=4),
    Shown(column="marginal_rank_ic_tstat", label="t", unit="marginal", is_tstat=True),
)
OF_VARIANT = (
    Shown(column="mean_variant_return", label="Return", unit="bps a session", scale=1e4),
    Shown(column="variant_return_tstat", label="t", unit="Newey-West", is_tstat=True),
    Shown(column="variant_sharpe_ratio", label="Sharpe", unit="a session", digits=3),
    Shown(column="variant_max_drawdown", label="Drawdown", unit="max, %", scale=100, digits=1),
    Shown(column="mean_variant_turnover", label="Turnover", unit="% a session", scale=100, digits=1),
    Shown(column="n_sessions", label="Sessions", digits=0),
)
OF_LOADING = (
    Shown(column="loading", label="Estimate", digits=5),
    Shown(column="loading_tstat", label="t", unit="Newey-West", is_tstat=True),
    Shown(column="loading_pvalue", label="p", digits=4),
    Shown(column="spanning_rsquared", label="R\u00b2", digits=3),
    Shown(column="n_sessions", label="Sessions", digits=0),
)
OF_SELECTION = (
    Shown(column="n_factors", label="Factors", digits=0),
    Shown(column="n_sessions", label="Sessions", digits=0),
    Shown(column="best_sharpe_ratio", label="Sharpe", unit="of the best, a session", digits=3),
    Shown(column="overfitting_probability", label="PBO", unit="probability", digits=3),
    Shown(column="loss_probability", label="Loss", unit="probability", digits=3),
    Shown(column="superior_ability_pvalue", label="p", unit="SPA", digits=4),
    Shown(column="grs_statistic", label="GRS", unit="F"),
    Shown(column="grs_pvalue", label="p", unit="GRS", digits=4),
)


def numbers_shown(*, with_evidence: bool) -> tuple[Shown, ...]:
    """The numbers of a factor's row in the comparison, and of its own page."""
    return (*(IC_OF_EVIDENCE if with_evidence else IC_OF_SUMMARY), *RETURNS, *EXPLAINED, *COSTS)


def numbers_of(rows: FactorRows, *, horizon: int | None) -> dict[str, Any]:
    """One row of numbers: those of the evidence at the horizon before those of the summary."""
    kept = ("n_sessions", "start_date", "end_date", "test_date", "mean_turnover")
    own = rows.at(horizon) or {}
    return {**rows.summary, **{k: v for k, v in own.items() if k not in kept}}


def heading(label: str, *, unit: str = "", meaning: str = "", text: bool = False) -> str:
    """Heading of a column that sorts."""
    small = f"<small>{escape(unit)}</small>" if unit else ""
    told = f' title="{escape(meaning)}"' if meaning else ""
    full = escape(f"{label}, {unit}" if unit else label)
    kind = ' class="text"' if text else ""
    return f'<th scope="col"{kind}{told} data-label="{full}"><button type="button">{escape(label)}{small}</button></th>'


def headings(shown: Iterable[Shown]) -> str:
    """Headings of number columns, each with the meaning of the stored column."""
    return "".join(heading(s.label, unit=s.unit, meaning=COLUMNS[s.column].meaning) for s in shown)


def cell(shown: Shown, row: Mapping[str, Any]) -> str:
    """One number of a table."""
    value = row.get(shown.column)
    if value is None:
        return '<td><span class="none">&ndash;</span></td>'
    return f'<td data-v="{value!r}">{_strong(shown, row)}</td>'


def text_cell(text: str | None) -> str:
    """Words of a table; a dash where there are none."""
    if text is None:
        return '<td class="text"><span class="none">&ndash;</span></td>'
    return f'<td class="text" data-v="{escape(text)}">{escape(text)}</td>'


def table_of(head: str, body: str, *, label: str) -> str:
    """Make a table that sorts and scrolls on its own."""
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(label)}"><table class="sortable">'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def number_facts(shown: Iterable[Shown], row: Mapping[str, Any]) -> str:
    """Numbers as terms and values."""
    return "".join(
        f'<div title="{escape(COLUMNS[s.column].meaning)}"><dt>{escape(s.full)}</dt><dd>{_strong(s, row)}</dd></div>'
        for s in shown
    )


def text_facts(facts: Mapping[str, str]) -> str:
    """Texts as terms and values."""
    return "".join(f"<div><dt>{escape(k)}</dt><dd>{escape(v)}</dd></div>" for k, v in facts.items())


def market_facts(context: TearSheetContext) -> dict[str, str]:
    """Say which market the numbers are of."""
    return {
        "Source": context.source,
        "Universe": context.universe,
        "Membership": MEMBERSHIP[context.membership],
        "Asked for": f"{context.first_date} to {context.last_date}",
    }


def plain_list(lines: Iterable[str], *, kind: str = "") -> str:
    """Sentences as a list; nothing where there is none."""
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"<ul{f' class={kind!r}' if kind else ''}>{items}</ul>" if items else ""


def absent_note(table: str, absent: Sequence[str]) -> str:
    """Say what to run where a table was not made."""
    return f'<p class="absent">{escape(HOW_TO_MAKE.format(table=table))}</p>' if table in absent else ""


def notes(context: TearSheetContext, *, dropped: Sequence[str], defined: Iterable[str]) -> str:
    """What was dropped, the settings, the versions, and the meaning of the columns."""
    terms = "".join(
        f"<div><dt>{escape(c.name)}</dt><dd>{escape(c.meaning)}"
        f"{f' <span>Unit: {escape(c.unit)}.</span>' if c.unit else ''}</dd></div>"
        for c in (COLUMNS[name] for name in dict.fromkeys(defined))
    )
    return (
        f"<h3>Data</h3>{plain_list([*context.notes, *dropped] or ['Nothing was reported as dropped.'])}"
        f"<h3>Settings</h3>{_pairs(context.settings, empty='None given.')}"
        f"<h3>Made from</h3>{_pairs(context.table_versions, empty='No table versions given.', prefix='version ')}"
        f'<h3>Definitions</h3><dl class="columns">{terms}</dl>'
    )


def _strong(shown: Shown, row: Mapping[str, Any]) -> str:
    value, text = row.get(shown.column), escape(shown.text(row))
    strong = shown.is_tstat and value is not None and abs(value) > SIGNIFICANT_TSTAT
    return f"<b>{text}</b>" if strong else text


def _pairs(pairs: Mapping[str, Any], *, empty: str, prefix: str = "") -> str:
    if not pairs:
        return f"<p>{escape(empty)}</p>"
    items = "".join(f"<dt>{escape(k)}</dt><dd>{escape(f'{prefix}{pairs[k]}')}</dd>" for k in sorted(pairs))
    return f'<dl class="terms">{items}</dl>'
