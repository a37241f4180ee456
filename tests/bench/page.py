"""The page in Chromium: whether it ever stands still while 20,000 entries a second come, and how its map moves.

    python page.py rows|calls FOLDER        the hub and what it is given, as a process of its own

The archive is no part of it (installations have it in a process of its own): it is given a share of what comes.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

from measure import Figure, Run, Skip, percentile, process_cpu_s

from weir.archive.memory import MemoryArchive
from weir.testing.browsing import CHROMIUM, FLAGS, STATIC, Rig, entry

RATE, SECONDS, QUICK_SECONDS = 20_000, 30, 8
BATCHES_A_SECOND = 20
BATCH = RATE // BATCHES_A_SECOND
KEPT = 10_000
"""Rows that the page keeps (`feed.ts`): its memory is flat from then on."""
ARCHIVED = 20
"""One entry of so many reaches the archive."""
SERVICES, CALLED = 100, 4
"""The map: so many services, each of which calls so many others."""
LONGEST_MS, GROWTH, FRAME_MS = 100, 1.1, 50
WARM_S, SETTLED_S, HEAP_EVERY_S = 90, 10, 3
GARBAGE_ROUNDS = 3
STILL_MS, LEAST_MS = 120, 50
"""A task that stands still on purpose, and the shortest that is counted."""
WATCH = """
window.longest = [];
window.frames = [];
new PerformanceObserver((list) => window.longest.push(...list.getEntries().map((one) => one.duration)))
  .observe({ type: "longtask", buffered: true });
let before = performance.now();
const frame = (now) => { window.frames.push(now - before); before = now; requestAnimationFrame(frame); };
requestAnimationFrame(frame);
"""
STAND_STILL = """
(ms) => { setTimeout(() => { const end = performance.now() + ms; while (performance.now() < end); }); }
"""
FULL = f"() => Number(document.querySelector('[role=grid]')?.getAttribute('aria-rowcount')) > {KEPT}"
FORGET = "() => { window.longest.length = 0; window.frames.length = 0; }"

Look = Callable[[Any, int, int], Coroutine[Any, Any, list[Figure]]]
"""Looks at an open page: it, the hub's process, seconds."""


def page(run: Run) -> Iterator[Figure]:
    """The longest task of the page's thread, and the growth of its heap."""
    yield from _seen(run, "rows", "", _listing)


def moved_map(run: Run) -> Iterator[Figure]:
    """Frames while the map of 100 services and 400 lines is dragged and zoomed, and more calls come."""
    yield from _seen(run, "calls", "&view=map", _mapping)


def _seen(run: Run, given: str, query: str, look: Look) -> Iterator[Figure]:
    if not CHROMIUM:
        raise Skip("no chromium on this machine")
    if not (STATIC / "index.html").is_file():
        raise Skip("the page is not built: make ui")
    folder = run.folder / given
    folder.mkdir()
    hub = subprocess.Popen([sys.executable, __file__, given, str(folder)], stdout=subprocess.PIPE, text=True)
    assert hub.stdout
    try:
        url = hub.stdout.readline().strip() + query
        yield from asyncio.run(_watched(url, hub.pid, QUICK_SECONDS if run.quick else SECONDS, look))
    finally:
        hub.terminate()
        hub.wait(30)


async def _watched(url: str, pid: int, seconds: int, look: Look) -> list[Figure]:
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            page = await browser.new_page(viewport={"width": 1280, "height": 800})
            await page.add_init_script(WATCH)
            await page.goto(url)
            await page.evaluate(STAND_STILL, STILL_MS)
            # What stands still on purpose is seen: nothing seen later means that nothing was.
            await page.wait_for_function(f"() => window.longest.some((one) => one >= {LEAST_MS})")
            return await look(page, pid, seconds)
        finally:
            await browser.close()


