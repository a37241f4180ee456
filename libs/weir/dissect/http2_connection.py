"""What an HTTP/2 connection remembers, and which stream and exchange each header block, DATA and reset leads to.

Finding frames in the bytes is `protocols.http2`'s; what becomes of one stream is `http2_streams`'. All state is plain
values. Outputs are appended to `out`.
"""

from __future__ import annotations

import msgspec

from weir.dissect import http2_frames as frames
from weir.dissect.api import GiveUp, Limits, Output
from weir.dissect.bodies import codings_of
from weir.dissect.buffer import Buffer
from weir.dissect.hpack_state import BLOCK_LIMIT, Fields, Table, decode
from weir.dissect.http2_streams import NOTES, UNKNOWN_TABLE, Grpc, Half, Stream, exchange, field_cost, join
from weir.dissect.httpfields import INTERIM, INTERIM_HEAD, Upgraded, interim_response
from weir.model.flow import Side

REMEMBERED = 256
"""Closed or reset streams whose late frames are passed over."""
_ESSENTIAL = frozenset({
    ":method", ":path", ":authority", ":status", "content-type", "content-encoding", "grpc-status", "grpc-message"
})  # fmt: skip
_CUT = 256
"""Bytes kept of each essential field when there is no room for headers."""


class Block(msgspec.Struct):
    """A header block that is being gathered from HEADERS or PUSH_PROMISE and CONTINUATION."""

    stream: int
    offset: int
    timestamp: int
    end: int
    promised: int = 0
    last: bool = False
    """END_STREAM."""
    size: int = 0
    """Bytes of its frames on the wire."""
    data: bytearray = msgspec.field(default_factory=bytearray)
    dropped: bool = False
    """It grew above the ceiling."""

    def add(self, data: bytes, size: int, end: int) -> None:
        self.size += size
        self.end = end
        if len(self.data) + len(data) > BLOCK_LIMIT:
            self.data.clear()
            self.dropped = True
        if not self.dropped:
            self.data += data


class Direction(msgspec.Struct):
    """One direction of a connection."""

    buffer: Buffer = msgspec.field(default_factory=Buffer)
    table: Table = msgspec.field(default_factory=Table)
    preface: bool = False
    """The client's preface comes next, or may."""
    first: bool = True
    """No frame was read yet."""
    synced: bool = True
    """The next byte begins a frame."""
    anchored: bool = False
    """Not synced, but the next byte may well begin a frame: it is the first after a join or a gap."""
    lossy: bool = False
    """Something before was not seen: frames must be plausible, streams may be unknown."""
    searched: int = 0
    """Bytes passed over in search of a frame's start."""
    skip: int = 0
    """Bytes of the current frame to pass over."""
    data: bool = False
    """A DATA frame is being read; the next four are about it."""
    stream: int = 0
    left: int = 0
    pad: int = 0
    """Padding at its end; -1 while the byte that tells is still to come."""
    last: bool = False
    block: Block | None = None
    max_frame: int = frames.MAX_FRAME
    malformed: int = 0
    kept: int = 0
    """Bytes of headers and bodies that open streams hold."""

    def begin(self) -> None:
        """The connection begins here, whatever was believed before: frames follow, and the table is empty."""
        self.preface = self.anchored = self.lossy = False
        self.first = self.synced = True
        self.table = Table()

    def lose_sync(self, *, anchored: bool) -> None:
        """Frames were missed: neither the next frame's start nor the header table is known any more."""
        self.synced = self.data = self.preface = self.first = False
        self.anchored, self.lossy = anchored, True
        self.skip = self.left = self.searched = 0
        self.block = None
        self.table.forget()


class Connection(msgspec.Struct):
    client: Direction = msgspec.field(default_factory=Direction)
    server: Direction = msgspec.field(default_factory=Direction)
    streams: dict[int, Stream] = {}
    """Open ones, oldest first."""
    closed: list[int] = []
    """The last that were closed."""
    held: list[int] = []
    """Streams whose response is complete and whose request was not seen yet."""
    last_client: int = 0
    """Highest stream that the client opened."""
    weird: list[str] = []
    """About the connection; told with the next exchange."""
    over: bool = False

    def direction(self, side: Side) -> Direction:
        return self.client if side is Side.CLIENT else self.server

    def odd(self, what: str) -> None:
        if what not in self.weird and len(self.weird) < NOTES:
            self.weird.append(what)


def upgraded(state: Connection, asked: Upgraded) -> None:
    """The connection began as HTTP/1.1: the request that asked for the upgrade is answered on stream 1."""
    half = Half(timestamp=asked.request.timestamp, end=asked.request.end, closed=True)
    state.streams[1] = Stream(offset=asked.offset, side=Side.CLIENT, request=half, upgrade=asked)
    state.last_client = 1


