"""The decoder of one shard: segments in, entries out, everything in between a plain value.

Keeps the table of conversations, follows TCP, and runs their timers on the packet time of the vantage that owns them
(the ring that showed them first). Ticks only do what the next packet of a flow would have done first, so how often
they come changes nothing. Bytes in order go to `conversation`.

    decode.segments                     segments taken
    decode.flows, decode.entries        conversations opened, entries made
    decode.repeated                     segments of blocks that were taken before (a filter that crashed)
    decode.late                         segments of conversations that are over: last acknowledgements, late copies
    decode.copies                       datagrams that another vantage showed before
    decode.outline_copies               outline segments of conversations whose payload another vantage shows
    decode.undecoded{why}               conversations that nobody recognised
    decode.given_up{dissector}          conversations that a dissector read until it could not
    decode.dissector_failed{dissector}  exceptions that dissectors raised
    decode.tallies                      totals from the kernel's table
    decode.leaked                       conversations without a targeted end
    decode.reorder_overflow{of}         times that more waited than a stream or a shard may hold
    lost.decode.gap_bytes               bytes that were declared lost
    lost.decode.flow_evicted            conversations that were let go because there were too many
    lost.decode.state_unreadable        restored conversations whose dissector's state could not be read
"""

from __future__ import annotations

import heapq
import sys
from collections.abc import Iterable, Iterator

import msgspec

from weir.decode import tallies
from weir.decode.admission import Admission, Answer
from weir.decode.conversation import Conversations
from weir.decode.datagrams import Datagrams
from weir.decode.deadlines import NS, Deadlines
from weir.decode.entries import EntryMaker
from weir.decode.flows import Flow, Tomb, depth_of, end_of, new_flow, tomb_of
from weir.decode.identify import Identifier, Nameless, Names
from weir.decode.origins import Origins
from weir.decode.outcome import icmp_error
from weir.decode.redact import Redactor
from weir.decode.rows import read_rows
from weir.decode.settings import DecodeSettings
from weir.decode.tcp import Slot, Tcp, is_renewed
from weir.decode.tombs import goes_on, is_late
from weir.decode.vantages import Vantage
from weir.dissect.api import Dissector
from weir.engine import reassembly
from weir.engine.reassembly import MASK
from weir.model.control import Redaction
from weir.model.counts import Counts
from weir.model.entry import EntryMap
from weir.model.flow import TCP, UDP, DirectedFlow
from weir.model.segments import ACK, FIN, RST, SYN, SegmentBlock, Tally

NOT_TARGETED = "not targeted"
_OPENING_OR_CLOSING = SYN | FIN | RST
_RECENT = reassembly.RECENT


