from __future__ import annotations

import gzip
import random
from collections.abc import Iterable
from typing import Any

import msgspec
import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from hpack import Encoder
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)
from hypothesis import given
from hypothesis import strategies as st

from weir.dissect.api import Exchange, GiveUp, Leave, Limits, Output, Probe
from weir.dissect.http2_frames import PREFACE
from weir.dissect.httpfields import Upgraded
from weir.dissect.protocols.http1 import Http1
from weir.dissect.protocols.http2 import Http2
from weir.model.entry import Message
from weir.testing.transcript import C, Line, Lost, S, at_points, every, exchanges, play

Fields = Iterable[tuple[str, str]]
REQUEST = [(":method", "GET"), (":scheme", "http"), (":authority", "shop"), (":path", "/cart?item=1&item=2&x=a%20b")]
GRPC = [
    (":method", "POST"),
    (":scheme", "http"),
    (":authority", "cart:7070"),
    (":path", "/shop.Cart/Add"),
    ("te", "trailers"),
    ("content-type", "application/grpc+proto"),
]
FIRST = PREFACE + SettingsFrame(0).serialize()


class Wire:
    """Two h2 endpoints; what they say is recorded in order."""

    def __init__(self) -> None:
        loose = {"validate_outbound_headers": False, "validate_inbound_headers": False}
        self.client = H2Connection(H2Configuration(client_side=True, **loose))
        self.server = H2Connection(H2Configuration(client_side=False, **loose))
        self.lines: list[Line] = []
        self.client.initiate_connection()
        self.server.initiate_connection()
        self.move()

    def move(self) -> None:
        for _ in range(3):
            for side, here, there in ((C, self.client, self.server), (S, self.server, self.client)):
                if data := here.data_to_send():
                    self.lines.append((side, data))
                    there.receive_data(data)

    def ask(self, headers: Fields = REQUEST, body: bytes = b"", *, end: bool = True, **more: Any) -> int:
        number = self.client.get_next_available_stream_id()
        self.client.send_headers(number, list(headers), end_stream=end and not body, **more)
        self.move()
        if body:
            self.client.send_data(number, body, end_stream=end)
            self.move()
        return number

    def answer(
        self, number: int, headers: Fields = ((":status", "200"),), body: bytes = b"hello", trailers: Fields = ()
    ) -> None:
        trailers = list(trailers)
        self.server.send_headers(number, list(headers), end_stream=not body and not trailers)
        for at in range(0, len(body), 16_384):
            last = at + 16_384 >= len(body)
            self.server.send_data(number, body[at : at + 16_384], end_stream=last and not trailers)
            self.move()
        if trailers:
            self.server.send_headers(number, trailers, end_stream=True)
        self.move()


def only(outputs: list[Output]) -> Exchange:
    assert len(outputs) == 1, outputs
    assert isinstance(outputs[0], Exchange)
    return outputs[0]


def raw(*frames: Frame) -> bytes:
    return b"".join(frame.serialize() for frame in frames)


def headers_frame(
    number: int, fields: Fields, encoder: Encoder | None = None, flags: Iterable[str] = ()
) -> HeadersFrame:
    block = (encoder or Encoder()).encode(list(fields))
    return HeadersFrame(number, data=block, flags=["END_HEADERS", *flags])


def prefixed(*messages: bytes, compressed: bool = False) -> bytes:
    return b"".join(bytes([compressed]) + len(m).to_bytes(4) + m for m in messages)


def test_plain_exchange() -> None:
    wire = Wire()
    wire.answer(wire.ask())
    found = only(play(Http2(), wire.lines))
    assert (found.protocol, found.kind, found.stream_id, found.side) == ("http", "exchange", 1, C)
    assert found.fields["method"] == "GET"
    assert found.fields["path"] == "/cart"
    assert found.fields["url"] == "http://shop/cart?item=1&item=2&x=a%20b"
    assert found.fields["host"] == "shop"
    assert found.fields["query_string"] == {"item": "1, 2", "x": "a b"}
    assert found.fields["status_code"] == 200
    assert found.fields["http_version"] == "2"
    assert found.fields["response_body_size"] == 5
    assert (found.ok, found.summary, found.weird, found.incomplete) == (True, "GET /cart → 200", [], [])
    assert found.response is not None
    assert found.response.body is not None
    assert found.response.body.text == "hello"
    assert found.request is not None
    assert found.request.body is None
    assert found.request.timestamp < found.response.timestamp


