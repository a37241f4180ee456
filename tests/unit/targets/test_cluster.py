from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weir.model.control import EndpointRecord, Rule
from weir.rules import Matcher
from weir.targets.cluster import SECOND, Cluster
from weir.targets.kube.objects import (
    Backend,
    Change,
    Delete,
    EndpointSlice,
    Kind,
    Namespace,
    Node,
    Object,
    Pod,
    Port,
    Put,
    Replace,
    Service,
    ServicePort,
    Watching,
    kind_of,
)

T0 = 1_800_000_000 * SECOND
KINDS: tuple[Kind, ...] = ("pods", "services", "endpointslices", "nodes", "namespaces")


def pod(name: str, address: str = "", node: str = "n1", at: int = T0, **fields: Any) -> Pod:
    given: dict[str, Any] = {
        "uid": f"u-{name}", "name": name, "namespace": "prod", "node": node, "created_ns": at, "started_ns": at,
        "addresses": (address,) if address else (), "workload": f"deployment/{name}", "ready": True,
    }  # fmt: skip
    return Pod(**(given | fields))


def capture(node: str, **fields: Any) -> Pod:
    labels = {
        "app.kubernetes.io/name": "weir", "app.kubernetes.io/component": "capture", "app.kubernetes.io/instance": "weir"
    }  # fmt: skip
    return pod(f"capture-{node}", NODES[node], node, labels=labels, host_network=True, **fields)


NODES = {"n1": "192.168.0.1", "n2": "192.168.0.2"}


def node(name: str, *ranges: str) -> Node:
    return Node(uid=f"u-{name}", name=name, internal_addresses=(NODES[name],), pod_ranges=ranges, created_ns=T0)


def service(name: str, address: str, **fields: Any) -> Service:
    given: dict[str, Any] = {
        "uid": f"u-{name}", "name": name, "namespace": "prod", "cluster_addresses": (address,), "created_ns": T0
    }  # fmt: skip
    return Service(**(given | fields))


def backends(name: str, *pods: Pod, number: int = 0, **fields: Any) -> EndpointSlice:
    return EndpointSlice(
        uid=f"u-{name}-{number}", name=f"{name}-{number}", namespace="prod", service=name,
        backends=tuple(Backend(addresses=p.addresses, uid=p.uid, kind="Pod", name=p.name, **fields) for p in pods),
    )  # fmt: skip


def listed(*objects: Object) -> list[Change]:
    return [
        Replace(kind=kind, objects=tuple(each for each in objects if kind_of(each) == kind)) for kind in KINDS
    ] + [Watching(kind=kind, state="watching") for kind in KINDS]


def started(*objects: Object, rules: list[Rule] | None = None, now: int = T0) -> Cluster:
    cluster = Cluster()
    cluster.rule(Matcher(rules or []))
    feed(cluster, *listed(*objects), now=now)
    return cluster


def feed(cluster: Cluster, *changes: Change, now: int) -> list[EndpointRecord]:
    for change in changes:
        cluster.apply(change, now)
    return cluster.take(now).records


def at(cluster: Cluster, address: str, when: int, port: int = 0) -> list[str]:
    return [
        r.name for r in cluster.ledger.records.values()
        if r.address == address and r.port == port and r.since_ns <= when and (not r.until_ns or when < r.until_ns)
    ]  # fmt: skip


def test_a_pod_is_known_with_all_that_it_is() -> None:
    web = pod("web", "10.1.0.1", labels={"app": "web"})
    cluster = started(
        web, node("n1"), service("shop", "10.96.0.1"), backends("shop", web), backends("all", web),
        capture("n1"), rules=[Rule(name="web", labels="app=web")],
    )  # fmt: skip
    (found,) = cluster.pods()
    assert (found.address, found.name, found.namespace, found.workload) == ("10.1.0.1", "web", "prod", "deployment/web")
    assert found.services == ["prod/all", "prod/shop"]
    assert found.service is not None
    assert found.service.name == "all"
    assert (found.node, found.captured, found.role) == ("n1", True, "pod")
    assert (found.targeted, found.rules, found.labels) == (True, ["web"], {"app": "web"})
    assert found.since_ns == T0


