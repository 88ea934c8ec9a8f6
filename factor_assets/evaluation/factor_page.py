"""The page of one factor: does it work, is it luck, is it new, what does it cost.

What does not belong here: what the charts show (`factor_charts.py`), the words of the verdict (`verdict.py`), the page
over all factors (`comparison_page.py`).
"""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from factor_assets.columns import COLUMNS
from factor_assets.evaluation.evidence_tables import FactorRows
from factor_assets.evaluation.factor_charts import STOCK_NUMBERS, dropped, factor_data, rank_ic_by_year
from factor_assets.evaluation.page_parts import (
    BY_HORIZON,
    NONE,
    OF_LOADING,
    OF_VARIANT,
    absent_note,
    cell,
    heading,
    headings,
    market_facts,
    notes,
    number_facts,
    numbers_of,
    numbers_shown,
    plain_list,
    table_of,
    text_cell,
    text_facts,
)
from factor_assets.evaluation.robustness_parts import spanning_part, variants_part
from factor_assets.evaluation.tear_sheet import (
    TearSheetContext,
    assemble,
    page_link,
    survivorship_banner,
    synthetic_banner,
    title,
)
from factor_assets.evaluation.verdict import factor_verdict
from factor_assets.factors.factor import Factor

N_SIMILAR = 12
SIGNS = {1: "high values earned more", -1: "low values earned more", 0: "none claimed"}
_DEFINED = (
    *("factor_value", "high_portfolio_return", "low_portfolio_return", "rank_ic", "coverage", "turnover"),
    *("quantile_return", "rank_autocorrelation", "capacity", "n_trials", "return_correlation", "rank_correlation"),
    *(*STOCK_NUMBERS, "n_observations"),
)


def factor_page(
    rows: FactorRows,
    *,
    context: TearSheetContext,
    declaration: Factor | None = None,
    horizon: int | None = None,
    above: str | None = "../../",
) -> str:
    """Make the page.

    Parameters
    ----------
    rows
        All rows about the factor.
    context
        What the tables do not say about themselves.
    declaration
        Of the factor: its formula, citation and published sign; None where only the summary's description is known.
    horizon
        Of the evidence to judge by; the shortest where there is none at it.
    above
        Leads from the page to the folder of the report; None where the page stands alone and links to no other.

    Returns
    -------
    HTML text of one page that needs no other file and no network.
    """
    judged = factor_verdict(rows, horizon=horizon, sign=declaration.sign if declaration else 0)
    shown = numbers_shown(with_evidence=bool(rows.evidence))
    days = rows.timeseries["date"]
    dates = f", {days[0].as_py()} to {days[-1].as_py()}" if len(days) else ""
    facts = {
        **market_facts(context),
        "Sessions": f"{len(days):,}{dates}",
        "Stocks": f"{rows.details.num_rows:,}",
    }
    if rows.evidence:
        first = rows.at(horizon) or {}
        facts["Evidence from"] = f"{first['start_date'] or NONE} to {first['end_date'] or NONE}"
    parts = {
        "title": title(f"{rows.name}, {rows.family}: factor tear sheet", context),
        "synthetic_banner": synthetic_banner(context),
        "back": f'<a href="{escape(above)}tear_sheet.html">All factors</a>' if above is not None else "",
        "eyebrow": escape(f"Factor tear sheet, {rows.family}"),
        "heading": escape(rows.name),
        "verdict": escape(judged.headline),
        "reading": "".join(_question(line) for line in judged.reading),
        "survivorship_banner": survivorship_banner(context),
        "formula": escape(str(declaration.expression) if declaration else rows.summary["description"] or NONE),
        "origin": _origin(declaration),
        "facts": text_facts(facts),
        "numbers": number_facts(shown, numbers_of(rows, horizon=horizon)),
        "horizons": _horizons(rows),
        "variants": variants_part(rows),
        "spanning": spanning_part(rows),
        "neutralised_on": escape(str((rows.at(horizon) or {}).get("neutralised_on") or "no other factor")),
        "years": _years(rows),
        "similar": _similar(rows, above=above),
        "trading_note": absent_note("factor_trading", rows.absent),
        "dropped": plain_list(dropped(rows) or ["Nothing was dropped."], kind="reading"),
        "notes": notes(
            context,
            dropped=(),
            defined=(*_DEFINED, *(s.column for s in (*shown, *BY_HORIZON, *OF_VARIANT, *OF_LOADING))),
        ),
    }
    return assemble("factor", parts, {"name": rows.name, **factor_data(rows)})


