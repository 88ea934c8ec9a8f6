"""The report for machines: JSON and Markdown say what the pages say."""

import json
import math
from dataclasses import replace
from typing import Any

import pytest

from factor_assets.evaluation.evidence_tables import EvidenceTables, split
from factor_assets.evaluation.report_records import (
    as_json,
    comparison_markdown,
    comparison_record,
    factor_markdown,
    factor_record,
)
from factor_assets.evaluation.tear_sheet import SYNTHETIC_LABEL
from factor_assets.factors.momentum import ret_12_1
from factor_assets_tests.evaluation.evidence import FACTORS
from factor_assets_tests.evaluation.report_rows import REASON, report_tables
from factor_assets_tests.evaluation.test_factor_page import CONTEXT


@pytest.fixture(scope="module")
def tables() -> EvidenceTables:
    return report_tables()


def one(tables: EvidenceTables, name: str, **given: Any) -> dict[str, Any]:
    rows = next(rows for rows in split(tables, universe="all") if rows.name == name)
    return factor_record(rows, context=given.pop("context", CONTEXT), horizon=1, **given)


def every(tables: EvidenceTables) -> dict[str, Any]:
    return comparison_record(tables, split(tables, universe="all"), context=CONTEXT)


class TestAgainstTables:
    def test_numbers_are_those_of_the_tables(self, tables: EvidenceTables) -> None:
        found = json.loads(as_json(one(tables, "ret_12_1", declaration=ret_12_1)))
        summary = next(row for row in tables.summary.to_pylist() if row["factor_name"] == "ret_12_1")
        assert found["summary"]["sharpe_ratio"] == summary["sharpe_ratio"]
        assert found["summary"]["test_date"] == summary["test_date"].isoformat()
        assert [row["horizon"] for row in found["evidence"]] == [1, 5, 21]
        assert found["promotion"]["promoted"] is True
        assert (found["formula"], found["cite"]) == (str(ret_12_1.expression), ret_12_1.cite)
        assert found["sign"] == ret_12_1.sign
        assert len(found["tickers"]) == 40
        assert {row["factor_name"] for row in every(tables)["factors"]} == {name for name, _ in FACTORS}

    def test_markdown_has_the_numbers_of_the_record(self, tables: EvidenceTables) -> None:
        text = factor_markdown(one(tables, "reversal_5d", declaration=ret_12_1))
        for line in (
            "# reversal_5d (Momentum)",
            "- Published sign: high values earned more",
            "| t, rank IC, NW | 3.00 |",
            "| Momentum/ret_12_1 |",
        ):
            assert line in text
        table = comparison_markdown(every(tables))
        assert "| [ret_12_1](factors/Momentum/ret_12_1.md) | Momentum | promoted | 0.0300 | 3.00 |" in table


class TestProperties:
    def test_json_has_no_number_that_is_none(self, tables: EvidenceTables) -> None:
        record = one(tables, "ret_12_1", context=replace(CONTEXT, settings={"limit": math.inf, "some": (1, 2)}))
        assert json.loads(as_json(record))["settings"] == {"limit": None, "some": [1, 2]}

    def test_every_name_is_text_in_markdown(self, tables: EvidenceTables) -> None:
        for name, _ in FACTORS:
            text = factor_markdown(one(tables, name))
            assert not [line for line in text.splitlines() if "<" in line and "`" not in line]
            rows = [line for line in text.splitlines() if line.startswith("| ")]
            assert all(line.endswith(" |") for line in rows)
        assert "<img" not in comparison_markdown(every(tables))

    def test_reasons_are_said(self, tables: EvidenceTables) -> None:
        escaped = REASON.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        assert f"- reversal_5d: {escaped}" in comparison_markdown(every(tables))
        assert "Evidence over 1, 5, 21 sessions: no session has a rank IC." in factor_markdown(one(tables, "size"))

    def test_a_made_up_market_is_said_first(self, tables: EvidenceTables) -> None:
        assert factor_markdown(one(tables, "ret_12_1")).split("\n\n")[1].startswith(f"> **{SYNTHETIC_LABEL}**")
        assert comparison_markdown(every(tables)).split("\n\n")[1].startswith(f"> **{SYNTHETIC_LABEL}**")
        assert every(tables)["synthetic"] is True
        real = replace(CONTEXT, synthetic=False, source="files")
        assert SYNTHETIC_LABEL not in factor_markdown(one(tables, "ret_12_1", context=real))

    def test_tables_that_were_not_made_are_named(self, tables: EvidenceTables) -> None:
        without = replace(tables, promoted=None, correlations=None)
        told = "Tables that were not made: factor_correlations, promoted_factors."
        assert told in factor_markdown(one(without, "ret_12_1"))
        assert told in comparison_markdown(every(without))
