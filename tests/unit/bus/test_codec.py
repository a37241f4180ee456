from __future__ import annotations

import struct
import time
import tracemalloc
from typing import Any

import msgpack
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weir.bus.api import Topic, Undecodable
from weir.bus.codec import OversizedValue, decode, encode
from weir.bus.topics import CONTROL, ENDPOINTS, ENTRIES, HEALTH, PACKETS, SEGMENTS, TOPICS
from weir.model.control import Control, EndpointRecord
from weir.model.entry import Entry, Peer
from weir.model.flow import DirectedFlow
from weir.model.health import Heartbeat
from weir.model.packets import PacketBlock
from weir.model.segments import SegmentBlock

BLOCK = PacketBlock(
    node="n", ring=1, run=2, sequence=3, clock_ns=4, interfaces={7: "eth0"}, count=1, data=b"\x00\xff" * 50
)
FLOW = DirectedFlow(protocol=6, src=b"\x0a\0\0\1", sport=1, dst=b"\x0a\0\0\2", dport=80)
SEGMENT = SegmentBlock(
    node="n", ring=0, run=1, shard=0, shards=3, origin_partition=0, origin_offset=9, clock_ns=1, linktype=1,
    flows=[FLOW], count=1, flow=b"\0\0\0\0", frames=b"frame",
)
BEAT = Heartbeat(process="p", stages=["decode"], started_ns=1, sent_ns=2, counters={"lost.x": 3})
PAIRS: list[tuple[Topic, Any]] = [
    (PACKETS, BLOCK), (SEGMENTS, SEGMENT), (HEALTH, BEAT),
    (ENDPOINTS, EndpointRecord(address="10.0.0.1", uid="u", labels={"app": "x"})),
    (CONTROL, Control(generation=3, targets=["all"])),
    (ENTRIES, {"v": 1, "id": "x", "timestamp": 5, "body": b"\xff", "nested": {"a": [1, None, 2.5, True]}}),
]


@pytest.mark.parametrize(("topic", "value"), PAIRS)
def test_what_is_sent_is_received(topic: Topic, value: Any) -> None:
    assert decode(topic, encode(topic, value)) == value


@pytest.mark.parametrize(("topic", "value"), PAIRS)
def test_every_value_bears_its_version(topic: Topic, value: Any) -> None:
    fields = msgpack.unpackb(encode(topic, value))
    assert fields["v"] == 1
    if topic is not ENTRIES:
        assert fields["t"] == type(value).__struct_config__.tag


def test_an_entry_without_a_version_is_given_one() -> None:
    made = Entry(id="x", timestamp=1, protocol="http", kind="exchange", flow_id="f", src=Peer(), dst=Peer())
    given_map = made.to_map()
    given_map.pop("v", None)
    assert decode(ENTRIES, encode(ENTRIES, given_map))["v"] == 1
    assert "v" not in given_map


def test_views_travel_as_their_bytes() -> None:
    view = msgspec.structs.replace(BLOCK, data=memoryview(bytearray(b"ring"))[1:3])
    received = decode(PACKETS, encode(PACKETS, view))
    assert received.data == b"in"
    assert type(received.data) is bytes


def test_additive_fields_are_ignored() -> None:
    fields = msgpack.unpackb(encode(HEALTH, BEAT)) | {"invented_later": [1, 2, 3]}
    assert decode(HEALTH, msgpack.packb(fields)) == BEAT


def test_a_newer_major_version_is_told_apart() -> None:
    fields = msgpack.unpackb(encode(HEALTH, BEAT)) | {"v": 2}
    answer = decode(HEALTH, msgpack.packb(fields))
    assert isinstance(answer, Undecodable)
    assert answer.newer
    assert answer.reason == "version 2, known is 1"


