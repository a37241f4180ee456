"""Reading frames: a position in bytes that asks for more instead of running over the end.

`NeedMore` says that a frame is not complete yet, `Invalid` that these bytes are not a frame. Nothing else is ever
raised here, whatever the bytes. A cursor over a complete unit (a datagram, a frame whose length was read) is
`closed`: running out of it is `Invalid`, because no more will come.
"""

from __future__ import annotations

import struct

_U16, _U32, _U64 = struct.Struct("!H"), struct.Struct("!I"), struct.Struct("!Q")
_I16, _I32, _I64 = struct.Struct("!h"), struct.Struct("!i"), struct.Struct("!q")
_U16LE, _U32LE, _U64LE = struct.Struct("<H"), struct.Struct("<I"), struct.Struct("<Q")


class NeedMore(Exception):
    """The frame goes on: come again when at least `total` bytes from its beginning are there (0: any more)."""

    def __init__(self, total: int = 0) -> None:
        super().__init__(total)
        self.total = total


class Invalid(Exception):
    """These bytes are not a frame of the protocol."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Cursor:
    """Reads `data` from `pos` to `end`; `start` is where the frame began, for `NeedMore.total`."""

    __slots__ = ("closed", "data", "end", "pos", "start")

    def __init__(
        self, data: bytes | bytearray, pos: int = 0, end: int | None = None, *, closed: bool = False
    ) -> None:
        self.data = data
        self.pos = self.start = pos
        self.end = len(data) if end is None else end
        self.closed = closed

    @property
    def left(self) -> int:
        """Bytes between the position and the end."""
        return self.end - self.pos

    @property
    def read(self) -> int:
        """Bytes between the beginning of the frame and the position."""
        return self.pos - self.start

    def want(self, n: int) -> int:
        """Move on by `n` bytes; answers where they begin."""
        pos = self.pos
        if n < 0:
            raise Invalid("negative length")
        if pos + n > self.end:
            if self.closed:
                raise Invalid("ends early")
            raise NeedMore(pos + n - self.start)
        self.pos = pos + n
        return pos

    def take(self, n: int) -> bytes:
        at = self.want(n)
        return bytes(self.data[at : at + n])

    def peek(self, n: int) -> bytes:
        """Up to `n` bytes without moving; fewer at the end."""
        return bytes(self.data[self.pos : min(self.pos + n, self.end)])

    def rest(self) -> bytes:
        """All that is left."""
        return self.take(self.left)

    def skip(self, n: int) -> None:
        self.want(n)

    def sub(self, n: int) -> Cursor:
        """A closed cursor over the next `n` bytes, which this one passes over."""
        at = self.want(n)
        return Cursor(self.data, at, at + n, closed=True)

    def u8(self) -> int:
        return self.data[self.want(1)]

    def u16(self) -> int:
        value: int = _U16.unpack_from(self.data, self.want(2))[0]
        return value

    def u24(self) -> int:
        at = self.want(3)
        return int.from_bytes(self.data[at : at + 3])

    def u32(self) -> int:
        value: int = _U32.unpack_from(self.data, self.want(4))[0]
        return value

    def u64(self) -> int:
        value: int = _U64.unpack_from(self.data, self.want(8))[0]
        return value

    def i16(self) -> int:
        value: int = _I16.unpack_from(self.data, self.want(2))[0]
        return value

    def i32(self) -> int:
        value: int = _I32.unpack_from(self.data, self.want(4))[0]
        return value

    def i64(self) -> int:
        value: int = _I64.unpack_from(self.data, self.want(8))[0]
        return value

    def u16le(self) -> int:
        value: int = _U16LE.unpack_from(self.data, self.want(2))[0]
        return value

    def u24le(self) -> int:
        at = self.want(3)
        return int.from_bytes(self.data[at : at + 3], "little")

    def u32le(self) -> int:
        value: int = _U32LE.unpack_from(self.data, self.want(4))[0]
        return value

    def u64le(self) -> int:
        value: int = _U64LE.unpack_from(self.data, self.want(8))[0]
        return value

    def varint(self) -> int:
        """Unsigned LEB128 (protocol buffers, Kafka): seven bits a byte, the lowest first, at most 64 bits."""
        value = 0
        for shift in range(0, 70, 7):
            byte = self.u8()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                if value >> 64:
                    break
                return value
        raise Invalid("variable-length integer above 64 bits")

    def line(self, limit: int = 65536) -> bytes:
        """Up to the next line feed, without it and a carriage return before it; longer than `limit` is invalid."""
        at = self.data.find(b"\n", self.pos, self.end)
        if at < 0:
            if self.left > limit:
                raise Invalid(f"line above {limit} bytes")
            if self.closed:
                raise Invalid("ends early")
            raise NeedMore
        if at - self.pos > limit:
            raise Invalid(f"line above {limit} bytes")
        line = bytes(self.data[self.pos : at])
        self.pos = at + 1
        return line[:-1] if line.endswith(b"\r") else line
