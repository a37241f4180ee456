from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from weir.archive.api import ArchiveAway, Trimmed
from weir.archive.memory import MemoryArchive
from weir.bus.api import Record, Undecodable
from weir.bus.memory import MemoryBus
from weir.bus.topics import DEAD, ENTRIES
from weir.errors import ArchiveError, SettingsError
from weir.model.entry import EntryMap
from weir.query.structured import Query
from weir.runtime.service import Context
from weir.store.service import StoreService
from weir.store.settings import StoreSettings

SETTINGS = StoreSettings(batch_age_s=0.01, retry_s=0.01, drain_s=1, batch_entries=50, retention_check_s=0.01)


class Shaky(MemoryArchive):
    """An archive that goes away."""

    def __init__(self) -> None:
        super().__init__()
        self.away = ""
        self.tried = 0
        self.trims: list[tuple[int, int]] = []

    async def insert(self, entries: Sequence[EntryMap]) -> None:
        self.tried += 1
        if self.away:
            # Half of it arrived, as it may be with a server that dies.
            await super().insert(entries[: len(entries) // 2])
            raise ArchiveAway(self.away)
        await super().insert(entries)

    async def trim(self, *, before_ns: int = 0, max_bytes: int = 0) -> Trimmed:
        self.trims.append((before_ns, max_bytes))
        if self.away:
            raise ArchiveAway(self.away)
        return Trimmed(1, 1)


class Running:
    def __init__(self, settings: StoreSettings = SETTINGS) -> None:
        self.bus = MemoryBus(instance="weir", shards=2, redelivery=True)
        self.archive = Shaky()
        self.context = Context(bus=self.bus, shared={"archive": self.archive})
        self.service = StoreService(settings, self.context)

    async def publish(self, *entries: Any) -> None:
        await self.bus.publish(ENTRIES, [Record(str(n).encode(), entry) for n, entry in enumerate(entries)])

    async def until(self, holds: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(10):
            while not await holds():
                await asyncio.sleep(0.002)

    async def kept(self, count: int) -> None:
        async def holds() -> bool:
            return await self.archive.count(Query()) == count

        await self.until(holds)

    async def lag(self, *, some: bool) -> None:
        async def holds() -> bool:
            return "entries" in self.context.lags and any(self.context.lags["entries"]().values()) is some

        await self.until(holds)


@asynccontextmanager
async def running(settings: StoreSettings = SETTINGS) -> Any:
    one = Running(settings)
    await one.bus.start()
    task = asyncio.create_task(one.service.run())
    try:
        yield one
    finally:
        one.context.stop.set()
        async with asyncio.timeout(5):
            await task
        await one.bus.stop(1)


def entries(start: int, stop: int) -> list[dict[str, Any]]:
    return [{"id": f"e{n}", "timestamp": n, "protocol": "http"} for n in range(start, stop)]


async def test_entries_are_kept_and_marked() -> None:
    async with running() as store:
        await store.publish(*entries(0, 500))
        await store.kept(500)
        await store.lag(some=False)
        assert store.context.counts["store.entries"] == 500
        assert store.context.modes["store.archive"].startswith("memory")


async def test_a_single_entry_does_not_wait_for_company() -> None:
    async with running() as store:
        await store.publish(*entries(0, 1))
        await store.kept(1)


async def test_garbage_is_referred_to_and_passed() -> None:
    async with running() as store:
        await store.publish(*entries(0, 3), Undecodable("not MessagePack", 7), *entries(4, 6))
        await store.kept(5)
        await store.lag(some=False)
        dead = store.bus.stream(DEAD, group=None)
        async for batch in dead:
            (letter,) = [record.value for record in batch.records]
            break
        await dead.close()
        assert (letter.topic, letter.stage, letter.reason) == ("entries", "store", "not MessagePack")
        assert store.context.counts["lost.store.undecodable"] == 1


async def test_while_the_archive_is_away_entries_wait_and_people_are_told() -> None:
    async with running() as store:
        store.archive.away = "no room on the disk"
        await store.publish(*entries(0, 200))

        async def told() -> bool:
            return "no room on the disk" in store.context.notes.get("store", "") and store.archive.tried > 3

        await store.until(told)
        await store.lag(some=True)
        store.archive.away = ""
        await store.kept(200)
        await store.lag(some=False)
        assert "store" not in store.context.notes
        assert store.context.counts["store.retries"] > 0
        assert not any(name.startswith("lost.") for name in store.context.counts)


@pytest.mark.parametrize("embedded", [False, True])
async def test_asked_to_stop_while_the_archive_is_away_it_ends_and_marks_nothing(embedded: bool) -> None:
    """With the bus in this process what was not kept is lost, and told as lost."""
    async with running(StoreSettings(batch_age_s=0.01, retry_s=0.01, drain_s=0.05)) as store:
        store.context.embedded = embedded
        store.archive.away = "gone"
        await store.publish(*entries(0, 20))

        async def tried() -> bool:
            return bool(store.archive.tried)

        await store.until(tried)
        assert sum(store.context.lags["entries"]().values()) == 20
    assert "store" in store.context.notes
    kept_elsewhere, lost = store.context.counts["store.not_kept"], store.context.counts["lost.store.not_kept"]
    assert (kept_elsewhere, lost) == ((0, 20) if embedded else (20, 0))


async def test_a_rebalance_while_the_archive_is_away_neither_hangs_nor_forgets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weir.store.service.REVOKE_S", 0.02)
    async with running() as store:
        store.archive.away = "gone"
        await store.publish(*entries(0, 120))

        async def tried() -> bool:
            return store.archive.tried > 1

        await store.until(tried)
        async with asyncio.timeout(5):
            await store.service._revoked([0, 1])
        store.archive.away = ""
        await store.kept(120)
        await store.lag(some=False)


async def test_what_was_not_marked_comes_again_to_the_next_store() -> None:
    first = Running(StoreSettings(batch_age_s=0.01, retry_s=0.01, drain_s=0.05))
    first.archive.away = "gone"
    await first.bus.start()
    task = asyncio.create_task(first.service.run())
    await first.publish(*entries(0, 20))

    async def tried() -> bool:
        return bool(first.archive.tried)

    await first.until(tried)
    first.context.stop.set()
    await task
    archive = MemoryArchive()
    context = Context(bus=first.bus, shared={"archive": archive})
    second = asyncio.create_task(StoreService(SETTINGS, context).run())

    async def all_there() -> bool:
        return await archive.count(Query()) == 20

    await first.until(all_there)
    context.stop.set()
    await second
    await first.bus.stop(1)


async def test_at_the_end_what_was_read_is_kept() -> None:
    async with running(StoreSettings(batch_age_s=30)) as store:
        await store.publish(*entries(0, 30))
        await store.until(lambda: _read(store))
    assert await store.archive.count(Query()) == 30


async def _read(store: Running) -> bool:
    return store.service.held >= 30


async def test_nothing_is_marked_before_what_came_before_it_is_kept() -> None:
    class Slow(Shaky):
        """Keeps everything at once but the entry e0."""

        def __init__(self) -> None:
            super().__init__()
            self.go_on = asyncio.Event()

        async def insert(self, entries: Sequence[EntryMap]) -> None:
            if entries[0]["id"] == "e0":
                await self.go_on.wait()
            await super().insert(entries)

    store = Running(StoreSettings(batch_age_s=0.01, batch_entries=1))
    store.archive = store.context.shared["archive"] = Slow()
    task = asyncio.create_task(store.service.run())
    await store.bus.publish(ENTRIES, [Record(b"k", entries(0, 1)[0], 0)])
    await store.until(lambda: _holds(store, 1))
    await store.bus.publish(ENTRIES, [Record(b"k", entries(1, 2)[0], 0)])
    await store.kept(1)
    assert store.context.lags["entries"]()[0] == 2
    store.archive.go_on.set()
    await store.kept(2)
    await store.lag(some=False)
    store.context.stop.set()
    await task
    await store.bus.stop(1)


async def _holds(store: Running, count: int) -> bool:
    return store.service.held == count


async def test_retention_is_applied_and_waits_for_an_archive_that_is_away() -> None:
    async with running() as store:
        async def trimmed() -> bool:
            return len(store.archive.trims) > 1

        await store.until(trimmed)
        before, size = store.archive.trims[0]
        assert size == SETTINGS.retention_bytes
        assert abs(store.context.clock.now_ns() - before - SETTINGS.retention_s * 10**9) < 60 * 10**9
        store.archive.away = "gone"

        async def told() -> bool:
            return "gone" in store.context.notes.get("store.retention", "")

        await store.until(told)


async def test_an_archive_that_refuses_ends_the_stage_with_one_clear_error() -> None:
    class Refusing(MemoryArchive):
        async def insert(self, entries: Sequence[EntryMap]) -> None:
            raise ArchiveError("wrong password", hint="check it")

    bus = MemoryBus(instance="weir", shards=1)
    service = StoreService(SETTINGS, Context(bus=bus, shared={"archive": Refusing()}))
    running = asyncio.create_task(service.run())
    await bus.publish(ENTRIES, [Record(b"k", one) for one in entries(0, 1)])
    with pytest.raises(ArchiveError, match="wrong password"):
        async with asyncio.timeout(10):
            await running
    await bus.stop(1)


def test_memory_alone_is_no_archive() -> None:
    bus = MemoryBus(instance="weir", shards=1)
    with pytest.raises(SettingsError) as refused:
        StoreService(StoreSettings(), Context(bus=bus)).check()
    assert "weir run store hub" in refused.value.hint


def test_what_is_no_archive_is_refused_at_once() -> None:
    with pytest.raises(SettingsError, match="sqlite"):
        StoreService(StoreSettings(archive="sqlite"), Context(bus=MemoryBus(instance="weir", shards=1)))
