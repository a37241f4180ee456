"""HTTP/2 (RFC 9113) and the gRPC calls in it: finding the frames in the bytes.

Three ways in: from the client's preface, from an HTTP/1.1 upgrade whose request is answered on stream 1 (`carry`), and
in the middle of a connection. What was not seen (a header table before the join, bytes lost) is said on the exchanges
that it touches, and reading goes on. DATA is never held: it passes through, so a lost stretch of a body costs nothing
but that stretch. Streams are `weir.dissect.http2_connection`'s, frame formats `.http2_frames`', HPACK `.hpack_state`'s.

Attacks that the ceilings are for: CONTINUATION without end (a block above `BLOCK_LIMIT` is dropped), blocks that
refer to one large entry thousands of times (decoded size), streams opened and never closed (`Limits.streams`), and
many streams with a large body each (`Limits.buffered` bytes are kept for each direction).
"""

from __future__ import annotations

from typing import Any

from hyperframe.frame import (
    ContinuationFrame,
    GoAwayFrame,
    HeadersFrame,
    PushPromiseFrame,
    RstStreamFrame,
    SettingsFrame,
)

from weir.dissect import http2_connection as connection
from weir.dissect import http2_frames as frames
from weir.dissect.api import Data, Field, Limits, Output, Probe
from weir.dissect.hpack_state import BLOCK_LIMIT, UNKNOWN, decode, joined
from weir.dissect.http2_connection import Block, Connection, Direction
from weir.dissect.http2_frames import HEADER, FrameHeader, Malformed
from weir.dissect.httpfields import HTTP_FIELDS, Upgraded
from weir.model.flow import Side

_MALFORMED_LIMIT = 64
"""Malformed frames of one direction after which it is taken for something else."""
_BLOCKS = frozenset({frames.HEADERS, frames.PUSH_PROMISE, frames.CONTINUATION})
_CONTROLS = frozenset({frames.SETTINGS, frames.RST_STREAM, frames.GOAWAY})


