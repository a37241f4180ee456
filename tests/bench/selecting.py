"""What weir takes of the same live traffic with no rule, with a rule for one of ten pods, and with a rule for all.

One `weir up` on the node of ten pods (`pods`), whose rules change while it runs, so that every state is measured in the
same process. Bytes past the kernel are those that its filter let through, against what the pods' interfaces counted.
Needs root and eBPF.
"""

from __future__ import annotations

import contextlib
import json
import re
import signal
import subprocess
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
from measure import WEIR, Figure, Run, Skip, process_cpu_s
from pods import EXCHANGES, NODE, PODS, RANGE, SPACE, Made, Node, address, pod_name, ten_pods

from weir.testing.netns import may_make_namespaces
from weir.testing.preferred import preferred

SECONDS, QUICK_SECONDS, RATE, OPENINGS = 15, 5, 2000, 100
OUTLINE_BYTES, OUTLINE_CPU, ONE_BYTES, ALL_BYTES = 0.05, 0.05, 1.1, 1.02
FIXED_CPU = 0.1
"""Of a rule for all, what a rule for one pod may take beside its share of the bytes."""
CHOSEN = 3
TOKEN = "a-token-for-benchmarks"
PAGE = "http://127.0.0.1:8899"
START_S, SETTLE_S, QUIET_S = 60.0, 60.0, 5.0
BUSY = 0.05
"""CPU of a process that has something to do."""
IN_FORCE_S = 2.0
_METRIC = re.compile(r"^(\w+?)(?:_total)?(?:\{[^}]*\})? ([0-9.e+-]+)$", re.MULTILINE)


class Seen(msgspec.Struct, frozen=True):
    """One state, measured."""

    made: Made
    wire: list[int]
    """Bytes of each pod."""
    passed: int
    """Bytes that the kernel filter let through."""
    cpu_s: float
    kinds: Counter[str]
    """Entries by protocol or kind."""
    foreign: int
    """Exchanges and messages of HTTP of which the chosen pod is no end."""
    lost: str
    """What was dropped, and where."""

    @property
    def wire_once(self) -> int:
        """A packet is sent by one pod and received by one."""
        return sum(self.wire) // 2


def selection(run: Run) -> Iterator[Figure]:
    """The table of what is paid for what is selected."""
    if not may_make_namespaces():
        raise Skip("needs root and iproute2 for network namespaces")
    seconds = QUICK_SECONDS if run.quick else SECONDS
    with ten_pods(run.folder) as node, _weir(node, run.folder) as process, preferred():
        hub = Hub(node)
        hub.until(lambda: "capture_kernel_seen" in hub.metrics(), "the eBPF filter")
        _measured(node, hub, process.pid, 2)  # whatever is made once
        idle = _idle(process.pid, seconds / 2)
        outline = _measured(node, hub, process.pid, seconds)
        opening = _measured(node, hub, process.pid, seconds, OPENINGS, 1)
        hub.rule(1, name="bench", pod=pod_name(CHOSEN), namespaces=[SPACE])
        one = _measured(node, hub, process.pid, seconds)
        hub.rule(PODS, name="bench", namespaces=[SPACE])
        everything = _measured(node, hub, process.pid, seconds)
    yield from _told(outline, one, everything, idle)
    yield _openings(opening, idle)


