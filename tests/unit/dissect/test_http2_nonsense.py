from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hpack import Encoder
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    HeadersFrame,
    PingFrame,
    SettingsFrame,
    WindowUpdateFrame,
)
from hypothesis import given
from hypothesis import strategies as st

from weir.dissect.api import Exchange, GiveUp, Limits, Output, Probe
from weir.dissect.http2_frames import PREFACE
from weir.dissect.protocols.http2 import Http2
from weir.testing.http2 import FIRST, REQUEST, Wire, headers_frame, raw
from weir.testing.transcript import C, Line, S, at_points, every, exchanges, play


def only(outputs: list[Output]) -> Exchange:
    assert len(outputs) == 1, outputs
    assert isinstance(outputs[0], Exchange)
    return outputs[0]


def held(state: Any) -> int:
    return len(msgspec.msgpack.encode(state))


def test_continuations_without_end() -> None:
    limits = Limits()
    frames = raw(*(ContinuationFrame(1, data=b"\x40\x01a\x01b" * 3000) for _ in range(40)))
    peak = 0

    def watch(state: Any) -> None:
        nonlocal peak
        peak = max(peak, held(state))

    encoder = Encoder()
    lines: list[Line] = [
        (C, FIRST + raw(HeadersFrame(1, data=encoder.encode(REQUEST)))),
        (C, frames),
        (C, raw(ContinuationFrame(1, data=b"", flags=["END_HEADERS"]))),
        (C, raw(headers_frame(3, REQUEST, encoder, ["END_STREAM"]))),
    ]
    flood, after = exchanges(play(Http2(limits), lines, split=every(1400), watch=watch))
    assert peak < 200_000
    assert any("above 65536 bytes" in reason for reason in flood.incomplete)
    assert after.request is not None
    assert after.fields["method"] == "GET"
    assert "headers refer to a table that was not seen" in after.incomplete


def test_a_header_block_that_unfolds_without_end() -> None:
    """Two bytes of a block may stand for an entry of 4 KiB."""
    big = Encoder().encode([("x", "y" * 4000)])
    lines: list[Line] = [(C, FIRST + raw(HeadersFrame(1, data=big + b"\xbe" * 10_000, flags=["END_HEADERS"])))]
    found = only(play(Http2(), lines))
    assert any("headers cannot be read" in reason for reason in found.incomplete)


def test_streams_without_end() -> None:
    frames = raw(*(headers_frame(2 * n + 1, REQUEST, flags=["END_STREAM"]) for n in range(50)))
    out = play(Http2(Limits(streams=8)), [(C, FIRST + frames)], close=False)
    assert len(out) == 42
    assert "more than 8 open streams" in exchanges(out)[0].incomplete


def test_many_large_bodies_and_headers_at_once() -> None:
    limits = Limits(buffered=50_000)
    peak = 0

    def watch(state: Any) -> None:
        nonlocal peak
        peak = max(peak, held(state))

    encoder = Encoder()
    frames = []
    for n in range(100):
        number = 2 * n + 1
        frames.append(headers_frame(number, [*REQUEST, ("x-large", "z" * 3000)], encoder))
        frames.append(DataFrame(number, b"d" * 4000))
    found = exchanges(play(Http2(limits), [(C, FIRST + raw(*frames))], watch=watch))
    assert peak < 150_000
    assert len(found) == 100
    assert any("headers left out" in reason for reason in found[-1].incomplete)
    assert found[-1].fields["path"] == "/cart"
    assert found[-1].request is not None
    assert found[-1].request.body is not None
    assert (found[-1].request.body.size, found[-1].request.body.truncated) == (4000, True)


def test_room_is_given_back_when_streams_end() -> None:
    wire = Wire()
    for _ in range(100):
        wire.answer(wire.ask(), [(":status", "200"), ("x", "y" * 500)], b"z" * 500)
    found = exchanges(play(Http2(Limits(buffered=2000)), wire.lines))
    assert all(e.incomplete == [] and e.response and e.response.body and not e.response.body.truncated for e in found)


def test_a_header_block_that_is_interrupted() -> None:
    encoder = Encoder()
    lines: list[Line] = [
        (C, FIRST + raw(HeadersFrame(1, data=encoder.encode(REQUEST)), PingFrame(0, b"12345678"))),
        (C, raw(headers_frame(3, REQUEST, encoder, ["END_STREAM"]))),
    ]
    found = only(play(Http2(), lines))
    assert found.stream_id == 3
    assert found.weird == ["header block without an end"]


