"""What rules select now, and what that costs: answers about rules from endpoints and recent statistics. Pure."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from weir.archive.api import Statistics
from weir.directory.selector import compile_targets
from weir.errors import SettingsError
from weir.hub.nodes import MB, NodeRate, gb_per_day, mb, node_rate
from weir.hub.pods import Pod, gather
from weir.model.control import EndpointRecord, Rule
from weir.model.entry import EntryMap
from weir.model.flow import TCP, DirectedFlow
from weir.rules import Matcher

FIRST = 5
"""Names that stand for all in a list."""
MAX_PODS = 1000
"""Pods that one answer names."""
FLOW_GROUPS = ("src_namespace", "src_name", "dst_namespace", "dst_name")
"""How the archive is to group flows, so that their bytes can be told by pod."""

Names = tuple[str, str]
"""Namespace and name of a pod."""


class RuleState(msgspec.Struct, frozen=True, kw_only=True):
    """A rule, and what it selects now."""

    rule: Rule
    pods: int = 0
    nodes: int = 0
    names: list[str] = []
    """The first pods, as `namespace/name`."""
    warnings: list[str] = []
    expires_in_s: float | None = None
    """Absent for a rule that stays until it is removed."""


class PodRate(msgspec.Struct, frozen=True, kw_only=True):
    """A pod, and what its conversations carry."""

    pod: str
    node: str
    workload: str = ""
    targeted: bool = False
    """It is targeted already."""
    mb_per_s: float = 0.0


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule would select, and what it would put on the bus."""

    rule: Rule
    pods: int
    fresh: int
    """Those that are not targeted yet."""
    listed: list[PodRate]
    """The busiest of them."""
    workloads: dict[str, int]
    """Pods by workload."""
    nodes: list[NodeRate]
    """The bus's rate by node with this rule: what flows now and what comes with the pods that are not targeted yet."""
    mb_per_s: float
    """What the selected pods add, or already have."""
    gb_per_day: float
    over_s: float
    """Seconds of flows that the estimate rests on; 0 if there are none, so that nothing is known."""
    warnings: list[str]


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """The endpoints at one time, and what was found in them."""

    pods: list[Pod]
    records: list[EndpointRecord]
    """Those of pods that are there."""
    namespaces: frozenset[str]


def picture(records: Iterable[EndpointRecord], ended_after_ns: int = 0) -> Picture:
    """What is there; with a time, what ended after it, too."""
    present = [
        record for record in records
        if not record.until_ns or (ended_after_ns and record.until_ns > ended_after_ns)
    ]
    pods = gather(present)
    return Picture(
        pods=pods, records=[record for pod in pods for record in pod.records],
        namespaces=frozenset(record.namespace for record in present if record.namespace),
    )


def rule_states(rules: Sequence[Rule], now: Picture, now_ns: int) -> list[RuleState]:
    """Every rule with what it selects, by name."""
    valid, wrong = _valid(rules)
    matcher = Matcher(valid)
    warnings = matcher.warnings(now.records, None)
    states = []
    for rule in sorted(rules, key=lambda one: one.name):
        told = [wrong[rule.name]] if rule.name in wrong else _warned(rule, warnings.get(rule.name, ""), now)
        selected = [] if rule.name in wrong else select(matcher, rule, now)
        expires = max(rule.until_ns - now_ns, 0) / 1e9 if rule.until_ns else None
        states.append(RuleState(
            rule=rule, pods=len(selected), nodes=len({pod.node for pod in selected}), warnings=told,
            names=[str(pod) for pod in selected[:FIRST]], expires_in_s=expires,
        ))
    return states


def _valid(rules: Iterable[Rule]) -> tuple[list[Rule], dict[str, str]]:
    """Those that compile, and by name what is wrong with the others: a newer weir may have written them."""
    valid, wrong = [], {}
    for rule in rules:
        try:
            Matcher([rule])
            valid.append(rule)
        except SettingsError as error:
            wrong[rule.name] = error.message
    return valid, wrong


def _warned(rule: Rule, warning: str, now: Picture) -> list[str]:
    told = [warning] if warning else []
    named = [*rule.namespaces, *rule.exclude_namespaces]
    if missing := [name for name in named if name not in now.namespaces]:
        told.append(f"nothing is known in namespace {', '.join(missing)}: does it exist?")
    if not rule.target and not now.pods:
        told = ["no pods are known: is `targets` connected to a cluster?"]
    return told


