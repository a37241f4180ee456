"""Namespaces, links and rules of one network, all removed at the end. Names are unique to a lab.

    with Lab() as lab:
        node = lab.space("node")
        lab.bridge(node, "br0", "10.1.0.1/24")
        pod = lab.bridged_pod(node, "a", "10.1.0.2", gateway="10.1.0.1")
"""

from __future__ import annotations

import contextlib
import secrets
import subprocess
from pathlib import Path
from typing import Self

from weir.testing.netns import Namespace

GATEWAY = "169.254.1.1"
"""What pods on routed links send to; the node answers with the link's own hardware address."""
_SYSCTL = ("ipv4.ip_forward=1", "ipv6.conf.all.disable_ipv6=1", "ipv6.conf.default.disable_ipv6=1",
           "ipv4.conf.all.rp_filter=0", "ipv4.conf.default.rp_filter=0")


class Lab:
    def __init__(self) -> None:
        self._mark = secrets.token_hex(3)
        self._spaces: list[Namespace] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for space in self._spaces:
            space.end()
        for space in self._spaces:
            if Path(f"/run/netns/{space.name}").exists():
                command("ip", "netns", "delete", space.name)

    def space(self, name: str, address: str = "", interface: str = "eth0") -> Namespace:
        """A namespace with nothing but a loopback device; it forwards and has no IPv6, which would talk by itself."""
        space = Namespace(f"weir-{self._mark}-{name}", interface, address, "")
        command("ip", "netns", "add", space.name)
        self._spaces.append(space)
        space.run("sh", "-c", " ".join(f"echo {value} > /proc/sys/net/{path.replace('.', '/')};"
                                       for path, _, value in (text.partition("=") for text in _SYSCTL)))
        ip(space, "link set lo up")
        return space

    def veth(self, left: Namespace, left_name: str, right: Namespace, right_name: str, mac: str = "") -> None:
        """Two ends, both up; `mac` is the right one's."""
        hardware = ("address", mac) if mac else ()
        command("ip", "link", "add", left_name, "netns", left.name, "type", "veth",
                "peer", "name", right_name, *hardware, "netns", right.name)
        ip(left, f"link set {left_name} up")
        ip(right, f"link set {right_name} up")

    def bridge(self, node: Namespace, name: str, address: str) -> None:
        """A bridge whose traffic passes the rules of the IP layer, as kube-proxy wants it."""
        ip(node, f"link add {name} type bridge", f"link set {name} type bridge mcast_snooping 0",
           f"addr add {address} dev {name}", f"link set {name} up")
        node.run("sh", "-c", "echo 1 > /proc/sys/net/bridge/bridge-nf-call-iptables")

    def bridged_pod(
        self, node: Namespace, name: str, address: str, *, gateway: str, bridge: str = "br0", hairpin: bool = False
    ) -> Namespace:
        pod = self.space(name, address)
        self.veth(node, f"v{name}", pod, "eth0")
        ip(pod, f"addr add {address}/24 dev eth0", f"route add default via {gateway}")
        ip(node, f"link set v{name} master {bridge}")
        if hairpin:
            ip(node, f"link set v{name} type bridge_slave hairpin on")
        return pod

    def routed_pod(self, node: Namespace, name: str, address: str) -> Namespace:
        """Its node has a route to it and no bridge; nobody asks for hardware addresses."""
        pod = self.space(name, address)
        self.veth(node, f"v{name}", pod, "eth0")
        ip(pod, f"addr add {address}/32 dev eth0", f"route add {GATEWAY} dev eth0 scope link",
           f"neigh add {GATEWAY} lladdr {mac_of(node, f'v{name}')} dev eth0 nud permanent",
           f"route add default via {GATEWAY} dev eth0")
        ip(node, f"route add {address} dev v{name} scope link",
           f"neigh add {address} lladdr {mac_of(pod, 'eth0')} dev v{name} nud permanent")
        return pod


def ip(space: Namespace, *lines: str) -> None:
    """Commands of ip(8), one after the other."""
    command("ip", "-n", space.name, "-batch", "-", text="\n".join(lines) + "\n")


def nat(node: Namespace, services: dict[str, str], *, masquerade: bool = False) -> None:
    """`ADDRESS:PORT` to `ADDRESS:PORT`, for UDP and TCP, for what is forwarded and for what the node itself sends; with
    `masquerade`, servers see the node's address instead of the client's."""
    rules = [
        f"ip daddr {front.partition(':')[0]} {kind} dport {front.partition(':')[2]} dnat to {behind}"
        for front, behind in services.items() for kind in ("tcp", "udp")
    ]
    chains = {
        "prerouting { type nat hook prerouting priority dstnat;": rules,
        "output { type nat hook output priority -100;": rules,
        "postrouting { type nat hook postrouting priority srcnat;": ["ct status dnat masquerade"] * masquerade,
    }
    body = "\n".join(f"chain {head}\n" + "\n".join(lines) + "\n}" for head, lines in chains.items())
    command(*node.command("nft", "-f", "-"), text=f"table ip weirlab {{\n{body}\n}}\n")


def mac_of(space: Namespace, interface: str) -> str:
    return space.run("cat", f"/sys/class/net/{interface}/address").stdout.strip()


def index_of(space: Namespace, interface: str) -> int:
    return int(space.run("cat", f"/sys/class/net/{interface}/ifindex").stdout)


def command(*argv: str, text: str = "") -> None:
    made = subprocess.run(argv, input=text, capture_output=True, text=True, timeout=30, check=False)
    if made.returncode:
        raise OSError(f"{' '.join(argv)}: {made.stderr.strip() or made.stdout.strip()} {text}")


def remove_link(space: Namespace, interface: str) -> None:
    with contextlib.suppress(OSError):
        ip(space, f"link delete {interface}")
