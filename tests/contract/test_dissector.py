"""What every dissector is held to, whoever wrote it: the registry finds them, this suite runs on each."""

from __future__ import annotations

import random
import ssl
import struct
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest
import trustme
from h2.config import H2Configuration
from h2.connection import H2Connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from weir.dissect.api import Data, Dissector, Exchange, GiveUp, Leave, Limits, Output, Probe
from weir.dissect.registry import Registry
from weir.model.flow import Side
from weir.testing.transcript import START, C, Fin, Line, Lost, S, at_points, every, exchanges, play, restored

DISSECTORS = list(Registry())
TIGHT = Limits(body=256, inflate=4096, head=2048, buffered=4096, pending=4, streams=4)
STATE_CEILING = 256 * 1024
"""Bytes of a saved state under `TIGHT`, whatever was fed. Protocols have fixed tables of their own besides."""
TYPES = (str, int, bool, float, list, dict)


# A conversation of each protocol that weir reads. A new dissector adds one here.


def http() -> list[Line]:
    return [
        (C, b"POST /orders?draft=1 HTTP/1.1\r\nHost: shop\r\nContent-Length: 11\r\n\r\n{\"sku\": 12}"),
        (S, b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"),
        (S, b"6;x=y\r\n world\r\n0\r\nEtag: 1\r\n\r\n"),
        (C, b"HEAD / HTTP/1.1\r\nHost: shop\r\n\r\nGET /2 HTTP/1.1\r\nHost: shop\r\n\r\n"),
        (S, b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone"),
        (C, b"GET /3 HTTP/1.0\r\n\r\n"),
        (S, b"HTTP/1.0 200 OK\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\nuntil the end"),
        Fin(S),
    ]


def http2() -> list[Line]:
    client = H2Connection(H2Configuration(client_side=True))
    server = H2Connection(H2Configuration(client_side=False))
    lines: list[Line] = []

    def move() -> None:
        for _ in range(3):
            for side, here, there in ((C, client, server), (S, server, client)):
                if data := here.data_to_send():
                    lines.append((side, data))
                    there.receive_data(data)

    client.initiate_connection()
    server.initiate_connection()
    move()
    for path, kind, trailer in (("/a", "text/plain", "etag"), ("/shop.Cart/Add", "application/grpc", "grpc-status")):
        stream = client.get_next_available_stream_id()
        client.send_headers(
            stream,
            [(":method", "POST"), (":scheme", "http"), (":authority", "shop"), (":path", path), ("content-type", kind)],
        )
        client.send_data(stream, b"\0\0\0\0\3abc", end_stream=True)
        move()
        server.send_headers(stream, [(":status", "200"), ("content-type", kind)])
        server.send_data(stream, b"\0\0\0\0\5hello")
        server.send_headers(stream, [(trailer, "0")], end_stream=True)
        move()
    return lines


def _dns(number: int, response: bool) -> bytes:
    header = struct.pack("!6H", number, 0x8180 if response else 0x0100, 1, int(response), 0, 0)
    question = b"\x04shop\x07example\x00" + struct.pack("!2H", 1, 1)
    answer = b"\xc0\x0c" + struct.pack("!2HIH", 1, 1, 60, 4) + bytes((10, 0, 0, 7)) if response else b""
    return header + question + answer


def dns() -> list[Line]:
    return [(C, _dns(7, False)), (C, _dns(8, False)), (S, _dns(8, True)), (S, _dns(7, True)), (C, _dns(9, False))]


def dns_tcp() -> list[Line]:
    return [(line[0], struct.pack("!H", len(line[1])) + line[1]) for line in dns() if isinstance(line, tuple)]


def tls() -> list[Line]:
    authority = trustme.CA()
    asks, answers = ssl.create_default_context(), ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.configure_trust(asks)
    authority.issue_cert("shop.example").configure_cert(answers)
    wires = [ssl.MemoryBIO() for _ in range(4)]
    ends = [
        asks.wrap_bio(wires[0], wires[1], server_hostname="shop.example"),
        answers.wrap_bio(wires[2], wires[3], server_side=True),
    ]
    lines: list[Line] = []
    for _ in range(3):
        for side in Side:
            try:
                ends[side].do_handshake()
            except ssl.SSLWantReadError:
                pass
            if data := wires[2 * side + 1].read():
                lines.append((side, data))
                wires[2 if side is C else 0].write(data)
    return lines


class Sample(msgspec.Struct, frozen=True):
    name: str
    transport: str
    make: Callable[[], list[Line]]


SAMPLES = (
    Sample("http", "tcp", http),
    Sample("http2", "tcp", http2),
    Sample("dns", "udp", dns),
    Sample("dns", "tcp", dns_tcp),
    Sample("tls", "tcp", tls),
)
_made: dict[Sample, list[Line]] = {}


def transcript(sample: Sample) -> list[Line]:
    if sample not in _made:
        _made[sample] = sample.make()
    return _made[sample]


def own(dissector: Dissector) -> list[Sample]:
    return [sample for sample in SAMPLES if sample.name == dissector.name]


def first(lines: Sequence[Line], side: Side) -> bytes:
    return next((line[1] for line in lines if isinstance(line, tuple) and line[0] is side), b"")


each_dissector = pytest.mark.parametrize("dissector", DISSECTORS, ids=lambda d: d.name)
each_conversation = pytest.mark.parametrize(
    ("dissector", "sample"),
    [pytest.param(d, s, id=f"{s.name}-{s.transport}") for d in DISSECTORS for s in own(d)],
)


def check(dissector: Dissector, outputs: Sequence[Output], last: int) -> None:
    """What holds for everything that is ever given."""
    declared = {field.name: field.type for field in dissector.fields}
    for number, output in enumerate(outputs):
        if isinstance(output, Leave | GiveUp):
            assert number == len(outputs) - 1, "nothing comes after the end"
            continue
        assert output.protocol in dissector.protocols
        assert output.offset >= 0
        assert output.request is not None or output.response is not None
        for name, value in output.fields.items():
            assert name in declared, f"{name} is not declared"
            assert type(value) is declared[name], f"{name} is {value!r}"
        assert output.ok is None or type(output.ok) is bool
        for message in (output.request, output.response):
            if message is not None:
                assert START <= message.timestamp <= message.end <= last
                assert message.size >= 0
        if output.request is None or output.response is None:
            assert output.incomplete or output.kind != "exchange", "half a pair says what is missing"
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(output), type=Exchange) == output


def end_of(lines: Sequence[Line]) -> int:
    return START + (len(lines) + 1) * 1_000_000


# Declarations.


@each_dissector
def test_it_declares_what_it_is(dissector: Dissector) -> None:
    assert dissector.name.isidentifier()
    assert dissector.title
    assert dissector.protocols
    assert dissector.transports <= {"tcp", "udp"}
    assert dissector.transports
    assert all(0 < port < 65536 for port in dissector.ports)
    names = [field.name for field in dissector.fields]
    assert len(names) == len(set(names))
    for field in dissector.fields:
        assert field.name.isidentifier()
        assert field.type in TYPES
        assert field.doc


@each_dissector
def test_it_has_a_conversation_here(dissector: Dissector) -> None:
    assert {sample.transport for sample in own(dissector)} == dissector.transports


@each_dissector
def test_it_opens_with_every_argument(dissector: Dissector) -> None:
    for transport in dissector.transports:
        for midstream in (False, True):
            state = dissector.open(midstream=midstream, carry=None, transport=transport)
            assert isinstance(state, dissector.State)
            assert restored(dissector, state) == state
            assert list(dissector.close(state, None, START)) == []


# Its own conversation.


@each_conversation
def test_it_reads_its_own(dissector: Dissector, sample: Sample) -> None:
    lines = transcript(sample)
    found = play(dissector, lines, transport=sample.transport)
    check(dissector, found, end_of(lines))
    assert exchanges(found)
    assert not any(isinstance(output, GiveUp) and not exchanges(found) for output in found)


@each_conversation
def test_it_recognises_its_own_and_never_turns_back(dissector: Dissector, sample: Sample) -> None:
    head = first(transcript(sample), C)
    assert dissector.probe(C, head, sample.transport) is Probe.YES
    if sample.transport == "tcp":
        answers = [dissector.probe(C, head[:n], sample.transport) for n in range(len(head) + 1)]
        assert Probe.NO not in answers
        assert answers == sorted(answers), "once YES, always YES"


@each_conversation
def test_a_foreign_conversation_is_refused(dissector: Dissector, sample: Sample) -> None:
    for other in SAMPLES:
        if other.name != dissector.name and other.transport == sample.transport:
            for side in Side:
                if head := first(transcript(other), side):
                    for asked in Side:
                        answer = dissector.probe(asked, head, other.transport)
                        assert answer is Probe.NO, f"{other.name} from {side!r} taken for {asked!r}"


@each_conversation
@given(points=st.lists(st.integers(1, 400), max_size=12), snapshot=st.booleans())
def test_any_split_gives_the_same(
    dissector: Dissector, sample: Sample, points: list[int], snapshot: bool
) -> None:
    lines = transcript(sample)
    whole = play(dissector, lines, transport=sample.transport)
    assert play(dissector, lines, transport=sample.transport, split=at_points(points), snapshot=snapshot) == whole


@each_conversation
@pytest.mark.parametrize("size", [1, 2, 3, 5, 17])
def test_any_size_of_segments_gives_the_same(dissector: Dissector, sample: Sample, size: int) -> None:
    lines = transcript(sample)
    whole = play(dissector, lines, transport=sample.transport)
    assert play(dissector, lines, transport=sample.transport, split=every(size), snapshot=True) == whole


@each_conversation
def test_the_order_of_the_directions_is_nothing(dissector: Dissector, sample: Sample) -> None:
    """Two rings may show the answer before the question; where nothing is lost, the same pairs are found."""
    lines = [line for line in transcript(sample) if isinstance(line, tuple)]
    ours = [line for line in lines if line[0] is C]
    theirs = [line for line in lines if line[0] is S]

    def pairs(order: list[Line]) -> list[tuple[int, int, Any]]:
        found = exchanges(play(dissector, [*order, Fin(S), Fin(C)], transport=sample.transport))
        return sorted((e.offset, e.stream_id, e.fields) for e in found)

    expected = pairs([*lines])
    assert pairs([*ours, *theirs]) == expected
    assert pairs([*theirs, *ours]) == expected


# Bad input.


@each_conversation
@given(seed=st.integers(0, 1 << 32), midstream=st.booleans())
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_damage_never_raises(dissector: Dissector, sample: Sample, seed: int, midstream: bool) -> None:
    dice = random.Random(seed)
    lines: list[Line] = []
    for line in transcript(sample) * dice.randint(1, 3):
        if dice.random() < 0.2:
            lines.append(Lost(dice.choice([C, S]), dice.choice([1, 9, 200, 100_000])))
        if not isinstance(line, tuple):
            continue
        side, data = line
        kind = dice.random()
        if kind < 0.3 and data:
            damaged = bytearray(data)
            for _ in range(dice.randint(1, 4)):
                damaged[dice.randrange(len(damaged))] = dice.randrange(256)
            data = bytes(damaged)
        elif kind < 0.5:
            at = dice.randrange(len(data) + 1)
            data = data[:at] + dice.randbytes(dice.randint(0, 30)) + data[at + dice.randint(0, 30) :]
        if dice.random() < 0.05:
            side = side.other
        lines.append((side, data))
    for limits in (dissector.limits, TIGHT):
        judge = type(dissector)(limits)
        found = play(judge, lines, transport=sample.transport, midstream=midstream, split=every(97), snapshot=True)
        check(judge, found, end_of(lines))


@each_dissector
@given(
    lines=st.lists(st.tuples(st.sampled_from([C, S]), st.binary(max_size=200)), max_size=12), midstream=st.booleans()
)
def test_random_bytes_never_raise(dissector: Dissector, lines: list[tuple[Side, bytes]], midstream: bool) -> None:
    for transport in dissector.transports:
        found = play(dissector, lines, transport=transport, midstream=midstream, snapshot=True)
        check(dissector, found, end_of(lines))
        for side, data in lines:
            assert dissector.probe(side, data, transport) in set(Probe)


@each_conversation
@pytest.mark.parametrize("what", ["client", "server", "both", "begun", "noise"])
def test_memory_stays_under_the_ceilings(dissector: Dissector, sample: Sample, what: str) -> None:
    """A megabyte of one side alone, of both, of beginnings without ends, of noise: none of it is hoarded."""
    judge = type(dissector)(TIGHT)
    dice = random.Random(1)
    lines = [line for line in transcript(sample) if isinstance(line, tuple)]
    for midstream in (False, True):
        state = judge.open(midstream=midstream, transport=sample.transport)
        offsets, fed, number, over = [0, 0], 0, 0, False
        while fed < 1 << 20 and not over:
            side, data = lines[number % len(lines)]
            number += 1
            if (what, side) in (("client", S), ("server", C)):
                continue
            if what == "begun" and number > len(lines):
                data = data[: len(data) * 2 // 3] + dice.randbytes(800)
            if what == "noise" and number > 2:
                data = dice.randbytes(1400)
            outputs = list(judge.feed(state, Data(side, data, START + number, offsets[side])))
            over = any(isinstance(output, Leave | GiveUp) for output in outputs)
            offsets[side] += len(data) if sample.transport == "tcp" else 1
            fed += len(data)
            if number % 64 == 0:
                assert len(msgspec.msgpack.encode(state)) < STATE_CEILING
        assert len(msgspec.msgpack.encode(state)) < STATE_CEILING
        list(judge.close(state, None, START + number))
        assert len(msgspec.msgpack.encode(state)) < STATE_CEILING
        assert list(judge.close(state, None, START + number)) == [], "after the end nothing comes"


@each_conversation
def test_a_gap_anywhere_is_survived_and_told(dissector: Dissector, sample: Sample) -> None:
    """Every line lost once: what is found then is a part of what is there, or says what is missing."""
    if sample.transport == "udp":
        return
    lines = transcript(sample)
    whole = {(e.offset, e.stream_id, e.side): e for e in exchanges(play(dissector, lines))}
    for at, line in enumerate(lines):
        if not isinstance(line, tuple):
            continue
        damaged = [*lines[:at], Lost(line[0], len(line[1])), *lines[at + 1 :]]
        found = play(dissector, damaged)
        check(dissector, found, end_of(damaged))
        for exchange in exchanges(found):
            known = whole.get((exchange.offset, exchange.stream_id, exchange.side))
            assert exchange.incomplete or (known is not None and known.fields == exchange.fields)