def header_block(state: Connection, side: Side, block: Block, limits: Limits, out: list[Output]) -> None:
    """A header block is complete."""
    direction = state.direction(side)
    if block.dropped:
        direction.table.forget()
        read = Fields(error=f"header block above {BLOCK_LIMIT} bytes")
    else:
        read = decode(direction.table, bytes(block.data), limits.head)
    number = block.promised or block.stream
    stream = _stream(state, side, number, block, limits, out)
    if stream is None:
        return
    if read.unknown:
        stream.note(UNKNOWN_TABLE)
    if read.error:
        stream.note(f"headers cannot be read: {read.error}")
        stream.odd("header block")
    if block.promised:
        stream.pushed = True
        _headers(stream, Side.CLIENT, direction, block, read, limits)
        _end(state, number, stream, Side.CLIENT, limits, out)
        return
    _headers(stream, side, direction, block, read, limits)
    if block.last:
        _end(state, number, stream, side, limits, out)


def body(
    state: Connection, side: Side, number: int, data: bytes, size: int, at: tuple[int, int, int], limits: Limits
) -> None:
    """A piece of DATA: `size` bytes on the wire with `data` in them; `at` is the frame's offset (-1: not its first
    piece) and the capture times of the piece's first and last byte."""
    offset, timestamp, end = at
    stream = state.streams.get(number)
    direction = state.direction(side)
    if stream is None:
        if offset < 0 or not direction.lossy:
            return
        opener = Block(stream=number, offset=offset, timestamp=timestamp, end=end)
        stream = _stream(state, side, number, opener, limits, [])
        if stream is None:
            return
    half = _half(stream, side, timestamp)
    half.size += size
    half.end = end
    if not data:
        return
    before = len(half.body.kept)
    room = max(limits.buffered - direction.kept, 0)
    half.body.add(data[:room], limits)
    if len(data) > room:
        half.body.lose(len(data) - room)
    direction.kept += len(half.body.kept) - before
    if half.grpc is not None:
        half.grpc.feed(data)


def end(state: Connection, side: Side, number: int, limits: Limits, out: list[Output]) -> None:
    """END_STREAM on a DATA frame."""
    stream = state.streams.get(number)
    if stream is not None:
        _end(state, number, stream, side, limits, out)


def reset(state: Connection, side: Side, number: int, code: int, limits: Limits, out: list[Output]) -> None:
    """RST_STREAM by `side`."""
    stream = state.streams.get(number)
    if stream is None:
        return
    response = stream.response
    if response is None or not response.closed or stream.request is None:
        stream.cut("", side, frames.error_name(code))
    elif code == 0:
        # A server that has answered asks the client to stop sending (RFC 9113 §8.1): nothing is missing.
        stream.request.closed = True
    _give(state, number, limits, out)


def go_away(state: Connection, side: Side, last: int, code: int, limits: Limits, out: list[Output]) -> None:
    """GOAWAY by `side`: streams of its peer above `last` were not processed and never will be (§6.8)."""
    parity = 1 if side is Side.SERVER else 0
    for number in [n for n in state.streams if n > last and n & 1 == parity]:
        stream = state.streams[number]
        stream.reset = f"refused by {side.name.lower()}: GOAWAY {frames.error_name(code)}"
        stream.note(stream.reset)
        _give(state, number, limits, out)


def lost(state: Connection, side: Side, number: int, length: int, timestamp: int) -> None:
    """`length` bytes of a DATA frame of this stream were lost."""
    stream = state.streams.get(number)
    half = stream.half(side) if stream is not None else None
    if stream is None or half is None:
        return
    stream.note(f"{length} bytes of the {_word(side)} lost")
    half.size += length
    half.end = timestamp
    half.body.lose(length)
    if half.grpc is not None:
        half.grpc.lost = True


def all_lost(state: Connection, side: Side, length: int) -> None:
    """`length` bytes were lost, and nobody knows whose."""
    for stream in state.streams.values():
        half = stream.half(side)
        if half is None or not half.closed:
            stream.note(f"{length} bytes lost, perhaps of this {_word(side)}")
            if half is not None and half.grpc is not None:
                half.grpc.lost = True


def flush(
    state: Connection, limits: Limits, out: list[Output], why: str = "", reset: Side | None = None
) -> None:
    """Give all that is open; `reset` is who ended the connection with a RST."""
    for number in list(state.streams):
        stream = state.streams[number]
        if why:
            stream.note(why)
        if reset is not None and not (state.client.lossy or state.server.lossy):
            stream.cut("connection ", reset)
        _give(state, number, limits, out)


def give_up(state: Connection, reason: str, limits: Limits, out: list[Output]) -> None:
    flush(state, limits, out, reason)
    state.over = True
    for direction in (state.client, state.server):
        direction.buffer.reset(direction.buffer.end)
        direction.block = None
    out.append(GiveUp(reason))


def _word(side: Side) -> str:
    return "request" if side is Side.CLIENT else "response"


def _stream(
    state: Connection, side: Side, number: int, block: Block, limits: Limits, out: list[Output]
) -> Stream | None:
    """The stream with this number, made if this frame may open it; None if it is over or nobody opened it."""
    stream = state.streams.get(number)
    if stream is not None or number in state.closed:
        return stream
    by_client = bool(number & 1)
    lossy = state.client.lossy if by_client else state.server.lossy
    if by_client is not (side is Side.CLIENT) and side is Side.CLIENT:
        return None
    known = number <= state.last_client if by_client else not block.promised
    if known and not lossy:
        return None
    if by_client and side is Side.CLIENT:
        state.last_client = max(state.last_client, number)
    if len(state.streams) >= limits.streams:
        oldest = next(iter(state.streams))
        state.streams[oldest].note(f"more than {limits.streams} open streams")
        _give(state, oldest, limits, out)
    stream = state.streams[number] = Stream(offset=block.offset, side=side)
    _give_held(state, limits, out)
    return stream