def test_offset_is_that_of_the_request_headers() -> None:
    found = only(play(Http2(), [(C, FIRST + raw(headers_frame(1, REQUEST)))]))
    assert found.offset == len(FIRST)


@pytest.mark.parametrize("snapshot", [False, True])
@pytest.mark.parametrize("size", [1, 2, 7, 40])
def test_any_split_and_a_snapshot_anywhere_change_nothing(size: int, snapshot: bool) -> None:
    wire = Wire()
    for i in range(4):
        number = wire.ask([*GRPC, (f"x-{i}", "v" * 20)], prefixed(b"abc", bytes(i)), priority_weight=10)
        wire.answer(number, [(":status", "200")], prefixed(b"x" * 300), [("grpc-status", str(i))])
    assert play(Http2(), wire.lines, split=every(size), snapshot=snapshot) == play(Http2(), wire.lines)


def test_streams_interleave() -> None:
    wire = Wire()
    numbers = [wire.ask([*REQUEST[:3], (":path", f"/{i}")], b"b", end=False) for i in range(5)]
    for number in reversed(numbers):
        wire.client.send_data(number, b"ody", end_stream=True)
        wire.move()
        wire.answer(number)
    found = exchanges(play(Http2(), wire.lines))
    assert [e.stream_id for e in found] == list(reversed(numbers))
    assert [e.fields["path"] for e in found] == ["/4", "/3", "/2", "/1", "/0"]
    assert {e.request.body.text for e in found if e.request and e.request.body} == {"body"}


def test_grpc_call() -> None:
    wire = Wire()
    number = wire.ask(GRPC, prefixed(b"one", b"two", b""))
    wire.answer(number, [(":status", "200"), ("content-type", "application/grpc")], prefixed(b"four"), [
        ("grpc-status", "5"), ("grpc-message", "no%20such%20cart"),
    ])  # fmt: skip
    found = only(play(Http2(), wire.lines))
    assert found.protocol == "grpc"
    assert found.fields["grpc_method"] == "shop.Cart/Add"
    assert found.fields["grpc_service"] == "shop.Cart"
    assert (found.fields["grpc_status"], found.fields["grpc_message"]) == (5, "no such cart")
    assert (found.fields["grpc_request_messages"], found.fields["grpc_response_messages"]) == (3, 1)
    assert (found.fields["grpc_request_size"], found.fields["grpc_response_size"]) == (6, 4)
    assert (found.ok, found.summary) == (False, "shop.Cart/Add → NOT_FOUND")
    assert found.response is not None
    assert found.response.trailers["grpc-status"] == "5"
    assert "grpc_compressed" not in found.fields


