"""Datagrams of a conversation: which are new, and which another vantage showed before."""

from __future__ import annotations

from hashlib import blake2b

from weir.decode.conversation import Conversations
from weir.decode.flows import Flow, wants_first_bytes
from weir.model.counts import Counts

SIGHTINGS = 1024
"""Datagrams of one conversation whose copies are recognised, and whose digests wait for their answers."""


class Datagrams:
    """Of one shard."""

    def __init__(self, talk: Conversations, counts: Counts, repeat_ns: int) -> None:
        self._talk = talk
        self._counts = counts
        self._repeat_ns = repeat_ns

    def is_copy(self, known: tuple[int, str] | None, vantage: str, ts: int) -> bool:
        """Whether another vantage showed this datagram, too. From the same vantage it was sent twice."""
        return known is not None and known[1] != vantage and abs(ts - known[0]) <= self._repeat_ns

    def take(self, flow: Flow, end: int, data: bytes, length: int, ts: int, vantage: str) -> None:
        """A datagram of `length` bytes, of which `data` was captured."""
        if not length or (flow.phase == "counted" and not wants_first_bytes(flow, end)):
            return
        digest = digest_of(data)
        if self.is_copy(flow.sightings.get(digest), vantage, ts):
            self._counts.add("decode.copies")
            return
        flow.sightings[digest] = ts, vantage
        if len(flow.sightings) > SIGHTINGS:
            del flow.sightings[next(iter(flow.sightings))]
        number = flow.counts[end]
        flow.counts[end] = number + 1
        flow.digests[number * 2 + end] = digest
        if len(flow.digests) > SIGHTINGS:
            del flow.digests[next(iter(flow.digests))]
        flow.snapped = len(data) < length
        self._talk.data(flow, end, data, ts, number)
        flow.snapped = False


def digest_of(datagram: bytes) -> bytes:
    return blake2b(datagram, digest_size=8).digest()
