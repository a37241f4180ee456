"""Pure: whom a pod works for, told from the pod alone, so that no owner needs to be watched.

A Deployment's pods are owned by a ReplicaSet named `<deployment>-<pod-template-hash>`, and carry the hash as a label. A
CronJob's pods are owned by a Job named `<cronjob>-<scheduled minute since epoch>` (the CronJob controller has done so
since batch/v1): a Job whose name ends in a minute of the day before its pod was made counts as a CronJob's.
"""

from __future__ import annotations

from collections.abc import Mapping

from weir.targets.kube.objects import Owner

HASHES = {"pod-template-hash": "deployment", "rollouts-pod-template-hash": "rollout"}
"""Label that a controller of ReplicaSets sets on their pods, and the controller's kind (Argo Rollouts is the other)."""

MINUTE_NS = 60 * 1_000_000_000
LATE_MINUTES = 24 * 60
"""A Job may start, and its pod may be made again, long after the minute it was scheduled for."""


def workload_of(name: str, labels: Mapping[str, str], owner: Owner | None, created_ns: int) -> str:
    """`kind/name` in lower case; a pod that nobody owns (or its node: a static pod) works for itself."""
    if owner is None or owner.kind == "Node":
        return f"pod/{name}"
    stem, _, last = owner.name.rpartition("-")
    if owner.kind == "ReplicaSet" and stem:
        for label, kind in HASHES.items():
            if labels.get(label) == last:
                return f"{kind}/{stem}"
    if owner.kind == "Job" and stem and _scheduled(last, created_ns):
        return f"cronjob/{stem}"
    return f"{owner.kind.lower()}/{owner.name}"


def _scheduled(minute: str, created_ns: int) -> bool:
    if not (minute.isascii() and minute.isdigit() and len(minute) <= 12):
        return False
    created = created_ns // MINUTE_NS
    return created - LATE_MINUTES <= int(minute) <= created + 1
