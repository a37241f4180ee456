"""The short cut for plain heads gives what llhttp gives."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from weir.dissect import http1_head as heads

NAMES = st.sampled_from([
    "Host", "host", "Accept", "X-A", "x-a", "Content-Length", "Transfer-Encoding", "Connection", "Upgrade",
    "Set-Cookie", "Proxy-Connection", "Expect", "!#$", "a b", "",
])  # fmt: skip
VALUES = st.sampled_from([
    "a", "5", "007", "-1", "5, 5", "9" * 19, "chunked", "close", "keep-alive, Upgrade", "websocket", "h2c", "a: b", "",
    " two blanks", "behind ", "\ttab", "\x7f", "é", "a\tb", '"quoted"', "x" * 300, "100-continue",
])  # fmt: skip
LINES = st.lists(st.tuples(NAMES, st.sampled_from([": ", ":", " : ", ":  "]), VALUES), max_size=5)
TARGETS = st.sampled_from(["/", "/a?b=c&d=%20", "/a#b", "*", "http://a/b", "a:1", "/é", '/"<>', "/a b", "", "//"])
REQUESTS = st.tuples(
    st.sampled_from(["GET", "POST", "HEAD", "OPTIONS", "CONNECT", "get", "PRI", "PURGE", "M-SEARCH", "BREW"]),
    TARGETS, st.sampled_from(["HTTP/1.1", "HTTP/1.0", "HTTP/1.2", "HTTP/0.9", "HTTP/2.0", "RTSP/1.0", "http/1.1"]),
).map(" ".join)  # fmt: skip
RESPONSES = st.tuples(
    st.sampled_from(["HTTP/1.1", "HTTP/1.0", "HTTP/1.3", "HTTP/2.0"]),
    st.sampled_from(["200", "100", "101", "204", "304", "404", "599", "099", "20", "2000", "2xx"]),
    st.sampled_from(["OK", "Not Found", "I'm a teapot", "", "No  way", "Non-Authoritative", "5", "Größe", "behind "]),
).map(" ".join)  # fmt: skip
ENDS = st.sampled_from(["\r\n", "\r\n", "\r\n", "\n", "\r"])


def shown(head: heads.Head | None) -> object:
    return head and [getattr(head, name) for name in heads.Head.__slots__]


@given(st.booleans(), st.data(), LINES, ENDS, st.sampled_from([b"", b"\r\n", b"junk\x00"]))
def test_the_short_cut_changes_nothing(
    response: bool, data: st.DataObject, lines: list[tuple[str, str, str]], end: str, before: bytes
) -> None:
    first = data.draw(RESPONSES if response else REQUESTS)
    raw = (end.join([first, *("".join(line) for line in lines)]) + end + end).encode()
    plain = heads.plain_head(before + raw + b"body", len(before), response=response)
    if plain is None:
        return
    head, stop = plain
    assert stop == len(before) + heads.head_end(raw, 0) == len(before) + len(raw)
    assert shown(head) == shown((heads.read_response if response else heads.read_request)(raw))
    assert not head.weird


def test_the_usual_takes_the_short_cut() -> None:
    request = b"GET /a?b=c HTTP/1.1\r\nHost: a:80\r\nAccept: */*\r\nCookie: a=b; c=d\r\n\r\n"
    response = b"HTTP/1.1 404 Not Found\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: 5\r\n\r\n"
    assert heads.plain_head(request, 0, response=False) is not None
    assert heads.plain_head(response + b"hello", 0, response=True) is not None
    assert heads.plain_head(request[:-2], 0, response=False) is None
