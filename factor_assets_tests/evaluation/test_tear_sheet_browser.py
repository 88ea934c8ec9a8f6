"""The tear sheet in a real browser: no console errors, every chart drawn, selection and sorting work, fits a phone."""

import shutil
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from factor_assets.evaluation.tear_sheet import TearSheetContext, tear_sheet
from factor_assets.tables import TABLES
from factor_assets_tests.evaluation.evidence import FACTORS, HOSTILE_FACTOR, HOSTILE_TICKER, NULL_FACTOR, evidence

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (CHROMIUM and DRIVER),
        reason="chromium and chromedriver are not installed (Debian: apt-get install chromium chromium-driver)",
    ),
]
FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --disable-background-networking --no-first-run"
    " --disable-component-update --disable-sync --window-size=1400,1000"
)
CHARTS = ("box-tstat", "box-rsquared", "bubble", "growth", "ic", "quantiles", "histogram")


def make(folder: Path, **tables: Any) -> str:
    context = TearSheetContext(
        source="sample",
        synthetic=True,
        universe="all",
        membership="today_only",
        first_date=date(2020, 1, 2),
        last_date=date(2021, 2, 24),
        notes=("A" * 200,),
    )
    page = folder / "tear_sheet.html"
    page.write_text(tear_sheet(**tables, context=context), encoding="utf-8")
    return page.as_uri()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in [*FLAGS.split(), f"--user-data-dir={tmp_path_factory.mktemp('profile')}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    return make(tmp_path_factory.mktemp("page"), **evidence())


def open_page(browser: Any, address: str, *, width: int = 1400, color_scheme: str = "light") -> None:
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600},
    )
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": color_scheme}]}
    )
    browser.get("about:blank")
    browser.get(address)
    wait_for(browser, "return document.documentElement.dataset.state")


def wait_for(browser: Any, script: str, *, seconds: float = 30) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := browser.execute_script(script):
            return value
        time.sleep(0.05)
    raise AssertionError(f"never true within {seconds} s: {script}")


def state(browser: Any) -> str:
    return str(browser.execute_script("return document.documentElement.dataset.state"))


def choose(browser: Any, name: str) -> None:
    from selenium.webdriver.support.ui import Select

    Select(browser.find_element("id", "factor-select")).select_by_visible_text(name)


def first_column(browser: Any, table: str) -> list[str]:
    return list(
        browser.execute_script(
            f"return [...document.getElementById('{table}').tBodies[0].rows].map((r) => r.cells[0].textContent)"
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
            assert browser.execute_script(
                f"const box = document.querySelector('#chart-{chart} svg.main-svg');"
                "return box && box.getBoundingClientRect().width > 200 && box.querySelectorAll('path').length > 3"
            ), chart
        assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
        assert browser.get_log("browser") == []

    def test_names_are_never_markup(self, browser: Any, address: str) -> None:
        open_page(browser, address)
        choose(browser, HOSTILE_FACTOR)
        assert browser.find_element("id", "h-factor").text == HOSTILE_FACTOR
        assert HOSTILE_TICKER in first_column(browser, "stocks")
        assert browser.execute_script("return document.querySelectorAll('img, td > b > b').length") == 0

    def test_select_changes_every_part(self, browser: Any, address: str) -> None:
        open_page(browser, address)
        look = (
            "return ['growth', 'ic', 'quantiles', 'histogram']"
            ".map((name) => document.getElementById('chart-' + name).innerHTML)"
        )
        before = browser.execute_script(look)
        stocks = first_column(browser, "stocks")
        choose(browser, "reversal_5d")
        after = browser.execute_script(look)
        assert all(a != b for a, b in zip(before, after, strict=True))
        assert first_column(browser, "stocks") != stocks
        assert browser.find_element("id", "h-factor").text == "reversal_5d"

    def test_factor_without_numbers_says_so_and_the_next_one_is_drawn(self, browser: Any, address: str) -> None:
        open_page(browser, address)
        choose(browser, NULL_FACTOR)
        assert browser.find_element("id", "chart-growth").text == "No session has a return of this factor."
        assert browser.find_element("id", "chart-histogram").text == "No stock has a regression on this factor."
        assert "Sessions without a return: 300 of 300" in browser.find_element("id", "factor-nulls").text
        choose(browser, "ret_12_1")
        assert browser.execute_script("return document.querySelectorAll('#chart-growth svg.main-svg').length") > 0
        assert browser.get_log("browser") == []

    def test_factor_name_in_the_summary_chooses_it(self, browser: Any, address: str) -> None:
        open_page(browser, address)
        rows = first_column(browser, "summary")
        browser.find_elements("css selector", "#summary button.pick")[rows.index("reversal_5d")].click()
        assert browser.find_element("id", "h-factor").text == "reversal_5d"

    def test_sort_by_click_keeps_missing_numbers_last(self, browser: Any, address: str) -> None:
        open_page(browser, address)
        by_t = [name for name, _ in FACTORS]  # 3.3, 0.4, -2.1 and missing
        heading = browser.find_elements("css selector", "#summary thead button")[6]
        heading.click()
        assert first_column(browser, "summary") == by_t
        heading.click()
        assert first_column(browser, "summary") == [*by_t[2::-1], by_t[3]]
        stock_heading = browser.find_elements("css selector", "#stocks thead button")[0]
        stock_heading.click()
        tickers = first_column(browser, "stocks")
        assert tickers[1:] == sorted(tickers[1:])

    def test_stock_filter(self, browser: Any, address: str) -> None:
        open_page(browser, address)
        browser.find_element("id", "stock-filter").send_keys("t01")
        shown = browser.execute_script(
            "return [...document.querySelectorAll('#stocks tbody tr')].filter((r) => !r.hidden).length"
        )
        assert shown == 10

    def test_follows_the_color_scheme_while_open(self, browser: Any, address: str) -> None:
        open_page(browser, address)
        ink = "return document.querySelector('#chart-growth .xtick text').style.fill"
        light = browser.execute_script(ink)
        browser.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
        )
        wait_for(browser, f"return (() => {{ {ink} }})() !== '{light}'")

    def test_page_without_factors(self, browser: Any, tmp_path: Path) -> None:
        empty = {name: TABLES[f"factor_{name}"].schema.empty_table() for name in evidence(n_sessions=50)}
        open_page(browser, make(tmp_path, **empty))
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
