"""The cluster that `make e2e-cluster` provides, with the demo shop on it, and how it is asked."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from weir.testing.cluster.control import VARIABLE

HERE = Path(__file__).parent
SHOP = ("dns", "catalog", "payments", "checkout", "frontend", "visitors")
T = TypeVar("T")


class Cluster:
    def kubectl(self, *arguments: str, check: bool = True, timeout_s: float = 180) -> str:
        return self.run("kubectl", *arguments, check=check, timeout_s=timeout_s)

    def run(self, *command: str, check: bool = True, timeout_s: float = 180) -> str:
        """Standard output, or both outputs where a failure is allowed."""
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=timeout_s, check=False, stdin=subprocess.DEVNULL
        )
        assert not check or done.returncode == 0, f"{command}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
        return done.stdout if check else done.stdout + done.stderr

    def get(self, *arguments: str) -> Any:
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))

    def pods(self, namespace: str, selector: str = "") -> list[dict[str, Any]]:
        return list(self.get("pods", "-n", namespace, *(("-l", selector) if selector else ()))["items"])

    def ready_nodes(self) -> set[str]:
        nodes = self.get("nodes")["items"]
        return {
            node["metadata"]["name"]
            for node in nodes
            for condition in node["status"].get("conditions", ())
            if (condition["type"], condition["status"]) == ("Ready", "True")
        }

    def python_in(self, workload: str, code: str, namespace: str = "demo") -> str:
        """What a piece of Python prints in a pod of that workload."""
        return self.kubectl("exec", "-n", namespace, workload, "--", "python", "-c", code).strip()


def _wait_until(what: str, look: Callable[[], T], within_s: float) -> T:
    """The first answer of `look` that is true; what refuses to answer yet is no answer."""
    until = time.monotonic() + within_s
    last: object = None
    while time.monotonic() < until:
        try:
            last = found = look()
            if found:
                return found
        except (OSError, AssertionError, ValueError) as error:
            last = error
        time.sleep(0.25)
    raise AssertionError(f"{what}: not within {within_s:.0f} s, last seen: {last!r:.3000}")


@pytest.fixture(scope="session")
def wait_until() -> Callable[[str, Callable[[], T], float], T]:
    return _wait_until


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    if VARIABLE not in os.environ:
        pytest.skip("no cluster: start this by `make e2e-cluster`")
    return Cluster()


@pytest.fixture(scope="session")
def shop(cluster: Cluster) -> Iterator[str]:
    """The shop's namespace; every part of it runs, and visitors call."""
    cluster.kubectl("apply", "-f", str(HERE / "shop.yaml"))
    for part in SHOP:
        cluster.kubectl("rollout", "status", f"deployment/{part}", "-n", "demo", "--timeout=120s")
    yield "demo"
    cluster.kubectl("delete", "-f", str(HERE / "shop.yaml"), "--wait=false")
