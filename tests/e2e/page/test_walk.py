"""What a new user does with `make run`: find the slowest failing call, show it to another, stay while weir is away.

A picture of each step is left in the test's folder.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.async_api import Browser, Page, expect

from weir.testing.browsing import ROW, filtered, looking, weir_up
from weir.testing.kafka.realkafka import free_port

pytestmark = [
    pytest.mark.browser, pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root to capture"),
]  # fmt: skip

PHONE = {"width": 390, "height": 760}
CLICKS = 5
COUNT_CLICKS = "window.clicks = 0; addEventListener('click', () => { window.clicks += 1; }, true);"
SLOWEST = """async () => {
    const asked = new URLSearchParams({ filter: "failed", order: "slowest", limit: "1", detail: "summary" });
    return (await (await fetch(`api/v1/entries?${asked}`)).json()).entries[0].elapsed_time;
}"""
TOO_WIDE = "() => document.documentElement.scrollWidth > innerWidth"


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[str]:
    with weir_up(tmp_path, "--demo") as url:
        yield url


@pytest.fixture
async def page(demo: str, browser: Browser) -> AsyncIterator[Page]:
    """The demo on a desk, with a call that failed in sight."""
    async with looking(browser, demo) as page:
        await page.add_init_script(COUNT_CLICKS)
        await page.goto(demo)
        await failing(page)
        yield page


async def failing(page: Page) -> None:
    await page.locator(f"{ROW}.failed").first.wait_for(timeout=60_000)


async def step(page: Page, folder: Path, name: str) -> None:
    await page.screenshot(path=folder / f"{name}.png")


async def chosen(page: Page) -> dict[str, Any]:
    """The entry that is open, as the API tells it."""
    [entry_id] = parse_qs(urlsplit(page.url).query)["id"]
    entry: dict[str, Any] = await page.evaluate("async (id) => (await fetch(`api/v1/entries/${id}`)).json()", entry_id)
    return entry


async def is_slowest_failure(page: Page, known: int) -> None:
    """It failed, and took no less than what was known of before the page was asked."""
    found = await chosen(page)
    assert found["ok"] is False
    assert found["elapsed_time"] >= known


async def test_the_slowest_failing_call_is_found_in_five_clicks_and_shown_to_another(
    page: Page, demo: str, browser: Browser, tmp_path: Path
) -> None:
    await step(page, tmp_path, "1-begun")
    known = await page.evaluate(SLOWEST)
    await page.get_by_role("button", name="failed only").click()
    await page.get_by_role("button", name="Slowest first").click()
    await step(page, tmp_path, "2-slowest-failures")
    await page.get_by_role("grid", name="Entries, slowest first").locator(ROW).first.click()
    detail = page.get_by_role("complementary", name="Entry")
    await detail.get_by_role("heading", name="Conversation").wait_for()
    assert await page.evaluate("window.clicks") <= CLICKS
    await is_slowest_failure(page, known)
    await step(page, tmp_path, "3-detail")

    shared, title = page.url, await detail.locator("h2").inner_text()
    token = parse_qs(urlsplit(demo).query)["token"][0]
    assert token not in shared
    async with looking(browser, shared, quiet=False) as stranger:
        await expect(stranger.locator("body")).to_contain_text("Open the whole URL that weir printed")
        await step(stranger, tmp_path, "4-without-token")
    async with looking(browser, f"{shared}&token={token}", viewport={"width": 1440, "height": 900}) as other:
        await expect(other.locator(".detail h2")).to_have_text(title)
        await expect(other.get_by_label("Filter", exact=True)).to_have_value("failed")
        await expect(other.get_by_role("button", name="Slowest first")).to_have_attribute("aria-pressed", "true")
        await expect(other.locator(f"{ROW}.selected")).to_have_count(1)
        assert other.url == shared
        await step(other, tmp_path, "5-second-browser")


async def test_from_a_call_to_others_like_it_to_the_map_and_back(page: Page, tmp_path: Path) -> None:
    await page.locator(f"{ROW}.failed").first.click()
    detail = page.get_by_role("complementary", name="Entry")
    await detail.get_by_role("button", name="Show others like it").click()
    bar = page.get_by_label("Filter", exact=True)
    await expect(bar).not_to_have_value("")
    await page.locator(ROW).first.wait_for()
    await step(page, tmp_path, "1-others-like-it")
    await filtered(page, 'path == "/nothing-of-this-name"')
    await expect(page.locator(".empty")).to_contain_text("Nothing matches. Take a condition away, or wait.")
    await step(page, tmp_path, "2-nothing-matches")
    await page.get_by_role("main").get_by_role("button", name="Clear the filter").click()
    await page.locator(ROW).first.wait_for()
    await page.get_by_role("button", name="Map", exact=True).click()
    box = page.locator(".node", has_text="checkout").first
    await box.wait_for(timeout=20_000)
    await step(page, tmp_path, "3-map")
    await box.click()
    await page.locator(ROW).first.wait_for()
    assert "checkout" in await bar.input_value()
    await page.get_by_role("button", name="State", exact=True).click()
    await expect(page.get_by_role("region", name="Stages")).to_contain_text("entries/s")
    await step(page, tmp_path, "4-state")
    await expect(page.locator(".banner")).to_have_count(0)


async def test_weir_goes_and_returns_while_somebody_looks(browser: Browser, tmp_path: Path) -> None:
    listen = f"127.0.0.1:{free_port()}"
    with weir_up(tmp_path, "--demo", listen=listen) as url:
        context = await browser.new_context()
        page = await context.new_page()
        await page.goto(url)
        await failing(page)
        await page.locator(f"{ROW}.failed").first.click()
        title = page.locator(".detail h2")
        told = await title.inner_text()
    await expect(page.locator(".state")).to_contain_text("connection lost")
    await step(page, tmp_path, "1-gone")
    await expect(title).to_have_text(told)
    assert await page.locator(ROW).count()
    with weir_up(tmp_path, "--demo", listen=listen) as again:
        assert again == url
        newest = page.locator(f"{ROW} .time").first
        await page.locator(".state.live").wait_for(timeout=30_000)
        await page.keyboard.press("Escape")
        seen = await newest.get_attribute("title")
        await expect(newest).not_to_have_attribute("title", seen or "", timeout=30_000)
        await step(page, tmp_path, "2-returned")
        await expect(page.locator(".banner.bad")).to_have_count(0)
        async with looking(browser, f"{url.partition('?')[0]}?token=not-the-token-of-this-weir", quiet=False) as other:
            await expect(other.locator("body")).to_contain_text("Open the whole URL that weir printed")
    await context.close()


async def test_the_same_on_a_phone_by_keys_alone(demo: str, browser: Browser, tmp_path: Path) -> None:
    async with looking(browser, demo, viewport=PHONE) as page:
        await failing(page)
        await step(page, tmp_path, "1-begun")
        press, known = page.keyboard.press, await page.evaluate(SLOWEST)
        await press("f")
        grid = page.get_by_role("grid")
        for wanted in ("oldest", "slowest"):
            await press("o")
            await expect(grid).to_have_attribute("aria-label", f"Entries, {wanted} first")
        await page.locator(ROW).first.wait_for()
        await step(page, tmp_path, "2-slowest-failures")
        await press("ArrowDown")
        await page.get_by_role("heading", name="Conversation").wait_for()
        await is_slowest_failure(page, known)
        await step(page, tmp_path, "3-detail")
        assert not await page.evaluate(TOO_WIDE)
        await press("Escape")
        await expect(page.locator(".list")).to_be_visible()
        for key, name, part in (("2", "map", page.locator(".node")), ("3", "state", page.locator(".stage"))):
            await press(key)
            await part.first.wait_for()
            assert not await page.evaluate(TOO_WIDE)
            await step(page, tmp_path, f"4-{name}")
        await press("1")
        await press("l")
        await press("c")
        await page.locator(".state.live").wait_for()
        assert urlsplit(page.url).query == ""
