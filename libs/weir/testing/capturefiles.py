"""Capture files for tests, written from the formats' drafts and not from the code that reads them."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import NamedTuple


class Packet(NamedTuple):
    ts_ns: int
    frame: bytes
    wire: int = 0
    """Length on the wire; 0: as captured."""
    interface: int = 0


def pcap(packets: Iterable[Packet], *, order: str = "<", nano: bool = False, linktype: int = 1) -> bytes:
    """A classic file; `order` is `<` or `>`."""
    units = 1 if nano else 1000
    magic = 0xA1B23C4D if nano else 0xA1B2C3D4
    out = bytearray(struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 262144, linktype))
    for p in packets:
        seconds, rest = divmod(p.ts_ns, 10**9)
        out += struct.pack(order + "IIII", seconds, rest // units, len(p.frame), p.wire or len(p.frame)) + p.frame
    return bytes(out)


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    """A pcapng block; the body is padded."""
    body += bytes(-len(body) % 4)
    length = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + length + body + length


def option(code: int, value: bytes, order: str = "<") -> bytes:
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def section(order: str = "<") -> bytes:
    return block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def interface(
    linktype: int = 1, *, order: str = "<", resolution: int | None = None, offset_s: int | None = None, snaplen: int = 0
) -> bytes:
    body = struct.pack(order + "HHI", linktype, 0, snaplen) + option(2, b"eth0", order)
    if resolution is not None:
        body += option(9, bytes((resolution,)), order)
    if offset_s is not None:
        body += option(14, struct.pack(order + "q", offset_s), order)
    return block(1, body + option(0, b"", order), order)


def enhanced(
    stamp: int, frame: bytes, *, number: int = 0, wire: int = 0, order: str = "<", options: bytes = b""
) -> bytes:
    """An enhanced packet block; `stamp` in units of its interface."""
    head = struct.pack(order + "IIIII", number, stamp >> 32, stamp & 0xFFFFFFFF, len(frame), wire or len(frame))
    return block(6, head + frame + bytes(-len(frame) % 4) + options, order)


def pcapng(packets: Iterable[Packet], *, order: str = "<", linktypes: tuple[int, ...] = (1,)) -> bytes:
    """One section; every interface stamps nanoseconds."""
    out = section(order) + b"".join(interface(linktype, order=order, resolution=9) for linktype in linktypes)
    return out + b"".join(
        enhanced(p.ts_ns, p.frame, number=p.interface, wire=p.wire, order=order) for p in packets
    )
