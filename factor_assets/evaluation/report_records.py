"""The report for machines: what the pages say, as records that are JSON, and as Markdown made of the same records.

What does not belong here: series by session; they are in the tables.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from factor_assets.evaluation.comparison_page import comparison_verdict, promotion_word, selection_rows
from factor_assets.evaluation.evidence_tables import EvidenceTables, FactorRows
from factor_assets.evaluation.factor_charts import dropped, quantile_means, rank_ic_by_year
from factor_assets.evaluation.factor_page import N_SIMILAR, SIGNS
from factor_assets.evaluation.page_parts import (
    BY_HORIZON,
    NONE,
    OF_LOADING,
    OF_SELECTION,
    OF_VARIANT,
    Shown,
    numbers_of,
    numbers_shown,
)
from factor_assets.evaluation.tear_sheet import SYNTHETIC_LABEL, TearSheetContext, page_path
from factor_assets.evaluation.verdict import factor_verdict
from factor_assets.factors.factor import Factor

Record = dict[str, Any]


def factor_record(
    rows: FactorRows,
    *,
    context: TearSheetContext,
    declaration: Factor | None = None,
    horizon: int | None = None,
) -> Record:
    """What the page of one factor says: text, numbers, lists; a missing number is None, a date is ISO text."""
    judged = factor_verdict(rows, horizon=horizon, sign=declaration.sign if declaration else 0)
    years, horizons, means = rank_ic_by_year(rows.information)
    record = {
        "factor_name": rows.name,
        "factor_type": rows.family,
        **_market(context),
        "formula": str(declaration.expression) if declaration else rows.summary["description"],
        "cite": declaration.cite if declaration else None,
        "doi": (declaration.doi or None) if declaration else None,
        "sign": declaration.sign if declaration else None,
        "description": declaration.description if declaration else None,
        "verdict": {"headline": judged.headline, "reading": judged.reading},
        "numbers": numbers_of(rows, horizon=horizon),
        "summary": rows.summary,
        "evidence": rows.evidence,
        "promotion": rows.promotion,
        "quantiles": quantile_means(rows.quantiles),
        "rank_ic_by_year": [
            {"year": year, "horizon": h, "mean_rank_ic": means[year, h]}
            for year in years
            for h in horizons
            if (year, h) in means
        ],
        "similar": rows.similar[:N_SIMILAR],
        "variants": [_own(row) for row in rows.variants],
        "spanning": [_own(row) for row in rows.spanning],
        "tickers": rows.details.drop_columns(["factor_name", "factor_type", "universe", "source"]).to_pylist(),
        "dropped": [*context.notes, *dropped(rows)],
        "tables_not_made": rows.absent,
    }
    return {name: _plain(value) for name, value in record.items()}


def comparison_record(
    tables: EvidenceTables, factors: Sequence[FactorRows], *, context: TearSheetContext, horizon: int = 1
) -> Record:
    """What the comparison page says, with the path of each factor's page without its suffix."""
    judged = comparison_verdict(tables, factors, horizon=horizon)
    record = {
        **_market(context),
        "horizon": horizon,
        "verdict": {"headline": judged.headline, "reading": judged.reading},
        "factors": [
            {
                "path": page_path(rows.family, rows.name),
                **numbers_of(rows, horizon=horizon),
                "promotion": promotion_word(rows) or None,
                "reasons": rows.promotion["reasons"] if rows.promotion is not None else None,
                "decay": {str(row["horizon"]): row["mean_rank_ic"] for row in rows.evidence},
            }
            for rows in factors
        ],
        "selection": [_own(row) for row in selection_rows(tables)],
        "dropped": context.notes,
        "tables_not_made": tables.absent,
    }
    return {name: _plain(value) for name, value in record.items()}


def as_json(record: Mapping[str, Any]) -> str:
    """A record as JSON that every reader reads: no NaN."""
    return json.dumps(record, allow_nan=False, ensure_ascii=False, indent=1) + "\n"


def factor_markdown(record: Mapping[str, Any]) -> str:
    """The record of one factor as Markdown, without the tickers."""
    shown = numbers_shown(with_evidence=bool(record["evidence"]))
    origin = {
        "Formula": f"`{record['formula']}`",
        "Published in": _escaped(record["cite"] or NONE),
        "Published sign": SIGNS.get(record["sign"], NONE),
    }
    quantiles = record["quantiles"]
    parts = [
        f"# {_escaped(record['factor_name'])} ({_escaped(record['factor_type'])})",
        *_opening(record),
        _bullets(f"{label}: {text}" for label, text in origin.items()),
        "## Key numbers",
        _table(("number", "value"), [(s.full, s.text(record["numbers"])) for s in shown]),
        "## By horizon",
        _shown_table(BY_HORIZON, record["evidence"]),
        "## Quantiles",
        _table(
            ("quantile", "mean, bps a session", "95% interval, +-", "sessions"),
            zip(
                map(str, quantiles["quantile"]),
                (_number(v, 2) for v in quantiles["mean_bps"]),
                (_number(v, 2) for v in quantiles["error_bps"]),
                map(str, quantiles["n"]),
                strict=True,
            ),
        ),
        "## Most similar factors",
        _table(
            ("factor", "rank correlation", "return correlation"),
            (
                (
                    f"{row['other_type']}/{row['other_name']}",
                    _number(row["rank_correlation"], 2),
                    _number(row["return_correlation"], 2),
                )
                for row in record["similar"]
            ),
        ),
        "## Other portfolios",
        _named_table(("portfolios",), ("variant",), OF_VARIANT, record["variants"]),
        "## Regressed on known returns",
        _named_table(("regressed on", "coefficient"), ("benchmark", "coefficient"), OF_LOADING, record["spanning"]),
        "## What was dropped, and why",
        _bullets(map(_escaped, record["dropped"])) or "Nothing was reported as dropped.",
        *_not_made(record),
    ]
    return "\n\n".join(parts) + "\n"


