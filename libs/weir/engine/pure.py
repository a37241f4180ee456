"""The header engine in Python: the reference whose behaviour a compiled twin has to have.

Most packets of most installations are TCP over IPv4 over Ethernet without options in the IP header. They take a short
cut: one `Struct` over all three headers and one look-up by the twelve bytes of addresses and ports, as they stand.
Everything else, and the first packet of each flow in a block, goes the general way; both give the same result, which
a property test holds them to.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Generator
from typing import NamedTuple

import msgspec

from weir.engine.api import Drop, EngineLimits, Policy
from weir.engine.fragments import Fragments, Joined
from weir.engine.frames import NOT_IP_LINK, SECOND_COPY, FrameTuple, frames
from weir.engine.headers import Headers, Piece, read_headers
from weir.engine.owners import Known, sequence_behind
from weir.engine.shard import FLOW_BYTES, Row, ShardBuilder, frame_link, scope_of, segment_block, shard_of
from weir.engine.tallies import totals
from weir.model.counts import Counts
from weir.model.flow import TCP, DirectedFlow
from weir.model.packets import LINKTYPE_ETHERNET, LINKTYPE_RAW, PacketBlock
from weir.model.segments import ACK, FIN, RST, SYN, SegmentBlock
from weir.net.link import Buffer, synthetic_header
from weir.net.transport import DNS_PORT

PASS_ON_NS = 500_000_000
"""How old the last block of a ring for a shard must be before an empty one passes the clock on."""
FOREVER_NS = 1 << 63
MAX_JOINS = 4
"""Fragments within fragments (of tunnels), as with `headers.MAX_TUNNELS`."""

_SHORT_CUT = struct.Struct("!12xHBxHxxHxBxx12sIIBB")
"""Ethernet, IPv4 without options, TCP: EtherType, version and header length, total length, fragment, protocol,
addresses and ports, sequence number, acknowledgement number, data offset, flags."""
_SHORT_CUT_SIZE = 54
_SHORT_CUT_KEY = 12
"""Length of the key of a TCP flow over IPv4, and of no other (see `_place`)."""
_ADDRESSES = 12
"""Bytes of an Ethernet header before its EtherType or tag."""
_PORTS = struct.Struct("!HH")


_Hit = tuple[Callable[[Row], None], int, Known]
"""For the short cut, within one block: where to put a row of this flow, and the flow's index there."""


class _Work:
    """One packet block under way."""

    __slots__ = (
        "block", "builders", "extra", "hits", "known", "origin", "out_link", "pending", "refused", "source_end",
        "waits",
    )

    def __init__(self, block: PacketBlock, known: dict[bytes, Known], shards: int, origin: tuple[int, int]) -> None:
        self.block = block
        self.known = known
        self.origin = origin
        self.waits: tuple[DirectedFlow, int] | None = None
        """The flow that is not settled, and when it was seen."""
        self.pending: tuple[int, int, int, Headers, _Frame]
        """Its packet, as `_place` takes it."""
        self.builders = [ShardBuilder() for _ in range(shards)]
        self.hits: dict[bytes, _Hit] = {}
        self.refused: dict[Drop, list[Row]] = {}
        """Where the short cut puts the rows of refused flows, to be counted."""
        self.out_link = frame_link(block.linktype)
        self.extra: list[bytes] = []
        self.source_end = len(block.data)

    def append(self, frame: bytes) -> int:
        """Put a frame that is not in the block's data behind it; answers where."""
        at = self.source_end
        self.extra.append(frame)
        self.source_end += len(frame)
        return at

    def source(self) -> bytes | memoryview:
        return b"".join([self.block.data, *self.extra]) if self.extra else self.block.data


class _Frame(NamedTuple):
    """A frame as it goes into a segment block."""

    data: Buffer
    at: int
    captured: int
    wire: int
    made: bool
    """It is not in the block's data: joined from fragments, or given a link header."""
    joined: bool


