"""A scenario from a seed: what the rings of the nodes show, under which rules, and which entries have to come of it."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from weir.bus.api import Received
from weir.decode.core import Decoder
from weir.decode.settings import DecodeSettings
from weir.directory import Directory
from weir.dissect.api import Limits
from weir.dissect.registry import Registry
from weir.filter.core import FilterCore
from weir.filter.settings import FilterSettings
from weir.model.control import EndpointRecord
from weir.model.counts import Counts
from weir.model.entry import EntryMap
from weir.model.packets import PacketBlock
from weir.targets.settings import TargetsSettings
from weir.targets.static import control_document, endpoint_key, endpoint_records
from weir.testing.simulation_talks import NETS, NS, Packet, repeated, shuffled, talk_of

BEGIN = 1_700_000_010 * NS
"""Half past a minute, so that two nodes' clocks do not lie on both sides of one for what is named by minutes."""
INSTANCE, CLUSTER = "weir", "sim"
NAMES = ["10.1.0.1=web.shop", "10.1.0.2:8080=cart.shop", "10.1.0.3=dns"]


class Ring(msgspec.Struct):
    """What one ring gives, in order; the last block ends it."""

    node: str
    number: int
    blocks: list[PacketBlock]


class Scenario(msgspec.Struct):
    rings: list[Ring]
    targets: TargetsSettings
    twice: bool
    """Two nodes show the same packets."""
    known: list[EndpointRecord] = []
    """Where addresses are: then only one of the two nodes keeps payload."""


def scenario(chance: random.Random) -> Scenario:
    twice = chance.random() < 0.3
    static = chance.choices([["all"], ["10.1.0.0/29", "port:53"], []], [8, 1, 1])[0]
    targets = TargetsSettings(static=static, names=NAMES, redaction_key="key")
    talks = [
        talk_of(chance, number, BEGIN + int(chance.random() * 10 * NS), twice=twice)
        for number in range(chance.randrange(4, 12))
    ]
    places = [("node-a", 0), ("node-a", 1), ("node-b", 0)][: chance.randrange(1, 4)]
    if twice:
        places = [("node-a", 0), ("node-b", 0)]
    shown: dict[tuple[str, int], list[Packet]] = {place: [] for place in places}
    skew = {"node-a": 0, "node-b": chance.choice((-1, 1)) * chance.randrange(900_000_000)}
    after_s = [chance.choice((0, 5, 4000)) for _ in places]
    for talk in talks:
        packets = repeated(chance, talk.packets)
        for place in places if twice else [chance.choice(places)]:
            shown[place] += [
                p._replace(ts_ns=p.ts_ns + skew[place[0]]) for p in shuffled(chance, packets, one_way=twice)
            ]
    known = []
    if twice and chance.random() < 0.5:
        targets = msgspec.structs.replace(targets, names=[])
        known = [
            EndpointRecord(
                address=net.format(n), uid=net.format(n), name=f"server{n}", captured=True,
                node=chance.choice(("node-a", "node-b")),
            )
            for net in NETS for n in range(1, 4)
        ]
        known += [
            EndpointRecord(address=net.format(0) + size, uid=net, node="node-b", captured=True)
            for net, size in NETS.items()
        ]
    rings = [
        Ring(node, number, _blocks(chance, node, number, shown[node, number], after_s[0 if twice else n]))
        for n, (node, number) in enumerate(places)
    ]
    return Scenario(rings, targets, twice, known)


def _blocks(chance: random.Random, node: str, number: int, packets: list[Packet], after_s: int) -> list[PacketBlock]:
    packets = sorted(packets, key=lambda p: p.ts_ns)
    blocks: list[PacketBlock] = []
    at, clock = 0, BEGIN
    while at < len(packets):
        taken = packets[at:at + chance.randrange(1, 12)]
        if chance.random() < 0.2:
            clock += int((taken[0].ts_ns - clock) * chance.random()) if taken[0].ts_ns > clock else 0
            blocks.append(packet_block(node, number, len(blocks), at, [], clock))
        clock = max(clock, taken[-1].ts_ns)
        blocks.append(packet_block(node, number, len(blocks), at, taken, clock))
        at += len(taken)
    end = packet_block(node, number, len(blocks), at, [], clock + after_s * NS)
    blocks.append(msgspec.structs.replace(end, end=True))
    return blocks


def packet_block(node: str, ring: int, sequence: int, first: int, packets: Sequence[Packet], clock: int) -> PacketBlock:
    data = b"".join(
        struct.pack("<IIII", *divmod(p.ts_ns, NS), len(p.frame), len(p.frame)) + p.frame for p in packets
    )
    return PacketBlock(
        node=node, ring=ring, run=1, sequence=sequence, source="simulation", first_index=first, count=len(packets),
        clock_ns=clock, data=data,
    )


def undisturbed(given: Scenario) -> list[EntryMap]:
    """The entries that the cores make, one ring after the other, without any bus."""
    counts = Counts()
    control = control_document(given.targets, None, b"")
    endpoints = [(endpoint_key(record), record) for record in endpoint_records(given.targets, given.known)]
    names = Directory()
    names.follow(endpoints)
    core = FilterCore(FilterSettings(), shards=1, counts=counts)
    core.configure(control, endpoints)
    decoder = Decoder(DecodeSettings(), names=names, instance=INSTANCE, cluster=CLUSTER, counts=counts)
    limits = Limits(body=control.body_limit, keep_bodies=control.bodies)
    decoder.configure(Registry(limits, control.dissectors), control.redaction, bodies=control.bodies)
    found: list[EntryMap] = []
    for number, ring in enumerate(given.rings):
        for offset, block in enumerate(ring.blocks):
            for record in core.step(Received(number, offset, b"", block)):
                found += decoder.feed(record.value)
    return found


FREE = frozenset({"timestamp", "end", "elapsed_time", "node_name", "handshake_rtt", "retransmissions"})
"""Fields that follow from the copy of a packet that came first, where two nodes show it."""


def comparable(entries: Iterable[EntryMap], *, twice: bool) -> dict[str, EntryMap]:
    """By id, the highest version: what has to be the same in every run."""
    best: dict[str, EntryMap] = {}
    for entry in entries:
        known = best.get(entry["id"])
        if known is None or entry.get("version", 1) > known.get("version", 1):
            best[entry["id"]] = entry
    return {name: _without(entry, FREE) for name, entry in best.items()} if twice else best


def _without(value: Any, names: frozenset[str]) -> Any:
    if isinstance(value, dict):
        return {key: _without(inner, names) for key, inner in value.items() if key not in names}
    return value


def differences(expected: dict[str, EntryMap], found: dict[str, EntryMap]) -> list[str]:
    """What differs, in lines for people."""
    lines = [f"missing {name}: {_brief(expected[name])}" for name in expected if name not in found]
    lines += [f"surplus {name}: {_brief(found[name])}" for name in found if name not in expected]
    for name in expected.keys() & found.keys():
        one, other = expected[name], found[name]
        lines += [
            f"{name} {_brief(one)}: {key} is {other.get(key)!r}, not {one.get(key)!r}"
            for key in sorted(one.keys() | other.keys()) if one.get(key) != other.get(key)
        ]
    return lines


def _brief(entry: EntryMap) -> str:
    return f"{entry.get('protocol')} {entry.get('kind')} {entry['flow_id']} {entry.get('summary', '')!r}"
