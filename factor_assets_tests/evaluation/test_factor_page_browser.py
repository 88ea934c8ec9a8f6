"""The page of a factor in a real browser: no console errors, every chart drawn, sorting works, fits a phone."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from factor_assets.evaluation.evidence_tables import split
from factor_assets.evaluation.factor_page import factor_page
from factor_assets_tests.evaluation.browser import (
    NEEDS_BROWSER,
    chromium,
    first_column,
    fits,
    is_drawn,
    open_page,
    state,
)
from factor_assets_tests.evaluation.evidence import HOSTILE_FACTOR, HOSTILE_TICKER, NULL_FACTOR
from factor_assets_tests.evaluation.report_rows import report_tables
from factor_assets_tests.evaluation.test_factor_page import CONTEXT

pytestmark = NEEDS_BROWSER
CHARTS = ("growth", "ic", "quantiles", "decay", "turnover", "coverage", "histogram")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture(scope="module")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder: Path = tmp_path_factory.mktemp("pages")
    found = {}
    for i, rows in enumerate(split(report_tables(), universe="all")):
        page = folder / f"{i}.html"
        page.write_text(factor_page(rows, context=CONTEXT, horizon=1), encoding="utf-8")
        found[rows.name] = page.as_uri()
    return found


class TestProperties:
    @pytest.mark.parametrize(("width", "color_scheme"), [(1400, "light"), (390, "dark"), (375, "light")])
    def test_draws_everything_without_a_complaint(
        self, browser: Any, addresses: dict[str, str], width: int, color_scheme: str
    ) -> None:
        open_page(browser, addresses["ret_12_1"], width=width, color_scheme=color_scheme)
        assert state(browser) == "ready"
        for chart in CHARTS:
            assert is_drawn(browser, chart), chart
        assert fits(browser)
        assert browser.get_log("browser") == []

    def test_names_are_never_markup(self, browser: Any, addresses: dict[str, str]) -> None:
        open_page(browser, addresses[HOSTILE_FACTOR])
        assert browser.find_element("id", "factor-name").text == HOSTILE_FACTOR
        assert HOSTILE_TICKER in first_column(browser, "stocks")
        assert browser.execute_script("return document.querySelectorAll('img, td > b > b').length") == 0

    def test_factor_without_numbers_says_so(self, browser: Any, addresses: dict[str, str]) -> None:
        open_page(browser, addresses[NULL_FACTOR])
        assert state(browser) == "ready"
        assert browser.find_element("id", "chart-growth").text == "No session has a return of this factor."
        assert browser.find_element("id", "chart-histogram").text == "No stock has a regression on this factor."
        assert browser.find_element("id", "chart-decay").text == "There is no evidence by horizon."
        assert browser.get_log("browser") == []

    def test_stocks_sort_and_filter(self, browser: Any, addresses: dict[str, str]) -> None:
        open_page(browser, addresses["ret_12_1"])
        heading = browser.find_elements("css selector", "#stocks thead button")[0]
        browser.execute_script("arguments[0].click()", heading)
        tickers = first_column(browser, "stocks")
        assert len(tickers) == 40
        assert tickers[1:] == sorted(tickers[1:])
        browser.find_element("id", "stock-filter").send_keys("t01")
        assert len(first_column(browser, "stocks")) == 10