def _question(line: str) -> str:
    """Emphasise the question that a line answers."""
    asked, mark, told = line.partition("? ")
    return f"<li><b>{escape(asked + mark)}</b>{escape(told)}</li>" if mark else f"<li>{escape(line)}</li>"


def _origin(declaration: Factor | None) -> str:
    if declaration is None:
        return ""
    facts = {
        "Published in": declaration.cite + (f", doi {declaration.doi}" if declaration.doi else ""),
        "Published sign": SIGNS[declaration.sign],
    }
    if declaration.unit:
        facts["Unit"] = declaration.unit
    if declaration.description:
        facts["What it is"] = declaration.description
    return text_facts(facts)


def _horizons(rows: FactorRows) -> str:
    if not rows.evidence:
        return absent_note("factor_evidence", rows.absent) or "<p>factor_evidence has no row of this factor.</p>"
    # A number that no horizon has is not worth a column.
    shown = [s for s in BY_HORIZON if any(row.get(s.column) is not None for row in rows.evidence)]
    body = "".join(f"<tr>{''.join(cell(s, row) for s in shown)}</tr>" for row in rows.evidence)
    return table_of(headings(shown), body, label="Evidence by horizon")


def _years(rows: FactorRows) -> str:
    if note := absent_note("factor_information", rows.absent):
        return note
    years, horizons, means = rank_ic_by_year(rows.information)
    if not years:
        return "<p>factor_information has no rank IC of this factor.</p>"
    head = heading("Year", text=True) + "".join(
        heading(f"{h:,}", unit="session" if h == 1 else "sessions", meaning=COLUMNS["rank_ic"].meaning)
        for h in horizons
    )
    body = "".join(f"<tr>{text_cell(str(year))}{_means(means, year, horizons)}</tr>" for year in years)
    return table_of(head, body, label="Mean rank IC by year and horizon")


def _means(means: Mapping[tuple[int, int], float], year: int, horizons: Sequence[int]) -> str:
    return "".join(_number(means.get((year, h)), digits=4) for h in horizons)


def _similar(rows: FactorRows, *, above: str | None) -> str:
    if not rows.similar:
        return absent_note("factor_correlations", rows.absent) or "<p>It was compared with no other factor.</p>"
    head = (
        heading("Factor", text=True)
        + heading("Type", text=True)
        + heading("Ranks", unit="correlation", meaning=COLUMNS["rank_correlation"].meaning)
        + heading("Returns", unit="correlation", meaning=COLUMNS["return_correlation"].meaning)
    )
    body = "".join(_similar_row(row, above=above) for row in rows.similar[:N_SIMILAR])
    return table_of(head, body, label="Most similar factors")


def _similar_row(row: Mapping[str, Any], *, above: str | None) -> str:
    name, family = row["other_name"], row["other_type"]
    shown = escape(name) if above is None else f'<a href="{page_link(family, name, above=above)}">{escape(name)}</a>'
    return (
        f'<tr><td class="text" data-v="{escape(name)}">{shown}</td>{text_cell(family)}'
        f"{_number(row['rank_correlation'])}{_number(row['return_correlation'])}</tr>"
    )


def _number(value: float | None, *, digits: int = 2) -> str:
    if value is None:
        return '<td><span class="none">&ndash;</span></td>'
    return f'<td data-v="{value!r}">{f"{value:.{digits}f}".replace("-", chr(0x2212))}</td>'
