"""A cluster that changes while it is watched, from a seed: pods whose address comes late or never, a rule that is added
and removed, totals from the kernel's table, and two nodes that share conversations out between them.

What is known and wanted follows from the time of the packets alone: a rule changes when everything captured before was
worked through, and a late address becomes known before its packets have waited too long. So each seed has one outcome.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, ClassVar

import msgspec

from weir.bus.api import Received, Record
from weir.bus.memory import MemoryBroker, MemoryBus
from weir.bus.topics import CONTROL, ENDPOINTS
from weir.capture.settings import CaptureSettings
from weir.decode.core import Decoder
from weir.decode.settings import DecodeSettings
from weir.directory import Directory
from weir.dissect.api import Limits
from weir.dissect.registry import Registry
from weir.filter.core import FilterCore
from weir.filter.settings import FilterSettings
from weir.model.control import Control, EndpointRecord, Redaction
from weir.model.counts import Counts
from weir.model.entry import EntryMap
from weir.model.packets import TALLY, TALLY_LAST, PacketBlock
from weir.model.segments import ACK
from weir.runtime.service import Context
from weir.testing.packets import address
from weir.testing.simulation_talks import NETS, NS, Packet, repeated, shuffled, talk_of
from weir.testing.simulation_traffic import BEGIN, CLUSTER, INSTANCE, packet_block

NODES = ("node-a", "node-b")
PHASES = 3
"""Outline; payload of some servers; outline again."""
PHASE_NS = 7200 * NS
LATE_NS = 4 * NS
"""The packets of an address may wait for 5 s of their ring's time: by then all have seen its record."""
SEEN_S = 12.0
"""Virtual seconds after which everybody has seen what was published (`Cluster.late_s`)."""
RANGES = [net.format(0) + size for net, size in NETS.items()]
_MAPPED = bytes(10) + b"\xff\xff"


class LiveRing(msgspec.Struct):
    node: str
    number: int
    phases: list[list[PacketBlock]]


class Late(msgspec.Struct):
    """A pod that speaks before anybody knows it."""

    first_ns: int
    record: EndpointRecord


class Live(msgspec.Struct):
    rings: list[LiveRing]
    known: list[EndpointRecord]
    """Who is known from the beginning, servers apart."""
    servers: list[list[EndpointRecord]]
    """By phase."""
    late: list[Late]

    def control(self, phase: int) -> Control:
        return Control(generation=phase + 1, pods=phase == 1, pod_ranges=RANGES, redaction=Redaction(key=b"key"))


def live_scenario(chance: random.Random) -> Live:
    chosen = chance.sample((1, 2, 3), 2)
    homes = {net.format(n): chance.choice(NODES) for net in NETS for n in range(1, 4)}
    servers = [
        [
            _pod(text, node, BEGIN - NS, targeted=phase == 1 and int(text[-1]) in chosen)
            for text, node in homes.items()
        ]
        for phase in range(PHASES)
    ]
    live = Live([], [], servers, [])
    shown: dict[str, list[list[Packet]]] = {node: [[] for _ in range(PHASES)] for node in NODES}
    number = 0
    for phase in range(PHASES):
        for _ in range(chance.randrange(2, 5)):
            at = BEGIN + phase * PHASE_NS + int(chance.random() * 10 * NS)
            talk = talk_of(chance, number, at, twice=True)
            number += 1
            where = _introduce(chance, live, talk.client, talk.packets[0].ts_ns)
            packets = repeated(chance, talk.packets)
            for node in where:
                shown[node][phase] += shuffled(chance, packets, one_way=True)
    live.rings = [LiveRing(node, n, _phases(chance, node, n, shown[node])) for n, node in enumerate(NODES)]
    return live


def _introduce(chance: random.Random, live: Live, client: str, first_ns: int) -> tuple[str, ...]:
    """Who the client is, and the nodes that show it: one that nobody ever knows shows on one node, as nothing says
    which of two would be its vantage."""
    kind = chance.random()
    if kind < 0.2:
        return (chance.choice(NODES),)
    late = kind < 0.6
    record = _pod(client, chance.choice(NODES), first_ns - NS if late else BEGIN - NS)
    if late:
        live.late.append(Late(first_ns, record))
    else:
        live.known.append(record)
    return NODES


def _pod(text: str, node: str, since_ns: int, **fields: Any) -> EndpointRecord:
    return EndpointRecord(
        address=text, uid=text, name=f"pod-{text}", namespace="shop", node=node, role="pod", captured=True,
        since_ns=since_ns, **fields,
    )


def _phases(chance: random.Random, node: str, ring: int, shown: list[list[Packet]]) -> list[list[PacketBlock]]:
    phases: list[list[PacketBlock]] = []
    serial = 0
    for phase, packets in enumerate(shown):
        begin = BEGIN + phase * PHASE_NS
        told = [
            _tallies(chance, node, ring, begin + at * 5 * NS, at) for at in range(1, chance.randrange(2, 5))
        ]
        blocks = sorted([*_cut(chance, node, ring, packets), *told], key=lambda block: block.clock_ns)
        # A tick behind everything: nothing waits, and no conversation goes on, when the phase is over.
        blocks.append(packet_block(node, ring, 0, 0, [], begin + PHASE_NS - NS))
        phases.append([msgspec.structs.replace(b, sequence=serial + n) for n, b in enumerate(blocks)])
        serial += len(blocks)
    last = phases[-1][-1]
    phases[-1].append(msgspec.structs.replace(last, sequence=serial, clock_ns=last.clock_ns + NS, end=True))
    return phases


