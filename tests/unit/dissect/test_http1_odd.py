"""HTTP/1.x that is malformed, lost in part, joined in the middle, or too large."""

from __future__ import annotations

import random
from typing import Any

import pytest

from weir.dissect.api import Exchange, GiveUp, Limits
from weir.dissect.missing import NO_REQUEST, NO_RESPONSE
from weir.dissect.protocols.http1 import Http1
from weir.model.entry import Body
from weir.testing.transcript import C, Fin, Line, Lost, S, every, exchanges, play

HTTP = Http1()
GET = b"GET /a HTTP/1.1\r\nHost: shop\r\n\r\n"
NEXT = b"GET /b HTTP/1.1\r\nHost: shop\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
NONE = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"


def read(*lines: Line, limits: Limits | None = None, **more: Any) -> list[Exchange]:
    """What is found, the same for every split."""
    judge = Http1(limits) if limits else HTTP
    whole = play(judge, lines, **more)
    assert play(judge, lines, split=every(1), snapshot=True, **more) == whole
    assert play(judge, lines, split=every(11), **more) == whole
    return exchanges(whole)


def told(*lines: Line, **more: Any) -> list[tuple[str, list[str]]]:
    return [(found.summary, found.incomplete) for found in read(*lines, **more)]


def chunked(*chunks: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"


# Malformed heads: followed where two peers may agree on them, and weird.


@pytest.mark.parametrize(
    ("fields", "headers", "body", "weird"),
    [
        (b"A: b\r\n c\r\n\td\r\nContent-Length: 2\r\n", {"a": "b c d"}, "hi", "Unexpected whitespace"),
        (b"Content-Length: 2\r\nContent-Length: 2\r\n", {"content-length": "2, 2"}, "hi", "Duplicate Content-Length"),
        (b"Content-Length: 2, 2\r\n", {}, "hi", "Invalid character in Content-Length"),
        (b"Content-Length: 2\r\nContent-Length: 3\r\n", {}, "hi", "conflicting Content-Length"),
        (b"A : b\r\nContent-Length: 2\r\n", {"a": "b"}, "hi", "Invalid header token"),
        (b"no colon\r\nContent-Length: 2\r\n", {}, "hi", "Invalid header token"),
        (b"A: b\nContent-Length: 2\r\n", {"a": "b"}, "hi", "Missing expected CR"),
        (b"A: \x01b\r\nContent-Length: 2\r\n", {"a": "\x01b"}, "hi", "Invalid header value char"),
    ],
)
def test_odd_heads(fields: bytes, headers: dict[str, str], body: str, weird: str) -> None:
    odd, after = read((C, GET + NEXT), (S, b"HTTP/1.1 200 OK\r\n" + fields + b"\r\nhi" + NONE))
    assert odd.response is not None
    assert odd.response.headers.items() >= headers.items()
    assert odd.response.body == Body(size=2, text=body)
    assert any(weird in what for what in odd.weird)
    assert (after.summary, after.weird) == ("GET /b → 404", [])


def test_transfer_encoding_wins_over_content_length() -> None:
    """RFC 9112 §6.3: the smuggler's favourite."""
    smuggled = b"POST / HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"
    first, second = read((C, smuggled + GET), (S, OK + NONE))
    assert first.request is not None
    assert first.request.body == Body(size=2, text="ab")
    assert first.weird == ["malformed head: Transfer-Encoding can't be present with Content-Length"]
    assert second.summary == "GET /a → 404"


def test_a_request_whose_coding_does_not_end_in_chunked() -> None:
    odd = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked, gzip\r\n\r\nabc"
    (found,) = read((C, odd), Fin(C), (S, OK))
    assert "request with a Transfer-Encoding that does not end in chunked" in found.weird
    assert found.request is not None
    assert found.request.body is not None
    assert found.request.body.size == 3


def test_a_length_that_is_none() -> None:
    response = b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nhello"
    (found,) = read((C, GET), (S, response), Fin(S))
    assert "invalid Content-Length" in found.weird
    assert found.response is not None
    assert found.response.body == Body(size=5, text="hello")


def test_bare_line_feeds() -> None:
    first, second = read((C, b"GET /a HTTP/1.1\nHost: shop\n\n" + NEXT), (S, b"HTTP/1.1 204 No\n\n" + OK))
    assert (first.summary, second.summary) == ("GET /a → 204", "GET /b → 200")
    assert len(first.weird) == 2


def test_an_unknown_method_and_blanks_in_a_target() -> None:
    first, second = read((C, b"FETCH /x HTTP/1.1\r\n\r\nGET /a b HTTP/1.1\r\n\r\n"), (S, OK + OK))
    assert (first.fields["method"], second.fields["path"]) == ("FETCH", "/a b")
    assert first.weird
    assert second.weird


@pytest.mark.parametrize(
    "body", [b"xyz\r\nhi\r\n", b"\r\nhi", b"2\r\nhi!!\r\n0\r\n\r\n", b"-1\r\n", b"f" * 16 + b"\r\n"]
)
def test_broken_chunks_cost_their_message(body: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    broken, after = read((C, GET), (S, head + body), (C, NEXT), (S, NONE))
    assert broken.incomplete == ["end of the body not found"]
    assert broken.weird
    assert (after.summary, after.incomplete) == ("GET /b → 404", [])


def test_nonsense_between_messages_is_passed_over() -> None:
    found = read((C, GET), (S, OK + b"junk\r\nHTTP/1.1 junk\r\n"), (C, NEXT), (S, NONE))
    assert [e.summary for e in found] == ["GET /a → 200", "GET /b → 404"]
    assert found[1].weird == ["21 bytes before it are not HTTP"]


@pytest.mark.parametrize(("side", "data"), [(C, b"hello\r\n\r\n"), (C, b"\x00" * 40), (C, b"GET / RTSP/1.0\r\n\r\n")])
def test_what_does_not_begin_as_http_is_given_up(side: Any, data: bytes) -> None:
    assert play(HTTP, [(side, data)]) == play(HTTP, [(side, data)], split=every(1)) == [GiveUp("not HTTP/1")]


# Lost bytes.


def test_a_gap_in_a_body_of_known_length() -> None:
    response = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01"
    lines: list[Line] = [(C, GET), (S, response), Lost(S, 5), (S, b"789" + NONE), (C, NEXT)]
    first, second = read(*lines)
    assert first.response is not None
    assert first.response.body == Body(size=10, text="01", truncated=True)
    assert first.response.size == len(response) + 8
    assert first.incomplete == ["5 bytes of the body lost"]
    assert (second.summary, second.incomplete) == ("GET /b → 404", [])


def test_a_gap_that_ends_a_body() -> None:
    response = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01"
    assert told((C, GET), (S, response), Lost(S, 8), (C, NEXT), (S, NONE)) == [
        ("GET /a → 200", ["8 bytes of the body lost"]), ("GET /b → 404", []),
    ]


def test_a_gap_in_a_chunk() -> None:
    first = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nabcd"
    (found,) = read((C, GET), (S, first), Lost(S, 3), (S, b"h\r\n0\r\n\r\n"))
    assert found.incomplete == ["3 bytes of the body lost"]
    assert found.response is not None
    assert found.response.body == Body(size=8, text="abcd", truncated=True)


def test_a_gap_in_a_body_until_the_end() -> None:
    (found,) = read((C, GET), (S, b"HTTP/1.1 200 OK\r\n\r\nab"), Lost(S, 3), (S, b"cd"), Fin(S))
    assert found.incomplete == ["3 bytes of the body lost"]
    assert found.response is not None
    assert found.response.body == Body(size=7, text="ab", truncated=True)


@pytest.mark.parametrize("begun", [chunked(b"abc")[:-3], b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01"])
def test_a_gap_beyond_a_body_finds_the_next_message(begun: bytes) -> None:
    found = told((C, GET), (S, begun), Lost(S, 500), (C, NEXT), (S, b"the end of something" + NONE))
    assert [summary for summary, _ in found] == ["GET /a → 200", "GET /b → 404"]
    assert found[0][1]
    assert found[1][1] == []


def test_a_gap_in_a_head() -> None:
    assert told((C, GET), (S, OK[:25]), Lost(S, 40), (C, NEXT), (S, NONE)) == [
        ("GET /a → 200", ["40 bytes of the head lost"]), ("GET /b → 404", []),
    ]
    assert told((C, GET[:20]), Lost(C, 9), (S, OK), (C, NEXT), (S, NONE)) == [
        ("GET /a → 200", ["9 bytes of the head lost"]), ("GET /b → 404", []),
    ]


def test_a_response_that_is_lost_whole() -> None:
    assert told((C, GET), Lost(S, len(OK)), (C, NEXT), (S, NONE)) == [
        ("GET /a", [NO_RESPONSE]), ("GET /b → 404", []),
    ]
    assert told((C, GET), Lost(S, len(OK)), (C, NEXT + GET), (S, NONE + OK)) == [
        ("GET /a", [NO_RESPONSE]), ("GET /b → 404", []), ("GET /a → 200", []),
    ]


def test_a_request_that_is_lost_whole() -> None:
    assert told((C, GET), (S, OK), Lost(C, len(GET)), (S, OK), (C, NEXT), (S, NONE)) == [
        ("GET /a → 200", []), ("200", [NO_REQUEST]), ("GET /b → 404", []),
    ]


def test_a_response_is_never_older_than_its_request() -> None:
    lines: list[Line] = [(C, GET), (S, OK), Lost(C, len(GET)), (S, OK), (C, NEXT), (S, NONE)]
    late = [*lines[:3], lines[4], lines[5]]
    assert told(*late) == [("GET /a → 200", []), ("GET /b → 404", [])]


def test_a_pipelining_client_is_taken_at_its_order_after_a_loss() -> None:
    lines: list[Line] = [(C, GET), (C, GET), (S, OK), (S, OK), (C, GET), Lost(S, 9), (C, NEXT), (S, OK + NONE)]
    assert told(*lines)[2:] == [("GET /a → 200", []), ("GET /b → 404", [])]


# Joined in the middle, or ended there.


def test_joined_in_the_middle() -> None:
    lines: list[Line] = [
        (S, b"the end of a body" + OK), (C, b"the end of another\r\n" + GET), (S, OK + NONE), (C, NEXT), (S, NONE),
    ]
    assert told(*lines, midstream=True) == [
        ("200", [NO_REQUEST]), ("GET /a → 200", []), ("404", [NO_REQUEST]), ("GET /b → 404", []),
    ]
    assert read(*lines, midstream=True)[1].weird == []


def test_only_one_direction_was_seen() -> None:
    assert told((S, OK + NONE), midstream=True) == [("200", [NO_REQUEST]), ("404", [NO_REQUEST])]
    assert told((C, GET), (C, NEXT)) == [("GET /a", [NO_RESPONSE]), ("GET /b", [NO_RESPONSE])]


def test_ended_in_the_middle() -> None:
    response = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01"
    for end in ((), (Fin(S),)):
        assert told((C, GET), (S, response), *end) == [("GET /a → 200", ["last 8 bytes of the body not seen"])]
        assert told((C, GET), (S, chunked(b"abc")[:-2]), *end) == [("GET /a → 200", ["end of the body not seen"])]
        assert told((C, GET), (S, OK[:25]), *end) == [("GET /a → 200", ["end of the head not seen"])]
        assert told((C, GET), (S, OK[:12]), *end) == [("GET /a", [NO_RESPONSE])]


# Too much.


def test_a_head_above_the_ceiling_is_given_up() -> None:
    limits = Limits(head=200)
    for head in (b"GET / HTTP/1.1\r\nA: " + b"x" * 200, b"GET / HTTP/1.1\r\nA: " + b"x" * 200 + b"\r\n\r\n"):
        for split in (every(1), every(1000)):
            found = play(Http1(limits), [(C, GET + head)], split=split)
            assert found[-1] == GiveUp("head above 200 bytes")
            assert [e.summary for e in exchanges(found)] == ["GET /a"]


def test_trailers_above_the_ceiling_are_given_up() -> None:
    endless = chunked(b"abc")[:-2] + b"A: b\r\n" * 100
    found = play(Http1(Limits(head=200)), [(C, GET), (S, endless)])
    assert found[-1] == GiveUp("trailers above 200 bytes")
    (pair,) = exchanges(found)
    assert pair.summary == "GET /a → 200"
    assert pair.incomplete == ["trailers above 200 bytes"]


def test_requests_above_the_ceiling_become_half_pairs_and_the_rest_stays_right() -> None:
    requests = b"".join(b"GET /%d HTTP/1.1\r\n\r\n" % n for n in range(5))
    responses = b"".join(b"HTTP/1.1 20%d OK\r\nContent-Length: 0\r\n\r\n" % n for n in range(5))
    assert told((C, requests), (S, responses), limits=Limits(pending=3)) == [
        ("GET /0", [NO_RESPONSE]), ("GET /1", [NO_RESPONSE]), ("200", [NO_REQUEST]), ("201", [NO_REQUEST]),
        ("GET /2 → 202", []), ("GET /3 → 203", []), ("GET /4 → 204", []),
    ]


def test_large_requests_that_wait_are_bounded_by_their_bytes() -> None:
    post = b"POST / HTTP/1.1\r\nContent-Length: 900\r\n\r\n" + b"x" * 900
    found = exchanges(play(Http1(Limits(buffered=2000)), [(C, post)] * 6, close=False))
    assert [e.summary for e in found] == ["POST /"] * 3


def test_responses_held_back_are_bounded() -> None:
    found = exchanges(play(Http1(Limits(buffered=2000)), [(S, OK)] * 40, close=False))
    assert 10 < len(found) <= 40
    assert all(e.incomplete == [NO_REQUEST] for e in found)


def test_bytes_behind_an_unanswered_upgrade_are_bounded() -> None:
    lines: list[Line] = [(C, b"CONNECT a:1 HTTP/1.1\r\n\r\n"), *[(C, b"x" * 500)] * 9]
    found = play(Http1(Limits(buffered=2000)), lines)
    assert found[-1] == GiveUp("2000 bytes behind an upgrade without an answer")
    assert [e.incomplete for e in exchanges(found)] == [[NO_RESPONSE]]


def test_noise_after_a_loss_is_not_hoarded() -> None:
    dice = random.Random(1)
    noise: list[Line] = [(S, dice.randbytes(1400)) for _ in range(200)]
    found = told((C, GET), (S, OK), Lost(S, 1), *noise, (C, NEXT), (S, NONE))
    assert found == [("GET /a → 200", []), ("GET /b → 404", [])]


def test_a_server_that_closes_instead_of_answering() -> None:
    (found,) = read((C, GET), Fin(S))
    assert (found.summary, found.ok, found.incomplete) == ("GET /a → closed without an answer", False, [])
    first, second, third = read((C, GET + NEXT + GET), (S, OK), Fin(S))
    assert (first.summary, first.ok) == ("GET /a → 200", True)
    assert [(e.ok, e.incomplete) for e in (second, third)] == [(False, []), (False, [])]


def test_after_a_loss_nobody_knows_whether_it_was_answered() -> None:
    (found,) = read((C, GET), Lost(S, 50), Fin(S))
    assert (found.summary, found.ok, found.incomplete) == ("GET /a", None, [NO_RESPONSE])


def test_an_answer_to_what_is_not_http_says_so() -> None:
    good, bad = read((C, GET), (S, OK), (C, b"\x00\x01 nonsense\r\n\r\n"), (S, NONE))
    assert (good.weird, bad.weird) == ([], ["what it may answer is not HTTP"])
