"""Who may read which topic of an installation, as ACLs on the cluster.

Topics with raw payload are for weir's own user alone. Only where the cluster has an authorizer does any of it matter,
and only a user with the right ALTER on the cluster may say so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from aiokafka.errors import KafkaError, for_code
from aiokafka.protocol.admin import CreateAclsRequest

from weir.bus.api import Topic
from weir.bus.kafka_link import CLUSTER, Away, Link, dispose, within
from weir.bus.settings import BusSettings
from weir.bus.topics import TOPICS
from weir.errors import BusError

# Codes of the protocol: org.apache.kafka.common.{resource.ResourceType, resource.PatternType, acl.AclOperation,
# acl.AclPermissionType}.
_RESOURCES = {"topic": 2, "group": 3}
_LITERAL, _PREFIXED = 3, 4
_OPERATIONS = {"all": 2, "read": 3}
_ALLOW = 3
_ANY_HOST = "*"


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """One ACL that allows; `read` includes DESCRIBE."""

    user: str
    operation: Literal["all", "read"]
    resource: Literal["topic", "group"]
    name: str
    prefixed: bool = False
    """Every name that begins with `name`."""


def grants(instance: str, owner: str, readers: Sequence[str], topics: Sequence[Topic] = TOPICS) -> list[Grant]:
    """All of the instance's topics and groups to `owner` (nobody if empty), those without raw payload to `readers`,
    who may form groups whose names begin with their own."""
    found = []
    if owner:
        for resource in ("topic", "group"):
            found.append(Grant(user=owner, operation="all", resource=resource, name=f"{instance}.", prefixed=True))
    for user in readers:
        open_topics = [f"{instance}.{topic.name}" for topic in topics if not topic.secret]
        found += [Grant(user=user, operation="read", resource="topic", name=name) for name in open_topics]
        found.append(Grant(user=user, operation="read", resource="group", name=user, prefixed=True))
    return found


async def ensure_grants(settings: BusSettings, instance: str, readers: Sequence[str]) -> list[Grant]:
    """Make the ACLs; those that exist stay. Raises BusError where the cluster refuses or cannot be reached."""
    wanted = grants(instance, settings.username, readers)
    link = Link(settings, instance)
    with link.log:
        admin = link.admin()
        try:
            await link.connect(admin)
            for grant in wanted:
                await within(2 * settings.request_timeout_s, _create(admin, grant))
        except Away as away:
            raise away.reason.error(settings.url) from away
        except (KafkaError, TimeoutError) as error:
            raise link.blame(CLUSTER, error).error(settings.url) from error
        finally:
            await dispose(admin, 2.0)
    return wanted


async def _create(admin: Any, grant: Grant) -> None:
    request = CreateAclsRequest(
        _RESOURCES[grant.resource], grant.name, _PREFIXED if grant.prefixed else _LITERAL, f"User:{grant.user}",
        _ANY_HOST, _OPERATIONS[grant.operation], _ALLOW,
    )
    # aiokafka's admin client has no call for ACLs, only the protocol.
    response = await admin._send_to_controller(request)
    for code, message in response.creation_responses:
        if code:
            raise BusError(
                f"{grant.user} cannot be granted {grant.resource} {grant.name}: {message or for_code(code).__name__}",
                hint="the cluster needs an authorizer, and this user the right ALTER on it; or leave out --readers and "
                "use kafka-acls.sh",
            )