async def _listing(page: Any, pid: int, seconds: int) -> list[Figure]:
    await page.wait_for_function(FULL, timeout=WARM_S * 1000)
    await asyncio.sleep(SETTLED_S)
    devtools = await page.context.new_cdp_session(page)
    heaps = []
    await page.evaluate(FORGET)
    cpu, begun, came = process_cpu_s(pid), time.monotonic(), await _matched(page)
    longest = 0.0
    for _ in range(max(seconds // HEAP_EVERY_S, 2)):
        await asyncio.sleep(HEAP_EVERY_S)
        longest = max(longest, await page.evaluate("Math.max(0, ...window.longest)"))
        heaps.append(await _heap(devtools))
        await page.evaluate(FORGET)  # to look for garbage takes the page's time, too
    spent, took = process_cpu_s(pid) - cpu, time.monotonic() - begun
    rate = (await _matched(page) - came) / took
    note = f"{rate:,.0f} entries/s into the hub for {took:.0f} s, which took {spent / took:.0%} of a core"
    before, after = (max(half) for half in (heaps[: len(heaps) // 2], heaps[len(heaps) // 2 :]))
    return [
        _standing("page", longest, note),
        Figure(case="page", what="most heap in use in the second half of this time", value=after / 1e6, unit="MB",
               ratio=after / before, anchor="the first half", budget=f"<= {GROWTH}", holds=after <= before * GROWTH,
               note=", ".join(f"{heap / 1e6:.1f}" for heap in heaps)),
    ]  # fmt: skip


def _standing(case: str, longest: float, note: str) -> Figure:
    note += "" if longest else f"; none above {LEAST_MS} ms, where counting begins"
    return Figure(case=case, what="longest task of the page", value=longest, unit="ms", budget=f"<= {LONGEST_MS} ms",
                  holds=longest <= LONGEST_MS, note=note)  # fmt: skip


async def _mapping(page: Any, pid: int, seconds: int) -> list[Figure]:
    count = f"() => document.querySelectorAll('.node').length === {SERVICES}"
    await page.wait_for_function(count, timeout=WARM_S * 1000)
    lines = await page.locator(".lines-still .drawn").count()
    sight = page.locator(".drawing > g")
    figures = []
    for what, move in (("dragged", _dragged), ("zoomed", _zoomed), ("pointed at", _pointed)):
        await page.get_by_role("button", name="All", exact=True).click()
        box, at = await page.locator(".drawing").bounding_box(), await sight.get_attribute("transform")
        await page.evaluate(FORGET)
        begun, steps = time.monotonic(), 0
        while time.monotonic() - begun < seconds / 3:
            await move(page, box, steps)
            steps += 1
        frames = await page.evaluate("window.frames")
        longest = await page.evaluate("Math.max(0, ...window.longest)")
        await page.mouse.up()
        if (move is _pointed) != (await sight.get_attribute("transform") == at):
            raise RuntimeError(f"the map was not {what}")
        slow = percentile(frames, 95)
        note = f"{SERVICES} services, {lines} lines; {len(frames) / sum(frames) * 1000:.0f} frames/s without a GPU"
        figures += [
            Figure(case="map", what=f"frame while it is {what}, p95", value=slow, unit="ms",
                   budget=f"<= {FRAME_MS} ms", holds=slow <= FRAME_MS, note=note),
            _standing("map", longest, f"while it is {what}, and more calls come"),
        ]  # fmt: skip
    return figures


Box = dict[str, float]
"""Of the map in the window: x, y, width, height."""


def _place(box: Box, across: float, down: float) -> tuple[float, float]:
    """A place of the map, from -1 to 1 each way."""
    return box["x"] + box["width"] * (0.5 + across * 0.45), box["y"] + box["height"] * (0.5 + down * 0.45)


async def _dragged(page: Any, box: Box, step: int) -> None:
    await page.mouse.move(*_place(box, math.sin(step / 20), math.cos(step / 15)))
    if step == 0:
        await page.mouse.down()


async def _zoomed(page: Any, box: Box, step: int) -> None:
    if step == 0:
        await page.mouse.move(*_place(box, 0.2, 0.1))
    await page.mouse.wheel(0, -40 if step // 20 % 2 else 40)


async def _pointed(page: Any, box: Box, step: int) -> None:
    await page.mouse.move(*_place(box, math.sin(step / 30), math.cos(step / 7)))


async def _matched(page: Any) -> int:
    text: str = await page.locator(".counts b").first.inner_text()
    return int(text.replace(",", ""))


async def _heap(devtools: Any) -> float:
    """Bytes in use after what is garbage went; rows that went out of sight take more than one round."""
    for _ in range(GARBAGE_ROUNDS):
        await devtools.send("HeapProfiler.collectGarbage")
    used: float = (await devtools.send("Runtime.getHeapUsage"))["usedSize"]
    return used


async def _rows(rig: Rig, archive: MemoryArchive) -> None:
    """Entries that come at the rate, for ever."""
    number, due = 0, time.monotonic()
    while True:
        now = time.time_ns()
        made = [
            entry(number + n, timestamp=now + n, elapsed_time=900 + n * 7, ok=n % 50 != 0, path=f"/orders/{n}")
            for n in range(BATCH)
        ]
        await rig.publish(*made)
        await archive.insert(made[::ARCHIVED])
        number += BATCH
        due += 1 / BATCHES_A_SECOND
        await asyncio.sleep(max(due - time.monotonic(), 0))


async def _calls(rig: Rig, archive: MemoryArchive) -> None:
    """A round of calls between all that call one another, each second anew."""
    pairs = [(n, (n * 7 + k * 13 + 1) % SERVICES) for n in range(SERVICES) for k in range(CALLED)]
    number = 0
    while True:
        made = [_call(number + at, src, dst) for at, (src, dst) in enumerate(pairs)]
        await archive.insert(made)
        await rig.publish(*made)
        number += len(made)
        await asyncio.sleep(1)


def _call(number: int, src: int, dst: int) -> dict[str, Any]:
    ends = {
        end: {"ip": f"10.0.{service}.1", "port": 80, "name": f"service-{service}-0", "namespace": "shop",
              "workload": f"deployment/service-{service}", "service": {"name": f"service-{service}"}}
        for end, service in (("src", src), ("dst", dst))
    }  # fmt: skip
    return entry(number, timestamp=time.time_ns(), ok=(number + dst) % 40 != 0, **ends)


GIVEN = {"rows": _rows, "calls": _calls}


@contextlib.asynccontextmanager
async def _running(folder: Path, archive: MemoryArchive) -> AsyncIterator[Rig]:
    rig = Rig(folder, archive)
    await rig.bus.start()
    await rig.control("all")
    await rig.beat()
    await rig.start()
    try:
        yield rig
    finally:
        await rig.stop()
        await rig.bus.stop(1)


async def _serve(given: str, folder: Path) -> None:
    """A hub that is given entries; ends with the process."""
    archive = MemoryArchive(max_entries=KEPT)
    async with _running(folder, archive) as rig:
        sys.stdout.write(rig.signed + "\n")
        sys.stdout.flush()
        await GIVEN[given](rig, archive)


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], Path(sys.argv[2])))
