"""Conversations of a capture file as transcripts for dissectors, by way of dpkt and the simplest assembly there is.

It shares nothing with weir's own engine on purpose: a dissector's comparison with a recorded answer must not depend on
it. In order, no overlaps, no fragments; bytes that are missing are `Lost`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import dpkt

from weir.model.flow import Side
from weir.testing.transcript import Line, Lost

CORPORA = Path(__file__).resolve().parents[4] / "shared" / "corpora"
"""Foreign captures, beside the project."""
End = tuple[bytes, int]


class Conversation(NamedTuple):
    transport: str
    client: End
    server: End
    midstream: bool
    lines: list[Line]


class _Flow:
    def __init__(self, client: End, server: End) -> None:
        self.ends = (client, server)
        self.syn = False
        self.next: list[int | None] = [None, None]
        self.early: tuple[dict[int, bytes], dict[int, bytes]] = ({}, {})
        self.lines: list[Line] = []

    def swap(self) -> None:
        self.ends = (self.ends[1], self.ends[0])

    def add(self, side: Side, tcp: Any) -> None:
        seq, data = tcp.seq, bytes(tcp.data)
        if tcp.flags & dpkt.tcp.TH_SYN:
            self.next[side] = seq + 1
            return
        expected = self.next[side]
        if not data:
            return
        if expected is None:
            expected = self.next[side] = seq
        if seq + len(data) <= expected:
            return
        self.early[side][seq] = data
        self._drain(side)

    def _drain(self, side: Side) -> None:
        early = self.early[side]
        while early:
            seq = min(early)
            expected = self.next[side] or 0
            if seq > expected:
                return
            data = early.pop(seq)[expected - seq :]
            if data:
                self.lines.append((side, data))
                self.next[side] = expected + len(data)

    def finish(self) -> None:
        for side in Side:
            while self.early[side]:
                first = min(self.early[side])
                self.lines.append(Lost(side, first - (self.next[side] or 0)))
                self.next[side] = first
                self._drain(side)


def conversations(path: Path, ports: frozenset[int] = frozenset()) -> list[Conversation]:
    """In order of their first packet. The client is who sent the SYN, else who is not at one of `ports`, else who is
    at the higher port."""
    flows: dict[tuple[str, End, End], _Flow] = {}
    for ip in _ip_packets(path):
        segment = ip.data
        if not isinstance(segment, dpkt.tcp.TCP | dpkt.udp.UDP):
            continue
        transport = "tcp" if isinstance(segment, dpkt.tcp.TCP) else "udp"
        src, dst = (ip.src, segment.sport), (ip.dst, segment.dport)
        low, high = sorted((src, dst))
        flow = flows.get((transport, low, high))
        if flow is None:
            client_first = (dst[1] in ports, src[1] not in ports and src[1] >= dst[1]) >= (src[1] in ports, False)
            flow = flows[transport, low, high] = _Flow(src, dst) if client_first else _Flow(dst, src)
        if transport == "tcp" and segment.flags & 0x12 == dpkt.tcp.TH_SYN and flow.ends[0] != src:
            flow.swap()
        side = Side.CLIENT if flow.ends[0] == src else Side.SERVER
        if transport == "udp":
            flow.lines.append((side, bytes(segment.data)))
        else:
            flow.syn = flow.syn or bool(segment.flags & dpkt.tcp.TH_SYN)
            flow.add(side, segment)
    found = []
    for (transport, _, _), flow in flows.items():
        flow.finish()
        found.append(Conversation(transport, *flow.ends, transport == "tcp" and not flow.syn, flow.lines))
    return found


def _ip_packets(path: Path) -> Iterator[Any]:
    with path.open("rb") as file:
        reader = dpkt.pcap.UniversalReader(file)
        link = reader.datalink()
        for _, frame in reader:
            try:
                packet = _network(link, frame)
            except (dpkt.UnpackError, ValueError, IndexError):
                continue
            if isinstance(packet, dpkt.ip.IP | dpkt.ip6.IP6):
                yield packet


def _network(link: int, frame: bytes) -> Any:
    if link == dpkt.pcap.DLT_EN10MB:
        return dpkt.ethernet.Ethernet(frame).data
    if link == dpkt.pcap.DLT_LINUX_SLL:
        return dpkt.sll.SLL(frame).data
    if link in (dpkt.pcap.DLT_NULL, dpkt.pcap.DLT_LOOP):
        return dpkt.loopback.Loopback(frame).data
    return None
