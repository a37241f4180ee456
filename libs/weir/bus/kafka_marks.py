"""Marks: committed in the background, a few times a second, until the broker has them.

A mark never waits for the broker, so that an outage does not stop a stage that still has work; what is not committed
when it ends is done again, which is harmless.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from weir.bus.kafka_link import Link, within

COMMIT_EVERY_S = 0.2


class Marks:
    """The marks of one stream."""

    def __init__(self, link: Link, topic: str, consumer: Callable[[], Any]) -> None:
        self._link = link
        self._topic = topic
        self._what = f"mark {topic}"
        self._consumer = consumer
        self._dirty: dict[int, int] = {}
        self._changed = asyncio.Event()
        self._lock = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    def set(self, partition: int, next_offset: int) -> None:
        self._dirty[partition] = next_offset
        self._changed.set()
        if self._task is None:
            self._task = asyncio.ensure_future(self._run())

    def forget(self, partitions: Collection[int]) -> None:
        """They belong to somebody else now."""
        for partition in partitions:
            self._dirty.pop(partition, None)

    async def commit(self, deadline_s: float) -> bool:
        """Commit what is set, within the deadline; whether nothing is left."""
        async with self._lock:
            offsets = dict(self._dirty)
            consumer = self._consumer()
            if not offsets or consumer is None:
                return not offsets
            marks = {TopicPartition(self._topic, partition): offset for partition, offset in offsets.items()}
            try:
                await within(deadline_s, consumer.commit(marks))
            except (CommitFailedError, IllegalStateError):
                self._drop(offsets)  # a rebalance has given the partitions away
                return True
            except (KafkaError, TimeoutError) as error:
                self._link.blame(self._what, error)
                return False
            self._drop(offsets)
            self._link.well(self._what)
            return not self._dirty

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _drop(self, offsets: dict[int, int]) -> None:
        for partition, offset in offsets.items():
            if self._dirty.get(partition) == offset:
                del self._dirty[partition]

    async def _run(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            if not await self.commit(self._link.settings.request_timeout_s):
                self._changed.set()
            await asyncio.sleep(COMMIT_EVERY_S)