def test_both_families_are_records_and_written_as_one_writes_them() -> None:
    web = pod("web", addresses=("10.1.0.1", "FD00:0:0::1"))
    assert [r.address for r in started(web).ledger.records.values()] == ["10.1.0.1", "fd00::1"]


def test_only_what_changed_is_told_with_a_rising_revision() -> None:
    web, db = pod("web", "10.1.0.1"), pod("db", "10.1.0.2")
    cluster = started(web, db)
    before = cluster.ledger.revision
    assert feed(cluster, Put(object=pod("web", "10.1.0.1", phase="Running"), before=web), now=T0) == []
    (told,) = feed(cluster, Put(object=pod("db", "10.1.0.2", labels={"a": "b"}), before=db), now=T0 + 5)
    assert (told.name, told.revision, told.since_ns) == ("db", before + 1, T0)


def test_a_hostnetwork_pod_is_its_node() -> None:
    cluster = started(capture("n1"), node("n1", "10.1.0.0/24"))
    found = {r.address: (r.role, r.name, r.captured) for r in cluster.ledger.records.values()}
    assert found == {
        "192.168.0.1": ("host", "n1", True), "10.1.0.0": ("host", "n1", True), "10.1.0.1": ("host", "n1", True)
    }  # fmt: skip


def test_a_pod_that_has_the_first_address_of_its_range_is_not_the_node() -> None:
    web = pod("web", "10.1.0.1")
    cluster = started(node("n1", "10.1.0.0/24"))
    told = feed(cluster, Put(object=web), now=T0 + SECOND)
    assert [(r.name, bool(r.until_ns)) for r in told if r.address == "10.1.0.1"] == [("n1", True), ("web", False)]
    told = feed(cluster, Delete(object=web), now=T0 + 5 * SECOND)
    assert [(r.name, bool(r.until_ns)) for r in told if r.address == "10.1.0.1"] == [("web", True), ("n1", False)]


def test_an_address_that_is_used_again_within_a_second_changes_hands_when_its_pod_was_deleted() -> None:
    old, new = pod("old", "10.1.0.1"), pod("new", "10.1.0.1", at=T0 + 59 * SECOND)
    cluster = started(old)
    gone = T0 + 60 * SECOND + 200_000_000
    feed(cluster, Delete(object=old), now=gone)
    feed(cluster, Put(object=new), now=gone + 400_000_000)
    assert at(cluster, "10.1.0.1", gone - 1) == ["old"]
    assert at(cluster, "10.1.0.1", gone) == ["new"]


def test_the_end_is_told_before_the_beginning_when_both_come_at_once() -> None:
    old, new = pod("old", "10.1.0.1"), pod("new", "10.1.0.1", at=T0 + SECOND)
    cluster = started(old)
    told = feed(cluster, Delete(object=old), Put(object=new), now=T0 + 2 * SECOND)
    assert [(r.name, bool(r.until_ns)) for r in told] == [("old", True), ("new", False)]
    assert told[1].since_ns >= told[0].until_ns


def test_a_new_pod_has_the_address_although_the_old_one_is_still_listed() -> None:
    old, new = pod("old", "10.1.0.1"), pod("new", "10.1.0.1", at=T0 + 60 * SECOND)
    cluster = started(old)
    feed(cluster, Put(object=new), now=T0 + 62 * SECOND)
    assert at(cluster, "10.1.0.1", T0 + 59 * SECOND) == ["old"]
    assert at(cluster, "10.1.0.1", T0 + 60 * SECOND) == ["new"]
    assert feed(cluster, Delete(object=old), now=T0 + 70 * SECOND) == []


