from __future__ import annotations

from typing import Any

from weir.model.control import Rule
from weir.targets.cluster import SECOND
from weir.targets.desk import RULE, WARN_EVERY_NS, Desk
from weir.targets.kube.objects import KINDS, Object, Pod, Put, Replace, Watching, kind_of
from weir.targets.settings import TargetsSettings

T0 = 1_800_000_000 * SECOND


def pod(name: str, address: str, **fields: Any) -> Pod:
    return Pod(uid=f"u-{name}", name=name, namespace="prod", node="n1", addresses=(address,), created_ns=T0, **fields)


def desk(*objects: Object, rules: dict[bytes, Rule]) -> Desk:
    made = Desk(TargetsSettings(), [], kubernetes=True)
    for kind in KINDS:
        made.apply(Watching(kind=kind, state="watching"), T0)
        made.apply(Replace(kind=kind, objects=tuple(each for each in objects if kind_of(each) == kind)), T0)
    made.decide(rules, None, T0)
    return made


def rule(**fields: Any) -> dict[bytes, Rule]:
    return {b"r": Rule(name="r", **fields)}


WEB = pod("web", "10.1.0.1", labels={"app": "web"})
DB = pod("db", "10.1.0.2")
PROXIES = tuple(pod(f"proxy-{n}", "192.168.0.1", host_network=True, labels={"app": "proxy"}) for n in range(4))


def test_a_rule_for_pods_of_the_host_network_is_told_that_they_share_an_address() -> None:
    noted = desk(WEB, DB, *PROXIES, rules=rule(labels="app=proxy")).notes(T0)[RULE + "r"]
    assert noted.startswith("selects no pod; proxy-0, proxy-1, proxy-2, … (4 of the pods) use the host network")
    assert "target: NODE-ADDRESS:PORT" in noted


def test_a_rule_that_also_selects_others_is_told_of_those_alone_that_it_cannot_reach() -> None:
    noted = desk(WEB, DB, PROXIES[0], rules=rule(labels="app")).notes(T0)[RULE + "r"]
    assert noted.startswith("proxy-0 (1 of the pods) use the host network")


def test_weirs_own_pods_and_ended_ones_are_not_missed() -> None:
    own = {"app.kubernetes.io/name": "weir", "app.kubernetes.io/instance": "weir"}
    agent = pod("agent", "192.168.0.1", host_network=True, labels=own | {"app.kubernetes.io/component": "capture"})
    ended = pod("job", "192.168.0.1", host_network=True, phase="Succeeded")
    made = desk(WEB, DB, agent, ended, rules=rule(pod="web|agent|job"))
    assert RULE + "r" not in made.notes(T0)


def test_warnings_are_looked_for_less_often_where_that_is_much() -> None:
    pods = [pod(f"p{n}", f"10.1.{n // 250}.{n % 250 + 1}") for n in range(1000)]
    rules = {f"r{n}".encode(): Rule(name=f"r{n}", pod="p1") for n in range(100)}
    made = desk(*pods, rules=rules)
    assert RULE + "r0" not in made.notes(T0)
    made.apply(Put(object=pod("p1", "10.1.0.2", phase="Failed"), before=pods[1]), T0)
    made.decide(rules, None, T0)
    assert RULE + "r0" not in made.notes(T0 + 2 * WARN_EVERY_NS)
    assert made.notes(T0 + 5 * SECOND)[RULE + "r0"] == "selects no pod"
