"""One packet's headers, from the link layer to the transport: who, in which direction, and where the payload lies.

Tunnels (VXLAN, Geneve, GRE, IP in IP) are looked into: where a whole inner packet is found, the packet counts as that
inner packet, and the outer one as nothing. An overlay network shows the same packet inside its tunnel on the node's
interface and bare on the pod's; both then have one identity, and ownership keeps one of the copies. Counting the outer
packets too would show every call a second time as one huge UDP conversation between two nodes. The network scope stays
the capturing ring's: overlay addresses are routable within the cluster. What only looks like a tunnel (right port, no
such header or no IP inside) is an ordinary datagram.
"""

from __future__ import annotations

from typing import NamedTuple

from weir.engine.api import Drop
from weir.model.flow import ICMP, ICMP6, TCP, UDP
from weir.model.packets import LINKTYPE_ETHERNET
from weir.net.ip import GRE, IPIP, IPV6_IN_IP, Flaw, Ip, parse_ip
from weir.net.link import CUT, ETHERTYPE_TEB, NOT_IP, UNKNOWN_LINK, Buffer, network_header
from weir.net.transport import gre_tunnel, icmp_error, parse_ports, parse_tcp, parse_udp, udp_tunnel

MAX_TUNNELS = 4
"""Tunnels within tunnels; deeper ones are made to keep a parser busy."""

_LINK_DROPS = {NOT_IP: Drop.NOT_IP, CUT: Drop.MALFORMED_LINK, UNKNOWN_LINK: Drop.UNKNOWN_LINK}


class Headers(NamedTuple):
    """What the headers of a packet tell. Offsets are into the buffer that was read."""

    kind: int
    """Value of the column `protocol`: 6, 17, or 1 or 58 for an ICMP error."""
    protocol: int
    """Of the flow: 6 or 17; for an ICMP error, of the packet that it quotes."""
    src: bytes
    dst: bytes
    sport: int
    dport: int
    flags: int
    seq: int
    ack: int
    payload_at: int
    payload_len: int
    payload_wire: int
    version: int
    """IP version of the (innermost) packet."""
    tunnels: int


class Piece(NamedTuple):
    """A fragment, and the packet in which it came."""

    ip: Ip
    tunnels: int
    frame_at: int


def read_headers(link: int, data: Buffer, at: int, captured: int, wire: int) -> Headers | Piece | Drop:
    """Read the frame of `captured` bytes at `at`, which had `wire` bytes on the wire."""
    end = at + captured
    ethertype, network_at = network_header(link, data, at, end)
    if ethertype <= 0:
        return _link_drop(ethertype, captured, wire)
    return read_network(data, network_at, end, at + wire, at, 0)


def _link_drop(ethertype: int, captured: int, wire: int) -> Drop:
    if ethertype == CUT and captured < wire:
        return Drop.SNAPPED_HEADERS
    return _LINK_DROPS[ethertype]


def read_network(data: Buffer, at: int, end: int, wire_end: int, frame_at: int, tunnels: int) -> Headers | Piece | Drop:
    """Read from a network header on."""
    ip = parse_ip(data, at, end, wire_end)
    if isinstance(ip, Flaw):
        return _flawed(ip, Drop.MALFORMED_IP)
    if ip.fragment is not None:
        return Piece(ip, tunnels, frame_at)
    # Bytes beyond the IP length are padding of the link layer.
    end = min(end, ip.stop)
    if ip.protocol == TCP:
        return _tcp(data, ip, end, tunnels)
    if ip.protocol == UDP:
        return _udp(data, ip, end, frame_at, tunnels)
    if ip.protocol == (ICMP if ip.version == 4 else ICMP6):
        return _icmp(data, ip, end, tunnels)
    if tunnels < MAX_TUNNELS:
        return _tunnel(data, ip, end, frame_at, tunnels)
    return Drop.OTHER_TRANSPORT


def _flawed(flaw: Flaw, malformed: Drop) -> Drop:
    return Drop.SNAPPED_HEADERS if flaw is Flaw.CUT else malformed


