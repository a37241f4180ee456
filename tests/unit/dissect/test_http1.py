"""HTTP/1.x in good order. What is lost or malformed is in `test_http1_odd`."""

from __future__ import annotations

import gzip
import zlib
from typing import Any

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from weir.dissect.api import Exchange, Leave, Limits, Probe
from weir.dissect.httpfields import Upgraded
from weir.dissect.missing import NO_REQUEST, NO_RESPONSE
from weir.dissect.protocols.http1 import Http1
from weir.model.entry import Body, Message
from weir.model.flow import Side
from weir.testing.transcript import C, Fin, Line, Lost, S, at_points, every, exchanges, play, time_of

HTTP = Http1()
GET = b"GET /a?x=1 HTTP/1.1\r\nHost: shop\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


def read(*lines: Line, limits: Limits | None = None, **more: Any) -> list[Exchange]:
    return exchanges(play(Http1(limits) if limits else HTTP, lines, **more))


def only(*lines: Line, **more: Any) -> Exchange:
    (found,) = read(*lines, **more)
    return found


def got(found: Exchange) -> Message:
    assert found.response is not None
    return found.response


def asked(found: Exchange) -> Message:
    assert found.request is not None
    return found.request


def summaries(*lines: Line, **more: Any) -> list[str]:
    return [found.summary for found in read(*lines, **more)]


def test_a_pair() -> None:
    found = only((C, GET), (S, OK[:20]), (S, OK[20:]))
    assert found == Exchange(
        protocol="http",
        kind="exchange",
        side=C,
        offset=0,
        request=Message(timestamp=time_of(0), end=time_of(0), size=len(GET), headers={"host": "shop"}),
        response=Message(
            timestamp=time_of(1), end=time_of(2), size=len(OK), headers={"content-length": "2"},
            body=Body(size=2, text="hi"),
        ),
        fields={
            "method": "GET", "url": "http://shop/a?x=1", "path": "/a", "host": "shop", "query_string": {"x": "1"},
            "http_version": "1.1", "request_headers_size": len(GET), "request_body_size": 0, "status_code": 200,
            "reason": "OK", "response_headers_size": len(OK) - 2, "response_body_size": 2,
        },
        ok=True,
        summary="GET /a → 200",
    )


def test_offsets_name_the_request() -> None:
    assert [e.offset for e in read((C, GET), (S, OK), (C, b"\r\n" + GET), (S, OK))] == [0, len(GET) + 2]


@pytest.mark.parametrize(("status", "ok"), [(200, True), (304, True), (399, True), (400, False), (503, False)])
def test_ok_is_a_status_below_400(status: int, ok: bool) -> None:
    assert only((C, GET), (S, b"HTTP/1.1 %d\r\nContent-Length: 0\r\n\r\n" % status)).ok is ok


def test_headers() -> None:
    fields = b"Vary: a\r\nSet-Cookie: a=1, 2\r\nVARY:b \r\nset-cookie: b\r\nX:\r\nContent-Length: 0\r\n"
    response = b"HTTP/1.1 200 OK\r\n%b\r\n" % fields
    assert got(only((C, GET), (S, response))).headers == {
        "vary": "a, b", "set-cookie": "a=1, 2\nb", "x": "", "content-length": "0",
    }


def test_header_bytes_that_are_no_utf_8() -> None:
    request = b"GET / HTTP/1.1\r\nA: \xc3\xa9\r\nB: \xe9\r\n\r\n"
    found = only((C, request), (S, OK))
    assert asked(found).headers == {"a": "é", "b": "é"}
    assert found.weird == []


def test_http_1_0() -> None:
    found = only((C, b"GET / HTTP/1.0\r\n\r\n"), (S, b"HTTP/1.0 200 OK\r\n\r\nhello"), Fin(S))
    assert found.fields["http_version"] == "1.0"
    assert found.fields["url"] == "/"
    assert got(found).body == Body(size=5, text="hello")


# Order.


