"""The bus as services see it: publish, try_publish, stream, table.

At-least-once: a service publishes what it made of a batch, awaits `flush`, and then marks the batch. Whatever comes
again after a crash carries the same identity (block origin, entry id), so that repeats are harmless.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, ItemsView, Mapping, Sequence
from typing import Any, Literal, Protocol

import msgspec

Cleanup = Literal["delete", "compact"]
Start = Literal["earliest", "latest"]


class Topic(msgspec.Struct, frozen=True, kw_only=True):
    """A topic's declaration: what `weir topics` creates and checks, and what the reference documents."""

    name: str
    """Without the instance prefix: `packets` is `weir.packets` for the instance `weir`."""
    value: Any
    """Type of its values: a tagged msgspec struct, or `EntryMap`."""
    key: str
    """What its keys are, in words."""
    doc: str
    cleanup: Cleanup = "delete"
    sharded: bool = False
    """As many partitions as the installation has shards; else one partition."""
    retention_s: int = 3600
    retention_bytes: int = -1
    """For each partition; -1 without limit."""
    max_bytes: int = 1 << 20
    """Size limit of one encoded value, checked by sender and reader."""
    secret: bool = False
    """Carries raw payload: to be readable by weir alone."""


class Record(msgspec.Struct, frozen=True):
    """What is published. A value of None is a tombstone (compacted topics)."""

    key: bytes
    value: Any
    partition: int | None = None
    """None: chosen by the key (murmur2 as Kafka's default partitioner)."""


class Undecodable(msgspec.Struct, frozen=True):
    """Stands for a value that is garbage, oversized, or of a newer major version."""

    reason: str
    size: int
    newer: bool = False
    """Made by a newer weir: wait with the mark held rather than drop it."""


class Received(msgspec.Struct, frozen=True):
    partition: int
    offset: int
    key: bytes
    value: Any
    """A value of the topic's type, None for a tombstone, or `Undecodable`."""
    timestamp_ms: int = 0


class Batch(msgspec.Struct, frozen=True):
    """Consecutive records of one partition."""

    partition: int
    records: Sequence[Received]
    next_offset: int
    """What to mark when all of it is done."""


class Overtaken(msgspec.Struct, frozen=True):
    """Retention removed records before they were read."""

    partition: int
    records: int


OnAssigned = Callable[[Sequence[int]], Awaitable[Mapping[int, int]]]
"""Called with all partitions that are owned from now on (what was owned before and is not among them is lost), before
anything of them is read; answers where to start, for those that do not start at the group's mark."""
OnRevoked = Callable[[Sequence[int]], Awaitable[None]]
"""Called while the partitions are still owned, for a last flush and mark; never for lost ones, nor by `Stream.close`.
Both callbacks run inside the iteration, between two batches, never while a batch is worked on."""


class Stream(Protocol):
    """One member's share of a topic."""

    def __aiter__(self) -> AsyncIterator[Batch]:
        """Batches as they come; ends when the stream is closed."""
        ...

    async def mark(self, partition: int, next_offset: int) -> None:
        """Everything before `next_offset` is done. A mark for a partition that is no longer owned is ignored."""
        ...

    def assigned(self) -> frozenset[int]: ...

    def lag(self) -> dict[int, int]:
        """Records behind the end of each owned partition, as far as known."""
        ...

    def overtaken(self) -> list[Overtaken]:
        """Losses by retention since the last call."""
        ...

    async def close(self) -> None: ...


class Table(Protocol):
    """A compacted topic as a live mapping, read to its end before it is handed out."""

    @property
    def version(self) -> int:
        """Rises with every change."""
        ...

    def get(self, key: bytes) -> Any | None: ...
    def items(self) -> ItemsView[bytes, Any]: ...
    def __len__(self) -> int: ...

    def changes(self, since: int) -> Sequence[bytes] | None:
        """The keys that changed after version `since`, each once; what `get` no longer has is gone. None where that is
        longer ago than is remembered: then everything may have changed. 0 is before the first record."""
        ...

    async def changed(self, since: int) -> int:
        """Wait until `version` is above `since`; answers the new version."""
        ...

    async def close(self) -> None: ...


class Bus(Protocol):
    """Both implementations keep order within a partition, one owner of a partition in a group, and resume at marks."""

    def partitions(self, topic: Topic) -> int:
        """How many partitions the topic has in this installation."""
        ...

    async def start(self) -> None:
        """Connect; a bus that is away is waited for until `start` is cancelled, and said in `trouble`."""
        ...

    async def publish(self, topic: Topic, records: Sequence[Record]) -> None:
        """Hand over for sending; waits while the bus is full or away. Order within a partition is kept."""
        ...

    def try_publish(self, topic: Topic, record: Record) -> bool:
        """Hand over without ever waiting; False if there is no room (capture counts it as lost)."""
        ...

    def room(self) -> float:
        """Share of the send queue that is free, 0 to 1; capture sheds load by it."""
        ...

    def outlives(self, topic: Topic) -> bool:
        """Whether the topic is there when this process is gone: what was not marked is read again by the next one."""
        ...

    async def flush(self) -> None:
        """Wait until all that was handed over is acknowledged; waits while the bus is away. BusError once it is
        stopped, or when the broker refuses what was sent for good."""
        ...

    def stream(
        self,
        topic: Topic,
        *,
        group: str | None,
        member: str = "",
        start: Start = "earliest",
        on_assigned: OnAssigned | None = None,
        on_revoked: OnRevoked | None = None,
    ) -> Stream:
        """Read as a member of a group, or without one (every partition, no marks). `member` is a name that survives
        restarts (static membership); `start` says where a group without a mark begins."""
        ...

    async def table(self, topic: Topic) -> Table: ...

    async def read_compacted(self, topic: Topic, partition: int) -> dict[bytes, Any]:
        """The newest value of each key of one partition, read to its end once."""
        ...

    def trouble(self) -> str:
        """Why the bus does not work right now, for people; empty when it does."""
        ...

    async def stop(self, deadline_s: float = 10.0) -> None:
        """Flush what can be flushed within the deadline and let go; never hangs, never raises."""
        ...
