"""The page while 20,000 entries a second come into its hub: whether it ever stands still, and its memory."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from measure import Figure, Run, Skip, process_cpu_s

from weir.testing.browsing import CHROMIUM, FLAGS, STATIC, Rig, entry

RATE, SECONDS, QUICK_SECONDS = 20_000, 30, 8
BATCHES_A_SECOND = 20
KEPT = 10_000
"""Rows that the page keeps (`feed.ts`): its memory is flat from then on."""
LONGEST_MS, GROWTH = 100, 1.1
WARM_S = 90
LONG_TASKS = """
window.longest = [];
new PerformanceObserver((list) => window.longest.push(...list.getEntries().map((one) => one.duration)))
  .observe({ type: "longtask", buffered: true });
"""


def page(run: Run) -> Iterator[Figure]:
    """The longest task of the page's thread, and the growth of its heap."""
    if not CHROMIUM:
        raise Skip("no chromium on this machine")
    if not (STATIC / "index.html").is_file():
        raise Skip("the page is not built: make ui")
    folder = run.folder / "page"
    folder.mkdir()
    hub = subprocess.Popen([sys.executable, __file__, str(folder)], stdout=subprocess.PIPE, text=True)
    assert hub.stdout
    try:
        url = hub.stdout.readline().strip()
        yield from asyncio.run(_watched(url, hub.pid, QUICK_SECONDS if run.quick else SECONDS))
    finally:
        hub.terminate()
        hub.wait(30)


async def _watched(url: str, pid: int, seconds: int) -> list[Figure]:
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = await browser.new_page()
        await page.add_init_script(LONG_TASKS)
        await page.goto(url)
        full = f"Number(document.querySelector('[role=grid]')?.getAttribute('aria-rowcount')) > {KEPT}"
        await page.wait_for_function(full, timeout=WARM_S * 1000)
        devtools = await page.context.new_cdp_session(page)
        before = await _heap(devtools)
        await page.evaluate("() => { window.longest.length = 0; }")
        cpu, begun, came = process_cpu_s(pid), time.monotonic(), await _matched(page)
        await asyncio.sleep(seconds)
        spent, took = process_cpu_s(pid) - cpu, time.monotonic() - begun
        rate = (await _matched(page) - came) / took
        longest = max(await page.evaluate("window.longest"), default=0.0)
        after = await _heap(devtools)
        await browser.close()
    note = f"{rate:,.0f} entries/s into the hub of {RATE:,} that were sent, {spent / took:.0%} of a core"
    return [
        Figure(case="page", what="longest task of the page", value=longest, unit="ms", budget=f"<= {LONGEST_MS} ms",
               holds=longest <= LONGEST_MS, note=note),
        Figure(case="page", what=f"heap after {took:.0f} s", value=after / 1e6, unit="MB", ratio=after / before,
               anchor="before", budget=f"<= {GROWTH}", holds=after <= before * GROWTH),
    ]  # fmt: skip


async def _matched(page: Any) -> int:
    text: str = await page.locator(".counts b").first.inner_text()
    return int(text.replace(",", ""))


async def _heap(devtools: Any) -> float:
    """Bytes that are in use after everything that is garbage went."""
    await devtools.send("HeapProfiler.collectGarbage")
    used: float = (await devtools.send("Runtime.getHeapUsage"))["usedSize"]
    return used


async def _serve(folder: Path) -> None:
    """A hub with its archive, and entries that come at the rate; ends with the process."""
    async with _running(folder) as rig:
        print(rig.signed, flush=True)
        number, due = 0, time.monotonic()
        while True:
            now = time.time_ns()
            size = RATE // BATCHES_A_SECOND
            await rig.publish(*(
                entry(number + n, timestamp=now + n, elapsed_time=900 + n * 7, ok=n % 50 != 0, path=f"/orders/{n}")
                for n in range(size)
            ))  # fmt: skip
            number += size
            due += 1 / BATCHES_A_SECOND
            await asyncio.sleep(max(due - time.monotonic(), 0))


@contextlib.asynccontextmanager
async def _running(folder: Path) -> AsyncIterator[Rig]:
    rig = Rig(folder)
    await rig.bus.start()
    await rig.control("all")
    await rig.beat()
    await rig.start()
    try:
        yield rig
    finally:
        await rig.stop()
        await rig.bus.stop(1)


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1])))
