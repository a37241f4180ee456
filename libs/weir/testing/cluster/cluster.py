"""The cluster as a whole: control plane, nodes, DNS; up, down, and a node that fails and comes back."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

from weir.testing.cluster import network
from weir.testing.cluster.images import COREDNS_TAG, ClusterError
from weir.testing.cluster.node import CGROUPS, CNI_PLUGINS, CPU_SHARES, Node
from weir.testing.kube.control_plane import BARE, ControlPlane

COMMANDS = ("containerd", "ctr", "runc", "unshare", "nsenter", "ip", "iptables", "sysctl", "mount", "bash", "hostname")
NODES = 2
# Of the whole machine, and the kubelet writes them.
TUNED = ("vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops")


class Cluster:
    """State and logs are in `folder`; its path is short, because sockets are there (at most 107 bytes)."""

    def __init__(self, folder: Path, images: Sequence[Path]) -> None:
        self.folder = folder
        self._images = list(images)
        names = [f"n{number}" for number in range(1, NODES + 1)]
        users: dict[str, Sequence[str]] = {f"system:node:{name}": ("system:nodes",) for name in names}
        self.plane = ControlPlane(
            folder / "plane", parts=(*BARE, "kube-controller-manager", "kube-scheduler"), address=network.HOST,
            users=users | {"system:kube-proxy": ()}, flags=_flags(folder / "plane"),
        )  # fmt: skip
        self.nodes = [Node(number, NODES, folder, self.plane) for number in range(1, NODES + 1)]
        self._tuned = contextlib.ExitStack()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Until both nodes are Ready and names resolve. Raises ClusterError, NotStarted."""
        self._tuned.enter_context(_restored(TUNED))
        self._tuned.enter_context(_shared(CGROUPS / "cpu"))
        self.plane.start()
        with ThreadPoolExecutor(NODES) as together:
            list(together.map(self._start_node, self.nodes))
        manifest = Path(__file__).with_name("coredns.yaml").read_text().replace("IMAGE", COREDNS_TAG)
        self.plane.kubectl("apply", "-f", "-", stdin=manifest)
        self.plane.rolled_out("coredns", "kube-system")

    def stop(self) -> None:
        for node in self.nodes:
            node.kill()
        self.plane.stop()
        for node in self.nodes:
            node.clean()
        self._tuned.close()

    def revive(self, node: Node) -> None:
        """After `node.kill()`: it comes back with what was on its disk."""
        self._start_node(node)

    def _start_node(self, node: Node) -> None:
        node.start(self._images)
        node.wait_ready()
        self.plane.api.patch(f"/api/v1/nodes/{node.name}", {"spec": {
            "podCIDR": network.pod_range(node.number), "podCIDRs": [network.pod_range(node.number)],
        }})  # fmt: skip


def check_machine() -> None:
    """Raises ClusterError with what is missing."""
    if os.geteuid() != 0:
        raise ClusterError("nodes need root")
    if missing := [name for name in COMMANDS if shutil.which(name) is None]:
        raise ClusterError(f"not installed: {', '.join(missing)} (Debian: containerd runc iproute2 iptables procps)")
    if not (CNI_PLUGINS / "bridge").exists():
        raise ClusterError(f"no CNI plugins in {CNI_PLUGINS} (Debian: containernetworking-plugins)")
    if not (CGROUPS / "pids").is_dir():
        raise ClusterError("control groups of version 1 are needed, one hierarchy a controller")


def _flags(folder: Path) -> dict[str, Sequence[str]]:
    return {
        "kube-apiserver": (
            "--enable-admission-plugins=NodeRestriction",
            f"--client-ca-file={folder / 'ca.pem'}", f"--kubelet-client-certificate={folder / 'client.pem'}",
            f"--kubelet-client-key={folder / 'client.key'}", "--kubelet-preferred-address-types=InternalIP,Hostname",
            "--endpoint-reconciler-type=lease",
        ),
        "kube-controller-manager": (
            # Each node knows its own range, and a node that is gone shall be missed soon.
            "--allocate-node-cidrs=false", f"--cluster-cidr={network.POD_RANGE}",
            "--node-monitor-grace-period=20s", "--node-startup-grace-period=60s", "--use-service-account-credentials",
        ),
    }  # fmt: skip


@contextlib.contextmanager
def _restored(names: Sequence[str]) -> Iterator[None]:
    files = [Path("/proc/sys", name) for name in names]
    before = [file.read_text() for file in files]
    try:
        yield
    finally:
        for file, text in zip(files, before, strict=True):
            if file.read_text() != text:
                file.write_text(text)


@contextlib.contextmanager
def _shared(controller: Path) -> Iterator[None]:
    """Inside the block this process, and what it starts, has a share of the processors of its own."""
    group = controller / "weir-plane"
    group.mkdir(exist_ok=True)
    (group / "cpu.shares").write_text(str(CPU_SHARES))
    (group / "cgroup.procs").write_text(str(os.getpid()))
    try:
        yield
    finally:
        (controller / "cgroup.procs").write_text(str(os.getpid()))
        with contextlib.suppress(OSError):
            group.rmdir()
