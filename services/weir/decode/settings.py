"""Settings of `decode`."""

from __future__ import annotations

from typing import Annotated

import msgspec


class DecodeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Times of flows are packet time: how fast segments are read changes nothing."""

    reorder_s: Annotated[
        float, msgspec.Meta(description="How long bytes that came too early wait for those before them", ge=0, le=60)
    ] = 1.0
    tcp_idle_s: Annotated[
        float, msgspec.Meta(description="Silence after which a TCP connection counts as over", gt=0)
    ] = 3600.0
    syn_idle_s: Annotated[float, msgspec.Meta(description="The same where nobody answered the SYN", gt=0)] = 60.0
    udp_idle_s: Annotated[
        float, msgspec.Meta(description="Silence after which a conversation over UDP or ICMP counts as over", gt=0)
    ] = 60.0
    linger_s: Annotated[
        float,
        msgspec.Meta(description="How long a conversation that is over is remembered, for late copies of it", ge=0),
    ] = 15.0
    udp_repeat_s: Annotated[
        float, msgspec.Meta(description="Two nodes' copies of one datagram are at most this far apart", ge=0)
    ] = 2.0
    tally_wait_s: Annotated[
        float,
        msgspec.Meta(description="How long a conversation that ended waits for the kernel's last totals of it", ge=0),
    ] = 8.0
    tally_idle_s: Annotated[
        float,
        msgspec.Meta(description="Silence after which a conversation that the kernel counts is over, at least", gt=0),
    ] = 300.0
    flow_update_s: Annotated[
        float,
        msgspec.Meta(description="How often the entry of an open flow is made again while its totals grow", gt=0),
    ] = 5.0
    max_flows: Annotated[
        int, msgspec.Meta(description="Open conversations of one shard; the one silent for longest goes", ge=16)
    ] = 65536
    max_closed: Annotated[
        int, msgspec.Meta(description="Conversations of one shard that are remembered after their end", ge=0)
    ] = 16384
    stream_buffer_bytes: Annotated[
        int, msgspec.Meta(description="What may wait for its turn in one direction of a connection", ge=4096)
    ] = 1 << 20
    shard_buffer_bytes: Annotated[
        int, msgspec.Meta(description="What may wait for its turn in one shard", ge=65536)
    ] = 64 << 20
    max_state_bytes: Annotated[
        int,
        msgspec.Meta(description="Saved state of one shard, bodies in progress included; above it, flows go", ge=65536),
    ] = 256 << 20
    identify_bytes: Annotated[
        int, msgspec.Meta(description="First bytes of a side by which its protocol must be recognised", ge=64)
    ] = 4096
    identify_tries: Annotated[
        int, msgspec.Meta(description="Segments at which a joined conversation is tried again", ge=1)
    ] = 32
    control_wait_s: Annotated[
        float,
        msgspec.Meta(
            description="How long segments wait for the control document under which they were made; then what is "
            "known holds",
            ge=0, le=25,
        ),
    ] = 10.0
    snapshot_interval_s: Annotated[
        float, msgspec.Meta(description="How often state is saved and input is marked", gt=0)
    ] = 5.0
    snapshot_share: Annotated[
        float,
        msgspec.Meta(description="Share of the time that saving may take; above it, it is done less often", gt=0, le=1),
    ] = 0.05
    drain_s: Annotated[
        float, msgspec.Meta(description="Time for a last snapshot when asked to stop or to hand a shard over", ge=0)
    ] = 10.0
