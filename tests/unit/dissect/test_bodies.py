from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable

import brotli
import msgspec
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from weir.dissect.api import Limits
from weir.dissect.bodies import BodyBuffer, codings_of, make_body
from weir.model.entry import Body

LIMITS = Limits(body=1000, inflate=100_000)
TEXT = "wörds and words, " * 50


def bare_deflate(data: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(data) + stream.flush()


def gzip_members(data: bytes) -> bytes:
    middle = len(data) // 2
    return gzip.compress(data[:middle]) + gzip.compress(data[middle:])


def zstd_frames(data: bytes) -> bytes:
    middle = len(data) // 2
    return zstandard.compress(data[:middle]) + zstandard.compress(data[middle:])


CODERS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "gzip members": ("x-gzip", gzip_members),
    "zlib": ("deflate", zlib.compress),
    "bare deflate": ("deflate", bare_deflate),
    "brotli": ("br", brotli.compress),
    "zstd": ("zstd", zstandard.compress),
    "zstd frames": ("zstd", zstd_frames),
}
each_coder = pytest.mark.parametrize(("coding", "encode"), CODERS.values(), ids=CODERS)


def body(raw: bytes, codings: str = "", size: int | None = None, limits: Limits = LIMITS) -> Body:
    found = make_body(raw, len(raw) if size is None else size, codings, limits)
    assert found is not None
    return found


def test_no_body() -> None:
    assert make_body(b"", 0, "", LIMITS) is None
    assert make_body(b"", 0, "gzip", LIMITS) is None


def test_text_and_bytes() -> None:
    assert body("wörd".encode()) == Body(size=5, text="wörd")
    assert body(b"\xff\xfe") == Body(size=2, data=b"\xff\xfe")


def test_cut_at_the_limit() -> None:
    assert body(b"x" * 1001) == Body(size=1001, text="x" * 1000, truncated=True)
    assert body(b"x" * 1000, size=5000) == Body(size=5000, text="x" * 1000, truncated=True)


@pytest.mark.parametrize("char", ["é", "€", "😀"])
def test_a_cut_through_a_character_leaves_text(char: str) -> None:
    for shift in range(4):
        raw = b"x" * (1000 - shift) + char.encode() * 3
        found = body(raw)
        assert found.text.startswith("x" * (1000 - shift))
        assert not found.data
        assert len(found.text.encode()) > 996
    assert body(char.encode()[:-1]).data, "what was sent like this is no text"


@each_coder
def test_codings_are_undone(coding: str, encode: Callable[[bytes], bytes]) -> None:
    assert body(encode(TEXT.encode()), coding) == Body(size=900, text=TEXT, encoding=coding)


@each_coder
def test_true_size_of_what_is_not_kept(coding: str, encode: Callable[[bytes], bytes]) -> None:
    found = body(encode(b"x" * 90_000), coding)
    assert (found.size, found.text, found.truncated) == (90_000, "x" * 1000, True)


@each_coder
def test_a_bomb_is_defused(coding: str, encode: Callable[[bytes], bytes]) -> None:
    limits = Limits(body=10, inflate=1 << 20)
    found = body(encode(bytes(64 << 20)), coding, limits=limits)
    assert 1 << 20 < found.size < 24 << 20
    assert found.truncated
    assert found.text == "\0" * 10


@each_coder
def test_a_part_is_undone_as_far_as_it_goes(coding: str, encode: Callable[[bytes], bytes]) -> None:
    whole = bytes(n * n % 251 for n in range(60_000)).hex().encode()
    coded = encode(whole)
    found = body(coded[: len(coded) // 2], coding, size=len(coded))
    assert found.truncated
    assert found.encoding == coding
    assert whole.startswith(found.text.encode())


@each_coder
def test_broken_bytes_are_kept_as_they_came(coding: str, encode: Callable[[bytes], bytes]) -> None:
    coded = b"\xff\xff" + encode(TEXT.encode())[2:]
    found = body(coded, coding)
    assert found == Body(size=len(coded), data=coded, encoding="?" + coding)


def test_an_unknown_coding_is_named() -> None:
    assert body(b"abc", "compress") == Body(size=3, text="abc", encoding="?compress")


def test_what_follows_the_last_gzip_member_is_ignored() -> None:
    assert body(gzip.compress(b"abc") + b"\0\0junk", "gzip") == Body(size=3, text="abc", encoding="gzip")


def test_stacked_codings() -> None:
    coded = brotli.compress(gzip.compress(TEXT.encode()))
    assert body(coded, "gzip, br") == Body(size=900, text=TEXT, encoding="gzip, br")
    for _ in range(6):
        coded = gzip.compress(coded)
    deep = ", ".join(["gzip"] * 6)
    assert body(coded, deep).encoding == "?" + deep


def test_codings_as_headers_name_them() -> None:
    assert codings_of("") == codings_of("identity") == ""
    assert codings_of(" GZIP ,identity, BR") == "gzip, br"


def test_bodies_switched_off() -> None:
    limits = Limits(keep_bodies=False, body=0)
    assert body(b"abc", limits=limits) == Body(size=3, truncated=True)
    coded = gzip.compress(b"abc")
    assert body(coded, "gzip", limits=limits) == Body(size=len(coded), truncated=True, encoding="?gzip")


@given(
    pieces=st.lists(st.one_of(st.binary(max_size=300), st.integers(1, 50)), max_size=12),
    codings=st.sampled_from(["", "gzip"]),
)
def test_collecting_keeps_the_beginning_and_the_true_size(pieces: list[bytes | int], codings: str) -> None:
    limits = Limits(body=400, buffered=700)
    buffer, whole, lost = BodyBuffer(codings=codings), b"", 0
    for piece in pieces:
        if isinstance(piece, int):
            buffer.lose(piece)
            lost += piece
        else:
            buffer.add(piece, limits)
            whole += piece if not lost else b""
        buffer = msgspec.msgpack.decode(msgspec.msgpack.encode(buffer), type=BodyBuffer)
    ceiling = 700 if codings else 400
    assert bytes(buffer.kept) == whole[:ceiling]
    assert buffer.lost == lost
    assert buffer.size == sum(piece if isinstance(piece, int) else len(piece) for piece in pieces)


@given(raw=st.binary(max_size=300), coding=st.sampled_from(["gzip", "deflate", "br", "zstd", "gzip, zstd", "what"]))
def test_random_bytes_never_raise(raw: bytes, coding: str) -> None:
    found = make_body(raw, len(raw) + 1, coding, LIMITS)
    assert found is not None
    assert found.truncated
