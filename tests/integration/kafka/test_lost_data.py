"""A cluster that comes back without its data: whoever relied on it is told, and a process that starts begins anew."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from weir.bus.api import Record
from weir.bus.topics import ENDPOINTS, ENTRIES
from weir.errors import BusError
from weir.testing.bus_rig import KafkaRig, Member, entries, until
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
