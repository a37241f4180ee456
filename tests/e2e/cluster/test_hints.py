"""Symptoms that the notes of the chart and the guide name are those that real nodes show."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from weir.testing.cluster.installation import CHART

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

NAMESPACE = "hints"


@pytest.fixture(scope="module")
def notes(cluster: Any) -> Iterator[str]:
    """What Helm says of an installation whose images no node has, one of which is pulled."""
    yield cluster.run(
        "helm", "install", "lost", CHART, "-n", NAMESPACE, "--create-namespace",
        "--set", "image.repository=weir,image.tag=nowhere,image.pullPolicy=Never",
        "--set", "kafka.image=registry.invalid/kafka:1",
    )  # fmt: skip
    cluster.run("helm", "uninstall", "lost", "-n", NAMESPACE)


def waiting(cluster: Any) -> dict[str, str]:
    """Why each component's container does not run."""
    return {
        pod["metadata"]["labels"]["app.kubernetes.io/component"]: status["state"]["waiting"]["reason"]
        for pod in cluster.pods(NAMESPACE)
        for status in pod["status"].get("containerStatuses", ())
        if "waiting" in status["state"]
    }


def test_images_that_no_node_has(cluster: Any, notes: str, wait_until: Any) -> None:
    reasons = wait_until("pods that wait", lambda: (
        found if len(found := waiting(cluster)) == 7 and "ContainerCreating" not in found.values() else None
    ), 90)
    assert reasons.pop("kafka") in ("ErrImagePull", "ImagePullBackOff")
    assert set(reasons.values()) == {"ErrImageNeverPull"}
    told = notes.replace("\n", " ")
    assert "ErrImagePull, ErrImageNeverPull" in told
    assert "No node can get weir:nowhere or registry.invalid/kafka:1." in told
    assert "Load it into the nodes, or set image.repository and image.pullSecrets." in " ".join(told.split())


def test_the_guide_s_command_shows_the_reason(cluster: Any, notes: str, wait_until: Any) -> None:
    wait_until("pods that wait", lambda: len(waiting(cluster)) == 7, 90)
    shown = cluster.kubectl("get", "events", "--field-selector", "type=Warning", "-n", NAMESPACE)
    assert 'Container image "weir:nowhere" is not present with pull policy of Never' in shown
