"""The stored evidence on all factors, checked and cut into one part a factor, for whatever shows it.

What does not belong here: computing any of it, and how it is shown.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from factor_assets.errors import EvaluationError
from factor_assets.evaluation.holdout import before_holdout
from factor_assets.evaluation.timeseries import rows_by_factor
from factor_assets.settings import EvaluationSettings
from factor_assets.tables import TABLES

Key = tuple[str, str]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class EvidenceTables:
    """Rows of the evidence tables, in any order; null means missing.

    Parameters
    ----------
    summary, timeseries, quantiles, details
        Of `factor_summary`, `factor_timeseries`, `factor_quantiles` and `factor_details`. May be empty.
    information, trading, evidence, correlations
        Of `factor_information`, `factor_trading`, `factor_evidence` and `factor_correlations`; None or empty where the
        table was not made.
    promoted, variants, spanning, event_curves, selection
        Of `promoted_factors`, `variant_evidence`, `factor_spanning`, `factor_event_curves` and `factor_selection`,
        likewise.
    """

    summary: pa.Table
    timeseries: pa.Table
    quantiles: pa.Table
    details: pa.Table
    information: pa.Table | None = None
    trading: pa.Table | None = None
    evidence: pa.Table | None = None
    correlations: pa.Table | None = None
    promoted: pa.Table | None = None
    variants: pa.Table | None = None
    spanning: pa.Table | None = None
    event_curves: pa.Table | None = None
    selection: pa.Table | None = None

    def before_holdout(self, settings: EvaluationSettings) -> "EvidenceTables":
        """Leave out the sessions of the holdout, unless the evidence looked at them and so says."""
        if self.evidence is not None and pc.any(self.evidence["has_holdout"]).as_py():
            return self
        by_date = ("timeseries", "quantiles", "information", "trading")
        given = {name: rows for name in by_date if (rows := getattr(self, name)) is not None}
        return replace(self, **{name: before_holdout(rows, settings) for name, rows in given.items()})

    @property
    def absent(self) -> tuple[str, ...]:
        """Names of the tables without rows."""
        return tuple(name for name, rows in self.by_name.items() if rows is None or rows.num_rows == 0)

    @property
    def by_name(self) -> dict[str, pa.Table | None]:
        """Stored table name -> rows."""
        return {stored: getattr(self, name) for name, stored in STORED_AS.items()}


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class FactorRows:
    """All rows about one factor.

    Parameters
    ----------
    family, name
        Of the factor.
    summary
        Its row of `factor_summary`, finite or None.
    timeseries, quantiles, details, information, trading
        Its rows.
    evidence
        By horizon, increasing.
    similar
        Rows of `factor_correlations` with the others, largest absolute rank correlation first.
    promotion
        Its row of `promoted_factors`; None where the table has none.
    variants, spanning
        Rows of `variant_evidence` and `factor_spanning`.
    event_curves
        Its rows, by offset.
    absent
        Names of the tables that were not made.
    """

    family: str
    name: str
    summary: Mapping[str, Any]
    timeseries: pa.Table
    quantiles: pa.Table
    details: pa.Table
    information: pa.Table
    trading: pa.Table
    evidence: Sequence[Mapping[str, Any]]
    similar: Sequence[Mapping[str, Any]]
    promotion: Mapping[str, Any] | None
    variants: Sequence[Mapping[str, Any]]
    spanning: Sequence[Mapping[str, Any]]
    event_curves: pa.Table
    absent: Sequence[str]

    def at(self, horizon: int | None) -> Mapping[str, Any] | None:
        """Evidence at one horizon; where there is none at it, at the shortest; None without any."""
        found = [row for row in self.evidence if row["horizon"] == horizon]
        return next(iter(found or self.evidence), None)


STORED_AS: Mapping[str, str] = {
    "summary": "factor_summary",
    "timeseries": "factor_timeseries",
    "quantiles": "factor_quantiles",
    "details": "factor_details",
    "information": "factor_information",
    "trading": "factor_trading",
    "evidence": "factor_evidence",
    "correlations": "factor_correlations",
    "promoted": "promoted_factors",
    "variants": "variant_evidence",
    "spanning": "factor_spanning",
    "event_curves": "factor_event_curves",
    "selection": "factor_selection",
}


def split(tables: EvidenceTables, *, universe: str) -> list[FactorRows]:
    """Cut the tables into one part for each row of the summary, by family and name.

    Raises
    ------
    EvaluationError
        If a table lacks a declared column, or holds rows of another universe.
    """
    given = {name: rows for name, rows in tables.by_name.items() if rows is not None}
    for name, rows in given.items():
        _check(rows, name=name, universe=universe)
    whole = {name: given.get(stored, TABLES[stored].schema.empty_table()) for name, stored in STORED_AS.items()}
    summary = [finite(row) for row in whole["summary"].sort_by(_BY_KEY).to_pylist()]
    keys = [(row["factor_type"], row["factor_name"]) for row in summary]
    parts = {name: _by_factor(rows, keys) for name, rows in whole.items() if name not in {"summary", "selection"}}
    found = []
    for i, (family, name) in enumerate(keys):
        own = {part: rows[i] for part, rows in parts.items()}
        promoted = [finite(row) for row in own["promoted"].to_pylist()]
        found.append(
            FactorRows(
                family=family,
                name=name,
                summary=summary[i],
                timeseries=own["timeseries"].sort_by("date"),
                quantiles=own["quantiles"].sort_by([("date", "ascending"), ("quantile", "ascending")]),
                details=own["details"].sort_by("ticker"),
                information=own["information"].sort_by([("date", "ascending"), ("horizon", "ascending")]),
                trading=own["trading"].sort_by("date"),
                evidence=[finite(row) for row in own["evidence"].sort_by("horizon").to_pylist()],
                similar=_similar(own["correlations"], (family, name)),
                promotion=promoted[0] if promoted else None,
                variants=[finite(row) for row in own["variants"].sort_by("variant").to_pylist()],
                spanning=[finite(row) for row in own["spanning"].sort_by(_BY_BENCHMARK).to_pylist()],
                event_curves=own["event_curves"].sort_by("offset"),
                absent=tables.absent,
            )
        )
    return found


def unknown_factors(tables: EvidenceTables) -> list[str]:
    """Names of factors that a table holds and the summary does not, sorted."""
    known = set(_keys(tables.summary))
    not_by_factor = {"factor_summary", "factor_selection"}
    others = (rows for name, rows in tables.by_name.items() if name not in not_by_factor and rows is not None)
    return sorted({name for rows in others for family, name in _keys(rows) if (family, name) not in known})


def finite(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row with None for each number that is not one."""
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()}


