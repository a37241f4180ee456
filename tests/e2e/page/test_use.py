"""Narrow and dark screens, who is let in, a hub that goes and returns, and what is said of losses."""

from __future__ import annotations

import asyncio
import re
import time

import pytest
from playwright.async_api import Browser, expect

from weir.testing.browsing import ROW, TOKEN, Rig, connection, entry, live, looking, rows_are

pytestmark = pytest.mark.browser

RULES = "async () => (await (await fetch('api/v1/rules')).json()).rules.map((one) => one.rule)"


async def test_a_narrow_screen_shows_the_list_or_the_entry(rig: Rig, browser: Browser) -> None:
    await rig.stored(*(entry(n, summary=f"GET /{'long/' * 30}{n}") for n in range(60)))
    async with looking(browser, rig.signed, viewport={"width": 390, "height": 844}) as page:
        await page.locator(ROW).first.wait_for()
        too_wide = "document.documentElement.scrollWidth > innerWidth"
        assert not await page.evaluate(too_wide)
        for part in (".summary", ".time", ".source", ".target", ".latency"):
            assert await page.locator(f"{ROW} {part}").first.is_visible()
        await page.locator(ROW).first.click()
        await page.locator(".detail h2").wait_for()
        assert not await page.locator(".list").is_visible()
        assert not await page.evaluate(too_wide)
        await page.get_by_role("button", name="Close").click()
        await expect(page.locator(".list")).to_be_visible()


