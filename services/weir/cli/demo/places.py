"""Where each part of the shop is: addresses, ports and names, on loopback or from the environment."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from weir.model.control import EndpointRecord

DOMAIN = "demo.svc"
ROLES = ("dns", "catalog", "payments", "checkout", "frontend", "visitors")
"""In the order in which they can be started."""
PORTS = {"dns": 53, "catalog": 8080, "payments": 9090, "checkout": 8080, "frontend": 8080}
DNS_FALLBACK_PORT = 5300
"""For users who may not listen below 1024."""
_LAST_BYTE = {"visitors": 10, "frontend": 11, "checkout": 12, "catalog": 13, "payments": 14, "dns": 15}


class Places(msgspec.Struct, frozen=True, kw_only=True):
    hosts: dict[str, str]
    """Role to IP address, or to a host name that the system resolves."""
    ports: dict[str, int]
    own_addresses: bool
    """Each role listens on and calls from its own address; else it uses every address of its machine."""

    def listen(self, role: str) -> tuple[str, int]:
        return (self.hosts[role] if self.own_addresses else "0.0.0.0", self.ports[role])

    def source(self, role: str) -> tuple[str, int] | None:
        """The local address of the role's outgoing connections."""
        return (self.hosts[role], 0) if self.own_addresses else None

    def url(self, role: str) -> str:
        return f"http://{name_of(role)}:{self.ports[role]}"

    def with_port(self, role: str, port: int) -> Places:
        return msgspec.structs.replace(self, ports=self.ports | {role: port})

    def endpoints(self) -> list[EndpointRecord]:
        """Static naming: each address, and each port that something listens at."""
        return [record for role in ROLES for record in self._endpoints_of(role)]

    def _endpoints_of(self, role: str) -> list[EndpointRecord]:
        anywhere = EndpointRecord(
            address=self.hosts[role], uid=f"static/demo-{role}", name=role, namespace="demo",
            workload=f"deployment/{role}", targeted=True, rules=["demo"],
        )
        if role not in self.ports:
            return [anywhere]
        port = self.ports[role]
        listening = msgspec.structs.replace(anywhere, uid=f"static/demo-{role}-{port}", port=port, listens=True)
        return [anywhere, listening]


def loopback(block: int = 0) -> Places:
    """127.7.BLOCK.10 and up."""
    hosts = {role: f"127.7.{block}.{last}" for role, last in _LAST_BYTE.items()}
    return Places(hosts=hosts, ports=dict(PORTS), own_addresses=True)


def from_environment(environ: Mapping[str, str]) -> Places:
    """`WEIR_DEMO_CATALOG=host` and so on; a role's own name is its default host."""
    hosts = {role: environ.get(f"WEIR_DEMO_{role.upper()}", role) for role in ROLES}
    return Places(hosts=hosts, ports=dict(PORTS), own_addresses=False)


def name_of(role: str) -> str:
    return f"{role}.{DOMAIN}"
