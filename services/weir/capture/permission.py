"""Whether this process may capture, and if not, what it lacks and who gives it."""

from __future__ import annotations

import shlex
import socket
import sys
from collections.abc import Iterable
from pathlib import Path

from weir.errors import PermissionMissing, SourceError

CAP_NET_RAW = 13
"""Bit in CapEff (linux/capability.h): packet sockets, their rings and classic BPF need no more."""


def require_capture(interfaces: Iterable[str] = ()) -> None:
    """Return if live capture (on these interfaces) is possible here, else raise PermissionMissing or SourceError."""
    open_packet_socket().close()
    for interface in interfaces:
        interface_index(interface)


def interface_index(interface: str) -> int:
    """The kernel's number of an interface, 0 for `any`; SourceError with those that there are."""
    if interface == "any":
        return 0
    try:
        return socket.if_nametoindex(interface)
    except OSError:
        names = ", ".join(name for _, name in socket.if_nameindex())
        raise SourceError(f"there is no interface {interface!r}", hint=f"interfaces here are any, {names}") from None


def open_packet_socket() -> socket.socket:
    """A packet socket that receives nothing yet: protocol 0, so that no packet is queued before ring and filter are
    in place (packet(7))."""
    if sys.platform != "linux":
        raise SourceError(
            "live capture needs AF_PACKET, which only Linux has",
            hint="record with tcpdump and read the file: `tcpdump -w - | weir read -`",
        )
    try:
        return socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    except PermissionError:
        raise missing(_status()) from None
    except OSError as error:
        raise SourceError(
            f"this kernel opens no packet socket: {error.strerror}", hint="is it built with CONFIG_PACKET?"
        ) from None


def missing(status: str) -> PermissionMissing:
    """Why a packet socket was refused, from the text of /proc/self/status."""
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    held = int(fields.get("CapEff", "0"), 16) >> CAP_NET_RAW & 1
    if held:
        filtered = fields.get("Seccomp", "").strip() == "2"
        policy = "a seccomp profile" if filtered else "a security policy"
        return PermissionMissing(
            f"no permission to capture: CAP_NET_RAW is held, but {policy} refuses packet sockets",
            hint="allow socket(AF_PACKET) in the container's seccomp profile or in the host's policy",
        )
    python = shlex.quote(str(Path(sys.executable).resolve()))
    return PermissionMissing(
        "no permission to capture: this process lacks the capability CAP_NET_RAW",
        hint=f"sudo setcap cap_net_raw+ep {python} (or run weir with sudo; in a container, add NET_RAW)",
    )


def _status() -> str:
    try:
        return Path("/proc/self/status").read_text(encoding="utf-8")
    except OSError:
        return ""
