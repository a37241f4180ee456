"""What the members of a group have been given."""

from __future__ import annotations

from collections.abc import Collection

from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.errors import KafkaError

from weir.bus.kafka_link import Link, dispose, within

_SETTLED = "Stable"


async def all_given(link: Link, group: str, topic: str, partitions: Collection[int]) -> bool:
    """Whether somebody has each of the partitions; also true while the group settles, or if it cannot be told now."""
    admin = link.admin()
    try:
        await link.connect(admin)
        answers = await within(link.settings.request_timeout_s, admin.describe_consumer_groups([group]))
    except (KafkaError, TimeoutError):
        return True
    finally:
        await dispose(admin, 1.0)
    [(_, _, state, _, _, members, *_)] = answers[0].groups
    if state != _SETTLED:
        return True
    given = {
        (tp.topic, tp.partition)
        for _, _, _, _, assignment, *_ in members if assignment
        for tp in ConsumerProtocolMemberAssignment.decode(assignment).partitions()
    }  # fmt: skip
    return all((topic, partition) in given for partition in partitions)
