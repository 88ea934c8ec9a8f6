"""Rows as a Markdown table, for the metadata that the Dagster UI shows.

What does not belong here: the pages and their Markdown versions (`evaluation/report_records.py`).
"""

from collections.abc import Iterable, Mapping
from typing import Any


def markdown_table(rows: Iterable[Mapping[str, Any]], shown: Mapping[str, str]) -> str:
    """Return rows as a table.

    Parameters
    ----------
    shown
        Column -> heading, in order.
    """
    lines = ["| " + " | ".join(shown.values()) + " |", "|" + "---|" * len(shown)]
    lines += ["| " + " | ".join(markdown_cell(row[name]) for name in shown) + " |" for row in rows]
    return "\n".join(lines)


def markdown_cell(value: Any) -> str:
    """Return a value in a cell: numbers with three digits, a dash for none."""
    if isinstance(value, float):
        return f"{value:.3g}"
    return "-" if value is None else str(value).replace("|", "\\|")
