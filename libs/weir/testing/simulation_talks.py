"""Conversations from a seed, as packets: HTTP with keep-alive, pipelining and an idle WebSocket, HTTP/2 and gRPC over
an hour, DNS, TLS hellos, and what nobody reads; with packets out of order and packets that come twice."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from typing import NamedTuple

from weir.model.flow import Side
from weir.model.segments import ACK, FIN, PSH, RST, SYN
from weir.testing.http2 import GRPC, REQUEST, Wire, prefixed
from weir.testing.packets import ethernet, ipv4, ipv6, tcp, udp

NS = 1_000_000_000
C, S = Side.CLIENT, Side.SERVER
WINDOW_NS = NS // 4
"""How far packets are out of order, at most: well within decode's reorder window."""


NETS = {"10.1.0.{}": "/24", "fd00::1:{}": "/112"}
"""Where conversations take place; servers are 1 to 3."""


class Packet(NamedTuple):
    ts_ns: int
    frame: bytes
    side: int


class Talk:
    """One conversation over TCP or UDP, on a clock of its own."""

    def __init__(self, chance: random.Random, ts_ns: int, client: str, server: str, sport: int, dport: int) -> None:
        self.chance = chance
        self.ts_ns = ts_ns
        self.packets: list[Packet] = []
        self.under_an_hour = False
        """In outline nothing is seen between a connection's opening and its end: after an hour it counts as over."""
        self._ends = (client, sport), (server, dport)
        self._next = [chance.choice((chance.getrandbits(32), 2**32 - chance.randrange(1, 3000))) for _ in range(2)]

    @property
    def client(self) -> str:
        """Its address."""
        return self._ends[C][0]

    def wait(self, seconds: float) -> None:
        self.ts_ns += int(seconds * NS)

    def open(self) -> None:
        self.segment(C, flags=SYN)
        self.segment(S, flags=SYN | ACK)
        self.segment(C)

    def send(self, side: int, data: bytes) -> None:
        size = self.chance.choice((60, 536, 1448))
        for at in range(0, len(data), size):
            self.segment(side, data[at:at + size], ACK | PSH)
        if self.chance.random() < 0.5:
            self.segment(1 - side)

    def close(self) -> None:
        how = self.chance.random()
        if how < 0.6:
            first = self.chance.randrange(2)
            self.segment(first, flags=FIN | ACK)
            self.segment(1 - first, flags=FIN | ACK)
            self.segment(first)
        elif how < 0.75:
            self.segment(self.chance.randrange(2), flags=RST | ACK)

    def segment(self, side: int, payload: bytes = b"", flags: int = ACK) -> None:
        (_, sport), (_, dport) = self._ends[side], self._ends[1 - side]
        ack = self._next[1 - side] if flags & ACK else 0
        self._packet(side, 6, tcp(sport, dport, payload, flags=flags, seq=self._next[side], ack=ack))
        self._next[side] = (self._next[side] + len(payload) + bool(flags & (SYN | FIN))) & 0xFFFFFFFF

    def datagram(self, side: int, payload: bytes) -> None:
        (_, sport), (_, dport) = self._ends[side], self._ends[1 - side]
        self._packet(side, 17, udp(sport, dport, payload))

    def _packet(self, side: int, protocol: int, packet: bytes) -> None:
        src, dst = self._ends[side][0], self._ends[1 - side][0]
        if ":" in src:
            frame = ethernet(ipv6(src, dst, protocol, packet), 0x86DD)
        else:
            frame = ethernet(ipv4(src, dst, protocol, packet))
        self.packets.append(Packet(self.ts_ns, frame, side))
        self.ts_ns += self.chance.randrange(50_000, 15_000_000)


def http1(talk: Talk, joined: bool = False) -> None:
    chance = talk.chance
    if not joined:
        talk.open()
    for number in range(chance.randrange(1, 5)):
        together = chance.randrange(1, 4)
        talk.send(C, b"".join(_request(chance, number * 10 + n) for n in range(together)))
        talk.wait(chance.random() / 10)
        talk.send(S, b"".join(_response(chance, n) for n in range(together)))
        talk.wait(chance.choice((0.01, 0.5, 30.0)))
    talk.close()


def joined(talk: Talk) -> None:
    """The beginning was not captured."""
    http1(talk, joined=True)


def websocket(talk: Talk) -> None:
    """An upgrade, a few frames, silence for about an hour, and perhaps an end."""
    talk.open()
    talk.send(C, b"GET /live HTTP/1.1\r\nHost: shop\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    talk.send(S, b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    for _ in range(talk.chance.randrange(3)):
        talk.send(S, b"\x82\x05hello")
    talk.wait(talk.chance.choice((1800, 3500)))
    talk.send(S, b"\x82\x05again")
    talk.close()


def http2(talk: Talk) -> None:
    """An hour and more of one connection, requests side by side."""
    chance = talk.chance
    wire = Wire()
    began = talk.ts_ns
    talk.open()
    for _ in range(chance.randrange(2, 6)):
        body = bytes(chance.randrange(0, 300))
        asked = [
            wire.ask([*REQUEST, ("x-n", str(n))], body) if chance.random() < 0.6
            else wire.ask(GRPC, prefixed(b"ask"))
            for n in range(chance.randrange(1, 4))
        ]
        chance.shuffle(asked)
        for number in asked:
            if chance.random() < 0.4:
                wire.answer(
                    number, [(":status", "200"), ("content-type", "application/grpc")], prefixed(b"answer"),
                    [("grpc-status", chance.choice("05"))],
                )
            else:
                wire.answer(number, body=b"r" * chance.randrange(1, 2000))
        for line in wire.lines:
            assert isinstance(line, tuple)
            talk.send(*line)
        wire.lines.clear()
        talk.wait(chance.choice((0.05, 20.0, 1000.0)))
        if talk.under_an_hour and talk.ts_ns - began > 2500 * NS:
            break
    talk.close()


def dns(talk: Talk) -> None:
    chance = talk.chance
    for _ in range(chance.randrange(1, 4)):
        number = chance.getrandbits(16)
        asked = b"\x04shop\x04prod\x00" + struct.pack("!HH", 1, 1)
        talk.datagram(C, struct.pack("!HHHHHH", number, 0x0100, 1, 0, 0, 0) + asked)
        if chance.random() < 0.8:
            answer = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 60, 4) + bytes((10, 0, 0, chance.randrange(256)))
            talk.datagram(S, struct.pack("!HHHHHH", number, 0x8180, 1, 1, 0, 0) + asked + answer)
        talk.wait(chance.random())


