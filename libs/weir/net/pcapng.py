"""The pcapng format: blocks, several sections and interfaces, each with its link type and resolution.

https://www.ietf.org/archive/id/draft-ietf-opsawg-pcapng-02.html (section numbers below). Packets of one buffer are
gathered by link type, so their order holds within a link type; a conversation has one. Name resolution, secrets and
custom blocks are skipped, however long they are.
"""

from __future__ import annotations

import struct

import msgspec

from weir.errors import SourceError
from weir.net.records import (
    MAX_CAPLEN,
    MAX_SECONDS,
    NANO,
    RECORD,
    Damage,
    Records,
    Walked,
    canonical_linktype,
    lie,
)

MAGIC = bytes.fromhex("0a0d0d0a")
_ORDERS = {bytes.fromhex("4d3c2b1a"): "<", bytes.fromhex("1a2b3c4d"): ">"}

_SECTION, _INTERFACE, _OLD_PACKET, _SIMPLE, _STATISTICS, _PACKET = 0x0A0D0D0A, 1, 2, 3, 5, 6
_TSRESOL, _TSOFFSET = 9, 14
_IFDROP, _OSDROP = 5, 7

_MAX_OPTIONS = 1 << 20
"""Bytes that options may add to a block that is read as a whole: nobody writes megabytes of them."""
_MAX_INTERFACES = 65_536
"""Interfaces of one section; each takes memory, and a file can declare one in 20 bytes."""
_LATEST = MAX_SECONDS * NANO + NANO - 1


