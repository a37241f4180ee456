"""One direction of a TCP connection, put in order: which bytes come next, which wait, which are lost.

Sequence numbers come in, stream offsets go out: offset 0 is the first byte after the SYN, or the first byte of a
direction that was joined. The first copy of a byte wins (that is what the receiver most likely read); a later copy
that differs is counted as a conflict. Knows no flow, no dissector and no clock: the caller says when waiting is over.

In order, a caller may advance `seq` and `offset` itself while `plain` holds, and call nothing here.
"""

from __future__ import annotations

from bisect import bisect_left

import msgspec

MODULO = 1 << 32
MASK = MODULO - 1
OLD = 3 << 30
"""A sequence number up to 1 GiB behind the next one is old: no window is larger (RFC 7323 section 2.3). Everything
else is ahead, so that a connection goes on after more than 2 GiB of it were lost."""
NO_CEILING = 1 << 62
RECENT = 128
"""Delivered bytes that are remembered, to recognise a retransmission that says something else."""
PIECE_COST = 256
"""What a waiting piece counts beside its bytes, so that one-byte segments cannot fill the memory with objects."""


class Waiting(msgspec.Struct, array_like=True, gc=False):
    """Bytes that came before their turn."""

    offset: int
    length: int
    """Bytes on the wire; more than `data` has if the packet was snapped."""
    data: bytes
    timestamp: int
    arrived: int
    """When it began to wait, on the clock by which waiting is measured."""


class Chunk(msgspec.Struct, frozen=True, gc=False):
    """Bytes in order."""

    offset: int
    data: bytes
    timestamp: int


class Gap(msgspec.Struct, frozen=True, gc=False):
    """Bytes that will never come."""

    offset: int
    length: int
    timestamp: int
    """Capture time of what shows the loss."""


Piece = Chunk | Gap


class Direction(msgspec.Struct, omit_defaults=True, gc=False):
    """What one end sent. All times are ns since epoch."""

    seq: int = -1
    """Next sequence number (mod 2^32); -1 while nothing is known."""
    offset: int = 0
    """Stream offset of that byte."""
    plain: bool = False
    """A segment at `seq` that was captured whole can be delivered as it is."""
    held: bool = False
    """Joined: `seq` is where the first segment seen begins, but an earlier one may still come."""
    isn: int = -1
    """Initial sequence number, where it was seen or told by the other end."""
    waiting: list[Waiting] = []
    """By offset, without overlaps."""
    waits: int = 0
    """What `waiting` counts: bytes and `PIECE_COST` for each piece."""
    since: int = -1
    """Since when the oldest of it (or a FIN) waits; -1 if nothing does."""
    fin: int = -1
    """Stream offset of the FIN, -1 if none was seen."""
    fin_arrived: int = 0
    ended: bool = False
    """Everything up to the FIN was delivered or declared lost."""
    recent: bytes = b""
    """The last bytes delivered; they end at `offset`."""

    packets: int = 0
    on_wire: int = 0
    """Length of its frames on the wire."""
    retransmissions: int = 0
    keep_alives: int = 0
    conflicts: int = 0
    """Segments that repeat bytes with other values."""
    lost: int = 0
    """Bytes in declared gaps."""
    shown: int = 0
    """Stream offset up to which the vantage that counts has shown what another one had shown before."""
    foreign: int = 0
    """Stream offset up to which another vantage than the one that counts has shown it."""


def sequence_at(direction: Direction, offset: int) -> int:
    """The absolute sequence number of a stream offset."""
    return (direction.seq - direction.offset + offset) & MASK


def begin(direction: Direction, isn: int) -> list[Piece]:
    """The SYN was seen, or its number was learnt: offset 0 is the byte behind it. Gives what waited for that.

    Only for a direction whose position is not known yet (`seq` is -1, or `held`)."""
    first = (isn + 1) & MASK
    direction.isn = isn
    if direction.held:
        _shift(direction, _ahead(direction.seq, first))
        direction.held = False
    direction.seq = first
    direction.offset = 0
    pieces: list[Piece] = []
    _advance(direction, pieces)
    _settle(direction)
    return pieces


