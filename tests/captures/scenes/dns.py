"""DNS: dnspython at both ends."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator

import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import dns.rrset
from scenes.scripted import connect
from scenes.stage import Packets, Stage, case

from weir.testing.recording import NOISE

ZONE = {
    ("shop.example.", "A"): ["192.0.2.7", "192.0.2.8"],
    ("shop.example.", "AAAA"): ["2001:db8::7"],
    ("www.shop.example.", "A"): ["CNAME shop.example.", "192.0.2.7"],
    ("shop.example.", "MX"): ["10 mail.shop.example.", "20 mail.other.example."],
    ("shop.example.", "TXT"): ['"v=spf1 -all" "second"'],
    ("_http._tcp.shop.example.", "SRV"): ["0 5 8080 shop.example."],
    ("big.example.", "TXT"): [f'"{"0123456789" * 20}{n:04d}"' for n in range(14)],
}
SOA = "ns.example. host.example. 1 3600 600 86400 60"


def respond(wire: bytes) -> bytes:
    """What the zone says; `silent` is never answered, and `broken` is refused."""
    query = dns.message.from_wire(wire)
    answer = dns.message.make_response(query)
    answer.flags |= dns.flags.AA
    name, kind = query.question[0].name.to_text(), dns.rdatatype.to_text(query.question[0].rdtype)
    if name.startswith("silent"):
        return b""
    if name.startswith("broken"):
        answer.set_rcode(dns.rcode.SERVFAIL)
    for data in ZONE.get((name, kind), []):
        if data.startswith("CNAME "):
            answer.answer.append(dns.rrset.from_text(name, 60, "IN", "CNAME", data.removeprefix("CNAME ")))
            name = data.removeprefix("CNAME ")
        else:
            answer.find_rrset(
                answer.answer, dns.name.from_text(name), dns.rdataclass.IN, query.question[0].rdtype, create=True
            ).add(dns.rdata.from_text("IN", kind, data), 60)
    if not answer.answer and answer.rcode() == dns.rcode.NOERROR:
        answer.set_rcode(dns.rcode.NXDOMAIN)
        answer.authority.append(dns.rrset.from_text("example.", 60, "IN", "SOA", SOA))
    return answer.to_wire(max_size=65535)


@contextlib.contextmanager
def server(stage: Stage, *, family: int = socket.AF_INET) -> Iterator[str]:
    """Answers over UDP and TCP; its address."""
    address = stage.server.address if family == socket.AF_INET else stage.server.address6
    with stage.server.entered():
        datagrams = socket.socket(family, socket.SOCK_DGRAM)
        datagrams.bind((address, 53))
        listener = socket.create_server((address, 53), family=family)
    threads = [threading.Thread(target=run, args=(end,), daemon=True) for run, end in
               ((_datagrams, datagrams), (_connections, listener))]  # fmt: skip
    for thread in threads:
        thread.start()
    try:
        yield address
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):
            datagrams.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(5)
        listener.close()
        datagrams.close()


def _datagrams(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            wire, sender = end.recvfrom(65535)
            if not wire:
                return
            if answer := respond(wire):
                end.sendto(answer, sender)


def _connections(listener: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            with listener.accept()[0] as connection:
                while head := connection.recv(2):
                    answer = respond(connection.recv(struct.unpack("!H", head)[0]))
                    connection.sendall(struct.pack("!H", len(answer)) + answer)


def query(name: str, kind: str = "A", ident: int = 1, **options: object) -> dns.message.Message:
    return dns.message.make_query(name, kind, id=ident, **options)  # type: ignore[arg-type]


@case("dns/udp")
def udp(stage: Stage) -> Packets:
    """Questions over UDP for A, AAAA, a name behind a CNAME, MX, TXT and SRV."""
    asked = [("shop.example", "A"), ("shop.example", "AAAA"), ("www.shop.example", "A"), ("shop.example", "MX"),
             ("shop.example", "TXT"), ("_http._tcp.shop.example", "SRV")]  # fmt: skip
    with stage.recording() as recording, server(stage) as address, stage.client.entered():
        for ident, (name, kind) in enumerate(asked, 1):
            dns.query.udp(query(name, kind, ident), address, timeout=5)
    return recording.packets


@case("dns/failures")
def failures(stage: Stage) -> Packets:
    """NXDOMAIN with the zone's SOA, SERVFAIL, and a question that is never answered."""
    with stage.recording() as recording, server(stage) as address, stage.client.entered():
        for ident, name in enumerate(("nothing.example", "broken.example"), 1):
            dns.query.udp(query(name, "A", ident), address, timeout=5)
        with contextlib.suppress(dns.exception.Timeout):
            dns.query.udp(query("silent.example", "A", 3), address, timeout=0.2)
    return recording.packets


@case("dns/tcp")
def tcp(stage: Stage) -> Packets:
    """Two questions over one TCP connection, sent together."""
    with stage.recording() as recording, server(stage), connect(stage, 53) as connection:
        for ident, kind in enumerate(("A", "MX"), 1):
            wire = query("shop.example", kind, ident).to_wire()
            connection.sendall(struct.pack("!H", len(wire)) + wire)
        for _ in range(2):
            size = struct.unpack("!H", connection.recv(2, socket.MSG_WAITALL))[0]
            connection.recv(size, socket.MSG_WAITALL)
    return recording.packets


@case("dns/edns")
def edns(stage: Stage) -> Packets:
    """EDNS (RFC 6891): a larger size, the DO bit, and a client subnet, over IPv6."""
    options = [dns.edns.ECSOption("192.0.2.0", 24)]
    with stage.recording() as recording, server(stage, family=socket.AF_INET6) as address, stage.client.entered():
        dns.query.udp(
            query("shop.example", "A", 1, use_edns=0, payload=4096, want_dnssec=True, options=options), address,
            timeout=5,
        )  # fmt: skip
    return recording.packets


@case("dns/fragments")
def fragments(stage: Stage) -> Packets:
    """An answer of 3 kB over UDP: three fragments over IPv4, and three over IPv6."""
    everything = f"({NOISE}) or (ip[6:2] & 0x1fff != 0) or (ip6[6] == 44)"
    with stage.recording(everything) as recording:
        for ident, family in enumerate((socket.AF_INET, socket.AF_INET6), 1):
            with server(stage, family=family) as address, stage.client.entered():
                dns.query.udp(query("big.example", "TXT", ident, payload=4096), address, timeout=5)
    return recording.packets
