"""How to reach the bus: nothing to set for one process, an address and credentials for Kafka."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Protocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]
Compression = Literal["none", "snappy", "zstd", "lz4", "gzip"]


class BusSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Section `bus`."""

    url: Annotated[str, Meta(description="Kafka bootstrap servers, `host:port,host:port`; empty: in this process")] = ""
    shards: Annotated[int, Meta(description="Partitions of sharded topics; fixed once they exist", ge=1, le=1024)] = 3
    replication: Annotated[int, Meta(description="Replicas of a topic that is created", ge=1, le=9)] = 1
    retention_share: Annotated[
        float,
        Meta(description="Share of their declared time and size that topics keep when they are created; less than 1 "
             "for a Kafka with little disk", gt=0, le=1),
    ] = 1.0
    security_protocol: Annotated[Protocol, Meta(description="How brokers are spoken to")] = "PLAINTEXT"
    ca_file: Annotated[str, Meta(description="PEM file of the CA that signed the brokers; empty: the system's")] = ""
    cert_file: Annotated[str, Meta(description="PEM file of the client certificate, for mutual TLS")] = ""
    key_file: Annotated[str, Meta(description="PEM file of the client's key; empty: it is in cert_file")] = ""
    check_hostname: Annotated[bool, Meta(description="Check that the broker's certificate bears its name")] = True
    sasl_mechanism: Annotated[Mechanism, Meta(description="SASL mechanism, where the protocol is a SASL one")] = (
        "SCRAM-SHA-512"
    )
    username: Annotated[str, Meta(description="SASL user name")] = ""
    password: Annotated[str, Meta(description="SASL password", extra={"secret": True})] = ""
    compression: Annotated[
        Compression, Meta(description="Codec of what is sent: snappy costs least, zstd is smallest")
    ] = "snappy"
    linger_s: Annotated[float, Meta(description="Wait this long for a fuller batch before it is sent", ge=0, le=1)] = (
        0.005
    )
    in_flight_bytes: Annotated[
        int, Meta(description="Bytes that may wait for acknowledgement; beyond them publishers wait", ge=1 << 20)
    ] = 64 << 20
    fetch_bytes: Annotated[
        int, Meta(description="Bytes asked for at once from one partition", ge=1 << 16, le=64 << 20)
    ] = 4 << 20
    request_timeout_s: Annotated[float, Meta(description="Wait this long for an answer of a broker", ge=1, le=300)] = 15
    session_timeout_s: Annotated[
        float, Meta(description="A member of a group that is silent for this long is gone", ge=1, le=300)
    ] = 10
    rebalance_timeout_s: Annotated[
        float, Meta(description="A member that works on one batch for longer than this during a rebalance "
                    "loses its partitions", ge=1, le=3600)
    ] = 60
    stall_s: Annotated[
        float, Meta(description="Rebuild a reader that has fetched nothing for this long while it lags", ge=1, le=3600)
    ] = 60
