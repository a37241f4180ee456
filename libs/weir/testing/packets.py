"""Packets and packet blocks for tests, made from the RFCs and not from the code that reads them."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from weir.model.packets import PacketBlock
from weir.model.segments import ACK, SegmentBlock

START_NS = 1_700_000_000_000_000_000


def address(text: str) -> bytes:
    return ipaddress.ip_address(text).packed


def ethernet(payload: bytes, kind: int = 0x0800, tags: Sequence[tuple[int, int]] = ()) -> bytes:
    """`tags`: (TPID, TCI), the outer one first."""
    head = bytes.fromhex("020000000002 020000000001")
    for tpid, tci in tags:
        head += struct.pack("!HH", tpid, tci)
    return head + struct.pack("!H", kind) + payload


def internet_checksum(data: bytes) -> int:
    data += b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total >> 16) + (total & 0xFFFF)
    return total ^ 0xFFFF


def ipv4(
    src: str, dst: str, protocol: int, payload: bytes, *, ident: int = 0, fragment: int = 0, total: int | None = None,
    options: bytes = b"",
) -> bytes:
    """`fragment`: the 16 bits of flags and offset."""
    length = 20 + len(options) + len(payload) if total is None else total
    words = 0x40 | (5 + len(options) // 4)
    head = struct.pack("!BBHHHBBH", words, 0, length, ident, fragment, 64, protocol, 0)
    head += address(src) + address(dst) + options
    return head[:10] + struct.pack("!H", internet_checksum(head)) + head[12:] + payload


def ipv6(src: str, dst: str, following: int, payload: bytes, *, length: int | None = None) -> bytes:
    size = len(payload) if length is None else length
    return struct.pack("!IHBB", 6 << 28, size, following, 64) + address(src) + address(dst) + payload


def tcp(
    sport: int, dport: int, payload: bytes = b"", *, flags: int = ACK, seq: int = 0, ack: int = 0, options: bytes = b""
) -> bytes:
    words = (5 + len(options) // 4) << 4
    return struct.pack("!HHIIBBHHH", sport, dport, seq, ack, words, flags, 65535, 0, 0) + options + payload


def udp(sport: int, dport: int, payload: bytes = b"", *, length: int | None = None) -> bytes:
    return struct.pack("!HHHH", sport, dport, 8 + len(payload) if length is None else length, 0) + payload


def icmp(kind: int, code: int, rest: bytes = b"") -> bytes:
    """`rest`: what follows the first eight bytes, for an error the quoted packet."""
    return struct.pack("!BBHI", kind, code, 0, 0) + rest


class Seen(NamedTuple):
    """A frame as a ring shows it."""

    frame: bytes
    ts_ns: int = START_NS
    wire: int = 0
    """Length on the wire; 0: as captured."""
    interface: int = 1
    hatype: int = 1
    pkttype: int = 0
    protocol: int = 0x0800
    link_header: int = 14
    tag: tuple[int, int] | None = None
    """TPID (0: not told) and TCI of a VLAN tag that the kernel took out."""


def block(frames: Iterable[Seen | bytes], **fields: Any) -> PacketBlock:
    """A packet block of layout `records` (or `tpacket3`, if `layout` says so)."""
    seen = [f if isinstance(f, Seen) else Seen(f) for f in frames]
    data = (_ring if fields.get("layout") == "tpacket3" else _records)(seen)
    values = {
        "node": "node", "ring": 0, "run": 1, "sequence": 0, "count": len(seen), "data": data,
        "clock_ns": max((f.ts_ns for f in seen), default=START_NS),
    }
    return PacketBlock(**{**values, **fields})


def _records(seen: Sequence[Seen]) -> bytes:
    return b"".join(
        struct.pack("<IIII", *divmod(f.ts_ns, 10**9), len(f.frame), f.wire or len(f.frame)) + f.frame for f in seen
    )


def _ring(seen: Sequence[Seen]) -> bytes:
    """linux/if_packet.h: struct tpacket3_hdr, struct sockaddr_ll, and the packet at tp_mac."""
    parts = []
    for n, f in enumerate(seen):
        mac = 48 + 20 + 14
        size = -(-(mac + len(f.frame)) // 16) * 16
        after = size if n + 1 < len(seen) else 0
        tpid, tci = f.tag or (0, 0)
        status = 1 | (0x10 if f.tag else 0) | (0x40 if tpid else 0)
        head = struct.pack(
            "<IIIIIIHHIIHH8x", after, *divmod(f.ts_ns, 10**9), len(f.frame), f.wire or len(f.frame), status, mac,
            mac + f.link_header, 0, tci, tpid, 0,
        )
        family = struct.pack("<H", 17) + struct.pack("!H", f.protocol)
        family += struct.pack("<iHBB8x", f.interface, f.hatype, f.pkttype, 6)
        parts.append((head + family + bytes(14) + f.frame).ljust(size, b"\0"))
    return b"".join(parts)


class Segment(NamedTuple):
    """One row of a segment block, for people who compare."""

    src: str
    sport: int
    dst: str
    dport: int
    ts_ns: int
    protocol: int
    flags: int
    seq: int
    ack: int
    payload: bytes
    payload_wire: int
    frame: bytes
    frame_wire: int
    packet: int
    """Index within the packet block."""
    outline: bool


_COLUMNS = (
    ("flow", "I"), ("ts_ns", "q"), ("protocol", "B"), ("flags", "H"), ("seq", "I"), ("ack", "I"), ("payload_at", "I"),
    ("payload_len", "I"), ("payload_wire", "I"), ("frame_at", "I"), ("frame_len", "I"), ("frame_wire", "I"),
    ("index", "I"),
)


def rows(segments: SegmentBlock) -> list[Segment]:
    """The rows of a segment block."""
    column = {name: struct.unpack(f"<{segments.count}{code}", getattr(segments, name)) for name, code in _COLUMNS}
    made = []
    for n in range(segments.count):
        row = {name: values[n] for name, values in column.items()}
        flow = segments.flows[row["flow"]]
        payload_end, frame_end = row["payload_at"] + row["payload_len"], row["frame_at"] + row["frame_len"]
        assert row["frame_at"] <= row["payload_at"] <= payload_end <= frame_end <= len(segments.frames)
        made.append(
            Segment(
                str(ipaddress.ip_address(flow.src)), flow.sport, str(ipaddress.ip_address(flow.dst)), flow.dport,
                row["ts_ns"], row["protocol"], row["flags"], row["seq"], row["ack"],
                bytes(segments.frames[row["payload_at"] : payload_end]), row["payload_wire"],
                bytes(segments.frames[row["frame_at"] : frame_end]), row["frame_wire"], row["index"], flow.outline,
            )
        )
    return made
