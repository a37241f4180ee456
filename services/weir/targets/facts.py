"""Pure: the objects of the cluster with the ways from one to another, and what a change touches.

What depends on a changed object is marked (`dirty_*`, `nodes_moved`); whoever has computed it anew clears the mark.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from weir.targets.kube.objects import EndpointSlice, Kind, Namespace, Node, Object, Pod, Service
from weir.targets.records import held_addresses, node_addresses

ServiceKey = tuple[str, str]
"""Namespace and name."""

APP, PART, INSTANCE = "app.kubernetes.io/name", "app.kubernetes.io/component", "app.kubernetes.io/instance"
STAGES = frozenset({"filter", "decode", "store", "targets", "hub"})
"""weir's own stages with addresses of their own. Kafka and the archive are none: what others say to them is seen."""


class Facts:
    def __init__(self, instance: str, grace_ns: int = 0) -> None:
        """`grace_ns`: for how long a node counts as captured without a ready capture pod, so that a restart does not
        move conversations to other nodes and back."""
        self.pods: dict[str, Pod] = {}
        """By uid."""
        self.nodes: dict[str, Node] = {}
        self.services: dict[ServiceKey, Service] = {}
        self.namespaces: dict[str, Namespace] = {}
        self.claims: dict[str, set[str]] = {}
        """By address, the uids of all pods that say they have it."""
        self.captured: set[str] = set()
        """Nodes on which a capture pod is ready, or was a moment ago."""
        self.on_host: set[str] = set()
        """Uids of pods that use their node's network, but weir's own."""
        self.own: set[str] = set()
        """Uids of the pods of weir's own stages."""
        self.dirty_pods: set[str] = set()
        self.dirty_addresses: set[str] = set()
        self.dirty_nodes: set[str] = set()
        self.dirty_services: set[ServiceKey] = set()
        self.nodes_moved = False
        """Node addresses, or which nodes are captured, are not what they were."""
        self.node_version = 0
        self._instance = instance
        self._slices: dict[str, EndpointSlice] = {}
        self._by_service: dict[ServiceKey, dict[str, EndpointSlice]] = {}
        self._memberships: dict[str, dict[str, str]] = {}
        """By uid of a pod and of a slice, the service as `namespace/name`."""
        self._on_node: dict[str, set[str]] = {}
        self._captures: dict[str, set[str]] = {}
        """By node, the uids of its ready capture pods."""
        self._grace_ns = grace_ns
        self._leaving: dict[str, int] = {}
        """Captured nodes without a ready capture pod, and when they cease to be captured."""

    def put(self, value: Object, now_ns: int = 0) -> None:
        if isinstance(value, Pod):
            self._pod(self.pods.get(value.uid), value, now_ns)
        elif isinstance(value, Service):
            self.services[value.namespace, value.name] = value
            self.dirty_services.add((value.namespace, value.name))
        elif isinstance(value, EndpointSlice):
            self._slice(self._slices.get(value.uid), value)
        elif isinstance(value, Node):
            self._node(self.nodes.get(value.name), value)
        else:
            self.namespaces[value.name] = value

    def remove(self, value: Object, now_ns: int = 0) -> None:
        """What was made anew under the same name stays."""
        if isinstance(value, Pod):
            if value.uid in self.pods:
                self._pod(self.pods[value.uid], None, now_ns)
        elif isinstance(value, EndpointSlice):
            if value.uid in self._slices:
                self._slice(self._slices[value.uid], None)
        elif isinstance(value, Service):
            key = (value.namespace, value.name)
            if key in self.services and self.services[key].uid == value.uid:
                del self.services[key]
                self.dirty_services.add(key)
        elif isinstance(value, Node):
            if value.name in self.nodes and self.nodes[value.name].uid == value.uid:
                self._node(self.nodes[value.name], None)
        elif value.name in self.namespaces and self.namespaces[value.name].uid == value.uid:
            del self.namespaces[value.name]

    def owners(self, kind: Kind) -> set[str]:
        """Uids as records have them."""
        if kind == "pods":
            return set(self.pods)
        if kind == "nodes":
            return {f"node/{name}" for name in self.nodes}
        return {f"service/{service.uid}" for service in self.services.values()}

    def everything_is_dirty(self) -> None:
        self.dirty_pods.update(self.pods)
        self.dirty_addresses.update(self.claims)
        self.dirty_nodes.update(self.nodes)
        self.dirty_services.update(self.services)
        self.nodes_moved = True

    def services_of(self, uid: str) -> list[str]:
        return sorted(set(self._memberships.get(uid, {}).values()))

    def touch_services_of(self, uid: str) -> None:
        for name in self._memberships.get(uid, {}).values():
            namespace, _, short = name.partition("/")
            self.dirty_services.add((namespace, short))

    def slices_of(self, key: ServiceKey) -> list[EndpointSlice]:
        return [each for _, each in sorted(self._by_service.get(key, {}).items())]

    def ready_backends(self, slices: Iterable[EndpointSlice]) -> list[str]:
        """Uids of ready backends; empty for what is no pod."""
        return list(dict.fromkeys(b.uid for each in slices for b in each.backends if b.ready))

    def resume(self, nodes: Iterable[str], now_ns: int) -> None:
        """These were captured when whoever published before ended: they have the same grace."""
        for node in nodes:
            if node not in self.captured and self._grace_ns:
                self._leaving[node] = now_ns + self._grace_ns
                self._flip(node)

    def settle(self, now_ns: int) -> None:
        """Nodes whose grace is over are captured no more."""
        for node in [node for node, until_ns in self._leaving.items() if until_ns <= now_ns]:
            del self._leaving[node]
            self._flip(node)

    def _pod(self, old: Pod | None, new: Pod | None, now_ns: int) -> None:
        pod = new or old
        assert pod is not None
        uid = pod.uid
        before, after = set(held_addresses(old) if old else ()), set(held_addresses(new) if new else ())
        for address in before - after:
            self.claims[address].discard(uid)
            if not self.claims[address]:
                del self.claims[address]
        for address in after - before:
            self.claims.setdefault(address, set()).add(uid)
        self.dirty_addresses |= before | after
        if old is not None and (new is None or old.node != new.node):
            self._on_node.get(old.node, set()).discard(uid)
        if new is not None:
            self.pods[uid] = new
            self._on_node.setdefault(new.node, set()).add(uid)
        else:
            del self.pods[uid]
        self.dirty_pods.add(uid)
        if old is None or new is None or (old.node, old.host_network) != (new.node, new.host_network):
            self.touch_services_of(uid)
        if new is not None and new.host_network and not new.ended and not self._part(new.labels):
            self.on_host.add(uid)
        else:
            self.on_host.discard(uid)
        self._own(old, new, now_ns)

    def _own(self, old: Pod | None, new: Pod | None, now_ns: int) -> None:
        """Keep account of weir's own pods."""
        part = self._part(new.labels) if new else ""
        uid = (new or old).uid  # type: ignore[union-attr]
        if part in STAGES:
            self.own.add(uid)
        else:
            self.own.discard(uid)
        if old is not None and self._part(old.labels) == "capture":
            self._capture(old.node, uid, False, now_ns)
        if new is not None and part == "capture" and new.ready and not new.ended:
            self._capture(new.node, uid, True, now_ns)

    def _capture(self, node: str, uid: str, ready: bool, now_ns: int) -> None:
        pods = self._captures.setdefault(node, set())
        if ready:
            pods.add(uid)
        else:
            pods.discard(uid)
        if pods:
            self._leaving.pop(node, None)
        elif self._grace_ns and node in self.captured:
            self._leaving.setdefault(node, now_ns + self._grace_ns)
            return
        if bool(pods) != (node in self.captured):
            self._flip(node)

    def _flip(self, node: str) -> None:
        self.captured ^= {node}
        self.dirty_nodes.add(node)
        self.dirty_pods |= self._on_node.get(node, set())
        self._move()

    def is_own(self, labels: Mapping[str, str]) -> bool:
        """A pod with these labels is one of weir's own stages."""
        return self._part(labels) in STAGES

    def _part(self, labels: Mapping[str, str]) -> str:
        """Which part of this installation a pod is."""
        if labels.get(APP) != "weir" or labels.get(INSTANCE) != self._instance:
            return ""
        return labels.get(PART, "")

    def _node(self, old: Node | None, new: Node | None) -> None:
        node = new or old
        assert node is not None
        if new is not None:
            self.nodes[new.name] = new
        else:
            del self.nodes[node.name]
        self.dirty_nodes.add(node.name)
        if (node_addresses(old) if old else ()) != (node_addresses(new) if new else ()):
            self._move()

    def _move(self) -> None:
        self.nodes_moved = True
        self.node_version += 1

    def _slice(self, old: EndpointSlice | None, new: EndpointSlice | None) -> None:
        for each in filter(None, (old, new)):
            self.dirty_services.add((each.namespace, each.service))
        before, after = _members(old), _members(new)
        if old is not None:
            slices = self._by_service[old.namespace, old.service]
            del slices[old.uid]
            if not slices:
                del self._by_service[old.namespace, old.service]
            del self._slices[old.uid]
            for uid in before:
                self._memberships[uid].pop(old.uid)
                if not self._memberships[uid]:
                    del self._memberships[uid]
        if new is not None:
            self._slices[new.uid] = new
            self._by_service.setdefault((new.namespace, new.service), {})[new.uid] = new
            for uid in after:
                self._memberships.setdefault(uid, {})[new.uid] = f"{new.namespace}/{new.service}"
        same = old is not None and new is not None and old.service == new.service
        self.dirty_pods |= (before ^ after if same else before | after) & self.pods.keys()


def _members(each: EndpointSlice | None) -> set[str]:
    if each is None or not each.service:
        return set()
    return {backend.uid for backend in each.backends if backend.uid}
