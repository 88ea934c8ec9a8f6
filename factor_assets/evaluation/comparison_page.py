"""The page over all factors: which of them are real, and which are alike; each row leads to the factor's own page.

What does not belong here: what the charts show (`comparison_charts.py`), the words of the verdict (`verdict.py`), the
page of one factor (`factor_page.py`).
"""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from factor_assets.evaluation.comparison_charts import comparison_data
from factor_assets.evaluation.evidence_tables import EvidenceTables, FactorRows, finite, split, unknown_factors
from factor_assets.evaluation.factor_charts import null_reasons
from factor_assets.evaluation.page_parts import (
    OF_SELECTION,
    Shown,
    absent_note,
    cell,
    heading,
    headings,
    market_facts,
    notes,
    numbers_of,
    numbers_shown,
    plain_list,
    text_facts,
)
from factor_assets.evaluation.robustness_parts import selection_part
from factor_assets.evaluation.tear_sheet import (
    TearSheetContext,
    assemble,
    page_link,
    survivorship_banner,
    synthetic_banner,
    title,
)
from factor_assets.evaluation.verdict import Verdict, gate_reading, verdict

_SEE_ALSO = ("n_trials", "total_stocks", "closest_factor", "promoted", "reasons", "rank_correlation", "cluster")


def comparison_page(
    tables: EvidenceTables,
    *,
    context: TearSheetContext,
    horizon: int = 1,
    factors: Sequence[FactorRows] | None = None,
) -> str:
    """Make the page.

    Parameters
    ----------
    tables
        The evidence on all factors. An empty table is allowed.
    context
        What the tables do not say about themselves.
    horizon
        Of the evidence to compare by.
    factors
        The tables cut by `split`, where they already are.

    Returns
    -------
    HTML text of one page that needs no other file and no network; its links lead to `page_path` beside it.

    Raises
    ------
    EvaluationError
        If a table lacks a declared column, or holds rows of another universe.
    """
    factors = split(tables, universe=context.universe) if factors is None else factors
    n = len(factors)
    counted = f"{n:,} factor" if n == 1 else f"{n:,} factors"
    judged = comparison_verdict(tables, factors, horizon=horizon)
    with_evidence = any(rows.evidence for rows in factors)
    shown = numbers_shown(with_evidence=with_evidence)
    families = sorted({rows.family for rows in factors})
    unknown = unknown_factors(tables)
    left_out = f"Not shown, because factor_summary has no row for them: {', '.join(unknown)}."
    parts = {
        "title": title(f"{counted} on {context.universe}: factor comparison", context),
        "synthetic_banner": synthetic_banner(context),
        "heading": escape(f"{counted} on {context.universe}"),
        "verdict": escape(judged.headline),
        "reading": "".join(f"<li>{escape(line)}</li>" for line in judged.reading),
        "survivorship_banner": survivorship_banner(context),
        "facts": text_facts(_facts(context, tables, with_evidence=with_evidence, horizon=horizon)),
        "families": "".join(f"<option>{escape(family)}</option>" for family in families),
        "summary_table": _summary_table(factors, shown, horizon=horizon),
        "dashes": plain_list(_dashes(factors, shown, horizon=horizon), kind="dashes"),
        "promotion": _promotion(factors, tables.absent),
        "selection": selection_part(selection_rows(tables), absent=tables.absent),
        "evidence_note": absent_note("factor_evidence", tables.absent),
        "correlations_note": absent_note("factor_correlations", tables.absent),
        "notes": notes(
            context,
            dropped=[left_out] if unknown else [],
            defined=(*(s.column for s in (*shown, *OF_SELECTION)), *_SEE_ALSO),
        ),
    }
    return assemble("comparison", parts, comparison_data(factors, correlations=tables.correlations, horizon=horizon))


def comparison_verdict(tables: EvidenceTables, factors: Sequence[FactorRows], *, horizon: int) -> Verdict:
    """Judge all factors: by their mean returns, by rank IC after all trials, and by the gates."""
    judged = verdict(tables.summary.sort_by([("factor_type", "ascending"), ("factor_name", "ascending")]))
    return Verdict(headline=judged.headline, reading=(*judged.reading, *gate_reading(factors, horizon=horizon)))


def selection_rows(tables: EvidenceTables) -> list[dict[str, Any]]:
    """Rows of `factor_selection`: all factors first, then the families."""
    rows = [] if tables.selection is None else [finite(row) for row in tables.selection.to_pylist()]
    return sorted(rows, key=lambda row: (row["scope"] != "all", row["scope"]))


