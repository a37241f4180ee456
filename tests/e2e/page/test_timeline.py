"""The time line: what it draws, zooming into history and back, jumping to a moment, losses where they were."""

from __future__ import annotations

import time
from typing import Any

import pytest
from playwright.async_api import Browser, Locator, Page, expect

from weir.testing.browsing import Rig, entry, live, looking, rows_are

pytestmark = pytest.mark.browser

S = 1_000_000_000


def ago(seconds: float, number: int, **more: Any) -> dict[str, Any]:
    return entry(number, timestamp=int((time.time() - seconds) * S)) | more


async def box(page: Page) -> tuple[float, float, float]:
    """Left and right end of the plot, and its middle from top to bottom."""
    found = await page.locator(".plot").bounding_box()
    assert found
    return found["x"] + 46, found["x"] + found["width"] - 12, found["y"] + found["height"] / 2


async def drag(page: Page, start: float, end: float) -> None:
    """Over a part of the time, as shares of the whole."""
    left, right, y = await box(page)
    await page.mouse.move(left + start * (right - left), y)
    await page.mouse.down()
    await page.mouse.move(left + (start + end) / 2 * (right - left), y)
    await page.mouse.move(left + end * (right - left), y)
    await page.mouse.up()


async def point_at(page: Page, bar: Locator) -> None:
    """The plot moves on while the time does: where the bar is now is told by its box."""
    place = await bar.bounding_box()
    assert place
    await page.mouse.move(place["x"] + place["width"] / 2, place["y"] + place["height"] / 2)


async def test_a_drag_zooms_into_history_and_one_click_leads_back(rig: Rig, browser: Browser) -> None:
    await rig.stored(ago(600, 1), ago(590, 2, ok=False), ago(20, 3))
    async with looking(browser, rig.signed) as page:
        await live(page)
        await rows_are(page, [f"GET /{n} → 200" for n in (3, 2, 1)])
        await expect(page.locator(".timeline .calls")).not_to_have_count(0)
        await expect(page.locator(".timeline .errors")).to_have_count(1)
        await drag(page, 0.2, 0.5)
        await rows_are(page, ["GET /2 → 200", "GET /1 → 200"])
        await expect(page.locator(".state")).to_have_text("history")
        assert "since=" in page.url
        assert "until=" in page.url
        await rig.publish(ago(0, 4))
        for _ in range(2):
            url = page.url
            await page.get_by_role("button", name="wider").click()
            await page.wait_for_function("(url) => location.href !== url", arg=url)
        await page.get_by_text("GET /3 →").wait_for()
        await page.get_by_role("button", name="Back to live").click()
        await page.get_by_text("GET /4 →").wait_for()
        await live(page)


async def test_a_click_shows_what_was_in_one_bar(rig: Rig, browser: Browser) -> None:
    await rig.stored(ago(450, 1), ago(20, 2))
    async with looking(browser, rig.signed) as page:
        bar = page.locator(".timeline .calls").first
        await bar.wait_for()
        await point_at(page, bar)
        await page.mouse.down()
        await page.mouse.up()
        await rows_are(page, ["GET /1 → 200"])


async def test_a_bar_is_told_in_words_to_pointer_and_keys(rig: Rig, browser: Browser) -> None:
    await rig.stored(*(ago(300, n, ok=n > 0, elapsed_time=20_000, sample_rate=0.5) for n in range(4)))
    async with looking(browser, rig.signed) as page:
        bar = page.locator(".timeline .calls")
        await bar.wait_for()
        await point_at(page, bar)
        tip = page.locator(".tip")
        for said in ("0.80/s", "✕ 0.20/s failed (25 %)", "p95 20.0 ms", "50 % of it decoded"):
            await expect(tip).to_contain_text(said)
        await expect(page.locator(".timeline [fill='url(#sampled)']")).to_have_count(1)
        await page.mouse.move(5, 5)
        await expect(tip).to_have_count(0)
        plot = page.get_by_role("slider")
        await plot.focus()
        await page.keyboard.press("End")
        for _ in range(200):
            if "failed" in (await plot.get_attribute("aria-valuetext") or ""):
                break
            await page.keyboard.press("ArrowLeft")
        await page.keyboard.press("Enter")
        await expect(page.locator(".state")).to_have_text("history")
        await expect(page.get_by_role("grid")).to_have_attribute("aria-rowcount", "5")


async def test_a_moment_is_jumped_to(rig: Rig, browser: Browser) -> None:
    await rig.stored(ago(1200, 1), ago(5, 2))
    async with looking(browser, rig.signed) as page:
        await live(page)
        await page.keyboard.press("t")
        field = page.get_by_label("Jump to")
        await field.fill("nonsense")
        await expect(page.get_by_role("dialog", name="Time")).to_contain_text("is expected")
        await field.fill("20m")
        await field.press("Enter")
        await rows_are(page, ["GET /1 → 200"])
        await page.keyboard.press("t")
        await page.get_by_role("button", name="5 minutes", exact=True).click()
        await rows_are(page, ["GET /2 → 200"])
        await live(page)
        assert page.url == f"{rig.url}?since=5m"


async def test_losses_are_drawn_where_they_happened(rig: Rig, browser: Browser) -> None:
    async with looking(browser, rig.signed) as page:
        await live(page)
        await rig.beat(lost={"capture.kernel": 10})
        await page.locator(".timeline .lost").wait_for(state="attached")
        plot = page.get_by_role("slider")
        await plot.focus()
        await page.keyboard.press("End")
        for _ in range(5):
            if "lost 10 (capture.kernel)" in (await plot.get_attribute("aria-valuetext") or ""):
                break
            await page.keyboard.press("ArrowLeft")
        await expect(page.locator(".tip")).to_contain_text("lost 10 (capture.kernel)")
    async with looking(browser, rig.signed) as later:  # who comes afterwards sees them, too
        await later.locator(".timeline .lost").wait_for(state="attached")


async def test_entries_of_long_ago_are_where_the_time_line_is(rig: Rig, browser: Browser) -> None:
    await rig.stored(entry(1), entry(2, ok=False))
    async with looking(browser, rig.signed) as page:
        await page.locator(".timeline .errors").wait_for(state="attached")
        await expect(page.locator(".state")).to_have_text("live")


async def test_what_has_just_begun_is_not_a_line_at_the_edge(rig: Rig, browser: Browser) -> None:
    """Bars of a second, where those of a quarter of an hour are of ten."""
    await rig.stored(*(ago(n, n) for n in range(30)))
    async with looking(browser, rig.signed) as page:
        await expect(page.locator(".timeline .calls").nth(24)).to_be_attached()
