"""The comparison page in a real browser: no console errors, every chart drawn, 300 factors stay responsive."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from factor_assets.evaluation.comparison_page import comparison_page
from factor_assets.evaluation.evidence_tables import EvidenceTables
from factor_assets.tables import TABLES
from factor_assets_tests.evaluation.browser import (
    NEEDS_BROWSER,
    chromium,
    first_column,
    fits,
    is_drawn,
    open_page,
    state,
    wait_for,
)
from factor_assets_tests.evaluation.evidence import FACTORS, HOSTILE_FACTOR
from factor_assets_tests.evaluation.report_rows import many_factors, report_tables
from factor_assets_tests.evaluation.test_factor_page import CONTEXT

pytestmark = NEEDS_BROWSER
CHARTS = ("ic", "decay", "bubble", "box-tstat", "box-rsquared", "heat")


def make(folder: Path, tables: EvidenceTables) -> str:
    page = folder / "tear_sheet.html"
    page.write_text(comparison_page(tables, context=CONTEXT), encoding="utf-8")
    return page.as_uri()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    return make(tmp_path_factory.mktemp("page"), report_tables())


@pytest.fixture(scope="module")
def of_many(tmp_path_factory: pytest.TempPathFactory) -> str:
    return make(tmp_path_factory.mktemp("many"), many_factors(300))


def milliseconds(browser: Any, action: str) -> float:
    """Time of an action until the browser has laid the page out again."""
    return float(
        browser.execute_script(
            f"const start = performance.now(); {action}; document.body.getBoundingClientRect();"
            "return performance.now() - start"
        )
    )


class TestProperties:
    @pytest.mark.parametrize(("width", "color_scheme"), [(1400, "light"), (390, "dark"), (375, "light")])
    def test_draws_everything_without_a_complaint(
        self, browser: Any, address: str, width: int, color_scheme: str
    ) -> None:
        open_page(browser, address, width=width, color_scheme=color_scheme)
        assert state(browser) == "ready"
        for chart in CHARTS:
            assert is_drawn(browser, chart), chart
        assert fits(browser)
        assert browser.get_log("browser") == []

    def test_names_are_never_markup(self, browser: Any, address: str) -> None:
        open_page(browser, address)
        assert HOSTILE_FACTOR in first_column(browser, "summary")
        assert browser.execute_script("return document.querySelectorAll('img').length") == 0

    def test_sort_by_click_keeps_missing_numbers_last(self, browser: Any, address: str) -> None:
        open_page(browser, address)
        by_t = [name for name, _ in FACTORS]  # 3.3, 0.4, -2.1 and missing
        labels = browser.execute_script(
            "return [...document.getElementById('summary').tHead.rows[0].cells].map((c) => c.dataset.label)"
        )
        heading = browser.find_elements("css selector", "#summary thead button")[labels.index("t, mean return")]
        browser.execute_script("arguments[0].click()", heading)
        assert first_column(browser, "summary") == by_t
        browser.execute_script("arguments[0].click()", heading)
        assert first_column(browser, "summary") == [*by_t[2::-1], by_t[3]]

    def test_filters_change_the_table_and_the_charts(self, browser: Any, address: str) -> None:
        from selenium.webdriver.support.ui import Select

        open_page(browser, address)
        before = browser.execute_script("return document.getElementById('chart-ic').innerHTML")
        browser.find_element("id", "filter-text").send_keys("REVERS")
        assert first_column(browser, "summary") == ["reversal_5d"]
        assert browser.find_element("id", "filter-count").text == "1 of 4"
        wait_for(browser, f"return document.getElementById('chart-ic').innerHTML.length !== {len(before)}")
        browser.find_element("id", "filter-text").clear()
        browser.find_element("id", "filter-text").send_keys(" ")
        Select(browser.find_element("id", "filter-type")).select_by_visible_text("Momentum")
        assert first_column(browser, "summary") == ["ret_12_1", "reversal_5d"]
        Select(browser.find_element("id", "filter-gate")).select_by_visible_text("promoted")
        assert first_column(browser, "summary") == ["ret_12_1"]
        Select(browser.find_element("id", "filter-type")).select_by_visible_text("Size")
        assert first_column(browser, "summary") == []
        wait_for(browser, "return document.getElementById('chart-ic').textContent === 'No factor has a rank IC.'")
        assert browser.get_log("browser") == []

    def test_stays_responsive_with_300_factors(self, browser: Any, of_many: str) -> None:
        open_page(browser, of_many)
        assert state(browser) == "ready"
        for chart in CHARTS:
            assert is_drawn(browser, chart), chart
        assert len(first_column(browser, "summary")) == 300
        sort = milliseconds(browser, "document.querySelectorAll('#summary thead button')[3].click()")
        assert sort < 1000
        values = browser.execute_script(
            "return [...document.getElementById('summary').tBodies[0].rows].map((r) => Number(r.cells[3].dataset.v))"
        )
        assert values == sorted(values, reverse=True)
        typed = "const box = document.getElementById('filter-text'); box.value = 'family_3';"
        event = "box.dispatchEvent(new Event('input', { bubbles: true }))"
        assert milliseconds(browser, f"{typed} {event}") < 1000
        assert len(first_column(browser, "summary")) == 30
        assert browser.get_log("browser") == []

    def test_follows_the_color_scheme_while_open(self, browser: Any, address: str) -> None:
        open_page(browser, address)
        ink = "return document.querySelector('#chart-bubble .xtick text').style.fill"
        light = browser.execute_script(ink)
        browser.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
        )
        wait_for(browser, f"return (() => {{ {ink} }})() !== '{light}'")

    def test_page_without_factors(self, browser: Any, tmp_path: Path) -> None:
        names = ("summary", "timeseries", "quantiles", "details")
        empty = EvidenceTables(**{name: TABLES[f"factor_{name}"].schema.empty_table() for name in names})
        open_page(browser, make(tmp_path, empty))
        assert state(browser) == "ready"
        assert browser.get_log("browser") == []


class TestErrors:
    def test_old_browser_is_told_what_is_missing(self, browser: Any, address: str) -> None:
        script = browser.execute_cdp_cmd(
            "Page.addScriptToEvaluateOnNewDocument", {"source": "delete window.DecompressionStream"}
        )
        try:
            open_page(browser, address)
            assert state(browser) == "problem"
            assert "lacks DecompressionStream" in browser.find_element("id", "status").text
            assert browser.find_element("id", "summary").is_displayed()
        finally:
            browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", {"identifier": script["identifier"]})
