"""weir as a new user meets it: installed beside an application that runs, then asked for the calls of one workload."""

from __future__ import annotations

import os
import re
import signal
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from weir.testing.cluster.installation import Installation, Tap

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

CALLED = "catalog.demo.svc.cluster.local"
CALLERS = {"visitors": "n1", "frontend": "n2"}
CALLS = 16
OWN_LOAD = 2.0
"""Processes that want each core while two nodes, the shop and weir start, on a machine that does nothing else."""
TALKS = {
    ("visitors", "frontend"), ("frontend", "catalog"), ("frontend", "checkout"), ("checkout", "catalog"),
    ("checkout", "payments"),
}  # fmt: skip
"""Who calls whom in the shop; each does so every few seconds."""


def talks(entries: list[dict[str, Any]]) -> set[tuple[str, str]]:
    """Who calls which service, of entries whose ends both have names."""
    return {
        (entry["src"]["workload"].removeprefix("deployment/"), entry["dst"]["service"]["name"])
        for entry in entries
        if "workload" in entry["src"] and "service" in entry["dst"]
    }


def workloads(entry: dict[str, Any]) -> set[str]:
    return {entry[end].get("workload", "") for end in ("src", "dst")}


def trace_of(entry: dict[str, Any]) -> str:
    found = re.search(r"[?&]trace=([\w-]+)", entry.get("url", ""))
    return found[1] if found else ""


def leaked(weir: Installation) -> dict[str, int]:
    processes = weir.api("health")["processes"]
    return {
        f"{one['process']} {name}": count
        for one in processes
        for name, count in one["counters"].items()
        if ".leaked" in name and count
    }


def counted(weir: Installation, counter: str) -> int:
    return sum(one["counters"].get(counter, 0) for one in weir.api("health")["processes"])


@pytest.fixture(scope="module")
def first(weir: Installation, wait_until: Any) -> dict[str, float]:
    """Seconds: from the start of the installation to its first entry, from when it was ready to the whole map; as on a
    machine that nobody else uses."""
    wait_until("an entry", lambda: weir.entries(limit=1), 60)
    entry_s = time.monotonic() - weir.began
    wait_until("who talks to whom", lambda: talks(weir.entries(kind="flow")) >= TALKS, 60)
    map_s = time.monotonic() - weir.began - weir.ready_s
    share = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1) / OWN_LOAD)
    print(f"ready after {weir.ready_s:.1f} s, first entry after {entry_s:.1f} s, map {map_s:.1f} s after that"
          f"{f', at {share:.1f} times the load of its own' if share > 1 else ''}")  # fmt: skip
    return {"entry": entry_s / share, "map": map_s / share}


def test_the_first_entry_comes_within_90_seconds(first: dict[str, float]) -> None:
    assert first["entry"] <= 90


def test_without_a_rule_it_is_known_within_ten_seconds_who_talks_to_whom(first: dict[str, float]) -> None:
    assert first["map"] <= 10


def test_without_a_rule_only_names_are_read(weir: Installation, first: Any, cluster: Any, wait_until: Any) -> None:
    traces = [uuid.uuid4().hex for _ in range(4)]
    ports = cluster.call("deployment/visitors", CALLED, "/items/3", traces)
    # Its flows are told once they are closed: then there was time for everything else, too.
    wait_until("the calls as flows", lambda: {
        entry["src"]["port"] for entry in weir.entries(kind="flow", name="catalog")
    } >= set(ports), 30)
    entries = weir.entries(hidden=1)
    assert {entry["protocol"] for entry in entries} <= {"tcp", "udp", "icmp", "dns"}
    assert {entry["kind"] for entry in entries if entry["protocol"] != "dns"} == {"flow"}
    assert not [entry for trace in traces for entry in weir.entries(text=trace)]
    assert counted(weir, "capture.kernel.outlined") > 100
    assert leaked(weir) == {}


def test_its_footprint_is_what_the_guide_says(weir: Installation) -> None:
    pods = [pod for pod in weir.pods() if pod["metadata"]["labels"]["app.kubernetes.io/component"] != "topics"]
    requests = [c["resources"]["requests"] for pod in pods for c in pod["spec"]["containers"]]
    memory = sum(int(one["memory"].removesuffix("Mi")) for one in requests) / 1024
    cpus = sum(int(one["cpu"].removesuffix("m")) for one in requests) / 1000
    guide = Path("docs/guide/install-kubernetes.md").read_text()
    assert f"On two nodes: {len(pods)} pods, {memory:.1f} GiB and {cpus:.1f} CPUs requested" in guide


def test_status_says_in_one_line_that_payload_is_off_and_how_to_turn_it_on(weir: Installation, first: Any) -> None:
    lines = weir.weir("status").splitlines()
    (line,) = [line for line in lines if "no payload" in line and "weir tap" in line]
    assert "weir tap POD -n NAMESPACE" in line
    assert lines[0].startswith("weir is ok; targeted: nothing")
    assert "selection in the kernel: ebpf" in "\n".join(lines)


@pytest.fixture(scope="module")
def tap(weir: Installation, first: Any, wait_until: Any) -> Iterator[Tap]:
    """Follows the catalog, and shows calls of the pods on both nodes."""
    with weir.tap("catalog-.*", "-n", "demo") as tap:
        wait_until("the calls that the shop makes", lambda: {
            entry["dst"]["node"] for entry in tap.entries() if entry["protocol"] == "http"
        } == {"n1", "n2"}, 60)
        yield tap


