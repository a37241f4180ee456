"""The private engine: dockerd and slirp4netns around one set of namespaces, which end with this process."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

COMMANDS = ("dockerd", "docker", "containerd", "runc", "iptables", "slirp4netns", "unshare", "nsenter", "setpriv")
START_S = 30.0
STOP_S = 20.0
CGROUP = "weir-engine"
DNS = "10.0.2.3"
"""slirp4netns's own forwarder to the host's resolver."""

_INIT = """
set -e
ip link set lo up
sysctl -qw net.ipv4.ip_forward=1
echo ready
read -r _
trap 'kill -TERM $daemon' TERM
dockerd --config-file "$1" >"$2" 2>&1 &
daemon=$!
while kill -0 $daemon 2>/dev/null; do wait || true; done
"""
"""Process 1 of the namespaces: forwarding before dockerd, which then leaves the FORWARD policy alone; a line on stdin
once there is a way out."""


class EngineError(Exception):
    """Why there is no engine, with what to do about it."""


class PrivateEngine:
    """`home`: where images and build cache stay from run to run; one engine at a time uses it."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._run = Path()
        self._lock: IO[str] | None = None
        self._init: subprocess.Popen[str] | None = None
        self._slirp: subprocess.Popen[bytes] | None = None
        self.pid = 0
        """Process 1 of the namespaces, as the host sees it."""

    @property
    def environment(self) -> dict[str, str]:
        """For docker and docker-compose: this engine, no user's contexts and plugins, the classic builder."""
        return {
            "DOCKER_HOST": f"unix://{self._run}/docker.sock", "DOCKER_CONFIG": str(self._run / "config"),
            "DOCKER_BUILDKIT": "0", "COMPOSE_DOCKER_CLI_BUILD": "0", "COMPOSE_INTERACTIVE_NO_CLI": "1",
        }

    @property
    def full_environment(self) -> dict[str, str]:
        return os.environ | self.environment

    def inside(self, command: Sequence[str]) -> list[str]:
        """`command` in the engine's network, where published ports are on 127.0.0.1."""
        return ["nsenter", f"--target={self.pid}", "--net", "--", *command]

    def docker(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["docker", *arguments], env=self.full_environment, check=check, text=True, capture_output=True
        )

    def __enter__(self) -> PrivateEngine:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Raises EngineError."""
        if os.geteuid() != 0:
            raise EngineError("a private Docker engine needs root")
        if missing := [name for name in COMMANDS if shutil.which(name) is None]:
            raise EngineError(
                f"not installed: {', '.join(missing)} (Debian: docker.io docker-compose slirp4netns iptables)"
            )
        self._home.mkdir(parents=True, exist_ok=True)
        self._lock = (self._home / "lock").open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        # A path of a socket is at most 107 bytes long: not below `home`.
        self._run = Path(tempfile.mkdtemp(prefix="weir-engine-", dir="/tmp"))
        try:
            self._start_namespaces()
            self._start_network()
            self._start_daemon()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Ends dockerd, then whatever is left in its namespaces; images and build cache stay."""
        if self._init is not None:
            _signal(self.pid or self._init.pid, signal.SIGTERM)
            _end(self._init, STOP_S)
        if self._slirp is not None:
            self._slirp.kill()
            _end(self._slirp, STOP_S)
        self._init = self._slirp = None
        for controller in Path("/sys/fs/cgroup").glob(f"*/{CGROUP}"):
            _remove_cgroup(controller)
        if self._run != Path():
            shutil.rmtree(self._run, ignore_errors=True)
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _start_namespaces(self) -> None:
        config = self._run / "daemon.json"
        config.write_text(json.dumps(self._daemon_settings()))
        (self._run / "config").mkdir()
        self._init = subprocess.Popen(
            [
                "setpriv", "--pdeathsig", "KILL", "unshare", "--net", "--mount", "--pid", "--fork", "--kill-child",
                "--mount-proc", "--propagation", "private",
                "bash", "-c", _INIT, "init", str(config), str(self._run / "dockerd.log"),
            ],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
        )
        assert self._init.stdout is not None
        if self._init.stdout.readline() != "ready\n":
            raise EngineError("no namespaces: see the lines above")
        children = Path(f"/proc/{self._init.pid}/task/{self._init.pid}/children").read_text().split()
        self.pid = int(children[0])

    def _daemon_settings(self) -> Mapping[str, object]:
        return {
            "data-root": str(self._home / "data"), "exec-root": str(self._run / "exec"),
            "pidfile": str(self._run / "dockerd.pid"), "hosts": [f"unix://{self._run}/docker.sock"],
            "storage-driver": "overlay2", "exec-opts": ["native.cgroupdriver=cgroupfs"],
            "cgroup-parent": f"/{CGROUP}", "dns": [DNS],
        }

    def _start_network(self) -> None:
        ready, told = os.pipe()
        self._slirp = subprocess.Popen(
            [
                "setpriv", "--pdeathsig", "KILL", "slirp4netns", "--configure", "--mtu=65520",
                "--disable-host-loopback", f"--ready-fd={told}", str(self.pid), "tap0",
            ],
            pass_fds=[told], stdout=subprocess.DEVNULL, stderr=(self._run / "slirp.log").open("wb"),
            start_new_session=True,
        )
        os.close(told)
        with os.fdopen(ready, "rb") as pipe:
            if not pipe.read(1):
                raise EngineError(f"slirp4netns: {_tail(self._run / 'slirp.log')}")

    def _start_daemon(self) -> None:
        assert self._init is not None
        assert self._init.stdin is not None
        self._init.stdin.write("go\n")
        self._init.stdin.flush()
        until = time.monotonic() + START_S
        while self.docker("version", check=False).returncode != 0:
            if self._init.poll() is not None or time.monotonic() > until:
                raise EngineError(f"dockerd does not answer: {_tail(self._run / 'dockerd.log')}")
            time.sleep(0.1)


def user_engine() -> bool:
    """`docker` of the machine reaches an engine, and compose is there."""
    if shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0


def _end(process: subprocess.Popen[str] | subprocess.Popen[bytes], wait_s: float) -> None:
    try:
        process.wait(wait_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def _tail(file: Path, size: int = 1500) -> str:
    return file.read_text(errors="replace")[-size:] if file.exists() else "(no log)"


def _remove_cgroup(folder: Path) -> None:
    for inner, _, _ in os.walk(folder, topdown=False):
        try:
            os.rmdir(inner)
        except OSError:
            pass  # still holds a process of somebody else's engine
