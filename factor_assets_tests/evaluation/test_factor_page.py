"""The page of one factor as text: what it says, that it is closed, escaped and repeatable."""

import base64
import gzip
import json
import re
from dataclasses import replace
from datetime import date
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from factor_assets.errors import EvaluationError
from factor_assets.evaluation.evidence_tables import EvidenceTables, FactorRows, split, unknown_factors
from factor_assets.evaluation.factor_charts import factor_data, rank_ic_by_year
from factor_assets.evaluation.factor_page import factor_page
from factor_assets.evaluation.tear_sheet import SYNTHETIC_LABEL, TearSheetContext, page_link, page_path
from factor_assets.factors.momentum import ret_12_1
from factor_assets_tests.evaluation.evidence import FACTORS, HOSTILE_FACTOR, HOSTILE_TICKER, NULL_FACTOR, NULL_REASON
from factor_assets_tests.evaluation.report_rows import report_tables

CONTEXT = TearSheetContext(
    source="sample",
    synthetic=True,
    universe="all",
    membership="dated",
    first_date=date(2020, 1, 2),
    last_date=date(2021, 2, 24),
    notes=("28 rows with <zero> volume were dropped.",),
    table_versions={"factor_summary": 3},
    settings={"evaluation.n_groups": 3},
)


@pytest.fixture(scope="module")
def tables() -> EvidenceTables:
    return report_tables()


@pytest.fixture(scope="module")
def factors(tables: EvidenceTables) -> dict[str, FactorRows]:
    return {rows.name: rows for rows in split(tables, universe="all")}


@pytest.fixture(scope="module")
def page(factors: dict[str, FactorRows]) -> str:
    return factor_page(factors["ret_12_1"], context=CONTEXT, declaration=ret_12_1, horizon=1)


class Reader(HTMLParser):
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
    found: dict[str, Any] = json.loads(gzip.decompress(base64.b64decode(packed[1])))
    return found


class TestAgainstTables:
    """What the page shows equals what the tables hold."""

    def test_running_product_goes_on_over_gaps(self, tables: EvidenceTables, factors: dict[str, FactorRows]) -> None:
        data = factor_data(factors["ret_12_1"])
        growth, expected = 1.0, []
        for row in tables.timeseries.to_pylist():
            if row["factor_name"] != "ret_12_1":
                continue
            if row["factor_value"] is None:
                expected.append(None)
                continue
            growth *= 1 + row["factor_value"]
            expected.append(growth)
        assert [v is None for v in data["spread"]] == [v is None for v in expected]
        np.testing.assert_allclose(
            [v for v in data["spread"] if v is not None], [v for v in expected if v is not None], rtol=5e-6
        )

    def test_monthly_rank_ic(self, tables: EvidenceTables, factors: dict[str, FactorRows]) -> None:
        data = factor_data(factors["reversal_5d"])
        by_month: dict[str, list[float]] = {}
        for row in tables.timeseries.to_pylist():
            if row["factor_name"] == "reversal_5d" and row["rank_ic"] is not None:
                by_month.setdefault(row["date"].strftime("%Y-%m"), []).append(row["rank_ic"])
        for month, value in zip(data["months"], data["ic_month"], strict=True):
            wanted = np.mean(by_month[month]) if month in by_month else None
            assert value == (None if wanted is None else pytest.approx(wanted, rel=5e-6))
        assert [v for v in data["ic_sum"] if v is not None][-1] == pytest.approx(
            sum(sum(values) for values in by_month.values()), rel=5e-6
        )

    def test_quantile_means_in_basis_points(self, tables: EvidenceTables, factors: dict[str, FactorRows]) -> None:
        shown = factor_data(factors["ret_12_1"])["quantiles"]
        for i, q in enumerate(shown["quantile"]):
            own = [
                row["quantile_return"]
                for row in tables.quantiles.to_pylist()
                if row["factor_name"] == "ret_12_1" and row["quantile"] == q and row["quantile_return"] is not None
            ]
            assert shown["n"][i] == len(own) == 290
            assert shown["mean_bps"][i] == pytest.approx(1e4 * np.mean(own), rel=5e-6)
            assert shown["error_bps"][i] == pytest.approx(1.96e4 * np.std(own, ddof=1) / np.sqrt(len(own)), rel=5e-6)

    def test_decay_band_is_the_standard_error_of_the_evidence(self, factors: dict[str, FactorRows]) -> None:
        shown = factor_data(factors["ret_12_1"])["decay"]
        assert shown["horizon"] == [1, 5, 21]
        assert shown["mean"] == [0.03, 0.015, 0.01]
        np.testing.assert_allclose(shown["error"], [1.96 * 0.03 / 3, 1.96 * 0.015 / 2, 1.96 * 0.01], rtol=5e-6)

    def test_rank_ic_by_year(self, tables: EvidenceTables, factors: dict[str, FactorRows]) -> None:
        years, horizons, means = rank_ic_by_year(factors["ret_12_1"].information)
        assert (years, horizons) == ([2020, 2021], [1, 5, 21])
        assert tables.information is not None
        own = [
            row["rank_ic"]
            for row in tables.information.to_pylist()
            if row["factor_name"] == "ret_12_1" and row["date"].year == 2021 and row["horizon"] == 5
        ]
        assert means[2021, 5] == pytest.approx(np.mean(own), rel=1e-12)

    def test_stock_rows_survive_the_packing(self, page: str, tables: EvidenceTables) -> None:
        wanted = [row for row in tables.details.to_pylist() if row["factor_name"] == "ret_12_1"]
        wanted.sort(key=lambda row: row["ticker"])
        stocks = embedded(page)["stocks"]
        assert stocks["ticker"] == [row["ticker"] for row in wanted]
        for column in ("alpha", "beta", "tstat", "pvalue", "rsquared", "conf_int_lower", "conf_int_upper"):
            for got, row in zip(stocks[column], wanted, strict=True):
                assert got == (None if row[column] is None else pytest.approx(row[column], rel=5e-6))

    def test_infinite_numbers_are_missing(self, factors: dict[str, FactorRows]) -> None:
        import pyarrow as pa

        rows = factors["ret_12_1"]
        place = rows.timeseries.column_names.index("factor_value")
        endless = pa.array([float("inf")] * rows.timeseries.num_rows)
        without = rows.timeseries.set_column(place, rows.timeseries.schema.field("factor_value"), endless)
        assert set(factor_data(replace(rows, timeseries=without))["spread"]) == {None}