def _cut(chance: random.Random, node: str, ring: int, packets: list[Packet]) -> list[PacketBlock]:
    """Blocks of at most half a second."""
    blocks: list[PacketBlock] = []
    packets = sorted(packets, key=lambda packet: packet.ts_ns)
    while packets:
        most = chance.randrange(1, 12)
        taken = [p for p in packets[:most] if p.ts_ns - packets[0].ts_ns < NS // 2]
        blocks.append(packet_block(node, ring, 0, 0, taken, taken[-1].ts_ns))
        packets = packets[len(taken):]
    return blocks


def _tallies(chance: random.Random, node: str, ring: int, clock: int, nth: int) -> PacketBlock:
    """What the kernel counted of conversations with the outside."""
    records = []
    for host in range(2):
        src, dst = _MAPPED + address(f"10.9.{ring}.{host}"), _MAPPED + address("203.0.113.9")
        for way, (one, other, ports) in enumerate(((src, dst, (5000, 443)), (dst, src, (443, 5000)))):
            records.append(TALLY.pack(
                one, other, *ports, 6 if host else 17, ACK if host else 0, TALLY_LAST if nth == 9 else 0, 2,
                clock - nth * NS, clock - NS // 2, nth * 3 + way, nth * 1000 + way,
            ))
    chance.shuffle(records)
    return PacketBlock(
        node=node, ring=ring, run=1, sequence=0, source="simulation", layout="tallies", count=len(records),
        clock_ns=clock, data=b"".join(records),
    )


def undisturbed_live(live: Live) -> list[EntryMap]:
    """The entries that the cores make, with everybody known from the beginning."""
    counts = Counts()
    names = Directory()
    core = FilterCore(FilterSettings(), shards=1, counts=counts)
    decoder = Decoder(DecodeSettings(), names=names, instance=INSTANCE, cluster=CLUSTER, counts=counts)
    found: list[EntryMap] = []
    offset = 0
    for phase in range(PHASES):
        control = live.control(phase)
        known = [*live.known, *live.servers[phase], *(late.record for late in live.late)]
        endpoints = [(record.address.encode(), record) for record in known]
        names.apply(endpoints)
        core.configure(control, endpoints)
        limits = Limits(body=control.body_limit, keep_bodies=control.bodies)
        decoder.configure(Registry(limits, control.dissectors), control.redaction, bodies=control.bodies, cluster=True)
        for ring in live.rings:
            for block in ring.phases[phase]:
                for record in core.step(Received(0, offset, b"", block)):
                    found += decoder.feed(record.value)
                offset += 1
    return found


class Operator:
    """Publishes what `targets` would, when the sources have come that far."""

    def __init__(
        self, live: Live, broker: MemoryBroker, chance: random.Random,
        worked_through: Callable[[], Awaitable[bool]],
    ) -> None:
        self._live = live
        self._bus = MemoryBus(broker=broker, roundtrip=True)
        self._chance = chance
        self._worked_through = worked_through
        self._published: dict[str, asyncio.Future[None]] = {}
        self._arrived = 0
        self._revision = 0
        self._reached = [asyncio.Event() for _ in range(PHASES)]
        self.generation = 0

    async def start(self) -> None:
        """What holds at first. A file is not read before something does."""
        await self._publish(self._live.known)
        await self._begin(0)

    async def phase(self, number: int, sources: int) -> None:
        """Wait until all sources are here and all that they gave before is worked through; then it begins."""
        self._arrived += 1
        if number and self._arrived == sources * (number + 1):
            await self._worked_through()
            await self._begin(number)
        await self._reached[number].wait()

    async def _begin(self, number: int) -> None:
        await self._publish(self._live.servers[number])
        control = self._live.control(number)
        await self._bus.publish(CONTROL, [Record(INSTANCE.encode(), control)])
        self.generation = control.generation
        self._reached[number].set()

    async def before(self, clock_ns: int) -> None:
        """Before a block is given out: what has waited long is known by now."""
        for late in self._live.late:
            if clock_ns > late.first_ns + LATE_NS:
                self._announce(late)
                await self._published[late.record.address]

    def after(self, clock_ns: int) -> None:
        """Once it is out: new pods have begun to speak."""
        for late in self._live.late:
            if clock_ns >= late.first_ns:
                self._announce(late)

    def _announce(self, late: Late) -> None:
        if late.record.address not in self._published:
            self._published[late.record.address] = asyncio.ensure_future(self._introduce(late.record))

    async def _introduce(self, record: EndpointRecord) -> None:
        await asyncio.sleep(self._chance.choice((0.0, 0.1, 2.0)))
        await self._publish([record])
        await asyncio.sleep(SEEN_S)

    async def _publish(self, records: list[EndpointRecord]) -> None:
        for record in records:
            self._revision += 1
            stamped = msgspec.structs.replace(record, revision=self._revision)
            await self._bus.publish(ENDPOINTS, [Record(record.address.encode(), stamped)])


class LiveSource:
    """Gives the rings of a node, phase after phase."""

    name: ClassVar[str] = "simulation"
    live: ClassVar[bool] = False

    def __init__(self, settings: CaptureSettings, context: Context) -> None:
        self._rings: list[LiveRing] = context.shared["rings"]
        self._chance: random.Random = context.shared["chance"]
        self._operator: Operator = context.shared["operator"]

    def follow(self, control: Control) -> None:
        """The operator says which document holds."""

    def refused(self, block: PacketBlock) -> None:
        raise AssertionError("a file waits")

    async def blocks(self) -> AsyncGenerator[PacketBlock]:
        operator, chance = self._operator, self._chance
        for phase in range(PHASES):
            await operator.phase(phase, len(NODES))
            for ring in self._rings:
                for block in ring.phases[phase]:
                    await operator.before(block.clock_ns)
                    yield msgspec.structs.replace(block, generation=operator.generation)
                    operator.after(block.clock_ns)
                    await asyncio.sleep(chance.choice((0, 0, 0.01, 0.3)))
