"""Write docs/page*.png: the page's views on the demo application (live with root, else its recording).

python tests/e2e/page/screenshot.py [URL [FOLDER]]: of another weir that runs already, with its token in the URL.
"""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from playwright.async_api import Page, async_playwright

from weir.testing.browsing import CHROMIUM, FLAGS, ROW

DOCS = Path(__file__).parents[3] / "docs"
WIDE: dict[str, Any] = {"viewport": {"width": 1280, "height": 560}}
HIGHER: dict[str, Any] = {"viewport": {"width": 1280, "height": 600}}
HIGH: dict[str, Any] = {"viewport": {"width": 1280, "height": 820}}
DARK: dict[str, Any] = WIDE | {"color_scheme": "dark"}
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 720}}
SLOWEST_FAILURES = "&filter=failed%20%26%26%20http&order=slowest"
WRONG = "http && status_cod >= 500"
WATCHED_S = 60
"""So long the demo application runs before it is looked at: less shows little on the time line."""
SETTLED_MS = 2500
"""What comes in the meantime has come, and what moves has moved."""


async def listed(page: Page) -> None:
    await page.locator(ROW).nth(5).wait_for(timeout=60_000)
    await page.wait_for_timeout(SETTLED_MS)
    await page.get_by_role("button", name="Pause").click()


async def opened(page: Page) -> None:
    """A call that failed, with its bodies."""
    await page.locator(f"{ROW}.failed", has_text="POST").first.click()
    await page.locator(".detail .sides").first.wait_for()
    await settled(page)


async def settled(page: Page) -> None:
    await page.wait_for_timeout(SETTLED_MS)


async def mapped(page: Page) -> None:
    await page.locator(".node").first.wait_for()
    await page.get_by_label("Write on lines").select_option("calls")
    await settled(page)


async def refused(page: Page) -> None:
    await listed(page)
    await page.get_by_label("Filter", exact=True).fill(WRONG)
    await page.locator(".fault").wait_for()
    await settled(page)


PICTURES: dict[str, tuple[str, dict[str, Any], Callable[[Page], Awaitable[None]]]] = {
    "page": (SLOWEST_FAILURES, HIGHER, opened),
    "page-list": ("", WIDE, listed),
    "page-map": ("&view=map", WIDE, mapped),
    "page-state": ("&view=state", HIGH, settled),
    "page-filter": ("", WIDE, refused),
    "page-dark": ("&filter=http", DARK, listed),
    "page-phone": ("", PHONE, listed),
}


async def take(url: str, folder: Path) -> None:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for name, (query, options, ready) in PICTURES.items():
            page = await browser.new_page(**options)
            await page.goto(url + query)
            await ready(page)
            await page.mouse.move(640, 20)
            file = folder / f"{name}.png"
            await page.screenshot(path=file)
            print(f"{file.name}: {file.stat().st_size / 1000:.0f} kB", flush=True)
            await page.close()
        await browser.close()


@asynccontextmanager
async def demo(folder: str) -> AsyncIterator[str]:
    weir = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "weir.cli",
        "up",
        "--demo",
        "--listen",
        "127.0.0.1:0",
        "--data",
        folder,
        stderr=asyncio.subprocess.PIPE,
    )
    assert weir.stderr
    try:
        async for line in weir.stderr:
            if found := re.search(r"http://\S+\?token=\S+", line.decode()):
                break
        else:
            raise RuntimeError("the demo application did not start")
        await asyncio.sleep(WATCHED_S)
        yield found[0]
    finally:
        weir.terminate()
        await weir.communicate()


async def main(url: str = "", folder: str = "") -> None:
    into = Path(folder) if folder else DOCS
    if url:
        await take(url, into)
    else:
        with tempfile.TemporaryDirectory() as data:
            async with demo(data) as found:
                await take(found, into)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