class Http2:
    name = "http2"
    title = "HTTP/2 and gRPC"
    protocols = ("http", "grpc")
    transports = frozenset({"tcp"})
    ports = frozenset({50051})
    fields = (
        *HTTP_FIELDS,
        Field("http_pushed", bool, "The server pushed this response unasked"),
        Field("grpc_method", str, "gRPC method as `package.Service/Method`"),
        Field("grpc_service", str, "gRPC service as `package.Service`"),
        Field("grpc_status", int, "gRPC status, 0 is OK; -1 if it was not seen"),
        Field("grpc_message", str, "gRPC status message"),
        Field("grpc_request_messages", int, "gRPC messages that the client sent"),
        Field("grpc_response_messages", int, "gRPC messages that the server sent"),
        Field("grpc_request_size", int, "Bytes of the client's gRPC messages"),
        Field("grpc_response_size", int, "Bytes of the server's gRPC messages"),
        Field("grpc_compressed", bool, "Some gRPC message was compressed"),
    )
    State = Connection

    def __init__(self, limits: Limits = Limits()) -> None:  # noqa: B008 - frozen
        self.limits = limits

    def probe(self, side: Side, head: bytes, transport: str = "tcp") -> Probe:
        if transport != "tcp":
            return Probe.NO
        if side is Side.CLIENT and head.startswith(frames.PREFACE[: len(head)]):
            return Probe.YES if len(head) >= len(frames.PREFACE) else Probe.MAYBE
        return _probe_frames(side, head)

    def open(self, *, midstream: bool = False, carry: Any = None, transport: str = "tcp") -> Connection:
        state = Connection(client=Direction(preface=True))
        if midstream:
            for direction in (state.client, state.server):
                direction.lose_sync(anchored=True)
            state.client.preface = True
        if isinstance(carry, Upgraded):
            connection.upgraded(state, carry)
        return state

    def feed(self, state: Connection, data: Data) -> list[Output]:
        out: list[Output] = []
        if state.over or not data.data:
            return out
        direction = state.direction(data.side)
        direction.buffer.append(data.data, data.offset, data.timestamp)
        while direction.buffer.data and not state.over and self._step(state, data.side, direction, out):
            pass
        return out

    def gap(self, state: Connection, side: Side, offset: int, length: int, timestamp: int) -> list[Output]:
        direction = state.direction(side)
        if state.over:
            return []
        passed = min(direction.skip, length)
        if direction.data and direction.pad >= 0 and length <= direction.left:
            # The lost bytes are all of one frame's body: nothing else is in doubt.
            direction.left -= length
            connection.lost(state, side, direction.stream, length, timestamp)
            return self._after_gap(state, side, direction, offset + length)
        if passed == length:
            direction.skip -= passed
            return self._after_gap(state, side, direction, offset + length)
        held = len(direction.buffer)
        direction.lose_sync(anchored=True)
        direction.buffer.reset(offset + length)
        connection.all_lost(state, side, held + length)
        return []

    def close(
        self, state: Connection, side: Side | None, timestamp: int, reset: Side | None = None
    ) -> list[Output]:
        out: list[Output] = []
        if side is None and not state.over:
            state.over = True
            connection.flush(state, self.limits, out, reset=reset)
        return out

    def _after_gap(self, state: Connection, side: Side, direction: Direction, offset: int) -> list[Output]:
        out: list[Output] = []
        direction.buffer.reset(offset)
        if direction.data and not direction.left:
            self._data_over(state, side, direction, out)
        return out

    def _step(self, state: Connection, side: Side, direction: Direction, out: list[Output]) -> bool:
        """Read one thing; False if more bytes are needed for it."""
        buffer = direction.buffer
        if direction.skip:
            passed = min(direction.skip, len(buffer))
            direction.skip -= passed
            buffer.consume(passed)
            return True
        if direction.data:
            return self._data(state, side, direction, out)
        if direction.preface:
            return self._preface(state, direction)
        if not direction.synced:
            return self._find(state, direction, out)
        if len(buffer) < HEADER:
            return False
        frame = frames.header(buffer.data)
        if (direction.first or direction.lossy) and not frames.plausible(frame, direction.max_frame):
            return self._nonsense(state, direction, out)
        try:
            return self._frame(state, side, direction, frame, out)
        except Malformed as malformed:
            return self._malformed(state, direction, frame, malformed, out)

    def _preface(self, state: Connection, direction: Direction) -> bool:
        buffer = direction.buffer
        if not buffer.data.startswith(frames.PREFACE[: len(buffer)]):
            direction.lose_sync(anchored=True)
            return True
        if len(buffer) < len(frames.PREFACE):
            return False
        buffer.consume(len(frames.PREFACE))
        direction.begin()
        if state.server.anchored:
            state.server.begin()
        return True

    def _find(self, state: Connection, direction: Direction, out: list[Output]) -> bool:
        """Look for a frame's start. Outputs: a frame at once where the anchor holds, else two in a row."""
        buffer = direction.buffer
        if len(buffer) < HEADER:
            return False
        if direction.anchored:
            direction.anchored = False
            direction.synced = frames.plausible(frames.header(buffer.data), direction.max_frame)
            return True
        at, direction.synced = frames.boundary(buffer.data, direction.max_frame)
        direction.searched += at
        buffer.consume(at)
        if direction.searched > self.limits.buffered:
            connection.give_up(state, f"no HTTP/2 frame in {direction.searched} bytes", self.limits, out)
            return False
        return direction.synced

    def _nonsense(self, state: Connection, direction: Direction, out: list[Output]) -> bool:
        if direction.first:
            connection.give_up(state, "does not begin with an HTTP/2 frame", self.limits, out)
            return False
        direction.lose_sync(anchored=False)
        direction.buffer.consume(1)
        return True

    def _malformed(
        self, state: Connection, direction: Direction, frame: FrameHeader, malformed: Malformed, out: list[Output]
    ) -> bool:
        """Say it, and go on behind the frame: its length held so far."""
        stream = state.streams.get(frame.stream)
        what = f"malformed frame: {frames.error_name(malformed.code)}: {malformed.reason}"
        if stream is None:
            state.odd(what)
        else:
            stream.odd(what)
        if frame.type in _BLOCKS:
            direction.block = None
            direction.table.forget()
        direction.malformed += 1
        if direction.malformed > _MALFORMED_LIMIT:
            connection.give_up(state, f"more than {_MALFORMED_LIMIT} malformed frames", self.limits, out)
            return False
        direction.buffer.consume(HEADER)
        direction.skip = frame.length
        return True

    def _frame(
        self, state: Connection, side: Side, direction: Direction, frame: FrameHeader, out: list[Output]
    ) -> bool:
        if direction.block is not None and (
            frame.type != frames.CONTINUATION or frame.stream != direction.block.stream
        ):
            # §6.10: nothing may come between; what the block would have added to the table is lost.
            direction.block = None
            direction.table.forget()
            state.odd("header block without an end")
        if frame.type == frames.DATA:
            self._begin_data(state, side, direction, frame, out)
        elif frame.type in _BLOCKS or frame.type in _CONTROLS:
            frames.check(frame, BLOCK_LIMIT if frame.type in _BLOCKS else frames.MAX_FRAME)
            if len(direction.buffer) < HEADER + frame.length:
                return False
            self._whole(state, side, direction, frame, out)
        else:
            frames.check(frame)
            direction.buffer.consume(HEADER)
            direction.skip = frame.length
        direction.first = False
        return True

    def _whole(
        self, state: Connection, side: Side, direction: Direction, frame: FrameHeader, out: list[Output]
    ) -> None:
        """A frame that is there as a whole."""
        buffer = direction.buffer
        size = HEADER + frame.length
        typed = frames.parse(frame, bytes(buffer.data[HEADER:size]))
        offset, timestamp, end = buffer.offset, buffer.time_at(buffer.offset), buffer.time_at(buffer.offset + size - 1)
        buffer.consume(size)
        if isinstance(typed, HeadersFrame | PushPromiseFrame):
            direction.block = Block(
                stream=frame.stream,
                offset=offset,
                timestamp=timestamp,
                end=end,
                promised=typed.promised_stream_id if isinstance(typed, PushPromiseFrame) else 0,
                last="END_STREAM" in typed.flags,
            )
        if isinstance(typed, HeadersFrame | PushPromiseFrame | ContinuationFrame):
            block = direction.block
            if block is None:
                # The beginning was lost, or was given up; the table is forgotten already if it was in doubt.
                state.odd("CONTINUATION without HEADERS")
                direction.table.forget()
                return
            block.add(typed.data, size, end)
            if "END_HEADERS" in typed.flags:
                direction.block = None
                connection.header_block(state, side, block, self.limits, out)
        elif isinstance(typed, RstStreamFrame):
            connection.reset(state, side, frame.stream, typed.error_code, self.limits, out)
        elif isinstance(typed, GoAwayFrame):
            connection.go_away(state, side, typed.last_stream_id, typed.error_code, self.limits, out)
        elif isinstance(typed, SettingsFrame):
            limit = typed.settings.get(SettingsFrame.MAX_FRAME_SIZE, 0)
            if limit >= frames.MAX_FRAME:
                state.direction(side.other).max_frame = limit

    def _begin_data(
        self, state: Connection, side: Side, direction: Direction, frame: FrameHeader, out: list[Output]
    ) -> None:
        frames.check(frame)
        if frame.flags & frames.PADDED and not frame.length:
            raise Malformed(1, "padding without a length")
        buffer = direction.buffer
        at = (buffer.offset, buffer.time_at(buffer.offset), buffer.time_at(buffer.offset + HEADER - 1))
        buffer.consume(HEADER)
        direction.data = True
        direction.stream, direction.left = frame.stream, frame.length
        direction.pad = -1 if frame.flags & frames.PADDED else 0
        direction.last = bool(frame.flags & frames.END_STREAM)
        connection.body(state, side, frame.stream, b"", HEADER, at, self.limits)
        if frame.length > direction.max_frame:
            state.odd(f"DATA frame of {frame.length} bytes where {direction.max_frame} are allowed")
        if not direction.left:
            self._data_over(state, side, direction, out)

    def _data(self, state: Connection, side: Side, direction: Direction, out: list[Output]) -> bool:
        """Pass on what is there of a DATA frame."""
        buffer = direction.buffer
        size = min(direction.left, len(buffer)) if direction.pad >= 0 else 1
        at = (-1, buffer.time_at(buffer.offset), buffer.time_at(buffer.offset + size - 1))
        taken = buffer.take(size)
        content = b""
        if direction.pad < 0:
            direction.pad = taken[0]
            if direction.pad >= direction.left:
                state.odd("padding longer than its frame")
        else:
            content = taken[: max(direction.left - direction.pad, 0)]
        direction.left -= size
        connection.body(state, side, direction.stream, content, size, at, self.limits)
        if not direction.left:
            self._data_over(state, side, direction, out)
        return True

    def _data_over(self, state: Connection, side: Side, direction: Direction, out: list[Output]) -> None:
        direction.data = False
        if direction.last:
            connection.end(state, side, direction.stream, self.limits, out)


