"""What happens to packets on the way: lost, late, twice, cut. Applied to recordings of a calm wire."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dpkt

from weir.testing.capturefiles import Packet

Packets = list[Packet]


def segment(packet: Packet) -> Any:
    """The TCP segment of a frame, as dpkt reads it; None if there is none."""
    ip = dpkt.ethernet.Ethernet(packet.frame).data
    found = getattr(ip, "data", None)
    return found if isinstance(found, dpkt.tcp.TCP) else None


def carries(packet: Packet, *, source: int = 0) -> bool:
    """Whether it has payload (and comes from port `source`)."""
    tcp = segment(packet)
    return tcp is not None and len(tcp.data) > 0 and source in (0, tcp.sport)


def at(packet: Packet, ts_ns: int) -> Packet:
    return packet._replace(ts_ns=ts_ns)


def nth(packets: Packets, number: int, wanted: Callable[[Packet], bool]) -> int:
    """Index of the packet that is the `number`th (from 0) of those wanted."""
    return [n for n, packet in enumerate(packets) if wanted(packet)][number]


def without(packets: Packets, *indices: int) -> Packets:
    return [packet for n, packet in enumerate(packets) if n not in indices]


def swapped(packets: Packets, first: int, second: int) -> Packets:
    """Two packets in each other's place, and at each other's time."""
    out = list(packets)
    out[first], out[second] = at(packets[second], packets[first].ts_ns), at(packets[first], packets[second].ts_ns)
    return out


def repeated(packets: Packets, index: int, after_ns: int = 200_000) -> Packets:
    """A packet again, a little later."""
    copy = at(packets[index], packets[index].ts_ns + after_ns)
    return sorted([*packets, copy], key=lambda packet: packet.ts_ns)


def snapped(packets: Packets, length: int) -> Packets:
    """As with `tcpdump -s length`."""
    return [p._replace(frame=p.frame[:length], wire=p.wire or len(p.frame)) for p in packets]


def tagged(packets: Packets, *tags: tuple[int, int]) -> Packets:
    """With VLAN tags (TPID and VLAN), the outer one first."""
    inserted = b"".join(tpid.to_bytes(2, "big") + vlan.to_bytes(2, "big") for tpid, vlan in tags)
    return [p._replace(frame=p.frame[:12] + inserted + p.frame[12:], wire=0) for p in packets]
