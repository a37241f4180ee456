"""When to look at which conversation: a wheel of coarse slots for the packet time of one vantage.

A slot only says when to look; whether a time is up is found out then, exactly, from the flow itself. So a flow that
is busy costs nothing here until its slot comes, and one that ended is removed at once.
"""

from __future__ import annotations

import heapq

GRAIN = 1 << 28
"""Width of a slot: about 0.27 s."""


class Timers:
    def __init__(self) -> None:
        self._slots: dict[int, dict[bytes, None]] = {}
        self._where: dict[bytes, int] = {}
        self._order: list[int] = []
        """Heap of the slots that exist."""

    def __len__(self) -> int:
        return len(self._where)

    def keys(self) -> list[bytes]:
        return list(self._where)

    def put(self, key: bytes, due: int) -> None:
        """Look at `key` once the clock is beyond `due`, in place of what was asked before."""
        slot = due // GRAIN
        known = self._where.get(key)
        if known == slot:
            return
        if known is not None:
            del self._slots[known][key]
        self._where[key] = slot
        keys = self._slots.get(slot)
        if keys is None:
            keys = self._slots[slot] = {}
            heapq.heappush(self._order, slot)
        keys[key] = None

    def cancel(self, key: bytes) -> None:
        slot = self._where.pop(key, None)
        if slot is not None:
            del self._slots[slot][key]

    def take(self, now: int) -> list[bytes]:
        """Whom to look at; who is not done is to be put again."""
        limit = now // GRAIN
        due: list[bytes] = []
        while self._order and self._order[0] <= limit:
            due.extend(self._slots.pop(heapq.heappop(self._order)))
        for key in due:
            del self._where[key]
        return due