async def test_the_dark_palette_is_taken_from_the_system(rig: Rig, browser: Browser) -> None:
    grounds = set()
    for scheme in ("light", "dark"):
        async with looking(browser, rig.signed, color_scheme=scheme) as page:
            await live(page)
            grounds.add(await page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert grounds == {"rgb(255, 255, 255)", "rgb(17, 23, 29)"}


@pytest.mark.parametrize("query", ["", "?token=wrong-token-here", "?token="])
async def test_who_has_no_token_is_told_what_to_do(rig: Rig, browser: Browser, query: str) -> None:
    async with looking(browser, rig.url + query, quiet=False) as page:
        await expect(page.locator("body")).to_contain_text("Open the whole URL that weir printed")
        await page.goto(rig.signed)
        await live(page)
        assert TOKEN not in page.url
        await page.goto(rig.url)
        await live(page)


async def test_a_hub_that_returns_is_found_again_and_the_gap_is_filled(rig: Rig, browser: Browser) -> None:
    await rig.stored(entry(1))
    async with looking(browser, rig.signed, quiet=False) as page:
        await rows_are(page, ["GET /1 → 200"])
        await live(page)
        await rig.stop()
        await expect(page.locator(".state")).to_contain_text("connection lost")
        await rows_are(page, ["GET /1 → 200"])
        await rig.publish(entry(2))
        await rig.start()
        await page.locator(".state.live").wait_for(timeout=20_000)
        await rows_are(page, ["GET /2 → 200", "GET /1 → 200"])
        await expect(page.locator(".banner.bad")).to_have_count(0)
        await rig.publish(entry(3))
        await rows_are(page, [f"GET /{n} → 200" for n in (3, 2, 1)])


async def test_a_hub_with_another_token_says_so(rig: Rig, browser: Browser) -> None:
    async with looking(browser, rig.signed, quiet=False) as page:
        await live(page)
        await rig.stop()
        await rig.start(token="another-token-than-before")
        await expect(page.locator(".banner.bad")).to_contain_text("open the URL that weir printed", timeout=20_000)


async def test_without_a_target_the_outline_is_explained_and_the_busiest_offered(rig: Rig, browser: Browser) -> None:
    await rig.control()
    ends = {"src": {"ip": "10.0.0.1", "port": 40000}, "conn_local_bytes": 5000, "timestamp": time.time_ns()}
    await rig.stored(*(
        connection(n, dst={"ip": "10.0.0.2", "port": 8000 + n}, conn_remote_bytes=n * 1000, **ends) for n in range(5)
    ))
    async with looking(browser, rig.signed) as page:
        outline = page.get_by_role("region", name="Outline")
        await expect(outline).to_contain_text("No payload is read until somebody chooses")
        offered = outline.get_by_role("button", name=re.compile("^Read "))
        await expect(offered).to_contain_text(["10.0.0.2:8004", "10.0.0.2:8003", "10.0.0.2:8002"])
        await offered.first.click()
        await expect(outline).to_contain_text("payload is read from now on")
        await outline.get_by_role("button", name="Read for 30 minutes").click()
        await expect(offered).to_have_count(3)
        rules = await page.evaluate(RULES)
        assert [(one["name"], one["target"]) for one in rules] == [("page-10-0-0-2-8004", "10.0.0.2:8004")]
        assert rules[0]["until_ns"]
        await outline.get_by_role("button", name="later").click()
        await expect(page.locator(".banner")).to_contain_text("Outline: connections and DNS only")


async def test_nothing_to_see_is_explained(rig: Rig, browser: Browser) -> None:
    async with looking(browser, rig.signed) as page:
        await expect(page.locator(".empty")).to_contain_text("Nothing has been seen yet")
        await page.get_by_role("button", name="Open State").click()
        await page.get_by_role("region", name="State of weir").first.wait_for()


async def test_losses_and_notes_are_told(rig: Rig, browser: Browser) -> None:
    async with looking(browser, rig.signed) as page:
        await live(page)
        await expect(page.locator(".banner")).to_have_count(0)
        await rig.beat(
            lost={"capture.kernel": 1200, "decode.memory": 3, "filter.x": 2}, rates={"lost.capture.kernel": 40.0},
            notes=["a RECORDING of the demo application, not live traffic"],
        )
        now = page.locator(".banner.bad")
        await expect(now).to_have_text("node-1 lost 1,200 (capture.kernel), 40 a second now")
        await expect(page.locator(".banners")).to_contain_text("node-1 lost 3 (decode.memory), none now")
        await expect(page.locator(".banners")).to_contain_text("a RECORDING of the demo application")
        await expect(page.locator("details")).to_have_text(re.compile("2 losses before, none now"))
        await page.get_by_role("button", name="State").first.click()
        state = page.get_by_role("region", name="State of weir")
        await expect(state).to_contain_text("a RECORDING of the demo application")
        await expect(state.get_by_role("region", name="Losses")).to_contain_text("40 a second now")
        await expect(page.locator(".banner")).to_have_count(0)
        await page.get_by_role("button", name="List", exact=True).click()
        await expect(now).to_have_count(1)
        await rig.beat()
        await expect(page.locator(".banner")).to_have_count(0)


async def test_a_slow_page_is_told_how_many_it_missed_and_loads_them(rig: Rig, browser: Browser) -> None:
    await rig.stop()
    await rig.start(tail_queue=20, tail_queue_bytes=1 << 16, tail_rows_per_s=20_000, tail_max_rows_per_s=20_000)
    async with looking(browser, rig.signed) as page:
        await live(page)
        told = page.locator(".banner.bad", has_text="This page was too slow for")
        busy = asyncio.create_task(
            page.evaluate("() => { const end = performance.now() + 3000; while (performance.now() < end); }")
        )
        number = 0
        while not busy.done():
            await rig.publish(*(entry(number + n, user_agent="x" * 20_000) for n in range(50)))
            number += 50
            await asyncio.sleep(0.01)
        await busy
        await rig.publish(entry(number))
        await told.wait_for()
        assert int(re.sub(r"\D", "", (await told.inner_text()).partition("entr")[0])) > 0
        await told.get_by_role("button", name="Load history").click()
        await expect(told).to_have_count(0)
        await expect(page.locator(f"{ROW} .summary").first).to_have_text(f"GET /{number} → 200")


async def test_more_than_is_shown_a_second_is_said(rig: Rig, browser: Browser) -> None:
    await rig.stop()
    await rig.start(tail_rows_per_s=5)
    async with looking(browser, rig.signed) as page:
        await live(page)
        await rig.publish(*(entry(n) for n in range(100)))
        await expect(page.locator(".counts")).to_contain_text("100 matched · 5 shown (too many a second for all)")


async def test_the_policy_keeps_the_page_from_others_and_from_inline_code(rig: Rig, browser: Browser) -> None:
    page = await browser.new_page()
    await page.goto(rig.signed)
    await live(page)
    kept = await page.evaluate(
        """async () => {
            const kept = [];
            document.addEventListener("securitypolicyviolation", (event) => kept.push(event.effectiveDirective));
            await fetch("//localhost:9/x").catch(() => 0);
            const add = (name, more) => document.body.append(Object.assign(document.createElement(name), more));
            add("script", { textContent: "window.ran = 1" });
            add("style", { textContent: "body { color: red }" });
            add("img", { src: "//localhost:9/x.png" });
            add("iframe", { src: "//localhost:9/" });
            await new Promise((done) => setTimeout(done, 200));
            return [window.ran === undefined, ...kept.sort()];
        }"""
    )
    assert kept == [True, "connect-src", "frame-src", "img-src", "script-src-elem", "style-src-elem"]
