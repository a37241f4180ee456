"""The URL: whoever opens it sees the same; Back and Forward; what it may say that is wrong."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from playwright.async_api import Browser, expect

from weir.testing.browsing import ROW, TOKEN, Rig, entry, filtered, live, looking, rows_are

pytestmark = pytest.mark.browser


async def test_a_second_browser_sees_what_the_url_says(rig: Rig, browser: Browser) -> None:
    await rig.stored(*(entry(n, status_code=200 + n, ok=n != 2, elapsed_time=100 - n) for n in range(6)))
    async with looking(browser, rig.signed) as page:
        await live(page)
        await filtered(page, "status_code > 201 && http")
        await page.get_by_role("button", name="Failed first").click()
        await page.locator(ROW).nth(1).click()
        await page.locator(".detail h2").wait_for()
        shared, rows = page.url, await page.locator(f"{ROW} .summary").all_inner_texts()
        assert TOKEN not in shared
    async with looking(browser, f"{shared}&token={TOKEN}") as other:
        await expect(other.get_by_label("Filter", exact=True)).to_have_value("status_code > 201 && http")
        await expect(other.get_by_role("button", name="Failed first")).to_have_attribute("aria-pressed", "true")
        await expect(other.locator(".detail h2")).to_contain_text("GET /5 → 200")
        await expect(other.locator(".row.selected .summary")).to_have_attribute("title", "GET /5 → 200")
        assert await other.locator(f"{ROW} .summary").all_inner_texts() == rows
        assert other.url == shared
        await other.reload()
        await expect(other.locator(".detail h2")).to_contain_text("GET /5 → 200")


async def test_back_and_forward_lead_through_what_was_looked_at(rig: Rig, browser: Browser) -> None:
    await rig.stored(entry(1), entry(2, ok=False))
    async with looking(browser, rig.signed) as page:
        await live(page)
        await rows_are(page, ["GET /2 → 200", "GET /1 → 200"])
        await filtered(page, "failed")
        await rows_are(page, ["GET /2 → 200"])
        await page.locator(ROW).click()
        await page.locator(".detail h2").wait_for()
        await page.get_by_role("button", name="Map", exact=True).click()
        await page.get_by_role("region", name="Map").wait_for()
        await page.go_back()
        await page.locator(".detail h2").wait_for()
        await page.go_back()
        await expect(page.locator(".detail")).to_have_count(0)
        await page.go_back()
        await rows_are(page, ["GET /2 → 200", "GET /1 → 200"])
        await page.go_forward()
        await rows_are(page, ["GET /2 → 200"])
        await expect(page.get_by_label("Filter", exact=True)).to_have_value("failed")


async def test_each_view_has_its_url(rig: Rig, browser: Browser) -> None:
    async with looking(browser, f"{rig.signed}&view=state") as page:
        await page.get_by_role("region", name="State of weir").first.wait_for()
        await page.get_by_role("button", name="Map", exact=True).click()
        await page.get_by_role("region", name="Map").wait_for()
        assert page.url == f"{rig.url}?view=map"


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("filter=" + quote('path == "'), "The filter cannot be read"),
        ("filter=" + quote("<img src=x onerror=alert(1)>"), "The filter cannot be read"),
        ("since=yesterday", "is no time"),
        ("since=2001-01-01T00:00:00Z&until=2001-01-02T00:00:00Z", "Nothing matches in this time"),
        ("id=no-such-entry", "GET /1"),
        ("view=nonsense&order=nonsense", "GET /1"),
    ],
)
async def test_a_url_that_is_wrong_is_answered_in_words(rig: Rig, browser: Browser, query: str, says: str) -> None:
    await rig.stored(entry(1))
    async with looking(browser, f"{rig.signed}&{query}", quiet=False) as page:
        await expect(page.locator("body")).to_contain_text(says)
        if "Nothing" in says:
            await page.get_by_role("main").get_by_role("button", name="Back to live").click()
        elif "filter" in says:
            await page.get_by_role("main").get_by_role("button", name="Clear the filter").click()
        else:
            return
        await rows_are(page, ["GET /1 → 200"])