class TestProperties:
    """Closed, escaped, repeatable, honest."""

    def test_says_what_was_published_and_the_verdict(self, page: str) -> None:
        words = Reader(page).words
        assert str(ret_12_1.expression) in words
        assert ret_12_1.cite in words
        assert "high values earned more" in words
        assert "Promoted: it passed every gate." in words
        assert "Does it work? Mean rank IC +0.0300 over 1 session (t 3.00). The sign is the published one." in words
        assert "Is it luck? p 0.003 alone, 0.6 after Holm over 150 trials, deflated Sharpe ratio 0.310." in words
        assert "Is it new? Closest is Momentum/ret_12_1, rank correlation \u22120.42." in words
        assert "What does it cost? Turnover 10.0% a session, median capacity 2.5 million." in words

    def test_a_refusal_and_a_wrong_sign_are_said(self, factors: dict[str, FactorRows]) -> None:
        against = replace(ret_12_1, sign=-1)
        words = Reader(factor_page(factors["reversal_5d"], context=CONTEXT, declaration=against, horizon=1)).words
        assert "Refused: p 0.62 after Holm is above 0.05; closest <factor> & co." in words
        assert "The sign is not the published one." in words

    def test_the_horizon_chooses_the_evidence(self, factors: dict[str, FactorRows]) -> None:
        words = Reader(factor_page(factors["ret_12_1"], context=CONTEXT, horizon=5)).words
        assert "Mean rank IC +0.0150 over 5 sessions (t 2.00)." in words

    def test_a_look_at_the_holdout_is_said(self, page: str) -> None:
        rows = split(report_tables(has_holdout=True), universe="all")[0]
        assert "The holdout was looked at" in factor_page(rows, context=CONTEXT)
        assert "The holdout was looked at" not in page

    def test_tables_that_were_not_made_say_what_to_run(self, tables: EvidenceTables) -> None:
        names = ("information", "trading", "evidence", "correlations", "promoted")
        rows = split(replace(tables, **dict.fromkeys(names)), universe="all")[0]
        words = Reader(factor_page(rows, context=CONTEXT)).words
        for table in ("factor_information", "factor_trading", "factor_evidence", "factor_correlations"):
            assert f"Make {table}: `factor-assets backfill {table}+`." in words
        assert "Its rank IC differs from zero (t 3.30), if it was the only one tried." in words

    def test_same_inputs_same_bytes_in_any_row_order(self, page: str, tables: EvidenceTables) -> None:
        rng = np.random.default_rng(0)
        names = ("summary", "timeseries", "quantiles", "details", "information", "trading", "evidence", "correlations")
        given = {name: getattr(tables, name) for name in names}
        shuffled = {name: rows.take(rng.permutation(rows.num_rows)) for name, rows in given.items()}
        rows = split(replace(tables, **shuffled), universe="all")[0]
        assert factor_page(rows, context=CONTEXT, declaration=ret_12_1, horizon=1) == page

    def test_hostile_names_are_text(self, factors: dict[str, FactorRows]) -> None:
        page = factor_page(factors[HOSTILE_FACTOR], context=CONTEXT)
        reader = Reader(page)
        assert not any(tag == "img" or "onerror" in attributes for tag, attributes in reader.tags)
        assert sum(tag == "script" for tag, _ in reader.tags) == page.count("</script>") == 3
        assert HOSTILE_FACTOR in reader.words
        assert "28 rows with <zero> volume were dropped." in reader.words
        assert HOSTILE_TICKER not in page

    def test_links_lead_to_pages_beside_it_and_nothing_is_loaded(self, page: str) -> None:
        links = [attributes["href"] for _, attributes in Reader(page).tags if "href" in attributes]
        assert links[:2] == ["../../tear_sheet.html", links[1]]
        assert {str(link).split("/")[0] for link in links} == {".."}
        assert "../../factors/Momentum/reversal_5d.html" in links
        assert not any("src" in attributes for _, attributes in Reader(page).tags)
        assert "default-src 'none'" in page

    def test_a_page_alone_has_no_link(self, factors: dict[str, FactorRows]) -> None:
        alone = factor_page(factors["ret_12_1"], context=CONTEXT, above=None)
        assert not any("href" in attributes for _, attributes in Reader(alone).tags)
        assert "reversal_5d" in alone

    @pytest.mark.parametrize("name", ["../../etc/passwd", "..", ".", "a/b", "x%2Fy"])
    def test_a_name_is_one_file_below_the_folder(self, name: str) -> None:
        assert page_path(name, name).count("/") == 2
        assert not {".", ".."} & set(page_path(name, name).split("/"))
        assert page_path("momentum", "ret_12_1") == "factors/momentum/ret_12_1"
        assert page_link("a b", "c", above="../") == "../factors/a%2520b/c.html"

    def test_missing_numbers_are_dashes_with_the_reason(self, factors: dict[str, FactorRows]) -> None:
        words = Reader(factor_page(factors[NULL_FACTOR], context=CONTEXT, horizon=1)).words
        assert f"Sessions without a return: 300 of 300: {NULL_REASON} (300)." in words
        assert "Evidence over 1, 5, 21 sessions: no session has a rank IC." in words
        assert "Does it work? No rank IC." in words
        assert "nan" not in words.lower().split()

    def test_synthetic_is_said_in_title_and_banner(self, page: str, factors: dict[str, FactorRows]) -> None:
        assert page.count(SYNTHETIC_LABEL) == 2
        assert f"<title>{SYNTHETIC_LABEL}" in page
        real = factor_page(factors["ret_12_1"], context=replace(CONTEXT, synthetic=False, source="files"))
        assert SYNTHETIC_LABEL not in real

    def test_survivorship_is_said_where_it_applies(self, page: str, factors: dict[str, FactorRows]) -> None:
        assert "Survivorship." not in page
        today = replace(CONTEXT, membership="today_only")
        assert "Survivorship." in factor_page(factors["ret_12_1"], context=today)

    def test_every_context_entry_is_shown(self, page: str) -> None:
        for told in (
            "<dt>Asked for</dt><dd>2020-01-02 to 2021-02-24</dd>",
            "<dt>Sessions</dt><dd>300, 2020-01-02 to 2021-02-24</dd>",
            "<dt>Stocks</dt><dd>40</dd>",
            "<dt>evaluation.n_groups</dt><dd>3</dd>",
            "<dt>factor_summary</dt><dd>version 3</dd>",
        ):
            assert told in page

    def test_the_page_is_small(self, page: str) -> None:
        assert len(page.encode()) < 2_200_000

    def test_rows_without_a_summary_are_named(self, tables: EvidenceTables) -> None:
        assert unknown_factors(replace(tables, summary=tables.summary.slice(0, 2))) == sorted(n for n, _ in FACTORS[2:])
        assert unknown_factors(tables) == []


class TestErrors:
    """Rows that cannot make a page."""

    def test_missing_columns(self, tables: EvidenceTables) -> None:
        with pytest.raises(EvaluationError) as caught:
            split(replace(tables, details=tables.details.drop_columns(["beta", "tstat"])), universe="all")
        assert str(caught.value) == (
            "The report needs factor_details with its declared columns, but beta, tstat are missing;"
            " read the table without choosing columns."
        )

    def test_another_universe(self, tables: EvidenceTables) -> None:
        with pytest.raises(EvaluationError) as caught:
            split(tables, universe="sp500")
        assert str(caught.value) == (
            "The report is about universe 'sp500', but factor_summary has rows of 'all'; pass the rows of one universe."
        )
