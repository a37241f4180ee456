"""Network namespaces for tests that capture live: uniquely named, joined by veth, always removed. Needs root.

    with joined("client", "server") as (client, server):
        with server.entered():              # this thread's sockets are made there
            listener = socket.create_server((server.address, 0))
        server.spawn("nginx", "-c", config) # a process in it, ended with it

Sockets stay in the namespace in which they were made, whatever the thread enters later.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

_CLONE_NEWNET = 0x40000000
_END_S = 5.0


class Namespace:
    """One network namespace with its end of a veth pair."""

    def __init__(self, name: str, interface: str, address: str, address6: str) -> None:
        self.name = name
        """As `ip netns` knows it."""
        self.interface = interface
        """Its end of the pair."""
        self.address = address
        self.address6 = address6
        self._processes: list[subprocess.Popen[bytes]] = []

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """This thread is in the namespace; others are not."""
        with _open("/proc/thread-self/ns/net") as home, _open(f"/run/netns/{self.name}") as there:
            _setns(there)
            try:
                yield
            finally:
                _setns(home)

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command in the namespace to its end; answers with its output."""
        return subprocess.run(
            self.command(*command), check=check, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL
        )

    def spawn(self, *command: str, stdout: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
        """Start a process in the namespace; it is ended with the namespace."""
        process = subprocess.Popen(
            self.command(*command), stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.DEVNULL
        )
        self._processes.append(process)
        return process

    def command(self, *command: str) -> list[str]:
        """`command` as it has to be started from outside."""
        return ["ip", "netns", "exec", self.name, *command]

    def end(self) -> None:
        """End what was started here."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            try:
                process.wait(_END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes.clear()


@contextlib.contextmanager
def joined(left: str = "a", right: str = "b", *, mtu: int = 1500) -> Iterator[tuple[Namespace, Namespace]]:
    """Two namespaces, each with a loopback device and one end of a veth pair, IPv4 and IPv6."""
    mark = secrets.token_hex(3)
    ends = [
        Namespace(f"weir-{mark}-{side}", f"v{mark}{position}", f"10.77.0.{position + 1}", f"fd77::{position + 1}")
        for position, side in enumerate((left, right))
    ]
    try:
        for end in ends:
            _ip("netns", "add", end.name)
        first, second = ends
        _ip(
            "link", "add", first.interface, "mtu", str(mtu), "netns", first.name, "type", "veth",
            "peer", "name", second.interface, "mtu", str(mtu), "netns", second.name,
        )
        for end in ends:
            _ip("-n", end.name, "addr", "add", f"{end.address}/24", "dev", end.interface)
            _ip("-n", end.name, "addr", "add", f"{end.address6}/64", "dev", end.interface, "nodad")
            _ip("-n", end.name, "link", "set", "lo", "up")
            _ip("-n", end.name, "link", "set", end.interface, "up")
        yield first, second
    finally:
        for end in ends:
            end.end()
        for end in ends:
            if Path(f"/run/netns/{end.name}").exists():
                _ip("netns", "delete", end.name)


def may_make_namespaces() -> bool:
    """Whether this process has the rights and the tools; tests skip otherwise."""
    return os.geteuid() == 0 and any((Path(folder) / "ip").exists() for folder in ("/sbin", "/usr/sbin", "/bin"))


@contextlib.contextmanager
def _open(path: str) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _setns(descriptor: int) -> None:
    """`os.setns` comes with Python 3.12."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, _CLONE_NEWNET) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"setns: {os.strerror(code)}")


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, timeout=30)