def _half(stream: Stream, side: Side, timestamp: int) -> Half:
    half = stream.half(side)
    if half is None:
        half = Half(timestamp=timestamp, end=timestamp)
        if side is Side.CLIENT:
            stream.request = half
        else:
            stream.response = half
    return half


def _headers(
    stream: Stream, side: Side, direction: Direction, block: Block, read: Fields, limits: Limits
) -> None:
    """Put a header block where it belongs: headers, trailers, or an interim answer."""
    if side is Side.SERVER and (stream.response is None or stream.response.headers is None):
        status = _interim_status(read.fields)
        if status:
            _keep_interim(stream, direction, status, block, read.fields, limits)
            return
    half = _half(stream, side, block.timestamp)
    if side is Side.CLIENT and stream.side is Side.SERVER and not stream.pushed:
        # The answer overtook its request; the request is what an exchange is named after.
        stream.side, stream.offset = side, block.offset
    half.size += block.size
    half.header_size += len(block.data)
    half.end = block.end
    if half.headers is None and half.body.size == 0 and not _is_trailers(block, read, direction):
        half.timestamp = block.timestamp
        half.headers = _within(stream, direction, read.fields, limits)
        half.body.codings = codings_of(half.get("content-encoding"))
        if UNKNOWN_TABLE in stream.incomplete or stream.is_grpc():
            half.grpc = Grpc()
    elif half.trailers or not block.last:
        stream.odd("header block within a message")
    else:
        half.trailers = _within(stream, direction, read.fields, limits)
        if half.headers is None:
            stream.note(f"headers of the {_word(side)} not seen")


def _is_trailers(block: Block, read: Fields, direction: Direction) -> bool:
    """Of a stream whose headers were not seen: trailers have no pseudo-fields, and end the stream."""
    return (
        direction.lossy
        and block.last
        and not read.unknown
        and not read.error
        and not any(name.startswith(":") for name, _ in read.fields)
    )


def _interim_status(fields: list[tuple[str, str]]) -> int:
    """The status of an interim response; 0 for any other header block."""
    for name, value in fields:
        if name == ":status" and len(value) == 3 and value[0] == "1" and value.isdecimal():
            return int(value)
    return 0


def _keep_interim(
    stream: Stream, direction: Direction, status: int, block: Block, fields: list[tuple[str, str]], limits: Limits
) -> None:
    if len(stream.interim) >= INTERIM:
        return
    cost = field_cost(fields)
    if cost > min(INTERIM_HEAD, limits.buffered - direction.kept):
        fields, cost = [], 0
    stream.interim.append(interim_response(status, block.timestamp, join(fields)))
    stream.interim_cost += cost
    direction.kept += cost


def _within(
    stream: Stream, direction: Direction, fields: list[tuple[str, str]], limits: Limits
) -> list[tuple[str, str]]:
    """The fields, or only the essential ones where open streams hold too much already."""
    cost = field_cost(fields)
    if direction.kept + cost > limits.buffered:
        stream.note(f"headers left out: open streams hold {limits.buffered} bytes")
        fields = [(name, value[:_CUT]) for name, value in fields if name in _ESSENTIAL][: len(_ESSENTIAL)]
        cost = field_cost(fields)
    direction.kept += cost
    return fields


def _end(
    state: Connection, number: int, stream: Stream, side: Side, limits: Limits, out: list[Output]
) -> None:
    half = stream.half(side)
    if half is None:
        return
    half.closed = True
    request, response = stream.request, stream.response
    if response is None or not response.closed:
        return
    if request is not None:
        if request.closed:
            _give(state, number, limits, out)
    elif state.client.lossy and number < state.last_client:
        _give(state, number, limits, out)
    else:
        state.held.append(number)


def _give_held(state: Connection, limits: Limits, out: list[Output]) -> None:
    """Streams are opened in order (§5.1.1): below the last one no request will come any more."""
    for number in [n for n in state.held if n < state.last_client]:
        stream = state.streams.get(number)
        if stream is not None and stream.request is None:
            _give(state, number, limits, out)
        else:
            state.held.remove(number)


def _give(state: Connection, number: int, limits: Limits, out: list[Output]) -> None:
    stream = state.streams.pop(number)
    if number in state.held:
        state.held.remove(number)
    state.closed.append(number)
    if len(state.closed) > REMEMBERED:
        del state.closed[0]
    for half, direction in ((stream.request, state.client), (stream.response, state.server)):
        if half is not None:
            (state.server if stream.pushed else direction).kept -= half.held()
    state.server.kept -= stream.interim_cost
    found = exchange(number, stream, limits)
    if state.weird:
        found.weird = [*found.weird, *state.weird]
        state.weird = []
    out.append(found)
