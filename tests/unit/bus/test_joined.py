from __future__ import annotations

import pytest

from weir.bus.api import Record
from weir.bus.joined import JoinedBus, local_topics
from weir.bus.memory import MemoryBus
from weir.bus.topics import DEAD, FLOWS, HEALTH, PACKETS, SEGMENTS
from weir.model.health import DeadLetter, Heartbeat
from weir.model.packets import PacketBlock


@pytest.mark.parametrize(
    ("stages", "local"),
    [
        (["capture", "filter", "decode"], {PACKETS.name, SEGMENTS.name, FLOWS.name}),
        (["capture", "filter"], {PACKETS.name}),
        (["filter", "decode"], set()),
        (["capture", "decode"], set()),
        (["store", "hub"], set()),
    ],
)
def test_only_a_chain_that_begins_at_capture_stays_in_its_process(stages: list[str], local: set[str]) -> None:
    assert local_topics(stages) == local


async def test_each_topic_goes_to_its_bus() -> None:
    near, far = MemoryBus(shards=2), MemoryBus(shards=5)
    joined = JoinedBus(near, far, local_topics(["capture", "filter"]))
    assert not joined.outlives(PACKETS)
    assert joined.outlives(SEGMENTS) == far.outlives(SEGMENTS)
    await joined.start()
    assert joined.partitions(PACKETS) == 2
    assert joined.partitions(SEGMENTS) == 5
    await joined.publish(PACKETS, [Record(b"n/0", PacketBlock(node="n", ring=0, run=1, sequence=0, clock_ns=1))])
    assert joined.try_publish(HEALTH, Record(b"p", Heartbeat(process="p", stages=[], started_ns=0, sent_ns=0)))
    await joined.publish(
        DEAD, [Record(b"k", DeadLetter(topic="t", partition=0, offset=0, stage="s", reason="r"))]
    )
    await joined.flush()
    assert len(await far.table(HEALTH)) == 1
    assert len(await near.table(HEALTH)) == 0
    stream = joined.stream(PACKETS, group=None)
    batch = await anext(aiter(stream))
    assert [record.value.node for record in batch.records] == ["n"]
    await stream.close()
    await joined.stop()