def tls(talk: Talk) -> None:
    """Both hellos, and bytes that nobody can read."""
    name = b"shop.test"
    listed = struct.pack("!BH", 0, len(name)) + name
    sni = struct.pack("!HHH", 0, len(listed) + 2, len(listed)) + listed
    talk.open()
    talk.send(C, _hello(1, b"\x00\x04\x13\x01\x13\x02" + b"\x01\x00", sni))
    talk.send(S, _hello(2, b"\x13\x01\x00", struct.pack("!HHH", 43, 2, 0x0304)))
    for side in (C, S):
        talk.send(side, b"\x17\x03\x03\x00\x40" + bytes(64))
    talk.close()


def unknown(talk: Talk) -> None:
    talk.open()
    for side in (C, S, C):
        talk.send(side, talk.chance.randbytes(talk.chance.randrange(1, 5000)))
    talk.close()


def refused(talk: Talk) -> None:
    """Nobody answers, or not in a friendly way."""
    talk.segment(C, flags=SYN)
    if talk.chance.random() < 0.5:
        talk.segment(S, flags=RST | ACK)


KINDS: tuple[tuple[Callable[[Talk], None], int, int], ...] = (
    (http1, 6, 8080), (joined, 1, 8080), (websocket, 2, 8080), (http2, 3, 50051), (dns, 3, 53), (tls, 1, 443),
    (unknown, 1, 9999), (refused, 1, 81),
)
"""What is talked, how often, and the server's port."""


def talk_of(chance: random.Random, number: int, ts_ns: int, *, twice: bool) -> Talk:
    """Any conversation. `twice`: it is to be seen by two nodes (of those without a beginning the flow entry is told
    apart by the minute of a node's clock, so they are left out)."""
    kinds = [kind for kind in KINDS if not (twice and kind[0] is joined)]
    kind, _, port = chance.choices(kinds, [weight for _, weight, _ in kinds])[0]
    net = chance.choices(list(NETS), (4, 1))[0]
    client, server = net.format(10 + number % 40), net.format(1 + chance.randrange(3))
    talk = Talk(chance, ts_ns, client, server, 30_000 + number, port)
    talk.under_an_hour = twice
    kind(talk)
    return talk


def repeated(chance: random.Random, packets: list[Packet]) -> list[Packet]:
    """Some packets come twice."""
    again = [
        packet._replace(ts_ns=packet.ts_ns + chance.randrange(1, WINDOW_NS))
        for packet in packets if chance.random() < 0.04
    ]
    return sorted([*packets, *again], key=lambda p: p.ts_ns)


def shuffled(chance: random.Random, packets: list[Packet], *, one_way: bool) -> list[Packet]:
    """Neighbours change places. `one_way`: only packets of one end overtake each other."""
    frames = list(packets)
    for n in range(len(frames) - 1):
        here, there = frames[n], frames[n + 1]
        if (
            chance.random() < 0.1 and there.ts_ns - here.ts_ns < WINDOW_NS
            and (here.side == there.side or not one_way)
        ):
            frames[n], frames[n + 1] = there._replace(ts_ns=here.ts_ns), here._replace(ts_ns=there.ts_ns)
    return frames


def _request(chance: random.Random, number: int) -> bytes:
    if chance.random() < 0.5:
        return b"GET /item/%d?token=abc HTTP/1.1\r\nHost: shop\r\nAuthorization: Bearer %d\r\n\r\n" % (number, number)
    body = b"b" * chance.randrange(0, 1200)
    return b"POST /cart/%d HTTP/1.1\r\nHost: shop\r\nContent-Length: %d\r\n\r\n" % (number, len(body)) + body


def _response(chance: random.Random, number: int) -> bytes:
    body = b"r" * chance.randrange(0, 2500)
    if chance.random() < 0.5 or not body:
        return b"HTTP/1.1 200 OK\r\nX-N: %d\r\nContent-Length: %d\r\n\r\n" % (number, len(body)) + body
    half = len(body) // 2 + 1
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:half], body[half:]) if part)
    return b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"


def _hello(kind: int, chosen: bytes, extensions: bytes) -> bytes:
    body = b"\x03\x03" + b"r" * 32 + b"\x00" + chosen + struct.pack("!H", len(extensions)) + extensions
    return b"\x16\x03\x01" + struct.pack("!HBxH", len(body) + 4, kind, len(body)) + body
