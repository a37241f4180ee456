"""A bus with the troubles of a network: everything takes time, tables are late, and what was sent may be lost."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from weir.bus.api import Record, Topic
from weir.bus.codec import decode
from weir.bus.memory import MemoryBroker, MemoryBus
from weir.bus.memory_stream import MemoryStream, MemoryTable
from weir.bus.memory_topic import TopicState
from weir.bus.topics import CONTROL, ENDPOINTS

PAUSES = (0.0, 0.0, 0.001, 0.02, 0.3)
"""Seconds that a call to the bus may take."""


class LateTable(MemoryTable):
    """Shows a change some time after it was published; the order of the changes stays."""

    def __init__(self, state: TopicState, decode: Callable[[Any], Any], late_s: float) -> None:
        self._opened = False
        self._late_s = late_s
        self._coming: deque[tuple[bytes, Any]] = deque()
        super().__init__(state, decode)
        self._opened = True

    def _apply(self, key: bytes, value: Any) -> None:
        if not self._opened or not self._late_s:
            super()._apply(key, value)
            return
        self._coming.append((key, value))
        asyncio.get_running_loop().call_later(self._late_s, self._arrive)

    def _arrive(self) -> None:
        super()._apply(*self._coming.popleft())


class TroubledBus(MemoryBus):
    """One process's view of the broker."""

    def __init__(self, broker: MemoryBroker, chance: random.Random, *, trouble: float, late_s: float) -> None:
        """`trouble`: share of the calls that take time. `late_s`: how late its view of `control` is, at most; that of
        `endpoints` is never later."""
        super().__init__(
            broker=broker, roundtrip=True, linger_s=chance.choice((0.0, 0.005, 0.1)) if trouble else 0.0
        )
        self._chance = chance
        self._trouble = trouble
        self._late_s = late_s

    async def publish(self, topic: Topic, records: Sequence[Record]) -> None:
        for record in records:
            await self._dawdle()
            await super().publish(topic, [record])

    async def flush(self) -> None:
        await self._dawdle()
        await super().flush()
        await self._dawdle()

    def stream(self, topic: Topic, **options: Any) -> MemoryStream:
        stream = super().stream(topic, **options)
        mark = stream.mark

        async def mark_some_time(partition: int, next_offset: int) -> None:
            await self._dawdle()
            await mark(partition, next_offset)

        stream.mark = mark_some_time  # type: ignore[method-assign]
        return stream

    async def table(self, topic: Topic) -> MemoryTable:
        await self._dawdle()
        late_s = {CONTROL.name: self._late_s, ENDPOINTS.name: self._late_s * self._chance.random()}
        return LateTable(self._state(topic), _decoder(topic), late_s.get(topic.name, 0.0))

    async def read_compacted(self, topic: Topic, partition: int) -> dict[bytes, Any]:
        await self._dawdle()
        return await super().read_compacted(topic, partition)

    def crash(self) -> None:
        """Of what was on its way to each partition some arrived: all up to a point."""
        reached: dict[tuple[int, int], bool] = {}
        for state, partition, key, value, size in self._lingering:
            where = id(state), partition
            if reached.setdefault(where, True) and self._chance.random() < 0.6:
                state.append(partition, key, value, self.broker.now_ms(), size)
            else:
                reached[where] = False
        super().crash()

    async def _dawdle(self) -> None:
        if self._chance.random() < self._trouble:
            await asyncio.sleep(self._chance.choice(PAUSES))


def _decoder(topic: Topic) -> Callable[[Any], Any]:
    return lambda value: decode(topic, value) if type(value) is bytes else value
