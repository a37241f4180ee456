"""Settings of `store`."""

from __future__ import annotations

from typing import Annotated

import msgspec


class StoreSettings(msgspec.Struct, frozen=True, kw_only=True):
    archive: Annotated[
        str,
        msgspec.Meta(
            description="Where entries are kept: memory, chdb (embedded ClickHouse), or a ClickHouse URL such as "
            "http://user:password@clickhouse:8123/weir",
            extra={"secret": True},
        ),
    ] = "memory"
    listen: Annotated[
        str, msgspec.Meta(description="Address on which the embedded archive serves the hub (ClickHouse HTTP)")
    ] = "127.0.0.1:8124"
    retention_s: Annotated[float, msgspec.Meta(description="Age at which entries are removed; 0 keeps all", ge=0)] = (
        7 * 86400
    )
    retention_bytes: Annotated[
        int, msgspec.Meta(description="Size of the archive above which the oldest go; 0 for no limit", ge=0)
    ] = 20 << 30
    retention_check_s: Annotated[float, msgspec.Meta(description="How often retention is applied", gt=0)] = 60
    batch_entries: Annotated[int, msgspec.Meta(description="Entries of one insert", ge=1, le=1_000_000)] = 10_000
    batch_bytes: Annotated[
        int, msgspec.Meta(description="Bytes of one insert, about: bounds memory", ge=1024)
    ] = 32 << 20
    batch_age_s: Annotated[
        float, msgspec.Meta(description="How long an entry may wait for its insert", gt=0, le=60)
    ] = 0.2
    retry_s: Annotated[
        float, msgspec.Meta(description="Longest wait between two tries while the archive is away", gt=0)
    ] = 15
    drain_s: Annotated[
        float, msgspec.Meta(description="Time to insert what was read already when asked to stop", ge=0)
    ] = 5
    memory_entries: Annotated[
        int, msgspec.Meta(description="Entries that the archive `memory` holds", ge=1)
    ] = 100_000
    memory_bytes: Annotated[
        int, msgspec.Meta(description="Bytes that the archive `memory` holds", ge=1 << 20)
    ] = 256 << 20