@pytest.mark.parametrize(
    ("topic", "raw", "reason"),
    [
        (HEALTH, b"", "Unpack failed"),
        (HEALTH, b"\xc1", "FormatError"),
        (HEALTH, b"\x81\xa1\xff\x01", "UnicodeDecodeError"),
        (HEALTH, msgpack.packb([1]), "not a map but list"),
        (HEALTH, msgpack.packb({"t": "heartbeat"}), "without a version"),
        (HEALTH, msgpack.packb({"t": "heartbeat", "v": "1"}), "without a version"),
        (HEALTH, msgpack.packb({"t": "heartbeat", "v": True}), "without a version"),
        (HEALTH, msgpack.packb({"t": "rule", "v": 1}), "of type 'rule', expected 'heartbeat'"),
        (HEALTH, msgpack.packb({"t": "heartbeat", "v": 1}), "ValidationError"),
        (HEALTH, encode(HEALTH, BEAT) + b"\x00", "extra data"),
        (HEALTH, encode(HEALTH, BEAT)[:-1], "incomplete input"),
        (ENTRIES, msgpack.packb({"v": 1, "id": 5, "timestamp": 1}), "without id or timestamp"),
        (ENTRIES, msgpack.packb({1: 2}), "int is not allowed"),
        (ENTRIES, msgpack.packb({"v": 1, "x": msgpack.ExtType(5, b"a")}), "exceeds max_ext_len"),
        (PACKETS, msgpack.packb({**msgpack.unpackb(encode(PACKETS, BLOCK)), "data": "text"}), "Expected `bytes`"),
        (PACKETS, bytes(PACKETS.max_bytes + 1), "more than the 2097152 allowed"),
    ],
)
def test_garbage_is_told_with_its_reason(topic: Topic, raw: bytes, reason: str) -> None:
    answer = decode(topic, raw)
    assert isinstance(answer, Undecodable)
    assert reason.lower() in answer.reason.lower()
    assert not answer.newer
    assert answer.size == len(raw)


@pytest.mark.parametrize(
    "nested", [b"\xdd\x00\x3f\xff\xff", b"\xdc\x7f\xff", b"\xdf\x00\x3f\xff\xff", b"\x91", b"\x81\xa0"]
)
def test_declared_sizes_and_depth_cost_little(nested: bytes) -> None:
    raw = nested * 1500
    raw += bytes(SEGMENTS.max_bytes - len(raw))
    tracemalloc.start()
    began = time.process_time()
    assert isinstance(decode(SEGMENTS, raw), Undecodable)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 300 << 20
    assert time.process_time() - began < 5


@pytest.mark.parametrize("topic", TOPICS)
@given(raw=st.binary(max_size=300))
def test_any_bytes_are_a_value_or_undecodable(topic: Topic, raw: bytes) -> None:
    answer = decode(topic, raw)
    assert isinstance(answer, (Undecodable, dict, msgspec.Struct))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=20,
)


@given(st.dictionaries(st.text(), VALUES, max_size=8))
def test_any_map_is_answered(fields: dict[str, Any]) -> None:
    for topic in TOPICS:
        assert isinstance(decode(topic, msgpack.packb(fields)), (Undecodable, dict, msgspec.Struct))


@given(st.sampled_from(PAIRS), st.data())
def test_a_flipped_byte_never_raises(pair: tuple[Topic, Any], data: st.DataObject) -> None:
    topic, value = pair
    raw = bytearray(encode(topic, value))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    decode(topic, bytes(raw))


def test_an_oversized_value_is_refused() -> None:
    with pytest.raises(OversizedValue, match="allows 2097152") as caught:
        encode(PACKETS, msgspec.structs.replace(BLOCK, data=bytes(PACKETS.max_bytes)))
    assert caught.value.limit == PACKETS.max_bytes < caught.value.size
    assert isinstance(caught.value, ValueError)


def test_a_value_of_another_topic_is_a_bug() -> None:
    with pytest.raises(TypeError, match="health carries Heartbeat, not PacketBlock"):
        encode(HEALTH, BLOCK)
    with pytest.raises(TypeError, match="entries carries maps"):
        encode(ENTRIES, BEAT)


def test_text_without_utf8_is_replaced() -> None:
    entry = {"v": 1, "id": "x", "timestamp": 1, "path": "/\udcff"}
    assert decode(ENTRIES, encode(ENTRIES, entry))["path"] == "/?"


def test_extension_types_are_no_part_of_the_form() -> None:
    for foreign in (msgpack.Timestamp(5, 0), msgpack.ExtType(5, b"a")):
        raw = msgpack.packb({"v": 1, "id": "x", "timestamp": 1, "at": foreign})
        assert isinstance(decode(ENTRIES, raw), Undecodable)


def test_the_form_on_the_wire_is_plain_messagepack() -> None:
    raw = encode(PACKETS, msgspec.structs.replace(BLOCK, data=b"abc"))
    fields = msgpack.unpackb(raw)
    assert fields["t"] == "packets"
    assert fields["interfaces"] == {"7": "eth0"}
    assert b"\xc4\x03abc" in raw
    assert struct.unpack_from("B", raw)[0] in range(0x80, 0x90) or raw[0] == 0xDE
