"""Topics on the cluster: which are missing, which differ from their declaration, and making them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec
from aiokafka.admin import NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, for_code

from weir.bus.api import Topic
from weir.bus.kafka_link import BATCH_BYTES, CLUSTER, Away, Backoff, Link, dispose, within
from weir.bus.settings import BusSettings
from weir.bus.topics import TOPICS
from weir.errors import BusError

_EXISTS = 36
_UNKNOWN = 3
_BATCH_OVERHEAD = 64 * 1024
"""What a record batch adds to its records: headers, and compression of what cannot be compressed."""
MiB = 1 << 20
DAY_S = 86400


class Wanted(msgspec.Struct, frozen=True):
    """A topic as it should be on the cluster."""

    name: str
    partitions: int
    replication: int
    config: dict[str, str]


class Existing(msgspec.Struct, frozen=True):
    """A topic as it is."""

    partitions: int
    config: dict[str, str]


class Change(msgspec.Struct, frozen=True):
    """What `ensure` did, or would do."""

    topic: str
    action: Literal["create"]
    wanted: Wanted


class Mismatch(msgspec.Struct, frozen=True):
    topic: str
    setting: str
    have: str
    want: str
    hint: str


class Plan(msgspec.Struct, frozen=True):
    create: list[Wanted]
    mismatches: list[Mismatch]


def wanted(topic: Topic, settings: BusSettings, instance: str, topics: Sequence[Topic] = TOPICS) -> Wanted:
    """The declaration as Kafka's configuration."""
    limit = max(topic.max_bytes, BATCH_BYTES) + _BATCH_OVERHEAD
    config = {"cleanup.policy": topic.cleanup, "max.message.bytes": str(limit)}
    if topic.cleanup == "compact":
        # Only closed segments are compacted, and a segment is closed when a record comes after its time.
        longest = max((t.retention_s for t in topics if t.cleanup == "delete" and t.sharded), default=0)
        config |= {
            "segment.ms": str(600_000),
            "segment.bytes": str(64 * MiB),
            "min.cleanable.dirty.ratio": "0.2",
            "delete.retention.ms": str((longest + DAY_S) * 1000),
        }
    else:
        keep_s = max(120, int(topic.retention_s * settings.retention_share))
        keep_bytes = topic.retention_bytes
        if keep_bytes > 0:
            keep_bytes = max(64 * MiB, int(keep_bytes * settings.retention_share))
        config |= {
            "retention.ms": str(keep_s * 1000),
            "retention.bytes": str(keep_bytes),
            "segment.ms": str(max(60, keep_s // 8) * 1000),
        }
        if keep_bytes > 0:
            config["segment.bytes"] = str(min(1024 * MiB, max(16 * MiB, keep_bytes // 8)))
    if settings.replication >= 3:
        config["min.insync.replicas"] = str(settings.replication - 1)
    partitions = settings.shards if topic.sharded else 1
    return Wanted(f"{instance}.{topic.name}", partitions, settings.replication, config)


def plan(existing: Mapping[str, Existing], wants: Sequence[Wanted]) -> Plan:
    """What is missing, and what exists in a way that would lose data or not work."""
    create = [want for want in wants if want.name not in existing]
    mismatches = [m for want in wants if want.name in existing for m in _compare(existing[want.name], want)]
    return Plan(create, mismatches)


def _compare(have: Existing, want: Wanted) -> list[Mismatch]:
    found = []
    if have.partitions != want.partitions:
        found.append(Mismatch(
            want.name, "partitions", str(have.partitions), str(want.partitions),
            f"set bus.shards to what the topics were made with, or use another instance name than "
            f"{want.name.rsplit('.', 1)[0]!r}",
        ))
    policy = have.config.get("cleanup.policy", want.config["cleanup.policy"])
    if policy != want.config["cleanup.policy"]:
        found.append(Mismatch(
            want.name, "cleanup.policy", policy, want.config["cleanup.policy"],
            f"kafka-configs.sh --alter --topic {want.name} --add-config cleanup.policy={want.config['cleanup.policy']}",
        ))
    limit = int(have.config.get("max.message.bytes", want.config["max.message.bytes"]))
    if limit < int(want.config["max.message.bytes"]):
        found.append(Mismatch(
            want.name, "max.message.bytes", str(limit), want.config["max.message.bytes"],
            f"kafka-configs.sh --alter --topic {want.name} "
            f"--add-config max.message.bytes={want.config['max.message.bytes']}",
        ))
    return found


async def ensure(
    settings: BusSettings, instance: str, create: bool, topics: Sequence[Topic] = TOPICS, *, wait_s: float = 0.0
) -> list[Change]:
    """Create the topics that are missing (or, without `create`, refuse) and check the others. Raises BusError for what
    does not fit, and when the cluster cannot be reached within `wait_s`."""
    link = Link(settings, instance)
    backoff = Backoff()
    until = time.monotonic() + wait_s
    with link.log:
        while True:
            try:
                return await ensure_on(link, create, topics)
            except Away as away:
                if time.monotonic() >= until:
                    raise away.reason.error(settings.url) from away
            await backoff.pause()


async def ensure_on(link: Link, create: bool, topics: Sequence[Topic]) -> list[Change]:
    """As `ensure`; Away where another try may help."""
    wants = [wanted(topic, link.settings, link.instance, topics) for topic in topics]
    admin = link.admin()
    await link.connect(admin)
    deadline = link.settings.request_timeout_s
    try:
        todo = plan(await within(2 * deadline, _existing(admin, [want.name for want in wants])), wants)
        _refuse(todo, create)
        if todo.create:
            await within(2 * deadline, _create(admin, todo.create))
            await within(4 * deadline, _wait_for_leaders(admin, [want.name for want in todo.create]))
            # Another process may have made them first, with other settings.
            now = plan(await within(2 * deadline, _existing(admin, [want.name for want in wants])), wants)
            _refuse(now, True)
        return [Change(want.name, "create", want) for want in todo.create]
    except (KafkaError, TimeoutError) as error:
        reason = link.blame(CLUSTER, error)
        raise (reason.error(link.settings.url) if reason.fatal else Away(reason)) from error
    finally:
        await dispose(admin, 2.0)


async def missing_on(link: Link, topics: Sequence[Topic]) -> list[str]:
    """Names of the topics that the cluster says it does not have; Away where it says nothing."""
    names = [link.topic_name(topic.name) for topic in topics]
    admin = link.admin()
    await link.connect(admin)
    try:
        described = await within(link.settings.request_timeout_s, admin.describe_topics(names))
    except (KafkaError, TimeoutError) as error:
        raise Away(link.blame(CLUSTER, error)) from error
    finally:
        await dispose(admin, 2.0)
    return sorted(topic["topic"] for topic in described if topic["error_code"] == _UNKNOWN)


def _refuse(todo: Plan, create: bool) -> None:
    if todo.mismatches:
        first = todo.mismatches[0]
        more = f" (and {len(todo.mismatches) - 1} more)" if len(todo.mismatches) > 1 else ""
        raise BusError(
            f"topic {first.topic}: {first.setting} is {first.have}, wanted is {first.want}{more}", hint=first.hint
        )
    if todo.create and not create:
        names = ", ".join(want.name for want in todo.create)
        raise BusError(f"missing topics: {names}", hint="`weir topics --create` creates them")


async def _existing(admin: Any, names: Sequence[str]) -> dict[str, Existing]:
    partitions = {}
    for topic in await admin.describe_topics(list(names)):
        if topic["error_code"] == _UNKNOWN:
            continue
        if topic["error_code"]:
            raise for_code(topic["error_code"])(topic["topic"])
        partitions[topic["topic"]] = len(topic["partitions"])
    if not partitions:
        return {}
    asked = [
        ConfigResource(ConfigResourceType.TOPIC, name, configs={"cleanup.policy": "", "max.message.bytes": ""})
        for name in partitions
    ]
    configs: dict[str, dict[str, str]] = {}
    for response in await admin.describe_configs(asked):
        for code, message, _, name, entries, *_ in response.resources:
            if code:
                raise for_code(code)(message)
            configs[name] = {entry[0]: entry[1] for entry in entries}
    return {name: Existing(count, configs.get(name, {})) for name, count in partitions.items()}


async def _create(admin: Any, wants: Sequence[Wanted]) -> None:
    response = await admin.create_topics([
        NewTopic(want.name, want.partitions, want.replication, topic_configs=want.config) for want in wants
    ])
    for name, code, *message in response.topic_errors:
        if code not in (0, _EXISTS):
            told = message[0] if message and message[0] else for_code(code).__name__
            raise BusError(
                f"topic {name} cannot be created: {told}",
                hint="bus.replication cannot exceed the number of brokers; creating needs the right CREATE",
            )


async def _wait_for_leaders(admin: Any, names: Sequence[str]) -> None:
    while True:
        described = await admin.describe_topics(list(names))
        if len(described) == len(names) and all(
            topic["error_code"] == 0 and topic["partitions"]
            and all(p["leader"] >= 0 and p["error_code"] == 0 for p in topic["partitions"])
            for topic in described
        ):
            return
        await asyncio.sleep(0.05)
