"""One entry: both sides, headers and bodies, its conversation, copying; and values that try to be more than text."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest
from playwright.async_api import Browser, expect

from weir.testing.browsing import Rig, entry, live, looking, rows_are

pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>\u202egnp.exe\u001b[31m\u0000"
INERT = "<img src=x onerror=alert(1)><script>alert(2)</script>\\u202egnp.exe\\u001b[31m\\u0000"


def exchange(**more: Any) -> dict[str, Any]:
    return entry(
        7, summary="POST /orders → 201", method="POST",
        request={
            "size": 120, "headers": {"content-type": "application/json", "authorization": "Bearer masked:12ab34cd"},
            "body": {"size": 11, "text": '{"item":23}'},
        },
        response={"size": 90, "headers": {"location": "/orders/1"}, "trailers": {"x-sum": "1"},
                  "body": {"size": 3, "data": b64encode(b"\x00A\xff").decode(), "truncated": True}},
        weird=["header folded"], incomplete=["2 bytes are missing"],
    ) | more  # fmt: skip


async def test_an_entry_opens_with_both_sides(rig: Rig, browser: Browser) -> None:
    await rig.stored(exchange())
    async with looking(browser, rig.signed) as page:
        await page.get_by_text("POST /orders → 201").click()
        detail = page.get_by_role("complementary", name="Entry")
        request, response = detail.get_by_role("region", name="Request"), detail.get_by_role("region", name="Response")
        await expect(request).to_contain_text("Bearer masked:12ab34cd")
        await expect(request.locator("pre")).to_have_text('{\n  "item": 23\n}')
        await expect(response).to_contain_text("/orders/1")
        await expect(response).to_contain_text("x-sum")
        await expect(response).to_contain_text("cut")
        await expect(response.locator("pre")).to_contain_text("00 41 ff")
        for said in ("cart.shop:40000 → pay.shop:80", "1.5 ms", "Weird: header folded", "Incomplete: 2 bytes", "f7"):
            await expect(detail).to_contain_text(said)
        await detail.get_by_role("button", name="Close").click()
        await expect(detail).to_have_count(0)


async def test_a_live_entry_opens_before_history_has_it(rig: Rig, browser: Browser) -> None:
    async with looking(browser, rig.signed, quiet=False) as page:
        await live(page)
        async with rig.archive_waits():
            await rig.publish(exchange())
            await page.get_by_text("POST /orders → 201").click()
            detail = page.get_by_role("complementary", name="Entry")
            await expect(detail).to_contain_text("cart.shop:40000")
            await expect(detail).to_contain_text("Loading")
        await expect(detail).to_contain_text("Bearer masked")
        await expect(detail).not_to_contain_text("Loading")


async def test_one_conversation_is_shown_with_its_connection(rig: Rig, browser: Browser) -> None:
    whole = entry(9, kind="flow", protocol="tcp", flow_id="f7", summary="tcp fin", conn_l7_detected=["http"])
    await rig.stored(exchange(), entry(8), whole)
    async with looking(browser, rig.signed) as page:
        await rows_are(page, ["GET /8 → 200", "POST /orders → 201"])
        await page.get_by_text("POST /orders → 201").click()
        await page.get_by_role("button", name="Show this conversation").click()
        await rows_are(page, ["tcp fin", "POST /orders → 201"])
        await page.get_by_role("button", name="one conversation").click()
        await rows_are(page, ["GET /8 → 200", "POST /orders → 201"])


async def test_values_are_copied_as_they_came(rig: Rig, browser: Browser) -> None:
    await rig.stored(exchange())
    async with looking(browser, rig.signed, permissions=["clipboard-read", "clipboard-write"]) as page:
        await page.get_by_text("POST /orders → 201").click()
        for name, value in {"Copy location": "/orders/1", "Copy body of the request": '{"item":23}'}.items():
            button = page.get_by_role("button", name=name)
            await button.click()
            await expect(button).to_have_text("copied")
            assert await page.evaluate("navigator.clipboard.readText()") == value


async def test_hostile_values_stay_text(rig: Rig, browser: Browser) -> None:
    hostile = entry(
        1, summary=HOSTILE, protocol=HOSTILE[:28], path=HOSTILE, weird=[HOSTILE], incomplete=[HOSTILE],
        src={"ip": "10.0.0.1", "port": 1, "name": HOSTILE},
        dst={"ip": HOSTILE, "port": 2, "labels": {HOSTILE: HOSTILE}},
        request={"headers": {HOSTILE: HOSTILE, "__proto__": "x"}, "body": {"text": HOSTILE, "encoding": HOSTILE}},
        response={"headers": {"a": HOSTILE}, "body": {"data": "AEH/"}}, constructor=HOSTILE,
    )  # fmt: skip
    await rig.stored(hostile)
    async with looking(browser, rig.signed) as page:
        page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
        await rows_are(page, [INERT])
        await page.locator(".rows .row").click()
        detail = page.get_by_role("complementary", name="Entry")
        await expect(detail.get_by_role("region", name="Request").locator("pre")).to_have_text(INERT)
        await expect(detail.locator("h2")).to_have_text(INERT)
        await expect(detail).to_contain_text("__proto__")
        assert await page.locator("#page img, #page script, #page iframe").count() == 0
        text, titles = await page.evaluate(
            "() => [document.body.innerText, [...document.querySelectorAll('[title], [aria-label]')]"
            ".map((one) => one.title + one.getAttribute('aria-label')).join()]"
        )
        assert not set("\u202e\u001b\u0000") & set(text + titles)
