"""What targets knows of a cluster: flat values with the few fields that names and rules need, and how they change.

Pure, and all that the thinking parts of targets see of Kubernetes. How the API server writes these objects is known to
`wire`, how they come here to `reflector` and `watch`. Times are ns since epoch, 0 where the API says nothing (it gives
whole seconds). Values are equal exactly if nothing differs that anybody here looks at, so most updates of an object
(conditions, probes, heartbeats) are no change.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

Kind = Literal["pods", "services", "endpointslices", "nodes", "namespaces"]

KINDS: tuple[Kind, ...] = ("pods", "services", "endpointslices", "nodes", "namespaces")


class Port(msgspec.Struct, frozen=True, kw_only=True):
    """A port that a container declares or an endpoint slice lists."""

    name: str = ""
    number: int = 0
    """0: every port (of a slice)."""
    protocol: str = "TCP"
    """TCP, UDP or SCTP."""


class Owner(msgspec.Struct, frozen=True, kw_only=True):
    """The controller among an object's owner references."""

    kind: str
    name: str
    uid: str


class Pod(msgspec.Struct, frozen=True, kw_only=True):
    uid: str
    name: str
    namespace: str
    labels: dict[str, str] = {}
    node: str = ""
    """Empty until it is scheduled."""
    addresses: tuple[str, ...] = ()
    """`status.podIPs`: none at first, one for each family later. A hostNetwork pod has its node's."""
    host_network: bool = False
    phase: str = ""
    """Pending, Running, Succeeded, Failed or Unknown. Succeeded and Failed pods no longer hold their addresses, though
    the API still lists them."""
    ready: bool = False
    created_ns: int = 0
    started_ns: int = 0
    """The kubelet accepted it; its address comes later."""
    networked_ns: int = 0
    """Its network was made (condition PodReadyToStartContainers, Kubernetes 1.29 and later)."""
    ended_ns: int = 0
    """The last of its containers ended; only set once the phase is Succeeded or Failed."""
    deleted_ns: int = 0
    """It shall be gone at this time (`deletionTimestamp`: the request plus the grace period); it sends until then."""
    owner: Owner | None = None
    workload: str = ""
    """`deployment/checkout`, `statefulset/db`, `daemonset/agent`, `cronjob/report`, `pod/shell`: who it works for."""
    ports: tuple[Port, ...] = ()
    """Ports that its containers declare."""

    @property
    def ended(self) -> bool:
        return self.phase in ("Succeeded", "Failed")


class ServicePort(msgspec.Struct, frozen=True, kw_only=True):
    name: str = ""
    number: int
    protocol: str = "TCP"
    node_port: int = 0
    target: str = ""
    """Number or name of the containers' port."""


class Service(msgspec.Struct, frozen=True, kw_only=True):
    uid: str
    name: str
    namespace: str
    labels: dict[str, str] = {}
    type: str = "ClusterIP"
    """ClusterIP, NodePort, LoadBalancer or ExternalName."""
    cluster_addresses: tuple[str, ...] = ()
    """`spec.clusterIPs`; none for a headless service."""
    external_addresses: tuple[str, ...] = ()
    """`spec.externalIPs`."""
    balancer_addresses: tuple[str, ...] = ()
    """Addresses of the load balancer."""
    balancer_names: tuple[str, ...] = ()
    """Host names of the load balancer, where it has no address."""
    external_name: str = ""
    """DNS name that an ExternalName service stands for."""
    selector: dict[str, str] = {}
    ports: tuple[ServicePort, ...] = ()
    created_ns: int = 0
    deleted_ns: int = 0


class Backend(msgspec.Struct, frozen=True, kw_only=True):
    """One endpoint of a slice."""

    addresses: tuple[str, ...]
    uid: str = ""
    """Of the pod behind it; empty for what is no pod."""
    kind: str = ""
    """Of `targetRef`: Pod, Node, or empty for an external endpoint."""
    name: str = ""
    node: str = ""
    ready: bool = True
    """Unknown counts as ready, as the API says."""
    serving: bool = True
    terminating: bool = False


class EndpointSlice(msgspec.Struct, frozen=True, kw_only=True):
    uid: str
    name: str
    namespace: str
    service: str = ""
    """Name of its service (label `kubernetes.io/service-name`), of the same namespace."""
    family: str = "IPv4"
    """IPv4, IPv6 or FQDN; addresses of FQDN slices are names."""
    backends: tuple[Backend, ...] = ()
    ports: tuple[Port, ...] = ()


class Node(msgspec.Struct, frozen=True, kw_only=True):
    uid: str
    name: str
    labels: dict[str, str] = {}
    internal_addresses: tuple[str, ...] = ()
    external_addresses: tuple[str, ...] = ()
    pod_ranges: tuple[str, ...] = ()
    """`spec.podCIDRs`; none where the network plugin keeps its ranges to itself."""
    ready: bool = False
    created_ns: int = 0
    deleted_ns: int = 0


class Namespace(msgspec.Struct, frozen=True, kw_only=True):
    uid: str
    name: str
    labels: dict[str, str] = {}
    created_ns: int = 0
    deleted_ns: int = 0


Object: TypeAlias = Pod | Service | EndpointSlice | Node | Namespace


class Replace(msgspec.Struct, frozen=True, kw_only=True):
    """All that there is of one kind: first of all, and after every gap that the watch could not bridge.

    Where only some namespaces are watched, all of one kind in one of them: so forget what stands in `gone`, not what is
    missing in `objects`.
    """

    kind: Kind
    namespace: str = ""
    """Empty: of the whole cluster."""
    objects: tuple[Object, ...]
    gone: tuple[Object, ...] = ()
    """What was told before and is no longer, as it was told last; also what was made anew with another uid."""


class Put(msgspec.Struct, frozen=True, kw_only=True):
    """An object is new, or differs from what was told last."""

    object: Object
    before: Object | None = None
    """What was told last of the same uid."""


class Delete(msgspec.Struct, frozen=True, kw_only=True):
    """An object is gone. Its last state, which may be newer than what was told last."""

    object: Object


class Watching(msgspec.Struct, frozen=True, kw_only=True):
    """How the watch of one kind fares has changed; for people, and for those who wait until all is known.

    After `watching` everything up to now has been told. What is `away` or `forbidden` holds what was told last; a kind
    that is `unwatched` (no right to it is asked for in an installation for some namespaces) never tells anything.
    """

    kind: Kind
    namespace: str = ""
    """Empty: of the whole cluster."""
    state: Literal["listing", "watching", "away", "forbidden", "unwatched"]
    reason: str = ""
    """For people, with what is missing."""


Change: TypeAlias = Replace | Put | Delete | Watching
"""Changes of one kind come in order. Kinds are not ordered against one another: a slice may name a pod that is told
later.

`ClusterWatch.changes()` yields them:

    async with ClusterWatch(client, namespaces=()) as watch:
        async for change in watch.changes():
            ...
"""


def kind_of(value: Object) -> Kind:
    return _KIND_OF[type(value)]


_KIND_OF: dict[type, Kind] = {
    Pod: "pods",
    Service: "services",
    EndpointSlice: "endpointslices",
    Node: "nodes",
    Namespace: "namespaces",
}
