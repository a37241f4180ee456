"""Who the ends of a conversation are, in the words of entries. Pure.

Names are those of the packet's time. An address that cannot be told stays without a name; it is never named after who
had it before. What is told of it then is at most that it lies outside: an address that is routed on the Internet, where
the addresses of a cluster are known.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Any

import msgspec

from weir.decode.identify import Names
from weir.model.control import EndpointRecord
from weir.model.entry import Peer
from weir.model.flow import address_text

ALL = "*"
PROBE, SERVICE_VIEW = "probe", "service-view"
"""Tags of entries."""
PROBE_AGENT = "kube-probe/"
"""What the kubelet's user agent begins with, over HTTP and gRPC (pkg/probe/http, pkg/probe/grpc in Kubernetes)."""
PROBE_PACKETS, PROBE_BYTES, PROBE_NS = 16, 2048, 10_000_000_000
"""A connection whose payload is not read is taken for the kubelet's if each end sent no more than this, in such a
time."""

Ends = tuple[EndpointRecord | None, EndpointRecord | None]
"""Client and server."""


class Naming:
    """Names under a control document."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._labels: frozenset[str] = frozenset()
        self._cluster = False
        self._changes = 0

    @property
    def version(self) -> int:
        """Rises when answers may have changed."""
        return self._changes + self._names.version

    def configure(self, labels: Iterable[str], *, cluster: bool) -> None:
        """Which labels are shown (`*` for all), and whether the addresses of a cluster are known."""
        wanted = frozenset(labels)
        if (wanted, cluster) != (self._labels, self._cluster):
            self._labels, self._cluster = wanted, cluster
            self._changes += 1

    def who(self, address: bytes, port: int, first_ns: int, last_ns: int) -> EndpointRecord | None:
        """Who held an address when a conversation began; if that is not known (its record begins a little later than
        its first packet), who holds it as far as it went."""
        return self._names.lookup(address, port, first_ns) or self._names.lookup(address, port, last_ns)

    def peer(self, address: bytes, port: int, record: EndpointRecord | None) -> dict[str, Any]:
        """One end in the public form."""
        made: dict[str, Any] = msgspec.to_builtins(self._peer(address, port, record))
        return made

    def _peer(self, address: bytes, port: int, record: EndpointRecord | None) -> Peer:
        ip = address_text(address)
        if record is None:
            return Peer(ip=ip, port=port, role="outside" if self._cluster and _is_routed(ip) else "")
        labels = record.labels
        if ALL not in self._labels:
            labels = {name: value for name, value in labels.items() if name in self._labels}
        return Peer(
            ip=ip, port=port, name=record.name, namespace=record.namespace, pod=record.pod, service=record.service,
            workload=record.workload, node=record.node, labels=labels, role=record.role,
        )


def is_front(ends: Ends) -> bool:
    """Whether it is seen in front of a service's NAT, and again behind it."""
    return any(end is not None and end.front for end in ends)


def may_be_kubelet(ends: Ends, node: str) -> bool:
    """Whether the client can be the kubelet that looks after the server: a process of the pod's own node, or an address
    that nobody knows, seen on that node."""
    client, server = ends
    if server is None or server.role != "pod" or not server.node:
        return False
    if client is None:
        return node == server.node
    return client.role == "host" and client.node == server.node


def _is_routed(ip: str) -> bool:
    address = ipaddress.ip_address(ip)
    return address.is_global and not address.is_multicast
