"""HPACK and frame vectors (http2jp), and DeepFlow's HTTP/2 and gRPC captures with its answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from weir.dissect.api import Exchange, Probe
from weir.dissect.hpack_state import Table, decode
from weir.dissect.http2_frames import MAX_FRAME, PREFACE, FrameHeader, Malformed, check, header, parse
from weir.dissect.protocols.http2 import Http2
from weir.testing.conversations import CORPORA, conversations
from weir.testing.transcript import C, Line, S, every, exchanges, play

pytestmark = [
    pytest.mark.corpora,
    pytest.mark.skipif(not CORPORA.is_dir(), reason="no folder `../shared/corpora` beside the project"),
]


def files(pattern: str) -> list[Any]:
    return [pytest.param(path, id=str(path.relative_to(CORPORA))) for path in sorted(CORPORA.glob(pattern))]


@pytest.mark.parametrize("path", files("hpack/*/*.json"))
def test_header_blocks(path: Path) -> None:
    table = Table()
    for case in json.loads(path.read_text())["cases"]:
        read = decode(table, bytes.fromhex(case["wire"]))
        assert read.fields == [(name, value) for field in case["headers"] for name, value in field.items()]
        assert not read.unknown
        table = msgspec.msgpack.decode(msgspec.msgpack.encode(table), type=Table)


def fields_of(frame: Any, flags: int) -> dict[str, Any]:
    """A hyperframe frame in the words of the vectors; null where a flag says that a field is absent."""
    payload: dict[str, Any] = {}
    padded, prioritised = "PADDED" in frame.flags, "PRIORITY" in frame.flags or frame.type == 2
    names = {
        "last_stream_id": "last_stream_id", "error_code": "error_code", "promised_stream_id": "promised_stream_id",
        "window_increment": "window_size_increment",
    }  # fmt: skip
    for ours, theirs in names.items():
        if hasattr(frame, ours):
            payload[theirs] = getattr(frame, ours)
    if frame.type in (0, 1, 5, 9):
        payload["data" if frame.type == 0 else "header_block_fragment"] = bytes(frame.data).decode()
    if frame.type in (0, 1, 5):
        payload["padding_length"] = frame.pad_length if padded else None
    if frame.type in (1, 2):
        payload["stream_dependency"] = frame.depends_on if prioritised else None
        payload["exclusive"] = frame.exclusive if prioritised else None
        # The vectors give the weight, which is one more than the byte.
        payload["weight"] = frame.stream_weight + 1 if prioritised else None
    if frame.type == 4:
        payload["settings"] = [list(pair) for pair in frame.settings.items()]
    if frame.type == 6:
        payload["opaque_data"] = frame.opaque_data.decode()
    if frame.type == 7:
        payload["additional_debug_data"] = frame.additional_data.decode()
    return payload


def typed(wire: bytes) -> tuple[FrameHeader, Any]:
    frame = header(wire)
    check(frame, MAX_FRAME)
    return frame, parse(frame, wire[9 : 9 + frame.length])


@pytest.mark.parametrize("path", [p for p in files("http2-frames/*/*.json") if "/error/" not in str(p.id)])
def test_frames(path: Path) -> None:
    case = json.loads(path.read_text())
    frame, parsed = typed(bytes.fromhex(case["wire"]))
    want = case["frame"]
    assert (frame.length, frame.type, frame.flags, frame.stream) == (
        want["length"], want["type"], want["flags"], want["stream_identifier"],
    )  # fmt: skip
    # The padding itself is not kept.
    payload = {name: value for name, value in want["frame_payload"].items() if name != "padding"}
    if frame.type == 2:
        payload.pop("padding_length", None)
    assert fields_of(parsed, frame.flags) == payload


@pytest.mark.parametrize("path", files("http2-frames/error/*.json"))
def test_malformed_frames(path: Path) -> None:
    case = json.loads(path.read_text())
    with pytest.raises(Malformed) as info:
        typed(bytes.fromhex(case["wire"]))
    assert info.value.code in case["error"]


@pytest.mark.parametrize("path", files("http2-frames/*/*.json"))
def test_frames_through_the_dissector(path: Path) -> None:
    """Valid or not: read without an exception, and what is malformed is told on the next exchange."""
    case = json.loads(path.read_text())
    wire = bytes.fromhex(case["wire"])
    # One vector ends before the frame does.
    wire = wire.ljust(9 + header(wire).length, b"x")
    request = bytes.fromhex("000003 01 05 00000063 828684")
    settings = bytes.fromhex("000000 04 00 00000000")
    lines: list[Line] = [(C, PREFACE + settings + wire + request), (S, settings + wire)]
    found = exchanges(play(Http2(), lines))
    assert found == exchanges(play(Http2(), lines, split=every(1), snapshot=True))
    told = [what for exchange in found for what in exchange.weird]
    # The payloads of PRIORITY, PING and WINDOW_UPDATE are passed over unread: one of these errors is only there.
    if case["error"] and path.stem != "window_update-frame-increment":
        assert told


def deepflow(name: str) -> list[Exchange]:
    found = []
    for conversation in conversations(CORPORA / "deepflow" / "http" / f"{name}.pcap"):
        data: dict[int, bytes] = {C: b"", S: b""}
        for line in conversation.lines:
            assert isinstance(line, tuple)
            data[line[0]] += line[1]
        judge = Http2()
        assert {judge.probe(side, head) for side, head in data.items() if head} == {Probe.YES}  # type: ignore[arg-type]
        found += exchanges(play(judge, conversation.lines, midstream=conversation.midstream))
    return found


def recorded(name: str) -> list[str]:
    lines = (CORPORA / "deepflow" / "http" / f"{name}.result").read_text().splitlines()
    return [line for line in lines if "is_http: true" in line or "msg_type: Response" in line or "Session" in line]


def test_deepflow_grpc_segmented() -> None:
    """One request in two segments, without its answer."""
    (found,) = deepflow("grpc-segmented")
    assert 'endpoint: Some("/agent.Synchronizer/Push")' in recorded("grpc-segmented")[0]
    assert 'host: "192.168.199.215:30035"' in recorded("grpc-segmented")[0]
    assert (found.protocol, found.fields["grpc_method"]) == ("grpc", "agent.Synchronizer/Push")
    assert (found.fields["host"], found.stream_id) == ("192.168.199.215:30035", 1)
    assert "response not seen" in found.incomplete
    # DeepFlow tells the length of the headers' segment; weir that of the body (2,433 of one message and its prefix).
    assert found.fields["grpc_request_size"] == 2433


def test_deepflow_grpc_unknown() -> None:
    """A call of a connection that was joined: what stands in the table is unknown to both."""
    (found,) = deepflow("grpc-unknown")
    asked, answered = recorded("grpc-unknown")
    assert "proto: Grpc" in asked
    assert 'host: "currencyservice:7000"' in asked
    assert "stream_id: Some(928401)" in asked
    assert "req_content_length: Some(5)" in asked
    assert (found.protocol, found.stream_id, found.fields["host"]) == ("grpc", 928401, "currencyservice:7000")
    assert found.fields["request_body_size"] == 5
    assert "status_code: Some(200)" in answered
    assert "resp_content_length: Some(170)" in answered
    assert (found.fields["status_code"], found.fields["response_body_size"]) == (200, 170)
    assert (found.fields["grpc_status"], found.ok) == (-1, None)
    assert "headers refer to a table that was not seen" in found.incomplete


def test_deepflow_http2_multi() -> None:
    """Two calls in one segment. DeepFlow says HTTP/2, because the content type is in the table; weir looks at the
    bodies, finds gRPC messages, and says how it knows."""
    found = {exchange.stream_id: exchange for exchange in deepflow("http2-multi")}
    assert list(found) == [18131983, 18131981]
    assert "req_content_length: Some(17)" in recorded("http2-multi")[0]
    for number, size in ((18131983, 150), (18131981, 148)):
        one = found[number]
        assert any(
            f"stream_id: Some({number})" in line and f"resp_content_length: Some({size})" in line
            for line in recorded("http2-multi")
        )
        assert (one.fields["method"], one.fields["status_code"]) == ("POST", 200)
        assert (one.fields["request_body_size"], one.fields["response_body_size"]) == (17, size)
        assert one.protocol == "grpc"
        assert "content type not seen: told to be gRPC by its messages" in one.incomplete
