"""The comparison page as text: what it says, where it leads, that it stays small."""

import re
from dataclasses import replace

import numpy as np
import pytest

from factor_assets.errors import EvaluationError
from factor_assets.evaluation.comparison_charts import comparison_data
from factor_assets.evaluation.comparison_page import comparison_page
from factor_assets.evaluation.evidence_tables import EvidenceTables, split
from factor_assets.evaluation.page_parts import IC_OF_EVIDENCE, NONE
from factor_assets.evaluation.tear_sheet import SYNTHETIC_LABEL
from factor_assets.tables import TABLES
from factor_assets_tests.evaluation.evidence import HOSTILE_FACTOR, NULL_FACTOR
from factor_assets_tests.evaluation.report_rows import REASON, many_factors, report_tables
from factor_assets_tests.evaluation.test_factor_page import CONTEXT, Reader, embedded


@pytest.fixture(scope="module")
def tables() -> EvidenceTables:
    return report_tables()


@pytest.fixture(scope="module")
def page(tables: EvidenceTables) -> str:
    return comparison_page(tables, context=CONTEXT)


def cells(page: str, name: str) -> list[str]:
    """Texts of one row of the table."""
    row = next(row for row in re.findall(r'<tr data-factor="\d+">.*?</tr>', page) if f">{name}</a>" in row)
    return [re.sub(r"<[^>]+>", "", cell) for cell in re.findall(r"<td.*?</td>", row)]


class TestAgainstTables:
    """What the page shows equals what the tables hold."""

    def test_cells(self, page: str) -> None:
        assert " ".join(cells(page, "ret_12_1")) == (
            "ret_12_1 Momentum promoted 0.0300 3.00 0.6000 0.310 55.0 2.5 0.0200 \u22120.42 12.3 10.0 1.03 \u221220.0"
            " 3.30 0.300 2.40 0.200 20/40 75.0 10.0 290 10"
        )

    def test_cells_without_evidence_are_those_of_the_summary(self, tables: EvidenceTables) -> None:
        names = ("information", "trading", "evidence", "correlations", "promoted")
        plain = comparison_page(replace(tables, **dict.fromkeys(names)), context=CONTEXT)
        assert " ".join(cells(plain, "ret_12_1")) == (
            "ret_12_1 Momentum &ndash; 0.0100 3.30 12.3 10.0 1.03 \u221220.0 3.30 0.300 2.40 0.200 20/40 75.0 10.0 290"
            " 10"
        )
        words = Reader(plain).words
        for table in ("factor_evidence", "factor_correlations", "promoted_factors"):
            assert f"Make {table}: `factor-assets backfill {table}+`." in words

    def test_a_tiny_pvalue_is_not_shown_as_zero(self) -> None:
        (shown,) = (s for s in IC_OF_EVIDENCE if s.column == "holm_pvalue")
        assert [shown.text({"holm_pvalue": p}) for p in (1e-9, 0.0001, 0.6, None)] == [
            *("<0.0001", "0.0001", "0.6000", NONE)
        ]

    def test_the_horizon_chooses_the_evidence(self, tables: EvidenceTables) -> None:
        assert cells(comparison_page(tables, context=CONTEXT, horizon=5), "ret_12_1")[3] == "0.0150"

    def test_boxes_are_quartiles_of_all_tickers_of_a_type(self, tables: EvidenceTables) -> None:
        data = comparison_data(split(tables, universe="all"), correlations=tables.correlations, horizon=1)
        own = [
            row["tstat"]
            for row in tables.details.to_pylist()
            if row["factor_type"] == "Momentum" and row["tstat"] is not None
        ]
        box = data["boxes"]["tstat"][data["types"].index("Momentum")]
        assert box["n"] == len(own) == 78
        low, first, middle, third, high = box["box"]
        np.testing.assert_allclose([first, middle, third], np.percentile(own, [25, 50, 75]), rtol=5e-6)
        reach = 1.5 * (third - first)
        assert low == pytest.approx(min(v for v in own if v >= first - reach), rel=5e-6)
        assert high == pytest.approx(max(v for v in own if v <= third + reach), rel=5e-6)
        assert len(box["y"]) == len(box["text"]) == sum(v < low - 1e-4 or v > high + 1e-4 for v in own)
        assert data["boxes"]["tstat"][data["types"].index("Size")] == {"n": 0}

    def test_heat_map_has_similar_factors_side_by_side(self) -> None:
        tables = many_factors(30)
        assert tables.correlations is not None
        rng = np.random.default_rng(0)
        shuffled = tables.correlations.take(rng.permutation(tables.correlations.num_rows))
        heat = comparison_data(split(tables, universe="all"), correlations=shuffled, horizon=1)["heat"]
        assert heat["clusters"] == sorted(heat["clusters"])
        place = {name: i for i, name in enumerate(heat["names"])}
        for row in tables.correlations.slice(0, 50).to_pylist():
            shown = heat["hundredths"][place[row["factor_name"]]][place[row["other_name"]]]
            assert shown == pytest.approx(100 * row["rank_correlation"], abs=0.51)
        assert all(heat["hundredths"][i][i] == 100 for i in range(30))


