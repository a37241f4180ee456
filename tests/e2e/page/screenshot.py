"""Write docs/page.png: the page beside an open entry, on the demo application (live with root, else its recording)."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

from playwright.async_api import async_playwright

from weir.testing.browsing import CHROMIUM, FLAGS, ROW

TARGET = Path(__file__).parents[3] / "docs/page.png"
CHOSEN = "POST /checkout → 4"
"""A call that failed."""
ENOUGH_ROWS = 20


async def take(url: str, target: Path) -> None:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = await browser.new_page(viewport={"width": 1280, "height": 500})
        await page.goto(url)
        await page.locator(ROW).nth(ENOUGH_ROWS - 1).wait_for(timeout=60_000)
        await page.locator(ROW, has_text=CHOSEN).first.click(timeout=60_000)
        await page.locator(".detail pre").first.wait_for()
        await page.mouse.move(640, 20)
        await page.screenshot(path=target)
        await browser.close()


async def main() -> None:
    weir = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "weir.cli", "up", "--demo", "--listen", "127.0.0.1:0", stderr=asyncio.subprocess.PIPE
    )
    assert weir.stderr
    try:
        async for line in weir.stderr:
            if found := re.search(r"http://\S+\?token=\S+", line.decode()):
                await take(found[0], TARGET)
                break
    finally:
        weir.terminate()
        await weir.communicate()
    print(f"{TARGET}: {TARGET.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    asyncio.run(main())
