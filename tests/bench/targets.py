"""What rules and changes of a large cluster cost the thinking of targets: 5,000 pods on 100 nodes, 50 rules."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from typing import Any

from measure import Figure, Run

from weir.model.control import Rule
from weir.rules import Matcher
from weir.targets.cluster import SECOND, Cluster
from weir.targets.kube.objects import (
    Backend,
    Delete,
    EndpointSlice,
    Kind,
    Node,
    Object,
    Pod,
    Put,
    Replace,
    Service,
    kind_of,
)

PODS, NODES, SERVICES, RULES = 5000, 100, 100, 50
CHANGES = 3000
"""Of pods: a minute of 50 a second, told four at a time, with a slice for each time."""
KINDS: tuple[Kind, ...] = ("pods", "nodes", "services", "endpointslices")
T0 = 1_800_000_000 * SECOND


def pod(number: int, generation: int = 0) -> Pod:
    name = f"service-{number % SERVICES}-{generation}-{number}"
    return Pod(
        uid=f"uid-{number}-{generation}", name=name, namespace=f"ns-{number % 20}", node=f"node-{number % NODES}",
        labels={"app": f"app-{number % SERVICES}", "tier": "back" if number % 3 else "front"},
        addresses=(f"10.{number % NODES}.{number // 256}.{number % 256}",), created_ns=T0, started_ns=T0, ready=True,
        workload=f"deployment/service-{number % SERVICES}",
    )  # fmt: skip


def slice_of(number: int, pods: list[Pod]) -> EndpointSlice:
    members = pods[number::SERVICES]
    return EndpointSlice(
        uid=f"slice-{number}", name=f"slice-{number}", namespace=f"ns-{number % 20}", service=f"service-{number}",
        backends=tuple(Backend(addresses=p.addresses, uid=p.uid, kind="Pod", name=p.name) for p in members),
    )  # fmt: skip


def rules() -> list[Rule]:
    kinds: tuple[dict[str, Any], ...] = (
        {"namespaces": ["ns-{n}"]}, {"labels": "app in (app-{n}, x), tier != front"}, {"pod": "service-{n}-.*"},
        {"pod": ".*-[{n}]-[0-9]+"}, {"workload": "deployment/service-{n}"},
    )  # fmt: skip
    return [
        Rule(name=f"rule-{n}", **{
            key: [v.replace("{n}", str(n)) for v in value] if isinstance(value, list) else value.replace("{n}", str(n))
            for key, value in kinds[n % len(kinds)].items()
        })
        for n in range(RULES)
    ]  # fmt: skip


def cluster_of(pods: list[Pod]) -> Cluster:
    """A cluster that was listed and told; memory and time of that are those of a start."""
    objects: list[Object] = [
        *pods,
        *(Node(uid=f"n{n}", name=f"node-{n}", internal_addresses=(f"192.168.0.{n}",)) for n in range(NODES)),
        *(
            Service(uid=f"s{n}", name=f"service-{n}", namespace=f"ns-{n % 20}", cluster_addresses=(f"10.200.0.{n}",))
            for n in range(SERVICES)
        ),
        *(slice_of(number, pods) for number in range(SERVICES)),
    ]
    cluster = Cluster()
    for kind in KINDS:
        cluster.apply(Replace(kind=kind, objects=tuple(o for o in objects if kind_of(o) == kind)), T0)
    cluster.take(T0)
    return cluster


def churn(cluster: Cluster, pods: list[Pod]) -> int:
    """A minute of it; answers how many records were told."""
    chance, now, told = random.Random(1), T0, 0
    for number in range(CHANGES // 2):
        now += 40_000_000
        place = chance.randrange(PODS)
        old, pods[place] = pods[place], pod(place, number + 1)
        cluster.apply(Delete(object=old), now)
        cluster.apply(Put(object=pods[place]), now)
        if number % 2:
            cluster.apply(Put(object=slice_of(place % SERVICES, pods)), now)
            told += len(cluster.take(now).records)
    return told


def targets(run: Run) -> Iterator[Figure]:
    """The thinking of targets, without the API and the bus."""
    pods = [pod(number) for number in range(PODS)]
    cluster = cluster_of(pods)
    begin = time.process_time()
    cluster.rule(Matcher(rules()))
    differ = len(cluster.take(T0).records)
    spent = time.process_time() - begin
    yield Figure(
        case="targets", what=f"{RULES} new rules for {PODS} pods", value=round(spent, 3), unit="CPU s",
        budget="<= 1 s", holds=spent <= 1, note=f"{differ} records differ",
    )  # fmt: skip
    begin = time.process_time()
    told = churn(cluster, pods)
    share = (time.process_time() - begin) / 60
    yield Figure(
        case="targets", what=f"{CHANGES // 60} changes a second", value=round(100 * share, 2), unit="% of a core",
        budget="<= 5 %", holds=share <= 0.05, note=f"{told} records told in a minute",
    )  # fmt: skip
