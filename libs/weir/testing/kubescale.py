"""A large cluster on a real API server, its nodes and pods played, whose pods change; and how soon a kernel knows.

`Crowd` makes the pods and changes them at a rate: labels that a rule asks for, pods that go, pods that come. `Kernel`
is a capture process with the real eBPF maps, which writes down when the maps held what. `delays` joins the two. All
times are of the monotonic clock, which processes of one machine share.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import ipaddress
import json
import queue
import ssl
import threading
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

import msgspec

from weir.bus.api import Bus
from weir.capture.bpf.layout import MAPPED, End, end_fields
from weir.capture.bpf.selection import Contents
from weir.capture.bpf.socketfilter import KernelFilter
from weir.capture.service import CaptureService
from weir.capture.settings import CaptureSettings
from weir.capture.sources.af_packet import AfPacketSource
from weir.runtime.service import Context
from weir.testing.kube.api import MERGE, ApiError
from weir.testing.kube.control_plane import ControlPlane
from weir.testing.kube.objects import pod
from weir.testing.netns import Namespace

SPACE = "crowd"
LABEL, MADE = "watched", "made"
"""A rule asks for the label; pods that come later bear the other one, too."""
WORKERS = 6
PATIENCE_S = 300.0
TURNS = ("flip", "come", "flip", "go", "flip")
"""What changes, in this order again and again."""
REUSED_S = 3.0
"""Whoever gets an address so soon after it was another's may take its place in the maps without any change there."""


class Change(msgspec.Struct, frozen=True):
    """Something that the maps have to follow."""

    what: str
    at_ns: int
    """When it was asked for; of a pod that came, when the API told its address."""
    address: str
    targeted: bool
    """What holds afterwards."""


class Held(msgspec.Struct, frozen=True):
    """The maps hold this from then on."""

    at_ns: int
    address: str
    targeted: bool


class Outcome(msgspec.Struct, frozen=True):
    seconds: dict[str, list[float]]
    """By what changed, how long the maps took."""
    reused: int
    """Changes of addresses that were another pod's at once: nothing to be seen in the maps."""
    missing: list[Change]


def delays(changes: Sequence[Change], held: Iterable[Held]) -> Outcome:
    by_address: dict[str, list[Held]] = {}
    for each in held:
        by_address.setdefault(each.address, []).append(each)
    seconds: dict[str, list[float]] = {}
    missing, reused = [], 0
    for change in changes:
        took = _took(change, by_address.get(change.address, []))
        if took is not None:
            seconds.setdefault(change.what, []).append(took)
        elif any(_takes_place(change, other) for other in changes):
            reused += 1
        else:
            missing.append(change)
    return Outcome(seconds, reused, missing)


def _took(change: Change, known: Sequence[Held]) -> float | None:
    """Seconds until the maps held it. Of a pod that came, they may know before the test was told."""
    if change.what == "come":
        before = [held for held in known if -REUSED_S * 1e9 < held.at_ns - change.at_ns < 0]
        if before and before[-1].targeted:
            return 0.0
    after = (held.at_ns for held in known if held.at_ns >= change.at_ns and held.targeted == change.targeted)
    at_ns = next(after, None)
    return None if at_ns is None else (at_ns - change.at_ns) / 1e9


def _takes_place(one: Change, other: Change) -> bool:
    near = abs(other.at_ns - one.at_ns) < REUSED_S * 1e9
    return one is not other and one.address == other.address and near


