"""Capture files as a stream of bytes: pcap and pcapng in, packets in layout `records` out.

Whoever reads the file (or pipe, or decompressor) feeds the bytes as they come and calls `finish` at their end. What is
no capture file at all is a SourceError; a file that breaks off or lies about a length is followed up to that place,
which `damage` then tells. Nothing here looks into a packet.
"""

from __future__ import annotations

from typing import NoReturn, Protocol

from weir.errors import SourceError
from weir.net import pcap, pcapng
from weir.net.records import Damage, Records, Walked

HINT = "weir reads pcap and pcapng, plain or compressed with gzip or zstd; `file NAME` tells what this is"


CHUNK = 512 * 1024
"""Bytes that are asked for at once: one chunk of a file becomes one block."""

_CAPACITY = 4 * CHUNK
"""Holds a chunk behind the longest record that is believed."""


class Format(Protocol):
    """One file format: walks over whole records."""

    @property
    def title(self) -> str: ...
    @property
    def lost(self) -> int: ...

    def walk(self, buffer: bytearray, end: int, at: int) -> Walked:
        """The whole records in `buffer[:end]`, which begins at byte `at` of the file. What was used may be changed."""
        ...


class CaptureFile:
    """Follows one capture file in one buffer of fixed size: new memory for every chunk would cost as much as the walk.

    `readinto` the view that `room` gives and tell `took` how many bytes came, or use `feed`; then `finish`.
    """

    def __init__(self, name: str = "the input") -> None:
        self.name = name
        self.packets = 0
        """Packets that were given."""
        self.damage: Damage | None = None
        self._format: Format | None = None
        self._buffer = bytearray(_CAPACITY)
        self._end = 0
        self._at = 0
        self._skip = 0

    @property
    def title(self) -> str:
        """`pcap, little-endian, µs`; empty before the first bytes were taken."""
        return self._format.title if self._format else ""

    @property
    def lost(self) -> int:
        """Packets that the recorder says it lost, so far."""
        return self._format.lost if self._format else 0

    def room(self) -> memoryview:
        """Where the next bytes go: at most a chunk, never empty."""
        return memoryview(self._buffer)[self._end : min(self._end + CHUNK, _CAPACITY)]

    def took(self, count: int) -> list[Records]:
        """`count` bytes were put into `room`: the packets that became whole. What follows damage is ignored."""
        if self.damage:
            return []
        self._end += count
        if self._skip:
            skipped = min(self._skip, self._end)
            self._skip -= skipped
            self._drop(skipped)
            if self._skip:
                return []
        if self._format is None:
            self._format, header = _recognise(bytes(self._buffer[: min(self._end, pcap.HEADER)]), self.name)
            if self._format is None:
                return []
            self._drop(header)
        walked = self._format.walk(self._buffer, self._end, self._at)
        self._skip = max(walked.used - self._end, 0)
        self._drop(walked.used - self._skip)
        self.damage = walked.damage
        self.packets += sum(r.count for r in walked.records)
        return walked.records

    def feed(self, data: bytes) -> list[Records]:
        """The same for bytes that are at hand."""
        found: list[Records] = []
        while data and not self.damage:
            room = self.room()
            part, data = data[: len(room)], data[len(room) :]
            room[: len(part)] = part
            found += self.took(len(part))
        return found

    def finish(self) -> None:
        """The bytes are over: whatever is left is a record that was cut."""
        if self._format is None:
            _refuse(bytes(self._buffer[: self._end]), self.name)
        if (self._end or self._skip) and not self.damage:
            self.damage = Damage(
                reason="truncated", at=self._at, text=f"the file breaks off in the record at byte {self._at}"
            )

    def _drop(self, count: int) -> None:
        """The first `count` bytes of the buffer are done with."""
        if count:
            self._buffer[: self._end - count] = self._buffer[count : self._end]
            self._end -= count
            self._at += count


def _recognise(head: bytes, name: str) -> tuple[Format | None, int]:
    """The format and the size of its file header; None while it cannot be told yet."""
    magic = head[:4]
    if magic == pcapng.MAGIC:
        if len(head) < 12:
            return None, 0
        pcapng.check_head(head, name)
        return pcapng.Pcapng(), 0
    if magic in pcap.MAGICS:
        return (pcap.Pcap(head), pcap.HEADER) if len(head) >= pcap.HEADER else (None, 0)
    if len(head) < 4 and any(known.startswith(head) for known in (*pcap.MAGICS, pcapng.MAGIC)):
        return None, 0
    raise SourceError(f"{name} is not a capture file: it begins with {head[:8].hex(' ')}", hint=HINT)


def _refuse(head: bytes, name: str) -> NoReturn:
    if not head:
        raise SourceError(f"{name} is empty", hint="was the recorder stopped before it wrote its header?")
    raise SourceError(f"{name} ends inside its file header, after {len(head)} bytes", hint=HINT)
