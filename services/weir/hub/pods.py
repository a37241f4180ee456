"""Pods as the endpoints tell them: one for all addresses and ports of a pod. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence

import msgspec

from weir.hub.health import Targeted
from weir.model.control import EndpointRecord
from weir.model.flow import TCP, DirectedFlow

_NOWHERE = DirectedFlow(protocol=TCP, src=bytes(4), dst=bytes(4))


class Pod(msgspec.Struct, frozen=True, kw_only=True):
    """A pod with all its records."""

    namespace: str
    name: str
    node: str
    workload: str
    targeted: bool
    captured: bool
    rules: list[str]
    records: Sequence[EndpointRecord]

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"

    def flows(self) -> list[DirectedFlow]:
        """A conversation of each of its addresses with nobody, to ask selectors about."""
        return [
            msgspec.structs.replace(_NOWHERE, src=ipaddress.ip_address(address).packed)
            for address in sorted({record.address for record in self.records if "/" not in record.address})
        ]


def gather(records: Iterable[EndpointRecord]) -> list[Pod]:
    """Pods, by namespace and name."""
    found: dict[tuple[str, str], list[EndpointRecord]] = {}
    for record in records:
        if record.pod is not None and record.role in ("pod", ""):
            found.setdefault((record.pod.namespace, record.pod.name), []).append(record)
    return [_pod(*key, held) for key, held in sorted(found.items())]


def _pod(namespace: str, name: str, records: Sequence[EndpointRecord]) -> Pod:
    first = records[0]
    return Pod(
        namespace=namespace, name=name, node=first.node, workload=first.workload, records=records,
        targeted=any(record.targeted for record in records),
        captured=any(record.captured for record in records),
        rules=list(dict.fromkeys(rule for record in records for rule in record.rules)),
    )


def targeted_now(pods: Sequence[Pod]) -> Targeted:
    """How much is targeted, for `health`."""
    wanted = [pod for pod in pods if pod.targeted]
    return Targeted(
        pods=len(pods), targeted=len(wanted), nodes=sorted({pod.node for pod in wanted if pod.node}),
        rules=sorted({rule for pod in wanted for rule in pod.rules}),
    )
