from __future__ import annotations

import gzip

import pytest
from h2.errors import ErrorCodes
from hpack import Encoder
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from weir.dissect.api import Exchange, Leave, Limits, Output
from weir.dissect.httpfields import Upgraded
from weir.dissect.protocols.http1 import Http1
from weir.dissect.protocols.http2 import Http2
from weir.model.entry import Message
from weir.testing.http2 import FIRST, GRPC, REQUEST, Wire, headers_frame, prefixed, raw
from weir.testing.transcript import C, Line, S, every, exchanges, play


def only(outputs: list[Output]) -> Exchange:
    assert len(outputs) == 1, outputs
    assert isinstance(outputs[0], Exchange)
    return outputs[0]


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


def test_interim_answers_are_kept_beside_the_final_one() -> None:
    wire = Wire()
    number = wire.ask()
    wire.server.send_headers(number, [(":status", "103"), ("link", "</a.css>")])
    wire.answer(number, [(":status", "204")], b"")
    found = only(play(Http2(), wire.lines))
    assert found.fields["status_code"] == 204
    assert found.response is not None
    assert "link" not in found.response.headers
    (interim,) = found.fields["interim_responses"]
    assert (interim["status_code"], interim["headers"]) == (103, {"link": "</a.css>"})
    assert interim["timestamp"] <= found.response.timestamp


def test_interim_answers_are_bounded_and_leave_nothing_behind() -> None:
    wire = Wire()
    number = wire.ask()
    for _ in range(20):
        wire.server.send_headers(number, [(":status", "103"), ("link", "x" * 5000)])
    wire.server.send_headers(number, [(":status", "103"), ("link", "x" * 50)])
    wire.answer(number, [(":status", "204")], b"")
    kept: list[int] = []
    found = only(play(Http2(), wire.lines, watch=lambda state: kept.append(state.server.kept)))
    assert len(found.fields["interim_responses"]) == 8
    assert not any("headers" in interim for interim in found.fields["interim_responses"])
    assert kept[-1] == 0


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
    assert found.incomplete == [f"reset by {who} after the request: CANCEL"]
    assert found.summary == f"GET /cart → reset by {who}: CANCEL"


def test_a_reset_within_the_response_and_one_after_an_interim_answer() -> None:
    wire = Wire()
    begun, hinted = wire.ask(), wire.ask()
    wire.server.send_headers(begun, [(":status", "200")])
    wire.server.send_headers(hinted, [(":status", "103")])
    for number in (begun, hinted):
        wire.server.reset_stream(number, ErrorCodes.INTERNAL_ERROR)
    wire.move()
    found = exchanges(play(Http2(), wire.lines, close=False))
    assert [e.incomplete for e in found] == [
        ["reset by server within the response: INTERNAL_ERROR"], ["reset by server after the request: INTERNAL_ERROR"]
    ]
    assert found[1].response is None


def test_a_connection_that_is_reset() -> None:
    wire = Wire()
    wire.answer(wire.ask())
    wire.ask([(":method", "POST"), *REQUEST[1:]], b"part", end=False)
    whole, cut = exchanges(play(Http2(), wire.lines, reset=S))
    assert (whole.ok, whole.incomplete) == (True, [])
    assert (cut.ok, cut.summary) == (False, "POST /cart → connection reset by server")
    assert cut.incomplete == ["connection reset by server within the request"]


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
