"""Who reads what of a topic in memory: a group's members, their slots, marks and positions.

Rebalancing is eager, as with Kafka's classic protocol: when somebody joins or leaves, every member gives up what it
has, and only when all have come does each get its new share. A slot with a name (static membership) outlives its
member for a session timeout and goes to whoever comes under that name, without a rebalance.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Protocol

from weir.bus.memory_log import Log


class Member(Protocol):
    """What a group asks of a stream."""

    def wake(self) -> None: ...
    def lose(self) -> None:
        """It was too late for a rebalance, or replaced: what it had belongs to others."""
        ...


class Group:
    """One group on one topic."""

    def __init__(self, logs: list[Log], *, latest: bool, session_timeout_s: float, rebalance_timeout_s: float) -> None:
        self._session_timeout_s = session_timeout_s
        self._rebalance_timeout_s = rebalance_timeout_s
        self.marks: dict[int, int] = {}
        self.base = [log.end if latest else log.first for log in logs]
        """Where the group begins without a mark."""
        self.delivered = list(self.base)
        """By partition: everything before was handed to a member."""
        self.consumed = list(self.base)
        """By partition: everything before was handed out, and the member has come back for more."""
        self.generation = 0
        """Rises when members come or go; they rejoin when they see it."""
        self.settled = 0
        """The generation whose shares are known."""
        self._slots: dict[str, Member | None] = {}
        self._shares: dict[str, list[int]] = {}
        self._arrived: set[str] = set()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._late: asyncio.TimerHandle | None = None

    def enter(self, slot: str, member: Member) -> None:
        """Take a slot; one that is known keeps its share, without a rebalance."""
        if timer := self._timers.pop(slot, None):
            timer.cancel()
        known = slot in self._slots
        before = self._slots.get(slot)
        self._slots[slot] = member
        if before is not None and before is not member:
            before.lose()
        if not known:
            self._rebalance()

    def leave(self, slot: str, member: Member) -> None:
        """Give up a slot at once."""
        if self._slots.get(slot) is member:
            self._remove(slot)

    def vacate(self, slot: str, member: Member) -> None:
        """The member is gone, but its slot is kept for a session timeout."""
        if self._slots.get(slot) is not member:
            return
        self._slots[slot] = None
        loop = asyncio.get_running_loop()
        self._timers[slot] = loop.call_later(self._session_timeout_s, self._expire, slot)
        self._settle()

    def arrive(self, slot: str) -> None:
        """The member has given up its old share and waits for the new one."""
        self._arrived.add(slot)
        self._settle()

    def held(self, slot: str) -> bool:
        return self._slots.get(slot) is not None

    def share(self, slot: str) -> list[int]:
        return self._shares.get(slot, [])

    def start_of(self, partition: int) -> int:
        return self.marks.get(partition, self.base[partition])

    def close(self) -> None:
        for timer in (*self._timers.values(), self._late):
            if timer is not None:
                timer.cancel()
        self._timers.clear()

    def _expire(self, slot: str) -> None:
        self._timers.pop(slot, None)
        if self._slots.get(slot, self) is None:
            self._remove(slot)

    def _remove(self, slot: str) -> None:
        del self._slots[slot]
        self._arrived.discard(slot)
        self._rebalance()

    def _rebalance(self) -> None:
        self.generation += 1
        self._arrived.clear()
        if self._late is not None:
            self._late.cancel()
            self._late = None
        if not self._slots:
            self._settle()
            return
        self._late = asyncio.get_running_loop().call_later(self._rebalance_timeout_s, self._lose_late)
        for member in self._slots.values():
            if member is not None:
                member.wake()

    def _lose_late(self) -> None:
        """Members that did not come back for a rebalance lose their share; they may join again."""
        self._late = None
        for slot, member in list(self._slots.items()):
            if member is not None and slot not in self._arrived:
                del self._slots[slot]
                member.lose()
        self._settle()

    def _settle(self) -> None:
        if self.settled == self.generation:
            return
        if any(member is not None and slot not in self._arrived for slot, member in self._slots.items()):
            return
        if self._late is not None:
            self._late.cancel()
            self._late = None
        slots = sorted(self._slots)
        self._shares = {slot: list(range(i, len(self.base), len(slots))) for i, slot in enumerate(slots)}
        self.settled = self.generation
        for member in self._slots.values():
            if member is not None:
                member.wake()


def resolve_starts(group: Group, share: list[int], answered: Mapping[int, int] | None) -> dict[int, int]:
    """Where to begin each partition of a share: what the owner answered, else the group's mark."""
    answered = answered or {}
    return {partition: answered.get(partition, group.start_of(partition)) for partition in share}
