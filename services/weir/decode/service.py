"""decode's I/O: read segment blocks, publish entries, save state, mark what it stands for.

Input is marked only when a snapshot stands for it. So a restart, or a new owner of a shard, takes over the open
conversations where the snapshot was made, and what follows is read again: the same ids, nothing twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import msgspec

from weir.bus.api import Batch, Received, Record, Stream, Table
from weir.bus.codec import OversizedValue
from weir.bus.topics import CONTROL, DEAD, ENDPOINTS, ENTRIES, FLOWS, SEGMENTS
from weir.decode.admission import Admission
from weir.decode.core import Decoder
from weir.decode.entries import without_bodies
from weir.decode.settings import DecodeSettings
from weir.decode.snapshot import (
    SLOTS,
    Stored,
    Unreadable,
    chunk_key,
    chunks_of,
    complete,
    occupied,
    restore,
    save,
)
from weir.directory import Directory
from weir.dissect.api import Limits
from weir.dissect.registry import Registry
from weir.errors import Quarantined, WeirError
from weir.model.control import OUTLINE, Control, EndpointRecord
from weir.model.entry import EntryMap
from weir.runtime.generation import ControlGate, EndpointsGate
from weir.runtime.quarantine import Quarantine
from weir.runtime.service import Context, Service

FAILED_AT_LEAST = 20
FAILED_SHARE = 0.1
LEAKED = "decode.leaked"
LEAK_RECENT_S = 60.0
SHED = 0.25
"""Share of the open flows that go at once where their state is too large."""


class Shard(msgspec.Struct):
    """A partition of `segments` that is owned, and how far it is."""

    number: int
    decoder: Decoder
    next_offset: int = -1
    """Behind the last record taken; -1 before the first."""
    saved_offset: int = -1
    """What the latest snapshot stands for."""
    marked: int = -1
    """What is marked; a snapshot of somebody who died before marking is not."""
    slot: int = SLOTS - 1
    """Of the latest snapshot."""
    chunks: list[int] = msgspec.field(default_factory=lambda: [0] * SLOTS)
    """Records that each slot has."""
    due: float = 0.0
    lock: asyncio.Lock = msgspec.field(default_factory=asyncio.Lock)
    """Held while a batch is worked on, and while state is saved: a rebalance comes at any await."""


class DecodeService(Service):
    """One `Decoder` for each owned shard; all share the names and the configuration."""

    name = "decode"
    title = "puts conversations in order, decodes and names them, masks secrets"
    Settings = DecodeSettings
    consumes = (SEGMENTS,)
    produces = (ENTRIES, FLOWS, DEAD)
    reads = (FLOWS, ENDPOINTS, CONTROL)

    settings: DecodeSettings

    def __init__(self, settings: DecodeSettings, context: Context) -> None:
        super().__init__(settings, context)
        self._shards: dict[int, Shard] = {}
        self._names = Directory()
        self._admission = Admission(self._names)
        self._cluster = False
        """Addresses of a cluster are known."""
        self._revision = 0
        self._leaked, self._leaked_at = 0, 0.0
        self._quarantine = Quarantine(context, self.name)
        self._taken = self._failed = 0
        self._seen = (-1, -1)
        self._control: Control | None = None
        self._registry = Registry(Limits(keep_bodies=False))

    async def run(self) -> None:
        context = self.context
        # In this order: whoever knows a document knows the endpoints that were published before it.
        self._controls = await context.bus.table(CONTROL)
        self._endpoints = await context.bus.table(ENDPOINTS)
        wait_s = self.settings.control_wait_s
        self._gates = (
            ControlGate(context, self.name, self._controls, wait_s),
            EndpointsGate(context, self.name, self._endpoints, wait_s),
        )
        self._follow_tables()
        self._stream = stream = context.bus.stream(
            SEGMENTS, group=f"{context.instance}.decode", member=context.process,
            on_assigned=self._on_assigned, on_revoked=self._on_revoked,
        )
        context.lags[SEGMENTS.name] = stream.lag
        context.gauges["decode.open_flows"] = lambda: float(sum(len(s.decoder.flows) for s in self._shards.values()))
        context.gauges["decode.reorder_bytes"] = lambda: float(
            sum(s.decoder.tcp.waiting for s in self._shards.values())
        )
        try:
            async with asyncio.TaskGroup() as tasks:
                others = [tasks.create_task(self._close_when_told(stream)), tasks.create_task(self._save_when_quiet())]
                await self._work(stream)
                for task in others:
                    task.cancel()
        except ExceptionGroup as group:
            raise group.exceptions[0] from None
        finally:
            await stream.close()
            await _close(self._endpoints, self._controls)

    async def _work(self, stream: Stream) -> None:
        held = False
        async for batch in stream:
            shard = self._shards.get(batch.partition)
            if shard is None or held:
                continue
            async with shard.lock:
                good = await self._quarantine.sift(SEGMENTS, batch)
                for gate in self._gates:
                    good = await gate.hold(good)
                # Told to stop in front of a record: nothing behind it may be taken.
                held = good.next_offset != batch.next_offset
                self._follow_tables()
                for overtaken in stream.overtaken():
                    self.context.counts.lose("decode.overtaken", overtaken.records)
                await self._take(shard, good)
                self._tell_leaks()
                if self.context.clock.monotonic() >= shard.due:
                    await self._checkpoint(shard)

    async def _take(self, shard: Shard, batch: Batch) -> None:
        for received in batch.records:
            if received.offset < shard.next_offset:
                continue
            if received.value is not None:
                await self._publish(await self._decode(shard, received))
            shard.next_offset = received.offset + 1
            # A block takes milliseconds of CPU; whoever shares the process waits no longer than that.
            await asyncio.sleep(0)
        shard.next_offset = max(shard.next_offset, batch.next_offset)

    async def _decode(self, shard: Shard, received: Received) -> list[EntryMap]:
        """A block that cannot be worked through costs what it holds; if many are like that, the stage stops."""
        self._taken += 1
        try:
            return shard.decoder.feed(received.value)
        except Exception as error:
            self._failed += 1
            if self._failed >= FAILED_AT_LEAST and self._failed > FAILED_SHARE * self._taken:
                raise Quarantined(
                    f"decode: {self._failed} of {self._taken} blocks cannot be worked through, the last one: {error!r}",
                    hint="the topic `dead` has the reasons; a block that passed `filter` and fails here is a bug",
                ) from error
            await self._quarantine.bury(SEGMENTS, received, repr(error))
            return []

    async def _publish(self, entries: Sequence[EntryMap]) -> None:
        if not entries:
            return
        records = [Record(entry["flow_id"].encode(), entry) for entry in entries]
        try:
            await self.context.bus.publish(ENTRIES, records)
        except OversizedValue:
            # Which one it was is not told. What was sent already is sent again under the same id.
            for record in records:
                await self._publish_cut(record)

    async def _publish_cut(self, record: Record) -> None:
        """An entry that may be larger than its topic allows: without bodies, if there is no other way."""
        try:
            await self.context.bus.publish(ENTRIES, [record])
            return
        except OversizedValue as error:
            entry = without_bodies(record.value, f"bodies left out: {error.size} bytes in all")
        try:
            await self.context.bus.publish(ENTRIES, [Record(record.key, entry)])
            self.context.counts.add("decode.oversized")
        except OversizedValue:
            self.context.counts.lose("decode.oversized")

    # Configuration.

    def _follow_tables(self) -> None:
        seen = self._endpoints.version, self._controls.version
        if seen == self._seen:
            return
        cluster = self._cluster
        self._follow_endpoints(self._seen[0])
        self._seen = seen
        control = self._controls.get(self.context.instance.encode()) or OUTLINE
        self._admission.adopt(control, self._revision, self.context.clock.now_ns())
        if control != self._control or cluster != self._cluster:
            self._control = control
            self._configure(control)

    def _follow_endpoints(self, since: int) -> None:
        table = self._endpoints
        keys = table.changes(since) if since >= 0 else None
        changes = list(table.items()) if keys is None else [(key, table.get(key)) for key in keys]
        records = [(key, value if isinstance(value, EndpointRecord) else None) for key, value in changes]
        if keys is None:
            self._names.follow((key, record) for key, record in records if record is not None)
        else:
            self._names.apply(records)
        for _, record in records:
            if record is not None:
                self._revision = max(self._revision, record.revision)
                self._cluster = self._cluster or record.role in ("pod", "host")

    def _tell_leaks(self) -> None:
        """An alert while conversations without a targeted end come, and for a while after the last one."""
        now, leaked = self.context.clock.monotonic(), sum(shard.decoder.leaked for shard in self._shards.values())
        if leaked > self._leaked:
            self._leaked_at = now
            self.context.notes[LEAKED] = (
                f"payload that nobody asked for came from filter and was refused; conversations: {leaked}"
            )
        elif now - self._leaked_at > LEAK_RECENT_S:
            self.context.notes.pop(LEAKED, None)
        self._leaked = leaked

    def _configure(self, control: Control) -> None:
        limits = Limits(body=control.body_limit, keep_bodies=control.bodies)
        try:
            self._registry = Registry(limits, only=control.dissectors)
            self.context.notes.pop("decode.control", None)
        except WeirError as error:
            self.context.notes["decode.control"] = f"control document {control.generation}: {error.message}"
            self._registry = Registry(limits)
        for shard in self._shards.values():
            self._configure_decoder(shard.decoder, control)

    def _configure_decoder(self, decoder: Decoder, control: Control) -> None:
        decoder.configure(
            self._registry, control.redaction, bodies=control.bodies, labels=control.labels, cluster=self._cluster
        )

    def _new_decoder(self) -> Decoder:
        control = self._control or OUTLINE
        decoder = Decoder(
            self.settings, names=self._names, instance=self.context.instance, cluster=self.context.cluster,
            counts=self.context.counts, admission=self._admission,
        )
        self._configure_decoder(decoder, control)
        return decoder

    # State.

    async def _on_assigned(self, partitions: Sequence[int]) -> Mapping[int, int]:
        """Take shards over where their latest snapshot stands."""
        starts = {}
        self._follow_tables()
        for partition in partitions:
            records = await self.context.bus.read_compacted(FLOWS, partition)
            shard = self._restored(partition, complete(partition, records))
            shard.chunks = occupied(partition, records)
            if shard.next_offset >= 0:
                starts[partition] = shard.next_offset
            shard.due = self.context.clock.monotonic() + self.settings.snapshot_interval_s
            self._shards[partition] = shard
        return starts

    def _restored(self, number: int, found: Sequence[Stored]) -> Shard:
        for stored in found:
            decoder = self._new_decoder()
            try:
                restore(decoder, stored.data)
            except Unreadable as error:
                self.context.counts.add("decode.snapshot_refused")
                self.context.notes[f"decode.shard.{number}"] = f"a snapshot of shard {number} cannot be read: {error}"
                continue
            self.context.counts.add("decode.restored")
            return Shard(
                number, decoder, next_offset=stored.offset, saved_offset=stored.offset, slot=stored.slot
            )
        return Shard(number, self._new_decoder())

    async def _on_revoked(self, partitions: Sequence[int]) -> None:
        await self._save_all(partitions, "handed over")
        for partition in partitions:
            self._shards.pop(partition, None)

    async def _save_all(self, partitions: Sequence[int], what: str) -> None:
        try:
            async with asyncio.timeout(self.settings.drain_s):
                for partition in partitions:
                    shard = self._shards.get(partition)
                    if shard is not None:
                        async with shard.lock:
                            await self._checkpoint(shard)
        except TimeoutError:
            self.context.notes["decode"] = f"{what} before state was saved: the last seconds are read again"

    async def _checkpoint(self, shard: Shard) -> None:
        """Entries, then the state that made them, then the mark; each only when the one before is safe.

        State is encoded only if something came since the last time, and not more often than `snapshot_share` allows.
        """
        context, clock = self.context, self.context.clock
        shard.due = clock.monotonic() + self.settings.snapshot_interval_s
        offset = shard.next_offset
        if offset == shard.marked or shard.number not in self._stream.assigned():
            return
        if offset == shard.saved_offset:
            await self._mark(shard, offset)
            return
        began = clock.monotonic()
        saved = save(shard.decoder)
        while len(saved) > self.settings.max_state_bytes and shard.decoder.flows:
            await self._publish(shard.decoder.evict(SHED))
            saved = save(shard.decoder)
        took = clock.monotonic() - began
        slot = (shard.slot + 1) % SLOTS
        chunks = chunks_of(saved, shard=shard.number, slot=slot, offset=offset)
        await context.bus.flush()
        stale = [chunk_key(shard.number, slot, n) for n in range(len(chunks), shard.chunks[slot])]
        await context.bus.publish(
            FLOWS,
            [Record(key, chunk, shard.number) for key, chunk in chunks.items()]
            + [Record(key, None, shard.number) for key in stale],
        )
        await context.bus.flush()
        await self._mark(shard, offset)
        shard.slot, shard.chunks[slot], shard.saved_offset = slot, len(chunks), offset
        shard.due = clock.monotonic() + max(self.settings.snapshot_interval_s, took / self.settings.snapshot_share)
        context.counts.add("decode.snapshots")
        context.counts.add("decode.snapshot_bytes", len(saved))

    async def _mark(self, shard: Shard, offset: int) -> None:
        await self._stream.mark(shard.number, offset)
        shard.marked = offset

    async def _save_when_quiet(self) -> None:
        """Where nothing comes, nobody else looks at the time."""
        while True:
            await self.context.clock.sleep(self.settings.snapshot_interval_s)
            self._tell_leaks()
            for shard in list(self._shards.values()):
                async with shard.lock:
                    if self.context.clock.monotonic() >= shard.due and shard.number in self._shards:
                        await self._checkpoint(shard)

    async def _close_when_told(self, stream: Stream) -> None:
        """Conversations stay open: their state is saved, and whoever comes next goes on with them."""
        await self.context.stop.wait()
        await self._save_all(sorted(self._shards), "stopped")
        await stream.close()


async def _close(*tables: Table) -> None:
    for table in tables:
        await table.close()

