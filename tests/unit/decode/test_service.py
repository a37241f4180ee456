from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from weir.bus.api import Record, Undecodable
from weir.bus.codec import decode
from weir.bus.memory import MemoryBroker, MemoryBus
from weir.bus.topics import CONTROL, DEAD, ENDPOINTS, ENTRIES, FLOWS, SEGMENTS
from weir.decode.service import DecodeService
from weir.decode.settings import DecodeSettings
from weir.dissect.protocols.http1 import Http1
from weir.dissect.registry import Registry
from weir.errors import Quarantined
from weir.model.control import Control, EndpointRecord
from weir.model.flow import Side
from weir.runtime.clock import SystemClock
from weir.runtime.service import Context
from weir.testing.segments import START, Connection, block, directed
from weir.testing.toy import Toy

C, S = Side.CLIENT, Side.SERVER
ASK, ANSWER = b"TOY 1 hello\n", b"TOY 1 world\n"
OFTEN = DecodeSettings(snapshot_interval_s=0.01, snapshot_share=1.0)
SELDOM = DecodeSettings(snapshot_interval_s=3600)


@pytest.fixture(autouse=True)
def _toy(monkeypatch):
    """The registry finds the toy instead of what is installed."""
    monkeypatch.setattr("weir.dissect.registry.find_classes", lambda: [Toy, Http1])


class CountingClock(SystemClock):
    sleeps = 0

    async def sleep(self, seconds):
        self.sleeps += 1
        await super().sleep(seconds)


class Rig:
    """A broker that outlives the processes on it."""

    def __init__(self, shards=1):
        self.broker = MemoryBroker(shards=shards, redelivery=True, retain_records=1000)
        self.bus = self.process()
        self.offset = 0
        self.controlled = False

    def process(self) -> MemoryBus:
        return MemoryBus(broker=self.broker, roundtrip=True)

    async def publish(self, *segments, shard=0, offset=None, **options):
        self.offset += 1
        value = block(segments, offset=self.offset if offset is None else offset, shard=shard, **options)
        await self.bus.publish(SEGMENTS, [Record(b"%d" % shard, value, shard)])

    async def control(self, generation=1, **options):
        """A document under which everything is targeted, unless it says otherwise."""
        self.controlled = True
        document = Control(**{"generation": generation, "targets": ["all"], **options})
        await self.bus.publish(CONTROL, [Record(b"weir", document)])

    async def records(self, topic) -> list[Any]:
        stream, found = self.bus.stream(topic, group=None), []
        while any(stream.lag().values()):
            found += [received.value for received in (await anext(aiter(stream))).records]
        await stream.close()
        return found

    def marks(self) -> dict[int, int]:
        (group,) = self.broker.topic("weir", SEGMENTS).groups.values()
        return group.marks

    async def entries(self):
        return await self.records(ENTRIES)

    async def summaries(self):
        return [e["summary"] for e in await self.entries() if e["kind"] != "flow"]

    async def save(self):
        """Decode what is there and save."""
        async with self.decoding(SELDOM) as context:
            await until(lambda: context.lags.get("segments", dict)() == {0: 0})

    @asynccontextmanager
    async def decoding(self, settings=OFTEN, name="decode-0", end="stop"):
        if not self.controlled:
            await self.control(bodies=False)
        bus = self.process()
        context = Context(bus=bus, process=name, cluster="east", clock=CountingClock())
        task = asyncio.create_task(DecodeService(settings, context).run())
        try:
            yield context
        finally:
            if end == "crash":
                task.cancel()
                bus.crash()
                await asyncio.wait({task}, timeout=5)
            else:
                context.stop.set()
                try:
                    async with asyncio.timeout(5):
                        await task
                finally:
                    await bus.stop(1)


async def until(holds: Callable[[], Any]) -> None:
    async with asyncio.timeout(10):
        while True:
            found = holds()
            if await found if asyncio.iscoroutine(found) else found:
                return
            await asyncio.sleep(0.002)


async def told(rig: Rig, count: int) -> None:
    async def holds():
        return len(await rig.entries()) >= count

    await until(holds)