class Crowd:
    """Pods of one namespace, on nodes n0, n1, …; every other one bears the label that the rule asks for."""

    def __init__(self, plane: ControlPlane, pods: int, nodes: int) -> None:
        self._plane = plane
        self._count, self._nodes = pods, nodes
        self._known: dict[str, tuple[str, bool]] = {}
        """Address and label by name."""

    def fill(self) -> None:
        """Make the pods, and wait until each has an address."""
        with contextlib.suppress(ApiError):
            self._plane.api.create("/api/v1/namespaces", {"metadata": {"name": SPACE}})
        with ThreadPoolExecutor(WORKERS, initializer=self._connect) as pool:
            for _ in pool.map(lambda number: self._make(f"p{number}", number, number % 2 == 0), range(self._count)):
                pass
        end = time.monotonic() + PATIENCE_S
        while len(self._known) < self._count:
            if time.monotonic() > end:
                raise TimeoutError(f"{len(self._known)} of {self._count} pods run")
            time.sleep(2)
            items = self._plane.api.get(f"/api/v1/namespaces/{SPACE}/pods")["items"]
            self._known = {
                item["metadata"]["name"]: (item["status"]["podIP"], item["metadata"]["labels"][LABEL] == "yes")
                for item in items if item["status"].get("podIP")
            }

    def change(self, rate: float, seconds: float) -> list[Change]:
        """So many changes a second for so long, or as many as the API server takes."""
        told: queue.SimpleQueue[Change] = queue.SimpleQueue()
        done = threading.Event()
        watching = threading.Thread(target=self._watch, args=(told, done))
        watching.start()
        try:
            steps = self._steps(int(rate * seconds))
            begun = time.monotonic()
            with ThreadPoolExecutor(WORKERS, initializer=self._connect) as pool:
                for _ in pool.map(lambda step: self._step(begun + step[0] / rate, step, told), steps):
                    pass
            time.sleep(3)
        finally:
            done.set()
            watching.join()
        return [told.get() for _ in range(told.qsize())]

    def _steps(self, count: int) -> list[tuple[int, str, str]]:
        """Number, what, and the pod's name; no pod is changed twice."""
        flips = iter(list(self._known))
        goes = iter([name for name, (_, label) in reversed(self._known.items()) if label])
        steps = []
        for number in range(count):
            what = TURNS[number % len(TURNS)]
            name = f"late-{number}" if what == "come" else next(goes if what == "go" else flips)
            steps.append((number, what, name))
        changed = [name for _, _, name in steps]
        if len(set(changed)) < len(changed):
            raise ValueError("too few pods for so many changes")
        return steps

    def _step(self, due: float, step: tuple[int, str, str], told: queue.SimpleQueue[Change]) -> None:
        number, what, name = step
        time.sleep(max(due - time.monotonic(), 0))
        path = f"/api/v1/namespaces/{SPACE}/pods/{name}"
        if what == "come":
            self._make(name, number, True, {MADE: "late"})
            return
        address, label = self._known[name]
        at_ns = time.monotonic_ns()
        if what == "flip":
            told.put(Change(what, at_ns, address, not label))
            self._line.request("PATCH", path, {"metadata": {"labels": {LABEL: "no" if label else "yes"}}})
        else:
            told.put(Change(what, at_ns, address, False))
            self._line.request("DELETE", path, {"gracePeriodSeconds": 0})

    def _make(self, name: str, number: int, label: bool, more: Mapping[str, str] | None = None) -> None:
        made = pod(name, SPACE, labels={"app": f"app-{number % 100}", LABEL: "yes" if label else "no", **(more or {})})
        made["spec"] |= {"nodeName": f"n{number % self._nodes}", "terminationGracePeriodSeconds": 0}
        self._line.request("POST", f"/api/v1/namespaces/{SPACE}/pods", made)

    _lines = threading.local()

    def _connect(self) -> None:
        Crowd._lines.line = _Line(self._plane)

    @property
    def _line(self) -> _Line:
        line: _Line = Crowd._lines.line
        return line

    def _watch(self, told: queue.SimpleQueue[Change], done: threading.Event) -> None:
        """When the API tells the addresses of pods that came."""
        known: set[str] = set()
        path = f"/api/v1/namespaces/{SPACE}/pods"
        while not done.is_set():
            for event in self._plane.api.watch(path, timeout_s=2, labelSelector=f"{MADE}=late"):
                address = event["object"].get("status", {}).get("podIP", "")
                name = event["object"]["metadata"].get("name", "")
                if address and name not in known and event["type"] != "DELETED":
                    known.add(name)
                    told.put(Change("come", time.monotonic_ns(), address, True))


class _Line:
    """One connection to the API server that stays."""

    def __init__(self, plane: ControlPlane) -> None:
        where = urlsplit(plane.url)
        tls = ssl.create_default_context(cafile=str(plane.ca_file))
        self._connection = http.client.HTTPSConnection(where.hostname or "", where.port, context=tls, timeout=60)
        self._token = plane.api.token

    def request(self, method: str, path: str, value: Mapping[str, Any]) -> None:
        kind = MERGE if method == "PATCH" else "application/json"
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": kind, "User-Agent": "weir-test"}
        self._connection.request(method, path, json.dumps(value), headers)
        answer = self._connection.getresponse()
        body = answer.read()
        if answer.status >= 300:
            raise ApiError(answer.status, body.decode(errors="replace"))


class Kernel:
    """A capture service whose ring is in a namespace and whose bus is not, and what its maps held when."""

    def __init__(self, where: Namespace, bus: Bus, node: str = "n0") -> None:
        self.held: list[Held] = []
        self.context = Context(bus=bus, process="capture", node=node)
        self._where = where
        settings = CaptureSettings(
            source="af_packet", interfaces=(where.interface,), filter="ebpf", ring_blocks=4, node=node
        )
        self._service = CaptureService(settings, self.context)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        with self._watched():
            task = asyncio.ensure_future(self._service.run())
            try:
                yield
            finally:
                self.context.stop.set()
                await asyncio.wait_for(task, 30)

    @property
    def targets(self) -> int:
        """Addresses that the maps hold as targeted."""
        gauge = self.context.gauges.get("capture.targets")
        return int(gauge()) if gauge else 0

    @contextlib.contextmanager
    def _watched(self) -> Iterator[None]:
        apply, open_rings, where, held = KernelFilter.apply, AfPacketSource._open, self._where, self.held

        def watched(kernel: KernelFilter, contents: Contents) -> None:
            apply(kernel, contents)
            now_ns = time.monotonic_ns()
            held.extend(
                Held(now_ns, _address(key), bool(value and end_fields(value)[0] & End.TARGETED))
                for key, value in contents.ends.items()
            )

        def there(source: AfPacketSource) -> None:
            with where.entered():
                open_rings(source)

        with mock.patch.object(KernelFilter, "apply", watched), mock.patch.object(AfPacketSource, "_open", there):
            yield


def _address(key: bytes) -> str:
    """Of the key of an end (`weir.capture.bpf.layout.end_key`)."""
    wide = key[:16]
    return str(ipaddress.ip_address(wide[12:] if wide.startswith(MAPPED) else wide))
