"""The tear sheet: one self-contained HTML page that says which factors explain returns.

`tear_sheet` takes rows of the evidence tables and returns the text of the page. The words of the verdict are in
`verdict`, what the charts show in `tear_sheet_charts`, look and drawing in `page/`. Nothing here computes a statistic
or writes a file.

1. The summary, the verdict and the notes become HTML at once, so that they are there without JavaScript.
2. Chart data become JSON; it and Plotly are embedded as gzip in base64, which holds no character that HTML reads, and
   are unpacked by the browser. The page's content policy forbids it to load anything.
3. Same rows and context give the same bytes: no clock, no random name.
"""

import base64
import gzip
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from html import escape
from importlib.resources import files
from typing import Any, Literal

import pyarrow as pa

from factor_assets.columns import COLUMNS
from factor_assets.errors import EvaluationError
from factor_assets.evaluation.summary import SIGNIFICANT_TSTAT
from factor_assets.evaluation.tear_sheet_charts import STOCK_NUMBERS, chart_data, null_reasons
from factor_assets.evaluation.verdict import verdict
from factor_assets.tables import TABLES

SYNTHETIC_LABEL = "SYNTHETIC SAMPLE MARKET"


@dataclass(frozen=True, kw_only=True, slots=True)
class TearSheetContext:
    """What the tables do not say about themselves.

    Parameters
    ----------
    source
        Where the prices came from, in words.
    synthetic
        Whether the prices are made up; the page then says so wherever it is looked at.
    universe
        Name of the universe; the rows must be of this one.
    membership
        `dated`; `today_only` where today's list was applied to the past; `as_delivered` where it is what the source
        holds, which may be survivors only.
    first_date, last_date
        Range of sessions that was asked for.
    notes
        Sentences on the data: what was dropped, and how much of it.
    table_versions
        Version of each table that the page was made from.
    settings
        Settings that shaped the numbers, by name.
    """

    source: str
    synthetic: bool
    universe: str
    membership: Literal["dated", "today_only", "as_delivered"]
    first_date: date
    last_date: date
    notes: Sequence[str] = ()
    table_versions: Mapping[str, str | int] = field(default_factory=dict)
    settings: Mapping[str, str | int | float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Shown:
    """One column of the summary table: the stored column, how it is headed, scaled and rounded."""

    column: str
    label: str
    unit: str = ""
    scale: float = 1
    digits: int = 2
    is_tstat: bool = False


_SUMMARY = (
    _Shown(column="annualized_return", label="Return", unit="% a year", scale=100, digits=1),
    _Shown(column="annualized_volatility", label="Volatility", unit="% a year", scale=100, digits=1),
    _Shown(column="sharpe_ratio", label="Sharpe"),
    _Shown(column="max_drawdown", label="Drawdown", unit="max, %", scale=100, digits=1),
    _Shown(column="factor_return_tstat", label="t", unit="mean return", is_tstat=True),
    _Shown(column="mean_rank_ic", label="Rank IC", unit="mean", digits=4),
    _Shown(column="rank_ic_tstat", label="t", unit="rank IC", is_tstat=True),
    _Shown(column="avg_beta", label="Beta", unit="average", digits=3),
    _Shown(column="avg_tstat", label="t", unit="average"),
    _Shown(column="avg_rsquared", label="R\u00b2", unit="average", digits=3),
    _Shown(column="significant_stocks", label="Significant", unit="of stocks", digits=0),
    _Shown(column="mean_coverage", label="Coverage", unit="%", scale=100, digits=1),
    _Shown(column="mean_turnover", label="Turnover", unit="% a session", scale=100, digits=1),
    _Shown(column="n_sessions", label="Sessions", digits=0),
    _Shown(column="n_null_sessions", label="Null", unit="sessions", digits=0),
)

_MEMBERSHIP = {"dated": "as of each date", "today_only": "today's list", "as_delivered": "what the source holds"}

_DEFINED = (
    *("factor_value", "high_portfolio_return", "low_portfolio_return"),
    *(shown.column for shown in _SUMMARY),
    *("total_stocks", "rank_ic", "coverage", "turnover", "quantile_return", *STOCK_NUMBERS, "n_observations"),
)


def tear_sheet(
    *,
    summary: pa.Table,
    timeseries: pa.Table,
    quantiles: pa.Table,
    details: pa.Table,
    context: TearSheetContext,
) -> str:
    """Make the page.

    Parameters
    ----------
    summary, timeseries, quantiles, details
        Rows of `factor_summary`, `factor_timeseries`, `factor_quantiles` and `factor_details`, in any order. Null means
        missing and is shown as a dash or a gap. An empty table is allowed.
    context
        What the tables do not say about themselves.

    Returns
    -------
    HTML text of one page that needs no other file and no network.

    Raises
    ------
    EvaluationError
        If a table lacks a declared column, or holds rows of another universe.
    """
    tables = {
        "factor_summary": summary,
        "factor_timeseries": timeseries,
        "factor_quantiles": quantiles,
        "factor_details": details,
    }
    for name, rows in tables.items():
        _check(rows, name=name, universe=context.universe)
    summary = summary.sort_by([("factor_type", "ascending"), ("factor_name", "ascending")])
    rows = [{name: _finite(value) for name, value in row.items()} for row in summary.to_pylist()]
    reasons = null_reasons(timeseries, [(row["factor_type"], row["factor_name"]) for row in rows])
    data = chart_data(summary=summary, timeseries=timeseries, quantiles=quantiles, details=details)
    data["first"] = _strongest(rows)
    judged = verdict(summary)
    heading = f"{_counted(len(rows), 'factor')} on {context.universe}"
    parts = {
        "title": escape(f"{SYNTHETIC_LABEL + ': ' if context.synthetic else ''}{heading}, factor tear sheet"),
        "synthetic_banner": _synthetic_banner(context),
        "heading": escape(heading),
        "verdict": escape(judged.headline),
        "reading": "".join(f"<li>{escape(line)}</li>" for line in judged.reading),
        "survivorship_banner": _survivorship_banner(context),
        "facts": _facts(context, data=data, details=details),
        "summary_table": _summary_table(rows),
        "dashes": _dashes(rows, reasons),
        "notes": _notes(context, unknown=data.pop("unknown"), every=data.pop("every")),
        "css": _page("tear_sheet.css"),
        "js": _page("tear_sheet.js"),
        "plotly": _packed_plotly(),
        "data": _packed(json.dumps(data, allow_nan=False, ensure_ascii=False, separators=(",", ":"))),
    }
    # One pass, so that braces inside a part are never read as a placeholder.
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], _page("tear_sheet.html"))


