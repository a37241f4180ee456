"""Entries in their public form, their ids, and the names of their ends.

The map is built directly, from what was computed once for its conversation; it equals `Entry.to_map()` of the same
values (a test holds it to that). Maps of one conversation share the maps of their ends: readers do not change them.
Ids are explained in docs/adr/0003-entry-ids.md.
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from weir.decode import outcome
from weir.decode.flows import Flow, totals
from weir.decode.identify import Names
from weir.decode.naming import (
    PROBE,
    PROBE_AGENT,
    PROBE_BYTES,
    PROBE_NS,
    PROBE_PACKETS,
    SERVICE_VIEW,
    Ends,
    Naming,
    is_front,
    may_be_kubelet,
)
from weir.decode.redact import Redactor
from weir.dissect.api import Exchange
from weir.engine.reassembly import sequence_at
from weir.model.control import Redaction
from weir.model.entry import ENTRY_VERSION, EntryMap, Message
from weir.model.flow import TCP, UDP, community_id, flow_id

ID_BYTES = 14
MINUTE = 60_000_000_000
CLOSED = frozenset({"fin", "rst", "idle", "reused"})
"""Endings after which a conversation is over; at the others only watching it ended."""


class Face(msgspec.Struct):
    """What all entries of one conversation share."""

    flow_id: str
    names: int
    """Version of the names that it was made with."""
    client: int
    ends: Ends
    kubelet: bool
    """The client can be the kubelet."""
    base: dict[str, Any]
    """The part of the public form that is the same for all."""


class EntryMaker:
    """Makes the entries of one shard."""

    def __init__(self, names: Names, *, instance: str = "", cluster: str = "") -> None:
        self.names = names
        self.naming = Naming(names)
        self.redactor = Redactor(Redaction())
        self.show_bytes = True
        """Flow entries of what nobody reads show its first bytes."""
        self._fixed = {k: v for k, v in (("v", ENTRY_VERSION), ("instance", instance), ("cluster", cluster)) if v}
        self._faces: dict[bytes, Face] = {}

    def forget(self, key: bytes) -> None:
        self._faces.pop(key, None)

    def clear(self) -> None:
        self._faces.clear()

    def exchange(self, flow: Flow, exchange: Exchange) -> EntryMap:
        face = self._face(flow)
        request, response = exchange.request, exchange.response
        first = request or response
        timestamp = (first.timestamp if first is not None else 0) or flow.last
        entry = face.base.copy()
        entry["id"] = self._exchange_id(flow, exchange, timestamp)
        entry["timestamp"] = timestamp
        entry["protocol"] = exchange.protocol
        entry["kind"] = exchange.kind
        if face.kubelet:
            _tag_probe(entry, flow, request)
        incomplete = exchange.incomplete
        if flow.snapped:
            incomplete = [*incomplete, "datagram cut by the snap length"]
        if incomplete:
            entry["incomplete"] = incomplete
            entry["version"] = 0
        if exchange.stream_id:
            entry["stream_id"] = exchange.stream_id
        if request is not None:
            entry["request"] = _message(request)
        if response is not None:
            entry["response"] = _message(response)
            if request is not None:
                elapsed = (response.timestamp - request.timestamp) // 1000
                if elapsed > 0:
                    # Less than nothing: the clocks of two nodes, or a response that was sent unasked.
                    entry["elapsed_time"] = elapsed
        if exchange.ok is not None:
            entry["ok"] = exchange.ok
        if exchange.summary:
            entry["summary"] = exchange.summary
        if exchange.weird:
            entry["weird"] = exchange.weird
        if exchange.fields:
            entry.update(exchange.fields)
        return self.redactor.apply(entry)

    def flow(self, flow: Flow, how: str) -> EntryMap:
        """The flow's own entry: its opening (`how` is empty) or its end."""
        entry = self._face(flow).base.copy()
        tcp = flow.wire.protocol == TCP
        closed = how in CLOSED
        flow.entry_id = entry["id"] = flow.entry_id or flow_entry_id(flow)
        if not how:
            entry["version"] = 0
        elif not flow.wire.outline:
            entry["version"] = 2
        entry["timestamp"] = flow.first
        elapsed = max(flow.last - flow.first, 0) // 1000
        if elapsed:
            entry["elapsed_time"] = elapsed
        entry["protocol"] = flow.transport
        entry["kind"] = "flow"
        if flow.probing > 0 or (closed and tcp and self._face(flow).kubelet and _is_brief(flow)):
            entry["tags"] = [*entry.get("tags", ()), PROBE]
        ok = outcome.went_well(flow, how)
        if ok is not None:
            entry["ok"] = ok
        fields = _flow_fields(flow, "conn" if tcp else "flow", how, closed)
        if flow.why:
            fields["undecoded"] = flow.why
        if self.show_bytes and flow.heads:
            for name, end in (("first_bytes_client", flow.client), ("first_bytes_server", 1 - flow.client)):
                if flow.heads[end]:
                    fields[name] = flow.heads[end].hex()
        weird = _weird(flow)
        if weird:
            entry["weird"] = weird
        entry["summary"] = outcome.summary(flow, how)
        entry.update(fields)
        return self.redactor.apply(entry)

    def _face(self, flow: Flow) -> Face:
        face = self._faces.get(flow.key)
        if (
            face is None or face.names != self.naming.version or face.client != flow.client
            or face.base.get("direction", "") != flow.direction
            or (flow.wire.protocol == UDP and face.ends != self._ends(flow))
        ):
            face = self._faces[flow.key] = self._make_face(flow)
        return face

    def _ends(self, flow: Flow) -> Ends:
        """Who client and server are. A connection keeps its ends; datagrams between the same ports may come from
        another pod than those before."""
        client, server = _places(flow)
        first, last = flow.first if flow.wire.protocol == TCP else flow.last, flow.last
        return self.naming.who(*client, first, last), self.naming.who(*server, first, last)

    def _make_face(self, flow: Flow) -> Face:
        wire = flow.wire
        (client, server), ends = _places(flow), self._ends(flow)
        base: dict[str, Any] = dict(self._fixed)
        if flow.node:
            base["node_name"] = flow.node
        if flow.source:
            base["source"] = flow.source
        name = flow_id(flow.key)
        base["flow_id"] = name
        base["community_id"] = community_id(wire)
        if wire.protocol != TCP:
            base["transport"] = flow.transport
        base["src"] = self.naming.peer(*client, ends[0])
        base["dst"] = self.naming.peer(*server, ends[1])
        if flow.direction:
            base["direction"] = flow.direction
        if wire.sample_rate != 1.0:
            base["sample_rate"] = wire.sample_rate
        if is_front(ends):
            base["tags"] = [SERVICE_VIEW]
        return Face(name, self.naming.version, flow.client, ends, may_be_kubelet(ends, flow.node), base)

    def _exchange_id(self, flow: Flow, exchange: Exchange, timestamp: int) -> str:
        end = flow.client ^ exchange.side
        if flow.wire.protocol == UDP:
            number = exchange.offset * 2 + end
            place = flow.digests.get(number) or number.to_bytes(8, "big", signed=True)
            place += (timestamp // MINUTE).to_bytes(8, "big", signed=True)
        else:
            place = sequence_at(flow.high if end else flow.low, exchange.offset).to_bytes(4, "big")
        named = b"%b%d%b%d/%b" % (flow.key, end, place, exchange.stream_id, exchange.protocol.encode())
        return hashlib.blake2b(named, digest_size=ID_BYTES).hexdigest()


def flow_entry_id(flow: Flow) -> str:
    """Of the client's initial sequence number where it is known, else of the minute of its first packet."""
    isn = (flow.high if flow.client else flow.low).isn if flow.direction == "syn" else -1
    place = b"syn%d" % isn if isn >= 0 else b"at%d" % (flow.first // MINUTE)
    return hashlib.blake2b(flow.key + b"flow" + place, digest_size=ID_BYTES).hexdigest()


def _places(flow: Flow) -> tuple[tuple[bytes, int], tuple[bytes, int]]:
    """Address and port of client and server."""
    here, there = (flow.wire.src, flow.wire.sport), (flow.wire.dst, flow.wire.dport)
    return (there, here) if flow.client == 1 else (here, there)


def _tag_probe(entry: EntryMap, flow: Flow, request: Message | None) -> None:
    """The kubelet says who it is; nobody else on the pod's node is taken for it."""
    if request is None:
        return
    if request.headers.get("user-agent", "").startswith(PROBE_AGENT):
        entry["tags"] = [*entry.get("tags", ()), PROBE]
        flow.probing = flow.probing or 1
    else:
        flow.probing = -1


def _is_brief(flow: Flow) -> bool:
    """Whether a connection in which nothing was read is as brief as a probe."""
    if flow.probing or flow.found or flow.last - flow.first > PROBE_NS:
        return False
    return all(packets <= PROBE_PACKETS and size <= PROBE_BYTES for packets, size in (totals(flow, 0), totals(flow, 1)))


def without_bodies(entry: EntryMap, why: str) -> EntryMap:
    """The same entry, smaller: of the bodies only their sizes stay."""
    smaller = {**entry, "version": 0, "incomplete": [*entry.get("incomplete", ()), why]}
    for name in ("request", "response"):
        if "body" in entry.get(name, ()):
            body = {key: value for key, value in entry[name]["body"].items() if key not in ("text", "data")}
            smaller[name] = {**entry[name], "body": {**body, "truncated": True}}
    return smaller


def _message(message: Message) -> dict[str, Any]:
    """As msgspec gives it with defaults left out; by hand, because it is the larger part of making an entry."""
    made: dict[str, Any] = {}
    if message.timestamp:
        made["timestamp"] = message.timestamp
    if message.end:
        made["end"] = message.end
    if message.size:
        made["size"] = message.size
    if message.headers:
        made["headers"] = message.headers.copy()
    if message.trailers:
        made["trailers"] = message.trailers.copy()
    body = message.body
    if body is not None:
        kept: dict[str, Any] = {}
        made["body"] = kept
        if body.size:
            kept["size"] = body.size
        if body.text:
            kept["text"] = body.text
        if body.data:
            kept["data"] = body.data
        if body.truncated:
            kept["truncated"] = True
        if body.encoding:
            kept["encoding"] = body.encoding
    return made


def _flow_fields(flow: Flow, prefix: str, how: str, closed: bool) -> dict[str, Any]:
    local, remote = (flow.high, flow.low) if flow.client == 1 else (flow.low, flow.high)
    (sent, sent_bytes), (got, got_bytes) = totals(flow, int(flow.client == 1)), totals(flow, int(flow.client != 1))
    fields: dict[str, Any] = {
        f"{prefix}_state": "closed" if closed else "open",
        f"{prefix}_local_pkts": sent,
        f"{prefix}_local_bytes": max(sent_bytes, _sent(local)),
        f"{prefix}_remote_pkts": got,
        f"{prefix}_remote_bytes": max(got_bytes, _sent(remote)),
    }
    if how:
        fields[f"{prefix}_end"] = how
    if flow.found or flow.dissector:
        fields[f"{prefix}_l7_detected"] = list(flow.found) or [flow.dissector]
    if flow.rtt >= 0:
        fields["handshake_rtt"] = flow.rtt
    elif flow.syn_ack_at and flow.seen_at[0] == flow.seen_at[1]:
        fields["handshake_rtt"] = max(flow.syn_ack_at - flow.syn_at, 0) // 1000
    if local.retransmissions or remote.retransmissions:
        fields["retransmissions"] = local.retransmissions + remote.retransmissions
    if local.lost or remote.lost:
        fields["lost_bytes"] = local.lost + remote.lost
    return fields


def _sent(direction: Any) -> int:
    """Payload by sequence numbers: in outline most packets are not captured, but the FIN tells how much there was."""
    offset: int = direction.offset if direction.isn >= 0 else 0
    return offset


def _weird(flow: Flow) -> list[str]:
    weird = list(flow.weird)
    if flow.low.conflicts or flow.high.conflicts:
        weird.append(f"{flow.low.conflicts + flow.high.conflicts} segments repeat bytes with other values")
    return weird