def test_pipelining() -> None:
    one, two = GET, GET.replace(b"/a", b"/b")
    expected = ["GET /a → 200", "GET /b → 404"]
    no = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
    assert summaries((C, one + two), (S, OK + no)) == expected
    assert summaries((C, one), (C, two), (S, OK), (S, no)) == expected


def test_a_response_that_comes_first_waits_for_its_request() -> None:
    assert summaries((S, OK + OK), (C, GET), (S, OK), (C, GET + GET)) == ["GET /a → 200"] * 3
    head = b"HEAD / HTTP/1.1\r\n\r\n"
    length_only = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
    assert summaries((S, length_only + OK), (C, head + GET)) == ["HEAD / → 200", "GET /a → 200"]


def test_a_response_to_nothing_is_told_when_no_request_can_come() -> None:
    found = only((S, OK), Fin(C), close=False)
    assert (found.side, found.incomplete, found.summary) == (S, [NO_REQUEST], "200")
    assert only((S, OK)).incomplete == [NO_REQUEST]


def test_a_request_without_a_response() -> None:
    found = only((C, GET))
    assert (found.side, found.response, found.ok, found.incomplete) == (C, None, None, [NO_RESPONSE])


def test_an_early_response_waits_for_the_end_of_its_request() -> None:
    post = b"POST / HTTP/1.1\r\nContent-Length: 6\r\n\r\nabc"
    no = b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n"
    found = read((C, post), (S, no), (C, b"def" + GET), (S, OK))
    assert [e.summary for e in found] == ["POST / → 413", "GET /a → 200"]
    assert asked(found[0]).body == Body(size=6, text="abcdef")


# Bodies.


def test_request_body() -> None:
    post = b"POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nab\xff\xfe"
    found = only((C, post[:-3]), (C, post[-3:]), (S, OK))
    assert asked(found).body == Body(size=4, data=b"ab\xff\xfe")
    assert found.fields["request_body_size"] == 4
    assert (asked(found).timestamp, asked(found).end) == (time_of(0), time_of(1))


CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=\"b\"\r\nhello\r\n006\r\n world\r\n0\r\n"
    b"Digest: x\r\nServer-Timing: a\r\nServer-Timing: b\r\n\r\n"
)


def test_chunked_with_trailers() -> None:
    found = read((C, GET + GET), (S, CHUNKED + OK))
    assert [e.summary for e in found] == ["GET /a → 200"] * 2
    assert got(found[0]).body == Body(size=11, text="hello world")
    assert got(found[0]).trailers == {"digest": "x", "server-timing": "a, b"}
    assert got(found[0]).size == len(CHUNKED)
    assert found[0].fields["response_body_size"] == 11


