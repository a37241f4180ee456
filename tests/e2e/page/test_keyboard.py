"""Everything is done without a mouse, every control has a name, and the sheet tells the keys."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, Page, expect

from weir.testing.browsing import ROW, Rig, entry, live, looking, rows_are

pytestmark = pytest.mark.browser

FOCUSED = "document.activeElement.ariaLabel || document.activeElement.textContent"


async def test_an_entry_is_found_opened_and_closed_by_keys(rig: Rig, browser: Browser) -> None:
    await rig.stored(*(entry(n) for n in range(1, 4)))
    async with looking(browser, rig.signed) as page:
        await live(page)
        await page.locator(ROW).nth(2).wait_for()
        press, chosen, title = page.keyboard.press, page.locator(".row.selected .summary"), page.locator(".detail h2")
        await press("ArrowDown")
        await expect(title).to_contain_text("GET /3 → 200")
        for _ in range(3):
            await press("ArrowDown")
        await expect(title).to_contain_text("GET /1 → 200")
        await press("k")
        await expect(chosen).to_have_attribute("title", "GET /2 → 200")
        await expect(title).to_contain_text("GET /2 → 200")
        await press("j")
        await expect(title).to_contain_text("GET /1 → 200")
        await press("Escape")
        await expect(title).to_have_count(0)


async def test_views_orders_and_time_have_keys(rig: Rig, browser: Browser) -> None:
    await rig.stored(entry(1, elapsed_time=9_000), entry(2, ok=False), entry(3))
    async with looking(browser, rig.signed) as page:
        await live(page)
        await page.locator(ROW).nth(2).wait_for()
        press = page.keyboard.press
        await press("f")
        await rows_are(page, ["GET /2 → 200"])
        await press("c")
        await rows_are(page, [f"GET /{n} → 200" for n in (3, 2, 1)])
        await press("o")
        await rows_are(page, [f"GET /{n} → 200" for n in (1, 2, 3)])
        await press("l")
        await rows_are(page, [f"GET /{n} → 200" for n in (3, 2, 1)])
        await press("Space")
        await expect(page.locator(".state")).to_have_text("paused")
        await press("Space")
        await live(page)
        await press("2")
        await page.get_by_role("region", name="Map").wait_for()
        await press("3")
        await page.get_by_role("region", name="State of weir").first.wait_for()
        await press("1")
        await page.locator(ROW).first.wait_for()
        await press("t")
        dialog = page.get_by_role("dialog", name="Time")
        await expect(dialog.get_by_role("button").first).to_be_focused()
        await press("Escape")
        await expect(dialog).to_have_count(0)
        assert await page.evaluate("document.activeElement.id") == "time"


async def test_keys_belong_to_the_field_where_one_writes(rig: Rig, browser: Browser) -> None:
    await rig.stored(entry(1))
    async with looking(browser, rig.signed) as page:
        await live(page)
        bar = page.get_by_label("Filter", exact=True)
        await page.keyboard.press("/")
        await expect(bar).to_be_focused()
        await page.keyboard.type("f l o 123 ?")
        await expect(bar).to_have_value("f l o 123 ?")
        assert page.url == rig.url
        for _ in range(3):
            await page.keyboard.press("Escape")
        await expect(bar).not_to_be_focused()
        await expect(bar).to_have_value("")


async def test_the_sheet_of_keys_opens_and_gives_the_focus_back(rig: Rig, browser: Browser) -> None:
    async with looking(browser, rig.signed) as page:
        await live(page)
        await page.get_by_role("button", name="Pause").focus()
        await page.keyboard.press("?")
        sheet = page.get_by_role("dialog", name="Keys")
        await expect(sheet).to_contain_text("write a filter")
        await page.keyboard.press("Escape")
        await expect(sheet).to_have_count(0)
        await expect(page.get_by_role("button", name="Pause")).to_be_focused()


async def tabbed(page: Page, times: int) -> list[str]:
    reached = []
    for _ in range(times):
        await page.keyboard.press("Tab")
        reached.append(await page.evaluate(FOCUSED))
    return reached


async def test_every_control_has_a_name_and_is_reached_by_tab_as_one_reads(rig: Rig, browser: Browser) -> None:
    await rig.stored(entry(1))
    async with looking(browser, rig.signed) as page:
        await live(page)
        await page.locator(ROW).wait_for()
        assert await tabbed(page, 7) == ["List", "Map", "State", "◷ All time", "Pause", "Keys", "Filter"]
        await page.keyboard.press("Escape")
        await page.get_by_label("Filter", exact=True).focus()
        await page.keyboard.press("Escape")
        await page.get_by_role("button", name="☆ Saved").focus()
        rest = await tabbed(page, 13)
        assert rest[:11] == [
            "http", "grpc", "dns", "tls", "tcp", "udp", "✕ failed only", "Newest", "Failed first",
            "Slowest first", "Oldest",
        ]  # fmt: skip
        assert rest[11].startswith("Time:")
        assert rest[12] == "Entries, newest first"
        nameless = await page.evaluate(
            "() => [...document.querySelectorAll('button, input, textarea, select, [tabindex=\"0\"]')]"
            ".filter((one) => !(one.ariaLabel || one.textContent.trim() || one.labels?.length))"
            ".map((one) => one.outerHTML)"
        )
        assert nameless == []
