"""The list: history and live entries, order and columns, what is left out, pause and start, keeping one's place."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Browser, Page, expect

from weir.testing.browsing import ROW, Rig, connection, entry, filtered, live, looking, rows_are

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


async def test_a_row_tells_who_called_whom_how_and_with_what_outcome(rig: Rig, browser: Browser) -> None:
    await rig.stored(
        entry(1, summary="POST /orders?x=1 → 503", method="POST", ok=False, elapsed_time=2_300_000),
        entry(2, protocol="dns", method=None, summary="A cart → 10.0.0.9"),
    )
    async with looking(browser, rig.signed) as page:
        dns, call = page.locator(ROW).nth(0), page.locator(ROW).nth(1)
        for part, text in {
            "time": re.compile(r"\d\d:\d\d:\d\d\.001$"), "mark": "✕", "source": "cart.shop", "target": "pay.shop:80",
            "protocol": "http", "method": "POST ", "path": "/orders?x=1", "status": " → 503", "latency": "2.3 s",
            "size": "300 B",
        }.items():  # fmt: skip
            await expect(call.locator(f".{part}")).to_have_text(text)
        await expect(call.locator(".mark")).to_have_attribute("aria-label", "failed")
        await expect(dns.locator(".whole")).to_have_text("A cart → 10.0.0.9")
        await expect(dns.locator(".mark")).to_have_text("✓")


async def test_one_protocol_has_the_columns_that_it_declares(rig: Rig, browser: Browser) -> None:
    lookup = entry(1, protocol="dns", summary="A cart → NXDOMAIN", dns_name="cart", dns_type="A", dns_rcode="NXDOMAIN")
    await rig.stored(lookup, entry(2))
    async with looking(browser, rig.signed) as page:
        headings = page.get_by_role("columnheader")
        await expect(headings.filter(has_text="Method")).to_have_count(1)
        await page.get_by_role("button", name="dns", exact=True).click()
        await rows_are(page, ["A cart → NXDOMAIN"])
        titles = ["Time", "", "Source", "Target", "Protocol", "Name", "Type", "Answer", "Latency", "Size"]
        await expect(headings).to_have_text(titles)
        await expect(page.locator(f"{ROW} .summary > span")).to_have_text(["cart", "A", "NXDOMAIN"])


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


async def test_failed_ones_and_slow_ones_come_first_with_one_click(rig: Rig, browser: Browser) -> None:
    bad = entry(2, summary="GET /2 → 500", ok=False)
    await rig.stored(entry(1, elapsed_time=9_000_000), bad, entry(3))
    async with looking(browser, rig.signed) as page:
        await rows_are(page, [*gets(3), "GET /2 → 500", *gets(1)])
        await page.get_by_role("button", name="Failed first").click()
        await rows_are(page, ["GET /2 → 500", *gets(3, 1)])
        await expect(page.locator(".state")).to_have_text("history")
        await page.get_by_role("button", name="Slowest first").click()
        await rows_are(page, [*gets(1, 3), "GET /2 → 500"])
        await page.get_by_role("button", name="Oldest").click()
        await rows_are(page, [*gets(1), "GET /2 → 500", *gets(3)])
        await rig.stored(entry(4))
        await page.get_by_role("button", name="Back to live").click()
        await rows_are(page, [*gets(4, 3), "GET /2 → 500", *gets(1)])
        await live(page)
        await rig.publish(entry(5))
        await page.get_by_text("GET /5 →").wait_for()


async def test_what_matched_was_shown_missed_and_hidden_is_counted(rig: Rig, browser: Browser) -> None:
    await rig.stored(entry(1), entry(2, tags=["probe"]))
    async with looking(browser, rig.signed) as page:
        await rows_are(page, gets(1))
        await live(page)
        await rig.publish(entry(3), entry(4, tags=["probe"]), entry(5))
        counts = page.locator(".counts")
        await expect(counts).to_contain_text("2 matched · 2 shown")
        await counts.get_by_role("button", name="2 hidden").click()
        await rows_are(page, gets(5, 4, 3, 2, 1))
        assert "hidden=true" in page.url
        await counts.get_by_role("button", name="hide probes").click()
        await rows_are(page, gets(5, 3, 1))


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
        grid = page.get_by_role("grid")
        await expect(grid).to_have_attribute("aria-rowcount", "201")
        await live(page)
        await page.locator(".rows").evaluate("(rows) => { rows.scrollTop = 1010; }")
        await page.get_by_text("GET /410 →").wait_for()
        before = await top_row(page)
        await rig.publish(*(entry(n) for n in range(450, 520)))
        await expect(grid).to_have_attribute("aria-rowcount", "271")
        assert await top_row(page) == before
        for count in ("471", "521"):
            await page.locator(".rows").evaluate("(rows) => { rows.scrollTop = rows.scrollHeight; }")
            await expect(grid).to_have_attribute("aria-rowcount", count)
        await page.locator(".rows").evaluate("(rows) => { rows.scrollTop = rows.scrollHeight; }")
        await page.get_by_text("GET /0 →").wait_for()
        await expect(page.locator(".end")).to_have_text("the beginning of what is kept")
        assert await page.locator(ROW).count() < 100
        await page.get_by_role("button", name="↑ 70 newer").click()
        await page.get_by_text("GET /519 →").wait_for()
        await expect(page.get_by_role("button", name="newer")).to_have_count(0)


async def test_another_filter_is_read_from_its_top(rig: Rig, browser: Browser) -> None:
    await rig.stored(*(entry(n) for n in range(150)))
    async with looking(browser, rig.signed) as page:
        await page.get_by_text("GET /149 →").wait_for()
        await page.locator(".rows").evaluate("(rows) => { rows.scrollTop = 2000; }")
        await page.get_by_text("GET /80 →").wait_for()
        await filtered(page, "status_code == 200")
        await page.get_by_text("GET /149 →").wait_for()


async def test_the_row_under_the_pointer_does_not_move_away(rig: Rig, browser: Browser) -> None:
    await rig.stored(*(entry(n) for n in range(40)))
    async with looking(browser, rig.signed) as page:
        await live(page)
        row = page.get_by_text("GET /37 →")
        await row.hover()
        before = await top_row(page)
        await rig.publish(*(entry(n) for n in range(40, 50)))
        await page.get_by_role("button", name="↑ 10 newer").wait_for()
        assert await top_row(page) == before
        await page.mouse.move(5, 5)
        await expect(page.get_by_role("button", name="newer")).to_have_count(0)
        assert (await top_row(page))[0].startswith("GET /49")
