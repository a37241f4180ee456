from __future__ import annotations

import random

from hpack import Encoder
from hyperframe.frame import (
    DataFrame,
    SettingsFrame,
)

from weir.dissect.api import Exchange, Output
from weir.dissect.protocols.http2 import Http2
from weir.testing.http2 import FIRST, GRPC, REQUEST, Wire, headers_frame, prefixed, raw
from weir.testing.transcript import C, Line, Lost, S, every, exchanges, play


def only(outputs: list[Output]) -> Exchange:
    assert len(outputs) == 1, outputs
    assert isinstance(outputs[0], Exchange)
    return outputs[0]


def test_joined_in_the_middle() -> None:
    wire = Wire()
    wire.answer(wire.ask(GRPC, prefixed(b"a")), trailers=[("grpc-status", "0")])
    before = len(wire.lines)
    for i in range(3):
        number = wire.ask([*GRPC, ("x-fresh", str(i))], prefixed(b"a"))
        wire.answer(number, [(":status", "200")], prefixed(b"b"), [("grpc-status", "0"), ("x-end", str(i))])
    found = exchanges(play(Http2(), wire.lines[before:], midstream=True))
    assert len(found) == 3
    for i, one in enumerate(found):
        assert one.protocol == "grpc"
        assert one.fields["status_code"] == 200
        assert one.request is not None
        assert one.request.headers["x-fresh"] == str(i)
        assert one.request.headers["?"].startswith("?")
        assert one.response is not None
        assert one.response.trailers["x-end"] == str(i)
        assert "headers refer to a table that was not seen" in one.incomplete


def test_joined_in_the_middle_with_all_headers_told_again() -> None:
    """Entries that are added after the join are found where they are, and nothing is said to be missing."""
    encoder = Encoder()
    old = [("x-old", "1")]
    encoder.encode(old)
    fresh = [*REQUEST[:3], (":path", "/new"), ("x-new", "2")]
    lines: list[Line] = [
        (C, raw(*(headers_frame(n, fresh, encoder, ["END_STREAM"]) for n in (101, 103)))),
        (C, raw(headers_frame(105, [*fresh, *old], encoder, ["END_STREAM"]))),
    ]
    one, two, three = exchanges(play(Http2(), lines, midstream=True))
    assert one.fields["path"] == two.fields["path"] == three.fields["path"] == "/new"
    assert two.request is not None
    assert two.request.headers["x-new"] == "2"
    assert two.incomplete == ["response not seen"]
    assert three.request is not None
    assert three.request.headers["?"] == "?"
    assert "headers refer to a table that was not seen" in three.incomplete


def test_values_without_a_name_are_not_shown() -> None:
    """Redaction goes by name: what may be a credential must not slip through under another one."""
    encoder = Encoder()
    encoder.encode([("x-api-key", "old")])
    lines: list[Line] = [(C, raw(headers_frame(101, [*REQUEST, ("x-api-key", "secret")], encoder, ["END_STREAM"])))]
    found = only(play(Http2(), lines, midstream=True))
    assert found.request is not None
    assert found.request.headers == {":scheme": "http", "?": "?"}


def test_an_answer_whose_request_was_before_the_join() -> None:
    lines: list[Line] = [
        (S, raw(headers_frame(7, [(":status", "200")]), DataFrame(7, b"x", flags=["END_STREAM"]))),
        (C, raw(headers_frame(9, REQUEST, flags=["END_STREAM"]))),
        (S, raw(DataFrame(5, b"y", flags=["END_STREAM"]))),
    ]
    found = exchanges(play(Http2(), lines, midstream=True, close=False))
    assert [(e.stream_id, e.side, e.incomplete) for e in found] == [
        (7, S, ["request not seen"]),
        (5, S, ["request not seen"]),
    ]


def test_trailers_of_a_call_that_was_joined() -> None:
    lines: list[Line] = [
        (C, raw(headers_frame(9, GRPC, flags=["END_STREAM"]))),
        (S, raw(headers_frame(7, [("grpc-status", "13"), ("grpc-message", "broken")], flags=["END_STREAM"]))),
    ]
    found = exchanges(play(Http2(), lines, midstream=True, close=False))[0]
    assert (found.protocol, found.fields["grpc_status"], found.ok) == ("grpc", 13, False)
    assert found.incomplete == ["headers of the response not seen", "request not seen"]


