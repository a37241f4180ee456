"""Joining IP fragments under a bound of time, number and bytes.

Fragments of one interface are joined among themselves: the same datagram seen on two interfaces is two datagrams here,
and one of them is dropped later as a duplicate, like every other packet. Contradicting fragments (overlaps that are
not repetitions) refuse the whole datagram, including what comes later (RFC 5722 for IPv6, RFC 8900 §3.7): what the
receiver makes of them cannot be known, and nobody sends them in good faith.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Hashable
from typing import NamedTuple

from weir.engine.api import Drop, EngineLimits
from weir.net.ip import Fragment, Ip, checksum
from weir.net.link import Buffer

_OVERHEAD = 128
"""Bytes that a held fragment costs beside its payload: tiny fragments must not outgrow the ceiling."""
_MAX_DATAGRAM = 65535

Ring = tuple[str, int]


class Joined(NamedTuple):
    """A whole IP packet: its headers without a trace of fragmentation, and its payload."""

    packet: bytes


class _Partial:
    """A datagram of which fragments are missing."""

    __slots__ = ("end", "first_ns", "header", "offsets", "parts", "refused", "size")

    def __init__(self, first_ns: int) -> None:
        self.first_ns = first_ns
        self.offsets: list[int] = []
        self.parts: dict[int, bytes] = {}
        self.size = 0
        self.end = -1
        self.header: tuple[bytes, Ip, Fragment] | None = None
        self.refused = False


class Fragments:
    """All the datagrams that are being joined, the oldest first."""

    def __init__(self, limits: EngineLimits) -> None:
        self._timeout_ns = limits.fragment_ns
        self._max_datagrams = limits.fragment_datagrams
        self._max_bytes = limits.fragment_bytes
        self._partials: dict[tuple[Hashable, ...], _Partial] = {}
        self._bytes = 0
        self.lost = 0
        """Fragments whose datagram was never completed."""

    def __len__(self) -> int:
        return len(self._partials)

    @property
    def held_bytes(self) -> int:
        """Never above the ceiling."""
        return self._bytes

    def add(self, ring: Ring, place: Hashable, ts_ns: int, data: Buffer, ip: Ip, end: int) -> Joined | Drop:
        """Take the fragment with header `ip` in `data`, captured up to `end`.

        `place` keeps scopes and interfaces apart. The last fragment to come gives the whole packet, all others the
        reason why there is none.
        """
        piece = ip.fragment
        assert piece is not None
        payload = bytes(data[ip.payload_at : min(ip.stop, end)])
        key = ring, place, ip.version, ip.src, ip.dst, piece.ident, ip.protocol if ip.version == 4 else 0
        partial = self._partials.get(key)
        if partial is not None and abs(ts_ns - partial.first_ns) > self._timeout_ns:
            self._forget(key)
            partial = None
        if _unfit(ip, piece, payload):
            return Drop.FRAGMENT_REFUSED
        if partial is None:
            partial = self._partials[key] = _Partial(ts_ns)
        drop = self._place(partial, piece, payload)
        if drop is None:
            if piece.offset == 0:
                partial.header = bytes(data[ip.at : piece.header_end]), ip, piece
            if partial.size == partial.end and partial.header is not None:
                self._release(key)
                return _whole(partial)
            drop = Drop.FRAGMENT_HELD
        self._keep_bounds()
        return drop

    def expire(self, ring: Ring, now_ns: int) -> None:
        """Give up what this ring's fragments have waited for too long; `now_ns` is the ring's clock."""
        if self._partials:
            oldest = now_ns - self._timeout_ns
            for key in [k for k, p in self._partials.items() if p.first_ns < oldest and k[0] == ring]:
                self._forget(key)

    def _place(self, partial: _Partial, piece: Fragment, payload: bytes) -> Drop | None:
        """Put a payload where it belongs; None if it found its place."""
        if partial.refused:
            return Drop.FRAGMENT_OVERLAP
        start, stop = piece.offset, piece.offset + len(payload)
        if partial.parts.get(start) == payload and (piece.more or partial.end == stop):
            return Drop.DUPLICATE
        offsets = partial.offsets
        n = bisect_left(offsets, start)
        clear = (
            (n == 0 or offsets[n - 1] + len(partial.parts[offsets[n - 1]]) <= start)
            and (n == len(offsets) or stop <= offsets[n])
            and (partial.end < 0 or (piece.more and stop <= partial.end))
            and (piece.more or not offsets or offsets[-1] + len(partial.parts[offsets[-1]]) <= start)
        )
        if not clear:
            self._refuse(partial)
            return Drop.FRAGMENT_OVERLAP
        offsets.insert(n, start)
        partial.parts[start] = payload
        partial.size += len(payload)
        self._bytes += len(payload) + _OVERHEAD
        if not piece.more:
            partial.end = stop
        return None

    def _refuse(self, partial: _Partial) -> None:
        """The entry stays, empty, so that later fragments of the same datagram are refused too."""
        self._bytes -= partial.size + _OVERHEAD * len(partial.parts)
        self.lost += len(partial.parts)
        partial.refused = True
        partial.parts.clear()
        partial.offsets.clear()
        partial.size = 0

    def _keep_bounds(self) -> None:
        while len(self._partials) > self._max_datagrams or self._bytes > self._max_bytes:
            self._forget(next(iter(self._partials)))

    def _forget(self, key: tuple[Hashable, ...]) -> None:
        self.lost += len(self._release(key).parts)

    def _release(self, key: tuple[Hashable, ...]) -> _Partial:
        partial = self._partials.pop(key)
        self._bytes -= partial.size + _OVERHEAD * len(partial.parts)
        return partial


def _unfit(ip: Ip, piece: Fragment, payload: bytes) -> bool:
    """Snapped, empty, not in units of eight bytes, or reaching beyond what a datagram can be."""
    return (
        not payload
        or ip.payload_at + len(payload) < ip.stop
        or bool(piece.more and len(payload) % 8)
        or piece.header_end - ip.at + piece.offset + len(payload) > _MAX_DATAGRAM
    )


def _whole(partial: _Partial) -> Joined | Drop:
    assert partial.header is not None
    raw, ip, piece = partial.header
    header = bytearray(raw)
    body = b"".join([partial.parts[offset] for offset in partial.offsets])
    length = len(header) + len(body)
    if length > _MAX_DATAGRAM:
        return Drop.FRAGMENT_REFUSED
    if ip.version == 4:
        header[2:4] = length.to_bytes(2, "big")
        header[6:8] = header[10:12] = b"\0\0"
        header[10:12] = checksum(bytes(header)).to_bytes(2, "big")
    else:
        header[4:6] = (length - 40).to_bytes(2, "big")
        header[piece.next_at - ip.at] = ip.protocol
    return Joined(bytes(header) + body)
