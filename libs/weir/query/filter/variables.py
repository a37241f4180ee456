"""The variables of the filter language: every field of an entry by its path, with its type and how it is found.

Names, types and documents come from the declarations: the entry's structs, the dissectors' fields. What Kubeshark's
language (KFL2) has beside them is here as well, so that its filters run: under another name (`local_labels`), worked
out from other fields (`namespaces`), or, where weir has nothing like it, always empty.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import msgspec

from weir.dissect.api import Field
from weir.dissect.flow_fields import FLOW_FIELDS, FLOW_PROTOCOLS
from weir.dissect.registry import Registry
from weir.query.filter import derived
from weir.query.filter.tree import (
    BOOL,
    BYTES,
    DOUBLE,
    INT,
    STRING,
    STRINGS,
    TEXTS_BY_NAME,
    TIMESTAMP,
    Type,
)

EVERY = "every entry"
_TYPES: dict[type, Type] = {str: STRING, int: INT, bool: BOOL, float: DOUBLE, list: STRINGS, dict: TEXTS_BY_NAME}

Reader = Callable[[dict[str, Any]], Any]


class Variable(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    """Its path with dots."""
    type: Type
    doc: str
    carried: tuple[str, ...] = (EVERY,)
    """Which entries have it: titles of dissectors, `flows`, or all."""
    path: tuple[str, ...] = ()
    """Keys in the entry; empty if `reader` works it out."""
    reader: Reader | None = None
    """Works it out from an entry of whatever shape; gives a value of its type."""
    equals: str = ""
    """For protocol booleans: `protocol` has this value."""
    foreign: bool = False
    """A name of KFL2 for which weir has nothing: always empty."""


def _own(name: str, kind: Type, doc: str, **more: Any) -> Variable:
    return Variable(name=name, type=kind, doc=doc, path=tuple(name.split(".")), **more)


_PEER = (
    ("ip", STRING, "Address as text"),
    ("port", INT, "Transport port; 0 where there is none"),
    ("name", STRING, "The best name known: pod, else service, else host name"),
    ("namespace", STRING, "Namespace of the pod, else of the service"),
    ("workload", STRING, "Owner as `kind/name`"),
    ("node", STRING, "Node of the pod"),
    ("role", STRING, "`pod`, `host`, `service` or `outside`"),
    ("labels", TEXTS_BY_NAME, "Chosen labels of the pod"),
    ("service.name", STRING, "Service"),
    ("service.namespace", STRING, "Namespace of the service"),
)
_MESSAGE = (
    ("timestamp", TIMESTAMP, "Capture time of its first byte"),
    ("end", TIMESTAMP, "Capture time of its last byte"),
    ("size", INT, "Bytes on the wire, protocol framing included"),
    ("headers", TEXTS_BY_NAME, "Header fields by name in lower case"),
    ("trailers", TEXTS_BY_NAME, "Trailer fields"),
    ("body.size", INT, "True size of the body after decoding"),
    ("body.text", STRING, "The kept bytes of the body, where they are UTF-8"),
    ("body.data", BYTES, "The kept bytes of the body, where they are not"),
    ("body.truncated", BOOL, "Fewer bytes were kept than there were"),
    ("body.encoding", STRING, "Content coding that was undone"),
)
_ENTRY = (
    ("id", STRING, "Stable name of the entry"),
    ("version", INT, "A fuller copy has a higher one"),
    ("instance", STRING, "The weir installation that made it"),
    ("cluster", STRING, "The cluster, as named in the settings"),
    ("node_name", STRING, "Node on which the packets were captured"),
    ("timestamp", TIMESTAMP, "Capture time of the first byte"),
    ("elapsed_time", INT, "µs from request to response; a flow's duration"),
    ("protocol", STRING, "`http`, `grpc`, `dns`, `tls`; `tcp`, `udp` or `icmp` for a flow"),
    ("kind", STRING, "`exchange`, `message`, `handshake` or `flow`"),
    ("flow_id", STRING, "Name of the conversation"),
    ("community_id", STRING, "Community ID v1 of the conversation"),
    ("transport", STRING, "`tcp`, `udp` or `icmp`"),
    ("stream_id", INT, "Stream within the conversation (HTTP/2)"),
    ("direction", STRING, "How client and server were told apart"),
    ("ok", BOOL, "It went well; false also where that cannot be told"),
    ("summary", STRING, "One line for a list; its first 2,048 characters"),
    ("tls", BOOL, "Read in clear through the TLS tracer"),
    ("source", STRING, "Capture source that saw the packets"),
    ("sample_rate", DOUBLE, "Share of conversations kept when this one was"),
    ("tags", STRINGS, "`probe`, `service-view`"),
    ("weird", STRINGS, "What was odd about the traffic"),
    ("incomplete", STRINGS, "What is missing, and why"),
)
_DEFAULTS: dict[str, Any] = {"transport": "tcp", "version": 1, "sample_rate": 1.0}
"""Of fields that an entry leaves out at a value other than the empty one."""

_WORKED_OUT: tuple[tuple[str, Type, str, Reader], ...] = (
    ("http2", BOOL, "HTTP/2, gRPC included", derived.http2),
    ("call", BOOL, "Anything but a flow entry: what was said, not what was counted", derived.call),
    ("conn", BOOL, "A flow entry of TCP", derived.connection),
    ("flow", BOOL, "A flow entry of UDP or ICMP", derived.other_flow),
    ("failed", BOOL, "It went wrong, as far as that can be told", derived.failed),
    ("src.pod.name", STRING, "Pod of the client, else its service", derived.pod("src", "name")),
    ("src.pod.namespace", STRING, "Namespace of the client's pod", derived.pod("src", "namespace")),
    ("dst.pod.name", STRING, "Pod of the server, else its service", derived.pod("dst", "name")),
    ("dst.pod.namespace", STRING, "Namespace of the server's pod", derived.pod("dst", "namespace")),
    ("namespaces", STRINGS, "Namespaces of both ends", derived.either("namespace")),
    ("pods", STRINGS, "Pods of both ends", derived.either("pod", "name")),
    ("services", STRINGS, "Services of both ends", derived.either("service", "name")),
    ("workloads", STRINGS, "Workloads of both ends", derived.either("workload")),
    ("names", STRINGS, "Names of both ends", derived.either("name")),
    ("request.cookies", TEXTS_BY_NAME, "Cookies of the request by name", derived.request_cookies),
    ("response.cookies", TEXTS_BY_NAME, "Cookies that the response sets, by name", derived.response_cookies),
    ("local_labels", TEXTS_BY_NAME, "Labels of the client's pod", derived.texts("src", "labels")),
    ("remote_labels", TEXTS_BY_NAME, "Labels of the server's pod", derived.texts("dst", "labels")),
    ("local_node_name", STRING, "Node of the client's pod", derived.text("src", "node")),
    ("remote_node_name", STRING, "Node of the server's pod", derived.text("dst", "node")),
    ("capture_source", STRING, "Capture source that saw the packets", derived.text("source")),
    ("capture_backend", STRING, "The same", derived.text("source")),
    ("stream", STRING, "Name of the conversation", derived.text("flow_id")),
    ("node_id", STRING, "Node on which the packets were captured", derived.text("node_name")),
)
_FOREIGN: tuple[tuple[str, Type], ...] = (
    ("index", INT), ("worker", STRING), ("conn_id", INT), ("has_pcap", BOOL), ("capture_source_code", INT),
    ("dns_resolutions", STRINGS), ("local_annotations", TEXTS_BY_NAME), ("remote_annotations", TEXTS_BY_NAME),
    ("capture", TEXTS_BY_NAME), ("node", TEXTS_BY_NAME), ("node_ip", STRING), ("local_process_name", STRING),
    ("remote_process_name", STRING), ("src.dns", STRING), ("dst.dns", STRING), ("local_resolution_status", STRING),
    ("remote_resolution_status", STRING), ("conn_group_id", INT), ("flow_group_id", INT), ("flow_local_pps", INT),
    ("flow_local_bps", INT), ("flow_remote_pps", INT), ("flow_remote_bps", INT), ("ws", BOOL),
    ("redis", BOOL), ("kafka", BOOL), ("amqp", BOOL), ("ldap", BOOL), ("mongodb", BOOL), ("mysql", BOOL),
    ("postgresql", BOOL), ("radius", BOOL), ("diameter", BOOL), ("sctp", BOOL),
)


def default_of(name: str) -> Any:
    """The value of a field that is absent, where it is not the empty one; else None."""
    return _DEFAULTS.get(name)


@cache
def variables() -> dict[str, Variable]:
    """All of them by name, in the order of the reference."""
    found: dict[str, Variable] = {}

    def add(variable: Variable) -> None:
        found.setdefault(variable.name, variable)

    for name, kind, doc in _ENTRY:
        add(_own(name, kind, doc))
    for end, who in (("src", "the client"), ("dst", "the server")):
        for name, kind, doc in _PEER:
            add(_own(f"{end}.{name}", kind, f"{doc}, of {who}"))
    for message in ("request", "response"):
        for name, kind, doc in _MESSAGE:
            add(_own(f"{message}.{name}", kind, f"{doc}, of the {message}"))
    registry = Registry()
    for protocol in dict.fromkeys([p for d in registry for p in d.protocols] + list(FLOW_PROTOCOLS)):
        if protocol not in found:
            add(Variable(name=protocol, type=BOOL, doc=f"Short for `protocol == \"{protocol}\"`", equals=protocol))
    for dissector in registry:
        _add_fields(found, dissector.fields, dissector.title)
    _add_fields(found, FLOW_FIELDS, "flows")
    for name, kind, doc, reader in _WORKED_OUT:
        add(Variable(name=name, type=kind, doc=doc, reader=reader))
    for name, kind in _FOREIGN:
        add(Variable(name=name, type=kind, doc="Always empty: for filters that were written for Kubeshark",
                     foreign=True, carried=()))
    return found


def _add_fields(found: dict[str, Variable], fields: tuple[Field, ...], title: str) -> None:
    for field in fields:
        known = found.get(field.name)
        if known is None:
            found[field.name] = _own(field.name, _TYPES[field.type], field.doc, carried=(title,))
        elif title not in known.carried and EVERY not in known.carried:
            found[field.name] = msgspec.structs.replace(known, carried=(*known.carried, title))
