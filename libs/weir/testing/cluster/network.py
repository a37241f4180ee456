"""The network between the nodes: a bridge in a namespace of this process, and an address for each node."""

from __future__ import annotations

import ctypes
import os
import subprocess

_CLONE_NEWNET = 0x40000000
BRIDGE = "nodes"
HOST = "10.250.0.1"
"""This process and what it starts, as the nodes see them; the API server listens there."""
POD_RANGE = "10.244.0.0/16"


def node_address(number: int) -> str:
    return f"10.250.0.{10 + number}"


def pod_range(number: int) -> str:
    return f"10.244.{number}.0/24"


def leave_host() -> None:
    """Put this process into an empty network namespace; to be called before it has a second thread."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"unshare: {os.strerror(code)}")
    ip("link", "set", "lo", "up")
    ip("link", "add", BRIDGE, "type", "bridge")
    ip("addr", "add", f"{HOST}/24", "dev", BRIDGE)
    ip("link", "set", BRIDGE, "up")


def join(number: int, pid: int, nodes: int) -> None:
    """Give the namespace of process `pid` the address of that node, and the routes to the pods of the others.

    Routes of hosts instead of an overlay: what travels between nodes is what pods send.
    """
    port = f"node{number}"
    subprocess.run(["ip", "link", "delete", port], capture_output=True, check=False)
    ip("link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", str(pid))
    ip("link", "set", port, "master", BRIDGE, "up")
    inside = ("nsenter", f"--target={pid}", "--net", "--")
    run(*inside, "ip", "link", "set", "lo", "up")
    run(*inside, "ip", "addr", "add", f"{node_address(number)}/24", "dev", "eth0")
    run(*inside, "ip", "link", "set", "eth0", "up")
    run(*inside, "ip", "route", "add", "default", "via", HOST)
    for other in range(1, nodes + 1):
        if other != number:
            run(*inside, "ip", "route", "add", pod_range(other), "via", node_address(other))
    for setting in ("ip_forward", "conf.all.route_localnet"):
        run(*inside, "sysctl", "-qw", f"net.ipv4.{setting}=1")
    run(*inside, "sysctl", "-qw", "net.bridge.bridge-nf-call-iptables=1")
    ip("route", "replace", pod_range(number), "via", node_address(number))


def ip(*arguments: str) -> None:
    run("ip", *arguments)


def run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    if done.returncode:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip()}")
