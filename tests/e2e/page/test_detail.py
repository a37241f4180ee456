"""One entry: both sides, headers and bodies, its conversation, copying; and values that try to be more than text."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from typing import Any

import pytest
from playwright.async_api import Browser, Locator, Page, expect

from weir.testing.browsing import Rig, entry, filtered, live, looking, rows_are

pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>\u202egnp.exe\u001b[31m\u0000"
INERT = "<img src=x onerror=alert(1)><script>alert(2)</script>\\u202egnp.exe␛[31m␀"
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAoAAAAKCAYAAACNMs+9AAAAFUlEQVR42mNk+M9Qz0AEYBxVSF+FAAhKDveksOjmAAAAAElFTkSuQmCC"
MS = 1_000_000


def exchange(**more: Any) -> dict[str, Any]:
    begin = entry(7)["timestamp"]
    return entry(
        7, summary="POST /orders → 201", method="POST", url="http://pay.shop/orders?coupon=A", path="/orders",
        query_string={"coupon": "A"}, status_code=201, elapsed_time=4000,
        request={
            "size": 120, "timestamp": begin, "end": begin + MS,
            "headers": {"content-type": "application/json", "authorization": "Bearer masked:12ab34cd",
                        "cookie": "theme=dark"},
            "body": {"size": 11, "text": '{"item":23}'},
        },
        response={"size": 90, "timestamp": begin + 4 * MS, "end": begin + 5 * MS, "headers": {"location": "/orders/1"},
                  "trailers": {"x-sum": "1"},
                  "body": {"size": 3, "data": b64encode(b"\x00A\xff").decode(), "truncated": True}},
        weird=["header folded"], incomplete=["2 bytes are missing"],
    ) | more  # fmt: skip


async def opened(page: Page, summary: str = "POST /orders → 201") -> Locator:
    await page.locator(".rows").get_by_text(summary).first.click()
    detail = page.get_by_role("complementary", name="Entry")
    await expect(detail).not_to_contain_text("Loading", timeout=60_000)
    return detail


def side(detail: Locator, name: str) -> Locator:
    return detail.get_by_role("region", name=name)


async def filter_is(page: Page, text: str) -> None:
    await expect(page.get_by_label("Filter", exact=True)).to_have_value(text)


async def test_an_entry_opens_with_both_sides(rig: Rig, browser: Browser) -> None:
    await rig.stored(exchange())
    async with looking(browser, rig.signed) as page:
        detail = await opened(page)
        request, response = side(detail, "Request"), side(detail, "Response")
        await expect(request).to_contain_text("Bearer masked:12ab34cd")
        assert await request.locator("pre .line").all_inner_texts() == ["▾\n{", '"item": 23', "}"]
        await expect(request.get_by_role("table", name="Query")).to_contain_text("coupon")
        await expect(request.get_by_role("table", name="Cookies")).to_contain_text("dark")
        await expect(response).to_contain_text("/orders/1")
        await expect(response.get_by_role("table", name="Trailers")).to_contain_text("x-sum")
        await expect(response.locator("pre")).to_contain_text("00 41 ff")
        boxes = [await one.bounding_box() for one in (request, response)]
        assert boxes[0]
        assert boxes[1]
        assert (boxes[0]["x"] < boxes[1]["x"], boxes[0]["y"]) == (True, boxes[1]["y"])
        for said in (
            "cart.shop:40000", "pay.shop:80", "4.0 ms", "Weird: header folded", "Incomplete: 2 bytes", "f7",
            "Cut: The first 3 B of the response's body", "request sent 1.0 ms", "waiting for the server 3.0 ms",
            "response received 1.0 ms",
        ):
            await expect(detail).to_contain_text(said)
        await detail.get_by_role("button", name="Close").click()
        await expect(detail).to_have_count(0)


async def test_a_live_entry_opens_before_history_has_it(rig: Rig, browser: Browser) -> None:
    async with looking(browser, rig.signed, quiet=False) as page:
        await live(page)
        async with rig.archive_waits():
            await rig.publish(exchange())
            await page.locator(".rows").get_by_text("POST /orders → 201").click()
            detail = page.get_by_role("complementary", name="Entry")
            await expect(detail).to_contain_text("cart.shop:40000")
            await expect(detail).to_contain_text("Loading")
        await expect(detail).to_contain_text("Bearer masked")
        await expect(detail).not_to_contain_text("Loading")


async def test_the_conversation_is_told_and_can_be_walked_and_listed(rig: Rig, browser: Browser) -> None:
    before, after = entry(6, flow_id="f7"), entry(8, flow_id="f7", ok=False)
    whole = entry(9, kind="flow", protocol="tcp", flow_id="f7", summary="tcp fin", conn_l7_detected=["http"])
    await rig.stored(exchange(), before, after, entry(5), whole)
    async with looking(browser, rig.signed) as page:
        detail = await opened(page)
        around = detail.locator(".around").first.get_by_role("button")
        assert await around.locator(".said").all_inner_texts() == [
            "GET /6 → 200", "POST /orders → 201", "GET /8 → 200", "tcp fin",
        ]
        assert await around.locator(".apart").all_inner_texts() == ["\u22121.0 ms", "this", "+1.0 ms", "+2.0 ms"]
        await detail.get_by_text("What else happened").click()
        await expect(detail.locator(".around").nth(1)).to_contain_text("GET /5 → 200")
        await around.nth(2).click()
        await expect(detail.locator("h2")).to_contain_text("GET /8 → 200")
        await page.get_by_role("button", name="Show this conversation").click()
        await filter_is(page, 'flow_id == "f7"')
        await rows_are(page, ["tcp fin", "GET /8 → 200", "POST /orders → 201", "GET /6 → 200"])


@pytest.mark.parametrize(
    ("click", "condition"),
    [
        (("Headers", "/orders/1"), 'response.headers["location"] == "/orders/1"'),
        (("Query", "A"), 'query_string["coupon"] == "A"'),
        (("Cookies", "dark"), 'request.cookies["theme"] == "dark"'),
        (("Fields", "4000"), "elapsed_time == 4000"),
        (("Client", "10.0.0.1"), 'src.ip == "10.0.0.1"'),
    ],
)
async def test_a_click_on_a_value_filters(
    rig: Rig, browser: Browser, click: tuple[str, str], condition: str
) -> None:
    await rig.stored(exchange(), entry(8, elapsed_time=9, src={"ip": "10.9.9.9"}))
    async with looking(browser, rig.signed) as page:
        detail = await opened(page)
        await detail.get_by_role("table", name=click[0]).get_by_text(click[1], exact=True).last.click()
        await filter_is(page, condition)
        await rows_are(page, ["POST /orders → 201"])


async def test_values_of_bodies_and_all_others_filter_too(rig: Rig, browser: Browser) -> None:
    await rig.stored(exchange(), entry(8))
    async with looking(browser, rig.signed) as page:
        detail = await opened(page)
        await detail.locator("pre .value", has_text="23").click()
        await filter_is(page, r'request.body.text.contains("\"item\":23")')
        await rows_are(page, ["POST /orders → 201"])
        await filtered(page, "")
        await rows_are(page, ["GET /8 → 200", "POST /orders → 201"])
        await detail.get_by_role("button", name="Filter by location").click(modifiers=["Shift"])
        await filter_is(page, '!(response.headers["location"] == "/orders/1")')
        await rows_are(page, ["GET /8 → 200"])
        await filtered(page, "")
        await detail.get_by_role("button", name="pay.shop:80").click()
        await filter_is(page, 'dst.name == "pay" && dst.namespace == "shop"')


async def test_values_are_copied_as_they_came(rig: Rig, browser: Browser) -> None:
    await rig.stored(exchange())
    async with looking(browser, rig.signed, permissions=["clipboard-read", "clipboard-write"]) as page:
        await opened(page)

        async def copied(name: str) -> str:
            button = page.get_by_role("button", name=name, exact=True)
            await button.click()
            await expect(button).to_have_text("copied")
            text: str = await page.evaluate("navigator.clipboard.readText()")
            return text

        assert await copied("Copy location") == "/orders/1"
        assert await copied("Copy body of the request") == '{"item":23}'
        assert await copied("Copy as filter") == (
            'http && dst.name == "pay" && dst.namespace == "shop" && method == "POST" && path == "/orders" && '
            "status_code == 201"
        )
        curl = await copied("Copy as curl")
        assert "# masked by weir, fill in: authorization" in curl
        assert """-H 'cookie: theme=dark' \\\n  --data-raw '{"item":23}'""" in curl
        assert json.loads(await copied("Copy as JSON"))["id"] == "e00007"


async def test_bodies_are_shown_as_what_they_are(rig: Rig, browser: Browser) -> None:
    kind = "application/x-www-form-urlencoded"
    form = {"headers": {"content-type": kind}, "body": {"size": 9, "text": "a=1+2&b=%C3%A4"}}
    xml = {"headers": {"content-type": "text/xml"}, "body": {"size": 9, "text": "<a><b>1</b></a>"}}
    picture = {"headers": {"content-type": "image/png"}, "body": {"size": 9, "data": PNG}}
    plain = {"body": {"size": 9, "text": "one\ntwo"}}
    second = entry(2, request=picture, response=plain, summary="second")
    await rig.stored(entry(1, request=form, response=xml, summary="first"), second)
    async with looking(browser, rig.signed) as page:
        detail = await opened(page, "first")
        await expect(side(detail, "Request").get_by_role("table", name="Form")).to_contain_text("ä")
        assert await side(detail, "Response").locator(".line").all_inner_texts() == ["<a>", "<b>1</b>", "</a>"]
        await side(detail, "Response").get_by_role("button", name="Hex").click()
        await expect(side(detail, "Response").locator(".line")).to_contain_text("3c 61 3e")
        detail = await opened(page, "second")
        await expect(detail.locator("img")).to_have_count(0)
        await detail.get_by_role("button", name="Show the picture").click()
        await page.wait_for_function("document.querySelector('.picture').naturalWidth === 10")
        assert await side(detail, "Response").locator(".line").all_inner_texts() == ["one", "two"]


async def test_folding_hides_what_a_bracket_holds(rig: Rig, browser: Browser) -> None:
    await rig.stored(exchange(request={"body": {"text": '{"a":[1,2],"b":{"c":12345678901234567890}}'}}))
    async with looking(browser, rig.signed) as page:
        detail = await opened(page)
        lines = side(detail, "Request").locator("pre .line")
        await expect(lines.filter(has_text="12345678901234567890")).to_be_visible()
        await detail.get_by_role("button", name="Fold", exact=True).first.click()
        await expect(lines).to_have_count(4)
        await expect(lines.nth(1)).to_contain_text("2 items ],")
        await detail.get_by_role("button", name="Unfold", exact=True).first.click()
        await expect(lines).to_have_count(9)


@pytest.mark.parametrize("kind", ["wide", "deep", "one line", "lines"])
async def test_large_bodies_do_not_hold_the_page_up(rig: Rig, browser: Browser, kind: str) -> None:
    """Larger than the bus lets through: weir may be told to keep more one day."""
    text = {
        "wide": json.dumps([{"id": n, "name": f"item {n}", "tags": ["a", "b"]} for n in range(90_000)]),
        "deep": '{"a":[' * 850_000,
        "one line": "x" * 5_000_000,
        "lines": "\n" * 5_000_000,
    }[kind]
    assert len(text) >= 5_000_000
    large = exchange(response={"size": len(text), "body": {"size": len(text), "text": text}})
    await rig.stored(exchange(response={}))
    async with looking(browser, rig.signed) as page:
        await page.route("**/entries/e00007", lambda route: route.fulfill(json=large))
        detail = await opened(page)
        response = side(detail, "Response")
        await response.locator("pre.long .line").first.wait_for(timeout=60_000)
        assert await response.locator("pre .line").count() < 300
        await response.locator("pre").evaluate("(one) => { one.scrollTop = one.scrollHeight }")
        await page.wait_for_function("document.querySelector('pre.long').scrollTop > 1000")
        assert await response.locator("pre .line").count() < 300
        if kind == "wide":
            await expect(response.locator("pre .line").last).to_have_text("]")


async def test_hostile_values_stay_text(rig: Rig, browser: Browser) -> None:
    hostile = entry(
        1, summary=HOSTILE, protocol=HOSTILE[:28], path=HOSTILE, weird=[HOSTILE], incomplete=[HOSTILE],
        src={"ip": "10.0.0.1", "port": 1, "name": HOSTILE},
        dst={"ip": HOSTILE, "port": 2, "labels": {HOSTILE: HOSTILE}}, query_string={HOSTILE: HOSTILE},
        request={"headers": {HOSTILE: HOSTILE, "cookie": f"a={HOSTILE}", "__proto__": "x"},
                 "body": {"text": HOSTILE, "encoding": HOSTILE}},
        response={"headers": {"a": HOSTILE}, "body": {"text": json.dumps({HOSTILE: HOSTILE})}}, constructor=HOSTILE,
    )  # fmt: skip
    await rig.stored(hostile, entry(2, flow_id="f1", summary=HOSTILE))
    async with looking(browser, rig.signed) as page:
        page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
        await rows_are(page, [INERT, INERT])
        await page.locator(".rows .row").last.click()
        detail = page.get_by_role("complementary", name="Entry")
        request = detail.get_by_role("region", name="Request")
        await expect(request.locator("pre .line").first).to_have_text("<img src=x onerror=alert(1)>")
        await expect(detail.locator("h2")).to_contain_text(INERT)
        await expect(detail).to_contain_text("__proto__")
        for name in ("Text", "Hex"):
            await request.get_by_role("button", name=name).click()
        assert await page.locator("#page img, #page script, #page iframe").count() == 0
        text, titles = await page.evaluate(
            "() => [document.body.innerText, [...document.querySelectorAll('[title], [aria-label]')]"
            ".map((one) => one.title + one.getAttribute('aria-label')).join()]"
        )
        assert not set("\u202e\u001b\u0000") & set(text + titles)
        await detail.get_by_role("table", name="Query").locator(".value").click()
        await rows_are(page, [INERT])
        value = await page.get_by_label("Filter", exact=True).input_value()
        assert re.fullmatch(r'query_string\["(.*)"\] == "\1"', value)
        assert not set("\u202e\u001b\u0000") & set(value)


async def test_an_entry_is_read_on_a_narrow_screen_and_by_keyboard(rig: Rig, browser: Browser) -> None:
    await rig.stored(exchange(src={"name": "a-very-long-name-of-a-pod-" * 4, "namespace": "shop"}))
    async with looking(browser, rig.signed, viewport={"width": 390, "height": 844}) as page:
        detail = await opened(page)
        request, response = side(detail, "Request"), side(detail, "Response")
        boxes = [await one.bounding_box() for one in (request, response)]
        assert boxes[0]
        assert boxes[1]
        assert boxes[1]["y"] > boxes[0]["y"] + boxes[0]["height"] - 1
        assert await page.evaluate(
            "[...document.querySelectorAll('.detail *')].filter((one) => !one.closest('pre'))"
            ".filter((one) => one.getBoundingClientRect().right > innerWidth + 1).map((one) => one.outerHTML)"
        ) == []
        assert not await detail.evaluate("(one) => one.scrollWidth > one.clientWidth")
        button = detail.get_by_role("button", name="Filter by location")
        await button.focus()
        await expect(button).to_have_css("opacity", "1")
        await button.press("Enter")
        await filter_is(page, 'response.headers["location"] == "/orders/1"')


async def test_an_entry_that_is_gone_is_told(rig: Rig, browser: Browser) -> None:
    await rig.stored(entry(1))
    async with looking(browser, f"{rig.signed}&id=no-such-entry", quiet=False) as page:
        detail = page.get_by_role("complementary", name="Entry")
        await expect(detail).to_contain_text("there is no entry with this id", timeout=15_000)
