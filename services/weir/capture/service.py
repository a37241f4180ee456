"""The I/O shell of `capture`: chooses a source, follows the control document, publishes what the source gives."""

from __future__ import annotations

import asyncio
import contextlib
import zlib
from collections.abc import Awaitable, Iterable

from weir.bus.api import Record, Table
from weir.bus.topics import CONTROL, ENDPOINTS, PACKETS
from weir.capture.settings import CaptureSettings
from weir.capture.sources import Source, choose
from weir.model.control import OUTLINE, Control
from weir.model.packets import PacketBlock
from weir.runtime.service import Service

_CONFIGURATION_WAIT_S = 2.0
"""How long a live source waits for the control document and the endpoints before it begins with the outline."""
_GATHER_S = 0.1
"""How long changes of endpoints are gathered before they are handed on."""
_STOP_WAIT_S = 3.0
"""How long a file's block may wait for a full or absent bus once the process is told to stop."""


class CaptureService(Service):
    name = "capture"
    title = "packets from the kernel or from files"
    Settings = CaptureSettings
    produces = (PACKETS,)
    reads = (ENDPOINTS, CONTROL)

    settings: CaptureSettings

    def misses(self) -> bool:
        return not self.settings.files

    async def run(self) -> None:
        source: Source = choose(self.settings)(self.settings, self.context)
        source.follow(OUTLINE)
        known, learned = asyncio.Event(), asyncio.Event()
        following = asyncio.ensure_future(self._follow(source, known))
        pumping = asyncio.ensure_future(self._pump(source, known, learned))
        tasks = [pumping, following]
        if not source.live:
            learned.set()  # a file has no kernel filter
        else:
            tasks.append(asyncio.ensure_future(self._learn(source, learned)))
        try:
            for task in (await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED))[0]:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _wait_for_configuration(self, source: Source, *wanted: asyncio.Event) -> None:
        """A bus that is away must not keep live packets from being captured, so their wait is short. A file stays as
        it is: what is wanted of it is known before it is read."""
        if not source.live:
            self.context.notes["capture.control"] = "waits for the control document (`targets` makes it)"
        waiting = [
            asyncio.ensure_future(_all(wanted)), asyncio.ensure_future(self.context.stop.wait()),
        ]
        try:
            limit = _CONFIGURATION_WAIT_S if source.live else None
            await asyncio.wait(waiting, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.context.notes.pop("capture.control", None)
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    async def _follow(self, source: Source, known: asyncio.Event) -> None:
        """Hand every change of the control document to the source."""
        table: Table = await self.context.bus.table(CONTROL)
        key = self.context.instance.encode()
        try:
            while True:
                version = table.version
                control = table.get(key)
                source.follow(control if isinstance(control, Control) else OUTLINE)
                if source.live or control is not None:
                    known.set()
                await table.changed(version)
        finally:
            await table.close()

    async def _learn(self, source: Source, learned: asyncio.Event) -> None:
        """Hand every change of the endpoints to the source, several at once where they come fast."""
        table: Table = await self.context.bus.table(ENDPOINTS)
        version, known = 0, set[bytes]()
        try:
            while True:
                since, version = version, table.version
                changed = table.changes(since)
                if changed is None:
                    changed = [*known, *(key for key, _ in table.items() if key not in known)]
                changes = [(key, table.get(key)) for key in changed]
                known = known.union(changed).difference(key for key, record in changes if record is None)
                source.learn(changes)
                learned.set()
                await table.changed(version)
                await self.context.clock.sleep(_GATHER_S)
        finally:
            await table.close()

    async def _pump(self, source: Source, known: asyncio.Event, learned: asyncio.Event) -> None:
        bus = self.context.bus
        await self._wait_for_configuration(source, known, learned)
        if not (source.live or known.is_set()):
            return
        async with contextlib.aclosing(source.blocks()) as blocks:
            async for block in blocks:
                record = self._record(block)
                if source.live and not block.end:
                    accepted = bus.try_publish(PACKETS, record)
                else:
                    # What ends a ring is worth a wait: until it comes, open conversations stay open.
                    accepted = await self._until_stopped(bus.publish(PACKETS, [record]))
                self._count(source, block, accepted)
        await self._until_stopped(bus.flush())

    def _record(self, block: PacketBlock) -> Record:
        """The rings of one node are spread evenly over the partitions."""
        partitions = self.context.bus.partitions(PACKETS)
        return Record(
            f"{block.node}/{block.ring}".encode(), block, (zlib.crc32(block.node.encode()) + block.ring) % partitions
        )

    def _count(self, source: Source, block: PacketBlock, accepted: bool) -> None:
        counts = self.context.counts
        tallies = block.layout == "tallies"
        if accepted:
            counts.add("capture.blocks")
            counts.add("capture.tallies" if tallies else "capture.packets", block.count)
            counts.add("capture.bytes", len(block.data))
            return
        source.refused(block)
        counts.lose("capture.tallies" if tallies else "capture.bus", block.count)

    async def _until_stopped(self, work: Awaitable[None]) -> bool:
        """Wait for the bus as long as it takes, but only briefly once the process is told to stop. True if done."""
        task = asyncio.ensure_future(work)
        stop = asyncio.ensure_future(self.context.stop.wait())
        try:
            await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                await asyncio.wait({task}, timeout=_STOP_WAIT_S)
            if task.done():
                task.result()
                return True
            return False
        finally:
            task.cancel()
            stop.cancel()
            await asyncio.gather(task, stop, return_exceptions=True)


async def _all(events: Iterable[asyncio.Event]) -> None:
    for event in events:
        await event.wait()
