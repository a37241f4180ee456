"""What weir asks of an API server: targets with a lease, and any number of capture processes, each on its own node.

The capture processes are what they are to targets: ready pods of the DaemonSet, and readers of `endpoints` and
`control` on the same bus. Meanwhile pods change and come and go. Counted is what the server itself tells: its audit
log, by weir's user agent, and its metrics.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weir.bus.api import Table
from weir.bus.memory import MemoryBroker, MemoryBus
from weir.bus.topics import CONTROL, ENDPOINTS
from weir.runtime.service import Context
from weir.targets.kube.objects import KINDS
from weir.targets.service import TargetsService
from weir.targets.settings import TargetsSettings
from weir.testing.kube.control_plane import ControlPlane
from weir.testing.kube.objects import IMAGE, deployment, service

AGENT, OURS = "weir-", "weir-test"
"""User agents of weir begin with the one; the changes of the test itself, with the other."""
PATIENCE_S = 120.0
CHANGE_S = 0.1
"""Between two changes of a pod."""


@dataclass
class Budget:
    captures: int
    seconds: float
    """That calls were counted for, the start included."""
    calls: Counter[tuple[str, str]]
    """By verb and resource, from the audit log."""
    open_watches: dict[str, int]
    """By resource, from the metrics: how many more there are than without weir."""
    read: int
    """Endpoints that the last of the capture processes knows."""
    changes: int
    """Of pods, made meanwhile."""


def measure(folder: Path, captures: int, seconds: float) -> Budget:
    """On a control plane of its own with `captures` played nodes."""
    with ControlPlane(folder, nodes=captures) as plane:
        agent = deployment("weir-capture", "default", labels={"app.kubernetes.io/component": "capture"})
        del agent["spec"]["replicas"]
        plane.apply(agent | {"kind": "DaemonSet"}, deployment("web", "default", replicas=10), service("web", "default"))
        plane.rolled_out("web", "default", timeout_s=120)
        plane.rolled_out("weir-capture", "default", kind="daemonset", timeout_s=120)
        return asyncio.run(_measure(plane, captures, seconds))


async def _measure(plane: ControlPlane, captures: int, seconds: float) -> Budget:
    before = await asyncio.to_thread(_open_watches, plane)
    mark = plane.mark()
    began = asyncio.get_running_loop().time()
    broker = MemoryBroker()
    async with AsyncExitStack() as stack:
        tables = [await stack.enter_async_context(_reader(broker)) for _ in range(captures)]
        await stack.enter_async_context(_targets(plane, broker))
        await _until(lambda: len(_pods(tables[-1])) >= captures + 10)
        changes = await _churn(plane, began + seconds)
        after = await asyncio.to_thread(_open_watches, plane)
        calls = Counter(
            (call.verb, call.resource) for call in plane.calls(mark, AGENT) if not call.agent.startswith(OURS)
        )
        return Budget(
            captures=captures,
            seconds=asyncio.get_running_loop().time() - began,
            calls=calls,
            open_watches={kind: after[kind] - before[kind] for kind in KINDS},
            read=len(list(tables[-1].items())),
            changes=changes,
        )


async def _churn(plane: ControlPlane, end: float) -> int:
    """Change a pod's label, ten times a second, and now and then make one pod new."""
    names = [
        item["metadata"]["name"]
        for item in (await asyncio.to_thread(plane.api.get, "/api/v1/namespaces/default/pods"))["items"]
        if item["metadata"]["labels"]["app"] == "web"
    ]
    for number in itertools.count():
        if asyncio.get_running_loop().time() >= end:
            return number
        if number % 10 == 9:
            await asyncio.to_thread(_renew, plane, f"extra-{number % 3}")
        else:
            path = f"/api/v1/namespaces/default/pods/{names[number % len(names)]}"
            await asyncio.to_thread(plane.api.patch, path, {"metadata": {"labels": {"turn": str(number)}}})
        await asyncio.sleep(CHANGE_S)
    raise AssertionError


def _renew(plane: ControlPlane, name: str) -> None:
    pods = "/api/v1/namespaces/default/pods"
    if any(item["metadata"]["name"] == name for item in plane.api.get(pods)["items"]):
        plane.api.delete(f"{pods}/{name}", gracePeriodSeconds=0)
    else:
        spec = {"nodeName": "n0", "containers": [{"name": "app", "image": IMAGE}]}
        plane.api.create(pods, {"metadata": {"name": name}, "spec": spec})


@asynccontextmanager
async def _reader(broker: MemoryBroker) -> AsyncIterator[Table]:
    """A capture process, as far as configuration goes."""
    bus = MemoryBus("weir", broker=broker)
    await bus.start()
    endpoints, control = await bus.table(ENDPOINTS), await bus.table(CONTROL)
    try:
        yield endpoints
    finally:
        await endpoints.close()
        await control.close()
        await bus.stop()


@asynccontextmanager
async def _targets(plane: ControlPlane, broker: MemoryBroker) -> AsyncIterator[None]:
    bus = MemoryBus("weir", broker=broker)
    await bus.start()
    context = Context(bus=bus, process="targets-0")
    settings = TargetsSettings(source="kubernetes", kubeconfig=str(plane.kubeconfig), lease="on")
    task = asyncio.ensure_future(TargetsService(settings, context).run())
    try:
        yield
    finally:
        context.stop.set()
        async with asyncio.timeout(PATIENCE_S):
            await task
        await bus.stop()


def _pods(table: Table) -> list[Any]:
    return [record for _, record in table.items() if record.role == "pod"]


def _open_watches(plane: ControlPlane) -> Counter[str]:
    found: Counter[str] = Counter()
    for labels, value in plane.metrics("apiserver_longrunning_requests"):
        if labels["verb"] == "WATCH":
            found[labels["resource"]] += int(value)
    return found


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 (tables of several buses tell of changes each for itself)
            await asyncio.sleep(0.05)