def test_a_deletion_that_reached_the_api_late_does_not_cost_the_new_pod_its_first_seconds() -> None:
    old = pod("old", "10.1.0.1")
    new = pod("new", "10.1.0.1", at=T0 + 59 * SECOND, networked_ns=T0 + 60 * SECOND)
    cluster = started(old)
    feed(cluster, Delete(object=old), now=T0 + 65 * SECOND)
    assert at(cluster, "10.1.0.1", T0 + 62 * SECOND) == ["old"]
    feed(cluster, Put(object=new), now=T0 + 66 * SECOND)
    assert at(cluster, "10.1.0.1", T0 + 62 * SECOND) == ["new"]
    assert at(cluster, "10.1.0.1", T0 + 58 * SECOND) == ["old"]


def test_a_pod_that_ended_no_longer_has_its_address() -> None:
    job = pod("job", "10.1.0.1")
    cluster = started(job)
    done = pod("job", "10.1.0.1", phase="Succeeded", ended_ns=T0 + 10 * SECOND)
    (told,) = feed(cluster, Put(object=done, before=job), now=T0 + 15 * SECOND)
    assert told.until_ns == T0 + 11 * SECOND


def test_a_service_is_in_front_of_ready_pods_that_have_addresses_of_their_own() -> None:
    a, b = pod("a", "10.1.0.1"), pod("b", "192.168.0.2", node="n2", host_network=True)
    rule = Rule(name="a", pod="a")
    cluster = started(
        a, b, node("n1"), node("n2"), service("shop", "10.96.0.1"), backends("shop", a, b), capture("n2"), rules=[rule]
    )

    def shop() -> tuple[bool, bool, list[str]]:
        (found,) = [r for r in cluster.ledger.records.values() if r.address == "10.96.0.1"]
        return found.front, found.targeted, found.rules

    assert shop() == (False, True, ["a"])
    feed(cluster, Put(object=backends("shop", a)), now=T0)
    assert shop() == (True, False, [])
    feed(cluster, Put(object=capture("n1")), now=T0)
    assert shop() == (True, False, [])
    feed(cluster, Put(object=backends("shop", a, ready=False)), now=T0)
    assert shop() == (False, False, [])


GRACE = 20 * SECOND


def graceful(*objects: Object, now: int = T0) -> Cluster:
    cluster = Cluster(grace_ns=GRACE)
    feed(cluster, *listed(*objects), now=now)
    return cluster


def captured(records: list[EndpointRecord]) -> dict[str, bool]:
    return {record.name: record.captured for record in records if not record.until_ns}


def test_a_capture_pod_that_restarts_moves_no_conversation() -> None:
    cluster = graceful(pod("web", "10.1.0.1"), node("n1"), capture("n1"))
    old, new = capture("n1", uid="old"), capture("n1", uid="new")
    feed(cluster, Put(object=old), Delete(object=capture("n1")), now=T0)
    assert feed(cluster, Delete(object=old), now=T0) == []
    assert feed(cluster, now=T0 + GRACE - 1) == []
    assert feed(cluster, Put(object=new), now=T0 + GRACE - 1) == []
    assert feed(cluster, now=T0 + 10 * GRACE) == []
    unready = capture("n1", uid="new", ready=False)
    assert feed(cluster, Put(object=unready, before=new), now=T0 + 10 * GRACE) == []
    assert captured(feed(cluster, now=T0 + 11 * GRACE)) == {"web": False, "n1": False}
    assert captured(feed(cluster, Put(object=new, before=unready), now=T0 + 12 * GRACE)) == {"web": True, "n1": True}


def test_a_capture_pod_that_went_unseen_has_the_same_grace() -> None:
    cluster = graceful(pod("web", "10.1.0.1"), node("n1"), capture("n1"))
    relisted = Replace(kind="pods", objects=(pod("web", "10.1.0.1"),), gone=(capture("n1"),))
    assert feed(cluster, relisted, now=T0 + GRACE) == []
    assert captured(feed(cluster, now=T0 + 2 * GRACE)) == {"web": False, "n1": False}


def test_whoever_takes_over_leaves_restarting_captures_their_grace() -> None:
    before = graceful(pod("web", "10.1.0.1"), node("n1"), capture("n1"))
    records = {str(number).encode(): r for number, r in enumerate(before.ledger.records.values())}
    cluster = Cluster(grace_ns=GRACE)
    for change in listed(pod("web", "10.1.0.1"), node("n1"), capture("n1", ready=False)):
        cluster.apply(change, T0)
    cluster.adopt(records)
    assert not [r for r in cluster.take(T0).records if not r.captured]
    assert captured(feed(cluster, now=T0 + GRACE)) == {"web": False, "n1": False}


