"""Changes of pods reach the kernel's maps soon, also where many come: from a real API server to real eBPF maps.

`make bench ARGS=scale` is the same with 5,000 pods on 100 nodes and a real Kafka, and tells what it costs.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from weir.bus.api import Bus, Record
from weir.bus.memory import MemoryBroker, MemoryBus
from weir.bus.topics import RULES
from weir.capture.bpf.socketfilter import KernelFilter
from weir.model.control import Rule
from weir.runtime.service import Context
from weir.targets.service import TargetsService
from weir.targets.settings import TargetsSettings
from weir.testing.kube.control_plane import BARE, ControlPlane
from weir.testing.kubescale import LABEL, Crowd, Kernel, delays
from weir.testing.netns import Namespace, joined, may_make_namespaces
from weir.testing.preferred import preferred

pytestmark = [
    pytest.mark.kube,
    pytest.mark.root,
    pytest.mark.timeout(420),
    pytest.mark.skipif(not may_make_namespaces(), reason="needs root and iproute2 for network namespaces"),
]

PODS, NODES, RATE, SECONDS = 500, 10, 10, 10
BOUND_S = 1.0
PATIENCE_S = 60.0


@pytest.fixture
def where() -> Iterator[Namespace]:
    try:
        KernelFilter(node=1, snaplen=96).close()
    except OSError as error:
        pytest.skip(f"the kernel loads no filter here: {error}")
    with joined("one", "other") as (one, _):
        yield one


@asynccontextmanager
async def targets(plane: ControlPlane, bus: Bus) -> AsyncIterator[None]:
    context = Context(bus=bus, process="targets-0")
    settings = TargetsSettings(source="kubernetes", kubeconfig=str(plane.kubeconfig))
    task = asyncio.ensure_future(TargetsService(settings, context).run())
    try:
        yield
    finally:
        context.stop.set()
        await asyncio.wait_for(task, PATIENCE_S)


async def test_the_kernel_knows_of_a_change_within_a_second(
    control_plane: object, where: Namespace, tmp_path: Path
) -> None:
    """`control_plane` skips where there is none; what changes here has one of its own."""
    with ControlPlane(tmp_path, parts=(*BARE, "kwok"), nodes=NODES) as plane:
        crowd = Crowd(plane, PODS, NODES)
        await asyncio.to_thread(crowd.fill)
        bus = MemoryBus("weir", broker=MemoryBroker())
        await bus.start()
        kernel = Kernel(where, bus)
        async with targets(plane, bus), kernel.running():
            await bus.publish(RULES, [Record(b"scale", Rule(name="scale", labels=f"{LABEL}=yes"))])
            async with asyncio.timeout(PATIENCE_S):
                while kernel.targets < PODS // 2:
                    await asyncio.sleep(0.05)
            with preferred():
                changes = await asyncio.to_thread(crowd.change, RATE, SECONDS)
        await bus.stop()
    assert len(changes) == RATE * SECONDS
    outcome = delays(changes, kernel.held)
    assert not outcome.missing
    assert set(outcome.seconds) == {"flip", "come", "go"}
    every = sorted(delay for delays_of in outcome.seconds.values() for delay in delays_of)
    assert len(every) > 0.9 * len(changes)
    assert every[int(len(every) * 0.99)] <= BOUND_S