def _told(outline: Seen, one: Seen, everything: Seen, idle: float) -> Iterator[Figure]:
    full = everything.cpu_s
    share = outline.passed / outline.wire_once
    yield _bytes("no rule", share, "all on the wire", OUTLINE_BYTES, outline)
    ratio = outline.cpu_s / full
    yield Figure(
        case="selection", what="no rule, CPU", value=outline.cpu_s, unit="s", ratio=ratio, anchor="a rule for all",
        budget=f"<= {OUTLINE_CPU} x", holds=ratio <= OUTLINE_CPU,
        note=f"{sum(outline.made.connections)} connections; {idle:.2f} s without any traffic",
    )  # fmt: skip
    yield _entries("no rule", outline, http=0, dns=sum(outline.made.names))
    yield _bytes("a rule for 1 of 10 pods", one.passed / one.wire[CHOSEN], "that pod's", ONE_BYTES, one)
    mine = one.wire[CHOSEN] / one.wire_once
    ratio = one.cpu_s / full
    yield Figure(
        case="selection", what="a rule for 1 of 10 pods, CPU", value=one.cpu_s, unit="s", ratio=ratio,
        anchor="a rule for all", budget=f"<= {mine + FIXED_CPU:.2f} x", holds=ratio <= mine + FIXED_CPU,
        note=f"{mine:.3f} of all bytes are that pod's; {one.foreign} exchanges of others",
    )  # fmt: skip
    yield _entries("a rule for 1 of 10 pods", one, http=one.made.of(CHOSEN, one.made.calls), dns=sum(one.made.names))
    yield _bytes("a rule for all", everything.passed / everything.wire_once, "all on the wire", ALL_BYTES, everything)
    calls = sum(everything.made.calls)
    yield Figure(
        case="selection", what="a rule for all, CPU", value=full, unit="s", ratio=1.0, anchor="a rule for all",
        note=f"{1e6 * full / calls:.0f} µs for each of {calls:,} calls",
    )  # fmt: skip
    yield _entries("a rule for all", everything, http=calls, dns=sum(everything.made.names))


def _openings(seen: Seen, idle: float) -> Figure:
    count = sum(seen.made.connections)
    return Figure(
        case="selection", what="no rule, CPU for a connection that comes and goes", unit="µs",
        value=1e6 * (seen.cpu_s - idle) / count, note=f"{count:,} of one call each, {sum(seen.made.names)} of DNS",
    )  # fmt: skip


def _bytes(state: str, share: float, anchor: str, budget: float, seen: Seen) -> Figure:
    return Figure(
        case="selection", what=f"{state}, past the kernel", value=seen.passed / 1e6, unit="MB", ratio=share,
        anchor=anchor, budget=f"<= {budget} x", holds=share <= budget,
        note=f"{seen.wire_once / 1e6:.1f} MB on the wire",
    )  # fmt: skip


def _entries(state: str, seen: Seen, *, http: int, dns: int) -> Figure:
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in sorted(seen.kinds.items()))
    kinds += f"; lost: {seen.lost}" if seen.lost else "; nothing lost"
    return Figure(
        case="selection", what=f"{state}, exchanges of HTTP", value=seen.kinds["http"], unit="",
        budget=f"= {http:,}, and {dns:,} of DNS",
        holds=seen.kinds["http"] == http and seen.kinds["dns"] == dns,
        note=kinds,
    )  # fmt: skip