def select(matcher: Matcher, rule: Rule, now: Picture) -> list[Pod]:
    """The pods that a rule of the matcher fits, whatever other rules say."""
    if rule.target:
        hits = hitting(rule.target)
        return [pod for pod in now.pods if any(hits(record.address, 0) for record in pod.records)]
    chosen = {(record.namespace, record.name) for record in _named(matcher.selected(rule, now.records))}
    return [pod for pod in now.pods if (pod.namespace, pod.name) in chosen]


def _named(records: Iterable[EndpointRecord]) -> Iterable[Any]:
    return (record.pod for record in records if record.pod is not None)


def hitting(target: str) -> Callable[[str, int], bool]:
    """Whether an address (as text) and port fit a target without pods."""
    selector, wrong = compile_targets([target])

    def hits(address: str, port: int) -> bool:
        try:
            packed = ipaddress.ip_address(address).packed
        except ValueError:
            return False
        if wrong:
            return False
        return selector.wanted(DirectedFlow(protocol=TCP, src=packed, sport=port, dst=bytes(len(packed))))

    return hits


def flow_rates(groups: Iterable[Statistics], seconds: float) -> dict[Names, float]:
    """Bytes a second by pod, from flows grouped by `FLOW_GROUPS`; a conversation between two pods counts for both."""
    rates: dict[Names, float] = {}
    for group in groups:
        ends = {(str(group.key[0]), str(group.key[1])), (str(group.key[2]), str(group.key[3]))}
        for end in ends:
            rates[end] = rates.get(end, 0.0) + group.flow_bytes / max(seconds, 1.0)
    return rates


def preview(
    rule: Rule, now: Picture, rates: Mapping[Names, float], over_s: float, nodes: Sequence[NodeRate], ceiling: float
) -> Preview:
    """What `rule` selects and costs; `nodes` is what they send now."""
    matcher = Matcher([rule])
    selected = select(matcher, rule, now)
    listed = sorted(
        (
            PodRate(pod=str(pod), node=pod.node, workload=pod.workload, targeted=pod.targeted,
                    mb_per_s=mb(rates.get((pod.namespace, pod.name), 0.0)))
            for pod in selected
        ),
        key=lambda one: (-one.mb_per_s, one.pod),
    )
    total = sum(rates.get((pod.namespace, pod.name), 0.0) for pod in selected)
    expected = {one.node: one.mb_per_s for one in nodes}
    for one in listed:
        expected.setdefault(one.node, 0.0)
        if not one.targeted:
            expected[one.node] += one.mb_per_s
    with_it = [node_rate(node, rate * MB, ceiling) for node, rate in sorted(expected.items()) if node]
    warnings = _warned(rule, matcher.warnings(now.records, None).get(rule.name, ""), now)
    warnings += [
        f"{one.node} would be above its ceiling of {one.ceiling_mb_per_s:g} MB/s: whole conversations would be left out"
        for one in with_it if one.above
    ]
    return Preview(
        rule=rule, pods=len(selected), fresh=sum(not pod.targeted for pod in selected), listed=listed[:MAX_PODS],
        workloads=dict(Counter(pod.workload or "(none)" for pod in selected).most_common(FIRST * 20)),
        nodes=with_it, mb_per_s=mb(total), gb_per_day=gb_per_day(total), over_s=round(over_s, 1), warnings=warnings,
    )


class Narrowing:
    """Whether entries belong to what a rule selects; made anew when rules or endpoints change."""

    def __init__(self, rule: Rule | None, now: Picture) -> None:
        self._hits = hitting(rule.target) if rule is not None and rule.target else None
        self._port = rule.port if rule is not None else 0
        self._names: frozenset[Names] = frozenset()
        if rule is not None and not rule.target:
            selected = select(Matcher([rule]), rule, now)
            self._names = frozenset((pod.namespace, pod.name) for pod in selected)

    @property
    def pods(self) -> int:
        return len(self._names)

    def wants(self, entry: EntryMap) -> bool:
        return self._end(entry.get("src")) or self._end(entry.get("dst"))

    def _end(self, peer: Any) -> bool:
        if not isinstance(peer, dict):
            return False
        port = peer.get("port", 0)
        if self._hits is not None:
            return isinstance(port, int) and self._hits(str(peer.get("ip", "")), port)
        pod = peer.get("pod")
        if not isinstance(pod, dict) or (str(pod.get("namespace")), str(pod.get("name"))) not in self._names:
            return False
        return not self._port or port == self._port