def accept(
    direction: Direction, seq: int, data: bytes, length: int, timestamp: int, now: int, fin: bool, repeated: bool
) -> list[Piece]:
    """Take a segment of any kind and give what is in order now.

    `length` is what it had on the wire; `now` is the clock that waiting is measured by; `repeated` segments come from
    another vantage and are no retransmissions.
    """
    if direction.seq < 0:
        direction.seq, direction.held = seq, True
    at = direction.offset + _ahead(seq, direction.seq)
    if fin:
        _note_fin(direction, at + length, now)
    if repeated:
        direction.foreign = max(direction.foreign, at + length)
    elif direction.shown < at + length <= direction.foreign:
        # New to this vantage: the other one was faster.
        direction.shown = at + length
        repeated = True
    if length and not _is_repeat(direction, at, data, length, repeated):
        end = at + length if direction.fin < 0 else min(at + length, direction.fin)
        if not _insert(direction, at, end, data, timestamp, now) and not repeated:
            direction.retransmissions += 1
    pieces: list[Piece] = []
    if not direction.held:
        _advance(direction, pieces)
    if pieces or fin:
        _settle(direction)
    elif direction.waiting and direction.since < 0:
        direction.since = now
        direction.plain = False
    return pieces


def release(direction: Direction, before: int, ceiling: int = NO_CEILING) -> list[Piece]:
    """Declare gaps until nothing waits that arrived before `before`, and no more than `ceiling` waits in all."""
    pieces: list[Piece] = []
    while direction.since >= 0 and (direction.since < before or direction.waits > ceiling):
        if direction.held:
            _join(direction)
        elif direction.waiting:
            first = direction.waiting[0]
            until = first.offset if direction.fin < 0 else min(first.offset, direction.fin)
            _lose(direction, until, first.timestamp, pieces)
        else:
            _lose(direction, direction.fin, direction.fin_arrived, pieces)
        _advance(direction, pieces)
        _settle(direction)
    return pieces


def skim(direction: Direction, seq: int, length: int, fin: bool, repeated: bool) -> None:
    """Follow a direction that nobody reads: only its position and its FIN matter, nothing waits and nothing is lost."""
    if direction.seq < 0:
        direction.seq = seq
    end = direction.offset + _ahead(seq, direction.seq) + length
    direction.waiting.clear()
    direction.waits, direction.since, direction.held, direction.recent = 0, -1, False, b""
    if fin and direction.fin < 0:
        direction.fin = max(end, direction.offset)
    if direction.fin >= 0:
        direction.ended = True
        end = direction.fin
    elif length and end <= direction.offset and not repeated:
        direction.retransmissions += 1
    _move(direction, max(end - direction.offset, 0))
    direction.plain = direction.fin < 0


def rejoin(direction: Direction) -> None:
    """Forget the position: what comes next is the first that is seen."""
    direction.waiting.clear()
    direction.waits, direction.since, direction.fin, direction.ended = 0, -1, -1, False
    direction.seq, direction.isn, direction.offset, direction.recent = -1, -1, 0, b""
    direction.shown = direction.foreign = 0
    direction.plain = direction.held = False


def _ahead(seq: int, reference: int) -> int:
    distance = (seq - reference) & MASK
    return distance - MODULO if distance >= OLD else distance


def _note_fin(direction: Direction, end: int, now: int) -> None:
    if direction.fin < 0 and end >= direction.offset:
        direction.fin, direction.fin_arrived = end, now
        direction.plain = False
    elif direction.fin >= 0 and direction.fin != end:
        direction.conflicts += 1


def _is_repeat(direction: Direction, at: int, data: bytes, length: int, repeated: bool) -> bool:
    """Whether there is nothing new in it: a keep-alive probe or a retransmission of what was delivered."""
    if direction.held or at >= direction.offset:
        return False
    if length == 1 and at == direction.offset - 1:
        # A probe repeats the last sequence number with a byte that means nothing (RFC 9293 section 3.8.4).
        direction.keep_alives += not repeated
        return True
    if not repeated:
        direction.retransmissions += 1
    _compare(direction, at, data)
    return at + length <= direction.offset


