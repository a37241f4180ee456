"""A large cluster whose pods change, on a real API server and a real Kafka: what targets costs, and how soon a kernel
knows. Needs root, eBPF, and what `make kube` and `make kafka` need."""

from __future__ import annotations

import asyncio
import contextlib
import json
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
from measure import Figure, Run, Skip, percentile, process_cpu_s

from weir.bus.api import Record
from weir.bus.topics import ENDPOINTS, RULES
from weir.model.control import Rule
from weir.testing.kafka.jars import KafkaMissing
from weir.testing.kafka.realkafka import RealKafka
from weir.testing.kube.control_plane import BARE, ControlPlane
from weir.testing.kube.programs import KubeMissing
from weir.testing.kubescale import LABEL, Crowd, Held, Kernel, Outcome, delays
from weir.testing.netns import Namespace, joined, may_make_namespaces
from weir.testing.preferred import preferred
from weir.testing.stages import Installation

PODS, NODES, RATE, SECONDS = 5000, 100, 50, 60
QUICK_PODS, QUICK_NODES, QUICK_RATE, QUICK_SECONDS = 500, 10, 10, 10
P99_S = 1.0
PATIENCE_S = 240.0


class Cost(msgspec.Struct, frozen=True):
    outcome: Outcome
    changes: int
    changes_s: float
    """How many a second were asked for, or came, while they were made."""
    seconds: float
    start_s: float
    """From the start of targets until all is in the kernel."""
    start_cpu_s: float
    cpu_s: float
    """Of targets, while pods changed."""
    capture_cpu_s: float
    rss_bytes: int
    most_bytes: int


def scale(run: Run) -> Iterator[Figure]:
    """Pods of which some are targeted by a label: labels change, pods go, pods come."""
    if not may_make_namespaces():
        raise Skip("needs root and iproute2 for network namespaces")
    pods, nodes, rate, seconds = (
        (QUICK_PODS, QUICK_NODES, QUICK_RATE, QUICK_SECONDS) if run.quick else (PODS, NODES, RATE, SECONDS)
    )
    folder = run.folder / "scale"
    try:
        kafka = RealKafka(folder / "kafka")
        plane = ControlPlane(folder / "kube", parts=(*BARE, "kwok"), nodes=nodes)
    except (KafkaMissing, KubeMissing) as error:
        raise Skip(str(error)) from error
    with plane:
        crowd = Crowd(plane, pods, nodes)
        crowd.fill()
        kafka.format()
        kafka.start()
        try:
            with joined("one", "other") as (where, _):
                cost = asyncio.run(_measured(plane, crowd, kafka.bootstrap, where, folder, pods, rate, seconds))
        finally:
            kafka.stop()
    yield from _told(cost, pods, nodes)


def _told(cost: Cost, pods: int, nodes: int) -> Iterator[Figure]:
    def figure(what: str, value: float, unit: str, **more: Any) -> Figure:
        return Figure(case="scale", what=what, value=value, unit=unit, **more)

    every = [delay for some in cost.outcome.seconds.values() for delay in some]
    worst = percentile(every, 99)
    parts = ", ".join(f"{what} {percentile(some, 99):.2f}" for what, some in sorted(cost.outcome.seconds.items()))
    yield figure(
        f"from a change of a pod to the kernel's map, p99, {pods:,} pods on {nodes} nodes", worst, "s",
        budget=f"<= {P99_S} s", holds=worst <= P99_S and not cost.outcome.missing,
        note=f"p50 {statistics.median(every):.2f}, p99 of each kind: {parts}; {len(every):,} of {cost.changes:,} "
        f"changes, {cost.changes_s:.0f} a second, {cost.outcome.reused} at addresses used again at once, "
        f"{len(cost.outcome.missing)} missing",
    )  # fmt: skip
    yield figure("CPU of targets meanwhile", 100 * cost.cpu_s / cost.seconds, "% of a core")
    yield figure("CPU of a capture process meanwhile, without traffic", 100 * cost.capture_cpu_s / cost.seconds,
                 "% of a core")  # fmt: skip
    yield figure("memory of targets", cost.rss_bytes / 1e6, "MB", note=f"{cost.most_bytes / 1e6:.0f} MB at most")
    yield figure(
        "from the start of targets until the kernel has all", cost.start_s, "s",
        note=f"{cost.start_cpu_s:.2f} CPU-s of targets",
    )  # fmt: skip