def test_malformed_frames_are_told_and_passed_over() -> None:
    bad = bytes.fromhex("000003 03 00 00000001 aabbcc") + bytes.fromhex("000004 00 08 00000001 10aaaaaa")
    good = raw(DataFrame(1, b"x", flags=["END_STREAM"]))
    lines: list[Line] = [(C, FIRST + raw(headers_frame(1, REQUEST)) + bad + good)]
    found = only(play(Http2(), lines))
    size = "malformed frame: FRAME_SIZE_ERROR: frame of type 3 with 3 bytes"
    assert found.weird == [size, "padding longer than its frame"]
    assert found.request is not None
    assert found.request.body is not None
    assert found.request.body.text == "x"


@pytest.mark.parametrize(
    "lines",
    [
        [(C, FIRST), (S, b"HTTP/1.1 400 Bad Request\r\n\r\n")],
        [(C, FIRST + bytes.fromhex("000003 03 00 00000001 aabbcc") * 70)],
    ],
)
def test_what_is_no_http2_is_given_up(lines: list[Line]) -> None:
    out = play(Http2(), lines)
    assert isinstance(out[-1], GiveUp)


def test_a_joined_stream_without_any_frame_is_given_up() -> None:
    out = play(Http2(Limits(buffered=10_000)), [(S, b"\xff" * 20_000)], midstream=True)
    assert out == [GiveUp("no HTTP/2 frame in 19992 bytes")]


def test_unknown_types_are_passed_over() -> None:
    extension = bytes.fromhex("000002 f0 ff 00000001 aaaa 000003 0a 00 00000000 000061")
    lines: list[Line] = [(C, FIRST + extension + raw(headers_frame(1, REQUEST, flags=["END_STREAM"])))]
    assert only(play(Http2(), lines)).weird == []


# Probing.


def test_probe_of_the_preface() -> None:
    probe = Http2().probe
    assert probe(C, PREFACE) is Probe.YES
    assert probe(C, FIRST) is Probe.YES
    assert {probe(C, PREFACE[:n]) for n in range(len(PREFACE))} == {Probe.MAYBE}
    assert probe(S, PREFACE) is Probe.NO
    assert probe(C, PREFACE, "udp") is Probe.NO
    assert probe(C, b"PRI * HTTP/1.1\r\n") is Probe.NO


def test_probe_of_a_server() -> None:
    settings = raw(SettingsFrame(0, {3: 100}))
    probe = Http2().probe
    assert probe(S, settings + raw(WindowUpdateFrame(0, 5))) is Probe.YES
    assert probe(S, settings) is Probe.MAYBE
    assert probe(S, settings[:3]) is Probe.MAYBE
    assert probe(S, raw(SettingsFrame(0), SettingsFrame(0, flags=["ACK"]))) is Probe.YES


def test_probe_tells_who_the_client_is() -> None:
    request, response = raw(headers_frame(9, REQUEST)), raw(headers_frame(9, [(":status", "200")]))
    probe = Http2().probe
    assert (probe(C, request), probe(S, request)) == (Probe.YES, Probe.NO)
    assert (probe(S, response), probe(C, response)) == (Probe.YES, Probe.NO)


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        bytes.fromhex("0000002a 0003 0009 00000001 0006 636c69656e74"),  # Kafka
        bytes.fromhex("00000008 04d2162f"),  # PostgreSQL, SSLRequest
        bytes.fromhex("4a0000000a382e302e3332"),  # MySQL greeting
        bytes(64),
        b"\0" * 3 + b"\x04" + bytes(5),
    ],
)
def test_probe_of_others(head: bytes) -> None:
    assert Http2().probe(C, head) is not Probe.YES
    assert Http2().probe(S, head + b"\x01" * 40) is not Probe.YES


# Properties.

LINES = st.lists(st.tuples(st.sampled_from([C, S]), st.binary(max_size=200)), max_size=8)


@given(LINES, st.booleans(), st.booleans())
def test_any_bytes(lines: list[Line], midstream: bool, preface: bool) -> None:
    play(Http2(Limits(streams=4)), [(C, FIRST), *lines] if preface else lines, midstream=midstream, split=every(13))


FRAMES = st.lists(
    st.tuples(
        st.sampled_from([C, S]),
        st.builds(
            lambda kind, flags, stream, payload: (
                len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload
            ),
            st.integers(0, 11),
            st.integers(0, 255),
            st.integers(0, 6),
            st.binary(max_size=60),
        ),
    ),
    max_size=12,
)


@given(FRAMES, st.lists(st.integers(0, 60), max_size=4), st.booleans())
def test_any_frames_in_any_split(lines: list[Line], points: list[int], snapshot: bool) -> None:
    first: list[Line] = [(C, FIRST), (S, raw(SettingsFrame(0)))]
    whole = play(Http2(Limits(streams=3)), [*first, *lines])
    assert play(Http2(Limits(streams=3)), [*first, *lines], split=at_points(points), snapshot=snapshot) == whole
