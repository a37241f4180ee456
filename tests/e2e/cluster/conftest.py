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
from weir.testing.cluster.installation import Installation

HERE = Path(__file__).parent
SHOP = ("dns", "catalog", "payments", "checkout", "frontend", "visitors")
T = TypeVar("T")
CALLS = """
import http.client
for trace in {traces!r}:
    connection = http.client.HTTPConnection({host!r}, 8080, timeout=10)
    connection.connect()
    print(connection.sock.getsockname()[1])
    connection.request("GET", {path!r} + "?trace=" + trace)
    assert connection.getresponse().read()
    connection.close()
"""


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

    def call(self, workload: str, host: str, path: str, traces: list[str]) -> list[int]:
        """One call on a connection of its own for each trace, from a pod of the workload; their local ports."""
        code = CALLS.format(host=host, path=path, traces=traces)
        return [int(port) for port in self.python_in(workload, code).split()]

    def pod_of(self, workload: str) -> dict[str, Any]:
        (pod,) = self.pods("demo", f"app={workload}")
        return pod


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
        if os.environ.get("WEIR_REQUIRE"):
            pytest.fail("no cluster, and WEIR_REQUIRE is set: start this by `make e2e-cluster`")
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


@pytest.fixture(scope="session")
def weir(cluster: Cluster, shop: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Installed while the shop was running, without a rule; ready."""
    installation = Installation("weir", "weir", tmp_path_factory.mktemp("weir"))
    try:
        installation.install("--values", str(HERE / "values.yaml"))
        yield installation
    finally:
        installation.uninstall()
