"""Bytes of one direction that were fed but not consumed, and when each of them was captured.

Plain values, so that decode can save it. The ceiling on its length is kept by whoever appends, because only they know
what to give up; the marks have a ceiling of their own here.
"""

from __future__ import annotations

from bisect import bisect_right

import msgspec

MARKS = 4096
"""Capture times that are kept for one buffer. Above it (thousands of tiny segments held back) every second one is
forgotten: a time then is that of an earlier segment, and the coarser the longer ago it was."""


class Buffer(msgspec.Struct):
    """A window of a stream: `data` begins at stream offset `offset`."""

    data: bytearray = msgspec.field(default_factory=bytearray)
    offset: int = 0
    at: list[int] = []
    """Stream offsets from which `times` hold, ascending; the first is not after `offset`."""
    times: list[int] = []
    """Capture times, ns since epoch."""

    def __len__(self) -> int:
        return len(self.data)

    @property
    def end(self) -> int:
        """Stream offset behind the last byte."""
        return self.offset + len(self.data)

    def append(self, data: bytes, offset: int, timestamp: int) -> None:
        """Add bytes that were captured at one time. An empty buffer takes over their offset; else it counts on."""
        if not self.data:
            self.reset(offset)
        if not self.times or self.times[-1] != timestamp:
            if len(self.times) >= MARKS:
                del self.at[1::2], self.times[1::2]
            self.at.append(self.end)
            self.times.append(timestamp)
        self.data += data

    def time_at(self, offset: int) -> int:
        """Capture time of the byte at this stream offset; 0 if nothing was ever appended."""
        if not self.times:
            return 0
        return self.times[max(bisect_right(self.at, offset) - 1, 0)]

    def take(self, n: int) -> bytes:
        """Consume `n` bytes and give them."""
        with memoryview(self.data) as view:
            taken = bytes(view[:n])
        self.consume(n)
        return taken

    def consume(self, n: int) -> None:
        del self.data[:n]
        self.offset += n
        old = bisect_right(self.at, self.offset) - 1
        if old > 0:
            del self.at[:old], self.times[:old]

    def reset(self, offset: int) -> None:
        """Forget everything; the next byte is at `offset`."""
        self.data.clear()
        self.offset = offset
        self.at.clear()
        self.times.clear()
