"""One node: a tree of processes in namespaces of its own, with containerd, kubelet and kube-proxy in it.

Killing its first process is what a loss of power is to a machine: everything in it ends at once. What is on its disk
(images, logs, the leases of addresses) is there when it is started again.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from weir.testing.cluster import network
from weir.testing.cluster.images import PAUSE_TAG, ClusterError
from weir.testing.kube.children import Child
from weir.testing.kube.control_plane import ControlPlane

START_S = 90.0
IMPORT_S = 300
CGROUPS = Path("/sys/fs/cgroup")
CPU_SHARES = 8 * 1024
"""Of all pods of a node together, and of all that holds the cluster together, where others have 1024 a session: else
they starve on a machine where others work, too."""
CNI_PLUGINS = Path("/usr/lib/cni")
_FIRST = """
set -e
hostname "$0"
mount -t tmpfs tmpfs /run/netns
mount --make-rshared /
trap 'exit 0' TERM
sleep infinity & while :; do wait || :; done
"""
"""Process 1 of a node. CNI keeps namespaces in /run/netns: the node's own; volumes that mount what the node mounts
later need a shared tree. The shell reaps what containers leave behind."""


class Node:
    """`number` from 1 on; its name is n1 and so on."""

    def __init__(self, number: int, nodes: int, folder: Path, plane: ControlPlane) -> None:
        self.number = number
        self.name = f"n{number}"
        self.address = network.node_address(number)
        self.folder = folder / self.name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.socket = self.folder / "containerd.sock"
        self._nodes = nodes
        self._plane = plane
        self._cgroup = f"weir-{self.name}"
        self._first = Child("first", self.folder / "node.log")
        self._programs = [Child(name, self.folder / f"{name}.log") for name in ("containerd", "kubelet", "kube-proxy")]
        self._pid = 0

    @property
    def alive(self) -> bool:
        return self._first.alive

    def start(self, images: Sequence[Path]) -> None:
        """Until it is Ready. Raises ClusterError."""
        for controller in _controllers():
            (controller / self._cgroup).mkdir(exist_ok=True)
            for name in ("cpuset.cpus", "cpuset.mems"):
                if (controller / name).exists():
                    (controller / self._cgroup / name).write_text((controller / name).read_text())
            if (controller / self._cgroup / "cpu.shares").exists():
                (controller / self._cgroup / "cpu.shares").write_text(str(CPU_SHARES))
        # A machine's /run, empty after each start.
        shutil.rmtree(self.folder / "run", ignore_errors=True)
        self._start_namespaces()
        self._write_settings()
        containerd, kubelet, proxy = self._programs
        self._enter(containerd, ["containerd", "--config", str(self.folder / "containerd.toml")])
        self._until("containerd", lambda: self._ctr("version").returncode == 0)
        self._import(images)
        self._enter(kubelet, [
            str(self._plane.bin / "kubelet"), f"--config={self.folder / 'kubelet.json'}", f"--node-ip={self.address}",
            f"--kubeconfig={self._plane.kubeconfig_of(f'system:node:{self.name}')}",
            f"--root-dir={self.folder / 'kubelet'}", f"--hostname-override={self.name}",
        ])  # fmt: skip
        self._enter(proxy, [str(self._plane.bin / "kube-proxy"), f"--config={self.folder / 'kube-proxy.json'}"])

    def wait_ready(self) -> None:
        self._until("kubelet", self._is_ready)

    def kill(self) -> None:
        """Everything on it ends at once."""
        if self._pid and self._first.alive:
            self._first.kill()
        for child in self._programs:
            child.kill()
        end = time.monotonic() + 10
        while time.monotonic() < end and self._left():
            time.sleep(0.05)

    def clean(self) -> None:
        """Take away what outlives the processes: control groups."""
        for controller in _controllers():
            for inner, _, _ in os.walk(controller / self._cgroup, topdown=False):
                with contextlib.suppress(OSError):
                    os.rmdir(inner)

    def _start_namespaces(self) -> None:
        os.makedirs("/run/netns", exist_ok=True)
        self._first.start([
            "unshare", "--net", "--uts", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child",
            "--mount-proc", "bash", "-c", _FIRST, self.name,
        ])  # fmt: skip
        self._until("namespaces", lambda: bool(self._children_of_first()))
        self._pid = self._children_of_first()[0]
        # The child is there before it has left the namespaces that it will leave.
        own = os.readlink("/proc/self/ns/mnt")
        self._until("namespaces", lambda: os.readlink(f"/proc/{self._pid}/ns/mnt") != own)
        self._until("namespaces", lambda: "/run/netns" in Path(f"/proc/{self._pid}/mounts").read_text())
        network.join(self.number, self._pid, self._nodes)

    def _children_of_first(self) -> list[int]:
        pid = self._first.pid
        try:
            return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        except FileNotFoundError:
            return []

    def _enter(self, child: Child, command: Sequence[str]) -> None:
        child.start(["nsenter", f"--target={self._pid}", "--mount", "--pid", "--net", "--uts", "--", *command])

    def _ctr(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["ctr", "--address", str(self.socket), "--namespace", "k8s.io", *arguments], capture_output=True, text=True,
            timeout=IMPORT_S, check=False,
        )  # fmt: skip

    def _import(self, images: Sequence[Path]) -> None:
        for image in images:
            done = self.folder / f"{image.stem}.imported"
            if done.exists():
                continue
            answer = self._ctr("images", "import", str(image))
            if answer.returncode:
                raise ClusterError(f"{self.name}: {image.name}: {answer.stderr[-1000:]}")
            done.touch()

    def _until(self, what: str, done: Callable[[], bool]) -> None:
        end = time.monotonic() + START_S
        while not done():
            for child in (self._first, *self._programs):
                if child.process is not None and not child.alive:
                    raise ClusterError(f"{self.name}: {child.name} ended: {child.tail()}")
            if time.monotonic() > end:
                raise ClusterError(f"{self.name}: {what} does not come: {self._programs[1].tail()}")
            time.sleep(0.05)

    def _is_ready(self) -> bool:
        for node in self._plane.api.get("/api/v1/nodes")["items"]:
            if node["metadata"]["name"] == self.name:
                found = {item["type"]: item["status"] for item in node["status"].get("conditions", ())}
                return found.get("Ready") == "True"
        return False

    def _left(self) -> bool:
        return any(file.read_text() for file in (CGROUPS / "pids" / self._cgroup).rglob("cgroup.procs"))

    def _write_settings(self) -> None:
        (self.folder / "cni").mkdir(exist_ok=True)
        files = {
            "containerd.toml": self._containerd(), "kubelet.json": json.dumps(self._kubelet()),
            "kube-proxy.json": json.dumps(self._kube_proxy()), "cni/pods.conflist": json.dumps(self._cni()),
        }  # fmt: skip
        for name, text in files.items():
            (self.folder / name).write_text(text)

    def _containerd(self) -> str:
        # Where root lacks CAP_SYS_RESOURCE, a negative score for the out-of-memory killer is refused.
        return f"""version = 2