def comparison_markdown(record: Mapping[str, Any]) -> str:
    """The record of the comparison as Markdown."""
    factors = record["factors"]
    shown = numbers_shown(with_evidence=any(row["decay"] for row in factors))
    n = len(factors)
    lines = [
        (
            f"[{_escaped(row['factor_name'])}]({page_link_text(row['path'])})",
            row["factor_type"],
            row["promotion"] or NONE,
            *(s.text(row) for s in shown),
        )
        for row in factors
    ]
    reasons = [f"{row['factor_name']}: {row['reasons']}" for row in factors if row["reasons"]]
    parts = [
        f"# {n:,} {'factor' if n == 1 else 'factors'} on {_escaped(record['universe'])}",
        *_opening(record),
        "## All factors",
        _table(("factor", "type", "gate", *(s.full for s in shown)), lines, raw=1),
        "## Why factors were refused",
        _bullets(map(_escaped, reasons)) or "None was.",
        "## Is the best of them luck?",
        _named_table(("among", "best"), ("scope", "best_factor"), OF_SELECTION, record["selection"]),
        "## What was dropped, and why",
        _bullets(map(_escaped, record["dropped"])) or "Nothing was reported as dropped.",
        *_not_made(record),
    ]
    return "\n\n".join(parts) + "\n"


def page_link_text(path: str) -> str:
    """Address of the Markdown of a factor, relative to that of the comparison."""
    return path.replace("%", "%25") + ".md"


def _market(context: TearSheetContext) -> Record:
    return {
        "source": context.source,
        "synthetic": context.synthetic,
        "universe": context.universe,
        "membership": context.membership,
        "first_date": context.first_date,
        "last_date": context.last_date,
        "settings": dict(context.settings),
        "table_versions": dict(context.table_versions),
    }


def _plain(value: Any) -> Any:
    """A value as JSON has it: dates as ISO text, what is not a finite number as None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, date | datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, Iterable):
        return [_plain(v) for v in value]
    return str(value)


def _opening(record: Mapping[str, Any]) -> list[str]:
    warning = [f"> **{SYNTHETIC_LABEL}**: every price is made up; no evidence about real stocks."]
    market = (
        f"Source {_escaped(record['source'])}, universe {_escaped(record['universe'])}"
        f" ({record['membership'].replace('_', ' ')}), {record['first_date']} to {record['last_date']}."
    )
    verdict = record["verdict"]
    return [
        *(warning if record["synthetic"] else []),
        f"**{_escaped(verdict['headline'])}**",
        _bullets(map(_escaped, verdict["reading"])),
        market,
    ]


def _not_made(record: Mapping[str, Any]) -> list[str]:
    absent = record["tables_not_made"]
    return [f"Tables that were not made: {', '.join(absent)}."] if absent else []


def _number(value: float | None, digits: int) -> str:
    return NONE if value is None else f"{value:.{digits}f}"


def _escaped(text: str) -> str:
    """Text that Markdown does not read as HTML, a cell's end or a line's."""
    plain = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("|", "\\|")
    return " ".join(plain.split())


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _shown_table(shown: Sequence[Shown], rows: Sequence[Mapping[str, Any]]) -> str:
    return _table([s.full for s in shown], [[s.text(row) for s in shown] for row in rows])


def _named_table(
    head: Sequence[str], names: Sequence[str], shown: Sequence[Shown], rows: Sequence[Mapping[str, Any]]
) -> str:
    """A table of numbers whose rows begin with names."""
    return _table(
        [*head, *(s.full for s in shown)],
        [[*(row[name] or NONE for name in names), *(s.text(row) for s in shown)] for row in rows],
    )


def _own(row: Mapping[str, Any]) -> Record:
    """A row without what the record says once."""
    return {k: v for k, v in row.items() if k not in {"factor_name", "factor_type", "universe", "source"}}


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], *, raw: int = 0) -> str:
    """Rows as a Markdown table; the first `raw` columns are Markdown already."""
    lines = ["| " + " | ".join([*row[:raw], *map(_escaped, row[raw:])]) + " |" for row in rows]
    return "\n".join(["| " + " | ".join(head) + " |", "|" + "---|" * len(head), *lines]) if lines else "None."
