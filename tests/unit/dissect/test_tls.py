from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from weir.dissect.api import Exchange, GiveUp, Output, Probe
from weir.dissect.protocols.tls import Tls
from weir.dissect.tls_hello import RETRY, read_hello
from weir.dissect.tls_names import CIPHERS, cipher_name, is_grease
from weir.testing.transcript import C, Line, Lost, S, at_points, every, play

AUTHORITY = trustme.CA()
CERTIFICATE = AUTHORITY.issue_cert("shop.test")
Change = Callable[[ssl.SSLContext], None]


class Wire:
    """Two ends of Python's ssl, joined in memory; what they say is recorded in order."""

    def __init__(
        self, client: Change = lambda context: None, server: Change = lambda context: None, name: str = "shop.test",
        session: ssl.SSLSession | None = None, contexts: tuple[ssl.SSLContext, ssl.SSLContext] | None = None,
    ) -> None:
        self.contexts = contexts or _contexts(client, server)
        self.pipes = [ssl.MemoryBIO() for _ in range(4)]
        self.client = self.contexts[0].wrap_bio(self.pipes[1], self.pipes[0], server_hostname=name, session=session)
        self.server = self.contexts[1].wrap_bio(self.pipes[3], self.pipes[2], server_side=True)
        self.lines: list[Line] = []

    def handshake(self) -> Wire:
        for _ in range(4):
            self.step(self.client.do_handshake)
            self.step(self.server.do_handshake)
        return self

    def step(self, do: Callable[[], Any]) -> None:
        try:
            do()
        except (ssl.SSLError, ssl.CertificateError):
            pass
        for side, here, there in ((C, self.pipes[0], self.pipes[3]), (S, self.pipes[2], self.pipes[1])):
            if data := here.read():
                self.lines.append((side, data))
                there.write(data)


