"""The tear sheet as text: what it says, that it is closed, escaped and repeatable."""

import base64
import gzip
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from factor_assets.errors import EvaluationError
from factor_assets.evaluation.tear_sheet import SYNTHETIC_LABEL, TearSheetContext, tear_sheet
from factor_assets.evaluation.tear_sheet_charts import chart_data
from factor_assets.tables import TABLES
from factor_assets_tests.evaluation.evidence import (
    FACTORS,
    FIRST_DATE,
    HOSTILE_FACTOR,
    HOSTILE_TICKER,
    LAST_DATE,
    NULL_FACTOR,
    NULL_REASON,
    evidence,
)

CONTEXT = TearSheetContext(
    source="sample",
    synthetic=True,
    universe="all",
    membership="dated",
    first_date=FIRST_DATE,
    last_date=LAST_DATE,
    notes=("28 rows with <zero> volume were dropped.",),
    table_versions={"factor_summary": 3},
    settings={"evaluation.n_groups": 3},
)


@pytest.fixture(scope="module")
def tables() -> dict[str, pa.Table]:
    return evidence()


@pytest.fixture(scope="module")
def page(tables: dict[str, pa.Table]) -> str:
    return tear_sheet(**tables, context=CONTEXT)


class _Reader(HTMLParser):
    """Visible text, and every tag with its attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._hidden = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._hidden = tag in {"script", "style"}

    def handle_endtag(self, tag: str) -> None:
        self._hidden = False

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.text.append(data)

    @property
    def words(self) -> str:
        return " ".join("".join(self.text).split())


def embedded(page: str) -> dict[str, Any]:
    """The chart data as the browser unpacks them."""
    packed = re.search(r'id="packed-data">([^<]*)<', page)
    assert packed
    return json.loads(gzip.decompress(base64.b64decode(packed[1])))


class TestAgainstTables:
    """What the page shows equals what the tables hold."""

    def test_running_product_goes_on_over_gaps(self, tables: dict[str, pa.Table]) -> None:
        factor = chart_data(**tables)["factors"][0]
        growth, expected = 1.0, []
        for row in tables["timeseries"].to_pylist():
            if row["factor_name"] != "ret_12_1":
                continue
            if row["factor_value"] is None:
                expected.append(None)
                continue
            growth *= 1 + row["factor_value"]
            expected.append(growth)
        assert [v is None for v in factor["spread"]] == [v is None for v in expected]
        np.testing.assert_allclose(
            [v for v in factor["spread"] if v is not None], [v for v in expected if v is not None], rtol=5e-6
        )

    def test_monthly_rank_ic(self, tables: dict[str, pa.Table]) -> None:
        data = chart_data(**tables)
        by_month: dict[str, list[float]] = {}
        for row in tables["timeseries"].to_pylist():
            if row["factor_name"] == "reversal_5d" and row["rank_ic"] is not None:
                by_month.setdefault(row["date"].strftime("%Y-%m"), []).append(row["rank_ic"])
        shown = dict(zip(data["months"], data["factors"][1]["ic_month"], strict=True))
        for month, value in shown.items():
            if value is None:
                assert month not in by_month
            else:
                assert value == pytest.approx(np.mean(by_month[month]), rel=5e-6)
        assert [v for v in data["factors"][1]["ic_sum"] if v is not None][-1] == pytest.approx(
            sum(sum(values) for values in by_month.values()), rel=5e-6
        )

    def test_quantile_means_in_basis_points(self, tables: dict[str, pa.Table]) -> None:
        shown = chart_data(**tables)["factors"][0]["quantiles"]
        for i, q in enumerate(shown["quantile"]):
            own = [
                row["quantile_return"]
                for row in tables["quantiles"].to_pylist()
                if row["factor_name"] == "ret_12_1" and row["quantile"] == q and row["quantile_return"] is not None
            ]
            assert shown["n"][i] == len(own) == 290
            assert shown["mean_bps"][i] == pytest.approx(1e4 * np.mean(own), rel=5e-6)
            assert shown["error_bps"][i] == pytest.approx(1.96e4 * np.std(own, ddof=1) / np.sqrt(len(own)), rel=5e-6)

    def test_stock_rows_survive_the_packing(self, page: str, tables: dict[str, pa.Table]) -> None:
        factors = {factor["name"]: factor for factor in embedded(page)["factors"]}
        for name, _ in FACTORS:
            wanted = sorted(
                (row for row in tables["details"].to_pylist() if row["factor_name"] == name), key=lambda r: r["ticker"]
            )
            stocks = factors[name]["stocks"]
            assert stocks["ticker"] == [row["ticker"] for row in wanted]
            for column in ("alpha", "beta", "tstat", "pvalue", "rsquared", "conf_int_lower", "conf_int_upper"):
                for got, row in zip(stocks[column], wanted, strict=True):
                    assert got == (None if row[column] is None else pytest.approx(row[column], rel=5e-6))

    def test_summary_cells(self, page: str) -> None:
        row = re.search(r'<tr data-factor="\d">.*?ret_12_1.*?</tr>', page)
        assert row
        cells = [re.sub(r"<[^>]+>", "", cell) for cell in re.findall(r"<td.*?</td>", row[0])]
        assert " ".join(cells) == (
            "ret_12_1 Momentum 12.3 10.0 1.03 \u221220.0 3.30 0.0100 3.30 0.300 2.40 0.200 20/40 75.0 10.0 290 10"
        )

    def test_infinite_numbers_are_missing(self, tables: dict[str, pa.Table]) -> None:
        timeseries = tables["timeseries"]
        endless = pa.array([float("inf")] * timeseries.num_rows)
        place = timeseries.column_names.index("factor_value")
        field = timeseries.schema.field("factor_value")
        data = chart_data(**{**tables, "timeseries": timeseries.set_column(place, field, endless)})
        assert set(data["factors"][0]["spread"]) == {None}


class TestProperties:
    """Closed, escaped, repeatable, honest."""

    def test_same_inputs_same_bytes(self, page: str, tables: dict[str, pa.Table]) -> None:
        assert tear_sheet(**tables, context=CONTEXT) == page

    def test_row_order_does_not_matter(self, page: str, tables: dict[str, pa.Table]) -> None:
        rng = np.random.default_rng(0)
        shuffled = {name: rows.take(rng.permutation(rows.num_rows)) for name, rows in tables.items()}
        assert tear_sheet(**shuffled, context=CONTEXT) == page

    def test_hostile_names_are_text(self, page: str) -> None:
        reader = _Reader(page)
        assert not any(tag == "img" or "onerror" in attributes for tag, attributes in reader.tags)
        assert sum(tag == "script" for tag, _ in reader.tags) == page.count("</script>") == 3
        assert HOSTILE_FACTOR in reader.words
        assert "28 rows with <zero> volume were dropped." in reader.words
        assert HOSTILE_TICKER not in page

    def test_nothing_is_loaded_from_elsewhere(self, page: str) -> None:
        for _, attributes in _Reader(page).tags:
            assert not {"src", "href"} & attributes.keys()
        assert "default-src 'none'" in page

    def test_verdict_is_counted_from_the_numbers(self, page: str) -> None:
        words = _Reader(page).words
        assert "2 of the 3 factors tried earned a mean return that differs from zero (|t| above 1.96)" in words
        assert "chance alone would give 0.15." in words
        assert "1 factor without a t-statistic: not counted as tried." in words

    def test_missing_numbers_are_dashes_with_the_reason(self, page: str) -> None:
        assert f"{NULL_FACTOR}: no session has a return; most often: {NULL_REASON} (300 sessions)." in (
            _Reader(page).words
        )
        row = re.search(r'<tr data-factor="\d"><td[^>]*><button[^>]*>size.*?</tr>', page)
        assert row
        assert row[0].count("&ndash;") == 12
        assert "nan" not in row[0].lower()

    def test_synthetic_is_said_in_title_and_banner(self, page: str, tables: dict[str, pa.Table]) -> None:
        assert page.count(SYNTHETIC_LABEL) == 2
        assert f"<title>{SYNTHETIC_LABEL}" in page
        real = tear_sheet(**tables, context=replace(CONTEXT, synthetic=False, source="files"))
        assert SYNTHETIC_LABEL not in real

    def test_survivorship_is_said_where_it_applies(self, page: str, tables: dict[str, pa.Table]) -> None:
        assert "Survivorship." not in page
        assert "Survivorship." in tear_sheet(**tables, context=replace(CONTEXT, membership="today_only"))

    def test_every_context_entry_is_shown(self, page: str) -> None:
        for told in (
            "<dt>Asked for</dt><dd>2020-01-02 to 2021-02-24</dd>",
            "<dt>Sessions</dt><dd>300, 2020-01-02 to 2021-02-24</dd>",
            "<dt>Stocks</dt><dd>40</dd>",
            "<dt>evaluation.n_groups</dt><dd>3</dd>",
            "<dt>factor_summary</dt><dd>version 3</dd>",
        ):
            assert told in page

    def test_rows_without_a_summary_are_named(self, tables: dict[str, pa.Table]) -> None:
        fewer = {**tables, "summary": tables["summary"].slice(0, 2)}
        words = _Reader(tear_sheet(**fewer, context=CONTEXT)).words
        assert f"Not shown, because factor_summary has no row for them: {HOSTILE_FACTOR}, {NULL_FACTOR}." in words

    def test_empty_tables_make_a_page(self) -> None:
        empty = {name: TABLES[f"factor_{name}"].schema.empty_table() for name in evidence(n_sessions=50)}
        page = tear_sheet(**empty, context=CONTEXT)
        assert "No factor has been evaluated yet." in page
        assert embedded(page)["factors"] == []

    def test_the_page_is_small(self, page: str) -> None:
        assert len(page.encode()) < 2_200_000


class TestErrors:
    """Rows that cannot make this page."""

    def test_missing_columns(self, tables: dict[str, pa.Table]) -> None:
        with pytest.raises(EvaluationError) as caught:
            tear_sheet(**{**tables, "details": tables["details"].drop_columns(["beta", "tstat"])}, context=CONTEXT)
        assert str(caught.value) == (
            "The tear sheet needs factor_details with its declared columns, but beta, tstat are missing;"
            " read the table without choosing columns."
        )

    def test_another_universe(self, tables: dict[str, pa.Table]) -> None:
        with pytest.raises(EvaluationError) as caught:
            tear_sheet(**tables, context=replace(CONTEXT, universe="sp500"))
        assert str(caught.value) == (
            "The tear sheet is about universe 'sp500', but factor_summary has rows of 'all';"
            " pass the rows of one universe."
        )
