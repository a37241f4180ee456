"""Pure: one decision of targets, from rules and cluster to what has to be published and said.

The shell (`service`) feeds changes and rules, publishes what `decide` answers, and shows `notes` and `modes`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from weir.model.control import Control, EndpointRecord, Rule
from weir.rules import Matcher
from weir.targets.cluster import SECOND, Cluster, Update
from weir.targets.kube.objects import Change
from weir.targets.rulebook import Book, Judged, control_of, effective
from weir.targets.settings import TargetsSettings
from weir.targets.static import changes, endpoint_records

SHOWN = 20
"""Rules whose trouble is told one by one."""
MORE = "targets.rules"
RULE = "targets.rule "
WARN_EVERY_NS = 2 * SECOND
WARN_TEST_NS = 50_000
"""For each rule and pod that has to be looked at for warnings, they are so much rarer: looking takes about a 50th."""
HOST_NAMED = 3
"""Pods that a warning names."""


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    endpoints: Update
    control: Control | None
    """None: it stays as it is."""
    rules: tuple[Rule, ...] = ()
    dropped: tuple[bytes, ...] = ()
    """Keys of rules that are to be tombstones."""


class Desk:
    def __init__(
        self,
        settings: TargetsSettings,
        fixed: Sequence[Rule],
        *,
        instance: str = "weir",
        kubernetes: bool = False,
        known: Sequence[EndpointRecord] = (),
        random_key: bytes = b"",
    ) -> None:
        """`fixed`: rules of settings and file; `known`: further names (the demo's)."""
        self.fixed = list(fixed)
        self.book = Book()
        self.cluster = Cluster(instance, settings.namespaces, int(settings.capture_grace_s * SECOND))
        self.next_ns = 0
        """When the next rule expires, 0 for never."""
        self._settings = settings
        self._kubernetes = kubernetes
        self._known = list(known)
        self._static: dict[bytes, EndpointRecord] | None = {}
        """What stands on the topic and is not the cluster's, until it was compared with what is wanted."""
        self._random_key = random_key
        self._judged: Judged = {}
        self._warnings: dict[str, str] = {}
        self._warned_ns = 0
        self._warn_every_ns = WARN_EVERY_NS
        self._stale = True
        """Warnings are older than what they are about."""

    def adopt(self, endpoints: Mapping[bytes, EndpointRecord]) -> None:
        """What stands on the topic: this process publishes from now on."""
        self._static = {key: record for key, record in endpoints.items() if not record.role}
        self.cluster.adopt({key: record for key, record in endpoints.items() if record.role})
        self._stale = True

    def apply(self, change: Change, now_ns: int) -> None:
        self.cluster.apply(change, now_ns)
        self._stale = True

    def decide(self, table: Mapping[bytes, Any], previous: Control | None, now_ns: int) -> Decision:
        """What follows from the rules of the table, the settings and the cluster at `now_ns`."""
        self._read(table, now_ns)
        names = self._names()
        moved = self.cluster.take(now_ns) if self._kubernetes else self.cluster.abandon(now_ns)
        control = control_of(
            self._settings, self.book, previous, self._random_key, kubernetes=self._kubernetes,
            pod_ranges=self.cluster.pod_ranges() if self._kubernetes else (), own=self.cluster.own_addresses(),
        )
        return Decision(
            endpoints=Update(names.records + moved.records, names.tombstones + moved.tombstones),
            control=control if control != previous else None,
            rules=self.book.publish,
            dropped=self.book.tombstones,
        )

    def expire(self, now_ns: int) -> Update:
        return self.cluster.expire(now_ns - int(self._settings.retention_s * SECOND))

    def notes(self, now_ns: int) -> dict[str, str]:
        """What people should know of the rules, by part."""
        if self._stale and now_ns - self._warned_ns >= self._warn_every_ns:
            self._warned_ns, self._stale = now_ns, False
            self._warnings = self._look()
        told = self._warnings
        notes = {RULE + name: text for name, text in list(told.items())[:SHOWN]}
        if len(told) > SHOWN:
            notes[MORE] = f"{len(told) - SHOWN} more rules do not do what they say"
        if self.cluster.crowded:
            some = ", ".join(sorted("/".join(key) for key in self.cluster.crowded)[:3])
            notes["targets.node_ports"] = f"too many node ports to name on every node, left out: {some}"
        return notes

    def modes(self) -> dict[str, str]:
        book = self.book
        texts = [rule.target for rule in book.rules if rule.target and not rule.exclude]
        pods = sum(1 for rule in book.rules if not rule.target and not rule.exclude)
        if pods:
            texts.append(f"{pods} rules for pods" if pods > 1 else "1 rule for pods")
        return {"targets": ", ".join(texts) or "none: connections only, no payload"}

    def _read(self, table: Mapping[bytes, Any], now_ns: int) -> None:
        book = effective(table, self.fixed, now_ns, self._judged)
        if book.rules != self.book.rules:
            self.cluster.rule(Matcher(book.rules))
        if book.rules != self.book.rules or book.wrong != self.book.wrong:
            self._stale, self._warned_ns = True, 0
        self.book = book
        self.next_ns = book.next_ns

    def _names(self) -> Update:
        """Static targets and names, published once."""
        if self._static is None:
            return Update([], [])
        fresh, gone = changes(endpoint_records(self._settings, self._known), self._static)
        self._static = None
        return Update(fresh, gone)

    def _look(self) -> dict[str, str]:
        cluster, found = self.cluster, dict(self.book.wrong)
        said = [rule for rule in self.book.rules if rule.source != "settings"]
        if not self._kubernetes:
            pods = [rule.name for rule in said if not rule.target]
            return found | dict.fromkeys(pods, "selects no pod: Kubernetes is not watched here (targets.source)")
        if not cluster.knows_pods:
            return found
        everyone, shared = cluster.pods(), cluster.host_pods()
        self._warn_every_ns = max(WARN_EVERY_NS, WARN_TEST_NS * len(self.book.rules) * (len(everyone) + len(shared)))
        warnings = cluster.matcher.warnings(everyone, cluster.namespaces())
        told = {rule.name: [warnings.get(rule.name, ""), self._shared(rule, shared)] for rule in said}
        return found | {name: "; ".join(filter(None, texts)) for name, texts in told.items() if any(texts)}

    def _shared(self, rule: Rule, shared: Sequence[EndpointRecord]) -> str:
        """Pods of the host network that a rule means in vain, and what reaches them."""
        pods = self.cluster.matcher.selected(rule, shared)
        if not pods:
            return ""
        names = ", ".join(pod.name for pod in pods[:HOST_NAMED]) + (", …" if len(pods) > HOST_NAMED else "")
        return (
            f"{names} ({len(pods)} of the pods) use the host network and share the address of their node: they cannot "
            "be told apart from what else runs there and are not targeted. A rule with target: NODE-ADDRESS:PORT is"
        )