class PurePassage:
    """See `weir.engine.api.Passage`."""

    def __init__(self, engine: PureHeaderEngine, work: _Work, *, patient: bool) -> None:
        self._work = work
        self._steps = engine.steps(work, patient=patient)

    @property
    def waits(self) -> tuple[DirectedFlow, int]:
        assert self._work.waits is not None
        return self._work.waits

    def go(self) -> list[SegmentBlock] | None:
        try:
            next(self._steps)
        except StopIteration as done:
            made: list[SegmentBlock] = done.value
            return made
        return None


class PureHeaderEngine:
    """See `weir.engine.api.HeaderEngine`. `short_cut=False` sends every packet the general way."""

    def __init__(
        self, policy: Policy, *, shards: int, limits: EngineLimits | None = None, counts: Counts | None = None,
        short_cut: bool = True,
    ) -> None:
        self.counts = Counts() if counts is None else counts
        self._policy = policy
        self._shards = shards
        self._limits = limits or EngineLimits()
        self._short_cut = short_cut
        self._fragments = Fragments(self._limits)
        self._known: dict[tuple[str, str], dict[bytes, Known]] = {}
        self._flows = 0
        self._rings: dict[str, set[int]] = {}
        """By node the rings that have not ended."""
        self._version = -1
        self._patient = False
        self._passed: dict[tuple[str, int], tuple[int, list[int]]] = {}

    def held(self) -> dict[str, int]:
        return {
            "flows": self._flows, "fragments": len(self._fragments), "fragment_bytes": self._fragments.held_bytes,
        }

    def passage(self, block: PacketBlock, partition: int, offset: int) -> PurePassage:
        return PurePassage(self, self._begin(block, partition, offset), patient=True)

    def segments(self, block: PacketBlock, partition: int, offset: int) -> list[SegmentBlock]:
        made = PurePassage(self, self._begin(block, partition, offset), patient=False).go()
        assert made is not None
        return made

    def _begin(self, block: PacketBlock, partition: int, offset: int) -> _Work:
        self._lives(block)
        known = self._known.setdefault((block.node, block.scope), {})
        return _Work(block, known, self._shards, (partition, offset))

    def steps(self, work: _Work, *, patient: bool) -> Generator[None, None, list[SegmentBlock]]:
        """All of the work; with a pause, if it is patient, wherever a flow is not settled."""
        block = work.block
        self._version = self._policy.version
        self._patient = patient
        if block.layout == "tallies":
            yield from self._tally(work)
        else:
            yield from self._packets(work)
        self._fragments.expire((block.node, block.ring), FOREVER_NS if block.end else block.clock_ns)
        self.counts.lose("filter.fragments", self._fragments.lost)
        self._fragments.lost = 0
        made = self._finish(work)
        self._bound()
        if block.end:
            self._ends(block)
        return made

    def _pause(self, work: _Work) -> Generator[None]:
        """Let others go on; afterwards other answers may hold."""
        yield
        work.waits = None
        self._version = self._policy.version
        self._patient = True

    def _tally(self, work: _Work) -> Generator[None]:
        """Put totals of directed flows into their shards."""
        policy, block = self._policy, work.block
        flow_bytes = self._flow_bytes(block)
        for total in totals(block):
            if isinstance(total, Drop):
                self.counts.add("filter.tallies_dropped", 1, total)
                continue
            flow = total.flow
            while self._patient and policy.unsettled(flow, total.last_ns):
                work.waits = flow, total.last_ns
                yield from self._pause(work)
            decided, refused, _ = policy.decide(flow, block.node, total.last_ns)
            builder = work.builders[shard_of(flow, self._shards)]
            if refused is None and not decided.outline:
                self.counts.add("filter.tallies_dropped", 1, "wanted_whole")
            elif refused is not None:
                self.counts.add("filter.tallies_dropped", 1, refused)
            elif builder.overhead(flow_bytes) > self._limits.segment_bytes - flow_bytes:
                self.counts.add("filter.tallies_dropped", 1, Drop.BLOCK_FULL)
            else:
                builder.tallies.append(total.tally(builder.flow_index(decided)))
                self.counts.add("filter.tallies")

    def _packets(self, work: _Work) -> Generator[None]:
        count = max(work.block.count, 0)
        read = yield from self._read(work)
        self.counts.add("filter.packets", count)
        self._drop(Drop.MALFORMED_BLOCK, count - read)

    def _read(self, work: _Work) -> Generator[None, None, int]:
        """Go through the packets; answers how many there were."""
        data, hits, exact = work.block.data, work.hits, work.block.promise == "exact"
        unpack = _SHORT_CUT.unpack_from
        index = -1
        for index, frame in enumerate(frames(work.block)):
            ts_ns, at, captured, wire, interface, link, tag = frame
            if interface == SECOND_COPY:
                self._drop(Drop.DUPLICATE)
                continue
            if captured >= _SHORT_CUT_SIZE and link == LINKTYPE_ETHERNET and not tag:
                kind, first, total, piece, protocol, key, seq, ack, words, flags = unpack(data, at)
                hit = hits.get(key)
                if hit is not None and kind == 0x0800 and first == 0x45 and protocol == TCP and not piece & 0x3FFF:
                    header = words >> 2 & 0x3C
                    payload_wire, payload_len = total - header - 20, captured - header - 34
                    append, flow, known = hit
                    if header >= 20 and payload_wire >= 0 <= payload_len and (
                        not interface
                        or known.owned_by(interface, ts_ns, sequence_behind(seq, payload_wire, flags), flags, exact)
                    ):
                        append((
                            flow, ts_ns, TCP, flags, seq, ack if flags & ACK else 0, at + 34 + header,
                            payload_len if payload_len < payload_wire else payload_wire, payload_wire,
                            at, captured, wire, index,
                        ))
                        continue
            drop = self._general(work, index, frame)
            while work.waits is not None:
                yield from self._pause(work)
                drop = self._place(work, *work.pending)
            if drop is not None:
                self._drop(drop)
        for reason, refused in work.refused.items():
            self._drop(reason, len(refused))
        return index + 1

    def _general(self, work: _Work, index: int, frame: FrameTuple) -> Drop | None:
        """Any packet: find its headers and its flow, and add its row; answers why there is none."""
        ts_ns, at, captured, wire, interface, link, tag = frame
        if link == NOT_IP_LINK:
            return Drop.NOT_IP
        data: Buffer = work.block.data
        head = _missing_header(data, at, captured, link, work.out_link, tag)
        made, whole = head is not None, True
        if head is not None:
            prefix, skip = head
            data = prefix + bytes(data[at + skip : at + captured])
            at, wire, captured, link = 0, wire + len(data) - captured, len(data), work.out_link
        found = read_headers(link, data, at, captured, wire)
        for _ in range(MAX_JOINS):
            if not isinstance(found, Piece):
                break
            joined = self._join(work, ts_ns, interface, data, at + captured, found)
            if isinstance(joined, Drop):
                return joined
            if found.tunnels:
                prefix = synthetic_header(work.out_link, found.ip.version)
            else:
                prefix = bytes(data[at : found.ip.at])
            data, at, made, whole = prefix + joined.packet, 0, True, False
            captured = wire = len(data)
            found = read_headers(work.out_link, data, 0, captured, wire)
        if isinstance(found, Drop):
            return found
        if isinstance(found, Piece):
            return Drop.FRAGMENT_REFUSED
        return self._place(work, index, ts_ns, interface, found, _Frame(data, at, captured, wire, made, not whole))

    def _join(
        self, work: _Work, ts_ns: int, interface: int, data: Buffer, end: int, piece: Piece
    ) -> Joined | Drop:
        if piece.tunnels:
            self.counts.add("filter.tunnel")
        block = work.block
        return self._fragments.add((block.node, block.ring), (block.scope, interface), ts_ns, data, piece.ip, end)

    def _place(
        self, work: _Work, index: int, ts_ns: int, interface: int, found: Headers, frame: _Frame
    ) -> Drop | None:
        """Ask whether the packet is wanted, and put its row into its shard."""
        key = found.src + found.dst + _PORTS.pack(found.sport, found.dport)
        if found.kind != TCP:
            # An ICMP error takes another way than the packets it is about: it has an owner of its own.
            key += bytes((found.protocol, found.kind))
        known = self._flow(work, key, found, ts_ns)
        if known is None:
            work.pending = index, ts_ns, interface, found, frame
            return None
        if interface:
            known.tunnelled |= bool(found.tunnels)
            tcp = found.kind == TCP
            behind = sequence_behind(found.seq, found.payload_wire, found.flags) if tcp else -1
            exact = work.block.promise == "exact"
            if not known.owned_by(interface, ts_ns, behind, found.flags if tcp else 0, exact):
                return Drop.DUPLICATE
        if found.tunnels:
            self.counts.add("filter.tunnel")
        flow, refused, _ = known.decision
        short = self._short_cut and len(key) == _SHORT_CUT_KEY
        if refused is not None:
            if work.block.promise:
                self._look_for_leak(work.block, found, frame, known, ts_ns)
            elif short:
                work.hits[key] = work.refused.setdefault(refused, []).append, 0, known
            return refused
        length, payload_len = frame.captured, found.payload_len
        if flow.outline:
            opening = _opening(found, flow.bare)
            if not opening and self._moved(work.block, known, found, ts_ns):
                flow = msgspec.structs.replace(flow, outline=False, bare=False)
            elif not opening:
                if work.block.promise:
                    self._look_for_leak(work.block, found, frame, known, ts_ns)
                return Drop.OUTLINE
            elif flow.bare or DNS_PORT not in (found.sport, found.dport):
                length, payload_len = found.payload_at - frame.at, 0
        builder = work.builders[known.shard]
        flow_index = builder.flow_index(flow)
        shift = 0
        if frame.made:
            shift = work.append(bytes(frame.data[frame.at : frame.at + length])) - frame.at
        elif length < frame.captured:
            builder.trimmed = True
        builder.rows.append((
            flow_index, ts_ns, found.kind, found.flags, found.seq, found.ack, found.payload_at + shift, payload_len,
            found.payload_wire, frame.at + shift, length, frame.wire, index,
        ))
        if short and not flow.outline:
            work.hits[key] = builder.rows.append, flow_index, known
        return None

    def _flow(self, work: _Work, key: bytes, found: Headers, ts_ns: int) -> Known | None:
        """What is known of the packet's directed flow; decided now if it is new or if an answer may have changed. None
        if it is not settled."""
        known = work.known.get(key)
        if known is None:
            flow = DirectedFlow(
                scope=scope_of(work.block, found.src, found.dst), protocol=found.protocol,
                src=found.src, sport=found.sport, dst=found.dst, dport=found.dport,
            )
            known = work.known[key] = Known(flow, shard_of(flow, self._shards))
            self._flows += 1
        if known.version != self._version:
            if self._patient and self._policy.unsettled(known.flow, ts_ns):
                work.waits = known.flow, ts_ns
                return None
            known.decision = self._policy.decide(known.flow, work.block.node, ts_ns)
            known.version = self._version
        return known

    def _moved(self, block: PacketBlock, known: Known, found: Headers, ts_ns: int) -> bool:
        """The vantage of a targeted flow went elsewhere after its source had passed this payload."""
        return (
            block.promise == "exact" and known.decision.elsewhere and found.payload_wire > 0
            and self._policy.excused(known.flow, block.promise, ts_ns)
        )

    def _look_for_leak(
        self, block: PacketBlock, found: Headers, frame: _Frame, known: Known, ts_ns: int
    ) -> None:
        """Count payload that should not have come this far. What a kernel filter cannot judge is no leak: the insides
        of tunnels, and fragments."""
        flow, refused, _ = known.decision
        if not found.payload_wire or found.tunnels or frame.joined or _opening(found, flow.bare):
            return
        if refused is Drop.SAMPLED_OUT or (flow.bare and block.promise == "outline"):
            return
        if not self._policy.excused(known.flow, block.promise, ts_ns):
            self.counts.add("filter.leaked", 1, refused or ("bare" if flow.bare else Drop.OUTLINE))

    def _flow_bytes(self, block: PacketBlock) -> int:
        return FLOW_BYTES + len((block.scope or block.node).encode())

    def _finish(self, work: _Work) -> list[SegmentBlock]:
        block, source = work.block, work.source()
        due = self._due(block)
        limit = self._limits.segment_bytes
        flow_bytes = self._flow_bytes(block)
        made: list[SegmentBlock] = []
        if block.layout == "tallies":
            source = b""
        for shard, built in enumerate(work.builders):
            if built.rows and len(source) + built.overhead(flow_bytes) > limit:
                self._drop(Drop.BLOCK_FULL, built.cut_to(limit, flow_bytes))
            self.counts.add("filter.segments", len(built.rows))
            if not (built.rows or built.tallies or due[shard]):
                continue
            made.append(
                segment_block(
                    built, block, source, shard=shard, shards=self._shards, origin=work.origin,
                    generation=self._policy.generation, revision=self._policy.revision,
                )
            )
        self._pass_on(block, [m.shard for m in made])
        return made

    def _lives(self, block: PacketBlock) -> None:
        self._rings.setdefault(block.node, set()).add(block.ring)

    def _ends(self, block: PacketBlock) -> None:
        """Forget the flows of a node whose last ring ended."""
        rings = self._rings.get(block.node, set())
        rings.discard(block.ring)
        if rings:
            return
        self._rings.pop(block.node, None)
        for place in [place for place in self._known if place[0] == block.node]:
            self._flows -= len(self._known.pop(place))

    def _due(self, block: PacketBlock) -> list[bool]:
        """For each shard: whether it must hear of this block even if nothing in it concerns the shard."""
        run, clocks = self._passed.get((block.node, block.ring), (block.run, []))
        if block.end or block.lost or not clocks or run != block.run:
            return [True] * self._shards
        return [abs(block.clock_ns - clock) >= PASS_ON_NS for clock in clocks]

    def _pass_on(self, block: PacketBlock, shards: list[int]) -> None:
        """Remember which shards heard the ring's clock."""
        ring = block.node, block.ring
        if block.end:
            self._passed.pop(ring, None)
            return
        run, clocks = self._passed.get(ring, (block.run, []))
        if not clocks or run != block.run:
            clocks = [block.clock_ns] * self._shards
            self._passed[ring] = block.run, clocks
        for shard in shards:
            clocks[shard] = block.clock_ns

    def _drop(self, reason: Drop, n: int = 1) -> None:
        self.counts.add("filter.dropped", n, reason)

    def _bound(self) -> None:
        """Forget everything rather than grow; what is still there is decided anew when it is seen again."""
        if self._flows > self._limits.flows or len(self._known) > self._limits.rings:
            self.counts.add("filter.flows_forgotten", self._flows)
            self._known.clear()
            self._flows = 0
        if len(self._passed) > self._limits.rings:
            self._passed.clear()
        if len(self._rings) > self._limits.rings:
            self._rings.clear()


def _missing_header(
    data: Buffer, at: int, captured: int, link: int, out_link: int, tag: int
) -> tuple[bytes, int] | None:
    """What a frame must begin with in place of its first n bytes, if it cannot stay as it is.

    The frames of a segment block are of one link type, and have the VLAN tags that they had on the wire.
    """
    if link == LINKTYPE_RAW and link != out_link:
        return synthetic_header(out_link, data[at] >> 4 if captured else 0), 0
    if tag and link == LINKTYPE_ETHERNET and captured >= _ADDRESSES:
        return bytes(data[at : at + _ADDRESSES]) + tag.to_bytes(4, "big"), _ADDRESSES
    return None


def _opening(found: Headers, bare: bool) -> bool:
    """What an outline lets through: openings and closings, and unless it is a bare one DNS and ICMP errors."""
    if found.kind == TCP and found.flags & (SYN | FIN | RST):
        return True
    return not bare and (found.kind != found.protocol or DNS_PORT in (found.sport, found.dport))
