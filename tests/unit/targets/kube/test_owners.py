from __future__ import annotations

import pytest

from weir.targets.kube.objects import Owner
from weir.targets.kube.owners import MINUTE_NS, workload_of

CREATED_NS = 29_000_000 * MINUTE_NS + 7


def owner(kind: str, name: str) -> Owner:
    return Owner(kind=kind, name=name, uid="u")


@pytest.mark.parametrize(
    ("of", "labels", "workload"),
    [
        (owner("ReplicaSet", "web-5d4f"), {"pod-template-hash": "5d4f"}, "deployment/web"),
        (owner("ReplicaSet", "web-a-5d4f"), {"pod-template-hash": "5d4f"}, "deployment/web-a"),
        (owner("ReplicaSet", "web-5d4f"), {"rollouts-pod-template-hash": "5d4f"}, "rollout/web"),
        (owner("ReplicaSet", "web-5d4f"), {}, "replicaset/web-5d4f"),
        (owner("ReplicaSet", "bare"), {"pod-template-hash": "bare"}, "replicaset/bare"),
        (owner("StatefulSet", "db"), {}, "statefulset/db"),
        (owner("DaemonSet", "logs"), {}, "daemonset/logs"),
        (owner("Job", "load"), {}, "job/load"),
        (owner("Job", "report-29000000"), {}, "cronjob/report"),
        (owner("Job", "report-28999000"), {}, "cronjob/report"),
        # Numbers that are no minute shortly before the pod was made.
        (owner("Job", "report-28990000"), {}, "job/report-28990000"),
        (owner("Job", "report-29000100"), {}, "job/report-29000100"),
        (owner("Job", "migrate-7"), {}, "job/migrate-7"),
        (owner("Job", "-29000000"), {}, "job/-29000000"),
        (owner("Job", "x-" + "9" * 5000), {}, "job/x-" + "9" * 5000),
        (owner("Job", "x-٢٩٠٠٠٠٠٠"), {}, "job/x-٢٩٠٠٠٠٠٠"),
        (owner("Node", "n0"), {}, "pod/p"),
        (None, {"pod-template-hash": "p"}, "pod/p"),
        (owner("TFJob", "train"), {}, "tfjob/train"),
    ],
)  # fmt: skip
def test_whom_a_pod_works_for(of: Owner | None, labels: dict[str, str], workload: str) -> None:
    assert workload_of("p", labels, of, CREATED_NS) == workload
