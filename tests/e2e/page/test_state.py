"""State of weir: stages, losses, leaks and cost in words; what is read; rules listed, previewed, added, removed."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, Locator, Page, expect

from weir.bus.api import Record
from weir.bus.topics import ENDPOINTS, RULES
from weir.model.control import EndpointRecord, Rule
from weir.model.entry import Named
from weir.testing.browsing import Rig, entry, looking, rows_are

pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror=alert(1)>\u202e\u001b[31m"


def view(rig: Rig) -> str:
    return f"{rig.signed}&view=state"


async def known(rig: Rig, *rules: Rule) -> None:
    """Two pods, and rules."""
    await rig.bus.publish(RULES, [Record(rule.name.encode(), rule) for rule in rules])
    pods = [
        EndpointRecord(
            address=f"10.0.0.{n}", uid=f"u{n}", name=name, namespace="shop", pod=Named(name=name, namespace="shop"),
            workload=f"deployment/{name[:-2]}", node=f"worker-{n}", role="pod", captured=True, revision=n,
            targeted=name == "pay-1", rules=["pay"] if name == "pay-1" else [],
        )
        for n, name in enumerate(["cart-1", "pay-1"], 1)
    ]  # fmt: skip
    await rig.bus.publish(ENDPOINTS, [Record(f"{one.address}:0/{one.uid}".encode(), one) for one in pods])


def region(page: Page, name: str) -> Locator:
    return page.get_by_role("region", name=name, exact=True)


async def test_stages_tell_what_they_do_and_what_waits(rig: Rig, browser: Browser) -> None:
    await rig.beat(
        stages=["decode"], node="worker-1", rates={"decode.entries": 2450.0}, cpu_s=3.0, rss_bytes=200_000_000,
        lag={"weir.segments/0": 3, "weir.segments/1": 40_000}, mode={"engine": "rust"},
    )
    async with looking(browser, view(rig)) as page:
        stages = region(page, "Stages")
        await expect(stages).to_contain_text("turns packets into calls")
        await expect(stages).to_contain_text("2,450 entries/s")
        await stages.get_by_text("40,003 records behind").click()
        await expect(stages.get_by_role("row").nth(1)).to_contain_text("weir.segments 1")
        await expect(page.locator(".verdict")).to_contain_text("Something needs a look")
        await expect(region(page, "Cost")).to_contain_text("200.0 MB")
        await page.get_by_role("heading", name="Processes").click()
        await page.locator(".process summary", has_text="node-1").click()
        await expect(region(page, "Processes")).to_contain_text("rust")


async def test_losses_are_told_by_place_and_reason_in_words(rig: Rig, browser: Browser) -> None:
    lost = {"capture.kernel": 4312, "decode.oversized": 2, "capture.odd_reason": 1}
    await rig.beat(lost=lost, rates={"lost.capture.kernel": 12.0})
    async with looking(browser, view(rig)) as page:
        losses = region(page, "Losses").get_by_role("listitem")
        await expect(losses).to_have_count(3)
        await expect(losses.first).to_contain_text("4,312 packets that the kernel dropped")
        await expect(losses.first).to_contain_text("12 a second now")
        await expect(losses.nth(1)).to_contain_text("2 entries that were too large for the bus · in decode, node-1")
        await expect(losses.nth(1)).to_contain_text("none now")
        await expect(losses.nth(2)).to_contain_text("odd reason")


async def test_nothing_lost_is_said_too(rig: Rig, browser: Browser) -> None:
    async with looking(browser, view(rig)) as page:
        await expect(page.locator(".verdict")).to_contain_text("All is well")
        await expect(region(page, "Losses")).to_contain_text("Nothing was lost")


async def test_a_leak_is_an_alert(rig: Rig, browser: Browser) -> None:
    await rig.beat(stages=["filter"], counters={"filter.leaked{bare}": 12})
    async with looking(browser, view(rig)) as page:
        await expect(page.get_by_role("alert")).to_contain_text("the kernel filter let through what nobody asked for")


async def test_cost_is_told_by_node(rig: Rig, browser: Browser) -> None:
    await rig.beat(node="worker-1", rates={"capture.bytes": 25e6}, rss_bytes=10**9)
    async with looking(browser, view(rig)) as page:
        row = region(page, "Cost").get_by_role("row").nth(1)
        await expect(row).to_contain_text("worker-1")
        await expect(row).to_contain_text("1.0 GB")
        await expect(row).to_contain_text("25.0 MB/s, 2,160 GB a day")
        await expect(row).to_contain_text("▲ 20 MB/s")


async def test_rules_are_listed_and_those_from_elsewhere_stay(rig: Rig, browser: Browser) -> None:
    chart = Rule(name="chart", namespaces=["shop"], author="helm", source="helm", read_only=True)
    await known(rig, chart, Rule(name="pay", workload="deployment/pay", author="cli ada@laptop", source="cli"))
    async with looking(browser, view(rig)) as page:
        rules = region(page, "Rules").get_by_role("listitem")
        await expect(rules).to_have_count(2)
        await expect(rules.first).to_contain_text("read-only")
        await expect(rules.first).to_contain_text("2 pods on 2 nodes (shop/cart-1, shop/pay-1) · from Helm")
        await expect(rules.first.get_by_role("button")).to_have_count(0)
        await expect(rules.nth(1)).to_contain_text("workload deployment/pay")
        await expect(rules.nth(1)).to_contain_text("from the terminal, by ada@laptop")
        await rules.nth(1).get_by_role("button", name="Remove pay").click()
        await rules.nth(1).get_by_role("button", name="Keep").click()
        await expect(rules).to_have_count(2)
        await rules.nth(1).get_by_role("button", name="Remove pay").click()
        await rules.nth(1).get_by_role("button", name="Really remove").click()
        await expect(rules).to_have_count(1)


async def test_a_rule_is_previewed_while_it_is_written_and_added(rig: Rig, browser: Browser) -> None:
    await known(rig)
    async with looking(browser, view(rig), viewport={"width": 390, "height": 844}) as page:
        await expect(region(page, "Rules")).to_contain_text("No rule is in force")
        await page.get_by_role("button", name="Add a rule").click()
        form = page.get_by_role("form", name="New rule")
        await expect(form.get_by_role("button", name="Add this rule")).to_be_disabled()
        await form.get_by_label("Namespaces", exact=True).fill("shop")
        preview = form.get_by_role("status", name="Preview")
        await expect(preview).to_contain_text("2 pods, 1 of them not read yet")
        await form.get_by_label("Workload").fill("deployment/cart")
        await expect(preview).to_contain_text("1 pod, 1 of them not read yet")
        await expect(preview).to_contain_text("shop/cart-1")
        await form.get_by_label("How long").select_option("for 15 minutes")
        assert not await page.locator(".state-view").evaluate("(one) => one.scrollWidth > one.clientWidth")
        await form.get_by_role("button", name="Add this rule").click()
        rule = region(page, "Rules").get_by_role("listitem")
        await expect(rule).to_contain_text("deployment/cart-shop")
        await expect(rule).to_contain_text("gone in 15 minutes")
        await expect(rule).to_contain_text("from this page")


async def test_a_wrong_rule_is_told(rig: Rig, browser: Browser) -> None:
    await known(rig)
    async with looking(browser, view(rig), quiet=False) as page:
        await page.get_by_role("button", name="Add a rule").click()
        form = page.get_by_role("form", name="New rule")
        await form.get_by_label("Pod (regular expression)").fill("cart-(")
        await expect(form.locator(".trouble")).to_contain_text("missing")
        await form.get_by_label("Pod (regular expression)").fill("cart-.*")
        await expect(form.get_by_role("status", name="Preview")).to_contain_text("1 pod")


async def test_what_is_read_leads_to_its_calls(rig: Rig, browser: Browser) -> None:
    await known(rig, Rule(name="pay", workload="deployment/pay"))
    named = {"name": "pay-1", "namespace": "shop", "pod": {"name": "pay-1", "namespace": "shop"}}
    await rig.stored(entry(1, dst=named), entry(2))
    async with looking(browser, view(rig)) as page:
        targets = region(page, "Targets")
        await expect(targets).to_contain_text("1 of 2 pods on 1 nodes by pay")
        await targets.get_by_role("button", name="shop/pay-1").click()
        await rows_are(page, ["GET /1 → 200"])


async def test_settings_are_found(rig: Rig, browser: Browser) -> None:
    async with looking(browser, view(rig)) as page:
        await page.get_by_text("Settings in force").click()
        await page.get_by_label("Find a setting").fill("hub.listen")
        await expect(region(page, "Settings").get_by_role("row")).to_have_count(1)
        await expect(region(page, "Settings").get_by_role("row")).to_contain_text("hub.listen")


async def test_hostile_texts_stay_text(rig: Rig, browser: Browser) -> None:
    await rig.beat(notes=[HOSTILE], lost={f"capture.{HOSTILE}": 1}, mode={HOSTILE: HOSTILE}, node=HOSTILE)
    await known(rig, Rule(name="odd", workload=HOSTILE, author=HOSTILE))
    async with looking(browser, view(rig)) as page:
        page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
        await expect(region(page, "Rules")).to_contain_text("<img src=x onerror=alert(1)>")
        await expect(region(page, "Losses")).to_contain_text("<img src=x onerror=alert(1)>")
        assert await page.locator("#page img").count() == 0
        assert not {"\u202e", "\u001b"} & set(await page.locator(".state-view").inner_text())
