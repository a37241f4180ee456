"""Captures of several nodes, filter and decode in one process, each capture inside its node's namespace.

    async with Embedded(place.nodes) as weir:
        await weir.publish(control, records)
        await weir.begin()
        …                                   # traffic
        told = await weir.finish()
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import msgspec

from weir.bus.api import Record
from weir.bus.memory import MemoryBus
from weir.bus.memory_log import Limit
from weir.bus.topics import CONTROL, ENDPOINTS, ENTRIES
from weir.capture.service import CaptureService
from weir.capture.settings import CaptureSettings
from weir.decode.service import DecodeService
from weir.decode.settings import DecodeSettings
from weir.filter.service import FilterService
from weir.filter.settings import FilterSettings
from weir.model.control import Control, EndpointRecord
from weir.model.counts import Counts
from weir.runtime.clock import Clock, SystemClock
from weir.runtime.service import Context, Service
from weir.testing.lab.seen import Told, keep
from weir.testing.lab.steps import in_namespaces, inside
from weir.testing.netns import Namespace

SHARDS = 3
DEADLINE_S = 60.0
CAPTURE: dict[str, Any] = {"source": "af_packet", "filter": "ebpf"}
ROOM = Limit(1 << 17, 1 << 30)
"""What waits for filter in memory, at most: so much that a machine busy with other things sheds nothing."""


def stamp(records: Sequence[EndpointRecord], after: int) -> list[Record]:
    """For `weir.endpoints`, each with a revision of its own."""
    return [
        Record(f"{r.address}:{r.port}/{r.uid}".encode(), msgspec.structs.replace(r, revision=number))
        for number, r in enumerate(records, start=after + 1)
    ]


class Embedded:
    def __init__(self, nodes: Mapping[str, Namespace], *, clock: Clock | None = None, **capture: Any) -> None:
        """`clock`: of filter and decode; `capture`: settings."""
        self.bus = MemoryBus(shards=SHARDS, limits={"packets": ROOM})
        self.told: Told = {}
        self.counts = Counts()
        """Of all stages, once the process has ended."""
        self.context = Context(bus=self.bus, embedded=True, clock=clock or SystemClock())
        """Of filter and decode."""
        self.captures: dict[str, Context] = {}
        self._settings = CaptureSettings(**(CAPTURE | capture))
        self._nodes = nodes
        self._capturing: dict[str, asyncio.Task[None]] = {}
        self._working: list[asyncio.Task[None]] = []
        self._open = contextlib.ExitStack()
        self._revision = 0

    async def __aenter__(self) -> Self:
        self._open.enter_context(in_namespaces())
        await self.bus.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        for context in (self.context, *self.captures.values()):
            context.stop.set()
        tasks = [*self._capturing.values(), *self._working]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.bus.stop()
        self._open.close()

    async def publish(self, control: Control | None, records: Sequence[EndpointRecord] = ()) -> None:
        """As `targets` does: endpoints first, each with a revision."""
        stamped = stamp(records, self._revision)
        self._revision += len(stamped)
        await self.bus.publish(ENDPOINTS, stamped)
        if control is not None:
            await self.bus.publish(CONTROL, [Record(self.bus.instance.encode(), control)])

    async def begin(self) -> None:
        """Every stage is at work, and every kernel filter knows what was published."""
        stages: tuple[Service, ...] = (
            FilterService(FilterSettings(), self.context), DecodeService(DecodeSettings(), self.context),
        )
        self._working = [asyncio.ensure_future(stage.run()) for stage in stages]
        self._working.append(asyncio.ensure_future(self._collect()))
        for name in self._nodes:
            await self.begin_capture(name)

    async def begin_capture(self, node: str) -> None:
        context = self.captures[node] = Context(bus=self.bus, node=node, embedded=True)
        with inside(self._nodes[node]):
            self._capturing[node] = asyncio.ensure_future(CaptureService(self._settings, context).run())
        await self.until(lambda: "capture.source" in context.modes)
        await self.caught_up()

    async def end_capture(self, node: str) -> None:
        self.captures[node].stop.set()
        async with asyncio.timeout(DEADLINE_S):
            await self._capturing[node]
        self._add(self.captures.pop(node))

    def _add(self, context: Context) -> None:
        for name, count in context.counts.items():
            self.counts.add(name, count)

    async def caught_up(self) -> None:
        """Every kernel filter knows what was published; classic ones know no addresses of pods."""
        await self.until(lambda: all(
            c.gauges["capture.revision"]() >= self._revision
            for c in self.captures.values() if "capture.revision" in c.gauges
        ))

    async def finish(self) -> Told:
        """End the captures, and take what is under way."""
        for context in self.captures.values():
            context.stop.set()
        async with asyncio.timeout(DEADLINE_S):
            await asyncio.gather(*self._capturing.values())
        await self.until(self._drained)
        self.context.stop.set()
        async with asyncio.timeout(DEADLINE_S):
            await asyncio.gather(*self._working[:2])
        await self.until(lambda: not self._unread())
        for context in (self.context, *self.captures.values()):
            self._add(context)
        return self.told

    async def until(self, condition: Callable[[], bool], seconds: float = DEADLINE_S) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                self._check()
                await asyncio.sleep(0.02)

    def _check(self) -> None:
        for task in (*self._capturing.values(), *self._working):
            if task.done() and task.exception() is not None:
                task.result()

    def _drained(self) -> bool:
        lags = self.context.lags
        return not any(
            sum(lags[topic]().values()) for topic in ("packets", "segments")
        ) and not self.context.gauges["filter.waiting_bytes"]()

    def _unread(self) -> int:
        return sum(self._entries.lag().values())

    async def _collect(self) -> None:
        self._entries = stream = self.bus.stream(ENTRIES, group="test")
        async for batch in stream:
            for received in batch.records:
                keep(self.told, received.value)
            await stream.mark(batch.partition, batch.next_offset)
