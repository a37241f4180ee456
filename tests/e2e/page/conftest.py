"""A hub with its archive, and Chromium; both are missing here and there, which is said."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, async_playwright

from weir.testing.browsing import CHROMIUM, FLAGS, STATIC, Rig


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    missing = "" if CHROMIUM else "no chromium on this machine"
    if not (STATIC / "index.html").is_file():
        missing = "the page is not built: make ui"
    for item in items:
        if Path(__file__).parent in item.path.parents and item.get_closest_marker("browser") and missing:
            item.add_marker(pytest.mark.skip(reason=missing))


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    made = Rig(tmp_path)
    await made.bus.start()
    await made.control("all")
    await made.beat()
    await made.start()
    yield made
    await made.stop()
    await made.bus.stop(1)


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        await browser.close()
