"""A browser without a window that opens the page, and notes what it should not see."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

SERVERS = Path(os.environ.get("STELLARROW_SERVERS") or Path(sys.prefix, "servers", "bin")).parent
CHROMIUM = SERVERS / "browser" / "chromium"
WAIT = 30_000  # ms, for what takes a fraction of a second on a machine that is not busy


class Tab:
    """A page of the browser; `troubles` are errors of scripts, of the policy, and requests to others."""

    def __init__(self, context: Any, url: str) -> None:
        self.url = url
        self.troubles: list[str] = []
        self.page = context.new_page()
        self.page.set_default_timeout(WAIT)
        self.page.on("pageerror", lambda error: self.troubles.append(f"script: {error}"))
        self.page.on("console", self._said)
        self.page.on("request", self._asked)

    def _said(self, message: Any) -> None:
        # What REST refuses is told on the page; the browser's own line about it is no fault.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.troubles.append(message.text)

    def _asked(self, request: Any) -> None:
        if not request.url.startswith((self.url, "data:")):
            self.troubles.append(f"asked {request.url}")

    def open(self, path: str) -> None:
        """Open a page, and wait until it shows what it is about."""
        self.page.goto(self.url + path)
        self.page.locator("main[aria-busy=false]").wait_for()

    def text(self, selector: str) -> str:
        return str(self.page.locator(selector).first.inner_text())


class Browser:
    """Opens tabs, each in a context of its own."""

    def __init__(self, driven: Any) -> None:
        self._driven = driven

    @contextmanager
    def tab(self, url: str, **choices: Any) -> Iterator[Tab]:
        """Yield a tab; at the end nothing must have troubled it."""
        context = self._driven.new_context(locale="en-US", **choices)
        try:
            tab = Tab(context, url)
            yield tab
            if tab.troubles:
                pytest.fail("\n".join(tab.troubles))
        finally:
            context.close()


@contextmanager
def started() -> Iterator[Browser]:
    """Start the browser; the test is skipped where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="make servers installs playwright")
    if not CHROMIUM.is_file():
        pytest.skip(f"{CHROMIUM} is not there: make servers fetches it, where there is npm")
    libraries = {"LD_LIBRARY_PATH": str(CHROMIUM.with_name("lib"))}
    with sync_api.sync_playwright() as playwright:
        driven = playwright.chromium.launch(
            executable_path=str(CHROMIUM),
            args=["--no-sandbox", "--disable-gpu"],
            env={**os.environ, **libraries},
        )
        try:
            yield Browser(driven)
        finally:
            driven.close()
