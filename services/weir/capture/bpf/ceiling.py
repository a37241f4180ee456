"""How much of the targeted conversations one node may hand on: a share that falls at once and rises slowly. Pure.

Two things lower it: more bytes a second than the limit, and a bus whose queue is more than half full. What a full queue
refuses would be missing in the middle of all conversations; those of a lower share are left out whole.
"""

from __future__ import annotations

_AIM = 0.9
"""A cut aims this far below the ceiling, so that the next burst finds room."""
_RAISE = 1.25
_CALM = 0.8
"""Below this part of the ceiling the share may rise."""
_LEAST = 0.001
_HALF = 0.5
"""With less room than this in the bus's queue the share falls."""
_DEEPEST = 0.25
"""A single cut because of the bus leaves this part at least: what is on its way arrives after it."""
_ROOMY = 0.75
"""With so much room it may rise."""


class Ceiling:
    """`limit` in bytes a second; 0 for none."""

    def __init__(self, limit: float) -> None:
        self.share = 1.0
        """Share of the conversations that pass whole."""
        self.full = False
        """The last cut was made because of the bus."""
        self._limit = limit

    def step(self, passed: int, seconds: float, room: float = 1.0) -> float:
        """`passed` bytes were handed on within `seconds`, and this share of the bus's queue is free; answers the share
        from now on."""
        if seconds <= 0:
            return self.share
        rate = passed / seconds
        if room < _HALF:
            self.share = max(self.share * max(room / _HALF, _DEEPEST), _LEAST)
            self.full = True
        elif self._limit and rate > self._limit:
            self.share = max(self.share * self._limit / rate * _AIM, _LEAST)
            self.full = False
        elif self.share < 1.0 and room >= _ROOMY and (not self._limit or rate < self._limit * _CALM):
            headroom = self._limit * _AIM / rate if self._limit and rate else _RAISE
            self.share = min(self.share * min(headroom, _RAISE), 1.0)
        return self.share
