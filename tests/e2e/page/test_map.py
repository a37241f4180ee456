"""The map: who calls whom, by whatever group; pointing, clicking, walking, reading it as a table, taking it along."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from weir.testing.browsing import Rig, entry, looking, rows_are

pytestmark = pytest.mark.browser

HOSTILE = '"><script>alert(1)</script>\u202e]\u0000'


def peer(name: str, number: int = 1) -> dict[str, Any]:
    return {
        "ip": f"10.0.{len(name)}.{number}", "port": 80, "name": f"{name}-{number}", "namespace": "shop", "role": "pod",
        "pod": {"name": f"{name}-{number}", "namespace": "shop"}, "service": {"name": name, "namespace": "shop"},
        "workload": f"deployment/{name}", "node": f"worker-{number}",
    }  # fmt: skip


def call(number: int, src: str, dst: str, **more: Any) -> dict[str, Any]:
    return entry(number, src=peer(src), dst=peer(dst), **more)


def shop() -> list[dict[str, Any]]:
    calls = [call(n, "web", "cart") for n in range(20)] + [call(20 + n, "cart", "stock") for n in range(5)]
    return calls + [call(30 + n, "web", "pay", ok=n % 2 == 0, elapsed_time=7000) for n in range(4)]


def view(rig: Rig, **more: str) -> str:
    return f"{rig.signed}&view=map" + "".join(f"&{name}={value}" for name, value in more.items())


async def names(page: Page) -> list[str]:
    await page.locator(".node").first.wait_for()
    return sorted(await page.locator(".node .name").all_text_contents())


async def places(page: Page) -> dict[str, str]:
    await page.locator(".node").first.wait_for()
    found: dict[str, str] = await page.locator(".node").evaluate_all(
        "(all) => Object.fromEntries(all.map((one) => "
        "[one.querySelector('.name').textContent, one.getAttribute('transform')]))"
    )
    return found


async def drawn(page: Page, count: int) -> None:
    await expect(page.locator(".lines-still .line")).to_have_count(count)


async def test_calls_are_drawn_from_callers_to_called(rig: Rig, browser: Browser) -> None:
    await rig.stored(*shop())
    async with looking(browser, view(rig)) as page:
        assert await names(page) == ["cart", "pay", "stock", "web"]
        await drawn(page, 3)
        x = {name: float(at[10:].split()[0]) for name, at in (await places(page)).items()}
        assert x["web"] < x["cart"] < x["stock"]
        await expect(page.locator(".line.failing")).to_have_count(1)
        await expect(page.locator(".lines-still")).to_contain_text("✕ 50 %")
        widths = await page.locator(".lines-still .drawn").evaluate_all(
            "(all) => all.map((one) => Number(one.getAttribute('stroke-width')))"
        )
        assert max(widths) > min(widths)
        await page.get_by_label("Write on lines").select_option("p95")
        await expect(page.locator(".lines-still")).to_contain_text("7.0 ms")
        groups = {"pod": "cart-1", "workload": "deployment/cart", "namespace": "shop", "node": "worker-1"}
        for group, wanted in groups.items():
            await page.get_by_label("Group by").select_option(group)
            await expect(page.locator(".node .name", has_text=wanted).first).to_be_visible()


async def test_rates_are_over_the_time_that_is_kept(rig: Rig, browser: Browser) -> None:
    now = time.time_ns()
    await rig.stored(*(call(n, "web", "cart", timestamp=now - n * 10**8) for n in range(60)))
    async with looking(browser, view(rig)) as page:
        await page.get_by_label("Write on lines").select_option("calls")
        await expect(page.get_by_label("Over the last")).to_have_value("15m")
        await expect(page.locator(".lines-still text")).to_have_text(re.compile(r"^[\d.]+/s$"))


async def test_a_click_lists_the_calls(rig: Rig, browser: Browser) -> None:
    await rig.stored(*shop())
    async with looking(browser, view(rig)) as page:
        await page.locator(".node", has_text="stock").click()
        await rows_are(page, [f"GET /{n} → 200" for n in (24, 23, 22, 21, 20)])
        await page.go_back()
        await page.locator(".line.failing").first.wait_for()
        where = await page.locator(".lines-still .line.failing .hit").evaluate(
            "(one) => { const at = one.getPointAtLength(one.getTotalLength() / 2).matrixTransform(one.getScreenCTM());"
            " return [at.x, at.y] }"
        )
        await page.mouse.move(*where)
        await expect(page.locator(".pointed")).to_contain_text("web.shop → pay.shop")
        await expect(page.locator(".pointed")).to_contain_text("✕ 50 % failed")
        await page.mouse.click(*where)
        await rows_are(page, [f"GET /{n} → 200" for n in (33, 32, 31, 30)])


async def test_what_stands_stays_while_more_comes(rig: Rig, browser: Browser) -> None:
    await rig.stored(*shop())
    async with looking(browser, view(rig)) as page:
        before = await places(page)
        await rig.stored(call(90, "cart", "mail"), call(91, "robot", "web"))
        await expect(page.locator(".node")).to_have_count(6, timeout=20_000)
        after = await places(page)
        assert {name: after[name] for name in before} == before
        await page.get_by_role("button", name="Tidy up").click()
        await expect(page.locator(".node")).to_have_count(6)


async def test_the_filter_and_the_time_hold_for_the_map(rig: Rig, browser: Browser) -> None:
    await rig.stored(*shop())
    async with looking(browser, view(rig, filter="failed")) as page:
        assert await names(page) == ["pay", "web"]
    async with looking(browser, view(rig, until="2020-01-01T00:00:00Z")) as page:
        await expect(page.locator(".map .empty")).to_contain_text("Nobody has called anybody in this time")


async def test_the_map_is_walked_by_keyboard(rig: Rig, browser: Browser) -> None:
    await rig.stored(*shop())
    async with looking(browser, view(rig)) as page:
        await page.locator(".node", has_text="web").focus()
        await page.keyboard.press("ArrowRight")
        first = await page.evaluate("document.activeElement.getAttribute('aria-label')")
        assert first.startswith(("cart.shop", "pay.shop"))
        await expect(page.locator(".pointed")).to_contain_text("calls to it")
        await page.locator(".node", has_text="stock").focus()
        await page.keyboard.press("ArrowLeft")
        assert "stock" not in await page.evaluate("document.activeElement.getAttribute('aria-label')")
        await page.locator(".node", has_text="stock").focus()
        await page.keyboard.press("Enter")
        await rows_are(page, [f"GET /{n} → 200" for n in (24, 23, 22, 21, 20)])


async def test_the_map_is_read_as_a_table(rig: Rig, browser: Browser) -> None:
    await rig.stored(*shop())
    async with looking(browser, view(rig), viewport={"width": 390, "height": 844}) as page:
        await page.get_by_role("button", name="Table").click()
        table = page.get_by_role("table", name="Who calls whom")
        rows = await table.get_by_role("row").all_inner_texts()
        assert [row.split("\t")[:2] for row in rows[1:]] == [
            ["web.shop", "cart.shop"], ["cart.shop", "stock.shop"], ["web.shop", "pay.shop"],
        ]
        assert "✕ 50 %" in rows[3]
        assert not await page.locator(".map").evaluate("(one) => one.scrollWidth > one.clientWidth")
        await table.get_by_role("button", name="List calls from cart.shop to stock.shop").press("Enter")
        await rows_are(page, [f"GET /{n} → 200" for n in (24, 23, 22, 21, 20)])


async def test_the_map_is_moved_and_zoomed(rig: Rig, browser: Browser) -> None:
    await rig.stored(*shop())
    async with looking(browser, view(rig)) as page:
        await page.locator(".node").first.wait_for()
        sight = page.locator(".drawing > g")

        async def changed(before: str | None) -> str:
            await expect(sight).not_to_have_attribute("transform", before or "")
            return await sight.get_attribute("transform") or ""

        start = await sight.get_attribute("transform")
        await page.mouse.move(700, 640)
        await page.mouse.wheel(0, -200)
        closer = await changed(start)
        await page.mouse.down()
        await page.mouse.move(600, 600, steps=4)
        await page.mouse.up()
        await changed(closer)
        await expect(page.locator(".map")).to_be_visible()
        await page.get_by_role("button", name="All", exact=True).click()
        await expect(sight).to_have_attribute("transform", start or "")


async def test_the_map_is_taken_along(rig: Rig, browser: Browser, tmp_path: Path) -> None:
    await rig.stored(*shop(), entry(99, src=peer("web"), dst={"ip": "10.9.9.9", "port": 1, "name": HOSTILE}))
    async with looking(browser, view(rig)) as page:
        page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
        await page.locator(".node").first.wait_for()

        async def saved(name: str) -> str:
            async with page.expect_download() as download:
                await page.get_by_role("button", name=name, exact=True).click()
            kept = tmp_path / name
            await (await download.value).save_as(kept)
            return kept.read_text()

        mermaid = await saved("Mermaid")
        assert mermaid.startswith("flowchart LR\n")
        assert '["web.shop"]' in mermaid
        svg = await saved("SVG")
        assert await page.evaluate(
            "(text) => new DOMParser().parseFromString(text, 'image/svg+xml').documentElement.tagName", svg
        ) == "svg"
        for text in (mermaid, svg, await page.locator(".map").inner_text()):
            assert not {"\u202e", "\u0000"} & set(text)
        assert "<script" not in mermaid + svg
        assert await page.locator("#page script").count() == 0


async def test_a_hundred_services_and_four_hundred_lines_are_drawn(rig: Rig, browser: Browser) -> None:
    pairs = [(n, (n * 7 + k * 13 + 1) % 100) for n in range(100) for k in range(4)]
    await rig.stored(*(call(n, f"s{src:03}", f"s{dst:03}") for n, (src, dst) in enumerate(pairs)))
    async with looking(browser, view(rig)) as page:
        await expect(page.locator(".node")).to_have_count(100, timeout=30_000)
        boxes = await page.locator(".node rect").evaluate_all(
            "(all) => all.map((one) => { const { left, top, right, bottom } = one.getBoundingClientRect();"
            " return [left, top, right, bottom] })"
        )
        assert not [
            (a, b) for at, a in enumerate(boxes) for b in boxes[at + 1 :]
            if a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
        ]  # fmt: skip
        await page.locator(".node", has_text="s042").hover()
        await expect(page.locator(".lines-near .line").first).to_be_attached()
