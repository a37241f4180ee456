"""What TCP does to a flow: handshake, order, FIN, RST, and the ceilings of what waits.

The next segment in order does not come here: `core` delivers it itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from weir.decode.conversation import Conversations
from weir.decode.deadlines import NS
from weir.decode.flows import Flow, wants_first_bytes
from weir.decode.settings import DecodeSettings
from weir.engine import reassembly
from weir.engine.reassembly import MASK, NO_CEILING, Chunk, Direction, Piece
from weir.model.counts import Counts
from weir.model.segments import ACK, FIN, RST, SYN

BOTH_ENDS = 0b11

Slot = tuple[Flow, Direction, Direction, int, bool, bool]
"""Flow, the sender's direction, the other one, number of the sending end, whether this vantage's packets of this
direction are counted, whether this vantage owns the flow."""


class Tcp:
    """Follows the connections of one shard."""

    def __init__(
        self,
        settings: DecodeSettings,
        talk: Conversations,
        counts: Counts,
        clock_of: Callable[[Flow], int],
        look_at: Callable[[Flow, int], None],
    ) -> None:
        self.window = int(settings.reorder_s * NS)
        self.vantage = ""
        """Whose segments are taken."""
        self.latest = 0
        """Its clock behind them: a packet that claims to be later lies."""
        self.waiting = 0
        """What waits for its turn in all flows, as `Direction.waits` counts."""
        self._settings = settings
        self._talk = talk
        self._counts = counts
        self._clock_of = clock_of
        self._look_at = look_at
        self._holding: dict[bytes, Flow] = {}
        """Flows in which something waits, oldest first."""

    def adopt(self, flow: Flow) -> None:
        """A flow that was restored."""
        self.waiting += flow.low.waits + flow.high.waits
        if flow.low.since >= 0 or flow.high.since >= 0:
            self._holding[flow.key] = flow

    def learn(self, slot: Slot, seq: int, ack: int) -> None:
        """Nothing was seen of the other end yet, but an acknowledgement tells where it begins, as long as this end said
        nothing before it: the other one then rarely did."""
        flow, mine, theirs, end, _, _ = slot
        if mine.isn >= 0 and not mine.offset and seq == mine.seq:
            self._begin(flow, 1 - end, theirs, (ack - 1) & MASK)

    def control(self, slot: Slot, row: tuple[int, ...], data: bytes) -> None:
        """A segment with SYN, FIN or RST, and what else it carries."""
        flow, mine, _, end, _, timed = slot
        _, ts, _, flags, seq, ack, _, _, length, _ = row
        if not timed:
            self._touch(flow, ts)
        if flags & SYN:
            self._synchronise(slot, ts, flags, seq, ack)
            seq = seq + 1 & MASK
        if length or flags & FIN:
            self.segment(slot, ts, seq, data, length, bool(flags & FIN))
        if flags & RST:
            self._reset(flow, mine, end, seq)

    def shake(self, slot: Slot, ts: int) -> None:
        """The answer to the SYN+ACK ends the handshake."""
        flow, mine, _, end, counted, _ = slot
        if counted and end == flow.client and not mine.offset and flow.seen_at[0] == flow.seen_at[1]:
            flow.rtt = max(ts - flow.syn_at, 0) // 1000

    def segment(self, slot: Slot, ts: int, seq: int, data: bytes, length: int, fin: bool) -> None:
        """A segment that is not simply the next one."""
        flow, mine, _, end, counted, timed = slot
        if not timed:
            self._touch(flow, ts)
        if flow.phase == "counted" and not wants_first_bytes(flow, end):
            self.waiting -= mine.waits
            reassembly.skim(mine, seq, length, fin, not counted)
            self._note_ends(flow)
            return
        now = ts if timed else max(self._clock_of(flow), flow.touched)
        before = mine.waits
        pieces = reassembly.accept(mine, seq, data, length, ts, now, fin, not counted)
        if mine.waits > self._settings.stream_buffer_bytes:
            self._counts.add("decode.reorder_overflow", reason="stream")
            pieces += reassembly.release(mine, -1, self._settings.stream_buffer_bytes)
        self.waiting += mine.waits - before
        self._deliver(flow, end, pieces)
        self._note_ends(flow)
        if mine.since >= 0:
            self._hold(flow, mine)

    def release_until(self, flow: Flow, before: int) -> None:
        """Stop waiting for what waits since before then, whatever waits longest first: as if somebody had looked all
        the time, so that it does not matter when somebody does."""
        while due := [d.since for d in flow.ends() if 0 <= d.since < before]:
            self.release(flow, min(due) + 1)

    def release(self, flow: Flow, before: int = NO_CEILING) -> None:
        """Stop waiting for what waits since before then, in both directions, in the order of capture."""
        low, high = flow.low, flow.high
        waits = low.waits + high.waits
        first, second = reassembly.release(low, before), reassembly.release(high, before)
        self.waiting += low.waits + high.waits - waits
        for end, piece in _by_time(first, second):
            self._deliver(flow, end, (piece,))
        self._note_ends(flow)
        if low.since < 0 and high.since < 0:
            self._holding.pop(flow.key, None)

    def rejoin(self, flow: Flow) -> None:
        """Read on as if the flow was first seen now."""
        self.waiting -= flow.low.waits + flow.high.waits
        self._holding.pop(flow.key, None)
        flow.told = 0
        for direction in flow.ends():
            reassembly.rejoin(direction)

    def _begin(self, flow: Flow, end: int, direction: Direction, isn: int) -> None:
        before = direction.waits
        pieces = reassembly.begin(direction, isn)
        self.waiting += direction.waits - before
        self._deliver(flow, end, pieces)
        self._note_ends(flow)

    def _synchronise(self, slot: Slot, ts: int, flags: int, isn: int, ack: int) -> None:
        flow, mine, theirs, end, counted, _ = slot
        if flow.direction != "syn" and flow.phase != "decoded":
            flow.client, flow.direction = (1 - end if flags & ACK else end), "syn"
        if flags & ACK and (theirs.seq < 0 or theirs.held):
            self._begin(flow, 1 - end, theirs, (ack - 1) & MASK)
        if mine.seq < 0 or mine.held:
            self._begin(flow, end, mine, isn)
        elif mine.isn == isn and counted and mine.packets > 1:
            mine.retransmissions += 1
        if flags & ACK:
            flow.answered = True
            self._note_answer(flow, ts if counted else 0)
        elif counted and not flow.syn_ack_at:
            flow.syn_at = ts

    def _note_answer(self, flow: Flow, ts: int) -> None:
        """`ts` 0: seen by another vantage, whose clock says nothing about the round trip."""
        if ts and flow.syn_at and not flow.syn_ack_at:
            flow.syn_ack_at = ts
        if flow.wire.outline and not flow.published:
            flow.published = True
            self._talk.conclude(flow, "")

    def _reset(self, flow: Flow, mine: Direction, end: int, seq: int) -> None:
        """Believed where the receiver would believe it, more or less (RFC 5961 section 3.2). What is still on its way
        may come for one window more."""
        if mine.seq >= 0 and not mine.held and 2 <= (mine.seq - seq) & MASK < 1 << 30:
            self._talk.note(flow, "RST with an old sequence number")
        else:
            if not flow.ending:
                flow.reset_by = end
            self._end(flow, "rst")

    def _end(self, flow: Flow, how: str) -> None:
        if not flow.ending:
            flow.ending, flow.ending_at = how, max(flow.last, flow.touched)
            self._look_at(flow, flow.ending_at + self.window)

    def _touch(self, flow: Flow, ts: int) -> None:
        """Another vantage than the owner shows a packet: the owner will show it as long after its own first one, and
        until then the flow is not over."""
        flow.touched = max(flow.touched, flow.first + min(ts, self.latest) - flow.others.get(self.vantage, ts))

    def _hold(self, flow: Flow, mine: Direction) -> None:
        self._holding.setdefault(flow.key, flow)
        self._look_at(flow, mine.since + self.window)
        while self.waiting > self._settings.shard_buffer_bytes and self._holding:
            self._counts.add("decode.reorder_overflow", reason="shard")
            self.release(next(iter(self._holding.values())))

    def _deliver(self, flow: Flow, end: int, pieces: Sequence[Piece]) -> None:
        for piece in pieces:
            if flow.low.isn < 0 and flow.high.isn < 0:
                flow.midstream = True
            if isinstance(piece, Chunk):
                self._talk.data(flow, end, piece.data, piece.timestamp, piece.offset)
            else:
                self._counts.lose("decode.gap_bytes", piece.length)
                self._talk.gap(flow, end, piece.offset, piece.length, piece.timestamp)

    def _note_ends(self, flow: Flow) -> None:
        """Tell the dissector of a FIN that was reached, once, and begin the end when both were."""
        for end, direction in enumerate((flow.low, flow.high)):
            if direction.ended and not flow.told >> end & 1:
                flow.told |= 1 << end
                self._talk.finish(flow, end, flow.last)
        if flow.told == BOTH_ENDS:
            self._end(flow, "fin")


def is_renewed(flow: Flow, end: int, seq: int) -> bool:
    """Whether a SYN with this number begins another connection between the same ports."""
    mine = flow.high if end else flow.low
    if mine.isn >= 0:
        return mine.isn != seq
    if mine.seq < 0:
        return False
    # Joined; its own SYN may come late.
    return not mine.held or (mine.seq - seq - 1) & MASK >= 1 << 20


def _by_time(first: list[Piece], second: list[Piece]) -> Iterator[tuple[int, Piece]]:
    """Both ends' pieces by capture time, each end's own order kept."""
    one, two = 0, 0
    while one < len(first) or two < len(second):
        if two == len(second) or (one < len(first) and first[one].timestamp <= second[two].timestamp):
            yield 0, first[one]
            one += 1
        else:
            yield 1, second[two]
            two += 1
