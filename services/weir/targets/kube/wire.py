"""Pure: objects as the API server writes them (JSON), with the few fields that are needed; the rest is passed over.

What the API leaves out or sets to null is None or empty here. Field names and meanings: the API reference of
Kubernetes, core/v1 and discovery.k8s.io/v1. What is made of them stands in `values`.
"""

from __future__ import annotations

from datetime import datetime

import msgspec


class Wire(msgspec.Struct, rename="camel", gc=False):
    """Keys are in camel case; unknown ones are passed over."""


class OwnerReference(Wire):
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool | None = None


class Metadata(Wire):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None
    owner_references: list[OwnerReference] | None = None


class Condition(Wire):
    type: str = ""
    status: str = ""
    last_transition_time: datetime | None = None


class Named(Wire):
    """Any object, as far as a key needs it."""

    metadata: Metadata = msgspec.field(default_factory=Metadata)


class ContainerPort(Wire):
    container_port: int = 0
    name: str = ""
    protocol: str = "TCP"


class Container(Wire):
    ports: list[ContainerPort] | None = None


class PodSpec(Wire):
    node_name: str = ""
    host_network: bool | None = None
    containers: list[Container] | None = None
    init_containers: list[Container] | None = None


class PodIP(Wire):
    ip: str = ""


class Terminated(Wire):
    finished_at: datetime | None = None


class ContainerState(Wire):
    terminated: Terminated | None = None


class ContainerStatus(Wire):
    state: ContainerState | None = None


class PodStatus(Wire):
    phase: str = ""
    pod_ip: str = msgspec.field(name="podIP", default="")
    pod_ips: list[PodIP] | None = msgspec.field(name="podIPs", default=None)
    start_time: datetime | None = None
    conditions: list[Condition] | None = None
    container_statuses: list[ContainerStatus] | None = None


class WirePod(Named):
    spec: PodSpec = msgspec.field(default_factory=PodSpec)
    status: PodStatus = msgspec.field(default_factory=PodStatus)


class WireServicePort(Wire):
    port: int = 0
    name: str = ""
    protocol: str = "TCP"
    node_port: int = 0
    target_port: int | str | None = None


class ServiceSpec(Wire):
    type: str = "ClusterIP"
    cluster_ip: str = msgspec.field(name="clusterIP", default="")
    cluster_ips: list[str] | None = msgspec.field(name="clusterIPs", default=None)
    external_ips: list[str] | None = msgspec.field(name="externalIPs", default=None)
    external_name: str = ""
    selector: dict[str, str] | None = None
    ports: list[WireServicePort] | None = None


class Ingress(Wire):
    ip: str = ""
    hostname: str = ""


class LoadBalancer(Wire):
    ingress: list[Ingress] | None = None


class ServiceStatus(Wire):
    load_balancer: LoadBalancer = msgspec.field(default_factory=LoadBalancer)


class WireService(Named):
    spec: ServiceSpec = msgspec.field(default_factory=ServiceSpec)
    status: ServiceStatus = msgspec.field(default_factory=ServiceStatus)


class Reference(Wire):
    kind: str = ""
    name: str = ""
    uid: str = ""


class EndpointConditions(Wire):
    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class Endpoint(Wire):
    addresses: list[str] | None = None
    conditions: EndpointConditions = msgspec.field(default_factory=EndpointConditions)
    target_ref: Reference | None = None
    node_name: str | None = None


class SlicePort(Wire):
    name: str | None = None
    port: int | None = None
    protocol: str | None = None


class WireEndpointSlice(Named):
    address_type: str = "IPv4"
    endpoints: list[Endpoint] | None = None
    ports: list[SlicePort] | None = None


class NodeAddress(Wire):
    type: str = ""
    address: str = ""


class NodeSpec(Wire):
    pod_cidr: str = msgspec.field(name="podCIDR", default="")
    pod_cidrs: list[str] | None = msgspec.field(name="podCIDRs", default=None)


class NodeStatus(Wire):
    addresses: list[NodeAddress] | None = None
    conditions: list[Condition] | None = None


class WireNode(Named):
    spec: NodeSpec = msgspec.field(default_factory=NodeSpec)
    status: NodeStatus = msgspec.field(default_factory=NodeStatus)


class WireNamespace(Named):
    pass


class ListMetadata(Wire):
    resource_version: str = ""
    continue_: str = msgspec.field(name="continue", default="")


class Page(Wire):
    """One page of a list; its items are decoded one by one, so that an odd one costs itself alone."""

    metadata: ListMetadata = msgspec.field(default_factory=ListMetadata)
    items: list[msgspec.Raw] | None = None


class Event(Wire):
    """One line of a watch: ADDED, MODIFIED, DELETED, BOOKMARK or ERROR."""

    type: str
    object: msgspec.Raw


class StatusDetails(Wire):
    retry_after_seconds: int = 0


class Status(Wire):
    """What the API server says of a request that failed (meta/v1 Status)."""

    code: int = 0
    reason: str = ""
    message: str = ""
    details: StatusDetails | None = None


read_page = msgspec.json.Decoder(Page).decode
read_event = msgspec.json.Decoder(Event).decode
read_named = msgspec.json.Decoder(Named).decode
_read_status = msgspec.json.Decoder(Status).decode


def read_status(body: bytes | msgspec.Raw) -> Status:
    """A Status of whatever was answered; proxies in front of an API server answer in HTML."""
    try:
        return _read_status(body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return Status(message=bytes(body[:200]).decode("utf-8", "replace").strip() if isinstance(body, bytes) else "")
