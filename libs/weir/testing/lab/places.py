"""The topologies in which a conversation must be told once, with what is known of their addresses.

Each is a context manager that gives a `Place`: where to capture, who talks to whom, and how the ends have to be told.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import msgspec

from weir.model.control import Control, EndpointRecord
from weir.model.entry import Named
from weir.testing.lab.redirect import redirected
from weir.testing.lab.spaces import Lab, ip, mac_of, nat, remove_link
from weir.testing.netns import Namespace

PORT, DNS = 8080, 53
LOCAL_PORT = 8087
SOURCE_PORT = 20_000
"""First port of clients whose ports are told to them."""


class Talk(msgspec.Struct, kw_only=True):
    """One client that asks one server."""

    client: Namespace
    host: str
    """As it is dialled."""
    port: int = PORT
    src: str
    dst: str
    """Addresses of the view that is told: behind the service, with the client's address as the server sees it."""
    node: str = ""
    """The node that tells it, where only one does."""
    source_port: int = 0
    connections: int = 8


class Place(msgspec.Struct, kw_only=True):
    name: str
    nodes: dict[str, Namespace]
    """Where to capture, by the name of the node."""
    servers: list[Namespace]
    """With `address`."""
    talks: list[Talk]
    records: list[EndpointRecord]
    port: int = PORT
    """That servers listen at, at all addresses."""
    dns: list[Talk] = []
    disturb: Callable[[], None] | None = None
    """To be called when half of the requests were made."""


Topology = Callable[[], AbstractContextManager[Place]]


def control(generation: int = 1) -> Control:
    """Rules for pods are in force; the one about loopback names no pod."""
    ranges = [f"10.{101 + n}.0.0/16" for n in range(len(TOPOLOGIES))]
    return Control(generation=generation, pods=True, pod_ranges=ranges, targets=[f"127.0.0.1:{LOCAL_PORT}"])


def pod(name: str, address: str, node: str = "n1", *, targeted: bool = False, **more: object) -> EndpointRecord:
    record = EndpointRecord(
        address=address, uid=f"pod/{name}/{address}", name=name, namespace="lab", pod=Named(name, "lab"), node=node,
        role="pod", captured=True, targeted=targeted,
    )
    return msgspec.structs.replace(record, **more)


def host(node: str, *addresses: str) -> list[EndpointRecord]:
    return [
        EndpointRecord(address=address, uid=f"node/{node}", name=node, node=node, role="host", captured=True)
        for address in addresses
    ]


def service(name: str, address: str) -> EndpointRecord:
    """With pods behind it."""
    return EndpointRecord(
        address=address, uid=f"service/{name}/{address}", name=name, namespace="lab", service=Named(name, "lab"),
        role="service", front=True,
    )


@contextlib.contextmanager
def bridge() -> Iterator[Place]:
    """Two pods on the bridge of their node."""
    with Lab() as lab:
        node, a, b = _bridged(lab, "10.101.0")
        yield Place(
            name="bridge", nodes={"n1": node}, servers=[b], talks=[Talk(client=a, host=b.address, src=a.address,
                                                                        dst=b.address, node="n1")],
            records=[pod("a", a.address), pod("b", b.address, targeted=True), *host("n1", "10.101.0.1")],
        )


@contextlib.contextmanager
def dnat() -> Iterator[Place]:
    """A service address that becomes a pod's on the way; answers go the same way back."""
    with Lab() as lab:
        yield _behind_service(lab, "dnat", "10.102.0", masquerade=False)


@contextlib.contextmanager
def snat() -> Iterator[Place]:
    """The same, and the server sees the node in place of the client."""
    with Lab() as lab:
        yield _behind_service(lab, "snat", "10.103.0", masquerade=True)


@contextlib.contextmanager
def nodes() -> Iterator[Place]:
    """Pods on two nodes, directly and through a service; both nodes capture, and share the conversations out."""
    with Lab() as lab:
        first, second = lab.space("n1"), lab.space("n2")
        lab.veth(first, "wire", second, "wire")
        made: dict[str, Namespace] = {}
        for number, node in enumerate((first, second), start=1):
            net = f"10.104.{number}"
            lab.bridge(node, "br0", f"{net}.1/24")
            ip(node, f"addr add 10.204.0.{number}/24 dev wire",
               f"route add 10.104.{3 - number}.0/24 via 10.204.0.{3 - number}")
            for name, last in (("a", 2), ("b", 3), ("c", 4)):
                made[f"{name}{number}"] = lab.bridged_pod(node, f"{name}{number}", f"{net}.{last}", gateway=f"{net}.1")
        nat(first, {"10.96.4.10:80": f"10.104.2.3:{PORT}", "10.96.4.10:53": "10.104.2.3:53"})
        servers = [made["b1"], made["b2"]]
        pairs = (("a1", "b2"), ("c1", "b2"), ("a2", "b1"), ("c2", "b1"))
        talks = [_direct(made[client], made[server]) for client, server in pairs]
        by_service = Talk(client=made["a1"], host="10.96.4.10", port=80, src="10.104.1.2", dst="10.104.2.3")
        yield Place(
            name="nodes", nodes={"n1": first, "n2": second}, servers=servers, talks=[*talks, by_service],
            dns=[msgspec.structs.replace(by_service, port=DNS)],
            records=[
                *(pod(name, space.address, f"n{name[1]}", targeted=name[0] == "b") for name, space in made.items()),
                service("s4", "10.96.4.10"), *host("n1", "10.104.1.1", "10.204.0.1"),
                *host("n2", "10.104.2.1", "10.204.0.2"),
            ],
        )


