"""`python -m weir.testing.kube`: a real control plane in the foreground, until ^C; kwok plays its nodes and pods."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path

from weir.testing.kube.control_plane import BARE, FULL, ControlPlane, NotStarted
from weir.testing.kube.programs import KubeMissing, version


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m weir.testing.kube", description=__doc__)
    parser.add_argument("--folder", type=Path, help="keep state, logs and kubeconfig there (default: a temporary one)")
    parser.add_argument("--nodes", type=int, default=2, help="how many played nodes (default 2)")
    parser.add_argument("--bare", action="store_true", help="etcd and the API server alone: nothing happens by itself")
    options = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with ExitStack() as stack:
        folder = options.folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="weir-kube-")))
        try:
            plane = ControlPlane(folder, parts=BARE if options.bare else FULL, nodes=options.nodes)
            stack.enter_context(plane)
        except KubeMissing as error:
            return _fail(f"{error}", "Go 1.26 builds it once; see go.dev/dl")
        except NotStarted as error:
            return _fail(f"{error}", f"the logs are in {folder}")
        sys.stdout.write(
            f"Kubernetes {version('k8s.io/kubernetes')} listens on {plane.url}\n"
            f"export KUBECONFIG={plane.kubeconfig} PATH={plane.bin}:$PATH\n"
            "^C ends it.\n"
        )
        sys.stdout.flush()
        stop.wait()
    return 0


def _fail(message: str, hint: str) -> int:
    sys.stderr.write(f"error: {message}\nhint: {hint}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
