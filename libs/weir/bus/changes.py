"""Which keys of a table changed lately, so that whoever follows a large table need not look at all of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import islice

REMEMBERED = 65_536
"""Changes that are remembered; who is further behind looks at the whole table."""


class ChangeLog:
    """The version of a table, and the key of each of the last changes."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self.version = 0
        """How many changes there were."""
        self._keys: deque[bytes] = deque(maxlen=remembered)

    def add(self, key: bytes) -> None:
        self._keys.append(key)
        self.version += 1

    def since(self, version: int) -> Sequence[bytes] | None:
        """See `weir.bus.api.Table.changes`."""
        behind = self.version - version
        if version < 0 or behind > len(self._keys):
            return None
        newest = list(islice(reversed(self._keys), behind))
        newest.reverse()
        return list(dict.fromkeys(newest))