async def test_segments_become_entries_under_the_flows_key():
    rig = Rig(shards=2)
    c = Connection()
    await rig.publish(*c.open(), *c.send(C, ASK), *c.send(S, ANSWER), *c.close(), shard=1)
    await rig.publish(end=True, shard=1)
    async with rig.decoding() as context:
        await told(rig, 2)
        entries = await rig.entries()
        assert {e["kind"] for e in entries} == {"exchange", "flow"}
        assert all(e["instance"] == "weir" and e["cluster"] == "east" for e in entries)
        assert context.counts["decode.entries"] == 2
        keys = {s.key for log in rig.broker.topic("weir", ENTRIES).logs for s in log}
        assert keys == {entries[0]["flow_id"].encode()}
        await until(lambda: context.lags["segments"]() == {0: 0, 1: 0})
    assert context.gauges["decode.open_flows"]() == 0


async def test_a_stopped_stage_leaves_conversations_open_and_the_next_one_goes_on():
    rig = Rig()
    c = Connection()
    await rig.publish(*c.open(), *c.send(C, ASK))
    async with rig.decoding(SELDOM) as context:
        await until(lambda: context.counts["decode.segments"] == 4)
    assert context.counts["decode.snapshots"] == 1
    assert await rig.entries() == []
    await rig.publish(*c.send(S, ANSWER))
    async with rig.decoding() as context:
        await told(rig, 1)
        assert context.counts["decode.restored"] == 1
        assert context.counts["decode.segments"] == 1
    assert await rig.summaries() == ["hello → world"]


async def test_a_crash_repeats_what_was_not_saved_under_the_same_ids():
    rig = Rig()
    c = Connection()
    await rig.publish(*c.open(), *c.send(C, ASK))
    async with rig.decoding(OFTEN, end="crash") as context:
        await until(lambda: context.counts["decode.snapshots"] >= 1)
    await rig.publish(*c.send(S, ANSWER))
    async with rig.decoding(SELDOM, end="crash"):
        await told(rig, 1)
    await rig.publish(*c.close())
    await rig.publish(end=True)
    async with rig.decoding():
        await told(rig, 3)
    entries = await rig.entries()
    assert len({e["id"] for e in entries}) == 2
    assert await rig.summaries() == ["hello → world"] * 2


async def test_segments_that_filter_repeats_give_nothing_twice():
    rig = Rig()
    c = Connection()
    conversation = [*c.open(), *c.send(C, ASK), *c.send(S, ANSWER)]
    await rig.publish(*conversation, offset=7)
    await rig.publish(*conversation, offset=7)
    async with rig.decoding() as context:
        await until(lambda: context.counts["decode.repeated"] == 5)
    async with rig.decoding() as context:
        await rig.publish(*conversation, offset=7)
        await until(lambda: context.counts["decode.repeated"] == 5)
    assert await rig.summaries() == ["hello → world"]


async def test_state_is_saved_and_marked_even_when_nothing_more_comes():
    rig = Rig()
    c = Connection()
    await rig.publish(*c.open())
    async with rig.decoding() as context:
        await until(lambda: context.counts["decode.snapshots"] == 1)
        looked = context.clock.sleeps
        await until(lambda: context.clock.sleeps > looked + 3)
        assert context.counts["decode.snapshots"] == 1, "nothing came, nothing is to be saved"
        assert rig.marks() == {0: 1}


async def test_state_that_was_saved_by_somebody_who_died_before_marking_it_is_marked():
    rig = Rig()
    c = Connection()
    await rig.publish(*c.open(), *c.send(C, ASK))
    await rig.save()
    group = rig.broker.topic("weir", SEGMENTS).groups["weir.decode"]
    del group.marks[0]
    async with rig.decoding(end="crash"):
        await until(lambda: rig.marks() == {0: 1})


async def test_snapshots_alternate_between_two_slots_and_leave_no_stale_chunks(monkeypatch):
    monkeypatch.setattr("weir.decode.snapshot.CHUNK_BYTES", 300)
    rig = Rig()
    many = [s for n in range(10) for s in Connection(directed(sport=41000 + n)).open()]
    await rig.publish(*many)
    await rig.save()
    large = await rig.bus.read_compacted(FLOWS, 0)
    assert {key.split(b"/")[1] for key in large} == {b"0"}
    assert len(large) > 3
    await rig.publish(end=True)
    await rig.save()
    both = await rig.bus.read_compacted(FLOWS, 0)
    assert {chunk.offset for chunk in both.values()} == {1, 2}
    await rig.publish(clock_ns=START + 10**12)
    await rig.save()
    small = await rig.bus.read_compacted(FLOWS, 0)
    assert sum(key.startswith(b"0/0/") for key in small) < len(large)
    assert {chunk.offset for chunk in small.values()} == {3, 2}