def _tcp(data: Buffer, ip: Ip, end: int, tunnels: int) -> Headers | Drop:
    tcp = parse_tcp(data, ip.payload_at, end, ip.stop)
    if isinstance(tcp, Flaw):
        return _flawed(tcp, Drop.MALFORMED_TRANSPORT)
    sport, dport, at, stop, flags, seq, ack = tcp
    return Headers(
        TCP, TCP, ip.src, ip.dst, sport, dport, flags, seq, ack, at, end - at, stop - at, ip.version, tunnels
    )


def _udp(data: Buffer, ip: Ip, end: int, frame_at: int, tunnels: int) -> Headers | Piece | Drop:
    udp = parse_udp(data, ip.payload_at, end, ip.stop)
    if isinstance(udp, Flaw):
        return _flawed(udp, Drop.MALFORMED_TRANSPORT)
    sport, dport, at, stop, flags, seq, ack = udp
    end = min(end, stop)
    inner = udp_tunnel(dport, data, at, end) if tunnels < MAX_TUNNELS else None
    if inner is not None:
        found = _inside(data, *inner, end, stop, frame_at, tunnels)
        if found is not None:
            return found
    return Headers(
        UDP, UDP, ip.src, ip.dst, sport, dport, flags, seq, ack, at, end - at, stop - at, ip.version, tunnels
    )


def _tunnel(data: Buffer, ip: Ip, end: int, frame_at: int, tunnels: int) -> Headers | Piece | Drop:
    inner = None
    if ip.protocol == GRE:
        inner = gre_tunnel(data, ip.payload_at, end)
    elif ip.protocol in (IPIP, IPV6_IN_IP):
        inner = 0, ip.payload_at
    found = _inside(data, *inner, end, ip.stop, frame_at, tunnels) if inner is not None else None
    return Drop.OTHER_TRANSPORT if found is None else found


def _inside(
    data: Buffer, ethertype: int, at: int, end: int, wire_end: int, frame_at: int, tunnels: int
) -> Headers | Piece | Drop | None:
    """The packet within a tunnel; None if there is no IP header there. One that is there and flawed is dropped as such:
    the bytes are a tunnel's all the same."""
    if ethertype == ETHERTYPE_TEB:
        ethertype, at = network_header(LINKTYPE_ETHERNET, data, at, end)
        if ethertype <= 0:
            return None
    if isinstance(parse_ip(data, at, end, wire_end), Flaw):
        return None
    return read_network(data, at, end, wire_end, frame_at, tunnels + 1)


def _icmp(data: Buffer, ip: Ip, end: int, tunnels: int) -> Headers | Drop:
    """An ICMP error belongs to the conversation of the packet that it quotes."""
    at = ip.payload_at
    if at + 8 > end:
        return Drop.SNAPPED_HEADERS if at + 8 <= ip.stop else Drop.MALFORMED_TRANSPORT
    kind, code = data[at], data[at + 1]
    if not icmp_error(ip.version, kind):
        return Drop.ICMP_OTHER
    # The quoted packet is cut by the rules of ICMP, not by a snap length: its own length field reaches further.
    quoted = parse_ip(data, at + 8, end, end)
    if isinstance(quoted, Flaw):
        return Drop.SNAPPED_HEADERS if end < ip.stop else Drop.MALFORMED_TRANSPORT
    if quoted.protocol not in (TCP, UDP) or (quoted.fragment is not None and quoted.fragment.offset):
        return Drop.ICMP_OTHER
    ports = parse_ports(data, quoted.payload_at, end)
    if isinstance(ports, Flaw):
        return Drop.SNAPPED_HEADERS if end < ip.stop else Drop.MALFORMED_TRANSPORT
    payload_at = min(quoted.payload_at + 8, end)
    return Headers(
        ip.protocol, quoted.protocol, quoted.src, quoted.dst, *ports, kind << 8 | code, 0, 0, payload_at, 0, 0,
        ip.version, tunnels,
    )
