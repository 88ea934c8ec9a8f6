"""The parts of the pages about other portfolios, known returns and the choice among factors.

What does not belong here: their numbers (`variant_evidence.py`, `spanning_evidence.py`, `selection_evidence.py`).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from factor_assets.columns import COLUMNS
from factor_assets.evaluation.evidence_tables import FactorRows
from factor_assets.evaluation.page_parts import (
    OF_LOADING,
    OF_SELECTION,
    OF_VARIANT,
    absent_note,
    cell,
    heading,
    headings,
    table_of,
    text_cell,
)


def variants_part(rows: FactorRows) -> str:
    """Make the table of what the factor earns under other weights, sorts and holding periods."""
    if not rows.variants:
        return absent_note("variant_evidence", rows.absent) or "<p>variant_evidence has no row of this factor.</p>"
    head = heading("Portfolios", text=True) + headings(OF_VARIANT) + heading("Missing", text=True)
    body = "".join(
        f"<tr>{text_cell(row['variant'])}{''.join(cell(s, row) for s in OF_VARIANT)}{text_cell(row['reason'])}</tr>"
        for row in rows.variants
    )
    return table_of(head, body, label="Other portfolios")


def spanning_part(rows: FactorRows) -> str:
    """Make the table of the regressions on returns that are known."""
    if not rows.spanning:
        return absent_note("factor_spanning", rows.absent) or "<p>factor_spanning has no row of this factor.</p>"
    head = heading("Regressed on", text=True) + heading(
        "Coefficient", text=True, meaning=COLUMNS["coefficient"].meaning
    )
    head += headings(OF_LOADING)
    body = "".join(
        f"<tr>{text_cell(row['benchmark'])}{text_cell(row['coefficient'])}"
        f"{''.join(cell(s, row) for s in OF_LOADING)}</tr>"
        for row in rows.spanning
    )
    return table_of(head, body, label="Regressions on known returns")


def selection_part(rows: Sequence[Mapping[str, Any]], *, absent: Sequence[str]) -> str:
    """Make the table of what choosing the best factor is worth."""
    if not rows:
        return absent_note("factor_selection", absent) or "<p>factor_selection has no row.</p>"
    head = heading("Among", text=True) + heading("Best", text=True, meaning=COLUMNS["best_factor"].meaning)
    head += headings(OF_SELECTION) + heading("Missing", text=True)
    body = "".join(
        f"<tr>{text_cell(row['scope'])}{text_cell(row['best_factor'])}"
        f"{''.join(cell(s, row) for s in OF_SELECTION)}{text_cell(row['reason'])}</tr>"
        for row in rows
    )
    return table_of(head, body, label="Choosing the best factor")
