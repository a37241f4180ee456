"""Reading a topic in memory: streams with or without a group, and tables."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, ItemsView, Sequence
from typing import Any

from weir.bus.api import Batch, OnAssigned, OnRevoked, Overtaken, Received, Undecodable
from weir.bus.changes import ChangeLog
from weir.bus.memory_group import Group, resolve_starts
from weir.bus.memory_topic import TopicState
from weir.errors import BusError

BATCH_RECORDS = 500
BATCH_BYTES = 4 << 20


class MemoryStream:
    """One member's share of a topic; rebalances happen between two batches, inside the iteration."""

    def __init__(
        self,
        state: TopicState,
        decode: Callable[[Any], Any],
        *,
        group: Group | None = None,
        slot: str = "",
        static: bool = False,
        latest: bool = False,
        on_assigned: OnAssigned | None = None,
        on_revoked: OnRevoked | None = None,
    ) -> None:
        self._state = state
        self._decode = decode
        self._group = group
        self._slot = slot
        self._static = static
        self._on_assigned = on_assigned
        self._on_revoked = on_revoked
        self._positions: dict[int, int] = {}
        """Next offset of each owned partition."""
        self._handed: tuple[int, int] | None = None
        """Partition and next offset of the batch that the reader works on."""
        self._joined = -1
        """The generation of the group that `_positions` belongs to."""
        self._member = False
        self._replaced = False
        self._closed = False
        self._turn = 0
        self._waiter: asyncio.Future[None] | None = None
        self._overtaken: list[Overtaken] = []
        if group is None:
            self._positions = {i: log.end if latest else log.first for i, log in enumerate(state.logs)}
        state.readers.append(self)

    def __aiter__(self) -> AsyncIterator[Batch]:
        return self

    async def __anext__(self) -> Batch:
        while not self._closed:
            self._finish()
            if self._replaced:
                raise BusError(
                    f"another process reads {self._state.topic.name} as {self._slot}",
                    hint="give each process a name of its own (runtime.process)",
                )
            if self._group is not None and self._joined != self._group.generation:
                await self._rejoin(self._group)
            elif (batch := self._take()) is not None:
                return batch
            else:
                await self._wait()
        raise StopAsyncIteration

    async def mark(self, partition: int, next_offset: int) -> None:
        if self._group is not None and partition in self._positions and not self._closed:
            self._group.marks[partition] = next_offset
            self._state.advanced(partition)

    def assigned(self) -> frozenset[int]:
        return frozenset(self._positions)

    def lag(self) -> dict[int, int]:
        return {p: max(0, self._state.logs[p].end - position) for p, position in self._positions.items()}

    def overtaken(self) -> list[Overtaken]:
        taken, self._overtaken = self._overtaken, []
        return taken

    async def close(self) -> None:
        """A batch that was not finished stays unread for the next owner."""
        self._drop(keep_slot=self._static)

    def crash(self) -> None:
        """Vanish as a killed process does: nothing is finished, the slot is free after the session timeout."""
        self._drop(keep_slot=True)

    def wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def needs(self, partition: int) -> int | None:
        return self._positions.get(partition) if self._group is None else None

    def lose(self) -> None:
        self._positions = {}
        self._handed = None
        self._member = False
        self._joined = -1
        # A slot without a name is the stream's own: only a named one can be taken by somebody else.
        self._replaced = self._static and self._group is not None and self._group.held(self._slot)
        self.wake()

    def _drop(self, *, keep_slot: bool) -> None:
        if self._closed:
            return
        self._closed = True
        self._state.readers.remove(self)
        partitions, self._positions = list(self._positions), {}
        if self._group is not None and self._member:
            for partition in partitions:
                self._group.delivered[partition] = self._group.consumed[partition]
            (self._group.vacate if keep_slot else self._group.leave)(self._slot, self)
        for partition in partitions:
            self._state.advanced(partition)
        self.wake()

    def _finish(self) -> None:
        """The reader came back: the batch it had is consumed."""
        if self._handed is None:
            return
        partition, next_offset = self._handed
        self._handed = None
        if self._group is not None and partition in self._positions:
            self._group.consumed[partition] = next_offset
        self._state.advanced(partition)

    async def _rejoin(self, group: Group) -> None:
        if self._positions and self._joined != -1:
            if self._on_revoked is not None:
                await self._on_revoked(sorted(self._positions))
            for partition in self._positions:
                group.delivered[partition] = group.consumed[partition]
            self._positions = {}
        if not self._member:
            self._member = True
            group.enter(self._slot, self)
        generation = group.generation
        if group.settled != generation:
            group.arrive(self._slot)
        while self._member and not self._closed and group.settled != generation == group.generation:
            await self._wait()
        if self._member and group.generation == generation and not self._closed:
            await self._take_over(group, generation)

    async def _take_over(self, group: Group, generation: int) -> None:
        share = group.share(self._slot)
        answered = await self._on_assigned(share) if self._on_assigned is not None else {}
        if not self._member or self._closed:
            return
        for partition, start in resolve_starts(group, share, answered).items():
            group.delivered[partition] = group.consumed[partition] = start
            self._positions[partition] = start
        self._joined = generation

    def _take(self) -> Batch | None:
        owned = sorted(self._positions)
        for step in range(len(owned)):
            partition = owned[(self._turn + step) % len(owned)]
            log, position = self._state.logs[partition], self._positions[partition]
            if position < log.first:
                self._overtaken.append(Overtaken(partition, log.first - position))
                position = self._positions[partition] = log.first
            if position < log.end and (stored := log.read(position, BATCH_RECORDS, BATCH_BYTES)):
                self._turn = (self._turn + step + 1) % len(owned)
                return self._hand_out(partition, stored)
        return None

    def _hand_out(self, partition: int, stored: list[Any]) -> Batch:
        next_offset = stored[-1].offset + 1
        decode = self._decode
        records = [Received(partition, s.offset, s.key, decode(s.value), s.timestamp_ms) for s in stored]
        self._positions[partition] = next_offset
        self._handed = (partition, next_offset)
        if self._group is not None:
            self._group.delivered[partition] = next_offset
        self._state.logs[partition].wake()
        return Batch(partition, records, next_offset)

    async def _wait(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None


class MemoryTable:
    """A compacted topic as a mapping that changes as its records are published."""

    def __init__(self, state: TopicState, decode: Callable[[Any], Any]) -> None:
        self._state = state
        self._decode = decode
        self._values: dict[bytes, Any] = {}
        self._changes = ChangeLog()
        self._waiting: list[asyncio.Future[None]] = []
        for log in state.logs:
            for stored in log:
                self._apply(stored.key, stored.value)
        state.tables.append(self._apply)

    @property
    def version(self) -> int:
        return self._changes.version

    def get(self, key: bytes) -> Any | None:
        return self._values.get(key)

    def items(self) -> ItemsView[bytes, Any]:
        return self._values.items()

    def __len__(self) -> int:
        return len(self._values)

    def changes(self, since: int) -> Sequence[bytes] | None:
        return self._changes.since(since)

    async def changed(self, since: int) -> int:
        while self.version <= since:
            waiter = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            try:
                await waiter
            finally:
                if waiter in self._waiting:
                    self._waiting.remove(waiter)
        return self.version

    async def close(self) -> None:
        if self._apply in self._state.tables:
            self._state.tables.remove(self._apply)

    def _apply(self, key: bytes, value: Any) -> None:
        value = self._decode(value)
        if isinstance(value, Undecodable):
            return
        if value is None:
            self._values.pop(key, None)
        else:
            self._values[key] = value
        self._changes.add(key)
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)
