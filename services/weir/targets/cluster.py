"""Pure: what is known of the cluster, and what has to be published after it changed.

Fed with the changes of a watch (`apply`) and with rules (`rule`); `take` answers the records that differ from what
stands on the topic. A change marks what depends on it and nothing else is computed again: a pod costs its own records,
a capture pod those of its node, a slice those of its service.

Who holds an address that several pods claim (the API lists a pod until it is gone for good, and its address may be
another's by then) is the pod that started last. Where it ends for one and begins for the other: see `_boundary`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set

import msgspec

from weir.model.control import EndpointRecord
from weir.rules import Matcher
from weir.targets.facts import Facts, ServiceKey
from weir.targets.kube.objects import Change, Kind, Object, Pod, Replace, Service, Watching
from weir.targets.ledger import Ledger
from weir.targets.records import (
    Behind,
    gateways,
    held_addresses,
    node_addresses,
    node_ports,
    node_records,
    outside_of,
    pod_record,
    pod_records,
    service_records,
    targeted,
)

SECOND = 1_000_000_000
MAX_NODE_PORT_RECORDS = 65_536
"""Node ports at all node addresses; a service whose records would be more has none of them, and that is told."""
ROLE_KINDS: dict[str, Kind] = {"pod": "pods", "service": "services", "outside": "services", "host": "nodes"}


class Update(msgspec.Struct, frozen=True):
    records: list[EndpointRecord]
    """To be published in this order."""
    tombstones: list[bytes]


class Cluster:
    def __init__(self, instance: str = "weir", namespaces: Iterable[str] = (), grace_ns: int = 0) -> None:
        """`namespaces`: those that are watched, empty for all; `grace_ns`: see `Facts`."""
        self.facts = Facts(instance, grace_ns)
        self.ledger = Ledger()
        self.matcher = Matcher(())
        self.states: dict[tuple[Kind, str], Watching] = {}
        self.crowded: set[ServiceKey] = set()
        """Services whose node ports are too many."""
        self._namespaces = frozenset(namespaces)
        self._told: set[tuple[Kind, str]] = set()
        """What has been listed: kind and namespace, empty for the whole cluster."""
        self._holder: dict[str, str] = {}
        """By address, the uid of the pod that holds it."""
        self._ended: dict[tuple[str, str], int] = {}
        """By uid and address, when the pod was seen to lose it."""
        self._gateways: dict[str, str] = {}
        self._outside: dict[str, set[ServiceKey]] = {}
        self._node_at: dict[str, str] = {}
        self._made_of: dict[ServiceKey, tuple[object, ...]] = {}
        self._port_records: dict[ServiceKey, int] = {}
        self._orphans: set[str] = set()
        self._earlier: set[str] = set()
        """Pods of an earlier run of which nothing else was told."""
        self._captured_before: set[str] = set()
        """Nodes that an earlier run called captured, until the next `take`."""

    def adopt(self, records: Mapping[bytes, EndpointRecord]) -> None:
        """What stands on the topic, from an earlier run or another replica. Until a kind is listed, its records stay
        as they are, and rules go on to apply to them."""
        self.ledger.adopt(records)
        self._holder = {
            record.address: record.uid
            for record in self.ledger.records.values()
            if record.role == "pod" and not record.port and not record.until_ns
        }
        self._earlier = {record.uid for record in self.ledger.records.values() if record.role == "pod"}
        self._captured_before = {r.node for r in self.ledger.records.values() if r.captured and not r.until_ns}
        self._made_of = {}
        self.facts.everything_is_dirty()
        for kind, namespace in self._told:
            self._sweep(kind, namespace)
        self.rule(self.matcher)

    def rule(self, matcher: Matcher) -> None:
        """These rules hold from now on."""
        self.matcher = matcher
        self.facts.dirty_pods.update(self.facts.pods)
        if not self.knows_pods:
            self.facts.dirty_pods.update(self._earlier)

    def apply(self, change: Change, now_ns: int) -> None:
        """Take a change that was seen at `now_ns`."""
        if isinstance(change, Watching):
            self.states[change.kind, change.namespace] = change
        elif isinstance(change, Replace):
            for gone in change.gone:
                self._remove(gone, now_ns, seen=False)
            for each in change.objects:
                self._put(each, now_ns)
            self._told.add((change.kind, change.namespace))
            self._sweep(change.kind, change.namespace)
        elif hasattr(change, "before"):
            self._put(change.object, now_ns)
        else:
            self._remove(change.object, now_ns)

    @property
    def settled(self) -> bool:
        """Every kind has been listed, or is known not to be for now."""
        return bool(self.states) and all(
            key in self._told or state.state in ("forbidden", "unwatched") for key, state in self.states.items()
        )

    def take(self, now_ns: int) -> Update:
        """All that has to be published since the last call."""
        facts, ledger = self.facts, self.ledger
        facts.resume(self._captured_before, now_ns)
        facts.settle(now_ns)
        self._captured_before = set()
        untils = self._settle_addresses(now_ns)
        closed: list[EndpointRecord] = []
        for owner in self._orphans:
            closed += ledger.close(owner, (), now_ns, untils.get(owner))
        self._orphans = set()
        wanted = {uid: self._pod(uid) for uid in facts.dirty_pods}
        for uid, records in wanted.items():
            if _outcome(ledger.open_of(uid)) != _outcome(records):
                facts.touch_services_of(uid)
            for address, until in untils.get(uid, {}).items():
                closed += ledger.amend(uid, address, until)
            closed += ledger.close(uid, records, now_ns, untils.get(uid))
        opened: list[EndpointRecord] = []
        for records in wanted.values():
            opened += ledger.open(records)
        facts.dirty_pods.clear()
        for step in (self._nodes, self._services):
            ended, begun = step(now_ns)
            closed += ended
            opened += begun
        return Update(closed + opened, [])

    def abandon(self, now_ns: int) -> Update:
        """Nobody watches Kubernetes any longer: whatever an earlier run published has ended."""
        return Update([r for owner in self.ledger.owners() for r in self.ledger.close(owner, (), now_ns)], [])

    @property
    def knows_pods(self) -> bool:
        """All of them have been listed."""
        watched = self._namespaces or {""}
        return all(self._listed("pods", namespace) for namespace in watched)

    def expire(self, before_ns: int) -> Update:
        """Forget what ended before that."""
        return Update([], self.ledger.expire(before_ns))

    def pods(self) -> list[EndpointRecord]:
        """A record of each pod that has an address."""
        found = {r.uid: r for r in self.ledger.records.values() if r.role == "pod" and not r.port and not r.until_ns}
        return list(found.values())

    def host_pods(self) -> list[EndpointRecord]:
        """Likewise of pods that have none of their own: they share their node's."""
        facts = self.facts
        return [pod_record(facts.pods[uid], facts.services_of(uid)) for uid in sorted(facts.on_host)]

    def namespaces(self) -> Set[str] | None:
        """None where they are not known."""
        return self.facts.namespaces.keys() if self._listed("namespaces") else None

    def pod_ranges(self) -> list[str] | None:
        """Of all nodes, as the API has them; None where nodes are not known."""
        if not self._listed("nodes"):
            return None
        return [text for node in self.facts.nodes.values() for text in node.pod_ranges]

    def own_addresses(self) -> list[str]:
        """Of weir's own stages; before pods are listed, those of an earlier run."""
        if self.knows_pods:
            owners: Iterable[str] = self.facts.own
        else:
            owners = {r.uid for r in self.ledger.records.values() if self.facts.is_own(r.labels)}
        return sorted({record.address for uid in owners for record in self.ledger.open_of(uid)})

    def _put(self, value: Object, now_ns: int) -> None:
        if isinstance(value, Pod):
            before = self.facts.pods.get(value.uid)
            lost = set(held_addresses(before)) - set(held_addresses(value)) if before else set()
            at = min(now_ns, value.ended_ns + SECOND) if value.ended and value.ended_ns else now_ns
            self._ended |= {(value.uid, address): at for address in lost}
        self.facts.put(value, now_ns)

    def _remove(self, value: Object, now_ns: int, *, seen: bool = True) -> None:
        """`now_ns` is when it was seen to go, unless it went while nobody looked."""
        self._earlier.discard(value.uid)
        if isinstance(value, Pod) and seen:
            before = self.facts.pods.get(value.uid, value)
            at = min(now_ns, value.ended_ns + SECOND) if value.ended_ns else now_ns
            self._ended |= {(value.uid, address): at for address in held_addresses(before)}
        self.facts.remove(value, now_ns)

    def _sweep(self, kind: Kind, namespace: str) -> None:
        """Records of an earlier run whose object is no more."""
        if kind not in ("pods", "services", "nodes"):
            return
        known = self.facts.owners(kind)
        for owner in self.ledger.owners():
            record = self.ledger.open_of(owner)[0]
            of = "services" if owner.startswith("service/") else ROLE_KINDS.get(record.role)
            here = not namespace or record.namespace == namespace or record.namespace not in self._namespaces
            if of == kind and here and owner not in known:
                if kind == "pods":
                    self.facts.dirty_pods.add(owner)
                    self.facts.dirty_addresses.update(r.address for r in self.ledger.open_of(owner))
                else:
                    self._orphans.add(owner)

    def _settle_addresses(self, now_ns: int) -> dict[str, dict[str, int]]:
        """Find the holders of addresses whose claims changed; when the others lost them, by uid and address."""
        facts = self.facts
        untils: dict[str, dict[str, int]] = {}
        for address in facts.dirty_addresses:
            old = self._holder.get(address, "")
            new = max(facts.claims.get(address, ()), key=self._order, default="")
            if new == old or (not new and self._unlisted(old)):
                continue
            last = self.ledger.last_pod(address, but=new)
            if last is not None:
                end = self._ended.get((last.uid, address), last.until_ns or None)
                untils.setdefault(last.uid, {})[address] = self._boundary(last, end, new, now_ns)
                facts.dirty_pods.add(last.uid)
            if new:
                self._holder[address] = new
                facts.dirty_pods.add(new)
            else:
                self._holder.pop(address, None)
            if address in self._gateways:
                facts.dirty_nodes.add(self._gateways[address])
            for key in self._outside.get(address, ()):
                self._made_of.pop(key, None)
                facts.dirty_services.add(key)
        facts.dirty_addresses.clear()
        self._ended.clear()
        return untils

    def _order(self, uid: str) -> tuple[int, int, str]:
        pod = self.facts.pods[uid]
        return pod.started_ns or pod.created_ns, pod.created_ns, uid

    def _boundary(self, last: EndpointRecord, end: int | None, new: str, now_ns: int) -> int:
        """When an address ended to be `last`'s, that was seen to lose it at `end`.

        A pod is deleted from the API shortly after its network is gone, and a new pod's address reaches the API
        shortly after it got it: what was seen of the end is the best boundary, unless the new pod's network is known
        to be older (the API rounds that down to a second). What was not seen ended by the new pod's start.
        """
        if not new:
            return end or now_ns
        pod = self.facts.pods[new]
        if end is not None and not (pod.networked_ns and end >= pod.networked_ns + SECOND):
            return end
        begin = max(pod.started_ns or pod.created_ns, pod.networked_ns - SECOND, last.since_ns + 1)
        return min(end or now_ns, begin)

    def _pod(self, uid: str) -> list[EndpointRecord]:
        """The records that this pod should have."""
        pod = self.facts.pods.get(uid)
        if pod is None:
            return self._as_before(uid) if self._unlisted(uid) else []
        addresses = [address for address in held_addresses(pod) if self._holder.get(address) == uid]
        if not addresses:
            return []
        services = self.facts.services_of(uid)
        if not self._listed("endpointslices", pod.namespace) and (known := self.ledger.open_of(uid)):
            services = known[0].services
        captured = pod.node in self.facts.captured
        return pod_records(pod, addresses, services, captured, self.matcher, uid in self.facts.own)

    def _listed(self, kind: Kind, namespace: str = "") -> bool:
        return (kind, "") in self._told or (kind, namespace) in self._told

    def _unlisted(self, uid: str) -> bool:
        """A pod of an earlier run that may be there still."""
        records = self.ledger.open_of(uid)
        if uid not in self._earlier or uid in self.facts.pods or not records:
            return False
        namespace = records[0].namespace
        watched = not self._namespaces or namespace in self._namespaces
        return watched and not self._listed("pods", namespace)

    def _as_before(self, uid: str) -> list[EndpointRecord]:
        return [
            record
            for base in self.ledger.open_of(uid)
            if not base.port
            for record in targeted(base, self.matcher)
        ]

    def _nodes(self, now_ns: int) -> tuple[list[EndpointRecord], list[EndpointRecord]]:
        facts, closed, opened = self.facts, [], []
        if facts.nodes_moved:
            facts.nodes_moved = False
            self._node_at = {a: node.name for node in facts.nodes.values() for a in node_addresses(node)}
            facts.dirty_services.update(facts.services)
        wanted = {name: self._node(name) for name in facts.dirty_nodes}
        for name, records in wanted.items():
            closed += self.ledger.close(f"node/{name}", records, now_ns)
        for records in wanted.values():
            opened += self.ledger.open(records)
        facts.dirty_nodes.clear()
        return closed, opened

    def _node(self, name: str) -> list[EndpointRecord]:
        node = self.facts.nodes.get(name)
        if node is None:
            return []
        for address in gateways(node):
            self._gateways[address] = node.name
        addresses = [*node_addresses(node), *(a for a in gateways(node) if a not in self._holder)]
        return node_records(node, addresses, node.name in self.facts.captured)

    def _services(self, now_ns: int) -> tuple[list[EndpointRecord], list[EndpointRecord]]:
        closed: list[EndpointRecord] = []
        wanted: list[EndpointRecord] = []
        for key in self.facts.dirty_services:
            service = self.facts.services.get(key)
            behind = self._behind(key)
            made_of = (service, behind, self.facts.node_version)
            if self._made_of.get(key) == made_of:
                continue
            before = self._made_of.get(key, (None,))[0]
            if isinstance(before, Service) and (service is None or before.uid != service.uid):
                closed += self.ledger.close(f"service/{before.uid}", (), now_ns)
            if service is None:
                self._made_of.pop(key, None)
                self._port_records.pop(key, None)
                continue
            self._made_of[key] = made_of
            records = self._service(key, service, behind)
            closed += self.ledger.close(f"service/{service.uid}", records, now_ns)
            wanted += records
        self.facts.dirty_services.clear()
        return closed, self.ledger.open(wanted)

    def _service(self, key: ServiceKey, service: Service, behind: Behind) -> list[EndpointRecord]:
        self._port_records.pop(key, None)
        count = len(node_ports(service)) * len(self._node_at)
        nodes = self._node_at
        self.crowded.discard(key)
        if count and sum(self._port_records.values()) + count > MAX_NODE_PORT_RECORDS:
            self.crowded.add(key)
            service = msgspec.structs.replace(
                service, ports=tuple(msgspec.structs.replace(port, node_port=0) for port in service.ports)
            )
        elif count:
            self._port_records[key] = count
        captured = {name: name in self.facts.captured for name in self.facts.nodes}
        return service_records(service, behind, nodes, captured)

    def _behind(self, key: ServiceKey) -> Behind:
        slices = self.facts.slices_of(key)
        uids = self.facts.ready_backends(slices)
        pods = [self.facts.pods.get(uid) for uid in uids]
        # Whether a backend's node captures does not matter: a node that shows the service's address translates it, and
        # shows the view behind it as well. Pods of the host network have no address of their own to be seen behind it.
        front = bool(pods) and all(pod is not None and not pod.host_network for pod in pods)
        rules: set[str] = set()
        if not front:
            for uid in uids:
                for record in self.ledger.open_of(uid):
                    rules.update(record.rules)
        outside = []
        for address, port in outside_of(slices):
            self._outside.setdefault(address, set()).add(key)
            if address not in self._holder:
                outside.append((address, port))
        return Behind(front, tuple(sorted(rules)), tuple(sorted(set(outside))))


def _outcome(records: Iterable[EndpointRecord]) -> set[tuple[object, ...]]:
    """What a service's own records depend on."""
    return {(r.address, r.port, r.captured, *r.rules) for r in records}
