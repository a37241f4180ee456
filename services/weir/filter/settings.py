"""What filter can be told."""

from __future__ import annotations

from typing import Annotated

import msgspec

Meta = msgspec.Meta


class FilterSettings(msgspec.Struct, frozen=True, kw_only=True):
    exclude: Annotated[
        tuple[str, ...],
        Meta(
            description="ADDRESS:PORT of weir's own listeners (its hub, its Kafka listener if nobody else uses it): "
            "conversations with one of them are dropped."
        ),
    ] = ()
    flows: Annotated[
        int, Meta(ge=1024, le=16_777_216, description="Directed flows whose decision and owner are remembered.")
    ] = 131_072
    sticky: Annotated[
        int,
        Meta(ge=1024, le=16_777_216, description="Conversations that keep their decision when the share changes."),
    ] = 65_536
    control_wait_s: Annotated[
        float,
        Meta(
            ge=0, le=25,
            description="Seconds that packets wait for the control document under which they were captured; then what "
            "is known holds.",
        ),
    ] = 10.0
    hold_s: Annotated[
        float,
        Meta(
            ge=0, le=60,
            description="Seconds (of packet time) that packets wait for an address of a pod range that is not known "
            "yet; the first packets of a new pod come before its name.",
        ),
    ] = 5.0
    hold_bytes: Annotated[
        int,
        Meta(
            ge=1 << 20, le=8 << 30, description="Bytes of packets that may wait so; beyond, the oldest go on unnamed."
        ),
    ] = 64 << 20
    fragments_bytes: Annotated[
        int, Meta(ge=65_536, le=1 << 30, description="Bytes of fragments that may wait for the others.")
    ] = 4 << 20
    fragments_datagrams: Annotated[
        int, Meta(ge=1, le=1_000_000, description="Datagrams that may wait for fragments at once.")
    ] = 1024
    fragments_s: Annotated[
        float, Meta(ge=0.1, le=300, description="Seconds (of packet time) that a fragment waits for the others.")
    ] = 30.0
