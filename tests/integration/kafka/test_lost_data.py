"""A cluster that comes back without its data: whoever relied on it is told, and a process that starts begins anew."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient

from weir.bus.api import Record
from weir.bus.kafka_link import abandon
from weir.bus.topics import ENDPOINTS, ENTRIES
from weir.errors import BusError
from weir.testing.bus_rig import SHARDS, KafkaRig, Member, entries, until
from weir.testing.pytest_kafka import SecuredKafka

pytestmark = pytest.mark.kafka

GONE = "topics that were there are gone"


@pytest.fixture
async def rig(kafka: SecuredKafka) -> AsyncIterator[KafkaRig]:
    made = KafkaRig(kafka.bootstrap, request_timeout_s=2.0, stall_s=5.0)
    yield made
    await made.close()


async def delete(kafka: SecuredKafka, *names: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    try:
        await admin.delete_topics(list(names))
    finally:
        await admin.close()


async def test_who_waits_is_told_that_the_topics_are_gone_and_the_next_one_makes_them(
    kafka: SecuredKafka, rig: KafkaRig
) -> None:
    bus = await rig.bus()
    reader, table = Member(bus, ENTRIES), await bus.table(ENDPOINTS)
    await bus.publish(ENTRIES, entries(f"before{i}" for i in range(9)))
    await reader.until(lambda: len(reader.records) == 9)
    waiting = asyncio.ensure_future(table.changed(table.version))

    await delete(kafka, *(f"{rig.instance}.{topic}" for topic in ("entries", "endpoints", "packets")))
    await bus.publish(ENTRIES, entries(["after"]))
    await until(lambda: GONE in bus.trouble(), 30)
    with pytest.raises(BusError, match=GONE):
        await asyncio.wait_for(waiting, 10)
    with pytest.raises(BusError, match=GONE):
        await asyncio.wait_for(reader.task, 10)
    with pytest.raises(BusError, match=GONE):
        await bus.publish(ENTRIES, entries(["more"]))
    assert not bus.try_publish(ENTRIES, next(iter(entries(["more"]))))
    assert f"{rig.instance}.entries" in bus.trouble()

    # What cannot be sent any more is not waited for: half of that time would go by.
    await asyncio.wait_for(bus.stop(30.0), 12)
    fresh = await rig.bus()
    again = Member(fresh, ENTRIES)
    await fresh.publish(ENTRIES, entries(["anew"]))
    await again.until(lambda: again.names() == ["anew"])


async def test_a_table_does_not_go_on_in_another_log(kafka: SecuredKafka, rig: KafkaRig) -> None:
    bus = await rig.bus()
    table = await bus.table(ENDPOINTS)
    await bus.publish(ENDPOINTS, [Record(f"key{i}".encode(), None) for i in range(5)])
    await until(lambda: table.version >= 5)
    waiting = asyncio.ensure_future(table.changed(table.version))
    await delete(kafka, f"{rig.instance}.endpoints")
    fresh = await rig.bus()  # makes the topic before the other one has missed it
    await fresh.publish(ENDPOINTS, [Record(b"other", None)])
    with pytest.raises(BusError, match=r"made anew|gone"):
        await asyncio.wait_for(waiting, 40)


async def test_what_a_member_was_given_before_its_topic_was_there_is_not_all_that_its_successor_gets(
    kafka: SecuredKafka, rig: KafkaRig
) -> None:
    """A process that joins a Kafka without data is given nothing, and dies; who comes under its name has its place."""
    await (await rig.bus()).stop(5.0)  # topics are there
    name = f"{rig.instance}.entries"
    before = AIOKafkaConsumer(
        bootstrap_servers=kafka.bootstrap, group_id=f"{rig.instance}.g.entries", group_instance_id="node-1",
        enable_auto_commit=False,
    )  # fmt: skip
    before.subscribe([name])
    await before.start()
    await until(lambda: len(before.assignment()) == SHARDS, 30)
    await delete(kafka, name)
    while before.partitions_for_topic(name):
        await before._client.force_metadata_update()
    before._coordinator.request_rejoin()
    await until(lambda: not before.assignment() and before._coordinator.generation > 1, 30)
    await abandon(before)

    bus = await rig.bus()
    after = Member(bus, ENTRIES, member="node-1")
    await bus.publish(ENTRIES, entries(["one", "two"]))
    await after.until(lambda: sorted(after.names()) == ["one", "two"])
