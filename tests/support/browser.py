"""Chromium, driven as a person drives it: a fresh profile, no window, nothing fetched elsewhere."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service as DriverService

from support.live import absent

Browser = webdriver.Chrome

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def open_browser(profile: Path, *, width: int = 1280, height: int = 900) -> Browser:
    """A browser with its profile and its downloads in ``profile``; skips where there is none."""
    driver, browser = shutil.which("chromedriver"), shutil.which("chromium")
    if driver is None or browser is None:
        absent("no chromium with chromedriver")
    options = Options()
    options.binary_location = browser or ""
    for flag in (*FLAGS, f"--user-data-dir={profile / 'profile'}"):
        options.add_argument(flag)
    options.add_experimental_option(
        "prefs", {"download.default_directory": str(profile), "download.prompt_for_download": False}
    )
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    found = Browser(options=options, service=DriverService(driver or ""))
    resize(found, width, height)
    return found


def resize(browser: Browser, width: int, height: int = 900) -> None:
    """Give the page exactly this many pixels; a window would not become as narrow as a phone."""
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
    )


def log(browser: Browser, kind: str) -> list[dict[str, Any]]:
    """What was said ("browser") or asked for ("performance") since the last time."""
    found: list[dict[str, Any]] = browser.get_log(kind)  # type: ignore[no-untyped-call] # selenium's
    return found