def _check(rows: pa.Table, *, name: str, universe: str) -> None:
    missing = [column for column in TABLES[name].column_names if column not in rows.column_names]
    if missing:
        raise EvaluationError(
            f"The tear sheet needs {name} with its declared columns, but {', '.join(missing)} are missing;"
            " read the table without choosing columns."
        )
    others = sorted(set(rows["universe"].unique().to_pylist()) - {universe})
    if others:
        raise EvaluationError(
            f"The tear sheet is about universe {universe!r}, but {name} has rows of {', '.join(map(repr, others))};"
            " pass the rows of one universe."
        )


def _finite(value: Any) -> Any:
    """Return None for a number that is not one, anything else as it is."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _page(name: str) -> str:
    return files("factor_assets.evaluation").joinpath("page", name).read_text(encoding="utf-8")


def _packed(text: str) -> str:
    return base64.b64encode(gzip.compress(text.encode(), compresslevel=9, mtime=0)).decode("ascii")


@lru_cache(maxsize=1)
def _packed_plotly() -> str:
    from plotly.offline import get_plotlyjs

    return _packed(get_plotlyjs())


def _counted(n: int, noun: str) -> str:
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def _strongest(rows: Sequence[Mapping[str, Any]]) -> int:
    """Position of the factor to show first."""
    return max(range(len(rows)), key=lambda i: abs(rows[i]["factor_return_tstat"] or 0), default=0)


def _synthetic_banner(context: TearSheetContext) -> str:
    if not context.synthetic:
        return ""
    return (
        f'<div class="synthetic" role="note"><strong>{SYNTHETIC_LABEL}</strong>'
        " &mdash; every price is made up; no evidence about real stocks</div>"
    )


def _survivorship_banner(context: TearSheetContext) -> str:
    if context.membership == "dated":
        return ""
    if context.membership == "today_only":
        text = (
            f"Today&rsquo;s members of {escape(context.universe)} are used for all of the past: companies that failed"
            " or left are missing, and the returns shown are better than an investor could have had."
        )
    else:
        text = (
            "The members are the companies that the source holds. If it holds today&rsquo;s only, those that failed"
            " are missing, and the returns shown are better than an investor could have had."
        )
    return f'<p class="survivors" role="note"><b>Survivorship.</b> {text}</p>'


def _facts(context: TearSheetContext, *, data: Mapping[str, Any], details: pa.Table) -> str:
    dates = data["dates"]
    facts = {
        "Source": context.source,
        "Universe": context.universe,
        "Membership": _MEMBERSHIP[context.membership],
        "Asked for": f"{context.first_date} to {context.last_date}",
        "Sessions": f"{len(dates):,}" + (f", {dates[0]} to {dates[-1]}" if dates else ""),
        "Stocks": f"{len(details['ticker'].unique()):,}",
    }
    return "".join(f"<div><dt>{escape(k)}</dt><dd>{escape(v)}</dd></div>" for k, v in facts.items())


def _summary_table(rows: Sequence[Mapping[str, Any]]) -> str:
    head = [_heading("Factor", text=True), _heading("Type", text=True)]
    head += [_heading(s.label, unit=s.unit, meaning=COLUMNS[s.column].meaning) for s in _SUMMARY]
    body = []
    for i, row in enumerate(rows):
        name, family = escape(row["factor_name"]), escape(row["factor_type"])
        cells = [
            f'<td class="text" data-v="{name}"><button type="button" class="pick">{name}</button></td>',
            f'<td class="text" data-v="{family}">{family}</td>',
            *(_cell(shown, row) for shown in _SUMMARY),
        ]
        body.append(f'<tr data-factor="{i}">{"".join(cells)}</tr>')
    return (
        f'<table id="summary" class="sortable"><thead><tr>{"".join(head)}</tr></thead>'
        f"<tbody>\n{chr(10).join(body)}\n</tbody></table>"
    )


def _heading(label: str, *, unit: str = "", meaning: str = "", text: bool = False) -> str:
    small = f"<small>{escape(unit)}</small>" if unit else ""
    title = f' title="{escape(meaning)}"' if meaning else ""
    full = escape(f"{label}, {unit}" if unit else label)
    kind = ' class="text"' if text else ""
    return (
        f'<th scope="col"{kind}{title} data-label="{full}"><button type="button">{escape(label)}{small}</button></th>'
    )


def _cell(shown: _Shown, row: Mapping[str, Any]) -> str:
    value = row[shown.column]
    if value is None:
        return '<td><span class="none">&ndash;</span></td>'
    text = f"{value * shown.scale:,.{shown.digits}f}".replace("-", "\u2212")
    if shown.column == "significant_stocks":
        text = f"{text}/{row['total_stocks']:,}" if row["total_stocks"] is not None else text
    if shown.is_tstat and abs(value) > SIGNIFICANT_TSTAT:
        text = f"<b>{text}</b>"
    return f'<td data-v="{value!r}">{text}</td>'


def _dashes(rows: Sequence[Mapping[str, Any]], reasons: Sequence[Sequence[tuple[str, int]]]) -> str:
    """One line a factor with missing numbers: which, and why as far as the tables know."""
    lines = []
    for row, counted in zip(rows, reasons, strict=True):
        missing = [s for s in _SUMMARY if row[s.column] is None]
        if not missing:
            continue
        if row["n_sessions"]:
            why = f"only {_counted(row['n_sessions'], 'session')} with a return; missing: "
            why += ", ".join(f"{s.label} ({s.unit})" if s.unit else s.label for s in missing)
        else:
            why = "no session has a return"
            why += f"; most often: {counted[0][0]} ({_counted(counted[0][1], 'session')})" if counted else ""
        lines.append(f"<li><b>{escape(row['factor_name'])}</b>: {escape(why)}.</li>")
    return f'<ul class="reading dashes">{"".join(lines)}</ul>' if lines else ""


def _notes(context: TearSheetContext, *, unknown: Sequence[str], every: int) -> str:
    dropped = list(context.notes)
    if every > 1:
        dropped.append(f"The curves show one session of {every}; the numbers are of all.")
    if unknown:
        dropped.append(f"Not shown, because factor_summary has no row for them: {', '.join(unknown)}.")
    terms = "".join(
        f"<div><dt>{escape(c.name)}</dt><dd>{escape(c.meaning)} <span>Unit: {escape(c.unit)}.</span></dd></div>"
        for c in (COLUMNS[name] for name in _DEFINED)
    )
    return (
        f"<h3>Data</h3>{_list(dropped or ['Nothing was reported as dropped.'])}"
        f"<h3>Settings</h3>{_pairs(context.settings, empty='None given.')}"
        f"<h3>Made from</h3>{_pairs(context.table_versions, empty='No table versions given.', prefix='version ')}"
        f'<h3>Definitions</h3><dl class="columns">{terms}</dl>'
    )


def _list(lines: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>"


def _pairs(pairs: Mapping[str, str | int | float], *, empty: str, prefix: str = "") -> str:
    if not pairs:
        return f"<p>{escape(empty)}</p>"
    items = "".join(f"<dt>{escape(k)}</dt><dd>{escape(f'{prefix}{pairs[k]}')}</dd>" for k in sorted(pairs))
    return f'<dl class="terms">{items}</dl>'
