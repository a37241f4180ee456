"""An installation on a real Kafka for all places: one filter and two decoders throughout, captures place by place.

    async with Installed(kafka.bootstrap, folder) as weir:
        await weir.watch(place)
        …                                   # traffic
        await weir.leave(place)
        weir.told                           # all entries so far
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Self

from weir.bus.api import Record
from weir.bus.kafka import KafkaBus
from weir.bus.topics import CONTROL, ENDPOINTS, ENTRIES, HEALTH
from weir.model.health import Heartbeat
from weir.testing.lab.embedded import SHARDS, stamp
from weir.testing.lab.places import Place, control
from weir.testing.lab.relay import leading
from weir.testing.lab.seen import Told, keep
from weir.testing.stages import Installation

STAGES = ("filter-1", "decode-1", "decode-2")
DEADLINE_S = 90.0


class Installed:
    def __init__(self, bootstrap: str, folder: Path) -> None:
        self.told: Told = {}
        self.beats: dict[str, Heartbeat] = {}
        """The newest heartbeat of each process, those that ended included."""
        self._port = int(bootstrap.rpartition(":")[2])
        self._installation = Installation(bootstrap, f"t{uuid.uuid4().hex[:8]}", folder, shards=SHARDS)
        self._open = contextlib.AsyncExitStack()
        self._bus: KafkaBus
        self._watching = contextlib.ExitStack()
        self._revision = 0
        self._following: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        try:
            self._open.enter_context(self._installation.running())
            self._bus = await self._open.enter_async_context(self._installation.bus())
            self._open.push(self._watching)
            self._following = [asyncio.ensure_future(self._collect()), asyncio.ensure_future(self._listen())]
            self._open.push_async_callback(self._unfollow)
            await self._bus.publish(CONTROL, [Record(self._installation.instance.encode(), control())])
            for name in STAGES:
                self._installation.run(name, name.partition("-")[0])
            await self.until(lambda: all(name in self.beats for name in STAGES))
        except BaseException:
            await self._open.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._open.aclose()

    async def watch(self, place: Place) -> None:
        """Publish what is known of a place, and capture on each of its nodes."""
        records = stamp(place.records, self._revision)
        self._revision += len(records)
        await self._bus.publish(ENDPOINTS, records)
        await self._bus.flush()
        for node, where in place.nodes.items():
            self._watching.enter_context(leading(where, self._port))
            self._installation.run(
                _process(place, node), "capture", "--capture.source", "af_packet", "--capture.filter", "ebpf",
                "--capture.node", node, where=where,
            )
        names = [_process(place, node) for node in place.nodes]
        await self.until(lambda: all(
            name in self.beats and "capture.source" in self.beats[name].mode for name in names
        ))

    async def leave(self, place: Place) -> None:
        """End the captures, and wait until what they gave is told."""
        stages = [self._installation.stages[_process(place, node)] for node in place.nodes]
        codes = await asyncio.gather(*(asyncio.to_thread(stage.stop) for stage in stages))
        assert not any(codes), [stage.output()[-2000:] for stage in stages]
        self._watching.close()
        await self.settled()

    async def settled(self) -> None:
        """Nothing is under way: twice in a row filter and decoders say that they are behind by nothing."""
        for _ in range(2):
            since_ns = time.time_ns()
            await self.until(lambda since_ns=since_ns: all(  # type: ignore[misc]
                self.beats[name].sent_ns > since_ns and not any(self.beats[name].lag.values()) for name in STAGES
            ))

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not condition():
                for task in self._following:
                    if task.done():
                        task.result()
                await asyncio.sleep(0.05)

    async def _collect(self) -> None:
        stream = self._bus.stream(ENTRIES, group=None)
        try:
            async for batch in stream:
                for received in batch.records:
                    keep(self.told, received.value)
        finally:
            await stream.close()

    async def _listen(self) -> None:
        table = await self._bus.table(HEALTH)
        try:
            while True:
                version = table.version
                self.beats.update((key.decode(), beat) for key, beat in table.items())
                await table.changed(version)
        finally:
            await table.close()

    async def _unfollow(self) -> None:
        for task in self._following:
            task.cancel()
        await asyncio.gather(*self._following, return_exceptions=True)


def _process(place: Place, node: str) -> str:
    return f"capture-{place.name}-{node.replace('/', '-')}"
