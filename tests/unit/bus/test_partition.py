from __future__ import annotations

from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given
from hypothesis import strategies as st

from weir.bus.partition import murmur2, partition_for


def test_known_vectors() -> None:
    # org.apache.kafka.common.utils.UtilsTest.testMurmur2
    known = {
        b"21": -973932308, b"foobar": -790332482, b"a-little-bit-long-string": -985981536,
        b"a-little-bit-longer-string": -1486304829,
        b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971, b"abc": 479470107,
    }
    for data, signed in known.items():
        assert murmur2(data) == signed & 0xFFFFFFFF


@given(st.binary(max_size=100), st.integers(min_value=1, max_value=64))
def test_the_same_partition_as_kafkas_clients(key: bytes, partitions: int) -> None:
    everything = list(range(partitions))
    assert partition_for(key, partitions) == DefaultPartitioner()(key, everything, everything)