def _probe_frames(side: Side, head: bytes) -> Probe:
    """Frames from the first byte on: the server's SETTINGS, or a connection that was joined between two frames.

    YES takes two plausible frames in a row (fewer than one of 10^12 random ones) or a header block that can be read;
    the first pseudo-field of a block tells the client from the server.
    """
    at = met = 0
    while len(head) - at >= HEADER:
        frame = frames.header(head, at)
        if not frames.plausible(frame):
            return Probe.NO
        payload = head[at + HEADER : at + HEADER + frame.length]
        whole = len(payload) == frame.length
        if frame.type == frames.PUSH_PROMISE and side is Side.CLIENT:
            return Probe.NO
        if frame.type == frames.HEADERS:
            told = _probe_headers(side, frame, payload, whole)
            if told is not Probe.MAYBE:
                return told
        at += HEADER + frame.length
        met += 1
    if met >= 2:
        return Probe.YES
    return Probe.MAYBE if met or _may_begin(head) else Probe.NO


def _probe_headers(side: Side, frame: FrameHeader, payload: bytes, whole: bool) -> Probe:
    opening = 0
    if frame.flags & frames.PADDED:
        opening += 1
    if frame.flags & frames.PRIORITIZED:
        opening += 5
    whose = frames.opens(payload, opening)
    if whose and whose != ("request" if side is Side.CLIENT else "response"):
        return Probe.NO
    if not whole or not frame.flags & frames.END_HEADERS or frame.flags & frames.PADDED:
        return Probe.MAYBE
    read = decode(joined(), payload[opening:])
    if read.error or not all(_is_name(name) for name, _ in read.fields):
        return Probe.NO
    return Probe.YES if read.fields else Probe.MAYBE


def _is_name(name: str) -> bool:
    return name == UNKNOWN or (name.isascii() and name.isprintable() and name == name.lower() and " " not in name)


def _may_begin(head: bytes) -> bool:
    """Fewer bytes than a frame header has; a length above 16,384 and unknown types are none."""
    return not (head and head[0]) and not (len(head) > 1 and head[1] > 0x40) and not (len(head) > 3 and head[3] > 9)