_BY_BENCHMARK = [("benchmark", "ascending"), ("coefficient", "ascending")]
_BY_KEY = [("factor_type", "ascending"), ("factor_name", "ascending")]


def _check(rows: pa.Table, *, name: str, universe: str) -> None:
    missing = [column for column in TABLES[name].column_names if column not in rows.column_names]
    if missing:
        raise EvaluationError(
            f"The report needs {name} with its declared columns, but {', '.join(missing)} are missing;"
            " read the table without choosing columns."
        )
    others = sorted(set(rows["universe"].unique().to_pylist()) - {universe})
    if others:
        raise EvaluationError(
            f"The report is about universe {universe!r}, but {name} has rows of {', '.join(map(repr, others))};"
            " pass the rows of one universe."
        )


def _keys(rows: pa.Table) -> list[Key]:
    pairs = rows.select(["factor_type", "factor_name"]).group_by(["factor_type", "factor_name"]).aggregate([])
    return list(zip(pairs["factor_type"].to_pylist(), pairs["factor_name"].to_pylist(), strict=True))


def _by_factor(rows: pa.Table, keys: Sequence[Key]) -> list[pa.Table]:
    """Rows of each factor, in table order."""
    found = {(family, name): part for family, name, part in rows_by_factor(rows)}
    return [found.get(key, rows.schema.empty_table()) for key in keys]


def _similar(rows: pa.Table, own: Key) -> list[Mapping[str, Any]]:
    others = [finite(row) for row in rows.to_pylist() if (row["other_type"], row["other_name"]) != own]
    return sorted(others, key=lambda r: (-abs(r["rank_correlation"] or 0), r["other_type"], r["other_name"]))
