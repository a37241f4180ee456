"""Where rules and names come from, sampling, and what is masked."""

from __future__ import annotations

from typing import Annotated, Literal

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
    source: Annotated[
        Literal["auto", "static", "kubernetes"],
        Meta(
            description="Who knows pods, services and nodes: `kubernetes` watches its API; `static` leaves it at the "
            "names given here; `auto` is kubernetes in a cluster, or where a kubeconfig or context is named."
        ),
    ] = "auto"
    kubeconfig: Annotated[
        str, Meta(description="File with the address and credentials of the Kubernetes API; empty for the pod's own.")
    ] = ""
    context: Annotated[str, Meta(description="Context of the kubeconfig; empty for its current one.")] = ""
    namespaces: Annotated[
        list[str],
        Meta(description="Watch these namespaces alone, so that Roles suffice. Empty: all, and nodes (a ClusterRole)."),
    ] = []
    lease: Annotated[
        Literal["auto", "on", "off"],
        Meta(
            description="Whether only the holder of a Lease publishes, so that two replicas never do at once; `auto`: "
            "in a cluster."
        ),
    ] = "auto"
    rules_file: Annotated[
        str, Meta(description="YAML file with a list of rules, read again when it changes; read-only elsewhere.")
    ] = ""
    rules_source: Annotated[
        Literal["file", "helm"], Meta(description="Where that file comes from, for people who look at its rules.")
    ] = "file"
    rules_poll_s: Annotated[float, Meta(gt=0, description="How often it is looked whether that file changed.")] = 1.0
    outline: Annotated[
        Literal["auto", "on", "off"],
        Meta(
            description="Keep who talks to whom, and how much, of what is not targeted; `auto`: with Kubernetes, or "
            "while nothing is targeted."
        ),
    ] = "auto"
    labels: Annotated[list[str], Meta(description="Labels of pods that entries carry; `*` for all.")] = []
    pod_ranges: Annotated[
        list[str],
        Meta(
            description="Networks of pods besides those that nodes tell, for network plugins with ranges of their own."
        ),
    ] = []
    retention_s: Annotated[
        float,
        Meta(
            gt=0,
            description="How long it stays known who had an address; longer than any packets or segments are kept.",
        ),
    ] = 7200.0
    capture_grace_s: Annotated[
        float,
        Meta(
            ge=0, le=300,
            description="How long a node counts as captured while its capture pod restarts; until then no other node "
            "takes its conversations over.",
        ),
    ] = 20.0
    debounce_s: Annotated[
        float, Meta(ge=0, le=1, description="Changes that come within this are published together.")
    ] = 0.05
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