async def test_a_snapshot_that_cannot_be_read_is_said_and_the_mark_holds():
    rig = Rig()
    c = Connection()
    await rig.publish(*c.open(), *c.send(C, ASK))
    async with rig.decoding(SELDOM):
        pass
    for key, chunk in (await rig.bus.read_compacted(FLOWS, 0)).items():
        await rig.bus.publish(FLOWS, [Record(key, msgspec.structs.replace(chunk, data=b"?" * len(chunk.data)), 0)])
    await rig.publish(*c.send(S, ANSWER), *c.send(C, b"TOY 2 b\n"), *c.send(S, b"TOY 2 c\n"))
    await rig.publish(end=True)
    async with rig.decoding() as context:
        await until(lambda: context.counts["decode.segments"] == 3)
        assert context.counts["decode.snapshot_refused"] == 1
        assert "cannot be read: damaged" in context.notes["decode.shard.0"]
        await told(rig, 2)
    assert "b → c" in await rig.summaries()


async def test_state_that_grows_too_large_costs_the_flows_that_were_silent_for_longest():
    rig = Rig()
    settings = msgspec.structs.replace(SELDOM, max_state_bytes=65536)
    for n in range(40):
        c = Connection(directed(sport=41000 + n), ts_ns=START + n * 1000)
        await rig.publish(*c.open(), *c.send(C, b"TOY 1 " + b"x" * 3000))
    async with rig.decoding(settings) as context:
        await until(lambda: context.lags.get("segments", dict)() == {0: 0})
    chunks = await rig.bus.read_compacted(FLOWS, 0)
    assert sum(len(c.data) for c in chunks.values()) <= 65536
    evicted = [e for e in await rig.entries() if e.get("conn_end") == "evicted"]
    assert 10 <= len(evicted) < 40
    assert {e["src"]["port"] for e in evicted} == set(range(41000, 41000 + len(evicted)))


async def test_control_says_what_is_read_and_masked():
    rig = Rig()
    async with rig.decoding() as context:
        c = Connection()
        request = b"GET /?token=abc HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi"
        await rig.publish(*c.open(), *c.send(C, request), *c.send(S, b"HTTP/1.1 204 No\r\n\r\n"))
        await told(rig, 1)
        (first,) = await rig.entries()
        assert first["path"].startswith("/")
        assert "abc" not in str(first)
        assert "text" not in first["request"]["body"]
        await rig.control(2, outline=False, dissectors=["http"])
        await rig.publish(*c.send(C, request), *c.send(S, b"HTTP/1.1 204 No\r\n\r\n"))
        await told(rig, 2)
        assert (await rig.entries())[1]["request"]["body"]["text"] == "hi"
        await rig.control(3, dissectors=["htpt"])
        await rig.publish(clock_ns=c.ts_ns)
        await until(lambda: "decode.control" in context.notes)
        assert "htpt" in context.notes["decode.control"]


async def test_ends_are_named_by_endpoints():
    rig = Rig()
    record = EndpointRecord(address="10.0.0.2", uid="u", name="checkout", namespace="shop")
    await rig.bus.publish(ENDPOINTS, [Record(b"k", record)])
    c = Connection()
    await rig.publish(*c.open(), *c.send(C, ASK), *c.send(S, ANSWER))
    async with rig.decoding():
        await told(rig, 1)
    assert (await rig.entries())[0]["dst"]["name"] == "checkout"


