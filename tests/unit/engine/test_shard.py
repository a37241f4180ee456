from __future__ import annotations

import ipaddress
from zlib import crc32

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weir.engine.shard import COLUMNS, ShardBuilder, scope_of, shard_of
from weir.model.flow import DirectedFlow
from weir.model.packets import PacketBlock
from weir.model.segments import SegmentBlock

flows = st.builds(
    DirectedFlow, scope=st.text(max_size=5), protocol=st.sampled_from([6, 17]), src=st.binary(min_size=4, max_size=4),
    sport=st.integers(0, 65535), dst=st.binary(min_size=4, max_size=4), dport=st.integers(0, 65535),
    outline=st.booleans(),
)


@given(flows, st.integers(1, 64))
def test_a_shard_is_a_hash_of_the_conversation(flow: DirectedFlow, shards: int) -> None:
    assert shard_of(flow, shards) == shard_of(flow.reversed(), shards) == crc32(flow.key()) % shards


def test_columns_are_the_fields_of_the_block_in_order() -> None:
    fields = SegmentBlock.__struct_fields__
    first = fields.index("flow")
    assert fields[first : first + len(COLUMNS)] == tuple(name for name, _ in COLUMNS)


def test_flows_are_listed_once() -> None:
    one = DirectedFlow(protocol=6, src=b"aaaa", dst=b"bbbb")
    builder = ShardBuilder()
    places = [builder.flow_index(flow) for flow in (one, one.reversed(), one, one.reversed())]
    assert places == [0, 1, 0, 1]
    assert builder.flows == [one, one.reversed()]


def test_what_is_cut_takes_its_flows_along() -> None:
    builder = ShardBuilder()
    for n in range(10):
        index = builder.flow_index(DirectedFlow(protocol=6, src=b"aaaa", dst=bytes((n // 2, 0, 0, 0))))
        builder.rows.append((index, 0, 6, 0, 0, 0, 0, 0, 0, 0, 1000, 1000, n))
    assert builder.cut_to(3 * 1200, flow_bytes=100) == 7
    assert (len(builder.rows), len(builder.flows)) == (3, 2)
    assert builder.trimmed


@pytest.mark.parametrize(
    ("src", "dst", "scope"),
    [
        ("127.0.0.1", "127.0.0.1", "node-1"),
        ("127.7.0.10", "127.7.0.11", "node-1"),
        ("::1", "::1", "node-1"),
        ("fe80::1", "ff02::2", "node-1"),
        ("169.254.1.1", "10.0.0.1", "node-1"),
        ("10.0.0.1", "10.0.0.2", ""),
        ("2001:db8::1", "2001:db8::2", ""),
    ],
)
def test_addresses_that_mean_something_on_one_node_only_are_scoped_to_it(src, dst, scope):
    packed = [ipaddress.ip_address(a).packed for a in (src, dst)]
    block = PacketBlock(node="node-1", ring=0, run=1, sequence=0, clock_ns=1)
    assert scope_of(block, *packed) == scope_of(block, *reversed(packed)) == scope
    assert scope_of(msgspec.structs.replace(block, scope="pod-7"), *packed) == "pod-7"
