"""docker-compose.yml as a user starts it: from a request in the shop to the archive and the page."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

pytestmark = [pytest.mark.containers, pytest.mark.timeout(600)]

STAGES = {"capture", "filter", "decode", "store", "targets", "hub"}
CALL = """
import urllib.request
request = urllib.request.Request("http://10.77.7.11:8080/products/3?trace={trace}&token=t-secret-77",
                                 headers={{"Authorization": "Bearer visitor-secret-42"}})
print(urllib.request.urlopen(request, timeout=10).read().decode())
"""


@pytest.fixture(scope="module")
def running(stack: Any, wait_until: Any) -> Any:
    """Every stage is healthy, and traffic arrives."""
    def healthy() -> bool:
        states = stack.states()
        return all(states.get(stage, ("", "", 0))[:2] == ("running", "healthy") for stage in STAGES)

    wait_until("every stage is healthy", healthy, 120)
    wait_until("entries of the shop", lambda: stack.entries(protocol="http"), 60)
    return stack


def calls(stack: Any, trace: str) -> list[dict[str, Any]]:
    return [e for e in stack.entries(protocol="http", text=trace) if trace in e.get("url", "")]


def test_nothing_restarts_and_the_topics_are_made(running: Any) -> None:
    states = running.states()
    assert states["topics"] == ("exited", "", 0)
    assert [name for name, state in states.items() if state[0] != "running" and name != "topics"] == []


def test_a_request_of_the_shop_reaches_the_archive(running: Any, wait_until: Any) -> None:
    trace = uuid.uuid4().hex
    assert "copper basket" in running.run_in("shop-visitors", CALL.format(trace=trace))
    entry = wait_until("the call in the archive", lambda: calls(running, trace), 30)[0]
    assert (entry["method"], entry["path"], entry["status_code"]) == ("GET", "/products/3", 200)
    assert (entry["src"]["name"], entry["dst"]["name"], entry["dst"]["port"]) == ("visitors", "frontend", 8080)
    assert (entry["src"]["ip"], entry["dst"]["ip"]) == ("10.77.7.10", "10.77.7.11")
    assert entry["dst"]["namespace"] == "demo"
    assert "copper basket" in str(entry["response"]["body"])
    whole = running.json(f"/api/v1/entries/{entry['id']}")
    assert "visitor-secret-42" not in str(whole)
    assert "t-secret-77" not in str(whole)
    # What the frontend asked the catalog on behalf of it, joined by nothing but time.
    wait_until("the call behind it", lambda: [
        e for e in running.entries(protocol="http", name="catalog") if e.get("path") == "/items/3"
    ], 30)


def test_each_request_is_there_once_though_two_interfaces_show_it(running: Any, wait_until: Any) -> None:
    traces = [uuid.uuid4().hex for _ in range(12)]
    running.run_in("shop-visitors", "\n".join(CALL.format(trace=trace) for trace in traces))
    wait_until("all calls", lambda: all(calls(running, trace) for trace in traces), 30)
    assert [len(calls(running, trace)) for trace in traces] == [1] * len(traces)


def test_the_shop_is_seen_in_all_its_protocols(running: Any, wait_until: Any) -> None:
    def seen() -> bool:
        entries = running.entries()
        return {"http", "dns"} <= {e["protocol"] for e in entries} and any(
            e.get("dst", {}).get("name") == "payments" and e["protocol"] in ("http", "grpc") for e in entries
        )

    wait_until("HTTP, DNS and gRPC of the shop", seen, 60)


def test_the_bus_is_not_captured(running: Any) -> None:
    ports = {e[end]["port"] for e in running.entries() for end in ("src", "dst")}
    assert ports & {29092, 19092, 8124, 18899, 8899} == set()


def test_the_page_is_served_to_who_has_the_token(running: Any) -> None:
    assert running.get("/api/v1/entries", token="")[0] == 401
    assert running.get("/api/v1/entries", token="not-the-token-at-all")[0] == 401
    status, page = running.get("/")
    assert status == 200
    assert b"<script" in page
    script = page.split(b'src="', 1)[1].split(b'"', 1)[0].decode()
    status, body = running.get("/" + script.lstrip("./"))
    assert status == 200
    assert len(body) > 10_000


def test_health_knows_every_process(running: Any, wait_until: Any) -> None:
    def all_up() -> bool:
        processes = running.json("/api/v1/health")["processes"]
        return {stage for p in processes if p["state"] == "up" for stage in p["stages"]} >= STAGES

    wait_until("heartbeats of every stage", all_up, 30)


def test_history_outlives_the_hub(running: Any, wait_until: Any) -> None:
    trace = uuid.uuid4().hex
    running.run_in("shop-visitors", CALL.format(trace=trace))
    wait_until("the call in the archive", lambda: calls(running, trace), 30)
    running.compose("restart", "hub")
    assert wait_until("the call, after a restart", lambda: calls(running, trace), 60)