async def test_with_filter_open_decode_refuses_and_raises_an_alert(monkeypatch):
    monkeypatch.setattr("weir.decode.service.LEAK_RECENT_S", 0.2)
    rig = Rig()
    await rig.control(targets=["10.0.0.7"])
    await rig.bus.publish(ENDPOINTS, [Record(b"k", EndpointRecord(address="10.0.0.2", uid="u", role="pod"))])
    secret, wanted = Connection(), Connection(directed("10.0.0.7"))
    async with rig.decoding() as context:
        for c in (secret, wanted):
            await rig.publish(*c.open(), *c.send(C, ASK), *c.send(S, ANSWER), *c.close(), generation=1)
        await until(lambda: "decode.leaked" in context.notes)
        await rig.publish(end=True)
        await told(rig, 3)
        assert context.counts["decode.leaked"] == 1
        assert "conversations: 1" in context.notes["decode.leaked"]
        await until(lambda: "decode.leaked" not in context.notes)
    assert [e["src"]["ip"] for e in await rig.entries() if e["kind"] == "exchange"] == ["10.0.0.7"]
    assert {e["src"]["ip"]: e.get("undecoded") for e in await rig.entries() if e["kind"] == "flow"} == {
        "10.0.0.1": "not targeted", "10.0.0.7": None
    }


async def test_segments_wait_for_the_endpoints_that_filter_knew():
    rig = Rig()
    await rig.control(targets=[])
    c = Connection()
    async with rig.decoding() as context:
        await rig.publish(*c.open(), *c.send(C, ASK), *c.send(S, ANSWER), revision=3, generation=1)
        await until(lambda: "decode.revision" in context.notes)
        record = EndpointRecord(address="10.0.0.2", uid="u", name="new", targeted=True, revision=3, role="pod")
        await rig.bus.publish(ENDPOINTS, [Record(b"k", record)])
        await told(rig, 1)
    assert (await rig.entries())[0]["dst"]["name"] == "new"
    assert "decode.leaked" not in context.counts


async def test_endpoints_are_followed_change_by_change():
    rig = Rig()
    records = [
        EndpointRecord(address=f"10.0.0.{n}", uid=str(n), name=f"pod-{n}", role="pod", revision=n, labels={"a": "b"})
        for n in range(1, 5)
    ]
    await rig.control(labels=["a"])
    async with rig.decoding():
        for n, record in enumerate(records[1:], 1):
            await rig.bus.publish(ENDPOINTS, [Record(b"%d" % n, record)])
            c = Connection(directed("8.8.8.8", 40000 + n, dst=record.address))
            await rig.publish(*c.open(), *c.send(C, ASK), *c.send(S, ANSWER), revision=record.revision)
            await told(rig, n)
        newest = msgspec.structs.replace(records[0], revision=9)
        await rig.bus.publish(ENDPOINTS, [Record(b"3", None), Record(b"0", newest)])
        c = Connection(directed("8.8.8.8", 40009, dst="10.0.0.4"))
        await rig.publish(*c.open(), *c.send(C, ASK), *c.send(S, ANSWER), revision=9)
        await told(rig, 4)
    entries = await rig.entries()
    assert [e["dst"].get("name") for e in entries] == ["pod-2", "pod-3", "pod-4", None]
    assert entries[0]["dst"]["labels"] == {"a": "b"}
    assert {e["src"]["role"] for e in entries} == {"outside"}


async def test_garbage_is_buried_and_what_follows_is_decoded():
    rig = Rig()
    c = Connection()
    broken = msgspec.structs.replace(block(c.open(), offset=1), seq=b"?")
    await rig.bus.publish(SEGMENTS, [Record(b"0", broken, 0)])
    await rig.publish(*c.open(), *c.send(C, ASK), *c.send(S, ANSWER))
    async with rig.decoding():
        await told(rig, 1)
    (letter,) = await rig.records(DEAD)
    assert (letter.topic, letter.partition, letter.offset, letter.stage) == ("segments", 0, 0, "decode")
    assert "Malformed" in letter.reason


async def test_too_much_garbage_stops_the_stage():
    rig = Rig()
    for n in range(30):
        await rig.bus.publish(SEGMENTS, [Record(b"0", msgspec.structs.replace(block([], offset=n + 1), seq=b"?"), 0)])
    context = Context(bus=rig.process())
    with pytest.raises(Quarantined, match="20 of 20 blocks"):
        await asyncio.wait_for(DecodeService(SELDOM, context).run(), 5)
    assert context.counts["lost.decode.undecodable"] == 19