class _Interface(msgspec.Struct):
    linktype: int
    snaplen: int
    units: int = 1_000_000
    """Stamps count these parts of a second."""
    offset_ns: int = 0
    lost: int = 0

    def nanoseconds(self, stamp: int) -> int:
        return min(max(stamp * NANO // self.units + self.offset_ns, 0), _LATEST)


class _Lane(msgspec.Struct):
    """Packets of one link type on their way out."""

    parts: list[bytes | bytearray]
    count: int
    low: int
    high: int


class Pcapng:
    """One pcapng file."""

    def __init__(self) -> None:
        self._order = "<"
        self._interfaces: list[_Interface] = []
        self._closed_lost = 0
        self._stamp = 0
        self._lanes: dict[int, _Lane] = {}
        self._set_order("<")

    @property
    def title(self) -> str:
        return f"pcapng, {'little' if self._order == '<' else 'big'}-endian, {len(self._interfaces)} interfaces"

    @property
    def lost(self) -> int:
        """Packets that the recorder says it lost (interface statistics, section 4.6)."""
        return self._closed_lost + sum(i.lost for i in self._interfaces)

    def walk(self, buffer: bytearray, end: int, at: int) -> Walked:
        """See `weir.net.pcapfile.Format`."""
        position, damage = 0, None
        while position + 12 <= end and damage is None:
            if buffer[position : position + 4] == MAGIC:
                order = _ORDERS.get(bytes(buffer[position + 8 : position + 12]))
                if order is None:
                    damage = _bad(at + position, "has a byte-order magic that does not exist")
                    break
                self._set_order(order)
            kind, length = self._head(buffer, position)
            if length < 12:
                damage = _bad(at + position, f"claims a length of {length} bytes")
            elif kind not in _WHOLE:
                position += length
            elif length > MAX_CAPLEN + _MAX_OPTIONS:
                damage = lie(at + position, length)
            elif position + length > end:
                break
            elif self._tail(buffer, position + length - 4)[0] != length:
                damage = _bad(at + position, "has two different lengths")
            else:
                damage = self._block(kind, buffer, position, length, at)
                position += 0 if damage else length
        return Walked(self._take(), position, damage)

    def _set_order(self, order: str) -> None:
        self._order = order
        self._head = struct.Struct(order + "II").unpack_from
        self._tail = struct.Struct(order + "I").unpack_from
        self._packet_head = struct.Struct(order + "IIIII").unpack_from

    def _block(self, kind: int, buffer: bytearray, position: int, length: int, at: int) -> Damage | None:
        """Take one whole block in; `position` is where it begins."""
        if length < _WHOLE[kind]:
            return _bad(at + position, f"is too short for its type {kind}")
        if kind in (_PACKET, _OLD_PACKET):
            return self._packet(kind, buffer, position, length, at)
        if kind == _SIMPLE:
            return self._simple(buffer, position, length, at)
        if kind == _INTERFACE:
            if len(self._interfaces) >= _MAX_INTERFACES:
                return _bad(at + position, f"declares more than {_MAX_INTERFACES} interfaces")
            self._interfaces.append(self._interface(buffer, position, length))
        elif kind == _STATISTICS:
            self._statistics(buffer, position, length)
        else:
            self._closed_lost = self.lost
            self._interfaces = []
        return None

    def _packet(self, kind: int, buffer: bytearray, position: int, length: int, at: int) -> Damage | None:
        """Enhanced packet block (section 4.3), or its forerunner (appendix A), whose interface is 16 bits wide."""
        number, high, low, caplen, wirelen = self._packet_head(buffer, position + 8)
        if kind == _OLD_PACKET:
            number = struct.unpack_from(self._order + "H", buffer, position + 8)[0]
        if caplen > MAX_CAPLEN or caplen > length - 32:
            return lie(at + position, caplen)
        if number >= len(self._interfaces):
            return _bad(at + position, f"belongs to interface {number}, which was not declared")
        interface = self._interfaces[number]
        self._stamp = interface.nanoseconds(high << 32 | low)
        self._add(interface.linktype, wirelen, buffer[position + 28 : position + 28 + caplen])
        return None

    def _simple(self, buffer: bytearray, position: int, length: int, at: int) -> Damage | None:
        """Simple packet block (section 4.4): no stamp of its own, so it has the one before it."""
        if not self._interfaces:
            return _bad(at + position, "is a packet before any interface was declared")
        interface = self._interfaces[0]
        wirelen = self._tail(buffer, position + 8)[0]
        caplen = min(wirelen, interface.snaplen or wirelen, length - 16)
        if caplen > MAX_CAPLEN:
            return lie(at + position, caplen)
        self._add(interface.linktype, wirelen, buffer[position + 12 : position + 12 + caplen])
        return None

    def _interface(self, buffer: bytearray, position: int, length: int) -> _Interface:
        """Interface description block (section 4.2)."""
        linktype, _, snaplen = struct.unpack_from(self._order + "HHI", buffer, position + 8)
        interface = _Interface(canonical_linktype(linktype), snaplen)
        for code, value in self._options(buffer, position + 16, position + length - 4):
            if code == _TSRESOL and len(value) == 1:
                interface.units = 2 ** (value[0] & 0x7F) if value[0] & 0x80 else 10 ** value[0]
            elif code == _TSOFFSET and len(value) == 8:
                interface.offset_ns = struct.unpack(self._order + "q", value)[0] * NANO
        return interface

    def _statistics(self, buffer: bytearray, position: int, length: int) -> None:
        """Interface statistics block (section 4.6): totals since the start, the last one counts."""
        number = self._tail(buffer, position + 8)[0]
        if number < len(self._interfaces):
            self._interfaces[number].lost = sum(
                struct.unpack(self._order + "Q", value)[0]
                for code, value in self._options(buffer, position + 20, position + length - 4)
                if code in (_IFDROP, _OSDROP) and len(value) == 8
            )

    def _options(self, buffer: bytearray, position: int, end: int) -> list[tuple[int, bytes]]:
        """Section 3.5; a list that runs out of its block ends there."""
        found = []
        while position + 4 <= end:
            code, size = struct.unpack_from(self._order + "HH", buffer, position)
            if code == 0 or position + 4 + size > end:
                break
            found.append((code, bytes(buffer[position + 4 : position + 4 + size])))
            position += 4 + (size + 3) // 4 * 4
        return found

    def _add(self, linktype: int, wirelen: int, frame: bytearray) -> None:
        stamp = self._stamp
        lane = self._lanes.get(linktype)
        if lane is None:
            lane = self._lanes[linktype] = _Lane([], 0, stamp, stamp)
        seconds, nanoseconds = divmod(stamp, NANO)
        lane.parts += (RECORD.pack(seconds, nanoseconds, len(frame), wirelen), frame)
        lane.count += 1
        if stamp >= lane.high:
            lane.high = stamp
        elif stamp < lane.low:
            lane.low = stamp

    def _take(self) -> list[Records]:
        lanes, self._lanes = self._lanes, {}
        return [
            Records(linktype=linktype, data=b"".join(lane.parts), count=lane.count, low_ns=lane.low, high_ns=lane.high)
            for linktype, lane in lanes.items()
        ]


_WHOLE = {_SECTION: 28, _INTERFACE: 20, _OLD_PACKET: 32, _SIMPLE: 16, _STATISTICS: 24, _PACKET: 32}
"""Blocks that are read, and their smallest lengths; all others are skipped."""


def check_head(head: bytes, name: str) -> None:
    """Refuse what only looks like pcapng; `head` has at least 12 bytes."""
    if head[8:12] not in _ORDERS:
        raise SourceError(
            f"{name} begins like pcapng, but its byte-order magic is {head[8:12].hex()}",
            hint="the file is damaged or of another kind; `file NAME` tells what it is",
        )


def _bad(at: int, text: str) -> Damage:
    return Damage(reason="structure", at=at, text=f"the block at byte {at} {text}")
