"""Write docs/page*.png: the page's views on the demo application (live with root, else its recording).

python tests/e2e/page/screenshot.py [URL [FOLDER]]: of another weir that runs already, with its token in the URL.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from playwright.async_api import Page, async_playwright

from weir.testing.browsing import CHROMIUM, FLAGS, ROW

DOCS = Path(__file__).parents[3] / "docs"
WIDE: dict[str, Any] = {"viewport": {"width": 1280, "height": 560}}
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 720}, "color_scheme": "dark"}
CHOSEN = "POST /checkout → 4"
"""A call that failed."""
ENOUGH_ROWS = 20
SETTLED_MS = 3000
"""So long the map moves."""


async def opened(page: Page) -> None:
    await page.get_by_role("button", name="Pause").click()
    await page.locator(ROW, has_text=CHOSEN).first.click(timeout=60_000)
    await page.locator(".detail h3").first.wait_for()
    await page.mouse.move(640, 20)


async def settled(page: Page) -> None:
    await page.wait_for_timeout(SETTLED_MS)


PICTURES = {
    "page": ("", WIDE, opened),
    "page-map": ("&view=map", WIDE, settled),
    "page-state": ("&view=state", WIDE, settled),
    "page-dark": ("&filter=http", WIDE | {"color_scheme": "dark"}, settled),
    "page-phone": ("", PHONE, settled),
}


async def take(url: str, folder: Path) -> None:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        first = await browser.new_page()
        await first.goto(url)
        await first.locator(ROW).nth(ENOUGH_ROWS - 1).wait_for(timeout=60_000)
        for name, (query, options, ready) in PICTURES.items():
            page = await browser.new_page(**options)
            await page.goto(url + query)
            await ready(page)
            await page.screenshot(path=folder / f"{name}.png")
            print(f"{name}.png: {(folder / f'{name}.png').stat().st_size / 1000:.0f} kB")
            await page.close()
        await browser.close()


@asynccontextmanager
async def demo() -> AsyncIterator[str]:
    weir = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "weir.cli", "up", "--demo", "--listen", "127.0.0.1:0", stderr=asyncio.subprocess.PIPE
    )
    assert weir.stderr
    try:
        async for line in weir.stderr:
            if found := re.search(r"http://\S+\?token=\S+", line.decode()):
                yield found[0]
                break
    finally:
        weir.terminate()
        await weir.communicate()


async def main(url: str = "", folder: str = "") -> None:
    into = Path(folder) if folder else DOCS
    if url:
        await take(url, into)
    else:
        async with demo() as found:
            await take(found, into)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
