"""Settings of `hub`."""

from __future__ import annotations

from typing import Annotated

import msgspec


class HubSettings(msgspec.Struct, frozen=True, kw_only=True):
    listen: Annotated[
        str, msgspec.Meta(description="HOST:PORT for page and API; beyond loopback use TLS, here or in front")
    ] = "127.0.0.1:8899"
    token: Annotated[
        str,
        msgspec.Meta(
            description="Who has it may read everything; empty: made once and kept in the data folder (mode 0600)",
            extra={"secret": True},
        ),
    ] = ""
    tls_cert_file: Annotated[
        str, msgspec.Meta(description="Certificate chain (PEM) to serve HTTPS with; read again when it changes")
    ] = ""
    tls_key_file: Annotated[str, msgspec.Meta(description="Its private key (PEM)")] = ""
    base_path: Annotated[
        str,
        msgspec.Meta(
            description="Path below which page and API are reached, e.g. /weir behind an ingress that leaves the path "
            "as it is",
            pattern=r"^((/[A-Za-z0-9._~-]+)+)?$",
        ),
    ] = ""
    hosts: Annotated[
        tuple[str, ...],
        msgspec.Meta(description="Names under which the hub is reached, besides loopback, addresses and `listen`"),
    ] = ()
    archive: Annotated[
        str,
        msgspec.Meta(
            description="Where history is read: memory (store in this process), chdb (store with the same data "
            "folder), or a ClickHouse URL such as http://user:password@clickhouse:8123/weir",
            extra={"secret": True},
        ),
    ] = "memory"
    query_timeout_s: Annotated[float, msgspec.Meta(description="Longest time of one question", gt=0, le=600)] = 30
    max_requests: Annotated[
        int, msgspec.Meta(description="Requests that are answered at once; more are told to wait", ge=1)
    ] = 64
    max_connections: Annotated[
        int, msgspec.Meta(description="Open connections; more are turned away at once", ge=1)
    ] = 512
    max_tails: Annotated[int, msgspec.Meta(description="Live tails (pages, `weir tap`) at once", ge=1)] = 256
    tail_rows_per_s: Annotated[
        int, msgspec.Meta(description="Entries a second that a live tail shows unless it asks for less or more", ge=1)
    ] = 500
    tail_max_rows_per_s: Annotated[
        int, msgspec.Meta(description="Entries a second that a live tail may ask for", ge=1)
    ] = 20_000
    tail_queue: Annotated[
        int, msgspec.Meta(description="Entries that wait for a slow reader; older ones are missed and counted", ge=10)
    ] = 2000
    tail_queue_bytes: Annotated[int, msgspec.Meta(description="The same in bytes", ge=1 << 16)] = 16 << 20
    tail_interval_s: Annotated[
        float, msgspec.Meta(description="Time over which entries are gathered into one message", gt=0, le=5)
    ] = 0.1
    max_rules: Annotated[int, msgspec.Meta(description="Rules that may be in force; more are refused", ge=1)] = 500
    node_ceiling_bytes: Annotated[
        int,
        msgspec.Meta(description="Bytes a second that capture lets a node send to the bus: for warnings", ge=1),
    ] = 20_000_000
