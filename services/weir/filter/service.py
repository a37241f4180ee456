"""filter's I/O: read packet blocks, publish segment blocks, mark what is flushed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

from weir.bus.api import Batch, Record
from weir.bus.topics import CONTROL, DEAD, ENDPOINTS, PACKETS, SEGMENTS
from weir.filter.core import FilterCore
from weir.filter.settings import FilterSettings
from weir.runtime.generation import ControlGate
from weir.runtime.quarantine import Quarantine
from weir.runtime.service import Context, Service

TEND_S = 0.2
"""How often somebody looks after the blocks that wait, while there are some."""
LEAKED = "filter.leaked"
LEAK_RECENT_S = 30.0
"""How long a leak is said after it was last seen."""


class FilterService(Service):
    """While one batch is flushed the next one is worked on; its mark follows its flush, up to the first block that
    waits."""

    name = "filter"
    title = "finds headers, drops what is not wanted, sorts conversations into shards"
    Settings = FilterSettings
    consumes = (PACKETS,)
    produces = (SEGMENTS, DEAD)
    reads = (ENDPOINTS, CONTROL)

    settings: FilterSettings
    silence_s: ClassVar[float] = 60.0
    """A ring that says nothing for so long is gone: what waits in it goes on. Live sources tick every second."""

    def __init__(self, settings: Any, context: Context) -> None:
        super().__init__(settings, context)
        self._busy = asyncio.Lock()
        self._tended = asyncio.Event()
        """Blocks wait, or a leak is said: somebody has to look after that."""
        self._settling: asyncio.Task[None] | None = None
        self._seen = (-1, -1)
        self._done: dict[int, int] = {}
        """By partition the offset up to which everything is worked on or waits."""
        self._marked: dict[int, int] = {}
        self._leaks = self._leaked = 0
        self._leaked_s = 0.0

    async def run(self) -> None:
        context = self.context
        bus = context.bus
        self._core = core = FilterCore(self.settings, shards=bus.partitions(SEGMENTS), counts=context.counts)
        # In this order: whoever knows a document knows the endpoints that were published before it.
        self._control = await bus.table(CONTROL)
        self._endpoints = await bus.table(ENDPOINTS)
        self._stream = stream = bus.stream(
            PACKETS, group=f"{context.instance}.filter", member=context.process,
            on_assigned=self._on_assigned, on_revoked=self._on_revoked,
        )
        context.lags[PACKETS.name] = stream.lag
        for what in core.engine.held():
            context.gauges[f"filter.{what}"] = _gauge(core, what)
        context.gauges["filter.waiting_bytes"] = lambda: float(core.hold.bytes)
        try:
            async with asyncio.TaskGroup() as group:
                others = [
                    group.create_task(self._close_when_told()), group.create_task(self._tend(group)),
                ]
                await self._work(group)
                await self._settled()
                await self._let_go()
                for other in others:
                    other.cancel()
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None
        finally:
            await stream.close()
            await self._endpoints.close()
            await self._control.close()

    async def _work(self, group: asyncio.TaskGroup) -> None:
        quarantine = Quarantine(self.context, self.name)
        gate = ControlGate(self.context, self.name, self._control, self.settings.control_wait_s)
        held = False
        async for batch in self._stream:
            if held:
                continue
            async with self._busy:
                good = await gate.hold(await quarantine.sift(PACKETS, batch))
                # Told to stop in front of a record: nothing behind it may be marked.
                held = good.next_offset != batch.next_offset
                self._follow()
                for overtaken in self._stream.overtaken():
                    self.context.counts.lose("filter.overtaken", overtaken.records)
                await self._process(good)
                await self._settle(group)

    async def _process(self, batch: Batch) -> None:
        now_s = self.context.clock.monotonic()
        for received in batch.records:
            if received.value is not None:
                await self._publish(self._core.step(received, now_s))
        self._done[batch.partition] = batch.next_offset
        self._tell_leaks()
        if self._core.hold or LEAKED in self.context.notes:
            self._tended.set()

    async def _tend(self, group: asyncio.TaskGroup) -> None:
        """Let go on what waits when its addresses become known while its ring is silent, or its ring is gone; and say
        no longer what leaked long ago."""
        clock, core = self.context.clock, self._core
        while True:
            await self._tended.wait()
            await clock.sleep(TEND_S)
            self._tell_leaks()
            if core.hold:
                async with self._busy:
                    self._follow()
                    await self._publish(core.release(clock.monotonic() - self.silence_s))
                    await self._settle(group)
            elif LEAKED not in self.context.notes:
                self._tended.clear()

    async def _publish(self, records: Sequence[Record]) -> None:
        if records:
            await self.context.bus.publish(SEGMENTS, records)

    async def _settle(self, group: asyncio.TaskGroup) -> None:
        """Have flushed what was published so far, and then marked what is done."""
        await self._settled()
        marks = {}
        for partition, done in self._done.items():
            first = self._core.hold.first(partition)
            mark = done if first is None else min(done, first)
            if self._marked.get(partition) != mark:
                marks[partition] = mark
        if marks:
            self._settling = group.create_task(self._flush_and_mark(marks))

    async def _flush_and_mark(self, marks: Mapping[int, int]) -> None:
        await self.context.bus.flush()
        for partition, mark in marks.items():
            await self._stream.mark(partition, mark)
            self._marked[partition] = mark

    async def _settled(self) -> None:
        """Wait until what was published is flushed and marked."""
        if self._settling is not None:
            await asyncio.wait({self._settling})

    async def _on_assigned(self, partitions: Sequence[int]) -> Mapping[int, int]:
        self._leave({*self._done} - {*partitions})
        return {}

    async def _on_revoked(self, partitions: Sequence[int]) -> None:
        await self._settled()
        self._leave(partitions)

    def _leave(self, partitions: Iterable[int]) -> None:
        """Others work on them: what waits is read again by them."""
        gone = frozenset(partitions)
        self._core.hold.forget(gone)
        for partition in gone:
            self._done.pop(partition, None)
            self._marked.pop(partition, None)

    async def _close_when_told(self) -> None:
        """Not in the middle of a batch, and not before the last one is marked."""
        await self.context.stop.wait()
        async with self._busy:
            await self._settled()
            await self._let_go()
            await self._stream.close()

    async def _let_go(self) -> None:
        """The end: what waits goes on as it is, unless somebody will read it again."""
        if self._core.hold and not self.context.bus.outlives(PACKETS):
            await self._publish(self._core.drain())
            await self._flush_and_mark(dict(self._done))

    # Configuration, and what is to be told.

    def _follow(self) -> None:
        control, endpoints = self._control, self._endpoints
        seen = endpoints.version, control.version
        if seen == self._seen:
            return
        keys = endpoints.changes(self._seen[0])
        changes = endpoints.items() if keys is None else [(key, endpoints.get(key)) for key in keys]
        self._seen = seen
        self._core.configure(
            control.get(self.context.instance.encode()), changes, self.context.clock.now_ns()
        )
        self._tell(self._core.policy.wrong)

    def _tell(self, wrong: list[str]) -> None:
        if wrong:
            self.context.notes["filter.control"] = f"targets that cannot be read are left out: {'; '.join(wrong)}"
        else:
            self.context.notes.pop("filter.control", None)

    def _tell_leaks(self) -> None:
        now_s = self.context.clock.monotonic()
        leaks = self._core.leaks
        if leaks > self._leaks:
            self._leaked += leaks - self._leaks
            self._leaked_s = now_s
            self.context.notes[LEAKED] = (
                f"{self._leaked} packets came whole that the kernel filter had promised to keep back; "
                "they were dropped here"
            )
        elif now_s - self._leaked_s > LEAK_RECENT_S:
            self.context.notes.pop(LEAKED, None)
        self._leaks = leaks  # less than before once the counters were collected


def _gauge(core: FilterCore, what: str) -> Callable[[], float]:
    return lambda: float(core.engine.held()[what])
