"""`weir.entries`: one decoded entry for each record. This is the public contract.

Names are the variables of the filter language: what a person reads in an entry is what they type in a filter.
An entry travels as one flat MessagePack map: the fields of `Entry`, with `fields` (declared by the dissectors:
`method`, `path`, `status_code`, `dns_name`, …) lifted to the top level. Fields at their default are left out.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Value = str | int | float | bool | bytes | list[Any] | dict[str, Any] | None
EntryMap = dict[str, Any]
"""An entry in its public form."""

Kind = Literal["exchange", "message", "flow", "handshake"]

ENTRY_VERSION = 1


class Named(msgspec.Struct, frozen=True, omit_defaults=True):
    """A Kubernetes object by name and namespace."""

    name: str = ""
    namespace: str = ""


class Peer(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One end of a conversation, named as it was at the packet's time."""

    ip: str = ""
    """Address as text."""
    port: int = 0
    """Transport port; 0 where there is none."""
    name: str = ""
    """The best name known: pod, else service, else host name; empty if the address cannot be told."""
    namespace: str = ""
    """Kubernetes namespace of the pod, else of the service."""
    pod: Named | None = None
    """Pod behind the address."""
    service: Named | None = None
    """Service the pod belongs to, or whose address this is."""
    workload: str = ""
    """Owner as `kind/name`, e.g. `deployment/checkout`."""
    node: str = ""
    """Kubernetes node of the pod."""
    labels: dict[str, str] = {}
    """Chosen labels of the pod."""
    role: str = ""
    """What the address is: `pod`, `host` (a node's own), `service` (cluster IP, node port, load balancer) or `outside`;
    absent where nobody says."""


class Body(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A message body after transfer and content decoding; cut at the stated size."""

    size: int = 0
    """True size in bytes after decoding, whatever was kept."""
    text: str = ""
    """The kept bytes, where they are UTF-8."""
    data: bytes = b""
    """The kept bytes, where they are not (base64 in JSON)."""
    truncated: bool = False
    """Fewer bytes were kept than there were."""
    encoding: str = ""
    """Content coding that was undone, e.g. `gzip`; prefixed with `?` if it could not be undone."""


class Message(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One direction of an exchange."""

    timestamp: int = 0
    """Capture time of its first byte, ns since epoch."""
    end: int = 0
    """Capture time of its last byte, ns since epoch."""
    size: int = 0
    """Bytes on the wire, protocol framing included."""
    headers: dict[str, str] = {}
    """Header fields, names in lower case; repeated ones are joined with `, ` (`Set-Cookie` with a line feed)."""
    trailers: dict[str, str] = {}
    """Trailer fields, as `headers`."""
    body: Body | None = None
    """Body, if there was one."""


class Entry(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One exchange, message, handshake or flow."""

    v: int = ENTRY_VERSION
    """Major version of this contract; additions do not change it."""
    id: str
    """Stable name: the same bytes on the wire give the same id in every run and on every node."""
    version: int = 1
    """A fuller copy of an entry has a higher version and replaces the poorer one."""
    instance: str = ""
    """The weir installation that made it."""
    cluster: str = ""
    """The cluster, as named in the settings."""
    node_name: str = ""
    """Node on which the packets were captured."""
    timestamp: int
    """Capture time of the first byte, ns since epoch, UTC."""
    elapsed_time: int = 0
    """From the first byte of the request to the first byte of the response, µs; a flow's duration."""

    protocol: str
    """Protocol: `http` for every HTTP version, `grpc`, `dns`, `tls`; `tcp`, `udp` or `icmp` for a flow."""
    kind: Kind
    """`exchange`, `message`, `handshake` or `flow`."""
    flow_id: str
    """Name of the conversation; the same for all its entries."""
    community_id: str = ""
    """Community ID v1 of the conversation, for joining with Zeek, Suricata or Packetbeat."""
    transport: str = "tcp"
    """`tcp`, `udp` or `icmp`."""
    stream_id: int = 0
    """Stream within the conversation (HTTP/2)."""

    src: Peer
    """The client: who asked."""
    dst: Peer
    """The server: who was asked."""
    direction: str = ""
    """How client and server were told apart: `syn`, `listener`, `protocol` or `port`."""

    request: Message | None = None
    response: Message | None = None
    ok: bool | None = None
    """Whether it went well by the protocol's own measure; absent where that cannot be told."""
    summary: str = ""
    """One line for a list."""
    fields: dict[str, Any] = {}
    """Protocol fields, lifted to the top level of the public form; see the dissectors' declarations."""

    tls: bool = False
    """Read in clear through the TLS tracer."""
    source: str = ""
    """Which capture source saw the packets, e.g. `af_packet` or `pcap`."""
    sample_rate: float = 1.0
    """Share of conversations kept when this one was; an entry stands for 1 / sample_rate of them."""
    tags: list[str] = []
    """`probe`: the kubelet's. `service-view`: seen in front of a service's NAT, and again behind it. Lists leave
    both out unless asked."""
    weird: list[str] = []
    """What was odd about the traffic."""
    incomplete: list[str] = []
    """What is missing, and why."""

    def to_map(self) -> EntryMap:
        """The public form: a flat map of plain values; bytes stay bytes."""
        entry: EntryMap = {"v": self.v} | msgspec.to_builtins(self, builtin_types=(bytes,))
        fields = entry.pop("fields", None)
        if fields:
            entry.update(fields)
        return entry
