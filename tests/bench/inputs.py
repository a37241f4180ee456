"""The packets that are measured: a recording beside the project where it is there, else one that is made here.

The recording: nginx and wrk on one machine, 125,558 packets of 821 connections with 40,013 exchanges, in order and
without loss. What is made here has the same shape (requests of some 300 bytes, answers of 33 bytes to 32 kB, 50 to a
connection), so that ratios to an anchor of the same run mean the same; absolute figures do not compare.
"""

from __future__ import annotations

import random
import subprocess
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from measure import ROOT, Skip

from weir.model.segments import ACK, FIN, PSH, RST, SYN
from weir.testing.capturefiles import Packet, pcap
from weir.testing.packets import START_NS, ethernet, ipv4, tcp

RECORDED = ROOT.parent / "shared" / "bench" / "http.pcap.zst"
CONNECTIONS, QUICK_CONNECTIONS = 800, 80
EXCHANGES = 50
SIZES = (33, 120, 450, 900, 2_000, 8_000, 32_000)
MTU_PAYLOAD = 1448
PAUSE_S = 600
"""Between two copies of a file: longer than anything is remembered."""
HEADER = 24
"""Bytes before the first record (see `weir.net.pcap`)."""
SRC, DST = 14 + 12, 14 + 16
"""Where the addresses are in a frame of Ethernet and IPv4."""
FLAGS = 14 + 20 + 13
"""Where TCP's flags are in such a frame without IP options."""


def packets(folder: Path, *, quick: bool) -> tuple[Path, int]:
    """A plain capture file and how many packets are in it."""
    path = folder / "http.pcap"
    if RECORDED.exists():
        done = subprocess.run(["zstd", "-q", "-f", "-d", str(RECORDED), "-o", str(path)], capture_output=True)
        if done.returncode:
            raise Skip("zstd cannot be run")
        return path, count(path)
    with path.open("wb") as file:
        for frames in _conversations(QUICK_CONNECTIONS if quick else CONNECTIONS):
            made = pcap(frames)
            file.write(made[HEADER if file.tell() else 0 :])
    return path, count(path)


def records(path: Path) -> Iterator[tuple[bytes, bytes]]:
    """Headers and frames of a classic capture file of this machine's byte order. One after the other, because the
    memory of this process would be taken for that of the processes that it starts."""
    with path.open("rb") as file:
        file.seek(HEADER)
        while len(head := file.read(16)) == 16:
            yield head, file.read(int.from_bytes(head[8:12], "little"))


def count(path: Path) -> int:
    """Packets in the file."""
    return sum(1 for _ in records(path))


def first(path: Path, n: int, out: Path) -> Path:
    """The first n packets of a file: what start-up costs."""
    return _write(out, path, islice(records(path), n))


def openings(path: Path, out: Path) -> Path:
    """What the kernel's classic filter lets through in outline: SYN, FIN and RST. (There is no DNS in the input.)"""
    return _write(out, path, (both for both in records(path) if both[1][FLAGS] & (SYN | FIN | RST)))


def copies(path: Path, times: int, folder: Path) -> list[Path]:
    """The file once more, and again: each copy later than the one before it and between other addresses, because weir
    recognises what it has seen already, and makes nothing of it."""
    stamps = [int.from_bytes(head[:4], "little") for head, _ in records(path)]
    later = max(stamps) - min(stamps) + PAUSE_S
    return [
        _write(folder / f"copy-{number}.pcap", path, _moved(path, number, number * later)) for number in range(times)
    ]


def _moved(path: Path, number: int, later: int) -> Iterator[tuple[bytes, bytes]]:
    for head, frame in records(path):
        stamp = int.from_bytes(head[:4], "little") + later
        if frame[12:15] == b"\x08\x00\x45":
            changed = bytearray(frame)
            changed[SRC + 2] ^= number
            changed[DST + 2] ^= number
            frame = bytes(changed)
        yield stamp.to_bytes(4, "little") + head[4:], frame


def _write(out: Path, like: Path, packets: Iterable[tuple[bytes, bytes]]) -> Path:
    with like.open("rb") as source, out.open("wb") as file:
        file.write(source.read(HEADER))
        file.writelines(head + frame for head, frame in packets)
    return out


def _conversations(connections: int) -> Iterator[list[Packet]]:
    choose = random.Random(1)
    now = START_NS
    for number in range(connections):
        line = []
        for frame in _Connection(number).frames(choose):
            now += choose.randrange(2_000, 40_000)
            line.append(Packet(now, frame))
        yield line


class _Connection:
    """One client, one server, fifty exchanges, every segment acknowledged."""

    def __init__(self, number: int) -> None:
        self._ends = (("10.0.0.1", 20_000 + number), ("10.0.0.2", 8080))
        self._next = [1_000_000 + number, 9_000_000 + number]

    def _frame(self, side: int, flags: int, payload: bytes = b"") -> bytes:
        (src, sport), (dst, dport) = self._ends[side], self._ends[1 - side]
        ack = self._next[1 - side] if flags & ACK else 0
        segment = tcp(sport, dport, payload, seq=self._next[side], ack=ack, flags=flags)
        self._next[side] += len(payload) + bool(flags & (SYN | FIN))
        return ethernet(ipv4(src, dst, 6, segment))

    def frames(self, choose: random.Random) -> Iterator[bytes]:
        yield self._frame(0, SYN)
        yield self._frame(1, SYN | ACK)
        yield self._frame(0, ACK)
        for number in range(EXCHANGES):
            yield self._frame(0, PSH | ACK, request(number))
            answer = _answer(choose.choice(SIZES))
            for at in range(0, len(answer), MTU_PAYLOAD):
                yield self._frame(1, PSH | ACK, answer[at : at + MTU_PAYLOAD])
            yield self._frame(0, ACK)
        yield self._frame(0, FIN | ACK)
        yield self._frame(1, FIN | ACK)
        yield self._frame(0, ACK)


def request(number: int) -> bytes:
    return (
        f"GET /api/v1/items/{number}?page={number % 7}&q=foo%20bar HTTP/1.1\r\nHost: shop.example:8080\r\n"
        f"User-Agent: shop-frontend/2.3.1\r\nAccept: application/json\r\nAccept-Encoding: gzip, deflate, br\r\n"
        f"X-Request-Id: {number:08x}-0000-4000-8000-000000000000\r\nAuthorization: Bearer token-{number}\r\n\r\n"
    ).encode()


def _answer(size: int) -> bytes:
    return (
        f"HTTP/1.1 200 OK\r\nServer: made\r\nDate: Fri, 20 Nov 2026 08:30:00 GMT\r\nContent-Type: application/json\r\n"
        f"Content-Length: {size}\r\nConnection: keep-alive\r\nCache-Control: no-store\r\n\r\n"
    ).encode() + b"x" * size