def _contexts(client: Change, server: Change) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    asking, answering = ssl.create_default_context(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.configure_trust(asking)
    CERTIFICATE.configure_cert(answering)
    client(asking)
    server(answering)
    return asking, answering


def at_most(version: ssl.TLSVersion) -> Change:
    def change(context: ssl.SSLContext) -> None:
        context.maximum_version = version

    return change


def offering(*names: str) -> Change:
    return lambda context: context.set_alpn_protocols(list(names))


def only(outputs: list[Output]) -> Exchange:
    assert len(outputs) == 1, outputs
    assert isinstance(outputs[0], Exchange)
    return outputs[0]


def record(kind: int, body: bytes, version: int = 0x0303) -> bytes:
    return bytes([kind]) + version.to_bytes(2) + len(body).to_bytes(2) + body


def handshake(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + len(body).to_bytes(3) + body


def hello(kind: int, *, random: bytes = b"r" * 32, ciphers: bytes = b"\x13\x01", extensions: bytes = b"") -> bytes:
    tail = len(extensions).to_bytes(2) + extensions
    if kind == 1:
        return handshake(1, b"\3\3" + random + b"\0" + len(ciphers).to_bytes(2) + ciphers + b"\1\0" + tail)
    return handshake(2, b"\3\3" + random + b"\0" + ciphers + b"\0" + tail)


CHOSE_13 = bytes.fromhex("002b00020304")
CLIENT, SERVER = record(22, hello(1)), record(22, hello(2, extensions=CHOSE_13))


def test_tls13() -> None:
    wire = Wire(offering("h2", "http/1.1"), offering("h2")).handshake()
    found = only(play(Tls(), wire.lines, close=False))
    assert (found.protocol, found.kind, found.side, found.offset) == ("tls", "handshake", C, 0)
    assert found.fields["tls_sni"] == "shop.test"
    assert found.fields["tls_version"] == "TLS 1.3"
    assert found.fields["tls_cipher"] in CIPHERS.values()
    assert found.fields["tls_alpn_offered"] == ["h2", "http/1.1"]
    assert found.fields["tls_versions_offered"][0] == "TLS 1.3"
    assert "tls_alpn" not in found.fields
    assert len(found.fields["tls_ja3"]) == 32
    assert (found.ok, found.summary) == (True, "shop.test → TLS 1.3")
    assert (found.weird, found.incomplete) == ([], [])
    assert found.request is not None
    assert found.request.size == found.fields["tls_request_size"] == len(wire.lines[0][1])  # type: ignore[index]
    assert found.response is not None
    assert found.response.timestamp > found.request.timestamp


def test_tls12() -> None:
    change = at_most(ssl.TLSVersion.TLSv1_2)

    def client(context: ssl.SSLContext) -> None:
        change(context)
        offering("h2", "http/1.1")(context)

    wire = Wire(client, offering("http/1.1")).handshake()
    found = only(play(Tls(), wire.lines, close=False))
    assert found.fields["tls_version"] == "TLS 1.2"
    assert found.fields["tls_alpn"] == "http/1.1"
    assert found.fields["tls_info"].startswith("TLS 1.2, TLS_ECDHE_")
    assert found.fields["tls_info"].endswith(", http/1.1")
    assert (found.ok, found.incomplete) == (True, [])
    assert "tls_resumed" not in found.fields


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_resumption(version: ssl.TLSVersion) -> None:
    first = Wire(at_most(version)).handshake()
    first.step(lambda: first.server.write(b"x"))
    first.step(first.client.read)
    again = Wire(session=first.client.session, contexts=first.contexts).handshake()
    assert again.client.session_reused
    assert only(play(Tls(), again.lines, close=False)).fields["tls_resumed"] is True


@pytest.mark.parametrize("snapshot", [False, True])
@pytest.mark.parametrize("size", [1, 4, 100])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_any_split_and_a_snapshot_anywhere_change_nothing(
    version: ssl.TLSVersion, size: int, snapshot: bool
) -> None:
    wire = Wire(at_most(version)).handshake()
    assert play(Tls(), wire.lines, split=every(size), snapshot=snapshot) == play(Tls(), wire.lines)


def test_the_server_refuses() -> None:
    def picky(context: ssl.SSLContext) -> None:
        context.minimum_version = ssl.TLSVersion.TLSv1_3

    wire = Wire(at_most(ssl.TLSVersion.TLSv1_2), picky).handshake()
    found = only(play(Tls(), wire.lines, close=False))
    assert (found.fields["tls_alert"], found.fields["tls_alert_by"], found.ok) == ("protocol_version", "server", False)
    assert found.summary == "shop.test → protocol_version"
    assert found.response is None


def test_the_client_refuses_the_certificate() -> None:
    """Up to TLS 1.2 this is said in clear, behind the ServerHello."""
    wire = Wire(at_most(ssl.TLSVersion.TLSv1_2), name="other.test").handshake()
    found = only(play(Tls(), wire.lines, close=False))
    assert (found.fields["tls_alert_by"], found.ok) == ("client", False)
    assert found.fields["tls_version"] == "TLS 1.2"


def test_a_hello_in_several_records_and_retried() -> None:
    asked = hello(1, extensions=bytes.fromhex("0000 000e 000c 00 0009") + b"shop.test")
    lines: list[Line] = [
        (C, record(22, asked[:2], 0x0301) + record(22, asked[2:40], 0x0301) + record(22, asked[40:], 0x0301)),
        (S, record(22, hello(2, random=RETRY, extensions=CHOSE_13)) + record(20, b"\1")),
        (C, record(20, b"\1") + record(22, asked)),
        (S, SERVER),
    ]
    for size in (1, 7, 1000):
        found = only(play(Tls(), lines, split=every(size), close=False))
        assert found.fields["tls_retried"] is True
        assert found.fields["tls_sni"] == "shop.test"
        assert found.request is not None
        assert found.request.size == len(asked) + 15
        assert (found.ok, found.incomplete, found.fields["tls_version"]) == (True, [], "TLS 1.3")


def test_early_data_waits_for_the_answer() -> None:
    found = only(play(Tls(), [(C, CLIENT + record(20, b"\1") + record(23, bytes(99))), (S, SERVER)], close=False))
    assert found.incomplete == []


def test_the_answer_may_be_seen_first() -> None:
    found = only(play(Tls(), [(S, SERVER + record(23, bytes(40))), (C, CLIENT)], close=False))
    assert (found.side, found.incomplete, found.ok) == (C, [], True)


def test_joined_behind_the_handshake() -> None:
    lines: list[Line] = [(S, record(23, bytes(50)) * 3), (C, record(23, bytes(50)))]
    for size in (1, 1000):
        found = only(play(Tls(), lines, midstream=True, split=every(size), close=False))
        assert (found.incomplete, found.side, found.ok) == (["handshake not seen"], S, None)
        assert found.summary == "TLS"


def test_joined_within_the_handshake() -> None:
    found = only(play(Tls(), [(S, SERVER)], midstream=True, close=False))
    assert (found.incomplete, found.side) == (["ClientHello not seen"], S)


def test_an_unanswered_hello() -> None:
    found = only(play(Tls(), [(C, CLIENT)]))
    assert (found.incomplete, found.ok) == (["ServerHello not seen"], None)
    assert play(Tls(), []) == []


def test_a_handshake_that_is_reset() -> None:
    found = only(play(Tls(), [(C, CLIENT)], reset=S))
    assert (found.incomplete, found.ok) == (["reset by server after the ClientHello"], False)
    assert found.summary == "TLS → reset by server"
    older = record(22, hello(2, ciphers=b"\xc0\x2f"))
    found = only(play(Tls(), [(C, CLIENT), (S, older)], reset=C))
    assert (found.incomplete, found.ok) == (["reset by client within the handshake"], False)
    found = only(play(Tls(), [(C, CLIENT), Lost(S, 300)], reset=S))
    assert (found.incomplete, found.ok) == (["300 bytes of the handshake lost", "ServerHello not seen"], None)


def test_bytes_lost() -> None:
    found = only(play(Tls(), [(C, CLIENT[:20]), Lost(C, 30), (C, b"x"), (S, SERVER)]))
    assert found.incomplete == ["30 bytes of the handshake lost", "ClientHello not seen"]
    assert (found.side, found.fields["tls_version"], found.ok) == (S, "TLS 1.3", None)
    found = only(play(Tls(), [(C, CLIENT), Lost(S, 300), (S, b"x"), (C, record(23, bytes(20)))], close=False))
    assert found.incomplete == ["300 bytes of the handshake lost", "ServerHello not seen"]
    found = only(play(Tls(), [Lost(C, 100), (C, record(23, bytes(20)))]))
    assert found.incomplete == ["100 bytes of the handshake lost"]
    certificate = record(22, hello(2, ciphers=b"\xc0\x2f") + handshake(11, bytes(3000)))
    lines: list[Line] = [
        (C, CLIENT),
        (S, certificate[:200]),
        Lost(S, 1000),
        (S, certificate[1200:] + record(20, b"\1")),
        (C, record(20, b"\1")),
    ]
    found = only(play(Tls(), lines, close=False))
    assert (found.incomplete, found.fields["tls_cipher"]) == ([], "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256")


def test_an_answer_in_clear_is_given_up() -> None:
    told, gave_up = play(Tls(), [(C, CLIENT), (S, b"HTTP/1.1 400 Bad Request\r\n\r\n")])
    assert isinstance(told, Exchange)
    assert told.incomplete == ["no TLS record from the server", "ServerHello not seen"]
    assert isinstance(gave_up, GiveUp)


def test_nothing_is_held_once_it_is_opaque() -> None:
    sizes = []
    lines: list[Line] = [(C, CLIENT), (S, SERVER), *[(S, record(23, bytes(9000)))] * 20]
    play(Tls(), lines, split=every(1400), watch=lambda state: sizes.append(len(msgspec.msgpack.encode(state))))
    assert max(sizes[10:]) < 2000


def test_a_large_message_is_not_gathered() -> None:
    sizes = []
    flood = b"".join(record(22, bytes(16_000)) for _ in range(20))
    lines: list[Line] = [(C, record(22, b"\1\xff\xff\xff")), (C, flood)]
    play(Tls(), lines, split=every(1400), watch=lambda state: sizes.append(len(msgspec.msgpack.encode(state))))
    assert max(sizes) < 5000


def test_a_broken_hello_is_told() -> None:
    found = only(play(Tls(), [(C, record(22, handshake(1, b"\3\3" + b"\xff" * 60))), (S, SERVER)]))
    assert found.weird == ["malformed hello: ends early"]


def test_grease_is_left_out() -> None:
    assert [n for n in range(65536) if is_grease(n)] == [0x0A0A + 0x1010 * n for n in range(16)]
    extensions = bytes.fromhex("0a0a0000 002b0005 04 1a1a 0304")
    asked = read_hello(hello(1, ciphers=b"\x2a\x2a\x13\x02", extensions=extensions)[4:], client=True)
    assert (asked.ciphers, asked.extensions, asked.versions) == ([0x1302], [43], [0x0304])


def test_cipher_names_agree_with_openssl() -> None:
    context = ssl.create_default_context()
    context.set_ciphers("ALL:eNULL:@SECLEVEL=0")
    ours = {number & 0xFFFF for number in (c["id"] for c in context.get_ciphers())}
    unknown = [cipher_name(number) for number in ours if number not in CIPHERS]
    # The secure remote password protocol, and combinations that nobody offers.
    assert len(unknown) < len(ours) / 2
    for cipher in context.get_ciphers():
        number = cipher["id"] & 0xFFFF
        if number in CIPHERS and "RSA" in cipher["name"]:
            assert "RSA" in CIPHERS[number]
        if number in CIPHERS and cipher["strength_bits"] == 256 and "CHACHA" not in cipher["name"]:
            assert "256" in CIPHERS[number]


def test_probe() -> None:
    probe = Tls().probe
    assert probe(C, CLIENT) is Probe.YES
    assert probe(S, SERVER) is Probe.YES
    assert probe(S, CLIENT) is Probe.NO
    assert probe(C, SERVER) is Probe.NO
    assert probe(C, CLIENT, "udp") is Probe.NO
    assert {probe(C, CLIENT[:n]) for n in range(10)} == {Probe.MAYBE}
    assert probe(S, record(21, b"\2\x28")) is Probe.YES
    assert probe(S, record(23, bytes(40))) is Probe.YES
    assert probe(S, record(21, bytes(26)) + record(23, bytes(26))) is Probe.YES
    assert probe(C, record(24, bytes(3)) * 20_000) is Probe.YES


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x00\x05hellohello",
        b"\x17\x03\x03\x00\x01x",
        b"\x14\x03\x03\x00\x02\1\1",
        b"\x16\x04\x01",
        b"SSH-2.0-OpenSSH_9.2p1\r\n",
        bytes(20),
    ],
)
def test_probe_of_others(head: bytes) -> None:
    assert Tls().probe(C, head) is Probe.NO
    assert Tls().probe(S, head) is Probe.NO


PIECES = st.one_of(
    st.binary(max_size=80),
    st.sampled_from([CLIENT, SERVER, record(20, b"\1"), record(21, b"\1\0"), record(21, b"\2\x28")]),
    st.builds(record, st.integers(20, 24), st.binary(max_size=60)),
    st.builds(lambda body, client: record(22, handshake(1 + client, b"\3\3" + body)), st.binary(), st.booleans()),
)


@given(st.lists(st.tuples(st.sampled_from([C, S]), PIECES), max_size=8), st.lists(st.integers(0, 90)), st.booleans())
def test_any_records_in_any_split(lines: list[Line], points: list[int], midstream: bool) -> None:
    whole = play(Tls(), lines, midstream=midstream)
    assert play(Tls(), lines, midstream=midstream, split=at_points(points), snapshot=True) == whole
    for side, data in lines:  # type: ignore[misc]
        Tls().probe(side, data)