def promotion_word(rows: FactorRows) -> str:
    """Whether the factor was promoted, in one word; empty where nobody judged it."""
    if rows.promotion is None:
        return ""
    return "promoted" if rows.promotion["promoted"] else "refused"


def _facts(context: TearSheetContext, tables: EvidenceTables, *, with_evidence: bool, horizon: int) -> dict[str, str]:
    days = tables.timeseries["date"].unique().sort()
    dates = f", {days[0].as_py()} to {days[-1].as_py()}" if len(days) else ""
    facts = {
        **market_facts(context),
        "Sessions": f"{len(days):,}{dates}",
        "Stocks": f"{len(tables.details['ticker'].unique()):,}",
    }
    if with_evidence:
        facts["Rank IC over"] = f"{horizon} session" if horizon == 1 else f"{horizon} sessions"
    return facts


def _summary_table(factors: Sequence[FactorRows], shown: Sequence[Shown], *, horizon: int) -> str:
    head = heading("Factor", text=True) + heading("Type", text=True) + heading("Gate", text=True) + headings(shown)
    body = "\n".join(_summary_row(i, rows, shown, horizon=horizon) for i, rows in enumerate(factors))
    return f'<table id="summary" class="sortable"><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table>'


def _summary_row(i: int, rows: FactorRows, shown: Sequence[Shown], *, horizon: int) -> str:
    name, family, gate = escape(rows.name), escape(rows.family), promotion_word(rows)
    numbers = numbers_of(rows, horizon=horizon)
    reasons = f' title="{escape(rows.promotion["reasons"] or "")}"' if rows.promotion is not None else ""
    word = f'<span class="gate {gate}">{gate}</span>' if gate else '<span class="none">&ndash;</span>'
    cells = [
        f'<td class="text" data-v="{name}"><a href="{page_link(rows.family, rows.name)}">{name}</a></td>',
        f'<td class="text" data-v="{family}">{family}</td>',
        f'<td class="text"{f" data-v={gate}" if gate else ""}{reasons}>{word}</td>',
        *(_closest(s, numbers) if s.column == "closest_correlation" else cell(s, numbers) for s in shown),
    ]
    return f'<tr data-factor="{i}">{"".join(cells)}</tr>'


def _closest(shown: Shown, row: Mapping[str, Any]) -> str:
    other = row.get("closest_factor")
    return cell(shown, row) if other is None else cell(shown, row).replace("<td", f'<td title="{escape(other)}"', 1)


def _dashes(factors: Sequence[FactorRows], shown: Sequence[Shown], *, horizon: int) -> list[str]:
    """One line a factor with missing numbers: which, and why as far as the tables know."""
    lines = []
    for rows in factors:
        numbers = numbers_of(rows, horizon=horizon)
        missing = [s for s in shown if numbers.get(s.column) is None]
        if not missing:
            continue
        n = numbers["n_sessions"]
        if n:
            why = f"{n:,} {'session' if n == 1 else 'sessions'} with a return; missing: "
            why += ", ".join(f"{s.label} ({s.unit})" if s.unit else s.label for s in missing)
            why += f"; {numbers['reason'].rstrip('.')}" if numbers.get("reason") else ""
        else:
            counted = null_reasons(rows.timeseries)
            why = "no session has a return"
            times = f"{counted[0][1]:,} {'session' if counted[0][1] == 1 else 'sessions'}" if counted else ""
            why += f"; most often: {counted[0][0]} ({times})" if counted else ""
        lines.append(f"{rows.name}: {why}.")
    return lines


def _promotion(factors: Sequence[FactorRows], absent: Sequence[str]) -> str:
    """The factors that were promoted, and why the others were not."""
    if note := absent_note("promoted_factors", absent):
        return note
    items = "".join(
        f'<li><a href="{page_link(rows.family, rows.name)}">{escape(rows.name)}</a>'
        f' <span class="gate {promotion_word(rows)}">{promotion_word(rows)}</span> '
        f"{escape(rows.promotion['reasons'] or '')}</li>"
        for rows in sorted(factors, key=lambda rows: (promotion_word(rows) != "promoted", rows.family, rows.name))
        if rows.promotion is not None
    )
    return f'<ul class="gates">{items}</ul>'