def _compare(direction: Direction, at: int, data: bytes) -> None:
    """Count it if the bytes differ from those delivered, as far as they are remembered."""
    start = max(at, direction.offset - len(direction.recent))
    end = min(at + len(data), direction.offset)
    if start < end:
        base = direction.offset - len(direction.recent)
        if data[start - at:end - at] != direction.recent[start - base:end - base]:
            direction.conflicts += 1


def _insert(direction: Direction, at: int, end: int, data: bytes, timestamp: int, now: int) -> bool:
    """Put the parts of [at, end) that are new among what waits; whether there were any."""
    waiting = direction.waiting
    start = at if direction.held else max(at, direction.offset)
    index = bisect_left(waiting, start, key=_end_of)
    if index < len(waiting) and _end_of(waiting[index]) == start:
        index += 1
    found = False
    while start < end:
        known = waiting[index] if index < len(waiting) else None
        stop = end if known is None else min(end, known.offset)
        if start < stop:
            piece = Waiting(start, stop - start, data[start - at:stop - at], timestamp, now)
            waiting.insert(index, piece)
            direction.waits += len(piece.data) + PIECE_COST
            index += 1
            found = True
        if known is None:
            break
        _compare_waiting(direction, known, at, end, data)
        start = max(start, _end_of(known))
        index += 1
    return found


def _compare_waiting(direction: Direction, known: Waiting, at: int, end: int, data: bytes) -> None:
    start = max(at, known.offset)
    stop = min(end, at + len(data), known.offset + len(known.data))
    if start < stop and data[start - at:stop - at] != known.data[start - known.offset:stop - known.offset]:
        direction.conflicts += 1


def _end_of(piece: Waiting) -> int:
    return piece.offset + piece.length


def _advance(direction: Direction, pieces: list[Piece]) -> None:
    """Deliver what waits at the front."""
    waiting = direction.waiting
    taken = 0
    for piece in waiting:
        if piece.offset != direction.offset:
            break
        taken += 1
        direction.waits -= len(piece.data) + PIECE_COST
        if piece.data:
            pieces.append(Chunk(piece.offset, piece.data, piece.timestamp))
            _move(direction, len(piece.data))
            direction.recent = (direction.recent + piece.data[-RECENT:])[-RECENT:]
        if piece.length > len(piece.data):
            _lose(direction, piece.offset + piece.length, piece.timestamp, pieces)
    del waiting[:taken]
    if direction.fin >= 0 and direction.offset >= direction.fin:
        direction.ended = True
        waiting.clear()
        direction.waits = 0


def _lose(direction: Direction, until: int, timestamp: int, pieces: list[Piece]) -> None:
    length = until - direction.offset
    if length > 0:
        pieces.append(Gap(direction.offset, length, timestamp))
        direction.lost += length
        _move(direction, length)
        direction.recent = b""


def _move(direction: Direction, length: int) -> None:
    direction.offset += length
    direction.seq = (direction.seq + length) & MASK


def _join(direction: Direction) -> None:
    """Nothing earlier will come: the lowest byte that waits is the first of the stream."""
    lowest = direction.waiting[0].offset if direction.waiting else max(direction.fin, 0)
    _shift(direction, -lowest)
    direction.held = False
    direction.seq = (direction.seq + lowest) & MASK


def _shift(direction: Direction, by: int) -> None:
    """Renumber what waits. What comes to lie before offset 0 belongs to no byte that was sent here, and goes."""
    kept = []
    for piece in direction.waiting:
        piece.offset += by
        cut = max(-piece.offset, 0)
        if cut < piece.length:
            kept.append(
                Waiting(piece.offset + cut, piece.length - cut, piece.data[cut:], piece.timestamp, piece.arrived)
            )
    direction.waiting = kept
    direction.waits = sum(len(piece.data) + PIECE_COST for piece in kept)
    direction.shown, direction.foreign = max(direction.shown + by, 0), max(direction.foreign + by, 0)
    if direction.fin >= 0:
        direction.fin = max(direction.fin + by, -1)


def _settle(direction: Direction) -> None:
    """Find out anew since when something waits."""
    pending_fin = direction.fin >= 0 and not direction.ended
    arrivals = [piece.arrived for piece in direction.waiting]
    if pending_fin:
        arrivals.append(direction.fin_arrived)
    direction.since = min(arrivals, default=-1)
    direction.plain = not arrivals and direction.fin < 0 and not direction.held
