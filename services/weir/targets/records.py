"""Pure: the endpoint records of one pod, node or service, with all that they need to know handed in."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from functools import lru_cache

import msgspec

from weir.model.control import EndpointRecord
from weir.model.entry import Named
from weir.rules import Matcher
from weir.targets.kube.objects import EndpointSlice, Node, Pod, Service

_replace = msgspec.structs.replace


@lru_cache(maxsize=65536)
def canonical(address: str) -> str:
    """The address as the rest of weir writes it; empty if it is none."""
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        return ""


def held_addresses(pod: Pod) -> tuple[str, ...]:
    """Addresses that are this pod's alone: none of a hostNetwork pod, nor of one that ended."""
    if pod.host_network or pod.ended:
        return ()
    return tuple(dict.fromkeys(found for found in map(canonical, pod.addresses) if found))


def pod_records(
    pod: Pod, addresses: Iterable[str], services: list[str], captured: bool, matcher: Matcher, own: bool
) -> list[EndpointRecord]:
    """One record for each address, and one more for each port that rules name. weir's own pods are never targeted."""
    base = pod_record(pod, services, captured)
    shapes = targeted(base, matcher) if not own else [base]
    return [_replace(shape, address=address) for address in addresses for shape in shapes]


def pod_record(pod: Pod, services: list[str], captured: bool = False) -> EndpointRecord:
    """All but the address. Of hostNetwork pods only rules see it: their address is the node's."""
    return EndpointRecord(
        address="", uid=pod.uid, since_ns=pod.started_ns or pod.created_ns, name=pod.name, namespace=pod.namespace,
        pod=Named(pod.name, pod.namespace), service=first_service(services), workload=pod.workload, services=services,
        node=pod.node, labels=pod.labels, role="pod", captured=captured,
    )


def targeted(base: EndpointRecord, matcher: Matcher) -> list[EndpointRecord]:
    """What the rules make of a pod's record, and records of the ports that they name."""
    shapes = []
    for port in (0, *matcher.ports(base)):
        shape = _replace(base, port=port)
        names = matcher.match(shape)
        shapes.append(_replace(shape, targeted=bool(names), rules=list(names)))
    return shapes


def first_service(services: list[str]) -> Named | None:
    if not services:
        return None
    namespace, _, name = services[0].partition("/")
    return Named(name, namespace)


def gateways(node: Node) -> tuple[str, ...]:
    """Addresses by which bridging network plugins know the node in its own pod range: the first (its bridge, where
    probes come from) and that of the range itself (flannel's tunnel)."""
    found = []
    for text in node.pod_ranges:
        try:
            network = ipaddress.ip_network(text, strict=False)
        except ValueError:
            continue
        if network.prefixlen <= network.max_prefixlen - 2:
            found += [str(network.network_address), str(network.network_address + 1)]
    return tuple(found)


def node_addresses(node: Node) -> tuple[str, ...]:
    every = (*node.internal_addresses, *node.external_addresses)
    return tuple(dict.fromkeys(found for found in map(canonical, every) if found))


def node_records(node: Node, addresses: Iterable[str], captured: bool) -> list[EndpointRecord]:
    return [
        EndpointRecord(
            address=address, uid=f"node/{node.name}", since_ns=node.created_ns, name=node.name, node=node.name,
            role="host", captured=captured,
        )
        for address in addresses
    ]


class Behind(msgspec.Struct, frozen=True):
    """What stands behind a service now."""

    front: bool = False
    """Some backends are ready, and all of them are pods on captured nodes."""
    rules: tuple[str, ...] = ()
    """Rules that target some of the backends."""
    outside: tuple[tuple[str, int], ...] = ()
    """Addresses with ports (0 for any) of what is no pod."""


def service_records(
    service: Service, behind: Behind, nodes: Mapping[str, str], own_nodes: Mapping[str, bool]
) -> list[EndpointRecord]:
    """Cluster addresses with all their ports; load balancers and external addresses, which several services and a
    node's own programs can share, with the service's ports; node ports at every node address (`nodes`: address to
    name); what stands behind it and is no pod. `own_nodes` tells by name whether a node is captured."""
    base = EndpointRecord(
        address="", uid=f"service/{service.uid}", since_ns=service.created_ns, name=service.name,
        namespace=service.namespace, service=Named(service.name, service.namespace), role="service",
        front=behind.front, targeted=bool(behind.rules) and not behind.front,
        rules=[] if behind.front else list(behind.rules),
    )
    records: dict[tuple[str, int], EndpointRecord] = {}

    def add(address: str, port: int, **fields: object) -> None:
        address = canonical(address)
        if address:
            records.setdefault((address, port), _replace(base, address=address, port=port, **fields))

    for address in service.cluster_addresses:
        add(address, 0)
    for address in (*service.balancer_addresses, *service.external_addresses):
        for port in service.ports:
            add(address, port.number)
    for node_port in node_ports(service):
        for address in nodes:
            add(address, node_port)
    for address, number in behind.outside:
        node = nodes.get(address, "")
        role = "host" if node else "outside"
        captured = own_nodes.get(node, False)
        add(address, number, role=role, front=False, targeted=False, rules=[], node=node, captured=captured)
    return list(records.values())


def node_ports(service: Service) -> list[int]:
    return sorted({port.node_port for port in service.ports if port.node_port})


def outside_of(slices: Iterable[EndpointSlice]) -> Iterable[tuple[str, int]]:
    """Addresses and ports of backends that are no pods."""
    for each in slices:
        if each.family == "FQDN":
            continue
        ports = [port.number for port in each.ports] or [0]
        for backend in each.backends:
            if backend.kind != "Pod":
                for address in filter(None, map(canonical, backend.addresses)):
                    yield from ((address, port) for port in ports)