@contextlib.contextmanager
def hairpin() -> Iterator[Place]:
    """A pod that reaches itself through its service: in and out of one link."""
    with Lab() as lab:
        node, a, _ = _bridged(lab, "10.105.0", hairpin=True)
        nat(node, {"10.96.5.10:80": f"{a.address}:{PORT}"}, masquerade=True)
        yield Place(
            name="hairpin", nodes={"n1": node}, servers=[a],
            talks=[Talk(client=a, host="10.96.5.10", port=80, src="10.105.0.1", dst=a.address, node="n1")],
            records=[pod("a", a.address, targeted=True), service("s5", "10.96.5.10"), *host("n1", "10.105.0.1")],
        )


@contextlib.contextmanager
def redirect() -> Iterator[Place]:
    """Answers take another interface than requests: they go into the pod past the node's end of its link, those of a
    pod of the same node and those that come over the wire."""
    with Lab() as lab, contextlib.ExitStack() as attached:
        node = lab.space("n1")
        a, b = lab.routed_pod(node, "a", "10.106.1.2"), lab.routed_pod(node, "b", "10.106.1.3")
        outside = lab.space("outside", "10.206.0.2")
        lab.veth(node, "wire", outside, "eth0")
        ip(node, "addr add 10.206.0.1/24 dev wire")
        ip(outside, "addr add 10.206.0.2/24 dev eth0", "route add default via 10.206.0.1")
        ip(node, f"neigh add 10.206.0.2 lladdr {mac_of(outside, 'eth0')} dev wire nud permanent")
        ip(outside, f"neigh add 10.206.0.1 lladdr {mac_of(node, 'wire')} dev eth0 nud permanent")
        attached.enter_context(redirected(node, "vb", "va"))
        attached.enter_context(redirected(node, "wire", "va"))
        yield Place(
            name="redirect", nodes={"n1": node}, servers=[b, outside],
            talks=[
                Talk(client=a, host=space.address, src=a.address, dst=space.address, node="n1")
                for space in (b, outside)
            ],
            records=[pod("a", a.address, targeted=True), pod("b", b.address), *host("n1", "10.206.0.1")],
        )


@contextlib.contextmanager
def loopback() -> Iterator[Place]:
    """Two pods talk to themselves, each from and to the same ports of 127.0.0.1; captured in the pods."""
    with Lab() as lab:
        pods = [lab.space(name, "127.0.0.1", "lo") for name in ("a", "b")]
        yield Place(
            name="loopback", nodes={"n1/a": pods[0], "n1/b": pods[1]}, servers=pods, port=LOCAL_PORT,
            talks=[
                Talk(client=space, host="127.0.0.1", port=LOCAL_PORT, src="127.0.0.1", dst="127.0.0.1", node=node,
                     source_port=SOURCE_PORT)
                for node, space in zip(("n1/a", "n1/b"), pods, strict=True)
            ],
            records=[],
        )


@contextlib.contextmanager
def failing() -> Iterator[Place]:
    """The client has two links, both of one hardware address; the one in use is removed while requests run."""
    with Lab() as lab:
        node, a, b = _bridged(lab, "10.108.0")
        mac = mac_of(a, "eth0")
        lab.veth(node, "vspare", a, "eth1", mac)
        ip(node, "link set vspare master br0")
        # The address is no link's, so that it outlives one.
        ip(a, f"addr del {a.address}/24 dev eth0", f"addr add {a.address}/32 dev lo")
        for link, metric in (("eth0", 10), ("eth1", 20)):
            ip(a, f"route add 10.108.0.0/24 dev {link} src {a.address} metric {metric}",
               f"neigh add {b.address} lladdr {mac_of(b, 'eth0')} dev {link} nud permanent")
        ip(b, f"neigh add {a.address} lladdr {mac} dev eth0 nud permanent")
        yield Place(
            name="failing", nodes={"n1": node}, servers=[b],
            talks=[Talk(client=a, host=b.address, src=a.address, dst=b.address, node="n1")],
            records=[pod("a", a.address), pod("b", b.address, targeted=True), *host("n1", "10.108.0.1")],
            disturb=lambda: remove_link(node, "va"),
        )


TOPOLOGIES: dict[str, Topology] = {
    "bridge": bridge, "dnat": dnat, "snat": snat, "nodes": nodes, "hairpin": hairpin, "redirect": redirect,
    "loopback": loopback, "failing": failing,
}


def _bridged(lab: Lab, net: str, *, hairpin: bool = False) -> tuple[Namespace, Namespace, Namespace]:
    """A node with two pods on its bridge."""
    node = lab.space("n1")
    lab.bridge(node, "br0", f"{net}.1/24")
    a, b = (
        lab.bridged_pod(node, name, f"{net}.{last}", gateway=f"{net}.1", hairpin=hairpin)
        for name, last in (("a", 2), ("b", 3))
    )
    return node, a, b


def _behind_service(lab: Lab, name: str, net: str, *, masquerade: bool) -> Place:
    node, a, b = _bridged(lab, net)
    front = f"10.96.{int(net.split('.')[1]) - 100}.10"
    nat(node, {f"{front}:80": f"{b.address}:{PORT}", f"{front}:53": f"{b.address}:53"}, masquerade=masquerade)
    seen = f"{net}.1" if masquerade else a.address
    talk = Talk(client=a, host=front, port=80, src=seen, dst=b.address, node="n1")
    return Place(
        name=name, nodes={"n1": node}, servers=[b], talks=[talk], dns=[msgspec.structs.replace(talk, port=DNS)],
        records=[
            pod("a", a.address), pod("b", b.address, targeted=True), service("web", front), *host("n1", f"{net}.1"),
        ],
    )


def _direct(client: Namespace, server: Namespace) -> Talk:
    return Talk(client=client, host=server.address, src=client.address, dst=server.address)
