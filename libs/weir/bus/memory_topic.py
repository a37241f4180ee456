"""A topic in memory: its logs, and what all of its readers together allow to be freed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from weir.bus.api import Start, Topic
from weir.bus.memory_group import Group
from weir.bus.memory_log import Limit, Log, Stored


class Reader(Protocol):
    """What a topic asks of its streams."""

    def wake(self) -> None: ...
    def needs(self, partition: int) -> int | None:
        """For a reader without a group: the offset it reads next."""
        ...


class TopicState:
    """The logs of one topic with everybody who reads them."""

    def __init__(self, topic: Topic, partitions: int, limit: Limit, *, redelivery: bool, retain_records: int) -> None:
        self.topic = topic
        self.logs = [Log(topic.cleanup, limit) for _ in range(partitions)]
        self.groups: dict[str, Group] = {}
        self.readers: list[Reader] = []
        self.tables: list[Callable[[bytes, Any], None]] = []
        """Called with each record of a compacted topic, in order."""
        self.expected = False
        """A group will come: nothing is freed before it has."""
        self._redelivery = redelivery
        self._retain_records = retain_records

    def group(self, name: str, start: Start, session_timeout_s: float, rebalance_timeout_s: float) -> Group:
        """The group; made where it is new, and from then on unread records wait for it."""
        if name not in self.groups:
            self.groups[name] = Group(
                self.logs, latest=start == "latest",
                session_timeout_s=session_timeout_s, rebalance_timeout_s=rebalance_timeout_s,
            )
        return self.groups[name]

    def has_room(self, partition: int, weight: int) -> bool:
        log, unread_from = self.logs[partition], self._unread_from(partition)
        log.trim(min(unread_from, self._kept_from(partition)), weight)
        return not log.full(unread_from, weight)

    def free_share(self) -> float:
        """Room in the fullest partition, 0 to 1."""
        return min(log.free_share(self._unread_from(partition)) for partition, log in enumerate(self.logs))

    def append(self, partition: int, key: bytes, value: Any, timestamp_ms: int, weight: int) -> Stored:
        stored = self.logs[partition].append(key, value, timestamp_ms, weight)
        for apply in self.tables:
            apply(key, value)
        for reader in self.readers:
            reader.wake()
        return stored

    def advanced(self, partition: int) -> None:
        """A reader moved on: free what nobody needs any more."""
        log = self.logs[partition]
        if self.topic.cleanup == "delete" and (self.groups or self.readers) and not self.expected:
            needed = [self._kept_from(partition)]
            needed += [offset for reader in self.readers if (offset := reader.needs(partition)) is not None]
            log.free(min(needed) - self._retain_records)
        log.wake()

    def wake(self) -> None:
        for reader in self.readers:
            reader.wake()
        for log in self.logs:
            log.wake()

    def _unread_from(self, partition: int) -> int:
        """Readers without a group hold nobody back; they are told when they were overtaken."""
        if not self.groups:
            return 0 if self.expected else self.logs[partition].end
        return min(group.delivered[partition] for group in self.groups.values())

    def _kept_from(self, partition: int) -> int:
        """What groups may still ask for: with redelivery everything from the mark on."""
        if not self.groups:
            return 0 if self.expected else self.logs[partition].end
        return min(
            min(group.start_of(partition), group.consumed[partition])
            if self._redelivery else group.consumed[partition]
            for group in self.groups.values()
        )