class TestProperties:
    """Closed, escaped, repeatable, honest, small."""

    def test_same_inputs_same_bytes_in_any_row_order(self, page: str, tables: EvidenceTables) -> None:
        rng = np.random.default_rng(0)
        names = ("summary", "timeseries", "quantiles", "details", "information", "trading", "evidence", "promoted")
        given = {name: getattr(tables, name) for name in (*names, "correlations")}
        shuffled = {name: rows.take(rng.permutation(rows.num_rows)) for name, rows in given.items()}
        assert comparison_page(replace(tables, **shuffled), context=CONTEXT) == page

    def test_rows_lead_to_the_factors_pages(self, page: str) -> None:
        links = [str(attributes["href"]) for _, attributes in Reader(page).tags if "href" in attributes]
        assert "factors/Momentum/ret_12_1.html" in links
        assert all(link.startswith("factors/") and link.count("/") == 2 for link in links)
        assert not any("src" in attributes for _, attributes in Reader(page).tags)
        assert "default-src 'none'" in page

    def test_hostile_names_are_text(self, page: str) -> None:
        reader = Reader(page)
        assert not any(tag == "img" or "onerror" in attributes for tag, attributes in reader.tags)
        assert sum(tag == "script" for tag, _ in reader.tags) == page.count("</script>") == 3
        assert HOSTILE_FACTOR in reader.words

    def test_verdict_counts_factors_trials_and_promotions(self, page: str) -> None:
        words = Reader(page).words
        assert "2 of the 3 factors tried earned a mean return that differs from zero (|t| above 1.96)" in words
        assert "1 factor without a t-statistic: not counted as tried." in words
        assert "Rank IC over 1 session, Newey-West, after Holm over 150 trials: 0 of 3 with p below 0.05." in words
        assert "Promoted: 1 of 4 (ret_12_1)." in words
        assert f"reversal_5d refused {REASON}" in words

    def test_a_look_at_the_holdout_is_said(self, page: str) -> None:
        assert "The holdout was looked at" not in page
        assert "The holdout was looked at" in comparison_page(report_tables(has_holdout=True), context=CONTEXT)

    def test_missing_numbers_are_dashes_with_the_reason(self, page: str) -> None:
        assert f"{NULL_FACTOR}: no session has a return; most often: shares outstanding" in Reader(page).words
        assert cells(page, NULL_FACTOR).count("&ndash;") == 18
        assert not {"nan", "None"} & set(cells(page, NULL_FACTOR))

    def test_synthetic_is_said_in_title_and_banner(self, page: str, tables: EvidenceTables) -> None:
        assert page.count(SYNTHETIC_LABEL) == 2
        assert f"<title>{SYNTHETIC_LABEL}: 4 factors on all: factor comparison" in page
        assert SYNTHETIC_LABEL not in comparison_page(tables, context=replace(CONTEXT, synthetic=False, source="files"))

    def test_rows_without_a_summary_are_named(self, tables: EvidenceTables) -> None:
        words = Reader(comparison_page(replace(tables, summary=tables.summary.slice(0, 2)), context=CONTEXT)).words
        assert f"Not shown, because factor_summary has no row for them: {HOSTILE_FACTOR}, {NULL_FACTOR}." in words

    def test_empty_tables_make_a_page(self) -> None:
        names = ("summary", "timeseries", "quantiles", "details")
        empty = EvidenceTables(**{name: TABLES[f"factor_{name}"].schema.empty_table() for name in names})
        page = comparison_page(empty, context=CONTEXT)
        assert "No factor has been evaluated yet." in page
        assert embedded(page)["factors"] == []

    def test_300_factors_are_below_3_megabytes(self) -> None:
        page = comparison_page(many_factors(300), context=CONTEXT)
        assert len(page.encode()) < 3_000_000
        assert len(embedded(page)["factors"]) == 300


class TestErrors:
    """Rows that cannot make a page."""

    def test_another_universe(self, tables: EvidenceTables) -> None:
        with pytest.raises(EvaluationError, match="is about universe 'sp500', but factor_summary has rows of 'all'"):
            comparison_page(tables, context=replace(CONTEXT, universe="sp500"))
