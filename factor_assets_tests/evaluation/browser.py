"""Chromium without a window, for the tests of the pages."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
NEEDS_BROWSER = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (CHROMIUM and DRIVER),
        reason="chromium and chromedriver are not installed (Debian: apt-get install chromium chromium-driver)",
    ),
]
_FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --disable-background-networking --no-first-run"
    " --disable-component-update --disable-sync --window-size=1400,1000"
)


@contextmanager
def chromium(profile: Path) -> Iterator[Any]:
    """Start a browser that keeps its log."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in [*_FLAGS.split(), f"--user-data-dir={profile}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


def open_page(browser: Any, address: str, *, width: int = 1400, color_scheme: str = "light") -> None:
    """Open a page and wait until it has drawn or said that it cannot."""
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
    """Return what a script returns once it is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := browser.execute_script(script):
            return value
        time.sleep(0.05)
    raise AssertionError(f"never true within {seconds} s: {script}")


def state(browser: Any) -> str:
    """`ready` or `problem`."""
    return str(browser.execute_script("return document.documentElement.dataset.state"))


def first_column(browser: Any, table: str) -> list[str]:
    """Texts of the rows that are shown."""
    return list(
        browser.execute_script(
            f"return [...document.getElementById('{table}').tBodies[0].rows].filter((r) => !r.hidden)"
            ".map((r) => r.cells[0].textContent)"
        )
    )


def is_drawn(browser: Any, chart: str) -> bool:
    """Whether a chart has lines."""
    return bool(
        browser.execute_script(
            f"const box = document.querySelector('#chart-{chart} svg.main-svg');"
            "return box && box.getBoundingClientRect().width > 200 && box.querySelectorAll('path').length > 3"
        )
    )


def fits(browser: Any) -> bool:
    """Whether nothing must be scrolled sideways."""
    return bool(browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth"))
