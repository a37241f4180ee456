"""What flow entries carry beside what every entry has: conversations as such, whoever read their content."""

from __future__ import annotations

from weir.dissect.api import Field

FLOW_PROTOCOLS = ("tcp", "udp", "icmp")
"""Values of `protocol` of flow entries."""

FIRST_BYTES = 64
"""Bytes of each side that the flow entry of an unrecognised conversation shows."""

_CONNECTION = "of a connection (TCP); local is the client, remote the server"
_FLOW = "of a conversation over UDP or ICMP; local is the client, remote the server"

FLOW_FIELDS: tuple[Field, ...] = (
    Field("conn_state", str, "open or closed, " + _CONNECTION, "State"),
    Field("conn_end", str, "fin, rst, idle, reused, capture_end or evicted: how it ended, or why watching it did"),
    Field("conn_local_pkts", int, "Packets from the client, " + _CONNECTION),
    Field("conn_local_bytes", int, "Bytes of frames from the client (in outline: at least), " + _CONNECTION),
    Field("conn_remote_pkts", int, "Packets from the server, " + _CONNECTION),
    Field("conn_remote_bytes", int, "Bytes of frames from the server (in outline: at least), " + _CONNECTION),
    Field("conn_l7_detected", list, "Protocols of its entries, " + _CONNECTION),
    Field("handshake_rtt", int, "µs from the SYN to the answer to the SYN+ACK (or to the SYN+ACK)", "RTT"),
    Field("retransmissions", int, "Segments that repeat bytes that came already, both directions"),
    Field("lost_bytes", int, "Bytes on the wire that were not captured, both directions"),
    Field("undecoded", str, "Why nobody reads its payload"),
    Field("first_bytes_client", str, f"First {FIRST_BYTES} bytes from the client, hexadecimal, if nobody reads them"),
    Field("first_bytes_server", str, "The same from the server"),
    Field("flow_state", str, "open or closed, " + _FLOW),
    Field("flow_end", str, "idle, capture_end or evicted: how it ended, or why watching it did"),
    Field("flow_local_pkts", int, "Packets from the client, " + _FLOW),
    Field("flow_local_bytes", int, "Bytes of frames from the client, " + _FLOW),
    Field("flow_remote_pkts", int, "Packets from the server, " + _FLOW),
    Field("flow_remote_bytes", int, "Bytes of frames from the server, " + _FLOW),
    Field("flow_l7_detected", list, "Protocols of its entries, " + _FLOW),
)
"""What flow entries carry, in the names of the filter language."""
