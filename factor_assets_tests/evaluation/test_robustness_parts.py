"""The tables of other portfolios, known returns and the choice among factors, and the pages without the holdout."""

from dataclasses import replace
from datetime import timedelta

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from factor_assets.evaluation.comparison_page import selection_rows
from factor_assets.evaluation.evidence_tables import EvidenceTables, FactorRows, split
from factor_assets.evaluation.factor_charts import event_curves
from factor_assets.evaluation.robustness_parts import selection_part, spanning_part, variants_part
from factor_assets.settings import EvaluationSettings
from factor_assets_tests.evaluation.evidence import NULL_FACTOR
from factor_assets_tests.evaluation.report_rows import report_tables


@pytest.fixture(scope="module")
def tables() -> EvidenceTables:
    return report_tables()


def rows_of(tables: EvidenceTables, name: str) -> FactorRows:
    return next(rows for rows in split(tables, universe="all") if rows.name == name)


class TestAgainstTables:
    def test_variants(self, tables: EvidenceTables) -> None:
        part = variants_part(rows_of(tables, "ret_12_1"))
        assert "sector_neutral" in part
        assert '<td data-v="0.0004">4.00</td><td data-v="2.4"><b>2.40</b></td>' in part

    def test_spanning(self, tables: EvidenceTables) -> None:
        part = spanning_part(rows_of(tables, "ret_12_1"))
        assert '<td data-v="0.0002">0.00020</td><td data-v="2.2"><b>2.20</b></td>' in part
        assert "\u22120.31000" in part

    def test_selection_has_all_factors_first(self, tables: EvidenceTables) -> None:
        assert [row["scope"] for row in selection_rows(tables)] == ["all", "Momentum"]
        part = selection_part(selection_rows(tables), absent=())
        assert '<td data-v="0.42">0.420</td>' in part

    def test_curves_are_percent_with_gaps(self, tables: EvidenceTables) -> None:
        curves = event_curves(rows_of(tables, "ret_12_1").event_curves)
        assert curves["offset"] == list(range(-5, 6))
        assert curves["top"] == [float(f"{k / 10:.6g}") for k in range(-5, 6)]
        assert curves["bottom"] == [None] * 11


class TestProperties:
    def test_missing_numbers_are_dashes_with_the_reason(self, tables: EvidenceTables) -> None:
        part = variants_part(rows_of(tables, NULL_FACTOR))
        assert "&ndash;" in part
        assert "&lt;sector&gt; unknown" in part
        assert "too &lt;few&gt; factors" in selection_part(selection_rows(tables), absent=())

    @pytest.mark.parametrize(
        ("name", "table"), [("variants", "variant_evidence"), ("spanning", "factor_spanning")], ids=str
    )
    def test_tables_that_were_not_made_say_what_to_run(self, tables: EvidenceTables, name: str, table: str) -> None:
        rows = rows_of(replace(tables, **{name: None}), "ret_12_1")
        part = {"variants": variants_part, "spanning": spanning_part}[name](rows)
        assert f"factor-assets backfill {table}+" in part

    def test_selection_that_was_not_made_says_what_to_run(self, tables: EvidenceTables) -> None:
        without = replace(tables, selection=None)
        part = selection_part(selection_rows(without), absent=without.absent)
        assert "factor-assets backfill factor_selection+" in part

    def test_the_pages_have_no_session_of_the_holdout(self, tables: EvidenceTables) -> None:
        days = tables.timeseries["date"].unique().sort()
        start = days[len(days) // 2].as_py()
        settings = EvaluationSettings(holdout_start=start)
        for name in ("timeseries", "quantiles", "information", "trading"):
            rows: pa.Table = getattr(tables.before_holdout(settings), name)
            assert 0 < rows.num_rows < getattr(tables, name).num_rows
            assert pc.max(rows["date"]).as_py() <= start - timedelta(days=1)

    def test_a_look_at_the_holdout_shows_it(self) -> None:
        looked = report_tables(has_holdout=True)
        start = looked.timeseries["date"].unique().sort()[10].as_py()
        assert looked.before_holdout(EvaluationSettings(holdout_start=start)) is looked

    def test_without_a_holdout_everything_is_shown(self, tables: EvidenceTables) -> None:
        assert tables.before_holdout(EvaluationSettings()).timeseries.equals(tables.timeseries)
