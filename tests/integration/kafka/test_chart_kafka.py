"""The Kafka that the chart brings: its KAFKA_* variables, put through the class that apache/kafka starts with."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from weir.bus.acls import ensure_grants
from weir.bus.admin import ensure
from weir.bus.settings import BusSettings
from weir.bus.topics import TOPICS
from weir.runtime.process import load_settings
from weir.testing.kafka.jars import KafkaMissing, ensure_libs
from weir.testing.kafka.realkafka import RealKafka, free_port

pytestmark = pytest.mark.kafka

ROOT = Path(__file__).resolve().parents[3]
DEFAULTS = ROOT / "libs/weir/testing/engine/standin/kafka"
PASSWORDS = {"WEIR_PASSWORD": "weir-secret-0123456789", "READER_PASSWORD": "reader-secret-0123456789"}
ADDRESS = "weir-kafka.weir.svc.cluster.local:29092"


def container(kind: str, name: str) -> dict[str, Any]:
    for document in yaml.safe_load_all((ROOT / "deploy/kubernetes/weir.yaml").read_text()):
        if document and document["kind"] == kind and document["metadata"]["name"].startswith(name):
            found: dict[str, Any] = document["spec"]["template"]["spec"]["containers"][0]
            return found
    raise AssertionError(f"{kind} {name} is not in weir.yaml")


def environment(of: dict[str, Any]) -> dict[str, str]:
    """With references to other variables put in, as the kubelet does; those from elsewhere left out."""
    given = {}
    for variable in of["env"]:
        value = variable.get("value")
        if value is not None:
            for name, secret in PASSWORDS.items():
                value = value.replace(f"$({name})", secret)
            given[variable["name"]] = value
    return given


class ChartKafka(RealKafka):
    """A node with the properties that the chart's variables become; only addresses and folders are this machine's."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        controller = free_port()
        told = {
            name: value.replace(ADDRESS, self.bootstrap).replace("WEIR://:29092", f"WEIR://127.0.0.1:{self.port}")
            .replace("29093", str(controller)).replace("/var/lib/kafka/data", str(self.data))
            for name, value in environment(container("StatefulSet", "weir-kafka")).items()
        }
        final, mounted = folder / "config", folder / "mounted"
        final.mkdir()
        mounted.mkdir()
        subprocess.run(
            [
                *self._java("tools.log", "-Xmx128m"), "kafka.docker.KafkaDockerWrapper", "setup",
                "--default-configs-dir", str(DEFAULTS), "--mounted-configs-dir", str(mounted),
                "--final-configs-dir", str(final),
            ],
            env=os.environ | told | {"CLUSTER_ID": "5L6g3nShT-eMCtK--X86sw"}, check=True, capture_output=True,
            timeout=60,
        )  # fmt: skip
        self._properties = final / "server.properties"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChartKafka]:
    try:
        ensure_libs()
    except KafkaMissing as error:
        if os.environ.get("WEIR_REQUIRE"):
            raise
        pytest.skip(f"no real Kafka: {error}")
    node = ChartKafka(tmp_path_factory.mktemp("chart"))
    try:
        node.spawn()
        yield node
    finally:
        node.stop()


def weir(node: ChartKafka) -> BusSettings:
    """As the pods are told."""
    told = environment(container("Deployment", "weir-filter")) | {"WEIR_BUS_PASSWORD": PASSWORDS["WEIR_PASSWORD"]}
    bus: BusSettings = load_settings([], environ=told)["bus"]
    assert bus.url == ADDRESS
    return msgspec.structs.replace(bus, url=node.bootstrap)


def as_reader(node: ChartKafka, group: str | None = None) -> AIOKafkaConsumer:
    return AIOKafkaConsumer(
        bootstrap_servers=node.bootstrap, group_id=group, security_protocol="SASL_PLAINTEXT", sasl_mechanism="PLAIN",
        sasl_plain_username="reader", sasl_plain_password=PASSWORDS["READER_PASSWORD"], auto_offset_reset="earliest",
        request_timeout_ms=5000,
    )


async def may_read(node: ChartKafka, topic: str) -> bool:
    consumer = as_reader(node)
    await consumer.start()
    try:
        consumer.assign([TopicPartition(topic, 0)])
        await asyncio.wait_for(consumer.end_offsets([TopicPartition(topic, 0)]), 10)
    except (KafkaError, TimeoutError):
        return False
    finally:
        await consumer.stop()
    return True


async def test_weir_makes_its_topics_and_readers_read_what_holds_no_raw_payload(node: ChartKafka) -> None:
    settings = weir(node)
    made = await ensure(settings, "weir", create=True, wait_s=90)
    assert {change.topic for change in made} == {f"weir.{topic.name}" for topic in TOPICS}
    assert not await may_read(node, "weir.entries")
    await ensure_grants(settings, "weir", ["reader"])
    await ensure_grants(settings, "weir", ["reader"])
    readable = {topic.name for topic in TOPICS if await may_read(node, f"weir.{topic.name}")}
    assert readable == {topic.name for topic in TOPICS if not topic.secret}


async def test_nobody_comes_in_without_a_name(node: ChartKafka) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=node.bootstrap, request_timeout_ms=3000)
    try:
        with pytest.raises(KafkaError):
            await producer.start()
    finally:
        await producer.stop()
