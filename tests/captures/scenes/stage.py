"""Where captures are recorded: two namespaces joined by veth, tcpdump at the server, and how a case is declared."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import dpkt

from weir.testing.capturefiles import Packet
from weir.testing.netns import Namespace, joined
from weir.testing.servers import until

START_NS = 1_750_000_000_000_000_000
"""All captures are told to begin here, so that recording one anew changes as little as possible."""
NOISE = "not arp and not (ip6 and (ip6[6] == 58 or ip6[6] == 0))"
"""What neighbours say to each other of their own accord."""
MARKER = 9
"""A datagram to this port says that everything before it was captured (RFC 863: it is thrown away)."""

Packets = list[Packet]


class Case(NamedTuple):
    name: str
    """protocol/case, its folder."""
    make: Callable[[Stage], Packets]
    about: str
    """How it came about, and what is to be seen."""


CASES: dict[str, Case] = {}


def case(name: str) -> Callable[[Callable[[Stage], Packets]], Callable[[Stage], Packets]]:
    """Declares a case; its docstring becomes `about.md`."""

    def declare(make: Callable[[Stage], Packets]) -> Callable[[Stage], Packets]:
        lines = [line.strip() for line in (make.__doc__ or "").strip().splitlines()]
        CASES[name] = Case(name, make, "\n".join(lines))
        return make

    return declare


class Recording:
    """What a scene gave; `packets` is there once the recording is over."""

    packets: Packets = []


class Stage:
    """Two namespaces and a folder for one case."""

    def __init__(self, client: Namespace, server: Namespace, folder: Path) -> None:
        self.client = client
        self.server = server
        self.folder = folder

    @contextlib.contextmanager
    def recording(
        self, expression: str = NOISE, *, where: Namespace | None = None, snaplen: int = 0
    ) -> Iterator[Recording]:
        """Record what crosses the server's end (or that of `where`) while the block runs."""
        end = where or self.server
        file = self.folder / f"{end.name}.pcap"
        process = subprocess.Popen(
            end.command("tcpdump", "-i", end.interface, "-w", str(file), "-U", "--immediate-mode", "-n",
                        "-s", str(snaplen), f"({expression}) or udp port {MARKER}"),
            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert process.stderr is not None
        recording = Recording()
        try:
            told = iter(process.stderr.readline, "")
            assert any("listening on" in line for line in told), "tcpdump does not start"
            yield recording
            self._mark(file)
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=10)
        recording.packets = read(file)

    def _mark(self, file: Path) -> None:
        with self.client.entered(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
            end.sendto(b"weir", (self.server.address, MARKER))
        until(lambda: read(file, whole=True) != read(file), "the recording does not end")


@contextlib.contextmanager
def stage() -> Iterator[Stage]:
    folder = Path(tempfile.mkdtemp(prefix="weir-record-"))
    try:
        with joined("client", "server") as (client, server):
            yield Stage(client, server, folder)
    finally:
        shutil.rmtree(folder)


def read(file: Path, *, whole: bool = False) -> Packets:
    """Packets of a file of tcpdump; up to the marker if not `whole`."""
    data = file.read_bytes()
    packets: Packets = []
    at = 24
    while at + 16 <= len(data):
        seconds, micros, captured, wire = (int.from_bytes(data[at + n : at + n + 4], "little") for n in (0, 4, 8, 12))
        frame = data[at + 16 : at + 16 + captured]
        if len(frame) < captured or (not whole and _is_marker(frame)):
            break
        packets.append(Packet(seconds * 10**9 + micros * 1000, frame, wire))
        at += 16 + captured
    return packets


def _is_marker(frame: bytes) -> bool:
    ip = dpkt.ethernet.Ethernet(frame).data
    return isinstance(ip, dpkt.ip.IP) and isinstance(ip.data, dpkt.udp.UDP) and ip.data.dport == MARKER
