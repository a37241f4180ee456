"""Conversations that no dissector reads, how connections end, and how packets are wrapped."""

from __future__ import annotations

import contextlib
import socket
import struct

from scenes import mangle
from scenes.http1 import PORT, curl, site
from scenes.scripted import connect, read_until, scripted
from scenes.stage import Packets, Stage, case


@case("flow/refused")
def refused(stage: Stage) -> Packets:
    """A connection to a port on which nobody listens: SYN, answered by RST."""
    with stage.recording() as recording, stage.client.entered(), socket.socket() as client:
        assert client.connect_ex((stage.server.address, PORT))
    return recording.packets


@case("flow/unanswered")
def unanswered(stage: Stage) -> Packets:
    """SYNs that nobody answers, as behind a firewall: the client sends it twice and gives up."""
    stage.server.run("ip", "route", "add", "blackhole", "10.99.0.0/24")
    stage.client.run("ip", "route", "add", "10.99.0.0/24", "via", stage.server.address)
    with stage.recording() as recording, stage.client.entered(), socket.socket() as client:
        client.settimeout(1.5)
        with contextlib.suppress(TimeoutError):
            client.connect(("10.99.0.1", PORT))
    return recording.packets


@case("flow/reset")
def reset(stage: Stage) -> Packets:
    """A binary protocol that weir does not know; the client resets the connection (SO_LINGER of zero)."""

    def handle(connection: socket.socket) -> None:
        connection.recv(100)
        connection.sendall(b"\x02\x00\x00\x00\x08answered")
        with contextlib.suppress(ConnectionResetError):
            connection.recv(100)

    with stage.recording() as recording, scripted(stage, 7000, handle):
        client = connect(stage, 7000)
        client.sendall(b"\x01\x00\x00\x00\x04\xde\xad\xbe\xef")
        read_until(client, b"answered")
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
    return recording.packets


@case("flow/silent")
def silent(stage: Stage) -> Packets:
    """A connection on which nothing is said, and which is still open when the recording ends."""
    with stage.server.entered():
        listener = socket.create_server((stage.server.address, 7000))
    with stage.recording() as recording:
        client = connect(stage, 7000)
    client.close()
    listener.close()
    return recording.packets


@case("flow/unreachable")
def unreachable(stage: Stage) -> Packets:
    """A datagram to a port on which nobody listens: the server's kernel answers with ICMP port unreachable."""
    with stage.client.entered():
        end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with stage.recording() as recording, end:
        end.connect((stage.server.address, 7000))
        end.send(b"anybody there?")
        end.settimeout(5)
        with contextlib.suppress(ConnectionRefusedError):
            end.recv(100)
    return recording.packets


@case("flow/datagrams")
def datagrams(stage: Stage) -> Packets:
    """Datagrams in both directions that weir does not know, over IPv6."""
    with stage.server.entered():
        server = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        server.bind((stage.server.address6, 7001))
    with stage.client.entered():
        client = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    with stage.recording() as recording, server, client:
        for number in range(3):
            client.sendto(b"ping %d" % number, (stage.server.address6, 7001))
            sender = server.recvfrom(100)[1]
            server.sendto(b"pong %d" % number, sender)
            client.recv(100)
    return recording.packets


@case("flow/vlan")
def vlan(stage: Stage) -> Packets:
    """HTTP in an 802.1Q VLAN (42) within a service VLAN (7, 802.1ad), as a trunk shows it. The tags were put into the
    recording afterwards: not every kernel makes such devices."""
    url = site(stage)
    with stage.recording() as recording:
        curl(stage, f"{url}/")
    return mangle.tagged(recording.packets, (0x88A8, 7), (0x8100, 42))
