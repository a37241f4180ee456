"""The list: history and live entries, what is left out, pause and start, finding, and keeping one's place."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, Page, expect

from weir.testing.browsing import ROW, Rig, connection, entry, live, looking, rows_are

pytestmark = pytest.mark.browser


def gets(*numbers: int) -> list[str]:
    return [f"GET /{number} → 200" for number in numbers]


async def test_history_fills_the_list_and_live_entries_come_in_the_order_of_time(rig: Rig, browser: Browser) -> None:
    await rig.stored(entry(1), entry(3))
    async with looking(browser, rig.signed) as page:
        await rows_are(page, gets(3, 1))
        await live(page)
        await rig.publish(entry(4), entry(2))
        await rows_are(page, gets(4, 3, 2, 1))
        await rig.publish(entry(3, version=2, summary="GET /3 → 500", ok=False))
        await rows_are(page, [*gets(4), "GET /3 → 500", *gets(2, 1)])
        assert await page.title() == "weir"
        assert page.url == rig.url


async def test_connections_of_decoded_calls_are_shown_when_asked_for(rig: Rig, browser: Browser) -> None:
    unread, decoded = connection(2), connection(3, conn_l7_detected=["http"])
    await rig.stored(entry(1), unread, decoded)
    async with looking(browser, rig.signed) as page:
        await rows_are(page, [unread["summary"], *gets(1)])
        await live(page)
        await rig.publish(connection(2, version=2, conn_l7_detected=["http"]), entry(4))
        await rows_are(page, gets(4, 1))
        await page.get_by_role("button", name="tcp", exact=True).click()
        await rows_are(page, [decoded["summary"], unread["summary"]])


async def test_pause_stops_and_start_goes_on_with_what_came_meanwhile(rig: Rig, browser: Browser) -> None:
    await rig.stored(entry(1))
    async with looking(browser, rig.signed) as page:
        await rows_are(page, gets(1))
        await live(page)
        await page.get_by_role("button", name="Pause").click()
        await expect(page.locator(".state")).to_have_text("paused")
        await rig.stored(entry(2))
        await page.wait_for_timeout(300)
        await rows_are(page, gets(1))
        await page.get_by_role("button", name="Start").click()
        await rows_are(page, gets(2, 1))
        await rig.publish(entry(3))
        await rows_are(page, gets(3, 2, 1))


async def test_text_and_chips_choose_from_history_and_from_what_comes(rig: Rig, browser: Browser) -> None:
    lookup = entry(2, protocol="dns", summary="A cart → 10.0.0.9")
    await rig.stored(entry(1, summary="GET /orders → 200"), lookup, entry(3, summary="GET /orders → 500", ok=False))
    async with looking(browser, rig.signed) as page:
        await live(page)
        await page.get_by_label("Find text").fill("ORDERS")
        await rows_are(page, ["GET /orders → 500", "GET /orders → 200"])
        await rig.publish(entry(4, summary="GET /other → 200"), entry(5, summary="PUT /orders → 200"))
        await rows_are(page, ["PUT /orders → 200", "GET /orders → 500", "GET /orders → 200"])
        failed = page.get_by_role("button", name="failed")
        await failed.click()
        await rows_are(page, ["GET /orders → 500"])
        await failed.click()
        await page.get_by_label("Find text").fill("")
        await page.get_by_role("button", name="dns").click()
        await rows_are(page, [lookup["summary"]])
        await rig.publish(entry(6), entry(7, protocol="dns", summary="AAAA cart → NXDOMAIN", ok=False))
        await rows_are(page, ["AAAA cart → NXDOMAIN", lookup["summary"]])
        await page.get_by_role("button", name="dns").click()
        await page.get_by_label("Find text").fill("nowhere to be found")
        await expect(page.locator(".empty")).to_contain_text("Nothing matches")


async def top_row(page: Page) -> tuple[str, float]:
    """The first row that is wholly in sight, and how far it is from the top."""
    place: tuple[str, float] = await page.evaluate(
        "() => { const top = document.querySelector('.rows').getBoundingClientRect().top;"
        "const rows = [...document.querySelectorAll('.rows .row')].map((row) => [row.querySelector('.summary')"
        ".textContent, row.getBoundingClientRect().top - top]).filter(([, at]) => at >= 0);"
        "return rows.sort((a, b) => a[1] - b[1])[0]; }"
    )
    return place


async def test_who_scrolled_down_keeps_the_place_and_gets_older_entries(rig: Rig, browser: Browser) -> None:
    await rig.stored(*(entry(n) for n in range(450)))
    async with looking(browser, rig.signed) as page:
        await expect(page.locator(".list")).to_have_attribute("aria-rowcount", "200")
        await live(page)
        await page.locator(".rows").evaluate("(rows) => { rows.scrollTop = 1010; }")
        await page.get_by_text("GET /410 →").wait_for()
        before = await top_row(page)
        await rig.publish(*(entry(n) for n in range(450, 520)))
        await expect(page.locator(".list")).to_have_attribute("aria-rowcount", "270")
        assert await top_row(page) == before
        for count in ("470", "520"):
            await page.locator(".rows").evaluate("(rows) => { rows.scrollTop = rows.scrollHeight; }")
            await expect(page.locator(".list")).to_have_attribute("aria-rowcount", count)
        await page.locator(".rows").evaluate("(rows) => { rows.scrollTop = rows.scrollHeight; }")
        await page.get_by_text("GET /0 →").wait_for()
        await expect(page.locator(".end")).to_have_text("the beginning of what is kept")
        assert await page.locator(ROW).count() < 100
