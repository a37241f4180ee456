"""What every process can be told."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

Meta = msgspec.Meta


class RuntimeSettings(msgspec.Struct, frozen=True, kw_only=True):
    instance: Annotated[
        str,
        Meta(
            pattern="^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$",
            description="Name of the installation: topic prefix, consumer groups, locks. Two names never meet.",
        ),
    ] = "weir"
    cluster: Annotated[str, Meta(description="Name of the cluster, written on every entry.")] = ""
    node: Annotated[str, Meta(description="Name of this node, written on its entries; empty for the host name.")] = ""
    process: Annotated[
        str, Meta(description="Name of this process that survives its restart; empty for host name and stages.")
    ] = ""
    data_dir: Annotated[
        str, Meta(description="Folder for the hub's token and the embedded archive; empty for the user's data folder.")
    ] = ""
    heartbeat_s: Annotated[float, Meta(ge=0.1, le=60, description="Seconds between heartbeats.")] = 2.0
    drain_s: Annotated[
        float, Meta(ge=0, le=600, description="Seconds that a stage may take to finish what it took, at the end.")
    ] = 10.0
    listen: Annotated[
        str,
        Meta(description="HOST:PORT for /healthz, /readyz and /metrics of this process; empty for none."),
    ] = ""
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="What is logged to stderr.")
    ] = "info"