def test_joined_within_a_frame() -> None:
    wire = Wire()
    wire.answer(wire.ask(), body=b"abc" * 3000)
    wire.answer(wire.ask())
    wire.answer(wire.ask([*REQUEST[:3], (":path", "/new")]))
    side, first = next(line for line in wire.lines if not isinstance(line, Lost) and len(line[1]) > 8000)
    at = wire.lines.index((side, first))
    lines = [(side, first[2000:]), *wire.lines[at + 1 :]]
    for split in (every(1000), every(17), every(100_000)):
        found = exchanges(play(Http2(), lines, midstream=True, split=split))
        assert [e.stream_id for e in found][-2:] == [3, 5]
        assert found[-1].fields["path"] == "/new"
        assert found[-1].fields["status_code"] == 200


def test_bytes_lost_within_a_body_cost_only_these() -> None:
    data = b"0123456789" * 100
    rest = raw(headers_frame(3, [(":status", "201"), ("x", "y")], flags=["END_STREAM"]))
    frame = raw(DataFrame(1, data, flags=["END_STREAM"]))
    lines: list[Line] = [
        (C, FIRST + raw(*(headers_frame(n, REQUEST, flags=["END_STREAM"]) for n in (1, 3)))),
        (S, raw(SettingsFrame(0), headers_frame(1, [(":status", "200")])) + frame[:300]),
        Lost(S, 400),
        (S, frame[700:] + rest),
    ]
    first, second = exchanges(play(Http2(), lines, snapshot=True))
    assert first.incomplete == ["400 bytes of the response lost"]
    assert first.response is not None
    assert first.response.body is not None
    assert (first.response.body.size, first.response.body.truncated) == (1000, True)
    assert (second.fields["status_code"], second.incomplete) == (201, [])
    all_of_it: list[Line] = [*lines[:1], (S, raw(SettingsFrame(0), headers_frame(1, [(":status", "200")])) + frame[:9]),
                             Lost(S, 1000), (S, rest)]  # fmt: skip
    assert [e.incomplete for e in exchanges(play(Http2(), all_of_it))] == [["1000 bytes of the response lost"], []]


def test_bytes_lost_with_headers_in_them() -> None:
    wire = Wire()
    numbers = [wire.ask() for _ in range(4)]
    answers = Encoder()
    sent = [raw(headers_frame(n, [(":status", "200"), ("x-n", str(n))], answers, ["END_STREAM"])) for n in numbers]
    lines: list[Line] = [*wire.lines, (S, sent[0]), Lost(S, len(sent[1])), (S, sent[2]), (S, sent[3])]
    found = exchanges(play(Http2(), lines))
    by_stream = {e.stream_id: e for e in found}
    assert by_stream[1].incomplete == []
    lost = f"{len(sent[1])} bytes lost, perhaps of this response"
    assert by_stream[3].incomplete == [lost, "response not seen"]
    assert by_stream[7].fields["status_code"] == 200
    assert lost in by_stream[7].incomplete
    later = [*wire.lines, Lost(S, 5), *lines[-2:]]
    assert {e.stream_id for e in exchanges(play(Http2(), later))} == set(numbers)


def test_joined_anywhere_and_cut_anywhere_gives_the_same() -> None:
    wire = Wire()
    for i in range(6):
        number = wire.ask([*GRPC, ("x-i", str(i))], prefixed(b"q" * i))
        wire.answer(number, [(":status", "200")], prefixed(b"r" * 50), [("grpc-status", "0")])
    rng = random.Random(3)
    for _ in range(60):
        start = rng.randrange(len(wire.lines))
        side, data = wire.lines[start]  # type: ignore[misc]
        lines: list[Line] = [(side, data[rng.randrange(len(data)) :]), *wire.lines[start + 1 :]]
        whole = play(Http2(), lines, midstream=True)
        assert play(Http2(), lines, midstream=True, split=every(rng.randint(1, 30)), snapshot=True) == whole