@pytest.fixture(scope="module")
def calls(tap: Tap, cluster: Any, wait_until: Any) -> dict[str, list[dict[str, Any]]]:
    """Entries that the tap showed, by the call's trace, of calls from a pod on each node through the service's address;
    a trace is `CALLER-…`."""
    traces = {f"{caller}-{uuid.uuid4().hex}": caller for caller in CALLERS for _ in range(CALLS)}
    for caller in CALLERS:
        cluster.call(f"deployment/{caller}", CALLED, "/items/3", [t for t, who in traces.items() if who == caller])
    wait_until("all calls", lambda: traces.keys() <= {trace_of(entry) for entry in tap.entries()}, 60)
    # What would come twice comes at once: a later call from each node has overtaken it.
    late = {caller: uuid.uuid4().hex for caller in CALLERS}
    for caller, trace in late.items():
        cluster.call(f"deployment/{caller}", CALLED, "/items/3", [trace])
    wait_until("later calls", lambda: set(late.values()) <= {trace_of(entry) for entry in tap.entries()}, 60)
    return {trace: [entry for entry in tap.entries() if trace_of(entry) == trace] for trace in traces}


def test_tap_tells_what_it_asked_for(tap: Tap) -> None:
    told = tap.told()
    assert "using weir/weir-hub of context" in told
    assert "selects 2 pods on 2 nodes: demo/catalog-" in told


def test_each_call_is_shown_once(calls: dict[str, list[dict[str, Any]]]) -> None:
    assert {trace: len(entries) for trace, entries in calls.items() if len(entries) != 1} == {}
    assert len(calls) == CALLS * len(CALLERS)


def test_calls_have_the_names_of_both_ends(calls: dict[str, list[dict[str, Any]]], cluster: Any) -> None:
    nodes = {pod["metadata"]["name"]: pod["spec"]["nodeName"] for pod in cluster.pods("demo")}
    ways = set()
    for trace, (entry,) in calls.items():
        caller = trace.partition("-")[0]
        src, dst = entry["src"], entry["dst"]
        assert (entry["method"], entry["path"], entry["status_code"]) == ("GET", "/items/3", 200)
        assert src["pod"]["name"] == cluster.pod_of(caller)["metadata"]["name"]
        assert (src["workload"], src["namespace"], src["node"]) == (f"deployment/{caller}", "demo", CALLERS[caller])
        assert (dst["workload"], dst["namespace"]) == ("deployment/catalog", "demo")
        assert dst["service"]["name"] == "catalog"
        assert nodes[dst["pod"]["name"]] == dst["node"]
        assert dst["port"] == 8080
        ways.add((src["node"], dst["node"]))
    assert ways == {(one, other) for one in ("n1", "n2") for other in ("n1", "n2")}


def test_only_calls_of_the_workload_are_read(
    weir: Installation, tap: Tap, calls: Any, cluster: Any, wait_until: Any
) -> None:
    # For this call the catalog asks for a name.
    cluster.call("deployment/frontend", CALLED, "/items/3/stock", [uuid.uuid4().hex])
    wait_until("a name that it asked for", lambda: "dns" in {entry["protocol"] for entry in tap.entries()}, 30)
    shown = tap.entries()
    assert [entry for entry in shown if "deployment/catalog" not in workloads(entry)] == []
    read = weir.entries(protocol="http,grpc,http2,tls")
    assert len(read) >= len(calls)
    assert [entry["summary"] for entry in read if "deployment/catalog" not in workloads(entry)] == []
    assert leaked(weir) == {}


def test_calls_stop_when_the_tap_ends(weir: Installation, tap: Tap, calls: Any, cluster: Any, wait_until: Any) -> None:
    assert tap.end(signal.SIGINT) == 0
    assert "entries shown" in tap.told()
    assert weir.api("rules")["rules"] == []
    wait_until("nothing targeted", lambda: weir.api("health")["target"]["outline"], 30)
    wait_until("the kernels to know", lambda: not payload_since(weir, 4), 60)
    trace = uuid.uuid4().hex
    ports = cluster.call("deployment/frontend", CALLED, "/items/3", [trace])
    wait_until("the call as a flow", lambda: set(ports) <= {
        entry["src"]["port"] for entry in weir.entries(kind="flow", name="catalog")
    }, 30)
    assert weir.entries(text=trace) == []
    assert leaked(weir) == {}


def payload_since(weir: Installation, seconds: int) -> list[dict[str, Any]]:
    """The shop calls its catalog more than once a second."""
    return weir.entries(protocol="http", since=f"{seconds}s")


def test_a_tap_that_dies_leaves_its_rule_for_a_minute(weir: Installation, first: Any, wait_until: Any) -> None:
    with weir.tap("--workload", "deployment/checkout", "-n", "demo") as tap:
        wait_until("its calls", lambda: [e for e in tap.entries() if e["protocol"] == "http"], 60)
        tap.end(signal.SIGKILL)
        (rule,) = weir.api("rules")["rules"]
        assert rule["rule"]["workload"] == "deployment/checkout"
        wait_until("the lease to end", lambda: weir.api("rules")["rules"] == [], 80)
        wait_until("nothing targeted", lambda: weir.api("health")["target"]["outline"], 30)
    assert leaked(weir) == {}
