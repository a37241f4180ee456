"""Rules, targets and why: what the hub tells of what is watched, and what it lets people change."""

from __future__ import annotations

from pathlib import Path

import msgspec

from weir.bus.api import Record
from weir.bus.topics import CONTROL, HEALTH, RULES
from weir.model.control import Control, Rule
from weir.model.health import Heartbeat
from weir.runtime.clock import SystemClock
from weir.testing.hub import BEARER, HUB, TOKEN, entry, world


async def test_rules_are_made_listed_renewed_and_removed(tmp_path: Path) -> None:
    async with world(tmp_path) as weir:
        await weir.pods("prod/checkout-1@a", "prod/checkout-2@b", "prod/cart-1@a", "test/checkout-1@a")
        wish = {"name": "co", "pod": "checkout.*", "namespaces": ["prod"], "author": "cli me@here\x1b[1m", "for_s": 60}
        status, made = await weir.send("POST", "api/v1/rules", wish)
        assert (status, made["pods"], made["nodes"]) == (200, 2, 2)
        assert made["names"] == ["prod/checkout-1", "prod/checkout-2"]
        assert (made["rule"]["author"], made["rule"]["source"]) == ("cli me@here[1m", "cli")
        assert 50 < made["expires_in_s"] <= 60
        [(_, rule)] = (await weir.bus.read_compacted(RULES, 0)).items()
        assert (rule.name, rule.read_only) == ("co", False)
        _, renewed = await weir.send("PUT", "api/v1/rules/co", {"for_s": 3600})
        assert renewed["expires_in_s"] > 3500
        _, kept = await weir.send("PUT", "api/v1/rules/co", {})
        assert kept.get("expires_in_s") is None
        _, listed = await weir.ask("api/v1/rules")
        assert [one["rule"]["name"] for one in listed["rules"]] == ["co"]
        status, gone = await weir.send("DELETE", "api/v1/rules/co")
        assert (status, gone["rule"]["name"]) == (200, "co")
        assert (await weir.ask("api/v1/rules"))[1] == {"rules": []}
        for method in ("PUT", "DELETE"):
            assert (await weir.send(method, "api/v1/rules/co", {}))[0] == 404
        status, odd = await weir.send("POST", "api/v1/rules", {"name": "team/x@y", "target": "port:80"},
                                      **{"User-Agent": "curl/8"})
        assert (status, odd["rule"]["author"], odd["rule"].get("source", "hub")) == (200, "curl/8", "hub")
        assert (await weir.send("DELETE", "api/v1/rules/team%2Fx@y"))[0] == 200


async def test_a_rule_that_ran_out_is_not_told(tmp_path: Path) -> None:
    async with world(tmp_path) as weir:
        await weir.send("POST", "api/v1/rules", {"name": "short", "pod": "x.*", "for_s": 0.001})

        async def gone() -> bool:
            return bool((await weir.ask("api/v1/rules"))[1] == {"rules": []})

        await weir.until(gone)
        assert (await weir.send("PUT", "api/v1/rules/short", {"for_s": 60}))[0] == 404


async def test_bad_rules_are_refused_with_a_hint_and_the_others_stay(tmp_path: Path) -> None:
    async with world(tmp_path, hub=msgspec.structs.replace(HUB, max_rules=2)) as weir:
        await weir.send("POST", "api/v1/rules", {"name": "good", "target": "all"})
        for wrong in (
            {}, [], 7, {"name": "x"}, {"name": "x", "pod": "("}, {"name": "x", "pods": "y"}, {"name": "", "pod": "y"},
            {"name": "x", "pod": 7}, {"name": "x", "namespaces": "prod"}, {"name": "x", "labels": "=="},
            {"name": "x", "target": "all", "pod": "y"}, {"name": "x y", "pod": "y"}, {"name": "x", "target": "1.2.3"},
            {"name": "x", "pod": "y", "for_s": "soon"}, {"name": "x", "pod": "y", "for_s": -1},
            {"name": "x", "pod": "y", "read_only": True}, {"name": "x", "pod": "y", "source": "helm"},
            {"name": "x", "pod": "y" * 5000}, {"name": "x", "pod": "y", "for_s": float("1e300")},
        ):
            status, told = await weir.send("POST", "api/v1/rules", wrong)
            assert (status, bool(told["error"]), bool(told["hint"])) == (400, True, True), wrong
        for body in (b"{", b"\xff", b"[" * 50_000):
            async with weir.http.post(weir.url + "api/v1/rules", data=body, headers=BEARER) as answer:
                assert answer.status == 400
        async with weir.http.post(weir.url + "api/v1/rules", data=b"x" * 100_000, headers=BEARER) as answer:
            assert answer.status == 413
        assert (await weir.send("POST", "api/v1/rules", {"name": "second", "target": "all"}))[0] == 200
        status, told = await weir.send("POST", "api/v1/rules", {"name": "third", "target": "all"})
        assert (status, told["error"]) == (400, "there are 2 rules")
        assert [one["rule"]["name"] for one in (await weir.ask("api/v1/rules"))[1]["rules"]] == ["good", "second"]


