"""The live stream of entries, read from the bus only while somebody follows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from weir.bus.api import Batch, Stream
from weir.bus.topics import ENTRIES
from weir.hub.tail import Item, Tail
from weir.runtime.service import Context

PORTION = 5000
"""Offers of an entry to a follower at one go: some milliseconds."""


class Live:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._tails: dict[Tail, Callable[[], None]] = {}
        self._somebody = asyncio.Event()

    @property
    def followers(self) -> int:
        return len(self._tails)

    @contextmanager
    def follow(self, tail: Tail, wake: Callable[[], None]) -> Iterator[None]:
        """Offer entries to `tail` inside the block, and call `wake` after each batch that may have filled it."""
        self._tails[tail] = wake
        self._somebody.set()
        try:
            yield
        finally:
            del self._tails[tail]
            if not self._tails:
                self._somebody.clear()

    async def run(self) -> None:
        while True:
            await self._somebody.wait()
            stream = self._context.bus.stream(ENTRIES, group=None, start="latest")
            try:
                await self._pass_on(stream)
            finally:
                await stream.close()

    async def _pass_on(self, stream: Stream) -> None:
        async for batch in stream:
            await self._offer(batch)
            if not self._tails:
                return

    async def _offer(self, batch: Batch) -> None:
        """In portions, between which those who send have their turn: many followers make each entry dear."""
        now = self._context.clock.monotonic()
        offered = 0
        for record in batch.records:
            if isinstance(record.value, dict):
                item = Item(record.value)
                for tail in list(self._tails):
                    tail.offer(item, now)
                offered += len(self._tails)
            if offered >= PORTION:
                self._wake()
                await asyncio.sleep(0)
                offered = 0
        self._wake()

    def _wake(self) -> None:
        for wake in self._tails.values():
            wake()
