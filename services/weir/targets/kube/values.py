"""Pure: from objects as the API server writes them (`wire`) to the values of `objects`, and where kinds are served."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Generic, TypeVar

import msgspec

from weir.targets.kube import wire as w
from weir.targets.kube.objects import (
    Backend,
    EndpointSlice,
    Kind,
    Namespace,
    Node,
    Object,
    Owner,
    Pod,
    Port,
    Service,
    ServicePort,
)
from weir.targets.kube.owners import workload_of

FINAL = ("Succeeded", "Failed")
SERVICE_NAME = "kubernetes.io/service-name"

T = TypeVar("T")


class Resource(Generic[T]):
    """One kind: where the API serves it, and how an object of it is read."""

    def __init__(self, kind: Kind, group: str, wire: type[T], value: Callable[[T], Object], *, scoped: bool) -> None:
        self.kind = kind
        self.group = group
        """API group, empty for core."""
        self.scoped = scoped
        """Its objects live in namespaces."""
        self._decode = msgspec.json.Decoder(wire).decode
        self._value = value

    def path(self, namespace: str = "") -> str:
        root = f"/apis/{self.group}/v1" if self.group else "/api/v1"
        return f"{root}/namespaces/{namespace}/{self.kind}" if namespace else f"{root}/{self.kind}"

    def read(self, raw: bytes | msgspec.Raw) -> Object:
        """:raises msgspec.MsgspecError: it is no object of this kind."""
        return self._value(self._decode(raw))


def nanoseconds(when: datetime | None) -> int:
    return int(when.timestamp()) * 1_000_000_000 + when.microsecond * 1000 if when else 0


def _holds(conditions: list[w.Condition] | None, name: str) -> w.Condition | None:
    return next((c for c in conditions or () if c.type == name and c.status == "True"), None)


def _ports(containers: list[w.Container]) -> tuple[Port, ...]:
    return tuple(
        Port(name=port.name, number=port.container_port, protocol=port.protocol)
        for container in containers
        for port in container.ports or ()
    )


def _ended_ns(status: w.PodStatus) -> int:
    if status.phase not in FINAL:
        return 0
    states = (container.state for container in status.container_statuses or ())
    return max((nanoseconds(s.terminated.finished_at) for s in states if s and s.terminated), default=0)


def pod(wire: w.WirePod) -> Pod:
    meta, spec, status = wire.metadata, wire.spec, wire.status
    labels = meta.labels or {}
    created_ns = nanoseconds(meta.creation_timestamp)
    reference = next((r for r in meta.owner_references or () if r.controller), None)
    owner = Owner(kind=reference.kind, name=reference.name, uid=reference.uid) if reference else None
    networked = _holds(status.conditions, "PodReadyToStartContainers")
    addresses = [ip.ip for ip in status.pod_ips or ()] or [status.pod_ip]
    return Pod(
        uid=meta.uid,
        name=meta.name,
        namespace=meta.namespace,
        labels=labels,
        node=spec.node_name,
        addresses=tuple(address for address in addresses if address),
        host_network=bool(spec.host_network),
        phase=status.phase,
        ready=_holds(status.conditions, "Ready") is not None,
        created_ns=created_ns,
        started_ns=nanoseconds(status.start_time),
        networked_ns=nanoseconds(networked.last_transition_time) if networked else 0,
        ended_ns=_ended_ns(status),
        deleted_ns=nanoseconds(meta.deletion_timestamp),
        owner=owner,
        workload=workload_of(meta.name, labels, owner, created_ns),
        ports=_ports([*(spec.init_containers or ()), *(spec.containers or ())]),
    )


def service(wire: w.WireService) -> Service:
    meta, spec = wire.metadata, wire.spec
    ingress = wire.status.load_balancer.ingress or []
    addresses = spec.cluster_ips or [spec.cluster_ip]
    return Service(
        uid=meta.uid,
        name=meta.name,
        namespace=meta.namespace,
        labels=meta.labels or {},
        type=spec.type,
        cluster_addresses=tuple(address for address in addresses if address and address != "None"),
        external_addresses=tuple(spec.external_ips or ()),
        balancer_addresses=tuple(point.ip for point in ingress if point.ip),
        balancer_names=tuple(point.hostname for point in ingress if point.hostname),
        external_name=spec.external_name,
        selector=spec.selector or {},
        ports=tuple(
            ServicePort(
                name=port.name,
                number=port.port,
                protocol=port.protocol,
                node_port=port.node_port,
                target=str(port.target_port or ""),
            )
            for port in spec.ports or ()
        ),
        created_ns=nanoseconds(meta.creation_timestamp),
        deleted_ns=nanoseconds(meta.deletion_timestamp),
    )


def _backend(wire: w.Endpoint) -> Backend:
    conditions, reference = wire.conditions, wire.target_ref or w.Reference()
    ready = conditions.ready is not False
    return Backend(
        addresses=tuple(wire.addresses or ()),
        uid=reference.uid if reference.kind == "Pod" else "",
        kind=reference.kind,
        name=reference.name,
        node=wire.node_name or "",
        ready=ready,
        serving=ready if conditions.serving is None else conditions.serving,
        terminating=bool(conditions.terminating),
    )


def endpoint_slice(wire: w.WireEndpointSlice) -> EndpointSlice:
    meta = wire.metadata
    return EndpointSlice(
        uid=meta.uid,
        name=meta.name,
        namespace=meta.namespace,
        service=(meta.labels or {}).get(SERVICE_NAME, ""),
        family=wire.address_type,
        backends=tuple(_backend(endpoint) for endpoint in wire.endpoints or ()),
        ports=tuple(
            Port(name=port.name or "", number=port.port or 0, protocol=port.protocol or "TCP")
            for port in wire.ports or ()
        ),
    )


def node(wire: w.WireNode) -> Node:
    meta, spec, status = wire.metadata, wire.spec, wire.status
    addresses = status.addresses or []
    return Node(
        uid=meta.uid,
        name=meta.name,
        labels=meta.labels or {},
        internal_addresses=tuple(a.address for a in addresses if a.type == "InternalIP"),
        external_addresses=tuple(a.address for a in addresses if a.type == "ExternalIP"),
        pod_ranges=tuple(spec.pod_cidrs or ([spec.pod_cidr] if spec.pod_cidr else [])),
        ready=_holds(status.conditions, "Ready") is not None,
        created_ns=nanoseconds(meta.creation_timestamp),
        deleted_ns=nanoseconds(meta.deletion_timestamp),
    )


def namespace(wire: w.WireNamespace) -> Namespace:
    meta = wire.metadata
    return Namespace(
        uid=meta.uid,
        name=meta.name,
        labels=meta.labels or {},
        created_ns=nanoseconds(meta.creation_timestamp),
        deleted_ns=nanoseconds(meta.deletion_timestamp),
    )


RESOURCES: dict[Kind, Resource[Any]] = {
    "pods": Resource("pods", "", w.WirePod, pod, scoped=True),
    "services": Resource("services", "", w.WireService, service, scoped=True),
    "endpointslices": Resource("endpointslices", "discovery.k8s.io", w.WireEndpointSlice, endpoint_slice, scoped=True),
    "nodes": Resource("nodes", "", w.WireNode, node, scoped=False),
    "namespaces": Resource("namespaces", "", w.WireNamespace, namespace, scoped=False),
}
