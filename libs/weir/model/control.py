"""`weir.endpoints`, `weir.rules`, `weir.control`: the configuration that flows back to the stages."""

from __future__ import annotations

from typing import Literal

import msgspec

from weir.model.entry import Named

Role = Literal["", "pod", "host", "service", "outside"]
"""What an address is: a pod's, a node's own (host processes), a service's in any form (cluster IP, node port, load
balancer), something known beyond the cluster; empty where nobody says (static targets and names)."""


class EndpointRecord(msgspec.Struct, frozen=True, kw_only=True, tag="endpoint", tag_field="t", omit_defaults=True):
    """Who an address is, since and until when, and whether it is targeted. Key: address + uid."""

    v: int = 1
    address: str
    """An IP address, or a network in CIDR form for what has no pod."""
    uid: str
    """What holds the address: a pod's uid, `static/<n>`, `service/<uid>`, `node/<name>`."""
    port: int = 0
    """Only this port of the address, 0 for every port."""
    listens: bool = False
    """Something is known to listen at address and port: the end that is asked."""
    since_ns: int = 0
    until_ns: int = 0
    """0 while it is held."""
    name: str = ""
    namespace: str = ""
    pod: Named | None = None
    service: Named | None = None
    workload: str = ""
    services: list[str] = []
    """Every service that the pod belongs to, as `namespace/name`; `service` is the first of them."""
    node: str = ""
    labels: dict[str, str] = {}
    """All labels of the pod. Entries carry those that `Control.labels` names."""
    targeted: bool = False
    """Payload of its conversations is wanted."""
    rules: list[str] = []
    """Names of the rules that target it."""
    role: Role = ""
    captured: bool = False
    """A capture process works on `node`, so that node can be the vantage of its conversations."""
    front: bool = False
    """A service address with pods behind it: its conversations are seen again behind the NAT, with the pods at both
    ends, so here they are only counted, DNS included."""
    revision: int = 0
    """Rises with everything that is published to this topic; who waits for it knows all that came before."""


class Rule(msgspec.Struct, frozen=True, kw_only=True, tag="rule", tag_field="t", omit_defaults=True):
    """What somebody asked to see. Key: name. Rules add up; a rule with `exclude` wins over all others.

    Either `target` is set (what has no pod), or pods are meant that fit everything else that is set.
    """

    v: int = 1
    name: str
    target: str = ""
    """`all`, an address, a network in CIDR form, `port:N`, or `host:port`."""
    namespaces: list[str] = []
    """Pods of one of these namespaces; empty for every namespace."""
    exclude_namespaces: list[str] = []
    pod: str = ""
    """Regular expression (RE2) that the whole pod name fits."""
    labels: str = ""
    """Label selector in the syntax of Kubernetes, e.g. `app=web,tier in (a, b),!canary`."""
    workload: str = ""
    """`kind/name` (deployment/checkout) or a name alone."""
    node: str = ""
    service: str = ""
    """`namespace/name` or a name alone: its backends."""
    port: int = 0
    """Only this port of the pods, 0 for every port."""
    exclude: bool = False
    """What it selects is not targeted, whatever the others say."""
    author: str = ""
    source: Literal["settings", "file", "helm", "hub", "cli"] = "hub"
    since_ns: int = 0
    until_ns: int = 0
    """0: until it is removed."""
    read_only: bool = False
    """It comes from the settings, a file or Helm, and is changed only there."""


class SavedFilter(msgspec.Struct, frozen=True, kw_only=True, tag="saved", tag_field="t", omit_defaults=True):
    """A filter that somebody named and kept. Key: name."""

    v: int = 1
    name: str
    text: str
    """In the filter language."""
    macro: bool = False
    """Its name may be used in other filters."""
    author: str = ""
    updated_ns: int = 0


class Redaction(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is masked before an entry is published."""

    headers: tuple[str, ...] = (
        "authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "x-auth-token",
    )
    query: tuple[str, ...] = (
        "token", "access_token", "id_token", "refresh_token", "api_key", "apikey", "key", "password", "passwd",
        "secret", "client_secret", "signature", "sig", "auth", "code",
    )
    """Names of query (and form) parameters whose values are masked."""
    bodies: bool = False
    """Drop bodies altogether."""
    key: bytes = b""
    """Key of the digest that stands for a masked value, so that equal values can be seen to be equal."""


class Control(msgspec.Struct, frozen=True, kw_only=True, tag="control", tag_field="t", omit_defaults=True):
    """One document for the installation. Key: instance. Without it stages make an outline with bodies off."""

    v: int = 1
    generation: int
    """Rises with every change; stamped on what is made under it."""
    capture: bool = True
    """Capture is on."""
    outline: bool = True
    """What is not targeted is kept as an outline: openings, closings, totals, DNS and ICMP errors. Else it is not kept
    at all."""
    targets: list[str] = []
    """The targets in force of rules without pods, as `Rule.target`."""
    excluded: list[str] = []
    """Likewise of rules that exclude."""
    pods: bool = False
    """Rules for pods are in force: which pods, `weir.endpoints` says."""
    pod_ranges: list[str] = []
    """Networks from which pods get their addresses: one of these that is not known yet may be a new pod's."""
    labels: list[str] = []
    """Labels of pods that entries carry; `*` for all."""
    sample_rate: float = 1.0
    bodies: bool = True
    """Keep message bodies (no document: off)."""
    body_limit: int = 65536
    """Bytes kept of a body."""
    dissectors: list[str] = []
    """Only these protocols; empty for all."""
    redaction: Redaction = Redaction()


OUTLINE = Control(generation=0, bodies=False)
"""What holds until the first document is read."""
