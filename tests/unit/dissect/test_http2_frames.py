from __future__ import annotations

import contextlib
import random

import pytest
from hyperframe.frame import DataFrame, HeadersFrame, PingFrame, SettingsFrame, WindowUpdateFrame
from hypothesis import given
from hypothesis import strategies as st

from weir.dissect.http2_frames import Malformed, boundary, error_name, header, opens, parse, plausible

CHAIN = (
    HeadersFrame(1, data=b"\x82", flags=["END_HEADERS"]).serialize()
    + DataFrame(1, b"x" * 50, flags=["END_STREAM"]).serialize()
    + PingFrame(0, b"12345678").serialize()
)


def test_header() -> None:
    frame = header(bytes.fromhex("000102 01 25 80000007"))
    assert (frame.length, frame.type, frame.flags, frame.stream, frame.reserved) == (258, 1, 0x25, 7, 1)
    assert not plausible(frame)


@pytest.mark.parametrize(
    ("raw", "answer"),
    [
        ("000000 04 01 00000000", True),
        ("000006 04 01 00000000", False),
        ("000005 04 00 00000000", False),
        ("000004 08 00 00000000", True),
        ("000004 08 00 00000005", True),
        ("000005 08 00 00000005", False),
        ("000008 06 00 00000001", False),
        ("000001 00 00 00000000", False),
        ("000001 00 02 00000001", False),
        ("004001 00 00 00000001", False),
        ("000001 0a 00 00000001", False),
    ],
)
def test_plausible(raw: str, answer: bool) -> None:
    assert plausible(header(bytes.fromhex(raw))) is answer


def test_a_peer_may_raise_the_size_of_frames() -> None:
    large = header(bytes.fromhex("010000 00 00 00000001"))
    assert not plausible(large)
    assert plausible(large, 1 << 20)


def test_random_headers_are_not_plausible() -> None:
    raw = random.Random(1).randbytes(9 * 100_000)
    assert not any(plausible(header(raw, at)) for at in range(0, len(raw), 9))


def test_boundary() -> None:
    assert boundary(CHAIN) == (0, True)
    assert boundary(b"\xff" * 30 + CHAIN) == (30, True)
    assert boundary(b"\xff" * 30 + CHAIN[:12]) == (30, False)
    assert boundary(b"\xff" * 30) == (22, False)
    assert boundary(b"abc") == (0, False)
    assert boundary(bytes(3000)) == (2992, False)


@given(st.binary(max_size=40), st.integers(0, len(CHAIN)))
def test_boundary_does_not_depend_on_what_follows(before: bytes, cut: int) -> None:
    data = before + CHAIN
    early, certain = boundary(data[: len(before) + cut])
    late, _ = boundary(data)
    assert early == late if certain else early <= late


def test_parse() -> None:
    raw = SettingsFrame(0, {1: 5}).serialize()
    parsed = parse(header(raw), raw[9:])
    assert isinstance(parsed, SettingsFrame)
    assert parsed.settings == {1: 5}
    wrong = WindowUpdateFrame(1, 5).serialize()
    with pytest.raises(Malformed) as info:
        parse(header(wrong), bytes(4))
    assert info.value.code == 1


@given(st.binary(min_size=9, max_size=60))
def test_parse_raises_nothing_else(raw: bytes) -> None:
    with contextlib.suppress(Malformed):
        parse(header(raw), raw[9:])


def test_error_names() -> None:
    assert error_name(8) == "CANCEL"
    assert error_name(0xFF) == "error 0xff"


@pytest.mark.parametrize(
    ("block", "whose"),
    [
        ("82", "request"), ("418aabcd", "request"), ("04", "request"), ("88", "response"), ("4803333032", "response"),
        ("3fe11f88", "response"), ("2082", "request"), ("be", ""), ("", ""), ("20", ""), ("3fff", ""), ("00", ""),
    ],
)  # fmt: skip
def test_opens(block: str, whose: str) -> None:
    assert opens(bytes.fromhex(block)) == whose
