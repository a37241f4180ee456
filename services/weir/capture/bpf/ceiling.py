"""How much of the targeted conversations one node may hand on: a share that falls at once and rises slowly. Pure."""

from __future__ import annotations

_AIM = 0.9
"""A cut aims this far below the ceiling, so that the next burst finds room."""
_RAISE = 1.25
_CALM = 0.8
"""Below this part of the ceiling the share may rise."""
_LEAST = 0.001


class Ceiling:
    """`limit` in bytes a second; 0 for none."""

    def __init__(self, limit: float) -> None:
        self.share = 1.0
        """Share of the conversations that pass whole."""
        self._limit = limit

    def step(self, passed: int, seconds: float) -> float:
        """`passed` bytes were handed on within `seconds`; answers the share from now on."""
        if not self._limit or seconds <= 0:
            return self.share
        rate = passed / seconds
        if rate > self._limit:
            self.share = max(self.share * self._limit / rate * _AIM, _LEAST)
        elif rate < self._limit * _CALM and self.share < 1.0:
            room = self._limit * _AIM / rate if rate else _RAISE
            self.share = min(self.share * min(room, _RAISE), 1.0)
        return self.share
