"""Layout `records` of `weir.model.packets`: what the readers of capture files make, and the way back into a file."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import msgspec

from weir.model.packets import LINKTYPE_RAW

MAX_CAPLEN = 262_144
"""No recorder writes longer packets (tcpdump's MAXIMUM_SNAPLEN). A longer one means that the file is damaged, and
believing it would make us wait for gigabytes."""

RECORD = struct.Struct("<IIII")
"""Header of a packet: seconds, nanoseconds, captured length, length on the wire."""

NANO = 1_000_000_000
MAX_SECONDS = 0xFFFFFFFF

_RAW_ALIASES = (12, 14)


class Records(msgspec.Struct, frozen=True, kw_only=True):
    """Packets of one link type, in the order of the file."""

    linktype: int
    data: bytes
    """Layout `records`."""
    count: int
    low_ns: int
    """The earliest stamp in `data`; the first one, unless the file is out of order."""
    high_ns: int
    """The latest one."""


class Damage(msgspec.Struct, frozen=True, kw_only=True):
    """Why a file cannot be followed to its end."""

    reason: str
    """`truncated`, `length` or `structure`: for counters."""
    at: int
    """Offset of the record, in bytes of the file as it is without compression."""
    text: str
    """For people."""


class Walked(msgspec.Struct):
    """What a format made of a buffer."""

    records: list[Records]
    used: int
    """Bytes that need not be shown again; more than the buffer has, if bytes that are still to come can be skipped."""
    damage: Damage | None = None


def lie(at: int, claimed: int) -> Damage:
    """A record that claims an impossible length: nothing behind it can be found."""
    return Damage(
        reason="length", at=at,
        text=f"the record at byte {at} claims {claimed} captured bytes, and no more than {MAX_CAPLEN} are possible",
    )


def canonical_linktype(field: int) -> int:
    """LINKTYPE_* of a file's link type field.

    Its upper bits tell about frame check sequences (the lengths in IP headers make them harmless); 12 and 14 are
    DLT_RAW as some systems wrote it instead of LINKTYPE_RAW.
    """
    linktype = field & 0xFFFF
    return LINKTYPE_RAW if linktype in _RAW_ALIASES else linktype


def packets(data: bytes | memoryview) -> Iterator[tuple[int, int, bytes]]:
    """Walk over layout `records`: capture time in ns, length on the wire, and the frame."""
    position = 0
    while position < len(data):
        seconds, nanoseconds, caplen, wirelen = RECORD.unpack_from(data, position)
        position += 16
        yield seconds * NANO + nanoseconds, wirelen, bytes(data[position : position + caplen])
        position += caplen


def pcap_header(linktype: int, snaplen: int = MAX_CAPLEN) -> bytes:
    """Header of a little-endian nanosecond pcap file: blocks of layout `records` follow it as they are."""
    return struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, snaplen, linktype)