def test_chunked_without_anything() -> None:
    found = only((C, GET), (S, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"))
    assert got(found).body is None


@pytest.mark.parametrize("status", [204, 304])
def test_statuses_without_a_body(status: int) -> None:
    bare = b"HTTP/1.1 %d X\r\nContent-Length: 5\r\n\r\n" % status
    assert summaries((C, GET + GET), (S, bare + OK)) == [f"GET /a → {status}", "GET /a → 200"]


def test_head_has_no_body() -> None:
    head = b"HEAD / HTTP/1.1\r\n\r\n"
    bare = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    found = read((C, head + head + GET), (S, bare + bare + OK))
    assert [e.summary for e in found] == ["HEAD / → 200"] * 2 + ["GET /a → 200"]
    assert got(found[0]).body is None


def test_interim_responses_are_kept_beside_the_final_one() -> None:
    post = b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    found = only((C, post), (S, interim), (C, b"ok"), (S, OK))
    assert (found.summary, found.incomplete) == ("POST / → 200", [])
    assert got(found).timestamp == time_of(3)
    assert found.fields["interim_responses"] == [
        {"status_code": 100, "timestamp": time_of(1)},
        {"status_code": 103, "timestamp": time_of(1), "headers": {"link": "</x>"}},
    ]


def test_interim_responses_without_a_final_one_stay_with_their_request() -> None:
    interim = b"HTTP/1.1 100 Continue\r\n\r\n"
    one, two = read((C, GET + GET), (S, interim))
    assert one.fields["interim_responses"] == [{"status_code": 100, "timestamp": time_of(1)}]
    assert "interim_responses" not in two.fields
    one, two = read((C, GET), (S, interim), Lost(S, 50), (C, GET), (S, OK))
    assert "interim_responses" in one.fields
    assert "interim_responses" not in two.fields


def test_interim_responses_are_bounded() -> None:
    large = b"HTTP/1.1 103 Early Hints\r\nLink: " + b"x" * 5000 + b"\r\n\r\n"
    kept = only((C, GET), (S, large * 20), (S, OK)).fields["interim_responses"]
    assert kept == [{"status_code": 103, "timestamp": time_of(1)}] * 8


@pytest.mark.parametrize(("lines", "who", "summary", "incomplete"), [
    ([(C, GET)], S, "GET /a → reset by server", ["reset by server after the request"]),
    ([(C, GET)], C, "GET /a → reset by client", ["reset by client after the request"]),
    (
        [(C, GET[:-2])], S, "GET /a → reset by server",
        ["end of the head not seen", "reset by server within the request"],
    ),
    (
        [(C, b"POST /a HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc")], C, "POST /a → reset by client",
        ["last 6 bytes of the body not seen", "reset by client within the request"],
    ),
    (
        [(C, GET), (S, OK[:-1])], S, "GET /a → 200, reset by server",
        ["last 1 bytes of the body not seen", "reset by server within the response"],
    ),
    (
        [(C, GET), (S, b"HTTP/1.1 200 OK\r\n\r\nx")], C, "GET /a → 200, reset by client",
        ["end of the body not seen", "reset by client within the response"],
    ),
])
def test_a_reset_says_who_and_after_what(lines: list[Line], who: Side, summary: str, incomplete: list[str]) -> None:
    found = only(*lines, reset=who)
    assert (found.summary, found.incomplete, found.ok) == (summary, incomplete, False)


def test_a_reset_changes_nothing_about_what_is_whole_or_may_have_been_lost() -> None:
    found = only((C, GET), (S, OK), reset=S)
    assert (found.summary, found.incomplete, found.ok) == ("GET /a → 200", [], True)
    found = only((C, GET), Lost(S, 40), reset=S)
    assert (found.summary, found.incomplete, found.ok) == ("GET /a", ["response not seen"], None)
    first, second = read((C, GET + GET), (S, OK), reset=C)
    assert (first.ok, second.summary) == (True, "GET /a → reset by client")


def test_a_body_until_the_connection_ends() -> None:
    response = b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"
    found = only((C, GET), (S, response), Fin(S), close=False)
    assert got(found).body == Body(size=19, text="HTTP/1.1 200 OK\r\n\r\n")
    assert found.incomplete == []
    cut = only((C, GET), (S, response))
    assert got(cut).body == Body(size=19, text="HTTP/1.1 200 OK\r\n\r\n", truncated=True)
    assert cut.incomplete == ["end of the body not seen"]


@pytest.mark.parametrize(
    ("coding", "encode"),
    [("gzip", gzip.compress), ("deflate", zlib.compress), ("br", brotli.compress), ("zstd", zstandard.compress)],
)
@pytest.mark.parametrize("chunked", [False, True])
def test_content_codings_are_undone(coding: str, encode: Any, chunked: bool) -> None:
    raw = encode(b"hello world " * 10)
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: %s\r\n" % coding.encode()
    if chunked:
        framed = head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(raw), raw)
    else:
        framed = head + b"Content-Length: %d\r\n\r\n%b" % (len(raw), raw)
    for split in (every(9), every(1000)):
        found = only((C, GET), (S, framed), split=split)
        assert got(found).body == Body(size=120, text="hello world " * 10, encoding=coding)
        assert found.fields["response_body_size"] == len(raw)


def test_transfer_codings_are_undone_after_content_codings() -> None:
    raw = gzip.compress(brotli.compress(b"hello"))
    response = (
        b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"
        b"%x\r\n%b\r\n0\r\n\r\n" % (len(raw), raw)
    )
    assert got(only((C, GET), (S, response))).body == Body(size=5, text="hello", encoding="br, gzip")


def test_bodies_are_cut_and_their_size_is_true() -> None:
    limits = Limits(body=4)
    post = b"POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\n0123456789"
    for split in (every(3), every(1000)):
        found = only((C, post), (S, CHUNKED), limits=limits, split=split)
        assert asked(found).body == Body(size=10, text="0123", truncated=True)
        assert got(found).body == Body(size=11, text="hell", truncated=True)
        off = only((C, post), (S, OK), limits=Limits(keep_bodies=False, body=0), split=split)
        assert asked(off).body == Body(size=10, truncated=True)


# Leaving.

WEBSOCKET = b"GET /ws HTTP/1.1\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n"
SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


def leaves(*lines: Line, **more: Any) -> tuple[list[Exchange], Leave]:
    found = play(HTTP, lines, **more)
    leave = found.pop()
    assert isinstance(leave, Leave)
    return exchanges(found), leave


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize("early", [False, True])
def test_upgrade(size: int, early: bool) -> None:
    ours: Line = (C, b"\x81\x01a")
    first: list[Line] = [(C, WEBSOCKET)]
    lines = [*first, ours, (S, SWITCHING + b"\x82")] if early else [*first, (S, SWITCHING + b"\x82"), ours]
    found, leave = leaves(*lines, (S, b"\x01b"), split=every(size))
    assert [e.summary for e in found] == ["GET /ws → 101"]
    assert (leave.protocol, leave.carry, leave.rest) == ("", None, (b"\x81\x01a", b"\x82\x01b"))
    assert leave.offsets == (len(WEBSOCKET), len(SWITCHING))
    assert leave.timestamps == ((time_of(1), time_of(2)) if early else (time_of(2), time_of(1)))


def test_upgrade_to_http_2_carries_the_request() -> None:
    request = (
        b"POST /a HTTP/1.1\r\nHost: shop\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
        b"HTTP2-Settings: AAMAAABk\r\nContent-Length: 2\r\n\r\nhi"
    )
    switching = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    found, leave = leaves((C, request), (S, switching + b"\0\0\0"))
    assert leave.protocol == "http2"
    assert isinstance(leave.carry, Upgraded)
    assert leave.carry.protocol == "h2c"
    assert (leave.carry.offset, leave.carry.fields["path"]) == (0, "/a")
    assert leave.carry.request.body == Body(size=2, text="hi")
    assert leave.carry.request.headers["http2-settings"] == "AAMAAABk"
    assert [e.summary for e in found] == ["POST /a → 101"]


def test_an_upgrade_waits_for_the_end_of_its_request() -> None:
    request = WEBSOCKET.replace(b"\r\n\r\n", b"\r\nContent-Length: 3\r\n\r\n")
    found, leave = leaves((C, request), (S, SWITCHING + b"theirs"), (C, b"abcours"))
    assert asked(found[0]).body == Body(size=3, text="abc")
    assert leave.rest == (b"ours", b"theirs")


def test_an_upgrade_that_is_refused() -> None:
    assert summaries((C, WEBSOCKET + GET), (S, OK + OK)) == ["GET /ws → 200", "GET /a → 200"]
    assert summaries((C, WEBSOCKET), (S, OK), (C, GET), (S, OK)) == ["GET /ws → 200", "GET /a → 200"]


def test_upgrade_without_connection_is_no_offer() -> None:
    request = b"GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n"
    assert summaries((C, request + GET), (S, OK), (S, OK)) == ["GET / → 200", "GET /a → 200"]


def test_connect() -> None:
    connect = b"CONNECT db:5432 HTTP/1.1\r\nHost: db:5432\r\n\r\n"
    tunnel = b"HTTP/1.1 200 Connection established\r\nContent-Length: 9\r\n\r\n"
    early: list[Line] = [(C, connect + b"ours"), (S, tunnel + b"theirs")]
    late: list[Line] = [(C, connect), (S, tunnel + b"theirs"), (C, b"ours")]
    for lines in (early, late):
        found, leave = leaves(*lines)
        assert [e.summary for e in found] == ["CONNECT db:5432 → 200"]
        assert found[0].fields["host"] == "db:5432"
        assert (leave.protocol, leave.rest) == ("", (b"ours", b"theirs"))
    refused = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 2\r\n\r\nno"
    assert summaries((C, connect), (S, refused), (C, connect), (S, refused)) == ["CONNECT db:5432 → 407"] * 2


# Recognising.

YES, MAYBE, NO = Probe.YES, Probe.MAYBE, Probe.NO


@pytest.mark.parametrize(
    ("side", "head", "answer"),
    [
        (C, b"GET / HTTP/1.1\r\n", YES),
        (C, b"\r\nGET / HTTP/1.1\r\n", YES),
        (C, b"MY-METHOD * HTTP/1.0\r\n", YES),
        (C, b"GET / HTTP/1.1\n", YES),
        (C, b"", MAYBE),
        (C, b"GE", MAYBE),
        (C, b"GET /" + b"x" * 100, MAYBE),
        (C, b"GET /" + b"x" * 5000, YES),
        (C, b"WHAT /" + b"x" * 5000, NO),
        (C, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", NO),
        (C, b"OPTIONS rtsp://x RTSP/1.0\r\n", NO),
        (C, b"INVITE sip:x SIP/2.0\r\n", NO),
        (C, b"GET key\r\n", NO),
        (C, b"*1\r\n$4\r\nPING\r\n", NO),
        (C, b"\x16\x03\x01", NO),
        (C, b"HTTP/1.1 200 OK\r\n", NO),
        (S, b"HTTP/1.1 200 OK\r\n", YES),
        (S, b"HTTP/1.0 404\r\n", YES),
        (S, b"HTTP/1", MAYBE),
        (S, b"HTTP/2.0 200\r\n", NO),
        (S, b"SSH-2.0-x\r\n", NO),
        (S, b"GET / HTTP/1.1\r\n", NO),
    ],
)
def test_probe(side: Side, head: bytes, answer: Probe) -> None:
    assert HTTP.probe(side, head) is answer
    assert HTTP.probe(side, head, "udp") is NO


# Any split.

PIECES: list[Line] = [
    (C, GET), (C, GET + GET), (S, OK), (S, CHUNKED), (C, WEBSOCKET), (S, SWITCHING), (C, b"HEAD / HTTP/1.1\n\n"),
    (C, b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"), (S, b"HTTP/1.1 204 No\r\n\r\n"),
    (S, b"HTTP/1.1 100 Continue\r\n\r\n"), (C, b"\r\n\r\n"), (C, b"junk"), (S, b"5\r\n"), (S, OK + OK),
    (S, b"HTTP/1.1 200 OK\r\n\r\n"), (S, OK[:-2]), (S, b"hi"),
    (C, b"POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"), (S, OK[:-1]), Fin(C), Fin(S),
    (C, b"CONNECT a:1 HTTP/1.1\r\n\r\n"), (C, b"GET / HTTP/1.1\r\nno colon\r\n folded\r\n\r\n"),
]


@given(
    lines=st.lists(st.sampled_from(PIECES), max_size=14),
    points=st.lists(st.integers(1, 120), max_size=10),
    midstream=st.booleans(),
    snapshot=st.booleans(),
)
def test_any_split_of_any_conversation_gives_the_same(
    lines: list[Line], points: list[int], midstream: bool, snapshot: bool
) -> None:
    whole = play(HTTP, lines, midstream=midstream)
    assert play(HTTP, lines, midstream=midstream, split=at_points(points), snapshot=snapshot) == whole
    assert play(HTTP, lines, midstream=midstream, split=every(1)) == whole