async def _measured(
    plane: ControlPlane, crowd: Crowd, bootstrap: str, where: Namespace, folder: Path, pods: int, rate: float,
    seconds: float,
) -> Cost:  # fmt: skip
    installation = Installation(bootstrap, f"scale-{uuid.uuid4().hex[:6]}", folder / "stages", shards=1)
    with installation.running():
        async with installation.bus() as bus:
            await bus.publish(RULES, [Record(b"scale", Rule(name="scale", labels=f"{LABEL}=yes"))])
            await bus.flush()
            with _capture(installation, where, folder) as capture:
                begun = time.monotonic()
                stage = installation.run(
                    "targets", "targets", "--targets.source", "kubernetes", "--targets.kubeconfig",
                    str(plane.kubeconfig), "--targets.lease", "off",
                )  # fmt: skip
                assert stage.process is not None
                pid = stage.process.pid
                table = await bus.table(ENDPOINTS)
                await _until(lambda: len(list(table.items())) >= pods)
                await table.close()
                await asyncio.to_thread(capture.until, pods // 2)
                start_s = time.monotonic() - begun
                before = process_cpu_s(pid), process_cpu_s(capture.pid), time.monotonic()
                with preferred():
                    changes = await asyncio.to_thread(crowd.change, rate, seconds)
                took = time.monotonic() - before[2]
                cpu_s, capture_cpu_s = process_cpu_s(pid) - before[0], process_cpu_s(capture.pid) - before[1]
                now_bytes, most_bytes = _memory(pid)
                held = await asyncio.to_thread(capture.end)
    times = [change.at_ns for change in changes]
    return Cost(
        delays(changes, held), len(changes), len(changes) * 1e9 / (max(times) - min(times)), took, start_s, before[0],
        cpu_s, capture_cpu_s, now_bytes, most_bytes,
    )  # fmt: skip


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.2)


def _memory(pid: int) -> tuple[int, int]:
    """Resident now, and at most so far."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    rows = (line.partition(":") for line in lines)
    sizes = {name: int(rest.split()[0]) * 1024 for name, _, rest in rows if rest.endswith("kB")}
    return sizes["VmRSS"], sizes["VmHWM"]


class _Capture:
    """The capture process (this file, run as a program): it tells how many targets its maps hold, and at its end what
    they held when."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.pid = process.pid

    def until(self, targets: int) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if int(line) >= targets:
                return
        raise RuntimeError("the capture process ended")

    def end(self) -> list[Held]:
        told, _ = self._process.communicate("end\n", timeout=60)
        return msgspec.json.decode(told.splitlines()[-1], type=list[Held])


@contextlib.contextmanager
def _capture(installation: Installation, where: Namespace, folder: Path) -> Iterator[_Capture]:
    given = json.dumps([installation.settings.url, installation.instance, where.name, where.interface])
    with (folder / "capture.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, __file__, given], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
        )
    try:
        yield _Capture(process)
    except BaseException as error:
        error.add_note((folder / "capture.log").read_text()[-1500:])
        raise
    finally:
        process.kill()
        process.communicate()


async def _run_capture(url: str, instance: str, namespace: str, interface: str) -> None:
    from weir.bus.kafka import KafkaBus
    from weir.bus.settings import BusSettings

    bus = KafkaBus(BusSettings(url=url, shards=1), instance=instance)
    await bus.start()
    kernel = Kernel(Namespace(namespace, interface, "", ""), bus)
    end = asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    told = -1
    async with kernel.running():
        while not end.done():
            if kernel.targets != told:
                told = kernel.targets
                sys.stdout.write(f"{told}\n")
                sys.stdout.flush()
            await asyncio.wait([end], timeout=0.5)
    await bus.stop(5)
    sys.stdout.write(msgspec.json.encode(kernel.held).decode() + "\n")


if __name__ == "__main__":
    asyncio.run(_run_capture(*json.loads(sys.argv[1])))
