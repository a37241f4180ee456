"""Sending: one lane for each partition keeps the order, one budget of bytes bounds them all.

What is handed over stays in its lane until the broker has acknowledged it, through any outage: a batch whose fate is
unknown is sent again before anything that follows it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec
from aiokafka.errors import (
    InvalidTopicError,
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
)

from weir.bus.kafka_link import BATCH_BYTES, Backoff, Link, within
from weir.errors import BusError

_OVERHEAD = 64
"""Bytes counted for a record besides key and value."""
_HOPELESS = (MessageSizeTooLargeError, RecordListTooLargeError, InvalidTopicError)


class Parcel(msgspec.Struct, frozen=True):
    key: bytes
    value: bytes | None
    size: int


class Budget:
    """Bytes handed over and not yet acknowledged."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    def has(self, size: int) -> bool:
        """Room for so many bytes; whatever its size, one parcel has room in an empty budget."""
        return self.used == 0 or self.used + size <= self.limit

    def share(self) -> float:
        """What is free, 0 to 1."""
        return max(0.0, 1.0 - self.used / self.limit)

    def take(self, size: int) -> None:
        self.used += size

    def give_back(self, size: int) -> None:
        self.used -= size
        self.wake()

    async def room(self) -> None:
        """Wait until some was given back."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            await waiter
        finally:
            with contextlib.suppress(ValueError):
                self._waiting.remove(waiter)

    def wake(self) -> None:
        for waiter in list(self._waiting):
            if not waiter.done():
                waiter.set_result(None)


class Lane:
    """What waits to be sent to one partition, and the task that sends it."""

    def __init__(
        self, link: Link, producer: Callable[[], Any], budget: Budget, topic: str, partition: int,
        on_fatal: Callable[[BusError], None],
    ) -> None:
        self._link = link
        self._producer = producer
        self._budget = budget
        self._topic = topic
        self._partition = partition
        self._what = f"send {topic}/{partition}"
        self._on_fatal = on_fatal
        self._parcels: deque[Parcel] = deque()
        self._waiting_bytes = 0
        self._handed = 0
        self._acknowledged = 0
        self._flushes: list[tuple[int, asyncio.Future[None]]] = []
        self._more: asyncio.Future[None] | None = None
        self._urgent = False
        self.task = asyncio.ensure_future(self._run())

    def put(self, parcel: Parcel) -> None:
        self._budget.take(parcel.size)
        self._parcels.append(parcel)
        self._waiting_bytes += parcel.size
        self._handed += 1
        # A lane that lingers is woken only when its batch is full.
        if self._more is not None and (len(self._parcels) == 1 or self._waiting_bytes >= BATCH_BYTES):
            self._wake()

    def flushed(self) -> asyncio.Future[None] | None:
        """Done when everything handed over so far is acknowledged; None if it is."""
        if self._acknowledged >= self._handed:
            return None
        future = asyncio.get_running_loop().create_future()
        self._flushes.append((self._handed, future))
        self._urgent = True
        self._wake()
        return future

    def stop(self) -> None:
        self.task.cancel()
        self.abandon_flushes()

    def abandon_flushes(self) -> None:
        for _, future in self._flushes:
            future.cancel()

    def _wake(self) -> None:
        if self._more is not None and not self._more.done():
            self._more.set_result(None)

    async def _run(self) -> None:
        backoff = Backoff()
        while True:
            await self._wait_for_batch()
            batch = self._take_batch()
            while not await self._send(batch):
                await backoff.pause()
            backoff.reset()
            self._settle(batch)

    async def _wait_for_batch(self) -> None:
        if not self._parcels:
            await self._pause(None)
        if self._waiting_bytes < BATCH_BYTES // 8 and not self._urgent and self._link.settings.linger_s:
            await self._pause(self._link.settings.linger_s)

    async def _pause(self, seconds: float | None) -> None:
        loop = asyncio.get_running_loop()
        self._more = loop.create_future()
        timer = loop.call_later(seconds, self._wake) if seconds is not None else None
        try:
            await self._more
        finally:
            self._more = None
            if timer is not None:
                timer.cancel()

    def _take_batch(self) -> list[Parcel]:
        batch: list[Parcel] = []
        size = 0
        while self._parcels and (not batch or size + self._parcels[0].size <= BATCH_BYTES):
            parcel = self._parcels.popleft()
            size += parcel.size
            batch.append(parcel)
        self._waiting_bytes -= size
        return batch

    async def _send(self, batch: list[Parcel]) -> bool:
        """Whether the batch was acknowledged; after a failure its fate is unknown."""
        try:
            producer = self._producer()
            builder = producer.create_batch()
            for parcel in batch:
                if builder.append(timestamp=None, key=parcel.key, value=parcel.value) is None:
                    raise MessageSizeTooLargeError(f"a batch of {len(batch)} records is larger than planned")
            builder.close()
            acknowledged = await producer.send_batch(builder, self._topic, partition=self._partition)
            await within(3 * self._link.settings.request_timeout_s, acknowledged)
        except _HOPELESS as error:
            reason = self._link.blame(self._what, error)
            self._on_fatal(BusError(
                f"Kafka refuses a record of {sum(p.size for p in batch)} bytes on {self._topic}: {reason.text}",
                hint="the topic's max.message.bytes was lowered; `weir topics` tells what it has to be",
            ))
            await asyncio.get_running_loop().create_future()
        except (KafkaError, TimeoutError, OSError, AssertionError) as error:
            self._link.blame(self._what, error)
            return False
        self._link.well(self._what)
        return True

    def _settle(self, batch: list[Parcel]) -> None:
        self._acknowledged += len(batch)
        self._budget.give_back(sum(parcel.size for parcel in batch))
        done = [future for target, future in self._flushes if target <= self._acknowledged]
        self._flushes = [(target, future) for target, future in self._flushes if target > self._acknowledged]
        self._urgent = bool(self._flushes)
        for future in done:
            if not future.done():
                future.set_result(None)


def parcel(key: bytes, value: bytes | None) -> Parcel:
    return Parcel(key, value, len(key) + len(value or b"") + _OVERHEAD)