class Decoder:
    """See the module docstring. Not to be used by two tasks at once."""

    def __init__(
        self,
        settings: DecodeSettings = DecodeSettings(),  # noqa: B008 - frozen
        dissectors: Iterable[Dissector] = (),
        *,
        names: Names | None = None,
        instance: str = "",
        cluster: str = "",
        counts: Counts | None = None,
        admission: Admission | None = None,
    ) -> None:
        self.settings = settings
        self.counts = Counts() if counts is None else counts
        self.admission = admission
        """Whether a conversation has an end whose payload is wanted; None: `filter` has seen to that."""
        self.leaked = 0
        """Conversations that had none."""
        self._made = 0, 0, 0
        """Version of what is known of targets; generation and revision under which the block was made."""
        self.maker = EntryMaker(Nameless() if names is None else names, instance=instance, cluster=cluster)
        self.identifier = Identifier(dissectors)
        self.talk = Conversations(settings, self.identifier, self.maker, self.counts)
        self.flows: dict[bytes, Flow] = {}
        self.tombs: dict[bytes, Tomb] = {}
        self.vantages: dict[str, Vantage] = {}
        self._over: dict[str, Vantage] = {}
        """Vantages whose capture has ended, while something of them is remembered."""
        self.origins = Origins()
        self.tcp = Tcp(settings, self.talk, self.counts, self._clock_of, self._look_at)
        self._window = self.tcp.window
        self._deadlines = Deadlines(settings)
        self._update = int(settings.flow_update_s * NS)
        self._datagrams = Datagrams(self.talk, self.counts, int(settings.udp_repeat_s * NS))

    def configure(
        self, dissectors: Iterable[Dissector], redaction: Redaction, *, bodies: bool, labels: Iterable[str] = (),
        cluster: bool = False,
    ) -> None:
        """What a control document says; open conversations go on under it. Without `bodies` none is published,
        whatever dissectors give; `labels` and `cluster` are as in `Naming.configure`."""
        self.maker.naming.configure(labels, cluster=cluster)
        self.identifier = self.talk.identifier = Identifier(dissectors)
        self.maker.redactor = Redactor(msgspec.structs.replace(redaction, bodies=redaction.bodies or not bodies))
        self.maker.show_bytes = bodies

    def adopt(
        self, origins: Origins, vantages: Iterable[Vantage], flows: Iterable[Flow], tombs: dict[bytes, Tomb]
    ) -> None:
        """Take over a state that was saved; only for a decoder that has seen nothing."""
        self.origins, self.tombs = origins, tombs
        self.vantages = {vantage.name: vantage for vantage in vantages}
        self._over = {vantage.name: vantage for vantage in self.vantages.values() if vantage.over}
        self._deadlines.tallying = {vantage.node for vantage in self.vantages.values() if vantage.tallies}
        for flow in flows:
            flow.judged = 0 if self.admission is None else -1
            self.flows[flow.key] = flow
            self.tcp.adopt(flow)
            self.vantages[flow.vantage].timers.put(flow.key, flow.due)
        for key, tomb in tombs.items():
            self.vantages[tomb.vantage].timers.put(key, tomb.until)

    def feed(self, block: SegmentBlock) -> list[EntryMap]:
        """Take a block and give what it made complete. Raises `rows.Malformed`, and then has taken nothing."""
        if self.origins.has(block):
            self.counts.add("decode.repeated", max(block.count, 1))
            return []
        rows = read_rows(block)
        self.origins.take(block)
        vantage = self._vantage(block)
        self.tcp.vantage, self.tcp.latest = vantage.name, max(vantage.clock, block.clock_ns)
        version = 0 if self.admission is None else self.admission.version
        self._made = version, block.generation, block.revision
        if block.count:
            self._segments(block, vantage, rows)
            self.counts.add("decode.segments", block.count)
        if block.tallies:
            self._tallies(block, vantage)
            self.counts.add("decode.tallies", len(block.tallies))
        self._tick(vantage, block.clock_ns)
        if block.end:
            self._end(vantage)
        if self._over:
            self._forget()
        out, self.talk.out = self.talk.out, []
        if out:
            self.counts.add("decode.entries", len(out))
        return out

    # Vantages and their time.

    def _vantage(self, block: SegmentBlock) -> Vantage:
        name = f"{block.node}/{block.ring}"
        vantage = self.vantages.get(name)
        if vantage is None:
            vantage = self.vantages[name] = Vantage(sys.intern(name), block.node, block.run, block.clock_ns)
        elif vantage.run != block.run:
            # A new run may read older packets (a file once more): its clock begins where it says.
            vantage.run, vantage.clock, vantage.over = block.run, block.clock_ns, False
            self._over.pop(name, None)
        vantage.source = block.source
        return vantage

    def _tick(self, vantage: Vantage, clock: int) -> None:
        vantage.clock = max(vantage.clock, clock)
        for key in vantage.timers.take(vantage.clock):
            flow = self.flows.get(key)
            if flow is not None:
                if vantage.clock <= flow.due or not self._expired(flow, vantage.clock):
                    vantage.timers.put(key, flow.due)
                continue
            tomb = self.tombs.get(key)
            if tomb is not None:
                if tomb.until >= vantage.clock:
                    vantage.timers.put(key, tomb.until)
                elif goes_on(tomb, self.vantages):
                    vantage.timers.put(key, vantage.clock + self._deadlines.linger)
                else:
                    del self.tombs[key]

    def _forget(self) -> None:
        """The time of those that have ended goes on with the slowest of the others, which may still show the same."""
        live = [vantage.clock for vantage in self.vantages.values() if not vantage.over]
        if not live:
            return
        slowest = min(live)
        for vantage in list(self._over.values()):
            self._tick(vantage, slowest)
            if not len(vantage.timers):
                del self._over[vantage.name], self.vantages[vantage.name]

    def _end(self, vantage: Vantage) -> None:
        vantage.over = True
        self._over[vantage.name] = vantage
        for key in vantage.timers.keys():  # noqa: SIM118 - a copy: closing changes it
            flow = self.flows.get(key)
            if flow is not None:
                self._close(flow, "capture_end")

    def _expired(self, flow: Flow, now: int) -> bool:
        """Do what is due by `now`, the owner's time; whether that was the flow's end."""
        low, high = flow.low, flow.high
        if low.since >= 0 or high.since >= 0:
            over = self._deadlines.idle(flow)
            if flow.ending:
                over = min(over, self._deadlines.closed(flow))
            # Not beyond the flow's end: there the rest is given out all at once, whenever that is found out.
            self.tcp.release_until(flow, min(now, over + 1) - self._window)
        if flow.ending and self._deadlines.closed(flow) < now:
            self._close(flow, "idle")
            return True
        deadline = self._deadlines.idle(flow)
        if deadline < now:
            self._close(flow, "idle")
            return True
        if flow.ending:
            deadline = min(deadline, self._deadlines.closed(flow))
        if flow.tell_at:
            if flow.tell_at < now:
                flow.told_at, flow.tell_at = flow.tell_at, 0
                self.talk.conclude(flow, "")
            else:
                deadline = min(deadline, flow.tell_at)
        for direction in (low, high):
            if direction.since >= 0:
                deadline = min(deadline, direction.since + self._window)
        flow.due = deadline
        return False

    def _clock_of(self, flow: Flow) -> int:
        return self.vantages[flow.vantage].clock

    def _look_at(self, flow: Flow, due: int) -> None:
        """A timer may run out earlier than was known."""
        if due < flow.due:
            flow.due = due
            self.vantages[flow.vantage].timers.put(flow.key, due)

    # The table.

    def _slot(self, wire: DirectedFlow, vantage: Vantage, row: tuple[int, ...], frames: bytes) -> Slot | None:
        """Flow and place of a packet; None if it is a late copy of what is over. Opens the flow if there is none."""
        _, ts, protocol, flags, seq, *_ = row
        key, end = wire.key(), end_of(wire)
        flow = self.flows.get(key)
        if flow is not None and flow.vantage == vantage.name and ts > flow.due and self._expired(flow, ts):
            flow = None
        if flow is not None and flags & SYN and protocol == TCP and is_renewed(flow, end, seq):
            self._close(flow, "reused")
            flow = None
        poorer: Flow | None = None
        if flow is not None and vantage.name != flow.vantage and depth_of(flow.wire) != depth_of(wire):
            if depth_of(wire) < depth_of(flow.wire):
                flow.others.setdefault(vantage.name, ts)
                self.counts.add("decode.outline_copies")
                return None
            poorer, flow = flow, None
        if flow is None:
            tomb = self.tombs.get(key)
            if tomb is not None:
                if is_late(tomb, vantage, end, row, frames, depth_of(wire), self._datagrams):
                    if vantage.name != tomb.vantage:
                        tomb.others.setdefault(vantage.name, ts + tomb.lasts)
                    self.counts.add("decode.late")
                    return None
                self._bury(key)
            flow = self._open_instead(poorer, key, wire, vantage, end, ts)
            if tomb is not None and protocol == UDP and tomb.depth == depth_of(wire):
                flow.sightings = tomb.sightings
        elif depth_of(flow.wire) != depth_of(wire) or flow.wire.sample_rate != wire.sample_rate:
            self._retarget(flow, wire, end, ts)
        elif flow.judged != self._made[0] and not wire.outline:
            self._judge(flow, ts)
        seen_at = flow.seen_at
        if vantage.name != flow.vantage:
            flow.others.setdefault(vantage.name, ts)
            seen_at[end] = seen_at[end] or vantage.name
        elif seen_at[end] != vantage.name:
            self._count_anew(flow, end)
        mine, theirs = (flow.high, flow.low) if end else (flow.low, flow.high)
        counted = flow.seen_at[end] == vantage.name
        return flow, mine, theirs, end, counted, flow.vantage == vantage.name

    def _open_instead(
        self, poorer: Flow | None, key: bytes, wire: DirectedFlow, vantage: Vantage, end: int, ts: int
    ) -> Flow:
        """Where more is shown of it, as if the poorer view had not come first, but for the id that was told."""
        if poorer is None:
            return self._open(key, wire, vantage, end, ts)
        self.tcp.rejoin(poorer)
        self.maker.forget(key)
        self.vantages[poorer.vantage].timers.cancel(key)
        poorer.closed, poorer.state = True, None
        del self.flows[key]
        flow = self._open(key, wire, vantage, end, ts)
        flow.others, flow.entry_id = {poorer.vantage: poorer.first, **poorer.others}, poorer.entry_id
        return flow

    @staticmethod
    def _count_anew(flow: Flow, end: int) -> None:
        """The owner shows this direction, too: from its first packet on its packets are counted, however far another
        vantage is."""
        mine = flow.high if end else flow.low
        if flow.seen_at[end]:
            mine.packets = mine.on_wire = mine.retransmissions = 0
            mine.foreign, mine.shown = mine.offset, 0
            flow.syn_ack_at, flow.rtt = 0, -1
        flow.seen_at[end] = flow.vantage

    def _open(self, key: bytes, wire: DirectedFlow, vantage: Vantage, end: int, ts: int) -> Flow:
        settings = self.settings
        if len(self.flows) >= settings.max_flows:
            self._evict(max(settings.max_flows // 64, 1))
        self.talk.head_limit = min(settings.identify_bytes, settings.shard_buffer_bytes // (len(self.flows) + 1))
        flow = self.flows[key] = new_flow(key, wire, vantage.name, vantage.node, end, ts)
        flow.source = vantage.source
        self._choose_phase(flow, ts)
        flow.due = self._deadlines.first(flow)
        vantage.timers.put(key, flow.due)
        self.counts.add("decode.flows")
        return flow

    def _choose_phase(self, flow: Flow, ts: int) -> None:
        wire = flow.wire
        if not wire.outline and not self._is_admitted(flow, ts):
            self.leaked += 1
            self.counts.add("decode.leaked")
            flow.phase, flow.why = "counted", NOT_TARGETED
        elif wire.protocol not in (TCP, UDP):
            flow.phase = "counted"
        elif wire.bare or (wire.outline and not self.identifier.reads_outline(flow.transport, flow.ports())):
            flow.phase, flow.why = "counted", "outline"
        else:
            flow.phase, flow.why = "identify", ""

    def _is_admitted(self, flow: Flow, ts: int) -> bool:
        if self.admission is None:
            return True
        answer = self.admission.admits(flow.wire, ts, *self._made[1:])
        flow.judged = self._made[0] if answer is not Answer.FOR_NOW else -1
        return answer is not Answer.NO

    def _judge(self, flow: Flow, ts: int) -> None:
        """What is known of targets changed while it is open."""
        if self._is_admitted(flow, ts) == (flow.why == NOT_TARGETED):
            self._start_over(flow, ts)

    def _retarget(self, flow: Flow, wire: DirectedFlow, end: int, ts: int) -> None:
        """What is wanted of it changed while it is open."""
        was, flow.wire = depth_of(flow.wire), wire.reversed() if end else wire
        self.maker.forget(flow.key)
        if was != depth_of(wire):
            self._start_over(flow, ts)

    def _start_over(self, flow: Flow, ts: int) -> None:
        """Read on as if joined here, or only count from now on."""
        if flow.phase == "decoded":
            self.talk.finish(flow, None, flow.last)
        flow.state, flow.early, flow.heads, flow.midstream = None, [], [], True
        self._choose_phase(flow, ts)
        self.tcp.rejoin(flow)

    def _bury(self, key: bytes) -> None:
        tomb = self.tombs.pop(key)
        vantage = self.vantages.get(tomb.vantage)
        if vantage is not None:
            vantage.timers.cancel(key)

    def evict(self, share: float) -> list[EntryMap]:
        """Let go of this share of the open flows, those that were silent for longest: their state takes too much."""
        self._evict(max(int(len(self.flows) * share), 1))
        out, self.talk.out = self.talk.out, []
        return out

    def _evict(self, number: int) -> None:
        """Several at once, so that looking for them is rare."""
        for flow in heapq.nsmallest(number, self.flows.values(), key=lambda f: max(f.last, f.touched)):
            self.counts.lose("decode.flow_evicted")
            self._close(flow, "evicted", remember=bool(flow.ending))

    def _close(self, flow: Flow, how: str, *, remember: bool = True) -> None:
        """The end of a flow: what waits is given out, its dissector concludes, its entry is made; `how` it ended if
        TCP does not tell."""
        self.tcp.release(flow)
        self.talk.finish(flow, None, flow.last)
        self.talk.conclude(flow, flow.ending or how)
        self.maker.forget(flow.key)
        flow.closed, flow.state = True, None
        del self.flows[flow.key]
        timers = self.vantages[flow.vantage].timers
        timers.cancel(flow.key)
        if remember and self.settings.max_closed:
            if len(self.tombs) >= self.settings.max_closed:
                self._bury(next(iter(self.tombs)))
            until = max(flow.last, flow.touched) + self._window + self._deadlines.linger
            self.tombs[flow.key] = tomb_of(flow, until)
            timers.put(flow.key, until)

    # Segments.

    def _segments(self, block: SegmentBlock, vantage: Vantage, rows: Iterator[tuple[int, ...]]) -> None:
        frames = bytes(block.frames)
        wires = block.flows
        slots: list[Slot | None] = [None] * len(wires)
        data_of, tcp = self.talk.data, self.tcp
        for row in rows:
            number, ts, protocol, flags, seq, ack, at, captured, length, size = row
            slot = slots[number]
            opens = flags & SYN and protocol == TCP
            if slot is None or opens or slot[0].closed or (slot[5] and ts > slot[0].due):
                slot = slots[number] = self._slot(wires[number], vantage, row, frames)
                if slot is None:
                    continue
            flow, mine, theirs, end, counted, timed = slot
            if protocol != TCP:
                if flow.wire.protocol == protocol:
                    if counted:
                        mine.packets += 1
                        mine.on_wire += size
                    if timed:
                        flow.last = max(flow.last, ts)
                    elif counted:
                        flow.touched = max(flow.touched, self._clock_of(flow))
                    self._datagrams.take(flow, end, frames[at:at + captured], length, ts, vantage.name)
                else:
                    self.talk.note(flow, icmp_error(protocol, flags >> 8, flags & 255))
                continue
            if counted:
                mine.packets += 1
                mine.on_wire += size
            if timed:
                if ts > flow.last:
                    flow.last = ts
            elif counted:
                flow.touched = max(flow.touched, self._clock_of(flow))
            if flags & _OPENING_OR_CLOSING:
                tcp.control(slot, row, frames[at:at + captured])
                continue
            if theirs.seq < 0 and flags & ACK:
                tcp.learn(slot, seq, ack)
            if length:
                if mine.plain and seq == mine.seq and captured == length:
                    data = frames[at:at + length]
                    offset = mine.offset
                    mine.seq = (seq + length) & MASK
                    mine.offset = offset + length
                    mine.recent = data[-_RECENT:]
                    if not counted:
                        mine.foreign = mine.offset
                    data_of(flow, end, data, ts, offset)
                else:
                    tcp.segment(slot, ts, seq, frames[at:at + captured], length, False)
            elif flow.rtt < 0 and flow.syn_ack_at:
                tcp.shake(slot, ts)

    # Totals.

    def _tallies(self, block: SegmentBlock, vantage: Vantage) -> None:
        """What the kernel counted. Only the node that owns a flow is asked."""
        vantage.tallies = True
        self._deadlines.tallying.add(vantage.node)
        for tally in block.tallies:
            wire = block.flows[tally.flow]
            flow = self._tallied_flow(wire, vantage, tally, block.clock_ns)
            if flow is None:
                continue
            if tallies.take(flow, end_of(wire), tally) and not flow.tell_at:
                flow.tell_at = tallies.tell_at(flow, tally, block.clock_ns, self._update)
                self._look_at(flow, flow.tell_at)
            if tallies.all_over(flow):
                self._look_at(flow, self._deadlines.closed(flow) if flow.ending else self._deadlines.idle(flow))

    def _tallied_flow(self, wire: DirectedFlow, vantage: Vantage, tally: Tally, now: int) -> Flow | None:
        """The flow that is counted, opened if there is none; None if the total says nothing new."""
        key = wire.key()
        flow = self.flows.get(key)
        if flow is not None and flow.vantage == vantage.name and now > flow.due and self._expired(flow, now):
            flow = None
        poorer: Flow | None = None
        if flow is not None and flow.node != vantage.node:
            if depth_of(wire) <= depth_of(flow.wire):
                flow.others.setdefault(vantage.name, tally.last_ns)
                self.counts.add("decode.outline_copies")
                return None
            poorer, flow = flow, None
        if flow is not None:
            return flow
        tomb = self.tombs.get(key)
        if (tomb is not None and tally.last_ns <= tomb.until) or not tallies.opens(wire, tally):
            self.counts.add("decode.late")
            return None
        if tomb is not None:
            self._bury(key)
        opened = self._open_instead(poorer, key, wire, vantage, end_of(wire), tally.first_ns)
        opened.midstream = True
        return opened
