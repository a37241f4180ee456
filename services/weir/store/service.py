"""The I/O shell of `store`: reads, inserts, marks; waits while the archive is away."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from weir.archive.api import Archive, ArchiveAway
from weir.archive.memory import MemoryArchive
from weir.archive.open import check_archive, memory_elsewhere, open_writer
from weir.bus.api import Batch, Stream
from weir.bus.topics import DEAD, ENTRIES
from weir.runtime.probes import split_listen
from weir.runtime.quarantine import Quarantine
from weir.runtime.service import Context, Service
from weir.store.batches import Batches, Insert, Limits
from weir.store.settings import StoreSettings

QUEUED = 4
"""Batches of the bus that are read ahead of the archive."""
FIRST_RETRY_S = 0.25
AT_ONCE = 2
"""Inserts under way at once."""
REVOKE_S = 5.0
"""A partition that is taken away waits this long for what is held; after that its new owner inserts it again."""


def first_of(error: Exception) -> Exception:
    """The failure that a group of tasks ended with: one line for people, not a tree."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


class StoreService(Service):
    name = "store"
    title = "keeps entries in the archive"
    Settings = StoreSettings
    consumes = (ENTRIES,)
    produces = (DEAD,)

    settings: StoreSettings

    def __init__(self, settings: StoreSettings, context: Context) -> None:
        super().__init__(settings, context)
        check_archive(settings.archive)
        self._only_mine = settings.archive == "memory" and "archive" not in context.shared
        if self._only_mine:
            context.shared["archive"] = MemoryArchive(
                settings.memory_entries, settings.memory_bytes, dropped=partial(context.counts.add, "store.expired")
            )
        limits = Limits(entries=settings.batch_entries, bytes=settings.batch_bytes, age_s=settings.batch_age_s)
        self._batches = Batches(limits, context.counts)
        self._quarantine = Quarantine(context, self.name)
        self._queue: asyncio.Queue[Batch] = asyncio.Queue(QUEUED)
        self._writing = asyncio.Lock()
        self._inserts: set[asyncio.Task[None]] = set()
        self._inserting = 0
        self._tasks: asyncio.TaskGroup
        self._read_to: dict[int, int] = {}
        self._marked: dict[int, int] = {}

    def check(self) -> None:
        if self._only_mine and "archive.readers" not in self.context.shared:
            raise memory_elsewhere("store")

    async def run(self) -> None:
        context = self.context
        self._archive = archive = await self._open()
        self._stream = stream = context.bus.stream(
            ENTRIES, group=f"{context.instance}.store", member=context.process, on_revoked=self._revoked
        )
        context.modes["store.archive"] = archive.describe()
        context.lags[ENTRIES.name] = self._lag
        try:
            async with asyncio.TaskGroup() as tasks:
                others = [tasks.create_task(self._read(stream)), tasks.create_task(self._retain())]
                await self._write()
                for task in others:
                    task.cancel()
        except ExceptionGroup as group:
            raise first_of(group) from group
        finally:
            await stream.close()
            if context.shared.get("archive") is not archive:
                await archive.close()

    @property
    def held(self) -> int:
        """Entries that were read and are not in the archive yet."""
        return self._batches.held + self._inserting

    async def _open(self) -> Archive:
        shared: Archive | None = self.context.shared.get("archive")
        if shared is not None:
            return shared
        host, port = split_listen(self.settings.listen, "store.listen")
        return await open_writer(self.settings.archive, Path(self.context.shared.get("data_dir") or "."), host, port)

    def _lag(self) -> dict[int, int]:
        """Records behind the end, those included that were read and are not marked yet."""
        return {
            partition: unread + self._read_to.get(partition, 0) - self._marked.get(partition, 0)
            for partition, unread in self._stream.lag().items()
        }

    async def _read(self, stream: Stream) -> None:
        async for batch in stream:
            for gone in stream.overtaken():
                self.context.counts.lose("store.overtaken", gone.records)
            if batch.records and self._read_to.get(batch.partition) != batch.records[0].offset:
                self._marked[batch.partition] = batch.records[0].offset
            self._read_to[batch.partition] = batch.next_offset
            await self._queue.put(await self._quarantine.without_garbage(ENTRIES, batch))

    async def _write(self) -> None:
        """Insert until asked to stop, and then what was read already, within a deadline."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            try:
                async with asyncio.timeout(None) as deadline:
                    watch = tasks.create_task(self._limit(deadline))
                    while not self.context.stop.is_set():
                        await self._step()
                    await self._rest()
            except TimeoutError:
                self.context.notes["store"] = "stopped before the archive had all that was read"
                # On a log that lasts they are not marked, and the next process inserts them.
                count = self.context.counts.lose if self.context.embedded else self.context.counts.add
                count("store.not_kept", sum(self._lag().values()))
            finally:
                for task in (watch, *self._inserts):
                    task.cancel()

    async def _limit(self, deadline: asyncio.Timeout) -> None:
        await self.context.stop.wait()
        deadline.reschedule(asyncio.get_running_loop().time() + self.settings.drain_s)

    async def _step(self) -> None:
        """Take what has come, or write what is due; returns at the latest when the process is to stop."""
        clock, batches = self.context.clock, self._batches
        if batches.newer:
            await self._wait_for_newer()
            return
        stop = asyncio.ensure_future(self.context.stop.wait())
        get = asyncio.ensure_future(self._queue.get())
        try:
            timeout = None if batches.empty else batches.due_in(clock.monotonic())
            await asyncio.wait((get, stop), timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stop.cancel()
            got = get.done() or not get.cancel()
        if got:
            batches.add(get.result(), clock.monotonic())
        if batches.full() or (not batches.empty and not batches.due_in(clock.monotonic())):
            await self._begin()

    async def _wait_for_newer(self) -> None:
        """What follows was made by a newer weir: keep what came before it, hold the mark, and wait to be replaced."""
        await self._flush()
        self.context.notes["store"] = f"waits for a newer weir: {self._batches.newer}"
        await self.context.stop.wait()

    async def _rest(self) -> None:
        while not self._queue.empty():
            self._batches.add(self._queue.get_nowait(), self.context.clock.monotonic())
            if self._batches.full():
                await self._begin()
        await self._flush()

    async def _revoked(self, partitions: Sequence[int]) -> None:
        try:
            async with asyncio.timeout(REVOKE_S):
                await self._flush()
        except TimeoutError:
            pass

    async def _flush(self) -> None:
        """Insert what is held, and return once it is marked."""
        await self._begin()
        while self._inserts:
            await asyncio.wait(self._inserts)

    async def _begin(self) -> None:
        """Start to insert what is held. A second insert may begin while one is under way: the archive is busy with one
        while the next is put into columns. Marks come in the order of the inserts."""
        async with self._writing:
            while len(self._inserts) >= AT_ONCE:
                await asyncio.wait(self._inserts, return_when=asyncio.FIRST_COMPLETED)
            if self._batches.empty:
                return
            insert, before = self._batches.take(), list(self._inserts)
            self._inserting += len(insert.entries)
            task = self._tasks.create_task(self._keep(insert, before))
            self._inserts.add(task)
            task.add_done_callback(self._inserts.discard)

    async def _keep(self, insert: Insert, before: list[asyncio.Task[None]]) -> None:
        if insert.entries:
            await self._insert(insert)
        if before:
            await asyncio.wait(before)
        for earlier in before:
            earlier.result()
        for partition, offset in insert.marks.items():
            await self._stream.mark(partition, offset)
            self._marked[partition] = offset
        self._inserting -= len(insert.entries)

    async def _insert(self, insert: Insert) -> None:
        wait = FIRST_RETRY_S
        while True:
            try:
                await self._archive.insert(insert.entries)
            except ArchiveAway as away:
                self.context.counts.add("store.retries")
                self.context.notes["store"] = f"archive away, entries wait on the topic: {away.message}"
                await self.context.clock.sleep(wait)
                wait = min(wait * 2, self.settings.retry_s)
            else:
                self.context.notes.pop("store", None)
                self.context.counts.add("store.entries", len(insert.entries))
                self.context.counts.add("store.inserts")
                return

    async def _retain(self) -> None:
        settings, context = self.settings, self.context
        while True:
            wait = settings.retention_check_s
            before = context.clock.now_ns() - int(settings.retention_s * 1e9) if settings.retention_s else 0
            try:
                # The first call also connects and makes the schema, so that readers find it before the first entry.
                gone = await self._archive.trim(before_ns=max(before, 0), max_bytes=settings.retention_bytes)
            except ArchiveAway as away:
                context.notes["store.retention"] = f"retention waits: {away.message}"
                wait = min(wait, settings.retry_s)
            else:
                context.notes.pop("store.retention", None)
                context.counts.add("store.expired", gone.entries)
            await context.clock.sleep(wait)
