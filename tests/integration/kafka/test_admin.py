"""Topics are created as they are declared, and differences refuse to start."""

from __future__ import annotations

import itertools

import msgspec
import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from weir.bus.admin import ensure, wanted
from weir.bus.settings import BusSettings
from weir.bus.topics import ENDPOINTS, ENTRIES, TOPICS
from weir.errors import BusError
from weir.testing.kafka.realkafka import free_port
from weir.testing.pytest_kafka import SecuredKafka

pytestmark = pytest.mark.kafka
_names = (f"admin{i}" for i in itertools.count())


async def configuration(bootstrap: str, topic: str) -> dict[str, str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        [response] = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
        return {entry[0]: entry[1] for entry in response.resources[0][4]}
    finally:
        await admin.close()


async def test_missing_topics_are_created_as_declared(kafka: SecuredKafka) -> None:
    settings, instance = BusSettings(url=kafka.bootstrap, shards=2), next(_names)
    changes = await ensure(settings, instance, True)
    assert [change.topic for change in changes] == [f"{instance}.{topic.name}" for topic in TOPICS]
    for topic in (ENTRIES, ENDPOINTS):
        want = wanted(topic, settings, instance)
        have = await configuration(kafka.bootstrap, want.name)
        assert {name: have[name] for name in want.config} == want.config
    assert await ensure(settings, instance, True) == []
    assert await ensure(settings, instance, False) == []


async def test_without_leave_to_create_a_missing_topic_is_an_error(kafka: SecuredKafka) -> None:
    with pytest.raises(BusError, match=r"missing topics: .*entries"):
        await ensure(BusSettings(url=kafka.bootstrap), next(_names), False, (ENTRIES,))


async def test_another_number_of_partitions_refuses(kafka: SecuredKafka) -> None:
    settings, instance = BusSettings(url=kafka.bootstrap, shards=2), next(_names)
    await ensure(settings, instance, True, (ENTRIES,))
    with pytest.raises(BusError, match=rf"topic {instance}.entries: partitions is 2, wanted is 4") as caught:
        await ensure(msgspec.structs.replace(settings, shards=4), instance, True, (ENTRIES,))
    assert "bus.shards" in caught.value.hint


async def test_another_cleanup_or_a_smaller_limit_refuses(kafka: SecuredKafka) -> None:
    settings, instance = BusSettings(url=kafka.bootstrap), next(_names)
    await ensure(settings, instance, True, (ENTRIES,))
    for changed, setting in (
        (msgspec.structs.replace(ENTRIES, cleanup="compact"), "cleanup.policy is delete, wanted is compact"),
        (msgspec.structs.replace(ENTRIES, max_bytes=6 << 20), "max.message.bytes is "),
    ):
        with pytest.raises(BusError, match=setting):
            await ensure(settings, instance, True, (changed,))


async def test_more_replicas_than_brokers_is_told(kafka: SecuredKafka) -> None:
    with pytest.raises(BusError, match="cannot be created") as caught:
        await ensure(BusSettings(url=kafka.bootstrap, replication=3), next(_names), True, (ENTRIES,))
    assert "bus.replication" in caught.value.hint


async def test_an_absent_cluster_is_told() -> None:
    with pytest.raises(BusError, match="connection refused"):
        await ensure(BusSettings(url=f"127.0.0.1:{free_port()}"), "weir", True)
