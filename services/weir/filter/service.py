"""filter's I/O: read packet blocks, publish segment blocks, mark what is flushed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from weir.bus.api import Batch, Stream, Table
from weir.bus.topics import CONTROL, DEAD, ENDPOINTS, PACKETS, SEGMENTS
from weir.filter.core import FilterCore
from weir.filter.settings import FilterSettings
from weir.runtime.generation import ControlGate
from weir.runtime.quarantine import Quarantine
from weir.runtime.service import Context, Service


class FilterService(Service):
    """While one batch is flushed the next one is worked on; its mark follows its flush."""

    name = "filter"
    title = "finds headers, drops what is not wanted, sorts conversations into shards"
    Settings = FilterSettings
    consumes = (PACKETS,)
    produces = (SEGMENTS, DEAD)
    reads = (ENDPOINTS, CONTROL)

    def __init__(self, settings: Any, context: Context) -> None:
        super().__init__(settings, context)
        self._busy = asyncio.Lock()
        self._settling: asyncio.Task[None] | None = None

    async def run(self) -> None:
        context = self.context
        bus = context.bus
        core = FilterCore(self.settings, shards=bus.partitions(SEGMENTS), counts=context.counts)
        # In this order: whoever knows a document knows the endpoints that were published before it.
        control = await bus.table(CONTROL)
        endpoints = await bus.table(ENDPOINTS)
        stream = bus.stream(
            PACKETS, group=f"{context.instance}.filter", member=context.process, on_revoked=self._on_revoked
        )
        context.lags[PACKETS.name] = stream.lag
        for what in core.engine.held():
            context.gauges[f"filter.{what}"] = _gauge(core, what)
        try:
            async with asyncio.TaskGroup() as group:
                closing = group.create_task(self._close_when_told(stream))
                await self._work(core, stream, endpoints, control, group)
                await self._settled()
                closing.cancel()
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None
        finally:
            await stream.close()
            await endpoints.close()
            await control.close()

    async def _work(
        self, core: FilterCore, stream: Stream, endpoints: Table, control: Table, group: asyncio.TaskGroup
    ) -> None:
        quarantine = Quarantine(self.context, self.name)
        gate = ControlGate(self.context, self.name, control, self.settings.control_wait_s)
        seen = (-1, -1)
        held = False
        async for batch in stream:
            if held:
                continue
            async with self._busy:
                good = await gate.hold(await quarantine.sift(PACKETS, batch))
                # Told to stop in front of a record: nothing behind it may be marked.
                held = good.next_offset != batch.next_offset
                if seen != (endpoints.version, control.version):
                    seen = endpoints.version, control.version
                    core.configure(control.get(self.context.instance.encode()), endpoints.items())
                    self._tell(core.policy.wrong)
                for overtaken in stream.overtaken():
                    self.context.counts.lose("filter.overtaken", overtaken.records)
                await self._process(core, good)
                await self._settled()
                self._settling = group.create_task(self._settle(stream, good))

    async def _process(self, core: FilterCore, batch: Batch) -> None:
        for received in batch.records:
            if received.value is None:
                continue
            records = core.step(received)
            if records:
                await self.context.bus.publish(SEGMENTS, records)

    async def _settle(self, stream: Stream, batch: Batch) -> None:
        await self.context.bus.flush()
        await stream.mark(batch.partition, batch.next_offset)

    async def _settled(self) -> None:
        """Wait until what was published is flushed and marked."""
        if self._settling is not None:
            await asyncio.wait({self._settling})

    async def _on_revoked(self, partitions: Sequence[int]) -> None:
        await self._settled()

    async def _close_when_told(self, stream: Stream) -> None:
        """Not in the middle of a batch, and not before the last one is marked."""
        await self.context.stop.wait()
        async with self._busy:
            await self._settled()
            await stream.close()

    def _tell(self, wrong: list[str]) -> None:
        if wrong:
            self.context.notes["filter.control"] = f"targets that cannot be read are left out: {'; '.join(wrong)}"
        else:
            self.context.notes.pop("filter.control", None)


def _gauge(core: FilterCore, what: str) -> Callable[[], float]:
    return lambda: float(core.engine.held()[what])