def test_every_form_of_a_service_address_is_known() -> None:
    shop = service(
        "shop", "10.96.0.1", type="LoadBalancer", balancer_addresses=("203.0.113.1",),
        external_addresses=("192.168.0.1",), ports=(ServicePort(number=80, node_port=30080),),
    )  # fmt: skip
    cluster = started(shop, node("n1"), node("n2"))
    found = {(r.address, r.port): r.role for r in cluster.ledger.records.values() if r.name == "shop"}
    assert found == dict.fromkeys(
        [("10.96.0.1", 0), ("203.0.113.1", 80), ("192.168.0.1", 80), ("192.168.0.1", 30080), ("192.168.0.2", 30080)],
        "service",
    )
    told = feed(cluster, Delete(object=node("n2")), now=T0 + 1)
    assert {(r.address, r.port, bool(r.until_ns)) for r in told} == {
        ("192.168.0.2", 0, True), ("192.168.0.2", 30080, True)
    }  # fmt: skip


def test_what_a_service_stands_for_beyond_the_cluster_is_outside_or_a_node() -> None:
    slice_ = EndpointSlice(
        uid="s", name="s", namespace="prod", service="api", ports=(Port(number=6443),),
        backends=(Backend(addresses=("192.168.0.1",)), Backend(addresses=("198.51.100.7",))),
    )  # fmt: skip
    cluster = started(service("api", "10.96.0.1"), slice_, node("n1"))
    found = {(r.address, r.port): (r.role, r.name, r.node) for r in cluster.ledger.records.values()}
    assert found[("192.168.0.1", 6443)] == ("host", "api", "n1")
    assert found[("198.51.100.7", 6443)] == ("outside", "api", "")
    assert not any(r.front for r in cluster.ledger.records.values())


def test_a_rule_for_a_port_makes_a_record_of_that_port() -> None:
    cluster = started(pod("web", "10.1.0.1"), rules=[Rule(name="web", pod="web", port=8080)])
    assert {(r.port, r.targeted) for r in cluster.ledger.records.values()} == {(0, False), (8080, True)}
    cluster.rule(Matcher([]))
    (told,) = cluster.take(T0 + 1).records
    assert (told.port, told.until_ns) == (8080, T0 + 1)


def test_weirs_own_stages_are_never_targeted_but_its_broker_is() -> None:
    labels = {"app.kubernetes.io/name": "weir", "app.kubernetes.io/instance": "weir"}
    hub = pod("hub", "10.1.0.1", labels=labels | {"app.kubernetes.io/component": "hub"})
    kafka = pod("kafka", "10.1.0.2", labels=labels | {"app.kubernetes.io/component": "kafka"})
    other = pod("other", "10.1.0.3", labels=hub.labels | {"app.kubernetes.io/instance": "weir2"})
    cluster = started(hub, kafka, other, rules=[Rule(name="all", pod=".*")])
    assert {r.name: r.targeted for r in cluster.pods()} == {"hub": False, "kafka": True, "other": True}
    assert cluster.own_addresses() == ["10.1.0.1"]


def test_an_earlier_run_is_gone_on_from() -> None:
    kept, gone = pod("kept", "10.1.0.1"), pod("gone", "10.1.0.2")
    shop, old = service("shop", "10.96.0.1"), service("old", "10.96.0.2")
    first = started(kept, gone, shop, old, node("n1"), backends("shop", kept))
    again = Cluster()
    again.adopt(first.ledger.records)
    assert again.take(T0).records == []
    later = T0 + 9 * SECOND
    told = feed(again, *listed(kept, shop, node("n1"), backends("shop", kept)), now=later)
    assert {(r.name, r.until_ns) for r in told} == {("gone", later), ("old", later)}
    assert min(r.revision for r in told) > first.ledger.revision