async def test_rules_from_elsewhere_are_read_only(tmp_path: Path) -> None:
    async with world(tmp_path) as weir:
        given = Rule(name="given", pod="a.*", source="helm", read_only=True)
        await weir.bus.publish(RULES, [Record(b"given", given)])

        async def listed() -> bool:
            return bool((await weir.ask("api/v1/rules"))[1]["rules"])

        await weir.until(listed)
        for method, path, body in (("POST", "rules", {"name": "given", "pod": "b"}), ("PUT", "rules/given", {}),
                                   ("DELETE", "rules/given", None)):
            status, told = await weir.send(method, "api/v1/" + path, body)
            assert (status, "Helm values" in told["error"]) == (409, True)
        assert (await weir.bus.read_compacted(RULES, 0)) == {b"given": given}


async def test_rules_of_another_page_are_refused(tmp_path: Path) -> None:
    async with world(tmp_path) as weir:
        async with weir.http.get(weir.shared["hub.url"] + "?token=" + TOKEN):
            pass
        rule = {"name": "evil", "target": "all"}
        for headers in ({}, {"Origin": "http://evil.example"}):
            async with weir.http.post(weir.url + "api/v1/rules", json=rule, headers=headers) as answer:
                assert answer.status in (401, 403)
        assert (await weir.ask("api/v1/rules"))[1] == {"rules": []}


async def test_a_preview_tells_pods_and_bytes_by_node(tmp_path: Path) -> None:
    async with world(tmp_path) as weir:
        await weir.pods("prod/checkout-1@a", "prod/checkout-2@b", "prod/cart-1@a")
        now = SystemClock().now_ns()
        ends = {"src": {"ip": "10.1.0.3", "name": "cart-1", "namespace": "prod"},
                "dst": {"ip": "10.1.0.1", "name": "checkout-1", "namespace": "prod"}}
        await weir.bus.publish(HEALTH, [Record(b"c", Heartbeat(
            process="c", stages=["capture"], node="a", started_ns=now - 100 * 10**9, sent_ns=now + 10**12,
            rates={"capture.bytes": 5_000_000.0},
        ))])
        await weir.publish(
            entry(1, kind="flow", protocol="tcp", timestamp=now, conn_local_bytes=400_000_000,
                  conn_remote_bytes=600_000_000, **ends),
            entry(2, timestamp=now, **ends),
        )
        await weir.kept(2)
        status, told = await weir.send("POST", "api/v1/rules/preview", {"pod": "checkout.*"})
        assert (status, told["pods"], told["fresh"], told["workloads"]) == (200, 2, 2, {"deployment/checkout": 2})
        assert [one["pod"] for one in told["listed"]] == ["prod/checkout-1", "prod/checkout-2"]
        assert 9 < told["mb_per_s"] <= 10.1
        assert [(one["node"], round(one["mb_per_s"])) for one in told["nodes"]] == [("a", 15), ("b", 0)]
        assert told["warnings"] == []
        _, told = await weir.send("POST", "api/v1/rules/preview", {"pod": ".*", "namespaces": ["none"]})
        assert told["pods"] == 0
        assert told["warnings"] == ["selects no pod", "nothing is known in namespace none: does it exist?"]
        _, told = await weir.send("POST", "api/v1/rules/preview", {"pod": ".*"})
        assert told["warnings"][0] == "selects every pod (3)"
        assert (await weir.send("POST", "api/v1/rules/preview", {"pod": "("}))[0] == 400
        assert (await weir.ask("api/v1/rules"))[1] == {"rules": []}


async def test_targets_tell_what_is_targeted_now(tmp_path: Path) -> None:
    async with world(tmp_path) as weir:
        await weir.pods("prod/checkout-1@a", "prod/cart-1@a", targeted="checkout")
        await weir.bus.publish(CONTROL, [Record(b"weir", Control(generation=1, pods=True, targets=["port:80"]))])

        async def arrived() -> bool:
            return bool((await weir.ask("api/v1/targets"))[1]["targets"] == ["port:80"])

        await weir.until(arrived)
        _, told = await weir.ask("api/v1/targets")
        assert (told["pods"], [one["pod"] for one in told["listed"]]) == (1, ["prod/checkout-1"])
        assert told["says"] == "targeted now: 1 of 2 pods on 1 nodes; port:80"
        _, state = await weir.ask("api/v1/health")
        assert state["target"]["targeted"] == {"pods": 2, "targeted": 1, "nodes": ["a"], "rules": []}


async def test_why_answers_for_a_pod(tmp_path: Path) -> None:
    async with world(tmp_path) as weir:
        await weir.pods("prod/checkout-1@a", "prod/cart-1@a", "test/cart-1@a", targeted="checkout")
        await weir.publish(entry(
            1, timestamp=SystemClock().now_ns(), src={"name": "checkout-1", "namespace": "prod"}, ok=False,
        ))
        await weir.kept(1)
        _, told = await weir.ask("api/v1/why?pod=prod/checkout-1")
        assert (told["verdict"], told["seen"]["exchanges"], told["seen"]["failed"]) == ("ok", 1, 1)
        assert (await weir.ask("api/v1/why?pod=checkout-1"))[1] == told
        _, told = await weir.ask("api/v1/why?pod=prod/cart-1")
        assert (told["verdict"], told["targeted"]) == ("not_targeted", False)
        status, told = await weir.ask("api/v1/why?pod=cart-1")
        assert (status, told["hint"]) == (400, "there are prod/cart-1, test/cart-1")
        for wrong in ("", "?pod=", "?pod=/x", "?pod=x/", "?pood=x"):
            assert (await weir.ask("api/v1/why" + wrong))[0] == 400