root = "{self.folder / "containerd"}"
state = "{self.folder / "run"}"
[grpc]
  address = "{self.socket}"
[plugins."io.containerd.grpc.v1.cri"]
  restrict_oom_score_adj = true
  disable_apparmor = true
  sandbox_image = "{PAUSE_TAG}"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{CNI_PLUGINS}"
    conf_dir = "{self.folder / "cni"}"
"""

    def _cni(self) -> object:
        ranges = [[{"subnet": network.pod_range(self.number)}]]
        bridge = {
            # No masquerading: within the cluster a pod is seen by its own address, and there is no outside.
            "type": "bridge", "bridge": "cni0", "isGateway": True, "ipMasq": False, "hairpinMode": True,
            "ipam": {
                "type": "host-local", "dataDir": str(self.folder / "addresses"), "ranges": ranges,
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        }  # fmt: skip
        ports = {"type": "portmap", "capabilities": {"portMappings": True}}
        return {"cniVersion": "1.0.0", "name": "pods", "plugins": [bridge, ports]}

    def _kubelet(self) -> object:
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
            "failCgroupV1": False, "cgroupDriver": "cgroupfs",
            # Of its own: two kubelets in one tree remove each other's pods.
            "cgroupRoot": f"/{self._cgroup}",
            "containerRuntimeEndpoint": f"unix://{self.socket}", "address": self.address, "healthzPort": 0,
            "authentication": {
                "anonymous": {"enabled": False}, "webhook": {"enabled": True},
                "x509": {"clientCAFile": str(self._plane.ca_file)},
            },
            "authorization": {"mode": "Webhook"},
            "clusterDomain": "cluster.local", "clusterDNS": ["10.96.0.10"],
            "oomScoreAdj": 0, "failSwapOn": False, "podLogsDir": str(self.folder / "logs"),
            "volumePluginDir": str(self.folder / "plugins"),
            "imageGCHighThresholdPercent": 100, "imageGCLowThresholdPercent": 99,
            "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
            "nodeStatusUpdateFrequency": "5s", "syncFrequency": "10s",
        }  # fmt: skip

    def _kube_proxy(self) -> object:
        return {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration",
            "mode": "iptables", "hostnameOverride": self.name, "clusterCIDR": network.POD_RANGE,
            "clientConnection": {"kubeconfig": str(self._plane.kubeconfig_of("system:kube-proxy"))},
            # Those settings are the host's, outside the first network namespace they are read-only.
            "conntrack": {
                "maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s",
            },
            "healthzBindAddress": "", "metricsBindAddress": f"{self.address}:10249",
        }  # fmt: skip


def _controllers() -> list[Path]:
    """The hierarchies of cgroup v1."""
    found = [path.parent for path in CGROUPS.glob("*/cgroup.procs") if path.parent.name != "unified"]
    return [folder for folder in found if folder.is_dir() and not folder.is_symlink()]
