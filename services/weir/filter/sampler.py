"""Which share of the targeted conversations is kept: each whole, or not at all."""

from __future__ import annotations

import hashlib
from collections import OrderedDict

_SCALE = 1 << 32


class Sampler:
    """A symmetric hash of the conversation decides, so every instance answers alike and both directions agree.

    A decision, and the rate that it was made at, holds for as long as it is remembered: a change of the share cuts no
    conversation in two. Of more than `sticky` conversations those are forgotten that were asked about least recently.
    """

    def __init__(self, *, rate: float = 1.0, sticky: int = 65_536) -> None:
        self.rate = rate
        self._sticky = sticky
        self._decided: OrderedDict[bytes, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._decided)

    def share(self, key: bytes) -> float:
        """The rate at which the conversation `DirectedFlow.key` is kept; 0 if it is not."""
        known = self._decided.get(key)
        if known is not None:
            self._decided.move_to_end(key)
            return known
        kept = self.rate if self.rate >= 1 or _position(key) < self.rate else 0.0
        self._decided[key] = kept
        if len(self._decided) > self._sticky:
            self._decided.popitem(last=False)
        return kept


def _position(key: bytes) -> float:
    """Where a conversation stands between 0 and 1. Not the hash that chooses shards: a share must hit all alike."""
    return int.from_bytes(hashlib.blake2b(key, digest_size=4, person=b"weir.sample").digest(), "big") / _SCALE