def test_what_is_not_listed_yet_stays_and_rules_apply_to_it() -> None:
    web = pod("web", "10.1.0.1")
    first = started(web, backends("shop", web), service("shop", "10.96.0.1"))
    again = Cluster()
    again.adopt(first.ledger.records)
    feed(again, Watching(kind="pods", state="away", reason="no route"), now=T0)
    again.rule(Matcher([Rule(name="shop", service="shop")]))
    (told,) = again.take(T0).records
    assert (told.name, told.targeted, told.until_ns) == ("web", True, 0)
    assert not again.settled
    told = feed(again, Replace(kind="pods", objects=(web,)), now=T0 + 1)
    assert told == []
    assert again.pods()[0].services == ["prod/shop"]


def test_what_went_while_nobody_looked_ends_where_the_next_one_began() -> None:
    old, new = pod("old", "10.1.0.1"), pod("new", "10.1.0.1", at=T0 + 30 * SECOND)
    cluster = started(old)
    feed(cluster, Replace(kind="pods", objects=(new,), gone=(old,)), now=T0 + 90 * SECOND)
    assert at(cluster, "10.1.0.1", T0 + 29 * SECOND) == ["old"]
    assert at(cluster, "10.1.0.1", T0 + 31 * SECOND) == ["new"]


def test_one_namespace_is_listed_without_an_end_for_the_others() -> None:
    ours, theirs = pod("a", "10.1.0.1"), pod("b", "10.1.0.2", namespace="stage")
    first = started(ours, theirs)
    again = Cluster(namespaces=["prod", "stage"])
    again.adopt(first.ledger.records)
    assert feed(again, Replace(kind="pods", namespace="prod", objects=(ours,)), now=T0) == []
    (told,) = feed(again, Replace(kind="pods", namespace="stage", objects=()), now=T0)
    assert told.name == "b"


def test_what_ended_is_forgotten_later() -> None:
    web = pod("web", "10.1.0.1")
    cluster = started(web)
    feed(cluster, Delete(object=web), now=T0 + 5)
    assert cluster.expire(T0 + 5).tombstones == []
    assert cluster.expire(T0 + 6).tombstones == [b"10.1.0.1:0/u-web"]
    assert not cluster.ledger.records


def test_a_service_made_anew_with_the_address_of_another_begins_when_that_ended() -> None:
    cluster = started(service("old", "10.96.0.1"))
    told = feed(
        cluster, Put(object=service("new", "10.96.0.1")), Delete(object=service("old", "10.96.0.1")), now=T0 + SECOND
    )
    assert [(r.name, r.since_ns, r.until_ns) for r in told] == [
        ("old", T0, T0 + SECOND), ("new", T0 + SECOND, 0)
    ]  # fmt: skip


