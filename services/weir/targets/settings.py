"""Static targets and names, sampling, and what is masked."""

from __future__ import annotations

from typing import Annotated

import msgspec

from weir.model.control import Redaction

Meta = msgspec.Meta


class TargetsSettings(msgspec.Struct, frozen=True, kw_only=True):
    static: Annotated[
        list[str],
        Meta(
            description="What to decode: `all`, an address, a network (10.0.0.0/8), `port:N` or `host:port`. "
            "Without any, connections only: no payload but DNS is read."
        ),
    ] = []
    names: Annotated[
        list[str], Meta(description="Names of addresses: `ADDRESS[:PORT]=NAME[.NAMESPACE]`, e.g. 10.0.0.5=db.prod.")
    ] = []
    sample_rate: Annotated[float, Meta(gt=0, le=1, description="Share of conversations that is kept.")] = 1.0
    bodies: Annotated[bool, Meta(description="Keep message bodies.")] = True
    body_limit: Annotated[int, Meta(ge=0, le=1 << 20, description="Bytes kept of a body.")] = 65536
    dissectors: Annotated[list[str], Meta(description="Only these protocols; empty for all.")] = []
    redact_headers: Annotated[
        list[str], Meta(description="Headers whose values are masked before an entry is published.")
    ] = msgspec.field(default_factory=lambda: list(Redaction().headers))
    redact_query: Annotated[
        list[str], Meta(description="Query and form parameters whose values are masked.")
    ] = msgspec.field(default_factory=lambda: list(Redaction().query))
    redact_bodies: Annotated[bool, Meta(description="Drop bodies altogether.")] = False
    redaction_key: Annotated[
        str,
        Meta(
            description="Key of the digest that stands for a masked value; empty for a random one, kept in `control`.",
            extra={"secret": True},
        ),
    ] = ""
