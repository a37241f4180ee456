"""`weir up` as a person starts it, and the page at the URL that it prints."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from weir.cli.demo import RECORDING
from weir.testing.browsing import ROW, filtered, looking, weir_up

pytestmark = pytest.mark.browser

MAY_CAPTURE = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to capture")


async def test_a_capture_file_on_the_page(browser: Browser, tmp_path: Path) -> None:
    with weir_up(tmp_path, "--file", str(RECORDING)) as url:
        async with looking(browser, url) as page:
            await filtered(page, 'method == "POST" && path == "/orders"')
            await expect(page.locator(f"{ROW} .summary").first).to_have_attribute("title", re.compile("POST /orders"))
            times = await page.locator(f"{ROW} .time").evaluate_all(
                "(cells) => cells.map((cell) => [cell.getBoundingClientRect().top, cell.title])"
            )
            assert [time for _, time in sorted(times)] == sorted((time for _, time in times), reverse=True)
            await page.locator(ROW).first.click()
            detail = page.get_by_role("complementary", name="Entry")
            await expect(detail.get_by_role("region", name="Request")).to_contain_text("Bearer masked:")
            await expect(detail.get_by_role("region", name="Request").locator("pre")).to_contain_text('"item"')
            await expect(detail.get_by_role("region", name="Response")).to_contain_text("content-type")


@MAY_CAPTURE
@pytest.mark.root
async def test_the_demo_is_watched_live(browser: Browser, tmp_path: Path) -> None:
    with weir_up(tmp_path, "--demo") as url:
        async with looking(browser, url) as page:
            newest = page.locator(f"{ROW} .time").first
            await newest.wait_for(timeout=30_000)
            await expect(page.locator(".banner")).to_have_count(0)
            seen = await newest.get_attribute("title")
            await expect(newest).not_to_have_attribute("title", seen or "", timeout=20_000)
            await page.get_by_role("button", name="grpc").click()
            await expect(page.locator(f"{ROW} .protocol").first).to_have_text("grpc", timeout=20_000)
            await expect(page.locator(f"{ROW} .summary").first).to_contain_text("demo.Payments/")


@MAY_CAPTURE
@pytest.mark.root
async def test_without_a_target_only_connections_are_promised(browser: Browser, tmp_path: Path) -> None:
    with weir_up(tmp_path, "--interface", "lo") as url:
        async with looking(browser, url) as page:
            outline = page.get_by_role("region", name="Outline")
            await expect(outline).to_contain_text("No payload is read until somebody chooses")
