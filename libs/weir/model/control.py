"""`weir.endpoints`, `weir.rules`, `weir.control`: the configuration that flows back to the stages."""

from __future__ import annotations

import msgspec

from weir.model.entry import Named


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
    node: str = ""
    labels: dict[str, str] = {}
    targeted: bool = False
    """Payload of its conversations is wanted."""
    rules: list[str] = []
    """Names of the rules that target it."""


class Rule(msgspec.Struct, frozen=True, kw_only=True, tag="rule", tag_field="t", omit_defaults=True):
    """What somebody asked to see. Key: name."""

    v: int = 1
    name: str
    target: str
    """`all`, an address, a network in CIDR form, `port:N`, or `host:port`."""
    author: str = ""
    until_ns: int = 0
    """0: until it is removed."""
    read_only: bool = False


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
    """Nothing is targeted: openings, closings, DNS and ICMP errors are all that is let through."""
    targets: list[str] = []
    """The static targets in force, as `Rule.target`."""
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
