"""HTTP/2 frames (RFC 9113 §4, §6): the nine bytes of a header, what is plausible, and typed payloads by hyperframe.

Headers are walked here because DATA, most of the bytes, is streamed and never held as a frame, and because a frame's
start must be recognised in the middle of a stream; whatever has a structure is parsed by hyperframe.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from hyperframe.exceptions import HyperframeError
from hyperframe.frame import Frame

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADER = 9
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITIZED = 0x1, 0x1, 0x4, 0x8, 0x20
MAX_FRAME = 16_384
"""SETTINGS_MAX_FRAME_SIZE until a peer raises it."""
SEARCHED_FRAME = 65_535
"""Longest frame that is recognised in the middle of a stream: so much may have to be held to be sure of one."""

ERRORS = (
    "NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED",
    "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED",
)

_HEADER = struct.Struct("!HBBBI")
# Type: defined flags, least and greatest length, on a stream (None: either).
_RULES: dict[int, tuple[int, int, int, bool | None]] = {
    DATA: (END_STREAM | PADDED, 0, MAX_FRAME, True),
    HEADERS: (END_STREAM | END_HEADERS | PADDED | PRIORITIZED, 1, MAX_FRAME, True),
    PRIORITY: (0, 5, 5, True),
    RST_STREAM: (0, 4, 4, True),
    SETTINGS: (ACK, 0, 384, False),
    PUSH_PROMISE: (END_HEADERS | PADDED, 5, MAX_FRAME, True),
    PING: (ACK, 8, 8, False),
    GOAWAY: (0, 8, MAX_FRAME, False),
    WINDOW_UPDATE: (0, 4, 4, None),
    CONTINUATION: (END_HEADERS, 0, MAX_FRAME, True),
}
_EXACT = {PRIORITY: 5, RST_STREAM: 4, PING: 8, WINDOW_UPDATE: 4}


class FrameHeader(NamedTuple):
    length: int
    type: int
    flags: int
    stream: int
    reserved: int = 0
    """The bit before the stream, which a sender leaves at 0 and a receiver ignores (§4.1)."""


class Malformed(Exception):
    """A frame that RFC 9113 forbids; `code` is the error that an endpoint would answer with (§7)."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


def error_name(code: int) -> str:
    return ERRORS[code] if code < len(ERRORS) else f"error {code:#x}"


def header(data: bytes | bytearray, at: int = 0) -> FrameHeader:
    """The frame header at `at`; nine bytes must be there."""
    high, low, kind, flags, stream = _HEADER.unpack_from(data, at)
    return FrameHeader(high << 8 | low, kind, flags, stream & 0x7FFFFFFF, stream >> 31)


def plausible(frame: FrameHeader, max_frame: int = MAX_FRAME) -> bool:
    """Whether somebody may have written this header: the known types, with lengths, flags and streams that fit.

    Fewer than one of a million random headers pass.
    """
    rule = _RULES.get(frame.type)
    if rule is None or frame.reserved:
        return False
    flags, least, most, on_stream = rule
    if most == MAX_FRAME:
        most = max_frame
    if frame.flags & ~flags or not least <= frame.length <= most:
        return False
    if on_stream is not None and on_stream != (frame.stream > 0):
        return False
    if frame.type == SETTINGS:
        return frame.length == 0 if frame.flags & ACK else frame.length % 6 == 0
    return True


def parse(frame: FrameHeader, payload: bytes) -> Frame:
    """The frame as hyperframe reads it. Raises `Malformed`."""
    check(frame)
    try:
        typed, _ = Frame.parse_frame_header(
            memoryview(_HEADER.pack(frame.length >> 8, frame.length & 0xFF, frame.type, frame.flags, frame.stream))
        )
        typed.parse_body(memoryview(payload))
    except HyperframeError as error:
        raise Malformed(1, str(error)) from error
    return typed


def check(frame: FrameHeader, max_frame: int = (1 << 24) - 1) -> None:
    """Raises `Malformed` for a header with a length that its type or `max_frame` forbids (§4.2), or with a stream
    where its type has none or the other way round."""
    exact = _EXACT.get(frame.type)
    wrong = (
        frame.length > max_frame
        or (exact is not None and frame.length != exact)
        or (frame.type == SETTINGS and (frame.length % 6 or (frame.flags & ACK and frame.length)))
        or (frame.type == GOAWAY and frame.length < 8)
    )
    if wrong:
        raise Malformed(6, f"frame of type {frame.type} with {frame.length} bytes")
    rule = _RULES.get(frame.type)
    if rule is not None and rule[3] is not None and rule[3] != (frame.stream > 0):
        raise Malformed(1, f"frame of type {frame.type} on stream {frame.stream}")


def boundary(data: bytes | bytearray, max_frame: int = MAX_FRAME) -> tuple[int, bool]:
    """The first place where two plausible frames follow one another, and whether that is certain.

    (place, True): found. (place, False): nothing before `place` is a frame's start, and more bytes are needed to tell
    about it. The answer for a place never changes when bytes are added, so it does not depend on their split.
    """
    size = len(data)
    max_frame = min(max_frame, SEARCHED_FRAME)
    for at in range(max(size - HEADER + 1, 0)):
        if data[at]:
            continue
        first = header(data, at)
        if not plausible(first, max_frame):
            continue
        after = at + HEADER + first.length
        if size < after + HEADER:
            return at, False
        if plausible(header(data, after), max_frame):
            return at, True
    return max(size - HEADER + 1, 0), False


def opens(block: bytes | bytearray, at: int = 0) -> str:
    """Whose message a header block begins, by its first field: `request`, `response`, or empty if it does not tell.

    The pseudo-fields stand first (RFC 9113 §8.3) and have the indexes 1 to 14 of the static table.
    """
    while at < len(block) and block[at] & 0xE0 == 0x20:  # dynamic table size update
        if block[at] == 0x3F:
            at += 1
            while at < len(block) and block[at] & 0x80:
                at += 1
        at += 1
    if at >= len(block):
        return ""
    byte = block[at]
    index = byte & 0x7F if byte & 0x80 else byte & 0x3F if byte & 0x40 else byte & 0x0F
    if 1 <= index <= 7:
        return "request"
    return "response" if 8 <= index <= 14 else ""
