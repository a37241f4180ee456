"""Compacted topics on Kafka: read once to the end, or kept as a live mapping."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import ItemsView, Sequence
from typing import Any

from weir.bus.api import Batch, Topic, Undecodable
from weir.bus.changes import ChangeLog
from weir.bus.kafka_link import Link
from weir.bus.kafka_stream import KafkaStream
from weir.errors import BusError

log = logging.getLogger(__name__)


async def read_compacted(stream: KafkaStream) -> dict[bytes, Any]:
    """The newest value of each key of what the stream reads."""
    values: dict[bytes, Any] = {}
    try:
        while not stream.caught_up():
            if (batch := await stream.poll()) is not None:
                apply(values, batch)
    finally:
        await stream.close()
    return values


def apply(values: dict[bytes, Any], batch: Batch) -> list[bytes]:
    """Bring a mapping up to date; the keys of the changes. What cannot be decoded leaves the value as it was."""
    changes: list[bytes] = []
    for record in batch.records:
        if isinstance(record.value, Undecodable):
            log.warning("skipped an undecodable value of key %r: %s", record.key, record.value.reason)
            continue
        changes.append(record.key)
        if record.value is None:
            values.pop(record.key, None)
        else:
            values[record.key] = record.value
    return changes


class KafkaTable:
    """See `weir.bus.api.Table`."""

    def __init__(self, link: Link, topic: Topic, partitions: int) -> None:
        self._values: dict[bytes, Any] = {}
        self._changes = ChangeLog()
        self._waiting: list[asyncio.Future[None]] = []
        self._stream = KafkaStream(link, topic, range(partitions), group=None)
        self._task: asyncio.Task[None] | None = None

    async def load(self) -> None:
        """Read to the end, then follow in the background."""
        while not self._stream.caught_up():
            if (batch := await self._stream.poll()) is not None:
                self._apply(batch)
        self._task = asyncio.ensure_future(self._follow())

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
            if self._task is not None and self._task.done() and not self._task.cancelled():
                self._task.result()  # raises why nothing will change any more
            waiter = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            try:
                await waiter
            finally:
                if waiter in self._waiting:
                    self._waiting.remove(waiter)
        return self.version

    def fail(self, error: BusError) -> None:
        """Whoever waits for a change is told this."""
        self._stream.fail(error)

    async def close(self, deadline_s: float = 5.0) -> None:
        if self._task is not None:
            self._task.cancel()
        await self._stream.close(deadline_s)
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=deadline_s)

    async def crash(self) -> None:
        await self._stream.crash()
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=1)

    async def _follow(self) -> None:
        try:
            async for batch in self._stream:
                self._apply(batch)
        finally:
            self._notify()

    def _apply(self, batch: Batch) -> None:
        if changed := apply(self._values, batch):
            for key in changed:
                self._changes.add(key)
            self._notify()

    def _notify(self) -> None:
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)