class Hub:
    """The hub of the node, asked from there."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def ask(self, path: str, body: Any = None) -> Any:
        text = self._ask(f"/api/v1/{path}", body)
        return json.loads(text)

    def metrics(self) -> dict[str, float]:
        """By name without prefix and suffix."""
        found = _METRIC.findall(self._ask("/metrics"))
        return {name.removeprefix("weir_"): float(value) for name, value in found}

    def lost(self) -> Counter[str]:
        found = re.findall(r'^weir_lost_total\{reason="([^"]+)"\} (\S+)$', self._ask("/metrics"), re.MULTILINE)
        return Counter({name: int(float(value)) for name, value in found})

    def rule(self, pods: int, **fields: Any) -> None:
        """Put it in force, and wait until the hub knows so many targets, and the kernel a moment later."""
        self.ask("rules", fields)
        self.until(lambda: self.ask("targets")["pods"] == pods, f"{pods} targets")
        time.sleep(IN_FORCE_S)

    def until(self, condition: Callable[[], Any], what: str) -> None:
        end = time.monotonic() + START_S
        while True:
            with contextlib.suppress(OSError):
                if condition():
                    return
            if time.monotonic() > end:
                raise RuntimeError(f"{what} did not come: {self.metrics()}")
            time.sleep(0.1)

    def entries(self, since_ns: int) -> Iterator[dict[str, Any]]:
        cursor = ""
        while cursor is not None:
            more = f"&cursor={cursor}" if cursor else ""
            page = self.ask(f"entries?since={since_ns}&limit=1000&detail=summary&hidden=1{more}")
            yield from page["entries"]
            cursor = page["next"]

    def _ask(self, path: str, body: Any = None) -> str:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        with self._node.where.entered():
            asked = urllib.request.Request(PAGE + path, data, headers)
            with urllib.request.urlopen(asked, timeout=60) as answer:
                return str(answer.read().decode())


def _measured(
    node: Node, hub: Hub, pid: int, seconds: float, rate: float = RATE, exchanges: int = EXCHANGES
) -> Seen:
    """A round of traffic, and all that weir does about it."""
    lost = hub.lost()
    wire, passed, cpu_s = node.wire_bytes(), _passed(hub), process_cpu_s(pid)
    made = node.traffic(seconds, rate, exchanges)
    cpu_s = _settled(pid) - cpu_s
    after = _passed(hub)
    kinds: Counter[str] = Counter()
    foreign = 0
    for entry in hub.entries(made.begun_ns):
        if not _is_of_pods(entry):
            continue
        protocol = entry["protocol"] if entry["kind"] in ("exchange", "message") else entry["kind"]
        kinds[protocol] += 1
        ends = {entry["src"].get("ip"), entry["dst"].get("ip")}
        foreign += protocol == "http" and address(CHOSEN) not in ends
    return Seen(
        made, [now - then for now, then in zip(node.wire_bytes(), wire, strict=True)], after - passed, cpu_s, kinds,
        foreign, ", ".join(f"{count:,} {name}" for name, count in (hub.lost() - lost).items()),
    )  # fmt: skip


def _is_of_pods(entry: dict[str, Any]) -> bool:
    """Not the node's own traffic (the played API, the hub)."""
    return str(entry["src"].get("ip", "")).startswith(f"{RANGE}.1") and entry["src"]["ip"] != f"{RANGE}.1"


def _passed(hub: Hub) -> int:
    return int(hub.metrics().get("capture_kernel_passed_bytes", 0))


def _settled(pid: int) -> float:
    """Its CPU seconds once it has little to do: what was told last has been stored, totals of closed flows are told."""
    end, quiet, spent = time.monotonic() + SETTLE_S, time.monotonic(), process_cpu_s(pid)
    while time.monotonic() - quiet < QUIET_S and time.monotonic() < end:
        time.sleep(1)
        before, spent = spent, process_cpu_s(pid)
        if spent - before > BUSY:
            quiet = time.monotonic()
    return spent


def _idle(pid: int, seconds: float) -> float:
    """CPU seconds that it takes in the time of a whole round without any traffic."""
    before = process_cpu_s(pid)
    time.sleep(seconds)
    return (process_cpu_s(pid) - before) * 2


@contextlib.contextmanager
def _weir(node: Node, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """All stages in one process on the node, as it is without any rule."""
    argv = [
        *WEIR, "up", "--interface", "any", "--capture.filter", "ebpf", "--runtime.node", NODE, "--hub.token", TOKEN,
        "--targets.source", "kubernetes", "--targets.kubeconfig", str(node.kubeconfig), "--targets.lease", "off",
        "--store.memory-entries", "200000", "--runtime.data-dir", str(folder / "selection"),
    ]  # fmt: skip
    with (folder / "selection.log").open("wb") as log:
        process = subprocess.Popen(node.where.command(*argv), stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        yield process
    except BaseException as error:
        error.add_note((folder / "selection.log").read_text(errors="replace")[-1500:])
        raise
    finally:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(30)
        process.kill()
        process.wait()