class World:
    """A cluster that lives at random; what it tells, and what is there at the end."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.now = T0
        self.objects: dict[str, Object] = {}
        self.told: dict[Kind, list[tuple[int, Change]]] = {kind: [] for kind in KINDS}
        self.free = [f"10.1.0.{n}" for n in range(1, 5)]
        self.number = 0
        self.put(node("n1", "10.1.0.0/29"))
        self.put(node("n2"))
        self.put(service("shop", "10.96.0.1"))
        self.put(Namespace(uid="n", name="prod"))

    def put(self, value: Object) -> None:
        before = self.objects.get(value.uid)
        self.objects[value.uid] = value
        self.told[kind_of(value)].append((self.now, Put(object=value, before=before)))

    def gone(self, value: Object) -> None:
        del self.objects[value.uid]
        self.told[kind_of(value)].append((self.now, Delete(object=value)))

    def step(self) -> None:
        self.now += self.chance.choice((1, 200_000_000, 3 * SECOND))
        pods = [each for each in self.objects.values() if isinstance(each, Pod)]
        what = self.chance.randrange(8)
        if what < 3 and self.free:
            self.number += 1
            address = self.free.pop(self.chance.randrange(len(self.free)))
            second = self.now // SECOND * SECOND
            name = self.chance.choice("nm"), self.chance.choice(("n1", "n2"))
            if self.chance.random() < 0.2:
                self.put(capture(name[1]))
                self.free.append(address)
                return
            self.put(pod(f"p{self.number}", address, name[1], second, labels={"app": name[0]}))
        elif what < 5 and pods:
            one = self.chance.choice(pods)
            self.gone(one)
            if not one.host_network and not one.ended:
                self.free.append(one.addresses[0])
        elif what == 5 and pods:
            one = self.chance.choice(pods)
            if not one.host_network and not one.ended:
                self.put(pod(one.name, one.addresses[0], one.node, one.started_ns, phase="Failed", ended_ns=self.now))
                self.free.append(one.addresses[0])
        else:
            some = [each for each in pods if not each.host_network and self.chance.random() < 0.5]
            self.put(backends("shop", *some, number=self.chance.randrange(2)))

    def mixed(self) -> list[tuple[int, Change]]:
        """In order within each kind, in any order between kinds."""
        queues = [list(told) for told in self.told.values() if told]
        out = []
        while queues:
            queue = self.chance.choice(queues)
            out.append(queue.pop(0))
            queues = [each for each in queues if each]
        return out


def current(cluster: Cluster) -> set[tuple[Any, ...]]:
    return {
        (r.address, r.port, r.uid, r.role, r.targeted, tuple(r.rules), r.captured, r.front, tuple(r.services), r.node)
        for r in cluster.ledger.records.values() if not r.until_ns
    }  # fmt: skip


def overlaps(cluster: Cluster) -> list[tuple[EndpointRecord, EndpointRecord]]:
    pods = [r for r in cluster.ledger.records.values() if r.role == "pod" and not r.port]
    return [
        (a, b) for a in pods for b in pods
        if a.uid < b.uid and a.address == b.address
        and a.since_ns < (b.until_ns or 1 << 63) and b.since_ns < (a.until_ns or 1 << 63)
    ]  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 1 << 32), steps=st.integers(0, 40), skew=st.sampled_from([0, -2 * SECOND, 2 * SECOND]))
def test_any_order_ends_as_a_fresh_list_does_and_no_two_pods_ever_hold_one_address(
    seed: int, steps: int, skew: int
) -> None:
    world = World(random.Random(seed))
    for _ in range(steps):
        world.step()
    rules = [
        Rule(name="n", labels="app=n"), Rule(name="p1", pod="p1.*", port=80), Rule(name="x", pod="p.*3", exclude=True)
    ]  # fmt: skip
    cluster = Cluster()
    cluster.rule(Matcher(rules))
    copy: dict[tuple[str, int, str], EndpointRecord] = {}
    now = T0
    feed(cluster, *listed(), now=now)
    for when, change in world.mixed():
        now = max(now, when) + 1
        cluster.apply(change, now + skew)
        if world.chance.random() < 0.4:
            for record in cluster.take(now + skew).records:
                copy[record.address, record.port, record.uid] = record
        assert overlaps(cluster) == []
    for record in cluster.take(now + skew).records:
        copy[record.address, record.port, record.uid] = record
    assert overlaps(cluster) == []
    fresh = started(*world.objects.values(), rules=rules, now=now)
    assert current(cluster) == current(fresh)
    assert sorted(copy.values(), key=repr) == sorted(cluster.ledger.records.values(), key=repr)
    resumed = Cluster()
    resumed.rule(Matcher(rules))
    resumed.adopt(cluster.ledger.records)
    assert feed(resumed, *listed(*world.objects.values()), now=now) == []


@pytest.mark.parametrize("state", ["forbidden", "unwatched"])
def test_it_is_settled_once_each_kind_is_listed_or_cannot_be(state: Any) -> None:
    cluster = Cluster()
    assert not cluster.settled
    for kind in KINDS:
        cluster.apply(Watching(kind=kind, state="listing"), T0)
    assert not cluster.settled
    for kind in KINDS[:4]:
        cluster.apply(Replace(kind=kind, objects=()), T0)
    assert not cluster.settled
    cluster.apply(Watching(kind="namespaces", state=state), T0)
    assert cluster.settled
    assert cluster.namespaces() is None
