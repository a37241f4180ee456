"""`python -m weir.testing.cluster -- COMMAND…`: run a command beside a cluster of two real nodes.

KUBECONFIG, and kubectl and helm in PATH, are for the command; WEIR_CLUSTER is the folder with the nodes' logs.
Images: weir:dev (built from this folder's deploy/docker/Dockerfile) and apache/kafka, with imagePullPolicy Never.
One cluster runs on a machine at a time; a second waits, at most WEIR_CLUSTER_WAIT_S seconds (1800).
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from weir.testing.cluster import control, network
from weir.testing.cluster.cluster import Cluster, check_machine
from weir.testing.cluster.images import ClusterError, prepare
from weir.testing.cluster.turn import turn
from weir.testing.engine.__main__ import cache
from weir.testing.kube.control_plane import NotStarted
from weir.testing.kube.programs import KubeMissing

NO_CLUSTER = 4
KEEP = "WEIR_E2E_LOGS"
"""A folder to keep the logs in."""


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m weir.testing.cluster", description=__doc__)
    parser.add_argument("command", nargs="+")
    arguments = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    begun = time.monotonic()
    # Short: sockets are in there.
    folder = Path(tempfile.mkdtemp(prefix="weir-cluster-", dir="/tmp"))
    try:
        check_machine()
        images = prepare(cache(), Path.cwd())
        _say(f"images after {time.monotonic() - begun:.1f} s")
        with turn():
            begun = time.monotonic()
            network.leave_host()
            with Cluster(folder, images) as cluster:
                _say(f"two nodes after {time.monotonic() - begun:.1f} s more")
                return _run(cluster, arguments.command)
    except (ClusterError, KubeMissing, NotStarted, OSError, subprocess.CalledProcessError) as error:
        _say(str(error))
        return NO_CLUSTER
    finally:
        _keep_logs(folder)
        shutil.rmtree(folder, ignore_errors=True)


def _run(cluster: Cluster, command: list[str]) -> int:
    environment = os.environ | {
        "KUBECONFIG": str(cluster.plane.kubeconfig), control.VARIABLE: str(cluster.folder),
        "PATH": f"{cluster.plane.bin}:{os.environ['PATH']}",
    }  # fmt: skip
    for node in cluster.nodes:
        control.tell(node.folder, "up")
    with subprocess.Popen(command, env=environment) as process:
        try:
            while process.poll() is None:
                _obey(cluster)
                time.sleep(0.1)
        finally:
            process.terminate()
    return process.returncode


def _obey(cluster: Cluster) -> None:
    for node in cluster.nodes:
        if node.alive and control.wanted_down(node.folder):
            node.kill()
            control.tell(node.folder, "down")
        elif not node.alive and not control.wanted_down(node.folder):
            cluster.revive(node)
            control.tell(node.folder, "up")


def _keep_logs(folder: Path) -> None:
    kept = os.environ.get(KEEP)
    if kept:
        for log in (*folder.glob("*/*.log"), *folder.glob("*/logs/*/*/*.log")):
            target = Path(kept, "cluster", log.relative_to(folder))
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(log, target)


def _say(text: str) -> None:
    print(f"cluster: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
