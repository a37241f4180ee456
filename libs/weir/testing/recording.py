"""Recording what crosses a veth with tcpdump, from a namespace, to its last packet."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import dpkt

from weir.testing.capturefiles import Packet
from weir.testing.netns import Namespace
from weir.testing.servers import until

NOISE = "not arp and not (ip6 and (ip6[6] == 58 or ip6[6] == 0))"
"""What is left out: what neighbours say to each other of their own accord."""
MARKER = 9
"""A datagram to this port says that everything before it was captured (RFC 863: it is thrown away)."""
SNAPLEN, BUFFER_KIB = "66000", "65536"
"""The largest packet of a veth, and room for about a thousand of them."""

Packets = list[Packet]


class Recording:
    """What was recorded; `packets` is there once the recording is over."""

    packets: Packets = []


@contextlib.contextmanager
def recording(
    where: Namespace, peer: Namespace, folder: Path, expression: str = NOISE, *, interface: str = ""
) -> Iterator[Recording]:
    """Record what crosses the end of `where` while the block runs; `peer` is the other end."""
    file = folder / f"{where.name}.pcap"
    name = interface or where.interface
    process = subprocess.Popen(
        # Unbuffered, each packet takes a slot as large as the snap length: few of the usual ones fit into 2 MB.
        where.command("tcpdump", "-i", name, "-w", str(file), "-U", "--immediate-mode", "-n", "-s", SNAPLEN,
                      "-B", BUFFER_KIB, f"({expression}) or udp port {MARKER}"),
        stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    recorded = Recording()
    try:
        assert process.stderr is not None
        assert any("listening on" in line for line in iter(process.stderr.readline, "")), "tcpdump does not start"
        yield recorded
        with peer.entered(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
            end.sendto(b"weir", (where.address, MARKER))
        until(lambda: len(read(file, whole=True)) > len(read(file)), "the recording does not end")
    finally:
        process.send_signal(signal.SIGINT)
        told = process.communicate(timeout=10)[1]
    assert "\n0 packets dropped by kernel" in told, f"the recording is not whole: {told}"
    recorded.packets = read(file)


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