async def test_a_newer_version_is_waited_for_with_the_mark_held(monkeypatch):
    rig = Rig()
    c = Connection()
    await rig.publish(*c.open(), *c.send(C, ASK), *c.send(S, ANSWER))
    await rig.publish(*c.close())

    def newer(topic, encoded):
        found = decode(topic, encoded)
        is_last = topic is SEGMENTS and found.count == 3
        return Undecodable("version 2, known is 1", 10, newer=True) if is_last else found

    monkeypatch.setattr("weir.bus.memory.decode", newer)
    async with rig.decoding(SELDOM) as context:
        await until(lambda: "decode.segments" in context.notes)
    monkeypatch.undo()
    assert rig.marks() == {0: 1}
    assert await rig.summaries() == ["hello → world"]
    assert await rig.records(DEAD) == []


async def test_segments_wait_for_the_document_under_which_they_were_made():
    rig = Rig()
    c = Connection()
    async with rig.decoding(OFTEN) as context:
        await rig.publish(*c.open(), *c.send(C, ASK), *c.send(S, ANSWER), *c.close(), end=True, generation=5)
        await until(lambda: "decode.generation" in context.notes)
        assert rig.marks() == {}
        await rig.control(5)
        await until(lambda: rig.marks() == {0: 1})
    assert "decode.control_late" not in context.counts


async def test_nothing_behind_what_is_held_is_taken_when_told_to_stop():
    rig = Rig()
    c = Connection()
    async with rig.decoding(OFTEN) as context:
        await rig.publish(*c.open(), generation=5)
        await until(lambda: "decode.generation" in context.notes)
        await rig.publish(*c.close())
    assert rig.marks().get(0, 0) == 0


async def test_a_shard_is_handed_over_with_its_state():
    rig = Rig(shards=2)
    connections = [Connection(directed(sport=41000 + shard)) for shard in (0, 1)]
    async with rig.decoding(SELDOM, "decode-0") as first:
        for shard, c in enumerate(connections):
            await rig.publish(*c.open(), *c.send(C, ASK), shard=shard)
        await until(lambda: first.counts["decode.segments"] == 8)
        async with rig.decoding(SELDOM, "decode-1") as second:
            await until(lambda: second.counts["decode.restored"] == 1)
            for shard, c in enumerate(connections):
                await rig.publish(*c.send(S, ANSWER), shard=shard)
            await told(rig, 2)
            assert (first.counts["decode.segments"], second.counts["decode.segments"]) == (9, 1)
    assert await rig.summaries() == ["hello → world"] * 2


async def test_what_retention_took_is_a_counted_loss():
    rig = Rig()
    c = Connection()
    await rig.publish(*c.open())
    async with rig.decoding(SELDOM) as context:
        await until(lambda: context.counts["decode.segments"] == 3)
    for _ in range(5):
        await rig.publish(*c.send(C, ASK))
    rig.bus.delete_before(SEGMENTS, 0, 4)
    async with rig.decoding() as context:
        await until(lambda: context.counts["decode.segments"] == 2)
        assert context.counts["lost.decode.overtaken"] == 3


async def test_an_entry_above_its_topics_limit_loses_its_bodies(monkeypatch):
    rig = Rig()
    monkeypatch.setattr("weir.decode.service.ENTRIES", msgspec.structs.replace(ENTRIES, max_bytes=3000))
    await rig.control(outline=False)
    c = Connection()
    request = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5000\r\n\r\n" + b"x" * 5000
    await rig.publish(*c.open(), *c.send(C, request), *c.send(S, b"HTTP/1.1 204 No\r\n\r\n"))
    async with rig.decoding() as context:
        await told(rig, 1)
    (entry,) = await rig.entries()
    assert entry["request"]["body"] == {"size": 5000, "truncated": True}
    assert entry["incomplete"][0].startswith("bodies left out")
    assert context.counts["decode.oversized"] == 1


def test_it_declares_what_it_touches():
    assert DecodeService.consumes == (SEGMENTS,)
    assert set(DecodeService.produces) == {ENTRIES, FLOWS, DEAD}
    assert {CONTROL, ENDPOINTS} <= set(DecodeService.reads)
    assert Registry().get("http") is not None