def test_grpc_that_is_answered_by_trailers_only_and_compressed() -> None:
    wire = Wire()
    number = wire.ask(GRPC, prefixed(b"packed", compressed=True))
    wire.answer(number, [(":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "0")], b"")
    found = only(play(Http2(), wire.lines))
    assert (found.fields["grpc_status"], found.ok) == (0, True)
    assert found.fields["grpc_compressed"] is True
    assert found.summary == "shop.Cart/Add → OK"


def test_content_coding_is_undone() -> None:
    wire = Wire()
    wire.answer(wire.ask(), [(":status", "200"), ("content-encoding", "gzip")], gzip.compress(b"text " * 99))
    found = only(play(Http2(), wire.lines))
    assert found.response is not None
    assert found.response.body is not None
    assert found.response.body.text == "text " * 99
    assert found.response.body.encoding == "gzip"


def test_bodies_are_cut_and_counted() -> None:
    wire = Wire()
    wire.answer(wire.ask(), body=b"x" * 50_000)
    found = only(play(Http2(Limits(body=1000)), wire.lines))
    assert found.response is not None
    assert found.response.body is not None
    assert (found.response.body.size, len(found.response.body.text)) == (50_000, 1000)
    assert found.response.body.truncated


def test_interim_answers_are_passed_over() -> None:
    wire = Wire()
    number = wire.ask()
    wire.server.send_headers(number, [(":status", "103"), ("link", "</a.css>")])
    wire.answer(number, [(":status", "204")], b"")
    found = only(play(Http2(), wire.lines))
    assert found.fields["status_code"] == 204
    assert found.response is not None
    assert "link" not in found.response.headers


def test_cookies_are_joined_as_their_rfcs_say() -> None:
    wire = Wire()
    number = wire.ask([*REQUEST, ("cookie", "a=1"), ("cookie", "b=2"), ("accept", "x"), ("accept", "y")])
    wire.answer(number, [(":status", "200"), ("set-cookie", "c=3"), ("set-cookie", "d=4; Path=/")])
    found = only(play(Http2(), wire.lines))
    assert found.request is not None
    assert found.request.headers["cookie"] == "a=1; b=2"
    assert found.request.headers["accept"] == "x, y"
    assert found.response is not None
    assert found.response.headers["set-cookie"] == "c=3\nd=4; Path=/"


def test_query_values_are_only_where_they_are_masked() -> None:
    """Redaction knows `url` and `query_string`; the pseudo-field would let a token through."""
    wire = Wire()
    wire.answer(wire.ask())
    found = only(play(Http2(), wire.lines))
    assert found.request is not None
    assert ":path" not in found.request.headers


@pytest.mark.parametrize(("by_client", "who"), [(True, "client"), (False, "server")])
def test_reset(by_client: bool, who: str) -> None:
    wire = Wire()
    number = wire.ask()
    (wire.client if by_client else wire.server).reset_stream(number, ErrorCodes.CANCEL)
    wire.move()
    found = only(play(Http2(), wire.lines, close=False))
    assert found.ok is False
    assert f"reset by {who}: CANCEL" in found.incomplete
    assert found.summary == f"GET /cart → reset by {who}: CANCEL"


def test_a_server_that_has_answered_may_refuse_the_rest_of_the_request() -> None:
    wire = Wire()
    number = wire.ask([(":method", "POST"), *REQUEST[1:]], b"part", end=False)
    wire.answer(number, [(":status", "413")])
    wire.server.reset_stream(number, ErrorCodes.NO_ERROR)
    wire.move()
    found = only(play(Http2(), wire.lines, close=False))
    assert found.fields["status_code"] == 413
    assert found.incomplete == []


def test_frames_of_a_reset_stream_are_passed_over() -> None:
    encoder = Encoder()
    lines: list[Line] = [
        (C, FIRST + raw(headers_frame(1, REQUEST, encoder, ["END_STREAM"]), RstStreamFrame(1, error_code=8))),
        (S, raw(SettingsFrame(0), headers_frame(1, [(":status", "200")]), DataFrame(1, b"late", flags=["END_STREAM"]))),
    ]
    assert len(play(Http2(), lines)) == 1


def test_push() -> None:
    wire = Wire()
    number = wire.ask()
    wire.server.push_stream(number, 2, [*REQUEST[:3], (":path", "/style.css")])
    wire.answer(2, body=b"css")
    wire.answer(number)
    pushed, asked = exchanges(play(Http2(), wire.lines))
    assert (pushed.stream_id, pushed.side, pushed.fields["path"]) == (2, S, "/style.css")
    assert pushed.fields["http_pushed"] is True
    assert pushed.incomplete == []
    assert asked.stream_id == number


def test_go_away_refuses_the_streams_above() -> None:
    lines: list[Line] = [
        (C, FIRST + raw(*(headers_frame(n, REQUEST, flags=["END_STREAM"]) for n in (1, 3, 5)))),
        (S, raw(SettingsFrame(0), GoAwayFrame(0, last_stream_id=1, error_code=11))),
    ]
    found = exchanges(play(Http2(), lines, close=False))
    assert [e.stream_id for e in found] == [3, 5]
    assert found[0].summary == "GET /cart → refused by server: GOAWAY ENHANCE_YOUR_CALM"
    assert len(play(Http2(), lines)) == 3


def test_headers_in_continuations_with_padding_and_priority() -> None:
    block = Encoder().encode([*REQUEST, ("x-long", "y" * 3000)])
    frames = [
        HeadersFrame(1, data=block[:10], flags=["PADDED", "PRIORITY", "END_STREAM"], pad_length=30, depends_on=0),
        ContinuationFrame(1, data=block[10:500]),
        ContinuationFrame(1, data=b""),
        ContinuationFrame(1, data=block[500:], flags=["END_HEADERS"]),
        PriorityFrame(3, depends_on=1, stream_weight=3),
        PingFrame(0, b"12345678"),
        WindowUpdateFrame(0, 99),
    ]
    found = only(play(Http2(), [(C, FIRST + raw(*frames))], split=every(5)))
    assert found.request is not None
    assert found.request.headers["x-long"] == "y" * 3000
    assert found.weird == []


def test_padded_data() -> None:
    data = DataFrame(1, b"body", flags=["PADDED", "END_STREAM"], pad_length=200)
    lines: list[Line] = [(C, FIRST + raw(headers_frame(1, REQUEST), DataFrame(1, b"", flags=["PADDED"]), data))]
    for size in (1, 3, 1000):
        found = only(play(Http2(), lines, split=every(size)))
        assert found.request is not None
        assert found.request.body is not None
        assert found.request.body.text == "body"


def test_extended_connect_is_a_stream_like_others() -> None:
    fields = [(":method", "CONNECT"), (":protocol", "websocket"), *REQUEST[1:3], (":path", "/chat")]
    lines: list[Line] = [
        (C, FIRST + raw(headers_frame(1, fields))),
        (S, raw(SettingsFrame(0), headers_frame(1, [(":status", "200")]), DataFrame(1, b"\x81\x02hi"))),
        (C, raw(DataFrame(1, b"\x81\x82....", flags=["END_STREAM"]))),
        (S, raw(DataFrame(1, b"", flags=["END_STREAM"]))),
    ]
    found = only(play(Http2(), lines, close=False))
    assert found.fields["method"] == "CONNECT"
    assert found.request is not None
    assert found.request.headers[":protocol"] == "websocket"
    assert found.incomplete == []


def test_upgrade_is_answered_on_stream_1() -> None:
    request = Message(timestamp=5, end=6, size=70, headers={"host": "old"})
    carry = Upgraded(protocol="h2c", offset=0, request=request, fields={"method": "GET", "path": "/up", "host": "old"})
    lines: list[Line] = [
        (S, raw(SettingsFrame(0), headers_frame(1, [(":status", "200")]), DataFrame(1, b"ok", flags=["END_STREAM"]))),
        (C, FIRST),
    ]
    found = only(play(Http2(), lines, carry=carry, snapshot=True))
    assert found.request == request
    assert (found.stream_id, found.fields["path"], found.fields["status_code"]) == (1, "/up", 200)
    assert (found.summary, found.incomplete) == ("GET /up → 200", [])


def test_an_answer_that_is_seen_before_its_request_waits_for_it() -> None:
    lines: list[Line] = [
        (S, raw(SettingsFrame(0), headers_frame(1, [(":status", "200")], flags=["END_STREAM"]))),
        (C, FIRST + raw(headers_frame(1, REQUEST, flags=["END_STREAM"]))),
    ]
    found = only(play(Http2(), lines, close=False))
    assert (found.side, found.offset, found.incomplete) == (C, len(FIRST), [])


def test_open_streams_are_given_at_the_end() -> None:
    wire = Wire()
    wire.ask([(":method", "POST"), *REQUEST[1:]], b"part", end=False)
    wire.ask()
    found = exchanges(play(Http2(), wire.lines))
    assert found[0].incomplete == ["end of the request not seen", "response not seen"]
    assert found[1].incomplete == ["response not seen"]
    assert found[1].ok is None


# What was not seen.


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


# Attacks and nonsense.


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


def test_upgrade_from_http1() -> None:
    """Both dissectors together: HTTP/1 tells that it switched, and HTTP/2 what the request was answered."""
    asks = b"GET /up?a=1 HTTP/1.1\r\nHost: shop\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
    asks += b"HTTP2-Settings: \r\n\r\n"
    switches = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    answer = raw(SettingsFrame(0), headers_frame(1, [(":status", "200")]), DataFrame(1, b"ok", flags=["END_STREAM"]))
    first = play(Http1(), [(C, asks), (S, switches + answer), (C, FIRST)], close=False)
    leave = first[-1]
    assert isinstance(leave, Leave)
    assert leave.protocol == "http2"
    assert [e.summary for e in exchanges(first)] == ["GET /up → 101"]
    rest: list[Line] = [(S, leave.rest[S]), (C, leave.rest[C] or FIRST)]
    found = only(play(Http2(), rest, carry=leave.carry, snapshot=True))
    assert (found.fields["path"], found.fields["query_string"], found.fields["status_code"]) == ("/up", {"a": "1"}, 200)
    assert (found.stream_id, found.offset, found.fields["http_version"], found.incomplete) == (1, 0, "2", [])
