"""The filter bar: completion, faults, history, saved filters, words to find, and the buttons that write into it."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Browser, expect

from weir.testing.browsing import Rig, entry, filtered, live, looking, rows_are

pytestmark = pytest.mark.browser


async def test_a_filter_chooses_from_history_and_from_what_comes(rig: Rig, browser: Browser) -> None:
    await rig.stored(entry(1, path="/orders"), entry(2, path="/carts"))
    async with looking(browser, rig.signed) as page:
        await live(page)
        await filtered(page, 'path.startsWith("/ord")')
        await rows_are(page, ["GET /1 → 200"])
        await rig.publish(entry(3, path="/carts"), entry(4, path="/orders/7"))
        await rows_are(page, ["GET /4 → 200", "GET /1 → 200"])
        await page.get_by_role("button", name="Clear the filter").click()
        await rows_are(page, [f"GET /{n} → 200" for n in (4, 3, 2, 1)])
        await expect(page.get_by_label("Filter", exact=True)).to_have_value("")


async def test_fields_and_values_are_completed_with_the_keyboard_alone(rig: Rig, browser: Browser) -> None:
    await rig.stored(entry(1, method="DELETE"), entry(2, method="DELETE"), entry(3, method="PATCH"))
    async with looking(browser, rig.signed) as page:
        await live(page)
        bar, press = page.get_by_label("Filter", exact=True), page.keyboard.press
        await press("/")
        await page.keyboard.type("metho")
        proposed = page.get_by_role("option")
        await expect(proposed.first).to_contain_text("method")
        await press("Tab")
        await expect(bar).to_have_value("method")
        await page.keyboard.type(" == ")
        await expect(proposed.first).to_contain_text('"DELETE"')
        await expect(proposed.nth(1)).to_contain_text('"PATCH"')
        await press("ArrowDown")
        await press("ArrowDown")
        await expect(page.get_by_role("option", selected=True)).to_contain_text("PATCH")
        await press("Enter")
        await expect(bar).to_have_value('method == "PATCH"')
        await press("Escape")
        await press("Enter")
        await rows_are(page, ["GET /3 → 200"])


async def test_the_wrong_piece_is_underlined_and_mended_with_a_click(rig: Rig, browser: Browser) -> None:
    await rig.stored(entry(1), entry(2, status_code=500))
    async with looking(browser, rig.signed) as page:
        await live(page)
        await filtered(page, "http && status_cod >= 500", taken=False)
        await expect(page.locator(".fault")).to_have_text("status_cod")
        await expect(page.get_by_label("Filter", exact=True)).to_have_attribute("aria-invalid", "true")
        await expect(page.locator(".filter-says")).to_contain_text('unknown field "status_cod"')
        await rows_are(page, ["GET /2 → 200", "GET /1 → 200"])
        await page.get_by_role("button", name="did you mean status_code?").click()
        await expect(page.locator(".fault")).to_have_count(0)
        await page.keyboard.press("Enter")
        await rows_are(page, ["GET /2 → 200"])


@pytest.mark.parametrize(
    "text", ["http &&", "status_code == ", "(", '"', "((((((((((", "path == 'x", "1 +", "💥 == 1", "failed = 1"]
)
async def test_no_wrong_filter_is_taken_and_none_breaks_the_page(rig: Rig, browser: Browser, text: str) -> None:
    await rig.stored(entry(1))
    async with looking(browser, rig.signed) as page:
        await live(page)
        await filtered(page, text, taken=False)
        await expect(page.locator(".filter-says")).not_to_be_empty()
        await rows_are(page, ["GET /1 → 200"])
        await page.keyboard.press("Escape")
        await expect(page.get_by_label("Filter", exact=True)).to_have_value("")


async def test_words_that_are_no_filter_are_looked_for(rig: Rig, browser: Browser) -> None:
    await rig.stored(entry(1, summary="GET /Orders/1 → 200"), entry(2), entry(3, summary="A orders → NXDOMAIN"))
    async with looking(browser, rig.signed) as page:
        await live(page)
        await filtered(page, "orders", taken=False)
        await rows_are(page, ["A orders → NXDOMAIN", "GET /Orders/1 → 200"])
        await expect(page.get_by_label("Filter", exact=True)).to_have_value('summary.matches("(?i)orders")')


async def test_buttons_write_into_the_filter(rig: Rig, browser: Browser) -> None:
    failed_lookup = entry(2, protocol="dns", summary="A cart → NXDOMAIN", ok=False)
    await rig.stored(entry(1), failed_lookup, entry(3, protocol="dns", summary="A pay → 10.0.0.2"))
    async with looking(browser, rig.signed) as page:
        await live(page)
        bar, button = page.get_by_label("Filter", exact=True), page.get_by_role("button", name="dns", exact=True)
        await button.click()
        await expect(bar).to_have_value("dns")
        await rows_are(page, ["A pay → 10.0.0.2", "A cart → NXDOMAIN"])
        await page.get_by_role("button", name="http", exact=True).click()
        await expect(bar).to_have_value("(dns || http)")
        await page.get_by_role("button", name="failed only").click()
        await expect(bar).to_have_value("(dns || http) && failed")
        await rows_are(page, ["A cart → NXDOMAIN"])
        await expect(button).to_have_attribute("aria-pressed", "true")
        for name in ("dns", "http", "failed only"):
            await page.get_by_role("button", name=name).first.click()
        await expect(bar).to_have_value("")
        await filtered(page, 'protocol == "dns" && path == ""')
        await expect(button).to_have_attribute("aria-pressed", "true")


async def test_filters_are_remembered_and_saved_for_everybody(rig: Rig, browser: Browser) -> None:
    await rig.stored(entry(1), entry(2, status_code=503, ok=False))
    async with looking(browser, rig.signed) as page:
        await live(page)
        await filtered(page, "status_code >= 500")
        await page.get_by_role("button", name="☆ Saved").click()
        saved = page.get_by_role("dialog", name="Saved filters")
        await saved.get_by_role("textbox", name="Name").fill("broken")
        await saved.get_by_role("button", name="Save", exact=True).click()
        await expect(saved.get_by_role("listitem")).to_contain_text("broken")
        await page.keyboard.press("Escape")
        await expect(saved).to_have_count(0)
        await filtered(page, "")
        await page.get_by_label("Filter", exact=True).click()
        await expect(page.get_by_role("option").first).to_contain_text("broken")
    async with looking(browser, rig.signed) as page:
        await live(page)
        await filtered(page, "broken && http")
        await rows_are(page, ["GET /2 → 200"])
        await page.get_by_role("button", name="☆ Saved").click()
        await page.get_by_role("button", name="Forget broken").click()
        await expect(page.get_by_role("dialog", name="Saved filters")).to_contain_text("No filter has been saved yet")


async def test_what_was_used_here_is_proposed_again(rig: Rig, browser: Browser) -> None:
    async with looking(browser, rig.signed) as page:
        await live(page)
        await filtered(page, "elapsed_time > 77")
        await filtered(page, "")
        await page.reload()
        await live(page)
        await page.get_by_label("Filter", exact=True).click()
        await page.get_by_role("option", name="elapsed_time > 77").click()
        await expect(page.get_by_label("Filter", exact=True)).to_have_value("elapsed_time > 77")
        # Written at once, in force when the hub has checked it.
        await page.wait_for_url(re.compile("elapsed_time"))
